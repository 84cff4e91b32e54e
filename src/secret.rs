//! Secrets: a type that never shows its value, and a redactor for texts that come from outside.

use std::{fmt, sync::Arc};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD_NO_PAD as STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD as URL_SAFE_NO_PAD},
};
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

/// What stands in the place of a secret.
const HIDDEN: &str = "****";

/// Replaces known secrets by `****` in what an API answers.
///
/// An echo need not be letter for letter: an error page quotes the URL that it was asked for, a debugging endpoint shows the headers, a
/// log line is JSON within JSON, and what is told on one line has lost its line breaks. So a secret is found however its letters are
/// spelt (`%2F`, `\/`, `\u002f`), across any blanks, and in base64 of anything that holds it. Of a URL that is secret, such as a chat's webhook,
/// errors and logs tell the path without the host: its path and its query are secrets, too.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, so that a secret that contains another one goes as a whole.
    known: Vec<Known>,
}

/// A secret and the forms of it that are looked for letter for letter.
#[derive(Clone, Debug)]
struct Known {
    secret: Secret,
    /// What surely is in its base64, wherever it begins in what is encoded.
    encoded: Vec<Secret>,
}

impl Redactor {
    /// Builds a redactor for these secrets; those shorter than [`SHORTEST_REDACTED`] are not looked for.
    #[must_use]
    pub fn new(secrets: impl IntoIterator<Item = Secret>) -> Self {
        let parts = |secret: Secret| {
            of_url(secret.expose()).into_iter().map(Secret::new).chain([secret.clone()]).collect::<Vec<_>>()
        };
        let secrets = secrets.into_iter().flat_map(parts).filter(|secret| secret.expose().len() >= SHORTEST_REDACTED);
        let mut known: Vec<_> = secrets.map(Known::new).collect();
        known.sort_by_key(|known| std::cmp::Reverse(known.secret.expose().len()));
        Self { known }
    }

    /// Returns the text with each secret replaced.
    #[must_use]
    pub fn text(&self, text: String) -> String {
        self.known.iter().fold(text, |text, known| known.hide(text))
    }

    /// Replaces each secret in bytes that are no text by as many asterisks: lengths may count there.
    pub fn bytes(&self, bytes: &mut [u8]) {
        for known in &self.known {
            let secret = known.secret.expose().as_bytes();
            let mut at = 0;
            while let Some(rest) = bytes.get_mut(at..).filter(|rest| rest.len() >= secret.len()) {
                if rest.starts_with(secret) {
                    rest[..secret.len()].fill(b'*');
                    at += secret.len();
                } else {
                    at += 1;
                }
            }
        }
    }

