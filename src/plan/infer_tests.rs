//! The types of expressions, one by one; and that types are upper bounds and errors sure, on expressions made at random.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    inputs::{self, Facts},
    references::{Names, Spot},
    site::Site,
    types::Type,
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Pointer, Source},
    spec::{self, Document},
    template::{Root, Scope, Template},
};

const WORKFLOW: &str = r#"
inputs:
  text: { type: string }
  count: { type: integer }
  price: { type: number }
  fast: { type: boolean }
  aspect: { type: string, enum: ["1:1", "16:9"] }
  tags: { type: array, items: { type: string } }
  sizes: { type: array, items: { type: integer } }
  shape: { type: object, properties: { name: { type: string }, sides: { type: integer } } }
  note: { type: string, optional: true }
  any: {}
  sketch: { type: file, media: image }
steps:
  draw:
    model: acme/draw
    inputs: { prompt: A house }
  facts:
    set: { city: Lisbon, title: "{{ inputs.text | upper }}", count: "{{ inputs.count + 1 }}", list: ["{{ inputs.count }}", 2] }
  chain:
    set: { again: "{{ steps.facts.output.count }}", self: "{{ steps.chain.output.self }}" }
  fan:
    foreach: inputs.tags
    set: { name: "{{ item }}" }
  ask:
    http: { url: "https://example.com/" }
  sub:
    workflow: other.yaml
"#;

fn document() -> Document {
    let (document, _) = spec::load(Arc::new(Source::new("test.yaml", WORKFLOW)), "test");
    document.expect("a document")
}

/// Returns the type of an expression and what is told of it.
fn judged(document: &Document, text: &str) -> (Type, Vec<Diagnostic>) {
    let site = Site::new(document);
    let facts: Facts = inputs::settle(&site, None);
    let names = Names::new(&site, &facts);
    let template = Template::expression(text).unwrap_or_else(|errors| panic!("{text}: {}", errors[0].message));
    let known = names.type_of_template(&site, &template);
    let _ = names.judge(&site, &template, &Pointer::from_iter(["outputs", "x"]), Spot::Outputs, None);
    (known, site.into_parts().0)
}

