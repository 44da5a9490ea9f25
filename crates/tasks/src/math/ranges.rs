//! Joins intervals and points of numbers where they meet: `(1,3)∪(2,4)` is `(1,4)`.
//!
//! Promise: ends are compared exactly; what has another end than a number or infinity is not joined.

use num_rational::BigRational;

use super::parse::Value;
use super::poly::{Arithmetic, Expression};

/// From the low end to the high one; an end without a number is infinite.
#[derive(PartialEq)]
struct Range {
    low: Option<BigRational>,
    low_open: bool,
    high: Option<BigRational>,
    high_open: bool,
}

/// Whether both hold the same numbers.
pub(super) fn are_same(a: &Value, b: &Value, arithmetic: &mut Arithmetic) -> Option<bool> {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    if collect(a, &mut left, arithmetic).is_none() || collect(b, &mut right, arithmetic).is_none() {
        return Some(false);
    }
    Some(joined(left) == joined(right))
}

fn collect(value: &Value, ranges: &mut Vec<Range>, arithmetic: &mut Arithmetic) -> Option<()> {
    arithmetic.burn(1)?;
    match value {
        Value::Union(parts) => parts.iter().try_for_each(|part| collect(part, ranges, arithmetic)),
        Value::Set(members) => members.iter().try_for_each(|member| {
            let point = number(member)?;
            ranges.push(Range { low: Some(point.clone()), low_open: false, high: Some(point), high_open: false });
            Some(())
        }),
        Value::Tuple { members, open: (low_open, high_open) } => {
            let [low, high] = &members[..] else { return None };
            let negative = Expression::name("∞");
            let negative = arithmetic.negate(&negative)?;
            let low = end(low, *low_open, &negative)?;
            let high = end(high, *high_open, &Expression::name("∞"))?;
            if let Some((low, high)) = low.as_ref().zip(high.as_ref()) {
                (low < high || low == high && !low_open && !high_open).then_some(())?;
            }
            ranges.push(Range { low, low_open: *low_open, high, high_open: *high_open });
            Some(())
        }
        _ => None,
    }
}

fn number(value: &Value) -> Option<BigRational> {
    let Value::Quantity(quantity) = value else { return None };
    quantity.expression.rational().filter(|_| !quantity.percent && quantity.unit.is_none())
}

/// A number, or none for the given infinity, which is no member.
fn end(value: &Value, open: bool, infinity: &Expression) -> Option<Option<BigRational>> {
    match value {
        Value::Quantity(quantity) if quantity.expression == *infinity => open.then_some(None),
        value => number(value).map(Some),
    }
}

/// In order, each as long as it can be.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_by(|a, b| (&a.low, a.low_open).cmp(&(&b.low, b.low_open)));
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if meet(last, &range) => {
                // infinity is above every number, and a closed end above an open one
                let above = |range: &Range| (range.high.is_none(), range.high.clone(), !range.high_open);
                if above(&range) > above(last) {
                    (last.high, last.high_open) = (range.high, range.high_open);
                }
            }
            _ => joined.push(range),
        }
    }
    joined
}

/// Whether nothing lies between a range and one that begins no lower.
fn meet(lower: &Range, upper: &Range) -> bool {
    match (&lower.high, &upper.low) {
        (None, _) | (_, None) => true,
        (Some(high), Some(low)) => low < high || low == high && !(lower.high_open && upper.low_open),
    }
}
