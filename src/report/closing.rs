//! The closing block: what a run came to, told once, when it is over.
//!
//! ```text
//! ✔ product-launch succeeded in 2m31s · 6 jobs · 620 credits
//!
//!   hero     https://…/transform-this.jpeg
//!   caption  "From a pencil line to a living room."
//!
//!   ✔ render   Sketch to Render   1m31s  200 cr  1 image
//! ```
//!
//! A result comes first, what went wrong last, next to the prompt. It stays within a bounded number of lines however many steps
//! there are, and URLs are always whole, so that they can be clicked and copied.

use std::{collections::BTreeSet, fmt::Write as _};

use jiff::SignedDuration;
use serde_json::{Map, Value};
use unicode_width::UnicodeWidthStr;

use super::{
    steps,
    style::{Line, Style, Tone},
    text,
};
use crate::{
    id::StepPath,
    job::TargetKind,
    journal::{
        event::{RunStatus, SkipReason},
        state::{RunState, StepIndex, StepState},
    },
    result::{ErrorKind, StepError, StepStatus},
};

/// The most steps that are told one by one.
const ROWS: usize = 40;
/// The most outputs, failures and warnings that are told one by one.
const TOLD: usize = 12;
/// The most lines of one list among the outputs.
const ITEMS: usize = 6;

/// Returns the closing block of a run.
#[must_use]
pub fn closing(state: &RunState, style: &Style) -> String {
    closing_in(state, style, None)
}

/// Returns the closing block of a run whose files are below `folder`.
#[must_use]
pub fn closing_in(state: &RunState, style: &Style, folder: Option<&str>) -> String {
    let mut out = headline(state, style);
    for block in [
        outputs(state, style),
        rows(state, style, Some(ROWS)),
        files(state, style, folder),
        warnings(state, style),
        failures(state, style),
        unknown(state, style),
        next(state),
    ] {
        if !block.is_empty() {
            out.push('\n');
            out.push_str(&block);
        }
    }
    out
}

/// Returns the first line: what ended, how, after how long, for how much.
fn headline(state: &RunState, style: &Style) -> String {
    let (symbol, tone) = steps::run_symbol(state.status, style);
    let name = text::one_line(&state.start.workflow);
    let mut line = Line::default();
    line.push(tone, symbol).push(Tone::Plain, " ").push(Tone::Strong, name).push(Tone::Plain, " ");
    if state.status == RunStatus::SubmitUnknown {
        let lost = lost(state);
        let known: Vec<_> = lost.iter().filter_map(|step| step.job.as_ref()).collect();
        if !known.is_empty() {
            let what = match (known.as_slice(), known.len() == lost.len()) {
                ([job], true) => format!("whether the job {} still runs is unknown", text::one_line(&job.id.0)),
                (known, true) => format!("whether {} still run is unknown", text::count(known.len(), "job")),
                _ => format!("what became of {} is unknown", text::count(lost.len(), "submit")),
            };
            line.push(Tone::Plain, format!("stopped: {what}"));
            return format!("{}\n", line.paint(style));
        }
        let providers: Vec<&str> = lost.iter().filter_map(|step| step.brief.provider.as_deref()).collect();
        let who = match providers.first() {
            _ if lost.iter().all(|step| is_request(step)) => "the server".to_owned(),
            Some(first) if providers.iter().all(|other| other == first) => text::one_line(first),
            _ => "the API".to_owned(),
        };
        let what = match lost.len() {
            1 => "the answer to one submit was lost".to_owned(),
            n => format!("the answers to {n} submits were lost"),
        };
        line.push(Tone::Plain, format!("stopped: {what}, and whether {who} accepted it is unknown"));
    } else {
        line.push(Tone::Plain, steps::verdict(state, style));
    }
    format!("{}\n", line.paint(style))
}

/// Returns the outputs, aligned; lists of texts have a line for each.
pub(super) fn outputs(state: &RunState, style: &Style) -> String {
    let Some(outputs) = &state.outputs else { return String::new() };
    values(outputs, "output", style)
}

