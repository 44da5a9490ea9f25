//! Who did what, and who is paid what: tables that need no programmer. See `tests/cases/README.md`.

use std::fs;
use std::path::Path;

use ledger::{Account, ESM, Entry, Payout, audit};
use protocol::{Check, Party};

use super::world::{Pen, Says, fails, terms, unchecked, valid};

/// Rows of the tables of a case, by the first word of their header. Everything else is prose.
fn rows<'a>(text: &'a str, header: &str) -> Vec<Vec<&'a str>> {
    let cells = |line: &'a str| -> Vec<&'a str> { line.trim().trim_matches('|').split('|').map(str::trim).collect() };
    let mut rows = Vec::new();
    let mut table = None; // whether it is one of those asked for
    for line in text.lines() {
        match (line.trim().starts_with('|'), table) {
            (false, _) => table = None,
            (true, None) => table = Some(cells(line)[0] == header),
            (true, Some(true)) if !line.contains("---") => rows.push(cells(line)),
            (true, Some(_)) => {}
        }
    }
    rows
}

/// `12.5 ESM` in micro-ESM.
fn amount(text: &str) -> u64 {
    let number = text.strip_suffix(" ESM").unwrap_or_else(|| panic!("{text:?} is no amount: write `12.5 ESM`"));
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    assert!(part.len() <= 6, "{text:?} has more than six decimals");
    let part: u64 = format!("{part:0<6}").parse().expect("decimals");
    whole.parse::<u64>().expect("a whole number") * ESM + part
}

fn esm(amount: u64) -> String {
    let text = format!("{}.{:06}", amount / ESM, amount % ESM);
    format!("{} ESM", text.trim_end_matches('0').trim_end_matches('.'))
}

fn number(text: &str) -> u64 {
    let word = text.split(' ').next().unwrap_or("");
    word.parse().unwrap_or_else(|_| panic!("{text:?} does not begin with a number"))
}

/// `validator 0 valid 4`: it recomputed four rollouts and found nothing.
fn says(text: &str, found: Check) -> Says {
    match text.split(' ').collect::<Vec<_>>()[..] {
        ["validator", id, "valid", checked] => valid(number(id) as u32, number(checked) as u32),
        ["validator", id, "invalid", checked] => fails(found, number(id) as u32, number(checked) as u32),
        ["validator", id, "unchecked"] => unchecked(number(id) as u32),
        _ => panic!("{text:?}: write `validator 0 valid 4`, `validator 1 invalid 4` or `validator 2 unchecked`"),
    }
}

/// What validators say; whoever says `invalid` has found that the check `found` fails.
fn verdicts(list: &[&str], found: Check) -> Vec<Says> {
    list.iter().filter(|text| !text.is_empty()).map(|text| says(text, found)).collect()
}

fn check(word: &str) -> Check {
    let known = Check::ALL.into_iter().find(|check| check.as_str() == word);
    known.unwrap_or_else(|| panic!("{word:?} is no check; see docs/verification.md"))
}

fn open(text: &str) -> Pen {
    let setting = |name: &str| {
        let rows = rows(text, "setting");
        let row = rows.iter().find(|row| row[0] == name).map(|row| row[1].to_owned());
        row.unwrap_or_else(|| panic!("no setting {name:?}"))
    };
    let mut terms = terms(number(&setting("workers")) as u32, number(&setting("validators")) as u32);
    terms.economy.budget_first = amount(&setting("budget of an epoch"));
    terms.economy.epoch_steps = number(&setting("steps of an epoch"));
    for row in rows(text, "setting") {
        match row[0] {
            "workers" | "validators" | "budget of an epoch" | "steps of an epoch" => {}
            "halves after" => terms.economy.halving_epochs = number(row[1]),
            "points for a check" => terms.economy.check_points = number(row[1]),
            "points for a fault" => terms.economy.fault_points = number(row[1]),
            "one account for" => {
                let [first, second] = row[1].split(" and ").map(party).collect::<Vec<_>>()[..] else {
                    panic!("write `worker 0 and validator 1`")
                };
                let account = terms.account(first).expect("a party of the case");
                *slot(&mut terms, second) = account;
            }
            other => panic!("unknown setting {other:?}"),
        }
    }
    Pen::new(terms)
}

