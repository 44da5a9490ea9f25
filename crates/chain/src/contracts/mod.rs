//! Our contracts in our own words: calls to send, questions to ask, events to read.
//!
//! Promise: amounts are micro-ESM, times are seconds, and nothing is sent here; a [`Call`] is sent,
//! simulated or priced by the chain it is given to.

mod addresses;
mod cases;
mod events;
mod signing;
mod views;

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use protocol::{PublicKey, Signature};

use crate::bindings::{DisputeCourt, EmissionSchedule, EpochRewards, EssaimToken, NodeRegistry, StakeVault};
use crate::{Call, Chain, ChainError, Wallet};

pub use addresses::Addresses;
pub use cases::{Case, CaseKind, CaseState, Outcome};
pub use events::Event;
pub use signing::{Ballot, RootRuling, StakeRuling, registration_digest};
pub(crate) use views::ask;
pub use views::{LiveRoot, Node, PendingRoot, Position};

/// Longest time for which a permission to take stake is signed, in seconds.
const PERMIT_S: u64 = 3_600;

/// What a node does, as the registry knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum NodeKind {
    /// Generates rollouts.
    Worker = 1,
    /// Checks them.
    Validator = 2,
    /// Trains on them.
    Trainer = 3,
    /// Looks after data.
    Curator = 4,
}

/// What a poster says about an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpochToPost {
    /// Its number.
    pub epoch: u64,
    /// Merkle root over what every account has earned in its life.
    pub root: B256,
    /// Sum of all lifetimes, micro-ESM.
    pub lifetime_total: u64,
    /// Hash of the file from which anyone can rebuild the root.
    pub file_hash: B256,
    /// Where that file is; at most 256 bytes.
    pub uri: String,
}

/// The contracts of one deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contracts {
    /// Where they are.
    pub addresses: Addresses,
}

impl Contracts {
    /// The contracts at these addresses, after a look whether they are there.
    pub fn connect(chain: &dyn Chain, addresses: Addresses) -> Result<Self, ChainError> {
        addresses.check(chain)?;
        Ok(Self { addresses })
    }

    // ---- token ----

    /// Hands `amount` to `to`.
    pub fn transfer(&self, to: Address, amount: u64) -> Call {
        call(self.addresses.token, EssaimToken::transferCall { to, value: U256::from(amount) })
    }

    /// Lets `spender` take up to `amount` of the sender's; the court needs it for bonds.
    pub fn approve(&self, spender: Address, amount: u64) -> Call {
        call(self.addresses.token, EssaimToken::approveCall { spender, value: U256::from(amount) })
    }

    // ---- registry ----

    /// Enters a peer key as the sender's. `signature` is the key's over [`registration_digest`] with the
    /// owner's nonce of [`Contracts::registration_nonce`].
    pub fn register(&self, peer: &PublicKey, kind: NodeKind, meta: B256, signature: &Signature) -> Call {
        let signature = Bytes::copy_from_slice(&signature.0);
        let (peer_key, kind) = (B256::from(peer.0), kind as u8);
        call(self.addresses.registry, NodeRegistry::registerCall { peerKey: peer_key, kind, meta, signature })
    }

    // ---- vault ----

    /// Stakes `amount`, for which the vault must have been approved; see [`Contracts::stake_with_permit`].
    pub fn stake(&self, amount: u64) -> Call {
        call(self.addresses.vault, StakeVault::stakeCall { amount: amount.into() })
    }

    /// Stakes `amount` of the sender's for another account.
    pub fn stake_for(&self, account: Address, amount: u64) -> Call {
        call(self.addresses.vault, StakeVault::stakeForCall { account, amount: amount.into() })
    }

    /// Stakes `amount` in one transaction: the permission to take it is signed along.
    pub fn stake_with_permit(&self, chain: &dyn Chain, wallet: &Wallet, amount: u64) -> Result<Call, ChainError> {
        let deadline = chain.head()?.time_s.saturating_add(PERMIT_S);
        let nonce = self.permit_nonce(chain, wallet.address())?;
        let spender = self.addresses.vault;
        let signature = signing::permit(&self.addresses, wallet, spender, amount, nonce, deadline);
        let permitted = StakeVault::stakeWithPermitCall {
            amount: amount.into(),
            deadline: U256::from(deadline),
            v: 27 + u8::from(signature.v()),
            r: B256::from(signature.r()),
            s: B256::from(signature.s()),
        };
        Ok(call(self.addresses.vault, permitted))
    }

    /// Begins to leave with `amount`: it earns nothing from now and can be withdrawn after the cooldown.
    pub fn request_leave(&self, amount: u64) -> Call {
        call(self.addresses.vault, StakeVault::requestLeaveCall { amount: amount.into() })
    }

    /// Puts all that is leaving back to work.
    pub fn cancel_leave(&self) -> Call {
        call(self.addresses.vault, StakeVault::cancelLeaveCall {})
    }

    /// Takes out what has left and is not reserved by an accusation.
    pub fn withdraw(&self) -> Call {
        call(self.addresses.vault, StakeVault::withdrawCall {})
    }

    // ---- court ----

