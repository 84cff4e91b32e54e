//! Every block of YAML is what it says it is, and nothing is wrong with it.

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path, sync::Arc};

use dagwood::{
    diagnostic::{Code, Diagnostic, render},
    project,
    sandbox::FaultScript,
    source::Source,
    spec::{
        keys::{self, Key},
        schema, yaml,
    },
};
use serde_json::Value;

use super::{
    commands,
    reading::{Block, blocks, pages},
};
use crate::diagnostics;

/// The inputs that parts of workflows may read.
const INPUTS: &str = r#"  subject: { type: string, default: a lighthouse }
  product: { type: string, default: Fjord armchair }
  aspect: { type: string, enum: ["1:1", "16:9", "4:5"], default: "16:9" }
  formats: { type: array, items: { type: string }, default: ["1:1", "4:5", "16:9"] }
  sketch: { type: file, media: image, default: "https://example.com/sketch.png" }
  count: { type: integer, default: 2 }
"#;

/// The steps that parts of workflows may mention.
const STEPS: [(&str, &str); 4] = [
    ("render", "{ model: google/nano-banana, inputs: { prompt: A house by the sea } }"),
    ("caption", "{ model: openai/gpt-5-mini, inputs: { prompt: A caption } }"),
    ("clip", "{ model: kling/video, inputs: { prompt: Slow zoom } }"),
    ("crops", "{ model: google/nano-banana, inputs: { prompt: Another one } }"),
];

/// Returns the whole workflow that a block is, or is a part of; none where it is something else.
fn workflow(block: &Block) -> Option<String> {
    match block.words().as_slice() {
        [] => Some(block.text.clone()),
        ["step"] => Some(whole("", &block.text)),
        ["top"] => Some(whole(&block.text, "")),
        ["inputs"] => Some(format!("inputs:\n{}steps:\n{}", indented(&block.text), stubs(&block.text))),
        _ => None,
    }
}

/// Returns what is wrong with a block; `folder` holds the files of its section.
pub(super) fn judge(block: &Block, folder: &Path) -> Vec<String> {
    let words = block.words();
    let said = |problem: String| vec![format!("{}: {problem}", block.place)];
    let told = |found: &[Diagnostic]| {
        // What stands around a part of a workflow is not all used by it.
        let around = |code| !words.is_empty() && matches!(code, Code::Unused | Code::UnusedStep);
        let found: Vec<Diagnostic> = found.iter().filter(|found| !around(found.code)).cloned().collect();
        if found.is_empty() { Vec::new() } else { said(render::human(&found, false)) }
    };
    let promised = |code: &str, found: &[Diagnostic]| {
        let mut codes: Vec<String> = found.iter().map(|found| found.code.to_string()).collect();
        codes.dedup();
        if codes == [code] { Vec::new() } else { said(format!("{code} was promised, and told are {codes:?}")) }
    };
    if let Some(text) = workflow(block) {
        let is_known = |key: &str| key.starts_with("x-") || keys::WORKFLOW.iter().any(|known| known.name == key);
        if words.is_empty() && !first_key(&text).is_some_and(is_known) {
            return said("a part of a workflow needs a word behind `yaml` that says of what".to_owned());
        }
        let problems = told(&check(block, &text, folder));
        return if problems.is_empty() {
            unfit(&text, &schema::workflow_schema()).map(said).unwrap_or_default()
        } else {
            problems
        };
    }
    match words.as_slice() {
        ["wrong", code] => promised(code, &check(block, &block.text, folder)),
        ["project"] => {
            let problems = told(&of_project(&block.text, folder));
            let schema = project::schema::project_schema();
            if problems.is_empty() { unfit(&block.text, &schema).map(said).unwrap_or_default() } else { problems }
        }
        ["project", "wrong", code] => promised(code, &of_project(&block.text, folder)),
        // A file of an example: it may be wrong, and the test of the explanations sees what comes of it.
        ["example"] => Vec::new(),
        ["faults"] => FaultScript::parse(&block.text).err().map(|error| said(error.to_string())).unwrap_or_default(),
        ["given"] => match read(&block.text) {
            Ok(Value::Object(_)) => Vec::new(),
            Ok(_) => said("a file of inputs is a map".to_owned()),
            Err(found) => told(&found),
        },
        ["cases"] => match read(&block.text) {
            Ok(value) => cases(&value).map(said).unwrap_or_default(),
            Err(found) => told(&found),
        },
        // What another program reads: that it is YAML, and that its commands are right.
        ["ci"] => match read(&block.text) {
            Ok(_) => commands::in_text(&block.place, &block.text),
            Err(found) => told(&found),
        },
        words => said(format!("nobody knows what `yaml {}` is", words.join(" "))),
    }
}

/// Says why an editor would underline what is right.
fn unfit(text: &str, schema: &Value) -> Option<String> {
    let validator = jsonschema::validator_for(schema).expect("a schema");
    let value = read(text).ok()?;
    let error = validator.iter_errors(&value).next()?;
    Some(format!("the schema refuses it at `{}`: {error}", error.instance_path()))
}

