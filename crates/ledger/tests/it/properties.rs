//! Random histories, good and bad entries mixed.

use std::collections::BTreeMap;

use ledger::{Account, Entry, Ledger, audit, largest_remainder, merkle};
use proptest::prelude::*;
use protocol::{Check, Party};

use super::world::{Pen, Says, account, invalid, terms, unchecked, valid};

const WORKERS: u32 = 4;
const VALIDATORS: u32 = 3;

#[derive(Clone, Debug)]
enum Act {
    Stake(u32, u64),
    Group(u32, u64, [u8; 3]),
    Fine(u32, [u8; 3]),
    FineValidator(u32),
    Plant(u32, bool),
    Train(u64),
    Close,
    Post(u64),
    Slash(u32, u64),
}

fn act() -> impl Strategy<Value = Act> {
    let (worker, validator) = (0..WORKERS, 0..VALIDATORS);
    let votes = || prop::array::uniform3(0u8..5);
    prop_oneof![
        2 => (validator.clone(), prop_oneof![Just(0), 1u64..1_000_000_000]).prop_map(|(id, stake)| Act::Stake(id, stake)),
        8 => (worker.clone(), prop_oneof![0u64..100, any::<u64>()], votes()).prop_map(|(id, tokens, votes)| Act::Group(id, tokens, votes)),
        1 => (worker.clone(), votes()).prop_map(|(id, votes)| Act::Fine(id, votes)),
        1 => validator.clone().prop_map(Act::FineValidator),
        2 => (validator, any::<bool>()).prop_map(|(id, caught)| Act::Plant(id, caught)),
        4 => (1u64..4).prop_map(Act::Train),
        3 => Just(Act::Close),
        1 => (0u64..6).prop_map(Act::Post),
        1 => (worker, 0u64..2_000_000_000).prop_map(|(id, amount)| Act::Slash(id, amount)),
    ]
}

/// Votes as numbers: 0 and 1 no vote, 2 valid, 3 invalid, 4 unchecked; the first validator mostly says valid.
fn says(votes: [u8; 3]) -> Vec<Says> {
    let vote = |(id, vote)| match vote {
        0 if id == 0 => Some(valid(0, 2)),
        2 => Some(valid(id, 1)),
        3 => Some(invalid(id, 1)),
        4 => Some(unchecked(id)),
        _ => None,
    };
    (0..).zip(votes).filter_map(vote).collect()
}

/// Tries one act; most are taken, some refused.
fn play(pen: &mut Pen, act: &Act, plant: &mut u64) {
    let entry = match *act {
        Act::Stake(id, stake) => Entry::StakeSeen { party: Party::Validator(id), stake, block: 1 },
        Act::Group(id, tokens, votes) => pen.group(id, tokens, &says(votes)),
        Act::Fine(id, votes) => pen.workers_fine(id, Check::Fingerprint, &says(votes)),
        Act::FineValidator(id) => {
            let (party, check) = (Party::Validator(id), Check::PlantMissed);
            Entry::Fined { party, check, lease: None, commitment: None, verdicts: vec![] }
        }
        Act::Plant(validator, caught) => {
            *plant += 1;
            Entry::PlantAnswered { plant: *plant / 2, validator, caught }
        }
        Act::Train(steps) => return pen.train(steps),
        Act::Close => match pen.ledger.close() {
            Ok(entry) => entry,
            Err(_) => return,
        },
        Act::Post(epoch) => Entry::Posted { epoch, block: 5, transaction: [1; 32] },
        Act::Slash(id, amount) => Entry::Slashed { party: Party::Worker(id), amount, block: 6 },
    };
    let before = pen.ledger.clone();
    if pen.try_write(entry).is_err() {
        assert!(pen.ledger == before, "a refused entry changed the ledger");
    }
}

