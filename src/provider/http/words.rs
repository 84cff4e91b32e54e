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

/// Where a list of what is wrong with single fields may be.
const LIST_KEYS: [&str; 6] = ["errors", "detail", "details", "error", "field_errors", "violations"];

/// Where an entry of such a list says which field it is about.
const FIELD_KEYS: [&str; 9] = ["loc", "field", "path", "param", "pointer", "property", "instancePath", "attr", "name"];

/// Where it says what is wrong.
const TEXT_KEYS: [&str; 6] = ["msg", "message", "detail", "error", "reason", "description"];

/// The most fields that are told: whoever has more wrong has one thing wrong.
const MOST_FIELDS: usize = 20;

/// Returns what an error body says for people, if anything.
pub(super) fn of_body(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    let said = match serde_json::from_str::<Value>(text) {
        Ok(value) => said(&value)?,
        Err(_) if text.starts_with('<') => html_title(text)?.to_owned(),
        Err(_) => text.to_owned(),
    };
    Some(one_line(&said)).filter(|said| !said.is_empty())
}

/// Returns what a JSON error says, fields and all: `input.text: field required; scope: too long`, after the headline if there is one.
pub(crate) fn said(value: &Value) -> Option<String> {
    let inner = value.get("error").filter(|inner| inner.is_object()).unwrap_or(value);
    let fields = fields(inner).or_else(|| fields(value));
    let Some(fields) = fields else { return of_json(value).map(str::to_owned) };
    let headline = ["message", "title", "error", "detail"].iter().find_map(|key| inner.get(*key)?.as_str());
    Some(match headline.filter(|headline| !headline.trim().is_empty()) {
        Some(headline) => format!("{}: {fields}", headline.trim_end().trim_end_matches([':', '.'])),
        None => fields,
    })
}

/// Returns the list of field errors in a JSON error, if it has one in any of the usual forms: entries with a place and a text,
/// or a map from the field to its texts.
fn fields(value: &Value) -> Option<String> {
    let listed = LIST_KEYS.iter().filter_map(|key| value.get(*key)).find_map(field_list);
    // A bare list, or a bare map of lists, is an error body too.
    let lines = listed.or_else(|| field_list(value))?;
    let more = lines.len().saturating_sub(MOST_FIELDS);
    let told = lines.into_iter().take(MOST_FIELDS).collect::<Vec<_>>().join("; ");
    Some(if more > 0 { format!("{told}; and {more} more") } else { told })
}

/// Returns one line a field; nothing where no entry names a field.
fn field_list(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Array(items) => {
            let entry = |item: &Value| {
                let text = TEXT_KEYS.iter().find_map(|key| item.get(*key).and_then(of_json));
                let place = FIELD_KEYS.iter().find_map(|key| item.get(*key).and_then(place));
                match (place, text) {
                    (Some(place), Some(text)) => Some((true, format!("{place}: {text}"))),
                    _ => of_json(item).map(|text| (false, text.to_owned())),
                }
            };
            let entries: Vec<_> = items.iter().filter_map(entry).collect();
            entries.iter().any(|(placed, _)| *placed).then(|| entries.into_iter().map(|(_, line)| line).collect())
        }
        Value::Object(map) if !map.is_empty() && map.values().all(is_texts) => {
            let line = |(field, texts): (&String, &Value)| {
                let texts = texts.as_array()?.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
                Some(format!("{field}: {texts}"))
            };
            Some(map.iter().filter_map(line).collect())
        }
        _ => None,
    }
}

/// Says whether a value is a list of texts, with one at least and none of them blank.
fn is_texts(value: &Value) -> bool {
    let is_text = |item: &Value| item.as_str().is_some_and(|text| !text.trim().is_empty());
    value.as_array().is_some_and(|items| !items.is_empty() && items.iter().all(is_text))
}

/// Returns a place as people write it: `["body", "input", "images", 0]` and `/input/images/0` are `input.images.0`.
fn place(value: &Value) -> Option<String> {
    let parts: Vec<String> = match value {
        Value::String(text) => match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect(),
            None => vec![text.clone()],
        },
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| match part {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
            .collect(),
        _ => return None,
    };
    let parts = match parts.as_slice() {
        // Whatever we send is in the body.
        [body, rest @ ..] if body == "body" && !rest.is_empty() => rest,
        all => all,
    };
    Some(parts.join(".")).filter(|place| !place.trim().is_empty())
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
    fn field_errors_are_told_as_a_list() {
        for (body, said) in [
            (
                r#"{"detail": [{"loc": ["body", "input", "text"], "msg": "field required", "type": "missing"},
                               {"loc": ["body", "params", "top_k", 0], "msg": "too\nbig"}]}"#,
                "input.text: field required; params.top_k.0: too big",
            ),
            (r#"{"detail": [{"loc": ["body"], "msg": "not an object"}]}"#, "body: not an object"),
            (
                r#"{"errors": [{"field": "scope", "message": "too long"}, {"message": "and more"}]}"#,
                "scope: too long; and more",
            ),
            (r#"{"errors": [{"path": "/input/a~1b", "error": {"message": "no"}}]}"#, "input.a/b: no"),
            (
                r#"{"message": "Validation failed.", "errors": {"scope": ["bad", "long"], "mode": ["odd"]}}"#,
                "Validation failed: scope: bad, long; mode: odd",
            ),
            (
                r#"{"error": {"message": "Invalid", "details": [{"param": "n", "reason": "small"}]}}"#,
                "Invalid: n: small",
            ),
            (r#"{"scope": ["This field is required."]}"#, "scope: This field is required."),
            (r#"[{"loc": ["query", "page"], "msg": "not a number"}]"#, "query.page: not a number"),
            // No field is named: the first text, as before.
            (r#"{"detail": [{"msg": "broken"}, {"msg": "too"}]}"#, "broken"),
            (r#"{"detail": "Invalid scope", "code": "invalid_scope"}"#, "Invalid scope"),
        ] {
            assert_eq!(of_body(body.as_bytes()).as_deref(), Some(said), "{body}");
        }
        let entries: Vec<_> = (0..25).map(|n| serde_json::json!({"field": format!("f{n}"), "message": "no"})).collect();
        let told = said(&serde_json::json!({"errors": entries})).expect("words");
        assert!(told.starts_with("f0: no; ") && told.ends_with("f19: no; and 5 more"), "{told}");
    }

    #[test]
    fn long_words_are_cut_between_characters() {
        let cut = bounded("é".repeat(4000));
        assert!(cut.len() <= MOST_WORDS && cut.ends_with('…'), "{}", cut.len());
        assert_eq!(bounded("short".to_owned()), "short");
    }
}
