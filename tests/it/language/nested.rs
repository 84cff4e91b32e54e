//! `workflow`: another file as a step, with its own inputs, outputs, policy, timeout and `finally`, under the budget and the slots of the run.

use std::time::Duration;

use dagwood::{
    journal::event::{Event, RunStatus},
    report::{Style, closing},
};
use serde_json::json;

use super::{failing, takes};
use crate::scripted::{Behaviour, Bench};

const PART: &str = "
inputs: { what: { type: string }, times: { type: integer, default: 1 } }
vars: { loud: '{{ inputs.what | upper }}' }
steps:
  draw: { foreach: '{{ range(inputs.times) | list }}', model: m, inputs: { prompt: '{{ vars.loud }} {{ index }}' } }
  note: { set: { of: '{{ steps.draw.images | length }}' } }
finally:
  end: { set: { status: '{{ run.status }}' } }
outputs: { images: '{{ steps.draw.images }}', of: '{{ steps.note.output.of }}' }
";

fn bench() -> Bench {
    Bench::new().model("m", takes(100)).model("bad", failing()).file("part.yaml", PART.as_bytes())
}

#[tokio::test(start_paused = true)]
async fn its_outputs_are_the_steps_output_and_its_steps_have_paths() {
    let outcome = bench()
        .run(
            "
steps:
  one: { workflow: part.yaml, inputs: { what: one } }
  two: { workflow: ./part.yaml, inputs: { what: 'of {{ steps.one.output.of }}', times: 2 } }
  each: { foreach: [x, y], workflow: part.yaml, inputs: { what: '{{ item }}' } }
outputs: { two: '{{ steps.two.output.of }}', images: '{{ steps.two.images | length }}', each: '{{ steps.each.outputs | length }}' }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.state.error);
    assert_eq!(outcome.outputs()["two"], json!(2));
    let mut prompts = outcome.prompts();
    prompts.sort();
    assert_eq!(prompts, ["OF 1 0", "OF 1 1", "ONE 0", "X 0", "Y 0"]);
    let paths: Vec<&str> = outcome.state.steps.iter().map(|step| step.path.as_str()).collect();
    for path in ["two.draw", "two.draw[1]", "two.end", "each[1]", "each[1].draw", "each[1].draw[0]"] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn inputs_that_do_not_fit_fail_the_step_before_anything_is_sent() {
    let outcome = bench()
        .run("inputs: { x: { default: 3 } }\nvars: { y: '{{ inputs.x }}' }\nsteps: { a: { set: { n: many } }, b: { workflow: part.yaml, inputs: { what: x, times: '{{ [steps.a.output.n, 1] | first }}' } } }")
        .await;
    assert_eq!((outcome.state.status, outcome.submits.len()), (RunStatus::Failed, 0));
    assert!(outcome.error("b").starts_with("rejected: the inputs do not fit `"), "{}", outcome.error("b"));
    assert!(outcome.error("b").contains("input `times` must be a whole number"), "{}", outcome.error("b"));
}

/// What an API answers chooses no file of this machine, by whatever way it comes to an input that takes files.
#[tokio::test(start_paused = true)]
async fn a_result_is_no_path_of_a_file() {
    let part = "inputs: { picture: { type: file } }\nsteps: { a: { model: m, inputs: { prompt: x, image_input: ['{{ inputs.picture }}'] } } }";
    let run = async |answer: &str, step: &str| {
        let answers = Behaviour { outcome: Ok(json!({"outputText": answer})), ..takes(100) };
        let yaml = format!(
            "inputs: {{ own: {{ type: file, default: own.png }} }}\nsteps:\n  s: {{ model: says, inputs: {{ prompt: x }} }}\n  p: {{ workflow: part.yaml, {step} }}"
        );
        let bench = Bench::new().uploads().model("says", answers).model("m", takes(100));
        let files = bench.file("own.png", b"own").file("theirs.png", b"theirs").file("part.yaml", part.as_bytes());
        files.run(&yaml).await
    };
    let direct = "inputs: { picture: '{{ steps.s.text }}' }";
    let item = "foreach: '{{ [steps.s.text] }}', inputs: { picture: '{{ item }}' }";
    for step in [direct, item] {
        for answer in ["theirs.png", "/etc/hostname", ""] {
            let outcome = run(answer, step).await;
            assert_eq!((outcome.state.status, outcome.uploads.len()), (RunStatus::Failed, 0), "{answer} {step}");
            assert_eq!(outcome.accepted.get("m"), None, "{answer} {step}");
        }
        let outcome = run("https://example.com/a.png", step).await;
        assert_eq!((outcome.state.status, outcome.uploads.len()), (RunStatus::Succeeded, 0), "a URL: {step}");
    }
    let outcome = run("theirs.png", direct).await;
    assert!(
        outcome.error("p").ends_with("input `picture` must be a URL where it comes from a step's result"),
        "{}",
        outcome.error("p")
    );
    // The control: what the workflow itself names is a file.
    for step in
        ["needs: [s], inputs: { picture: '{{ inputs.own }}' }", "foreach: [own.png], inputs: { picture: '{{ item }}' }"]
    {
        let outcome = run("x", step).await;
        assert_eq!(
            (outcome.state.status, outcome.uploads),
            (RunStatus::Succeeded, vec!["own.png".to_owned()]),
            "{step}"
        );
    }
}

/// The same at any depth: a workflow in between passes on what it was given, by itself, in a var, or as an item.
#[tokio::test(start_paused = true)]
async fn a_result_that_is_passed_on_is_no_path_of_a_file() {
    let inner = "inputs: { picture: { type: file } }\nsteps: { a: { model: m, inputs: { prompt: x, image_input: ['{{ inputs.picture }}'] } } }";
    let run = async |answer: &str, outer: &str, pass: &str| {
        let answers = Behaviour { outcome: Ok(json!({"outputText": answer})), ..takes(100) };
        let between = format!(
            "inputs: {{ passed: {{}}, own: {{ default: theirs.png }} }}\nvars: {{ kept: '{{{{ inputs.passed }}}}' }}\nsteps: {{ q: {{ workflow: inner.yaml, {pass} }} }}"
        );
        let further = "inputs: { passed: {} }\nsteps: { r: { workflow: between.yaml, inputs: { passed: '{{ inputs.passed }}' } } }";
        let yaml = format!("steps:\n  s: {{ model: says, inputs: {{ prompt: x }} }}\n  p: {{ {outer} }}");
        let bench = Bench::new().uploads().model("says", answers).model("m", takes(100));
        let bench = bench.file("theirs.png", b"theirs").file("inner.yaml", inner.as_bytes());
        let bench = bench.file("between.yaml", between.as_bytes()).file("further.yaml", further.as_bytes());
        bench.run(&yaml).await
    };
    let direct = "workflow: between.yaml, inputs: { passed: '{{ steps.s.text }}' }";
    let own = "needs: [s], workflow: between.yaml, inputs: { passed: theirs.png }";
    let by_itself = "inputs: { picture: '{{ inputs.passed }}' }";
    for outer in [
        direct,
        "workflow: further.yaml, inputs: { passed: '{{ steps.s.text }}' }",
        "foreach: '{{ [steps.s.text] }}', workflow: between.yaml, inputs: { passed: '{{ item }}' }",
    ] {
        for pass in [
            by_itself,
            "inputs: { picture: '{{ vars.kept }}' }",
            "inputs: { picture: '{{ vars.kept | trim }}' }",
            "foreach: '{{ [inputs.passed] }}', inputs: { picture: '{{ item }}' }",
        ] {
            let outcome = run("theirs.png", outer, pass).await;
            assert_eq!((outcome.state.status, outcome.uploads.len()), (RunStatus::Failed, 0), "{outer} {pass}");
            let outcome = run("https://example.com/a.png", outer, pass).await;
            assert_eq!((outcome.state.status, outcome.uploads.len()), (RunStatus::Succeeded, 0), "{outer} {pass}");
        }
    }
    // The control: what the workflows themselves say is a file, also beside a result that is passed on.
    for (outer, pass) in [(own, by_itself), (direct, "inputs: { picture: '{{ inputs.own }}' }")] {
        let outcome = run("x", outer, pass).await;
        assert_eq!((outcome.state.status, outcome.uploads.len()), (RunStatus::Succeeded, 1), "{outer} {pass}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_inside_is_the_steps_and_can_be_tried_again_or_handled() {
    let part = "steps: { good: { model: m, inputs: { prompt: good } }, a: { model: flaky, inputs: { prompt: a } }, b: { needs: [a], model: m, inputs: { prompt: b } } }\noutputs: { done: '{{ steps.b.status }}' }";
    let bench = || {
        Bench::new()
            .model("m", takes(100))
            .model("flaky", Behaviour { fails_first: 1, ..takes(500) })
            .file("part.yaml", part.as_bytes())
    };
    let yaml = |more: &str| {
        format!(
            "defaults: {{ poll: 10ms }}\nsteps: {{ p: {{ workflow: part.yaml{more} }}, q: {{ needs: [p], set: {{ s: '{{{{ steps.p.status }}}}' }} }} }}\noutputs: {{ q: '{{{{ steps.q.output.s }}}}', done: '{{{{ steps.p.output }}}}' }}"
        )
    };
    let outcome = bench().run(&yaml("")).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert_eq!(outcome.error("p"), "job_failed: its step `p.a` failed");
    // Tried again, it keeps what it has finished.
    let outcome = bench().run(&yaml(", retry: { attempts: 2, on: [job_failed], backoff: { initial: 10ms } }")).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    assert_eq!(outcome.outputs(), json!({"q": "succeeded", "done": {"done": "succeeded"}}));
    assert_eq!(outcome.prompts(), ["a", "good", "a", "b"]);
    let outcome = bench().run(&yaml(", on_error: continue")).await;
    assert_eq!(outcome.outputs(), json!({"q": "failed", "done": null}));
}

#[tokio::test(start_paused = true)]
async fn its_own_policy_timeout_and_finally_hold_within_it() {
    let part = "
timeout: 5s
failure_policy: continue
steps:
  slow: { model: slow, inputs: { prompt: slow } }
  quick: { model: m, inputs: { prompt: quick } }
finally:
  end: { model: m, inputs: { prompt: 'end {{ run.status }} {{ run.failed_steps | length }}' } }
";
    let outcome = Bench::new()
        .model("m", takes(100))
        .model("slow", takes(60_000))
        .file("part.yaml", part.as_bytes())
        .run("defaults: { poll: 10ms }\nfailure_policy: continue\nsteps: { p: { workflow: part.yaml }, other: { model: slow, inputs: { prompt: other }, timeout: 2m } }")
        .await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert_eq!(outcome.error("p"), "timeout: its workflow had no result within 5s");
    assert_eq!(outcome.status("other"), "succeeded", "the run itself goes on");
    assert!(outcome.prompts().contains(&"end failed 0".to_owned()), "{:?}", outcome.prompts());
    assert_eq!(outcome.cancels.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn slots_and_budget_are_those_of_the_run() {
    let wide = "steps: { a: { foreach: '{{ range(10) | list }}', model: m, inputs: { prompt: '{{ item }}' } } }";
    let outcome = Bench::new()
        .model("m", takes(200))
        .file("part.yaml", wide.as_bytes())
        .run("concurrency: 3\nsteps: { p: { foreach: [1, 2, 3], workflow: part.yaml } }")
        .await;
    assert_eq!((outcome.state.status, outcome.peak, outcome.accepted["m"]), (RunStatus::Succeeded, 3, 30));
}

#[tokio::test(start_paused = true)]
async fn a_signal_reaches_what_runs_inside_and_its_finally_runs() {
    let part = "steps: { a: { model: m, inputs: { prompt: a } } }\nfinally: { b: { model: m, inputs: { prompt: 'b {{ run.status }}' } } }";
    let outcome = Bench::new()
        .model("m", takes(2_000))
        .file("part.yaml", part.as_bytes())
        .cancel_after(Duration::from_millis(500))
        .run("steps: { p: { workflow: part.yaml }, q: { needs: [p], set: { x: 1 } } }")
        .await;
    assert_eq!(outcome.state.status, RunStatus::Cancelled);
    assert_eq!(
        ["p", "p.a", "p.b", "q"].map(|step| outcome.status(step)),
        ["cancelled", "cancelled", "succeeded", "skipped"]
    );
    assert_eq!(outcome.prompts(), ["a", "b cancelled"]);
}

/// A `timeout` of the step itself bounds what it runs, each attempt for itself; one that nobody wrote does not.
#[tokio::test(start_paused = true)]
async fn the_timeout_of_the_step_holds_for_its_workflow() {
    let run = async |step: &str, top: &str| {
        let part = "steps: { a: { model: quick, inputs: { prompt: a } }, b: { needs: [a], model: slow, inputs: { prompt: b }, timeout: 2h } }\nfinally: { end: { model: quick, inputs: { prompt: end } } }";
        let bench = Bench::new().model("quick", takes(500)).model("slow", takes(45 * 60_000));
        let bench = bench.file("part.yaml", part.as_bytes());
        bench
            .run(&format!(
                "{top}\nsteps: {{ n: {{ workflow: part.yaml, {step} }} }}\noutputs: {{ n: '{{{{ steps.n.status }}}}' }}"
            ))
            .await
    };
    let outcome = run("timeout: 2s", "").await;
    assert_eq!(outcome.error("n"), "timeout: its workflow had no result within 2s");
    assert_eq!((outcome.prompts(), outcome.cancels.len()), (vec!["a".into(), "b".into(), "end".into()], 1));
    assert!(outcome.took < Duration::from_secs(5), "{:?}", outcome.took);
    let told = closing(&outcome.state, &Style::PLAIN);
    assert!(told.contains("n failed: its workflow had no result within 2s"), "{told}");
    let outcome = run("on_error: continue", "defaults: { timeout: 2s }").await;
    assert_eq!((outcome.state.status, outcome.outputs()), (RunStatus::Succeeded, json!({"n": "failed"})));
    let outcome = run("timeout: 2s, retry: { attempts: 2, on: [timeout], backoff: { initial: 10ms } }", "").await;
    assert_eq!(outcome.prompts(), ["a", "b", "end", "b", "end"], "what is finished stays");
    assert_eq!((outcome.cancels.len(), outcome.status("n")), (2, "failed".to_owned()));
    let outcome = run("timeout: 2s, fallback: [{ workflow: part.yaml }]", "").await;
    assert_eq!(outcome.prompts(), ["a", "b", "end", "a", "b", "end"], "what stands in begins at its beginning");
    // The control: thirty minutes, which nobody wrote, end none.
    let outcome = run("", "").await;
    assert_eq!((outcome.state.status, outcome.cancels.len()), (RunStatus::Succeeded, 0), "{:?}", outcome.state.error);
}

/// What was read of the first attempt is not what the second one has.
#[tokio::test(start_paused = true)]
async fn tried_again_its_results_are_new_and_finally_runs_again() {
    let part = "
steps:
  a: { model: flaky, inputs: { prompt: a } }
  b: { set: { x: '{{ steps.a.image }}' } }
finally:
  end: { model: m, inputs: { prompt: 'end {{ run.status }} {{ steps.b.status }}' } }
outputs: { x: '{{ steps.b.output.x }}' }
";
    let outcome = Bench::new()
        .model("m", takes(100))
        .model("flaky", Behaviour { fails_first: 1, ..takes(100) })
        .file("part.yaml", part.as_bytes())
        .run("steps: { v: { workflow: part.yaml, retry: { attempts: 2, on: [job_failed] } } }\noutputs: { x: '{{ steps.v.output.x }}' }")
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.state.failed().collect::<Vec<_>>());
    assert_eq!(outcome.outputs(), json!({"x": "https://files.example.com/a.png"}));
    assert_eq!(outcome.prompts(), ["a", "end failed skipped", "a", "end succeeded succeeded"]);
}

/// Where the whole is refused though all of it succeeded, another attempt runs all of it: nothing else could change it.
#[tokio::test(start_paused = true)]
async fn a_refused_whole_runs_anew() {
    let part = "steps: { a: { model: m, inputs: { prompt: a } }, b: { foreach: [1, 2], model: m, inputs: { prompt: 'b {{ item }}' }, needs: [a] } }\noutputs: { id: '{{ steps.a.job.id }}' }";
    let run = async |yaml: &str| {
        let bench = Bench::new().model("m", takes(100)).file("part.yaml", part.as_bytes());
        bench.run(yaml).await
    };
    let retry = "retry: { attempts: 3, on: [expectation_failed], backoff: { initial: 10ms } }";
    let outcome =
        run(&format!("steps: {{ k: {{ workflow: part.yaml, expect: output.id == 'job3', {retry} }} }}")).await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    assert_eq!(outcome.prompts(), ["a", "b 1", "b 2", "a", "b 1", "b 2"]);
    let told = closing(&outcome.state, &Style::PLAIN);
    assert!(told.contains("60 credits") && told.contains(" 60 cr"), "{told}");
    let outcome =
        run(&format!("steps: {{ k: {{ workflow: part.yaml, expect: output.id == 'none', {retry} }} }}")).await;
    assert_eq!(outcome.prompts().len(), 9);
    let attempts = outcome.records.iter().filter_map(|record| match &record.event {
        Event::RetryScheduled { step, attempt, .. } if step.as_str() == "k" => Some(attempt.0),
        _ => None,
    });
    assert_eq!(attempts.collect::<Vec<_>>(), [1, 2]);
    let told = closing(&outcome.state, &Style::PLAIN);
    assert!(told.contains("k failed: `output.id == 'none'` does not hold of the result"), "{told}");
    // An item likewise; the others keep what they have.
    let item = "steps: { k: { foreach: [1, 2], max_parallel: 1, workflow: part.yaml, expect: output.id != 'job0', ";
    let outcome = run(&format!("{item}{retry} }} }}")).await;
    assert_eq!((outcome.state.status, outcome.prompts().len()), (RunStatus::Succeeded, 9), "{:?}", outcome.story());
}

#[tokio::test(start_paused = true)]
async fn what_keeps_items_from_beginning_is_told_whole() {
    let outcome = bench()
        .run("steps: { a: { set: { n: many } }, b: { foreach: [1], workflow: part.yaml, inputs: { what: x, times: '{{ [steps.a.output.n, 1] | first }}' } } }")
        .await;
    let told = outcome.error("b");
    assert!(told.contains("so nothing was sent: input `times` must be a whole number"), "{told}");
}

/// A job that could not be called off is looked after when the workflow goes on, and no other is sent beside it.
#[tokio::test(start_paused = true)]
async fn a_job_that_may_still_run_is_watched_in_the_next_attempt() {
    let part =
        "steps: { a: { model: slow, inputs: { prompt: a }, timeout: 1s } }\noutputs: { s: '{{ steps.a.status }}' }";
    let outcome = Bench::new()
        .model("slow", Behaviour { unstoppable: true, ..takes(30_000) })
        .file("part.yaml", part.as_bytes())
        .run("steps: { p: { workflow: part.yaml, retry: { attempts: 2, on: [timeout], backoff: { initial: 1m } } } }\noutputs: { s: '{{ steps.p.output.s }}' }")
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    assert_eq!((outcome.prompts().len(), outcome.outputs()), (1, json!({"s": "succeeded"})));
}

#[tokio::test(start_paused = true)]
async fn what_parts_save_without_a_path_lies_below_the_step_that_runs_them() {
    let part = "inputs: { p: { type: string } }\nsteps:\n  a: { model: m, inputs: { prompt: '{{ inputs.p }}' }, save: true }\n  b: { foreach: [1], model: m, inputs: { prompt: '{{ inputs.p }}' }, save: true }\noutputs: { a: '{{ steps.a.image }}' }";
    let one = json!({"outputImage": "data:image/png,0"});
    let outcome = Bench::new()
        .model("m", Behaviour { outcome: Ok(one), sync: true, ..takes(10) })
        .file("part.yaml", part.as_bytes())
        .run(
            "
steps:
  a: { model: m, inputs: { prompt: x }, save: true }
  one: { workflow: part.yaml, inputs: { p: one } }
  two: { workflow: part.yaml, inputs: { p: two } }
  each: { foreach: [x, y], workflow: part.yaml, inputs: { p: '{{ item }}' } }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.state.error);
    let mut paths: Vec<_> =
        outcome.state.leaves().flat_map(|step| &step.files).map(|file| file.path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "a/0.png",
        "each/0/a/0.png",
        "each/0/b/0/0.png",
        "each/1/a/0.png",
        "each/1/b/0/0.png",
        "one/a/0.png",
        "one/b/0/0.png",
        "two/a/0.png",
        "two/b/0/0.png",
    ];
    assert_eq!(paths, expected);
}

/// A file of the one that runs it, by whatever way, is a file in it too.
#[tokio::test(start_paused = true)]
async fn a_local_file_is_handed_on_to_a_workflow() {
    let inner = |inputs: &str| {
        format!(
            "inputs: {{ picture: {{ type: file }} }}\nvars: {{ kept: '{{{{ inputs.picture }}}}' }}\nsteps: {{ a: {{ model: m, inputs: {{ prompt: x, image_input: ['{inputs}'] }} }} }}"
        )
    };
    for inside in ["{{ inputs.picture }}", "{{ vars.kept }}"] {
        for (vars, given) in [
            ("", "'{{ file(\"own.png\") }}'"),
            ("", "'{{ inputs.f }}'"),
            ("", "own.png"),
            ("vars: { p: '{{ inputs.f }}', q: '{{ vars.p }}' }\n", "'{{ vars.q }}'"),
            ("vars: { p: '{{ file(\"own.png\") }}' }\n", "'{{ vars.p }}'"),
        ] {
            let yaml = format!(
                "inputs: {{ f: {{ type: file, default: own.png }} }}\n{vars}steps:\n  w: {{ workflow: inner.yaml, inputs: {{ picture: {given} }} }}\n  g: {{ set: {{ x: '{{{{ inputs.f is defined }}}}' }} }}"
            );
            let bench = Bench::new().uploads().model("m", takes(100)).file("own.png", b"own");
            let outcome = bench.file("inner.yaml", inner(inside).as_bytes()).run(&yaml).await;
            assert_eq!(
                outcome.state.status,
                RunStatus::Succeeded,
                "{inside} {given}: {:?}",
                outcome.state.failed().map(|step| &step.error).collect::<Vec<_>>()
            );
            assert_eq!(outcome.uploads.len(), 1, "{inside} {given}");
        }
    }
}

/// As where a contract says what it takes.
#[tokio::test(start_paused = true)]
async fn a_null_is_left_out_and_a_number_becomes_its_text() {
    let part = "inputs: { text: { type: string }, times: { type: integer, default: 3 }, any: {}, may: { type: string, optional: true } }\nsteps: { a: { set: { of: '{{ [inputs.text, inputs.times, inputs.any, inputs.may] }}' } } }\noutputs: { of: '{{ steps.a.output.of }}' }";
    let run = async |inputs: &str| {
        let yaml = format!(
            "inputs: {{ no: {{ optional: true }} }}\nsteps: {{ w: {{ foreach: [1], workflow: part.yaml, inputs: {{ {inputs} }} }} }}\noutputs: {{ of: '{{{{ steps.w.outputs[0].of }}}}' }}"
        );
        Bench::new().file("part.yaml", part.as_bytes()).run(&yaml).await
    };
    for (inputs, of) in [
        ("text: '{{ index }}', any: '{{ index }}'", json!(["0", 3, 0, null])),
        ("text: 5, times: '{{ inputs.no }}', any: true", json!(["5", 3, true, null])),
        ("text: '{{ index == 0 }}', times: null, any: x, may: null", json!(["true", 3, "x", null])),
    ] {
        let outcome = run(inputs).await;
        assert_eq!((outcome.state.status, &outcome.outputs()["of"]), (RunStatus::Succeeded, &of), "{inputs}");
    }
    let outcome = run("text: '{{ inputs.no }}', any: 1").await;
    assert!(outcome.error("w[0]").contains("input `text` must be text, not null"), "{}", outcome.error("w[0]"));
}
