//! What can be wrong with a template, by name.

/// Result of this crate.
pub(crate) type Result<T, E = Fault> = std::result::Result<T, E>;

/// A fault with its place in the template.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct Error {
    /// Line of the template, from 1.
    pub line: u32,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Fault {
    /// The template is no Jinja.
    #[error("{0}")]
    Syntax(String),
    /// Jinja that this engine does not follow; other text would be worse than none.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A value that is not there is used as if it were.
    #[error("{0}")]
    Undefined(String),
    /// An operation that Python refuses for such values.
    #[error("{0}")]
    Operation(String),
    /// The template refused its input with `raise_exception`.
    #[error("{0}")]
    Raised(String),
    /// It ran too long.
    #[error("more than {limit} steps")]
    Steps {
        /// Steps allowed.
        limit: u64,
    },
    /// It made too much text or too long lists.
    #[error("values of more than {limit} bytes")]
    Memory {
        /// Bytes allowed.
        limit: u64,
    },
    /// It printed too much.
    #[error("more than {limit} bytes of output")]
    Output {
        /// Bytes allowed.
        limit: usize,
    },
    /// Calls, brackets or values are nested too deeply.
    #[error("nested more than {limit} deep")]
    Depth {
        /// Levels allowed.
        limit: u32,
    },
    /// It asks for the date, and none was given.
    #[error("strftime_now asks for the date, and none is given")]
    NoDate,
}

impl Fault {
    pub(crate) fn at(self, line: u32) -> Error {
        Error { line, fault: self }
    }

    pub(crate) fn operation<T>(text: impl Into<String>) -> Result<T> {
        Err(Self::Operation(text.into()))
    }

    pub(crate) fn unsupported<T>(text: impl Into<String>) -> Result<T> {
        Err(Self::Unsupported(text.into()))
    }
}
