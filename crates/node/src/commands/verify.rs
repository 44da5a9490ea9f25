//! `essaim verify`: checks a stored group again, offline, and explains the verdict; or says that its evidence is gone,
//! which speaks for or against nobody.

use anyhow::Result;
use ops::DeviceSpec;
use protocol::Outcome;
use serde_json::json;

use crate::cli::VerifyArgs;
use crate::context::Context;
use crate::ending::WrongUsage;
use crate::ending::{Ending, NotChecked};
use crate::evidence::{self, Dropped, NotStored, Place, Reach, StoredGroup};
use record::output;

/// Where the model runs unless `--device` says otherwise: whoever looks at a file need not have the run's device.
const DEVICE: &str = "cpu";

/// Checks, prints, and tells the finding as the way it ends.
///
/// Errors: `WrongUsage`, or `NotChecked`: a failure is no verdict.
pub(crate) fn verify(args: &VerifyArgs, context: &Context) -> Result<Ending> {
    if args.lease.is_some() && args.path.is_file() {
        let message = format!("--lease: {} is a file, which holds one group", args.path.display());
        return Err(WrongUsage::from(message).into());
    }
    let device = context.global.device.as_deref().unwrap_or(DEVICE);
    device.parse::<DeviceSpec>().map_err(|error| WrongUsage::from(format!("--device: {error}")))?;
    check(args, device, context).map_err(|error| match error.downcast_ref() {
        Some(NotStored::NoLease { .. }) => WrongUsage::from(error.to_string()).into(),
        _ => NotChecked(output::message(&error)).into(),
    })
}

fn check(args: &VerifyArgs, device: &str, context: &Context) -> Result<Ending> {
    let is_run = args.path.is_dir();
    let group = match is_run {
        true => match evidence::take_out(&args.path, args.lease) {
            Err(error) if error.is::<Dropped>() => return tell_dropped(&error.downcast()?, context),
            taken => taken?,
        },
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

fn tell_dropped(dropped: &Dropped, context: &Context) -> Result<Ending> {
    let document = || {
        json!({ "outcome": "dropped", "lease": dropped.lease, "weight_version": dropped.weight_version,
        "words": dropped.to_string() })
    };
    context.answer(document, || format!("{dropped}\n"))?;
    Ok(Ending::Dropped)
}
