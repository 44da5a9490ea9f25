//! Goes on after the stop token and beyond the limit.

use protocol::Check;
use verify::{VerifyError, Work};

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "over_long",
    role: Role::Worker,
    describe: "ignores stop tokens and writes up to twice the agreed length, to be paid for more tokens",
    expected: &[Check::Limits, Check::Finish],
};

pub(super) struct OverLong;

impl Lie for OverLong {
    fn plan(&mut self, _tools: &Tools, mut work: Work) -> Result<Work, VerifyError> {
        work.sampling.stop_tokens.clear();
        work.sampling.max_new_tokens *= 2;
        Ok(work)
    }
}
