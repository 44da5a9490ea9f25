//! How a group is judged: the real lots, the real count of votes, and validators of all kinds.
//!
//! Promise: who is asked follows from beacon and root by `proof::draw`, what follows from the votes by
//! `rounds::Votes`; honest validators agree, for a verdict depends on the submission alone.

use proof::draw;
use protocol::{BeaconPoint, Check, Hash, ValidatorId, WorkerId};
use rounds::{Ruling, Votes};

use super::crowd::Crowd;
use super::parties::Parties;
use super::strategy::ValidatorWay;
use crate::chance::Chance;

/// What one validator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vote {
    Valid,
    /// Clearly false.
    Invalid(Check),
    /// A little beyond a tolerance.
    Narrow,
}

/// A vote, and whether work went into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seat {
    pub(super) validator: ValidatorId,
    pub(super) vote: Vote,
    pub(super) looked: bool,
}

/// A group as its judges see it.
pub(super) struct Case<'a> {
    pub(super) worker: WorkerId,
    pub(super) beacon: &'a BeaconPoint,
    pub(super) root: &'a Hash,
    /// The lie that anybody who looks will find.
    pub(super) found: Option<Check>,
}

/// What came of a group.
pub(super) struct Judged {
    pub(super) ruling: Ruling,
    pub(super) seats: Vec<Seat>,
}

impl Judged {
    /// The check that is named first.
    pub(super) fn charge(&self) -> Option<Check> {
        self.seats.iter().find_map(|seat| match seat.vote {
            Vote::Invalid(check) => Some(check),
            Vote::Valid | Vote::Narrow => None,
        })
    }
}

/// Asks validators until the votes decide.
pub(super) fn judge(crowd: &Crowd, parties: &Parties, case: &Case<'_>, chance: &mut Chance) -> Judged {
    let unfined = parties.unfined();
    let mut wanted = 1 + usize::from(draw::second_check(case.beacon, case.root, crowd.second_check_ppm));
    let mut seats: Vec<Seat> = Vec::new();
    loop {
        let mut nobody_left = false;
        while seats.len() < wanted && !nobody_left {
            let asked = |id: &ValidatorId| seats.iter().any(|seat| seat.validator == *id);
            let candidates: Vec<ValidatorId> = unfined.iter().copied().filter(|id| !asked(id)).collect();
            match draw::validator(case.beacon, case.root, &candidates, seats.len() as u32) {
                Some(validator) => seats.push(say(parties, validator, case, chance)),
                None => nobody_left = true,
            }
        }
        match votes(&seats).ruling(unfined.len(), nobody_left || seats.len() == unfined.len()) {
            Ruling::More(count) => wanted = seats.len() + count as usize,
            ruling => return Judged { ruling, seats },
        }
    }
}

fn votes(seats: &[Seat]) -> Votes {
    let count = |is: fn(Vote) -> bool| seats.iter().filter(|seat| is(seat.vote)).count();
    Votes {
        valid: count(|vote| vote == Vote::Valid),
        invalid: count(|vote| matches!(vote, Vote::Invalid(_))),
        narrow: count(|vote| vote == Vote::Narrow),
        struck: 0,
    }
}

fn say(parties: &Parties, validator: ValidatorId, case: &Case<'_>, chance: &mut Chance) -> Seat {
    let honest = case.found.map_or(Vote::Valid, Vote::Invalid);
    let of_friend = parties.workers[case.worker as usize].is_friend;
    let (vote, looked) = match parties.validators[validator as usize].way {
        ValidatorWay::Lazy { share_ppm } if chance.below(1_000_000) < share_ppm.into() => (Vote::Valid, false),
        ValidatorWay::Doubts { spares_friends: false } => (Vote::Narrow, false),
        ValidatorWay::Doubts { spares_friends: true } if !of_friend => (Vote::Narrow, false),
        ValidatorWay::Accuses if !of_friend => (Vote::Invalid(Check::Logprob), false),
        ValidatorWay::Covers if of_friend => (Vote::Valid, false),
        _ => (honest, true),
    };
    Seat { validator, vote, looked }
}

/// Whether a validator catches a known-bad group. Whoever looks does, and so does whoever finds fault with
/// everything.
pub(super) fn catches_plant(way: ValidatorWay, chance: &mut Chance) -> bool {
    match way {
        ValidatorWay::Lazy { share_ppm } => chance.below(1_000_000) >= share_ppm.into(),
        _ => true,
    }
}
