//! The orchestrator's desk, which takes the bytes of workers and validators.

use std::sync::LazyLock;

use protocol::{Group, LeaseId, Outcome, PlantRequest, Record, Signed, Submission, Verdict};
use rounds::desk::{Desk, Timeouts};

use super::world;

const LEASE: LeaseId = 0;

static SUBMISSION: LazyLock<Vec<u8>> = LazyLock::new(|| world::submission().encode().expect("a valid group"));

/// The first byte says who sends the rest.
pub fn run(data: &[u8]) {
    let Some((&who, bytes)) = data.split_first() else { return };
    match who % 5 {
        0 => worker(bytes),
        1 => validator(bytes),
        2 => signing_worker(bytes),
        3 => signing_validator(bytes),
        _ => countersigning_worker(bytes),
    }
}

/// A desk that waits for the answer to lease 0.
fn waiting() -> Desk {
    let timeouts = Timeouts { lease_ms: 100, verdict_ms: 50 };
    let mut desk = Desk::new(world::terms(), world::keys("orchestrator", 0), timeouts);
    desk.lease(0, &world::lease()).expect("a valid lease");
    desk
}

/// A desk that has asked validator 0 about the answer.
fn asked() -> Desk {
    let mut desk = waiting();
    desk.submission(0, &SUBMISSION).expect("an honest answer");
    desk.check_order(0, LEASE, 0, world::DRAW).expect("a later draw");
    desk
}

fn worker(bytes: &[u8]) {
    let mut desk = waiting();
    let taken = desk.submission(0, bytes).is_ok();
    assert_eq!(taken, desk.submitted(LEASE).is_some());
    // Only somebody with the worker's key can have made it.
    assert!(!taken || bytes == &SUBMISSION[..], "an answer of nobody");
}

fn validator(bytes: &[u8]) {
    let mut desk = asked();
    if let Ok(heard) = desk.from_validator(1, 0, bytes) {
        assert!(heard.event.is_none() || Signed::<protocol::VerdictSeal>::decode(bytes).is_ok());
    }
    assert!(desk.verified(LEASE).is_err(), "admitted without a verdict");
    drop(desk.overdue(1_000));
}

/// A worker who signs whatever it is.
fn signing_worker(bytes: &[u8]) {
    let Ok(Group { mut rollouts, .. }) = Group::decode(bytes) else { return };
    rollouts.iter_mut().for_each(|rollout| rollout.lease = LEASE);
    let honest = Submission::decode(&SUBMISSION).expect("an honest answer");
    let run = world::terms().id();
    let Ok(sent) = Submission::new(&run, honest.lease, rollouts, &world::keys("worker", 0)) else { return };
    let mut desk = waiting();
    let taken = desk.submission(0, &sent.encode().expect("made just now")).is_ok();
    assert!(!taken || !sent.rollouts.is_empty(), "an empty answer");
    if taken {
        desk.check_order(0, LEASE, 0, world::DRAW).expect("a later draw");
    }
}

/// A desk that waits for worker 0 to sign a plant for validator 1, and the signature.
fn planting() -> (Desk, Vec<u8>) {
    let mut desk = asked();
    let reveal = world::reveal(world::verdict(Outcome::Valid));
    let keys = world::keys("validator", 0);
    let seal = Signed::new(reveal.seal(&keys.public()).expect("a valid verdict"), &world::terms().id(), &keys);
    desk.from_validator(1, 0, &seal.expect("a valid seal").encode().expect("a valid seal")).expect("a first seal");
    desk.reveal_order(2, LEASE, 0).expect("sealed");
    desk.from_validator(3, 0, &reveal.encode().expect("a valid verdict")).expect("what was sealed");
    desk.want_plant(0, 1);
    let ask = desk.plant_requests(4).pop().expect("validator 1 has not seen the group");
    let request: Signed<PlantRequest> = Signed::decode(&ask.request).expect("made by the desk");
    let signature = Signed::new(request.body.commitment, &world::terms().id(), &world::keys("worker", 0));
    (desk, signature.and_then(|signature| signature.encode()).expect("a valid commitment"))
}

fn countersigning_worker(bytes: &[u8]) {
    let (mut desk, signature) = planting();
    // Only somebody with the worker's key can have signed, and only this.
    let planted = desk.countersigned(5, 0, bytes).is_ok();
    assert!(!planted || bytes == &signature[..], "a plant of nobody");
}

/// A validator that signs whatever verdict it is, about the answer it was asked about.
fn signing_validator(bytes: &[u8]) {
    let Ok(given) = Verdict::decode(bytes) else { return };
    let honest = world::verdict(Outcome::Valid);
    let reveal = world::reveal(Verdict { lease: LEASE, root: honest.root, validator: 0, ..given });
    let keys = world::keys("validator", 0);
    let seal = Signed::new(reveal.seal(&keys.public()).expect("a valid verdict"), &world::terms().id(), &keys);
    let mut desk = asked();
    desk.from_validator(1, 0, &seal.expect("a valid seal").encode().expect("a valid seal")).expect("a first seal");
    desk.reveal_order(2, LEASE, 0).expect("sealed");
    let heard = desk.from_validator(3, 0, &reveal.encode().expect("a valid verdict"));
    let admitted = desk.verified(LEASE).is_ok();
    assert!(!admitted || (heard.is_ok() && reveal.verdict.body.outcome == Outcome::Valid), "admitted without a reason");
}

/// What honest parties send, and what liars may sign.
pub fn seeds() -> Vec<Vec<u8>> {
    let reveal = world::reveal(world::verdict(Outcome::Valid));
    let keys = world::keys("validator", 0);
    let seal = reveal.seal(&keys.public()).expect("a valid verdict");
    let seal = Signed::new(seal, &world::terms().id(), &keys).expect("a valid seal");
    let submission = world::submission();
    let all = [
        (0, submission.encode()),
        (1, seal.encode()),
        (1, reveal.encode()),
        (2, submission.group().encode()),
        (3, reveal.verdict.body.encode()),
        (3, world::verdict(world::invalid()).encode()),
        (4, world::submission().commitment.encode()),
        (4, Ok(planting().1)),
    ];
    all.into_iter().map(|(who, bytes)| [vec![who], bytes.expect("a valid record")].concat()).collect()
}
