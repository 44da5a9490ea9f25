//! What a deployment promises, and plans that are refused.

use alloy_sol_types::SolConstructor as _;
use chain::bindings::{DisputeCourt, EpochRewards, EssaimTimelock, EssaimToken, StakeVault, Treasury};
use chain::units::ONE_ESM;
use chain::{Address, B256, Call, Chain as _, ChainError, DeployPlan, Genesis, LocalChain, U256, Wallet, Windows};
use chain::{deploy, deploy_resumable, encode};

use crate::stage::{Stage, plan, wallet};
use crate::wrapped::{Between, Wrapped};

fn refusal(change: impl FnOnce(&mut DeployPlan)) -> (String, u64) {
    let mut chain = LocalChain::in_memory(Genesis::default());
    let mut plan = plan();
    change(&mut plan);
    let error = deploy(&mut chain, &wallet("deployer", 0), &plan).expect_err("refused");
    (error.to_string(), chain.head().unwrap().number)
}

#[test]
fn a_plan_that_cannot_work_is_refused_before_anything_is_sent() {
    type Change = fn(&mut DeployPlan);
    let cases: [(Change, &str); 10] = [
        (|plan| plan.parties.poster = plan.parties.guardian, "two parts among"),
        (|plan| plan.parties.council = vec![plan.parties.committee[0]], "two parts among"),
        (|plan| plan.parties.poster = wallet("deployer", 0).address(), "no part in it afterwards"),
        (|plan| plan.windows.timelock_s = plan.windows.appeal_ruling_s, "before the timelock's"),
        (|plan| plan.windows.root_ruling_s = plan.windows.hold_s + 1, "can be held"),
        (|plan| plan.windows.cooldown_s = 40, "CooldownTooShort { limit: 40, given: 40 }"),
        (|plan| plan.windows.appeal_s = plan.windows.slash_s - 1, "WindowBounds"),
        (|plan| plan.parties.threshold = 1, "Threshold { least: 2, most: 3, given: 1 }"),
        (|plan| plan.bounty_ppm = ledger::BOUNTY_PPM + 1, "a bounty of 250001 ppm"),
        (|plan| plan.cap -= 1, "ScheduleAboveCap"),
    ];
    for (change, named) in cases {
        let (error, blocks) = refusal(change);
        assert!(error.contains(named), "{error} should name {named}");
        assert_eq!(blocks, 0, "{error}");
    }
}

#[test]
fn shipped_plans_pay_the_bounty_that_stakes_are_reckoned_with_and_a_vault_that_pays_more_is_named() {
    let mut stage = Stage::local();
    for plan in [DeployPlan::development, DeployPlan::live].map(|preset| preset(plan().parties, 0, 100 * ONE_ESM, 1)) {
        assert_eq!(plan.bounty_ppm, ledger::BOUNTY_PPM);
    }
    assert_eq!(stage.contracts.bounty_ppm(&*stage.chain).unwrap(), ledger::BOUNTY_PPM);
    stage.contracts.check_bounty(&*stage.chain).unwrap();
    // Somebody else's vault, with all that the contract allows.
    let generous = StakeVault::constructorCall {
        token_: stage.contracts.addresses.token,
        treasury_: stage.contracts.addresses.treasury,
        windows: StakeVault::Windows { cooldown: 60, detection: 30, slash: 10 },
        bountyPpm_: 500_000,
        admin: stage.stranger.address(),
    };
    let code = [&StakeVault::BYTECODE[..], &generous.abi_encode()].concat();
    let receipt = stage.does(&stage.stranger.clone(), Call::create(code));
    stage.contracts.addresses.vault = receipt.contract.expect("it was created");
    let refused = stage.contracts.check_bounty(&*stage.chain).unwrap_err();
    assert!(matches!(refused, ChainError::BountyTooHigh { limit: 250_000, given: 500_000 }), "{refused}");
}

/// A wire that breaks before or after a transaction.
struct Breaking {
    chain: LocalChain,
    /// Transactions until it breaks.
    left: u32,
    /// Whether the transaction that it breaks at gets through.
    through: bool,
}

