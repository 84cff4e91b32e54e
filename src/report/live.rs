//! A run on a terminal: a header, a row per step, a bar, redrawn in place.
//!
//! ```text
//! product-launch  0199…07ab                     1m42s   200 of ~620 credits
//!   ✔ render    Sketch to Render      1m31s   200 cr   1 image
//!   ⠹ clip      kling/video              8s   210 cr   processing · next look in 4s
//! ━━━━━━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━  2 of 4 steps · about 50s left
//! ```
//!
//! A record costs O(1) here: it only leaves a note. Drawing happens on ticks, at most some ten times a second, and looks at no
//! more steps than the terminal has lines: the queues of the fold are read from their heads, and what has finished lately is a
//! short list. A run with more steps than lines shows what is under way, then what finished last, and counts the rest.
//!
//! The cursor is moved by hand, not by a progress bar library: a frame is one text that is written at once, no thread and no
//! clock of its own runs beside the loop that owns the run, and a test can play the terminal. What must stay true: a frame has
//! fewer lines than the terminal, no line is wider than it, and the cursor rests at the start of the line below the frame. When
//! the terminal was made narrower meanwhile, the lines of the last frame have been folded, which the next frame reckons with.
//!
//! At the run's end the frame is wiped; the closing block is the caller's to print, so it is there once.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write as _,
    io::Write,
};

use jiff::{SignedDuration, Timestamp};
use unicode_width::UnicodeWidthStr;

use super::{
    lines::waits_for,
    sink::Sink,
    steps,
    style::{Line, Style, Tone},
    text,
};
use crate::{
    id::RunId,
    journal::{
        event::{Event, Record},
        state::{Phase, RunState, StepIndex, StepState},
    },
    result::StepStatus,
    run::observer::Observer,
};

/// The least time between two frames.
const FRAME: SignedDuration = SignedDuration::from_millis(90);
/// How many finished steps are remembered for display; beyond any terminal's height nothing more is needed.
const RECENT: usize = 128;
/// How many steps are looked at for the estimate of what is left.
const LOOKED_AT: usize = 64;
/// The widest that a frame gets.
const WIDEST: usize = 100;
/// The most columns of a step's name, and of a target.
const NAME: usize = 24;
const TARGET: usize = 28;
/// The turning wheel, and its fallback.
const WHEEL: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const PLAIN_WHEEL: [&str; 4] = ["|", "/", "-", "\\"];

/// Returns the columns and lines of the terminal, as they are at this moment.
pub type Size = Box<dyn Fn() -> (usize, usize) + Send>;

/// When each running job will be looked at next.
type NextLook<'a> = dyn Fn(StepIndex) -> Option<Timestamp> + 'a;

/// Shows a run on a terminal, in place.
pub struct Live {
    out: Sink,
    style: Style,
    size: Size,
    /// The columns that each line of the frame on the screen takes.
    drawn: Vec<usize>,
    drawn_at: Option<Timestamp>,
    /// The steps that finished last, with what came of them.
    recent: VecDeque<(StepIndex, String)>,
    /// Failures that are not handled.
    failed: usize,
    /// What the steps are expected to cost, and whether some of that is unknown.
    estimate: (f64, bool),
    /// Whether every job says how long it is expected to take.
    foreseen: bool,
    /// The group that the run waits for, with the run that holds it, while it does.
    group: Option<(String, Option<RunId>)>,
    over: bool,
}

