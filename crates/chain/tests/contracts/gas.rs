//! What every operation costs, as a committed table.
//!
//! Promise: `docs/gas.md` says what the committed bytecode costs, within one in a hundred; posting an epoch's root
//! and claiming again stay below their limits. Written anew by
//! `ESSAIM_WRITE_GAS=1 cargo test -p chain --test contracts gas`.

use std::fmt::Write as _;
use std::fs;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolConstructor};
use chain::bindings::{
    DisputeCourt as Court, EmissionSchedule, EpochRewards as Rewards, EssaimTimelock, EssaimToken, IDisputeCourt,
    NodeRegistry, StakeVault as Vault, Treasury,
};

use super::gas_rows::{Claims, Rulings, permit, registration, stake_with_permit};
use super::world::{
    ADMIN, ANSWER, APPEAL, COOLDOWN, Code, DISPUTE, GUARDIAN, POSTER, SLASHER, STRANGER, World, committee, contracts,
    court_arguments, named, vault_arguments,
};

/// Most gas of posting an epoch's root, once two were posted, and of a claim by who has claimed before.
const LIMIT: u64 = 60_000;
/// Accounts in a root up to which claiming again is below the limit: the largest such power of two.
const ACCOUNTS: u64 = 4_096;

/// One operation and what it costs.
struct Row {
    operation: String,
    gas: u64,
    limit: Option<u64>,
}

/// Measures operations on one world, in order.
struct Meter {
    world: World,
    rows: Vec<Row>,
}

impl Meter {
    fn row<C: SolCall>(&mut self, operation: &str, from: Address, to: Address, call: &C) {
        let gas = self.world.does(from, to, call).gas;
        self.rows.push(Row { operation: operation.to_owned(), gas, limit: None });
    }

    /// As `row`, with the limit of the operations that are done each epoch.
    fn limited<C: SolCall>(&mut self, operation: &str, from: Address, to: Address, call: &C) {
        self.row(operation, from, to, call);
        self.rows.last_mut().expect("just pushed").limit = Some(LIMIT);
    }

    fn created(&mut self, name: &str, code: &[u8], arguments: &[u8]) -> Address {
        let (address, gas) = self.world.evm.create(ADMIN, code, arguments);
        self.rows.push(Row { operation: format!("deploy {name}"), gas, limit: None });
        address
    }

    fn pass(&mut self, seconds: u64) {
        self.world.evm.now += seconds;
    }
}

fn measured() -> Vec<Row> {
    let mut meter = Meter { world: World::new(&Code::committed()), rows: vec![] };
    token(&mut meter);
    registry(&mut meter);
    stake(&mut meter);
    convicted(&mut meter);
    acquitted(&mut meter);
    rewards(&mut meter);
    challenged(&mut meter);
    deployed(&mut meter);
    meter.rows
}

fn token(meter: &mut Meter) {
    let (token, [one, two, ..]) = (meter.world.token, meter.world.people);
    let transfer = |to| EssaimToken::transferCall { to, value: U256::from(1_000_000) };
    meter.row("token: transfer to a new holder", one, token, &transfer(Address::repeat_byte(0x11)));
    meter.row("token: transfer to a holder", one, token, &transfer(two));
    meter.row("token: delegate votes", one, token, &EssaimToken::delegateCall { delegatee: one });
    meter.world.does(two, token, &EssaimToken::delegateCall { delegatee: two });
    meter.pass(1);
    meter.row("token: transfer between two who delegate", one, token, &transfer(two));
    for who in [one, two] {
        meter.world.does(who, token, &EssaimToken::delegateCall { delegatee: Address::ZERO });
    }
    let (spender, value) = (Address::repeat_byte(0x13), U256::from(1_000_000));
    meter.row("token: approve, first of a spender", one, token, &EssaimToken::approveCall { spender, value });
    meter.row("token: approve, more", one, token, &EssaimToken::approveCall { spender, value: value + value });
    let permitted = permit(&mut meter.world, 1, spender, 1_000_000);
    meter.row("token: permit, first of an account and a spender", STRANGER, token, &permitted);
}

fn registry(meter: &mut Meter) {
    let owner = meter.world.people[0];
    let registry = meter.created("NodeRegistry", &NodeRegistry::BYTECODE, &[]);
    let [first, second] = [0, 1].map(|number| registration(registry, owner, number));
    let (kind, meta) = (1.try_into().expect("a kind"), B256::repeat_byte(5));
    let (key, signature) = first;
    let register = NodeRegistry::registerCall { peerKey: key, kind, meta, signature };
    meter.row("registry: register", owner, registry, &register);
    let (next, signature) = second;
    let rotate = NodeRegistry::rotateKeyCall { oldKey: key, newKey: next, signature };
    meter.row("registry: rotateKey", owner, registry, &rotate);
    let meta = NodeRegistry::setMetaCall { peerKey: next, meta: B256::repeat_byte(6) };
    meter.row("registry: setMeta", owner, registry, &meta);
    meter.row("registry: retire", owner, registry, &NodeRegistry::retireCall { peerKey: next });
}

