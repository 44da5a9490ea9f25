//! Questions to our contracts, which cost nothing.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use protocol::PublicKey;

use super::Contracts;
use super::cases::{Case, read};
use crate::bindings::{DisputeCourt, EmissionSchedule, EpochRewards, EssaimToken, NodeRegistry, StakeVault};
use crate::{Chain, ChainError, deploy};

/// Stake of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// At work.
    pub active: u64,
    /// On its way out.
    pub leaving: u64,
    /// Held back by accusations, of both kinds.
    pub reserved: u64,
    /// When what is leaving may be withdrawn, in seconds; 0 if nothing is.
    pub leave_at_s: u64,
}

/// The root that waits for its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRoot {
    /// Its epoch.
    pub epoch: u64,
    /// The root.
    pub root: B256,
    /// When it becomes live, in seconds.
    pub live_at_s: u64,
}

/// The root against which claims are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveRoot {
    /// Its epoch.
    pub epoch: u64,
    /// The root.
    pub root: B256,
    /// Sum of all lifetimes under it.
    pub lifetime_total: u64,
}

/// What the registry knows of a peer key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    /// Account that answers for it.
    pub owner: Address,
    /// What it does, as [`super::NodeKind`] counts.
    pub kind: u8,
    /// Whether the key is in use.
    pub active: bool,
    /// When it was registered, in seconds.
    pub since_s: u64,
}

impl Contracts {
    /// What an account holds.
    pub fn balance(&self, chain: &dyn Chain, account: Address) -> Result<u64, ChainError> {
        amount("balanceOf", ask(chain, self.addresses.token, EssaimToken::balanceOfCall { account })?)
    }

    /// What `spender` may take of `owner`'s.
    pub fn allowance(&self, chain: &dyn Chain, owner: Address, spender: Address) -> Result<u64, ChainError> {
        let allowed = ask(chain, self.addresses.token, EssaimToken::allowanceCall { owner, spender })?;
        Ok(allowed.saturating_to()) // an allowance may be without limit
    }

    /// All ESM there is.
    pub fn total_supply(&self, chain: &dyn Chain) -> Result<u64, ChainError> {
        amount("totalSupply", ask(chain, self.addresses.token, EssaimToken::totalSupplyCall {})?)
    }

    /// Number that an account's next permission must name.
    pub fn permit_nonce(&self, chain: &dyn Chain, owner: Address) -> Result<U256, ChainError> {
        ask(chain, self.addresses.token, EssaimToken::noncesCall { owner })
    }

    /// Number that the proof for an owner's next peer key must name.
    pub fn registration_nonce(&self, chain: &dyn Chain, owner: Address) -> Result<u64, ChainError> {
        amount("nonces", ask(chain, self.addresses.registry, NodeRegistry::noncesCall { owner })?)
    }

    /// What the registry knows of a peer key, if anything.
    pub fn node(&self, chain: &dyn Chain, peer: &PublicKey) -> Result<Option<Node>, ChainError> {
        let peer_key = B256::from(peer.0);
        let node = ask(chain, self.addresses.registry, NodeRegistry::nodeOfCall { peerKey: peer_key })?;
        let known = Node { owner: node.owner, kind: node.kind, active: node.status == 1, since_s: node.since };
        Ok((!node.owner.is_zero()).then_some(known))
    }

    /// Stake at work, which is what counts.
    pub fn stake_of(&self, chain: &dyn Chain, account: Address) -> Result<u64, ChainError> {
        amount("stakeOf", ask(chain, self.addresses.vault, StakeVault::stakeOfCall { account })?)
    }

    /// All about an account's stake.
    pub fn position(&self, chain: &dyn Chain, account: Address) -> Result<Position, ChainError> {
        let position = ask(chain, self.addresses.vault, StakeVault::positionOfCall { account })?;
        let reserved = ask(chain, self.addresses.vault, StakeVault::reservedOfCall { account })?;
        Ok(Position {
            active: amount("positionOf", position.active)?,
            leaving: amount("positionOf", position.leaving)?,
            reserved: amount("reservedOf", reserved)?,
            leave_at_s: position.leaveAt,
        })
    }

    /// What an account has been paid in its life.
    pub fn claimed(&self, chain: &dyn Chain, account: Address) -> Result<u64, ChainError> {
        amount("claimed", ask(chain, self.addresses.rewards, EpochRewards::claimedCall { account })?)
    }

    /// What all accounts have been paid.
    pub fn claimed_total(&self, chain: &dyn Chain) -> Result<u64, ChainError> {
        amount("claimedTotal", ask(chain, self.addresses.rewards, EpochRewards::claimedTotalCall {})?)
    }

    /// The lowest epoch that can still be posted.
    pub fn next_epoch(&self, chain: &dyn Chain) -> Result<u64, ChainError> {
        ask(chain, self.addresses.rewards, EpochRewards::nextEpochCall {})
    }

