//! Fused tensor operations for transformers, each beside its plain twin and gradient test.
//!
//! Promise: on the CPU every operation runs our own kernels, forward and backward; on any
//! other device it runs the same formula in plain Burn operations ([`mod@reference`]).
//! `T` is the number of tokens of all sequences laid end to end ("packed", no padding).
//! Shapes that do not fit are our own bugs and panic with a message.

pub mod adamw;
pub mod add;
mod attend;
pub mod attention;
mod attention_backward;
pub mod attention_cached;
mod block_product;
pub mod candidates;
#[cfg(feature = "card")]
mod card;
pub mod device;
pub mod embedding;
pub mod feed_forward;
mod flex;
pub mod gemm;
pub mod given_gradient;
mod head_tiles;
pub mod host;
mod joint;
mod kernels;
pub mod linear;
mod memory;
pub mod recycle;
pub mod reference;
pub mod rms_norm;
pub mod rotary;
mod rounding;
mod rows;
pub mod shapes;
pub mod swiglu;
pub mod token_logprobs;
pub mod vmath;

pub use adamw::{AdamWStep, adamw_step, sum_of_squares};
pub use add::add;
pub use attention::attention;
pub use attention_cached::{KvPool, attention_cached};
pub use candidates::{Candidates, Question, candidates};
pub use device::{DeviceError, DeviceSpec};
pub use embedding::embedding;
pub use feed_forward::feed_forward;
pub use given_gradient::backward_from;
pub use linear::{Matrix, Projection, linear, linears};
pub use rms_norm::{residual_norm, rms_norm};
pub use rotary::{RotaryTable, rotary};
pub use shapes::{CacheView, CachedSegment, Heads, Segments};
pub use swiglu::swiglu;
pub use token_logprobs::{TokenLogprobs, token_logprobs};
