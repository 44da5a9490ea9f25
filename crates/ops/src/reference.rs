//! Every operation of this crate in plain Burn operations.
//!
//! Promise: the same signatures and formulas as the fused operations, with Burn's own
//! gradients. Devices without fused kernels run these, and the fused kernels are tested
//! against them. They may copy and keep more than the fused ones.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::activation::{log_softmax, silu, softmax};
use burn::tensor::{Bool, DType, Device, Gradients, IndexingUpdateOp, Tensor, TensorData};

use crate::adamw::AdamWStep;
use crate::attention_cached::{KvPool, change};
use crate::host;
use crate::linear::Matrix;
use crate::rotary::RotaryTable;
use crate::shapes::{CacheView, CachedSegment, Heads, Segments, Sequence};
use crate::token_logprobs::TokenLogprobs;

/// See [`crate::linear()`].
pub fn linear(x: Tensor<2>, w: &Matrix, bias: Option<&Tensor<1>>) -> Tensor<2> {
    let y = match w.tensor() {
        Some(weight) => x.matmul(weight.clone().transpose()),
        None => return crate::linear(x, w, bias),
    };
    match bias {
        Some(bias) => y + bias.clone().unsqueeze::<2>(),
        None => y,
    }
}

/// See [`crate::embedding()`].
pub fn embedding(table: &Matrix, ids: &Arc<[u32]>) -> Tensor<2> {
    match table.tensor() {
        Some(table) => lookup(table, ids),
        None => crate::embedding(table, ids),
    }
}

pub(crate) fn lookup(table: &Tensor<2>, ids: &Arc<[u32]>) -> Tensor<2> {
    let rows = host::indices(ids.iter().map(|&id| i64::from(id)), &table.device());
    table.clone().select(0, rows)
}

/// See [`Matrix::frozen`].
pub(crate) fn frozen(values: &[f32], shape: [usize; 2], bf16: bool, device: &Device) -> Matrix {
    let rounded = |value: &f32| if bf16 { half::bf16::from_f32(*value).to_f32() } else { *value };
    Matrix::new(host::from_vec(values.iter().map(rounded).collect(), shape, device))
}

/// See [`crate::backward_from`].
pub fn backward_from(y: Tensor<2>, gradient: Tensor<2>) -> Gradients {
    // The gradient of `Σ y·g` by `y` is `g`.
    (y * gradient.autodiff()).sum().backward()
}

/// See [`crate::rms_norm()`].
pub fn rms_norm(x: Tensor<2>, gain: &Tensor<1>, eps: f64) -> Tensor<2> {
    let mean_square = x.clone().powi_scalar(2).mean_dim(1);
    x * (mean_square + eps).sqrt().recip() * gain.clone().unsqueeze::<2>()
}

/// See [`crate::rotary()`].
pub fn rotary(x: Tensor<2>, positions: &Arc<[u32]>, table: &RotaryTable, head_dim: usize) -> Tensor<2> {
    let [tokens, width] = x.dims();
    let (heads, half) = (width / head_dim, head_dim / 2);
    let device = x.device();
    let gather = |source: &[f32]| {
        let mut rows = Vec::with_capacity(tokens * half);
        for &position in positions.iter() {
            let start = position as usize * half;
            rows.extend_from_slice(&source[start..start + half]);
        }
        host::from_vec(rows, [tokens, 1, half], &device)
    };
    let (cos, sin) = (gather(table.cos()), gather(table.sin()));
    let x = x.reshape([tokens, heads, head_dim]);
    let low = x.clone().narrow(2, 0, half);
    let high = x.narrow(2, half, half);
    let rotated_low = low.clone() * cos.clone() - high.clone() * sin.clone();
    let rotated_high = high * cos + low * sin;
    Tensor::cat(vec![rotated_low, rotated_high], 2).reshape([tokens, width])
}

/// See [`crate::swiglu()`].
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    silu(gate) * up
}

