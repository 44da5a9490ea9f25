//! What the tests share: the program, a tiny model, and its first training.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A model that trains in a blink.
pub(crate) const TINY: [&str; 11] = [
    "model.random.hidden=32",
    "model.random.layers=1",
    "model.random.heads=2",
    "model.random.kv_heads=1",
    "model.random.ff=64",
    "model.random.max_context=32",
    "sft.batch_size=8",
    "sft.lr=0.01",
    "sft.warmup_steps=0",
    "eval.items=6",
    "run.threads=1",
];

pub(crate) fn essaim(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_essaim"));
    command.args(arguments);
    command
}

pub(crate) fn with_tiny<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let sets = TINY.iter().flat_map(|set| ["--set", set]);
    arguments.iter().copied().chain(sets).collect()
}

pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// Standard output of a command that must succeed.
pub(crate) fn out(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// What a command does that is given text on standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> Output {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    child.wait_with_output().unwrap()
}

/// The same for a command that must succeed: its standard output.
pub(crate) fn out_of_input(command: &mut Command, input: &str) -> String {
    let output = run_with_input(command, input);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Exit code and message of a command that must fail.
pub(crate) fn failure(arguments: &[&str]) -> (i32, String) {
    let output = run(&mut essaim(arguments));
    assert!(!output.status.success(), "{arguments:?} succeeded");
    (output.status.code().unwrap(), stderr(&output))
}

pub(crate) struct Trained {
    /// The run folder.
    pub(crate) folder: PathBuf,
    /// What the training printed.
    pub(crate) output: String,
}

impl Trained {
    pub(crate) fn model(&self) -> PathBuf {
        self.folder.join("model")
    }
}

/// One short training that all tests look at.
pub(crate) fn trained() -> &'static Trained {
    static TRAINED: OnceLock<Trained> = OnceLock::new();
    TRAINED.get_or_init(|| {
        // A static is never dropped, so this is no temporary folder: the next run of the tests wipes it.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trained");
        let _ = std::fs::remove_dir_all(&folder); // not there the first time
        let place = folder.to_str().unwrap();
        let arguments = with_tiny(&["sft", "--out", place, "--set", "sft.steps=8"]);
        let output = out(&mut essaim(&arguments));
        Trained { folder, output }
    })
}

pub(crate) fn model() -> String {
    trained().model().to_str().unwrap().to_owned()
}
