//! The pages that are made from the code: every key, every command, every event, every error.

use std::{fmt::Write as _, fs};

use dagwood::{
    diagnostic::{Code, explain::explain},
    project,
    spec::{duration::Period, keys, schema},
};
use serde_json::Value;

use super::{commands, reading::folder};
use crate::update;

const MARK: &str = "<!-- Made from the code by tests/it/book/generated.rs; `DAGWOOD_UPDATE=1` writes it anew. -->";

fn committed(name: &str, text: &str) {
    let path = folder().join(name);
    if update() {
        fs::write(&path, text).expect("the page can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/{name} is not what the code makes: run the tests with DAGWOOD_UPDATE=1");
}

#[test]
fn the_page_of_keys_is_up_to_date() {
    committed("keys.md", &keys_page());
}

#[test]
fn the_page_of_commands_is_up_to_date() {
    committed("commands.md", &commands_page());
}

#[test]
fn the_page_of_events_is_up_to_date() {
    committed("events.md", &events_page());
}

#[test]
fn the_page_of_errors_is_up_to_date() {
    committed("errors.md", &errors_page());
}

/// What a step fails with is told on the page of failures.
#[test]
fn every_kind_of_failure_is_in_the_book() {
    let page = fs::read_to_string(folder().join("language/failures.md")).expect("the page of failures");
    let kinds = &events()["$defs"]["ErrorKind"]["oneOf"];
    let kinds: Vec<&str> = kinds.as_array().expect("kinds").iter().filter_map(|kind| kind["const"].as_str()).collect();
    assert!(kinds.len() > 10, "{kinds:?}");
    for kind in kinds {
        assert!(page.contains(&format!("\n| `{kind}` |")), "docs/language/failures.md says nothing of `{kind}`");
    }
}

fn events() -> Value {
    let path = folder().join("../schemas/event.schema.json");
    serde_json::from_str(&fs::read_to_string(path).expect("a schema")).expect("JSON")
}

/// The maps of the language: a heading, the place in the schema, and a sentence about it.
const MAPS: [(&str, &str, &str); 15] = [
    ("A workflow", "", "The keys at the top of a file. [More](language/workflow.md)."),
    ("`defaults`", "/properties/defaults", "[More](language/workflow.md#defaults)."),
    (
        "`concurrency`",
        "/properties/concurrency/anyOf/1",
        "As a map; a number alone is `steps`. [More](language/workflow.md#concurrency).",
    ),
    ("`budget`", "/properties/budget", "At least one of the two. [More](language/workflow.md#budget)."),
    (
        "An entry of `schedule`",
        "/properties/schedule/items",
        "`cron` is needed. [More](language/workflow.md#schedule).",
    ),
    ("An entry of `notify`", "/properties/notify/items", "`url` is needed. [More](language/workflow.md#notify)."),
    ("An input", "/$defs/input", "Beside the words of JSON Schema. [More](language/inputs.md)."),
    ("A step", "/$defs/step", "Exactly one of the first seven. [More](language/steps.md)."),
    ("`http`", "/$defs/http", "`url` is needed. [More](language/steps.md#http)."),
    ("`retry`", "/$defs/retry", "[More](language/failures.md#retry)."),
    ("`retry.backoff`", "/$defs/retry/properties/backoff", "[More](language/failures.md#retry)."),
    ("An entry of `fallback`", "/$defs/step/properties/fallback/items", "[More](language/failures.md#fallback)."),
    ("`cache`", "/$defs/cache/anyOf/1", "As a map; `true` alone sets no bounds. [More](language/results.md#cache)."),
    (
        "`expect`",
        "/$defs/step/properties/expect/anyOf/2",
        "As a map; else it is an expression, or a list of them. [More](language/results.md#expect).",
    ),
    ("`estimate`", "/$defs/estimate", "[More](language/steps.md#estimate)."),
];

fn keys_page() -> String {
    let whole = schema::workflow_schema();
    let mut page = format!(
        "# Every key\n\n{MARK}\n\nThe tables are those of the schema that editors read (`schemas/workflow.schema.json`, `schemas/project.schema.json`; `dagwood schema` \
         and `dagwood schema project` print them). A key that is not here is an error, with the nearest one as a hint; keys that begin with `x-` are free.\n"
    );
    for (title, pointer, more) in MAPS {
        let part = whole.pointer(pointer).expect(pointer);
        let _ = write!(page, "\n## {title}\n\n{more}\n\n");
        let own = |name: &str| pointer != "/$defs/input" || keys::INPUT.iter().any(|key| key.name == name);
        table(&mut page, &whole, part, own);
    }
    page.push_str("\n## The words of JSON Schema\n\nAn input may use these beside its own keys.\n\n");
    table(&mut page, &whole, &whole["$defs"]["input"], |name| keys::SCHEMA_WORDS.contains(&name));
    let project = project::schema::project_schema();
    page.push_str("\n## The project file\n\n`dagwood.yaml`. [More](language/project.md).\n\n");
    table(&mut page, &project, &project, |_| true);
    for (kind, title) in
        [("armox", "An account of Armox"), ("airmy", "An account of AIRMY"), ("aimp", "A workspace of AIMP")]
    {
        let _ = write!(page, "\n## {title}\n\nAn entry of `providers` with `kind: {kind}`.\n\n");
        table(&mut page, &project, &project["$defs"][kind], |_| true);
    }
    page
}

fn table(page: &mut String, whole: &Value, part: &Value, own: impl Fn(&str) -> bool) {
    page.push_str("| key | value | default | what it says |\n| --- | --- | --- | --- |\n");
    for (name, key) in part["properties"].as_object().expect("a map of the language") {
        if !own(name) {
            continue;
        }
        let referred = key["$ref"].as_str().and_then(|to| whole.pointer(to.trim_start_matches('#')));
        let get = |word: &str| key.get(word).or_else(|| referred?.get(word));
        let default = get("default").map_or_else(String::new, |value| format!("`{}`", flow(value)));
        let text = key["description"].as_str().unwrap_or_default();
        // The default has a column of its own.
        let told = get("default").map(|value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned));
        let text = told.map_or(text, |told| text.trim_end_matches(&format!(" Default: `{told}`.")));
        let example = get("examples").and_then(|examples| examples.get(0)).map(flow);
        let example = example.map_or_else(String::new, |example| format!(" Example: `{example}`"));
        let words = get("enum").or_else(|| get("items")?.get("enum")).and_then(Value::as_array);
        let texts = get("enumDescriptions").or_else(|| get("items")?.get("enumDescriptions")).and_then(Value::as_array);
        let pairs = words.into_iter().flatten().zip(texts.into_iter().flatten());
        let pairs = pairs.map(|(word, text)| format!(" `{}`: {}", flow(word), text.as_str().unwrap_or_default()));
        let words = pairs.collect::<Vec<_>>().concat();
        let row = [format!("`{name}`"), kind(whole, key), default, format!("{text}{words}{example}")];
        let cells: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        let _ = writeln!(page, "| {} |", cells.join(" | "));
    }
}

