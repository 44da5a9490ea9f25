//! Runs ours and the peer's in turn and takes medians of the ratios.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::Value;

use crate::table::{self, Row};

/// What to run.
#[derive(Args)]
pub(crate) struct PairsArguments {
    /// Pairs of each benchmark.
    #[arg(long, default_value_t = 3)]
    pairs: usize,
    /// Only benchmarks whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// The peers' Python; scripts/peers.sh makes it.
    #[arg(long, env = "ESSAIM_PYTHON")]
    python: Option<PathBuf>,
    /// Write the table into docs/benchmarks.md.
    #[arg(long)]
    write: bool,
}

/// One benchmark: our arguments, the peer's, and the figure that is compared.
struct Benchmark {
    name: &'static str,
    what: &'static str,
    ours: &'static [&'static str],
    peer: &'static [&'static str],
    figure: &'static str,
    unit: &'static str,
    /// Whether less is better.
    less: bool,
    goal: &'static str,
}

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "step-d128",
        what: "training step, 4 layers d=128, batch 64×64",
        ours: &["step", "d128"],
        peer: &["torch_step.py", "d128"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "≥ 1.2×",
    },
    Benchmark {
        name: "step-d128-f32",
        what: "the same, plain f32 kernel",
        ours: &["step", "d128", "--kernel", "avx512"],
        peer: &["torch_step.py", "d128"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "",
    },
    Benchmark {
        name: "step-d256",
        what: "training step, 4 layers d=256, batch 64×64",
        ours: &["step", "d256"],
        peer: &["torch_step.py", "d256"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "≥ 1.0×",
    },
    Benchmark {
        name: "step-d256-f32",
        what: "the same, plain f32 kernel",
        ours: &["step", "d256", "--kernel", "avx512"],
        peer: &["torch_step.py", "d256"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "",
    },
    Benchmark {
        name: "step-0.5b",
        what: "training step, Qwen2.5-0.5B shape, 4×256 tokens",
        ours: &["step", "0.5b", "--steps", "2"],
        peer: &["torch_step.py", "0.5b", "--steps", "2"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "≥ 1.0×",
    },
    Benchmark {
        name: "generate-d256",
        what: "generation, d=256, 64 sequences, 32+64 tokens",
        ours: &["generate", "d256"],
        peer: &["hf_generate.py", "d256"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "≥ 3×",
    },
    Benchmark {
        name: "generate-0.5b",
        what: "generation, 0.5B shape, 2 groups of 8, 64+32 tokens",
        ours: &["generate", "0.5b", "--rounds", "1"],
        peer: &["hf_generate.py", "0.5b", "--rounds", "1"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "≥ 3×",
    },
    Benchmark {
        name: "generate-0.5b-bf16",
        what: "the same, bf16 weights (ours only)",
        ours: &["generate", "0.5b", "--dtype", "bf16", "--rounds", "1"],
        peer: &["hf_generate.py", "0.5b", "--rounds", "1"],
        figure: "tokens_per_s",
        unit: "tok/s",
        less: false,
        goal: "≥ 3×",
    },
    Benchmark {
        name: "head-memory",
        what: "peak extra memory of head and loss, vocabulary 151,936, 2,048 tokens",
        ours: &["head-memory"],
        peer: &[],
        figure: "megabytes",
        unit: "MB",
        less: true,
        goal: "≤ 300 MB",
    },
    Benchmark {
        name: "learn-spell-backward",
        what: "time to mean reward 0.8, spell-backward, 16×16, TRL GRPO",
        ours: &["learn", "bench/spell_backward.toml"],
        peer: &["trl_grpo.py", "spell-backward"],
        figure: "seconds_to_target",
        unit: "s",
        less: true,
        goal: "≥ 2×",
    },
    Benchmark {
        name: "learn-reverse-text",
        what: "samples per second, reverse-text, 64-token completions, TRL GRPO",
        ours: &["learn", "bench/reverse_text.toml"],
        peer: &["trl_grpo.py", "reverse-text", "--steps", "8"],
        figure: "samples_per_s",
        unit: "samples/s",
        less: false,
        goal: "≥ 2×",
    },
];

/// Runs what was asked for, prints the table, and writes it if wished.
pub(crate) fn run(arguments: &PairsArguments) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let wanted =
        |benchmark: &&Benchmark| arguments.only.as_ref().is_none_or(|only| benchmark.name.contains(only.as_str()));
    let mut rows = Vec::new();
    for benchmark in BENCHMARKS.iter().filter(wanted) {
        rows.push(row(benchmark, arguments, &root)?);
    }
    ensure!(!rows.is_empty(), "no benchmark's name contains {:?}", arguments.only);
    let text = table::markdown(&rows, &machine(), &commit(&root), arguments.pairs.max(1));
    println!("{text}");
    if arguments.write {
        table::write(&root.join("docs/benchmarks.md"), &text)?;
    }
    Ok(())
}

fn row(benchmark: &Benchmark, arguments: &PairsArguments, root: &Path) -> Result<Row> {
    let (mut ours, mut peers, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 1..=arguments.pairs.max(1) {
        let mine = figure(own_command(benchmark, root)?, benchmark.figure)?;
        ours.push(mine);
        eprintln!("{} pair {pair}: ours {mine:.1} {}", benchmark.name, benchmark.unit);
        if let (Some(python), false) = (&arguments.python, benchmark.peer.is_empty()) {
            let theirs = figure(peer_command(benchmark, python, root), benchmark.figure)?;
            peers.push(theirs);
            ratios.push(if benchmark.less { theirs / mine } else { mine / theirs });
            eprintln!("{} pair {pair}: peer {theirs:.1} {}", benchmark.name, benchmark.unit);
        }
    }
    Ok(Row {
        what: benchmark.what,
        unit: benchmark.unit,
        ours: median(ours).context("no run of ours")?,
        peer: median(peers),
        ratio: median(ratios),
        goal: benchmark.goal,
        command: format!("essaim-bench {}", benchmark.ours.join(" ")),
    })
}

fn own_command(benchmark: &Benchmark, root: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(benchmark.ours).current_dir(root);
    Ok(command)
}

fn peer_command(benchmark: &Benchmark, python: &Path, root: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(root.join("bench/peers").join(benchmark.peer[0])).args(&benchmark.peer[1..]);
    command.env("TOKENIZERS_PARALLELISM", "false").current_dir(std::env::temp_dir());
    command
}

/// The figure from the last line that the command prints.
fn figure(mut command: Command, name: &str) -> Result<f64> {
    let line = format!("{command:?}");
    let output = command.output().with_context(|| line.clone())?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{line} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let last = said.lines().last().with_context(|| format!("{line} printed nothing"))?;
    let value: Value = serde_json::from_str(last).with_context(|| format!("{line} printed {last:?}"))?;
    value[name].as_f64().with_context(|| format!("{line} gave no {name}: {last}"))
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown CPU", |(_, name)| name.trim());
    let cores = std::thread::available_parallelism().map_or(0, |cores| cores.get());
    let wide: Vec<&str> = ["avx512f", "amx_bf16"].into_iter().filter(|flag| text.contains(flag)).collect();
    format!("{model}, {cores} cores, {}", if wide.is_empty() { "no AVX-512".to_owned() } else { wide.join(" + ") })
}

fn commit(root: &Path) -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(root).output();
    output.ok().map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
