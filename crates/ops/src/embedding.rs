//! Looks up one table row per token.
//!
//! Promise: rows are copied bit for bit; the gradient of a row is the sum over its uses, in
//! the order of the tokens.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::reference;

/// `y_t = table[ids_t]`, table `[V, d]`, ids `[T]`, y `[T, d]`.
///
/// # Panics
/// If an id is not below `V`.
pub fn embedding(table: &Tensor<2>, ids: &Arc<[u32]>) -> Tensor<2> {
    let [vocabulary, _] = table.dims();
    if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
        panic!("embedding: token id {id} is not below the vocabulary size {vocabulary}");
    }
    reference::embedding(table, ids)
}
