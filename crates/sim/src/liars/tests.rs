//! Every liar against the real desk and the real validator, on a real tiny model.

use std::sync::LazyLock;

use protocol::{
    Check, LeaseId, PromptLease, Record, RevealOrder, VerdictReveal, VerifiedGroup, WeightVersion, WorkerId,
};
use rounds::desk::{Desk, DeskError, Timeouts};
use rounds::{Event, OutcomeKind};
use verify::{CheckSet, Validator, ValidatorActor, Worker, WorkerActor};

use super::*;
use crate::world::World;

/// Leases that a liar is given to be caught in; four to each version of the weights.
const LEASES: u64 = 24;
const LEASES_PER_VERSION: u64 = 4;
/// Worlds in which each lying worker is tried: other models, prompts and noise.
const WORLDS: u64 = 4;

static ALL: LazyLock<Vec<World>> =
    LazyLock::new(|| (7..7 + WORLDS).map(|number| World::new(number).expect("the CPU is always there")).collect());
static WORLD: LazyLock<&World> = LazyLock::new(|| &ALL[0]);

/// How a lease ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    /// The desk refused the answer for a lie.
    Refused(Check),
    /// The validator found this.
    Judged(OutcomeKind),
    /// No answer came.
    Silent,
}

impl Ending {
    fn caught_by(self) -> Option<Check> {
        match self {
            Self::Refused(check) | Self::Judged(OutcomeKind::Invalid(check)) => Some(check),
            Self::Silent => Some(Check::Withheld),
            Self::Judged(_) => None,
        }
    }
}

fn desk(world: &World) -> Desk {
    let timeouts = Timeouts { lease_ms: 1000, verdict_ms: 1000 };
    Desk::new(world.terms.clone(), world.orchestrator_keys(), timeouts)
}

fn lease(world: &World, number: LeaseId, worker: WorkerId, version: WeightVersion) -> PromptLease {
    PromptLease {
        lease: number,
        task: 0,
        item: number,
        weight_version: version,
        weights: world.weights(version).hash,
        group_size: world.terms.group_size,
        run_seed: world.terms.run_seed,
        worker,
        worker_lease: number,
        beacon: world.lease_point(version),
    }
}

/// What the worker sends for a lease, if anything.
fn answer(desk: &mut Desk, worker: &mut dyn WorkerActor, lease: &PromptLease) -> Option<Vec<u8>> {
    worker.lease(&desk.lease(0, lease).unwrap()).unwrap();
    while !worker.is_idle() {
        if let Some(answer) = worker.step().unwrap().pop() {
            return Some(answer.bytes.unwrap());
        }
    }
    None
}

/// From the lease to the verdict.
fn run(desk: &mut Desk, worker: &mut dyn WorkerActor, judge: &mut dyn ValidatorActor, lease: &PromptLease) -> Ending {
    let Some(bytes) = answer(desk, worker, lease) else { return Ending::Silent };
    if let Err(refused) = desk.submission(lease.worker, &bytes) {
        return Ending::Refused(refused.why.lie().expect("only lies are refused here"));
    }
    let draw = WORLD.draw_point(lease.lease, 0);
    let order = desk.check_order(0, lease.lease, 0, draw).unwrap();
    let seal = judge.message(&order).unwrap().pop().expect("a seal");
    desk.from_validator(0, 0, &seal).unwrap();
    let reveal = desk.reveal_order(0, lease.lease, 0).unwrap();
    let verdict = judge.message(&reveal).unwrap().pop().expect("a verdict");
    match desk.from_validator(0, 0, &verdict) {
        Ok(heard) => match heard.event {
            Some(Event::VerdictRevealed { outcome, .. }) => Ending::Judged(outcome),
            event => panic!("{event:?}"),
        },
        // A check is switched off, and the desk sees by the numbers what the validator overlooked.
        Err(refused) if matches!(*refused.why, DeskError::NumbersDisagree { .. }) => Ending::Judged(OutcomeKind::Valid),
        Err(refused) => Ending::Refused(refused.why.lie().expect("only lies are refused here")),
    }
}

