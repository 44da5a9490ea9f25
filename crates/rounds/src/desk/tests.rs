//! The desk with made-up keys: what it takes, what it refuses, and what it calls a lie.

use std::sync::Arc;

use protocol::{
    BeaconPoint, BeaconTerms, Check, CheckOrder, CheckedRollout, Commitment, DtypeTerm, FinishReason, Keypair, LeaseId,
    Outcome, PromptLease, Record, RejectReason, RevealOrder, Rollout, RunTerms, SamplingTerms, Signed, Submission,
    UncheckedCause, ValidatorId, Verdict, VerdictReveal, WorkerId,
};

use super::{Desk, DeskError, Heard, Refused, Timeouts};
use crate::{Event, OutcomeKind};

pub(super) const DRAW: BeaconPoint = BeaconPoint { round: 9, randomness: [9; 32] };
const TIMEOUTS: Timeouts = Timeouts { lease_ms: 100, verdict_ms: 50 };

pub(super) fn keys(role: &str, index: u32) -> Keypair {
    Keypair::derive(&[1; 32], role, index)
}

pub(super) fn terms() -> Arc<RunTerms> {
    Arc::new(RunTerms {
        run_seed: [7; 32],
        orchestrator: keys("orchestrator", 0).public(),
        trainer: keys("trainer", 0).public(),
        workers: (0..2).map(|index| keys("worker", index).public()).collect(),
        validators: (0..3).map(|index| keys("validator", index).public()).collect(),
        group_size: 4,
        check_ppm: 500_000,
        probation_leases: 0,
        sampling: SamplingTerms {
            temperature: 1.0,
            max_new_tokens: 4,
            context_max: 8,
            vocabulary: 16,
            stop_tokens: vec![1],
            dtype: DtypeTerm::F32,
        },
        beacon: BeaconTerms::HashChain { anchor: [0; 32], length: 64 },
    })
}

pub(super) fn desk() -> Desk {
    Desk::new(terms(), keys("orchestrator", 0), TIMEOUTS)
}

pub(super) fn lease(lease: LeaseId, worker: WorkerId) -> PromptLease {
    PromptLease {
        lease,
        task: 0,
        item: 3,
        weight_version: 0,
        weights: [4; 32],
        group_size: 4,
        run_seed: [7; 32],
        worker,
        worker_lease: 0,
        beacon: BeaconPoint { round: 2, randomness: [2; 32] },
    }
}

pub(super) fn rollout(lease: LeaseId, sample_index: u32) -> Rollout {
    Rollout {
        lease,
        sample_index,
        prompt_tokens: vec![5, 6],
        completion_tokens: vec![7, sample_index],
        logprobs: vec![-0.5, -1.5],
        weight_versions: vec![0, 0],
        finish: FinishReason::Length,
        reward_micro: i64::from(sample_index) * 1000,
        exact: false,
        activation_proof: vec![1, 2, 3],
        fingerprint: vec![100, -100, 0, 7],
    }
}

pub(super) fn submission(signed: &Signed<PromptLease>, worker: WorkerId) -> Submission {
    let rollouts = (0..4).map(|index| rollout(signed.body.lease, index)).collect();
    Submission::new(&terms().id(), signed.clone(), rollouts, &keys("worker", worker)).unwrap()
}

/// A desk that has taken the answer to lease 0 by worker 0.
pub(super) fn answered() -> (Desk, Submission) {
    let mut desk = desk();
    let signed = desk.lease(0, &lease(0, 0)).unwrap();
    let submission = submission(&signed, 0);
    desk.submission(0, &submission.encode().unwrap()).unwrap();
    (desk, submission)
}

fn checked(submission: &Submission, draw: &BeaconPoint) -> Vec<CheckedRollout> {
    let drawn = proof::draw::samples(draw, submission.root(), 4, terms().check_ppm);
    let numbers = |sample_index| CheckedRollout {
        sample_index,
        exponent_mismatches: 0,
        mantissa_mean_milli: 0,
        mantissa_median_milli: 0,
        sign_mismatches: 0,
        fingerprint_error_ppm: 0,
        margin_max_micro: -3,
        tokens_lost: 0,
        logprob_error_max_micro: 0,
        logprob_error_mean_micro: 0,
        logprobs: vec![-0.5, -1.5],
    };
    drawn.into_iter().map(numbers).collect()
}

