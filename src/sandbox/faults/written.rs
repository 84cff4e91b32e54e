//! The fault script as people write it, and its way into rules.
//!
//! A fault is a word (`lose_reply`) or a map (`{ status: 503, when: after }`). Both are read by hand and checked here, so that a mistake is
//! told in words and with its place, and so that a [`Rule`] that makes no sense cannot exist.

use std::{borrow::Cow, fmt, num::NonZeroU32, time::Duration};

use jiff::SignedDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};

use super::{Deed, Door, Rule, Variant, When};
use crate::sandbox::jobs::Fate;

/// What a faulty answer says where the rule names no message.
const MESSAGE: &str = "Internal server error";

/// A rule as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule", description = "What happens to which requests.")]
pub(super) struct WrittenRule {
    /// The requests that it is about.
    on: Door,
    /// The id or name of the model, app, agent or pipeline that they are about; without one, any.
    target: Option<String>,
    /// The first matching request that it applies to, from 1; that one alone, unless `times` says more.
    nth: Option<NonZeroU32>,
    /// How many matching requests it applies to.
    times: Option<NonZeroU32>,
    /// What it does: a word, or a map with one of them and what belongs to it.
    #[serde(rename = "do")]
    deed: WrittenDeed,
}

impl TryFrom<WrittenRule> for Rule {
    type Error = String;

    fn try_from(rule: WrittenRule) -> Result<Self, String> {
        let WrittenRule { on, target, nth, times, deed } = rule;
        let deed = Deed::try_from(deed)?;
        if target.is_some() && matches!(on, Door::List | Door::Catalog | Door::Account | Door::Upload) {
            return Err("`target` is of no use here: such a request is about no target".to_owned());
        }
        if times.is_some() && matches!(deed, Deed::Burst { .. }) {
            return Err("`burst_429` says already how many: leave `times` out".to_owned());
        }
        let deed = match deed {
            // On a submit, the word stays with the job until it ends.
            Deed::Word(word) if on == Door::Submit => {
                Deed::Fate(Box::new(Fate { word: Some(word), ..Fate::default() }))
            }
            Deed::Word(_) if !matches!(on, Door::Look | Door::List) => {
                return Err("`status_word` needs `on: submit`, `on: look` or `on: list`".to_owned());
            }
            Deed::Fate(fate) if on != Door::Submit => {
                return Err(format!("`{}` is the fate of a job and needs `on: submit`", fate.name()));
            }
            Deed::Variant(_) if on == Door::File => return Err("files have no variants".to_owned()),
            deed => deed,
        };
        Ok(Self { on, target, nth, times, deed })
    }
}

/// A deed as written: a word or a map.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum WrittenDeed {
    Word(Word),
    Map(Box<DeedMap>),
}

impl<'de> Deserialize<'de> for WrittenDeed {
    /// Reads by hand, since an untagged enum would answer every mistake with "no variant matched".
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> de::Visitor<'de> for Visitor {
            type Value = WrittenDeed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a fault such as `lose_reply` or `{ status: 503 }`")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<WrittenDeed, E> {
                Word::deserialize(de::value::StrDeserializer::new(word)).map(WrittenDeed::Word)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<WrittenDeed, A::Error> {
                DeedMap::deserialize(de::value::MapAccessDeserializer::new(map))
                    .map(|map| WrittenDeed::Map(Box::new(map)))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A fault that needs no more than its name.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Word {
    /// Does what was asked for and closes the connection without an answer.
    LoseReply,
    /// Closes the connection before anything happens.
    Refuse,
    /// Does what was asked for and answers with something that is no JSON.
    BrokenJson,
    /// Does what was asked for and closes the connection in the middle of the answer.
    TruncatedJson,
    /// Answers with the page of a proxy, status 502, before anything happens.
    Html,
    /// The job never ends.
    Stuck,
    /// The job fails.
    Fail,
    /// The job is gone at once.
    Vanish,
    /// The job completes without an output.
    NullOutput,
}

/// A fault with what belongs to it: exactly one of the keys, and `when`, `message`, `retry_after` where they fit.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeedMap {
    /// Waits this long before anything happens.
    latency: Option<Wait>,
    /// Answers with this status.
    #[schemars(range(min = 200, max = 599))]
    status: Option<u16>,
    /// With `status` or `html`: before (the default) or after what was asked for happened.
    when: Option<When>,
    /// With `status`: the text of the error.
    message: Option<String>,
    /// With `status` or `burst_429` (there 1s by default): what `Retry-After` says.
    retry_after: Option<Wait>,
    /// Answers 429 to so many requests.
    burst_429: Option<NonZeroU32>,
    /// Answers with the page of a proxy with this status.
    #[schemars(range(min = 200, max = 599))]
    html: Option<u16>,
    /// Does what was asked for and answers with so many bytes.
    huge: Option<u64>,
    /// The job fails with this message.
    fail: Option<String>,
    /// The job is gone this long after its acceptance.
    vanish: Option<Wait>,
    /// The job is listed only this long after its acceptance.
    slow_listing: Option<Wait>,
    /// The job is reported under this word: on a submit until it ends, on a look or list in that answer.
    status_word: Option<String>,
    /// The job waits this long before it begins.
    pending: Option<Wait>,
    /// The job takes this long.
    takes: Option<Wait>,
    /// Answers in another form that the documents leave open.
    variant: Option<Variant>,
}

impl TryFrom<WrittenDeed> for Deed {
    type Error = String;

