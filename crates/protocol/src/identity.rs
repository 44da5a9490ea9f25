//! Who says something: ed25519 keys.
//!
//! Promise: a secret key is never printed and never leaves [`Keypair`].
//! Never: makes a key from the machine's randomness; the seed is an argument.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::Hash;
use crate::constants::IDENTITY_CONTEXT;

/// Name of a party. Shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicKey(pub [u8; 32]);

/// An ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(pub [u8; 64]);

/// A party's secret key with its public one. The secret is wiped from memory when dropped.
#[derive(Clone)]
pub struct Keypair(SigningKey);

impl Keypair {
    /// The pair that follows from 32 secret bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The pair of one party of a local run, where one owner plays every role.
    ///
    /// `seed = blake3_derive_key(context, run_secret ‖ role length as u32 ‖ role ‖ index as u32)`,
    /// numbers little-endian.
    pub fn derive(run_secret: &Hash, role: &str, index: u32) -> Self {
        let length = u32::try_from(role.len()).unwrap_or(u32::MAX); // a role is a short word
        let mut hasher = blake3::Hasher::new_derive_key(IDENTITY_CONTEXT);
        hasher.update(run_secret).update(&length.to_le_bytes()).update(role.as_bytes()).update(&index.to_le_bytes());
        Self::from_seed(hasher.finalize().as_bytes())
    }

    /// The name under which others know the party.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a digest. Whoever makes it says in its blake3 `derive_key` context what is signed, as
    /// [`crate::Signed`] does, so that no signature passes for another.
    pub fn sign(&self, digest: &Hash) -> Signature {
        Signature(self.0.sign(digest).to_bytes())
    }
}

impl PublicKey {
    /// Whether `signature` is this key's over `digest`. Strict: keys of small order and signatures that
    /// can be altered into others are refused.
    pub fn signed(&self, digest: &Hash, signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.verify_strict(digest, &signature).is_ok())
    }
}

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (low, high) = self.0.split_at(32);
        let halves: [[u8; 32]; 2] = [low.try_into(), high.try_into()].map(|half| half.expect("64 bytes are 32 and 32"));
        halves.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let halves = <[[u8; 32]; 2]>::deserialize(deserializer)?;
        let mut bytes = [0; 64];
        bytes.copy_from_slice(halves.as_flattened());
        Ok(Self(bytes))
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({})", hex(&self.0))
    }
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({}, secret withheld)", self.public())
    }
}
