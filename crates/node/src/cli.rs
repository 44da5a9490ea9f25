//! The command line: what a person can type, and what the exit code says.
//!
//! Promise: data goes to standard output, everything else to standard error (except the progress
//! of `run` and `sft`, which is their output). Exit codes: `Ending::code` and `code_of` are all there are.

mod cheats;
mod money;

use crate::config::Sources;
use crate::context::Global;
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};

pub use cheats::CheatWord;
pub use money::*;

const EXAMPLES: &str = "\
Examples:
  essaim run                                   train the small default model and show that it learned
  essaim run my.toml --set train.lr=3e-4       a run of your own, one value changed
  essaim run --resume                          go on with the run that was written to last
  essaim eval --model runs/spell-backward/model
  essaim tasks                                 what can be trained on
  essaim run examples/liars.toml               ten workers, three of which lie and are caught
  essaim verify runs/liars --lease 9970        check a stored group again and explain the verdict
  essaim sim --seeds 20                        the whole network with faults and liars, simulated
  essaim ledger audit runs/liars               rebuild every payout of a run from its signed log
  essaim balance --all --chain runs/liars      who holds what on the run's chain
  essaim report runs/spell-backward            make report.html again

Exit codes:
    0  done; a reader of the output that goes away (`| head`) changes nothing
    1  failed, or found not to be as it must be; a run whose summary says \"failed\"; output that cannot be written
    2  wrong usage, or settings that are refused
    3  `verify` could not check it here
    4  done, but the result could not be written to standard output: it is on standard error
    5  `verify` was asked for a group whose evidence was dropped with its weights
  130  ended by Ctrl-C, SIGTERM, or a no to a question";

/// Reinforcement learning of language models, from one laptop to many machines that need not trust each other.
#[derive(Debug, Parser)]
#[command(name = "essaim", version, about, after_help = EXAMPLES, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options that every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model by reinforcement learning
    #[command(after_help = RUN_EXAMPLES)]
    Run(RunArgs),
    /// Train a model on the tasks' own answers (supervised), without RL
    #[command(after_help = SFT_EXAMPLES)]
    Sft(SftArgs),
    /// Score a model on held-out items of the tasks
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(EvalArgs),
    /// Complete prompts with a model
    #[command(after_help = GENERATE_EXAMPLES)]
    Generate(GenerateArgs),
    /// Talk with a model
    Chat(ChatArgs),
    /// List the tasks, each with an item
    #[command(after_help = TASKS_EXAMPLES)]
    Tasks(TasksArgs),
    /// Make report.html and summary.json of a run again, from its event log alone
    #[command(after_help = REPORT_EXAMPLES)]
    Report(ReportArgs),
    /// Check a stored group of rollouts again, offline, and explain the verdict
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),
    /// Simulate the whole network from seeds, with faults and liars
    #[command(after_help = SIM_EXAMPLES, after_long_help = sim_help())]
    Sim(SimArgs),
    /// Simulate what honest, lazy, lying and colluding parties earn
    #[command(after_help = ECONOMICS_EXAMPLES)]
    Economics(EconomicsArgs),
    /// Commands about money.
    #[command(flatten)]
    Money(MoneyCommand),
    /// Print the completion script of a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
}

const RUN_EXAMPLES: &str = "\
Examples:
  essaim run
  essaim run base.toml mine.toml --set rollout.group_size=8 --set tasks.0.letters_max=5
  essaim run my.toml --model Qwen/Qwen2.5-0.5B-Instruct
  essaim run my.toml --dry-run                 print all settings and stop
  essaim run --resume runs/my-run              go on where it was stopped or killed

Later files win over earlier ones, --set wins over files. A value is read as TOML
(3, 0.5, true, [1, 2]); anything else is text. Without a file the embedded default run is used.
A run outlives its terminal: a hang-up, a closed pipe or a full disk behind its output change nothing, and its
log in the run's folder has everything. Ctrl-C and SIGTERM end it after the step. Exit code 1 if it failed.";