fn check(block: &Block, text: &str, folder: &Path) -> Vec<Diagnostic> {
    let path = block.file().map_or_else(|| folder.join("workflows/block.yaml"), |file| folder.join(file));
    fs::write(&path, text).expect("a file of the test's own");
    diagnostics::check(&path)
}

fn of_project(text: &str, folder: &Path) -> Vec<Diagnostic> {
    project::load(&Arc::new(Source::new(project::FILE, text)), folder.to_owned()).1
}

fn read(text: &str) -> Result<Value, Vec<Diagnostic>> {
    let reading = yaml::read(&Arc::new(Source::new("block.yaml", text)));
    match reading.value {
        Some(value) if reading.diagnostics.is_empty() => Ok(value),
        _ => Err(reading.diagnostics),
    }
}

/// Says what is wrong with a file of tests.
fn cases(value: &Value) -> Option<String> {
    let Some(cases) = value["cases"].as_array().filter(|_| value["workflow"].is_string()) else {
        return Some("a file of tests has `workflow` and `cases`".to_owned());
    };
    let known = ["name", "inputs", "mocks", "expect"];
    let strange = |case: &Value| case.as_object()?.keys().find(|key| !known.contains(&key.as_str())).cloned();
    cases.iter().find_map(strange).map(|key| format!("a case has no key `{key}`"))
}

/// Wraps keys of the top level, and steps, into a workflow with what they may mention.
fn whole(top: &str, steps: &str) -> String {
    let mut text = String::new();
    if !top.lines().any(|line| line.starts_with("inputs:")) {
        let _ = write!(text, "inputs:\n{INPUTS}");
    }
    if !top.lines().any(|line| line.starts_with("secrets:")) {
        text.push_str("secrets: [TOKEN, SLACK_URL]\n");
    }
    if !top.lines().any(|line| line.starts_with("vars:")) {
        text.push_str("vars: { look: soft light }\n");
    }
    text.push_str(top);
    if !top.lines().any(|line| line.starts_with("steps:")) {
        let _ = write!(text, "steps:\n{}{}", indented(steps), stubs(steps));
    }
    text
}

fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |mut indented, line| {
        let _ = writeln!(indented, "  {line}");
        indented
    })
}

fn stubs(steps: &str) -> String {
    let missing = STEPS.iter().filter(|(id, _)| !steps.lines().any(|line| line.starts_with(&format!("{id}:"))));
    missing.fold(String::new(), |mut stubs, (id, step)| {
        let _ = writeln!(stubs, "  {id}: {step}");
        stubs
    })
}

fn first_key(text: &str) -> Option<&str> {
    let line = text.lines().find(|line| !line.starts_with('#') && !line.trim().is_empty())?;
    line.split_once(':').map(|(key, _)| key)
}

/// Lays the files of a section into a folder, and a picture that they may read.
pub(super) fn lay<'b>(folder: &Path, section: impl IntoIterator<Item = &'b Block>) {
    let picture = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows/assets/sketch.png");
    fs::create_dir_all(folder.join("workflows")).expect("a folder of the test's own");
    for place in ["sketch.png", "workflows/sketch.png"] {
        fs::copy(&picture, folder.join(place)).expect("a picture");
    }
    for block in section {
        if let Some(file) = block.file() {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
            fs::write(path, &block.text).expect("a file of the test's own");
        }
    }
}

fn problems_of(all: &[Block]) -> Vec<String> {
    let mut problems = Vec::new();
    for block in all.iter().filter(|block| block.language() == "yaml") {
        let folder = tempfile::tempdir().expect("a folder");
        lay(folder.path(), all.iter().filter(|other| other.section == block.section));
        problems.extend(judge(block, folder.path()));
    }
    problems
}

/// What a terminal shows of a wrong block stands behind it, as `text told`.
#[test]
fn what_is_told_of_a_wrong_block_is_what_is_told() {
    let mut checked = 0;
    for page in pages() {
        let found = blocks(&page);
        for pair in found.windows(2).filter(|pair| pair[1].language() == "text" && pair[1].words() == ["told"]) {
            let folder = tempfile::tempdir().expect("a folder");
            lay(folder.path(), &found);
            let told = render::human(&check(&pair[0], &pair[0].text, folder.path()), false);
            assert_eq!(pair[1].text.trim_end(), told.trim_end(), "{}", pair[1].place);
            checked += 1;
        }
    }
    assert!(checked > 0);
}

