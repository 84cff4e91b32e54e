use serde_json::{Value, json};

use super::{Change, What, drift, gone, new};
use crate::{
    contract::{Contract, Mode, Port, ValueKind},
    job::{Target, TargetKind},
};

fn target(kind: TargetKind) -> Target {
    Target { kind, id: "t".to_owned() }
}

fn app(ports: Vec<Port>) -> Contract {
    Contract { open: false, unchecked: false, ports, ..Contract::unchecked(target(TargetKind::App), "Sketch") }
}

fn port(id: &str, label: &str, kind: ValueKind) -> Port {
    Port { label: Some(label.to_owned()), ..Port::new(id, kind) }
}

fn of(schema: Value) -> Contract {
    let (contract, why) = Contract::of_schema(target(TargetKind::Agent), "writer", schema);
    assert_eq!(why, None);
    contract
}

/// Each change as people read it, with a `!` before what can break a step.
fn told(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| format!("{}{}", if change.can_break { "! " } else { "" }, change.message)).collect()
}

fn between(old: &Contract, new: &Contract) -> Vec<String> {
    told(&drift(old, new))
}

#[test]
fn equal_contracts_have_no_drift() {
    let contract = app(vec![port("n1", "Prompt", ValueKind::Text)]);
    assert_eq!(drift(&contract, &contract), []);
    let reordered = |schema: Value| of(schema);
    let old =
        reordered(json!({"properties": {"a": {"type": "string", "title": "A", "maxLength": 3}}, "required": ["a"]}));
    let new =
        reordered(json!({"required": ["a"], "properties": {"a": {"maxLength": 3, "type": "string", "title": "A"}}}));
    assert_eq!(drift(&old, &new), [], "the order of keys says nothing");
}

#[test]
fn what_only_people_read_breaks_nothing() {
    let old = Contract { cost: Some(70.0), description: None, ..app(Vec::new()) };
    let new = Contract {
        cost: None,
        description: Some("Better.".to_owned()),
        output: Some(ValueKind::Image),
        ..app(Vec::new())
    };
    assert_eq!(
        between(&old, &new),
        [
            "its description changed",
            "a run costs an unknown number of credits now, and was 70",
            "what comes out is image now, and was something that is not published",
        ]
    );
}

#[test]
fn a_name_breaks_where_targets_are_found_by_name() {
    let renamed = |kind| {
        let old = Contract::unchecked(target(kind), "Sketch");
        let new = Contract { name: "Draft".to_owned(), ..old.clone() };
        between(&old, &new)
    };
    assert_eq!(renamed(TargetKind::App), ["! it is called `Draft` now, and was `Sketch`"]);
    assert_eq!(renamed(TargetKind::Model), ["it is called `Draft` now, and was `Sketch`"]);
    let video = |output| Contract { output: Some(output), ..app(Vec::new()) };
    assert_eq!(
        between(&video(ValueKind::Image), &video(ValueKind::Video)),
        ["! what comes out is video now, and was image"]
    );
}

#[test]
fn inputs_come_go_and_change_their_names() {
    let old = app(vec![
        port("n1", "Prompt", ValueKind::Text),
        port("n2", "Style", ValueKind::Text),
        port("n3", "Seed", ValueKind::Integer),
        port("n4", "Aspect Ratio", ValueKind::Text),
    ]);
    let new = app(vec![
        port("n1", "Text", ValueKind::Text),
        port("n9", "Seed", ValueKind::Integer),
        port("n4", "aspect_ratio", ValueKind::Text),
        Port { required: true, ..port("n5", "Mask", ValueKind::Image) },
        port("n6", "Note", ValueKind::Text),
    ]);
    assert_eq!(
        between(&old, &new),
        [
            "! input `Prompt` is called `Text` now",
            "! input `Style` is not there any more",
            "! input `Seed` has the id `n9` now, and had `n3`",
            "! input `Mask` is new, and required; it takes the URL of an image",
            "input `Aspect Ratio` is called `aspect_ratio` now",
            "input `Note` is new; it takes text",
        ]
    );
}

