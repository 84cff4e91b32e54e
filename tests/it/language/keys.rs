//! Keys of one step: `defaults` for all of them, `timeout` while a step waits, `mode` and its siblings, and requests of an API.

use std::time::Duration;

use dagwood::{
    contract::Mode,
    job::{Fault, FaultKind},
    journal::event::RunStatus,
    provider::Rate,
    run::Bounds,
};
use serde_json::json;

use super::{failing, takes};
use crate::scripted::{Behaviour, Bench, When};

#[tokio::test(start_paused = true)]
async fn defaults_hold_for_every_step_that_does_not_say_otherwise() {
    let outcome = Bench::new()
        .model("flaky", Behaviour { fails_first: 1, ..takes(100) })
        .model("once", failing())
        .model("slow", takes(5_000))
        .model("strict", failing())
        .run(
            "
failure_policy: continue
defaults: { poll: 10ms, timeout: 2s, retry: { attempts: 2, on: [job_failed], backoff: { initial: 10ms } }, on_error: continue }
steps:
  again: { model: flaky, inputs: { prompt: x } }
  once: { model: once, inputs: { prompt: x }, retry: { attempts: 1 } }
  short: { model: slow, inputs: { prompt: short } }
  long: { model: slow, inputs: { prompt: long }, timeout: 10s }
  strict: { model: strict, inputs: { prompt: x }, on_error: fail }
finally:
  end: { set: { failed: '{{ run.failed_steps }}' } }
",
        )
        .await;
    assert_eq!(
        ["again", "once", "short", "long", "strict"].map(|step| outcome.status(step)),
        ["succeeded", "failed", "failed", "succeeded", "failed"]
    );
    assert_eq!((outcome.accepted["flaky"], outcome.accepted["once"], outcome.accepted["strict"]), (2, 1, 2));
    assert!(outcome.error("short").starts_with("timeout: no result within 2s"), "{}", outcome.error("short"));
    // What is handled by default is no failure of the run.
    let end = outcome.state.own().last().and_then(|step| step.outputs.clone()).expect("an output");
    assert_eq!((outcome.state.status, &end["end"]), (RunStatus::Failed, &json!({"failed": ["strict"]})));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_slot_or_for_a_rate_is_no_time_of_the_attempt() {
    let steps =
        "steps: { a: { foreach: '{{ range(9) | list }}', model: m, inputs: { prompt: '{{ item }}' }, timeout: 3s } }";
    let outcome = Bench::new().model("m", takes(2_000)).run(&format!("concurrency: 1\n{steps}")).await;
    assert_eq!((outcome.state.status, outcome.peak), (RunStatus::Succeeded, 1), "{:?}", outcome.story());
    assert!(outcome.took >= Duration::from_secs(18), "{:?}", outcome.took);
    let slowly = || Bounds { rate: Some(Rate { per_minute: 6, burst: 1 }), ..Bounds::default() };
    let sync = || Behaviour { sync: true, ..takes(2_000) };
    let outcome = Bench::new().bounds(slowly()).model("m", sync()).run(steps).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Succeeded, 9), "{:?}", outcome.story());
    assert!(outcome.took >= Duration::from_mins(1), "{:?}", outcome.took);
    // The control: an attempt that takes longer than that is one too long.
    let outcome = Bench::new().model("m", takes(4_000)).run(&format!("concurrency: 1\n{steps}")).await;
    assert!(outcome.error("a").starts_with("timeout: "), "{}", outcome.error("a"));
}

#[tokio::test(start_paused = true)]
async fn an_operation_takes_templates_and_a_fallback_has_params_of_its_own() {
    let mode = Mode { name: "index".to_owned(), schema: None, params: None, needs_scope: None };
    let outcome = Bench::new()
        .modes(vec![mode])
        .model("bad", failing())
        .model("good", takes(100))
        .run(
            "
inputs: { n: { type: integer, default: 2 } }
steps:
  a:
    model: bad
    mode: '{{ \"ind\" ~ \"ex\" }}'
    scope: 'team-{{ inputs.n }}'
    params: { top: '{{ inputs.n }}' }
    options: { seed: '{{ inputs.n + 1 }}' }
    inputs: { prompt: x }
    fallback: [{ model: good, params: { top: 9 } }]
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    let operation =
        |top: u8| json!({"mode": "index", "scope": "team-2", "params": {"top": top}, "options": {"seed": 3}});
    let sent: Vec<_> = outcome.submits.iter().map(|submit| json!(submit.operation)).collect();
    assert_eq!(sent, [operation(2), operation(9)]);
}

#[tokio::test(start_paused = true)]
async fn requests_of_an_api_go_under_its_limits() {
    let yaml = "steps: { a: { foreach: '{{ range(34) | list }}', provider: scripted, http: { url: /x, query: { n: '{{ item }}' } } } }";
    let sync = || Behaviour { sync: true, ..takes(1) };
    let bounds = Bounds { rate: Some(Rate { per_minute: 60, burst: 5 }), ..Bounds::default() };
    let outcome = Bench::new().bounds(bounds).model("GET /x", sync()).run(yaml).await;
    // Four of the burst at once, one more each second.
    assert_eq!((outcome.accepted["GET /x"], outcome.took.as_secs()), (34, 30));
    let outcome = Bench::new().model("GET /x", sync()).run(yaml).await;
    assert!(outcome.took < Duration::from_secs(1), "the control: {:?}", outcome.took);
}

#[tokio::test(start_paused = true)]
async fn an_answered_5xx_makes_another_attempt_of_a_request_where_it_is_listed() {
    // What the adapters make of a POST that was answered so: it is settled, and not sent again by itself.
    let answered = Fault { status: Some(503), ..Fault::new(FaultKind::Rejected, "503 Service Unavailable") };
    let post = || Behaviour { sync: true, submit_faults: vec![(When::Before, answered.clone())], ..takes(10) };
    let yaml =
        |retry: &str| format!("steps: {{ a: {{ provider: scripted, http: {{ method: POST, url: /x }}{retry} }} }}");
    for (retry, submits) in [
        (", retry: { attempts: 2, on: [server_error], backoff: { initial: 10ms } }", 2),
        (", retry: { attempts: 2, on: [network], backoff: { initial: 10ms } }", 1),
        ("", 1),
    ] {
        let outcome = Bench::new().model("POST /x", post()).run(&yaml(retry)).await;
        let expected = if submits == 2 { RunStatus::Succeeded } else { RunStatus::Failed };
        assert_eq!((outcome.state.status, outcome.submits.len()), (expected, submits), "{retry}");
    }
}

#[tokio::test(start_paused = true)]
async fn inputs_that_do_not_fit_the_contract_when_they_are_rendered_are_not_sent() {
    let yaml = |text: &str| {
        format!(
            "steps:\n  a: {{ set: {{ x: '{text}' }} }}\n  b: {{ model: m, inputs: {{ prompt: '{{{{ steps.a.output.x | fromjson }}}}' }} }}"
        )
    };
    let outcome = Bench::new().model("m", takes(100)).run(&yaml("[1]")).await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::Failed, 0));
    assert!(outcome.error("b").starts_with("rejected: "), "{}", outcome.error("b"));
    assert!(outcome.error("b").contains("`prompt`"), "{}", outcome.error("b"));
    // A number becomes its text where only a text is taken.
    let outcome = Bench::new().model("m", takes(100)).run(&yaml("12")).await;
    assert_eq!((outcome.state.status, outcome.prompts()), (RunStatus::Succeeded, vec!["12".to_owned()]));
}
