//! Every recipe of the cookbook is run, and the first run with them, as it stands, in the emulator.
//!
//! A recipe is a section: the blocks with `file=` are its files, the lines of its `sh` blocks are run one after the other in a folder of
//! their own, and `# exit N` behind a line says how it ends where that is not 0, `# prints TEXT` what it prints.

use std::{process::Command, thread};

use regex::Regex;

use super::{
    blocks::lay,
    reading::{Block, blocks, pages},
};
use crate::cli::Scene;

/// Returns the recipes: a name, and the blocks of each.
fn recipes() -> Vec<(String, Vec<Block>)> {
    let mut recipes: Vec<(String, Vec<Block>)> = Vec::new();
    for page in pages().iter().filter(|page| ["cookbook.md", "first-run.md"].contains(&page.name.as_str())) {
        for mut block in blocks(page) {
            // The first run is one recipe, told in several sections.
            if page.name == "first-run.md" {
                "The first run".clone_into(&mut block.section);
            }
            match recipes.last_mut() {
                Some((name, own)) if *name == block.section => own.push(block),
                _ => recipes.push((block.section.clone(), vec![block])),
            }
        }
    }
    recipes
}

/// Runs a recipe; returns what did not end as it says.
#[cfg(unix)]
fn cook(blocks: &[Block]) -> Vec<String> {
    let scene = Scene::new();
    lay(&scene.path(""), blocks);
    let exit = Regex::new(r"# exit ([0-9]+)$").expect("a pattern");
    let prints = Regex::new(r"# prints (.+)$").expect("a pattern");
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_dagwood")).parent().expect("it lies in a folder").display();
    let mut problems = Vec::new();
    for block in blocks.iter().filter(|block| block.language() == "sh") {
        for line in block.text.replace("\\\n", " ").lines().filter(|line| !line.trim().is_empty()) {
            let expected = exit.captures(line).map_or(0, |found| found[1].parse().expect("a number"));
            let mut command = Command::new("/bin/sh");
            command.args(["-c", line]).current_dir(scene.path("")).env_clear().envs(&scene.environment);
            command.env("PATH", format!("{binary}:/usr/bin:/bin"));
            let ran = scene.finish(command);
            if ran.code != Some(expected) {
                problems.push(format!("{}: `{line}`: exit {expected} was promised\n{}", block.place, ran.all()));
            }
            if let Some(text) = prints.captures(line).filter(|text| text[1] != *ran.raw.trim()) {
                problems.push(format!("{}: `{line}`: `{}` was promised\n{}", block.place, &text[1], ran.all()));
            }
        }
    }
    problems
}

#[cfg(unix)]
#[test]
fn every_recipe_works() {
    let recipes = recipes();
    // A few at a time: most of it is waiting for jobs.
    let problems: Vec<String> = recipes
        .chunks(4)
        .flat_map(|some| {
            thread::scope(|scope| {
                let cooks: Vec<_> = some.iter().map(|(_, blocks)| scope.spawn(|| cook(blocks))).collect();
                cooks.into_iter().flat_map(|cook| cook.join().expect("a cook")).collect::<Vec<_>>()
            })
        })
        .collect();
    assert!(problems.is_empty(), "{}", problems.join("\n\n"));
    assert!(recipes.len() >= 15, "{} recipes", recipes.len());
}

#[test]
fn every_recipe_has_a_workflow_and_a_command() {
    for (name, blocks) in recipes() {
        assert!(blocks.iter().any(|block| block.language() == "sh"), "{name} shows no command");
        assert!(blocks.iter().any(|block| block.language() == "yaml" && block.file().is_some()), "{name} has no file");
    }
}

#[cfg(unix)]
#[test]
fn recipes_that_do_not_work_are_found() {
    let block = |info: &str, text: &str| Block {
        place: "docs/wrong.md:1".to_owned(),
        section: "Wrong".to_owned(),
        info: info.split(' ').map(ToOwned::to_owned).collect(),
        text: text.to_owned(),
    };
    let file = block("yaml file=workflows/a.yaml", "steps: { a: { set: { x: 1 } } }\n");
    let good = block("sh", "dagwood run a --sandbox\ndagwood run b --sandbox # exit 2\n");
    let wrong = block("sh", "dagwood run a --sandbox # exit 1\necho 1 # prints 1\necho 2 # prints 3\n");
    assert_eq!(cook(&[file.clone(), good]), Vec::<String>::new());
    assert_eq!(cook(&[file, wrong]).len(), 2);
}
