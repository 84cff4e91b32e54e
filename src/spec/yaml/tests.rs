//! Tests of the reader: what YAML means, and that every string can be pointed into.

use std::{fmt::Write as _, sync::Arc};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::source::Pointer;

fn reading(text: &str) -> (Arc<Source>, Reading) {
    let source = Arc::new(Source::new("test.yaml", text));
    let reading = read(&source);
    (source, reading)
}

fn value(text: &str) -> Value {
    let (_, reading) = reading(text);
    assert_eq!(reading.diagnostics, [], "{text}");
    reading.value.expect("a value")
}

fn codes(text: &str) -> Vec<Code> {
    reading(text).1.diagnostics.iter().map(|diagnostic| diagnostic.code).collect()
}

#[test]
fn scalars_follow_the_core_schema() {
    let text = "[~, null, true, False, 1, -2, +3, 0x1F, 0o17, 1.5, .5, 1e3, yes, no, on, off, 1h, 1.2.3, 08:30, '1', \"true\", +.]";
    assert_eq!(
        value(text),
        json!([
            null, null, true, false, 1, -2, 3, 31, 15, 1.5, 0.5, 1000.0, "yes", "no", "on", "off", "1h", "1.2.3",
            "08:30", "1", "true", "+."
        ])
        .as_array()
        .cloned()
        .map(Value::Array)
        .expect("a list")
    );
    assert_eq!(value("18446744073709551615"), json!(u64::MAX));
    assert_eq!(codes("a: .inf\nb: -.INF\nc: .nan\nd: 99999999999999999999\n"), [Code::OutOfRange; 4]);
    let (_, zeros) = reading("a: 012\nb: 0\nc: -007\n");
    assert_eq!(zeros.value, Some(json!({ "a": 12, "b": 0, "c": -7 })));
    assert_eq!(
        zeros.diagnostics.iter().map(|d| (d.code, d.severity)).collect::<Vec<_>>(),
        [(Code::LeadingZero, crate::diagnostic::Severity::Warning); 2]
    );
}

#[test]
fn every_style_of_string_can_be_pointed_into() {
    for text in [
        "k: some words here\n",
        "k: some\n  words\n\n  here\n",
        "k: 'it''s some words here'\n",
        "k: 'some\n  words\n\n  here'\n",
        "k: \"\\u00e9 some\\twords \\\"x\\\" here\"\n",
        "k: \"some words\\\n   here\"\n",
        "k: \"some\n  words\n\n  here\"\n",
        "k: |\n  some\n    words\n\n  here\n",
        "k: |2-\n    some\n  words\n  here",
        "k: >\n  ünder some\n  words\n\n  here\n   more\n  x\n",
        "k: >-\n\n  some words\n  here\n",
        "\u{feff}é: &a some words here\n",
        "k: >\r\n  some\r\n  words\r\n\r\n  here\r\n",
        "- x\n- k: |\n    some\n    words\n    here\n  z: 1\n",
    ] {
        let (source, reading) = reading(text);
        assert_eq!(reading.diagnostics, [], "{text}");
        let pointer = if text.starts_with('-') {
            "/1/k"
        } else if text.contains('é') && text.contains('&') {
            "/é"
        } else {
            "/k"
        };
        let value = reading.value.expect("a value");
        let string = value.pointer(pointer).and_then(Value::as_str).expect(text);
        for word in ["some", "words", "here"] {
            let at = string.find(word).unwrap_or_else(|| panic!("{word} in {string:?}"));
            let span = reading.map.within(&Pointer::parse(pointer), at..at + word.len());
            assert_eq!(&source.text[span.range()], word, "in {text:?} as {string:?}");
        }
    }
}

