//! Wrong inputs get a named error; extreme ones get an answer.

use ledger::yuma::*;

use super::fixed;

fn refused(stakes: &[u64], weights: &[Vec<u64>], bonds: &[Vec<u16>], masks: Masks) -> YumaError {
    let terms = YumaTerms::default();
    let output = epoch(&YumaInput { terms: &terms, stakes, weights, bonds, masks });
    output.expect_err("a wrong input")
}

fn refused_terms(terms: YumaTerms) -> YumaError {
    let weights = [vec![1]];
    let masks = Masks::default();
    let output = epoch(&YumaInput { terms: &terms, stakes: &[1], weights: &weights, bonds: &[], masks });
    output.expect_err("wrong terms")
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let none = Masks::default;
    let table = [vec![1, 2], vec![3, 4]];
    let length = |what, expected, given| YumaError::Length { what, expected, given };
    let ragged = |what, row, expected, given| YumaError::Ragged { what, row, expected, given };
    assert_eq!(refused(&[1], &table, &[], none()), length("stakes", 2, 1));
    assert_eq!(refused(&[1], &[], &[], none()), length("stakes", 0, 1));
    assert_eq!(refused(&[1, 1], &[vec![1, 2], vec![3]], &[], none()), ragged("weights", 1, 2, 1));
    assert_eq!(refused(&[1, 1], &table, &[vec![0, 0]], none()), length("bonds", 2, 1));
    assert_eq!(refused(&[1, 1], &table, &[vec![0, 0], vec![0]], none()), ragged("bonds", 1, 2, 1));
    let masks = Masks { inactive: vec![true], ..none() };
    assert_eq!(refused(&[1, 1], &table, &[], masks), length("masks.inactive", 2, 1));
    let masks = Masks { forbidden: vec![true; 3], ..none() };
    assert_eq!(refused(&[1, 1], &table, &[], masks), length("masks.forbidden", 2, 3));
    let masks = Masks { scores: vec![vec![true; 2], vec![]], ..none() };
    assert_eq!(refused(&[1, 1], &table, &[], masks), ragged("masks.scores", 1, 2, 0));
    let masks = Masks { bonds: vec![true], ..none() };
    assert_eq!(refused(&[1, 1], &table, &[], masks), length("masks.bonds", 2, 1));
}

#[test]
fn formulas_refuse_what_the_epoch_refuses() {
    let (square, ragged) = (vec![vec![Fixed::ONE; 2]; 2], vec![vec![Fixed::ONE; 2], vec![Fixed::ONE]]);
    assert!(matches!(ema(&square, &ragged, Fixed::ONE), Err(YumaError::Ragged { row: 1, .. })));
    assert!(matches!(ema(&ragged, &square, Fixed::ONE), Err(YumaError::Ragged { .. })));
    assert!(matches!(ema_alpha(&square, &square, &ragged), Err(YumaError::Ragged { .. })));
    assert!(matches!(ema_alpha(&square, &square[..1], &square), Err(YumaError::Length { .. })));
    assert!(matches!(interpolate(&square, &[], Fixed::HALF), Err(YumaError::Length { .. })));
    assert!(normalize_columns(&mut ragged.clone()).is_err());
    assert!(upscale_columns(&mut ragged.clone()).is_err());
    assert!(clip_columns(&mut square.clone(), &[Fixed::ONE]).is_err());
    assert!(weighted_median(&[Fixed::ONE], &[], Fixed::ZERO).is_err());
    assert!(weighted_median_columns(&[Fixed::ONE; 2], &ragged, Fixed::HALF).is_err());
    assert!(weighted_median_columns(&[Fixed::ONE], &square, Fixed::HALF).is_err());
}

#[test]
fn calendars_that_do_not_fit_are_named() {
    let calendar = Calendar { last_update: vec![1; 2], registered: vec![0; 2], ..Calendar::default() };
    assert!(Masks::at(&calendar, &[]).is_ok());
    let length = |what, given| Err(YumaError::Length { what, expected: 2, given });
    assert_eq!(Masks::at(&calendar, &[true]), length("permitted", 1));
    let short = Calendar { registered: vec![0], ..calendar.clone() };
    assert_eq!(Masks::at(&short, &[]), length("registered", 1));
    let long = Calendar { committed: vec![None; 3], ..calendar };
    assert_eq!(Masks::at(&long, &[]), length("committed", 3));
}

#[test]
fn terms_outside_their_bounds_are_named() {
    let good = YumaTerms::default();
    let given = 1_000_001;
    assert_eq!(
        refused_terms(YumaTerms { bonds_moving_average_ppm: given, ..good.clone() }),
        YumaError::MovingAverage { limit: 1_000_000, given }
    );
    let liquid = LiquidAlpha { low: 2, high: 1, steepness_percent: 0 };
    assert_eq!(
        refused_terms(YumaTerms { liquid_alpha: Some(liquid), ..good }),
        YumaError::AlphaBounds { low: 2, high: 1 }
    );
    let one_speed = LiquidAlpha { low: 1, high: 1, steepness_percent: 0 };
    assert_eq!(YumaTerms { liquid_alpha: Some(one_speed), ..YumaTerms::default() }.check(), Ok(()));
    let unknown = r#"{"rule":"yuma3","kappa":1,"bonds_penalty":0,"bonds_moving_average_ppm":0,
        "liquid_alpha":null,"stake_min":0,"tempo":360}"#;
    assert!(serde_json::from_str::<YumaTerms>(unknown).is_err());
}

