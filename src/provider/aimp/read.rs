//! Reading AIMP's answers: a run in all its forms, JSON or not, and the account. Pure functions.
//!
//! No answer of a run is documented, so one reader takes the POST's answer and a look's. Nothing here fails: what is missing stays
//! empty, what is odd becomes a warning of the status.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::{
    job::{JobState, JobStatus},
    provider::{
        Account,
        http::{Reply, bounded, is_json_type, one_line, said},
        json::{count, id, number, present, text, time},
        status::{self, StatusWords},
    },
};

/// Where an answer may keep its output, in the order of asking.
const OUTPUTS: [&[&str]; 7] =
    [&["output"], &["outputs"], &["result"], &["results"], &["data", "output"], &["data", "result"], &["data"]];

/// Where a run's cost may be.
const COSTS: [&[&str]; 3] = [&["usage", "cost"], &["cost"], &["billing", "cost"]];

/// Where a failed run may say why.
const ERRORS: [&str; 4] = ["error", "error_message", "message", "detail"];

/// What answers are read by.
pub(super) struct Reading<'a> {
    /// What the words of a status mean.
    pub(super) words: &'a StatusWords,
    /// Where the output is, where a person has said so.
    pub(super) output_path: Option<&'a str>,
}

/// A run as an answer shows it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: Option<String>,
    pub(super) status: JobStatus,
    /// Where the answer says that the run can be seen, most telling first; only where it goes on. Not judged yet.
    pub(super) links: Vec<String>,
}

/// Reads a run.
pub(super) fn run(reply: &Reply, reading: &Reading<'_>) -> Seen {
    let mut warnings = Vec::new();
    if let Some(output) = other_than_json(reply, &mut warnings) {
        let state = if reply.status == 202 { JobState::Processing } else { JobState::Completed };
        let links = if state.is_terminal() { Vec::new() } else { links(reply) };
        let node_outputs = if state.is_terminal() { Map::from_iter([(String::new(), output)]) } else { Map::new() };
        return Seen { id: None, status: JobStatus { node_outputs, warnings, ..JobStatus::of(state) }, links };
    }
    let body = &reply.body;
    let state = state(reply, reading.words);
    warnings.extend(status::warning(&state));
    let error = if state == JobState::Completed { None } else { error(body) };
    let node_outputs = match state {
        JobState::Completed => outputs(body, reading.output_path, &mut warnings),
        _ => Map::new(),
    };
    let first = |places: &[&[&str]]| places.iter().find_map(|place| at(body, place));
    let status = JobStatus {
        node_outputs,
        error,
        // A cost that cannot be read is unknown, and never an error.
        credits_charged: COSTS.iter().find_map(|place| number(at(body, place)?)),
        tokens_used: first(&[&["tokens_used"], &["usage", "total_tokens"], &["usage", "tokens"]]).and_then(count),
        latency_ms: first(&[&["latency_ms"], &["usage", "latency_ms"]]).and_then(count),
        created_at: time(body, &["created_at"], &mut warnings),
        completed_at: time(body, &["completed_at"], &mut warnings),
        warnings,
        ..JobStatus::of(state)
    };
    let links = if status.state.is_terminal() { Vec::new() } else { links(reply) };
    let id = first(&[&["id"], &["run_id"], &["runId"], &["data", "id"]]).and_then(id);
    Seen { id, status, links }
}

/// Returns where a run stands: what its status word says, else done, unless the answer is a mere acceptance.
fn state(reply: &Reply, words: &StatusWords) -> JobState {
    let body = &reply.body;
    let word = |value: &Value| text(value, &["status", "state"]);
    // `data` may be the run itself, or an output that has a status of its own; a word that is known tells.
    let enveloped = || {
        let data = body
            .get("data")
            .filter(|data| data.get("id").is_some() && present(body, &["id", "run_id", "runId"]).is_none())?;
        Some(words.state(&word(data)?)).filter(|state| !matches!(state, JobState::Unknown(_)))
    };
    if let Some(word) = word(body) {
        return words.state(&word);
    }
    if let Some(state) = enveloped() {
        return state;
    }
    let has_output = OUTPUTS.iter().any(|place| at(body, place).is_some());
    match reply.status {
        202 => JobState::Processing,
        // An error and nothing else is no success, whatever the HTTP status.
        _ if !has_output && present(body, &["error"]).and_then(said).is_some() => JobState::Failed,
        _ => JobState::Completed,
    }
}

/// Returns what a failed run says of why.
fn error(body: &Value) -> Option<String> {
    let holders = [Some(body), body.get("data")];
    let found = holders.into_iter().flatten().find_map(|holder| {
        let errors = present(holder, &["error", "errors"]).and_then(said);
        errors.or_else(|| ERRORS.iter().find_map(|key| said(holder.get(*key)?)))
    });
    found.map(|said| bounded(one_line(&said)))
}

/// Returns the output under the one key of a job with one node.
fn outputs(body: &Value, path: Option<&str>, warnings: &mut Vec<String>) -> Map<String, Value> {
    let told = path.and_then(|path| {
        let found = at(body, &path.split('.').collect::<Vec<_>>());
        if found.is_none() {
            warnings
                .push(format!("the answer has nothing at the output path `{path}`; the usual places were looked at"));
        }
        found
    });
    let found = told.or_else(|| OUTPUTS.iter().find_map(|place| at(body, place)));
    // Where nothing else is found, the whole is the output, or `data` as a whole: but not of a run that names its output, and has null there.
    let whole = found.unwrap_or(body);
    let is_data = body.get("data").is_some_and(|data| std::ptr::eq(whole, data));
    let is_fallback = told.is_none() && (is_data || std::ptr::eq(whole, body));
    match if is_fallback && is_record(body) && names_nothing(whole) { &Value::Null } else { whole } {
        Value::Null => {
            warnings.push("the answer has no output".to_owned());
            Map::new()
        }
        output => Map::from_iter([(String::new(), output.clone())]),
    }
}

