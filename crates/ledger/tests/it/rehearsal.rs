//! A rehearsal pays what the ledger pays for the same facts with all their signatures.

use ledger::{Rehearsal, RehearsedVote};
use protocol::{Check, Party};

use crate::world::{Pen, Says, invalid, terms, valid};

fn heard(says: &[Says]) -> Vec<RehearsedVote> {
    let vote = |says: &Says| RehearsedVote {
        validator: says.validator,
        checked: says.checked.into(),
        valid: says.outcome == protocol::Outcome::Valid,
    };
    says.iter().map(vote).collect()
}

#[test]
fn a_rehearsal_pays_what_the_signed_log_pays() {
    let mut pen = Pen::new(terms(4, 3));
    for party in pen.ledger.terms().parties().filter(|party| *party != Party::Treasury).collect::<Vec<_>>() {
        let stake = pen.ledger.terms().economy.stake_due(party);
        pen.stake(party, stake);
    }
    let mut rehearsal = Rehearsal::open(terms(4, 3)).unwrap();
    // Two epochs: in the first a doubt, a lie and plants; in the second a validator is fined.
    let groups = [
        (0, 90, vec![valid(0, 2), valid(1, 2)]),
        (1, 70, vec![valid(2, 4)]),
        (2, 33, vec![valid(0, 2), invalid(1, 2), valid(2, 2)]),
        (3, 10, vec![valid(1, 1)]),
    ];
    for epoch in 0..2 {
        for (worker, tokens, says) in &groups {
            pen.accept(*worker, *tokens, says);
            rehearsal.accepted(*worker, *tokens, &heard(says)).unwrap();
        }
        if epoch == 0 {
            let says = [invalid(0, 2), invalid(2, 1), valid(1, 2)];
            let fine = pen.workers_fine(3, Check::Fingerprint, &says);
            pen.write(fine);
            rehearsal.lie_found(3, Check::Fingerprint, &heard(&says)).unwrap();
        } else {
            pen.plain_fine(Party::Validator(1), Check::SealMismatch);
            rehearsal.validator_lied(1, Check::SealMismatch).unwrap();
        }
        pen.write(ledger::Entry::PlantAnswered { plant: epoch, validator: 2, caught: true });
        rehearsal.plant_answered(2, true).unwrap();
        pen.train(2);
        pen.close();
        assert_eq!(rehearsal.close(2).unwrap(), pen.ledger.payouts(epoch), "epoch {epoch}");
    }
}

#[test]
fn a_rehearsal_knows_its_parties_and_fines_each_once() {
    let mut rehearsal = Rehearsal::open(terms(2, 2)).unwrap();
    let vote = |validator| [RehearsedVote { validator, checked: 1, valid: true }];
    assert!(rehearsal.accepted(2, 5, &vote(0)).is_err());
    assert!(rehearsal.accepted(0, 5, &vote(2)).is_err());
    rehearsal.validator_lied(0, Check::SealMismatch).unwrap();
    assert!(rehearsal.validator_lied(0, Check::SealMismatch).is_err());
    assert_eq!(rehearsal.close(0).unwrap(), [], "nothing trained");
}
