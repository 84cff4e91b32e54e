//! The graph of a plan: which step waits for which, in which waves they can run, and how long the rest of the way is.
//!
//! Edges run from a needed step to the one that waits for it. A [`Graph`] has no cycle: building one either succeeds or returns
//! the cycles, each as a path of edges with their places in the file. All work is linear in steps and edges, and nothing
//! recurses, so that a chain of 100,000 steps neither takes long nor overflows the stack.

use std::{collections::VecDeque, ops::Range};

use petgraph::{
    Direction,
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use serde::{Deserialize, Serialize};

use crate::source::Pointer;

/// A step of a plan: its place in the file's order, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepIx(pub u32);

impl StepIx {
    /// Returns the place as an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// Returns the step at an index.
    ///
    /// # Panics
    ///
    /// When there were more steps than a workflow may have.
    #[must_use]
    pub fn from_index(index: usize) -> Self {
        Self(u32::try_from(index).expect("the number of steps is bounded"))
    }
}

impl From<NodeIndex> for StepIx {
    fn from(node: NodeIndex) -> Self {
        Self::from_index(node.index())
    }
}

impl From<StepIx> for NodeIndex {
    fn from(step: StepIx) -> Self {
        NodeIndex::new(step.index())
    }
}

/// That a step waits for another, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// The step that waits.
    pub step: StepIx,
    /// The step that it waits for.
    pub needs: StepIx,
    /// The string with the reference, or the entry of `needs`.
    pub pointer: Pointer,
    /// The bytes of that string which mention the step; the whole of it where none are given.
    pub range: Option<Range<usize>>,
}

/// Steps and their edges, without cycles.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    edges: DiGraph<(), ()>,
    waves: Vec<Vec<StepIx>>,
    /// Every step after those that it needs.
    order: Vec<StepIx>,
}

