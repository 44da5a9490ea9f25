//! `essaim completions`: the script that teaches a shell our words.

use crate::cli::{Cli, CompletionsArgs};
use crate::ending::Ending;
use clap::CommandFactory;
use record::output;

/// Prints the script to standard output.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Ending> {
    // Made in memory first: the generator panics if it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "essaim", &mut script);
    output::print(&String::from_utf8(script)?)?;
    Ok(Ending::Done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_commands() {
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "essaim", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in [
                "run",
                "generate",
                "verify",
                "sim",
                "export",
                "completions",
                "dry-run",
                "ledger",
                "unstake",
                "withdraw",
            ] {
                assert!(script.contains(word), "{shell} lacks {word}");
            }
        }
    }
}
