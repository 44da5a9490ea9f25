//! Scores of an eval: avg@k and pass@k.
//!
//! Promise: a score is an exact fraction; it is rounded once, down, when turned into micro units.
//! Takes: rewards and counts of right answers per item. Gives: a [`Ratio`].

use crate::RoundsError;
use crate::constants::EVAL_SAMPLES_MAX;

/// An exact fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Above the line.
    pub numerator: i128,
    /// Below the line, positive.
    pub denominator: i128,
}

impl Ratio {
    /// `⌊1,000,000 · numerator / denominator⌋`
    pub fn to_micro(self) -> i64 {
        let whole = self.numerator.div_euclid(self.denominator);
        let rest = self.numerator.rem_euclid(self.denominator);
        let micro = whole * 1_000_000 + rest * 1_000_000 / self.denominator;
        i64::try_from(micro).unwrap_or(if micro < 0 { i64::MIN } else { i64::MAX })
    }
}

/// Mean reward, in whole rewards, over items with `k` samples each: `Σ_i Σ_j r_ij / (items·k·10⁶)`.
///
/// `rewards_micro` is `[items][k]`. Errors: `ScoreOfNothing`; `ScoreShape` if a row is empty or of
/// another length than the first.
pub fn avg_at_k(rewards_micro: &[Vec<i64>]) -> Result<Ratio, RoundsError> {
    let expected = rewards_micro.first().ok_or(RoundsError::ScoreOfNothing)?.len();
    for (item, row) in rewards_micro.iter().enumerate() {
        let given = row.len();
        if given != expected || given == 0 {
            return Err(RoundsError::ScoreShape { item, expected: expected.max(1), given });
        }
    }
    let count = (rewards_micro.len() * expected) as i128;
    let numerator = rewards_micro.iter().flatten().map(|&reward| i128::from(reward)).sum();
    Ok(Ratio { numerator, denominator: count * 1_000_000 })
}

/// Chance that at least one of `k` answers is right, estimated without bias from `n` samples of
/// which `c_i` are right: `(1/items) Σ_i [1 - C(n - c_i, k) / C(n, k)]`.
/// Source: arXiv:2107.03374, eq. 1.
///
/// `correct` is `[items]`, the `c_i`. Errors: `ScoreOfNothing`, `PassAtUndefined`, `PassAtCount`.
///
/// ```
/// // Two of three right, k = 1: 2/3. One of three, k = 2: 1 - C(2,2)/C(3,2) = 2/3.
/// assert_eq!(rounds::pass_at_k(&[2], 3, 1)?.to_micro(), 666_666);
/// assert_eq!(rounds::pass_at_k(&[1], 3, 2)?.to_micro(), 666_666);
/// # Ok::<(), rounds::RoundsError>(())
/// ```
pub fn pass_at_k(correct: &[u32], samples: u32, k: u32) -> Result<Ratio, RoundsError> {
    if k == 0 || k > samples || u64::from(samples) > EVAL_SAMPLES_MAX {
        return Err(RoundsError::PassAtUndefined { k, samples, limit: EVAL_SAMPLES_MAX });
    }
    if correct.is_empty() {
        return Err(RoundsError::ScoreOfNothing);
    }
    let all = binomial(samples, k);
    let mut numerator = 0;
    for (item, &given) in correct.iter().enumerate() {
        let wrong = samples.checked_sub(given).ok_or(RoundsError::PassAtCount { item, samples, given })?;
        numerator += all - binomial(wrong, k);
    }
    Ok(Ratio { numerator, denominator: correct.len() as i128 * all })
}

/// `C(n, k)`, exact for `n ≤ 64`: each partial product `C(n, i)·(n - i)` is below `2^64·64`.
fn binomial(n: u32, k: u32) -> i128 {
    if k > n {
        return 0;
    }
    (0..i128::from(k)).fold(1, |product, i| product * (i128::from(n) - i) / (i + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binomials_have_their_known_values() {
        assert_eq!([binomial(5, 2), binomial(4, 0), binomial(2, 3)], [10, 1, 0]);
        assert_eq!(binomial(64, 32), 1_832_624_140_942_590_534);
    }

    #[test]
    fn pass_at_k_equals_counting_all_choices() {
        // n = 6, each c, each k: count the k-subsets of {0..6} that hit the first c.
        for (correct, k) in (0..=6).flat_map(|c| (1..=6).map(move |k| (c, k))) {
            let chosen = || (0u32..64).filter(|set| set.count_ones() == k);
            let hits = chosen().filter(|set| set & ((1 << correct) - 1) != 0).count();
            let ratio = pass_at_k(&[correct], 6, k).unwrap();
            let counted = Ratio { numerator: hits as i128, denominator: chosen().count() as i128 };
            assert_eq!(ratio, counted, "c {correct}, k {k}");
        }
    }

    #[test]
    fn avg_at_k_is_the_mean_rounded_once() {
        // (1 + 0 + 0) / 3 = 0.333333…; rewards (0.5, -0.5, -1, 0): -1/4 exactly.
        let third = avg_at_k(&[vec![1_000_000], vec![0], vec![0]]).unwrap();
        assert_eq!(third.to_micro(), 333_333);
        let rows = [vec![500_000, -500_000], vec![-1_000_000, 0]];
        assert_eq!(avg_at_k(&rows).unwrap().to_micro(), -250_000);
    }

    #[test]
    fn impossible_scores_are_refused() {
        let undefined = RoundsError::PassAtUndefined { k: 4, samples: 3, limit: 64 };
        assert_eq!(pass_at_k(&[1], 3, 4).unwrap_err(), undefined);
        let count = RoundsError::PassAtCount { item: 1, samples: 3, given: 4 };
        assert_eq!(pass_at_k(&[1, 4], 3, 1).unwrap_err(), count);
        assert_eq!(pass_at_k(&[], 3, 1).unwrap_err(), RoundsError::ScoreOfNothing);
        let shape = RoundsError::ScoreShape { item: 1, expected: 2, given: 1 };
        assert_eq!(avg_at_k(&[vec![1, 2], vec![1]]).unwrap_err(), shape);
    }
}
