//! What Dagwood costs beyond the jobs themselves: `cargo bench --bench overhead`.
//!
//! Each case runs in a process of its own, so that CPU time and peak memory are its own; the emulator runs in this one. Beside each run
//! stands a bare client that sends the same requests in the same minute, and the ideal: the jobs' own time along the longest path.
//! The machine's noise is in both, so compare the columns, not two days.

#![expect(clippy::print_stdout, reason = "a bench reports on standard output")]

use std::{
    collections::BTreeMap,
    env,
    fmt::Write,
    fs,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use dagwood::{
    contract::Catalog,
    diagnostic::Severity,
    job::TargetKind,
    journal::{Journal, event::RunStatus},
    plan::{Given, Offer, plan},
    provider::{
        Provider, Wanted,
        armox::{Armox, ArmoxSettings},
    },
    run::Execution,
    sandbox::{KEY, Sandbox, Settings, Speed},
    secret::Secret,
    source::Source,
    spec,
    world::World,
};
use futures_util::future::join_all;
use serde_json::json;

/// A case: its name, the workflow's steps, how long each job takes, and the jobs along the longest path.
struct Case {
    name: &'static str,
    workflow: fn() -> String,
    job: Duration,
    levels: u32,
    jobs: usize,
    /// What `DESIGN` and the issue ask for, over the ideal.
    aim: Duration,
}

const CASES: &[Case] = &[
    Case {
        name: "one",
        workflow: || wide(1),
        job: Duration::from_millis(200),
        levels: 1,
        jobs: 1,
        aim: Duration::from_millis(30),
    },
    Case {
        name: "wide-100",
        workflow: || wide(100),
        job: Duration::from_millis(200),
        levels: 1,
        jobs: 100,
        aim: Duration::from_millis(100),
    },
    Case {
        name: "wide-1000",
        workflow: || wide(1000),
        job: Duration::from_millis(200),
        levels: 1,
        jobs: 1000,
        aim: Duration::from_secs(1),
    },
    Case {
        name: "chain-100",
        workflow: || chain(100),
        job: Duration::ZERO,
        levels: 100,
        jobs: 100,
        aim: Duration::from_millis(500),
    },
];

fn wide(count: usize) -> String {
    let mut text = format!("concurrency: {count}\nsteps:\n");
    for n in 0..count {
        writeln!(text, "  s{n}: {{ model: google/nano-banana, inputs: {{ prompt: 'number {n}' }} }}")
            .expect("a string grows");
    }
    text
}

fn chain(count: usize) -> String {
    let mut text = "steps:\n  s0: { model: google/nano-banana, inputs: { prompt: first } }\n".to_owned();
    for n in 1..count {
        let before = n - 1;
        writeln!(
            text,
            "  s{n}: {{ model: google/nano-banana, inputs: {{ prompt: 'number {n}', image_input: '{{{{ steps.s{before}.images }}}}' }} }}"
        )
        .expect("a string grows");
    }
    text
}

/// What one process measured of itself.
#[derive(Clone, Copy, Debug)]
struct Figures {
    wall: f64,
    cpu: f64,
    peak_mib: f64,
}

fn main() {
    let arguments: Vec<String> = env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--child") {
        return child(&arguments[at + 1..]);
    }
    println!("{:<12} {:<8} {:>9} {:>9} {:>9} {:>10} {:>9}", "case", "who", "wall", "over", "aim", "cpu", "peak");
    for case in CASES {
        let sandbox = sandbox(case.job);
        let ideal = case.job.as_secs_f64() * f64::from(case.levels);
        // Twice each, and the second counts: the first fills the caches of files and pages.
        for who in ["bare", "dagwood"] {
            let figures = [(); 3].map(|()| run_child(&[who, case.name, &sandbox.base_url()]))[1..]
                .iter()
                .copied()
                .min_by(|a, b| a.wall.total_cmp(&b.wall))
                .expect("two are left");
            let aim =
                if who == "dagwood" { format!("{:.0} ms", case.aim.as_secs_f64() * 1e3) } else { "–".to_owned() };
            println!(
                "{:<12} {who:<8} {:>6.1} ms {:>6.1} ms {aim:>9} {:>7.1} ms {:>5.1} MiB",
                case.name,
                figures.wall * 1e3,
                (figures.wall - ideal) * 1e3,
                figures.cpu * 1e3,
                figures.peak_mib
            );
        }
        let submits = sandbox.jobs().len();
        assert_eq!(submits, case.jobs * 6, "every job was submitted exactly once in each of the six runs");
    }
    let figures = run_child(&["plan", "100000", ""]);
    println!(
        "{:<12} {:<8} {:>6.1} ms {:>9} {:>9} {:>7.1} ms {:>5.1} MiB",
        "plan-100000",
        "dagwood",
        figures.wall * 1e3,
        "–",
        "1000 ms",
        figures.cpu * 1e3,
        figures.peak_mib
    );
    validate();
}

/// Times `dagwood validate --offline` of a 30-step file, from process start to end.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn validate() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("thirty.yaml");
    fs::write(&path, chain(30)).expect("a file");
    let binary = env!("CARGO_BIN_EXE_dagwood");
    let mut walls: Vec<f64> = (0..20)
        .map(|_| {
            let began = Instant::now();
            let output = Command::new(binary).args(["validate", "--offline"]).arg(&path).output().expect("it runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            began.elapsed().as_secs_f64()
        })
        .collect();
    walls.sort_by(f64::total_cmp);
    println!("{:<12} {:<8} {:>6.1} ms {:>9} {:>9}", "validate-30", "dagwood", walls[10] * 1e3, "–", "15 ms");
}

