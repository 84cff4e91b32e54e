//! Who is told at the end of a run: `notify`, with its URL's template checked.

use serde_json::Value;

use super::{
    PlannedNotify, RunEnd,
    references::{Names, Spot},
    site::{At, Site},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    template::{Scope, mentions},
    tree::Tree,
};

/// Compiles the entries of `notify`.
pub(super) fn compile(site: &Site<'_>, names: &Names<'_>, scope: &Scope) -> Vec<PlannedNotify> {
    let top = Pointer::from_iter(["notify"]);
    let mut planned = Vec::new();
    for (index, entry) in site.document.workflow.notify.iter().enumerate() {
        let pointer = top.join(index);
        let place = pointer.join("url");
        let (url, errors) = Tree::compile(&Value::String(entry.url.clone()), &place);
        for (at, error) in &errors {
            site.tell_template(at, error);
        }
        for (at, template) in url.templates() {
            let reads = names.check(site, template, at, Spot::Notify, None);
            super::build::render_known(site, names, scope, template, at, reads.wrong, Spot::Notify);
        }
        let is_http = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        if !entry.url.is_empty() && !mentions(&entry.url) && !is_http(&entry.url) {
            let message = format!("`{}` is no http(s) URL", entry.url);
            let diagnostic = Diagnostic::error(Code::RequestUrl, message)
                .help("write the whole URL; one that holds a key comes from `{{ secrets.NAME }}`");
            site.tell(site.at(diagnostic, &At::Value(&place), "where to?"));
        }
        let ends = [("succeeded", RunEnd::Succeeded), ("failed", RunEnd::Failed), ("cancelled", RunEnd::Cancelled)];
        let on = ends.into_iter().filter(|(word, _)| entry.on.iter().any(|end| end == word)).map(|(_, end)| end);
        planned.push(PlannedNotify { on: on.collect(), url, slack: entry.slack, pointer });
    }
    planned
}
