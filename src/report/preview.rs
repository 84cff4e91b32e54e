//! A plan for people: what `dagwood plan` prints before anything costs anything.
//!
//! ```text
//! launch · 3 steps · 2 waves · 3 requests · about 480 credits (8,420 left)
//! budget  500 credits
//! group   launch-acme, waits for a run that holds it
//!
//! wave 1  render  app    armox  Sketch to Render    200 cr  ~2m00s  contract ok
//! wave 2  clip    model  armox  kling/video         210 cr          when inputs.aspect != "1:1" → yes
//!
//! render
//!   Aspect Ratio  "1:1"
//! ```

use std::fmt::Write as _;

use jiff::SignedDuration;
use serde_json::{Map, Value};

use super::{
    style::{Line, Style, Tone},
    table::{Side, Table},
    text,
};
use crate::{
    plan::{
        Budget, Trigger,
        count::Requests,
        default_path,
        preview::{ContractCheck, Preview, PreviewedStep, PreviewedWork, Request, When},
    },
    spec::OnConflict,
};

/// Returns what a run of the plan would do. `credits_left` is what the account has, where that is known.
#[must_use]
pub fn preview(preview: &Preview, credits_left: Option<f64>, style: &Style) -> String {
    let mut page = format!("{}\n{}\n", headline(preview, credits_left, style), rules(preview, style));
    let mut table =
        Table::new(&[Side::Left, Side::Left, Side::Left, Side::Left, Side::Left, Side::Right, Side::Left, Side::Left])
            .whole();
    for (number, wave) in preview.waves.iter().enumerate() {
        for (place, step) in wave.iter().enumerate() {
            let wave = if place == 0 { format!("wave {}", number + 1) } else { String::new() };
            table.row(row(step, wave, style));
        }
    }
    page.push_str(&table.paint(style));
    for step in preview.waves.iter().flatten() {
        page.push_str(&contents(step, style));
    }
    if !preview.outputs.is_empty() {
        page.push_str(&block("outputs", &preview.outputs, style));
    }
    page
}

fn headline(preview: &Preview, credits_left: Option<f64>, style: &Style) -> String {
    let counts = &preview.counts;
    let mut facts = vec![text::count(counts.steps, "step"), text::count(counts.waves, "wave"), requests(preview)];
    if counts.requests > 0 {
        let left = credits_left.map(|left| format!(" ({} left)", text::number(left))).unwrap_or_default();
        let known = text::number(preview.credits.known);
        facts.push(match (preview.credits.known > 0.0, preview.credits.unknown_jobs) {
            (_, 0) => format!("about {known} credits{left}"),
            (true, unknown) => {
                format!("at least {known} credits{left}, unknown for {}", text::count(unknown as usize, "job"))
            }
            (false, _) => format!("credits unknown{left}"),
        });
    }
    if let Some(seconds) = preview.seconds.filter(|&seconds| seconds > 0.0) {
        let steps = preview.waves.iter().flatten().filter(|step| preview.critical_path.contains(&step.id));
        let unknown = steps.filter(|step| request(step).is_some()).any(|step| step.seconds.is_none());
        facts.push(format!("{} {}", if unknown { "at least" } else { "about" }, duration(seconds)));
    }
    let mut line = Line::default();
    line.push(Tone::Strong, text::one_line(&preview.name));
    for fact in facts {
        line.push(Tone::Dim, style.dot()).push(Tone::Plain, fact);
    }
    line.paint(style)
}

/// Returns how many requests that start jobs there may be: known, bounded or unknown.
fn requests(preview: &Preview) -> String {
    let Requests { least, most } = preview.requests;
    let count = |n: u64| text::count(usize::try_from(n).unwrap_or(usize::MAX), "request");
    match most {
        Some(most) if most == least => count(most),
        Some(most) if least == 0 => format!("at most {}", count(most)),
        Some(most) => format!("{} to {}", text::whole(least), count(most)),
        None if least == 0 => "requests known at run time".to_owned(),
        None => format!("at least {}, more are known at run time", count(least)),
    }
}

