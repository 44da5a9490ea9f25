//! The run loop: ties engine, trainer and rules together. (Owner: RUN.)

use crate::cli::{Context, Ending};
use crate::config::RunConfig;
use crate::run_dir::RunDir;

/// Does the whole run, from the log's last checkpoint if `resumed`.
pub(crate) fn run(
    _config: RunConfig,
    _dir: RunDir,
    _resumed: bool,
    _context: &Context,
) -> anyhow::Result<Ending> {
    anyhow::bail!("the run loop is not part of this build")
}
