//! The honest worker: what it answers, and when.

use model::{InferenceModel, WeightDtype};
use protocol::{
    Commitment, Domain, FinishReason, Keypair, PlantRequest, PromptLease, ProtocolError, Record, Signed, Submission,
};
use verify::{Prompts, VerifyError, WorkerActor, prefill, prove};

use crate::world::{
    BROKEN_ITEM, GROUP_SIZE, Numbers, WIDTH, device, finish, keys, lease, signed, snapshot, terms, worker,
};

fn submission(bytes: &[u8]) -> Submission {
    let submission = Submission::decode(bytes).expect("an honest worker's bytes decode");
    let terms = terms();
    submission.check(&terms.id(), &terms.orchestrator, &terms.workers[0]).expect("and pass the check");
    submission
}

/// The bytes of a worker that has only ever seen these weights and this lease.
fn alone(number: u64, version: u64) -> Vec<u8> {
    let mut worker = worker();
    worker.weights(version, &snapshot(version)).unwrap();
    worker.lease(&signed(lease(number, version))).unwrap();
    finish(&mut worker).pop().unwrap().bytes.unwrap()
}

#[test]
fn a_submission_holds_what_the_lease_forces() {
    let bytes = alone(4, 1);
    let submission = submission(&bytes);
    let leased = &submission.lease.body;
    let prompt = Numbers.prompt(leased.task, leased.item).unwrap();
    let model = InferenceModel::from_snapshot(&snapshot(1), WeightDtype::F32, &device());
    assert_eq!(submission.rollouts.len(), GROUP_SIZE as usize);
    for rollout in &submission.rollouts {
        assert_eq!(rollout.prompt_tokens, *prompt);
        assert_eq!(rollout.reward_micro, i64::from(rollout.completion_tokens[0]));
        assert!(rollout.weight_versions.iter().all(|&version| version == 1));
        let stopped = rollout.completion_tokens.last() == Some(&0);
        assert_eq!(rollout.finish == FinishReason::StopToken, stopped);
        assert!(stopped || rollout.completion_tokens.len() == 40);
        let recomputed = prefill(&model, &prompt, &[&rollout.completion_tokens], |_| ()).unwrap().remove(0);
        let seed = leased.sample_seed(Domain::Train, rollout.sample_index);
        let evidence = prove(&recomputed.hidden, WIDTH, &seed).unwrap();
        assert_eq!(evidence.activation_proof, rollout.activation_proof);
        assert_eq!(evidence.fingerprint, rollout.fingerprint);
    }
}

#[test]
fn an_answer_is_the_same_bytes_whatever_else_is_going_on() {
    let mut worker = worker();
    worker.weights(1, &snapshot(1)).unwrap();
    for number in 0..6 {
        worker.lease(&signed(lease(number, 1))).unwrap();
    }
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.extend(worker.step().unwrap());
    }
    worker.weights(2, &snapshot(2)).unwrap();
    // One for weights that are no longer the newest, one for the newest, and one for those to come.
    for (number, version) in [(6, 1), (7, 2), (8, 3)] {
        worker.lease(&signed(lease(number, version))).unwrap();
    }
    answers.extend(finish(&mut worker));
    assert!(worker.is_idle(), "the lease for weights to come is nothing to do yet");
    worker.weights(3, &snapshot(3)).unwrap();
    answers.extend(finish(&mut worker));
    answers.sort_by_key(|answer| answer.lease);
    let versions = [1, 1, 1, 1, 1, 1, 1, 2, 3];
    assert_eq!(answers.len(), versions.len());
    for (answer, version) in answers.iter().zip(versions) {
        assert_eq!(answer.bytes.as_ref().unwrap(), &alone(answer.lease, version), "lease {}", answer.lease);
        let tokens = submission(answer.bytes.as_ref().unwrap()).rollouts;
        assert_eq!(answer.tokens, tokens.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum::<u64>());
    }
}

