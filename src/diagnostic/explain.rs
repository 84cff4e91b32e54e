//! What a code means, at length, with a wrong and a right example: `dagwood explain DW103`.
//!
//! The match has no wildcard: a new code does not compile without its explanation. Examples are whole files, or several with what is typed
//! beside them (`several.rs`); a test runs each of them and sees that the wrong one gives the code and nothing else, and the right one nothing. The
//! few codes that no page can show say why.

mod several;

use std::fmt::Write as _;

use super::Code;

/// What a code means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The code in one line.
    pub title: &'static str,
    /// Why it is wrong, and what to do.
    pub text: &'static str,
    /// A workflow file that has the mistake.
    pub wrong: Option<&'static str>,
    /// The same without it.
    pub right: Option<&'static str>,
    /// Both, where one file does not show it.
    pub several: Option<(Example, Example)>,
    /// Why there is no example, where there is none.
    pub no_example: Option<&'static str>,
}

/// Some files in a folder, and what is typed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// The files: their paths in the folder, and their texts.
    pub files: &'static [(&'static str, &'static str)],
    /// What is typed, one line after the other; the last one tells of the mistake, or of nothing.
    pub commands: &'static [&'static str],
    /// Whether the files are saved as ISO 8859-1, and not as UTF-8.
    pub latin1: bool,
}

impl Example {
    const fn of(files: &'static [(&'static str, &'static str)], commands: &'static [&'static str]) -> Self {
        Self { files, commands, latin1: false }
    }

    const fn in_latin1(self) -> Self {
        Self { latin1: true, ..self }
    }

    /// Says how the files are saved, where that is not in UTF-8.
    #[must_use]
    pub fn saved(&self) -> &'static str {
        if self.latin1 { ", saved as ISO 8859-1" } else { "" }
    }

    /// Returns the bytes of a file.
    #[must_use]
    pub fn bytes(&self, text: &str) -> Vec<u8> {
        if self.latin1 { text.chars().filter_map(|c| u8::try_from(c).ok()).collect() } else { text.into() }
    }

    /// Returns the whole of it for people.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut shown = String::new();
        for (path, text) in self.files {
            let _ = writeln!(shown, "# {path}{}", self.saved());
            let _ = writeln!(shown, "{}\n", text.trim_end());
        }
        for command in self.commands {
            let _ = writeln!(shown, "$ {command}");
        }
        shown
    }
}

