//! `foreach`, `matrix`, `max_parallel`, `item`, `index`, and what comes of the items.

use std::time::Duration;

use dagwood::{
    job::{Fault, FaultKind},
    journal::event::{Event, RunStatus},
};
use serde_json::json;

use super::{failing, takes};
use crate::scripted::{Behaviour, Bench, When};

#[tokio::test(start_paused = true)]
async fn a_list_a_map_and_a_product_give_a_job_for_each_item_in_their_order() {
    let outcome = Bench::new()
        .model("m", takes(100))
        .run(
            "
defaults: { poll: 10ms }
steps:
  list: { foreach: [a, b], set: { is: '{{ item }}{{ index }}' } }
  map: { foreach: { x: 1, y: 2 }, set: { is: '{{ item.key }}={{ item.value }}' } }
  grid: { matrix: { size: [s, l], n: [1, 2, 3] }, set: { is: '{{ item.size }}{{ item.n }}' } }
  jobs: { foreach: '{{ steps.list.outputs }}', model: m, inputs: { prompt: '{{ item.is }} {{ index }}' } }
outputs:
  list: '{{ steps.list.outputs }}'
  map: '{{ steps.map.outputs }}'
  grid: '{{ steps.grid.outputs | map(attribute=\"is\") | list }}'
  images: '{{ steps.jobs.images }}'
  second: '{{ steps.jobs.items[1].image }}'
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded);
    let url = "https://files.example.com/a.png";
    assert_eq!(
        outcome.outputs(),
        json!({
            "list": [{"is": "a0"}, {"is": "b1"}],
            "map": [{"is": "x=1"}, {"is": "y=2"}],
            "grid": ["s1", "s2", "s3", "l1", "l2", "l3"],
            "images": [url, url],
            "second": url,
        })
    );
    assert_eq!(outcome.prompts(), ["a0 0", "b1 1"]);
    // An item is named by its step and its place; the step ends by itself.
    let told: Vec<_> = outcome.records.iter().map(|record| serde_json::to_value(record).expect("JSON")).collect();
    assert!(
        told.iter().any(|event| event["kind"] == "step_succeeded" && event["step"] == "jobs" && event["item"] == 1)
    );
    let last = told.iter().rfind(|event| event["step"] == "jobs").expect("an event");
    assert_eq!((&last["kind"], last.get("item")), (&json!("step_succeeded"), None));
}

#[tokio::test(start_paused = true)]
async fn no_more_items_are_in_flight_than_max_parallel_and_the_runs_own_limit_allow() {
    let fan = |head: &str, most: &str| {
        format!(
            "{head}\ndefaults: {{ poll: 10ms }}\nsteps: {{ a: {{ foreach: '{{{{ range(30) | list }}}}', {most} model: m, inputs: {{ prompt: '{{{{ item }}}}' }} }} }}"
        )
    };
    for (head, most, peak) in [
        ("", "", 16),
        ("", "max_parallel: 3,", 3),
        ("concurrency: 5", "max_parallel: 9,", 5),
        ("concurrency: { steps: 4 }", "", 4),
    ] {
        let outcome = Bench::new().model("m", takes(200)).run(&fan(head, most)).await;
        assert_eq!((outcome.peak, outcome.accepted["m"]), (peak, 30), "{head} {most}");
        assert_eq!(outcome.state.status, RunStatus::Succeeded);
        // What has not begun takes no room: never more items are there than may run.
        let begun = outcome.records.iter().scan(0_i32, |open, record| {
            match &record.event {
                Event::StepReady { .. } => *open += 1,
                Event::StepSucceeded { step, .. } if step.split_item().is_some() => *open -= 1,
                _ => {}
            }
            Some(*open)
        });
        assert_eq!(begun.max(), i32::try_from(peak).ok());
    }
}

