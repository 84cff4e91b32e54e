//! The engine under virtual time: order, limits, failures, timeouts, cancelling. No test here sleeps for real.

use std::{sync::Arc, time::Duration};

use dagwood::{
    artifact::{
        ArtifactError,
        staging::{Staged, Staging},
    },
    contract::Mode,
    id::Digest,
    job::{Fault, FaultKind, JobRequest},
    journal::event::RunStatus,
    provider::{LocalFile, Rate},
    run::Bounds,
    secret::Secret,
};
use futures_util::future::{BoxFuture, FutureExt as _};
use serde_json::json;

use crate::scripted::{Behaviour, Bench, When};

fn takes(milliseconds: u64) -> Behaviour {
    Behaviour { takes: Duration::from_millis(milliseconds), ..Behaviour::default() }
}

fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind, format!("a fault of kind {kind:?}"))
}

const DIAMOND: &str = "
defaults: { poll: 10ms }
steps:
  a: { model: m, inputs: { prompt: one } }
  b: { model: m, inputs: { prompt: two, image_input: '{{ steps.a.images }}' } }
  c: { model: m, inputs: { prompt: three, image_input: ['{{ steps.a.image }}'] } }
  d: { model: m, inputs: { prompt: four, image_input: ['{{ steps.b.image }}', '{{ steps.c.image }}'] } }
outputs: { last: '{{ steps.d.image }}', all: ['{{ steps.b.status }}', '{{ steps.c.output.outputImage }}'] }
";

#[tokio::test(start_paused = true)]
async fn a_diamond_takes_a_level_at_a_time_and_each_step_is_submitted_once() {
    let outcome = Bench::new().model("m", takes(200)).run(DIAMOND).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    assert_eq!(outcome.accepted["m"], 4);
    assert_eq!(outcome.peak, 2);
    assert!(outcome.took >= Duration::from_millis(600), "{:?}", outcome.took);
    assert!(outcome.took < Duration::from_millis(700), "three levels, not four jobs: {:?}", outcome.took);
    let url = "https://files.example.com/a.png";
    // Lists arrive as lists, whether written or referred to.
    assert_eq!(outcome.submits[1].inputs["image_input"], json!([url]));
    assert_eq!(outcome.submits[3].inputs["image_input"], json!([url, url]));
    assert_eq!(json!(outcome.state.outputs), json!({"last": url, "all": ["succeeded", url]}));
    assert!((outcome.state.credits() - 40.0).abs() < f64::EPSILON);
    assert_eq!(
        outcome.story()[..5],
        ["run_started", "step_ready a", "submit_intended a", "submitted a", "job_observed a"]
    );
}

#[tokio::test(start_paused = true)]
async fn synchronous_answers_need_no_look() {
    let outcome = Bench::new().model("m", Behaviour { sync: true, ..takes(200) }).run(DIAMOND).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    assert_eq!(outcome.looks, [] as [usize; 0]);
    assert!(outcome.took < Duration::from_millis(650), "{:?}", outcome.took);
}

fn wide(count: usize, head: &str) -> String {
    let steps: Vec<_> = (0..count).map(|n| format!("  s{n}: {{ model: m, inputs: {{ prompt: '{n}' }} }}")).collect();
    let steps = steps.join("\n");
    format!("{head}\nsteps:\n{steps}")
}

#[tokio::test(start_paused = true)]
async fn no_more_jobs_are_in_flight_than_the_concurrency_allows() {
    let outcome = Bench::new().model("m", takes(200)).run(&wide(50, "concurrency: 7\ndefaults: { poll: 10ms }")).await;
    assert_eq!((outcome.peak, outcome.accepted["m"]), (7, 50));
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    let default = Bench::new().model("m", takes(200)).run(&wide(50, "")).await;
    assert_eq!(default.peak, 16);
}

#[tokio::test(start_paused = true)]
async fn several_jobs_are_looked_at_with_one_list_call() {
    let outcome = Bench::new().model("m", takes(5000)).run(&wide(16, "")).await;
    let (calls, shown): (usize, usize) = (outcome.looks.len(), outcome.looks.iter().sum());
    assert!(shown >= 16 * 3 && calls <= 6, "{:?}", outcome.looks);
}

