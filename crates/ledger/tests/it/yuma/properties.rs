//! What holds for every network, on random ones.

use ledger::yuma::*;
use proptest::prelude::*;

use super::model::model;
use super::{UNIT, assert_close, fixed, float};

/// A random epoch; `order` turns with the proptest seed.
#[derive(Clone, Debug)]
struct Network {
    terms: YumaTerms,
    stakes: Vec<u64>,
    weights: Vec<Vec<u64>>,
    bonds: Vec<Vec<u16>>,
}

impl Network {
    fn input(&self) -> YumaInput<'_> {
        YumaInput {
            terms: &self.terms,
            stakes: &self.stakes,
            weights: &self.weights,
            bonds: &self.bonds,
            masks: Masks::default(),
        }
    }

    fn run(&self) -> YumaOutput {
        epoch(&self.input()).expect("a sound input")
    }

    /// What a few units of 2⁻³² make of shares whose whole is small: a column that only validators with next
    /// to no stake score, new bonds that hardly move the old, or ranks that are next to nothing.
    fn rounding(&self, consensus: &[f64], incentive: &[f64]) -> Rounding {
        let total: u64 = self.stakes.iter().sum();
        let part = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let votes = |column: usize| {
            self.stakes
                .iter()
                .zip(&self.weights)
                .map(move |(stake, row)| (part(*stake, total), part(row[column], row.iter().sum())))
        };
        let clip = f64::from(self.terms.bonds_penalty) / 65_535.0;
        let bonded = |column: usize, weight: f64| (1.0 - clip) * weight + clip * weight.min(consensus[column]);
        let largest = |column| votes(column).map(|(stake, weight)| stake * bonded(column, weight)).fold(0.0, f64::max);
        let of = |whole: f64| if whole > 0.0 { 4.0 * UNIT / whole } else { 0.0 };
        let moved = 1.0 - f64::from(self.terms.bonds_moving_average_ppm) / 1e6;
        let bonds: Vec<f64> =
            (0..consensus.len()).map(|column| of(moved * largest(column)) + of(1.0 - moved)).collect();
        let rank =
            |column: usize| votes(column).map(|(stake, weight)| stake * weight.min(consensus[column])).sum::<f64>();
        let incentive_lost = of((0..consensus.len()).map(rank).sum());
        let dividends = incentive_lost + bonds.iter().zip(incentive).map(|(lost, share)| lost * share).sum::<f64>();
        Rounding { incentive: incentive_lost, dividends, bonds }
    }
}

/// See [`Network::rounding`].
struct Rounding {
    incentive: f64,
    dividends: f64,
    bonds: Vec<f64>,
}

fn terms() -> impl Strategy<Value = YumaTerms> {
    let liquid = (any::<u16>(), any::<u16>(), -2_000i16..2_000);
    let liquid =
        liquid.prop_map(|(a, b, steepness_percent)| LiquidAlpha { low: a.min(b), high: a.max(b), steepness_percent });
    let rule = prop_oneof![Just(Rule::Yuma3), Just(Rule::Original)];
    let penalty = prop_oneof![Just(0), Just(u16::MAX), any::<u16>()];
    (rule, 1_000u16..64_000, penalty, 0u32..1_000_000, proptest::option::of(liquid)).prop_map(
        |(rule, kappa, bonds_penalty, bonds_moving_average_ppm, liquid_alpha)| YumaTerms {
            rule,
            kappa,
            bonds_penalty,
            bonds_moving_average_ppm,
            liquid_alpha,
            stake_min: 0,
        },
    )
}

fn network() -> impl Strategy<Value = Network> {
    (1usize..8, 1usize..10).prop_flat_map(|(validators, workers)| {
        // Odd numbers, so that no set of stakes ties with the majority.
        let stakes = proptest::collection::vec(1_000_003u64..9_000_000_017, validators);
        let score = prop_oneof![1 => Just(0u64), 4 => 0u64..65_536];
        let row = proptest::collection::vec(score, workers);
        let weights = proptest::collection::vec(row, validators);
        let row = proptest::collection::vec(any::<u16>(), workers);
        let bonds = proptest::collection::vec(row, validators);
        let bonds = prop_oneof![Just(Vec::new()), bonds];
        (terms(), stakes, weights, bonds).prop_map(|(terms, stakes, weights, bonds)| Network {
            terms,
            stakes,
            weights,
            bonds,
        })
    })
}

