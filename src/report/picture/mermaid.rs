//! A picture as Mermaid text, which GitHub and many editors draw.
//!
//! Nodes are called `s0`, `s1`, … because Mermaid's own words (`end`, `class`, …) cannot be ids; labels are quoted, and what has
//! a meaning inside quotes is an entity code.

use std::fmt::Write as _;

use super::{super::run::StepStand, Direction, Picture};

/// The classes: name, fill, border, text. Readable on a light and on a dark page, since each sets all three.
const CLASSES: [(StepStand, &str); 6] = [
    (StepStand::Waiting, "fill:#f6f8fa,stroke:#8c959f,color:#1f2328"),
    (StepStand::Running, "fill:#ddf4ff,stroke:#0969da,color:#1f2328"),
    (StepStand::Succeeded, "fill:#dafbe1,stroke:#1a7f37,color:#1f2328"),
    (StepStand::Failed, "fill:#ffebe9,stroke:#cf222e,color:#1f2328"),
    (StepStand::Skipped, "fill:#f6f8fa,stroke:#8c959f,color:#59636e,stroke-dasharray:4 3"),
    (StepStand::Cancelled, "fill:#fff8c5,stroke:#9a6700,color:#1f2328"),
];

/// Draws a picture as Mermaid text.
#[must_use]
pub fn mermaid(picture: &Picture, direction: Direction) -> String {
    let mut out = String::new();
    if !picture.title.is_empty() {
        // The front matter is YAML, of which a JSON string is a part.
        let title = serde_json::Value::String(picture.title.clone());
        let _ = writeln!(out, "---\ntitle: {title}\n---");
    }
    let way = match direction {
        Direction::Right => "LR",
        Direction::Down => "TD",
    };
    let _ = writeln!(out, "flowchart {way}");
    for (ix, node) in picture.nodes.iter().enumerate() {
        let mut label = escaped(&node.label);
        for line in [&node.sublabel, &node.note] {
            if !line.is_empty() {
                let _ = write!(label, "<br/>{}", escaped(line));
            }
        }
        let class = node.status.map(|status| format!(":::{}", status.as_str())).unwrap_or_default();
        let _ = writeln!(out, "  s{ix}[\"{label}\"]{class}");
    }
    for edge in picture.sound_edges() {
        let arrow = if edge.dashed { "-.->" } else { "-->" };
        let _ = writeln!(out, "  s{} {arrow} s{}", edge.from, edge.to);
    }
    for (status, look) in CLASSES {
        if picture.nodes.iter().any(|node| node.status == Some(status)) {
            let _ = writeln!(out, "  classDef {} {look}", status.as_str());
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => out.push_str("<br/>"),
            '"' | '#' | '&' | '<' | '>' | '`' | '\\' | ';' => {
                let _ = write!(out, "#{};", u32::from(character));
            }
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
