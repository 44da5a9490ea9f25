//! Methods of texts, lists, tuples and dicts.

use super::{Renderer, expressions::Args};
use crate::{
    error::{Fault, Result},
    format,
    lexer::is_space,
    value::{Value, View},
};

/// Line ends of Python's `splitlines`, beside `\r\n`.
const LINE_ENDS: [char; 10] =
    ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
/// Widest text that padding makes.
const WIDTH_MAX: i64 = 1 << 20;

impl Renderer<'_> {
    pub(super) fn method(&mut self, value: &Value, name: &str, args: Args) -> Result<Value> {
        self.step(value.size())?;
        match value {
            Value::Text(text) => self.text_method(text, name, args),
            Value::Dict(dict) => match name {
                "get" => {
                    let [key, default] = args.bind("get", ["key", "default"], 1)?;
                    let key = key.unwrap_or(Value::None);
                    key.check_hashable()?;
                    Ok(dict.get(&key).cloned().or(default).unwrap_or(Value::None))
                }
                "keys" | "values" | "items" | "copy" => {
                    args.bind::<0>(name, [], 0)?;
                    Ok(match name {
                        "keys" => Value::View(View::Keys, dict.clone()),
                        "values" => Value::View(View::Values, dict.clone()),
                        "items" => Value::View(View::Items, dict.clone()),
                        _ => value.clone(),
                    })
                }
                _ => Fault::unsupported(format!("the method {name} of a dict")),
            },
            Value::List(_) | Value::Tuple(_) | Value::Range(_) => {
                let items = self.items_of(value)?;
                match name {
                    "count" => {
                        let [wanted] = args.bind("count", ["value"], 1)?;
                        let wanted = wanted.unwrap_or(Value::None);
                        Ok(Value::Int(items.iter().filter(|item| item.equals(&wanted)).count() as i64))
                    }
                    "index" => {
                        let [wanted, start, stop] = args.bind("index", ["value", "start", "stop"], 1)?;
                        if start.or(stop).is_some() {
                            return Fault::unsupported("the start of index in a list");
                        }
                        let wanted = wanted.unwrap_or(Value::None);
                        match items.iter().position(|item| item.equals(&wanted)) {
                            Some(at) => Ok(Value::Int(at as i64)),
                            None => Fault::operation("the value is not in the list"),
                        }
                    }
                    "copy" => Ok(value.clone()),
                    _ => Fault::unsupported(format!("the method {name} of a list")),
                }
            }
            other => Fault::unsupported(format!("the method {name} of {}", other.with_article())),
        }
    }

    fn text_method(&mut self, text: &str, name: &str, args: Args) -> Result<Value> {
        let made = match name {
            "format" => {
                let cost =
                    args.positional.iter().chain(args.named.iter().map(|(_, value)| value)).map(Value::size).sum();
                self.step(cost)?;
                format::braces(text, &args.positional, &args.named)?
            }
            "strip" | "lstrip" | "rstrip" => {
                let [letters] = args.bind(name, ["chars"], 0)?;
                stripped(text, name, &letters.unwrap_or(Value::None))?.to_owned()
            }
            "replace" => {
                let [old, new, count] = args.bind(name, ["old", "new", "count"], 2)?;
                return self.replaced(text, &wanted(old)?, &wanted(new)?, count);
            }
            "join" => {
                let [items] = args.bind(name, ["iterable"], 1)?;
                let items = self.items_of(&items.unwrap_or(Value::None))?;
                if let Some(other) = items.iter().find(|item| item.as_text().is_none()) {
                    return Fault::operation(format!(
                        "sequence item: expected str instance, {} found",
                        other.type_name()
                    ));
                }
                return self.joined(&items, text);
            }
            "split" | "rsplit" => {
                let [separator, count] = args.bind(name, ["sep", "maxsplit"], 0)?;
                let count = count.as_ref().map_or(Some(-1), Value::as_int);
                let count = count.ok_or_else(|| Fault::Operation("maxsplit is no whole number".into()))?;
                let parts = split(text, separator.unwrap_or(Value::None), count, name == "rsplit")?;
                return self.texts(parts);
            }
            "splitlines" => {
                let [keep] = args.bind(name, ["keepends"], 0)?;
                let parts = lines(text, keep.is_some_and(|keep| keep.truth()));
                return self.texts(parts);
            }
            "partition" | "rpartition" => {
                let [separator] = args.bind(name, ["sep"], 1)?;
                let separator = wanted(separator)?;
                if separator.is_empty() {
                    return Fault::operation("empty separator");
                }
                let halves =
                    if name == "partition" { text.split_once(&*separator) } else { text.rsplit_once(&*separator) };
                let parts = match halves {
                    Some((before, after)) => [before, &separator, after],
                    None if name == "partition" => [text, "", ""],
                    None => ["", "", text],
                };
                self.charge_text(text.len() as u64)?;
                return Value::tuple(parts.into_iter().map(Value::text).collect());
            }
            "removeprefix" => {
                let [prefix] = args.bind(name, ["prefix"], 1)?;
                text.strip_prefix(&*wanted(prefix)?).unwrap_or(text).to_owned()
            }
            "removesuffix" => {
                let [suffix] = args.bind(name, ["suffix"], 1)?;
                text.strip_suffix(&*wanted(suffix)?).unwrap_or(text).to_owned()
            }
            "startswith" | "endswith" => {
                let [affix, start, end] = args.bind(name, ["affix", "start", "end"], 1)?;
                let part = part(text, start, end)?.map_or(String::new(), |(_, part)| part);
                return affixed(&part, name == "startswith", &affix.unwrap_or(Value::None)).map(Value::Bool);
            }
            "find" | "rfind" | "index" | "rindex" | "count" => {
                let [needle, start, end] = args.bind(name, ["sub", "start", "end"], 1)?;
                return search(text, name, &wanted(needle)?, start, end);
            }
            "center" | "ljust" | "rjust" => {
                let [width, fill] = args.bind(name, ["width", "fillchar"], 1)?;
                let width = width.as_ref().and_then(Value::as_int).unwrap_or(0);
                let fill = fill.map_or(Ok(" ".into()), |fill| wanted(Some(fill)))?;
                return self.padded(text, name, width, &fill);
            }
            "zfill" => {
                let [width] = args.bind(name, ["width"], 1)?;
                let width = width.as_ref().and_then(Value::as_int).unwrap_or(0);
                let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
                let rest = self.padded(digits, "rjust", width.saturating_sub(sign.len() as i64), "0")?;
                format!("{sign}{}", rest.as_text().unwrap_or_default())
            }
            _ => {
                // What is not followed here may take arguments, so that is said first.
                let answer = match kind_of(text, name)? {
                    Some(answer) => Value::Bool(answer),
                    None => Value::text(cased(text, name)?),
                };
                args.bind::<0>(name, [], 0)?;
                return match answer {
                    Value::Text(made) => self.text(made.to_string()),
                    other => Ok(other),
                };
            }
        };
        self.text(made)
    }

    pub(super) fn texts(&mut self, parts: Vec<&str>) -> Result<Value> {
        self.charge(parts.iter().map(|part| part.len() as u64 + super::VALUE_BYTES).sum())?;
        let parts = parts.into_iter().map(Value::text).collect();
        self.list(parts)
    }

    pub(super) fn joined(&mut self, items: &[Value], separator: &str) -> Result<Value> {
        let mut whole = String::new();
        for (index, item) in items.iter().enumerate() {
            let item = self.str_of(item)?;
            self.charge_text((whole.len() + separator.len() + item.len()) as u64 / 8)?;
            if (whole.len() + separator.len() + item.len()) as u64 > crate::value::TEXT_BYTES_MAX {
                return Err(Fault::Memory { limit: crate::value::TEXT_BYTES_MAX });
            }
            whole.push_str(if index > 0 { separator } else { "" });
            whole.push_str(&item);
        }
        self.text(whole)
    }

    pub(super) fn replaced(&mut self, text: &str, old: &str, new: &str, count: Option<Value>) -> Result<Value> {
        let count = match count {
            None | Some(Value::None) => -1,
            Some(count) => count.as_int().ok_or_else(|| Fault::Operation("count is no whole number".into()))?,
        };
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }.min(most);
        self.charge_text(text.len() as u64 + (found as u64).saturating_mul(new.len() as u64))?;
        Ok(Value::text(text.replacen(old, new, most)))
    }

    pub(super) fn padded(&mut self, text: &str, how: &str, width: i64, fill: &str) -> Result<Value> {
        if fill.chars().count() != 1 {
            return Fault::operation("The fill character must be exactly one character long");
        }
        if width > WIDTH_MAX {
            return Err(Fault::Memory { limit: WIDTH_MAX as u64 });
        }
        let width = usize::try_from(width).unwrap_or(0);
        let missing = width.saturating_sub(text.chars().count());
        // Python puts the odd one left where the width is odd.
        let left = match how {
            "ljust" => 0,
            "rjust" => missing,
            _ => missing / 2 + (missing & width & 1),
        };
        self.text(format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left)))
    }
}

