//! Workflows that are valid by their making: the bytes choose among keys, verbs, targets and references, so that every input is a file with
//! which nothing is wrong. The reader must take it, the plan must have no error, what is shown of it must not fail, and the same workflow
//! written as YAML and as JSON must read as the same.
//!
//! What must stay true: whatever is chosen fits together. A text is never null, a comparison is never surely false, a step is named only
//! after it was made. Where Dagwood learns to tell of a new mistake and this makes it, this is what is to be mended.

use std::sync::Arc;

use arbitrary::Unstructured;
use dagwood::{
    contract::{Catalog, Checker, Contract, Port, ValueKind},
    diagnostic::{Diagnostic, render},
    job::TargetKind,
    plan::{self, Given, Offer, Outcome, Preview},
    source::Source,
    spec::Document,
};
use serde_json::{Map, Value, json};

use super::{
    offers::with_keys,
    plan::{given, show},
    reader::read,
};

/// The most steps of one workflow.
const MOST_STEPS: usize = 8;

/// Makes a workflow and takes it all the way to its pictures.
pub fn run(bytes: &[u8]) {
    let workflow = Maker::new(bytes).workflow();
    let yaml = serde_yaml::to_string(&workflow).expect("a map can be written");
    let json = serde_json::to_string_pretty(&workflow).expect("a map can be written");
    let (of_yaml, of_json) = (accepted(&yaml), accepted(&json));
    assert_eq!(of_yaml.workflow, of_json.workflow, "{yaml}");
    assert_eq!(of_yaml.definitions, of_json.definitions, "{yaml}");
    planned(&of_json, None, &json);
    let given = given(&of_json);
    let [of_yaml, of_json] =
        [(of_yaml, yaml), (of_json, json)].map(|(document, text)| planned(&document, Some(&given), &text));
    // The digest is over the text too.
    assert_eq!(Preview { digest: of_json.digest, ..of_yaml }, of_json);
}

fn accepted(text: &str) -> Arc<Document> {
    let (document, told) = read(&Arc::new(Source::new("fuzz.yaml", text)));
    assert_no_error(text, &told);
    Arc::new(document.expect("a file with which nothing is wrong is read"))
}

fn planned(document: &Arc<Document>, given: Option<&Given>, text: &str) -> Preview {
    let Outcome { plan, diagnostics, .. } = plan::plan(document, given, with_keys());
    assert_no_error(text, &diagnostics);
    let plan = plan.expect("where nothing is wrong there is a plan");
    show(&plan);
    plan::preview(&plan, &|step| plan.step(step).seconds)
}

fn assert_no_error(text: &str, told: &[Diagnostic]) {
    let errors: Vec<Diagnostic> = told.iter().filter(|diagnostic| diagnostic.is_error()).cloned().collect();
    assert!(errors.is_empty(), "{text}\n{}", render::human(&errors, false));
}

/// What a value is, as far as a template that mentions it needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Boolean,
    Images,
    Texts,
}

/// Makes one workflow of bytes. When they end, the first of each choice is taken.
struct Maker<'b> {
    bytes: Unstructured<'b>,
    /// Expressions that templates may hold here, by what they give.
    known: Vec<(String, Kind)>,
    /// The inputs that hold the URL of an image.
    pictures: Vec<String>,
    /// The steps that were made.
    made: Vec<String>,
    /// The names of `item`, in a step that fans out.
    items: Vec<(String, Kind)>,
    secrets: bool,
    /// The inputs without a default, with a value for each.
    required: Map<String, Value>,
}

