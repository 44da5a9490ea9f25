//! Amounts from shares, as subtensor pays them.
//!
//! Promise: no more is paid than there is. What rounding leaves over stays with the caller: the
//! ledger itself pays by largest remainder from the shares, so that its sums are exact.

use super::epoch::YumaOutput;
use super::fixed::Fixed;

/// Amounts in the unit of the amount that was split; each rounded down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// `[workers]`
    pub workers: Vec<u64>,
    /// `[validators]`
    pub validators: Vec<u64>,
    /// `[members]`: both together, where workers and validators are the same members; else empty.
    pub members: Vec<u64>,
}

/// Splits `amount` between workers and validators, half to each when both earned.
///
/// `E_j = floor(I_j / T · amount)`, `E_i = floor(D_i / T · amount)` with `T = Σ I + Σ D`, quotients
/// rounded down to 2⁻³². If `T` is 0, validators get it by their share of active stake, and if
/// nobody was active by their share of all stake. Where both lists are as long, entry `i` is taken
/// for the same member, and `members` is `floor((I_i + D_i) / T · amount)`.
pub fn emission(output: &YumaOutput, amount: u64) -> Emission {
    let (incentive, dividends) = (&output.incentive, &output.dividends);
    let one_body = incentive.len() == dividends.len();
    let total = Fixed::total(incentive.iter().chain(dividends));
    let pay = |shares: &[Fixed]| -> Vec<u64> { shares.iter().map(|share| share.share_of(amount)).collect() };
    if total == Fixed::ZERO {
        let nobody = Fixed::total(&output.active_stake) == Fixed::ZERO;
        let validators = pay(if nobody { &output.stake } else { &output.active_stake });
        let members = if one_body { validators.clone() } else { Vec::new() };
        return Emission { workers: vec![0; incentive.len()], validators, members };
    }
    let split = |shares: &[Fixed]| -> Vec<Fixed> { shares.iter().map(|share| share.over(total)).collect() };
    let both: Vec<Fixed> = match one_body {
        true => incentive.iter().zip(dividends).map(|(i, d)| i.plus(*d)).collect(),
        false => Vec::new(),
    };
    Emission { workers: pay(&split(incentive)), validators: pay(&split(dividends)), members: pay(&split(&both)) }
}