/// See [`crate::attention()`].
pub fn attention(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, segments: &Segments, heads: Heads) -> Tensor<2> {
    let mut outputs = Vec::with_capacity(segments.count());
    for Sequence { past, rows } in segments.sequences().filter(|sequence| !sequence.rows.is_empty()) {
        let part = |x: &Tensor<2>, rows: &Range<usize>| x.clone().narrow(0, rows.start, rows.len());
        let seen = |x: &Tensor<2>| match past.is_empty() {
            true => part(x, &rows),
            false => Tensor::cat(vec![part(x, &past), part(x, &rows)], 0),
        };
        outputs.push(attend(part(&q, &rows), seen(&k), seen(&v), heads));
    }
    if outputs.is_empty() {
        return q;
    }
    Tensor::cat(outputs, 0)
}

/// Causal attention of the last `n` tokens of one sequence: q is `[n, ..]`, k and v are
/// `[past + n, ..]`.
fn attend(q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, heads: Heads) -> Tensor<2> {
    let ([rows, _], [keys, _]) = (q.dims(), k.dims());
    let (group, dim) = (heads.group(), heads.head_dim);
    let device = q.device();
    let per_query_head = |x: Tensor<2>| -> Tensor<3> {
        x.reshape([keys, heads.key_value, 1, dim])
            .repeat_dim(2, group)
            .reshape([keys, heads.query, dim])
            .swap_dims(0, 1)
    };
    let q = q.reshape([rows, heads.query, dim]).swap_dims(0, 1);
    let scores = q.matmul(per_query_head(k).transpose()) * heads.scale();
    let hidden = Tensor::<2, Bool>::tril_mask([rows, keys], (keys - rows) as i64, &device);
    let scores = scores.mask_fill(hidden.unsqueeze::<3>().repeat_dim(0, heads.query), f32::MIN);
    softmax(scores, 2).matmul(per_query_head(v)).swap_dims(0, 1).reshape([rows, heads.query_width()])
}

/// See [`crate::attention_cached()`]. The pool must hold tensors ([`KvPool::of_tensors`]).
///
/// Sequences with one new row each, as when decoding, are attended over together: their pasts are gathered by their
/// block tables to the length of the longest, and what lies beyond an end has weight zero.
pub fn attention_cached(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    pool: &mut KvPool,
    layer: usize,
    view: &CacheView,
    heads: Heads,
) -> Tensor<2> {
    pool.assert_fits(layer, view, q.dims(), k.dims(), v.dims(), heads);
    let block_size = pool.block_size();
    let (keys, values) = pool.tensors_mut(layer);
    let slots = view.segments.iter().flat_map(|segment| segment.slots(block_size).skip(segment.past));
    let slots = host::indices(slots, &q.device());
    for (into, rows) in [(&mut *keys, k), (&mut *values, v)] {
        change(into, |held| held.select_assign(0, slots.clone(), rows, IndexingUpdateOp::Assign));
    }
    let (single, several): (Vec<_>, Vec<_>) =
        view.segments.iter().filter(|s| !s.rows.is_empty()).partition(|segment| segment.rows.len() == 1);
    let mut outputs = Vec::with_capacity(several.len() + 1);
    let mut order: Vec<usize> = Vec::new();
    for segment in several {
        let slots = host::indices(segment.slots(block_size), &q.device());
        let [all_k, all_v] = [&*keys, &*values].map(|tensor| tensor.clone().select(0, slots.clone()));
        outputs.push(attend(q.clone().narrow(0, segment.rows.start, segment.rows.len()), all_k, all_v, heads));
        order.extend(segment.rows.clone());
    }
    if !single.is_empty() {
        outputs.push(decode(&q, keys, values, &single, block_size, heads));
        order.extend(single.iter().map(|segment| segment.rows.start));
    }
    if outputs.len() < 2 {
        return outputs.pop().unwrap_or(q);
    }
    let mut places = vec![0; order.len()];
    order.iter().enumerate().for_each(|(at, row)| places[*row] = at as i64);
    Tensor::cat(outputs, 0).select(0, host::indices(places.into_iter(), &keys.device()))
}

