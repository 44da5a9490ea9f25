//! `tojson` as transformers defines it: Python's `json.dumps` without escaping for HTML.

use crate::{
    error::{Fault, Result},
    value::{TEXT_BYTES_MAX, Value, float_repr},
};

/// How a value is written.
pub(crate) struct Style {
    pub(crate) ascii: bool,
    /// What one level is indented by; nothing writes all on one line.
    pub(crate) indent: Option<String>,
    pub(crate) item_separator: String,
    pub(crate) key_separator: String,
    pub(crate) sorted: bool,
}

pub(crate) fn dumps(value: &Value, style: &Style) -> Result<String> {
    let mut out = String::new();
    write(value, style, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, style: &Style, level: usize, out: &mut String) -> Result<()> {
    if out.len() as u64 > TEXT_BYTES_MAX {
        return Err(Fault::Memory { limit: TEXT_BYTES_MAX });
    }
    match value {
        Value::Text(text) => quoted(text, style.ascii, out),
        Value::List(items) | Value::Tuple(items) => {
            let mut list = Bracketed::new(style, level, ['[', ']']);
            for item in items.iter() {
                list.next(out)?;
                write(item, style, level + 1, out)?;
            }
            list.end(out)?;
        }
        Value::Dict(dict) => {
            let mut pairs: Vec<&(Value, Value)> = dict.pairs().iter().collect();
            if style.sorted {
                sort(&mut pairs)?;
            }
            let mut list = Bracketed::new(style, level, ['{', '}']);
            for (key, value) in pairs {
                list.next(out)?;
                quoted(&key_text(key)?, style.ascii, out);
                out.push_str(&style.key_separator);
                write(value, style, level + 1, out)?;
            }
            list.end(out)?;
        }
        other => out.push_str(&scalar(other)?),
    }
    Ok(())
}

fn scalar(value: &Value) -> Result<String> {
    Ok(match value {
        Value::None => "null".into(),
        Value::Bool(true) => "true".into(),
        Value::Bool(false) => "false".into(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) if number.is_nan() => "NaN".into(),
        Value::Float(number) if number.is_infinite() => if *number > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        Value::Float(number) => float_repr(*number),
        other => {
            return Fault::operation(format!("Object of type {} is not JSON serializable", other.type_name()));
        }
    })
}

fn key_text(key: &Value) -> Result<String> {
    match key {
        Value::Text(text) => Ok(text.to_string()),
        Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) => scalar(key),
        other => Fault::operation(format!("keys must be str, int, float, bool or None, not {}", other.type_name())),
    }
}

fn sort(pairs: &mut [&(Value, Value)]) -> Result<()> {
    let mut fault = None;
    pairs.sort_by(|(a, _), (b, _)| match a.order(b) {
        Ok(order) => order.unwrap_or(std::cmp::Ordering::Equal),
        Err(given) => {
            fault.get_or_insert(given);
            std::cmp::Ordering::Equal
        }
    });
    fault.map_or(Ok(()), Err)
}

/// The brackets and separators around items.
struct Bracketed<'a> {
    style: &'a Style,
    level: usize,
    brackets: [char; 2],
    count: usize,
}

impl<'a> Bracketed<'a> {
    fn new(style: &'a Style, level: usize, brackets: [char; 2]) -> Self {
        Self { style, level, brackets, count: 0 }
    }

    fn next(&mut self, out: &mut String) -> Result<()> {
        if self.count == 0 {
            out.push(self.brackets[0]);
        } else {
            out.push_str(&self.style.item_separator);
        }
        self.count += 1;
        self.line(self.level + 1, out)
    }

    fn end(self, out: &mut String) -> Result<()> {
        if self.count == 0 {
            out.push(self.brackets[0]);
        } else {
            self.line(self.level, out)?;
        }
        out.push(self.brackets[1]);
        Ok(())
    }

    fn line(&self, level: usize, out: &mut String) -> Result<()> {
        let Some(indent) = &self.style.indent else { return Ok(()) };
        if (indent.len() as u64).saturating_mul(level as u64) > TEXT_BYTES_MAX {
            return Err(Fault::Memory { limit: TEXT_BYTES_MAX });
        }
        out.push('\n');
        out.push_str(&indent.repeat(level));
        Ok(())
    }
}

fn quoted(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
