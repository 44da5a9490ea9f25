//! `essaim run`: settles the settings and the folder, then runs.

use super::settings;
use crate::cli::RunArgs;
use crate::config::{self, ConfigError, RunConfig, Sources};
use crate::context::Context;
use crate::ending::Ending;
use crate::ending::WrongUsage;
use crate::run::chat;
use crate::run::memory::Kind;
use record::run_dir::{self, RunDir};
use std::path::{Path, PathBuf};

/// Starts a run or goes on with one.
pub(crate) fn run(args: &RunArgs, context: &Context) -> anyhow::Result<Ending> {
    let sources = args.config.sources(&context.global);
    let resumed = match &args.resume {
        Some(folder) => Some(folder_to_resume(folder.as_deref(), &sources)?),
        None => None,
    };
    let mut config = resolve(sources, resumed.as_deref())?;
    if args.dry_run {
        settings::print_planned(config, Kind::Rl, context)?;
        return Ok(Ending::Done);
    }
    if config.stop.steps == 0 {
        let message =
            "stop.steps is 0, and a run takes at least one step; `essaim sft` trains on the tasks' answers alone";
        return Err(WrongUsage::from(message.to_owned()).into());
    }
    let dir = match (&resumed, &args.out) {
        (Some(folder), _) => RunDir::open(folder)?,
        (None, Some(folder)) => RunDir::create_at(folder)?,
        (None, None) => RunDir::create(&config.run.out_dir, &config.run.name)?,
    };
    // A run that is taken up again writes its settings once it has accepted them.
    if resumed.is_none() {
        chat::keep_date(&mut config);
        run_dir::write_whole(&dir.config(), config.to_toml()?.as_bytes())?;
    }
    context.stop.on_signals()?;
    crate::run::run(config, dir, resumed.is_some(), context)
}

/// The folder named, or the one under `run.out_dir` that was written to last.
fn folder_to_resume(folder: Option<&Path>, sources: &Sources) -> anyhow::Result<PathBuf> {
    if let Some(folder) = folder {
        anyhow::ensure!(
            folder.is_dir(),
            "--resume {}: not a run folder (run files go before --resume)",
            folder.display()
        );
        return Ok(folder.to_owned());
    }
    let out_dir = config::resolve(sources)?.run.out_dir;
    Ok(RunDir::latest(&out_dir)?)
}

/// A resumed run takes the settings it was started with as the weakest layer.
fn resolve(mut sources: Sources, resumed: Option<&Path>) -> Result<RunConfig, ConfigError> {
    if let Some(folder) = resumed {
        sources.files.insert(0, run_dir::config_path(folder));
    }
    config::resolve(&sources)
}
