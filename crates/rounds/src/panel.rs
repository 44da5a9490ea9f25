//! The validators that judge one group, and how their votes are counted.
//!
//! Promise: nobody sees a verdict before all of the panel have sealed theirs; a vote counts once;
//! whoever was fined has no vote.
//! Takes: seals, votes and silences. Gives: the votes. Never: decides whom to ask.

use protocol::{BeaconPoint, Check, LeaseId, PromptLease, ValidatorId, WorkerId};
use serde::{Deserialize, Serialize};

use crate::constants::{ASKS_MAX, JURY_MAX};
use crate::{Action, GroupSummary, OutcomeKind};

/// A group under check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Panel {
    /// Who made the group.
    pub(crate) worker: WorkerId,
    pub(crate) group: GroupSummary,
    /// The beacon point of its lease. What is drawn must be later.
    pub(crate) leased_at: BeaconPoint,
    /// What decides who checks it, and which of its rollouts.
    pub(crate) drawn: Option<BeaconPoint>,
    /// Live seats that it takes to go on.
    pub(crate) wanted: u32,
    /// Everybody asked so far, in order; somebody who was silent may sit here twice.
    pub(crate) seats: Vec<Seat>,
}

/// One validator asked once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seat {
    pub(crate) validator: ValidatorId,
    pub(crate) state: SeatState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SeatState {
    /// It is to seal a verdict.
    Asked,
    /// It has sealed and waits for the others.
    Sealed,
    /// It is to open its seal.
    Opening,
    /// It found the group valid, or clearly failing a check.
    Voted(Option<Check>),
    /// It found the group failing a check so narrowly that others may honestly find it valid.
    Doubting,
    /// It was overdue, and may be asked again if nobody else is left.
    Silent,
    /// It found fault and was fined since. That is no vote, but the signed verdict is in the world,
    /// and the trainer takes only what more verdicts call valid than invalid.
    Struck,
    /// It could not check the group, or was fined before it had found fault.
    Void,
}

impl SeatState {
    fn is_live(self) -> bool {
        !matches!(self, Self::Silent | Self::Struck | Self::Void)
    }

    fn is_open(self) -> bool {
        matches!(self, Self::Asked | Self::Sealed | Self::Opening)
    }
}

/// Votes of a panel whose seats are all settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Votes {
    /// Verdicts that call the group valid.
    pub valid: usize,
    /// Clear accusations.
    pub invalid: usize,
    /// Narrow ones. They count against the group, and make nobody pay.
    pub narrow: usize,
    /// Verdicts of fined validators that call the group invalid.
    pub struck: usize,
}

/// What follows from the votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// The group goes on.
    Accept,
    /// The group goes on, and whoever called it invalid lied.
    AcceptAgainstLiars,
    /// The worker lied, and so did whoever called the group valid.
    Lie,
    /// Enough find fault to drop the group, not enough of them clearly: nobody pays, and the worker
    /// has not answered.
    TooNarrow,
    /// So many more validators are asked.
    More(u32),
    /// Nobody is left to ask: the group is dropped and nobody pays.
    Undecided,
}

impl Votes {
    /// The rule of a verdict, given how many validators were never fined and whether nobody is left
    /// to ask.
    ///
    /// - one side only, and it says valid: accept
    /// - a fine takes a quorum, more than half of all validators never fined (at most
    ///   [`JURY_MAX`] of them), on one side, and all of it clear: as long as liars are fewer than the
    ///   others, no honest party pays
    /// - a quorum that finds fault, in which clear accusations are too few and would be with all of a
    ///   jury, drops the group
    /// - else so many more are asked as the stronger side lacks to a quorum
    /// - with nobody left to ask the majority decides on the group alone, and a tie drops it
    /// - whatever is accepted has more verdicts for it than against it, struck ones included
    pub fn ruling(self, unfined: usize, nobody_left: bool) -> Ruling {
        let Self { valid, invalid, narrow, struck } = self;
        let jury = unfined.min(JURY_MAX);
        let quorum = jury / 2 + 1;
        let fault = invalid + narrow;
        let against = fault + struck;
        let agreed = fault == 0 || valid >= quorum;
        let last = nobody_left || narrow >= quorum || valid + fault >= jury;
        match () {
            () if invalid >= quorum => Ruling::Lie,
            () if agreed && valid > against && invalid > 0 => Ruling::AcceptAgainstLiars,
            () if agreed && valid > against => Ruling::Accept,
            () if !agreed && fault >= quorum && last => Ruling::TooNarrow,
            () if !agreed && fault >= quorum => Ruling::More((quorum - invalid).min(jury - valid - fault) as u32),
            () if !nobody_left && agreed => Ruling::More((against + 1 - valid) as u32), // ≤ seats
            () if !nobody_left => Ruling::More((quorum - valid.max(fault)) as u32),     // ≤ JURY_MAX
            () if valid > against => Ruling::Accept,
            () => Ruling::Undecided,
        }
    }
}