pub(super) fn verdict(submission: &Submission, validator: ValidatorId, outcome: Outcome) -> Verdict {
    let (lease, root) = (submission.lease.body.lease, *submission.root());
    Verdict { lease, root, validator, draw: DRAW, tokens: 8, checked: checked(submission, &DRAW), outcome }
}

/// A signed seal and the reveal that opens it, both encoded.
pub(super) fn sealed(verdict: Verdict) -> (Vec<u8>, Vec<u8>) {
    let keys = keys("validator", verdict.validator);
    let run = terms().id();
    let reveal = VerdictReveal { verdict: Signed::new(verdict, &run, &keys).unwrap(), salt: [3; 32] };
    let seal = Signed::new(reveal.seal(&keys.public()).unwrap(), &run, &keys).unwrap();
    (seal.encode().unwrap(), reveal.encode().unwrap())
}

pub(super) fn invalid() -> Outcome {
    let check = Check::TokenMargin;
    Outcome::Invalid(RejectReason { check, sample_index: Some(0), position: Some(0), limit: 1, given: 3 })
}

fn event(event: Event) -> Heard {
    Heard { event: Some(event), reply: None }
}

#[test]
fn a_group_goes_through_seal_and_verdict_to_the_trainer() {
    let (mut desk, submission) = answered();
    let order = CheckOrder::decode(&desk.check_order(10, 0, 1, DRAW).unwrap()).unwrap();
    assert_eq!(order, CheckOrder { submission: submission.clone(), draw: DRAW });
    let (seal, reveal) = sealed(verdict(&submission, 1, Outcome::Valid));
    assert_eq!(desk.from_validator(11, 1, &seal), Ok(event(Event::VerdictSealed { lease: 0, validator: 1 })));
    let order = RevealOrder::decode(&desk.reveal_order(12, 0, 1).unwrap()).unwrap();
    assert_eq!(order, RevealOrder { lease: 0 });
    let outcome = OutcomeKind::Valid;
    let revealed = Event::VerdictRevealed { lease: 0, validator: 1, outcome };
    assert_eq!(desk.from_validator(13, 1, &reveal), Ok(event(revealed)));
    let group = desk.verified(0).unwrap();
    assert_eq!(group.group(), &submission.group());
    assert_eq!(desk.overdue(u64::MAX), []);
}

#[test]
fn a_verdict_before_its_time_is_refused_without_blame() {
    let (mut desk, submission) = answered();
    let (seal, reveal) = sealed(verdict(&submission, 1, Outcome::Valid));
    let refused = |desk: &mut Desk, bytes: &[u8]| desk.from_validator(0, 1, bytes).unwrap_err().event;
    assert_eq!(refused(&mut desk, &seal), None, "not asked");
    desk.check_order(0, 0, 1, DRAW).unwrap();
    assert_eq!(refused(&mut desk, &reveal), None, "not sealed");
    desk.from_validator(0, 1, &seal).unwrap();
    assert_eq!(refused(&mut desk, &reveal), None, "others have not sealed");
    desk.reveal_order(0, 0, 1).unwrap();
    assert_eq!(refused(&mut desk, &seal), None, "a late copy of the seal");
    desk.from_validator(0, 1, &reveal).unwrap();
    assert_eq!(refused(&mut desk, &reveal), None, "a second time");
    assert_eq!(desk.reveal_order(0, 0, 1), Err(DeskError::NotSealed { lease: 0, validator: 1 }));
}

#[test]
fn a_verdict_other_than_the_sealed_one_costs_the_validator() {
    let (mut desk, submission) = answered();
    desk.check_order(0, 0, 1, DRAW).unwrap();
    let (seal, _) = sealed(verdict(&submission, 1, Outcome::Valid));
    let (_, other) = sealed(verdict(&submission, 1, invalid()));
    desk.from_validator(0, 1, &seal).unwrap();
    desk.reveal_order(0, 0, 1).unwrap();
    let check = Some(Check::SealMismatch);
    let blamed = Some(Event::VerdictFailed { lease: 0, validator: 1, check });
    assert_eq!(desk.from_validator(0, 1, &other).unwrap_err().event, blamed);
    assert_eq!(desk.overdue(u64::MAX), [], "told once");
}

