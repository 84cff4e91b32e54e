//! `docs/systems.md` shows the table of behaviours as it is tested, no row more and none less.

use std::{fs, path::Path};

use super::{behaviours::rows, bench::Way};

/// Returns the table as the document shows it.
fn table() -> Vec<String> {
    let names = Way::ALL.map(Way::name).join(" | ");
    let head = [format!("| What happens | {names} |"), "| --- | --- | --- | --- | --- |".to_owned()];
    let rows = rows().into_iter().map(|row| {
        let cells = row.cells.iter().map(super::behaviours::Cell::shown).collect::<Vec<_>>();
        format!("| {} | {} |", row.name, cells.join(" | "))
    });
    head.into_iter().chain(rows).collect()
}

/// Splits a document round its table.
fn parted<'a>(text: &'a str, head: &str) -> (Vec<&'a str>, Vec<&'a str>, Vec<&'a str>) {
    let lines: Vec<_> = text.lines().collect();
    let first = lines.iter().position(|line| *line == head).expect("the table's head");
    let rows = lines[first..].iter().take_while(|line| line.starts_with('|')).count();
    (lines[..first].to_vec(), lines[first..first + rows].to_vec(), lines[first + rows..].to_vec())
}

/// Returns the rows that are tested and not shown, and those that are shown and not tested.
fn differences<'a>(table: &'a [String], shown: &[&'a str]) -> (Vec<&'a str>, Vec<&'a str>) {
    let absent = table.iter().map(String::as_str).filter(|row| !shown.contains(row)).collect();
    let surplus = shown.iter().copied().filter(|row| !table.iter().any(|tested| tested == row)).collect();
    (absent, surplus)
}

#[test]
fn the_document_shows_the_table_as_it_is_tested() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systems.md");
    let text = fs::read_to_string(&path).expect("the document");
    let table = table();
    let (before, shown, after) = parted(&text, &table[0]);
    if crate::update() {
        let lines: Vec<_> = before.into_iter().chain(table.iter().map(String::as_str)).chain(after).collect();
        return fs::write(&path, lines.join("\n") + "\n").expect("the document can be written");
    }
    let (absent, surplus) = differences(&table, &shown);
    assert!(absent.is_empty() && surplus.is_empty(), "not in the document: {absent:#?}\nnot tested: {surplus:#?}");
    assert_eq!(shown, table, "the same order");
}

/// The control: a row more and a row less are both seen.
#[test]
fn names_of_rows_are_unique_and_a_changed_table_is_another() {
    let table = table();
    let mut names: Vec<_> = table.iter().map(|row| row.split(" | ").next().unwrap_or_default()).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    let text = format!("# A\n\n{}\n\nB\n", table[..table.len() - 1].join("\n"));
    let (before, shown, after) = parted(&text, &table[0]);
    assert_eq!((before.len(), shown.len(), after), (2, table.len() - 1, vec!["", "B"]));
    let last = table.last().expect("rows").as_str();
    assert_eq!(differences(&table, &shown), (vec![last], vec![]));
    let more: Vec<_> = table.iter().map(String::as_str).chain(["| more |"]).collect();
    assert_eq!(differences(&table, &more), (vec![], vec!["| more |"]));
}
