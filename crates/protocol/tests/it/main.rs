//! Records keep their bytes; bad bytes get a name.
mod golden;
mod limits;
mod round_trip;

use protocol::{FinishReason, Group, PromptLease, Rollout};

fn lease() -> PromptLease {
    PromptLease {
        lease: 41,
        task: 1,
        item: 300,
        weight_version: 3,
        group_size: 2,
        run_seed: [7; 32],
        worker: 0,
        beacon_round: 0,
    }
}

fn rollout(sample_index: u32) -> Rollout {
    Rollout {
        lease: 41,
        sample_index,
        prompt_tokens: vec![5, 128],
        completion_tokens: vec![9, 2],
        logprobs: vec![-0.5, -1.0],
        weight_versions: vec![3, 4],
        finish: FinishReason::StopToken,
        reward_micro: 1_000_000,
        exact: true,
    }
}

fn group() -> Group {
    Group { lease: lease(), rollouts: vec![rollout(0), rollout(1)] }
}
