//! The table of behaviours: what goes wrong, and what comes of it for each way to submit.
//!
//! A cell says how the step ends, how many jobs the system accepted, how many submits it got, whether the job was called off, and whether
//! people were told. `docs/systems.md` shows the same table.

use std::{future::Future, pin::Pin, time::Duration};

use dagwood::{
    journal::event::RunStatus,
    result::ErrorKind,
    sandbox::{
        faults::{Deed, Door, Rule, Variant, When},
        jobs::Fate,
    },
};
use futures_util::future::join_all;
use serde_json::Value;

use super::bench::{Moment, Outcome, System, Task, Way, Wishes, hurried};

/// More than an adapter reads of an answer.
const HUGE: u64 = 33 << 20;

/// How a step ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Succeeded,
    Failed(ErrorKind),
    Cancelled,
}

/// What comes of a behaviour for one way to submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) end: End,
    /// The jobs that were accepted.
    pub(super) jobs: usize,
    /// The submits that were sent, as far as anybody got them.
    pub(super) submits: usize,
    /// Whether the job is called off; none where it ends by itself, or where there is none.
    pub(super) called_off: Option<bool>,
    /// Words of a warning; none where there is no warning.
    pub(super) warning: Option<&'static str>,
}

impl Cell {
    const fn new(end: End, jobs: usize, submits: usize) -> Self {
        Self { end, jobs, submits, called_off: None, warning: None }
    }

    const fn done(submits: usize) -> Self {
        Self::new(End::Succeeded, 1, submits)
    }

    const fn refused(kind: ErrorKind) -> Self {
        Self::new(End::Failed(kind), 0, 1)
    }

    const fn unknown(jobs: usize, submits: usize) -> Self {
        Self::new(End::Failed(ErrorKind::SubmitUnknown), jobs, submits)
    }

    const fn failed(kind: ErrorKind) -> Self {
        Self::new(End::Failed(kind), 1, 1)
    }

    const fn warns(self, words: &'static str) -> Self {
        Self { warning: Some(words), ..self }
    }

    const fn called_off(self, called_off: bool) -> Self {
        Self { called_off: Some(called_off), ..self }
    }

    /// Returns it as the document shows it.
    pub(super) fn shown(&self) -> String {
        let end = match self.end {
            End::Succeeded => "succeeds".to_owned(),
            End::Failed(kind) => format!("`{}`", serde_json::to_value(kind).expect("a word").as_str().expect("a word")),
            End::Cancelled => "cancelled".to_owned(),
        };
        let count = |number: usize, what: &str| match number {
            0 => format!("no {what}"),
            1 => format!("1 {what}"),
            number => format!("{number} {what}s"),
        };
        let called_off = match self.called_off {
            Some(true) => "; the job is called off",
            Some(false) => "; the job goes on",
            None => "",
        };
        let warning = if self.warning.is_some() { "; a warning" } else { "" };
        format!("{end}: {}, {}{called_off}{warning}", count(self.jobs, "job"), count(self.submits, "submit"))
    }

    /// Returns what an outcome is, seen as this cell sees it.
    fn of(&self, outcome: &Outcome) -> Self {
        let end = match (&outcome.error, outcome.status) {
            (Some(error), _) => End::Failed(error.kind),
            (None, RunStatus::Cancelled) => End::Cancelled,
            (None, _) => End::Succeeded,
        };
        let told = |words: &&str| outcome.warnings.iter().any(|warning| warning.contains(words));
        let warning = match self.warning {
            Some(words) => Some(words).filter(told),
            None => (!outcome.warnings.is_empty()).then_some("one"),
        };
        Self {
            end,
            jobs: outcome.jobs.len(),
            submits: outcome.submits(),
            called_off: self.called_off.map(|_| outcome.is_called_off()),
            warning,
        }
    }
}

/// A behaviour.
pub(super) struct Row {
    /// What happens, in the document's words.
    pub(super) name: String,
    rules: Vec<Rule>,
    /// The job goes on after its submit was answered.
    goes_on: bool,
    timeout: &'static str,
    stop: Option<Moment>,
    gone: bool,
    /// What comes out is not what comes out otherwise.
    other_output: bool,
    pub(super) cells: [Cell; 4],
}

impl Row {
    fn new(name: impl Into<String>, rules: Vec<Rule>, cells: [Cell; 4]) -> Self {
        let name = name.into();
        Self { name, rules, goes_on: false, timeout: "2m", stop: None, gone: false, other_output: false, cells }
    }

