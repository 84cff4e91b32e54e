//! `dagwood lock`: writes down what the targets of the workflows take, so that runs and checks need not ask; `lock --check` says what has
//! changed since, and which steps that breaks.
//!
//! ```text
//! files ─▶ targets named ─▶ published now ─┬─▶ dagwood.lock
//!                            locked then ──┴─▶ changes ─▶ each file planned with each change alone ─▶ what it breaks
//! ```
//!
//! What a change breaks is what a plan finds with it and not without it; so the words and places are those of `dagwood validate`, and a
//! step that only reads another one's result is found, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
    sync::Arc,
};

use serde::Serialize;
use serde_json::json;

use super::{
    args,
    context::Context,
    contracts::Contracts,
    failure::{Exit, Failure},
    home::{Home, LOCK_FILE},
    open::Backend,
    printer::Stream,
    remotes::Remotes,
    validate::{self, Group},
    wants::{self, Wants},
};
use crate::{
    contract::{
        Catalog, Contract,
        drift::{self, Change},
        lock::{self, Locked},
    },
    diagnostic::{self, Code, Diagnostic, Severity},
    job::Target,
    plan::Offer,
    source::Pointer,
    spec::Document,
};

/// Contracts by alias.
type Catalogs = BTreeMap<String, Catalog>;

/// Writes or checks the lock files of the projects that files belong to.
pub(crate) fn run(context: &Context, args: &args::Lock) -> Result<Exit, Failure> {
    let groups = validate::gather(context, &args.paths)?;
    let mut drifts = Vec::new();
    for group in &groups {
        let known = Known::of(context, group, args.sandbox)?;
        if args.check {
            let Some(locked) = group.home.locked()? else {
                return Err(
                    Failure::usage(format!("there is no `{LOCK_FILE}` to check")).help("write it with `dagwood lock`")
                );
            };
            known.refuse_unknown(&locked)?;
            drifts.extend(known.drifts(&locked)?);
        } else {
            known.refuse_unknown(&[])?;
            let all = args.paths.is_empty();
            tell_written(context, &group.home, &write(context, &group.home, known.published, all)?);
        }
    }
    if args.check {
        tell_drifts(context, &drifts);
    } else if args.sandbox {
        context.printer.note("note: these are the emulator's contracts, not those of your accounts");
    }
    Ok(if drifts.is_empty() { Exit::Done } else { Exit::Drift })
}

/// The files of a project, and what their targets take now.
struct Known<'a> {
    home: &'a Home,
    documents: Vec<&'a Arc<Document>>,
    /// Offers of each file, without contracts.
    offers: Vec<Vec<Offer>>,
    wants: Wants,
    /// What the APIs answered, near names among it.
    read: Catalogs,
    /// The contracts of the targets that are named.
    published: Vec<Locked>,
}

impl<'a> Known<'a> {
    /// Reads what the targets of the files take.
    fn of(context: &Context, group: &'a Group, sandbox: bool) -> Result<Self, Failure> {
        let wrong: Vec<_> = group.files.iter().flat_map(|file| file.diagnostics.iter().cloned()).collect();
        if wrong.iter().any(Diagnostic::is_error) {
            return Err(Failure::Invalid(wrong));
        }
        let home = &group.home;
        let backend = Backend::unlocked(context, sandbox)?;
        let remotes = backend.remotes(context, home, Vec::new());
        let documents: Vec<_> = group.documents().collect();
        let offers: Vec<_> = documents.iter().map(|document| remotes.offers(Some(document))).collect();
        let wants = Wants::of_all(documents.iter().map(|document| &***document).zip(offers.iter().map(Vec::as_slice)));
        let contracts = Contracts::published(&backend, &remotes, &wants);
        if let Some(missing) = contracts.missing().first() {
            return Err(missing.failure.clone().unwrap_or_else(|| no_key(&remotes, &missing.alias)));
        }
        let read = contracts.into_catalogs();
        let mut known = Self { home, documents, offers, wants, read, published: Vec::new() };
        known.published = known.named(&known.read);
        Ok(known)
    }

