//! How a command ends, as an exit code.
//!
//! Promise: `Ending::code` and `code_of` are all the exit codes there are, but for a clap error's.

use crate::data::DataError;
use crate::signal::EXIT_INTERRUPTED;
use record::output;
use record::run_dir::RunDirError;

/// Exit code of what failed, and of what was found not to be as it must be.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Exit code of wrong usage, and of settings that are refused.
pub(crate) const EXIT_USAGE: u8 = 2;
/// Exit code of a check that could not be made here.
const EXIT_OPEN: u8 = 3;
/// Exit code of what was done and could not be printed: doing it again would do it twice.
const EXIT_UNTOLD: u8 = 4;

/// Exit code of a check for which the evidence was dropped: no copy of this run can make it any more.
const EXIT_DROPPED: u8 = 5;

/// How a command ended, when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It did what was asked.
    Done,
    /// A person ended it early; its state is safe.
    Interrupted,
    /// It looked as asked, and what it looked at is not as it must be.
    Refuted,
    /// It could not come to a finding here.
    Open,
    /// What it was to look at was dropped, as the rules of the run's folder have it.
    Dropped,
}

impl Ending {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Interrupted => EXIT_INTERRUPTED,
            Self::Refuted => EXIT_FAILED,
            Self::Open => EXIT_OPEN,
            Self::Dropped => EXIT_DROPPED,
        }
    }
}

/// The command was called in a way that cannot be meant; the exit code is that of wrong usage.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUsage(String);

impl From<String> for WrongUsage {
    fn from(message: String) -> Self {
        Self(message)
    }
}

/// Nothing could be found out, which says nothing against anybody.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotChecked(pub(crate) String);

/// The exit code of a command that failed.
pub(crate) fn code_of(error: &anyhow::Error) -> u8 {
    match error {
        error if error.is::<crate::config::ConfigError>() || error.is::<WrongUsage>() => EXIT_USAGE,
        error if error.chain().any(is_of_the_settings) => EXIT_USAGE,
        error if error.is::<output::Untold>() => EXIT_UNTOLD,
        error if error.is::<NotChecked>() => EXIT_OPEN,
        _ => EXIT_FAILED,
    }
}

/// Whether a person asked for what cannot be, rather than something going wrong on the way.
fn is_of_the_settings(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_task = |error: &tasks::TaskError| error.is_of_the_specification();
    let of_data = |error: &DataError| match error {
        DataError::Task(error) => of_task(error),
        DataError::NoColumn { .. } => true,
        DataError::Unreadable { source, .. } => source.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    cause.downcast_ref().is_some_and(of_task)
        || cause.downcast_ref().is_some_and(of_data)
        || cause.is::<ops::DeviceError>()
        || cause.is::<ops::gemm::KernelMissing>()
        || matches!(cause.downcast_ref(), Some(model::ModelError::HubName { .. } | model::ModelError::NoChatTemplate))
        || matches!(cause.downcast_ref(), Some(RunDirError::Taken { .. }))
}
