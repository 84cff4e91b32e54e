//! The layered layout behind the SVG: columns are waves, edges go from left to right.
//!
//! 1. Each node's column is its longest path from a source: its wave. What can start at once stands together.
//! 2. An edge over several columns gets a dummy in each column between, so that it has a lane there and never runs under a box.
//! 3. Columns are sorted by the barycentres of their neighbours, forth and back a bounded number of times; the arrangement with
//!    the fewest crossings is kept, then neighbours are swapped where that saves crossings.
//! 4. Heights follow Brandes and Köpf (2001): four ways to align every node with a median neighbour, lanes of long edges first,
//!    so that these stay straight; the result is the middle of the four.
//!
//! All of it is deterministic, and bounded for graphs that nobody can look at: beyond [`LANES`] dummies long edges are drawn
//! straight through.

use std::collections::{BTreeMap, HashSet};

/// The most dummies; beyond, long edges have no lanes.
const LANES: usize = 20_000;
/// Sweeps of step 3; more change nothing worth seeing on graphs of up to some hundred nodes.
const SWEEPS: usize = 24;
/// The largest graph whose neighbours are swapped.
const SWAPPED: usize = 3_000;

/// The measures of a drawing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measures {
    /// The width of every box.
    pub width: f64,
    /// The height of every box.
    pub height: f64,
    /// The least space between two boxes of a column.
    pub gap: f64,
    /// The space that a long edge takes in a column that it passes.
    pub lane: f64,
    /// The least space between two columns.
    pub aisle: f64,
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// The upper left corner of each box.
    pub boxes: Vec<(f64, f64)>,
    /// The points of each edge: from the border of its first box to that of its last. Between points 2k and 2k + 1 it crosses an
    /// aisle, between 2k + 1 and 2k + 2 it passes a column on one height.
    pub paths: Vec<Vec<(f64, f64)>>,
    /// The size of it all.
    pub size: (f64, f64),
}

/// Returns positions in an order in which every edge goes forward, but those that close a cycle.
pub(super) fn order(nodes: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<usize> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    let mut before = vec![0_usize; nodes];
    for (from, to) in edges.filter(|&(from, to)| from < nodes && to < nodes && from != to) {
        after[from].push(to);
        before[to] += 1;
    }
    let mut positions = vec![usize::MAX; nodes];
    let mut ready: Vec<usize> = (0..nodes).rev().filter(|&node| before[node] == 0).collect();
    let mut next = 0;
    let mut first_open = 0;
    while next < nodes {
        let node = ready.pop().unwrap_or_else(|| {
            // All that is left waits for a cycle: break it at its first node.
            while positions[first_open] != usize::MAX {
                first_open += 1;
            }
            first_open
        });
        if positions[node] != usize::MAX {
            continue;
        }
        positions[node] = next;
        next += 1;
        for &to in &after[node] {
            before[to] = before[to].saturating_sub(1);
            if before[to] == 0 && positions[to] == usize::MAX {
                ready.push(to);
            }
        }
    }
    positions
}

/// Returns each node's layer: its longest path from a source. There must be no cycle.
pub(super) fn layers(nodes: usize, edges: impl Iterator<Item = (usize, usize)> + Clone) -> Vec<usize> {
    let positions = order(nodes, edges.clone());
    let mut sorted: Vec<(usize, usize)> = edges.collect();
    sorted.sort_by_key(|&(from, _)| positions[from]);
    let mut layers = vec![0; nodes];
    for (from, to) in sorted {
        layers[to] = layers[to].max(layers[from] + 1);
    }
    layers
}

/// Lays out a graph without cycles.
pub(super) fn layout(nodes: usize, edges: &[(usize, usize)], measures: Measures) -> Layout {
    if nodes == 0 {
        return Layout::default();
    }
    let mut net = Net::new(nodes, edges);
    net.sort();
    net.swap();
    let heights = align(&net, measures);
    let columns = columns(&net, &heights, measures);
    let boxes: Vec<(f64, f64)> =
        (0..nodes).map(|node| (columns[net.layer[node]], heights[node] - measures.height / 2.0)).collect();
    let paths = edges
        .iter()
        .zip(&net.chains)
        .map(|(&(from, to), lanes)| {
            let mut path = vec![(boxes[from].0 + measures.width, heights[from])];
            for &lane in lanes {
                let left = columns[net.layer[lane]];
                path.extend([(left, heights[lane]), (left + measures.width, heights[lane])]);
            }
            path.push((boxes[to].0, heights[to]));
            path
        })
        .collect();
    let width = columns.last().map_or(0.0, |last| last + measures.width);
    let height =
        (0..net.layer.len()).map(|vertex| heights[vertex] + net.half(vertex, measures)).fold(0.0_f64, f64::max);
    Layout { boxes, paths, size: (width, height) }
}