fn stake(meter: &mut Meter) {
    let (vault, [one, two, three, four]) = (meter.world.vault, meter.world.people);
    let stake = Vault::stakeCall { amount: 5_000_000_000 };
    meter.row("vault: stake, the first of all", one, vault, &stake);
    meter.row("vault: stake, first of an account", two, vault, &stake);
    meter.row("vault: stake, more", two, vault, &stake);
    let permit = stake_with_permit(&mut meter.world, 2, stake.amount);
    meter.row("vault: stakeWithPermit, first of an account", three, vault, &permit);
    let call = Vault::stakeForCall { account: two, amount: 1_000_000 };
    meter.row("vault: stakeFor, more", four, vault, &call);
    let leave = Vault::requestLeaveCall { amount: 1_000_000 };
    meter.row("vault: requestLeave", two, vault, &leave);
    meter.row("vault: cancelLeave", two, vault, &Vault::cancelLeaveCall {});
    meter.world.does(two, vault, &leave);
    meter.pass(COOLDOWN);
    meter.row("vault: withdraw", two, vault, &Vault::withdrawCall {});
}

fn open(accused: Address) -> Court::openCaseCall {
    Court::openCaseCall { accused, amount: 1_000_000_000, evidence: B256::repeat_byte(9) }
}

fn convicted(meter: &mut Meter) {
    let (court, [.., accused, accuser]) = (meter.world.court, meter.world.people);
    meter.row("court: openCase, the first of all", accuser, court, &open(accused));
    meter.row("court: openCase, next", accuser, court, &open(accused));
    meter.world.does(accuser, court, &open(accused));
    let respond = |id: u64| Court::respondCall { id: U256::from(id), answer: B256::repeat_byte(8) };
    meter.row("court: respond", accused, court, &respond(1));
    meter.pass(ANSWER + 1);
    for id in 1..=3 {
        let rule = meter.world.ruling(id, true);
        let name = "court: rule, guilty, two signatures";
        if id == 1 { meter.row(name, STRANGER, court, &rule) } else { drop(meter.world.does(STRANGER, court, &rule)) }
    }
    let appeal = |id: u64| Court::appealCall { id: U256::from(id), reasons: B256::repeat_byte(7) };
    meter.row("court: appeal", accused, court, &appeal(2));
    meter.world.does(accused, court, &appeal(3));
    meter.pass(APPEAL);
    let again = |id: u64, upheld| Court::ruleAppealCall { id: U256::from(id), upheld };
    meter.row("court: ruleAppeal, upheld", ADMIN, court, &again(2, true));
    meter.row("court: ruleAppeal, dismissed; the stake is taken", ADMIN, court, &again(3, false));
    meter.pass(1);
    let execute = Court::executeCall { id: U256::from(1) };
    meter.row("court: execute; the stake is taken", STRANGER, court, &execute);
}

fn acquitted(meter: &mut Meter) {
    let (court, [.., accused, accuser]) = (meter.world.court, meter.world.people);
    for _ in 4..=6 {
        meter.world.does(accuser, court, &open(accused));
    }
    meter.pass(ANSWER + 1);
    let rule = meter.world.ruling(4, false);
    meter.row("court: rule, not guilty, two signatures", STRANGER, court, &rule);
    let cancel = Court::cancelCaseCall { id: U256::from(5) };
    meter.row("court: cancelCase by the guardian", GUARDIAN, court, &cancel);
    meter.pass(1_000);
    meter.row("court: expire", STRANGER, court, &Court::expireCall { id: U256::from(6) });
    let (vault, evidence, beneficiary) = (meter.world.vault, B256::repeat_byte(9), STRANGER);
    let slash = Vault::openSlashCall { account: accused, amount: 1_000_000, evidence, beneficiary };
    for _ in 7..=8 {
        meter.world.does(SLASHER, vault, &slash); // two, so that something stays reserved, which pays nothing back
    }
    meter.row("vault: cancelSlash by the guardian", GUARDIAN, vault, &Vault::cancelSlashCall { id: U256::from(7) });
}