impl<'b> Maker<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        let bytes = Unstructured::new(bytes);
        Self {
            bytes,
            known: Vec::new(),
            pictures: Vec::new(),
            made: Vec::new(),
            items: Vec::new(),
            secrets: false,
            required: Map::new(),
        }
    }

    /// Chooses a number from 0 to below `count`.
    fn below(&mut self, count: usize) -> usize {
        self.bytes.int_in_range(0..=count.saturating_sub(1)).unwrap_or_default()
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Chooses with one chance in `of`.
    fn seldom(&mut self, of: usize) -> bool {
        self.below(of) + 1 == of
    }

    /// Returns a text without a template in it, nice or nasty, and not blank.
    fn plain(&mut self) -> String {
        const TEXTS: [&str; 24] = [
            "a quay",
            "Fog over a lake",
            "1:1",
            "012",
            "1e3",
            "0x1F",
            "~",
            "null",
            "yes",
            "true",
            "- a",
            "a: b",
            "#",
            "'",
            "\"",
            "é ü 漢字",
            "a\nb\n",
            " padded ",
            "\ttab",
            "@at",
            "%",
            "!tag",
            "*alias",
            "x\u{85}y\u{2028}z\u{feff}",
        ];
        if !self.seldom(4) {
            return self.pick(&TEXTS).to_owned();
        }
        let length = self.below(12);
        let text: String = (0..length).filter_map(|_| self.bytes.arbitrary::<char>().ok()).collect();
        // A character outside YAML's set can stand in no file.
        let text = text.replace('{', "(").replace(|c: char| !is_printable(c), "?");
        if text.trim().is_empty() { "x".to_owned() } else { text }
    }

    fn period(&mut self) -> Value {
        let number = self.below(50) + 1;
        let unit = self.pick(&["s", "ms", "m", "h"]);
        json!(if unit == "h" && self.seldom(2) { format!("{number}h30m") } else { format!("{number}{unit}") })
    }

    fn name(&mut self) -> String {
        self.pick(&["plain", "Ünïcode nämé", "with space", "a-b", "n1", "0", "true"]).to_owned()
    }

    fn labels(&mut self) -> Value {
        let count = self.below(3);
        Value::Object((0..count).map(|_| (self.name(), json!(self.plain()))).collect())
    }

    /// Puts a key into a map, with one chance in two.
    fn maybe(&mut self, map: &mut Map<String, Value>, key: &str, value: impl FnOnce(&mut Self) -> Value) {
        if self.seldom(2) {
            let value = value(self);
            map.insert(key.to_owned(), value);
        }
    }

    /// Returns an expression that gives this, from what is known here.
    fn expression(&mut self, kind: Kind) -> Option<String> {
        let fitting = self.items.iter().chain(&self.known).filter(|(_, known)| *known == kind);
        let fitting: Vec<String> = fitting.map(|(expression, _)| expression.clone()).collect();
        (!fitting.is_empty()).then(|| fitting[self.below(fitting.len())].clone())
    }

    /// Returns a text, with templates in it where the bytes will have some.
    fn text(&mut self) -> String {
        let mut text = self.plain();
        for _ in 0..self.below(3) {
            let kind = self.pick(&[Kind::Text, Kind::Number, Kind::Boolean, Kind::Texts, Kind::Images]);
            let Some(expression) = self.expression(kind) else { continue };
            let filtered = match kind {
                Kind::Text => {
                    let filter = self.pick(&[
                        "",
                        " | upper",
                        " | slugify",
                        " | length",
                        " | sha256",
                        " | trim | replace('a', 'b')",
                    ]);
                    format!("({expression} | default('-', true) | string){filter}")
                }
                Kind::Number => format!("({expression} | default(0, true)) + 1"),
                Kind::Boolean => format!("'yes' if {expression} else 'no'"),
                Kind::Texts => format!("{expression} | join(', ')"),
                Kind::Images => format!("{expression} | length"),
            };
            let block = self.seldom(4);
            let written = if block {
                format!("{{% if {expression} %}}{{{{ {filtered} }}}}{{% else %}}none{{% endif %}}")
            } else {
                format!(" {{{{ {filtered} }}}}")
            };
            text.push_str(&written);
        }
        text
    }

    /// Returns any value, with templates in it.
    fn any(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => json!(self.text()),
            1 => json!(self.below(1000)),
            2 => json!(self.pick(&[0.5, -1.25, 1e21, 0.1])),
            3 => json!(self.seldom(2)),
            4 => self.alone(),
            5 => (0..self.below(3)).map(|_| self.any(depth - 1)).collect(),
            _ => Value::Object((0..self.below(3)).map(|_| (self.name(), self.any(depth - 1))).collect()),
        }
    }

    /// Returns one template, whose value keeps its type.
    fn alone(&mut self) -> Value {
        let kind = self.pick(&[Kind::Texts, Kind::Images, Kind::Number, Kind::Text, Kind::Boolean]);
        self.expression(kind).map_or(Value::Null, |expression| json!(format!("{{{{ {expression} }}}}")))
    }

    fn condition(&mut self) -> Value {
        let kind = self.pick(&[Kind::Boolean, Kind::Number, Kind::Texts, Kind::Text]);
        let Some(expression) = self.expression(kind) else { return json!(true) };
        json!(match kind {
            Kind::Number => format!("({expression} | default(0, true)) > {}", self.below(3)),
            Kind::Texts | Kind::Images => format!("{expression} | length > {}", self.below(3)),
            Kind::Text => format!("({expression} | default('', true) | string | length) >= 0"),
            Kind::Boolean if self.seldom(2) => format!("{{{{ {expression} }}}}"),
            Kind::Boolean => format!("not {expression}"),
        })
    }

    fn workflow(mut self) -> Value {
        let mut file = Map::new();
        self.maybe(&mut file, "version", |_| json!(1));
        self.maybe(&mut file, "name", |maker| json!(maker.plain()));
        self.maybe(&mut file, "description", |maker| json!(maker.plain()));
        self.maybe(&mut file, "labels", Self::labels);
        self.maybe(&mut file, "x-note", |maker| json!({"any": maker.plain()}));
        self.maybe(&mut file, "inputs", Self::inputs);
        self.maybe(&mut file, "secrets", |maker| {
            maker.secrets = true;
            json!(["TOKEN"])
        });
        self.maybe(&mut file, "vars", Self::vars);
        // What comes from steps must not stand in what is settled before them.
        self.maybe(&mut file, "concurrency", Self::concurrency);
        self.maybe(&mut file, "budget", |maker| json!({maker.pick(&["credits", "tokens"]): 1_000_000_000}));
        self.maybe(&mut file, "timeout", Self::period);
        self.maybe(&mut file, "failure_policy", |maker| json!(maker.pick(&["drain", "continue", "cancel"])));
        self.maybe(&mut file, "schedule", Self::schedule);
        self.maybe(&mut file, "notify", Self::notify);
        self.maybe(&mut file, "defaults", Self::defaults);
        let count = 1 + self.below(MOST_STEPS);
        let mut steps: Vec<(String, Value)> = (0..count).map(|number| self.step(&format!("s{number}"))).collect();
        // The order of a file is for its reader.
        let turn = self.below(count);
        steps.rotate_left(turn);
        file.insert("steps".to_owned(), Value::Object(steps.into_iter().collect()));
        self.maybe(&mut file, "outputs", |maker| {
            Value::Object((0..=maker.below(2)).map(|number| (format!("o{number}"), maker.any(1))).collect())
        });
        self.known.push(("run.status".to_owned(), Kind::Text));
        self.known.push(("run.failed_steps".to_owned(), Kind::Texts));
        self.maybe(&mut file, "finally", |maker| {
            Value::Object((0..=maker.below(1)).map(|number| maker.step(&format!("f{number}"))).collect())
        });
        Value::Object(file)
    }

    fn inputs(&mut self) -> Value {
        let mut inputs = Map::new();
        for number in 0..=self.below(5) {
            let name = format!("i{number}");
            let (mut input, default, kind) = match self.below(6) {
                0 => (json!({"type": "string"}), json!(self.plain()), Some(Kind::Text)),
                1 => {
                    (json!({"type": "integer", "minimum": 0, "maximum": 9}), json!(self.below(10)), Some(Kind::Number))
                }
                2 => (json!({"type": "boolean"}), json!(self.seldom(2)), Some(Kind::Boolean)),
                3 => {
                    let list: Vec<String> = (0..self.below(4)).map(|_| self.plain()).collect();
                    (json!({"type": "array", "items": {"type": "string"}}), json!(list), Some(Kind::Texts))
                }
                4 => {
                    self.pictures.push(format!("inputs.{name}"));
                    let media = self.pick(&["image", "any"]);
                    (json!({"type": "file", "media": media}), json!("https://example.com/a.png"), None)
                }
                _ => (json!({"enum": ["a", "b", 3]}), json!("b"), None),
            };
            if let Some(kind) = kind {
                self.known.push((format!("inputs.{name}"), kind));
            }
            let object = input.as_object_mut().expect("a map");
            if self.seldom(2) {
                self.required.insert(name.clone(), default);
            } else {
                object.insert("default".to_owned(), default);
            }
            self.maybe(object, "description", |maker| json!(maker.plain()));
            inputs.insert(name, input);
        }
        if self.seldom(3) {
            inputs.insert("absent".to_owned(), json!({"type": "string", "optional": true}));
            self.known.push(("(inputs.absent or 'absent')".to_owned(), Kind::Text));
        }
        if self.seldom(3) {
            inputs.insert("hidden".to_owned(), json!({"type": "string", "secret": true, "default": "pst"}));
        }
        Value::Object(inputs)
    }

    fn vars(&mut self) -> Value {
        let mut vars = Map::new();
        for number in 0..=self.below(3) {
            let name = format!("v{number}");
            let text = self.text();
            vars.insert(name.clone(), json!(format!("v {text}")));
            self.known.push((format!("vars.{name}"), Kind::Text));
        }
        Value::Object(vars)
    }

    fn concurrency(&mut self) -> Value {
        let steps = 1 + self.below(20);
        if self.seldom(2) {
            return json!(steps);
        }
        let mut map = Map::from_iter([("steps".to_owned(), json!(steps))]);
        if self.seldom(2) {
            map.insert("group".to_owned(), json!(format!("g {}", self.text())));
            self.maybe(&mut map, "on_conflict", |maker| {
                json!(maker.pick(&["queue", "skip", "cancel_running", "fail"]))
            });
        }
        Value::Object(map)
    }

    fn schedule(&mut self) -> Value {
        let mut entry = Map::new();
        let cron = ["0 3 * * *", "*/15 * * * 1-5", "30 0 3 1 1", "0 0 29 2 *", "0 0 * * 7"];
        entry.insert("cron".to_owned(), json!(self.pick(&cron)));
        self.maybe(&mut entry, "timezone", |maker| json!(maker.pick(&["Europe/Berlin", "UTC", "Asia/Tokyo"])));
        self.maybe(&mut entry, "catch_up", |maker| json!(maker.pick(&["none", "last", "all"])));
        self.maybe(&mut entry, "jitter", Self::period);
        if !self.required.is_empty() {
            entry.insert("inputs".to_owned(), Value::Object(self.required.clone()));
        }
        json!([entry])
    }

    fn notify(&mut self) -> Value {
        let mut entry = Map::new();
        let url =
            if self.secrets { "https://example.com/{{ secrets.TOKEN }}" } else { "https://example.com/{{ run.id }}" };
        entry.insert("url".to_owned(), json!(url));
        self.maybe(&mut entry, "on", |maker| json!([maker.pick(&["succeeded", "failed", "cancelled"])]));
        self.maybe(&mut entry, "format", |maker| json!(maker.pick(&["json", "slack"])));
        json!([entry])
    }

    fn defaults(&mut self) -> Value {
        let mut map = Map::new();
        self.maybe(&mut map, "timeout", Self::period);
        self.maybe(&mut map, "poll", Self::period);
        self.maybe(&mut map, "retry", |maker| maker.retry(false));
        self.maybe(&mut map, "cache", |maker| maker.cache(false));
        self.maybe(&mut map, "on_error", |maker| json!(maker.pick(&["fail", "continue"])));
        Value::Object(map)
    }

    fn retry(&mut self, http: bool) -> Value {
        let mut map = Map::from_iter([("attempts".to_owned(), json!(1 + self.below(4)))]);
        self.maybe(&mut map, "on", |maker| {
            let words = ["job_failed", "timeout", "expectation_failed", "server_error", "network"];
            let mut words = words[..if http { 5 } else { 3 }].to_vec();
            words.truncate(1 + maker.below(words.len()));
            json!(words)
        });
        self.maybe(&mut map, "backoff", |maker| {
            let mut map = Map::new();
            maker.maybe(&mut map, "initial", Self::period);
            maker.maybe(&mut map, "factor", |maker| json!(maker.pick(&[1.0, 2.0, 1.5])));
            maker.maybe(&mut map, "max", Self::period);
            Value::Object(map)
        });
        Value::Object(map)
    }

    fn cache(&mut self, key: bool) -> Value {
        if self.seldom(2) {
            return json!(self.seldom(2));
        }
        let mut map = Map::new();
        self.maybe(&mut map, "ttl", Self::period);
        if key {
            self.maybe(&mut map, "key", |maker| json!(format!("k {{{{ step.id }}}} {}", maker.text())));
        }
        Value::Object(map)
    }

    fn step(&mut self, id: &str) -> (String, Value) {
        let mut step = Map::new();
        self.maybe(&mut step, "description", |maker| json!(maker.plain()));
        self.maybe(&mut step, "labels", Self::labels);
        let fans_out = self.seldom(3) && self.fan_out(&mut step);
        let (verb, gives) = self.verb(&mut step, true);
        if self.seldom(3) {
            let when = self.condition();
            step.insert("when".to_owned(), when);
        }
        if !self.made.is_empty() {
            let need = self.below(self.made.len());
            self.maybe(&mut step, "needs", |maker| json!([maker.made[need]]));
        }
        if self.seldom(3) {
            step.insert("trigger".to_owned(), json!(self.pick(&["all_succeeded", "all_done", "any_succeeded"])));
        }
        self.maybe(&mut step, "on_error", |maker| json!(maker.pick(&["fail", "continue"])));
        if self.seldom(3) {
            step.insert("expect".to_owned(), self.expect());
        }
        if verb != "set" {
            self.of_jobs(&mut step, verb, fans_out);
        }
        self.items.clear();
        self.made.push(id.to_owned());
        let own = format!("steps.{id}");
        if fans_out {
            self.known.push((format!("{own}.outputs"), Kind::Images));
            self.known.push((format!("{own}.images"), Kind::Images));
            self.known.push((format!("({own}.items | length)"), Kind::Number));
        } else {
            self.known.extend(gives.into_iter().map(|(field, kind)| (format!("{own}.{field}"), kind)));
        }
        self.known.push((format!("{own}.status"), Kind::Text));
        (id.to_owned(), Value::Object(step))
    }

    /// The keys of what waits for somebody.
    fn of_jobs(&mut self, step: &mut Map<String, Value>, verb: &str, fans_out: bool) {
        self.maybe(step, "timeout", Self::period);
        self.maybe(step, "retry", |maker| maker.retry(verb == "http"));
        self.maybe(step, "estimate", |maker| json!({"credits": maker.below(100), "seconds": 0.5}));
        if verb != "http" && verb != "workflow" {
            self.maybe(step, "poll", Self::period);
        }
        if verb != "workflow" {
            self.maybe(step, "cache", |maker| maker.cache(true));
        }
        if self.seldom(3) {
            let path = if fans_out {
                "{{ step.id }}/{{ index }}/{{ n }}.{{ ext }}"
            } else {
                "{{ step.id }}/{{ n }}.{{ ext }}"
            };
            let save = if self.seldom(2) { json!(true) } else { json!(path) };
            step.insert("save".to_owned(), save);
        }
        // What stands in for a step takes these over, and only AIMP has them.
        let is_plain = ["mode", "scope", "params", "options"].iter().all(|key| !step.contains_key(*key));
        if is_plain && self.seldom(3) {
            let count = 1 + self.below(2);
            let entries: Value = (0..count)
                .map(|_| {
                    let mut entry = Map::new();
                    self.verb(&mut entry, false);
                    Value::Object(entry)
                })
                .collect();
            step.insert("fallback".to_owned(), entries);
        }
    }

    /// Makes a step run for many items, where there are some.
    fn fan_out(&mut self, step: &mut Map<String, Value>) -> bool {
        let own = |name: &str, kind| (name.to_owned(), kind);
        match self.below(5) {
            0 => {
                let list: Vec<String> = (0..self.below(4)).map(|_| self.plain()).collect();
                step.insert("foreach".to_owned(), json!(list));
                self.items = vec![own("item", Kind::Text)];
            }
            1 => {
                step.insert("foreach".to_owned(), json!({"kitchen": self.plain(), "bath": self.text()}));
                self.items = vec![own("item.key", Kind::Text), own("item.value", Kind::Text)];
            }
            2 => {
                let values: Vec<Value> = (0..=self.below(3)).map(|_| json!(self.plain())).collect();
                step.insert("matrix".to_owned(), json!({"style": values, "n": [1, 2, 3]}));
                self.items = vec![own("item.style", Kind::Text), own("item.n", Kind::Number)];
            }
            3 => {
                let Some(expression) = self.expression(Kind::Texts) else { return false };
                step.insert("foreach".to_owned(), json!(expression));
                self.items = vec![own("item", Kind::Text)];
            }
            _ => {
                let Some(expression) = self.expression(Kind::Images) else { return false };
                step.insert("foreach".to_owned(), json!(expression));
            }
        }
        self.items.push(own("index", Kind::Number));
        self.maybe(step, "max_parallel", |maker| json!(1 + maker.below(4)));
        true
    }

    fn expect(&mut self) -> Value {
        let expressions =
            ["status == 'succeeded'", "images | length >= 0", "output is not none", "(error or '') == ''"];
        match self.below(3) {
            0 => json!(self.pick(&expressions)),
            1 => json!([self.pick(&expressions), format!("{{{{ {} }}}}", self.pick(&expressions))]),
            _ => {
                let kinds = self.pick(&[&["object", "array", "string"][..], &["object", "string", "null", "array"]]);
                json!({"schema": {"type": kinds}})
            }
        }
    }

    /// Writes a verb with the keys that belong to it; returns it, and the fields of its result. Where it is not a `whole` step, it stands in
    /// for one, and says all that it would take from it.
    fn verb(&mut self, step: &mut Map<String, Value>, whole: bool) -> (&'static str, Vec<(String, Kind)>) {
        let fields = |fields: &[(&str, Kind)]| fields.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect();
        match self.below(6) {
            0 => {
                let mut map = Map::from_iter([("text".to_owned(), json!(format!("t {}", self.text())))]);
                map.insert("n".to_owned(), json!(self.below(9)));
                map.insert("list".to_owned(), json!(["a", self.plain()]));
                self.maybe(&mut map, "any", |maker| maker.any(2));
                step.insert("set".to_owned(), Value::Object(map));
                (
                    "set",
                    fields(&[("output.text", Kind::Text), ("output.n", Kind::Number), ("output.list", Kind::Texts)]),
                )
            }
            1 => {
                step.insert("http".to_owned(), self.http());
                ("http", fields(&[("output.status", Kind::Number)]))
            }
            2 => {
                step.insert("workflow".to_owned(), json!("nested.yaml"));
                let mut inputs = Map::new();
                self.maybe(&mut inputs, "place", |maker| json!(format!("p {}", maker.text())));
                self.maybe(&mut inputs, "pictures", |maker| json!([maker.plain()]));
                if !inputs.is_empty() || !whole {
                    step.insert("inputs".to_owned(), Value::Object(inputs));
                }
                ("workflow", fields(&[("output.text", Kind::Text)]))
            }
            _ => self.target(step, whole),
        }
    }

    fn http(&mut self) -> Value {
        let mut http = Map::new();
        let url = if self.seldom(2) { "https://example.com/a?b={{ run.id }}" } else { "http://localhost:1/x" };
        http.insert("url".to_owned(), json!(url));
        self.maybe(&mut http, "method", |maker| json!(maker.pick(&["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])));
        self.maybe(&mut http, "query", |maker| json!({"q": maker.text()}));
        let secrets = self.secrets;
        self.maybe(
            &mut http,
            "headers",
            |_| json!({"Authorization": if secrets { "Bearer {{ secrets.TOKEN }}" } else { "none" }}),
        );
        let key = self.pick(&["json", "body"]);
        self.maybe(&mut http, key, |maker| if key == "json" { maker.any(2) } else { json!(maker.text()) });
        self.maybe(&mut http, "expect_status", |maker| if maker.seldom(2) { json!(200) } else { json!([200, 404]) });
        Value::Object(http)
    }

    /// Writes a run of any target that is offered, with inputs that its contract takes.
    fn target(&mut self, step: &mut Map<String, Value>, whole: bool) -> (&'static str, Vec<(String, Kind)>) {
        let offers: Vec<&Offer> = with_keys().iter().filter(|offer| whole || !offer.takes_operation).collect();
        let offer = offers[self.below(offers.len())];
        let contracts: Vec<&Contract> = offer.catalog.iter().flat_map(Catalog::iter).collect();
        let contract = contracts[self.below(contracts.len())];
        let target = &contract.target;
        step.insert(target.kind.verb().to_owned(), json!(target.id));
        // Two systems have models.
        if target.kind == TargetKind::Model || self.seldom(2) {
            step.insert("provider".to_owned(), json!(offer.alias));
        }
        let ports = self.operation(step, offer, contract);
        let mut inputs = Map::new();
        for port in &ports {
            if port.required || self.seldom(3) {
                let value = self.input(port);
                inputs.insert(port.id.clone(), value);
            }
        }
        if !inputs.is_empty() || !whole || self.seldom(2) {
            step.insert("inputs".to_owned(), Value::Object(inputs));
        }
        let mut gives = vec![("job.id".to_owned(), Kind::Text), ("job.credits_charged".to_owned(), Kind::Number)];
        match contract.output {
            Some(ValueKind::Image) => gives.push(("images".to_owned(), Kind::Images)),
            Some(ValueKind::Text) => gives.push(("texts".to_owned(), Kind::Texts)),
            _ if target.kind == TargetKind::Agent => gives.push(("texts".to_owned(), Kind::Texts)),
            _ => {}
        }
        (target.kind.verb(), gives)
    }

    /// Writes what goes beside the inputs of a model of AIMP; returns what the inputs are.
    fn operation(&mut self, step: &mut Map<String, Value>, offer: &Offer, contract: &Contract) -> Vec<Port> {
        if !offer.takes_operation {
            return contract.ports.clone();
        }
        let checker = Checker::new(contract.clone());
        let modes: Vec<&str> = checker.modes().filter(|mode| !mode.is_empty()).collect();
        let mode = (!modes.is_empty()).then(|| modes[self.below(modes.len())]);
        let Ok(checker) = checker.for_mode(mode) else { return contract.ports.clone() };
        if let Some(mode) = mode {
            step.insert("mode".to_owned(), json!(mode));
        }
        if checker.needs_scope() == Some(true) {
            step.insert("scope".to_owned(), json!("products"));
        }
        if let Some(params) = checker.params() {
            self.maybe(step, "params", |maker| {
                let ports = params.contract().ports.iter();
                Value::Object(ports.map(|port| (port.id.clone(), maker.input(port))).collect())
            });
        }
        self.maybe(step, "options", |maker| json!({"trace": maker.plain()}));
        checker.contract().ports.clone()
    }

    /// Returns a value that a port takes.
    fn input(&mut self, port: &Port) -> Value {
        if !port.many {
            return self.one_input(port);
        }
        if port.kind == ValueKind::Image && self.seldom(3) && !self.pictures.is_empty() {
            let picture = self.below(self.pictures.len());
            return json!([format!("{{{{ {} }}}}", self.pictures[picture])]);
        }
        (0..=self.below(2)).map(|_| self.one_input(port)).collect()
    }

    fn one_input(&mut self, port: &Port) -> Value {
        if !port.options.is_empty() {
            return port.options[self.below(port.options.len())].clone();
        }
        match port.kind {
            ValueKind::Text | ValueKind::Scalar => json!(format!("i {}", self.text())),
            ValueKind::Number | ValueKind::Integer => json!(port.minimum.or(port.maximum).unwrap_or(1.0)),
            ValueKind::Boolean => json!(self.seldom(2)),
            ValueKind::Image | ValueKind::Video | ValueKind::Audio | ValueKind::Model3d => {
                json!(self.pick(&["https://example.com/a.png", "http://example.com/b?c=d"]))
            }
            ValueKind::Any => json!(self.plain()),
        }
    }
}

/// Says whether a character may stand in a YAML file.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{7e}' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