    /// Tells of targets that neither the API nor the lock file has.
    fn refuse_unknown(&self, locked: &[Locked]) -> Result<(), Failure> {
        let mut all = self.read.clone();
        for Locked { provider, contract } in locked {
            let catalog = all.entry(provider.clone()).or_default();
            if catalog.find(contract.target.kind, &contract.target.id).is_empty() {
                put(catalog, &contract.target, Some(contract));
            }
        }
        let about_targets = |found: &Diagnostic| matches!(found.code, Code::UnknownTarget | Code::AmbiguousTarget);
        let mut wrong: Vec<_> = self.diagnostics(&all)?.into_iter().flatten().filter(about_targets).collect();
        diagnostic::arrange(&mut wrong);
        if wrong.is_empty() { Ok(()) } else { Err(Failure::Invalid(wrong)) }
    }

    /// Returns what these catalogues have of the targets that the files name, each once.
    fn named(&self, catalogs: &Catalogs) -> Vec<Locked> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for wants::Named { alias, kind, name, .. } in self.targets() {
            let known = catalogs.get(alias).map(|catalog| catalog.find(kind, name)).unwrap_or_default();
            for contract in known {
                if seen.insert((alias.to_owned(), contract.target.clone())) {
                    found.push(Locked { provider: alias.to_owned(), contract: contract.clone() });
                }
            }
        }
        found
    }

    /// Returns the targets that the files name.
    fn targets(&self) -> impl Iterator<Item = wants::Named<'_>> {
        let files = self.documents.iter().zip(&self.offers);
        files.flat_map(|(document, offers)| wants::targets(document, offers))
    }

    /// Returns what each file's plan finds with these contracts.
    fn diagnostics(&self, catalogs: &Catalogs) -> Result<Vec<Vec<Diagnostic>>, Failure> {
        let mut contracts = Contracts::of(catalogs.clone(), &self.wants);
        contracts.complete(self.home, &self.wants)?;
        let plans = self
            .documents
            .iter()
            .zip(&self.offers)
            .map(|(document, offers)| crate::plan::plan(document, None, &contracts.offers(offers)).diagnostics);
        Ok(plans.collect())
    }

    /// Returns what has changed since the contracts were locked.
    fn drifts(&self, locked: &[Locked]) -> Result<Vec<Drift>, Failure> {
        let mut base = lock::catalogs(locked.to_vec());
        let now = |provider: &str, target: &Target| {
            self.published.iter().find(|now| now.provider == provider && now.contract.target == *target)
        };
        let then = self.named(&base);
        let mut drifts = Vec::new();
        for Locked { provider, contract } in &then {
            let changes = match now(provider, &contract.target) {
                Some(now) => drift::drift(contract, &now.contract),
                None => vec![drift::gone(contract)],
            };
            if !changes.is_empty() {
                drifts.push(Drift {
                    provider: provider.clone(),
                    target: contract.target.clone(),
                    changes,
                    breaks: Vec::new(),
                });
            }
        }
        let is_new = |now: &&Locked| {
            !then.iter().any(|then| then.provider == now.provider && then.contract.target == now.contract.target)
        };
        for Locked { provider, contract } in self.published.iter().filter(is_new) {
            let (provider, target) = (provider.clone(), contract.target.clone());
            drifts.push(Drift { provider, target, changes: vec![drift::new(contract)], breaks: Vec::new() });
        }
        // What was not locked went unchecked.
        for wants::Named { alias, kind, name, .. } in self.targets() {
            let catalog = base.entry(alias.to_owned()).or_default();
            if catalog.find(kind, name).is_empty() {
                let target = Target { kind, id: name.to_owned() };
                put(catalog, &target, Some(&Contract::unchecked(target.clone(), name)));
            }
        }
        let before = self.diagnostics(&base)?;
        for drift in &mut drifts {
            let mut changed = base.clone();
            let catalog = changed.entry(drift.provider.clone()).or_default();
            let now = now(&drift.provider, &drift.target).map(|now| &now.contract);
            put(catalog, &drift.target, now);
            drift.breaks = self.breaks(&before, self.diagnostics(&changed)?);
        }
        Ok(drifts)
    }

    /// Returns what is found now and was not before.
    fn breaks(&self, before: &[Vec<Diagnostic>], after: Vec<Vec<Diagnostic>>) -> Vec<Break> {
        let key = |diagnostic: &Diagnostic| {
            (diagnostic.code, diagnostic.severity, diagnostic.primary().map(|label| label.span))
        };
        let mut breaks = Vec::new();
        for ((document, before), after) in self.documents.iter().zip(before).zip(after) {
            let known: Vec<_> = before.iter().map(key).collect();
            breaks.extend(
                after.iter().filter(|found| !known.contains(&key(found))).map(|found| Break::of(document, found)),
            );
        }
        breaks
    }
}