#[tokio::test(start_paused = true)]
async fn the_longest_remaining_path_goes_first_when_slots_are_scarce() {
    let yaml = "
concurrency: 1
defaults: { poll: 10ms }
steps:
  short: { model: m, inputs: { prompt: short } }
  long: { model: m, inputs: { prompt: long } }
  end: { model: m, inputs: { prompt: end }, needs: [long] }
";
    let outcome = Bench::new().model("m", takes(100)).run(yaml).await;
    let prompts: Vec<_> = outcome.submits.iter().map(|submit| submit.inputs["prompt"].clone()).collect();
    assert_eq!(prompts[0], "long");
}

#[tokio::test(start_paused = true)]
async fn a_submit_whose_answer_is_lost_is_never_repeated() {
    for kind in [FaultKind::Ambiguous, FaultKind::Unavailable, FaultKind::Timeout, FaultKind::Malformed] {
        let behaviour = Behaviour { submit_faults: vec![(When::After, fault(kind))], ..takes(200) };
        let outcome = Bench::new().model("m", behaviour).run("steps: { a: { model: m, inputs: { prompt: x } } }").await;
        assert_eq!(outcome.state.status, RunStatus::SubmitUnknown, "{kind:?}");
        assert_eq!((outcome.accepted["m"], outcome.submits.len()), (1, 1), "{kind:?}");
        assert!(outcome.error("a").starts_with("submit_unknown: a fault"), "{}", outcome.error("a"));
    }
}

const ONE: &str = "steps: { a: { model: m, inputs: { prompt: x } } }";

