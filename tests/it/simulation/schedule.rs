//! A schedule: what is done to a run from its begin to its end. A run has several lives; each but the last ends in a crash or by a
//! signal, and the next one goes on from what the journal kept.

use std::{
    collections::BTreeMap,
    future::{Future as _, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use dagwood::{
    id::RunId,
    journal::{
        self, Journal, JournalError,
        event::{Limit, Record, RunStatus},
        state::RunState,
    },
    provider::Provider,
    run::{Bounds, Execution, Notice, RunError, Signal, observer::Observer, settle::Rules},
    world::World,
};
use futures_util::future::{BoxFuture, FutureExt as _};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::{
    Control, Setup, Violation, checks,
    dag::{Dag, PRICE},
    random::Random,
    say,
    server::{Nature, Server, Truth, Weather, later, signed},
};

/// No run takes longer than this, whatever happens to it.
const LONGEST: Duration = Duration::from_hours(24 * 60);

/// No life of a run writes more records than this.
const MOST_RECORDS: u64 = 20_000;

/// By how much a clock is put on or back at most, in milliseconds: all jumps of a schedule and the server's own error together stay below the
/// five minutes that a client allows for where nobody tells it the time.
const FARTHEST: u64 = 6_000;

/// How a life ends before the run does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Death {
    /// At the driver's first wait after this many records of the life, or so many turns of the driver later.
    Record { number: u64, turns: u32 },
    /// After this time.
    Time(Duration),
}

/// One life of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    pub(super) death: Option<Death>,
    /// How long nobody runs it before this life.
    pub(super) gap: Duration,
    /// By how much the machine's clock is put on before this life.
    pub(super) jump: SignedDuration,
    /// When the clock is put on while it runs, and by how much.
    pub(super) leap: Option<(Duration, SignedDuration)>,
    /// When somebody interrupts it.
    pub(super) signal: Option<Duration>,
    pub(super) weather: Weather,
}

/// What is done to a run.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) lives: Vec<Life>,
    /// How long an fsync takes at most.
    pub(super) slowest: Duration,
    pub(super) sqlite: bool,
    /// Most jobs in flight at each provider.
    pub(super) jobs: Option<u32>,
    /// Most credits.
    pub(super) budget: Option<f64>,
}

impl Schedule {
    /// Nothing happens.
    pub(super) fn calm() -> Self {
        Self { lives: vec![Life::default()], slowest: Duration::ZERO, sqlite: false, jobs: None, budget: None }
    }

    /// Nothing happens but a crash after so many records.
    pub(super) fn crash_after(number: u64, turns: u32) -> Self {
        let first = Life { death: Some(Death::Record { number, turns }), ..Life::default() };
        Self { lives: vec![first, Life::default()], ..Self::calm() }
    }

    /// Nothing happens but a crash in the midst, after which the run goes on at once.
    pub(super) fn cut_off(random: &mut Random) -> Self {
        let first = Life { death: Some(Death::Time(random.milliseconds(3_000, 12_000))), ..Life::default() };
        let second = Life { gap: random.milliseconds(0, 1_000), ..Life::default() };
        Self { lives: vec![first, second], ..Self::calm() }
    }

    /// Anything may happen.
    pub(super) fn random(random: &mut Random, records: u64) -> Self {
        let lives = random.between(0, 4);
        let wild = *random.pick(&[0, 3, 10, 30]);
        let mut lives: Vec<_> = (0..lives).map(|n| life(random, records, wild, n == 0)).collect();
        let mut last = life(random, records, wild, lives.is_empty());
        (last.death, last.signal) = (None, None);
        lives.push(last);
        Self {
            lives,
            slowest: *random.pick(&[Duration::ZERO, Duration::from_millis(20), Duration::from_secs(3)]),
            sqlite: false,
            jobs: random.percent(15).then(|| u32::try_from(random.between(1, 4)).expect("small")),
            budget: random.percent(15).then(|| PRICE * f64::from(u32::try_from(random.between(0, 12)).expect("small"))),
        }
    }
}

