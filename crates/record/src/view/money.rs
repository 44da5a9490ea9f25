//! Epochs, stake and payouts, as the events tell them.
//!
//! Promise: an epoch, a posting and a slash count once, however often a resumed run tells of them.

use protocol::Party;
use std::collections::BTreeMap;

use crate::events::{EpochClosed, EpochPosted, Event, PaidOut, StakeSlashed};

/// What is known of a run's money. Memory: a hundred bytes per epoch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Money {
    /// Epochs by number.
    pub epochs: BTreeMap<u64, EpochClosed>,
    /// Those of them that are on the chain.
    pub posted: BTreeMap<u64, EpochPosted>,
    /// Stake taken, by party.
    pub slashed: BTreeMap<Party, StakeSlashed>,
    /// What everybody has, once the run has ended.
    pub paid_out: Option<Box<PaidOut>>,
}

impl Money {
    /// Takes in one event.
    pub fn on_event(&mut self, event: &Event) {
        match event {
            Event::EpochClosed(closed) => drop(self.epochs.insert(closed.epoch, closed.clone())),
            Event::EpochPosted(posted) => drop(self.posted.insert(posted.epoch, posted.clone())),
            Event::StakeSlashed(slashed) => drop(self.slashed.insert(slashed.party, slashed.clone())),
            Event::PaidOut(table) => self.paid_out = Some(table.clone()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_resumed_run_tells_again_counts_once() {
        let mut money = Money::default();
        let closed = EpochClosed { epoch: 3, budget: 5, root: "aa".to_owned(), lifetime_total: 20, payees: 4 };
        let slashed = StakeSlashed { party: Party::Worker(2), amount: 7, block: 9 };
        for _ in 0..2 {
            money.on_event(&Event::EpochClosed(closed.clone()));
            money.on_event(&Event::StakeSlashed(slashed.clone()));
        }
        assert_eq!((money.epochs.len(), money.slashed.len()), (1, 1));
        assert_eq!(money.slashed[&Party::Worker(2)].amount, 7);
    }
}
