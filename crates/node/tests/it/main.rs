//! Drives the real program, as a person would.

mod chats;
mod cli;
mod commands;
mod data_files;
mod disk;
mod ends;
mod liars;
mod messages;
mod money;
mod own_data;
mod payout;
mod pipes;
#[cfg(unix)]
mod read_only;
mod resume;
mod scoring;
mod support;
mod texts;
mod verify;