#[test]
fn keys_and_values_have_places() {
    let (source, reading) = reading("a:\n  b: [1, {c: 'd'} ]  # x\n  e:\nf: g\n");
    let text = |span: Span| source.text[span.range()].to_owned();
    let at = |pointer: &str| Pointer::parse(pointer);
    assert_eq!(text(reading.map.key(&at("/a/b"))), "b");
    assert_eq!(text(reading.map.value(&at("/a/b"))), "[1, {c: 'd'} ]");
    assert_eq!(text(reading.map.value(&at("/a/b/1"))), "{c: 'd'}");
    assert_eq!(text(reading.map.value(&at("/a/b/1/c"))), "'d'");
    assert_eq!(text(reading.map.value(&at("/a/e"))), "");
    assert_eq!(text(reading.map.value(&at("/a"))), "b: [1, {c: 'd'} ]  # x\n  e");
}

#[test]
fn merge_keys_follow_their_rules() {
    let text = "
x-a: &a { p: 1, q: 2 }
x-b: &b { q: 3, r: 4 }
one: { <<: *a, q: 9 }
two:
  s: 0
  <<: [*a, *b]
  r: 5
";
    let value = value(text);
    assert_eq!(value["one"], json!({ "p": 1, "q": 9 }));
    assert_eq!(value["two"], json!({ "s": 0, "p": 1, "q": 2, "r": 5 }));
    let (source, reading) = reading(text);
    let span = reading.map.value(&Pointer::parse("/two/p"));
    assert_eq!(
        (&source.text[span.range()], source.position(span.start).line),
        ("1", 2),
        "a merged key is where it is written"
    );
    assert_eq!(codes("a: &a 1\nb: { <<: *a }\n"), [Code::BadMerge]);
    assert_eq!(codes("a: &a {}\n<<: [*a, 1]\n"), [Code::BadMerge]);
    assert_eq!(codes("a: &a {}\n<<: *a\n<<: *a\n"), [Code::DuplicateKey]);
}

#[test]
fn templates_without_quotes_are_read_as_what_was_meant() {
    for (text, meant) in [
        ("a: {{ x }}\n", json!({ "a": "{{ x }}" })),
        ("a: {{ x }} more # c\nb: 1\n", json!({ "a": "{{ x }} more", "b": 1 })),
        ("a: {{ x[0] }}\n", json!({ "a": "{{ x[0] }}" })),
        ("a: [{{ x[0] }}, 1]\n", json!({ "a": ["{{ x[0] }}", 1] })),
        ("a: {{ x }}/{{ y }}\n", json!({ "a": "{{ x }}/{{ y }}" })),
        ("- {{ é | f(\"x\") }} b\n", json!(["{{ é | f(\"x\") }} b"])),
        ("{ a: {{ x }} }", json!({ "a": "{{ x }}" })),
    ] {
        let (_, reading) = reading(text);
        assert_eq!(reading.diagnostics.iter().map(|d| d.code).collect::<Vec<_>>(), [Code::UnquotedTemplate], "{text}");
        assert_eq!(reading.value, Some(meant), "{text}");
    }
    assert_eq!(codes("a: {{ x }} y\nb: {{ z }}\nc: *no\nd:\te\n").len(), 4, "all of them are told");
}

#[test]
fn wrong_texts_have_their_own_codes() {
    for (text, code) in [
        ("a: 1\na: 2\n", Code::DuplicateKey),
        ("1: a\n", Code::KeyNotString),
        ("? [a]\n: b\n", Code::KeyNotString),
        ("a: !env HOME\n", Code::Tag),
        ("a: !!str 1\n", Code::Tag),
        ("a: 1\n---\nb: 2\n", Code::SeveralDocuments),
        ("a:\tb\n", Code::Tab),
        ("a:\n\tb: c\n", Code::Tab),
        ("a:\n  b: c\n\td: e\n", Code::Tab),
        ("a: *b\n", Code::UnknownAlias),
        ("a: &a [*a]\n", Code::UnknownAlias),
        ("a: b: c\n", Code::Syntax),
        ("a: 'x\n", Code::Syntax),
    ] {
        assert_eq!(codes(text), [code], "{text}");
    }
    assert_eq!(value(""), Value::Null);
    assert_eq!(value("# nothing\n"), Value::Null);
    assert_eq!(value("---\na: 1\n...\n"), json!({ "a": 1 }));
    assert_eq!(value("\u{feff}a: 1\r\nb: |\r\n  x\r\n"), json!({ "a": 1, "b": "x\n" }));
}

