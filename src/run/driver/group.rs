//! The group of a run: a lock that no two runs on one state hold at a time (`concurrency.group`, LANGUAGE.md, section 1).

use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::{Driver, Notice, RunError, begin::scope};
use crate::{
    id::RunId,
    journal::{Group, Journal, Ownership, event::Event},
    plan::Plan,
    source::Pointer,
    spec::OnConflict,
    template::TemplateError,
};

/// How often it is tried to get the group.
const RETRY: Duration = Duration::from_millis(250);

/// A group that a run wants, and what it does where another run holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupWish {
    /// The group's name.
    pub name: String,
    /// What to do.
    pub on_conflict: OnConflict,
}

impl GroupWish {
    /// Returns what a workflow says of its group, in a run that began then.
    ///
    /// # Errors
    ///
    /// Where the name's template fails, or gives no name.
    pub fn of(plan: &Plan, run: RunId, began: Timestamp) -> Result<Option<Self>, (Pointer, TemplateError)> {
        let Some(group) = &plan.group else { return Ok(None) };
        let name = group.name(&scope(plan, run, began))?;
        Ok(Some(Self { name, on_conflict: group.on_conflict }))
    }
}

/// What came of the first try.
#[derive(Debug)]
pub(super) enum Entry {
    /// It is held, or there is none.
    In(Option<Ownership>),
    /// Another run holds it, which is waited for.
    Wait(String, Option<RunId>),
}

/// Tries to get the group of a run that is about to start.
pub(super) fn enter(journal: &Journal, wish: Option<&GroupWish>, run: RunId) -> Result<Entry, RunError> {
    let Some(GroupWish { name, on_conflict }) = wish else { return Ok(Entry::In(None)) };
    let holder = match journal.group(name, run)? {
        Group::Held(held) => return Ok(Entry::In(Some(held))),
        Group::Busy { holder } => holder,
    };
    let busy = |skip| RunError::Busy { group: name.clone(), holder, skip };
    match on_conflict {
        OnConflict::Skip => Err(busy(true)),
        OnConflict::Fail => Err(busy(false)),
        OnConflict::Queue => Ok(Entry::Wait(name.clone(), holder)),
        OnConflict::CancelRunning => {
            if let Some(holder) = holder {
                journal.wish_end(holder)?;
            }
            Ok(Entry::Wait(name.clone(), holder))
        }
    }
}

impl Driver {
    /// Waits for the group, unless the run is cancelled meanwhile: nothing starts then, and no lock is needed.
    pub(super) async fn wait_for_group(
        &mut self,
        entry: Entry,
        cancels: bool,
        inbox: &mut mpsc::Receiver<Notice>,
    ) -> Result<Option<Ownership>, RunError> {
        let (name, mut shown) = match entry {
            Entry::In(held) => return Ok(held),
            Entry::Wait(name, holder) => (name, holder),
        };
        self.record(Event::RunWaiting { group: name.clone(), holder: shown });
        self.journal.durable().await?;
        let mut open = true;
        while self.cancelled_at.is_none() {
            match self.journal.group(&name, self.state.run)? {
                Group::Held(held) => return Ok(Some(held)),
                Group::Busy { holder } if holder != shown => {
                    // Whoever came between is waited for too, or cancelled like the first.
                    shown = holder;
                    if let Some(holder) = holder.filter(|_| cancels) {
                        self.journal.wish_end(holder)?;
                    }
                    self.record(Event::RunWaiting { group: name.clone(), holder });
                }
                Group::Busy { .. } => {}
            }
            tokio::select! {
                biased;
                notice = inbox.recv(), if open => match notice {
                    Some(notice) => self.notice(notice),
                    None => open = false,
                },
                () = self.world.sleep(RETRY) => self.heed_wish(),
            }
            self.tick();
        }
        Ok(None)
    }
}