/// Says whether an answer is about a run, rather than what came of it.
fn is_record(body: &Value) -> bool {
    present(body, &["id", "run_id", "runId"]).is_some() && present(body, &["status", "state"]).is_some()
}

/// Says whether a place for an output is there, and null.
fn names_nothing(holder: &Value) -> bool {
    let places = ["output", "outputs", "result", "results", "data"];
    places.iter().any(|key| holder.get(*key).is_some_and(Value::is_null))
}

/// Returns what is at a path of keys and indexes, unless it is null.
fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let found = path.iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        value => value.get(part),
    })?;
    Some(found).filter(|found| !found.is_null())
}

/// Returns where the run can be seen, as the answer says: `Location`, then its own links.
fn links(reply: &Reply) -> Vec<String> {
    let link = |value: &Value| match value {
        Value::Object(map) => map.get("href").or_else(|| map.get("url"))?.as_str().map(str::to_owned),
        value => value.as_str().map(str::to_owned),
    };
    let body = &reply.body;
    let holders = [Some(body), body.get("data")];
    let own = holders.into_iter().flatten().flat_map(|holder| {
        [at(holder, &["links", "self"]), at(holder, &["_links", "self"]), at(holder, &["status_url"])]
    });
    let own = own.flatten().filter_map(link);
    let all = reply.header("location").map(str::to_owned).into_iter().chain(own);
    all.filter(|link| !link.trim().is_empty()).collect()
}

/// Returns the output of an answer that is no JSON, with a word about it: a text stays one, bytes become a file.
fn other_than_json(reply: &Reply, warnings: &mut Vec<String>) -> Option<Value> {
    let content_type = reply.header("content-type").unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = is_json_type(&content_type);
    let kind = media_type(&content_type);
    let named = if content_type.is_empty() { "no content type" } else { content_type.as_str() };
    let file = |bytes: &[u8], warnings: &mut Vec<String>| {
        let size = bytes.len();
        warnings.push(format!("the answer is no JSON but {size} bytes ({}); they are kept as a file", one_line(named)));
        let content_type = if content_type.contains('/') { &content_type } else { "application/octet-stream" };
        json!({"type": kind, "url": format!("data:{content_type};base64,{}", STANDARD.encode(bytes))})
    };
    match (&reply.bytes, &reply.body) {
        (Some(bytes), _) => Some(file(bytes, warnings)),
        // A picture can be a text, as SVG is.
        (None, Value::String(text)) if !is_json && kind != "file" => Some(file(text.as_bytes(), warnings)),
        (None, Value::String(text)) if !is_json => {
            warnings.push(format!("the answer is no JSON but a text ({}); it is kept as it is", one_line(named)));
            Some(Value::String(text.clone()))
        }
        // A plain text may look like a number.
        (None, scalar @ (Value::Number(_) | Value::Bool(_))) if content_type.starts_with("text/") => {
            warnings.push(format!("the answer is no JSON but a text ({}); it is kept as it is", one_line(named)));
            Some(Value::String(scalar.to_string()))
        }
        _ => None,
    }
}

/// Returns AIMP's word for what a content type holds.
pub(super) fn media_type(content_type: &str) -> &'static str {
    match content_type.trim().split('/').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "image" => "image",
        "audio" => "audio",
        "video" => "video",
        _ => "file",
    }
}

/// Returns an id as it stands in a URL's path.
pub(super) fn encoded(id: &str) -> String {
    /// All but what RFC 3986 calls unreserved.
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(id, RESERVED).to_string()
}

/// Reads the account: the wallet's balance, and whatever wallet and usage have beside it, under their own names.
pub(super) fn account(wallet: &Value, usage: &Value) -> Option<Account> {
    fn inner(value: &Value) -> &Value {
        value.get("data").filter(|data| data.is_object()).unwrap_or(value)
    }
    let (wallet, usage) = (inner(wallet), inner(usage));
    let map = wallet.as_object()?;
    let mut figures = Vec::new();
    for (name, figure) in map {
        flat(&format!("wallet_{name}"), figure, &mut figures);
    }
    match usage {
        Value::Object(map) => {
            map.iter().for_each(|(name, figure)| flat(&format!("usage_{name}"), figure, &mut figures));
        }
        Value::Null => {}
        other => figures.push(("usage".to_owned(), other.clone())),
    }
    Some(Account {
        credits: present(wallet, &["credits", "balance", "available_balance", "available"]).and_then(number),
        plan: text(wallet, &["plan"]),
        usage: figures,
    })
}

/// Adds a figure, or those of one object one level down.
fn flat(name: &str, figure: &Value, figures: &mut Vec<(String, Value)>) {
    match figure {
        Value::Object(map) => {
            figures.extend(map.iter().map(|(inner, figure)| (format!("{name}_{inner}"), figure.clone())));
        }
        Value::Null => {}
        figure => figures.push((name.to_owned(), figure.clone())),
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
