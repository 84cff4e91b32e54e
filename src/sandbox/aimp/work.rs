//! What models do: an output from an input, the same for the same, with nothing hosted behind it.
//!
//! Searching has a memory: what was indexed under a scope is found under that scope and under no other.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    models::{Model, Work},
    request::Asked,
};
use crate::id::Digest;

/// The most texts that one scope of a model holds; the oldest go first.
const MOST_TEXTS: usize = 10_000;

/// What a search gives where it does not say how much.
const TOP_K: u64 = 3;

/// What was indexed: by model and scope.
#[derive(Debug, Default)]
pub(in super::super) struct Indexes(BTreeMap<(String, String), Vec<Text>>);

#[derive(Debug)]
struct Text {
    id: String,
    text: String,
}

/// A medium of the input: its size, its type, the digest of its bytes.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) size: usize,
    pub(super) content_type: String,
    pub(super) digest: Digest,
}

/// Does the work of a run. Nothing comes of work that gives a file: the file is made when somebody asks for it.
pub(super) fn perform(model: &Model, asked: &Asked<'_>, media: &[Seen], indexes: &mut Indexes) -> Value {
    let said = |key: &str| asked.input.get(key).and_then(Value::as_str).unwrap_or_default();
    match model.work {
        Work::Echo => json!({"text": format!("Echo: {}", said("text"))}),
        Work::Caption => caption(asked, media),
        Work::Search => {
            let place = (model.slug.clone(), asked.scope.unwrap_or_default().to_owned());
            let texts = indexes.0.entry(place).or_default();
            if asked.mode == "index" { index(texts, asked) } else { search(texts, asked) }
        }
        Work::Poem => json!(format!("{theme},\nonly {theme},\nand nothing in braces.\n", theme = said("theme"))),
        Work::Open => json!({"received": asked.input}),
        Work::File | Work::Bytes => Value::Null,
    }
}

fn caption(asked: &Asked<'_>, media: &[Seen]) -> Value {
    let params = asked.params.and_then(|params| params.get("style")).and_then(Value::as_str);
    let one = |seen: &Seen| describe(seen, params == Some("poetic"));
    if asked.input.contains_key("images") {
        json!({"captions": media.iter().map(one).collect::<Vec<_>>()})
    } else {
        json!({"caption": media.first().map(one)})
    }
}