fn assert_sums(ledger: &Ledger) {
    let mut lifetimes: BTreeMap<Account, u64> = BTreeMap::new();
    let mut total = 0;
    for epoch in ledger.epochs() {
        let paid: u64 = epoch.payouts.iter().map(|payout| payout.amount).sum();
        assert_eq!(paid, epoch.budget);
        assert_eq!(epoch.budget, ledger.terms().economy.budget_for(epoch.epoch, epoch.steps));
        epoch.payouts.iter().for_each(|payout| *lifetimes.entry(payout.account).or_default() += payout.amount);
        total += epoch.budget;
        assert_eq!(epoch.lifetime_total, total);
        assert_eq!(ledger.lifetimes_at(epoch.epoch).unwrap(), lifetimes);
        for account in lifetimes.keys() {
            let claim = ledger.claim_at(epoch.epoch, account).unwrap();
            let leaf = merkle::leaf(31_337, &ledger.terms().rewards, account, claim.lifetime);
            assert!(merkle::verify(&epoch.root, leaf, &claim.proof));
        }
    }
    assert_eq!(ledger.lifetimes(), &lifetimes);
    assert_eq!(ledger.lifetime_total(), total);
    let earned: u64 = ledger.parties().values().map(|report| report.earned).sum();
    assert_eq!(earned, total);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_history_pays_its_budgets_and_replays_to_the_same_root(acts in prop::collection::vec(act(), 0..60)) {
        let mut pen = Pen::new(terms(WORKERS, VALIDATORS));
        let mut plant = 0;
        (0..VALIDATORS).for_each(|id| pen.stake(Party::Validator(id), 1_000 * (u64::from(id) + 1)));
        acts.iter().for_each(|act| play(&mut pen, act, &mut plant));
        assert_sums(&pen.ledger);
        prop_assert_eq!(audit(&pen.lines).unwrap(), pen.ledger.report());
    }

    #[test]
    fn no_fined_party_is_paid(acts in prop::collection::vec(act(), 0..40), liar in 0..WORKERS) {
        let mut pen = Pen::new(terms(WORKERS, VALIDATORS));
        let mut plant = 0;
        (0..VALIDATORS).for_each(|id| pen.stake(Party::Validator(id), 1_000));
        pen.plain_fine(Party::Worker(liar), Check::Signature);
        acts.iter().for_each(|act| play(&mut pen, act, &mut plant));
        prop_assert_eq!(pen.ledger.lifetime(&account(Party::Worker(liar))), 0);
        for id in 0..VALIDATORS {
            if pen.ledger.is_barred(Party::Validator(id)) {
                let last = pen.ledger.epochs().last().map_or(0, |epoch| epoch.epoch);
                let paid = pen.ledger.clone();
                pen.train(2);
                let entry = pen.ledger.close().unwrap();
                pen.write(entry);
                let now = pen.ledger.lifetime(&account(Party::Validator(id)));
                prop_assert_eq!(now, paid.lifetime(&account(Party::Validator(id))), "after epoch {}", last);
            }
        }
    }

    #[test]
    fn any_byte_of_any_line_matters(place in any::<prop::sample::Index>(), mask in 1u8..=255) {
        let lines = super::refusals::story().lines;
        let sizes: Vec<usize> = lines.iter().map(String::len).collect();
        let mut place = place.index(sizes.iter().sum());
        let seq = sizes.iter().position(|size| if place < *size { true } else { place -= size; false }).unwrap();
        let mut bytes: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
        bytes[seq][place] ^= mask;
        prop_assert_eq!(audit(&bytes).unwrap_err().seq, seq as u64);
    }

    #[test]
    fn no_unit_is_lost_or_made(total in any::<u64>(), shares in prop::collection::vec(any::<u64>(), 0..50)) {
        match largest_remainder(total, &shares) {
            None => prop_assert!(shares.iter().all(|share| *share == 0)),
            Some(parts) => {
                prop_assert_eq!(parts.iter().map(|part| u128::from(*part)).sum::<u128>(), u128::from(total));
                let whole: u128 = shares.iter().map(|share| u128::from(*share)).sum();
                for (part, share) in parts.iter().zip(&shares) {
                    let floor = u128::from(total) * u128::from(*share) / whole;
                    prop_assert!((floor..=floor + 1).contains(&u128::from(*part)));
                }
            }
        }
    }

    #[test]
    fn the_order_of_parties_does_not_matter(tokens in prop::array::uniform3(1u64..1_000_000)) {
        // The same work by other hands: each account is paid the same.
        let pay = |order: [u32; 3]| {
            let mut pen = Pen::new(terms(3, 1));
            pen.stake(Party::Validator(0), 5);
            for id in order {
                pen.accept(id, tokens[id as usize], &[valid(0, 1)]);
            }
            pen.train(2);
            pen.close();
            pen.ledger.lifetimes().clone()
        };
        prop_assert_eq!(pay([0, 1, 2]), pay([2, 0, 1]));
    }
}
