//! Links lead somewhere, and the summary has every page.

use std::collections::{BTreeSet, HashMap};

use regex::Regex;

use super::reading::{Page, folder, pages, prose};

/// Returns the names that links may go to, as mdBook and GitHub make them of headings.
fn anchors(page: &Page) -> BTreeSet<String> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    let headings = prose(page).into_iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|&c| c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
            let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let count = seen.entry(slug.clone()).or_default();
            *count += 1;
            if *count == 1 { slug } else { format!("{slug}-{}", *count - 1) }
        })
        .collect()
}

fn broken(pages: &[Page]) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").expect("a pattern");
    let mut broken = Vec::new();
    for page in pages {
        for line in prose(page) {
            for found in link.captures_iter(line) {
                let target = &found[1];
                if target.starts_with("https://") {
                    continue;
                }
                let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
                let name = if path.is_empty() { page.name.clone() } else { resolved(&page.name, path) };
                let goes = match pages.iter().find(|other| other.name == name) {
                    Some(other) => anchor.is_empty() || anchors(other).contains(anchor),
                    // Pictures; what lies outside of the book is not in what is built of it.
                    None => anchor.is_empty() && !name.starts_with("..") && folder().join(&name).is_file(),
                };
                if !goes {
                    broken.push(format!("docs/{} links to {target}", page.name));
                }
            }
        }
    }
    broken
}

/// Resolves a link of a page.
fn resolved(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let broken = broken(&pages);
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn broken_links_are_found() {
    let page = |name: &str, text: &str| Page { name: name.to_owned(), text: text.to_owned() };
    let pages = [
        page(
            "a.md",
            "# One `two` three\n## Same\n## Same\n[x](b/c.md#top) [y](#one-two-three) [z](#same-1)\n[w](missing.md) [v](b/c.md#no)\n",
        ),
        page(
            "b/c.md",
            "# Top\n[up](../a.md#same) [out](../../README.md) [web](https://example.com)\n```md\n[not](read.md)\n```\n",
        ),
    ];
    let expected =
        ["docs/a.md links to missing.md", "docs/a.md links to b/c.md#no", "docs/b/c.md links to ../../README.md"];
    assert_eq!(broken(&pages), expected);
}

#[test]
fn the_summary_has_every_page_once() {
    let pages = pages();
    let summary = pages.iter().find(|page| page.name == "SUMMARY.md").expect("a summary");
    let link = Regex::new(r"\]\(([^)]+)\)").expect("a pattern");
    let mut listed: Vec<String> = link.captures_iter(&summary.text).map(|found| found[1].to_owned()).collect();
    listed.sort();
    let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).filter(|&name| name != "SUMMARY.md").collect();
    assert_eq!(listed, names);
}
