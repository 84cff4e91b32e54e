//! What a run has spent, and what its budget holds back for jobs that are under way.
//!
//! What a submit will cost is reserved at its intent and becomes what was charged once the API says so; a failed job is refunded, a
//! cancelled one counts as spent (`apis/armox.md`). Where the API names no charge, the estimate counts as spent when the job is done.

use crate::{
    job::{JobState, TargetKind},
    journal::event::{Limit, StepBrief},
    result::JobFacts,
};

/// The account of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spending {
    /// Credits as charged, less those of failed jobs, which the API gives back.
    pub credits: f64,
    /// Tokens used.
    pub tokens: u64,
    /// What the budget counts as spent: charges, and estimates where no charge was named.
    counted: f64,
    /// Credits held back for submits whose charge is not known yet.
    reserved: f64,
    /// Submits of unknown cost whose charge is not known yet.
    unpriced: u32,
    /// Submits of unknown cost of which nobody can tell whether they were charged.
    doubted: u32,
}

/// What a step has open in the account.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Open {
    /// What is held back for it.
    reserved: f64,
    /// Whether nobody knows what it will cost.
    unpriced: bool,
    /// Whether that holds, and nobody can tell whether it was charged.
    doubted: bool,
    /// What it was charged, as far as it is counted.
    charged: f64,
}

impl Open {
    /// Returns what was charged or is held back for the step.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.charged + self.reserved
    }
}

/// What a budget says to a submit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Affords {
    /// It may leave.
    Yes,
    /// It waits until the charge of another is known.
    Later,
    /// It would pass the budget.
    No(Shortfall),
}

/// By what a budget does not allow a submit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shortfall {
    /// Credits.
    Credits {
        /// What it would cost; none where nobody knows.
        needs: Option<f64>,
        /// What is spent or held back.
        taken: f64,
        /// The bound.
        limit: f64,
    },
    /// Credits: what another one cost, if anything, nobody knows, nor what this one would.
    Doubt {
        /// The bound.
        limit: f64,
    },
    /// Tokens.
    Tokens {
        /// What is used.
        used: u64,
        /// The bound.
        limit: u64,
    },
}

/// Returns what a step's job costs in credits: none where nobody knows; agents, pipelines and requests cost none.
#[must_use]
pub fn price(brief: &StepBrief) -> Option<f64> {
    match TargetKind::of_verb(&brief.verb) {
        Some(TargetKind::Model | TargetKind::App) => brief.credits,
        _ => Some(0.0),
    }
}

impl Spending {
    /// Says whether a submit may leave under a budget.
    #[must_use]
    pub fn affords(&self, limit: &Limit, price: Option<f64>) -> Affords {
        if let Some(limit) = limit.tokens
            && self.tokens >= limit
        {
            return Affords::No(Shortfall::Tokens { used: self.tokens, limit });
        }
        let Some(limit) = limit.credits else { return Affords::Yes };
        let taken = self.counted + self.reserved;
        match price {
            Some(price) if price <= 0.0 => Affords::Yes,
            // What is exactly spent is allowed; a rounding error is no debt.
            Some(price) if taken + price <= limit + 1e-9 => Affords::Yes,
            None if self.counted >= limit => {
                Affords::No(Shortfall::Credits { needs: None, taken: self.counted, limit })
            }
            // At most one job of unknown cost can pass the budget: it goes alone, and none behind one that may have been charged anything.
            None if self.doubted > 0 => Affords::No(Shortfall::Doubt { limit }),
            None if self.unpriced > 0 || self.reserved > 0.0 => Affords::Later,
            None => Affords::Yes,
            Some(price) => Affords::No(Shortfall::Credits { needs: Some(price), taken, limit }),
        }
    }

    /// Holds back what a submit will cost.
    pub fn reserve(&mut self, open: &mut Open, price: Option<f64>) {
        self.believe(open);
        self.release(open);
        if let Some(price) = price {
            open.reserved = price.max(0.0);
            self.reserved += open.reserved;
        } else {
            open.unpriced = true;
            self.unpriced += 1;
        }
    }

    /// Gives back what was held back for a submit that had no effect, or whose charge is known.
    pub fn release(&mut self, open: &mut Open) {
        self.reserved = (self.reserved - open.reserved).max(0.0);
        self.unpriced -= u32::from(open.unpriced);
        (open.reserved, open.unpriced) = (0.0, false);
    }

    /// Begins the account of another job of a step: what the one before was charged stays spent.
    pub fn begin(&mut self, open: &mut Open) {
        self.believe(open);
        self.release(open);
        open.charged = 0.0;
    }

    /// Counts a submit of which nobody can tell whether it was accepted as if it was; where nobody knows what it costs either, no other such
    /// one goes from there on.
    pub fn doubt(&mut self, open: &mut Open) {
        if open.unpriced && !open.doubted {
            open.doubted = true;
            self.doubted += 1;
        }
        self.suspect(open);
    }

    /// Doubts no more whether a submit was charged: it had no effect, or its job is known.
    fn believe(&mut self, open: &mut Open) {
        self.doubted -= u32::from(std::mem::take(&mut open.doubted));
    }

    /// Counts a job of which nobody says what it was charged as if it was what it should cost.
    fn suspect(&mut self, open: &mut Open) {
        self.counted += open.reserved;
        self.release(open);
    }

    /// Counts what the API says that an accepted job cost.
    pub fn charge(&mut self, open: &mut Open, charged: Option<f64>) {
        self.believe(open);
        let Some(charged) = charged else { return };
        self.release(open);
        let change = charged - open.charged;
        self.credits += change;
        self.counted += change;
        open.charged = charged;
    }

