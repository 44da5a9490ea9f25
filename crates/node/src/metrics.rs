//! Numbers of every step under the names that prime-rl and TRL users know, as JSON lines.
//!
//! Promise: `metrics.jsonl` has one line per training step (and one per evaluation and per warm-up
//! step), each a flat object with `step`; it is made from the event log alone and is complete
//! again after a resume. Names keep their meaning where prime-rl or TRL have one; both spellings of
//! the reward are written, so that dashboards of either carry over.

use crate::events::{EvalFinished, Event, Recorded, SftStep, StepMetrics};
use crate::run_dir::{self, RunDirError};
use crate::store::{EventLog, StoreError};
use serde_json::{Map, Value};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// One number of a step: its name, what it counts, and where it comes from.
pub struct Metric {
    /// Name in `metrics.jsonl` and TensorBoard.
    pub name: &'static str,
    /// What it counts, with its unit.
    pub doc: &'static str,
    /// The number.
    pub value: fn(&StepMetrics) -> f64,
}

const fn metric(name: &'static str, doc: &'static str, value: fn(&StepMetrics) -> f64) -> Metric {
    Metric { name, doc, value }
}

/// All numbers of a step, in the order of the file.
pub const METRICS: &[Metric] = &[
    metric("reward/mean", "mean reward of the batch, 0 to 1", |m| m.reward.mean),
    metric("reward/std", "standard deviation of the batch's rewards", |m| m.reward.std),
    metric("reward/min", "smallest reward of the batch", |m| m.reward.min),
    metric("reward/max", "largest reward of the batch", |m| m.reward.max),
    metric("reward/all/mean", "mean reward of all rollouts since the last step, refused groups too", |m| {
        m.reward_all_mean.unwrap_or(m.reward.mean)
    }),
    metric("reward", "TRL's name for reward/mean", |m| m.reward.mean),
    metric("reward_std", "TRL's name for reward/std", |m| m.reward.std),
    metric("exact/mean", "share of the batch's rollouts that are exact", |m| m.exact_share),
    metric("solved_all", "share of groups with every rollout exact", |m| m.solved_all),
    metric("solved_none", "share of groups with no rollout exact", |m| m.solved_none),
    metric("frac_reward_zero_std", "share of groups whose rewards are all equal", |m| m.equal_rewards_share),
    metric("loss", "value of the loss", |m| m.loss),
    metric("entropy/all", "mean entropy per completion token, nats", |m| m.entropy),
    metric("mismatch_kl/all", "mean k3 estimate of KL(engine || trainer) per token, nats", |m| m.mismatch_kl),
    metric("sampling/importance_sampling_ratio/mean", "mean ratio trainer / engine per token", |m| m.ratio.mean),
    metric("sampling/importance_sampling_ratio/min", "smallest ratio trainer / engine", |m| m.ratio.min),
    metric("sampling/importance_sampling_ratio/max", "largest ratio trainer / engine", |m| m.ratio.max),
    metric("clip_ratio/low_mean", "share of tokens cut from below", |m| m.clip_low_share),
    metric("clip_ratio/high_mean", "share of tokens cut from above", |m| m.clip_high_share),
    metric("is_masked", "share of tokens left out of the loss", |m| m.masked_share),
    metric("optim/grad_norm", "norm of the gradient before clipping", |m| m.grad_norm),
    metric("optim/lr", "learning rate", |m| m.lr),
    metric("off_policy/mean", "mean age of the batch in weight versions", |m| m.staleness.mean),
    metric("off_policy/max", "largest age of the batch in weight versions", |m| m.staleness.max),
    metric("off_policy/dropped", "groups dropped for age since the last step", |m| m.dropped_stale as f64),
    metric("completions/mean_length", "mean completion length, tokens", |m| m.completion_length.mean),
    metric("completions/min_length", "shortest completion, tokens", |m| m.completion_length.min),
    metric("completions/max_length", "longest completion, tokens", |m| m.completion_length.max),
    metric("completions/clipped_ratio", "share of completions that met the length limit", |m| m.truncated_share),
    metric("rollouts", "rollouts in the batch", |m| m.rollouts as f64),
    metric("tokens/trained", "prompt and completion tokens trained on in this step", |m| m.tokens_trained as f64),
    metric("tokens/generated", "completion tokens generated since the last step", |m| m.tokens_generated as f64),
    metric("perf/throughput", "tokens trained on per second of wall time", |m| {
        per_second(m.tokens_trained, m.time.step)
    }),
    metric("perf/generation_throughput", "tokens generated per second of the engine's busy time", |m| {
        per_second(m.tokens_generated, m.time.generate)
    }),
    metric("perf/peak_memory", "largest memory of the process so far, GiB", |m| {
        m.peak_memory_bytes as f64 / (1u64 << 30) as f64
    }),
    metric("time/step", "seconds from the end of the last step to the end of this one", |m| m.time.step),
    metric("time/generate", "seconds that workers were busy since the last step", |m| m.time.generate),
    metric("time/prove", "seconds of it that went into proofs and grades", |m| m.time.prove),
    metric("time/validate", "seconds that validators were busy since the last step", |m| m.time.validate),
    metric("time/wait_for_batch", "seconds that the trainer waited for a batch", |m| m.time.wait_for_batch),
    metric("time/pack", "seconds of packing", |m| m.time.pack),
    metric("time/forward_backward", "seconds of forward and backward passes", |m| m.time.forward_backward),
    metric("time/optimizer", "seconds of the optimiser", |m| m.time.optimizer),
    metric("time/broadcast_weights", "seconds of handing over the weights", |m| m.time.broadcast_weights),
    metric("time/save_ckpt", "seconds of writing a checkpoint", |m| m.time.save_ckpt),
];

