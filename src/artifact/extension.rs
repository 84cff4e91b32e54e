//! The endings of saved files, made of a server's headers.

/// The longest extension that is taken from a URL.
const LONGEST_EXTENSION: usize = 8;

/// Returns the extension for a media type, without a dot; where the type says nothing, the one of the URL; else `bin`.
#[must_use]
pub fn extension(content_type: &str, url: &str) -> String {
    let known = match content_type {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/svg+xml" => "svg",
        "image/tiff" => "tiff",
        "image/x-icon" | "image/vnd.microsoft.icon" => "ico",
        "video/quicktime" => "mov",
        "video/x-matroska" => "mkv",
        "video/x-msvideo" => "avi",
        "video/mpeg" => "mpg",
        "video/ogg" => "ogv",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mp4" | "audio/x-m4a" => "m4a",
        "audio/webm" => "weba",
        "text/plain" => "txt",
        "text/markdown" => "md",
        "text/javascript" => "js",
        "model/gltf-binary" => "glb",
        "model/gltf+json" => "gltf",
        "application/x-ndjson" => "ndjson",
        "application/gzip" => "gz",
        "image/png" | "image/gif" | "image/webp" | "image/avif" | "image/heic" | "image/bmp" | "video/mp4"
        | "video/webm" | "audio/ogg" | "audio/flac" | "audio/aac" | "audio/opus" | "text/html" | "text/csv"
        | "text/css" | "text/vtt" | "application/json" | "application/pdf" | "application/zip" | "application/xml" => {
            content_type.rsplit('/').next().unwrap_or_default()
        }
        _ => "",
    };
    if known.is_empty() { of_url(url).unwrap_or_else(|| "bin".to_owned()) } else { known.to_owned() }
}

/// Returns the extension that a URL's path ends with.
pub(super) fn of_url(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let (stem, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    let usable = !stem.is_empty()
        && (1..=LONGEST_EXTENSION).contains(&extension.len())
        && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    usable.then(|| extension.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_comes_from_the_type_then_from_the_url() {
        for (content_type, url, ext) in [
            ("image/png", "https://example.com/a.jpeg", "png"),
            ("image/jpeg", "https://example.com/a", "jpg"),
            ("application/octet-stream", "https://example.com/a.MP4?x=1.exe", "mp4"),
            ("binary/octet-stream", "https://example.com/v1.2/file", "bin"),
            ("application/octet-stream", "https://example.com/.bashrc", "bin"),
            ("x/y", "https://example.com/a.tar.gz#f", "gz"),
            ("x/y", "https://example.com/a.p%2Fq", "bin"),
            ("x/y", "https://example.com/a.zip/../../etc/passwd", "bin"),
            ("x/y", "https://example.com/a.zip/..%2f..%2fetc/passwd", "bin"),
            ("x/y", "https://example.com/a.%2e%2e", "bin"),
            ("x/y", "https://example.com/a.p\0g", "bin"),
            ("x/y", "https://example.com/a.", "bin"),
            ("x/y", "https://example.com/a.waytoolongforanextension", "bin"),
            ("../../x", "https://example.com/nul.con", "con"),
        ] {
            assert_eq!(extension(content_type, url), ext, "{content_type} {url}");
        }
    }
}
