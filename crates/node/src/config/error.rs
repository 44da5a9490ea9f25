//! What can be wrong with a run file, each with the place, the limit and the value seen.

use std::fmt;
use std::path::PathBuf;

use crate::similar::{hint, nearest};

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A run file could not be read.
    #[error("cannot read the run file {}: {source}{}", path.display(), hint(nearest.as_deref()))]
    Unreadable {
        /// The file asked for.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// The most similar file name in the same folder.
        nearest: Option<String>,
    },
    /// A run file is larger than any run file needs to be.
    #[error("the run file {} is too large: limit {limit} bytes, given {given}", path.display())]
    TooLarge {
        /// The file asked for.
        path: PathBuf,
        /// Bytes allowed.
        limit: u64,
        /// Bytes found.
        given: u64,
    },
    /// The text is not TOML.
    #[error("{layer} is not valid TOML: {message}")]
    Syntax {
        /// Which file or option.
        layer: String,
        /// The parser's message, with line and column.
        message: String,
    },
    /// A `--set` argument has no `=`, or its path leads nowhere.
    #[error("--set {given:?}: {reason}")]
    BadSet {
        /// The argument as typed.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The values do not fit the typed configuration.
    #[error("{}{fault}", layer.as_ref().map(|layer| format!("{layer}: ")).unwrap_or_default())]
    Fault {
        /// The file or option that brought the value, when one did.
        layer: Option<String>,
        /// What is wrong and where.
        fault: Fault,
    },
    /// The resolved configuration could not be written out.
    #[error("cannot print the configuration: {0}")]
    Unprintable(String),
}

/// One misfit between a value and the place it was given for.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Path of keys to the value, outermost first; the unknown key itself is not in it.
    pub path: Vec<String>,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// The kinds of misfit.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    /// No such key in this table.
    UnknownKey {
        /// The key as given.
        key: String,
        /// The keys that the table has.
        known: Vec<String>,
    },
    /// The value is none of a fixed set of words.
    UnknownWord {
        /// The word as given.
        given: String,
        /// The words that are allowed.
        known: Vec<String>,
    },
    /// A key without a default is absent.
    Missing {
        /// The absent key.
        key: String,
    },
    /// The value has the wrong type.
    Type {
        /// Type and value seen.
        given: String,
        /// What fits.
        expected: String,
    },
    /// The value is outside its limits.
    Range {
        /// Value seen.
        given: String,
        /// What is allowed, and why where that is not plain.
        limit: String,
    },
    /// Anything else, in words.
    Other(String),
}

impl Fault {
    /// A value out of its limits at a dotted path.
    pub fn range(path: &str, given: impl fmt::Display, limit: impl Into<String>) -> Self {
        Self {
            path: path.split('.').map(str::to_owned).collect(),
            kind: FaultKind::Range { given: given.to_string(), limit: limit.into() },
        }
    }

    /// Anything that a section's own check says.
    pub fn other(path: &str, message: String) -> Self {
        Self { path: path.split('.').map(str::to_owned).collect(), kind: FaultKind::Other(message) }
    }

    /// Path to the offending value, with the unknown or missing key at its end.
    pub fn full_path(&self) -> Vec<String> {
        let mut path = self.path.clone();
        match &self.kind {
            FaultKind::UnknownKey { key, .. } | FaultKind::Missing { key } => {
                path.push(key.clone());
            }
            _ => {}
        }
        path
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.full_path().join(".");
        match &self.kind {
            FaultKind::UnknownKey { key, known } => {
                write!(out, "unknown key `{path}`{}", hint(nearest(key, known)))?;
                write!(out, "; known keys here: {}", known.join(", "))
            }
            FaultKind::UnknownWord { given, known } => {
                write!(out, "`{path}` cannot be {given:?}")?;
                write!(out, "{}", hint(nearest(given, known)))?;
                write!(out, "; allowed: {}", known.join(", "))
            }
            FaultKind::Missing { .. } => write!(out, "`{path}` is missing and has no default"),
            FaultKind::Type { given, expected } => {
                write!(out, "`{path}` should be {expected}, given {given}")
            }
            FaultKind::Range { given, limit } => {
                write!(out, "`{path}` is out of range: limit {limit}, given {given}")
            }
            FaultKind::Other(message) if path.is_empty() => out.write_str(message),
            FaultKind::Other(message) => write!(out, "`{path}`: {message}"),
        }
    }
}
