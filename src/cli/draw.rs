//! `dagwood graph`: a workflow as a picture, or a run with each step's status in it.
//!
//! A workflow is drawn without its contracts: a picture needs no key and no network.

use super::{
    args::{self, Format},
    context::Context,
    failure::{Exit, Failure},
    history,
    printer::Stream,
    reading::{self, Loaded},
    remotes::Remotes,
};
use crate::{
    diagnostic::Diagnostic,
    report::picture::{Direction, Picture, ascii, dot, mermaid, svg},
};

/// Draws a workflow or a run.
pub(crate) fn run(context: &Context, args: &args::Graph) -> Result<Exit, Failure> {
    let picture = match context.find(&args.subject) {
        Ok(path) => of_workflow(context, &path)?,
        Err(missing) => of_run(context, &args.subject, missing)?,
    };
    let text = match args.picture {
        Some(Format::Svg) => svg(&picture),
        Some(Format::Dot) => dot(&picture, Direction::default()),
        Some(Format::Mermaid) => mermaid(&picture, Direction::default()),
        _ => ascii(&picture, &super::style(context, Stream::Out)),
    };
    context.printer.result(&text);
    Ok(Exit::Done)
}

fn of_workflow(context: &Context, path: &std::path::Path) -> Result<Picture, Failure> {
    let home = context.home_of(path)?;
    let Loaded { document, diagnostics: mut wrong, .. } = reading::load(path)?;
    let plan = document.and_then(|document| {
        let mut offers = Remotes::new(context, &home, None, Vec::new()).offers(Some(&document));
        // To draw a file that is handed over, nobody has to take it.
        for offer in &mut offers {
            offer.takes_files = true;
        }
        let outcome = crate::plan::plan(&document, None, &offers);
        wrong = crate::plan::beside(&document, std::mem::take(&mut wrong), outcome.diagnostics);
        outcome.plan
    });
    match plan {
        Some(plan) if !wrong.iter().any(Diagnostic::is_error) => Ok(Picture::of_plan(&plan)),
        _ => {
            crate::diagnostic::arrange(&mut wrong);
            Err(Failure::Invalid(wrong))
        }
    }
}

/// Draws a run, where the name can be one; else there is no such workflow.
fn of_run(context: &Context, name: &str, missing: Failure) -> Result<Picture, Failure> {
    let can_be_run = name == "last" || (name.len() >= 4 && name.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'));
    if !can_be_run {
        return Err(missing);
    }
    let (_, state) = history::find(context, name)?;
    Ok(Picture::of_state(&state))
}
