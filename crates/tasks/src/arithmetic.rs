//! Evaluates `+ - * /` expressions over whole numbers, exactly, within limits.
//!
//! Promise: never panics, never loops long: length, depth and size of numbers are bounded, and
//! anything outside the grammar or the bounds is `None`.

/// The longest expression, in bytes.
pub(crate) const MAX_EXPRESSION_BYTES: usize = 256;
/// The deepest nesting of brackets and signs.
const MAX_DEPTH: usize = 32;
/// The largest number that may be written down.
const MAX_NUMBER: u64 = 1_000_000_000;

/// `numerator / denominator` in lowest terms, `denominator > 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fraction {
    numerator: i128,
    denominator: i128,
}

impl Fraction {
    pub(crate) fn whole(value: u64) -> Self {
        Self { numerator: i128::from(value), denominator: 1 }
    }

    fn new(numerator: i128, denominator: i128) -> Option<Self> {
        if denominator == 0 {
            return None;
        }
        // denominator != 0, so the divisor is not 0
        let divisor = gcd(numerator.checked_abs()?, denominator.checked_abs()?);
        let divisor = if denominator < 0 { -divisor } else { divisor };
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    fn apply(self, operator: u8, right: Self) -> Option<Self> {
        let (a, b) = (self.numerator, self.denominator);
        let (c, d) = (right.numerator, right.denominator);
        match operator {
            b'+' => Self::new(a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?, b.checked_mul(d)?),
            b'-' => Self::new(a.checked_mul(d)?.checked_sub(c.checked_mul(b)?)?, b.checked_mul(d)?),
            b'*' => Self::new(a.checked_mul(c)?, b.checked_mul(d)?),
            _ => Self::new(a.checked_mul(d)?, b.checked_mul(c)?),
        }
    }
}

fn gcd(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The value of the expression and the numbers it is made of, in order of appearance.
///
/// ```text
/// sum     = product { ("+" | "-") product }
/// product = factor { ("*" | "/") factor }
/// factor  = number | "-" factor | "(" sum ")"
/// ```
pub(crate) fn evaluate(text: &str) -> Option<(Fraction, Vec<u64>)> {
    if text.len() > MAX_EXPRESSION_BYTES {
        return None;
    }
    let mut parser = Parser { rest: text.as_bytes(), numbers: Vec::new() };
    let value = parser.sum(0)?;
    parser.skip_blanks();
    parser.rest.is_empty().then_some((value, parser.numbers))
}

struct Parser<'a> {
    rest: &'a [u8],
    numbers: Vec<u64>,
}

impl Parser<'_> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Takes the next byte if it is one of `wanted`.
    fn take(&mut self, wanted: &[u8]) -> Option<u8> {
        self.skip_blanks();
        let (&first, rest) = self.rest.split_first()?;
        wanted.contains(&first).then(|| {
            self.rest = rest;
            first
        })
    }

    fn sum(&mut self, depth: usize) -> Option<Fraction> {
        let mut value = self.product(depth)?;
        while let Some(operator) = self.take(b"+-") {
            value = value.apply(operator, self.product(depth)?)?;
        }
        Some(value)
    }

    fn product(&mut self, depth: usize) -> Option<Fraction> {
        let mut value = self.factor(depth)?;
        while let Some(operator) = self.take(b"*/") {
            value = value.apply(operator, self.factor(depth)?)?;
        }
        Some(value)
    }

    fn factor(&mut self, depth: usize) -> Option<Fraction> {
        if depth == MAX_DEPTH {
            return None;
        }
        match self.take(b"-(") {
            Some(b'-') => Fraction::whole(0).apply(b'-', self.factor(depth + 1)?),
            Some(_) => {
                let value = self.sum(depth + 1)?;
                self.take(b")").map(|_| value)
            }
            None => self.number(),
        }
    }

    fn number(&mut self) -> Option<Fraction> {
        let len = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(len);
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        self.rest = rest;
        self.numbers.push(number);
        (number <= MAX_NUMBER).then(|| Fraction::whole(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<(i128, i128)> {
        evaluate(text).map(|(value, _)| (value.numerator, value.denominator))
    }

    #[test]
    fn products_bind_closer_than_sums_and_equals_go_from_left_to_right() {
        assert_eq!(value("2+3*4"), Some((14, 1)));
        assert_eq!(value("20-5-3"), Some((12, 1)));
        assert_eq!(value("8 / 4 / 2"), Some((1, 1)));
        assert_eq!(value("-(2-5)*2"), Some((6, 1)));
    }

    #[test]
    fn division_is_exact_so_thirds_add_up_again() {
        assert_eq!(value("7/3"), Some((7, 3)));
        assert_eq!(value("8/(3-8/3)"), Some((24, 1)));
        assert_eq!(value("1/(2-3)"), Some((-1, 1)));
    }

    #[test]
    fn what_is_no_expression_or_out_of_bounds_has_no_value() {
        let deep = format!("{}1{}", "(".repeat(40), ")".repeat(40));
        let long = "1+".repeat(200) + "1";
        let big = ["1000000000"; 9].join("*");
        for text in ["", "1+", "(1", "1)", "2**3", "1//2", "1/0", "1/(2-2)", "x", "1 2", "1.5", "9999999999", "--", "²"]
            .into_iter()
            .chain([deep.as_str(), &long, &big])
        {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn the_numbers_are_listed_in_order() {
        assert_eq!(evaluate("(7-3)*07").map(|(_, numbers)| numbers), Some(vec![7, 3, 7]));
    }
}
