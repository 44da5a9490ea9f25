//! `--dry-run`: the resolved settings, as TOML or JSON.

use crate::cli::Context;
use crate::config::RunConfig;
use crate::output;

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

/// A comment that lists, section by section, what could be set as well.
fn unset(config: &RunConfig) -> anyhow::Result<String> {
    let keys = config.unset()?;
    let section = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
    let lines = keys.chunk_by(|a, b| section(a) == section(b)).map(|keys| format!("#   {}\n", keys.join(", ")));
    Ok(format!("\n# Without a value, and so left to the defaults:\n{}", lines.collect::<String>()))
}
