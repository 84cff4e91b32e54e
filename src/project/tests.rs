//! Project files, right and wrong, each with what is told.

use std::{path::PathBuf, sync::Arc};

use super::*;
use crate::diagnostic::{Code, render};

fn read(text: &str) -> (Option<Project>, Vec<Diagnostic>) {
    let (file, wrong) = load(&Arc::new(Source::new(FILE, text)), PathBuf::from("/p"));
    (file.map(|file| file.project), wrong)
}

fn told(text: &str) -> Vec<(Code, String)> {
    read(text).1.into_iter().map(|wrong| (wrong.code, wrong.help.unwrap_or_default())).collect()
}

#[test]
fn the_example_of_the_language_is_read() {
    let text = r#"
providers:
  armox: { kind: armox }
  armox-eu: { kind: armox, api_key: "{{ secrets.ARMOX_EU_KEY }}", base_url: "https://eu.example/api/v1", requests_per_minute: 60, max_jobs: 20, settle: ask, settle_grace: 30s, budget_per_day: { credits: 2000 } }
  airmy: { kind: airmy, idempotency_header: "", status_words: { done: [finished] }, submit_timeout: 10m }
  aimp: { base_url: "http://localhost:8080/api", safe_to_repeat: [captioner], poll_path: "/runs/{id}" }
secrets: [ARMOX_EU_KEY]
env_file: .env
state: /var/lib/dagwood
artifacts: out
staging: s3://bucket/prefix
contracts:
  aimp/demo-model: { type: object, properties: { text: { type: string } } }
"#;
    let (project, wrong) = read(text);
    assert_eq!(wrong, []);
    let project = project.expect("a project");
    let accounts = project.accounts();
    let shown: Vec<_> =
        accounts.iter().map(|(alias, account, named)| (alias.as_str(), account.kind(), *named)).collect();
    let expected = [
        ("armox", Kind::Armox, true),
        ("airmy", Kind::Airmy, true),
        ("aimp", Kind::Aimp, true),
        ("armox-eu", Kind::Armox, true),
    ];
    assert_eq!(shown, expected);
    let eu = &accounts[3].1;
    assert_eq!((eu.requests_per_minute, eu.max_jobs, eu.burst), (Some(60), Some(20), None));
    assert_eq!(eu.budget_per_day, Some(Budget { credits: Some(2000.0), tokens: None }));
    let grace = Period(Duration::from_secs(30));
    assert_eq!(eu.options, Options::Armox(ArmoxOptions { settle: Settle::Ask, settle_grace: Some(grace) }));
    let default = ArmoxOptions { settle: Settle::Auto, settle_grace: None };
    assert_eq!((&accounts[0].1.options, accounts[0].1.budget_per_day), (&Options::Armox(default), None));
    assert!(matches!(&accounts[1].1.options, Options::Airmy(options)
        if options.idempotency_header.as_deref() == Some("") && options.status_words.done == ["finished"]));
    assert_eq!(project.contracts[0].id, "demo-model");
    let file = ProjectFile { project, ..ProjectFile::absent(PathBuf::from("/p")) };
    assert_eq!(file.state(), PathBuf::from("/var/lib/dagwood"));
    assert_eq!(file.artifacts(), "out");
    assert_eq!(file.env_file(), Some(PathBuf::from("/p/.env")));
}

#[test]
fn without_a_file_there_are_the_three() {
    let (project, wrong) = read("# nothing yet\n");
    assert!(wrong.is_empty());
    let project = project.expect("an empty project");
    assert_eq!(project, Project::default());
    let accounts = project.accounts();
    assert!(accounts.iter().map(|(alias, ..)| alias.as_str()).eq(["armox", "airmy", "aimp"]));
    assert!(accounts.iter().all(|(.., named)| !named));
}

