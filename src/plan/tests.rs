//! Plans of workflows that are built here by hand: how large ones behave, and what a plan is made of. What is wrong with a file
//! is tested with files, in `tests/diagnostics`.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Value, json};

use super::*;
use crate::{
    contract::{Contract, Port, ValueKind},
    diagnostic::Code,
    job::Target,
    source::{Source, SourceMap},
    spec::{Concurrency, Defaults, FailurePolicy, Input, Step, Trigger, Verb, Workflow},
};

fn step(verb: Verb, inputs: &Value) -> Step {
    Step {
        verb,
        provider: None,
        inputs: inputs.as_object().cloned().unwrap_or_default(),
        mode: None,
        scope: None,
        params: None,
        options: None,
        needs: Vec::new(),
        when: None,
        trigger: Trigger::default(),
        foreach: None,
        matrix: None,
        max_parallel: None,
        timeout: None,
        poll: None,
        retry: None,
        fallback: Vec::new(),
        on_error: None,
        cache: None,
        save: None,
        expect: None,
        estimate: None,
        description: None,
        labels: IndexMap::new(),
    }
}

fn model(inputs: &Value) -> Step {
    step(Verb::Run { kind: TargetKind::Model, name: "acme/draw".to_owned() }, inputs)
}

fn document(inputs: IndexMap<String, Input>, vars: &Value, steps: Vec<(String, Step)>) -> Arc<Document> {
    let workflow = Workflow {
        name: "test".to_owned(),
        description: None,
        labels: IndexMap::new(),
        inputs,
        secrets: vec!["KEY".to_owned()],
        vars: vars.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())).collect(),
        defaults: Defaults::default(),
        concurrency: Concurrency::default(),
        budget: None,
        timeout: None,
        failure_policy: FailurePolicy::default(),
        steps: steps.into_iter().map(|(id, step)| (id.parse().expect("an id"), step)).collect(),
        finally: IndexMap::new(),
        outputs: IndexMap::from([("all".to_owned(), json!("{{ steps.a.image }}"))]),
        schedule: Vec::new(),
        notify: Vec::new(),
    };
    Arc::new(Document {
        workflows: IndexMap::new(),
        source: Arc::new(Source::new("test.yaml", "")),
        map: SourceMap::default(),
        workflow,
        definitions: HashMap::new(),
    })
}

fn input(schema: &Value, secret: bool) -> Input {
    Input {
        schema: schema.as_object().cloned().expect("a schema"),
        file: false,
        media: None,
        default: None,
        optional: false,
        secret,
        description: None,
    }
}

fn offers() -> Vec<Offer> {
    let port = |id: &str, kind, many, required| Port {
        id: id.to_owned(),
        label: None,
        handle: None,
        required,
        kind,
        many,
        nullable: false,
        options: Vec::new(),
        minimum: None,
        maximum: None,
        default: None,
    };
    let contract = Contract {
        schema: None,
        modes: Vec::new(),
        unchecked: false,
        target: Target { kind: TargetKind::Model, id: "acme/draw".to_owned() },
        name: "Draw".to_owned(),
        description: None,
        cost: Some(70.0),
        output: Some(ValueKind::Image),
        open: true,
        ports: vec![
            port("prompt", ValueKind::Text, false, true),
            port("image_input", ValueKind::Image, true, false),
            port("steps", ValueKind::Number, false, false),
        ],
    };
    vec![Offer {
        catalog: Some(Catalog::new([contract])),
        ..Offer::new("armox", &[TargetKind::Model, TargetKind::App])
    }]
}

