//! Putting our contracts on a chain, with nobody left who could misuse them.
//!
//! Promise: after it the timelock holds every administrative role, the deployer none, and no single key
//! two of slashing, minting and posting; that is asked of the chain, not assumed.
//! The whole plan is rehearsed in memory first, so that a plan that a contract refuses costs no gas.
//! A deployment that stopped half-way goes on where it stopped: contracts have the addresses that follow
//! from the deployer's nonces, so it can be seen which of them are there.

mod check;
mod plan;
mod roles;

use std::path::Path;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolConstructor;
use serde::{Deserialize, Serialize};

use crate::bindings::{
    DisputeCourt, EmissionSchedule, EpochRewards, EssaimTimelock, EssaimToken, IDisputeCourt, NodeRegistry, StakeVault,
    Treasury,
};
use crate::contracts::Addresses;
use crate::{Call, Chain, ChainError, Genesis, LocalChain, Submitted, Wallet, files};
use roles::{ADMIN, Role};

pub(crate) use check::bounty;
pub use plan::{DeployPlan, Parties, Windows};

/// Contracts of a deployment.
const CONTRACTS: u64 = 8;
/// Longest file of a deployment under way.
const FILE_BYTES_MAX: u64 = 4_096;

/// Where a deployment began: all that is needed to go on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beginning {
    chain_id: u64,
    deployer: Address,
    /// Nonce of the first contract.
    nonce: u64,
    /// No event is in an older block.
    block: u64,
    /// Hash of the plan.
    plan: B256,
}

/// Puts the contracts on a chain and hands all administration to the timelock.
///
/// Errors: `Reverted` with the reason of the contract that refuses the plan; `Inconsistent` if the roles
/// are not as planned afterwards.
pub fn deploy(chain: &mut dyn Chain, deployer: &Wallet, plan: &DeployPlan) -> Result<Addresses, ChainError> {
    rehearse(chain, deployer, plan)?;
    let beginning = Beginning::now(chain, deployer, plan)?;
    put_up(chain, deployer, plan, &beginning)
}

/// As [`deploy`], and goes on with a deployment that stopped. `path` is a file of its own, in which it is said
/// where the deployment began.
///
/// The file stays when the deployment is done: **the caller removes it once the addresses are saved**. Until
/// then a further call sends nothing and gives the same addresses, so a kill in between loses nothing.
///
/// Errors besides: `Inconsistent` if the file is of another plan, deployer or chain, or the deployer has sent
/// something else meanwhile.
pub fn deploy_resumable(
    chain: &mut dyn Chain,
    deployer: &Wallet,
    plan: &DeployPlan,
    path: &Path,
) -> Result<Addresses, ChainError> {
    chain.idle(deployer.address())?; // what a killed try may have left under way
    let now = Beginning::now(chain, deployer, plan)?;
    let beginning = if path.exists() {
        files::load(path, FILE_BYTES_MAX)?
    } else {
        rehearse(chain, deployer, plan)?;
        files::save(path, &now, FILE_BYTES_MAX)?;
        now
    };
    let same = (beginning.chain_id, beginning.deployer, beginning.plan) == (now.chain_id, now.deployer, now.plan);
    if !same {
        return Err(inconsistent(format!("{} is of another plan, deployer or chain", path.display())));
    }
    put_up(chain, deployer, plan, &beginning)
}

impl Beginning {
    fn now(chain: &dyn Chain, deployer: &Wallet, plan: &DeployPlan) -> Result<Self, ChainError> {
        let text = serde_json::to_vec(plan).expect("a plan is JSON");
        Ok(Self {
            chain_id: chain.chain_id(),
            deployer: deployer.address(),
            nonce: chain.nonce(deployer.address())?,
            block: chain.head()?.number.saturating_add(1),
            plan: keccak256(text),
        })
    }

    /// Where the contracts will be, in the order of [`creations`].
    fn addresses(&self) -> Addresses {
        let [timelock, treasury, token, vault, rewards, court, emission, registry] =
            std::array::from_fn(|index| self.deployer.create(self.nonce.saturating_add(index as u64)));
        let (chain_id, block) = (self.chain_id, self.block);
        Addresses { chain_id, block, token, registry, vault, rewards, court, treasury, emission, timelock }
    }
}

fn rehearse(chain: &dyn Chain, deployer: &Wallet, plan: &DeployPlan) -> Result<(), ChainError> {
    let time_s = chain.head()?.time_s;
    let mut memory = LocalChain::in_memory(Genesis { chain_id: chain.chain_id(), time_s });
    let beginning = Beginning::now(&memory, deployer, plan)?;
    put_up(&mut memory, deployer, plan, &beginning).map(drop)
}

fn put_up(
    chain: &mut dyn Chain,
    deployer: &Wallet,
    plan: &DeployPlan,
    beginning: &Beginning,
) -> Result<Addresses, ChainError> {
    check::sound(deployer.address(), plan)?;
    let addresses = beginning.addresses();
    create_all(chain, deployer, plan, beginning, &addresses)?;
    hand_over(chain, deployer, plan, &addresses)?;
    check::as_planned(chain, plan, &addresses)?;
    Ok(addresses)
}

