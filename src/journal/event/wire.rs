//! How single fields of events are written: paths of items as two fields, times to the millisecond.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::StepPath;

/// A step as events name it: an item of a fan-out by the step and its position.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct Unit {
    /// The step's path.
    #[schemars(with = "String")]
    step: StepPath,
    /// The position of the item that it is about, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<u32>,
}

/// The same for what need not be about a step.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(super) struct OptionalUnit {
    /// The step's path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    step: Option<StepPath>,
    /// The position of the item that it is about, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    item: Option<u32>,
}

/// Writes the path of an item as two fields.
pub(super) mod unit {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::Unit;
    use crate::id::StepPath;

    pub(in crate::journal::event) fn serialize<S: Serializer>(
        path: &StepPath,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let unit = match path.split_item() {
            Some((step, item)) => Unit { step, item: Some(item) },
            None => Unit { step: path.clone(), item: None },
        };
        unit.serialize(serializer)
    }

    pub(in crate::journal::event) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<StepPath, D::Error> {
        let Unit { step, item } = Unit::deserialize(deserializer)?;
        Ok(item.map_or_else(|| step.clone(), |item| step.item(item)))
    }
}

/// The same for what need not be about a step.
pub(super) mod optional_unit {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    use super::OptionalUnit;
    use crate::id::StepPath;

    #[expect(clippy::ref_option, reason = "serde hands the field over so")]
    pub(in crate::journal::event) fn serialize<S: Serializer>(
        path: &Option<StepPath>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let unit = match path.as_ref().map(|path| (path, path.split_item())) {
            Some((_, Some((step, item)))) => OptionalUnit { step: Some(step), item: Some(item) },
            Some((path, None)) => OptionalUnit { step: Some(path.clone()), item: None },
            None => OptionalUnit { step: None, item: None },
        };
        unit.serialize(serializer)
    }

    pub(in crate::journal::event) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<StepPath>, D::Error> {
        let OptionalUnit { step, item } = OptionalUnit::deserialize(deserializer)?;
        Ok(step.map(|step| item.map_or_else(|| step.clone(), |item| step.item(item))))
    }
}

/// RFC 3339 with exactly three digits of a second, in UTC.
pub(super) mod milliseconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(in crate::journal::event) fn serialize<S: Serializer>(
        time: &Timestamp,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{time:.3}"))
    }

    pub(in crate::journal::event) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The same for a time that may be absent.
pub(super) mod optional_milliseconds {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde hands the field over so")]
    pub(in crate::journal::event) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => super::milliseconds::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(in crate::journal::event) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
    }
}
