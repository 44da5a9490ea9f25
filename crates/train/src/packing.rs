//! Puts lengths of rows together into micro-batches of bounded size.
//!
//! Promise: every length is in exactly one micro-batch, never cut; the plan depends on the lengths alone.

/// Which go together: first-fit decreasing by length, ties by index.
///
/// A micro-batch holds at most `budget` rows; a length beyond that has one to itself.
/// Inside a micro-batch, indices rise; micro-batches come in the order in which they were opened.
pub fn pack(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&index| (std::cmp::Reverse(lengths[index]), index));
    let mut bins: Vec<(usize, Vec<usize>)> = Vec::new();
    for index in order {
        let length = lengths[index];
        match bins.iter_mut().find(|(used, _)| used + length <= budget) {
            Some((used, bin)) => {
                *used += length;
                bin.push(index);
            }
            None => bins.push((length, vec![index])),
        }
    }
    let mut plan: Vec<Vec<usize>> = bins.into_iter().map(|(_, bin)| bin).collect();
    plan.iter_mut().for_each(|bin| bin.sort_unstable());
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_sequences_fill_the_gaps_that_long_ones_leave() {
        // 7 opens a bin; 6 opens another; 4 fits the second; 3 the first; 11 is over the budget, alone.
        assert_eq!(pack(&[3, 7, 11, 4, 6], 10), vec![vec![2], vec![0, 1], vec![3, 4]]);
    }

    #[test]
    fn nothing_is_lost_doubled_or_over_the_budget() {
        let lengths: Vec<usize> = (0..97).map(|i| 1 + (i * 37) % 23).collect();
        let plan = pack(&lengths, 40);
        let mut seen: Vec<usize> = plan.iter().flatten().copied().collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..97).collect::<Vec<_>>());
        assert!(plan.iter().all(|bin| bin.iter().map(|&i| lengths[i]).sum::<usize>() <= 40));
        let least = lengths.iter().sum::<usize>().div_ceil(40);
        assert!(plan.len() <= least + 1, "{} bins for a least of {least}", plan.len());
    }
}
