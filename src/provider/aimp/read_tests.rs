//! The rows of "What the documents leave open" that are about answers: one case each, named after its row.

use bytes::Bytes;

use super::*;

fn reply(status: u16, body: Value) -> Reply {
    let headers = vec![("content-type".to_owned(), "application/json; charset=utf-8".to_owned())];
    Reply { status, headers, body, bytes: None, length: 0 }
}

fn typed(content_type: &str, body: Value, bytes: Option<&'static [u8]>) -> Reply {
    let headers = vec![("content-type".to_owned(), content_type.to_owned())];
    Reply { status: 200, headers, body, bytes: bytes.map(Bytes::from_static), length: 0 }
}

fn read(reply: &Reply) -> Seen {
    run(reply, &Reading { words: &StatusWords::default(), output_path: None })
}

fn output(body: Value) -> Value {
    read(&reply(200, body)).status.node_outputs[""].clone()
}

#[test]
fn the_documents_own_body() {
    let body: Value = json!({
        "id": "run_5d0c", "run_id": "run_5d0c", "model": "demo-model", "mode": "execute", "status": "completed",
        "output": {"text": "Echo: Hello"}, "usage": {"cost": "0.0010", "currency": "USD"},
        "created_at": "2026-03-22T14:30:00Z",
    });
    let seen = read(&reply(200, body));
    assert_eq!((seen.id.as_deref(), &seen.status.state), (Some("run_5d0c"), &JobState::Completed));
    assert_eq!(seen.status.node_outputs[""], json!({"text": "Echo: Hello"}));
    assert_eq!(seen.status.credits_charged, Some(0.001));
    assert_eq!(seen.status.created_at, "2026-03-22T14:30:00Z".parse().ok());
    assert!(seen.status.warnings.is_empty() && seen.links.is_empty(), "{seen:?}");
}

/// Row: body of a successful `POST /api/runs`: the output.
#[test]
fn the_output_is_in_the_first_of_its_places() {
    let all = || {
        json!({
            "output": 1, "outputs": 2, "result": 3, "results": 4, "data": {"output": 5, "result": 6, "more": 7}, "x": 8,
        })
    };
    let mut body = all();
    for (place, expected) in [
        ("/output", json!(1)),
        ("/outputs", json!(2)),
        ("/result", json!(3)),
        ("/results", json!(4)),
        ("/data/output", json!(5)),
        ("/data/result", json!(6)),
        ("/data", json!({"output": null, "result": null, "more": 7})),
    ] {
        assert_eq!(output(body.clone()), expected, "{place}");
        *body.pointer_mut(place).expect(place) = Value::Null;
    }
    assert_eq!(output(body.clone()), body, "else the whole");
    // A run that says that its output is null has none; it is no output itself.
    for body in
        [json!({"output": null}), json!({"result": null}), json!({"data": null}), json!({"data": {"output": null}})]
    {
        let mut run = json!({"id": "run_1", "status": "completed"});
        run.as_object_mut().expect("a map").append(body.as_object().cloned().as_mut().expect("a map"));
        let status = read(&reply(200, run.clone())).status;
        assert_eq!((status.node_outputs.len(), status.warnings.len()), (0, 1), "{run}");
    }
    let elsewhere = json!({"id": "run_1", "status": "completed", "output": null, "data": {"text": "a"}});
    assert_eq!(output(elsewhere), json!({"text": "a"}), "it is in the next place");
    let own = json!({"id": "run_1", "status": "completed", "output": {"caption": null}, "data": null});
    assert_eq!(output(own), json!({"caption": null}), "a null of the model's own is an output");
    assert_eq!(output(json!({"output": false})), json!(false), "only null is nothing");
    assert_eq!(output(json!([1, 2])), json!([1, 2]));
    assert_eq!(output(json!("text")), json!("text"));
    let none = read(&reply(204, Value::Null)).status;
    assert!(none.node_outputs.is_empty() && none.state == JobState::Completed, "{none:?}");
    assert_eq!(none.warnings, ["the answer has no output"]);

    let words = StatusWords::default();
    let told = |path: &str| {
        let reading = Reading { words: &words, output_path: Some(path) };
        run(&reply(200, json!({"output": 1, "choices": [{"text": "a"}, {"text": "b"}]})), &reading).status
    };
    assert_eq!(told("choices.1.text").node_outputs[""], json!("b"));
    let missed = told("choices.2.text");
    assert_eq!((&missed.node_outputs[""], missed.warnings.len()), (&json!(1), 1));
}

