//! A workflow to start from, made of a contract: every input of the target is an input of the workflow, named, typed and explained, and
//! one step runs the target with them.
//!
//! What is written validates at once, and runs as soon as the required inputs are given: an optional input without a default is null, and
//! a null is left out. A default of the contract is taken over only where it fits what is written around it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{
    Checker, Contract, Mode, Port, ValueKind,
    checker::settle,
    operation::{SCOPE_LENGTH, SCOPE_PATTERN},
    schema::{Schema, listed, shown},
};
use crate::{job::TargetKind, template::mentions};

/// Where comments are broken.
const WIDTH: usize = 100;

/// Words that YAML does not take for text.
const NO_TEXT: [&str; 5] = ["true", "false", "null", "~", ""];

/// Returns a workflow that runs one target of a provider with all that it takes.
#[must_use]
pub fn scaffold(provider: &str, contract: &Contract) -> String {
    let checker = Checker::new(contract.clone());
    // Without the default operation, one must be named.
    let mode = checker.for_mode(None).err().and_then(|_| checker.modes().next().map(str::to_owned));
    let checker = checker.for_mode(mode.as_deref()).unwrap_or(&checker);
    let mut draft = Draft { names: Vec::new(), inputs: String::new() };
    let mut given: Vec<(String, String)> = Vec::new();
    let taken = checker.contract();
    for port in by_need(&taken.ports) {
        given.push(draft.port(checker, port, port.name()));
    }
    let params = checker.params().map(|params| (params, by_need(&params.contract().ports)));
    let (needed, further): (Vec<_>, Vec<_>) =
        params.iter().flat_map(|(_, ports)| ports.iter().copied()).partition(|port| port.required);
    let needed: Vec<_> = match &params {
        Some((params, _)) => {
            needed.into_iter().map(|port| draft.port(params, port, &format!("{} param", port.id))).collect()
        }
        None => Vec::new(),
    };
    let scope = (checker.needs_scope() == Some(true)).then(|| draft.scope());

    let step = identifier(&contract.name, "run_target");
    let mut text = head(contract);
    let _ = writeln!(text, "version: 1\nname: {}", scalar(&slug(&contract.name, "workflow")));
    if let Some(description) = contract.description.as_deref().map(line).filter(|text| !text.is_empty()) {
        let _ = writeln!(text, "description: {}", scalar(&description));
    }
    if !draft.inputs.is_empty() {
        let _ = write!(text, "\ninputs:\n{}", draft.inputs);
    }
    let Contract { target, .. } = contract;
    let _ = writeln!(text, "\nsteps:\n  {step}:\n    provider: {}", scalar(provider));
    let called = if contract.name == target.id { String::new() } else { format!("  # {}", line(&contract.name)) };
    let _ = writeln!(text, "    {}: {}{called}", target.kind.verb(), scalar(&target.id));
    if let Some(mode) = &mode {
        let _ = writeln!(text, "    mode: {}", scalar(mode));
    }
    if let Some(scope) = scope {
        let _ = writeln!(text, "    scope: {scope}");
    }
    if !given.is_empty() {
        let _ = writeln!(text, "    inputs:");
        entries(&mut text, &given);
    } else if taken.unchecked {
        comment(&mut text, 4, "What it takes is not published. Give it as a map: `inputs: { NAME: VALUE }`.");
    }
    if !needed.is_empty() {
        let _ = writeln!(text, "    params:");
        entries(&mut text, &needed);
    }
    if !further.is_empty() {
        let further: Vec<_> = further.iter().map(|port| format!("`{}` ({})", port.id, explained(port))).collect();
        comment(&mut text, 4, &format!("`params` may also hold {}.", further.join(", ")));
    }
    text.push_str(&tail(contract, &step));
    text
}

/// Writes the entries of a map in a step.
fn entries(text: &mut String, entries: &[(String, String)]) {
    for (key, value) in entries {
        let _ = writeln!(text, "      {key}: {value}");
    }
}

/// Returns required inputs first, each part in the API's order.
fn by_need(ports: &[Port]) -> Vec<&Port> {
    let mut ports: Vec<_> = ports.iter().collect();
    ports.sort_by_key(|port| !port.required);
    ports
}

