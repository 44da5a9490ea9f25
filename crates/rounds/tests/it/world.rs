//! A small world around the rules: workers, validators, a trainer, an engine, a disk, and crashes.
//!
//! It keeps the event log and the last checkpoint as the real node does. Some workers and validators
//! lie; messages are late, lost and out of order.

use std::collections::BTreeMap;

use protocol::{Check, Party, PromptLease, ValidatorId};
use rounds::{
    Action, Batch, EvalScore, Event, FinishCause, GroupSummary, OutcomeKind, RolloutSummary, Rounds, RoundsConfig,
    RoundsError, TaskShare,
};

use super::script::beacon;
use super::witness::Witness;

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

/// Whether something is so for a lease and a party, whatever the order of things.
fn luck(salt: u64, lease: u64, party: u32, permille: u64) -> bool {
    mix(mix(salt ^ mix(lease)) ^ u64::from(party)) % 1000 < permille
}

/// What goes wrong, and in which order things come back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weather {
    pub(crate) seed: u64,
    /// Groups come back and are checked in lease order; all else stays random.
    pub(crate) in_order: bool,
    pub(crate) dull_permille: u64,
    pub(crate) fail_permille: u64,
    pub(crate) crash_permille: u64,
    pub(crate) stop_permille: u64,
    /// Leases and orders that are answered too late, or never.
    pub(crate) late_permille: u64,
    /// Verdicts of honest validators that cannot check.
    pub(crate) unchecked_permille: u64,
    /// Groups that sit on a tolerance, and clear lies that one validator finds narrow.
    pub(crate) edge_permille: u64,
}

/// Who lies, and how often. The parties with the lowest numbers are the liars.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lies {
    pub(crate) workers: u32,
    pub(crate) validators: u32,
    /// Groups of a lying worker that are lies, and orders on which a lying validator lies.
    pub(crate) permille: u64,
}

impl Lies {
    fn of(&self, party: Party) -> bool {
        match party {
            Party::Worker(worker) => worker < self.workers,
            Party::Validator(validator) => validator < self.validators,
            Party::Trainer | Party::Treasury => false,
        }
    }
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
    Draw(u64),
    Seal(u64, ValidatorId),
    Reveal(u64, ValidatorId),
    Plant(u64, ValidatorId),
    Train(Batch),
    Publish(u64),
    Eval(u64),
    LostEval(u64),
    Save { step: u64, state: Vec<u8>, trainer: Trainer },
}

impl Job {
    /// The lease it is about, for weather in which leases come in order.
    fn lease(&self) -> Option<u64> {
        match self {
            Self::Group(lease) => Some(lease.lease),
            Self::Draw(lease) | Self::Seal(lease, _) | Self::Reveal(lease, _) => Some(*lease),
            _ => None,
        }
    }
}

pub(crate) struct World {
    config: RoundsConfig,
    weather: Weather,
    lies: Lies,
    chance: Chance,
    pub(crate) rounds: Rounds,
    pub(crate) trainer: Trainer,
    jobs: Vec<Job>,
    beacon_round: u64,
    /// Steps to go on for when the run is done.
    extensions: Vec<u64>,
    // What survives a crash:
    pub(crate) log: Vec<(Event, Vec<Action>)>,
    store: BTreeMap<u64, GroupSummary>,
    checkpoint: Option<(Vec<u8>, Trainer)>,
    // What the test knows:
    pub(crate) witness: Witness,
    pub(crate) crashes: u64,
    pub(crate) late_answers: u64,
    pub(crate) evals: Vec<u64>,
}

const FRESH: Trainer = Trainer { step: 0, weights: 1 };

impl World {
    pub(crate) fn new(config: &RoundsConfig, weather: Weather, lies: Lies) -> Self {
        let workers = (0..config.workers).map(Party::Worker);
        let parties = workers.chain((0..config.validators).map(Party::Validator));
        Self {
            rounds: Rounds::new(config.clone()).unwrap(),
            config: config.clone(),
            weather,
            lies,
            chance: Chance(weather.seed),
            trainer: FRESH,
            jobs: Vec::new(),
            beacon_round: 1_000,
            extensions: Vec::new(),
            log: Vec::new(),
            store: BTreeMap::new(),
            checkpoint: None,
            witness: Witness::new(config, parties.filter(|&party| lies.of(party)).collect()),
            crashes: 0,
            late_answers: 0,
            evals: Vec::new(),
        }
    }

