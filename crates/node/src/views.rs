//! Everything that reads along while a run goes on: screen, metrics files, and at the end the
//! summary and the report.
//!
//! Promise: what is shown and written comes from the log's events alone; a resumed run's files are
//! made anew from the whole log. A file that cannot be written is an error that names it; a screen
//! that cannot be written to is not.

use crate::cli::Global;
use crate::events::{Event, Recorded};
use crate::metrics::MetricsFile;
use crate::run_dir::{self, RunDirError};
use crate::store::{EventLog, StoreError};
use crate::summary::Summary;
use crate::tensorboard::TensorBoardFile;
use crate::term::Screen;
use crate::view::RunView;
use rounds::{Party, Wait, Waiting};
use std::path::{Path, PathBuf};

/// The views of one run in its folder.
pub struct Views {
    dir: PathBuf,
    view: RunView,
    screen: Screen,
    files: Option<Files>,
}

struct Files {
    metrics: MetricsFile,
    tensorboard: TensorBoardFile,
}

impl Views {
    /// Views of the run in `dir`; files are opened at the first event, which is already in the log.
    pub fn new(dir: &Path, global: &Global) -> Self {
        Self { dir: dir.to_owned(), view: RunView::default(), screen: Screen::choose(global), files: None }
    }

    /// What is known of the run.
    pub fn view(&self) -> &RunView {
        &self.view
    }

    /// Takes in an event that is in the log.
    pub fn see(&mut self, recorded: &Recorded) -> anyhow::Result<()> {
        match recorded.event {
            Event::RunStarted(_) => self.open(recorded.at_ms, None)?,
            Event::RunResumed { step } => self.open(recorded.at_ms, Some(step + 1))?,
            _ => {
                self.view.on_event(recorded);
                if let Some(files) = &mut self.files {
                    files.metrics.on_event(recorded)?;
                    files.tensorboard.on_event(recorded)?;
                }
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
                self.screen.tell("", &format!("essaim verify {} --lease 0", self.dir.display()));
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
    fn open(&mut self, at_ms: u64, first_step: Option<u64>) -> anyhow::Result<()> {
        let log = EventLog::open_to_read(&run_dir::events_path(&self.dir))?;
        self.view = read(&log)?;
        let metrics = MetricsFile::from_log(&run_dir::metrics_path(&self.dir), &log)?;
        let folder = run_dir::tensorboard_path(&self.dir);
        let tensorboard = TensorBoardFile::create(&folder, at_ms, first_step)?;
        self.files = Some(Files { metrics, tensorboard });
        Ok(())
    }
}

/// A wait as a person says it; nothing for the waits that are the normal course of things.
fn in_words(wait: &Wait) -> Option<String> {
    let who = match wait.who {
        Party::Trainer => "trainer",
        Party::Workers => "workers",
        Party::Run => "run",
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
    use crate::synthetic;
    use std::fs;

    /// A run of 40 steps, killed after step 30 with a checkpoint at 25, and resumed.
    #[test]
    fn a_resumed_run_leaves_the_files_of_an_uninterrupted_one() {
        let quiet = Global { quiet: true, ..Global::default() };
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        let path = run_dir::events_path(dir);
        let events = synthetic::run(40);
        let place = |wanted: u64| {
            let is = |r: &Recorded| matches!(&r.event, Event::StepTrained(t) if t.step == wanted);
            events.iter().position(is).unwrap()
        };
        let mut log = EventLog::create(&path).unwrap();
        let mut views = Views::new(dir, &quiet);
        for recorded in &events[..place(30)] {
            let recorded = log.append(recorded.at_ms, recorded.event.clone(), None).unwrap();
            views.see(&recorded).unwrap();
        }
        drop((views, log));
        let mut log = EventLog::open(&path).unwrap();
        let mut views = Views::new(dir, &quiet);
        let at_ms = events[place(30)].at_ms + 60_000;
        let resumed = log.append(at_ms, Event::RunResumed { step: 25 }, None).unwrap();
        views.see(&resumed).unwrap();
        for recorded in &events[place(26)..] {
            let at_ms = recorded.at_ms + 60_000;
            let recorded = log.append(at_ms, recorded.event.clone(), None).unwrap();
            views.see(&recorded).unwrap();
        }
        let metrics = fs::read_to_string(run_dir::metrics_path(dir)).unwrap();
        assert_eq!(metrics.lines().filter(|line| line.contains("\"loss\"")).count(), 40);
        let summary: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(run_dir::summary_path(dir)).unwrap()).unwrap();
        assert_eq!((&summary["steps"], &summary["resumed_count"]), (&40.into(), &1.into()));
        assert_eq!(fs::read_dir(run_dir::tensorboard_path(dir)).unwrap().count(), 2);
        // The report made again from the log alone is the same page.
        let page = fs::read_to_string(run_dir::report_path(dir)).unwrap();
        let again = read(&EventLog::open_to_read(&path).unwrap()).unwrap();
        assert_eq!(page, crate::report::html(&again));
    }
}
