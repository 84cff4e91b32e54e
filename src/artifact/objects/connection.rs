//! The connection to S3, Google Cloud Storage or Azure Blob Storage, by the `object_store` library.
//!
//! The library signs and speaks the stores' dialects; everything else is ours: its requests leave through our own HTTP client (rustls
//! with ring, our roots, our proxies, no redirects), and its settings come from the listed variables of the environment that [`World`]
//! hands in. What must stay true:
//!
//! - Signed requests go to the store's endpoint and to no other host; in the clear only on this machine, or where the environment says
//!   `…_ALLOW_HTTP`.
//! - Answers are bounded, and no message shows a key or a signature.
//!
//! A lost part is sent again by the library, a few times within a minute: it cannot do harm twice, and starting five gigabytes anew
//! would. Whatever is longer is for the caller to try again.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use http_body_util::{BodyExt as _, Limited};
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, RetryConfig,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
    path::Path,
    signer::Signer,
};
use reqwest::{
    Method,
    header::{HeaderValue, IF_NONE_MATCH},
    redirect,
};

use super::{Kind, Place, StoreProblem};
use crate::{
    artifact::ArtifactError,
    provider::http::{CONNECT_TIMEOUT, Peers, bounded, build, builder, one_line},
    secret::{Redactor, Secret},
    world::World,
};

/// How much goes in one request. At ten thousand parts, S3's most, this holds far more than the largest file.
pub(in crate::artifact) const PART: usize = 8 * 1024 * 1024;

/// How long one request may take: a part at 28 kB a second.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(5);

/// How many bytes of an answer are read. Those that are asked for here are some lines of XML.
const ANSWER_LIMIT: usize = 1024 * 1024;

/// Where machines and containers in the clouds get their credentials from: in the clear, but it never leaves the machine's host.
const METADATA_HOSTS: [&str; 3] = ["169.254.169.254", "169.254.170.2", "169.254.170.23"];

/// A variable of the environment, and what it sets.
type Setting = (&'static str, &'static str);

/// Settings of S3 beside the keys. The first of two that set one thing counts.
#[cfg(feature = "s3")]
const S3: &[Setting] = &[
    ("AWS_REGION", "region"),
    ("AWS_DEFAULT_REGION", "region"),
    ("AWS_ENDPOINT_URL_S3", "endpoint"),
    ("AWS_ENDPOINT_URL", "endpoint"),
    ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "virtual_hosted_style_request"),
    ("AWS_REQUEST_PAYER", "request_payer"),
    ("AWS_SERVER_SIDE_ENCRYPTION", "server_side_encryption"),
    ("AWS_SSE_KMS_KEY_ID", "sse_kms_key_id"),
    ("AWS_ROLE_SESSION_NAME", "role_session_name"),
    ("AWS_ENDPOINT_URL_STS", "aws_endpoint_url_sts"),
];

/// The ways to present oneself to S3: each with all its variables, the first whole one counts.
#[cfg(feature = "s3")]
const S3_KEYS: &[&[Setting]] = &[
    &[("AWS_ACCESS_KEY_ID", "access_key_id"), ("AWS_SECRET_ACCESS_KEY", "secret_access_key")],
    &[("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file"), ("AWS_ROLE_ARN", "role_arn")],
    &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "container_credentials_relative_uri")],
    &[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "container_credentials_full_uri"),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "container_authorization_token_file"),
    ],
    // The role of an EC2 machine, only where it is asked for: elsewhere its absence would be noticed minutes later.
    &[("AWS_METADATA_ENDPOINT", "metadata_endpoint")],
];

#[cfg(feature = "gcs")]
const GCS: &[Setting] = &[("GOOGLE_BASE_URL", "base_url")];

/// The ways to present oneself to Google.
#[cfg(feature = "gcs")]
const GCS_KEYS: &[&[Setting]] = &[
    &[("GOOGLE_SERVICE_ACCOUNT_KEY", "service_account_key")],
    &[("GOOGLE_SERVICE_ACCOUNT", "service_account")],
    &[("GOOGLE_APPLICATION_CREDENTIALS", "application_credentials")],
];

#[cfg(feature = "azure")]
const AZURE: &[Setting] = &[("AZURE_STORAGE_ENDPOINT", "endpoint"), ("AZURE_AUTHORITY_HOST", "authority_host")];

