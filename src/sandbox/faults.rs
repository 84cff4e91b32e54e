//! The fault script: what goes wrong, on which request, how.
//!
//! A script is a list of rules, in YAML or JSON:
//!
//! ```yaml
//! - { on: submit, target: kling/video, nth: 2, do: { status: 503, when: after } }
//! - { on: look, times: 3, do: { latency: 300ms } }
//! - { on: submit, do: lose_reply }
//! ```
//!
//! Each rule counts the requests that match its door and target. It applies to the `nth` alone, to the first `times`, with both to
//! `times` of them from the `nth` on, with neither to all. All rules that apply to a request do so together: latencies add up, the first
//! one that spoils the answer spoils it, fates and variants join.
//!
//! Why a rule and not a probability: a test must say exactly what it meets, and a failing run must fail again.

mod dialects;
mod variant;
mod written;

use std::{collections::BTreeSet, fmt, num::NonZeroU32, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::variant::Variant;
use self::written::WrittenRule;
use super::jobs::Fate;

/// A list of rules.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(title = "Fault script", description = "What the emulator does wrong, on which request, how.")]
pub struct FaultScript(#[schemars(with = "Vec<WrittenRule>")] pub Vec<Rule>);

/// Says why a text is no fault script, with line and column where known.
#[derive(Debug, thiserror::Error)]
#[error("the fault script cannot be read: {0}")]
pub struct FaultScriptError(#[from] serde_yaml::Error);

impl FaultScript {
    /// Reads a script in YAML or JSON; an empty text is an empty script.
    ///
    /// # Errors
    /// When the text is no script.
    pub fn parse(text: &str) -> Result<Self, FaultScriptError> {
        // An empty document is null for YAML, and a script with all rules commented out is none.
        Ok(serde_yaml::from_str::<Option<Self>>(text)?.unwrap_or_default())
    }

    /// Returns the JSON Schema of a script.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::generate::SchemaSettings::draft2020_12()
            .for_deserialize()
            .into_generator()
            .into_root_schema_for::<Self>()
            .to_value()
    }
}

/// What happens to which requests.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "WrittenRule")]
pub struct Rule {
    /// The requests that it is about.
    pub on: Door,
    /// The id or name of the model, app, agent or pipeline that they are about; without one, any.
    pub target: Option<String>,
    /// The first matching request that it applies to, from 1.
    pub nth: Option<NonZeroU32>,
    /// How many it applies to: without it, one where `nth` is given, else all.
    pub times: Option<NonZeroU32>,
    /// What it does.
    pub deed: Deed,
}

impl Rule {
    /// Builds a rule for all requests through a door.
    #[must_use]
    pub fn new(on: Door, deed: Deed) -> Self {
        Self { on, target: None, nth: None, times: None, deed }
    }

    /// Returns the rule for the requests about one model or app.
    #[must_use]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Returns the rule from the `nth` matching request on, from 1; for that one alone, unless `times` says more.
    #[must_use]
    pub fn nth(mut self, nth: u32) -> Self {
        self.nth = NonZeroU32::new(nth);
        self
    }

    /// Returns the rule for so many requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = NonZeroU32::new(times);
        self
    }

    fn applies(&self, count: u32) -> bool {
        let first = self.nth.map_or(1, NonZeroU32::get);
        let burst = if let Deed::Burst { requests, .. } = &self.deed { Some(*requests) } else { None };
        let times = burst.or(self.times.map(NonZeroU32::get)).or(self.nth.map(|_| 1));
        count >= first && times.is_none_or(|times| count - first < times)
    }

    fn matches(&self, door: Door, names: &[&str]) -> bool {
        let here = self.on == Door::Any && door != Door::File || self.on == door;
        here && self.target.as_deref().is_none_or(|target| names.contains(&target))
    }
}

/// A kind of request, whichever API it is made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Door {
    /// A run of a model, app, agent or pipeline.
    Submit,
    /// A look at one job, or at the runs of one pipeline.
    Look,
    /// The list of jobs.
    List,
    /// A wish to cancel.
    Cancel,
    /// What can be run: a list of it, or one of it.
    Catalog,
    /// The account, its wallet or its usage.
    Account,
    /// A step of an upload: its beginning, its bytes, its end.
    Upload,
    /// Anything else that an API has: agents being made, deployments, monitoring, webhooks.
    Other,
    /// An output file.
    File,
    /// Any request but one for an output file; an upload's bytes are among them.
    Any,
}

