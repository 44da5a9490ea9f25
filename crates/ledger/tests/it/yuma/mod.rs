//! Yuma consensus against the reference, by hand, at random and with wrong inputs.

mod by_hand;
mod chain;
mod model;
mod properties;
mod refusals;
mod vectors;

use ledger::yuma::{Fixed, LiquidAlpha, YumaTerms};

/// One unit of [`Fixed`] as a float.
const UNIT: f64 = 1.0 / 4_294_967_296.0;

/// The fixed-point number below a float.
fn fixed(value: f64) -> Fixed {
    Fixed::from_bits((value / UNIT).floor() as i64)
}

fn fixed_rows(rows: &[&[f64]]) -> Vec<Vec<Fixed>> {
    rows.iter().map(|row| row.iter().map(|value| fixed(*value)).collect()).collect()
}

fn float(value: Fixed) -> f64 {
    value.to_bits() as f64 * UNIT
}

#[track_caller]
fn assert_close(what: &str, given: f64, expected: f64, tolerance: f64) {
    assert!((given - expected).abs() <= tolerance, "{what}: {given} is further than {tolerance} from {expected}");
}

/// The terms under which the chain's tests of Yuma 3 run.
fn yuma3_terms(liquid: bool) -> YumaTerms {
    // 0.1 and 0.3 in 65535ths, rounded down.
    let liquid_alpha = LiquidAlpha { low: 6_553, high: 19_660, steepness_percent: 1_000 };
    YumaTerms {
        bonds_penalty: 0,
        bonds_moving_average_ppm: 975_000,
        liquid_alpha: liquid.then_some(liquid_alpha),
        ..YumaTerms::default()
    }
}
