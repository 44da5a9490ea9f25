//! The orchestrator's letters: what it asks of others is sent again until it is answered.
//!
//! Promise: nothing that somebody waits for is given up; what nobody waits for is sent a bounded number
//! of times.

use protocol::{LeaseId, Party, StepNumber, ValidatorId, WorkerId};

use super::Simulation;
use crate::network::Node;
use crate::packet::Packet;

/// After this, an unanswered letter is sent again.
const AGAIN_MS: u64 = 1_500;
/// Times that a letter is sent for which nobody waits.
const UNHURRIED_TIMES_MAX: u32 = 8;

/// What a letter is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Errand {
    Lease(LeaseId),
    Check(LeaseId, ValidatorId),
    /// The newest plant that a worker is to sign.
    Countersign(WorkerId),
    Plant(ValidatorId),
    Train(StepNumber),
    Replay(StepNumber, ValidatorId),
}

/// Something that is sent again until it is answered.
pub(super) struct Letter {
    pub(super) to: Node,
    packets: Vec<Packet>,
    due_ms: u64,
    times: u32,
    /// Answered for now: it is kept for the next part of the errand.
    pub(super) rests: bool,
}

impl Simulation {
    pub(super) fn post(&mut self, errand: Errand, to: Node, packet: Packet) {
        let due_ms = self.network.now_ms + AGAIN_MS;
        let letter = Letter { to, packets: vec![packet.clone()], due_ms, times: 1, rests: false };
        self.office.letters.insert(errand, letter);
        self.send(Node::Orchestrator, to, packet);
    }

    /// Sends the next part of an errand; if that is lost, both parts are sent again.
    pub(super) fn continue_errand(&mut self, errand: Errand, packet: Packet) {
        let Some(letter) = self.office.letters.get_mut(&errand) else { return };
        letter.packets.truncate(1);
        letter.packets.push(packet.clone());
        (letter.rests, letter.due_ms) = (false, self.network.now_ms + AGAIN_MS);
        let to = letter.to;
        self.send(Node::Orchestrator, to, packet);
    }

    pub(super) fn post_replay(&mut self, step: StepNumber, validator: ValidatorId, packet: Packet) {
        self.post(Errand::Replay(step, validator), Node::Validator(validator), packet);
    }

    /// Somebody was fined: nothing more is sent there, no answer is read, and an accusation counts no more.
    pub(super) fn dismiss(&mut self, party: Party) {
        match party {
            Party::Worker(id) => self.office.desk.ban(id),
            Party::Validator(id) => self.office.desk.strike(id),
            Party::Trainer | Party::Treasury => {}
        }
        let node = Node::of(party);
        self.office.letters.retain(|_, letter| letter.to != node);
    }

    pub(super) fn send_again(&mut self) {
        let now = self.network.now_ms;
        let unhurried =
            |errand: &Errand| matches!(errand, Errand::Countersign(_) | Errand::Plant(_) | Errand::Replay(..));
        let letters = &mut self.office.letters;
        letters.retain(|errand, letter| !(unhurried(errand) && letter.times >= UNHURRIED_TIMES_MAX));
        let mut due = Vec::new();
        for letter in letters.values_mut().filter(|letter| !letter.rests && letter.due_ms <= now) {
            (letter.due_ms, letter.times) = (now + AGAIN_MS, letter.times + 1);
            due.extend(letter.packets.iter().map(|packet| (letter.to, packet.clone())));
        }
        for (to, packet) in due {
            self.send(Node::Orchestrator, to, packet);
        }
    }
}
