//! The body of an answer: a result, or a node's refusal in one of the many forms that refusals have.
//!
//! Promise: whatever words a node or a gateway before it gives are found and told; a refusal is never read as a result,
//! nor the answer to another question as the answer to ours. What is temporary, by code or words, is told from the rest.

use alloy_primitives::{Bytes, hex};
use serde_json::{Map, Value};

use crate::revert::shown;
use crate::{ChainError, Revert};

/// Names under which programs put their words.
const WORDS: [&str; 11] = [
    "message",
    "msg",
    "error_message",
    "errorMessage",
    "error_description",
    "detail",
    "details",
    "description",
    "reason",
    "title",
    "statusText",
];
/// Names under which they put a number for it.
const CODES: [&str; 5] = ["code", "error_code", "errorCode", "statusCode", "status"];
/// What a body without a word is called.
pub(super) const EMPTY: &str = "an empty answer";
/// Levels down which words are looked for.
const DEPTH_MAX: usize = 3;
/// Codes of providers for too many questions: EIP-1474's, and those of gateways.
const BUSY_CODES: [i64; 6] = [429, -32_005, -32_007, -32_029, -32_097, -32_098];
/// Words for what may be gone when asked again.
const BUSY_WORDS: [&str; 34] = [
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate exceeded",
    "request rate",
    "too many requests",
    "too many concurrent",
    "too many connections",
    "request limit",
    "requests limit",
    "request count",
    "per second limit",
    "requests per second",
    "quota",
    "capacity exceeded",
    "exceeded its",
    "compute units",
    "throughput",
    "throttl",
    "try again later",
    "retry later",
    "please retry",
    "temporarily",
    "overload",
    "server busy",
    "server is busy",
    "too busy",
    "timed out",
    "timeout",
    "unavailable",
    "bad gateway",
    "upstream",
    "connection reset",
    "header not found",
];
/// Words for a question that asks for too much, which no second try mends.
const TOO_WIDE_WORDS: [&str; 7] =
    ["block range", "results", "response size", "range too", "range is too", "limit the query", "logs matched"];

/// A refusal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RpcError {
    /// The number for it, if there is one.
    pub(super) code: Option<i64>,
    pub(super) message: String,
    pub(super) data: Value,
}

/// What a body says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// The result.
    Result(Value),
    /// A refusal.
    Refused(RpcError),
    /// The answer to another question.
    Misplaced(String),
    /// Neither, with what it is.
    Other(String),
}

impl Said {
    /// Reads the body of an answer to question `id`.
    pub(super) fn read(body: &[u8], id: u64) -> Self {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        match serde_json::from_slice(body) {
            Ok(value) => Self::of(value, id),
            Err(_) => Self::Other(words_of_page(&String::from_utf8_lossy(body))),
        }
    }

    fn of(value: Value, id: u64) -> Self {
        match value {
            Value::Object(fields) => Self::of_object(fields, id),
            // The answer to a batch of one.
            Value::Array(mut answers) => {
                let ours = answers.iter().position(|answer| answer.get("id").is_some_and(|given| is_id(given, id)));
                match (ours, answers.len()) {
                    (Some(place), _) => Self::of(answers.swap_remove(place), id),
                    (None, 1) if answers[0].is_object() => Self::of(answers.swap_remove(0), id),
                    (None, count) => Self::Other(format!("a list of {count} answers, none of them to our question")),
                }
            }
            Value::String(words) if !words.trim().is_empty() => Self::Refused(RpcError::in_words(words)),
            other => Self::Other(other.to_string()),
        }
    }

    fn of_object(mut fields: Map<String, Value>, id: u64) -> Self {
        let is_rpc = fields.contains_key("jsonrpc");
        let is_answer = is_rpc || fields.contains_key("result");
        let given = fields.get("id").filter(|given| !given.is_null());
        if let Some(given) = given.filter(|given| is_answer && !is_id(given, id)) {
            return Self::Misplaced(format!("the answer to another question (id {given} instead of {id})"));
        }
        if let Some(error) = error_of(&fields) {
            return Self::Refused(error);
        }
        // Some gateways put their refusal into the result.
        let is_excuse = !is_rpc && fields.contains_key("message") && fields.get("result").is_some_and(Value::is_string);
        match fields.remove("result") {
            Some(excuse) if is_excuse => {
                let mut error = RpcError::of(&fields, 0);
                error.message = format!("{}: {}", error.message, excuse.as_str().unwrap_or_default());
                Self::Refused(error)
            }
            Some(result) => Self::Result(result),
            None if WORDS.iter().any(|name| fields.get(*name).is_some_and(has_words)) => {
                Self::Refused(RpcError::of(&fields, 0))
            }
            None => Self::Other(format!("neither a result nor an error: {}", Value::Object(fields))),
        }
    }
}

