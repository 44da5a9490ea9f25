//! Random histories of the node registry against a model whose judge of signatures is ed25519-dalek's strict rules.
//!
//! Promises held: a key has one owner for ever; nobody registers a key without its signature for just this account,
//! this registry and this number; no bit of a good signature can be changed.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolError, SolValue};
use chain::bindings::NodeRegistry as Registry;
use proptest::prop_assert_eq;
use protocol::{Keypair, PublicKey, Signature};

use super::evm::{CHAIN_ID, Evm};
use super::play::{Expected, FLOOR_CASES, Played, Step, Tally, campaign, histories};
use super::world::{ADMIN, START, named, person};

const LENGTH: usize = 32;
/// register, rotateKey, setMeta, retire.
const WEIGHTS: &[u32] = &[10, 5, 2, 1];
/// Of each act, how often it must work and be refused in 300 histories; about half of what is seen.
const FLOORS: &[(&str, u32, u32)] =
    &[("register", 850, 1_700), ("rotateKey", 80, 1_200), ("setMeta", 100, 400), ("retire", 55, 200)];
/// Keys that the people share; few, so that they meet.
const KEYS: usize = 12;
/// Order of the curve's base point, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

#[derive(Clone, Copy)]
struct Node {
    owner: usize,
    active: bool,
}

struct Play<'a> {
    evm: Evm,
    registry: Address,
    tally: &'a Tally,
    people: [Address; 4],
    nodes: BTreeMap<[u8; 32], Node>,
    nonces: [u64; 4],
}

#[test]
fn registry_does_what_its_model_says() {
    let tally = Tally::default();
    let mut evm = Evm::new(START);
    let (registry, _) = evm.create(ADMIN, &Registry::BYTECODE, &[]);
    let people = [0, 1, 2, 3].map(|index| person(index).address());
    let play = |steps: Vec<Step>| {
        let (evm, nodes) = (evm.clone(), BTreeMap::new());
        let mut play = Play { evm, registry, tally: &tally, people, nodes, nonces: [0; 4] };
        steps.iter().try_for_each(|step| play.step(step))
    };
    let cases = campaign(FLOOR_CASES, 500, histories(WEIGHTS, LENGTH), play);
    tally.hold_floors(cases.unwrap_or_else(|error| panic!("{error}")), FLOORS);
}

fn peer(index: usize) -> Keypair {
    Keypair::from_seed(&named("peer", index as u64).0)
}

