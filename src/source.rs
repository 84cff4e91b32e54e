//! A text with a name, and the way from a JSON pointer to a place in it.
//!
//! The reader (`spec/yaml.rs`) builds one [`SourceMap`] a file. Everything behind it (checks, templates, contracts, a failing
//! step an hour into the run) speaks in JSON pointers, and the map turns them into spans when something has to be shown.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use serde::{Deserialize, Serialize};

/// A file's name and its text.
#[derive(Clone)]
pub struct Source {
    /// The path as a person wrote it, or a name such as `<standard input>`.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
    /// Where each line begins, found out once: a file may have thousands of mistakes, and each has a line.
    lines: OnceLock<Vec<usize>>,
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.text == other.text
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("text", &self.text).finish_non_exhaustive()
    }
}

/// A range of bytes of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl Span {
    /// Returns the span of these bytes.
    #[must_use]
    pub fn new(range: Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }

    /// Returns the span as a range.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A line and a column, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Source {
    /// Builds a source.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into(), lines: OnceLock::new() }
    }

    /// Returns the line and column of a byte; past the end, those of the end.
    #[must_use]
    pub fn position(&self, byte: usize) -> Position {
        let mut byte = byte.min(self.text.len());
        while !self.text.is_char_boundary(byte) {
            byte -= 1;
        }
        let lines = self.lines.get_or_init(|| {
            let ends = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
            std::iter::once(0).chain(ends.map(|(end, _)| end + 1)).collect()
        });
        // The first line begins at 0, so at least one begins no later than here.
        let line = lines.partition_point(|&start| start <= byte);
        let before = &self.text[lines[line - 1]..byte];
        Position { line, column: before.chars().filter(|&c| c != '\u{feff}').count() + 1 }
    }
}

/// A path into a document: the keys and indexes from its root.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pointer(Vec<String>);

impl Pointer {
    /// The document itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the pointer to a key or an index below this one.
    #[must_use]
    pub fn join(&self, part: impl fmt::Display) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.to_string());
        Self(parts)
    }

    /// Returns the pointer to the place above, or none for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, parts) = self.0.split_last()?;
        Some(Self(parts.to_vec()))
    }

    /// Returns the keys and indexes from the root.
    #[must_use]
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// Reads the form of RFC 6901 (`/steps/render/inputs/0`), in which `~1` is `/` and `~0` is `~`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect())
    }
}

impl<T: fmt::Display> FromIterator<T> for Pointer {
    fn from_iter<I: IntoIterator<Item = T>>(parts: I) -> Self {
        Self(parts.into_iter().map(|part| part.to_string()).collect())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| write!(f, "/{}", part.replace('~', "~0").replace('/', "~1")))
    }
}

/// Where one node of a document stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its key, where it is a map's entry.
    pub key: Option<Span>,
    /// Its value, quotes included.
    pub value: Span,
    /// For a string: where its characters come from, as `(byte in the value, byte in the source)` pairs in ascending order.
    /// Between two pairs the bytes run in step. Empty: the whole value at `value`.
    pub runs: Vec<(usize, usize)>,
}

/// From JSON pointers to places.
///
/// A tree like the document itself: a map of whole pointers would hold every step's name once for each value below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMap {
    place: Option<Place>,
    below: HashMap<String, SourceMap>,
}

impl SourceMap {
    /// Returns the map of a node with the nodes below it, by key or index.
    #[must_use]
    pub fn of(place: Place, below: HashMap<String, Self>) -> Self {
        Self { place: Some(place), below }
    }

    /// Notes where a node stands.
    pub fn insert(&mut self, pointer: Pointer, place: Place) {
        let node = pointer.0.into_iter().fold(self, |node, part| node.below.entry(part).or_default());
        node.place = Some(place);
    }

    /// Returns the place of a node.
    #[must_use]
    pub fn get(&self, pointer: &Pointer) -> Option<&Place> {
        pointer.0.iter().try_fold(self, |node, part| node.below.get(part))?.place.as_ref()
    }

    /// Returns the span of a node's value, or that of the nearest node above which is known.
    #[must_use]
    pub fn value(&self, pointer: &Pointer) -> Span {
        self.nearest(pointer).map(|place| place.value).unwrap_or_default()
    }

    /// Returns the span of a node's key; of its value where it has no key.
    #[must_use]
    pub fn key(&self, pointer: &Pointer) -> Span {
        self.nearest(pointer).map(|place| place.key.unwrap_or(place.value)).unwrap_or_default()
    }

    /// Returns the span in the source of some bytes of a string value, whatever its quoting, escapes and folding.
    #[must_use]
    pub fn within(&self, pointer: &Pointer, range: Range<usize>) -> Span {
        let Some(place) = self.get(pointer) else { return self.value(pointer) };
        if place.runs.is_empty() {
            return place.value;
        }
        let source = |byte: usize| {
            let run = place.runs.partition_point(|&(value, _)| value <= byte).saturating_sub(1);
            let (value, source) = place.runs[run];
            (source + byte.saturating_sub(value)).min(place.value.end)
        };
        let start = source(range.start);
        // The end is that of the last byte in the range: the byte after it may stand on another line.
        let end = if range.end > range.start { source(range.end - 1) + 1 } else { start };
        Span { start, end: end.max(start) }
    }

    fn nearest(&self, pointer: &Pointer) -> Option<&Place> {
        let mut node = self;
        let mut nearest = self.place.as_ref();
        for part in &pointer.0 {
            let Some(below) = node.below.get(part) else { break };
            node = below;
            nearest = node.place.as_ref().or(nearest);
        }
        nearest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_clamp() {
        let source = Source::new("a", "ä: b\nçd: e\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(3), Position { line: 1, column: 3 });
        assert_eq!(source.position(8), Position { line: 2, column: 2 });
        assert_eq!(source.position(999), Position { line: 3, column: 1 });
    }

    #[test]
    fn pointers_escape_and_read_back() {
        let pointer = Pointer::root().join("a/b").join("c~d").join(0);
        assert_eq!(pointer.to_string(), "/a~1b/c~0d/0");
        assert_eq!(Pointer::parse("/a~1b/c~0d/0"), pointer);
        assert_eq!(Pointer::parse(""), Pointer::root());
    }

    #[test]
    fn a_part_of_a_string_is_found_through_its_runs() {
        let mut map = SourceMap::default();
        let pointer = Pointer::root().join("a");
        // The value `xy\nz` whose first line starts at byte 10 and whose second at byte 20.
        let place = Place { key: None, value: Span::new(8..21), runs: vec![(0, 10), (3, 20)] };
        map.insert(pointer.clone(), place);
        assert_eq!(map.within(&pointer, 1..2), Span::new(11..12));
        assert_eq!(map.within(&pointer, 3..4), Span::new(20..21));
        assert_eq!(map.within(&pointer, 0..4), Span::new(10..21));
        assert_eq!(map.value(&pointer.join("gone")), Span::new(8..21));
    }
}
