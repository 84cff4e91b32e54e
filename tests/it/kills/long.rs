//! A run of 30 steps, killed a hundred times.

use std::fmt::Write as _;

use dagwood::sandbox::{
    FaultScript,
    faults::{Deed, Door, Rule, When},
};

use super::{Course, forgets_its_journal, killed};

/// The steps of the workflow; each has one job.
const STEPS: usize = 30;

fn course() -> Course {
    Course { name: "long", workflows: vec![("long", workflow())], jobs: STEPS, files: STEPS / 5, kills: 100, pace: 1 }
}

/// Returns 30 steps in three chains that feed each other: texts, every fifth a picture that is saved, and two pairs of twins, whose
/// requests the API could not tell apart.
fn workflow() -> String {
    let mut text = "name: long\nconcurrency: { steps: 3 }\ndefaults: { poll: 30ms }\nsteps:\n".to_owned();
    for number in 1..=STEPS {
        let (before, prompt) = match number {
            1..=3 => (None, format!("Begin {number}")),
            // The second of a pair says the same as the first.
            11 | 12 | 21 | 22 => (Some(number - 3), "One of two".to_owned()),
            _ if (number - 3) % 5 == 0 => (Some(number - 3), format!("Go on {number}")),
            _ => (None, format!("Go on {number} after {{{{ steps.s{:02}.text }}}}", number - 3)),
        };
        let (model, save) =
            if number % 5 == 0 { ("google/nano-banana", ", save: true") } else { ("openai/gpt-5-mini", "") };
        let needs = before.map_or_else(String::new, |before| format!(", needs: [s{before:02}]"));
        let step = format!("{{ model: {model}, inputs: {{ prompt: \"{prompt}\" }}{needs}{save} }}");
        writeln!(text, "  s{number:02}: {step}").expect("a string takes it");
    }
    text += "outputs:\n";
    for number in [17, 26, 27, 29] {
        writeln!(text, "  o{number}: \"{{{{ steps.s{number:02}.text }}}}\"").expect("a string takes it");
    }
    text
}

#[test]
fn a_hundred_kills_change_nothing() {
    let settled = killed(&course(), 1, &FaultScript::default());
    // Some came between the API's yes and its being written down, some before the request had left.
    assert!(settled.get("found").is_some_and(|found| *found > 5), "{settled:?}");
}

#[test]
fn a_hundred_kills_and_lost_answers_change_nothing() {
    // Every third submit is accepted and not answered well, until the run is over: by a closed connection, or by a 5xx.
    let rules = (1..=2 * u32::try_from(STEPS).expect("a small number")).map(|number| {
        let error = Deed::Status { status: 503, when: When::After, message: "Try again".to_owned(), retry_after: None };
        let deed = if number % 2 == 0 { error } else { Deed::LoseReply };
        Rule::new(Door::Submit, deed).nth(3 * number)
    });
    let settled = killed(&course(), 2, &FaultScript(rules.collect()));
    assert!(settled.get("found").is_some_and(|found| *found > STEPS / 3), "{settled:?}");
}

#[test]
fn a_run_that_forgets_its_journal_is_seen_to_pay_twice() {
    forgets_its_journal(&course());
}
