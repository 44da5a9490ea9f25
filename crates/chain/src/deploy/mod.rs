//! Putting our contracts on a chain, with nobody left who could misuse them.
//!
//! Promise: after it the timelock holds every administrative role, the deployer none, and no single key
//! two of slashing, minting and posting; that is asked of the chain, not assumed.
//! The whole plan is rehearsed in memory first, so that a plan that a contract refuses costs no gas. A
//! deployment that was killed half-way left contracts that nobody names; deploy again.

mod check;
mod plan;
mod roles;

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolConstructor;

use crate::bindings::{
    DisputeCourt, EmissionSchedule, EpochRewards, EssaimTimelock, EssaimToken, IDisputeCourt, NodeRegistry, StakeVault,
    Treasury,
};
use crate::contracts::Addresses;
use crate::{Call, Chain, ChainError, Genesis, LocalChain, Submitted, Wallet};
use roles::{ADMIN, Role};

pub use plan::{DeployPlan, Parties, Windows};

/// Puts the contracts on a chain and hands all administration to the timelock.
///
/// Errors: `Reverted` with the reason of the contract that refuses the plan; `Inconsistent` if the roles
/// are not as planned afterwards.
pub fn deploy(chain: &mut dyn Chain, deployer: &Wallet, plan: &DeployPlan) -> Result<Addresses, ChainError> {
    let time_s = chain.head()?.time_s;
    let mut rehearsal = LocalChain::in_memory(Genesis { chain_id: chain.chain_id(), time_s });
    put_up(&mut rehearsal, deployer, plan)?;
    put_up(chain, deployer, plan)
}

fn put_up(chain: &mut dyn Chain, deployer: &Wallet, plan: &DeployPlan) -> Result<Addresses, ChainError> {
    check::sound(deployer.address(), plan)?;
    let addresses = create_all(chain, deployer, plan)?;
    hand_over(chain, deployer, plan, &addresses)?;
    check::as_planned(chain, plan, &addresses)?;
    Ok(addresses)
}

fn create_all(chain: &mut dyn Chain, deployer: &Wallet, plan: &DeployPlan) -> Result<Addresses, ChainError> {
    let (parties, windows, admin) = (&plan.parties, &plan.windows, deployer.address());
    let (timelock, block) = create(
        chain,
        deployer,
        &EssaimTimelock::BYTECODE,
        EssaimTimelock::constructorCall {
            minDelay: U256::from(windows.timelock_s),
            proposers: parties.council.clone(),
            executors: vec![Address::ZERO],
            guardian: parties.guardian,
        },
    )?;
    let (treasury, _) = create(chain, deployer, &Treasury::BYTECODE, Treasury::constructorCall { timelock })?;
    let (token, _) = create(
        chain,
        deployer,
        &EssaimToken::BYTECODE,
        EssaimToken::constructorCall {
            cap_: U256::from(plan.cap),
            genesisHolder: parties.genesis_holder,
            genesis: U256::from(plan.genesis),
            admin,
        },
    )?;
    let (vault, _) = create(
        chain,
        deployer,
        &StakeVault::BYTECODE,
        StakeVault::constructorCall {
            token_: token,
            treasury_: treasury,
            windows: StakeVault::Windows {
                cooldown: windows.cooldown_s,
                detection: windows.detection_s,
                slash: windows.slash_s,
            },
            bountyPpm_: plan.bounty_ppm,
            admin,
        },
    )?;
    let (rewards, _) = create(
        chain,
        deployer,
        &EpochRewards::BYTECODE,
        EpochRewards::constructorCall {
            token_: token,
            disputeWindow_: windows.dispute_s,
            holdWindow_: windows.hold_s,
            admin,
        },
    )?;
    let parts = IDisputeCourt::Parts { token, vault, rewards, treasury, admin };
    let (court, _) = create(chain, deployer, &DisputeCourt::BYTECODE, court(plan, parts))?;
    let (emission, _) = create(
        chain,
        deployer,
        &EmissionSchedule::BYTECODE,
        EmissionSchedule::constructorCall {
            token_: token,
            rewards_: rewards,
            first_: plan.budget_first.into(),
            halvingEpochs_: plan.halving_epochs,
            interval_: windows.epoch_s,
        },
    )?;
    let (registry, _) = create_bare(chain, deployer, &NodeRegistry::BYTECODE)?;
    let chain_id = chain.chain_id();
    Ok(Addresses { chain_id, block, token, registry, vault, rewards, court, treasury, emission, timelock })
}

fn court(plan: &DeployPlan, parts: IDisputeCourt::Parts) -> DisputeCourt::constructorCall {
    let windows = &plan.windows;
    let mut members = plan.parties.committee.clone();
    members.sort(); // the court wants them ascending, and refuses doubles itself
    DisputeCourt::constructorCall {
        parts,
        windows: IDisputeCourt::Windows {
            answer: windows.answer_s,
            ruling: windows.ruling_s,
            appeal: windows.appeal_s,
            appealRuling: windows.appeal_ruling_s,
            rootRuling: windows.root_ruling_s,
        },
        price: IDisputeCourt::Bonds {
            least: U256::from(plan.bond_least).to(),
            ppm: plan.bond_ppm,
            root: U256::from(plan.bond_root).to(),
        },
        members,
        needed: plan.parties.threshold,
    }
}

fn create(
    chain: &mut dyn Chain,
    deployer: &Wallet,
    code: &[u8],
    arguments: impl SolConstructor,
) -> Result<(Address, u64), ChainError> {
    create_bare(chain, deployer, &[code, &arguments.abi_encode()].concat())
}

fn create_bare(chain: &mut dyn Chain, deployer: &Wallet, code: &[u8]) -> Result<(Address, u64), ChainError> {
    let receipt = chain.send(deployer, Call::create(code.to_vec()))?;
    let address = receipt.contract.ok_or_else(|| inconsistent("a creation made no contract".into()))?;
    Ok((address, receipt.block))
}

/// Grants every role, then gives up the deployer's own.
fn hand_over(chain: &mut dyn Chain, deployer: &Wallet, plan: &DeployPlan, at: &Addresses) -> Result<(), ChainError> {
    let grants = roles::granted(plan, at).iter().map(Role::grant).collect::<Vec<_>>();
    let own = roles::administered(at).map(|contract| Role { contract, name: ADMIN, holder: deployer.address() });
    for calls in [grants, own.iter().map(Role::renounce).collect()] {
        let sent = calls.into_iter().map(|call| chain.submit(deployer, call)).collect::<Result<Vec<Submitted>, _>>()?;
        for submitted in &sent {
            chain.wait(submitted)?;
        }
    }
    Ok(())
}

fn inconsistent(cause: String) -> ChainError {
    ChainError::Inconsistent { what: "deploying", cause }
}
