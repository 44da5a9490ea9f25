//! Python's values, as far as templates see them.
//!
//! Promise: `str`, `repr`, `==`, truth and order are Python's; values that Python would print with a memory
//! address, or order not at all, give a fault.

mod read;

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use crate::error::{Fault, Result};

/// Lists inside lists.
const VALUE_DEPTH_MAX: u32 = 100;
/// Size of a value as [`Value::size`] counts it, what is shared counted at each place: walks of it end.
const VALUE_SIZE_MAX: u64 = 20_000_000;
/// Bytes of one text, and of what a value is printed as.
pub(crate) const TEXT_BYTES_MAX: u64 = 32 << 20;
/// Bytes of a text that count as one item.
const BYTES_PER_SIZE: u64 = 64;

/// A value of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// What is not there, with the words that say so.
    Undefined(Arc<str>),
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// A whole number. Python's have no limit; beyond 64 bits this engine refuses.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A list.
    List(Arc<Items>),
    /// A tuple.
    Tuple(Arc<Items>),
    /// A dict, in order of insertion.
    Dict(Arc<Dict>),
    /// `range(start, stop, step)`
    #[doc(hidden)]
    Range(Arc<[i64; 3]>),
    /// `keys()`, `values()` or `items()` of a dict.
    #[doc(hidden)]
    View(View, Arc<Dict>),
    /// A method of a value, not yet called.
    #[doc(hidden)]
    Method(Arc<(Value, String)>),
    /// A function of the environment.
    #[doc(hidden)]
    Function(&'static str),
    /// Something with a state, kept by the renderer.
    #[doc(hidden)]
    Object(u32),
}

/// Which view of a dict.
#[derive(Clone, Copy, Debug, PartialEq)]
#[doc(hidden)]
pub enum View {
    Keys,
    Values,
    Items,
}

/// The items of a list or tuple.
#[derive(Debug, PartialEq)]
pub struct Items {
    items: Vec<Value>,
    extent: Extent,
}

/// The pairs of a dict; keys are distinct.
#[derive(Debug, PartialEq)]
pub struct Dict {
    pairs: Vec<(Value, Value)>,
    extent: Extent,
}

/// How far a value reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Extent {
    depth: u32,
    size: u64,
}

impl Items {
    pub(crate) fn new(items: Vec<Value>) -> Result<Arc<Self>> {
        let extent = extent(items.iter())?;
        Ok(Arc::new(Self { items, extent }))
    }
}

impl std::ops::Deref for Items {
    type Target = [Value];

    fn deref(&self) -> &[Value] {
        &self.items
    }
}

impl Dict {
    /// Of pairs; a later value of a key replaces an earlier one, in the earlier one's place.
    pub(crate) fn new(given: Vec<(Value, Value)>) -> Result<Arc<Self>> {
        let extent = extent(given.iter().flat_map(|(key, value)| [key, value]))?;
        let mut pairs: Vec<(Value, Value)> = Vec::with_capacity(given.len());
        let mut texts: HashMap<Arc<str>, usize> = HashMap::new();
        for (key, value) in given {
            key.check_hashable()?;
            let known = match &key {
                Value::Text(text) => texts.get(text).copied(),
                other => pairs.iter().position(|(known, _)| known.equals(other)),
            };
            if let Some(place) = known {
                pairs[place].1 = value;
                continue;
            }
            if let Value::Text(text) = &key {
                texts.insert(text.clone(), pairs.len());
            }
            pairs.push((key, value));
        }
        Ok(Arc::new(Self { pairs, extent }))
    }

    pub(crate) fn get(&self, key: &Value) -> Option<&Value> {
        self.pairs.iter().find(|(known, _)| known.equals(key)).map(|(_, value)| value)
    }

    /// The value of a text.
    pub fn get_text(&self, key: &str) -> Option<&Value> {
        let is_key = |known: &Value| matches!(known, Value::Text(text) if **text == *key);
        self.pairs.iter().find(|(known, _)| is_key(known)).map(|(_, value)| value)
    }

    /// All pairs, in order.
    pub fn pairs(&self) -> &[(Value, Value)] {
        &self.pairs
    }
}