/// Returns the comment that says what the target is.
fn head(contract: &Contract) -> String {
    let mut text = String::new();
    let kind = contract.target.kind;
    let cost = contract.cost.map(|cost| format!("; a run costs {cost} credits")).unwrap_or_default();
    let gives = contract.output.map(|output| format!("; it gives {}", output.word())).unwrap_or_default();
    comment(&mut text, 0, &format!("Runs the {kind} {}{cost}{gives}.", line(&contract.name)));
    if let Some(description) = &contract.description {
        comment(&mut text, 0, description);
    }
    if !contract.modes.is_empty() {
        let modes = contract.modes.iter().filter(|mode| !mode.name.is_empty());
        let modes: Vec<_> = modes.map(|mode: &Mode| format!("`{}`", mode.name)).collect();
        comment(
            &mut text,
            0,
            &format!("Its modes are {}; without `mode`, `{}` is run.", modes.join(", "), Mode::DEFAULT),
        );
    }
    let conditions = ["anyOf", "oneOf", "allOf", "not", "if", "dependentRequired", "dependentSchemas", "minProperties"];
    let schema = contract.schema.as_ref().and_then(Value::as_object);
    if schema.is_some_and(|schema| conditions.iter().any(|word| schema.contains_key(*word))) {
        comment(&mut text, 0, "Its contract has conditions over the inputs together; `dagwood plan` checks them.");
    }
    text
}

/// Returns what is saved, and the outputs.
fn tail(contract: &Contract, step: &str) -> String {
    let (save, name, field) = match contract.output {
        Some(ValueKind::Image) => (true, "images", "images"),
        Some(ValueKind::Video) => (true, "videos", "videos"),
        Some(ValueKind::Audio) => (true, "audios", "audios"),
        Some(ValueKind::Model3d) => (true, "models", "models3d"),
        Some(ValueKind::Text) => (false, "texts", "texts"),
        // An app may have several nodes, and then no output of its own.
        _ if contract.target.kind == TargetKind::App => (false, "result", "node_outputs"),
        _ => (false, "result", "output"),
    };
    let save = match (save, contract.output) {
        (true, _) => "    save: true\n",
        (false, None) => "    # Media that come out are saved with `save: true`.\n",
        (false, Some(_)) => "",
    };
    format!("{save}\noutputs:\n  {name}: \"{{{{ steps.{step}.{field} }}}}\"\n")
}

/// The inputs of the workflow as they are written.
struct Draft {
    names: Vec<String>,
    inputs: String,
}

impl Draft {
    /// Declares an input for a port, and returns the key and the value that hand it on.
    fn port(&mut self, checker: &Checker, port: &Port, called: &str) -> (String, String) {
        let contract = checker.contract();
        let wrapped = port.many && port.kind.is_media() && port.required && port.options.is_empty();
        let mut declaration = declaration(port, wrapped);
        // As the API would be sent it: an option that is spelt as text is that option.
        let default = port.default.clone().and_then(|default| settle(port, default)).filter(|default| {
            let is_url =
                default.as_str().is_some_and(|text| text.starts_with("https://") || text.starts_with("http://"));
            let fits = Schema::compile(&fragment(&declaration)).is_ok_and(|schema| schema.fits(default));
            fits && checker.check(port, default).is_empty() && !wrapped && (!port.kind.is_media() || is_url)
        });
        match default.filter(|default| !default.is_null()) {
            Some(default) => drop(declaration.insert("default".to_owned(), default)),
            None if !port.required => drop(declaration.insert("optional".to_owned(), json!(true))),
            None => {}
        }
        let own = contract.description_of(port);
        if let Some(own) = own.as_deref().map(line).filter(|own| !own.is_empty()) {
            declaration.insert("description".to_owned(), json!(own));
        }
        let need = if port.required { ", required" } else { "" };
        let explained = format!("{}: {}{need}.", line(port.name()), explained(port));
        let name = self.declare(called, &explained, &declaration);
        let reference = format!("{{{{ inputs.{name} }}}}");
        let value = if wrapped { format!("[\"{reference}\"]") } else { format!("\"{reference}\"") };
        let key = contract.name_of(port);
        let means = contract.ports.iter().position(|known| known.id == port.id);
        // A key is never a template.
        let key = if contract.resolve(key).ok() == means && !mentions(key) { key } else { &port.id };
        (scalar(key), value)
    }

    /// Declares the input for the scope of a vector operation, and returns its reference.
    fn scope(&mut self) -> String {
        let declaration = json!({"type": "string", "pattern": SCOPE_PATTERN, "maxLength": SCOPE_LENGTH});
        let explained = "The data set: what is indexed under a scope is found only under the same one.";
        let name = self.declare("scope", explained, declaration.as_object().unwrap_or(&Map::new()));
        format!("\"{{{{ inputs.{name} }}}}\"")
    }