fn wanted(value: Option<Value>) -> Result<std::sync::Arc<str>> {
    match value {
        Some(Value::Text(text)) => Ok(text),
        Some(other) => Fault::operation(format!("a text is expected, not {}", other.type_name())),
        None => Fault::operation("a text is expected"),
    }
}

pub(super) fn stripped<'a>(text: &'a str, how: &str, letters: &Value) -> Result<&'a str> {
    let is_stripped = |c: char| match letters {
        Value::Text(letters) => letters.contains(c),
        _ => is_space(c),
    };
    if !matches!(letters, Value::None | Value::Text(_)) {
        return Fault::operation(format!("{how} arg must be None or str"));
    }
    let text = if how == "rstrip" { text } else { text.trim_start_matches(is_stripped) };
    Ok(if how == "lstrip" { text } else { text.trim_end_matches(is_stripped) })
}

fn split(text: &str, separator: Value, count: i64, from_right: bool) -> Result<Vec<&str>> {
    let most = usize::try_from(count).map_or(usize::MAX, |count| count.saturating_add(1));
    let mut parts: Vec<&str> = match &separator {
        Value::Text(separator) if separator.is_empty() => return Fault::operation("empty separator"),
        Value::Text(separator) if from_right => text.rsplitn(most, &**separator).collect(),
        Value::Text(separator) => text.splitn(most, &**separator).collect(),
        Value::None => blank_split(text, most, from_right),
        other => return Fault::operation(format!("must be str or None, not {}", other.type_name())),
    };
    if from_right {
        parts.reverse();
    }
    Ok(parts)
}

