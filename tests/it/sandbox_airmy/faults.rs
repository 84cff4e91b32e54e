//! The fault script, which speaks AIRMY too.

use super::*;

#[tokio::test(start_paused = true)]
async fn faulty_answers_are_of_airmys_own_form() {
    let bench = Bench::with_faults(
        "- { on: submit, nth: 1, do: { status: 500, message: Down for repair } }\n\
         - { on: submit, nth: 2, do: { status: 500, when: after } }\n\
         - { on: submit, nth: 3, do: refuse }\n\
         - { on: submit, nth: 4, do: html }\n\
         - { on: submit, nth: 5, do: { burst_429: 1, retry_after: 7s } }\n\
         - { on: submit, nth: 6, do: broken_json }\n\
         - { on: submit, nth: 7, do: truncated_json }\n\
         - { on: submit, nth: 8, do: { huge: 100000 } }\n",
    )
    .await;
    let submit = async || bench.raw("POST", "/runs", &[("Authorization", &bearer(AIRMY_KEY))], Some(&analyst())).await;
    let first = submit().await.expect("an answer");
    assert_eq!(error(&first), told(500, "Down for repair"));
    judge_of(Api::Airmy, "POST", "/runs", 500, &first.json()).expect("a documented error");
    assert_eq!(bench.count(), 0);
    assert_eq!(submit().await.map(|answer| answer.status), Some(500));
    assert_eq!(bench.count(), 1, "it happened");
    assert!(submit().await.is_none(), "refused");
    assert_eq!(
        submit().await.and_then(|answer| answer.header("content-type").map(str::to_owned)),
        Some("text/html".to_owned())
    );
    let limited = submit().await.expect("an answer");
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    judge_of(Api::Airmy, "POST", "/runs", 429, &limited.json()).expect("a documented error");
    assert_eq!(bench.count(), 1);
    let broken = submit().await.expect("an answer");
    assert!(serde_json::from_slice::<Value>(&broken.body).is_err() && broken.whole);
    assert!(submit().await.is_some_and(|answer| !answer.whole));
    assert_eq!(submit().await.map(|answer| answer.body.len()), Some(100_000));
    assert_eq!(bench.count(), 4);
    assert_eq!(submit().await.map(|answer| answer.status), Some(200), "the script is over");
}

#[tokio::test(start_paused = true)]
async fn rules_know_the_doors_and_targets_of_airmy() {
    let bench = Bench::with_faults(
        "- { on: submit, target: Analyst, do: { fail: no } }\n\
         - { on: look, target: revenue-analysis, nth: 1, do: { status: 500 } }\n\
         - { on: cancel, target: pl_01HXYZ, do: { status: 500 } }\n\
         - { on: list, do: { status: 500 } }\n\
         - { on: catalog, nth: 1, do: { status: 500 } }\n\
         - { on: account, do: { status: 500 } }\n\
         - { on: other, do: { latency: 9s } }\n\
         - { on: submit, target: pl_02DIGEST, do: { vanish: 1s } }\n\
         - { on: submit, target: ag_02SUMM, do: null_output }\n",
    )
    .await;
    assert_eq!(bench.run(ANALYST, json!({"query": "a"})).await.json()["status"], "failed");
    let silent = bench.run("ag_02SUMM", json!({})).await.json();
    assert_eq!((&silent["status"], &silent["output"]), (&json!("completed"), &Value::Null));
    let run = bench.post("/pipelines/pl_01HXYZ/trigger", json!({"input": {}})).await.json();
    for (path, status) in [
        ("/pipelines/pl_01HXYZ/runs", 500),
        ("/pipelines/pl_01HXYZ/runs", 200),
        ("/runs", 500),
        ("/agents", 500),
        ("/agents/ag_01HXYZ", 200),
        ("/metrics", 500),
    ] {
        assert_eq!(bench.ask("GET", path, None).await.status, status, "{path}");
    }
    assert_eq!(bench.ask("DELETE", &format!("/runs/{}", id(&run)), None).await.status, 500);
    let before = bench.world.now();
    bench.post("/deployments", json!({"agent_id": ANALYST})).await;
    assert_eq!(bench.world.now().duration_since(before).as_secs(), 9);
    bench.post("/pipelines/pl_02DIGEST/trigger", json!({"input": {}})).await;
    bench.wait(2).await;
    assert_eq!(bench.get("/pipelines/pl_02DIGEST/runs").await.json()["data"], json!([]), "it has vanished");
}

/// Whatever the form, a run is made once, ends, and can be read by the document or beyond it.
#[tokio::test(start_paused = true)]
async fn every_variant_leaves_the_run_as_it_is() {
    let variants: Vec<_> = Variant::of(Api::Airmy).collect();
    assert!(variants.len() > 60, "{}", variants.len());
    for variant in variants {
        let script = FaultScript(vec![dagwood::sandbox::faults::Rule::new(
            dagwood::sandbox::faults::Door::Any,
            dagwood::sandbox::faults::Deed::Variant(variant),
        )]);
        let bench = Bench::start(|settings| settings.faults = script).await;
        let answer = bench.begin().await;
        assert!((200..300).contains(&answer.status), "{variant:?}: {}", answer.status);
        let run = id(&answer.json()).to_owned();
        let trigger = bench.ask("POST", "/pipelines/pl_01HXYZ/trigger", Some(&json!({"input": {}}))).await;
        assert!((200..300).contains(&trigger.status), "{variant:?}: {}", trigger.status);
        bench.wait(2).await;
        assert_eq!(id(&bench.ask("GET", &format!("/runs/{run}"), None).await.json()), run, "{variant:?}");
        for path in ["/agents", "/agents/ag_01HXYZ", "/runs", "/pipelines/pl_01HXYZ/runs"] {
            assert_eq!(bench.ask("GET", path, None).await.status, 200, "{variant:?}: {path}");
        }
        let jobs = bench.sandbox.jobs();
        assert!(jobs.len() == 2 && jobs.iter().all(|job| job.state == JobState::Completed), "{variant:?}");
    }
}
