//! Whether two formulas say the same.
//!
//! Promise: the same only if it is certain; after math-verify's rules for assignments, sets, pairs,
//! intervals and percents. The first is the right answer, the second what somebody gave.

use num_bigint::BigInt;
use num_rational::BigRational;

use super::approximate::approximate;
use super::assign::same_assignments;
use super::parse::{Quantity, Relation, Value};
use super::poly::{Arithmetic, Expression};
use super::{ranges, unit};
use crate::numeral;

/// Whether `given` is the answer; `None` if that takes too much work.
pub(crate) fn equal(answer: &Value, given: &Value, arithmetic: &mut Arithmetic) -> Option<bool> {
    arithmetic.burn(1)?;
    if let Some(same) = same_assignments(answer, given, arithmetic) {
        return same;
    }
    let (answer, given) = unwrap(answer, given);
    match (answer, given) {
        (Value::Quantity(a), Value::Quantity(b)) => quantities(a, b, arithmetic),
        (Value::Relation(a), Value::Relation(b)) => relations(a, b, arithmetic),
        (Value::Relation(a), Value::Tuple { .. } | Value::Union(_)) => match interval(a, arithmetic) {
            Some(interval) => equal(&interval, given, arithmetic),
            None => Some(false),
        },
        (Value::Matrix(a), Value::Matrix(b)) => matrices(a, b, arithmetic),
        (Value::Union(a), Value::Union(b)) => {
            Some(same_members(a, b, arithmetic)? || ranges::are_same(answer, given, arithmetic)?)
        }
        (Value::Union(_), Value::Tuple { .. } | Value::Set(_))
        | (Value::Tuple { .. } | Value::Set(_), Value::Union(_)) => ranges::are_same(answer, given, arithmetic),
        (Value::Set(a), Value::Set(b)) => same_members(a, b, arithmetic),
        (Value::Set(a), Value::Quantity(_)) => same_members(a, std::slice::from_ref(given), arithmetic),
        (Value::Quantity(_), Value::Set(b)) => same_members(std::slice::from_ref(answer), b, arithmetic),
        (Value::Set(a), Value::Tuple { members, open }) if is_point(members, *open) => {
            // a point has its members as often as they stand there
            Some(distinct(a, arithmetic)?.len() == members.len() && same_members(a, members, arithmetic)?)
        }
        (Value::Tuple { members, open }, Value::Set(b)) if is_point(members, *open) => in_order(members, b, arithmetic),
        (Value::Tuple { members: a, open: x }, Value::Tuple { members: b, open: y }) => {
            if a.len() == 2 && x != y {
                return Some(false);
            }
            in_order(a, b, arithmetic)
        }
        _ => Some(false),
    }
}

/// `x = 5` is 5 beside a 5 and an equation beside an equation; `-x = 5` and `2 = 5` are no 5.
fn unwrap<'v>(answer: &'v Value, given: &'v Value) -> (&'v Value, &'v Value) {
    match (answer, given) {
        (Value::Relation(a), Value::Relation(b)) if is_equation(a) || !is_equation(b) => (answer, given),
        (_, Value::Relation(b)) if is_equation(b) && (b.names || states_last(b)) => (answer, last(b)),
        (Value::Relation(a), _) if is_equation(a) && a.names => (last(a), given),
        _ => (answer, given),
    }
}

/// Whether a chain of equals says that something is its last side: no side before it is another
/// number, or holds a variable that is still to be solved for, as `2x` and `x + 1` do.
fn states_last(relation: &Relation) -> bool {
    let expression = |side: &Value| match side {
        Value::Quantity(quantity) => Some(quantity.expression.clone()),
        _ => None,
    };
    let end = expression(last(relation)).and_then(|end| end.rational());
    relation.sides[..relation.sides.len() - 1].iter().filter_map(expression).all(|side| match side.rational() {
        Some(number) => end.as_ref().is_none_or(|end| *end == number),
        None => !side.is_to_be_solved(),
    })
}

pub(super) fn is_equation(relation: &Relation) -> bool {
    relation.operators.iter().all(|operator| *operator == '=')
}