    /// The root that waits, if one does.
    pub fn pending_root(&self, chain: &dyn Chain) -> Result<Option<PendingRoot>, ChainError> {
        let pending = ask(chain, self.addresses.rewards, EpochRewards::pendingRootCall {})?;
        let (epoch, root, live_at_s) = (pending.epoch, pending.root, pending.liveAt);
        Ok((!root.is_zero()).then_some(PendingRoot { epoch, root, live_at_s }))
    }

    /// The root against which claims are paid, if there is one.
    pub fn live_root(&self, chain: &dyn Chain) -> Result<Option<LiveRoot>, ChainError> {
        let live = ask(chain, self.addresses.rewards, EpochRewards::liveRootCall {})?;
        let lifetime_total = amount("liveRoot", live.lifetimeTotal)?;
        Ok((!live.root.is_zero()).then_some(LiveRoot { epoch: live.epoch, root: live.root, lifetime_total }))
    }

    /// The leaf of an account as the contract computes it.
    pub fn leaf(&self, chain: &dyn Chain, account: Address, lifetime: u64) -> Result<B256, ChainError> {
        let lifetime = lifetime.into();
        ask(chain, self.addresses.rewards, EpochRewards::leafOfCall { account, lifetime })
    }

    /// The next epoch whose budget can be minted.
    pub fn next_release(&self, chain: &dyn Chain) -> Result<u64, ChainError> {
        ask(chain, self.addresses.emission, EmissionSchedule::nextEpochCall {})
    }

    /// When an epoch's budget can be minted, in seconds.
    pub fn release_at_s(&self, chain: &dyn Chain, epoch: u64) -> Result<u64, ChainError> {
        let start = ask(chain, self.addresses.emission, EmissionSchedule::startAtCall {})?;
        let interval = ask(chain, self.addresses.emission, EmissionSchedule::intervalCall {})?;
        Ok(start.saturating_add(epoch.saturating_mul(interval)))
    }

    /// Budget of an epoch.
    pub fn budget(&self, chain: &dyn Chain, epoch: u64) -> Result<u64, ChainError> {
        amount("budget", ask(chain, self.addresses.emission, EmissionSchedule::budgetCall { epoch })?)
    }

    /// Number of the newest case; the first is 1.
    pub fn case_count(&self, chain: &dyn Chain) -> Result<u64, ChainError> {
        amount("caseCount", ask(chain, self.addresses.court, DisputeCourt::caseCountCall {})?)
    }

    /// Everything about a case, if there is one.
    pub fn case(&self, chain: &dyn Chain, case: u64) -> Result<Option<Case>, ChainError> {
        read(case, &ask(chain, self.addresses.court, DisputeCourt::caseOfCall { id: U256::from(case) })?)
    }

    /// Share of taken stake that goes to the accuser, in millionths.
    pub fn bounty_ppm(&self, chain: &dyn Chain) -> Result<u32, ChainError> {
        ask(chain, self.addresses.vault, StakeVault::bountyPpmCall {})
    }

    /// Whether stakes in this vault deter what they are reckoned to deter: whoever lies can be accused by a friend,
    /// who gets the bounty, and the reckoning leaves room for [`ledger::BOUNTY_PPM`].
    ///
    /// Errors: `BountyTooHigh`.
    pub fn check_bounty(&self, chain: &dyn Chain) -> Result<(), ChainError> {
        deploy::bounty(self.bounty_ppm(chain)?)
    }

    /// Bond that an accusation over `at_risk` costs.
    pub fn bond_for(&self, chain: &dyn Chain, at_risk: u64) -> Result<u64, ChainError> {
        let at_risk = at_risk.into();
        amount("bondFor", ask(chain, self.addresses.court, DisputeCourt::bondForCall { amount: at_risk })?)
    }

    /// Bond that challenging a root costs.
    pub fn root_bond(&self, chain: &dyn Chain) -> Result<u64, ChainError> {
        let bonds = ask(chain, self.addresses.court, DisputeCourt::bondsCall {})?;
        amount("bonds", bonds.root)
    }

    /// Number of the committee that sits, and how many of its members must sign.
    pub fn committee(&self, chain: &dyn Chain) -> Result<(u64, u16), ChainError> {
        let number = ask(chain, self.addresses.court, DisputeCourt::committeeCall {})?;
        Ok((number, ask(chain, self.addresses.court, DisputeCourt::thresholdCall {})?))
    }
}

/// Asks a contract and reads the answer.
pub(crate) fn ask<C: SolCall>(chain: &dyn Chain, to: Address, question: C) -> Result<C::Return, ChainError> {
    let answer = chain.view(None, to, question.abi_encode().into())?;
    C::abi_decode_returns(&answer).map_err(|cause| ChainError::Decode {
        what: C::SIGNATURE,
        cause: format!("{cause} ({} bytes from {to})", answer.len()),
    })
}

/// An amount that fits, as all do while the cap of the supply does.
pub(super) fn amount<T: TryInto<u64> + std::fmt::Display + Copy>(
    what: &'static str,
    given: T,
) -> Result<u64, ChainError> {
    given.try_into().map_err(|_| ChainError::Decode { what, cause: format!("{given} does not fit 64 bits") })
}
