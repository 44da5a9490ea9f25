//! `essaim eval`. (Owner: RUN.)

use crate::cli::{Context, Ending, EvalArgs};

/// Runs the command.
pub(crate) fn eval(_args: &EvalArgs, _context: &Context) -> anyhow::Result<Ending> {
    anyhow::bail!("`essaim eval` is not part of this build")
}