#[test]
fn every_block_of_yaml_is_right() {
    let (mut checked, mut problems) = (0, Vec::new());
    for page in pages() {
        let found = blocks(&page);
        checked += found.iter().filter(|block| block.language() == "yaml").count();
        problems.extend(problems_of(&found));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    assert!(checked > 150, "{checked}");
}

/// Collects which keys of which map the workflows in the blocks use.
fn used(blocks: &[Block]) -> BTreeSet<(&'static str, String)> {
    let mut used = BTreeSet::new();
    for value in blocks.iter().filter_map(workflow).filter_map(|text| read(&text).ok()) {
        let mut note = |map: &'static str, value: &Value| {
            used.extend(value.as_object().into_iter().flatten().map(|(key, _)| (map, key.clone())));
        };
        note("workflow", &value);
        for map in ["defaults", "concurrency", "budget"] {
            note(map, &value[map]);
        }
        for map in ["schedule", "notify"] {
            value[map].as_array().into_iter().flatten().for_each(|entry| note(map, entry));
        }
        value["inputs"].as_object().into_iter().flatten().for_each(|(_, input)| note("input", input));
        for (_, step) in ["steps", "finally"].iter().filter_map(|map| value[map].as_object()).flatten() {
            note("step", step);
            for map in ["http", "retry", "cache", "expect", "estimate"] {
                note(map, &step[map]);
            }
            note("backoff", &step["retry"]["backoff"]);
            step["fallback"].as_array().into_iter().flatten().for_each(|entry| note("fallback", entry));
        }
    }
    used
}

/// Returns the keys of the language that no block shows.
fn unshown(blocks: &[Block]) -> Vec<String> {
    let used = used(blocks);
    let maps: [(&'static str, &[Key]); 15] = [
        ("workflow", keys::WORKFLOW),
        ("input", keys::INPUT),
        ("defaults", keys::DEFAULTS),
        ("concurrency", keys::CONCURRENCY),
        ("budget", keys::BUDGET),
        ("schedule", keys::SCHEDULE),
        ("notify", keys::NOTIFY),
        ("step", keys::STEP),
        ("http", keys::HTTP),
        ("retry", keys::RETRY),
        ("backoff", keys::BACKOFF),
        ("cache", keys::CACHE),
        ("expect", keys::EXPECT),
        ("estimate", keys::ESTIMATE),
        ("fallback", keys::FALLBACK),
    ];
    let all = maps.iter().flat_map(|(map, keys)| keys.iter().map(|key| (*map, key.name.to_owned())));
    all.filter(|key| !used.contains(key)).map(|(map, key)| format!("{map}.{key}")).collect()
}

#[test]
fn every_key_has_an_example() {
    let language = pages().into_iter().filter(|page| page.name.starts_with("language/"));
    let mut blocks: Vec<Block> =
        language.flat_map(|page| blocks(&page)).filter(|block| block.language() == "yaml").collect();
    assert_eq!(unshown(&blocks), Vec::<String>::new());
    let projects = blocks.iter().filter(|block| block.words() == ["project"]).map(|block| block.text.as_str());
    let projects = projects.collect::<String>();
    let schema = project::schema::project_schema();
    for map in ["", "/$defs/armox", "/$defs/airmy", "/$defs/aimp", "/$defs/aimp/properties/status_words"] {
        for (key, _) in schema.pointer(map).and_then(|map| map["properties"].as_object()).expect("a map of keys") {
            assert!(projects.contains(&format!("{key}:")), "no project file of the book has `{key}`");
        }
    }
    // The control.
    blocks.retain(|block| !block.text.contains("jitter"));
    let missing = unshown(&blocks);
    assert!(
        missing.contains(&"schedule.jitter".to_owned()) && !missing.contains(&"step.model".to_owned()),
        "{missing:?}"
    );
}

/// The control: each kind of block, made wrong, is told of.
#[test]
fn wrong_blocks_are_found() {
    let wrong = [
        ("yaml", "render:\n  model: google/nano-banana\n", "needs a word"),
        ("yaml", "steps:\n  a: { model: google/nano-bananna, inputs: { prompt: x } }\n", "DW201"),
        ("yaml step", "a:\n  model: google/nano-banana\n  inputs: { prompt: \"{{ inputs.subjet }}\" }\n", "DW303"),
        ("yaml step", "a:\n  model: google/nano-banana\n  inputs: { prompt: x, aspekt: y }\n", "DW211"),
        ("yaml inputs", "a: { type: strin }\n", "DW122"),
        ("yaml top", "failure_policy: stop\n", "DW124"),
        ("yaml project", "stat: x\n", "DW103"),
        ("yaml faults", "- { on: sometimes, do: refuse }\n", "cannot be read"),
        ("yaml given", "- a\n", "is a map"),
        ("yaml cases", "workflow: a.yaml\ncases: [{ name: a, expects: {} }]\n", "no key `expects`"),
        ("yaml ci", "run: dagwood rum launch\n", "no command `rum`"),
        ("yaml wrong DW103", "steps: { a: { set: {} } }\n", "was promised"),
        ("yaml project wrong DW704", "state: x\n", "was promised"),
        ("yaml stpe", "a: 1\n", "nobody knows"),
    ];
    for (info, text, expected) in wrong {
        let block = Block {
            place: "docs/wrong.md:1".to_owned(),
            section: String::new(),
            info: info.split(' ').map(ToOwned::to_owned).collect(),
            text: text.to_owned(),
        };
        let found = problems_of(&[block]).join("\n");
        assert!(found.contains(expected), "`{info}`, {text}: {found}");
    }
}
