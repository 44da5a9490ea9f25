//! Honest workers judged by honest validators that compute otherwise.

use anyhow::{Result, ensure};
use ops::DeviceSpec;
use ops::gemm::{Kernel, set_kernel};
use protocol::{CheckedRollout, Outcome, Submission};
use rayon::ThreadPoolBuilder;
use serde_json::{Value, json};
use verify::{Worker, WorkerActor, WorkerSetup};

use super::DetectArguments;
use super::scene::{Scene, VERSION};

/// What is gathered of each number.
struct Spread {
    name: &'static str,
    of: fn(&CheckedRollout) -> i64,
}

const NUMBERS: [Spread; 9] = [
    Spread { name: "exponent_mismatches", of: |checked| checked.exponent_mismatches.into() },
    Spread { name: "mantissa_mean_milli", of: |checked| checked.mantissa_mean_milli.into() },
    Spread { name: "mantissa_median_milli", of: |checked| checked.mantissa_median_milli.into() },
    Spread { name: "sign_mismatches", of: |checked| checked.sign_mismatches.into() },
    Spread { name: "fingerprint_error_ppm", of: |checked| checked.fingerprint_error_ppm.into() },
    Spread { name: "margin_max_micro", of: |checked| checked.margin_max_micro },
    Spread { name: "tokens_lost", of: |checked| checked.tokens_lost.into() },
    Spread { name: "logprob_error_max_micro", of: |checked| checked.logprob_error_max_micro },
    Spread { name: "logprob_error_mean_micro", of: |checked| checked.logprob_error_mean_micro },
];

/// How a worker or validator computes.
#[derive(Clone, Copy)]
struct Way {
    device: DeviceSpec,
    /// Of the CPU.
    kernel: Kernel,
    threads: usize,
    groups_at_once: u64,
}

impl Way {
    fn name(&self) -> String {
        match self.device {
            DeviceSpec::Cpu => self.kernel.to_string(),
            device => device.to_string(),
        }
    }
}

/// Median, 99th percentile and maximum of each number, over the rollouts.
pub(super) fn spread(checked: &[CheckedRollout]) -> Value {
    let mut all = serde_json::Map::new();
    for Spread { name, of } in NUMBERS {
        let mut values: Vec<i64> = checked.iter().map(of).collect();
        values.sort_unstable();
        let at = |share: f64| values.get((share * values.len().saturating_sub(1) as f64) as usize);
        all.insert(name.to_owned(), json!([at(0.5), at(0.99), at(1.0)]));
    }
    Value::Object(all)
}

/// Every pair of kernels; then, with the fastest one, threads and batches.
pub(super) fn measure(arguments: &DetectArguments, scene: &Scene) -> Result<Value> {
    let groups = u64::from(arguments.rollouts.div_ceil(arguments.group_size));
    let wanted = |kernel: &Kernel| arguments.kernel.is_empty() || arguments.kernel.contains(kernel);
    let kernels: Vec<Kernel> = Kernel::ALL.into_iter().filter(|k| k.is_available() && wanted(k)).collect();
    let threads = std::thread::available_parallelism()?.get();
    let usual = |kernel| Way { device: DeviceSpec::Cpu, kernel, threads, groups_at_once: 4 };
    let mut rows = Vec::new();
    let mut totals = (0, 0);
    for &kernel in &kernels {
        let submissions = work(scene, usual(kernel), groups)?;
        for &validator in &kernels {
            rows.push(row(scene, usual(kernel), usual(validator), &submissions, &mut totals)?);
        }
    }
    for (threads, groups_at_once) in [(1, 1), (1, 8), (4, 1)] {
        let way = Way { threads, groups_at_once, ..usual(Kernel::best()) };
        let submissions = work(scene, way, groups)?;
        rows.push(row(scene, way, usual(Kernel::best()), &submissions, &mut totals)?);
    }
    if let Some(device) = arguments.device {
        let on_cpu = usual(Kernel::best());
        let on_card = Way { device, ..on_cpu };
        for (worker, validator) in [(on_cpu, on_card), (on_card, on_cpu)] {
            let submissions = work(scene, worker, groups)?;
            rows.push(row(scene, worker, validator, &submissions, &mut totals)?);
        }
    }
    let (rollouts, found_invalid) = totals;
    Ok(json!({ "numbers": "[median, 99 %, largest]", "rows": rows, "rollouts": rollouts, "fined": found_invalid }))
}

fn work(scene: &Scene, way: Way, groups: u64) -> Result<Vec<Submission>> {
    set_kernel(way.kernel)?;
    let mut worker = Worker::new(WorkerSetup { device: way.device.open()?, ..scene.worker_setup() });
    let pool = ThreadPoolBuilder::new().num_threads(way.threads).build()?;
    pool.install(|| {
        worker.weights(VERSION, &scene.snapshot)?;
        scene.answers(&mut worker, groups, way.groups_at_once)
    })
}

fn row(
    scene: &Scene,
    way: Way,
    validator: Way,
    submissions: &[Submission],
    totals: &mut (usize, usize),
) -> Result<Value> {
    set_kernel(validator.kernel)?;
    let mut judge = scene.validator_on(validator.device.open()?)?;
    let mut checked = Vec::new();
    let mut invalid = Vec::new();
    for submission in submissions {
        let verdict = scene.judge(&mut judge, submission);
        ensure!(!matches!(verdict.outcome, Outcome::Unchecked(_)), "{:?}", verdict.outcome);
        if let Outcome::Invalid(reason) = verdict.outcome {
            invalid.push(reason.to_string());
        }
        checked.extend(verdict.checked);
    }
    totals.0 += checked.len();
    totals.1 += invalid.len();
    let line = json!({
        "worker": way.name(),
        "threads": way.threads,
        "groups_at_once": way.groups_at_once,
        "validator": validator.name(),
        "rollouts": checked.len(),
        "invalid": invalid,
        "numbers": spread(&checked),
    });
    eprintln!("{line}");
    Ok(line)
}
