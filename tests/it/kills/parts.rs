//! A run of fan-outs and of a workflow in the workflow, each with its `finally`.

use dagwood::sandbox::{
    FaultScript,
    faults::{Deed, Door, Rule},
};

use super::{Course, forgets_its_journal, killed};

/// A fan-out with two items that the API cannot tell apart, one over its items, which leaves one out, and albums, one of them by itself.
const PARTS: &str = r#"
concurrency: { steps: 3 }
defaults: { poll: 30ms }
steps:
  words:
    foreach: [red, green, blue, red, grey]
    model: openai/gpt-5-mini
    inputs: { prompt: "A word on {{ item }}" }
  pictures:
    foreach: steps.words.items
    max_parallel: 2
    when: index != 2
    model: google/nano-banana
    inputs: { prompt: "Draw {{ item.text if item else '' }}" }
    save: true
  album: { workflow: album.yaml, inputs: { title: "{{ steps.words.texts[0] }}", pages: 3 } }
  albums: { foreach: [sea, sky], workflow: album.yaml, inputs: { title: "{{ item }}", cover: "{{ item }}" } }
  letter:
    model: openai/gpt-5-mini
    inputs:
      prompt: "{{ steps.album.output.pages }} {{ steps.albums.outputs | length }} {{ steps.pictures.images | length }}"
finally:
  farewell: { model: openai/gpt-5-mini, inputs: { prompt: "It {{ run.status }}" } }
outputs:
  letter: "{{ steps.letter.text }}"
  albums: "{{ steps.albums.outputs }}"
  files: "{{ steps.albums.files | map(attribute='path') | list }}"
"#;

/// What is run within it: a fan-out, what is made of it, and an end of its own.
const ALBUM: &str = r#"
inputs: { title: { type: string }, pages: { type: integer, default: 2 }, cover: { type: string, default: one } }
steps:
  pages:
    foreach: "{{ range(inputs.pages) | list }}"
    model: openai/gpt-5-mini
    inputs: { prompt: "Page {{ item }} of {{ inputs.title }}" }
  cover:
    model: google/nano-banana
    inputs: { prompt: "{{ inputs.title }}: {{ steps.pages.texts | length }} pages" }
    save: "covers/{{ inputs.cover }}.{{ ext }}"
finally:
  index: { model: openai/gpt-5-mini, inputs: { prompt: "It {{ run.status }}: {{ inputs.title }}" } }
outputs: { pages: "{{ steps.pages.texts }}" }
"#;

/// Five words, four pictures, an album of five jobs and two of four, the letter and the farewell.
fn course() -> Course {
    let workflows = vec![("parts", PARTS.to_owned()), ("album", ALBUM.to_owned())];
    Course { name: "parts", workflows, jobs: 24, files: 7, kills: 50, pace: 3 }
}

#[test]
fn kills_change_nothing_for_items_and_nested_steps() {
    killed(&course(), 3, &FaultScript::default());
}

#[test]
fn kills_and_lost_answers_change_nothing_for_items_and_nested_steps() {
    // Every third submit is accepted, and its answer lost.
    let rules = (1..=16).map(|number| Rule::new(Door::Submit, Deed::LoseReply).nth(3 * number));
    let settled = killed(&course(), 4, &FaultScript(rules.collect()));
    assert!(settled.get("found").is_some_and(|found| *found > 5), "{settled:?}");
}

#[test]
fn a_run_of_parts_that_forgets_its_journal_is_seen_to_pay_twice() {
    forgets_its_journal(&course());
}
