//! Every form that the emulator's answers can have, met by the real adapter and the engine: the same comes of it, but for what a form takes
//! away or says, which is listed.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use dagwood::{
    contract::Contract,
    job::{IdempotencyKey, Job, JobRequest, Operation, Target, TargetKind},
    provider::Wanted,
    sandbox::{
        Api,
        faults::{Deed, Door, Rule, Variant, When},
        jobs::Fate,
    },
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::bench::{Moment, Outcome, System, Task, Way, Wishes, hurried};

/// Tours under way at once.
const AT_ONCE: usize = 12;

/// What is done at each system by a run of one step, each with a target of its own.
const RUNS: [&str; 7] = ["runs", "goes on", "fails", "is refused", "is held back", "is lost", "is stopped"];

/// What comes of it without any form, by the ends of the acts' names: forms that all fail alike would be no proof.
const PLAINLY: [(&str, &str); 9] = [
    ("runs", "succeeded, 1 jobs, 1 submits"),
    ("goes on", "succeeded, 1 jobs, 1 submits"),
    ("fails", "JobFailed: out of memory"),
    ("is refused", "Rejected: "),
    ("is held back", "succeeded, 1 jobs, 2 submits"),
    ("model is lost", " 1 jobs, 1 submits"),
    ("agent is lost", "succeeded, 1 jobs, 2 submits"),
    ("pipeline is lost", "submit_unknown, 1 jobs, 1 submits"),
    ("is stopped", "cancelled, 1 jobs, 1 submits"),
];

/// Returns the id of the target that something is done with.
fn target(kind: TargetKind, act: &str) -> String {
    format!("{kind}-{}", act.replace(' ', "-"))
}

/// What befalls the targets.
fn faults(kind: TargetKind) -> Vec<Rule> {
    let on = |act: &str, deed| Rule::new(Door::Submit, deed).target(target(kind, act));
    let fate = |fate| Deed::Fate(Box::new(fate));
    let goes_on = || Deed::Variant(Variant::Asynchronous);
    let message = || "there is no such place".to_owned();
    vec![
        on("goes on", goes_on()),
        on("fails", fate(Fate { fails: Some("out of memory".to_owned()), ..Fate::default() })),
        on("is refused", Deed::Status { status: 400, when: When::Before, message: message(), retry_after: None }),
        on("is held back", Deed::Burst { requests: 1, retry_after: Duration::from_secs(2) }),
        on("is lost", Deed::LoseReply).times(1),
        on("is stopped", fate(Fate { stuck: true, ..Fate::default() })),
        on("is stopped", goes_on()),
    ]
}

/// What a person sets who has an account of this form.
fn wishes(variant: Option<Variant>) -> Wishes {
    Wishes {
        bare_input: variant == Some(Variant::TriggerBare),
        look_at_runs: variant == Some(Variant::PipelineRunsAsRuns),
        ..Wishes::default()
    }
}

fn ways(api: Api) -> impl Iterator<Item = Way> {
    Way::ALL.into_iter().filter(move |way| way.api() == api)
}

