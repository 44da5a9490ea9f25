//! Trains a model on batches of rollouts or of prompt+completion pairs.
//!
//! Promise: a batch is one or more updates; an update that cannot be made leaves weights and optimiser as they were.
//! The same model, configuration and batches give the same bits on the CPU, also across save and load.

use model::{ModelConfig, ModelSnapshot, Transformer};
use serde::{Deserialize, Serialize};

use crate::TrainRollout;
use crate::backprop::{self, Backprop, GradientSums, Scores};
use crate::batch::{Limits, MicroBatch, Sequence, SftExample, check_examples, check_rollouts, families, rows};
use crate::error::{Result, TrainError};
use crate::loss::{Loss, LossConfig, LossInput, LossOutput, LossSums, OldPolicy, Totals};
use crate::metrics::{BatchSize, SftMetrics, StepMetrics};
use crate::optimizer::{Optimizer, OptimizerConfig};
use crate::packing::pack;
use crate::schedule::Schedule;

/// Activations that are kept unless a configuration says otherwise, in bytes.
pub const ACTIVATION_BYTES_MAX: u64 = 512 << 20;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The policy loss of [`Trainer::step`].
    pub loss: LossConfig,
    /// AdamW and clipping.
    pub optimizer: OptimizerConfig,
    /// Factor on the learning rate, by update.
    #[serde(default)]
    pub schedule: Schedule,
    /// Tokens that go through the model at once, a prompt that several completions share counted once; bounds memory,
    /// changes the result only by rounding.
    pub micro_batch_tokens: usize,
    /// Bytes of activations kept from the forward to the backward pass of a micro-batch: layers beyond keep their input
    /// alone and are computed twice. Changes no bit; bounds memory, costs up to a third more time.
    #[serde(default = "TrainConfig::default_activation_bytes_max")]
    pub activation_bytes_max: u64,
    /// Updates made with one batch of rollouts, each on its own share of it.
    #[serde(default = "TrainConfig::one")]
    pub updates_per_batch: usize,
}

impl TrainConfig {
    fn one() -> usize {
        1
    }

    fn default_activation_bytes_max() -> u64 {
        ACTIVATION_BYTES_MAX
    }

    fn validate(&self) -> Result<Loss> {
        self.optimizer.validate()?;
        self.schedule.validate()?;
        let counts = [("micro_batch_tokens", self.micro_batch_tokens), ("updates_per_batch", self.updates_per_batch)];
        if let Some((setting, _)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(TrainError::OutOfRange { setting, expected: "at least 1", given: 0.0 });
        }
        Loss::new(&self.loss)
    }
}

/// A model in training, with its optimiser.
#[derive(Clone)]
pub struct Trainer {
    pub(crate) model: Transformer,
    pub(crate) optimizer: Optimizer,
    pub(crate) version: u64,
    pub(crate) tokens_seen: u64,
    config: TrainConfig,
    loss: Loss,
}

impl Trainer {
    /// A trainer at version 0 for a model; the weights stay f32.
    ///
    /// Errors: `OutOfRange`, `UnusedSetting`, `MissingSetting`, `MomentsNeedCpu`.
    pub fn new(model: Transformer, config: TrainConfig) -> Result<Self> {
        let loss = config.validate()?;
        let model = model.without_grad();
        let optimizer = Optimizer::new(model.params(), config.optimizer.moments_dtype, &model.device())?;
        Ok(Self { model, optimizer, version: 0, tokens_seen: 0, config, loss })
    }