#[test]
fn expressions_have_the_types_of_their_parts() {
    let document = document();
    let any_list = || Type::list(Type::Any);
    let options = |all: &[&str]| Type::Options(all.iter().map(|one| json!(one)).collect());
    for (text, wanted) in [
        ("inputs.text", Type::Text),
        ("inputs.any", Type::Any),
        ("inputs.any.deep[0]", Type::Any),
        ("inputs.note", Type::Text.or_null()),
        ("inputs.sketch", Type::Media(crate::contract::ValueKind::Image)),
        ("inputs.tags", Type::list(Type::Text)),
        ("inputs.tags[0]", Type::Text),
        ("inputs.shape.name", Type::Text),
        ("inputs.shape.other", Type::Any),
        ("inputs.text ~ inputs.count", Type::Text),
        ("inputs.count + 1", Type::Integer),
        ("inputs.count / 2", Type::Number),
        ("inputs.price * 2", Type::Number),
        ("-inputs.count", Type::Integer),
        ("inputs.text + 'a'", Type::Text),
        ("inputs.tags + inputs.sizes", Type::list(Type::union([Type::Text, Type::Integer]))),
        ("inputs.any + 1", Type::Any),
        ("inputs.count > 1", Type::Boolean),
        ("1 < inputs.count < 5", Type::Boolean),
        ("not inputs.text", Type::Boolean),
        ("inputs.text is defined", Type::Boolean),
        ("inputs.text is not none", Type::Boolean),
        ("'a' in inputs.tags", Type::Boolean),
        ("inputs.count if inputs.fast else inputs.text", Type::union([Type::Integer, Type::Text])),
        ("'1:1' if inputs.fast else '4:5'", options(&["1:1", "4:5"])),
        ("inputs.note or 'none'", Type::Text),
        ("inputs.note or inputs.count", Type::union([Type::Text, Type::Integer])),
        ("inputs.fast and inputs.text", Type::union([Type::Boolean, Type::Text])),
        ("inputs.note | default('x')", Type::Text.or_null()),
        ("inputs.note | default('x', true)", Type::Text),
        ("inputs.note | d(3, true)", Type::union([Type::Text, Type::Options(vec![json!(3)])])),
        ("inputs.tags | length", Type::Integer),
        ("inputs.tags | join(', ')", Type::Text),
        ("inputs.tags | first", Type::Text),
        ("inputs.sizes | sum", Type::Integer),
        ("inputs.sizes | max", Type::Integer),
        ("inputs.tags | sort | reverse", Type::list(Type::Text)),
        ("inputs.tags | map('upper')", any_list()),
        ("inputs.text | split(',')", Type::list(Type::Text)),
        ("inputs.text | int", Type::Integer),
        ("inputs.text | int(default='x')", Type::union([Type::Integer, options(&["x"])])),
        ("inputs.text | fromjson", Type::Any),
        ("inputs.text | slugify", Type::Text),
        ("inputs.tags[1:]", Type::list(Type::Text)),
        ("inputs.text[:3]", Type::Text),
        ("[inputs.count, 'a']", Type::list(Type::union([Type::Integer, options(&["a"])]))),
        ("[]", any_list()),
        ("{'a': inputs.count}.a", Type::Integer),
        ("range(3)", Type::Any),
        ("steps.draw.image", Type::Media(crate::contract::ValueKind::Image)),
        ("steps.draw.images[0]", Type::Media(crate::contract::ValueKind::Image)),
        ("steps.draw.output", Type::Any),
        ("steps.draw.status", options(&["succeeded", "failed", "skipped", "cancelled"])),
        ("steps.draw.files[0].bytes", Type::Integer),
        ("steps.draw.files[0].path", Type::Text),
        ("steps.draw.job.credits_charged", Type::Number),
        ("steps.facts.output.city", options(&["Lisbon"])),
        ("steps.facts.output.title", Type::Text),
        ("steps.facts.output.count", Type::Integer),
        ("steps.facts.output.list[0]", Type::Integer),
        ("steps.chain.output.again", Type::Integer),
        ("steps.chain.output.self", Type::Any),
        ("steps.fan.outputs[0].name", Type::Text),
        ("steps.fan.images", Type::list(Type::Media(crate::contract::ValueKind::Image))),
        ("steps.ask.output.status", Type::Integer),
        ("steps.ask.output.body.data[0]", Type::Any),
        ("steps.sub.output.anything", Type::Any),
        ("run.id", Type::Text),
    ] {
        assert_eq!(judged(&document, text).0, wanted, "{text}");
    }
}

#[test]
fn what_surely_fails_is_an_error_and_what_may_fail_is_not() {
    let document = document();
    let codes = |text: &str| judged(&document, text).1.iter().map(|told| told.code).collect::<Vec<_>>();
    for text in [
        "inputs.any | length",
        "inputs.any + 1",
        "inputs.any == 3",
        "inputs.text.x if inputs.text is mapping else 'a'",
        "inputs.fast and inputs.text.x",
        "inputs.text.x | default('a')",
        "inputs.text.x is defined",
        "inputs.text.x | tojson",
        "[inputs.text.x] | length",
        "inputs.note | default('x', true) | length",
        "(inputs.note or 'x') ~ '!'",
        "inputs.note ~ '!' if inputs.note else ''",
        "inputs.note == none",
        "inputs.aspect == '1:1'",
        "inputs.aspect != inputs.text",
        "inputs.count == 3.0",
        "inputs.fast == 1",
        "inputs.price == inputs.count",
        "inputs.tags == []",
        "inputs.text * 3",
        "inputs.text | int | abs",
        "inputs.shape.other.deep",
        "inputs.tags[5]",
        "1 == 2",
    ] {
        assert_eq!(codes(text), [], "{text}");
    }
    for (text, code) in [
        ("inputs.count | length", Code::CannotTake),
        ("inputs.count | length | abs ~ inputs.text", Code::CannotTake),
        ("(inputs.tags | join) | abs", Code::CannotTake),
        ("inputs.text + 1", Code::CannotTake),
        ("inputs.text + 1 + 1", Code::CannotTake),
        ("inputs.text.x", Code::UnknownField),
        ("inputs.text.x.y | length", Code::UnknownField),
        ("inputs.count[0]", Code::UnknownField),
        ("'a' ~ inputs.note", Code::PerhapsNull),
        ("inputs.aspect == '4:5'", Code::NeverEqual),
        ("inputs.aspect in ['4:5', '5:4']", Code::NeverEqual),
        ("not inputs.aspect in ['4:5']", Code::NeverEqual),
        ("'yes' if inputs.aspect == '4:5' else 'no'", Code::NeverEqual),
        ("inputs.count == '3'", Code::NeverEqual),
        ("inputs.count > '3'", Code::NeverEqual),
        ("steps.draw.status == 'done'", Code::NeverEqual),
        ("steps.draw.status in ['failed', 'skipped']", Code::NeverEqual),
        ("steps.draw.error != none", Code::NeverEqual),
        ("steps.facts.job.id", Code::UnknownField),
        ("steps.fan.output", Code::UnknownField),
        ("steps.fan.items[0].output.nope", Code::UnknownField),
        ("-inputs.text", Code::CannotTake),
        ("inputs.count[1:]", Code::CannotTake),
        ("inputs.count | last", Code::CannotTake),
    ] {
        assert_eq!(codes(text), [code], "{text}");
    }
}