#[tokio::test(start_paused = true)]
async fn no_items_are_no_failure_and_null_is_one() {
    let yaml = |items: &str| {
        format!(
            "inputs: {{ it: {{ optional: true }} }}\nsteps: {{ a: {{ foreach: {items}, model: m, inputs: {{ prompt: x }} }}, b: {{ set: {{ n: '{{{{ steps.a.images | length }}}}' }} }} }}\noutputs: {{ n: '{{{{ steps.b.output.n }}}}' }}"
        )
    };
    let outcome = Bench::new().model("m", takes(100)).run(&yaml("[]")).await;
    assert_eq!((outcome.state.status, outcome.outputs()), (RunStatus::Succeeded, json!({"n": 0})));
    let outcome = Bench::new().model("m", takes(100)).run(&yaml("inputs.it")).await;
    assert_eq!(outcome.state.status, RunStatus::Failed);
    assert!(
        outcome.error("a").starts_with("template: `foreach` wants a list or a map, and this is null"),
        "{}",
        outcome.error("a")
    );
    assert!(outcome.error("a").contains("test.yaml:2:"), "{}", outcome.error("a"));
    let outcome = Bench::new().model("m", takes(100)).input("it", json!("text")).run(&yaml("inputs.it")).await;
    assert!(outcome.error("a").contains("a list or a map, and this is text"), "{}", outcome.error("a"));
}

#[tokio::test(start_paused = true)]
async fn what_a_matrix_is_made_of_are_lists() {
    let yaml = "inputs: { it: { optional: true } }\nsteps: { a: { matrix: { n: [1, 2], it: inputs.it }, set: { x: '{{ item.it }}' } } }\noutputs: { a: '{{ steps.a.outputs }}' }";
    for (value, told) in [(json!(null), "null"), (json!({"x": 1}), "a map"), (json!(3), "a whole number")] {
        let outcome = Bench::new().input("it", value).run(yaml).await;
        let error = outcome.error("a");
        assert!(error.starts_with(&format!("template: `it` of `matrix` wants a list, and this is {told}")), "{error}");
        assert!(error.contains("test.yaml:2:"), "{error}");
    }
    let outcome = Bench::new().input("it", json!(["x"])).run(yaml).await;
    assert_eq!(outcome.outputs(), json!({"a": [{"x": "x"}, {"x": "x"}]}), "the control");
}