    fn declare(&mut self, called: &str, explained: &str, declaration: &Map<String, Value>) -> String {
        let base = identifier(called, "value");
        let numbered = (2..).map(|number| format!("{base}_{number}"));
        let free = |name: &String| !self.names.contains(name);
        let name = std::iter::once(base.clone()).chain(numbered).find(free).unwrap_or(base);
        comment(&mut self.inputs, 2, explained);
        let words: Vec<_> = declaration.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
        let words = if words.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", words.join(", ")) };
        let _ = writeln!(self.inputs, "  {name}: {words}");
        self.names.push(name.clone());
        name
    }
}

/// Returns the declaration of the workflow's input for a port; `wrapped`: its one value makes the list.
fn declaration(port: &Port, wrapped: bool) -> Map<String, Value> {
    let mut one = Map::new();
    let kind = match port.kind {
        ValueKind::Text | ValueKind::Scalar => Some("string"),
        ValueKind::Number => Some("number"),
        ValueKind::Integer => Some("integer"),
        ValueKind::Boolean => Some("boolean"),
        ValueKind::Any => None,
        _ if (port.many && !wrapped) || !port.options.is_empty() => Some("string"),
        kind => {
            let media = match kind {
                ValueKind::Image => "image",
                ValueKind::Video => "video",
                ValueKind::Audio => "audio",
                _ => "any",
            };
            return Map::from_iter([("type".to_owned(), json!("file")), ("media".to_owned(), json!(media))]);
        }
    };
    if port.options.is_empty() {
        if let Some(kind) = kind {
            one.insert("type".to_owned(), json!(kind));
        }
        for (word, limit) in [("minimum", port.minimum), ("maximum", port.maximum)] {
            let limit =
                limit.filter(|limit| limit.is_finite() && matches!(port.kind, ValueKind::Number | ValueKind::Integer));
            if let Some(limit) = limit {
                one.insert(word.to_owned(), number(limit));
            }
        }
    } else {
        if port.options.iter().all(Value::is_string) {
            one.insert("type".to_owned(), json!("string"));
        }
        let mut options: Vec<&Value> = Vec::new();
        for option in &port.options {
            if !options.contains(&option) {
                options.push(option);
            }
        }
        one.insert("enum".to_owned(), json!(options));
    }
    if port.many && !wrapped {
        let mut list = Map::from_iter([("type".to_owned(), json!("array"))]);
        if !one.is_empty() {
            list.insert("items".to_owned(), Value::Object(one));
        }
        return list;
    }
    one
}

/// Returns a number without a fraction that is none.
fn number(number: f64) -> Value {
    let text = number.to_string();
    text.parse::<i64>().map_or_else(|_| json!(number), |whole| json!(whole))
}

/// Returns the JSON Schema that a declaration is.
fn fragment(declaration: &Map<String, Value>) -> Value {
    let mut fragment = declaration.clone();
    fragment.remove("media");
    if fragment.get("type") == Some(&json!("file")) {
        fragment.insert("type".to_owned(), json!("string"));
    }
    Value::Object(fragment)
}

/// Returns in words what a port takes.
fn explained(port: &Port) -> String {
    let mut text = if port.options.is_empty() {
        port.wants()
    } else {
        format!("{}one of {}", if port.many { "a list, each " } else { "" }, listed(&port.options))
    };
    if let Some(bounds) = port.bounds() {
        let _ = write!(text, " {bounds}");
    }
    if let Some(default) = port.default.as_ref().filter(|default| !default.is_null()) {
        let _ = write!(text, "; {} where it is not given", line(&shown(default)));
    }
    text
}

/// Writes a comment, broken where it is long.
fn comment(text: &mut String, indent: usize, words: &str) {
    let indent = " ".repeat(indent);
    let mut current = String::new();
    for word in line(words).split(' ') {
        if !current.is_empty() && indent.len() + 3 + current.chars().count() + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{indent}# {current}");
            current.clear();
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    if !current.is_empty() {
        let _ = writeln!(text, "{indent}# {current}");
    }
}

/// Says whether YAML prints a character as it is.
fn is_printable(c: char) -> bool {
    !c.is_control() && !('\u{2028}'..='\u{2029}').contains(&c) && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Returns a text on one line, without what YAML does not print.
fn line(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_printable(c) { c } else { ' ' }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a text as a YAML scalar, in quotes where it needs them.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '_' | '-' | '/' | '.'))
        && !text.ends_with(' ')
        && !NO_TEXT.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { quoted(text) }
}

/// Returns a text in double quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if !is_printable(c) => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Returns a value in the flow style of YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => scalar(text),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let entries: Vec<_> = map.iter().map(|(key, value)| format!("{}: {}", scalar(key), flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// Returns a name in the letters of identifiers: "Aspect Ratio" is `aspect_ratio`.
fn identifier(name: &str, otherwise: &str) -> String {
    let slug = slug(name, otherwise).replace('-', "_");
    if slug.starts_with(|c: char| c.is_ascii_digit()) { format!("_{slug}") } else { slug }
}

