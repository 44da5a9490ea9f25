//! A small world around the rules: workers, a trainer, an engine, a disk, and crashes.
//!
//! It keeps the event log and the last checkpoint as the real node does, and checks at every step
//! what the rules promise.

use std::collections::BTreeMap;

use protocol::PromptLease;
use rounds::{
    Action, Batch, DropReason, Event, FinishCause, GroupSummary, Notice, RolloutSummary, Rounds, RoundsConfig,
    RoundsError,
};

/// SplitMix64: enough chance for a test, and the same on every machine.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn permille(&mut self, permille: u64) -> bool {
        self.below(1000) < permille
    }
}

pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// What goes wrong, and in which order things come back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) seed: u64,
    /// Groups come back in lease order; all else stays random.
    pub(crate) in_order: bool,
    pub(crate) dull_permille: u64,
    pub(crate) fail_permille: u64,
    pub(crate) crash_permille: u64,
    pub(crate) stop_permille: u64,
}

/// Weights as a number that depends on everything that was ever trained, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trainer {
    pub(crate) step: u64,
    pub(crate) weights: u64,
}

impl Trainer {
    fn train(&mut self, batch: &Batch, store: &BTreeMap<u64, GroupSummary>) {
        assert_eq!(batch.step, self.step + 1, "steps come in order");
        self.step += 1;
        for lease in &batch.leases {
            for rollout in &store[lease].rollouts {
                self.weights = mix(self.weights ^ rollout.reward_micro as u64).wrapping_add(1);
            }
        }
    }
}

enum Job {
    Group(PromptLease),
    Train(Batch),
    Publish(u64),
    Eval(u64),
    LostEval(u64),
    Save { step: u64, state: Vec<u8>, trainer: Trainer },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Trained(u64),
    Dropped(DropReason),
}

pub(crate) struct World {
    config: RoundsConfig,
    weather: Weather,
    chance: Chance,
    pub(crate) rounds: Rounds,
    pub(crate) trainer: Trainer,
    jobs: Vec<Job>,
    // What survives a crash:
    pub(crate) log: Vec<(Event, Vec<Action>)>,
    store: BTreeMap<u64, GroupSummary>,
    checkpoint: Option<(Vec<u8>, Trainer)>,
    // What the test knows:
    pub(crate) ends: BTreeMap<u64, End>,
    pub(crate) batches: Vec<Vec<u64>>,
    pub(crate) short_steps: Vec<u64>,
    pub(crate) crashes: u64,
    pub(crate) evals: Vec<u64>,
}

const FRESH: Trainer = Trainer { step: 0, weights: 1 };

impl World {
    pub(crate) fn new(config: &RoundsConfig, weather: Weather) -> Self {
        Self {
            rounds: Rounds::new(config.clone()).unwrap(),
            config: config.clone(),
            weather,
            chance: Chance(weather.seed),
            trainer: FRESH,
            jobs: Vec::new(),
            log: Vec::new(),
            store: BTreeMap::new(),
            checkpoint: None,
            ends: BTreeMap::new(),
            batches: Vec::new(),
            short_steps: Vec::new(),
            crashes: 0,
            evals: Vec::new(),
        }
    }

    /// Runs until all steps are done, dying and being stopped on the way.
    pub(crate) fn run(&mut self) -> FinishCause {
        let mut finish = self.tell(Event::Started);
        for _ in 0..200_000 {
            match finish {
                Some(FinishCause::Stopped) => finish = self.resume(),
                Some(cause) => return cause,
                None if self.chance.permille(self.weather.crash_permille) => {
                    self.crashes += 1;
                    finish = self.resume();
                }
                None if self.chance.permille(self.weather.stop_permille) => {
                    finish = self.tell(Event::StopRequested);
                }
                None => finish = self.finish_some_job(),
            }
        }
        panic!("no end in sight; waiting on {:?}", self.rounds.waiting_on());
    }

    /// Hears, logs, then acts. A crash may fall between logging and acting.
    fn tell(&mut self, event: Event) -> Option<FinishCause> {
        let before = self.rounds.clone();
        let actions = match self.rounds.on_event(&event) {
            Ok(actions) => actions,
            Err(RoundsError::LeaseEnded { .. } | RoundsError::VersionOutOfOrder { .. }) => {
                assert_eq!(self.rounds, before, "a refused event changes nothing");
                return None;
            }
            Err(error) => panic!("{event:?}: {error}"),
        };
        self.rounds.assert_invariants();
        if let Event::GroupFinished(group) = &event {
            self.store.insert(group.lease, group.clone());
        }
        self.log.push((event, actions.clone()));
        actions.iter().for_each(|action| self.witness(action));
        if self.chance.permille(self.weather.crash_permille) {
            self.crashes += 1;
            return self.resume();
        }
        actions.into_iter().filter_map(|action| self.act(action)).last()
    }

    /// Checks what the rules promise of each action, once: replays do not come here.
    fn witness(&mut self, action: &Action) {
        match action {
            Action::TrainBatch(batch) if self.batches.len() as u64 >= batch.step => {
                assert_eq!(self.batches[batch.step as usize - 1], batch.leases, "asked for again");
            }
            Action::TrainBatch(batch) => self.witness_batch(batch),
            Action::DropGroup { lease, reason } => self.end(*lease, End::Dropped(*reason)),
            Action::Notice(Notice::ShortBatch { step, .. }) => self.short_steps.push(*step),
            _ => {}
        }
    }

