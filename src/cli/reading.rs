//! Reading workflow files for the command line, and telling what is wrong in the form that was asked for.
//!
//! People get diagnostics on standard error, and of `validate` as its result; programs get one JSON document on standard output,
//! whatever went wrong, so that nobody has to read sentences:
//! `{"kind": "diagnostics", "diagnostics": […], "error": {"message", "help", "exit"}}`.

use std::{fmt::Write as _, path::Path, sync::Arc};

use serde_json::{Value, json};

use super::{
    args::Format,
    failure::{Complaint, Failure},
    printer::{Printer, Stream},
};
use crate::{
    diagnostic::{Diagnostic, render},
    source::{Source, SourceMap},
    spec::{self, Document},
};

/// A workflow's file that was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Its name, as a person wrote it.
    pub(crate) name: String,
    /// What it says, as far as it can be told.
    pub(crate) document: Option<Arc<Document>>,
    /// What is wrong with it.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Reads a workflow's file.
///
/// # Errors
///
/// Where it cannot be opened at all. What is wrong with its contents is a diagnostic.
pub(crate) fn load(path: &Path) -> Result<Loaded, Failure> {
    let name = path.display().to_string();
    let (document, diagnostics) = spec::open(path, &name).map_err(|error| Failure::unreadable(path, &error.error))?;
    Ok(Loaded { name, document: document.map(Arc::new), diagnostics })
}

/// Reads a file of inputs.
pub(crate) fn inputs(source: &Arc<Source>) -> Result<(Value, SourceMap), Vec<Diagnostic>> {
    let reading = spec::yaml::read(source);
    match reading.value {
        Some(value) if !reading.diagnostics.iter().any(Diagnostic::is_error) => Ok((value, reading.map)),
        _ => Err(reading.diagnostics),
    }
}

/// Returns diagnostics as text for people, or as annotations.
pub(crate) fn render(printer: &Printer, diagnostics: &[Diagnostic], stream: Stream) -> String {
    match printer.format {
        Format::Github => render::github(diagnostics),
        _ => render::human(diagnostics, printer.has_color(stream)),
    }
}

/// Returns diagnostics as the document that programs get.
pub(crate) fn as_json(diagnostics: &[Diagnostic]) -> Value {
    json!({"kind": "diagnostics", "diagnostics": render::json(diagnostics)})
}

/// Tells warnings before a run or a plan.
pub(crate) fn tell_warnings(printer: &Printer, warnings: &[Diagnostic]) {
    printer.note(&render(printer, warnings, Stream::Err));
}

/// Tells why a command did not do what was asked.
pub(crate) fn tell(printer: &Printer, failure: &Failure) {
    match failure {
        Failure::Invalid(diagnostics) if printer.format == Format::Json => printer.json(&as_json(diagnostics)),
        Failure::Invalid(diagnostics) => {
            printer.problem(&render(printer, diagnostics, Stream::Err));
            printer.note(&summary(diagnostics));
        }
        Failure::Other(complaint) if printer.format == Format::Json => {
            let mut document = as_json(&[]);
            document["error"] =
                json!({"message": complaint.message, "help": complaint.help, "exit": complaint.exit.code()});
            printer.json(&document);
        }
        Failure::Other(complaint) => printer.problem(&told(printer, complaint)),
    }
}

/// Returns a failure in one sentence.
pub(crate) fn sentence(failure: &Failure) -> String {
    match failure {
        Failure::Invalid(diagnostics) => diagnostics.iter().map(|d| d.message.as_str()).collect::<Vec<_>>().join("; "),
        Failure::Other(complaint) => complaint.message.clone(),
    }
}

fn told(printer: &Printer, complaint: &Complaint) -> String {
    if printer.format == Format::Github {
        // The runner ends a message at its line's end.
        let message = complaint.message.replace('%', "%25").replace('\n', "%0A");
        let help = complaint.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        return format!("::error::{message}{help}");
    }
    let (bold, red) = (anstyle::Style::new().bold(), anstyle::AnsiColor::Red.on_default().bold());
    let mut text = format!("{red}error{red:#}{bold}: {}{bold:#}", complaint.message);
    if let Some(help) = &complaint.help {
        let _ = write!(text, "\n  {bold}= help{bold:#}: {help}");
    }
    text
}

fn summary(diagnostics: &[Diagnostic]) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count();
    format!("{errors} error{}, nothing was sent", if errors == 1 { "" } else { "s" })
}
