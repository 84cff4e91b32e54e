//! Object stores: S3, Google Cloud Storage and Azure Blob Storage, by the `object_store` library.
//!
//! The library signs and speaks the stores' dialects; everything else is ours: its requests leave through our own HTTP client (rustls
//! with ring, our roots, our proxies, no redirects), and its settings come from the listed variables of the environment that [`World`]
//! hands in. What must stay true:
//!
//! - Signed requests go to the store's endpoint and to no other host; in the clear only on this machine, or where the environment says
//!   `…_ALLOW_HTTP`.
//! - An object is what its name says: the bytes are hashed again as they leave, and a file that changed meanwhile is not put.
//! - Answers are bounded, and no message shows a key or a signature.
//!
//! A lost part is sent again by the library, a few times within a minute: it cannot do harm twice, and starting five gigabytes anew
//! would. Whatever is longer is for the caller to try again.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Limited};
use object_store::{
    Attribute, Attributes, BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt as _, PutMultipartOptions,
    PutOptions, RetryConfig,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
    },
    path::Path,
    signer::Signer,
};
use reqwest::{Method, redirect};

use super::{Kind, Place, Staged, Staging, StagingProblem, URL_LIFE};
use crate::{
    artifact::{ArtifactError, extension, local::Pieces, shown},
    id::Digest,
    provider::{
        LocalFile,
        http::{CONNECT_TIMEOUT, Peers, bounded, build, builder, cause, one_line},
    },
    secret::{Redactor, Secret},
    world::World,
};

/// How much goes in one request. At ten thousand parts, S3's most, this holds far more than the largest file.
const PART: u64 = 8 * 1024 * 1024;

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

/// An object store with a prefix.
pub(super) struct Store {
    place: String,
    prefix: Path,
    objects: Arc<dyn ObjectStore>,
    signer: Arc<dyn Signer>,
    /// For fetching as an API would: without credentials.
    stranger: reqwest::Client,
    redactor: Redactor,
    world: World,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store of a place.
    pub(super) fn open(place: Place, world: &World) -> Result<Self, StagingProblem> {
        let setup = |why: String| StagingProblem::Setup { place: place.shown.clone(), why };
        let client = || {
            let client = builder(world, Peers::Public).map_err(|problem| setup(problem.to_string()))?;
            let client = client.connect_timeout(CONNECT_TIMEOUT).timeout(REQUEST_TIMEOUT);
            build(client.redirect(redirect::Policy::none())).map_err(|problem| setup(problem.to_string()))
        };
        let parts: Result<Parts, StagingProblem> = match place.kind {
            #[cfg(feature = "s3")]
            Kind::S3 => s3(&place, world, client()?),
            #[cfg(feature = "gcs")]
            Kind::Gcs => gcs(&place, world, client()?),
            #[cfg(feature = "azure")]
            Kind::Azure => azure(&place, world, client()?),
            #[cfg(not(all(feature = "s3", feature = "gcs", feature = "azure")))]
            kind => unreachable!("{kind:?} is not built in, which was asked before"),
        };
        let Parts { objects, signer, secrets } = parts?;
        Ok(Self {
            prefix: place.prefix.iter().map(String::as_str).collect(),
            stranger: client()?,
            redactor: Redactor::new(secrets),
            place: place.shown,
            objects,
            signer,
            world: world.clone(),
        })
    }

    async fn put_file(&self, file: &LocalFile, digest: &Digest) -> Result<Staged, ArtifactError> {
        let ext = extension(&file.content_type, &file.name);
        let name = self.prefix.clone().join(format!("{digest}.{ext}"));
        let is_there = match self.objects.head(&name).await {
            Ok(found) => found.size == file.bytes,
            // Where a key may put and not list, the absence of an object looks like this too.
            Err(Error::NotFound { .. } | Error::PermissionDenied { .. }) => false,
            Err(error) => return Err(self.failed("look for a file", &error)),
        };
        if !is_there {
            self.upload(&name, file, digest).await?;
        }
        // Taken before the signing, so that it is never too late.
        let expires = self.world.now() + URL_LIFE;
        Ok(Staged { url: self.sign(Method::GET, &name, "sign a URL").await?, expires })
    }

