//! Prose that can rot is checked: named paths exist, links lead somewhere, commands agree.
//!
//! Takes: the Markdown files of the repository, `.ci/run`, `Cargo.toml`.
//! Gives: one line per fault, with file and line number.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// The README's test command; `.ci/run` must run exactly this.
const TEST_COMMAND: &str = "cargo test --workspace";
/// The README's main job.
const MAIN_COMMAND: &str = "cargo run --release -- run";
/// Folders whose documents are not this repository's.
const NOT_OURS: [&str; 4] = ["target", "runs", "node_modules", "out"];

/// Writes the pages that are made, and prints every fault found in the documents; with `check`, writes nothing, and
/// faults are an error.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = root();
    let mut faults = crate::compat::run(&root, check)?;
    let documents = markdown_files(&root)?;
    for document in &documents {
        let text = fs::read_to_string(document).with_context(|| document.display().to_string())?;
        let name = document.strip_prefix(&root).unwrap_or(document).display().to_string();
        faults.extend(dead_references(&root, document, &text).into_iter().map(|fault| format!("{name}:{fault}")));
    }
    faults.extend(command_faults(&root)?);
    for fault in &faults {
        println!("{fault}");
    }
    ensure!(!check || faults.is_empty(), "{} fault(s) in the documents", faults.len());
    println!("docs: {} files, {} fault(s)", documents.len(), faults.len());
    Ok(())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").components().collect()
}

fn markdown_files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !NOT_OURS.contains(&name.as_str()) {
                folders.push(path);
            } else if name.ends_with(".md") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Links `](path)` and code spans that look like a path of this repository, where nothing lies.
fn dead_references(root: &Path, document: &Path, text: &str) -> Vec<String> {
    let folder = document.parent().unwrap_or(root);
    let mut faults = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for target in between(line, "](", ")") {
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !path.contains("://") && !folder.join(path).exists() {
                faults.push(format!("{}: link to `{path}`, which does not exist", index + 1));
            }
        }
        for span in between(line, "`", "`") {
            if is_repository_path(span) && !root.join(span).exists() {
                faults.push(format!("{}: names `{span}`, which does not exist", index + 1));
            }
        }
    }
    faults
}

fn is_repository_path(span: &str) -> bool {
    ["crates/", "docs/", "examples/", "bench/", "scripts/"].iter().any(|start| span.starts_with(start))
        && !span.contains(['*', ' ', '<', '{'])
}

fn between<'a>(line: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(open) {
        let inner = &rest[start + open.len()..];
        let Some(end) = inner.find(close) else { break };
        found.push(&inner[..end]);
        rest = &inner[end + close.len()..];
    }
    found
}

fn command_faults(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for (file, command) in [("README.md", TEST_COMMAND), ("README.md", MAIN_COMMAND), (".ci/run", TEST_COMMAND)] {
        let text = fs::read_to_string(root.join(file)).with_context(|| file.to_owned())?;
        if !text.lines().any(|line| line.trim_end().ends_with(command)) {
            faults.push(format!("{file}: no line ends with `{command}`"));
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::{between, dead_references, root, run};

    #[test]
    fn the_documents_name_only_what_exists() {
        run(true).unwrap();
    }

    #[test]
    fn a_dead_link_is_found_with_its_line_and_a_living_one_is_not() {
        let root = root();
        let text = "fine [a](Cargo.toml)\n\nsee [b](docs/nowhere.md) and `crates/none/src/lib.rs`";
        let faults = dead_references(&root, &root.join("README.md"), text);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults.iter().all(|fault| fault.starts_with("3:")));
    }

    #[test]
    fn spans_are_cut_at_both_marks() {
        assert_eq!(between("a `b` c `d`", "`", "`"), ["b", "d"]);
    }
}
