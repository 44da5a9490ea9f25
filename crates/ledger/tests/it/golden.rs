//! A log as it stands on disk. If it changes, logs of the day before cannot be read.
//! The numbers below are printed by `scripts/audit_ledger.py crates/ledger/golden/ledger.jsonl`, which shares no
//! code with the ledger.

use ledger::{Entry, Ledger, audit, keccak256};
use protocol::{Check, Party};

use super::world::{Pen, account, fails, terms, valid};

const LOG: &str = include_str!("../../golden/ledger.jsonl");

const ROOTS: [&str; 2] = [
    "95a599bb799df99fc0f4c3c1a40165249d12d4120b25eaf74305f46b941897d3",
    "26aad33d61b4b4cb6b039c23efaed96c0658c16f1df4a106ff069931151ad2d0",
];
const HEAD: &str = "e2b21a3975b50ed32ad245ecb3972ec9965893d3e8e5e750c273ecabcce50cab";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Three workers and two validators of equal stake; one liar, one planted lie, one slash, a short epoch and
/// an empty one.
fn golden() -> Pen {
    let mut pen = Pen::new(terms(3, 2));
    (0..2).for_each(|id| pen.stake(Party::Validator(id), 7_000_001));
    (0..3).for_each(|id| pen.stake(Party::Worker(id), 5_000_000));
    pen.accept(0, 331, &[valid(0, 2)]);
    pen.accept(1, 127, &[valid(1, 1), valid(0, 1)]);
    pen.accept(2, 999, &[valid(1, 3)]);
    pen.train(1);
    pen.write(Entry::PlantAnswered { plant: 0, validator: 1, caught: true });
    let fine = pen.workers_fine(2, Check::TokenMargin, &[0, 1].map(|id| fails(Check::TokenMargin, id, 1)));
    pen.write(fine);
    pen.train(1);
    pen.close();
    pen.write(Entry::Posted { epoch: 0, block: 12, transaction: [0xcd; 32] });
    pen.write(Entry::Slashed { party: Party::Worker(2), amount: 1_000_000, block: 14 });
    pen.accept(1, 50, &[valid(0, 4)]);
    pen.accept(0, 25, &[valid(1, 2)]);
    pen.train(1);
    pen.close();
    pen.close();
    pen
}

fn text() -> String {
    golden().lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_log_has_its_golden_bytes() {
    assert!(text() == LOG, "the golden log changed; if it must, run `write_the_golden_log` and then the script");
}

#[test]
#[ignore = "changes a committed file"]
fn write_the_golden_log() {
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/ledger.jsonl"), text()).unwrap();
}

#[test]
fn the_golden_log_adds_up_as_another_program_says() {
    let report = audit(LOG.lines()).unwrap();
    assert_eq!(hex(&report.head), HEAD);
    assert_eq!([&report.epochs[0].root, &report.epochs[1].root].map(|root| hex(root)), ROOTS);
    assert_eq!((&report.epochs[2].root, report.epochs[2].budget), (&report.epochs[1].root, 0));
    let ledger = Ledger::replay(LOG.lines()).unwrap();
    let earned = |party| ledger.lifetime(&account(party));
    let validators = [Party::Validator(0), Party::Validator(1)].map(earned);
    assert_eq!([Party::Worker(0), Party::Worker(1), Party::Worker(2)].map(earned), [533_624_454, 366_375_546, 0]);
    assert_eq!(validators, [144_230_769, 155_769_231]);
    assert_eq!([Party::Trainer, Party::Treasury].map(earned), [225_000_000, 75_000_000]);
}

/// The first is keccak256 of nothing, the second of `abc`, from the Keccak team's vectors for the original padding.
#[test]
fn the_hash_is_the_chains_and_not_the_later_sha3() {
    assert_eq!(hex(&keccak256(b"")), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470");
    assert_eq!(hex(&keccak256(b"abc")), "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45");
}
