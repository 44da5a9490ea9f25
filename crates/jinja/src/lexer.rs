//! From a template's text to tokens, white space control included.
//!
//! Promise: text between tags is what jinja2 gives with `trim_blocks`, `lstrip_blocks` and without
//! `keep_trailing_newline`.

use crate::error::{Error, Fault, Result};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Text(String),
    BlockBegin,
    BlockEnd,
    PrintBegin,
    PrintEnd,
    Name(String),
    Str(String),
    Int(i64),
    Float(f64),
    Op(&'static str),
}

impl Token {
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Text(_) => "text".into(),
            Self::BlockBegin => "{%".into(),
            Self::BlockEnd => "%}".into(),
            Self::PrintBegin => "{{".into(),
            Self::PrintEnd => "}}".into(),
            Self::Name(name) => name.clone(),
            Self::Str(text) => format!("{text:?}"),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Op(op) => (*op).into(),
        }
    }
}

/// Longest first where one begins another.
const OPERATORS: [&str; 26] = [
    "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=", ".",
    ":", "|", ",", ";",
];

pub(crate) fn tokens(source: &str) -> Result<Vec<(u32, Token)>, Error> {
    let mut source = source.replace("\r\n", "\n").replace('\r', "\n");
    if source.ends_with('\n') {
        source.pop();
    }
    let mut lexer = Lexer { rest: &source, line: 1, at_line_start: true, tokens: Vec::new() };
    match lexer.run() {
        Ok(()) => Ok(lexer.tokens),
        Err(fault) => Err(fault.at(lexer.line)),
    }
}

struct Lexer<'a> {
    rest: &'a str,
    line: u32,
    /// Whether what was read last ended with a line break.
    at_line_start: bool,
    tokens: Vec<(u32, Token)>,
}

/// The three kinds of tags.
#[derive(Clone, Copy, PartialEq)]
enum Tag {
    Block,
    Print,
    Comment,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<()> {
        while !self.rest.is_empty() {
            let Some((at, tag)) = next_tag(self.rest) else {
                let text = self.take(self.rest.len());
                self.push_text(text);
                return Ok(());
            };
            let text = &self.rest[..at];
            let after = &self.rest[at + 2..];
            let raw = (tag == Tag::Block).then(|| raw_begin(after)).flatten();
            let sign = after.chars().next().filter(|c| matches!(c, '-' | '+'));
            let kept = stripped(text, sign, tag, self.at_line_start);
            self.push_text(kept);
            self.take(at + 2 + usize::from(sign.is_some()));
            match (tag, raw) {
                (_, Some(length)) => {
                    self.take(length - usize::from(sign.is_some()));
                    self.raw()?;
                }
                (Tag::Comment, _) => {
                    let end = self.rest.find("#}").ok_or_else(|| syntax("a comment has no end"))?;
                    let trimmed = self.rest[..end].ends_with(['-', '+']).then(|| self.rest.as_bytes()[end - 1]);
                    self.take(end + 2);
                    self.after_tag(trimmed, true);
                }
                (Tag::Block, _) => {
                    self.push(Token::BlockBegin);
                    self.expression(Tag::Block)?;
                }
                (Tag::Print, _) => {
                    self.push(Token::PrintBegin);
                    self.expression(Tag::Print)?;
                }
            }
        }
        Ok(())
    }

    /// Moves on by `count` bytes, counting lines.
    fn take(&mut self, count: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(count);
        self.line += taken.matches('\n').count() as u32;
        if !taken.is_empty() {
            self.at_line_start = taken.ends_with('\n');
        }
        self.rest = rest;
        taken
    }

