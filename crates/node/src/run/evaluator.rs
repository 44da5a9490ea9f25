//! Measures weights on held-out items, beside training.
//!
//! Promise: an evaluation sees one version of the weights from its first token to its last.
//! Its noise comes from (seed, task, item, sample), so equal weights get equal scores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use burn::tensor::Device;
use engine::{Completion, Engine, EngineConfig, Request, Sampling};
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use protocol::{Domain, RunSeed, rollout_seed};
use rounds::{avg_at_k_micro, pass_at_k_micro};
use tasks::{Item, Split};

use super::messages::{EvalOrder, EvalOutcome, News};
use super::prompting::Prompting;

/// What is measured, and how. The same for every evaluation of a run, so that scores compare.
#[derive(Clone)]
pub struct EvalSetup {
    /// Tasks and tokenizer.
    pub prompting: Arc<Prompting>,
    /// The run's randomness.
    pub run_seed: RunSeed,
    /// Which items.
    pub split: Split,
    /// Items over all tasks, dealt in turn; fewer if the tasks have fewer.
    pub items: u64,
    /// Samples per item.
    pub samples: u32,
    /// How to sample.
    pub sampling: Sampling,
    /// Sizes of the engine.
    pub engine: EngineConfig,
    /// Number format of the matrices.
    pub dtype: WeightDtype,
    /// Where the model runs.
    pub device: Device,
}

/// One graded sample.
pub struct EvalSample {
    /// The task's place in the run file.
    pub task: usize,
    /// The item.
    pub item: Item,
    /// The text.
    pub completion: String,
    /// Its grade.
    pub grade: tasks::Grade,
    /// Number of completion tokens.
    pub tokens: usize,
}

/// Runs until the conductor hangs up. Ends with `News::Failed` if it cannot go on.
pub fn run(setup: &EvalSetup, orders: Receiver<EvalOrder>, news: Sender<News>) {
    while let Ok(order) = orders.recv() {
        let start = Instant::now();
        let answer = match evaluate(setup, &order.snapshot, order.version, &mut |_| ()) {
            Ok(samples) => News::Evaluated {
                id: order.id,
                version: order.version,
                outcome: Box::new(outcome(&samples, u64::from(setup.samples))),
                busy: start.elapsed(),
            },
            Err(error) => News::Failed { who: "evaluator", error },
        };
        if news.send(answer).is_err() {
            return;
        }
    }
}

/// Generates and grades every sample; `progress` hears the number of finished samples.
/// The answer is ordered by item, then by sample.
pub fn evaluate(
    setup: &EvalSetup,
    snapshot: &ModelSnapshot,
    version: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<EvalSample>> {
    let model = InferenceModel::from_snapshot(snapshot, setup.dtype, &setup.device);
    let mut engine = Engine::new(model, version, setup.engine.clone(), None)?;
    let asked = chosen_items(setup)?;
    for (id, (task, item)) in asked.iter().enumerate() {
        let seeds = (0..setup.samples).map(|sample| eval_seed(setup, *task, item.index, sample)).collect();
        let prompt = setup.prompting.prompt(*task, item)?;
        let request = Request { id: id as u64, prompt, seeds, sampling: setup.sampling.clone(), want_hidden: false };
        engine.submit(request).with_context(|| format!("held-out item {} of task {task}", item.index))?;
    }
    let mut done = BTreeMap::new();
    while !engine.is_idle() {
        for completion in engine.step()? {
            done.insert((completion.request, completion.sample_index), completion);
            progress(done.len() as u64);
        }
    }
    done.into_values().map(|completion| graded(setup, &asked, completion)).collect()
}

fn chosen_items(setup: &EvalSetup) -> Result<Vec<(usize, Item)>> {
    let tasks = setup.prompting.tasks();
    let mut asked = Vec::new();
    for place in 0..setup.items {
        let (task, index) = ((place % tasks.len() as u64) as usize, place / tasks.len() as u64);
        let there = tasks[task].task.len(setup.split).is_none_or(|count| index < count);
        if there {
            asked.push((task, setup.prompting.item(task, setup.split, index)?));
        }
    }
    anyhow::ensure!(!asked.is_empty(), "no item to evaluate: every task's {:?} split is empty", setup.split);
    Ok(asked)
}

fn eval_seed(setup: &EvalSetup, task: usize, item: u64, sample: u32) -> [u8; 32] {
    // An item is measured with the same noise at every version, hence version 0 and beacon round 0.
    rollout_seed(Domain::Eval.as_str(), &setup.run_seed, Default::default(), Default::default(),
        protocol::WorkerId(task as u32), protocol::LeaseId(item), sample)
}

fn graded(setup: &EvalSetup, asked: &[(usize, Item)], completion: Completion) -> Result<EvalSample> {
    let (task, item) = asked.get(completion.request as usize).ok_or_else(|| anyhow!("an answer to nothing asked"))?;
    let grade = setup.prompting.grade(*task, item, &completion.tokens)?;
    Ok(EvalSample {
        task: *task,
        item: item.clone(),
        completion: setup.prompting.text(&completion.tokens)?,
        grade,
        tokens: completion.tokens.len(),
    })
}

/// Means over samples ordered by item.
pub fn outcome(samples: &[EvalSample], samples_per_item: u64) -> EvalOutcome {
    let k = (samples_per_item as usize).max(1);
    let exact: Vec<u64> =
        samples.chunks(k).map(|item| item.iter().filter(|sample| sample.grade.exact).count() as u64).collect();
    let count = samples.len().max(1) as f64;
    let counts: Vec<(u64, u64)> = exact.iter().map(|right| (samples_per_item, *right)).collect();
    EvalOutcome {
        items: exact.len() as u64,
        samples: samples_per_item,
        reward_mean: samples.iter().map(|sample| sample.grade.reward_micro as f64 / 1e6).sum::<f64>() / count,
        avg_at_k: avg_at_k_micro(&counts) as f64 / 1e6,
        pass_at_k: pass_at_k_micro(&counts, samples_per_item) as f64 / 1e6,
        tokens_mean: samples.iter().map(|sample| sample.tokens as f64).sum::<f64>() / count,
        exact,
    }
}
