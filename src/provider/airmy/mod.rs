//! AIRMY: agents and pipelines behind one key.

use std::time::Duration;

use crate::{
    provider::{
        Rate,
        http::{self, Client, ClientProblem, ClientSettings, Credential, SUBMIT_TIMEOUT},
        status::StatusWords,
    },
    secret::{Redactor, Secret},
    world::World,
};

/// Where AIRMY is.
pub const BASE_URL: &str = "https://api.airmy.dev/v2";

/// The header that the idempotency key goes in, unless another is given; the documents do not name it.
pub const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";

/// The name that a pipeline's input goes under, unless another is given; the documents do not name it.
pub const INPUT_WRAPPER: &str = "input";

/// The rate of the smallest plan, by the documents. The server's 429 is the truth where a key has a larger one.
pub const FREE_RATE: Rate = Rate { per_minute: 100, burst: 150 };

/// What an AIRMY provider is built from.
#[derive(Clone, Debug)]
pub struct AirmySettings {
    /// The URL that `/agents` and the rest stand under.
    pub base_url: String,
    /// The API key.
    pub key: Secret,
    /// What else to redact in answers: the workflow's secrets.
    pub redactor: Redactor,
    /// Whether a base URL outside this machine may be plain `http`.
    pub allow_http: bool,
    /// How long a submit may take: the documented answer carries the finished run.
    pub submit_timeout: Duration,
    /// The header that the idempotency key goes in; empty where none is to be sent.
    pub idempotency_header: String,
    /// The name that a pipeline's input goes under; empty where the input is the body.
    pub input_wrapper: String,
    /// Status words beside the usual ones.
    pub status_words: StatusWords,
    /// Whether a pipeline's run is looked at like an agent's, by `GET /runs/{id}`, before its pipeline's list is read.
    pub look_at_runs: bool,
    /// The rate of the key's plan; [`FREE_RATE`] where it is not said.
    pub rate: Option<Rate>,
}

impl AirmySettings {
    /// Returns the settings of AIRMY itself with this key.
    #[must_use]
    pub fn new(key: Secret) -> Self {
        Self {
            base_url: BASE_URL.to_owned(),
            key,
            redactor: Redactor::default(),
            allow_http: false,
            submit_timeout: SUBMIT_TIMEOUT,
            idempotency_header: IDEMPOTENCY_HEADER.to_owned(),
            input_wrapper: INPUT_WRAPPER.to_owned(),
            status_words: StatusWords::default(),
            look_at_runs: false,
            rate: None,
        }
    }
}

/// One AIRMY account, seen through one key.
#[derive(Clone, Debug)]
pub struct Airmy {
    client: Client,
    submit_timeout: Duration,
    /// In lower case; none where no key is to be sent.
    idempotency_header: Option<String>,
    input_wrapper: String,
    words: StatusWords,
    look_at_runs: bool,
    rate: Rate,
}

impl Airmy {
    /// Builds the provider; sends nothing.
    ///
    /// # Errors
    ///
    /// Where the base URL, the key, the idempotency header's name, or the environment's proxy cannot be used.
    pub fn new(settings: AirmySettings, world: World) -> Result<Self, ClientProblem> {
        let idempotency_header = match settings.idempotency_header.trim() {
            "" => None,
            name => Some(http::header_name(name)?),
        };
        let credential = Credential { header: "authorization", prefix: "Bearer ", key: settings.key };
        let client = ClientSettings {
            credential: Some(credential),
            redactor: settings.redactor,
            allow_http: settings.allow_http,
            ..ClientSettings::new(settings.base_url)
        };
        Ok(Self {
            client: Client::new(client, world)?,
            submit_timeout: settings.submit_timeout,
            idempotency_header,
            input_wrapper: settings.input_wrapper,
            words: settings.status_words,
            look_at_runs: settings.look_at_runs,
            rate: settings.rate.unwrap_or(FREE_RATE),
        })
    }
}