/// Says what a value may be.
fn kind(whole: &Value, schema: &Value) -> String {
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| format!("`{}`", flow(word))).collect::<Vec<_>>().join(", ");
    }
    if let Some(value) = schema.get("const") {
        return format!("`{}`", flow(value));
    }
    if let Some(name) = schema["$ref"].as_str() {
        return match name.rsplit('/').next() {
            Some("duration") => "duration".to_owned(),
            Some("name") => "name".to_owned(),
            _ => kind(whole, whole.pointer(name.trim_start_matches('#')).expect(name)),
        };
    }
    if let Some(forms) = schema["anyOf"].as_array().filter(|_| schema.get("type").is_none()) {
        return forms.iter().map(|form| kind(whole, form)).collect::<Vec<_>>().join(" or ");
    }
    if schema["pattern"].as_str().is_some_and(|pattern| pattern.contains("ms)?")) {
        return "duration".to_owned();
    }
    let word = |word: &str| match word {
        "object" => "map".to_owned(),
        "array" => match schema.get("items").map(|items| kind(whole, items)) {
            Some(items) if items != "anything" => format!("list of {items}"),
            _ => "list".to_owned(),
        },
        "integer" => "whole number".to_owned(),
        other => other.to_owned(),
    };
    match &schema["type"] {
        Value::String(one) => word(one),
        Value::Array(several) => several.iter().filter_map(Value::as_str).map(word).collect::<Vec<_>>().join(" or "),
        _ => "anything".to_owned(),
    }
}

/// Writes a value in one line, as a person would write it in YAML.
fn flow(value: &Value) -> String {
    match value {
        Value::Object(entries) if entries.is_empty() => "{}".to_owned(),
        Value::Object(entries) => {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::String(text) => {
            let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_alphanumeric() || " _-./%".contains(c));
            if is_word || text.parse::<Period>().is_ok() { text.clone() } else { value.to_string() }
        }
        other => other.to_string(),
    }
}

