//! The storage: files that somebody staged, and media that clients upload, kept in memory and served under `/files`.
//!
//! It stands for a store of objects beside an API, so it knows no keys: a URL is all that it asks for, and a request that carries
//! credentials is refused, since a client that sends its key here would send it to a stranger's storage too.
//!
//! What must stay true: it holds no more than [`MOST_BYTES`] in no more than [`MOST_FILES`], and what it cannot hold it refuses; it never
//! drops what it has given a URL for.

mod form;
mod uploads;

use std::collections::BTreeMap;

use super::{
    api::FILES,
    emulator::{CREDENTIALS, Call, Content, Reply},
};
use crate::id::Digest;

use self::uploads::Uploads;
pub(super) use self::uploads::{Announced, NotComplete, Terms, Way};

/// The most bytes that are held. A sandbox shares the memory of the machine that somebody works on.
pub(super) const MOST_BYTES: usize = 512 << 20;

/// The most files that are held.
pub(super) const MOST_FILES: usize = 10_000;

/// The largest file that is taken from a request, which is read whole.
pub(super) const LARGEST_FILE: usize = 64 << 20;

/// The folders of staged files and of uploads, beside those of the jobs.
pub(super) const STAGED: &str = "staged";
pub(super) const UPLOADS: &str = "uploads";

/// A file that is held.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
}

impl Stored {
    /// Returns the digest of its bytes.
    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Says that the storage holds as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sandbox's storage is full: it holds at most {} MiB in {MOST_FILES} files", MOST_BYTES >> 20)]
pub struct StorageFull;

/// What is held.
#[derive(Debug)]
pub(super) struct Storage {
    /// By path below the folder: `DIGEST/NAME`.
    staged: BTreeMap<String, Stored>,
    uploads: Uploads,
    room: Room,
}

/// What may still be held.
#[derive(Clone, Copy, Debug)]
struct Room {
    bytes: usize,
    files: usize,
}

impl Room {
    /// Takes the room of a file, which stands in for one of `former` bytes where there was one.
    fn take(&mut self, bytes: usize, former: Option<usize>) -> Result<(), StorageFull> {
        let (left, files) = (self.bytes + former.unwrap_or_default(), self.files + usize::from(former.is_some()));
        let fits = (left.checked_sub(bytes)).zip(files.checked_sub(1));
        let (bytes, files) = fits.ok_or(StorageFull)?;
        *self = Self { bytes, files };
        Ok(())
    }

    fn give_back(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.files += 1;
    }
}

impl Storage {
    /// Begins without files; the ids of uploads follow the seed.
    pub(super) fn new(seed: u64) -> Self {
        let room = Room { bytes: MOST_BYTES, files: MOST_FILES };
        Self { staged: BTreeMap::new(), uploads: Uploads::new(seed), room }
    }

    /// Keeps a file and returns its path, `/files/staged/DIGEST/NAME`: the same file under the same name has the same one.
    pub(super) fn stage(&mut self, name: &str, content_type: &str, bytes: Vec<u8>) -> Result<String, StorageFull> {
        let digest = Digest::of(&[content_type.as_bytes(), b"\n", &bytes].concat()).to_string();
        let key = format!("{}/{}", &digest[..16], file_name(name));
        if !self.staged.contains_key(&key) {
            self.room.take(bytes.len(), None)?;
            self.staged.insert(key.clone(), Stored { content_type: header_text(content_type), bytes });
        }
        Ok(format!("{FILES}{STAGED}/{key}"))
    }

    /// Returns a staged file by its path.
    pub(super) fn staged(&self, path: &str) -> Option<&Stored> {
        let key = path.strip_prefix(FILES)?.strip_prefix(STAGED)?.strip_prefix('/')?;
        self.staged.get(key)
    }

    /// Makes a place for an upload.
    pub(super) fn announce(&mut self, announced: Announced, terms: Terms) -> Result<uploads::Offer, StorageFull> {
        // Room is taken when the bytes come; that there is some is asked now, as long as the client can still be told.
        self.room.clone().take(announced.size_bytes, None)?;
        Ok(self.uploads.announce(announced, terms))
    }

    /// Answers a request: one that brings the bytes of an upload, or fetches a staged file.
    pub(super) fn serve(&mut self, call: &Call) -> Reply {
        self.answer(call).unwrap_or_else(Refusal::reply)
    }

