//! `dagwood sandbox`: the emulator by itself, for other clients and other terminals.

use std::net::SocketAddr;

use serde_json::{Map, json};

use super::{
    args,
    context::Context,
    failure::{Exit, Failure},
    open::{self, Backend},
    remotes::api,
    signals::Signals,
};
use crate::{
    project::Kind,
    sandbox::{Api, Sandbox},
};

/// Runs the emulator until a signal comes.
pub(crate) fn run(context: &Context, args: &args::Sandbox) -> Result<Exit, Failure> {
    let home = context.home()?;
    let mut settings = open::settings(&home, args.faults.as_deref())?;
    settings.address = SocketAddr::from(([127, 0, 0, 1], args.port));
    settings.requests_per_minute = args.rate.unwrap_or(settings.requests_per_minute);
    if let Some(credits) = args.credits {
        if !(credits.is_finite() && credits >= 0.0) {
            return Err(Failure::usage(format!("`--credits {credits}` is no amount")));
        }
        settings.credits = credits;
    }
    let backend = Backend::open(context, &home, false, None)?;
    backend.block_on(async {
        // Before the address is told: whoever reads it may send the signal at once.
        let mut signals = Signals::listen().map_err(|error| Failure::machine("listen for signals", &error))?;
        let sandbox = open::start(context, settings).map_err(|failure| in_use(failure, args.port))?;
        tell(context, &sandbox);
        let caught = signals.next().await;
        context.printer.note(&format!("stopped after {} requests", sandbox.log().len()));
        Ok(caught.exit())
    })
}

fn in_use(failure: Failure, port: u16) -> Failure {
    if port == 0 { failure } else { failure.help("`--port 0` takes any free port") }
}

fn tell(context: &Context, sandbox: &Sandbox) {
    let url = |api| sandbox.base_url_of(api);
    if super::is_json(context) {
        let apis: Map<_, _> = Kind::ALL
            .into_iter()
            .map(|kind| (api(kind), kind))
            .map(|(api, kind)| (kind.word().to_owned(), json!({"base_url": url(api), "key": api.key()})))
            .collect();
        // Armox's stand by themselves, too: that is what there was first.
        context.printer.json(&json!({"base_url": url(Api::Armox), "key": Api::Armox.key(), "apis": apis}));
        return;
    }
    let lines = Kind::ALL.map(|kind| {
        let api = api(kind);
        let (key, variable) = (kind.key_variable(), kind.url_variable());
        format!("  export {variable}={} {key}={}\n", url(api), api.key())
    });
    let address = sandbox.address();
    context
        .printer
        .result(&format!("the emulator of Armox, AIRMY and AIMP listens at http://{address}\n\n{}", lines.concat()));
    context.printer.note("it takes no other keys and costs nothing; Ctrl-C stops it");
}