    /// Replaces each secret in all strings of a JSON value, keys included.
    pub fn json(&self, value: &mut Value) {
        if self.known.is_empty() {
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

/// Returns what of a secret URL is told without its host: the path with the query, and each of both.
fn of_url(secret: &str) -> Vec<&str> {
    let rest = secret.strip_prefix("https://").or_else(|| secret.strip_prefix("http://"));
    let Some(target) = rest.and_then(|rest| rest.find(['/', '?']).map(|at| &rest[at..])) else { return Vec::new() };
    match target.split_once('?') {
        Some((path, query)) => vec![target, path, query],
        None => vec![target],
    }
}

impl Known {
    fn new(secret: Secret) -> Self {
        let encoded = [STANDARD_NO_PAD, URL_SAFE_NO_PAD].iter().flat_map(|engine| {
            (0..3).map(|before| {
                let mut bytes = vec![0; before];
                bytes.extend_from_slice(secret.expose().as_bytes());
                let text = engine.encode(&bytes);
                // A letter at either end may hold bits of what stands beside the secret.
                Secret::new(&text[(before * 8).div_ceil(6)..bytes.len() * 8 / 6])
            })
        });
        let mut encoded: Vec<_> = encoded.collect();
        encoded.sort_by(|a, b| a.expose().cmp(b.expose()));
        encoded.dedup();
        Self { secret, encoded }
    }

    /// Replaces the secret in a text.
    fn hide(&self, mut text: String) -> String {
        let secret = self.secret.expose();
        if text.contains(secret) {
            text = text.replace(secret, HIDDEN);
        }
        let may_be_spelt = text.contains(['%', '\\']) || secret.contains(char::is_whitespace);
        if may_be_spelt && text.len() >= secret.len() {
            text = hide_spelt(text, secret.as_bytes());
        }
        for encoded in &self.encoded {
            if text.contains(encoded.expose()) {
                text = text.replace(encoded.expose(), HIDDEN);
            }
        }
        text
    }
}

/// Replaces a secret whose letters may be escaped.
fn hide_spelt(text: String, secret: &[u8]) -> String {
    let (mut shown, mut kept, mut at) = (String::new(), 0, 0);
    while at < text.len() {
        match end_of(&text.as_bytes()[at..], secret).filter(|length| text.is_char_boundary(at + length)) {
            Some(length) if text.is_char_boundary(at) => {
                shown.push_str(&text[kept..at]);
                shown.push_str(HIDDEN);
                at += length;
                kept = at;
            }
            _ => at += 1,
        }
    }
    if kept == 0 {
        return text;
    }
    shown.push_str(&text[kept..]);
    shown
}

/// Returns how many bytes of a text's beginning spell a secret; none where they do not.
fn end_of(text: &[u8], secret: &[u8]) -> Option<usize> {
    let (mut at, mut of) = (0, 0);
    while let Some(&wanted) = secret.get(of) {
        if wanted.is_ascii_whitespace() {
            of += secret[of..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let before = at;
            while let Some((letter, length)) = letter(&text[at..]).filter(|(letter, _)| is_blank(letter)) {
                debug_assert!(!letter.is_empty());
                at += length;
            }
            if at == before {
                return None;
            }
            continue;
        }
        let (letter, length) = letter(&text[at..])?;
        if !secret[of..].starts_with(letter.as_bytes()) {
            return None;
        }
        of += letter.len();
        at += length;
    }
    Some(at)
}

/// Says whether a letter stands for white space; in a form, that is a plus sign.
fn is_blank(letter: &Letter) -> bool {
    matches!(letter.as_bytes(), [b'+']) || letter.as_bytes().iter().all(u8::is_ascii_whitespace)
}

/// The bytes that one letter of a text stands for: one, or those of a character.
struct Letter([u8; 4], usize);

impl Letter {
    fn as_bytes(&self) -> &[u8] {
        &self.0[..self.1]
    }

    fn len(&self) -> usize {
        self.1
    }

    fn is_empty(&self) -> bool {
        self.1 == 0
    }
}

/// Returns what the beginning of a text stands for, and how long it is there: a byte as it is, percent-encoded, or escaped as in JSON.
fn letter(text: &[u8]) -> Option<(Letter, usize)> {
    let one = |byte: u8, length| Some((Letter([byte, 0, 0, 0], 1), length));
    let digits = |range: std::ops::Range<usize>| {
        let digits = std::str::from_utf8(text.get(range)?).ok()?;
        u32::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    match (text.first()?, text.get(1)) {
        (b'%', _) => match digits(1..3).and_then(|byte| u8::try_from(byte).ok()) {
            Some(byte) => one(byte, 3),
            None => one(b'%', 1),
        },
        (b'\\', Some(b'u')) => match digits(2..6).and_then(char::from_u32) {
            Some(character) => {
                let mut bytes = [0; 4];
                let length = character.encode_utf8(&mut bytes).len();
                Some((Letter(bytes, length), 6))
            }
            None => one(b'\\', 1),
        },
        (b'\\', Some(b'n')) => one(b'\n', 2),
        (b'\\', Some(b'r')) => one(b'\r', 2),
        (b'\\', Some(b't')) => one(b'\t', 2),
        (b'\\', Some(&escaped @ (b'"' | b'\\' | b'/'))) => one(escaped, 2),
        (&byte, _) => one(byte, 1),
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_secret_url_the_path_and_the_query_are_secret_too() {
        let redactor = Redactor::new([Secret::new("https://hooks.example.com/services/canary?key=canary-2")]);
        for (text, expected) in [
            ("POST https://hooks.example.com/services/canary?key=canary-2 failed", "POST **** failed"),
            ("`POST /services/canary` answered 404", "`POST ****` answered 404"),
            ("`POST /services/canary?key=canary-2`", "`POST ****`"),
            ("key=canary-2 is wrong", "**** is wrong"),
            ("hooks.example.com does not answer", "hooks.example.com does not answer"),
        ] {
            assert_eq!(redactor.text(text.to_owned()), expected);
        }
        // What is short would hit by chance, here as well.
        let redactor = Redactor::new([Secret::new("https://example.com/a?b=c")]);
        assert_eq!(redactor.text("see /a?b=c".to_owned()), "see /a?b=c");
    }

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

    /// Every way that an echo may spell a secret, and the control: what is near to it stays.
    #[test]
    fn an_echo_is_found_however_it_is_spelt() {
        let secret = "sk/live+1=\u{e9} \"two\"\nlines\\";
        let redactor = Redactor::new([Secret::new(secret)]);
        let json = serde_json::to_string(secret).expect("JSON");
        let percent: Vec<_> = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let percent = percent.concat();
        for echo in [
            secret.to_owned(),
            json.trim_matches('"').to_owned(),
            json.trim_matches('"').replace('/', "\\/").replace('\u{e9}', "\\u00e9"),
            percent.to_uppercase(),
            percent,
            "sk%2Flive%2B1%3D%C3%A9+%22two%22%0Alines%5C".to_owned(),
            "sk/live+1=%C3%A9%20%22two%22%0Alines\\".to_owned(),
            // On one line, as errors are told.
            secret.replace('\n', " "),
            secret.replace(' ', "  \t"),
        ] {
            assert_eq!(redactor.text(format!("a 100% {echo}, b\\")), "a 100% ****, b\\", "{echo}");
        }
        for other in
            ["sk/live+1=\u{e9} \"two\"lines\\", "sk%2Flive%2B1%3D%C3%A9", "%", "\\", "\\u00", "100%\u{e9}\\u00e9"]
        {
            assert_eq!(redactor.text(other.to_owned()), other);
        }
    }

    #[test]
    fn an_echo_is_found_in_base64_of_anything_around_it() {
        let secret = "AbC/12+~~?>> key";
        let redactor = Redactor::new([Secret::new(secret)]);
        for around in ["", "u:", "us:", "use:", "user:"] {
            for engine in [BASE64_STANDARD, BASE64_URL_SAFE] {
                let echo = engine.encode(format!("{around}{secret}{around}"));
                let shown = redactor.text(format!("Basic {echo}."));
                assert!(shown.contains("****"), "{echo}: {shown}");
                // Nothing of it can be read any more.
                let left = shown.trim_start_matches("Basic ").trim_end_matches('.').replace("****", "");
                assert!(left.len() <= around.len() * 4 + 8, "{left}");
            }
        }
        let other = BASE64_STANDARD.encode("user:AbC/12+~~");
        assert_eq!(redactor.text(other.clone()), other);
    }

    #[test]
    fn bytes_keep_their_length() {
        let redactor = Redactor::new([Secret::new("sk_live_1")]);
        let mut bytes = b"\xffsk_live_sk_live_1\0sk_live_".to_vec();
        redactor.bytes(&mut bytes);
        assert_eq!(bytes, b"\xffsk_live_*********\0sk_live_");
    }
}
