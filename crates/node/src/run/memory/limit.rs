//! How much memory a run may take.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::amount;
use crate::config::RunConfig;
use crate::ending::WrongUsage;
use record::machine;

/// A bound in bytes, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The bound; none known: `u64::MAX`.
    pub bytes: u64,
    /// Whether the settings give it; else it is the machine's.
    pub is_chosen: bool,
}

impl Limit {
    /// `run.memory_max`, else what the machine has.
    ///
    /// Errors: `WrongUsage` if the setting is above what the machine has.
    pub fn of(config: &RunConfig) -> Result<Self> {
        let machine = machine::memory_limit_bytes();
        match (&config.run.memory_max, machine) {
            (Some(chosen), Some(machine)) if chosen.bytes() > machine => {
                let message = format!("run.memory_max: given {chosen}, this machine has {}", amount(machine));
                Err(WrongUsage::from(message).into())
            }
            (Some(chosen), _) => Ok(Self { bytes: chosen.bytes(), is_chosen: true }),
            (None, machine) => Ok(Self { bytes: machine.unwrap_or(u64::MAX), is_chosen: false }),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { bytes: u64::MAX, .. } => write!(f, "a machine whose memory is unknown"),
            Self { bytes, is_chosen: true } => write!(f, "{} (run.memory_max)", amount(*bytes)),
            Self { bytes, is_chosen: false } => write!(f, "{} that this machine has", amount(*bytes)),
        }
    }
}
