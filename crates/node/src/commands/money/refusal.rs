//! Why a contract says no, in words a person can act on.

use anyhow::{Error, anyhow};
use chain::bindings::{DisputeCourt, EpochRewards, EssaimToken, StakeVault};
use chain::{ChainError, Revert};
use ledger::keccak256;

use super::words::{esm, moment};

/// Roles of our contracts.
const ROLES: [(&str, &str); 5] = [
    ("POSTER_ROLE", "the poster"),
    ("GUARDIAN_ROLE", "the guardian"),
    ("MINTER_ROLE", "the emission schedule"),
    ("SLASHER_ROLE", "the court"),
    ("COURT_ROLE", "the court"),
];

/// The error, with a contract's refusal put into words where it is one that people meet.
pub(super) fn explain(error: ChainError, now_s: Option<u64>) -> Error {
    let words = match &error {
        ChainError::Reverted { reason, .. } => vault(reason, now_s)
            .or_else(|| rewards(reason, now_s))
            .or_else(|| court(reason, now_s))
            .or_else(|| token(reason)),
        _ => None,
    };
    match words {
        Some(words) => anyhow!(words),
        None => error.into(),
    }
}

fn when(at_s: u64, now_s: Option<u64>) -> String {
    moment(at_s, now_s.unwrap_or(at_s))
}

fn micro(amount: u128) -> String {
    esm(u64::try_from(amount).unwrap_or(u64::MAX)) // the supply fits 64 bits
}

fn vault(reason: &Revert, now_s: Option<u64>) -> Option<String> {
    use StakeVault::{NotEnoughStake, NothingLeaving, StakeReserved, TooEarly};
    if let Some(TooEarly { readyAt }) = reason.decode() {
        return Some(format!("what is leaving can be withdrawn from {}", when(readyAt, now_s)));
    }
    if let Some(NotEnoughStake { limit, given }) = reason.decode() {
        return Some(format!("there are {} of stake for that, given {}", micro(limit), micro(given)));
    }
    if let Some(StakeReserved { reserved }) = reason.decode() {
        return Some(format!("an open accusation holds {} of the stake back", micro(reserved)));
    }
    reason.is::<NothingLeaving>().then(|| "nothing is leaving: `essaim unstake AMOUNT` begins it".to_owned())
}

fn rewards(reason: &Revert, now_s: Option<u64>) -> Option<String> {
    use EpochRewards::{BadProof, NothingDue, RootNotPending, RootPending};
    if let Some(NothingDue { claimed, lifetime }) = reason.decode() {
        return Some(format!("nothing is due: {} of {} were paid before", micro(claimed), micro(lifetime)));
    }
    if let Some(RootPending { epoch, liveAt }) = reason.decode() {
        return Some(format!("the root of epoch {epoch} waits until {}", when(liveAt, now_s)));
    }
    if let Some(RootNotPending { epoch }) = reason.decode() {
        return Some(format!("no root of epoch {epoch} waits: it is live, was dropped, or was never posted"));
    }
    reason.is::<BadProof>().then(|| "the proof does not lead to the root that is live".to_owned())
}

fn court(reason: &Revert, now_s: Option<u64>) -> Option<String> {
    use DisputeCourt::{NotAccused, NotPending, SelfAccused, TooEarly, TooLate, WrongState};
    if let Some(TooEarly { readyAt, .. }) = reason.decode() {
        return Some(format!("not before {}", when(readyAt, now_s)));
    }
    if let Some(TooLate { deadline, .. }) = reason.decode() {
        return Some(format!("the time for it ended {}", when(deadline, now_s)));
    }
    if let Some(WrongState { id, given }) = reason.decode() {
        let state = ["not there", "open", "answered", "decided (guilty)", "appealed", "closed"];
        let state = state.get(usize::from(given)).copied().unwrap_or("in an unknown state");
        return Some(format!("case {id} is {state}"));
    }
    if let Some(NotAccused { accused, given }) = reason.decode() {
        return Some(format!("{accused} is accused, not {given}"));
    }
    if let Some(NotPending { epoch, .. }) = reason.decode() {
        return Some(format!("no such root of epoch {epoch} waits"));
    }
    reason.is::<SelfAccused>().then(|| "nobody can accuse itself".to_owned())
}

fn token(reason: &Revert) -> Option<String> {
    use EssaimToken::{AccessControlUnauthorizedAccount, ERC20InsufficientAllowance, ERC20InsufficientBalance};
    if let Some(ERC20InsufficientBalance { sender, balance, needed }) = reason.decode() {
        return Some(format!(
            "{sender} holds {}, and {} are needed",
            micro(balance.saturating_to()),
            micro(needed.saturating_to())
        ));
    }
    if let Some(ERC20InsufficientAllowance { needed, .. }) = reason.decode() {
        return Some(format!("the contract was not allowed to take {}", micro(needed.saturating_to())));
    }
    let AccessControlUnauthorizedAccount { account, neededRole } = reason.decode()?;
    let role = ROLES.iter().find(|(role, _)| neededRole.0 == keccak256(role.as_bytes()));
    let who = role.map_or("the timelock", |(_, who)| *who);
    Some(format!("only {who} may do that, and {account} is not"))
}
