//! What wallets sign for our contracts, built here from what the signer knows.
//!
//! Promise: a digest is never taken from a node's answer, so nobody signs what a node made up. The tests
//! compare each with the contract's own.

use alloy_primitives::{Address, B256, Bytes, Signature, U256, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, SolValue as _, eip712_domain};

use super::Addresses;
use crate::Wallet;
use crate::bindings::Committee;

mod typed {
    #![allow(missing_docs, reason = "the names are the contracts'")]
    alloy_sol_types::sol! {
        struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
        struct StakeRuling {
            uint256 caseId; address accused; uint128 amount; bytes32 evidence; bytes32 answer; bool guilty;
            bytes32 reasons; uint64 committee; uint64 deadline;
        }
        struct RootRuling {
            uint256 caseId; uint64 epoch; bytes32 root; bytes32 evidence; bool guilty; bytes32 reasons;
            uint64 committee; uint64 deadline;
        }
    }
}

/// One member's signature under a ruling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ballot {
    /// The member.
    pub member: Address,
    /// Its signature, 65 bytes.
    pub signature: Bytes,
}

/// A ruling in a case about stake: all that its signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StakeRuling {
    /// The case.
    pub case: u64,
    /// Whose stake.
    pub accused: Address,
    /// How much is at risk.
    pub amount: u64,
    /// Hash of the accusation.
    pub evidence: B256,
    /// Hash of the answer; zero if there was none.
    pub answer: B256,
    /// Whether the accusation holds.
    pub guilty: bool,
    /// Hash of the reasons.
    pub reasons: B256,
    /// Number of the committee that rules.
    pub committee: u64,
    /// Last second at which the signature is good.
    pub signed_until: u64,
}

/// A ruling in a case about a root: all that its signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootRuling {
    /// The case.
    pub case: u64,
    /// Epoch of the root.
    pub epoch: u64,
    /// The root.
    pub root: B256,
    /// Hash of the challenge.
    pub evidence: B256,
    /// Whether the challenge holds: the root is voided.
    pub guilty: bool,
    /// Hash of the reasons.
    pub reasons: B256,
    /// Number of the committee that rules.
    pub committee: u64,
    /// Last second at which the signature is good.
    pub signed_until: u64,
}

impl StakeRuling {
    /// A member's ballot for this ruling (EIP-712).
    pub fn sign(&self, addresses: &Addresses, member: &Wallet) -> Ballot {
        ballot(member, &self.digest(addresses))
    }

    /// What members sign.
    pub fn digest(&self, addresses: &Addresses) -> B256 {
        let ruling = typed::StakeRuling {
            caseId: U256::from(self.case),
            accused: self.accused,
            amount: self.amount.into(),
            evidence: self.evidence,
            answer: self.answer,
            guilty: self.guilty,
            reasons: self.reasons,
            committee: self.committee,
            deadline: self.signed_until,
        };
        ruling.eip712_signing_hash(&court_domain(addresses))
    }
}

impl RootRuling {
    /// A member's ballot for this ruling (EIP-712).
    pub fn sign(&self, addresses: &Addresses, member: &Wallet) -> Ballot {
        ballot(member, &self.digest(addresses))
    }

    /// What members sign.
    pub fn digest(&self, addresses: &Addresses) -> B256 {
        let ruling = typed::RootRuling {
            caseId: U256::from(self.case),
            epoch: self.epoch,
            root: self.root,
            evidence: self.evidence,
            guilty: self.guilty,
            reasons: self.reasons,
            committee: self.committee,
            deadline: self.signed_until,
        };
        ruling.eip712_signing_hash(&court_domain(addresses))
    }
}

impl Ballot {
    pub(super) fn encoded(self) -> Committee::Ballot {
        Committee::Ballot { member: self.member, signature: self.signature }
    }
}

fn ballot(member: &Wallet, digest: &B256) -> Ballot {
    Ballot { member: member.address(), signature: member.sign(digest).as_bytes().into() }
}

fn court_domain(addresses: &Addresses) -> Eip712Domain {
    eip712_domain! {
        name: "Essaim DisputeCourt",
        version: "1",
        chain_id: addresses.chain_id,
        verifying_contract: addresses.court,
    }
}

/// A permission for `spender` to take `amount` (ERC-2612).
pub(super) fn permit(
    addresses: &Addresses,
    wallet: &Wallet,
    spender: Address,
    amount: u64,
    nonce: U256,
    deadline: u64,
) -> Signature {
    let domain = eip712_domain! {
        name: "Essaim",
        version: "1",
        chain_id: addresses.chain_id,
        verifying_contract: addresses.token,
    };
    let (owner, value, deadline) = (wallet.address(), U256::from(amount), U256::from(deadline));
    wallet.sign(&typed::Permit { owner, spender, value, nonce, deadline }.eip712_signing_hash(&domain))
}

/// What a peer key signs so that `owner` can register it:
/// `keccak256(abi.encode("essaim node registration v1", chain id, registry, owner, nonce))`.
pub fn registration_digest(addresses: &Addresses, owner: Address, nonce: u64) -> B256 {
    let fields = (
        "essaim node registration v1".to_owned(),
        U256::from(addresses.chain_id),
        addresses.registry,
        owner,
        U256::from(nonce),
    );
    keccak256(fields.abi_encode_params())
}