fn extent<'a>(parts: impl Iterator<Item = &'a Value>) -> Result<Extent> {
    let (mut depth, mut size) = (0, 1_u64);
    for part in parts {
        depth = depth.max(part.depth());
        size = size.saturating_add(part.size());
    }
    if depth >= VALUE_DEPTH_MAX {
        return Err(Fault::Depth { limit: VALUE_DEPTH_MAX });
    }
    if size > VALUE_SIZE_MAX {
        return Err(Fault::Memory { limit: VALUE_SIZE_MAX });
    }
    Ok(Extent { depth: depth + 1, size })
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// A list.
    ///
    /// Errors: `Depth`.
    pub fn list(items: Vec<Value>) -> Result<Self> {
        Items::new(items).map(Self::List)
    }

    /// A tuple.
    ///
    /// Errors: `Depth`.
    pub fn tuple(items: Vec<Value>) -> Result<Self> {
        Items::new(items).map(Self::Tuple)
    }

    /// A dict, in the order given.
    ///
    /// Errors: `Depth`; `Operation` for a key that is a list or dict.
    pub fn dict(pairs: Vec<(Value, Value)>) -> Result<Self> {
        Dict::new(pairs).map(Self::Dict)
    }

    pub(crate) fn undefined(words: impl Into<Arc<str>>) -> Self {
        Self::Undefined(words.into())
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined(_))
    }

    fn depth(&self) -> u32 {
        match self {
            Self::List(items) | Self::Tuple(items) => items.extent.depth,
            Self::Dict(dict) | Self::View(_, dict) => dict.extent.depth,
            Self::Method(method) => method.0.depth(),
            _ => 0,
        }
    }

    /// Items within it, itself included, texts by their length: what a walk of it costs.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Text(text) => 1 + text.len() as u64 / BYTES_PER_SIZE,
            Self::List(items) | Self::Tuple(items) => items.extent.size,
            Self::Dict(dict) | Self::View(_, dict) => dict.extent.size,
            Self::Range(range) => range_len(range) as u64,
            Self::Method(method) => method.0.size(),
            _ => 1,
        }
    }

    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Range(_) => "range",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Method(_) => "method",
            Self::Function(_) => "function",
            Self::Object(_) => "object",
        }
    }

    /// The type in a sentence.
    pub(crate) fn with_article(&self) -> String {
        let name = self.type_name();
        let article = if name.to_lowercase().starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
        format!("{article} {name}")
    }

    /// Python's truth. Objects are true; the renderer knows no false one.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.is_empty(),
            Self::Dict(dict) | Self::View(_, dict) => !dict.pairs.is_empty(),
            Self::Range(range) => range_len(range) > 0,
            Self::Method(_) | Self::Function(_) | Self::Object(_) => true,
        }
    }

    /// A whole number where Python takes one: `True` is 1.
    pub(crate) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Bool(value) => Some(i64::from(*value)),
            _ => None,
        }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Python's `==`.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Undefined(_), Self::Undefined(_)) | (Self::None, Self::None) => true,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            (Self::Dict(a), Self::Dict(b)) => {
                let same = |(key, value): &(Value, Value)| b.get(key).is_some_and(|other| other.equals(value));
                a.pairs.len() == b.pairs.len() && a.pairs.iter().all(same)
            }
            (Self::Range(a), Self::Range(b)) => range_items(a).eq(range_items(b)),
            (Self::Function(a), Self::Function(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a == b,
            _ => match (self.as_int(), other.as_int()) {
                (Some(a), Some(b)) => a == b,
                _ => compare_numbers(self, other) == Some(Ordering::Equal),
            },
        }
    }

    /// Python's order; a fault where it has none.
    pub(crate) fn order(&self, other: &Self) -> Result<Option<Ordering>> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => return Ok(Some(a.cmp(b))),
            (Self::List(a), Self::List(b)) | (Self::Tuple(a), Self::Tuple(b)) => {
                return match a.iter().zip(b.iter()).find(|(a, b)| !a.equals(b)) {
                    Some((a, b)) => a.order(b),
                    None => Ok(Some(a.len().cmp(&b.len()))),
                };
            }
            (Self::Undefined(words), _) | (_, Self::Undefined(words)) => {
                return Err(Fault::Undefined(words.to_string()));
            }
            _ => {}
        }
        let is_number = |value: &Self| matches!(value, Self::Bool(_) | Self::Int(_) | Self::Float(_));
        if is_number(self) && is_number(other) {
            return Ok(compare_numbers(self, other));
        }
        Fault::operation(format!("{} and {} have no order", self.type_name(), other.type_name()))
    }

    pub(crate) fn check_hashable(&self) -> Result<()> {
        match self {
            Self::List(_) | Self::Dict(_) => Fault::operation(format!("unhashable type: '{}'", self.type_name())),
            Self::Tuple(items) => items.iter().try_for_each(Self::check_hashable),
            _ => Ok(()),
        }
    }

    /// Python's `str`.
    pub(crate) fn print(&self, out: &mut String) -> Result<()> {
        match self {
            Self::Undefined(_) => {}
            Self::Text(text) => out.push_str(text),
            other => other.repr(out)?,
        }
        Ok(())
    }

    /// Python's `repr`.
    pub(crate) fn repr(&self, out: &mut String) -> Result<()> {
        if out.len() as u64 > TEXT_BYTES_MAX {
            return Err(Fault::Memory { limit: TEXT_BYTES_MAX });
        }
        match self {
            Self::Undefined(_) => out.push_str("Undefined"),
            Self::None => out.push_str("None"),
            Self::Bool(true) => out.push_str("True"),
            Self::Bool(false) => out.push_str("False"),
            Self::Int(number) => out.push_str(&number.to_string()),
            Self::Float(number) => out.push_str(&float_repr(*number)),
            Self::Text(text) => text_repr(text, out),
            Self::List(items) => {
                out.push('[');
                commas(items, out)?;
                out.push(']');
            }
            Self::Tuple(items) => {
                out.push('(');
                commas(items, out)?;
                out.push_str(if items.len() == 1 { ",)" } else { ")" });
            }
            Self::Dict(dict) => {
                out.push('{');
                for (index, (key, value)) in dict.pairs.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    key.repr(out)?;
                    out.push_str(": ");
                    value.repr(out)?;
                }
                out.push('}');
            }
            Self::Range(range) => {
                let [start, stop, step] = **range;
                out.push_str(&format!("range({start}, {stop}"));
                out.push_str(&if step == 1 { ")".to_owned() } else { format!(", {step})") });
            }
            Self::View(view, dict) => {
                out.push_str(self.type_name());
                out.push_str("([");
                for (index, pair) in dict.pairs.iter().enumerate() {
                    out.push_str(if index > 0 { ", " } else { "" });
                    view.of(pair)?.repr(out)?;
                }
                out.push_str("])");
            }
            Self::Method(_) | Self::Function(_) | Self::Object(_) => {
                return Fault::unsupported(format!("printing {}", self.with_article()));
            }
        }
        Ok(())
    }
}