/// Runs leases through new weights every few leases, until the worker is caught. Gives the check and the rollouts that
/// had passed before it.
fn career(world: &World, worker: &mut dyn WorkerActor, set: CheckSet) -> (Option<Check>, u64) {
    let mut judge = Validator::new(world.validator_setup(0)).with_checks(set);
    let mut desk = desk(world);
    let mut passed = 0;
    for number in 0..LEASES {
        let version = number / LEASES_PER_VERSION;
        if number % LEASES_PER_VERSION == 0 {
            worker.weights(version, &world.weights(version).snapshot).unwrap();
            judge.weights(version, &world.weights(version).snapshot).unwrap();
        }
        let ending = run(&mut desk, worker, &mut judge, &lease(world, number, 0, version));
        if let Some(check) = ending.caught_by() {
            return (Some(check), passed);
        }
        match ending {
            Ending::Judged(OutcomeKind::Valid) => passed += u64::from(world.terms.group_size),
            // Dropped, and nobody pays.
            Ending::Judged(OutcomeKind::Narrow(_)) => {}
            ending => panic!("lease {number}: {ending:?}"),
        }
    }
    (None, passed)
}

#[test]
fn every_lying_worker_is_caught_by_a_check_that_its_card_names() {
    for cheat in Cheat::of_role(Role::Worker) {
        for world in &*ALL {
            let mut liar = worker(cheat, world.worker_setup(0), &Ring::default()).expect("a worker's cheat");
            let (caught, survived) = career(world, &mut *liar, CheckSet::all());
            println!("{cheat}: {survived} rollouts passed, then {caught:?}");
            assert!(caught.is_some_and(|check| cheat.expected().contains(&check)), "{cheat}: {caught:?}");
        }
    }
}

#[test]
fn the_honest_worker_is_never_caught() {
    for world in &*ALL {
        let mut honest = Worker::new(world.worker_setup(0));
        let passed = LEASES * u64::from(world.terms.group_size);
        assert_eq!(career(world, &mut honest, CheckSet::all()), (None, passed));
    }
}

/// Without the check made for it, a liar lives; so nothing but its lie is wrong with it, and the check is needed.
#[test]
fn a_lie_that_only_one_check_sees_passes_without_that_check() {
    let lies = [
        Cheat::ChosenPrompt,
        Cheat::BestOfN,
        Cheat::WrongTemperature,
        Cheat::CheapSampler,
        Cheat::EarlyStop,
        Cheat::ForgedLogprobs,
        Cheat::FakeReward,
        Cheat::EditedTokens,
        Cheat::SybilSwarm,
    ];
    for cheat in lies {
        let mut liar = worker(cheat, WORLD.worker_setup(0), &Ring::default()).expect("a worker's cheat");
        let (caught, _) = career(&WORLD, &mut *liar, CheckSet::all().without(cheat.expected()[0]));
        assert_eq!(caught, None, "{cheat}");
    }
}

#[test]
fn a_swarm_works_once_and_all_its_other_names_are_caught() {
    let ring = Ring::default();
    let mut judge = Validator::new(WORLD.validator_setup(0));
    judge.weights(0, &WORLD.weights(0).snapshot).unwrap();
    let mut desk = desk(&WORLD);
    let mut caught = Vec::new();
    for name in 0..4 {
        let mut liar = worker(Cheat::SybilSwarm, WORLD.worker_setup(name), &ring).expect("a worker's cheat");
        liar.weights(0, &WORLD.weights(0).snapshot).unwrap();
        let ending = run(&mut desk, &mut *liar, &mut judge, &lease(&WORLD, name.into(), name, 0));
        caught.push(ending.caught_by());
    }
    assert_eq!(caught, [None, Some(Check::TokenMargin), Some(Check::TokenMargin), Some(Check::TokenMargin)]);
}

/// Four rollouts whose rewards are all claimed, to show to validators.
fn lie_and_order(desk: &mut Desk, number: LeaseId, liar: &mut dyn WorkerActor) -> Vec<u8> {
    liar.weights(0, &WORLD.weights(0).snapshot).unwrap();
    let bytes = answer(desk, liar, &lease(&WORLD, number, 0, 0)).expect("an answer");
    desk.submission(0, &bytes).unwrap();
    desk.check_order(0, number, 0, WORLD.draw_point(number, 0)).unwrap()
}

