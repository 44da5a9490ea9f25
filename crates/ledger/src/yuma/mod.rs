//! Yuma consensus: many validators' scores become one share per worker and one per validator.
//!
//! Promise: the same numbers give the same bits on every machine; a score above what the majority of
//! the stake supports counts only up to there; shares of workers, and of validators, sum to one less
//! the rounding (at most one unit of 2⁻³² per share); bad input gives a named error, never a panic.
//! Takes: stakes, scores, the bonds of the epoch before. Gives: [`YumaOutput`] with the bonds to keep.
//! Never: uses a float, a clock or a map whose order differs.
//!
//! Formulas, units, rounding and an example by hand: `docs/yuma.md`. Source of the formulas: Yuma
//! consensus as subtensor runs it (github.com/opentensor/subtensor, commit 14bc6f9f).
//!
//! ```
//! use ledger::yuma::{Masks, YumaInput, YumaTerms, epoch};
//!
//! // Two of three validators see worker 0 and worker 1 as equals; the third favours worker 1.
//! let output = epoch(&YumaInput {
//!     terms: &YumaTerms::default(),
//!     stakes: &[1_000_000, 1_000_000, 1_000_000],
//!     weights: &[vec![5, 5], vec![5, 5], vec![1, 9]],
//!     bonds: &[], // none yet
//!     masks: Masks::default(),
//! })?;
//! // Worker 1 gets no more than what the majority gave it: ranks 0.3667 : 0.5.
//! assert_eq!(output.consensus[1].to_u16(), 32767); // 0.5
//! assert_eq!(output.incentive[1].share_of(1_000_000), 576_923);
//! // Next epoch, pass `bonds: &output.bonds`.
//! # Ok::<(), ledger::yuma::YumaError>(())
//! ```

mod bonds;
mod emission;
mod epoch;
mod error;
mod fixed;
mod masks;
mod matrix;
mod median;
mod terms;

pub use bonds::liquid_alpha;
pub use emission::{Emission, emission};
pub use epoch::{CELLS_MAX, YumaInput, YumaOutput, epoch};
pub use error::YumaError;
pub use fixed::{Fixed, exp, sigmoid};
pub use masks::{Calendar, Masks, top_stakes};
pub use matrix::{
    clip_columns, ema, ema_alpha, interpolate, normalize, normalize_columns, normalize_rows, upscale_columns,
};
pub use median::{weighted_median, weighted_median_columns};
pub use terms::{LiquidAlpha, Rule, YumaTerms};

/// The example of `docs/yuma.md` is compiled and run with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/yuma.md")]
struct DocumentationExample;
