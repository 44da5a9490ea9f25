//! Python's `%` operator and `str.format`.
//!
//! Promise: the text that Python gives, or a fault. Widths and precisions are bounded.

use crate::{
    error::{Fault, Result},
    value::{Value, float_repr},
};

/// Widest field, and most digits behind the point.
const WIDTH_MAX: usize = 10_000;

/// How a value is laid out.
#[derive(Clone, Debug, Default)]
struct Spec {
    fill: Option<char>,
    /// `<`, `>`, `^` or `=`
    align: Option<char>,
    sign: Option<char>,
    alternate: bool,
    width: usize,
    group: Option<char>,
    precision: Option<usize>,
    kind: Option<char>,
}

/// `text % value`
pub(crate) fn percent(text: &str, value: &Value) -> Result<String> {
    let tuple;
    let positional: &[Value] = match value {
        Value::Tuple(items) => items,
        other => {
            tuple = [other.clone()];
            &tuple
        }
    };
    let mut arguments = positional.iter();
    let mut used_names = false;
    let mut out = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut named = None;
        if rest.next_if_eq(&'(').is_some() {
            let name: String = rest.by_ref().take_while(|c| *c != ')').collect();
            let Value::Dict(dict) = value else { return Fault::operation("format requires a mapping") };
            let found = dict.get_text(&name).ok_or_else(|| Fault::Operation(format!("KeyError: '{name}'")))?;
            named = Some(found.clone());
            used_names = true;
        }
        let mut spec = Spec::default();
        let mut zero = false;
        while let Some(flag) = rest.next_if(|c| matches!(c, '-' | '+' | ' ' | '#' | '0')) {
            match flag {
                '-' => spec.align = Some('<'),
                '+' => spec.sign = Some('+'),
                ' ' => spec.sign = spec.sign.or(Some(' ')),
                '#' => spec.alternate = true,
                _ => zero = true,
            }
        }
        let mut count = |rest: &mut std::iter::Peekable<std::str::Chars>| -> Result<Option<i64>> {
            if rest.next_if_eq(&'*').is_some() {
                let given = arguments.next().and_then(Value::as_int);
                return given.map(Some).ok_or_else(|| Fault::Operation("* wants int".into()));
            }
            digits(rest)
        };
        if let Some(width) = count(&mut rest)? {
            if width < 0 {
                spec.align = Some('<');
            }
            spec.width = bounded(width.unsigned_abs())?;
        }
        if rest.next_if_eq(&'.').is_some() {
            let precision = count(&mut rest)?.unwrap_or(0);
            spec.precision = Some(bounded(u64::try_from(precision).unwrap_or(0))?);
        }
        while rest.next_if(|c| matches!(c, 'h' | 'l' | 'L')).is_some() {}
        let kind = rest.next().ok_or_else(|| Fault::Operation("incomplete format".into()))?;
        if kind == '%' {
            out.push('%');
            continue;
        }
        let argument = match named {
            Some(argument) => argument,
            None => arguments
                .next()
                .cloned()
                .ok_or_else(|| Fault::Operation("not enough arguments for format string".into()))?,
        };
        let is_number = matches!(kind, 'd' | 'i' | 'u' | 'o' | 'x' | 'X' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G');
        if zero && is_number && spec.align.is_none() {
            spec.align = Some('=');
            spec.fill = Some('0');
        }
        spec.align = spec.align.or(Some('>'));
        out.push_str(&converted(&argument, kind, &spec)?);
    }
    let left_over = arguments.next().is_some() && !used_names && !matches!(value, Value::Dict(_) | Value::List(_));
    if left_over {
        return Fault::operation("not all arguments converted during string formatting");
    }
    Ok(out)
}

