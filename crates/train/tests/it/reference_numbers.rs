//! Losses, gradients, advantages, schedules and AdamW against TRL, torch and transformers
//! (`scripts/make_loss_fixtures.py` wrote the numbers).

use serde::Deserialize;
use std::collections::BTreeMap;
use train::{Loss, LossConfig, LossInput, LossMetrics, Scale, Schedule, Shape, Totals, group_advantages};

/// Both sides compute in f64 from the same f32 numbers; what is left is the order of sums. Seen: at most 2e-16.
const TOLERANCE_F64: f64 = 1e-13;

/// TRL counts its clip metrics in f32. Seen: 7e-9.
const TOLERANCE_METRIC: f64 = 1e-7;

#[derive(Deserialize)]
struct LossFile {
    cases: Vec<LossCase>,
}

#[derive(Deserialize)]
struct LossCase {
    name: String,
    config: LossConfig,
    lengths: Vec<usize>,
    behaviour: Vec<f32>,
    old: Vec<f32>,
    new: Vec<f32>,
    entropy: Vec<f32>,
    advantage: Vec<f32>,
    loss: f64,
    metrics: BTreeMap<String, f64>,
    grad_logprob: Vec<f64>,
    grad_entropy: Vec<f64>,
}

impl LossCase {
    fn input(&self) -> LossInput<'_> {
        LossInput {
            lengths: &self.lengths,
            logprob: &self.new,
            old: &self.old,
            behaviour: &self.behaviour,
            entropy: &self.entropy,
            advantage: &self.advantage,
            totals: Totals { sequences: self.lengths.len(), tokens: self.new.len() },
        }
    }
}

fn loss_cases() -> Vec<LossCase> {
    let file: LossFile = serde_json::from_str(include_str!("../fixtures/losses.json")).expect("a committed fixture");
    file.cases
}

#[track_caller]
fn assert_near(what: &str, given: f64, expected: f64) {
    let bound = TOLERANCE_F64 * expected.abs().max(1.0);
    assert!((given - expected).abs() <= bound, "{what}: {given} instead of {expected}");
}

#[test]
fn every_preset_has_the_loss_and_gradient_of_trl_and_of_the_float64_reference() {
    let cases = loss_cases();
    for case in &cases {
        let loss = Loss::new(&case.config).expect("fixtures are valid");
        let output = loss.evaluate(&case.input()).expect("fixtures are valid");
        assert_near(&case.name, output.loss, case.loss);
        assert_eq!(output.grad_logprob.len(), case.grad_logprob.len());
        for (index, (given, expected)) in output.grad_logprob.iter().zip(&case.grad_logprob).enumerate() {
            assert_near(&format!("{} gradient at {index}", case.name), *given, *expected);
        }
        for expected in &case.grad_entropy {
            assert_near(&format!("{} entropy gradient", case.name), output.grad_entropy, *expected);
        }
    }
    let presets: std::collections::BTreeSet<String> = cases.iter().map(|case| case.config.preset.to_string()).collect();
    assert_eq!(presets.len(), 8, "a preset has no case: {presets:?}");
}

/// The names of TRL and prime-rl that the fixtures use, and the others that come from the loss.
const NAMES: [&str; 17] = [
    "policy_loss",
    "entropy",
    "mismatch_kl",
    "is_masked",
    "is_masked_low",
    "is_masked_high",
    "sampling/sampling_logp_difference/mean",
    "sampling/sampling_logp_difference/max",
    "sampling/importance_sampling_ratio/min",
    "sampling/importance_sampling_ratio/mean",
    "sampling/importance_sampling_ratio/max",
    "clip_ratio/low_mean",
    "clip_ratio/high_mean",
    "clip_ratio/region_mean",
    "clip_ratio/low_min",
    "clip_ratio/high_max",
    "cispo_clip_ratio",
];

/// The number that TRL or prime-rl logs under a name.
fn under(name: &str, m: &LossMetrics) -> Option<f64> {
    match name {
        "policy_loss" => Some(m.policy_loss),
        "entropy" => Some(m.entropy),
        "mismatch_kl" => Some(m.mismatch_kl),
        "is_masked" => Some(m.masked_share),
        "is_masked_low" => m.masked_low_share,
        "is_masked_high" => m.masked_high_share,
        "sampling/sampling_logp_difference/mean" => Some(m.logprob_difference_mean),
        "sampling/sampling_logp_difference/max" => Some(m.logprob_difference_max),
        "sampling/importance_sampling_ratio/min" => Some(m.ratio_min),
        "sampling/importance_sampling_ratio/mean" => Some(m.ratio_mean),
        "sampling/importance_sampling_ratio/max" => Some(m.ratio_max),
        "clip_ratio/low_mean" => m.clipped.map(|c| c.low_mean),
        "clip_ratio/high_mean" => m.clipped.map(|c| c.high_mean),
        "clip_ratio/region_mean" => m.clipped.map(|c| c.region_mean),
        "clip_ratio/low_min" => m.clipped.map(|c| c.low_min),
        "clip_ratio/high_max" => m.clipped.map(|c| c.high_max),
        "cispo_clip_ratio" => m.capped_share,
        _ => None,
    }
}

