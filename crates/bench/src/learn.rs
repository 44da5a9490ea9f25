//! A whole run of the `essaim` binary that stands beside this one, read from its `summary.json`.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};

/// What to run.
#[derive(Args)]
pub(crate) struct LearnArguments {
    /// Run files, the later over the earlier.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Overrides, as `essaim run --set`.
    #[arg(long = "set")]
    set: Vec<String>,
}

/// Runs to the end and reports time and rate.
pub(crate) fn measure(arguments: &LearnArguments) -> Result<Value> {
    let folder = std::env::temp_dir().join(format!("essaim-bench-{}", std::process::id()));
    let binary = std::env::current_exe()?.with_file_name("essaim");
    ensure!(binary.exists(), "{} is missing: build it first, `cargo build --release`", binary.display());
    let mut command = Command::new(&binary);
    command.arg("run").args(&arguments.files).arg("--out").arg(&folder).arg("--quiet");
    for set in &arguments.set {
        command.args(["--set", set]);
    }
    let status = command
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()
        .with_context(|| binary.display().to_string())?;
    ensure!(status.success(), "{} ended with {status}", binary.display());
    let path = folder.join("summary.json");
    let summary: Value = serde_json::from_slice(&std::fs::read(&path).with_context(|| path.display().to_string())?)?;
    let path = folder.join("metrics.jsonl");
    let metrics = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let steps = summary["steps"].as_f64().context("summary.json has no steps")?;
    let rollouts = summary["rollouts_trained"].as_f64().context("summary.json has no rollouts_trained")?;
    // The whole process counts: model, tokenizer, first and last evaluation too.
    let seconds = summary["seconds"].as_f64().context("summary.json has no seconds")?;
    let reached = summary["outcome"] == "target_reached";
    let of_steps = |name: &str| -> Result<Vec<f64>> {
        let lines = metrics.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        Ok(lines.iter().filter_map(|line| line[name].as_f64()).collect())
    };
    Ok(json!({
        "seconds_to_target": reached.then_some(seconds),
        "steps": steps,
        "samples_per_s": rollouts / seconds,
        "seconds": seconds,
        "rewards": of_steps("reward")?,
        // With the wait for the first batch, as a peer that generates before each step has it.
        "seconds_per_step": of_steps("time/step")?.iter().sum::<f64>() / steps,
        "peak_gibibytes": summary["peak_memory_bytes"].as_f64().map(|bytes| bytes / f64::from(1 << 30)),
    }))
}