/// Returns a name in small letters, digits and dashes.
fn slug(name: &str, otherwise: &str) -> String {
    const LONGEST: usize = 60;
    let letters: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let mut slug = letters.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    slug.truncate(LONGEST);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { otherwise.to_owned() } else { slug.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Target;

    #[test]
    fn texts_are_quoted_where_yaml_reads_them_otherwise() {
        for (text, expected) in [
            ("google/nano-banana", "google/nano-banana"),
            ("Input Images", "Input Images"),
            ("1:1", r#""1:1""#),
            ("true", r#""true""#),
            ("a: b", r#""a: b""#),
            ("a #b", r#""a #b""#),
            ("- a", r#""- a""#),
            ("Größe", r#""Größe""#),
            ("a\n\"b\"\u{7f}", "\"a\\n\\\"b\\\"\\u007f\""),
            ("", r#""""#),
        ] {
            assert_eq!(scalar(text), expected);
            let read: String = serde_yaml::from_str(&scalar(text)).expect("text");
            assert_eq!(read, text);
        }
    }

    #[test]
    fn an_app_is_written_whole() {
        let port = |id: &str, label: &str, kind| Port { label: Some(label.to_owned()), ..Port::new(id, kind) };
        let ports = vec![
            Port {
                options: vec![json!("auto"), json!("1:1")],
                default: Some(json!("auto")),
                ..port("n2", "Aspect Ratio", ValueKind::Text)
            },
            Port { required: true, many: true, ..port("n1", "Input Images", ValueKind::Image) },
            Port {
                minimum: Some(1.0),
                maximum: Some(50.0),
                default: Some(json!(99)),
                ..port("n3", "Steps", ValueKind::Integer)
            },
        ];
        let target = Target { kind: TargetKind::App, id: "app_7".to_owned() };
        let contract = Contract {
            unchecked: false,
            open: false,
            description: Some("A sketch\nbecomes a picture.".to_owned()),
            cost: Some(200.0),
            output: Some(ValueKind::Image),
            ports,
            ..Contract::unchecked(target, "Sketch to Render")
        };
        assert_eq!(
            scaffold("armox", &contract),
            r#"# Runs the app Sketch to Render; a run costs 200 credits; it gives image.
# A sketch becomes a picture.
version: 1
name: sketch-to-render
description: A sketch becomes a picture.

inputs:
  # Input Images: a list of image URLs, required.
  input_images: { type: file, media: image }
  # Aspect Ratio: one of `auto`, `1:1`; `auto` where it is not given.
  aspect_ratio: { type: string, enum: [auto, "1:1"], default: auto }
  # Steps: a whole number from 1 to 50; `99` where it is not given.
  steps: { type: integer, minimum: 1, maximum: 50, optional: true }

steps:
  sketch_to_render:
    provider: armox
    app: app_7  # Sketch to Render
    inputs:
      Input Images: ["{{ inputs.input_images }}"]
      Aspect Ratio: "{{ inputs.aspect_ratio }}"
      Steps: "{{ inputs.steps }}"
    save: true

outputs:
  images: "{{ steps.sketch_to_render.images }}"
"#
        );
    }

    #[test]
    fn an_operation_that_must_be_named_is_named() {
        let mode = Mode {
            name: "search".to_owned(),
            schema: Some(
                json!({"required": ["query"], "properties": {"query": {"type": "string", "description": "What to look for."}}}),
            ),
            params: Some(
                json!({"required": ["top_k"], "properties": {"top_k": {"type": "integer"}, "rerank": {"type": "boolean"}}}),
            ),
            needs_scope: Some(true),
        };
        let target = Target { kind: TargetKind::Model, id: "demo-search".to_owned() };
        let contract = Contract::unchecked(target, "Demo Search").with_modes(vec![mode]).0;
        let text = scaffold("aimp", &contract);
        let read: Value = serde_yaml::from_str(&text).expect("YAML");
        assert_eq!(
            read["steps"]["demo_search"],
            json!({
                "provider": "aimp", "model": "demo-search", "mode": "search", "scope": "{{ inputs.scope }}",
                "inputs": {"query": "{{ inputs.query }}"}, "params": {"top_k": "{{ inputs.top_k_param }}"},
            })
        );
        assert_eq!(read["inputs"]["query"], json!({"type": "string", "description": "What to look for."}));
        assert!(text.contains("# `params` may also hold `rerank` (true or false)."), "{text}");
    }
}
