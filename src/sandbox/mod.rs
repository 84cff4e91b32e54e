//! The emulator of the three APIs: a server on this machine that takes runs, charges credits, and gives small real files.
//!
//! `dagwood run --sandbox`, `dagwood sandbox` and the tests use it, so it is strict where the APIs' documents are clear: whoever
//! passes here has sent what the documents ask for.
//!
//! ```text
//! server ─▶ faults ─▶ api ─▶ skin (armox, airmy, aimp) ─▶ jobs, catalog, rate, check ─▶ media
//! waits     script    path    routes, JSON                 pure; time is passed in       files
//! ```
//!
//! What must stay true: one job state machine under all skins; everything but `server` is pure, so the same requests at the same times
//! give the same answers; every answer that no fault has touched is one that `schemas/apis` allows. Webhooks are taken and not sent.

mod aimp;
mod airmy;
mod api;
mod armox;
pub mod catalog;
pub mod check;
mod emulator;
pub mod faults;
mod headers;
pub mod jobs;
pub mod media;
pub mod rate;
mod server;
mod storage;

use std::{io, net::SocketAddr, sync::Arc, sync::mpsc, thread, time::Duration};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::{sync::oneshot, task::JoinSet};

use self::{emulator::Emulator, rate::Refill, server::Shared};
use crate::{
    contract::Contract,
    job::{JobState, Target},
    secret::Secret,
    world::World,
};

pub use self::{api::Api, faults::FaultScript, storage::StorageFull};

/// The key that Armox takes here, unless the emulator is told another.
pub const KEY: &str = "sk_live_sandbox";

/// The key that AIRMY takes here, unless the emulator is told another.
pub const AIRMY_KEY: &str = "sk-airmy-sandbox";

/// The demo key of AIRMY's documents, which works here as it does there: not for agents with private connectors (403).
pub const AIRMY_DEMO_KEY: &str = "sk-airmy-demo-2026";

/// The key that AIMP takes here, unless the emulator is told another.
pub const AIMP_KEY: &str = "aimp_key_sandbox";

/// A key of Armox of a plan without access to the API: 403.
pub const FREE_KEY: &str = "sk_live_free";

/// A key of AIMP that may read and not run: 403.
pub const AIMP_READER_KEY: &str = "aimp_key_reader";

/// How an emulator behaves.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 is a free one.
    pub address: SocketAddr,
    /// What goes wrong.
    pub faults: FaultScript,
    /// The credits of the Armox account.
    pub credits: f64,
    /// The money in the wallet of the AIMP workspace.
    pub wallet: f64,
    /// The requests that a key of Armox may make in any 60 seconds.
    pub requests_per_minute: u32,
    /// The rate of a key of AIRMY.
    pub airmy_rate: Refill,
    /// The requests that a key of AIMP may make in any 60 seconds.
    pub aimp_requests_per_minute: u32,
    /// How long jobs take.
    pub speed: Speed,
    /// The user's own contracts: models and apps of Armox, agents and pipelines of AIRMY.
    pub extra: Vec<Contract>,
    /// The user's own contracts of AIMP's models.
    pub extra_aimp: Vec<Contract>,
    /// The keys that it takes.
    pub keys: Keys,
    /// What the job ids follow.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            faults: FaultScript::default(),
            credits: 10_000.0,
            wallet: 100.0,
            requests_per_minute: 600,
            airmy_rate: Refill::default(),
            aimp_requests_per_minute: 100,
            speed: Speed::Factor(1.0),
            extra: Vec::new(),
            extra_aimp: Vec::new(),
            keys: Keys::default(),
            seed: 0,
        }
    }
}

/// The keys that an emulator takes, one for each API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// The key of Armox.
    pub armox: Secret,
    /// The key of AIRMY.
    pub airmy: Secret,
    /// The key of AIMP.
    pub aimp: Secret,
}

impl Keys {
    /// Returns the key of an API.
    #[must_use]
    pub fn of(&self, api: Api) -> &Secret {
        match api {
            Api::Armox => &self.armox,
            Api::Airmy => &self.airmy,
            Api::Aimp => &self.aimp,
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        let key = |api: Api| Secret::new(api.key());
        Self { armox: key(Api::Armox), airmy: key(Api::Airmy), aimp: key(Api::Aimp) }
    }
}

/// How long jobs take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As long as the catalogue says (0.3 s to 2 s), times this.
    Factor(f64),
    /// All the same.
    Fixed(Duration),
}

/// A request that an emulator got, and what it answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoggedRequest {
    /// The API that it was made to; none for files.
    pub api: Option<Api>,
    /// The method.
    pub method: String,
    /// The path, `/api/v1/…`, `/v2/…`, `/api/…` or `/files/…`.
    pub path: String,
    /// What stood behind the `?`.
    pub query: Option<String>,
    /// The body, where it was JSON.
    pub body: Option<Value>,
    /// The size of the body.
    pub bytes: usize,
    /// What `Content-Type` said.
    pub content_type: Option<String>,
    /// What `Idempotency-Key` said.
    pub idempotency_key: Option<String>,
    /// The headers with credentials that it had, by name: `authorization`, `x-api-key`, `cookie`. Never what they said.
    pub credentials: Vec<String>,
    /// When it came.
    pub at: Timestamp,
    /// The status of the answer; none where there was no answer, or not yet.
    pub status: Option<u16>,
    /// The job that it created.
    pub job: Option<String>,
    /// What the fault script did to it.
    pub faults: Vec<String>,
}