#[test]
fn what_an_input_takes_breaks_where_it_takes_less() {
    let change = |was: Port, is: Port| between(&app(vec![was]), &app(vec![is]));
    let plain = |kind| port("n", "X", kind);
    assert_eq!(
        change(plain(ValueKind::Text), plain(ValueKind::Number)),
        ["! input `X` takes a number now, and took text"]
    );
    assert_eq!(
        change(plain(ValueKind::Integer), plain(ValueKind::Number)),
        ["input `X` takes a number now, and took a whole number"]
    );
    assert_eq!(
        change(plain(ValueKind::Image), plain(ValueKind::Any)),
        ["input `X` takes any value now, and took the URL of an image"]
    );
    let many = Port { many: true, ..plain(ValueKind::Text) };
    assert_eq!(change(plain(ValueKind::Text), many.clone()), ["! input `X` takes a list of texts now, and took text"]);
    let required = Port { required: true, ..plain(ValueKind::Text) };
    assert_eq!(change(plain(ValueKind::Text), required.clone()), ["! input `X` is required now"]);
    assert_eq!(change(required, plain(ValueKind::Text)), ["input `X` is not required any more"]);
    let options =
        |options: &[&str]| Port { options: options.iter().map(|o| json!(o)).collect(), ..plain(ValueKind::Text) };
    assert_eq!(
        change(options(&["a", "b"]), options(&["b", "c"])),
        ["! input `X` does not take `a` any more", "input `X` also takes `c` now"]
    );
    assert_eq!(change(options(&[]), options(&["a"])), ["! input `X` takes only `a` now"]);
    let upto = |maximum| Port { maximum: Some(maximum), ..plain(ValueKind::Number) };
    assert_eq!(change(upto(9.0), upto(5.0)), ["input `X` goes up to 5 now, and went up to 9"], "a range only warns");
    let with = |default: Value| Port { default: Some(default), ..plain(ValueKind::Number) };
    assert_eq!(change(with(json!(1)), with(json!(2))), ["input `X` is `2` now where it is not given, and was `1`"]);
}

#[test]
fn a_published_schema_is_compared_to_its_last_word() {
    let schema = |x: Value| of(json!({"properties": {"x": x}, "additionalProperties": false}));
    let change = |was: Value, is: Value| between(&schema(was), &schema(is));
    assert_eq!(
        change(json!({"type": "number", "maximum": 9}), json!({"type": "number", "maximum": 5})),
        ["! input `x` goes up to 5 now, and went up to 9"]
    );
    assert_eq!(
        change(json!({"type": "string"}), json!({"type": "string", "minLength": 3, "pattern": "^a"})),
        ["! input `x`: its JSON Schema changed (`minLength`, `pattern`)"]
    );
    assert_eq!(
        change(json!({"type": "object", "properties": {"title": {"type": "string"}}}), json!({"type": "object"})),
        ["! input `x`: its JSON Schema changed (`properties`)"],
        "a property that is called like a word of JSON Schema is a property"
    );
    assert_eq!(change(json!({"type": "string"}), json!({"type": "string", "description": "A text."})), [] as [&str; 0]);
    let old = of(json!({"properties": {"a": {}, "b": {}}}));
    let new = of(json!({"properties": {"a": {}, "b": {}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}));
    assert_eq!(between(&old, &new), ["! its JSON Schema over the inputs changed (`anyOf`)"]);
    let shut = of(json!({"properties": {"a": {}, "b": {}}, "additionalProperties": false}));
    assert_eq!(between(&old, &shut), ["! inputs that it does not publish are refused now"]);
}

#[test]
fn contracts_begin_and_cease_to_be_published() {
    let nothing = Contract::unchecked(target(TargetKind::Agent), "writer");
    let something = of(json!({"properties": {"query": {"type": "string"}}, "required": ["query"]}));
    assert_eq!(between(&nothing, &something), ["! its inputs are published now: query (text, required)"]);
    assert_eq!(between(&something, &nothing), ["its inputs are not published any more"]);
}

#[test]
fn each_operation_is_compared_by_itself() {
    let mode = |name: &str, schema: Value, params: Value, needs_scope| Mode {
        name: name.to_owned(),
        schema: Some(schema),
        params: Some(params),
        needs_scope,
    };
    let text = || json!({"properties": {"text": {"type": "string"}}});
    let top_k = |kind: &str| json!({"properties": {"top_k": {"type": kind}}});
    let model = |modes| Contract::unchecked(target(TargetKind::Model), "m").with_modes(modes).0;
    let old = model(vec![
        mode("execute", text(), json!({}), None),
        mode("search", text(), top_k("number"), None),
        mode("index", text(), json!({}), None),
    ]);
    let new = model(vec![
        mode("execute", json!({"properties": {"text": {"type": "integer"}}}), json!({}), None),
        mode("search", text(), top_k("integer"), Some(true)),
        mode("embed", text(), json!({}), None),
    ]);
    let changes = drift(&old, &new);
    assert_eq!(
        told(&changes),
        [
            "! mode `execute`: input `text` takes a whole number now, and took text",
            "! mode `search`: param `top_k` takes a whole number now, and took a number",
            "! mode `search`: it needs a `scope` now",
            "! mode `index` is not there any more",
            "mode `embed` is new",
        ]
    );
    assert_eq!(
        (changes[1].what, changes[1].mode.as_deref(), changes[1].input.as_deref()),
        (What::Kind, Some("search"), Some("top_k"))
    );
    let any = Mode { name: String::new(), schema: None, params: None, needs_scope: None };
    let open = model(vec![mode("execute", text(), json!({}), None), any]);
    let changes = drift(&old, &open);
    assert!(changes.iter().all(|change| !change.can_break), "{changes:?}");
}

#[test]
fn targets_come_and_go() {
    let contract = app(Vec::new());
    assert_eq!(gone(&contract).message, "app `Sketch` is not there any more");
    assert!(gone(&contract).can_break && !new(&contract).can_break);
    assert_eq!(new(&contract).message, "app `Sketch` is not in the lock file");
}
