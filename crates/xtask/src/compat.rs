//! `docs/compatibility.md`: what of other people's files is read, and by which truth that is tested.
//!
//! Promise: the page lists exactly the cases that the tests go through, because both read the same files,
//! `crates/*/tests/compat/*.json`; `--check` names the page if it is not what they say.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

/// The page, relative to the repository.
const PAGE: &str = "docs/compatibility.md";
const INTRODUCTION: &str = "\
# Compatibility

What people bring, and how Essaim reads it. This page is made by `cargo xtask docs` from the files that the
tests go through, so a line here is a case that passes. A truth is another program's answer to the same input,
written down by the script that is named; the tests need none of those programs.
";

/// One file of cases. Tests read more fields of a case than are named here.
#[derive(Deserialize)]
struct Corpus {
    /// What is read, such as `chat templates`.
    kind: String,
    /// The files or fields that it comes from.
    reads: String,
    /// Whose answer is right.
    truth: String,
    /// The script that asked for it.
    made_by: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Why the input is refused by name, where it is.
    refused: Option<String>,
    /// Where the answer differs from the truth, and why.
    differs: Option<String>,
}

/// Writes the page; with `check`, says instead whether it is not what the corpora say.
pub(crate) fn run(root: &Path, check: bool) -> Result<Vec<String>> {
    let mut page = INTRODUCTION.to_owned();
    let mut sections = String::new();
    let mut faults = Vec::new();
    page += "\n| what | read from | truth | cases | refused |\n|---|---|---|--:|--:|\n";
    for path in corpora(root)? {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        let corpus: Corpus = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        if !root.join(&corpus.made_by).is_file() {
            faults.push(format!("{name}: made by `{}`, which does not exist", corpus.made_by));
        }
        let refused = corpus.cases.iter().filter(|case| case.refused.is_some()).count();
        let (what, cases) = (&corpus.kind, corpus.cases.len());
        writeln!(page, "| {what} | {} | {} | {cases} | {refused} |", cell(&corpus.reads), cell(&corpus.truth))?;
        sections += &section(&name, &corpus);
    }
    page += &sections;
    let path = root.join(PAGE);
    if !check {
        fs::write(&path, page).with_context(|| PAGE.to_owned())?;
    } else if fs::read_to_string(&path).ok().as_deref() != Some(&page) {
        faults.push(format!("{PAGE}: is not what the tests' cases say; run `cargo xtask docs`"));
    }
    Ok(faults)
}

/// The files of cases, sorted.
fn corpora(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("crates")).context("crates")? {
        let Ok(files) = fs::read_dir(entry?.path().join("tests/compat")) else { continue };
        for file in files {
            let path = file?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn section(file: &str, corpus: &Corpus) -> String {
    let names = |wanted: fn(&Case) -> bool| {
        let names: Vec<String> = corpus.cases.iter().filter(|case| wanted(case)).map(|case| cell(&case.name)).collect();
        names.join("; ")
    };
    let reasons = |title: &str, reason: fn(&Case) -> Option<&String>| {
        let lines = corpus.cases.iter().filter_map(|case| Some((case, reason(case)?)));
        let lines: String = lines.map(|(case, why)| format!("- {}: {}\n", cell(&case.name), cell(why))).collect();
        if lines.is_empty() { lines } else { format!("\n{title}\n\n{lines}") }
    };
    let head = format!("\n## {}\n\nCases: `{file}`, made by `{}`.\n", corpus.kind, corpus.made_by);
    let read = names(|case| case.refused.is_none() && case.differs.is_none());
    let read = if read.is_empty() { read } else { format!("\nRead as the truth reads them: {read}.\n") };
    let differs = reasons("Read otherwise than the truth:", |case| case.differs.as_ref());
    let refused = reasons("Refused by name:", |case| case.refused.as_ref());
    head + &read + &differs + &refused
}

/// Text that breaks neither a table nor a line.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ").replace('<', "&lt;").replace('`', "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: &str = r#"{"kind": "numerals", "reads": "answers", "truth": "a person", "made_by": "made.py",
        "cases": [{"name": "1 | 2", "text": "x"}, {"name": "infinity", "refused": "no end"},
                  {"name": "half", "differs": "rounded"}]}"#;

    #[test]
    fn a_page_lists_what_is_read_what_differs_and_what_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("crates/a/tests/compat");
        fs::create_dir_all(&folder).unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(folder.join("numerals.json"), CASES).unwrap();
        fs::write(root.path().join("made.py"), "").unwrap();
        assert_eq!(run(root.path(), true).unwrap().len(), 1, "there is no page yet");
        assert!(run(root.path(), false).unwrap().is_empty());
        let page = fs::read_to_string(root.path().join(PAGE)).unwrap();
        for line in ["| numerals | answers | a person | 3 | 1 |", "- infinity: no end", "- half: rounded", r"1 \| 2."] {
            assert!(page.contains(line), "{line} is not in:\n{page}");
        }
        assert!(run(root.path(), true).unwrap().is_empty());
        fs::remove_file(root.path().join("made.py")).unwrap();
        assert_eq!(run(root.path(), true).unwrap().len(), 1, "its script is gone");
    }
}
