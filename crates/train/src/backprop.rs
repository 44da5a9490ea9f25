//! Gradients of one micro-batch, stage by stage.
//!
//! Promise: the gradients of one graph over the whole forward pass, bit for bit; each stage (the embedding, a layer, the
//! head) has a graph of its own, which is gone as soon as its gradients are added to the sum.
//! Layers whose activations are over the budget keep their input alone and are computed again on the way back
//! (arXiv:1604.06174), which changes no bit either.

use burn::tensor::{Gradients, Int, Tensor, TensorData};
use model::{StageParams, Transformer};
use ops::{TokenLogprobs, backward_from, host, token_logprobs};

use crate::batch::MicroBatch;
use crate::error::Result;
use crate::loss::LossOutput;

/// Sums of gradients, one for each parameter; none before the first.
pub(crate) struct GradientSums(Vec<Option<Tensor<1>>>);

impl GradientSums {
    pub(crate) fn new(model: &Transformer) -> Self {
        Self(vec![None; model.params().list.len()])
    }

    /// Adds what a backward pass found for a stage's parameters.
    fn take(&mut self, params: &StageParams, found: &mut Gradients) {
        for (index, value) in params.iter() {
            if let Some(gradient) = value.grad_remove(found) {
                self.add(index, gradient);
            }
        }
    }

    fn add(&mut self, index: usize, gradient: Tensor<1>) {
        let sum = &mut self.0[index];
        *sum = Some(match sum.take() {
            None => gradient,
            Some(sum) => ops::add(gradient, sum),
        });
    }

    /// The sums in the order of the model's parameters; zeros where nothing was added.
    pub(crate) fn finish(self, model: &Transformer) -> Vec<Tensor<1>> {
        let params = &model.params().list;
        let filled = |(sum, param): (Option<Tensor<1>>, &model::Param)| {
            sum.unwrap_or_else(|| Tensor::zeros(param.value.dims(), &model.device()))
        };
        self.0.into_iter().zip(params).map(filled).collect()
    }
}

/// What the model thinks of the completion tokens of a micro-batch, on the host.
pub(crate) struct Scores {
    pub(crate) logprob: Vec<f32>,
    pub(crate) entropy: Vec<f32>,
}

/// One stage with its graph.
struct Tracked {
    input: Tensor<2>,
    params: StageParams,
    output: Tensor<2>,
}

/// A layer on the way back.
enum Kept {
    Graph(Box<Tracked>),
    Input(Box<Tensor<2>>),
}

/// Runs the stages of one micro-batch; see the module.
pub(crate) struct Backprop<'a> {
    pub(crate) model: &'a Transformer,
    pub(crate) micro: &'a MicroBatch,
    /// Bytes of activations that may be kept from the forward to the backward pass.
    pub(crate) activation_bytes_max: u64,
}

impl Backprop<'_> {
    /// One forward, the loss on the host, one backward; adds the gradients to `sums`.
    ///
    /// The slopes `g = ∂loss/∂logprob`, `h = ∂loss/∂entropy` are constants of `Σ_t g_t·logprob_t + h·Σ_t entropy_t`,
    /// whose gradient is therefore the loss's own.
    pub(crate) fn run(
        &self,
        evaluate: &dyn Fn(&MicroBatch, &Scores) -> Result<LossOutput>,
        sums: &mut GradientSums,
    ) -> Result<LossOutput> {
        let layers = self.model.config().layers;
        let graphs = self.graphs_kept();
        let embedding = self.model.stage(0, false);
        let mut x = self.model.embed(&embedding, &self.micro.tokens);
        let mut kept = Vec::with_capacity(layers);
        for index in 0..layers {
            // The last layers keep their graphs: they are the first that are needed again.
            if index + graphs < layers {
                kept.push(Kept::Input(Box::new(x.clone())));
                x = self.layer(index, &self.model.stage(1 + index, false), x);
            } else {
                let tracked = self.tracked(index, x);
                x = tracked.output.clone().inner();
                kept.push(Kept::Graph(Box::new(tracked)));
            }
        }
        let (output, mut gradient) = self.head(x, evaluate, sums)?;
        while let Some(layer) = kept.pop() {
            let tracked = match layer {
                Kept::Graph(tracked) => *tracked,
                Kept::Input(x) => self.tracked(kept.len(), *x),
            };
            gradient = back(tracked, gradient, sums);
        }
        let params = self.model.stage(0, true);
        let rows = self.model.embed(&params, &self.micro.tokens);
        sums.take(&params, &mut backward_from(rows, gradient));
        Ok(output)
    }

    /// How many layers may keep their graphs.
    fn graphs_kept(&self) -> usize {
        let bytes = self.micro.tokens.len() as u64 * self.model.config().layer_activation_bytes();
        usize::try_from(self.activation_bytes_max / bytes.max(1)).unwrap_or(usize::MAX).min(self.model.config().layers)
    }

    fn layer(&self, index: usize, params: &StageParams, x: Tensor<2>) -> Tensor<2> {
        self.model.layer(params, index, x, &self.micro.positions, &self.micro.segments)
    }

    fn tracked(&self, index: usize, x: Tensor<2>) -> Tracked {
        let (input, params) = (leaf(x), self.model.stage(1 + index, true));
        let output = self.layer(index, &params, input.clone());
        Tracked { input, params, output }
    }

    /// The head's loss, and the gradient of what comes into the head.
    fn head(
        &self,
        x: Tensor<2>,
        evaluate: &dyn Fn(&MicroBatch, &Scores) -> Result<LossOutput>,
        sums: &mut GradientSums,
    ) -> Result<(LossOutput, Tensor<2>)> {
        let (x, params) = (leaf(x), self.model.stage(self.model.stage_count() - 1, true));
        let TokenLogprobs { logprob, entropy } = score(self.model, &params, x.clone(), self.micro);
        let scores = Scores { logprob: host::to_vec_f32(&logprob), entropy: host::to_vec_f32(&entropy) };
        let output = evaluate(self.micro, &scores)?;
        let slopes: Vec<f32> = output.grad_logprob.iter().map(|&slope| slope as f32).collect();
        let count = slopes.len();
        let slopes = host::from_vec(slopes, [count], &self.model.device());
        let mut surrogate = (logprob * slopes).sum();
        if output.grad_entropy != 0.0 {
            surrogate = surrogate + entropy.sum() * output.grad_entropy as f32;
        }
        let mut found = surrogate.backward();
        sums.take(&params, &mut found);
        let gradient = x.grad_remove(&mut found).expect("a loss follows from what comes into the head");
        Ok((output, gradient))
    }
}

