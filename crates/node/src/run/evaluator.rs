//! Measures weights on held-out items, beside training.
//!
//! Promise: an evaluation sees one version of the weights from its first token to its last.
//! Its noise comes from (seed, task, item, sample), so equal weights get equal scores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::Device;
use engine::{Completion, Engine, EngineConfig, Request, Sampling};
use model::{InferenceModel, ModelConfig, WeightDtype};
use protocol::{BeaconPoint, Domain, RunSeed, rollout_seed};
use rounds::{EvalScore, RoundsError, avg_at_k, pass_at_k};
use tasks::{Item, REWARD_ONE_MICRO, Split};

use super::messages::{EvalOrder, News, TaskScore};
use super::prompting::{Prompting, RunTask};
use super::setup;
use crate::config::RunConfig;

/// What is measured, and how. The same for every evaluation of a run, so that scores compare.
#[derive(Clone)]
pub struct EvalSetup {
    /// Tasks and tokenizer.
    pub prompting: Arc<Prompting>,
    /// The run's randomness.
    pub run_seed: RunSeed,
    /// Which items.
    pub split: Split,
    /// Items of each task; fewer if the task has fewer.
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

impl EvalSetup {
    /// The evaluation that a run file describes.
    pub fn of_run(config: &RunConfig, prompting: Arc<Prompting>, model: &ModelConfig, device: &Device) -> Self {
        Self {
            run_seed: protocol::run_seed(config.run.seed),
            split: Split::HeldOut,
            items: config.eval.items,
            samples: u32::try_from(config.eval.samples).unwrap_or(u32::MAX), // the run file's limit is far below
            sampling: setup::eval_sampling(config, prompting.tokenizer()),
            engine: setup::engine(config, model),
            dtype: setup::dtype(config),
            device: device.clone(),
            prompting,
        }
    }

    /// Samples over all tasks.
    pub fn sample_count(&self) -> u64 {
        let items = self.prompting.tasks().iter().map(|entry| self.items_of(entry));
        items.sum::<u64>() * u64::from(self.samples)
    }

