//! Local files in a plan: which ones a run would hand over, and whether their provider can take them (LANGUAGE.md, sections 2, 4, 6).
//!
//! A plan opens no file. What it surely would hand over it names, with the place that says so; the caller looks.

use std::{path::PathBuf, sync::Arc};

use super::{
    fit::Fitter,
    site::{At, Site},
    targets::Found,
};
use crate::{
    contract::ValueKind,
    diagnostic::{Code, Diagnostic},
    source::{Pointer, Source, Span},
    spec::{Document, Media},
    template::{FileCall, Root, Template, is_url},
};

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

/// Says whether a call of `file` is all that a template is.
fn is_whole(template: &Template, call: &FileCall) -> bool {
    let around = [template.text().get(..call.range.start), template.text().get(call.range.end..)];
    template.is_lone() && around.iter().flatten().all(|text| text.chars().all(|c| matches!(c, '{' | '}' | ' ')))
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
