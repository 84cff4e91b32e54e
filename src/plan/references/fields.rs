//! Fields of results: which a step surely does not have, by what it runs.

use serde_json::{Map, Value};

use super::{ERROR_FIELDS, FILE_FIELDS, JOB_FIELDS, Place, Seen, is_fan};
use crate::{
    contract::ValueKind,
    diagnostic::{Code, Diagnostic, nearest},
    plan::site::suggestion,
    result::{FIELDS, singular},
    spec::Verb,
    template::{Segment, mentions},
};

/// What `output` of a step with `http` holds.
const HTTP_OUTPUT: &[&str] = &["status", "headers", "body"];

/// Checks what follows the step's id.
pub(super) fn check_field(place: &Place<'_, '_>, id: &str, seen: &Seen<'_>) -> Result<(), Box<Diagnostic>> {
    let path = &place.reference.path;
    let Some(Segment::Key(name)) = path.get(1) else { return Ok(()) };
    let fan_only = |field: &str| matches!(field, "items" | "outputs");
    if fan_only(name) && !is_fan(seen.step) {
        let message = format!("`{name}` is a field of steps with `foreach`, and `{id}` has none");
        let help = format!("`steps.{id}.output` is its output, `steps.{id}.images` the list of its images");
        return place.part(1, Code::UnknownField, message, "not a field of this step", Some(help));
    }
    if !FIELDS.contains(&name.as_str()) {
        let known = FIELDS.iter().copied().filter(|field| is_fan(seen.step) || !fan_only(field));
        let help = match (nearest(name, known.clone()), &seen.step.verb) {
            (Some(near), _) => format!("did you mean `steps.{id}.{near}`?"),
            (None, Verb::Set(map)) if map.contains_key(name) => format!("did you mean `steps.{id}.output.{name}`?"),
            (None, _) => {
                let names: Vec<_> = known.map(|field| format!("`{field}`")).collect();
                format!("a result has {}", names.join(", "))
            }
        };
        let message = format!("the result of a step has no field `{name}`");
        return place.part(1, Code::UnknownField, message, "unknown field", Some(help));
    }
    match (name.as_str(), path.get(2), path.get(3)) {
        ("job", Some(Segment::Key(key)), _) => place.field("job", key, JOB_FIELDS, 2)?,
        ("error", Some(Segment::Key(key)), _) => place.field("error", key, ERROR_FIELDS, 2)?,
        ("files", Some(Segment::Index(_) | Segment::Computed), Some(Segment::Key(key))) => {
            place.field("file", key, FILE_FIELDS, 3)?;
        }
        ("output", Some(Segment::Key(key)), _) => check_set_key(place, Some(id), seen, key)?,
        _ => {}
    }
    singular(name).map_or(Ok(()), |wanted| check_medium(place, Some(id), seen, name, wanted))
}

/// Checks that a `set` step sets what is read of it, and that an HTTP answer can have it.
pub(super) fn check_set_key(
    place: &Place<'_, '_>,
    id: Option<&str>,
    seen: &Seen<'_>,
    key: &str,
) -> Result<(), Box<Diagnostic>> {
    // Of a step, `output` stands behind its id; of the result at hand, it is the name itself.
    let index = if id.is_some() { 2 } else { 0 };
    // Names of methods that maps have in templates.
    let is_method = matches!(key, "items" | "keys" | "values" | "get");
    match &seen.step.verb {
        _ if place.reference.excused && place.reference.path.len() == index + 1 || seen.may_give_other() => Ok(()),
        Verb::Set(map) if !map.contains_key(key) && !is_method => {
            let help = suggestion(place.site, key, map.keys().map(String::as_str), "it sets");
            let message =
                id.map_or_else(|| format!("the step sets no `{key}`"), |id| format!("step `{id}` sets no `{key}`"));
            place.part(index, Code::UnknownField, message, "not set there", help)
        }
        Verb::Http(_) if !HTTP_OUTPUT.contains(&key) && !is_method => {
            let help = suggestion(place.site, key, HTTP_OUTPUT.iter().copied(), "it has");
            let whose = id.map_or_else(String::new, |id| format!(" `{id}`"));
            let message = format!("the answer of the request{whose} has no `{key}`");
            place.part(index, Code::UnknownField, message, "not part of an answer", help)
        }
        _ => Ok(()),
    }
}

/// Says when a medium surely cannot be there.
pub(super) fn check_medium(
    place: &Place<'_, '_>,
    id: Option<&str>,
    seen: &Seen<'_>,
    name: &str,
    wanted: ValueKind,
) -> Result<(), Box<Diagnostic>> {
    let of = |field: &str| id.map_or_else(|| field.to_owned(), |id| format!("steps.{id}.{field}"));
    let (message, help) = match (&seen.step.verb, seen.output) {
        (Verb::Set(map), _)
            if !seen.may_give_other()
                && !may_be_typed(map)
                && !map.iter().any(|(key, value)| may_hold_medium(key, value)) =>
        {
            (
                format!(
                    "{} only sets values, so its result has no {}",
                    id.map_or_else(|| "the step".to_owned(), |id| format!("step `{id}`")),
                    wanted.word()
                ),
                format!("`{}` has what it sets", of("output")),
            )
        }
        (Verb::Run { name: target, .. }, Some(given))
            if given != wanted && (given.is_media() || given == ValueKind::Text) =>
        {
            let media = match given {
                ValueKind::Image => "images",
                ValueKind::Video => "videos",
                ValueKind::Model3d => "3d models",
                other => other.word(),
            };
            (
                format!(
                    "`{target}` gives {media}, so {} has no `{name}`",
                    id.map_or_else(|| "the result".to_owned(), |id| format!("`steps.{id}`"))
                ),
                format!("did you mean `{}`?", of(given.word())),
            )
        }
        _ => return Ok(()),
    };
    if id.is_some() {
        place.part(1, Code::WrongMedia, message, "never there", Some(help))
    } else {
        place.whole(Code::WrongMedia, message, "never there", Some(help))
    }
}

/// Says whether a map may be a medium itself: `{type: image, url: …}`, or `{type: text, text: …}`.
fn may_be_typed(map: &Map<String, Value>) -> bool {
    map.contains_key("type") && (map.contains_key("url") || map.contains_key("text"))
}

/// Says whether a key with this value may be recognised as a medium.
fn may_hold_medium(key: &str, value: &Value) -> bool {
    key.to_lowercase().starts_with("output")
        || match value {
            Value::String(text) => mentions(text),
            Value::Array(items) => items.iter().any(|item| may_hold_medium("", item)),
            Value::Object(map) => map.contains_key("url") || map.iter().any(|(key, value)| may_hold_medium(key, value)),
            _ => false,
        }
}