    fn goes_on(self) -> Self {
        Self { goes_on: true, ..self }
    }

    fn timeout(self, timeout: &'static str) -> Self {
        Self { timeout, ..self }
    }

    fn stop(self, moment: Moment) -> Self {
        Self { stop: Some(moment), ..self }
    }

    async fn run(&self, way: Way) -> Outcome {
        let mut rules = self.rules.clone();
        if self.goes_on {
            rules.push(Rule::new(Door::Submit, Deed::Variant(Variant::Asynchronous)));
        }
        let mut system = System::start(way.api(), rules, Vec::new(), Wishes::default()).await;
        let task = Task { timeout: self.timeout, stop: self.stop, gone: self.gone, ..Task::of(way) };
        system.run(&task).await.unwrap_or_else(|told| panic!("{} at {}: {told}", self.name, way.name()))
    }
}

fn on(door: Door, deed: Deed) -> Vec<Rule> {
    vec![Rule::new(door, deed)]
}

/// The deed, to the first submit alone.
fn once(deed: Deed) -> Vec<Rule> {
    vec![Rule::new(Door::Submit, deed).times(1)]
}

fn status(status: u16, when: When) -> Deed {
    Deed::Status { status, when, message: "so it is".to_owned(), retry_after: None }
}

fn fate(change: impl FnOnce(&mut Fate)) -> Vec<Rule> {
    let mut fate = Fate::default();
    change(&mut fate);
    on(Door::Submit, Deed::Fate(Box::new(fate)))
}

