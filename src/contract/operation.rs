//! What AIMP refuses of what goes beside the input of a run: `mode`, `scope`, `params`, `options` (`apis/aimp.md`, POST /api/runs).
//!
//! One set of rules, looked at twice: when a workflow is planned, as far as the values are known, and by the provider as the last
//! thing before a byte leaves. The input itself is the model's: whatever its keys are called, they are its own.

use serde_json::Value;

use super::{
    Checker, Mode, Violation,
    schema::{describe, shown},
    violation::{beside, of_params},
};
use crate::{
    diagnostic::{Code, Severity},
    job::Operation,
};

/// Keys that clients must not send, and what to do instead.
const NOT_TO_SEND: [(&str, &str); 6] = [
    ("hardware_tier", "leave it out: what a model runs on follows from its published release"),
    ("resources", "leave it out: the platform routes the data"),
    ("alias", "leave it out: the platform routes the data"),
    ("collection", "leave it out: the platform routes the data"),
    ("namespace", "leave it out: the platform routes the data, and `scope` keeps data sets apart"),
    ("parameters", "the parameters of an operation stand under `params`, beside `mode` and `scope`"),
];

/// Operations that work on a data set, as far as their names tell.
const VECTOR_MODES: [&str; 5] = ["index", "search", "upsert", "query", "delete"];

/// The longest scope.
pub(super) const SCOPE_LENGTH: usize = 64;

/// What a scope looks like, beside its length: for schemas that people's tools read.
pub(super) const SCOPE_PATTERN: &str = "^[A-Za-z0-9][A-Za-z0-9._-]*$";

/// One part of an operation, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Part {
    /// It is not given; so is a null.
    #[default]
    Absent,
    /// It is given, and its value is not known yet.
    Unknown,
    /// A map of which only the keys are known.
    Keys(Vec<String>),
    /// Its whole value.
    Known(Value),
}

/// What is known of an operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Which operation.
    pub mode: Part,
    /// Its data set.
    pub scope: Part,
    /// Its parameters.
    pub params: Part,
    /// Its options.
    pub options: Part,
}

impl From<&Operation> for Asked {
    fn from(Operation { mode, scope, params, options }: &Operation) -> Self {
        let text = |text: &Option<String>| text.clone().map_or(Part::Absent, |text| Part::Known(Value::String(text)));
        let map = |map: &Option<serde_json::Map<_, _>>| {
            map.clone().map_or(Part::Absent, |map| Part::Known(Value::Object(map)))
        };
        Self { mode: text(mode), scope: text(scope), params: map(params), options: map(options) }
    }
}

impl Part {
    fn value(&self) -> Option<&Value> {
        match self {
            Self::Known(value) if !value.is_null() => Some(value),
            _ => None,
        }
    }

    fn is_absent(&self) -> bool {
        matches!(self, Self::Absent | Self::Known(Value::Null))
    }

