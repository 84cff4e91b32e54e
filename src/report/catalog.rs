//! Models and apps for people: a list, or one with everything that it takes and a step that can be pasted into a workflow.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    style::{Line, Style, Tone},
    table::{Side, Table},
    text,
};
use crate::{
    contract::{Checker, Contract, Mode, Port, ValueKind},
    job::TargetKind,
    provider::Account,
};

/// The most options that a line shows; the rest is counted.
const MOST_OPTIONS: usize = 12;

/// Returns the list of targets: id, name, cost, what they take and give.
#[must_use]
pub fn targets(contracts: &[&Contract], style: &Style) -> String {
    let mut table = Table::new(&[Side::Left, Side::Left, Side::Right, Side::Left, Side::Left]);
    table.head(&["id", "name", "credits", "takes", "gives"]);
    for contract in contracts {
        let cost = contract.cost.map_or_else(|| style.none().to_owned(), text::number);
        let gives = contract.output.map_or_else(|| style.none().to_owned(), |kind| kind.word().to_owned());
        table.row([
            (Tone::Strong, contract.target.id.clone()),
            (Tone::Plain, contract.name.clone()),
            (Tone::Plain, cost),
            (Tone::Plain, takes(contract, style)),
            (Tone::Plain, gives),
        ]);
    }
    table.paint(style)
}

/// Returns a table of one account below its alias.
#[must_use]
pub fn headed(alias: &str, table: &str, style: &Style) -> String {
    let mut line = Line::default();
    line.push(Tone::Strong, alias.to_owned());
    let indented: Vec<_> = table.lines().map(|line| format!("  {line}\n")).collect();
    format!("{}\n{}", line.paint(style), indented.concat())
}

/// Returns one target with its contract and a step to paste, which names the provider where that is needed.
#[must_use]
pub fn target(contract: &Contract, provider: Option<&str>, style: &Style) -> String {
    let mut page = String::new();
    let mut line = Line::default();
    line.push(Tone::Strong, text::one_line(&contract.name));
    line.push(Tone::Dim, format!("  {} {}", contract.target.kind, text::one_line(&contract.target.id)));
    let _ = writeln!(page, "{}", line.paint(style));
    if let Some(description) = &contract.description {
        let _ = writeln!(page, "{}", text::one_line(description));
    }
    let cost =
        contract.cost.map_or_else(|| "credits unknown".to_owned(), |cost| format!("{} credits", text::number(cost)));
    let gives = contract.output.map_or_else(String::new, |kind| format!("{}gives {}", style.dot(), kind.word()));
    let _ = writeln!(page, "{cost}{gives}\n");
    if !contract.modes.is_empty() {
        page.push_str(&modes(contract, style));
    } else if contract.ports.is_empty() {
        page.push_str("It publishes no inputs.\n");
    } else {
        page.push_str(&ports(contract, style));
    }
    if contract.unchecked {
        page.push_str("\nNothing is published of what it takes: whatever is given is sent unchecked.\n");
    } else if contract.open && contract.modes.is_empty() {
        page.push_str(
            "\nThe API does not promise that this list is whole: other settings are passed on with a warning.\n",
        );
    }
    let _ = write!(page, "\n{}", snippet(contract, provider));
    page
}

/// Returns what each operation of a target takes.
fn modes(contract: &Contract, style: &Style) -> String {
    let checker = Checker::new(contract.clone());
    let mut page = String::new();
    for mode in &contract.modes {
        let Ok(own) = checker.for_mode(Some(&mode.name)) else { continue };
        let mut line = Line::default();
        let name =
            if mode.name.is_empty() { "any mode".to_owned() } else { format!("mode {}", text::one_line(&mode.name)) };
        line.push(Tone::Strong, name);
        if mode.needs_scope == Some(true) {
            line.push(Tone::Dim, "  needs a scope");
        }
        let _ = writeln!(page, "{}", line.paint(style));
        let inputs = own.contract();
        if inputs.ports.is_empty() {
            page.push_str("  no inputs are published\n");
        } else {
            page.push_str(&ports(inputs, style));
        }
        if let Some(params) = own.params().filter(|params| !params.contract().ports.is_empty()) {
            let _ = write!(page, "  params\n{}", ports(params.contract(), style));
        }
    }
    page
}

fn ports(contract: &Contract, style: &Style) -> String {
    let mut table = Table::new(&[Side::Left; 6]).indented(2);
    table.head(&["id", "label", "type", "", "options", "default"]);
    for port in &contract.ports {
        let kind = if port.many { format!("list of {}", port.kind.word()) } else { port.kind.word().to_owned() };
        let label = port.label.as_deref().filter(|&label| label != port.id).unwrap_or_default();
        table.row([
            (Tone::Strong, port.id.clone()),
            (Tone::Plain, label.to_owned()),
            (Tone::Plain, kind),
            (
                if port.required { Tone::Odd } else { Tone::Dim },
                (if port.required { "required" } else { "" }).to_owned(),
            ),
            (Tone::Plain, limits(port, style)),
            (Tone::Plain, port.default.as_ref().map(flow).unwrap_or_default()),
        ]);
    }
    table.paint(style)
}

