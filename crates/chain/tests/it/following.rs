//! Following events through replaced blocks, kills and limits.

use std::cell::Cell;
use std::path::Path;

use alloy_sol_types::SolEvent as _;
use chain::bindings::EssaimToken;
use chain::{Address, Chain, ChainError, Follower, Genesis, LocalChain, Log, U256};

use crate::stage::{PURSE, Stage, wallet};
use crate::wrapped::{Between, Wrapped};

fn follower(path: &Path, chain: &dyn Chain, stage: &Stage, confirmations: u64) -> Follower {
    let at = stage.contracts.addresses;
    Follower::open(path, chain, vec![at.token], at.block, confirmations).unwrap()
}

/// Amounts of the transfers among these events.
fn amounts(logs: &[Log]) -> Vec<u64> {
    let transfers = logs.iter().filter(|log| log.topics[0] == EssaimToken::Transfer::SIGNATURE_HASH);
    transfers.map(|log| U256::from_be_slice(&log.data).to()).collect()
}

struct Scene {
    stage: Stage,
    chain: LocalChain,
    folder: tempfile::TempDir,
}

impl Scene {
    /// The stage's contracts on a chain that the test can fork.
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("chain.jsonl");
        let stage = Stage::on(Box::new(LocalChain::open(&journal, Genesis::default()).unwrap()), |_, _| ());
        let chain = LocalChain::read(&journal).unwrap().fork();
        Self { stage, chain, folder }
    }

    fn pay(&self, chain: &mut LocalChain, amount: u64) {
        let to = Address::repeat_byte(7);
        chain.send(&wallet("worker", 0), self.stage.contracts.transfer(to, amount)).unwrap();
    }

    fn follower(&self, confirmations: u64) -> Follower {
        follower(&self.folder.path().join("place.json"), &self.chain, &self.stage, confirmations)
    }
}

#[test]
fn every_event_is_told_once_and_again_until_it_is_taken() {
    let mut scene = Scene::set();
    let mut follower = scene.follower(1);
    let start = follower.look(&scene.chain).unwrap();
    assert_eq!(amounts(&start.logs), [10 * PURSE, PURSE, PURSE, PURSE], "the genesis and three purses");
    follower.take(start).unwrap();
    let mut chain = scene.chain.fork();
    scene.pay(&mut chain, 1);
    scene.pay(&mut chain, 2);
    scene.chain = chain;
    assert_eq!(amounts(&follower.look(&scene.chain).unwrap().logs), [1, 2]);
    // Killed before it was taken: told again, from the file.
    let mut follower = scene.follower(1);
    let news = follower.look(&scene.chain).unwrap();
    assert_eq!(amounts(&news.logs), [1, 2]);
    follower.take(news).unwrap();
    assert!(follower.look(&scene.chain).unwrap().logs.is_empty());
    assert!(scene.follower(1).look(&scene.chain).unwrap().logs.is_empty());
}

#[test]
fn events_of_replaced_blocks_are_told_back_newest_first() {
    let scene = Scene::set();
    let mut follower = scene.follower(1);
    let mut common = scene.chain.fork();
    scene.pay(&mut common, 1);
    let (mut first, mut second) = (common.fork(), common.fork());
    scene.pay(&mut first, 2);
    scene.pay(&mut first, 3);
    let news = follower.look(&first).unwrap();
    follower.take(news).unwrap();
    scene.pay(&mut second, 4);
    scene.pay(&mut second, 5);
    scene.pay(&mut second, 6);
    // Also when the change happened while the follower was not running.
    let mut follower = scene.follower(1);
    let news = follower.look(&second).unwrap();
    assert_eq!(amounts(&news.undone), [3, 2]);
    assert_eq!(amounts(&news.logs), [4, 5, 6]);
    follower.take(news).unwrap();
    assert!(follower.look(&second).unwrap().undone.is_empty());
    // The chain may for a time be shorter than it was.
    let news = follower.look(&common).unwrap();
    assert_eq!((amounts(&news.undone), amounts(&news.logs)), (vec![6, 5, 4], vec![]));
}

#[test]
fn an_event_is_told_only_with_enough_blocks_on_top() {
    let scene = Scene::set();
    let mut follower = scene.follower(3);
    let mut chain = scene.chain.fork();
    chain.advance(1).unwrap();
    chain.advance(1).unwrap();
    let news = follower.look(&chain).unwrap();
    follower.take(news).unwrap();
    scene.pay(&mut chain, 1);
    chain.advance(1).unwrap();
    assert!(follower.look(&chain).unwrap().logs.is_empty());
    chain.advance(1).unwrap();
    assert_eq!(amounts(&follower.look(&chain).unwrap().logs), [1]);
}

#[test]
fn a_chain_that_replaces_all_that_is_remembered_is_not_followed() {
    let scene = Scene::set();
    let mut follower = scene.follower(1);
    let (mut first, mut second) = (scene.chain.fork(), scene.chain.fork());
    for seconds in 0..70 {
        first.advance(seconds).unwrap();
        second.advance(seconds + 1).unwrap();
    }
    let news = follower.look(&first).unwrap();
    follower.take(news).unwrap();
    let error = follower.look(&second).unwrap_err();
    assert!(matches!(error, ChainError::ReorganisedTooDeep { blocks: 64, .. }), "{error}");
}

#[test]
fn a_chain_that_changes_during_a_look_is_looked_at_again() {
    let scene = Scene::set();
    let follower = scene.follower(1);
    let (mut first, mut second) = (scene.chain.fork(), scene.chain.fork());
    scene.pay(&mut first, 1);
    scene.pay(&mut second, 2);
    let turning = Wrapped(Turn { before: first, after: second, turn: 0.into(), asked: 0.into() });
    // Whichever question the change comes before, the events are those of one chain.
    for turn in 0..40 {
        turning.0.turn.set(turn);
        turning.0.asked.set(0);
        let last = amounts(&follower.look(&turning).unwrap().logs).pop();
        assert!(last == Some(2) || (last == Some(1) && turning.0.asked.get() <= turn), "{turn}: {last:?}");
    }
}

#[test]
fn a_file_of_another_chain_or_other_contracts_is_refused() {
    let scene = Scene::set();
    let mut follower = scene.follower(1);
    let news = follower.look(&scene.chain).unwrap();
    follower.take(news).unwrap();
    let path = scene.folder.path().join("place.json");
    let token = scene.stage.contracts.addresses.token;
    let elsewhere = LocalChain::in_memory(Genesis { chain_id: 5, ..Genesis::default() });
    let error = Follower::open(&path, &elsewhere, vec![token], 0, 1).err().unwrap();
    assert!(matches!(error, ChainError::WrongChain { .. }), "{error}");
    let error = Follower::open(&path, &scene.chain, vec![Address::ZERO], 0, 1).err().unwrap();
    assert!(error.to_string().contains("other contracts"), "{error}");
}

/// One chain that becomes another at the `turn`-th question.
struct Turn {
    before: LocalChain,
    after: LocalChain,
    turn: Cell<u32>,
    asked: Cell<u32>,
}

impl Between for Turn {
    fn look(&self) -> &LocalChain {
        self.asked.set(self.asked.get() + 1);
        if self.asked.get() > self.turn.get() { &self.after } else { &self.before }
    }
    fn act(&mut self) -> &mut LocalChain {
        &mut self.after
    }
}
