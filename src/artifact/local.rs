//! Local files that are to reach an API: what is there, what is in it, and its digest.
//!
//! ```text
//! path ──look──▶ LocalFile (size, media type) ──digest──▶ Digest of all its bytes
//! ```
//!
//! Looking reads the beginning of the file and is done before the run, so that a missing or wrong file costs nothing; the digest reads
//! all of it and is what makes one upload of many uses. The media type is that of the content where the content tells, and that of the
//! name where it does not: an API that is told `image/png` of a text refuses it an hour later, in words about something else.
//!
//! Only regular files are read, since a pipe or a device may never end. Links are followed: whoever names a file may read it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::io::AsyncReadExt as _;

use super::extension::of_url;
use crate::{contract::ValueKind, id::Digest, provider::LocalFile};

/// The most bytes of one file: what AIMP takes (5 GiB), and what S3 takes in one object without parts.
pub const LARGEST: u64 = 5_368_709_120;

/// How much of a file's beginning tells what is in it: a text has shown itself by then, and so has an SVG behind its comments.
const HEAD: u64 = 4096;

/// How much is read at once. Hashing it takes about a millisecond.
const CHUNK: u64 = 1024 * 1024;

/// The type of what is not known.
const UNKNOWN: &str = "application/octet-stream";

/// Says why a local file cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub enum LocalProblem {
    /// There is none.
    #[error("there is no file `{}`", .path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// It is something else.
    #[error("`{}` is {what}, not a file", .path.display())]
    NotAFile {
        /// Where it is.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// There is nothing in it.
    #[error("the file `{}` is empty", .path.display())]
    Empty {
        /// Where it is.
        path: PathBuf,
    },
    /// There is too much in it.
    #[error("the file `{}` has {bytes} bytes, more than {LARGEST}", .path.display())]
    TooLarge {
        /// Where it is.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// The file system refused.
    #[error("failed to read `{}`: {source}", .path.display())]
    Unreadable {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not what it was when it was looked at.
    #[error("the file `{}` changed while it was read", .path.display())]
    Changed {
        /// Where it is.
        path: PathBuf,
    },
    /// It holds something else than is wanted.
    #[error("the file `{}` holds {content_type}, and {} is wanted", .path.display(), with_article(*.wanted))]
    Unfit {
        /// Where it is.
        path: PathBuf,
        /// What is in it, as a media type.
        content_type: String,
        /// What is wanted.
        wanted: ValueKind,
    },
}

impl LocalProblem {
    /// Returns what a person can do about it.
    #[must_use]
    pub fn help(&self) -> Option<&'static str> {
        Some(match self {
            Self::Missing { .. } => {
                "a path in the workflow is relative to the workflow file, one on the command line to the working directory"
            }
            Self::NotAFile { .. } => "name one file",
            Self::Empty { .. } => return None,
            Self::TooLarge { .. } => "put it where it can be fetched, and give its http(s) URL",
            Self::Unreadable { .. } => "check its permissions",
            Self::Changed { .. } => "wait until it is written, and run again",
            Self::Unfit { .. } => "give another file, or another `media` to the input",
        })
    }
}

/// Looks at a file: it must be a regular one with something in it.
///
/// # Errors
///
/// Where it is not there, not a file, empty, too large, or not to be read.
pub async fn look(path: &Path) -> Result<LocalFile, LocalProblem> {
    let fail = |source| failed(path, source);
    // Before it is opened: opening a pipe waits for its other end.
    let found = tokio::fs::metadata(path).await.map_err(fail)?;
    if !found.is_file() {
        return Err(LocalProblem::NotAFile { path: path.to_owned(), what: what(&found) });
    }
    let bytes = found.len();
    if bytes == 0 {
        return Err(LocalProblem::Empty { path: path.to_owned() });
    }
    if bytes > LARGEST {
        return Err(LocalProblem::TooLarge { path: path.to_owned(), bytes });
    }
    let mut head = Vec::new();
    let file = tokio::fs::File::open(path).await.map_err(fail)?;
    file.take(HEAD).read_to_end(&mut head).await.map_err(fail)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let content_type = content_type(&name, &head).to_owned();
    Ok(LocalFile { path: path.to_owned(), name, content_type, bytes })
}

/// Returns the digest of a file's bytes, reading piece by piece on threads that may block.
///
/// # Errors
///
/// Where it cannot be read, or has not as many bytes as when it was looked at.
pub async fn digest(file: &LocalFile) -> Result<Digest, LocalProblem> {
    let mut pieces = Pieces::open(file).await?;
    while pieces.next(CHUNK).await?.is_some() {}
    Ok(pieces.digest())
}

/// The bytes of a file, piece by piece, hashed on the way.
pub(super) struct Pieces {
    file: LocalFile,
    /// The file and the digest so far; none while a piece is read.
    open: Option<(fs::File, blake3::Hasher)>,
    read: u64,
}

impl Pieces {
    pub(super) async fn open(file: &LocalFile) -> Result<Self, LocalProblem> {
        let open = tokio::fs::File::open(&file.path).await.map_err(|source| failed(&file.path, source))?;
        Ok(Self { file: file.clone(), open: Some((open.into_std().await, blake3::Hasher::new())), read: 0 })
    }

    /// Returns the next bytes, as many as asked for except at the end, where there are none. Reading and hashing happen on a thread
    /// that may block; whoever stops waiting stops it after one piece.
    pub(super) async fn next(&mut self, count: u64) -> Result<Option<Vec<u8>>, LocalProblem> {
        let Some((mut file, mut hasher)) = self.open.take() else { return Err(self.changed()) };
        let piece = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut io::Read::take(&mut file, count), &mut bytes)?;
            hasher.update(&bytes);
            Ok((file, hasher, bytes))
        });
        let (file, hasher, bytes) = piece
            .await
            .map_err(io::Error::other)
            .and_then(|piece| piece)
            .map_err(|source| failed(&self.file.path, source))?;
        self.open = Some((file, hasher));
        self.read += bytes.len() as u64;
        let is_end = bytes.is_empty();
        if self.read > self.file.bytes || (is_end && self.read < self.file.bytes) {
            return Err(self.changed());
        }
        Ok((!is_end).then_some(bytes))
    }

    /// Returns the digest of what was read.
    pub(super) fn digest(&self) -> Digest {
        let (_, hasher) = self.open.as_ref().expect("a file is asked for its digest between reads");
        hasher.finalize().to_hex().parse().expect("a BLAKE3 hash is a digest")
    }

    /// The error of a file that is not what it was.
    pub(super) fn changed(&self) -> LocalProblem {
        LocalProblem::Changed { path: self.file.path.clone() }
    }
}

