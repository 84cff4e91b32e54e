//! What an AIMP run may be given beside its input: the rules that need no contract, as pure functions.
//!
//! The documents refuse these requests, so a plan tells them before the run where nothing is templated, and the provider tells
//! them once more with everything filled in, before a request leaves (`apis/aimp.md`, POST /api/runs).

use std::fmt;

use serde_json::{Map, Value};

use super::schema::shown;
use crate::job::Operation;

/// The most characters of a scope.
pub const LONGEST_SCOPE: usize = 64;

/// The mode that a run has where none is named.
pub const DEFAULT_MODE: &str = "execute";

/// Modes that work on a data set as a rule, so that one of these without a scope is worth a warning where the contract is silent.
pub const VECTOR_MODES: [&str; 5] = ["index", "search", "upsert", "query", "delete"];

/// What clients must not send, and why.
const RESERVED: [(&str, &str); 6] = [
    ("hardware_tier", "the platform chooses hardware by the model's published release"),
    ("resources", "the platform routes vectors by itself"),
    ("alias", "the platform routes vectors by itself"),
    ("collection", "the platform routes vectors by itself"),
    ("namespace", "the platform routes vectors by itself; `scope` names the data set"),
    ("parameters", "the API's word is `params`, beside `mode` and `scope`"),
];

/// What is wrong with an operation, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Keys from the step: `["options", "hardware_tier"]`.
    pub at: Vec<String>,
    /// A clause for people, of which the place is the subject: "is not for clients to send: …".
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.at.join("."), self.message)
    }
}

/// Returns everything that the API would refuse of an operation, whatever the model.
#[must_use]
pub fn refusals(operation: &Operation) -> Vec<Refusal> {
    let one = |key: &str, message: String| Refusal { at: vec![key.to_owned()], message };
    let mut found = Vec::new();
    if operation.mode.as_deref().is_some_and(|mode| mode.trim().is_empty()) {
        found.push(one("mode", format!("is empty; leave it out for `{DEFAULT_MODE}`")));
    }
    if let Some(scope) = operation.scope.as_deref().filter(|scope| !is_scope(scope)) {
        let message = format!(
            "must begin with an ASCII letter or digit, go on with letters, digits, `.`, `_` and `-`, and have at most {LONGEST_SCOPE} \
             characters, unlike {}",
            shown(&Value::String(scope.escape_debug().to_string()))
        );
        found.push(one("scope", message));
    }
    for (key, map) in [("params", &operation.params), ("options", &operation.options)] {
        found.extend(
            map.iter()
                .flat_map(reserved)
                .map(|(name, message)| Refusal { at: vec![key.to_owned(), name.to_owned()], message }),
        );
    }
    found
}

/// Returns the keys that clients must not send, of a request itself, its `params` or its `options`, with a clause about each.
pub fn reserved(map: &Map<String, Value>) -> impl Iterator<Item = (&'static str, String)> {
    RESERVED
        .iter()
        .filter(|(name, _)| map.contains_key(*name))
        .map(|(name, why)| (*name, format!("is not for clients to send: {why}")))
}

/// Says whether the whole text is a scope: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, without a line break at its end.
#[must_use]
pub fn is_scope(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    text.len() <= LONGEST_SCOPE
        && text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
        && text.bytes().all(inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(value: Value) -> Operation {
        serde_json::from_value(value).expect("an operation")
    }

    fn told(value: Value) -> Vec<String> {
        refusals(&operation(value)).iter().map(ToString::to_string).collect()
    }

    /// Row: scope: must it be ASCII? Is a trailing newline possible?
    #[test]
    fn a_scope_is_ascii_from_end_to_end() {
        for good in ["playground", "a", "7", "A.b_c-9", "x--", &"a".repeat(64)] {
            assert!(is_scope(good), "{good}");
            assert_eq!(told(json!({"scope": good})), Vec::<String>::new());
        }
        for bad in ["", "-a", ".a", "_a", "a b", "a\n", "\na", "ä", "aä", "a/b", "a:b", "١", &"a".repeat(65)] {
            assert!(!is_scope(bad), "{bad}");
            assert_eq!(told(json!({"scope": bad})).len(), 1, "{bad}");
        }
        let line = told(json!({"scope": "test\n"}));
        assert!(line[0].starts_with("`scope` must begin with") && line[0].ends_with("unlike `test\\n`"), "{line:?}");
    }

    #[test]
    fn what_the_platform_decides_is_refused_wherever_it_stands() {
        for name in ["hardware_tier", "resources", "alias", "collection", "namespace", "parameters"] {
            for key in ["params", "options"] {
                let found = refusals(&operation(json!({key: {"seed": 1, name: null}})));
                assert_eq!(found.len(), 1, "{key}.{name}");
                assert_eq!(found[0].at, [key, name]);
            }
        }
        let all =
            told(json!({"mode": " ", "scope": "é", "params": {"alias": 1}, "options": {"hardware_tier": "a100"}}));
        assert_eq!(all.len(), 4, "all at once: {all:?}");
        assert_eq!(
            all[3],
            "`options.hardware_tier` is not for clients to send: the platform chooses hardware by the model's published release"
        );
    }

    /// Row: `scope` with execute; unknown options pass through.
    #[test]
    fn everything_else_is_the_servers_to_judge() {
        let value =
            json!({"mode": "rerank", "scope": "playground", "params": {}, "options": {"priority": {"alias": 1}}});
        assert_eq!(told(value), Vec::<String>::new());
        assert_eq!(told(json!({})), Vec::<String>::new());
    }
}
