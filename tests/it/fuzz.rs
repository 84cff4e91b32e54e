//! What the fuzzer runs, without the fuzzer: every input of the corpora, every input that was ever found to fail, and the tests' own files
//! go through the same functions as under `cargo fuzz run`.
//!
//! A target panics where something is not as promised; how long it takes and how much memory it wants is for the fuzzer to bound.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use dagwood::{
    contract::lock::{self, Locked},
    plan::Offer,
    source::Source,
};
use proptest::prelude::*;

use crate::{plan_schema::sandbox_offers, update};

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "it is a crate of its own for the fuzzer")]
mod targets;

use targets::{TARGETS, Target};

/// The most that the corpora take together: they are seeds, not a treasure.
const MOST_FILES: usize = 300;
const MOST_BYTES: usize = 1 << 20;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the files of a folder with their contents; none where there is no such folder.
fn inputs(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).expect("it can be read"))).collect()
}

fn run((name, target): Target, inputs: &[(PathBuf, Vec<u8>)]) {
    for (path, bytes) in inputs {
        let passes = std::panic::catch_unwind(|| target(bytes)).is_ok();
        assert!(passes, "the target `{name}` fails on {}", path.display());
    }
}

#[test]
fn every_input_of_the_corpora_passes() {
    let mut count = (0, 0);
    for target in TARGETS {
        let corpus = inputs(&format!("fuzz/corpus/{}", target.0));
        assert!(!corpus.is_empty(), "the target `{}` has no corpus", target.0);
        count = corpus.iter().fold(count, |(files, bytes), (_, input)| (files + 1, bytes + input.len()));
        run(target, &corpus);
    }
    assert!(count.0 <= MOST_FILES && count.1 <= MOST_BYTES, "the corpora are too large: files and bytes {count:?}");
}

#[test]
fn every_input_that_was_found_passes() {
    for target in TARGETS {
        run(target, &inputs(&format!("fuzz/found/{}", target.0)));
    }
}

/// The folders hold whatever the reader, the plan and the contracts are tested with; no copy of it needs to be in a corpus.
#[test]
fn the_files_of_the_tests_pass() {
    for (name, folders) in [
        ("reader", &["tests/diagnostics", "workflows"][..]),
        ("plan", &["tests/diagnostics", "workflows"]),
        ("contracts", &["tests/fixtures/armox", "tests/fixtures/airmy", "tests/fixtures/aimp", "schemas"]),
    ] {
        let target = TARGETS.into_iter().find(|target| target.0 == name).expect("a target");
        for folder in folders {
            let files = inputs(folder);
            assert!(!files.is_empty(), "{folder} is empty");
            run(target, &files);
        }
    }
}

#[test]
fn what_is_found_belongs_to_a_target() {
    for folder in ["fuzz/corpus", "fuzz/found"] {
        for entry in fs::read_dir(root().join(folder)).into_iter().flatten() {
            let name = entry.expect("an entry").file_name();
            assert!(TARGETS.iter().any(|target| name == target.0), "no target is called {}", name.display());
        }
    }
    let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).expect("text");
    for (name, _) in TARGETS {
        assert!(manifest.contains(&format!("\nname = \"{name}\"\n")), "fuzz/Cargo.toml has no `{name}`");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn workflows_made_of_any_bytes_are_valid(bytes in prop::collection::vec(any::<u8>(), 0..1_000)) {
        targets::workflows::run(&bytes);
    }
}

/// The fuzzer plans against a file, since no emulator runs beside it.
#[test]
fn the_fuzzer_s_offers_are_those_of_the_emulator() {
    let contracts = |offer: Offer| {
        let alias = offer.alias;
        let catalog = offer.catalog.expect("contracts were read");
        let contracts: Vec<_> = catalog.iter().cloned().collect();
        contracts.into_iter().map(move |contract| Locked { provider: alias.clone(), contract })
    };
    let text = lock::write(sandbox_offers().into_iter().flat_map(contracts).collect());
    let path = root().join("fuzz/offers.lock");
    if update() {
        fs::write(&path, &text).expect("the file can be written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(stored, text, "write it anew: DAGWOOD_UPDATE=1 cargo test");
    assert!(lock::read(&Arc::new(Source::new("offers.lock", stored))).is_ok());
}
