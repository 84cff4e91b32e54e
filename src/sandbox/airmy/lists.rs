//! AIRMY's lists: their envelope and their pages, which the documents leave open.

use serde_json::{Map, Value, json};

use super::{
    super::{
        emulator::Call,
        faults::{Effects, Variant},
    },
    Refusal,
};

/// The entries of a page without a limit of its own, the highest limit, and the entries of a page where a variant asks for pages.
const LIMIT: usize = 100;
const HIGHEST_LIMIT: usize = 1000;
const SMALL_PAGE: usize = 2;

/// Returns the value of a key of the query; the values that are asked for need no unescaping.
pub(super) fn asked<'a>(call: &'a Call, key: &str) -> Option<&'a str> {
    let pairs = call.query.as_deref().unwrap_or_default().split('&');
    pairs.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// Returns the page that a call asks for of a list with this name.
///
/// # Errors
/// Where the call asks for a page that there cannot be.
pub(super) fn page(
    call: &Call,
    name: &str,
    items: Vec<Value>,
    origin: &str,
    effects: &Effects,
) -> Result<Value, Refusal> {
    let limit = match asked(call, "limit") {
        None => LIMIT,
        Some(text) => {
            let limit = text.parse().ok().filter(|limit| (1..=HIGHEST_LIMIT).contains(limit));
            limit.ok_or_else(|| Refusal::new(400, format!("limit must be between 1 and {HIGHEST_LIMIT}")))?
        }
    };
    let cursor = asked(call, "cursor").or_else(|| asked(call, "page_token"));
    let start = match cursor.map(|cursor| cursor.strip_prefix("cur_").and_then(|place| place.parse::<usize>().ok())) {
        None => 0,
        Some(Some(place)) => place,
        Some(None) => return Err(Refusal::new(400, "cursor is none of ours")),
    };
    let paged = [
        Variant::PagedNext,
        Variant::PagedNextPath,
        Variant::PagedNextCursor,
        Variant::PagedNextPageToken,
        Variant::EndlessPages,
    ];
    let is_paged = paged.into_iter().any(|variant| effects.has(variant));
    let size = if is_paged { limit.min(SMALL_PAGE) } else { limit };
    let forever = effects.has(Variant::EndlessPages);
    let start = if forever { 0 } else { start };
    let has_more = forever || items.len() > start.saturating_add(size);
    if effects.has(Variant::ListArray) {
        return Ok(Value::Array(items));
    }
    let items: Vec<_> = items.into_iter().skip(start).take(size).collect();
    let key = if effects.has(Variant::ListItems) {
        "items"
    } else if effects.has(Variant::ListByName) {
        name
    } else {
        "data"
    };
    let mut answer = Map::new();
    answer.insert(key.to_owned(), Value::Array(items));
    answer.insert("has_more".to_owned(), json!(has_more));
    let cursor = if forever { "cur_0".to_owned() } else { format!("cur_{}", start + size) };
    let next = if effects.has(Variant::PagedNext) {
        Some(("next", format!("{origin}{}?cursor={cursor}", call.path)))
    } else if effects.has(Variant::PagedNextPath) {
        Some(("next", format!("{}?cursor={cursor}", call.path)))
    } else if effects.has(Variant::PagedNextPageToken) {
        Some(("next_page_token", cursor))
    } else if is_paged {
        Some(("next_cursor", cursor))
    } else {
        None
    };
    if let Some((key, next)) = next {
        answer.insert(key.to_owned(), if has_more { json!(next) } else { Value::Null });
    }
    Ok(Value::Object(answer))
}
