//! Events of our contracts in words and in JSON.
//!
//! Promise: every event that a contract of ours can write is here with all its fields, each with its unit.

use chain::bindings::DisputeCourt::DisputeCourtEvents;
use chain::bindings::EmissionSchedule::EmissionScheduleEvents;
use chain::bindings::EpochRewards::EpochRewardsEvents;
use chain::bindings::EssaimTimelock::EssaimTimelockEvents;
use chain::bindings::EssaimToken::EssaimTokenEvents;
use chain::bindings::NodeRegistry::NodeRegistryEvents;
use chain::bindings::StakeVault::StakeVaultEvents;
use chain::bindings::Treasury::TreasuryEvents;
use chain::{Address, B256, Event, U256};
use serde_json::{Map, Value, json};

use super::account::Names;
use super::words;

/// An event, ready to be shown.
pub(super) struct Told {
    /// The contract's name.
    pub(super) contract: &'static str,
    /// The event's name.
    pub(super) name: &'static str,
    fields: Fields,
}

/// Names of fields with what is in them.
type Fields = Vec<(&'static str, Field)>;

/// What is in a field.
enum Field {
    Account(Address),
    Accounts(Vec<Address>),
    /// Micro-ESM.
    Esm(u64),
    Number(u64),
    /// A number above 64 bits.
    Large(U256),
    Hash(B256),
    /// Seconds since 1970.
    Time(u64),
    Flag(bool),
    /// Whatever somebody wrote.
    Text(String),
}

use Field::{Account, Accounts, Esm, Flag, Hash, Large, Number, Text, Time};

impl Told {
    /// `StakeVault: staked; account worker:0, payer holder, amount 750 ESM`.
    pub(super) fn in_words(&self, names: &Names) -> String {
        let fields: Vec<String> = self.fields.iter().map(|(name, field)| words_of(name, field, names)).collect();
        let fields = if fields.is_empty() { String::new() } else { format!("; {}", fields.join(", ")) };
        format!("{}: {}{fields}", self.contract, spaced(self.name))
    }

    /// Every field by its name. Amounts are micro-ESM, times seconds since 1970; a number above 64 bits is a string.
    pub(super) fn to_json(&self) -> Value {
        let field = |(name, field): &(&'static str, Field)| ((*name).to_owned(), json_of(field));
        Value::Object(self.fields.iter().map(field).collect::<Map<_, _>>())
    }
}

/// An event of any of our contracts.
pub(super) fn told(event: &Event) -> Told {
    let (contract, (name, fields)) = match event {
        Event::Token(event) => ("EssaimToken", token(event)),
        Event::Registry(event) => ("NodeRegistry", registry(event)),
        Event::Vault(event) => ("StakeVault", vault(event)),
        Event::Rewards(event) => ("EpochRewards", rewards(event)),
        Event::Court(event) => ("DisputeCourt", court(event)),
        Event::Treasury(event) => ("Treasury", treasury(event)),
        Event::Emission(event) => ("EmissionSchedule", emission(event)),
        Event::Timelock(event) => ("EssaimTimelock", timelock(event)),
    };
    Told { contract, name, fields }
}

fn words_of(name: &str, field: &Field, names: &Names) -> String {
    let label = name.strip_suffix("_s").unwrap_or(name).replace('_', " ");
    let value = match field {
        Account(account) => names.brief(account),
        Accounts(accounts) => accounts.iter().map(|account| names.brief(account)).collect::<Vec<_>>().join(" "),
        Esm(amount) => words::esm(*amount),
        Number(number) => words::count(*number),
        Large(number) => number.to_string(),
        Hash(hash) => words::short(hash),
        Time(at_s) => words::date(*at_s),
        Flag(flag) => if *flag { "yes" } else { "no" }.to_owned(),
        // A stranger may have written it: no control characters.
        Text(text) => format!("\"{}\"", text.chars().flat_map(char::escape_debug).collect::<String>()),
    };
    format!("{label} {value}")
}

fn json_of(field: &Field) -> Value {
    match field {
        Account(account) => json!(account.to_string()),
        Accounts(accounts) => json!(accounts.iter().map(Address::to_string).collect::<Vec<_>>()),
        Esm(number) | Number(number) | Time(number) => json!(number),
        Large(number) => json!(number.to_string()),
        Hash(hash) => json!(hash),
        Flag(flag) => json!(flag),
        Text(text) => json!(text),
    }
}

/// `RootPosted` as `root posted`.
fn spaced(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && text.ends_with(|before: char| before.is_ascii_lowercase()) {
            text.push(' ');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}

/// An amount; more than there can be (an approval without a limit) is a number.
fn esm(amount: U256) -> Field {
    u64::try_from(amount).map_or(Large(amount), Esm)
}

fn number(number: U256) -> Field {
    u64::try_from(number).map_or(Large(number), Number)
}

fn token(event: &EssaimTokenEvents) -> (&'static str, Fields) {
    use EssaimTokenEvents::*;
    match event {
        Approval(e) => {
            ("Approval", vec![("owner", Account(e.owner)), ("spender", Account(e.spender)), ("amount", esm(e.value))])
        }
        DelegateChanged(e) => (
            "DelegateChanged",
            vec![
                ("delegator", Account(e.delegator)),
                ("from_delegate", Account(e.fromDelegate)),
                ("to_delegate", Account(e.toDelegate)),
            ],
        ),
        DelegateVotesChanged(e) => (
            "DelegateVotesChanged",
            vec![
                ("delegate", Account(e.delegate)),
                ("previous_votes", esm(e.previousVotes)),
                ("new_votes", esm(e.newVotes)),
            ],
        ),
        EIP712DomainChanged(_) => ("EIP712DomainChanged", vec![]),
        RoleAdminChanged(e) => (
            "RoleAdminChanged",
            vec![
                ("role", Hash(e.role)),
                ("previous_admin_role", Hash(e.previousAdminRole)),
                ("new_admin_role", Hash(e.newAdminRole)),
            ],
        ),
        RoleGranted(e) => (
            "RoleGranted",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        RoleRevoked(e) => (
            "RoleRevoked",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        Transfer(e) => ("Transfer", vec![("from", Account(e.from)), ("to", Account(e.to)), ("amount", esm(e.value))]),
    }
}

fn registry(event: &NodeRegistryEvents) -> (&'static str, Fields) {
    use NodeRegistryEvents::*;
    match event {
        KeyRotated(e) => {
            ("KeyRotated", vec![("old_key", Hash(e.oldKey)), ("new_key", Hash(e.newKey)), ("owner", Account(e.owner))])
        }
        MetaChanged(e) => ("MetaChanged", vec![("peer_key", Hash(e.peerKey)), ("meta", Hash(e.meta))]),
        NodeRegistered(e) => (
            "NodeRegistered",
            vec![
                ("peer_key", Hash(e.peerKey)),
                ("owner", Account(e.owner)),
                ("kind", Number(u64::from(e.kind))),
                ("meta", Hash(e.meta)),
            ],
        ),
        NodeRetired(e) => ("NodeRetired", vec![("peer_key", Hash(e.peerKey)), ("owner", Account(e.owner))]),
    }
}

fn vault(event: &StakeVaultEvents) -> (&'static str, Fields) {
    use StakeVaultEvents::*;
    match event {
        LeaveCancelled(e) => {
            ("LeaveCancelled", vec![("account", Account(e.account)), ("amount", esm(U256::from(e.amount)))])
        }
        LeaveRequested(e) => (
            "LeaveRequested",
            vec![
                ("account", Account(e.account)),
                ("amount", esm(U256::from(e.amount))),
                ("leave_at_s", Time(e.leaveAt)),
            ],
        ),
        Paused(e) => ("Paused", vec![("account", Account(e.account))]),
        RoleAdminChanged(e) => (
            "RoleAdminChanged",
            vec![
                ("role", Hash(e.role)),
                ("previous_admin_role", Hash(e.previousAdminRole)),
                ("new_admin_role", Hash(e.newAdminRole)),
            ],
        ),
        RoleGranted(e) => (
            "RoleGranted",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        RoleRevoked(e) => (
            "RoleRevoked",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        SlashCancelled(e) => ("SlashCancelled", vec![("slash", number(e.id)), ("account", Account(e.account))]),
        SlashExecuted(e) => (
            "SlashExecuted",
            vec![
                ("slash", number(e.id)),
                ("account", Account(e.account)),
                ("taken", esm(U256::from(e.taken))),
                ("bounty", esm(U256::from(e.bounty))),
            ],
        ),
        SlashOpened(e) => (
            "SlashOpened",
            vec![
                ("slash", number(e.id)),
                ("account", Account(e.account)),
                ("amount", esm(U256::from(e.amount))),
                ("evidence", Hash(e.evidence)),
                ("beneficiary", Account(e.beneficiary)),
                ("ready_at_s", Time(e.readyAt)),
            ],
        ),
        Staked(e) => (
            "Staked",
            vec![("account", Account(e.account)), ("payer", Account(e.payer)), ("amount", esm(U256::from(e.amount)))],
        ),
        Unpaused(e) => ("Unpaused", vec![("account", Account(e.account))]),
        Withdrawn(e) => ("Withdrawn", vec![("account", Account(e.account)), ("amount", esm(U256::from(e.amount)))]),
    }
}

fn rewards(event: &EpochRewardsEvents) -> (&'static str, Fields) {
    use EpochRewardsEvents::*;
    match event {
        Claimed(e) => (
            "Claimed",
            vec![
                ("account", Account(e.account)),
                ("recipient", Account(e.recipient)),
                ("paid", esm(U256::from(e.paid))),
            ],
        ),
        EIP712DomainChanged(_) => ("EIP712DomainChanged", vec![]),
        Funded(e) => ("Funded", vec![("payer", Account(e.payer)), ("amount", esm(U256::from(e.amount)))]),
        Paused(e) => ("Paused", vec![("account", Account(e.account))]),
        RoleAdminChanged(e) => (
            "RoleAdminChanged",
            vec![
                ("role", Hash(e.role)),
                ("previous_admin_role", Hash(e.previousAdminRole)),
                ("new_admin_role", Hash(e.newAdminRole)),
            ],
        ),
        RoleGranted(e) => (
            "RoleGranted",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        RoleRevoked(e) => (
            "RoleRevoked",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        RootHeld(e) => ("RootHeld", vec![("epoch", Number(e.epoch)), ("live_at_s", Time(e.liveAt))]),
        RootPosted(e) => (
            "RootPosted",
            vec![
                ("epoch", Number(e.epoch)),
                ("root", Hash(e.root)),
                ("lifetime_total", esm(U256::from(e.lifetimeTotal))),
                ("file_hash", Hash(e.fileHash)),
                ("live_at_s", Time(e.liveAt)),
                ("uri", Text(e.uri.clone())),
            ],
        ),
        RootVoided(e) => ("RootVoided", vec![("epoch", Number(e.epoch)), ("root", Hash(e.root))]),
        Unpaused(e) => ("Unpaused", vec![("account", Account(e.account))]),
    }
}

fn court(event: &DisputeCourtEvents) -> (&'static str, Fields) {
    use DisputeCourtEvents::*;
    match event {
        Answered(e) => ("Answered", vec![("case", number(e.id)), ("answer", Hash(e.answer))]),
        Appealed(e) => (
            "Appealed",
            vec![
                ("case", number(e.id)),
                ("bond", esm(U256::from(e.bond))),
                ("reasons", Hash(e.reasons)),
                ("rule_until_s", Time(e.ruleUntil)),
            ],
        ),
        BondsSet(e) => (
            "BondsSet",
            vec![
                ("least", esm(U256::from(e.least))),
                ("ppm", Number(u64::from(e.ppm))),
                ("root", esm(U256::from(e.root))),
            ],
        ),
        CaseClosed(e) => (
            "CaseClosed",
            vec![
                ("case", number(e.id)),
                ("outcome", Number(u64::from(e.outcome))),
                ("to_challenger", esm(U256::from(e.toChallenger))),
                ("to_accused", esm(U256::from(e.toAccused))),
                ("to_treasury", esm(U256::from(e.toTreasury))),
            ],
        ),
        CaseOpened(e) => (
            "CaseOpened",
            vec![
                ("case", number(e.id)),
                ("challenger", Account(e.challenger)),
                ("accused", Account(e.accused)),
                ("amount", esm(U256::from(e.amount))),
                ("bond", esm(U256::from(e.bond))),
                ("slash", number(e.slashId)),
                ("evidence", Hash(e.evidence)),
                ("answer_until_s", Time(e.answerUntil)),
                ("rule_until_s", Time(e.ruleUntil)),
            ],
        ),
        CommitteeSet(e) => (
            "CommitteeSet",
            vec![
                ("committee", Number(e.committee)),
                ("members", Accounts(e.members.clone())),
                ("threshold", Number(u64::from(e.threshold))),
            ],
        ),
        EIP712DomainChanged(_) => ("EIP712DomainChanged", vec![]),
        Paused(e) => ("Paused", vec![("account", Account(e.account))]),
        RoleAdminChanged(e) => (
            "RoleAdminChanged",
            vec![
                ("role", Hash(e.role)),
                ("previous_admin_role", Hash(e.previousAdminRole)),
                ("new_admin_role", Hash(e.newAdminRole)),
            ],
        ),
        RoleGranted(e) => (
            "RoleGranted",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        RoleRevoked(e) => (
            "RoleRevoked",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        RootChallenged(e) => (
            "RootChallenged",
            vec![
                ("case", number(e.id)),
                ("challenger", Account(e.challenger)),
                ("epoch", Number(e.epoch)),
                ("root", Hash(e.root)),
                ("bond", esm(U256::from(e.bond))),
                ("evidence", Hash(e.evidence)),
                ("rule_until_s", Time(e.ruleUntil)),
            ],
        ),
        Ruled(e) => (
            "Ruled",
            vec![
                ("case", number(e.id)),
                ("guilty", Flag(e.guilty)),
                ("reasons", Hash(e.reasons)),
                ("committee", Number(e.committee)),
                ("appeal_until_s", Time(e.appealUntil)),
            ],
        ),
        Unpaused(e) => ("Unpaused", vec![("account", Account(e.account))]),
    }
}

fn treasury(event: &TreasuryEvents) -> (&'static str, Fields) {
    use TreasuryEvents::*;
    match event {
        OwnershipTransferStarted(e) => (
            "OwnershipTransferStarted",
            vec![("previous_owner", Account(e.previousOwner)), ("new_owner", Account(e.newOwner))],
        ),
        OwnershipTransferred(e) => (
            "OwnershipTransferred",
            vec![("previous_owner", Account(e.previousOwner)), ("new_owner", Account(e.newOwner))],
        ),
        Spent(e) => (
            "Spent",
            vec![
                ("token", Account(e.token)),
                ("to", Account(e.to)),
                ("amount", esm(e.amount)),
                ("purpose", Hash(e.purpose)),
            ],
        ),
    }
}

fn emission(event: &EmissionScheduleEvents) -> (&'static str, Fields) {
    use EmissionScheduleEvents::*;
    match event {
        Released(e) => ("Released", vec![("epoch", Number(e.epoch)), ("amount", esm(U256::from(e.amount)))]),
    }
}

fn timelock(event: &EssaimTimelockEvents) -> (&'static str, Fields) {
    use EssaimTimelockEvents::*;
    match event {
        CallExecuted(e) => (
            "CallExecuted",
            vec![
                ("id", Hash(e.id)),
                ("index", number(e.index)),
                ("target", Account(e.target)),
                ("value", number(e.value)),
                ("data", Text(e.data.to_string())),
            ],
        ),
        CallSalt(e) => ("CallSalt", vec![("id", Hash(e.id)), ("salt", Hash(e.salt))]),
        CallScheduled(e) => (
            "CallScheduled",
            vec![
                ("id", Hash(e.id)),
                ("index", number(e.index)),
                ("target", Account(e.target)),
                ("value", number(e.value)),
                ("data", Text(e.data.to_string())),
                ("predecessor", Hash(e.predecessor)),
                ("delay_s", number(e.delay)),
            ],
        ),
        Cancelled(e) => ("Cancelled", vec![("id", Hash(e.id))]),
        MinDelayChange(e) => (
            "MinDelayChange",
            vec![("old_duration_s", number(e.oldDuration)), ("new_duration_s", number(e.newDuration))],
        ),
        RoleAdminChanged(e) => (
            "RoleAdminChanged",
            vec![
                ("role", Hash(e.role)),
                ("previous_admin_role", Hash(e.previousAdminRole)),
                ("new_admin_role", Hash(e.newAdminRole)),
            ],
        ),
        RoleGranted(e) => (
            "RoleGranted",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
        RoleRevoked(e) => (
            "RoleRevoked",
            vec![("role", Hash(e.role)), ("account", Account(e.account)), ("sender", Account(e.sender))],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        assert_eq!(
            [spaced("RootPosted"), spaced("Staked"), spaced("CallExecuted")],
            ["root posted", "staked", "call executed"]
        );
    }
}