/// Does everything at an API, and returns what came of each.
async fn tour(api: Api, variant: Option<Variant>) -> BTreeMap<String, String> {
    let of_way = |way: Way| {
        let contract = move |act| {
            let id = target(way.kind(), act);
            Contract::unchecked(Target { kind: way.kind(), id: id.clone() }, id)
        };
        RUNS.map(contract).into_iter().skip(1)
    };
    let extra = ways(api).flat_map(of_way).collect();
    let mut rules: Vec<_> = ways(api).flat_map(|way| faults(way.kind())).collect();
    rules.extend(variant.map(|variant| Rule::new(Door::Any, Deed::Variant(variant))));
    let mut system = System::start(api, rules, extra, wishes(variant)).await;
    let mut came = BTreeMap::new();
    let kinds = ways(api).map(Way::kind).collect();
    let listed = system.provider.catalog(&Wanted::Kinds(kinds)).await.result;
    came.insert(
        "list".to_owned(),
        told(listed.map(|all| all.into_iter().map(|one| one.target.id).collect::<Vec<_>>())),
    );
    let account = system.provider.account().await.result;
    came.insert("account".to_owned(), told(account.map(|account| (account.credits.is_some(), account.plan))));
    for way in ways(api) {
        let kind = way.kind();
        let wanted = Wanted::Named(vec![(kind, way.target().to_owned())]);
        let contracts = system.provider.catalog(&wanted).await.result;
        came.insert(format!("{kind} has a contract"), told(contracts.map(|all| brief(&all[0]))));
        let mut jobs = Vec::new();
        for act in RUNS {
            let mut task = Task::of(way);
            if act != "runs" {
                task.target = target(kind, act);
            }
            task.stop = (act == "is stopped").then_some(Moment::Looked);
            let outcome = system.run(&task).await;
            if let Ok(outcome) = &outcome
                && matches!(act, "runs" | "goes on")
            {
                let target = Target { kind, id: task.target.clone() };
                jobs.extend(outcome.job.clone().map(|(id, look_at)| Job { id, target, look_at }));
            }
            let shown = match outcome {
                Ok(outcome) => system.plain(&shown(&outcome, act == "is stopped")),
                Err(told) => format!("not planned: {}", system.plain(&told)),
            };
            came.insert(format!("{kind} {act}"), shown);
        }
        let seen = system.provider.look(&jobs).await.result;
        let seen =
            told(seen.map(|seen| seen.into_iter().map(|(_, status)| status.state.to_string()).collect::<Vec<_>>()));
        came.insert(format!("{kind} is looked at with others"), system.plain(&seen));
        let late = match jobs.first() {
            Some(job) => {
                let cancelled = system.provider.cancel(job).await.result;
                let seen = system.provider.look(std::slice::from_ref(job)).await.result;
                format!("{}, then {}", told(cancelled), told(seen.map(|seen| seen[0].1.state.to_string())))
            }
            None => "there is no job".to_owned(),
        };
        came.insert(format!("{kind} is cancelled late"), system.plain(&late));
    }
    let since = "2026-01-02T03:00:00Z".parse().expect("a time");
    let recent = system.provider.recent(since).await.result;
    let recent = recent.map(|recent| {
        let echo = |inputs: &Option<Value>| {
            inputs.as_ref().and_then(Value::as_object).is_some_and(|inputs| !inputs.is_empty())
        };
        let echoes = recent.jobs.iter().filter(|job| echo(&job.inputs)).count();
        let dated = recent.jobs.iter().filter(|job| job.status.created_at.is_some()).count();
        format!("{} jobs, {echoes} echo, {dated} dated, complete: {}", recent.jobs.len(), recent.complete)
    });
    came.insert("recent".to_owned(), told(recent));
    if api == Api::Airmy {
        keys(&system, &mut came).await;
    }
    came
}

/// Names of agents, and idempotency keys: AIRMY's alone.
async fn keys(system: &System, came: &mut BTreeMap<String, String>) {
    let wanted = Wanted::Named(vec![(TargetKind::Agent, "Illustrator".to_owned())]);
    let named = system.provider.catalog(&wanted).await.result;
    came.insert("agent is found by its name".to_owned(), told(named.map(|all| all[0].target.id.clone())));
    for way in ways(Api::Airmy) {
        let before = system.sandbox().jobs().len();
        let submit = async |query: &str| {
            let request = JobRequest {
                target: Target { kind: way.kind(), id: way.target().to_owned() },
                inputs: json!({"query": query}).as_object().cloned().expect("a map"),
                operation: Operation::default(),
            };
            system.provider.submit(&request, &IdempotencyKey(format!("run/{}/1", way.target()))).await.result
        };
        let first = submit("Q1").await;
        let second = submit("Q1").await;
        let same = first.as_ref().ok().map(|first| &first.job) == second.as_ref().ok().map(|second| &second.job);
        let jobs = system.sandbox().jobs().len() - before;
        came.insert(format!("{} is sent twice", way.kind()), format!("{jobs} jobs, the same: {same}"));
        let other = submit("Q2").await.map(|other| other.status.state.to_string());
        came.insert(format!("{} is sent twice with another body", way.kind()), system.plain(&told(other)));
    }
}

