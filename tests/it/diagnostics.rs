//! Wrong files, each with the exact text that a person gets: `tests/diagnostics/NAME.yaml` and `NAME.stderr`.
//!
//! `DAGWOOD_UPDATE=1` writes the texts anew; read the difference before committing it.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use dagwood::{
    diagnostic::{Code, Diagnostic, explain::explain, render},
    plan::{Given, Offer, Outcome, beside, plan},
    project,
    source::Source,
    spec::{self, Document},
};

use proptest::prelude::*;

use crate::{cli::Scene, plan_schema::sandbox_offers, told_of_nothing, update};

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics")
}

/// Checks one file as far as the library can: it is read, and planned against what the emulator's three systems offer.
pub(crate) fn check(path: &Path) -> Vec<Diagnostic> {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    let (document, diagnostics) = spec::open(path, &format!("workflows/{name}")).expect("the file can be read");
    checked(document, diagnostics)
}

fn checked(document: Option<Document>, told: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let Some(document) = document.map(Arc::new) else { return told };
    let Outcome { plan, diagnostics: found, .. } = plan(&document, None, &sandbox_offers());
    assert!(plan.is_none() || !found.iter().any(Diagnostic::is_error), "a plan with an error");
    beside(&document, told, found)
}

pub(crate) fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder())
        .expect("the folder of wrong files")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn wrong_files_get_their_exact_texts() {
    let mut wrong = Vec::new();
    for path in files() {
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let diagnostics = check(&path);
        let mut text = render::human(&diagnostics, false);
        if let Some(line) = render::summary_line(&format!("workflows/{name}"), &diagnostics) {
            text.push_str(&line);
            text.push('\n');
        }
        let expected = path.with_extension("stderr");
        if update() {
            fs::write(&expected, &text).expect("the text can be written");
        }
        let found = fs::read_to_string(&expected).unwrap_or_default();
        if found != text || diagnostics.is_empty() {
            wrong.push(format!("{name}: expected\n{found}\ngot\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// The command tells of the very files what the texts say; only of local files and of where an API is it knows more.
#[test]
fn the_command_tells_what_the_texts_say() {
    let more = |code: &str| ["DW405", "DW506", "DW507"].contains(&code);
    let folder = folder();
    let told = Scene::new().run(&["validate", &folder.display().to_string(), "--sandbox", "--format", "json"]).json();
    let found = told["diagnostics"].as_array().expect("a list").iter().map(|diagnostic| {
        let text = |key: &str| diagnostic[key].as_str().expect("a text").to_owned();
        let name = Path::new(&text("file")).file_name().expect("a file").to_string_lossy().into_owned();
        (name, text("code"), text("message"))
    });
    let mut found: Vec<_> = found.filter(|(_, code, _)| !more(code)).collect();
    let expected = files().into_iter().flat_map(|path| {
        let told = check(&path).into_iter();
        told.map(move |diagnostic| {
            let label = diagnostic.primary().expect("a place");
            let name = Path::new(&label.source.name).file_name().expect("a file").to_string_lossy().into_owned();
            (name, diagnostic.code.to_string(), diagnostic.message)
        })
    });
    let mut expected: Vec<_> = expected.filter(|(_, code, _)| !more(code)).collect();
    assert!(expected.len() > 400, "{}", expected.len());
    found.sort();
    expected.sort();
    let only = |a: &[(String, String, String)], b: &[(String, String, String)]| {
        a.iter().filter(|told| !b.contains(told)).cloned().collect::<Vec<_>>()
    };
    assert_eq!((only(&found, &expected), only(&expected, &found)), (Vec::new(), Vec::new()));
    assert_eq!(found, expected, "something is told twice");
}

#[test]
fn the_json_of_wrong_files_fits_its_schema() {
    let validator = jsonschema::validator_for(&render::json_schema()).expect("a schema");
    for path in files() {
        let json = render::json(&check(&path));
        let problems: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{}: {problems:?}", path.display());
    }
}

#[test]
fn explanations_of_the_reader_tell_the_truth() {
    let codes = |text: &str| {
        let (document, diagnostics) = spec::load(Arc::new(Source::new("example.yaml", text)), "example");
        let diagnostics = checked(document, diagnostics);
        let mut codes: Vec<Code> = diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        codes.dedup();
        codes
    };
    let of_project = |text: &str| {
        let (_, diagnostics) = project::load(&Arc::new(Source::new(project::FILE, text)), PathBuf::from("."));
        diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>()
    };
    for &code in Code::ALL {
        let explanation = explain(code);
        if code.is_of_project() {
            assert_eq!(explanation.wrong.map(of_project), Some(vec![code]));
            assert_eq!(explanation.right.map(of_project), Some(Vec::new()));
            continue;
        }
        if let Some(wrong) = explanation.wrong {
            assert_eq!(codes(wrong), [code], "{wrong}");
        }
        if let Some(right) = explanation.right {
            assert_eq!(codes(right), [], "{code}: {right}");
        }
    }
}

#[test]
fn shipped_workflows_are_told_of_nothing() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows");
    let mut count = 0;
    for entry in fs::read_dir(folder).expect("the folder of workflows") {
        let path = entry.expect("an entry").path();
        let is_workflow = path.extension().is_some_and(|extension| extension == "yaml")
            && !path.to_string_lossy().ends_with(".test.yaml");
        if is_workflow {
            assert_eq!(render::human(&check(&path), false), "", "{}", path.display());
            count += 1;
        }
    }
    assert!(count >= 9, "{count} workflows");
}

/// What a run takes is not refused, and nothing is said of what somebody has thought of; with the values of a run and without.
#[test]
fn files_that_run_are_told_of_nothing() {
    let mut wrong = Vec::new();
    let offers: Vec<_> = sandbox_offers().into_iter().map(|offer| Offer { configured: true, ..offer }).collect();
    for (what, text) in told_of_nothing::FILES {
        for given in [None, Some(Given::default())] {
            let text = format!("defaults: {{ provider: armox }}{text}");
            let (document, mut told) = spec::load(Arc::new(Source::new("example.yaml", text)), "example");
            if let Some(document) = document.map(Arc::new) {
                told.extend(plan(&document, given.as_ref(), &offers).diagnostics);
            }
            if !told.is_empty() {
                wrong.push(format!("{what} (given: {}):\n{}", given.is_some(), render::human(&told, false)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn bombs_end_in_a_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let large = folder.path().join("large.yaml");
    File::create(&large).and_then(|file| file.set_len(200 << 20)).expect("a sparse file");
    let brackets = folder.path().join("brackets.yaml");
    fs::write(&brackets, "[".repeat(100 << 10)).expect("a file");
    let line = folder.path().join("line.yaml");
    fs::write(&line, format!("steps: {{ a: {{ set: {{ b: {} }}, c: d }} }}\n", "x".repeat(1 << 20))).expect("a file");
    let bomb = folder.path().join("bomb.yaml");
    let mut file = File::create(&bomb).expect("a file");
    writeln!(file, "x-0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]").expect("a line");
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(file, "x-{level}: &a{level} [{aliases}]").expect("a line");
    }
    #[expect(clippy::disallowed_methods, reason = "the test measures real time")]
    let start = Instant::now();
    for (path, code) in
        [(large, Code::TooLarge), (brackets, Code::TooLarge), (bomb, Code::TooLarge), (line, Code::UnknownKey)]
    {
        let diagnostics = check(&path);
        assert_eq!(
            diagnostics.iter().map(|diagnostic| diagnostic.code).collect::<Vec<_>>(),
            [code],
            "{}",
            path.display()
        );
        let text = render::human(&diagnostics, false);
        assert!(text.len() < 4000, "{text}");
    }
    assert!(start.elapsed().as_secs() < 4, "four bombs took {:?}", start.elapsed());
}

#[test]
fn a_file_that_is_not_there_is_no_diagnostic() {
    let error = spec::open(Path::new("/nowhere/at/all.yaml"), "all.yaml").expect_err("no such file");
    assert!(error.to_string().starts_with("cannot read /nowhere/at/all.yaml: "), "{error}");
}

fn lines() -> impl Strategy<Value = String> {
    let words = [
        "steps:",
        "a:",
        "b:",
        "- ",
        "model:",
        "app:",
        "set:",
        "inputs:",
        "needs: [a]",
        "when: x",
        "timeout: 5m",
        "type: file",
        "default: 012",
        "<<: *x",
        "&x",
        "*x",
        "{{ steps.a.image }}",
        "\"{{ x }}\"",
        "{",
        "}",
        "[",
        "]",
        ",",
        ": ",
        "|",
        ">-",
        "!t",
        "---",
        "# c",
        "'",
        "\"",
        "\t",
        "é",
        "x-a: 1",
        "version: 2",
        "retry: 3",
        "foreach: a",
        "\r",
        "\u{feff}",
        "secrets: [A, A]",
    ];
    let line = (0..5_usize, prop::collection::vec(prop::sample::select(words.to_vec()), 0..4));
    prop::collection::vec(line, 0..12).prop_map(|lines| {
        let lines: Vec<String> =
            lines.into_iter().map(|(indent, words)| format!("{}{}", "  ".repeat(indent), words.join(" "))).collect();
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever somebody writes, it is read, told and drawn; and where nothing is wrong there is a document.
    #[test]
    fn no_text_is_too_odd(text in lines()) {
        let (document, diagnostics) = spec::load(Arc::new(Source::new("odd.yaml", text)), "odd");
        let drawn = render::human(&diagnostics, true) + &render::github(&diagnostics) + &render::json(&diagnostics).to_string();
        prop_assert!(drawn.len() > diagnostics.len());
        prop_assert!(document.is_some() || diagnostics.iter().any(Diagnostic::is_error));
    }
}
