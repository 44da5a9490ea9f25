//! Why a contract said no.
//!
//! Promise: a reason of one of our contracts is shown by its name and its fields.

use std::fmt;

use alloy_primitives::{Bytes, hex};
use alloy_sol_types::{Panic, Revert as Message, SolError};

/// Characters of a contract's own words that are shown.
const TEXT_CHARS_MAX: usize = 200;

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
            // A stranger wrote it: no control characters, no page of text.
            let shown: String = message.reason.chars().take(TEXT_CHARS_MAX).flat_map(char::escape_debug).collect();
            return f.write_str(&shown);
        }
        if let Some(panic) = self.decode::<Panic>() {
            return write!(f, "{panic}");
        }
        match crate::bindings::error_name(&self.0) {
            Some(name) => f.write_str(&name),
            None => f.write_str(&hex::encode_prefixed(&self.0)),
        }
    }
}

impl fmt::Debug for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revert({self})")
    }
}