/// Makes the contracts that are not there yet.
fn create_all(
    chain: &mut dyn Chain,
    deployer: &Wallet,
    plan: &DeployPlan,
    beginning: &Beginning,
    at: &Addresses,
) -> Result<(), ChainError> {
    for (index, (address, code)) in (0..).zip(creations(plan, at, deployer.address())) {
        if chain.has_code(address)? {
            continue;
        }
        let (wanted, given) = (beginning.nonce.saturating_add(index), chain.nonce(deployer.address())?);
        if given != wanted {
            let what = "the deployer has sent something else meanwhile";
            return Err(inconsistent(format!("{what}: its nonce is {given}, not {wanted}; begin a new deployment")));
        }
        let receipt = chain.send(deployer, Call::create(code))?;
        if receipt.contract != Some(address) {
            return Err(inconsistent(format!("a contract is at {:?}, not at {address}", receipt.contract)));
        }
    }
    Ok(())
}

/// Every contract with the code that makes it; each names only those before it, and itself nobody.
fn creations(plan: &DeployPlan, at: &Addresses, admin: Address) -> [(Address, Vec<u8>); CONTRACTS as usize] {
    let (parties, windows) = (&plan.parties, &plan.windows);
    let (token, rewards, treasury, timelock) = (at.token, at.rewards, at.treasury, at.timelock);
    let timelock_arguments = EssaimTimelock::constructorCall {
        minDelay: U256::from(windows.timelock_s),
        proposers: parties.council.clone(),
        executors: vec![Address::ZERO],
        guardian: parties.guardian,
    };
    let rewards_arguments = EpochRewards::constructorCall {
        token_: token,
        disputeWindow_: windows.dispute_s,
        holdWindow_: windows.hold_s,
        admin,
    };
    let emission_arguments = EmissionSchedule::constructorCall {
        token_: token,
        rewards_: rewards,
        first_: plan.budget_first.into(),
        halvingEpochs_: plan.halving_epochs,
        interval_: windows.epoch_s,
    };
    let parts = IDisputeCourt::Parts { token, vault: at.vault, rewards, treasury, admin };
    [
        (timelock, code(&EssaimTimelock::BYTECODE, timelock_arguments)),
        (treasury, code(&Treasury::BYTECODE, Treasury::constructorCall { timelock })),
        (token, code(&EssaimToken::BYTECODE, token_arguments(plan, admin))),
        (at.vault, code(&StakeVault::BYTECODE, vault_arguments(plan, at, admin))),
        (rewards, code(&EpochRewards::BYTECODE, rewards_arguments)),
        (at.court, code(&DisputeCourt::BYTECODE, court_arguments(plan, parts))),
        (at.emission, code(&EmissionSchedule::BYTECODE, emission_arguments)),
        (at.registry, NodeRegistry::BYTECODE.to_vec()),
    ]
}

fn code(code: &[u8], arguments: impl SolConstructor) -> Vec<u8> {
    [code, &arguments.abi_encode()].concat()
}

fn token_arguments(plan: &DeployPlan, admin: Address) -> EssaimToken::constructorCall {
    EssaimToken::constructorCall {
        cap_: U256::from(plan.cap),
        genesisHolder: plan.parties.genesis_holder,
        genesis: U256::from(plan.genesis),
        admin,
    }
}

fn vault_arguments(plan: &DeployPlan, at: &Addresses, admin: Address) -> StakeVault::constructorCall {
    let windows = &plan.windows;
    StakeVault::constructorCall {
        token_: at.token,
        treasury_: at.treasury,
        windows: StakeVault::Windows {
            cooldown: windows.cooldown_s,
            detection: windows.detection_s,
            slash: windows.slash_s,
        },
        bountyPpm_: plan.bounty_ppm,
        admin,
    }
}

fn court_arguments(plan: &DeployPlan, parts: IDisputeCourt::Parts) -> DisputeCourt::constructorCall {
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

/// Grants every role that is missing, then gives up what the deployer still has of its own.
fn hand_over(chain: &mut dyn Chain, deployer: &Wallet, plan: &DeployPlan, at: &Addresses) -> Result<(), ChainError> {
    let own = roles::administered(at).map(|contract| Role { contract, name: ADMIN, holder: deployer.address() });
    send_all(chain, deployer, &roles::granted(plan, at), false, Role::grant)?;
    send_all(chain, deployer, &own, true, Role::renounce)
}

/// Sends a call for each role that is held, or is not held, and waits for all.
fn send_all(
    chain: &mut dyn Chain,
    deployer: &Wallet,
    roles: &[Role],
    held: bool,
    call: fn(&Role) -> Call,
) -> Result<(), ChainError> {
    let mut sent: Vec<Submitted> = Vec::new();
    for role in roles {
        if role.held(chain)? == held {
            sent.push(chain.submit(deployer, call(role))?);
        }
    }
    sent.iter().try_for_each(|submitted| chain.wait(submitted).map(drop))
}

fn inconsistent(cause: String) -> ChainError {
    ChainError::Inconsistent { what: "deploying", cause }
}