/// Values that each input may have.
fn values(input: &str) -> Vec<Value> {
    match input {
        "text" => vec![json!(""), json!("a"), json!("7"), json!("a,b"), json!("[1]")],
        "count" => vec![json!(0), json!(3), json!(-2)],
        "price" => vec![json!(0), json!(2.5)],
        "fast" => vec![json!(true), json!(false)],
        "aspect" => vec![json!("1:1"), json!("16:9")],
        "tags" => vec![json!([]), json!(["a"]), json!(["a", "1:1"])],
        "sizes" => vec![json!([]), json!([1, 2])],
        "shape" => vec![json!({}), json!({ "name": "a", "sides": 3 }), json!({ "other": [1] })],
        "note" => vec![json!(null), json!("a")],
        _ => vec![json!(null), json!(true), json!(3), json!("a"), json!([1]), json!({ "name": "a" })],
    }
}

fn expressions() -> impl Strategy<Value = String> {
    let leaves = [
        "inputs.text",
        "inputs.count",
        "inputs.price",
        "inputs.fast",
        "inputs.aspect",
        "inputs.tags",
        "inputs.sizes",
        "inputs.shape",
        "inputs.shape.name",
        "inputs.shape.sides",
        "inputs.note",
        "inputs.any",
        "inputs.tags[0]",
        "inputs.text.name",
        "inputs.any.name",
        "'1:1'",
        "'a'",
        "''",
        "0",
        "3",
        "2.5",
        "true",
        "none",
        "[]",
        "[1, 'a']",
        "{'name': 1}",
    ];
    let leaf = prop::sample::select(leaves.to_vec()).prop_map(ToOwned::to_owned);
    leaf.prop_recursive(4, 16, 3, |inner| {
        let filters = [
            "upper", "length", "join", "first", "last", "list", "int", "float", "string", "default('x')",
            "default('x', true)", "default(3)", "sort", "unique", "reverse", "tojson", "abs", "round", "items", "sum", "min",
            "max", "title", "trim", "split", "lines", "bool", "fromjson", "basename", "slugify", "sha256", "b64encode",
            "int(0)", "dictsort", "batch(2)", "slice(2)", "map('string')", "select", "urlencode", "replace('a', 'b')",
        ];
        let operators =
            ["+", "-", "*", "/", "//", "%", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"];
        let tests = ["defined", "none", "not none", "string", "mapping", "number"];
        prop_oneof![
            3 => (inner.clone(), prop::sample::select(filters.to_vec())).prop_map(|(of, name)| format!("({of}) | {name}")),
            3 => (inner.clone(), prop::sample::select(operators.to_vec()), inner.clone())
                .prop_map(|(left, sign, right)| format!("({left}) {sign} ({right})")),
            1 => (inner.clone(), prop::sample::select(tests.to_vec())).prop_map(|(of, test)| format!("({of}) is {test}")),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(yes, condition, no)| format!("(({yes}) if ({condition}) else ({no}))")),
            1 => inner.clone().prop_map(|of| format!("[{of}]")),
            1 => inner.clone().prop_map(|of| format!("not ({of})")),
            1 => inner.clone().prop_map(|of| format!("({of})[0]")),
            1 => inner.clone().prop_map(|of| format!("({of}).name")),
            1 => inner.prop_map(|of| format!("({of})[:1]")),
        ]
    })
}

