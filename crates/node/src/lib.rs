//! The `essaim` program as a library: commands, configuration and the run loop.
//!
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
pub mod evidence;
pub mod program;
#[cfg(any(test, feature = "testing"))]
pub mod recorded;
pub mod run;
pub mod signal;
mod similar;
