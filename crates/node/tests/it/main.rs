//! Drives the real program, as a person would.

mod chats;
mod cli;
mod commands;
mod liars;
mod money;
mod payout;
mod resume;
mod scoring;
mod support;
mod texts;
mod verify;