fn diamond() -> Arc<Document> {
    let image = |id: &str| json!([format!("{{{{ steps.{id}.image }}}}")]);
    let a = model(&json!({ "prompt": "{{ vars.prompt }}", "steps": "{{ inputs.n }}" }));
    let b =
        Step { when: Some("inputs.n > 2".to_owned()), ..model(&json!({ "prompt": "b", "image_input": image("a") })) };
    let c = model(&json!({ "prompt": "key {{ secrets.KEY }} {{ inputs.token }}", "image_input": image("a") }));
    let sum = json!({ "images": ["{{ steps.b.image }}", "{{ steps.c.image }}"], "n": "{{ inputs.n }}" });
    let d = Step {
        needs: vec!["b".parse().expect("an id")],
        ..step(Verb::Set(sum.as_object().cloned().expect("a map")), &json!({}))
    };
    let inputs = IndexMap::from([
        ("n".to_owned(), input(&json!({ "type": "integer" }), false)),
        ("token".to_owned(), input(&json!({ "type": "string" }), true)),
    ]);
    let steps = [("a", a), ("b", b), ("c", c), ("d", d)].map(|(id, step)| (id.to_owned(), step));
    document(inputs, &json!({ "prompt": "draw {{ inputs.n }}" }), steps.into())
}

/// Returns what was told but for what is unused: in these workflows steps and secrets stand for their own sake.
fn wrong(outcome: &Outcome) -> Vec<Diagnostic> {
    let is_unused = |code| matches!(code, Code::Unused | Code::UnusedStep);
    outcome.diagnostics.iter().filter(|told| !is_unused(told.code)).cloned().collect()
}

fn given() -> Given {
    Given {
        inputs: json!({ "n": 3, "token": "very secret token" }).as_object().cloned().expect("a map"),
        secrets: [("KEY".to_owned(), Secret::new("hidden key"))].into(),
    }
}

#[test]
fn a_diamond_is_planned_with_what_is_known() {
    let outcome = plan(&diamond(), Some(&given()), &offers());
    assert_eq!(wrong(&outcome), []);
    let plan = outcome.plan.expect("nothing is wrong");
    assert_eq!(plan.waves().iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 1]);
    assert_eq!(plan.vars["prompt"], "draw 3");
    assert_eq!(plan.step(StepIx(3)).reads, [StepIx(1), StepIx(2)]);
    assert_eq!(plan.find("c"), Some(StepIx(2)));
    assert_eq!(plan.step(StepIx(0)).timeout, Duration::from_mins(30));
    let preview = preview(&plan, &|_| None);
    let text = serde_json::to_string(&preview).expect("plain data");
    for hidden in ["hidden key", "very secret token"] {
        assert!(!text.contains(hidden) && !format!("{plan:?}").contains(hidden), "{text}");
    }
    let value = serde_json::to_value(&preview).expect("plain data");
    assert_eq!(value["waves"][0][0]["inputs"], json!({ "prompt": "draw 3", "steps": 3 }));
    assert_eq!(value["waves"][1][0]["when"], json!({ "text": "inputs.n > 2", "verdict": true }));
    assert_eq!(value["waves"][1][1]["inputs"]["prompt"], "key {{ secrets.KEY }} {{ inputs.token }}");
    assert_eq!(value["waves"][1][1]["unknown"], 2);
    assert_eq!(value["waves"][2][0]["output"]["n"], 3);
    assert_eq!(value["credits"], json!({ "known": 210.0, "unknown_jobs": 0 }));
    assert_eq!(value["counts"]["requests"], 3);
}

#[test]
fn the_digest_follows_the_inputs_and_not_the_secrets() {
    let document = diamond();
    let digest = |given: &Given| plan(&document, Some(given), &offers()).plan.expect("a plan").digest;
    let first = digest(&given());
    let mut other = given();
    other.secrets.insert("KEY".to_owned(), Secret::new("another key"));
    assert_eq!(digest(&other), first);
    other.inputs.insert("n".to_owned(), json!(4));
    assert_ne!(digest(&other), first);
}

#[test]
fn validating_needs_no_values_and_no_key() {
    let mut offers = offers();
    offers[0].configured = false;
    let outcome = plan(&diamond(), None, &offers);
    assert_eq!(wrong(&outcome), []);
    assert!(outcome.plan.is_some());
    let codes: Vec<_> = plan(&diamond(), Some(&given()), &offers).diagnostics.iter().map(|d| d.code).collect();
    assert_eq!(codes, [Code::NoProvider], "told once, and a run needs one");
    offers[0].catalog = None;
    assert_eq!(wrong(&plan(&diamond(), None, &offers)), []);
}

