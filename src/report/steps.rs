//! What a step and a run come to, in the words that the log, the live rows, the closing block and `show` share.

use std::{collections::BTreeMap, fmt::Write as _};

use jiff::{SignedDuration, Timestamp};
use unicode_width::UnicodeWidthStr;

use super::{
    lines::skipped,
    media,
    style::{Line, Style, Tone},
    text,
};
use crate::{
    journal::{
        event::{RunStarted, RunStatus, SkipReason},
        state::{FanOut, Phase, RunState, StepState},
    },
    result::{ErrorKind, SavedFile, StepStatus},
};

/// Returns the credits that a run is expected to cost, and whether some of them are unknown.
pub(super) fn estimate(start: &RunStarted) -> (f64, bool) {
    if let Some(credits) = start.credits {
        return (credits.known, credits.unknown_jobs > 0);
    }
    let steps = &start.steps;
    let jobs = || steps.iter().filter(|brief| !brief.target.is_empty() && brief.workflow.is_none());
    // How many items there are is known only then, and so is what a workflow of its own costs.
    let open = steps.iter().any(|brief| brief.workflow.is_some() || brief.fan_out.is_some());
    (jobs().filter_map(|brief| brief.credits).sum(), open || jobs().any(|brief| brief.credits.is_none()))
}

/// Returns how long a step took, or has taken up to now.
pub(super) fn took(step: &StepState, now: Option<Timestamp>) -> Option<SignedDuration> {
    let until = step.ended_at.or(now)?;
    Some(until.duration_since(step.began_at?))
}

/// Returns how a run ended or stands, in a few words: `succeeded in 2m31s · 6 jobs · 620 credits`.
pub(super) fn verdict(state: &RunState, style: &Style) -> String {
    let took = text::duration(state.finished_at.unwrap_or(state.last_at).duration_since(state.started_at));
    let how = match state.status {
        RunStatus::Running => format!("has run for {took}"),
        RunStatus::Succeeded => format!("succeeded in {took}"),
        RunStatus::Failed => format!("failed after {took}"),
        RunStatus::Cancelled => format!("cancelled after {took}"),
        RunStatus::SubmitUnknown if has_lost_answer(state) => {
            format!("stopped after {took}: whether a job was accepted is unknown")
        }
        RunStatus::SubmitUnknown => format!("stopped after {took}: whether a job still runs is unknown"),
    };
    let mut facts = vec![how];
    if state.submitted() > 0 {
        facts.push(text::count(usize::try_from(state.submitted()).unwrap_or(usize::MAX), "job"));
    }
    if state.credits() > 0.0 {
        facts.push(format!("{} credits", text::number(state.credits())));
    }
    if state.start.sandbox {
        facts.push("sandbox".to_owned());
    }
    facts.join(style.dot())
}

/// Says whether a submit of a run was not answered; else all of whose end nobody knows are known by their jobs.
fn has_lost_answer(state: &RunState) -> bool {
    let unknown = |step: &StepState| step.error.as_ref().is_some_and(|error| error.kind == ErrorKind::SubmitUnknown);
    state.leaves().any(|step| unknown(step) && step.job.is_none())
}

/// Returns the symbol of a run and its tone.
pub(super) fn run_symbol(status: RunStatus, style: &Style) -> (&'static str, Tone) {
    style.symbol(match status {
        RunStatus::Running => Phase::Running,
        RunStatus::Succeeded => Phase::Over(StepStatus::Succeeded),
        RunStatus::Failed | RunStatus::SubmitUnknown => Phase::Over(StepStatus::Failed),
        RunStatus::Cancelled => Phase::Over(StepStatus::Cancelled),
    })
}

/// Returns what came of a step that is over, or how it stands, in a few words.
pub(super) fn outcome(step: &StepState) -> String {
    match step.phase {
        Phase::Waiting => "waiting".to_owned(),
        Phase::Ready => "waiting for a slot".to_owned(),
        Phase::Submitting => "submitting".to_owned(),
        Phase::Retrying => "waiting to be sent again".to_owned(),
        Phase::Running => {
            step.job.as_ref().map_or_else(|| "running".to_owned(), |job| text::one_line(&job.status.to_string()))
        }
        Phase::Ended => "saving".to_owned(),
        Phase::Expanded => step.fan_out.as_ref().map(|items| progress(items)).unwrap_or_default(),
        Phase::Nested => "running".to_owned(),
        Phase::Over(StepStatus::Succeeded) => succeeded(step),
        Phase::Over(StepStatus::Failed) if step.handled => "failed (handled)".to_owned(),
        Phase::Over(StepStatus::Failed) => "failed".to_owned(),
        Phase::Over(StepStatus::Skipped) => match &step.skipped {
            // What kept it from running is told where that failed.
            Some(SkipReason::Needs(_)) | None => "skipped".to_owned(),
            Some(why) => format!("skipped: {}", skipped(why)),
        },
        Phase::Over(StepStatus::Cancelled) => "cancelled".to_owned(),
    }
}

