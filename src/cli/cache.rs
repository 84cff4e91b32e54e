//! `dagwood cache`: results that later runs may reuse, which to forget, and why a run reused one or did not.

use super::{
    args,
    context::Context,
    failure::{Exit, Failure},
    history,
    printer::Stream,
};
use crate::{
    id::{Digest, StepPath},
    journal::{History, cache::CachedResult, explain},
    report,
};
use serde_json::json;

/// Lists, forgets or explains.
pub(crate) fn run(context: &Context, args: &args::Cache) -> Result<Exit, Failure> {
    match &args.command {
        args::CacheCommand::Ls => list(context),
        args::CacheCommand::Rm(args) => remove(context, args),
        args::CacheCommand::Explain(args) => explain_run(context, args),
    }
}

/// Returns all entries, the newest first; a project without a history has none.
fn entries(history: Option<&History>) -> Result<Vec<CachedResult>, Failure> {
    let entries = history.map_or_else(|| Ok(Vec::new()), History::cache);
    entries.map_err(|error| Failure::journal("read the cache", &error))
}

fn list(context: &Context) -> Result<Exit, Failure> {
    let entries = entries(history::open(&context.home()?)?.as_ref())?;
    if super::is_json(context) {
        context.printer.json(&entries);
    } else if entries.is_empty() {
        context.printer.note("no result is kept for reuse here; steps with `cache` make them");
    } else {
        context.printer.result(&report::cache::entries(&entries, &super::style(context, Stream::Out)));
    }
    Ok(Exit::Done)
}

fn remove(context: &Context, args: &args::CacheRm) -> Result<Exit, Failure> {
    let before = match &args.older_than {
        Some(text) => Some(history::since("--older-than", text, context.world.now())?),
        None => None,
    };
    let history = history::open(&context.home()?)?;
    let entries = entries(history.as_ref())?;
    let keys: Vec<Digest> = if args.key.is_empty() {
        let wanted = entries.iter().filter(|entry| before.is_none_or(|before| entry.at < before));
        wanted.map(|entry| entry.sent.key.key).collect()
    } else {
        args.key.iter().map(|key| find(&entries, key)).collect::<Result<_, _>>()?
    };
    let removed = match &history {
        Some(history) => {
            history.forget(&keys).map_err(|error| Failure::journal("remove results from the cache", &error))?
        }
        None => 0,
    };
    if super::is_json(context) {
        context.printer.json(&json!({ "removed": removed }));
    } else {
        context.printer.result(&report::cache::removed(removed));
    }
    Ok(Exit::Done)
}

/// Finds the entry whose key begins so.
fn find(entries: &[CachedResult], key: &str) -> Result<Digest, Failure> {
    let mut found = entries.iter().map(|entry| entry.sent.key.key).filter(|known| known.to_string().starts_with(key));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(Failure::usage(format!("the cache has no key that begins with `{key}`"))
            .help("`dagwood cache ls` lists the keys")),
        (Some(_), Some(_)) => Err(Failure::usage(format!("several keys of the cache begin with `{key}`"))
            .help("write more of it; `dagwood cache ls --format json` has keys in full")),
    }
}

fn explain_run(context: &Context, args: &args::CacheExplain) -> Result<Exit, Failure> {
    let (history, run) = history::locate(context, &args.run)?;
    let records = history.records(run).map_err(|error| Failure::journal("read the run", &error))?;
    let entries = entries(Some(&history))?;
    let mut explained = explain::explain(&records, &entries);
    if let Some(step) = &args.step {
        let is_of =
            |path: &StepPath| path.as_str() == step || path.split_item().is_some_and(|(of, _)| of.as_str() == step);
        explained.retain(|explained| is_of(&explained.step));
        if explained.is_empty() {
            return Err(Failure::usage(format!("the run {run} has sent no step `{step}` that reuses results"))
                .help("`dagwood show` lists the steps of a run; those with `cache` reuse results"));
        }
    }
    if super::is_json(context) {
        context.printer.json(&explained);
    } else if explained.is_empty() {
        context.printer.note("no step of this run reuses results: none has `cache`, or none was sent");
    } else {
        context.printer.result(&report::cache::explained(&explained, &super::style(context, Stream::Out)));
    }
    Ok(Exit::Done)
}