/// Returns what holds for the run as a whole, where something is said.
fn rules(preview: &Preview, style: &Style) -> String {
    let mut table = Table::new(&[Side::Left, Side::Left]);
    if let Some(Budget { credits, tokens }) = preview.budget {
        let credits = credits.map(|credits| format!("{} credits", text::number(credits)));
        let tokens = tokens.map(|tokens| format!("{} tokens", text::whole(tokens)));
        let most: Vec<_> = credits.into_iter().chain(tokens).collect();
        table.row([(Tone::Dim, "budget".to_owned()), (Tone::Plain, most.join(", "))]);
    }
    if let Some(group) = &preview.group {
        let rule = match group.on_conflict {
            OnConflict::Queue => "waits for a run that holds it",
            OnConflict::Skip => "does not start where a run holds it",
            OnConflict::CancelRunning => "cancels a run that holds it",
            OnConflict::Fail => "fails where a run holds it",
        };
        table.row([(Tone::Dim, "group".to_owned()), (Tone::Plain, format!("{}, {rule}", text::one_line(&group.name)))]);
    }
    for entry in &preview.schedule {
        let next = entry.next.map(|next| format!(", next {}", next.strftime("%Y-%m-%d %H:%M UTC"))).unwrap_or_default();
        table.row([
            (Tone::Dim, "schedule".to_owned()),
            (Tone::Plain, format!("{} {}{next}", entry.cron, entry.timezone)),
        ]);
    }
    table.paint(style)
}

fn row(step: &PreviewedStep, wave: String, style: &Style) -> Vec<(Tone, String)> {
    let request = request(step);
    let (verb, provider, target) = match &step.work {
        PreviewedWork::Set { .. } => ("set", String::new(), String::new()),
        PreviewedWork::Workflow { file, .. } => ("workflow", String::new(), text::one_line(file)),
        PreviewedWork::Model(request) => ("model", request.provider.clone(), request.target.clone()),
        PreviewedWork::App(request) => ("app", request.provider.clone(), request.name.clone()),
        PreviewedWork::Agent(request) => ("agent", request.provider.clone(), request.name.clone()),
        PreviewedWork::Pipeline(request) => ("pipeline", request.provider.clone(), request.target.clone()),
        PreviewedWork::Http(request) => ("http", request.provider.clone(), request.target.clone()),
    };
    let credits = match (request, step.credits) {
        (None, _) => String::new(),
        (Some(_), Some(credits)) => format!("{} cr", text::number(credits)),
        (Some(_), None) => style.none().to_owned(),
    };
    let takes = step.seconds.filter(|_| request.is_some()).map(|seconds| format!("~{}", duration(seconds)));
    let takes = takes.unwrap_or_default();
    let (tone, remarks) = remarks(step, style);
    vec![
        (Tone::Dim, wave),
        (Tone::Strong, step.id.to_string()),
        (Tone::Plain, verb.to_owned()),
        (Tone::Plain, provider),
        (Tone::Plain, target),
        (Tone::Plain, credits),
        (Tone::Plain, takes),
        (tone, remarks),
    ]
}