fn life(random: &mut Random, records: u64, wild: u64, first: bool) -> Life {
    let death = match random.below(10) {
        0..6 => {
            let turns = if random.percent(50) { 0 } else { u32::try_from(random.below(4)).expect("small") };
            Some(Death::Record { number: random.between(1, records.max(2)), turns })
        }
        6..9 => Some(Death::Time(random.up_to(&[300, 3_000, 30_000, 300_000]))),
        _ => None,
    };
    let gap = match random.below(10) {
        0..4 => random.milliseconds(0, 2_000),
        4..8 => random.milliseconds(0, 120_000),
        _ => random.milliseconds(0, 3 * 3_600_000),
    };
    Life {
        death,
        gap: if first { Duration::ZERO } else { gap },
        jump: if first || random.percent(70) { SignedDuration::ZERO } else { jump(random) },
        leap: random.percent(15).then(|| (random.up_to(&[300, 3_000, 30_000]), jump(random))),
        signal: random.percent(12).then(|| random.up_to(&[300, 3_000, 30_000])),
        weather: Weather {
            submits: wild,
            looks: wild,
            cancels: wild * 2,
            slow: random.percent(30),
            left: u32::try_from(random.below(30)).expect("small"),
        },
    }
}

/// Draws by how much a clock is put on or back.
fn jump(random: &mut Random) -> SignedDuration {
    let by = signed(random.up_to(&[1_000, FARTHEST]));
    if random.percent(50) { by } else { -by }
}

/// What happened in a run.
pub(super) struct Story {
    /// The journal at the end.
    pub(super) records: Vec<Record>,
    /// The state at the end, as it was lived.
    pub(super) state: RunState,
    pub(super) truths: BTreeMap<String, Truth>,
    /// The time of each record by a clock that nobody puts on.
    pub(super) times: BTreeMap<u64, Timestamp>,
    /// How many records were forgotten in crashes.
    pub(super) forgotten: u64,
    pub(super) crashes: u64,
    pub(super) signals: u64,
    pub(super) jumps: u64,
    /// How far the machine's clock was put on or back in all.
    pub(super) astray: SignedDuration,
}

/// How a life ended.
enum End {
    Crashed,
    Over(Box<RunState>),
}

/// What the observer of a life saw.
struct Sight {
    clock: World,
    loud: bool,
    records: u64,
    times: BTreeMap<u64, Timestamp>,
    death: Option<u64>,
    /// The state after the last record, from the one on after which it is to crash.
    last: Option<RunState>,
}

struct Eyes(Arc<Mutex<Sight>>);

impl Observer for Eyes {
    fn record(&mut self, record: &Record, state: &RunState) {
        let mut sight = self.0.lock().expect("no panic while it is held");
        sight.records += 1;
        assert!(sight.records < MOST_RECORDS, "the run writes records without end: {:?}", record.event);
        let now = sight.clock.now();
        if sight.loud {
            say(now, &serde_json::to_string(record).expect("a record is JSON"));
        }
        sight.times.insert(record.seq, now);
        if sight.death.is_some_and(|death| sight.records >= death) {
            sight.last = Some(state.clone());
        }
    }
}

/// Plays a schedule on a workflow.
pub(super) fn play(
    dag: &Dag,
    natures: &[Nature],
    schedule: &Schedule,
    random: &mut Random,
    setup: Setup,
) -> Result<Story, Violation> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    // The clocks of the stage follow the runtime's timer, so it is set up inside.
    runtime.expect("a runtime").block_on(async { Stage::new(dag, natures, schedule, random, setup).play().await })
}

/// Where a run is played.
struct Stage<'a> {
    dag: &'a Dag,
    schedule: &'a Schedule,
    random: &'a mut Random,
    setup: Setup,
    folder: Option<tempfile::TempDir>,
    clock: World,
    servers: Vec<Arc<Server>>,
    journal: Journal,
    run: RunId,
    /// By how much the machine's clock is ahead.
    offset: SignedDuration,
    astray: SignedDuration,
    times: BTreeMap<u64, Timestamp>,
    forgotten: u64,
    crashes: u64,
    signals: u64,
    jumps: u64,
}

