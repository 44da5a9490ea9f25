//! What groups were worth, and where leases went, as the events tell it.
//!
//! Promise: a group counts once, however often a resumed run trains on it; what is kept is bounded by
//! the steps of the run.

use std::collections::BTreeMap;

use rounds::LevelView;

use crate::events::Event;

/// What is known of a run's groups and levels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curriculum {
    /// Groups found valid by the step under way, and groups in the step's batch.
    pub groups: BTreeMap<u64, (u64, u64)>,
    /// How every level stood after a step, for the steps that tell it.
    pub levels: BTreeMap<u64, Vec<LevelView>>,
}

impl Curriculum {
    /// Takes in one event; `step` is the last step before it.
    pub fn on_event(&mut self, event: &Event, step: u64) {
        match event {
            Event::GroupAccepted(_) => self.groups.entry(step + 1).or_default().0 += 1,
            Event::StepTrained(trained) => {
                self.groups.entry(trained.step).or_default().1 = trained.leases.len() as u64;
            }
            Event::LevelsSeen { step, levels } => drop(self.levels.insert(*step, levels.clone())),
            _ => {}
        }
    }

    /// The steps after this one will be done again.
    pub fn resume(&mut self, step: u64) {
        self.groups.range_mut(step + 1..).for_each(|(_, (_, trained))| *trained = 0);
        self.levels.split_off(&(step + 1));
    }

    /// Groups found valid, and groups trained on.
    pub fn totals(&self) -> (u64, u64) {
        self.groups.values().fold((0, 0), |sum, groups| (sum.0 + groups.0, sum.1 + groups.1))
    }
}
