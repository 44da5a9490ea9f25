//! Everything that reads along while a run goes on: screen, metrics files, and at the end the
//! summary and the report.
//!
//! Promise: what is shown and written comes from the log's events alone; a resumed run's files are
//! made anew from the whole log. A file that cannot be written is an error that names it; a screen
//! that cannot be written to is not.

use crate::events::{Event, Recorded};
use crate::metrics::{self, MetricsFile, Points};
use crate::run_dir::{self, RunDirError};
use crate::store::{EventLog, StoreError};
use crate::summary::Summary;
use crate::tensorboard::TensorBoardFile;
use crate::term::Screen;
use crate::view::RunView;
use rounds::{Wait, Waiter, Waiting};
use std::path::{Path, PathBuf};

/// The views of one run in its folder.
pub struct Views {
    dir: PathBuf,
    view: RunView,
    screen: Screen,
    files: Option<Files>,
}

struct Files {
    points: Points,
    metrics: MetricsFile,
    tensorboard: TensorBoardFile,
}

impl Files {
    fn see(&mut self, recorded: &Recorded) -> Result<(), RunDirError> {
        let Some(point) = self.points.of(&recorded.event) else { return Ok(()) };
        self.metrics.add(recorded.at_ms, &point)?;
        self.tensorboard.add(recorded.at_ms, &point)
    }
}

impl Views {
    /// Views of the run in `dir`; files are opened at the first event, which is already in the log.
    pub fn new(dir: &Path, screen: Screen) -> Self {
        Self { dir: dir.to_owned(), view: RunView::default(), screen, files: None }
    }

    /// What is known of the run.
    pub fn view(&self) -> &RunView {
        &self.view
    }

    /// Takes in an event that is in the log.
    pub fn see(&mut self, recorded: &Recorded) -> anyhow::Result<()> {
        match recorded.event {
            Event::RunStarted(_) => self.open(recorded.at_ms, false)?,
            Event::RunResumed { .. } => self.open(recorded.at_ms, true)?,
            _ => {
                self.view.on_event(recorded);
                self.files.iter_mut().try_for_each(|files| files.see(recorded))?;
            }
        }
        if matches!(recorded.event, Event::RunFinished(_)) {
            write(&self.dir, &self.view)?;
        }
        self.screen.show(&self.view, recorded);
        if let Event::RunFinished(finished) = &recorded.event {
            self.screen.tell("report", &run_dir::report_path(&self.dir).display().to_string());
            if let Some(model) = &finished.model_path {
                let model = self.dir.join(model).display().to_string();
                self.screen.tell("model", &model);
                self.screen.tell("next", &format!("essaim chat --model {model}"));
                if let Some(lease) = self.view.checkable() {
                    self.screen.tell("", &format!("essaim verify {} --lease {lease}", self.dir.display()));
                }
            }
        }
        Ok(())
    }

    /// Tells who waits on whom.
    pub fn waits(&mut self, waits: &[Wait]) {
        let words: Vec<String> = waits.iter().filter_map(in_words).collect();
        self.screen.waits(&words.join(", "));
    }

    /// Takes in the whole log, the newest event included, and opens the files.
    fn open(&mut self, at_ms: u64, is_resumed: bool) -> anyhow::Result<()> {
        let log = EventLog::open_to_read(&run_dir::events_path(&self.dir))?;
        self.view = read(&log)?;
        let metrics = MetricsFile::create(&run_dir::metrics_path(&self.dir))?;
        let tensorboard = TensorBoardFile::create(&run_dir::tensorboard_path(&self.dir), at_ms, is_resumed)?;
        let mut files = Files { points: Points::default(), metrics, tensorboard };
        metrics::events(&log)?.iter().try_for_each(|recorded| files.see(recorded))?;
        self.files = Some(files);
        Ok(())
    }
}

/// A wait as a person says it; nothing for the waits that are the normal course of things.
fn in_words(wait: &Wait) -> Option<String> {
    let who = match wait.who {
        Waiter::Trainer => "trainer",
        Waiter::Workers => "workers",
        Waiter::Run => "run",
    };
    let on = match wait.on {
        Waiting::Start | Waiting::Finished { .. } => return None,
        Waiting::Groups { have, need, in_flight, checking } => {
            format!("groups ({have} of {need}, {in_flight} on the way, {checking} in check)")
        }
        Waiting::Trainer { step } => format!("the trainer (step {step})"),
        Waiting::Weights { version } => format!("weights {version}"),
        Waiting::Slots { limit } => format!("a free slot (limit {limit})"),
        Waiting::Checkpoint { step } => format!("the checkpoint of step {step}"),
        Waiting::Eval { version, .. } => format!("the score of weights {version}"),
    };
    Some(format!("{who} for {on}"))
}

/// The view of everything in a log.
pub fn read(log: &EventLog) -> Result<RunView, StoreError> {
    let mut view = RunView::default();
    log.replay(1, |recorded| {
        view.on_event(&recorded);
        Ok::<(), StoreError>(())
    })?;
    Ok(view)
}

/// Writes `summary.json` and `report.html` of a view into a run folder, each whole or not at all.
pub fn write(dir: &Path, view: &RunView) -> Result<(), RunDirError> {
    // A summary holds only numbers, text and maps with text keys, which JSON can always hold.
    let summary = serde_json::to_string_pretty(&Summary::of(view)).expect("a summary is JSON") + "\n";
    run_dir::write_whole(&run_dir::summary_path(dir), summary.as_bytes())?;
    run_dir::write_whole(&run_dir::report_path(dir), crate::report::html(view).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::network;
    use std::fs;

    #[test]
    fn a_resumed_run_leaves_the_files_of_an_uninterrupted_one() {
        let run = network();
        let dir = run.dir();
        let metrics = run.file(run_dir::metrics_path);
        let steps = metrics.lines().filter(|line| line.contains("\"loss\""));
        assert_eq!(steps.count(), 24, "each step once, those before the stop too");
        assert_eq!(metrics.lines().filter(|line| line.contains("\"sft/loss\"")).count(), 120);
        assert_eq!(fs::read_dir(run_dir::tensorboard_path(dir)).unwrap().count(), 2);
        // The report made again from the log alone is the same page.
        let again = read(&EventLog::open_to_read(&run_dir::events_path(dir)).unwrap()).unwrap();
        assert_eq!(run.file(run_dir::report_path), crate::report::html(&again));
    }
}