#[test]
fn another_validators_seal_and_verdict_cannot_be_used() {
    let (mut desk, submission) = answered();
    desk.check_order(0, 0, 0, DRAW).unwrap();
    desk.check_order(0, 0, 1, DRAW).unwrap();
    let (seal, _) = sealed(verdict(&submission, 0, Outcome::Valid));
    let check = Some(Check::Signature);
    let blamed = Some(Event::VerdictFailed { lease: 0, validator: 1, check });
    assert_eq!(desk.from_validator(0, 1, &seal).unwrap_err().event, blamed);
    assert!(desk.from_validator(0, 0, &seal).is_ok(), "its maker is not harmed");
}

#[test]
fn a_valid_verdict_must_list_exactly_the_drawn_rollouts() {
    let lazy = |spoil: &dyn Fn(&mut Verdict), outcome| {
        let (mut desk, submission) = answered();
        desk.check_order(0, 0, 1, DRAW).unwrap();
        let mut verdict = verdict(&submission, 1, outcome);
        spoil(&mut verdict);
        let (seal, reveal) = sealed(verdict);
        desk.from_validator(0, 1, &seal).unwrap();
        desk.reveal_order(0, 0, 1).unwrap();
        desk.from_validator(0, 1, &reveal).map(|_| ()).map_err(|refused| refused.why.lie())
    };
    assert_eq!(lazy(&|_| {}, Outcome::Valid), Ok(()));
    assert_eq!(lazy(&|verdict| verdict.checked.clear(), Outcome::Valid), Err(Some(Check::Malformed)));
    assert_eq!(lazy(&|verdict| verdict.checked[0].logprobs.clear(), Outcome::Valid), Err(Some(Check::Malformed)));
    let other = BeaconPoint { round: 10, ..DRAW };
    assert_eq!(lazy(&|verdict| verdict.draw = other, Outcome::Valid), Err(Some(Check::SealMismatch)));
    // One token fewer and the worker is paid less; one more and its friend is paid more.
    for tokens in [0, 7, 9, u64::MAX] {
        assert_eq!(lazy(&|verdict| verdict.tokens = tokens, Outcome::Valid), Err(Some(Check::Malformed)), "{tokens}");
    }
    // Nobody is paid by the count of a verdict that does not say valid.
    assert_eq!(lazy(&|verdict| verdict.tokens = 0, invalid()), Ok(()));
    // A check that failed early has fewer numbers.
    assert_eq!(lazy(&|verdict| verdict.checked[0].logprobs.clear(), invalid()), Ok(()));
    assert_eq!(lazy(&|verdict| verdict.checked.clear(), Outcome::Unchecked(UncheckedCause::ModelFailed)), Ok(()));
}

#[test]
fn late_double_and_withdrawn_answers_are_no_lies() {
    let (mut desk, submission) = answered();
    let refused = |desk: &mut Desk, bytes: &[u8]| desk.submission(0, bytes).unwrap_err();
    let bytes = submission.encode().unwrap();
    let twice = Refused { event: None, why: DeskError::AnsweredBefore { lease: 0 }.into() };
    assert_eq!(refused(&mut desk, &bytes), twice);
    desk.forget(0);
    let ended = Refused { event: None, why: DeskError::LeaseEnded { lease: 0 }.into() };
    assert_eq!(refused(&mut desk, &bytes), ended);
    let signed = desk.lease(50, &lease(1, 0)).unwrap();
    assert_eq!(desk.overdue(149), []);
    assert_eq!(desk.overdue(150), [Event::LeaseOverdue { lease: 1 }]);
    assert_eq!(desk.overdue(u64::MAX), [], "told once");
    let late = self::submission(&signed, 0).encode().unwrap();
    assert_eq!(refused(&mut desk, &late).event, None);
}

