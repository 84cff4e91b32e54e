//! What agents and pipelines answer. Pure: the same input gives the same answer, whenever it is asked.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::offer::{Agent, Offer, Pipeline, PipelineStep};

/// The most characters of an input that an answer repeats.
const SHOWN: usize = 400;

/// Words that make a query a financial one.
const FINANCIAL: [&str; 8] = ["revenue", "margin", "profit", "cost", "price", "budget", "q1", "sales"];

/// What an agent is good at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Skill {
    /// Says something about what it was asked.
    Answer,
    /// Writes a prompt for an image model.
    Prompt,
    /// Says `financial` or `general`.
    Classify,
    /// Answers, and draws a picture beside.
    Illustrate,
}

/// Returns what an agent answers to an input; the URL of its picture comes later, with the run's id.
pub(super) fn answer(agent: &Agent, input: &Map<String, Value>) -> Map<String, Value> {
    let subject = subject(input);
    let result = match agent.skill {
        Skill::Answer => format!("{} on {subject}: three findings, all of them consistent", agent.name),
        Skill::Prompt => {
            let style = input.get("style").and_then(Value::as_str).unwrap_or("a photograph in soft morning light");
            format!("{subject}, {style}, fine detail, calm composition, muted colours")
        }
        Skill::Classify => {
            let lower = subject.to_lowercase();
            let financial = FINANCIAL.iter().any(|word| lower.contains(word));
            if financial { "financial" } else { "general" }.to_owned()
        }
        Skill::Illustrate => format!("A picture of {subject}"),
    };
    let mut output = Map::new();
    output.insert("result".to_owned(), json!(result));
    output
}

/// Returns what a pipeline answers: the result of its last step that ran, and the outputs by name. Needs a checked pipeline, and agents for
/// all of its steps; a step without one is left out.
pub(super) fn pipeline(pipeline: &Pipeline, offer: &Offer, input: &Map<String, Value>) -> Map<String, Value> {
    let mut known = input.clone();
    let (mut outputs, mut result) = (Map::new(), Value::Null);
    for step in ordered(&pipeline.steps).unwrap_or_default() {
        let holds =
            step.condition.as_deref().and_then(Condition::parse).is_none_or(|condition| condition.holds(&known));
        let Some(agent) = offer.agent_of_step(&step.agent).filter(|_| holds) else { continue };
        let output = Value::Object(answer(agent, &known));
        let name = step.output.clone().unwrap_or_else(|| step.id.clone());
        result = output["result"].clone();
        known.insert(name.clone(), result.clone());
        outputs.insert(name, output);
    }
    let mut output = Map::new();
    output.insert("result".to_owned(), result);
    output.insert("steps".to_owned(), Value::Object(outputs));
    output
}

/// Returns the steps so that each comes after those that it depends on, else in the order as written.
///
/// # Errors
/// What is wrong with the steps, in words.
pub(super) fn ordered(steps: &[PipelineStep]) -> Result<Vec<&PipelineStep>, String> {
    let mut left: Vec<_> = steps.iter().collect();
    for step in steps {
        if steps.iter().filter(|other| other.id == step.id).count() > 1 {
            return Err(format!("steps: two steps have the id {}", step.id));
        }
        if let Some(unknown) = step.depends_on.iter().find(|name| !steps.iter().any(|other| other.id == **name)) {
            return Err(format!("steps.{}.depends_on: no step has the id {unknown}", step.id));
        }
        if step.condition.as_deref().is_some_and(|text| Condition::parse(text).is_none()) {
            return Err(format!("steps.{}.condition: expected `name == 'value'` or `name != 'value'`", step.id));
        }
    }
    let mut done: Vec<&PipelineStep> = Vec::new();
    while !left.is_empty() {
        let is_ready =
            |step: &&PipelineStep| step.depends_on.iter().all(|name| done.iter().any(|other| other.id == *name));
        let Some(at) = left.iter().position(is_ready) else {
            return Err(format!("steps.{}.depends_on: the steps wait for each other", left[0].id));
        };
        done.push(left.remove(at));
    }
    Ok(done)
}