    fn answer(&mut self, call: &Call) -> Result<Reply, Refusal> {
        if CREDENTIALS.iter().any(|name| call.header(name).is_some()) {
            let told = "The URL is all that it takes: a request to the storage must carry no credentials";
            return Err(Refusal::new(400, "InvalidArgument", told));
        }
        if call.path.strip_prefix(FILES).is_some_and(|path| path.starts_with(UPLOADS)) {
            return self.uploads.deliver(call, &mut self.room).map(Reply::empty);
        }
        if !matches!(call.method.as_str(), "GET" | "HEAD") {
            return Err(Refusal::new(405, "MethodNotAllowed", "The method is not allowed against this file"));
        }
        let file = self.staged(&call.path).ok_or_else(|| Refusal::new(404, "NoSuchKey", "There is no such file"))?;
        let body = Content::File { content_type: file.content_type.clone().into(), bytes: file.bytes.clone() };
        Ok(Reply { status: 200, headers: Vec::new(), body })
    }

    /// Returns the reference and the file of an upload whose bytes are here.
    pub(super) fn complete(&mut self, upload_id: &str) -> Result<(&str, &Announced), NotComplete> {
        self.uploads.complete(upload_id)
    }

    /// Drops the bytes of an upload, as if they had never come.
    pub(super) fn lose(&mut self, upload_id: &str) {
        self.uploads.lose(upload_id, &mut self.room);
    }

    /// Returns the file behind a reference.
    pub(super) fn media(&self, reference: &str) -> Option<&Stored> {
        self.uploads.media(reference)
    }

    /// Makes a reference one that was never given.
    pub(super) fn forget(&mut self, reference: &str) {
        self.uploads.forget(reference, &mut self.room);
    }
}

/// Returns a name that is one part of a URL: what is no letter, digit, dot, dash or underscore of ASCII becomes a dash.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' };
    let name: String = name.rsplit(['/', '\\']).next().unwrap_or_default().chars().take(120).map(plain).collect();
    if name.trim_matches('.').is_empty() { "file".to_owned() } else { name }
}

/// Returns a media type that a header can carry.
fn header_text(content_type: &str) -> String {
    let fits = !content_type.is_empty() && content_type.chars().all(|c| c == ' ' || c.is_ascii_graphic());
    if fits { content_type.to_owned() } else { "application/octet-stream".to_owned() }
}

/// What is wrong with a request, in the XML of stores of objects.
#[derive(Debug)]
struct Refusal {
    status: u16,
    code: &'static str,
    message: String,
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), allow: None }
    }

    fn reply(self) -> Reply {
        let Self { status, code, message, allow } = self;
        let text = message.replace('&', "&amp;").replace('<', "&lt;");
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{text}</Message></Error>\n"
        );
        let headers = allow.map(|method| ("Allow", method.to_owned())).into_iter().collect();
        Reply {
            status,
            headers,
            body: Content::File { content_type: "application/xml".into(), bytes: xml.into_bytes() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staged_file_is_served_as_it_came_and_kept_once() {
        let mut storage = Storage::new(1);
        let path = storage.stage("a b/ü ber.png", "image/png", vec![1, 2, 3]).expect("room");
        assert!(path.starts_with("/files/staged/") && path.ends_with("/--ber.png"), "{path}");
        let stored = storage.staged(&path).expect("the file");
        assert_eq!((stored.content_type.as_str(), stored.bytes.as_slice()), ("image/png", [1, 2, 3].as_slice()));
        assert_eq!(storage.stage("ü ber.png", "image/png", vec![1, 2, 3]).expect("room"), path);
        assert_ne!(storage.stage("ü ber.png", "image/jpeg", vec![1, 2, 3]).expect("room"), path);
        assert_eq!(storage.staged.len(), 2);
        assert_eq!(storage.room.bytes, MOST_BYTES - 6);
        for name in ["", ".", "..", "../..", "a/"] {
            assert!(
                storage.stage(name, "text/plain\r\nX: y", vec![]).is_ok_and(|path| path.ends_with("/file")),
                "{name}"
            );
        }
        assert_eq!(storage.staged("/files/staged/../staged/a"), None);
        let odd = storage.stage("a", "text/plain\r\nX: y", vec![]).expect("room");
        assert_eq!(storage.staged(&odd).map(|file| file.content_type.as_str()), Some("application/octet-stream"));
    }

    #[test]
    fn the_room_has_two_bounds() {
        let mut room = Room { bytes: 10, files: 2 };
        assert_eq!(room.take(11, None), Err(StorageFull));
        assert_eq!(room.take(6, None), Ok(()));
        assert_eq!(room.take(5, None), Err(StorageFull));
        assert_eq!(room.take(9, Some(6)), Ok(()), "it stands in for the first");
        assert_eq!(room.take(1, None), Ok(()));
        assert_eq!(room.take(0, None), Err(StorageFull), "too many files");
        room.give_back(9);
        assert_eq!(room.take(0, None), Ok(()));
    }
}
