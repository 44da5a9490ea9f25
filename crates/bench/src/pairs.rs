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

/// One benchmark: our arguments, the peer's, and the figures that are compared. In arguments [`MODELS`] is the folder
/// of `scripts/real-models.sh`.
struct Benchmark {
    name: &'static str,
    ours: &'static [&'static str],
    peer: &'static [&'static str],
    figures: &'static [Figure],
}

/// A number that both sides print, and its row of the table.
struct Figure {
    key: &'static str,
    what: &'static str,
    unit: &'static str,
    /// Whether less is better.
    less: bool,
    goal: &'static str,
}

const fn tokens_per_s(what: &'static str, goal: &'static str) -> Figure {
    Figure { key: "tokens_per_s", what, unit: "tok/s", less: false, goal }
}

/// Of an RL step: how long it takes, and the largest memory of the process.
const fn time_and_memory(what: &'static str, time_goal: &'static str, memory_goal: &'static str) -> [Figure; 2] {
    let memory = "the same, peak memory of the process";
    [
        Figure { key: "seconds_per_step", what, unit: "s", less: true, goal: time_goal },
        Figure { key: "peak_gibibytes", what: memory, unit: "GiB", less: true, goal: memory_goal },
    ]
}

const MODELS: &str = "{models}";

/// Our kernel for processors without AVX-512, and the peer's way to act as on one.
const AVX2: &str = "avx2";
const PEER_AVX2: [(&str, &str); 3] =
    [("ATEN_CPU_CAPABILITY", "avx2"), ("MKL_ENABLE_INSTRUCTIONS", "AVX2"), ("ONEDNN_MAX_CPU_ISA", "AVX2")];