    /// Puts all bytes of a file, or none.
    async fn upload(&self, name: &Path, file: &LocalFile, digest: &Digest) -> Result<(), ArtifactError> {
        let what = "put a file";
        let attributes = Attributes::from_iter([(Attribute::ContentType, file.content_type.clone())]);
        let mut pieces = Pieces::open(file).await?;
        if file.bytes <= PART {
            let mut bytes = Vec::new();
            while let Some(piece) = pieces.next(PART).await? {
                bytes.extend(piece);
            }
            if pieces.digest() != *digest {
                return Err(pieces.changed().into());
            }
            let put = self.objects.put_opts(name, bytes.into(), PutOptions { attributes, ..PutOptions::default() });
            return put.await.map(|_| ()).map_err(|error| self.failed(what, &error));
        }
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let mut upload =
            self.objects.put_multipart_opts(name, options).await.map_err(|error| self.failed(what, &error))?;
        let sent = async {
            while let Some(piece) = pieces.next(PART).await? {
                upload.put_part(piece.into()).await.map_err(|error| self.failed(what, &error))?;
            }
            if pieces.digest() != *digest {
                return Err(pieces.changed().into());
            }
            upload.complete().await.map(|_| ()).map_err(|error| self.failed(what, &error))
        };
        let sent = sent.await;
        if sent.is_err() {
            // Parts without a whole cost storage; where this fails too, the store's own rules clear them away.
            let _ = upload.abort().await;
        }
        sent
    }

    async fn sign(&self, method: Method, name: &Path, what: &str) -> Result<Secret, ArtifactError> {
        let signed = self.signer.signed_url(method, name, URL_LIFE).await;
        signed.map(|url| Secret::new(url.as_str())).map_err(|error| self.failed(what, &error))
    }

    async fn try_out(&self) -> Result<(), ArtifactError> {
        let name = self.prefix.clone().join(format!(".dagwood-check-{:016x}", self.world.random()));
        let bytes = Bytes::from_static(b"dagwood was here\n");
        let put = self.objects.put(&name, bytes.clone().into()).await;
        put.map_err(|error| self.failed("write an object", &error))?;
        let what = "fetch an object by its signed URL";
        let fetched = self.visit(Method::GET, &name, what, bytes.len()).await;
        // The library deletes in bulk, which not every store that speaks S3 understands.
        let deleted = self.visit(Method::DELETE, &name, "delete an object", 0).await;
        if fetched? != bytes {
            return Err(self.error(what, "it holds something else than was written", false));
        }
        deleted.map(|_| ())
    }

    /// Does something with an object by its signed URL, as a stranger, and returns what it holds, which is one byte too many at most.
    async fn visit(&self, method: Method, name: &Path, what: &str, most: usize) -> Result<Vec<u8>, ArtifactError> {
        let url = self.sign(method.clone(), name, what).await?;
        let broken = |error: reqwest::Error| self.error(what, &cause(&error.without_url()), true);
        let mut response = self.stranger.request(method, url.expose()).send().await.map_err(broken)?;
        let status = response.status();
        if !status.is_success() {
            let why = format!("{} answered {status}", shown(response.url()));
            return Err(self.error(what, &why, status.is_server_error()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                body.truncate(most + 1);
                break;
            }
        }
        Ok(body)
    }

    fn failed(&self, what: &str, error: &Error) -> ArtifactError {
        let (why, transient) = words(error);
        self.error(what, &why, transient)
    }

    fn error(&self, what: &str, why: &str, transient: bool) -> ArtifactError {
        let why = bounded(self.redactor.text(one_line(why)));
        ArtifactError::Staging { place: self.place.clone(), what: what.to_owned(), why, transient }
    }
}

impl Staging for Store {
    fn place(&self) -> &str {
        &self.place
    }

    fn put<'a>(&'a self, file: &'a LocalFile, digest: &'a Digest) -> BoxFuture<'a, Result<Staged, ArtifactError>> {
        Box::pin(self.put_file(file, digest))
    }

    fn check(&self) -> BoxFuture<'_, Result<(), ArtifactError>> {
        Box::pin(self.try_out())
    }
}

