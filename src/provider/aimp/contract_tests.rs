//! The rows of "What the documents leave open" that are about the marketplace: one case each, named after its row.

use serde_json::json;

use super::*;

fn text_schema() -> Value {
    json!({"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}})
}

fn other_schema() -> Value {
    json!({"type": "object", "properties": {"query": {"type": "string"}}, "additionalProperties": false})
}

fn model(value: &Value) -> Contract {
    of_model(value, Some("demo-model")).expect("a model")
}

fn names(contract: &Contract) -> Vec<&str> {
    contract.modes.iter().map(|mode| mode.name.as_str()).collect()
}

#[test]
fn the_documents_own_bodies() {
    let detail = model(&json!({
        "slug": "demo-model", "name": "Demo Model", "modes": ["execute"],
        "contract": {"modes": {"execute": {
            "input_schema": text_schema(),
            "params_schema": {"type": "object", "properties": {"temperature": {"type": "number"}}},
            "requires_scope": false,
        }}},
    }));
    assert_eq!((detail.target.id.as_str(), detail.name.as_str()), ("demo-model", "Demo Model"));
    assert_eq!((detail.schema.as_ref(), detail.unchecked), (Some(&text_schema()), false));
    let [execute] = detail.modes.as_slice() else { panic!("one mode: {detail:?}") };
    assert_eq!((execute.name.as_str(), execute.needs_scope), ("execute", Some(false)));
    assert_eq!((execute.schema.as_ref(), execute.params.is_some()), (Some(&text_schema()), true));

    let card =
        of_model(&json!({"slug": "demo-model", "name": "Demo Model", "modes": ["execute"]}), None).expect("a card");
    assert_eq!((names(&card), card.unchecked, card.schema.as_ref()), (vec!["execute"], true, None));
}

/// Row: detail: is there a contract, under which name?
#[test]
fn the_contract_is_found_wherever_it_is() {
    let mode = || json!({"input_schema": text_schema(), "params_schema": {"type": "object"}});
    let map = || json!({"execute": mode(), "search": {"schema": other_schema()}});
    let list = || json!([{"name": "execute", "inputSchema": text_schema(), "paramsSchema": {"type": "object"}}, {"mode": "search", "input": other_schema()}]);
    for body in [
        json!({"contract": {"modes": map()}}),
        json!({"contract": {"operations": list()}}),
        json!({"modes": list()}),
        json!({"operations": map()}),
        json!({"data": {"contract": {"modes": list()}}}),
        json!({"data": {"operations": map()}}),
        json!({"model": {"contract": {"operations": map()}}}),
        json!({"model": {"modes": map()}}),
        json!({"data": {"model": {"modes": map()}}}),
        // A list of names beside it is a summary.
        json!({"modes": ["execute", "search", "index"], "data": {"modes": map()}}),
        json!({"modes": ["execute"], "contract": {"modes": map()}}),
    ] {
        let contract = model(&body);
        assert_eq!(names(&contract), ["execute", "search"], "{body}");
        assert_eq!(contract.modes[0].schema, Some(text_schema()), "{body}");
        assert_eq!(contract.modes[0].params, Some(json!({"type": "object"})), "{body}");
        assert_eq!(contract.modes[1].schema, Some(other_schema()), "{body}");
        assert_eq!((contract.schema, contract.unchecked), (Some(text_schema()), false), "{body}");
    }
}

#[test]
fn a_schema_without_operations_is_that_of_every_run() {
    for key in ["input_schema", "inputSchema", "input", "schema"] {
        for body in [
            json!({key: text_schema()}),
            json!({"contract": {key: text_schema()}}),
            json!({"data": {key: text_schema()}}),
        ] {
            let contract = model(&body);
            assert_eq!(
                (contract.schema.as_ref(), contract.modes.len(), contract.unchecked),
                (Some(&text_schema()), 0, false),
                "{body}"
            );
        }
    }
    // With a schema for `params` it is that of every operation.
    let contract =
        model(&json!({"input_schema": text_schema(), "params_schema": other_schema(), "requires_scope": true}));
    assert_eq!(
        contract.modes,
        [Mode {
            name: String::new(),
            schema: Some(text_schema()),
            params: Some(other_schema()),
            needs_scope: Some(true)
        }]
    );
    let flagged = model(&json!({"input_schema": text_schema(), "vector": true}));
    assert_eq!((flagged.modes.len(), flagged.modes[0].needs_scope), (1, Some(true)));
    assert!(model(&json!({"vector_enabled": true})).modes.is_empty(), "that is about the model as a whole");
    // Beside operations it is that of the one that runs by default, unless that has its own.
    let contract = model(&json!({"modes": ["execute", "search"], "input_schema": text_schema()}));
    assert_eq!((contract.modes[0].schema.clone(), contract.modes[1].schema.clone()), (Some(text_schema()), None));
    let contract = model(&json!({"modes": {"embed": {"input_schema": other_schema()}}, "input_schema": text_schema()}));
    assert_eq!((contract.schema, contract.open), (Some(other_schema()), false), "the only operation's");
}

/// None: any object, unchecked and said so.
#[test]
fn what_is_no_schema_checks_nothing() {
    for body in [
        json!({}),
        json!({"contract": null, "modes": null}),
        json!({"contract": "see the manual"}),
        json!({"input": {"text": "Hello"}}),
        json!({"input_schema": {"type": "nonsense"}}),
        json!({"input_schema": {"$ref": "https://example.com/schema.json"}}),
        json!({"input_schema": []}),
        json!({"modes": [7, "", {"label": "nameless"}]}),
    ] {
        let contract = model(&body);
        assert!(
            contract.unchecked && contract.schema.is_none() && contract.modes.is_empty() && contract.open,
            "{body}"
        );
    }
    let odd = model(&json!({"input_schema": {"type": "nonsense"}, "schema": text_schema()}));
    assert_eq!(odd.schema, Some(text_schema()), "the next place counts");
}

/// Row: which modes are vector modes.
#[test]
fn flags_that_ask_for_a_scope() {
    let needs = |flags: Value| model(&json!({"modes": {"search": flags}})).modes[0].needs_scope;
    assert_eq!(needs(json!({"requires_scope": true})), Some(true));
    assert_eq!(needs(json!({"vector": true})), Some(true));
    assert_eq!(needs(json!({"vector_enabled": false})), Some(false));
    assert_eq!(needs(json!({"requires_scope": false, "vector": true})), Some(false));
    assert_eq!(needs(json!({"vector": {"dimensions": 3}})), None);
    assert_eq!(needs(json!(null)), None);
}

#[test]
fn a_model_is_known_as_the_workflow_calls_it_else_by_its_slug() {
    let body = json!({"id": "mdl_1", "slug": "demo", "title": "Demo", "summary": "s", "cost": "0.01"});
    let own = of_model(&body, None).expect("a model");
    assert_eq!((own.target.id.as_str(), own.name.as_str()), ("demo", "Demo"));
    assert_eq!((own.description.as_deref(), own.cost), (Some("s"), Some(0.01)));
    assert_eq!(of_model(&body, Some("mdl_1")).expect("a model").target.id, "mdl_1");
    assert_eq!(of_model(&json!({"data": {"slug": "inner"}}), None).expect("a model").target.id, "inner");
    assert_eq!(of_model(&json!({"description": "nameless"}), None), None);
    let items = [json!({"slug": "other"}), body];
    assert_eq!(slug_of(&items, "mdl_1"), Some("demo"));
    assert_eq!((slug_of(&items, "demo"), slug_of(&items, "none")), (None, None));
}

#[test]
fn a_slug_is_no_way_up() {
    assert!(is_slug("demo-model") && is_slug("org/demo"));
    for bad in ["", ".", "..", "a/..", "a\\b", "a\nb"] {
        assert!(!is_slug(bad), "{bad}");
    }
}

/// Row: marketplace list: array, `results`, `data`, `items`, `models`; paging by `next`, `page`, `cursor`.
#[test]
fn lists_and_how_they_go_on() {
    let link = |link: &str| Some(Next::Link(link.to_owned()));
    let with = |name: &'static str, value: &str| Some(Next::Parameter(name, value.to_owned()));
    for (body, next) in [
        (json!([1]), None),
        (json!({"count": 1, "next": null, "previous": null, "results": [1]}), None),
        (
            json!({"next": "http://localhost:8080/api/marketplace/models?page=2", "results": [1]}),
            link("http://localhost:8080/api/marketplace/models?page=2"),
        ),
        (json!({"next": "/api/marketplace/models?page=2", "data": [1]}), link("/api/marketplace/models?page=2")),
        (json!({"next": "?page=2", "items": [1]}), link("marketplace/models?page=2")),
        (json!({"next": 2, "models": [1]}), with("page", "2")),
        (json!({"next_page": 2, "models": [1]}), with("page", "2")),
        (json!({"page": 1, "total_pages": 3, "models": [1]}), with("page", "2")),
        (json!({"page": 3, "total_pages": 3, "models": [1]}), None),
        (json!({"data": {"items": [1], "page": 1, "pages": 2}}), with("page", "2")),
        (json!({"meta": {"page": "1", "last_page": "2"}, "models": [1]}), with("page", "2")),
        (json!({"next_cursor": "c2", "models": [1]}), with("cursor", "c2")),
        (json!({"cursor": "c2", "has_more": true, "models": [1]}), with("cursor", "c2")),
    ] {
        let page = page(&body).unwrap_or_else(|| panic!("{body}"));
        assert_eq!((page.items.len(), page.next), (1, next), "{body}");
    }
    assert_eq!(page(&json!({"models": {"a": 1}})), None);
}
