//! Templates: texts with `{{ }}` in them, and bare expressions (LANGUAGE.md, section 4).
//!
//! ```text
//! text ──compile──▶ Template ──render(Scope)──▶ JSON value, or a TemplateError at a range of the text
//!                      └─ references: what it reads, known without rendering it
//! ```
//!
//! This module and those below it are the only ones that know MiniJinja. Its syntax tree is read once, so that names, filters,
//! functions and step ids are checked before anything runs, and so that the plan knows who reads what. A text that is one
//! `{{ }}` is compiled as an expression, because its value keeps its type; any other text is a MiniJinja template.
//!
//! A local file (`file("a.png")`, an input that is one) is a value of its own kind, which becomes the reference that stands for it:
//! [`Files`] tells how. Its calls are read from the tree too, so that the plan can look for the files before the run.
//!
//! What must stay true: the same text and the same data give the same value (no clock, no randomness, no file is read); every kind
//! of work is bounded (fuel, sizes, depths below); no error shows a secret; every range lies in the text as it was written; no
//! result of a step becomes a local file, whatever it says.

mod bounds;
mod code;
mod constant;
mod error;
mod expression;
mod files;
mod filters;
mod read;
mod scope;
mod value;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use minijinja::{Environment, UndefinedBehavior};

use self::code::Code;
pub(crate) use self::files::check as names_file;
pub use self::{
    error::{TemplateError, TemplateErrorKind, diagnostic},
    expression::{Arithmetic, Call, Choice, Comparison, Expression, Kind},
    files::{Files, is_placeholder, is_url},
    read::with_stand_ins,
    scope::{Scope, Shown},
};

/// The longest text with a template in it, in bytes: the engine counts columns in 16 bits. A prompt is some thousand bytes; what
/// is much longer is data, and comes through an input.
pub const LONGEST_TEMPLATE: usize = 64_000;

/// The name of the one template in an environment.
const NAME: &str = "template";

/// The work that one rendering may do. One fuel is an instruction of the engine or 64 bytes, so this is a million instructions
/// or 64 MB of text passed through filters: some tenths of a second.
const FUEL: u64 = 1_000_000;

/// How deep loops and macros may recur. Each level takes some kilobytes of the stack of a thread, of which there are 2 MB.
const RECURSION: usize = 32;

/// A compiled string: plain text, text with `{{ }}`, one lone `{{ }}`, or a bare expression.
#[derive(Clone)]
pub struct Template {
    text: Arc<str>,
    form: Form,
    references: Arc<[Reference]>,
    /// Whether the whole value is the one reference, with nothing done to it.
    is_reference: bool,
    /// Places of the references that `~` makes text of. The engine would write a null there as `none`.
    joined: Arc<[usize]>,
    files: Arc<[FileCall]>,
    /// The expressions that are surely evaluated; none where the value is one reference, which says it all.
    parts: Arc<[Expression]>,
}

#[derive(Clone)]
enum Form {
    Constant,
    /// An expression, and its bytes of the text; its value keeps its type.
    Value(Arc<Code>, Range<usize>),
    /// A text with templates in it.
    Text(Arc<Code>),
}

/// A value that a template reads: a name and a path into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The name.
    pub root: Root,
    /// What follows it: `steps['a'].images[0]` has `a`, `images` and 0.
    pub path: Vec<Segment>,
    /// The bytes of the whole reference in the text.
    pub range: Range<usize>,
    /// The bytes of each segment of the path, quotes included where it has some.
    pub segments: Vec<Range<usize>>,
    /// Whether it is asked for what may not be there: `default` or a test such as `is defined` takes it.
    pub excused: bool,
}

/// A call of `file`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCall {
    /// The path, or the URL, as written; none where it is known only when it is rendered.
    pub path: Option<String>,
    /// What the path is made of. Never a result of a step; an item of a fan-out may be one, which only the caller knows.
    pub roots: Vec<Root>,
    /// The bytes of the argument in the text, quotes included where it has some.
    pub range: Range<usize>,
}

/// A step of a reference's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A key of a map.
    Key(String),
    /// A place in a list; from the end when negative.
    Index(i64),
    /// Known only when it is rendered.
    Computed,
}

/// The names that templates read from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Root {
    /// The run's parameters.
    Inputs,
    /// The workflow's named values.
    Vars,
    /// Environment variables that the workflow names.
    Secrets,
    /// Results, by step id.
    Steps,
    /// The item of a fan-out.
    Item,
    /// Its 0-based position.
    Index,
    /// `id` and `attempt` of the step, in `save`.
    Step,
    /// The extension of a file that is saved.
    Ext,
    /// Its 0-based number among the result's media.
    N,
    /// Facts about the run.
    Run,
    /// A field of the result at hand, such as `output`: a scope may hold it, no template outside `expect` may read it.
    Result(String),
}

