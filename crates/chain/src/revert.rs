//! Why a contract said no.
//!
//! Promise: a reason of one of our contracts is shown by its name and its fields.

use std::fmt;

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{Panic, Revert as Message, SolError};

/// Characters of a stranger's words that are shown.
const SHOWN_CHARS_MAX: usize = 300;

/// Words of a node or a contract as an error may show them: no control characters, no page of text.
pub(crate) fn shown(text: &str) -> String {
    let mut start = String::new();
    for letter in text.chars().take(SHOWN_CHARS_MAX) {
        match letter {
            '"' | '\'' | '\\' => start.push(letter),
            other => start.extend(other.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        start.push('…');
    }
    start
}

/// What a contract returned with its refusal.
#[derive(Clone, PartialEq, Eq)]
pub struct Revert(Bytes);

impl Revert {
    /// A refusal from the bytes that came with it.
    pub fn new(data: impl Into<Bytes>) -> Self {
        Self(data.into())
    }

    /// The bytes.
    pub fn data(&self) -> &Bytes {
        &self.0
    }

    /// The fields, if the contract's error was `E`.
    pub fn decode<E: SolError>(&self) -> Option<E> {
        E::abi_decode(&self.0).ok()
    }

    /// Whether the contract's error was `E`.
    pub fn is<E: SolError>(&self) -> bool {
        self.decode::<E>().is_some()
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no reason given");
        }
        if let Some(message) = self.decode::<Message>() {
            return f.write_str(&shown(&message.reason));
        }
        if let Some(panic) = self.decode::<Panic>() {
            return write!(f, "{panic}");
        }
        match crate::bindings::error_name(&self.0) {
            Some(name) => f.write_str(&shown(&name)),
            None => f.write_str(&shown(&hex::encode_prefixed(&self.0))),
        }
    }
}

impl fmt::Debug for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revert({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_a_strangers_words_is_cut() {
        let long = "x".repeat(5_000);
        let message = Message::from(long.clone()).abi_encode();
        let unknown = vec![0xab; 5_000];
        for reason in [message, unknown] {
            let shown = Revert::new(reason).to_string();
            assert_eq!(shown.chars().count(), SHOWN_CHARS_MAX + 1, "{shown}");
            assert!(shown.ends_with('…'), "{shown}");
        }
        assert_eq!(shown("short \u{1b}[31m"), "short \\u{1b}[31m");
    }
}
