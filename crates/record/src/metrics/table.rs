//! The tables of metrics: name, unit, formula, and who else calls it so.

use super::per_second;
use crate::events::{EvalFinished, Graded, SftStep, StepMetrics};

/// One number: its name, what it counts, and where it comes from.
pub struct Metric<T> {
    /// Name in `metrics.jsonl` and TensorBoard.
    pub name: &'static str,
    /// Unit.
    pub unit: &'static str,
    /// Formula, and over what.
    pub doc: &'static str,
    /// Who else has this name for this meaning.
    pub like: &'static str,
    /// The number; `None` where it is not measured.
    pub value: fn(&T) -> Option<f64>,
}

const fn metric<T>(
    name: &'static str,
    unit: &'static str,
    like: &'static str,
    doc: &'static str,
    value: fn(&T) -> Option<f64>,
) -> Metric<T> {
    Metric { name, unit, doc, like, value }
}

const SHARE: &str = "share";
const TOKENS: &str = "tokens";
const SECONDS: &str = "s";
const RATE: &str = "tokens/s";
const NATS: &str = "nats";
const REWARD: &str = "0 to 1";
const VERSIONS: &str = "weight versions";
const TRL: &str = "TRL";
const PRIME: &str = "prime-rl";

fn all(m: &StepMetrics, number: fn(&Graded) -> f64) -> Option<f64> {
    m.all.as_ref().map(number)
}

