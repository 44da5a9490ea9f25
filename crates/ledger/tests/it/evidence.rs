//! A fine and its evidence are about the same, and the evidence convicts.

use std::collections::BTreeSet;

use ledger::{Entry, Fault};
use protocol::{Check, CheckedRollout, Outcome, Party, ProtocolError, Signed, Verdict};

use super::refusals::refused;
use super::world::{Pen, Says, fails, invalid, keys, terms, valid};

#[test]
fn a_fine_needs_its_evidence() {
    let mut pen = Pen::small();
    let worker = Party::Worker(1);
    let missing = |party, check, lacks| Fault::EvidenceMissing { party, check, lacks };
    let fine = |party, check, lease, commitment, verdicts| Entry::Fined { party, check, lease, commitment, verdicts };
    let check = Check::Fingerprint;
    assert_eq!(refused(&mut pen, fine(worker, check, Some(5), None, vec![])), missing(worker, check, "verdicts"));
    let verdicts = pen.verdicts(5, 0, &[invalid(0, 1)]);
    let lacks = "the lease that the verdicts are on";
    assert_eq!(refused(&mut pen, fine(worker, check, None, None, verdicts.clone())), missing(worker, check, lacks));
    let lacks = "the worker's commitment";
    assert_eq!(refused(&mut pen, fine(worker, check, Some(5), None, verdicts.clone())), missing(worker, check, lacks));
    // Another worker's answer.
    let others = Some(pen.commitment(5, 0));
    let expected = ProtocolError::ForeignWorker { expected: 1, given: 0 };
    assert_eq!(refused(&mut pen, fine(worker, check, Some(5), others, verdicts.clone())), expected.into());
    let elsewhere = Some(pen.commitment(4, 1));
    let expected = ProtocolError::ForeignCommitment { expected: 5, given: 4 };
    assert_eq!(refused(&mut pen, fine(worker, check, Some(5), elsewhere, verdicts)), expected.into());
    let own = || Some(Pen::small().commitment(5, 1));
    let tie = pen.verdicts(5, 0, &[invalid(0, 1), valid(1, 1)]);
    let expected = Fault::NotConvicted { party: worker, against: 1, in_favour: 1 };
    assert_eq!(refused(&mut pen, fine(worker, check, Some(5), own(), tie.clone())), expected);
    // A validator that was fined has no voice any more.
    pen.plain_fine(Party::Validator(1), Check::SealMismatch);
    pen.write(fine(worker, check, Some(5), own(), tie.clone()));
    assert_eq!(refused(&mut pen, fine(worker, check, Some(5), own(), tie)), Fault::FinedTwice { party: worker });
    let treasury = fine(Party::Treasury, Check::Lease, None, None, vec![]);
    assert_eq!(refused(&mut pen, treasury), Fault::UnknownParty { party: Party::Treasury });
    let nobody = fine(Party::Worker(2), Check::Lease, None, None, vec![]);
    assert_eq!(refused(&mut pen, nobody), Fault::UnknownParty { party: Party::Worker(2) });
}

#[test]
fn a_worker_is_fined_for_what_its_verdicts_accuse_it_of() {
    let mut pen = Pen::new(terms(2, 4));
    let party = Party::Worker(1);
    let fine = |pen: &Pen, check, verdicts: &[Signed<Verdict>]| {
        let (commitment, verdicts) = (pen.commitment(5, 1), verdicts.to_vec());
        assert_eq!(pen.ledger.convicts(1, check, &commitment, &verdicts), check == Check::Fingerprint);
        Entry::Fined { party, check, lease: Some(5), commitment: Some(commitment), verdicts }
    };
    let verdicts = pen.verdicts(5, 0, &[invalid(0, 1), invalid(1, 1)]);
    // All of its stake instead of a fifth; what a recomputation shows, but of which these two say nothing.
    for check in [Check::SealMismatch, Check::Lease, Check::Logprob, Check::ActivationSign, Check::Withheld] {
        let entry = fine(&pen, check, &verdicts);
        assert_eq!(refused(&mut pen, entry), Fault::EvidenceElsewhere { party, check });
    }
    // A validator that was fined is not heard.
    pen.plain_fine(Party::Validator(3), Check::SealMismatch);
    let barred = pen.verdicts(5, 0, &[invalid(0, 1), invalid(1, 1), fails(Check::Lease, 3, 1)]);
    let entry = fine(&pen, Check::Lease, &barred);
    assert_eq!(refused(&mut pen, entry), Fault::EvidenceElsewhere { party, check: Check::Lease });
    let entry = fine(&pen, Check::Fingerprint, &verdicts);
    pen.write(entry);
}

