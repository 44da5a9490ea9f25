//! Modules of one crate import each other in one direction only.
//!
//! Promise: within a crate, what one top-level module (a file or a folder of `src`) needs never needs it back, by whatever way.
//! Takes: the sources as text; a path that begins with `crate::` outside of comments, strings and tests is an import. Gives:
//! every circle, with a file for each of its arrows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Crates that are held to it: those whose modules are programs of their own.
const CRATES: [&str; 2] = ["record", "node"];

/// Needed modules by module, each with a file that needs it.
type Arrows = BTreeMap<String, BTreeMap<String, PathBuf>>;

/// Refuses a crate with a circle.
pub(crate) fn check() -> Result<()> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut faults = Vec::new();
    let mut count = 0;
    for name in CRATES {
        let arrows = arrows_of(&crates.join(name).join("src"))?;
        count += arrows.values().map(BTreeMap::len).sum::<usize>();
        faults.extend(circles(&arrows));
    }
    ensure!(faults.is_empty(), "modules that need each other:\n  {}", faults.join("\n  "));
    println!("circles: {count} arrows between modules, none leads back");
    Ok(())
}

fn arrows_of(folder: &Path) -> Result<Arrows> {
    let mut files = Vec::new();
    sources(folder, &mut files)?;
    let room = |file: &Path| {
        let first = file.strip_prefix(folder).ok()?.components().next()?;
        Some(first.as_os_str().to_str()?.trim_end_matches(".rs").to_owned())
    };
    let rooms: BTreeSet<String> = files.iter().filter_map(|file| room(file)).collect();
    let mut arrows = Arrows::new();
    for file in &files {
        let Some(from) = room(file).filter(|room| room != "lib" && room != "main") else { continue };
        let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
        for to in needed(&text).into_iter().filter(|to| *to != from && rooms.contains(to)) {
            arrows.entry(from.clone()).or_default().entry(to).or_insert_with(|| file.clone());
        }
    }
    Ok(arrows)
}

/// Sources that are not tests: neither `tests.rs` nor what stands only in a build of tests.
fn sources(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match path.extension() {
            _ if ["tests", "recorded"].contains(&stem) => {}
            None if path.is_dir() => sources(&path, files)?,
            Some(extension) if extension == "rs" => files.push(path),
            _ => {}
        }
    }
    Ok(())
}

/// First names behind `crate::`, those in braces too.
fn needed(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = lines.join("\n");
    let mut names = BTreeSet::new();
    for (at, word) in code.match_indices("crate::") {
        let is_whole = !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == '$');
        let rest = &code[at + word.len()..];
        match rest.strip_prefix('{') {
            _ if !is_whole => {}
            Some(rest) => names.extend(in_braces(rest)),
            None => names.extend(first_name(rest)),
        }
    }
    names
}

/// The first name of each path up to the closing brace.
fn in_braces(text: &str) -> Vec<String> {
    let (mut depth, mut start, mut names) = (0, 0, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.extend(first_name(text[start..at].trim_start()));
                start = at + 1;
                if letter == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn first_name(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Each arrow that lies on a circle.
fn circles(arrows: &Arrows) -> Vec<String> {
    let reach = |from: &str| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(next) = open.pop() {
            for to in arrows.get(&next).into_iter().flat_map(BTreeMap::keys) {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> = arrows.keys().map(|from| (from, reach(from))).collect();
    let leads_back = |from: &String, to: &String| reached.get(to).is_some_and(|reached| reached.contains(from));
    let all = arrows.iter().flat_map(|(from, tos)| tos.iter().map(move |(to, file)| (from, to, file)));
    all.filter(|(from, to, _)| leads_back(from, to))
        .map(|(from, to, file)| format!("{from} needs {to} ({})", file.display()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_crate_are_found_and_comments_and_tests_are_not() {
        let text = "use crate::{\n    alpha::{One, Two},\n    beta,\n};\n/// [`crate::comment`]\nfn f() { crate::gamma::g(); }\n\
                    #[cfg(test)]\nmod tests {\n    use crate::delta;\n}\n";
        assert_eq!(needed(text), ["alpha", "beta", "gamma"].map(str::to_owned).into());
        assert_eq!(needed("$crate::alpha::one!()"), BTreeSet::new());
    }

    #[test]
    fn a_circle_is_told_by_its_arrows_and_what_hangs_on_it_is_not() {
        let arrow = |to: &str| (to.to_owned(), PathBuf::from("x.rs"));
        let mut arrows = Arrows::new();
        arrows.insert("a".into(), [arrow("b")].into());
        arrows.insert("b".into(), [arrow("c"), arrow("d")].into());
        assert_eq!(circles(&arrows), [""; 0]);
        arrows.insert("c".into(), [arrow("a")].into());
        assert_eq!(circles(&arrows), ["a needs b (x.rs)", "b needs c (x.rs)", "c needs a (x.rs)"]);
    }
}