/// Returns what is to be known of a step before it runs.
fn remarks(step: &PreviewedStep, style: &Style) -> (Tone, String) {
    let mut remarks = Vec::new();
    let mut tone = Tone::Plain;
    if let Some(request) = request(step) {
        // Nobody publishes what a server takes.
        if !matches!(step.work, PreviewedWork::Http(_)) {
            let contract = match request.contract {
                ContractCheck::Ok => "contract ok",
                ContractCheck::Unchecked => "contract not checked",
                ContractCheck::Warnings => "contract ok, with warnings",
            };
            if request.contract != ContractCheck::Ok {
                tone = Tone::Odd;
            }
            remarks.push(contract.to_owned());
        }
        if request.unknown > 0 {
            remarks.push(format!("{} known at run time", text::count(request.unknown, "value")));
        }
    }
    if let PreviewedWork::Workflow { plan, .. } = &step.work {
        remarks.push(format!("{}, {}", text::count(plan.counts.steps, "step"), requests(plan)));
    }
    if let Some(items) = &step.foreach {
        let count = items.count.map_or_else(
            || format!("for each of {}", text::one_line(&items.text)),
            |count| format!("for {}", text::count(usize::try_from(count).unwrap_or(usize::MAX), "item")),
        );
        let most = items.max_parallel.map(|most| format!(", {most} at a time")).unwrap_or_default();
        remarks.push(format!("{count}{most}"));
    }
    match step.trigger {
        Trigger::AllSucceeded => {}
        Trigger::AllDone => remarks.push("whatever happened to what it needs".to_owned()),
        Trigger::AnySucceeded => remarks.push("when any that it needs succeeded".to_owned()),
    }
    if step.finally {
        remarks.push("at the end, whatever happened".to_owned());
    }
    if let Some(attempts) = step.attempts {
        remarks.push(format!("up to {}", text::count(attempts as usize, "attempt")));
    }
    if !step.fallback.is_empty() {
        remarks.push(format!("else {}", step.fallback.join(", ")));
    }
    if step.handles {
        remarks.push("its failure is handled".to_owned());
    }
    if step.cached {
        remarks.push("cached".to_owned());
    }
    if let Some(when) = &step.when {
        remarks.push(condition(when, style));
        if when.verdict == Some(false) {
            tone = Tone::Dim;
        }
    }
    if let Some(save) = &step.save {
        remarks.push(if save == &default_path(&step.id, step.foreach.is_some()) {
            "saves its media".to_owned()
        } else {
            format!("saves {save}")
        });
    }
    (tone, remarks.join(", "))
}

fn condition(when: &When, style: &Style) -> String {
    let arrow = if style.unicode { "→" } else { "->" };
    match when.verdict {
        Some(true) => format!("when {} {arrow} yes", when.text),
        Some(false) => format!("when {} {arrow} no: skipped", when.text),
        None => format!("when {}", when.text),
    }
}

fn request(step: &PreviewedStep) -> Option<&Request> {
    match &step.work {
        PreviewedWork::Model(request)
        | PreviewedWork::App(request)
        | PreviewedWork::Agent(request)
        | PreviewedWork::Pipeline(request)
        | PreviewedWork::Http(request) => Some(request),
        PreviewedWork::Set { .. } | PreviewedWork::Workflow { .. } => None,
    }
}

/// Returns what a step sends, or is set to, with what is known filled in.
fn contents(step: &PreviewedStep, style: &Style) -> String {
    let values = match &step.work {
        PreviewedWork::Set { output: Value::Object(values) } => values.clone(),
        PreviewedWork::Workflow { inputs, .. } => inputs.clone(),
        _ => request(step).map_or_else(Map::new, |request| {
            request.operation.iter().chain(&request.inputs).map(|(name, value)| (name.clone(), value.clone())).collect()
        }),
    };
    if values.is_empty() { String::new() } else { block(step.id.as_str(), &values, style) }
}

fn block(title: &str, values: &Map<String, Value>, style: &Style) -> String {
    let mut line = Line::default();
    line.push(Tone::Strong, text::one_line(title));
    let mut table = Table::new(&[Side::Left, Side::Left]).indented(2);
    for (name, value) in values {
        table.row([(Tone::Plain, name.clone()), (Tone::Plain, value.to_string())]);
    }
    let mut block = String::new();
    let _ = write!(block, "\n{}\n{}", line.paint(style), table.paint(style));
    block
}

