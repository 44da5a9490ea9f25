//! A line that shows how far a command is, on a terminal, once it takes longer than two seconds.
//!
//! Promise: nothing is shown where standard error is no terminal, or with `--quiet`; the line is
//! gone when the command ends.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Quicker commands need no comfort.
const PATIENCE: Duration = Duration::from_secs(2);

/// How far a command is.
pub(crate) struct Progress {
    bar: ProgressBar,
    start: Instant,
    quiet: bool,
}

impl Progress {
    /// Counts `what`, up to `total` if that is known.
    pub(crate) fn new(what: &str, total: Option<u64>, quiet: bool) -> Self {
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::hidden());
        let template = match total {
            Some(_) => "{bar:30} {pos}/{len} {prefix}, {elapsed}, {eta} left",
            None => "{spinner} {pos} {prefix}, {elapsed}",
        };
        let style = ProgressStyle::with_template(template).expect("a constant template that parses");
        bar.set_style(style);
        bar.set_prefix(what.to_owned());
        Self { bar, start: Instant::now(), quiet }
    }

    /// So many are done.
    pub(crate) fn set(&mut self, done: u64) {
        self.bar.set_position(done);
        if !self.quiet && self.bar.is_hidden() && self.start.elapsed() > PATIENCE {
            // Where standard error is no terminal this target stays hidden.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Writes to standard output without tearing the line.
    pub(crate) fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