impl Graph {
    /// Builds the graph of this many steps, of which those from `main` on run when all others are over.
    ///
    /// # Errors
    ///
    /// The cycles, one for each knot of steps that wait for each other: edge by edge, each step of it once, the last edge
    /// leading back to the first one's step.
    pub fn new(steps: usize, main: usize, edges: &[Edge]) -> Result<Self, Vec<Vec<Edge>>> {
        let mut graph = DiGraph::with_capacity(steps, edges.len());
        for _ in 0..steps {
            graph.add_node(());
        }
        let mut pairs: Vec<_> = edges.iter().map(|edge| (edge.step, edge.needs)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        for (step, needs) in pairs {
            graph.add_edge(needs.into(), step.into(), ());
        }
        let mut this = Self { edges: graph, waves: Vec::new(), order: Vec::with_capacity(steps) };
        this.layer(main);
        if this.order.len() < steps { Err(cycles(steps, edges)) } else { Ok(this) }
    }

    /// Sorts the steps into waves: each into the first one after all that it needs.
    fn layer(&mut self, main: usize) {
        let mut unmet: Vec<_> = self
            .edges
            .node_indices()
            .map(|node| self.edges.edges_directed(node, Direction::Incoming).count())
            .collect();
        let mut wave: Vec<NodeIndex> =
            self.edges.node_indices().filter(|node| node.index() < main && unmet[node.index()] == 0).collect();
        let mut is_last = false;
        loop {
            if wave.is_empty() {
                if is_last {
                    break;
                }
                // Now those that wait for all others.
                is_last = true;
                wave =
                    self.edges.node_indices().filter(|node| node.index() >= main && unmet[node.index()] == 0).collect();
                continue;
            }
            let mut next = Vec::new();
            for node in &wave {
                for edge in self.edges.edges(*node) {
                    let unmet = &mut unmet[edge.target().index()];
                    *unmet -= 1;
                    if *unmet == 0 && (edge.target().index() < main || is_last) {
                        next.push(edge.target());
                    }
                }
            }
            next.sort_unstable();
            let steps: Vec<StepIx> = wave.into_iter().map(StepIx::from).collect();
            self.order.extend(&steps);
            self.waves.push(steps);
            wave = next;
        }
    }

    /// Returns how many edges there are.
    #[must_use]
    pub fn edge_count(&self) -> usize {
        self.edges.edge_count()
    }

    /// Returns the steps that wait for this one.
    pub fn dependents(&self, step: StepIx) -> impl Iterator<Item = StepIx> {
        self.edges.neighbors(step.into()).map(StepIx::from)
    }

    /// Returns the steps that this one waits for.
    pub fn needs(&self, step: StepIx) -> impl Iterator<Item = StepIx> {
        self.edges.neighbors_directed(step.into(), Direction::Incoming).map(StepIx::from)
    }

    /// Returns the waves: what a run with room for all would do one after the other.
    #[must_use]
    pub fn waves(&self) -> &[Vec<StepIx>] {
        &self.waves
    }

    /// Returns all steps, each after those that it needs.
    #[must_use]
    pub fn order(&self) -> &[StepIx] {
        &self.order
    }

    /// Returns for each step the longest remaining path in time, its own time included.
    #[must_use]
    pub fn ranks(&self, seconds: impl Fn(StepIx) -> f64) -> Vec<f64> {
        let mut ranks = vec![0.0; self.edges.node_count()];
        for &step in self.order.iter().rev() {
            let own = Some(seconds(step)).filter(|own| own.is_finite() && *own > 0.0).unwrap_or(0.0);
            let rest = self.dependents(step).map(|next| ranks[next.index()]).fold(0.0, f64::max);
            ranks[step.index()] = own + rest;
        }
        ranks
    }

    /// Returns the longest path in time from a first step to a last one.
    #[must_use]
    pub fn critical_path(&self, seconds: impl Fn(StepIx) -> f64) -> Vec<StepIx> {
        let ranks = self.ranks(seconds);
        let longest = |steps: &mut dyn Iterator<Item = StepIx>| {
            // Of equal ones the first in the file, so that the answer is always the same.
            steps.min_by(|a, b| ranks[b.index()].total_cmp(&ranks[a.index()]).then(a.cmp(b)))
        };
        let mut path = Vec::new();
        let mut next = longest(&mut self.waves.first().into_iter().flatten().copied());
        while let Some(step) = next {
            path.push(step);
            next = longest(&mut self.dependents(step));
        }
        path
    }
}

/// Returns one shortest cycle of each knot, in the file's order of their first steps.
fn cycles(steps: usize, edges: &[Edge]) -> Vec<Vec<Edge>> {
    let mut graph = DiGraph::<(), usize>::with_capacity(steps, edges.len());
    for _ in 0..steps {
        graph.add_node(());
    }
    // Here the edges run the way that people read a cycle: from the step that waits.
    for (place, edge) in edges.iter().enumerate() {
        graph.add_edge(edge.step.into(), edge.needs.into(), place);
    }
    // Tarjan's way recurses as deep as the graph is long.
    let mut knot_of = vec![usize::MAX; steps];
    let mut firsts = Vec::new();
    for (knot, members) in kosaraju_scc(&graph).into_iter().enumerate() {
        let first = members.iter().copied().min().expect("a component has a member");
        if members.len() > 1 || graph.contains_edge(first, first) {
            firsts.push(first);
            for member in members {
                knot_of[member.index()] = knot;
            }
        }
    }
    firsts.sort_unstable();
    firsts.into_iter().map(|first| shortest(&graph, edges, &knot_of, first)).collect()
}

/// Returns a shortest way from a step back to itself, by breadth-first search inside its knot.
fn shortest(graph: &DiGraph<(), usize>, edges: &[Edge], knot_of: &[usize], first: NodeIndex) -> Vec<Edge> {
    let knot = knot_of[first.index()];
    let mut came_by = std::collections::HashMap::new();
    let mut queue = VecDeque::from([first]);
    while let Some(node) = queue.pop_front() {
        let mut out: Vec<_> = graph.edges(node).map(|edge| *edge.weight()).collect();
        out.sort_unstable();
        for place in out {
            let target = NodeIndex::from(edges[place].needs);
            if knot_of[target.index()] != knot {
                continue;
            }
            if target == first {
                let mut path = vec![edges[place].clone()];
                let mut at = node;
                while at != first {
                    let before: &Edge = &edges[came_by[&at]];
                    path.push(before.clone());
                    at = before.step.into();
                }
                path.reverse();
                return path;
            }
            came_by.entry(target).or_insert_with(|| {
                queue.push_back(target);
                place
            });
        }
    }
    unreachable!("every step of a knot leads back to itself")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn edges(pairs: &[(u32, u32)]) -> Vec<Edge> {
        pairs
            .iter()
            .map(|&(step, needs)| Edge {
                step: StepIx(step),
                needs: StepIx(needs),
                pointer: Pointer::root(),
                range: None,
            })
            .collect()
    }

    #[test]
    fn a_diamond_has_three_waves_and_its_longer_side_is_critical() {
        let graph = Graph::new(4, 4, &edges(&[(1, 0), (2, 0), (3, 1), (3, 2), (3, 2)])).expect("no cycle");
        assert_eq!(graph.waves(), [vec![StepIx(0)], vec![StepIx(1), StepIx(2)], vec![StepIx(3)]]);
        assert_eq!(graph.edge_count(), 4);
        let seconds = |step: StepIx| [1.0, 5.0, 9.0, f64::NAN][step.index()];
        assert_eq!(graph.ranks(seconds), [10.0, 5.0, 9.0, 0.0]);
        assert_eq!(graph.critical_path(seconds), [StepIx(0), StepIx(2), StepIx(3)]);
    }

    #[test]
    fn a_cycle_is_told_as_its_shortest_path_and_each_knot_once() {
        let all = edges(&[(0, 1), (1, 2), (2, 0), (2, 1), (3, 0), (4, 4), (5, 3)]);
        let cycles = Graph::new(6, 6, &all).expect_err("two knots");
        let told: Vec<Vec<_>> =
            cycles.iter().map(|cycle| cycle.iter().map(|edge| (edge.step.0, edge.needs.0)).collect()).collect();
        assert_eq!(told, [vec![(0, 1), (1, 2), (2, 0)], vec![(4, 4)]]);
    }

    #[test]
    fn a_long_chain_neither_overflows_nor_takes_long() {
        const STEPS: u32 = 100_000;
        let mut chain: Vec<_> = (1..STEPS).map(|step| (step, step - 1)).collect();
        let graph = Graph::new(STEPS as usize, STEPS as usize, &edges(&chain)).expect("no cycle");
        assert_eq!(graph.waves().len(), STEPS as usize);
        assert!((graph.ranks(|_| 1.0)[0] - f64::from(STEPS)).abs() < 0.5);
        chain.push((0, STEPS - 1));
        assert_eq!(
            Graph::new(STEPS as usize, STEPS as usize, &edges(&chain)).expect_err("a cycle")[0].len(),
            STEPS as usize
        );
    }

    proptest! {
        #[test]
        fn waves_agree_with_a_naive_count_and_cycles_are_cycles(
            (steps, pairs) in (1u32..12).prop_flat_map(|steps| {
                (Just(steps), proptest::collection::vec((0..steps, 0..steps), 0..20))
            }),
        ) {
            let all = edges(&pairs);
            match Graph::new(steps as usize, steps as usize, &all) {
                Ok(graph) => {
                    // The naive way: relax until nothing changes.
                    let mut wave = vec![0; steps as usize];
                    for _ in 0..steps {
                        for &(step, needs) in &pairs {
                            wave[step as usize] = wave[step as usize].max(wave[needs as usize] + 1);
                        }
                    }
                    for (number, members) in graph.waves().iter().enumerate() {
                        for member in members {
                            prop_assert_eq!(wave[member.index()], number);
                        }
                    }
                    let all: BTreeSet<_> = graph.waves().iter().flatten().collect();
                    prop_assert_eq!(all.len(), steps as usize);
                }
                Err(cycles) => {
                    prop_assert!(!cycles.is_empty());
                    let mut seen = BTreeSet::new();
                    for cycle in cycles {
                        for (edge, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
                            prop_assert_eq!(edge.needs, next.step);
                            prop_assert!(pairs.contains(&(edge.step.0, edge.needs.0)));
                            prop_assert!(seen.insert(edge.step), "a step stands in one cycle, once");
                        }
                    }
                }
            }
        }
    }
}