fn commands_page() -> String {
    let helps = commands::helps();
    let whole = &helps[""];
    let mut page = format!(
        "# Every command\n\n{MARK}\n\nWhat each command says of itself under `--help`. [The interface](interface.md) says what they print and how they end.\n\n\
         ```text\n{}```\n",
        trimmed(whole)
    );
    let mut names = Vec::new();
    for command in commands::subcommands(whole) {
        let below = commands::subcommands(&helps[&command]).into_iter().map(|below| format!("{command} {below}"));
        names.push(command.clone());
        names.extend(below);
    }
    for name in names {
        // What holds everywhere is told once.
        let (own, _) = helps[&name].split_once("\nEverywhere:").unwrap_or((&helps[&name], ""));
        let _ = write!(page, "\n## dagwood {name}\n\n```text\n{}```\n", trimmed(own));
    }
    page
}

fn trimmed(help: &str) -> String {
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    lines.join("\n") + "\n"
}

fn events_page() -> String {
    let whole = events();
    let mut page = format!(
        "# Every event\n\n{MARK}\n\nA run is a list of events, and everything that is said of it is read from them. `dagwood run --format json` and `dagwood logs -f --format json` \
         print one a line, `dagwood logs --format json` prints them as one list; `schemas/event.schema.json` is the whole of each. Fields may be added; none is removed or renamed.\n\nEvery event has these:\n\n\
         | field | what it says |\n| --- | --- |\n"
    );
    fields(&mut page, &whole["properties"]);
    page.push_str("| `kind` | Which of the events below it is. |\n");
    for event in whole["oneOf"].as_array().expect("the kinds of events") {
        let name = event["properties"]["kind"]["const"].as_str().expect("a kind");
        let _ = write!(page, "\n## {name}\n\n{}\n", line(&event["description"]));
        let referred = event["$ref"].as_str().and_then(|to| whole.pointer(to.trim_start_matches('#')));
        let own = [Some(event), referred];
        let all = own.iter().flatten().map(|part| part["properties"].as_object().map_or(0, serde_json::Map::len));
        if all.sum::<usize>() > 1 {
            page.push_str("\n| field | what it says |\n| --- | --- |\n");
            for part in own.iter().flatten() {
                fields(&mut page, &part["properties"]);
            }
        }
    }
    page
}

fn fields(page: &mut String, properties: &Value) {
    for (name, field) in properties.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind") {
        let _ = writeln!(page, "| `{name}` | {} |", line(&field["description"]).replace('|', "\\|"));
    }
}

fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().replace('\n', " ")
}

fn errors_page() -> String {
    let mut page = format!(
        "# Every error\n\n{MARK}\n\nA code stands in brackets behind `error` or `warning`, and `dagwood explain DW204` says in a terminal what stands here. `dagwood explain` lists them all. A code keeps its number for \
         ever. The examples are tested: the wrong one gives just that code, the right one none.\n"
    );
    let chapters = [
        (1, "Reading a workflow"),
        (2, "What the targets take"),
        (3, "Templates"),
        (4, "The plan"),
        (5, "The inputs of a run"),
        (6, "Providers"),
        (7, "Other files"),
    ];
    for (hundred, chapter) in chapters {
        let _ = write!(page, "\n## {chapter}\n");
        for &code in Code::ALL.iter().filter(|code| code.number() / 100 == hundred) {
            let explanation = explain(code);
            let _ = write!(page, "\n### {code}\n\n**{}.** {}\n", explanation.title, explanation.text);
            if let Some(why) = explanation.no_example {
                let _ = write!(page, "\nNo example: {why}.\n");
            }
            let of = if code.is_of_project() { " project" } else { "" };
            let several = explanation.several.iter().flat_map(|(wrong, right)| [("Wrong", wrong), ("Right", right)]);
            for (word, example) in several {
                let _ = write!(page, "\n{word}:\n");
                for (path, text) in example.files {
                    let is_yaml = std::path::Path::new(path).extension().is_some_and(|extension| extension == "yaml");
                    let language = if is_yaml { "yaml example" } else { "text" };
                    let text = text.trim_end();
                    let _ = write!(page, "\n`{path}`{}:\n\n```{language}\n{text}\n```\n", example.saved());
                }
                let _ = write!(page, "\n```sh\n{}\n```\n", example.commands.join("\n"));
            }
            if let Some(wrong) = explanation.wrong {
                let _ = write!(page, "\nWrong:\n\n```yaml{of} wrong {code}\n{}\n```\n", wrong.trim_end());
            }
            if let Some(right) = explanation.right {
                let _ = write!(page, "\nRight:\n\n```yaml{of}\n{}\n```\n", right.trim_end());
            }
        }
    }
    page
}