fn told<T: std::fmt::Debug>(result: Result<T, dagwood::job::Fault>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(fault) => format!("{:?}: {fault}", fault.kind),
    }
}

/// Returns what matters of a contract.
fn brief(contract: &Contract) -> String {
    let ports: Vec<_> =
        contract.ports.iter().map(|port| (&port.id, port.required, port.kind, port.options.len())).collect();
    format!(
        "{ports:?}, schema: {}, unchecked: {}, modes: {}",
        contract.schema.is_some(),
        contract.unchecked,
        contract.modes.len()
    )
}

/// Returns what matters of an outcome.
fn shown(outcome: &Outcome, is_stopped: bool) -> String {
    let (jobs, submits) = (outcome.jobs.len(), outcome.submits());
    let mut shown = format!("{}, {jobs} jobs, {submits} submits, {}", outcome.status.as_str(), outcome.output);
    if is_stopped {
        let _ = write!(shown, ", called off: {}", outcome.is_called_off());
    }
    if let Some(error) = &outcome.error {
        let _ = write!(shown, ", {:?}: {}", error.kind, error.message);
    }
    if !outcome.warnings.is_empty() {
        let _ = write!(shown, ", warnings {:?}", outcome.warnings);
    }
    shown
}

/// What a form changes: the acts, as the ends of their names, and words of what comes of them then.
type Exceptions = Vec<(&'static [&'static str], &'static str)>;

