//! `essaim sft`. (Owner: RUN.)

use crate::cli::{Context, Ending, SftArgs};

/// Runs the command.
pub(crate) fn sft(_args: &SftArgs, _context: &Context) -> anyhow::Result<Ending> {
    anyhow::bail!("`essaim sft` is not part of this build")
}
