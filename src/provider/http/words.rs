//! What an API says about an error, in few and harmless words: from JSON, from a proxy's HTML page, or from plain text.
//!
//! These words end in terminals, logs and the journal, so what comes out here is bounded, on one line, and has no control
//! characters that a terminal would act on.

use serde_json::Value;

/// The most bytes of an API's words that a fault keeps: enough for any sentence, too little for a page.
pub(crate) const MOST_WORDS: usize = 2048;

/// Where a JSON error keeps its text, most likely first.
const KEYS: [&str; 8] =
    ["error", "message", "detail", "error_message", "error_description", "title", "reason", "errors"];

/// Returns what an error body says for people, if anything.
pub(super) fn of_body(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let said = match serde_json::from_str::<Value>(text) {
        Ok(value) => of_json(&value)?.to_owned(),
        Err(_) if text.starts_with('<') => html_title(text)?.to_owned(),
        Err(_) => text.to_owned(),
    };
    Some(one_line(&said)).filter(|said| !said.is_empty())
}

/// Returns the text of a JSON error: under the usual keys, else the first text there is.
pub(crate) fn of_json(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text.as_str()).filter(|text| !text.trim().is_empty()),
        Value::Array(items) => items.iter().find_map(of_json),
        Value::Object(map) => {
            KEYS.iter().filter_map(|key| map.get(*key)).find_map(of_json).or_else(|| map.values().find_map(of_json))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Returns the title of an HTML page.
fn html_title(page: &str) -> Option<&str> {
    // ASCII lower case keeps byte positions.
    let lower = page.to_ascii_lowercase();
    let open = lower.find("<title")?;
    let start = open + lower[open..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    Some(&page[start..end])
}

/// Returns the text on one line, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    text.split(|character: char| character.is_whitespace() || character.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the text cut to at most [`MOST_WORDS`] bytes.
pub(crate) fn bounded(mut text: String) -> String {
    if text.len() > MOST_WORDS {
        text.truncate(text.floor_char_boundary(MOST_WORDS - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_an_error_body() {
        for (body, said) in [
            (r#"{"error": "Missing required inputs: Prompt"}"#, Some("Missing required inputs: Prompt")),
            (r#"{"status": 1, "error": {"code": 7, "message": "Invalid\nAPI key"}}"#, Some("Invalid API key")),
            (r#"{"errors": [{"detail": "too big"}]}"#, Some("too big")),
            (r#"{"what": ["", "odd"]}"#, Some("odd")),
            (r#""just text""#, Some("just text")),
            ("<!doctype html><TITLE lang=en>502\n Bad Gateway</TITLE><p>long", Some("502 Bad Gateway")),
            ("<html>no title", None),
            ("upstream \u{1b}[31mred\u{7}", Some("upstream [31mred")),
            ("", None),
            ("{}", None),
            ("[1, null]", None),
        ] {
            assert_eq!(of_body(body.as_bytes()).as_deref(), said, "{body}");
        }
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let cut = bounded("é".repeat(4000));
        assert!(cut.len() <= MOST_WORDS && cut.ends_with('…'), "{}", cut.len());
        assert_eq!(bounded("short".to_owned()), "short");
    }
}
