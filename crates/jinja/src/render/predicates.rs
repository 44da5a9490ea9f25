//! Tests: what stands after `is`.

use super::{Object, Renderer, expressions::Args, filters, methods};
use crate::{
    ast::{Comparison, Operator},
    error::{Fault, Result},
    value::Value,
};

const TESTS: [&str; 38] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "callable",
    "defined",
    "divisibleby",
    "eq",
    "equalto",
    "escaped",
    "even",
    "false",
    "filter",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "string",
    "test",
    "true",
    "undefined",
];

impl Renderer<'_> {
    pub(super) fn test(&mut self, name: &str, value: &Value, args: Args) -> Result<bool> {
        self.step(1)?;
        let comparison = match name {
            "eq" | "==" | "equalto" => Some(Comparison::Eq),
            "ne" | "!=" => Some(Comparison::Ne),
            "lt" | "<" | "lessthan" => Some(Comparison::Lt),
            "le" | "<=" => Some(Comparison::Le),
            "gt" | ">" | "greaterthan" => Some(Comparison::Gt),
            "ge" | ">=" => Some(Comparison::Ge),
            "in" => Some(Comparison::In),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let [other] = args.bind(name, ["other"], 1)?;
            return self.compare(comparison, value, &other.unwrap_or(Value::None));
        }
        match name {
            "divisibleby" => {
                let [number] = args.bind(name, ["num"], 1)?;
                let rest = self.binary(Operator::Rem, value, &number.unwrap_or(Value::None))?;
                return Ok(rest.equals(&Value::Int(0)));
            }
            "sameas" => {
                let [other] = args.bind(name, ["other"], 1)?;
                return same(value, &other.unwrap_or(Value::None));
            }
            _ => {
                args.bind::<0>(name, [], 0)?;
            }
        }
        Ok(match name {
            "defined" => !value.is_undefined(),
            "undefined" => value.is_undefined(),
            "none" => matches!(value, Value::None),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "integer" => matches!(value, Value::Int(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_)),
            "string" => matches!(value, Value::Text(_)),
            "mapping" => matches!(value, Value::Dict(_)),
            "sequence" => matches!(
                value,
                Value::Text(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
                    | Value::Range(_)
                    | Value::Undefined(_)
            ),
            "iterable" => match value {
                Value::Object(index) => matches!(self.objects[*index as usize], Object::Items(_) | Object::Loop(_)),
                Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
                Value::Method(_) | Value::Function(_) => false,
                _ => true,
            },
            "callable" => match value {
                Value::Method(_) | Value::Function(_) | Value::Undefined(_) => true,
                Value::Object(index) => !matches!(
                    self.objects[*index as usize],
                    Object::Namespace(_) | Object::Items(_) | Object::Cycler(..)
                ),
                _ => false,
            },
            "odd" | "even" => {
                let rest = self.binary(Operator::Rem, value, &Value::Int(2))?;
                rest.equals(&Value::Int(i64::from(name == "odd")))
            }
            "lower" => methods::is_lower(&self.str_of(value)?),
            "upper" => {
                let text = self.str_of(value)?;
                text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase)
            }
            "filter" => value.as_text().is_some_and(|name| filters::FILTERS.contains(&name)),
            "test" => value.as_text().is_some_and(|name| TESTS.contains(&name) || name == "upper"),
            "escaped" => false,
            _ => return Fault::operation(format!("No test named '{name}'.")),
        })
    }
}

/// Python's `is`, for values where it does not depend on where they are kept.
fn same(value: &Value, other: &Value) -> Result<bool> {
    match (value, other) {
        (Value::None, Value::None) => Ok(true),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::Int(a), Value::Int(b)) => Ok(a == b),
        (Value::Object(a), Value::Object(b)) => Ok(a == b),
        (Value::List(a), Value::List(b)) => Ok(std::sync::Arc::ptr_eq(a, b)),
        (Value::Dict(a), Value::Dict(b)) => Ok(std::sync::Arc::ptr_eq(a, b)),
        (a, b) if a.type_name() != b.type_name() => Ok(false),
        (a, _) => Fault::unsupported(format!("sameas of a {}", a.type_name())),
    }
}