/// Returns how far a fan-out is: `3 of 12 items, 1 failed`.
fn progress(items: &FanOut) -> String {
    let done = items.next() - items.open;
    let mut words = format!("{} of {}", text::whole(u64::from(done)), text::count(items.len as usize, "item"));
    if items.failed > 0 {
        let _ = write!(words, ", {} failed", text::whole(u64::from(items.failed)));
    }
    words
}

/// Returns what came of a step that is over, or how it stands; of one that consists of others, what came of these.
pub(super) fn outcome_in(state: &RunState, step: &StepState) -> String {
    if step.status() != Some(StepStatus::Succeeded) || (step.fan_out.is_none() && step.nested.is_none()) {
        let Some(items) = step.fan_out.as_ref().filter(|_| step.status() == Some(StepStatus::Failed)) else {
            return outcome(step);
        };
        let handled = if step.handled { " (handled)" } else { "" };
        let failed = text::whole(u64::from(items.failed));
        return format!("failed{handled}: {failed} of {}", text::count(items.len as usize, "item"));
    }
    let Some(ix) = state.position(&step.path) else { return outcome(step) };
    let leaves = state.leaves_of(ix);
    let mut facts = Vec::new();
    if let Some(items) = &step.fan_out {
        facts.push(text::count(items.len as usize, "item"));
    }
    let media = media::words_of(
        leaves
            .iter()
            .filter(|leaf| leaf.status() == Some(StepStatus::Succeeded))
            .filter_map(|leaf| Some((leaf.kind(), leaf.outputs.as_deref()?))),
    );
    let all: Vec<SavedFile> = leaves.iter().flat_map(|leaf| leaf.files.iter().cloned()).collect();
    let files = files(&all);
    match (media.is_empty(), files.is_empty()) {
        (false, false) => facts.push(format!("{media} in {files}")),
        (false, true) => facts.push(media),
        (true, false) => facts.push(files),
        (true, true) => {}
    }
    facts.join(", ")
}

/// Returns what a succeeded step gave: media, files, tokens.
fn succeeded(step: &StepState) -> String {
    let mut facts = Vec::new();
    let media = step.outputs.as_deref().map(|outputs| media::words(step.kind(), outputs)).unwrap_or_default();
    let files = files(&step.files);
    match (media.is_empty(), files.is_empty()) {
        (false, false) => facts.push(format!("{media} in {files}")),
        (false, true) => facts.push(media),
        (true, false) => facts.push(files),
        (true, true) => {}
    }
    if let Some(tokens) = step.job.as_ref().and_then(|job| job.tokens_used) {
        facts.push(format!("{} tokens", text::whole(tokens)));
    }
    if step.cached {
        facts.push("from an earlier result".to_owned());
    }
    facts.join(", ")
}

/// The most names between braces.
const BRACED: usize = 8;

/// Returns paths in short: those that differ in one name alone are told together, `crops/{0,1,2}.png`.
pub(super) fn files(files: &[SavedFile]) -> String {
    let mut groups: BTreeMap<(usize, &str, &str), Vec<&str>> = BTreeMap::new();
    let mut order: Vec<(&str, &str)> = Vec::new();
    for file in files {
        let (folder, name) = match file.path.rfind('/') {
            Some(slash) => file.path.split_at(slash + 1),
            None => ("", file.path.as_str()),
        };
        let (stem, extension) = match name.rfind('.') {
            Some(dot) if dot > 0 => name.split_at(dot),
            _ => (name, ""),
        };
        let position = order.iter().position(|known| *known == (folder, extension)).unwrap_or_else(|| {
            order.push((folder, extension));
            order.len() - 1
        });
        groups.entry((position, folder, extension)).or_default().push(stem);
    }
    let told: Vec<String> = groups
        .iter()
        .map(|((_, folder, extension), stems)| match stems.as_slice() {
            [stem] => text::one_line(&format!("{folder}{stem}{extension}")),
            stems if stems.len() <= BRACED => text::one_line(&format!("{folder}{{{}}}{extension}", stems.join(","))),
            stems => text::one_line(&format!("{folder}*{extension} ({} files)", text::whole(stems.len() as u64))),
        })
        .collect();
    text::names(told.iter().map(String::as_str), 4)
}