    /// Counts what is known of a job that changed.
    pub fn observe(&mut self, open: &mut Open, before: Option<u64>, job: &JobFacts) {
        self.charge(open, job.credits_charged);
        self.tokens += job.tokens_used.unwrap_or_default().saturating_sub(before.unwrap_or_default());
        match job.status {
            JobState::Failed => {
                // The documents promise the refund of a failed job, though its `credits_charged` may stay.
                self.credits -= open.charged;
                self.counted -= open.charged;
                open.charged = 0.0;
                self.release(open);
            }
            JobState::Completed | JobState::Cancelled => self.suspect(open),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobHandle;

    fn job(status: JobState, charged: Option<f64>) -> JobFacts {
        JobFacts {
            id: JobHandle("j".to_owned()),
            provider: "armox".to_owned(),
            status,
            credits_charged: charged,
            tokens_used: Some(40),
            latency_ms: None,
            created_at: None,
            completed_at: None,
        }
    }

    const LIMIT: Limit = Limit { credits: Some(100.0), tokens: None };

    #[test]
    fn what_is_reserved_is_charged_refunded_or_given_back() {
        let (mut spending, mut a, mut b) = (Spending::default(), Open::default(), Open::default());
        spending.reserve(&mut a, Some(60.0));
        assert_eq!(spending.affords(&LIMIT, Some(40.0)), Affords::Yes);
        let short = Shortfall::Credits { needs: Some(41.0), taken: 60.0, limit: 100.0 };
        assert_eq!(spending.affords(&LIMIT, Some(41.0)), Affords::No(short));
        // Cheaper than expected: the rest is free again.
        spending.charge(&mut a, Some(50.0));
        assert_eq!(spending.affords(&LIMIT, Some(50.0)), Affords::Yes);
        spending.observe(&mut a, None, &job(JobState::Failed, Some(50.0)));
        assert_eq!((spending.credits, spending.affords(&LIMIT, Some(100.0))), (0.0, Affords::Yes));
        // No charge is named: the estimate counts once the job is done; credits are told as the API gave them.
        spending.reserve(&mut b, Some(30.0));
        spending.observe(&mut b, None, &job(JobState::Completed, None));
        assert_eq!((spending.credits, spending.affords(&LIMIT, Some(70.0))), (0.0, Affords::Yes));
        assert!(matches!(spending.affords(&LIMIT, Some(71.0)), Affords::No(_)));
        // A refused submit gives back what was held.
        spending.reserve(&mut b, Some(70.0));
        spending.release(&mut b);
        assert_eq!(spending.affords(&LIMIT, Some(70.0)), Affords::Yes);
    }

    /// A job that was called off was paid for; the next one of its step is another.
    #[test]
    fn the_next_job_of_a_step_is_counted_beside_the_last() {
        let (mut spending, mut open) = (Spending::default(), Open::default());
        spending.reserve(&mut open, Some(10.0));
        spending.charge(&mut open, Some(10.0));
        spending.observe(&mut open, None, &job(JobState::Cancelled, Some(10.0)));
        spending.begin(&mut open);
        spending.reserve(&mut open, Some(10.0));
        spending.charge(&mut open, Some(10.0));
        assert_eq!((spending.credits, open.total()), (20.0, 10.0));
        assert!(matches!(spending.affords(&LIMIT, Some(81.0)), Affords::No(_)));
    }

    #[test]
    fn what_costs_an_unknown_sum_goes_alone() {
        let (mut spending, mut open) = (Spending::default(), Open::default());
        assert_eq!(spending.affords(&LIMIT, None), Affords::Yes);
        spending.reserve(&mut open, None);
        assert_eq!(spending.affords(&LIMIT, None), Affords::Later);
        spending.charge(&mut open, Some(120.0));
        let short = Shortfall::Credits { needs: None, taken: 120.0, limit: 100.0 };
        assert_eq!(spending.affords(&LIMIT, None), Affords::No(short));
        assert_eq!(spending.affords(&Limit::default(), None), Affords::Yes, "no budget, no bound");
    }

    /// What nobody can tell of may have been charged anything: as long as that is so, no other goes whose cost nobody knows.
    #[test]
    fn behind_a_doubt_nothing_of_unknown_cost_goes() {
        let (mut spending, mut open) = (Spending::default(), Open::default());
        spending.reserve(&mut open, None);
        spending.doubt(&mut open);
        assert_eq!(spending.affords(&LIMIT, None), Affords::No(Shortfall::Doubt { limit: 100.0 }));
        assert_eq!(spending.affords(&LIMIT, Some(100.0)), Affords::Yes);
        spending.charge(&mut open, Some(10.0));
        assert_eq!(spending.affords(&LIMIT, None), Affords::Yes, "it was found");
        spending.begin(&mut open);
        spending.reserve(&mut open, None);
        spending.doubt(&mut open);
        spending.begin(&mut open);
        assert_eq!(spending.affords(&LIMIT, None), Affords::Yes, "it is sent again");
    }

    #[test]
    fn tokens_stop_the_next_submit() {
        let (mut spending, mut open) = (Spending::default(), Open::default());
        let limit = Limit { credits: None, tokens: Some(40) };
        assert_eq!(spending.affords(&limit, Some(0.0)), Affords::Yes);
        spending.observe(&mut open, None, &job(JobState::Completed, None));
        spending.observe(&mut open, Some(40), &job(JobState::Completed, None));
        assert_eq!(
            spending.affords(&limit, Some(0.0)),
            Affords::No(Shortfall::Tokens { used: 40, limit: 40 }),
            "a second look at the same job adds nothing"
        );
    }
}
