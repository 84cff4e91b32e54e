//! Local files as values: [`Files`], the table that a scope may carry, and the value that stands for one file.
//!
//! ```text
//! render ──▶ missing() ──the caller hands those files to the step's provider──▶ insert(path, reference) ──▶ render again
//! ```
//!
//! A file is a value of its own kind while a template runs, and becomes the reference that stands for it (an API's name for an upload,
//! or a URL) as the result is made. Nothing in the data marks it: text from outside, whatever it says, is never taken for a file. The
//! only ways to one are an input that the caller names, and `file("…")`, whose path no result of a step may be part of (see `read.rs`).
//!
//! No file is opened here: a table is data, and a template gives the same value for the same table.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use minijinja::{
    Error, State, Value,
    value::{DynObject, Object, ObjectRepr},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value as Json;

use super::{
    error::{Flaw, TemplateErrorKind},
    filters,
};

/// The name of the function that makes a file value.
pub(super) const FUNCTION: &str = "file";

/// What is said where no file can be.
pub(super) const ONLY_IN_STEPS: &str = "`file` is of use only in a step's `inputs` or `params`";

/// The longest path, in bytes: what Linux takes.
const LONGEST_PATH: usize = 4096;

/// The local files of one step's inputs, and what stands for them at the step's provider. Clones share what renderings noted, not what
/// is inserted later.
#[derive(Clone, Debug)]
pub struct Files {
    folder: Arc<Path>,
    inputs: Arc<BTreeSet<String>>,
    known: Arc<BTreeMap<PathBuf, Json>>,
    noted: Arc<Mutex<Noted>>,
}

/// What renderings noted.
#[derive(Debug, Default)]
struct Noted {
    /// Files of which anything was read.
    used: BTreeSet<PathBuf>,
    /// Files that something had to stand for.
    wanted: BTreeSet<PathBuf>,
    /// A file that became text inside an expression although an object stands for it.
    textless: Option<String>,
}

impl Files {
    /// Returns a table without references. Paths in templates are relative to `folder`, which is the workflow's.
    #[must_use]
    pub fn new(folder: impl AsRef<Path>) -> Self {
        Self { folder: folder.as_ref().into(), inputs: Arc::default(), known: Arc::default(), noted: Arc::default() }
    }

    /// Names the inputs of the run whose values are local paths. The caller knows, by the workflow's declarations, and nobody else: a
    /// text that only looks like a path is none.
    #[must_use]
    pub fn with_inputs<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.inputs = Arc::new(names.into_iter().map(Into::into).collect());
        self
    }

    /// Returns the same table for a workflow that a step runs: its folder, and the names of its inputs that may hold local paths.
    #[must_use]
    pub fn of<N: Into<String>>(mut self, folder: &Path, names: impl IntoIterator<Item = N>) -> Self {
        self.folder = folder.into();
        self.with_inputs(names)
    }

    /// Returns the folder that paths in templates are relative to.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Says whether inputs of the run hold local paths.
    #[must_use]
    pub fn has_inputs(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// Says what stands for a file: a text, such as a URL, or an object, such as AIMP's `{"media_ref": …}`.
    pub fn insert(&mut self, path: impl AsRef<Path>, reference: Json) {
        let path = self.resolve(path);
        Arc::make_mut(&mut self.known).insert(path, reference);
    }

    /// Returns the same table of which no rendering has noted anything.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self { noted: Arc::default(), ..self.clone() }
    }

    /// Returns the path of a file as templates mean it: below the workflow's folder unless it is absolute.
    #[must_use]
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.folder.join(path)
    }

    /// Returns the files that renderings wanted and that nothing stood for yet; of the values rendered meanwhile, placeholders are part.
    #[must_use]
    pub fn missing(&self) -> Vec<PathBuf> {
        let noted = self.noted();
        noted.wanted.iter().filter(|path| !self.known.contains_key(*path)).cloned().collect()
    }

    /// Returns the files of which renderings read more than the name: something had to stand for them.
    #[must_use]
    pub fn wanted(&self) -> Vec<PathBuf> {
        self.noted().wanted.iter().cloned().collect()
    }

    /// Returns the files of which renderings read anything, even only the name. Where there is none, the same template gives the same
    /// value for every provider, and in a scope without files.
    #[must_use]
    pub fn used(&self) -> Vec<PathBuf> {
        self.noted().used.iter().cloned().collect()
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the file that became text although an object stands for it.
    pub(super) fn take_textless(&self) -> Option<String> {
        self.noted().textless.take()
    }

    /// Returns the inputs as a template sees them: with file values in the place of local paths.
    pub(super) fn inputs(&self, values: &Value) -> Value {
        let keys = values.try_iter().into_iter().flatten();
        Value::from_pairs(keys.filter_map(|key| {
            let value = values.get_item(&key).ok()?;
            let given = match value.downcast_object_ref::<FileValue>() {
                Some(file) => Some(file.given.as_str()),
                None => value.as_str(),
            };
            let name = key.as_str()?.to_owned();
            let file = given.filter(|given| self.inputs.contains(&name) && !given.is_empty() && !is_url(given));
            let file = file.map(|given| FileValue::value(given.to_owned(), self.clone()));
            Some((name, file.unwrap_or(value)))
        }))
    }
}

/// A local file in a template.
struct FileValue {
    /// The path as given.
    given: String,
    path: PathBuf,
    files: Files,
}