#[test]
fn each_lie_of_a_worker_has_its_check() {
    let mut desk = desk();
    let signed = desk.lease(0, &lease(0, 0)).unwrap();
    let honest = submission(&signed, 0);
    let (run, own) = (terms().id(), keys("worker", 0));
    let mut lie = |bytes: &[u8]| match desk.submission(0, bytes).unwrap_err().event {
        Some(Event::WorkerLied { worker: 0, check, .. }) => Some(check),
        _ => None,
    };
    assert_eq!(lie(b"no record"), Some(Check::Malformed));
    assert_eq!(lie(&[]), Some(Check::Malformed));
    assert_eq!(lie(&vec![0; Submission::BYTES_MAX + 1]), Some(Check::Limits));
    // A lease of one's own making: another item.
    let forged = Signed { body: PromptLease { item: 4, ..signed.body.clone() }, ..signed.clone() };
    assert_eq!(lie(&submission(&forged, 0).encode().unwrap()), Some(Check::Signature));
    // Rollouts other than the committed ones.
    let mut swapped = honest.clone();
    swapped.rollouts[2].reward_micro += 1;
    assert_eq!(lie(&swapped.encode().unwrap()), Some(Check::Signature));
    // Somebody else's commitment.
    let stolen = Commitment { worker: 1, ..honest.commitment.body.clone() };
    let mut stealing = honest.clone();
    stealing.commitment = Signed::new(stolen, &run, &own).unwrap();
    assert!(stealing.encode().is_err(), "it does not even encode");
    let mut newer = honest.rollouts.clone();
    newer[1].weight_versions[0] = 999;
    let newer = Submission::new(&run, signed.clone(), newer, &own).unwrap();
    assert_eq!(lie(&newer.encode().unwrap()), Some(Check::WeightVersion));
    let empty = Submission::new(&run, signed.clone(), vec![], &own).unwrap();
    assert_eq!(lie(&empty.encode().unwrap()), Some(Check::SamplesMissing));
    assert_eq!(lie(&honest.encode().unwrap()[..50]), Some(Check::Malformed));
}

#[test]
fn a_worker_cannot_answer_anothers_lease() {
    let mut desk = desk();
    let signed = desk.lease(0, &lease(0, 1)).unwrap();
    let refused = desk.submission(0, &submission(&signed, 1).encode().unwrap()).unwrap_err();
    let (lease, check) = (Some(0), Check::Lease);
    assert_eq!(refused.event, Some(Event::WorkerLied { worker: 0, lease, check }));
    assert!(desk.submission(1, &submission(&signed, 1).encode().unwrap()).is_ok(), "its owner is not harmed");
}

#[test]
fn silent_validators_are_told_once_and_waiting_ones_never() {
    let (mut desk, submission) = answered();
    for validator in [0, 1, 2] {
        desk.check_order(0, 0, validator, DRAW).unwrap();
    }
    let (seal, _) = sealed(verdict(&submission, 1, Outcome::Valid));
    desk.from_validator(0, 1, &seal).unwrap();
    let failed = |validator| Event::VerdictFailed { lease: 0, validator, check: None };
    assert_eq!(desk.overdue(49), []);
    assert_eq!(desk.overdue(50), [failed(0), failed(2)]);
    desk.reveal_order(60, 0, 1).unwrap();
    assert_eq!(desk.overdue(109), []);
    assert_eq!(desk.overdue(110), [failed(1)]);
}

#[test]
fn unreadable_bytes_cost_the_validator_what_it_owes_first() {
    let (mut desk, _) = answered();
    assert_eq!(desk.from_validator(0, 1, b"??").unwrap_err().event, None, "it owes nothing");
    desk.check_order(0, 0, 1, DRAW).unwrap();
    let check = Some(Check::Malformed);
    let blamed = Some(Event::VerdictFailed { lease: 0, validator: 1, check });
    assert_eq!(desk.from_validator(0, 1, b"??").unwrap_err().event, blamed);
}

#[test]
fn the_sample_is_drawn_later_than_the_lease() {
    let (mut desk, _) = answered();
    let early = BeaconPoint { round: 2, ..DRAW };
    let error = DeskError::DrawTooEarly { lease: 0, lease_round: 2, draw_round: 2 };
    assert_eq!(desk.check_order(0, 0, 1, early), Err(error));
}

#[test]
fn an_accusation_of_a_fined_validator_counts_no_more() {
    let (mut desk, submission) = answered();
    for (validator, outcome) in [(0, Outcome::Valid), (1, invalid())] {
        desk.check_order(0, 0, validator, DRAW).unwrap();
        let (seal, reveal) = sealed(verdict(&submission, validator, outcome));
        desk.from_validator(0, validator, &seal).unwrap();
        desk.reveal_order(0, 0, validator).unwrap();
        desk.from_validator(0, validator, &reveal).unwrap();
    }
    assert!(desk.verified(0).is_err(), "one against one");
    desk.strike(1);
    assert_eq!(desk.verified(0).unwrap().verdicts().len(), 1);
    desk.strike(0);
    assert!(desk.verified(0).is_ok(), "what it let through stays");
}

