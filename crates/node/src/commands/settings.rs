//! `--dry-run`: the resolved settings, as TOML or JSON, and the memory that a run with them takes.

use crate::config::RunConfig;
use crate::context::Context;
use crate::run::memory::Kind;
use crate::run::{self, Planned};
use record::output;

/// Prints the settings to standard output: TOML that `essaim run` reads back, or JSON with `--json`. A password in
/// the address of a chain is left out.
pub(crate) fn print(config: &RunConfig, context: &Context) -> anyhow::Result<()> {
    let config = RunConfig { chain: config.chain.printed(), ..config.clone() };
    let text = match context.global.json {
        true => serde_json::to_string_pretty(&config)? + "\n",
        false => format!("{}{}", config.to_toml()?, unset(&config)?),
    };
    Ok(output::print(&text)?)
}

/// As [`print`], with the memory plan behind it: a comment, or `memory` in JSON.
///
/// Errors: `WrongUsage` where the plan is over the limit.
pub(crate) fn print_planned(mut config: RunConfig, kind: Kind, context: &Context) -> anyhow::Result<()> {
    let planned = run::planned(&mut config, kind)?;
    let config = RunConfig { chain: config.chain.printed(), ..config };
    let (plan, table, refusal) = match planned {
        Planned::Memory(plan, refusal) => (serde_json::to_value(&plan)?, plan.to_text(), refusal),
        Planned::Unknown(why) => {
            output::note(&format!("note: the memory of the run is unknown: {why}"));
            (serde_json::Value::Null, format!("unknown: {why}\n"), None)
        }
    };
    let text = match context.global.json {
        true => {
            let mut settings = serde_json::to_value(&config)?;
            settings["memory"] = plan;
            serde_json::to_string_pretty(&settings)? + "\n"
        }
        false => {
            let lines: String = table.lines().map(|line| format!("#   {line}\n")).collect();
            format!("{}{}\n# Memory:\n{lines}", config.to_toml()?, unset(&config)?)
        }
    };
    output::print(&text)?;
    refusal.map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// A comment that lists, section by section, what could be set as well.
fn unset(config: &RunConfig) -> anyhow::Result<String> {
    let keys = config.unset()?;
    let section = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
    let lines = keys.chunk_by(|a, b| section(a) == section(b)).map(|keys| format!("#   {}\n", keys.join(", ")));
    Ok(format!("\n# Without a value, and so left to the defaults:\n{}", lines.collect::<String>()))
}
