//! Random workflows: layers of jobs and `set` steps, edges through templates and `needs`, workflows in the workflow, and on purpose several
//! steps whose requests are equal, since only those can be taken for each other.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Arc, time::Duration};

use dagwood::{
    contract::{Catalog, Contract, Port, ValueKind},
    job::{Target, TargetKind},
    plan::{self, Given, Offer, Plan},
    source::Source,
    spec,
};
use serde_json::json;

use super::random::Random;

/// The most steps.
const LARGEST: u64 = 60;

/// Credits of one job.
pub(super) const PRICE: f64 = 10.0;

/// What a model does with a job.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) id: String,
    /// About how long a job takes.
    pub(super) takes: Duration,
    /// Whether the submit's answer waits for the end.
    pub(super) sync: bool,
    /// Whether all its jobs fail.
    pub(super) fails: bool,
}

/// A workflow with what it runs on.
#[derive(Debug)]
pub(super) struct Dag {
    pub(super) text: String,
    /// The workflows that its steps run, by the names of their files.
    pub(super) parts: BTreeMap<String, String>,
    pub(super) plan: Arc<Plan>,
    pub(super) models: Vec<Model>,
    /// Aliases of the providers.
    pub(super) providers: Vec<String>,
    /// Whether a job of it fails, so that how far the rest gets depends on who is first.
    pub(super) fails: bool,
    /// Whether it has more than jobs that are done once.
    pub(super) rich: bool,
}

impl Dag {
    /// Makes a workflow for so many providers.
    pub(super) fn new(random: &mut Random, providers: usize) -> Self {
        let providers: Vec<_> = (0..providers).map(|n| format!("p{n}")).collect();
        let failing = random.percent(12);
        let models: Vec<_> = (0..random.between(1, 4)).map(|n| model(random, n, failing)).collect();
        let mut text = text(random, &models, &providers);
        let priced = random.percent(50);
        let parts = if random.percent(20) { nest(random, &models, &providers, &mut text) } else { BTreeMap::new() };
        let plan = Arc::new(planned(&text, &parts, &models, &providers, priced));
        let says = |words: &str| text.contains(words) || parts.values().any(|part| part.contains(words));
        let fails = models.iter().any(|model| model.fails && says(&format!("model: {} ", model.id)));
        let rich = ["foreach", "trigger", "on_error", "retry", "finally"].iter().any(|key| says(key));
        Self { text, parts, plan, models, providers, fails, rich }
    }

    /// Makes a workflow of equal requests that leave one after the other and are answered only when their jobs are over: what a crash cuts off
    /// is then to be told apart by count alone.
    pub(super) fn alike(random: &mut Random) -> Self {
        let model = |id: &str, takes, sync| Model { id: id.to_owned(), takes, sync, fails: false };
        let models =
            vec![model("m0", Duration::from_secs(90), true), model("m1", random.milliseconds(500, 2_000), false)];
        let mut text = "concurrency: 16\ndefaults: { timeout: 200h, poll: 100ms }\n".to_owned();
        text.push_str("inputs: { yes: { type: boolean }, no: { type: boolean } }\nsteps:\n");
        for n in 0..random.between(3, 7) {
            let before = if n == 0 { String::new() } else { format!(", needs: [c{}]", n - 1) };
            let _ = writeln!(text, "  c{n}: {{ model: m1 , provider: p0, inputs: {{ prompt: 'c{n}' }}{before} }}");
            let _ = writeln!(text, "  e{n}: {{ model: m0 , provider: p0, inputs: {{ prompt: same }}, needs: [c{n}] }}");
        }
        text.push_str("outputs: { first: '{{ steps.e0.texts }}' }\n");
        let providers = vec!["p0".to_owned()];
        let parts = BTreeMap::new();
        let plan = Arc::new(planned(&text, &parts, &models, &providers, true));
        Self { text, parts, plan, models, providers, fails: false, rich: false }
    }
}

fn model(random: &mut Random, n: u64, failing: bool) -> Model {
    let slowest = *random.pick(&[100, 1_000, 5_000, 20_000, 90_000]);
    Model {
        id: format!("m{n}"),
        takes: random.milliseconds(slowest / 10, slowest),
        sync: random.percent(25),
        fails: failing && n == 0,
    }
}