#[test]
fn a_provider_is_chosen_only_when_it_is_clear() {
    let mut offers = offers();
    offers.push(Offer { alias: "other".to_owned(), ..offers[0].clone() });
    let codes = |step: Step| {
        let document = document(IndexMap::new(), &json!({}), vec![("a".to_owned(), step)]);
        wrong(&plan(&document, None, &offers)).iter().map(|d| d.code).collect::<Vec<_>>()
    };
    let draw = model(&json!({ "prompt": "a" }));
    assert_eq!(codes(draw.clone()), [Code::SeveralProviders]);
    assert_eq!(codes(Step { provider: Some("other".to_owned()), ..draw.clone() }), []);
    assert_eq!(codes(Step { provider: Some("armux".to_owned()), ..draw }), [Code::UnknownProvider]);
    let agent = step(Verb::Run { kind: TargetKind::Agent, name: "x".to_owned() }, &json!({}));
    assert_eq!(codes(Step { provider: Some("armox".to_owned()), ..agent.clone() }), [Code::ProviderVerb]);
    assert_eq!(codes(agent), [Code::NoProvider]);
}

#[test]
fn inputs_of_a_run_are_told_all_at_once() {
    let inputs = IndexMap::from([
        ("n".to_owned(), input(&json!({ "type": "integer", "minimum": 3 }), false)),
        ("name".to_owned(), input(&json!({ "type": "string" }), false)),
        ("sketch".to_owned(), Input { file: true, ..input(&json!({ "type": "string" }), false) }),
        ("bad".to_owned(), Input { optional: true, ..input(&json!({ "type": "strin" }), false) }),
        ("aspect".to_owned(), Input { default: Some(json!(3)), ..input(&json!({ "type": "string" }), false) }),
    ]);
    let document = document(inputs, &json!({}), vec![("a".to_owned(), model(&json!({ "prompt": "{{ inputs.n }}" })))]);
    let given = Given {
        inputs: json!({ "n": 1, "sketch": "./a.png", "nam": "x" }).as_object().cloned().expect("a map"),
        secrets: BTreeMap::new(),
    };
    let outcome = plan(&document, Some(&given), &offers());
    // Whether a local file is there is for the caller to see.
    assert!(outcome.files.len() == 1 && outcome.files[0].path.ends_with("a.png"), "{:?}", outcome.files);
    let mut codes: Vec<_> = outcome.diagnostics.iter().map(|d| d.code).collect();
    codes.sort_unstable();
    let expected = [
        Code::BadInputSchema,
        Code::InputMissing,
        Code::InputUnknown,
        Code::InputInvalid,
        Code::InputInvalid,
        Code::SecretMissing,
    ];
    assert_eq!(codes, expected);
}

#[test]
fn a_file_is_a_path_or_a_url_and_nothing_else() {
    let file = Input { file: true, ..input(&json!({ "type": "string" }), false) };
    let inputs = IndexMap::from([("sketch".to_owned(), file)]);
    let document =
        document(inputs, &json!({}), vec![("a".to_owned(), model(&json!({ "prompt": "{{ inputs.sketch }}" })))]);
    let told = |text: &str| {
        let inputs = [("sketch".to_owned(), json!(text))].into_iter().collect();
        let outcome = plan(&document, Some(&Given { inputs, ..given() }), &offers());
        let invalid = |told: &&Diagnostic| told.code == Code::InputInvalid;
        outcome.diagnostics.iter().filter(invalid).map(|told| told.message.clone()).collect::<Vec<_>>()
    };
    for good in ["a.png", "./a b.png", "/a.png", "https://example.com/a.png", "HTTP://example.com/a.png"] {
        assert_eq!(told(good), [""; 0], "{good}");
    }
    for bad in ["", " ", "ftp://example.com/a.png", "file:///etc/passwd"] {
        let told = told(bad);
        assert!(
            told.len() == 1 && told[0].starts_with("input `sketch`: the value given for it names no file: "),
            "{told:?}"
        );
    }
}

