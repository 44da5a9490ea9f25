//! Cuts a sum into whole parts that add up to it.
//!
//! Promise: no unit is lost and none is made.

use crate::Amount;

/// `total` in proportion to `shares`, by largest remainder.
///
/// Part `i` is first `floor(total · share_i / Σ share)`. The units that are left, fewer than there are shares,
/// go one each to the largest remainders `total · share_i mod Σ share`; among equals to the one that comes first.
/// `None` if all shares are 0: nobody has a claim.
///
/// ```
/// // 100 among 1 : 1 : 1 is 33 each, and the unit that is left goes to the first.
/// assert_eq!(ledger::largest_remainder(100, &[1, 1, 1]), Some(vec![34, 33, 33]));
/// // 10 among 1 : 2 : 3 is 1.67, 3.33, 5: the largest remainder is the first's.
/// assert_eq!(ledger::largest_remainder(10, &[1, 2, 3]), Some(vec![2, 3, 5]));
/// assert_eq!(ledger::largest_remainder(10, &[0, 0]), None);
/// ```
pub fn largest_remainder(total: Amount, shares: &[u64]) -> Option<Vec<Amount>> {
    let whole: u128 = shares.iter().map(|share| u128::from(*share)).sum();
    if whole == 0 {
        return None;
    }
    let product = |share: &u64| u128::from(total) * u128::from(*share);
    // A quotient is at most `total`.
    let mut parts: Vec<Amount> = shares.iter().map(|share| (product(share) / whole) as Amount).collect();
    let left = total - parts.iter().sum::<Amount>();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(product(&shares[i]) % whole), i));
    // `left` is the sum of the remainders in units of `whole`, so fewer than shares that are not 0.
    order.iter().take(left as usize).for_each(|&i| parts[i] += 1);
    assert_eq!(parts.iter().sum::<Amount>(), total, "largest remainder lost or made money");
    Some(parts)
}
