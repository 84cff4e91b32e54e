//! What came out of a job, as events carry it: small in the event itself, large beside it under a digest.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::Digest;

/// The size in bytes of its JSON from which a payload is stored once by digest, not in the event.
pub const INLINE_LIMIT: usize = 64 * 1024;

/// What came out of a job: node id → payload. Large ones are in the event only as their digest.
#[derive(Clone, Debug, PartialEq)]
pub enum Payload {
    /// In the event itself.
    Inline(Arc<Map<String, Value>>),
    /// Beside it, under its digest.
    Stored {
        /// The digest of its JSON.
        digest: Digest,
        /// The size of its JSON.
        bytes: u64,
        /// The payload, where it has been made or read.
        value: Option<Arc<Map<String, Value>>>,
    },
}

impl Payload {
    /// Wraps what came out, by size.
    #[must_use]
    pub fn new(value: impl Into<Arc<Map<String, Value>>>) -> Self {
        let value = value.into();
        let mut size = Size(0);
        serde_json::to_writer(&mut size, &*value).expect("JSON goes into a counter");
        if size.0 <= INLINE_LIMIT {
            return Self::Inline(value);
        }
        let text = serde_json::to_vec(&*value).expect("a map with string keys is JSON");
        Self::Stored { digest: Digest::of(&text), bytes: text.len() as u64, value: Some(value) }
    }

    /// Returns the payload, unless it is stored and was not read.
    #[must_use]
    pub fn value(&self) -> Option<&Arc<Map<String, Value>>> {
        match self {
            Self::Inline(value) => Some(value),
            Self::Stored { value, .. } => value.as_ref(),
        }
    }
}

/// Counts bytes, so that a small payload is never copied to be measured.
struct Size(usize);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Serialize for Payload {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Inline(value) => value.as_ref().serialize(serializer),
            Self::Stored { digest, bytes, .. } => {
                serde_json::json!({"$stored": digest, "bytes": bytes}).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Map::deserialize(deserializer)?;
        let Some(digest) = value.get("$stored").and_then(Value::as_str) else {
            return Ok(Self::Inline(Arc::new(value)));
        };
        let digest = digest.parse().map_err(serde::de::Error::custom)?;
        let bytes = value.get("bytes").and_then(Value::as_u64).unwrap_or_default();
        Ok(Self::Stored { digest, bytes, value: None })
    }
}
