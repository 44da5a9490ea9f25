//! Drives the real program, as a person would.

mod cli;
mod commands;
mod resume;
mod scoring;
mod support;
mod texts;
