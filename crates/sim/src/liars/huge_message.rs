//! Sends more bytes than any record may have.

use protocol::Check;
use protocol::constants::{BYTES_PER_NOTE_MAX, BYTES_PER_RECORD_MAX};

use super::cheat::{Card, Role};
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "huge_message",
    role: Role::Worker,
    describe: "sends its submission with so many bytes after it that the message is above the size limit, to fill \
               the receiver's memory",
    expected: &[Check::Limits, Check::Malformed],
};

pub(super) struct HugeMessage;

impl Lie for HugeMessage {
    fn send(&mut self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        bytes.resize(BYTES_PER_RECORD_MAX + BYTES_PER_NOTE_MAX + 1, 0);
        Some(bytes)
    }
}
