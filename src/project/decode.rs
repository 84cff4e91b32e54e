//! From a value to a [`Project`]: every key known, every value of its kind, all that is wrong told at once.

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{Account, AimpOptions, AirmyOptions, ArmoxOptions, Kind, Options, Project, Settle, Supplied, Words, keys};
use crate::{
    contract::schema::Schema,
    diagnostic::{Code, Diagnostic, nearest},
    source::{Pointer, Source, SourceMap},
    spec::decode::{Decoder, Fields, describe, list},
    template::{self, Root, Template},
};

/// How the places of object stores begin.
const STORES: [&str; 3] = ["s3://", "gs://", "az://"];

/// Decodes a project; none where the file is no map.
pub(super) fn decode(source: &Arc<Source>, value: &Value, map: &SourceMap) -> (Option<Project>, Vec<Diagnostic>) {
    let mut decoder = Decoder::new(source, map, "dagwood schema project");
    let project = project(&mut decoder, value);
    (project, decoder.diagnostics)
}

fn project(decoder: &mut Decoder<'_>, value: &Value) -> Option<Project> {
    let root = Pointer::root();
    let entries = match value {
        Value::Object(entries) => entries,
        // All of it is optional.
        Value::Null => return Some(Project::default()),
        _ => {
            let message = format!("a project file is a map, this is {}", describe(value));
            let diagnostic = Diagnostic::error(Code::NoProject, message).at(
                decoder.source,
                decoder.first_line(&root),
                "expected keys such as `providers:`",
            );
            decoder.report(diagnostic.help("`dagwood init` writes one to start from"));
            return None;
        }
    };
    let fields = decoder.fields(entries, &root, "a project file", keys::PROJECT);
    // First, since keys of providers read them.
    let secrets = fields.get_meant("secrets").map(|(value, at)| decoder.secrets(value, &at)).unwrap_or_default();
    let providers = match fields.get("providers") {
        Some((value, at)) => providers(decoder, value, &at, &secrets),
        None => IndexMap::new(),
    };
    let mut project = Project { providers, secrets, ..Project::default() };
    project.env_file = path(decoder, &fields, "env_file");
    project.state = path(decoder, &fields, "state");
    project.artifacts = artifacts(decoder, &fields);
    project.staging = staging(decoder, &fields);
    if let Some((value, at)) = fields.get("contracts") {
        project.contracts = contracts(decoder, value, &at, &project);
    }
    Some(project)
}

fn providers(
    decoder: &mut Decoder<'_>,
    value: &Value,
    at: &Pointer,
    secrets: &[String],
) -> IndexMap<String, Option<Account>> {
    let mut providers = IndexMap::new();
    for (alias, value) in decoder.object(value, at).into_iter().flatten() {
        if alias.starts_with("x-") {
            continue;
        }
        let at = at.join(alias);
        if alias == "http" {
            let help = Some("that is what steps without a provider are called that make a request".to_owned());
            decoder.bad_name(alias, decoder.map.key(&at), "the alias of a provider", help);
        } else if !is_alias(alias) {
            let help = "an alias is a letter, then letters, digits, `_` and `-`".to_owned();
            decoder.bad_name(alias, decoder.map.key(&at), "the alias of a provider", Some(help));
        } else if value.is_null() {
            if Kind::named(alias).is_none() {
                let diagnostic =
                    Diagnostic::error(Code::UnknownProvider, format!("there is no provider `{alias}` to take away"))
                        .at(decoder.source, decoder.map.key(&at), "not a built-in one")
                        .help(format!(
                            "`NAME: null` is for {}; a new provider has a `kind`",
                            list(Kind::ALL.map(Kind::word))
                        ));
                decoder.report(diagnostic);
            }
            providers.insert(alias.clone(), None);
        } else if let Some(account) = account(decoder, alias, value, &at, secrets) {
            providers.insert(alias.clone(), Some(account));
        }
    }
    providers
}

