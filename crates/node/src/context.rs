//! What every command is given.

use clap::Args;
use record::term::Screen;

use crate::signal::Stop;
use record::output::{self, OutputError};

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub struct Global {
    /// Print JSON instead of text: one object per line, or one document
    #[arg(long, global = true)]
    pub json: bool,
    /// Print only the result, warnings and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Where tensors live: cpu, cuda:N or wgpu:N (over `[run] device`)
    #[arg(long, global = true, value_name = "DEVICE")]
    pub device: Option<String>,
}

/// What a command is given besides its own arguments.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Options that every command takes.
    pub global: Global,
    /// Raised when a person asks for an end.
    pub stop: Stop,
}

impl Global {
    /// How a run is shown.
    pub(crate) fn screen(&self) -> Screen {
        match self {
            Self { json: true, .. } => Screen::Json,
            Self { quiet: true, .. } => Screen::Quiet,
            _ => Screen::for_people(),
        }
    }
}

impl Context {
    /// Prints what a command has to say: a document with `--json`, else a text. Errors: standard output takes no more.
    pub(crate) fn answer(
        &self,
        document: impl FnOnce() -> serde_json::Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), OutputError> {
        match self.global.json {
            true => output::print_line(&document().to_string()),
            false => output::print(&text()),
        }
    }

    /// The same for what was done: what cannot be printed is told on standard error.
    pub(crate) fn answer_done(
        &self,
        document: impl FnOnce() -> serde_json::Value,
        text: impl FnOnce() -> String,
    ) -> Result<(), output::Untold> {
        match self.global.json {
            true => output::print_done(&format!("{}\n", document())),
            false => output::print_done(&text()),
        }
    }
}
