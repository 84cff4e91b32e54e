//! A run as a log: one line when something happens, never a redraw. For cron, CI and pipes.
//!
//! ```text
//! 12:00:04 render   submitted as 0fefb57b (200 credits)
//! 12:01:35 render   succeeded in 1m31s, 1 image
//! ```
//!
//! Times are UTC. What happens between (looks, intents, single files) is in the journal, not here. A message of several lines
//! goes on behind `|`, so that no line of it can be taken for a line of the log, nor for a command of the CI system.

use std::fmt::Write as _;

use std::io::Write;

use unicode_width::UnicodeWidthStr;

use super::{media, sink::Sink, steps, style::Style, text};
use crate::{
    id::{RunId, StepPath},
    job::{JobState, TargetKind},
    journal::{
        event::{CancelSource, Event, Record, RunStarted, SettledBy, SkipReason},
        state::{RunState, StepState},
    },
    run::observer::Observer,
};

/// For whom the lines are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// For any log.
    Plain,
    /// For the logs of GitHub Actions: failures and warnings are annotations, too.
    GitHub,
}

/// The most columns that step names are aligned to; longer names push their line to the right.
const STEP_COLUMNS: usize = 24;

/// Writes one plain line per event that matters.
pub struct Lines {
    out: Sink,
    flavour: Flavour,
    style: Style,
    columns: usize,
}

impl Lines {
    /// Builds the observer over the writer that it owns from now on.
    #[must_use]
    pub fn new(out: Box<dyn Write + Send>, flavour: Flavour, style: Style) -> Self {
        Self { out: Sink::new(out), flavour, style: Style { color: false, ..style }, columns: 3 }
    }

    /// Makes the column of names as wide as those of a run need it.
    fn align(&mut self, state: &RunState) {
        let widths = state.own().iter().map(|step| step.path.as_str().width());
        self.columns = widths.max().unwrap_or(0).clamp(3, STEP_COLUMNS);
    }

    fn started(&self, record: &Record, start: &RunStarted) -> String {
        let (credits, unknown) = steps::estimate(start);
        let mut words = format!(
            "{} {} started: {}",
            text::one_line(&start.workflow),
            self.style.run(record.run),
            text::count(start.steps.len(), "step")
        );
        if credits > 0.0 {
            let bound = if unknown { "at least" } else { "about" };
            let _ = write!(words, ", {bound} {} credits", text::number(credits));
        }
        if start.sandbox {
            words.push_str(", sandbox");
        }
        words
    }

