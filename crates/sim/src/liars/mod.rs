//! One liar per file, and the list of them all.
//!
//! Promise: a liar departs from the protocol in one way, as cleverly as that way allows; everything else about it is
//! the honest actor's own code. It works wherever an honest actor does, in the simulator and in a real run.

mod best_of_n;
mod cheap_sampler;
mod cheat;
mod chosen_prompt;
mod colluding_validator;
mod copied_rollout;
mod early_stop;
mod edited_tokens;
mod fake_reward;
mod forged_logprobs;
mod huge_message;
mod int4_weights;
mod int8_weights;
mod lazy_validator;
mod malformed_message;
mod other_weights;
mod over_long;
mod poisoned_update;
mod replayed_rollout;
mod ring;
mod smaller_model;
mod snapshot;
mod stale_weights;
mod sybil_swarm;
#[cfg(test)]
mod tests;
mod tools;
mod validator;
mod verdict_copier;
mod withheld;
mod worker;
mod wrong_temperature;

use verify::{ValidatorActor, ValidatorSetup, WorkerActor, WorkerSetup};

pub use cheat::{Cheat, Role, UnknownCheat};
pub use poisoned_update::poisoned_step;
pub use ring::Ring;
pub use snapshot::{INT4_GROUP, disturbed, halved, int4, int8};

use worker::{Lie, LyingWorker};

/// A worker that lies; none if the cheat is not a worker's. `ring` is shared by all liars of a run.
pub fn worker(cheat: Cheat, setup: WorkerSetup, ring: &Ring) -> Option<Box<dyn WorkerActor>> {
    let id = setup.id;
    let actor = match cheat {
        Cheat::OtherWeights => lying(setup, other_weights::OtherWeights),
        Cheat::SmallerModel => lying(setup, smaller_model::SmallerModel),
        Cheat::Int8Weights => lying(setup, int8_weights::Int8Weights),
        Cheat::Int4Weights => lying(setup, int4_weights::Int4Weights),
        Cheat::StaleWeights => lying(setup, stale_weights::StaleWeights::default()),
        Cheat::ChosenPrompt => lying(setup, chosen_prompt::ChosenPrompt),
        Cheat::BestOfN => lying(setup, best_of_n::BestOfN),
        Cheat::WrongTemperature => lying(setup, wrong_temperature::WrongTemperature),
        Cheat::CheapSampler => lying(setup, cheap_sampler::CheapSampler),
        Cheat::EarlyStop => lying(setup, early_stop::EarlyStop),
        Cheat::OverLong => lying(setup, over_long::OverLong),
        Cheat::CopiedRollout => lying(setup, copied_rollout::CopiedRollout),
        Cheat::ReplayedRollout => lying(setup, replayed_rollout::ReplayedRollout::default()),
        Cheat::ForgedLogprobs => lying(setup, forged_logprobs::ForgedLogprobs),
        Cheat::FakeReward => lying(setup, fake_reward::FakeReward),
        Cheat::EditedTokens => lying(setup, edited_tokens::EditedTokens),
        Cheat::MalformedMessage => lying(setup, malformed_message::MalformedMessage),
        Cheat::HugeMessage => lying(setup, huge_message::HugeMessage),
        Cheat::Withheld => lying(setup, withheld::Withheld),
        Cheat::SybilSwarm => lying(setup, sybil_swarm::SybilSwarm { ring: ring.clone() }),
        Cheat::LazyValidator | Cheat::ColludingValidator | Cheat::VerdictCopier | Cheat::PoisonedUpdate => return None,
    };
    ring.join(id);
    Some(actor)
}

/// A validator that lies; none if the cheat is not a validator's. `ring` is shared by all liars of a run.
pub fn validator(cheat: Cheat, setup: ValidatorSetup, ring: &Ring) -> Option<Box<dyn ValidatorActor>> {
    match cheat {
        Cheat::LazyValidator => Some(Box::new(lazy_validator::LazyValidator::new(setup))),
        Cheat::ColludingValidator => Some(Box::new(colluding_validator::ColludingValidator::new(setup, ring.clone()))),
        Cheat::VerdictCopier => Some(Box::new(verdict_copier::VerdictCopier::new(setup, ring.clone()))),
        _ => None,
    }
}

fn lying(setup: WorkerSetup, lie: impl Lie + 'static) -> Box<dyn WorkerActor> {
    Box::new(LyingWorker::new(setup, lie))
}