impl Panel {
    pub(crate) fn new(lease: &PromptLease, group: GroupSummary) -> Self {
        let (worker, leased_at) = (lease.worker, lease.beacon);
        Self { worker, group, leased_at, drawn: None, wanted: 1, seats: Vec::new() }
    }

    pub(crate) fn live(&self) -> u32 {
        self.seats.iter().filter(|seat| seat.state.is_live()).count() as u32 // ≤ seats, bounded
    }

    pub(crate) fn any(&self, state: SeatState) -> bool {
        self.seats.iter().any(|seat| seat.state == state)
    }

    /// How often a validator was asked.
    pub(crate) fn asks(&self, validator: ValidatorId) -> usize {
        self.seats.iter().filter(|seat| seat.validator == validator).count()
    }

    /// Whether a validator was only ever silent, and not yet too often.
    pub(crate) fn may_ask_again(&self, validator: ValidatorId) -> bool {
        let mut own = self.seats.iter().filter(|seat| seat.validator == validator);
        own.all(|seat| seat.state == SeatState::Silent) && self.asks(validator) < ASKS_MAX
    }

    pub(crate) fn seat(&mut self, validator: ValidatorId) {
        self.seats.push(Seat { validator, state: SeatState::Asked });
    }

    /// The seat of a validator that still owes something.
    pub(crate) fn open_seat(&self, validator: ValidatorId) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.validator == validator && seat.state.is_open())
    }

    /// Moves the open seat of a validator on.
    pub(crate) fn settle_seat(&mut self, validator: ValidatorId, state: SeatState) {
        let seat = self.seats.iter_mut().find(|seat| seat.validator == validator && seat.state.is_open());
        seat.expect("admitted only for an open seat").state = state;
    }

    /// A fined validator loses its seat and its vote. Says whether it had one.
    pub(crate) fn expel(&mut self, validator: ValidatorId) -> bool {
        let lost = self.seats.iter_mut().filter(|seat| seat.validator == validator && seat.state.is_live());
        let strike = |seat: &mut Seat| {
            let found_fault = matches!(seat.state, SeatState::Voted(Some(_)) | SeatState::Doubting);
            seat.state = if found_fault { SeatState::Struck } else { SeatState::Void };
        };
        lost.map(strike).count() > 0
    }

    /// Everybody has sealed: opens all seals and says whose.
    pub(crate) fn open_seals(&mut self) -> Vec<ValidatorId> {
        let sealed = self.seats.iter_mut().filter(|seat| seat.state == SeatState::Sealed);
        let opening = sealed.map(|seat| {
            seat.state = SeatState::Opening;
            seat.validator
        });
        opening.collect()
    }

    /// A new process begins: what was sealed and not opened is forgotten, and asked for again.
    pub(crate) fn forget_seals(&mut self) {
        let open = self.seats.iter_mut().filter(|seat| seat.state.is_open());
        open.for_each(|seat| seat.state = SeatState::Asked);
    }

    /// What was asked for and not yet answered.
    pub(crate) fn outstanding(&self, lease: LeaseId) -> Vec<Action> {
        if self.drawn.is_none() {
            return vec![Action::Draw { lease }];
        }
        let owed = self.seats.iter().filter_map(|&Seat { validator, state }| match state {
            SeatState::Asked => Some(Action::Check { lease, validator }),
            SeatState::Opening => Some(Action::Reveal { lease, validator }),
            _ => None,
        });
        owed.collect()
    }

    pub(crate) fn votes(&self) -> Votes {
        let count = |state: fn(SeatState) -> bool| self.seats.iter().filter(|seat| state(seat.state)).count();
        Votes {
            valid: count(|state| state == SeatState::Voted(None)),
            invalid: count(|state| matches!(state, SeatState::Voted(Some(_)))),
            narrow: count(|state| state == SeatState::Doubting),
            struck: count(|state| state == SeatState::Struck),
        }
    }

    fn who_found_fault(&self) -> impl Iterator<Item = (ValidatorId, Check)> + '_ {
        self.seats.iter().filter_map(|seat| match seat.state {
            SeatState::Voted(Some(check)) => Some((seat.validator, check)),
            _ => None,
        })
    }

    pub(crate) fn who_said_invalid(&self) -> Vec<ValidatorId> {
        self.who_found_fault().map(|(validator, _)| validator).collect()
    }

    pub(crate) fn who_said_valid(&self) -> Vec<ValidatorId> {
        let valid = self.seats.iter().filter(|seat| seat.state == SeatState::Voted(None));
        valid.map(|seat| seat.validator).collect()
    }

    /// The check that most of those name who found fault; among equals the one named first.
    pub(crate) fn charge(&self) -> Option<Check> {
        let named = |check| self.who_found_fault().filter(|&(_, other)| other == check).count();
        let checks: Vec<Check> = self.who_found_fault().map(|(_, check)| check).collect();
        checks.into_iter().rev().max_by_key(|&check| named(check))
    }
}

