//! A picture as text for a terminal.
//!
//! Small graphs are drawn with lines by `ascii-dag`, from top to bottom. A graph that is too wide for the terminal or too
//! large to be followed by eye is told as its waves, each step with what it waits for: the same facts, and it scrolls.

use ascii_dag::{AUTO, Graph, RenderOptions};
use unicode_width::UnicodeWidthStr;

use super::{
    super::{
        run::StepStand,
        style::{Line, Style, Tone},
        text,
    },
    Picture, PictureEdge, PictureNode, layout,
};

/// The most nodes and edges that lines are drawn for.
const NODES: usize = 40;
const EDGES: usize = 60;
/// The most steps that a step of a list is said to wait for, by name.
const NAMED: usize = 4;

/// Draws a picture for a terminal, at most as wide as it is.
#[must_use]
pub fn ascii(picture: &Picture, style: &Style) -> String {
    let edges = picture.sound_edges();
    let mut out = String::new();
    let mut title = Line::default();
    title.push(Tone::Strong, text::one_line(&picture.title));
    if !picture.subtitle.is_empty() {
        let subtitle = text::one_line(&picture.subtitle);
        let subtitle = if style.unicode { subtitle } else { subtitle.replace(" · ", ", ") };
        title.push(Tone::Plain, if picture.title.is_empty() { "" } else { "  " }).push(Tone::Dim, subtitle);
    }
    if title.width() > 0 {
        out.push_str(&title.fit(style, style.width).paint(style));
        out.push_str("\n\n");
    }
    match drawn(picture, &edges, style) {
        Some(drawing) => out.push_str(&drawing),
        None => out.push_str(&listed(picture, &edges, style)),
    }
    out
}

fn drawn(picture: &Picture, edges: &[PictureEdge], style: &Style) -> Option<String> {
    if picture.nodes.is_empty() || picture.nodes.len() > NODES || edges.len() > EDGES {
        return None;
    }
    let mut graph = Graph::new();
    let labels: Vec<String> = picture.nodes.iter().map(|node| label(node, style)).collect();
    let ids: Vec<_> = labels.iter().map(|label| graph.add_node(AUTO, label.as_str()).node).collect();
    for edge in edges {
        graph.add_edge(ids[edge.from], ids[edge.to], None);
    }
    let text = graph.compute_layout().render_string(&RenderOptions::plain());
    let lines: Vec<&str> = text.trim_end().lines().map(str::trim_end).collect();
    let margin = lines.iter().filter(|line| !line.is_empty()).map(|line| line.len() - line.trim_start().len()).min()?;
    let mut out = String::new();
    for line in lines {
        let line = line.get(margin..).unwrap_or_default();
        if line.width() + 2 > style.width {
            return None;
        }
        let line = format!("  {line}");
        out.push_str(&if style.unicode { line } else { line.chars().map(plain).collect() });
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }
    Some(out)
}

fn label(node: &PictureNode, style: &Style) -> String {
    let name = style.cut(&text::one_line(&node.label), 28);
    match node.status {
        Some(status) => format!("{} {name}", symbol(status, style).0),
        None => name,
    }
}

fn symbol(status: StepStand, style: &Style) -> (&'static str, Tone) {
    use crate::{journal::state::Phase, result::StepStatus};
    style.symbol(match status {
        StepStand::Waiting => Phase::Waiting,
        StepStand::Running => Phase::Running,
        StepStand::Succeeded => Phase::Over(StepStatus::Succeeded),
        StepStand::Failed => Phase::Over(StepStatus::Failed),
        StepStand::Skipped => Phase::Over(StepStatus::Skipped),
        StepStand::Cancelled => Phase::Over(StepStatus::Cancelled),
    })
}

/// Returns the plain form of a character that the lines are drawn with.
fn plain(character: char) -> char {
    match character {
        '─' | '━' | '╌' | '┄' | '┈' => '-',
        '│' | '┃' | '╎' | '┆' | '┊' => '|',
        '↓' | '▼' => 'v',
        '↑' | '▲' => '^',
        '→' | '▶' => '>',
        '←' | '◀' => '<',
        '\u{2500}'..='\u{257f}' => '+',
        character if character.is_ascii() => character,
        _ => '?',
    }
}

fn listed(picture: &Picture, edges: &[PictureEdge], style: &Style) -> String {
    let layers = layout::layers(picture.nodes.len(), edges.iter().map(|edge| (edge.from, edge.to)));
    let mut needs: Vec<Vec<usize>> = vec![Vec::new(); picture.nodes.len()];
    for edge in edges {
        needs[edge.to].push(edge.from);
    }
    let mut waves: Vec<Vec<usize>> = Vec::new();
    for (node, layer) in layers.into_iter().enumerate() {
        if waves.len() <= layer {
            waves.resize(layer + 1, Vec::new());
        }
        waves[layer].push(node);
    }
    let widest = |text: fn(&PictureNode) -> &str, most: usize| {
        picture.nodes.iter().map(|node| text::one_line(text(node)).width()).max().unwrap_or(0).min(most)
    };
    let number = waves.len().to_string().len();
    let (names, kinds, targets) =
        (widest(|node| &node.label, 28), widest(|node| &node.kind, 10), widest(|node| &node.sublabel, 28));
    let mut out = String::new();
    for (wave, nodes) in waves.iter().enumerate() {
        for (ix, node) in nodes.iter().enumerate() {
            let (node, needs) = (&picture.nodes[*node], &needs[*node]);
            let mut line = Line::default();
            let head = if ix == 0 { format!("wave {:>number$}", wave + 1) } else { String::new() };
            line.left(Tone::Dim, &head, 5 + number).push(Tone::Plain, "  ");
            if let Some(status) = node.status {
                let (symbol, tone) = symbol(status, style);
                line.push(tone, symbol).push(Tone::Plain, " ");
            }
            line.left(Tone::Plain, &style.cut(&text::one_line(&node.label), names), names);
            line.push(Tone::Plain, "  ").left(Tone::Dim, &text::one_line(&node.kind), kinds);
            line.push(Tone::Plain, "  ").left(Tone::Dim, &style.cut(&text::one_line(&node.sublabel), targets), targets);
            if !needs.is_empty() {
                let names = text::names(needs.iter().map(|need| picture.nodes[*need].label.as_str()), NAMED);
                line.push(Tone::Dim, format!("  {} {}", style.or("←", "<-"), text::one_line(&names)));
            }
            out.push_str(&line.fit(style, style.width).paint(style));
            out.push('\n');
        }
    }
    out
}
