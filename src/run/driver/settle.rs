//! Submits whose answers are lost: they are settled before anything else of their class leaves, in this run and in all others on the state.
//!
//! A class is what an API could not tell apart: base URL, target and inputs as sent. While one of it is unsettled, the next is rendered
//! and then held (the fence), here and where another run left one behind: one that still lives settles its own, and for one whose process is
//! gone it is done here, and what is found is claimed in its name.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Driver, RunError};
use crate::{
    id::{Attempt, Digest, RunId, StepPath},
    job::Target,
    journal::{
        Claimant, OpenIntent,
        event::{Event, SettledBy},
        made_since,
        state::StepIndex,
    },
    result::ErrorKind,
    run::{
        attempt::{self, Search, Settled, Told},
        decide::{KEY_LIFE, Repeat, after_absence, later},
        settle::{self, Lost},
    },
};

/// How often it is looked whether another run has settled its submit.
const RECHECK: Duration = Duration::from_secs(1);

/// What the driver knows of submits without an answer.
#[derive(Debug, Default)]
pub(super) struct Fence {
    /// What was sent, as it is written down, of submits that may have to be looked for.
    pub(super) sent: HashMap<StepIndex, (Target, Map<String, Value>)>,
    /// Steps that wait until their class is settled, in this run.
    held: BTreeMap<Digest, Vec<StepIndex>>,
    /// Steps that wait for a submit of another run.
    elsewhere: HashMap<StepIndex, Option<Timestamp>>,
    /// Submits of runs whose processes are gone that were looked into here.
    cleared: HashSet<(RunId, StepPath)>,
}

impl Driver {
    /// Returns the class of a submit, where it could be looked for or sent again.
    pub(super) fn class_of(&self, provider: &str, target: &Target, inputs: &Map<String, Value>) -> Option<Digest> {
        let lane = &self.lanes[provider];
        let can = lane.promises.findable.contains(&target.kind) || lane.promises.idempotent.contains(&target.kind);
        can.then(|| settle::class(lane.provider.base_url(), target, inputs))
    }

    /// Says whether a submit waits, because one that the API could not tell from it is unsettled. It is sent to be judged again when that has
    /// changed.
    pub(super) fn is_fenced(
        &mut self,
        ix: StepIndex,
        provider: &str,
        class: Option<Digest>,
        target: &Target,
        inputs: &Map<String, Value>,
    ) -> Result<bool, RunError> {
        let Some(class) = class.filter(|_| self.rules.fence && !self.state.step(ix).unsettled) else {
            return Ok(false);
        };
        if self.state.agenda.class(&class).unsettled > 0 {
            self.acting.insert(ix);
            self.fence.held.entry(class).or_default().push(ix);
            return Ok(true);
        }
        let lane = &self.lanes[provider];
        if !lane.promises.findable.contains(&target.kind) {
            return Ok(false);
        }
        let others = self.journal.open_intents(lane.provider.base_url(), &class, self.state.run)?;
        let open = others.into_iter().find(|(intent, is_live)| {
            let is_lost = intent.lost || !is_live;
            is_lost && !self.fence.cleared.contains(&(intent.run, intent.step.clone()))
        });
        let Some((intent, is_live)) = open else { return Ok(false) };
        self.acting.insert(ix);
        if is_live {
            let until = later(self.world.now(), RECHECK);
            self.fence.elsewhere.insert(ix, Some(until));
            return Ok(true);
        }
        self.fence.elsewhere.insert(ix, None);
        let lost = Lost { target: target.clone(), inputs: inputs.clone(), since: intent.since };
        let own = Claimant { run: intent.run, step: intent.step.clone(), attempt: intent.attempt };
        let search = self.search(ix, own, lost, Some(class), 1);
        self.tasks.spawn(attempt::settle_other(search, intent));
        Ok(true)
    }

    fn search(&self, ix: StepIndex, own: Claimant, lost: Lost, class: Option<Digest>, intents: usize) -> Search {
        let planned = self.planned(ix);
        let lane = self.lane_of(ix);
        Search {
            step: ix,
            own,
            provider: Arc::clone(&lane.provider),
            base_url: lane.provider.base_url().to_owned(),
            grace: self.grace(ix, &lost.target),
            absence_proves: lane.absence_proves,
            lost,
            class,
            intents,
            once: false,
            bound: planned.timeout,
            rules: self.rules,
            journal: self.journal.clone(),
            world: self.world.clone(),
        }
    }

    /// Returns how long an accepted job of this target may take to be listed. A run that the API answers only when it is over may be listed as
    /// late.
    fn grace(&self, ix: StepIndex, target: &Target) -> Duration {
        let lane = self.lane_of(ix);
        let learned = lane.learned.get(target).copied().unwrap_or_default();
        lane.settle_grace.max(learned * 2)
    }

    /// Returns the submit of a step, as claims name it.
    pub(super) fn claimant(&self, ix: StepIndex) -> Claimant {
        let step = self.state.step(ix);
        let attempt = step.attempt.unwrap_or(Attempt::FIRST);
        Claimant { run: self.state.run, step: step.path.clone(), attempt }
    }