/// The graph with its dummies: vertices below `nodes` are boxes, the others lanes of long edges.
struct Net {
    nodes: usize,
    layer: Vec<usize>,
    columns: Vec<Vec<usize>>,
    before: Vec<Vec<usize>>,
    after: Vec<Vec<usize>>,
    /// The lanes of each edge.
    chains: Vec<Vec<usize>>,
    /// The position of each vertex in its column.
    place: Vec<usize>,
}

impl Net {
    fn new(nodes: usize, edges: &[(usize, usize)]) -> Self {
        let mut layer = layers(nodes, edges.iter().copied());
        let needed: usize = edges.iter().map(|&(from, to)| layer[to] - layer[from] - 1).sum();
        let mut before = vec![Vec::new(); nodes];
        let mut after = vec![Vec::new(); nodes];
        let mut chains = Vec::with_capacity(edges.len());
        for &(from, to) in edges {
            let mut chain = Vec::new();
            let mut last = from;
            if needed <= LANES {
                for column in layer[from] + 1..layer[to] {
                    let lane = layer.len();
                    layer.push(column);
                    before.push(vec![last]);
                    after.push(Vec::new());
                    after[last].push(lane);
                    chain.push(lane);
                    last = lane;
                }
            }
            if layer[to] == layer[last] + 1 {
                after[last].push(to);
                before[to].push(last);
            }
            chains.push(chain);
        }
        let depth = layer.iter().max().map_or(0, |deepest| deepest + 1);
        let mut columns = vec![Vec::new(); depth];
        for (vertex, &column) in layer.iter().enumerate() {
            columns[column].push(vertex);
        }
        let mut net = Self { nodes, place: vec![0; layer.len()], layer, columns, before, after, chains };
        net.number();
        net
    }

    fn is_lane(&self, vertex: usize) -> bool {
        vertex >= self.nodes
    }

    fn half(&self, vertex: usize, measures: Measures) -> f64 {
        if self.is_lane(vertex) { measures.lane / 2.0 } else { measures.height / 2.0 }
    }

    /// Returns the least distance between the middles of two neighbours in a column.
    fn apart(&self, upper: usize, lower: usize, measures: Measures) -> f64 {
        let gap = if self.is_lane(upper) && self.is_lane(lower) { 0.0 } else { measures.gap };
        self.half(upper, measures) + self.half(lower, measures) + gap
    }

    fn number(&mut self) {
        for column in &self.columns {
            for (place, &vertex) in column.iter().enumerate() {
                self.place[vertex] = place;
            }
        }
    }

    /// Step 3: sorts columns by barycentres.
    fn sort(&mut self) {
        let depth = self.columns.len();
        let mut best = (usize::MAX, self.columns.clone());
        let mut idle = 0;
        for sweep in 0..SWEEPS {
            if sweep % 2 == 0 {
                (1..depth).for_each(|column| self.sort_column(column, true));
            } else {
                (0..depth.saturating_sub(1)).rev().for_each(|column| self.sort_column(column, false));
            }
            let crossings = self.crossings();
            idle += 1;
            if crossings < best.0 {
                best = (crossings, self.columns.clone());
                idle = 0;
            }
            if best.0 == 0 || idle == 6 {
                break;
            }
        }
        self.columns = best.1;
        self.number();
    }

    fn sort_column(&mut self, column: usize, forth: bool) {
        let vertices = std::mem::take(&mut self.columns[column]);
        let mut keyed: Vec<(f64, usize)> = vertices
            .into_iter()
            .enumerate()
            .map(|(place, vertex)| {
                let neighbours = if forth { &self.before[vertex] } else { &self.after[vertex] };
                let key = if neighbours.is_empty() {
                    float(place)
                } else {
                    neighbours.iter().map(|&other| float(self.place[other])).sum::<f64>() / float(neighbours.len())
                };
                (key, vertex)
            })
            .collect();
        // Stable, so that equals keep the file's order.
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.columns[column] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
        for (place, &vertex) in self.columns[column].iter().enumerate() {
            self.place[vertex] = place;
        }
    }

