//! `schemas/plan.schema.json` says what `dagwood plan --format json` prints: it is generated from the types, and a real plan fits.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    thread,
};

use dagwood::{
    contract::Catalog,
    job::TargetKind,
    plan::{Given, Offer, Preview, plan, preview},
    provider::{
        Provider, Wanted,
        aimp::{Aimp, AimpSettings},
        airmy::{Airmy, AirmySettings},
        armox::{Armox, ArmoxSettings},
    },
    sandbox::{AIMP_KEY, AIRMY_KEY, Api, KEY, Sandbox, Settings},
    secret::Secret,
    source::Source,
    spec,
    world::World,
};
use serde_json::json;

/// Returns what the emulator's three systems offer, as their answers tell it. Armox and AIRMY have keys; AIMP is there for whoever names it.
pub(crate) fn sandbox_offers() -> Vec<Offer> {
    static OFFERS: OnceLock<Vec<Offer>> = OnceLock::new();
    // On a thread of its own: it waits, and the caller may be in a runtime that must not.
    OFFERS.get_or_init(|| thread::spawn(read_offers).join().expect("the emulator answers")).clone()
}

fn read_offers() -> Vec<Offer> {
    let sandbox = Sandbox::start_on_thread(Settings::default(), World::real()).expect("an emulator");
    let url = |api| sandbox.base_url_of(api);
    let armox =
        Armox::new(ArmoxSettings { base_url: url(Api::Armox), ..ArmoxSettings::new(Secret::new(KEY)) }, World::real());
    let airmy = Airmy::new(
        AirmySettings { base_url: url(Api::Airmy), ..AirmySettings::new(Secret::new(AIRMY_KEY)) },
        World::real(),
    );
    let aimp = Aimp::new(AimpSettings::new(url(Api::Aimp), Secret::new(AIMP_KEY)), World::real());
    let pipelines = ["pl_01HXYZ", "pl_02DIGEST"];
    vec![
        offer("armox", &armox.expect("a client"), &[]),
        Offer {
            base_url: Some("https://api.airmy.dev/v2".to_owned()),
            ..offer("airmy", &airmy.expect("a client"), &pipelines)
        },
        Offer {
            base_url: Some("http://localhost:8080/api".to_owned()),
            configured: false,
            takes_files: true,
            takes_operation: true,
            ..offer("aimp", &aimp.expect("a client"), &[])
        },
    ]
}

/// Reads all that a provider lists, then each by its id, since lists may say less; and these pipelines, which nobody lists.
fn offer(alias: &str, provider: &dyn Provider, pipelines: &[&str]) -> Offer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let read = |wanted| runtime.block_on(provider.catalog(&wanted)).result.expect("contracts");
    let kinds: Vec<_> = provider.kinds().to_vec();
    let listed = read(Wanted::Kinds(kinds.clone()));
    let ids = listed.into_iter().map(|contract| (contract.target.kind, contract.target.id));
    let pipelines = pipelines.iter().map(|&id| (TargetKind::Pipeline, id.to_owned()));
    let catalog = Some(Catalog::new(read(Wanted::Named(ids.chain(pipelines).collect()))));
    Offer { catalog, ..Offer::new(alias, &kinds) }
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