impl<'a> Stage<'a> {
    fn new(dag: &'a Dag, natures: &[Nature], schedule: &'a Schedule, random: &'a mut Random, setup: Setup) -> Self {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().expect("a timestamp");
        let clock = World::scripted(start, random.next(), BTreeMap::new());
        let server = |nature: &Nature| Arc::new(Server::new(nature.clone(), start, random.branch(), setup.loud));
        let servers = natures.iter().map(server).collect();
        let run = clock.run_id();
        let folder = schedule.sqlite.then(|| tempfile::tempdir().expect("a folder"));
        let journal = match &folder {
            Some(folder) => Journal::open(folder.path()).expect("a journal"),
            None => Journal::simulated(journal::Disk {
                world: clock.clone(),
                slowest: schedule.slowest,
                honest: setup.control != Control::NoOrder,
            }),
        };
        Self {
            dag,
            schedule,
            random,
            setup,
            folder,
            clock,
            servers,
            journal,
            run,
            offset: SignedDuration::ZERO,
            astray: SignedDuration::ZERO,
            times: BTreeMap::new(),
            forgotten: 0,
            crashes: 0,
            signals: 0,
            jumps: 0,
        }
    }

    async fn play(mut self) -> Result<Story, Violation> {
        let mut state = None;
        let schedule = self.schedule;
        for life in &schedule.lives {
            self.clock.sleep(life.gap).await;
            self.offset += life.jump;
            self.astray += life.jump.abs();
            self.jumps += u64::from(!life.jump.is_zero());
            state = match self.live(life).await? {
                End::Over(state) => Some(state),
                End::Crashed => None,
            };
            if state.as_ref().is_some_and(|state| state.status == RunStatus::Succeeded) {
                break;
            }
        }
        let state = *state.expect("the last life does not end before the run");
        let truths = self.servers.iter().map(|server| (server.alias().to_owned(), server.truth())).collect();
        Ok(Story {
            records: self.journal.records(self.run).expect("the journal reads"),
            state,
            truths,
            times: self.times,
            forgotten: self.forgotten,
            crashes: self.crashes,
            signals: self.signals,
            jumps: self.jumps,
            astray: self.astray,
        })
    }

    #[expect(clippy::too_many_lines, reason = "one life, from its begin to its end")]
    async fn live(&mut self, life: &Life) -> Result<End, Violation> {
        for server in &self.servers {
            server.begin(life.weather);
        }
        let world = World::scripted(later(self.clock.now(), self.offset), self.random.next(), BTreeMap::new());
        let (death, mut turns, mut deadline) = match life.death {
            Some(Death::Record { number, turns }) => (Some(number), turns, LONGEST),
            Some(Death::Time(time)) => (None, 0, time),
            None => (None, 0, LONGEST),
        };
        deadline = deadline.min(LONGEST);
        let sight = Arc::new(Mutex::new(Sight {
            clock: self.clock.clone(),
            loud: self.setup.loud,
            records: 0,
            times: BTreeMap::new(),
            death,
            last: None,
        }));
        let (sender, receiver) = mpsc::channel(1);
        let execution = self.execution(world.clone());
        let records = self.journal.records(self.run).unwrap_or_default();
        let observers: Vec<Box<dyn Observer>> = vec![Box::new(Eyes(Arc::clone(&sight)))];
        let end = {
            let mut run = pin!(async {
                if records.is_empty() {
                    execution.run(receiver, observers).await
                } else {
                    execution.resume(&records, None, &[], receiver, observers).await
                }
            });
            let mut dies = pin!(self.clock.sleep(deadline));
            let mut leap = pin!(async {
                if let Some((after, by)) = life.leap {
                    self.clock.sleep(after).await;
                    world.put_on(by);
                }
                std::future::pending::<()>().await;
            });
            let mut disk = Disk::new(self.folder.is_some().then_some(&self.journal));
            let mut signal = pin!(async {
                if let Some(after) = life.signal {
                    self.clock.sleep(after).await;
                    // A run that is over hears nothing.
                    let _ = sender.send(Notice::Signal(Signal::Interrupt)).await;
                }
                std::future::pending::<()>().await;
            });
            poll_fn(|context| {
                let _ = signal.as_mut().poll(context);
                let _ = leap.as_mut().poll(context);
                if dies.as_mut().poll(context).is_ready() {
                    return Poll::Ready(None);
                }
                if let Poll::Ready(result) = run.as_mut().poll(context) {
                    return Poll::Ready(Some(result));
                }
                let (records, doomed) = {
                    let sight = sight.lock().expect("no panic while it is held");
                    (sight.records, sight.last.is_some())
                };
                disk.poll(records, context);
                if doomed && turns == 0 {
                    return Poll::Ready(None);
                }
                turns -= u32::from(doomed);
                Poll::Pending
            })
            .await
        };
        let (times, last) = {
            let mut sight = sight.lock().expect("no panic while it is held");
            (std::mem::take(&mut sight.times), sight.last.take())
        };
        self.times.extend(times);
        let (jumped, by) = life.leap.map_or((0, SignedDuration::ZERO), |(_, by)| (1, by));
        self.jumps += jumped;
        self.offset += by;
        self.astray += by.abs();
        self.signals += u64::from(life.signal.is_some());
        match end {
            Some(Ok(state)) => {
                let records = self.journal.records(self.run).expect("the journal reads");
                checks::folds(&records, &state)?;
                Ok(End::Over(Box::new(state)))
            }
            Some(Err(error)) => Err(Violation::new("the run ends", describe(&error))),
            None if life.death.is_none() => Err(Violation::new("the run ends", "it hangs".to_owned())),
            None => {
                self.crashes += 1;
                if self.folder.is_some() {
                    // What was handed over is compared, so it is waited for.
                    self.journal.durable().await.expect("the journal works");
                }
                if let Some(last) = last {
                    let records = self.journal.records(self.run).expect("the journal reads");
                    checks::folds(&records, &last)?;
                }
                self.crash();
                Ok(End::Crashed)
            }
        }
    }

