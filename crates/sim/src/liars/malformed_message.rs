//! Sends bytes that are no message.

use protocol::Check;

use super::cheat::{Card, Role};
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "malformed_message",
    role: Role::Worker,
    describe: "sends the first half of its submission, to see whether a parser falls over",
    expected: &[Check::Malformed],
};

pub(super) struct MalformedMessage;

impl Lie for MalformedMessage {
    fn send(&mut self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        bytes.truncate(bytes.len() / 2);
        Some(bytes)
    }
}
