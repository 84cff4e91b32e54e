use serde_json::{Value, json};

use crate::{
    contract::{Checker, Contract, Mode, Violation},
    diagnostic::{Code, Severity},
    job::{Target, TargetKind},
};

fn target() -> Target {
    Target { kind: TargetKind::Agent, id: "ag_1".to_owned() }
}

fn checker(schema: Value) -> Checker {
    let (contract, why) = Contract::of_schema(target(), "writer", schema);
    assert_eq!(why, None);
    Checker::new(contract)
}

fn given(value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(map) => map.into_iter().collect(),
        _ => panic!("a map"),
    }
}

fn refused(checker: &Checker, inputs: Value) -> Vec<Violation> {
    checker.prepare(given(inputs)).expect_err("they do not fit")
}

fn messages(found: &[Violation]) -> Vec<String> {
    let told = |violation: &Violation| match &violation.help {
        Some(help) => format!("{}: {} ({help})", violation.code, violation.message),
        None => format!("{}: {}", violation.code, violation.message),
    };
    found.iter().map(told).collect()
}

fn picture() -> Checker {
    checker(json!({
        "type": "object",
        "required": ["query"],
        "additionalProperties": false,
        "properties": {
            "query": {"type": "string", "minLength": 2},
            "style": {"enum": ["oil", "ink", null]},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "size": {"$ref": "#/$defs/Size"},
            "seed": {"type": ["integer", "null"], "minimum": 1, "maximum": 9},
            "when": {"type": "string", "format": "date"},
        },
        "$defs": {"Size": {
            "type": "object", "required": ["width"], "additionalProperties": false,
            "properties": {"width": {"type": "integer", "minimum": 64}},
        }},
    }))
}

#[test]
fn nulls_go_unless_they_are_allowed_and_scalars_become_text() {
    let inputs = json!({"query": 42, "style": null, "tags": [1, true], "seed": null, "when": null});
    let sent = picture().prepare(given(inputs)).expect("they fit");
    assert_eq!(Value::Object(sent), json!({"query": "42", "style": null, "tags": ["1", "true"], "seed": null}));
}

#[test]
fn everything_wrong_is_an_error_and_says_where() {
    let found = refused(
        &picture(),
        json!({
            "style": "oil paint", "tags": ["a"], "size": {"width": 3, "hight": 4}, "seed": 12, "when": "soon",
            "quary": "a",
        }),
    );
    assert!(found.iter().all(|violation| violation.severity == Severity::Error));
    let mut told = messages(&found);
    told.sort();
    assert_eq!(
        told,
        [
            "DW204: agent `writer` publishes no input `quary` (did you mean `query`?)",
            "DW205: required input `query` is missing (it takes text)",
            "DW206: input `size` must not have the key `hight`",
            "DW206: input `tags` must have at least 2 items",
            "DW206: input `when` must be of the format `date`",
            "DW207: `oil paint` is not an option of input `style` (its options are `oil`, `ink`, `null`)",
            "DW208: input `seed` is `12`, above its published maximum `9`",
            "DW208: input `size` (at `width`) is `3`, below its published minimum `64`",
        ]
    );
    let width = found.iter().find(|violation| violation.at == ["width"]).expect("the place in the value");
    assert_eq!(width.port.as_deref(), Some("size"));
}

