//! Local files in a plan: which ones a run would hand over, and whether their provider can take them (LANGUAGE.md, sections 2, 4, 6).
//!
//! A plan opens no file. What it surely would hand over it names, with the place that says so; the caller looks.

use std::{path::PathBuf, sync::Arc};

use super::{
    PlannedStep, Work,
    fit::Fitter,
    references::Names,
    site::{At, Site},
    targets::Found,
};
use crate::{
    contract::ValueKind,
    diagnostic::{Code, Diagnostic},
    source::{Pointer, Source, Span},
    spec::{Document, Media},
    template::{FileCall, Files, Reference, Root, Scope, Template, is_url},
};

/// The most items whose files are looked at before the run.
const MOST_ITEMS: usize = 1000;

/// A local file that a run would hand over.
#[derive(Clone, Debug)]
pub struct NamedFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is to be in it, where the workflow says.
    pub wanted: Option<ValueKind>,
    /// The text that names it.
    pub source: Arc<Source>,
    /// The place in the text.
    pub span: Span,
}

/// Returns the folder that paths in a workflow are relative to: its file's.
pub(super) fn folder(document: &Document) -> PathBuf {
    let file = std::path::PathBuf::from(&*document.source.name);
    let file = std::path::absolute(&file).unwrap_or(file);
    file.parent().map(ToOwned::to_owned).unwrap_or_default()
}

/// Returns what a file with this declaration is to hold.
pub(super) fn wanted(media: Option<Media>) -> Option<ValueKind> {
    Some(match media? {
        Media::Image => ValueKind::Image,
        Media::Video => ValueKind::Video,
        Media::Audio => ValueKind::Audio,
        Media::Text => ValueKind::Text,
        Media::Any => return None,
    })
}

/// Notes a file that a run would hand over.
pub(super) fn named(site: &Site<'_>, path: PathBuf, wanted: Option<ValueKind>, at: &At<'_>) {
    let source = Arc::clone(&site.document.source);
    site.names(NamedFile { path, wanted, source, span: site.span(at) });
}

/// Notes the files whose paths are made of items that are known before the run, where each of these is surely run for.
pub(super) fn named_by_items(site: &Site<'_>, names: &Names<'_>, scope: &Scope, files: &Files, step: &PlannedStep) {
    let is_known =
        |reference: &Reference| matches!(reference.root, Root::Item | Root::Index) || names.is_known(reference);
    let of_items = |template: &Template| {
        template.files().iter().any(|call| call.roots.contains(&Root::Item) || call.roots.contains(&Root::Index))
            && template.references().iter().all(is_known)
    };
    let (Some(fan_out), None, Work::Run { inputs, .. }) = (&step.fan_out, &step.when, &step.work) else { return };
    let templates =
        || inputs.iter().flat_map(|input| input.tree.templates()).filter(|(_, template)| of_items(template));
    let count = |template: &Template| template.references().iter().all(|reference| names.is_known(reference));
    if templates().next().is_none() || fan_out.count(scope, &count).is_none_or(|count| count > MOST_ITEMS) {
        return;
    }
    for (index, item) in fan_out.items(scope).unwrap_or_default().iter().enumerate() {
        for (place, template) in templates() {
            let files = files.fresh();
            let scope = scope.clone().with_files(&files).with(Root::Item, item).with(Root::Index, &index.into());
            // What fails is told by the run; here only the files count that it names.
            if template.render(&scope).is_ok() {
                files.used().into_iter().for_each(|path| named(site, path, None, &At::Value(place)));
            }
        }
    }
}

/// Says whether a call of `file` is all that a template is.
fn is_whole(template: &Template, call: &FileCall) -> bool {
    let (text, path) = (template.text(), &call.range);
    let before = text.get(..path.start).map(|text| text.trim_start().trim_start_matches("{{").trim());
    let after = text.get(path.end..).map(|text| text.trim_end().trim_end_matches("}}").trim());
    template.is_lone() && before == Some("file(") && after == Some(")")
}

impl Fitter<'_, '_> {
    /// Says whether the files that a template holds can reach the step's provider, and notes those that are named outright: as files of this
    /// kind of medium, where the file is the whole value.
    pub(super) fn can_hand_over(
        &self,
        template: &Template,
        pointer: &Pointer,
        found: Option<&Found>,
        medium: Option<ValueKind>,
    ) -> bool {
        let is_url_call = |call: &FileCall| call.path.as_deref().is_some_and(is_url);
        let own = template.files().iter().filter(|call| !is_url_call(call)).map(|call| &call.range);
        let held = template.references().iter().filter(|reference| match (&reference.root, reference.key()) {
            (Root::Inputs, Some(key)) => self.names.facts.files.contains(key),
            (Root::Vars, Some(key)) => self.names.file_vars.contains_key(key),
            _ => false,
        });
        for call in template.files() {
            if let Some(path) = call.path.as_deref().filter(|path| !is_url(path)) {
                let path = folder(self.site.document).join(path);
                let path = std::path::absolute(&path).unwrap_or(path);
                let wanted = medium.filter(|_| is_whole(template, call));
                named(self.site, path, wanted, &At::Within(pointer, call.range.clone()));
            }
        }
        let mut places = own.chain(held.map(|reference| &reference.range));
        let Some(range) = places.next() else { return true };
        let Some(found) = found.filter(|found| !found.takes.files) else { return true };
        let message =
            format!("provider `{}` takes files by URL, and the project has no store to hand them out", found.provider);
        let diagnostic = Diagnostic::error(Code::NoWayForFiles, message)
            .help("name one in `dagwood.yaml`, such as `staging: s3://BUCKET/PREFIX`, or give an http(s) URL");
        self.site.tell(self.in_step(self.site.at(diagnostic, &At::Within(pointer, range.clone()), "a local file")));
        false
    }
}