/// Attention of one row of each of `n` sequences, `[n, H*D]`; scores are `[n, KV, H / KV, longest]`.
fn decode(
    q: &Tensor<2>,
    keys: &Tensor<2>,
    values: &Tensor<2>,
    segments: &[&CachedSegment],
    block_size: usize,
    heads: Heads,
) -> Tensor<2> {
    let (count, device) = (segments.len(), q.device());
    let longest = segments.iter().map(|segment| segment.past + 1).max().unwrap_or(0);
    // Beyond its end a sequence reads its last slot again: a number, whatever else the pool holds.
    let slots = segments.iter().flat_map(|segment| {
        let slots: Vec<i64> = segment.slots(block_size).collect();
        (0..longest).map(move |at| slots[at.min(slots.len() - 1)])
    });
    let slots = host::indices(slots, &device);
    let gathered = |pool: &Tensor<2>| -> Tensor<4> {
        let rows = pool.clone().select(0, slots.clone());
        rows.reshape([count, longest, heads.key_value, heads.head_dim]).swap_dims(1, 2)
    };
    let rows = host::indices(segments.iter().map(|segment| segment.rows.start as i64), &device);
    let q = q.clone().select(0, rows).reshape([count, heads.key_value, heads.group(), heads.head_dim]);
    let scores = q.matmul(gathered(keys).transpose()) * heads.scale();
    let beyond = segments.iter().flat_map(|segment| (0..longest).map(|at| at > segment.past));
    let beyond =
        Tensor::<1, Bool>::from_data(TensorData::new(beyond.collect::<Vec<bool>>(), [count * longest]), &device);
    let beyond = beyond.reshape([count, 1, 1, longest]).expand([count, heads.key_value, heads.group(), longest]);
    softmax(scores.mask_fill(beyond, f32::MIN), 3).matmul(gathered(values)).reshape([count, heads.query_width()])
}

/// See [`crate::token_logprobs()`]. Holds `[T, V]` when gradients are recorded.
pub fn token_logprobs(
    hidden: Tensor<2>,
    head: &Matrix,
    targets: &Arc<[u32]>,
    temperature: &Arc<[f32]>,
) -> TokenLogprobs {
    const ROWS_AT_A_TIME: usize = 256;
    let [tokens, _] = hidden.dims();
    let device = hidden.device();
    let (mut logprobs, mut entropies) = (Vec::new(), Vec::new());
    for start in (0..tokens).step_by(ROWS_AT_A_TIME) {
        let rows = ROWS_AT_A_TIME.min(tokens - start);
        let range = start..start + rows;
        let part = hidden.clone().narrow(0, start, rows);
        let divisors = host::from_vec(temperature[range.clone()].to_vec(), [rows, 1], &device);
        let log_p = log_softmax(linear(part, head, None) / divisors, 1);
        let ids = host::indices(targets[range].iter().map(|&id| i64::from(id)), &device);
        logprobs.push(log_p.clone().gather(1, ids.unsqueeze_dim(1)).reshape([rows]));
        entropies.push((log_p.clone().exp() * log_p).sum_dim(1).neg().reshape([rows]));
    }
    if tokens == 0 {
        let empty = || host::from_vec(Vec::new(), [0], &device);
        return TokenLogprobs { logprob: empty(), entropy: empty() };
    }
    TokenLogprobs { logprob: Tensor::cat(logprobs, 0), entropy: Tensor::cat(entropies, 0) }
}

/// See [`crate::adamw_step()`]; moments are f32.
pub fn adamw_step(param: &mut Tensor<1>, grad: &Tensor<1>, m: &mut Tensor<1>, v: &mut Tensor<1>, step: AdamWStep) {
    assert_eq!(m.dtype(), DType::F32, "adamw_step: format of moments");
    let tracked = param.is_require_grad();
    let autodiff = param.is_autodiff();
    let grad = grad.clone().inner() * step.grad_scale;
    let old = param.clone().inner();
    *m = m.clone() * step.beta1 + grad.clone() * (1.0 - step.beta1);
    *v = v.clone() * step.beta2 + grad.powi_scalar(2) * (1.0 - step.beta2);
    let (correction1, correction2) = step.bias_corrections();
    let direction = (m.clone() / correction1) / ((v.clone() / correction2).sqrt() + step.eps);
    let new = old.clone() * (1.0 - step.lr * step.weight_decay) - direction * step.lr;
    *param = match (autodiff, tracked) {
        (false, _) => new,
        (true, false) => Tensor::from_inner(new),
        (true, true) => Tensor::from_inner(new).require_grad(),
    };
}

/// See [`crate::sum_of_squares`].
pub fn sum_of_squares(x: &Tensor<1>) -> f64 {
    f64::from(x.clone().inner().powi_scalar(2).sum().into_scalar::<f32>())
}