fn rewards(meter: &mut Meter) {
    let (rewards, [one, two, ..]) = (meter.world.rewards, meter.world.people);
    let arguments = EmissionSchedule::constructorCall {
        token_: meter.world.token,
        rewards_: rewards,
        first_: 100_000_000_000,
        halvingEpochs_: 4,
        interval_: 1,
    };
    let emission = meter.created("EmissionSchedule", &EmissionSchedule::BYTECODE, &arguments.abi_encode());
    meter.world.grant_role(meter.world.token, "MINTER_ROLE", emission);
    meter.pass(10);
    meter.row("emission: release, the first", STRANGER, emission, &EmissionSchedule::releaseCall { epoch: 0 });
    meter.row("emission: release, next", STRANGER, emission, &EmissionSchedule::releaseCall { epoch: 1 });
    meter.row("rewards: fund", POSTER, rewards, &Rewards::fundCall { amount: 1_000_000_000 });
    let mut claims = Claims::new(rewards, [one, two]);
    for (epoch, name) in ["the first", "the second", "the third and all later"].into_iter().enumerate() {
        let post = claims.post(epoch as u64, 4_096);
        let name = format!("rewards: postRoot, {name}");
        if epoch < 2 {
            meter.row(&name, POSTER, rewards, &post)
        } else {
            meter.limited(&name, POSTER, rewards, &post)
        }
        meter.pass(DISPUTE);
    }
    meter.row("rewards: claim, 4,096 leaves, first of an account", STRANGER, rewards, &claims.claim(0));
    let to = claims.claim_to(1, Address::repeat_byte(0x12));
    meter.row("rewards: claimTo, 4,096 leaves, first of an account, to a new holder", STRANGER, rewards, &to);
    for (epoch, leaves) in [(3, 256), (4, ACCOUNTS), (5, 2 * ACCOUNTS), (6, 65_536)] {
        let post = claims.post(epoch, leaves);
        meter.world.does(POSTER, rewards, &post);
        meter.pass(DISPUTE);
        let name = format!("rewards: claim again, {} leaves", thousands(leaves));
        let claim = claims.claim(0);
        if leaves > ACCOUNTS {
            meter.row(&name, STRANGER, rewards, &claim);
        } else {
            meter.limited(&name, STRANGER, rewards, &claim);
        }
    }
}

fn challenged(meter: &mut Meter) {
    let (court, rewards, accuser) = (meter.world.court, meter.world.rewards, meter.world.people[3]);
    let mut claims = Claims::new(rewards, [meter.world.people[0], meter.world.people[1]]);
    let post = claims.post(7, 256);
    meter.world.does(POSTER, rewards, &post);
    let challenge = Court::challengeRootCall { epoch: 7, root: post.root, evidence: named("evidence", 0) };
    meter.row("court: challengeRoot", accuser, court, &challenge);
    let rule = meter.world.ruling(7, true);
    meter.row("court: rule, the root is void, two signatures", STRANGER, court, &rule);
    let post = claims.post(8, 256);
    meter.world.does(POSTER, rewards, &post);
    meter.row("rewards: voidPending by the guardian", GUARDIAN, rewards, &Rewards::voidPendingCall { epoch: 8 });
    meter.row("vault: pause", GUARDIAN, meter.world.vault, &Vault::pauseCall {});
}

fn deployed(meter: &mut Meter) {
    let (token, rewards) = (meter.world.token, meter.world.rewards);
    let (cap_, genesis) = (U256::from(u64::MAX), U256::from(1_000_000));
    let arguments = EssaimToken::constructorCall { cap_, genesisHolder: ADMIN, genesis, admin: ADMIN };
    meter.created("EssaimToken", &EssaimToken::BYTECODE, &arguments.abi_encode());
    let vault = meter.created("StakeVault", &Vault::BYTECODE, &vault_arguments(token).abi_encode());
    let arguments = Rewards::constructorCall { token_: token, disputeWindow_: 60, holdWindow_: 600, admin: ADMIN };
    meter.created("EpochRewards", &Rewards::BYTECODE, &arguments.abi_encode());
    meter.created("DisputeCourt", &Court::BYTECODE, &court_arguments(token, vault, rewards).abi_encode());
    let treasury = Treasury::constructorCall { timelock: ADMIN };
    let treasury = meter.created("Treasury", &Treasury::BYTECODE, &treasury.abi_encode());
    let arguments = EssaimTimelock::constructorCall {
        minDelay: U256::from(60),
        proposers: vec![ADMIN],
        executors: vec![Address::ZERO],
        guardian: GUARDIAN,
    };
    let timelock = meter.created("EssaimTimelock", &EssaimTimelock::BYTECODE, &arguments.abi_encode());
    governed(meter, timelock);
    let transfer = EssaimToken::transferCall { to: treasury, value: U256::from(1_000_000) };
    meter.world.does(ADMIN, token, &transfer);
    let spend = Treasury::spendCall { token, to: STRANGER, amount: U256::from(1), purpose: B256::repeat_byte(1) };
    meter.row("treasury: spend", ADMIN, treasury, &spend);
}

