//! How leases become batches.
//!
//! Promise: no batch holds a group that is staler than the limit; a sequential batch depends on the
//! leases' order alone; refills are bounded, and a batch that stays short or empty is reported.

use std::collections::BTreeMap;

use protocol::{LeaseId, Party, PromptLease, WorkerId};

use crate::admission::{Load, capacity};
use crate::constants::{EMPTY_BATCHES_MAX, REFILL_WAVES_MAX};
use crate::machine::{Accepted, Back, Phase, Wave};
use crate::{Action, Batch, DropReason, FinishCause, GroupSummary, Mode, Notice, Rounds};

impl GroupSummary {
    pub(crate) fn weight_version_min(&self) -> u64 {
        let versions = self.rollouts.iter().map(|rollout| rollout.weight_version_min);
        versions.min().expect("a group without rollouts is refused on arrival")
    }
}

impl Rounds {
    /// Takes the next batch if it is there, and gives what leases may be given.
    pub(crate) fn fill(&mut self, actions: &mut Vec<Action>) {
        loop {
            self.close_wave(actions);
            self.take_batch(actions);
            self.sweep(actions);
            let lost = self.lease_groups(actions);
            if lost == 0 {
                return;
            } // else slots are free again, or the wave is over; a new wave's crew loses nothing
        }
    }

    /// `max(0, (n - 1) - version)` for the next step `n` to be taken, in versions.
    fn staleness(&self, version: u64) -> u64 {
        self.batches_taken.saturating_sub(version) // n - 1 batches have been taken
    }

    fn stale(&self, version: u64) -> Option<DropReason> {
        let (limit, given) = (self.config.staleness_limit(), self.staleness(version));
        (given > limit).then_some(DropReason::Stale { limit, given })
    }

    /// Buffers a group that may train, drops any other.
    pub(crate) fn judge(&mut self, back: Back, actions: &mut Vec<Action>) {
        let Back { lease, worker, held } = back;
        if let Ok(group) = &held {
            self.learn_from(group, actions);
        }
        let held = held.and_then(|group| match self.refusal(&group) {
            Some(reason) => Err(reason),
            None => Ok(group),
        });
        match held {
            Ok(group) => self.buffer.push_back(Accepted { worker, group }),
            Err(reason) => {
                let in_vain = reason != DropReason::Failed || self.all_workers_rest();
                self.refused += u64::from(in_vain);
                self.drop_group(lease, reason, actions);
            }
        }
    }

    /// What a valid group says of its item, and of whether there is anything to learn at all.
    fn learn_from(&mut self, group: &GroupSummary, actions: &mut Vec<Action>) {
        // A single rollout is compared with other groups.
        let signal = self.config.group_size == 1 || group.rewards_differ();
        let useful = signal && self.config.gate.refusal(group).is_none();
        self.sampler.learn(&self.config, group, useful, self.next_lease);
        let told = self.signal.judged(useful, group.reward_mean_micro());
        actions.extend(told.map(Action::Notice));
        if self.signal.is_lost() && self.phase == Phase::Running {
            let (groups, reward_micro) = (self.signal.vain(), self.signal.vain_mean());
            self.phase = Phase::Ending(FinishCause::NoSignal { groups, reward_micro });
        }
    }

    fn refusal(&self, group: &GroupSummary) -> Option<DropReason> {
        let stale = self.stale(group.weight_version_min());
        stale.or(self.config.gate.refusal(group))
    }

    pub(crate) fn drop_group(&mut self, lease: LeaseId, reason: DropReason, actions: &mut Vec<Action>) {
        let count = match reason {
            DropReason::Stale { .. } => &mut self.counters.dropped_stale,
            DropReason::EqualRewards | DropReason::OutsideGate => &mut self.counters.dropped_no_signal,
            DropReason::Failed => &mut self.counters.dropped_failed,
            DropReason::WorkerBanned => &mut self.counters.dropped_banned,
            DropReason::Unchecked => &mut self.counters.dropped_unchecked,
            DropReason::Cancelled => &mut self.counters.dropped_run_ended,
        };
        *count += 1;
        if let (DropReason::WorkerBanned, Some(wave)) = (reason, &mut self.wave) {
            wave.lost += 1;
        }
        // In sequential mode the item is free with the end of the wave, whenever in it the lease was lost.
        if self.config.mode == Mode::Async {
            self.sampler.ended(&self.config, lease, self.next_lease);
        }
        actions.push(Action::DropGroup { lease, reason });
    }