impl Between for Breaking {
    fn look(&self) -> &LocalChain {
        &self.chain
    }
    fn act(&mut self) -> &mut LocalChain {
        &mut self.chain
    }
    fn before(&mut self) -> Result<(), ChainError> {
        if self.left == 0 && !self.through { Err(lost()) } else { Ok(()) }
    }
    fn after(&mut self) -> Result<(), ChainError> {
        if self.left == 0 {
            return Err(lost());
        }
        self.left -= 1;
        Ok(())
    }
}

fn lost() -> ChainError {
    ChainError::Unreachable { host: "a wrapped chain".into(), method: "submit", attempts: 1, cause: "broken".into() }
}

#[test]
fn a_deployment_that_stopped_anywhere_goes_on_and_sends_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deploying.json");
    let deployer = wallet("deployer", 0);
    // Eight contracts, eleven roles to grant, four to give up.
    const TRANSACTIONS: u64 = 8 + 11 + 4;
    for through in [false, true] {
        let mut wire = Wrapped(Breaking { chain: LocalChain::in_memory(Genesis::default()), left: 0, through });
        let mut stops = 0;
        let addresses = loop {
            wire.0.left = stops % 3; // sometimes at once, sometimes a little later
            match deploy_resumable(&mut wire, &deployer, &plan(), &path) {
                Ok(addresses) => break addresses,
                Err(ChainError::Unreachable { .. }) => stops += 1,
                Err(other) => panic!("{other}"),
            }
            assert!(stops < 100, "it gets somewhere");
        };
        assert!(stops >= 8, "{stops} stops");
        assert_eq!(wire.0.chain.head().unwrap().number, TRANSACTIONS);
        addresses.check(&wire.0.chain).unwrap();
        assert_eq!(addresses.block, 1);
        // Killed before the addresses were saved: the file is still there, and they are told again.
        wire.0.left = 99;
        assert_eq!(deploy_resumable(&mut wire, &deployer, &plan(), &path).unwrap(), addresses);
        assert_eq!(wire.0.chain.head().unwrap().number, TRANSACTIONS);
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_deployment_goes_on_only_with_its_own_plan_and_nonces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deploying.json");
    let deployer = wallet("deployer", 0);
    let chain = LocalChain::in_memory(Genesis::default());
    let mut wire = Wrapped(Breaking { chain, left: 3, through: false });
    deploy_resumable(&mut wire, &deployer, &plan(), &path).unwrap_err();
    wire.0.left = 99;
    let other = DeployPlan { bond_least: 5, ..plan() };
    let error = deploy_resumable(&mut wire, &deployer, &other, &path).unwrap_err();
    assert!(error.to_string().contains("another plan"), "{error}");
    wire.0.chain.send(&deployer, Call::create(Vec::new())).unwrap();
    let error = deploy_resumable(&mut wire, &deployer, &plan(), &path).unwrap_err();
    assert!(error.to_string().contains("sent something else meanwhile"), "{error}");
}

#[test]
fn both_presets_can_be_deployed() {
    for windows in [Windows::DEVELOPMENT, Windows::LIVE] {
        let mut chain = LocalChain::in_memory(Genesis::default());
        let plan = DeployPlan { windows, ..plan() };
        deploy(&mut chain, &wallet("deployer", 0), &plan).unwrap();
    }
    let live = DeployPlan::live(plan().parties, 0, 100 * ONE_ESM, 1_000);
    assert!(live.cap < 200_000 * ONE_ESM, "the cap is what the schedule can mint: {}", live.cap);
}