/// All numbers of a training step, in the order of the file.
///
/// "All groups": all that passed their checks since the last step, those that are not trained on too; absent if there
/// was none. "The batch": the groups that were trained on.
pub const METRICS: &[Metric<StepMetrics>] = &[
    metric("reward", REWARD, TRL, "mean reward over the rollouts of all groups", |m| all(m, |g| g.reward_mean)),
    metric("reward/all/mean", REWARD, PRIME, "the same number", |m| all(m, |g| g.reward_mean)),
    metric("reward_std", REWARD, TRL, "standard deviation of these rewards, divided by n - 1", |m| {
        all(m, |g| g.reward_std)
    }),
    metric("exact/mean", SHARE, "", "exact answers among the rollouts of all groups", |m| all(m, |g| g.exact_share)),
    metric("solve_all/all", SHARE, PRIME, "groups in which every rollout is exact, of all groups", |m| {
        all(m, |g| g.solved_all_share)
    }),
    metric("solve_none/all", SHARE, PRIME, "groups in which no rollout is exact, of all groups", |m| {
        all(m, |g| g.solved_none_share)
    }),
    metric("frac_reward_zero_std", SHARE, TRL, "groups whose rewards are all equal, of all groups", |m| {
        all(m, |g| g.equal_rewards_share)
    }),
    metric("groups", "groups", "", "all groups", |m| all(m, |g| g.groups as f64)),
    metric("completions/mean_length", TOKENS, TRL, "mean length of a completion, all groups", |m| {
        all(m, |g| g.completion_length.mean)
    }),
    metric("completions/min_length", TOKENS, TRL, "shortest completion, all groups", |m| {
        all(m, |g| g.completion_length.min)
    }),
    metric("completions/max_length", TOKENS, TRL, "longest completion, all groups", |m| {
        all(m, |g| g.completion_length.max)
    }),
    metric("completions/clipped_ratio", SHARE, TRL, "completions that met the length limit, all groups", |m| {
        all(m, |g| g.truncated_share)
    }),
    metric("batch/reward/mean", REWARD, "", "mean reward over the rollouts of the batch", |m| {
        Some(m.batch.reward_mean)
    }),
    metric("batch/exact/mean", SHARE, "", "exact answers among the rollouts of the batch", |m| {
        Some(m.batch.exact_share)
    }),
    metric("batch/groups", "groups", "", "groups in the batch", |m| Some(m.batch.groups as f64)),
    metric("batch/rollouts", "rollouts", "", "rollouts in the batch", |m| Some(m.learnt.batch.sequences as f64)),
    metric("loss", "", TRL, "value of the loss, entropy term included", |m| Some(m.learnt.loss)),
    metric("policy_loss", "", TRL, "the loss without its entropy term", |m| Some(m.learnt.policy.policy_loss)),
    metric("entropy", NATS, TRL, "mean entropy per completion token of the batch", |m| Some(m.learnt.policy.entropy)),
    metric(
        "mismatch_kl/all/mean",
        NATS,
        PRIME,
        "mean of r - log r - 1 per completion token, r = trainer / engine",
        |m| Some(m.learnt.policy.mismatch_kl),
    ),
    metric("sampling/sampling_logp_difference/mean", NATS, TRL, "mean of |log old - log engine| per token", |m| {
        Some(m.learnt.policy.logprob_difference_mean)
    }),
    metric("sampling/sampling_logp_difference/max", NATS, TRL, "largest of them", |m| {
        Some(m.learnt.policy.logprob_difference_max)
    }),
    metric(
        "sampling/importance_sampling_ratio/mean",
        "",
        TRL,
        "mean importance weight; with old = behaviour, of r",
        |m| Some(m.learnt.policy.ratio_mean),
    ),
    metric("sampling/importance_sampling_ratio/min", "", TRL, "smallest of them", |m| Some(m.learnt.policy.ratio_min)),
    metric("sampling/importance_sampling_ratio/max", "", TRL, "largest of them", |m| Some(m.learnt.policy.ratio_max)),
    metric("clip_ratio/low_mean", SHARE, TRL, "tokens cut from below; of losses that clip", |m| {
        Some(m.learnt.policy.clipped?.low_mean)
    }),
    metric("clip_ratio/high_mean", SHARE, TRL, "tokens cut from above; of losses that clip", |m| {
        Some(m.learnt.policy.clipped?.high_mean)
    }),
    metric("clip_ratio/region_mean", SHARE, TRL, "both", |m| Some(m.learnt.policy.clipped?.region_mean)),
    metric("clip_ratio/high_max", SHARE, TRL, "largest share of a sequence cut from above", |m| {
        Some(m.learnt.policy.clipped?.high_max)
    }),
    metric("cispo_clip_ratio", SHARE, TRL, "positive tokens over cispo's cap", |m| m.learnt.policy.capped_share),
    metric("is_masked/all/mean", SHARE, PRIME, "tokens left out of the loss", |m| Some(m.learnt.policy.masked_share)),
    metric("is_masked_low/all/mean", SHARE, PRIME, "dppo: negative tokens that lost too much", |m| {
        m.learnt.policy.masked_low_share
    }),
    metric("is_masked_high/all/mean", SHARE, PRIME, "dppo: positive tokens that gained too much", |m| {
        m.learnt.policy.masked_high_share
    }),
    metric("optim/grad_norm", "", PRIME, "norm of the gradient before clipping", |m| Some(m.learnt.grad_norm)),
    metric("optim/lr", "", PRIME, "learning rate", |m| Some(m.learnt.lr)),
    metric("off_policy/mean", VERSIONS, "", "mean age of the batch's rollouts", |m| Some(m.staleness.mean)),
    metric("off_policy/max", VERSIONS, "", "largest age of the batch's rollouts", |m| Some(m.staleness.max)),
    metric("off_policy/dropped", "groups", "", "groups dropped for age since the last step", |m| {
        Some(m.dropped_stale as f64)
    }),
    metric("progress/tokens", TOKENS, PRIME, "prompt and completion tokens trained on in this step", |m| {
        Some(m.tokens_trained() as f64)
    }),
    metric("progress/prefill_tokens", TOKENS, PRIME, "the prompt tokens among them", |m| {
        Some((m.learnt.batch.tokens - m.learnt.batch.completion_tokens) as f64)
    }),
    metric("progress/decode_tokens", TOKENS, PRIME, "the completion tokens among them", |m| {
        Some(m.learnt.batch.completion_tokens as f64)
    }),
    metric("num_tokens", TOKENS, TRL, "prompt and completion tokens trained on since RL began", |m| {
        Some(m.learnt.tokens_seen as f64)
    }),
    metric("generated/completion_tokens", TOKENS, "", "completion tokens of all groups", |m| {
        Some(m.tokens_generated() as f64)
    }),
    metric(
        "perf/throughput",
        RATE,
        PRIME,
        "progress/tokens / time/step: prompt and completion tokens trained on",
        |m| per_second(m.tokens_trained(), m.time.step),
    ),
    metric("perf/generated_completion_throughput", RATE, "", "generated/completion_tokens / time/step", |m| {
        per_second(m.tokens_generated(), m.time.step)
    }),
    metric(
        "perf/peak_memory",
        "GiB",
        PRIME,
        "largest memory of the process so far; only where the system tells",
        |m| Some(m.peak_memory_bytes? as f64 / (1u64 << 30) as f64),
    ),
    metric("time/step", SECONDS, PRIME, "from the end of the last step to the end of this one", |m| Some(m.time.step)),
    metric("time/generate", SECONDS, "", "busy time of all workers together, proofs included", |m| {
        Some(m.time.generate)
    }),
    metric("time/prove", SECONDS, "", "the part of it that went into proofs and grades", |m| Some(m.time.prove)),
    metric("time/validate", SECONDS, "", "busy time of all validators together", |m| Some(m.time.validate)),
    metric("time/wait_for_batch", SECONDS, PRIME, "trainer idle for want of a batch", |m| Some(m.time.wait_for_batch)),
    metric("time/forward_backward", SECONDS, PRIME, "packing, forward, backward and the optimiser", |m| {
        Some(m.time.forward_backward)
    }),
    metric("time/snapshot_weights", SECONDS, "", "copying the new weights, and their hash", |m| {
        Some(m.time.snapshot_weights)
    }),
    metric(
        "time/publish_weights",
        SECONDS,
        "",
        "from new weights to the beacon point with which leases may name them",
        |m| Some(m.time.publish_weights),
    ),
    metric("time/save_ckpt", SECONDS, PRIME, "writing checkpoints", |m| Some(m.time.save_ckpt)),
];