    /// Counts the crossings of all edges, in O(E log V).
    fn crossings(&self) -> usize {
        self.columns
            .windows(2)
            .map(|pair| {
                let mut ends = Vec::new();
                for &vertex in &pair[0] {
                    let from = ends.len();
                    ends.extend(self.after[vertex].iter().map(|&other| self.place[other]));
                    ends[from..].sort_unstable();
                }
                inversions(&ends, pair[1].len())
            })
            .sum()
    }

    /// Swaps neighbours of a column where that saves crossings.
    fn swap(&mut self) {
        if self.layer.len() > SWAPPED {
            return;
        }
        for _ in 0..8 {
            let mut swapped = false;
            for column in 0..self.columns.len() {
                for place in 1..self.columns[column].len() {
                    let (upper, lower) = (self.columns[column][place - 1], self.columns[column][place]);
                    let kept = self.between(upper, lower);
                    let other = self.between(lower, upper);
                    if other < kept {
                        self.columns[column].swap(place - 1, place);
                        self.place[upper] = place;
                        self.place[lower] = place - 1;
                        swapped = true;
                    }
                }
            }
            if !swapped {
                break;
            }
        }
    }

    /// Counts the crossings between the edges of two neighbours, the first above the second.
    fn between(&self, upper: usize, lower: usize) -> usize {
        let count = |above: &[usize], below: &[usize]| {
            let mut below: Vec<usize> = below.iter().map(|&vertex| self.place[vertex]).collect();
            below.sort_unstable();
            above.iter().map(|&vertex| below.partition_point(|&place| place < self.place[vertex])).sum::<usize>()
        };
        count(&self.before[upper], &self.before[lower]) + count(&self.after[upper], &self.after[lower])
    }
}

/// Counts the pairs that stand in the wrong order, with a Fenwick tree.
fn inversions(values: &[usize], most: usize) -> usize {
    let mut tree = vec![0_usize; most + 1];
    let mut found = 0;
    for (seen, &value) in values.iter().enumerate() {
        let mut not_greater = 0;
        let mut ix = value + 1;
        while ix > 0 {
            not_greater += tree[ix];
            ix &= ix - 1;
        }
        found += seen - not_greater;
        let mut ix = value + 1;
        while ix <= most {
            tree[ix] += 1;
            ix += ix & ix.wrapping_neg();
        }
    }
    found
}

/// Returns the left edge of each column. An aisle is the wider the more its steepest edge climbs.
fn columns(net: &Net, heights: &[f64], measures: Measures) -> Vec<f64> {
    let mut climbs = vec![0.0_f64; net.columns.len()];
    for (vertex, others) in net.after.iter().enumerate() {
        for &other in others {
            let climb = &mut climbs[net.layer[vertex]];
            *climb = climb.max((heights[other] - heights[vertex]).abs());
        }
    }
    let mut left = 0.0;
    climbs
        .iter()
        .map(|climb| {
            let here = left;
            left += measures.width + (measures.aisle + climb * 0.12).min(measures.aisle * 2.5).round();
            here
        })
        .collect()
}

/// Step 4: returns the height of each vertex's middle, the least of them so that nothing is above 0.
fn align(net: &Net, measures: Measures) -> Vec<f64> {
    let conflicts = conflicts(net);
    let mut ways: Vec<Vec<f64>> = Vec::new();
    for backwards in [false, true] {
        for upwards in [false, true] {
            let mut columns = net.columns.clone();
            if backwards {
                columns.reverse();
            }
            if upwards {
                for column in &mut columns {
                    column.reverse();
                }
            }
            let neighbours = if backwards { &net.after } else { &net.before };
            let way = Way { net, columns, neighbours, conflicts: &conflicts, measures };
            let mut heights = way.heights();
            if upwards {
                for height in &mut heights {
                    *height = -*height;
                }
            }
            ways.push(heights);
        }
    }
    let extent = |heights: &[f64]| {
        let reach = |vertex: usize| net.half(vertex, measures);
        let least = heights.iter().enumerate().map(|(v, h)| h - reach(v)).fold(f64::INFINITY, f64::min);
        let most = heights.iter().enumerate().map(|(v, h)| h + reach(v)).fold(f64::NEG_INFINITY, f64::max);
        (least, most)
    };
    let extents: Vec<(f64, f64)> = ways.iter().map(|way| extent(way)).collect();
    let (least, most) =
        *extents.iter().min_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0))).expect("there are four ways");
    for (ix, way) in ways.iter_mut().enumerate() {
        // Those that were packed from above share the upper edge of the smallest, those from below its lower edge.
        let shift = if ix % 2 == 0 { least - extents[ix].0 } else { most - extents[ix].1 };
        for height in way {
            *height += shift;
        }
    }
    let mut heights: Vec<f64> = (0..net.layer.len())
        .map(|vertex| {
            let mut four = [ways[0][vertex], ways[1][vertex], ways[2][vertex], ways[3][vertex]];
            four.sort_by(f64::total_cmp);
            f64::midpoint(four[1], four[2])
        })
        .collect();
    let top = extent(&heights).0;
    for height in &mut heights {
        *height -= top;
    }
    heights
}

