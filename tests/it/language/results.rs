//! `expect`, and what templates may read of a result.

use dagwood::journal::event::RunStatus;
use serde_json::json;

use super::takes;
use crate::scripted::{Behaviour, Bench};

#[tokio::test(start_paused = true)]
async fn an_expectation_that_does_not_hold_fails_the_step_and_shows_what_it_read() {
    let yaml = |expect: &str| format!("steps: {{ a: {{ model: m, inputs: {{ prompt: x }}, expect: {expect} }} }}");
    let bench = || {
        let output = json!({"outputImage": "https://files.example.com/a.png", "score": 0.4, "tags": ["a", 1]});
        Bench::new().model("m", Behaviour { outcome: Ok(output), ..takes(100) })
    };
    for good in [
        "images | length == 1",
        "['image is defined', output.score > 0.1]",
        "{ schema: { type: object, required: [score], properties: { score: { type: number } } } }",
        "'{{ output.tags[1] == 1 }}'",
    ] {
        assert_eq!(bench().run(&yaml(good)).await.state.status, RunStatus::Succeeded, "{good}");
    }
    let outcome = bench().run(&yaml("['images | length > 0', output.score > 0.5]")).await;
    let error = outcome.error("a");
    assert!(
        error.starts_with("expectation_failed: `output.score > 0.5` does not hold of the result\n  at "),
        "{error}"
    );
    assert!(error.ends_with("\n  `output.score` is 0.4"), "{error}");
    let outcome = bench().run(&yaml("{ schema: { properties: { tags: { items: { type: string } } } } }")).await;
    let error = outcome.error("a");
    assert!(
        error.contains("does not fit the schema") && error.ends_with("output.tags.1 must be text, not a whole number"),
        "{error}"
    );
    let outcome = bench().run(&yaml("output.nope > 1")).await;
    assert!(outcome.error("a").starts_with("expectation_failed: `output` has no `nope`"), "{}", outcome.error("a"));
}

#[tokio::test(start_paused = true)]
async fn an_unmet_expectation_can_make_another_attempt_or_a_fallback() {
    let poor = Behaviour { outcome: Ok(json!({"outputText": "short"})), ..takes(100) };
    let rich = Behaviour { outcome: Ok(json!({"outputText": "a long text"})), ..takes(100) };
    let outcome = Bench::new()
        .model("poor", poor)
        .model("rich", rich)
        .run(
            "
steps:
  a:
    model: poor
    inputs: { prompt: x }
    expect: text | length > 8
    retry: { attempts: 2, on: [expectation_failed], backoff: { initial: 10ms } }
    fallback: [{ model: rich }]
outputs: { text: '{{ steps.a.text }}' }
",
        )
        .await;
    assert_eq!(outcome.outputs(), json!({"text": "a long text"}));
    assert_eq!((outcome.accepted["poor"], outcome.accepted["rich"]), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_set_is_expected_too_and_fan_outs_by_item() {
    let outcome = Bench::new()
        .run("steps: { a: { set: { n: 3 }, expect: output.n == 4, on_error: continue }, b: { foreach: [1, 2, 3], set: { n: '{{ item }}' }, expect: output.n != 2 } }")
        .await;
    assert!(outcome.error("a").contains("`output.n` is 3"), "{}", outcome.error("a"));
    assert_eq!(outcome.error("b").lines().next(), Some("expectation_failed: 1 of 3 items failed"));
}

#[tokio::test(start_paused = true)]
async fn a_run_of_one_node_is_named_after_its_step_and_shows_its_job_and_files() {
    let output = json!({"outputImages": ["data:image/png,0", "data:image/png,1"], "seed": 4});
    let outcome = Bench::new()
        .model("m", Behaviour { outcome: Ok(output.clone()), tokens: Some(7), ..takes(2_000) })
        .run(
            "
steps: { a: { model: m, inputs: { prompt: x }, save: 'pictures/{{ step.id }}-{{ step.attempt }}-{{ n }}.{{ ext }}' } }
outputs: { nodes: '{{ steps.a.node_outputs }}', output: '{{ steps.a.output }}', job: '{{ steps.a.job }}', files: '{{ steps.a.files }}' }
",
        )
        .await;
    let shown = outcome.outputs();
    assert_eq!((&shown["nodes"], &shown["output"]), (&json!({"a": output}), &output));
    assert_eq!(
        shown["job"],
        json!({
            "id": "job0", "provider": "scripted", "status": "completed", "credits_charged": 10.0, "tokens_used": 7, "latency_ms": null,
            "created_at": "2026-01-02T03:04:05Z", "completed_at": "2026-01-02T03:04:07Z",
        })
    );
    let file = |number: u8, sha256: &str| {
        json!({
            "path": format!("pictures/a-1-{number}.png"), "url": null, "sha256": sha256, "bytes": 1, "content_type": "image/png",
        })
    };
    assert_eq!(
        shown["files"],
        json!([
            file(0, "5feceb66ffc86f38d952786c6d696c79c2dbc239dd4e91b46729d73a27fb57e9"),
            file(1, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"),
        ])
    );
}