    /// Trains on one batch of rollouts and raises the version by one.
    ///
    /// Where the old policy is `recomputed`, it is the weights before this batch. With one update per batch these are
    /// the weights being trained, so it costs nothing; with more, one forward pass over the batch.
    ///
    /// The loss of the first update on fresh rollouts is about 0 where advantages are centred, because every ratio is
    /// about 1: look at rewards, entropy and gradient norm, not at the loss.
    ///
    /// Errors: `EmptyBatch`, `BadSequence`, and `NonFiniteLoss`, `NonFiniteGradient` for the update that failed;
    /// updates of the same batch before it stay.
    pub fn step(&mut self, batch: &[TrainRollout]) -> Result<StepMetrics> {
        let sequences = check_rollouts(batch, self.limits())?;
        let count = self.config.updates_per_batch.min(batch.len());
        let old =
            if self.loss.old == OldPolicy::Recomputed && count > 1 { Some(self.logprobs_of(&sequences)) } else { None };
        let mut updates = Vec::with_capacity(count);
        for first in 0..count {
            // Dealt like cards, so that each update sees some of every group.
            let members: Vec<usize> = (first..batch.len()).step_by(count).collect();
            let tokens = members.iter().map(|&index| sequences[index].targets()).sum();
            let totals = Totals { sequences: members.len(), tokens };
            let loss = self.loss.clone();
            let evaluate = |micro: &MicroBatch, scores: &Scores| {
                evaluate_rollouts(&loss, batch, old.as_deref(), totals, micro, scores)
            };
            updates.push(self.update(&sequences, members, &evaluate)?);
        }
        let size = self.finish(&sequences, updates.iter().map(|update| update.micro_batches).sum());
        Ok(StepMetrics::of(&updates, &self.loss, size, self.tokens_seen))
    }

    /// One update towards given completions, and raises the version by one.
    ///
    /// `loss = -(1/N) Σ_t logprob_t` over the `N` completion tokens of the whole batch. Same as TRL's `SFTTrainer`
    /// with `completion_only_loss`.
    ///
    /// Errors: as [`Trainer::step`].
    pub fn sft_step(&mut self, batch: &[SftExample]) -> Result<SftMetrics> {
        let sequences = check_examples(batch, self.limits())?;
        let tokens: usize = sequences.iter().map(Sequence::targets).sum();
        let share = 1.0 / tokens as f64;
        let evaluate = |_: &MicroBatch, scores: &Scores| {
            let sum: f64 = scores.logprob.iter().map(|&x| f64::from(x)).sum();
            Ok(LossOutput {
                loss: -sum * share,
                grad_logprob: vec![-share; scores.logprob.len()],
                grad_entropy: 0.0,
                sums: LossSums::of_entropy(&scores.entropy),
            })
        };
        let update = self.update(&sequences, (0..batch.len()).collect(), &evaluate)?;
        let size = self.finish(&sequences, update.micro_batches);
        Ok(SftMetrics::of(&update, size, self.tokens_seen))
    }

    /// Mean loss per completion token, without training: `-(1/N) Σ_t logprob_t`.
    ///
    /// Errors: `EmptyBatch`, `BadSequence`.
    pub fn sft_loss(&self, batch: &[SftExample]) -> Result<f64> {
        let sequences = check_examples(batch, self.limits())?;
        let logprobs = self.logprobs_of(&sequences);
        let tokens: usize = logprobs.iter().map(Vec::len).sum();
        Ok(-logprobs.iter().flatten().map(|&x| f64::from(x)).sum::<f64>() / tokens as f64)
    }

    /// Log-probabilities of a rollout's completion under the present weights, at its temperature, `[completion]`.
    ///
    /// Errors: `BadSequence`.
    pub fn logprobs(&self, rollout: &TrainRollout) -> Result<Vec<f32>> {
        let sequences = check_rollouts(std::slice::from_ref(rollout), self.limits())?;
        Ok(self.logprobs_of(&sequences).swap_remove(0))
    }

    /// The model.
    pub fn model(&self) -> &Transformer {
        &self.model
    }

    /// The model, without optimiser.
    pub fn into_model(self) -> Transformer {
        self.model
    }

    /// A copy of the weights, for the engine.
    pub fn snapshot(&self) -> ModelSnapshot {
        self.model.snapshot()
    }

    /// Batches trained on.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Updates made by the optimiser.
    pub fn updates(&self) -> u64 {
        self.optimizer.updates
    }

