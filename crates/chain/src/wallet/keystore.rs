//! Encrypted key files in the format that other wallets read and write: Web3 secret storage, version 3.
//!
//! Source: <https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage>.
//! Promise: what geth, eth-keyfile and their like write opens; a file from a stranger cannot make us use more memory
//! or time than the limits in `document`, and the limit that it exceeds is the one that is named.
//! Own code, because the library for it fixes a weaker scrypt (`N = 2^13`) and takes any cost a file names.

mod document;
mod scrypt;

use std::io::{Read as _, Write as _};
use std::path::Path;

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::{hex, keccak256};
use serde::Serialize;
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use super::{Wallet, WalletError};
use document::{KEY_BYTES, Kdf, Sealed};
use scrypt::Cost;

/// A keystore is below 1 KiB; other programs may add fields.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Our own files: 128 MiB (the OWASP password storage cheat sheet, 2025).
const OWN_COST: Cost = Cost { n: 1 << 17, r: 8, p: 1 };

/// A key file as we write it.
#[derive(Serialize)]
struct Keystore {
    address: String,
    crypto: Crypto,
    id: String,
    version: u32,
}

#[derive(Serialize)]
struct Crypto {
    cipher: &'static str,
    cipherparams: CipherParams,
    ciphertext: String,
    kdf: &'static str,
    kdfparams: KdfParams,
    mac: String,
}

#[derive(Serialize)]
struct CipherParams {
    iv: String,
}

#[derive(Serialize)]
struct KdfParams {
    dklen: usize,
    n: u64,
    r: u32,
    p: u32,
    salt: String,
}

impl Wallet {
    /// Opens an encrypted key file. Errors: `WrongPassword`, `NotAKeystore` with the part at fault.
    pub fn from_keystore(path: &Path, password: &[u8]) -> Result<Self, WalletError> {
        let fail = |cause: String| WalletError::NotAKeystore { path: path.into(), cause };
        let sealed = Sealed::read(&read(path)?).map_err(fail)?;
        let key = derive(&sealed.kdf, password, &sealed.salt).map_err(fail)?;
        if mac(&key, &sealed.ciphertext) != sealed.mac {
            return Err(WalletError::WrongPassword { path: path.into() });
        }
        let mut opened = Zeroizing::new(sealed.ciphertext);
        crypt(&key, &sealed.iv, &mut opened);
        let mut secret = Zeroizing::new([0; 32]);
        secret[32 - opened.len()..].copy_from_slice(&opened);
        let wallet = Self::from_secret(&secret, &path.display().to_string())?;
        match sealed.address {
            Some(address) if wallet.address() != address => {
                Err(fail(format!("it says account {address} and holds the key of {wallet}")))
            }
            _ => Ok(wallet),
        }
    }

    /// Writes an encrypted key file that only its owner may read. Never over another file.
    pub fn save(&self, path: &Path, password: &[u8]) -> Result<(), WalletError> {
        let text = serde_json::to_string_pretty(&self.seal(password)?).expect("strings and numbers are JSON");
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::AlreadyExists => WalletError::Exists { path: path.into() },
            _ => WalletError::File { path: path.into(), cause },
        })?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(|cause| {
            // Half a key file helps nobody and would stop the next try; there is nothing in it to lose.
            let _ = std::fs::remove_file(path);
            WalletError::File { path: path.into(), cause }
        })
    }

    fn seal(&self, password: &[u8]) -> Result<Keystore, WalletError> {
        let (salt, iv, id) = (random::<32>()?, random::<16>()?, random::<16>()?);
        let Cost { n, r, p } = OWN_COST;
        let key = derive(&Kdf::Scrypt(OWN_COST), password, &salt).map_err(WalletError::NoMemory)?;
        let mut ciphertext = *self.secret();
        crypt(&key, &iv, &mut ciphertext);
        Ok(Keystore {
            address: hex::encode(self.address()),
            crypto: Crypto {
                cipher: "aes-128-ctr",
                cipherparams: CipherParams { iv: hex::encode(iv) },
                ciphertext: hex::encode(ciphertext),
                kdf: "scrypt",
                kdfparams: KdfParams { dklen: KEY_BYTES, n, r, p, salt: hex::encode(salt) },
                mac: hex::encode(mac(&key, &ciphertext)),
            },
            id: uuid(id),
            version: 3,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, WalletError> {
    let fail = |cause| WalletError::File { path: path.into(), cause };
    let mut text = Vec::new();
    std::fs::File::open(path).map_err(fail)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(fail)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        let cause = format!("more than {FILE_BYTES_MAX} bytes");
        return Err(WalletError::NotAKeystore { path: path.into(), cause });
    }
    Ok(text)
}

/// 32 bytes from the password: half for the cipher, half for the check sum. Errors: the memory is not there.
fn derive(kdf: &Kdf, password: &[u8], salt: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, String> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    match kdf {
        Kdf::Scrypt(cost) => scrypt::derive(password, salt, cost, &mut *key)
            .map_err(|cause| format!("this machine has not the memory that its scrypt takes: {cause}"))?,
        Kdf::Pbkdf2Sha256(rounds) => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, *rounds, &mut *key),
        Kdf::Pbkdf2Sha512(rounds) => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, *rounds, &mut *key),
    }
    Ok(key)
}

/// `keccak256(second half of the derived key ‖ ciphertext)`.
fn mac(key: &[u8; KEY_BYTES], ciphertext: &[u8]) -> [u8; 32] {
    keccak256(Zeroizing::new([&key[16..], ciphertext].concat())).0
}

/// AES-128 in counter mode with the first half of the derived key; the same both ways.
fn crypt(key: &[u8; KEY_BYTES], iv: &[u8; 16], text: &mut [u8]) {
    ctr::Ctr128BE::<aes::Aes128>::new(key[..16].into(), iv.into()).apply_keystream(text);
}

fn random<const N: usize>() -> Result<[u8; N], WalletError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|cause| WalletError::NoRandomness(cause.to_string()))?;
    Ok(bytes)
}

/// A random UUID (RFC 9562, version 4).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let digits = hex::encode(bytes);
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

#[cfg(test)]
mod tests;
