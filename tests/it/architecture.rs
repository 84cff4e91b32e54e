//! The walls of the house: no module imports from a layer above its own, and each big dependency has one door.
//!
//! The table in the docs of `src/lib.rs` says the same to people. Code behind `#[cfg(test)]` may reach anywhere.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The modules by layer, the lowest first. A module may use its own layer and those before it, but for [`FORBIDDEN`].
const LAYERS: &[(u8, &[&str])] = &[
    (0, &["id", "path", "world", "secret", "source", "diagnostic"]),
    (1, &["template", "tree", "contract", "job", "result"]),
    (2, &["spec", "project"]),
    (3, &["plan", "provider", "artifact"]),
    (4, &["journal"]),
    (5, &["run"]),
    (6, &["report"]),
    (7, &["sandbox", "cli"]),
];

/// What a module must not use though its layer would allow it: adapters know nothing of workflows, and the emulator nothing of the
/// program that it judges.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("provider", &["template", "tree", "spec", "project", "plan"]),
    ("artifact", &["template", "tree", "spec", "project", "plan"]),
    ("plan", &["provider", "artifact"]),
    (
        "sandbox",
        &[
            "template", "tree", "result", "spec", "project", "plan", "provider", "artifact", "journal", "run",
            "report", "cli",
        ],
    ),
];

/// The big dependencies and the only places that may name them.
const FENCES: &[(&str, &[&str])] = &[
    ("minijinja", &["template.rs", "template/"]),
    ("jsonschema", &["contract/"]),
    ("petgraph", &["plan/"]),
    ("reqwest", &["provider/http.rs", "provider/http/", "artifact.rs", "artifact/"]),
    ("object_store", &["artifact/objects/", "artifact/staging/", "artifact/store/"]),
    ("rusqlite", &["journal/sqlite.rs", "journal/sqlite/"]),
    ("clap", &["cli/"]),
    ("axum", &["sandbox/"]),
    ("hyper", &["sandbox/"]),
    ("hyper_util", &["sandbox/"]),
    ("saphyr_parser", &["spec/yaml.rs", "spec/yaml/"]),
    ("annotate_snippets", &["diagnostic/render.rs"]),
];

/// Every Rust file below `src`, as its path from there and its code outside tests.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders: Vec<PathBuf> = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("it lies below src").to_string_lossy().replace('\\', "/");
                if name.ends_with("tests.rs") {
                    continue;
                }
                found.push((name, code(&fs::read_to_string(&path).expect("text"))));
            }
        }
    }
    found.sort();
    found
}

/// Returns the code without comments and without what follows `#[cfg(test)]`, which stands at the end of our files.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    // A comment begins the line or follows a blank; in a URL, `//` follows a colon.
    before_tests
        .lines()
        .map(
            |line| if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap_or_default() },
        )
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the top-level modules that code reaches through `crate::`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        // `$crate` in macros and names such as `some_crate::` are something else.
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(head(rest)),
        }
    }
    found
}

/// Returns the first name of each entry of `a::b, c::{d, e}, f}`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut heads) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                heads.extend(head(group[start..at].trim_start()));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                heads.extend(head(group[start..at].trim_start()));
                start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!name.is_empty() && name.chars().all(|c| !c.is_ascii_uppercase())).then_some(name)
}

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(_, modules)| modules.contains(&module)).map(|(layer, _)| *layer)
}

/// Returns what is wrong with one file.
fn judge(name: &str, code: &str) -> Vec<String> {
    let module = name.split(['/', '.']).next().unwrap_or_default();
    if matches!(module, "lib" | "main") {
        return Vec::new();
    }
    let Some(own) = layer(module) else { return vec![format!("{name}: `{module}` has no layer")] };
    let mut wrong = Vec::new();
    for used in uses(code).into_iter().filter(|used| used != module) {
        match layer(&used) {
            Some(other) if other > own => wrong.push(format!("{name} uses `{used}`, which is above it")),
            Some(_) => {}
            None => wrong.push(format!("{name} uses `crate::{used}`, which has no layer")),
        }
        let forbidden =
            FORBIDDEN.iter().find(|(name, _)| *name == module).is_some_and(|(_, list)| list.contains(&&*used));
        if forbidden {
            wrong.push(format!("{name} must not know `{used}`"));
        }
    }
    for (dependency, doors) in FENCES {
        let named = code
            .match_indices(&format!("{dependency}::"))
            .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':'));
        if named && !doors.iter().any(|door| name.starts_with(door)) {
            wrong.push(format!("{name} names {dependency}, whose door is {}", doors.join(", ")));
        }
    }
    wrong
}

#[test]
fn no_module_looks_up_and_every_big_dependency_has_one_door() {
    let wrong: Vec<_> = sources().iter().flat_map(|(name, code)| judge(name, code)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_has_a_layer_and_every_layer_a_module() {
    let files = sources();
    let modules: BTreeSet<_> = files.iter().filter_map(|(name, _)| name.split(['/', '.']).next()).collect();
    for (_, layer) in LAYERS {
        for module in *layer {
            assert!(modules.contains(module), "`{module}` is in the table and not in the house");
        }
    }
}

/// The control: each kind of breach is found, and what only looks like one is not.
#[test]
fn breaches_are_found() {
    for (name, code, wrong) in [
        ("plan/x.rs", "use crate::run::decide;", "above"),
        ("plan/x.rs", "use crate::{\n    id::StepId,\n    run::{decide, limits},\n};", "above"),
        ("id.rs", "fn f() { crate::job::Target::new() }", "above"),
        ("provider/x.rs", "use crate::template::Template;", "must not know"),
        ("sandbox/x.rs", "use crate::run::Execution;", "must not know"),
        ("spec/x.rs", "use reqwest::Client;", "door"),
        ("nowhere.rs", "", "no layer"),
    ] {
        let found = judge(name, code);
        assert!(found.iter().any(|line| line.contains(wrong)), "{name}: {code}: {found:?}");
    }
    let fine = "use crate::{id::{RunId, StepId}, secret::Secret};\nlet x = other_crate::run::y; // crate::run";
    assert_eq!(judge("plan/x.rs", &super::architecture::code(fine)), Vec::<String>::new());
}
