//! Filters on texts and conversions.

use super::{Renderer, expressions::Args, methods};
use crate::{
    error::{Fault, Result},
    format, json,
    value::Value,
};

impl Renderer<'_> {
    pub(super) fn text_filter(&mut self, name: &str, value: Value, args: Args) -> Result<Value> {
        match name {
            "tojson" => self.tojson(&value, args),
            "string" => {
                args.bind::<0>(name, [], 0)?;
                let text = self.str_of(&value)?;
                Ok(Value::text(text))
            }
            "upper" | "lower" | "capitalize" => {
                args.bind::<0>(name, [], 0)?;
                let text = self.str_of(&value)?;
                let made = methods::cased(&text, name)?;
                self.text(made)
            }
            "title" => {
                args.bind::<0>(name, [], 0)?;
                let text = self.str_of(&value)?;
                self.text(title(&text))
            }
            "trim" => {
                let [letters] = args.bind(name, ["chars"], 0)?;
                let text = self.str_of(&value)?;
                let made = methods::stripped(&text, "strip", &letters.unwrap_or(Value::None))?.to_owned();
                self.text(made)
            }
            "join" => {
                let [separator, attribute] = args.bind(name, ["d", "attribute"], 0)?;
                let items = match attribute.filter(|attribute| !matches!(attribute, Value::None)) {
                    Some(attribute) => {
                        let named = vec![("attribute".to_owned(), attribute)];
                        let mapped = self.filter("map", value, Args { positional: Vec::new(), named })?;
                        self.items_of(&mapped)?
                    }
                    None => self.items_of(&value)?,
                };
                let separator = self.str_of(&separator.unwrap_or_else(|| Value::text("")))?;
                self.joined(&items, &separator)
            }
            "replace" => {
                let [old, new, count] = args.bind(name, ["old", "new", "count"], 2)?;
                let text = self.str_of(&value)?;
                let old = self.str_of(&old.unwrap_or(Value::None))?;
                let new = self.str_of(&new.unwrap_or(Value::None))?;
                self.replaced(&text, &old, &new, count)
            }
            "indent" => self.indent(&value, args),
            "center" => {
                let [width] = args.bind(name, ["width"], 0)?;
                let text = self.str_of(&value)?;
                let width = width.as_ref().map_or(Some(80), Value::as_int);
                let width = width.ok_or_else(|| Fault::Operation("center takes a whole number".into()))?;
                self.padded(&text, "center", width, " ")
            }
            "truncate" => self.truncate(&value, args),
            "wordcount" => {
                let text = self.str_of(&value)?;
                let is_word = |c: char| c.is_alphanumeric() || c == '_';
                let words = text.split(|c| !is_word(c)).filter(|word| !word.is_empty()).count();
                Ok(Value::Int(words as i64))
            }
            "format" => {
                if !args.positional.is_empty() && !args.named.is_empty() {
                    return Fault::operation("can't handle positional and keyword arguments at the same time");
                }
                let text = self.str_of(&value)?;
                let given = if args.named.is_empty() {
                    Value::tuple(args.positional)?
                } else {
                    let pairs = args.named.into_iter().map(|(name, value)| (Value::text(name), value));
                    Value::dict(pairs.collect())?
                };
                self.step(given.size())?;
                let made = format::percent(&text, &given)?;
                self.text(made)
            }
            "int" => {
                let [default, base] = args.bind(name, ["default", "base"], 0)?;
                if base.is_some_and(|base| base.as_int() != Some(10)) {
                    return Fault::unsupported("int with another base than 10");
                }
                to_int(&value, default.unwrap_or(Value::Int(0)))
            }
            "float" => {
                let [default] = args.bind(name, ["default"], 0)?;
                to_float(&value, default.unwrap_or(Value::Float(0.0)))
            }
            "round" => round(&value, args),
            _ if super::filters::FILTERS.contains(&name) => Fault::unsupported(format!("the filter {name}")),
            _ => Fault::operation(format!("No filter named '{name}'.")),
        }
    }

    fn tojson(&mut self, value: &Value, args: Args) -> Result<Value> {
        let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
        let [ascii, indent, separators, sorted] = args.bind("tojson", names, 0)?;
        let indent = match indent {
            None | Some(Value::None) => None,
            Some(Value::Text(indent)) => Some(indent.to_string()),
            Some(indent) => {
                let width = indent.as_int().ok_or_else(|| Fault::Operation("indent is no whole number".into()))?;
                let width = usize::try_from(width).unwrap_or(0);
                self.charge_text(width as u64)?;
                Some(" ".repeat(width))
            }
        };
        let (item_separator, key_separator) = match separators {
            None | Some(Value::None) => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
            Some(separators) => match &self.items_of(&separators)?[..] {
                [Value::Text(item), Value::Text(key)] => (item.to_string(), key.to_string()),
                _ => return Fault::operation("separators are two texts"),
            },
        };
        let truth = |value: Option<Value>| value.is_some_and(|value| value.truth());
        let style = json::Style { ascii: truth(ascii), indent, item_separator, key_separator, sorted: truth(sorted) };
        let text = json::dumps(value, &style)?;
        self.text(text)
    }

    fn indent(&mut self, value: &Value, args: Args) -> Result<Value> {
        let [width, first, blank] = args.bind("indent", ["width", "first", "blank"], 0)?;
        let indention = match width.unwrap_or(Value::Int(4)) {
            Value::Text(text) => text.to_string(),
            width => {
                let width = width.as_int().ok_or_else(|| Fault::Operation("width is no whole number".into()))?;
                let width = usize::try_from(width).unwrap_or(0);
                self.charge_text(width as u64)?;
                " ".repeat(width)
            }
        };
        let Value::Text(text) = value else {
            return Fault::operation(format!("indent takes a text, not {}", value.type_name()));
        };
        let (first, blank) = (first.is_some_and(|v| v.truth()), blank.is_some_and(|v| v.truth()));
        let whole = format!("{text}\n");
        let lines = methods::lines(&whole, false);
        self.charge_text(whole.len() as u64 + (indention.len() as u64).saturating_mul(lines.len() as u64 + 1))?;
        let mut out = String::new();
        for (index, line) in lines.into_iter().enumerate() {
            out.push_str(if index > 0 { "\n" } else { "" });
            let indented = if index == 0 { first } else { blank || !line.is_empty() };
            out.push_str(if indented { &indention } else { "" });
            out.push_str(line);
        }
        Ok(Value::text(out))
    }

    fn truncate(&mut self, value: &Value, args: Args) -> Result<Value> {
        let [length, kill_words, end, leeway] = args.bind("truncate", ["length", "killwords", "end", "leeway"], 0)?;
        let whole = |value: Option<Value>, default: i64| match value {
            None | Some(Value::None) => Ok(default),
            Some(value) => value.as_int().ok_or_else(|| Fault::Operation("a whole number is expected".into())),
        };
        let (length, leeway) = (whole(length, 255)?, whole(leeway, 5)?);
        let end = self.str_of(&end.unwrap_or_else(|| Value::text("...")))?;
        let end_length = end.chars().count() as i64;
        if length < end_length || leeway < 0 {
            return Fault::operation(format!("expected length >= {end_length} and leeway >= 0"));
        }
        let text = self.str_of(value)?;
        if text.chars().count() as i64 <= length.saturating_add(leeway) {
            return self.text(text);
        }
        let kept: String = text.chars().take((length - end_length) as usize).collect();
        let kept = match kept.rsplit_once(' ') {
            Some((before, _)) if !kill_words.is_some_and(|kill| kill.truth()) => before.to_owned(),
            _ => kept,
        };
        self.text(kept + &end)
    }
}