#[test]
fn a_restored_desk_gives_the_same_group() {
    let (mut desk, submission) = answered();
    desk.check_order(0, 0, 1, DRAW).unwrap();
    let (seal, reveal) = sealed(verdict(&submission, 1, Outcome::Valid));
    desk.from_validator(0, 1, &seal).unwrap();
    desk.reveal_order(0, 0, 1).unwrap();
    desk.from_validator(0, 1, &reveal).unwrap();
    let mut restored = self::desk();
    let nothing = restored.restore_verdict(&reveal);
    assert_eq!(nothing, Err(DeskError::NoSubmission { lease: 0 }));
    restored.restore_submission(&submission.encode().unwrap()).unwrap();
    restored.restore_verdict(&reveal).unwrap();
    assert_eq!(restored.verified(0), desk.verified(0));
    assert_eq!(restored.overdue(u64::MAX), []);
}

#[test]
fn an_answer_to_what_a_lease_number_meant_before_a_restart_harms_nobody() {
    let mut before = desk();
    let stale = submission(&before.lease(0, &lease(0, 0)).unwrap(), 0).encode().unwrap();
    // The process died before its log had the lease; the number goes to another worker.
    let mut desk = desk();
    let signed = desk.lease(0, &lease(0, 1)).unwrap();
    let refused = desk.submission(0, &stale).unwrap_err();
    assert_eq!(refused, Refused { event: None, why: DeskError::LeaseEnded { lease: 0 }.into() });
    assert!(desk.submission(1, &submission(&signed, 1).encode().unwrap()).is_ok(), "it is still open");
    // The same worker, another item.
    let mut desk = self::desk();
    desk.lease(0, &PromptLease { item: 4, ..lease(0, 0) }).unwrap();
    assert_eq!(desk.submission(0, &stale).unwrap_err().event, None);
    assert!(desk.submitted(0).is_none());
}

/// The reveal of a verdict by validator 1 on lease 0, heard if the order is out.
fn revealed(desk: &mut Desk, submission: &Submission, outcome: Outcome) -> Vec<u8> {
    desk.check_order(0, 0, 1, DRAW).unwrap();
    let (seal, reveal) = sealed(verdict(submission, 1, outcome));
    desk.from_validator(0, 1, &seal).unwrap();
    desk.reveal_order(0, 0, 1).unwrap();
    desk.from_validator(0, 1, &reveal).unwrap();
    reveal
}

#[test]
fn a_verdict_that_the_rules_never_heard_is_replaced_by_the_next_one_of_its_maker() {
    let (mut desk, submission) = answered();
    let first = revealed(&mut desk, &submission, Outcome::Valid);
    // Killed after the verdict was stored and before the rules heard of it: it is asked for again.
    let mut second = self::desk();
    second.restore_submission(&submission.encode().unwrap()).unwrap();
    second.restore_verdict(&first).unwrap();
    let again = revealed(&mut second, &submission, Outcome::Valid);
    assert_eq!(second.verified(0).unwrap().verdicts().len(), 1);
    // Killed again: now the log holds both.
    let mut third = self::desk();
    third.restore_submission(&submission.encode().unwrap()).unwrap();
    third.restore_verdict(&first).unwrap();
    third.restore_verdict(&again).unwrap();
    assert_eq!(third.verified(0), second.verified(0));
}

#[test]
fn a_verdict_that_is_asked_for_again_does_not_count_meanwhile() {
    let (mut desk, submission) = answered();
    let accusation = revealed(&mut desk, &submission, invalid());
    let mut desk = self::desk();
    desk.restore_submission(&submission.encode().unwrap()).unwrap();
    desk.restore_verdict(&accusation).unwrap();
    desk.check_order(0, 0, 1, DRAW).unwrap(); // and it stays silent
    desk.check_order(0, 0, 0, DRAW).unwrap();
    let (seal, reveal) = sealed(verdict(&submission, 0, Outcome::Valid));
    desk.from_validator(0, 0, &seal).unwrap();
    desk.reveal_order(0, 0, 0).unwrap();
    desk.from_validator(0, 0, &reveal).unwrap();
    assert!(desk.verified(0).is_ok(), "the rules have heard one verdict, and it says valid");
}

