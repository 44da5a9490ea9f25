//! Filters on lists and numbers, and the table of all.

use super::{Object, Renderer, expressions::Args};
use crate::{
    error::{Fault, Result},
    value::Value,
};

/// All filters of jinja2, so that `is filter` answers as there; not all are supported.
pub(super) const FILTERS: [&str; 54] = [
    "abs",
    "attr",
    "batch",
    "capitalize",
    "center",
    "count",
    "d",
    "default",
    "dictsort",
    "e",
    "escape",
    "filesizeformat",
    "first",
    "float",
    "forceescape",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "pprint",
    "random",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "safe",
    "select",
    "selectattr",
    "slice",
    "sort",
    "string",
    "striptags",
    "sum",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr",
];

impl Renderer<'_> {
    pub(super) fn filter(&mut self, name: &str, value: Value, args: Args) -> Result<Value> {
        self.step(1 + value.size())?;
        match name {
            "length" | "count" => {
                args.bind::<0>(name, [], 0)?;
                self.length(&value)
            }
            "default" | "d" => {
                let [default, boolean] = args.bind(name, ["default_value", "boolean"], 0)?;
                let is_boolean = boolean.is_some_and(|boolean| boolean.truth());
                let replaces = value.is_undefined() || (is_boolean && !value.truth());
                Ok(if replaces { default.unwrap_or_else(|| Value::text("")) } else { value })
            }
            "list" => {
                let items = self.items_of(&value)?;
                self.list(items)
            }
            "first" | "last" => self.end_of(name, &value),
            "reverse" => self.reversed(&value),
            "items" => match &value {
                Value::Undefined(_) => self.generator(Vec::new()),
                Value::Dict(dict) => {
                    let view = Value::View(crate::value::View::Items, dict.clone());
                    let items = self.items_of(&view)?;
                    self.generator(items)
                }
                _ => Fault::operation("Can only get item pairs from a mapping."),
            },
            "select" | "reject" | "selectattr" | "rejectattr" => self.select(name, &value, args),
            "map" => self.map(&value, args),
            "sort" => {
                let [reverse, cased, attribute] = args.bind(name, ["reverse", "case_sensitive", "attribute"], 0)?;
                let items = self.items_of(&value)?;
                let keys = self.sort_keys(&items, attribute.as_ref(), truth(&cased))?;
                let sorted = self.sorted(items, keys, truth(&reverse))?;
                self.list(sorted)
            }
            "dictsort" => self.dictsort(&value, args),
            "min" | "max" => {
                let [cased, attribute] = args.bind(name, ["case_sensitive", "attribute"], 0)?;
                let items = self.items_of(&value)?;
                let keys = self.keys(&items, attribute.as_ref(), truth(&cased))?;
                let mut best: Option<usize> = None;
                for (at, key) in keys.iter().enumerate() {
                    let better = match best {
                        None => true,
                        Some(best) if name == "min" => key.order(&keys[best])?.is_some_and(|order| order.is_lt()),
                        Some(best) => key.order(&keys[best])?.is_some_and(|order| order.is_gt()),
                    };
                    best = if better { Some(at) } else { best };
                }
                Ok(match best {
                    Some(best) => items[best].clone(),
                    None => Value::undefined("No aggregated item, sequence was empty."),
                })
            }
            "unique" => {
                let [cased, attribute] = args.bind(name, ["case_sensitive", "attribute"], 0)?;
                let items = self.items_of(&value)?;
                let keys = self.keys(&items, attribute.as_ref(), truth(&cased))?;
                let mut kept: Vec<usize> = Vec::new();
                for (at, key) in keys.iter().enumerate() {
                    key.check_hashable()?;
                    self.step(1 + kept.len() as u64 / 8)?;
                    if !kept.iter().any(|known| keys[*known].equals(key)) {
                        kept.push(at);
                    }
                }
                let kept = kept.into_iter().map(|at| items[at].clone()).collect();
                self.generator(kept)
            }
            "sum" => {
                let [attribute, start] = args.bind(name, ["attribute", "start"], 0)?;
                let mut total = start.unwrap_or(Value::Int(0));
                if matches!(total, Value::Text(_)) {
                    return Fault::operation("sum() can't sum strings");
                }
                for item in self.items_of(&value)? {
                    let item = match &attribute {
                        Some(attribute) => self.deep_item(&item, attribute)?,
                        None => item,
                    };
                    total = self.binary(crate::ast::Operator::Add, &total, &item)?;
                }
                Ok(total)
            }
            "batch" | "slice" => self.batches(name, &value, args),
            "abs" => match &value {
                Value::Float(number) => Ok(Value::Float(number.abs())),
                other => match other.as_int().map(i64::checked_abs) {
                    Some(Some(number)) => Ok(Value::Int(number)),
                    Some(None) => Fault::unsupported("a whole number beyond 64 bits"),
                    None => Fault::operation(format!("bad operand type for abs(): '{}'", other.type_name())),
                },
            },
            "attr" => {
                let [attribute] = args.bind(name, ["name"], 1)?;
                match attribute {
                    Some(Value::Text(attribute)) => self.bare_attribute(&value, &attribute),
                    _ => Fault::operation("attr takes a text"),
                }
            }
            _ => self.text_filter(name, value, args),
        }
    }

    fn length(&mut self, value: &Value) -> Result<Value> {
        let length = match value {
            Value::Undefined(_) => 0,
            Value::Text(text) => text.chars().count(),
            Value::List(items) | Value::Tuple(items) => items.len(),
            Value::Dict(dict) | Value::View(_, dict) => dict.pairs().len(),
            Value::Range(range) => crate::value::range_len(range),
            Value::Object(index) if matches!(self.objects[*index as usize], Object::Loop(_)) => {
                return self.loop_length(*index).map(Value::Int);
            }
            other => return Fault::operation(format!("object of type '{}' has no len()", other.type_name())),
        };
        Ok(Value::Int(length as i64))
    }

    fn end_of(&mut self, name: &str, value: &Value) -> Result<Value> {
        if let Value::Object(index) = value
            && let Object::Items(items) = &mut self.objects[*index as usize]
        {
            if name == "last" {
                return Fault::operation("'generator' object is not reversible");
            }
            return Ok(items.pop_front().unwrap_or_else(|| Value::undefined("No first item, sequence was empty.")));
        }
        let items = self.items_of(value)?;
        let item = if name == "first" { items.first() } else { items.last() };
        Ok(item.cloned().unwrap_or_else(|| Value::undefined(format!("No {name} item, sequence was empty."))))
    }

    fn reversed(&mut self, value: &Value) -> Result<Value> {
        if let Value::Text(text) = value {
            let text = text.chars().rev().collect();
            return self.text(text);
        }
        let is_generator = matches!(value, Value::Object(_));
        let mut items = self.items_of(value)?;
        items.reverse();
        if is_generator { self.list(items) } else { self.generator(items) }
    }

    fn select(&mut self, name: &str, value: &Value, mut args: Args) -> Result<Value> {
        let keeps = name.starts_with("select");
        let attribute = if name.ends_with("attr") {
            if args.positional.is_empty() {
                return Fault::operation("Missing parameter for attribute name");
            }
            Some(args.positional.remove(0))
        } else {
            None
        };
        let test = if args.positional.is_empty() { None } else { Some(args.positional.remove(0)) };
        let mut kept = Vec::new();
        // As in jinja2, an empty value is not looked into.
        let items = if value.truth() { self.items_of(value)? } else { Vec::new() };
        for item in items {
            let subject = match &attribute {
                Some(attribute) => self.deep_item(&item, attribute)?,
                None => item.clone(),
            };
            let passes = match &test {
                Some(Value::Text(test)) => {
                    let args = Args { positional: args.positional.clone(), named: args.named.clone() };
                    self.test(test, &subject, args)?
                }
                Some(_) => return Fault::operation("a test is named by a text"),
                None => subject.truth(),
            };
            if passes == keeps {
                kept.push(item);
            }
        }
        self.generator(kept)
    }

    fn map(&mut self, value: &Value, mut args: Args) -> Result<Value> {
        let items = if value.truth() { self.items_of(value)? } else { Vec::new() };
        let mut mapped = Vec::with_capacity(items.len());
        if args.positional.is_empty() {
            let [attribute, default] = args.bind("map", ["attribute", "default"], 1)?;
            let attribute = attribute.unwrap_or(Value::None);
            let default = default.filter(|default| !matches!(default, Value::None));
            for item in items {
                let found = self.deep_item(&item, &attribute)?;
                mapped.push(match &default {
                    Some(default) if found.is_undefined() => default.clone(),
                    _ => found,
                });
            }
            return self.generator(mapped);
        }
        let Value::Text(name) = args.positional.remove(0) else {
            return Fault::operation("a filter is named by a text");
        };
        for item in items {
            let args = Args { positional: args.positional.clone(), named: args.named.clone() };
            mapped.push(self.deeper(|renderer| renderer.filter(&name, item, args))?);
        }
        self.generator(mapped)
    }

    /// `a.b.0` of a value, by items first.
    fn deep_item(&mut self, value: &Value, path: &Value) -> Result<Value> {
        let Value::Text(path) = path else {
            return self.item(value, path);
        };
        let mut value = value.clone();
        for part in path.split('.') {
            let is_number = !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
            let key = match part.parse() {
                Ok(index) if is_number => Value::Int(index),
                _ => Value::text(part),
            };
            value = self.item(&value, &key)?;
        }
        Ok(value)
    }

    /// What items are compared by: an attribute or themselves, texts in lower case unless told otherwise.
    fn keys(&mut self, items: &[Value], attribute: Option<&Value>, cased: bool) -> Result<Vec<Value>> {
        let attribute = attribute.filter(|attribute| !matches!(attribute, Value::None));
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            let key = match attribute {
                Some(attribute) => self.deep_item(item, attribute)?,
                None => item.clone(),
            };
            self.step(key.size())?;
            keys.push(match &key {
                Value::Text(text) if !cased => {
                    let lower = text.to_lowercase();
                    self.text(lower)?
                }
                _ => key,
            });
        }
        Ok(keys)
    }

    /// Of several attributes with commas, a list of keys.
    fn sort_keys(&mut self, items: &[Value], attribute: Option<&Value>, cased: bool) -> Result<Vec<Value>> {
        let Some(Value::Text(paths)) = attribute.filter(|paths| paths.as_text().is_some_and(|text| text.contains(',')))
        else {
            return self.keys(items, attribute, cased);
        };
        let mut rows = vec![Vec::new(); items.len()];
        for path in paths.split(',') {
            let keys = self.keys(items, Some(&Value::text(path)), cased)?;
            rows.iter_mut().zip(keys).for_each(|(row, key)| row.push(key));
        }
        rows.into_iter().map(|row| self.list(row)).collect()
    }

    fn sorted(&mut self, items: Vec<Value>, keys: Vec<Value>, reverse: bool) -> Result<Vec<Value>> {
        let cost: u64 = keys.iter().map(Value::size).sum();
        self.step(cost.saturating_mul(u64::from(items.len().max(1).ilog2() + 1)))?;
        let mut order: Vec<usize> = (0..items.len()).collect();
        let mut fault = None;
        order.sort_by(|a, b| {
            let (a, b) = if reverse { (b, a) } else { (a, b) };
            match keys[*a].order(&keys[*b]) {
                Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
                Err(given) => {
                    fault.get_or_insert(given);
                    std::cmp::Ordering::Equal
                }
            }
        });
        match fault {
            Some(fault) => Err(fault),
            None => Ok(order.into_iter().map(|at| items[at].clone()).collect()),
        }
    }

    fn dictsort(&mut self, value: &Value, args: Args) -> Result<Value> {
        let [cased, by, reverse] = args.bind("dictsort", ["case_sensitive", "by", "reverse"], 0)?;
        let Value::Dict(dict) = value else {
            return Fault::operation(format!("'{}' object has no items to sort", value.type_name()));
        };
        let by_key = match by.as_ref().map(Value::as_text) {
            None | Some(Some("key")) => true,
            Some(Some("value")) => false,
            _ => return Fault::operation("You can only sort by either \"key\" or \"value\""),
        };
        let side = |(key, value): &(Value, Value)| if by_key { key.clone() } else { value.clone() };
        let sides: Vec<Value> = dict.pairs().iter().map(side).collect();
        let keys = self.keys(&sides, None, truth(&cased))?;
        let view = Value::View(crate::value::View::Items, dict.clone());
        let items = self.items_of(&view)?;
        let sorted = self.sorted(items, keys, truth(&reverse))?;
        self.list(sorted)
    }

    /// Rows of so many items, or so many rows.
    fn batches(&mut self, name: &str, value: &Value, args: Args) -> Result<Value> {
        let [count, fill] = args.bind(name, ["count", "fill_with"], 1)?;
        let fill = fill.filter(|fill| !matches!(fill, Value::None));
        let count = count.as_ref().and_then(Value::as_int).and_then(|count| usize::try_from(count).ok());
        let count = count.filter(|count| *count > 0);
        let count = count.ok_or_else(|| Fault::Operation(format!("{name} takes a number above 0")))?;
        self.charge(super::VALUE_BYTES.saturating_mul(count as u64))?;
        let items = self.items_of(value)?;
        let mut rows: Vec<Vec<Value>> = Vec::new();
        if name == "batch" {
            rows.extend(items.chunks(count).map(<[Value]>::to_vec));
            if let (Some(fill), Some(last)) = (fill, rows.last_mut()) {
                last.resize(count, fill);
            }
        } else {
            let (each, extra) = (items.len() / count, items.len() % count);
            let mut rest = items.into_iter();
            for row in 0..count {
                let mut taken: Vec<Value> = rest.by_ref().take(each + usize::from(row < extra)).collect();
                taken.extend(fill.clone().filter(|_| row >= extra));
                rows.push(taken);
            }
        }
        let rows = rows.into_iter().map(|row| self.list(row)).collect::<Result<Vec<_>>>()?;
        self.generator(rows)
    }
}

fn truth(value: &Option<Value>) -> bool {
    value.as_ref().is_some_and(Value::truth)
}
