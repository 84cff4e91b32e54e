//! What a contract refuses, and the sentences that are the same whoever refuses it: the ports (`ports`), a published schema (`rules`),
//! or the operation (`operation`).

use serde_json::Value;

use super::{Contract, Port, ValueKind};
use crate::diagnostic::{Code, Severity, nearest};

/// Something that a contract refuses, or warns of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which kind of problem.
    pub code: Code,
    /// The id of the port, or the key that is none; none where it is about inputs together, or about what goes beside them.
    pub port: Option<String>,
    /// Keys and indexes from the port's value to what is wrong; of what goes beside the inputs, from the step: `params`, `top_k`.
    pub at: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Returns how bad one value is where a list is wanted. That a model takes its media as lists is inferred from the kinds that it
/// publishes, so there it only warns; a schema that was published says it.
pub(crate) fn severity_of_one(contract: &Contract, port: &Port) -> Severity {
    let inferred = contract.open && contract.schema.is_none() && port.kind.is_media();
    if inferred { Severity::Warning } else { Severity::Error }
}

/// Returns what is to be said of a key that is no port.
pub(super) fn unknown(contract: &Contract, noun: &str, open: bool, key: &str) -> Violation {
    let Contract { target, name, ports, .. } = contract;
    let noun = if open && noun == "input" && contract.schema.is_none() { "setting" } else { noun };
    let names = ports.iter().map(Port::name).chain(ports.iter().map(|port| port.id.as_str()));
    Violation {
        code: if open { Code::UnknownSetting } else { Code::UnknownInput },
        port: Some(key.to_owned()),
        at: Vec::new(),
        severity: if open { Severity::Warning } else { Severity::Error },
        message: format!("{} `{name}` publishes no {noun} `{key}`", target.kind),
        help: nearest(key, names).map(|name| format!("did you mean `{name}`?")),
    }
}

pub(super) fn missing(contract: &Contract, noun: &str, port: &Port) -> Violation {
    Violation {
        code: Code::MissingInput,
        port: Some(port.id.clone()),
        at: Vec::new(),
        severity: Severity::Error,
        message: format!("required {noun} `{}` is missing", contract.name_of(port)),
        help: Some(format!("it takes {}", port.wants())),
    }
}

/// Returns something that is wrong with what goes beside the inputs of a step.
pub(super) fn beside(
    code: Code,
    severity: Severity,
    at: &[&str],
    message: impl Into<String>,
    help: Option<String>,
) -> Violation {
    let at = at.iter().map(|part| (*part).to_owned()).collect();
    Violation { code, port: None, at, severity, message: message.into(), help }
}

/// Moves something that is wrong with a param to its place in the step.
pub(super) fn of_params(violation: Violation) -> Violation {
    let at = ["params".to_owned()].into_iter().chain(violation.port).chain(violation.at).collect();
    Violation { code: Code::BadParams, port: None, at, ..violation }
}

/// Returns how to write a text that reads as what the port takes.
pub(super) fn retyped(port: &Port, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let reads = match port.kind {
        ValueKind::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
        ValueKind::Integer => text.parse::<i64>().is_ok(),
        ValueKind::Boolean => matches!(text, "true" | "false"),
        _ => false,
    };
    reads.then(|| format!("write it without quotes: `{text}`"))
}

pub(super) fn quoted(value: &Value) -> String {
    const LONGEST: usize = 80;
    let text = value.to_string();
    if text.len() > LONGEST { "…".to_owned() } else { text }
}