/// The ways to present oneself to Azure. A SAS token is none: with it nothing can be signed.
#[cfg(feature = "azure")]
const AZURE_KEYS: &[&[Setting]] = &[
    &[("AZURE_STORAGE_ACCOUNT_KEY", "access_key")],
    &[("AZURE_STORAGE_KEY", "access_key")],
    &[("AZURE_CLIENT_ID", "client_id"), ("AZURE_CLIENT_SECRET", "client_secret"), ("AZURE_TENANT_ID", "tenant_id")],
    &[
        ("AZURE_CLIENT_ID", "client_id"),
        ("AZURE_FEDERATED_TOKEN_FILE", "federated_token_file"),
        ("AZURE_TENANT_ID", "tenant_id"),
    ],
];

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::artifact) enum Use {
    /// Putting objects that are named by their content, and signing URLs for them.
    Staging,
    /// Putting objects under names that may be taken, and reading them.
    Saving {
        /// The most bytes of an object that is read.
        largest: u64,
    },
}

/// An open connection to a store. Nothing is sent before it is used.
pub(in crate::artifact) struct Connection {
    /// The store, without credentials.
    pub(in crate::artifact) place: Place,
    /// Where the place's own objects begin.
    pub(in crate::artifact) prefix: Path,
    pub(in crate::artifact) objects: Arc<dyn ObjectStore>,
    /// The same store, where an upload in parts takes no name that is taken; none where a store has no way to say so.
    pub(in crate::artifact) exclusive: Option<Arc<dyn ObjectStore>>,
    pub(in crate::artifact) signer: Arc<dyn Signer>,
    /// A client that presents itself to nobody, for fetching as an API would.
    pub(in crate::artifact) stranger: reqwest::Client,
    redactor: Redactor,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("place", &self.place.shown).finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens the store of a place.
    pub(in crate::artifact) fn open(place: Place, purpose: Use, world: &World) -> Result<Self, StoreProblem> {
        let setup = |why: String| StoreProblem::Setup { place: place.shown.clone(), why };
        let client = builder(world, Peers::Public).map_err(|problem| setup(problem.to_string()))?;
        let client = client.connect_timeout(CONNECT_TIMEOUT).timeout(REQUEST_TIMEOUT);
        let client = build(client.redirect(redirect::Policy::none())).map_err(|problem| setup(problem.to_string()))?;
        let parts: Result<Parts, StoreProblem> = match place.kind {
            #[cfg(feature = "s3")]
            Kind::S3 => s3(&place, purpose, world, &client),
            #[cfg(feature = "gcs")]
            Kind::Gcs => gcs(&place, purpose, world, &client),
            #[cfg(feature = "azure")]
            Kind::Azure => azure(&place, purpose, world, &client),
            #[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
            kind => unreachable!("{kind:?} is not built in, which was asked before"),
        };
        let Parts { objects, exclusive, signer, secrets } = parts?;
        Ok(Self {
            prefix: place.prefix.iter().map(String::as_str).collect(),
            stranger: client,
            redactor: Redactor::new(secrets),
            place,
            objects,
            exclusive,
            signer,
        })
    }

    /// Returns what a store's refusal means for who tried `what`.
    pub(in crate::artifact) fn failed(&self, what: &str, error: &Error) -> ArtifactError {
        let (why, transient) = words(error);
        self.error(what, &why, transient)
    }

    /// Returns an error of this store, without its keys.
    pub(in crate::artifact) fn error(&self, what: &str, why: &str, transient: bool) -> ArtifactError {
        let why = bounded(self.redactor.text(one_line(why)));
        ArtifactError::Store { place: self.place.shown.clone(), what: what.to_owned(), why, transient }
    }
}

/// What a store is made of.
struct Parts {
    objects: Arc<dyn ObjectStore>,
    exclusive: Option<Arc<dyn ObjectStore>>,
    signer: Arc<dyn Signer>,
    secrets: Vec<Secret>,
}

/// The settings of a store, as the environment gives them.
struct Settings {
    values: Vec<(&'static str, String)>,
    secrets: Vec<Secret>,
}

impl Settings {
    fn read(
        place: &Place,
        world: &World,
        plain: &[Setting],
        keys: &[&[Setting]],
        wanted: &'static str,
    ) -> Result<Self, StoreProblem> {
        let value = |&(variable, key): &Setting| Some((key, world.env(variable)?.to_owned()));
        let key = keys.iter().find_map(|way| way.iter().map(value).collect::<Option<Vec<_>>>());
        let key = key.ok_or_else(|| StoreProblem::Credentials { place: place.shown.clone(), wanted })?;
        let secrets = key.iter().map(|(_, value)| Secret::new(value.as_str())).collect();
        let mut values = key;
        for (key, value) in plain.iter().filter_map(value) {
            if values.iter().all(|(known, _)| *known != key) {
                values.push((key, value));
            }
        }
        Ok(Self { values, secrets })
    }