/// Returns the credits of a step as a table tells them, those of its attempts and parts together; of a failed job none are left.
pub(super) fn credits(state: &RunState, step: &StepState) -> Option<String> {
    let charged = |step: &StepState| {
        // What an earlier run paid is not this one's.
        let job = step.job.as_ref().filter(|job| job.status != crate::job::JobState::Failed && !step.cached)?;
        job.credits_charged
    };
    let known: Vec<f64> = if step.fan_out.is_none() && step.nested.is_none() {
        charged(step).into_iter().collect()
    } else {
        let leaves = state.leaves_of(state.position(&step.path)?);
        leaves.into_iter().filter_map(charged).collect()
    };
    let is_own = step.item_of.is_none() && step.frame == 0;
    let sum = if is_own { state.spent_on(&step.path) } else { known.iter().sum() };
    (!known.is_empty() || sum > 0.0).then(|| format!("{} cr", text::number(sum)))
}

/// The columns of a table of steps.
pub(super) struct Columns {
    name: usize,
    target: usize,
    time: usize,
    credits: usize,
}

/// The most columns of a step's name, and of a target.
const NAME: usize = 28;
const TARGET: usize = 32;

impl Columns {
    /// Measures the rows to come.
    pub(super) fn of(state: &RunState, steps: &[&StepState]) -> Self {
        let widest = |text: &dyn Fn(&StepState) -> usize| steps.iter().map(|step| text(step)).max().unwrap_or(0);
        Self {
            name: widest(&|step| step.path.as_str().width()).min(NAME),
            target: widest(&|step| text::one_line(&step.brief.target).width()).min(TARGET),
            time: widest(&|step| took(step, None).map_or(0, |took| text::duration(took).len())).max(5),
            credits: widest(&|step| credits(state, step).map_or(0, |credits| credits.len())).max(3),
        }
    }
}

/// Returns a table with a row per step: symbol, name, target, time, credits, what came of it.
pub(super) fn table(state: &RunState, steps: &[&StepState], style: &Style) -> String {
    let columns = Columns::of(state, steps);
    let mut out = String::new();
    for step in steps {
        let (symbol, tone) = style.symbol(step.phase);
        let mut line = Line::default();
        line.push(Tone::Plain, "  ").push(tone, symbol).push(Tone::Plain, " ");
        line.left(Tone::Plain, &style.cut(step.path.as_str(), columns.name), columns.name);
        if columns.target > 0 {
            line.push(Tone::Plain, "  ");
            line.left(Tone::Dim, &style.cut(&text::one_line(&step.brief.target), columns.target), columns.target);
        }
        let time = took(step, None).map_or_else(|| style.none().to_owned(), text::duration);
        line.push(Tone::Plain, "  ").right(Tone::Plain, &time, columns.time);
        let credits = credits(state, step).unwrap_or_else(|| style.none().to_owned());
        line.push(Tone::Plain, "  ").right(Tone::Plain, &credits, columns.credits);
        let told = match step.status() {
            Some(StepStatus::Failed) if !step.handled => Tone::Bad,
            Some(StepStatus::Succeeded) => Tone::Plain,
            _ => Tone::Dim,
        };
        line.push(Tone::Plain, "  ").push(told, outcome_in(state, step));
        out.push_str(&line.paint(style));
        out.push('\n');
    }
    out
}

/// Returns how many steps ended how: `997 succeeded, 1 failed, 2 skipped`.
pub(super) fn counts(state: &RunState) -> String {
    let of = |phase: fn(&Phase) -> bool| state.own().iter().filter(|step| phase(&step.phase)).count();
    let told = [
        (of(|phase| *phase == Phase::Over(StepStatus::Succeeded)), "succeeded"),
        (of(|phase| *phase == Phase::Over(StepStatus::Failed)), "failed"),
        (of(|phase| *phase == Phase::Over(StepStatus::Cancelled)), "cancelled"),
        (of(|phase| *phase == Phase::Over(StepStatus::Skipped)), "skipped"),
        (of(|phase| matches!(phase, Phase::Waiting | Phase::Ready)), "waiting"),
        (
            of(|phase| {
                matches!(
                    phase,
                    Phase::Submitting
                        | Phase::Retrying
                        | Phase::Running
                        | Phase::Ended
                        | Phase::Expanded
                        | Phase::Nested
                )
            }),
            "running",
        ),
    ];
    let told: Vec<String> =
        told.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{} {word}", text::whole(*n as u64))).collect();
    told.join(", ")
}
