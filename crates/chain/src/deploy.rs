//! Putting our contracts on a chain, with nobody left who could misuse them.
//!
//! Promise: after it the timelock holds every administrative role, the deployer none, and no single key
//! two of slashing, minting and posting; that is asked of the chain, not assumed.
//! The whole plan is rehearsed in memory first, so that a plan that a contract refuses costs no gas. A
//! deployment that was killed half-way left contracts that nobody names; deploy again.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolConstructor};
use serde::{Deserialize, Serialize};

use crate::bindings::{
    DisputeCourt, EmissionSchedule, EpochRewards, EssaimTimelock, EssaimToken, IDisputeCourt, NodeRegistry, StakeVault,
    Treasury,
};
use crate::contracts::{Addresses, ask};
use crate::{Call, Chain, ChainError, Genesis, LocalChain, Submitted, Wallet, units::ONE_ESM};

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// How long each step may take, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Between scheduling an administrative act and carrying it out.
    pub timelock_s: u64,
    /// Between asking to leave and withdrawing; above `detection_s + slash_s`.
    pub cooldown_s: u64,
    /// In which a lie is found.
    pub detection_s: u64,
    /// Between reserving stake and taking it.
    pub slash_s: u64,
    /// In which a posted root can be challenged.
    pub dispute_s: u64,
    /// Longest time by which challenges can put off a root.
    pub hold_s: u64,
    /// For the accused to answer.
    pub answer_s: u64,
    /// For the committee to rule.
    pub ruling_s: u64,
    /// For the convicted to appeal; at least `slash_s`.
    pub appeal_s: u64,
    /// For the timelock to rule on an appeal; longer than `timelock_s`.
    pub appeal_ruling_s: u64,
    /// For the committee to rule on a root.
    pub root_ruling_s: u64,
    /// Between the budgets of two epochs, at least.
    pub epoch_s: u64,
}

impl Windows {
    /// For trying things out: a whole case takes less than a minute.
    pub const DEVELOPMENT: Self = Self {
        timelock_s: 2,
        cooldown_s: 60,
        detection_s: 30,
        slash_s: 10,
        dispute_s: 10,
        hold_s: 30,
        answer_s: 5,
        ruling_s: 20,
        appeal_s: 10,
        appeal_ruling_s: 20,
        root_ruling_s: 20,
        epoch_s: 1,
    };
    /// For chains where the money is worth something.
    pub const LIVE: Self = Self {
        timelock_s: 2 * DAY_S,
        cooldown_s: 14 * DAY_S,
        detection_s: 7 * DAY_S,
        slash_s: 3 * DAY_S,
        dispute_s: DAY_S,
        hold_s: 4 * DAY_S,
        answer_s: DAY_S,
        ruling_s: 3 * DAY_S,
        appeal_s: 3 * DAY_S,
        appeal_ruling_s: 7 * DAY_S,
        root_ruling_s: 3 * DAY_S,
        epoch_s: HOUR_S,
    };
}

/// Who may do what. No account may appear twice among guardian, poster and council.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parties {
    /// Schedule administrative acts; anybody carries them out when they are due.
    pub council: Vec<Address>,
    /// May pause and cancel, nothing else.
    pub guardian: Address,
    /// Posts epoch roots.
    pub poster: Address,
    /// Rule on cases.
    pub committee: Vec<Address>,
    /// How many of the committee must sign: more than half.
    pub threshold: u16,
    /// Receives the first tokens, to hand them out.
    pub genesis_holder: Address,
}

/// What is to be deployed. Amounts in micro-ESM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployPlan {
    /// Who may do what.
    pub parties: Parties,
    /// How long each step may take.
    pub windows: Windows,
    /// All ESM that can ever be.
    pub cap: u64,
    /// ESM that there are at the start.
    pub genesis: u64,
    /// Budget of the first epochs.
    pub budget_first: u64,
    /// Epochs after which the budget is halved.
    pub halving_epochs: u64,
    /// Share of taken stake for who accused, in millionths; at most half.
    pub bounty_ppm: u32,
    /// Smallest bond of an accusation.
    pub bond_least: u64,
    /// Bond of an accusation as a share of the stake at risk, in millionths.
    pub bond_ppm: u32,
    /// Bond of challenging a root.
    pub bond_root: u64,
}

impl DeployPlan {
    /// A plan with short windows, for chains whose money is worth nothing.
    pub fn development(parties: Parties, genesis: u64, budget_first: u64, halving_epochs: u64) -> Self {
        Self::new(parties, Windows::DEVELOPMENT, genesis, budget_first, halving_epochs)
    }

    /// A plan with windows in which people can look and object.
    pub fn live(parties: Parties, genesis: u64, budget_first: u64, halving_epochs: u64) -> Self {
        Self::new(parties, Windows::LIVE, genesis, budget_first, halving_epochs)
    }

