//! The examples that one workflow file cannot show: several files, bytes that are no text, values on the command line.

use super::{Code, Example};

/// What most examples are looked at with.
const VALIDATE: &[&str] = &["dagwood validate --sandbox"];

/// Where the workflow of an example lies.
const WORKFLOW: &str = "workflows/example.yaml";

/// A file of an example: its path, and its text.
type File = (&'static str, &'static str);

/// Saved as UTF-8 or not.
const CAFE: File = (
    WORKFLOW,
    "description: café
steps:
  count:
    set: { one: 1 }
",
);

/// Two inputs of one name.
const TWO_OF_ONE_NAME: File = (
    "dagwood.yaml",
    "contracts:
  airmy/ag_01HXYZ:
    type: object
    properties:
      n1: { type: string, title: Aspect Ratio }
      n2: { type: string, title: Aspect Ratio }
",
);

/// One of two inputs.
const ONE_OF_TWO: File = (
    "dagwood.yaml",
    "contracts:
  airmy/pl_01HXYZ:
    type: object
    properties: { query: { type: string }, topic: { type: string } }
    oneOf: [{ required: [query] }, { required: [topic] }]
",
);

/// A workflow that runs another.
const RESIZES: File = (
    WORKFLOW,
    "steps:
  resize:
    workflow: parts/resize.yaml
    inputs: { width: 800 }
",
);

