//! `essaim report`: the summary and the picture report again, from the event log alone.

use crate::cli::{Context, Ending, ReportArgs};

/// Writes both files into the run folder.
pub(crate) fn report(_args: &ReportArgs, _context: &Context) -> anyhow::Result<Ending> {
    anyhow::bail!("not yet")
}