const SFT_EXAMPLES: &str = "\
Examples:
  essaim sft my.toml --set sft.steps=200 --out models/warm

Uses [model], [[tasks]] and [sft]; the trained model is written to OUT/model.";

const EVAL_EXAMPLES: &str = "\
Examples:
  essaim eval --model runs/spell-backward/model
  essaim eval my.toml --model Qwen/Qwen2.5-0.5B-Instruct --show 3
  essaim eval my.toml --set eval.samples=8 --set eval.temperature=1.0 --json

Uses [[tasks]] and [eval]; --model wins over [model]. Reports avg@k, pass@k and the mean reward. Without run files
the settings are those of the run that the model's folder is in; else the built-in task is scored, asked through the
model's chat template if it has one. Which it is, is said each time.";

const GENERATE_EXAMPLES: &str = "\
Examples:
  essaim generate --model runs/spell-backward/model 'abc='
  echo 'What is 2+3?' | essaim generate --model Qwen/Qwen2.5-0.5B-Instruct --chat -
  essaim generate --model DIR --samples 4 --temperature 1 --seed 7 --json 'abc=' 'xyz='
  essaim generate --model DIR --dtype bf16 --threads 4 'abc='          in half the memory, on four cores";

const TASKS_EXAMPLES: &str = "\
Examples:
  essaim tasks                                 every built-in task with its settings
  essaim tasks my.toml --items 3               the tasks of a run file, three items each
  essaim tasks my.toml --admit                 test their graders: does an answer without a look pay?";

const REPORT_EXAMPLES: &str = "\
Examples:
  essaim report runs/liars
  essaim report /mnt/archive/liars --out .     of a run in a folder that can only be read

Prints the summary as well. While a run goes on, the report is of what its log has so far.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  essaim verify runs/liars --lease 9970        a group of a run; the end of one in async mode names such
  essaim verify runs/liars --lease 9970 --export group.json
  essaim verify group.json --weights runs/liars --all --json

The group is checked by the validator's own code. Exit codes: 0 valid, 1 invalid, 3 could not be
checked here, for example because its weights are elsewhere, 5 its evidence was dropped.
A run keeps the evidence of groups whose weights are in a checkpoint that it keeps, of those that were
not settled before the oldest of these, and of those that somebody was fined for; see checkpoint.keep.";

const SIM_EXAMPLES: &str = "\
Examples:
  essaim sim                                   every cheat and none, 20 seeds each
  essaim sim --seeds 1000                      the full sweep
  essaim sim --seeds 100 --cheat int8_weights --cheat best_of_n
  essaim sim --seed 7 --cheat withheld --trace what happened, line by line

Rules, desk, workers, validators and model are the real ones; network, clock and crashes are
simulated. Exit codes: 0 every promise held, 1 one broke (the table ends with its seed).
--help lists the cheats.";

const ECONOMICS_EXAMPLES: &str = "\
Examples:
  essaim economics                             every strategy under every preset, 3 seeds, 100 epochs
  essaim economics --preset local --seeds 20
  essaim economics --svg economics.svg --json

Payouts are those of the real ledger, lots and rulings those of the real rules; whether a false answer is
found out is drawn with the measured probability. Exit codes: 0 honesty is the best reply, 1 a lie pays.";

fn sim_help() -> String {
    format!("{SIM_EXAMPLES}\n\n{}", cheats::cheats_help())
}

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  essaim completions bash > ~/.local/share/bash-completion/completions/essaim
  essaim completions zsh > ~/.zfunc/_essaim
  essaim completions fish > ~/.config/fish/completions/essaim.fish";

/// Run files and changes to them.
#[derive(Debug, Clone, Default, Args)]
pub struct ConfigArgs {
    /// Run files (TOML); later ones win. None: the embedded default run
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Change one setting, such as train.lr=1e-4 or tasks.0.letters_max=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// A Hugging Face folder, GGUF file or hub name, over `[model]`
    #[arg(long, short, value_name = "MODEL")]
    pub model: Option<String>,
}

