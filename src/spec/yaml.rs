//! YAML to a JSON value, with the place of every key and value.
//!
//! ```text
//! text ──saphyr-parser──▶ events ──▶ Tree (nodes by id; an alias is an id again) ──▶ Value + SourceMap
//! ```
//!
//! The parser gives events only, so the rest of YAML's meaning is here: the scalars of the 1.2 core schema, duplicate keys,
//! anchors, merge keys, and the bounds on depth and expansion. Expansion is bounded by arithmetic over the tree, before anything
//! is expanded: a bomb costs no more than its text.
//!
//! The parser stops at its first error. Where the wrong text can be read as what was meant (a template without quotes, an
//! unknown alias, a tab after a colon), it is told, masked with as many bytes, and the file is read again; so all problems of
//! such a file are told at once. Everything else that is wrong with the syntax ends the reading with one diagnostic.
//!
//! What must hold: byte offsets in a masked text are those of the source.

mod scalar;
mod trouble;

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
    sync::Arc,
};

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};
use serde_json::{Map, Value};

use self::{
    scalar::{Scalar, Style},
    trouble::Trouble,
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::{Place, Source, SourceMap, Span},
};

/// The deepest nesting: far beyond what people write, and far from where recursion would hurt.
pub const DEEPEST: usize = 64;

/// How many nodes aliases may add to those that are written: room for every sane use of anchors.
pub const ALIASED_NODES: u64 = 100_000;

/// How many bytes of scalars aliases may add.
pub const ALIASED_BYTES: u64 = 16 << 20;

/// How often a file is read again after a mask. Each reading is linear, so this keeps the whole linear.
const READINGS: usize = 40;

/// What reading a text gave.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// What it says; none where the syntax is too broken to tell.
    pub value: Option<Value>,
    /// Where everything stands.
    pub map: SourceMap,
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads one YAML document. A text without content is `null`.
#[must_use]
pub fn read(source: &Arc<Source>) -> Reading {
    let whole: &str = &source.text;
    // The mark would shift every column by one.
    let mark = if whole.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut text = whole[mark..].to_owned();
    let mut masked = Vec::new();
    let mut told = Vec::new();
    for reading in 1..=READINGS {
        let mut builder = Builder::new(source, &text, mark, &masked);
        let trouble = match builder.build() {
            Ok(root) => return builder.finish(root, told),
            Err(Stop::Told) => {
                told.append(&mut builder.diagnostics);
                return Reading { diagnostics: told, ..Reading::default() };
            }
            Err(Stop::Syntax { info, byte }) => trouble::judge(source, &info, byte, mark),
        };
        let Trouble { diagnostic, mask } = trouble;
        let (Some(Mask { range, with }), true) = (mask, reading < READINGS) else {
            told.append(&mut builder.diagnostics);
            told.push(diagnostic);
            break;
        };
        told.push(diagnostic);
        text.replace_range(range.start - mark..range.end - mark, &with.to_string().repeat(range.len()));
        masked.push(range);
    }
    Reading { diagnostics: told, ..Reading::default() }
}

/// A wrong text that can be read as what was meant.
struct Mask {
    /// The bytes of the source that are masked.
    range: Range<usize>,
    /// What stands in for each byte; ASCII.
    with: char,
}

/// Why a reading ended early.
enum Stop {
    /// The parser found an error at a byte of the source.
    Syntax { info: String, byte: usize },
    /// A diagnostic is there already.
    Told,
}

type NodeId = usize;

struct Node {
    what: What,
    span: Span,
    /// Nodes, this one and what aliases stand for included.
    nodes: u64,
    /// Bytes of scalars, likewise.
    bytes: u64,
    /// Levels of nesting.
    height: usize,
}

enum What {
    Scalar(Scalar),
    List(Vec<NodeId>),
    Map(Vec<Entry>),
}

#[derive(Clone)]
struct Entry {
    key: String,
    span: Span,
    node: NodeId,
}

