//! Dependencies between the crates point down only.
//!
//! Promise: a crate never depends on one of a higher class, and an Agreed crate
//! never depends on anything that computes with floats, clocks or sockets of ours.
//! Takes: `cargo metadata`. Gives: every arrow that points up.

use anyhow::{Context, Result, ensure};
use cargo_metadata::{DependencyKind, MetadataCommand};

/// Classes from the bottom up, with the crates in each.
const CLASSES: [(&str, &[&str]); 6] = [
    ("Agreed", &["protocol", "rounds", "proof", "tasks", "ledger"]),
    ("Numeric", &["ops", "jinja", "model", "engine", "train", "verify"]),
    ("Chain", &["chain"]),
    ("Simulated", &["sim"]),
    ("World", &["record", "node"]),
    ("Lab", &["bench", "xtask"]),
];

/// Refuses a workspace in which an arrow points up, or a crate has no class.
pub(crate) fn check() -> Result<()> {
    let metadata = MetadataCommand::new().no_deps().exec().context("cargo metadata failed")?;
    let members: Vec<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    let mut faults = Vec::new();
    let mut arrows = 0;
    for package in &metadata.packages {
        let Some(from) = class(&package.name) else {
            faults.push(format!("crate `{}` has no class in crates/xtask/src/layers.rs", package.name));
            continue;
        };
        let used = package.dependencies.iter().filter(|dependency| {
            dependency.kind != DependencyKind::Development && members.contains(&dependency.name.as_str())
        });
        for dependency in used {
            arrows += 1;
            if class(&dependency.name).is_some_and(|to| to > from) {
                faults.push(format!("`{}` ({}) must not use `{}`", package.name, CLASSES[from].0, dependency.name));
            }
        }
    }
    ensure!(faults.is_empty(), "arrows that point up:\n  {}", faults.join("\n  "));
    println!("layers: {} crates, {arrows} arrows, all point down", members.len());
    Ok(())
}

fn class(name: &str) -> Option<usize> {
    CLASSES.iter().position(|(_, crates)| crates.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn a_worker_crate_stands_above_the_agreed_ones() {
        assert!(class("engine") > class("protocol"));
        assert!(class("node") > class("engine"));
        assert_eq!(class("unknown"), None);
    }
}