/// Returns the edges that cross the inner part of a long edge: they give way.
fn conflicts(net: &Net) -> HashSet<(usize, usize)> {
    let mut found = HashSet::new();
    for pair in net.columns.windows(2) {
        let (upper, lower) = (&pair[0], &pair[1]);
        let (mut from, mut scanned) = (0, 0);
        for (place, &vertex) in lower.iter().enumerate() {
            let inner =
                net.is_lane(vertex).then(|| net.before[vertex].first().copied()).flatten().filter(|&v| net.is_lane(v));
            if inner.is_none() && place + 1 < lower.len() {
                continue;
            }
            let to = inner.map_or(upper.len(), |other| net.place[other]);
            while scanned <= place {
                let scan = lower[scanned];
                for &other in &net.before[scan] {
                    let at = net.place[other];
                    if (at < from || at > to) && !(net.is_lane(scan) && net.is_lane(other)) {
                        found.insert((other, scan));
                    }
                }
                scanned += 1;
            }
            from = to;
        }
    }
    found
}

/// One of the four ways to align.
struct Way<'a> {
    net: &'a Net,
    columns: Vec<Vec<usize>>,
    neighbours: &'a [Vec<usize>],
    conflicts: &'a HashSet<(usize, usize)>,
    measures: Measures,
}

impl Way<'_> {
    /// Returns the first vertex of the block of each vertex.
    fn blocks(&self) -> Vec<usize> {
        let all = self.net.layer.len();
        let mut place = vec![0_usize; all];
        for column in &self.columns {
            for (ix, &vertex) in column.iter().enumerate() {
                place[vertex] = ix;
            }
        }
        let mut root: Vec<usize> = (0..all).collect();
        let mut aligned = vec![false; all];
        for column in &self.columns {
            // The least place of the neighbouring column that is still free, so that blocks never cross.
            let mut free = 0;
            for &vertex in column {
                let mut others = self.neighbours[vertex].clone();
                others.sort_by_key(|&other| place[other]);
                if others.is_empty() {
                    continue;
                }
                for &other in &others[(others.len() - 1) / 2..=others.len() / 2] {
                    let crossed =
                        self.conflicts.contains(&(vertex, other)) || self.conflicts.contains(&(other, vertex));
                    if !aligned[vertex] && place[other] >= free && !crossed {
                        aligned[vertex] = true;
                        root[vertex] = root[other];
                        free = place[other] + 1;
                    }
                }
            }
        }
        root
    }

    /// Packs the blocks as close to the top as they go, then lets each down towards what is below it.
    fn heights(&self) -> Vec<f64> {
        let root = self.blocks();
        let mut below: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        for column in &self.columns {
            for pair in column.windows(2) {
                let apart = self.net.apart(pair[0], pair[1], self.measures);
                let known = below.entry((root[pair[0]], root[pair[1]])).or_insert(apart);
                *known = known.max(apart);
            }
        }
        let positions = order(root.len(), below.keys().copied());
        let mut edges: Vec<((usize, usize), f64)> = below.into_iter().collect();
        let mut heights = vec![0.0_f64; root.len()];
        edges.sort_by_key(|&((upper, _), _)| positions[upper]);
        for &((upper, lower), apart) in &edges {
            heights[lower] = heights[lower].max(heights[upper] + apart);
        }
        let mut bounds = vec![f64::INFINITY; root.len()];
        let mut ix = edges.len();
        while ix > 0 {
            let upper = edges[ix - 1].0.0;
            while ix > 0 && edges[ix - 1].0.0 == upper {
                let ((_, lower), apart) = edges[ix - 1];
                bounds[upper] = bounds[upper].min(heights[lower] - apart);
                ix -= 1;
            }
            heights[upper] = heights[upper].max(bounds[upper]);
        }
        root.iter().map(|&root| heights[root]).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a column has fewer than 2^52 vertices")]
fn float(count: usize) -> f64 {
    count as f64
}