/// Returns named values, aligned; `noun` is what one of them is called.
pub(super) fn values(values: &Map<String, Value>, noun: &str, style: &Style) -> String {
    let columns = values.keys().take(TOLD).map(|name| text::one_line(name).width()).max().unwrap_or(0).min(28);
    let mut out = String::new();
    for (name, value) in values.iter().take(TOLD) {
        let room = style.width.saturating_sub(columns + 4).max(24);
        for (ix, told) in value_lines(value, style, room).iter().enumerate() {
            let name = if ix == 0 { text::one_line(name) } else { String::new() };
            let mut line = Line::default();
            line.push(Tone::Plain, "  ")
                .left(Tone::Dim, &name, columns)
                .push(Tone::Plain, "  ")
                .push(Tone::Plain, told);
            out.push_str(&line.paint(style));
            out.push('\n');
        }
    }
    more(&mut out, values.len(), TOLD, noun);
    out
}

fn more(out: &mut String, all: usize, told: usize, noun: &str) {
    if all > told {
        let _ = writeln!(out, "  and {}", text::count(all - told, &format!("more {noun}")));
    }
}

fn value_lines(value: &Value, style: &Style, room: usize) -> Vec<String> {
    match value {
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            let mut lines: Vec<String> =
                items.iter().take(ITEMS).flat_map(|item| value_lines(item, style, room)).collect();
            if items.len() > ITEMS {
                lines.push(format!("and {} more", text::whole((items.len() - ITEMS) as u64)));
            }
            lines
        }
        Value::String(words) if is_url(words) => vec![text::one_line(words)],
        Value::String(words) => {
            // Cut before it is quoted, so that the closing quote is always there.
            let quoted = Value::String(style.cut(&text::one_line(words), room.saturating_sub(2))).to_string();
            vec![quoted]
        }
        Value::Object(map) if map.len() == 1 && map.contains_key("$secret") => vec!["****".to_owned()],
        value => vec![style.cut(&text::one_line(&value.to_string()), room)],
    }
}

fn is_url(text: &str) -> bool {
    (text.starts_with("http://") || text.starts_with("https://")) && !text.contains(char::is_whitespace)
}

/// Returns the table of steps, or their counts where there are more than `most`.
pub(super) fn rows(state: &RunState, style: &Style, most: Option<usize>) -> String {
    let own = state.own();
    if most.is_some_and(|most| own.len() > most) {
        return format!("  {}: {}\n", text::count(own.len(), "step"), steps::counts(state));
    }
    steps::table(state, &own.iter().collect::<Vec<_>>(), style)
}

/// Returns where the files are.
pub(super) fn files(state: &RunState, style: &Style, folder: Option<&str>) -> String {
    let (count, bytes) = state
        .leaves()
        .flat_map(|step| &step.files)
        .fold((0, 0), |(count, bytes), file| (count + 1, bytes + file.bytes));
    let Some(folder) = folder.filter(|_| count > 0) else { return String::new() };
    let mut line = Line::default();
    line.push(Tone::Plain, format!("  {} ({}) in ", text::count(count, "file"), text::size(bytes)));
    line.push(Tone::Strong, text::one_line(folder));
    format!("{}\n", line.paint(style))
}

/// Returns the warnings.
pub(super) fn warnings(state: &RunState, style: &Style) -> String {
    let mut out = String::new();
    for (step, message) in state.warnings.iter().take(TOLD) {
        let mut first = Line::default();
        first.push(Tone::Plain, "  ").push(Tone::Odd, "warning").push(Tone::Plain, ": ");
        if let Some(step) = step {
            first.push(Tone::Strong, step.as_str()).push(Tone::Plain, ": ");
        }
        message_lines(&mut out, first, message, style);
    }
    more(&mut out, state.warnings.len(), TOLD, "warning");
    out
}

/// Returns the failures with what they kept from running. Lost submits have their own block.
pub(super) fn failures(state: &RunState, style: &Style) -> String {
    let mut blocks: Vec<String> = Vec::new();
    let mut all = 0;
    let victims = victims(state);
    for (ix, step) in (0..).zip(&state.steps) {
        let Some(error) = &step.error else { continue };
        // What failed in a part is told of the part; a fan-out tells of its items itself.
        let frame = step.nested.map(|frame| &state.frames[frame as usize]);
        let by_part = frame.is_some_and(|frame| frame.failing && !frame.timed_out);
        if step.gone || step.item_of.is_some() || by_part {
            continue;
        }
        if step.status() != Some(StepStatus::Failed) || error.kind == ErrorKind::SubmitUnknown {
            continue;
        }
        all += 1;
        if blocks.len() == TOLD {
            continue;
        }
        let mut block = String::new();
        let mut first = Line::default();
        first.push(Tone::Plain, "  ").push(Tone::Strong, step.path.as_str());
        let tone = if step.handled { Tone::Odd } else { Tone::Bad };
        first.push(tone, " failed").push(Tone::Plain, if step.handled { " (handled): " } else { ": " });
        message_lines(&mut block, first, &error.message, style);
        block.push_str(&not_run(&victims, ix, style));
        blocks.push(block);
    }
    if let Some(StepError { message, .. }) = &state.error {
        let mut block = String::new();
        let mut first = Line::default();
        first.push(Tone::Plain, "  ").push(Tone::Bad, "the run failed").push(Tone::Plain, ": ");
        message_lines(&mut block, first, message, style);
        blocks.push(block);
    }
    let mut out = blocks.join("\n");
    more(&mut out, all, TOLD, "failure");
    out
}