    fn witness_batch(&mut self, batch: &Batch) {
        let wanted = self.config.prompts_per_step as usize;
        let short = self.short_steps.contains(&batch.step);
        assert!(batch.leases.len() == wanted || short, "a batch keeps its size or says why");
        for &lease in &batch.leases {
            let rollouts = &self.store[&lease].rollouts;
            let oldest = rollouts.iter().map(|rollout| rollout.weight_version_min).min().unwrap();
            let staleness = batch.step - 1 - oldest;
            assert!(staleness <= self.config.staleness_limit(), "stale by {staleness}");
            self.end(lease, End::Trained(batch.step));
        }
        self.batches.push(batch.leases.clone());
    }

    fn end(&mut self, lease: u64, end: End) {
        let before = self.ends.insert(lease, end);
        assert_eq!(before, None, "lease {lease} ends twice, now as {end:?}");
    }

    fn act(&mut self, action: Action) -> Option<FinishCause> {
        match action {
            Action::Lease(lease) => self.jobs.push(Job::Group(lease)),
            Action::TrainBatch(batch) => self.jobs.push(Job::Train(batch)),
            Action::PublishWeights { version } => self.jobs.push(Job::Publish(version)),
            Action::StartEval { eval, version, .. } if version == self.trainer.step => {
                self.evals.push(version);
                self.jobs.push(Job::Eval(eval));
            }
            Action::StartEval { eval, .. } => self.jobs.push(Job::LostEval(eval)),
            Action::SaveCheckpoint { step } => {
                let state = self.rounds.to_bytes();
                self.jobs.push(Job::Save { step, state, trainer: self.trainer });
            }
            Action::DropGroup { lease, .. } => self.jobs.retain(
                // Half of the cancelled work comes back all the same.
                |job| !matches!(job, Job::Group(out) if out.lease == lease && lease % 2 == 0),
            ),
            Action::Notice(_) => {}
            Action::Finish { cause } => return Some(cause),
        }
        None
    }

    fn finish_some_job(&mut self) -> Option<FinishCause> {
        assert!(!self.jobs.is_empty(), "stuck; waiting on {:?}", self.rounds.waiting_on());
        assert!(!self.rounds.waiting_on().is_empty() || self.rounds.training().is_some());
        let mut index = self.chance.below(self.jobs.len() as u64) as usize;
        if let (Job::Group(_), true) = (&self.jobs[index], self.weather.in_order) {
            let lease = |job: &Job| match job {
                Job::Group(lease) => lease.lease,
                _ => u64::MAX,
            };
            index = (0..self.jobs.len()).min_by_key(|&at| lease(&self.jobs[at])).unwrap();
        }
        let event = match self.jobs.swap_remove(index) {
            Job::Group(lease) => self.make_group(&lease),
            Job::Train(batch) => {
                self.trainer.train(&batch, &self.store);
                Event::StepTrained { step: batch.step }
            }
            Job::Publish(version) => Event::WeightsPublished { version },
            Job::Eval(eval) => Event::EvalFinished { eval },
            Job::LostEval(eval) => Event::EvalFailed { eval, cause: "its weights are gone".into() },
            Job::Save { step, state, trainer } => {
                self.checkpoint = Some((state, trainer));
                Event::CheckpointSaved { step }
            }
        };
        self.tell(event)
    }

    /// What a worker makes follows from the lease, the weights it used, and the weather's seed. A
    /// sequential run has one choice of weights, so there it follows from the lease alone.
    fn make_group(&mut self, lease: &PromptLease) -> Event {
        let newer = self.rounds.version_published() - lease.weight_version;
        let version = lease.weight_version + self.chance.below(newer + 1);
        let luck = mix(lease.item ^ mix(version ^ u64::from(lease.task) << 32)) % 1000;
        if luck < self.weather.fail_permille {
            return Event::GroupFailed { lease: lease.lease, cause: "bad luck".into() };
        }
        let dull = luck < self.weather.fail_permille + self.weather.dull_permille;
        let rollout = |sample: u32| RolloutSummary {
            reward_micro: if dull { 0 } else { i64::from(sample) * 1000 + luck as i64 },
            weight_version_min: version,
            tokens: 7,
        };
        let rollouts = (0..lease.group_size).map(rollout).collect();
        Event::GroupFinished(GroupSummary { lease: lease.lease, rollouts })
    }

    /// A new process: the last checkpoint, then the log, then `Started`.
    fn resume(&mut self) -> Option<FinishCause> {
        self.jobs.clear();
        (self.rounds, self.trainer) = match &self.checkpoint {
            Some((state, trainer)) => (Rounds::from_bytes(state).unwrap(), *trainer),
            None => (Rounds::new(self.config.clone()).unwrap(), FRESH),
        };
        assert_eq!(self.trainer.step, self.rounds.steps_trained(), "one moment, both halves");
        for (event, actions) in &self.log[self.rounds.events_taken() as usize..] {
            if let (Event::StepTrained { .. }, Some(batch)) = (event, self.rounds.training()) {
                self.trainer.train(batch, &self.store);
            }
            assert_eq!(&self.rounds.on_event(event).unwrap(), actions, "replay does the same");
        }
        self.tell(Event::Started)
    }
}