fn converted(value: &Value, kind: char, spec: &Spec) -> Result<String> {
    let mut text = String::new();
    match kind {
        's' => value.print(&mut text)?,
        'r' => value.repr(&mut text)?,
        'd' | 'i' | 'u' => {
            let number = match value {
                Value::Float(number) if number.abs() < 9e18 => Some(number.trunc() as i64),
                Value::Float(_) => return Fault::unsupported("a whole number beyond 64 bits"),
                other => other.as_int(),
            };
            let number = number.ok_or_else(|| {
                Fault::Operation(format!("%{kind} format: a real number is required, not {}", value.type_name()))
            })?;
            let digits = number.unsigned_abs().to_string();
            let least = spec.precision.unwrap_or(0).saturating_sub(digits.len());
            return number_laid_out(number < 0, "", &("0".repeat(least) + &digits), spec);
        }
        'o' | 'x' | 'X' => {
            let number = value.as_int().ok_or_else(|| {
                Fault::Operation(format!("%{kind} format: an integer is required, not {}", value.type_name()))
            })?;
            return radix(number, kind, spec);
        }
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => return float(to_float(value)?, kind, spec),
        'c' => match value {
            Value::Text(c) if c.chars().count() == 1 => text.push_str(c),
            Value::Int(_) | Value::Bool(_) => text.push(character(value.as_int().unwrap_or(-1))?),
            _ => return Fault::operation("%c requires int or char"),
        },
        'a' => return Fault::unsupported("the format %a"),
        other => return Fault::operation(format!("unsupported format character '{other}'")),
    }
    let kept = match spec.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    Ok(padded(&kept, spec, '>'))
}

/// Python's `chr`.
fn character(code: i64) -> Result<char> {
    match u32::try_from(code).ok().filter(|code| *code <= u32::from(char::MAX)) {
        None => Fault::operation("%c arg not in range(0x110000)"),
        Some(code) => char::from_u32(code).ok_or_else(|| Fault::Unsupported("half of a character pair".into())),
    }
}