/// What is not defined is no error everywhere: where one is told of a part that is not there, the rendering fails.
#[test]
fn what_is_not_there_is_an_error_only_where_that_fails() {
    let document = document();
    let filters = "upper lower title capitalize trim length count first last list sort unique reverse join split lines tojson string int \
        float abs round items dictsort sum min max bool select reject urlencode basename file_ext slugify sha256 b64encode \
        fromjson indent e escape safe pprint default('x') d(3) batch(2) slice(2) map('upper') attr('a') groupby('a') \
        replace('a','b') regex_replace('a','b') chain([1]) zip([1]) format(1) selectattr('a')";
    let mut contexts: Vec<String> = filters.split_whitespace().map(|filter| format!("X | {filter}")).collect();
    for sign in ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"] {
        contexts.extend([
            format!("X {sign} 1"),
            format!("1 {sign} X"),
            format!("[1] {sign} X"),
            format!("'a' {sign} X"),
        ]);
    }
    for test in
        ["defined", "undefined", "none", "string", "mapping", "sequence", "number", "odd", "true", "eq(1)", "in([1])"]
    {
        contexts.push(format!("X is {test}"));
    }
    let others = "X|[X]|{'a': X}|not X|-X|X[0]|X.y|X[:1]|(X if true else 1)|(1 if X else 2)|1 < X < 3|[1][X]|1 | default(X)|[X] | first\
        |'a' | replace('a', X)|[X] | length|[[X]] | string|{'a': X}.a|X.y | default('x')|X | default('x') | upper|1 is eq(X)";
    contexts.extend(others.split('|').fold(Vec::new(), |mut all: Vec<String>, part| {
        // A bar between blanks is a filter.
        match all.last_mut() {
            Some(last) if last.ends_with(' ') => {
                last.push('|');
                last.push_str(part);
            }
            _ => all.push(part.to_owned()),
        }
        all
    }));
    let mut wrong = Vec::new();
    let mut told = 0;
    for context in contexts {
        let text = context.replace('X', "inputs.text.name");
        let Ok(template) = Template::expression(&text) else { panic!("{text} cannot be read") };
        let is_error = judged(&document, &text).1.iter().any(Diagnostic::is_error);
        told += usize::from(is_error);
        let rendered = template.render(&Scope::new().with(Root::Inputs, &json!({ "text": "a" })));
        if let (true, Ok(value)) = (is_error, &rendered) {
            wrong.push(format!("{context} gives {value}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(told > 50, "{told} are told");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// Whatever the inputs are: what was called an error fails, what comes out is of the type that was said, and a comparison of which
    /// it was told that it never changes does not.
    #[test]
    fn types_are_upper_bounds_and_errors_are_sure(text in expressions(), seed in any::<usize>()) {
        let document = document();
        if Template::expression(&text).is_err() {
            return Ok(());
        }
        let template = Template::expression(&text).expect("it was read before");
        let (known, told) = judged(&document, &text);
        let fails = told.iter().any(Diagnostic::is_error);
        for round in 0..12_usize {
            let mut inputs = serde_json::Map::new();
            for (place, name) in document.workflow.inputs.keys().enumerate() {
                let all = values(name);
                let pick = (seed >> (place * 4)).wrapping_add(round * (place + 1)) % all.len();
                inputs.insert(name.clone(), all[pick].clone());
            }
            let rendered = template.render(&Scope::new().with(Root::Inputs, &Value::Object(inputs.clone())));
            if let Ok(value) = rendered {
                prop_assert!(!fails, "{} gives {} with {:?}: {:?}", text, value, inputs, told);
                prop_assert!(known.has(&value), "{} gives {} with {:?}, not {:?}", text, value, inputs, known);
            }
        }
    }
}
