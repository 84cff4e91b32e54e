//! `schemas/plan.schema.json` says what `dagwood plan --format json` prints: it is generated from the types, and a real plan fits.

use std::{path::Path, sync::Arc};

use dagwood::{
    contract::{Catalog, Contract},
    job::TargetKind,
    plan::{Given, Offer, Preview, plan, preview},
    sandbox::catalog,
    source::Source,
    spec,
};
use serde_json::json;

/// Returns what the emulator's Armox offers, as its lists tell it.
pub(crate) fn sandbox_offers() -> Vec<Offer> {
    let products = catalog::Catalog::new(&[]);
    let kinds = vec![TargetKind::Model, TargetKind::App];
    let listed = kinds.iter().flat_map(|kind| products.listed(*kind));
    let contracts = listed.map(|product| match product.contract.target.kind {
        // The API publishes neither for apps.
        TargetKind::App => Contract { cost: None, output: None, ..product.contract.clone() },
        _ => product.contract.clone(),
    });
    let catalog = Some(Catalog::new(contracts.collect::<Vec<_>>()));
    vec![Offer { catalog, ..Offer::new("armox", &kinds) }]
}

#[test]
fn the_schema_of_plans_is_up_to_date() {
    let generated = schemars::schema_for!(Preview);
    let text = serde_json::to_string_pretty(&generated).expect("plain data") + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/plan.schema.json");
    if crate::update() {
        std::fs::write(&path, &text).expect("the schema can be written");
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, text, "generate it anew: DAGWOOD_UPDATE=1 cargo test");
}

#[test]
fn a_plan_fits_its_schema_and_reads_back() {
    let text = r#"
name: demo
inputs:
  sketch: { type: file, media: image }
steps:
  render:
    app: Sketch to Render
    inputs: { Input Images: ["{{ inputs.sketch }}"], Aspect Ratio: auto }
    estimate: { credits: 200, seconds: 40 }
  clip:
    model: kling/video
    when: inputs.sketch != ""
    inputs: { prompt: Slow dolly in, image_input: ["{{ steps.render.image }}"], guidance: 3 }
    save: true
  facts:
    set: { clip: "{{ steps.clip.video }}", sketch: "{{ inputs.sketch }}" }
outputs:
  clip: "{{ steps.clip.video }}"
"#;
    let (document, found) = spec::load(Arc::new(Source::new("demo.yaml", text)), "demo");
    assert_eq!(found, []);
    let inputs = json!({ "sketch": "https://example.com/a.png" });
    let given = Given { inputs: inputs.as_object().cloned().expect("a map"), ..Given::default() };
    let outcome = plan(&Arc::new(document.expect("it can be read")), Some(&given), &sandbox_offers());
    let plan = outcome.plan.expect("nothing is wrong");
    let preview = preview(&plan, &|step| plan.step(step).seconds);
    let value = serde_json::to_value(&preview).expect("plain data");
    let schema = serde_json::to_value(schemars::schema_for!(Preview)).expect("plain data");
    let errors: Vec<_> = jsonschema::draft202012::new(&schema)
        .expect("a schema")
        .iter_errors(&value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(errors, Vec::<String>::new(), "{value:#}");
    assert_eq!(serde_json::from_value::<Preview>(value.clone()).expect("it reads back"), preview);
    assert_eq!(value["waves"][1][0]["contract"], "warnings");
    assert_eq!(value["waves"][1][0]["when"]["verdict"], true);
    assert_eq!(value["critical_path"], json!(["render", "clip", "facts"]));
    assert_eq!(value["credits"], json!({ "known": 410.0, "unknown_jobs": 0 }));
}