    fn items_of(&self, entry: &RunTask) -> u64 {
        self.items.min(entry.task.len(self.split).unwrap_or(u64::MAX))
    }
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
pub fn run(setup: &EvalSetup, orders: &Receiver<EvalOrder>, news: &SyncSender<News>) {
    while let Ok(order) = orders.recv() {
        let start = Instant::now();
        let model = InferenceModel::from_snapshot(&order.snapshot, setup.dtype, &setup.device);
        let samples = evaluate(setup, model, order.version, &mut |_| ());
        let answer = match samples.and_then(|samples| scores(setup, &samples)) {
            Ok(scores) => News::Evaluated { id: order.id, version: order.version, scores, busy: start.elapsed() },
            Err(error) => News::Failed { who: "evaluator".to_owned(), error },
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
    model: InferenceModel,
    version: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<EvalSample>> {
    let mut engine = Engine::new(model, version, setup.engine, None)?;
    let asked = chosen_items(setup)?;
    let (mut next, mut done) = (0, BTreeMap::new());
    while next < asked.len() || !engine.is_idle() {
        // The engine's queue is bounded, so a large evaluation is handed over bit by bit.
        while next < asked.len() && waiting(setup, next, done.len()) < setup.engine.max_running {
            submit(setup, &mut engine, next, &asked[next])?;
            next += 1;
        }
        for completion in engine.step()? {
            done.insert((completion.request, completion.sample_index), completion);
            progress(done.len() as u64);
        }
    }
    done.into_values().map(|completion| graded(setup, &asked, completion)).collect()
}

/// Samples that the engine has and has not answered.
fn waiting(setup: &EvalSetup, submitted: usize, done: usize) -> usize {
    submitted * setup.samples as usize - done
}

fn submit(setup: &EvalSetup, engine: &mut Engine, id: usize, (task, item): &(usize, Item)) -> Result<()> {
    let seeds = (0..setup.samples).map(|sample| eval_seed(setup, *task, item.index, sample)).collect();
    let prompt = setup.prompting.prompt(*task, item)?;
    let request = Request {
        id: id as u64,
        prompt,
        seeds,
        sampling: setup.sampling.clone(),
        want_hidden: false,
        weight_version: None,
    };
    engine.submit(request).with_context(|| format!("held-out item {} of task {task}", item.index))
}

fn chosen_items(setup: &EvalSetup) -> Result<Vec<(usize, Item)>> {
    let mut asked = Vec::new();
    for (task, entry) in setup.prompting.tasks().iter().enumerate() {
        for index in 0..setup.items_of(entry) {
            asked.push((task, setup.prompting.item(task, setup.split, index)?));
        }
    }
    ensure!(!asked.is_empty(), "no item to evaluate: every task's {:?} split is empty", setup.split);
    Ok(asked)
}

fn eval_seed(setup: &EvalSetup, task: usize, item: u64, sample: u32) -> [u8; 32] {
    // An item is measured with the same noise at every version, hence version 0 and no beacon.
    rollout_seed(Domain::Eval.as_str(), &setup.run_seed, &BeaconPoint::NONE, 0, task as u32, item, sample)
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

/// Means per task, over samples ordered by item.
pub fn scores(setup: &EvalSetup, samples: &[EvalSample]) -> Result<Vec<TaskScore>> {
    let tasks = setup.prompting.tasks();
    let of_task = |task: usize| samples.iter().filter(move |sample| sample.task == task).collect::<Vec<_>>();
    let found = tasks.iter().enumerate().map(|(index, entry)| (index, entry, of_task(index)));
    found
        .filter(|(.., samples)| !samples.is_empty())
        .map(|(index, entry, samples)| {
            let levels = level_scores(index, entry.task.levels(), &samples);
            Ok(TaskScore { levels, ..score(&entry.name, &samples, setup.samples)? })
        })
        .collect()
}

/// Means over the samples of each level that has any.
fn level_scores(task: usize, levels: u32, samples: &[&EvalSample]) -> Vec<EvalScore> {
    let of = |level: u32| {
        let of_level = samples.iter().filter(|sample| sample.item.index % u64::from(levels) == u64::from(level));
        let grades: Vec<_> = of_level.map(|sample| sample.grade).collect();
        let items = grades.len() as i64;
        let mean = |sum: i64| sum.checked_div(items);
        Some(EvalScore {
            task: task as u32, // ≤ TASKS_MAX
            level,
            items: items as u64,
            exact_micro: mean(grades.iter().map(|grade| i64::from(grade.exact) * REWARD_ONE_MICRO).sum())?,
            reward_micro: mean(grades.iter().map(|grade| grade.reward_micro).sum())?,
        })
    };
    (0..levels).filter_map(of).collect()
}

fn score(task: &str, samples: &[&EvalSample], k: u32) -> Result<TaskScore> {
    let items: Vec<&[&EvalSample]> = samples.chunks(k.max(1) as usize).collect();
    let exact: Vec<u32> =
        items.iter().map(|item| item.iter().filter(|sample| sample.grade.exact).count() as u32).collect();
    let exact_micro = |sample: &&EvalSample| i64::from(sample.grade.exact) * REWARD_ONE_MICRO;
    let per_item = |value: &dyn Fn(&&EvalSample) -> i64| {
        items.iter().map(|item| item.iter().map(value).collect()).collect::<Vec<_>>()
    };
    let mean = |rewards: &[Vec<i64>]| Ok::<_, RoundsError>(avg_at_k(rewards)?.to_micro() as f64 / 1e6);
    Ok(TaskScore {
        task: task.to_owned(),
        items: items.len() as u64,
        samples: u64::from(k),
        exact_mean: mean(&per_item(&exact_micro))?,
        pass_at_k: pass_at_k(&exact, k, k)?.to_micro() as f64 / 1e6,
        reward_mean: mean(&per_item(&|sample| sample.grade.reward_micro))?,
        tokens: samples.iter().map(|sample| sample.tokens as u64).sum(),
        levels: Vec::new(),
    })
}