    /// The process is gone, and some of what was not yet on disk with it.
    fn crash(&mut self) {
        let before = self.journal.records(self.run).map_or(0, |records| records.len());
        match &self.folder {
            // Its thread has written all that it was handed, so that it does not write beside its successor.
            Some(folder) => self.journal = Journal::open(folder.path()).expect("a journal"),
            None => self.journal.crash(self.random.next()),
        }
        let after = self.journal.records(self.run).map_or(0, |records| records.len());
        self.forgotten += before.saturating_sub(after) as u64;
    }

    fn execution(&self, world: World) -> Execution {
        let server = |server: &Arc<Server>| (server.alias().to_owned(), Arc::clone(server) as Arc<dyn Provider>);
        let bounds = |server: &Arc<Server>| {
            (server.alias().to_owned(), Bounds { jobs: self.schedule.jobs, ..Bounds::default() })
        };
        let control = self.setup.control;
        Execution {
            providers: self.servers.iter().map(server).collect(),
            bounds: self.servers.iter().map(bounds).collect(),
            budget: Limit { credits: self.schedule.budget, tokens: None },
            rules: Rules { fence: control != Control::NoFence, by_count: control != Control::NoCount },
            ..Execution::new(
                Arc::clone(&self.dag.plan),
                self.run,
                self.journal.clone(),
                std::path::PathBuf::from("nothing-is-saved"),
                world,
            )
        }
    }
}

/// Keeps virtual time from passing while a real disk is at work: a paused clock goes on by itself as soon as nothing is left to do, and
/// the writer's thread is nothing that the runtime knows of.
struct Disk<'a> {
    journal: Option<&'a Journal>,
    seen: u64,
    /// Barriers still to be waited for: what was sent before the last of them is on disk.
    rounds: u32,
    barrier: Option<BoxFuture<'a, Result<(), JournalError>>>,
}

impl<'a> Disk<'a> {
    fn new(journal: Option<&'a Journal>) -> Self {
        Self { journal, seen: 0, rounds: 0, barrier: None }
    }

    fn poll(&mut self, records: u64, context: &mut Context<'_>) {
        let Some(journal) = self.journal else { return };
        if records != self.seen {
            // The tasks that the record made ask for their own barriers in the next turn.
            (self.seen, self.rounds) = (records, 3);
        }
        if self.rounds == 0 {
            return;
        }
        let barrier = self.barrier.get_or_insert_with(|| journal.durable().boxed());
        if barrier.as_mut().poll(context).is_ready() {
            self.barrier = None;
            self.rounds -= 1;
        }
        context.waker().wake_by_ref();
    }
}

fn describe(error: &RunError) -> String {
    use std::error::Error as _;
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}
