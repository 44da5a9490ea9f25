//! Orders in, seals and verdicts out; and what cannot be checked is not called a lie.

use std::sync::Arc;

use protocol::{
    Check, Outcome, PromptLease, Record, RejectReason, RevealOrder, RunTerms, Signed, TaskIndex, UncheckedCause,
    VerdictReveal, VerdictSeal, VerifiedGroup,
};
use tasks::Grade;
use verify::{CheckSet, Prompts, Validator, ValidatorActor, ValidatorSetup, VerifyError, WorkerActor};

use crate::judged::{ALL, Toy, VERSION, World, encoded, keys, order, snapshot};

#[test]
fn a_verdict_leaves_only_behind_its_seal_and_admits_the_group() {
    let world = World::new(ALL);
    let mut worker = world.worker();
    worker.weights(VERSION, &world.snapshot).unwrap();
    let lease = world.lease(4);
    worker.lease(&lease).unwrap();
    let answer = std::iter::repeat_with(|| worker.step().unwrap()).find_map(|mut answers| answers.pop()).unwrap();
    let submission = protocol::Submission::decode(&answer.bytes.unwrap()).unwrap();
    let mut validator = world.validator();
    let reveal_order = RevealOrder { lease: 4 }.encode().unwrap();
    assert!(validator.message(&reveal_order).unwrap().is_empty(), "there is nothing to reveal yet");

    let key = keys("validator").public();
    let seal = validator.message(&encoded(&submission)).unwrap().pop().unwrap();
    let seal = Signed::<VerdictSeal>::decode(&seal).unwrap();
    seal.verify(&world.run, &key).unwrap();
    let reveal = validator.message(&reveal_order).unwrap().pop().unwrap();
    let reveal = VerdictReveal::decode(&reveal).unwrap();
    assert!(reveal.opens(&seal.body, &key));
    assert!(!reveal.opens(&seal.body, &keys("another validator").public()));
    let verified = VerifiedGroup::new(&world.terms, submission, vec![reveal.verdict]).unwrap();
    for rollout in verified.rollouts() {
        assert_eq!(rollout.validator_logprobs(), Some(rollout.rollout().logprobs.as_slice()));
    }
}

#[test]
fn the_same_order_gives_the_same_seal_after_a_restart() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let bytes = encoded(&world.sign(&lease, world.honest(&lease)));
    assert_eq!(world.validator().message(&bytes).unwrap(), world.validator().message(&bytes).unwrap());
}

#[test]
fn what_is_sealed_stays_sealed_though_weights_come_later() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let bytes = encoded(&world.sign(&lease, world.honest(&lease)));
    let setup = world.validator().setup().clone();
    let mut validator = Validator::new(setup);
    let unchecked = validator.message(&bytes).unwrap();
    validator.weights(VERSION, &world.snapshot).unwrap();
    assert_eq!(validator.message(&bytes).unwrap(), unchecked);
    assert_ne!(world.validator().message(&bytes).unwrap(), unchecked, "with the weights at first it is another");
}

#[test]
fn only_orders_are_taken() {
    let world = World::new(ALL);
    let mut validator = world.validator();
    let lease = world.lease(0).encode().unwrap();
    assert!(matches!(validator.message(&lease), Err(VerifyError::Protocol(_))));
    assert!(matches!(validator.message(&[]), Err(VerifyError::Protocol(_))));
}

#[test]
fn only_the_drawn_share_is_recomputed() {
    let world = World::new(250_000);
    let lease = world.lease(0);
    let submission = world.sign(&lease, world.honest(&lease));
    let verdict = world.validator().check(&order(&submission));
    assert_eq!((verdict.outcome, verdict.checked.len()), (Outcome::Valid, 1));
    // The worker is paid for all it made, drawn or not.
    let made: usize = submission.rollouts.iter().map(|rollout| rollout.completion_tokens.len()).sum();
    assert_eq!(verdict.tokens, made as u64);
    let mut other = order(&submission);
    let draws = (0..32).map(|round| {
        other.draw.randomness = [round; 32];
        world.validator().check(&other).checked[0].sample_index
    });
    let drawn: std::collections::BTreeSet<u32> = draws.collect();
    assert_eq!(drawn.len(), 4, "32 lots leave a sample of 4 out once in 2,500 times each");
}

