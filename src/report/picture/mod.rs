//! Pictures of DAGs: one small type, four ways to draw it.
//!
//! A [`Picture`] is made from a plan or from a run. `ascii` is for terminals, `mermaid` and `dot` are
//! text for other programs, `svg` is drawn with our own `layout`. Every drawing is a pure function of its picture, so the same
//! run gives the same bytes.

mod ascii;
mod dot;
mod layout;
mod mermaid;
mod svg;

pub use ascii::ascii;
pub use dot::dot;
pub use mermaid::mermaid;
pub use svg::svg;

use super::{run::StepStand, steps, style::Style, text};
use crate::{
    journal::state::RunState,
    plan::{Plan, PlannedStep, Work, count::known_items},
};

/// A DAG to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// What it shows: the workflow's name.
    pub title: String,
    /// A line below it: how the run ended, what the plan comes to. May be empty.
    pub subtitle: String,
    /// The steps.
    pub nodes: Vec<PictureNode>,
    /// What goes from where to where. Positions beyond the nodes, and edges that close a cycle, are not drawn.
    pub edges: Vec<PictureEdge>,
}

/// A step of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureNode {
    /// What no other node is called; ids in the drawing are made from it.
    pub id: String,
    /// What stands on it.
    pub label: String,
    /// What stands below that: the target. May be empty.
    pub sublabel: String,
    /// The verb. May be empty.
    pub kind: String,
    /// How the step stands; none in the picture of a plan.
    pub status: Option<StepStand>,
    /// A last, quiet line: provider, credits, time. May be empty.
    pub note: String,
}

/// An edge of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureEdge {
    /// The position of the step that goes first.
    pub from: usize,
    /// The position of the step that waits.
    pub to: usize,
    /// Whether only the order counts, and nothing flows.
    pub dashed: bool,
}

/// Which way the edges go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From left to right.
    #[default]
    Right,
    /// From top to bottom.
    Down,
}

impl Picture {
    /// Makes the picture of a run, coloured by status.
    #[must_use]
    pub fn of_state(state: &RunState) -> Self {
        let nodes: Vec<PictureNode> = state
            .own()
            .iter()
            .map(|step| {
                let brief = &step.brief;
                let mut facts: Vec<String> = Vec::new();
                facts.extend(brief.provider.clone());
                if let Some(items) = &step.fan_out {
                    facts.push(text::count(items.len as usize, "item"));
                }
                facts.extend(steps::credits(state, step));
                facts.extend(steps::took(step, None).map(text::duration));
                PictureNode {
                    id: step.path.to_string(),
                    label: step.path.to_string(),
                    sublabel: text::one_line(&brief.target),
                    kind: brief.verb.clone(),
                    status: Some(StepStand::of(step.phase)),
                    note: facts.join(" · "),
                }
            })
            .collect();
        let mut edges: Vec<PictureEdge> = (0..)
            .zip(state.own())
            .flat_map(|(to, step)| {
                step.brief.needs.iter().map(move |&need| PictureEdge { from: need as usize, to, dashed: false })
            })
            .collect();
        let finally: Vec<bool> = state.own().iter().map(|step| step.brief.finally).collect();
        edges.extend(at_the_end(&finally, &edges));
        Self {
            title: text::one_line(&state.start.workflow),
            subtitle: format!("{}{}", steps::verdict(state, &Style::PLAIN), legend(&edges)),
            nodes,
            edges,
        }
    }

    /// Makes the picture of a plan. A need that no template mentions is dashed: only the order counts.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        let edges = plan.indexes().flat_map(|to| {
            let finally = plan.step(to).finally;
            let reads = &plan.step(to).reads;
            // Those of `finally` come last, whatever they read.
            plan.needs(to).filter(move |from| !finally || plan.step(*from).finally).map(move |from| PictureEdge {
                from: from.index(),
                to: to.index(),
                dashed: !reads.contains(&from),
            })
        });
        let mut edges: Vec<PictureEdge> = edges.collect();
        let finally: Vec<bool> = plan.steps().iter().map(|step| step.finally).collect();
        edges.extend(at_the_end(&finally, &edges));
        let waves = plan.waves().len();
        Self {
            title: text::one_line(&plan.document.workflow.name),
            subtitle: format!(
                "{} · {}{}",
                text::count(plan.steps().len(), "step"),
                text::count(waves, "wave"),
                legend(&edges)
            ),
            nodes: plan.steps().iter().map(|step| planned(plan, step)).collect(),
            edges,
        }
    }

    /// Returns the edges that can be drawn: between nodes that are there, each pair once, and none that closes a cycle.
    fn sound_edges(&self) -> Vec<PictureEdge> {
        let ranks = layout::order(self.nodes.len(), self.edges.iter().map(|edge| (edge.from, edge.to)));
        let mut seen = std::collections::HashSet::new();
        self.edges
            .iter()
            .filter(|edge| edge.from < self.nodes.len() && edge.to < self.nodes.len())
            .filter(|edge| ranks[edge.from] < ranks[edge.to] && seen.insert((edge.from, edge.to)))
            .copied()
            .collect()
    }
}

/// Returns what dashes mean, where there are some.
fn legend(edges: &[PictureEdge]) -> &'static str {
    if edges.iter().any(|edge| edge.dashed) { " · dashed: waits without reading" } else { "" }
}

/// Returns the edges by which the steps of `finally` hang behind all others: from each step that nothing else waits for.
fn at_the_end(finally: &[bool], edges: &[PictureEdge]) -> Vec<PictureEdge> {
    let has = |node: usize, end: fn(&PictureEdge) -> usize| edges.iter().any(|edge| end(edge) == node);
    let firsts: Vec<usize> = (0..finally.len()).filter(|&node| finally[node] && !has(node, |edge| edge.to)).collect();
    if firsts.is_empty() {
        return Vec::new();
    }
    let lasts = (0..finally.len()).filter(|&node| !finally[node] && !has(node, |edge| edge.from));
    lasts.flat_map(|from| firsts.iter().map(move |&to| PictureEdge { from, to, dashed: true })).collect()
}

fn planned(plan: &Plan, step: &PlannedStep) -> PictureNode {
    let mut facts: Vec<String> = Vec::new();
    let (kind, sublabel) = match &step.work {
        Work::Run { provider, contract, label, .. } => {
            facts.push(provider.clone());
            facts.extend(step.credits.map(|credits| format!("{} cr", text::number(credits))));
            (contract.contract().target.kind.verb(), text::one_line(label))
        }
        Work::Set(_) => ("set", String::new()),
        Work::Workflow { plan: nested, label, .. } => {
            facts.push(text::count(nested.steps().len(), "step"));
            ("workflow", text::one_line(label))
        }
    };
    if step.fan_out.is_some() {
        let known = known_items(plan, step).and_then(|items| usize::try_from(items).ok());
        facts.push(known.map_or_else(|| "for each item".to_owned(), |items| text::count(items, "item")));
    }
    facts.extend(step.when.as_ref().map(|when| format!("when {}", text::one_line(when.text()))));
    PictureNode {
        id: step.id.to_string(),
        label: step.id.to_string(),
        sublabel,
        kind: kind.to_owned(),
        status: None,
        note: facts.join(" · "),
    }
}

#[cfg(test)]
mod tests;