    /// Accuses `accused`: reserves `amount` of its stake and takes the bond of [`Contracts::bond_for`], for
    /// which the court must have been approved.
    pub fn open_case(&self, accused: Address, amount: u64, evidence: B256) -> Call {
        call(self.addresses.court, DisputeCourt::openCaseCall { accused, amount: amount.into(), evidence })
    }

    /// Says that a pending root is wrong. The court must have been approved for [`Contracts::root_bond`].
    pub fn challenge_root(&self, epoch: u64, root: B256, evidence: B256) -> Call {
        call(self.addresses.court, DisputeCourt::challengeRootCall { epoch, root, evidence })
    }

    /// The accused's answer, once and in time.
    pub fn respond(&self, case: u64, answer: B256) -> Call {
        call(self.addresses.court, DisputeCourt::respondCall { id: U256::from(case), answer })
    }

    /// Enters the committee's ruling on stake; anybody may. `ballots`: see [`StakeRuling::sign`].
    pub fn rule_stake(&self, ruling: &StakeRuling, ballots: Vec<Ballot>) -> Call {
        let StakeRuling { case, guilty, reasons, committee, signed_until, .. } = *ruling;
        self.rule(case, guilty, reasons, committee, signed_until, ballots)
    }

    /// Enters the committee's ruling on a root; anybody may. `ballots`: see [`RootRuling::sign`].
    pub fn rule_root(&self, ruling: &RootRuling, ballots: Vec<Ballot>) -> Call {
        let RootRuling { case, guilty, reasons, committee, signed_until, .. } = *ruling;
        self.rule(case, guilty, reasons, committee, signed_until, ballots)
    }

    fn rule(&self, case: u64, guilty: bool, reasons: B256, number: u64, until: u64, mut all: Vec<Ballot>) -> Call {
        all.sort_by_key(|ballot| ballot.member); // the court wants them ascending
        let ballots = all.into_iter().map(Ballot::encoded).collect();
        let id = U256::from(case);
        let ruled = DisputeCourt::ruleCall { id, guilty, reasons, number, signedUntil: until, ballots };
        call(self.addresses.court, ruled)
    }

    /// The convicted's appeal to the timelock. The court must have been approved for the case's bond.
    pub fn appeal(&self, case: u64, reasons: B256) -> Call {
        call(self.addresses.court, DisputeCourt::appealCall { id: U256::from(case), reasons })
    }

    /// Carries out a conviction after the time for an appeal; anybody may.
    pub fn execute_case(&self, case: u64) -> Call {
        call(self.addresses.court, DisputeCourt::executeCall { id: U256::from(case) })
    }

    /// Closes a case on which nobody ruled in time; anybody may.
    pub fn expire_case(&self, case: u64) -> Call {
        call(self.addresses.court, DisputeCourt::expireCall { id: U256::from(case) })
    }

    /// Stops a case. Only the guardian.
    pub fn cancel_case(&self, case: u64) -> Call {
        call(self.addresses.court, DisputeCourt::cancelCaseCall { id: U256::from(case) })
    }

    // ---- rewards ----

    /// Mints an epoch's budget to the rewards contract; anybody may, once and in order.
    pub fn release(&self, epoch: u64) -> Call {
        call(self.addresses.emission, EmissionSchedule::releaseCall { epoch })
    }

    /// Posts an epoch's root. Only the poster. [`crate::settle_epoch`] does it exactly once.
    pub fn post_root(&self, post: &EpochToPost) -> Call {
        let posted = EpochRewards::postRootCall {
            epoch: post.epoch,
            root: post.root,
            lifetimeTotal: post.lifetime_total.into(),
            fileHash: post.file_hash,
            uri: post.uri.clone(),
        };
        call(self.addresses.rewards, posted)
    }

    /// Drops the pending root. Only the guardian, or the court.
    pub fn void_pending(&self, epoch: u64) -> Call {
        call(self.addresses.rewards, EpochRewards::voidPendingCall { epoch })
    }

    /// Pays an account what it has earned and not yet received; anybody may send it.
    pub fn claim(&self, account: Address, lifetime: u64, proof: &[B256]) -> Call {
        let proof = proof.to_vec();
        call(self.addresses.rewards, EpochRewards::claimCall { account, lifetime: lifetime.into(), proof })
    }

    /// Pays what the ledger says that an account has earned.
    pub fn claim_of(&self, claim: &ledger::Claim) -> Call {
        let proof: Vec<B256> = claim.proof.iter().map(B256::from).collect();
        self.claim(address(claim.account), claim.lifetime, &proof)
    }
}

/// A call of one of our contracts.
fn call(to: Address, call: impl SolCall) -> Call {
    Call::to(to, call.abi_encode())
}

/// The bytes of a call of one of [`crate::bindings`], for what has no words of its own here.
pub fn encode(call: impl SolCall) -> Bytes {
    call.abi_encode().into()
}

/// The ledger's account as a chain names it.
pub fn address(account: ledger::Account) -> Address {
    Address::from(account.0)
}

/// A chain's address as the ledger names it.
pub fn account(address: Address) -> ledger::Account {
    ledger::Account(address.into_array())
}
