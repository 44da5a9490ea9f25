//! Random histories of the rewards against a model of roots and claims.
//!
//! Invariants, after every step: I7 what the contract holds covers what its roots still promise; I8 a leaf pays at
//! most once, exactly its amount, only after its window, never if voided (by the model's answer to every call);
//! I9 nobody has claimed more than the lifetime total of a root that was live.

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolError, SolStruct, eip712_domain};
use chain::bindings::EpochRewards as Rewards;
use ledger::{Account, merkle};
use proptest::{prop_assert, prop_assert_eq};

use super::evm::CHAIN_ID;
use super::play::{FLOOR_CASES, Played, Step, Tally, campaign, histories};
use super::world::{Code, DISPUTE, GUARDIAN, HOLD, POSTER, PURSE, SLASHER, STRANGER, World, named, person};

mod typed {
    alloy_sol_types::sol! {
        struct ClaimTo { address account; address recipient; uint128 lifetime; uint256 nonce; uint256 deadline; }
    }
}

const LENGTH: usize = 64;
/// fund, post, void, hold, claim, claimTo, wait, deadline, pause.
const WEIGHTS: &[u32] = &[6, 12, 3, 3, 20, 5, 4, 14, 1];
/// Of each act, how often it must work and be refused in 300 histories; about half of what is seen.
const FLOORS: &[(&str, u32, u32)] = &[
    ("fund", 800, 8),
    ("postRoot", 800, 1200),
    ("voidPending", 170, 700),
    ("holdPending", 130, 300),
    ("claim", 750, 3000),
    ("claimTo", 70, 600),
    ("pause", 120, 0),
    ("unpause", 120, 0),
];
/// Most epochs that a root may skip.
const SKIPPED_MAX: u64 = 1_000;

/// A posted root and the tree under it.
#[derive(Clone)]
struct Root {
    epoch: u64,
    total: u64,
    lifetimes: [u64; 4],
    leaves: Vec<[u8; 32]>,
    root: [u8; 32],
    posted_at: u64,
    live_at: u64,
}

impl Root {
    /// The four people and `strangers` others, by rising account.
    fn new(rewards: Address, people: [Address; 4], lifetimes: [u64; 4], strangers: u64) -> Self {
        let mut book: std::collections::BTreeMap<Account, u64> =
            people.iter().zip(lifetimes).map(|(person, lifetime)| (Account(person.0.0), lifetime)).collect();
        for number in 0..strangers {
            let hash = named("stranger", number);
            book.insert(Account(hash[12..].try_into().expect("twenty bytes")), number);
        }
        let leaves = merkle::leaves(CHAIN_ID, &Account(rewards.0.0), &book);
        let (root, total) = (merkle::root(&leaves), book.values().sum());
        Self { epoch: 0, total, lifetimes, leaves, root, posted_at: 0, live_at: 0 }
    }

    fn proof(&self, rewards: Address, who: Address, lifetime: u64) -> Vec<B256> {
        let leaf = merkle::leaf(CHAIN_ID, &Account(rewards.0.0), &Account(who.0.0), lifetime);
        let index = self.leaves.iter().position(|other| *other == leaf).unwrap_or_default();
        merkle::proof(&self.leaves, index).into_iter().map(B256::from).collect()
    }
}

struct Case<'a> {
    world: World,
    tally: &'a Tally,
    live: Option<Root>,
    pending: Option<Root>,
    voided: Option<Root>,
    replaced: Option<Root>,
    next_epoch: u64,
    funded: u64,
    claimed: [u64; 4],
    nonces: [u64; 4],
    highest: [u64; 4],
    paused: bool,
}

/// Plays `cases` histories; the first that goes wrong is the error.
pub(crate) fn explore(code: &Code, cases: u32, shrinks: u32, tally: &Tally) -> Result<u32, String> {
    let world = World::new(code);
    let play = |steps: Vec<Step>| Case::new(&world, tally).play(&steps);
    campaign(cases, shrinks, histories(WEIGHTS, LENGTH), play).map_err(|error| error.to_string())
}

