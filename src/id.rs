//! Ids as newtypes: parsing one is validating it.
//!
//! A [`RunId`] names a run, a [`StepId`] a step as written, a [`StepPath`] a step wherever it stands (the steps of a
//! sub-workflow are `parent.child`, an item of a fan-out is `parent[3]`), an [`Attempt`] one submit of one job, and a
//! [`Digest`] some bytes.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Says why a text is no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct IdError {
    /// The text as it was given.
    pub found: String,
    /// What it should have been, with its article: "a step id: …".
    pub expected: &'static str,
}

/// The id of a run: a UUIDv7, so that ids sort by the time of their creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(uuid::Uuid);

impl RunId {
    /// Builds the id from the time in milliseconds since 1970 and 10 random bytes, so that the same world gives the same id.
    #[must_use]
    pub fn new(milliseconds: u64, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
    }

    /// Returns the short form that people read, `0199…7KQ` style: the first four and the last four digits.
    #[must_use]
    pub fn short(&self) -> String {
        let text = self.0.simple().to_string();
        format!("{}…{}", &text[..4], &text[text.len() - 4..])
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RunId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        uuid::Uuid::try_parse(text).map(Self).map_err(|_| IdError { found: text.to_owned(), expected: "a run id" })
    }
}

/// The id of a step as written in a file: `[A-Za-z_][A-Za-z0-9_]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct StepId(#[schemars(regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))] String);

impl StepId {
    /// Returns the id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StepId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut characters = text.chars();
        let starts = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        if starts && characters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError {
                found: text.to_owned(),
                expected: "a step id: a letter or `_`, then letters, digits and `_`",
            })
        }
    }
}

impl<'de> Deserialize<'de> for StepId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The place of a step in a run: `render`, `parent.child`, `parent[3].child`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StepPath(String);

impl StepPath {
    /// Returns the path of a step of the run's own workflow.
    #[must_use]
    pub fn top(step: &StepId) -> Self {
        Self(step.0.clone())
    }

    /// Returns the path's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the step of the run's own workflow that it is, or is part of.
    #[must_use]
    pub fn whole(&self) -> Self {
        let end = self.0.find(['.', '[']).unwrap_or(self.0.len());
        Self(self.0[..end].to_owned())
    }

    /// Returns the path of an item of this step.
    #[must_use]
    pub fn item(&self, item: u32) -> Self {
        Self(format!("{}[{item}]", self.0))
    }

    /// Returns the path of a step of the workflow that this step runs.
    #[must_use]
    pub fn child(&self, step: &StepId) -> Self {
        Self(format!("{}.{}", self.0, step.0))
    }

    /// Returns the step and the position in it, where this is the path of an item.
    #[must_use]
    pub fn split_item(&self) -> Option<(Self, u32)> {
        let (step, item) = self.0.strip_suffix(']')?.rsplit_once('[')?;
        Some((Self(step.to_owned()), item.parse().ok()?))
    }

    /// Returns the id of the step that the path ends with.
    #[must_use]
    pub fn id(&self) -> StepId {
        let last = self.0.rsplit('.').next().unwrap_or_default();
        StepId(last.split('[').next().unwrap_or_default().to_owned())
    }
}

impl FromStr for StepPath {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let wrong = || IdError { found: text.to_owned(), expected: "a step path such as `parent[3].child`" };
        for part in text.split('.') {
            let (step, item) = match part.split_once('[') {
                Some((step, rest)) => (step, Some(rest.strip_suffix(']').ok_or_else(wrong)?)),
                None => (part, None),
            };
            step.parse::<StepId>().map_err(|_| wrong())?;
            if let Some(item) = item {
                item.parse::<u32>().map_err(|_| wrong())?;
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for StepPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for StepPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a submit of one step, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The first attempt.
    pub const FIRST: Self = Self(1);
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The BLAKE3 digest of some bytes, written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Returns the digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Returns the digest of `bytes` under `key`, so that nobody without the key can test guesses against it.
    #[must_use]
    pub fn keyed(key: &[u8; 32], bytes: &[u8]) -> Self {
        Self(*blake3::keyed_hash(key, bytes).as_bytes())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| IdError { found: text.to_owned(), expected: "a digest of 64 hexadecimal digits" })
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_ids_and_paths_refuse_what_the_language_refuses() {
        for good in ["a", "_", "render_2", "A9"] {
            assert_eq!(good.parse::<StepId>().map(|id| id.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "9a", "a-b", "a.b", "é", "a b"] {
            assert!(bad.parse::<StepId>().is_err(), "{bad:?} is no step id");
        }
        for good in ["a", "a.b", "a[3].b", "a[0]"] {
            assert_eq!(good.parse::<StepPath>().map(|path| path.to_string()).as_deref(), Ok(good));
        }
        for bad in ["", "a.", "a[x]", "a[1", "a[-1]"] {
            assert!(bad.parse::<StepPath>().is_err(), "{bad:?} is no step path");
        }
    }

    #[test]
    fn a_path_is_made_of_steps_and_items_and_taken_apart_again() {
        let id = |text: &str| text.parse::<StepId>().expect("an id");
        let path = StepPath::top(&id("parent")).item(3).child(&id("child")).item(0);
        assert_eq!(path.as_str(), "parent[3].child[0]");
        let (step, item) = path.split_item().expect("an item");
        assert_eq!((step.as_str(), item, step.id().as_str()), ("parent[3].child", 0, "child"));
        assert_eq!((path.id().as_str(), step.split_item()), ("child", None));
    }

    #[test]
    fn run_ids_sort_by_time_and_read_back() {
        let early = RunId::new(1_000, [7; 10]);
        let late = RunId::new(2_000, [0; 10]);
        assert!(early < late);
        assert_eq!(early.to_string().parse(), Ok(early));
    }
}
