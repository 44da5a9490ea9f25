//! The numbers that the tests of the chain itself assert (`vectors.json`, and those written below).
//!
//! Source: github.com/opentensor/subtensor, commit 14bc6f9f, its tests of the epoch and of the maths.

use ledger::yuma::*;
use serde_json::Value;

use super::{assert_close, fixed, fixed_rows, float, yuma3_terms};

/// The expected numbers have four decimals (5e-5); bonds are kept in 65535ths, rounded down, which
/// loses up to 1.5e-5 in each epoch. The chain itself allows 1e-3.
const TOLERANCE: f64 = 1e-4;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors.json")).expect("the fixture is JSON")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

fn floats(value: &Value) -> Vec<f64> {
    list(value).iter().map(|value| value.as_f64().expect("a number")).collect()
}

fn whole(value: &Value) -> Vec<u64> {
    list(value).iter().map(|value| value.as_u64().expect("a whole number")).collect()
}

/// Runs one of the Yuma 3 cases; gives the largest distance from the expected numbers.
fn largest_error(case: &Value, terms: &YumaTerms) -> f64 {
    let stakes = whole(&case["stakes"]);
    let mut bonds = Vec::new();
    let mut error = 0f64;
    for (epoch_index, weights) in list(&case["weights_per_epoch"]).iter().enumerate() {
        let weights: Vec<Vec<u64>> = list(weights).iter().map(whole).collect();
        let masks = Masks::default();
        let input = YumaInput { terms, stakes: &stakes, weights: &weights, bonds: &bonds, masks };
        let output = epoch(&input).expect("a sound input");
        let expected_bonds = list(&case["expected_bonds_servers"][epoch_index]);
        for (row, expected) in output.bonds.iter().zip(expected_bonds) {
            for (bond, expected) in row.iter().zip(floats(expected)) {
                error = error.max((f64::from(*bond) / 65_535.0 - expected).abs());
            }
        }
        let expected = floats(&case["expected_dividends"][epoch_index]);
        for (dividend, expected) in output.dividends.iter().zip(expected) {
            error = error.max((float(*dividend) - expected).abs());
        }
        bonds = output.bonds;
    }
    error
}

fn yuma3_case(name: &str) -> Value {
    let vectors = vectors();
    let case = list(&vectors["yuma3"]).iter().find(|case| case["test"] == name);
    case.expect("the fixture has this case").clone()
}

fn passes(name: &str) {
    let case = yuma3_case(name);
    let liquid = case["liquid_alpha"].as_bool().expect("yes or no");
    assert_close(name, largest_error(&case, &yuma3_terms(liquid)), 0.0, TOLERANCE);
}

#[test]
fn the_largest_validator_moves_first() {
    passes("test_yuma_3_kappa_moves_first");
}

#[test]
fn the_largest_validator_moves_last() {
    passes("test_yuma_3_kappa_moves_last");
}

#[test]
fn bonds_move_at_one_speed_without_the_liquid_alpha() {
    passes("test_yuma_3_liquid_alpha_disabled");
}

#[test]
fn the_largest_validator_moves_second() {
    // Stakes 8/1/1; B turns to the second server in epoch 1, A in epoch 2, C in epoch 3.
    let (x, y) = (vec![1, 0], vec![0, 1]);
    let turned = [[0, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 1], [1, 1, 1], [1, 1, 1]];
    let expected = [
        [0.8, 0.1, 0.1],
        [0.8446, 0.0498, 0.1056],
        [0.6868, 0.3132, 0.0],
        [0.7421, 0.2090, 0.0489],
        [0.7625, 0.1706, 0.0669],
        [0.7730, 0.1508, 0.0762],
    ];
    let terms = yuma3_terms(true);
    let mut bonds = Vec::new();
    for (turned, expected) in turned.iter().zip(expected) {
        let row = |turned: &i32| if *turned == 1 { y.clone() } else { x.clone() };
        let weights: Vec<Vec<u64>> = turned.iter().map(row).collect();
        let (stakes, masks) = (&[8, 1, 1], Masks::default());
        let input = YumaInput { terms: &terms, stakes, weights: &weights, bonds: &bonds, masks };
        let output = epoch(&input).expect("a sound input");
        for (dividend, expected) in output.dividends.iter().zip(expected) {
            assert_close("dividend", float(*dividend), expected, TOLERANCE);
        }
        bonds = output.bonds;
    }
}