impl From<OutcomeKind> for SeatState {
    fn from(outcome: OutcomeKind) -> Self {
        match outcome {
            OutcomeKind::Valid => Self::Voted(None),
            OutcomeKind::Invalid(check) => Self::Voted(Some(check)),
            OutcomeKind::Unchecked => Self::Void,
            OutcomeKind::Narrow(_) => Self::Doubting,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruling(valid: usize, invalid: usize, unfined: usize, nobody_left: bool) -> Ruling {
        Votes { valid, invalid, narrow: 0, struck: 0 }.ruling(unfined, nobody_left)
    }

    #[test]
    fn one_validator_alone_accepts_and_convicts() {
        assert_eq!(ruling(1, 0, 1, true), Ruling::Accept);
        assert_eq!(ruling(0, 1, 1, true), Ruling::Lie);
        assert_eq!(ruling(0, 0, 1, true), Ruling::Undecided);
    }

    #[test]
    fn three_validators_decide_by_two() {
        assert_eq!(ruling(0, 1, 3, false), Ruling::More(1), "a lone accusation is not believed yet");
        assert_eq!(ruling(1, 1, 3, false), Ruling::More(1));
        assert_eq!(ruling(0, 2, 3, false), Ruling::Lie);
        assert_eq!(ruling(1, 2, 3, true), Ruling::Lie);
        assert_eq!(ruling(2, 1, 3, true), Ruling::AcceptAgainstLiars);
    }

    #[test]
    fn two_colluders_of_five_can_convict_nobody() {
        assert_eq!(ruling(0, 2, 5, false), Ruling::More(1));
        assert_eq!(ruling(1, 2, 5, false), Ruling::More(1));
        assert_eq!(ruling(2, 2, 5, false), Ruling::More(1));
        assert_eq!(ruling(3, 2, 5, true), Ruling::AcceptAgainstLiars);
    }

    #[test]
    fn without_a_quorum_the_majority_decides_on_the_group_and_nobody_pays() {
        assert_eq!(ruling(2, 1, 5, true), Ruling::Accept, "two of five are silent");
        assert_eq!(ruling(1, 2, 5, true), Ruling::Undecided);
        assert_eq!(ruling(1, 1, 2, true), Ruling::Undecided, "a tie");
        assert_eq!(ruling(0, 1, 2, true), Ruling::Undecided, "the other one cannot check");
    }

    #[test]
    fn verdicts_of_fined_validators_do_not_count_but_must_be_outnumbered() {
        let votes = |valid, invalid, struck| Votes { valid, invalid, narrow: 0, struck };
        let ruling = |valid, struck, nobody_left| votes(valid, 0, struck).ruling(3, nobody_left);
        assert_eq!(ruling(1, 1, false), Ruling::More(1));
        assert_eq!(ruling(1, 1, true), Ruling::Undecided);
        assert_eq!(ruling(2, 1, true), Ruling::Accept);
        // A quorum of two against one accuser and one who was fined.
        let votes = votes(2, 1, 1);
        assert_eq!(votes.ruling(3, false), Ruling::More(1));
        assert_eq!(votes.ruling(3, true), Ruling::Undecided);
        assert_eq!(Votes { valid: 3, ..votes }.ruling(3, false), Ruling::AcceptAgainstLiars);
    }

    #[test]
    fn narrow_accusations_drop_a_group_and_make_nobody_pay() {
        let ruling = |valid, invalid, narrow, unfined, nobody_left| {
            Votes { valid, invalid, narrow, struck: 0 }.ruling(unfined, nobody_left)
        };
        assert_eq!(ruling(0, 0, 1, 1, true), Ruling::TooNarrow);
        assert_eq!(ruling(0, 0, 1, 3, false), Ruling::More(1));
        assert_eq!(ruling(0, 0, 2, 3, false), Ruling::TooNarrow, "a third can only make it a doubt");
        assert_eq!(ruling(1, 0, 2, 3, true), Ruling::TooNarrow, "whoever called it valid does not pay");
        assert_eq!(ruling(2, 0, 1, 3, true), Ruling::Accept, "whoever doubted does not pay");
        assert_eq!(ruling(1, 0, 1, 2, true), Ruling::Undecided);
        // Somebody who shields a liar with doubts is outvoted by the rest of the jury.
        assert_eq!(ruling(0, 1, 1, 3, false), Ruling::More(1));
        assert_eq!(ruling(0, 2, 1, 3, true), Ruling::Lie);
        assert_eq!(ruling(0, 1, 1, 3, true), Ruling::TooNarrow, "the third is silent");
    }

    #[test]
    fn large_juries_are_bounded() {
        assert_eq!(ruling(0, 1, 1000, false), Ruling::More(7));
        assert_eq!(ruling(0, 8, 1000, false), Ruling::Lie);
        // Doubts take no further seats either, whatever the mixture.
        for votes in (0..=15).flat_map(|valid| (0..=15 - valid).map(move |fault| (valid, fault))) {
            for narrow in 0..=votes.1 {
                let votes = Votes { valid: votes.0, invalid: votes.1 - narrow, narrow, struck: 0 };
                let more = match votes.ruling(1000, false) {
                    Ruling::More(more) => more as usize,
                    _ => 0,
                };
                assert!(votes.valid + votes.invalid + narrow + more <= JURY_MAX, "{votes:?}, {more}");
                assert!(votes.ruling(1000, false) != Ruling::More(0), "{votes:?} for ever");
            }
        }
        // Every way to eight of fifteen: as many more as the stronger side lacks never pass fifteen.
        for (valid, invalid) in (0..8).flat_map(|valid| (1..8).map(move |invalid| (valid, invalid))) {
            let Ruling::More(more) = ruling(valid, invalid, 1000, false) else { panic!("{valid}, {invalid}") };
            assert!(valid + invalid + more as usize <= JURY_MAX, "{valid}, {invalid}, {more}");
        }
    }

    #[test]
    fn charge_is_what_most_found() {
        let seat = |validator, check| Seat { validator, state: SeatState::Voted(check) };
        let seats = vec![
            seat(4, Some(Check::Reward)),
            seat(1, None),
            seat(2, Some(Check::Fingerprint)),
            seat(0, Some(Check::Fingerprint)),
        ];
        let group = GroupSummary { lease: 0, root: [0; 32], rollouts: Vec::new() };
        let (leased_at, drawn) = (BeaconPoint::NONE, Some(BeaconPoint::NONE));
        let mut panel = Panel { worker: 0, group, leased_at, drawn, wanted: 4, seats };
        assert_eq!(panel.charge(), Some(Check::Fingerprint));
        assert_eq!((panel.who_said_valid(), panel.who_said_invalid()), (vec![1], vec![4, 2, 0]));
        assert_eq!(panel.votes(), Votes { valid: 1, invalid: 3, narrow: 0, struck: 0 });
        assert!(panel.expel(0) && !panel.expel(0), "a vote is lost once");
        assert_eq!(panel.votes(), Votes { valid: 1, invalid: 2, narrow: 0, struck: 1 });
        assert_eq!(panel.charge(), Some(Check::Reward), "now a tie, and it was named first");
    }
}
