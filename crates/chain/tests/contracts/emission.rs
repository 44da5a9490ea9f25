//! Random histories of the emission schedule. I11: each epoch's budget is minted once, in order, not before its time,
//! and the supply never passes the cap.

use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolConstructor, SolError};
use chain::bindings::{EmissionSchedule as Schedule, EpochRewards, EssaimToken};
use proptest::{prop_assert, prop_assert_eq};

use super::evm::Evm;
use super::play::{FLOOR_CASES, Played, Step, Tally, campaign, histories};
use super::world::{ADMIN, START, STRANGER};

const LENGTH: usize = 64;
/// release, deadline, mint.
const WEIGHTS: &[u32] = &[10, 20, 1];
/// Of each act, how often it must work and be refused in 300 histories; about half of what is seen.
const FLOORS: &[(&str, u32, u32)] = &[("release", 3_000, 3_000), ("mint", 0, 250)];
const FIRST: u64 = 1_000_003;
const HALVING: u64 = 3;
const INTERVAL: u64 = 50;
const GENESIS: u64 = 5_000;

/// `first >> (epoch / halving)`.
fn budget(epoch: u64) -> u64 {
    FIRST.checked_shr((epoch / HALVING) as u32).unwrap_or_default()
}

/// All that can ever be: the cap leaves no unit to spare.
fn cap() -> u64 {
    GENESIS + (0..64).map(|halvings| (FIRST >> halvings) * HALVING).sum::<u64>()
}

#[derive(Clone)]
struct Play<'a> {
    evm: Evm,
    token: Address,
    rewards: Address,
    schedule: Address,
    tally: &'a Tally,
    next: u64,
    released: u64,
}

fn deployed(tally: &Tally) -> Play<'_> {
    let mut evm = Evm::new(START);
    let (cap_, genesis) = (U256::from(cap()), U256::from(GENESIS));
    let arguments = EssaimToken::constructorCall { cap_, genesisHolder: ADMIN, genesis, admin: ADMIN };
    let (token, _) = evm.create(ADMIN, &EssaimToken::BYTECODE, &arguments.abi_encode());
    let arguments = EpochRewards::constructorCall { token_: token, disputeWindow_: 10, holdWindow_: 10, admin: ADMIN };
    let (rewards, _) = evm.create(ADMIN, &EpochRewards::BYTECODE, &arguments.abi_encode());
    let arguments = Schedule::constructorCall {
        token_: token,
        rewards_: rewards,
        first_: FIRST.into(),
        halvingEpochs_: HALVING,
        interval_: INTERVAL,
    };
    let (schedule, _) = evm.create(ADMIN, &Schedule::BYTECODE, &arguments.abi_encode());
    let role = alloy_primitives::keccak256("MINTER_ROLE");
    let grant = EssaimToken::grantRoleCall { role, account: schedule };
    assert!(evm.send(ADMIN, token, &grant).is_ok(), "the admin grants");
    Play { evm, token, rewards, schedule, tally, next: 0, released: 0 }
}

#[test]
fn schedule_mints_each_budget_once_and_in_time() {
    let tally = Tally::default();
    let start = deployed(&tally);
    let play = |steps: Vec<Step>| {
        let mut play = start.clone();
        steps.iter().try_for_each(|step| play.step(step).and_then(|()| play.invariants()))
    };
    let cases = campaign(FLOOR_CASES, 500, histories(WEIGHTS, LENGTH), play);
    tally.hold_floors(cases.unwrap_or_else(|error| panic!("{error}")), FLOORS);
}

impl Play<'_> {
    fn step(&mut self, step: &Step) -> Played {
        match step.act {
            0 => self.release(match step.way % 8 {
                0 => self.next.saturating_sub(1),
                1 => self.next + 1,
                _ => self.next,
            }),
            1 => {
                let ready_at = START + self.next * INTERVAL;
                self.evm.now = self.evm.now.max(ready_at.saturating_sub(u64::from(step.way.is_multiple_of(4))));
                self.release(self.next)
            }
            _ => {
                let call = EssaimToken::mintCall { to: STRANGER, amount: U256::from(1) };
                let from = if step.way < 128 { STRANGER } else { ADMIN };
                let got = self.evm.send(from, self.token, &call);
                let expected = Err(EssaimToken::AccessControlUnauthorizedAccount::SELECTOR);
                self.tally.hold("mint", got, expected).map(drop)
            }
        }
    }

    fn release(&mut self, epoch: u64) -> Played {
        let got = self.evm.send(STRANGER, self.schedule, &Schedule::releaseCall { epoch });
        let expected = match () {
            () if epoch != self.next => Err(Schedule::NotNextEpoch::SELECTOR),
            () if self.evm.now < START + epoch * INTERVAL => Err(Schedule::TooEarly::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("release", got, expected)?.is_some() {
            self.next += 1;
            self.released += budget(epoch);
        }
        Ok(())
    }

    fn invariants(&mut self) -> Played {
        let supply = self.evm.ask(self.token, &EssaimToken::totalSupplyCall {});
        prop_assert_eq!(supply, U256::from(GENESIS + self.released), "I11: supply");
        prop_assert!(GENESIS + self.released <= cap(), "I11: cap");
        let funded = self.evm.ask(self.rewards, &EpochRewards::fundedCall {});
        prop_assert_eq!(funded, u128::from(self.released), "all of it is there to be claimed");
        Ok(())
    }
}
