//! The README keeps its word: its examples are right, and its links lead somewhere.

use std::{fs, path::Path, sync::Arc};

use dagwood::{
    plan::{Given, plan},
    project,
    source::Source,
    spec,
};
use regex::Regex;

use crate::plan_schema::sandbox_offers;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("a text that ships")
}

#[test]
fn its_workflow_can_be_planned() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("```yaml\n").expect("an example");
    let (text, _) = rest.split_once("```").expect("its end");
    let (document, wrong) = spec::load(Arc::new(Source::new("README.md", text)), "readme");
    assert_eq!(wrong, []);
    let document = Arc::new(document.expect("it was read"));
    let outcome = plan(&document, Some(&Given::default()), &sandbox_offers());
    assert_eq!(outcome.diagnostics, []);
    assert_eq!(outcome.plan.expect("nothing is wrong with it").waves().len(), 2);
}

#[test]
fn its_project_file_is_right() {
    let readme = read("README.md");
    let (_, rest) = readme.split_once("## A project").expect("the chapter");
    let (_, rest) = rest.split_once("```yaml\n").expect("an example");
    let (text, _) = rest.split_once("```").expect("its end");
    let (project, wrong) = project::load(&Arc::new(Source::new("dagwood.yaml", text)), root().to_owned());
    assert_eq!(wrong, []);
    assert!(
        project.expect("it was read").project.accounts().iter().any(|(alias, _, named)| alias == "studio" && *named)
    );
}

#[test]
fn links_lead_somewhere() {
    let link = Regex::new(r"\]\(([^)#]+)\)").expect("a pattern");
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        for found in link.captures_iter(&read(name)) {
            let target = &found[1];
            assert!(target.starts_with("https://") || root().join(target).exists(), "{name} links to {target}");
        }
    }
}

/// Files and folders of the house that the recipes name.
#[test]
fn recipes_name_files_that_exist() {
    let path = Regex::new(r"`((?:src|tests|schemas|benches|examples|\.ci)/[^`\s]*)`").expect("a pattern");
    for name in ["README.md", "CONTRIBUTING.md"] {
        let text = read(name);
        for found in path.captures_iter(&text).filter(|found| !found[1].contains("NAME")) {
            assert!(root().join(&found[1]).exists(), "{name} names {}", &found[1]);
        }
    }
}
