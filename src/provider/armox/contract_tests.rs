//! The rows of "What the documents leave open" that are about contracts: one case each, named after its row.

use serde_json::json;

use super::*;

fn model(value: &Value) -> Contract {
    of_model(value).expect("a model")
}

fn names(contract: &Contract) -> Vec<&str> {
    contract.ports.iter().map(|port| port.id.as_str()).collect()
}

fn setting(value: &Value) -> Port {
    model(&json!({"id": "m", "inputTypes": [], "settings": [value]})).ports.remove(1)
}

#[test]
fn the_documents_own_bodies() {
    let models: Value = serde_json::from_str(include_str!("../../../tests/fixtures/armox/models.json")).expect("JSON");
    let banana = model(&models["data"][0]);
    assert_eq!((banana.name.as_str(), banana.cost, banana.output), ("Nano Banana", Some(70.0), Some(ValueKind::Image)));
    assert!(banana.open, "the list of settings need not be whole");
    assert_eq!(names(&banana), ["prompt", "image_input", "aspect_ratio"]);
    assert!(banana.ports[0].required && banana.ports[0].kind == ValueKind::Text);
    assert!(banana.ports[1].many && !banana.ports[1].required && banana.ports[1].kind == ValueKind::Image);
    assert_eq!(banana.ports[2].default, Some(json!("1:1")));
    // Row: `aspect_ratio` has default `1:1` and the example sends `match_input_image`, so a default never limits.
    assert!(banana.ports[2].options.is_empty() && banana.ports[2].kind == ValueKind::Any);

    let apps: Value = serde_json::from_str(include_str!("../../../tests/fixtures/armox/apps.json")).expect("JSON");
    let sketch = of_app(&apps["data"][0]).expect("an app");
    assert_eq!((sketch.name.as_str(), sketch.cost, sketch.open), ("Sketch to Render", None, false));
    let [images, aspect] = sketch.ports.as_slice() else { panic!("two inputs: {:?}", sketch.ports) };
    assert_eq!((images.kind, images.many, images.required), (ValueKind::Image, true, true));
    assert_eq!((images.label.as_deref(), images.handle.as_deref()), (Some("Input Images"), Some("image_input")));
    assert_eq!((aspect.kind, aspect.many), (ValueKind::Text, false));
}

/// Row: settings: where the allowed values are.
#[test]
fn options_are_read_wherever_they_are() {
    let expected = vec![json!("a"), json!("b")];
    for (row, value) in [
        ("options", json!({"options": ["a", "b"]})),
        ("values", json!({"values": ["a", "b"]})),
        ("choices", json!({"options": null, "choices": [{"value": "a", "label": "A"}, {"value": "b"}]})),
        ("enum", json!({"options": [], "enum": ["a", {"value": "b", "label": "B"}]})),
    ] {
        let mut value = value;
        value["key"] = json!("k");
        value["inputType"] = json!("select");
        let port = setting(&value);
        assert_eq!((port.options, port.kind), (expected.clone(), ValueKind::Text), "{row}");
    }
    for (row, value) in [
        ("no list", json!({"key": "k", "inputType": "select", "defaultValue": "a"})),
        ("a list that cannot be read", json!({"key": "k", "inputType": "select", "options": ["a", {"text": "b"}]})),
        ("no list, but a map", json!({"key": "k", "inputType": "select", "options": {"a": "A"}})),
        ("an unknown kind", json!({"key": "k", "inputType": "multiselect", "options": ["a", "b"]})),
    ] {
        let port = setting(&value);
        assert_eq!((port.options, port.kind), (Vec::new(), ValueKind::Any), "{row}: no check");
    }
}