/// What a store is made of.
struct Parts {
    objects: Arc<dyn ObjectStore>,
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
    ) -> Result<Self, StagingProblem> {
        let value = |&(variable, key): &Setting| Some((key, world.env(variable)?.to_owned()));
        let key = keys.iter().find_map(|way| way.iter().map(value).collect::<Option<Vec<_>>>());
        let key = key.ok_or_else(|| StagingProblem::Credentials { place: place.shown.clone(), wanted })?;
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
fn refused(place: &Place, secrets: &[Secret]) -> impl Fn(Error) -> StagingProblem + use<> {
    let (place, redactor) = (place.shown.clone(), Redactor::new(secrets.iter().cloned()));
    move |error| StagingProblem::Setup { place: place.clone(), why: bounded(redactor.text(one_line(&words(&error).0))) }
}

#[cfg(feature = "s3")]
fn s3(place: &Place, world: &World, client: reqwest::Client) -> Result<Parts, StagingProblem> {
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
        .with_http_connector(Door { client, allow_http: allows_http(world, "AWS_ALLOW_HTTP") });
    let builder = settings.apply(builder, object_store::aws::AmazonS3Builder::with_config).map_err(&fail)?;
    let store = Arc::new(builder.build().map_err(&fail)?);
    Ok(Parts { objects: store.clone(), signer: store, secrets: settings.secrets })
}

#[cfg(feature = "gcs")]
fn gcs(place: &Place, world: &World, client: reqwest::Client) -> Result<Parts, StagingProblem> {
    // The library would look for gcloud's own file by the process's environment, so that it is named here.
    let wanted = "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT to the path of a service account's key file, or \
                  GOOGLE_SERVICE_ACCOUNT_KEY to its contents";
    let settings = Settings::read(place, world, GCS, GCS_KEYS, wanted)?;
    let fail = refused(place, &settings.secrets);
    let builder = object_store::gcp::GoogleCloudStorageBuilder::new()
        .with_bucket_name(&place.bucket)
        .with_retry(retry())
        .with_http_connector(Door { client, allow_http: allows_http(world, "GOOGLE_ALLOW_HTTP") });
    let builder = settings.apply(builder, object_store::gcp::GoogleCloudStorageBuilder::with_config).map_err(&fail)?;
    let store = Arc::new(builder.build().map_err(&fail)?);
    Ok(Parts { objects: store.clone(), signer: store, secrets: settings.secrets })
}

#[cfg(feature = "azure")]
fn azure(place: &Place, world: &World, client: reqwest::Client) -> Result<Parts, StagingProblem> {
    let wanted = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or with the account AZURE_CLIENT_ID, AZURE_TENANT_ID and \
                  AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE; with a SAS token no URL can be signed";
    let settings = Settings::read(place, world, AZURE, AZURE_KEYS, wanted)?;
    let account = world.env("AZURE_STORAGE_ACCOUNT_NAME").or_else(|| world.env("AZURE_STORAGE_ACCOUNT"));
    let account = account.ok_or_else(|| StagingProblem::Credentials { place: place.shown.clone(), wanted })?;
    let fail = refused(place, &settings.secrets);
    let builder = object_store::azure::MicrosoftAzureBuilder::new()
        .with_container_name(&place.bucket)
        .with_account(account)
        .with_retry(retry())
        .with_http_connector(Door { client, allow_http: allows_http(world, "AZURE_ALLOW_HTTP") });
    let builder = settings.apply(builder, object_store::azure::MicrosoftAzureBuilder::with_config).map_err(&fail)?;
    let store = Arc::new(builder.build().map_err(&fail)?);
    Ok(Parts { objects: store.clone(), signer: store, secrets: settings.secrets })
}

/// Gives the library our client, whatever options it would build one from.
#[derive(Debug)]
struct Door {
    client: reqwest::Client,
    allow_http: bool,
}

impl HttpConnector for Door {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Line { inner: HttpClient::new(self.client.clone()), allow_http: self.allow_http }))
    }
}

/// Our client, with what it refuses and bounds.
#[derive(Debug)]
struct Line {
    inner: HttpClient,
    allow_http: bool,
}

/// A refusal to send.
#[derive(Debug, thiserror::Error)]
#[error("`{host}` is reached by plain http, where anybody on the way could read the file; use https")]
struct Plain {
    host: String,
}

#[async_trait]
impl HttpService for Line {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let uri = request.uri();
        let host = uri.host().unwrap_or_default().to_owned();
        let is_secret = uri.scheme_str() == Some("https");
        if !is_secret && !self.allow_http && !is_here(&host) && !METADATA_HOSTS.contains(&host.as_str()) {
            return Err(HttpError::new(HttpErrorKind::Unknown, Plain { host }));
        }
        let (head, body) = self.inner.execute(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_LIMIT).map_err(|error| HttpError::new_boxed(HttpErrorKind::Decode, error));
        Ok(HttpResponse::from_parts(head, HttpResponseBody::new(body)))
    }
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