    /// Returns what is told of an event: of which step, and in which words.
    fn words<'a>(&mut self, record: &'a Record, state: &'a RunState) -> Option<(Option<&'a StepPath>, String)> {
        // A run that goes on is told of from there, and may go on with other steps.
        if matches!(record.event, Event::RunStarted(_) | Event::RunResumed {} | Event::PlanChanged(_)) {
            self.align(state);
        }
        let of = |step: &StepPath| state.position(step).map(|ix| state.step(ix));
        Some(match &record.event {
            Event::RunStarted(start) => (None, self.started(record, start)),
            // A request is over when it is answered, and has no name but our own.
            Event::Submitted { step, .. } if of(step)?.brief.verb == TargetKind::Http.verb() => return None,
            Event::Submitted { step, job, state: job_state, credits_charged, .. } => {
                let mut words = format!("submitted as {}", text::job(&job.0));
                if let Some(credits) = credits_charged {
                    let _ = write!(words, " ({} credits)", text::number(*credits));
                }
                if let JobState::Unknown(word) = job_state {
                    let _ = write!(words, ", `{}`", text::one_line(word));
                }
                (Some(step), words)
            }
            Event::MediaUploaded { provider, name, bytes, .. } => {
                let size = text::size(*bytes);
                (None, format!("{} uploaded to {} ({size})", text::one_line(name), text::one_line(provider)))
            }
            Event::RunWaiting { group, holder } => (None, waits_for(group, *holder, &self.style)),
            Event::RunResumed {} => (None, "goes on: what had finished stays".to_owned()),
            Event::PlanChanged(change) => {
                let rerun = text::count(change.rerun.len(), "step");
                (None, format!("goes on with the workflow as it is now: {rerun} to run anew"))
            }
            Event::SubmitSettled { step, how, .. } => {
                let words = match how {
                    SettledBy::SameKey => "the lost submit was accepted: the same key brought its answer",
                    SettledBy::List => "the lost submit was accepted: it was found in the API's list",
                    SettledBy::Absent => "the lost submit was not accepted: the API does not list it; sending it again",
                    SettledBy::Adopted => "the lost submit was accepted, as you said",
                    SettledBy::Resubmitted => "the lost submit did not arrive, as you said: sending it again",
                };
                (Some(step), words.to_owned())
            }
            Event::StepExpanded { step, count, .. } => {
                (Some(step), format!("runs for {}", text::count(*count as usize, "item")))
            }
            Event::StepSucceeded { step, cached, .. } => (Some(step), succeeded(state, of(step)?, *cached)),
            Event::StepFailed { step, error, handled } => {
                let handled = if *handled { " (handled)" } else { "" };
                (Some(step), format!("failed{}{handled}: {}", after(of(step)?), error.message))
            }
            Event::StepSkipped { step, why } => (Some(step), format!("skipped: {}", skipped(why))),
            Event::StepCancelled { step, confirmed } => {
                let what = match confirmed {
                    Some(true) => "cancelled, its job too",
                    Some(false) => "cancelled; the API did not confirm that its job is",
                    None => "cancelled",
                };
                (Some(step), what.to_owned())
            }
            Event::RetryScheduled { step, why, rate_limited: false, unsettled: true, .. } => {
                (Some(step), format!("finding out whether the API accepted the submit: {why}"))
            }
            Event::RetryScheduled { step, failed: Some(error), fallback: Some(_), .. } => {
                let brief = &of(step)?.brief;
                let target = if brief.target.is_empty() { &brief.verb } else { &brief.target };
                (
                    Some(step),
                    format!("failed: {}\ngoing on with its fallback, {}", error.message, text::one_line(target)),
                )
            }
            Event::RetryScheduled { step, due, failed: Some(error), .. } => {
                let wait = text::duration(due.duration_since(record.at));
                let attempt = of(step)?.failed_attempts;
                (Some(step), format!("attempt {attempt} failed: {}\nanother one in {wait}", error.message))
            }
            Event::RetryScheduled { step, due, why, rate_limited: false, .. } => {
                let wait = text::duration(due.duration_since(record.at));
                (Some(step), format!("sending again in {wait}: {why}"))
            }
            Event::RateLimited { provider, until } => {
                let wait = text::duration(until.duration_since(record.at));
                (None, format!("{} asks to wait {wait}: too many requests", text::one_line(provider)))
            }
            Event::CancelRequested { by, detach, workflow } => (workflow.as_ref(), cancelled(*by, *detach)),
            Event::Warning { step, message } => (step.as_ref(), format!("warning: {message}")),
            Event::RunFinished { error, .. } => {
                let mut words = steps::verdict(state, &self.style);
                if let Some(error) = error {
                    let _ = write!(words, ": {}", error.message);
                }
                (None, words)
            }
            // A rate limit is told once, of the provider, not of each step that waits for it.
            Event::RetryScheduled { .. }
            | Event::StepReady { .. }
            | Event::SubmitIntended { .. }
            | Event::JobObserved { .. }
            | Event::ArtifactSaved { .. } => return None,
        })
    }

    /// Returns the annotation that goes with an event.
    fn annotation(event: &Event, state: &RunState) -> Option<String> {
        let file = &state.start.file;
        let (level, title, message) = match event {
            Event::StepFailed { step, error, handled } => {
                (if *handled { "warning" } else { "error" }, format!("{step} failed"), &error.message)
            }
            Event::Warning { step, message } => {
                ("warning", step.as_ref().map_or_else(|| "warning".to_owned(), ToString::to_string), message)
            }
            Event::RunFinished { error: Some(error), .. } => ("error", "run failed".to_owned(), &error.message),
            _ => return None,
        };
        let message = text::lines(message).join("\n");
        Some(format!(
            "::{level} file={},title={}::{}",
            property(file),
            property(&text::one_line(&title)),
            escaped(&message)
        ))
    }
}

impl Observer for Lines {
    fn record(&mut self, record: &Record, state: &RunState) {
        if !self.out.is_open() {
            return;
        }
        let Some((step, words)) = self.words(record, state) else { return };
        let mut text = String::new();
        let time = text::clock(record.at);
        let name = step.map_or("run", StepPath::as_str);
        let fill = " ".repeat(self.columns.saturating_sub(name.width()));
        for (ix, line) in text::lines(&words).iter().enumerate() {
            let line = if self.flavour == Flavour::GitHub { line.replace("##[", "## [") } else { line.clone() };
            if ix == 0 {
                let _ = writeln!(text, "{time} {name}{fill}  {line}");
            } else {
                text.push_str(format!("{:9}{:fill$}  | {line}", "", "", fill = self.columns).trim_end());
                text.push('\n');
            }
        }
        if self.flavour == Flavour::GitHub
            && let Some(annotation) = Self::annotation(&record.event, state)
        {
            text.push_str(&annotation);
            text.push('\n');
        }
        self.out.write(text.as_bytes());
    }
}

fn after(step: &StepState) -> String {
    steps::took(step, None).map(|took| format!(" after {}", text::duration(took))).unwrap_or_default()
}