#[test]
fn metrics_have_the_values_that_trl_logs() {
    let mut compared = 0;
    for case in loss_cases() {
        let loss = Loss::new(&case.config).expect("fixtures are valid");
        let metrics = loss.evaluate(&case.input()).expect("fixtures are valid").sums.metrics(&loss);
        for (name, &expected) in &case.metrics {
            let given = under(name, &metrics).unwrap_or_else(|| panic!("{}: no metric {name}", case.name));
            let near = (given - expected).abs() <= TOLERANCE_METRIC * expected.abs().max(1.0);
            assert!(near, "{} {name}: {given} instead of {expected}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 100, "only {compared} compared");
}

#[test]
fn micro_batches_add_up_to_the_batch() {
    for case in loss_cases() {
        let loss = Loss::new(&case.config).expect("fixtures are valid");
        let whole = loss.evaluate(&case.input()).expect("fixtures are valid");
        let (mut value, mut gradient, mut sums) = (0.0, Vec::new(), None::<train::LossSums>);
        let mut start = 0;
        for lengths in case.lengths.chunks(3) {
            let first = gradient_start(&case.lengths, start);
            let range = first..first + lengths.iter().sum::<usize>();
            let part = LossInput {
                lengths,
                logprob: &case.new[range.clone()],
                old: &case.old[range.clone()],
                behaviour: &case.behaviour[range.clone()],
                entropy: &case.entropy[range],
                advantage: &case.advantage[start..start + lengths.len()],
                ..case.input()
            };
            start += lengths.len();
            let output = loss.evaluate(&part).expect("fixtures are valid");
            value += output.loss;
            gradient.extend(output.grad_logprob);
            match &mut sums {
                Some(sums) => sums.merge(&output.sums),
                None => sums = Some(output.sums),
            }
        }
        assert_near(&case.name, value, whole.loss);
        assert_eq!(gradient, whole.grad_logprob, "{}", case.name);
        let sums = sums.expect("three parts");
        let (given, expected) = (sums.metrics(&loss), whole.sums.metrics(&loss));
        for name in NAMES {
            match (under(name, &given), under(name, &expected)) {
                (Some(given), Some(expected)) => assert_near(&format!("{} {name}", case.name), given, expected),
                (given, expected) => assert_eq!(given, expected, "{} {name}", case.name),
            }
        }
    }
}

fn gradient_start(lengths: &[usize], sequence: usize) -> usize {
    lengths[..sequence].iter().sum()
}

#[derive(Deserialize)]
struct AdvantageFile {
    cases: Vec<AdvantageCase>,
}

#[derive(Deserialize)]
struct AdvantageCase {
    scale: Scale,
    rewards: Vec<f32>,
    group_sizes: Vec<usize>,
    advantages: Vec<f64>,
}

#[test]
fn advantages_are_those_of_trl() {
    let file: AdvantageFile =
        serde_json::from_str(include_str!("../fixtures/advantages.json")).expect("a committed fixture");
    assert_eq!(file.cases.len(), 3);
    for case in file.cases {
        let given = group_advantages(&case.rewards, &case.group_sizes, case.scale).expect("fixtures are valid");
        for (given, expected) in given.iter().zip(&case.advantages) {
            // The result is rounded to f32.
            assert!((f64::from(*given) - expected).abs() < 1e-7 * expected.abs().max(1.0), "{:?}", case.scale);
        }
    }
}

#[derive(Deserialize)]
struct ScheduleFile {
    warmup_steps: u64,
    total_steps: u64,
    factors: BTreeMap<String, Vec<f64>>,
}

#[test]
fn schedules_are_those_of_transformers_but_for_the_warm_up_that_starts_one_step_later() {
    let file: ScheduleFile =
        serde_json::from_str(include_str!("../fixtures/schedules.json")).expect("a committed fixture");
    for (name, shape) in [("constant", Shape::Constant), ("linear", Shape::Linear), ("cosine", Shape::Cosine)] {
        let schedule = Schedule { shape, warmup_steps: file.warmup_steps, total_steps: file.total_steps, floor: 0.0 };
        let theirs = &file.factors[name];
        for step in 0..file.total_steps {
            let matching = if step < file.warmup_steps { step + 1 } else { step };
            assert_near(name, schedule.factor(step), theirs[matching as usize]);
        }
    }
}
