//! Scores given tokens with the output head, without ever holding all logits.
//!
//! Promise: memory beyond inputs and gradients stays bounded by a few tiles, whatever the
//! vocabulary.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;

use crate::flex::{dense, floats, parents, primitive, register, tensor};
use crate::head_tiles::{HeadInput, RowGradients, Weight, gradients, score};
use crate::kernels::kernels;
use crate::linear::Matrix;
use crate::recycle::Buffer;

/// What the model thinks of each target token; natural logs, `[T]` each.
#[derive(Clone, Debug)]
pub struct TokenLogprobs {
    /// Log-probability of the target.
    pub logprob: Tensor<1>,
    /// Entropy of the whole distribution.
    pub entropy: Tensor<1>,
}

/// With `z_tj = (hidden_t · W_j) / temperature_t` and `lse_t = log Σ_j exp(z_tj)`:
/// `logprob_t = z_t,target(t) - lse_t`, `entropy_t = lse_t - Σ_j softmax(z_t)_j · z_tj`.
///
/// hidden `[T, d]`, head `W [V, d]`, targets and temperature `[T]`; both results are
/// differentiable with respect to hidden and W (not the temperature).
///
/// # Panics
/// If the shapes do not fit, a target is not below `V`, or a temperature is not positive.
pub fn token_logprobs(
    hidden: Tensor<2>,
    head: &Matrix,
    targets: &Arc<[u32]>,
    temperature: &Arc<[f32]>,
) -> TokenLogprobs {
    let [tokens, width] = hidden.dims();
    let vocabulary = head.out_features();
    assert_eq!(width, head.in_features(), "token_logprobs: width of hidden");
    assert_eq!(tokens, targets.len(), "token_logprobs: one target per row");
    assert_eq!(tokens, temperature.len(), "token_logprobs: one temperature per row");
    if let Some(target) = targets.iter().find(|&&id| id as usize >= vocabulary) {
        panic!("token_logprobs: target {target} is not below the vocabulary size {vocabulary}");
    }
    if let Some(bad) = temperature.iter().find(|&&t| t.is_nan() || t <= 0.0) {
        panic!("token_logprobs: temperature must be positive, given {bad}");
    }
    kernels(&hidden.device()).token_logprobs(hidden, head, targets, temperature)
}

pub(crate) fn fused(hidden: Tensor<2>, head: &Matrix, targets: &Arc<[u32]>, temperature: &Arc<[f32]>) -> TokenLogprobs {
    let asked = Asked { targets: targets.clone(), temperature: temperature.clone() };
    let scores: Tensor<2> = match (head.tensor(), head.packed_weight()) {
        (Some(weight), _) => {
            let (hidden, weight) = (hidden.into_dispatch(), weight.clone().into_dispatch());
            let (scores, _) = <Dispatch as TokenLogprobsOps>::token_scores(hidden, weight, asked);
            Tensor::from_dispatch(scores)
        }
        (None, Some(packed)) => {
            assert!(!hidden.is_tracked(), "no gradients flow through a packed weight");
            let hidden = primitive(hidden);
            let (scores, _) = asked.score(&hidden, Weight::Packed(packed));
            tensor(scores)
        }
        (None, None) => unreachable!("a matrix is a tensor or packed"),
    };
    let row = |at| scores.clone().narrow(0, at, 1).reshape([targets.len()]);
    TokenLogprobs { logprob: row(0), entropy: row(1) }
}

/// Which tokens are asked about, and how sharp the distribution is.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    targets: Arc<[u32]>,
    temperature: Arc<[f32]>,
}

