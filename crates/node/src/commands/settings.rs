//! `--dry-run`: the resolved settings, as TOML or JSON.

use crate::cli::Context;
use crate::config::RunConfig;
use crate::output;

/// Prints the settings to standard output: TOML that `essaim run` reads back, or JSON with `--json`. A password in
/// the address of a chain is left out.
pub(crate) fn print(config: &RunConfig, context: &Context) -> anyhow::Result<()> {
    let config = RunConfig { chain: config.chain.printed(), ..config.clone() };
    let text = if context.global.json { serde_json::to_string_pretty(&config)? + "\n" } else { config.to_toml()? };
    Ok(output::print(&text)?)
}