/// Says whether a file holds what is wanted, as far as its media type tells.
///
/// # Errors
///
/// Where it surely holds something else.
pub fn fits(file: &LocalFile, wanted: ValueKind) -> Result<(), LocalProblem> {
    let found = file.content_type.as_str();
    let kind = found.split('/').next().unwrap_or_default();
    // What nobody recognised may be a camera's own format. The names of these containers do not tell a film from its sound.
    let is_container =
        matches!(found, "video/mp4" | "audio/mp4" | "video/webm" | "audio/webm" | "video/ogg" | "audio/ogg");
    let fits = found == UNKNOWN
        || match wanted {
            ValueKind::Image => kind == "image",
            ValueKind::Video => kind == "video" || is_container,
            ValueKind::Audio => kind == "audio" || is_container,
            ValueKind::Text => is_text(found),
            // There are as many names for models as programs that make them.
            ValueKind::Model3d => !matches!(kind, "image" | "video" | "audio"),
            _ => true,
        };
    if fits {
        return Ok(());
    }
    Err(LocalProblem::Unfit { path: file.path.clone(), content_type: file.content_type.clone(), wanted })
}

fn with_article(wanted: ValueKind) -> &'static str {
    match wanted {
        ValueKind::Image => "an image",
        ValueKind::Video => "a video",
        ValueKind::Audio => "audio",
        ValueKind::Text => "text",
        ValueKind::Model3d => "a 3d model",
        _ => "something else",
    }
}

fn failed(path: &Path, source: io::Error) -> LocalProblem {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => {
            LocalProblem::Missing { path }
        }
        _ => LocalProblem::Unreadable { path, source },
    }
}

