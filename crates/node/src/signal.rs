//! Ctrl-C and friends.
//!
//! Promise: the first signal asks for a clean stop (finish the step, write a checkpoint); the
//! second ends the process at once with [`EXIT_INTERRUPTED`]. The log survives both, see
//! [`record::store`]. A run outlives its terminal: a hang-up is no word of a person, and the run's
//! log is where a person looks afterwards.

use record::output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code of a run that a person ended: 128 + SIGINT, as shells have it.
pub const EXIT_INTERRUPTED: u8 = 130;

/// A flag that says "please stop"; cheap to clone and to look at.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that nobody has raised.
    pub fn new() -> Self {
        Self::default()
    }

    /// Raises the flag; true if it was raised already.
    pub fn request(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether a stop was asked for.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Ties the flag to SIGINT and SIGTERM of this process; a hang-up (SIGHUP) is ignored. To be called once.
    ///
    /// # Errors
    /// If the system refuses the handler, or one is set already.
    pub fn on_signals(&self) -> Result<(), ctrlc::Error> {
        self.on_signals_then(|| output::note("stopping after this step; press Ctrl-C again to end at once"))?;
        outlive_terminal();
        Ok(())
    }

    /// The same where the stop is at once, nothing has to be said, and a hang-up is a signal like the others.
    ///
    /// # Errors
    /// As [`Self::on_signals`].
    pub fn on_signals_quietly(&self) -> Result<(), ctrlc::Error> {
        self.on_signals_then(|| {})
    }

    fn on_signals_then(&self, tell: fn()) -> Result<(), ctrlc::Error> {
        let stop = self.clone();
        ctrlc::set_handler(move || {
            if stop.request() {
                std::process::exit(i32::from(EXIT_INTERRUPTED));
            }
            tell();
        })
    }
}

/// Ignores the signal that says that the terminal has gone.
fn outlive_terminal() {
    #[cfg(unix)]
    // SAFETY: a signal that is ignored runs no code of ours.
    unsafe {
        use nix::sys::signal::{SigHandler, Signal, signal};
        // That SIGHUP cannot be ignored is no reason not to run.
        let _ = signal(Signal::SIGHUP, SigHandler::SigIgn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_request_is_told_from_the_first() {
        let stop = Stop::new();
        let seen_elsewhere = stop.clone();
        assert!(!seen_elsewhere.is_requested());
        assert!(!stop.request());
        assert!(seen_elsewhere.is_requested());
        assert!(stop.request());
    }
}