/// Row: body of a successful `POST /api/runs`: the id.
#[test]
fn the_id_is_in_the_first_of_its_places() {
    for (body, id) in [
        (json!({"id": "a", "run_id": "b", "runId": "c", "data": {"id": "d"}}), Some("a")),
        (json!({"run_id": "b", "runId": "c", "data": {"id": "d"}}), Some("b")),
        (json!({"runId": "c", "data": {"id": "d"}}), Some("c")),
        (json!({"data": {"id": 4}}), Some("4")),
        (json!({"id": null}), None),
        (json!([{"id": "a"}]), None),
        (json!("a"), None),
    ] {
        assert_eq!(read(&reply(200, body.clone())).id.as_deref(), id, "{body}");
    }
}

/// Rows: status; `failed` inside a 200; whether long models answer 202.
#[test]
fn where_a_run_stands() {
    let unknown = |word: &str| JobState::Unknown(word.to_owned());
    for (status, body, state) in [
        (200, json!({"status": "Succeeded"}), JobState::Completed),
        (201, json!({"state": "done"}), JobState::Completed),
        (200, json!({"output": 1}), JobState::Completed),
        (200, json!({"status": null, "state": "failed"}), JobState::Failed),
        (200, json!({"status": "timed_out"}), JobState::Failed),
        (200, json!({"status": "canceled"}), JobState::Cancelled),
        (200, json!({"status": "queued", "output": 1}), JobState::Pending),
        (202, json!({"status": "completed", "output": 1}), JobState::Completed),
        (202, json!({"id": "a"}), JobState::Processing),
        (202, json!({"output": 1}), JobState::Processing),
        (202, Value::Null, JobState::Processing),
        (200, json!({"status": "reheating"}), unknown("reheating")),
        (200, json!({"data": {"id": "a", "status": "running"}}), JobState::Processing),
        // An output may have a status of its own.
        (200, json!({"data": {"id": "a", "status": "in stock"}}), JobState::Completed),
        (200, json!({"id": "r", "data": {"id": "a", "status": "failed"}}), JobState::Completed),
        // An error and nothing else.
        (200, json!({"error": "out of memory"}), JobState::Failed),
        (200, json!({"error": "half of it", "output": 1}), JobState::Completed),
        (200, json!({"error": null, "text": "a"}), JobState::Completed),
    ] {
        assert_eq!(read(&reply(status, body.clone())).status.state, state, "{status} {body}");
    }
    let words = StatusWords { done: vec!["reheated".to_owned()], ..StatusWords::default() };
    let told = run(&reply(200, json!({"status": "reheated"})), &Reading { words: &words, output_path: None });
    assert_eq!(told.status.state, JobState::Completed);
}

#[test]
fn a_failed_run_says_why() {
    for (body, said) in [
        (json!({"status": "failed", "error": "out of\nmemory"}), Some("out of memory")),
        (json!({"status": "failed", "error": {"message": "no GPU", "code": 7}}), Some("no GPU")),
        (json!({"status": "failed", "error": {"detail": "no GPU"}}), Some("no GPU")),
        (json!({"status": "failed", "error": null, "message": "later"}), Some("later")),
        (
            json!({"status": "failed", "detail": [{"loc": ["input", "text"], "msg": "too long"}]}),
            Some("input.text: too long"),
        ),
        (json!({"data": {"id": "a", "status": "failed", "error": "inside"}}), Some("inside")),
        (json!({"status": "failed"}), None),
        (json!({"status": "completed", "error": "nothing", "output": 1}), None),
    ] {
        let status = read(&reply(200, body.clone())).status;
        assert_eq!(status.error.as_deref(), said, "{body}");
        assert!(status.state == JobState::Completed || status.node_outputs.is_empty(), "{body}");
    }
}

/// Row: cost of a run.
#[test]
fn the_cost_is_a_figure_or_unknown() {
    for (body, cost) in [
        (json!({"usage": {"cost": "0.5"}, "cost": 2, "billing": {"cost": 3}}), Some(0.5)),
        (json!({"cost": 2, "billing": {"cost": 3}}), Some(2.0)),
        (json!({"billing": {"cost": 3}}), Some(3.0)),
        (json!({"usage": {"cost": "free"}, "cost": 2}), Some(2.0)),
        (json!({"cost": "0.01 USD"}), None),
        (json!({"cost": {"amount": 1}}), None),
        (json!({"usage": 7}), None),
        (json!({}), None),
    ] {
        let status = read(&reply(200, body.clone())).status;
        assert_eq!((status.credits_charged, status.state), (cost, JobState::Completed), "{body}");
    }
}

