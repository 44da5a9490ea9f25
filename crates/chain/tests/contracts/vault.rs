//! Random histories of the vault against a model of four nodes.
//!
//! Invariants, after every step: I1 balance = totalHeld = Σ(active + leaving); I2 reserved ≤ held; I3 deposits =
//! withdrawals + slashed + held; I4 a node's withdrawals ≤ its deposits; I5 no withdrawal before its time (by the
//! model's answer to every call); I6 a slash ends once, and what was executed is what treasury and accusers gained.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolError;
use chain::bindings::StakeVault as Vault;
use proptest::{prop_assert, prop_assert_eq};

use super::play::{Expected, FLOOR_CASES, Played, Step, Tally, campaign, histories};
use super::world::{BOUNTY_PPM, COOLDOWN, Code, GUARDIAN, PURSE, SLASH, SLASHER, STRANGER, TREASURY, World};

const LENGTH: usize = 64;
/// stake, stakeFor, requestLeave, cancelLeave, withdraw, openSlash, cancelSlash, executeSlash, wait, deadline, pause.
const WEIGHTS: &[u32] = &[10, 4, 12, 3, 8, 10, 4, 6, 6, 24, 2];
/// Of each act, how often it must work and be refused in 300 histories; about half of what is seen.
const FLOORS: &[(&str, u32, u32)] = &[
    ("stake", 1000, 60),
    ("stakeFor", 300, 15),
    ("requestLeave", 700, 500),
    ("cancelLeave", 45, 250),
    ("withdraw", 350, 1000),
    ("openSlash", 450, 500),
    ("cancelSlash", 45, 350),
    ("executeSlash", 230, 700),
    ("pause", 150, 0),
    ("unpause", 150, 0),
];

#[derive(Clone, Copy, Default)]
struct Node {
    active: u64,
    leaving: u64,
    leave_at: u64,
    claimed: u64,
    deposited: u64,
    withdrawn: u64,
}

struct Slash {
    node: usize,
    amount: u64,
    ready_at: u64,
    open: bool,
    beneficiary: Address,
}

struct Case<'a> {
    world: World,
    tally: &'a Tally,
    nodes: [Node; 4],
    slashes: Vec<Slash>,
    paused: bool,
    slashed: u64,
    bounties: u64,
}

/// Plays `cases` histories; the first that goes wrong is the error.
pub(crate) fn explore(code: &Code, cases: u32, shrinks: u32, tally: &Tally) -> Result<u32, String> {
    let world = World::new(code);
    let play = |steps: Vec<Step>| Case::new(&world, tally).play(&steps);
    campaign(cases, shrinks, histories(WEIGHTS, LENGTH), play).map_err(|error| error.to_string())
}

#[test]
fn vault_does_what_its_model_says() {
    let tally = Tally::default();
    let cases = explore(&Code::committed(), FLOOR_CASES, 2_000, &tally).unwrap_or_else(|error| panic!("{error}"));
    tally.hold_floors(cases, FLOORS);
}

impl<'a> Case<'a> {
    fn new(world: &World, tally: &'a Tally) -> Self {
        let world = world.clone();
        Self { world, tally, nodes: [Node::default(); 4], slashes: vec![], paused: false, slashed: 0, bounties: 0 }
    }

    fn play(mut self, steps: &[Step]) -> Played {
        for step in steps {
            self.step(step)?;
            self.invariants()?;
        }
        Ok(())
    }

    fn now(&self) -> u64 {
        self.world.evm.now
    }

    fn held(&self, node: usize) -> u64 {
        self.nodes[node].active + self.nodes[node].leaving
    }

    fn reserved(&self, node: usize) -> u64 {
        self.nodes[node].claimed.min(self.held(node))
    }

    fn step(&mut self, step: &Step) -> Played {
        if self.paused && step.way.is_multiple_of(4) {
            return self.pause();
        }
        match step.act {
            0 => self.stake(step.who, step.who, step.ppm),
            1 => self.stake(step.who, step.other % 4, step.ppm),
            2 => self.request_leave(step.who, share(self.nodes[step.who].active, step.ppm)),
            3 => self.cancel_leave(step.who),
            4 => self.withdraw(step.who),
            5 => self.open(step),
            6 => self.cancel(step.other % (self.slashes.len() + 1), step.way),
            7 => self.execute(step.other % (self.slashes.len() + 1), step.way),
            8 => {
                self.world.evm.now += step.ppm / 4_000;
                Ok(())
            }
            9 => self.deadline(step),
            _ => self.pause(),
        }
    }