/// Returns what a form changes, since it says something else, or leaves something out.
#[expect(clippy::too_many_lines, reason = "a table")]
fn exceptions(api: Api, variant: Variant) -> Exceptions {
    /// Runs that give something.
    const GIVING: &[&str] = &["goes on", "is held back", "agent is lost", "runs"];
    match (api, variant) {
        // An output has the form that the API gives it.
        (Api::Armox, Variant::OutputObjects) => {
            vec![(&["goes on", "is held back", "is lost", "runs"], r#"{"outputImage":{"type":"image","url":"#)]
        }
        (Api::Armox, Variant::OutputLists) => {
            vec![(&["goes on", "is held back", "is lost", "runs"], r#"{"outputImages":["#)]
        }
        (_, Variant::OutputText) => vec![(GIVING, r#"{"a":""#)],
        (_, Variant::OutputTextList) => vec![(GIVING, r#"{"a":[""#)],
        (_, Variant::OutputNull) => vec![(GIVING, ", {}")],
        (_, Variant::OutputInText) => vec![(GIVING, r#"{"a":{"text":"#)],
        (_, Variant::OutputInAnswer) => vec![(GIVING, r#"{"a":{"answer":"#)],
        (_, Variant::OutputInContent) => vec![(GIVING, r#"{"a":{"content":"#)],
        // Odd times and words are told, and do no harm.
        (Api::Armox, Variant::BadTimes) => vec![
            (&["fails", "goes on", "is held back", "is stopped", "runs"], "`created_at` is no time that can be read"),
            (&["recent"], "0 dated"),
            (&["model is lost"], "submit_unknown"),
        ],
        (Api::Airmy, Variant::BadTimes) => vec![
            (
                &["fails", "goes on", "is held back", "agent is lost", "is stopped", "runs"],
                "`created_at` is no time that can be read",
            ),
            (&["recent"], "0 dated"),
        ],
        (_, Variant::SynonymsSuccess) => vec![(
            &["goes on", "is stopped", "pipeline fails", "pipeline is held back", "pipeline runs"],
            "unknown status `thinking`",
        )],
        // A 5xx may stand for a job: whoever cannot ask again must not.
        (Api::Aimp, Variant::FailureAsError) => vec![(&["model fails"], "SubmitUnknown")],
        // What is not said is not known.
        (Api::Armox, Variant::NoEcho) => vec![(&["recent"], "0 echo"), (&["model is lost"], "submit_unknown")],
        (Api::Airmy, Variant::InputInRuns) => {
            vec![(&["recent"], "6 echo"), (&["agent is lost", "pipeline is lost"], "succeeded, 1 jobs, 1 submits")]
        }
        (Api::Armox, Variant::NoOptions) => vec![(&["has a contract"], r#"(\"aspect_ratio\", false, Any, 0)"#)],
        (Api::Airmy, Variant::SchemaAsText | Variant::NoSchema) => vec![(&["agent has a contract"], "unchecked: true")],
        (Api::Aimp, Variant::NoContract) => vec![(&["has a contract"], "unchecked: true")],
        (_, Variant::ErrorWithoutBody) => {
            vec![(&["is refused"], "400 Bad Request"), (&["is sent twice with another body"], "with an empty body")]
        }
        (_, Variant::NoRequestId) => vec![(&["is sent twice with another body"], "request body; it refuses")],
        (Api::Aimp, Variant::NoId) => vec![
            (&["goes on", "is stopped"], "neither a usable id of it nor a link to it"),
            // What ended in its answer has no name to be looked at by; nobody but this test asks.
            (&["is looked at with others", "is cancelled late"], "cannot be the id of an AIMP run"),
        ],
        (Api::Aimp, Variant::WholeBody) => {
            vec![(&["is looked at with others", "is cancelled late"], "cannot be the id of an AIMP run")]
        }
        // A run is seen at the link of its answer alone, and one that ended in its answer has none.
        (Api::Aimp, Variant::LocationHeader | Variant::LinksSelf | Variant::StatusUrl | Variant::Empty202) => {
            vec![(&["is looked at with others", "is cancelled late"], "404 Not Found")]
        }
        // Errors are told as they are written.
        (_, Variant::ErrorTexts) => vec![(&["is refused"], "errors: there is no such place")],
        (Api::Aimp, Variant::ErrorFields) => vec![(&["is refused"], "non_field_errors: there is no such place")],
        (Api::Aimp, Variant::DetailList) => vec![(&["is refused"], "body: there is no such place")],
        (Api::Aimp, Variant::HtmlErrors) => vec![(&["is refused"], "400 there is no such place")],
        (Api::Airmy, Variant::OtherBody409) => vec![(&["is sent twice with another body"], "409 Conflict")],
        // What cannot be called off goes on; what is over may be said to be so in several ways.
        (_, Variant::PipelineCancel404) => {
            vec![(&["pipeline is stopped"], "called off: false"), (&["pipeline is cancelled late"], "Impossible")]
        }
        (_, Variant::CancelWithoutEffect) => vec![(&["is stopped"], "called off: false")],
        (_, Variant::LateCancel200) => vec![(&["is cancelled late"], "Asked")],
        (_, Variant::LateCancel404) => vec![(&["pipeline is cancelled late"], "Impossible")],
        // The trigger is not answered before the end, and there is none.
        (Api::Airmy, Variant::Synchronous) => {
            vec![(&["pipeline is stopped"], "cancelled while the submit was unanswered")]
        }
        // Why nothing is built on a trigger's key.
        (_, Variant::TriggerForgetsKey) => vec![
            (&["pipeline is sent twice"], "2 jobs, the same: false"),
            (&["pipeline is sent twice with another body"], "processing"),
        ],
        // Pages are read up to a bound, and none twice; and the key goes to no other host.
        (Api::Airmy, Variant::EndlessPages) => vec![
            (&["agent is found by its name"], "name the agent by its id"),
            (&["agent is looked at with others"], "[]"),
            (&["list"], "ag_01HXYZ"),
            (&["recent"], "complete: false"),
        ],
        (Api::Aimp, Variant::EndlessPages | Variant::ForeignNext) => vec![(&["list"], "demo-model")],
        (Api::Aimp, Variant::ForeignStatusUrl) => {
            vec![(&["goes on", "is stopped"], "leads to another host, where the key must not go")]
        }
        (Api::Aimp, Variant::ForeignRedirect) => vec![
            (
                &["account", "list", "contract", "fails", "goes on", "held back", "lost", "refused", "stopped", "runs"],
                "which is not followed",
            ),
            (&["is cancelled late"], "there is no job"),
            (&["is looked at with others"], "[]"),
        ],
        // Neither does a submit.
        (Api::Aimp, Variant::Slash301 | Variant::Slash308) => vec![
            (&["fails", "goes on", "held back", "stopped", "runs"], "a redirect elsewhere, which is not followed"),
            (&["is lost"], "submit_unknown, 0 jobs"),
            (&["is cancelled late"], "there is no job"),
            (&["is looked at with others"], "[]"),
        ],
        (Api::Aimp, Variant::WalletSuspended) => vec![
            (&["fails", "goes on", "held back", "stopped", "runs"], "The workspace wallet is not active"),
            (&["is lost"], "submit_unknown, 0 jobs"),
            (&["is cancelled late"], "there is no job"),
            (&["is looked at with others"], "[]"),
        ],
        _ => Vec::new(),
    }
}

/// Tours an API in each of its forms, and compares.
async fn compare(api: Api) {
    let plain = tour(api, None).await;
    assert!(plain.len() >= RUNS.len() + 4, "{plain:#?}");
    for (act, came) in &plain {
        let mut told = PLAINLY.iter().filter(|(known, _)| act.ends_with(known));
        assert!(told.all(|(_, words)| came.contains(words)), "{api} {act}: {came}");
    }
    for act in RUNS {
        assert!(plain.keys().any(|known| known.ends_with(act)), "{api}: nobody did `{act}`");
        assert!(PLAINLY.iter().any(|(known, _)| known.ends_with(act)), "`{act}` is not said to come to anything");
    }
    let variants: Vec<_> = Variant::of(api).collect();
    assert!(variants.len() > 20, "the variants are there");
    let tours = stream::iter(&variants).map(async |variant| (*variant, tour(api, Some(*variant)).await));
    let tours: Vec<_> = tours.buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(tours.len(), variants.len());
    let mut wrong = Vec::new();
    for (variant, came) in tours {
        let expected = exceptions(api, variant);
        for act in expected.iter().flat_map(|(acts, _)| *acts) {
            assert!(plain.keys().any(|known| known.ends_with(act)), "{variant:?}: nobody does `{act}`");
        }
        assert!(came.keys().eq(plain.keys()), "{variant:?}: everything was done");
        for (act, came) in &came {
            let is_told = |(acts, _): &&(&[&str], &str)| acts.iter().any(|known| act.ends_with(known));
            let said = expected.iter().find(is_told).map(|(_, words)| *words);
            let right = match said {
                Some(words) => *came != plain[act] && came.contains(words),
                None => *came == plain[act],
            };
            if !right {
                wrong.push(format!(
                    "{api} {variant:?}, {act}:\n  plainly  {}\n  expected {said:?}\n  came     {came}",
                    plain[act]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} things are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn armox_in_all_its_forms() {
    hurried(compare(Api::Armox)).await;
}

#[tokio::test(start_paused = true)]
async fn airmy_in_all_its_forms() {
    hurried(compare(Api::Airmy)).await;
}

/// What single answers of AIMP's mean is in `aimp.rs`; here they go through the engine.
#[tokio::test(start_paused = true)]
async fn aimp_in_all_its_forms() {
    hurried(compare(Api::Aimp)).await;
}