/// Says what is in a picture, as far as its bytes tell: what is told follows their digest.
fn describe(seen: &Seen, poetic: bool) -> String {
    const LIGHTS: [&str; 8] = ["misty", "golden", "moonlit", "rainy", "bright", "snowy", "dim", "clear"];
    const PLACES: [&str; 8] = [
        "harbour",
        "market square",
        "mountain road",
        "greenhouse",
        "railway station",
        "rooftop",
        "river bank",
        "library",
    ];
    const SIGHTS: [&str; 8] = [
        "a red bicycle",
        "two herons",
        "a row of lanterns",
        "an old clock",
        "a sleeping dog",
        "paper boats",
        "a blue door",
        "ripe pears",
    ];
    let digest = seen.digest.to_string();
    let pick = |words: [&'static str; 8], at: usize| words[usize::from(digest.as_bytes()[at]) % 8];
    let (light, place, sight) = (pick(LIGHTS, 0), pick(PLACES, 1), pick(SIGHTS, 2));
    let about = format!("{}, {} bytes, {}", seen.content_type, seen.size, &digest[..8]);
    if poetic {
        format!("O {light} {place}, O {sight}! ({about})")
    } else {
        format!("A {light} {place} with {sight} ({about})")
    }
}

fn index(texts: &mut Vec<Text>, asked: &Asked<'_>) -> Value {
    let text = asked.input.get("text").and_then(Value::as_str).unwrap_or_default().to_owned();
    let given = asked.input.get("id").and_then(Value::as_str);
    let id = given.map_or_else(|| format!("doc_{}", &Digest::of(text.as_bytes()).to_string()[..12]), str::to_owned);
    texts.retain(|known| known.id != id);
    if texts.len() >= MOST_TEXTS {
        texts.remove(0);
    }
    texts.push(Text { id: id.clone(), text });
    json!({"indexed": 1, "id": id, "scope": asked.scope})
}

/// Ranks by the share of the words that a text has in common with what is looked for.
fn search(texts: &[Text], asked: &Asked<'_>) -> Value {
    let wanted = words(asked.input.get("text").and_then(Value::as_str).unwrap_or_default());
    let most = asked.params.and_then(|params| params.get("top_k")).and_then(Value::as_u64).unwrap_or(TOP_K);
    let shared = |text: &Text| {
        let has = words(&text.text);
        wanted.iter().filter(|word| has.contains(word)).count()
    };
    let mut found: Vec<_> = texts.iter().map(|text| (shared(text), text)).filter(|(shared, _)| *shared > 0).collect();
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.id.cmp(&y.id)));
    let percent = |shared: usize| u32::try_from(shared * 100 / wanted.len().max(1)).unwrap_or(100);
    let matches = found
        .iter()
        .take(usize::try_from(most).unwrap_or(usize::MAX))
        .map(|(shared, text)| json!({"id": text.id, "score": f64::from(percent(*shared)) / 100.0, "text": text.text}));
    json!({"matches": matches.collect::<Vec<_>>()})
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::{super::models::Models, *};

    fn run(indexes: &mut Indexes, mode: &str, scope: &str, input: &Value, params: &Value) -> Value {
        let models = Models::new(&[]);
        let asked = Asked {
            model: "demo-search",
            mode,
            scope: Some(scope),
            input: input.as_object().expect("an object"),
            params: params.as_object(),
            options: None,
        };
        perform(models.find("demo-search").expect("the model"), &asked, &[], indexes)
    }

    #[test]
    fn a_search_finds_what_was_indexed_under_its_scope() {
        let mut indexes = Indexes::default();
        let none = json!({});
        for (id, text) in [("a", "Red shoes of leather"), ("b", "Blue shoes"), ("c", "A hat")] {
            let told = run(&mut indexes, "index", "test", &json!({"id": id, "text": text}), &none);
            assert_eq!(told, json!({"indexed": 1, "id": id, "scope": "test"}));
        }
        let query = json!({"text": "red shoes"});
        let found = run(&mut indexes, "search", "test", &query, &none);
        assert_eq!(
            found,
            json!({"matches": [
                {"id": "a", "score": 1.0, "text": "Red shoes of leather"},
                {"id": "b", "score": 0.5, "text": "Blue shoes"},
            ]})
        );
        assert_eq!(
            run(&mut indexes, "search", "test", &query, &json!({"top_k": 1}))["matches"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(run(&mut indexes, "search", "other", &query, &none), json!({"matches": []}));
        run(&mut indexes, "index", "test", &json!({"id": "a", "text": "Green"}), &none);
        assert_eq!(
            run(&mut indexes, "search", "test", &json!({"text": "red"}), &none),
            json!({"matches": []}),
            "it was indexed anew"
        );
    }

    #[test]
    fn captions_follow_the_bytes() {
        let models = Models::new(&[]);
        let captioner = models.find("image-captioner").expect("the model");
        let caption = |bytes: &[u8]| {
            let input = Map::from_iter([("image".to_owned(), json!("media_1"))]);
            let asked = Asked {
                model: "image-captioner",
                mode: "execute",
                scope: None,
                input: &input,
                params: None,
                options: None,
            };
            let seen = Seen { size: bytes.len(), content_type: "image/png".to_owned(), digest: Digest::of(bytes) };
            perform(captioner, &asked, &[seen], &mut Indexes::default())["caption"].as_str().expect("a text").to_owned()
        };
        assert!(caption(b"one").contains("image/png, 3 bytes"), "{}", caption(b"one"));
        assert_eq!(caption(b"one"), caption(b"one"));
        assert_ne!(caption(b"one"), caption(b"two"));
    }
}