fn duration(seconds: f64) -> String {
    text::duration(SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        id::Digest,
        plan::{
            estimate::Credits,
            preview::{Counts, PreviewedGroup},
        },
    };

    fn step(id: &str, work: PreviewedWork, when: Option<When>, credits: Option<f64>) -> PreviewedStep {
        let id = id.parse().expect("a step id");
        PreviewedStep {
            id,
            work,
            needs: Vec::new(),
            when,
            foreach: None,
            finally: false,
            trigger: Trigger::default(),
            attempts: None,
            fallback: Vec::new(),
            handles: false,
            cached: false,
            save: None,
            credits,
            seconds: credits.map(|_| 90.0),
        }
    }

    fn request(name: &str, unknown: usize, contract: ContractCheck) -> Request {
        let inputs = json!({"prompt": "a \"line\"", "image_input": ["{{ steps.render.image }}"]});
        Request {
            provider: "armox".to_owned(),
            target: name.to_lowercase(),
            name: name.to_owned(),
            operation: Map::new(),
            inputs: inputs.as_object().expect("a map").clone(),
            known: 1,
            unknown,
            contract,
        }
    }

    #[test]
    fn a_plan_reads_as_waves_and_requests() {
        let when = When { text: "inputs.aspect != \"1:1\"".to_owned(), verdict: Some(true) };
        let app = PreviewedWork::App(request("Sketch to Render", 0, ContractCheck::Ok));
        let model = PreviewedWork::Model(request("Kling/Video", 1, ContractCheck::Warnings));
        let set = PreviewedWork::Set { output: json!({"note": "x"}) };
        let plan = Preview {
            requests: Requests::exactly(2),
            schedule: Vec::new(),
            name: "launch".to_owned(),
            digest: Digest::of(b""),
            counts: Counts { steps: 3, waves: 2, requests: 2, edges: 1, warnings: 1 },
            waves: vec![
                vec![step("render", app, None, Some(200.0)), step("note", set, None, None)],
                vec![step("clip", model, Some(when), None)],
            ],
            credits: Credits { known: 200.0, unknown_jobs: 1 },
            seconds: Some(90.0),
            critical_path: Vec::new(),
            budget: None,
            group: None,
            outputs: json!({"hero": "{{ steps.render.image }}"}).as_object().expect("a map").clone(),
        };
        insta::assert_snapshot!(preview(&plan, Some(8420.0), &Style { width: 120, ..Style::PLAIN }), @r#"
launch · 3 steps · 2 waves · 2 requests · at least 200 credits (8,420 left), unknown for 1 job · about 1m30s

wave 1  render  app    armox  Sketch to Render  200 cr  ~1m30s  contract ok
        note    set
wave 2  clip    model  armox  kling/video            –          contract ok, with warnings, 1 value known at run time, when inputs.aspect != "1:1" → yes

render
  prompt       "a \"line\""
  image_input  ["{{ steps.render.image }}"]

note
  note  "x"

clip
  prompt       "a \"line\""
  image_input  ["{{ steps.render.image }}"]

outputs
  hero  "{{ steps.render.image }}"
"#);
    }

    #[test]
    fn what_holds_for_the_whole_run_stands_below_the_headline() {
        let plan = Preview {
            requests: Requests::exactly(0),
            schedule: Vec::new(),
            name: "launch".to_owned(),
            digest: Digest::of(b""),
            counts: Counts { steps: 1, waves: 1, requests: 0, edges: 0, warnings: 0 },
            waves: vec![vec![step("note", PreviewedWork::Set { output: json!({}) }, None, None)]],
            credits: Credits::default(),
            seconds: None,
            critical_path: Vec::new(),
            budget: Some(Budget { credits: Some(1500.0), tokens: Some(20_000) }),
            group: Some(PreviewedGroup {
                name: "launch-{{ run.name }}".to_owned(),
                on_conflict: OnConflict::CancelRunning,
            }),
            outputs: Map::new(),
        };
        insta::assert_snapshot!(preview(&plan, None, &Style { width: 120, ..Style::PLAIN }), @r"
launch · 1 step · 1 wave · 0 requests
budget  1,500 credits, 20,000 tokens
group   launch-{{ run.name }}, cancels a run that holds it

wave 1  note  set
");
    }
}
