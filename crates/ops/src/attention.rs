//! Causal attention over packed sequences.
//!
//! Promise: a token sees itself and the earlier tokens of its own sequence, those of what it continues among them, and
//! nothing else. Its bits are the same whether other sequences share its past or it has a copy of its own.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::attend::{Queries, Results, Run, Scratch, Shared, attend, sized, transpose};
use crate::attention_backward::gradients;
use crate::flex::{dense, floats, parents, register};
use crate::kernels::kernels;
use crate::recycle::Buffer;
use crate::shapes::{Heads, Segments, Sequence};

/// In each sequence and query head: `y_i = Σ_{j≤i} softmax_j(q_i·k_j / sqrt(D)) v_j`, the tokens of what the sequence
/// continues coming before its own.
///
/// q `[T, H*D]`, k and v `[T, KV*D]`, y `[T, H*D]`; query head `h` reads key/value head
/// `h / (H / KV)`. Source: arXiv:1706.03762, eq. 1; grouped heads arXiv:2305.13245; a past that sequences share
/// arXiv:2506.05433.
///
/// Output bits and the gradient of q are those of sequences with copies of their past. The gradients of k and v of a
/// shared past are sums over all sequences that see it, which copies would leave to whoever adds them up: the same
/// numbers in another order.
///
/// # Panics
/// If the shapes do not fit.
pub fn attention(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, segments: &Segments, heads: Heads) -> Tensor<2> {
    heads.assert_valid();
    let tokens = segments.tokens();
    assert_eq!(q.dims(), [tokens, heads.query_width()], "attention: q");
    assert_eq!(k.dims(), [tokens, heads.kv_width()], "attention: k");
    assert_eq!(v.dims(), [tokens, heads.kv_width()], "attention: v");
    kernels(&q.device()).attention(q, k, v, segments, heads)
}

pub(crate) fn fused(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, segments: &Segments, heads: Heads) -> Tensor<2> {
    let [q, k, v] = [q, k, v].map(Tensor::into_dispatch);
    let (out, _) = <Dispatch as AttentionOps>::causal_attention(q, k, v, segments.clone(), heads);
    Tensor::from_dispatch(out)
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait AttentionOps: Backend {
    /// See [`attention()`]; also the log of each row's sum of exponentials, `[T, H]`, which
    /// carries no gradient.
    fn causal_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        segments: Segments,
        heads: Heads,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Its gradients.
pub(crate) trait AttentionGradient: Backend {
    /// Gradients with respect to q, k and v, from `inputs` = q, k, v, `results` = out and the
    /// logs of the sums, and the gradient of out.
    fn attention_backward(
        inputs: [FloatTensor<Self>; 3],
        results: (FloatTensor<Self>, FloatTensor<Self>),
        grad: FloatTensor<Self>,
        segments: Segments,
        heads: Heads,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

impl AttentionOps for Flex {
    fn causal_attention(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        segments: Segments,
        heads: Heads,
    ) -> (FlexTensor, FlexTensor) {
        let (q, k, v) = (dense(q), dense(k), dense(v));
        let (q, k, v) = (floats(&q), floats(&k), floats(&v));
        let tokens = segments.tokens();
        let mut out = Buffer::new(tokens * heads.query_width());
        let mut log_sums = Buffer::new(tokens * heads.query);
        let (shared_out, shared_sums) = (Shared::new(&mut out), Shared::new(&mut log_sums));
        let results = Results { out: &shared_out, log_sums: Some(&shared_sums) };
        let filled = segments.sequences().filter(|sequence| !sequence.rows.is_empty());
        per_head(filled, heads).into_par_iter().for_each_init(
            || (Scratch::default(), Vec::new()),
            |(scratch, keys), (Sequence { past, rows }, kv_head)| {
                let dim = heads.head_dim;
                let (before, own) = sized(keys, (past.len() + rows.len()) * dim).split_at_mut(past.len() * dim);
                let runs = [(&past, before), (&rows, own)].map(|(rows, keys)| {
                    let start = rows.start * heads.kv_width() + kv_head * dim;
                    transpose(&k[start..], heads.kv_width(), [rows.len(), dim], keys, rows.len());
                    let (values, value_step) = (&v[start..], heads.kv_width());
                    Run { keys: &*keys, key_step: rows.len(), values, value_step, len: rows.len() }
                });
                let queries = Queries { all: q, rows, past: past.len() };
                let first = usize::from(past.is_empty());
                attend(&queries, &runs[first..], heads, kv_head, &results, scratch);
            },
        );
        (out.into_tensor([tokens, heads.query_width()]), log_sums.into_tensor([tokens, heads.query]))
    }
}

impl AttentionGradient for Flex {
    fn attention_backward(
        inputs: [FlexTensor; 3],
        (out, log_sums): (FlexTensor, FlexTensor),
        grad: FlexTensor,
        segments: Segments,
        heads: Heads,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [q, k, v] = inputs.map(dense);
        let grad = dense(grad);
        let forward = Forward {
            q: floats(&q),
            k: floats(&k),
            v: floats(&v),
            out: floats(&out),
            log_sums: floats(&log_sums),
            grad: floats(&grad),
            heads,
        };
        gradients(&forward, per_head(segments.families().into_iter(), heads))
    }
}

/// What the backward pass needs of the forward one, and the gradient that comes in.
pub(crate) struct Forward<'a> {
    pub(crate) q: &'a [f32],
    pub(crate) k: &'a [f32],
    pub(crate) v: &'a [f32],
    pub(crate) out: &'a [f32],
    pub(crate) log_sums: &'a [f32],
    pub(crate) grad: &'a [f32],
    pub(crate) heads: Heads,
}

/// Each piece of work once for each key/value head.
fn per_head<T: Clone>(work: impl Iterator<Item = T>, heads: Heads) -> Vec<(T, usize)> {
    work.flat_map(|work| (0..heads.key_value).map(move |kv_head| (work.clone(), kv_head))).collect()
}

#[derive(Debug)]
struct AttentionBackward;

/// Inputs, results and shape of a recorded attention.
#[derive(Clone, Debug)]
struct Saved<F> {
    inputs: [F; 3],
    results: (F, F),
    segments: Segments,
    heads: Heads,
}

impl<B: AttentionGradient> Backward<B, 3> for AttentionBackward {
    type State = Saved<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let s = ops.state;
        let (dq, dk, dv) = B::attention_backward(s.inputs, s.results, grad, s.segments, s.heads);
        register::<B, 3>(grads, parents, [Some(dq), Some(dk), Some(dv)]);
    }
}

impl<B: AttentionOps + AttentionGradient, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn causal_attention(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        segments: Segments,
        heads: Heads,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let nodes = [q.node(), k.node(), v.node()];
        let inputs = [q, k, v].map(|x| x.into_primitive());
        let [q, k, v] = inputs.clone();
        let (out, log_sums) = B::causal_attention(q, k, v, segments.clone(), heads);
        let constant = <Self as AutodiffBackend>::from_inner(log_sums.clone());
        let out = match AttentionBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let results = (out.clone(), log_sums);
                let saved = Saved { inputs, results, segments, heads };
                prep.finish(saved, out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        };
        (out, constant)
    }
}
