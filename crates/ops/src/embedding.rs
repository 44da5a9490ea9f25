//! Looks up one table row per token.
//!
//! Promise: rows are copied bit for bit; the gradient of a row is the sum over its uses, in
//! the order of the tokens.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use crate::flex::{dense, dims2, floats, parents, register, tensor};
use crate::gemm::PackedMatrix;
use crate::kernels::kernels;
use crate::recycle::Buffer;
use crate::{Matrix, rows};

/// `y_t = table[ids_t]`, table `[V, d]`, ids `[T]`, y `[T, d]`. A packed table gives what [`PackedMatrix::row`] says,
/// and has no gradient.
///
/// # Panics
/// If an id is not below `V`.
pub fn embedding(table: &Matrix, ids: &Arc<[u32]>) -> Tensor<2> {
    let vocabulary = table.out_features();
    if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
        panic!("embedding: token id {id} is not below the vocabulary size {vocabulary}");
    }
    match (table.packed_weight(), table.tensor()) {
        (Some(packed), _) => packed_rows(packed, ids),
        (None, Some(table)) => kernels(&table.device()).embedding(table, ids),
        (None, None) => unreachable!("a matrix is a tensor or packed"),
    }
}

pub(crate) fn fused(table: &Tensor<2>, ids: &Arc<[u32]>) -> Tensor<2> {
    let table = Tensor::clone(table).into_dispatch();
    Tensor::from_dispatch(<Dispatch as EmbeddingOps>::lookup(table, ids.clone()))
}

fn packed_rows(table: &PackedMatrix, ids: &[u32]) -> Tensor<2> {
    let width = table.in_features();
    let mut out = Buffer::new(ids.len() * width);
    rows::for_each(&mut out, width, |range, y| {
        for (&id, y) in ids[range].iter().zip(y.chunks_exact_mut(width)) {
            table.row(id as usize, y);
        }
    });
    tensor(out.into_tensor([ids.len(), width]))
}

/// The operation as a Burn extension.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait EmbeddingOps: Backend {
    /// See [`embedding()`].
    fn lookup(table: FloatTensor<Self>, ids: Arc<[u32]>) -> FloatTensor<Self>;
}

/// Its gradient.
pub(crate) trait EmbeddingGradient: Backend {
    /// `dtable_j = Σ_{t: ids_t = j} dy_t`, `[vocabulary, d]`.
    fn lookup_backward(grad: FloatTensor<Self>, ids: Arc<[u32]>, vocabulary: usize) -> FloatTensor<Self>;
}

impl EmbeddingOps for Flex {
    fn lookup(table: FlexTensor, ids: Arc<[u32]>) -> FlexTensor {
        let table = dense(table);
        let [_, width] = dims2(&table);
        let source = floats(&table);
        let mut out = Buffer::new(ids.len() * width);
        rows::for_each(&mut out, width, |range, y| {
            for (&id, y) in ids[range].iter().zip(y.chunks_exact_mut(width)) {
                let start = id as usize * width;
                y.copy_from_slice(&source[start..start + width]);
            }
        });
        out.into_tensor([ids.len(), width])
    }
}

impl EmbeddingGradient for Flex {
    fn lookup_backward(grad: FlexTensor, ids: Arc<[u32]>, vocabulary: usize) -> FlexTensor {
        let grad = dense(grad);
        let [_, width] = dims2(&grad);
        let dy = floats(&grad);
        let mut out = Buffer::gradient(vocabulary * width);
        // Each thread owns a range of the vocabulary, so every row is summed in token order.
        let owned = vocabulary.div_ceil(rayon::current_num_threads()).max(1);
        let pieces = out.par_chunks_mut(owned * width).enumerate();
        pieces.for_each(|(piece, table)| {
            table.fill(0.0);
            let first = piece * owned;
            let range = first..first + table.len() / width;
            for (&id, dy) in ids.iter().zip(dy.chunks_exact(width)) {
                if range.contains(&(id as usize)) {
                    let start = (id as usize - first) * width;
                    let row = &mut table[start..start + width];
                    row.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += dy);
                }
            }
        });
        out.into_tensor([vocabulary, width])
    }
}

#[derive(Debug)]
struct EmbeddingBackward;

impl<B: EmbeddingGradient> Backward<B, 1> for EmbeddingBackward {
    type State = (Arc<[u32]>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (grad, parents) = (grads.consume::<B>(&ops.node), parents(&ops));
        let (ids, vocabulary) = ops.state;
        let dtable = B::lookup_backward(grad, ids, vocabulary);
        register::<B, 1>(grads, parents, [Some(dtable)]);
    }
}

impl<B: EmbeddingOps + EmbeddingGradient, C: CheckpointStrategy> EmbeddingOps for Autodiff<B, C> {
    fn lookup(table: FloatTensor<Self>, ids: Arc<[u32]>) -> FloatTensor<Self> {
        let (table, node) = table.into_parts();
        let vocabulary = table.shape()[0];
        let y = B::lookup(table, ids.clone());
        match EmbeddingBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((ids, vocabulary), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }
}
