//! The pages of the book, their sections, their blocks and their prose.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A page.
pub(super) struct Page {
    /// Its path below `docs/`, with slashes.
    pub(super) name: String,
    pub(super) text: String,
}

/// A block between fences.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Where it stands, for people: `PAGE:LINE`.
    pub(super) place: String,
    /// The heading of the second level that it stands under.
    pub(super) section: String,
    /// The words behind the fence.
    pub(super) info: Vec<String>,
    pub(super) text: String,
}

impl Block {
    pub(super) fn language(&self) -> &str {
        self.info.first().map_or("", String::as_str)
    }

    /// Returns the words behind the language, without `file=…`.
    pub(super) fn words(&self) -> Vec<&str> {
        self.info.iter().skip(1).map(String::as_str).filter(|word| !word.starts_with("file=")).collect()
    }

    /// Returns the path that it is to have.
    pub(super) fn file(&self) -> Option<&str> {
        self.info.iter().find_map(|word| word.strip_prefix("file="))
    }
}

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// Reads all pages, sorted by name.
pub(super) fn pages() -> Vec<Page> {
    let mut names = Vec::new();
    find(&folder(), "", &mut names);
    names.sort();
    let read = |name: &String| fs::read_to_string(folder().join(name)).expect("a page");
    names.iter().map(|name| Page { name: name.clone(), text: read(name) }).collect()
}

fn find(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the book") {
        let entry = entry.expect("an entry");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            // What `mdbook build` makes.
            if name != "book" {
                find(&entry.path(), &format!("{name}/"), names);
            }
        } else if entry.path().extension().is_some_and(|extension| extension == "md") {
            names.push(name);
        }
    }
}

/// Returns the blocks of a page.
pub(super) fn blocks(page: &Page) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut section = String::new();
    let mut open: Option<(String, Block)> = None;
    for (index, line) in page.text.lines().enumerate() {
        let ticks: String = line.trim_start().chars().take_while(|&c| c == '`').collect();
        match &mut open {
            Some((fence, block)) => {
                if line.trim() == fence {
                    blocks.extend(open.take().map(|(_, block)| block));
                } else {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
            }
            None if ticks.len() >= 3 => {
                let info = line.trim_start()[ticks.len()..].split_whitespace().map(ToOwned::to_owned).collect();
                let place = format!("docs/{}:{}", page.name, index + 1);
                open = Some((ticks, Block { place, section: section.clone(), info, text: String::new() }));
            }
            None => {
                if let Some(heading) = line.strip_prefix("## ") {
                    heading.trim().clone_into(&mut section);
                }
            }
        }
    }
    assert!(open.is_none(), "docs/{}: a fence is not closed", page.name);
    blocks
}

/// Returns what stands outside of blocks, line by line.
pub(super) fn prose(page: &Page) -> Vec<&str> {
    let mut fence: Option<&str> = None;
    let mut lines = Vec::new();
    for line in page.text.lines() {
        let trimmed = line.trim_start();
        let ticks = &trimmed[..trimmed.len() - trimmed.trim_start_matches('`').len()];
        match fence {
            Some(opened) => {
                if trimmed.trim_end() == opened {
                    fence = None;
                }
            }
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => lines.push(line),
        }
    }
    lines
}

#[test]
fn a_page_is_taken_apart() {
    let text = "# A\n\n## One\n\n```yaml step file=a.yaml\na: 1\n```\n\n````md\n```yaml\nnot a block of its own\n```\n````\nEnd\n";
    let page = Page { name: "a.md".to_owned(), text: text.to_owned() };
    let found = blocks(&page);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].language(), found[0].words(), found[0].file()), ("yaml", vec!["step"], Some("a.yaml")));
    assert_eq!((found[0].section.as_str(), found[0].text.as_str()), ("One", "a: 1\n"));
    assert_eq!(found[0].place, "docs/a.md:5");
    assert_eq!(prose(&page), ["# A", "", "## One", "", "", "End"]);
}