impl Live {
    /// Builds the observer over the terminal's writer, which it owns from now on. `style.width` is not used: the terminal's size
    /// is asked for at each frame.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, style: Style, size: Size) -> Self {
        Self {
            out: Sink::new(out),
            style,
            size,
            drawn: Vec::new(),
            drawn_at: None,
            recent: VecDeque::new(),
            failed: 0,
            estimate: (0.0, true),
            foreseen: false,
            group: None,
            over: false,
        }
    }

    fn note(&mut self, event: &Event, state: &RunState) {
        // Whatever else happens, it is not waiting any more.
        self.group = match event {
            Event::RunWaiting { group, holder } => Some((group.clone(), *holder)),
            _ => None,
        };
        match event {
            Event::RunStarted(start) => {
                self.estimate = steps::estimate(start);
                self.foreseen = start.steps.iter().all(|brief| brief.target.is_empty() || brief.seconds.is_some());
            }
            Event::StepSucceeded { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepSkipped { step, .. }
            | Event::StepCancelled { step, .. } => {
                let Some(ix) = state.position(step) else { return };
                let step = state.step(ix);
                // The parts of a step are told with it.
                if ix as usize >= state.own().len() {
                    return;
                }
                if step.status() == Some(StepStatus::Failed) && !step.handled {
                    self.failed += 1;
                }
                if self.recent.len() == RECENT {
                    self.recent.pop_front();
                }
                self.recent.push_back((ix, outcome(state, step)));
            }
            Event::RunFinished { .. } => self.over = true,
            _ => {}
        }
    }

    fn draw(&mut self, state: &RunState, now: Timestamp, next_look: &NextLook<'_>) {
        if !self.out.is_open() {
            return;
        }
        let (columns, height) = (self.size)();
        let lines = self.frame(state, now, next_look, columns, height);
        let mut text = self.wipe(columns);
        self.drawn.clear();
        for line in lines {
            // One column stays free: some terminals fold a line that fills the last one.
            let line = line.fit(&self.style, columns.saturating_sub(1).min(WIDEST));
            self.drawn.push(line.width());
            let _ = write!(text, "{}\u{1b}[K\r\n", line.paint(&self.style));
        }
        text.push_str("\u{1b}[J");
        self.out.write(text.as_bytes());
        self.drawn_at = Some(now);
    }

    /// Returns what moves the cursor to the beginning of the frame on the screen. The old lines are overwritten from there.
    fn wipe(&self, columns: usize) -> String {
        let up: usize = self.drawn.iter().map(|width| width.div_ceil(columns.max(1)).max(1)).sum();
        if up == 0 { "\r".to_owned() } else { format!("\r\u{1b}[{up}A") }
    }

    fn clear(&mut self) {
        if self.drawn.is_empty() {
            return;
        }
        let text = format!("{}\u{1b}[J", self.wipe((self.size)().0));
        self.out.write(text.as_bytes());
        self.drawn.clear();
    }

    fn frame(
        &self,
        state: &RunState,
        now: Timestamp,
        next_look: &NextLook<'_>,
        columns: usize,
        height: usize,
    ) -> Vec<Line> {
        // The cursor has a line of its own below the frame.
        let most = height.saturating_sub(1);
        let mut notes = self.notes(state, now);
        notes.truncate(most.saturating_sub(4));
        let room = most.saturating_sub(2 + notes.len());
        let rows = self.rows(state, room);
        let widths = Widths::of(state, &rows.shown);
        let mut body: Vec<Line> = rows.shown.iter().map(|ix| self.row(state, *ix, now, next_look, &widths)).collect();
        body.extend(rows.rest);
        body.extend(notes);
        let across = columns.saturating_sub(1).min(WIDEST);
        let widest = body.iter().map(Line::width).max().unwrap_or(0).max(60);
        let mut lines = Vec::new();
        if most >= 3 {
            lines.push(self.header(state, now, widest, across));
        }
        lines.extend(body);
        if most >= 1 {
            lines.push(self.bar(state, now, across));
        }
        lines.truncate(most);
        lines
    }

    fn header(&self, state: &RunState, now: Timestamp, rows: usize, across: usize) -> Line {
        let mut spent = text::whole_seconds(now.duration_since(state.started_at));
        let (estimate, unknown) = self.estimate;
        let credits = text::number(state.credits());
        if estimate > 0.0 {
            let about = if unknown { "" } else { "~" };
            let more = if unknown { "+" } else { "" };
            let _ = write!(spent, "   {credits} of {about}{}{more} credits", text::number(estimate));
        } else if state.credits() > 0.0 {
            let _ = write!(spent, "   {credits} credits");
        }
        let run = self.style.run(state.run);
        let sandbox = if state.start.sandbox { "  sandbox" } else { "" };
        let name = text::one_line(&state.start.workflow);
        let beside = run.width() + sandbox.width() + spent.width() + 5;
        // As wide as the rows, or as it needs, but never wider than the terminal.
        let columns = rows.max(name.width() + beside).min(across);
        let name = self.style.cut(&name, columns.saturating_sub(beside).max(8));
        let mut line = Line::default();
        line.push(Tone::Strong, name).push(Tone::Dim, format!("  {run}{sandbox}"));
        let fill = columns.saturating_sub(line.width() + 3);
        line.push(Tone::Plain, "   ").right(Tone::Plain, &spent, fill);
        line
    }

    fn bar(&self, state: &RunState, now: Timestamp, columns: usize) -> Line {
        let (all, open) = (state.own().len(), state.open());
        let done = all - open;
        let mut words = format!("{} of {}", text::whole(done as u64), text::count(all, "step"));
        if state.cancelled_by.is_some() {
            let doing = if state.detached { "leaving the remote jobs running" } else { "cancelling" };
            let _ = write!(words, "{}{doing}; a second signal ends at once", self.style.dot());
        } else if let Some(left) = self.left(state, now) {
            let _ = write!(words, "{}about {} left", self.style.dot(), text::whole_seconds(left));
        }
        let width = columns.saturating_sub(words.width() + 2).min(46);
        let full = (width * done).checked_div(all).unwrap_or(width);
        let mut line = Line::default();
        if width >= 8 {
            let tone = if self.failed > 0 { Tone::Bad } else { Tone::Good };
            if self.style.unicode {
                line.push(tone, "━".repeat(full));
                if full < width {
                    line.push(Tone::Dim, format!("╶{}", "─".repeat(width - full - 1)));
                }
            } else {
                line.push(tone, "#".repeat(full)).push(Tone::Dim, "-".repeat(width - full));
            }
            line.push(Tone::Plain, "  ");
        }
        line.push(Tone::Plain, words);
        line
    }

    /// Returns how long the run is expected to go on: the longest path that is left of any step under way or next to start.
    fn left(&self, state: &RunState, now: Timestamp) -> Option<SignedDuration> {
        if !self.foreseen {
            return None;
        }
        let agenda = &state.agenda;
        let active = agenda.running.iter().chain(&agenda.submitting).chain(&agenda.ended).take(LOOKED_AT).map(|&ix| {
            let step = state.step(ix);
            let passed = steps::took(step, Some(now)).map_or(0, |took| took.as_millis());
            let own = step
                .brief
                .seconds
                .map_or(0, |seconds| SignedDuration::from_secs_f64(seconds.clamp(0.0, 1e9)).as_millis());
            // A step that takes longer than expected holds up what comes after it, but takes nothing off that.
            i128::from(step.brief.rank) - passed.min(own)
        });
        let next = agenda.ready.values().filter_map(|queue| queue.first()).map(|(rank, _)| i128::from(rank.0)).max();
        let left = active.chain(next).max()?;
        let left = i64::try_from(left).ok().filter(|left| *left >= 1000)?;
        Some(SignedDuration::from_millis(left))
    }

    /// Returns lines about what holds up the whole run.
    fn notes(&self, state: &RunState, now: Timestamp) -> Vec<Line> {
        let mut aliases: BTreeSet<&str> = BTreeSet::new();
        aliases.extend(state.start.steps.iter().take(LOOKED_AT).filter_map(|brief| brief.provider.as_deref()));
        let group = self.group.as_ref().map(|(group, holder)| {
            let mut line = Line::default();
            line.push(Tone::Plain, "  ").push(Tone::Odd, self.style.or("↻", "~"));
            line.push(Tone::Plain, format!(" {}", waits_for(group, *holder, &self.style)));
            line
        });
        let limited = aliases.into_iter().filter_map(|alias| {
            let wait = state.limited_until(alias)?.duration_since(now);
            wait.is_positive().then(|| {
                let mut line = Line::default();
                let wait = text::whole_seconds(wait + SignedDuration::from_millis(999));
                line.push(Tone::Plain, "  ").push(Tone::Odd, self.style.or("↻", "~"));
                line.push(Tone::Plain, format!(" {} asks to wait {wait}: too many requests", text::one_line(alias)));
                line
            })
        });
        group.into_iter().chain(limited).collect()
    }

    /// Chooses the steps to show: all of them where they fit, else those under way and those that finished last.
    fn rows(&self, state: &RunState, room: usize) -> Rows {
        let all = state.own().len();
        if all <= room.min(RECENT) {
            return Rows { shown: (0..).take(all).collect(), rest: None };
        }
        let room = room.saturating_sub(1);
        let agenda = &state.agenda;
        let due = agenda.due.iter().map(|(_, ix)| ix);
        let under_way = agenda.submitting.iter().take(room).chain(agenda.running.iter().take(room));
        let mut active: BTreeSet<StepIndex> = under_way.chain(agenda.ended.iter().take(room)).copied().collect();
        active.extend(due.take(room));
        // Parts are told with their wholes.
        active = active.into_iter().map(|ix| own_step(state, ix)).collect();
        active.extend(agenda.fan_outs.iter().map(|(_, ix)| own_step(state, *ix)).take(room));
        while active.len() > room {
            active.pop_last();
        }
        let finished: Vec<StepIndex> = self.recent.iter().rev().take(room - active.len()).map(|(ix, _)| *ix).collect();
        let busy = agenda.in_flight() + agenda.due.len();
        let done = all - state.open();
        let mut facts = Vec::new();
        let mut told = |count: usize, words: &str| {
            if count > 0 {
                facts.push(format!("{} {words}", text::whole(count as u64)));
            }
        };
        told(done - finished.len().min(done), if finished.is_empty() { "finished" } else { "more finished" });
        told(self.failed, "failed");
        told(busy.saturating_sub(active.len()), "more running");
        told(state.open().saturating_sub(busy), "waiting");
        let mut rest = Line::default();
        rest.push(Tone::Dim, format!("  {} {}", self.style.or("…", ".."), facts.join(self.style.dot())));
        let shown = finished.into_iter().rev().chain(active).collect();
        Rows { shown, rest: (!facts.is_empty()).then_some(rest) }
    }

    fn row(&self, state: &RunState, ix: StepIndex, now: Timestamp, next_look: &NextLook<'_>, widths: &Widths) -> Line {
        let step = state.step(ix);
        let (symbol, tone) = match step.phase {
            Phase::Submitting | Phase::Running | Phase::Ended | Phase::Expanded | Phase::Nested => {
                (self.wheel(now), Tone::Busy)
            }
            phase => self.style.symbol(phase),
        };
        let waits = matches!(step.phase, Phase::Waiting);
        let name = self.style.cut(step.path.as_str(), widths.name);
        let mut line = Line::default();
        line.push(Tone::Plain, "  ").push(tone, symbol).push(Tone::Plain, " ");
        line.left(if waits { Tone::Dim } else { Tone::Plain }, &name, widths.name);
        if widths.target > 0 {
            let target = self.style.cut(&text::one_line(&step.brief.target), widths.target);
            line.push(Tone::Plain, "  ").left(Tone::Dim, &target, widths.target);
        }
        let time = match step.ended_at {
            Some(_) => steps::took(step, None).map(text::duration),
            None => steps::took(step, Some(now)).map(text::whole_seconds),
        };
        line.push(Tone::Plain, "  ").right(Tone::Plain, &time.unwrap_or_default(), 6);
        line.push(Tone::Plain, "  ").right(Tone::Plain, &steps::credits(state, step).unwrap_or_default(), 8);
        let detail = match step.phase {
            Phase::Over(_) => {
                let known = self.recent.iter().rev().find(|(known, _)| *known == ix);
                known.map(|(_, outcome)| outcome.clone()).unwrap_or_default()
            }
            Phase::Waiting => String::new(),
            Phase::Retrying => match step.due_at.map(|due| due.duration_since(now)).filter(SignedDuration::is_positive)
            {
                Some(wait) => {
                    format!("sending again in {}", text::whole_seconds(wait + SignedDuration::from_millis(999)))
                }
                None => "sending again".to_owned(),
            },
            Phase::Running => {
                let mut detail = steps::outcome(step);
                match next_look(ix).map(|look| look.duration_since(now)) {
                    Some(wait) if wait.as_millis() >= 1000 => {
                        let _ = write!(detail, "{}next look in {}", self.style.dot(), text::whole_seconds(wait));
                    }
                    _ => {}
                }
                detail
            }
            _ => steps::outcome(step),
        };
        let told = if step.status() == Some(StepStatus::Failed) && !step.handled { Tone::Bad } else { Tone::Dim };
        line.push(Tone::Plain, "   ").push(told, detail);
        line
    }

    fn wheel(&self, now: Timestamp) -> &'static str {
        let turn = usize::try_from(now.as_millisecond().unsigned_abs() / 100).unwrap_or_default();
        if self.style.unicode { WHEEL[turn % WHEEL.len()] } else { PLAIN_WHEEL[turn % PLAIN_WHEEL.len()] }
    }
}

