//! Attributes of values: methods, namespaces and loops.

use super::{Object, Renderer, expressions::described};
use crate::{
    error::{Fault, Result},
    value::Value,
};

/// What Python's types offer. A name among them is the method, also where a dict has such a key.
const TEXT_METHODS: [&str; 47] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdecimal",
    "isdigit",
    "isidentifier",
    "islower",
    "isnumeric",
    "isprintable",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "maketrans",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rindex",
    "rjust",
    "rpartition",
    "rsplit",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "translate",
    "upper",
    "zfill",
];
const LIST_METHODS: [&str; 3] = ["copy", "count", "index"];
const LIST_CHANGES: [&str; 8] = ["append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"];
const DICT_METHODS: [&str; 6] = ["copy", "fromkeys", "get", "items", "keys", "values"];
const DICT_CHANGES: [&str; 5] = ["clear", "pop", "popitem", "setdefault", "update"];
const NUMBER_NAMES: [&str; 14] = [
    "as_integer_ratio",
    "bit_count",
    "bit_length",
    "conjugate",
    "denominator",
    "from_bytes",
    "fromhex",
    "hex",
    "imag",
    "is_integer",
    "numerator",
    "real",
    "to_bytes",
    "__float__",
];

impl Renderer<'_> {
    /// `value.name`: the attribute, else the item of that name, else undefined.
    pub(super) fn attribute(&mut self, value: &Value, name: &str) -> Result<Value> {
        if let Value::Dict(dict) = value
            && !is_dict_name(name)
            && !is_internal(name)
        {
            self.step(dict.pairs().len() as u64 / 8)?;
            return Ok(dict.get_text(name).cloned().unwrap_or_else(|| missing(value, name)));
        }
        self.bare_attribute(value, name)
    }

    /// The attribute alone.
    pub(super) fn bare_attribute(&mut self, value: &Value, name: &str) -> Result<Value> {
        if let Value::Undefined(words) = value {
            return Err(Fault::Undefined(words.to_string()));
        }
        if is_internal(name) {
            return Ok(Value::undefined(format!("access to attribute '{name}' is unsafe")));
        }
        let is_method = match value {
            Value::Text(_) => TEXT_METHODS.contains(&name),
            Value::List(_) if LIST_CHANGES.contains(&name) => return Ok(unsafe_to(value, name)),
            Value::List(_) => LIST_METHODS.contains(&name),
            Value::Tuple(_) | Value::Range(_) => matches!(name, "count" | "index"),
            Value::Dict(_) if DICT_CHANGES.contains(&name) => return Ok(unsafe_to(value, name)),
            Value::Dict(_) => DICT_METHODS.contains(&name),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) if NUMBER_NAMES.contains(&name) => {
                return Fault::unsupported(format!("the attribute {name} of a number"));
            }
            Value::View(..) if matches!(name, "isdisjoint" | "mapping") => {
                return Fault::unsupported(format!("the attribute {name} of a dict's view"));
            }
            Value::Object(index) => return self.object_attribute(*index, value, name),
            _ => false,
        };
        if !is_method {
            return Ok(missing(value, name));
        }
        Ok(Value::Method(std::sync::Arc::new((value.clone(), name.to_owned()))))
    }

    fn object_attribute(&mut self, index: u32, value: &Value, name: &str) -> Result<Value> {
        let method = || Ok(Value::Method(std::sync::Arc::new((value.clone(), name.to_owned()))));
        match &self.objects[index as usize] {
            Object::Namespace(names) => {
                let found = names.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
                Ok(found.unwrap_or_else(|| Value::undefined(format!("'Namespace object' has no attribute '{name}'"))))
            }
            Object::Loop(_) => match name {
                "cycle" | "changed" => method(),
                _ => self.loop_attribute(index, name),
            },
            Object::Cycler(items, at) => match name {
                "current" => Ok(items[*at].clone()),
                "next" | "reset" => method(),
                _ => Ok(missing(value, name)),
            },
            Object::Macro(source, _) => match name {
                "name" => Ok(Value::text(source.name.as_str())),
                "arguments" | "catch_kwargs" | "catch_varargs" | "caller" | "explicit_caller" => {
                    Fault::unsupported(format!("the attribute {name} of a macro"))
                }
                _ => Ok(missing(value, name)),
            },
            Object::Items(_) | Object::Joiner(..) => Ok(missing(value, name)),
        }
    }

    fn loop_attribute(&mut self, index: u32, name: &str) -> Result<Value> {
        let state = self.loop_mut(index)?;
        let at = state.index;
        Ok(match name {
            "index" => Value::Int(at + 1),
            "index0" => Value::Int(at),
            "first" => Value::Bool(at == 0),
            "depth" => Value::Int(state.depth),
            "depth0" => Value::Int(state.depth - 1),
            "previtem" => match &state.before {
                Some(before) => before.clone(),
                None => Value::undefined("there is no previous item"),
            },
            "last" => Value::Bool(self.look_ahead(index)?.is_none()),
            "nextitem" => self.look_ahead(index)?.unwrap_or_else(|| Value::undefined("there is no next item")),
            "length" => Value::Int(self.loop_length(index)?),
            "revindex" => Value::Int(self.loop_length(index)? - at),
            "revindex0" => Value::Int(self.loop_length(index)? - at - 1),
            _ => Value::undefined(format!("'LoopContext object' has no attribute '{name}'")),
        })
    }
}

fn is_internal(name: &str) -> bool {
    name.starts_with("__") && name.ends_with("__")
}

fn is_dict_name(name: &str) -> bool {
    DICT_METHODS.contains(&name) || DICT_CHANGES.contains(&name)
}

fn missing(value: &Value, name: &str) -> Value {
    Value::undefined(format!("{} has no attribute '{name}'", described(value)))
}

/// The sandbox lets no template change a list or dict.
fn unsafe_to(value: &Value, name: &str) -> Value {
    Value::undefined(format!("access to attribute '{name}' of '{}' object is unsafe", value.type_name()))
}
