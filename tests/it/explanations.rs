//! What `dagwood explain` shows is true: each example is laid into a folder, and the program says of the wrong one just its code, of the right one
//! nothing.

use std::{collections::BTreeSet, fs, process::Command, thread};

use dagwood::diagnostic::{Code, explain::explain};
use regex::Regex;

use crate::cli::Scene;

/// The workflow beside a project file that is itself the example.
const WORKFLOW: &str = "steps:\n  render:\n    model: google/nano-banana\n    inputs: { prompt: A house by the sea }\n";

/// The codes without an example, each with why it can have none.
const WITHOUT: [(Code, &str); 2] = [
    (Code::TooManySteps, "more than 200,000 steps, each with a name of its own"),
    (Code::TooManyItems, "more than 100,000 items, which no aliases may stand for"),
];

/// Lays files into a folder, types commands there, and returns the codes that the last one tells of, and all that it says.
fn told(files: &[(&str, Vec<u8>)], commands: &[&str]) -> (Vec<String>, String) {
    let scene = Scene::new();
    fs::remove_dir_all(scene.path("workflows")).expect("the scene has workflows");
    for (path, bytes) in files {
        scene.file(path, bytes);
    }
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_dagwood")).parent().expect("it lies in a folder").display();
    let mut said = String::new();
    for line in commands {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]).current_dir(scene.path("")).env_clear().envs(&scene.environment);
        command.env("PATH", format!("{binary}:/usr/bin:/bin"));
        said = scene.finish(command).all();
    }
    let code = Regex::new(r"(?:error|warning)\[(DW[0-9]+)\]").expect("a pattern");
    let codes: BTreeSet<String> = code.captures_iter(&said).map(|found| found[1].to_owned()).collect();
    (codes.into_iter().collect(), said)
}

/// Returns what an explanation says that is not so.
fn problems(code: Code) -> Vec<String> {
    let explanation = explain(code);
    let mut problems = Vec::new();
    let mut look = |expected: &[String], files: &[(&str, Vec<u8>)], commands: &[&str]| {
        let (codes, said) = told(files, commands);
        if codes != expected {
            problems.push(format!("{code}: {codes:?} are told, not {expected:?}\n{said}"));
        }
    };
    let own = [code.to_string()];
    for (text, expected) in [(explanation.wrong, &own[..]), (explanation.right, &[])] {
        let Some(text) = text else { continue };
        let files = if code.is_of_project() {
            vec![("dagwood.yaml", text.into()), ("workflows/example.yaml", WORKFLOW.into())]
        } else {
            vec![("workflows/example.yaml", text.into())]
        };
        look(expected, &files, &["dagwood validate --sandbox"]);
    }
    if let Some((wrong, right)) = explanation.several {
        for (example, expected) in [(wrong, &own[..]), (right, &[])] {
            let files = example.files.iter().map(|(path, text)| (*path, example.bytes(text)));
            look(expected, &files.collect::<Vec<_>>(), example.commands);
        }
    }
    problems
}

#[test]
fn the_program_says_of_each_example_what_its_explanation_does() {
    let problems: Vec<String> = thread::scope(|scope| {
        let parts: Vec<_> = Code::ALL
            .chunks(Code::ALL.len().div_ceil(4))
            .map(|codes| scope.spawn(|| codes.iter().flat_map(|&code| problems(code)).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("it ends")).collect()
    });
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
}

#[test]
fn every_code_has_an_example_but_for_a_reason() {
    let without: Vec<Code> = Code::ALL
        .iter()
        .copied()
        .filter(|&code| explain(code).wrong.is_none() && explain(code).several.is_none())
        .collect();
    assert_eq!(without, WITHOUT.map(|(code, _)| code));
}

#[test]
fn an_explanation_that_is_not_true_is_found() {
    let right = WORKFLOW.as_bytes().to_vec();
    let wrong = WORKFLOW.replace("nano-banana", "nano-bananna").into_bytes();
    let validate = ["dagwood validate --sandbox"];
    assert_eq!(told(&[("workflows/example.yaml", right)], &validate).0, Vec::<String>::new());
    assert_eq!(told(&[("workflows/example.yaml", wrong)], &validate).0, ["DW201"]);
}

#[test]
fn without_a_code_all_are_listed() {
    let scene = Scene::new();
    let ran = scene.run(&["explain"]);
    assert_eq!(ran.code, Some(0), "{}", ran.all());
    assert_eq!(ran.raw.lines().count(), Code::ALL.len(), "{}", ran.all());
    assert!(ran.raw.contains("DW204  The target has no such input\n"), "{}", ran.all());
    let listed = scene.run(&["explain", "--format", "json"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(Code::ALL.len()));
    let files = scene.run(&["explain", "DW602", "--format", "json"]).json();
    assert!(files["wrong_files"]["files"]["dagwood.yaml"].is_string(), "{files}");
}