fn opened(judge: &mut dyn ValidatorActor, order: &[u8], number: LeaseId) -> VerdictReveal {
    judge.message(order).unwrap();
    let reveal = judge.message(&RevealOrder { lease: number }.encode().unwrap()).unwrap().pop().expect("a verdict");
    VerdictReveal::decode(&reveal).unwrap()
}

#[test]
fn a_lazy_validator_calls_lies_valid_in_good_form() {
    let ring = Ring::default();
    let mut lazy = validator(Cheat::LazyValidator, WORLD.validator_setup(0), &ring).expect("a validator's cheat");
    let mut liar = worker(Cheat::EditedTokens, WORLD.worker_setup(0), &ring).expect("a worker's cheat");
    liar.weights(0, &WORLD.weights(0).snapshot).unwrap();
    let mut desk = desk(&WORLD);
    let ending = run(&mut desk, &mut *liar, &mut *lazy, &lease(&WORLD, 3, 0, 0));
    assert_eq!(ending, Ending::Judged(OutcomeKind::Valid));
    // The form is so good that a single such verdict would admit the group: hence plants and second opinions.
    assert!(desk.verified(3).is_ok());
}

#[test]
fn a_colluding_validator_spares_its_friends_and_no_strangers() {
    let ring = Ring::default();
    let mut colluder =
        validator(Cheat::ColludingValidator, WORLD.validator_setup(0), &ring).expect("a validator's cheat");
    colluder.weights(0, &WORLD.weights(0).snapshot).unwrap();
    let mut stranger = worker(Cheat::EditedTokens, WORLD.worker_setup(0), &Ring::default()).expect("a worker's cheat");
    let mut desk = desk(&WORLD);
    let order = lie_and_order(&mut desk, 1, &mut *stranger);
    let verdict = opened(&mut *colluder, &order, 1).verdict.body;
    assert_eq!(OutcomeKind::from(&verdict.outcome), OutcomeKind::Invalid(Check::TokenMargin));
    let mut friend = worker(Cheat::EditedTokens, WORLD.worker_setup(0), &ring).expect("a worker's cheat");
    let order = lie_and_order(&mut desk, 2, &mut *friend);
    let verdict = opened(&mut *colluder, &order, 2).verdict.body;
    assert_eq!(OutcomeKind::from(&verdict.outcome), OutcomeKind::Valid);
}

#[test]
fn a_copier_repeats_what_it_overheard_and_breaks_its_seal() {
    let ring = Ring::default();
    let mut copier = validator(Cheat::VerdictCopier, WORLD.validator_setup(0), &ring).expect("a validator's cheat");
    let mut liar = worker(Cheat::EditedTokens, WORLD.worker_setup(0), &ring).expect("a worker's cheat");
    let mut desk = desk(&WORLD);
    let order = lie_and_order(&mut desk, 5, &mut *liar);
    let mut honest = Validator::new(WORLD.validator_setup(1));
    honest.weights(0, &WORLD.weights(0).snapshot).unwrap();
    let other = opened(&mut honest, &order, 5);
    ring.overhear(&other.encode().unwrap());
    let copy = opened(&mut *copier, &order, 5);
    assert_eq!(copy.verdict.body.outcome, other.verdict.body.outcome);
    assert_eq!((copy.verdict.body.validator, other.verdict.body.validator), (0, 1));
    liar.weights(0, &WORLD.weights(0).snapshot).unwrap();
    let ending = run(&mut desk, &mut *liar, &mut *copier, &lease(&WORLD, 6, 0, 0));
    assert_eq!(ending, Ending::Refused(Check::SealMismatch));
}

/// Groups of an honest worker, admitted by an honest validator.
pub(super) fn admitted(numbers: std::ops::Range<LeaseId>) -> Vec<VerifiedGroup> {
    let mut honest = Worker::new(WORLD.worker_setup(0));
    let mut judge = Validator::new(WORLD.validator_setup(0));
    honest.weights(0, &WORLD.weights(0).snapshot).unwrap();
    judge.weights(0, &WORLD.weights(0).snapshot).unwrap();
    let mut desk = desk(&WORLD);
    let admit = |number| {
        run(&mut desk, &mut honest, &mut judge, &lease(&WORLD, number, 0, 0));
        desk.verified(number).unwrap()
    };
    numbers.map(admit).collect()
}

