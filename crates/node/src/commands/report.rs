//! `essaim report`: the summary and the picture report again, from the event log alone.

use crate::cli::ReportArgs;
use crate::context::Context;
use crate::ending::Ending;
use anyhow::Context as _;
use record::output;
use record::run_dir;
use record::store::EventLog;
use record::summary::Summary;
use record::views;

/// Writes both files and prints the summary. A run folder that cannot be written to is reported on all the same.
pub(crate) fn report(args: &ReportArgs, context: &Context) -> anyhow::Result<Ending> {
    let log = EventLog::open_to_read(&run_dir::events_path(&args.run_dir))?;
    let view = views::read(&log)?;
    let summary = Summary::of(&view);
    let folder = args.out.as_ref().unwrap_or(&args.run_dir);
    if let Some(out) = &args.out {
        std::fs::create_dir_all(out).with_context(|| format!("--out {}", out.display()))?;
    }
    let path = match views::write(folder, &view) {
        Err(error) if args.out.is_none() && error.is_read_only() => {
            let folder = folder.display();
            output::note(&format!(
                "warning: {folder} cannot be written to: no report.html and summary.json were made; --out DIR makes \
                 them elsewhere"
            ));
            None
        }
        written => written.map(|()| Some(run_dir::report_path(folder)))?,
    };
    if context.global.json {
        output::print_line(&serde_json::to_string(&summary)?)?;
        return Ok(Ending::Done);
    }
    let summary = if context.global.quiet { String::new() } else { summary.to_text() };
    let path = path.map_or(String::new(), |path| format!("{}\n", path.display()));
    output::print(&(summary + &path))?;
    Ok(Ending::Done)
}
