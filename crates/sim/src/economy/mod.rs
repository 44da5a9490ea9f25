//! Whether honesty pays: the income of honest, lazy, lying, colluding and many-named parties.
//!
//! Promise: the numbers are a function of presets, strategies and seeds; payouts are those of the real
//! ledger, lots and rulings those of the real rules, fines those of the shipped schedule. What is not
//! computed is the model: whether a false answer is found out is drawn with the measured probability.
//! Takes: [`EconomyOptions`]. Gives: an [`EconomyReport`]. Never: uses a float.

mod book;
mod crowd;
mod income;
mod market;
mod panel;
mod parties;
mod report;
mod strategy;
mod sweep;
#[cfg(test)]
mod tests;

pub use crowd::Crowd;
pub use report::{EconomyReport, EconomyRow};
pub use strategy::Strategy;
pub use sweep::{EconomyOptions, economy};

use income::Income;

/// Why a market could not be simulated.
#[derive(Debug, thiserror::Error)]
pub enum EconomyError {
    /// The ledger refused the preset or an entry.
    #[error("the ledger: {0}")]
    Ledger(String),
}