#[test]
fn a_part_is_checked_by_its_own_schema_and_no_more() {
    let checker = picture();
    let port = |id: &str| checker.contract().port(id).expect("it is there").clone();
    // `query` is missing here, and that is no matter of `size`.
    assert_eq!(checker.check(&port("size"), &json!({"width": 64})), []);
    let told = messages(&checker.check(&port("size"), &json!([64])));
    assert_eq!(told, ["DW206: input `size` must be a map, not a list"]);
    let told = messages(&checker.check(&port("tags"), &json!("a")));
    assert_eq!(
        told,
        [r#"DW210: input `tags` takes a list of texts, not a single value (write it as a list: `["a"]`)"#]
    );
    let told = messages(&checker.check(&port("query"), &json!(["abc"])));
    assert_eq!(told, ["DW210: input `query` takes one value (text), not a list (write the item alone: `abc`)"]);
    let told = messages(&checker.check(&port("seed"), &json!("7")));
    assert_eq!(told, ["DW206: input `seed` takes a whole number, not text (write it without quotes: `7`)"]);
}

#[test]
fn an_item_is_checked_alone_whatever_the_list_must_be() {
    let checker = picture();
    let tags = checker.contract().port("tags").expect("it is there").clone();
    assert_eq!(checker.check_item(&tags, &json!("a")), [], "that two are needed is not the item's fault");
    let told = checker.check_item(&tags, &json!({"a": 1}));
    assert_eq!(messages(&told), ["DW206: input `tags` takes a list of texts, and this part of it is a map"]);
    assert!(told[0].at.is_empty());
}

#[test]
fn conditions_over_inputs_are_told_of_the_whole() {
    let either = checker(json!({
        "properties": {"url": {"type": "string"}, "text": {"type": "string"}},
        "anyOf": [{"required": ["url"]}, {"required": ["text"]}],
    }));
    assert_eq!(
        messages(&refused(&either, json!({}))),
        [
            "DW214: the inputs have none of the forms that are allowed (either `url` must be given, or `text` must be given)"
        ]
    );
    let port = either.contract().port("url").expect("it is there").clone();
    assert_eq!(either.check(&port, &json!("a")), []);

    let beside = checker(json!({
        "properties": {"user": {"type": "string"}, "password": {"type": "string"}},
        "dependentRequired": {"user": ["password"]}, "minProperties": 1, "maxProperties": 1,
        "not": {"required": ["password"]},
    }));
    let told = messages(&refused(&beside, json!({"user": "a"})));
    assert_eq!(told, ["DW205: input `password` is missing: what is given needs it (it takes text)"]);
    let told = messages(&refused(&beside, json!({})));
    assert_eq!(told, ["DW214: 0 inputs are given, and at least 1 are needed"]);
    let mut told = messages(&refused(&beside, json!({"user": "a", "password": "b"})));
    told.sort();
    assert_eq!(
        told,
        ["DW214: 2 inputs are given, and at most 1 are allowed", "DW214: these inputs are not allowed together"]
    );
}

#[test]
fn what_is_known_whole_before_the_run_is_told_once() {
    let checker = checker(json!({
        "required": ["kind"],
        "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer", "minimum": 5}},
        "if": {"properties": {"kind": {"const": "a"}}}, "then": {"properties": {"n": {"maximum": 7}}},
        "additionalProperties": false,
    }));
    let together = |inputs: Value| match inputs {
        Value::Object(inputs) => messages(&checker.together(&inputs)),
        _ => panic!("a map"),
    };
    assert_eq!(together(json!({"kind": "a", "n": 9})), ["DW208: input `n` is `9`, above its published maximum `7`"]);
    // What a check of each value, or of the keys, tells is not told again.
    assert_eq!(together(json!({"n": 1, "m": 1})), [] as [&str; 0]);
    assert_eq!(together(json!({"kind": "b", "n": 9})), [] as [&str; 0]);
}

#[test]
fn of_several_forms_the_one_that_is_meant_is_told_of() {
    let checker = checker(json!({"properties": {"shape": {"oneOf": [
        {"type": "string", "pattern": "^#"},
        {"type": "object", "required": ["kind", "radius"], "properties": {"kind": {"const": "circle"}}},
        {"type": "object", "required": ["kind", "side"], "properties": {"kind": {"const": "square"}}},
    ]}}}));
    let told = |shape: Value| messages(&refused(&checker, json!({ "shape": shape })));
    assert_eq!(told(json!("red")), ["DW206: input `shape` must match the pattern `^#`"]);
    assert_eq!(told(json!({"kind": "square"})), ["DW206: input `shape` must have the key `side`"]);
    assert_eq!(
        told(json!(3)),
        ["DW206: input `shape` must have one of the forms that its schema names \
             (either it must be text, not a whole number, or it must be a map, not a whole number)"]
    );
}

#[test]
fn open_schemas_warn_of_unknown_names_and_free_ones_do_not() {
    let open = checker(json!({"properties": {"query": {}, "prompt_input": {}}}));
    let sent =
        open.prepare(given(json!({"query": 1, "qeury": 2, "prompt": 3, "x_input": 4}))).expect("sent all the same");
    let told = messages(&open.warnings(&sent));
    assert_eq!(
        told,
        [
            "DW211: agent `writer` publishes no input `qeury` (did you mean `query`?)",
            "DW211: agent `writer` publishes no input `prompt`",
            "DW211: agent `writer` publishes no input `x_input`",
        ]
    );
    let free = checker(json!({"properties": {"query": {}}, "additionalProperties": {"type": "string"}}));
    let sent = free.prepare(given(json!({"anything": "a"}))).expect("it fits");
    assert_eq!(free.warnings(&sent), []);
    assert_eq!(
        messages(&refused(&free, json!({"other": 3}))),
        ["DW206: input `other` must be text, not a whole number"]
    );
    let patterned = checker(json!({"patternProperties": {"^x-": {}}, "additionalProperties": false}));
    let sent = patterned.prepare(given(json!({"x-a": 1}))).expect("it fits");
    assert_eq!(patterned.warnings(&sent), []);
    assert!(patterned.contract().takes("x-b") && !patterned.contract().takes("y"));
    assert_eq!(patterned.unknown("y").severity, Severity::Error);
    assert_eq!(messages(&refused(&patterned, json!({"y": 1}))), ["DW204: agent `writer` publishes no input `y`"]);
}

#[test]
fn an_unchecked_contract_takes_anything_without_a_word() {
    let checker = Checker::new(Contract::unchecked(target(), "writer"));
    let sent = checker.prepare(given(json!({"a": [1], "b": null, "c": {"d": null}}))).expect("anything");
    assert_eq!(Value::Object(sent.clone()), json!({"a": [1], "c": {"d": null}}));
    assert_eq!(checker.warnings(&sent), []);
    assert!(checker.contract().takes("anything"));
}

