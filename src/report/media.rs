//! What came out of a step, in a few words: `3 images, 1 text`.

use serde_json::{Map, Value};

use super::text;
use crate::{contract::ValueKind, job::TargetKind, result};

/// The kinds that are told, in this order.
const KINDS: [(ValueKind, &str); 5] = [
    (ValueKind::Image, "image"),
    (ValueKind::Video, "video"),
    (ValueKind::Audio, "audio file"),
    (ValueKind::Model3d, "3d model"),
    (ValueKind::Text, "text"),
];

/// Returns the media of a step's outputs in words; nothing where there is nothing to tell.
pub(super) fn words(kind: Option<TargetKind>, outputs: &Map<String, Value>) -> String {
    words_of([(kind, outputs)].into_iter())
}

/// Returns the media of several results together in words.
pub(super) fn words_of<'a>(results: impl Iterator<Item = (Option<TargetKind>, &'a Map<String, Value>)>) -> String {
    let media: Vec<_> = results.flat_map(|(kind, outputs)| result::media_of(kind, outputs)).collect();
    let told: Vec<String> = KINDS
        .iter()
        .map(|(kind, noun)| (media.iter().filter(|medium| medium.kind == *kind).count(), noun))
        .filter(|(count, _)| *count > 0)
        .map(|(count, noun)| text::count(count, noun))
        .collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_are_counted_by_kind() {
        let words_of = |kind, value: Value| words(kind, value.as_object().expect("a map"));
        let words = |value| words_of(None, value);
        assert_eq!(
            words(json!({"a": {"outputImages": ["u", "v"], "outputText": "t"}, "b": {"OutputImage": "w"}})),
            "3 images, 1 text"
        );
        assert_eq!(words(json!({"a": 1, "b": {"n": 2}})), "");
        assert_eq!(words(json!({"a": {"result": "r"}})), "");
        assert_eq!(words_of(Some(TargetKind::Agent), json!({"a": {"result": "r"}})), "1 text");
    }
}
