//! Compares values that are given to variables: `(x, y) = (2, 3)` and `x = 2, y = 3`.
//!
//! Promise: a value is compared with what stands beside the same name, or, where the other side
//! has no names, at the same place.

use std::collections::BTreeSet;

use super::equal::{equal, in_order, is_equation, is_point, last};
use super::parse::Value;
use super::poly::Arithmetic;

type Assignment<'v> = (&'v Value, &'v Value);

/// Whether the given values are those of the answer's variables; none if the answer has no such
/// variables or they are compared like any list. The inner none is for too much work.
pub(super) fn same_assignments(answer: &Value, given: &Value, arithmetic: &mut Arithmetic) -> Option<Option<bool>> {
    let expected = assignments(answer)?;
    let plain = match (assignments(given), answer, given) {
        (Some(_), Value::Set(_), Value::Set(_)) => return None,
        (Some(named), ..) => return Some(same_by_name(&expected, &named, arithmetic)),
        (None, Value::Set(_), Value::Set(members)) => members,
        (None, Value::Set(_), Value::Tuple { members, open }) if is_point(members, *open) => members,
        _ => return None,
    };
    if plain.iter().any(|member| matches!(member, Value::Relation(_))) {
        return None;
    }
    let values: Vec<Value> = expected.iter().map(|(_, value)| (*value).clone()).collect();
    Some(in_order(&values, plain, arithmetic))
}

/// The names and values of a named point, or of two or more equations that each name another letter.
fn assignments(value: &Value) -> Option<Vec<Assignment<'_>>> {
    match value {
        Value::Relation(relation) if relation.names && is_equation(relation) => {
            match (&relation.sides[0], last(relation)) {
                (Value::Tuple { members: names, .. }, Value::Tuple { members: values, open: (true, true) })
                    if names.len() == values.len() =>
                {
                    Some(names.iter().zip(values).collect())
                }
                _ => None,
            }
        }
        Value::Set(members) if members.len() > 1 => {
            let mut letters = BTreeSet::new();
            members.iter().map(|member| assignment(member, &mut letters)).collect()
        }
        _ => None,
    }
}

/// `x = 2` for a letter that is new: `x_1 = 1, x_2 = 2` are two roots in any order.
fn assignment<'v>(member: &'v Value, letters: &mut BTreeSet<&'v str>) -> Option<Assignment<'v>> {
    let Value::Relation(relation) = member else { return None };
    let Value::Quantity(name) = &relation.sides[0] else { return None };
    let letter = name.expression.as_name()?.split('_').next()?;
    let new = relation.names && is_equation(relation) && letters.insert(letter);
    new.then(|| (&relation.sides[0], last(relation)))
}

fn same_by_name(a: &[Assignment<'_>], b: &[Assignment<'_>], arithmetic: &mut Arithmetic) -> Option<bool> {
    if a.len() != b.len() {
        return Some(false);
    }
    for (name, value) in a {
        let Some((_, other)) = b.iter().find(|(other, _)| other == name) else { return Some(false) };
        if !equal(value, other, arithmetic)? {
            return Some(false);
        }
    }
    Some(true)
}
