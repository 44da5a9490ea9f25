//! Every decoder of `protocol`.

use protocol::{
    CheckOrder, Commitment, Group, Outcome, PlantRequest, PromptLease, Record, RevealOrder, Rollout, RunTerms,
    Signable, Signed, Submission, Update, Verdict, VerdictReveal, VerdictSeal, record_kind,
};

use super::world;

/// Reads the bytes as the kind that they name. What is read must be written the same.
pub fn run(data: &[u8]) {
    let Ok(kind) = record_kind(data) else { return };
    match kind {
        PromptLease::KIND => plain::<PromptLease>(data, |_| ()),
        Rollout::KIND => plain::<Rollout>(data, |_| ()),
        Group::KIND => plain::<Group>(data, |_| ()),
        Commitment::KIND => plain::<Commitment>(data, |_| ()),
        Verdict::KIND => plain::<Verdict>(data, explain),
        VerdictSeal::KIND => plain::<VerdictSeal>(data, |_| ()),
        VerdictReveal::KIND => plain::<VerdictReveal>(data, opened),
        CheckOrder::KIND => plain::<CheckOrder>(data, |order| checked(&order.submission)),
        RevealOrder::KIND => plain::<RevealOrder>(data, |_| ()),
        PlantRequest::KIND => plain::<PlantRequest>(data, |request| assert!(request.covers(&request.commitment))),
        RunTerms::KIND => plain::<RunTerms>(data, |terms| assert_ne!(terms.id(), [0; 32])),
        Update::KIND => plain::<Update>(data, |_| ()),
        Submission::KIND => plain::<Submission>(data, checked),
        Signed::<PromptLease>::KIND => signed::<PromptLease>(data),
        Signed::<Commitment>::KIND => signed::<Commitment>(data),
        Signed::<PlantRequest>::KIND => signed::<PlantRequest>(data),
        Signed::<Verdict>::KIND => signed::<Verdict>(data),
        Signed::<VerdictSeal>::KIND => signed::<VerdictSeal>(data),
        Signed::<Update>::KIND => signed::<Update>(data),
        _ => assert!(Group::decode(data).is_err()),
    }
}

fn plain<T: Record>(data: &[u8], then: fn(&T)) {
    if let Ok(record) = T::decode(data) {
        assert_eq!(record.encode().as_deref(), Ok(data), "two byte forms of one record");
        then(&record);
    }
}

/// The bytes choose the key, too: any 32 bytes may be no key, or a weak one.
fn signed<T: Signable>(data: &[u8])
where
    Signed<T>: Record,
{
    plain::<Signed<T>>(data, |signed| {
        let holds = signed.verify(&world::terms().id(), &signed.signer).is_ok();
        assert!(!holds || is_known(&signed.signer), "a signature of nobody");
    });
}

/// Nobody but the parties of the small world can have signed for its run.
fn is_known(key: &protocol::PublicKey) -> bool {
    let terms = world::terms();
    [&terms.orchestrator, &terms.trainer].contains(&key)
        || terms.workers.contains(key)
        || terms.validators.contains(key)
}

fn checked(submission: &Submission) {
    let (orchestrator, worker) = (&submission.lease.signer, &submission.commitment.signer);
    if submission.check(&world::terms().id(), orchestrator, worker).is_ok() {
        assert!(is_known(orchestrator) && is_known(worker), "a submission of nobody");
    }
}

fn explain(verdict: &Verdict) {
    if let Outcome::Invalid(reason) = &verdict.outcome {
        assert!(!reason.to_string().is_empty());
    }
}

fn opened(reveal: &VerdictReveal) {
    let key = reveal.verdict.signer;
    let seal = reveal.seal(&key).expect("a verdict that decoded is in order");
    assert!(reveal.opens(&seal, &key));
}

/// One record of each kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let (submission, terms) = (world::submission(), world::terms());
    let reveal = world::reveal(world::verdict(Outcome::Valid));
    let rejected = world::reveal(world::verdict(world::invalid()));
    let seal = reveal.seal(&reveal.verdict.signer).expect("a valid verdict");
    let [batch, state_before, state_after, weights] = [[1; 32], [2; 32], [3; 32], [4; 32]];
    let update = Update { step: 1, leases: vec![0, 300], batch, state_before, state_after, weights };
    let signed_update = Signed::new(update.clone(), &terms.id(), &world::keys("trainer", 0));
    let signed_seal = Signed::new(seal.clone(), &terms.id(), &world::keys("validator", 0));
    let all = [
        submission.lease.body.encode(),
        submission.lease.encode(),
        submission.commitment.body.encode(),
        submission.commitment.encode(),
        submission.rollouts[0].encode(),
        submission.group().encode(),
        submission.encode(),
        CheckOrder { submission, draw: world::DRAW }.encode(),
        RevealOrder { lease: 0 }.encode(),
        world::plant_request().body.encode(),
        world::plant_request().encode(),
        reveal.verdict.body.encode(),
        reveal.verdict.encode(),
        reveal.encode(),
        rejected.verdict.body.encode(),
        rejected.encode(),
        seal.encode(),
        signed_seal.and_then(|seal| seal.encode()),
        terms.encode(),
        update.encode(),
        signed_update.and_then(|update| update.encode()),
    ];
    all.into_iter().map(|bytes| bytes.expect("a valid record")).collect()
}