/// Returns how many steps: most workflows are small, some are as large as it gets.
fn size(random: &mut Random) -> u64 {
    match random.below(100) {
        0..45 => random.between(1, 5),
        45..80 => random.between(5, 12),
        80..96 => random.between(12, 25),
        _ => random.between(25, LARGEST),
    }
}

fn text(random: &mut Random, models: &[Model], providers: &[String]) -> String {
    let size = size(random);
    // Few prompts: requests that are equal.
    let prompts = random.between(1, 4);
    let concurrency = *random.pick(&[1, 2, 3, 4, 8, 16]);
    let rich = random.percent(50);
    let policy = if rich && random.percent(30) { "failure_policy: continue\n" } else { "" };
    let mut text = format!("{policy}concurrency: {concurrency}\ndefaults: {{ timeout: 200h }}\n");
    text.push_str(INPUTS);
    body(random, models, providers, &mut text, size, prompts, rich);
    text
}

/// The inputs of every workflow: what `when` asks.
const INPUTS: &str = "inputs: { yes: { type: boolean, default: true }, no: { type: boolean, default: false } }\n";

/// Draws so many steps, at times a `finally`, and the outputs.
fn body(
    random: &mut Random,
    models: &[Model],
    providers: &[String],
    text: &mut String,
    size: u64,
    prompts: u64,
    rich: bool,
) {
    text.push_str("steps:\n");
    for n in 0..size {
        // Edges go back a few steps only, so that the graph is deep as well as wide.
        let earlier = |random: &mut Random| n - 1 - random.below(n.min(8));
        let needs = if n == 0 || random.percent(30) { 0 } else { random.between(1, 2) };
        let (mut mentions, mut ordered) = (String::new(), Vec::new());
        for _ in 0..needs {
            let step = earlier(random);
            if random.percent(75) {
                let _ = write!(mentions, " {{{{ steps.s{step}.status }}}} {{{{ steps.s{step}.texts }}}}");
            } else {
                ordered.push(format!("s{step}"));
            }
        }
        ordered.dedup();
        let needs = if ordered.is_empty() { String::new() } else { format!(", needs: [{}]", ordered.join(", ")) };
        let when = match random.below(100) {
            0..4 => ", when: inputs.no",
            4..10 => ", when: inputs.yes",
            _ => "",
        };
        let prompt = random.below(prompts);
        let more = if rich { more(random, models) } else { String::new() };
        let needs = format!("{needs}{more}");
        let _ = if random.percent(8) {
            // What belongs to jobs does not go with it.
            let needs = needs.split(", retry").next().unwrap_or_default();
            writeln!(text, "  s{n}: {{ set: {{ outputText: 'set {prompt}{mentions}' }}{needs}{when} }}")
        } else {
            let (model, provider) = (&random.pick(models).id, random.pick(providers));
            let item = if needs.contains("foreach") && random.percent(50) { " {{ item }}" } else { "" };
            let inputs = format!("inputs: {{ prompt: '{prompt}{item}{mentions}' }}");
            writeln!(text, "  s{n}: {{ model: {model} , provider: {provider}, {inputs}{needs}{when} }}")
        };
    }
    if rich && random.percent(30) {
        let (model, provider) = (&random.pick(models).id, random.pick(providers));
        text.push_str("finally:\n");
        let _ = writeln!(
            text,
            "  f0: {{ model: {model} , provider: {provider}, inputs: {{ prompt: '{{{{ run.status }}}}' }} }}"
        );
        text.push_str("  f1: { set: { outputText: '{{ steps.f0.status }}' } }\n");
    }
    let last = size - 1;
    let _ = writeln!(text, "outputs: {{ last: '{{{{ steps.s{last}.texts }}}}', first: '{{{{ steps.s0.texts }}}}' }}");
}

/// Draws what a step may be beyond a job that is done once: fan-outs, handled failures, triggers, further attempts, fallbacks.
fn more(random: &mut Random, models: &[Model]) -> String {
    let mut more = String::new();
    if random.percent(20) {
        let items = ["[]", "[a]", "[a, b]", "[a, a, b, c, d]"];
        let _ = write!(more, ", foreach: {}", random.pick(&items));
        if random.percent(30) {
            let _ = write!(more, ", max_parallel: {}", random.between(1, 3));
        }
    }
    if random.percent(15) {
        more.push_str(", on_error: continue");
    }
    match random.below(100) {
        0..8 => more.push_str(", trigger: all_done"),
        8..12 => more.push_str(", trigger: any_succeeded"),
        _ => {}
    }
    if random.percent(20) {
        let attempts = random.between(2, 3);
        let _ = write!(more, ", retry: {{ attempts: {attempts}, on: [job_failed], backoff: {{ initial: 200ms }} }}");
    }
    if random.percent(12) {
        let separator = if more.contains("retry") { "" } else { ", retry: { attempts: 1 }" };
        let _ = write!(more, "{separator}, fallback: [{{ model: {} }}]", random.pick(models).id);
    }
    more
}