/// Says what is there instead of a file.
fn what(found: &fs::Metadata) -> &'static str {
    if found.is_dir() {
        return "a folder";
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = found.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
    }
    "a device"
}

/// The media types of names, beside those of content. The first of a type is its usual extension.
const BY_NAME: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("heic", "image/heic"),
    ("heif", "image/heic"),
    ("bmp", "image/bmp"),
    ("tiff", "image/tiff"),
    ("tif", "image/tiff"),
    ("ico", "image/x-icon"),
    ("svg", "image/svg+xml"),
    ("mp4", "video/mp4"),
    ("m4v", "video/mp4"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mkv", "video/x-matroska"),
    ("avi", "video/x-msvideo"),
    ("mpg", "video/mpeg"),
    ("mpeg", "video/mpeg"),
    ("ogv", "video/ogg"),
    ("mp3", "audio/mpeg"),
    ("wav", "audio/wav"),
    ("m4a", "audio/mp4"),
    ("ogg", "audio/ogg"),
    ("oga", "audio/ogg"),
    ("opus", "audio/opus"),
    ("flac", "audio/flac"),
    ("aac", "audio/aac"),
    ("weba", "audio/webm"),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json"),
    ("obj", "model/obj"),
    ("stl", "model/stl"),
    ("usdz", "model/vnd.usdz+zip"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("vtt", "text/vtt"),
    ("srt", "application/x-subrip"),
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("jsonl", "application/x-ndjson"),
    ("xml", "application/xml"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
];

/// Returns the media type of a file with this name that begins so.
fn content_type(name: &str, head: &[u8]) -> &'static str {
    let extension = of_url(name).unwrap_or_default();
    let named = BY_NAME.iter().find(|(known, _)| *known == extension).map(|(_, content_type)| *content_type);
    if let Some(content) = by_content(head) {
        // Of a container the name may say more; of anything else the content knows better.
        return named.filter(|named| content.holds.contains(named)).unwrap_or(content.usual);
    }
    if !looks_like_text(head) {
        return named.filter(|named| !is_text(named)).unwrap_or(UNKNOWN);
    }
    match named {
        Some(named) if is_text(named) || matches!(named, "model/gltf+json" | "model/obj" | "model/stl") => named,
        // No picture, film or sound is text, whatever its name is.
        _ if contains(head, b"<svg") => "image/svg+xml",
        _ => "text/plain",
    }
}

/// What the beginning of a file tells.
struct Content {
    usual: &'static str,
    /// What it may be besides, by its name.
    holds: &'static [&'static str],
}

/// Recognises formats by the bytes that they begin with.
fn by_content(head: &[u8]) -> Option<Content> {
    let at = |place: usize, bytes: &[u8]| head.get(place..).is_some_and(|rest| rest.starts_with(bytes));
    let riff = |form: &[u8]| at(0, b"RIFF") && at(8, form);
    let content = |usual, holds| Some(Content { usual, holds });
    match () {
        () if at(0, b"\x89PNG\r\n\x1a\n") => content("image/png", &[]),
        () if at(0, b"\xff\xd8\xff") => content("image/jpeg", &[]),
        () if at(0, b"GIF87a") || at(0, b"GIF89a") => content("image/gif", &[]),
        () if riff(b"WEBP") => content("image/webp", &[]),
        () if at(0, b"BM") && at(6, b"\0\0\0\0") => content("image/bmp", &[]),
        () if at(0, b"II*\0") || at(0, b"MM\0*") => content("image/tiff", &[]),
        () if at(0, b"\0\0\x01\0") => content("image/x-icon", &[]),
        () if at(4, b"ftyp") => match head.get(8..12).unwrap_or_default() {
            b"avif" | b"avis" => content("image/avif", &[]),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
                content("image/heic", &["image/avif"])
            }
            b"qt  " => content("video/quicktime", &[]),
            b"M4A " | b"M4B " => content("audio/mp4", &[]),
            _ => content("video/mp4", &["audio/mp4", "video/quicktime"]),
        },
        () if at(0, b"\x1a\x45\xdf\xa3") && contains(head, b"webm") => content("video/webm", &["audio/webm"]),
        () if at(0, b"\x1a\x45\xdf\xa3") => content("video/x-matroska", &["video/webm", "audio/webm"]),
        () if riff(b"AVI ") => content("video/x-msvideo", &[]),
        () if at(0, b"\0\0\x01\xba") || at(0, b"\0\0\x01\xb3") => content("video/mpeg", &[]),
        () if riff(b"WAVE") => content("audio/wav", &[]),
        () if at(0, b"OggS") => content("audio/ogg", &["audio/opus", "video/ogg"]),
        () if at(0, b"fLaC") => content("audio/flac", &[]),
        () if at(0, b"ID3") => content("audio/mpeg", &["audio/aac", "audio/flac"]),
        // An ADTS frame, then an MPEG audio frame of layer III: eleven bits set, then version and layer.
        () if matches!(head, [0xff, second, ..] if second & 0xf6 == 0xf0) => content("audio/aac", &["audio/mpeg"]),
        () if matches!(head, [0xff, second, ..] if second & 0xe6 == 0xe2) => content("audio/mpeg", &[]),
        () if at(0, b"glTF") => content("model/gltf-binary", &[]),
        () if at(0, b"%PDF-") => content("application/pdf", &[]),
        () if at(0, b"PK\x03\x04") => content("application/zip", ZIPPED),
        () if at(0, b"\x1f\x8b") => content("application/gzip", &[]),
        () => None,
    }
}