/// Words begin after blanks, dashes and opening brackets.
fn title(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        let splits = crate::lexer::is_space(c) || matches!(c, '-' | '(' | '{' | '[' | '<');
        if inside && !splits {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = !splits;
    }
    out
}

fn to_int(value: &Value, default: Value) -> Result<Value> {
    let from_float = |number: f64| {
        if number.is_nan() || number.is_infinite() {
            Ok(default.clone())
        } else if number.abs() < 9e18 {
            Ok(Value::Int(number.trunc() as i64))
        } else {
            Fault::unsupported("a whole number beyond 64 bits")
        }
    };
    match value {
        Value::Undefined(words) => Err(Fault::Undefined(words.to_string())),
        Value::Float(number) if number.is_infinite() => Fault::operation("cannot convert float infinity to integer"),
        Value::Float(number) => from_float(*number),
        Value::Text(text) => {
            let text = plain_number(text)?;
            match text.parse::<i64>() {
                Ok(number) => Ok(Value::Int(number)),
                Err(_) => match python_float(&text) {
                    Some(number) => from_float(number),
                    None => Ok(default),
                },
            }
        }
        other => Ok(other.as_int().map_or(default, Value::Int)),
    }
}

fn to_float(value: &Value, default: Value) -> Result<Value> {
    Ok(match value {
        Value::Undefined(words) => return Err(Fault::Undefined(words.to_string())),
        Value::Float(_) => value.clone(),
        Value::Text(text) => python_float(&plain_number(text)?).map_or(default, Value::Float),
        other => other.as_int().map_or(default, |number| Value::Float(number as f64)),
    })
}

/// The text without blanks around it and single underscores between digits, as Python reads numbers.
fn plain_number(text: &str) -> Result<String> {
    let text = text.trim_matches(crate::lexer::is_space);
    if !text.is_ascii() && text.chars().any(char::is_numeric) {
        return Fault::unsupported("a number in digits beyond ASCII");
    }
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let between = |at: usize| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1));
    if bytes.iter().enumerate().any(|(at, c)| *c == b'_' && !between(at)) {
        return Ok(String::new()); // no number
    }
    Ok(text.replace('_', ""))
}

fn python_float(text: &str) -> Option<f64> {
    // Rust reads the same words for infinity and nan, in any case.
    text.parse().ok()
}

fn round(value: &Value, args: Args) -> Result<Value> {
    let [precision, method] = args.bind("round", ["precision", "method"], 0)?;
    let precision = precision.as_ref().map_or(Some(0), Value::as_int);
    let precision = precision.and_then(|precision| usize::try_from(precision).ok()).filter(|p| *p <= 300);
    let Some(precision) = precision else { return Fault::unsupported("round to such a precision") };
    let method = method.unwrap_or_else(|| Value::text("common"));
    match (value, method.as_text()) {
        (_, Some("common")) if value.as_int().is_some() => Ok(Value::Int(value.as_int().unwrap_or(0))),
        (Value::Float(number), Some("common")) if number.is_finite() => {
            // Both round the exact value, halves to even.
            Ok(format!("{number:.precision$}").parse().map_or(value.clone(), Value::Float))
        }
        (Value::Float(_) | Value::Int(_) | Value::Bool(_), Some(method @ ("ceil" | "floor"))) => {
            let number = match value {
                Value::Float(number) => *number,
                other => other.as_int().unwrap_or(0) as f64,
            };
            let scale = 10_f64.powi(precision as i32);
            let scaled = number * scale;
            Ok(Value::Float(if method == "ceil" { scaled.ceil() } else { scaled.floor() } / scale))
        }
        (Value::Undefined(words), _) => Err(Fault::Undefined(words.to_string())),
        _ => Fault::operation("round takes a number and common, ceil or floor"),
    }
}

pub(super) fn html_escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            c => out.push(c),
        }
    }
    out
}