#[test]
fn whatever_a_fined_worker_sends_is_not_read() {
    let mut desk = desk();
    let signed = desk.lease(0, &lease(0, 0)).unwrap();
    desk.ban(0);
    let banned = Refused { event: None, why: DeskError::Banned { worker: 0 }.into() };
    assert_eq!(desk.submission(0, b"no record").unwrap_err(), banned, "not even a lie");
    assert_eq!(desk.submission(0, &submission(&signed, 0).encode().unwrap()).unwrap_err(), banned);
    let other = desk.lease(0, &lease(1, 1)).unwrap();
    assert!(desk.submission(1, &submission(&other, 1).encode().unwrap()).is_ok());
}

#[test]
fn a_valid_verdict_is_held_to_its_own_numbers() {
    let given = |spoil: &dyn Fn(&mut CheckedRollout), outcome| {
        let (mut desk, submission) = answered();
        desk.check_order(0, 0, 1, DRAW).unwrap();
        let mut verdict = verdict(&submission, 1, outcome);
        spoil(verdict.checked.last_mut().unwrap());
        let (seal, reveal) = sealed(verdict);
        desk.from_validator(0, 1, &seal).unwrap();
        desk.reveal_order(0, 0, 1).unwrap();
        desk.from_validator(0, 1, &reveal).map(|_| ())
    };
    type Spoil = fn(&mut CheckedRollout);
    let denied: [(Spoil, Check); 10] = [
        (|checked| checked.exponent_mismatches = 39, Check::ActivationExponent),
        (|checked| checked.mantissa_mean_milli = 10_001, Check::ActivationMantissa),
        (|checked| checked.mantissa_median_milli = 8_001, Check::ActivationMantissa),
        (|checked| checked.sign_mismatches = 5, Check::ActivationSign),
        (|checked| checked.fingerprint_error_ppm = 1_001, Check::Fingerprint),
        (|checked| checked.margin_max_micro = i64::MAX, Check::TokenMargin),
        (|checked| checked.tokens_lost = u32::MAX, Check::Limits),
        (|checked| checked.logprob_error_mean_micro = 1_002, Check::Logprob),
        (|checked| checked.logprobs[1] = -25.0, Check::Logprob),
        // Each is near enough, but not their mean.
        (|checked| checked.logprobs = vec![-0.502, -1.502], Check::Logprob),
    ];
    for (spoil, due) in denied {
        let refused = given(&spoil, Outcome::Valid).unwrap_err();
        let DeskError::NumbersDisagree { reason, .. } = *refused.why else { panic!("{refused:?}") };
        assert_eq!(reason.check, due);
        let check = Some(Check::Malformed);
        assert_eq!(refused.event, Some(Event::VerdictFailed { lease: 0, validator: 1, check }));
        assert!(given(&spoil, invalid()).is_ok(), "an accusation may list them");
    }
    let near = |checked: &mut CheckedRollout| {
        checked.logprobs = vec![-0.5005, -1.4995];
        (checked.exponent_mismatches, checked.margin_max_micro) = (38, 2_000);
    };
    assert_eq!(given(&near, Outcome::Valid), Ok(()), "honest drift");
}

#[test]
fn an_accusation_is_as_clear_as_its_clearest_number() {
    let heard = |margin_max_micro, given| {
        let (mut desk, submission) = answered();
        desk.check_order(0, 0, 1, DRAW).unwrap();
        let reason =
            RejectReason { check: Check::Fingerprint, sample_index: Some(0), position: None, limit: 1_000, given };
        let mut verdict = verdict(&submission, 1, Outcome::Invalid(reason));
        verdict.checked[0].margin_max_micro = margin_max_micro;
        let (seal, reveal) = sealed(verdict);
        desk.from_validator(0, 1, &seal).unwrap();
        desk.reveal_order(0, 0, 1).unwrap();
        match desk.from_validator(0, 1, &reveal).unwrap().event {
            Some(Event::VerdictRevealed { outcome, .. }) => outcome,
            event => panic!("{event:?}"),
        }
    };
    assert_eq!(heard(0, 1_500), OutcomeKind::Narrow(Check::Fingerprint));
    assert_eq!(heard(0, 2_001), OutcomeKind::Invalid(Check::Fingerprint));
    assert_eq!(heard(3_000, 1_500), OutcomeKind::Narrow(Check::Fingerprint), "both are narrow");
    assert_eq!(heard(5_000, 1_500), OutcomeKind::Invalid(Check::TokenMargin));
}