    fn stake(&mut self, payer: usize, account: usize, ppm: u64) -> Played {
        let amount = ppm % 1_000; // one in a thousand asks for nothing
        let people = self.world.people;
        let (name, got) = if payer == account {
            ("stake", self.world.ask_vault(people[payer], &Vault::stakeCall { amount: amount.into() }))
        } else {
            let call = Vault::stakeForCall { account: people[account], amount: amount.into() };
            ("stakeFor", self.world.ask_vault(people[payer], &call))
        };
        let expected = match () {
            () if self.paused => Err(Vault::EnforcedPause::SELECTOR),
            () if amount == 0 => Err(Vault::ZeroAmount::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold(name, got, expected)?.is_some() {
            self.nodes[account].active += amount;
            self.nodes[account].deposited += amount;
        }
        Ok(())
    }

    fn request_leave(&mut self, who: usize, amount: u64) -> Played {
        let got = self.world.ask_vault(self.world.people[who], &Vault::requestLeaveCall { amount: amount.into() });
        let leave_at = self.now() + COOLDOWN;
        let node = &mut self.nodes[who];
        let expected = match () {
            () if amount == 0 => Err(Vault::ZeroAmount::SELECTOR),
            () if amount > node.active => Err(Vault::NotEnoughStake::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("requestLeave", got, expected)?.is_some() {
            node.active -= amount;
            node.leaving += amount;
            node.leave_at = leave_at;
        }
        Ok(())
    }

    fn cancel_leave(&mut self, who: usize) -> Played {
        let got = self.world.ask_vault(self.world.people[who], &Vault::cancelLeaveCall {});
        let node = &mut self.nodes[who];
        let expected = if node.leaving == 0 { Err(Vault::NothingLeaving::SELECTOR) } else { Ok(()) };
        if self.tally.hold("cancelLeave", got, expected)?.is_some() {
            node.active += node.leaving;
            (node.leaving, node.leave_at) = (0, 0);
        }
        Ok(())
    }

    fn withdraw(&mut self, who: usize) -> Played {
        let got = self.world.ask_vault(self.world.people[who], &Vault::withdrawCall {});
        let amount = self.nodes[who].leaving.min(self.held(who) - self.reserved(who));
        let now = self.now();
        let node = &mut self.nodes[who];
        let expected = match () {
            () if node.leaving == 0 => Err(Vault::NothingLeaving::SELECTOR),
            () if now < node.leave_at => Err(Vault::TooEarly::SELECTOR),
            () if amount == 0 => Err(Vault::StakeReserved::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("withdraw", got, expected)?.is_some() {
            node.leaving -= amount;
            node.withdrawn += amount;
        }
        Ok(())
    }

    fn open(&mut self, step: &Step) -> Played {
        let (who, people) = (step.who, self.world.people);
        let amount = share(self.held(who), step.ppm);
        let beneficiary = [Address::ZERO, people[step.other % 4], STRANGER][usize::from(step.way % 3)];
        let caller = if step.way > 240 { STRANGER } else { SLASHER };
        let (account, evidence) = (people[who], B256::ZERO);
        let call = Vault::openSlashCall { account, amount: amount.into(), evidence, beneficiary };
        let got = self.world.ask_vault(caller, &call);
        let expected = match () {
            () if caller != SLASHER => Err(Vault::AccessControlUnauthorizedAccount::SELECTOR),
            () if self.paused => Err(Vault::EnforcedPause::SELECTOR),
            () if amount == 0 => Err(Vault::ZeroAmount::SELECTOR),
            () if amount > self.held(who) => Err(Vault::NotEnoughStake::SELECTOR),
            () if beneficiary == account => Err(Vault::BadBeneficiary::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("openSlash", got, expected)?.is_some() {
            self.nodes[who].claimed += amount;
            self.slashes.push(Slash { node: who, amount, ready_at: self.now() + SLASH, open: true, beneficiary });
        }
        Ok(())
    }

    /// The slash, if it is open; slash 0 and those not yet opened are not.
    fn opened(&self, id: usize) -> Option<&Slash> {
        id.checked_sub(1).and_then(|index| self.slashes.get(index)).filter(|slash| slash.open)
    }

    fn close(&mut self, id: usize) -> (usize, u64) {
        let slash = &mut self.slashes[id - 1];
        slash.open = false;
        self.nodes[slash.node].claimed -= slash.amount;
        (slash.node, slash.amount)
    }

    fn cancel(&mut self, id: usize, way: u8) -> Played {
        let caller = [SLASHER, SLASHER, GUARDIAN, STRANGER][usize::from(way % 4)];
        let got = self.world.ask_vault(caller, &Vault::cancelSlashCall { id: alloy_primitives::U256::from(id) });
        let expected = match self.opened(id) {
            None => Err(Vault::SlashNotOpen::SELECTOR),
            Some(_) if caller == STRANGER => Err(Vault::NotOpener::SELECTOR),
            Some(_) => Ok(()),
        };
        if self.tally.hold("cancelSlash", got, expected)?.is_some() {
            self.close(id);
        }
        Ok(())
    }

    fn execute(&mut self, id: usize, way: u8) -> Played {
        let caller = if way > 240 { STRANGER } else { SLASHER };
        let got = self.world.ask_vault(caller, &Vault::executeSlashCall { id: alloy_primitives::U256::from(id) });
        let expected = match self.opened(id) {
            None => Err(Vault::SlashNotOpen::SELECTOR),
            Some(_) if caller == STRANGER => Err(Vault::NotOpener::SELECTOR),
            Some(slash) if self.now() < slash.ready_at => Err(Vault::TooEarly::SELECTOR),
            Some(_) => Ok(()),
        };
        if self.tally.hold("executeSlash", got, expected)?.is_some() {
            self.take(id);
        }
        Ok(())
    }

    /// Books an executed slash: active stake first, then what is leaving.
    fn take(&mut self, id: usize) {
        let (who, amount) = self.close(id);
        let taken = amount.min(self.held(who));
        let from_active = taken.min(self.nodes[who].active);
        self.nodes[who].active -= from_active;
        self.nodes[who].leaving -= taken - from_active;
        self.slashed += taken;
        if self.slashes[id - 1].beneficiary != Address::ZERO {
            self.bounties += taken * BOUNTY_PPM / 1_000_000;
        }
    }

    /// Jumps to a deadline or the second before, and does what it holds back.
    fn deadline(&mut self, step: &Step) -> Played {
        let now = self.now();
        let leaves = self.nodes.iter().enumerate().filter(|(_, node)| node.leaving > 0 && node.leave_at > now);
        let leaves = leaves.map(|(who, node)| (node.leave_at, who, 0));
        let slashes = self.slashes.iter().enumerate().filter(|(_, slash)| slash.open && slash.ready_at > now);
        let slashes = slashes.map(|(index, slash)| (slash.ready_at, 0, index + 1));
        let due: Vec<_> = leaves.chain(slashes).collect();
        let Some(&(at, who, id)) = due.get(step.other % due.len().max(1)) else { return Ok(()) };
        self.world.evm.now = (at - u64::from(step.way % 2)).max(now);
        if id == 0 { self.withdraw(who) } else { self.execute(id, 0) }
    }

    fn pause(&mut self) -> Played {
        let (name, got) = if self.paused {
            ("unpause", self.world.ask_vault(GUARDIAN, &Vault::unpauseCall {}))
        } else {
            ("pause", self.world.ask_vault(GUARDIAN, &Vault::pauseCall {}))
        };
        self.tally.hold(name, got, Ok(()) as Expected)?;
        self.paused = !self.paused;
        Ok(())
    }

    fn invariants(&mut self) -> Played {
        let (mut held, mut deposited, mut withdrawn) = (0, 0, 0);
        for (index, account) in self.world.people.into_iter().enumerate() {
            let node = self.nodes[index];
            let got = self.world.evm.ask(self.world.vault, &Vault::positionOfCall { account });
            let want = [node.active.into(), node.leaving.into(), node.claimed.into()];
            prop_assert_eq!([got.active, got.leaving, got.claimed], want, "position of {}", index);
            let reserved = self.world.evm.ask(self.world.vault, &Vault::reservedOfCall { account });
            prop_assert_eq!(reserved, u128::from(self.reserved(index)), "I2");
            prop_assert!(node.withdrawn <= node.deposited, "I4");
            held += self.held(index);
            deposited += node.deposited;
            withdrawn += node.withdrawn;
        }
        let vault = self.world.vault;
        prop_assert_eq!(self.world.balance(vault), held, "I1: balance");
        let total = self.world.evm.ask(vault, &Vault::totalHeldCall {});
        prop_assert_eq!(total, alloy_primitives::U256::from(held), "I1: totalHeld");
        prop_assert_eq!(deposited, withdrawn + self.slashed + held, "I3");
        prop_assert_eq!(self.world.balance(TREASURY), self.slashed - self.bounties, "I6: treasury");
        let [a, b, c, d] = self.world.people;
        let purses: u64 = [a, b, c, d, STRANGER].map(|account| self.world.balance(account)).iter().sum();
        prop_assert_eq!(purses, 4 * PURSE - deposited + withdrawn + self.bounties, "I6: bounties");
        Ok(())
    }
}

/// `ppm` millionths of `whole`, rounded down; above the whole for a tenth of all steps.
fn share(whole: u64, ppm: u64) -> u64 {
    if ppm > 1_000_000 { whole + ppm % 7 } else { whole * ppm / 1_000_000 }
}