mod update {
    use protocol::{Outcome, RejectReason, Signed, UncheckedCause, Update};
    use train::{BehaviourLogprobs, TrainRollout, Trainer};
    use verify::{Replay, describe_update};

    use super::*;

    /// Rewards less their group's mean, in whole rewards.
    fn batch(groups: &[VerifiedGroup]) -> Vec<TrainRollout> {
        let of_group = |group: &VerifiedGroup| -> Vec<TrainRollout> {
            let rewards: Vec<f32> =
                group.rollouts().map(|rollout| rollout.rollout().reward_micro as f32 / 1e6).collect();
            let mean = rewards.iter().sum::<f32>() / rewards.len() as f32;
            let made = group.rollouts().zip(rewards).map(|(rollout, reward)| {
                TrainRollout::new(&rollout, reward - mean, 1.0, BehaviourLogprobs::Worker).unwrap()
            });
            made.collect()
        };
        groups.iter().flat_map(of_group).collect()
    }

    type Step<'a> = &'a dyn Fn(&mut Trainer, &[TrainRollout]);

    /// What a trainer that steps by `step` says of its step on `groups`, signed.
    fn update(groups: &[VerifiedGroup], step: Step) -> Signed<Update> {
        let mut trainer = WORLD.trainer();
        let before = trainer.state_hash();
        step(&mut trainer, &batch(groups));
        let said = describe_update(1, groups, before, &trainer);
        Signed::new(said, &WORLD.terms.id(), &WORLD.trainer_keys()).unwrap()
    }

    fn honest(trainer: &mut Trainer, batch: &[TrainRollout]) {
        trainer.step(batch).unwrap();
    }

    fn poisoned(trainer: &mut Trainer, batch: &[TrainRollout]) {
        poisoned_step(trainer, batch).unwrap();
    }

    fn replay(groups: &[VerifiedGroup], previous: Option<&Update>, update: &Signed<Update>) -> Outcome {
        let batch = batch(groups);
        let replay = Replay { terms: &WORLD.terms, previous, groups, batch: &batch };
        replay.check(update, WORLD.trainer())
    }

    fn rejected(check: Check, given: i64) -> Outcome {
        Outcome::Invalid(RejectReason { check, sample_index: None, position: None, limit: 0, given })
    }

    #[test]
    fn a_poisoned_update_does_not_replay_and_an_honest_one_does() {
        let groups = admitted(0..8);
        assert_eq!(replay(&groups, None, &update(&groups, &honest)), Outcome::Valid);
        let poisoned = update(&groups, &poisoned);
        assert_eq!(replay(&groups, None, &poisoned), rejected(Check::UpdateReplay, 1));
        assert!(Cheat::PoisonedUpdate.expected().contains(&Check::UpdateReplay));
    }

    #[test]
    fn an_update_must_name_its_groups_and_go_on_from_the_one_before() {
        let groups = admitted(0..4);
        let said = update(&groups, &honest);
        assert_eq!(replay(&groups[1..], None, &said), rejected(Check::UpdateReplay, 1), "other groups");
        let mut previous = said.body.clone();
        assert_eq!(replay(&groups, Some(&previous), &said), rejected(Check::UpdateReplay, 1), "another past");
        previous.state_after = said.body.state_before;
        assert_eq!(replay(&groups, Some(&previous), &said), Outcome::Valid);
        let forged = Signed::new(said.body.clone(), &WORLD.terms.id(), &WORLD.orchestrator_keys()).unwrap();
        assert_eq!(replay(&groups, None, &forged), rejected(Check::Signature, 0));
    }

    #[test]
    fn a_replay_from_another_state_accuses_nobody() {
        let groups = admitted(0..4);
        let said = update(&groups, &honest);
        let batch = batch(&groups);
        let mut elsewhere = WORLD.trainer();
        elsewhere.step(&batch).unwrap();
        let replay = Replay { terms: &WORLD.terms, previous: None, groups: &groups, batch: &batch };
        let cause = UncheckedCause::WeightsMissing { version: 1 };
        assert_eq!(replay.check(&said, elsewhere), Outcome::Unchecked(cause));
    }
}