/// Splits at runs of white space; what is left at the limit stays as it is. From the right, the parts come last first.
fn blank_split(text: &str, most: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = if from_right { text.trim_end_matches(is_space) } else { text.trim_start_matches(is_space) };
    while !rest.is_empty() {
        let cut = if parts.len() + 1 >= most {
            None
        } else if from_right {
            rest.char_indices().rev().find(|(_, c)| is_space(*c)).map(|(at, c)| (at + c.len_utf8(), at))
        } else {
            rest.char_indices().find(|(_, c)| is_space(*c)).map(|(at, _)| (at, at))
        };
        let Some((begin, end)) = cut else {
            parts.push(rest);
            break;
        };
        if from_right {
            parts.push(&rest[begin..]);
            rest = rest[..end].trim_end_matches(is_space);
        } else {
            parts.push(&rest[..begin]);
            rest = rest[end..].trim_start_matches(is_space);
        }
    }
    parts
}

pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(LINE_ENDS) {
        let end = if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        parts.push(&rest[..if keep_ends { at + end } else { at }]);
        rest = &rest[at + end..];
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}

/// `text[start:end]` with the place of its first character; `None` where `start` lies behind the text.
fn part(text: &str, start: Option<Value>, end: Option<Value>) -> Result<Option<(i64, String)>> {
    let bound = |given: Option<Value>| match given {
        None | Some(Value::None) => Ok(None),
        Some(value) => {
            value.as_int().map(Some).ok_or_else(|| Fault::Operation("slice indices must be integers".into()))
        }
    };
    let (start, end) = (bound(start)?, bound(end)?);
    if start.is_none() && end.is_none() {
        return Ok(Some((0, text.to_owned())));
    }
    let length = text.chars().count() as i64;
    let inside = |at: i64| if at < 0 { (at.saturating_add(length)).max(0) } else { at };
    let (start, end) = (inside(start.unwrap_or(0)), inside(end.unwrap_or(length)).min(length));
    if start > end {
        return Ok(None);
    }
    Ok(Some((start, text.chars().skip(start as usize).take((end - start) as usize).collect())))
}

