//! Drives the real program, as a person would.

mod chats;
mod cli;
mod commands;
mod data_files;
mod liars;
mod money;
mod own_data;
mod payout;
mod resume;
mod scoring;
mod support;
mod texts;
mod verify;