/// Returns the table.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn rows() -> Vec<Row> {
    use Cell as C;
    use ErrorKind as E;
    let all = |cell: Cell| [cell; 4];
    // The answer is lost, and there is a job; there is none.
    let lost = [C::done(1), C::done(2), C::unknown(1, 1), C::unknown(1, 1)];
    let nothing = [C::done(2), C::done(2), C::unknown(0, 1), C::unknown(0, 1)];
    let stays = "AIMP has no way to call off the run";
    let called_off = |cell: Cell| {
        [cell.called_off(true), cell.called_off(true), cell.called_off(true), cell.called_off(false).warns(stays)]
    };

    let mut rows = vec![
        Row::new("The submit is answered well", Vec::new(), all(C::done(1))),
        Row::new("The submit is answered with a job that goes on", Vec::new(), all(C::done(1))).goes_on(),
    ];
    for (code, kind) in [
        (400, E::Rejected),
        (401, E::Unauthorized),
        (402, E::Credits),
        (403, E::Forbidden),
        (404, E::Rejected),
        (409, E::Rejected),
        (422, E::Rejected),
    ] {
        let rules = on(Door::Submit, status(code, When::Before));
        rows.push(Row::new(format!("{code} to the submit"), rules, all(C::refused(kind))));
    }
    let burst = Deed::Burst { requests: 2, retry_after: Duration::from_secs(2) };
    rows.push(Row::new("429 to the first two submits, with `Retry-After`", on(Door::Submit, burst), all(C::done(3))));
    rows.push(Row::new("429 to the first submit, without it", once(status(429, When::Before)), all(C::done(2))));
    for code in [500, 502, 503] {
        rows.push(Row::new(
            format!("{code} to the first submit, nothing happened"),
            once(status(code, When::Before)),
            nothing,
        ));
        rows.push(Row::new(
            format!("{code} to the first submit, it was accepted"),
            once(status(code, When::After)),
            lost,
        ));
    }
    let nth = |nth, deed| Rule::new(Door::Submit, deed).nth(nth);
    let seconds = Duration::from_secs;
    let html = |status| Deed::Html { status, when: When::After };
    rows.extend([
        Row::new("The answer to the first submit is lost", once(Deed::LoseReply), lost),
        Row::new(
            "The answer to the first submit is lost, and runs are listed with their inputs",
            [once(Deed::LoseReply), on(Door::Any, Deed::Variant(Variant::InputInRuns))].concat(),
            [C::done(1), C::done(1), C::done(1), C::unknown(1, 1)],
        ),
        Row::new("The connection of the first submit is closed, nothing happened", once(Deed::Refuse), nothing),
        Row::new(
            "The answer to the first submit is lost, the second gets 401",
            vec![nth(1, Deed::LoseReply), nth(2, status(401, When::Before))],
            [C::done(1), C::unknown(1, 2), C::unknown(1, 1), C::unknown(1, 1)],
        ),
        Row {
            gone: true,
            ..Row::new("Nobody listens", Vec::new(), all(C::new(End::Failed(E::Unreachable), 0, 0))).timeout("5s")
        },
        Row::new("The answer to the first submit is broken JSON", once(Deed::BrokenJson), lost),
        Row::new("The answer to the first submit breaks off", once(Deed::TruncatedJson), lost),
        Row::new("The answer to the first submit is too large", once(Deed::Huge(HUGE)), lost),
        Row::new("The answer to the first submit is a proxy's page with 502", once(html(502)), lost),
        Row {
            other_output: true,
            ..Row::new(
                "The answer to the first submit is a page with 200",
                once(html(200)),
                [C::done(1), C::done(2), C::unknown(1, 1), C::done(1).warns("the answer is no JSON but a text")],
            )
        },
        Row::new(
            "All answers are slow",
            [Door::Submit, Door::Look].map(|door| Rule::new(door, Deed::Latency(seconds(4)))).to_vec(),
            all(C::done(1)),
        )
        .goes_on(),
        Row::new(
            "No answer to the submit within the timeout",
            on(Door::Submit, Deed::Latency(seconds(90))),
            [C::new(End::Failed(E::Timeout), 0, 1), C::unknown(0, 1), C::unknown(0, 1), C::unknown(0, 1)],
        )
        .timeout("3s"),
        Row::new(
            "The job fails within the request",
            fate(|fate| fate.fails = Some("out of memory".to_owned())),
            all(C::failed(E::JobFailed)),
        ),
        Row::new(
            "The job fails later",
            fate(|fate| fate.fails = Some("out of memory".to_owned())),
            all(C::failed(E::JobFailed)),
        )
        .goes_on(),
        Row {
            other_output: true,
            ..Row::new(
                "The job has no output",
                fate(|fate| fate.silent = true),
                [C::done(1), C::done(1), C::done(1), C::done(1).warns("the answer has no output")],
            )
        },
        Row::new(
            "The job has an unknown status for a while",
            fate(|fate| {
                fate.word = Some("reheating".to_owned());
                fate.takes = Some(seconds(1));
            }),
            all(C::done(1).warns("unknown status `reheating`")),
        )
        .goes_on(),
        Row::new(
            "The job does not end within the timeout",
            fate(|fate| fate.stuck = true),
            called_off(C::failed(E::Timeout)),
        )
        .goes_on()
        .timeout("3s"),
        Row::new(
            "The job is not found",
            fate(|fate| fate.vanishes = Some(Duration::ZERO)),
            [C::failed(E::JobVanished), C::failed(E::JobVanished), C::failed(E::JobVanished), C::unknown(1, 1)],
        )
        .goes_on(),
        Row::new(
            "The first three looks get 503",
            vec![Rule::new(Door::Look, status(503, When::Before)).times(3)],
            all(C::done(1).warns("looking again until the step's timeout")),
        )
        .goes_on(),
        Row::new(
            "The answers to the first two looks are lost",
            vec![Rule::new(Door::Look, Deed::LoseReply).times(2)],
            all(C::done(1)),
        )
        .goes_on(),
        Row::new(
            "The answers to the first two looks are broken JSON",
            vec![Rule::new(Door::Look, Deed::BrokenJson).times(2)],
            all(C::done(1)),
        )
        .goes_on(),
        Row::new(
            "429 to the first look",
            on(Door::Look, Deed::Burst { requests: 1, retry_after: seconds(2) }),
            all(C::done(1)),
        )
        .goes_on(),
        Row::new("401 to the looks", on(Door::Look, status(401, When::Before)), all(C::failed(E::Unauthorized)))
            .goes_on(),
        Row::new(
            "The run is cancelled while the job runs",
            fate(|fate| fate.stuck = true),
            called_off(C::new(End::Cancelled, 1, 1)),
        )
        .goes_on()
        .stop(Moment::Looked),
        Row::new(
            "The run is cancelled, and 500 to each wish to cancel",
            [fate(|fate| fate.stuck = true), on(Door::Cancel, status(500, When::Before))].concat(),
            Way::ALL.map(|way| {
                let cell = C::new(End::Cancelled, 1, 1).called_off(false);
                if way == Way::Aimp { cell.warns(stays) } else { cell }
            }),
        )
        .goes_on()
        .stop(Moment::Looked),
        Row::new(
            "The run is cancelled while the submit is unanswered",
            on(Door::Submit, Deed::Latency(seconds(90))),
            all(C::unknown(0, 1)),
        )
        .stop(Moment::Submitted),
    ]);
    rows
}

