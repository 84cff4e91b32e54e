//! `when`, `needs`, `trigger`, `on_error`, `failure_policy`, `timeout`, `retry`, `fallback` and `finally`.

use std::time::Duration;

use dagwood::job::Fault;
use dagwood::{job::FaultKind, journal::event::RunStatus};
use serde_json::json;

use super::{failing, takes};
use crate::scripted::{Behaviour, Bench, When};

/// `bad` fails at once, `slow` takes two seconds; what follows from either, and what asks for failures.
const BRANCHES: &str = "
defaults: { poll: 10ms }
steps:
  bad: { model: bad, inputs: { prompt: x } }
  slow: { model: slow, inputs: { prompt: x } }
  after_bad: { model: m, inputs: { prompt: after bad }, needs: [bad] }
  after_slow: { model: m, inputs: { prompt: after slow }, needs: [slow] }
  anyway: { model: m, inputs: { prompt: anyway }, needs: [bad, slow], trigger: all_done }
  some: { model: m, inputs: { prompt: some }, needs: [bad, slow], trigger: any_succeeded }
  none: { model: m, inputs: { prompt: none }, needs: [bad, after_bad], trigger: any_succeeded }
";

async fn branches(policy: &str) -> [String; 7] {
    let bench = Bench::new().model("bad", failing()).model("slow", takes(2_000)).model("m", takes(100));
    let outcome = bench.run(&format!("{policy}{BRANCHES}")).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    ["bad", "slow", "after_bad", "after_slow", "anyway", "some", "none"].map(|step| outcome.status(step))
}

#[tokio::test(start_paused = true)]
async fn what_a_failure_stops_is_what_the_policy_says() {
    // What runs ends, nothing else starts but what asks for it.
    assert_eq!(
        branches("failure_policy: drain").await,
        ["failed", "succeeded", "skipped", "skipped", "succeeded", "succeeded", "skipped"]
    );
    assert_eq!(branches("").await, branches("failure_policy: drain").await, "the default");
    // Every branch that can goes on.
    assert_eq!(
        branches("failure_policy: continue").await,
        ["failed", "succeeded", "skipped", "succeeded", "succeeded", "succeeded", "skipped"]
    );
    // What runs is called off; what waited for just that runs.
    assert_eq!(
        branches("failure_policy: cancel").await,
        ["failed", "cancelled", "skipped", "skipped", "succeeded", "skipped", "skipped"]
    );
}

