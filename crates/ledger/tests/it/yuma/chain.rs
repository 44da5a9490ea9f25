//! Who is left out, when: the calendar of a chain, permits, resets.

use ledger::yuma::*;

use super::{assert_close, float};

/// Three members of equal stake; 0 and 1 score 1 and 2, member 2 scores 0 and 1.
fn weights() -> Vec<Vec<u64>> {
    vec![vec![0, 1, 1], vec![0, 0, 1], vec![1, 1, 0]]
}

fn calendar() -> Calendar {
    Calendar {
        block: 100,
        activity_cutoff: 50,
        bonds_since: 90,
        last_update: vec![80; 3],
        registered: vec![10; 3],
        committed: Vec::new(),
        owner: None,
    }
}

fn run(calendar: &Calendar, weights: &[Vec<u64>], bonds: &[Vec<u16>]) -> YumaOutput {
    let masks = Masks::at(calendar, &[]).expect("a sound calendar");
    let (terms, stakes) = (&YumaTerms::default(), &[1, 1, 1]);
    epoch(&YumaInput { terms, stakes, weights, bonds, masks }).expect("a sound input")
}

#[test]
fn an_old_score_for_a_new_member_is_left_out() {
    let mut calendar = calendar();
    calendar.registered[1] = 80; // in the very block of the scores
    let masks = Masks::at(&calendar, &[]).expect("a sound calendar");
    assert_eq!(masks.scores, [[true, true, false], [false, true, false], [false, true, true]]);
    let output = run(&calendar, &weights(), &[]);
    // Two of three give all they have left to member 2.
    assert_eq!(output.incentive[1], Fixed::ZERO);
    assert_eq!(output.consensus[2], Fixed::ONE);
    calendar.registered[1] = 79;
    assert!(run(&calendar, &weights(), &[]).incentive[1] > Fixed::ZERO);
}

#[test]
fn one_commitment_that_is_older_than_a_member_is_left_out() {
    let mut calendar = calendar();
    calendar.registered[2] = 70;
    calendar.committed = vec![Some(69), Some(70), None];
    let masks = Masks::at(&calendar, &[]).expect("a sound calendar");
    assert_eq!(masks.scores.iter().map(|row| row[2]).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn scores_of_oneself_count_for_the_owner_alone() {
    let selfish = vec![vec![1, 0, 0], vec![0, 1, 0], vec![0, 0, 0]];
    let mut calendar = calendar();
    let output = run(&calendar, &selfish, &[]);
    assert_eq!(output.incentive, [Fixed::ZERO; 3]);
    calendar.owner = Some(1);
    let masks = Masks::at(&calendar, &[]).expect("a sound calendar");
    assert_eq!((0..3).map(|i| masks.scores[i][i]).collect::<Vec<_>>(), [true, false, true]);
}

#[test]
fn without_scores_the_stake_is_paid() {
    let none = vec![vec![0; 3]; 3];
    let mut calendar = calendar();
    let paid = |output: &YumaOutput| emission(output, 900);
    let output = run(&calendar, &none, &[]);
    assert_eq!((output.incentive.clone(), output.dividends.clone()), (vec![Fixed::ZERO; 3], vec![Fixed::ZERO; 3]));
    // A third is rounded down to 2⁻³².
    assert_eq!(paid(&output).validators, [299, 299, 299]);
    assert_eq!(paid(&output).workers, [0, 0, 0]);
    assert_eq!(paid(&output).members, [299, 299, 299]);
    // Only member 0 is active.
    calendar.last_update = vec![50, 49, 49];
    assert_eq!(paid(&run(&calendar, &none, &[])).validators, [900, 0, 0]);
    // Nobody is active.
    calendar.last_update = vec![49; 3];
    assert_eq!(paid(&run(&calendar, &none, &[])).validators, [299, 299, 299]);
}

#[test]
fn bonds_with_a_new_member_are_forgotten() {
    let old = vec![vec![0, 65_535, 65_535]; 3];
    let mut calendar = calendar();
    calendar.last_update = vec![100; 3];
    let kept = run(&calendar, &weights(), &old);
    calendar.registered[2] = 90;
    let reset = run(&calendar, &weights(), &old);
    // Member 0 gives a half to 2, which is what the majority supports.
    assert_close("kept", f64::from(kept.bonds[0][2]) / 65_535.0, 0.9 + 0.05, 2e-5);
    assert_close("reset", f64::from(reset.bonds[0][2]) / 65_535.0, 0.05, 2e-5);
    assert_eq!(kept.bonds[0][1], reset.bonds[0][1]);
}

#[test]
fn who_has_no_permit_has_no_voice() {
    let masks = Masks::at(&calendar(), &[true, false, true]).expect("a sound calendar");
    assert_eq!(masks.forbidden, [false, true, false]);
    let (terms, weights) = (YumaTerms::default(), weights());
    let input = YumaInput { terms: &terms, stakes: &[1, 1, 1], weights: &weights, bonds: &[], masks };
    let output = epoch(&input).expect("a sound input");
    assert_eq!(output.active_stake[1], Fixed::ZERO);
    assert_close("stake", float(output.active_stake[0]), 0.5, 1e-9);
    assert_eq!(output.dividends[1], Fixed::ZERO);
}

#[test]
fn an_idle_validator_keeps_its_scores_but_has_no_stake() {
    let mut calendar = calendar();
    calendar.last_update[0] = 49;
    let output = run(&calendar, &weights(), &[]);
    assert_eq!(output.active_stake[0], Fixed::ZERO);
    assert!(output.bonds[0].iter().any(|bond| *bond > 0));
    assert_eq!(output.dividends[0], Fixed::ZERO);
}

#[test]
fn permits_go_to_the_largest_stakes() {
    assert_eq!(top_stakes(&[5, 0, 9, 7], 2), [false, false, true, true]);
    assert_eq!(top_stakes(&[5, 0, 9, 7], 9), [true, false, true, true]);
    assert_eq!(top_stakes(&[5, 5, 5], 1), [false, false, true]);
    assert_eq!(top_stakes(&[5, 5], 0), [false, false]);
    assert!(top_stakes(&[], 3).is_empty());
}
