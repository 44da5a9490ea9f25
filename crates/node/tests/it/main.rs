//! Drives the real program, as a person would.

mod commands;