#[test]
fn null_takes_a_provider_away() {
    let (project, wrong) = read("providers: { aimp: null }");
    assert!(wrong.is_empty());
    let accounts = project.expect("a project").accounts();
    assert!(accounts.iter().map(|(alias, ..)| alias.as_str()).eq(["armox", "airmy"]));
    assert_eq!(told("providers: { other: null }")[0].0, Code::UnknownProvider);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = r#"
secret: [A]
providers:
  eu: { kind: armx }
  us: { base_url: "https://us.example" }
  "a/b": { kind: armox }
  airmy: { max_job: 3, poll_path: "/x/{id}", burst: 3, budget_per_day: 500, settle: ask }
  armox: { settle: aks, settle_grace: 0s, allow_http: yes, budget_per_day: { credits: 0, tokens: 1.5 } }
  gate: { kind: aimp, poll_path: runs, status_words: { done: finished }, budget_per_day: {} }
state: ../state
artifacts: s3://key@bucket
staging: ./uploads
contracts:
  aimp: {}
  amp/x: {}
  aimp/y: { type: txt }
"#;
    let found: Vec<_> = told(text);
    let expected = [
        (Code::UnknownKey, "did you mean `secrets`?"),
        (Code::OutOfRange, "did you mean `armox`?"),
        (Code::MissingKey, "add `kind: …`"),
        (Code::BadName, "an alias is a letter, then letters, digits, `_` and `-`"),
        (Code::UnknownKey, "did you mean `max_jobs`?"),
        (Code::UnknownKey, "leave it out"),
        (Code::MissingKey, "add `requests_per_minute: …`"),
        (Code::WrongKind, "write `budget_per_day: { credits: 500 }`"),
        (Code::UnknownKey, "leave it out"),
        (Code::OutOfRange, "did you mean `ask`?"),
        (Code::OutOfRange, "write a duration such as `10s`, or leave the key out"),
        (Code::WrongKind, "write `true`: in YAML 1.2 words such as `yes` are strings"),
        (Code::OutOfRange, "write a number above 0; to bound nothing, leave the key out"),
        (Code::OutOfRange, "write a whole number from 1"),
        (Code::OutOfRange, "write a path below the base URL, such as `runs/{id}`"),
        (Code::WrongKind, "write `[finished]`"),
        (Code::MissingKey, "write `{ credits: 500 }`, or leave the key out"),
        (Code::PathEscapes, "write a path below the project file, or an absolute one"),
        (
            Code::OutOfRange,
            "write a folder, `artifacts: artifacts`, or a store: `s3://BUCKET/PREFIX`, `gs://…` or `az://…`",
        ),
        (Code::OutOfRange, "write a store that gives presigned URLs: `s3://BUCKET/PREFIX`, `gs://…` or `az://…`"),
        (Code::BadName, "write `ALIAS/ID`, such as `aimp/image-captioner`"),
        (Code::UnknownProvider, "did you mean `aimp/x`?"),
        (Code::BadContract, "a contract is a JSON Schema (2020-12) over the target's inputs"),
    ];
    assert_eq!(found, expected.map(|(code, help)| (code, help.to_owned())));
    assert!(read(text).1.iter().all(|wrong| wrong.primary().is_some()));
}

#[test]
fn a_key_in_the_file_is_told_and_not_shown() {
    for text in [
        "providers: { armox: { api_key: sk_live_canary } }",
        "providers: { armox: { api_key: sk_live_canary, max_jobs: no } }",
        "providers:\n  armox:\n    api_key: \"sk_live_canary\"\n   broken: [\n",
        "providers:\n  eu: { kind: armox, base_url: \"https://me:sk_live_canary@eu.example\", max_jobs: no }\n",
    ] {
        let wrong = read(text).1;
        assert!(!wrong.is_empty(), "{text}");
        let shown = render::human(&wrong, false) + &render::json(&wrong).to_string() + &render::github(&wrong);
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert_eq!(told("providers: { armox: { api_key: sk_live_canary } }")[0].0, Code::KeyInTheOpen);
}

#[test]
fn api_keys_read_declared_secrets_alone() {
    for (key, code) in [
        ("{{ secrets.MY_KEY }}", Code::UndeclaredSecret),
        ("{{ inputs.key }}", Code::NotHere),
        ("{{ 'x' }}", Code::KeyInTheOpen),
        ("{{ secrets. }}", Code::TemplateSyntax),
    ] {
        let text = format!("providers: {{ armox: {{ api_key: \"{key}\" }} }}\nsecrets: [MY_KEYS]\n");
        assert_eq!(told(&text).iter().map(|(code, _)| *code).collect::<Vec<_>>(), [code], "{key}");
    }
}

#[test]
fn what_is_no_map_is_no_project() {
    assert_eq!(told("- a")[0].0, Code::NoProject);
    assert_eq!(told("state: a\nstate: b")[0].0, Code::DuplicateKey);
}
