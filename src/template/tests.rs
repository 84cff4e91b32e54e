//! What templates promise, as tables.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    diagnostic::Code,
    id::StepId,
    result::{ErrorKind, StepError, StepResult, StepStatus},
    secret::Secret,
    source::{Place, Pointer, Source, SourceMap, Span},
};

fn shown(id: &str, status: StepStatus, outputs: &Value) -> (StepId, Arc<Shown>) {
    let step: StepId = id.parse().unwrap();
    let result = StepResult {
        step: step.clone(),
        kind: None,
        status,
        node_outputs: Arc::new(outputs.as_object().unwrap().clone()),
        job: None,
        files: Vec::new(),
        items: None,
        error: (status == StepStatus::Failed)
            .then(|| StepError { kind: ErrorKind::JobFailed, message: "overloaded".to_owned() }),
    };
    (step, Arc::new(Shown::new(result)))
}

fn scope() -> Scope {
    let mut scope = Scope::new()
        .with(
            Root::Inputs,
            &json!({
                "name": "Ann", "n": 3, "f": 1.5, "yes": true, "none": null, "list": ["a", "b"], "map": { "k": [1, null] },
                "empty": "", "a-b": "dash", "big": 18_446_744_073_709_551_615_u64, "low": -5,
            }),
        )
        .with(Root::Vars, &json!({ "greeting": "hello" }))
        .with(Root::Run, &json!({ "id": "r", "name": "w" }))
        .with_secrets(&BTreeMap::from([("KEY".to_owned(), Secret::new("very-secret-value"))]));
    for (id, status, outputs) in [
        ("one", StepStatus::Succeeded, json!({ "one": { "outputImage": "u1", "seed": 4 } })),
        ("two", StepStatus::Succeeded, json!({ "n1": { "outputImages": ["u1", "u2"] }, "n2": { "outputText": "t" } })),
        ("void", StepStatus::Succeeded, json!({})),
        ("bad", StepStatus::Failed, json!({})),
    ] {
        let (id, shown) = shown(id, status, &outputs);
        scope = scope.with_step(&id, &shown);
    }
    scope
}

