//! The way to an API before a run: which provider is configured, and reads of its catalogue and account.
//!
//! ```text
//! ARMOX_API_KEY(_FILE), ARMOX_BASE_URL ─┐
//!                                       ├─▶ Remote ──catalog, account──▶ answers, asked again a few times
//! --sandbox: the emulator's key and URL ┘
//! ```
//!
//! A provider never waits or repeats, and the engine's patience belongs to runs; so reads before a run have their own, short one
//! here: nobody waits minutes for a list. Nothing is built before it is needed: `validate --offline` makes no client.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::{context::Context, failure::Failure};
use crate::{
    contract::Catalog,
    job::{Fault, FaultKind, TargetKind},
    provider::{
        Account, Answer, Provider, Wanted,
        armox::{Armox, ArmoxSettings},
    },
    secret::{Redactor, Secret},
};

/// The alias of the one provider of this release.
pub(crate) const ARMOX: &str = "armox";

/// The most times that a read is sent.
const MOST_TRIES: u32 = 4;

/// The longest that a read waits because the API asks for it: Armox's window is a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(75);

/// The wait after the first failed read; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// What a provider is reached with.
#[derive(Debug)]
pub(crate) struct Door {
    /// The key.
    pub(crate) key: Secret,
    /// The base URL, where it is not the API's own.
    pub(crate) base_url: Option<String>,
}

impl Door {
    /// Looks into the environment; none where there is no key.
    ///
    /// # Errors
    ///
    /// Where the file of a key cannot be read.
    pub(crate) fn from_environment(context: &Context) -> Result<Option<Self>, Failure> {
        let Some(key) = context.key("ARMOX_API_KEY")? else { return Ok(None) };
        Ok(Some(Self { key, base_url: context.world.env("ARMOX_BASE_URL").map(str::to_owned) }))
    }
}

/// A configured provider.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// The provider.
    pub(crate) provider: Arc<dyn Provider>,
    context: Context,
}

impl Remote {
    /// Builds the provider; sends nothing.
    ///
    /// # Errors
    ///
    /// Where key or URL cannot be used.
    pub(crate) fn new(context: &Context, door: Door, secrets: Vec<Secret>) -> Result<Self, Failure> {
        let mut settings = ArmoxSettings::new(door.key);
        if let Some(base_url) = door.base_url {
            settings.base_url = base_url;
        }
        settings.redactor = Redactor::new(secrets);
        let provider = Armox::new(settings, context.world.clone()).map_err(|problem| {
            Failure::usage(problem.to_string())
                .help("see `ARMOX_API_KEY`, `ARMOX_BASE_URL`, `HTTPS_PROXY` in the environment")
        })?;
        Ok(Self { provider: Arc::new(provider), context: context.clone() })
    }

    /// Returns the provider by its alias, as a run wants it.
    pub(crate) fn by_alias(&self) -> BTreeMap<String, Arc<dyn Provider>> {
        [(ARMOX.to_owned(), Arc::clone(&self.provider))].into()
    }

    /// Reads the contracts of these kinds.
    ///
    /// # Errors
    ///
    /// Where the API refuses, or cannot be reached for a while.
    pub(crate) async fn catalog(&self, kinds: &[TargetKind]) -> Result<Catalog, Failure> {
        let words: Vec<_> = kinds.iter().map(|kind| format!("{kind}s")).collect();
        let doing = format!("read the {} of `{ARMOX}`", words.join(" and "));
        let wanted = Wanted::Kinds(kinds.to_vec());
        let contracts = self.ask(&doing, || self.provider.catalog(&wanted)).await;
        contracts.map(Catalog::new).map_err(|fault| Failure::fault(&doing, &fault, self.provider.base_url()))
    }

    /// Reads the account.
    ///
    /// # Errors
    ///
    /// Where the API refuses, or cannot be reached for a while.
    pub(crate) async fn account(&self) -> Result<Account, Failure> {
        let doing = format!("read the account of `{ARMOX}`");
        let account = self.ask(&doing, || self.provider.account()).await;
        account.map_err(|fault| Failure::fault(&doing, &fault, self.provider.base_url()))
    }

    /// Reads what is left to spend, where that is to be had at the first asking: a figure beside others is worth no wait.
    pub(crate) async fn credits_left(&self) -> Option<f64> {
        self.provider.account().await.result.ok()?.credits
    }

    async fn ask<'a, T>(&self, doing: &str, call: impl Fn() -> BoxFuture<'a, Answer<T>>) -> Result<T, Fault> {
        let mut tries = 1;
        loop {
            let fault = match call().await.result {
                Ok(found) => return Ok(found),
                Err(fault) => fault,
            };
            let Some(wait) = wait(&fault, tries, self.provider.promises().default_retry_after) else {
                return Err(fault);
            };
            let seconds = wait.as_secs();
            let said = format!("failed to {doing}: {fault}; trying again in {seconds}s");
            if seconds >= 2 {
                self.context.printer.note(&said);
            } else {
                self.context.printer.detail(&said);
            }
            self.context.world.sleep(wait).await;
            tries += 1;
        }
    }
}

/// Returns how long to wait before a read is sent again; none where that would not help.
fn wait(fault: &Fault, tries: u32, after_429: Duration) -> Option<Duration> {
    if tries >= MOST_TRIES || !fault.is_transient() {
        return None;
    }
    match fault.kind {
        FaultKind::RateLimited => {
            Some(fault.retry_after.unwrap_or(after_429)).filter(|&wait| wait <= LONGEST_WAIT && tries < 3)
        }
        // A read that took its whole timeout is worth one more, not three.
        FaultKind::Timeout if tries >= 2 => None,
        _ => Some(FIRST_WAIT * 2_u32.pow(tries - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_repeated_where_it_helps_and_not_for_long() {
        let minute = Duration::from_mins(1);
        let waits = |kind, retry_after| {
            let fault = Fault { retry_after, ..Fault::new(kind, "x") };
            (1..6).map_while(|tries| wait(&fault, tries, minute)).map(|wait| wait.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(waits(FaultKind::Network, None), [250, 500, 1000]);
        assert_eq!(waits(FaultKind::Timeout, None), [250]);
        assert_eq!(waits(FaultKind::RateLimited, None), [60_000, 60_000]);
        assert_eq!(waits(FaultKind::RateLimited, Some(Duration::from_hours(1))), [0_u128; 0]);
        assert_eq!(waits(FaultKind::Unauthorized, None), [0_u128; 0]);
    }
}