fn affixed(part: &str, at_start: bool, affix: &Value) -> Result<bool> {
    let one = |affix: &Value| match affix {
        Value::Text(affix) if at_start => Ok(part.starts_with(&**affix)),
        Value::Text(affix) => Ok(part.ends_with(&**affix)),
        other => Fault::operation(format!("first arg must be str or a tuple of str, not {}", other.type_name())),
    };
    match affix {
        Value::Tuple(several) => several.iter().try_fold(false, |found, affix| Ok(found || one(affix)?)),
        affix => one(affix),
    }
}

fn search(text: &str, name: &str, needle: &str, start: Option<Value>, end: Option<Value>) -> Result<Value> {
    let part = part(text, start, end)?;
    if name == "count" {
        let count = part.map_or(0, |(_, part)| match needle {
            "" => part.chars().count() + 1,
            needle => part.matches(needle).count(),
        });
        return Ok(Value::Int(count as i64));
    }
    let found = part.and_then(|(offset, part)| {
        let at = if name.starts_with('r') { part.rfind(needle) } else { part.find(needle) }?;
        Some(offset + part[..at].chars().count() as i64)
    });
    match found {
        Some(at) => Ok(Value::Int(at)),
        None if name.ends_with("find") => Ok(Value::Int(-1)),
        None => Fault::operation("substring not found"),
    }
}

/// `isdigit` and its like; nothing where the name is another method.
fn kind_of(text: &str, name: &str) -> Result<Option<bool>> {
    let all = |is: fn(char) -> bool| !text.is_empty() && text.chars().all(is);
    Ok(Some(match name {
        "isascii" => text.is_ascii(),
        "isspace" => all(is_space),
        "isalpha" => all(char::is_alphabetic),
        "isalnum" => all(char::is_alphanumeric),
        "islower" => is_lower(text),
        "isupper" => text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase),
        "isdigit" | "isdecimal" | "isnumeric" => {
            if text.is_ascii() || text.chars().any(|c| c.is_ascii() && !c.is_ascii_digit()) {
                all(|c| c.is_ascii_digit())
            } else {
                return Fault::unsupported(format!("{name} of characters beyond ASCII"));
            }
        }
        _ => return Ok(None),
    }))
}

pub(super) fn is_lower(text: &str) -> bool {
    text.chars().any(char::is_lowercase) && !text.chars().any(char::is_uppercase)
}

pub(super) fn cased(text: &str, name: &str) -> Result<String> {
    Ok(match name {
        "upper" => text.to_uppercase(),
        "lower" => text.to_lowercase(),
        "casefold" if text.is_ascii() => text.to_lowercase(),
        "swapcase" if text.is_ascii() => {
            let swap = |c: char| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() };
            text.chars().map(swap).collect()
        }
        "capitalize" => {
            let mut rest = text.chars();
            rest.next().map_or(String::new(), |first| title_case(first) + &rest.as_str().to_lowercase())
        }
        "title" => {
            let mut out = String::new();
            let mut inside = false;
            for c in text.chars() {
                if inside {
                    out.extend(c.to_lowercase());
                } else {
                    out.push_str(&title_case(c));
                }
                inside = c.is_lowercase() || c.is_uppercase() || is_title(c);
            }
            out
        }
        "casefold" | "swapcase" => return Fault::unsupported(format!("{name} of characters beyond ASCII")),
        _ => return Fault::unsupported(format!("the method {name} of a text")),
    })
}

fn is_title(c: char) -> bool {
    matches!(c, '\u{1c5}' | '\u{1c8}' | '\u{1cb}' | '\u{1f2}')
}

/// Upper case for the beginning of a word: of two letters in one only the first is large.
pub(super) fn title_case(c: char) -> String {
    match c {
        '\u{1c4}'..='\u{1c6}' => "\u{1c5}".into(),
        '\u{1c7}'..='\u{1c9}' => "\u{1c8}".into(),
        '\u{1ca}'..='\u{1cc}' => "\u{1cb}".into(),
        '\u{1f1}'..='\u{1f3}' => "\u{1f2}".into(),
        c => {
            let mut upper = c.to_uppercase();
            let first: String = upper.next().into_iter().collect();
            first + &upper.flat_map(char::to_lowercase).collect::<String>()
        }
    }
}