/// Returns the step of the run's own workflow that a step is part of, or the step itself.
fn own_step(state: &RunState, mut ix: StepIndex) -> StepIndex {
    loop {
        let step = state.step(ix);
        match step.item_of.or(state.frame_of(step).step) {
            Some(whole) => ix = whole,
            None => return ix,
        }
    }
}

/// The rows of one frame.
struct Rows {
    shown: Vec<StepIndex>,
    rest: Option<Line>,
}

/// The columns of one frame.
struct Widths {
    name: usize,
    target: usize,
}

impl Widths {
    fn of(state: &RunState, shown: &[StepIndex]) -> Self {
        let widest = |text: &dyn Fn(&StepState) -> usize, most: usize| {
            shown.iter().map(|ix| text(state.step(*ix))).max().unwrap_or(0).min(most)
        };
        Self {
            name: widest(&|step| step.path.as_str().width(), NAME).max(8),
            target: widest(&|step| text::one_line(&step.brief.target).width(), TARGET),
        }
    }
}

/// Says in one line what came of a step; of a failed one, why.
fn outcome(state: &RunState, step: &StepState) -> String {
    match (&step.error, step.status()) {
        (Some(error), Some(StepStatus::Failed)) => text::lines(&error.message).swap_remove(0),
        _ => steps::outcome_in(state, step),
    }
}

impl Observer for Live {
    fn record(&mut self, record: &Record, state: &RunState) {
        self.note(&record.event, state);
        if self.over {
            self.clear();
        } else if self.drawn_at.is_none() {
            self.draw(state, record.at, &|_| None);
        }
    }

    fn wants_ticks(&self) -> bool {
        true
    }

    fn tick(&mut self, state: &RunState, now: Timestamp, next_look: &dyn Fn(StepIndex) -> Option<Timestamp>) {
        let since = self.drawn_at.map(|drawn| now.duration_since(drawn));
        // A clock that was set back must not freeze the display.
        if self.over || since.is_some_and(|since| (SignedDuration::ZERO..FRAME).contains(&since)) {
            return;
        }
        self.draw(state, now, next_look);
    }
}

impl Drop for Live {
    /// Wipes the frame where the run ended without its last event: the journal could not be written.
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests;