    /// Drops whatever has become too old for the next batch, whether it waits, is checked or is still out. A
    /// lease that is out counts by its own version, so time in queues counts too. Between two
    /// batches nothing ages, so one sweep after each batch keeps the bound for the next.
    /// Source: prime-rl, which drops at the same two places.
    fn sweep(&mut self, actions: &mut Vec<Action>) {
        let checked = self.panels.values().map(|panel| &panel.group);
        let back = self.buffer.iter().map(|kept| &kept.group).chain(checked);
        let back = back.map(|group| (group.lease, group.weight_version_min()));
        let out = self.in_flight.values().map(|lease| (lease.lease, lease.weight_version));
        let judged = back.chain(out);
        let old: BTreeMap<LeaseId, DropReason> =
            judged.filter_map(|(lease, version)| Some((lease, self.stale(version)?))).collect();
        self.buffer.retain(|kept| !old.contains_key(&kept.group.lease));
        self.panels.retain(|lease, _| !old.contains_key(lease));
        // Nobody waits for the deadline of a lease that is of no use any more, but silence is silence.
        let unanswered: Vec<_> = self.in_flight.extract_if(.., |lease, _| old.contains_key(lease)).collect();
        for (_, lease) in unanswered {
            self.note_silence(Party::Worker(lease.worker), actions);
        }
        for (lease, reason) in old {
            self.drop_group(lease, reason, actions);
        }
    }

    /// Sequential mode: once a wave is wholly back, judges it in lease order and, if groups are
    /// missing, opens the next wave for exactly those.
    fn close_wave(&mut self, actions: &mut Vec<Action>) {
        let Some(wave) = self.wave.take() else { return };
        let out = self.in_flight.len() + self.panels.len();
        if wave.spent || wave.unissued > 0 || out > 0 {
            self.wave = Some(wave);
            return;
        }
        for back in wave.arrived.into_values() {
            self.judge(back, actions);
        }
        self.sampler.all_ended(&self.config, self.next_lease);
        let missing = self.config.prompts_per_step - self.buffer.len() as u32; // ≤ B by the wave
        if missing > 0 {
            let spent = wave.lost == 0 && wave.number == REFILL_WAVES_MAX;
            let number = wave.number + u32::from(wave.lost == 0 && !spent);
            let next = self.new_wave(number, if spent { 0 } else { missing });
            self.wave = Some(Wave { spent, ..next });
        }
    }

    fn new_wave(&self, number: u32, unissued: u32) -> Wave {
        Wave { number, unissued, lost: 0, crew: self.crew(), arrived: Default::default(), spent: false }
    }

    fn refills_spent(&self) -> bool {
        let allowed = u64::from(REFILL_WAVES_MAX) * u64::from(self.config.prompts_per_step);
        match self.config.mode {
            Mode::Sequential => self.wave.as_ref().is_some_and(|wave| wave.spent),
            Mode::Async => self.refused >= allowed,
        }
    }

    /// Gives the trainer its next batch if it is idle and the batch is full or cannot get fuller.
    fn take_batch(&mut self, actions: &mut Vec<Action>) {
        let need = self.config.prompts_per_step;
        let have = self.buffer.len().min(need as usize);
        let due = have == need as usize || self.refills_spent();
        if self.training.is_some() || self.batches_taken == self.config.steps_max || !due {
            return;
        }
        self.wave = None;
        self.refused = 0;
        let step = self.batches_taken + 1;
        if have == 0 {
            return self.note_empty_batch(step, actions);
        }
        let have_groups = have as u32; // ≤ need
        if have_groups < need {
            self.counters.batches_short += 1;
            let notice = Notice::ShortBatch { step, have: have_groups, need };
            actions.push(Action::Notice(notice));
        }
        let groups: Vec<GroupSummary> = self.buffer.drain(..have).map(|kept| kept.group).collect();
        let batch = self.make_batch(step, &groups);
        self.empty_batches = 0;
        self.batches_taken = step;
        self.training = Some(batch.clone());
        actions.push(Action::TrainBatch(batch));
    }

    fn make_batch(&self, step: u64, groups: &[GroupSummary]) -> Batch {
        let ages = || groups.iter().map(|group| self.staleness(group.weight_version_min()));
        let rollouts = groups.iter().flat_map(|group| &group.rollouts);
        let batch = Batch {
            step,
            leases: groups.iter().map(|group| group.lease).collect(),
            staleness_sum: ages().sum(),
            staleness_max: ages().max().unwrap_or(0), // a batch has a group
            tokens: rollouts.map(|rollout| u64::from(rollout.tokens)).sum(),
        };
        let limit = self.config.staleness_limit();
        assert!(batch.staleness_max <= limit, "the sweep let a stale group into step {step}");
        batch
    }

    fn note_empty_batch(&mut self, step: u64, actions: &mut Vec<Action>) {
        self.empty_batches += 1;
        self.counters.batches_empty += 1;
        let (given, limit) = (self.empty_batches, EMPTY_BATCHES_MAX);
        actions.push(Action::Notice(Notice::EmptyBatch { step, given, limit }));
        if given >= limit {
            self.phase = Phase::Ending(FinishCause::EmptyBatches { limit });
        }
    }

