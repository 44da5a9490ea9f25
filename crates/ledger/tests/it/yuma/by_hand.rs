//! Epochs worked by hand.

use ledger::yuma::*;

use super::{assert_close, fixed, fixed_rows, float};

const NO_BONDS: &[Vec<u16>] = &[];

fn run(terms: &YumaTerms, stakes: &[u64], weights: &[Vec<u64>], bonds: &[Vec<u16>]) -> YumaOutput {
    epoch(&YumaInput { terms, stakes, weights, bonds, masks: Masks::default() }).expect("a sound input")
}

fn assert_shares(what: &str, given: &[Fixed], expected: &[f64]) {
    assert_eq!(given.len(), expected.len());
    for (given, expected) in given.iter().zip(expected) {
        assert_close(what, float(*given), *expected, 2e-9);
    }
}

/// The example of `docs/yuma.md`.
#[test]
fn the_example_of_the_documentation() {
    // Stakes 60/30/10; A and B say 50:50, C says 100:0 for its friend.
    let terms = YumaTerms { bonds_moving_average_ppm: 900_000, ..YumaTerms::default() };
    let weights = [vec![1, 1], vec![1, 1], vec![1, 0]];
    let output = run(&terms, &[60, 30, 10], &weights, NO_BONDS);
    assert_shares("stake", &output.active_stake, &[0.6, 0.3, 0.1]);
    assert_shares("consensus", &output.consensus, &[0.5, 0.5]);
    assert_shares("validator trust", &output.validator_trust, &[1.0, 1.0, 0.5]);
    // P = [1·0.1 + 0.5·0.9, 0.45] = [0.55, 0.45]; R = [0.5, 0.45].
    assert_shares("trust", &output.trust, &[0.5 / 0.55, 1.0]);
    assert_shares("incentive", &output.incentive, &[0.5 / 0.95, 0.45 / 0.95]);
    // Bonds are a tenth of the clipped scores: 0.05, but C has none with worker 1.
    // floor(0.05 · 65535) = 3276
    assert_eq!(output.bonds, [[3_276, 3_276], [3_276, 3_276], [3_276, 0]]);
    // Column shares: 1/3 each with worker 0, 1/2 each for A and B with worker 1.
    let (i0, i1) = (0.5 / 0.95, 0.45 / 0.95);
    let (held, held_by_c) = (i0 / 3.0 + i1 / 2.0, i0 / 3.0);
    let total = 0.9 * held + 0.1 * held_by_c;
    let expected = [0.6 * held / total, 0.3 * held / total, 0.1 * held_by_c / total];
    assert_shares("dividends", &output.dividends, &expected);
    // D = [0.636569, 0.318284, 0.045147]; a million, half to each side.
    let paid = emission(&output, 1_000_000);
    assert_eq!((paid.workers, paid.validators), (vec![263_157, 236_842], vec![318_284, 159_142, 22_573]));
}

#[test]
fn equal_rows_give_each_worker_its_exact_share() {
    let tokens = vec![123_456_789_012, 1, 999_999_999_999];
    let total: u128 = tokens.iter().map(|tokens| u128::from(*tokens)).sum();
    let weights = [tokens.clone(), tokens.clone(), tokens.clone()];
    let output = run(&YumaTerms::default(), &[1, 1, 1], &weights, NO_BONDS);
    for (given, tokens) in output.incentive.iter().zip(&tokens) {
        let exact = Fixed::from_ratio(*tokens, total);
        let distance = (given.to_bits() - exact.to_bits()).abs();
        assert!(distance <= 3, "{given:?} is {distance} units from {exact:?}");
    }
    assert!(output.consensus[1] == Fixed::ZERO, "one token of 10¹² is below one unit");
}

#[test]
fn bonds_close_in_on_the_scores() {
    // One validator, one worker: B = 1 − 0.9^n.
    let terms = YumaTerms::default();
    let mut bonds = Vec::new();
    for expected in [0.1, 0.19, 0.271, 0.3439] {
        bonds = run(&terms, &[7], &[vec![3]], &bonds).bonds;
        assert_close("bond", f64::from(bonds[0][0]) / 65_535.0, expected, 6e-5);
    }
}

