//! Every way in which a log can be wrong has a name and a position.

use ledger::line::{LINE_BYTES_MAX, Line};
use ledger::yuma::YumaError;
use ledger::{ESM, EconomyError, Entry, Fault, Ledger, LedgerError, LedgerTerms, audit};
use protocol::{Check, Outcome, Party, ProtocolError, Signed, ValidatorId};

use super::world::{Pen, Says, account, invalid, keys, orchestrator, terms, valid};

/// A log with every kind of entry.
pub(crate) fn story() -> Pen {
    let mut pen = Pen::small();
    pen.stake(Party::Worker(1), 50 * ESM);
    pen.accept(0, 300, &[valid(0, 1)]);
    pen.accept(1, 100, &[valid(0, 1), valid(1, 1)]);
    pen.write(Entry::PlantAnswered { plant: 0, validator: 1, caught: true });
    pen.train(2);
    pen.close();
    pen.write(Entry::Posted { epoch: 0, block: 7, transaction: [0xab; 32] });
    let fine = pen.workers_fine(1, Check::Fingerprint, &[invalid(0, 1), invalid(1, 1)]);
    pen.write(fine);
    pen.write(Entry::Slashed { party: Party::Worker(1), amount: 10 * ESM, block: 8 });
    pen.plain_fine(Party::Validator(0), Check::SealMismatch);
    pen.train(1);
    pen.close();
    pen
}

/// The fault with which an entry is refused; the ledger must not have changed.
pub(crate) fn refused(pen: &mut Pen, entry: Entry) -> Fault {
    let before = pen.ledger.clone();
    let LedgerError { seq, fault } = pen.try_write(entry).unwrap_err();
    assert_eq!(seq, before.entries(), "{fault}");
    assert!(pen.ledger == before, "a refused entry changed the ledger: {fault}");
    *fault
}

#[test]
fn every_altered_byte_of_every_line_is_refused_at_its_place() {
    let pen = story();
    let mut ledger = Ledger::new(pen.lines[0].as_bytes()).unwrap();
    for (seq, line) in pen.lines.iter().enumerate() {
        // Long lines are mostly digits; every seventh byte of them will do.
        let step = if line.len() < 800 { 1 } else { 7 };
        for place in (0..line.len()).step_by(step) {
            let mut bytes = line.clone().into_bytes();
            bytes[place] ^= 1 << (place % 7);
            let error = match seq {
                0 => Ledger::new(&bytes).unwrap_err(),
                _ => ledger.apply(&bytes).unwrap_err(),
            };
            assert_eq!(error.seq, seq as u64, "byte {place} of line {seq}: {error}");
        }
        if seq > 0 {
            ledger.apply(line.as_bytes()).unwrap();
        }
    }
    assert!(ledger == pen.ledger);
}

#[test]
fn dropped_doubled_and_swapped_lines_are_refused_at_their_place() {
    let lines = story().lines;
    let fault = |lines: &[String]| audit(lines).map(|report| report.entries).map_err(|error| (error.seq, *error.fault));
    for seq in 1..lines.len() {
        let place = seq as u64;
        let mut doubled = lines.clone();
        doubled.insert(seq, lines[seq].clone());
        assert_eq!(fault(&doubled), Err((place + 1, Fault::Reordered { expected: place + 1, given: place })));
        if seq + 1 == lines.len() {
            continue;
        }
        let mut dropped = lines.clone();
        dropped.remove(seq);
        let reordered = Err((place, Fault::Reordered { expected: place, given: place + 1 }));
        assert_eq!(fault(&dropped), reordered);
        let mut swapped = lines.clone();
        swapped.swap(seq, seq + 1);
        assert_eq!(fault(&swapped), reordered);
    }
    assert_eq!(fault(&lines[1..]), Err((0, Fault::NotOpened)));
    assert_eq!(fault(&[]), Err((0, Fault::Empty)));
    // An end that is missing can only be seen on the chain, where the root is.
    assert_eq!(fault(&lines[..4]), Ok(4));
}