/// Explains a code.
#[must_use]
#[expect(clippy::too_many_lines, reason = "a table, one entry a code")]
pub fn explain(code: Code) -> Explanation {
    let (text, example) = match code {
        Code::Syntax => (
            r#"YAML itself could not be read. The place is where the parser noticed; the mistake is there or shortly before it. Text with `: `, ` #`, or one of `{[]}&*!|>'"%@` and a backquote at its start needs quotes."#,
            Some((
                "steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: Note: a house by the sea
",
                r#"steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "Note: a house by the sea"
"#,
            )),
        ),
        Code::DuplicateKey => (
            "Most programs silently keep one of two equal keys, and nobody knows which. Here it is an error. Two steps of one name, in `steps` and `finally`, are the same mistake.",
            Some((
                "steps:
  render:
    model: google/nano-banana
    timeout: 5m
    inputs: { prompt: A house }
    timeout: 10m
",
                "steps:
  render:
    model: google/nano-banana
    timeout: 10m
    inputs: { prompt: A house }
",
            )),
        ),
        Code::UnknownKey => (
            "A key that is not known would do nothing, so it is an error at every level. Keys that start with `x-` are free, for anchors and tools.",
            Some((
                "steps:
  render:
    model: google/nano-banana
    imputs: { prompt: A house }
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house }
x-note: keys of your own start like this
",
            )),
        ),
        Code::WrongKind => (
            "The key wants another kind of value: a list instead of a string, a string instead of a number. `12` and `true` without quotes are no strings.",
            Some((
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs: { prompt: Slow zoom }
    needs: render
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs: { prompt: Slow zoom }
    needs: [render]
",
            )),
        ),
        Code::MissingKey => (
            "Something that must be there is not: a workflow needs `steps`, with at least one step in it. A request needs `url`, an entry of `schedule` its `cron`, one of `notify` its `url`, and `on_conflict` a `group` that could be held.",
            Some((
                "name: nothing
version: 1
",
                "name: something
version: 1
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::SeveralDocuments => (
            "A line `---` starts another YAML document. A workflow file holds one. Make a file of each; a step with `workflow` runs another file.",
            Some((
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
---
name: another
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                "name: one
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::Tag => (
            "YAML tags such as `!env` or `!!str` make programs do things that the text does not show. None has a meaning here: values are written plainly, and what is computed is a template.",
            Some((
                "secrets: [HOUSE]
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: !env HOUSE }
",
                r#"secrets: [HOUSE]
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "{{ secrets.HOUSE }}" }
"#,
            )),
        ),
        Code::KeyNotString => (
            "YAML allows numbers, booleans, lists and maps as keys; JSON, which the APIs speak, does not. Put such a key in quotes.",
            Some((
                "steps:
  size:
    set:
      1: small
      2: large
",
                r#"steps:
  size:
    set:
      "1": small
      "2": large
"#,
            )),
        ),
        Code::TooLarge => (
            "A file may be 16 MiB large and nest 64 levels, and its aliases may add a hundred thousand values. No workflow that people write comes near; a file that does is a mistake or an attack.",
            None,
        ),
        Code::NotText => (
            "A workflow is text in UTF-8. Editors of some systems save as UTF-16 or in an older encoding unless told otherwise. The place shows the first byte that is part of no character.",
            None,
        ),
        Code::UnquotedTemplate => (
            "To YAML a `{` at the start of a value opens a map, so `{{ x }}` is a map whose key is a map. Put the whole value in quotes.",
            Some((
                "inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: {{ inputs.text }}
",
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.text }}"
"#,
            )),
        ),
        Code::LeadingZero => (
            "In YAML 1.2 `012` is the number 12; in YAML 1.1 it was 10, and as a code or an id it is text. Write the number without the zero, or the text in quotes.",
            Some((
                "steps:
  code:
    set: { article: 0123 }
",
                r#"steps:
  code:
    set: { article: "0123" }
"#,
            )),
        ),
        Code::Tab => (
            "A tab has no width that everybody agrees on, so YAML does not indent with tabs. Between a key and its value a space does the same.",
            Some((
                "steps:
	render:
		model: google/nano-banana
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house }
",
            )),
        ),
        Code::Version => (
            "`version` is the version of the language, a whole number. This release knows version 1, which is also what a file without `version` has.",
            Some((
                "version: 2
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                "version: 1
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::BadName => (
            "Names that templates use (steps, inputs, secrets) are a letter or `_`, then letters, digits and `_`: `steps.my-step` would read as a subtraction.",
            Some((
                "steps:
  hero-image:
    model: google/nano-banana
    inputs: { prompt: A house }
",
                "steps:
  hero_image:
    model: google/nano-banana
    inputs: { prompt: A house }
",
            )),
        ),
        Code::BadDuration => (
            "A duration is whole numbers with the units `h`, `m`, `s`, `ms`, largest first: `1h30m`. A bare number does not say its unit, and a day is not always 24 hours long.",
            Some((
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house }
    timeout: 300
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house }
    timeout: 5m
",
            )),
        ),
        Code::Verb => (
            "A step does exactly one thing, which its verb says: `model`, `app`, `agent`, `pipeline`, `workflow`, `set` or `http`.",
            Some((
                "steps:
  render:
    inputs: { prompt: A house }
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::KeyOfOtherVerb => (
            "Some keys go with some verbs only. `set` calls nothing, so it has no `inputs` and no `timeout`; `params` and `options` belong to models of AIMP.",
            Some((
                "steps:
  size:
    set: { width: 100 }
    timeout: 5m
",
                "steps:
  size:
    set: { width: 100 }
",
            )),
        ),
        Code::UnknownAlias => (
            "`*name` stands for a value that was marked `&name` further up in the file. Text that starts with `*` needs quotes.",
            Some((
                "x-prompt: &house A house by the sea
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: *hose }
",
                "x-prompt: &house A house by the sea
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: *house }
",
            )),
        ),
        Code::NoWorkflow => (
            "The file is empty, or what it holds is no map. A workflow is a map with at least the key `steps`.",
            Some((
                "- model: google/nano-banana
- model: kling/video
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::BadInputSchema => (
            "An input is declared by a JSON Schema fragment (2020-12) with a few keys of the language's own. Its `type` is `string`, `number`, `integer`, `boolean`, `array`, `object`, `null` or `file`; `media` says what is in a `file`.",
            Some((
                "inputs:
  sketch: { type: image }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                r#"inputs:
  sketch: { type: file, media: image }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea, image_input: ["{{ inputs.sketch }}"] }
"#,
            )),
        ),
        Code::BadMerge => (
            "`<<` copies the entries of a map, or of several in a list, into the map that it stands in; keys that are written out win.",
            Some((
                "x-common: &common 5m
steps:
  render:
    <<: *common
    model: google/nano-banana
    inputs: { prompt: A house }
",
                "x-common: &common { timeout: 5m }
steps:
  render:
    <<: *common
    model: google/nano-banana
    inputs: { prompt: A house }
",
            )),
        ),
        Code::OutOfRange => (
            "The value is of the right kind but not one that the key allows: a number below its least, a word that is not in the list.",
            Some((
                "concurrency: 0
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                "concurrency: 4
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::Twice => (
            "The list names something twice. Once is enough, and the second may have been meant to be something else.",
            Some((
                "steps:
  a:
    set: { x: 1 }
  b:
    set: { x: 2 }
    needs: [a, a]
",
                "steps:
  a:
    set: { x: 1 }
  b:
    set: { x: 2 }
    needs: [a]
",
            )),
        ),
        Code::UnknownTarget => (
            "The API was asked and has no such model, app or agent for this key. `dagwood models`, `dagwood apps` and `dagwood agents` list what there is.",
            Some((
                "steps:
  render:
    model: google/nano-bananna
    inputs: { prompt: A house }
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::AmbiguousTarget => (
            "Apps and agents are found by name, and two of yours have this one. Write the id of the one that is meant.",
            Some((
                "steps:
  translation:
    agent: Translator
    inputs: { text: Good morning }
",
                "steps:
  translation:
    agent: ag_03TRDE
    inputs: { text: Good morning }
",
            )),
        ),
        Code::AmbiguousInput => (
            "An input of an app is named by its id, its label, or the model input that it feeds; this name fits two of them alike. Write the id.",
            None,
        ),
        Code::UnknownInput => (
            "The target has no input of this name. `dagwood models NAME`, `dagwood apps NAME` and `dagwood agents NAME` show what it takes.",
            Some((
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      Aspect Ration: "1:1"
"#,
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      Aspect Ratio: "1:1"
"#,
            )),
        ),
        Code::MissingInput => (
            "The API would refuse a run without this input, so nothing is sent. `dagwood models NAME`, `dagwood apps NAME` and `dagwood agents NAME` mark what a target needs as `required`, with a step to paste.",
            Some((
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Aspect Ratio: "1:1"
"#,
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      Aspect Ratio: "1:1"
"#,
            )),
        ),
        Code::InputType => (
            "The value is of another type than the target takes: a text for a number, a map for a text. `\"4\"` in quotes is a text, `4` a number; a lone template keeps the type of what it names. `dagwood models NAME` and its siblings show the type of each input.",
            Some((
                "steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house, num_images: many }
",
                "steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house, num_images: 4 }
",
            )),
        ),
        Code::NotAnOption => (
            "The target publishes which values this input takes, and this is none of them. The message lists them; `dagwood models NAME` and its siblings do, too. A value that starts like a number or has a `:` in it, such as `\"16:9\"`, is safest in quotes.",
            Some((
                r#"steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house, aspect_ratio: "7:5" }
"#,
                r#"steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house, aspect_ratio: "16:9" }
"#,
            )),
        ),
        Code::OutsideRange => (
            "The number is outside the range that the target publishes. It is a warning: published ranges are not always those that the API enforces.",
            Some((
                "steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house, num_images: 40 }
",
                "steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house, num_images: 4 }
",
            )),
        ),
        Code::SameInputTwice => (
            "Two keys name one input of the target, one by its label and one by its id or handle. Which of them would win is nobody's guess. Keep one; where the input takes several values, put both into its list.",
            Some((
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      image_input: ["https://example.com/other.png"]
      Aspect Ratio: "1:1"
"#,
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png", "https://example.com/other.png"]
      Aspect Ratio: "1:1"
"#,
            )),
        ),
        Code::ListOrOne => (
            "The input takes a list and got one value, or the other way round. A list of one is written `[value]`; the first of a list is `list[0]`.",
            Some((
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: "https://example.com/sketch.png"
      Aspect Ratio: "1:1"
"#,
                r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      Aspect Ratio: "1:1"
"#,
            )),
        ),
        Code::UnknownSetting => (
            "The model does not publish a setting of this name. It is a warning, as the API does not promise that its list is whole.",
            Some((
                r#"steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house, aspekt_ratio: "16:9" }
"#,
                r#"steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house, aspect_ratio: "16:9" }
"#,
            )),
        ),
        Code::WrongMedia => (
            "The input takes one kind of medium and gets another, such as a video where an image is wanted. What comes out of a step is known from its target's contract; `steps.ID.image` and `steps.ID.video` name what is meant.",
            Some((
                r#"steps:
  clip:
    model: kling/video
    inputs: { prompt: Waves }
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["{{ steps.clip.video }}"]
      Aspect Ratio: "1:1"
"#,
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: Waves }
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["{{ steps.draw.image }}"]
      Aspect Ratio: "1:1"
"#,
            )),
        ),
        Code::InputsTogether => (
            "Each input fits by itself, but the JSON Schema that the target publishes says more: one of several inputs must be given, two exclude each other, or one needs another beside it. The message says what it wants.",
            None,
        ),
        Code::UnknownMode => (
            "The model lists its operations, and this is none of them. Without `mode`, `execute` is run, so a model that has no `execute` needs `mode` in each step.",
            Some((
                "steps:
  find:
    provider: aimp
    model: demo-search
    mode: serach
    scope: house
    inputs: { text: A boat }
",
                "steps:
  find:
    provider: aimp
    model: demo-search
    mode: search
    scope: house
    inputs: { text: A boat }
",
            )),
        ),
        Code::BadScope => (
            "`scope` names the data set of a vector operation. It starts with a letter or a digit, goes on with letters, digits, `.`, `_` and `-`, and has 64 characters at most, all of them ASCII; a line break at its end is one too many. What was indexed under a scope is found only under the same one.",
            Some((
                "steps:
  find:
    provider: aimp
    model: demo-search
    mode: search
    scope: our house
    inputs: { text: A boat }
",
                "steps:
  find:
    provider: aimp
    model: demo-search
    mode: search
    scope: our-house
    inputs: { text: A boat }
",
            )),
        ),
        Code::PlatformKey => (
            "The platform decides where data lies and what a model runs on: `hardware_tier`, `resources`, `alias`, `collection` and `namespace` are refused when a client sends them, so a step must not have them in `params` or `options`. Parameters of an operation are called `params`, not `parameters`.",
            Some((
                "steps:
  greeting:
    provider: aimp
    model: demo-model
    inputs: { text: Good morning }
    options: { hardware_tier: large }
",
                "steps:
  greeting:
    provider: aimp
    model: demo-model
    inputs: { text: Good morning }
",
            )),
        ),
        Code::BadParams => (
            "`params` and `options` are maps, and the model publishes a JSON Schema of what `params` of this operation may hold. It is checked as `inputs` are: what is known before the run, and the whole before each submit.",
            Some((
                "steps:
  greeting:
    provider: aimp
    model: demo-model
    inputs: { text: Good morning }
    params: { temperature: warm }
",
                "steps:
  greeting:
    provider: aimp
    model: demo-model
    inputs: { text: Good morning }
    params: { temperature: 1.2 }
",
            )),
        ),
        Code::TemplateSyntax => (
            "Templates are MiniJinja: `{{ expression }}`, `{% if … %}`. `when` is a bare expression. The place is where the reader gave up; the mistake is there or shortly before it. `when`, `foreach` and `expect` are expressions without `{{ }}`.",
            Some((
                "inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: '{{ inputs.text | }}'
",
                "inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: '{{ inputs.text | upper }}'
",
            )),
        ),
        Code::UnknownName => (
            "Templates see `inputs`, `vars`, `secrets`, `steps` and `run`, and in some places a few names more. What a step gives is `steps.ID.…`, what a caller gives `inputs.NAME`: neither can be named without the word before it.",
            Some((
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ input.text }}"
"#,
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.text }}"
"#,
            )),
        ),
        Code::UndeclaredInput => (
            "The workflow has no such input. Declare it under `inputs`, or mend its name. The inputs of a step are its own: another one does not see them, and neither does a sub-workflow, which gets what its step gives it.",
            Some((
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.test }}"
"#,
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.text }}"
"#,
            )),
        ),
        Code::UndefinedVar => (
            "A var may use inputs and the vars above it. This one does not exist, or stands further down. Move it up, or mend its name.",
            Some((
                r#"vars:
  full: "{{ vars.half }} by the sea"
  half: A house
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ vars.full }}"
"#,
                r#"vars:
  half: A house
  full: "{{ vars.half }} by the sea"
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ vars.full }}"
"#,
            )),
        ),
        Code::UndeclaredSecret => (
            "Only the environment variables that `secrets` lists can be read, so that a file says what it sees. Put the name on the list at the top of the file.",
            Some((
                r#"steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ secrets.HOUSE }}"
"#,
                r#"secrets: [HOUSE]
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ secrets.HOUSE }}"
"#,
            )),
        ),
        Code::UnknownStep => (
            "No step of the file has this id. Steps of `finally` are not to be had from outside of it, and a step of another workflow file only through that workflow's `outputs`. An id is written as it stands, with its capitals.",
            Some((
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs:
      prompt: Slow zoom
      image_input: ["{{ steps.drew.image }}"]
"#,
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs:
      prompt: Slow zoom
      image_input: ["{{ steps.draw.image }}"]
"#,
            )),
        ),
        Code::UnknownField => (
            "A result has fixed fields: `status`, `output`, `node_outputs`, `image`, `images`, `video`, `job`, `files`, `error` and so on. What a target calls its own values stands below `output`, such as `steps.ID.output.caption`. A text, a number and a list have no fields: `steps.draw.image` is the URL itself.",
            Some((
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs:
      prompt: Slow zoom
      image_input: ["{{ steps.draw.picture }}"]
"#,
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs:
      prompt: Slow zoom
      image_input: ["{{ steps.draw.image }}"]
"#,
            )),
        ),
        Code::ComputedStep => (
            "Which steps a step waits for must be known before the run, so a step's id cannot be computed. To choose between two steps, name both: `steps.a.image or steps.b.image`, with `trigger: any_succeeded`.",
            Some((
                r#"inputs:
  which: { type: string }
steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs:
      prompt: Slow zoom
      image_input: ["{{ steps[inputs.which].image }}"]
"#,
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  clip:
    model: kling/video
    inputs:
      prompt: Slow zoom
      image_input: ["{{ steps.draw.image }}"]
"#,
            )),
        ),
        Code::SecretPlace => (
            "A secret may be sent to the API that it is for, under `inputs`, `params` or `http`, and nowhere where it would be shown or kept: not in `set`, `when`, `vars`, `outputs` or `save`.",
            Some((
                r#"secrets: [HOUSE]
steps:
  keep:
    set: { house: "{{ secrets.HOUSE }}" }
"#,
                r#"secrets: [HOUSE]
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ secrets.HOUSE }}"
"#,
            )),
        ),
        Code::UnknownFilter => (
            "Templates have the filters, tests and functions of MiniJinja, and `basename`, `file_ext`, `slugify`, `sha256`, `fromjson`, `b64encode`, `regex_replace`.",
            Some((
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.text | uppercase }}"
"#,
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.text | upper }}"
"#,
            )),
        ),
        Code::NoItem => (
            "`item` and `index` exist in a step with `foreach` or `matrix` only. Another step reads what came of the items: `steps.ID.items`, `steps.ID.outputs`, `steps.ID.images`.",
            Some((
                r#"steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ item }}"
"#,
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.text }}"
"#,
            )),
        ),
        Code::TemplateFailed => (
            "The template could be read, but failed when it was given its values: a field that the value does not have, `null` in a text, too much work. The step fails, and the place is that of the template. `{{ x | default(\"\", true) }}` says what stands for a `null`, and `dagwood show RUN` what the values were.",
            None,
        ),
        Code::NoTemplateHere => (
            "Templates are rendered in certain places only. Here the text would be taken as it stands. Which target a step runs, and under which provider, must be known before the run: to choose, write two steps with `when`.",
            Some((
                r#"inputs:
  which: { type: string }
steps:
  render:
    model: "{{ inputs.which }}"
    inputs: { prompt: A house }
"#,
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
            )),
        ),
        Code::NotHere => (
            "The name exists, but not in this place: `step`, `ext` and `n` in `save`, the end of the run in `finally`, steps of `finally` in `finally` only.",
            Some((
                r#"steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ ext }}"
"#,
                r#"inputs:
  text: { type: string }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.text }}"
"#,
            )),
        ),
        Code::CannotTake => (
            "A filter or an operator is used on a value that it cannot take, whatever the run gives: the length of a number, a text plus a number. Types come from the inputs' declarations, the fields of results, literals and other filters; where a type is not known, nothing is said.",
            Some((
                r#"inputs:
  count: { type: integer, default: 3 }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.count + ' houses by the sea' }}"
"#,
                r#"inputs:
  count: { type: integer, default: 3 }
steps:
  render:
    model: google/nano-banana
    inputs:
      prompt: "{{ inputs.count ~ ' houses by the sea' }}"
"#,
            )),
        ),
        Code::NeverEqual => (
            "The two sides can never be equal, so the comparison always gives the same: the text is none of the values that the input may have, or a number is compared with a text. The status of a step is one of `succeeded`, `failed`, `skipped` and `cancelled`.",
            Some((
                r#"inputs:
  aspect: { type: string, enum: ["1:1", "16:9"], default: "1:1" }
steps:
  render:
    model: google/nano-banana
    when: inputs.aspect != "1:2"
    inputs: { prompt: A house }
"#,
                r#"inputs:
  aspect: { type: string, enum: ["1:1", "16:9"], default: "1:1" }
steps:
  render:
    model: google/nano-banana
    when: inputs.aspect != "1:1"
    inputs: { prompt: A house }
"#,
            )),
        ),
        Code::PerhapsNull => (
            "The value is null, or may be, and null fails here: in a text, before a `.`, under `foreach`, for an input that is required. An optional input is null where it is not given; the result of a step is null where the step was skipped or its failure was handled. `| default(\"…\", true)` says what stands for it then.",
            Some((
                r#"inputs:
  mood: { type: string, optional: true }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "A house, {{ inputs.mood }}" }
"#,
                r#"inputs:
  mood: { type: string, optional: true }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "A house, {{ inputs.mood | default('calm', true) }}" }
"#,
            )),
        ),
        Code::NotEach => (
            "`foreach` makes one job for each item of a list, or for each entry of a map. Of a text, a number or null there are no items.",
            Some((
                r#"inputs: { size: { type: string, default: large } }
steps:
  crops:
    foreach: inputs.size
    model: google/nano-banana
    inputs: { prompt: "A house, {{ item }}" }
outputs: { crops: "{{ steps.crops.images }}" }
"#,
                r#"inputs: { sizes: { type: array, items: { type: string }, default: [large] } }
steps:
  crops:
    foreach: inputs.sizes
    model: google/nano-banana
    inputs: { prompt: "A house, {{ item }}" }
outputs: { crops: "{{ steps.crops.images }}" }
"#,
            )),
        ),
        Code::ConstantWhen => (
            "A `when` that does not depend on the run, or is the same whatever the run gives, decides nothing: the step always runs, or never does.",
            Some((
                "steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  render:
    model: google/nano-banana
    when: steps.draw.status
    inputs: { prompt: A house }
",
                "steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  render:
    model: google/nano-banana
    when: steps.draw.images | length > 1
    inputs: { prompt: A house }
",
            )),
        ),
        Code::Unused => (
            "The input, var or secret is named at the top and no template reads it. That is often a name that was changed in one place only. It is told of files in which nothing else is wrong.",
            Some((
                r#"inputs:
  subject: { type: string, default: A house }
  style: { type: string, default: gouache }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "{{ inputs.subject }} in watercolour" }
"#,
                r#"inputs:
  subject: { type: string, default: A house }
  style: { type: string, default: gouache }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "{{ inputs.subject }} in {{ inputs.style }}" }
"#,
            )),
        ),
        Code::UnusedStep => (
            "Other results of this workflow are saved or named under `outputs`, and of this step nothing is: no template reads it, no step needs it, and it saves nothing. What it costs is spent for nothing. Steps with `http`, agents and pipelines may do something beyond their result and are not meant.",
            Some((
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  detail:
    model: google/nano-banana
    inputs: { prompt: "A door" }
outputs:
  house: "{{ steps.draw.image }}"
"#,
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house }
  detail:
    model: google/nano-banana
    inputs: { prompt: "A door" }
outputs:
  house: "{{ steps.draw.image }}"
  door: "{{ steps.detail.image }}"
"#,
            )),
        ),
        Code::Cycle => (
            "Steps wait for each other in a circle, so none of them could start. The places show where each waits for the next. Take one of those mentions away, or split a step in two: one that comes before, one that comes after.",
            Some((
                r#"steps:
  a:
    set: { x: "{{ steps.b.output.x }}" }
  b:
    set: { x: "{{ steps.a.output.x }}" }
"#,
                r#"steps:
  a:
    set: { x: 1 }
  b:
    set: { x: "{{ steps.a.output.x }}" }
"#,
            )),
        ),
        Code::PathEscapes => (
            "`save` writes below the run's own folder. A path that starts with `/` or climbs out with `..` is refused, and so is one that no file can have on \
             some system: one that ends with `/`, has an empty part, or is called as a device of Windows is.",
            Some((
                r#"steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    save: "../house.{{ ext }}"
"#,
                r#"steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    save: "house.{{ ext }}"
"#,
            )),
        ),
        Code::PathCollision => (
            "Two values would be written to one path, and one of them would be lost. `{{ step.id }}`, `{{ n }}` and `{{ index }}` make paths differ.",
            Some((
                "steps:
  a:
    model: google/nano-banana
    inputs: { prompt: A house }
    save: house.png
  b:
    model: google/nano-banana
    inputs: { prompt: A boat }
    save: house.png
",
                "steps:
  a:
    model: google/nano-banana
    inputs: { prompt: A house }
    save: house.png
  b:
    model: google/nano-banana
    inputs: { prompt: A boat }
    save: boat.png
",
            )),
        ),
        Code::TooManySteps => (
            "A workflow has a bound on its steps, far above what people write; generated files that pass it want splitting.",
            None,
        ),
        Code::RequestUrl => (
            "A step with `http` goes to an http or https URL. With `provider` it may be a path of that API, and may be nowhere else: the provider's key \
             goes along, and never leaves its own host.",
            Some((
                "steps:
  status: { http: { url: api.example.com/status } }
",
                "steps:
  status: { http: { url: \"https://api.example.com/status\" } }
",
            )),
        ),
        Code::BudgetTooSmall => (
            "Costs are reserved before each submit, and one that would pass the `budget` is not sent: its step fails with `budget_exceeded`. The steps that \
             nothing can keep from running cost more than that, by their contracts or their `estimate`, so a run would stop half-way, with the first half paid.",
            Some((
                "budget: { credits: 100 }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    estimate: { credits: 70 }
  clip:
    model: kling/video
    inputs: { prompt: Slow zoom }
    estimate: { credits: 210 }
",
                "budget: { credits: 300 }
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    estimate: { credits: 70 }
  clip:
    model: kling/video
    inputs: { prompt: Slow zoom }
    estimate: { credits: 210 }
",
            )),
        ),
        Code::InputMissing => (
            "The workflow declares this input without a `default` and not as `optional`, so each run must give it: `-i NAME=VALUE`.",
            None,
        ),
        Code::InputUnknown => (
            "The workflow declares no input of this name. Giving a value that nothing reads is most often a misspelt name.",
            None,
        ),
        Code::InputInvalid => (
            "The value was given, but does not fit what the workflow declares: its type, its range, its list of values. On the command line a text input takes the text as it is, any other one YAML: `-i count=3`, `-i formats='[\"1:1\"]'`.",
            None,
        ),
        Code::InputFile => (
            "The file that `--inputs` or `NAME=@FILE` names could not be read, or is no map of inputs. `--inputs` wants a map in YAML or JSON, from the name of an input to its value; `NAME=@FILE` takes the text of a file as it is.",
            None,
        ),
        Code::SecretMissing => (
            "The workflow lists this secret, and the environment has no variable of that name. Set it before the run (`export NAME=…`), or name a file of such lines as `env_file` in the project file. Where nothing needs it any more, take it off the list.",
            None,
        ),
        Code::LocalFile => (
            "A run would hand this file over, and it is not there, is empty or no file, or holds something else than the input wants. It is looked at \
             before anything is sent.",
            None,
        ),
        Code::NoWayForFiles => (
            "AIMP takes files itself. Armox and AIRMY fetch them by URL, so a local file reaches them only through the `staging` store of the project \
             file, which hands out URLs that expire.",
            None,
        ),
        Code::NestedWorkflow => (
            "A step with `workflow` runs another file, which must be there, below or beside this one by a relative path, and must not lead back to this one: \
             no run of files that run each other would end.",
            None,
        ),
        Code::BadSchedule => (
            "A `schedule` entry is a cron expression of five fields (minute, hour, day of month, month, day of week) in a time zone of the IANA database. One that never comes is an \
             error, since nobody would notice that it does not.",
            Some((
                r#"schedule:
  - { cron: "0 0 31 2 *" }
steps:
  greet: { set: { words: hello }, expect: output.words == "hello" }
outputs: { words: "{{ steps.greet.output.words }}" }
"#,
                r#"schedule:
  - { cron: "0 3 * * 1-5", timezone: Europe/Berlin }
steps:
  greet: { set: { words: hello }, expect: output.words == "hello" }
outputs: { words: "{{ steps.greet.output.words }}" }
"#,
            )),
        ),
        Code::TooManyItems => (
            "A step runs for at most 100,000 items: what a run can show, count and keep in order. More is data for a program, or several runs.",
            None,
        ),
        Code::BadExpectation => (
            "`expect` is judged when the result is there, over its fields: `images | length > 0`, `output.score >= 0.5`; or it is a JSON Schema that the output must fit. One that reads \
             nothing of the result says the same whatever comes out.",
            Some((
                r#"steps:
  greet: { set: { words: hello }, expect: { schema: { type: objekt } } }
outputs: { words: "{{ steps.greet.output.words }}" }
"#,
                r#"steps:
  greet: { set: { words: hello }, expect: { schema: { type: object, required: [words] } } }
outputs: { words: "{{ steps.greet.output.words }}" }
"#,
            )),
        ),
        Code::NoEffect => (
            "The key is one of the language, but where it stands it changes nothing: a failure of requests in the `retry` of a job, or what a file says of whole runs where a step of \
             another file runs it.",
            Some((
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    retry: { attempts: 3, on: [network] }
outputs: { house: "{{ steps.draw.image }}" }
"#,
                r#"steps:
  draw:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    retry: { attempts: 3, on: [job_failed] }
outputs: { house: "{{ steps.draw.image }}" }
"#,
            )),
        ),
        Code::NoProvider => (
            "No provider that has this verb is configured. One is configured when its key is in the environment or the project file names it; `--sandbox` needs none.",
            None,
        ),
        Code::SeveralProviders => (
            "Several configured providers have this verb, and none is chosen. Write `provider` in the step or under `defaults`. The message lists them.",
            None,
        ),
        Code::UnknownProvider => (
            "No provider goes by this name. The names are the built-in `armox`, `airmy` and `aimp`, unless the project file takes one away with `null`, and those that it adds under `providers`. `dagwood doctor` lists them, and whether their keys are there.",
            Some((
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    provider: armoxx
",
                "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
    provider: armox
",
            )),
        ),
        Code::ProviderVerb => (
            "Each provider has its own verbs: apps are Armox's, agents and pipelines AIRMY's, models Armox's and AIMP's.",
            Some((
                "defaults: { provider: armox }
steps:
  answer:
    agent: Analyst
    inputs: { query: Why did revenue fall? }
",
                "defaults: { provider: armox }
steps:
  answer:
    provider: airmy
    agent: Analyst
    inputs: { query: Why did revenue fall? }
",
            )),
        ),
        Code::FewCredits => (
            "Before a run the accounts that count credits are asked what they have. One of them has fewer than the plan's jobs cost if every step runs, by \
             their contracts or their `estimate`, so jobs may be refused half-way. The run is made all the same: steps may be skipped, and credits may be added meanwhile.",
            None,
        ),
        Code::FaultScript => (
            "The file that `--faults` names could not be read as a fault script for the emulator: a list of rules, each with `on` (which request) and `do` (what goes wrong). `examples/faults.yaml` has one of each kind.",
            None,
        ),
        Code::LockFile => (
            "`dagwood.lock` could not be read. It is written by `dagwood lock`; do not edit it, write it again. After a merge with conflicts, take either side and run `dagwood lock`.",
            None,
        ),
        Code::NoProject => (
            "`dagwood.yaml` is a map with keys such as `providers` and `state`. All of it is optional, and an empty file is one; a list or a text is not.",
            Some(("- armox\n", "providers:\n  armox: { max_jobs: 20 }\n")),
        ),
        Code::KeyInTheOpen => (
            "The project file is committed, so no key stands in it: `api_key` is a template that reads an environment variable named under `secrets`. Without `api_key` the key comes from the system's own variable, such as `ARMOX_API_KEY`.",
            Some((
                "providers:\n  armox-eu: { kind: armox, api_key: sk_live_123 }\n",
                r#"providers:
  armox-eu: { kind: armox, api_key: "{{ secrets.ARMOX_EU_KEY }}" }
secrets: [ARMOX_EU_KEY]
"#,
            )),
        ),
        Code::EnvFile => (
            "The file that `env_file` names holds `NAME=VALUE` lines, with `#` comments, `export` and quotes as shells have them. Its values are never shown.",
            None,
        ),
        Code::BadContract => (
            "An entry of `contracts` is a JSON Schema (2020-12) over the inputs of a target. What it refers to must be in it (`#/…`).",
            Some((
                "contracts:\n  aimp/captioner: { type: map }\n",
                "contracts:\n  aimp/captioner:\n    type: object\n    properties: { text: { type: string } }\n    required: [text]\n",
            )),
        ),
        Code::NotLocked => (
            "With `--locked` nothing is asked of an API, so every target must be in `dagwood.lock`. `dagwood lock` reads the contracts of all targets that the workflows name and writes them there.",
            None,
        ),
    };
    let (wrong, right) = example.unzip();
    let several = several::examples(code);
    Explanation { title: code.title(), text, wrong, right, several, no_example: no_example(code) }
}

/// Says why a code has no example.
fn no_example(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::TooManySteps => "a file with that many steps does not fit on a page",
        Code::TooManyItems => "a list with that many items does not fit on a page",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_code_is_explained_in_its_own_words() {
        let mut texts = HashSet::new();
        for &code in Code::ALL {
            let Explanation { text, wrong, right, several, no_example, .. } = explain(code);
            assert!(text.ends_with('.') && texts.insert(text), "{code}");
            assert_eq!(wrong.is_some(), right.is_some(), "{code}");
            assert_ne!(wrong, Some(""), "{code}");
            let ways = [wrong.is_some(), several.is_some(), no_example.is_some()];
            let ways = ways.into_iter().filter(|way| *way).count();
            assert_eq!(ways, 1, "{code}: one file, or several, or why there is no example");
            assert!(!no_example.is_some_and(|why| why.ends_with('.')), "{code}");
        }
    }
}