#[test]
fn other_terms_miss_the_reference() {
    // So the cases above can tell one formula from another.
    let case = yuma3_case("test_yuma_3_kappa_moves_first");
    let sound = yuma3_terms(true);
    let alpha = LiquidAlpha { low: 6_553, high: 19_660, steepness_percent: 900 };
    let wrong = [
        YumaTerms { kappa: 6_000, ..sound.clone() },
        YumaTerms { bonds_penalty: 32_767, ..sound.clone() },
        YumaTerms { liquid_alpha: None, ..sound.clone() },
        YumaTerms { liquid_alpha: Some(alpha), ..sound.clone() },
        YumaTerms { liquid_alpha: Some(LiquidAlpha { low: 6_900, ..alpha }), ..sound.clone() },
        YumaTerms { rule: Rule::Original, ..sound.clone() },
    ];
    for terms in wrong {
        assert!(largest_error(&case, &terms) > 10.0 * TOLERANCE, "{terms:?} fits as well");
    }
}

/// Members 0..4 validate, 4..8 work; all scores are `[0,0,0,0, 16383, 32767, 49149, 65535]`.
struct OriginalBonds {
    terms: YumaTerms,
    weights: Vec<Vec<u64>>,
    bonds: Vec<Vec<u16>>,
}

impl OriginalBonds {
    const STAKES: [u64; 8] = [1, 2, 3, 4, 0, 0, 0, 0];

    fn new() -> Self {
        let row = vec![0, 0, 0, 0, 16_383, 32_767, 49_149, 65_535];
        let weights = (0..8).map(|i| if i < 4 { row.clone() } else { vec![0; 8] }).collect();
        let terms = YumaTerms { rule: Rule::Original, ..YumaTerms::default() };
        Self { terms, weights, bonds: Vec::new() }
    }

    /// The validator scores itself alone, which is left out.
    fn retire(&mut self, validator: usize) {
        self.weights[validator] = vec![0; 8];
        self.weights[validator][validator] = 65_535;
    }

    fn epoch(&mut self) -> YumaOutput {
        let calendar = Calendar {
            block: 1,
            last_update: vec![1; 8],
            registered: vec![0; 8],
            bonds_since: 1,
            ..Calendar::default()
        };
        let masks = Masks::at(&calendar, &[]).expect("a sound calendar");
        let output = epoch(&YumaInput {
            terms: &self.terms,
            stakes: &Self::STAKES,
            weights: &self.weights,
            bonds: &self.bonds,
            masks,
        });
        let output = output.expect("a sound input");
        self.bonds = output.bonds.clone();
        output
    }
}

#[test]
fn original_bonds_agree_to_the_last_bit() {
    let asserted = vectors()["original"]["asserted_bonds_u16"].clone();
    let mut case = OriginalBonds::new();
    for (epoch_index, asserted) in list(&asserted).iter().enumerate() {
        match epoch_index {
            1..=3 => case.retire(epoch_index - 1),
            4 => {
                case.weights[2] = vec![0; 8];
                case.weights[2][7] = 65_535;
            }
            _ => {}
        }
        let output = case.epoch();
        let column = asserted["col"].as_u64().expect("a column") as usize;
        let given: Vec<u64> = (0..4).map(|validator| u64::from(output.bonds[validator][column])).collect();
        assert_eq!(given, whole(&asserted["v"]), "epoch {epoch_index}");
    }
}

#[test]
fn original_shares_and_emission_agree() {
    let expected = vectors()["original"]["epoch0"].clone();
    let output = OriginalBonds::new().epoch();
    // The reference prints ten decimals.
    for (what, given, expected) in [
        ("consensus", &output.consensus, floats(&expected["C"])),
        ("incentive", &output.incentive, floats(&expected["I"])),
        ("dividends", &output.dividends, floats(&expected["D"])),
    ] {
        for (given, expected) in given.iter().zip(expected) {
            assert_close(what, float(*given), expected, 1e-9);
        }
    }
    // The reference counts all members in one list: validators first, then workers.
    assert_eq!(emission(&output, 1_000_000_000).members, whole(&expected["E_rao_of_1e9"]));
}

