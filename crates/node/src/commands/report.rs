//! `essaim report`: the summary and the picture report again, from the event log alone.

use crate::cli::{Context, Ending, ReportArgs};
use crate::run_dir;
use crate::store::EventLog;
use crate::summary::Summary;
use crate::views;
use std::io::Write;

/// Writes both files into the run folder and prints the summary.
pub(crate) fn report(args: &ReportArgs, context: &Context) -> anyhow::Result<Ending> {
    let log = EventLog::open_to_read(&run_dir::events_path(&args.run_dir))?;
    let view = views::read(&log)?;
    views::write(&args.run_dir, &view)?;
    let summary = Summary::of(&view);
    let path = run_dir::report_path(&args.run_dir);
    let mut out = std::io::stdout();
    if context.global.json {
        writeln!(out, "{}", serde_json::to_string(&summary)?)?;
    } else {
        if !context.global.quiet {
            write!(out, "{}", summary.to_text())?;
        }
        writeln!(out, "{}", path.display())?;
    }
    Ok(Ending::Done)
}
