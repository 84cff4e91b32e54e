//! Pictures: what must hold of every drawing, and how a few of them read.

use proptest::prelude::*;

use super::{
    layout::{Measures, layout, order},
    *,
};
use crate::report::testing::{failing, fold};

const MEASURES: Measures = Measures { width: 160.0, height: 68.0, gap: 18.0, lane: 14.0, aisle: 60.0 };

fn picture(labels: &[&str], edges: &[(usize, usize)]) -> Picture {
    Picture {
        title: "a \"title\" & <more>".to_owned(),
        subtitle: String::new(),
        nodes: labels
            .iter()
            .map(|label| PictureNode { id: (*label).to_owned(), label: (*label).to_owned(), ..PictureNode::default() })
            .collect(),
        edges: edges.iter().map(|&(from, to)| PictureEdge { from, to, dashed: to == 3 }).collect(),
    }
}

/// Random DAGs of up to 40 nodes.
fn dags() -> impl Strategy<Value = (usize, Vec<(usize, usize)>)> {
    (1_usize..40).prop_flat_map(|nodes| {
        let edge = (0..nodes, 0..nodes).prop_map(|(a, b)| (a.min(b), a.max(b)));
        proptest::collection::vec(edge, 0..nodes * 2).prop_map(move |mut edges| {
            edges.retain(|(from, to)| from != to);
            edges.sort_unstable();
            edges.dedup();
            (nodes, edges)
        })
    })
}

proptest! {
    #[test]
    fn boxes_never_meet_and_edges_end_at_their_borders((nodes, edges) in dags()) {
        let drawn = layout(nodes, &edges, MEASURES);
        let Measures { width, height, .. } = MEASURES;
        for (a, &(ax, ay)) in drawn.boxes.iter().enumerate() {
            prop_assert!(ax >= 0.0 && ay >= -0.01 && ax + width <= drawn.size.0 + 0.01 && ay + height <= drawn.size.1 + 0.01);
            for &(bx, by) in &drawn.boxes[..a] {
                let apart = (ax - bx).abs() >= width + 20.0 || (ay - by).abs() >= height + MEASURES.gap - 0.01;
                prop_assert!(apart, "{:?} meets {:?}", (ax, ay), (bx, by));
            }
        }
        for (&(from, to), path) in edges.iter().zip(&drawn.paths) {
            let (first, last) = (path[0], path[path.len() - 1]);
            let ((fx, fy), (tx, ty)) = (drawn.boxes[from], drawn.boxes[to]);
            prop_assert_eq!(first, (fx + width, fy + height / 2.0));
            prop_assert_eq!(last, (tx, ty + height / 2.0));
            prop_assert!(path.windows(2).all(|pair| pair[0].0 < pair[1].0), "an edge goes back: {path:?}");
            // Where it passes a column, it is level and clear of every box there.
            for pair in path[1..path.len() - 1].chunks(2) {
                prop_assert!((pair[0].1 - pair[1].1).abs() < 0.001);
                for &(x, y) in drawn.boxes.iter().filter(|(x, _)| (x - pair[0].0).abs() < 1.0) {
                    prop_assert!(pair[0].1 <= y || pair[0].1 >= y + height, "{pair:?} runs under the box at {:?}", (x, y));
                }
            }
        }
    }

    #[test]
    fn an_order_has_each_node_once_and_follows_every_edge((nodes, edges) in dags()) {
        let positions = order(nodes, edges.iter().copied());
        let mut sorted = positions.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..nodes).collect::<Vec<_>>());
        for (from, to) in edges {
            prop_assert!(positions[from] < positions[to]);
        }
    }

    #[test]
    fn every_text_drawing_stays_within_its_width((nodes, edges) in dags(), width in 20_usize..120, unicode: bool) {
        let labels: Vec<String> = (0..nodes).map(|n| format!("schritt_für_{n}")).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let drawn = ascii(&picture(&labels, &edges), &Style { color: false, unicode, width });
        for line in drawn.lines() {
            prop_assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{line:?}");
        }
        for label in labels.iter().filter(|_| width > 80 && unicode) {
            prop_assert!(drawn.contains(label), "{label} is missing in\n{drawn}");
        }
    }
}

#[test]
fn a_diamond_is_symmetric_and_a_chain_is_straight() {
    let diamond = layout(4, &[(0, 1), (0, 2), (1, 3), (2, 3)], MEASURES);
    let heights: Vec<f64> = diamond.boxes.iter().map(|(_, y)| *y).collect();
    assert_eq!(heights, [43.0, 0.0, 86.0, 43.0]);
    let chain = layout(6, &[(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)], MEASURES);
    assert!(chain.boxes.iter().all(|(_, y)| *y == 0.0), "{:?}", chain.boxes);
    // A long edge beside a chain has one lane on one height.
    let beside = layout(4, &[(0, 1), (1, 2), (2, 3), (0, 3)], MEASURES);
    let lane = &beside.paths[3];
    assert_eq!((lane.len(), lane[1].1, lane[2].1), (6, lane[4].1, lane[3].1));
}

#[test]
fn large_graphs_are_laid_out_in_a_moment() {
    let nodes = 20_000;
    let edges: Vec<_> = (1..nodes).flat_map(|to| [(to / 2, to), (to * 3 / 4, to)]).filter(|(a, b)| a < b).collect();
    assert_eq!(layout(nodes, &edges, MEASURES).boxes.len(), nodes);
    let chain: Vec<_> = (1..5_000).map(|to| (to - 1, to)).chain([(0, 4_999)]).collect();
    assert_eq!(layout(5_000, &chain, MEASURES).boxes.len(), 5_000);
}

