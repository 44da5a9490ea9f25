//! How far a chunk's proof is from one's own activations.
//!
//! Promise: the numbers of the reference where it has them, in whole units, and two of our own:
//! signs and spread.

use super::ChunkProof;
use super::largest::largest;
use crate::ProofError;

/// What a mean or median is where no exponent agrees (the reference says 2^64).
pub const NO_EXPONENT_AGREES: u32 = u32::MAX;

/// The distance between claimed values and one's own at one's own largest positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Differences {
    /// Values compared.
    pub points: u32,
    /// Values whose exponents differ: another order of magnitude, or a position that the prover
    /// did not commit to, where the polynomial takes a value of no meaning.
    pub exponent_mismatches: u32,
    /// Of the values with equal exponents, those whose signs differ.
    pub sign_mismatches: u32,
    /// Distances of the 7-bit mantissas where exponents are equal, ascending.
    pub mantissa_errors: Vec<u8>,
    /// How many different patterns are claimed.
    pub distinct_claimed: u32,
    /// How many different patterns one's own values have.
    pub distinct_own: u32,
}

/// [`Differences`] in the numbers that tolerances are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Values compared: `min(k, values in the chunk)`.
    pub points: u32,
    /// Values whose exponents differ.
    pub exponent_mismatches: u32,
    /// Mean mantissa distance where exponents are equal, in thousandths, rounded up;
    /// [`NO_EXPONENT_AGREES`] if there is none.
    pub mantissa_mean_milli: u32,
    /// Median of the same, in thousandths: the upper of two middle ones.
    pub mantissa_median_milli: u32,
    /// Values with equal exponents and unequal signs.
    pub sign_mismatches: u32,
    /// Different patterns among the claimed values. A constant claims one.
    pub distinct_claimed: u32,
    /// Different patterns among one's own values.
    pub distinct_own: u32,
}

impl Differences {
    /// Compares a proof with the activations that it should be of.
    ///
    /// - `bits`: one's own bf16 patterns of the same chunk, flat
    /// - errors: `Modulus`, and those of the own activations: `NotFinite`, `ChunkTooSmall`,
    ///   `ChunkTooLarge`
    pub fn of(proof: &ChunkProof, bits: &[u16]) -> Result<Self, ProofError> {
        proof.check_modulus(bits.len())?;
        let positions = largest(bits, proof.coefficients().len())?;
        let own: Vec<u32> = positions.iter().map(|&at| u32::from(bits[at as usize])).collect();
        let claimed = proof.claimed(&positions);
        let mut differences = Self {
            points: own.len() as u32,
            exponent_mismatches: 0,
            sign_mismatches: 0,
            mantissa_errors: Vec::with_capacity(own.len()),
            distinct_claimed: distinct(&claimed),
            distinct_own: distinct(&own),
        };
        for (claimed, own) in claimed.into_iter().zip(own) {
            differences.count(claimed, own);
        }
        differences.mantissa_errors.sort_unstable();
        Ok(differences)
    }

    /// A pattern is `sign·2^15 + exponent·2^7 + mantissa`.
    fn count(&mut self, claimed: u32, own: u32) {
        if (claimed ^ own) >> 7 & 0xff != 0 {
            self.exponent_mismatches += 1;
            return;
        }
        self.sign_mismatches += (claimed ^ own) >> 15;
        self.mantissa_errors.push((claimed & 0x7f).abs_diff(own & 0x7f) as u8);
    }

    /// Mean mantissa distance in thousandths, rounded up, so that `mean <= limit` means just that.
    #[must_use]
    pub fn mantissa_mean_milli(&self) -> u32 {
        let sum: u64 = self.mantissa_errors.iter().map(|&error| 1000 * u64::from(error)).sum();
        match self.mantissa_errors.len() as u64 {
            0 => NO_EXPONENT_AGREES,
            count => sum.div_ceil(count) as u32,
        }
    }

    /// Median in thousandths: the element at `n/2`, the upper of two middle ones. This is the
    /// reference's path for one 2-D tensor, and ours.
    #[must_use]
    pub fn mantissa_median_milli(&self) -> u32 {
        let errors = &self.mantissa_errors;
        errors.get(errors.len() / 2).map_or(NO_EXPONENT_AGREES, |&error| 1000 * u32::from(error))
    }

    /// Median in thousandths: the average of two middle ones. This is the reference's path for a
    /// list of tensors.
    #[must_use]
    pub fn mantissa_median_of_two_milli(&self) -> u32 {
        let errors = &self.mantissa_errors;
        let Some(below) = errors.len().checked_sub(1) else { return NO_EXPONENT_AGREES };
        500 * (u32::from(errors[below / 2]) + u32::from(errors[errors.len() / 2]))
    }
}

impl From<Differences> for Comparison {
    fn from(differences: Differences) -> Self {
        Self {
            points: differences.points,
            exponent_mismatches: differences.exponent_mismatches,
            mantissa_mean_milli: differences.mantissa_mean_milli(),
            mantissa_median_milli: differences.mantissa_median_milli(),
            sign_mismatches: differences.sign_mismatches,
            distinct_claimed: differences.distinct_claimed,
            distinct_own: differences.distinct_own,
        }
    }
}

fn distinct(values: &[u32]) -> u32 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values.dedup();
    values.len() as u32
}
