//! What came out of a step, in a few words: `3 images, 1 text`.
//!
//! Payloads are counted by the keys that LANGUAGE.md names (`outputImage`, `outputImages`, …, or a `{type, url}` object). This
//! counts only what a person is told; templates have their own, exact reading.

use serde_json::{Map, Value};

use super::text;

/// The kinds that are told, in this order, and what their keys hold.
const KINDS: [(&str, &str); 5] =
    [("image", "image"), ("video", "video"), ("audio", "audio file"), ("3d", "3d model"), ("text", "text")];

/// How many values of a kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally([usize; KINDS.len()]);

impl Tally {
    /// Counts the media of a step's outputs.
    pub(super) fn of(outputs: &Map<String, Value>) -> Self {
        let mut tally = Self::default();
        for payload in outputs.values() {
            tally.add(payload);
        }
        tally
    }

    fn add(&mut self, payload: &Value) {
        let Value::Object(payload) = payload else { return };
        if let (Some(kind), Some(_)) = (payload.get("type").and_then(Value::as_str), payload.get("url")) {
            if let Some(ix) = kind_of(kind) {
                self.0[ix] += 1;
            }
            return;
        }
        for (key, value) in payload {
            let key = key.to_ascii_lowercase();
            let Some(ix) = key.strip_prefix("output").and_then(kind_of) else { continue };
            self.0[ix] += match value {
                Value::Array(items) => items.iter().filter(|item| !item.is_null()).count(),
                Value::Null => 0,
                Value::String(text) if text.is_empty() => 0,
                _ => 1,
            };
        }
    }

    /// Returns it in words; nothing where there is nothing to tell.
    pub(super) fn words(&self) -> String {
        let told: Vec<String> =
            KINDS.iter().zip(self.0).filter(|(_, n)| *n > 0).map(|((_, noun), n)| text::count(n, noun)).collect();
        told.join(", ")
    }
}

fn kind_of(word: &str) -> Option<usize> {
    let word = word.to_ascii_lowercase();
    let word = word.strip_suffix('s').unwrap_or(&word);
    match word {
        "model3d" | "3dmodel" | "3d_model" => Some(3),
        word => KINDS.iter().position(|(key, _)| *key == word),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn media_are_counted_by_key() {
        let words = |value: Value| Tally::of(value.as_object().expect("a map")).words();
        assert_eq!(
            words(json!({"a": {"outputImages": ["u", "v"], "outputText": "t"}, "b": {"OutputImage": "w"}})),
            "3 images, 1 text"
        );
        assert_eq!(
            words(json!({"a": {"type": "video", "url": "u"}, "b": {"output3d": "m", "outputAudio": null}})),
            "1 video, 1 3d model"
        );
        assert_eq!(words(json!({"a": 1, "b": {"n": 2}})), "");
    }
}