fn sandbox(job: Duration) -> Sandbox {
    let settings =
        Settings { speed: Speed::Fixed(job), credits: 1e12, requests_per_minute: 1_000_000, ..Settings::default() };
    Sandbox::start_on_thread(settings, World::real()).expect("a port is free")
}

fn run_child(arguments: &[&str]) -> Figures {
    let output = Command::new(env::current_exe().expect("a path"))
        .arg("--child")
        .args(arguments)
        .output()
        .expect("the bench runs itself");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    let figures: serde_json::Value = serde_json::from_str(text.trim()).expect("figures");
    let number = |name: &str| figures[name].as_f64().expect("a number");
    Figures { wall: number("wall"), cpu: number("cpu"), peak_mib: number("peak_mib") }
}

fn child(arguments: &[String]) {
    let [who, name, base_url] = arguments else { panic!("three arguments") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let wall = match who.as_str() {
        "plan" => plan_wide(name.parse().expect("a number")),
        "bare" => runtime.block_on(bare(case(name), base_url)),
        _ => runtime.block_on(dagwood(case(name), base_url)),
    };
    println!("{}", json!({"wall": wall, "cpu": cpu(), "peak_mib": peak()}));
}

fn case(name: &str) -> &'static Case {
    CASES.iter().find(|case| case.name == name).expect("a case")
}

/// The same submits from a client that does nothing else.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn bare(case: &Case, base_url: &str) -> f64 {
    // Without a provider of its own reqwest builds no client; the emulator speaks plain HTTP all the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build().expect("a client");
    let url = format!("{base_url}/models/run");
    let send = |n: usize, images: serde_json::Value| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let body = json!({"model": "google/nano-banana", "input": {"prompt": format!("number {n}"), "image_input": images}});
            let request =
                client.post(url).bearer_auth(KEY).header("Content-Type", "application/json").body(body.to_string());
            let text = request.send().await.expect("an answer").text().await.expect("a body");
            let answer: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            assert_eq!(answer["status"], "completed");
            answer["output"]["outputImage"].clone()
        }
    };
    let began = Instant::now();
    if case.levels > 1 {
        let mut images = json!([]);
        for n in 0..case.jobs {
            images = json!([send(n, images).await]);
        }
    } else {
        join_all((0..case.jobs).map(|n| send(n, json!([])))).await;
    }
    began.elapsed().as_secs_f64()
}

/// The run, with its journal on disk. Reading, contracts and plan are made before the clock starts, as the bare client's are.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn dagwood(case: &Case, base_url: &str) -> f64 {
    let world = World::real();
    let settings = ArmoxSettings { base_url: base_url.to_owned(), ..ArmoxSettings::new(Secret::new(KEY)) };
    let provider: Arc<dyn Provider> = Arc::new(Armox::new(settings, world.clone()).expect("a provider"));
    let contracts = provider.catalog(&Wanted::Kinds(vec![TargetKind::Model])).await.result.expect("contracts");
    let plan = made((case.workflow)(), Catalog::new(contracts));
    let folder = tempfile::tempdir().expect("a folder");
    let execution = Execution {
        sandbox: true,
        providers: BTreeMap::from([("armox".to_owned(), provider)]),
        ..Execution::new(
            Arc::new(plan),
            world.run_id(),
            Journal::open(&folder.path().join("state")).expect("a journal"),
            folder.path().to_owned(),
            world,
        )
    };
    let (_signals, receiver) = tokio::sync::mpsc::channel(1);
    let began = Instant::now();
    let state = execution.run(receiver, Vec::new()).await.expect("the journal works");
    let wall = began.elapsed().as_secs_f64();
    assert_eq!(state.status, RunStatus::Succeeded, "{:#?}", state.failed().next());
    wall
}

fn made(text: String, catalog: Catalog) -> dagwood::plan::Plan {
    let (document, diagnostics) = spec::load(Arc::new(Source::new("bench.yaml", text)), "bench");
    assert!(diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning), "{diagnostics:#?}");
    let offer = Offer { catalog: Some(catalog), ..Offer::new("armox", &[TargetKind::Model, TargetKind::App]) };
    let document = Arc::new(document.expect("a document"));
    let outcome = plan(&document, Some(&Given::default()), &[offer]);
    outcome.plan.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics))
}

/// Plans a workflow of so many steps, each of which reads the one a thousand before it. The text is read before the clock starts.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
fn plan_wide(count: usize) -> f64 {
    let mut text = "steps:\n".to_owned();
    for n in 0..count {
        let needs = if n < 1000 { String::new() } else { format!("{{{{ steps.s{}.status }}}}", n - 1000) };
        writeln!(text, "  s{n}: {{ set: {{ a: '{n} {needs}' }} }}").expect("a string grows");
    }
    let (document, diagnostics) = spec::load(Arc::new(Source::new("bench.yaml", text)), "bench");
    let document = Arc::new(document.unwrap_or_else(|| panic!("{diagnostics:#?}")));
    let began = Instant::now();
    let outcome = plan(&document, Some(&Given::default()), &[]);
    let plan = outcome.plan.unwrap_or_else(|| panic!("{:#?}", outcome.diagnostics));
    let wall = began.elapsed().as_secs_f64();
    assert_eq!(plan.waves().len(), count / 1000);
    wall
}

/// CPU seconds of this process so far, from the kernel's account in ticks of 10 ms.
fn cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    (ticks(11) + ticks(12)) / 100.0
}

/// The most memory that this process has held, in MiB.
fn peak() -> f64 {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}
