//! `essaim sft`: learning from the tasks' own answers, without RL.

use super::settings;
use crate::cli::SftArgs;
use crate::config::{self, ConfigError, Fault, RunConfig};
use crate::context::Context;
use crate::ending::Ending;
use crate::run::memory::Kind;
use crate::run::{chat, supervised};
use anyhow::Result;
use record::run_dir::{self, RunDir};

/// Trains, and writes the model into the run folder.
pub(crate) fn sft(args: &SftArgs, context: &Context) -> Result<Ending> {
    let mut config = config::resolve(&args.config.sources(&context.global))?;
    has_steps(&config)?;
    if args.dry_run {
        settings::print_planned(config, Kind::Sft, context)?;
        return Ok(Ending::Done);
    }
    let dir = match &args.out {
        Some(folder) => RunDir::create_at(folder)?,
        None => RunDir::create(&config.run.out_dir, &config.run.name)?,
    };
    chat::keep_date(&mut config);
    run_dir::write_whole(&dir.config(), config.to_toml()?.as_bytes())?;
    context.stop.on_signals()?;
    supervised::supervise(config, dir, context)
}

/// A run may do without a warm-up, but here it is all there is.
fn has_steps(config: &RunConfig) -> Result<(), ConfigError> {
    if config.sft.steps > 0 {
        return Ok(());
    }
    Err(ConfigError::Fault { layer: None, fault: Fault::range("sft.steps", 0, "at least 1 for `essaim sft`") })
}