#[test]
fn a_verdict_accuses_of_what_its_numbers_show_beside_what_it_names() {
    type Change = fn(&mut CheckedRollout);
    let changes: [(Check, Change); 6] = [
        (Check::ActivationExponent, |numbers| numbers.exponent_mismatches = 80),
        (Check::ActivationMantissa, |numbers| numbers.mantissa_median_milli = 17_000),
        (Check::ActivationSign, |numbers| numbers.sign_mismatches = 9),
        (Check::Fingerprint, |numbers| numbers.fingerprint_error_ppm = 30_000),
        (Check::TokenMargin, |numbers| numbers.margin_max_micro = 5_000),
        (Check::Logprob, |numbers| numbers.logprob_error_mean_micro = 3_000),
    ];
    for (check, change) in changes {
        let mut pen = Pen::small();
        let commitment = pen.commitment(5, 1);
        let verdict = |outcome| {
            let mut body = pen.verdict(5, 0, fails(Check::Finish, 0, 1)).body;
            change(&mut body.checked[0]);
            body.outcome = outcome;
            Signed::new(body, &pen.ledger.run_id(), &keys("validator", 0)).unwrap()
        };
        let shown = verdict(fails(Check::Finish, 0, 1).outcome);
        let held = [verdict(Outcome::Valid)];
        let convicted: Vec<_> = Check::ALL
            .into_iter()
            .filter(|check| pen.ledger.convicts(1, *check, &commitment, std::slice::from_ref(&shown)))
            .collect();
        let mut expected = vec![check, Check::Finish];
        expected.sort_unstable();
        assert_eq!(convicted, expected);
        assert!(!pen.ledger.convicts(1, check, &commitment, &held), "a verdict that says valid accuses nobody");
        let party = Party::Worker(1);
        pen.write(Entry::Fined { party, check, lease: Some(5), commitment: Some(commitment), verdicts: vec![shown] });
    }
}

#[test]
fn verdicts_show_of_a_validator_only_how_it_judged() {
    let mut pen = Pen::new(terms(1, 3));
    let party = Party::Validator(2);
    pen.write(Entry::PlantAnswered { plant: 0, validator: 2, caught: false });
    let verdicts = pen.verdicts(0, 9, &[valid(0, 1), valid(1, 1), invalid(2, 1)]);
    let fine = |check| Entry::Fined { party, check, lease: Some(0), commitment: None, verdicts: verdicts.clone() };
    for check in Check::ALL.into_iter().filter(|check| *check != Check::VerdictDisagrees) {
        assert_eq!(refused(&mut pen, fine(check)), Fault::EvidenceElsewhere { party, check });
    }
    pen.write(fine(Check::VerdictDisagrees));
}

#[test]
fn the_page_tells_which_fines_rest_on_the_orchestrators_word() {
    let page = include_str!("../../../../docs/ledger.md");
    let row = page.lines().find(|line| line.starts_with("| fines for ")).expect("a row about fines");
    let told: BTreeSet<&str> = row.split('`').skip(1).step_by(2).collect();
    let is_believed = |check: &Check| {
        let fine = |party| Entry::Fined { party, check: *check, lease: None, commitment: None, verdicts: vec![] };
        let [worker, validator] =
            [Party::Worker(0), Party::Validator(0)].map(|party| Pen::small().try_write(fine(party)));
        assert_eq!(worker.is_ok(), validator.is_ok(), "{check}");
        worker.is_ok()
    };
    let believed: BTreeSet<&str> =
        Check::ALL.iter().filter(|check| is_believed(check)).map(|check| check.as_str()).collect();
    assert_eq!(told, believed);
}

#[test]
fn a_validator_is_fined_on_its_own_verdict_or_a_missed_plant() {
    let mut pen = Pen::new(terms(1, 3));
    let party = Party::Validator(2);
    let fine = |pen: &Pen, check, says: &[Says]| {
        let verdicts = pen.verdicts(0, 9, says);
        Entry::Fined { party, check, lease: Some(0), commitment: None, verdicts }
    };
    let missing = |check, lacks| Fault::EvidenceMissing { party, check, lacks };
    let check = Check::VerdictDisagrees;
    let mut refusal = |check, says: &[Says]| {
        let entry = fine(&pen, check, says);
        refused(&mut pen, entry)
    };
    assert_eq!(refusal(check, &[]), missing(check, "verdicts"));
    assert_eq!(refusal(check, &[valid(0, 1), valid(1, 1)]), missing(check, "its own verdict"));
    let unchecked = super::world::unchecked(2);
    assert_eq!(refusal(check, &[valid(0, 1), unchecked]), missing(check, "a verdict of its own that judges"));
    let expected = Fault::NotConvicted { party, against: 1, in_favour: 1 };
    assert_eq!(refusal(check, &[valid(0, 1), invalid(2, 1)]), expected);
    let plant = Check::PlantMissed;
    assert_eq!(refusal(plant, &[]), missing(plant, "a plant that it missed"));
    pen.write(Entry::PlantAnswered { plant: 3, validator: 2, caught: false });
    let again = Entry::PlantAnswered { plant: 3, validator: 2, caught: true };
    assert_eq!(refused(&mut pen, again), Fault::PlantTwice { plant: 3, validator: 2 });
    let entry = fine(&pen, plant, &[]);
    pen.write(entry);
    assert!(pen.ledger.is_barred(party));
}