#[test]
fn references_hold_for_parts_too_wherever_they_lead() {
    let checker = checker(json!({
        "$id": "https://example.com/schemas/tree.json",
        "properties": {
            "a/b c%": {"$ref": "#/properties/tree"},
            "tree": {"type": "object", "properties": {"left": {"$ref": "#/properties/tree"}, "v": {"type": "integer"}}},
        },
    }));
    let port = checker.contract().port("a/b c%").expect("it is there").clone();
    let told = messages(&checker.check(&port, &json!({"left": {"left": {"v": "x"}}})));
    assert_eq!(told, ["DW206: input `a/b c%` (at `left.left.v`) must be a whole number, not text"]);
}

#[test]
fn a_schema_that_went_bad_in_a_file_is_not_used() {
    let mut contract = Contract::unchecked(target(), "writer");
    contract.schema = Some(json!({"type": "text"}));
    assert!(Checker::new(contract).prepare(given(json!({"a": 1}))).is_ok());
}

fn modes() -> Checker {
    let mode = |name: &str, schema: Value, params: Option<Value>, needs_scope| Mode {
        name: name.to_owned(),
        schema: Some(schema),
        params,
        needs_scope,
    };
    let top_k = json!({"properties": {"top_k": {"type": "integer", "minimum": 1}}, "additionalProperties": false});
    let text = |key: &str| json!({"required": [key], "properties": {key: {"type": "string"}}});
    let (contract, told) =
        Contract::unchecked(Target { kind: TargetKind::Model, id: "m".to_owned() }, "m").with_modes(vec![
            mode("execute", text("text"), None, Some(false)),
            mode("search", text("query"), Some(top_k), Some(true)),
            Mode { schema: None, ..mode("embed", json!({}), None, None) },
        ]);
    assert_eq!(told, [] as [&str; 0]);
    Checker::new(contract)
}

#[test]
fn each_mode_has_its_own_contract() {
    let checker = modes();
    let missing = |mode: Option<&str>| {
        let found = refused(checker.for_mode(mode).expect("a mode"), json!({}));
        found.iter().filter_map(|violation| violation.port.clone()).collect::<Vec<_>>()
    };
    assert_eq!(missing(None), ["text"]);
    assert_eq!(missing(Some("execute")), ["text"]);
    assert_eq!(missing(Some("search")), ["query"]);
    let embed = checker.for_mode(Some("embed")).expect("a mode");
    assert!(embed.prepare(Vec::new()).is_ok(), "what `execute` takes says nothing of it");
    assert_eq!(checker.for_mode(Some("search")).ok().and_then(Checker::needs_scope), Some(true));
    let unknown = checker.for_mode(Some("serch")).expect_err("no such mode");
    assert_eq!((unknown.code, unknown.at), (Code::UnknownMode, vec!["mode".to_owned()]));
    assert_eq!(unknown.message, "model `m` has no mode `serch`");
    assert_eq!(unknown.help.as_deref(), Some("did you mean `search`? its modes are `execute`, `search`, `embed`"));
}

#[test]
fn a_model_without_the_default_mode_wants_one_named() {
    let search = Mode { name: "search".to_owned(), schema: None, params: None, needs_scope: None };
    let any = Mode { name: String::new(), ..search.clone() };
    let build = |modes| Checker::new(Contract::unchecked(target(), "m").with_modes(modes).0);
    let checker = build(vec![search.clone()]);
    assert_eq!(
        checker.for_mode(None).expect_err("it has no `execute`").message,
        "agent `m` has no mode `execute`, which is run where none is named"
    );
    let checker = build(vec![search, any]);
    assert!(checker.for_mode(None).is_ok(), "what is not listed may be there");
    assert_eq!(checker.modes().collect::<Vec<_>>(), ["search"]);
}

#[test]
fn params_are_checked_by_their_own_schema() {
    let checker = modes();
    let search = checker.for_mode(Some("search")).expect("a mode");
    let check = |params: Value| match params {
        Value::Object(params) => search.check_params(&params),
        _ => panic!("a map"),
    };
    assert_eq!(check(json!({"top_k": 5})), []);
    let found = check(json!({"top_k": 0, "topk": 5}));
    let mut told = messages(&found);
    told.sort();
    assert_eq!(
        told,
        [
            "DW218: model `m` publishes no param `topk` (did you mean `top_k`?)",
            "DW218: param `top_k` is `0`, below its published minimum `1`",
        ]
    );
    assert!(found.iter().any(|violation| violation.port.is_none() && violation.at == ["params", "top_k"]));
    let params = [("top_k".to_owned(), Value::Null)].into_iter().collect();
    assert_eq!(search.prepare_params(params), Ok(serde_json::Map::new()), "a null is left out");
    assert_eq!(checker.for_mode(None).expect("a mode").check_params(&serde_json::Map::new()), []);
}
