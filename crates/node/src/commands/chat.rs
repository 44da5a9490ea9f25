//! `essaim chat`. (Owner: RUN.)

use crate::cli::{ChatArgs, Context, Ending};

/// Runs the command.
pub(crate) fn chat(_args: &ChatArgs, _context: &Context) -> anyhow::Result<Ending> {
    anyhow::bail!("`essaim chat` is not part of this build")
}
