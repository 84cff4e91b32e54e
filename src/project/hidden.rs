//! Keeps keys out of what is shown of a project file: somebody who writes one into it is told, and neither the terminal nor a CI log may
//! then have it.
//!
//! Diagnostics show lines of the file. So where they are told, the file is another one of the same length, in which every value of an
//! `api_key` that is no template, and everything before an `@` and behind a `?` of a URL, is asterisks. It works on the text, because a
//! file that is no YAML must not show a key either.

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use regex::Regex;

use crate::{diagnostic::Diagnostic, source::Source, template};

/// A value of `api_key`, and of a URL what stands before an `@` and behind a `?` or `#`.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?m)\bapi_key["']?[ \t]*:[ \t]*([^\r\n]*)|://(?:([^@\s"']+)@)?[^\s"'?#]*(?:[?#]([^\s"']+))?"#)
        .expect("a pattern that is right")
});

/// Returns the file as it may be shown.
pub(super) fn shown(source: &Arc<Source>) -> Arc<Source> {
    let hidden = ranges(&source.text);
    if hidden.is_empty() {
        return Arc::clone(source);
    }
    let mut text = source.text.to_string();
    for range in hidden {
        let stars = "*".repeat(range.len());
        text.replace_range(range, &stars);
    }
    Arc::new(Source::new(source.name.clone(), text))
}

/// Replaces the file in the labels of diagnostics by what may be shown of it.
pub(super) fn hide(source: &Arc<Source>, diagnostics: &mut [Diagnostic]) {
    let shown = shown(source);
    let labels = diagnostics.iter_mut().flat_map(|diagnostic| &mut diagnostic.labels);
    for label in labels.filter(|label| Arc::ptr_eq(&label.source, source)) {
        label.source = Arc::clone(&shown);
    }
}

fn ranges(text: &str) -> Vec<Range<usize>> {
    let found = SECRETS.captures_iter(text).flat_map(|found| {
        let key = found.get(1).filter(|value| !template::mentions(value.as_str()));
        [key, found.get(2), found.get(3)].map(|part| part.map(|part| part.range()))
    });
    found.flatten().filter(|range| !range.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_passwords_are_asterisks_and_templates_stay() {
        let text = "a: { api_key: sk_live_1, b: 2 }\nb:\n  \"api_key\": 'sk_2'\nc: { api_key: \"{{ secrets.X }}\" }\nd: https://me:pw@host/x\ne: [\"s3://k/e+y1@bucket/p\", https://host/y?key=q1#f1]\n";
        let source = Arc::new(Source::new("dagwood.yaml", text));
        let shown = shown(&source);
        assert_eq!(shown.text.len(), text.len());
        for secret in ["sk_live_1", "sk_2", "me:pw", "k/e+y1", "q1", "f1"] {
            assert!(!shown.text.contains(secret), "{}", shown.text);
        }
        assert!(shown.text.contains("{{ secrets.X }}") && shown.text.contains("@host/x"), "{}", shown.text);
    }
}