#[tokio::test(start_paused = true)]
async fn where_a_key_makes_one_job_a_lost_answer_is_settled_by_sending_it_again() {
    for kind in [FaultKind::Ambiguous, FaultKind::Unavailable, FaultKind::Malformed] {
        let lost = || (When::After, fault(kind));
        let behaviour = Behaviour {
            submit_faults: vec![lost(), lost(), (When::Before, fault(FaultKind::RateLimited))],
            ..takes(200)
        };
        let outcome = Bench::new().idempotent().model("m", behaviour).run(ONE).await;
        assert_eq!(outcome.state.status, RunStatus::Succeeded, "{kind:?}");
        assert_eq!((outcome.accepted["m"], outcome.submits.len()), (1, 4), "{kind:?}");
        assert_eq!(outcome.story()[2..4], ["submit_intended a", "retry_scheduled a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_key_does_not_settle_is_unknown() {
    // A refusal of the second sending says nothing of the first.
    let refused = vec![(When::After, fault(FaultKind::Ambiguous)), (When::Before, fault(FaultKind::Unauthorized))];
    // A key is asked for an hour, however long the step may take.
    let silent = vec![(When::After, fault(FaultKind::Unavailable)); 2000];
    for (faults, hours) in [(refused, 0), (silent, 1)] {
        let behaviour = Behaviour { submit_faults: faults, ..takes(200) };
        let yaml = "steps: { a: { model: m, inputs: { prompt: x }, timeout: 5h } }";
        let outcome = Bench::new().idempotent().model("m", behaviour).run(yaml).await;
        assert_eq!(outcome.state.status, RunStatus::SubmitUnknown);
        assert_eq!((outcome.accepted["m"], outcome.took.as_secs() / 3500), (1, hours), "{:?}", outcome.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_settles_a_lost_answer_and_calls_the_job_off() {
    let behaviour = Behaviour { submit_faults: vec![(When::After, fault(FaultKind::Ambiguous)); 2], ..takes(60_000) };
    let outcome =
        Bench::new().idempotent().model("m", behaviour).cancel_after(Duration::from_millis(20)).run(ONE).await;
    assert_eq!((outcome.state.status, outcome.cancels.len()), (RunStatus::Cancelled, 1));
    // Where no answer comes within the time that a signal leaves, nobody can tell.
    let behaviour = Behaviour { submit_faults: vec![(When::After, fault(FaultKind::Ambiguous)); 100], ..takes(60_000) };
    let outcome =
        Bench::new().idempotent().model("m", behaviour).cancel_after(Duration::from_millis(20)).run(ONE).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::SubmitUnknown, 1));
    assert!(outcome.took < Duration::from_secs(6), "{:?}", outcome.took);
}

#[tokio::test(start_paused = true)]
async fn a_provider_has_no_more_jobs_than_it_is_allowed() {
    let bounds = Bounds { jobs: Some(3), ..Bounds::default() };
    let outcome = Bench::new().bounds(bounds).model("m", takes(200)).run(&wide(20, "defaults: { poll: 10ms }")).await;
    assert_eq!((outcome.peak, outcome.accepted["m"]), (3, 20));
}

#[tokio::test(start_paused = true)]
async fn a_configured_rate_is_kept_from_the_first_request_on() {
    let bounds = Bounds { rate: Some(Rate { per_minute: 60, burst: 5 }), jobs: None, ..Bounds::default() };
    let sync = Behaviour { sync: true, ..takes(1) };
    let outcome = Bench::new().bounds(bounds).model("m", sync).run(&wide(34, "")).await;
    // Four of the burst at once, one more each second.
    assert_eq!((outcome.accepted["m"], outcome.took.as_secs()), (34, 30));
}

#[tokio::test(start_paused = true)]
async fn a_submit_without_any_answer_ends_with_the_timeout_and_is_unknown() {
    let behaviour = Behaviour { submit_faults: vec![(When::Never, fault(FaultKind::Timeout))], ..takes(200) };
    let yaml = "steps: { a: { model: m, inputs: { prompt: x }, timeout: 30s } }";
    let outcome = Bench::new().model("m", behaviour).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::SubmitUnknown);
    assert_eq!(outcome.took.as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_429_is_waited_out_within_the_attempt_and_tells_nobody_else_to_hurry() {
    let limited = Fault { retry_after: Some(Duration::from_secs(20)), ..fault(FaultKind::RateLimited) };
    let behaviour = Behaviour { submit_faults: vec![(When::Before, limited)], ..takes(200) };
    // Shorter than the wait: waiting because the API says so does not count.
    let yaml = "steps: { a: { model: m, inputs: { prompt: x }, timeout: 10s } }";
    let outcome = Bench::new().model("m", behaviour).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    assert_eq!((outcome.accepted["m"], outcome.submits.len()), (1, 2));
    assert!(outcome.took >= Duration::from_secs(20) && outcome.took < Duration::from_secs(23), "{:?}", outcome.took);
    assert_eq!(
        outcome.story()[2..7],
        ["submit_intended a", "rate_limited", "retry_scheduled a", "submit_intended a", "submitted a"]
    );
    assert_eq!(outcome.state.steps[0].attempt.map(|attempt| attempt.0), Some(1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_tried_again_until_the_timeout() {
    let few = Behaviour { submit_faults: vec![(When::Before, fault(FaultKind::Network)); 3], ..takes(200) };
    let yaml = "steps: { a: { model: m, inputs: { prompt: x }, timeout: 30s } }";
    let outcome = Bench::new().model("m", few).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::Succeeded, 4));
    let many = Behaviour { submit_faults: vec![(When::Before, fault(FaultKind::Network)); 1000], ..takes(200) };
    let outcome = Bench::new().model("m", many).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert!(outcome.error("a").starts_with("unreachable"), "{}", outcome.error("a"));
    assert!(outcome.took <= Duration::from_secs(30) && outcome.submits.len() < 30, "{:?}", outcome.took);
    assert_eq!(outcome.accepted.get("m"), None);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_fails_the_step_with_its_kind() {
    for (kind, word) in [
        (FaultKind::Rejected, "rejected"),
        (FaultKind::NotFound, "rejected"),
        (FaultKind::Unauthorized, "unauthorized"),
        (FaultKind::Forbidden, "forbidden"),
        (FaultKind::Credits, "credits"),
    ] {
        let behaviour = Behaviour { submit_faults: vec![(When::Before, fault(kind))], ..takes(200) };
        let outcome = Bench::new().model("m", behaviour).run("steps: { a: { model: m, inputs: { prompt: x } } }").await;
        assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::Failed, 1));
        assert!(outcome.error("a").starts_with(word), "{}", outcome.error("a"));
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_nothing_starts_and_what_runs_goes_on() {
    let yaml = "
concurrency: 2
defaults: { poll: 10ms }
steps:
  bad: { model: bad, inputs: { prompt: x } }
  slow: { model: slow, inputs: { prompt: x } }
  later: { model: slow, inputs: { prompt: y } }
  after: { model: slow, inputs: { prompt: '{{ steps.bad.image }}' } }
  follows: { model: slow, inputs: { prompt: z }, needs: [slow] }
outputs: { x: '{{ steps.slow.image }}' }
";
    let bad = Behaviour { outcome: Err("overloaded".to_owned()), ..takes(100) };
    let outcome = Bench::new().model("bad", bad).model("slow", takes(1000)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert_eq!(outcome.error("bad"), "job_failed: overloaded");
    assert_eq!(outcome.state.outputs, None);
    let statuses = ["slow", "later", "after", "follows"].map(|step| outcome.status(step));
    // `follows` or `later` may have had the second slot: the ranks say `slow`, which has a follower.
    assert_eq!(statuses, ["succeeded", "skipped", "skipped", "skipped"]);
    assert_eq!(outcome.accepted["slow"], 1);
    assert!((outcome.state.credits() - 10.0).abs() < f64::EPSILON, "the failed job's credits are given back");
}

#[tokio::test(start_paused = true)]
async fn a_false_when_skips_and_what_needs_it_too_and_the_run_succeeds() {
    let yaml = "
inputs: { go: { type: boolean } }
steps:
  a: { model: m, when: inputs.go, inputs: { prompt: x } }
  b: { model: m, inputs: { prompt: '{{ steps.a.status }}' } }
  c: { set: { n: 1, list: [1, 2], deep: { go: '{{ inputs.go }}' } } }
outputs: { a: '{{ steps.a.image }}', many: '{{ steps.a.images }}', c: '{{ steps.c.output }}' }
";
    let outcome = Bench::new().model("m", takes(100)).input("go", json!(false)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    assert_eq!(["a", "b", "c"].map(|step| outcome.status(step)), ["skipped", "skipped", "succeeded"]);
    let outputs = json!({"a": null, "many": [], "c": {"n": 1, "list": [1, 2], "deep": {"go": false}}});
    assert_eq!(json!(outcome.state.outputs), outputs);
    assert_eq!(outcome.submits.len(), 0);
    let outcome = Bench::new().model("m", takes(100)).input("go", json!(true)).run(yaml).await;
    assert_eq!(["a", "b"].map(|step| outcome.status(step)), ["succeeded", "succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_looks_once_more_then_cancels() {
    let yaml = "steps: { a: { model: m, inputs: { prompt: x }, timeout: 20s } }";
    let outcome = Bench::new().model("m", takes(60_000)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert_eq!(outcome.error("a"), "timeout: no result within 20s; the job was cancelled");
    assert_eq!(outcome.cancels, ["job0"]);
    // The poller looked at 16 s; the job was done at 19 s.
    let outcome = Bench::new().model("m", takes(19_000)).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.took.as_secs()), (RunStatus::Succeeded, 20));
    assert_eq!(outcome.cancels, [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_signal_cancels_what_runs_and_starts_nothing() {
    let yaml = "
concurrency: 2
steps:
  a: { model: m, inputs: { prompt: x } }
  b: { model: late, inputs: { prompt: x } }
  c: { model: m, inputs: { prompt: y } }
  d: { model: m, inputs: { prompt: z }, needs: [a] }
";
    let late = Behaviour { late_cancel: true, ..takes(6000) };
    let bench = Bench::new().model("m", takes(60_000)).model("late", late).cancel_after(Duration::from_secs(4));
    let outcome = bench.run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Cancelled);
    assert_eq!(outcome.accepted["m"], 1);
    // `b` could not be stopped any more, and was done within the grace: it counts.
    assert_eq!(["a", "b", "c", "d"].map(|step| outcome.status(step)), ["cancelled", "succeeded", "skipped", "skipped"]);
    assert!(outcome.took <= Duration::from_secs(9), "{:?}", outcome.took);
}

/// A job that nothing stops is said to go on, unless it was over before anybody had seen it.
#[tokio::test(start_paused = true)]
async fn what_cannot_be_called_off_is_told_while_it_goes_on() {
    let yaml = "steps: { a: { model: m, inputs: { prompt: x } } }";
    for (takes_for, status, warnings) in [(60_000, RunStatus::Cancelled, 1), (4000, RunStatus::Succeeded, 0)] {
        let behaviour = Behaviour { unstoppable: true, ..takes(takes_for) };
        // Looks come after 1, 3 and 7 s.
        let outcome = Bench::new().model("m", behaviour).cancel_after(Duration::from_secs(5)).run(yaml).await;
        assert_eq!((outcome.state.status, outcome.state.warnings.len()), (status, warnings), "{:?}", outcome.story());
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_during_an_unanswered_submit_ends_unknown_after_the_grace() {
    let behaviour = Behaviour { submit_faults: vec![(When::Never, fault(FaultKind::Timeout))], ..takes(200) };
    let bench = Bench::new().model("m", behaviour).cancel_after(Duration::from_secs(2));
    let outcome = bench.run("steps: { a: { model: m, inputs: { prompt: x } } }").await;
    assert_eq!((outcome.state.status, outcome.took.as_secs()), (RunStatus::SubmitUnknown, 7));
}

#[tokio::test(start_paused = true)]
async fn a_job_may_appear_late_but_one_that_stays_away_has_vanished() {
    let late = Behaviour { unknown_for: Duration::from_secs(3), ..takes(200) };
    let yaml = "steps: { a: { model: m, inputs: { prompt: x } } }";
    let outcome = Bench::new().model("m", late).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    let gone = Behaviour { unknown_for: Duration::MAX, ..takes(200) };
    let outcome = Bench::new().model("m", gone).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::Failed, 1));
    assert!(outcome.error("a").starts_with("job_vanished"), "{}", outcome.error("a"));
}

/// Where no look is documented, not to find a job says nothing of it.
#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_be_looked_at_is_unknown_and_the_message_says_what_to_do() {
    let yaml = "steps: { a: { model: m, inputs: { prompt: x } } }";
    let gone = || Behaviour { unknown_for: Duration::MAX, ..takes(200) };
    let outcome = Bench::new().blind("set `poll_path`").model("m", gone()).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::SubmitUnknown, 1));
    assert_eq!(outcome.looks.len(), 3);
    let error = outcome.error("a");
    assert!(
        error.starts_with("submit_unknown: the API accepted the job job0") && error.contains("set `poll_path`"),
        "{error}"
    );
    // The control: fewer than three in a row are no reason.
    let late = Behaviour { unknown_for: Duration::from_millis(1100), ..takes(200) };
    let outcome = Bench::new().blind("set `poll_path`").model("m", late).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn failing_looks_are_repeated_and_a_429_on_a_look_holds_the_key_back() {
    let limited = Fault { retry_after: Some(Duration::from_secs(40)), ..fault(FaultKind::RateLimited) };
    let faults = vec![fault(FaultKind::Unavailable), fault(FaultKind::Malformed), fault(FaultKind::Network), limited];
    let yaml = "steps: { a: { model: m, inputs: { prompt: x } } }";
    let outcome = Bench::new().model("m", takes(200)).look_faults(faults).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Succeeded, 1));
    assert!(outcome.took >= Duration::from_secs(40), "{:?}", outcome.took);
    assert_eq!(outcome.looks.len(), 5);
    assert_eq!(outcome.state.warnings.len(), 1, "a few in a row are worth a word");
}

#[tokio::test(start_paused = true)]
async fn a_template_that_fails_names_its_place_and_sends_nothing() {
    let yaml = "
steps:
  a: { model: m, inputs: { prompt: x } }
  b:
    model: m
    inputs:
      prompt: \"Describe {{ steps.a.output.missing }}\"
";
    let outcome = Bench::new().model("m", takes(200)).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Failed, 1));
    let error = outcome.error("b");
    assert!(error.starts_with("template: ") && error.contains("test.yaml:7:"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_output_that_fails_fails_the_run_and_keeps_its_steps() {
    let yaml = "
steps:
  a: { model: m, inputs: { prompt: x } }
outputs:
  clip: '{{ steps.a.video }}'
";
    let outcome = Bench::new().model("m", takes(200)).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.status("a")), (RunStatus::Failed, "succeeded".to_owned()));
    let error = outcome.state.error.expect("an error");
    assert!(error.message.contains("test.yaml:5:"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_sent_and_written_down_only_as_a_digest() {
    let yaml = "
inputs: { token: { type: string, secret: true } }
steps:
  a: { model: m, inputs: { prompt: 'with {{ inputs.token }}' } }
";
    let outcome = Bench::new().model("m", takes(200)).input("token", json!("canary-canary")).run(yaml).await;
    assert_eq!(outcome.submits[0].inputs["prompt"], "with canary-canary");
    let journal = serde_json::to_string(&outcome.records).expect("JSON");
    assert!(!journal.contains("canary") && journal.contains("$secret"), "{journal}");
    // The control: a plain input is written down, so the canary would have been found.
    let plain = yaml.replace(", secret: true", "");
    let outcome = Bench::new().model("m", takes(200)).input("token", json!("canary-canary")).run(&plain).await;
    assert!(serde_json::to_string(&outcome.records).expect("JSON").contains("canary"));
}

const SAME_FILE: &str = "
vars: { logo: \"{{ file('logo.png') }}\" }
inputs: { picture: { type: file, default: a.png } }
defaults: { poll: 10ms }
steps:
  a: { model: m, inputs: { prompt: '{{ inputs.picture | basename }}', image_input: ['{{ inputs.picture }}'] } }
  b: { model: m, inputs: { prompt: \"see {{ file('a.png') }}\", image_input: ['{{ vars.logo }}', \"{{ file('copy.png') }}\"] } }
  c: { model: m, inputs: { prompt: three, image_input: ['{{ inputs.picture }}', '{{ steps.a.image }}'] } }
outputs: { path: '{{ inputs.picture | basename }}' }
";

#[tokio::test(start_paused = true)]
async fn a_local_file_is_handed_over_once_for_its_content_and_stands_in_inputs_by_its_reference() {
    let outcome = Bench::new()
        .uploads()
        .file("a.png", b"a picture")
        .file("copy.png", b"a picture")
        .file("logo.png", b"a logo")
        .model("m", takes(200))
        .run(SAME_FILE)
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    assert_eq!(outcome.uploads.len(), 2, "two contents: {:?}", outcome.uploads);
    let sent: Vec<_> = outcome.submits.iter().map(|submit| serde_json::Value::Object(submit.inputs.clone())).collect();
    let of = |prompt: &str| {
        sent.iter()
            .find(|sent| sent["prompt"].as_str().is_some_and(|text| text.starts_with(prompt)))
            .expect("it was sent")
    };
    let picture = of("a.png")["image_input"][0].clone();
    assert!(picture.as_str().is_some_and(|url| url.starts_with("https://media.example.com/")), "{picture}");
    let b = of("see ");
    assert_eq!(b["prompt"], json!(format!("see {}", picture.as_str().expect("text"))));
    // Another name of the same content stands for the same upload; the logo is another.
    assert!(b["image_input"][1] == picture && b["image_input"][0] != picture, "{b}");
    assert_eq!(of("three")["image_input"][0], picture);
    assert_eq!(json!(outcome.state.outputs), json!({"path": "a.png"}));
    let story = outcome.story();
    assert_eq!(story.iter().filter(|kind| *kind == "media_uploaded").count(), 2);
    let place = |kind: &str| story.iter().position(|other| other == kind);
    assert!(place("media_uploaded") < place("submit_intended a"), "{story:?}");
}

/// What a file becomes in an input is for the operation to say that is asked for, not for the default one.
#[tokio::test(start_paused = true)]
async fn a_file_has_the_form_that_the_steps_own_operation_wants() {
    let mode = |name: &str, picture: serde_json::Value| Mode {
        name: name.to_owned(),
        schema: Some(json!({"properties": {"picture": picture}})),
        params: None,
        needs_scope: None,
    };
    let object = json!({
        "type": "object",
        "properties": {"media_ref": {"type": "string"}},
        "required": ["media_ref"],
        "additionalProperties": false
    });
    let yaml = "
defaults: { poll: 10ms }
steps:
  usual: { model: m, inputs: { picture: \"{{ file('a.png') }}\" } }
  own: { model: m, mode: wrapped, inputs: { picture: \"{{ file('a.png') }}\" } }
";
    let modes = vec![mode("execute", json!({"type": "string"})), mode("wrapped", object)];
    let outcome = Bench::new().uploads().file("a.png", b"x").modes(modes).model("m", takes(200)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    let sent = |mode: Option<&str>| {
        let of_mode = |submit: &&JobRequest| submit.operation.mode.as_deref() == mode;
        outcome.submits.iter().find(of_mode).expect("it was sent").inputs["picture"].clone()
    };
    assert_eq!(sent(None), json!("https://media.example.com/1"));
    assert_eq!(sent(Some("wrapped")), json!({"media_ref": "https://media.example.com/1"}));
}

/// An HTTP request has no files: a file input is its path there, and nothing is handed over for it.
#[tokio::test(start_paused = true)]
async fn a_request_has_the_path_of_a_file_and_not_the_file() {
    let yaml = "
inputs: { picture: { type: file, default: a.png } }
steps: { ask: { provider: scripted, http: { url: /pictures, query: { name: '{{ inputs.picture }}' } } } }
";
    let sync = Behaviour { sync: true, ..takes(10) };
    let outcome = Bench::new().uploads().file("a.png", b"x").model("GET /pictures", sync).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    assert_eq!(outcome.uploads, [] as [&str; 0]);
    let name = outcome.submits[0].inputs["query"]["name"].as_str().expect("a text");
    assert!(name.ends_with("a.png") && !name.contains("://"), "{name}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_not_there_when_it_is_wanted_fails_its_step_alone() {
    let yaml = "
inputs: { picture: { type: file, default: gone.png } }
steps: { a: { model: m, inputs: { prompt: x, image_input: ['{{ inputs.picture }}'] } } }
";
    let outcome = Bench::new().uploads().model("m", takes(200)).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::Failed, 0));
    assert!(outcome.error("a").starts_with("upload: there is no file"), "{}", outcome.error("a"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_the_api_has_forgotten_is_uploaded_anew_once() {
    let yaml = "steps: { a: { model: m, inputs: { prompt: x, image_input: [\"{{ file('a.png') }}\"] } } }";
    let forgotten = |number: u32| {
        let message = format!("unknown media_ref https://media.example.com/{number}");
        (When::Before, Fault::new(FaultKind::Rejected, message))
    };
    let behaviour = Behaviour { submit_faults: vec![forgotten(1)], ..takes(200) };
    let outcome = Bench::new().uploads().file("a.png", b"x").model("m", behaviour).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.uploads.len()), (RunStatus::Succeeded, 2), "{:?}", outcome.story());
    assert_eq!(outcome.submits[1].inputs["image_input"], json!(["https://media.example.com/2"]));
    let behaviour = Behaviour { submit_faults: vec![forgotten(1), forgotten(2)], ..takes(200) };
    let outcome = Bench::new().uploads().file("a.png", b"x").model("m", behaviour).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.uploads.len()), (RunStatus::Failed, 2));
    assert!(outcome.error("a").starts_with("rejected"), "{}", outcome.error("a"));
}

/// A place that keeps what it is given and signs URLs for it.
#[derive(Debug, Default)]
struct Shelf(std::sync::Mutex<Vec<String>>);

impl Staging for Shelf {
    fn place(&self) -> &'static str {
        "a shelf"
    }

    fn put<'a>(&'a self, file: &'a LocalFile, digest: &'a Digest) -> BoxFuture<'a, Result<Staged, ArtifactError>> {
        self.0.lock().expect("no panic").push(file.name.clone());
        let url = Secret::new(format!("https://shelf.example.com/{digest}?signature=canary"));
        let expires = "2027-01-01T00:00:00Z".parse().expect("a time");
        async move { Ok(Staged { url, expires }) }.boxed()
    }

    fn check(&self) -> BoxFuture<'_, Result<(), ArtifactError>> {
        async { Ok(()) }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_takes_files_by_url_gets_a_signed_one_whose_signature_is_written_nowhere() {
    let yaml = "steps: { a: { model: m, inputs: { prompt: x, image_input: [\"{{ file('a.png') }}\"] } } }";
    let shelf = Arc::new(Shelf::default());
    let outcome = Bench::new().staging(shelf.clone()).file("a.png", b"x").model("m", takes(200)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    let sent = outcome.submits[0].inputs["image_input"][0].as_str().expect("a URL").to_owned();
    assert!(sent.starts_with("https://shelf.example.com/") && sent.ends_with("?signature=canary"), "{sent}");
    assert_eq!(*shelf.0.lock().expect("no panic"), ["a.png"]);
    let written = serde_json::to_string(&outcome.records).expect("JSON");
    assert!(written.contains("https://shelf.example.com/") && !written.contains("canary"), "{written}");
}
