//! A chain that lives in a file: kills, damage, other processes.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use chain::{Call, Chain, ChainError, Genesis, Head, JournalError, LocalChain};
use proptest::prelude::*;

use crate::stage::{Stage, wallet};

fn written() -> (tempfile::TempDir, PathBuf, Stage) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.jsonl");
    let mut stage = Stage::on(Box::new(LocalChain::open(&path, Genesis::default()).unwrap()), |_, _| ());
    stage.stake(5_000_000);
    stage.pass(100);
    stage.stake(1_000_000);
    (folder, path, stage)
}

fn open(path: &Path) -> Result<LocalChain, ChainError> {
    LocalChain::open(path, Genesis::default())
}

fn journal_error(result: Result<LocalChain, ChainError>) -> JournalError {
    match result.err().expect("refused") {
        ChainError::Journal(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_chain_opened_again_is_the_one_that_was_left() {
    let (_folder, path, stage) = written();
    let head = stage.chain.head().unwrap();
    let worker = stage.worker.address();
    let contracts = stage.contracts;
    drop(stage);
    let mut again = open(&path).unwrap();
    assert_eq!(again.head().unwrap(), head);
    assert_eq!(contracts.stake_of(&again, worker).unwrap(), 6_000_000);
    again.send(&wallet("worker", 0), contracts.request_leave(1_000_000)).unwrap();
    drop(again);
    assert_eq!(open(&path).unwrap().head().unwrap().number, head.number + 1);
}

#[test]
fn a_journal_cut_off_anywhere_opens_as_a_chain_that_was() {
    let (_folder, path, stage) = written();
    let contracts = stage.contracts;
    let heads: Vec<_> = (0..).map_while(|number| stage.chain.block(number).unwrap()).collect();
    drop(stage);
    let whole = std::fs::read(&path).unwrap();
    let ends: Vec<_> = (0..whole.len()).filter(|index| whole[*index] == b'\n').map(|index| index + 1).collect();
    let last = ends[ends.len() - 2];
    for cut in [last + 1, last + 40, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut chain = open(&path).unwrap();
        assert_eq!(chain.head().unwrap(), heads[heads.len() - 2], "the torn line is dropped");
        chain.send(&wallet("worker", 0), contracts.request_leave(1_000_000)).unwrap();
        drop(chain);
        open(&path).expect("what was written after the torn line is whole");
    }
    for cut in [0, 10] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(open(&path).unwrap().head().unwrap().number, 0, "begun anew");
    }
}

#[test]
fn an_altered_line_is_refused_with_its_number() {
    let (_folder, path, stage) = written();
    drop(stage);
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let middle = lines.len() / 2;
    let altered = |line: String| {
        let mut lines: Vec<_> = lines.iter().map(|line| line.to_string()).collect();
        lines[middle] = line;
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        journal_error(open(&path))
    };
    let flipped = lines[middle].replacen("\"from\":\"0x", "\"from\":\"0X", 1);
    assert!(matches!(altered(flipped), JournalError::Damaged { line, .. } if line == middle + 1));
    assert!(matches!(altered("garbage".into()), JournalError::Damaged { line, .. } if line == middle + 1));
    // A whole line that does not belong here: every block names the one before.
    let moved = altered(lines[middle - 1].into());
    assert!(matches!(moved, JournalError::RunsDifferently { line, .. } if line == middle + 1), "{moved}");
}

#[test]
fn two_processes_do_not_write_one_chain_but_one_may_read() {
    let (_folder, path, stage) = written();
    assert!(matches!(journal_error(open(&path)), JournalError::InUse { .. }));
    let mut reader = LocalChain::read(&path).unwrap();
    assert_eq!(reader.head().unwrap(), stage.chain.head().unwrap());
    let error = reader.send(&wallet("worker", 0), stage.contracts.request_leave(1)).unwrap_err();
    assert!(matches!(error, ChainError::Journal(JournalError::ReadOnly)), "{error}");
    assert!(matches!(reader.advance(1), Err(ChainError::Journal(JournalError::ReadOnly))));
    reader.fork().send(&wallet("worker", 0), stage.contracts.request_leave(1)).expect("a copy may try");
}

#[test]
fn a_journal_of_another_chain_is_refused() {
    let (_folder, path, stage) = written();
    drop(stage);
    let other = LocalChain::open(&path, Genesis { chain_id: 5, ..Genesis::default() });
    assert!(matches!(journal_error(other), JournalError::OtherChain { expected: 5, given: 31_337, .. }));
}

#[test]
fn a_transaction_too_long_for_a_line_is_refused_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.jsonl");
    let mut chain = open(&path).unwrap();
    let (someone, to) = (wallet("worker", 0), wallet("worker", 1).address());
    let error = chain.send(&someone, Call::to(to, vec![0; 600_000])).unwrap_err();
    assert!(matches!(error, ChainError::Journal(JournalError::TooLong { limit: 1_048_576, .. })), "{error}");
    assert_eq!(chain.head().unwrap().number, 0);
    chain.send(&someone, Call::to(to, vec![0; 1_000])).unwrap();
    drop(chain);
    assert_eq!(open(&path).unwrap().head().unwrap().number, 1);
}

/// A journal of eight steps, and the blocks that it makes.
static SHORT: LazyLock<(Vec<u8>, Vec<Head>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.jsonl");
    let mut chain = open(&path).unwrap();
    for step in 0..4 {
        chain.advance(step).unwrap();
        chain.send(&wallet("worker", 0), Call::to(wallet("worker", 1).address(), vec![step as u8])).unwrap();
    }
    let blocks = (0..9).map(|number| chain.block(number).unwrap().unwrap()).collect();
    (std::fs::read(&path).unwrap(), blocks)
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// One byte altered, put in or left out anywhere: the chain opens as it was at some time, or says what is wrong.
    #[test]
    fn a_damaged_journal_never_opens_as_a_chain_that_was_not(at in 0usize..2_000, byte: u8, way in 0u8..3) {
        let (mut bytes, blocks) = SHORT.clone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chain.jsonl");
        let at = at % bytes.len();
        match way {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        std::fs::write(&path, bytes).unwrap();
        if let Ok(chain) = open(&path) {
            let head = chain.head().unwrap();
            prop_assert_eq!(head, blocks[head.number as usize]);
        }
    }
}
