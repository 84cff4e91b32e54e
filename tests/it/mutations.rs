//! Wrong workflows by the hundred: each workflow that ships is changed at one place a hundred times, and the checker must tell of it.
//!
//! ```text
//! workflow ──places──▶ where a change is a mistake ──seed──▶ 100 texts ──the checker──▶ told or missed
//! ```
//!
//! `places.rs` picks places by what stands there, before anything is checked, so nothing is left out because the checker misses it. These kinds
//! are drawn, each as often as the others as long as it has places left:
//!
//! - key: a key of the language misspelt;
//! - input: an input of a target misspelt, or one of AIMP's `params`;
//! - definition: an input, a var or a step misspelt, or taken out, where templates name it;
//! - reference: a name misspelt where a template, an expression or `needs` uses it;
//! - field: a field of a result misspelt, also below `output` where this file or a nested one says what is there;
//! - filter: a filter misspelt;
//! - type: a list, a map, a number or a word where something else is wanted, by the language, by a declaration or by a contract;
//! - required: a verb, a `url` or a required input taken out;
//! - value: a word or a number that is not among those allowed;
//! - target: a model, an app, an agent or a nested file misspelt.
//!
//! Not drawn, since nobody can know before the run: inputs of targets without a published contract, ids of pipelines, node ids of
//! apps, fields of what an API answers, paths of `http` steps. Not drawn, since they are no mistakes: comments, texts for people and for
//! models, optional keys taken out, another allowed value. A change of meaning that is no error by any rule, such as `steps.a` for
//! `steps.b`, is beyond a checker, and not drawn either.

mod places;

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use dagwood::{
    diagnostic::Diagnostic,
    plan::{Offer, plan},
    source::Source,
    spec,
};

use self::places::{Kind, Mutation, Place, places};
use crate::{plan_schema::sandbox_offers, simulation::random::Random};

/// How many changes each workflow gets.
const EACH: usize = 100;

/// The share of them, in a hundred, that must be told of.
const WANTED: usize = 95;

/// The workflows that ship.
fn workflows() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workflows");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the folder of workflows")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .filter(|path| !path.to_string_lossy().ends_with(".test.yaml"))
        .collect();
    files.sort();
    files
}

/// Checks a text as if it stood in this file. Where the reader tells of something, nobody asks the contracts.
fn check(path: &Path, text: &str, offers: &[Offer]) -> Vec<Diagnostic> {
    let (document, mut told) = spec::load(Arc::new(Source::new(path.to_string_lossy(), text)), "mutant");
    if let (Some(document), true) = (document, told.is_empty()) {
        told.extend(plan(&Arc::new(document), None, offers).diagnostics);
    }
    told
}

/// Draws changes that all give different texts: first a kind, then a place, then what is written there.
fn draw(text: &str, places: &[Place], random: &mut Random) -> Vec<Mutation> {
    let mut by_kind: BTreeMap<Kind, Vec<&Place>> = BTreeMap::new();
    for place in places {
        by_kind.entry(place.kind).or_default().push(place);
    }
    let kinds: Vec<Kind> = by_kind.keys().copied().collect();
    let mut drawn = Vec::new();
    let mut texts = HashSet::new();
    for _ in 0..100 * EACH {
        let kind = random.pick(&kinds);
        let place = *random.pick(&by_kind[kind]);
        let Some(mutation) = place.mutation(text, random) else { continue };
        if texts.insert(mutation.applied(text)) {
            drawn.push(mutation);
        }
        if drawn.len() == EACH {
            break;
        }
    }
    drawn
}

/// Says of each change whether the checker tells of it. Each is checked by itself, so several threads share them.
fn told(path: &Path, text: &str, drawn: &[Mutation], offers: &[Offer]) -> Vec<bool> {
    let one = |mutation: &Mutation| !check(path, &mutation.applied(text), offers).is_empty();
    thread::scope(|scope| {
        let parts = drawn.chunks(EACH / 4).map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<_>>()));
        let running: Vec<_> = parts.collect();
        running.into_iter().flat_map(|part| part.join().expect("the checker does not panic")).collect()
    })
}

/// How many were told of, and how many there were.
type Count = (usize, usize);

fn add(to: &mut Count, told: bool) {
    to.0 += usize::from(told);
    to.1 += 1;
}

