//! The examples that one workflow file cannot show: several files, bytes that are no text, values on the command line.

use super::{Code, Example};

/// What most examples are looked at with.
const VALIDATE: &[&str] = &["dagwood validate --sandbox"];

/// Where the workflow of an example lies.
const WORKFLOW: &str = "workflows/example.yaml";

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
        Code::NotText => (
            Example::of(
                &[(
                    WORKFLOW,
                    "description: café
steps:
  count:
    set: { one: 1 }
",
                )],
                VALIDATE,
            )
            .in_latin1(),
            Example::of(
                &[(
                    WORKFLOW,
                    "description: café
steps:
  count:
    set: { one: 1 }
",
                )],
                VALIDATE,
            ),
        ),
        Code::AmbiguousInput => (
            Example::of(
                &[
                    (
                        "dagwood.yaml",
                        "contracts:
  airmy/ag_01HXYZ:
    type: object
    properties:
      n1: { type: string, title: Aspect Ratio }
      n2: { type: string, title: Aspect Ratio }
",
                    ),
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
                    (
                        "dagwood.yaml",
                        "contracts:
  airmy/ag_01HXYZ:
    type: object
    properties:
      n1: { type: string, title: Aspect Ratio }
      n2: { type: string, title: Aspect Ratio }
",
                    ),
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
                    (
                        "dagwood.yaml",
                        "contracts:
  airmy/pl_01HXYZ:
    type: object
    properties: { query: { type: string }, topic: { type: string } }
    oneOf: [{ required: [query] }, { required: [topic] }]
",
                    ),
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
                    (
                        "dagwood.yaml",
                        "contracts:
  airmy/pl_01HXYZ:
    type: object
    properties: { query: { type: string }, topic: { type: string } }
    oneOf: [{ required: [query] }, { required: [topic] }]
",
                    ),
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
            Example::of(
                &[(
                    WORKFLOW,
                    "steps:
  resize:
    workflow: parts/resize.yaml
    inputs: { width: 800 }
",
                )],
                VALIDATE,
            ),
            Example::of(
                &[
                    (
                        WORKFLOW,
                        "steps:
  resize:
    workflow: parts/resize.yaml
    inputs: { width: 800 }
",
                    ),
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
            Example::of(
                &[(
                    WORKFLOW,
                    r#"inputs:
  count: { type: integer, maximum: 8 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                )],
                &["dagwood plan example --sandbox"],
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    r#"inputs:
  count: { type: integer, maximum: 8 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                )],
                &["dagwood plan example --sandbox -i count=4"],
            ),
        ),
        Code::InputUnknown => (
            Example::of(
                &[(
                    WORKFLOW,
                    r#"inputs:
  count: { type: integer, maximum: 8 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                )],
                &["dagwood plan example --sandbox -i count=4 -i style=ink"],
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    r#"inputs:
  count: { type: integer, maximum: 8 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                )],
                &["dagwood plan example --sandbox -i count=4"],
            ),
        ),
        Code::InputInvalid => (
            Example::of(
                &[(
                    WORKFLOW,
                    r#"inputs:
  count: { type: integer, maximum: 8 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                )],
                &["dagwood plan example --sandbox -i count=many"],
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    r#"inputs:
  count: { type: integer, maximum: 8 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                )],
                &["dagwood plan example --sandbox -i count=4"],
            ),
        ),
        Code::InputFile => (
            Example::of(
                &[
                    (
                        WORKFLOW,
                        r#"inputs:
  count: { type: integer, maximum: 8, default: 4 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                    ),
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
                    (
                        WORKFLOW,
                        r#"inputs:
  count: { type: integer, maximum: 8, default: 4 }
steps:
  render:
    model: bytedance/seedream-4
    inputs: { prompt: A house by the sea, num_images: "{{ inputs.count }}" }
"#,
                    ),
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
            Example::of(
                &[(
                    WORKFLOW,
                    r#"secrets: [HOUSE]
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "{{ secrets.HOUSE }}" }
"#,
                )],
                &["dagwood plan example --sandbox"],
            ),
            Example::of(
                &[
                    (
                        WORKFLOW,
                        r#"secrets: [HOUSE]
steps:
  render:
    model: google/nano-banana
    inputs: { prompt: "{{ secrets.HOUSE }}" }
"#,
                    ),
                    (
                        "dagwood.yaml",
                        "env_file: .env
",
                    ),
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
            Example::of(
                &[(
                    WORKFLOW,
                    r#"inputs:
  notes: { type: file, media: text, default: notes.txt }
steps:
  greeting:
    provider: aimp
    model: demo-model
    inputs: { text: "{{ inputs.notes }}" }
"#,
                )],
                VALIDATE,
            ),
            Example::of(
                &[
                    (
                        WORKFLOW,
                        r#"inputs:
  notes: { type: file, media: text, default: notes.txt }
steps:
  greeting:
    provider: aimp
    model: demo-model
    inputs: { text: "{{ inputs.notes }}" }
"#,
                    ),
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
                    (
                        WORKFLOW,
                        r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      Aspect Ratio: "1:1"
"#,
                    ),
                ],
                VALIDATE,
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    r#"steps:
  render:
    app: Sketch to Render
    inputs:
      Input Images: ["https://example.com/sketch.png"]
      Aspect Ratio: "1:1"
"#,
                )],
                VALIDATE,
            ),
        ),
        Code::SeveralProviders => (
            Example::of(
                &[
                    (
                        "dagwood.yaml",
                        r#"providers:
  studio: { kind: armox, api_key: "{{ secrets.STUDIO_KEY }}" }
secrets: [STUDIO_KEY]
"#,
                    ),
                    (
                        WORKFLOW,
                        "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
                ],
                &["ARMOX_API_KEY=a STUDIO_KEY=b dagwood validate --offline"],
            ),
            Example::of(
                &[
                    (
                        "dagwood.yaml",
                        r#"providers:
  studio: { kind: armox, api_key: "{{ secrets.STUDIO_KEY }}" }
secrets: [STUDIO_KEY]
"#,
                    ),
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
                    (
                        WORKFLOW,
                        "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
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
                    (
                        WORKFLOW,
                        "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
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
                    (
                        WORKFLOW,
                        "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
                    (
                        "dagwood.lock",
                        r#"<<<<<<< ours
{ "version": 1 }
"#,
                    ),
                ],
                &["dagwood validate --locked"],
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                )],
                &["dagwood lock --sandbox", "dagwood validate --locked"],
            ),
        ),
        Code::EnvFile => (
            Example::of(
                &[
                    (
                        WORKFLOW,
                        "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
                    (
                        "dagwood.yaml",
                        "env_file: .env
",
                    ),
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
                    (
                        WORKFLOW,
                        "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
                    (
                        "dagwood.yaml",
                        "env_file: .env
",
                    ),
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
                    (
                        WORKFLOW,
                        "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                    ),
                ],
                &["dagwood lock --sandbox workflows/other.yaml", "dagwood validate --locked workflows/example.yaml"],
            ),
            Example::of(
                &[(
                    WORKFLOW,
                    "steps:
  render:
    model: google/nano-banana
    inputs: { prompt: A house by the sea }
",
                )],
                &["dagwood lock --sandbox workflows/other.yaml", "dagwood validate --locked workflows/example.yaml"],
            ),
        ),
        _ => return None,
    })
}