fn not_run(victims: &[Vec<&StepPath>], of: usize, style: &Style) -> String {
    let Some(names) = victims.get(of).filter(|names| !names.is_empty()) else { return String::new() };
    let mut line = Line::default();
    let names = text::names(names.iter().map(|step| step.as_str()), TOLD);
    line.push(Tone::Dim, format!("    so these did not run: {names}"));
    format!("{}\n", line.paint(style))
}

/// Returns for each step those that were skipped because of it, directly or through others.
fn victims(state: &RunState) -> Vec<Vec<&StepPath>> {
    let needed = |ix: StepIndex| match &state.step(ix).skipped {
        Some(SkipReason::Needs(step)) => state.position(step),
        _ => None,
    };
    // The end of each chain of skips, once it is known, so that a long chain is walked once.
    let mut causes: Vec<Option<StepIndex>> = vec![None; state.steps.len()];
    let mut victims: Vec<Vec<&StepPath>> = vec![Vec::new(); state.steps.len()];
    for (ix, step) in (0..).zip(&state.steps) {
        let mut chain = Vec::new();
        let mut at = ix;
        let cause = loop {
            if let Some(cause) = causes[at as usize] {
                break cause;
            }
            match needed(at) {
                // A step is skipped after what it needs is over, so there is no circle; a wrong journal must not hang.
                Some(next) if chain.len() < state.steps.len() => {
                    chain.push(at);
                    at = next;
                }
                _ => break at,
            }
        };
        if cause != ix {
            victims[cause as usize].push(&step.path);
        }
        for link in chain {
            causes[link as usize] = Some(cause);
        }
    }
    victims
}

/// Writes a message behind the first line's beginning, its further lines indented.
fn message_lines(out: &mut String, mut first: Line, message: &str, style: &Style) {
    let mut lines = text::lines(message).into_iter();
    first.push(Tone::Plain, lines.next().unwrap_or_default());
    out.push_str(&first.paint(style));
    out.push('\n');
    for line in lines {
        out.push_str(format!("    {line}").trim_end());
        out.push('\n');
    }
}

/// Returns the steps whose submit may or may not have been accepted.
fn lost(state: &RunState) -> Vec<&StepState> {
    let unknown = |error: &StepError| error.kind == ErrorKind::SubmitUnknown;
    state.leaves().filter(|step| step.error.as_ref().is_some_and(unknown)).collect()
}

/// Returns what a person must look at: which submits were lost, and where to look for their jobs.
pub(super) fn unknown(state: &RunState, style: &Style) -> String {
    let lost = lost(state);
    if lost.is_empty() {
        return String::new();
    }
    let columns = lost.iter().map(|step| step.path.as_str().width()).max().unwrap_or(0).min(28);
    let victims = victims(state);
    let mut out = String::new();
    for step in lost.iter().take(TOLD) {
        let mut line = Line::default();
        line.push(Tone::Plain, "  ").left(Tone::Strong, step.path.as_str(), columns).push(Tone::Plain, "  ");
        if let Some(sent) = step.intended_at {
            line.push(Tone::Plain, format!("sent {}, ", text::clock(sent)));
        }
        let error = step.error.as_ref().map(|error| error.message.as_str()).unwrap_or_default();
        message_lines(&mut out, line, error, style);
        let cost =
            step.brief.credits.map(|credits| format!(" ({} credits)", text::number(credits))).unwrap_or_default();
        let charge = match &step.job {
            Some(job) => format!("the job {} was accepted{cost}, and may still run", text::one_line(&job.id.0)),
            None if is_request(step) => "the request may have been carried out".to_owned(),
            None => format!("up to 1 job{cost} may have been charged"),
        };
        let _ = writeln!(out, "  {:columns$}  {charge}", "");
        if let Some(ix) = state.position(&step.path) {
            out.push_str(&not_run(&victims, ix as usize, style));
        }
    }
    more(&mut out, lost.len(), TOLD, "lost submit");
    out.push('\n');
    let mut told = BTreeSet::new();
    for step in lost.iter().take(TOLD) {
        let place = where_to_look(step);
        // Items of a fan-out are looked for in one place.
        if told.insert(place.clone()) {
            let _ = writeln!(out, "{place}");
        }
    }
    let _ = writeln!(out, "  then");
    let ways = ways(state, &lost);
    let columns = ways.iter().map(|(way, _)| way.width()).max().unwrap_or(0);
    for (way, words) in ways {
        let _ = writeln!(out, "    {way:columns$}   {words}");
    }
    out
}

