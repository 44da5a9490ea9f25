//! `essaim generate`. (Owner: RUN.)

use crate::cli::{Context, Ending, GenerateArgs};

/// Runs the command.
pub(crate) fn generate(_args: &GenerateArgs, _context: &Context) -> anyhow::Result<Ending> {
    anyhow::bail!("`essaim generate` is not part of this build")
}
