//! What is wrong with a request, and the bodies that say so: the documents show none, so all that a client must read are here.

use serde_json::{Map, Value, json};

use super::super::{
    emulator::{Content, Reply},
    faults::{Effects, Variant},
};

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    code: &'static str,
    detail: String,
    /// Fields and what is wrong with each.
    fields: Vec<(String, String)>,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), fields: Vec::new(), headers: Vec::new() }
    }

    /// Builds the refusal of a field.
    pub(super) fn field(code: &'static str, name: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { fields: vec![(name.to_owned(), detail.clone())], ..Self::new(400, code, detail) }
    }

    /// Builds the refusal of several fields.
    pub(super) fn fields(code: &'static str, detail: impl Into<String>, fields: Vec<(String, String)>) -> Self {
        Self { fields, ..Self::new(400, code, detail) }
    }

    /// Returns the answer, in the form that the script wants.
    pub(super) fn reply(self, effects: &Effects) -> Reply {
        let Self { status, code, detail, fields, headers } = self;
        if effects.has(Variant::HtmlErrors) {
            let text = detail.replace('&', "&amp;").replace('<', "&lt;");
            let page = format!(
                "<!doctype html>\n<html><head><title>{status} {text}</title></head>\n<body><h1>{text}</h1>\n<p>gateway</p></body></html>\n"
            );
            return Reply {
                status,
                headers,
                body: Content::File { content_type: "text/html".into(), bytes: page.into_bytes() },
            };
        }
        let mut reply = Reply::json(status, body(code, &detail, &fields, effects));
        reply.headers = headers;
        reply
    }
}

fn body(code: &str, detail: &str, fields: &[(String, String)], effects: &Effects) -> Value {
    let each = |of: fn(&str, &str) -> Value| -> Vec<Value> {
        let whole = [(String::new(), detail.to_owned())];
        let all = if fields.is_empty() { whole.as_slice() } else { fields };
        all.iter().map(|(field, told)| of(field, told)).collect()
    };
    if effects.has(Variant::ErrorText) {
        return json!({"error": detail});
    }
    if effects.has(Variant::ErrorObject) {
        return json!({"error": {"code": code, "message": detail}});
    }
    if effects.has(Variant::ErrorMessage) {
        return json!({"message": detail, "code": code});
    }
    if effects.has(Variant::ErrorList) {
        return json!({"errors": each(|field, told| json!({"field": field, "message": told}))});
    }
    if effects.has(Variant::ErrorTexts) {
        return json!({"errors": each(|_, told| json!(told))});
    }
    if effects.has(Variant::ErrorFields) {
        let mut map = Map::new();
        for (field, told) in fields {
            let told = json!(told);
            map.entry(field.clone()).or_insert_with(|| json!([])).as_array_mut().expect("just made").push(told);
        }
        if map.is_empty() {
            map.insert("non_field_errors".to_owned(), json!([detail]));
        }
        return json!({"errors": map});
    }
    if effects.has(Variant::DetailList) {
        let place = |field: &str| -> Vec<String> {
            std::iter::once("body").chain(field.split('.').filter(|part| !part.is_empty())).map(str::to_owned).collect()
        };
        let whole = [(String::new(), detail.to_owned())];
        let all = if fields.is_empty() { whole.as_slice() } else { fields };
        let list: Vec<_> =
            all.iter().map(|(field, told)| json!({"loc": place(field), "msg": told, "type": code})).collect();
        return json!({"detail": list});
    }
    let mut body = json!({"detail": detail, "code": code});
    if !fields.is_empty() {
        body["errors"] = each(|field, told| json!({"field": field, "message": told})).into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_says_the_same() {
        let refusal =
            Refusal::fields("schema_mismatch", "Wrong input", vec![("input.text".to_owned(), "is missing".to_owned())]);
        let told = |variant: Option<Variant>| {
            let effects = Effects { variants: variant.into_iter().collect(), ..Effects::default() };
            match refusal.clone().reply(&effects).body {
                Content::Nothing => Value::Null,
                Content::Json(value) => value,
                Content::File { bytes, .. } => json!(String::from_utf8(bytes).expect("text")),
            }
        };
        let list = json!([{"field": "input.text", "message": "is missing"}]);
        assert_eq!(told(None), json!({"detail": "Wrong input", "code": "schema_mismatch", "errors": list}));
        assert_eq!(told(Some(Variant::ErrorText)), json!({"error": "Wrong input"}));
        assert_eq!(
            told(Some(Variant::ErrorObject)),
            json!({"error": {"code": "schema_mismatch", "message": "Wrong input"}})
        );
        assert_eq!(told(Some(Variant::ErrorMessage)), json!({"message": "Wrong input", "code": "schema_mismatch"}));
        assert_eq!(told(Some(Variant::ErrorList)), json!({"errors": list}));
        assert_eq!(told(Some(Variant::ErrorTexts)), json!({"errors": ["is missing"]}));
        assert_eq!(told(Some(Variant::ErrorFields)), json!({"errors": {"input.text": ["is missing"]}}));
        assert_eq!(
            told(Some(Variant::DetailList)),
            json!({"detail": [{"loc": ["body", "input", "text"], "msg": "is missing", "type": "schema_mismatch"}]})
        );
        assert!(
            told(Some(Variant::HtmlErrors))
                .as_str()
                .is_some_and(|page| page.contains("<title>400 Wrong input</title>"))
        );
    }
}