    /// When the run is done it goes on to so many steps.
    pub(crate) fn extended(mut self, steps_max: u64) -> Self {
        self.extensions.push(steps_max);
        self
    }

    /// Runs until all steps are done, dying and being stopped on the way.
    pub(crate) fn run(&mut self) -> FinishCause {
        let mut finish = self.tell(Event::Started);
        for _ in 0..400_000 {
            match finish {
                Some(FinishCause::Stopped) => finish = self.resume(),
                Some(FinishCause::StepsDone) if !self.extensions.is_empty() => {
                    let steps_max = self.extensions.remove(0);
                    self.tell(Event::Extended { steps_max });
                    finish = self.resume();
                }
                Some(cause) => return cause,
                None if self.chance.permille(self.weather.crash_permille) => finish = self.crash(),
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
            Err(
                RoundsError::LeaseEnded { .. }
                | RoundsError::NotChecking { .. }
                | RoundsError::VerdictNotAsked { .. }
                | RoundsError::PlantNotOpen { .. }
                | RoundsError::WorkerFined { .. }
                | RoundsError::VersionOutOfOrder { .. },
            ) => {
                assert_eq!(self.rounds, before, "a refused event changes nothing");
                self.late_answers += 1;
                return None;
            }
            Err(error) => panic!("{event:?}: {error}"),
        };
        self.rounds.assert_invariants();
        if let Event::GroupFinished(group) = &event {
            self.store.insert(group.lease, group.clone());
        }
        self.witness.hears(&event);
        self.log.push((event, actions.clone()));
        actions.iter().for_each(|action| self.witness.sees(action, &self.store));
        if self.chance.permille(self.weather.crash_permille) {
            return self.crash();
        }
        actions.into_iter().filter_map(|action| self.act(action)).last()
    }

    fn act(&mut self, action: Action) -> Option<FinishCause> {
        match action {
            Action::Lease(lease) => self.jobs.push(Job::Group(lease)),
            Action::Draw { lease } => self.jobs.push(Job::Draw(lease)),
            Action::Check { lease, validator } => self.jobs.push(Job::Seal(lease, validator)),
            Action::Reveal { lease, validator } => self.jobs.push(Job::Reveal(lease, validator)),
            Action::Plant { plant, validator } => self.jobs.push(Job::Plant(plant, validator)),
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
            // Half of the cancelled work comes back all the same.
            Action::DropGroup { lease, .. } if lease % 2 == 0 => {
                self.jobs.retain(|job| job.lease() != Some(lease));
            }
            Action::Accepted { .. }
            | Action::DropGroup { .. }
            | Action::Notice(_)
            | Action::Fine { .. }
            | Action::Suspend { .. } => {}
            Action::Finish { cause } => return Some(cause),
        }
        None
    }

    fn finish_some_job(&mut self) -> Option<FinishCause> {
        assert!(!self.jobs.is_empty(), "stuck; waiting on {:?}", self.rounds.waiting_on());
        assert!(!self.rounds.waiting_on().is_empty() || self.rounds.training().is_some());
        let mut index = self.chance.below(self.jobs.len() as u64) as usize;
        if self.weather.in_order && self.jobs[index].lease().is_some() {
            let lease = |&at: &usize| self.jobs[at].lease().unwrap_or(u64::MAX);
            index = (0..self.jobs.len()).min_by_key(lease).unwrap(); // there is one
        }
        let event = match self.jobs.swap_remove(index) {
            Job::Group(lease) => self.answer(lease),
            Job::Draw(lease) => {
                self.beacon_round += 1;
                Event::Drawn { lease, beacon: beacon(self.beacon_round) }
            }
            Job::Seal(lease, validator) => self.seal(lease, validator),
            Job::Reveal(lease, validator) => self.reveal(lease, validator),
            Job::Plant(plant, validator) => {
                let caught = !self.validator_lies(plant, validator);
                Event::PlantAnswered { plant, validator, caught }
            }
            Job::Train(batch) => {
                self.trainer.train(&batch, &self.store);
                Event::StepTrained { step: batch.step }
            }
            Job::Publish(version) => {
                Event::WeightsPublished { version, weights: [version as u8; 32], beacon: beacon(version) }
            }
            Job::Eval(eval) => Event::EvalFinished { eval, scores: self.scores() },
            Job::LostEval(eval) => Event::EvalFailed { eval, cause: "its weights are gone".into() },
            Job::Save { step, state, trainer } => {
                self.checkpoint = Some((state, trainer));
                Event::CheckpointSaved { step }
            }
        };
        self.tell(event)
    }

    /// What the weights of now score: a matter of the step alone.
    fn scores(&self) -> Vec<EvalScore> {
        let step = self.trainer.step;
        let of = |(task, share): (usize, &TaskShare)| {
            (0..share.levels).map(move |level| {
                let micro = (mix(step ^ mix(u64::from(level) + 1)) % 1_000_001) as i64;
                EvalScore { task: task as u32, level, items: 5, exact_micro: micro / 2, reward_micro: micro }
            })
        };
        self.config.tasks.iter().enumerate().flat_map(of).collect()
    }

    /// What a worker sends, if it sends it in time.
    fn answer(&mut self, lease: PromptLease) -> Event {
        let (id, worker) = (lease.lease, lease.worker);
        if self.chance.permille(self.weather.late_permille) {
            if self.chance.permille(500) {
                self.jobs.push(Job::Group(lease)); // too late, as the next event says
            }
            return Event::LeaseOverdue { lease: id };
        }
        let lies = self.lies.of(Party::Worker(worker)) && luck(1, id, worker, self.lies.permille);
        if !lies {
            return self.make_group(&lease);
        }
        self.witness.lie(id);
        match luck(2, id, worker, 200) {
            true => Event::WorkerLied { worker, lease: Some(id), check: Check::Malformed },
            false => self.make_group(&lease),
        }
    }

    /// What a worker makes follows from the lease, the weights it used, and the weather's seed. A
    /// sequential run has one choice of weights, so there it follows from the lease alone.
    fn make_group(&mut self, lease: &PromptLease) -> Event {
        let version = lease.weight_version;
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
        let root = [mix(lease.lease) as u8; 32];
        Event::GroupFinished(GroupSummary { lease: lease.lease, root, rollouts })
    }

    fn validator_lies(&self, lease: u64, validator: ValidatorId) -> bool {
        self.lies.of(Party::Validator(validator)) && luck(3, lease, validator, self.lies.permille)
    }

    /// An order is overdue, and half of the time its answer comes all the same.
    fn overdue(&mut self, lease: u64, validator: ValidatorId, late: Job) -> Event {
        if self.chance.permille(500) {
            self.jobs.push(late);
        }
        Event::VerdictFailed { lease, validator, check: None }
    }

    fn seal(&mut self, lease: u64, validator: ValidatorId) -> Event {
        match self.chance.permille(self.weather.late_permille) {
            true => self.overdue(lease, validator, Job::Seal(lease, validator)),
            false => Event::VerdictSealed { lease, validator },
        }
    }

    /// Liars collude: they call every lie valid, and what is honest invalid, clearly or narrowly. Some do
    /// not stand by what they sealed. On a tolerance, honest validators contradict each other.
    fn reveal(&mut self, lease: u64, validator: ValidatorId) -> Event {
        if self.chance.permille(self.weather.late_permille) {
            return self.overdue(lease, validator, Job::Reveal(lease, validator));
        }
        let lies = self.validator_lies(lease, validator);
        if lies && luck(4, lease, validator, 200) {
            return Event::VerdictFailed { lease, validator, check: Some(Check::SealMismatch) };
        }
        let (check, edge) = (Check::TokenMargin, self.weather.edge_permille);
        let on_the_edge = !self.witness.is_lie(lease) && luck(6, lease, 0, edge);
        let narrow = luck(7, lease, validator, if lies { 500 } else { edge });
        let outcome = match self.witness.is_lie(lease) != lies {
            _ if on_the_edge && !lies && luck(9, lease, validator, 500) => OutcomeKind::Narrow(check),
            true if narrow => OutcomeKind::Narrow(check),
            true => OutcomeKind::Invalid(Check::TokenMargin),
            false if !lies && luck(5, lease, validator, self.weather.unchecked_permille) => OutcomeKind::Unchecked,
            false => OutcomeKind::Valid,
        };
        Event::VerdictRevealed { lease, validator, outcome }
    }

    fn crash(&mut self) -> Option<FinishCause> {
        self.crashes += 1;
        self.resume()
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
