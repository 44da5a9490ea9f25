//! Whether a deployment is what was planned: asked of the plan before, and of the chain afterwards.
//!
//! The list is that of `contracts/WIRING.md`.

use alloy_primitives::{Address, U256};

use super::roles::{self, Holders};
use super::{DeployPlan, inconsistent};
use crate::bindings::{
    DisputeCourt, EmissionSchedule, EpochRewards, EssaimTimelock, EssaimToken, NodeRegistry, StakeVault, Treasury,
};
use crate::contracts::{Addresses, Contracts, ask};
use crate::{Chain, ChainError};

/// What no contract can refuse, because none sees all of it, or none knows what stakes are reckoned with.
pub(super) fn sound(deployer: Address, plan: &DeployPlan) -> Result<(), ChainError> {
    let (parties, windows) = (&plan.parties, &plan.windows);
    let mut keys = [&parties.council[..], &parties.committee, &[parties.guardian, parties.poster]].concat();
    keys.sort();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(inconsistent(format!("{} has two parts among council, committee, guardian and poster", pair[0])));
    }
    if keys.contains(&deployer) {
        return Err(inconsistent(format!("the deployer {deployer} shall have no part in it afterwards")));
    }
    if windows.timelock_s >= windows.appeal_ruling_s {
        let (delay, ruling) = (windows.timelock_s, windows.appeal_ruling_s);
        return Err(inconsistent(format!("an appeal ends after {ruling} s, before the timelock's {delay} s")));
    }
    if windows.root_ruling_s > windows.hold_s {
        let (ruling, hold) = (windows.root_ruling_s, windows.hold_s);
        return Err(inconsistent(format!("a root can be held {hold} s, and its ruling takes {ruling} s")));
    }
    bounty(plan.bounty_ppm)
}

/// Whether a slash costs enough even if a friend of the slashed gets the bounty. Errors: `BountyTooHigh`.
pub(crate) fn bounty(given: u32) -> Result<(), ChainError> {
    let limit = ledger::BOUNTY_PPM;
    if given > limit {
        return Err(ChainError::BountyTooHigh { limit, given });
    }
    Ok(())
}

/// Roles, links, committee and code, as the chain tells them.
pub(super) fn as_planned(chain: &dyn Chain, plan: &DeployPlan, at: &Addresses) -> Result<(), ChainError> {
    at.check(chain)?;
    code(chain, at)?;
    links(chain, at)?;
    Contracts { addresses: *at }.check_bounty(chain)?;
    same_holders(&roles::planned(plan, at), &roles::told(chain, at)?)?;
    let (committee, threshold) =
        (ask(chain, at.court, DisputeCourt::committeeCall {})?, ask(chain, at.court, DisputeCourt::thresholdCall {})?);
    let size = ask(chain, at.court, DisputeCourt::committeeSizeCall {})?;
    if (committee, threshold, usize::from(size)) != (1, plan.parties.threshold, plan.parties.committee.len()) {
        return Err(inconsistent(format!("committee {committee} has {size} members, of which {threshold} must sign")));
    }
    Ok(())
}

fn same_holders(planned: &Holders, told: &Holders) -> Result<(), ChainError> {
    for (contract, role) in planned.keys().chain(told.keys()) {
        let (wanted, given) = (planned.get(&(*contract, *role)), told.get(&(*contract, *role)));
        if wanted != given {
            return Err(inconsistent(format!("role {role} of {contract} is held by {given:?}, not by {wanted:?}")));
        }
    }
    Ok(())
}