    /// The cap is what the schedule can ever mint, and the genesis.
    fn new(parties: Parties, windows: Windows, genesis: u64, budget_first: u64, halving_epochs: u64) -> Self {
        let minted = (0..u64::BITS).map(|halvings| (budget_first >> halvings).saturating_mul(halving_epochs));
        let cap = minted.fold(genesis, u64::saturating_add);
        Self {
            parties,
            windows,
            cap,
            genesis,
            budget_first,
            halving_epochs,
            bounty_ppm: 400_000,
            bond_least: ONE_ESM,
            bond_ppm: 100_000,
            bond_root: 10 * ONE_ESM,
        }
    }
}

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
    distinct(&plan.parties)?;
    let addresses = create_all(chain, deployer, plan)?;
    hand_over(chain, deployer, plan, &addresses)?;
    addresses.check(chain)?;
    check_roles(chain, deployer.address(), plan, &addresses)?;
    Ok(addresses)
}

/// Guardian, poster and council are to be different keys.
fn distinct(parties: &Parties) -> Result<(), ChainError> {
    let mut keys = parties.council.clone();
    keys.extend([parties.guardian, parties.poster]);
    keys.sort();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(inconsistent(format!("{} is more than one of council, guardian and poster", pair[0]))),
    }
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

/// A role that an account holds in a contract.
struct Role {
    contract: Address,
    name: &'static str,
    holder: Address,
}

impl Role {
    /// The administrator's role is zero, as OpenZeppelin has it.
    fn id(&self) -> B256 {
        if self.name == ADMIN { B256::ZERO } else { keccak256(self.name) }
    }

    fn grant(&self) -> Call {
        Call::to(self.contract, EssaimToken::grantRoleCall { role: self.id(), account: self.holder }.abi_encode())
    }

    /// By its holder.
    fn renounce(&self) -> Call {
        let (role, holder) = (self.id(), self.holder);
        Call::to(self.contract, EssaimToken::renounceRoleCall { role, callerConfirmation: holder }.abi_encode())
    }

    fn held(&self, chain: &dyn Chain) -> Result<bool, ChainError> {
        ask(chain, self.contract, EssaimToken::hasRoleCall { role: self.id(), account: self.holder })
    }
}

const ADMIN: &str = "DEFAULT_ADMIN_ROLE";

/// Every role of the deployment and its only holder.
fn roles(plan: &DeployPlan, at: &Addresses) -> Vec<Role> {
    let role = |contract, name, holder| Role { contract, name, holder };
    let mut roles = vec![
        role(at.token, "MINTER_ROLE", at.emission),
        role(at.vault, "SLASHER_ROLE", at.court),
        role(at.rewards, "POSTER_ROLE", plan.parties.poster),
        role(at.rewards, "COURT_ROLE", at.court),
    ];
    roles.extend(
        [at.vault, at.rewards, at.court].map(|contract| role(contract, "GUARDIAN_ROLE", plan.parties.guardian)),
    );
    roles.extend(administered(at).map(|contract| role(contract, ADMIN, at.timelock)));
    roles
}

/// Contracts whose first administrator is the deployer.
fn administered(at: &Addresses) -> [Address; 4] {
    [at.token, at.vault, at.rewards, at.court]
}

/// Grants every role, then gives up the deployer's own.
fn hand_over(chain: &mut dyn Chain, deployer: &Wallet, plan: &DeployPlan, at: &Addresses) -> Result<(), ChainError> {
    let own = administered(at).map(|contract| Role { contract, name: ADMIN, holder: deployer.address() });
    let grants = roles(plan, at).iter().map(Role::grant).collect::<Vec<_>>();
    for calls in [grants, own.iter().map(Role::renounce).collect()] {
        let sent = calls.into_iter().map(|call| chain.submit(deployer, call)).collect::<Result<Vec<Submitted>, _>>()?;
        for submitted in &sent {
            chain.wait(submitted)?;
        }
    }
    Ok(())
}

fn check_roles(chain: &dyn Chain, deployer: Address, plan: &DeployPlan, at: &Addresses) -> Result<(), ChainError> {
    let roles = roles(plan, at);
    for role in &roles {
        if !role.held(chain)? {
            return Err(inconsistent(format!("{} is not {} of {}", role.holder, role.name, role.contract)));
        }
        let left = Role { contract: role.contract, name: role.name, holder: deployer };
        if deployer != role.holder && left.held(chain)? {
            return Err(inconsistent(format!("the deployer is still {} of {}", role.name, role.contract)));
        }
    }
    Ok(())
}

fn inconsistent(cause: String) -> ChainError {
    ChainError::Inconsistent { what: "deploying", cause }
}
