//! Drives the real program, as a person would.

mod cli;
mod commands;
mod ends;
mod liars;
mod messages;
mod money;
mod payout;
mod pipes;
#[cfg(unix)]
mod read_only;
mod resume;
mod scoring;
mod support;
mod texts;
mod verify;