fn succeeded(state: &RunState, step: &StepState, cached: bool) -> String {
    let mut words = "succeeded".to_owned();
    if let Some(took) = steps::took(step, None) {
        let _ = write!(words, " in {}", text::duration(took));
    }
    if cached {
        words.push_str(" (from an earlier result)");
    }
    if let Some(job) = &step.job
        && let Some(tokens) = job.tokens_used
    {
        let _ = write!(words, ", {} tokens", text::whole(tokens));
    }
    if step.fan_out.is_some() || step.nested.is_some() {
        let gave = steps::outcome_in(state, step);
        if !gave.is_empty() {
            let _ = write!(words, ", {gave}");
        }
        return words;
    }
    let media = step.outputs.as_deref().map(|outputs| media::words(step.kind(), outputs)).unwrap_or_default();
    if !media.is_empty() {
        let _ = write!(words, ", {media}");
    }
    if !step.files.is_empty() {
        let _ = write!(words, ", {} saved", text::count(step.files.len(), "file"));
    }
    words
}

/// Says why a step is skipped.
pub(super) fn skipped(why: &SkipReason) -> String {
    match why {
        SkipReason::When => "its `when` is false".to_owned(),
        SkipReason::Needs(step) => format!("`{step}` did not succeed"),
        SkipReason::RunFailed => "another step failed".to_owned(),
        SkipReason::RunCancelled => "the run was cancelled".to_owned(),
        SkipReason::RunTimedOut => "the workflow's time was over".to_owned(),
        SkipReason::NotSelected => "only other steps were asked for".to_owned(),
    }
}

/// Says for which group a run waits.
pub(super) fn waits_for(group: &str, holder: Option<RunId>, style: &Style) -> String {
    let group = text::one_line(group);
    match holder {
        Some(holder) => format!("waits for the group `{group}`, which {} holds", style.run(holder)),
        None => format!("waits for the group `{group}`, which another run holds"),
    }
}

/// Says who wants a run to end, and what becomes of its jobs.
fn cancelled(by: CancelSource, detach: bool) -> String {
    let who = match by {
        CancelSource::Interrupt => "interrupted",
        CancelSource::Terminate => "terminated",
        CancelSource::Caller => "cancelled",
        CancelSource::Command => "cancelled by another process",
        CancelSource::Timeout => "the workflow's time is over",
    };
    let what = if detach { "leaving the remote jobs running" } else { "cancelling what runs" };
    format!("{who}: {what}")
}

/// Escapes the message of an annotation.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes a property of an annotation.
fn property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{Captured, diamond, failing, observe};

    fn log(records: &[Record], flavour: Flavour, style: Style) -> String {
        let out = Captured::default();
        observe(records, &mut Lines::new(out.writer(), flavour, style));
        out.text()
    }

    #[test]
    fn a_run_that_succeeds() {
        insta::assert_snapshot!(log(&diamond(), Flavour::Plain, Style::PLAIN), @r#"
        12:00:03 run      product-launch 019a…0707 started: 4 steps, about 620 credits, sandbox
        12:00:03 render   submitted as 0181c33e (200 credits)
        12:01:34 render   succeeded in 1m31s, 1 image
        12:01:34 crops    submitted as efb4accc (210 credits)
        12:01:34 clip     submitted as be64f2ee (210 credits)
        12:01:42 crops    succeeded in 8.4s, 3 images, 3 files saved
        12:01:43 clip     succeeded in 9.2s, 1 video
        12:01:43 caption  succeeded
        12:01:43 run      succeeded in 1m41s · 3 jobs · 620 credits · sandbox
        "#);
    }

    #[test]
    fn a_run_that_fails_on_github() {
        insta::assert_snapshot!(log(&failing(), Flavour::GitHub, Style { unicode: false, ..Style::PLAIN }), @r#"
        12:00:03 run      product-launch 019a..0707 started: 4 steps, about 620 credits, sandbox
        12:00:03 render   submitted as 0181c33e (200 credits)
        12:01:34 render   succeeded in 1m31s, 1 image
        12:01:34 crops    submitted as efb4accc (210 credits)
        12:01:34 run      armox asks to wait 4.0s: too many requests
        12:01:34 crops    warning: the API calls the job `warming`
        ::warning file=workflows/product-launch.yaml,title=crops::the API calls the job `warming`
        12:01:38 clip     submitted as be64f2ee (210 credits)
        12:01:40 crops    succeeded in 6.3s, 1 image
        12:01:40 clip     failed after 6.1s: the job failed: the prompt was refused?[2J
                          |   --> workflows/product-launch.yaml:30:7
                          | ::error::boo
        ::error file=workflows/product-launch.yaml,title=clip failed::the job failed: the prompt was refused?[2J%0A  --> workflows/product-launch.yaml:30:7%0A::error::boo
        12:01:40 caption  skipped: `clip` did not succeed
        12:01:40 run      failed after 1m38s, 3 jobs, 410 credits, sandbox
        "#);
    }
}
