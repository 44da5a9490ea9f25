//! Fines, bans and rests: what becomes of those who lied or kept silent.
//!
//! Promise: each liar is fined once and gets nothing more to do; nothing of a banned worker is
//! trained on, unless it is in training already; silence costs a rest, never a fine.

use std::collections::BTreeSet;

use protocol::{Check, LeaseId, Party, ValidatorId, WorkerId};

use crate::machine::{Back, Rounds};
use crate::members::{Member, unfined};
use crate::verdicts::Due;
use crate::{Action, DropReason, FinishCause};

impl Rounds {
    /// Fines a worker that was not fined before, and drops all it has out, under check or waiting.
    pub(crate) fn fine_worker(
        &mut self,
        worker: WorkerId,
        lease: Option<LeaseId>,
        check: Check,
        actions: &mut Vec<Action>,
    ) {
        self.fine(Party::Worker(worker), lease, check, actions);
        self.counters.workers_fined += 1;
        let out = self.in_flight.values().filter(|out| out.worker == worker).map(|out| out.lease);
        let checking = self.panels.values().filter(|panel| panel.worker == worker).map(|panel| panel.group.lease);
        let arrived = self.wave.iter().flat_map(|wave| wave.arrived.values());
        let arrived = arrived.filter(|back| back.worker == worker).map(|back| back.lease);
        let buffered = self.buffer.iter().filter(|kept| kept.worker == worker).map(|kept| kept.group.lease);
        let banned: BTreeSet<LeaseId> = out.chain(checking).chain(arrived).chain(buffered).collect();
        self.in_flight.retain(|lease, _| !banned.contains(lease));
        self.panels.retain(|lease, _| !banned.contains(lease));
        self.buffer.retain(|kept| !banned.contains(&kept.group.lease));
        if let Some(wave) = &mut self.wave {
            wave.arrived.retain(|lease, _| !banned.contains(lease));
        }
        for lease in banned {
            self.drop_group(lease, DropReason::WorkerBanned, actions);
        }
    }

    /// Fines a validator, unless it has been already; its seats on all panels fall vacant.
    pub(crate) fn fine_validator(
        &mut self,
        validator: ValidatorId,
        lease: Option<LeaseId>,
        check: Check,
        due: &mut Due,
        actions: &mut Vec<Action>,
    ) {
        if self.fined(Party::Validator(validator)).is_some() {
            return; // two panels found its lies at once
        }
        self.fine(Party::Validator(validator), lease, check, actions);
        self.counters.validators_fined += 1;
        self.plants.remove(&validator);
        let vacant = self.panels.iter_mut().filter_map(|(&lease, panel)| panel.expel(validator).then_some(lease));
        due.extend(vacant);
    }

    fn fine(&mut self, party: Party, lease: Option<LeaseId>, check: Check, actions: &mut Vec<Action>) {
        let before = self.member_mut(party).fined.replace(check);
        assert_eq!(before, None, "{party:?} is fined twice");
        actions.push(Action::Fine { party, lease, check });
    }

    /// A lease's deadline has passed.
    pub(crate) fn overdue(&mut self, lease: LeaseId, actions: &mut Vec<Action>) {
        self.counters.leases_overdue += 1;
        self.unanswered(lease, actions);
    }

    /// A lease ends without a group. To say so is no better than to say nothing: else a worker that
    /// always fails at once would have the fewest leases out, and get them all.
    pub(crate) fn unanswered(&mut self, lease: LeaseId, actions: &mut Vec<Action>) {
        let worker = self.in_flight.remove(&lease).expect("admitted only while the lease is out").worker;
        self.note_silence(Party::Worker(worker), actions);
        self.arrive(Back { lease, worker, held: Err(DropReason::Failed) }, actions);
    }

    pub(crate) fn note_silence(&mut self, party: Party, actions: &mut Vec<Action>) {
        let (overdue_max, batches_taken) = (self.config.overdue_max, self.batches_taken);
        if self.member_mut(party).silent(overdue_max, batches_taken) {
            actions.push(Action::Suspend { party });
        }
    }

    /// Whether no worker is left that could work and does not rest.
    pub(crate) fn all_workers_rest(&self) -> bool {
        unfined(&self.workers).all(|worker| self.rests(Party::Worker(worker)))
    }

    /// Workers that leases may be made out to: those that do not rest, or, if all rest, all. Empty
    /// once every worker was fined.
    pub(crate) fn crew(&self) -> Vec<WorkerId> {
        let awake: Vec<WorkerId> =
            unfined(&self.workers).filter(|&worker| !self.rests(Party::Worker(worker))).collect();
        match awake.is_empty() {
            true => unfined(&self.workers).collect(),
            false => awake,
        }
    }

    /// Why the run cannot take its next batch, if nobody is left to work or to check.
    pub(crate) fn nobody_left(&self) -> Option<FinishCause> {
        let none = |members: &[Member]| unfined(members).next().is_none();
        match () {
            () if self.batches_taken == self.config.steps_max => None, // no batch is needed
            () if none(&self.workers) => Some(FinishCause::NoWorkers),
            () if none(&self.validators) => Some(FinishCause::NoValidators),
            () => None,
        }
    }
}
