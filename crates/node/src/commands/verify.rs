//! `essaim verify`: checks a stored group again, offline, and explains the verdict.

use anyhow::{Result, ensure};
use protocol::Outcome;

use crate::cli::{Context, Ending, VerifyArgs};
use crate::evidence::{self, Place, Reach, StoredGroup};
use crate::output;

/// Where the model runs unless `--device` says otherwise: whoever looks at a file need not have the run's device.
const DEVICE: &str = "cpu";

/// Checks, prints, and tells the finding as the way it ends.
pub(crate) fn verify(args: &VerifyArgs, context: &Context) -> Result<Ending> {
    let is_run = args.path.is_dir();
    let is_one_group = args.lease.is_some() && args.path.is_file();
    ensure!(!is_one_group, "--lease: {} is a file, which holds one group", args.path.display());
    let group = match is_run {
        true => evidence::take_out(&args.path, args.lease)?,
        false => StoredGroup::read(&args.path)?,
    };
    if let Some(file) = &args.export {
        group.write(file)?;
    }
    let mut places = Vec::new();
    for folder in &args.weights {
        places.extend(Place::in_folder(folder)?);
    }
    // A run that has not come to its first checkpoint is no place to look for weights.
    if is_run && args.path.join("checkpoints").is_dir() {
        places.extend(Place::in_folder(&args.path)?);
    }
    let device = context.global.device.as_deref().unwrap_or(DEVICE);
    let reach = if is_run { Reach::OwnRun } else { Reach::Stranger };
    let recheck = evidence::recheck(&group, &places, reach, device, args.all)?;
    let explained = evidence::explain(&group, &recheck)?;
    let text = match (context.global.json, context.global.quiet) {
        (true, _) => serde_json::to_string_pretty(&explained)? + "\n",
        (false, true) => explained.words.clone() + "\n",
        (false, false) => explained.to_text(),
    };
    output::print(&text)?;
    Ok(match explained.outcome {
        Outcome::Valid => Ending::Done,
        Outcome::Invalid(_) => Ending::Refuted,
        Outcome::Unchecked(_) => Ending::Open,
    })
}
