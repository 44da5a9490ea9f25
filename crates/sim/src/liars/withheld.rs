//! Takes leases and never answers.

use protocol::Check;

use super::cheat::{Card, Role};
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "withheld",
    role: Role::Worker,
    describe: "takes leases and never answers, so that others wait; suspended, not fined, for a broken cable looks the \
               same",
    expected: &[Check::Withheld],
};

pub(super) struct Withheld;

impl Lie for Withheld {
    fn send(&mut self, _bytes: Vec<u8>) -> Option<Vec<u8>> {
        None
    }
}
