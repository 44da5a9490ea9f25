//! The value of digits with thousands marks and a decimal mark.
//!
//! Promise: what can be read in two ways is not read; digits and exponents are counted before
//! memory is taken.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Pow, Zero};

/// The most digits of one number.
pub(crate) const MAX_DIGITS: usize = 1024;
/// The largest power of ten, up or down, that a number is multiplied with.
pub(crate) const MAX_EXPONENT: u32 = 1024;
/// The most bits of the numerator or denominator of a power.
pub(crate) const MAX_POWER_BITS: u64 = 16_384;

/// A number as it is written: digits, and whether some stand behind a decimal mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) value: BigRational,
    pub(crate) decimal: bool,
}

/// Reads groups of ASCII digits with one mark between each two: `1`, `,`, `234`, `.`, `5`.
/// The first group may be empty if a point follows.
///
/// - thousands: groups of three behind one of one to three (or India's `12,34,567`), marked by
///   `,` `'` `_` or a blank throughout, or by `.` if there are at least two or a decimal `,` follows
/// - decimals: behind the last `.`, or behind a `,` that cannot mark thousands
/// - within brackets a comma may separate a pair, so there it marks nothing
pub(crate) fn read(groups: &[&str], marks: &[char], in_brackets: bool) -> Option<Written> {
    if groups.iter().map(|group| group.len()).sum::<usize>() > MAX_DIGITS || in_brackets && marks.contains(&',') {
        return None;
    }
    let (&last, before) = match marks {
        [] => return whole(groups).map(|value| Written { value, decimal: false }),
        [before @ .., last] => (last, before),
    };
    let uniform = before.iter().all(|mark| Some(mark) == before.first());
    if !uniform {
        return None;
    }
    let (front, fraction) = groups.split_at(groups.len() - 1);
    let thousands = are_thousands(groups, last);
    match (before.first(), last) {
        (None, '.') => decimal(front, fraction[0]),
        (None, ',') if !thousands && is_decimal_comma(front[0], fraction[0]) => decimal(front, fraction[0]),
        (Some('.'), ',') if are_thousands(front, '.') => decimal(front, fraction[0]),
        (Some(' '), ',') if are_thousands(front, ' ') => decimal(front, fraction[0]),
        (Some(&mark), '.') if mark != '.' && are_thousands(front, mark) => decimal(front, fraction[0]),
        (None, _) if thousands => whole(groups).map(|value| Written { value, decimal: false }),
        (Some(&mark), _) if mark == last && thousands => whole(groups).map(|value| Written { value, decimal: false }),
        _ => None,
    }
}

fn are_thousands(groups: &[&str], mark: char) -> bool {
    let [first, middle @ .., last] = groups else { return false };
    let threes = middle.iter().all(|group| group.len() == 3);
    let lakhs = mark == ',' && first.len() < 3 && middle.iter().all(|group| group.len() == 2);
    let threes = threes && first.len() <= 3;
    !first.is_empty() && !first.starts_with('0') && last.len() == 3 && (threes || lakhs)
}

/// `3,5` and `0,125` have one reading; `1234,567` may be either.
fn is_decimal_comma(whole: &str, fraction: &str) -> bool {
    let plain = whole == "0" || !whole.starts_with('0') && !whole.is_empty();
    plain && (fraction.len() != 3 || whole == "0")
}

fn whole(groups: &[&str]) -> Option<BigRational> {
    let digits = groups.concat();
    Some(BigRational::from_integer(BigInt::parse_bytes(digits.as_bytes(), 10)?))
}

/// `value = digits / 10^n`, n the number of digits behind the mark.
fn decimal(front: &[&str], fraction: &str) -> Option<Written> {
    let digits = front.concat() + fraction;
    let numerator = BigInt::parse_bytes(digits.as_bytes(), 10)?;
    let value = BigRational::new(numerator, Pow::pow(BigInt::from(10), fraction.len()));
    Some(Written { value, decimal: true })
}

/// `value · 10^exponent`; `None` beyond [`MAX_EXPONENT`].
pub(crate) fn scale(value: &BigRational, negative: bool, exponent: &str) -> Option<BigRational> {
    let exponent: u32 = exponent.parse().ok().filter(|&exponent| exponent <= MAX_EXPONENT)?;
    let power = BigRational::from_integer(Pow::pow(BigInt::from(10), exponent));
    Some(if negative { value / power } else { value * power })
}

/// `base^exponent`; `None` for `0^-n` and if the result has more than [`MAX_POWER_BITS`].
pub(crate) fn power(base: &BigRational, negative: bool, exponent: &BigInt) -> Option<BigRational> {
    if base.is_one() || exponent.is_zero() {
        // 0^0 has no agreed value
        return (!base.is_zero()).then(BigRational::one);
    }
    let exponent = u32::try_from(exponent).ok()?;
    let bits = base.numer().bits().max(base.denom().bits());
    if bits * u64::from(exponent) > MAX_POWER_BITS || negative && base.is_zero() {
        return None;
    }
    let power: BigRational = Pow::pow(base, exponent);
    Some(if negative { power.recip() } else { power })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digits with marks, cut at whatever is no digit.
    fn value(text: &str, in_brackets: bool) -> Option<String> {
        let groups: Vec<&str> = text.split(|c: char| !c.is_ascii_digit()).collect();
        let marks: Vec<char> = text.chars().filter(|c| !c.is_ascii_digit()).collect();
        read(&groups, &marks, in_brackets).map(|written| written.value.to_string())
    }

    #[test]
    fn marks_are_read_where_they_have_one_reading() {
        for (text, number) in [
            ("42", "42"),
            ("0042", "42"),
            ("1,234", "1234"),
            ("1,234,567.5", "2469135/2"),
            ("12,34,567", "1234567"),
            ("1 000 000", "1000000"),
            ("1'000'000", "1000000"),
            ("1_000", "1000"),
            ("1.234.567", "1234567"),
            ("1.234,5", "2469/2"),
            ("1 234,5", "2469/2"),
            ("3,5", "7/2"),
            ("0,125", "1/8"),
            (".5", "1/2"),
            ("1.000", "1"),
        ] {
            assert_eq!(value(text, false).as_deref(), Some(number), "{text}");
        }
    }

    #[test]
    fn what_has_two_readings_or_none_is_not_read() {
        for text in
            ["1.2.3", "1,2,3", "1234,567", "1 2", "12 34", "1,23,45", "0,000,000", "1,234 567", "1'5", "1.234,5,6"]
        {
            assert_eq!(value(text, false), None, "{text}");
        }
        assert_eq!(value("3,5", true), None);
        assert_eq!(value("1,000", true), None);
        assert_eq!(value(&"9".repeat(MAX_DIGITS + 1), false), None);
    }

    #[test]
    fn powers_and_exponents_beyond_their_limits_have_no_value() {
        let two = BigRational::from_integer(2.into());
        assert_eq!(scale(&two, false, "999999999"), None);
        assert_eq!(scale(&two, false, "99999999999999999999"), None);
        assert_eq!(power(&two, false, &BigInt::from(u64::MAX)), None);
        assert_eq!(power(&two, true, &BigInt::from(3)), Some(BigRational::new(1.into(), 8.into())));
        assert_eq!(power(&BigRational::zero(), true, &BigInt::from(1)), None);
    }
}