    /// Adds a secret that not every key has.
    #[cfg(feature = "s3")]
    fn add(&mut self, world: &World, variable: &str, key: &'static str) {
        if let Some(value) = world.env(variable) {
            self.secrets.push(Secret::new(value));
            self.values.push((key, value.to_owned()));
        }
    }

    /// Applies each setting.
    fn apply<B, K: std::str::FromStr<Err = Error>>(
        &self,
        builder: B,
        with: impl Fn(B, K, String) -> B,
    ) -> Result<B, Error> {
        self.values.iter().try_fold(builder, |builder, (key, value)| Ok(with(builder, key.parse()?, value.clone())))
    }
}

fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(5),
            base: 2.,
        },
        max_retries: 3,
        retry_timeout: Duration::from_mins(1),
    }
}

/// Says whether requests may leave in the clear.
fn allows_http(world: &World, variable: &str) -> bool {
    world.env(variable).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true"))
}

/// Turns the library's refusal of settings into ours.
fn refused(place: &Place, secrets: &[Secret]) -> impl Fn(Error) -> StoreProblem + use<> {
    let (place, redactor) = (place.shown.clone(), Redactor::new(secrets.iter().cloned()));
    move |error| StoreProblem::Setup { place: place.clone(), why: bounded(redactor.text(one_line(&words(&error).0))) }
}

#[cfg(feature = "s3")]
fn s3(place: &Place, purpose: Use, world: &World, client: &reqwest::Client) -> Result<Parts, StoreProblem> {
    let wanted = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or, for the role of \
                  an EC2 machine, AWS_METADATA_ENDPOINT=http://169.254.169.254";
    let mut settings = Settings::read(place, world, S3, S3_KEYS, wanted)?;
    if settings.values.iter().any(|(key, _)| *key == "access_key_id") {
        settings.add(world, "AWS_SESSION_TOKEN", "session_token");
    }
    let fail = refused(place, &settings.secrets);
    let builder = object_store::aws::AmazonS3Builder::new()
        .with_bucket_name(&place.bucket)
        .with_retry(retry())
        .with_http_connector(Door::new(client, purpose, allows_http(world, "AWS_ALLOW_HTTP")));
    let builder = settings.apply(builder, object_store::aws::AmazonS3Builder::with_config).map_err(&fail)?;
    let exclusive = match purpose {
        Use::Staging => None,
        Use::Saving { .. } => {
            let door = Door::new(client, purpose, allows_http(world, "AWS_ALLOW_HTTP")).exclusive();
            let builder = builder.clone().with_http_connector(door);
            Some(Arc::new(builder.build().map_err(&fail)?) as Arc<dyn ObjectStore>)
        }
    };
    let store = Arc::new(builder.build().map_err(&fail)?);
    Ok(Parts { objects: store.clone(), exclusive, signer: store, secrets: settings.secrets })
}

#[cfg(feature = "gcs")]
fn gcs(place: &Place, purpose: Use, world: &World, client: &reqwest::Client) -> Result<Parts, StoreProblem> {
    // The library would look for gcloud's own file by the process's environment, so that it is named here.
    let wanted = "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to the path of a service account's key file, or \
                  GOOGLE_SERVICE_ACCOUNT_KEY to its contents";
    let settings = Settings::read(place, world, GCS, GCS_KEYS, wanted)?;
    let fail = refused(place, &settings.secrets);
    let builder = object_store::gcp::GoogleCloudStorageBuilder::new()
        .with_bucket_name(&place.bucket)
        .with_retry(retry())
        .with_http_connector(Door::new(client, purpose, allows_http(world, "GOOGLE_ALLOW_HTTP")));
    let builder = settings.apply(builder, object_store::gcp::GoogleCloudStorageBuilder::with_config).map_err(&fail)?;
    let store = Arc::new(builder.build().map_err(&fail)?);
    Ok(Parts { objects: store.clone(), exclusive: None, signer: store, secrets: settings.secrets })
}

