//! A picture as text for Graphviz.

use std::fmt::Write as _;

use super::{super::run::StepStand, Direction, Picture};

/// Draws a picture as a Graphviz digraph.
#[must_use]
pub fn dot(picture: &Picture, direction: Direction) -> String {
    let way = match direction {
        Direction::Right => "LR",
        Direction::Down => "TB",
    };
    let mut out = String::new();
    let _ = writeln!(out, "digraph {} {{", quoted(&picture.title));
    let _ = writeln!(out, "  rankdir={way};");
    if !picture.title.is_empty() {
        let _ = writeln!(out, "  label={}; labelloc=t; labeljust=l;", quoted(&picture.title));
    }
    out.push_str("  graph [fontname=\"Helvetica\", nodesep=0.3, ranksep=0.6];\n");
    out.push_str("  node [shape=box, style=\"rounded,filled\", fillcolor=\"#ffffff\", color=\"#8c959f\", fontname=\"Helvetica\", fontsize=11];\n");
    out.push_str("  edge [color=\"#8c959f\", arrowsize=0.7];\n");
    for node in &picture.nodes {
        let lines = [&node.label, &node.sublabel, &node.note];
        let label: Vec<&str> = lines.iter().filter(|line| !line.is_empty()).map(|line| line.as_str()).collect();
        let _ = write!(out, "  {} [label={}", quoted(&node.id), quoted(&label.join("\n")));
        if let Some(status) = node.status {
            let (fill, border) = colors(status);
            let _ = write!(out, ", class={}, fillcolor=\"{fill}\", color=\"{border}\"", quoted(status.as_str()));
            if status == StepStand::Skipped {
                out.push_str(", style=\"rounded,filled,dashed\"");
            }
        }
        out.push_str("];\n");
    }
    for edge in picture.sound_edges() {
        let look = if edge.dashed { " [style=dashed]" } else { "" };
        let (from, to) = (&picture.nodes[edge.from].id, &picture.nodes[edge.to].id);
        let _ = writeln!(out, "  {} -> {}{look};", quoted(from), quoted(to));
    }
    out.push_str("}\n");
    out
}

fn colors(status: StepStand) -> (&'static str, &'static str) {
    match status {
        StepStand::Waiting | StepStand::Skipped => ("#f6f8fa", "#8c959f"),
        StepStand::Running => ("#ddf4ff", "#0969da"),
        StepStand::Succeeded => ("#dafbe1", "#1a7f37"),
        StepStand::Failed => ("#ffebe9", "#cf222e"),
        StepStand::Cancelled => ("#fff8c5", "#9a6700"),
    }
}

/// Quotes text. A quoted word is never a keyword, and inside quotes only these three mean anything.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out.push('"');
    out
}
