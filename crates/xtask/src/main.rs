//! Developer's commands: `cargo xtask validate | layers | docs --check | contracts --check`.
//!
//! Promise: `validate` runs what continuous integration runs, cheapest first, and stops at the first failure.
//! Never: changes a file, but for the artifacts and the page that `contracts` and `docs` without `--check` are asked
//! to write.

mod circles;
mod compat;
mod contracts;
mod docs;
mod layers;

use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer's commands")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Everything that must pass before a push, cheapest first.
    Validate,
    /// Crate dependencies point down only (DESIGN: Agreed < Numeric < World < Lab), and no modules import each other in a circle.
    Layers,
    /// Writes docs/compatibility.md, and checks prose that can rot: paths, links and commands named in the documents.
    Docs {
        /// Write nothing; a fault is an error.
        #[arg(long)]
        check: bool,
    },
    /// Compiles the Solidity sources and writes contracts/artifacts; needs node and npm.
    Contracts {
        /// Compare with the committed artifacts, byte for byte, and write nothing.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Validate => validate(),
        Task::Layers => layers::check().and_then(|()| circles::check()),
        Task::Docs { check } => docs::run(check),
        Task::Contracts { check } => contracts::run(check),
    }
}

/// The commands of `.ci/run`, in its order.
fn validate() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    layers::check()?;
    circles::check()?;
    docs::run(true)?;
    contracts::run(true)?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
    cargo(&["test", "--workspace"])
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let line = format!("cargo {}", arguments.join(" "));
    println!("== {line}");
    let status = Command::new("cargo").args(arguments).status().with_context(|| format!("could not start `{line}`"))?;
    ensure!(status.success(), "`{line}` failed with {status}");
    Ok(())
}
