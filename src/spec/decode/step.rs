//! Steps: the one verb, the keys that go with it, and their values.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{
    Decoder,
    value::{Fields, list},
};
use crate::{
    diagnostic::{Code, Diagnostic},
    id::StepId,
    job::TargetKind,
    source::Pointer,
    spec::{
        keys,
        workflow::{Step, Trigger, Verb},
    },
};

/// The keys that go with some verbs only.
const OF_VERBS: &[(&str, &[&str])] = &[
    ("provider", &["model", "app", "agent", "pipeline", "http"]),
    ("inputs", &["model", "app", "agent", "pipeline", "workflow"]),
    ("mode", &["model"]),
    ("scope", &["model"]),
    ("params", &["model"]),
    ("options", &["model"]),
    ("timeout", &["model", "app", "agent", "pipeline", "workflow", "http"]),
    ("poll", &["model", "app", "agent", "pipeline"]),
    ("retry", &["model", "app", "agent", "pipeline", "workflow", "http"]),
    ("fallback", &["model", "app", "agent", "pipeline", "workflow", "http"]),
    ("cache", &["model", "app", "agent", "pipeline", "http"]),
    ("save", &["model", "app", "agent", "pipeline", "workflow", "http"]),
    ("estimate", &["model", "app", "agent", "pipeline", "workflow", "http"]),
];