#[test]
fn odd_texts_that_once_panicked_are_survived() {
    for text in ["[:\t''\t:", "{ needs: [a]\n\r", "a: 'x\r\n\ty'", "\u{feff}\u{feff}a"] {
        let (_, reading) = reading(text);
        assert!(reading.value.is_some() || !reading.diagnostics.is_empty(), "{text}");
    }
}

#[test]
fn bombs_are_refused_by_arithmetic() {
    let mut bomb = "x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(bomb, "x-{level}: &a{level} [{aliases}]").expect("a string");
    }
    assert_eq!(codes(&bomb), [Code::TooLarge]);
    let text = format!("x: &x \"{}\"\ny: [{}]\n", "a".repeat(100_000), vec!["*x"; 1000].join(", "));
    assert_eq!(codes(&text), [Code::TooLarge]);
    assert_eq!(codes(&"[".repeat(100_000)), [Code::TooLarge]);
    assert_eq!(codes(&"{a: ".repeat(100_000)), [Code::TooLarge]);
    assert_eq!(codes(&"- ".repeat(100_000)), [Code::TooLarge]);
    let nested = (0..100).map(|level| " ".repeat(level) + "a:").collect::<Vec<_>>().join("\n");
    assert_eq!(codes(&nested), [Code::TooLarge]);
    let mut deep = "x0: &d0 [1]\n".to_owned();
    for level in 1..100 {
        writeln!(deep, "x{level}: &d{level} [*d{}]", level - 1).expect("a string");
    }
    assert_eq!(codes(&deep), [Code::TooLarge]);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[ \\n\\t:#{}'\"\\\\a-c-]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec(("\\PC{0,6}", inner), 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "([ \\n\\r\\ta-c:{}\\[\\],&*!|>'\"#%@`<é.0-2\\\\?-]|\n +a: |\\{\\{ a \\}\\}|: \\*a|\\\\u00e9){0,50}") {
        let (source, reading) = reading(&text);
        for diagnostic in &reading.diagnostics {
            for label in &diagnostic.labels {
                prop_assert!(source.text.get(label.span.range()).is_some(), "{:?}", diagnostic);
            }
        }
    }

    #[test]
    fn json_reads_back(value in any_json()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).expect("JSON")] {
            let (_, reading) = reading(&text);
            prop_assert_eq!(&reading.diagnostics, &[], "{}", text);
            prop_assert_eq!(reading.value.as_ref(), Some(&value), "{}", text);
        }
    }
}

#[test]
fn a_quoted_scalar_in_a_flow_map_ends_with_its_quote() {
    let text = "a: { b: '{{ x }}' , c: \"{{ y }}\" }\n";
    let (_, read) = reading(text);
    for (key, inner) in [("b", "x"), ("c", "y")] {
        let pointer = crate::source::Pointer::root().join("a").join(key);
        assert_eq!(&text[read.map.within(&pointer, 3..4).range()], inner);
        assert_eq!(text[read.map.value(&pointer).range()].len(), 9);
    }
}

#[test]
fn a_text_in_quotes_ends_with_its_quote_whatever_stands_behind() {
    for (text, expected) in [
        ("a: \"x \\\" y\" # \"c\"\n", "\"x \\\" y\""),
        ("a: 'it''s' # it's\n", "'it''s'"),
        ("a: [ 'x' # c\n ]\n", "'x'"),
        ("a: '' # c\n", "''"),
    ] {
        let (source, reading) = reading(text);
        let place = if text.contains('[') { "/a/0" } else { "/a" };
        let span = reading.map.value(&Pointer::parse(place));
        assert_eq!(&source.text[span.range()], expected);
    }
}
