//! Plants: what workers are asked to sign, what validators are shown, and who never pays for it.

use proof::tolerances::FINGERPRINT_ERROR_MAX_PPM;
use protocol::{
    CheckOrder, Commitment, LeaseId, Outcome, PlantRequest, PromptLease, Record, RevealOrder, Signed, Submission,
    UncheckedCause, ValidatorId, WorkerId,
};

use super::tests::{DRAW, answered, invalid, keys, lease, sealed, submission, terms, verdict};
use super::{Desk, DeskError, PlantAsk, PlantOrder};
use crate::Event;

/// Seals and opens what validator `id` says of a lease.
fn judged(desk: &mut Desk, submission: &Submission, id: ValidatorId) {
    let lease = submission.lease.body.lease;
    desk.check_order(0, lease, id, DRAW).unwrap();
    let (seal, reveal) = sealed(verdict(submission, id, Outcome::Valid));
    desk.from_validator(0, id, &seal).unwrap();
    desk.reveal_order(0, lease, id).unwrap();
    desk.from_validator(0, id, &reveal).unwrap();
}

/// A desk with a group which validator 0 found valid, and which waits for the trainer.
fn with_material() -> (Desk, Submission) {
    let (mut desk, submission) = answered();
    judged(&mut desk, &submission, 0);
    (desk, submission)
}

/// Takes in and judges another answer.
fn another(desk: &mut Desk, body: &PromptLease) {
    let signed = desk.lease(0, body).unwrap();
    let given = submission(&signed, body.worker);
    desk.submission(body.worker, &given.encode().unwrap()).unwrap();
    judged(desk, &given, 0);
}

fn request(ask: &PlantAsk) -> Commitment {
    let signed: Signed<PlantRequest> = Signed::decode(&ask.request).unwrap();
    signed.verify(&terms().id(), &terms().orchestrator).unwrap().commitment.clone()
}

fn sign(commitment: Commitment, worker: WorkerId) -> Vec<u8> {
    Signed::new(commitment, &terms().id(), &keys("worker", worker)).unwrap().encode().unwrap()
}

/// The only request that is due.
fn asked(desk: &mut Desk) -> PlantAsk {
    let mut asks = desk.plant_requests(0);
    assert_eq!(asks.len(), 1, "{asks:?}");
    asks.remove(0)
}

/// A plant for validator 1, signed by its worker.
fn planted(desk: &mut Desk, id: u64) -> Submission {
    desk.want_plant(id, 1);
    let ask = asked(desk);
    let PlantOrder { validator, order, .. } =
        desk.countersigned(0, ask.worker, &sign(request(&ask), ask.worker)).unwrap();
    assert_eq!(validator, 1);
    CheckOrder::decode(&order).unwrap().submission
}

fn answer_plant(desk: &mut Desk, planted: &Submission, outcome: Outcome) -> Option<Event> {
    let (seal, reveal) = sealed(verdict(planted, 1, outcome));
    let reply = desk.from_validator(0, 1, &seal).unwrap().reply.unwrap();
    assert_eq!(RevealOrder::decode(&reply).unwrap(), RevealOrder { lease: 0 });
    desk.from_validator(0, 1, &reveal).unwrap().event
}

#[test]
fn a_plant_looks_like_an_order_of_its_worker_and_is_wrong() {
    let (mut desk, original) = with_material();
    desk.want_plant(4, 0);
    assert_eq!(desk.plant_requests(0), [], "validator 0 knows the original");
    desk.want_plant(5, 1);
    let ask = asked(&mut desk);
    let order = desk.countersigned(0, ask.worker, &sign(request(&ask), ask.worker)).unwrap().order;
    let CheckOrder { submission: planted, draw } = CheckOrder::decode(&order).unwrap();
    // The lease is the very lease of a real worker, the commitment that worker's own, and all of it holds.
    assert_eq!((&planted.lease, draw), (&original.lease, DRAW));
    let (run, worker) = (terms().id(), keys("worker", 0).public());
    assert_eq!(planted.check(&run, &terms().orchestrator, &worker), Ok(()));
    assert_eq!(planted.commitment.signer, worker);
    // So does the lot: it gives the work to the validator that is shown it.
    assert_eq!(proof::draw::validator(&draw, planted.root(), &[0, 1, 2], 0), Some(1));
    for (planted, original) in planted.rollouts.iter().zip(&original.rollouts) {
        let error = proof::fingerprint::error_ppm(&planted.fingerprint, &original.fingerprint).unwrap();
        assert!(error > 20 * FINGERPRINT_ERROR_MAX_PPM, "turned round is far away, got {error}");
        let as_it_was = protocol::Rollout { fingerprint: original.fingerprint.clone(), ..planted.clone() };
        assert_eq!(as_it_was, *original, "nothing else differs");
    }
    desk.want_plant(6, 1);
    assert_eq!(desk.plant_requests(0), [], "one plant of each original per validator");
}