/// Says whether the submit of a step is a request of its own, which no API lists as a job.
fn is_request(step: &StepState) -> bool {
    step.kind() == Some(TargetKind::Http)
}

/// Returns where a person sees what became of a submit.
fn where_to_look(step: &StepState) -> String {
    let provider = text::one_line(step.brief.provider.as_deref().unwrap_or("provider"));
    let target = text::one_line(&step.brief.target);
    if let Some(job) = &step.job {
        return format!("  Look in the job list of the {provider} account for the job {}", text::one_line(&job.id.0));
    }
    // A minute before and after: the API's clock is not this one.
    let when = step.intended_at.map_or_else(
        || "while the run went on".to_owned(),
        |sent| {
            let around = |offset: i64| {
                let time = sent.saturating_add(SignedDuration::from_secs(offset)).unwrap_or(sent);
                time.strftime("%H:%M").to_string()
            };
            format!("between {} and {} UTC on {}", around(-60), around(60), sent.strftime("%Y-%m-%d"))
        },
    );
    if is_request(step) {
        return format!("  Look at the server whether `{target}` arrived {when}");
    }
    format!("  Look in the job list of the {provider} account for a job of `{target}` created {when}")
}

/// Returns the commands by which a person says what became of submits, each with what it means; an example of each kind.
fn ways(state: &RunState, lost: &[&StepState]) -> Vec<(String, &'static str)> {
    let name = |step: &StepState, job: &str| {
        // To a shell, brackets stand for names of files.
        let quote = if step.path.as_str().contains('[') { "'" } else { "" };
        format!("{quote}{}{job}{quote}", step.path)
    };
    let first = |is_kind: fn(&StepState) -> bool| lost.iter().find(|step| is_kind(step));
    let mut ways = Vec::new();
    if let Some(step) = first(|step| step.job.is_none() && !is_request(step)) {
        ways.push((
            format!("dagwood resume {} --adopt {}", state.run, name(step, "=JOB")),
            "it arrived: take its result",
        ));
        ways.push((format!("dagwood resume {} --resubmit {}", state.run, name(step, "")), "it did not: send it again"));
    }
    if let Some(step) = first(|step| step.job.is_none() && is_request(step)) {
        ways.push((
            format!("dagwood resume {} --resubmit {}", state.run, name(step, "")),
            "it did not arrive: send it again",
        ));
    }
    if let Some(step) = first(|step| step.job.is_some()) {
        ways.push((format!("dagwood resume {}", state.run), "look at the job again, and take its result"));
        ways.push((
            format!("dagwood resume {} --resubmit {}", state.run, name(step, "")),
            "the job came to nothing: send another",
        ));
    }
    ways
}