#[test]
fn rewards_do_what_their_model_says() {
    let tally = Tally::default();
    let cases = explore(&Code::committed(), FLOOR_CASES, 2_000, &tally).unwrap_or_else(|error| panic!("{error}"));
    tally.hold_floors(cases, FLOORS);
}

impl<'a> Case<'a> {
    fn new(world: &World, tally: &'a Tally) -> Self {
        Self {
            world: world.clone(),
            tally,
            live: None,
            pending: None,
            voided: None,
            replaced: None,
            next_epoch: 0,
            funded: 0,
            claimed: [0; 4],
            nonces: [0; 4],
            highest: [0; 4],
            paused: false,
        }
    }

    fn play(mut self, steps: &[Step]) -> Played {
        for step in steps {
            self.step(step)?;
            self.invariants()?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Played {
        if self.paused && step.way.is_multiple_of(4) {
            return self.pause();
        }
        match step.act {
            0 => self.fund(step.ppm),
            1 => self.post(step),
            2 => self.void(step.way),
            3 => self.hold(step),
            4 => self.claim(step),
            5 => self.claim_to(step),
            6 => {
                self.at(self.world.evm.now + step.ppm / 20_000);
                Ok(())
            }
            7 => self.deadline(step),
            _ => self.pause(),
        }
    }

    /// Moves the clock; a root whose window has passed is live.
    fn at(&mut self, now: u64) {
        self.world.evm.now = now;
        if let Some(root) = self.pending.take_if(|root| root.live_at <= now) {
            for (highest, lifetime) in self.highest.iter_mut().zip(root.lifetimes) {
                *highest = lifetime.max(*highest);
            }
            self.replaced = self.live.replace(root);
        }
    }

    fn fund(&mut self, ppm: u64) -> Played {
        let amount = if ppm > 1_100_000 { 0 } else { ppm / 10 };
        let got = self.world.ask_rewards(POSTER, &Rewards::fundCall { amount: amount.into() });
        let expected = if amount == 0 { Err(Rewards::ZeroArgument::SELECTOR) } else { Ok(()) };
        if self.tally.hold("fund", got, expected)?.is_some() {
            self.funded += amount;
        }
        Ok(())
    }

    /// A root that pays each person a part of what is not promised yet; or one of the ways to go wrong.
    fn post(&mut self, step: &Step) -> Played {
        let now = self.world.evm.now;
        let before = self.live.as_ref().map_or([0; 4], |live| live.lifetimes);
        let promised = self.live.as_ref().map_or(0, |live| live.total);
        let left = self.funded.saturating_sub(promised);
        let mut lifetimes = before;
        for (index, lifetime) in lifetimes.iter_mut().enumerate() {
            *lifetime += left * step.ppm / 1_000_000 * (index as u64 + step.who as u64) / 20;
        }
        let mut root = Root::new(self.world.rewards, self.world.people, lifetimes, step.other as u64 % 4);
        root.total = match step.way % 16 {
            0 if promised > 0 => promised - 1,
            1 => self.funded + 1,
            _ => root.total,
        };
        root.epoch = match step.way / 16 {
            0 => self.next_epoch.saturating_sub(1),
            1 => self.next_epoch + SKIPPED_MAX + 1,
            2 => self.next_epoch + SKIPPED_MAX,
            other => self.next_epoch + u64::from(other % 2),
        };
        let caller = if step.way == 255 { STRANGER } else { POSTER };
        (root.posted_at, root.live_at) = (now, now + DISPUTE);
        let got = self.world.ask_rewards(caller, &post_call(&root));
        let expected = match () {
            () if caller == STRANGER => Err(Rewards::AccessControlUnauthorizedAccount::SELECTOR),
            () if self.paused => Err(Rewards::EnforcedPause::SELECTOR),
            () if root.epoch < self.next_epoch => Err(Rewards::EpochTooLow::SELECTOR),
            () if root.epoch > self.next_epoch + SKIPPED_MAX => Err(Rewards::EpochTooHigh::SELECTOR),
            () if self.pending.is_some() => Err(Rewards::RootPending::SELECTOR),
            () if root.total < promised => Err(Rewards::TotalFell::SELECTOR),
            () if root.total > self.funded => Err(Rewards::NotFunded::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("postRoot", got, expected)?.is_some() {
            self.next_epoch = root.epoch + 1;
            self.pending = Some(root);
        }
        Ok(())
    }

    /// The epoch that is pending, and one time in eight another.
    fn pending_epoch(&self, way: u8) -> (u64, bool) {
        let epoch = self.pending.as_ref().map(|root| root.epoch);
        let asked = epoch.unwrap_or_default() + u64::from(way / 32 == 0);
        (asked, epoch == Some(asked))
    }

    fn void(&mut self, way: u8) -> Played {
        let caller = [SLASHER, SLASHER, GUARDIAN, STRANGER][usize::from(way % 4)];
        let (epoch, right) = self.pending_epoch(way);
        let got = self.world.ask_rewards(caller, &Rewards::voidPendingCall { epoch });
        let expected = match () {
            () if caller == STRANGER => Err(Rewards::AccessControlUnauthorizedAccount::SELECTOR),
            () if !right => Err(Rewards::RootNotPending::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("voidPending", got, expected)?.is_some() {
            self.voided = self.pending.take();
        }
        Ok(())
    }

    fn hold(&mut self, step: &Step) -> Played {
        let caller = if step.way % 4 == 3 { STRANGER } else { SLASHER };
        let (epoch, right) = self.pending_epoch(step.way);
        let until = self.world.evm.now + step.ppm / 3_000;
        let got = self.world.ask_rewards(caller, &Rewards::holdPendingCall { epoch, until });
        let expected = match () {
            () if caller == STRANGER => Err(Rewards::AccessControlUnauthorizedAccount::SELECTOR),
            () if !right => Err(Rewards::RootNotPending::SELECTOR),
            () => Ok(()),
        };
        if self.tally.hold("holdPending", got, expected)?.is_some() {
            let root = self.pending.as_mut().expect("the model expected one");
            root.live_at = root.live_at.max(until.min(root.posted_at + DISPUTE + HOLD));
        }
        Ok(())
    }

    /// A claim on one of the roots there were, and what is right to expect of it.
    fn made(&self, step: &Step) -> (u64, Vec<B256>, Result<(), [u8; 4]>) {
        let roots = [&self.live, &self.live, &self.live, &self.pending, &self.voided, &self.replaced];
        let from = roots[usize::from(step.way) % roots.len()].as_ref();
        let tweak = u64::from(step.way / 6 == 0);
        let lifetime = from.map_or(0, |root| root.lifetimes[step.who]);
        let account = self.world.people[step.who];
        let proof = from.map_or(vec![], |root| root.proof(self.world.rewards, account, lifetime));
        let ours = Account(self.world.rewards.0.0);
        let leaf = merkle::leaf(CHAIN_ID, &ours, &Account(account.0.0), lifetime + tweak);
        let path: Vec<_> = proof.iter().map(|hash| hash.0).collect();
        let sound = self.live.as_ref().is_some_and(|live| merkle::verify(&live.root, leaf, &path));
        let expected = match () {
            () if !sound => Err(Rewards::BadProof::SELECTOR),
            () if lifetime <= self.claimed[step.who] => Err(Rewards::NothingDue::SELECTOR),
            () => Ok(()),
        };
        (lifetime + tweak, proof, expected)
    }

    fn claim(&mut self, step: &Step) -> Played {
        let (lifetime, proof, expected) = self.made(step);
        let account = self.world.people[step.who];
        let call = Rewards::claimCall { account, lifetime: lifetime.into(), proof };
        let got = self.world.ask_rewards(STRANGER, &call);
        if self.tally.hold("claim", got, expected)?.is_some() {
            self.claimed[step.who] = lifetime;
        }
        Ok(())
    }

    /// A claim for another recipient: rightly signed, signed by another, too late, or signed before.
    fn claim_to(&mut self, step: &Step) -> Played {
        let (lifetime, proof, claimed) = self.made(step);
        let (account, recipient) = (self.world.people[step.who], STRANGER);
        let late = step.other.is_multiple_of(8);
        let deadline = U256::from(self.world.evm.now - u64::from(late));
        let nonce = self.nonces[step.who].wrapping_sub(u64::from(step.other % 8 == 1));
        let signer = person((step.who + usize::from(step.other % 8 == 2)) % 4);
        let message =
            typed::ClaimTo { account, recipient, lifetime: lifetime.into(), nonce: U256::from(nonce), deadline };
        let domain = eip712_domain! {
            name: "EpochRewards", version: "1", chain_id: CHAIN_ID, verifying_contract: self.world.rewards,
        };
        let signature = signer.sign(&message.eip712_signing_hash(&domain)).as_bytes().into();
        let call = Rewards::claimToCall { account, recipient, lifetime: lifetime.into(), proof, deadline, signature };
        let got = self.world.ask_rewards(STRANGER, &call);
        let expected = match step.other % 8 {
            0 => Err(Rewards::SignatureExpired::SELECTOR),
            1 | 2 => Err(Rewards::BadSignature::SELECTOR),
            _ => claimed,
        };
        if self.tally.hold("claimTo", got, expected)?.is_some() {
            self.nonces[step.who] += 1;
            self.claimed[step.who] = lifetime;
        }
        Ok(())
    }

    /// Jumps to the second at which the pending root is live, or the one before, and tries what depends on it.
    fn deadline(&mut self, step: &Step) -> Played {
        if let Some(live_at) = self.pending.as_ref().map(|root| root.live_at) {
            let early = u64::from(step.way.is_multiple_of(3));
            self.at((live_at - early).max(self.world.evm.now));
        }
        let mut step = *step;
        match step.other % 4 {
            0 => self.void(step.way | 32),
            1 => self.post(&step),
            _ => {
                step.way = 12 + step.way % 6;
                self.claim(&step)
            }
        }
    }

    fn pause(&mut self) -> Played {
        let (name, got) = if self.paused {
            ("unpause", self.world.ask_rewards(GUARDIAN, &Rewards::unpauseCall {}))
        } else {
            ("pause", self.world.ask_rewards(GUARDIAN, &Rewards::pauseCall {}))
        };
        self.tally.hold(name, got, Ok(()))?;
        self.paused = !self.paused;
        Ok(())
    }

    fn invariants(&mut self) -> Played {
        let (rewards, paid) = (self.world.rewards, self.claimed.iter().sum::<u64>());
        let held = self.world.balance(rewards);
        prop_assert_eq!(held, self.funded - paid, "I7: balance");
        let promised = self.pending.as_ref().or(self.live.as_ref()).map_or(0, |root| root.total);
        prop_assert!(held + paid >= promised, "I7: {} held and {} paid of {} promised", held, paid, promised);
        for (index, account) in self.world.people.into_iter().enumerate() {
            let claimed = self.world.evm.ask(rewards, &Rewards::claimedCall { account });
            prop_assert_eq!(claimed, u128::from(self.claimed[index]), "claimed by {}", index);
            prop_assert!(self.claimed[index] <= self.highest[index], "I9");
        }
        let live = self.world.evm.ask(rewards, &Rewards::liveRootCall {});
        prop_assert_eq!(live.root.0, self.live.as_ref().map_or([0; 32], |root| root.root), "live root");
        let pending = self.world.evm.ask(rewards, &Rewards::pendingRootCall {});
        let wanted = self.pending.as_ref().map_or((0, [0; 32], 0), |root| (root.epoch, root.root, root.live_at));
        prop_assert_eq!((pending.epoch, pending.root.0, pending.liveAt), wanted, "pending root");
        let mut purses = self.world.balance(STRANGER) + self.world.balance(POSTER);
        for person in self.world.people {
            purses += self.world.balance(person);
        }
        prop_assert_eq!(purses, 5 * PURSE - held, "I8: what was paid is with the people");
        Ok(())
    }
}

fn post_call(root: &Root) -> Rewards::postRootCall {
    Rewards::postRootCall {
        epoch: root.epoch,
        root: B256::from(root.root),
        lifetimeTotal: root.total.into(),
        fileHash: keccak256(root.root),
        uri: String::new(),
    }
}