#[test]
fn a_worker_signs_plants_of_the_orchestrator_on_its_own_answers_only() {
    let mut worker = worker();
    worker.weights(1, &snapshot(1)).unwrap();
    worker.lease(&signed(lease(4, 1))).unwrap();
    let own = finish(&mut worker).pop().unwrap().bytes.unwrap();
    let own = submission(&own).commitment.body;
    let run = terms().id();
    let request = |commitment: &Commitment, by: &Keypair| {
        Signed::new(PlantRequest { commitment: commitment.clone() }, &run, by).unwrap().encode().unwrap()
    };
    let orchestrator = keys("orchestrator", 0);
    let plant = Commitment { root: [9; 32], ..own };
    let signature = worker.countersign(&request(&plant, &orchestrator)).unwrap();
    assert_eq!(worker.countersign(&request(&plant, &orchestrator)).unwrap(), signature, "again, the same");
    let signature: Signed<Commitment> = Signed::decode(&signature).unwrap();
    assert_eq!(signature.verify(&run, &terms().workers[0]).unwrap(), &plant);
    // A lease that it never answered, another's name, and nobody's word.
    let unanswered = Commitment { lease: 5, ..plant.clone() };
    let refused = worker.countersign(&request(&unanswered, &orchestrator)).unwrap_err();
    assert_eq!(refused, VerifyError::NotAnswered { lease: 5 });
    let others = Commitment { worker: 1, ..plant.clone() };
    let refused = worker.countersign(&request(&others, &orchestrator)).unwrap_err();
    assert_eq!(refused, VerifyError::OtherWorker { expected: 0, given: 1 });
    for forger in [keys("validator", 0), keys("worker", 0)] {
        let refused = worker.countersign(&request(&plant, &forger)).unwrap_err();
        assert!(matches!(refused, VerifyError::Protocol(ProtocolError::WrongSigner { .. })), "{refused}");
    }
    let bare = Signed::new(plant, &run, &orchestrator).unwrap().encode().unwrap();
    let refused = worker.countersign(&bare).unwrap_err();
    assert!(matches!(refused, VerifyError::Protocol(ProtocolError::WrongKind { .. })), "{refused}");
}

#[test]
fn a_lease_that_cannot_be_answered_says_why() {
    let mut worker = worker();
    worker.weights(1, &snapshot(1)).unwrap();
    worker.weights(2, &snapshot(2)).unwrap();
    worker.weights(3, &snapshot(3)).unwrap();
    let mut why = |change: &dyn Fn(&mut PromptLease)| {
        let mut bad = lease(1, 3);
        change(&mut bad);
        worker.lease(&signed(bad)).unwrap();
        finish(&mut worker).pop().unwrap().bytes.unwrap_err()
    };
    assert_eq!(why(&|lease| lease.worker = 1), "the lease is for worker 1, this is worker 0");
    assert_eq!(why(&|lease| lease.weight_version = 1), "weights of version 1 are not held");
    assert_eq!(why(&|lease| lease.weights[0] ^= 1), "weights of version 3 are not those that the lease names");
    assert_eq!(why(&|lease| lease.item = BROKEN_ITEM), "task 0, item 666: no such item");
    assert!(why(&|lease| lease.group_size = 0).contains("asks for no sample"), "an empty group");

    let mut forged = signed(lease(1, 3));
    forged.body.item += 1;
    worker.lease(&forged).unwrap();
    assert!(finish(&mut worker)[0].bytes.as_ref().unwrap_err().contains("signature"));
    let forged = Signed::new(lease(1, 3), &terms().id(), &keys("worker", 0)).unwrap();
    worker.lease(&forged).unwrap();
    assert!(finish(&mut worker)[0].bytes.is_err(), "somebody else's signature");
}

#[test]
fn a_cancelled_lease_is_not_answered_and_disturbs_nobody() {
    let mut worker = worker();
    worker.lease(&signed(lease(3, 1))).unwrap();
    worker.lease(&signed(lease(5, 1))).unwrap();
    worker.cancel(5);
    worker.weights(1, &snapshot(1)).unwrap();
    worker.lease(&signed(lease(4, 1))).unwrap();
    let early = worker.step().unwrap();
    assert!(early.is_empty());
    worker.cancel(3);
    worker.cancel(77);
    let answers = finish(&mut worker);
    assert_eq!(answers.iter().map(|answer| answer.lease).collect::<Vec<_>>(), [4]);
    assert_eq!(answers[0].bytes.as_ref().unwrap(), &alone(4, 1));
}
