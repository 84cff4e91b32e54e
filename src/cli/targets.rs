//! `dagwood models`, `apps` and `agents`: what the project's accounts can run, and `dagwood account`: what they have to spend.
//!
//! Every configured account that has such targets is asked, all at a time. One that fails does not keep the others from being shown; its
//! code is the command's.

use serde_json::{Map, Value, json};

use super::{
    args,
    context::Context,
    contracts,
    failure::{Exit, Failure},
    home::Home,
    open::Backend,
    printer::Stream,
    reading,
    remotes::{Door, Remotes},
};
use crate::{
    contract::{Catalog, Contract},
    diagnostic::nearest,
    job::TargetKind,
    provider::Wanted,
    report::catalog,
};

/// A contract, and the alias of the account that it is of.
pub(crate) type Fitting<'a> = (&'a str, &'a Contract);

/// Lists targets of a kind, or shows one.
pub(crate) fn run(context: &Context, kind: TargetKind, args: &args::Targets) -> Result<Exit, Failure> {
    let home = context.home()?;
    let backend = Backend::open(context, &home, args.sandbox, None)?;
    let remotes = backend.remotes(context, &home, Vec::new());
    let doors = doors(&remotes, args.provider.as_deref(), kind)?;
    let (found, failures) = read(&home, &backend, &remotes, &doors, kind, args.name.as_deref())?;
    match &args.name {
        None => list(context, kind, &found),
        Some(name) => show(context, kind, name, &found, failures.first(), doors.len() > 1)?,
    }
    Ok(after(context, &failures))
}

/// Returns the accounts to ask for targets of a kind.
///
/// # Errors
///
/// Where none is configured, or the one that was asked for has no such targets.
pub(crate) fn doors<'a>(remotes: &'a Remotes, alias: Option<&str>, kind: TargetKind) -> Result<Vec<&'a Door>, Failure> {
    let doors = remotes.chosen(alias, |system| system.targets().contains(&kind))?;
    match doors.iter().find(|door| !door.account.kind().targets().contains(&kind)) {
        Some(door) => Err(Failure::usage(format!("`{}` has no {kind}s", door.alias))),
        None => Ok(doors),
    }
}

/// What accounts answered, by alias.
pub(crate) type Found = Vec<(String, Catalog)>;

/// Reads the targets of a kind, or what is known of one; beside it, what failed.
///
/// # Errors
///
/// Where a contract of the project file cannot be used.
pub(crate) fn read(
    home: &Home,
    backend: &Backend,
    remotes: &Remotes,
    doors: &[&Door],
    kind: TargetKind,
    name: Option<&str>,
) -> Result<(Found, Vec<Failure>), Failure> {
    let wanted = match name {
        Some(name) => Wanted::Named(vec![(kind, name.to_owned())]),
        None => Wanted::Kinds(vec![kind]),
    };
    let (mut found, failures) = ask(backend, remotes, doors, async |remote| remote.catalog(&wanted).await);
    for (alias, catalog) in &mut found {
        contracts::supply(home, alias, catalog)?;
    }
    Ok((found, failures))
}

/// Asks accounts, all at a time; what they answered by alias, and what failed.
fn ask<T>(
    backend: &Backend,
    remotes: &Remotes,
    doors: &[&Door],
    read: impl AsyncFn(super::remote::Remote) -> Result<T, Failure>,
) -> (Vec<(String, T)>, Vec<Failure>) {
    let reads = doors.iter().map(|door| async {
        match remotes.remote(door) {
            Ok(remote) => read(remote).await,
            Err(failure) => Err(failure),
        }
    });
    let answers = backend.block_on(futures_util::future::join_all(reads));
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for (door, answer) in doors.iter().zip(answers) {
        match answer {
            Ok(answer) => found.push((door.alias.clone(), answer)),
            Err(failure) => failures.push(failure),
        }
    }
    (found, failures)
}

/// Tells what failed, and returns the code to end with: that of the first failure.
fn after(context: &Context, failures: &[Failure]) -> Exit {
    for failure in failures {
        match failure {
            // There is one JSON document on standard output already.
            Failure::Other(complaint) if super::is_json(context) => {
                context.printer.problem(&format!("error: {}", complaint.message));
            }
            failure => reading::tell(&context.printer, failure),
        }
    }
    failures.first().map_or(Exit::Done, Failure::exit)
}