#[test]
fn the_penalty_takes_from_bonds_what_the_majority_does_not_support() {
    // C puts all on worker 0, the majority half. Full penalty: 0.1 · 0.5, none: 0.1 · 1.
    let weights = [vec![1, 1], vec![1, 1], vec![1, 0]];
    for (bonds_penalty, expected) in [(65_535, 0.05), (0, 0.1), (32_768, 0.075)] {
        let terms = YumaTerms { bonds_penalty, ..YumaTerms::default() };
        let output = run(&terms, &[1, 1, 1], &weights, NO_BONDS);
        assert_close("bond", f64::from(output.bonds[2][0]) / 65_535.0, expected, 2e-5);
    }
}

#[test]
fn liquid_alpha_is_fast_for_who_is_ahead_and_slow_for_who_follows() {
    let liquid = LiquidAlpha { low: 6_553, high: 19_660, steepness_percent: 1_000 };
    let alpha = |consensus, score, bond| float(liquid_alpha(liquid, fixed(consensus), fixed(score), fixed(bond)));
    let curve = |d: f64| 0.1 + 0.2 / (1.0 + (-10.0 * (d - 0.5)).exp());
    assert_close("ahead of the others", alpha(0.0, 1.0, 0.0), curve(1.0), 2e-5);
    assert_close("with the others", alpha(1.0, 1.0, 0.0), curve(0.0), 2e-5);
    assert_close("letting go", alpha(0.9, 0.2, 0.7), curve(0.5), 2e-5);
    assert_close("below the others", alpha(0.9, 0.5, 0.1), curve(0.0), 2e-5);
}

#[test]
fn at_equal_score_and_bond_the_score_is_held_against_the_others() {
    let liquid = LiquidAlpha { low: 6_553, high: 19_660, steepness_percent: 1_000 };
    let half = fixed(0.5);
    let ahead = liquid_alpha(liquid, Fixed::ZERO, half, half);
    assert_close("middle of the curve", float(ahead), 0.2, 2e-5);
}

#[test]
fn who_has_no_stake_has_no_voice_even_if_all_must_agree() {
    let terms = YumaTerms { kappa: u16::MAX, ..YumaTerms::default() };
    let weights = [vec![0, 1], vec![1, 1], vec![1, 1], vec![1, 3]];
    let output = run(&terms, &[0, 1, 1, 1], &weights, NO_BONDS);
    assert_shares("consensus", &output.consensus, &[0.25, 0.5]);
    let none = run(&terms, &[0, 0, 0, 0], &weights, NO_BONDS);
    assert_shares("consensus", &none.consensus, &[0.0, 0.0]);
}

#[test]
fn original_bonds_of_one_column_are_shares_of_whole_numbers() {
    // 65535 : 1 is 2³² · 65535/65536 to 2³²/65536 units, with nothing lost.
    let terms = YumaTerms { rule: Rule::Original, bonds_moving_average_ppm: 1_000_000, ..YumaTerms::default() };
    let output = run(&terms, &[1, 1], &[vec![1], vec![1]], &[vec![65_535], vec![1]]);
    assert_eq!(output.dividends, [Fixed::from_bits(4_294_901_760), Fixed::from_bits(65_536)]);
}

#[test]
fn a_moving_average_by_pair_stays_between_nothing_and_one() {
    let one = |value| vec![vec![fixed(value)]];
    // 0.5 · 1 + 0.5 · 2 = 1.5; 0.5 · 1 + max(0, −1) = 0.5
    assert_eq!(ema_alpha(&one(2.0), &one(1.0), &one(0.5)), Ok(one(1.0)));
    assert_eq!(ema_alpha(&one(-2.0), &one(1.0), &one(0.5)), Ok(one(0.5)));
}

#[test]
fn stake_below_the_minimum_has_no_voice() {
    let terms = YumaTerms { stake_min: 100, ..YumaTerms::default() };
    let output = run(&terms, &[99, 100], &[vec![1, 0], vec![0, 1]], NO_BONDS);
    assert_shares("stake", &output.stake, &[0.0, 1.0]);
    assert_shares("incentive", &output.incentive, &[0.0, 1.0]);
    assert_shares("dividends", &output.dividends, &[0.0, 1.0]);
}

#[test]
fn the_original_form_does_not_look_at_the_liquid_alpha() {
    let liquid = LiquidAlpha { low: 40_000, high: 60_000, steepness_percent: 1_000 };
    let terms = YumaTerms { rule: Rule::Original, ..YumaTerms::default() };
    let with = YumaTerms { liquid_alpha: Some(liquid), ..terms.clone() };
    let (weights, bonds) = ([vec![1, 2], vec![3, 4]], [vec![65_535, 100], vec![7, 65_535]]);
    assert_eq!(run(&terms, &[1, 2], &weights, &bonds), run(&with, &[1, 2], &weights, &bonds));
}