impl ConfigArgs {
    /// As [`crate::config::resolve`] takes them. `--model` stands in place of the whole section `[model]`, before
    /// all `--set`, so that `--set model.template_args...` reaches this model.
    pub fn sources(&self, global: &Global) -> Sources {
        let model = self.model.as_ref().map(|model| {
            let key = if Path::new(model).exists() || is_path(model) { "path" } else { "hub" };
            format!("model={{ {key} = {} }}", toml::Value::String(model.clone()))
        });
        let sets = model.into_iter().chain(self.sets.iter().cloned()).collect();
        Sources { files: self.files.clone(), sets, device: global.device.clone() }
    }
}

/// Hub names begin with a letter or digit and have one `/`.
fn is_path(name: &str) -> bool {
    name.starts_with(['/', '.', '~']) || name.matches('/').count() != 1
}

/// `essaim run`.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Run files and changes to them.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print the resolved settings and the memory that the run will take, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Go on with a run; without DIR, the one that was written to last. Put FILES before it
    #[arg(long, value_name = "DIR", num_args = 0..=1)]
    #[allow(clippy::option_option)] // absent, given without a value, given with one
    pub resume: Option<Option<PathBuf>>,
    /// Write into exactly this folder instead of a new one under `run.out_dir`
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub out: Option<PathBuf>,
}

/// `essaim sft`.
#[derive(Debug, Clone, Default, Args)]
pub struct SftArgs {
    /// Run files and changes to them.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Print the resolved settings and the memory that the run will take, and stop
    #[arg(long)]
    pub dry_run: bool,
    /// Write into exactly this folder instead of a new one under `run.out_dir`
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `essaim eval`.
#[derive(Debug, Clone, Default, Args)]
pub struct EvalArgs {
    /// Run files and changes to them.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Show what was asked and answered on the first N items [default: 0; with --json all]
    #[arg(long, value_name = "N")]
    pub show: Option<u64>,
    /// Print the resolved settings and stop
    #[arg(long)]
    pub dry_run: bool,
}

/// How to sample, for commands without a run file.
#[derive(Debug, Clone, Args)]
pub struct SamplingArgs {
    /// Sampling temperature; 0 takes the most likely token
    #[arg(long, default_value_t = 0.0, value_parser = temperature)]
    pub temperature: f32,
    /// Keep the most likely tokens up to this probability mass
    #[arg(long, value_parser = probability)]
    pub top_p: Option<f32>,
    /// Keep this many most likely tokens
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,
    /// Longest completion in tokens
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: u32,
    /// Seed of the sampling noise; the same seed gives the same text
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// End a completion at this text, special tokens such as `<|im_end|>` included (may be given several times)
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub stop: Vec<String>,
    /// Tell the chat template this, such as `enable_thinking=false`; VALUE is TOML, or else text (may be given several times)
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::run::chat::argument)]
    pub template_arg: Vec<(String, jinja::Value)>,
    /// The day that a chat template is told which asks for the date; today's if not given
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub template_date: Option<jinja::Date>,
}

/// How a model is computed, for commands without a run file.
#[derive(Debug, Clone, Default, Args)]
pub struct ComputeArgs {
    /// Number format of the matrices, as `[rollout] dtype` has it; sums are f32 in both
    #[arg(long, value_enum, default_value_t)]
    pub dtype: DtypeWord,
    /// Threads for numeric work, as `[run] threads` has it [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Number formats of matrices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DtypeWord {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, with the range of f32: half the memory, rounded.
    Bf16,
}

