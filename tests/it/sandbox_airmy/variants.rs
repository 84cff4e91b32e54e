//! What each variant changes, one by one.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_run_may_be_answered_early() {
    for (variant, status) in [("asynchronous", 202), ("asynchronous_201", 201), ("asynchronous_200", 200)] {
        let bench = Bench::with_variant(variant, Some("{ pending: 1s }")).await;
        let answer = bench.begin().await;
        let run = answer.json();
        assert_eq!((answer.status, &run["status"], &run["output"]), (status, &json!("queued"), &Value::Null));
        let trigger = bench.ask("POST", "/pipelines/pl_01HXYZ/trigger", None).await;
        assert_eq!(trigger.status, status, "{variant}");
        let path = format!("/runs/{}", id(&run));
        bench.wait(1).await;
        assert_eq!(bench.ask("GET", &path, None).await.json()["status"], "running");
        bench.wait(1).await;
        assert_eq!(bench.ask("GET", &path, None).await.json()["status"], "completed");
    }
    let bench = Bench::with_variant("asynchronous", None).await;
    judge_of(Api::Airmy, "POST", "/runs", 202, &bench.begin().await.json()).expect("as the document assumes");
    let bench = Bench::with_variant("synchronous", None).await;
    let trigger = bench.ask("POST", "/pipelines/pl_01HXYZ/trigger", None).await;
    assert_eq!((trigger.status, &trigger.json()["status"]), (200, &json!("completed")));
}

#[tokio::test(start_paused = true)]
async fn cancels_are_answered_in_many_ways() {
    for (variant, status, word, end) in [
        ("no_date", 200, Some("cancelled"), "cancelled"),
        ("cancel_204", 204, None, "cancelled"),
        ("cancel_202", 202, Some("cancelling"), "cancelled"),
        ("cancel_without_effect", 202, Some("cancelling"), "completed"),
    ] {
        let script = format!(
            "- {{ on: submit, do: {{ variant: asynchronous }} }}\n- {{ on: any, do: {{ variant: {variant} }} }}"
        );
        let bench = Bench::with_faults(&script).await;
        let path = format!("/runs/{}", id(&bench.begin().await.json()));
        let answer = bench.ask("DELETE", &path, None).await;
        assert_eq!((answer.status, json_of(&answer)["status"].as_str()), (status, word), "{variant}");
        bench.wait(1).await;
        assert_eq!(bench.ask("GET", &path, None).await.json()["status"], end, "{variant}");
    }
    for (variant, status) in [
        ("no_date", 409),
        ("late_cancel_200", 200),
        ("late_cancel_404", 404),
        ("late_cancel_410", 410),
        ("late_cancel_422", 422),
    ] {
        let bench = Bench::with_variant(variant, None).await;
        let run = bench.begin().await.json();
        let answer = bench.ask("DELETE", &format!("/runs/{}", id(&run)), None).await;
        assert_eq!(answer.status, status, "{variant}");
        if status == 200 {
            assert_eq!(answer.json(), run);
        }
    }
    let bench = Bench::with_variant("pipeline_cancel_404", None).await;
    let run = bench.ask("POST", "/pipelines/pl_01HXYZ/trigger", None).await.json();
    assert_eq!(bench.ask("DELETE", &format!("/runs/{}", id(&run)), None).await.status, 404);
}