/// A job as tests and people look at it from outside.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JobView {
    /// Its id.
    pub id: String,
    /// The API that it was submitted to.
    pub api: Api,
    /// What it runs.
    pub target: Target,
    /// With which inputs.
    pub inputs: Map<String, Value>,
    /// What else the request said: mode, scope, parameters.
    pub beside: Map<String, Value>,
    /// Where it stands.
    pub state: JobState,
    /// What it cost.
    pub credits: f64,
    /// Whether that was given back.
    pub refunded: bool,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// Says why an emulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address cannot be listened at.
    #[error("failed to listen at {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// There is no thread for it.
    #[error("failed to start the sandbox's thread")]
    Thread(#[source] io::Error),
}

/// A running emulator; dropping it stops it.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Held for its drop.
    _running: Running,
}

#[derive(Debug)]
enum Running {
    /// A task of the caller's runtime.
    Task { _tasks: JoinSet<()> },
    /// A thread with a runtime of its own.
    Thread { stop: Option<oneshot::Sender<()>>, thread: Option<thread::JoinHandle<()>> },
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Thread { stop, thread } = self {
            drop(stop.take());
            // A panic over there has been printed already; here, somebody only wants it gone.
            let _ = thread.take().map(thread::JoinHandle::join);
        }
    }
}

impl Sandbox {
    /// Starts an emulator in the caller's runtime, whose timer it follows.
    ///
    /// # Errors
    /// When the address cannot be listened at.
    #[expect(clippy::unused_async, reason = "it needs a runtime around it, and says so")]
    pub async fn start(settings: Settings, world: World) -> Result<Self, SandboxError> {
        let (listener, address) = server::bind(settings.address)?;
        let shared = share(settings, world, address);
        let mut tasks = JoinSet::new();
        tasks.spawn(server::serve(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _running: Running::Task { _tasks: tasks } })
    }

    /// Starts an emulator on a thread of its own, with a runtime of its own.
    ///
    /// # Errors
    /// When the address cannot be listened at, or there is no thread.
    pub fn start_on_thread(settings: Settings, world: World) -> Result<Self, SandboxError> {
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        let body = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(SandboxError::Thread(error)))),
            };
            runtime.block_on(async move {
                let (listener, address) = match server::bind(settings.address) {
                    Ok(bound) => bound,
                    Err(error) => return drop(tell.send(Err(error))),
                };
                let shared = share(settings, world, address);
                if tell.send(Ok((address, Arc::clone(&shared)))).is_ok() {
                    tokio::select! {
                        () = server::serve(listener, shared) => {}
                        _ = stopped => {}
                    }
                }
            });
        };
        let thread = thread::Builder::new().name("sandbox".to_owned()).spawn(body).map_err(SandboxError::Thread)?;
        let running = Running::Thread { stop: Some(stop), thread: Some(thread) };
        let (address, shared) =
            told.recv().unwrap_or_else(|_| Err(SandboxError::Thread(io::Error::other("the thread ended"))))?;
        Ok(Self { address, shared, _running: running })
    }

    /// Returns where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL of Armox, `http://127.0.0.1:PORT/api/v1`.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.base_url_of(Api::Armox)
    }

    /// Returns the base URL of an API: its path on the one origin that all of them share.
    #[must_use]
    pub fn base_url_of(&self, api: Api) -> String {
        format!("{}{}", self.shared.emulator().origin, api.base())
    }

    /// Returns the requests that it got, the oldest first; of very many, the newest.
    #[must_use]
    pub fn log(&self) -> Vec<LoggedRequest> {
        self.shared.emulator().log().cloned().collect()
    }

    /// Returns every job that it ever accepted, the oldest first, also those that have vanished from its API.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        let now = self.shared.now();
        let mut emulator = self.shared.emulator();
        emulator.jobs.settle(now);
        let view = |job: &jobs::Job| JobView {
            id: job.id.clone(),
            api: job.api,
            target: job.target().clone(),
            inputs: job.inputs.clone(),
            beside: job.beside.clone(),
            state: job.state.clone(),
            credits: job.credits,
            refunded: job.refunded,
            created_at: job.created_at,
            ended_at: job.ended_at,
        };
        emulator.jobs.all().iter().map(view).collect()
    }

    /// Keeps a file, and returns its URL, `http://127.0.0.1:PORT/files/staged/…`, where everybody may fetch it: the same file under the same
    /// name has the same URL.
    ///
    /// # Errors
    /// When the emulator holds as much as it may.
    pub fn stage(&self, name: &str, content_type: &str, bytes: Vec<u8>) -> Result<String, StorageFull> {
        let mut emulator = self.shared.emulator();
        let path = emulator.aimp.storage.stage(name, content_type, bytes)?;
        Ok(format!("{}{path}", emulator.origin))
    }

    /// Returns the money that is left in the wallet of the AIMP workspace.
    #[must_use]
    pub fn wallet(&self) -> f64 {
        let now = self.shared.now();
        let mut emulator = self.shared.emulator();
        emulator.jobs.settle(now);
        emulator.jobs.purse(Api::Aimp).left
    }

    /// Returns the credits that are left in the Armox account.
    #[must_use]
    pub fn credits(&self) -> f64 {
        let now = self.shared.now();
        let mut emulator = self.shared.emulator();
        emulator.jobs.settle(now);
        emulator.jobs.purse(Api::Armox).left
    }
}

fn share(settings: Settings, world: World, address: SocketAddr) -> Arc<Shared> {
    Arc::new(Shared::new(world, Emulator::new(settings, format!("http://{address}"))))
}