#[test]
fn too_large_a_network_is_refused_before_anything_is_made() {
    let weights = vec![vec![0u64; 1 << 13]; (1 << 9) + 1];
    let (limit, given) = (CELLS_MAX, weights.len() << 13);
    let stakes = vec![1; weights.len()];
    assert_eq!(refused(&stakes, &weights, &[], Masks::default()), YumaError::TooManyScores { limit, given });
    // One row less is not too large: the next check is reached.
    let error = refused(&[], &weights[1..], &[], Masks::default());
    assert_eq!(error, YumaError::Length { what: "stakes", expected: 512, given: 0 });
}

#[test]
fn nothing_to_go_by_gives_no_shares() {
    for rule in [Rule::Yuma3, Rule::Original] {
        let liquid = LiquidAlpha { low: 6_553, high: 19_660, steepness_percent: 1_000 };
        let terms = YumaTerms { rule, liquid_alpha: Some(liquid), ..YumaTerms::default() };
        let cases: [(&[u64], &[Vec<u64>]); 5] = [
            (&[], &[]),                                                   // nobody
            (&[1, 2], &[vec![], vec![]]),                                 // no workers
            (&[0, 0], &[vec![1, 2], vec![3, 4]]),                         // no stake
            (&[1, 2], &[vec![0, 0], vec![0, 0]]),                         // no scores
            (&[5, 4, 4], &[vec![1, 0, 0], vec![0, 1, 0], vec![0, 0, 1]]), // no agreement
        ];
        for (stakes, weights) in cases {
            let masks = Masks::default();
            let input = YumaInput { terms: &terms, stakes, weights, bonds: &[], masks };
            let output = epoch(&input).expect("a sound input");
            assert!(output.incentive.iter().all(|share| *share == Fixed::ZERO));
            assert!(output.dividends.iter().all(|share| *share == Fixed::ZERO));
            // What nobody earned goes by stake, if there is any.
            let paid: u64 = emission(&output, 1_000).validators.iter().sum();
            assert!(paid <= 1_000 && (paid > 990 || stakes.iter().sum::<u64>() == 0));
        }
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let (stakes, weights) = ([u64::MAX; 3], vec![vec![u64::MAX; 4]; 3]);
    let bonds = vec![vec![u16::MAX; 4]; 3];
    for rule in [Rule::Yuma3, Rule::Original] {
        for steepness_percent in [i16::MIN, -1, 0, i16::MAX] {
            for (kappa, bonds_penalty) in [(0, 0), (u16::MAX, u16::MAX), (0, 1), (u16::MAX, 65_534)] {
                let liquid = LiquidAlpha { low: 0, high: u16::MAX, steepness_percent };
                let terms = YumaTerms {
                    rule,
                    kappa,
                    bonds_penalty,
                    bonds_moving_average_ppm: 1_000_000,
                    liquid_alpha: Some(liquid),
                    stake_min: u64::MAX,
                };
                let masks = Masks::default();
                let input = YumaInput { terms: &terms, stakes: &stakes, weights: &weights, bonds: &bonds, masks };
                let output = epoch(&input).expect("a sound input");
                assert!(output.incentive.iter().all(|share| share.share_of(4_000_000).abs_diff(1_000_000) <= 1));
                assert!(output.dividends.iter().all(|share| share.share_of(3_000_000).abs_diff(1_000_000) <= 1));
                let paid = emission(&output, u64::MAX);
                let total: u128 = paid.workers.iter().chain(&paid.validators).map(|p| u128::from(*p)).sum();
                assert!(total <= u128::from(u64::MAX));
            }
        }
    }
}

#[test]
fn numbers_end_at_the_ends_of_their_range() {
    let (max, min, one) = (Fixed::MAX, Fixed::MIN, Fixed::ONE);
    assert_eq!((max.plus(one), min.minus(one)), (max, min));
    assert_eq!((max.times(max), max.times(min), min.times(min)), (max, min, max));
    let unit = Fixed::from_bits(1);
    assert_eq!((max.over(unit), min.over(unit), one.over(Fixed::ZERO)), (max, min, Fixed::ZERO));
    assert_eq!((Fixed::from_integer(i64::MAX), Fixed::from_integer(i64::MIN)), (max, min));
    assert_eq!((Fixed::from_ratio(u64::MAX, 1), Fixed::from_ratio(1, 0)), (max, Fixed::ZERO));
    assert_eq!((max.to_u16(), min.to_u16()), (u16::MAX, 0));
    assert_eq!((max.share_of(u64::MAX), min.share_of(7)), (u64::MAX, 0));
    assert_eq!((exp(max), exp(min)), (exp(fixed(20.0)), exp(fixed(-20.0))));
    assert_eq!(sigmoid(min, max, max), one.over(exp(max).plus(one)));
    let mut values = [max, max];
    normalize(&mut values);
    assert_eq!(values, [one, one], "a sum at the end of the range divides wrongly, but gives a number");
    let (wide, old) = (vec![vec![max]], vec![vec![min]]);
    assert_eq!(ema(&wide, &old, max), Ok(vec![vec![max]]));
    // (1 − max) · max ends at the low end, max · max at the high end: one unit below zero.
    assert_eq!(ema_alpha(&wide, &wide, &wide), Ok(vec![vec![Fixed::from_bits(-1)]]));
}