/// A trigger is no way round the policy: what needs nothing that failed is called off like the others.
#[tokio::test(start_paused = true)]
async fn under_the_policy_cancel_a_trigger_runs_only_what_follows_a_failure() {
    let yaml = "
defaults: { poll: 10ms }
failure_policy: cancel
steps:
  quick: { model: m, inputs: { prompt: quick } }
  bad: { model: bad, inputs: { prompt: bad } }
  runs: { model: slow, inputs: { prompt: runs }, needs: [quick], trigger: all_done }
  report: { foreach: [1, 2], model: slow, inputs: { prompt: 'report {{ item }}' }, needs: [bad, runs], trigger: all_done }
";
    let bench =
        Bench::new().model("m", takes(100)).model("bad", Behaviour { outcome: failing().outcome, ..takes(500) });
    let outcome = bench.model("slow", takes(2_000)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    let statuses = ["quick", "bad", "runs", "report"].map(|step| outcome.status(step));
    assert_eq!(statuses, ["succeeded", "failed", "cancelled", "succeeded"], "{:?}", outcome.story());
}

#[tokio::test(start_paused = true)]
async fn triggers_are_judged_when_all_that_is_needed_is_done() {
    for trigger in ["all_succeeded", "all_done", "any_succeeded"] {
        let yaml = format!(
            "defaults: {{ poll: 10ms }}\nsteps:\n  quick: {{ model: m, inputs: {{ prompt: quick }} }}\n  slow: {{ model: slow, inputs: {{ prompt: slow }} }}\n  next: {{ model: m, inputs: {{ prompt: next }}, needs: [quick, slow], trigger: {trigger} }}"
        );
        let outcome = Bench::new().model("m", takes(100)).model("slow", takes(5_000)).run(&yaml).await;
        assert_eq!((outcome.state.status, outcome.took.as_millis() / 100), (RunStatus::Succeeded, 51), "{trigger}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handled_failure_is_none_for_dependents_triggers_and_the_run() {
    let outcome = Bench::new()
        .model("bad", failing())
        .model("m", takes(100))
        .run(
            "
steps:
  bad: { model: bad, inputs: { prompt: x }, on_error: continue }
  after: { set: { status: '{{ steps.bad.status }}', output: '{{ steps.bad.output }}', image: '{{ steps.bad.image }}', images: '{{ steps.bad.images }}', kind: '{{ steps.bad.error.kind }}' } }
  any: { set: { x: 1 }, needs: [bad], trigger: any_succeeded }
finally:
  end: { set: { status: '{{ run.status }}', failed: '{{ run.failed_steps }}' } }
outputs: { after: '{{ steps.after.output }}', any: '{{ steps.any.status }}' }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    let after = json!({"status": "failed", "output": null, "image": null, "images": [], "kind": "job_failed"});
    assert_eq!(outcome.outputs(), json!({"after": after, "any": "succeeded"}));
    let end = outcome.state.own().last().and_then(|step| step.outputs.clone()).expect("an output");
    assert_eq!(end["end"], json!({"status": "succeeded", "failed": []}));
}

#[tokio::test(start_paused = true)]
async fn a_skip_goes_on_to_what_needs_it_unless_that_asks_for_it() {
    let outcome = Bench::new()
        .run(
            "
steps:
  a: { when: 1 > 2, set: { x: 1 } }
  b: { set: { x: '{{ steps.a.output }}' } }
  c: { needs: [b], set: { x: 1 } }
  d: { needs: [a, b], trigger: all_done, set: { x: '{{ steps.a.output }}' } }
outputs: { a: '{{ steps.a.status }}', d: '{{ steps.d.output }}' }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    assert_eq!(["a", "b", "c", "d"].map(|step| outcome.status(step)), ["skipped", "skipped", "skipped", "succeeded"]);
    assert_eq!(outcome.outputs(), json!({"a": "skipped", "d": {"x": null}}));
}

#[tokio::test(start_paused = true)]
async fn another_attempt_comes_only_for_what_is_listed_and_waits_longer_each_time() {
    let yaml = |retry: &str| {
        format!(
            "steps: {{ a: {{ model: m, inputs: {{ prompt: x }}, retry: {retry} }} }}\noutputs: {{ n: '{{{{ steps.a.job.id }}}}' }}"
        )
    };
    let twice = || Bench::new().model("m", Behaviour { fails_first: 2, ..takes(100) });
    let outcome =
        twice().run(&yaml("{ attempts: 3, on: [job_failed], backoff: { initial: 10s, factor: 3, max: 20s } }")).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Succeeded, 3));
    // From 5 to 10 s, then from 10 to 20.
    assert!((15..=33).contains(&outcome.took.as_secs()), "{:?}", outcome.took);
    assert_eq!(outcome.outputs(), json!({"n": "job2"}));
    // What failed jobs cost is given back.
    assert!((outcome.state.credits() - 10.0).abs() < 1e-9);
    let attempts: Vec<u32> = outcome
        .records
        .iter()
        .filter_map(|record| match &record.event {
            dagwood::journal::event::Event::SubmitIntended { attempt, .. } => Some(attempt.0),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2, 3], "each has a key of its own");
    let outcome = twice().run(&yaml("{ attempts: 2, on: [job_failed] }")).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Failed, 2));
    for on in ["[timeout]", "[expectation_failed]"] {
        let outcome = twice().run(&yaml(&format!("{{ attempts: 5, on: {on} }}"))).await;
        assert_eq!(outcome.accepted["m"], 1, "{on}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_timeout_another_job_is_submitted_only_once_the_old_one_is_over() {
    let yaml = "defaults: { poll: 100ms }\nsteps: { a: { model: m, inputs: { prompt: x }, timeout: 2s, retry: { attempts: 2, on: [timeout], backoff: { initial: 1s } } } }";
    // It can be cancelled.
    let outcome = Bench::new().model("m", takes(600_000)).run(yaml).await;
    assert_eq!((outcome.accepted["m"], outcome.cancels.len(), outcome.peak), (2, 2, 1));
    assert!(outcome.error("a").starts_with("timeout: no result within 2s"), "{}", outcome.error("a"));
    // It cannot, and ends a while after its time: what it gave counts.
    let outcome = Bench::new().model("m", Behaviour { unstoppable: true, ..takes(3_500) }).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"], outcome.peak), (RunStatus::Succeeded, 1, 1));
    // It never ends: nobody can tell, so no other is submitted.
    let outcome = Bench::new().model("m", Behaviour { unstoppable: true, ..takes(600_000) }).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::SubmitUnknown, 1));
    // Without a retry the step just fails.
    let alone = yaml.replace(", retry: { attempts: 2, on: [timeout], backoff: { initial: 1s } }", "");
    let outcome = Bench::new().model("m", Behaviour { unstoppable: true, ..takes(600_000) }).run(&alone).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn after_a_timeout_a_fallback_waits_until_the_old_job_is_over() {
    let yaml = "defaults: { poll: 100ms }\nsteps: { a: { model: m, inputs: { prompt: x }, timeout: 2s, fallback: [{ model: other }] } }";
    let run = async |model: Behaviour| Bench::new().model("m", model).model("other", takes(100)).run(yaml).await;
    let stopped = run(takes(600_000)).await;
    assert_eq!((stopped.state.status, stopped.cancels.len(), stopped.peak), (RunStatus::Succeeded, 1, 1));
    assert_eq!(stopped.accepted["other"], 1);
    // It cannot be stopped, and ends a while after its time: what it gave counts.
    let late = run(Behaviour { unstoppable: true, ..takes(3_500) }).await;
    assert_eq!((late.state.status, late.accepted.get("other")), (RunStatus::Succeeded, None));
    // It never ends: nobody can tell, so nothing stands in for it.
    let endless = run(Behaviour { unstoppable: true, ..takes(600_000) }).await;
    assert_eq!((endless.state.status, endless.accepted.get("other")), (RunStatus::SubmitUnknown, None));
}

#[tokio::test(start_paused = true)]
async fn fallbacks_are_tried_in_order_with_what_they_do_not_say_as_in_the_step() {
    let outcome = Bench::new()
        .model("bad", failing())
        .model("worse", failing())
        .model("good", takes(100))
        .run(
            "
steps:
  a:
    model: bad
    inputs: { prompt: own }
    retry: { attempts: 2, on: [job_failed], backoff: { initial: 10ms } }
    fallback:
      - model: worse
      - { model: good, inputs: { prompt: other } }
      - { model: bad }
  b:
    model: bad
    inputs: { prompt: own }
    fallback: [{ set: { outputImage: 'https://files.example.com/stock.png' } }]
outputs: { a: '{{ steps.a.image }}', b: '{{ steps.b.image }}', job: '{{ steps.a.job.status }}' }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    assert_eq!((outcome.accepted["bad"], outcome.accepted["worse"], outcome.accepted["good"]), (3, 2, 1));
    assert_eq!(outcome.prompts().last().map(String::as_str), Some("other"));
    assert_eq!(
        outcome.outputs(),
        json!({"a": "https://files.example.com/a.png", "b": "https://files.example.com/stock.png", "job": "completed"})
    );
}

#[tokio::test(start_paused = true)]
async fn whatever_fails_a_step_for_good_its_fallback_takes_up() {
    let fault = |kind| (When::Before, Fault::new(kind, "no"));
    for kind in [FaultKind::Rejected, FaultKind::Unauthorized, FaultKind::Forbidden, FaultKind::Credits] {
        let model = Behaviour { submit_faults: vec![fault(kind)], ..takes(100) };
        let yaml = "steps: { a: { model: m, inputs: { prompt: x }, fallback: [{ model: other }] } }";
        let outcome = Bench::new().model("m", model).model("other", takes(100)).run(yaml).await;
        assert_eq!((outcome.state.status, outcome.accepted["other"]), (RunStatus::Succeeded, 1), "{kind:?}");
    }
    // A template that fails, and one in the fallback that does not.
    let yaml = "steps:\n  a: { set: { list: [1] } }\n  b: { model: m, inputs: { prompt: 'x {{ steps.a.output.list[3] }}' }, fallback: [{ inputs: { prompt: y } }] }";
    let outcome = Bench::new().model("m", takes(100)).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.prompts()), (RunStatus::Succeeded, vec!["y".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_tell_is_taken_up_by_nothing() {
    let lost = Fault::new(FaultKind::Timeout, "no answer");
    let model = Behaviour { submit_faults: vec![(When::After, lost)], ..takes(100) };
    let yaml = "
steps:
  a:
    model: m
    inputs: { prompt: x }
    retry: { attempts: 3, on: [job_failed, timeout, expectation_failed] }
    fallback: [{ model: other }]
    on_error: continue
";
    let outcome = Bench::new().model("m", model).model("other", takes(100)).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::SubmitUnknown, 1));
    assert!(!outcome.state.step(0).handled);
}

/// Submits that were given up hold nothing back.
#[tokio::test(start_paused = true)]
async fn finally_runs_beside_submits_that_a_signal_left_unanswered() {
    let never = || (When::Never, Fault::new(FaultKind::Timeout, "no answer"));
    let silent = Behaviour { submit_faults: std::iter::repeat_with(never).take(8).collect(), ..takes(100) };
    let steps = (0..8).map(|number| format!("  s{number}: {{ model: m, inputs: {{ prompt: '{number}' }} }}\n"));
    let yaml =
        format!("steps:\n{}finally: {{ last: {{ model: n, inputs: {{ prompt: x }} }} }}", steps.collect::<String>());
    let bench = Bench::new().model("m", silent).model("n", takes(100)).cancel_after(Duration::from_secs(2));
    let outcome = bench.run(&yaml).await;
    assert_eq!((outcome.state.status, outcome.accepted["n"]), (RunStatus::SubmitUnknown, 1));
}

/// It is not called off, so that there is time to find out, however long ago the signal came.
#[tokio::test(start_paused = true)]
async fn a_lost_answer_in_finally_is_settled_after_the_grace_of_a_signal() {
    let lost =
        Behaviour { submit_faults: vec![(When::After, Fault::new(FaultKind::Timeout, "no answer"))], ..takes(10) };
    let yaml = "
steps:
  a: { model: m, inputs: { prompt: a } }
finally:
  slow: { model: m, inputs: { prompt: slow } }
  last: { model: lost, needs: [slow], inputs: { prompt: last } }
";
    let bench = Bench::new().idempotent().model("m", takes(20_000)).model("lost", lost);
    let outcome = bench.cancel_after(Duration::from_secs(2)).run(yaml).await;
    assert_eq!((outcome.state.status, outcome.accepted["lost"]), (RunStatus::Cancelled, 1));
    assert_eq!([outcome.status("slow"), outcome.status("last")], ["succeeded", "succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn finally_runs_after_everything_else_whatever_happened() {
    let yaml = |steps: &str| {
        format!(
            "
defaults: {{ poll: 10ms }}
steps:
{steps}
finally:
  first: {{ set: {{ status: '{{{{ run.status }}}}', failed: '{{{{ run.failed_steps }}}}', of: '{{{{ steps.a.status }}}}' }} }}
  second: {{ model: m, inputs: {{ prompt: 'after {{{{ steps.first.output.status }}}}' }} }}
outputs: {{ a: '{{{{ steps.a.status }}}}' }}
"
        )
    };
    let bench = || Bench::new().model("m", takes(1_000)).model("bad", failing());
    let first = |outcome: &crate::scripted::Outcome| {
        let step = outcome.state.position(&"first".parse().expect("a path")).expect("a step");
        outcome.state.step(step).outputs.clone().expect("an output")["first"].clone()
    };
    let outcome = bench().run(&yaml("  a: { model: m, inputs: { prompt: a } }")).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    assert_eq!(first(&outcome), json!({"status": "succeeded", "failed": [], "of": "succeeded"}));
    assert_eq!(outcome.prompts(), ["a", "after succeeded"]);

    let outcome =
        bench().run(&yaml("  a: { model: bad, inputs: { prompt: a } }\n  b: { needs: [a], set: { x: 1 } }")).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert_eq!(first(&outcome), json!({"status": "failed", "failed": ["a"], "of": "failed"}));
    assert_eq!(outcome.prompts(), ["a", "after failed"]);

    // A first signal calls off what runs, and `finally` runs.
    let outcome =
        bench().cancel_after(Duration::from_millis(300)).run(&yaml("  a: { model: m, inputs: { prompt: a } }")).await;
    assert_eq!(outcome.state.status, RunStatus::Cancelled);
    assert_eq!(first(&outcome), json!({"status": "cancelled", "failed": [], "of": "cancelled"}));
    assert_eq!((outcome.prompts(), outcome.cancels.len()), (vec!["a".to_owned(), "after cancelled".to_owned()], 1));
    assert_eq!(outcome.status("second"), "succeeded");

    // One that fails fails the run, and stops no other.
    let outcome = bench()
        .run("steps: { a: { set: { x: 1 } } }\nfinally: { b: { model: bad, inputs: { prompt: b } }, c: { needs: [b], set: { x: 1 } } }")
        .await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert_eq!([outcome.status("b"), outcome.status("c")], ["failed", "succeeded"]);
}

#[tokio::test(start_paused = true)]
async fn outputs_are_rendered_before_finally_which_hears_of_their_failure() {
    let outcome = Bench::new()
        .run(
            "
steps: { a: { set: { list: [1] } } }
finally: { end: { set: { status: '{{ run.status }}' } } }
outputs: { x: '{{ steps.a.output.list[vars.n] }}' }
vars: { n: '{{ 7 }}' }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert!(
        outcome.state.error.as_ref().is_some_and(|error| error.message.contains("test.yaml:4:")),
        "{:?}",
        outcome.state.error
    );
    let end = outcome.state.own()[1].outputs.clone().expect("an output");
    assert_eq!(end["end"], json!({"status": "failed"}));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_takes_too_long_is_called_off_and_failed_but_finally_runs() {
    let yaml = "
timeout: 5s
defaults: { poll: 10ms }
steps:
  a: { model: slow, inputs: { prompt: a } }
  b: { model: m, inputs: { prompt: b }, needs: [a] }
finally:
  end: { model: m, inputs: { prompt: '{{ run.status }}' } }
";
    let outcome = Bench::new().model("slow", takes(60_000)).model("m", takes(8_000)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    let error = outcome.state.error.as_ref().expect("an error");
    assert_eq!(error.message, "the run had no result within 5s");
    assert_eq!(["a", "b", "end"].map(|step| outcome.status(step)), ["cancelled", "skipped", "succeeded"]);
    assert_eq!((outcome.prompts(), outcome.cancels.len()), (vec!["a".to_owned(), "failed".to_owned()], 1));
    // One that is done in time is not.
    let outcome = Bench::new().model("slow", takes(1_000)).model("m", takes(1_000)).run(yaml).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn under_drain_what_has_started_goes_on_with_attempts_fallbacks_and_items() {
    let outcome = Bench::new()
        .model("bad", failing())
        .model("flaky", Behaviour { fails_first: 1, ..takes(1_000) })
        .model("never", Behaviour { outcome: Err("no".to_owned()), ..takes(1_000) })
        .model("m", takes(1_000))
        .run(
            "
defaults: { poll: 10ms }
steps:
  bad: { model: bad, inputs: { prompt: bad } }
  again: { model: flaky, inputs: { prompt: again }, retry: { attempts: 2, on: [job_failed], backoff: { initial: 1s } } }
  instead: { model: never, inputs: { prompt: instead }, fallback: [{ model: m }] }
  items: { foreach: [1, 2, 3], max_parallel: 1, model: m, inputs: { prompt: 'item {{ item }}' } }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert_eq!(
        ["bad", "again", "instead", "items"].map(|step| outcome.status(step)),
        ["failed", "succeeded", "succeeded", "succeeded"]
    );
}

/// What is known before the run is rendered before it; but what surely does nothing is no mistake.
#[tokio::test(start_paused = true)]
async fn values_that_keep_a_step_from_running_do_not_fail_it() {
    let inputs = "inputs: { n: { type: integer, optional: true }, l: { type: array, default: [] } }\n";
    let guarded = [
        "a: { when: inputs.n is not none, set: { x: '{{ inputs.n + 1 }}' } }",
        "a: { when: inputs.n is not none, model: m, inputs: { prompt: '{{ inputs.n }} houses' } }",
        "a: { when: inputs.l | length > 0, set: { x: '{{ inputs.l[0] + 1 }}' } }",
        "a: { when: inputs.n is not none, foreach: 'range(inputs.n)', set: { x: '{{ item }}' } }",
        "a: { foreach: [1, 2], when: index < 5 and inputs.n is not none, set: { x: '{{ inputs.n + 1 }}' } }",
        "a: { foreach: inputs.l, set: { x: '{{ inputs.l[0] + 1 }}' } }",
        "z: { when: inputs.n, set: { x: 1 } }\n  a: { needs: [z], set: { x: '{{ inputs.n + 1 }}' } }",
        "z: { when: inputs.n, set: { x: 1 } }\n  a: { needs: [z], trigger: any_succeeded, set: { x: '{{ inputs.n + 1 }}' } }",
    ];
    for step in guarded {
        let yaml = format!(
            "{inputs}steps:\n  {step}\noutputs: {{ n: '{{{{ inputs.n }}}}', a: '{{{{ steps.a.output }}}}', l: '{{{{ inputs.l }}}}' }}"
        );
        let yaml = if step.contains("foreach") { yaml.replace("steps.a.output ", "steps.a.outputs ") } else { yaml };
        let outcome = Bench::new().model("m", takes(100)).run(&yaml).await;
        assert_eq!(outcome.state.status, RunStatus::Succeeded, "{step}: {:?}", outcome.state.error);
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_of_finally_that_failed_is_among_the_failed_steps_of_those_behind_it() {
    let outcome = Bench::new()
        .run(
            "
steps: { a: { set: { x: 1 } } }
finally:
  first: { set: { x: 1 }, expect: output.x > 1 }
  then: { needs: [first], set: { status: '{{ run.status }}', failed: '{{ run.failed_steps }}' } }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    let then = outcome.state.own().last().and_then(|step| step.outputs.clone()).expect("an output");
    assert_eq!(then["then"], json!({"status": "failed", "failed": ["first"]}));
}