#[tokio::test(start_paused = true)]
async fn status_words_have_synonyms_or_are_not_there() {
    for (variant, running, completed, failed, cancelled) in [
        ("synonyms", "in_progress", "succeeded", "error", "canceled"),
        ("synonyms_done", "in_progress", "done", "timed_out", "aborted"),
        ("synonyms_success", "thinking", "success", "expired", "canceled"),
        ("synonyms_errored", "running", "completed", "errored", "canceled"),
        ("status_upper_case", "RUNNING", "COMPLETED", "FAILED", "CANCELLED"),
    ] {
        let script = format!(
            "- {{ on: any, do: {{ variant: {variant} }} }}\n\
             - {{ on: submit, nth: 1, do: {{ variant: asynchronous }} }}\n\
             - {{ on: submit, nth: 2, do: {{ fail: no }} }}\n"
        );
        let bench = Bench::with_faults(&script).await;
        let run = bench.begin().await.json();
        let path = format!("/runs/{}", id(&run));
        assert_eq!(run["status"], running);
        assert_eq!(bench.ask("DELETE", &path, None).await.json()["status"], cancelled);
        assert_eq!(bench.begin().await.json()["status"], failed);
        assert_eq!(bench.begin().await.json()["status"], completed);
    }
    let timeout = Bench::with_variant("synonyms_errored", Some("{ fail: The model ran into a timeout }")).await;
    assert_eq!(timeout.begin().await.json()["status"], "timeout");
    let bench = Bench::with_variant("no_status", Some("{ fail: no }")).await;
    assert_eq!(bench.begin().await.json()["status"], "failed", "else nothing would say that it is over");
    let run = bench.begin().await.json();
    assert!(run.get("status").is_none() && run["output"].is_object(), "{run}");
    let bench = Bench::with_faults("- { on: look, nth: 1, do: { status_word: napping } }").await;
    let path = format!("/runs/{}", id(&bench.begin().await.json()));
    assert_eq!(bench.get(&path).await.json()["status"], "napping");
    assert_eq!(bench.get(&path).await.json()["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn reasons_and_outputs_have_many_places() {
    for (variant, place) in [
        ("no_date", "/error/message"),
        ("reason_as_text", "/error"),
        ("reason_in_error_message", "/error_message"),
        ("reason_in_failure_reason", "/failure_reason"),
        ("reason_in_message", "/message"),
        ("reason_in_output", "/output/error"),
    ] {
        let run = Bench::with_variant(variant, Some("{ fail: Too dark }")).await.begin().await.json();
        assert_eq!(run.pointer(place), Some(&json!("Too dark")), "{variant}: {run}");
        assert_eq!(run.to_string().matches("Too dark").count(), 1, "{variant}: nowhere else");
    }
    let plain = Bench::start(|_| {}).await.begin().await.json()["output"]["result"].clone();
    for (variant, output) in [
        ("output_text", plain.clone()),
        ("output_text_list", json!([plain])),
        ("output_null", Value::Null),
        ("output_in_text", json!({"text": plain})),
        ("output_in_answer", json!({"answer": plain})),
        ("output_in_content", json!({"content": plain})),
    ] {
        assert_eq!(Bench::with_variant(variant, None).await.begin().await.json()["output"], output, "{variant}");
    }
    let run = Bench::with_variant("no_usage", None).await.begin().await.json();
    assert!(run.get("tokens_used").is_none() && run.get("latency_ms").is_none(), "{run}");
    let run = Bench::with_variant("null_usage", None).await.begin().await.json();
    assert_eq!((run.get("tokens_used"), run.get("latency_ms")), (Some(&Value::Null), Some(&Value::Null)));
    assert_eq!(Bench::with_variant("bad_times", None).await.begin().await.json()["created_at"], "just now");
}

#[tokio::test(start_paused = true)]
async fn errors_have_many_forms_also_those_of_the_script() {
    let text = json!("agent_id is required");
    for (variant, place) in [
        ("no_date", "/error/message"),
        ("error_text", "/error"),
        ("error_message", "/message"),
        ("error_in_detail", "/detail"),
        ("error_in_title", "/title"),
        ("error_list", "/errors/0/message"),
        ("error_texts", "/errors/0"),
    ] {
        let bench = Bench::with_variant(variant, Some("{ status: 500, message: Down }")).await;
        let down = bench.begin().await;
        assert_eq!((down.status, down.json().pointer(place)), (500, Some(&json!("Down"))), "{variant}");
        let answer = bench.ask("POST", "/runs", Some(&json!({}))).await;
        assert_eq!((answer.status, answer.json().pointer(place)), (400, Some(&text)), "{variant}");
    }
    let bench = Bench::with_variant("error_without_body", None).await;
    let answer = bench.ask("POST", "/runs", Some(&json!({}))).await;
    assert_eq!((answer.status, answer.body.len()), (400, 0));
}

#[tokio::test(start_paused = true)]
async fn lists_have_many_envelopes_and_pages() {
    for (variant, place) in
        [("no_date", "/data"), ("list_items", "/items"), ("list_by_name", "/agents"), ("list_array", "")]
    {
        let list = Bench::with_variant(variant, None).await.ask("GET", "/agents", None).await.json();
        assert_eq!(list.pointer(place).and_then(Value::as_array).map(Vec::len), Some(10), "{variant}: {list}");
    }
    let runs = Bench::with_variant("list_by_name", None).await.ask("GET", "/runs", None).await.json();
    assert!(runs["runs"].is_array(), "{runs}");
    for (variant, key, parameter) in [
        ("paged_next", "next", None),
        ("paged_next_path", "next", None),
        ("paged_next_cursor", "next_cursor", Some("cursor")),
        ("paged_next_page_token", "next_page_token", Some("page_token")),
    ] {
        let bench = Bench::with_variant(variant, None).await;
        let (mut path, mut ids, mut pages) = ("/agents".to_owned(), Vec::new(), 0);
        loop {
            let page = bench.ask("GET", &path, None).await.json();
            let agents = page["data"].as_array().expect("agents");
            assert!(agents.len() <= 2);
            ids.extend(agents.iter().map(|agent| id(agent).to_owned()));
            pages += 1;
            let Some(next) = page[key].as_str() else { break };
            assert_eq!(page["has_more"], true);
            path = match parameter {
                Some(parameter) => format!("/agents?{parameter}={next}"),
                None => next.split_once("/v2").expect("a path of the API").1.to_owned(),
            };
            assert_eq!(next.starts_with("http"), variant == "paged_next", "{next}");
        }
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), pages), (10, 5), "{variant}");
    }
    let bench = Bench::with_variant("endless_pages", None).await;
    let first = bench.ask("GET", "/agents", None).await.json();
    let next = format!("/agents?cursor={}", first["next_cursor"].as_str().expect("a cursor"));
    assert_eq!(bench.ask("GET", &next, None).await.json(), first);
    let whole = Bench::with_variant("listed_whole", None).await.ask("GET", "/agents", None).await.json();
    assert!(whole["data"][0]["input_schema"].is_object());
}