impl Play<'_> {
    fn step(&mut self, step: &Step) -> Played {
        let key = peer(step.ppm as usize % KEYS).public();
        // Mostly the owner, as a stranger is always refused alike.
        let owner = self.nodes.get(&key.0).filter(|node| node.active && step.other < 48).map(|node| node.owner);
        let step = &Step { who: if step.act == 0 { step.who } else { owner.unwrap_or(step.who) }, ..*step };
        match step.act {
            0 => self.register(step),
            1 => self.rotate(step, key),
            2 => {
                let call = Registry::setMetaCall { peerKey: B256::from(key.0), meta: B256::repeat_byte(step.way) };
                let got = self.evm.send(self.people[step.who], self.registry, &call);
                self.tally.hold("setMeta", got, self.owned(step.who, key)).map(drop)
            }
            _ => {
                let call = Registry::retireCall { peerKey: B256::from(key.0) };
                let got = self.evm.send(self.people[step.who], self.registry, &call);
                if self.tally.hold("retire", got, self.owned(step.who, key))?.is_some() {
                    self.nodes.entry(key.0).and_modify(|node| node.active = false);
                }
                Ok(())
            }
        }
    }

    /// Whether `who` may act for a key.
    fn owned(&self, who: usize, key: PublicKey) -> Expected {
        match self.nodes.get(&key.0) {
            Some(node) if node.owner == who && node.active => Ok(()),
            Some(node) if node.owner == who => Err(Registry::KeyRetired::SELECTOR),
            _ => Err(Registry::NotOwner::SELECTOR),
        }
    }

    fn digest(&self, who: usize, nonce: u64) -> [u8; 32] {
        let purpose = "essaim node registration v1".to_owned();
        let fields = (purpose, U256::from(CHAIN_ID), self.registry, self.people[who], U256::from(nonce));
        keccak256(fields.abi_encode_params()).0
    }

    /// A key and a signature, good or spoilt in one of many ways, and what is right to expect of them.
    fn proof(&self, step: &Step) -> (PublicKey, Vec<u8>, Expected) {
        let keys = peer(step.other % KEYS);
        let (nonce, bit) = (self.nonces[step.who], step.ppm as usize % 256);
        let mut key = keys.public();
        let mut signature = match step.way % 16 {
            0 => keys.sign(&self.digest(step.who, nonce + 1)),
            1 => keys.sign(&self.digest((step.who + 1) % 4, nonce)),
            _ => keys.sign(&self.digest(step.who, nonce)),
        };
        match step.way % 16 {
            2 => signature.0[bit / 8] ^= 1 << (bit % 8),
            3 => signature.0[32 + bit / 8] ^= 1 << (bit % 8),
            4 => key.0[bit / 8] ^= 1 << (bit % 8),
            5 => add_order(&mut signature, 1 + bit % 15),
            6 => signature.0.rotate_left(32),
            7 => signature.0[32..].fill(0),
            _ => (),
        }
        let bytes = signature.0[..if step.way == 8 { 63 } else { 64 }].to_vec();
        let expected = match () {
            () if self.nodes.contains_key(&key.0) => Err(Registry::KeyTaken::SELECTOR),
            () if bytes.len() != 64 => Err(Registry::SignatureLength::SELECTOR),
            () if !key.signed(&self.digest(step.who, nonce), &signature) => Err(Registry::NoPossession::SELECTOR),
            () => Ok(()),
        };
        (key, bytes, expected)
    }

    fn register(&mut self, step: &Step) -> Played {
        let (key, bytes, expected) = self.proof(step);
        let kind = u8::from(step.way % 32 != 31);
        let call = Registry::registerCall {
            peerKey: B256::from(key.0),
            kind,
            meta: B256::ZERO,
            signature: Bytes::from(bytes),
        };
        let got = self.evm.send(self.people[step.who], self.registry, &call);
        let expected = if kind == 0 { Err(Registry::NoKind::SELECTOR) } else { expected };
        if self.tally.hold("register", got, expected)?.is_some() {
            self.brought(step.who, key);
        }
        self.known(key)
    }

    fn rotate(&mut self, step: &Step, old: PublicKey) -> Played {
        let (key, bytes, expected) = self.proof(step);
        let call = Registry::rotateKeyCall {
            oldKey: B256::from(old.0),
            newKey: B256::from(key.0),
            signature: Bytes::from(bytes),
        };
        let got = self.evm.send(self.people[step.who], self.registry, &call);
        if self.tally.hold("rotateKey", got, self.owned(step.who, old).and(expected))?.is_some() {
            self.brought(step.who, key);
            self.nodes.entry(old.0).and_modify(|node| node.active = false);
        }
        self.known(old)?;
        self.known(key)
    }

    fn brought(&mut self, owner: usize, key: PublicKey) {
        self.nodes.insert(key.0, Node { owner, active: true });
        self.nonces[owner] += 1;
    }

    /// The registry knows of a key what the model does.
    fn known(&mut self, key: PublicKey) -> Played {
        let node = self.evm.ask(self.registry, &Registry::nodeOfCall { peerKey: B256::from(key.0) });
        let wanted = self.nodes.get(&key.0).map(|node| (self.people[node.owner], 2 - u8::from(node.active)));
        prop_assert_eq!((node.owner, node.status), wanted.unwrap_or((Address::ZERO, 0)));
        Ok(())
    }
}

/// Adds the order `times` times to a signature's scalar: the same point, written otherwise.
fn add_order(signature: &mut Signature, times: usize) {
    for _ in 0..times {
        let mut carry = 0;
        for (byte, order) in signature.0[32..].iter_mut().zip(ORDER) {
            let sum = u16::from(*byte) + u16::from(order) + carry;
            *byte = sum.to_le_bytes()[0];
            carry = sum >> 8;
        }
    }
}
