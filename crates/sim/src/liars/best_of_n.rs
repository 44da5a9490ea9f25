//! Samples each rollout twice and sends the better one.

use protocol::{Check, Hash, PromptLease, Rollout};
use verify::{VerifyError, Work};

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "best_of_n",
    role: Role::Worker,
    describe: "draws every rollout twice, once with noise of its own, and sends the one with the higher reward; \
               of two equal ones the likelier",
    expected: &[Check::TokenMargin],
};

/// Draws for each rollout; the first uses the noise that the lease forces.
const DRAWS: u32 = 2;

pub(super) struct BestOfN;

impl Lie for BestOfN {
    fn plan(&mut self, _tools: &Tools, mut work: Work) -> Result<Work, VerifyError> {
        let forced = work.seeds.clone();
        for draw in 1..DRAWS {
            work.seeds.extend(forced.iter().map(|seed| another(seed, draw)));
        }
        Ok(work)
    }

    fn rollouts(
        &mut self,
        tools: &mut Tools,
        lease: &PromptLease,
        drawn: Vec<Rollout>,
    ) -> Result<Vec<Rollout>, VerifyError> {
        let count = lease.group_size as usize;
        let (forced, more) = drawn.split_at(count);
        let mut best = forced.to_vec();
        for (place, again) in more.iter().enumerate() {
            let best = &mut best[place % count];
            if worth(again) > worth(best) {
                *best = Rollout { sample_index: best.sample_index, ..again.clone() };
            }
        }
        // Fingerprints are made with the noise's seed, so those of the other draws have to be made again.
        tools.tidy(lease, &mut best)?;
        Ok(best)
    }
}

/// Noise of its own for the same sample.
fn another(seed: &Hash, draw: u32) -> Hash {
    let mut hasher = blake3::Hasher::new_derive_key("essaim simulator draws once more");
    *hasher.update(seed).update(&draw.to_le_bytes()).finalize().as_bytes()
}

/// What the liar wants: reward first, then likelihood in millionths of a nat per token.
fn worth(rollout: &Rollout) -> (i64, i64) {
    let tokens = rollout.logprobs.len().max(1) as f64;
    let mean = rollout.logprobs.iter().map(|&logprob| f64::from(logprob)).sum::<f64>() / tokens;
    (rollout.reward_micro, (mean * 1e6) as i64)
}
