//! The seeded bugs of `contracts/mutants`: each must be found by the campaign of its contract.

use std::fs;

use alloy_primitives::hex;
use serde_json::Value;

use super::play::Tally;
use super::world::{Code, contracts};
use super::{court, rewards, vault};

/// Histories that a campaign may need to find a bug.
const CASES: u32 = 100;

/// Name, contract and creation code of each mutant, by name.
fn mutants() -> Vec<(String, String, Vec<u8>)> {
    let folder = contracts().join("mutants");
    let patches = fs::read_dir(&folder).expect("the repository has mutants").filter_map(|entry| {
        let name = entry.expect("readable").file_name().into_string().expect("plain names");
        name.strip_suffix(".patch").map(str::to_owned)
    });
    let mut names: Vec<_> = patches.collect();
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let patch = fs::read_to_string(folder.join(format!("{name}.patch"))).expect("readable");
            let file = patch.lines().find_map(|line| line.strip_prefix("+++ b/src/")).expect("a patch names its file");
            let contract = file.split('.').next().expect("a name").to_owned();
            let artifact = folder.join("artifacts").join(format!("{name}.json"));
            let artifact =
                fs::read_to_string(&artifact).unwrap_or_else(|error| panic!("{}: {error}", artifact.display()));
            let artifact: Value = serde_json::from_str(&artifact).expect("JSON");
            let code = artifact["bytecode"]["object"].as_str().expect("bytecode");
            (name, contract, hex::decode(code).expect("hex"))
        })
        .collect()
}

#[test]
fn every_seeded_bug_is_found() {
    let mutants = mutants();
    assert!(mutants.len() >= 8, "{} mutants", mutants.len());
    let mut missed = vec![];
    for (name, contract, code) in mutants {
        let code = Code::with(&contract, code);
        let explore = match contract.as_str() {
            "StakeVault" => vault::explore,
            "EpochRewards" => rewards::explore,
            _ => court::explore,
        };
        match explore(&code, CASES, 0, &Tally::default()) {
            Ok(cases) => missed.push(format!("{name}: not found in {cases} histories")),
            Err(found) => println!("{name}: {}", found.lines().next().unwrap_or_default()),
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}