    /// How it trains.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The loss with every number settled.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    fn limits(&self) -> Limits {
        let config: &ModelConfig = self.model.config();
        Limits { vocabulary: config.vocab_size, positions: config.max_positions }
    }

    /// Counts a batch that was trained on.
    fn finish(&mut self, sequences: &[Sequence], micro_batches: usize) -> BatchSize {
        let tokens: usize = sequences.iter().map(Sequence::len).sum();
        let completion_tokens = sequences.iter().map(Sequence::targets).sum();
        self.version += 1;
        self.tokens_seen += tokens as u64;
        BatchSize { sequences: sequences.len(), tokens, completion_tokens, micro_batches }
    }

    /// Log-probabilities of each sequence's completion under the present weights.
    fn logprobs_of(&self, sequences: &[Sequence]) -> Vec<Vec<f32>> {
        let mut logprobs = vec![Vec::new(); sequences.len()];
        for micro in self.micro_batches(sequences, &(0..sequences.len()).collect::<Vec<_>>()) {
            let all = backprop::logprobs(&self.model, &micro);
            let mut rest = all.as_slice();
            for (&member, &length) in micro.members.iter().zip(&micro.lengths) {
                let (own, tail) = rest.split_at(length);
                logprobs[member] = own.to_vec();
                rest = tail;
            }
        }
        logprobs
    }

    fn micro_batches(&self, sequences: &[Sequence], members: &[usize]) -> Vec<MicroBatch> {
        let budget = self.config.micro_batch_tokens;
        let families = families(sequences, members, budget);
        let rows: Vec<usize> = families.iter().map(|family| rows(sequences, family)).collect();
        let named = |bin: Vec<usize>| bin.into_iter().map(|place| families[place].clone()).collect::<Vec<_>>();
        pack(&rows, budget).into_iter().map(|bin| MicroBatch::new(sequences, &named(bin))).collect()
    }

    /// Gradients of all micro-batches added up, then one step of the optimiser.
    fn update(&mut self, sequences: &[Sequence], members: Vec<usize>, evaluate: &Evaluate) -> Result<Update> {
        // From outside the thread pool each of the many short parallel parts would cost two context switches.
        rayon::scope(|_| self.update_in_pool(sequences, &members, evaluate))
    }

    fn update_in_pool(&mut self, sequences: &[Sequence], members: &[usize], evaluate: &Evaluate) -> Result<Update> {
        let update = self.optimizer.updates + 1;
        let micro_batches = self.micro_batches(sequences, members);
        let mut gradients = GradientSums::new(&self.model);
        let (mut loss, mut sums) = (0.0, LossSums::default());
        for micro in &micro_batches {
            let backprop =
                Backprop { model: &self.model, micro, activation_bytes_max: self.config.activation_bytes_max };
            let output = backprop.run(evaluate, &mut gradients).map_err(|error| match error {
                TrainError::NotFinite { given, .. } => TrainError::NonFiniteLoss { update, given },
                other => other,
            })?;
            loss += output.loss;
            sums.merge(&output.sums);
        }
        if !loss.is_finite() {
            return Err(TrainError::NonFiniteLoss { update, given: loss });
        }
        let lr = self.config.optimizer.lr * self.config.schedule.factor(self.optimizer.updates);
        let gradients = gradients.finish(&self.model);
        let params = self.model.params_mut();
        let grad_norm = self.optimizer.update(params, gradients, &self.config.optimizer, lr)?;
        Ok(Update { loss, sums, grad_norm, lr, micro_batches: micro_batches.len() })
    }
}

/// What one update did.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) loss: f64,
    pub(crate) sums: LossSums,
    pub(crate) grad_norm: f64,
    pub(crate) lr: f64,
    pub(crate) micro_batches: usize,
}

/// From scores to loss and slopes.
type Evaluate<'a> = dyn Fn(&MicroBatch, &Scores) -> Result<LossOutput> + Sync + 'a;

fn evaluate_rollouts(
    loss: &Loss,
    batch: &[TrainRollout],
    old: Option<&[Vec<f32>]>,
    totals: Totals,
    micro: &MicroBatch,
    scores: &Scores,
) -> Result<LossOutput> {
    let members = || micro.members.iter();
    let behaviour: Vec<f32> = members().flat_map(|&index| batch[index].behaviour_logprobs.iter().copied()).collect();
    let kept: Vec<f32>;
    let old = match (loss.old, old) {
        (OldPolicy::Behaviour, _) => &behaviour,
        (OldPolicy::Recomputed, None) => &scores.logprob,
        (OldPolicy::Recomputed, Some(old)) => {
            kept = members().flat_map(|&index| old[index].iter().copied()).collect();
            &kept
        }
    };
    let advantage: Vec<f32> = members().map(|&index| batch[index].advantage).collect();
    loss.evaluate(&LossInput {
        lengths: &micro.lengths,
        logprob: &scores.logprob,
        old,
        behaviour: &behaviour,
        entropy: &scores.entropy,
        advantage: &advantage,
        totals,
    })
}