/// Row: where a run that goes on is seen.
#[test]
fn links_come_in_their_order_and_only_where_the_run_goes_on() {
    let body = json!({"id": "a", "links": {"self": {"href": "/l"}}, "_links": {"self": "/_l"}, "status_url": "/s"});
    let mut accepted = reply(202, body.clone());
    assert_eq!(read(&accepted).links, ["/l", "/_l", "/s"]);
    accepted.headers.push(("location".to_owned(), "/h".to_owned()));
    assert_eq!(read(&accepted).links, ["/h", "/l", "/_l", "/s"]);
    accepted.status = 200;
    assert!(read(&accepted).links.is_empty());
    assert_eq!(read(&reply(202, json!({"data": {"status_url": "/d"}, "links": {"self": " "}}))).links, ["/d"]);
    assert!(read(&reply(202, json!({"links": 7, "status_url": []}))).links.is_empty());
}

/// Row: non-JSON answer (text, bytes).
#[test]
fn a_text_stays_a_text_and_bytes_become_a_file_with_a_word_about_it() {
    let bytes: &'static [u8] = b"\x89PNG";
    for (reply, expected, warns) in [
        (typed("text/plain; charset=utf-8", json!("Hello"), None), json!("Hello"), true),
        (typed("", json!("Hello"), None), json!("Hello"), true),
        (typed("text/plain", json!(42), None), json!("42"), true),
        (typed("application/json", json!("Hello"), None), json!("Hello"), false),
        (typed("application/problem+json", json!("Hello"), None), json!("Hello"), false),
        (typed("text/plain", json!({"output": 1}), None), json!(1), false),
        (
            typed("Image/PNG", Value::Null, Some(bytes)),
            json!({"type": "image", "url": "data:image/png;base64,iVBORw=="}),
            true,
        ),
        (
            typed("audio/mpeg", Value::Null, Some(bytes)),
            json!({"type": "audio", "url": "data:audio/mpeg;base64,iVBORw=="}),
            true,
        ),
        (
            typed("", Value::Null, Some(bytes)),
            json!({"type": "file", "url": "data:application/octet-stream;base64,iVBORw=="}),
            true,
        ),
        (
            typed("image/svg+xml", json!("<svg/>"), None),
            json!({"type": "image", "url": "data:image/svg+xml;base64,PHN2Zy8+"}),
            true,
        ),
    ] {
        let seen = read(&reply);
        assert_eq!(seen.status.state, JobState::Completed);
        assert_eq!(seen.status.node_outputs[""], expected);
        assert_eq!(seen.status.warnings.len(), usize::from(warns), "{:?}", seen.status.warnings);
    }
    let accepted = Reply { status: 202, ..typed("text/plain", json!("accepted"), None) };
    assert_eq!(read(&accepted).status.state, JobState::Processing);
}

/// Row: `media_type` values.
#[test]
fn media_types() {
    for (content_type, word) in [
        ("image/png", "image"),
        ("Audio/mpeg", "audio"),
        ("video/mp4; codecs=x", "video"),
        ("application/pdf", "file"),
        ("text/plain", "file"),
        ("", "file"),
    ] {
        assert_eq!(media_type(content_type), word, "{content_type}");
    }
}

/// Row: wallet and usage fields.
#[test]
fn the_account_shows_what_is_there() {
    let wallet =
        json!({"balance": "100.0000", "currency": "USD", "status": "suspended", "limits": {"daily": 5}, "note": null});
    let account = account(&wallet, &json!({"data": {"total_runs": 3, "total_cost": "0.0070"}})).expect("an account");
    assert_eq!(account.credits, Some(100.0));
    let shown: Vec<_> = account.usage.iter().map(|(name, figure)| format!("{name}={figure}")).collect();
    assert_eq!(
        shown,
        [
            r#"wallet_balance="100.0000""#,
            r#"wallet_currency="USD""#,
            r#"wallet_status="suspended""#,
            "wallet_limits_daily=5",
            "usage_total_runs=3",
            r#"usage_total_cost="0.0070""#,
        ]
    );
    let bare = super::account(&json!({}), &json!("no usage")).expect("an account");
    assert_eq!((bare.credits, bare.usage), (None, vec![("usage".to_owned(), json!("no usage"))]));
    assert_eq!(super::account(&json!([]), &Value::Null), None);
}

#[test]
fn ids_stand_in_a_path() {
    assert_eq!(encoded("run_5d0c-~.A"), "run_5d0c-~.A");
    assert_eq!(encoded("a b%?#é"), "a%20b%25%3F%23%C3%A9");
}