/// What a rule does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Waits before anything happens.
    Latency(Duration),
    /// Answers with this status.
    Status {
        /// The status.
        status: u16,
        /// Before or after what was asked for happened.
        when: When,
        /// The text of the error.
        message: String,
        /// What `Retry-After` says, if anything.
        retry_after: Option<Duration>,
    },
    /// Does what was asked for and closes the connection without an answer.
    LoseReply,
    /// Closes the connection before anything happens.
    Refuse,
    /// Answers 429 to so many requests.
    Burst {
        /// How many.
        requests: u32,
        /// What `Retry-After` says.
        retry_after: Duration,
    },
    /// Does what was asked for and answers with something that is no JSON.
    BrokenJson,
    /// Does what was asked for and closes the connection in the middle of the answer.
    TruncatedJson,
    /// Answers with the page of a proxy.
    Html {
        /// Its status.
        status: u16,
        /// Before or after what was asked for happened.
        when: When,
    },
    /// Does what was asked for and answers with so many bytes.
    Huge(u64),
    /// Gives the submitted job a fate.
    Fate(Box<Fate>),
    /// Reports the job, on this look, under this word.
    Word(String),
    /// Answers in another form that the documents leave open.
    Variant(Variant),
}

/// Before or after the side effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Nothing has happened.
    #[default]
    Before,
    /// It has happened.
    After,
}

/// What the script does to one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    /// How long to wait first.
    pub latency: Duration,
    /// Whether to close the connection at once.
    pub refuse: bool,
    /// What to answer instead of doing anything.
    pub before: Option<Spoil>,
    /// What to do to the answer.
    pub after: Option<Spoil>,
    /// What happens to the job.
    pub fate: Fate,
    /// The word that a job is reported under.
    pub word: Option<String>,
    /// The forms of the answer.
    pub variants: BTreeSet<Variant>,
    /// What was done, for the request log.
    pub told: Vec<String>,
}

impl Effects {
    /// Says whether the answer has this form.
    #[must_use]
    pub fn has(&self, variant: Variant) -> bool {
        self.variants.contains(&variant)
    }
}

/// What becomes of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Spoil {
    /// Another answer.
    Status {
        /// Its status.
        status: u16,
        /// Its text.
        message: String,
        /// Its `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// None.
    Lost,
    /// No JSON.
    Broken,
    /// Its first half.
    Truncated,
    /// The page of a proxy.
    Html(u16),
    /// So many bytes.
    Huge(u64),
}

/// A script under way: its rules with what they have counted.
#[derive(Clone, Debug)]
pub struct Faults {
    rules: Vec<(Rule, u32)>,
}

impl Faults {
    /// Begins a script.
    #[must_use]
    pub fn new(script: FaultScript) -> Self {
        Self { rules: script.0.into_iter().map(|rule| (rule, 0)).collect() }
    }

    /// Counts a request, about a target with these names, and returns what happens to it.
    pub fn meet(&mut self, door: Door, names: &[&str]) -> Effects {
        let mut effects = Effects::default();
        for (rule, count) in &mut self.rules {
            if !rule.matches(door, names) {
                continue;
            }
            *count += 1;
            if rule.applies(*count) {
                effects.told.push(rule.deed.to_string());
                effects.add(&rule.deed);
            }
        }
        effects
    }
}

impl Effects {
    fn add(&mut self, deed: &Deed) {
        let (when, spoil) = match deed {
            Deed::Latency(wait) => return self.latency += *wait,
            Deed::Refuse => return self.refuse = true,
            Deed::Fate(fate) => return self.fate.join(fate),
            Deed::Word(word) => return self.word = Some(word.clone()),
            Deed::Variant(variant) => return self.variants.extend([*variant]),
            Deed::Status { status, when, message, retry_after } => {
                (*when, Spoil::Status { status: *status, message: message.clone(), retry_after: *retry_after })
            }
            Deed::Burst { retry_after, .. } => {
                let message = "Rate limit exceeded".to_owned();
                (When::Before, Spoil::Status { status: 429, message, retry_after: Some(*retry_after) })
            }
            Deed::Html { status, when } => (*when, Spoil::Html(*status)),
            Deed::LoseReply => (When::After, Spoil::Lost),
            Deed::BrokenJson => (When::After, Spoil::Broken),
            Deed::TruncatedJson => (When::After, Spoil::Truncated),
            Deed::Huge(bytes) => (When::After, Spoil::Huge(*bytes)),
        };
        let place = if when == When::Before { &mut self.before } else { &mut self.after };
        place.get_or_insert(spoil);
    }
}