pub(super) fn last(relation: &Relation) -> &Value {
    // a relation has at least two sides
    &relation.sides[relation.sides.len() - 1]
}

/// A pair in round brackets or a longer list in any: not an interval with an end of its own.
pub(super) fn is_point(members: &[Value], open: (bool, bool)) -> bool {
    members.len() > 2 || open == (true, true)
}

fn quantities(a: &Quantity, b: &Quantity, arithmetic: &mut Arithmetic) -> Option<bool> {
    if a.unit.as_ref().zip(b.unit.as_ref()).is_some_and(|(a, b)| !unit::is_same(a, b)) {
        return Some(false);
    }
    let (left, right) = (exact(a, arithmetic)?, exact(b, arithmetic)?);
    if arithmetic.equal(&left, &right)? {
        return Some(true);
    }
    let number = |quantity: &Quantity| quantity.expression.rational();
    let whole = |quantity: &Quantity| number(quantity).filter(|n| n.is_integer() && !quantity.decimal);
    if let (Some(left), Some(right)) = (whole(a), whole(b)) {
        // a question may ask for percents: 72 % = 72
        return Some(left == right);
    }
    let rounded = a.decimal && number(a).is_some() || b.decimal && number(b).is_some();
    if !rounded || whole(a).is_some() || whole(b).is_some() {
        return Some(false);
    }
    let (Some(left), Some(right)) = (approximate(&left, arithmetic), approximate(&right, arithmetic)) else {
        return Some(false);
    };
    Some(numeral::are_close(&left, &right))
}

/// The expression with percent counted as hundredths.
fn exact(quantity: &Quantity, arithmetic: &mut Arithmetic) -> Option<Expression> {
    match quantity.percent {
        true => arithmetic.multiply(&quantity.expression, &Expression::number(BigRational::new(1.into(), 100.into()))),
        false => Some(quantity.expression.clone()),
    }
}

pub(super) fn in_order(a: &[Value], b: &[Value], arithmetic: &mut Arithmetic) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !equal(a, b, arithmetic)? {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether every member of each has its like in the other, each once, repetitions dropped.
fn same_members(a: &[Value], b: &[Value], arithmetic: &mut Arithmetic) -> Option<bool> {
    let a = distinct(a, arithmetic)?;
    let mut left = distinct(b, arithmetic)?;
    if a.len() != left.len() {
        return Some(false);
    }
    for member in a {
        let mut found = None;
        for (at, other) in left.iter().enumerate() {
            if equal(member, other, arithmetic)? {
                found = Some(at);
                break;
            }
        }
        let Some(found) = found else { return Some(false) };
        left.swap_remove(found);
    }
    Some(true)
}

/// Of two equal members one may still say more than the other: `72\%, 0.72` names two answers to choose from.
fn is_written_alike(a: &Value, b: &Value) -> bool {
    let (Value::Quantity(a), Value::Quantity(b)) = (a, b) else { return true };
    a.percent == b.percent && a.unit == b.unit
}

fn distinct<'v>(members: &'v [Value], arithmetic: &mut Arithmetic) -> Option<Vec<&'v Value>> {
    let mut distinct: Vec<&Value> = Vec::new();
    for member in members {
        let mut seen = false;
        for other in &distinct {
            seen = seen || is_written_alike(other, member) && equal(other, member, arithmetic)?;
        }
        if !seen {
            distinct.push(member);
        }
    }
    Some(distinct)
}

fn matrices(a: &[Vec<Quantity>], b: &[Vec<Quantity>], arithmetic: &mut Arithmetic) -> Option<bool> {
    if a.len() != b.len() || a.iter().zip(b).any(|(a, b)| a.len() != b.len()) {
        return Some(false);
    }
    for (a, b) in a.iter().flatten().zip(b.iter().flatten()) {
        if !quantities(a, b, arithmetic)? {
            return Some(false);
        }
    }
    Some(true)
}

/// Relations that say the same pair by pair, in any order, each perhaps turned round.
fn relations(a: &Relation, b: &Relation, arithmetic: &mut Arithmetic) -> Option<bool> {
    let (a, mut left) = (pairs(a), pairs(b));
    if a.len() != left.len() {
        return Some(false);
    }
    for pair in a {
        let mut found = None;
        for (at, other) in left.iter().enumerate() {
            if same_relation(pair, *other, arithmetic)? {
                found = Some(at);
                break;
            }
        }
        let Some(found) = found else { return Some(false) };
        left.swap_remove(found);
    }
    Some(true)
}