#[test]
fn plants_come_in_the_names_of_all_workers_as_orders_do() {
    let (mut desk, _) = with_material();
    let mut plants = [0; 2];
    for number in 1..=48 {
        // Worker 1 answers every third lease.
        another(&mut desk, &lease(number, u32::from(number % 3 == 0)));
        desk.want_plant(number, 1);
        let worker = asked(&mut desk).worker;
        plants[worker as usize] += 1;
    }
    assert_eq!(plants, [32, 16]);
}

#[test]
fn a_plant_is_of_weights_that_other_orders_name() {
    let (mut desk, _) = with_material();
    desk.lease(0, &PromptLease { weight_version: 1, ..lease(1, 1) }).unwrap();
    desk.forget(0); // trained on: no lease names the old weights any more
    desk.want_plant(5, 1);
    assert_eq!(desk.plant_requests(0), []);
    // The wish stays, and comes true with the first group of the new ones.
    let mut newer = desk;
    let body = PromptLease { weight_version: 1, ..lease(2, 1) };
    let signed = newer.lease(0, &body).unwrap();
    let rollouts = (0..4).map(|index| {
        let rollout = super::tests::rollout(2, index);
        protocol::Rollout { weight_versions: vec![1, 1], ..rollout }
    });
    let given = Submission::new(&terms().id(), signed, rollouts.collect(), &keys("worker", 1)).unwrap();
    newer.submission(1, &given.encode().unwrap()).unwrap();
    judged(&mut newer, &given, 0);
    assert_eq!(request(&asked(&mut newer)).lease, 2);
}

#[test]
fn whoever_finds_a_plant_valid_has_not_looked() {
    for (outcome, expected) in [
        (invalid(), Some(Event::PlantAnswered { plant: 5, validator: 1, caught: true })),
        (Outcome::Valid, Some(Event::PlantAnswered { plant: 5, validator: 1, caught: false })),
        (Outcome::Unchecked(UncheckedCause::ModelFailed), None),
    ] {
        let (mut desk, _) = with_material();
        let planted = planted(&mut desk, 5);
        assert_eq!(answer_plant(&mut desk, &planted, outcome), expected);
    }
}

#[test]
fn no_verdict_on_a_plant_counts_for_or_against_its_worker() {
    // In time, out of time, and after a restart that forgot the plant.
    for (overdue, restarted) in [(false, false), (true, false), (false, true)] {
        let (mut desk, original) = with_material();
        let planted = planted(&mut desk, 5);
        let before = desk.verified(0).unwrap();
        if restarted {
            desk = super::tests::desk();
            desk.restore_submission(&original.encode().unwrap()).unwrap();
            judged(&mut desk, &original, 0);
        }
        if overdue {
            assert_eq!(desk.overdue(u64::MAX), [], "nobody is told");
        }
        let (seal, reveal) = sealed(verdict(&planted, 1, invalid()));
        let heard = [seal, reveal].map(|bytes| desk.from_validator(0, 1, &bytes));
        let events = heard.map(|heard| heard.map_or_else(|refused| refused.event, |heard| heard.event));
        let caught = Event::PlantAnswered { plant: 5, validator: 1, caught: true };
        let counts = (!overdue && !restarted).then_some(caught);
        assert_eq!(events, [None, counts]);
        assert_eq!(desk.verdicts(0).len(), 1, "the accusation is nowhere");
        assert_eq!(desk.verified(0).unwrap(), before);
    }
}

