//! A picture as SVG: cards in columns of waves, for light and dark pages.
//!
//! It needs nothing beside itself: no script, no font file, no image; colours come from one style sheet whose rules are all below
//! `.dagwood`, so that the drawing can stand in a page with others. Text is measured by a rough table, because no font is at
//! hand: cards are a little roomier than they need be, and what is too long is cut with an ellipsis (the whole stands in the
//! card's tooltip).

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

use super::{
    super::run::StepStand,
    Picture, PictureNode,
    layout::{Layout, Measures, layout},
};

/// The space round everything.
const MARGIN: f64 = 28.0;
/// The space inside a card, left of its text (right of the stripe) and on the right.
const INSET: f64 = 16.0;
/// The sizes of the three lines of a card.
const LABEL: f64 = 13.5;
const SUBLABEL: f64 = 12.0;
const NOTE: f64 = 11.0;
/// The least and the most width of a card.
const CARD: (f64, f64) = (132.0, 264.0);

const STYLE: &str = "\
.dagwood{font-family:ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}
.dagwood .page{fill:#fff}
.dagwood .card{fill:#fff;stroke:#d1d9e0}
.dagwood .title{font-size:17px;font-weight:600;fill:#1f2328}
.dagwood .subtitle{font-size:12px;fill:#59636e}
.dagwood .label{font-size:13.5px;font-weight:600;fill:#1f2328}
.dagwood .sublabel{font-size:12px;fill:#59636e}
.dagwood .note,.dagwood .kind{font-size:11px;fill:#818b98}
.dagwood .edge{fill:none;stroke:#afb8c1;stroke-width:1.5}
.dagwood .dashed{stroke-dasharray:5 4}
.dagwood .tip{fill:#afb8c1}
.dagwood .stripe{fill:#afb8c1}
.dagwood .mark{fill:none;stroke:#fff;stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}
.dagwood .disc{fill:#afb8c1}
.dagwood .succeeded .stripe,.dagwood .succeeded .disc{fill:#1a7f37}
.dagwood .failed .stripe,.dagwood .failed .disc{fill:#cf222e}
.dagwood .failed .card{stroke:#cf222e}
.dagwood .running .stripe,.dagwood .running .disc{fill:#0969da}
.dagwood .cancelled .stripe,.dagwood .cancelled .disc{fill:#9a6700}
.dagwood .skipped .card{stroke-dasharray:4 3}
.dagwood .skipped .label,.dagwood .waiting .label{fill:#59636e}
.dagwood .planned .stripe{fill:#0969da}
@media (prefers-color-scheme:dark){
.dagwood .page{fill:#0d1117}
.dagwood .card{fill:#161b22;stroke:#3d444d}
.dagwood .title,.dagwood .label{fill:#f0f6fc}
.dagwood .subtitle,.dagwood .sublabel{fill:#9198a1}
.dagwood .note,.dagwood .kind{fill:#7d8590}
.dagwood .edge{stroke:#59636e}
.dagwood .tip,.dagwood .stripe,.dagwood .disc{fill:#59636e}
.dagwood .mark{stroke:#0d1117}
.dagwood .succeeded .stripe,.dagwood .succeeded .disc{fill:#3fb950}
.dagwood .failed .stripe,.dagwood .failed .disc{fill:#f85149}
.dagwood .failed .card{stroke:#f85149}
.dagwood .running .stripe,.dagwood .running .disc{fill:#4493f8}
.dagwood .cancelled .stripe,.dagwood .cancelled .disc{fill:#d29922}
.dagwood .skipped .label,.dagwood .waiting .label{fill:#9198a1}
.dagwood .planned .stripe{fill:#4493f8}
}";

/// Draws a picture as an SVG document.
#[must_use]
pub fn svg(picture: &Picture) -> String {
    let measures = measures(picture);
    let edges = picture.sound_edges();
    let pairs: Vec<(usize, usize)> = edges.iter().map(|edge| (edge.from, edge.to)).collect();
    let layout = layout(picture.nodes.len(), &pairs, measures);
    let top = match (picture.title.is_empty(), picture.subtitle.is_empty()) {
        (true, true) => MARGIN,
        (false, true) | (true, false) => MARGIN + 32.0,
        (false, false) => MARGIN + 52.0,
    };
    let heading = measure(&picture.title, 17.0, true).max(measure(&picture.subtitle, 12.0, false));
    let width = (layout.size.0.max(heading.min(900.0)) + 2.0 * MARGIN).ceil();
    let height = (layout.size.1 + top + MARGIN).ceil();
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"dagwood\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
        escaped(&picture.title)
    );
    let _ = writeln!(out, "<style>\n{STYLE}\n</style>");
    out.push_str("<defs><marker id=\"dagwood-tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\"><path class=\"tip\" d=\"M0 .5 8 4 0 7.5 2 4Z\"/></marker></defs>\n");
    let _ = writeln!(out, "<rect class=\"page\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>");
    heading_text(&mut out, picture, width);
    let _ = writeln!(out, "<g transform=\"translate({MARGIN} {top})\">");
    for (edge, path) in edges.iter().zip(&layout.paths) {
        let class = if edge.dashed { "edge dashed" } else { "edge" };
        let _ = writeln!(out, "<path class=\"{class}\" marker-end=\"url(#dagwood-tip)\" d=\"{}\"/>", curve(path));
    }
    for (ix, node) in picture.nodes.iter().enumerate() {
        card(&mut out, node, &layout, ix, measures);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn heading_text(out: &mut String, picture: &Picture, width: f64) {
    let mut y = MARGIN + 12.0;
    let room = width - 2.0 * MARGIN;
    for (class, text, size, bold) in
        [("title", &picture.title, 17.0, true), ("subtitle", &picture.subtitle, 12.0, false)]
    {
        if !text.is_empty() {
            let text = escaped(&fitted(text, size, bold, room));
            let _ = writeln!(out, "<text class=\"{class}\" x=\"{MARGIN}\" y=\"{y}\">{text}</text>");
            y += 20.0;
        }
    }
}

/// Returns measures that fit the longest texts, within bounds.
fn measures(picture: &Picture) -> Measures {
    let text = |node: &PictureNode| {
        let mark = if node.status.is_some() { 24.0 } else { 0.0 };
        let kind = if node.kind.is_empty() { 0.0 } else { measure(&node.kind, NOTE, false) + 12.0 };
        (measure(&node.label, LABEL, true) + mark)
            .max(measure(&node.sublabel, SUBLABEL, false))
            .max(measure(&node.note, NOTE, false) + kind)
    };
    let width = picture.nodes.iter().map(text).fold(0.0, f64::max) + 2.0 * INSET + 2.0;
    let sublabels = picture.nodes.iter().any(|node| !node.sublabel.is_empty());
    let notes = picture.nodes.iter().any(|node| !node.note.is_empty() || !node.kind.is_empty());
    let height = 36.0 + if sublabels { 16.0 } else { 0.0 } + if notes { 16.0 } else { 0.0 };
    Measures { width: width.clamp(CARD.0, CARD.1).ceil(), height, gap: 18.0, lane: 14.0, aisle: 60.0 }
}

fn card(out: &mut String, node: &PictureNode, layout: &Layout, ix: usize, measures: Measures) {
    let (x, y) = layout.boxes[ix];
    let Measures { width, height, .. } = measures;
    let class = node.status.map_or("planned", StepStand::as_str);
    let _ = writeln!(
        out,
        "<g id=\"step-{}\" class=\"{class}\" transform=\"translate({} {})\">",
        identifier(&node.id),
        coordinate(x),
        coordinate(y)
    );
    let mut whole: Vec<&str> = [&node.label, &node.kind, &node.sublabel, &node.note].map(String::as_str).to_vec();
    whole.extend(node.status.map(StepStand::as_str));
    whole.retain(|part| !part.is_empty());
    let _ = writeln!(out, "<title>{}</title>", escaped(&whole.join(" · ")));
    let _ = writeln!(out, "<rect class=\"card\" width=\"{width}\" height=\"{height}\" rx=\"8\"/>");
    let _ =
        writeln!(out, "<path class=\"stripe\" d=\"M8 0H5V{height}H8A8 8 0 0 1 0 {}V8A8 8 0 0 1 8 0Z\"/>", height - 8.0);
    let room = width - 2.0 * INSET;
    let mark = if node.status.is_some() { 24.0 } else { 0.0 };
    let mut baseline = 23.0;
    // A card with fewer lines than others has them in its middle.
    let lines = [&node.sublabel, &node.note].iter().filter(|line| !line.is_empty()).count();
    let has_last = !node.note.is_empty() || !node.kind.is_empty();
    let used = 36.0 + if node.sublabel.is_empty() { 0.0 } else { 16.0 } + if has_last { 16.0 } else { 0.0 };
    baseline += (height - used) / 2.0;
    let first = baseline;
    let label = escaped(&fitted(&node.label, LABEL, true, room - mark));
    let _ = writeln!(out, "<text class=\"label\" x=\"{INSET}\" y=\"{baseline}\">{label}</text>");
    if !node.sublabel.is_empty() {
        baseline += 17.0;
        let sublabel = escaped(&fitted(&node.sublabel, SUBLABEL, false, room));
        let _ = writeln!(out, "<text class=\"sublabel\" x=\"{INSET}\" y=\"{baseline}\">{sublabel}</text>");
    }
    if has_last {
        baseline += 16.0;
        let kind = if node.kind.is_empty() { 0.0 } else { measure(&node.kind, NOTE, false) + 12.0 };
        if !node.note.is_empty() {
            let words = escaped(&fitted(&node.note, NOTE, false, room - kind));
            let _ = writeln!(out, "<text class=\"note\" x=\"{INSET}\" y=\"{baseline}\">{words}</text>");
        }
        if !node.kind.is_empty() {
            let (x, anchor) =
                if lines < 2 && node.note.is_empty() { (INSET, "start") } else { (width - INSET + 2.0, "end") };
            let kind = escaped(&fitted(&node.kind, NOTE, false, room));
            let _ =
                writeln!(out, "<text class=\"kind\" x=\"{x}\" y=\"{baseline}\" text-anchor=\"{anchor}\">{kind}</text>");
        }
    }
    if let Some(status) = node.status {
        let _ = writeln!(
            out,
            "<g transform=\"translate({} {})\"><circle class=\"disc\" r=\"7.5\"/><path class=\"mark\" d=\"{}\"/></g>",
            width - INSET - 5.0,
            first - 4.5,
            mark_of(status)
        );
    }
    out.push_str("</g>\n");
}

/// Returns the mark on the disc: every state has its own, so that colour is not needed to tell them apart.
fn mark_of(status: StepStand) -> &'static str {
    match status {
        StepStand::Succeeded => "M-3.2 .2-1 2.4 3.2-2.2",
        StepStand::Failed => "M-2.5-2.5 2.5 2.5M2.5-2.5-2.5 2.5",
        StepStand::Skipped => "M-3 0H3",
        StepStand::Cancelled => "M-2-2H2V2H-2Z",
        StepStand::Running => "M-1.6-2.8 2.8 0-1.6 2.8Z",
        StepStand::Waiting => "M-3 0h.01M0 0h.01M3 0h.01",
    }
}

/// Returns the path of an edge: level where it passes a column, a smooth S where it crosses an aisle.
fn curve(points: &[(f64, f64)]) -> String {
    let mut out = String::new();
    let Some(&(x, y)) = points.first() else { return out };
    let _ = write!(out, "M{} {}", coordinate(x), coordinate(y));
    for (ix, pair) in points.windows(2).enumerate() {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if ix % 2 == 1 || (y0 - y1).abs() < 0.05 {
            let _ = write!(out, "H{}", coordinate(x1));
        } else {
            let middle = coordinate(f64::midpoint(x0, x1));
            let _ = write!(
                out,
                "C{middle} {} {middle} {} {} {}",
                coordinate(y0),
                coordinate(y1),
                coordinate(x1),
                coordinate(y1)
            );
        }
    }
    out
}

/// Rounds to a tenth, so that drawings are short and do not differ in their last digits.
fn coordinate(value: f64) -> f64 {
    let rounded = (value * 10.0).round() / 10.0;
    // Not "-0".
    if rounded == 0.0 { 0.0 } else { rounded }
}

/// Estimates the width of text in a common sans-serif font.
fn measure(text: &str, size: f64, bold: bool) -> f64 {
    let ems: f64 = text
        .chars()
        .map(|character| match character {
            'i' | 'j' | 'l' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '·' => 0.31,
            'f' | 't' | 'r' | '(' | ')' | '[' | ']' | '{' | '}' | '/' | '\\' | '-' | ' ' | '"' => 0.40,
            'm' | 'w' | 'M' | 'W' | '@' | '%' | '…' => 0.95,
            'A'..='Z' | '&' | '#' | '+' | '=' | '~' | '<' | '>' => 0.72,
            character if character.is_ascii() => 0.61,
            character => match character.width() {
                Some(0) => 0.0,
                Some(2) => 1.05,
                _ => 0.68,
            },
        })
        .sum();
    ems * size * if bold { 1.07 } else { 1.0 }
}

/// Cuts text to some width.
fn fitted(text: &str, size: f64, bold: bool, room: f64) -> String {
    if measure(text, size, bold) <= room + 0.01 {
        return text.to_owned();
    }
    let room = room - measure("…", size, bold);
    let mut out = String::new();
    for character in text.chars() {
        out.push(character);
        if measure(&out, size, bold) > room {
            out.pop();
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// Makes a part of an XML id of a step's path; brackets and dots get names of their own, so that different paths stay so.
fn identifier(id: &str) -> String {
    let mut out = String::new();
    for character in id.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => out.push(character),
            '.' => out.push('.'),
            character => {
                let _ = write!(out, "-{:x}", u32::from(character));
            }
        }
    }
    out
}

/// Escapes text for XML 1.0, in which most control characters cannot be written at all.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