impl Root {
    /// Every name that a template may read from.
    pub const NAMES: &[&str] = &["inputs", "vars", "secrets", "steps", "item", "index", "step", "ext", "n", "run"];

    /// Returns the name as it is written.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Inputs => "inputs",
            Self::Vars => "vars",
            Self::Secrets => "secrets",
            Self::Steps => "steps",
            Self::Item => "item",
            Self::Index => "index",
            Self::Step => "step",
            Self::Ext => "ext",
            Self::N => "n",
            Self::Run => "run",
            Self::Result(name) => name,
        }
    }

    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "inputs" => Self::Inputs,
            "vars" => Self::Vars,
            "secrets" => Self::Secrets,
            "steps" => Self::Steps,
            "item" => Self::Item,
            "index" => Self::Index,
            "step" => Self::Step,
            "ext" => Self::Ext,
            "n" => Self::N,
            "run" => Self::Run,
            _ => return None,
        })
    }
}

impl Reference {
    /// Returns the first key of the path: the input's name, the step's id.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        match self.path.first() {
            Some(Segment::Key(key)) => Some(key),
            _ => None,
        }
    }

    /// Returns the reference, or the first `segments` of its path, the way a person would write it.
    #[must_use]
    pub fn spelt(&self, segments: usize) -> String {
        self.path.iter().take(segments).fold(self.root.name().to_owned(), |text, segment| match segment {
            Segment::Key(key) if key.parse::<crate::id::StepId>().is_ok() => format!("{text}.{key}"),
            Segment::Key(key) => format!("{text}[{key:?}]"),
            Segment::Index(index) => format!("{text}[{index}]"),
            Segment::Computed => format!("{text}[…]"),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelt(self.path.len()))
    }
}

impl Template {
    /// Compiles a string of the workflow in which templates are allowed.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be read.
    pub fn compile(text: &str) -> Result<Self, Vec<TemplateError>> {
        if !mentions(text) {
            return Ok(Self::new(text, Form::Constant, read::Read::default()));
        }
        let read = read::text(text)?;
        let form = if let Some(range) = read.lone.clone() {
            value_form(text, range)?
        } else {
            let code = Code::of_text(text.into()).map_err(|error| vec![TemplateError::syntax(text, 0, &error)])?;
            Form::Text(Arc::new(code))
        };
        Ok(Self::new(text, form, read))
    }

    /// Compiles a bare expression, such as that of `when`; `{{ }}` around it is tolerated.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be read.
    pub fn expression(text: &str) -> Result<Self, Vec<TemplateError>> {
        let wrapped = text.trim_start().starts_with("{{");
        let read = if wrapped { read::text(text)? } else { read::expression(text)? };
        let Some(range) = read.lone.clone() else {
            let message = "an expression is wanted here, not a text with templates in it";
            return Err(vec![
                TemplateError::new(TemplateErrorKind::Syntax, message, 0..text.len())
                    .help("write the expression alone, such as `inputs.aspect != \"1:1\"`"),
            ]);
        };
        let form = value_form(text, range)?;
        Ok(Self::new(text, form, read))
    }

    /// Compiles an expression over a result, such as that of `expect`: it may read the fields of the result by their names alone.
    ///
    /// # Errors
    /// Everything that is wrong with it, as far as it can be read.
    pub fn expectation(text: &str) -> Result<Self, Vec<TemplateError>> {
        let bare = text.trim();
        let inner = bare.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        // The braces are not counted out of the places: blanks stand for them.
        let bare = inner.map_or_else(
            || text.to_owned(),
            |inner| {
                let start = text.len() - text.trim_start().len();
                format!("{}{inner}", " ".repeat(start + 2))
            },
        );
        let read = read::expectation(&bare)?;
        let range = read.lone.clone().expect("an expression is one");
        let form = value_form(&bare, range)?;
        Ok(Self::new(&bare, form, read))
    }

    fn new(text: &str, form: Form, read: read::Read) -> Self {
        Self {
            text: text.into(),
            form,
            references: read.references.into(),
            is_reference: read.is_reference,
            joined: read.joined.into(),
            files: read.files.into(),
            parts: if read.is_reference { Arc::default() } else { read.parts.into() },
        }
    }

