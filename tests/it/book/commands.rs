//! Every command that the book shows exists, with its flags.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use regex::Regex;

use super::reading::{blocks, pages};
use crate::cli::Scene;

/// The commands, each with its help; the whole program's under no name.
pub(super) fn helps() -> &'static BTreeMap<String, String> {
    static HELPS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    HELPS.get_or_init(|| {
        let scene = Scene::new();
        let mut helps = BTreeMap::new();
        let mut waiting = vec![String::new()];
        while let Some(name) = waiting.pop() {
            let mut line: Vec<&str> = name.split_whitespace().collect();
            line.push("--help");
            let help = scene.run(&line).raw;
            let below = subcommands(&help).into_iter().map(|command| format!("{name} {command}").trim().to_owned());
            waiting.extend(below);
            helps.insert(name, help);
        }
        helps
    })
}

/// Returns the commands that a help lists, in its order.
pub(super) fn subcommands(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A text that goes on in the next line is further in.
    let heads = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    heads.filter_map(|line| line.split_whitespace().next()).map(ToOwned::to_owned).collect()
}

/// Returns what is wrong with the commands in a text of a shell, or in one that holds such lines.
pub(super) fn in_text(place: &str, text: &str) -> Vec<String> {
    let command = Regex::new(r"(?:^|[\s&|;])dagwood((?: +[^|&;#\n]+)?)").expect("a pattern");
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().filter(|line| !line.trim_start().starts_with('#'));
    let found = lines.flat_map(|line| command.captures_iter(line).map(|found| found[1].to_owned()).collect::<Vec<_>>());
    found.filter_map(|arguments| problem(&arguments)).map(|problem| format!("{place}: {problem}")).collect()
}

fn problem(arguments: &str) -> Option<String> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let first = words.first().copied().filter(|word| !word.starts_with('-')).unwrap_or_default();
    if !helps().contains_key(first) {
        return Some(format!("there is no command `{first}`"));
    }
    let second = words.get(1).map(|second| format!("{first} {second}"));
    let name = second.filter(|name| helps().contains_key(name)).unwrap_or_else(|| first.to_owned());
    let flag = Regex::new(r"(?m)(?:^ *|, )(--?[a-z][a-z-]*)").expect("a pattern");
    let known: BTreeSet<String> = flag.captures_iter(&helps()[&name]).map(|found| found[1].to_owned()).collect();
    let flags = words.iter().filter(|word| word.starts_with('-') && word.len() > 1);
    let names = flags.map(|word| word.split('=').next().unwrap_or_default());
    names.into_iter().find(|name| !known.contains(*name)).map(|flag| format!("`dagwood {name}` has no flag `{flag}`"))
}

#[test]
fn every_command_is_right() {
    let (mut checked, mut problems) = (0, Vec::new());
    for page in pages() {
        for block in blocks(&page).iter().filter(|block| block.language() == "sh") {
            checked += block.text.matches("dagwood ").count();
            problems.extend(in_text(&block.place, &block.text));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(checked > 40, "{checked}");
}

#[test]
fn wrong_commands_are_found() {
    let text = "dagwood run launch --sandbx\nA=b dagwood rum launch\ndagwood runs prune --keep 3 && dagwood runs --kep 3\ndagwood --version\n";
    let problems = in_text("here", text);
    let expected = [
        "here: `dagwood run` has no flag `--sandbx`",
        "here: there is no command `rum`",
        "here: `dagwood runs` has no flag `--kep`",
    ];
    assert_eq!(problems, expected);
}
