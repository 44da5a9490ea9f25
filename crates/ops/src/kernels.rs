//! Which implementation of the operations a device runs.
//!
//! Promise: the device is asked here and nowhere else. Each operation checks its arguments, then hands them to the
//! kernels of its device. Kernels written for cards join as one more implementation that overrides what it has.

use std::sync::Arc;

use burn::backend::{Dispatch, DispatchDevice, DispatchTensor, ops::FloatTensorOps};
use burn::tensor::{DType, Device, Gradients, Tensor};
use proof::Noise;

use crate::adamw::AdamWStep;
use crate::attention_cached::KvPool;
use crate::host::{Floats, RawNumbers};
use crate::joint::Joint;
use crate::linear::{Matrix, Projection};
use crate::rotary::RotaryTable;
use crate::shapes::{Heads, Segments};
use crate::token_logprobs::TokenLogprobs;
use crate::{
    adamw, add, attention, candidates, embedding, feed_forward, given_gradient, host, linear, reference, rms_norm,
    rotary, swiglu, token_logprobs,
};

/// The operations of this crate, by default in plain Burn operations.
pub(crate) trait Kernels {
    /// See [`crate::linear()`] and [`crate::linear::linears`].
    fn linear(&self, x: Tensor<2>, (w, bias): Projection, _: Joint) -> Tensor<2> {
        reference::linear(x, w, bias)
    }

    /// See [`Matrix::frozen`].
    fn frozen(&self, values: &[f32], shape: [usize; 2], bf16: bool, device: &Device) -> Matrix {
        reference::frozen(values, shape, bf16, device)
    }

    /// See [`Matrix::frozen_tied`].
    fn frozen_tied(&self, values: &Floats, shape: [usize; 2], bf16: bool, device: &Device) -> (Matrix, Matrix) {
        let both = reference::frozen(values, shape, bf16, device);
        (both.clone(), both)
    }

    /// See [`crate::embedding()`]; the table is a tensor.
    fn embedding(&self, table: &Tensor<2>, ids: &Arc<[u32]>) -> Tensor<2> {
        reference::lookup(table, ids)
    }

    /// See [`crate::rms_norm()`].
    fn rms_norm(&self, x: Tensor<2>, gain: &Tensor<1>, eps: f64, _: Joint) -> Tensor<2> {
        reference::rms_norm(x, gain, eps)
    }

    /// See [`crate::residual_norm`].
    fn residual(&self, x: Tensor<2>, _: Joint) -> Tensor<2> {
        x
    }

    /// See [`crate::add()`].
    fn add(&self, x: DispatchTensor, y: DispatchTensor) -> DispatchTensor {
        Dispatch::float_add(x, y)
    }

    /// See [`crate::feed_forward()`].
    fn feed_forward(&self, y: Tensor<2>, all: [Projection; 3]) -> Tensor<2> {
        feed_forward::in_turn(&y, all)
    }

    /// See [`crate::rotary()`].
    fn rotary(&self, x: Tensor<2>, positions: &Arc<[u32]>, table: &RotaryTable, head_dim: usize) -> Tensor<2> {
        reference::rotary(x, positions, table, head_dim)
    }

    /// See [`crate::swiglu()`].
    fn swiglu(&self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        reference::swiglu(gate, up)
    }

    /// See [`crate::attention()`].
    fn attention(&self, q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, segments: &Segments, heads: Heads) -> Tensor<2> {
        reference::attention(q, k, v, segments, heads)
    }

    /// See [`KvPool::new`], which settles how [`crate::attention_cached()`] runs.
    fn kv_pool(&self, layers: usize, blocks: usize, block_size: usize, kv_width: usize, device: &Device) -> KvPool {
        KvPool::of_tensors(layers, blocks, block_size, kv_width, device)
    }

    /// See [`crate::token_logprobs()`].
    fn token_logprobs(
        &self,
        hidden: Tensor<2>,
        head: &Matrix,
        targets: &Arc<[u32]>,
        temperature: &Arc<[f32]>,
    ) -> TokenLogprobs {
        reference::token_logprobs(hidden, head, targets, temperature)
    }

    /// See [`crate::backward_from`].
    fn backward_from(&self, y: Tensor<2>, gradient: Tensor<2>) -> Gradients {
        reference::backward_from(y, gradient)
    }

    /// See [`crate::adamw_step`].
    fn adamw_step(
        &self,
        param: &mut Tensor<1>,
        grad: &Tensor<1>,
        m: &mut Tensor<1>,
        v: &mut Tensor<1>,
        step: AdamWStep,
    ) {
        reference::adamw_step(param, grad, m, v, step);
    }

    /// See [`crate::adamw::takes_moments`].
    fn takes_moments(&self, dtype: DType) -> bool {
        dtype == DType::F32
    }

    /// See [`crate::sum_of_squares`].
    fn sum_of_squares(&self, x: &Tensor<1>) -> f64 {
        reference::sum_of_squares(x)
    }

    /// See [`candidates::whole_rows`].
    fn whole_rows(&self) -> bool {
        false
    }

