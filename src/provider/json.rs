//! Reading JSON of which little is promised: fields under one of several names, figures in quotes, lists in any envelope. Pure
//! functions, shared by the adapters.
//!
//! Nothing here fails: what is missing or odd is `None`, and the caller decides whether that is enough.

use jiff::Timestamp;
use serde_json::Value;

use super::http::{Reply, bounded, one_line};
use crate::job::{Fault, FaultKind};

/// The longest id that is taken for one; real ones have a tenth of it.
const LONGEST_ID: usize = 256;

/// Where an envelope may keep what it says of further pages, beside its top level.
const PAGING: [&str; 5] = ["pagination", "paging", "meta", "links", "page_info"];

/// Words for the next page.
const NEXT: [&str; 5] = ["next", "next_cursor", "nextCursor", "next_page_token", "nextPageToken"];

/// Returns the first of these keys' values that is there and not null.
pub(crate) fn present<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().filter_map(|key| value.get(key)).find(|value| !value.is_null())
}

/// Reads a number, also one in quotes.
pub(crate) fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

/// Reads a count, also one in quotes or with a fraction that says nothing, such as `48.0`; a fraction is rounded.
pub(crate) fn count(value: &Value) -> Option<u64> {
    let whole = || value.as_str()?.trim().parse().ok();
    // Beyond 2^53 a float has no unit digit any more, and no API counts so far.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked just before")]
    let rounded = || number(value).filter(|number| (0.0..9e15).contains(number)).map(|number| number.round() as u64);
    value.as_u64().or_else(whole).or_else(rounded)
}

/// Returns the text under the first of these keys that is there; a blank one is none.
pub(crate) fn text(value: &Value, keys: &[&str]) -> Option<String> {
    present(value, keys)?.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// Reads an id: a text, or a number as text.
pub(crate) fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Says whether an id can stand in a path and mean one thing: nothing that a server, or something before it, may take for two
/// segments or for a step up.
pub(crate) fn is_segment(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= LONGEST_ID
        && !id.contains("..")
        && id != "."
        && !id.contains(|character: char| matches!(character, '/' | '\\') || character.is_control())
}

/// Reads the time under the first of these keys that is there; one that cannot be read becomes a warning.
pub(crate) fn time(value: &Value, keys: &[&str], warnings: &mut Vec<String>) -> Option<Timestamp> {
    let (key, found) = keys.iter().find_map(|key| Some((key, value.get(*key).filter(|found| !found.is_null())?)))?;
    let time = found.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    if time.is_none() {
        warnings.push(format!("`{key}` is no time that can be read: `{}`", bounded(one_line(&found.to_string()))));
    }
    time
}

/// One page of a list.
#[derive(Debug, PartialEq)]
pub(crate) struct Page<'a> {
    /// What is on it.
    pub(crate) items: &'a [Value],
    /// How to ask for the next page; none where there is none, or where the answer does not say how.
    pub(crate) next: Option<Next>,
    /// Whether there is more; none where the answer says nothing of it.
    pub(crate) more: Option<bool>,
}

/// How to ask for the next page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// At this path or URL.
    Link(String),
    /// With this parameter of the query.
    Parameter(&'static str, String),
}

/// Reads a page: a bare array, or one under one of these names, itself or within an object under one of them (`data.items`).
pub(crate) fn page<'a>(value: &'a Value, names: &[&str]) -> Option<Page<'a>> {
    if let Some(items) = value.as_array() {
        return Some(Page { items, next: None, more: None });
    }
    let array = |value: &'a Value| names.iter().find_map(|name| value.get(*name)?.as_array());
    let inner = names.iter().filter_map(|name| value.get(*name)).find(|inner| array(inner).is_some());
    let items = array(value).or_else(|| array(inner?))?;
    let mut holders = Vec::new();
    for holder in [Some(value), inner].into_iter().flatten() {
        holders.push(holder);
        holders.extend(PAGING.iter().filter_map(|name| holder.get(*name)));
    }
    let has_more = holders.iter().find_map(|holder| present(holder, &["has_more", "hasMore"])?.as_bool());
    let next =
        holders.iter().find_map(|holder| next(holder, has_more == Some(true))).filter(|_| has_more != Some(false));
    // A word for the next page with nothing behind it says that this is the last one.
    let last = || holders.iter().any(|holder| NEXT.iter().any(|key| holder.get(*key).is_some())).then_some(false);
    Some(Page { items, more: if next.is_some() { Some(true) } else { has_more.or_else(last) }, next })
}

/// Reads how to ask for the next page; a plain `cursor` may be this page's own, unless the answer says that there is more.
fn next(holder: &Value, more: bool) -> Option<Next> {
    let token = |keys: &[&str]| present(holder, keys).and_then(id);
    let cursor = || {
        let keys: &[&str] =
            if more { &["next_cursor", "nextCursor", "cursor"] } else { &["next_cursor", "nextCursor"] };
        token(keys).map(|token| Next::Parameter("cursor", token))
    };
    let page = || token(&["next_page_token", "nextPageToken"]).map(|token| Next::Parameter("page_token", token));
    let plain = present(holder, &["next"]).and_then(|next| match next {
        Value::String(link) if link.starts_with('/') || link.contains("://") => Some(Next::Link(link.clone())),
        Value::Number(number) => Some(Next::Parameter("page", number.to_string())),
        other => id(other).map(|token| Next::Parameter("cursor", token)),
    });
    plain.or_else(cursor).or_else(page)
}

