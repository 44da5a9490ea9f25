//! Events of our contracts, decoded.

use alloy_sol_types::SolEventInterface;

use super::Contracts;
use crate::bindings::DisputeCourt::DisputeCourtEvents;
use crate::bindings::EmissionSchedule::EmissionScheduleEvents;
use crate::bindings::EpochRewards::EpochRewardsEvents;
use crate::bindings::EssaimTimelock::EssaimTimelockEvents;
use crate::bindings::EssaimToken::EssaimTokenEvents;
use crate::bindings::NodeRegistry::NodeRegistryEvents;
use crate::bindings::StakeVault::StakeVaultEvents;
use crate::bindings::Treasury::TreasuryEvents;
use crate::{ChainError, Log};

/// An event of one of our contracts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each holds the events of the contract whose name it has")]
pub enum Event {
    Token(EssaimTokenEvents),
    Registry(NodeRegistryEvents),
    Vault(StakeVaultEvents),
    Rewards(EpochRewardsEvents),
    Court(DisputeCourtEvents),
    Treasury(TreasuryEvents),
    Emission(EmissionScheduleEvents),
    Timelock(EssaimTimelockEvents),
}

impl Contracts {
    /// What an event says; none if another contract wrote it.
    ///
    /// Errors: `Decode` if one of ours wrote it and it does not fit the interface.
    pub fn event(&self, log: &Log) -> Result<Option<Event>, ChainError> {
        let at = &self.addresses;
        let event = match log.address {
            address if address == at.token => Event::Token(decode("a token's event", log)?),
            address if address == at.registry => Event::Registry(decode("a registry's event", log)?),
            address if address == at.vault => Event::Vault(decode("a vault's event", log)?),
            address if address == at.rewards => Event::Rewards(decode("a rewards contract's event", log)?),
            address if address == at.court => Event::Court(decode("a court's event", log)?),
            address if address == at.treasury => Event::Treasury(decode("a treasury's event", log)?),
            address if address == at.emission => Event::Emission(decode("an emission's event", log)?),
            address if address == at.timelock => Event::Timelock(decode("a timelock's event", log)?),
            _ => return Ok(None),
        };
        Ok(Some(event))
    }
}

fn decode<E: SolEventInterface>(what: &'static str, log: &Log) -> Result<E, ChainError> {
    E::decode_raw_log(&log.topics, &log.data).map_err(|cause| ChainError::Decode { what, cause: cause.to_string() })
}
