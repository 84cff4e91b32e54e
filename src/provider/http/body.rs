//! An answer's body, read within bounds: of bytes while it comes in, and of JSON values before memory is taken for them.

use reqwest::{Response, header::CONTENT_TYPE};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::Reply;

/// How many bytes of an answer are read: lists of 100 jobs with long texts stay far below.
pub const BODY_LIMIT: usize = 32 * 1024 * 1024;

/// How many values an answer in JSON may hold. Each takes some 70 bytes of memory, so that an answer of nothing but zeros would take a
/// hundred times its own size; the largest that is of use, a thousand vectors, stays below.
pub(super) const MOST_VALUES: usize = 2_000_000;

/// Reads JSON; none where it holds more values than are taken.
pub(super) fn parse(text: &[u8]) -> serde_json::Result<Option<Value>> {
    if values(text) > MOST_VALUES {
        // Whether it is JSON at all takes no memory to say.
        return serde_json::from_slice::<IgnoredAny>(text).map(|_| None);
    }
    serde_json::from_slice(text).map(Some)
}

/// Returns how many values a text in JSON has, at most: one more than there are separators and brackets outside its strings.
fn values(json: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b',' | b'[' | b'{' if !in_string => count += 1,
            _ => {}
        }
    }
    count
}

/// Says whether an answer's content type is that of JSON.
pub(super) fn calls_itself_json(reply: &Reply) -> bool {
    let content_type = reply.header(CONTENT_TYPE.as_str()).unwrap_or_default();
    is_json_type(content_type.split(';').next().unwrap_or_default())
}

/// Says whether a content type without parameters is that of JSON.
pub(crate) fn is_json_type(content_type: &str) -> bool {
    let content_type = content_type.trim().to_ascii_lowercase();
    content_type == "application/json" || content_type.ends_with("+json")
}

/// How the reading of a body ended.
pub(super) enum End {
    Whole,
    TooLong,
    Broken(reqwest::Error),
}

/// Reads a body up to a limit.
pub(super) async fn read(response: &mut Response, limit: usize) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return (body, End::Whole),
            Ok(Some(chunk)) if chunk.len() > limit - body.len() => {
                body.extend_from_slice(&chunk[..limit - body.len()]);
                return (body, End::TooLong);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return (body, End::Broken(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_strings() {
        for (json, count) in [("1", 1), ("[]", 2), (r#"{"a,[{": [1, "\"\\", ",["]}"#, 5), ("", 1), (r#""\"#, 1)] {
            assert_eq!(values(json.as_bytes()), count, "{json}");
        }
        let many = format!("[{}0]", "0,".repeat(MOST_VALUES));
        assert_eq!(parse(many.as_bytes()).expect("JSON"), None);
        assert!(parse(&many.as_bytes()[1..]).is_err(), "what is no JSON has no values");
        assert!(parse(&many.as_bytes()[..many.len() - 1]).is_err());
        assert!(parse(format!("[{}0]", "0,".repeat(1000)).as_bytes()).expect("JSON").is_some());
        // Deeper than anything real; the reader's own bound keeps the stack.
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(parse(format!("{}1{}", "[".repeat(500), "]".repeat(500)).as_bytes()).is_err());
    }
}