    /// Returns the text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Says whether there is no template in it.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        matches!(self.form, Form::Constant)
    }

    /// Returns the reference which is the whole value, with no filter, operator or text about it.
    #[must_use]
    pub fn lone_reference(&self) -> Option<&Reference> {
        self.references.first().filter(|_| self.is_reference)
    }

    /// Says whether the value keeps its type: it is one `{{ }}`, or an expression. Otherwise the result is text.
    #[must_use]
    pub fn is_lone(&self) -> bool {
        matches!(self.form, Form::Value(..))
    }

    /// Returns everything that it reads, in the order of the text.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// Returns the calls of `file`, in the order of the text.
    #[must_use]
    pub fn files(&self) -> &[FileCall] {
        &self.files
    }

    /// Returns the shapes of the expressions that are surely evaluated, in the order of the text; none where the value is one reference.
    #[must_use]
    pub fn parts(&self) -> &[Expression] {
        &self.parts
    }

    /// Returns the reference that begins at this byte.
    #[must_use]
    pub fn reference_at(&self, start: usize) -> Option<&Reference> {
        let place = self.references.binary_search_by_key(&start, |reference| reference.range.start).ok()?;
        self.references.get(place)
    }

    /// Renders it.
    ///
    /// # Errors
    /// The first thing that went wrong, with its place in the text.
    pub fn render(&self, scope: &Scope) -> Result<serde_json::Value, TemplateError> {
        let rendered = self.render_parts(scope);
        match scope.textless() {
            Some(error) if rendered.is_ok() => Err(self.failure(&error, scope)),
            _ => rendered,
        }
    }

    fn render_parts(&self, scope: &Scope) -> Result<serde_json::Value, TemplateError> {
        match &self.form {
            Form::Constant => Ok(serde_json::Value::String(self.text.to_string())),
            Form::Value(..) => {
                let result = self.evaluate(scope)?;
                value::to_json(&result, &mut value::Budget::new()).map_err(|error| self.failure(&error, scope))
            }
            Form::Text(code) => {
                self.check_joined(scope)?;
                let rendered = code.render(scope);
                let rendered = rendered.and_then(|text| value::Budget::new().bytes(text.len()).map(|()| text));
                rendered.map(serde_json::Value::String).map_err(|error| self.failure(&error, scope))
            }
        }
    }

    /// Says whether the value is true: not false, null, zero, or empty.
    ///
    /// # Errors
    /// The first thing that went wrong, with its place in the text.
    pub fn holds(&self, scope: &Scope) -> Result<bool, TemplateError> {
        match &self.form {
            Form::Value(..) => self.evaluate(scope).map(|value| value.is_true()),
            _ => self.render(scope).map(|value| value != ""),
        }
    }

    fn evaluate(&self, scope: &Scope) -> Result<minijinja::Value, TemplateError> {
        let Form::Value(code, _) = &self.form else { unreachable!("only an expression is evaluated") };
        self.check_joined(scope)?;
        let result =
            code.value(scope).and_then(|value| if value.is_undefined() { Err(value::undefined()) } else { Ok(value) });
        result.map_err(|error| self.failure(&error, scope))
    }

    /// Refuses a null that would become text.
    fn check_joined(&self, scope: &Scope) -> Result<(), TemplateError> {
        let mut joined = self.joined.iter().map(|&place| &self.references[place]);
        match joined.find(|reference| scope.is_null(reference)) {
            Some(reference) => Err(TemplateError::null(&reference.to_string(), reference.range.clone())),
            None => Ok(()),
        }
    }

    fn failure(&self, error: &minijinja::Error, scope: &Scope) -> TemplateError {
        let part = if let Form::Value(_, range) = &self.form { range.clone() } else { 0..self.text.len() };
        TemplateError::rendering(&self.text, part, error, &self.references, scope)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.text).finish()
    }
}

impl PartialEq for Template {
    /// Compares what was written: equal texts of one form compile to the same thing.
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && std::mem::discriminant(&self.form) == std::mem::discriminant(&other.form)
    }
}

/// Says whether a text has a template, a block or a comment in it.
#[must_use]
pub fn mentions(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| text.contains(open))
}

fn value_form(text: &str, range: Range<usize>) -> Result<Form, Vec<TemplateError>> {
    Code::of_expression(text[range.clone()].into())
        .map_err(|error| vec![TemplateError::syntax(text, range.start, &error)])
        .map(|code| Form::Value(Arc::new(code), range))
}

/// Returns the one environment, with the language's filters and bounds.
fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: OnceLock<Environment<'static>> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Debug information copies variables into errors, secrets among them.
        environment.set_debug(false);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(RECURSION);
        environment.set_syntax(read::syntax());
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_formatter(value::write);
        filters::add(&mut environment);
        code::add(&mut environment);
        environment
    })
}
