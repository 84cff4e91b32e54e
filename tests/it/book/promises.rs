//! The page that names a test for each promise names no test that is not there.

use std::{collections::BTreeSet, fs, path::Path};

use super::reading::folder;

/// Collects the names of all functions below a folder of code.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of code") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("code");
            let after = text.split("fn ").skip(1);
            let name = |text: &str| text.chars().take_while(|&c| c.is_alphanumeric() || c == '_').collect::<String>();
            names.extend(after.map(name));
        }
    }
}

/// Returns what a page names and what is not there.
fn missing(page: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    functions(&root.join("src"), &mut names);
    functions(&root.join("tests/it"), &mut names);
    let is_there = |name: &str| match (name.strip_prefix('…'), name.strip_suffix('…')) {
        (Some(rest), _) if rest.ends_with('…') => {
            names.iter().any(|known| known.contains(rest.trim_end_matches('…')))
        }
        (Some(end), _) => names.iter().any(|known| known.ends_with(end)),
        (None, Some(start)) => names.iter().any(|known| known.starts_with(start)),
        (None, None) => names.contains(name),
    };
    // Modules and the like are shorter than any sentence that a test is called.
    let spoken = |name: &&str| {
        name.matches('_').count() > 2
            && name.trim_matches('…').chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let tests = page.split('`').skip(1).step_by(2).filter_map(|text| text.rsplit("::").next()).filter(spoken);
    let mut missing: Vec<String> = tests.filter(|name| !is_there(name)).map(ToOwned::to_owned).collect();
    let files = page
        .split("d:")
        .skip(1)
        .map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap_or_default());
    let has_file = |name: &&str| root.join("tests/diagnostics").join(format!("{name}.yaml")).exists();
    missing.extend(
        files.filter(|name| !name.is_empty() && *name != "NAME" && !has_file(name)).map(|name| format!("d:{name}")),
    );
    missing
}

#[test]
fn every_test_that_holds_a_promise_is_there() {
    let page = fs::read_to_string(folder().join("promises.md")).expect("the page");
    assert_eq!(missing(&page), [] as [&str; 0]);
    let made_up = "| a | `it run::this_is_no_test_of_ours`, `…nor_is_this_one_here`; d:no-such-file |";
    assert_eq!(missing(made_up), ["this_is_no_test_of_ours", "…nor_is_this_one_here", "d:no-such-file"]);
}