/// Returns in a few words what a port's values are limited to.
fn limits(port: &Port, style: &Style) -> String {
    if !port.options.is_empty() {
        let options: Vec<_> = port.options.iter().map(plain).collect();
        return text::names(options.iter().map(String::as_str), MOST_OPTIONS);
    }
    let dash = if style.unicode { "–" } else { "-" };
    match (port.minimum, port.maximum) {
        (Some(minimum), Some(maximum)) => format!("{}{dash}{}", text::number(minimum), text::number(maximum)),
        (Some(minimum), None) => format!("from {}", text::number(minimum)),
        (None, Some(maximum)) => format!("up to {}", text::number(maximum)),
        (None, None) => String::new(),
    }
}

/// Returns the media and texts that a target takes: those of its required ports, and media; settings are no news in a list.
fn takes(contract: &Contract, style: &Style) -> String {
    let mut words: Vec<&str> = Vec::new();
    for port in contract.ports.iter().filter(|port| port.required || port.kind.is_media()) {
        let word = port.kind.word();
        if !words.contains(&word) {
            words.push(word);
        }
    }
    if words.is_empty() { style.none().to_owned() } else { words.join(", ") }
}

/// Returns what an account has to spend, and what it has spent.
#[must_use]
pub fn account(alias: &str, account: &Account, style: &Style) -> String {
    let mut table = Table::new(&[Side::Left, Side::Left]);
    table.row([(Tone::Strong, alias.to_owned()), (Tone::Plain, String::new())]);
    let credits = account.credits.map_or_else(|| style.none().to_owned(), text::number);
    let mut facts = vec![("credits".to_owned(), credits)];
    facts.extend(account.plan.iter().map(|plan| ("plan".to_owned(), plan.clone())));
    facts.extend(account.usage.iter().map(|(name, value)| {
        let value = value.as_f64().map_or_else(|| plain(value), text::number);
        (name.replace('_', " "), value)
    }));
    let mut table_of_facts = Table::new(&[Side::Left, Side::Right]).indented(2);
    for (name, value) in facts {
        table_of_facts.row([(Tone::Plain, name), (Tone::Plain, value)]);
    }
    table.paint(style) + &table_of_facts.paint(style)
}

/// Returns a step that can be pasted into a workflow: required inputs with an example, the others as comments.
#[must_use]
pub fn snippet(contract: &Contract, provider: Option<&str>) -> String {
    let id = &contract.target.id;
    // An app is known by its name where that is one; a comment keeps its id.
    let (verb, name) = match contract.target.kind {
        TargetKind::App => ("app", &contract.name),
        kind => (kind.verb(), id),
    };
    let mut lines = format!("steps:\n  {}:\n    {verb}: {}\n", step_id(&contract.name), scalar(name));
    if name != id {
        let _ = writeln!(lines, "    # or by id: {}", text::one_line(id));
    }
    if let Some(provider) = provider {
        let _ = writeln!(lines, "    provider: {provider}");
    }
    // A target that runs nothing without a mode is shown with its first one.
    let mode = contract
        .modes
        .first()
        .filter(|_| !contract.modes.iter().any(|mode| mode.name.is_empty() || mode.name == Mode::DEFAULT));
    let checker = mode.map(|_| Checker::new(contract.clone()));
    let own = mode.and_then(|mode| checker.as_ref()?.for_mode(Some(&mode.name)).ok());
    let contract = own.map_or(contract, Checker::contract);
    if let Some(mode) = mode {
        let _ = writeln!(lines, "    mode: {}", scalar(&mode.name));
        if mode.needs_scope == Some(true) {
            lines.push_str("    scope: my-data\n");
        }
        lines.push_str(&own.and_then(Checker::params).map(params).unwrap_or_default());
    }
    let required = contract.ports.iter().filter(|port| port.required);
    let optional = contract.ports.iter().filter(|port| !port.required);
    // Without a required input, the map would hold comments alone and be null.
    let _ = writeln!(lines, "    inputs:{}", if required.clone().next().is_none() { " {}" } else { "" });
    for port in required {
        let _ = writeln!(lines, "      {}: {}", scalar(key(contract, port)), example(port));
    }
    for port in optional {
        let _ = writeln!(lines, "      # {}: {}", scalar(key(contract, port)), example(port));
    }
    lines
}