/// The contracts name each other.
fn links(chain: &dyn Chain, at: &Addresses) -> Result<(), ChainError> {
    let links = [
        ("the court's vault", ask(chain, at.court, DisputeCourt::vaultCall {})?, at.vault),
        ("the court's rewards", ask(chain, at.court, DisputeCourt::rewardsCall {})?, at.rewards),
        ("the court's token", ask(chain, at.court, DisputeCourt::tokenCall {})?, at.token),
        ("the court's treasury", ask(chain, at.court, DisputeCourt::treasuryCall {})?, at.treasury),
        ("the vault's token", ask(chain, at.vault, StakeVault::tokenCall {})?, at.token),
        ("the vault's treasury", ask(chain, at.vault, StakeVault::treasuryCall {})?, at.treasury),
        ("the rewards' token", ask(chain, at.rewards, EpochRewards::tokenCall {})?, at.token),
        ("the schedule's token", ask(chain, at.emission, EmissionSchedule::tokenCall {})?, at.token),
        ("the schedule's rewards", ask(chain, at.emission, EmissionSchedule::rewardsCall {})?, at.rewards),
        ("the treasury's owner", ask(chain, at.treasury, Treasury::ownerCall {})?, at.timelock),
    ];
    for (what, given, wanted) in links {
        if given != wanted {
            return Err(inconsistent(format!("{what} is {given}, not {wanted}")));
        }
    }
    let delay: U256 = ask(chain, at.timelock, EssaimTimelock::getMinDelayCall {})?;
    let ruling = ask(chain, at.court, DisputeCourt::appealRulingWindowCall {})?;
    if delay >= U256::from(ruling) {
        return Err(inconsistent(format!("an appeal ends after {ruling} s, before the timelock's {delay} s")));
    }
    Ok(())
}

/// The code is the artifact's, but for what constructors fill in.
fn code(chain: &dyn Chain, at: &Addresses) -> Result<(), ChainError> {
    let artifacts = [
        (at.token, &EssaimToken::DEPLOYED_BYTECODE),
        (at.registry, &NodeRegistry::DEPLOYED_BYTECODE),
        (at.vault, &StakeVault::DEPLOYED_BYTECODE),
        (at.rewards, &EpochRewards::DEPLOYED_BYTECODE),
        (at.court, &DisputeCourt::DEPLOYED_BYTECODE),
        (at.treasury, &Treasury::DEPLOYED_BYTECODE),
        (at.emission, &EmissionSchedule::DEPLOYED_BYTECODE),
        (at.timelock, &EssaimTimelock::DEPLOYED_BYTECODE),
    ];
    for (address, artifact) in artifacts {
        if !same_code(artifact, &chain.code(address)?) {
            return Err(inconsistent(format!("the code at {address} is not that of the artifact")));
        }
    }
    Ok(())
}

/// Whether two codes are the same but for the values that a constructor fills in (Solidity's immutables).
///
/// In the artifact each of them is a `PUSH32` of 32 zeros, which the compiler writes for nothing else: it has
/// shorter ways to zero. Every other byte must be the same, zeros included.
fn same_code(artifact: &[u8], given: &[u8]) -> bool {
    const PUSH32: u8 = 0x7f;
    let mut at = 0;
    while at < artifact.len() {
        let is_filled_in = artifact[at] == PUSH32 && artifact.get(at + 1..at + 33) == Some(&[0; 32][..]);
        if artifact.get(at) != given.get(at) {
            return false;
        }
        at += if is_filled_in { 33 } else { 1 };
    }
    artifact.len() == given.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_constructor_fills_in_may_differ() {
        // PUSH32 (an immutable), PUSH1 0, STOP.
        let artifact = [&[0x7f][..], &[0; 32], &[0x60, 0x00, 0x00]].concat();
        let changed = |at: usize| {
            let mut code = artifact.clone();
            code[at] = 9;
            code
        };
        for at in 1..=32 {
            assert!(same_code(&artifact, &changed(at)), "byte {at} is filled in");
        }
        for at in [0, 33, 34, 35] {
            assert!(!same_code(&artifact, &changed(at)), "byte {at}");
        }
        assert!(!same_code(&artifact, &artifact[..35]));
        assert!(!same_code(&artifact, &[&artifact[..], &[0]].concat()));
    }

    #[test]
    fn a_zero_of_the_vaults_code_that_no_constructor_fills_in_is_compared() {
        let artifact = &StakeVault::DEPLOYED_BYTECODE[..];
        assert!(same_code(artifact, artifact));
        // PUSH1 0x40 MSTORE ... a function's dispatch holds single zeros: take one that stands alone.
        let lone = artifact.windows(3).position(|bytes| bytes[1] == 0 && bytes[0] != 0 && bytes[2] != 0).unwrap() + 1;
        let mut changed = artifact.to_vec();
        changed[lone] = 1;
        assert!(!same_code(artifact, &changed));
    }
}
