//! A signature is one party's word on one record in one run.
use protocol::{
    Commitment, Keypair, Outcome, PlantRequest, ProtocolError, PublicKey, Signature, Signed, Submission, VerdictReveal,
};

use super::{group, keys, lease, reveal, signed_lease, submission, terms, verdict};

#[test]
fn signature_holds_for_its_record_run_and_signer() {
    let (run, orchestrator) = (terms().id(), keys("orchestrator", 0).public());
    let signed = signed_lease();
    assert_eq!(signed.verify(&run, &orchestrator).unwrap(), &lease());
    let bad = ProtocolError::BadSignature { record: "prompt lease", signer: orchestrator };
    assert_eq!(signed.verify(&[0; 32], &orchestrator).unwrap_err(), bad);
    let mut altered = signed.clone();
    altered.body.item += 1;
    assert_eq!(altered.verify(&run, &orchestrator).unwrap_err(), bad);
    let mut altered = signed.clone();
    altered.signature.0[7] ^= 1;
    assert_eq!(altered.verify(&run, &orchestrator).unwrap_err(), bad);
    let other = keys("worker", 0).public();
    let expected = ProtocolError::WrongSigner { record: "prompt lease", expected: other, given: orchestrator };
    assert_eq!(signed.verify(&run, &other).unwrap_err(), expected);
    // Claiming to be the other does not help.
    let posed = Signed { signer: other, ..signed };
    let bad = ProtocolError::BadSignature { record: "prompt lease", signer: other };
    assert_eq!(posed.verify(&run, &other).unwrap_err(), bad);
}

#[test]
fn signature_on_one_kind_of_record_is_none_on_another() {
    let (run, worker) = (terms().id(), keys("worker", 0));
    let seal = reveal().seal(&worker.public()).unwrap();
    let signed = Signed::new(seal, &run, &worker).unwrap();
    let body = Commitment { lease: 41, worker: 0, rollout_count: 2, root: *submission().root() };
    let posed = Signed { body, signer: signed.signer, signature: signed.signature };
    assert!(matches!(posed.verify(&run, &worker.public()), Err(ProtocolError::BadSignature { .. })));
}

/// A request that a worker signed as its commitment is none of the orchestrator's, and the other way round.
#[test]
fn a_plant_request_is_no_commitment_and_covers_its_own_only() {
    let (run, orchestrator) = (terms().id(), keys("orchestrator", 0));
    let commitment = submission().commitment.body;
    let signed = Signed::new(PlantRequest { commitment: commitment.clone() }, &run, &orchestrator).unwrap();
    let posed = Signed { body: commitment.clone(), signer: signed.signer, signature: signed.signature };
    assert!(matches!(posed.verify(&run, &orchestrator.public()), Err(ProtocolError::BadSignature { .. })));
    let request = signed.verify(&run, &orchestrator.public()).unwrap();
    assert!(request.covers(&commitment));
    for other in [
        Commitment { lease: 40, ..commitment.clone() },
        Commitment { worker: 1, ..commitment.clone() },
        Commitment { rollout_count: 1, ..commitment.clone() },
        Commitment { root: [0; 32], ..commitment },
    ] {
        assert!(!request.covers(&other), "{other:?}");
    }
    assert!(request.answers(&verdict(1, Outcome::Valid)));
    let elsewhere = PlantRequest { commitment: Commitment { root: [0; 32], ..request.commitment.clone() } };
    assert!(!elsewhere.answers(&verdict(1, Outcome::Valid)));
}

/// The key of order 1 signs anything under plain ed25519 verification: R = identity, s = 0.
#[test]
fn weak_keys_and_non_points_sign_nothing() {
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut signature = [0; 64];
    signature[0] = 1;
    let run = terms().id();
    for key in [PublicKey(identity), PublicKey([2; 32]), PublicKey([0xff; 32])] {
        let forged = Signed { body: lease(), signer: key, signature: Signature(signature) };
        assert!(matches!(forged.verify(&run, &key), Err(ProtocolError::BadSignature { .. })), "{key}");
    }
}