/// `text.format(*positional, **named)`
pub(crate) fn braces(text: &str, positional: &[Value], named: &[(String, Value)]) -> Result<String> {
    let mut out = String::new();
    let mut automatic = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '{' if rest.next_if_eq(&'{').is_some() => out.push('{'),
            '}' if rest.next_if_eq(&'}').is_some() => out.push('}'),
            '}' => return Fault::operation("Single '}' encountered in format string"),
            '{' => {
                let field: String = rest.by_ref().take_while(|c| *c != '}').collect();
                if field.contains('{') {
                    return Fault::unsupported("a field inside a field of format");
                }
                out.push_str(&replaced(&field, positional, named, &mut automatic)?);
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn replaced(field: &str, positional: &[Value], named: &[(String, Value)], automatic: &mut usize) -> Result<String> {
    let (head, spec) = field.split_once(':').unwrap_or((field, ""));
    let (name, conversion) = head.split_once('!').map_or((head, None), |(name, how)| (name, Some(how)));
    if name.contains(['.', '[']) {
        return Fault::unsupported("an attribute in a field of format");
    }
    let value = if name.is_empty() {
        *automatic += 1;
        positional.get(*automatic - 1)
    } else if let Ok(index) = name.parse::<usize>() {
        if *automatic > 0 {
            return Fault::operation("cannot switch from automatic field numbering to manual field specification");
        }
        positional.get(index)
    } else {
        named.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    };
    let value = value.ok_or_else(|| Fault::Operation(format!("format has no argument for {{{name}}}")))?;
    let mut text = String::new();
    match conversion {
        None => return formatted(value, spec),
        Some("s") => value.print(&mut text)?,
        Some("r") => value.repr(&mut text)?,
        Some(other) => return Fault::unsupported(format!("the conversion !{other}")),
    }
    formatted(&Value::text(text), spec)
}

/// Python's `format(value, spec)`.
fn formatted(value: &Value, spec: &str) -> Result<String> {
    let mut text = String::new();
    if spec.is_empty() {
        value.print(&mut text)?;
        return Ok(text);
    }
    let spec = parsed(spec)?;
    match (value, spec.kind) {
        (Value::Text(text), None | Some('s')) => {
            if spec.sign.is_some() || spec.alternate || spec.group.is_some() || spec.align == Some('=') {
                return Fault::operation("such a format is not allowed for texts");
            }
            let kept: String = text.chars().take(spec.precision.unwrap_or(usize::MAX)).collect();
            Ok(padded(&kept, &spec, '<'))
        }
        (Value::Int(_) | Value::Bool(_), None | Some('d')) if spec.precision.is_none() => {
            let number = value.as_int().unwrap_or(0);
            number_laid_out(number < 0, "", &number.unsigned_abs().to_string(), &spec)
        }
        (Value::Int(_) | Value::Bool(_), Some(kind @ ('x' | 'X' | 'o' | 'b'))) if spec.precision.is_none() => {
            radix(value.as_int().unwrap_or(0), kind, &spec)
        }
        (Value::Int(_) | Value::Bool(_) | Value::Float(_), Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%'))) => {
            float(to_float(value)?, kind, &spec)
        }
        (Value::Float(number), None) if spec.precision.is_none() => {
            let text = float_repr(number.abs());
            let negative = number.is_sign_negative() && !number.is_nan();
            number_laid_out(negative, "", &text, &spec)
        }
        (Value::Float(_), None) => Fault::unsupported("a precision without a kind of number"),
        _ => Fault::operation(format!("such a format is not allowed for {}", value.type_name())),
    }
}

fn parsed(text: &str) -> Result<Spec> {
    let mut spec = Spec::default();
    let mut rest = text.chars().peekable();
    let is_align = |c: char| matches!(c, '<' | '>' | '^' | '=');
    let mut ahead = text.chars();
    if let (Some(fill), Some(align)) = (ahead.next(), ahead.next().filter(|c| is_align(*c))) {
        (spec.fill, spec.align) = (Some(fill), Some(align));
        rest.nth(1);
    } else {
        spec.align = rest.next_if(|c| is_align(*c));
    }
    spec.sign = rest.next_if(|c| matches!(c, '+' | '-' | ' ')).filter(|c| *c != '-');
    spec.alternate = rest.next_if_eq(&'#').is_some();
    if rest.next_if_eq(&'0').is_some() {
        spec.fill = spec.fill.or(Some('0'));
        spec.align = spec.align.or(Some('='));
    }
    if let Some(width) = digits(&mut rest)? {
        spec.width = bounded(width.unsigned_abs())?;
    }
    spec.group = rest.next_if(|c| matches!(c, ',' | '_'));
    if rest.next_if_eq(&'.').is_some() {
        let precision =
            digits(&mut rest)?.ok_or_else(|| Fault::Operation("Format specifier missing precision".into()))?;
        spec.precision = Some(bounded(precision.unsigned_abs())?);
    }
    spec.kind = rest.next();
    if rest.next().is_some() {
        return Fault::operation(format!("Invalid format specifier '{text}'"));
    }
    Ok(spec)
}

fn digits(rest: &mut std::iter::Peekable<std::str::Chars>) -> Result<Option<i64>> {
    let mut text = String::new();
    while let Some(digit) = rest.next_if(char::is_ascii_digit) {
        text.push(digit);
    }
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Fault::Memory { limit: WIDTH_MAX as u64 })
}

fn bounded(count: u64) -> Result<usize> {
    if count > WIDTH_MAX as u64 {
        return Err(Fault::Memory { limit: WIDTH_MAX as u64 });
    }
    Ok(count as usize)
}

fn to_float(value: &Value) -> Result<f64> {
    match value {
        Value::Float(number) => Ok(*number),
        other => other
            .as_int()
            .map(|number| number as f64)
            .ok_or_else(|| Fault::Operation(format!("must be real number, not {}", other.type_name()))),
    }
}

fn radix(number: i64, kind: char, spec: &Spec) -> Result<String> {
    let size = number.unsigned_abs();
    let (prefix, text) = match kind {
        'x' => ("0x", format!("{size:x}")),
        'X' => ("0X", format!("{size:X}")),
        'o' => ("0o", format!("{size:o}")),
        _ => ("0b", format!("{size:b}")),
    };
    number_laid_out(number < 0, if spec.alternate { prefix } else { "" }, &text, spec)
}

/// The kinds `e`, `f`, `g` and `%`, with six digits unless told otherwise.
fn float(number: f64, kind: char, spec: &Spec) -> Result<String> {
    if spec.alternate {
        return Fault::unsupported("the flag # for floats");
    }
    let negative = number.is_sign_negative() && !number.is_nan();
    let size = number.abs();
    let precision = spec.precision.unwrap_or(6);
    let mut text = if size.is_nan() {
        "nan".to_owned()
    } else if size.is_infinite() {
        "inf".to_owned()
    } else {
        match kind {
            'e' | 'E' => exponential(size, precision),
            'g' | 'G' => general(size, precision.max(1)),
            '%' => format!("{:.precision$}", size * 100.0),
            _ => format!("{size:.precision$}"),
        }
    };
    if kind == '%' {
        text.push('%');
    }
    if kind.is_ascii_uppercase() {
        text = text.to_uppercase();
    }
    number_laid_out(negative, "", &text, spec)
}

/// The exponent has two digits at least.
fn exponential(size: f64, precision: usize) -> String {
    let text = format!("{size:.precision$e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// `precision` significant digits without trailing zeros, as a power of ten where that is shorter by C's rule.
fn general(size: f64, precision: usize) -> String {
    let scientific = format!("{size:.*e}", precision - 1);
    let exponent: i32 = scientific.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
    let trimmed = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if exponent < -4 || exponent >= precision as i32 {
        let text = exponential(size, precision - 1);
        let (digits, power) = text.split_once('e').unwrap_or((&text, "+00"));
        return format!("{}e{power}", trimmed(digits));
    }
    let behind = (precision as i32 - 1 - exponent).max(0) as usize;
    trimmed(&format!("{size:.behind$}"))
}

/// Sign, prefix, digits with their groups, and padding.
fn number_laid_out(negative: bool, prefix: &str, digits: &str, spec: &Spec) -> Result<String> {
    let sign = if negative { "-".to_owned() } else { spec.sign.map(String::from).unwrap_or_default() };
    let whole_len = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
    let mut text = digits.to_owned();
    if let Some(separator) = spec.group {
        if spec.align == Some('=') && spec.fill == Some('0') {
            return Fault::unsupported("groups of digits with zeros in front");
        }
        if !prefix.is_empty() || digits.contains('e') || matches!(spec.kind, Some('x' | 'X' | 'o' | 'b')) {
            return Fault::unsupported("groups of such digits");
        }
        let mut grouped = String::new();
        for (index, digit) in digits[..whole_len].chars().enumerate() {
            if index > 0 && (whole_len - index).is_multiple_of(3) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        text = grouped + &digits[whole_len..];
    }
    if spec.align == Some('=') {
        let used = sign.chars().count() + prefix.len() + text.chars().count();
        let fill = String::from(spec.fill.unwrap_or(' ')).repeat(spec.width.saturating_sub(used));
        return Ok(format!("{sign}{prefix}{fill}{text}"));
    }
    Ok(padded(&format!("{sign}{prefix}{text}"), spec, '>'))
}

fn padded(text: &str, spec: &Spec, default: char) -> String {
    let missing = spec.width.saturating_sub(text.chars().count());
    let fill = |count: usize| String::from(spec.fill.unwrap_or(' ')).repeat(count);
    match spec.align.unwrap_or(default) {
        '<' => format!("{text}{}", fill(missing)),
        '^' => format!("{}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
        _ => format!("{}{text}", fill(missing)),
    }
}