fn slot(terms: &mut ledger::LedgerTerms, party: Party) -> &mut Account {
    match party {
        Party::Worker(id) => &mut terms.workers[id as usize],
        Party::Validator(id) => &mut terms.validators[id as usize],
        Party::Trainer => &mut terms.trainer,
        Party::Treasury => &mut terms.treasury,
    }
}

fn party(text: &str) -> Party {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// Does what a row says. `who | does | with what | judged by`.
fn act(pen: &mut Pen, row: &[&str], plant: &mut u64) {
    let [who, does, details] = [row[0], row[1], row[2]];
    let list: Vec<&str> = details.split(',').map(str::trim).collect();
    if let Some(word) = does.strip_prefix("is fined for ") {
        return fine(pen, party(who), check(word), &list);
    }
    match (does, who) {
        ("closes", "epoch") => pen.close(),
        ("stakes", _) => pen.stake(party(who), amount(details)),
        ("trains", "trainer") => pen.train(number(details)),
        ("loses stake", _) => {
            pen.write(Entry::Slashed { party: party(who), amount: amount(details), block: 9 });
        }
        ("answers", _) => {
            let Party::Worker(worker) = party(who) else { panic!("only workers answer") };
            pen.accept(worker, number(list[0]), &verdicts(&list[1..], Check::Fingerprint));
        }
        ("finds a planted lie" | "misses a planted lie", _) => {
            let Party::Validator(validator) = party(who) else { panic!("only validators are shown plants") };
            pen.write(Entry::PlantAnswered { plant: *plant, validator, caught: does.starts_with("finds") });
            *plant += 1;
        }
        _ => panic!("nobody knows what `{who} {does}` means"),
    }
}

fn fine(pen: &mut Pen, party: Party, check: Check, list: &[&str]) {
    let found = if matches!(party, Party::Worker(_)) { check } else { Check::Fingerprint };
    let says = verdicts(list, found);
    match party {
        Party::Worker(worker) => {
            let entry = pen.workers_fine(worker, check, &says);
            pen.write(entry);
        }
        // A validator is fined on the verdicts about the last group.
        _ if !says.is_empty() => {
            let lease = pen.next_lease - 1;
            let verdicts = pen.verdicts(lease, 0, &says);
            pen.write(Entry::Fined { party, check, lease: Some(lease), commitment: None, verdicts });
        }
        _ => pen.plain_fine(party, check),
    }
}

fn paid(epoch: u64, payout: &Payout) -> String {
    let pool = format!("{:?}", payout.pool).to_lowercase();
    format!("| {epoch} | {} | {pool} | {} |", payout.party, esm(payout.amount))
}

fn run(name: &str, text: &str) {
    let mut pen = open(text);
    let mut plant = 0;
    for row in rows(text, "who") {
        assert_eq!(row.len(), 3, "{name}: a row of `who` has three cells, not {row:?}");
        act(&mut pen, &row, &mut plant);
    }
    let table = rows(text, "epoch");
    let expected: Vec<String> = table.iter().map(|row| format!("| {} |", row.join(" | "))).collect();
    let of_epoch = |epoch| pen.ledger.payouts(epoch).iter().map(move |payout| paid(epoch, payout));
    let given: Vec<String> = (0..pen.ledger.epoch()).flat_map(of_epoch).collect();
    assert_eq!(given, expected, "\n{name}: the ledger pays\n{}\n", given.join("\n"));
    let stakes = rows(text, "party").into_iter().map(|row| (party(row[0]), amount(row[1]), amount(row[2])));
    for (party, stake, lost) in stakes {
        let report = &pen.ledger.parties()[&party];
        assert_eq!((report.stake, report.slashed), (stake, lost), "{name}: stake of {party}");
    }
    assert_eq!(audit(&pen.lines).unwrap(), pen.ledger.report(), "{name}: the log says otherwise");
}

#[test]
fn everybody_is_paid_as_the_tables_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") && !path.ends_with("README.md") {
            run(&path.file_name().unwrap().to_string_lossy(), &fs::read_to_string(&path).unwrap());
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} cases were found");
}
