//! From a group that is back to a verdict: who checks it, when seals are opened, what follows.
//!
//! Promise: every group under check is decided once; who checks follows from randomness later than
//! the group's commitment; as long as liars are fewer than the other validators, no honest worker
//! or validator is fined.
//! Takes: draws, seals, verdicts, silences. Gives: orders to check and reveal, accepted groups, fines.
//! Never: reads a rollout.

use std::collections::BTreeSet;

use protocol::{BeaconPoint, Check, LeaseId, Party, ValidatorId};

use crate::machine::{Back, Rounds};
use crate::members::unfined;
use crate::panel::{Panel, Ruling, SeatState};
use crate::{Action, DropReason, GroupSummary, OutcomeKind, PlantId};

/// The place of the lot that chooses whom a plant is shown; no panel has so many seats.
const PLANT_PLACE: u32 = u32::MAX;

/// Groups whose panel may have to go on.
pub(crate) type Due = BTreeSet<LeaseId>;

impl Rounds {
    /// A group is back: its worker has answered, and the beacon shall say who checks it.
    pub(crate) fn open_panel(&mut self, group: &GroupSummary, actions: &mut Vec<Action>) {
        let lease = self.in_flight.remove(&group.lease).expect("admitted only while the lease is out");
        self.member_mut(Party::Worker(lease.worker)).answered();
        self.panels.insert(group.lease, Panel::new(&lease, group.clone()));
        actions.push(Action::Draw { lease: group.lease });
    }

    pub(crate) fn draw(&mut self, lease: LeaseId, beacon: BeaconPoint, actions: &mut Vec<Action>) {
        let second_ppm = self.config.second_check_ppm;
        let panel = self.panel_mut(lease);
        let root = panel.group.root;
        panel.drawn = Some(beacon);
        panel.wanted = 1 + u32::from(proof::draw::second_check(&beacon, &root, second_ppm));
        self.draw_plant(&beacon, root, actions);
    }

    /// Shows one validator a known-bad group now and then, at a time when it may get a real one. One
    /// that is still unanswered is forgotten.
    fn draw_plant(&mut self, beacon: &BeaconPoint, root: protocol::Hash, actions: &mut Vec<Action>) {
        let other = root.map(|byte| !byte); // a lot of its own, beside that of the second check
        if !proof::draw::second_check(beacon, &other, self.config.plant_ppm) {
            return;
        }
        let candidates: Vec<ValidatorId> = unfined(&self.validators).collect();
        let Some(validator) = proof::draw::validator(beacon, &root, &candidates, PLANT_PLACE) else { return };
        let plant = self.next_plant;
        self.next_plant += 1;
        self.plants.insert(validator, plant);
        actions.push(Action::Plant { plant, validator });
    }

    pub(crate) fn plant_answered(
        &mut self,
        validator: ValidatorId,
        caught: bool,
        due: &mut Due,
        actions: &mut Vec<Action>,
    ) {
        self.plants.remove(&validator);
        match caught {
            true => self.counters.plants_caught += 1,
            false => self.fine_validator(validator, None, Check::PlantMissed, due, actions),
        }
    }

    pub(crate) fn verdict(&mut self, lease: LeaseId, validator: ValidatorId, outcome: OutcomeKind) {
        self.member_mut(Party::Validator(validator)).answered();
        self.panel_mut(lease).settle_seat(validator, outcome.into());
        self.counters.verdicts += 1;
    }

    /// A validator that owes a verdict lied about it, or was only silent.
    pub(crate) fn verdict_failed(
        &mut self,
        lease: LeaseId,
        validator: ValidatorId,
        check: Option<Check>,
        due: &mut Due,
        actions: &mut Vec<Action>,
    ) {
        match check {
            Some(check) => self.fine_validator(validator, Some(lease), check, due, actions),
            None => {
                self.panel_mut(lease).settle_seat(validator, SeatState::Silent);
                self.note_silence(Party::Validator(validator), actions);
            }
        }
    }

    pub(crate) fn panel_mut(&mut self, lease: LeaseId) -> &mut Panel {
        self.panels.get_mut(&lease).expect("admitted only while the group is under check")
    }

    /// Lets panels go on until each waits for somebody or is decided. A fined validator's seats fall
    /// vacant, which sets further panels going.
    pub(crate) fn settle(&mut self, mut due: Due, actions: &mut Vec<Action>) {
        while let Some(lease) = due.pop_first() {
            self.settle_panel(lease, &mut due, actions);
        }
    }

