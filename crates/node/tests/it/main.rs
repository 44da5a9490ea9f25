//! Drives the real program, as a person would.

mod commands;
mod support;
mod texts;