/// Checks that shares are of one: none below zero, the sum one less rounding, or all zero.
fn assert_shares(what: &str, shares: &[Fixed]) {
    assert!(shares.iter().all(|share| *share >= Fixed::ZERO), "{what} {shares:?}");
    let total: i64 = shares.iter().map(|share| share.to_bits()).sum();
    let lost = Fixed::ONE.to_bits() - total;
    assert!(total == 0 || (0..=shares.len() as i64).contains(&lost), "{what} lose {lost} units");
}

fn permuted<T: Clone>(values: &[T], order: &[usize]) -> Vec<T> {
    if values.is_empty() { Vec::new() } else { order.iter().map(|i| values[*i].clone()).collect() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn fixed_point_follows_the_formulas(network in network()) {
        let (output, expected) = (network.run(), model(&network.input()));
        let rounding = network.rounding(&expected.consensus, &expected.incentive);
        for (given, expected) in output.consensus.iter().zip(&expected.consensus) {
            assert_close("consensus", float(*given), *expected, 2.0 * UNIT);
        }
        for (given, expected) in output.incentive.iter().zip(&expected.incentive) {
            assert_close("incentive", float(*given), *expected, 1e-7 + rounding.incentive);
        }
        for (given, expected) in output.dividends.iter().zip(&expected.dividends) {
            assert_close("dividends", float(*given), *expected, 1e-6 + rounding.dividends);
        }
        for (row, expected) in output.bonds.iter().zip(&expected.bonds) {
            for ((given, expected), rounding) in row.iter().zip(expected).zip(&rounding.bonds) {
                // Rounded down to 65535ths.
                assert_close("bonds", f64::from(*given) / 65_535.0, *expected, 1.6e-5 + rounding);
            }
        }
    }

    #[test]
    fn shares_sum_to_one_and_emission_to_no_more_than_there_is(
        network in network(),
        amount in any::<u64>(),
    ) {
        let output = network.run();
        assert_shares("stake", &output.stake);
        assert_shares("active stake", &output.active_stake);
        assert_shares("incentive", &output.incentive);
        assert_shares("dividends", &output.dividends);
        let paid = emission(&output, amount);
        let total: u128 =
            paid.workers.iter().chain(&paid.validators).map(|paid| u128::from(*paid)).sum();
        prop_assert!(total <= u128::from(amount));
        // Each of at most 17 shares loses less than two units and one of the amount.
        let lost = 17 * (1 + 2 * (u128::from(amount) >> 32) + 2);
        prop_assert!(total + lost >= u128::from(amount), "{total} of {amount} paid");
    }

    #[test]
    fn the_order_of_validators_and_workers_changes_nothing(
        network in network(),
        seed in any::<u64>(),
    ) {
        let turn = |length: usize| -> Vec<usize> {
            let mut order: Vec<usize> = (0..length).collect();
            order.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(seed | 1).rotate_left(17));
            order
        };
        let (rows, columns) = (turn(network.stakes.len()), turn(network.weights[0].len()));
        let turned = Network {
            terms: network.terms.clone(),
            stakes: permuted(&network.stakes, &rows),
            weights: permuted(&network.weights, &rows).iter().map(|r| permuted(r, &columns)).collect(),
            bonds: permuted(&network.bonds, &rows).iter().map(|r| permuted(r, &columns)).collect(),
        };
        let (plain, turned) = (network.run(), turned.run());
        prop_assert_eq!(turned.consensus, permuted(&plain.consensus, &columns));
        prop_assert_eq!(turned.incentive, permuted(&plain.incentive, &columns));
        prop_assert_eq!(turned.dividends, permuted(&plain.dividends, &rows));
        prop_assert_eq!(turned.validator_trust, permuted(&plain.validator_trust, &rows));
        let bonds: Vec<_> =
            permuted(&plain.bonds, &rows).iter().map(|row| permuted(row, &columns)).collect();
        prop_assert_eq!(turned.bonds, bonds);
    }

    #[test]
    fn the_units_of_stakes_and_scores_change_nothing(
        network in network(),
        factor in 2u64..1_000_000,
    ) {
        let scaled = Network {
            stakes: network.stakes.iter().map(|stake| stake * factor).collect(),
            weights: network
                .weights
                .iter()
                .map(|row| row.iter().map(|score| score * factor).collect())
                .collect(),
            ..network.clone()
        };
        prop_assert_eq!(scaled.run(), network.run());
    }

    #[test]
    fn a_majority_that_agrees_is_not_moved_by_the_rest(
        honest in proptest::collection::vec(1u64..1_000, 3..8),
        liars in proptest::collection::vec(proptest::collection::vec(0u64..1_000, 8), 0..4),
        favoured in 0usize..3,
    ) {
        // Six validators of 10 tell the truth, up to three of 10 or fewer lie as they please.
        let workers = honest.len();
        let mut weights = vec![honest.clone(); 6];
        for liar in &liars {
            let mut row = liar[..workers].to_vec();
            row[favoured] += 100_000;
            weights.push(row);
        }
        let stakes = vec![10; weights.len()];
        let truth: u64 = honest.iter().sum();
        for rule in [Rule::Yuma3, Rule::Original] {
            let terms = YumaTerms { rule, ..YumaTerms::default() };
            let masks = Masks::default();
            let input = YumaInput { terms: &terms, stakes: &stakes, weights: &weights, bonds: &[], masks };
            let output = epoch(&input).expect("a sound input");
            for (j, score) in honest.iter().enumerate() {
                let share = Fixed::from_ratio(*score, u128::from(truth));
                prop_assert_eq!(output.consensus[j], share);
                // Nobody gets more than the truth over the honest stake's share.
                let limit = float(share) * stakes.len() as f64 / 6.0 + 1e-8;
                prop_assert!(float(output.incentive[j]) <= limit);
            }
            for liar in 6..weights.len() {
                prop_assert!(output.dividends[liar] <= output.dividends[0]);
                prop_assert!(output.validator_trust[liar] < output.validator_trust[0]);
            }
        }
    }

    #[test]
    fn a_forbidden_validator_counts_as_one_that_is_not_there(network in network()) {
        prop_assume!(network.stakes.len() > 1);
        let last = network.stakes.len() - 1;
        let mut forbidden = vec![false; last + 1];
        forbidden[last] = true;
        let fresh = Network { bonds: Vec::new(), ..network };
        let masks = Masks { forbidden, ..Masks::default() };
        let with = epoch(&YumaInput { masks, ..fresh.input() }).expect("a sound input");
        let mut without = fresh.clone();
        without.stakes.truncate(last);
        without.weights.truncate(last);
        let without = without.run();
        prop_assert_eq!(with.dividends[last], Fixed::ZERO);
        prop_assert!(with.bonds[last].iter().all(|bond| *bond == 0));
        for (with, without) in with.dividends.iter().zip(&without.dividends) {
            assert_close("dividends", float(*with), float(*without), 1e-6);
        }
        for (with, without) in with.incentive.iter().zip(&without.incentive) {
            assert_close("incentive", float(*with), float(*without), 1e-7);
        }
    }

    #[test]
    fn arithmetic_is_that_of_wide_integers(left in any::<i64>(), right in any::<i64>()) {
        let (a, b) = (Fixed::from_bits(left), Fixed::from_bits(right));
        let (wide_a, wide_b) = (i128::from(left), i128::from(right));
        let end = |units: i128| Fixed::from_bits(units.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
        prop_assert_eq!(a.plus(b), end(wide_a + wide_b));
        prop_assert_eq!(a.minus(b), end(wide_a - wide_b));
        prop_assert_eq!(a.times(b), end((wide_a * wide_b).div_euclid(1 << 32)));
        prop_assert_eq!(a.over(b), if right == 0 { Fixed::ZERO } else { end((wide_a << 32) / wide_b) });
    }

    #[test]
    fn quotients_of_shares_take_the_short_way_to_the_same_result(
        left in 0i64..1 << 32,
        right in 1i64..1 << 34,
        part in any::<u64>(),
        whole in 1u128..1 << 70,
        bits in 0u32..64,
    ) {
        let short = Fixed::from_bits(left).over(Fixed::from_bits(right));
        prop_assert_eq!(i128::from(short.to_bits()), (i128::from(left) << 32) / i128::from(right));
        let part = part >> bits;
        let wide = ((u128::from(part) << 32) / whole).min(i64::MAX as u128);
        prop_assert_eq!(Fixed::from_ratio(part, whole).to_bits() as u128, wide);
    }

    #[test]
    fn exponential_and_sigmoid_follow_floats(x in -25.0f64..25.0) {
        let given = fixed(x);
        let expected = float(given).clamp(-20.0, 20.0).exp();
        assert_close("exp", float(exp(given)), expected, UNIT + expected * 1e-14);
        let curve = float(sigmoid(given, Fixed::ONE, Fixed::ZERO));
        assert_close("sigmoid", curve, 1.0 / (1.0 + 1.0 / expected), 3.0 * UNIT);
        prop_assert!(exp(given) <= exp(given.plus(Fixed::from_bits(1 << 16))));
    }

    #[test]
    fn sixteen_bits_lose_less_than_one_part(share in any::<u16>()) {
        let back = Fixed::from_u16(share).to_u16();
        prop_assert!(back == share || back + 1 == share);
    }
}
