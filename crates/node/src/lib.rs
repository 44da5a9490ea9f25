//! The `essaim` program as a library: configuration, event log, run loop and the views made of it.
//!
//! Promise: everything a person sees of a run (terminal, metrics files, summary, report) is a fold
//! over the typed events in [`events`]; nothing decides anything by reading a log line.
//! Here is the World side: files, signals, clocks and terminals. Numbers are made in `train` and
//! `engine`, rules in `rounds`.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods))]

pub mod beacon;
mod claims;
pub mod cli;
mod clock;
mod commands;
pub mod config;
pub mod context;
pub mod data;
pub mod ending;
pub mod events;
pub mod evidence;
pub mod machine;
pub mod metrics;
pub mod output;
pub mod program;
#[cfg(test)]
mod recorded;
pub mod report;
pub mod run;
pub mod run_dir;
pub mod signal;
mod similar;
pub mod store;
pub mod summary;
pub mod tensorboard;
pub mod term;
pub mod view;
pub mod views;