/// What was wrong with a cell, if anything.
fn judge(row: &Row, way: Way, expected: &Cell, outcome: &Outcome, usual: &Value) -> Option<String> {
    let came = expected.of(outcome);
    let status = match expected.end {
        End::Succeeded => RunStatus::Succeeded,
        End::Failed(ErrorKind::SubmitUnknown) => RunStatus::SubmitUnknown,
        End::Failed(_) => RunStatus::Failed,
        End::Cancelled => RunStatus::Cancelled,
    };
    let same_output = expected.end != End::Succeeded || row.other_output || outcome.output == *usual;
    if came == *expected && outcome.status == status && same_output {
        return None;
    }
    Some(format!(
        "{} at {}:\n  expected {expected:?}\n  came     {came:?} ({:?})\n  output {}\n  error {:?}\n  warnings {:?}\n  requests {:?}",
        row.name,
        way.name(),
        outcome.status,
        outcome.output,
        outcome.error,
        outcome.warnings,
        outcome
            .requests
            .iter()
            .map(|asked| format!("{} {} {:?}", asked.method, asked.path, asked.status))
            .collect::<Vec<_>>(),
    ))
}

type Made<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// Runs rows at all ways to submit, and returns what was wrong.
async fn wrong(rows: &[Row]) -> Vec<String> {
    let usual = Row::new("usual", Vec::new(), [Cell::done(1); 4]);
    let usual = join_all(Way::ALL.map(|way| usual.run(way))).await;
    let cells: Vec<_> = rows.iter().flat_map(|row| Way::ALL.into_iter().map(move |way| (row, way))).collect();
    let runs: Vec<Made<'_>> = cells.iter().map(|(row, way)| Box::pin(row.run(*way)) as Made<'_>).collect();
    let came = join_all(runs).await;
    let judged = cells.iter().zip(&came).filter_map(|((row, way), outcome)| {
        judge(row, *way, &row.cells[*way as usize], outcome, &usual[*way as usize].output)
    });
    judged.collect()
}

#[tokio::test(start_paused = true)]
async fn each_system_does_what_the_table_says() {
    let rows = rows();
    assert!(rows.len() > 35, "the table is there");
    let wrong = hurried(wrong(&rows)).await;
    assert!(wrong.is_empty(), "{} cells are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// The control: a table that claims too much is found out, in every part of a cell.
#[tokio::test(start_paused = true)]
async fn a_wrong_table_is_found_out() {
    let lost = |cells| Row::new("lost", once(Deed::LoseReply), cells);
    let right = [Cell::done(1), Cell::done(2), Cell::unknown(1, 1), Cell::unknown(1, 1)];
    let unlike = |change: fn(&mut Cell)| {
        let mut cells = right;
        cells.iter_mut().for_each(change);
        lost(cells)
    };
    let rows = [
        unlike(|cell| cell.end = End::Cancelled),
        unlike(|cell| cell.jobs += 1),
        unlike(|cell| cell.submits += 1),
        unlike(|cell| cell.warning = Some("nobody says so")),
        unlike(|cell| cell.called_off = Some(cell.jobs == 1)),
    ];
    assert_eq!(hurried(wrong(&rows)).await.len(), 4 * rows.len());
    assert_eq!(hurried(wrong(&[lost(right)])).await, [] as [String; 0]);
}

/// What a person has marked as safe to repeat is sent again, and may run twice.
#[tokio::test(start_paused = true)]
async fn at_aimp_a_model_that_is_safe_to_repeat_is_sent_again() {
    let outcome = hurried(async {
        let wishes = Wishes { safe_to_repeat: true, ..Wishes::default() };
        let mut system = System::start(Way::Aimp.api(), once(Deed::LoseReply), Vec::new(), wishes).await;
        system.run(&Task::of(Way::Aimp)).await.expect("a run")
    })
    .await;
    assert_eq!((outcome.status, outcome.submits(), outcome.jobs.len()), (RunStatus::Succeeded, 2, 2));
}
