//! The committed schemas are the generated ones, are schemas, and agree with the reader. `DAGWOOD_UPDATE=1` writes them anew.

use std::{fs, path::Path, sync::Arc};

use dagwood::{
    contract::lock,
    diagnostic::{Code, explain::explain, render},
    project,
    sandbox::FaultScript,
    source::Source,
    spec::{schema, yaml},
};
use serde_json::Value;

use crate::{diagnostics, update};

fn committed(name: &str, generated: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(generated).expect("a schema is JSON"));
    if update() {
        fs::write(&path, &text).expect("the schema can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "{} is not what the code generates: run the tests with DAGWOOD_UPDATE=1", path.display());
}

#[test]
fn the_schema_of_workflows_is_committed() {
    let schema = schema::workflow_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("workflow.schema.json", &schema);
}

#[test]
fn the_schema_of_lock_files_is_committed() {
    let schema = lock::json_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("lock.schema.json", &schema);
}

#[test]
fn the_schema_of_projects_is_committed_and_agrees_with_the_reader() {
    let schema = project::schema::project_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("project.schema.json", &schema);
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for &code in Code::ALL.iter().filter(|code| code.is_of_project()) {
        let read = |text: &str| yaml::read(&Arc::new(Source::new("example.yaml", text))).value.expect("it can be read");
        let example = explain(code);
        assert!(validator.is_valid(&read(example.right.expect("a right file"))), "{code}");
        // What a schema is, no schema can say.
        let wrong = read(example.wrong.expect("a wrong file"));
        assert!(code == Code::BadContract || !validator.is_valid(&wrong), "{code}");
    }
}

#[test]
fn the_schema_of_diagnostics_is_committed() {
    let schema = render::json_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("diagnostics.schema.json", &schema);
}

#[test]
fn the_schema_of_fault_scripts_is_committed() {
    let schema = FaultScript::schema();
    assert!(jsonschema::meta::is_valid(&schema));
    committed("faults.schema.json", &schema);
}

#[test]
fn right_examples_fit_the_schema() {
    let schema = schema::workflow_schema();
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let mut checked = 0;
    for &code in Code::ALL {
        let Some(right) = explain(code).right.filter(|_| !code.is_of_project()) else { continue };
        let value = yaml::read(&Arc::new(Source::new("right.yaml", right))).value.expect("a right example can be read");
        let problems: Vec<String> =
            validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(problems.is_empty(), "{code}: {problems:?}\n{right}");
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

#[test]
fn what_is_of_the_wrong_shape_does_not_fit_the_schema() {
    let shapes = [
        Code::UnknownKey,
        Code::WrongKind,
        Code::MissingKey,
        Code::Version,
        Code::BadName,
        Code::BadDuration,
        Code::Verb,
        Code::BadInputSchema,
        Code::OutOfRange,
    ];
    let validator = jsonschema::validator_for(&schema::workflow_schema()).expect("a schema");
    let (mut refused, mut fitting) = (0, 0);
    for path in diagnostics::files() {
        let codes: Vec<Code> = diagnostics::check(&path).iter().map(|diagnostic| diagnostic.code).collect();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let Some(value) = yaml::read(&Arc::new(Source::new("wrong.yaml", text))).value else { continue };
        if codes.iter().any(|code| shapes.contains(code)) {
            // YAML's infinities are gone before a schema could see them.
            assert!(
                !validator.is_valid(&value) || path.ends_with("not-a-number.yaml"),
                "{} fits the schema",
                path.display()
            );
            refused += 1;
        } else if codes.iter().all(|code| code.number() >= 200) {
            // What is wrong there is no matter of shapes.
            assert!(validator.is_valid(&value), "{} does not fit the schema", path.display());
            fitting += 1;
        }
    }
    assert!(refused > 15 && fitting > 1, "{refused} {fitting}");
}