impl FileValue {
    fn value(given: String, files: Files) -> Value {
        let path = files.resolve(&given);
        Value::from_object(Self { given, path, files })
    }

    /// Returns what stands for the file: its reference, or for now a placeholder.
    fn reference(&self) -> Json {
        let mut noted = self.files.noted();
        noted.used.insert(self.path.clone());
        noted.wanted.insert(self.path.clone());
        self.files.known.get(&self.path).cloned().unwrap_or_else(|| Json::String(placeholder(&self.given)))
    }

    /// Returns the reference as text, where it is one.
    fn text(&self) -> Option<String> {
        match self.reference() {
            Json::String(text) => Some(text),
            _ => None,
        }
    }
}

/// What the URLs of files begin with for which nothing stands yet.
const NOWHERE: &str = "https://staged.invalid/";

/// Says whether a text stands for a local file for which nothing stands yet.
#[must_use]
pub fn is_placeholder(text: &str) -> bool {
    text.starts_with(NOWHERE)
}

/// Returns a URL that leads nowhere (RFC 2606), with the file's name, so that what checks URLs or looks at names can be content.
fn placeholder(given: &str) -> String {
    /// All but what RFC 3986 calls unreserved.
    const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    format!("{NOWHERE}{}", utf8_percent_encode(filters::basename(given), RESERVED))
}

impl fmt::Debug for FileValue {
    /// What `pprint` shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.reference(), f)
    }
}

impl Object for FileValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        Some(self.path.cmp(&other.downcast_ref::<Self>()?.path))
    }

    /// Writes the reference where an expression makes text of it. An error here would be a panic of the engine, so that the refusal of
    /// an object is only noted.
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.text();
        if text.is_none() {
            self.files.noted().textless = Some(self.given.clone());
        }
        f.write_str(&text.unwrap_or_default())
    }
}

/// Returns what stands for a value, where it is a file.
pub(super) fn reference(value: &Value) -> Option<Json> {
    value.downcast_object_ref::<FileValue>().map(FileValue::reference)
}

/// Says whether a value is a file.
pub(super) fn is_file(value: &Value) -> bool {
    value.downcast_object_ref::<FileValue>().is_some()
}

/// Returns the reference as text, where the value is a file.
pub(super) fn text(value: &Value) -> Option<Result<String, Error>> {
    let file = value.downcast_object_ref::<FileValue>()?;
    Some(file.text().ok_or_else(|| textless(&file.given)))
}

/// Returns the local path as given, where the value is a file.
pub(super) fn local_path(value: &Value) -> Option<&str> {
    let file = value.downcast_object_ref::<FileValue>()?;
    file.files.noted().used.insert(file.path.clone());
    Some(&file.given)
}

/// The error of a file that an object stands for, in a text.
pub(super) fn textless(given: &str) -> Error {
    Flaw::error(
        TemplateErrorKind::File,
        format!("an object stands for the file `{given}` here, and it has no text"),
        Some("let the file be the whole value, with no text about it".to_owned()),
    )
}

/// The function `file` of a scope; without a table it only tells where files belong.
#[derive(Debug)]
pub(super) struct FileFunction(pub(super) Option<Files>);

impl Object for FileFunction {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _: &mut State<'_, '_>, arguments: &[Value]) -> Result<Value, Error> {
        let fail = |message: String, help: &str| {
            Err(Flaw::error(TemplateErrorKind::File, message, Some(help.to_owned()).filter(|help| !help.is_empty())))
        };
        let Some(files) = &self.0 else {
            return fail("there are no files here".to_owned(), ONLY_IN_STEPS);
        };
        let [path] = arguments else {
            return fail("`file` takes one path".to_owned(), USAGE);
        };
        if is_file(path) {
            return Ok(path.clone());
        }
        let Some(text) = path.as_str() else {
            return fail(format!("`file` takes a path, which is text, not a {}", path.kind()), USAGE);
        };
        match check(text) {
            Err(message) => fail(message, USAGE),
            Ok(()) if is_url(text) => Ok(path.clone()),
            Ok(()) => Ok(FileValue::value(text.to_owned(), files.clone())),
        }
    }
}

/// How `file` is written.
pub(super) const USAGE: &str = "write `file(\"pictures/a.png\")`, with a path relative to the workflow file";

/// Says what is wrong with a text that is to name a file: a local path, or a URL that an API can fetch.
///
/// # Errors
///
/// Where it names none.
pub(crate) fn check(path: &str) -> Result<(), String> {
    if path.trim().is_empty() {
        return Err("the path of a file is empty".to_owned());
    }
    if path.contains('\0') {
        return Err("the path of a file has a NUL character".to_owned());
    }
    if is_url(path) {
        return Ok(());
    }
    if path.len() > LONGEST_PATH {
        return Err(format!("the path of a file has {} bytes, more than {LONGEST_PATH}", path.len()));
    }
    match path.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
            Err(format!("`{scheme}://` is neither a local path nor a URL that an API can fetch"))
        }
        _ => Ok(()),
    }
}

/// Says whether a text is a URL that goes to the API as it is.
#[must_use]
pub fn is_url(text: &str) -> bool {
    let begins = |scheme: &str| {
        text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)) && text.len() > scheme.len()
    };
    ["http://", "https://", "data:"].into_iter().any(begins)
}
