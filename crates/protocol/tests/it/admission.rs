//! Nothing reaches the trainer without enough signed verdicts over exactly this submission.
use protocol::{
    BeaconPoint, Check, Outcome, PromptLease, ProtocolError, RejectReason, RunTerms, Signed, UncheckedCause, Verdict,
    VerdictReveal, VerifiedGroup,
};

use super::{checked, group, keys, lease, sign_verdict, submission, terms, verdict};

fn invalid() -> Outcome {
    let check = Check::TokenMargin;
    Outcome::Invalid(RejectReason { check, sample_index: None, position: None, limit: 1, given: 2 })
}

fn admit(verdicts: Vec<Verdict>) -> Result<VerifiedGroup, ProtocolError> {
    VerifiedGroup::new(&terms(), submission(), verdicts.into_iter().map(sign_verdict).collect())
}

#[test]
fn one_valid_verdict_admits_and_gives_the_validators_logprobs() {
    let mut given = verdict(1, Outcome::Valid);
    given.checked[0].logprobs = vec![-0.25, -0.75];
    let admitted = admit(vec![given]).unwrap();
    assert_eq!(admitted.group(), &group());
    assert_eq!(admitted.verdicts().len(), 1);
    let rollouts: Vec<_> = admitted.rollouts().collect();
    assert_eq!((rollouts.len(), rollouts[1].rollout().sample_index, rollouts[1].lease().lease), (2, 1, 41));
    // Sample 1 was drawn, sample 0 was not.
    assert_eq!(rollouts[0].validator_logprobs(), None);
    assert_eq!(rollouts[1].validator_logprobs(), Some(&[-0.25, -0.75][..]));
}

#[test]
fn no_verdict_a_tie_or_an_unchecked_one_does_not_admit() {
    let refused = |valid, invalid| ProtocolError::NotAdmitted { valid, invalid };
    assert_eq!(admit(Vec::new()).unwrap_err(), refused(0, 0));
    assert_eq!(admit(vec![verdict(0, invalid())]).unwrap_err(), refused(0, 1));
    assert_eq!(admit(vec![verdict(0, Outcome::Valid), verdict(1, invalid())]).unwrap_err(), refused(1, 1));
    let unchecked = Outcome::Unchecked(UncheckedCause::ModelFailed);
    assert_eq!(admit(vec![verdict(0, unchecked)]).unwrap_err(), refused(0, 0));
    admit(vec![verdict(0, unchecked), verdict(1, Outcome::Valid)]).unwrap();
}

#[test]
fn logprobs_of_a_verdict_that_lost_are_not_used() {
    let mut terms = terms();
    terms.validators.push(keys("validator", 2).public());
    let run = terms.id();
    let lease = Signed::new(lease(), &run, &keys("orchestrator", 0)).unwrap();
    let sent = protocol::Submission::new(&run, lease, group().rollouts, &keys("worker", 0)).unwrap();
    let outcomes = [invalid(), Outcome::Valid, Outcome::Valid];
    let verdicts = (0..).zip(outcomes).map(|(validator, outcome)| {
        let mut given = verdict(validator, outcome);
        given.checked[0].logprobs = vec![-1.0 - validator as f32; 2];
        Signed::new(given, &run, &keys("validator", validator)).unwrap()
    });
    let admitted = VerifiedGroup::new(&terms, sent, verdicts.collect()).unwrap();
    let last = admitted.rollouts().last().unwrap();
    assert_eq!(last.validator_logprobs(), Some(&[-2.0, -2.0][..]));
}

#[test]
fn one_validator_has_one_voice() {
    let twice = vec![verdict(1, Outcome::Valid), verdict(1, Outcome::Valid)];
    assert_eq!(admit(twice).unwrap_err(), ProtocolError::DoubleVerdict { validator: 1 });
}

#[test]
fn verdict_over_another_submission_does_not_admit() {
    let foreign = |given| ProtocolError::ForeignVerdict { expected: 41, given };
    let other = Verdict { lease: 40, ..verdict(1, Outcome::Valid) };
    assert_eq!(admit(vec![other]).unwrap_err(), foreign(40));
    let other = Verdict { root: [0; 32], ..verdict(1, Outcome::Valid) };
    assert_eq!(admit(vec![other]).unwrap_err(), foreign(41));
}

#[test]
fn verdict_must_be_signed_by_its_validator_for_this_run() {
    let posed = Signed::new(verdict(1, Outcome::Valid), &terms().id(), &keys("validator", 0)).unwrap();
    let refused = VerifiedGroup::new(&terms(), submission(), vec![posed]).unwrap_err();
    assert!(matches!(refused, ProtocolError::WrongSigner { record: "verdict", .. }));
    let stranger = Signed::new(verdict(2, Outcome::Valid), &terms().id(), &keys("validator", 2)).unwrap();
    let refused = VerifiedGroup::new(&terms(), submission(), vec![stranger]).unwrap_err();
    assert_eq!(refused, ProtocolError::UnknownValidator { count: 2, given: 2 });
    let VerdictReveal { verdict, .. } = super::reveal();
    let other_run = RunTerms { check_ppm: 0, ..terms() };
    let refused = VerifiedGroup::new(&other_run, submission(), vec![verdict]).unwrap_err();
    assert!(matches!(refused, ProtocolError::BadSignature { record: "prompt lease", .. }));
}

#[test]
fn sample_drawn_from_randomness_known_to_the_worker_does_not_admit() {
    let draw = BeaconPoint { round: 5, randomness: [6; 32] };
    let early = Verdict { draw, ..verdict(1, Outcome::Valid) };
    assert_eq!(admit(vec![early]).unwrap_err(), ProtocolError::DrawTooEarly { lease_round: 5, draw_round: 5 });
}

#[test]
fn numbers_of_a_verdict_must_be_about_the_submission() {
    let strange = Verdict { checked: vec![checked(2)], ..verdict(1, Outcome::Valid) };
    assert_eq!(admit(vec![strange]).unwrap_err(), ProtocolError::ForeignSample { lease: 41, sample_index: 2 });
    let mut short = verdict(1, Outcome::Valid);
    short.checked[0].logprobs.pop();
    let field = "verdict's logprobs";
    assert_eq!(admit(vec![short]).unwrap_err(), ProtocolError::LengthMismatch { field, expected: 2, given: 1 });
}

#[test]
fn the_first_leases_of_a_worker_are_recomputed_whole() {
    let share = |terms: &RunTerms, worker_lease| terms.check_ppm_of(&PromptLease { worker_lease, ..lease() });
    assert_eq!([3, 4].map(|given| share(&terms(), given)), [1_000_000, 200_000]);
    let trusting = RunTerms { check_ppm: 0, ..terms() };
    assert_eq!(share(&trusting, 0), 0, "where nothing is recomputed, nobody is on probation");
}