#[test]
fn a_credit_that_lost_a_verdict_or_changed_places_is_refused_by_the_next_signed_line() {
    let pen = story();
    let read = |seq: usize| Line::decode(pen.lines[seq].as_bytes(), Some(&pen.ledger.terms().run)).unwrap();
    let credits: Vec<usize> = (1..pen.lines.len()).filter(|seq| read(*seq).signature.is_none()).collect();
    let [first, second] = credits[..] else { panic!("two credits, one after the other") };
    let signed = second as u64 + 1;
    let fault =
        |lines: &[String]| audit(lines).map(|report| report.unsigned).map_err(|error| (error.seq, *error.fault));
    let mut poorer = pen.lines.clone();
    let mut line = read(second);
    let Entry::Accepted { verdicts, .. } = &mut line.entry else { panic!("a credit") };
    assert_eq!(verdicts.len(), 2);
    verdicts.pop();
    poorer[second] = line.encode().unwrap();
    assert_eq!(fault(&poorer), Err((signed, Fault::Forged)));
    let mut swapped = pen.lines.clone();
    swapped[first] = Line { seq: first as u64, ..read(second) }.encode().unwrap();
    swapped[second] = Line { seq: second as u64, ..read(first) }.encode().unwrap();
    assert_eq!(fault(&swapped), Err((signed, Fault::Forged)));
    // Until that line is written they stand for themselves, and the report says so.
    assert_eq!(fault(&poorer[..=second]), Ok(2));
    assert_eq!(fault(&pen.lines), Ok(0));
}

#[test]
fn a_log_of_the_first_form_is_refused_by_its_number() {
    let first = format!(
        r#"{{"seq":0,"previous":"{}","entry":{{"what":"trained","step":1}},"signature":"{}"}}"#,
        "0".repeat(64),
        "0".repeat(128)
    );
    let fault = Ledger::new(first.as_bytes()).unwrap_err().fault;
    assert_eq!(*fault, Fault::OtherFormat { supported: 2, given: 1 });
    assert_eq!(fault.to_string(), "the log has form 1, this program reads form 2");
}

#[test]
fn a_line_of_another_hand_run_or_history_is_forged() {
    let mut pen = Pen::small();
    let (seq, head, run) = (pen.ledger.entries(), pen.ledger.head(), pen.ledger.run_id());
    let entry = || Entry::Trained { step: 1 };
    let mut fault = |line: Line| *pen.ledger.apply(line.encode().unwrap().as_bytes()).unwrap_err().fault;
    assert_eq!(fault(Line::new(&run, seq, head, entry(), &keys("worker", 0)).unwrap()), Fault::Forged);
    assert_eq!(fault(Line::new(&[9; 32], seq, head, entry(), &orchestrator()).unwrap()), Fault::Forged);
    assert_eq!(fault(Line::new(&run, seq, [9; 32], entry(), &orchestrator()).unwrap()), Fault::Forged);
    // The signature of one place, moved to another.
    let other = Line::new(&run, seq + 1, head, entry(), &orchestrator()).unwrap();
    assert_eq!(fault(Line { seq, ..other }), Fault::Forged);
    assert_eq!(pen.ledger.append(entry(), &keys("worker", 0)).unwrap_err().fault, Fault::Forged.into());
    assert_eq!(Ledger::open(terms(1, 1), &keys("worker", 0)).unwrap_err().fault, Fault::Forged.into());
}