    fn keys(&self) -> Vec<&str> {
        match self {
            Self::Keys(keys) => keys.iter().map(String::as_str).collect(),
            Self::Known(Value::Object(map)) => map.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// Says whether a text is a scope that AIMP takes.
#[must_use]
pub fn is_scope(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.len() <= SCOPE_LENGTH
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Returns what AIMP would refuse of an operation, as far as that is known; with the target's checker also by what the model
/// publishes. The places are keys from the step.
#[must_use]
pub fn violations(asked: &Asked, checker: Option<&Checker>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, part) in [("mode", &asked.mode), ("scope", &asked.scope)] {
        if let Some(value) = part.value().filter(|value| !value.is_string()) {
            let code = if name == "mode" { Code::UnknownMode } else { Code::BadScope };
            let message = format!("`{name}` must be text, not {}", describe(value));
            found.push(beside(code, Severity::Error, &[name], message, None));
        }
    }
    if asked.mode.value().and_then(Value::as_str).is_some_and(|mode| mode.trim().is_empty()) {
        let help = format!("leave it out for `{}`", Mode::DEFAULT);
        found.push(beside(Code::UnknownMode, Severity::Error, &["mode"], "`mode` is empty", Some(help)));
        return found;
    }
    if let Some(scope) = asked.scope.value().and_then(Value::as_str).filter(|scope| !is_scope(scope)) {
        found.push(bad_scope(scope));
    }
    for (name, part) in [("params", &asked.params), ("options", &asked.options)] {
        if let Some(value) = part.value().filter(|value| !value.is_object()) {
            let message = format!("`{name}` must be a map, not {}", describe(value));
            let help = format!("write `{name}: {{ KEY: VALUE }}`, or leave it out");
            found.push(beside(Code::BadParams, Severity::Error, &[name], message, Some(help)));
        }
        found.extend(part.keys().into_iter().filter_map(|key| not_to_send(name, key)));
    }
    let mode = match &asked.mode {
        Part::Absent | Part::Known(Value::Null) => None,
        Part::Known(Value::String(mode)) => Some(mode.as_str()),
        // Nothing more can be said before it is known.
        _ => return found,
    };
    let checker = match checker.map(|checker| checker.for_mode(mode)) {
        Some(Ok(checker)) => Some(checker),
        Some(Err(unknown)) => {
            found.push(unknown);
            return found;
        }
        None => None,
    };
    if asked.scope.is_absent() {
        found.extend(missing_scope(mode.unwrap_or(Mode::DEFAULT), checker.and_then(Checker::needs_scope)));
    }
    if let Some(checker) = checker {
        // What is refused whatever the model takes is told once.
        let refused = |violation: &Violation| found.iter().any(|told: &Violation| told.at == violation.at);
        let more: Vec<_> = params(&asked.params, checker).into_iter().filter(|violation| !refused(violation)).collect();
        found.extend(more);
    }
    found
}

fn bad_scope(scope: &str) -> Violation {
    let help = if is_scope(scope.trim()) {
        "take the white space off: a template can end with `| trim`".to_owned()
    } else if scope.chars().count() > SCOPE_LENGTH {
        format!("it has {} characters, and {SCOPE_LENGTH} are allowed", scope.chars().count())
    } else {
        "it starts with a letter or a digit, and has letters, digits, `.`, `_` and `-`, all of them ASCII".to_owned()
    };
    // A line break would not be seen.
    let shown = shown(&Value::String(scope.escape_debug().to_string()));
    beside(Code::BadScope, Severity::Error, &["scope"], format!("{shown} is no scope"), Some(help))
}

/// Returns what is to be said of an operation without a scope; `needed` is what the model publishes.
fn missing_scope(mode: &str, needed: Option<bool>) -> Option<Violation> {
    let (severity, message) = match needed {
        Some(true) => (Severity::Error, format!("mode `{mode}` needs a `scope`")),
        None if VECTOR_MODES.contains(&mode) => {
            (Severity::Warning, format!("mode `{mode}` works on a data set, and no `scope` says on which"))
        }
        _ => return None,
    };
    let help = "add `scope: NAME`: what is indexed under a scope is found only under the same one".to_owned();
    Some(beside(Code::BadScope, severity, &["scope"], message, Some(help)))
}

fn not_to_send(name: &str, key: &str) -> Option<Violation> {
    let (_, help) = NOT_TO_SEND.iter().find(|(known, _)| *known == key)?;
    let message = format!("`{name}` must not hold `{key}`: it is not for clients to send");
    Some(beside(Code::PlatformKey, Severity::Error, &[name, key], message, Some((*help).to_owned())))
}

/// Checks params as far as they are known.
fn params(part: &Part, checker: &Checker) -> Vec<Violation> {
    let keys = match part {
        Part::Known(Value::Object(params)) => return checker.check_params(params),
        Part::Absent | Part::Known(Value::Null) => return checker.check_params(&serde_json::Map::new()),
        Part::Keys(keys) => keys,
        Part::Unknown | Part::Known(_) => return Vec::new(),
    };
    let Some(checker) = checker.params() else { return Vec::new() };
    let contract = checker.contract();
    let unknown = keys.iter().filter(|key| !contract.takes(key)).map(|key| checker.unknown(key));
    let ports = contract.ports.iter().filter(|port| port.required && !keys.contains(&port.id));
    let missing = ports.flat_map(|port| checker.check(port, &Value::Null));
    unknown.chain(missing).map(of_params).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::{
        contract::Contract,
        job::{Target, TargetKind},
    };

    fn known(value: Value) -> Part {
        Part::Known(value)
    }

    fn checker(needs_scope: Option<bool>) -> Checker {
        let params =
            json!({"required": ["top_k"], "properties": {"top_k": {"type": "integer"}}, "additionalProperties": false});
        let mode = |name: &str, params| Mode { name: name.to_owned(), schema: None, params, needs_scope };
        let target = Target { kind: TargetKind::Model, id: "m".to_owned() };
        let modes = vec![mode("execute", None), mode("search", Some(params))];
        Checker::new(Contract::unchecked(target, "m").with_modes(modes).0)
    }

    fn told(asked: &Asked, checker: Option<&Checker>) -> Vec<(Code, Severity, String)> {
        violations(asked, checker).into_iter().map(|found| (found.code, found.severity, found.at.join("."))).collect()
    }

    fn error(code: Code, at: &str) -> (Code, Severity, String) {
        (code, Severity::Error, at.to_owned())
    }

    #[test]
    fn scopes_are_ascii_and_match_as_a_whole() {
        let longest = "a".repeat(64);
        for good in ["a", "0", "playground", "A.b_c-9", longest.as_str()] {
            assert!(is_scope(good), "{good}");
        }
        let too_long = "a".repeat(65);
        for bad in ["", ".a", "-a", "_a", "a b", "a\n", "\na", "ä", "a٣", "a/b", too_long.as_str()] {
            assert!(!is_scope(bad), "{bad:?}");
            let asked = Asked { scope: known(json!(bad)), ..Asked::default() };
            assert_eq!(told(&asked, None), [error(Code::BadScope, "scope")], "{bad:?}");
        }
        let asked = Asked { scope: known(json!("test\n")), ..Asked::default() };
        let found = &violations(&asked, None)[0];
        assert_eq!(found.message, r"`test\n` is no scope");
        assert!(found.help.as_deref().is_some_and(|help| help.contains("trim")));
    }

    #[test]
    fn what_is_not_for_clients_is_refused_beside_the_input() {
        for key in ["hardware_tier", "resources", "alias", "collection", "namespace", "parameters"] {
            let map = known(json!({ key: 1, "other": { key: 2 } }));
            let asked = Asked { options: map.clone(), params: map, ..Asked::default() };
            let expected = ["params", "options"].map(|name| error(Code::PlatformKey, &format!("{name}.{key}")));
            assert_eq!(told(&asked, None), expected);
        }
        let asked = Asked { options: Part::Keys(vec!["alias".to_owned(), "fast".to_owned()]), ..Asked::default() };
        assert_eq!(told(&asked, None), [error(Code::PlatformKey, "options.alias")]);
        let asked = Asked { options: known(json!({"priority": "low"})), ..Asked::default() };
        assert_eq!(told(&asked, None), []);
    }

    #[test]
    fn other_shapes_than_the_apis_are_refused() {
        let asked = Asked {
            mode: known(json!(1)),
            scope: known(json!(["a"])),
            params: known(json!([1])),
            options: known(json!("fast")),
        };
        let expected = [
            error(Code::UnknownMode, "mode"),
            error(Code::BadScope, "scope"),
            error(Code::BadParams, "params"),
            error(Code::BadParams, "options"),
        ];
        assert_eq!(told(&asked, None), expected);
        let asked = Asked { mode: known(json!(" ")), ..Asked::default() };
        assert_eq!(told(&asked, None), [error(Code::UnknownMode, "mode")]);
        let null = || known(Value::Null);
        let asked = Asked { mode: null(), scope: null(), params: null(), options: null() };
        assert_eq!(told(&asked, None), [], "a null is left out");
    }

    #[test]
    fn a_scope_is_missed_as_far_as_it_is_known_to_be_needed() {
        let asked = Asked { mode: known(json!("search")), params: Part::Unknown, ..Asked::default() };
        assert_eq!(told(&asked, Some(&checker(Some(true)))), [error(Code::BadScope, "scope")]);
        assert_eq!(told(&asked, Some(&checker(None))), [(Code::BadScope, Severity::Warning, "scope".to_owned())]);
        assert_eq!(told(&asked, None), [(Code::BadScope, Severity::Warning, "scope".to_owned())]);
        assert_eq!(told(&asked, Some(&checker(Some(false)))), []);
        let asked = Asked { scope: Part::Unknown, ..asked };
        assert_eq!(told(&asked, Some(&checker(Some(true)))), [], "it is checked once it is known");
        assert_eq!(told(&Asked::default(), Some(&checker(None))), []);
    }

    #[test]
    fn modes_and_params_are_checked_as_far_as_they_are_known() {
        let checker = checker(Some(false));
        let asked = |params| Asked { mode: known(json!("search")), params, ..Asked::default() };
        assert_eq!(told(&asked(known(json!({"top_k": 3}))), Some(&checker)), []);
        assert_eq!(told(&asked(Part::Keys(vec!["top_k".to_owned()])), Some(&checker)), []);
        assert_eq!(told(&asked(Part::Unknown), Some(&checker)), []);
        let missing = error(Code::BadParams, "params.top_k");
        assert_eq!(told(&asked(Part::Absent), Some(&checker)), std::slice::from_ref(&missing));
        let found = told(&asked(Part::Keys(vec!["topk".to_owned()])), Some(&checker));
        assert_eq!(found, [error(Code::BadParams, "params.topk"), missing]);
        let found = told(&asked(known(json!({"top_k": "three"}))), Some(&checker));
        assert_eq!(found, [error(Code::BadParams, "params.top_k")]);
        let unknown = Asked { mode: known(json!("serch")), ..Asked::default() };
        assert_eq!(told(&unknown, Some(&checker)), [error(Code::UnknownMode, "mode")]);
        let later = Asked { mode: Part::Unknown, ..Asked::default() };
        assert_eq!(told(&later, Some(&checker)), []);
    }

    #[test]
    fn a_request_is_looked_at_the_same_way() {
        let operation = Operation {
            scope: Some("a b".to_owned()),
            options: Some(Map::from_iter([("namespace".to_owned(), json!("x"))])),
            ..Operation::default()
        };
        let expected = [error(Code::BadScope, "scope"), error(Code::PlatformKey, "options.namespace")];
        assert_eq!(told(&Asked::from(&operation), None), expected);
        assert_eq!(told(&Asked::from(&Operation::default()), None), []);
        let found = violations(&Asked::from(&operation), None);
        let words = ["`a b` is no scope", "`options` must not hold `namespace`: it is not for clients to send"];
        assert_eq!(found.into_iter().map(|found| found.message).collect::<Vec<_>>(), words);
        let operation = Operation { mode: Some("search".to_owned()), ..Operation::default() };
        let found = violations(&Asked::from(&operation), None);
        assert!(!found.is_empty(), "no scope is named");
        assert!(found.iter().all(|found| found.severity == Severity::Warning), "what only warns is sent: {found:?}");
    }
}
