//! The contracts' interfaces, made from the compiled artifacts at build time.
//!
//! Promise: a call, an event or an error here is the one of the committed bytecode.

#![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated from the artifacts")]

use alloy_sol_types::SolInterface;

macro_rules! artifact {
    ($module:ident, $name:ident, $path:literal) => {
        mod $module {
            alloy_sol_types::sol!(
                #[sol(all_derives)]
                $name,
                $path
            );
        }
        pub use $module::$name;
    };
}

artifact!(token, EssaimToken, "../../contracts/artifacts/EssaimToken.json");
artifact!(vault, StakeVault, "../../contracts/artifacts/StakeVault.json");
artifact!(rewards, EpochRewards, "../../contracts/artifacts/EpochRewards.json");
artifact!(court, DisputeCourt, "../../contracts/artifacts/DisputeCourt.json");
artifact!(registry, NodeRegistry, "../../contracts/artifacts/NodeRegistry.json");
artifact!(treasury, Treasury, "../../contracts/artifacts/Treasury.json");
artifact!(emission, EmissionSchedule, "../../contracts/artifacts/EmissionSchedule.json");
artifact!(timelock, EssaimTimelock, "../../contracts/artifacts/EssaimTimelock.json");

pub use court::{Committee, IDisputeCourt};

/// Name and fields of an error of one of our contracts, as in `TooEarly { readyAt: 12 }`.
pub(crate) fn error_name(data: &[u8]) -> Option<String> {
    fn named<E: SolInterface + std::fmt::Debug>(data: &[u8]) -> Option<String> {
        // `Debug` shows the set's variant around the error itself: `TooEarly(TooEarly { readyAt: 12 })`.
        let shown = format!("{:?}", E::abi_decode(data).ok()?);
        let inner = shown.split_once('(').and_then(|(_, inner)| inner.strip_suffix(')'));
        Some(inner.unwrap_or(&shown).to_owned())
    }
    named::<StakeVault::StakeVaultErrors>(data)
        .or_else(|| named::<DisputeCourt::DisputeCourtErrors>(data))
        .or_else(|| named::<EpochRewards::EpochRewardsErrors>(data))
        .or_else(|| named::<EssaimToken::EssaimTokenErrors>(data))
        .or_else(|| named::<NodeRegistry::NodeRegistryErrors>(data))
        .or_else(|| named::<EmissionSchedule::EmissionScheduleErrors>(data))
        .or_else(|| named::<Treasury::TreasuryErrors>(data))
        .or_else(|| named::<EssaimTimelock::EssaimTimelockErrors>(data))
}
