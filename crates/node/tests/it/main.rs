//! Drives the real program, as a person would.

mod cli;
mod commands;
mod liars;
mod payout;
mod resume;
mod scoring;
mod support;
mod texts;
mod verify;
