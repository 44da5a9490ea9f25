//! Causal attention over packed sequences.
//!
//! Promise: a token sees itself and the earlier tokens of its own sequence, nothing else.

use burn::tensor::Tensor;

use crate::reference;
use crate::shapes::{Heads, Segments};

/// In each sequence and query head: `y_i = Σ_{j≤i} softmax_j(q_i·k_j / sqrt(D)) v_j`.
///
/// q `[T, H*D]`, k and v `[T, KV*D]`, y `[T, H*D]`; query head `h` reads key/value head
/// `h / (H / KV)`. Source: arXiv:1706.03762, eq. 1; grouped heads arXiv:2305.13245.
///
/// # Panics
/// If the shapes do not fit.
pub fn attention(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    segments: &Segments,
    heads: Heads,
) -> Tensor<2> {
    heads.assert_valid();
    let tokens = segments.tokens();
    assert_eq!(q.dims(), [tokens, heads.query_width()], "attention: q");
    assert_eq!(k.dims(), [tokens, heads.kv_width()], "attention: k");
    assert_eq!(v.dims(), [tokens, heads.kv_width()], "attention: v");
    reference::attention(q, k, v, segments, heads)
}
