//! The drand network's beacon (League of Entropy), verified offline.
//!
//! Promise: a point is given only after its BLS signature verified against a key fixed here.
//! Takes: a chain, a round and its signature, from whatever source. Gives: the beacon point.
//! Never: connects to a relay.
//!
//! The message of a round is `SHA-256(previous signature ‖ u64be(round))`, where only the default
//! chain signs the previous signature; the randomness is `SHA-256(signature)`. Sources: drand's
//! protocol specification (docs.drand.love) and crate drand-verify 0.6.2.

use super::BeaconError;
use drand_verify::{G1Pubkey, G2PubkeyRfc, InvalidPoint, Pubkey, VerificationError};
use hex_literal::hex;
use protocol::{BeaconPoint, Hash};

/// One of drand's chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Name of the chain, its "beacon id".
    pub name: &'static str,
    /// Hash of all that follows, by which drand names the chain:
    /// `SHA-256(u32be period ‖ i64be genesis ‖ key ‖ group hash ‖ name unless "default")`.
    pub hash: Hash,
    /// Seconds between two rounds.
    pub period_s: u32,
    /// When round 1 was due, in seconds since 1970.
    pub genesis_unix_s: u64,
    /// Hash of the group that made the key. The first round of a linked chain signs it in place
    /// of a previous signature.
    pub group_hash: Hash,
    /// The network's public key, and with it the scheme.
    pub key: Key,
}

/// A public key with the scheme in which it signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// `pedersen-bls-chained`: key on G1, signatures on G2, each signing the one before.
    Linked([u8; 48]),
    /// `bls-unchained-g1-rfc9380`: key on G2, signatures on G1, each by itself.
    Unlinked([u8; 96]),
}

/// A round every 3 seconds, each signed by itself.
pub const QUICKNET: Chain = Chain {
    name: "quicknet",
    hash: hex!("52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"),
    period_s: 3,
    genesis_unix_s: 1_692_803_367,
    group_hash: hex!("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e"),
    key: Key::Unlinked(hex!(
        "
            83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c
            8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb
            5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a
        "
    )),
};

/// A round every 30 seconds, each signing the one before.
pub const DEFAULT: Chain = Chain {
    name: "default",
    hash: hex!("8990e7a9aaed2ffed73dbd7092123d6f289930540d7651336225dc172e51b2ce"),
    period_s: 30,
    genesis_unix_s: 1_595_431_050,
    group_hash: hex!("176f93498eac9ca337150b46d21dd58673ea4e3581185f869672e59fa4cb390a"),
    key: Key::Linked(hex!(
        "
            868f005eb8e6e4ca0a47c8a77ceaa5309a47978a7c71bc5cce96366b5d7a5699
            37c529eeda66c7293784a9402801af31
        "
    )),
};

/// The chains that can be verified.
pub const CHAINS: [Chain; 2] = [QUICKNET, DEFAULT];

/// The chain of this hash.
#[must_use]
pub fn chain(hash: &Hash) -> Option<&'static Chain> {
    const { &CHAINS }.iter().find(|chain| chain.hash == *hash)
}

/// The chain of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Chain> {
    const { &CHAINS }.iter().find(|chain| chain.name == name)
}

/// Verifies the signature of a round and gives its randomness, `SHA-256(signature)`.
///
/// - `signature`: 48 bytes on quicknet, 96 on the default chain, compressed points
/// - `previous`: the signature of the round before; empty on quicknet, the group hash for round 1
///   of the default chain
/// - errors: `NoSuchRound` for round 0, `SignatureLength`, `SignaturePoint`, `SignatureWrong`
/// - takes 3 to 9 ms
pub fn verify(chain: &Chain, round: u64, signature: &[u8], previous: &[u8]) -> Result<BeaconPoint, BeaconError> {
    if round == 0 {
        return Err(BeaconError::NoSuchRound { limit: u64::MAX, given: round });
    }
    let (signature_due, previous_due) = match chain.key {
        Key::Unlinked(_) => (48, 0),
        Key::Linked(_) if round == 1 => (96, 32),
        Key::Linked(_) => (96, 96),
    };
    require_length("signature", round, signature_due, signature)?;
    require_length("previous signature", round, previous_due, previous)?;
    let verified = match chain.key {
        Key::Unlinked(key) => holds::<G2PubkeyRfc>(G2PubkeyRfc::from_fixed(key), round, signature, previous),
        Key::Linked(key) => holds::<G1Pubkey>(G1Pubkey::from_fixed(key), round, signature, previous),
    };
    match verified {
        Ok(true) => Ok(BeaconPoint { round, randomness: drand_verify::derive_randomness(signature) }),
        Ok(false) => Err(BeaconError::SignatureWrong { round }),
        Err(_) => Err(BeaconError::SignaturePoint { round }),
    }
}

fn holds<K: Pubkey>(
    key: Result<K, InvalidPoint>,
    round: u64,
    signature: &[u8],
    previous: &[u8],
) -> Result<bool, VerificationError> {
    let key = key.expect("the keys above are points of their curves, as a test shows");
    key.verify(round, previous, signature)
}

fn require_length(field: &'static str, round: u64, expected: usize, bytes: &[u8]) -> Result<(), BeaconError> {
    if bytes.len() == expected {
        return Ok(());
    }
    Err(BeaconError::SignatureLength { field, round, expected, given: bytes.len() })
}

/// The latest round that is due at a time: `1 + ⌊(t - genesis) / period⌋`, 0 before the genesis.
#[must_use]
pub fn round_at(chain: &Chain, unix_s: u64) -> u64 {
    let since = unix_s.checked_sub(chain.genesis_unix_s);
    since.map_or(0, |seconds| 1 + seconds / u64::from(chain.period_s))
}