/// Log-probabilities of a micro-batch's completions, without gradients.
pub(crate) fn logprobs(model: &Transformer, micro: &MicroBatch) -> Vec<f32> {
    let x = model.hidden(&micro.tokens, &micro.positions, &micro.segments);
    host::to_vec_f32(&token_logprobs(scored(x, micro), &model.head(), &micro.targets, &micro.temperature).logprob)
}

fn score(model: &Transformer, params: &StageParams, x: Tensor<2>, micro: &MicroBatch) -> TokenLogprobs {
    let (hidden, head) = model.finish(params, x);
    token_logprobs(scored(hidden, micro), &head, &micro.targets, &micro.temperature)
}

/// The rows that predict completion tokens.
fn scored(hidden: Tensor<2>, micro: &MicroBatch) -> Tensor<2> {
    let Some(rows) = &micro.scored else { return hidden };
    let rows = TensorData::new(rows.clone(), [rows.len()]);
    let device = hidden.device().inner();
    hidden.select(0, Tensor::<1, Int>::from_data(rows, &device))
}

/// A leaf that collects a gradient.
fn leaf(x: Tensor<2>) -> Tensor<2> {
    x.autodiff().require_grad()
}

/// The gradient of a stage's input, from that of its output.
fn back(tracked: Tracked, gradient: Tensor<2>, sums: &mut GradientSums) -> Tensor<2> {
    let Tracked { input, params, output } = tracked;
    let mut found = backward_from(output, gradient);
    sums.take(&params, &mut found);
    input.grad_remove(&mut found).expect("a layer's output follows from its input")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Family, ModelConfig, Sizes};

    use super::*;
    use crate::batch::{Limits, SftExample, check_examples};
    use crate::loss::LossSums;

    fn model(tied: bool) -> Transformer {
        let sizes = Sizes {
            vocab_size: 13,
            hidden_size: 16,
            intermediate_size: 24,
            layers: 3,
            heads: 4,
            key_value_heads: 2,
            head_dim: None,
            max_positions: 32,
            tied,
        };
        let config = Arc::new(ModelConfig::new(Family::Qwen2, &sizes).unwrap());
        Transformer::random(config, 1, &ops::DeviceSpec::Cpu.open().unwrap()).unwrap()
    }

    /// Slopes that differ from token to token.
    fn slope_of(at: usize) -> f32 {
        0.25 - at as f32 * 0.125
    }

    #[test]
    fn stages_give_the_gradients_of_one_graph_bit_for_bit() {
        let example = |tokens: &[u32], prompt_len| SftExample { tokens: tokens.to_vec(), prompt_len };
        let batch = [example(&[1, 2, 3, 4], 2), example(&[1, 2, 7], 2), example(&[9, 8, 5, 6, 3], 3)];
        let limits = Limits { vocabulary: 13, positions: 32 };
        let micro = MicroBatch::new(&check_examples(&batch, limits).unwrap(), &[vec![0, 1], vec![2]]);
        for tied in [true, false] {
            let model = model(tied);
            let whole = model.clone().require_grad();
            let x = whole.hidden(&micro.tokens, &micro.positions, &micro.segments);
            let scores = token_logprobs(scored(x, &micro), &whole.head(), &micro.targets, &micro.temperature);
            let slopes: Vec<f32> = (0..micro.targets.len()).map(slope_of).collect();
            let count = slopes.len();
            let surrogate = (scores.logprob * host::from_vec(slopes, [count], &model.device())).sum();
            let mut found = (surrogate + scores.entropy.sum() * 0.5).backward();
            let expected: Vec<Vec<f32>> = whole
                .params()
                .list
                .iter()
                .map(|p| host::to_vec_f32(&p.value.grad_remove(&mut found).unwrap()))
                .collect();
            let evaluate = |_: &MicroBatch, scores: &Scores| {
                let grad_logprob = (0..scores.logprob.len()).map(|at| f64::from(slope_of(at))).collect();
                Ok(LossOutput { loss: 0.0, grad_logprob, grad_entropy: 0.5, sums: LossSums::default() })
            };
            for activation_bytes_max in [0, u64::MAX] {
                let mut sums = GradientSums::new(&model);
                Backprop { model: &model, micro: &micro, activation_bytes_max }.run(&evaluate, &mut sums).unwrap();
                for (param, (given, expected)) in
                    model.params().list.iter().zip(sums.finish(&model).iter().zip(&expected))
                {
                    assert_eq!(host::to_vec_f32(given), *expected, "{} tied: {tied}", param.name);
                }
            }
        }
    }
}