    fn settle_panel(&mut self, lease: LeaseId, due: &mut Due, actions: &mut Vec<Action>) {
        loop {
            let nobody_left = self.ask(lease, actions);
            let Some(panel) = self.panels.get_mut(&lease) else { return };
            if panel.drawn.is_none() || panel.any(SeatState::Asked) {
                return;
            }
            let opening = panel.open_seals();
            actions.extend(opening.into_iter().map(|validator| Action::Reveal { lease, validator }));
            if panel.any(SeatState::Opening) {
                return;
            }
            let ruling = panel.votes().ruling(unfined(&self.validators).count(), nobody_left);
            match ruling {
                Ruling::More(count) => panel.wanted = panel.live() + count,
                _ => return self.close_panel(lease, ruling, due, actions),
            }
        }
    }

    /// Asks validators until enough sit on the panel. Says whether nobody is left to ask.
    fn ask(&mut self, lease: LeaseId, actions: &mut Vec<Action>) -> bool {
        loop {
            let Some(panel) = self.panels.get(&lease) else { return true };
            let candidates = self.candidates(panel);
            let beacon = panel.drawn.filter(|_| panel.live() < panel.wanted);
            let place = panel.seats.len() as u32; // ≤ validators · ASKS_MAX
            let draw = |beacon| proof::draw::validator(&beacon, &panel.group.root, &candidates, place);
            let Some(validator) = beacon.and_then(draw) else {
                return candidates.is_empty();
            };
            self.panel_mut(lease).seat(validator);
            actions.push(Action::Check { lease, validator });
        }
    }

    /// Who may be asked about a group: those not yet asked; if there are none, also those who rest;
    /// if there are none, those who were silent.
    fn candidates(&self, panel: &Panel) -> Vec<ValidatorId> {
        let fresh = |validator: &ValidatorId| panel.asks(*validator) == 0;
        let awake = |validator: &ValidatorId| !self.rests(Party::Validator(*validator));
        let all = || unfined(&self.validators);
        let mut chosen: Vec<ValidatorId> = all().filter(fresh).filter(awake).collect();
        if chosen.is_empty() {
            chosen = all().filter(fresh).collect();
        }
        if chosen.is_empty() {
            chosen = all().filter(|&validator| panel.may_ask_again(validator)).collect();
        }
        chosen
    }

    fn close_panel(&mut self, lease: LeaseId, ruling: Ruling, due: &mut Due, actions: &mut Vec<Action>) {
        let panel = &self.panels[&lease]; // settled only while the group is under check
        let (worker, charge) = (panel.worker, panel.charge());
        let liars = match ruling {
            Ruling::Lie => panel.who_said_valid(),
            Ruling::AcceptAgainstLiars => panel.who_said_invalid(),
            _ => Vec::new(),
        };
        match (ruling, charge) {
            (Ruling::Lie, Some(check)) => self.fine_worker(worker, Some(lease), check, actions), // and drop it
            (Ruling::Accept | Ruling::AcceptAgainstLiars, _) => self.leave_panel(lease, Ok(()), actions),
            (Ruling::TooNarrow, _) => {
                // Once is an accident. Whoever sits on the limit again and again comes to rest.
                self.note_silence(Party::Worker(worker), actions);
                self.leave_panel(lease, Err(DropReason::Unchecked), actions);
            }
            _ => self.leave_panel(lease, Err(DropReason::Unchecked), actions),
        }
        for validator in liars {
            self.fine_validator(validator, Some(lease), Check::VerdictDisagrees, due, actions);
        }
    }

    fn leave_panel(&mut self, lease: LeaseId, found: Result<(), DropReason>, actions: &mut Vec<Action>) {
        let panel = self.panels.remove(&lease).expect("settled only while the group is under check");
        let held = found.map(|()| panel.group);
        if held.is_ok() {
            actions.push(Action::Accepted { lease });
        }
        self.arrive(Back { lease, worker: panel.worker, held }, actions);
    }

    /// The plants that validators have not answered yet, with their numbers.
    pub fn plants(&self) -> impl ExactSizeIterator<Item = (ValidatorId, PlantId)> + '_ {
        self.plants.iter().map(|(&validator, &plant)| (validator, plant))
    }
}