#[test]
fn values_that_are_known_are_checked_before_the_run() {
    let images = json!({ "type": "array", "items": { "type": "string" } });
    let inputs = IndexMap::from([
        ("n".to_owned(), input(&json!({}), false)),
        ("images".to_owned(), input(&images, false)),
        ("none".to_owned(), Input { optional: true, ..input(&json!({ "type": "string" }), false) }),
    ]);
    let steps = vec![
        ("a".to_owned(), model(&json!({ "prompt": "{{ vars.twice }}", "steps": "{{ inputs.n }}" }))),
        ("b".to_owned(), model(&json!({ "prompt": "{{ inputs.none }}", "image_input": "{{ inputs.images }}" }))),
    ];
    let document = document(inputs, &json!({ "twice": "{{ inputs.n * 2 }}" }), steps);
    let codes = |given: Value| {
        let secrets = [("KEY".to_owned(), Secret::new("hidden key"))].into();
        let given = Given { inputs: given.as_object().cloned().expect("a map"), secrets };
        wrong(&plan(&document, Some(&given), &offers())).iter().map(|d| d.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(json!({ "n": 2, "images": ["https://a/b.png"], "none": "c" })), []);
    let missing = codes(json!({ "n": 2, "images": ["./b.png"] }));
    assert_eq!(missing, [Code::MissingInput, Code::InputType], "a null is left out, and a path is no URL");
    assert_eq!(codes(json!({ "n": {}, "images": [], "none": "c" })), [Code::InputType, Code::TemplateFailed]);
}

#[test]
fn names_that_fit_twice_are_told_with_their_ids() {
    let mut offers = offers();
    let draw = offers[0].catalog.as_ref().expect("it was read").iter().next().expect("one").clone();
    let app = |id: &str, label: &str| {
        let mut app =
            Contract { target: Target { kind: TargetKind::App, id: id.to_owned() }, open: false, ..draw.clone() };
        for port in &mut app.ports {
            port.label = Some(label.to_owned());
            port.required = false;
        }
        app
    };
    offers[0].catalog = Some(Catalog::new([app("one", "Same"), app("two", "Same")]));
    let step = |name: &str| {
        step(
            Verb::Run { kind: TargetKind::App, name: name.to_owned() },
            &json!({ "Same": "x", "prompt": "y", "PROMPT": "z" }),
        )
    };
    let steps = [("a", "Draw"), ("b", "one")].map(|(id, name)| (id.to_owned(), step(name)));
    let found = plan(&document(IndexMap::new(), &json!({}), steps.into()), None, &offers).diagnostics;
    let mut told: Vec<_> = found.iter().map(|d| (d.code, d.help.clone().unwrap_or_default())).collect();
    told.sort();
    // A key that fits two ports hides that any of them is missing; an id always means itself.
    assert_eq!(told[0], (Code::AmbiguousTarget, "name one by its id: `one`, `two`".to_owned()));
    let ids = "name one by its id: `prompt` (Same), `image_input` (Same), `steps` (Same)";
    assert_eq!(told[1], (Code::AmbiguousInput, ids.to_owned()));
    assert_eq!(
        told.iter().map(|(code, _)| *code).collect::<Vec<_>>(),
        [Code::AmbiguousTarget, Code::AmbiguousInput, Code::UnknownInput]
    );
}

/// How long that takes is measured by `benches/plan.rs`.
#[test]
fn a_chain_has_as_many_waves_as_steps() {
    const STEPS: usize = 20_000;
    let steps = (0..STEPS).map(|number| {
        let before = number.saturating_sub(1);
        let inputs = if number == 0 {
            json!({ "prompt": "a" })
        } else {
            json!({ "prompt": "after {{ inputs.n }}", "image_input": [format!("{{{{ steps.s{before}.image }}}}")] })
        };
        (if number == 0 { "a".to_owned() } else { format!("s{number}") }, model(&inputs))
    });
    let mut steps: Vec<_> = steps.collect();
    steps[1].1.inputs.insert("image_input".to_owned(), json!(["{{ steps.a.image }}"]));
    let inputs = IndexMap::from([("n".to_owned(), input(&json!({ "type": "integer" }), false))]);
    let document = document(inputs, &json!({}), steps);
    let given = Given { inputs: json!({ "n": 3 }).as_object().cloned().expect("a map"), ..given() };
    let outcome = plan(&document, Some(&given), &offers());
    assert_eq!(wrong(&outcome), []);
    assert_eq!(outcome.plan.expect("nothing is wrong").waves().len(), STEPS);
}

#[test]
fn what_is_surely_skipped_is_neither_counted_nor_paid() {
    let needing = |needs: &[&str], trigger: Trigger| Step {
        needs: needs.iter().map(|need| need.parse().expect("an id")).collect(),
        trigger,
        ..model(&json!({ "prompt": "x" }))
    };
    let when = |text: &str| Step { when: Some(text.to_owned()), ..model(&json!({ "prompt": "x" })) };
    let given = Given { secrets: given().secrets, ..Given::default() };
    let counted = |more: Vec<(&str, Step)>| {
        let steps = [("a", model(&json!({ "prompt": "x" }))), ("no", when("1 > 2"))];
        let steps = steps.into_iter().chain(more).map(|(id, step)| (id.to_owned(), step)).collect();
        let outcome = plan(&document(IndexMap::new(), &json!({}), steps), Some(&given), &offers());
        let preview = preview(&outcome.plan.expect("a plan"), &|_| None);
        (preview.requests.least, preview.requests.most, preview.credits.known)
    };
    let one = counted(Vec::new());
    assert_eq!((one.0, one.1), (1, Some(1)));
    let price = one.2;
    assert!(price > 0.0);
    for (needs, trigger, sure) in [
        (&["no"][..], Trigger::AllSucceeded, 0),
        (&["a", "no"], Trigger::AllSucceeded, 0),
        (&["a", "no"], Trigger::AnySucceeded, 1),
        (&["no"], Trigger::AnySucceeded, 0),
        (&["no"], Trigger::AllDone, 1),
    ] {
        let counts = counted(vec![("b", needing(needs, trigger))]);
        let credits = if sure == 1 { 2.0 * price } else { price };
        assert_eq!(counts, (1 + sure, Some(1 + sure), credits), "{needs:?} {trigger:?}");
    }
    // What nobody knows before the run may cost, and may not.
    let steps =
        vec![("maybe", when("steps.a.status == 'succeeded'")), ("b", needing(&["maybe"], Trigger::AllSucceeded))];
    assert_eq!(counted(steps), (1, Some(3), 3.0 * price));
    let steps = vec![("maybe", when("steps.a.status == 'succeeded'")), ("b", needing(&["maybe"], Trigger::AllDone))];
    assert_eq!(counted(steps), (2, Some(3), 3.0 * price));
}

#[test]
fn what_surely_runs_is_rendered_before_the_run() {
    let read = |text: &str| {
        let source = Arc::new(Source::new("test.yaml", text));
        Arc::new(crate::spec::load(source, "test").0.expect("a document"))
    };
    let given = Given { inputs: Map::new(), secrets: BTreeMap::new() };
    let told = |step: &str| {
        let text = format!(
            "inputs: {{ n: {{ type: integer, optional: true }}, l: {{ type: array, default: [] }} }}\nsteps:\n  {step}\n"
        );
        let diagnostics = plan(&read(&text), Some(&given), &[]).diagnostics;
        diagnostics.iter().filter(|found| found.is_error()).map(|found| found.message.clone()).collect::<Vec<_>>()
    };
    let anew = "a: { set: { x: '{{ inputs.n + 1 }}' }";
    for (step, runs) in [
        (format!("{anew}, when: inputs.n is none }}"), true),
        (format!("{anew}, when: inputs.n is not none }}"), false),
        (format!("{anew}, when: inputs.n is not none or not inputs.l }}"), true),
        (format!("{anew}, foreach: inputs.l }}"), false),
        (format!("z: {{ when: inputs.n, set: {{ x: 1 }} }}\n  {anew}, needs: [z], trigger: all_done }}"), true),
        (format!("z: {{ when: inputs.n, set: {{ x: 1 }} }}\n  {anew}, needs: [z] }}"), false),
        (format!("z: {{ foreach: inputs.l, set: {{ x: 1 }} }}\n  {anew}, needs: [z] }}"), true),
    ] {
        let told = told(&step);
        assert_eq!(told.iter().any(|told| told.contains("+ operator")), runs, "{step}: {told:?}");
        assert!(runs || told.is_empty(), "{step}: {told:?}");
    }
}