/// `essaim generate`.
#[derive(Debug, Clone, Args)]
pub struct GenerateArgs {
    /// A Hugging Face folder, GGUF file or hub name
    #[arg(long, short, value_name = "MODEL")]
    pub model: String,
    /// Prompts; `-` reads one from standard input
    #[arg(value_name = "PROMPT", required = true)]
    pub prompts: Vec<String>,
    /// Completions per prompt
    #[arg(long, short = 'n', default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub samples: u32,
    /// Wrap each prompt in the model's chat template
    #[arg(long)]
    pub chat: bool,
    /// How to sample.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// How to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// `essaim chat`.
#[derive(Debug, Clone, Args)]
pub struct ChatArgs {
    /// A Hugging Face folder, GGUF file or hub name
    #[arg(long, short, value_name = "MODEL")]
    pub model: String,
    /// What the model is told before the talk
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// How to sample.
    #[command(flatten)]
    pub sampling: SamplingArgs,
    /// How to compute.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// `essaim tasks`.
#[derive(Debug, Clone, Default, Args)]
pub struct TasksArgs {
    /// Run files whose tasks are shown; none: every built-in task
    #[arg(value_name = "FILES")]
    pub files: Vec<PathBuf>,
    /// Change one setting of the run files
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Items shown of each task
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub items: u64,
    /// Seed of the items
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Test each grader with empty, constant, garbage and right answers
    #[arg(long)]
    pub admit: bool,
}

/// `essaim report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Folder of the run
    #[arg(value_name = "RUN_DIR")]
    pub run_dir: PathBuf,
    /// Write both files into this folder instead; needed where the run's folder can only be read
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `essaim verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// A file that --export wrote, or the folder of a run
    #[arg(value_name = "FILE_OR_RUN_DIR")]
    pub path: PathBuf,
    /// Which group of the run
    #[arg(long, value_name = "N")]
    pub lease: Option<u64>,
    /// Look for the weights here first: a model folder, a checkpoint, or a run folder (may be given several times)
    #[arg(long, value_name = "DIR")]
    pub weights: Vec<PathBuf>,
    /// Recompute every rollout, not only those that the lot drew
    #[arg(long)]
    pub all: bool,
    /// Write the group with its terms and verdicts into a file that can be checked elsewhere
    #[arg(long, value_name = "FILE")]
    pub export: Option<PathBuf>,
}

/// Largest seed of a simulation.
const SEED_MAX: u64 = 1 << 53;

/// `essaim sim`.
#[derive(Debug, Clone, Default, Args)]
pub struct SimArgs {
    /// Seeds to simulate with each cheat (20; 1 if --seed is given)
    #[arg(long, value_name = "N", conflicts_with = "trace", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub seeds: Option<u64>,
    /// The first seed (0)
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    pub seed: Option<u64>,
    /// Who lies, and how; `none` for nobody (may be given several times; all of them if not at all)
    #[arg(long, value_name = "NAME")]
    pub cheat: Vec<CheatWord>,
    /// Tell one simulation line by line
    #[arg(long)]
    pub trace: bool,
    /// Threads (one per core)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// `essaim economics`.
#[derive(Debug, Clone, Args)]
pub struct EconomicsArgs {
    /// One preset only
    #[arg(long, value_name = "NAME", value_parser = ["local", "team", "open"])]
    pub preset: Option<String>,
    /// Seeds to simulate with each strategy
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub seeds: u64,
    /// The first seed
    #[arg(long, value_name = "SEED", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=SEED_MAX))]
    pub seed: u64,
    /// Epochs of each simulation
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub epochs: u64,
    /// Draw what came of it into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// `essaim completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

fn temperature(text: &str) -> Result<f32, String> {
    number_within(text, 0.0, 100.0)
}

fn probability(text: &str) -> Result<f32, String> {
    number_within(text, f32::MIN_POSITIVE, 1.0)
}

fn number_within(text: &str, low: f32, high: f32) -> Result<f32, String> {
    let value: f32 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (low..=high).contains(&value) { Ok(value) } else { Err(format!("limit {low:?} to {high:?}, given {value}")) }
}

#[cfg(test)]
mod tests;