const BENCHMARKS: &[Benchmark] = &[
    Benchmark {
        name: "step-d128",
        ours: &["step", "d128"],
        peer: &["torch_step.py", "d128"],
        figures: &[tokens_per_s("training step, 4 layers d=128, batch 64×64", "≥ 1.2×")],
    },
    Benchmark {
        name: "step-d128-f32",
        ours: &["step", "d128", "--kernel", "avx512"],
        peer: &["torch_step.py", "d128"],
        figures: &[tokens_per_s("the same, plain f32 kernel", "")],
    },
    Benchmark {
        name: "step-d128-avx2",
        ours: &["step", "d128", "--kernel", AVX2],
        peer: &["torch_step.py", "d128"],
        figures: &[tokens_per_s("the same, both sides kept to AVX2", "≥ 1.3×")],
    },
    Benchmark {
        name: "step-d256",
        ours: &["step", "d256"],
        peer: &["torch_step.py", "d256"],
        figures: &[tokens_per_s("training step, 4 layers d=256, batch 64×64", "≥ 1.0×")],
    },
    Benchmark {
        name: "step-d256-f32",
        ours: &["step", "d256", "--kernel", "avx512"],
        peer: &["torch_step.py", "d256"],
        figures: &[tokens_per_s("the same, plain f32 kernel", "")],
    },
    Benchmark {
        name: "step-d256-avx2",
        ours: &["step", "d256", "--kernel", AVX2],
        peer: &["torch_step.py", "d256"],
        figures: &[tokens_per_s("the same, both sides kept to AVX2", "≥ 1.3×")],
    },
    Benchmark {
        name: "step-0.5b",
        ours: &["step", "0.5b", "--steps", "2"],
        peer: &["torch_step.py", "0.5b", "--steps", "2"],
        figures: &[tokens_per_s("training step, Qwen2.5-0.5B shape, 4×256 tokens", "≥ 1.0×")],
    },
    Benchmark {
        name: "step-0.5b-avx2",
        ours: &["step", "0.5b", "--steps", "2", "--kernel", AVX2],
        peer: &["torch_step.py", "0.5b", "--steps", "2"],
        figures: &[tokens_per_s("the same, both sides kept to AVX2", "≥ 1.3×")],
    },
    Benchmark {
        name: "generate-d256",
        ours: &["generate", "d256"],
        peer: &["hf_generate.py", "d256"],
        figures: &[tokens_per_s("generation, d=256, 64 sequences, 32+64 tokens", "≥ 3×")],
    },
    Benchmark {
        name: "generate-d256-avx2",
        ours: &["generate", "d256", "--kernel", AVX2],
        peer: &["hf_generate.py", "d256"],
        figures: &[tokens_per_s("the same, both sides kept to AVX2", "≥ 3×")],
    },
    Benchmark {
        name: "generate-0.5b",
        ours: &["generate", "0.5b", "--rounds", "1"],
        peer: &["hf_generate.py", "0.5b", "--rounds", "1"],
        figures: &[tokens_per_s("generation, 0.5B shape, 2 groups of 8, 64+32 tokens", "≥ 3×")],
    },
    Benchmark {
        name: "generate-0.5b-bf16",
        ours: &["generate", "0.5b", "--dtype", "bf16", "--rounds", "1"],
        peer: &["hf_generate.py", "0.5b", "--rounds", "1"],
        figures: &[tokens_per_s("the same, bf16 weights (ours only)", "≥ 3×")],
    },
    Benchmark {
        name: "generate-smollm2",
        ours: &["generate", "smollm2", "--rounds", "3"],
        peer: &["hf_generate.py", "smollm2", "--rounds", "3"],
        figures: &[tokens_per_s("generation, SmolLM2-135M shape, 16 sequences, 64+64 tokens", "≥ 2.5×")],
    },
    Benchmark {
        name: "generate-smollm2-bf16",
        ours: &["generate", "smollm2", "--dtype", "bf16", "--rounds", "3"],
        peer: &["hf_generate.py", "smollm2", "--dtype", "bf16", "--rounds", "3"],
        figures: &[tokens_per_s("the same, both sides in bf16", "≥ 2.5×")],
    },
    Benchmark {
        name: "head-memory",
        ours: &["head-memory"],
        peer: &[],
        figures: &[Figure {
            key: "megabytes",
            what: "peak extra memory of head and loss, vocabulary 151,936, 2,048 tokens",
            unit: "MB",
            less: true,
            goal: "≤ 300 MB",
        }],
    },
    Benchmark {
        name: "learn-spell-backward",
        ours: &["learn", "bench/spell_backward.toml"],
        peer: &["trl_grpo.py", "spell-backward"],
        figures: &[Figure {
            key: "seconds_to_target",
            what: "time to mean reward 0.8, spell-backward, 16×16, TRL GRPO",
            unit: "s",
            less: true,
            goal: "≥ 2×",
        }],
    },
    Benchmark {
        name: "learn-reverse-text",
        ours: &["learn", "bench/reverse_text.toml"],
        peer: &["trl_grpo.py", "reverse-text", "--steps", "8"],
        figures: &[Figure {
            key: "samples_per_s",
            what: "samples per second, reverse-text, 64-token completions, TRL GRPO",
            unit: "samples/s",
            less: false,
            goal: "≥ 2×",
        }],
    },
    Benchmark {
        name: "learn-smollm2",
        ours: &[
            "learn",
            "examples/sums.toml",
            "bench/sums.toml",
            "--set",
            "model.path={models}/SmolLM2-135M-Instruct",
            "--set",
            "tasks.0.path={models}/sums.jsonl",
        ],
        peer: &[
            "trl_grpo.py",
            "sums",
            "--model",
            "{models}/SmolLM2-135M-Instruct",
            "--data",
            "{models}/sums.jsonl",
            "--steps",
            "5",
        ],
        figures: &time_and_memory("RL step, SmolLM2-135M, 8×8 samples of 24 tokens, f32, TRL GRPO", "", ""),
    },
    Benchmark {
        name: "learn-smollm2-sequential",
        ours: &[
            "learn",
            "examples/sums.toml",
            "bench/sums.toml",
            "bench/sums_sequential.toml",
            "--set",
            "model.path={models}/SmolLM2-135M-Instruct",
            "--set",
            "tasks.0.path={models}/sums.jsonl",
        ],
        peer: &[
            "trl_grpo.py",
            "sums",
            "--model",
            "{models}/SmolLM2-135M-Instruct",
            "--data",
            "{models}/sums.jsonl",
            "--steps",
            "5",
            "--gradient-checkpointing",
        ],
        figures: &time_and_memory(
            "RL step, the same, sequential, bf16 rollouts; TRL with gradient checkpointing",
            "≥ 3.5×",
            "≥ 2.5×",
        ),
    },
];