/// Returns the parameters that a mode cannot do without.
fn params(checker: &Checker) -> String {
    let required = checker.contract().ports.iter().filter(|port| port.required);
    let entries: Vec<_> = required.map(|port| format!("{}: {}", scalar(&port.id), example(port))).collect();
    if entries.is_empty() { String::new() } else { format!("    params: {{ {} }}\n", entries.join(", ")) }
}

/// Returns the name that reads best and means this port: the label of an app's input, else the id.
fn key<'a>(contract: &Contract, port: &'a Port) -> &'a str {
    let Some(label) = port.label.as_deref().filter(|_| contract.target.kind == TargetKind::App) else {
        return &port.id;
    };
    let meant = contract.resolve(label).ok().map(|index| &contract.ports[index].id);
    if meant == Some(&port.id) && !label.trim().is_empty() { label } else { &port.id }
}

fn example(port: &Port) -> String {
    let value = port.default.clone().filter(|value| !value.is_null()).or_else(|| port.options.first().cloned());
    let value = value.unwrap_or_else(|| match port.kind {
        ValueKind::Image => "https://example.com/picture.png".into(),
        ValueKind::Video => "https://example.com/clip.mp4".into(),
        ValueKind::Audio => "https://example.com/sound.wav".into(),
        ValueKind::Model3d => "https://example.com/model.glb".into(),
        ValueKind::Number => port.minimum.unwrap_or(1.0).into(),
        #[expect(clippy::cast_possible_truncation, reason = "an example: a whole number that is near enough")]
        ValueKind::Integer => (port.minimum.unwrap_or(1.0).ceil() as i64).into(),
        ValueKind::Boolean => true.into(),
        ValueKind::Text | ValueKind::Scalar | ValueKind::Any => "write it here".into(),
    });
    let value = if port.many && !value.is_array() { Value::Array(vec![value]) } else { value };
    flow(&value)
}

/// Returns a value in YAML's flow style, on one line: JSON is that.
fn flow(value: &Value) -> String {
    text::one_line(&value.to_string())
}

/// Returns a value as people write it: a text without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Returns a text as a YAML scalar, quoted only where YAML needs it.
fn scalar(text: &str) -> String {
    let one_line = text::one_line(text);
    let written = serde_yaml::to_string(&Value::String(one_line.clone())).unwrap_or_default();
    let written = written.trim_end();
    if written.contains('\n') || written.is_empty() { Value::String(one_line).to_string() } else { written.to_owned() }
}

/// Returns a name as a step id.
fn step_id(name: &str) -> String {
    let folded: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    let parts: Vec<_> = folded.split('_').filter(|part| !part.is_empty()).collect();
    let id = parts.join("_");
    match id.chars().next() {
        None => "step".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{id}"),
        Some(_) => id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Target;

    fn contract() -> Contract {
        let port = |id: &str, kind, required| Port { required, ..Port::new(id, kind) };
        Contract {
            schema: None,
            modes: Vec::new(),
            unchecked: false,
            target: Target { kind: TargetKind::App, id: "c7fc".to_owned() },
            name: "3D: Sketch".to_owned(),
            description: Some("From a line".to_owned()),
            cost: Some(1200.0),
            output: Some(ValueKind::Image),
            open: false,
            ports: vec![
                Port { label: Some("Input Images".to_owned()), many: true, ..port("image", ValueKind::Image, true) },
                Port { options: vec!["auto".into(), "1:1".into()], ..port("aspect", ValueKind::Text, false) },
                Port { minimum: Some(0.5), maximum: Some(2.0), ..port("scale", ValueKind::Number, false) },
            ],
        }
    }

    #[test]
    fn one_target_shows_every_port_and_a_step() {
        insta::assert_snapshot!(target(&contract(), None, &Style::PLAIN), @r#"
3D: Sketch  app c7fc
From a line
1,200 credits · gives image

  id      label         type                     options    default
  image   Input Images  list of image  required
  aspect                text                     auto, 1:1
  scale                 number                   0.5–2

steps:
  _3d_sketch:
    app: '3D: Sketch'
    # or by id: c7fc
    inputs:
      Input Images: ["https://example.com/picture.png"]
      # aspect: "auto"
      # scale: 0.5
"#);
    }

    #[test]
    fn a_list_is_a_table() {
        insta::assert_snapshot!(targets(&[&contract()], &Style::PLAIN), @r#"
id    name        credits  takes  gives
c7fc  3D: Sketch    1,200  image  image
"#);
    }

    #[test]
    fn names_become_step_ids() {
        assert_eq!(["Nano Banana", "3D -> 2D", "絵"].map(step_id), ["nano_banana", "_3d_2d", "step"]);
    }
}