    /// Gives leases, and says how many were lost as soon as they were given a number.
    fn lease_groups(&mut self, actions: &mut Vec<Action>) -> u64 {
        if self.phase != Phase::Running || self.awaited_eval().is_some() {
            return 0;
        }
        let count = match self.config.mode {
            Mode::Async if self.refills_spent() => 0, // the next batch is taken as it is
            Mode::Async => capacity(self.load(), self.config.staleness_max),
            Mode::Sequential => self.wave_capacity(),
        };
        match self.config.mode {
            Mode::Async => {
                self.lease_to_idlest(count, actions);
                0
            }
            Mode::Sequential => self.lease_in_turn(count, actions),
        }
    }

    /// Async mode: each lease goes to the worker with the fewest leases out, in turn among equals.
    fn lease_to_idlest(&mut self, count: u64, actions: &mut Vec<Action>) {
        if count == 0 {
            return;
        }
        let mut out: BTreeMap<WorkerId, u64> = self.crew().into_iter().map(|worker| (worker, 0)).collect();
        for lease in self.in_flight.values() {
            out.entry(lease.worker).and_modify(|count| *count += 1);
        }
        for _ in 0..count {
            let (turn, workers) = (self.turn, self.config.workers);
            let place = |worker: WorkerId| (worker + workers - turn) % workers;
            let Some((&worker, leases)) = out.iter_mut().min_by_key(|(worker, leases)| (**leases, place(**worker)))
            else {
                return; // every worker was fined, and the run is ending
            };
            *leases += 1;
            self.turn = (worker + 1) % workers;
            let lease = self.next_lease(worker);
            actions.push(Action::Lease(self.give(lease)));
        }
    }

    /// Sequential mode: the wave's crew takes its leases in turn. One that was to go to a worker
    /// fined meanwhile is lost like all others of that worker, given or not. Says how many were lost.
    fn lease_in_turn(&mut self, count: u64, actions: &mut Vec<Action>) -> u64 {
        let mut lost = 0;
        for _ in 0..count {
            let worker = self.next_of_crew();
            let lease = self.next_lease(worker);
            if self.fined(Party::Worker(worker)).is_none() {
                actions.push(Action::Lease(self.give(lease)));
            } else {
                lost += 1;
                self.drop_group(lease.lease, DropReason::WorkerBanned, actions);
            }
        }
        lost
    }

    /// The worker whose turn the next lease is; if it rests, the next one of the crew that can work.
    fn next_of_crew(&self) -> WorkerId {
        let crew = &self.wave.as_ref().expect("sequential leases belong to a wave").crew;
        let first = (self.next_lease % crew.len() as u64) as usize; // a crew has a worker
        let unfit = |&worker: &WorkerId| {
            let worker = Party::Worker(worker);
            self.fined(worker).is_some() || self.rests(worker)
        };
        if !self.rests(Party::Worker(crew[first])) {
            return crew[first];
        }
        let turns = crew[first..].iter().chain(&crew[..first]);
        turns.copied().find(|worker| !unfit(worker)).unwrap_or(crew[first])
    }

    /// Where all groups are, as [`crate::admission`] counts them.
    pub(crate) fn load(&self) -> Load {
        Load {
            per_batch: self.config.prompts_per_step.into(),
            batches_taken: self.batches_taken,
            buffered: self.buffer.len() as u64,
            in_flight: self.in_flight.len() as u64,
            checking: self.panels.len() as u64,
            in_flight_max: self.config.in_flight_groups_max.into(),
            version: self.published,
            steps_max: self.config.steps_max,
        }
    }

    /// Leases of the current wave that fit the free slots. Step `n` opens its first wave when the
    /// trainer is idle and version `n - 1` is published.
    fn wave_capacity(&mut self) -> u64 {
        let idle = self.training.is_none() && self.published == self.batches_taken;
        if !idle || self.batches_taken == self.config.steps_max {
            return 0;
        }
        let mut wave = self.wave.take().unwrap_or_else(|| self.new_wave(0, self.config.prompts_per_step));
        let slots = u64::from(self.config.in_flight_groups_max) - self.in_flight.len() as u64;
        let count = slots.min(wave.unissued.into());
        wave.unissued -= count as u32; // ≤ unissued
        self.wave = Some(wave);
        count
    }

    fn next_lease(&mut self, worker: WorkerId) -> PromptLease {
        let lease = self.next_lease;
        let (task, item) = self.sampler.draw(&self.config.tasks, lease);
        self.next_lease += 1;
        let member = self.member_mut(Party::Worker(worker));
        let worker_lease = member.leases;
        member.leases += 1;
        PromptLease {
            lease,
            task,
            item,
            weight_version: self.published,
            weights: self.weights,
            group_size: self.config.group_size,
            run_seed: self.config.run_seed,
            worker,
            worker_lease,
            beacon: self.beacon,
        }
    }

    fn give(&mut self, lease: PromptLease) -> PromptLease {
        self.in_flight.insert(lease.lease, lease.clone());
        lease
    }
}