fn table(rows: &BTreeMap<String, BTreeMap<Kind, Count>>) -> String {
    let cell = |(told, all): Count| if all == 0 { "–".to_owned() } else { format!("{told}/{all}") };
    let mut text = format!("{:18}", "");
    for kind in Kind::ALL {
        write!(text, "{:>11}", kind.name()).expect("a string");
    }
    let mut sums: BTreeMap<Kind, Count> = BTreeMap::new();
    for (name, row) in rows {
        write!(text, "\n{name:18}").expect("a string");
        for kind in Kind::ALL {
            let count = row.get(&kind).copied().unwrap_or_default();
            let sum = sums.entry(kind).or_default();
            *sum = (sum.0 + count.0, sum.1 + count.1);
            write!(text, "{:>11}", cell(count)).expect("a string");
        }
    }
    write!(text, "\n{:18}", "all").expect("a string");
    for kind in Kind::ALL {
        write!(text, "{:>11}", cell(sums[&kind])).expect("a string");
    }
    text
}

/// `cargo nextest run -E 'test(nearly_every_mistake)' --no-capture` prints the table, and what was missed.
#[test]
fn nearly_every_mistake_is_told() {
    let offers = sandbox_offers();
    let mut rows: BTreeMap<String, BTreeMap<Kind, Count>> = BTreeMap::new();
    let mut all = Count::default();
    let mut missed = String::new();
    for path in workflows() {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).expect("a workflow");
        assert_eq!(check(&path, &text, &offers), [], "{name} as it ships");
        // From the name alone, so that another workflow does not shift what this one gets.
        let mut random = Random::new(name.bytes().fold(7, |seed, byte| seed * 31 % 0xFFFF_FFFF + u64::from(byte)));
        let drawn = draw(&text, &places(&path, &text, &offers), &mut random);
        assert_eq!(drawn.len(), EACH, "{name} has too few places");
        let row = rows.entry(name.clone()).or_default();
        for (mutation, told) in drawn.iter().zip(told(&path, &text, &drawn, &offers)) {
            add(row.entry(mutation.kind).or_default(), told);
            add(&mut all, told);
            if !told {
                writeln!(missed, "missed: {name}: {}", mutation.shown(&text)).expect("a string");
            }
        }
    }
    let report = format!("{}\n{} of {} told\n{missed}", table(&rows), all.0, all.1);
    #[expect(clippy::print_stderr, reason = "for whoever runs it without capture")]
    {
        eprintln!("{report}");
    }
    assert!(all.0 * 100 >= all.1 * WANTED, "{report}");
}

/// The control: a change that changes nothing is not told of, nor is one in a comment or in a text for people.
#[test]
fn what_is_no_mistake_is_not_told() {
    let offers = sandbox_offers();
    for path in workflows() {
        let text = fs::read_to_string(&path).expect("a workflow");
        for place in places(&path, &text, &offers) {
            let same = Mutation { kind: place.kind, text: text[place.range.clone()].to_owned(), range: place.range };
            assert_eq!(same.applied(&text), text);
        }
        assert_eq!(check(&path, &text, &offers), [], "{}", path.display());
        let harmless = format!(
            "{}\n# stpes.x, {{{{ inptus.y }}}}\n",
            text.replacen("\ndescription: ", "\ndescription: stpes.x, ", 1)
        );
        assert_eq!(check(&path, &harmless, &offers), [], "{}", path.display());
    }
}

/// All places of one workflow lie in what is no comment, and the same seed draws the same.
#[test]
fn places_are_of_the_language_and_draws_repeat() {
    let offers = sandbox_offers();
    for path in workflows() {
        let text = fs::read_to_string(&path).expect("a workflow");
        let places = places(&path, &text, &offers);
        for place in &places {
            let line = text[..place.range.start].rfind('\n').map_or(0, |newline| newline + 1);
            let before = text[line..place.range.start].trim_start();
            assert!(!before.starts_with('#') && !before.contains(" # "), "{}: {before}", path.display());
        }
        let shown = |seed| -> Vec<String> {
            draw(&text, &places, &mut Random::new(seed)).iter().map(|mutation| mutation.shown(&text)).collect()
        };
        assert_eq!(shown(1), shown(1));
        assert_ne!(shown(1), shown(2));
    }
}
