//! The log of a ledger: lines that anyone may hand to an auditor, and words for accounts and parties.

use std::sync::LazyLock;

use ledger::{Account, Economy, Entry, Ledger, LedgerTerms, Line, SlashSchedule, Split, audit, yuma::YumaTerms};
use protocol::{Check, Commitment, Keypair, Outcome, Party, Signed};

use super::world;

/// A log with each kind of entry, in the world of the other targets.
static LOG: LazyLock<Vec<String>> = LazyLock::new(log);
/// The ledger after its first three lines.
static LEDGER: LazyLock<Ledger> = LazyLock::new(|| Ledger::replay(&LOG[..3]).expect("an honest log"));

/// The first byte chooses the door.
pub fn run(data: &[u8]) {
    let Some((&door, bytes)) = data.split_first() else { return };
    match door % 4 {
        0 => read(bytes),
        1 => append(bytes),
        2 => replay(bytes),
        _ => words(bytes),
    }
}

/// A line has one written form, and nobody but the orchestrator can make one.
fn read(bytes: &[u8]) {
    let Ok(line) = Line::decode(bytes, Some(&LEDGER.terms().run)) else { return };
    assert_eq!(line.encode().expect("read just now").as_bytes(), bytes, "two forms of one line");
    let mut ledger = LEDGER.clone();
    let taken = ledger.apply(bytes).is_ok();
    // A credit is signed by its worker and validators; the orchestrator's next line is what ties it to its place.
    let is_credit = matches!(line.entry, Entry::Accepted { .. });
    assert!(!taken || is_credit || LOG.iter().any(|known| known.as_bytes() == bytes), "a line of nobody");
    assert!(taken || ledger == *LEDGER, "a refused line changed the ledger");
    assert!(Ledger::new(bytes).is_err() || bytes == LOG[0].as_bytes(), "a ledger of nobody");
}

/// An orchestrator that signs whatever entry the line holds.
fn append(bytes: &[u8]) {
    let Ok(line) = Line::decode(bytes, Some(&LEDGER.terms().run)) else { return };
    let mut ledger = LEDGER.clone();
    let Ok(line) = ledger.append(line.entry, &keys()) else {
        assert!(ledger == *LEDGER, "a refused entry changed the ledger");
        return;
    };
    let mut lines = LOG[..3].to_vec();
    lines.push(line);
    let Ok(close) = ledger.close() else { return };
    lines.push(ledger.append(close, &keys()).expect("its own words"));
    let epoch = &ledger.epochs()[0];
    assert_eq!(epoch.payouts.iter().map(|payout| payout.amount).sum::<u64>(), epoch.budget, "money lost or made");
    assert_eq!(audit(&lines).expect("its own log"), ledger.report());
}

/// A whole file.
fn replay(bytes: &[u8]) {
    if let Ok(report) = audit(bytes.split(|byte| *byte == b'\n')) {
        assert!(report.entries as usize <= LOG.len(), "a longer log of nobody");
    }
}

fn words(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(party) = text.parse::<Party>() {
        assert_eq!(party.to_string(), text);
    }
    if let Ok(account) = text.parse::<Account>() {
        assert_eq!(account.to_string().to_lowercase(), text.to_lowercase());
    }
}

fn keys() -> Keypair {
    world::keys("orchestrator", 0)
}

fn terms() -> LedgerTerms {
    let half = SlashSchedule { careless_ppm: 1, mismatch_ppm: 500_000, false_ppm: 500_000, forged_ppm: 1_000_000 };
    LedgerTerms {
        run: (*world::terms()).clone(),
        chain_id: 31_337,
        rewards: Account([9; 20]),
        workers: vec![Account([1; 20]), Account([2; 20])],
        validators: vec![Account([3; 20]), Account([4; 20])],
        trainer: Account([5; 20]),
        treasury: Account([6; 20]),
        economy: Economy {
            epoch_steps: 1,
            budget_first: 1_000_003,
            halving_epochs: 2,
            split: Split {
                workers_ppm: 500_000,
                checks_ppm: 100_000,
                dividends_ppm: 100_000,
                trainer_ppm: 200_000,
                treasury_ppm: 100_000,
            },
            check_points: 1,
            fault_points: 5,
            stake_worker: 10,
            stake_validator: 10,
            slash: half,
            yuma: YumaTerms::default(),
        },
    }
}

fn log() -> Vec<String> {
    let (mut ledger, first) = Ledger::open(terms(), &keys()).expect("honest terms");
    let mut lines = vec![first];
    let mut write = |ledger: &mut Ledger, entry| lines.push(ledger.append(entry, &keys()).expect("an honest entry"));
    let commitment = || -> Signed<Commitment> { world::submission().commitment };
    let verdict = |outcome| world::reveal(world::verdict(outcome)).verdict;
    write(&mut ledger, Entry::StakeSeen { party: Party::Validator(0), stake: 10, block: 1 });
    write(&mut ledger, Entry::Trained { step: 1 });
    write(&mut ledger, Entry::Accepted { commitment: commitment(), verdicts: vec![verdict(Outcome::Valid)] });
    write(&mut ledger, Entry::PlantAnswered { plant: 0, validator: 1, caught: false });
    let (party, check) = (Party::Validator(1), Check::PlantMissed);
    write(&mut ledger, Entry::Fined { party, check, lease: None, commitment: None, verdicts: vec![] });
    let close = ledger.close().expect("a step was trained");
    write(&mut ledger, close);
    write(&mut ledger, Entry::Posted { epoch: 0, block: 2, transaction: [7; 32] });
    write(&mut ledger, Entry::StakeSeen { party: Party::Worker(0), stake: 10, block: 2 });
    let verdicts = vec![verdict(world::invalid())];
    let (party, check) = (Party::Worker(0), Check::TokenMargin);
    write(&mut ledger, Entry::Fined { party, check, lease: Some(0), commitment: Some(commitment()), verdicts });
    write(&mut ledger, Entry::Slashed { party, amount: 5, block: 3 });
    lines
}

/// Each line at each door that takes one, two files, and words.
pub fn seeds() -> Vec<Vec<u8>> {
    let at = |door: u8, text: &str| [&[door], text.as_bytes()].concat();
    let lines = LOG.iter().flat_map(|line| [at(0, line), at(1, line)]);
    let files = [at(2, &LOG[..2].join("\n")), at(2, &LOG[1..3].join("\n"))];
    let words = ["worker 3", "validator 0", "trainer", "treasury", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"];
    lines.chain(files).chain(words.map(|word| at(3, word))).collect()
}