impl Asked {
    fn input<'a>(&'a self, hidden: &'a FlexTensor, weight: Weight<'a>) -> HeadInput<'a> {
        HeadInput { hidden: floats(hidden), weight, targets: &self.targets, temperature: &self.temperature }
    }

    /// Log-probabilities and entropies `[2, T]`, and the log of each sum `[T]`.
    fn score(&self, hidden: &FlexTensor, weight: Weight) -> (FlexTensor, FlexTensor) {
        let tokens = self.targets.len();
        let (mut scores, mut log_sums) = (Buffer::new(2 * tokens), Buffer::new(tokens));
        score(&self.input(hidden, weight), &mut scores, &mut log_sums);
        (scores.into_tensor([2, tokens]), log_sums.into_tensor([tokens]))
    }
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait TokenLogprobsOps: Backend {
    /// Log-probabilities and entropies as `[2, T]`, and the log of each sum of exponentials
    /// `[T]`, which carries no gradient.
    fn token_scores(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        asked: Asked,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Its gradients.
pub(crate) trait TokenLogprobsGradient: Backend {
    /// Gradients with respect to hidden and weight, from `results` = scores and logs of the
    /// sums, and the gradient of the scores. See `head_tiles` for the formula.
    fn token_scores_backward(
        inputs: [FloatTensor<Self>; 2],
        results: [FloatTensor<Self>; 2],
        grad: FloatTensor<Self>,
        asked: Asked,
    ) -> [FloatTensor<Self>; 2];
}

/// A plain weight tensor as the kernels take it.
fn plain(weight: &FlexTensor, vocabulary: usize) -> Weight<'_> {
    Weight::Plain { values: floats(weight), vocabulary }
}

impl TokenLogprobsOps for Flex {
    fn token_scores(hidden: FlexTensor, weight: FlexTensor, asked: Asked) -> (FlexTensor, FlexTensor) {
        let (hidden, weight) = (dense(hidden), dense(weight));
        asked.score(&hidden, plain(&weight, weight.layout().shape()[0]))
    }
}

impl TokenLogprobsGradient for Flex {
    fn token_scores_backward(
        inputs: [FlexTensor; 2],
        results: [FlexTensor; 2],
        grad: FlexTensor,
        asked: Asked,
    ) -> [FlexTensor; 2] {
        let [hidden, weight] = inputs.map(dense);
        let [scores, log_sums] = results;
        let grad = dense(grad);
        let tokens = asked.targets.len();
        let rows = RowGradients {
            log_sums: floats(&log_sums),
            entropies: &floats(&scores)[tokens..],
            logprob_grads: &floats(&grad)[..tokens],
            entropy_grads: &floats(&grad)[tokens..],
        };
        let mut dhidden = Buffer::new(floats(&hidden).len());
        let mut dweight = Buffer::gradient(floats(&weight).len());
        let (hidden_shape, weight_shape) = (hidden.layout().shape().clone(), weight.layout().shape().clone());
        let input = asked.input(&hidden, plain(&weight, weight_shape[0]));
        gradients(&input, &rows, &mut dhidden, &mut dweight);
        [dhidden.into_tensor(hidden_shape), dweight.into_tensor(weight_shape)]
    }
}

#[derive(Debug)]
struct TokenLogprobsBackward;

/// Inputs and results of recorded scores.
#[derive(Clone, Debug)]
struct Saved<F> {
    inputs: [F; 2],
    results: [F; 2],
    asked: Asked,
}

impl<B: TokenLogprobsGradient> Backward<B, 2> for TokenLogprobsBackward {
    type State = Saved<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let saved = ops.state;
        let gradients = B::token_scores_backward(saved.inputs, saved.results, grad, saved.asked);
        register::<B, 2>(grads, parents, gradients.map(Some));
    }
}

impl<B, C> TokenLogprobsOps for Autodiff<B, C>
where
    B: TokenLogprobsOps + TokenLogprobsGradient,
    C: CheckpointStrategy,
{
    fn token_scores(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        asked: Asked,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [hidden.node(), weight.node()];
        let inputs = [hidden.into_primitive(), weight.into_primitive()];
        let [hidden, weight] = inputs.clone();
        let (scores, log_sums) = B::token_scores(hidden, weight, asked.clone());
        let constant = <Self as AutodiffBackend>::from_inner(log_sums.clone());
        let prep = TokenLogprobsBackward.prepare::<C>(nodes).compute_bound();
        let scores = match prep.stateful() {
            OpsKind::Tracked(prep) => {
                let results = [scores.clone(), log_sums];
                let saved = Saved { inputs, results, asked };
                prep.finish(saved, scores)
            }
            OpsKind::UnTracked(prep) => prep.finish(scores),
        };
        (scores, constant)
    }
}
