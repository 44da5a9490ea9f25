//! Run folders that can only be read: everything that looks at a run works on them.
//!
//! Permissions bind nobody who is root, so as root the program is started as another user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use record::events::Event;
use record::run_dir;
use record::store::EventLog;
use serde_json::Value;
use tempfile::TempDir;

use crate::money::finished;
use crate::support::{run, stderr};

/// A user without rights: `nobody` on most systems.
const NOBODY: u32 = 65_534;

/// A place with a copy of a finished run, and the program beside it.
struct Archive {
    place: TempDir,
}

impl Archive {
    /// Nothing can be written in `RUN`; `change` has been at it before.
    fn of(change: impl FnOnce(&Path)) -> Self {
        let place = tempfile::tempdir().unwrap();
        let run = place.path().join("RUN");
        copy_all(finished(), &run);
        change(&run);
        fs::copy(env!("CARGO_BIN_EXE_essaim"), place.path().join("essaim")).unwrap();
        fs::create_dir(place.path().join("OUT")).unwrap();
        allow(&run, 0o555, 0o444);
        for (path, mode) in [("", 0o755), ("essaim", 0o755), ("OUT", 0o777)] {
            fs::set_permissions(place.path().join(path), Permissions::from_mode(mode)).unwrap();
        }
        Self { place }
    }

    fn run(&self) -> PathBuf {
        self.place.path().join("RUN")
    }

    fn essaim(&self, line: &str) -> Output {
        let mut command = Command::new(self.place.path().join("essaim"));
        command.args(line.split_whitespace()).current_dir(self.place.path());
        if fs::metadata(self.place.path()).unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        run(&mut command)
    }

    fn json(&self, line: &str) -> Value {
        let output = self.essaim(&format!("{line} --json"));
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        allow(&self.run(), 0o755, 0o644); // or it could not be removed
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        // Other tests look at the same run: what is there for a moment is none of it.
        if [".part", "-wal", "-shm"].iter().any(|suffix| name.ends_with(suffix)) {
            continue;
        }
        let to = to.join(name);
        match entry.file_type().unwrap().is_dir() {
            true => copy_all(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn allow(folder: &Path, folders: u32, files: u32) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => allow(&path, folders, files),
            false => fs::set_permissions(path, Permissions::from_mode(files)).unwrap(),
        }
    }
    fs::set_permissions(folder, Permissions::from_mode(folders)).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Puts three more warnings into a run's log that are only in its write-ahead file, as after a kill.
fn with_events_ahead(run: &Path, keep: &[&str]) {
    let path = run_dir::events_path(run);
    let before = run.with_extension("before");
    fs::create_dir(&before).unwrap();
    let mut log = EventLog::open(&path).unwrap();
    for _ in 0..3 {
        log.append(u64::MAX / 4, Event::Warning { message: "one more".to_owned() }, None).unwrap();
    }
    // Copied while the log is open, for closing it puts both files together.
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("events.sqlite{suffix}");
        fs::copy(run.join(&name), before.join(&name)).unwrap();
    }
    drop(log);
    for suffix in ["", "-wal", "-shm"] {
        let name = format!("events.sqlite{suffix}");
        let _ = fs::remove_file(run.join(&name)); // the last two may be gone already
        if keep.contains(&suffix) {
            fs::copy(before.join(&name), run.join(&name)).unwrap();
        }
    }
    fs::remove_dir_all(before).unwrap();
}

#[test]
fn everything_that_looks_at_a_run_works_where_nothing_can_be_written() {
    let archive = Archive::of(|_| ());
    let before = names(&archive.run());
    assert!(!archive.essaim("report /nowhere").status.success());
    for line in [
        "verify RUN --lease 0",
        "verify RUN --lease 0 --export OUT/group.json",
        "ledger audit RUN",
        "ledger audit RUN --chain RUN",
        "ledger show RUN --account trainer",
        "ledger show RUN --claims OUT/claims.json",
        "balance worker:0 --chain RUN",
        "balance --all --chain RUN",
        "claim --chain RUN --as worker:0 --dry-run",
        "unstake 5 --chain RUN --as worker:0 --dry-run",
        "epoch show --chain RUN",
        "slash list --chain RUN",
        "chain show --chain RUN",
        "chain events --chain RUN --cursor OUT/seen.json",
        "chain wallet --chain RUN --as trainer",
        "eval --model RUN/model --set eval.items=2",
        "generate --model RUN/model abc=",
        "report RUN",
        "report RUN --out OUT/report",
    ] {
        let output = archive.essaim(line);
        // Lease 0 may name weights that the run has not kept, or have lost its evidence with them.
        let is_open = line.starts_with("verify") && matches!(output.status.code(), Some(3 | 5));
        let is_good = output.status.success() || is_open;
        assert!(is_good && !output.stdout.is_empty(), "{line}: {}", stderr(&output));
    }
    assert_eq!(names(&archive.run()), before);
    assert!(archive.place.path().join("OUT/report/report.html").is_file());
    let told = stderr(&archive.essaim("report RUN"));
    assert!(told.contains("RUN cannot be written to") && told.contains("--out DIR"), "{told}");
    // What must write says so, with the file.
    for line in ["run --resume RUN", "claim --chain RUN --as worker:0 --yes", "report RUN --out RUN/sub"] {
        let output = archive.essaim(line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(stderr(&output).contains("Permission denied"), "{line}: {}", stderr(&output));
    }
}

#[test]
fn events_in_a_write_ahead_file_count_with_and_without_its_shared_memory() {
    let whole = Archive::of(|_| ()).json("report RUN")["warnings_count"].as_u64().unwrap();
    for keep in [&["", "-wal", "-shm"][..], &["", "-wal"]] {
        let archive = Archive::of(|run| with_events_ahead(run, keep));
        assert_eq!(archive.json("report RUN")["warnings_count"], whole + 3, "{keep:?}");
    }
    // Without it those events are gone; what was put into the log before is read.
    let archive = Archive::of(|run| with_events_ahead(run, &[""]));
    assert_eq!(archive.json("report RUN")["warnings_count"], whole);
}

#[test]
fn a_log_that_was_copied_without_all_of_its_events_is_named_as_that() {
    let archive = Archive::of(|run| {
        let young = run.join("young");
        fs::create_dir(&young).unwrap();
        let mut log = EventLog::create(&run_dir::events_path(&young)).unwrap();
        log.append(1, Event::Warning { message: "first".to_owned() }, None).unwrap();
        fs::copy(run_dir::events_path(&young), run_dir::events_path(run)).unwrap();
    });
    let output = archive.essaim("report RUN");
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("events.sqlite-wal, which was not copied"), "{}", stderr(&output));
}