/// Puts a contract into a catalogue in place of the one of its target, or of one that went by its name unchecked.
fn put(catalog: &mut Catalog, target: &Target, contract: Option<&Contract>) {
    let replaced = |known: &Contract| {
        known.target == *target
            || contract
                .as_ref()
                .is_some_and(|new| known.unchecked && known.target.kind == target.kind && known.name == new.name)
    };
    *catalog = Catalog::new(catalog.iter().filter(|known| !replaced(known)).cloned().chain(contract.cloned()));
}

/// Returns the failure of a missing key.
fn no_key(remotes: &Remotes, alias: &str) -> Failure {
    match remotes.door(alias) {
        Some(door) => Failure::no_key(&door.origin(), &[]),
        None => Failure::usage(format!("there is no provider `{alias}`")),
    }
}

/// A target whose contract changed.
#[derive(Debug, Serialize)]
struct Drift {
    provider: String,
    target: Target,
    changes: Vec<Change>,
    breaks: Vec<Break>,
}

/// What a change does to a file.
#[derive(Debug, Serialize)]
struct Break {
    file: String,
    line: usize,
    column: usize,
    /// The step that it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<String>,
    code: Code,
    severity: Severity,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<String>,
}

impl Break {
    fn of(document: &Document, found: &Diagnostic) -> Self {
        let label = found.primary();
        let span = label.map(|label| label.span).unwrap_or_default();
        let position = document.source.position(span.start);
        let within = |part: &str, id: &str| {
            let step = document.map.value(&Pointer::from_iter([part, id]));
            step.start <= span.start && span.start < step.end
        };
        let parts = [("steps", &document.workflow.steps), ("finally", &document.workflow.finally)];
        let mut steps = parts.into_iter().flat_map(|(part, steps)| steps.keys().map(move |id| (part, id.as_str())));
        Self {
            file: document.source.name.clone(),
            line: position.line,
            column: position.column,
            step: steps.find(|(part, id)| within(part, id)).map(|(_, id)| id.to_owned()),
            code: found.code,
            severity: found.severity,
            message: found.message.clone(),
            help: found.help.clone(),
        }
    }
}

/// What writing changed.
#[derive(Debug, Default, Serialize)]
struct Written {
    contracts: usize,
    new: Vec<String>,
    changed: Vec<(String, Vec<Change>)>,
    dropped: Vec<String>,
}

