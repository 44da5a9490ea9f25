//! Who holds which role: as planned, and as the chain tells.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, keccak256};
use alloy_sol_types::{SolCall, SolEvent as _};

use super::DeployPlan;
use crate::bindings::EssaimToken;
use crate::contracts::{Addresses, ask};
use crate::{Call, Chain, ChainError, Filter};

/// Name of the administrator's role.
pub(super) const ADMIN: &str = "DEFAULT_ADMIN_ROLE";

/// A role that an account holds in a contract.
pub(super) struct Role {
    pub(super) contract: Address,
    pub(super) name: &'static str,
    pub(super) holder: Address,
}

/// Holders of each role of each contract.
pub(super) type Holders = BTreeMap<(Address, B256), BTreeSet<Address>>;

impl Role {
    /// The administrator's role is zero, as OpenZeppelin has it.
    pub(super) fn id(&self) -> B256 {
        if self.name == ADMIN { B256::ZERO } else { keccak256(self.name) }
    }

    pub(super) fn grant(&self) -> Call {
        Call::to(self.contract, EssaimToken::grantRoleCall { role: self.id(), account: self.holder }.abi_encode())
    }

    pub(super) fn held(&self, chain: &dyn Chain) -> Result<bool, ChainError> {
        ask(chain, self.contract, EssaimToken::hasRoleCall { role: self.id(), account: self.holder })
    }

    /// By its holder.
    pub(super) fn renounce(&self) -> Call {
        let (role, holder) = (self.id(), self.holder);
        Call::to(self.contract, EssaimToken::renounceRoleCall { role, callerConfirmation: holder }.abi_encode())
    }
}

/// Roles that the deployer hands out.
pub(super) fn granted(plan: &DeployPlan, at: &Addresses) -> Vec<Role> {
    let role = |contract, name, holder| Role { contract, name, holder };
    let (guardian, poster) = (plan.parties.guardian, plan.parties.poster);
    let mut roles = vec![
        role(at.token, "MINTER_ROLE", at.emission),
        role(at.vault, "SLASHER_ROLE", at.court),
        role(at.rewards, "POSTER_ROLE", poster),
        role(at.rewards, "COURT_ROLE", at.court),
    ];
    roles.extend([at.vault, at.rewards, at.court].map(|contract| role(contract, "GUARDIAN_ROLE", guardian)));
    roles.extend(administered(at).map(|contract| role(contract, ADMIN, at.timelock)));
    roles
}

/// Contracts whose first administrator is the deployer.
pub(super) fn administered(at: &Addresses) -> [Address; 4] {
    [at.token, at.vault, at.rewards, at.court]
}

/// Every role that anybody is to hold when the deployment is done.
pub(super) fn planned(plan: &DeployPlan, at: &Addresses) -> Holders {
    let timelock = |name, holder| Role { contract: at.timelock, name, holder };
    let mut roles = granted(plan, at);
    roles.push(timelock(ADMIN, at.timelock));
    roles.push(timelock("EXECUTOR_ROLE", Address::ZERO));
    roles.push(timelock("CANCELLER_ROLE", plan.parties.guardian));
    for proposer in &plan.parties.council {
        roles.extend(["PROPOSER_ROLE", "CANCELLER_ROLE"].map(|name| timelock(name, *proposer)));
    }
    let mut holders = Holders::new();
    for role in roles {
        holders.entry((role.contract, role.id())).or_default().insert(role.holder);
    }
    holders
}

/// Every role that anybody holds, from all that were ever granted and revoked.
pub(super) fn told(chain: &dyn Chain, at: &Addresses) -> Result<Holders, ChainError> {
    let (granted, revoked) = (EssaimToken::RoleGranted::SIGNATURE_HASH, EssaimToken::RoleRevoked::SIGNATURE_HASH);
    let addresses = administered(at).into_iter().chain([at.timelock]).collect();
    let to = chain.head()?.number;
    let filter = Filter { addresses, signatures: vec![granted, revoked], from: at.block, to };
    let mut holders = Holders::new();
    for log in chain.logs(&filter)? {
        let (Some(role), Some(account)) = (log.topics.get(1), log.topics.get(2)) else {
            return Err(ChainError::Decode { what: "RoleGranted", cause: "fields are missing".into() });
        };
        let account = Address::from_word(*account);
        let role = holders.entry((log.address, *role)).or_default();
        if log.topics[0] == granted {
            role.insert(account)
        } else {
            role.remove(&account)
        };
    }
    holders.retain(|_, accounts| !accounts.is_empty());
    Ok(holders)
}