#[tokio::test(start_paused = true)]
async fn a_when_that_mentions_the_item_is_judged_for_each_and_leaves_holes() {
    let outcome = Bench::new()
        .model("m", takes(100))
        .run(
            "
steps:
  a: { foreach: [1, 2, 3, 4], when: item % 2 == 0, model: m, inputs: { prompt: '{{ item }}' } }
  none: { foreach: [1, 2], when: item > 5, set: { x: 1 } }
  after: { set: { all: '{{ steps.none.outputs }}' } }
  whole: { foreach: [1, 2], when: false, set: { x: 1 } }
  skipped: { set: { all: '{{ steps.whole.outputs }}' } }
outputs: { a: '{{ steps.a.outputs }}', images: '{{ steps.a.images | length }}', none: '{{ steps.after.output.all }}' }
",
        )
        .await;
    let image = json!({"outputImage": "https://files.example.com/a.png"});
    assert_eq!(outcome.outputs(), json!({"a": [null, image, null, image], "images": 2, "none": [null, null]}));
    // All items skipped: succeeded. Judged once and false: skipped, and what needs it.
    assert_eq!(
        [outcome.status("none"), outcome.status("whole"), outcome.status("skipped")],
        ["succeeded", "skipped", "skipped"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_item_fails_the_step_after_the_others_and_the_result_keeps_their_places() {
    let model = Behaviour { fails_on: Some("bad"), ..takes(100) };
    let yaml = |more: &str| {
        format!(
            "steps:\n  a: {{ foreach: [one, bad, three], model: m, inputs: {{ prompt: '{{{{ item }}}}' }}{more} }}\n  b: {{ needs: [a], set: {{ all: '{{{{ steps.a.outputs }}}}', n: '{{{{ steps.a.images | length }}}}', s: '{{{{ steps.a.status }}}}' }} }}\noutputs: {{ b: '{{{{ steps.b.output }}}}' }}"
        )
    };
    let outcome = Bench::new().model("m", model.clone()).run(&yaml("")).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Failed, 3));
    assert_eq!(outcome.error("a"), "job_failed: 1 of 3 items failed\n  [1]: job 1 of m fails");
    assert_eq!(outcome.status("b"), "skipped");
    // Handled, the holes can be read.
    let outcome = Bench::new().model("m", model).run(&yaml(", on_error: continue")).await;
    let image = json!({"outputImage": "https://files.example.com/a.png"});
    assert_eq!(outcome.outputs(), json!({"b": {"all": [image, null, image], "n": 2, "s": "failed"}}));
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_no_further_item_begins() {
    let refused = Fault::new(FaultKind::Credits, "not enough credits");
    let model = Behaviour { submit_faults: vec![(When::Before, refused)], ..takes(100) };
    let yaml = "concurrency: 2\nsteps: { a: { foreach: '{{ range(20) | list }}', model: m, inputs: { prompt: '{{ item }}' } } }";
    let outcome = Bench::new().model("m", model).run(yaml).await;
    assert!(outcome.submits.len() <= 3, "{:?}", outcome.prompts());
    assert!(outcome.error("a").starts_with("credits: 1 of 20 items failed"), "{}", outcome.error("a"));
    // The control: a job that fails by itself says nothing of the others.
    let outcome = Bench::new().model("m", Behaviour { fails_first: 1, ..takes(100) }).run(yaml).await;
    assert_eq!(outcome.submits.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn whatever_would_refuse_the_next_item_too_stops_the_fan_out() {
    let yaml = "concurrency: 2\nsteps: { a: { foreach: '{{ range(20) | list }}', model: m, inputs: { prompt: '{{ item }}' } } }";
    let kinds = [FaultKind::Rejected, FaultKind::Unauthorized, FaultKind::Credits, FaultKind::Forbidden];
    for kind in kinds {
        let fault = (When::Before, Fault::new(kind, "no"));
        let model = Behaviour { submit_faults: vec![fault], ..takes(100) };
        let outcome = Bench::new().model("m", model).run(yaml).await;
        assert!(outcome.submits.len() <= 3, "{kind:?}: {:?}", outcome.prompts());
        assert_eq!(outcome.state.status, RunStatus::Failed);
    }
    let outcome = Bench::new().model("m", takes(100)).run(&format!("budget: {{ credits: 35 }}\n{yaml}")).await;
    let begun = outcome
        .records
        .iter()
        .filter(|record| matches!(&record.event, Event::StepReady { step, .. } if step.split_item().is_some()));
    // Three that the budget allows, the one that it does not, and what is in the other slot.
    assert!(begun.count() <= 5, "{:?}", outcome.story());
    assert!(outcome.error("a").starts_with("budget_exceeded: 1 of 20 items failed"), "{}", outcome.error("a"));
}

#[tokio::test(start_paused = true)]
async fn under_the_policy_cancel_a_failed_item_stops_the_others_at_once() {
    let model = Behaviour { fails_on: Some("bad"), ..takes(1_000) };
    let yaml = |policy: &str| {
        format!(
            "{policy}\ndefaults: {{ poll: 10ms }}\nsteps:\n  a: {{ foreach: [bad, slow, c, d], max_parallel: 2, model: m, inputs: {{ prompt: '{{{{ item }}}}' }} }}\n  b: {{ model: long, inputs: {{ prompt: b }} }}"
        )
    };
    let bench = || Bench::new().model("m", model.clone()).model("long", takes(9_000));
    let outcome = bench().run(&yaml("failure_policy: cancel")).await;
    assert_eq!((outcome.state.status, outcome.accepted["m"]), (RunStatus::Failed, 2), "{:?}", outcome.story());
    assert_eq!(["a", "b"].map(|step| outcome.status(step)), ["failed", "cancelled"]);
    assert!(outcome.took < Duration::from_secs(2), "{:?}", outcome.took);
    // The control: under any other policy the items go on.
    let outcome = bench().run(&yaml("")).await;
    assert_eq!((outcome.accepted["m"], outcome.status("b").as_str()), (4, "succeeded"));
}

/// Items that no job runs for are kept from beginning just so.
#[tokio::test(start_paused = true)]
async fn under_the_policy_cancel_no_further_item_begins_whatever_it_runs() {
    let part = "inputs: { i: { type: integer } }\nsteps: { a: { set: { x: '{{ inputs.i }}' }, expect: output.x != 1 } }\nfinally: { end: { model: m, inputs: { prompt: 'end {{ inputs.i }}' } } }";
    let yaml = |policy: &str, work: &str| format!("{policy}\nsteps: {{ a: {{ foreach: [1, 2, 3], {work} }} }}");
    let run = async |policy: &str, work: &str| {
        Bench::new().model("m", takes(100)).file("part.yaml", part.as_bytes()).run(&yaml(policy, work)).await
    };
    let nested = "max_parallel: 1, workflow: part.yaml, inputs: { i: '{{ item }}' }";
    let set = "set: { x: '{{ item }}' }, expect: output.x != 1";
    for (work, finals) in [(nested, 1), (set, 0)] {
        let outcome = run("failure_policy: cancel", work).await;
        let begun = outcome.state.step(0).fan_out.as_ref().map(|items| items.begun.len());
        assert_eq!((outcome.state.status, begun), (RunStatus::Failed, Some(1)), "{work}: {:?}", outcome.story());
        assert_eq!(outcome.prompts().len(), finals, "{work}");
        // The control: under any other policy the items go on.
        let outcome = run("", work).await;
        let begun = outcome.state.step(0).fan_out.as_ref().map(|items| items.begun.len());
        assert_eq!((begun, outcome.prompts().len()), (Some(3), finals * 3), "{work}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_when_of_the_whole_step_is_judged_before_its_items_and_one_of_the_place_for_each() {
    let outcome = Bench::new()
        .input("none", json!(null))
        .run(
            "
inputs: { none: { optional: true } }
steps:
  whole: { when: inputs.none, foreach: inputs.none, set: { x: '{{ item }}' } }
  place: { when: index > 0, foreach: [a, b, c], set: { x: '{{ item }}' } }
outputs: { whole: '{{ steps.whole.status }}', place: '{{ steps.place.outputs }}', items: '{{ steps.place.items[0] }}' }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    let place = json!([null, {"x": "b"}, {"x": "c"}]);
    assert_eq!(outcome.outputs(), json!({"whole": "skipped", "place": place, "items": null}));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_that_of_each_item() {
    let yaml = |timeout: &str| {
        format!(
            "defaults: {{ poll: 10ms }}\nsteps: {{ a: {{ foreach: [1, 2, 3, 4], max_parallel: 1, model: m, inputs: {{ prompt: x }}, timeout: {timeout} }} }}"
        )
    };
    let outcome = Bench::new().model("m", takes(2_000)).run(&yaml("3s")).await;
    assert_eq!((outcome.state.status, outcome.took.as_secs()), (RunStatus::Succeeded, 8));
    let outcome = Bench::new().model("m", takes(2_000)).run(&yaml("1s")).await;
    assert_eq!(outcome.error("a").lines().next(), Some("timeout: 4 of 4 items failed"), "the control");
}

#[tokio::test(start_paused = true)]
async fn what_is_saved_without_a_path_is_named_by_step_item_and_number() {
    let two = json!({"outputImages": ["data:image/png,0", "data:image/png,1"]});
    let outcome = Bench::new()
        .model("m", Behaviour { outcome: Ok(two), sync: true, ..takes(10) })
        .run(
            "
steps:
  one: { model: m, inputs: { prompt: x }, save: true }
  each: { foreach: { x: 1, y: 2 }, model: m, inputs: { prompt: '{{ item.key }}' }, save: true }
outputs: { one: '{{ steps.one.files | map(attribute=\"path\") | list }}', each: '{{ steps.each.files | map(attribute=\"path\") | list }}' }
",
        )
        .await;
    assert_eq!(
        outcome.outputs(),
        json!({
            "one": ["one/0.png", "one/1.png"],
            "each": ["each/0/0.png", "each/0/1.png", "each/1/0.png", "each/1/1.png"],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_and_fallbacks_are_those_of_each_item() {
    let outcome = Bench::new()
        .model("m", Behaviour { fails_first: 2, ..takes(100) })
        .model("other", takes(100))
        .model("never", failing())
        .run(
            "
steps:
  a:
    foreach: [x, y]
    model: m
    inputs: { prompt: '{{ item }}' }
    retry: { attempts: 2, on: [job_failed], backoff: { initial: 1s } }
  b:
    foreach: [x, y]
    model: never
    inputs: { prompt: '{{ item }}' }
    fallback: [{ model: other }]
outputs: { a: '{{ steps.a.images | length }}', b: '{{ steps.b.images | length }}' }
",
        )
        .await;
    assert_eq!(outcome.outputs(), json!({"a": 2, "b": 2}));
    assert_eq!((outcome.accepted["m"], outcome.accepted["never"], outcome.accepted["other"]), (4, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn items_of_one_fan_out_feed_the_next() {
    let outcome = Bench::new()
        .model("m", takes(100))
        .run(
            "
steps:
  a: { foreach: [x, y, z], when: item != 'y', model: m, inputs: { prompt: 'a {{ item }}' } }
  b: { foreach: steps.a.items, when: item, model: m, inputs: { prompt: 'b {{ index }}', image_input: ['{{ item.image }}'] } }
outputs: { b: '{{ steps.b.outputs | map(\"length\") | list if false else steps.b.images | length }}' }
",
        )
        .await;
    assert_eq!(outcome.state.status, RunStatus::Succeeded, "{:?}", outcome.story());
    assert_eq!(outcome.prompts(), ["a x", "a z", "b 0", "b 2"]);
    assert_eq!(outcome.outputs(), json!({"b": 2}));
}

#[tokio::test(start_paused = true)]
async fn a_wide_fan_out_takes_time_by_its_jobs_alone() {
    let yaml = "
concurrency: 100
defaults: { poll: 100ms }
steps: { a: { foreach: '{{ range(2000) | list }}', model: m, inputs: { prompt: '{{ item }}' } } }
outputs: { n: '{{ steps.a.images | length }}' }
";
    let outcome = Bench::new().model("m", takes(1000)).run(yaml).await;
    assert_eq!((outcome.outputs(), outcome.peak), (json!({"n": 2000}), 100));
    assert!(outcome.took < Duration::from_secs(25), "twenty jobs after each other, and looks: {:?}", outcome.took);
}

/// As of every step without success: its lists are empty, and none of them is missing.
#[tokio::test(start_paused = true)]
async fn lists_of_a_fan_out_that_never_began_are_empty() {
    let read = "outputs: { outputs: '{{ steps.a.outputs }}', items: '{{ steps.a.items }}', images: '{{ steps.a.images }}', output: '{{ steps.b.output }}' }";
    for keys in [
        "when: 1 > 2, foreach: [1, 2]",
        "foreach: inputs.nothing, on_error: continue",
        "when: 1 > 2, matrix: { n: [1, 2] }",
    ] {
        let yaml = format!(
            "inputs: {{ nothing: {{ optional: true }} }}\nsteps:\n  a: {{ {keys}, set: {{ x: '{{{{ index }}}}' }} }}\n  b: {{ trigger: all_done, foreach: steps.a.outputs, set: {{ x: 1 }} }}\n{}",
            read.replace("steps.b.output ", "steps.b.outputs ")
        );
        let outcome = Bench::new().run(&yaml).await;
        assert_eq!(outcome.state.status, RunStatus::Succeeded, "{keys}: {:?}", outcome.state.error);
        assert_eq!(outcome.outputs(), json!({"outputs": [], "items": [], "images": [], "output": []}), "{keys}");
    }
}