/// Returns how to go on with a run that did not come to its end.
pub(super) fn next(state: &RunState) -> String {
    let words = match state.status {
        RunStatus::Failed => "starts the failed steps again, and keeps what is finished",
        RunStatus::Cancelled => "goes on where it was cancelled",
        RunStatus::Running | RunStatus::Succeeded | RunStatus::SubmitUnknown => return String::new(),
    };
    format!("  dagwood resume {}   {words}\n", state.run)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{Script, diamond, failing, fold, unknown};

    #[test]
    fn success_tells_outputs_then_steps_then_files() {
        insta::assert_snapshot!(closing_in(&fold(&diamond()), &Style::PLAIN, Some("artifacts/run-1")), @r#"
        ✔ product-launch succeeded in 1m41s · 3 jobs · 620 credits · sandbox

          hero     https://cdn.test/render.png
          caption  "From a pencil line to a living room."
          crops    https://cdn.test/crop-0.png
                   https://cdn.test/crop-1.png
                   https://cdn.test/crop-2.png

          ✔ render   Sketch to Render    1m31s  200 cr  1 image
          ✔ crops    google/nano-banana   8.4s  210 cr  3 images in crops/{0,1,2}.png
          ✔ clip     kling/video          9.2s  210 cr  1 video
          ✔ caption                          –       –

          3 files (3.7 kB) in artifacts/run-1
        "#);
    }

    #[test]
    fn a_failure_tells_its_message_and_what_did_not_run() {
        insta::assert_snapshot!(closing(&fold(&failing()), &Style { unicode: false, ..Style::PLAIN }), @r#"
        x product-launch failed after 1m38s, 3 jobs, 410 credits, sandbox

          + render   Sketch to Render    1m31s  200 cr  1 image
          + crops    google/nano-banana   6.3s  210 cr  1 image
          x clip     kling/video          6.1s       -  failed
          - caption                          -       -  skipped

          warning: crops: the API calls the job `warming`

          clip failed: the job failed: the prompt was refused?[2J
              --> workflows/product-launch.yaml:30:7
            ::error::boo
            so these did not run: caption

          dagwood resume 019ab697-e800-7707-8707-070707070707   starts the failed steps again, and keeps what is finished
        "#);
    }

    #[test]
    fn a_lost_submit_tells_what_is_unknown_and_where_to_look() {
        insta::assert_snapshot!(closing(&fold(&unknown()), &Style::PLAIN), @r#"
        ✖ product-launch stopped: the answer to one submit was lost, and whether armox accepted it is unknown

          ✔ render  Sketch to Render    1m31s  200 cr  1 image
          ✖ crops   google/nano-banana   1.0s       –  failed

          crops  sent 12:01:34, the connection closed before an answer came
                 up to 1 job (210 credits) may have been charged

          Look in the job list of the armox account for a job of `google/nano-banana` created between 12:00 and 12:02 UTC on 2026-11-24
          then
            dagwood resume 019ab697-e800-7707-8707-070707070707 --adopt crops=JOB   it arrived: take its result
            dagwood resume 019ab697-e800-7707-8707-070707070707 --resubmit crops    it did not: send it again
        "#);
    }

    #[test]
    fn a_job_that_is_known_and_may_still_run_is_named() {
        let mut script = Script::new("short", &[("a", "model", "kling/video", &[], Some(210.0))]);
        script.submit("a", "kling/video", 210.0).wait(2.0);
        script.fail("a", ErrorKind::SubmitUnknown, "no result within 1s; the job could not be cancelled");
        script.finish(RunStatus::SubmitUnknown, None);
        insta::assert_snapshot!(closing(&fold(&script.records), &Style::PLAIN), @r#"
        ✖ short stopped: whether the job 17762fdd-d969-a453-925d-65717ac3eea2 still runs is unknown

          ✖ a  kling/video   2.2s  210 cr  failed

          a  sent 12:00:03, no result within 1s; the job could not be cancelled
             the job 17762fdd-d969-a453-925d-65717ac3eea2 was accepted (210 credits), and may still run

          Look in the job list of the armox account for the job 17762fdd-d969-a453-925d-65717ac3eea2
          then
            dagwood resume 019ab697-e800-7707-8707-070707070707                look at the job again, and take its result
            dagwood resume 019ab697-e800-7707-8707-070707070707 --resubmit a   the job came to nothing: send another
        "#);
    }

    #[test]
    fn it_stays_short_however_many_steps_there_are() {
        let names: Vec<String> = (0..5000).map(|n| format!("s{n}")).collect();
        let steps: Vec<_> = names.iter().map(|name| (name.as_str(), "model", "m", &[][..], None)).collect();
        let mut script = Script::new("wide", &steps);
        for name in &names {
            script.submit(name, "m", 1.0);
            script.fail(name, ErrorKind::JobFailed, "no");
        }
        script.finish(RunStatus::Failed, None);
        let text = closing(&fold(&script.records), &Style::PLAIN);
        assert!(text.lines().count() < 40, "{text}");
        assert!(text.contains("5,000 steps: 5,000 failed") && text.contains("and 4,988 more failures"), "{text}");
    }

    #[test]
    fn sizes_are_as_people_say_them() {
        assert_eq!(
            [
                text::size(999),
                text::size(1234),
                text::size(56_789),
                text::size(999_999),
                text::size(1_500_000),
                text::size(2_000_000_000_000_000)
            ],
            ["999 B", "1.2 kB", "56 kB", "999 kB", "1.5 MB", "2000 TB"]
        );
    }
}