/// Rows: ranges and kinds beyond `select`; types of number and toggle settings.
#[test]
fn kinds_and_ranges_of_settings() {
    for (word, kind) in [
        ("number", ValueKind::Number),
        ("Slider", ValueKind::Number),
        ("integer", ValueKind::Integer),
        ("toggle", ValueKind::Boolean),
        ("switch", ValueKind::Boolean),
        ("checkbox", ValueKind::Boolean),
        ("boolean", ValueKind::Boolean),
        ("text", ValueKind::Text),
        ("textarea", ValueKind::Text),
        ("colour-wheel", ValueKind::Any),
    ] {
        assert_eq!(setting(&json!({"key": "k", "inputType": word})).kind, kind, "{word}");
    }
    assert_eq!(setting(&json!({"key": "k"})).kind, ValueKind::Any);
    let port = setting(&json!({"key": "k", "inputType": "slider", "min": 1, "maximum": "4", "defaultValue": 9}));
    assert_eq!((port.minimum, port.maximum, port.default), (Some(1.0), Some(4.0), Some(json!(9))));
    let port = setting(&json!({"key": "k", "inputType": "select", "options": [5, 10]}));
    assert_eq!((port.kind, port.options), (ValueKind::Integer, vec![json!(5), json!(10)]));
}

/// Rows: whether `settings` and the media keys are the whole set; name and form of media inputs per `inputTypes` entry.
#[test]
fn media_inputs_of_models() {
    let of = |types: Value| model(&json!({"id": "m", "inputTypes": types}));
    assert_eq!(names(&of(json!(["text"]))), ["prompt"]);
    assert_eq!(
        names(&of(json!(["image", "Video", "audio", "3d"]))),
        ["prompt", "image_input", "video_input", "audio_input", "3d_input"]
    );
    assert_eq!(names(&of(json!(["image", "image"]))), ["prompt", "image_input"]);
    assert_eq!(names(&of(json!(null))), ["prompt", "image_input", "video_input", "audio_input"]);
    let odd = of(json!(["mask", 7]));
    assert_eq!((names(&odd), odd.ports[1].kind), (vec!["prompt", "mask_input"], ValueKind::Any));
    assert!(!of(json!([])).ports[0].required, "without `promptRequired` nothing is required");
}

/// Row: `type` of app inputs beyond `image` and `text`; `type` absent.
#[test]
fn kinds_of_app_inputs() {
    for (given, kind) in [
        (json!("image"), ValueKind::Image),
        (json!("video"), ValueKind::Video),
        (json!("audio"), ValueKind::Audio),
        (json!("text"), ValueKind::Text),
        (json!("number"), ValueKind::Number),
        (json!("integer"), ValueKind::Integer),
        (json!("boolean"), ValueKind::Boolean),
        (json!("mystery"), ValueKind::Scalar),
        (json!(null), ValueKind::Scalar),
        (json!(3), ValueKind::Scalar),
    ] {
        let app = of_app(&json!({"id": "a", "inputs": [{"id": "i", "type": given, "label": "L", "required": true}]}))
            .expect("an app");
        assert_eq!(app.ports[0].kind, kind, "{given}");
    }
}

/// Row: `icon`, `thumbnail_url`, `tags`, `description` null or absent; new fields.
#[test]
fn hardly_anything_need_be_there() {
    let app = of_app(&json!({"id": "a", "description": null, "icon": null, "tags": null, "shiny": {"new": 1}}))
        .expect("an app");
    assert_eq!((app.name.as_str(), app.description, app.ports.len()), ("a", None, 0));
    let model = model(&json!({"id": "m", "settings": null, "cost": "12", "outputType": "smell", "modality": "video"}));
    assert_eq!((model.cost, model.output), (Some(12.0), None));
    for odd in [json!({}), json!({"id": ""}), json!(null), json!("a")] {
        assert!(of_model(&odd).is_none() && of_app(&odd).is_none(), "{odd}");
    }
}

/// Row: labels: unique? Two inputs with one `targetHandle`? Both stay; one id stays once.
#[test]
fn equal_labels_stay_and_equal_ids_do_not() {
    let input = |id: &str| json!({"id": id, "label": "L", "targetHandle": "h"});
    let app = of_app(&json!({"id": "a", "inputs": [input("1"), input("2"), input("1")]})).expect("an app");
    assert_eq!(names(&app), ["1", "2"]);
}