/// Draws steps that run workflows, each with a job that reads what came of it, and adds them to a text; returns the workflows that they run,
/// of which one may run the other.
fn nest(random: &mut Random, models: &[Model], providers: &[String], text: &mut String) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let count = random.between(1, 2);
    for n in 0..count {
        let (size, prompts, rich) = (random.between(1, 4), random.between(1, 3), random.percent(50));
        let policy = if rich && random.percent(30) { "failure_policy: continue\n" } else { "" };
        let mut part = format!("{policy}defaults: {{ timeout: 200h }}\n{INPUTS}");
        body(random, models, providers, &mut part, size, prompts, rich);
        if n > 0 && random.percent(40) {
            insert(&mut part, &nested(random, models, providers, 0, rich));
        }
        let rich = random.percent(50);
        insert(text, &nested(random, models, providers, n, rich));
        parts.insert(format!("part{n}.yaml"), part);
    }
    parts
}

/// Returns a step that runs the workflow of this number, and one that reads what came of it.
fn nested(random: &mut Random, models: &[Model], providers: &[String], n: u64, rich: bool) -> String {
    let needs = if random.percent(60) { ", needs: [s0]" } else { "" };
    let more = if rich { more(random, models) } else { String::new() };
    // What belongs to jobs does not go with it.
    let more = more.split(", retry").next().unwrap_or_default();
    let (model, provider) = (&random.pick(models).id, random.pick(providers));
    let output = if more.contains("foreach") { "outputs" } else { "output" };
    let read = format!("{{{{ steps.w{n}.status }}}} {{{{ steps.w{n}.{output} | default(\"\", true) }}}}");
    format!(
        "  w{n}: {{ workflow: part{n}.yaml{needs}{more} }}\n  r{n}: {{ model: {model} , provider: {provider}, inputs: {{ prompt: '{read}' }} }}\n"
    )
}

/// Adds steps to a text, behind those that it has.
fn insert(text: &mut String, steps: &str) {
    let at = text.find("finally:").or_else(|| text.find("outputs:")).expect("every text has outputs");
    text.insert_str(at, steps);
}

fn planned(text: &str, parts: &BTreeMap<String, String>, models: &[Model], providers: &[String], priced: bool) -> Plan {
    let read = |path: &Path, shown: &str| {
        let part = path.file_name().and_then(|name| parts.get(name.to_str()?));
        Ok(Arc::new(Source::new(shown, part.ok_or("there is no such file")?.as_str())))
    };
    let source = Arc::new(Source::new("simulated.yaml", text));
    let (document, diagnostics) = spec::load_with(source, "simulated", Path::new("simulated.yaml"), &read);
    let document = Arc::new(document.unwrap_or_else(|| panic!("{diagnostics:#?}\n{text}")));
    let contracts: Vec<_> = models.iter().map(|model| contract(model, priced)).collect();
    let offers: Vec<_> = providers
        .iter()
        .map(|alias| Offer {
            catalog: Some(Catalog::new(contracts.clone())),
            ..Offer::new(alias.clone(), &[TargetKind::Model])
        })
        .collect();
    let inputs = json!({"yes": true, "no": false}).as_object().expect("a map").clone();
    let outcome = plan::plan(&document, Some(&Given { inputs, ..Given::default() }), &offers);
    outcome.plan.unwrap_or_else(|| panic!("{:#?}\n{text}", outcome.diagnostics))
}

fn contract(model: &Model, priced: bool) -> Contract {
    Contract {
        schema: None,
        modes: Vec::new(),
        unchecked: false,
        target: Target { kind: TargetKind::Model, id: model.id.clone() },
        name: model.id.clone(),
        description: None,
        cost: priced.then_some(PRICE),
        output: None,
        open: true,
        ports: vec![Port::new("prompt", ValueKind::Text)],
    }
}
