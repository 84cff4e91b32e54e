//! Files in which nothing is wrong, though each looks like a mistake to a checker that knows too little: what a run takes.

/// What each shows, and its text.
pub(crate) const FILES: &[(&str, &str)] = &[
    (
        "a text that spells an option is that option",
        r#"
inputs: { d: { type: string, default: "5" } }
steps: { m: { model: kling/video, inputs: { prompt: x, duration: "{{ inputs.d }}" } } }
outputs: { a: "{{ steps.m.video }}" }
"#,
    ),
    (
        "what stands in for a request gives what it gives",
        r#"
steps: { h: { http: { url: "https://example.com/" }, fallback: [{ set: { mine: 1 } }] } }
outputs: { a: "{{ steps.h.output.mine }}" }
"#,
    ),
    (
        "a map may be a medium itself",
        r#"
steps:
  s: { set: { type: image, url: "https://example.com/a.png" } }
  t: { set: { type: text, text: hello } }
outputs: { a: "{{ steps.s.image }}", b: "{{ steps.t.text }}" }
"#,
    ),
    (
        "the first items of a list have schemas of their own",
        r#"
inputs: { p: { type: array, prefixItems: [{ type: string }, { type: integer }], items: { type: boolean }, default: [a, 1] } }
steps: { s: { set: { x: "{{ inputs.p[0] | upper | split(',') }}", y: "{{ inputs.p[1] + 1 }}" } } }
outputs: { a: "{{ steps.s.output }}" }
"#,
    ),
    (
        "something stands in for what is not set",
        r#"
steps: { s: { set: { a: 1 } }, h: { http: { url: "https://example.com/" } } }
outputs: { a: "{{ steps.s.output.nope | default('x') }}", b: "{{ steps.h.output.nope is defined }}" }
"#,
    ),
    (
        "of a condition no value is made",
        r#"
inputs: { t: { type: array, default: [{ name: a }] } }
steps: { s: { when: "inputs.t | map(attribute='url')", set: { a: 1 } } }
outputs: { a: "{{ steps.s.output }}" }
"#,
    ),
    (
        "a list that is absent joins to nothing",
        r#"
inputs: { n: { type: array, items: { type: string }, optional: true } }
steps: { s: { set: { a: "{{ inputs.n | join(',') }}" } } }
outputs: { a: "{{ steps.s.output.a }}" }
"#,
    ),
    (
        "a chain is made only when it is read",
        r#"
inputs: { n: { type: integer, default: 3 } }
steps: { s: { set: { a: "{{ inputs.n | chain([1]) is defined }}" } } }
outputs: { a: "{{ steps.s.output.a }}" }
"#,
    ),
    (
        "a closed map may be empty",
        r#"
inputs: { o: { type: object, properties: { a: { type: string } }, additionalProperties: false, default: {} } }
steps: { s: { when: inputs.o, set: { a: 1 } } }
outputs: { a: "{{ steps.s.status }}" }
"#,
    ),
    (
        "every item has a result where none may fail, and what a `when` lets through is no null",
        r#"
steps:
  f: { foreach: [1, 2], model: google/nano-banana, inputs: { prompt: "a {{ item }}" } }
  g: { foreach: steps.f.items, model: google/nano-banana, inputs: { prompt: "b {{ item.image }}", image_input: ["{{ item.image }}"] } }
  h: { foreach: [1, null], when: item, model: google/nano-banana, inputs: { prompt: "c {{ item }}" } }
  k: { foreach: [1, null], when: item is not none, model: google/nano-banana, inputs: { prompt: "c {{ item }}" } }
outputs: { a: "{{ steps.g.images }}", b: "{{ steps.h.images }}", c: "{{ steps.k.images }}" }
"#,
    ),
    (
        "a condition or a `when` leaves out what is no option",
        r#"
inputs: { aspect: { type: string, enum: [auto, "1:1", "16:9"], default: "1:1" } }
steps:
  a: { model: google/nano-banana, inputs: { prompt: x, aspect_ratio: "{{ '16:9' if inputs.aspect == 'auto' else inputs.aspect }}" } }
  b: { when: inputs.aspect != 'auto', model: google/nano-banana, inputs: { prompt: x, aspect_ratio: "{{ inputs.aspect }}" } }
  c: { foreach: [auto, "1:1"], when: "item != 'auto'", model: google/nano-banana, inputs: { prompt: x, aspect_ratio: "{{ item }}" } }
outputs: { a: "{{ steps.a.image }}", b: "{{ steps.b.images }}", c: "{{ steps.c.images }}" }
"#,
    ),
    (
        "an operation that is run for its effect needs no reader",
        r#"
steps:
  i: { provider: aimp, model: demo-search, mode: index, scope: a, inputs: { text: x } }
  s: { set: { a: 1 } }
outputs: { a: "{{ steps.s.output.a }}" }
"#,
    ),
    (
        "a step that is skipped takes with it what reads it",
        r#"
steps:
  a: { on_error: continue, model: openai/gpt-5-mini, inputs: { prompt: x } }
  b: { when: steps.a.status == 'succeeded', model: openai/gpt-5-mini, inputs: { prompt: "{{ steps.a.text }} x" } }
  c: { model: openai/gpt-5-mini, inputs: { prompt: "{{ steps.a.text }} {{ steps.b.text }}" } }
outputs: { a: "{{ steps.c.texts }}" }
"#,
    ),
];