fn commas(items: &[Value], out: &mut String) -> Result<()> {
    for (index, item) in items.iter().enumerate() {
        out.push_str(if index > 0 { ", " } else { "" });
        item.repr(out)?;
    }
    Ok(())
}

impl View {
    pub(crate) fn of(self, (key, value): &(Value, Value)) -> Result<Value> {
        match self {
            Self::Keys => Ok(key.clone()),
            Self::Values => Ok(value.clone()),
            Self::Items => Value::tuple(vec![key.clone(), value.clone()]),
        }
    }
}

pub(crate) fn range_len([start, stop, step]: &[i64; 3]) -> usize {
    let (start, stop, step) = (i128::from(*start), i128::from(*stop), i128::from(*step));
    let span = if step > 0 { stop - start } else { start - stop };
    if span <= 0 { 0 } else { usize::try_from((span - 1) / step.abs() + 1).unwrap_or(usize::MAX) }
}

pub(crate) fn range_items(range: &[i64; 3]) -> impl DoubleEndedIterator<Item = i64> {
    let [start, _, step] = *range;
    (0..range_len(range) as i64).map(move |index| start + index * step)
}

fn compare_numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_int(), b.as_int(), a, b) {
        (Some(a), Some(b), ..) => Some(a.cmp(&b)),
        (Some(a), None, _, Value::Float(b)) => compare_mixed(a, *b),
        (None, Some(b), Value::Float(a), _) => compare_mixed(b, *a).map(Ordering::reverse),
        (.., Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        _ => None,
    }
}

/// Exact, as in Python: the whole number is not rounded to a float.
fn compare_mixed(a: i64, b: f64) -> Option<Ordering> {
    if b.is_nan() {
        return None;
    }
    let whole = b.floor();
    if whole >= 9_223_372_036_854_775_808.0 {
        return Some(Ordering::Less);
    }
    if whole < -9_223_372_036_854_775_808.0 {
        return Some(Ordering::Greater);
    }
    // In range, so the conversion is exact.
    let order = a.cmp(&(whole as i64));
    Some(if order == Ordering::Equal && b > whole { Ordering::Less } else { order })
}

/// The shortest digits that read back equal; an exponent from 1e16 on and below 1e-4.
pub(crate) fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// Python's quotes: single ones, unless the text has those and no double ones.
pub(crate) fn text_repr(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push(quote);
}

/// Python's `str.isprintable` of one character. Rust escapes the same characters, except that it also
/// escapes combining marks at the beginning of a text, hence the letter before.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    let text: String = ['a', c].iter().collect();
    text.escape_debug().count() == 2
}
