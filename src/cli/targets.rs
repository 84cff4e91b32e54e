//! `dagwood models` and `dagwood apps`: what an account can run, and `dagwood account`: what it has to spend.

use super::{
    args,
    context::Context,
    failure::{Exit, Failure},
    open::Backend,
};
use crate::{contract::Contract, diagnostic::nearest, job::TargetKind, report::catalog};

/// Lists targets of a kind, or shows one.
pub(crate) fn run(context: &Context, kind: TargetKind, args: &args::Targets) -> Result<Exit, Failure> {
    let backend = Backend::open(context, args.sandbox, None, &context.root())?;
    let remote = backend.remote(context, Vec::new())?;
    let found = backend.block_on(remote.catalog(&[kind]))?;
    let style = super::style(context, super::printer::Stream::Out);
    let all: Vec<_> = found.of_kind(kind).collect();
    let Some(name) = &args.name else {
        if super::is_json(context) {
            context.printer.json(&all);
        } else if all.is_empty() {
            context.printer.note(&format!("the account has no {kind}s"));
        } else {
            context.printer.result(&catalog::targets(&all, &style));
        }
        return Ok(Exit::Done);
    };
    // People do not type capitals: a name that fits but for case is meant.
    let mut fitting = found.find(kind, name);
    if fitting.is_empty() {
        fitting = all.iter().copied().filter(|contract| contract.name.eq_ignore_ascii_case(name)).collect();
    }
    match fitting.as_slice() {
        [one] => {
            if super::is_json(context) {
                context.printer.json(one);
            } else {
                context.printer.result(&catalog::target(one, &style));
            }
            Ok(Exit::Done)
        }
        [] => Err(unknown(kind, name, &all)),
        several => {
            let ids: Vec<_> = several.iter().map(|contract| format!("`{}`", contract.target.id)).collect();
            Err(Failure::usage(format!("several {kind}s are called `{name}`"))
                .help(format!("name one by its id: {}", ids.join(", "))))
        }
    }
}

fn unknown(kind: TargetKind, name: &str, all: &[&Contract]) -> Failure {
    let failure = Failure::usage(format!("the account has no {kind} `{name}`"));
    let names = all.iter().flat_map(|contract| [contract.target.id.as_str(), contract.name.as_str()]);
    match nearest(name, names) {
        Some(near) => failure.help(format!("did you mean `{near}`?")),
        None => failure.help(format!("`dagwood {kind}s` lists them")),
    }
}

/// Shows credits, plan and usage.
pub(crate) fn account(context: &Context, args: &args::Account) -> Result<Exit, Failure> {
    let backend = Backend::open(context, args.sandbox, None, &context.root())?;
    let remote = backend.remote(context, Vec::new())?;
    let account = backend.block_on(remote.account())?;
    if super::is_json(context) {
        let by_provider = serde_json::json!({super::remote::ARMOX: account});
        context.printer.json(&by_provider);
    } else {
        let style = super::style(context, super::printer::Stream::Out);
        context.printer.result(&catalog::account(super::remote::ARMOX, &account, &style));
    }
    Ok(Exit::Done)
}