fn list(context: &Context, kind: TargetKind, found: &[(String, Catalog)]) {
    let all = |catalog: &Catalog| catalog.of_kind(kind).cloned().collect::<Vec<_>>();
    if super::is_json(context) {
        if !found.is_empty() {
            let by_alias: Map<_, _> =
                found.iter().map(|(alias, catalog)| (alias.clone(), json!(all(catalog)))).collect();
            context.printer.json(&by_alias);
        }
        return;
    }
    let style = super::style(context, Stream::Out);
    let mut pages = Vec::new();
    for (alias, catalog) in found {
        let all: Vec<_> = catalog.of_kind(kind).collect();
        if all.is_empty() {
            let whose = if found.len() > 1 { format!("`{alias}`") } else { "the account".to_owned() };
            context.printer.note(&format!("{whose} has no {kind}s"));
            continue;
        }
        let table = catalog::targets(&all, &style);
        pages.push(if found.len() > 1 { catalog::headed(alias, &table, &style) } else { table });
    }
    context.printer.result(&pages.join("\n"));
}

fn show(
    context: &Context,
    kind: TargetKind,
    name: &str,
    found: &[(String, Catalog)],
    failure: Option<&Failure>,
    several: bool,
) -> Result<(), Failure> {
    let (alias, contract) = one(kind, name, found, failure)?;
    if super::is_json(context) {
        let by_alias: Map<String, Value> = [(alias.to_owned(), json!(contract))].into_iter().collect();
        context.printer.json(&by_alias);
    } else {
        let provider = several.then_some(alias);
        context.printer.result(&catalog::target(contract, provider, &super::style(context, Stream::Out)));
    }
    Ok(())
}

/// Returns the one target that a name means, and whose it is.
///
/// # Errors
///
/// Where there is none, or several are meant; where an account could not be asked, that.
pub(crate) fn one<'a>(
    kind: TargetKind,
    name: &str,
    found: &'a [(String, Catalog)],
    failure: Option<&Failure>,
) -> Result<Fitting<'a>, Failure> {
    let mut meant = fitting(found, |catalog| catalog.find(kind, name));
    if meant.is_empty() {
        // People do not type capitals: a name that fits but for case is meant.
        let same = |contract: &&Contract| contract.name.eq_ignore_ascii_case(name);
        meant = fitting(found, |catalog| catalog.of_kind(kind).filter(same).collect());
    }
    match meant.as_slice() {
        [one] => Ok(*one),
        // Where an account could not be asked, it may be there.
        [] => Err(failure.cloned().unwrap_or_else(|| unknown(kind, name, found))),
        several => {
            let same_account = several.iter().all(|(alias, _)| *alias == several[0].0);
            let failure = Failure::usage(format!("several {kind}s are called `{name}`"));
            Err(if same_account {
                let ids: Vec<_> = several.iter().map(|(_, contract)| format!("`{}`", contract.target.id)).collect();
                failure.help(format!("name one by its id: {}", ids.join(", ")))
            } else {
                let aliases: Vec<_> = several.iter().map(|(alias, _)| format!("`--provider {alias}`")).collect();
                failure.help(format!("say whose: {}", aliases.join(" or ")))
            })
        }
    }
}

/// Returns what fits, with whose it is.
fn fitting<'a>(found: &'a [(String, Catalog)], fits: impl Fn(&'a Catalog) -> Vec<&'a Contract>) -> Vec<Fitting<'a>> {
    let of =
        |(alias, catalog): &'a (String, Catalog)| fits(catalog).into_iter().map(move |found| (alias.as_str(), found));
    found.iter().flat_map(of).collect()
}

fn unknown(kind: TargetKind, name: &str, found: &[(String, Catalog)]) -> Failure {
    let whose = if found.len() > 1 { "no account has a" } else { "the account has no" };
    let failure = Failure::usage(format!("{whose} {kind} `{name}`"));
    let all = found.iter().flat_map(|(_, catalog)| catalog.of_kind(kind));
    let names = all.flat_map(|contract| [contract.target.id.as_str(), contract.name.as_str()]);
    match nearest(name, names) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help(format!("`dagwood {kind}s` lists them")),
    }
}

/// Shows credits, plan and usage of every account.
pub(crate) fn account(context: &Context, args: &args::Account) -> Result<Exit, Failure> {
    let home = context.home()?;
    let backend = Backend::open(context, &home, args.sandbox, None)?;
    let remotes = backend.remotes(context, &home, Vec::new());
    let doors = remotes.chosen(args.provider.as_deref(), |_| true)?;
    let (found, failures) = ask(&backend, &remotes, &doors, async |remote| remote.account().await);
    if super::is_json(context) {
        if !found.is_empty() {
            let by_alias: Map<_, _> = found.iter().map(|(alias, account)| (alias.clone(), json!(account))).collect();
            context.printer.json(&by_alias);
        }
    } else {
        let style = super::style(context, Stream::Out);
        let pages: Vec<_> = found.iter().map(|(alias, account)| catalog::account(alias, account, &style)).collect();
        context.printer.result(&pages.join("\n"));
    }
    Ok(after(context, &failures))
}