impl Decoder<'_> {
    pub(super) fn steps(&mut self, value: &Value, at: &Pointer, needed: bool) -> IndexMap<StepId, Step> {
        let mut steps = IndexMap::new();
        let entries = match value {
            Value::Object(entries) => entries,
            Value::Array(_) => {
                let help = "give each step a name: `render: { model: … }`, not `- model: …`";
                self.wrong(value, at, "a map from step ids to steps", Some(help.to_owned()));
                return steps;
            }
            Value::Null if needed => {
                self.no_steps(at);
                return steps;
            }
            _ => {
                self.object(value, at);
                return steps;
            }
        };
        let own = || entries.iter().filter(|(key, _)| !key.starts_with("x-"));
        if needed && own().next().is_none() {
            self.no_steps(at);
        }
        for (name, value) in own() {
            let at = at.join(name);
            let step = self.step(name, value, &at);
            if let Ok(id) = name.parse() {
                steps.insert(id, step);
            } else {
                self.bad_name(name, self.map.key(&at), "the id of a step", None);
            }
        }
        steps
    }

    fn no_steps(&mut self, at: &Pointer) {
        self.report(
            Diagnostic::error(Code::MissingKey, "a workflow needs at least one step")
                .at(self.source, self.map.key(at), "no step below this")
                .help("write one: `first: { model: ID, inputs: { … } }`"),
        );
    }

    fn step(&mut self, id: &str, value: &Value, at: &Pointer) -> Step {
        let nothing = Map::new();
        let entries = self.object(value, at).unwrap_or(&nothing);
        let fields = self.fields(entries, at, "a step", keys::STEP);
        let verb = if value.is_object() { self.verb(id, &fields, at) } else { None };
        if let Some(verb) = &verb {
            self.keys_of_verb(&fields, verb.key(), at);
        }
        let goes = |key: &str| verb.as_ref().is_none_or(|verb| goes_with(key, verb.key()));
        self.fan_out_keys(&fields);
        let get = |key: &str| fields.get(key).filter(|_| goes(key));
        let triggers = [
            ("all_succeeded", Trigger::AllSucceeded),
            ("all_done", Trigger::AllDone),
            ("any_succeeded", Trigger::AnySucceeded),
        ];
        Step {
            provider: get("provider").and_then(|(value, at)| self.name(value, &at)),
            inputs: get("inputs").and_then(|(value, at)| self.object(value, &at).cloned()).unwrap_or_default(),
            mode: get("mode").and_then(|(value, at)| self.text(value, &at)),
            scope: get("scope").and_then(|(value, at)| self.text(value, &at)),
            params: get("params").and_then(|(value, at)| self.object(value, &at).cloned()),
            options: get("options").and_then(|(value, at)| self.object(value, &at).cloned()),
            needs: get("needs").map(|(value, at)| self.needs(value, &at)).unwrap_or_default(),
            when: get("when").and_then(|(value, at)| self.expression(value, &at)),
            trigger: get("trigger").and_then(|(value, at)| self.word(value, &at, &triggers)).unwrap_or_default(),
            foreach: get("foreach").map(|(value, at)| self.foreach(value, &at)),
            matrix: get("matrix").and_then(|(value, at)| self.matrix(value, &at)),
            max_parallel: get("max_parallel").and_then(|(value, at)| self.count(value, &at, 1)),
            timeout: get("timeout").and_then(|(value, at)| self.period(value, &at, true)),
            poll: get("poll").and_then(|(value, at)| self.period(value, &at, true)),
            retry: get("retry").and_then(|(value, at)| self.retry(value, &at)),
            fallback: get("fallback").map(|(value, at)| self.fallback(id, value, &at)).unwrap_or_default(),
            on_error: get("on_error").and_then(|(value, at)| self.on_error(value, &at)),
            cache: get("cache").and_then(|(value, at)| self.cache(value, &at)),
            save: get("save").and_then(|(value, at)| self.save(value, &at)),
            expect: get("expect").and_then(|(value, at)| self.expect(value, &at)),
            estimate: get("estimate").and_then(|(value, at)| self.estimate(value, &at)),
            description: self.optional_text(&fields, "description"),
            labels: self.labels(&fields),
            // A step without a verb has been told of: a `set` of nothing stands in, so that its name stays known.
            verb: verb.unwrap_or_else(|| Verb::Set(Map::new())),
        }
    }

    /// Reads the verb; of several the first.
    pub(super) fn verb(&mut self, id: &str, fields: &Fields<'_>, at: &Pointer) -> Option<Verb> {
        let mut found: Vec<&str> = keys::VERBS.into_iter().filter(|verb| fields.get(verb).is_some()).collect();
        let place = |verb: &str| fields.get(verb).map(|(_, at)| self.map.key(&at)).unwrap_or_default();
        found.sort_by_key(|verb| place(verb));
        if let [first, second, ..] = found[..] {
            let mut diagnostic = Diagnostic::error(
                Code::Verb,
                format!("step `{id}` has several verbs: {}", list(found.iter().copied())),
            )
            .at(self.source, place(second), "another verb")
            .also(self.source, place(first), "a verb");
            for verb in &found[2..] {
                diagnostic = diagnostic.also(self.source, place(verb), "and another");
            }
            self.report(diagnostic.help("split it into several steps, each with one verb"));
        }
        let meant = || keys::VERBS.into_iter().find(|verb| fields.misspelt(verb));
        let Some(verb) = found.first().copied().or_else(meant) else {
            self.report(
                Diagnostic::error(Code::Verb, format!("step `{id}` does nothing"))
                    .at(self.source, self.map.key(at), "has no verb")
                    .help("say what it runs: `model: ID`, `app: NAME`, or `set: { … }`"),
            );
            return None;
        };
        let (value, at) = fields.get_meant(verb)?;
        let kind = match verb {
            "model" => TargetKind::Model,
            "app" => TargetKind::App,
            "agent" => TargetKind::Agent,
            "pipeline" => TargetKind::Pipeline,
            "workflow" => return self.name(value, &at).map(Verb::Workflow),
            "set" => return Some(Verb::Set(self.object(value, &at).cloned().unwrap_or_default())),
            _ => return Some(Verb::Http(self.http(value, &at))),
        };
        let name = self.name(value, &at)?;
        if name.contains("{{") {
            self.report(
                Diagnostic::error(Code::NoTemplateHere, format!("`{verb}` takes no template"))
                    .at(self.source, self.map.value(&at), "must be known before the run")
                    .help("write the name or id; steps with `when` choose between several"),
            );
        }
        Some(Verb::Run { kind, name })
    }

    pub(super) fn keys_of_verb(&mut self, fields: &Fields<'_>, verb: &'static str, at: &Pointer) {
        for (key, verbs) in OF_VERBS {
            if verbs.contains(&verb) {
                continue;
            }
            let Some((_, key_at)) = fields.get(key) else { continue };
            let help = match (*key, verb) {
                ("inputs", "set") => "write the values below `set` itself".to_owned(),
                ("params" | "options", _) => format!("write the values under `inputs`; `{key}` is for models of AIMP"),
                ("provider" | "timeout" | "poll" | "save" | "estimate" | "retry" | "fallback" | "cache", "set") => {
                    "leave it out: `set` calls nothing".to_owned()
                }
                _ => format!("it goes with {}", list(verbs.iter().copied())),
            };
            self.report(
                Diagnostic::error(Code::KeyOfOtherVerb, format!("`{key}` does not go with `{verb}`"))
                    .at(self.source, self.map.key(&key_at), "does not belong here")
                    .also(self.source, self.map.key(&at.join(verb)), "the verb")
                    .help(help),
            );
        }
    }

    fn needs(&mut self, value: &Value, at: &Pointer) -> Vec<StepId> {
        let mut needs = Vec::new();
        for (name, at) in self.words_list(value, at, "list step ids: `needs: [render]`") {
            if let Ok(id) = name.parse() {
                needs.push(id);
                continue;
            }
            // Whoever writes a template here means the step in it.
            let help = name
                .trim_start_matches("{{")
                .trim()
                .strip_prefix("steps.")
                .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>())
                .map(|id| format!("write the id alone: `{id}`"));
            self.bad_name(&name, self.map.value(&at), "the id of a step", help);
        }
        needs
    }

    /// Reads an expression; a boolean is one too.
    fn expression(&mut self, value: &Value, at: &Pointer) -> Option<String> {
        if let Value::Bool(value) = value {
            return Some(value.to_string());
        }
        if let Value::String(text) = value
            && !text.trim().is_empty()
        {
            return Some(text.clone());
        }
        self.wrong(
            value,
            at,
            "an expression",
            Some("write something like `inputs.count > 1`, in quotes if it has a `:` or `#`".to_owned()),
        );
        None
    }

    fn foreach(&mut self, value: &Value, at: &Pointer) -> Value {
        if matches!(value, Value::String(_) | Value::Array(_) | Value::Object(_)) {
            return value.clone();
        }
        self.wrong(
            value,
            at,
            "a list, a map, or an expression that gives one",
            Some("write something like `inputs.formats` or `[a, b]`".to_owned()),
        );
        // It is told once: no items stand in, so that the step stays one with items.
        Value::Array(Vec::new())
    }

    fn matrix(&mut self, value: &Value, at: &Pointer) -> Option<Map<String, Value>> {
        let entries = self.object(value, at)?;
        let mut lists = Map::new();
        for (name, value) in entries.iter().filter(|(name, _)| !name.starts_with("x-")) {
            // An expression may give the list; a plain word is no list, though it could be read as one.
            let is_expression = |text: &str| text.contains("{{") || text.contains('.') || text.contains('(');
            if !value.as_str().is_some_and(is_expression) {
                self.list(value, &at.join(name), "write a list of values: `[a, b]`, or an expression that gives one");
            }
            lists.insert(name.clone(), value.clone());
        }
        if lists.is_empty() {
            self.missing_lists(at);
        }
        Some(lists)
    }

    fn missing_lists(&mut self, at: &Pointer) {
        self.report(
            Diagnostic::error(Code::MissingKey, "`matrix` needs at least one list")
                .at(self.source, self.map.key(at), "no list below this")
                .help("write one or more: `matrix: { size: [small, large] }`"),
        );
    }

    /// Tells of keys that make no fan-out together, or none at all.
    fn fan_out_keys(&mut self, fields: &Fields<'_>) {
        if let (Some((_, foreach)), Some((_, matrix))) = (fields.get("foreach"), fields.get("matrix")) {
            self.report(
                Diagnostic::error(Code::KeyOfOtherVerb, "a step has either `foreach` or `matrix`")
                    .at(self.source, self.map.key(&matrix), "beside `foreach`")
                    .also(self.source, self.map.key(&foreach), "the other one")
                    .help("keep one of the two: `matrix` runs for every combination of its lists"),
            );
        }
        let fans_out = ["foreach", "matrix"].iter().any(|key| fields.get_meant(key).is_some());
        if let (Some((_, at)), false) = (fields.get("max_parallel"), fans_out) {
            self.report(
                Diagnostic::error(Code::MissingKey, "`max_parallel` goes with `foreach` or `matrix`")
                    .at(self.source, self.map.key(&at), "says nothing alone")
                    .help("it bounds how many items are in flight; `concurrency` bounds the jobs of the whole run"),
            );
        }
    }
}

fn goes_with(key: &str, verb: &str) -> bool {
    OF_VERBS.iter().find(|(known, _)| *known == key).is_none_or(|(_, verbs)| verbs.contains(&verb))
}
