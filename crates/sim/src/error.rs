//! What keeps a simulation from being run at all. What goes wrong inside one is its outcome, not an error.

use std::fmt::Display;

use thiserror::Error;

/// Why nothing could be simulated.
#[derive(Debug, Error)]
pub enum SimError {
    /// The world could not be made.
    #[error("the simulated world could not be made: {0}")]
    World(String),
    /// The threads of the sweep could not be started.
    #[error("the threads of the sweep could not be started: {0}")]
    Threads(String),
}

impl SimError {
    pub(crate) fn world(error: impl Display) -> Self {
        Self::World(error.to_string())
    }
}