/// Whether an answer names our question; some write the number as text.
fn is_id(given: &Value, id: u64) -> bool {
    given.as_u64() == Some(id) || given.as_str() == Some(id.to_string().as_str())
}

fn has_words(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

/// The refusal in an answer's `error` or `errors`.
fn error_of(fields: &Map<String, Value>) -> Option<RpcError> {
    let first = |list: &Value| list.as_array().and_then(|list| list.first()).cloned();
    let error = match fields.get("error") {
        Some(list @ Value::Array(_)) => first(list),
        Some(error) => Some(error.clone()),
        None => fields.get("errors").and_then(first),
    };
    match error? {
        Value::Null | Value::Bool(false) => None,
        Value::String(words) if words.trim().is_empty() && fields.contains_key("result") => None,
        Value::String(words) => {
            // A short name for it, with the words beside it.
            let beside = RpcError::of(fields, 0);
            let is_named = WORDS.iter().any(|name| fields.get(*name).is_some_and(has_words));
            let message = if is_named { format!("{words}: {}", beside.message) } else { words };
            Some(RpcError { message, ..beside })
        }
        Value::Object(error) => Some(RpcError::of(&error, 0)),
        Value::Number(code) => Some(RpcError { code: code.as_i64(), ..RpcError::of(fields, 0) }),
        Value::Bool(true) => Some(RpcError::of(fields, 0)),
        other => Some(RpcError::in_words(other.to_string())),
    }
}

impl RpcError {
    /// A refusal in words alone.
    pub(super) fn in_words(message: String) -> Self {
        Self { code: None, message, data: Value::Null }
    }

    /// A refusal from an object with words, a code and data, or with such an object inside.
    fn of(fields: &Map<String, Value>, depth: usize) -> Self {
        let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
        let code = CODES.iter().find_map(|name| number(fields.get(*name)?));
        let data = fields.get("data").cloned().unwrap_or_default();
        for name in WORDS.iter().chain(&["error"]) {
            match fields.get(*name) {
                Some(Value::String(words)) if !words.trim().is_empty() => {
                    return Self { code, message: words.clone(), data };
                }
                Some(Value::Object(inner)) if depth < DEPTH_MAX && !inner.is_empty() => {
                    let inner = Self::of(inner, depth + 1);
                    let data = if data.is_null() { inner.data } else { data };
                    return Self { code: inner.code.or(code), message: inner.message, data };
                }
                _ => {}
            }
        }
        let message = match &data {
            Value::String(words) if !words.starts_with("0x") => words.clone(),
            _ if fields.is_empty() => "an error without a word".to_owned(),
            _ => Value::Object(fields.clone()).to_string(),
        };
        Self { code, message, data }
    }

    /// The words with the code behind them.
    pub(super) fn told(&self) -> String {
        match self.code {
            Some(code) => format!("{} (code {code})", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether asking again later may go better. `is_range`: whether the question could be asked for less.
    pub(super) fn is_temporary(&self, is_range: bool) -> bool {
        let message = self.message.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if self.reverted().is_some() || self.nonce_taken() || says(&TOO_WIDE_WORDS) {
            return false;
        }
        // The code that some use for "too many requests" and others for "too many events".
        let is_busy_code = self.code.is_some_and(|code| BUSY_CODES.contains(&code)) && !is_range;
        is_busy_code || says(&BUSY_WORDS)
    }

    /// Whether another transaction has the nonce. Nodes have no code of their own for it, only words.
    pub(super) fn nonce_taken(&self) -> bool {
        let message = self.message.to_lowercase();
        ["nonce too low", "replacement transaction underpriced", "nonce is too low"]
            .iter()
            .any(|words| message.contains(words))
    }

    /// Why the call failed, if it is the contract that refused and not the node.
    ///
    /// Nodes put the contract's bytes into `data`, as text or one or two levels down.
    pub(super) fn reverted(&self) -> Option<ChainError> {
        let message = self.message.to_lowercase();
        match revert_bytes(&self.data, 0) {
            Some(bytes) => Some(ChainError::Reverted { reason: Revert::new(bytes), transaction: None }),
            None if self.code == Some(3) || message.contains("revert") => {
                Some(ChainError::Reverted { reason: Revert::new(Vec::new()), transaction: None })
            }
            None if ["out of gas", "invalid opcode", "stack underflow", "bad jump"]
                .iter()
                .any(|it| message.contains(it)) =>
            {
                Some(ChainError::Halted { cause: shown(&message) })
            }
            None => None,
        }
    }
}

/// The bytes that a contract refused with, from a node's `data`.
fn revert_bytes(data: &Value, depth: usize) -> Option<Bytes> {
    match data {
        Value::String(text) => {
            let digits = text.trim_start_matches("Reverted ");
            // Digits without 0x may be any word of letters a to f.
            let digits = digits.starts_with("0x").then_some(digits)?;
            hex::decode(digits).ok().map(Bytes::from)
        }
        Value::Object(fields) if depth < DEPTH_MAX => {
            let named = ["data", "result", "return"].iter().filter_map(|name| fields.get(*name));
            let nested = fields.values().filter(|value| value.is_object());
            named.chain(nested).find_map(|value| revert_bytes(value, depth + 1))
        }
        _ => None,
    }
}

/// The words of a text or HTML page.
fn words_of_page(page: &str) -> String {
    if page.trim().is_empty() {
        return EMPTY.to_owned();
    }
    let mut text = String::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        text += &rest[..start];
        let tag = &rest[start..];
        let name: String = tag[1..].chars().take_while(char::is_ascii_alphanumeric).collect();
        // What is in these is not for people.
        let end = match name.to_lowercase().as_str() {
            name @ ("script" | "style") => tag.to_lowercase().find(&format!("</{name}")).filter(|_| tag.is_ascii()),
            _ => Some(0),
        };
        let Some(close) = end.and_then(|end| Some(end + tag[end..].find('>')?)) else {
            rest = ""; // a tag without an end
            break;
        };
        text.push(' ');
        rest = &tag[close + 1..];
    }
    text += rest;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "a page without words".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str) -> RpcError {
        match Said::read(body.as_bytes(), 1) {
            Said::Refused(error) => error,
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_taken_nonce_is_known_by_the_words_of_several_nodes_and_is_not_temporary() {
        let error = |message: &str| RpcError::in_words(message.into());
        for message in [
            "nonce too low",
            "replacement transaction underpriced",
            "Transaction nonce is too low. Try incrementing the nonce.",
            "nonce too low, please retry",
        ] {
            assert!(error(message).nonce_taken() && !error(message).is_temporary(false), "{message}");
        }
        assert!(!error("insufficient funds for gas").nonce_taken());
    }

    #[test]
    fn too_many_requests_and_too_many_events_are_two_things() {
        let limit = |message: &str| refused(&format!(r#"{{"error":{{"code":-32005,"message":"{message}"}}}}"#));
        assert!(limit("limit exceeded").is_temporary(false));
        assert!(!limit("limit exceeded").is_temporary(true), "a range is asked for in halves");
        assert!(limit("daily request count exceeded, request rate limited").is_temporary(true));
        assert!(!limit("query returned more than 10000 results").is_temporary(false));
    }

    #[test]
    fn a_page_is_read_without_its_tags_and_scripts() {
        let page =
            "<html><head><style>p{x}</style><title>502 Bad\n Gateway</title></head><script>a<b</script><p>nginx</p>";
        assert_eq!(words_of_page(page), "502 Bad Gateway nginx");
        assert_eq!(words_of_page("upstream connect error"), "upstream connect error");
        for page in ["", "  \n", "<", "<p", "<script>", "<é>é</é>", "a < b"] {
            assert!(!words_of_page(page).is_empty(), "{page}");
        }
    }

    #[test]
    fn no_body_is_a_panic() {
        for body in ["null", "[]", "[1]", "{}", "1", "\"\"", "{\"error\":{}}", "{\"error\":[]}", "{\"errors\":[]}"] {
            assert!(!matches!(Said::read(body.as_bytes(), 1), Said::Result(_)), "{body}");
        }
        let deep = format!("{}1{}", "{\"error\":".repeat(100), "}".repeat(100));
        assert!(refused(&deep).message.len() > 10);
    }
}