#[tokio::test(start_paused = true)]
async fn schemas_have_many_places() {
    let plain = Bench::start(|_| {}).await.get("/agents/ag_01HXYZ").await.json()["input_schema"].clone();
    for (variant, place) in [
        ("schema_camel_case", "/inputSchema"),
        ("schema_in_schema", "/schema/input"),
        ("schema_in_config", "/config/input_schema"),
        ("schema_in_parameters", "/parameters"),
    ] {
        let agent = Bench::with_variant(variant, None).await.ask("GET", "/agents/ag_01HXYZ", None).await.json();
        assert_eq!(agent.pointer(place), Some(&plain), "{variant}");
        assert!(agent.get("input_schema").is_none(), "{variant}");
    }
    for variant in ["schema_as_text", "no_schema"] {
        let agent = Bench::with_variant(variant, None).await.ask("GET", "/agents/ag_01HXYZ", None).await.json();
        assert!(!agent["input_schema"].is_object(), "{variant}: {agent}");
    }
    let bench = Bench::with_variant("nulls", None).await;
    let agent = bench.get("/agents/ag_02SUMM").await.json();
    assert_eq!((agent.get("input_schema"), agent.get("description")), (Some(&Value::Null), Some(&Value::Null)));
}

#[tokio::test(start_paused = true)]
async fn repeated_keys_are_answered_in_many_ways() {
    let headers = [("Authorization", &*bearer(AIRMY_KEY)), ("Idempotency-Key", "k")];
    let ask = async |bench: &Bench, path: &str, body: &Value| {
        bench.raw("POST", path, &headers, Some(body)).await.expect("an answer")
    };
    for (variant, status, place) in [
        ("no_date", 200, "/id"),
        ("repeat_201", 201, "/id"),
        ("repeat_409_with_run", 409, "/run/id"),
        ("repeat_409_with_id", 409, "/run_id"),
    ] {
        let bench = Bench::with_variant(variant, None).await;
        let first = ask(&bench, "/runs", &analyst()).await.json();
        let again = ask(&bench, "/runs", &analyst()).await;
        assert_eq!((again.status, again.json().pointer(place)), (status, Some(&first["id"])), "{variant}");
        assert_eq!(bench.count(), 1);
    }
    let script = "- { on: submit, nth: 1, do: lose_reply }\n\
                  - { on: submit, nth: 1, do: { takes: 5s } }\n\
                  - { on: submit, nth: 2, do: { variant: repeat_at_once } }\n";
    let bench = Bench::with_faults(script).await;
    assert!(bench.raw("POST", "/runs", &headers, Some(&analyst())).await.is_none());
    let at_once = ask(&bench, "/runs", &analyst()).await;
    assert_eq!((at_once.status, &at_once.json()["status"]), (202, &json!("running")));
    let bench = Bench::with_variant("other_body_409", None).await;
    ask(&bench, "/runs", &analyst()).await;
    let other = ask(&bench, "/runs", &json!({"agent_id": "ag_02SUMM", "input": {}})).await;
    assert_eq!(other.status, 409);
    assert!(other.json()["error"]["message"].as_str().is_some_and(|text| text.contains("Idempotency-Key")));
    let bench = Bench::with_variant("trigger_forgets_key", None).await;
    for _ in 0..2 {
        ask(&bench, "/pipelines/pl_01HXYZ/trigger", &json!({"input": {}})).await;
    }
    assert_eq!(bench.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn triggers_have_many_ids_and_one_other_body() {
    for (variant, place) in
        [("trigger_run_id", "/run_id"), ("trigger_pipeline_run_id", "/pipeline_run_id"), ("trigger_nested", "/run/id")]
    {
        let bench = Bench::with_variant(variant, None).await;
        let answer = bench.ask("POST", "/pipelines/pl_01HXYZ/trigger", None).await.json();
        let runs = bench.ask("GET", "/pipelines/pl_01HXYZ/runs", None).await.json();
        assert_eq!(answer.pointer(place), Some(&runs["data"][0]["id"]), "{variant}");
        assert!(answer.get("id").is_none(), "{variant}");
    }
    let bench = Bench::with_variant("trigger_bare", None).await;
    bench.ask("POST", "/pipelines/pl_01HXYZ/trigger", Some(&json!({"query": "Q1"}))).await;
    assert_eq!(bench.sandbox.jobs()[0].inputs["query"], "Q1");
    let bench = Bench::with_variant("pipeline_runs_as_runs", None).await;
    let run = bench.ask("POST", "/pipelines/pl_01HXYZ/trigger", None).await.json();
    assert_eq!(bench.ask("GET", &format!("/runs/{}", id(&run)), None).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn headers_have_other_forms() {
    let fate = Some("{ burst_429: 1, retry_after: 3s }");
    for (variant, value) in [
        ("retry_after_date", Some("Sun, 22 Mar 2026 14:30:03 GMT")),
        ("retry_after_zero", Some("0")),
        ("no_retry_after", None),
    ] {
        let answer = Bench::with_variant(variant, fate).await.begin().await;
        assert_eq!((answer.status, answer.header("retry-after")), (429, value), "{variant}");
    }
    for (variant, name) in [("request_id", Some("request-id")), ("cf_ray", Some("cf-ray")), ("no_request_id", None)] {
        let answer = Bench::with_variant(variant, None).await.begin().await;
        assert_eq!(answer.header("x-request-id"), None, "{variant}");
        assert!(name.is_none_or(|name| answer.header(name).is_some()), "{variant}: {:?}", answer.headers);
    }
    assert_eq!(Bench::with_variant("no_date", None).await.begin().await.header("date"), None);
}
