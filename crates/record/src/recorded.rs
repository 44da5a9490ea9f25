//! Logs of real runs, for tests of everything that is drawn from events.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::events::Recorded;
use crate::run_dir;
use crate::store::{EventLog, StoreError};
use crate::view::RunView;

/// A run that has ended.
pub(crate) struct Recording {
    dir: &'static Path,
    /// Its log.
    pub(crate) events: Vec<Recorded>,
}

impl Recording {
    fn read(dir: &'static Path) -> Self {
        let mut events = Vec::new();
        let log = EventLog::open_to_read(&run_dir::events_path(dir)).unwrap();
        log.replay(1, |recorded| {
            events.push(recorded);
            Ok::<(), StoreError>(())
        })
        .unwrap();
        Self { dir, events }
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> &Path {
        self.dir
    }

    /// What its events tell.
    pub(crate) fn view(&self) -> RunView {
        fold(&self.events)
    }

    /// A file of its folder.
    pub(crate) fn file(&self, path: fn(&Path) -> PathBuf) -> String {
        std::fs::read_to_string(path(self.dir)).unwrap()
    }
}

/// What events tell.
pub(crate) fn fold(events: &[Recorded]) -> RunView {
    let mut view = RunView::default();
    events.iter().for_each(|event| view.on_event(event));
    view
}

/// Strangers, liars, a chain, two tasks of one type, a warm-up, stopped after 12 of 24 steps and gone on with.
pub(crate) fn network() -> &'static Recording {
    static READ: OnceLock<Recording> = OnceLock::new();
    READ.get_or_init(|| Recording::read(node::recorded::network()))
}

/// One worker, sequential, no ledger, no warm-up.
pub(crate) fn alone() -> &'static Recording {
    static READ: OnceLock<Recording> = OnceLock::new();
    READ.get_or_init(|| Recording::read(node::recorded::alone()))
}

/// Supervised training only.
pub(crate) fn supervised() -> &'static Recording {
    static READ: OnceLock<Recording> = OnceLock::new();
    READ.get_or_init(|| Recording::read(node::recorded::supervised()))
}

/// By cispo, and stopped by a person.
fn cispo() -> &'static Recording {
    static READ: OnceLock<Recording> = OnceLock::new();
    READ.get_or_init(|| Recording::read(node::recorded::cispo()))
}

/// By dppo.
fn dppo() -> &'static Recording {
    static READ: OnceLock<Recording> = OnceLock::new();
    READ.get_or_init(|| Recording::read(node::recorded::dppo()))
}

/// Every run that is recorded.
fn all() -> [&'static Recording; 5] {
    [network(), alone(), cispo(), dppo(), supervised()]
}

mod tests;
