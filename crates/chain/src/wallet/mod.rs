//! Keys that sign transactions.
//!
//! Promise: a secret is never printed: not by `Debug`, not by `Display`, not in an error. It is wiped
//! from memory when the wallet is dropped.

mod environment;
mod keystore;

use std::fmt;
use std::path::PathBuf;

use alloy_primitives::{Address, B256, Signature};
use k256::ecdsa::SigningKey;
use protocol::Hash;
use thiserror::Error;
use zeroize::Zeroizing;

pub use environment::{KEY, KEYSTORE, PASSWORD, PASSWORD_FILE, read_password};

/// Separates the wallets of a local run from every other use of its secret.
const WALLET_CONTEXT: &str = "essaim 2026-11 wallet of a party of a local run";

/// A secp256k1 key and the account that follows from it.
#[derive(Clone)]
pub struct Wallet {
    key: SigningKey,
    address: Address,
}

/// Why there is no wallet.
#[derive(Debug, Error)]
pub enum WalletError {
    /// Zero, or not below the order of the curve, or not 32 bytes.
    #[error("{origin} holds no secp256k1 secret key: 32 bytes, written as 64 hexadecimal digits, are needed")]
    NotAKey {
        /// Where it was read from.
        origin: String,
    },
    /// The file cannot be read or written.
    #[error("{path}: {cause}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// A wallet is never written over another.
    #[error("{path} exists; a wallet is never written over another", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// No keystore in Web3 format, version 3, or one with parts that are not supported.
    #[error("{path} is no keystore that can be read: {cause}", path = path.display())]
    NotAKeystore {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A key file could not be encrypted for want of memory.
    #[error("no key file can be written: {0}")]
    NoMemory(String),
    /// The check sum over key and ciphertext differs.
    #[error("{path}: the password does not fit", path = path.display())]
    WrongPassword {
        /// The file.
        path: PathBuf,
    },
    /// A variable that names no file that can be read. Its value is not shown: it may be the secret itself.
    #[error("{variable} must name a file that can be read: {cause}")]
    NoFile {
        /// The variable.
        variable: &'static str,
        /// What went wrong.
        cause: std::io::Error,
    },
    /// Variables that contradict or miss each other.
    #[error("{0}")]
    Environment(&'static str),
    /// The machine gave no randomness.
    #[error("the machine gives no randomness: {0}")]
    NoRandomness(String),
}

impl Wallet {
    /// The wallet of 32 secret bytes. `origin` says in an error where they came from.
    pub fn from_secret(secret: &[u8; 32], origin: &str) -> Result<Self, WalletError> {
        let key = SigningKey::from_slice(secret).map_err(|_| WalletError::NotAKey { origin: origin.into() })?;
        let address = Address::from_private_key(&key);
        Ok(Self { key, address })
    }

    /// A new wallet from the machine's randomness.
    pub fn generate() -> Result<Self, WalletError> {
        let mut secret = Zeroizing::new([0; 32]);
        loop {
            getrandom::fill(&mut *secret).map_err(|cause| WalletError::NoRandomness(cause.to_string()))?;
            // One draw in 2^128 is not below the curve's order.
            if let Ok(wallet) = Self::from_secret(&secret, "randomness") {
                return Ok(wallet);
            }
        }
    }

    /// The wallet of one party of a local run, where one owner plays every role.
    ///
    /// `secret = blake3_derive_key(context, run_secret ‖ role length as u32 ‖ role ‖ index as u32 ‖ try as u32)`,
    /// numbers little-endian; `try` is the first number from 0 whose secret is on the curve.
    pub fn derive(run_secret: &Hash, role: &str, index: u32) -> Self {
        let length = u32::try_from(role.len()).unwrap_or(u32::MAX); // a role is a short word
        let mut hasher = blake3::Hasher::new_derive_key(WALLET_CONTEXT);
        hasher.update(run_secret).update(&length.to_le_bytes()).update(role.as_bytes()).update(&index.to_le_bytes());
        (0u32..)
            .find_map(|again| {
                let secret = Zeroizing::new(*hasher.clone().update(&again.to_le_bytes()).finalize().as_bytes());
                Self::from_secret(&secret, "the run's secret").ok()
            })
            .expect("all but one draw in 2^128 are on the curve")
    }

    /// The account.
    pub fn address(&self) -> Address {
        self.address
    }

    /// An ECDSA signature over a digest, deterministic, with the lower of the two `s`.
    pub fn sign(&self, digest: &B256) -> Signature {
        let (signature, recovery) =
            self.key.sign_prehash_recoverable(digest.as_slice()).expect("a digest of 32 bytes can be signed");
        (signature, recovery).into()
    }

    fn secret(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes().into())
    }
}

impl PartialEq for Wallet {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}

impl Eq for Wallet {}

impl fmt::Display for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)
    }
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wallet({}, secret withheld)", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{address, b256, hex, keccak256};

    /// The first account of anvil's and hardhat's published test phrase.
    const DEVELOPMENT_KEY: B256 = b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80");

    #[test]
    fn a_published_key_has_its_published_account() {
        let wallet = Wallet::from_secret(&DEVELOPMENT_KEY, "test").unwrap();
        assert_eq!(wallet.address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
    }

    #[test]
    fn a_signature_names_its_signer() {
        let wallet = Wallet::derive(&[7; 32], "worker", 0);
        let digest = keccak256(b"message");
        let signature = wallet.sign(&digest);
        assert_eq!(signature.recover_address_from_prehash(&digest).unwrap(), wallet.address());
        assert!(signature.normalize_s().is_none(), "the lower s");
    }

    #[test]
    fn parties_of_a_run_have_wallets_of_their_own_and_the_same_ones_each_time() {
        let all = [("worker", 0), ("worker", 1), ("validator", 0), ("trainer", 0)]
            .map(|(role, index)| Wallet::derive(&[7; 32], role, index).address());
        for (index, address) in all.iter().enumerate() {
            assert!(!all[..index].contains(address));
        }
        assert_eq!(Wallet::derive(&[7; 32], "worker", 0).address(), all[0]);
        assert_ne!(Wallet::derive(&[8; 32], "worker", 0).address(), all[0]);
    }

    #[test]
    fn nothing_that_is_printed_holds_the_secret() {
        let wallet = Wallet::from_secret(&DEVELOPMENT_KEY, "test").unwrap();
        let secret = hex::encode(DEVELOPMENT_KEY);
        for shown in [format!("{wallet}"), format!("{wallet:?}"), format!("{wallet:#?}")] {
            assert!(!shown.to_lowercase().contains(&secret[..16]), "{shown}");
            assert!(shown.contains("0xf39Fd6"), "{shown}");
        }
    }

    #[test]
    fn zero_and_numbers_beyond_the_curve_are_no_keys() {
        for secret in [[0; 32], [0xff; 32]] {
            let error = Wallet::from_secret(&secret, "the file").unwrap_err();
            assert!(matches!(&error, WalletError::NotAKey { origin } if origin == "the file"));
            assert!(!error.to_string().contains("ffff"));
        }
    }
}