/// Runs what was asked for, prints the table, and writes it if wished.
pub(crate) fn run(arguments: &PairsArguments) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let wanted =
        |benchmark: &&Benchmark| arguments.only.as_ref().is_none_or(|only| benchmark.name.contains(only.as_str()));
    let mut rows = Vec::new();
    for benchmark in BENCHMARKS.iter().filter(wanted) {
        rows.extend(rows_of(benchmark, arguments, &root)?);
    }
    ensure!(!rows.is_empty(), "no benchmark's name contains {:?}", arguments.only);
    let text = table::markdown(&rows, &machine(), &commit(&root), arguments.pairs.max(1));
    println!("{text}");
    if arguments.write {
        table::write(&root.join("docs/benchmarks.md"), &text)?;
    }
    Ok(())
}

fn rows_of(benchmark: &Benchmark, arguments: &PairsArguments, root: &Path) -> Result<Vec<Row>> {
    let models = models()?;
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for pair in 1..=arguments.pairs.max(1) {
        let mine = last_line(own_command(benchmark, &models, root)?)?;
        eprintln!("{} pair {pair}: ours {mine}", benchmark.name);
        ours.push(mine);
        if let (Some(python), false) = (&arguments.python, benchmark.peer.is_empty()) {
            let theirs = last_line(peer_command(benchmark, &models, python, root))?;
            eprintln!("{} pair {pair}: peer {theirs}", benchmark.name);
            peers.push(theirs);
        }
    }
    benchmark.figures.iter().map(|figure| row(figure, &ours, &peers, benchmark)).collect()
}

fn row(figure: &Figure, ours: &[Value], peers: &[Value], benchmark: &Benchmark) -> Result<Row> {
    let of = |lines: &[Value]| -> Result<Vec<f64>> {
        let number = |line: &Value| {
            line[figure.key].as_f64().with_context(|| format!("{} gave no {}: {line}", benchmark.name, figure.key))
        };
        lines.iter().map(number).collect()
    };
    let (ours, peers) = (of(ours)?, of(peers)?);
    let ratios = ours.iter().zip(&peers);
    let ratios = ratios.map(|(mine, theirs)| if figure.less { theirs / mine } else { mine / theirs }).collect();
    Ok(Row {
        what: figure.what,
        unit: figure.unit,
        ours: median(ours).context("no run of ours")?,
        peer: median(peers),
        ratio: median(ratios),
        goal: figure.goal,
        command: format!("essaim-bench {}", benchmark.ours.join(" ")),
    })
}

/// Where `scripts/real-models.sh` leaves its files.
fn models() -> Result<String> {
    if let Ok(folder) = std::env::var("ESSAIM_REAL_MODELS") {
        return Ok(folder);
    }
    Ok(format!("{}/.cache/essaim/models", std::env::var("HOME").context("HOME is not set")?))
}

fn own_command(benchmark: &Benchmark, models: &str, root: &Path) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(benchmark.ours.iter().map(|argument| argument.replace(MODELS, models))).current_dir(root);
    Ok(command)
}

fn peer_command(benchmark: &Benchmark, models: &str, python: &Path, root: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(root.join("bench/peers").join(benchmark.peer[0]));
    command.args(benchmark.peer[1..].iter().map(|argument| argument.replace(MODELS, models)));
    command.env("TOKENIZERS_PARALLELISM", "false").current_dir(std::env::temp_dir());
    if benchmark.ours.contains(&AVX2) {
        command.envs(PEER_AVX2);
    }
    command
}

/// The last line that the command prints.
fn last_line(mut command: Command) -> Result<Value> {
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
    serde_json::from_str(last).with_context(|| format!("{line} printed {last:?}"))
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
