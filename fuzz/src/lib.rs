//! What strangers can send, in any bytes.
//!
//! Promise: each `run` takes any bytes, feeds them to a door of the program that strangers reach, and panics if
//! the door does, or if what it let in breaks a promise of the code behind it.
//! The fuzz targets call `run` with what a fuzzer invents; a test of the main workspace replays the kept corpus.

pub mod desk;
pub mod grades;
pub mod ledger;
pub mod proofs;
pub mod records;
pub mod world;

/// A fuzz target: its name, its door, and inputs to begin with.
pub struct Target {
    /// Name of the target and of its corpus.
    pub name: &'static str,
    /// The door.
    pub run: fn(&[u8]),
    /// Inputs that open it.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All targets.
pub const TARGETS: [Target; 5] = [
    Target { name: "records", run: records::run, seeds: records::seeds },
    Target { name: "desk", run: desk::run, seeds: desk::seeds },
    Target { name: "proofs", run: proofs::run, seeds: proofs::seeds },
    Target { name: "grades", run: grades::run, seeds: grades::seeds },
    Target { name: "ledger", run: ledger::run, seeds: ledger::seeds },
];

/// Inputs of a kept corpus: one a line, as hexadecimal digits. Panics on anything else.
pub fn inputs(text: &str) -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| {
        let digits = std::str::from_utf8(pair).expect("hexadecimal digits");
        u8::from_str_radix(digits, 16).expect("hexadecimal digits")
    };
    text.lines().map(|line| line.as_bytes().chunks(2).map(byte).collect()).collect()
}