/// Acts of the council that wait for the timelock, and what they change in the court.
fn governed(meter: &mut Meter, timelock: Address) {
    let (court, none) = (meter.world.court, B256::ZERO);
    let price = IDisputeCourt::Bonds { least: U256::from(2_000).to(), ppm: 200_000, root: U256::from(9_000).to() };
    let members = committee().iter().map(chain::Wallet::address).collect();
    meter.row("court: setBonds", ADMIN, court, &Court::setBondsCall { price });
    meter.row("court: setCommittee, three members", ADMIN, court, &Court::setCommitteeCall { members, needed: 3 });
    meter.world.grant_role(court, "GUARDIAN_ROLE", timelock); // any call will do that the timelock may make
    let act = || Court::pauseCall {}.abi_encode();
    let schedule = |salt| EssaimTimelock::scheduleCall {
        target: court,
        value: U256::ZERO,
        data: act().into(),
        predecessor: none,
        salt,
        delay: U256::from(60),
    };
    meter.row("timelock: schedule", ADMIN, timelock, &schedule(none));
    let salt = B256::repeat_byte(1);
    meter.world.does(ADMIN, timelock, &schedule(salt));
    let named = (court, U256::ZERO, Bytes::from(act()), none, salt);
    let id = keccak256(alloy_sol_types::SolValue::abi_encode_params(&named));
    meter.row("timelock: cancel by the guardian", GUARDIAN, timelock, &EssaimTimelock::cancelCall { id });
    meter.pass(60);
    let (target, value, payload, predecessor) = (court, U256::ZERO, act().into(), none);
    let execute = EssaimTimelock::executeCall { target, value, payload, predecessor, salt: none };
    meter.row("timelock: execute; the court is paused", STRANGER, timelock, &execute);
}

/// The table as it is committed.
fn page(rows: &[Row]) -> String {
    let mut text = format!(
        "# Gas\n\n\
        What each operation costs, in gas, with the committed bytecode under the Cancun rules. Nothing is written to \
        the chain per rollout: an epoch costs one `release`, one `postRoot`, and a claim by whoever wants its money.\n\n\
        The figures are measured in the in-process EVM; a real node counts the same. They are written by \
        `ESSAIM_WRITE_GAS=1 cargo test -p chain --test contracts gas`; without the variable the same test fails if one \
        is off by more than 1 %, or above its limit. A claim costs about 760 more for each doubling of the accounts, \
        and more for a holder who delegates votes.\n\n\
        The limit of a claim again holds up to {} accounts in a root; with twice as many it is passed by a \
        little, and with 65,536 by less than one in twenty.\n\n\
        | operation | gas | limit |\n|---|---:|---:|\n",
        thousands(ACCOUNTS),
    );
    for row in rows {
        let limit = row.limit.map(thousands).unwrap_or_default();
        writeln!(text, "| {} | {} | {limit} |", row.operation, thousands(row.gas)).expect("a string takes all");
    }
    text
}

/// `1234567` as `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let group = |(index, digit): (usize, char)| {
        let comma = index > 0 && (digits.len() - index).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// Operation and gas of each row of a committed table.
fn committed(text: &str) -> Vec<(String, u64)> {
    let rows = text.lines().skip_while(|line| !line.starts_with("|---")).skip(1);
    rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        (cells[1].to_owned(), cells[2].replace(',', "").parse().expect("a number"))
    })
    .collect()
}

#[test]
fn gas_is_what_the_table_says_and_below_its_limits() {
    let rows = measured();
    let path = contracts().join("../docs/gas.md");
    if std::env::var_os("ESSAIM_WRITE_GAS").is_some() {
        fs::write(&path, page(&rows)).expect("docs can be written");
    }
    let beyond = format!("rewards: claim again, {} leaves", thousands(2 * ACCOUNTS));
    let beyond = rows.iter().find(|row| row.operation == beyond).expect("measured");
    assert!(beyond.gas > LIMIT, "{}: {} would be within the limit", beyond.operation, beyond.gas);
    for row in &rows {
        assert!(row.limit.is_none_or(|limit| row.gas <= limit), "{}: {} is above the limit", row.operation, row.gas);
    }
    let table = committed(&fs::read_to_string(&path).expect("docs/gas.md is committed"));
    let names: Vec<_> = rows.iter().map(|row| &row.operation).collect();
    assert_eq!(table.iter().map(|(name, _)| name).collect::<Vec<_>>(), names, "write the table anew");
    for (row, (_, gas)) in rows.iter().zip(table) {
        assert!(row.gas.abs_diff(gas) * 100 <= gas, "{}: {} now, {gas} in the table", row.operation, row.gas);
    }
}