    /// Begins to find out whether a submit was accepted.
    pub(super) fn settle(&mut self, ix: StepIndex) -> Result<(), RunError> {
        let repeat = self.repeat(ix);
        let step = self.state.step(ix);
        match repeat {
            Repeat::Harmless => return self.submit(ix),
            Repeat::Never => {
                self.unknown(ix, "its API has no way to tell");
                return Ok(());
            }
            Repeat::SameKey | Repeat::Findable => {}
        }
        let sent = self.fence.sent.get(&ix).filter(|_| step.class.is_some());
        let Some((sent_target, inputs)) = sent else { return self.same_key(ix, repeat) };
        let since = made_since(step.intended_at.unwrap_or(self.state.started_at), step.server_at);
        let lost = Lost { target: sent_target.clone(), inputs: inputs.clone(), since };
        let own = self.claimant(ix);
        let class = step.class;
        let intents = class.map_or(1, |class| self.state.agenda.class(&class).unsettled);
        let mut search = self.search(ix, own, lost, class, intents);
        search.once = repeat == Repeat::SameKey;
        self.acting.insert(ix);
        self.tasks.spawn(attempt::settle(search));
        Ok(())
    }

    /// Sends a submit again with the key of its first sending, of which the API makes one job.
    fn same_key(&mut self, ix: StepIndex, repeat: Repeat) -> Result<(), RunError> {
        let began = self.state.step(ix).started_at.unwrap_or(self.state.started_at);
        if repeat != Repeat::SameKey {
            self.unknown(ix, "what was sent is not known any more");
        } else if self.world.now().duration_since(began) > KEY_LIFE {
            self.unknown(ix, "its key is too old to ask");
        } else {
            self.submit(ix)?;
        }
        Ok(())
    }

    /// Takes what became of a submit of this run.
    pub(super) fn settled(&mut self, ix: StepIndex, settled: Settled, told: &[Told]) -> Result<(), RunError> {
        self.acting.remove(&ix);
        self.heed_all(ix, told);
        if !self.state.step(ix).is_unsettled() {
            return Ok(());
        }
        match settled {
            Settled::Found(submitted) => {
                self.record_settled(ix, SettledBy::List);
                self.accepted(ix, *submitted);
            }
            Settled::Absent => {
                self.record_settled(ix, SettledBy::Absent);
                let timeout = self.planned(ix).timeout;
                if let Some(event) = after_absence(&self.state, ix, timeout, self.world.now()) {
                    self.record(event);
                }
            }
            Settled::Unseen => {
                let repeat = self.repeat(ix);
                self.same_key(ix, repeat)?;
            }
            Settled::Open(words) => self.unknown(ix, &words),
            Settled::Unwritten(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Takes what became of a submit of a run whose process is gone. What was found is claimed in its name; what was not, its own resume will
    /// look into again.
    pub(super) fn settled_elsewhere(
        &mut self,
        ix: StepIndex,
        intent: OpenIntent,
        settled: &Settled,
        told: &[Told],
    ) -> Result<(), RunError> {
        self.heed_all(ix, told);
        if let Settled::Unwritten(error) = settled {
            return Err(error.clone().into());
        }
        self.fence.cleared.insert((intent.run, intent.step));
        if self.fence.elsewhere.remove(&ix).is_some() {
            self.acting.remove(&ix);
        }
        Ok(())
    }

    fn heed_all(&mut self, ix: StepIndex, told: &[Told]) {
        let name = self.lane_name(ix).expect("a submitted step has a provider");
        for told in told {
            self.heed(&name, told);
        }
    }

    /// Fails a step of whose submit nobody can tell whether it was accepted.
    fn unknown(&mut self, ix: StepIndex, words: &str) {
        let step = self.state.step(ix);
        let why = step.why.as_deref().unwrap_or("the answer was lost");
        let message = format!("{why}; nobody can tell whether the API accepted the job: {words}");
        self.fail(ix, ErrorKind::SubmitUnknown, message);
    }

    pub(super) fn record_settled(&mut self, ix: StepIndex, how: SettledBy) {
        let (step, attempt) = (self.path(ix), self.state.step(ix).attempt.unwrap_or(Attempt::FIRST));
        self.record(Event::SubmitSettled { step, attempt, how });
    }

    /// Lets the steps go on whose classes are settled, or whose time to look again has come.
    pub(super) fn unfence(&mut self) {
        if self.fence.held.is_empty() && self.fence.elsewhere.is_empty() {
            return;
        }
        let (agenda, acting, now) = (&self.state.agenda, &mut self.acting, self.world.now());
        self.fence.held.retain(|class, held| {
            let is_open = agenda.class(class).unsettled > 0;
            if !is_open {
                for ix in &*held {
                    acting.remove(ix);
                }
            }
            is_open
        });
        self.fence.elsewhere.retain(|ix, until| {
            let waits = until.is_none_or(|until| until > now);
            if !waits {
                acting.remove(ix);
            }
            waits
        });
    }

    /// Lets go of what waits for other submits: the run stops, and nothing of it leaves.
    pub(super) fn drop_fence(&mut self) {
        for ix in self.fence.held.values().flatten().chain(self.fence.elsewhere.keys()) {
            self.acting.remove(ix);
        }
        self.fence.held.clear();
        self.fence.elsewhere.clear();
    }

    /// Returns when to look again at what other runs have open.
    pub(super) fn next_recheck(&self) -> Option<Timestamp> {
        self.fence.elsewhere.values().flatten().min().copied()
    }
}