    fn push(&mut self, token: Token) {
        self.tokens.push((self.line, token));
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            self.push(Token::Text(text.to_owned()));
        }
    }

    /// White space after a tag: all of it after `-`, one line break after a block or comment.
    fn after_tag(&mut self, sign: Option<u8>, trims: bool) {
        match sign {
            Some(b'-') => {
                let blank = self.rest.len() - self.rest.trim_start_matches(is_space).len();
                self.take(blank);
            }
            None if trims && self.rest.starts_with('\n') => {
                self.take(1);
            }
            _ => {}
        }
    }

    /// Text up to `{% endraw %}`.
    fn raw(&mut self) -> Result<()> {
        let mut from = 0;
        loop {
            let found = self.rest[from..].find("{%").ok_or_else(|| syntax("raw has no end"))?;
            let at = from + found;
            let after = &self.rest[at + 2..];
            let sign = after.chars().next().filter(|c| matches!(c, '-' | '+'));
            let inner = after[usize::from(sign.is_some())..].trim_start_matches(is_space);
            let close = inner.strip_prefix("endraw").map(|rest| rest.trim_start_matches(is_space));
            let closing = close.and_then(|close| {
                let end = close.chars().next().filter(|c| matches!(c, '-' | '+'));
                close[usize::from(end.is_some())..].strip_prefix("%}").map(|rest| (end, rest.len()))
            });
            if let Some((end, rest_len)) = closing {
                let text = stripped(&self.rest[..at], sign, Tag::Block, self.at_line_start);
                self.push_text(text);
                self.take(self.rest.len() - rest_len);
                self.after_tag(end.map(|c| c as u8), true);
                return Ok(());
            }
            from = at + 2;
        }
    }

    /// Tokens up to the end of the tag.
    fn expression(&mut self, tag: Tag) -> Result<()> {
        let mut open = Vec::new();
        loop {
            let blank = self.rest.len() - self.rest.trim_start_matches(is_space).len();
            self.take(blank);
            if open.is_empty()
                && let Some((sign, length)) = tag_end(self.rest, tag)
            {
                self.push(if tag == Tag::Block { Token::BlockEnd } else { Token::PrintEnd });
                self.take(length);
                self.after_tag(sign, tag == Tag::Block);
                return Ok(());
            }
            let token = self.token()?;
            if let Token::Op(op) = token {
                match op {
                    "(" | "[" | "{" => open.push(op),
                    ")" | "]" | "}" => {
                        let expected = match open.pop() {
                            Some("(") => ")",
                            Some("[") => "]",
                            Some("{") => "}",
                            _ => return Err(syntax(&format!("unexpected {op}"))),
                        };
                        if expected != op {
                            return Err(syntax(&format!("unexpected {op}, expected {expected}")));
                        }
                    }
                    _ => {}
                }
            }
            self.push(token);
        }
    }

    fn token(&mut self) -> Result<Token> {
        let first = self.rest.chars().next().ok_or_else(|| syntax("the template ends inside a tag"))?;
        if first.is_alphabetic() || first == '_' {
            let end = self.rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(self.rest.len());
            return Ok(Token::Name(self.take(end).to_owned()));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if matches!(first, '"' | '\'') {
            return self.string(first);
        }
        let op = OPERATORS.into_iter().find(|op| self.rest.starts_with(op));
        let op = op.ok_or_else(|| syntax(&format!("unexpected character {first:?}")))?;
        self.take(op.len());
        Ok(Token::Op(op))
    }

    fn number(&mut self) -> Result<Token> {
        // `list.0.1` has two places and no float.
        let is_place = matches!(self.tokens.last(), Some((_, Token::Op("."))));
        let length = if is_place {
            self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len())
        } else {
            number_length(self.rest)
        };
        let text = self.take(length).replace('_', "").to_ascii_lowercase();
        let radix = |prefix: &str, radix| text.strip_prefix(prefix).map(|digits| i64::from_str_radix(digits, radix));
        let whole = radix("0x", 16).or_else(|| radix("0o", 8)).or_else(|| radix("0b", 2));
        if let Some(whole) = whole {
            return whole.map(Token::Int).map_err(|_| Fault::Unsupported(format!("the number {text}")));
        }
        if text.contains(['.', 'e']) {
            return text.parse().map(Token::Float).map_err(|_| syntax(&format!("{text} is no number")));
        }
        text.parse().map(Token::Int).map_err(|_| Fault::Unsupported(format!("the number {text}")))
    }

    fn string(&mut self, quote: char) -> Result<Token> {
        let mut escaped = false;
        for (at, c) in self.rest.char_indices().skip(1) {
            if escaped {
                escaped = false;
            } else if c == '\\' {
                escaped = true;
            } else if c == quote {
                let inner = self.take(at + 1);
                return Ok(Token::Str(unescaped(&inner[1..at])?));
            }
        }
        Err(syntax("a text has no closing quote"))
    }
}

