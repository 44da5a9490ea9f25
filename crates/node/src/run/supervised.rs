//! `essaim sft`: the supervised warm-up as a run of its own.
//!
//! Promise: leaves what a run leaves (log, metrics, report, `model` folder), and after Ctrl-C the
//! weights learnt so far. Such a run has no checkpoint to go on from.

use anyhow::Result;

use super::{Ended, Stage, begin_journal, conclude, ending, evaluate_now, learning, memory::Kind, new_stage};
use crate::config::RunConfig;
use crate::context::Context;
use crate::ending::Ending;
use model::Transformer;
use record::events::{EvalStage, Outcome};
use record::run_dir::RunDir;

use super::journal::Journal;

/// Measures, trains `[sft] steps` steps, measures again.
pub(crate) fn supervise(config: RunConfig, dir: RunDir, context: &Context) -> Result<Ending> {
    let (stage, model) = new_stage(config, Kind::Sft, dir, context.stop.clone())?;
    let mut journal = begin_journal(&stage, &model, 0, context)?;
    let ended = train(&stage, model, &mut journal);
    ending(conclude(&stage, &mut journal, ended)?)
}

fn train(stage: &Stage, model: Transformer, journal: &mut Journal) -> Result<Ended> {
    evaluate_now(stage, &model.snapshot(), 0, EvalStage::Start, journal)?;
    let (model, whole) = learning::warm_up(&stage.config, &stage.prompting, model, journal, &stage.stop)?;
    let snapshot = model.snapshot();
    let outcome = if whole {
        evaluate_now(stage, &snapshot, stage.config.sft.steps, EvalStage::AfterSft, journal)?;
        Outcome::StepsDone
    } else {
        Outcome::Interrupted
    };
    Ok(Ended { outcome, steps: 0, snapshot: Some(snapshot) })
}