#[test]
fn a_signature_that_was_not_asked_for_makes_no_plant_and_costs_nothing() {
    let (mut desk, original) = with_material();
    let own = original.commitment.body.clone();
    let not_planted = |worker| DeskError::NotPlanted { lease: 0, worker };
    assert_eq!(desk.countersigned(0, 0, &sign(own.clone(), 0)), Err(not_planted(0)), "nothing was asked");
    desk.want_plant(5, 1);
    let wanted = request(&asked(&mut desk));
    assert_ne!(wanted, own);
    assert_eq!(desk.countersigned(0, 0, &sign(own, 0)), Err(not_planted(0)), "its own answer");
    let other = Commitment { rollout_count: 3, ..wanted.clone() };
    assert_eq!(desk.countersigned(0, 0, &sign(other, 0)), Err(not_planted(0)), "another body");
    assert_eq!(desk.countersigned(0, 1, &sign(wanted.clone(), 1)), Err(not_planted(1)), "another worker");
    let stolen = desk.countersigned(0, 0, &sign(wanted.clone(), 1)).unwrap_err();
    assert!(matches!(stolen, DeskError::Protocol(protocol::ProtocolError::WrongSigner { .. })), "{stolen}");
    assert!(desk.countersigned(0, 0, b"no record").is_err());
    assert!(desk.countersigned(0, 0, &sign(wanted.clone(), 0)).is_ok(), "the right one still is");
    assert_eq!(desk.countersigned(0, 0, &sign(wanted, 0)), Err(not_planted(0)), "once");
}

#[test]
fn a_worker_that_does_not_sign_makes_room_for_another_and_pays_nothing() {
    let (mut desk, _) = with_material();
    another(&mut desk, &lease(1, 1));
    desk.want_plant(5, 1);
    let first = asked(&mut desk);
    assert_eq!(desk.plant_requests(0), [], "told once");
    assert_eq!(desk.overdue(49), []);
    assert_eq!(desk.plant_requests(49), []);
    assert_eq!(desk.overdue(50), [], "nobody is blamed");
    let second = desk.plant_requests(50).remove(0);
    assert_eq!((first.worker, second.worker), (1, 0));
    let late = desk.countersigned(50, 1, &sign(request(&first), 1));
    assert_eq!(late, Err(DeskError::NotPlanted { lease: 1, worker: 1 }));
    assert_eq!(desk.overdue(100), []);
    assert_eq!(desk.plant_requests(100), [], "nobody is left; the wish waits");
}

#[test]
fn no_plant_is_asked_of_a_fined_worker_or_shown_to_a_fined_validator() {
    let (mut desk, _) = with_material();
    desk.want_plant(5, 1);
    let ask = asked(&mut desk);
    desk.ban(0);
    let banned = Err(DeskError::Banned { worker: 0 });
    assert_eq!(desk.countersigned(0, 0, &sign(request(&ask), 0)), banned);
    desk.want_plant(6, 2);
    assert_eq!(desk.plant_requests(0), []);
    let (mut desk, _) = with_material();
    desk.want_plant(7, 1);
    desk.strike(1);
    assert_eq!(desk.plant_requests(0), []);
}

#[test]
fn a_plant_that_nobody_answers_harms_nobody() {
    let (mut desk, _) = with_material();
    planted(&mut desk, 5);
    assert_eq!(desk.overdue(u64::MAX), []);
    assert!(desk.plants.is_empty());
}

#[test]
fn a_validator_that_is_asked_about_the_original_owes_no_answer_to_its_plant() {
    let (mut desk, original) = with_material();
    let planted = planted(&mut desk, 5);
    judged(&mut desk, &original, 1);
    assert_eq!(desk.verified(0).unwrap().verdicts().len(), 2);
    // What was under way arrives late, and whoever judges the plant anew opens nothing with it.
    let (seal, reveal) = sealed(verdict(&planted, 1, Outcome::Valid));
    for bytes in [seal, reveal] {
        assert_eq!(desk.from_validator(0, 1, &bytes).unwrap_err().event, None);
    }
}

#[test]
fn plants_vary_until_the_lot_falls_on_their_validator() {
    let (mut desk, _) = with_material();
    for number in 1..=24 as LeaseId {
        another(&mut desk, &lease(number, 1));
        for validator in [1, 2] {
            desk.want_plant(number, validator);
            let root = request(&asked(&mut desk)).root;
            assert_eq!(proof::draw::validator(&DRAW, &root, &[0, 1, 2], 0), Some(validator));
        }
    }
}