/// All numbers of a step of supervised training, in the order of the file.
pub const SFT_METRICS: &[Metric<SftStep>] = &[
    metric("sft/loss", NATS, "", "mean negative log-probability per completion token", |s| Some(s.learnt.loss)),
    metric("sft/entropy", NATS, "", "mean entropy per completion token", |s| Some(s.learnt.entropy)),
    metric("sft/optim/grad_norm", "", "", "norm of the gradient before clipping", |s| Some(s.learnt.grad_norm)),
    metric("sft/optim/lr", "", "", "learning rate", |s| Some(s.learnt.lr)),
    metric("sft/progress/tokens", TOKENS, "", "prompt and completion tokens of this step", |s| {
        Some(s.learnt.batch.tokens as f64)
    }),
    metric("sft/progress/decode_tokens", TOKENS, "", "the completion tokens among them: those with a loss", |s| {
        Some(s.learnt.batch.completion_tokens as f64)
    }),
    metric("sft/perf/throughput", RATE, "", "sft/progress/tokens / sft/time/step", |s| {
        per_second(s.learnt.batch.tokens as u64, s.seconds)
    }),
    metric(
        "sft/perf/peak_memory",
        "GiB",
        "",
        "largest memory of the process so far; only where the system tells",
        |s| Some(s.peak_memory_bytes? as f64 / (1u64 << 30) as f64),
    ),
    metric("sft/time/step", SECONDS, "", "time of this step", |s| Some(s.seconds)),
];

/// All numbers of an evaluation, task by task, in the order of the file. Before and after supervised training they
/// stand under `sft/eval/…`.
pub const EVAL_METRICS: &[Metric<EvalFinished>] = &[
    metric("eval/{task}/avg@{k}", SHARE, "", "mean over items of the share of exact answers among k", |e| {
        Some(e.exact_mean)
    }),
    metric("eval/{task}/pass@{k}", SHARE, "", "items with an exact answer among k", |e| Some(e.pass_at_k)),
    metric("eval/{task}/reward/mean", REWARD, "", "mean reward over all samples", |e| Some(e.reward_mean)),
    metric("eval/{task}/completion_tokens", TOKENS, "", "completion tokens generated", |e| Some(e.tokens as f64)),
    metric("eval/{task}/time", SECONDS, "", "time taken; overlaps training in async mode", |e| Some(e.seconds)),
];