#[test]
fn nobody_has_a_power_that_is_a_contracts() {
    let mut stage = Stage::local();
    let at = stage.contracts.addresses;
    let one = U256::from(1);
    let to = stage.stranger.address();
    let grant = |contract| Call::to(contract, encode(EssaimToken::grantRoleCall { role: B256::ZERO, account: to }));
    let slash = StakeVault::openSlashCall { account: to, amount: 1, evidence: B256::ZERO, beneficiary: Address::ZERO };
    let seats = DisputeCourt::setCommitteeCall { members: vec![to], needed: 1 };
    let powers = [
        Call::to(at.token, encode(EssaimToken::mintCall { to, amount: one })),
        Call::to(at.vault, encode(slash)),
        Call::to(at.court, encode(DisputeCourt::ruleAppealCall { id: one, upheld: true })),
        Call::to(at.court, encode(seats)),
        Call::to(at.treasury, encode(Treasury::spendCall { token: at.token, to, amount: one, purpose: B256::ZERO })),
        Call::to(at.rewards, encode(EpochRewards::holdPendingCall { epoch: 0, until: 1 })),
        grant(at.token),
        grant(at.vault),
        grant(at.rewards),
        grant(at.court),
        grant(at.timelock),
    ];
    let (deployer, guardian, poster) = (stage.deployer.clone(), stage.guardian.clone(), stage.poster.clone());
    for someone in [deployer, guardian, poster, wallet("council", 0), stage.stranger.clone()] {
        for power in &powers {
            let reason = stage.refused(&someone, power.clone()).to_string();
            assert!(reason.contains("Unauthorized"), "{someone}: {reason}");
        }
    }
}

#[test]
fn the_council_acts_only_after_the_delay_and_the_guardian_can_stop_it() {
    let mut stage = Stage::local();
    let (at, delay) = (stage.contracts.addresses, stage.plan.windows.timelock_s);
    let (council, guardian, stranger) = (wallet("council", 0), stage.guardian.clone(), stage.stranger.clone());
    let act = |least: u64| {
        let price =
            chain::bindings::IDisputeCourt::Bonds { least: U256::from(least).to(), ppm: 7, root: U256::from(9).to() };
        encode(DisputeCourt::setBondsCall { price })
    };
    let (target, value, none) = (at.court, U256::ZERO, B256::ZERO);
    let schedule = |data| {
        let (predecessor, salt, delay) = (none, none, U256::from(delay));
        let call = EssaimTimelock::scheduleCall { target, value, data, predecessor, salt, delay };
        Call::to(at.timelock, encode(call))
    };
    let execute = |payload| {
        let (predecessor, salt) = (none, none);
        Call::to(at.timelock, encode(EssaimTimelock::executeCall { target, value, payload, predecessor, salt }))
    };
    let unscheduled = stage.refused(&stranger, schedule(act(5))).to_string();
    assert!(unscheduled.contains("Unauthorized"), "{unscheduled}");
    let act_once = |stage: &mut Stage, least, stopped: bool| {
        let receipt = stage.does(&council, schedule(act(least)));
        let early = stage.refused(&stranger, execute(act(least))).to_string();
        assert!(early.contains("TimelockUnexpectedOperationState"), "{early}");
        stage.pass(delay - 1);
        stage.refused(&stranger, execute(act(least)));
        if stopped {
            let id = receipt.logs[0].topics[1];
            stage.does(&guardian, Call::to(at.timelock, encode(EssaimTimelock::cancelCall { id })));
        }
        stage.pass(1);
    };
    act_once(&mut stage, 5, false);
    stage.does(&stranger, execute(act(5)));
    assert_eq!(stage.contracts.bond_for(&*stage.chain, 1_000).unwrap(), 5);
    act_once(&mut stage, 6, true);
    stage.refused(&stranger, execute(act(6)));
    assert_eq!(stage.contracts.bond_for(&*stage.chain, 1_000).unwrap(), 5);
}

#[test]
fn an_addresses_file_says_where_everything_is_and_nothing_else() {
    let stage = Stage::local();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("addresses.json");
    stage.contracts.addresses.save(&path).unwrap();
    assert_eq!(chain::Addresses::load(&path).unwrap(), stage.contracts.addresses);
    for (text, named) in [("{", "EOF"), ("{}", "missing field"), (&" ".repeat(20_000), "longer than 16384 bytes")] {
        std::fs::write(&path, text).unwrap();
        let error = chain::Addresses::load(&path).unwrap_err();
        assert!(matches!(&error, ChainError::File { .. }) && error.to_string().contains(named), "{error}");
    }
    let poor = Wallet::derive(&[3; 32], "nobody", 0);
    assert!(chain::Addresses::load(&folder.path().join(poor.to_string())).is_err());
}