/// Returns the tokens that a run is said to have used: some by its words, and some for good measure, as models do.
pub(super) fn tokens(input: &Map<String, Value>, output: &Map<String, Value>) -> u64 {
    let characters = json!([input, output]).to_string().chars().count();
    u64::try_from(characters).unwrap_or(u64::MAX) / 4 + 400
}

/// `name == 'value'` or `name != 'value'`: what the published example of a pipeline needs.
#[derive(Debug, PartialEq, Eq)]
struct Condition<'a> {
    name: &'a str,
    equal: bool,
    value: &'a str,
}

impl<'a> Condition<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, equal, value) = match text.split_once("==") {
            Some((name, value)) => (name, true, value),
            None => text.split_once("!=").map(|(name, value)| (name, false, value))?,
        };
        let value = value.trim();
        let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
        let value = inner('\'').or_else(|| inner('"'))?;
        let name = name.trim();
        (!name.is_empty() && !name.contains(char::is_whitespace)).then_some(Self { name, equal, value })
    }

    fn holds(&self, known: &Map<String, Value>) -> bool {
        (known.get(self.name).and_then(Value::as_str) == Some(self.value)) == self.equal
    }
}

/// Returns what an input is about: its `query` or `text`, else all of it.
fn subject(input: &Map<String, Value>) -> String {
    let text = match input.get("query").or_else(|| input.get("text")) {
        Some(Value::String(text)) => text.clone(),
        _ if input.is_empty() => "nothing in particular".to_owned(),
        _ => input.iter().map(|(key, value)| format!("{key}: {}", brief(value))).collect::<Vec<_>>().join("; "),
    };
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

fn brief(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(query: &str) -> Map<String, Value> {
        Map::from_iter([("query".to_owned(), json!(query))])
    }

    #[test]
    fn a_pipeline_goes_where_its_conditions_lead() {
        let offer = Offer::new(&[]);
        let revenue = &offer.pipelines["pl_01HXYZ"];
        let output = pipeline(revenue, &offer, &input("Q1 revenue"));
        assert_eq!(output["steps"]["intent"]["result"], "financial");
        assert_eq!(output["result"], "data-analyst-v3 on Q1 revenue: three findings, all of them consistent");
        let other = pipeline(revenue, &offer, &input("the weather"));
        assert_eq!((&other["result"], other["steps"].as_object().map(Map::len)), (&json!("general"), Some(1)));
    }

    #[test]
    fn steps_are_put_in_order_or_refused() {
        let steps = |text: &str| serde_yaml::from_str::<Vec<PipelineStep>>(text).expect("steps");
        let later = steps("[{ id: b, agent: x, depends_on: [a] }, { id: a, agent: x }]");
        let order: Vec<_> = ordered(&later).expect("an order").iter().map(|step| step.id.as_str()).collect();
        assert_eq!(order, ["a", "b"]);
        for (text, told) in [
            ("[{ id: a, agent: x }, { id: a, agent: x }]", "two steps have the id a"),
            ("[{ id: a, agent: x, depends_on: [c] }]", "no step has the id c"),
            ("[{ id: a, agent: x, depends_on: [b] }, { id: b, agent: x, depends_on: [a] }]", "wait for each other"),
            ("[{ id: a, agent: x, condition: maybe }]", "steps.a.condition"),
        ] {
            let error = ordered(&steps(text)).expect_err(text);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn conditions_compare_words() {
        let known = Map::from_iter([("intent".to_owned(), json!("financial"))]);
        for (text, holds) in [
            ("intent == 'financial'", Some(true)),
            ("intent != \"financial\"", Some(false)),
            ("other == 'financial'", Some(false)),
            ("other != 'financial'", Some(true)),
            ("intent = 'financial'", None),
            ("intent == financial", None),
        ] {
            assert_eq!(Condition::parse(text).map(|condition| condition.holds(&known)), holds, "{text}");
        }
    }
}
