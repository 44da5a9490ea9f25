//! Drives the real program, as a person would.

mod cli;
mod commands;
mod resume;
mod support;
mod texts;