/// A list or map that is not closed yet.
struct Frame {
    start: Span,
    anchor: usize,
    items: Vec<NodeId>,
    /// For a map; its items are keys and values in turn.
    keys: Option<Vec<Key>>,
    first_alias: Option<Span>,
}

#[derive(Clone)]
enum Key {
    Text(String, Span),
    Merge(Span),
    /// A list or a map.
    Node(Span),
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    text: &'a str,
    /// Bytes before `text` in the source.
    offset: usize,
    masked: &'a [Range<usize>],
    /// The byte of each character, unless the text is ASCII.
    bytes: Option<Vec<usize>>,
    nodes: Vec<Node>,
    anchors: HashMap<usize, NodeId>,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Arc<Source>, text: &'a str, offset: usize, masked: &'a [Range<usize>]) -> Self {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect());
        Self {
            source,
            text,
            offset,
            masked,
            bytes,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            diagnostics: Vec::new(),
        }
    }

    fn byte(&self, character: usize) -> usize {
        let byte = match &self.bytes {
            None => character.min(self.text.len()),
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
        };
        byte + self.offset
    }

    fn span(&self, marks: Marks) -> Span {
        Span { start: self.byte(marks.start.index()), end: self.byte(marks.end.index()) }
    }

    fn raw(&self, span: Span) -> &'a str {
        self.source.text.get(span.range()).unwrap_or_default()
    }

    fn is_masked(&self, span: Span) -> bool {
        self.masked.iter().any(|range| range.start >= span.start && range.end <= span.end)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Builds the tree; none for an empty document.
    fn build(&mut self) -> Result<Option<NodeId>, Stop> {
        let mut parser = Parser::new_from_str(self.text);
        let mut stack: Vec<Frame> = Vec::new();
        let mut root = None;
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let (event, marks) = event.map_err(|error| Stop::Syntax {
                info: error.info().to_owned(),
                byte: self.byte(error.marker().index()),
            })?;
            let span = self.span(marks);
            let node = match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let diagnostic =
                            Diagnostic::error(Code::SeveralDocuments, "the file holds several YAML documents")
                                .at(self.source, span, "the second one starts here")
                                .help("put each document into a file of its own");
                        self.report(diagnostic);
                        break;
                    }
                    continue;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let tag = tag.map(|tag| tag.suffix.clone());
                    let node = self.scalar(&text, style, span, tag.as_deref());
                    self.anchor(anchor, node);
                    node
                }
                Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) if stack.len() >= DEEPEST => {
                    let _ = (anchor, tag);
                    let diagnostic = Diagnostic::error(
                        Code::TooLarge,
                        format!("lists and maps are nested deeper than {DEEPEST} levels"),
                    )
                    .at(self.source, first_character(span), "this one is too deep")
                    .help("flatten it: no workflow needs this");
                    self.report(diagnostic);
                    return Err(Stop::Told);
                }
                Event::SequenceStart(anchor, ref tag) | Event::MappingStart(anchor, ref tag) => {
                    let (tag_span, start) = scalar::properties(self.source, span);
                    if let Some(tag) = tag {
                        self.tag(&tag.suffix, tag_span.unwrap_or(span));
                    }
                    let keys = matches!(event, Event::MappingStart(..)).then(Vec::new);
                    stack.push(Frame {
                        start: Span { start, end: span.end.max(start) },
                        anchor,
                        items: Vec::new(),
                        keys,
                        first_alias: None,
                    });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let Some(frame) = stack.pop() else { continue };
                    let anchor = frame.anchor;
                    let node = self.close(frame, span)?;
                    self.anchor(anchor, node);
                    node
                }
                Event::Alias(anchor) => {
                    if let Some(frame) = stack.last_mut() {
                        frame.first_alias.get_or_insert(span);
                    }
                    let Some(&node) = self.anchors.get(&anchor) else {
                        let diagnostic = Diagnostic::error(
                            Code::UnknownAlias,
                            format!("the alias `{}` stands inside the value that it names", self.raw(span)),
                        )
                        .at(self.source, span, "would contain itself")
                        .help("write the value out");
                        self.report(diagnostic);
                        return Err(Stop::Told);
                    };
                    if let Some(Frame { keys: Some(keys), items, .. }) = stack.last_mut()
                        && keys.len() == items.len()
                    {
                        let key = self.key(node, span);
                        keys.push(key);
                        continue;
                    }
                    node
                }
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => continue,
            };
            match stack.last_mut() {
                None => root = Some(node),
                Some(Frame { keys: Some(keys), items, .. }) if keys.len() == items.len() => {
                    let span = self.nodes[node].span;
                    let key = self.key(node, span);
                    keys.push(key);
                }
                Some(frame) => frame.items.push(node),
            }
        }
        Ok(root)
    }

    fn anchor(&mut self, anchor: usize, node: NodeId) {
        if anchor > 0 {
            self.anchors.insert(anchor, node);
        }
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn tag(&mut self, suffix: &str, span: Span) {
        let help = match suffix {
            "str" => "put the value in quotes instead",
            "int" | "float" | "bool" | "null" => "write the plain value",
            _ => "leave the tag out; what is computed is a template: `\"{{ … }}\"`",
        };
        let diagnostic = Diagnostic::error(Code::Tag, format!("the YAML tag `{}` has no meaning here", self.raw(span)))
            .at(self.source, span, "tags are not used")
            .help(help);
        self.report(diagnostic);
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span, tag: Option<&str>) -> NodeId {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::Single,
            ScalarStyle::DoubleQuoted => Style::Double,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        let (tag_span, start) = scalar::properties(self.source, span);
        if let Some(tag) = tag {
            self.tag(tag, tag_span.unwrap_or(span));
        }
        let mut span = Span { start: start.min(span.end), end: span.end };
        if style == Style::Plain && text.is_empty() {
            // An empty value's own place is wherever the next token stands: say where it would be written.
            span.end = span.start;
        }
        // The parser's end is that of the blanks and comments behind it.
        let raw = self.raw(span);
        span.end = span.start + scalar::closed(raw, style).unwrap_or_else(|| raw.trim_end().len());
        let scalar = if self.is_masked(span) {
            Scalar::raw(self.raw(span), span)
        } else if style == Style::Plain && tag != Some("str") {
            let (scalar, diagnostic) = Scalar::plain(text, self.source, span);
            self.diagnostics.extend(diagnostic);
            scalar
        } else {
            Scalar::string(text, style, self.source, span)
        };
        let bytes = text.len() as u64;
        self.push(Node { what: What::Scalar(scalar), span, nodes: 1, bytes, height: 0 })
    }

    fn key(&self, node: NodeId, span: Span) -> Key {
        match &self.nodes[node].what {
            What::Scalar(scalar) if scalar.plain && self.raw(span) == "<<" => Key::Merge(span),
            What::Scalar(Scalar { value: Value::String(text), .. }) => Key::Text(text.clone(), span),
            _ => Key::Node(span),
        }
    }

    /// Ends a list or a map.
    fn close(&mut self, frame: Frame, end: Span) -> Result<NodeId, Stop> {
        let Frame { start, items, keys, first_alias, .. } = frame;
        let flow = matches!(self.source.text.as_bytes().get(start.start), Some(b'[' | b'{')) && start.end > start.start;
        let closing = if keys.is_some() { b'}' } else { b']' };
        let end = if flow {
            // The parser's mark of the bracket may hold the white space behind it.
            let bytes = self.source.text.as_bytes();
            end.start + usize::from(bytes.get(end.start) == Some(&closing))
        } else {
            let last = items.last().map(|&node| self.nodes[node].span.end).unwrap_or_default();
            let key = keys.as_ref().and_then(|keys| keys.last()).map(|key| key.span().end).unwrap_or_default();
            last.max(key).max(start.start)
        };
        let mut node = Node {
            what: What::List(Vec::new()),
            span: Span { start: start.start, end: end.max(start.start) },
            nodes: 1,
            bytes: 0,
            height: 1,
        };
        // The end of an alias's value may stand before the alias.
        for &item in &items {
            let item = &self.nodes[item];
            node.nodes = node.nodes.saturating_add(item.nodes);
            node.bytes = node.bytes.saturating_add(item.bytes);
            node.height = node.height.max(item.height + 1);
        }
        if let Some(alias) = first_alias
            && (node.nodes > self.nodes.len() as u64 + ALIASED_NODES
                || node.bytes > self.text.len() as u64 + ALIASED_BYTES
                || node.height > DEEPEST)
        {
            let diagnostic = Diagnostic::error(Code::TooLarge, "the aliases of this file expand to too much")
                .at(self.source, alias, "here it grows beyond the bound")
                .help(format!(
                    "aliases may add {ALIASED_NODES} values and {} MiB of text, {DEEPEST} levels deep",
                    ALIASED_BYTES >> 20
                ));
            self.report(diagnostic);
            return Err(Stop::Told);
        }
        node.what = match keys {
            None => What::List(items),
            Some(keys) => self.entries(&keys, &items, node.span),
        };
        Ok(self.push(node))
    }

    fn entries(&mut self, keys: &[Key], items: &[NodeId], span: Span) -> What {
        if let [Key::Node(inner)] = keys
            && self.raw(span).starts_with("{{")
            && inner.start == span.start + 1
        {
            self.report(trouble::unquoted(self.source, span));
            return What::Scalar(Scalar::raw(self.raw(span), span));
        }
        let mut seen: HashMap<&str, Span> = HashMap::new();
        let mut entries = Vec::new();
        let mut merge = None;
        let mut merge_key = None;
        let mut wrong = Vec::new();
        for (key, &node) in keys.iter().zip(items) {
            match key {
                Key::Text(text, span) => {
                    if let Some(&first) = seen.get(text.as_str()) {
                        wrong.push(self.twice(text, first, *span));
                    } else {
                        seen.insert(text, *span);
                        entries.push(Entry { key: text.clone(), span: *span, node });
                    }
                }
                Key::Merge(span) => {
                    if let Some(first) = merge_key.replace(*span) {
                        wrong.push(
                            self.twice("<<", first, *span).help("merge several maps with a list: `<<: [*a, *b]`"),
                        );
                    } else {
                        merge = Some((entries.len(), node));
                    }
                }
                Key::Node(span) => {
                    let raw = self.raw(*span);
                    let quoted = raw.lines().next().unwrap_or_default();
                    let diagnostic = Diagnostic::error(Code::KeyNotString, "a key must be a string");
                    wrong.push(if raw.starts_with(['{', '[']) || raw.contains('\n') {
                        diagnostic.at(self.source, first_line(raw, *span), "found a list or a map").help("write a name")
                    } else if raw.is_empty() {
                        diagnostic.at(self.source, *span, "found nothing").help("write a name before the `:`")
                    } else {
                        let read = scalar_kind(quoted);
                        let diagnostic = diagnostic
                            .at(self.source, *span, format!("YAML reads this as {read}"))
                            .help(format!("put it in quotes: `\"{quoted}\"`"));
                        if seen.insert(raw, *span).is_none() {
                            entries.push(Entry { key: raw.to_owned(), span: *span, node });
                        }
                        diagnostic
                    });
                }
            }
        }
        if let Some((at, node)) = merge {
            let known = seen.keys().map(|&key| key.to_owned()).collect();
            let merged = self.merged(node, merge_key.unwrap_or_default(), known, &mut wrong);
            entries.splice(at..at, merged);
        }
        self.diagnostics.append(&mut wrong);
        What::Map(entries)
    }

    /// Returns the entries of the maps of a merge key whose keys are not known yet; of several maps the first wins.
    fn merged(&self, node: NodeId, key: Span, mut known: HashSet<String>, wrong: &mut Vec<Diagnostic>) -> Vec<Entry> {
        let mut entries = Vec::new();
        let sources = match &self.nodes[node].what {
            What::List(items) => items.as_slice(),
            _ => &[node],
        };
        for &source in sources {
            if let What::Map(more) = &self.nodes[source].what {
                entries.extend(more.iter().filter(|entry| known.insert(entry.key.clone())).cloned());
            } else if !self.is_masked(self.nodes[source].span) {
                let found = describe_kind(&self.nodes[source].what);
                wrong.push(
                    Diagnostic::error(Code::BadMerge, "`<<` merges maps only")
                        .at(self.source, key, format!("would merge {found}"))
                        .help("give it an alias of a map, or a list of such aliases: `<<: *name`"),
                );
            }
        }
        entries
    }

    fn twice(&self, key: &str, first: Span, second: Span) -> Diagnostic {
        Diagnostic::error(Code::DuplicateKey, format!("the key `{key}` stands twice in one map"))
            .at(self.source, second, "here again")
            .also(self.source, first, "first here")
            .help("keep one of the two")
    }

    fn finish(mut self, root: Option<NodeId>, mut told: Vec<Diagnostic>) -> Reading {
        let nothing = Place { key: None, value: Span::default(), runs: Vec::new() };
        let (value, map) = match root {
            None => (Value::Null, SourceMap::of(nothing, HashMap::new())),
            Some(root) => self.emit(root, None),
        };
        told.append(&mut self.diagnostics);
        Reading { value: Some(value), map, diagnostics: told }
    }

    /// Writes a node out. The recursion is bounded by [`DEEPEST`].
    fn emit(&self, node: NodeId, key: Option<Span>) -> (Value, SourceMap) {
        let Node { what, span, .. } = &self.nodes[node];
        let mut place = Place { key, value: *span, runs: Vec::new() };
        let mut below = HashMap::new();
        let value = match what {
            What::Scalar(scalar) => {
                place.runs.clone_from(&scalar.runs);
                scalar.value.clone()
            }
            What::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, &item) in items.iter().enumerate() {
                    let (value, map) = self.emit(item, None);
                    below.insert(index.to_string(), map);
                    list.push(value);
                }
                Value::Array(list)
            }
            What::Map(entries) => {
                let mut object = Map::with_capacity(entries.len());
                for entry in entries {
                    let (value, map) = self.emit(entry.node, Some(entry.span));
                    below.insert(entry.key.clone(), map);
                    object.insert(entry.key.clone(), value);
                }
                Value::Object(object)
            }
        };
        (value, SourceMap::of(place, below))
    }
}

impl Key {
    fn span(&self) -> Span {
        match self {
            Self::Text(_, span) | Self::Merge(span) | Self::Node(span) => *span,
        }
    }
}

/// Says what YAML reads a key as that is a scalar but no string.
fn scalar_kind(raw: &str) -> &'static str {
    match raw.to_lowercase().as_str() {
        "true" | "false" => "a boolean",
        "~" | "null" => "nothing",
        _ => "a number",
    }
}

fn describe_kind(what: &What) -> &'static str {
    match what {
        What::Scalar(Scalar { value: Value::Null, .. }) => "nothing",
        What::Scalar(_) => "a single value",
        What::List(_) => "a list",
        What::Map(_) => "a map",
    }
}

fn first_character(span: Span) -> Span {
    Span { start: span.start, end: span.start + 1 }
}

fn first_line(raw: &str, span: Span) -> Span {
    let line = raw.lines().next().unwrap_or_default();
    Span { start: span.start, end: span.start + line.len() }
}

#[cfg(test)]
mod tests;