type Pair<'v> = (&'v Value, char, &'v Value);

/// `l > r` as `r < l`; of a chain that names a value the name and the value.
fn pairs(relation: &Relation) -> Vec<Pair<'_>> {
    if relation.names && is_equation(relation) {
        return vec![(&relation.sides[0], '=', last(relation))];
    }
    (relation.sides.windows(2))
        .zip(&relation.operators)
        .map(|(sides, operator)| match operator {
            '>' => (&sides[1], '<', &sides[0]),
            '≥' => (&sides[1], '≤', &sides[0]),
            operator => (&sides[0], *operator, &sides[1]),
        })
        .collect()
}

fn same_relation(a: Pair<'_>, b: Pair<'_>, arithmetic: &mut Arithmetic) -> Option<bool> {
    if a.1 != b.1 {
        return Some(false);
    }
    let difference = |(left, _, right): Pair<'_>, arithmetic: &mut Arithmetic| match (left, right) {
        (Value::Quantity(left), Value::Quantity(right)) => {
            let (left, right) = (exact(left, arithmetic)?, exact(right, arithmetic)?);
            arithmetic.subtract(&left, &right).map(Some)
        }
        _ => Some(None),
    };
    match (difference(a, arithmetic)?, difference(b, arithmetic)?) {
        (Some(x), Some(y)) if matches!(a.1, '=' | '≠') => arithmetic.proportional(&x, &y),
        (Some(x), Some(y)) => arithmetic.equal(&x, &y),
        (None, None) => Some(equal(a.0, b.0, arithmetic)? && equal(a.2, b.2, arithmetic)?),
        _ => Some(false),
    }
}

/// The interval of one inequality of one variable, or of a variable between two bounds.
fn interval(relation: &Relation, arithmetic: &mut Arithmetic) -> Option<Value> {
    let expressions: Vec<&Expression> = relation
        .sides
        .iter()
        .map(|side| match side {
            Value::Quantity(quantity) => Some(&quantity.expression),
            _ => None,
        })
        .collect::<Option<_>>()?;
    let bound =
        |expression: Expression| Value::Quantity(Quantity { expression, decimal: false, percent: false, unit: None });
    match (&expressions[..], &relation.operators[..]) {
        ([left, right], [operator]) => {
            let difference = arithmetic.subtract(left, right)?;
            let names: Vec<&str> = difference.names().into_iter().filter(|name| *name != "∞").collect();
            let [name] = names[..] else { return None };
            let (slope, rest) = difference.linear_in(name)?;
            let negative = slope < BigRational::from_integer(BigInt::from(0));
            let end = arithmetic.divide(&rest, &Expression::number(-slope))?;
            let infinity = Expression::name("∞");
            let open = matches!(operator, '<' | '>');
            match (matches!(operator, '<' | '≤'), matches!(operator, '>' | '≥')) {
                (false, false) => None,
                (less, _) if less != negative => {
                    let low = arithmetic.negate(&infinity)?;
                    Some(Value::Tuple { members: vec![bound(low), bound(end)], open: (true, open) })
                }
                _ => Some(Value::Tuple { members: vec![bound(end), bound(infinity)], open: (open, true) }),
            }
        }
        ([low, middle, high], [first, second]) => {
            middle.as_name()?;
            let less = |operator: &char| matches!(operator, '<' | '≤');
            let more = |operator: &char| matches!(operator, '>' | '≥');
            let open = (*first == '<' || *first == '>', *second == '<' || *second == '>');
            if less(first) && less(second) {
                Some(Value::Tuple { members: vec![bound((*low).clone()), bound((*high).clone())], open })
            } else if more(first) && more(second) {
                let open = (open.1, open.0);
                Some(Value::Tuple { members: vec![bound((*high).clone()), bound((*low).clone())], open })
            } else {
                None
            }
        }
        _ => None,
    }
}
