//! The whole program: a command line in, an exit code out.

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::commands;
use crate::context::Context;
use crate::ending::{EXIT_FAILED, EXIT_USAGE, code_of};
use crate::signal::Stop;
use record::output::{self, OutputError};

/// The whole program: parses, runs, tells the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(usage(&error)),
    };
    let context = Context { global: cli.global, stop: Stop::new() };
    let code = match commands::dispatch(cli.command, &context) {
        Ok(ending) => ending.code(),
        Err(error) => {
            tell_failure(&output::message(&error), context.global.json);
            code_of(&error)
        }
    };
    ExitCode::from(code)
}

/// Help and version are output like any other; wrong usage is told on standard error.
fn usage(error: &clap::Error) -> u8 {
    match error.print() {
        // If standard error is gone there is nobody to tell.
        _ if error.use_stderr() => EXIT_USAGE,
        Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => {
            tell_failure(&OutputError::from(fault).to_string(), false);
            EXIT_FAILED
        }
        _ => 0,
    }
}

fn tell_failure(message: &str, json: bool) {
    match json {
        true => output::note(&serde_json::json!({ "error": message }).to_string()),
        false => output::note(&format!("error: {message}")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::Matmul;
    use crate::ending::{Ending, WrongUsage};

    #[test]
    fn each_exit_code_is_in_the_help() {
        let help = Cli::command().render_help().to_string();
        let endings = [Ending::Done, Ending::Refuted, Ending::Open, Ending::Dropped, Ending::Interrupted];
        let codes = endings.map(Ending::code);
        let errors = [
            anyhow::anyhow!("it failed"),
            WrongUsage::from("what?".to_owned()).into(),
            output::done(Err(OutputError::from(std::io::Error::other("full"))), "sent").unwrap_err().into(),
        ];
        let codes: std::collections::BTreeSet<u8> = codes.into_iter().chain(errors.iter().map(code_of)).collect();
        assert_eq!(codes.iter().copied().collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 130]);
        let listed = help.lines().skip_while(|line| !line.starts_with("Exit codes:")).skip(1);
        let listed: Vec<u8> = listed.map_while(|line| line.trim().split(' ').next()?.parse().ok()).collect();
        assert_eq!(listed, codes.into_iter().collect::<Vec<_>>(), "{help}");
    }

    #[test]
    fn a_kernel_that_this_machine_lacks_is_refused_as_a_setting() {
        let mut config = crate::config::resolve(&crate::config::Sources::default()).unwrap();
        config.run.matmul = if cfg!(target_arch = "aarch64") { Matmul::Avx2 } else { Matmul::Neon };
        let error = crate::run::setup::device(&config).unwrap_err();
        assert!(error.to_string().ends_with("matrix kernel does not run on this machine"), "{error}");
        assert_eq!(code_of(&error), EXIT_USAGE);
    }
}
