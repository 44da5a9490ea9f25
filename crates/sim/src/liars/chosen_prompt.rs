//! Answers a prompt of its own choosing.

use protocol::Check;
use verify::{VerifyError, Work};

use super::cheat::{Card, Role};
use super::tools::Tools;
use super::worker::Lie;

pub(super) static CARD: Card = Card {
    name: "chosen_prompt",
    role: Role::Worker,
    describe: "answers the shortest of a few prompts instead of the one that was leased, truthfully in all else",
    expected: &[Check::Prompt],
};

/// Items that it chooses from.
const CHOICE: u64 = 8;

pub(super) struct ChosenPrompt;

impl Lie for ChosenPrompt {
    fn plan(&mut self, tools: &Tools, mut work: Work) -> Result<Work, VerifyError> {
        let task = work.lease.body.task;
        for item in 0..CHOICE {
            let Ok(prompt) = tools.prompts.prompt(task, item) else { continue };
            let is_other = prompt != work.prompt;
            if is_other && prompt.len() <= work.prompt.len() {
                work.prompt = prompt;
            }
        }
        Ok(work)
    }
}
