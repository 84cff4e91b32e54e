//! Secrets: a type that never shows its value, and a redactor for texts that come from outside.

use std::{fmt, sync::Arc};

use serde_json::Value;

/// A value that no log, journal, report or error may show: it has no `Serialize`, and `Debug` and `Display` print `****`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a value.
    #[must_use]
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// Returns the value itself, to be sent to the one place that it is for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

/// The length in bytes from which an echoed secret is redacted: anything shorter would hit by chance.
pub const SHORTEST_REDACTED: usize = 8;

/// Replaces known secrets by `****` in what an API answers.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another one goes as a whole.
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Builds a redactor for these secrets; those shorter than [`SHORTEST_REDACTED`] are not looked for.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let mut secrets: Vec<_> =
            secrets.into_iter().filter(|secret| secret.expose().len() >= SHORTEST_REDACTED).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        Self { secrets }
    }

    /// Returns the text with each secret replaced.
    #[must_use]
    pub fn text(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.expose()) { text.replace(secret.expose(), "****") } else { text }
        })
    }

    /// Replaces each secret in all strings of a JSON value, keys included.
    pub fn json(&self, value: &mut Value) {
        if self.secrets.is_empty() {
            return;
        }
        match value {
            Value::String(text) => *text = self.text(std::mem::take(text)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.json(item)),
            Value::Object(map) => {
                *map = std::mem::take(map)
                    .into_iter()
                    .map(|(key, mut item)| {
                        self.json(&mut item);
                        (self.text(key), item)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_shows_nothing() {
        let secret = Secret::new("hunter2hunter2");
        assert_eq!(format!("{secret} {secret:?}"), "**** ****");
    }

    #[test]
    fn echoes_are_redacted_in_text_keys_and_values() {
        let redactor = Redactor::new([Secret::new("sk_live_1"), Secret::new("sk_live_1_long"), Secret::new("short")]);
        let mut value = json!({"sk_live_1": ["a sk_live_1_long b", 3, "short"]});
        redactor.json(&mut value);
        assert_eq!(value, json!({"****": ["a **** b", 3, "short"]}));
    }
}