fn syntax(text: &str) -> Fault {
    Fault::Syntax(text.to_owned())
}

/// Python's `str.isspace`, which takes four control characters more than Unicode's white space.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}')
}

fn next_tag(text: &str) -> Option<(usize, Tag)> {
    text.char_indices().find_map(|(at, c)| {
        let tag = match (c, text.as_bytes().get(at + 1)?) {
            ('{', b'%') => Tag::Block,
            ('{', b'{') => Tag::Print,
            ('{', b'#') => Tag::Comment,
            _ => return None,
        };
        Some((at, tag))
    })
}

/// The text before a tag, without what the tag strips.
fn stripped(text: &str, sign: Option<char>, tag: Tag, at_line_start: bool) -> &str {
    if sign == Some('-') {
        return text.trim_end_matches(is_space);
    }
    if sign == Some('+') || tag == Tag::Print {
        return text;
    }
    let line = text.rfind('\n').map_or(0, |at| at + 1);
    let whole_line = line > 0 || at_line_start;
    if whole_line && text[line..].chars().all(is_space) { &text[..line] } else { text }
}

/// Length of `[sign] raw %}` with the white space that it strips, after `{%`.
fn raw_begin(after: &str) -> Option<usize> {
    let inner = after.strip_prefix(['-', '+']).unwrap_or(after).trim_start_matches(is_space);
    let close = inner.strip_prefix("raw")?.trim_start_matches(is_space);
    let rest = match close.strip_prefix("-%}") {
        Some(rest) => rest.trim_start_matches(is_space),
        None => close.strip_prefix("%}")?,
    };
    Some(after.len() - rest.len())
}

fn tag_end(text: &str, tag: Tag) -> Option<(Option<u8>, usize)> {
    let end = if tag == Tag::Block { "%}" } else { "}}" };
    if text.starts_with(end) {
        return Some((None, 2));
    }
    let sign = text.bytes().next().filter(|sign| *sign == b'-' || (*sign == b'+' && tag == Tag::Block))?;
    text[1..].starts_with(end).then_some((Some(sign), 3))
}

/// Bytes of the number at the start of a text: `12`, `1_000`, `0x1f`, `1.5`, `2e-3`.
fn number_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let mut at = from;
        while is_digit(at) || (bytes.get(at) == Some(&b'_') && at > from && is_digit(at + 1)) {
            at += 1;
        }
        at
    };
    if bytes[0] == b'0' && matches!(bytes.get(1), Some(b'x' | b'X' | b'o' | b'O' | b'b' | b'B')) {
        return text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    }
    let mut end = digits(0);
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

/// Python's backslash escapes.
fn unescaped(text: &str) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            None => out.push('\\'),
            Some('\n') => {}
            Some(c @ ('\\' | '\'' | '"')) => out.push(c),
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('a') => out.push('\u{7}'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('v') => out.push('\u{b}'),
            Some('x') => out.push(code_point(&mut rest, 2)?),
            Some('u') => out.push(code_point(&mut rest, 4)?),
            Some('U') => out.push(code_point(&mut rest, 8)?),
            Some('N') => return Err(Fault::Unsupported("the escape \\N{...}".into())),
            Some(first @ '0'..='7') => {
                let mut code = first.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let mut ahead = rest.clone();
                    let Some(digit) = ahead.next().and_then(|c| c.to_digit(8)) else { break };
                    code = code * 8 + digit;
                    rest = ahead;
                }
                out.push(char::from_u32(code).ok_or_else(|| syntax("an escape names no character"))?);
            }
            Some(other) => {
                out.push('\\');
                out.push(other);
            }
        }
    }
    Ok(out)
}

fn code_point(rest: &mut std::str::Chars, digits: usize) -> Result<char> {
    let text: String = rest.take(digits).collect();
    let code = (text.len() == digits).then(|| u32::from_str_radix(&text, 16).ok()).flatten();
    code.and_then(char::from_u32).ok_or_else(|| syntax("an escape names no character"))
}