#[test]
fn the_median_is_one_of_the_scores() {
    let scores = [fixed(0.3), fixed(0.1), fixed(0.2)];
    let stake = [fixed(0.25), fixed(0.5), fixed(0.25)];
    // Stake below 0.1, 0.2, 0.3 and at them: 0–0.5, 0.5–0.75, 0.75–1.
    for (minority, expected) in
        [(-0.1, 0.1), (0.0, 0.1), (0.49, 0.1), (0.5, 0.2), (0.74, 0.2), (0.75, 0.3), (1.0, 0.3), (7.0, 0.3)]
    {
        let median = weighted_median(&stake, &scores, fixed(minority)).expect("equal lengths");
        assert_eq!(median, fixed(expected), "minority {minority}");
    }
    assert_eq!(weighted_median(&[], &[], Fixed::ZERO), Ok(Fixed::ZERO));
}

#[test]
fn the_majority_is_a_share_of_the_stake_in_whatever_unit() {
    // 6 of 10 support 0.2 and more, 8 of 10 support 0.1 and more.
    let stake = [fixed(2.0), fixed(2.0), fixed(6.0)];
    let scores = fixed_rows(&[&[0.0], &[0.1], &[0.2]]);
    for (majority, expected) in [(0.5, 0.2), (0.7, 0.1), (0.9, 0.0)] {
        let consensus = weighted_median_columns(&stake, &scores, fixed(majority));
        assert_eq!(consensus, Ok(vec![fixed(expected)]), "majority {majority}");
    }
}

#[test]
fn tables_by_hand() {
    let mut table = fixed_rows(&[&[1.0, 0.0], &[3.0, 0.0]]);
    normalize_columns(&mut table).expect("equal rows");
    assert_eq!(table, fixed_rows(&[&[0.25, 0.0], &[0.75, 0.0]]));
    upscale_columns(&mut table).expect("equal rows");
    assert_close("third", float(table[0][0]), 1.0 / 3.0, 3e-10);
    assert_eq!((table[1][0], table[1][1]), (Fixed::ONE, Fixed::ZERO));
    let mut rows = fixed_rows(&[&[1.0, 3.0], &[0.0, 0.0]]);
    normalize_rows(&mut rows);
    assert_eq!(rows, fixed_rows(&[&[0.25, 0.75], &[0.0, 0.0]]));
    clip_columns(&mut rows, &[fixed(0.5), fixed(0.5)]).expect("two columns");
    assert_eq!(rows, fixed_rows(&[&[0.25, 0.5], &[0.0, 0.0]]));
    let (from, to) = (fixed_rows(&[&[0.0, 1.0]]), fixed_rows(&[&[1.0, 0.0]]));
    assert_eq!(interpolate(&from, &to, fixed(0.25)), Ok(fixed_rows(&[&[0.25, 0.75]])));
    assert_eq!(interpolate(&from, &to, Fixed::ZERO), Ok(from.clone()));
    assert_eq!(interpolate(&from, &to, Fixed::ONE), Ok(to.clone()));
    assert_eq!(ema(&to, &from, fixed(0.25)), Ok(fixed_rows(&[&[0.25, 0.75]])));
}

#[test]
fn exponentials_by_hand() {
    assert_eq!(exp(Fixed::ZERO), Fixed::ONE);
    assert_close("e", float(exp(Fixed::ONE)), std::f64::consts::E, 3e-10);
    assert_close("e^20", float(exp(fixed(20.0))), 485_165_195.409_790_3, 1e-6);
    assert_eq!(exp(fixed(-20.0)).to_bits(), 9);
}

#[test]
fn a_full_network_of_256_validators_and_4096_workers_is_computed() {
    let score = |i: u64, j: u64| 1 + (i * 31 + j * 17) % 1_000;
    let weights: Vec<Vec<u64>> = (0..256).map(|i| (0..4_096).map(|j| score(i, j)).collect()).collect();
    let stakes: Vec<u64> = (1..=256).collect();
    let liquid = LiquidAlpha { low: 45_875, high: 58_982, steepness_percent: 1_000 };
    let terms = YumaTerms { liquid_alpha: Some(liquid), ..YumaTerms::default() };
    let output = run(&terms, &stakes, &weights, NO_BONDS);
    let total: i64 = output.incentive.iter().map(|share| share.to_bits()).sum();
    assert!((0..=4_096).contains(&(Fixed::ONE.to_bits() - total)));
    assert!(output.dividends.iter().all(|share| *share > Fixed::ZERO));
}