fn render(text: &str) -> Value {
    let template = Template::compile(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
    template.render(&scope()).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

/// Compiles and renders what must fail in the one or the other; gives the kind, the text at fault, the message and the help.
fn fails(text: &str) -> (TemplateErrorKind, String, String, String) {
    let error = match Template::compile(text) {
        Err(mut errors) => errors.remove(0),
        Ok(template) => match template.render(&scope()) {
            Err(error) => error,
            Ok(value) => panic!("{text} gave {value}"),
        },
    };
    (error.kind, text[error.range].to_owned(), error.message, error.help.unwrap_or_default())
}

#[test]
fn values_keep_their_types_alone_and_become_text_beside_text() {
    for (text, expected) in [
        ("plain", json!("plain")),
        ("a }} b", json!("a }} b")),
        ("{{ inputs.n }}", json!(3)),
        ("  {{ inputs.list }}\n", json!(["a", "b"])),
        ("{{- inputs.map -}}", json!({ "k": [1, null] })),
        ("{{ inputs.none }}", Value::Null),
        ("{{ inputs.big }}", json!(18_446_744_073_709_551_615_u64)),
        ("{{ inputs.low }}", json!(-5)),
        ("{{ inputs.f }}", json!(1.5)),
        ("{{ {\"a\": {\"b\": [1, 2.0]}} }}", json!({ "a": { "b": [1, 2.0] } })),
        ("{{ inputs['a-b'] }}", json!("dash")),
        ("{{ inputs.list[-1] }}", json!("b")),
        ("{{ inputs.list[0:1] }}", json!(["a"])),
        ("{{ range(3) }}", json!([0, 1, 2])),
        ("{{ inputs.list | map('upper') | join('+') }}", json!("A+B")),
        ("{{ inputs.missing | default('x') }}", json!("x")),
        ("{{ inputs.missing is defined }}", json!(false)),
        ("{{ 1 if inputs.yes else 2 }}", json!(1)),
        ("{{ 'a' ~ (inputs.none | default('-', true)) ~ inputs.n }}", json!("a-3")),
        ("{{ 'a' ~ inputs.none if inputs.none else 'b' }}", json!("b")),
        ("n={{ inputs.n }} f={{ inputs.f }} b={{ inputs.yes }}", json!("n=3 f=1.5 b=true")),
        ("x {{ inputs.list }} {{ inputs.map }}", json!("x [\"a\",\"b\"] {\"k\":[1,null]}")),
        ("x {{ inputs.none | default(\"\", true) }}", json!("x ")),
        ("a{{ ', b' if not inputs.yes }}", json!("a")),
        ("{% for i in inputs.list %}{{ loop.index }}{{ i }} {% endfor %}", json!("1a 2b ")),
        ("{% set x = inputs.n * 2 %}{{ x }}", json!("6")),
        ("{% if inputs.yes %}y{% else %}n{% endif %}", json!("y")),
        ("{% macro m(a, b=1) %}<{{ a }}{{ b }}>{% endmacro %}{{ m(inputs.n) }}", json!("<31>")),
        ("a{# comment #}b", json!("ab")),
        ("{% raw %}{{ x }}{% endraw %}", json!("{{ x }}")),
        ("line\n{{ inputs.n }}\n", json!("line\n3\n")),
        ("<{{ '<&>' }}>", json!("<<&>>")),
        ("{{ vars.greeting }} {{ run.name }}", json!("hello w")),
        ("{{ 'a/b.PNG' | basename }} {{ 'a/b.PNG' | file_ext }}", json!("b.PNG png")),
        ("{{ 'A b!' | slugify }}", json!("a-b")),
        ("{{ '' | sha256 }}", json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")),
        ("{{ '{\"a\": [1]}' | fromjson }}", json!({ "a": [1] })),
        ("{{ 'hi' | b64encode }}", json!("aGk=")),
        ("{{ 'a1b22' | regex_replace('([0-9]+)', '<$1>') }}", json!("a<1>b<22>")),
        ("{{ inputs.map | tojson }}", json!("{\"k\": [1, null]}")),
        ("{{ secrets.KEY }}", json!("very-secret-value")),
    ] {
        assert_eq!(render(text), expected, "{text}");
    }
}

#[test]
fn a_result_shows_its_fields() {
    for (text, expected) in [
        ("{{ steps.one.status }}", json!("succeeded")),
        ("{{ steps.one.output }}", json!({ "outputImage": "u1", "seed": 4 })),
        ("{{ steps['one'].output.seed }}", json!(4)),
        ("{{ steps.one.image }}", json!("u1")),
        ("{{ steps.one.images }}", json!(["u1"])),
        ("{{ steps.one.videos }}", json!([])),
        ("{{ steps.two.images }}", json!(["u1", "u2"])),
        ("{{ steps.two.text }}", json!("t")),
        ("{{ steps.two.node_outputs.n1 }}", json!({ "outputImages": ["u1", "u2"] })),
        ("{{ steps.one.job }}", Value::Null),
        ("{{ steps.one.files }}", json!([])),
        ("{{ steps.one.models3d }}", json!([])),
        ("{{ steps.bad.output }}", Value::Null),
        ("{{ steps.bad.image }}", Value::Null),
        ("{{ steps.bad.images }}", json!([])),
        ("{{ steps.bad.error.kind }}", json!("job_failed")),
        ("{{ steps.one.error }}", Value::Null),
        ("{{ steps.void.images }}", json!([])),
    ] {
        assert_eq!(render(text), expected, "{text}");
    }
    let whole = render("{{ steps.two }}");
    assert_eq!(whole["text"], "t");
    assert!(whole.get("output").is_none() && whole.get("image").is_none());
}

#[test]
fn what_is_wrong_is_said_at_the_smallest_place() {
    use TemplateErrorKind::{
        ComputedStep, Failed, Null, OutOfFuel, Syntax, TooLarge, Undefined, UnknownFilter, UnknownName,
    };
    let mut wrong = Vec::new();
    for (text, kind, at, message) in [
        ("a {{ inputs.x", Syntax, "{{", "never closed"),
        ("a {% if inputs.n", Syntax, "{%", "never closed"),
        ("a {# b", Syntax, "{#", "never closed"),
        ("{{ }}", Syntax, "", "cannot be read"),
        ("{{ 1 + }}", Syntax, "}}", "cannot be read"),
        ("{% if inputs.n %}x", Syntax, "", "cannot be read"),
        ("{{ input.name }}", UnknownName, "input", "no name `input`"),
        ("x {{ foo.bar }}", UnknownName, "foo", "no name `foo`"),
        ("{{ null }}", UnknownName, "null", "no name `null`"),
        ("{{ inputs.name | uper }}", UnknownFilter, "uper", "no filter `uper`"),
        ("{{ inputs.list | map('uper') }}", UnknownFilter, "'uper'", "no filter `uper`"),
        ("{{ inputs.name is strin }}", UnknownFilter, "strin", "no test `strin`"),
        ("{{ rnge(3) }}", UnknownFilter, "rnge", "no function `rnge`"),
        ("{{ upper(inputs.name) }}", UnknownFilter, "upper", "no function `upper`"),
        ("{{ debug() }}", UnknownFilter, "debug", "no function `debug`"),
        ("{{ inputs.name.upper() }}", UnknownFilter, "upper", "no method `upper`"),
        ("{{ steps[inputs.name].image }}", ComputedStep, "inputs.name", "cannot be computed"),
        ("{{ steps }}", ComputedStep, "steps", "`steps` alone"),
        ("{% for s in steps %}{% endfor %}", ComputedStep, "steps", "`steps` alone"),
        ("{% include 'x' %}", Syntax, "include 'x'", "no `include`"),
        ("{% set inputs = 1 %}", Syntax, "inputs", "cannot be set"),
        ("{{ inputs.nam }}", Undefined, "nam", "`inputs` has no `nam`"),
        ("x {{ inputs.nam }} y", Undefined, "nam", "`inputs` has no `nam`"),
        ("{{ inputs.map.x.y }}", Undefined, "x", "`inputs.map` has no `x`"),
        ("{{ inputs.none.x.y }}", Undefined, "x", "`inputs.none` is null"),
        ("{{ inputs.list[5] }}", Undefined, "5", "has no item 5: it has 2"),
        ("{{ [inputs.nam] }}", Undefined, "nam", "`inputs` has no `nam`"),
        ("{{ inputs.nam | upper }}", Undefined, "nam", "`inputs` has no `nam`"),
        ("{{ (inputs.gone | default('')) ~ inputs.nam.x }}", Undefined, "nam", "`inputs` has no `nam`"),
        ("{{ item }}", Undefined, "item", "`item` is not to be had here"),
        ("{{ steps.nope.image }}", Undefined, "nope", "`steps` has no `nope`"),
        ("{{ steps.one.imge }}", Undefined, "imge", "`steps.one` has no `imge`"),
        ("{{ steps.one.items }}", Undefined, "items", "`steps.one` has no `items`"),
        ("{{ steps.bad.output.x.y }}", Undefined, "x", "`steps.bad.output` is null"),
        ("{{ 1 if not inputs.yes }}", Undefined, "1 if not inputs.yes", "no value"),
        ("a {{ inputs.none }} b", Null, "inputs.none", "null"),
        ("{{ 'a' ~ inputs.none }}", Null, "inputs.none", "`inputs.none` is null"),
        ("x {{ inputs.none ~ 'a' }}", Null, "inputs.none", "`inputs.none` is null"),
        ("{{ steps.two.image }}", Failed, "steps.two.image", "step `two` gave 2 values for `image`"),
        ("{{ steps.two.output }}", Failed, "steps.two.output", "2 nodes: `n1`, `n2`"),
        ("{{ steps.void.output }}", Failed, "steps.void.output", "no output"),
        ("{{ steps.void.video }}", Failed, "steps.void.video", "no `video`"),
        ("{{ 'x' | regex_replace('(', '') }}", Failed, "regex_replace('(', '')", "pattern cannot be read"),
        ("{{ 'x' | fromjson }}", Failed, "fromjson", "not JSON"),
        ("{{ 1 / 0 }}", Failed, "1 / 0", ""),
        ("{{ range }}", UnknownName, "range", "no name"),
        ("{{ dict }}", UnknownName, "dict", "no name"),
        // Too much.
        ("{{ [0] * 100000000 }}", TooLarge, "", "too large"),
        ("x {{ [0] * 100000000 }}", TooLarge, "", "too large"),
        ("{{ 'a' * 100000000 }}", OutOfFuel, "", "too much work"),
        ("{{ 'a' * 100000000000 }}", OutOfFuel, "", "too much"),
        ("{{ range(1000000000) }}", Failed, "", "too many elements"),
        ("{{ 'a' * 20000000 }}", TooLarge, "", "16 MiB"),
        ("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", OutOfFuel, "", "too much"),
        ("{{ ('a' * 1000000) | replace('a', 'a' * 1000000) }}", OutOfFuel, "", "too much"),
        ("{{ ('a' * 1000000) | regex_replace('a', 'a' * 1000000) }}", OutOfFuel, "", "too much"),
        ("{{ '%1000000000d' | format(1) }}", OutOfFuel, "", ""),
        ("{{ ['a' * 1000000, inputs.n] * 1000 }}", TooLarge, "", "too large"),
        ("{{ ['a' * 1000000, inputs.n] * 10000 | join }}", Failed, "", ""),
        ("{{ (['a' * 1000000, inputs.n] * 10000) | join }}", TooLarge, "", "16 MiB"),
        ("{{ ([[inputs.n] * 100000] * 100000) | string }}", TooLarge, "", "million parts"),
        ("{{ ([[inputs.n] * 100000] * 100000) | pprint }}", TooLarge, "", "million parts"),
        ("{{ ([[inputs.n] * 100000] * 100000) | unique }}", TooLarge, "", "million parts"),
        ("{{ ('[' ~ '1,' * 5000000 ~ '1]') | fromjson | length }}", TooLarge, "", "million parts"),
        (
            "{% for i in range(100) %}{{ (range(100000) | list) | join | length }}{% endfor %}",
            OutOfFuel,
            "",
            "too much",
        ),
        ("{{ ['a'] * 1000000 | join('a' * 100000) }}", Failed, "", ""),
        ("{{ ([inputs.name] * 500000) | join('a' * 100000) }}", OutOfFuel, "", ""),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", Failed, "", "recursion"),
        ("{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", TooLarge, "", "nested"),
        ("{% set ns = namespace() %}{% set ns.a = ns %}{% set ns.b = ns %}{{ ns }}", TooLarge, "", ""),
        ("{% for i in range(100000) %}{{ 'x' | regex_replace('[a-z]{1,20}' ~ i, '') }}{% endfor %}", OutOfFuel, "", ""),
        ("{{ 'x' | regex_replace('\\\\w{500}{500}', '') }}", Failed, "", "too large"),
    ] {
        let (found, place, said, help) = fails(text);
        let is_right = found == kind && (at.is_empty() || place == at) && said.contains(message);
        if !is_right || said.ends_with('.') || said.contains('\n') {
            wrong.push(format!("{text}: {found:?} at {place:?}: {said} ({help})"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A list of itself and itself, so many times over that nobody comes to its end: each of these would run for years if the engine began
/// to walk. That it is nested too deeply is seen on the first way down.
#[test]
fn nothing_walks_over_a_value_before_it_is_paid_for() {
    let doubled = "{% set x = [x, x] %}{% set y = [y, y] %}".repeat(130);
    let start = format!("{{% set x = 'a' %}}{{% set y = 'a' %}}{doubled}");
    for expression in [
        "x ~ ''",
        "'' ~ x",
        "x == y",
        "x != y",
        "x < y",
        "x <= y",
        "x > y",
        "x >= y",
        "x in [y]",
        "x not in [y]",
        "{x: 1}",
        "{'a': 1}[x]",
        "inputs.map[x]",
        "x is eq(y)",
        "x is in([y])",
        "x is sameas(y)",
        "x is upper",
        "[y] | select('==', x) | list",
        "(x, y) | max",
        "x | upper",
        "x | capitalize",
        "x | escape",
        "x | indent",
        "x | tojson",
        "x | string",
        "x | pprint",
        "x | join",
        "x | unique | list",
        "'a' | replace(x, y)",
        "{'a': x} | attr(y)",
        "{'a': x} | dictsort",
        "[x, y] | sort",
        "[x, y] | map('string') | list",
    ] {
        let (kind, _, message, _) = fails(&format!("{start}{{{{ ({expression}) is defined }}}}"));
        assert_eq!(
            (kind, message.contains("128 deep")),
            (TemplateErrorKind::TooLarge, true),
            "{expression}: {message}"
        );
    }
    let (kind, place, _, help) = fails(&format!("{start}{{{{ x == x == y }}}}"));
    assert_eq!((kind, &*place), (TemplateErrorKind::Syntax, "x == x == y"), "{help}");
    // What is made of constants alone, the engine makes when it compiles.
    for text in
        ["{{ [[3] * 7224588 ~ 50] }}", "{{ ([1] * 9000000) == ([1] * 9000000) }}", "{{ 1 in [0] * 5000 * 5000 }}"]
    {
        assert_eq!(fails(text).0, TemplateErrorKind::TooLarge, "{text}");
    }
    // As often as there are items, an argument is walked over.
    let (kind, ..) = fails("{{ (range(10000) | select('==', [range(10000) | list] * 9) | list) is defined }}");
    assert_eq!(kind, TemplateErrorKind::OutOfFuel);
}

/// What is weighed is the same afterwards.
#[test]
fn operators_give_what_the_engine_gives() {
    for (text, value) in [
        ("{{ 1 ~ 'a' ~ inputs.yes ~ inputs.list }}", json!("1atrue[\"a\",\"b\"]")),
        ("{{ [1, 2] == [1, 2] and 1 != 2 and 'a' < 'b' and 2 <= 2 and 3 > 2 and [2] >= [1] }}", json!(true)),
        (
            "{{ [2 in [1, 2], 3 not in [1, 2], 'b' in 'abc', 'k' in inputs.map, 1 < 2 < 3, 3 > inputs.n > 1] }}",
            json!([true, true, true, true, true, false]),
        ),
        ("{{ {'a': 1, inputs.name: 2, 'c' ~ 1: {}} }}", json!({"a": 1, "Ann": 2, "c1": {}})),
        (
            "{{ [inputs.list[0], inputs.list[-1], inputs.map['k'][0], 'abc'[1], (range(9) | list)[inputs.n]] }}",
            json!(["a", "b", 1, "b", 3]),
        ),
        ("{{ inputs.list[9] | default('none') }}", json!("none")),
        ("{{ [{'a': 2}, {'a': 1}] | map(attribute='a') | sort(reverse=true) | join(d='-') }}", json!("2-1")),
        ("{{ ([0] * 5)[4] }}", json!(0)),
    ] {
        assert_eq!(render(text), value, "{text}");
    }
}

#[test]
fn hints_name_what_is_near() {
    for (text, hint) in [
        ("{{ input.name }}", "did you mean `inputs`?"),
        ("{{ inputs.nam }}", "did you mean `name`?"),
        ("{{ steps.one.imge }}", "did you mean `image`?"),
        ("{{ inputs.name | uper }}", "did you mean `upper`?"),
        ("{{ inputs.name.upper() }}", "`upper` is a filter: write `value | upper`"),
        ("a {{ inputs.none }}", "| default(\"\", true)"),
        ("{{ steps.two.image }}", "steps.two.images"),
        ("{{ steps.two.output }}", "`node_outputs`"),
        ("{{ steps.one.items }}", "foreach"),
        ("{{ inputs.map.zzzzzz }}", "it has `k`"),
    ] {
        let (_, _, _, help) = fails(text);
        assert!(help.contains(hint), "{text}: {help}");
    }
}

#[test]
fn all_errors_of_a_text_are_told() {
    use TemplateErrorKind::{ComputedStep, UnknownFilter, UnknownName};
    let errors = Template::compile("{{ foo }} {{ inputs.x | nope }} {{ steps[foo] }}").unwrap_err();
    let kinds: Vec<_> = errors.iter().map(|error| error.kind).collect();
    assert_eq!(kinds, [UnknownName, UnknownFilter, UnknownName, ComputedStep]);
}

#[test]
fn references_are_read_from_the_tree() {
    for (text, expected) in [
        ("{{ steps.a.images[0] }}", vec!["steps.a.images[0]"]),
        ("{{ steps['a'].x }} {{ steps[\"b-c\"] }}", vec!["steps.a.x", "steps[\"b-c\"]"]),
        ("{{ inputs.a | default(vars.b) }}", vec!["inputs.a", "vars.b"]),
        ("{{ inputs[vars.k].z }}", vec!["inputs[…].z", "vars.k"]),
        ("{{ 'a' if steps.a.status == 'x' else secrets.K }}", vec!["steps.a.status", "secrets.K"]),
        (
            "{% for item in steps.a.images %}{{ item.x }}{{ index }}{% endfor %}{{ item }}",
            vec!["steps.a.images", "index", "item"],
        ),
        ("{% set x = vars.a %}{{ x.b }}", vec!["vars.a"]),
        ("{% with n = inputs.n %}{{ n }}{% endwith %}{{ n }}", vec!["inputs.n", "n"]),
        ("{% set x %}{{ vars.a }}{% endset %}{{ x }}", vec!["vars.a"]),
        ("{% filter upper %}{{ vars.a }}{% endfilter %}", vec!["vars.a"]),
        ("{% if run.id %}{% elif ext %}{% else %}{{ step.id }}{% endif %}", vec!["run.id", "ext", "step.id"]),
        ("{{ dict(a=vars.a) }}{{ [vars.b, {'k': vars.c}] }}", vec!["vars.a", "vars.b", "vars.c"]),
        ("{{ inputs.list[vars.a:vars.b] }}", vec!["inputs.list", "vars.a", "vars.b"]),
        ("{{ (steps.a).image }}", vec!["steps.a.image"]),
        ("{# {{ steps.z }} #}", vec![]),
    ] {
        let template = Template::compile(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        let found: Vec<_> = template.references().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn references_know_their_places() {
    let text = "é {{ steps . a['images'] [0] | first }}";
    let template = Template::compile(text).unwrap();
    let [reference] = template.references() else { panic!("one reference") };
    assert_eq!(&text[reference.range.clone()], "steps . a['images'] [0]");
    let segments: Vec<_> = reference.segments.iter().map(|range| &text[range.clone()]).collect();
    assert_eq!(segments, ["a", "'images'", "0"]);
    assert_eq!(reference.key(), Some("a"));
}

#[test]
fn lone_references_are_told_from_expressions() {
    for (text, is_lone, reference) in [
        ("{{ steps.a.images }}", true, Some("steps.a.images")),
        (" {{ inputs['x'] }} ", true, Some("inputs.x")),
        ("{{ inputs.x | upper }}", true, None),
        ("{{ inputs.x + 1 }}", true, None),
        ("{{ inputs[vars.x] }}", true, None),
        ("{{ inputs.x }}!", false, None),
        ("{{ inputs.x }}{{ inputs.y }}", false, None),
        ("plain", false, None),
    ] {
        let template = Template::compile(text).unwrap();
        assert_eq!(template.is_lone(), is_lone, "{text}");
        assert_eq!(template.lone_reference().map(ToString::to_string).as_deref(), reference, "{text}");
    }
    assert!(Template::compile("plain").unwrap().is_constant());
    assert!(!Template::compile("{# c #}").unwrap().is_constant());
}

#[test]
fn expressions_hold_or_not() {
    for (text, expected) in [
        ("inputs.n == 3", true),
        ("{{ inputs.n == 3 }}", true),
        (" {{ inputs.n > 3 }} ", false),
        ("inputs.name != \"1:1\" and not inputs.none", true),
        ("steps.bad.status == 'failed'", true),
        ("inputs.list", true),
        ("inputs.empty", false),
        ("inputs.missing is undefined", true),
        ("'x' in {'x': {'y': 1}}", true),
        ("true", true),
    ] {
        let template = Template::expression(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        assert_eq!(template.holds(&scope()), Ok(expected), "{text}");
    }
    assert_eq!(
        Template::expression("inputs.x").unwrap().lone_reference().map(ToString::to_string).as_deref(),
        Some("inputs.x")
    );
    for text in ["", "  ", "{{ inputs.a }} x", "{{ a", "inputs.a }}", "inputs.a inputs.b", "{% if true %}{% endif %}"] {
        assert!(Template::expression(text).is_err(), "{text}");
    }
    let error = Template::expression("inputs.n > inputs.gone").unwrap().holds(&scope()).unwrap_err();
    assert_eq!((error.kind, &"inputs.n > inputs.gone"[error.range]), (TemplateErrorKind::Undefined, "gone"));
    let error = Template::expression("inputs.gone").unwrap().holds(&scope()).unwrap_err();
    assert_eq!(error.kind, TemplateErrorKind::Undefined);
}

#[test]
fn no_text_overflows_the_stack() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{1:", "}"),
        ("not ", ""),
        ("-", ""),
        ("1 if ", " else 2"),
        ("1 + ", "1"),
        ("1 ~ ", "1"),
        ("inputs", ".a"),
        ("inputs", "[0]"),
        ("inputs", "|upper"),
        ("inputs", "(1)"),
        ("inputs", " is defined"),
        ("1 ** ", "1"),
        ("1 < ", "1"),
        ("a.", "b"),
        ("[1,", "]"),
        ("range(", ")"),
    ] {
        for count in [60, 140, 10_000] {
            let inner = format!("{}1{}", open.repeat(count), close.repeat(count));
            for text in [
                format!("{{{{ {inner} }}}}"),
                format!("x {{{{ {inner} }}}}"),
                format!("{{% if {inner} %}}{{% endif %}}"),
            ] {
                if let Ok(template) = Template::compile(&text) {
                    let _ = template.render(&scope());
                }
            }
            let _ = Template::expression(&inner).map(|template| template.holds(&scope()));
        }
    }
    for (open, close) in [
        ("{% if inputs.n %}", "{% endif %}"),
        ("{% if inputs.n %}", ""),
        ("{% if inputs.n %}{% elif inputs.n %}", "{% endif %}"),
        ("{% for a in [1] %}", "{% endfor %}"),
        ("{% set a %}", "{% endset %}"),
        ("{% with a = 1 %}", "{% endwith %}"),
        ("{{", "}}"),
        ("{{ ", ""),
        ("{#", ""),
        ("{% raw %}", ""),
    ] {
        for count in [20, 140, 10_000] {
            let text = format!("{}x{}", open.repeat(count), close.repeat(count));
            if let Ok(template) = Template::compile(&text) {
                let _ = template.render(&scope());
            }
        }
    }
    let elifs = format!("{{% if inputs.n == 0 %}}{}{{% endif %}}", "{% elif inputs.n == 0 %}".repeat(5000));
    assert_eq!(Template::compile(&elifs).unwrap_err()[0].kind, TemplateErrorKind::TooLarge);
    let long = format!("{{{{ inputs.n }}}}{}", "a".repeat(LONGEST_TEMPLATE));
    assert_eq!(Template::compile(&long).unwrap_err()[0].kind, TemplateErrorKind::TooLarge);
}

#[test]
fn values_stay_bounded_however_deep_or_wide() {
    let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
    let scope = Scope::new().with(Root::Inputs, &json!({ "deep": deep }));
    let error = Template::compile("{{ inputs.deep }}").unwrap().render(&scope).unwrap_err();
    assert_eq!(error.kind, TemplateErrorKind::TooLarge);
}

#[test]
fn no_error_shows_a_secret() {
    for text in
        ["{{ secrets.KEY | int }}", "{{ secrets.KEY | fromjson }}", "{{ secrets.KEY.x.y }}", "{{ {}[secrets.KEY].x }}"]
    {
        let error = Template::compile(text).unwrap().render(&scope()).unwrap_err();
        assert!(!format!("{error:?}").contains("very-secret"), "{text}: {error:?}");
    }
    assert!(!format!("{:?}", scope()).contains("very-secret"));
    let scope = Scope::new().with(Root::Inputs, &json!({ "pin": "123456789x" })).hide(Secret::new("123456789x"));
    let error = Template::compile("{{ inputs.pin | int }}").unwrap().render(&scope).unwrap_err();
    assert!(!format!("{error:?}").contains("123456789x"), "{error:?}");
}

#[test]
fn results_are_shared_not_rebuilt() {
    let big: Vec<_> = (0..20_000).map(|n| json!({ "n": n, "text": "some text" })).collect();
    let (id, shown) = shown("big", StepStatus::Succeeded, &json!({ "big": { "rows": big } }));
    let template = Template::compile("{{ steps.big.output.rows[7].n }}").unwrap();
    for _ in 0..5_000 {
        let scope = Scope::new().with_step(&id, &shown);
        assert_eq!(template.render(&scope), Ok(json!(7)));
    }
}

#[test]
fn a_diagnostic_points_into_the_file() {
    let text = "prompt: \"{{ inputs.nam }}\"\n";
    let source = Arc::new(Source::new("w.yaml", text));
    let mut map = SourceMap::default();
    let pointer = Pointer::root().join("prompt");
    map.insert(pointer.clone(), Place { key: Some(Span::new(0..6)), value: Span::new(8..26), runs: vec![(0, 9)] });
    let error = Template::compile("{{ inputs.nam }}").unwrap().render(&scope()).unwrap_err();
    let diagnostic = diagnostic(&error, &source, &map, &pointer);
    assert_eq!(diagnostic.code, Code::TemplateFailed);
    assert_eq!(&text[diagnostic.primary().unwrap().span.range()], "nam");
    assert_eq!(diagnostic.help.as_deref(), Some("did you mean `name`?"));
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no such number", |number| number.is_finite()).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((".{0,4}", inner), 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_comes_through_unchanged(value in json_value()) {
        let scope = Scope::new().with(Root::Inputs, &json!({ "x": value }));
        let rendered = Template::compile("{{ inputs.x }}").unwrap().render(&scope).unwrap();
        prop_assert_eq!(rendered.to_string(), value.to_string());
        let text = Template::compile("{{ inputs.x | tojson | fromjson }}").unwrap().render(&scope).unwrap();
        prop_assert_eq!(text, value);
    }

    #[test]
    fn no_text_makes_the_compiler_panic(parts in proptest::collection::vec(
        prop_oneof![
            ".{0,3}".prop_map(String::from),
            proptest::sample::select(vec![
                "{{", "}}", "{%", "%}", "{#", "#}", "-", "if", "for", "in", "set", "endif", "endfor", "else", " ", ".", "[",
                "]", "(", ")", "|", "steps", "inputs", "a", "'", "\"", "1", "is", "not", "~", "*", ",", "=", "{", "}", "\\",
                "raw", "endraw", "macro", "call", "\n", "é", "1e999", "99999999999999999999999999",
            ]).prop_map(str::to_owned),
        ],
        0..24,
    )) {
        let text = parts.concat();
        for compiled in [Template::compile(&text), Template::expression(&text)] {
            match compiled {
                Ok(template) => {
                    for reference in template.references() {
                        prop_assert!(text.get(reference.range.clone()).is_some());
                    }
                    if let Err(error) = template.render(&scope()) {
                        prop_assert!(text.get(error.range).is_some());
                    }
                }
                Err(errors) => {
                    prop_assert!(!errors.is_empty());
                    for error in errors {
                        prop_assert!(text.get(error.range).is_some());
                    }
                }
            }
        }
    }
}

/// The inputs of a run with two local files, and what only looks like one.
fn file_inputs() -> Value {
    json!({ "picture": "in/a b.PNG", "absent": null, "far": "https://example.com/x.png", "text": "/etc/passwd", "n": 1 })
}

fn files() -> Files {
    Files::new("/home/flow").with_inputs(["picture", "absent", "far"])
}

#[test]
fn files_become_what_stands_for_them() {
    let mut known = files();
    known.insert("in/a b.PNG", json!("ref-1"));
    known.insert("/abs/c.mp4", json!("ref-2"));
    let (id, answer) = shown("one", StepStatus::Succeeded, &json!({ "one": { "outputText": "/etc/passwd" } }));
    let scope = Scope::new().with(Root::Inputs, &file_inputs()).with_step(&id, &answer).with_files(&known);
    for (text, expected) in [
        ("{{ inputs.picture }}", json!("ref-1")),
        ("{{ [inputs.picture, {'a': inputs.picture}] }}", json!(["ref-1", { "a": "ref-1" }])),
        ("{{ inputs }}", {
            let mut all = file_inputs();
            all["picture"] = json!("ref-1");
            all
        }),
        ("{{ file('in/./a b.PNG') }}", json!("ref-1")),
        ("{{ file(\"/abs/c.mp4\") }}", json!("ref-2")),
        ("{{ file('/abs/' ~ 'c.mp4') }}", json!("ref-2")),
        ("{{ file(inputs.picture) }}", json!("ref-1")),
        ("{{ file(*['/abs/c.mp4']) }}", json!("ref-2")),
        ("{{ file('https://example.com/z.png') }}", json!("https://example.com/z.png")),
        ("{{ inputs.picture | basename }} {{ file('/abs/c.mp4') | file_ext }}", json!("a b.PNG mp4")),
        ("{{ [inputs.picture] | map('file_ext') | first }}", json!("png")),
        ("look at {{ inputs.picture }}", json!("look at ref-1")),
        ("x {{ 'a ' ~ file('/abs/c.mp4') ~ [inputs.picture] | join }}", json!("x a ref-2ref-1")),
        ("x {{ [inputs.picture] }} {{ {'a': inputs.picture} | tojson }}", json!("x [\"ref-1\"] {\"a\": \"ref-1\"}")),
        ("{{ inputs.picture | pprint }}", json!("ref-1")),
        ("{{ 1 if inputs.picture else 2 }}{{ inputs.picture is defined }}", json!("1true")),
        ("{% macro m(p) %}{{ file(p) }}{% endmacro %}{{ m('/abs/c.mp4') }}", json!("ref-2")),
        ("{% for p in ['/abs/c.mp4'] %}{{ file(p) }}{% endfor %}", json!("ref-2")),
        ("{{ [file('/abs/c.mp4'), inputs.picture] | sort | unique | list }}", json!(["ref-2", "ref-1"])),
        // Neither what an API answered nor what merely looks like a path is a file.
        ("{{ steps.one.text }}", json!("/etc/passwd")),
        ("{{ inputs.text }} {{ inputs.n }}", json!("/etc/passwd 1")),
        ("{{ [inputs.far, inputs.absent] }}", json!(["https://example.com/x.png", null])),
    ] {
        let template = Template::compile(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
        assert_eq!(template.render(&scope), Ok(expected), "{text}");
    }
    assert_eq!(known.missing(), Vec::<std::path::PathBuf>::new());
    assert_eq!(known.used(), ["/abs/c.mp4", "/home/flow/in/a b.PNG"].map(std::path::PathBuf::from));
}

#[test]
fn files_without_a_reference_are_placeholders_and_noted() {
    let mut files = files();
    let render = |files: &Files| {
        let scope = Scope::new().with_files(files).with(Root::Inputs, &file_inputs());
        let template = Template::compile("{{ [inputs.picture, file('b.png') if inputs.n == 1 else file('c.png')] }}");
        template.unwrap().render(&scope).unwrap()
    };
    assert_eq!(render(&files), json!(["https://staged.invalid/a%20b.PNG", "https://staged.invalid/b.png"]));
    let missing = files.missing();
    assert_eq!(missing, [std::path::Path::new("/home/flow/b.png"), std::path::Path::new("/home/flow/in/a b.PNG")]);
    for (path, reference) in missing.iter().zip([json!("u"), json!({ "media_ref": "m" })]) {
        files.insert(path, reference);
    }
    assert_eq!(render(&files), json!([{ "media_ref": "m" }, "u"]));
    assert!(files.missing().is_empty());

    // Only the name is wanted: nothing has to be delivered, yet the value depends on a file.
    let named = Files::new("/").with_inputs(["picture"]);
    let scope = Scope::new().with(Root::Inputs, &file_inputs()).with_files(&named);
    assert_eq!(Template::compile("{{ inputs.picture | basename }}").unwrap().render(&scope), Ok(json!("a b.PNG")));
    assert!(named.missing().is_empty() && !named.used().is_empty());
    let untouched = Files::new("/").with_inputs(["picture"]);
    let scope = Scope::new().with(Root::Inputs, &file_inputs()).with_files(&untouched);
    assert_eq!(Template::compile("{{ inputs.n }}").unwrap().render(&scope), Ok(json!(1)));
    assert!(untouched.used().is_empty());
}

#[test]
fn each_provider_has_references_of_its_own() {
    let (mut one, mut two) = (files(), files());
    one.insert("in/a b.PNG", json!("one"));
    two.insert("in/a b.PNG", json!("two"));
    let scope = Scope::new().with(Root::Inputs, &file_inputs()).with_files(&one);
    let template = Template::compile("{{ inputs.picture }}").unwrap();
    assert_eq!(template.render(&scope), Ok(json!("one")));
    assert_eq!(template.render(&scope.with_files(&two)), Ok(json!("two")));
}

#[test]
fn an_object_that_stands_for_a_file_has_no_text() {
    let mut files = files();
    files.insert("in/a b.PNG", json!({ "media_ref": "m" }));
    let scope = Scope::new().with(Root::Inputs, &file_inputs()).with_files(&files);
    let whole = Template::compile("{{ [inputs.picture] }}").unwrap();
    for text in ["x {{ inputs.picture }}", "{{ 'x' ~ inputs.picture }}", "{{ inputs.picture | upper }}"] {
        let error = Template::compile(text).unwrap().render(&scope).unwrap_err();
        assert_eq!(error.kind, TemplateErrorKind::File, "{text}: {error:?}");
        assert!(error.message.contains("`in/a b.PNG`"), "{text}: {error:?}");
        assert_eq!(whole.render(&scope), Ok(json!([{ "media_ref": "m" }])), "a failure stays its own");
    }
}

#[test]
fn where_no_provider_is_near_a_file_is_its_path_or_an_error() {
    let scope =
        Scope::new().with(Root::Inputs, &file_inputs()).with(Root::Vars, &json!({ "plain": 1 })).without_vars(["hero"]);
    for (text, expected) in [
        ("{{ inputs.picture }}", json!("in/a b.PNG")),
        ("{{ inputs.picture | basename }}", json!("a b.PNG")),
        ("{{ vars.plain }}", json!(1)),
        ("{{ 1 if inputs.n else file('a.png') }}", json!(1)),
    ] {
        assert_eq!(Template::compile(text).unwrap().render(&scope), Ok(expected), "{text}");
    }
    for text in ["{{ file('a.png') }}", "x {{ file('a.png') }}", "{{ [vars.hero] }}", "x {{ vars.hero }}"] {
        let error = Template::compile(text).unwrap().render(&scope).unwrap_err();
        assert_eq!(error.kind, TemplateErrorKind::File, "{text}: {error:?}");
        assert!(error.help.unwrap().contains("only in a step's `inputs` or `params`"), "{text}");
    }
}

#[test]
fn calls_of_file_are_read_from_the_tree() {
    let text = "é {{ file('a.png') }} {{ file(inputs.p ~ '.png') }} {% set p = item %}{{ file(p) }}";
    let template = Template::compile(text).unwrap();
    let calls: Vec<_> = template
        .files()
        .iter()
        .map(|call| (call.path.as_deref(), call.roots.as_slice(), &text[call.range.clone()]))
        .collect();
    assert_eq!(
        calls,
        [
            (Some("a.png"), &[][..], "'a.png'"),
            (None, &[Root::Inputs][..], "inputs.p ~ '.png'"),
            // What a local name holds may come from anywhere in the template.
            (None, &[Root::Inputs, Root::Item][..], "p"),
        ]
    );
    assert_eq!(Template::expression("file('x' ~ 'y')").unwrap().files()[0].path.as_deref(), Some("xy"));
    assert!(Template::compile("{% for file in [1] %}{{ file }}{% endfor %}").unwrap().files().is_empty());
}

#[test]
fn wrong_files_are_told_before_the_run() {
    for (text, at, message) in [
        ("{{ file() }}", "file()", "takes one path, and none"),
        ("{{ file('a', 'b') }}", "file('a', 'b')", "and more"),
        ("{{ file(path='a') }}", "file(path='a')", "a named argument"),
        ("{{ file(3) }}", "3", "not a number"),
        ("{{ file('') }}", "''", "empty"),
        ("{{ file('a\\0b') }}", "'a\\0b'", "NUL"),
        ("{{ file('file:///etc/passwd') }}", "'file:///etc/passwd'", "neither a local path nor a URL"),
        ("{{ file(steps.one.text) }}", "steps.one.text", "a step's result"),
        ("{{ file('a' if steps.one.text else 'b') }}", "'a' if steps.one.text else 'b'", "a step's result"),
        ("{% set p = steps.one.text %}{{ file(p) }}", "p", "a step's result"),
        ("{% set p %}{{ steps.one.text }}{% endset %}{{ file(p) }}", "p", "a step's result"),
        ("{% for p in steps.one.images %}{{ file('x/' ~ p) }}{% endfor %}", "'x/' ~ p", "a step's result"),
        ("{% macro m(p) %}{{ file(p) }}{% endmacro %}{{ m(steps.one.text) }}", "p", "a step's result"),
        (
            "{% macro m() %}{{ file(caller()) }}{% endmacro %}{% call m() %}{{ steps.one.text }}{% endcall %}",
            "caller()",
            "a step's result",
        ),
        ("{% set n = namespace() %}{% set n.p = steps.one.text %}{{ file(n.p) }}", "n.p", "a step's result"),
    ] {
        let errors = Template::compile(text).unwrap_err();
        let error = errors.iter().find(|error| error.kind == TemplateErrorKind::File).unwrap_or_else(|| {
            panic!("{text}: {errors:?}");
        });
        assert!(error.message.contains(message), "{text}: {error:?}");
        assert_eq!(&text[error.range.clone()], at, "{text}");
    }
    let files = files();
    let scope = Scope::new().with(Root::Inputs, &file_inputs()).with_files(&files);
    for (text, message) in [
        ("{{ file(inputs.n) }}", "not a number"),
        ("{{ file(*[1, 2]) }}", "takes one path"),
        ("{{ file('a' * 5000) }}", "more than 4096"),
        ("{{ inputs.picture.x }}", "`inputs.picture` is a file and has no `x`"),
        ("{{ inputs.picture | sha256 }}", ""),
        ("{{ inputs.n | basename }}", "a path or URL is wanted here"),
    ] {
        let error = Template::compile(text).unwrap().render(&scope).unwrap_err();
        assert!(error.message.contains(message), "{text}: {error:?}");
    }
    assert!(files.used().is_empty(), "nothing was named");
}