#[test]
fn unsound_edges_are_left_out() {
    let picture = picture(&["a", "b"], &[(0, 1), (0, 1), (1, 0), (0, 0), (0, 9), (9, 0)]);
    assert_eq!(picture.sound_edges(), [PictureEdge { from: 0, to: 1, dashed: false }]);
    assert!(svg(&picture).contains("</svg>"));
    assert_eq!(svg(&Picture::default()), svg(&Picture::default()));
    assert_eq!(ascii(&Picture::default(), &Style::PLAIN), "");
}

const ODD: [&str; 4] = ["end", "say \"hi\" [1]", "<b>&`x`#;", "two\nlines \\ \u{1b}"];

#[test]
fn mermaid_escapes_what_has_a_meaning() {
    insta::assert_snapshot!(mermaid(&picture(&ODD, &[(0, 1), (0, 2), (1, 3)]), Direction::Right), @r##"
    ---
    title: "a \"title\" & <more>"
    ---
    flowchart LR
      s0["end"]
      s1["say #34;hi#34; [1]"]
      s2["#60;b#62;#38;#96;x#96;#35;#59;"]
      s3["two<br/>lines #92;  "]
      s0 --> s1
      s0 --> s2
      s1 -.-> s3
    "##);
}

#[test]
fn dot_escapes_what_has_a_meaning() {
    insta::assert_snapshot!(dot(&picture(&ODD, &[(0, 1), (0, 2), (1, 3)]), Direction::Down), @r##"
    digraph "a \"title\" & <more>" {
      rankdir=TB;
      label="a \"title\" & <more>"; labelloc=t; labeljust=l;
      graph [fontname="Helvetica", nodesep=0.3, ranksep=0.6];
      node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#8c959f", fontname="Helvetica", fontsize=11];
      edge [color="#8c959f", arrowsize=0.7];
      "end" [label="end"];
      "say \"hi\" [1]" [label="say \"hi\" [1]"];
      "<b>&`x`#;" [label="<b>&`x`#;"];
      "two\nlines \\  " [label="two\nlines \\  "];
      "end" -> "say \"hi\" [1]";
      "end" -> "<b>&`x`#;";
      "say \"hi\" [1]" -> "two\nlines \\  " [style=dashed];
    }
    "##);
}

#[test]
fn svg_escapes_what_has_a_meaning() {
    let drawn = svg(&picture(&ODD, &[(0, 1), (0, 2), (1, 3)]));
    assert!(drawn.contains("aria-label=\"a &quot;title&quot; &amp; &lt;more&gt;\""));
    assert!(drawn.contains(">&lt;b&gt;&amp;`x`#;</text>") && drawn.contains("two lines \\"));
    assert!(!drawn.contains("<b>") && !drawn.contains('\u{1b}'));
}

#[test]
fn a_run_is_drawn_with_its_statuses() {
    let picture = Picture::of_state(&fold(&failing()));
    insta::assert_snapshot!(ascii(&picture, &Style::PLAIN), @r#"
    product-launch  failed after 1m38s · 3 jobs · 410 credits · sandbox

           [✔ render]
          ┌─────┴─────┐
          ↓           ↓
      [✔ crops]   [✖ clip]
          └────┬──────┘
               ↓
          [– caption]
    "#);
    insta::assert_snapshot!(ascii(&picture, &Style { unicode: false, ..Style::PLAIN }), @r#"
    product-launch  failed after 1m38s, 3 jobs, 410 credits, sandbox

           [+ render]
          +-----+-----+
          v           v
      [+ crops]   [x clip]
          +----+------+
               v
          [- caption]
    "#);
    insta::assert_snapshot!(mermaid(&picture, Direction::Down), @r#"
    ---
    title: "product-launch"
    ---
    flowchart TD
      s0["render<br/>Sketch to Render<br/>armox · 200 cr · 1m31s"]:::succeeded
      s1["crops<br/>google/nano-banana<br/>armox · 210 cr · 6.3s"]:::succeeded
      s2["clip<br/>kling/video<br/>armox · 6.1s"]:::failed
      s3["caption"]:::skipped
      s0 --> s1
      s0 --> s2
      s1 --> s3
      s2 --> s3
      classDef succeeded fill:#dafbe1,stroke:#1a7f37,color:#1f2328
      classDef failed fill:#ffebe9,stroke:#cf222e,color:#1f2328
      classDef skipped fill:#f6f8fa,stroke:#8c959f,color:#59636e,stroke-dasharray:4 3
    "#);
    let drawn = svg(&picture);
    for class in ["succeeded", "failed", "skipped"] {
        assert!(drawn.contains(&format!("class=\"{class}\"")), "{class}");
    }
}

#[test]
fn wide_graphs_are_told_as_waves() {
    let labels: Vec<String> = (0..14).map(|n| format!("step_{n}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let edges: Vec<_> = (1..13).flat_map(|n| [(0, n), (n, 13)]).collect();
    insta::assert_snapshot!(ascii(&picture(&labels, &edges), &Style::PLAIN), @r#"
    a "title" & <more>

    wave 1  step_0
    wave 2  step_1       ← step_0
            step_2       ← step_0
            step_3       ← step_0
            step_4       ← step_0
            step_5       ← step_0
            step_6       ← step_0
            step_7       ← step_0
            step_8       ← step_0
            step_9       ← step_0
            step_10      ← step_0
            step_11      ← step_0
            step_12      ← step_0
    wave 3  step_13      ← step_1, step_2, step_3, step_4, and 8 more
    "#);
}