#[cfg(feature = "azure")]
fn azure(place: &Place, purpose: Use, world: &World, client: &reqwest::Client) -> Result<Parts, StoreProblem> {
    let wanted = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or with the account AZURE_CLIENT_ID, AZURE_TENANT_ID and \
                  AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE; with a SAS token no URL can be signed";
    let settings = Settings::read(place, world, AZURE, AZURE_KEYS, wanted)?;
    let account = world.env("AZURE_STORAGE_ACCOUNT_NAME").or_else(|| world.env("AZURE_STORAGE_ACCOUNT"));
    let account = account.ok_or_else(|| StoreProblem::Credentials { place: place.shown.clone(), wanted })?;
    let fail = refused(place, &settings.secrets);
    let builder = object_store::azure::MicrosoftAzureBuilder::new()
        .with_container_name(&place.bucket)
        .with_account(account)
        .with_retry(retry())
        .with_http_connector(Door::new(client, purpose, allows_http(world, "AZURE_ALLOW_HTTP")));
    let builder = settings.apply(builder, object_store::azure::MicrosoftAzureBuilder::with_config).map_err(&fail)?;
    let store = Arc::new(builder.build().map_err(&fail)?);
    Ok(Parts { objects: store.clone(), exclusive: None, signer: store, secrets: settings.secrets })
}

/// Gives the library our client, whatever options it would build one from.
#[derive(Debug)]
struct Door {
    client: reqwest::Client,
    allow_http: bool,
    /// The most bytes of an answer to a read.
    largest: usize,
    exclusive: bool,
}

impl Door {
    fn new(client: &reqwest::Client, purpose: Use, allow_http: bool) -> Self {
        let largest = match purpose {
            Use::Staging => ANSWER_LIMIT,
            Use::Saving { largest } => usize::try_from(largest).unwrap_or(usize::MAX),
        };
        Self { client: client.clone(), allow_http, largest, exclusive: false }
    }

    /// Lets no upload in parts take a name that is taken.
    #[cfg(feature = "s3")]
    fn exclusive(self) -> Self {
        Self { exclusive: true, ..self }
    }
}

impl HttpConnector for Door {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let Self { client, allow_http, largest, exclusive } = self;
        let inner = HttpClient::new(client.clone());
        Ok(HttpClient::new(Line { inner, allow_http: *allow_http, largest: *largest, exclusive: *exclusive }))
    }
}

/// Our client, with what it refuses and bounds.
#[derive(Debug)]
struct Line {
    inner: HttpClient,
    allow_http: bool,
    largest: usize,
    exclusive: bool,
}

/// A refusal to send.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` is reached by plain http, where anybody on the way could read the file; use https")]
struct Plain {
    host: String,
}

#[async_trait]
impl HttpService for Line {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri();
        let host = uri.host().unwrap_or_default().to_owned();
        let is_secret = uri.scheme_str() == Some("https");
        if !is_secret && !self.allow_http && !is_here(&host) && !METADATA_HOSTS.contains(&host.as_str()) {
            return Err(HttpError::new(HttpErrorKind::Unknown, Plain { host }));
        }
        if self.exclusive && completes(&request) {
            // The library has no word for this in an upload in parts. S3 takes the header unsigned.
            request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let most = if request.method() == Method::GET { self.largest } else { ANSWER_LIMIT };
        let (head, body) = self.inner.execute(request).await?.into_parts();
        let body = Limited::new(body, most).map_err(|error| HttpError::new_boxed(HttpErrorKind::Decode, error));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
}

/// Says whether a request makes an object of its parts.
fn completes(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::POST && query.split('&').any(|pair| pair.starts_with("uploadId="))
}

/// Says whether a host is this machine.
fn is_here(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Returns what a store said, or what happened on the way to it; and whether another try may fare better.
fn words(error: &Error) -> (String, bool) {
    let whole = error.to_string();
    // The XML that all three stores answer with.
    let tagged = |tag: &str| {
        let (_, rest) = whole.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(text, _)| text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let status = whole.split_once("status code: ").map(|(_, rest)| rest.split(':').next().unwrap_or_default().trim());
    let mut deepest: &dyn std::error::Error = error;
    let mut on_the_way = false;
    loop {
        if let Some(error) = deepest.downcast_ref::<HttpError>() {
            on_the_way |= !matches!(error.kind(), HttpErrorKind::Decode | HttpErrorKind::Unknown);
        }
        let Some(source) = deepest.source() else { break };
        deepest = source;
    }
    let transient = on_the_way
        || status
            .is_some_and(|status| status.starts_with('5') || status.starts_with("429") || status.starts_with("408"));
    let said = match (tagged("Code"), tagged("Message")) {
        (Some(code), Some(message)) => Some(format!("{code}: {message}")),
        (code, message) => code.or(message),
    };
    let text = match (status, said) {
        (Some(status), Some(said)) => format!("answered {status}: {said}"),
        (Some(status), None) => format!("answered {status}"),
        (None, Some(said)) => said,
        (None, None) => deepest.to_string(),
    };
    (text, transient)
}