#[test]
fn everything_is_recomputed_while_a_worker_is_on_probation() {
    let mut world = World::new(250_000);
    world.terms = Arc::new(RunTerms { probation_leases: 1, ..(*world.terms).clone() });
    world.run = world.terms.id();
    let checked = |number: u64| {
        let body = PromptLease { worker_lease: number, ..world.lease(0).body };
        let lease = Signed::new(body, &world.run, &keys("orchestrator")).unwrap();
        let submission = world.sign(&lease, world.honest(&lease));
        let verdict = world.validator().check(&order(&submission));
        (verdict.outcome, verdict.checked.len())
    };
    assert_eq!([0, 1].map(checked), [(Outcome::Valid, 4), (Outcome::Valid, 1)]);
}

#[test]
fn at_temperature_zero_equal_samples_are_honest_and_other_tokens_are_not() {
    let world = World::with(ALL, snapshot(1), |sampling| sampling.temperature = 0.0);
    let lease = world.lease(0);
    let rollouts = world.honest(&lease);
    assert_eq!(rollouts[0].completion_tokens, rollouts[1].completion_tokens);
    assert_eq!(world.judge(CheckSet::all(), &world.sign(&lease, rollouts)), Outcome::Valid);
    let rollouts = world.rollouts_of(&world.snapshot, &lease, |work| work.sampling.temperature = 0.9);
    let set = CheckSet::all().without(Check::Finish);
    let outcome = world.judge(set, &world.sign(&lease, rollouts));
    assert!(matches!(outcome, Outcome::Invalid(RejectReason { check: Check::TokenMargin, .. })), "{outcome:?}");
}

#[test]
fn weights_that_are_not_here_leave_the_submission_unchecked() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let submission = world.sign(&lease, world.honest(&lease));
    let missing = Outcome::Unchecked(UncheckedCause::WeightsMissing { version: VERSION });
    // None at all under this version, other ones, and right ones that were dropped for newer ones.
    let setup = world.validator().setup().clone();
    let mut empty = Validator::new(setup.clone());
    assert_eq!(empty.check(&order(&submission)).outcome, missing);
    empty.weights(VERSION, &snapshot(2)).unwrap();
    assert_eq!(empty.check(&order(&submission)).outcome, missing);
    let mut full = Validator::new(setup).with_versions_held(2);
    for version in VERSION..VERSION + 3 {
        full.weights(version, &world.snapshot).unwrap();
    }
    assert_eq!(full.check(&order(&submission)).outcome, missing);
    // A lie that needs no weights is found all the same.
    let mut rollouts = submission.rollouts.clone();
    rollouts[0].reward_micro += 1;
    let outcome = full.check(&order(&world.sign(&lease, rollouts))).outcome;
    assert!(matches!(outcome, Outcome::Invalid(RejectReason { check: Check::Reward, .. })), "{outcome:?}");
}

/// A validator whose task is out of order.
struct Broken;

impl Prompts for Broken {
    fn prompt(&self, task: TaskIndex, item: u64) -> Result<Arc<[u32]>, String> {
        Toy.prompt(task, item)
    }

    fn grade(&self, _: TaskIndex, _: u64, _: &[u32]) -> Result<Grade, String> {
        Err("the grader is gone".into())
    }
}

#[test]
fn a_task_that_fails_here_leaves_the_submission_unchecked() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let submission = world.sign(&lease, world.honest(&lease));
    let setup = ValidatorSetup { prompts: Arc::new(Broken), ..world.validator().setup().clone() };
    let outcome = Validator::new(setup).check(&order(&submission)).outcome;
    assert_eq!(outcome, Outcome::Unchecked(UncheckedCause::TaskFailed));
}

#[test]
fn weights_that_compute_no_numbers_leave_the_submission_unchecked() {
    let honest = World::new(ALL);
    let lease = honest.lease(0);
    let rollouts = honest.honest(&lease);
    let mut values = honest.snapshot.to_vecs();
    values[0].fill(f32::NAN);
    let snapshot = model::ModelSnapshot::new(honest.snapshot.config().clone(), values).unwrap();
    let world = World { snapshot, ..honest };
    let lease = world.lease(0);
    let outcome = world.validator().check(&order(&world.sign(&lease, rollouts))).outcome;
    assert_eq!(outcome, Outcome::Unchecked(UncheckedCause::ModelFailed));
}

#[test]
fn a_sample_drawn_no_later_than_the_lease_is_not_looked_at() {
    let world = World::new(ALL);
    let lease = world.lease(0);
    let mut early = order(&world.sign(&lease, world.honest(&lease)));
    early.draw.round = lease.body.beacon.round;
    let refused = world.validator().message(&early.encode().unwrap());
    let expected =
        protocol::ProtocolError::DrawTooEarly { lease_round: early.draw.round, draw_round: early.draw.round };
    assert!(matches!(refused, Err(VerifyError::Protocol(error)) if error == expected));
}
