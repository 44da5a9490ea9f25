//! Amounts of ESM as people write them.
//!
//! Promise: what [`format()`] prints, [`parse`] reads back as the same number.
//! Never: rounds; an amount with more than six decimals is refused.

use thiserror::Error;

/// Decimals of the token: one ESM is `10^6` of the smallest unit, micro-ESM.
pub const DECIMALS: u32 = 6;
/// Micro-ESM in one ESM.
pub const ONE_ESM: u64 = ledger::ESM;

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnitsError {
    /// Something other than digits with at most one point, and the unit ESM or none.
    #[error("`{given}` is no amount; write it as 12.5 or as 12.5 ESM")]
    NotANumber {
        /// The text.
        given: String,
    },
    /// Finer than the token can be divided.
    #[error("`{given}` has {decimals} decimals; ESM has {DECIMALS}")]
    TooFine {
        /// The text.
        given: String,
        /// Decimals that it has.
        decimals: usize,
    },
    /// More than the largest amount that can be held.
    #[error("`{given}` is more than {} ESM", u64::MAX / ONE_ESM)]
    TooLarge {
        /// The text.
        given: String,
    },
}

/// Micro-ESM of a text such as `12`, `12.5`, `12.5 ESM`.
pub fn parse(text: &str) -> Result<u64, UnitsError> {
    let given = || text.chars().take(40).collect::<String>();
    let number = text.trim();
    let number = strip_unit(number).unwrap_or(number).trim_end();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let pointless = number.ends_with('.') || whole.is_empty();
    if pointless || !digits(whole) || !digits(fraction) {
        return Err(UnitsError::NotANumber { given: given() });
    }
    if fraction.len() > DECIMALS as usize {
        return Err(UnitsError::TooFine { given: given(), decimals: fraction.len() });
    }
    let scaled = format!("{whole}{fraction:0<width$}", width = DECIMALS as usize);
    scaled.parse().map_err(|_| UnitsError::TooLarge { given: given() })
}

fn strip_unit(number: &str) -> Option<&str> {
    let start = number.len().checked_sub(3)?;
    let (number, unit) = number.split_at_checked(start)?;
    unit.eq_ignore_ascii_case("esm").then_some(number)
}

/// `12500000` as `12.5 ESM`: no decimals that say nothing.
pub fn format(micro: u64) -> String {
    let (whole, fraction) = (micro / ONE_ESM, micro % ONE_ESM);
    let decimals = format!("{fraction:0width$}", width = DECIMALS as usize);
    match decimals.trim_end_matches('0') {
        "" => format!("{whole} ESM"),
        decimals => format!("{whole}.{decimals} ESM"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_may_leave_out_the_unit_and_the_zeros() {
        assert_eq!(parse("12"), Ok(12_000_000));
        assert_eq!(parse(" 12.5 ESM "), Ok(12_500_000));
        assert_eq!(parse("0.000001esm"), Ok(1));
        assert_eq!(format(12_500_000), "12.5 ESM");
        assert_eq!(format(1), "0.000001 ESM");
        assert_eq!(format(0), "0 ESM");
    }

    #[test]
    fn what_is_no_amount_is_refused_with_its_reason() {
        for text in ["", ".", "1.", ".5", "ESM", "-1", "+1", "1e3", "1,5", "1.2.3", "1_000", "٣", "1 ETH", "0x10"] {
            assert_eq!(parse(text), Err(UnitsError::NotANumber { given: text.into() }), "{text:?}");
        }
        assert_eq!(parse("1.0000001"), Err(UnitsError::TooFine { given: "1.0000001".into(), decimals: 7 }));
        assert_eq!(parse("18446744073709.551615"), Ok(u64::MAX));
        assert_eq!(
            parse("18446744073709.551616").unwrap_err().to_string(),
            "`18446744073709.551616` is more than 18446744073709 ESM"
        );
    }

    #[test]
    fn one_esm_is_the_ledgers_and_has_the_tokens_decimals() {
        assert_eq!(ONE_ESM, ledger::ESM);
        assert_eq!(ONE_ESM, 10u64.pow(DECIMALS));
    }

    proptest! {
        #[test]
        fn a_printed_amount_reads_back(micro: u64) {
            prop_assert_eq!(parse(&format(micro)), Ok(micro));
        }

        #[test]
        fn no_text_is_too_strange_to_be_refused(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