    /// See [`candidates::noise_bound`].
    fn noise_bound(&self, noise: &[Noise], vocabulary: usize, device: &Device) -> Tensor<2> {
        candidates::noise_bound(noise, vocabulary, device)
    }

    /// See [`Floats::of`].
    fn floats(&self, values: &Tensor<1>) -> Floats {
        host::to_vec_f32(values).into()
    }

    /// See [`RawNumbers::of`].
    fn raw_numbers(&self, values: &Tensor<1>) -> RawNumbers {
        self.floats(values).into()
    }

    /// See [`Floats::tensor`].
    fn tensor(&self, floats: &Floats, device: &Device) -> Tensor<1> {
        host::from_vec(floats.to_vec(), [floats.len()], device)
    }
}

/// The fused kernels of this crate.
struct Cpu;

/// Plain Burn operations, for every other device.
struct Plain;

impl Kernels for Plain {}

impl Kernels for Cpu {
    fn linear(&self, x: Tensor<2>, projection: Projection, joint: Joint) -> Tensor<2> {
        linear::fused(x, projection, joint)
    }

    fn frozen(&self, values: &[f32], shape: [usize; 2], bf16: bool, _: &Device) -> Matrix {
        Matrix::packed(linear::packed(values, shape, bf16))
    }

    fn frozen_tied(&self, values: &Floats, shape: [usize; 2], bf16: bool, device: &Device) -> (Matrix, Matrix) {
        linear::packed_tied(values, shape, bf16, device)
    }

    fn embedding(&self, table: &Tensor<2>, ids: &Arc<[u32]>) -> Tensor<2> {
        embedding::fused(table, ids)
    }

    fn rms_norm(&self, x: Tensor<2>, gain: &Tensor<1>, eps: f64, joint: Joint) -> Tensor<2> {
        rms_norm::fused(x, gain, eps, joint)
    }

    fn residual(&self, x: Tensor<2>, joint: Joint) -> Tensor<2> {
        rms_norm::fused_residual(x, joint)
    }

    fn add(&self, x: DispatchTensor, y: DispatchTensor) -> DispatchTensor {
        add::fused(x, y)
    }

    fn feed_forward(&self, y: Tensor<2>, all: [Projection; 3]) -> Tensor<2> {
        feed_forward::fused(y, all)
    }

    fn rotary(&self, x: Tensor<2>, positions: &Arc<[u32]>, table: &RotaryTable, _: usize) -> Tensor<2> {
        rotary::fused(x, positions, table)
    }

    fn swiglu(&self, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
        swiglu::fused(gate, up)
    }

    fn attention(&self, q: Tensor<2>, k: Tensor<2>, v: Tensor<2>, segments: &Segments, heads: Heads) -> Tensor<2> {
        attention::fused(q, k, v, segments, heads)
    }

    fn kv_pool(&self, layers: usize, blocks: usize, block_size: usize, kv_width: usize, _: &Device) -> KvPool {
        KvPool::of_blocks(layers, blocks, block_size, kv_width)
    }

    fn token_logprobs(
        &self,
        hidden: Tensor<2>,
        head: &Matrix,
        targets: &Arc<[u32]>,
        temperature: &Arc<[f32]>,
    ) -> TokenLogprobs {
        token_logprobs::fused(hidden, head, targets, temperature)
    }

    fn backward_from(&self, y: Tensor<2>, gradient: Tensor<2>) -> Gradients {
        given_gradient::fused(y, gradient)
    }

    fn adamw_step(
        &self,
        param: &mut Tensor<1>,
        grad: &Tensor<1>,
        m: &mut Tensor<1>,
        v: &mut Tensor<1>,
        step: AdamWStep,
    ) {
        adamw::fused(param, grad, m, v, step);
    }

    fn takes_moments(&self, dtype: DType) -> bool {
        matches!(dtype, DType::F32 | DType::BF16)
    }

    fn sum_of_squares(&self, x: &Tensor<1>) -> f64 {
        adamw::fused_sum_of_squares(x)
    }

    fn whole_rows(&self) -> bool {
        true
    }

    fn floats(&self, values: &Tensor<1>) -> Floats {
        Floats::shared(values)
    }

    fn raw_numbers(&self, values: &Tensor<1>) -> RawNumbers {
        RawNumbers::shared(values)
    }

    fn tensor(&self, floats: &Floats, device: &Device) -> Tensor<1> {
        floats.shared_tensor(device)
    }
}

/// The kernels that a device runs.
pub(crate) fn kernels(device: &Device) -> &'static dyn Kernels {
    let device = match device.as_dispatch() {
        DispatchDevice::Autodiff(inner) => inner,
        device => device,
    };
    match device {
        DispatchDevice::Flex(_) => &Cpu,
        #[cfg(feature = "card")]
        DispatchDevice::Cube(_) => &crate::card::Card,
        #[allow(unreachable_patterns, reason = "other devices exist with other features")]
        _ => &Plain,
    }
}