fn is_alias(alias: &str) -> bool {
    alias.starts_with(|c: char| c.is_ascii_alphabetic())
        && alias.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

fn account(decoder: &mut Decoder<'_>, alias: &str, value: &Value, at: &Pointer, secrets: &[String]) -> Option<Account> {
    let Value::Object(entries) = value else {
        let kind = Kind::named(alias).map_or("armox", Kind::word);
        decoder.wrong(
            value,
            at,
            "a map",
            Some(format!("write `{alias}: {{ kind: {kind} }}`, or `null` to take it away")),
        );
        return None;
    };
    let kind = kind(decoder, alias, entries, at);
    let what = format!("provider `{alias}`");
    let entries = own_keys(decoder, entries, at, kind);
    let fields = decoder.fields(&entries, at, &what, kind.map_or(keys::AIMP, keys::of));
    let kind = kind?;
    let mut account = Account::of(kind);
    account.api_key = fields.get("api_key").and_then(|(value, at)| api_key(decoder, value, &at, secrets, kind));
    account.base_url = fields.get("base_url").and_then(|(value, at)| decoder.name(value, &at));
    account.allow_http = flag(decoder, &fields, "allow_http");
    account.requests_per_minute = count(decoder, &fields, "requests_per_minute");
    account.burst = count(decoder, &fields, "burst");
    if let (Some((_, at)), None) = (fields.get("burst"), fields.get("requests_per_minute")) {
        let diagnostic = Diagnostic::error(Code::MissingKey, "`burst` goes with `requests_per_minute`")
            .at(decoder.source, decoder.map.key(&at), "says nothing alone")
            .help("add `requests_per_minute: …`");
        decoder.report(diagnostic);
    }
    account.max_jobs = count(decoder, &fields, "max_jobs");
    account.submit_timeout = fields.get("submit_timeout").and_then(|(value, at)| decoder.period(value, &at, true));
    account.budget_per_day = fields.get("budget_per_day").and_then(|(value, at)| decoder.budget(value, &at));
    match &mut account.options {
        Options::Armox(options) => *options = armox(decoder, &fields),
        Options::Airmy(options) => *options = airmy(decoder, &fields),
        Options::Aimp(options) => *options = aimp(decoder, &fields),
    }
    Some(account)
}

/// Reads `kind`; one of the built-in names needs none.
fn kind(decoder: &mut Decoder<'_>, alias: &str, entries: &Map<String, Value>, at: &Pointer) -> Option<Kind> {
    if let Some(value) = entries.get("kind") {
        decoder.word(value, &at.join("kind"), &Kind::ALL.map(|kind| (kind.word(), kind)))
    } else {
        let kind = Kind::named(alias);
        if kind.is_none() {
            decoder.missing(at, &format!("provider `{alias}`"), "kind");
        }
        kind
    }
}

/// Tells of keys that other systems have, and drops them.
fn own_keys(
    decoder: &mut Decoder<'_>,
    entries: &Map<String, Value>,
    at: &Pointer,
    kind: Option<Kind>,
) -> Map<String, Value> {
    let has = |kind: Kind, key: &str| keys::of(kind).iter().any(|known| known.name == key);
    let mut own = entries.clone();
    own.retain(|key, _| {
        let of = Kind::ALL.into_iter().find(|&other| has(other, key));
        let Some(other) = of.filter(|_| kind.is_none_or(|kind| !has(kind, key))) else { return true };
        if let Some(kind) = kind {
            let message = format!("an account of {} has no key `{key}`", kind.word());
            let diagnostic = Diagnostic::error(Code::UnknownKey, message)
                .at(decoder.source, decoder.map.key(&at.join(key)), format!("goes with `kind: {}`", other.word()))
                .help("leave it out");
            decoder.report(diagnostic);
        }
        false
    });
    own
}

/// Reads the template of a key. Of what else may stand there nothing is shown: it may be a key.
fn api_key(decoder: &mut Decoder<'_>, value: &Value, at: &Pointer, secrets: &[String], kind: Kind) -> Option<Template> {
    let place = decoder.map.value(at);
    let Some(text) = value.as_str().filter(|text| template::mentions(text)) else {
        let diagnostic = Diagnostic::error(Code::KeyInTheOpen, "`api_key` is no key, but says where the key is")
            .at(decoder.source, place, "hidden here: it may be one")
            .help(format!(
                "put the key into `{variable}` and leave `api_key` out, or write `\"{{{{ secrets.NAME }}}}\"` with NAME under `secrets`",
                variable = kind.key_variable()
            ));
        decoder.report(diagnostic);
        return None;
    };
    let template = match Template::compile(text) {
        Ok(template) => template,
        Err(errors) => {
            for error in errors {
                decoder.report(template::diagnostic(&error, decoder.source, decoder.map, at));
            }
            return None;
        }
    };
    let mut good = true;
    for reference in template.references() {
        let place = decoder.map.within(at, reference.range.clone());
        let diagnostic = match (&reference.root, reference.key()) {
            (Root::Secrets, Some(name)) if secrets.iter().any(|secret| secret == name) => continue,
            (Root::Secrets, Some(name)) => {
                let near = nearest(name, secrets.iter().map(String::as_str));
                Diagnostic::error(Code::UndeclaredSecret, format!("the project names no secret `{name}`"))
                    .at(decoder.source, place, "not under `secrets`")
                    .help(near.map_or_else(
                        || format!("add it: `secrets: [{name}]`"),
                        |near| format!("did you mean `{near}`?"),
                    ))
            }
            _ => Diagnostic::error(Code::NotHere, format!("`{reference}` is not to be had in `api_key`"))
                .at(decoder.source, place, "not a secret")
                .help("write `\"{{ secrets.NAME }}\"`"),
        };
        decoder.report(diagnostic);
        good = false;
    }
    if good && template.references().is_empty() {
        let diagnostic = Diagnostic::error(Code::KeyInTheOpen, "`api_key` reads no secret")
            .at(decoder.source, place, "no `secrets.NAME` in it")
            .help("write `\"{{ secrets.NAME }}\"`");
        decoder.report(diagnostic);
        return None;
    }
    good.then_some(template)
}

fn armox(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> ArmoxOptions {
    let words = [("auto", Settle::Auto), ("ask", Settle::Ask)];
    ArmoxOptions {
        settle: fields.get("settle").and_then(|(value, at)| decoder.word(value, &at, &words)).unwrap_or_default(),
        settle_grace: fields.get("settle_grace").and_then(|(value, at)| decoder.period(value, &at, true)),
    }
}

fn airmy(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> AirmyOptions {
    AirmyOptions {
        idempotency_header: fields.get("idempotency_header").and_then(|(value, at)| header(decoder, value, &at)),
        input_wrapper: fields.get("input_wrapper").and_then(|(value, at)| decoder.name(value, &at)),
        look_at_runs: flag(decoder, fields, "look_at_runs"),
        status_words: status_words(decoder, fields),
    }
}

fn aimp(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> AimpOptions {
    let poll_path = fields.get("poll_path").and_then(|(value, at)| {
        let path = decoder.name(value, &at)?;
        if path.contains("{id}") && !path.contains("://") {
            return Some(path);
        }
        decoder.outside(
            &at,
            "`poll_path` must be a path with `{id}` in it".to_owned(),
            "the run's id has no place here",
            "write a path below the base URL, such as `runs/{id}`",
        );
        None
    });
    let help = "list slugs of models: `safe_to_repeat: [image-captioner]`";
    let safe = fields.get("safe_to_repeat").map(|(value, at)| decoder.words_list(value, &at, help));
    AimpOptions {
        poll_path,
        output_path: fields.get("output_path").and_then(|(value, at)| decoder.name(value, &at)),
        media_ref_object: flag(decoder, fields, "media_ref_object"),
        safe_to_repeat: safe.unwrap_or_default().into_iter().map(|(slug, _)| slug).collect(),
        status_words: status_words(decoder, fields),
    }
}

/// Reads the name of a header; an empty one is meant.
fn header(decoder: &mut Decoder<'_>, value: &Value, at: &Pointer) -> Option<String> {
    let name = decoder.text(value, at)?;
    let good = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !good {
        decoder.outside(
            at,
            "`idempotency_header` must be the name of an HTTP header".to_owned(),
            "no header can be called that",
            "write a name such as `Idempotency-Key`, or an empty string to send none",
        );
    }
    good.then_some(name)
}

fn status_words(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> Words {
    let Some((value, at)) = fields.get("status_words") else { return Words::default() };
    let Some(entries) = decoder.object(value, &at) else { return Words::default() };
    let fields = decoder.fields(entries, &at, "`status_words`", keys::STATUS_WORDS);
    let mut words = |key: &str| -> Vec<String> {
        let Some((value, at)) = fields.get(key) else { return Vec::new() };
        decoder.words_list(value, &at, "list words of the API").into_iter().map(|(word, _)| word).collect()
    };
    Words { done: words("done"), failed: words("failed"), cancelled: words("cancelled") }
}

fn flag(decoder: &mut Decoder<'_>, fields: &Fields<'_>, key: &str) -> bool {
    fields.get(key).and_then(|(value, at)| decoder.boolean(value, &at)).unwrap_or(false)
}

fn count(decoder: &mut Decoder<'_>, fields: &Fields<'_>, key: &str) -> Option<u32> {
    fields.get(key).and_then(|(value, at)| decoder.count(value, &at, 1))
}

/// Reads a path: below the root, or an absolute one. A relative one that climbs out would mean another folder after each move.
fn path(decoder: &mut Decoder<'_>, fields: &Fields<'_>, key: &str) -> Option<String> {
    let (value, at) = fields.get(key)?;
    let path = decoder.name(value, &at)?;
    if path.split(['/', '\\']).any(|part| part == "..") {
        let diagnostic = Diagnostic::error(Code::PathEscapes, format!("`{key}` leaves the project's folder"))
            .at(decoder.source, decoder.value_span(&at), "climbs out")
            .help("write a path below the project file, or an absolute one");
        decoder.report(diagnostic);
        return None;
    }
    Some(path)
}

fn artifacts(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<String> {
    let (value, at) = fields.get("artifacts")?;
    let text = value.as_str().unwrap_or_default();
    if !text.contains("://") {
        return path(decoder, fields, "artifacts");
    }
    let problem = if text.starts_with("file:") { Some("a folder is written as a path") } else { no_store(text) };
    if let Some(problem) = problem {
        let help = "write a folder, `artifacts: artifacts`, or a store: `s3://BUCKET/PREFIX`, `gs://…` or `az://…`";
        decoder.outside(&at, "`artifacts` must be a folder or an object store".to_owned(), problem, help);
        return None;
    }
    Some(text.to_owned())
}

fn staging(decoder: &mut Decoder<'_>, fields: &Fields<'_>) -> Option<String> {
    let (value, at) = fields.get("staging")?;
    let text = decoder.name(value, &at)?;
    if let Some(problem) = no_store(&text) {
        let help = "write a store that gives presigned URLs: `s3://BUCKET/PREFIX`, `gs://…` or `az://…`";
        decoder.outside(&at, "`staging` must be a store that APIs can fetch from".to_owned(), problem, help);
        return None;
    }
    Some(text)
}

/// Says why a text is not the place of an object store; none where it is one.
fn no_store(text: &str) -> Option<&'static str> {
    match STORES.iter().find_map(|store| text.strip_prefix(store)) {
        None if text.contains("://") && !text.starts_with("file:") => Some("not a store that Dagwood knows"),
        None => Some("a folder that nobody serves"),
        // A secret key may have a `/` in it, so that the `@` is not in the first part.
        Some(rest) if rest.contains('@') => Some("credentials come from the environment"),
        Some(rest) if rest.split('/').next().is_none_or(str::is_empty) => Some("no bucket"),
        Some(_) => None,
    }
}

fn contracts(decoder: &mut Decoder<'_>, value: &Value, at: &Pointer, project: &Project) -> Vec<Supplied> {
    let mut contracts = Vec::new();
    let accounts = project.accounts();
    let known = || accounts.iter().map(|(alias, ..)| alias.as_str());
    for (name, schema) in decoder.object(value, at).into_iter().flatten() {
        if name.starts_with("x-") {
            continue;
        }
        let at = at.join(name);
        let Some((provider, id)) = name.split_once('/').filter(|(_, id)| !id.is_empty()) else {
            let help = Some("write `ALIAS/ID`, such as `aimp/image-captioner`".to_owned());
            decoder.bad_name(name, decoder.map.key(&at), "the name of a contract", help);
            continue;
        };
        // One whose entry is wrong is known all the same.
        let written = decoder.map.get(&Pointer::from_iter(["providers", provider])).is_some();
        let taken_away = project.providers.get(provider) == Some(&None);
        if (taken_away || !written) && !known().any(|alias| alias == provider) {
            let help = match nearest(provider, known()) {
                Some(near) => format!("did you mean `{near}/{id}`?"),
                None => format!("the providers are {}", list(known())),
            };
            let diagnostic = Diagnostic::error(Code::UnknownProvider, format!("there is no provider `{provider}`"))
                .at(decoder.source, decoder.map.key(&at), "unknown provider")
                .help(help);
            decoder.report(diagnostic);
            continue;
        }
        match Schema::compile(schema) {
            Ok(_) => {
                let (provider, id) = (provider.to_owned(), id.to_owned());
                contracts.push(Supplied { provider, id, schema: schema.clone() });
            }
            Err(complaint) => {
                let place = complaint.at.iter().fold(at.clone(), |at, part| at.join(part));
                let diagnostic =
                    Diagnostic::error(Code::BadContract, format!("the contract of `{name}` is no JSON Schema"))
                        .at(decoder.source, decoder.value_span(&place), complaint.message)
                        .help("a contract is a JSON Schema (2020-12) over the target's inputs");
                decoder.report(diagnostic);
            }
        }
    }
    contracts
}