/// Writes the lock file; of files that were named, what it has of other targets stays.
fn write(context: &Context, home: &Home, published: Vec<Locked>, all: bool) -> Result<Written, Failure> {
    let old = home.locked()?.unwrap_or_default();
    let is = |a: &Locked, b: &Locked| a.provider == b.provider && a.contract.target == b.contract.target;
    let name = |locked: &Locked| format!("{} {}", locked.provider, locked.contract.target);
    let mut written = Written::default();
    for now in &published {
        match old.iter().find(|old| is(old, now)) {
            None => written.new.push(name(now)),
            Some(then) => {
                let changes = drift::drift(&then.contract, &now.contract);
                if !changes.is_empty() {
                    written.changed.push((name(now), changes));
                }
            }
        }
    }
    let (mut locked, others) = (published, old);
    for other in others {
        if locked.iter().any(|now| is(now, &other)) {
            continue;
        }
        if all {
            written.dropped.push(name(&other));
        } else {
            locked.push(other);
        }
    }
    written.contracts = locked.len();
    save(context, &home.lock(), &lock::write(locked))?;
    Ok(written)
}

/// Writes a file whole or not at all.
fn save(context: &Context, path: &Path, text: &str) -> Result<(), Failure> {
    let beside = path.with_extension(format!("lock-{:016x}", context.world.random()));
    let written = std::fs::write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        // What could not be put in place is of no use.
        let _ = std::fs::remove_file(&beside);
        Failure::unwritable(&context.shorten(path), &error)
    })
}

fn tell_written(context: &Context, home: &Home, written: &Written) {
    let file = context.shorten(&home.lock()).display().to_string();
    if super::is_json(context) {
        context.printer.json(&json!({"file": file, "contracts": written.contracts, "new": written.new,
            "changed": written.changed.iter().map(|(target, changes)| json!({"target": target, "changes": changes})).collect::<Vec<_>>(),
            "dropped": written.dropped}));
        return;
    }
    let count = |number: usize, word: &str| if number > 0 { format!(", {number} {word}") } else { String::new() };
    let Written { contracts, new, changed, dropped } = written;
    let mut page = format!(
        "{file}: {contracts} contract{}{}{}{}\n",
        if *contracts == 1 { "" } else { "s" },
        count(new.len(), "new"),
        count(changed.len(), "changed"),
        count(dropped.len(), "dropped"),
    );
    for (target, changes) in changed {
        let _ = writeln!(page, "\n{target}");
        page.extend(changes.iter().map(|change| format!("  {}\n", change.message)));
    }
    context.printer.result(&page);
}

fn tell_drifts(context: &Context, drifts: &[Drift]) {
    if super::is_json(context) {
        context.printer.json(&json!({"drift": drifts}));
        return;
    }
    if drifts.is_empty() {
        context.printer.note(&format!("`{LOCK_FILE}` is as the APIs have it"));
        return;
    }
    let color = context.printer.has_color(Stream::Out);
    let bold = if color { anstyle::Style::new().bold() } else { anstyle::Style::new() };
    let mut page = String::new();
    for Drift { provider, target, changes, breaks } in drifts {
        let _ = writeln!(page, "{bold}{provider} {target}{bold:#}");
        page.extend(changes.iter().map(|change| format!("  {}\n", change.message)));
        for Break { file, line, column, step, code, severity, message, help } in breaks {
            let does = if *severity == Severity::Error { "breaks" } else { "warns in" };
            let step = step.as_ref().map(|step| format!(" step `{step}`,")).unwrap_or_default();
            let _ = writeln!(page, "  {does}{step} {file}:{line}:{column}: {message} ({code})");
            page.extend(help.iter().map(|help| format!("    help: {help}\n")));
        }
        if !breaks.iter().any(|found| found.severity == Severity::Error) {
            page.push_str("  breaks nothing\n");
        }
        page.push('\n');
    }
    context.printer.result(page.trim_end());
    let broken: BTreeSet<_> =
        drifts.iter().flat_map(|drift| &drift.breaks).map(|found| (&found.file, &found.step)).collect();
    let targets =
        if drifts.len() == 1 { "1 contract has".to_owned() } else { format!("{} contracts have", drifts.len()) };
    let steps = match broken.len() {
        0 => "no step is touched".to_owned(),
        1 => "1 step is touched".to_owned(),
        several => format!("{several} steps are touched"),
    };
    context.printer.note(&format!("{targets} changed, {steps}; `dagwood lock` takes the new ones"));
}