#[test]
fn weighted_median_takes_the_column_that_the_majority_supports() {
    let tables: [(&[f64], &[&[f64]]); 2] = [
        (&[0.0, 0.75, 0.25, 0.0], &[&[0., 0.1, 0.], &[0., 0.2, 0.4], &[0., 0.3, 0.1], &[0., 0.4, 0.5]]),
        (&[0.0, 0.3, 0.2, 0.5], &[&[0., 0.1, 0.], &[0., 0.2, 0.4], &[0., 0.3, 0.1], &[0., 0., 0.5]]),
    ];
    let cases: [(usize, f64, [f64; 3]); 4] = [
        (0, 0.24, [0.0, 0.3, 0.4]),
        (0, 0.26, [0.0, 0.2, 0.4]),
        (0, 0.76, [0.0, 0.2, 0.1]),
        (1, 0.51, [0.0, 0.0, 0.4]),
    ];
    for (table, majority, expected) in cases {
        let (stake, scores) = tables[table];
        let stake: Vec<Fixed> = stake.iter().map(|stake| fixed(*stake)).collect();
        let given = weighted_median_columns(&stake, &fixed_rows(scores), fixed(majority));
        let expected: Vec<Fixed> = expected.iter().map(|score| fixed(*score)).collect();
        assert_eq!(given.expect("a sound table"), expected, "majority {majority}");
    }
}

#[test]
fn moving_average_with_a_speed_for_each_pair() {
    let new = fixed_rows(&[&[0.1, 0.2], &[0.3, 0.4]]);
    let old = fixed_rows(&[&[0.5, 0.6], &[0.7, 0.8]]);
    let alpha = fixed_rows(&[&[0.9, 0.8], &[0.5, 0.7]]);
    let given = ema_alpha(&new, &old, &alpha).expect("equal shapes");
    for (given, expected) in given.iter().flatten().zip([0.14, 0.28, 0.50, 0.52]) {
        assert_close("average", float(*given), expected, 1e-9);
    }
}

#[test]
fn sigmoid_agrees() {
    // The reference converts its arguments from 32-bit floats.
    let at = |x: f32| float(sigmoid(fixed(f64::from(x)), fixed(40.0), fixed(0.5)));
    assert_close("at 0.4", at(0.4), 0.017_986_214, 1e-9);
    assert_close("at 0.6", at(0.6), 0.982_013_806_7, 1e-9);
}

#[test]
fn an_idle_validator_loses_bonds_and_gets_them_back_slowly() {
    let terms = YumaTerms { rule: Rule::Original, ..YumaTerms::default() };
    let (stakes, weights) = ([1, 1], vec![vec![1, 1], vec![1, 1]]);
    let run = |bonds: &[Vec<u16>], inactive: Vec<bool>| {
        let masks = Masks { inactive, ..Masks::default() };
        epoch(&YumaInput { terms: &terms, stakes: &stakes, weights: &weights, bonds, masks }).expect("a sound input")
    };
    let both = run(&[], Vec::new());
    assert_eq!(both.bonds, [[65_535, 65_535], [65_535, 65_535]]);
    // 0.9 · 0.5 + 0.1 · [1, 0] = [0.55, 0.45]; 0.45 / 0.55 · 65535 = 53619.5
    let one = run(&both.bonds, vec![false, true]);
    assert_eq!(one.dividends[0].to_u16(), 36_044);
    assert_eq!(one.bonds, [[65_535, 65_535], [53_619, 53_619]]);
    // 0.9 · [0.55, 0.45] + 0.1 · 0.5 = [0.545, 0.455]
    let again = run(&one.bonds, Vec::new());
    assert_eq!(again.dividends.iter().map(|d| d.to_u16()).collect::<Vec<_>>(), [35_716, 29_818]);
    assert_eq!(again.bonds, [[65_535, 65_535], [54_712, 54_712]]);
}
