//! Records keep their bytes; bad bytes get a name; signatures hold for one record in one run.
mod admission;
mod golden;
mod limits;
mod merkle;
mod reasons;
mod round_trip;
mod signatures;
mod strategies;

use protocol::{
    BeaconPoint, BeaconTerms, CheckedRollout, DtypeTerm, FinishReason, Group, Keypair, Outcome, PromptLease, PublicKey,
    Rollout, RunTerms, SamplingTerms, Signed, Submission, Verdict, VerdictReveal,
};

fn keys(role: &str, index: u32) -> Keypair {
    Keypair::derive(&[1; 32], role, index)
}

fn terms() -> RunTerms {
    let two = |role: &str| -> Vec<PublicKey> { (0..2).map(|index| keys(role, index).public()).collect() };
    RunTerms {
        run_seed: [7; 32],
        orchestrator: keys("orchestrator", 0).public(),
        trainer: keys("trainer", 0).public(),
        workers: two("worker"),
        validators: two("validator"),
        group_size: 2,
        check_ppm: 200_000,
        probation_leases: 4,
        sampling: SamplingTerms {
            temperature: 1.0,
            max_new_tokens: 64,
            context_max: 128,
            vocabulary: 200,
            stop_tokens: vec![2],
            dtype: DtypeTerm::F32,
        },
        beacon: BeaconTerms::HashChain { anchor: [4; 32], length: 1024 },
    }
}

fn lease() -> PromptLease {
    PromptLease {
        lease: 41,
        task: 1,
        item: 300,
        weight_version: 3,
        weights: [9; 32],
        group_size: 2,
        run_seed: [7; 32],
        worker: 0,
        worker_lease: 6,
        beacon: BeaconPoint { round: 5, randomness: [8; 32] },
    }
}

fn rollout(sample_index: u32) -> Rollout {
    Rollout {
        lease: 41,
        sample_index,
        prompt_tokens: vec![5, 128],
        completion_tokens: vec![9, 2],
        logprobs: vec![-0.5, -1.0],
        weight_versions: vec![3, 3],
        finish: FinishReason::StopToken,
        reward_micro: 1_000_000,
        exact: true,
        activation_proof: vec![1, 255, 0],
        fingerprint: vec![-1, 300],
    }
}

fn group() -> Group {
    Group { lease: lease(), rollouts: vec![rollout(0), rollout(1)] }
}

fn signed_lease() -> Signed<PromptLease> {
    Signed::new(lease(), &terms().id(), &keys("orchestrator", 0)).unwrap()
}

fn submission() -> Submission {
    Submission::new(&terms().id(), signed_lease(), group().rollouts, &keys("worker", 0)).unwrap()
}

fn checked(sample_index: u32) -> CheckedRollout {
    CheckedRollout {
        sample_index,
        exponent_mismatches: 2,
        mantissa_mean_milli: 1_500,
        mantissa_median_milli: 1_000,
        sign_mismatches: 0,
        fingerprint_error_ppm: 300,
        margin_max_micro: -5,
        tokens_lost: 1,
        logprob_error_max_micro: 64,
        logprob_error_mean_micro: 1,
        logprobs: vec![-0.5, -1.0],
    }
}

fn verdict(validator: u32, outcome: Outcome) -> Verdict {
    Verdict {
        lease: 41,
        root: *submission().root(),
        validator,
        draw: BeaconPoint { round: 6, randomness: [6; 32] },
        tokens: 300,
        checked: vec![checked(1)],
        outcome,
    }
}

fn sign_verdict(verdict: Verdict) -> Signed<Verdict> {
    let validator = verdict.validator;
    Signed::new(verdict, &terms().id(), &keys("validator", validator)).unwrap()
}

fn reveal() -> VerdictReveal {
    VerdictReveal { verdict: sign_verdict(verdict(1, Outcome::Valid)), salt: [3; 32] }
}