#[test]
fn submission_needs_both_signatures_and_its_root() {
    let (run, orchestrator, worker) = (terms().id(), keys("orchestrator", 0).public(), keys("worker", 0).public());
    let sent = submission();
    sent.check(&run, &orchestrator, &worker).unwrap();
    assert_eq!((sent.group(), sent.clone().into_group()), (group(), group()));
    let other = keys("worker", 1).public();
    let refused = sent.check(&run, &orchestrator, &other).unwrap_err();
    assert!(matches!(refused, ProtocolError::WrongSigner { record: "commitment", .. }));
    let refused = sent.check(&run, &other, &worker).unwrap_err();
    assert!(matches!(refused, ProtocolError::WrongSigner { record: "prompt lease", .. }));
    let mut edited = sent.clone();
    edited.rollouts[1].completion_tokens[0] += 1;
    let refused = edited.check(&run, &orchestrator, &worker).unwrap_err();
    assert!(matches!(refused, ProtocolError::RootMismatch { .. }));
    let mut swapped = sent.clone();
    swapped.rollouts.swap(0, 1);
    let refused = swapped.check(&run, &orchestrator, &worker).unwrap_err();
    assert!(matches!(refused, ProtocolError::SampleIndex { .. }));
    let mut eased = sent;
    eased.lease.body.item += 1;
    let refused = eased.check(&run, &orchestrator, &worker).unwrap_err();
    assert!(matches!(refused, ProtocolError::BadSignature { record: "prompt lease", .. }));
}

#[test]
fn submission_of_a_broken_group_is_not_made() {
    let mut rollouts = group().rollouts;
    rollouts[1].lease = 40;
    let refused = Submission::new(&terms().id(), signed_lease(), rollouts, &keys("worker", 0)).unwrap_err();
    assert_eq!(refused, ProtocolError::ForeignRollout { expected: 41, given: 40 });
    let none = Submission::new(&terms().id(), signed_lease(), Vec::new(), &keys("worker", 0)).unwrap();
    assert_eq!(none.commitment.body.rollout_count, 0);
}

#[test]
fn a_seal_opens_only_with_its_own_verdict_salt_and_validator() {
    let (reveal, key) = (reveal(), keys("validator", 1).public());
    let seal = reveal.seal(&key).unwrap();
    assert!(reveal.opens(&seal, &key));
    let other_salt = VerdictReveal { salt: [4; 32], ..reveal.clone() };
    assert!(!other_salt.opens(&seal, &key));
    let mut other_verdict = reveal.clone();
    other_verdict.verdict.body.checked[0].tokens_lost = 0;
    assert!(!other_verdict.opens(&seal, &key));
    let mut other_lease = seal.clone();
    other_lease.lease += 1;
    assert!(!reveal.opens(&other_lease, &key));
}

/// Whoever repeats another validator's sealed hash cannot open it: the hash holds the first one's key.
#[test]
fn a_copied_seal_cannot_be_opened_by_the_copier() {
    let (run, copier) = (terms().id(), keys("validator", 0));
    let original = reveal();
    let mut copied = original.seal(&keys("validator", 1).public()).unwrap();
    copied.validator = 0;
    let own = Signed::new(verdict(0, Outcome::Valid), &run, &copier).unwrap();
    let own = VerdictReveal { verdict: own, salt: original.salt };
    assert!(!own.opens(&copied, &copier.public()));
    assert!(!original.opens(&copied, &copier.public()));
}

#[test]
fn derived_keys_differ_by_secret_role_and_index() {
    let all = [
        Keypair::derive(&[1; 32], "worker", 0),
        Keypair::derive(&[2; 32], "worker", 0),
        Keypair::derive(&[1; 32], "validator", 0),
        Keypair::derive(&[1; 32], "worker", 1),
    ];
    let names: std::collections::BTreeSet<PublicKey> = all.iter().map(Keypair::public).collect();
    assert_eq!(names.len(), all.len());
}

#[test]
fn secrets_are_never_shown() {
    let seed = [0xab; 32];
    let shown = format!("{:?}", Keypair::from_seed(&seed));
    assert!(shown.contains("withheld") && !shown.contains("abab") && !shown.contains("171, 171"), "{shown}");
}
