//! The way to one account before a run: reads of its catalogue and of what it has to spend.
//!
//! A provider never waits or repeats, and the engine's patience belongs to runs; so reads before a run have their own, short one
//! here: nobody waits minutes for a list.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;

use super::{account::Origin, context::Context, failure::Failure};
use crate::{
    contract::Catalog,
    job::{Fault, FaultKind},
    provider::{Account, Answer, Provider, Wanted},
};

/// The most times that a read is sent.
const MOST_TRIES: u32 = 4;

/// The longest that a read waits because the API asks for it: Armox's window is a minute.
const LONGEST_WAIT: Duration = Duration::from_secs(75);

/// The wait after the first failed read; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// A provider with its key.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// The provider.
    pub(crate) provider: Arc<dyn Provider>,
    /// Where its key and URL come from.
    pub(crate) origin: Origin,
    context: Context,
}

impl Remote {
    /// Puts a provider and what people call it together.
    pub(crate) fn new(context: &Context, origin: Origin, provider: Arc<dyn Provider>) -> Self {
        Self { provider, origin, context: context.clone() }
    }

    /// Reads contracts.
    ///
    /// # Errors
    ///
    /// Where the API refuses, or cannot be reached for a while.
    pub(crate) async fn catalog(&self, wanted: &Wanted) -> Result<Catalog, Failure> {
        let words: Vec<_> = wanted.kinds().iter().map(|kind| format!("{kind}s")).collect();
        let doing = format!("read the {} of `{}`", words.join(" and "), self.origin.alias);
        let contracts = self.ask(&doing, || self.provider.catalog(wanted)).await;
        contracts.map(Catalog::new).map_err(|fault| self.failed(&doing, &fault))
    }

    /// Reads the account.
    ///
    /// # Errors
    ///
    /// Where the API refuses, or cannot be reached for a while.
    pub(crate) async fn account(&self) -> Result<Account, Failure> {
        let doing = format!("read the account of `{}`", self.origin.alias);
        let account = self.ask(&doing, || self.provider.account()).await;
        account.map_err(|fault| self.failed(&doing, &fault))
    }

    /// Reads what is left to spend, once: a figure beside others is worth no wait. None where the API counts no credits.
    ///
    /// # Errors
    ///
    /// Where the API does not say at the first asking.
    pub(crate) async fn credits_left(&self) -> Result<Option<f64>, Failure> {
        let account = self.provider.account().await.result;
        let doing = format!("read the account of `{}`", self.origin.alias);
        account.map(|account| account.credits).map_err(|fault| self.failed(&doing, &fault))
    }

    fn failed(&self, doing: &str, fault: &Fault) -> Failure {
        Failure::fault(doing, fault, self.provider.base_url(), &self.origin)
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