#[test]
fn a_line_has_one_written_form() {
    let mut pen = Pen::small();
    pen.train(1);
    let line = pen.lines.pop().unwrap();
    let ledger = Ledger::replay(&pen.lines).unwrap();
    let fault = |text: &str| *ledger.clone().apply(text.as_bytes()).unwrap_err().fault;
    assert_eq!(fault(&line.replace(":", ": ")), Fault::NotCanonical);
    assert_eq!(fault(&format!("{line}\n")), Fault::NotCanonical);
    assert_eq!(
        fault(&line.replace(r#""what":"trained","step":1"#, r#""step":1,"what":"trained""#)),
        Fault::NotCanonical
    );
    assert_eq!(fault(&line.replace("trained", "\\u0074rained")), Fault::NotCanonical);
    for bad in ["", "{", "null", "[]", &line[..line.len() - 1], &line.replace(r#""step":1"#, r#""step":1,"more":0"#)] {
        assert!(matches!(fault(bad), Fault::Unreadable { .. }), "{bad}");
    }
    let given = LINE_BYTES_MAX + 1;
    assert_eq!(fault(&" ".repeat(given)), Fault::LineTooLong { limit: LINE_BYTES_MAX, given });
}

#[test]
fn terms_that_do_not_fit_are_refused() {
    let open = |change: fn(&mut LedgerTerms)| {
        let mut terms = terms(2, 2);
        change(&mut terms);
        *Ledger::open(terms, &orchestrator()).unwrap_err().fault
    };
    let count = Fault::AccountCount { role: "workers", expected: 2, given: 1 };
    assert_eq!(open(|terms| terms.workers.truncate(1)), count);
    let count = Fault::AccountCount { role: "validators", expected: 2, given: 3 };
    assert_eq!(open(|terms| terms.validators.push(terms.trainer)), count);
    let sum = EconomyError::SplitSum { expected: 1_000_000, given: 1_000_001 };
    assert_eq!(open(|terms| terms.economy.split.checks_ppm += 1), sum.into());
    assert_eq!(open(|terms| terms.economy.epoch_steps = 0), EconomyError::Zero { field: "epoch_steps" }.into());
    assert_eq!(open(|terms| terms.economy.halving_epochs = 0), EconomyError::Zero { field: "halving_epochs" }.into());
    let slash = EconomyError::SlashAboveOne { limit: 1_000_000, given: 1_000_001 };
    assert_eq!(open(|terms| terms.economy.slash.false_ppm = 1_000_001), slash.into());
    let yuma = EconomyError::Yuma(YumaError::MovingAverage { limit: 1_000_000, given: 2_000_000 });
    assert_eq!(open(|terms| terms.economy.yuma.bonds_moving_average_ppm = 2_000_000), yuma.into());
    let double = ProtocolError::DoubleKey { role: "workers", key: keys("worker", 0).public() };
    assert_eq!(open(|terms| terms.run.workers[1] = terms.run.workers[0]), double.into());
    let (mut pen, again) = (Pen::small(), Box::new(terms(2, 2)));
    assert_eq!(refused(&mut pen, Entry::Opened(again)), Fault::OpenedTwice);
}

#[test]
fn a_credit_needs_the_workers_word_and_more_verdicts_for_it_than_against() {
    let mut pen = Pen::small();
    let mut group = |says: &[Says]| pen.group(0, 100, says);
    let none = group(&[]);
    let tie = group(&[valid(0, 1), invalid(1, 1)]);
    let Entry::Accepted { commitment, verdicts } = group(&[valid(0, 1)]) else { unreachable!() };
    let (run, lease) = (pen.ledger.run_id(), commitment.body.lease);
    let accepted = |commitment: &Signed<_>, verdicts: &[Signed<_>]| Entry::Accepted {
        commitment: commitment.clone(),
        verdicts: verdicts.to_vec(),
    };
    let admitted = |valid, invalid| Fault::Record(ProtocolError::NotAdmitted { valid, invalid });
    assert_eq!(refused(&mut pen, none), admitted(0, 0));
    assert_eq!(refused(&mut pen, tie), admitted(1, 1));
    let double = [verdicts[0].clone(), verdicts[0].clone()];
    let expected = ProtocolError::DoubleVerdict { validator: 0 };
    assert_eq!(refused(&mut pen, accepted(&commitment, &double)), expected.into());
    let stranger = Signed::new(commitment.body.clone(), &run, &keys("worker", 1)).unwrap();
    assert!(matches!(
        refused(&mut pen, accepted(&stranger, &verdicts)),
        Fault::Record(ProtocolError::WrongSigner { record: "commitment", .. })
    ));
    let mut altered = verdicts[0].clone();
    altered.body.tokens += 1;
    assert!(matches!(
        refused(&mut pen, accepted(&commitment, &[altered])),
        Fault::Record(ProtocolError::BadSignature { record: "verdict", .. })
    ));
    let other = pen.verdicts(lease + 1, 100, &[valid(0, 1)]);
    let expected = ProtocolError::ForeignVerdict { expected: lease, given: lease + 1 };
    assert_eq!(refused(&mut pen, accepted(&commitment, &other)), expected.into());
    pen.write(accepted(&commitment, &verdicts));
    assert!(pen.ledger.has_credited(lease));
    let again = accepted(&commitment, &pen.verdicts(lease, 100, &[valid(1, 1)]));
    assert_eq!(refused(&mut pen, again), Fault::CreditedTwice { lease });
}

#[test]
fn a_worker_is_paid_the_least_that_a_valid_verdict_counts() {
    let mut pen = Pen::small();
    let commitment = pen.commitment(0, 0);
    let verdicts = vec![pen.verdict(0, 90, valid(0, 1)), pen.verdict(0, 100, valid(1, 1))];
    pen.write(Entry::Accepted { commitment, verdicts });
    assert_eq!(pen.ledger.parties()[&Party::Worker(0)].tokens, 90);
}

#[test]
fn one_lease_is_credited_once_whatever_its_worker_commits_to() {
    let mut pen = Pen::small();
    pen.accept(0, 100, &[valid(0, 1)]);
    let (run, other) = (pen.ledger.run_id(), [9; 32]);
    let mut commitment = pen.commitment(0, 0).body;
    commitment.root = other;
    let mut verdict = pen.verdict(0, 100, valid(1, 1)).body;
    verdict.root = other;
    let commitment = Signed::new(commitment, &run, &keys("worker", 0)).unwrap();
    let verdicts = vec![Signed::new(verdict, &run, &keys("validator", 1)).unwrap()];
    let second = Entry::Accepted { commitment, verdicts };
    assert_eq!(refused(&mut pen, second), Fault::CreditedTwice { lease: 0 });
}

/// `docs/ledger.md` names the checks for which a fine rests on the orchestrator's word.
#[test]
fn steps_epochs_posts_and_slashes_come_in_order_and_once() {
    let mut pen = Pen::small();
    assert_eq!(refused(&mut pen, Entry::Trained { step: 2 }), Fault::StepOrder { expected: 1, given: 2 });
    pen.train(2);
    assert_eq!(refused(&mut pen, Entry::Trained { step: 2 }), Fault::StepOrder { expected: 3, given: 2 });
    assert!(pen.ledger.due());
    let post = |epoch| Entry::Posted { epoch, block: 1, transaction: [1; 32] };
    assert_eq!(refused(&mut pen, post(0)), Fault::PostedUnclosed { closed: 0, given: 0 });
    let closed = pen.ledger.close().unwrap();
    pen.write(closed.clone());
    assert_eq!(refused(&mut pen, closed), Fault::EpochOrder { expected: 1, given: 0 });
    pen.write(post(0));
    assert_eq!(refused(&mut pen, post(0)), Fault::PostedBefore { newest: 0, given: 0 });
    let slash = |party, amount| Entry::Slashed { party, amount, block: 1 };
    let liar = Party::Validator(0);
    assert_eq!(refused(&mut pen, slash(liar, 1)), Fault::SlashWithoutFine { party: liar });
    pen.plain_fine(liar, Check::Signature);
    let expected = Fault::SlashAboveStake { party: liar, limit: 100 * ESM, given: 100 * ESM + 1 };
    assert_eq!(refused(&mut pen, slash(liar, 100 * ESM + 1)), expected);
    pen.write(slash(liar, 100 * ESM));
    assert_eq!(refused(&mut pen, slash(liar, 0)), Fault::SlashWithoutFine { party: liar });
}

#[test]
fn an_epoch_without_a_step_pays_nothing_and_leaves_its_work_to_the_next() {
    let mut terms = terms(2, 3);
    terms.economy.halving_epochs = 10;
    let mut pen = Pen::new(terms);
    (0..3).for_each(|id| pen.stake(Party::Validator(id), 100 * ESM));
    pen.accept(0, 300, &[0, 1, 2].map(|id| valid(id, 2)));
    // A doubt, so that bonds differ and dividends later depend on them.
    pen.accept(1, 200, &[valid(0, 2), invalid(1, 2), valid(2, 2)]);
    pen.train(2);
    pen.close();
    pen.accept(1, 100, &[0, 1, 2].map(|id| valid(id, 1)));
    // Whoever plays the same story without the empty epoch is paid the same.
    let mut other = pen.clone();
    let before = pen.ledger.clone();
    assert!(!pen.ledger.due());
    pen.close();
    let [first, second] = pen.ledger.epochs() else { panic!("two epochs") };
    assert_eq!((second.epoch, second.steps, second.budget), (1, 0, 0));
    assert_eq!((second.root, second.lifetime_total, second.payees), (first.root, first.lifetime_total, first.payees));
    assert_eq!(pen.ledger.payouts(1), []);
    assert_eq!(pen.ledger.lifetimes(), before.lifetimes());
    let claim = |epoch| pen.ledger.claim_at(epoch, &account(Party::Worker(0)));
    assert_eq!(claim(1), claim(0));
    let Entry::EpochClosed { epoch, root, lifetime_total, payees, .. } = pen.ledger.close().unwrap() else {
        panic!("not a closed epoch")
    };
    let paying = Entry::EpochClosed { epoch, budget: 1, root, lifetime_total: lifetime_total + 1, payees };
    assert!(matches!(refused(&mut pen, paying), Fault::WrongEpoch { epoch: 2, field: "budget", .. }));
    for pen in [&mut pen, &mut other] {
        pen.train(2);
        pen.close();
    }
    assert_eq!(pen.ledger.payouts(2), other.ledger.payouts(1));
    assert_eq!(audit(&pen.lines).unwrap(), pen.ledger.report());
}

#[test]
fn a_ledger_can_begin_with_an_empty_epoch() {
    let mut pen = Pen::small();
    pen.close();
    let first = &pen.ledger.epochs()[0];
    assert_eq!((first.budget, first.root, first.lifetime_total, first.payees), (0, [0; 32], 0, 0));
    assert_eq!(audit(&pen.lines).unwrap(), pen.ledger.report());
}

#[test]
fn an_epoch_that_claims_other_numbers_is_refused() {
    let mut pen = Pen::small();
    pen.accept(0, 100, &[valid(0, 1)]);
    pen.train(2);
    let Entry::EpochClosed { epoch, budget, root, lifetime_total, payees } = pen.ledger.close().unwrap() else {
        panic!("not a closed epoch")
    };
    let claims = [
        ("budget", Entry::EpochClosed { epoch, budget: budget + 1, root, lifetime_total, payees }),
        ("root", Entry::EpochClosed { epoch, budget, root: [0; 32], lifetime_total, payees }),
        ("lifetime_total", Entry::EpochClosed { epoch, budget, root, lifetime_total: lifetime_total - 1, payees }),
        ("payees", Entry::EpochClosed { epoch, budget, root, lifetime_total, payees: payees + 1 }),
    ];
    for (name, claim) in claims {
        assert!(matches!(refused(&mut pen, claim), Fault::WrongEpoch { epoch: 0, field, .. } if field == name));
    }
}

#[test]
fn an_epoch_that_would_overflow_is_refused_before_it_is_written() {
    let mut terms = terms(1, 1);
    terms.economy.budget_first = u64::MAX;
    let mut pen = Pen::new(terms);
    pen.train(2);
    pen.close();
    pen.train(2);
    let fault = Fault::Overflow { what: "a lifetime" };
    assert_eq!(pen.ledger.close().unwrap_err().fault, fault.into());
}

#[test]
fn a_verdict_is_counted_once_wherever_it_turns_up_again() {
    let mut pen = Pen::new(terms(1, 3));
    pen.accept(0, 100, &[valid(0, 2), valid(1, 2), invalid(2, 2)]);
    let verdicts = pen.verdicts(0, 100, &[valid(0, 2), valid(1, 2), invalid(2, 2)]);
    let (party, check) = (Party::Validator(2), Check::VerdictDisagrees);
    pen.write(Entry::Fined { party, check, lease: Some(0), commitment: None, verdicts });
    let checks = |id: ValidatorId| pen.ledger.parties()[&Party::Validator(id)].checks;
    assert_eq!([checks(0), checks(1), checks(2)], [2, 2, 0]);
    assert_eq!(invalid(2, 2).outcome, pen.verdict(0, 100, invalid(2, 2)).body.outcome);
    assert_ne!(invalid(2, 2).outcome, Outcome::Valid);
}

#[test]
fn a_writer_may_vouch_for_nested_signatures_but_not_for_signers_and_a_reader_believes_neither() {
    let mut pen = Pen::small();
    let Entry::Accepted { commitment, mut verdicts } = pen.group(0, 100, &[valid(0, 1)]) else { unreachable!() };
    let stranger = Signed::new(commitment.body.clone(), &pen.ledger.run_id(), &keys("worker", 1)).unwrap();
    let wrong_signer = Entry::Accepted { commitment: stranger, verdicts: verdicts.clone() };
    let refused = pen.ledger.append_verified(wrong_signer, &orchestrator()).unwrap_err();
    assert!(matches!(*refused.fault, Fault::Record(ProtocolError::WrongSigner { .. })), "{refused}");
    verdicts[0].body.tokens += 1;
    let altered = Entry::Accepted { commitment, verdicts };
    assert!(pen.clone().ledger.append(altered.clone(), &orchestrator()).is_err());
    let line = pen.ledger.append_verified(altered, &orchestrator()).unwrap();
    let seq = pen.lines.len() as u64;
    pen.lines.push(line);
    let found = audit(pen.lines.iter().map(String::as_bytes)).unwrap_err();
    assert_eq!(found.seq, seq);
    assert!(matches!(*found.fault, Fault::Record(ProtocolError::BadSignature { record: "verdict", .. })), "{found}");
}

#[test]
fn nobody_but_the_orchestrator_can_write() {
    let mut pen = Pen::small();
    let refused = pen.ledger.append(Entry::Trained { step: 1 }, &keys("worker", 0)).unwrap_err();
    assert_eq!(*refused.fault, Fault::Forged);
}
