//! `data:` URLs (RFC 2397): bytes that an API put into its answer instead of behind a link.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use percent_encoding::percent_decode_str;

/// The longest URL that is read. Answers of APIs, which they come in, are bounded below it.
const LONGEST: usize = 64 * 1024 * 1024;

/// The longest description before the comma: a media type with a few parameters.
const LONGEST_HEAD: usize = 1024;

/// What the bytes are where the URL does not say (RFC 2397, section 2).
const DEFAULT_TYPE: &str = "text/plain";

/// Says whether a text is meant as a `data:` URL.
pub(super) fn is(url: &str) -> bool {
    url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

/// Returns the media type, with its parameters, and the bytes; or what is wrong with the URL.
pub(super) fn read(url: &str) -> Result<(&str, Vec<u8>), &'static str> {
    if url.len() > LONGEST {
        return Err("it is a data URL of more than 64 MiB");
    }
    let rest = url.get(5..).unwrap_or_default();
    let comma = rest.bytes().take(LONGEST_HEAD).position(|byte| byte == b',');
    let (head, data) = comma.map(|at| (&rest[..at], &rest[at + 1..])).ok_or("it is a data URL without a comma")?;
    let (head, is_base64) = match head.rsplit_once(';') {
        Some((head, last)) if last.trim().eq_ignore_ascii_case("base64") => (head, true),
        _ => (head, false),
    };
    let declared = if head.is_empty() || head.starts_with(';') { DEFAULT_TYPE } else { head };
    let bytes: Vec<u8> = percent_decode_str(data).collect();
    if is_base64 { Ok((declared, decoded(bytes)?)) } else { Ok((declared, bytes)) }
}

/// Decodes base64 of either alphabet, with padding or without, across line breaks.
fn decoded(mut text: Vec<u8>) -> Result<Vec<u8>, &'static str> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    text.retain(|byte| !byte.is_ascii_whitespace());
    for byte in &mut text {
        match byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    let engine = GeneralPurpose::new(&alphabet::STANDARD, config);
    engine.decode(&text).map_err(|_| "it is a data URL whose base64 cannot be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_of_either_encoding() {
        for (url, declared, bytes) in [
            ("data:,hello%20there", "text/plain", &b"hello there"[..]),
            ("data:text/html;charset=utf-8,%3Cb%3E", "text/html;charset=utf-8", b"<b>"),
            ("DATA:image/png;base64,iVBORw==", "image/png", b"\x89PNG"),
            ("data:image/png;base64,iVBORw", "image/png", b"\x89PNG"),
            ("data:image/png;name=a.png;BASE64,iVBO%0A Rw%3D%3D", "image/png;name=a.png", b"\x89PNG"),
            ("data:x/y;base64,_-_-", "x/y", b"\xff\xef\xfe"),
            ("data:x/y;base64,/+/+", "x/y", b"\xff\xef\xfe"),
            ("data:;base64,YQ==", "text/plain", b"a"),
            ("data:;charset=utf-8,a", "text/plain", b"a"),
            ("data:x/y,100%", "x/y", b"100%"),
            ("data:x/y;base64,", "x/y", b""),
            ("data:x/y,a,b", "x/y", b"a,b"),
        ] {
            assert_eq!(read(url), Ok((declared, bytes.to_vec())), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, why) in [
            ("data:", "without a comma"),
            ("data:image/png;base64", "without a comma"),
            ("data:x/y;base64,a", "cannot be read"),
            ("data:x/y;base64,a*b=", "cannot be read"),
            ("data:x/y;base64,YQ==YQ==", "cannot be read"),
        ] {
            let found = read(url).expect_err(url);
            assert!(found.contains(why), "{url}: {found}");
        }
        let long = format!("data:{},x", "a".repeat(LONGEST_HEAD));
        assert!(read(&long).is_err());
        assert!(read(&format!("data:,{}", "a".repeat(LONGEST))).is_err());
        assert!(!is("data") && !is("database:x") && !is("é"));
    }
}