    fn try_from(deed: WrittenDeed) -> Result<Self, String> {
        match deed {
            WrittenDeed::Word(word) => Ok(word.into()),
            WrittenDeed::Map(map) => (*map).try_into(),
        }
    }
}

impl From<Word> for Deed {
    fn from(word: Word) -> Self {
        let fate = |fate| Self::Fate(Box::new(fate));
        match word {
            Word::LoseReply => Self::LoseReply,
            Word::Refuse => Self::Refuse,
            Word::BrokenJson => Self::BrokenJson,
            Word::TruncatedJson => Self::TruncatedJson,
            Word::Html => Self::Html { status: 502, when: When::Before },
            Word::Stuck => fate(Fate { stuck: true, ..Fate::default() }),
            Word::Fail => fate(Fate { fails: Some("Generation failed".to_owned()), ..Fate::default() }),
            Word::Vanish => fate(Fate { vanishes: Some(Duration::ZERO), ..Fate::default() }),
            Word::NullOutput => fate(Fate { silent: true, ..Fate::default() }),
        }
    }
}

impl TryFrom<DeedMap> for Deed {
    type Error = String;

    fn try_from(map: DeedMap) -> Result<Self, String> {
        let fate = |fate| Self::Fate(Box::new(fate));
        let when = map.when.unwrap_or_default();
        let retry_after = map.retry_after.map(|wait| wait.0);
        let mut deeds: Vec<Self> = Vec::new();
        deeds.extend(map.latency.map(|wait| Self::Latency(wait.0)));
        deeds.extend(map.status.map(|status| {
            let message = map.message.clone().unwrap_or_else(|| MESSAGE.to_owned());
            Self::Status { status, when, message, retry_after }
        }));
        deeds.extend(map.burst_429.map(|requests| Self::Burst {
            requests: requests.get(),
            retry_after: retry_after.unwrap_or(Duration::from_secs(1)),
        }));
        deeds.extend(map.html.map(|status| Self::Html { status, when }));
        deeds.extend(map.huge.map(Self::Huge));
        deeds.extend(map.status_word.map(Self::Word));
        deeds.extend(map.variant.map(Self::Variant));
        deeds.extend(map.fail.map(|message| fate(Fate { fails: Some(message), ..Fate::default() })));
        deeds.extend(map.vanish.map(|wait| fate(Fate { vanishes: Some(wait.0), ..Fate::default() })));
        deeds.extend(map.slow_listing.map(|wait| fate(Fate { listed: Some(wait.0), ..Fate::default() })));
        deeds.extend(map.pending.map(|wait| fate(Fate { pending: Some(wait.0), ..Fate::default() })));
        deeds.extend(map.takes.map(|wait| fate(Fate { takes: Some(wait.0), ..Fate::default() })));
        let [deed] = <[Self; 1]>::try_from(deeds)
            .map_err(|deeds| format!("`do` takes exactly one fault, found {}: write one rule for each", deeds.len()))?;
        if let Self::Status { status, .. } | Self::Html { status, .. } = &deed
            && !(200..=599).contains(status)
        {
            return Err(format!("{status} is no status of an answer: write one from 200 to 599"));
        }
        let misplaced = [
            (map.when.is_some() && !matches!(deed, Self::Status { .. } | Self::Html { .. }), "when"),
            (map.message.is_some() && !matches!(deed, Self::Status { .. }), "message"),
            (map.retry_after.is_some() && !matches!(deed, Self::Status { .. } | Self::Burst { .. }), "retry_after"),
        ];
        match misplaced.iter().find(|(wrong, _)| *wrong) {
            Some((_, key)) => Err(format!("`{key}` does not belong to this fault")),
            None => Ok(deed),
        }
    }
}

/// A span of time such as `300ms` or `1m30s`.
#[derive(Clone, Copy)]
struct Wait(Duration);

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse::<SignedDuration>()
            .ok()
            .and_then(|span| Duration::try_from(span).ok())
            .map(Self)
            .ok_or_else(|| de::Error::custom(format!("`{text}` is no duration: write `300ms` or `2s`")))
    }
}

impl JsonSchema for Wait {
    fn schema_name() -> Cow<'static, str> {
        "Wait".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration",
            "examples": ["300ms", "2s", "1m30s"],
        })
    }
}
