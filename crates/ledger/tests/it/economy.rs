//! Budgets, slashes, and the page that tells of them.

use std::collections::BTreeMap;

use ledger::{ESM, Economy, Severity};
use protocol::{Check, Party};

use super::world::economy;

#[test]
fn budgets_halve_down_to_nothing_and_never_overflow() {
    let economy = Economy { budget_first: 1_000 * ESM, halving_epochs: 3, ..economy() };
    let budgets: Vec<u64> = (0..8).map(|epoch| economy.budget(epoch) / ESM).collect();
    assert_eq!(budgets, [1_000, 1_000, 1_000, 500, 500, 500, 250, 250]);
    // 10^9 < 2^30, so the thirtieth halving leaves nothing.
    assert_eq!([economy.budget(3 * 29), economy.budget(3 * 30), economy.budget(3 * 64)], [1, 0, 0]);
    assert_eq!(economy.budget(u64::MAX), 0);
}

#[test]
fn closing_early_pays_the_share_of_the_steps_rounded_down() {
    let economy = Economy { budget_first: 10, epoch_steps: 3, ..economy() };
    assert_eq!([0, 1, 2, 3, 4].map(|steps| economy.budget_for(0, steps)), [0, 3, 6, 10, 10]);
    let most = Economy { budget_first: u64::MAX, epoch_steps: u64::MAX, ..economy };
    assert_eq!(most.budget_for(0, u64::MAX - 1), u64::MAX - 1);
}

#[test]
fn a_slash_is_a_share_of_the_stake_rounded_down() {
    let slash = economy().slash;
    assert_eq!(slash.amount(Check::Withheld, 100 * ESM), 0);
    assert_eq!(slash.amount(Check::Limits, 100 * ESM), 5 * ESM);
    assert_eq!(slash.amount(Check::TokenMargin, 100 * ESM), 20 * ESM);
    assert_eq!(slash.amount(Check::PlantMissed, 33), 16);
    assert_eq!(slash.amount(Check::SealMismatch, u64::MAX), u64::MAX);
}

#[test]
fn only_workers_and_validators_hold_a_stake() {
    let due = |party| economy().stake_due(party) / ESM;
    assert_eq!([Party::Worker(3), Party::Validator(0), Party::Trainer, Party::Treasury].map(due), [50, 100, 0, 0]);
}

/// The table in `docs/ledger.md` names each check once, in its class.
#[test]
fn the_page_tells_of_every_check_what_it_costs() {
    let page = include_str!("../../../../docs/ledger.md");
    let mut told = BTreeMap::new();
    for severity in [Severity::Late, Severity::Careless, Severity::Mismatch, Severity::False, Severity::Forged] {
        let class = format!("| {} |", format!("{severity:?}").to_lowercase());
        let row = page.lines().find(|line| line.starts_with(&class)).expect("a row for each class");
        let checks = row.split('|').nth(2).expect("a column of checks").split('`').skip(1).step_by(2);
        for check in checks {
            assert_eq!(told.insert(check.to_owned(), severity), None, "{check} is told twice");
        }
    }
    let due = Check::ALL.iter().map(|check| (check.as_str().to_owned(), Severity::of(*check)));
    assert_eq!(told, due.collect());
}