/// What is a zip file inside.
const ZIPPED: &[&str] = &[
    "model/vnd.usdz+zip",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
];

fn contains(head: &[u8], wanted: &[u8]) -> bool {
    head.windows(wanted.len()).any(|window| window == wanted)
}

fn is_text(content_type: &str) -> bool {
    content_type.starts_with("text/")
        || matches!(
            content_type,
            "image/svg+xml"
                | "application/json"
                | "application/x-ndjson"
                | "application/xml"
                | "application/yaml"
                | "application/x-subrip"
        )
}

/// Says whether bytes are text: UTF-8 without control characters, or UTF-16 that says so.
fn looks_like_text(head: &[u8]) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return true;
    }
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The beginning may end within a character.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::extension;

    #[test]
    fn the_content_tells_what_a_file_is_and_the_name_where_it_does_not() {
        let mp4 = b"\0\0\0\x20ftypisom\0\0\x02\0";
        for (name, head, expected) in [
            ("a.png", &b"\x89PNG\r\n\x1a\n\0\0"[..], "image/png"),
            ("a.jpg", b"\x89PNG\r\n\x1a\n\0\0", "image/png"),
            ("noname", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("a.webp", b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp"),
            ("a.wav", b"RIFF\x10\0\0\0WAVEfmt ", "audio/wav"),
            ("a.heic", b"\0\0\0\x18ftypheic", "image/heic"),
            ("a.mp4", mp4, "video/mp4"),
            ("a.m4a", mp4, "audio/mp4"),
            ("a.mov", mp4, "video/quicktime"),
            ("a.exe", mp4, "video/mp4"),
            ("a.webm", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81webm", "video/webm"),
            ("a.mkv", b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81matroska", "video/x-matroska"),
            ("a.opus", b"OggS\0\x02", "audio/opus"),
            ("a", b"OggS\0\x02", "audio/ogg"),
            ("a.mp3", b"ID3\x04\0", "audio/mpeg"),
            ("a.mp3", b"\xff\xfb\x90\x44", "audio/mpeg"),
            ("a.aac", b"\xff\xf1\x50\x80", "audio/aac"),
            ("a.glb", b"glTF\x02\0\0\0", "model/gltf-binary"),
            ("a.docx", b"PK\x03\x04", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            ("a.png", b"PK\x03\x04", "application/zip"),
            ("a.pdf", b"%PDF-1.7", "application/pdf"),
            // Text, whatever the name says.
            ("a.png", b"once upon a time", "text/plain"),
            ("a.mp4", b"once upon a time", "text/plain"),
            ("a.md", b"# Title\n", "text/markdown"),
            ("README", b"read me", "text/plain"),
            ("a.json", b"{}", "application/json"),
            ("a.svg", b"<svg/>", "image/svg+xml"),
            ("a", b"<?xml?><!-- x --><svg xmlns=\"\"/>", "image/svg+xml"),
            ("a.obj", b"v 0 0 0", "model/obj"),
            ("a.txt", "é".as_bytes(), "text/plain"),
            ("a.txt", &"é".as_bytes()[..1], "application/octet-stream"),
            ("a.txt", b"\xff\xfea\0", "text/plain"),
            // Neither.
            ("a.txt", b"\0\x01\x02", "application/octet-stream"),
            ("a.bin", b"\0\x01\x02", "application/octet-stream"),
            ("a.stl", b"\0\x01\x02", "model/stl"),
        ] {
            assert_eq!(content_type(name, head), expected, "{name} {head:?}");
        }
    }

    #[test]
    fn a_type_and_its_extension_agree_with_those_of_saved_files() {
        let mut seen = Vec::new();
        for (usual, content_type) in BY_NAME {
            if seen.contains(content_type) {
                continue;
            }
            seen.push(*content_type);
            // With the name as a URL, types that saving has no extension for keep theirs.
            assert_eq!(extension(content_type, &format!("a.{usual}")), *usual, "{content_type}");
        }
    }

    #[test]
    fn what_surely_is_something_else_does_not_fit() {
        use ValueKind::{Any, Audio, Image, Model3d, Text, Video};
        for (content_type, fitting) in [
            ("text/plain", vec![Text, Model3d, Any]),
            ("image/png", vec![Image, Any]),
            ("image/svg+xml", vec![Image, Text, Any]),
            ("video/mp4", vec![Video, Audio, Any]),
            ("video/quicktime", vec![Video, Any]),
            ("audio/wav", vec![Audio, Any]),
            ("application/pdf", vec![Model3d, Any]),
            ("application/octet-stream", vec![Image, Video, Audio, Text, Model3d, Any]),
        ] {
            let file = LocalFile { path: "x/a".into(), name: "a".into(), content_type: content_type.into(), bytes: 1 };
            for wanted in [Image, Video, Audio, Text, Model3d, Any] {
                assert_eq!(fits(&file, wanted).is_ok(), fitting.contains(&wanted), "{content_type} for {wanted:?}");
            }
        }
        let file =
            LocalFile { path: "x/a.png".into(), name: "a.png".into(), content_type: "text/plain".into(), bytes: 1 };
        let problem = fits(&file, Image).expect_err("a text");
        assert_eq!(problem.to_string(), "the file `x/a.png` holds text/plain, and an image is wanted");
    }

    #[tokio::test]
    async fn only_files_with_something_in_them_are_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("empty"), "").expect("a file");
        fs::write(path("a b.png"), b"\x89PNG\r\n\x1a\n123").expect("a file");
        let large = fs::File::create(path("large")).expect("a file");
        large.set_len(LARGEST + 1).expect("a hole takes no room");
        let good = look(&path("a b.png")).await.expect("a picture");
        assert_eq!((good.name.as_str(), good.content_type.as_str(), good.bytes), ("a b.png", "image/png", 11));
        for (name, message) in [
            ("missing", "there is no file"),
            ("a b.png/x", "there is no file"),
            (".", "is a folder, not a file"),
            ("empty", "is empty"),
            ("large", "has 5368709121 bytes, more than 5368709120"),
            ("a\0b", ""),
        ] {
            let problem = look(&path(name)).await.expect_err(name);
            assert!(problem.to_string().contains(message), "{name}: {problem}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_pipe_is_refused_without_waiting_for_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("a socket");
        let problem = look(&socket).await.expect_err("no file");
        assert!(problem.to_string().contains("is a socket, not a file"), "{problem}");
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).expect("a link");
        look(&folder.path().join("link")).await.expect_err("it leads nowhere");
    }

    #[tokio::test]
    async fn a_digest_is_that_of_all_bytes_and_notices_changes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.bin");
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|at| u8::try_from(at % 251).expect("a byte")).collect();
        fs::write(&path, &bytes).expect("a file");
        let file = look(&path).await.expect("a file");
        assert_eq!(digest(&file).await.expect("a digest"), Digest::of(&bytes));
        for other in [&bytes[..bytes.len() - 1], &[&bytes[..], b"x"].concat()] {
            fs::write(&path, other).expect("a file");
            let problem = digest(&file).await.expect_err("it changed");
            assert!(matches!(problem, LocalProblem::Changed { .. }), "{problem}");
        }
    }
}