/// A number that has to be given.
const COUNTED: File = (
    WORKFLOW,
    r#"inputs:
  count: { type: integer, maximum: 8 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
);

/// The same with a default.
const COUNTED_BY_DEFAULT: File = (
    WORKFLOW,
    r#"inputs:
  count: { type: integer, maximum: 8, default: 4 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
);

/// A prompt that nobody may see.
const OF_A_SECRET: File = (
    WORKFLOW,
    r#"secrets: [HOUSE]
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "{{ secrets.HOUSE }}" }
"#,
);

/// A project with an env file.
const WITH_ENV_FILE: File = (
    "dagwood.yaml",
    "env_file: .env
",
);

/// A text from a local file.
const OF_NOTES: File = (
    WORKFLOW,
    r#"inputs:
  notes: { type: file, media: text, default: notes.txt }
steps:
  greeting:
    provider: aimp
    model: demo-model
    inputs: { text: "{{ inputs.notes }}" }
"#,
);

/// An app.
const SKETCH: File = (
    WORKFLOW,
    r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      Aspect Ratio: "1:1"
"#,
);

/// A second account of Armox.
const STUDIO: File = (
    "dagwood.yaml",
    r#"providers:
  studio: { kind: armox, api_key: "{{ secrets.STUDIO_KEY }}" }
secrets: [STUDIO_KEY]
"#,
);

/// A model.
const HOUSE: File = (
    WORKFLOW,
    "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
);

/// Returns a wrong and a right example.
#[expect(clippy::too_many_lines, reason = "a table, one entry a code")]
pub(super) fn examples(code: Code) -> Option<(Example, Example)> {
    Some(match code {
        Code::TooLarge => (
            Example::of(
                &[(
                    WORKFLOW,
                    "x-a: &a [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
x-b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
x-c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
x-d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
x-e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
steps:
  count:
    set: { numbers: *e }
",
                )],
                VALIDATE,
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    "x-a: &a [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
steps:
  count:
    set: { numbers: *a }
",
                )],
                VALIDATE,
            ),
        ),
        Code::NotText => (Example::of(&[CAFE], VALIDATE).in_latin1(), Example::of(&[CAFE], VALIDATE)),
        Code::AmbiguousInput => (
            Example::of(
                &[
                    TWO_OF_ONE_NAME,
                    (
                        WORKFLOW,
                        r#"steps:
  answer:
    agent: ag_01HXYZ
    inputs: { Aspect Ratio: "1:1" }
"#,
                    ),
                ],
                VALIDATE,
            ),
            Example::of(
                &[
                    TWO_OF_ONE_NAME,
                    (
                        WORKFLOW,
                        r#"steps:
  answer:
    agent: ag_01HXYZ
    inputs: { n1: "1:1" }
"#,
                    ),
                ],
                VALIDATE,
            ),
        ),
        Code::InputsTogether => (
            Example::of(
                &[
                    ONE_OF_TWO,
                    (
                        WORKFLOW,
                        "steps:
  report:
    pipeline: pl_01HXYZ
    inputs: { query: Why did revenue fall?, topic: revenue }
",
                    ),
                ],
                VALIDATE,
            ),
            Example::of(
                &[
                    ONE_OF_TWO,
                    (
                        WORKFLOW,
                        "steps:
  report:
    pipeline: pl_01HXYZ
    inputs: { query: Why did revenue fall? }
",
                    ),
                ],
                VALIDATE,
            ),
        ),
        Code::TemplateFailed => (
            Example::of(
                &[(
                    WORKFLOW,
                    r#"steps:
  half:
    set: { share: "{{ 100 / 0 }}" }
"#,
                )],
                VALIDATE,
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    r#"steps:
  half:
    set: { share: "{{ 100 / 2 }}" }
"#,
                )],
                VALIDATE,
            ),
        ),
        Code::NestedWorkflow => (
            Example::of(&[RESIZES], VALIDATE),
            Example::of(
                &[
                    RESIZES,
                    (
                        "workflows/parts/resize.yaml",
                        r#"inputs:
  width: { type: integer }
steps:
  size:
    set: { width: "{{ inputs.width }}" }
outputs: { width: "{{ steps.size.output.width }}" }
"#,
                    ),
                ],
                VALIDATE,
            ),
        ),
        Code::InputMissing => (
            Example::of(&[COUNTED], &["dagwood plan example --sandbox"]),
            Example::of(&[COUNTED], &["dagwood plan example --sandbox -i count=4"]),
        ),
        Code::InputUnknown => (
            Example::of(&[COUNTED], &["dagwood plan example --sandbox -i count=4 -i style=ink"]),
            Example::of(&[COUNTED], &["dagwood plan example --sandbox -i count=4"]),
        ),
        Code::InputInvalid => (
            Example::of(&[COUNTED], &["dagwood plan example --sandbox -i count=many"]),
            Example::of(&[COUNTED], &["dagwood plan example --sandbox -i count=4"]),
        ),
        Code::InputFile => (
            Example::of(
                &[
                    COUNTED_BY_DEFAULT,
                    (
                        "inputs.yaml",
                        "- count: 4
",
                    ),
                ],
                &["dagwood plan example --sandbox --inputs inputs.yaml"],
            ),
            Example::of(
                &[
                    COUNTED_BY_DEFAULT,
                    (
                        "inputs.yaml",
                        "count: 4
",
                    ),
                ],
                &["dagwood plan example --sandbox --inputs inputs.yaml"],
            ),
        ),
        Code::SecretMissing => (
            Example::of(&[OF_A_SECRET], &["dagwood plan example --sandbox"]),
            Example::of(
                &[
                    OF_A_SECRET,
                    WITH_ENV_FILE,
                    (
                        ".env",
                        "HOUSE=A house by the sea
",
                    ),
                ],
                &["dagwood plan example --sandbox"],
            ),
        ),
        Code::LocalFile => (
            Example::of(&[OF_NOTES], VALIDATE),
            Example::of(
                &[
                    OF_NOTES,
                    (
                        "workflows/notes.txt",
                        "A calm sea.
",
                    ),
                ],
                VALIDATE,
            ),
        ),
        Code::NoWayForFiles => (
            Example::of(
                &[
                    (
                        WORKFLOW,
                        r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["{{ file('sketch.svg') }}"]
      Aspect Ratio: "1:1"
"#,
                    ),
                    (
                        "workflows/sketch.svg",
                        r#"<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><path d="M0 0h8v8H0z"/></svg>
"#,
                    ),
                ],
                &["dagwood validate --offline"],
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.svg"]
      Aspect Ratio: "1:1"
"#,
                )],
                &["dagwood validate --offline"],
            ),
        ),
        Code::NoProvider => (
            Example::of(
                &[
                    (
                        "dagwood.yaml",
                        "providers: { armox: null }
",
                    ),
                    SKETCH,
                ],
                VALIDATE,
            ),
            Example::of(&[SKETCH], VALIDATE),
        ),
        Code::SeveralProviders => (
            Example::of(&[STUDIO, HOUSE], &["ARMOX_API_KEY=a STUDIO_KEY=b dagwood validate --offline"]),
            Example::of(
                &[
                    STUDIO,
                    (
                        WORKFLOW,
                        "steps:
  render:
    provider: studio
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
                ],
                &["ARMOX_API_KEY=a STUDIO_KEY=b dagwood validate --offline"],
            ),
        ),
        Code::FewCredits => (
            Example::of(
                &[(
                    WORKFLOW,
                    r#"steps:
  frames:
    foreach: range(40)
    model: google/veo-3.1
    inputs: { prompt: "A house, take {{ item }}" }
"#,
                )],
                &["dagwood run example --sandbox"],
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    r#"steps:
  frames:
    foreach: range(2)
    model: google/veo-3.1
    inputs: { prompt: "A house, take {{ item }}" }
"#,
                )],
                &["dagwood run example --sandbox"],
            ),
        ),
        Code::FaultScript => (
            Example::of(
                &[
                    HOUSE,
                    (
                        "faults.yaml",
                        "- { on: sometimes, do: refuse }
",
                    ),
                ],
                &["dagwood run example --sandbox --faults faults.yaml"],
            ),
            Example::of(
                &[
                    HOUSE,
                    (
                        "faults.yaml",
                        "- { on: submit, nth: 1, do: refuse }
",
                    ),
                ],
                &["dagwood run example --sandbox --faults faults.yaml"],
            ),
        ),
        Code::LockFile => (
            Example::of(
                &[
                    HOUSE,
                    (
                        "dagwood.lock",
                        r#"<<<<<<< ours
{ "version": 1 }
"#,
                    ),
                ],
                &["dagwood validate --locked"],
            ),
            Example::of(&[HOUSE], &["dagwood lock --sandbox", "dagwood validate --locked"]),
        ),
        Code::EnvFile => (
            Example::of(
                &[
                    HOUSE,
                    WITH_ENV_FILE,
                    (
                        ".env",
                        "ARMOX_API_KEY
",
                    ),
                ],
                VALIDATE,
            ),
            Example::of(
                &[
                    HOUSE,
                    WITH_ENV_FILE,
                    (
                        ".env",
                        "ARMOX_API_KEY=sk_live_0123456789
",
                    ),
                ],
                VALIDATE,
            ),
        ),
        Code::NotLocked => (
            Example::of(
                &[
                    (
                        "workflows/other.yaml",
                        "steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea }
",
                    ),
                    HOUSE,
                ],
                &["dagwood lock --sandbox workflows/other.yaml", "dagwood validate --locked workflows/example.yaml"],
            ),
            Example::of(
                &[HOUSE],
                &["dagwood lock --sandbox workflows/other.yaml", "dagwood validate --locked workflows/example.yaml"],
            ),
        ),
        _ => return None,
    })
}
