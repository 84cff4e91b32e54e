//! The smaller maps of the language: `budget`, `retry`, `cache`, `estimate`, `expect`, `fallback`, `http`, `schedule`, `notify`.

use serde_json::{Map, Value};

use super::{Decoder, value::list};
use crate::{
    diagnostic::{Code, Diagnostic},
    source::Pointer,
    spec::{
        keys,
        workflow::{
            Backoff, Budget, Cache, CatchUp, Estimate, Fallback, Notify, OnError, Retry, RetryOn, Save, Schedule,
        },
    },
};

const RETRY_ON: [(&str, RetryOn); 5] = [
    ("job_failed", RetryOn::JobFailed),
    ("timeout", RetryOn::Timeout),
    ("expectation_failed", RetryOn::ExpectationFailed),
    ("server_error", RetryOn::ServerError),
    ("network", RetryOn::Network),
];

const ENDS: [&str; 3] = ["succeeded", "failed", "cancelled"];

const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

impl Decoder<'_> {
    /// Reads a bound on what may be spent, under whatever key it stands.
    pub(crate) fn budget(&mut self, value: &Value, at: &Pointer) -> Option<Budget> {
        let name = at.parts().last().map_or("budget", String::as_str);
        let Value::Object(entries) = value else {
            let help = value.is_number().then(|| format!("write `{name}: {{ credits: {value} }}`"));
            self.wrong(value, at, "a map", help);
            return None;
        };
        let what = format!("`{name}`");
        let fields = self.fields(entries, at, &what, keys::BUDGET);
        if keys::BUDGET.iter().all(|key| fields.get_meant(key.name).is_none()) {
            self.report(
                Diagnostic::error(Code::MissingKey, format!("{what} bounds nothing"))
                    .at(self.source, self.map.key(at), "has neither `credits` nor `tokens`")
                    .help("write `{ credits: 500 }`, or leave the key out"),
            );
        }
        Some(Budget {
            credits: fields.get("credits").and_then(|(value, at)| self.most_credits(value, &at)),
            tokens: fields.get("tokens").and_then(|(value, at)| self.count(value, &at, 1)),
        })
    }

    /// Reads a bound on credits. Zero is refused: some would read it as "nothing", some as "without a bound".
    fn most_credits(&mut self, value: &Value, at: &Pointer) -> Option<f64> {
        let Some(credits) = value.as_f64() else {
            self.wrong(value, at, "a number", Some("write a number above 0".to_owned()));
            return None;
        };
        if credits <= 0.0 {
            self.outside(
                at,
                "`credits` must be more than 0".to_owned(),
                format!("found `{value}`"),
                "write a number above 0; to bound nothing, leave the key out",
            );
            return None;
        }
        Some(credits)
    }

    pub(super) fn estimate(&mut self, value: &Value, at: &Pointer) -> Option<Estimate> {
        let entries = self.object(value, at)?;
        let fields = self.fields(entries, at, "`estimate`", keys::ESTIMATE);
        Some(Estimate {
            credits: fields.get("credits").and_then(|(value, at)| self.amount(value, &at, 0.0)),
            seconds: fields.get("seconds").and_then(|(value, at)| self.amount(value, &at, 0.0)),
        })
    }

    pub(super) fn retry(&mut self, value: &Value, at: &Pointer) -> Option<Retry> {
        let Value::Object(entries) = value else {
            let help = value.as_u64().map(|attempts| format!("write `retry: {{ attempts: {attempts} }}`"));
            self.wrong(value, at, "a map", help);
            return None;
        };
        let fields = self.fields(entries, at, "`retry`", keys::RETRY);
        let mut on = Vec::new();
        if let Some((value, at)) = fields.get("on") {
            let help = format!("list some of {}", list(RETRY_ON.iter().map(|&(word, _)| word)));
            for (word, at) in self.words_list(value, &at, &help) {
                on.extend(self.word(&Value::String(word), &at, &RETRY_ON));
            }
            // Without the key all failures are meant: an empty list must not read as the same.
            if value.as_array().is_some_and(Vec::is_empty) {
                self.outside(
                    &at,
                    "`on` must name at least one failure".to_owned(),
                    "found an empty list",
                    "leave `retry` out for no further attempt, or `on` for one after whatever failure",
                );
            }
        }
        Some(Retry {
            attempts: fields.get("attempts").and_then(|(value, at)| self.count(value, &at, 1)).unwrap_or(1),
            on,
            backoff: fields.get("backoff").and_then(|(value, at)| self.backoff(value, &at)),
        })
    }

    fn backoff(&mut self, value: &Value, at: &Pointer) -> Option<Backoff> {
        let entries = self.object(value, at)?;
        let fields = self.fields(entries, at, "`backoff`", keys::BACKOFF);
        Some(Backoff {
            initial: fields.get("initial").and_then(|(value, at)| self.period(value, &at, true)),
            factor: fields.get("factor").and_then(|(value, at)| self.amount(value, &at, 1.0)),
            max: fields.get("max").and_then(|(value, at)| self.period(value, &at, true)),
        })
    }

    pub(super) fn cache(&mut self, value: &Value, at: &Pointer) -> Option<Cache> {
        let Value::Object(entries) = value else {
            let enabled = self.boolean(value, at)?;
            return Some(Cache { enabled, ttl: None, key: None });
        };
        let fields = self.fields(entries, at, "`cache`", keys::CACHE);
        Some(Cache {
            enabled: true,
            ttl: fields.get("ttl").and_then(|(value, at)| self.period(value, &at, true)),
            key: fields.get("key").and_then(|(value, at)| self.text(value, &at)),
        })
    }

    pub(super) fn on_error(&mut self, value: &Value, at: &Pointer) -> Option<OnError> {
        self.word(value, at, &[("fail", OnError::Fail), ("continue", OnError::Continue)])
    }

    pub(super) fn save(&mut self, value: &Value, at: &Pointer) -> Option<Save> {
        match value {
            Value::Bool(true) => Some(Save::Default),
            Value::Bool(false) => None,
            Value::String(_) => self.name(value, at).map(Save::Path),
            _ => {
                let help = "write `save: true`, or a path such as `\"pictures/{{ n }}.{{ ext }}\"`";
                self.wrong(value, at, "`true` or a path", Some(help.to_owned()));
                None
            }
        }
    }

    pub(super) fn expect(&mut self, value: &Value, at: &Pointer) -> Option<Value> {
        match value {
            Value::String(_) => {}
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.text(item, &at.join(index));
                }
            }
            Value::Object(entries) => {
                let fields = self.fields(entries, at, "`expect`", keys::EXPECT);
                match fields.get("schema") {
                    Some((schema @ (Value::Object(_) | Value::Bool(_)), at)) => self.schema_within(schema, &at),
                    Some((value, at)) => self.wrong(value, &at, "a JSON Schema, a map", None),
                    None if fields.misspelt("schema") => {}
                    None => self.missing(at, "`expect` as a map", "schema"),
                }
            }
            _ => {
                let help = "write an expression such as `images | length > 0`".to_owned();
                self.wrong(value, at, "an expression, a list of them, or `{ schema: … }`", Some(help));
                return None;
            }
        }
        Some(value.clone())
    }

    pub(super) fn fallback(&mut self, id: &str, value: &Value, at: &Pointer) -> Vec<Fallback> {
        let mut steps = Vec::new();
        let items = self.list(value, at, "write a list of partial steps: `[{ model: ID }]`").unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let at = at.join(index);
            let Some(entries) = self.object(item, &at) else { continue };
            let fields = self.fields(entries, &at, "a fallback", keys::FALLBACK);
            let names_verb = keys::VERBS.iter().any(|verb| fields.get(verb).is_some());
            let verb = if names_verb { self.verb(id, &fields, &at) } else { None };
            if let Some(verb) = &verb {
                self.keys_of_verb(&fields, verb.key(), &at);
            }
            steps.push(Fallback {
                verb,
                provider: fields.get("provider").and_then(|(value, at)| self.name(value, &at)),
                inputs: fields.get("inputs").and_then(|(value, at)| self.object(value, &at).cloned()),
                params: fields.get("params").and_then(|(value, at)| self.object(value, &at).cloned()),
            });
        }
        steps
    }

    pub(super) fn http(&mut self, value: &Value, at: &Pointer) -> Map<String, Value> {
        let Some(entries) = self.object(value, at) else { return Map::new() };
        let fields = self.fields(entries, at, "`http`", keys::HTTP);
        if let Some((value, at)) = fields.get("method") {
            self.word(value, &at, &METHODS.map(|method| (method, ())));
        }
        match fields.get("url") {
            Some((value, at)) => {
                self.name(value, &at);
            }
            None if fields.misspelt("url") => {}
            None => self.missing(at, "`http`", "url"),
        }
        for key in ["headers", "query"] {
            if let Some((value, at)) = fields.get(key) {
                self.object(value, &at);
            }
        }
        if let (Some(_), Some((_, body))) = (fields.get("json"), fields.get("body")) {
            self.report(
                Diagnostic::error(Code::KeyOfOtherVerb, "a request has either `json` or `body`")
                    .at(self.source, self.map.key(&body), "beside `json`")
                    .help("keep one of the two"),
            );
        }
        if let Some((value, at)) = fields.get("expect_status") {
            let (statuses, wanted): (Vec<(&Value, Pointer)>, _) = match value {
                Value::Array(items) => {
                    let items = items.iter().enumerate().map(|(index, item)| (item, at.join(index)));
                    (items.collect(), "a status from 100 to 599")
                }
                _ => (vec![(value, at)], "a status from 100 to 599, or a list of them"),
            };
            for (value, at) in statuses {
                if !value.as_u64().is_some_and(|status| (100..600).contains(&status)) {
                    self.wrong(value, &at, wanted, None);
                }
            }
        }
        entries.clone()
    }

    pub(super) fn schedule(&mut self, value: &Value, at: &Pointer) -> Vec<Schedule> {
        let mut schedule = Vec::new();
        let items = self.list(value, at, "write a list: `[{ cron: \"0 3 * * *\" }]`").unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let at = at.join(index);
            let Some(entries) = self.object(item, &at) else { continue };
            let fields = self.fields(entries, &at, "an entry of `schedule`", keys::SCHEDULE);
            if fields.get("cron").is_none() && !fields.misspelt("cron") {
                self.missing(&at, "an entry of `schedule`", "cron");
            }
            let words = [("none", CatchUp::None), ("last", CatchUp::Last), ("all", CatchUp::All)];
            schedule.push(Schedule {
                cron: fields.get("cron").and_then(|(value, at)| self.name(value, &at)).unwrap_or_default(),
                timezone: fields.get("timezone").and_then(|(value, at)| self.name(value, &at)),
                inputs: fields
                    .get("inputs")
                    .and_then(|(value, at)| self.object(value, &at).cloned())
                    .unwrap_or_default(),
                catch_up: fields
                    .get("catch_up")
                    .and_then(|(value, at)| self.word(value, &at, &words))
                    .unwrap_or_default(),
                jitter: fields.get("jitter").and_then(|(value, at)| self.period(value, &at, false)),
            });
        }
        schedule
    }

    pub(super) fn notify(&mut self, value: &Value, at: &Pointer) -> Vec<Notify> {
        let mut notify = Vec::new();
        let items = self.list(value, at, "write a list: `[{ url: \"https://…\" }]`").unwrap_or_default();
        for (index, item) in items.iter().enumerate() {
            let at = at.join(index);
            let Some(entries) = self.object(item, &at) else { continue };
            let fields = self.fields(entries, &at, "an entry of `notify`", keys::NOTIFY);
            if fields.get("url").is_none() && !fields.misspelt("url") {
                self.missing(&at, "an entry of `notify`", "url");
            }
            let mut on = Vec::new();
            match fields.get("on") {
                Some((value, at)) => {
                    for (word, at) in self.words_list(value, &at, &format!("list some of {}", list(ENDS))) {
                        let known = ENDS.map(|end| (end, end));
                        on.extend(self.word(&Value::String(word), &at, &known).map(ToOwned::to_owned));
                    }
                }
                None => on.extend(ENDS.map(ToOwned::to_owned)),
            }
            let formats = [("json", false), ("slack", true)];
            notify.push(Notify {
                on,
                url: fields.get("url").and_then(|(value, at)| self.name(value, &at)).unwrap_or_default(),
                slack: fields.get("format").and_then(|(value, at)| self.word(value, &at, &formats)).unwrap_or(false),
            });
        }
        notify
    }

    /// Tells of a key that must be there.
    pub(crate) fn missing(&mut self, at: &Pointer, what: &str, key: &str) {
        let span = if self.map.get(at).is_some_and(|place| place.key.is_some()) {
            self.map.key(at)
        } else {
            self.first_line(at)
        };
        self.report(
            Diagnostic::error(Code::MissingKey, format!("{what} needs `{key}`"))
                .at(self.source, span, format!("has no `{key}`"))
                .help(format!("add `{key}: …`")),
        );
    }
}
