//! Whether a deployment is what was planned: asked of the plan before, and of the chain afterwards.
//!
//! The list is that of `contracts/WIRING.md`.

use alloy_primitives::{Address, U256};

use super::roles::{self, Holders};
use super::{DeployPlan, inconsistent};
use crate::bindings::{
    DisputeCourt, EmissionSchedule, EpochRewards, EssaimTimelock, EssaimToken, NodeRegistry, StakeVault, Treasury,
};
use crate::contracts::{Addresses, ask};
use crate::{Chain, ChainError};

/// What no contract can refuse, because none sees all of it.
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
    Ok(())
}

/// Roles, links, committee and code, as the chain tells them.
pub(super) fn as_planned(chain: &dyn Chain, plan: &DeployPlan, at: &Addresses) -> Result<(), ChainError> {
    at.check(chain)?;
    code(chain, at)?;
    links(chain, at)?;
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

/// The code is the artifact's. What a constructor fills in is zero in the artifact and is not compared.
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
        let code = chain.code(address)?;
        let same = code.len() == artifact.len();
        if !same || artifact.iter().zip(&code).any(|(wanted, given)| *wanted != 0 && wanted != given) {
            return Err(inconsistent(format!("the code at {address} is not that of the artifact")));
        }
    }
    Ok(())
}
