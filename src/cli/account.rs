//! From an account of the project to the provider that speaks for it: the key, the base URL, and the options of its system.

use std::{collections::BTreeMap, sync::Arc};

use super::{failure::Failure, home::Home};
use crate::{
    diagnostic::{Code, Diagnostic},
    project::{Account, Kind, Options, Words},
    provider::{
        Provider, Rate,
        aimp::{self, Aimp, AimpSettings},
        airmy::{self, Airmy, AirmySettings},
        armox::{self, Armox, ArmoxSettings},
        http::ClientProblem,
        status::StatusWords,
    },
    run::Bounds,
    secret::{Redactor, Secret},
    source::Pointer,
    template::{Root, Scope},
    world::World,
};

/// Where an account's key and URL come from, for what people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The alias.
    pub(crate) alias: String,
    /// The variables that hold the key, in backticks.
    pub(crate) key: String,
    /// What may be set to give the key.
    pub(crate) key_help: String,
    /// What says the base URL, in backticks.
    pub(crate) url: String,
}

impl Origin {
    /// Says where the key and the URL of an account come from.
    pub(crate) fn of(alias: &str, account: &Account) -> Self {
        let kind = account.kind();
        let (key, key_help) = if let Some(names) = secrets(account) {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            (names.join(" and "), names.join(" and "))
        } else {
            let variable = kind.key_variable();
            (format!("`{variable}`"), format!("`{variable}` (or `{variable}_FILE`)"))
        };
        let url = match account.base_url {
            Some(_) => format!("`providers.{alias}.base_url`"),
            None => format!("`{}`", kind.url_variable()),
        };
        Self { alias: alias.to_owned(), key, key_help, url }
    }
}

/// Returns the secrets that an account's key is made of; none where it is read from the system's own variable.
fn secrets(account: &Account) -> Option<Vec<&str>> {
    let template = account.api_key.as_ref()?;
    let mut names: Vec<_> = template.references().iter().filter_map(|reference| reference.key()).collect();
    names.dedup();
    Some(names)
}

/// Says whether the key of an account is there; reads no file.
pub(crate) fn has_key(home: &Home, account: &Account) -> bool {
    match secrets(account) {
        Some(names) => names.iter().all(|name| home.has_key(name)),
        None => home.has_key(account.kind().key_variable()),
    }
}

/// Returns the key of an account; none where it is not there.
///
/// # Errors
///
/// Where the file of a key cannot be read, or the template of the key cannot be rendered.
pub(crate) fn key(home: &Home, alias: &str, account: &Account) -> Result<Option<Secret>, Failure> {
    let (Some(template), Some(names)) = (&account.api_key, secrets(account)) else {
        return home.key(account.kind().key_variable());
    };
    let mut values = BTreeMap::new();
    for name in names {
        let Some(secret) = home.key(name)? else { return Ok(None) };
        values.insert(name.to_owned(), secret);
    }
    debug_assert!(template.references().iter().all(|reference| reference.root == Root::Secrets));
    let at = Pointer::from_iter(["providers", alias, "api_key"]);
    let invalid = |message: String| {
        let diagnostic = Diagnostic::error(Code::TemplateFailed, message);
        Failure::Invalid(vec![home.file.at(diagnostic, &at, "cannot be rendered")])
    };
    let rendered = template.render(&Scope::new().with_secrets(&values)).map_err(|error| invalid(error.message))?;
    match rendered.as_str().map(str::trim) {
        Some(key) if !key.is_empty() => {
            let key = Secret::new(key);
            home.hide(&key);
            Ok(Some(key))
        }
        _ => Err(invalid("`api_key` gives no text".to_owned())),
    }
}

/// Returns where a system is, unless it is said.
pub(crate) fn default_url(kind: Kind) -> &'static str {
    match kind {
        Kind::Armox => armox::BASE_URL,
        Kind::Airmy => airmy::BASE_URL,
        Kind::Aimp => aimp::LOCAL_URL,
    }
}

/// Returns the most that an account may be asked for by the project file, beyond what its API says.
pub(crate) fn bounds(account: &Account) -> Bounds {
    let rate = |per_minute| Rate { per_minute, burst: account.burst.unwrap_or(per_minute) };
    Bounds { rate: account.requests_per_minute.map(rate), jobs: account.max_jobs, ..Bounds::default() }
}

/// Builds the provider of an account; sends nothing. What is not said of it is as its system has it.
///
/// # Errors
///
/// Where key or URL cannot be used.
pub(crate) fn provider(
    account: &Account,
    key: Secret,
    base_url: String,
    redactor: Redactor,
    world: World,
) -> Result<Arc<dyn Provider>, ClientProblem> {
    let timeout = account.submit_timeout.map(|period| period.0);
    Ok(match &account.options {
        Options::Armox => {
            let default = ArmoxSettings::new(key);
            Arc::new(Armox::new(
                ArmoxSettings {
                    base_url,
                    redactor,
                    allow_http: account.allow_http,
                    submit_timeout: timeout.unwrap_or(default.submit_timeout),
                    key: default.key,
                },
                world,
            )?)
        }
        Options::Airmy(options) => {
            let mut settings = AirmySettings::new(key);
            settings.base_url = base_url;
            settings.redactor = redactor;
            settings.allow_http = account.allow_http;
            settings.submit_timeout = timeout.unwrap_or(settings.submit_timeout);
            settings.idempotency_header = options.idempotency_header.clone().unwrap_or(settings.idempotency_header);
            settings.input_wrapper = options.input_wrapper.clone().unwrap_or(settings.input_wrapper);
            settings.status_words = words(&options.status_words);
            settings.look_at_runs = options.look_at_runs;
            settings.rate = bounds(account).rate;
            Arc::new(Airmy::new(settings, world)?)
        }
        Options::Aimp(options) => {
            let mut settings = AimpSettings::new(base_url, key);
            settings.redactor = redactor;
            settings.allow_http = account.allow_http;
            settings.submit_timeout = timeout.unwrap_or(settings.submit_timeout);
            settings.status_words = words(&options.status_words);
            settings.poll_path.clone_from(&options.poll_path);
            settings.output_path.clone_from(&options.output_path);
            settings.media_ref_object = options.media_ref_object;
            settings.safe_to_repeat.clone_from(&options.safe_to_repeat);
            Arc::new(Aimp::new(settings, world)?)
        }
    })
}

fn words(given: &Words) -> StatusWords {
    let Words { done, failed, cancelled } = given.clone();
    StatusWords { done, failed, cancelled }
}
