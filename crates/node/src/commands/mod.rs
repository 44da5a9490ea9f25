//! One file per command of the `essaim` program.

use crate::cli::Command;
use crate::context::Context;
use crate::ending::Ending;

mod chat;
mod completer;
mod completions;
mod economics;
mod eval;
mod generate;
mod money;
mod progress;
mod report;
mod run;
mod settings;
mod sft;
mod sim;
mod tasks;
mod verify;

/// Runs a command.
pub(crate) fn dispatch(command: Command, context: &Context) -> anyhow::Result<Ending> {
    match command {
        Command::Run(args) => run::run(&args, context),
        Command::Sft(args) => sft::sft(&args, context),
        Command::Eval(args) => eval::eval(&args, context),
        Command::Generate(args) => generate::generate(&args, context),
        Command::Chat(args) => chat::chat(&args, context),
        Command::Tasks(args) => tasks::tasks(&args, context),
        Command::Report(args) => report::report(&args, context),
        Command::Verify(args) => verify::verify(&args, context),
        Command::Sim(args) => sim::sim(&args, context),
        Command::Economics(args) => economics::economics(&args, context),
        Command::Money(command) => money::dispatch(command, context),
        Command::Completions(args) => completions::completions(&args),
    }
}