/// Returns the fault of an answer whose status is good and whose body is not.
pub(crate) fn malformed(request: &str, reply: &Reply, what: &str) -> Fault {
    let message = format!("`{request}` answered {} with {what}", reply.status);
    Fault { status: Some(reply.status), ..Fault::new(FaultKind::Malformed, message) }
}

/// Returns the fault of a request that is not sent.
pub(crate) fn rejected<T>(message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault::new(FaultKind::Rejected, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_may_be_in_quotes() {
        for (given, number_read, count_read) in [
            (json!(200), Some(200.0), Some(200)),
            (json!("12.5"), Some(12.5), Some(13)),
            (json!(48.0), Some(48.0), Some(48)),
            (json!(" 7 "), Some(7.0), Some(7)),
            (json!(-3), Some(-3.0), None),
            (json!("inf"), None, None),
            (json!(1e300), Some(1e300), None),
            (json!(u64::MAX), Some(18_446_744_073_709_551_615.0), Some(u64::MAX)),
            (json!(null), None, None),
            (json!("lots"), None, None),
        ] {
            assert_eq!((number(&given), count(&given)), (number_read, count_read), "{given}");
        }
    }

    #[test]
    fn an_id_is_one_segment() {
        for good in ["job_123", "0fefb57b-a89a-46f3-b7f6-da24841722f4", "a b%?#", "é", "a.b"] {
            assert!(is_segment(good), "{good}");
        }
        for bad in ["", ".", "..", "a/../b", "a/b", "a\\b", "a\nb", &"x".repeat(300)] {
            assert!(!is_segment(bad), "{bad}");
        }
        assert_eq!(id(&json!(17)).as_deref(), Some("17"));
        for none in [json!(""), json!(null), json!({"id": "a"}), json!(true)] {
            assert_eq!(id(&none), None, "{none}");
        }
    }

    #[test]
    fn times_are_rfc_3339_and_bad_ones_are_warnings() {
        let mut warnings = Vec::new();
        let body = json!({"a": null, "b": "2026-03-26T14:30:00+02:00", "c": 1_774_528_200});
        assert_eq!(time(&body, &["a", "b"], &mut warnings), "2026-03-26T12:30:00Z".parse().ok());
        assert_eq!((time(&body, &["a", "none"], &mut warnings), warnings.len()), (None, 0));
        assert_eq!((time(&body, &["c"], &mut warnings), warnings.len()), (None, 1));
        assert!(warnings[0].starts_with("`c` is no time"), "{warnings:?}");
    }

    #[test]
    fn lists_in_any_envelope() {
        let names = ["data", "items", "agents"];
        let cursor = |token: &str| Some(Next::Parameter("cursor", token.to_owned()));
        let link = |link: &str| Some(Next::Link(link.to_owned()));
        for (body, next, more) in [
            (json!([1, 2]), None, None),
            (json!({"data": [1, 2]}), None, None),
            (json!({"items": [1, 2], "next": null}), None, Some(false)),
            (json!({"data": null, "agents": [1, 2], "next_cursor": ""}), None, Some(false)),
            (json!({"agents": [1, 2], "next": "c2"}), cursor("c2"), Some(true)),
            (json!({"agents": [1, 2], "next": 2}), Some(Next::Parameter("page", "2".to_owned())), Some(true)),
            (json!({"data": [1, 2], "next": "https://a/b?c=d"}), link("https://a/b?c=d"), Some(true)),
            (json!({"data": [1, 2], "links": {"next": "/v2/agents?c=d"}}), link("/v2/agents?c=d"), Some(true)),
            (json!({"data": [1, 2], "next_cursor": "c2", "has_more": true}), cursor("c2"), Some(true)),
            (json!({"data": [1, 2], "next_cursor": "c2", "has_more": false}), None, Some(false)),
            (json!({"data": [1, 2], "cursor": "c2", "has_more": true}), cursor("c2"), Some(true)),
            (json!({"data": [1, 2], "cursor": "c1"}), None, None),
            (json!({"data": [1, 2], "has_more": true}), None, Some(true)),
            (
                json!({"data": {"items": [1, 2], "next_page_token": "p2"}}),
                Some(Next::Parameter("page_token", "p2".to_owned())),
                Some(true),
            ),
            (json!({"data": [1, 2], "pagination": {"next_cursor": "c2"}}), cursor("c2"), Some(true)),
        ] {
            let page = page(&body, &names).unwrap_or_else(|| panic!("{body}"));
            assert_eq!((page.items.len(), page.next, page.more), (2, next, more), "{body}");
        }
        for none in [json!({}), json!({"data": null}), json!({"runs": []}), json!("x"), json!({"data": {"data": {}}})] {
            assert_eq!(page(&none, &names), None, "{none}");
        }
    }
}