/// `count / seconds`; 0 where no time passed.
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// Step and named numbers of an event, if it has any to show.
pub fn scalars(event: &Event) -> Option<(u64, Vec<(String, f64)>)> {
    match event {
        Event::StepTrained(trained) => {
            let named = METRICS.iter().map(|metric| (metric.name.to_owned(), (metric.value)(&trained.metrics)));
            Some((trained.step, named.collect()))
        }
        Event::EvalFinished(eval) => Some((eval.step, eval_scalars(eval))),
        Event::SftStep(step) => Some((step.step, sft_scalars(step))),
        _ => None,
    }
}

fn eval_scalars(eval: &EvalFinished) -> Vec<(String, f64)> {
    let (task, k) = (&eval.task, eval.samples);
    vec![
        (format!("eval/{task}/avg@{k}"), eval.exact_mean),
        (format!("eval/{task}/pass@{k}"), eval.pass_at_k),
        (format!("eval/{task}/reward/mean"), eval.reward_mean),
        (format!("eval/{task}/time"), eval.seconds),
    ]
}

fn sft_scalars(step: &SftStep) -> Vec<(String, f64)> {
    vec![
        ("sft/loss".to_owned(), step.loss),
        ("sft/grad_norm".to_owned(), step.grad_norm),
        ("sft/lr".to_owned(), step.lr),
        ("sft/throughput".to_owned(), per_second(step.tokens, step.seconds)),
    ]
}

/// `metrics.jsonl` of one run.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Writes the file anew from all events that the log holds, and stays open for more.
    ///
    /// Errors: those of the log, and of the file with its name.
    pub fn from_log(path: &Path, log: &EventLog) -> anyhow::Result<Self> {
        let mut lines: Vec<(u64, String)> = Vec::new();
        log.replay(1, |recorded| {
            if let Event::RunResumed { step } = recorded.event {
                // Later lines tell of steps that are done again; warm-up lines have no such place.
                lines.retain(|(at, _)| *at <= step);
            }
            if let Some(line) = line(&recorded) {
                lines.push((training_step(&recorded.event), line));
            }
            Ok::<(), StoreError>(())
        })?;
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        run_dir::write_whole(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(|source| io_error(path, source))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Adds the event's line, if it has one; a line goes out in one write.
    pub fn on_event(&mut self, recorded: &Recorded) -> Result<(), RunDirError> {
        match line(recorded) {
            Some(line) => self.file.write_all(line.as_bytes()).map_err(|source| io_error(&self.path, source)),
            None => Ok(()),
        }
    }
}

/// The training step that an event belongs to; warm-up comes before all of them.
fn training_step(event: &Event) -> u64 {
    match event {
        Event::StepTrained(trained) => trained.step,
        Event::EvalFinished(eval) => eval.step,
        _ => 0,
    }
}

/// One event as one line of JSON. Numbers that JSON cannot hold (NaN, infinities) become `null`.
fn line(recorded: &Recorded) -> Option<String> {
    let (step, scalars) = scalars(&recorded.event)?;
    let mut object = Map::new();
    let key = match recorded.event {
        Event::SftStep(_) => "sft/step",
        _ => "step",
    };
    object.insert(key.to_owned(), Value::from(step));
    object.insert("time".to_owned(), Value::from(recorded.at_ms as f64 / 1e3));
    for (name, value) in scalars {
        object.insert(name, Value::from(value));
    }
    Some(Value::Object(object).to_string() + "\n")
}

fn io_error(path: &Path, source: io::Error) -> RunDirError {
    RunDirError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_used_once_and_explained() {
        let names: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len());
        assert!(METRICS.iter().all(|metric| !metric.doc.is_empty()));
    }

    #[test]
    fn a_resumed_run_has_each_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = EventLog::create(&folder.path().join("events.sqlite")).unwrap();
        for recorded in synthetic::run(30) {
            log.append(recorded.at_ms, recorded.event, None).unwrap();
        }
        log.append(9, Event::RunResumed { step: 25 }, None).unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut file = MetricsFile::from_log(&path, &log).unwrap();
        for recorded in synthetic::run(30)
            .iter()
            .filter(|recorded| matches!(&recorded.event, Event::StepTrained(trained) if trained.step > 25))
        {
            file.on_event(recorded).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let steps: Vec<u64> =
            lines.iter().filter(|line| line.get("loss").is_some()).map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, (1..=30).collect::<Vec<_>>());
        assert_eq!(lines.iter().filter(|line| line.get("sft/step").is_some()).count(), 40);
        assert_eq!(lines[40 + 2]["reward/mean"], lines[40 + 2]["reward"]);
    }
}
