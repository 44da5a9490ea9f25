//! What a run leaves behind, and how it is shown: the event log, the run's folder, and the views that are made of them.
//!
//! Promise: everything a person sees of a run (terminal, metrics files, summary, report) is a fold over the typed events in
//! [`events`]; nothing decides anything by reading a log line.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods))]

pub mod events;
pub mod machine;
pub mod metrics;
pub mod output;
#[cfg(test)]
mod recorded;
pub mod report;
pub mod run_dir;
pub mod store;
pub mod summary;
pub mod tensorboard;
pub mod term;
pub mod view;
pub mod views;