impl Fate {
    fn join(&mut self, other: &Self) {
        let Self { stuck, fails, vanishes, listed, word, silent, pending, takes } = other.clone();
        self.stuck |= stuck;
        self.silent |= silent;
        self.fails = self.fails.take().or(fails);
        self.vanishes = self.vanishes.or(vanishes);
        self.listed = self.listed.or(listed);
        self.word = self.word.take().or(word);
        self.pending = self.pending.or(pending);
        self.takes = self.takes.or(takes);
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latency(wait) => write!(f, "latency {wait:?}"),
            Self::Status { status, when: When::Before, .. } => write!(f, "status {status} before"),
            Self::Status { status, when: When::After, .. } => write!(f, "status {status} after"),
            Self::LoseReply => f.write_str("lose_reply"),
            Self::Refuse => f.write_str("refuse"),
            Self::Burst { .. } => f.write_str("burst_429"),
            Self::BrokenJson => f.write_str("broken_json"),
            Self::TruncatedJson => f.write_str("truncated_json"),
            Self::Html { status, .. } => write!(f, "html {status}"),
            Self::Huge(bytes) => write!(f, "huge {bytes}"),
            Self::Fate(fate) => f.write_str(fate.name()),
            Self::Word(word) => write!(f, "status_word {word}"),
            Self::Variant(variant) => write!(f, "variant {variant:?}"),
        }
    }
}

impl Fate {
    /// Returns the word of the script for a fate of one kind.
    fn name(&self) -> &'static str {
        let names = [
            (self.stuck, "stuck"),
            (self.fails.is_some(), "fail"),
            (self.vanishes.is_some(), "vanish"),
            (self.listed.is_some(), "slow_listing"),
            (self.word.is_some(), "status_word"),
            (self.silent, "null_output"),
            (self.pending.is_some(), "pending"),
            (self.takes.is_some(), "takes"),
        ];
        names.iter().find(|(holds, _)| *holds).map_or("nothing", |(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_words_maps_and_json() {
        let script = FaultScript::parse(
            "- { on: submit, target: kling/video, nth: 2, do: { status: 503, when: after } }\n\
             - on: submit\n  do: lose_reply\n\
             - { on: look, times: 2, do: { latency: 300ms } }\n\
             - { on: list, do: { burst_429: 3, retry_after: 2s } }\n",
        )
        .expect("a script");
        assert_eq!(script.0[1], Rule::new(Door::Submit, Deed::LoseReply));
        assert_eq!(script.0[2], Rule::new(Door::Look, Deed::Latency(Duration::from_millis(300))).times(2));
        assert_eq!(script.0[3].deed, Deed::Burst { requests: 3, retry_after: Duration::from_secs(2) });
        let json = FaultScript::parse(r#"[{"on": "submit", "do": "stuck"}]"#).expect("JSON is YAML");
        assert!(matches!(&json.0[0].deed, Deed::Fate(fate) if fate.stuck));
        assert_eq!(FaultScript::parse("# nothing\n").expect("an empty script"), FaultScript::default());
    }

    #[test]
    fn a_wrong_script_is_told_with_its_place() {
        for (text, told) in [
            ("- { on: submit, do: lose_repli }", "unknown variant `lose_repli`"),
            ("- on: submit\n  do: { status: 503, wen: after }", "line 2 column"),
            ("- { on: submit, nth: 0, do: refuse }", "nonzero"),
            ("- { on: submit, do: { latency: soon } }", "`soon` is no duration"),
            ("- { on: submit, do: { latency: 1s, status: 500 } }", "exactly one fault, found 2"),
            ("- { on: submit, do: {} }", "exactly one fault, found 0"),
            ("- { on: look, do: stuck }", "`stuck` is the fate of a job and needs `on: submit`"),
            ("- { on: list, target: a, do: refuse }", "`target` is of no use"),
            ("- { on: submit, do: { huge: 3, when: after } }", "`when` does not belong"),
            ("- { on: submit, do: { status: 99 } }", "99 is no status"),
            ("- { on: submit }", "missing field `do`"),
            ("- {", "line"),
        ] {
            let error = FaultScript::parse(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn rules_count_what_they_match() {
        let script = FaultScript(vec![
            Rule::new(Door::Submit, Deed::LoseReply).nth(2),
            Rule::new(Door::Submit, Deed::Latency(Duration::from_secs(1))).target("b").times(1),
            Rule::new(Door::Submit, Deed::Latency(Duration::from_secs(2))),
        ]);
        let mut faults = Faults::new(script);
        let seconds = |effects: &Effects| effects.latency.as_secs();
        let first = faults.meet(Door::Submit, &["a", "A"]);
        assert_eq!((seconds(&first), first.after), (2, None));
        let second = faults.meet(Door::Submit, &["b", "B"]);
        assert_eq!((seconds(&second), second.after), (3, Some(Spoil::Lost)));
        let third = faults.meet(Door::Submit, &["b"]);
        assert_eq!((seconds(&third), third.after), (2, None));
        assert_eq!(faults.meet(Door::Look, &["b"]), Effects::default());
    }
}
