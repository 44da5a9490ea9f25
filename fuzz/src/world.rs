//! One small run with made-up keys: what the seeds are made of.

use std::sync::Arc;

use protocol::{
    BeaconPoint, BeaconTerms, Check, CheckedRollout, DtypeTerm, FinishReason, Keypair, Outcome, PlantRequest,
    PromptLease, RejectReason, Rollout, RunTerms, SamplingTerms, Signed, Submission, Verdict, VerdictReveal,
};

/// Randomness of the checks.
pub const DRAW: BeaconPoint = BeaconPoint { round: 9, randomness: [9; 32] };

/// Keys of a party.
pub fn keys(role: &str, index: u32) -> Keypair {
    Keypair::derive(&[1; 32], role, index)
}

/// Two workers and two validators.
pub fn terms() -> Arc<RunTerms> {
    let two = |role: &str| (0..2).map(|index| keys(role, index).public()).collect();
    Arc::new(RunTerms {
        run_seed: [7; 32],
        orchestrator: keys("orchestrator", 0).public(),
        trainer: keys("trainer", 0).public(),
        workers: two("worker"),
        validators: two("validator"),
        group_size: 2,
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

/// Lease 0, of worker 0.
pub fn lease() -> PromptLease {
    PromptLease {
        lease: 0,
        task: 0,
        item: 3,
        weight_version: 0,
        weights: [4; 32],
        group_size: 2,
        run_seed: [7; 32],
        worker: 0,
        worker_lease: 0,
        beacon: BeaconPoint { round: 2, randomness: [2; 32] },
    }
}

/// An answer to lease 0.
pub fn rollout(sample_index: u32) -> Rollout {
    Rollout {
        lease: 0,
        sample_index,
        prompt_tokens: vec![5, 300],
        completion_tokens: vec![7, sample_index, 1],
        logprobs: vec![-0.5, -1.5, -0.125],
        weight_versions: vec![0, 0, 0],
        finish: FinishReason::StopToken,
        reward_micro: 250_000,
        exact: false,
        activation_proof: vec![1, 2, 3, 4],
        fingerprint: vec![100, -100, 0, 7],
    }
}

/// The signed answer to lease 0.
pub fn submission() -> Submission {
    let run = terms().id();
    let lease = Signed::new(lease(), &run, &keys("orchestrator", 0)).expect("a valid lease");
    Submission::new(&run, lease, vec![rollout(0), rollout(1)], &keys("worker", 0)).expect("a valid group")
}

/// What worker 0 is asked to sign as a plant, if nobody looks at it.
pub fn plant_request() -> Signed<PlantRequest> {
    let commitment = submission().commitment.body;
    Signed::new(PlantRequest { commitment }, &terms().id(), &keys("orchestrator", 0)).expect("a valid request")
}

/// Any verdict of validator 0 on that answer.
pub fn verdict(outcome: Outcome) -> Verdict {
    let submission = submission();
    let drawn = proof::draw::samples(&DRAW, submission.root(), 2, terms().check_ppm);
    let numbers = |sample_index| CheckedRollout {
        sample_index,
        exponent_mismatches: 1,
        mantissa_mean_milli: 1_250,
        mantissa_median_milli: 1_000,
        sign_mismatches: 0,
        fingerprint_error_ppm: 900,
        margin_max_micro: -3,
        tokens_lost: 0,
        logprob_error_max_micro: 40,
        logprob_error_mean_micro: 2,
        logprobs: vec![-0.5, -1.5, -0.125],
    };
    let checked = drawn.into_iter().map(numbers).collect();
    Verdict {
        lease: 0,
        root: *submission.root(),
        validator: 0,
        draw: DRAW,
        tokens: submission.completion_tokens(),
        checked,
        outcome,
    }
}

/// A verdict that rejects.
pub fn invalid() -> Outcome {
    let check = Check::TokenMargin;
    Outcome::Invalid(RejectReason { check, sample_index: Some(0), position: Some(1), limit: 1, given: 2 })
}

/// The verdict, signed, with its salt.
pub fn reveal(verdict: Verdict) -> VerdictReveal {
    let verdict = Signed::new(verdict, &terms().id(), &keys("validator", 0)).expect("a valid verdict");
    VerdictReveal { verdict, salt: [3; 32] }
}
