//! `dagwood sandbox`: the emulator by itself, for other clients and other terminals.

use std::net::SocketAddr;

use serde_json::json;

use super::{
    args,
    context::Context,
    failure::{Exit, Failure},
    open::{self, Backend},
    signals::Signals,
};
use crate::sandbox::KEY;

/// Runs the emulator until a signal comes.
pub(crate) fn run(context: &Context, args: &args::Sandbox) -> Result<Exit, Failure> {
    let mut settings = open::settings(context, args.faults.as_deref(), &context.root())?;
    settings.address = SocketAddr::from(([127, 0, 0, 1], args.port));
    settings.requests_per_minute = args.rate.unwrap_or(settings.requests_per_minute);
    if let Some(credits) = args.credits {
        if !(credits.is_finite() && credits >= 0.0) {
            return Err(Failure::usage(format!("`--credits {credits}` is no amount")));
        }
        settings.credits = credits;
    }
    let backend = Backend::open(context, false, None, &context.root())?;
    backend.block_on(async {
        // Before the address is told: whoever reads it may send the signal at once.
        let mut signals = Signals::listen().map_err(|error| Failure::machine("listen for signals", &error))?;
        let sandbox = open::start(context, settings).map_err(|failure| in_use(failure, args.port))?;
        tell(context, &sandbox.base_url());
        let caught = signals.next().await;
        context.printer.note(&format!("stopped after {} requests", sandbox.log().len()));
        Ok(caught.exit())
    })
}

fn in_use(failure: Failure, port: u16) -> Failure {
    if port == 0 { failure } else { failure.help("`--port 0` takes any free port") }
}

fn tell(context: &Context, base_url: &str) {
    if super::is_json(context) {
        context.printer.json(&json!({"base_url": base_url, "key": KEY}));
        return;
    }
    context.printer.result(&format!(
        "the emulator of Armox listens at {base_url}\n\n  \
         ARMOX_BASE_URL={base_url} ARMOX_API_KEY={KEY} dagwood models\n"
    ));
    context.printer.note("it takes no other key and costs nothing; Ctrl-C stops it");
}
