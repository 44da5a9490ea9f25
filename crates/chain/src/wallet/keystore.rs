//! Encrypted key files in the format that other wallets read: Web3 secret storage, version 3.
//!
//! Source: <https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage>.
//! Promise: a file from a stranger cannot make us use more memory or time than the limits below.
//! Own code, because the library for it fixes a weaker scrypt (`N = 2^13`) and takes any cost a file names.

use std::io::{Read as _, Write as _};
use std::path::Path;

use aes::cipher::{KeyIvInit as _, StreamCipher as _};
use alloy_primitives::{hex, keccak256};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Wallet, WalletError};

/// A keystore is below 1 KiB; other programs may add fields.
const FILE_BYTES_MAX: u64 = 16 * 1024;
/// Memory that a file's scrypt may ask for, `128·r·(N + p)`: twice what geth's files ask for, and 1 MiB for lanes.
const SCRYPT_BYTES_MAX: u64 = 513 << 20;
/// Largest `p` of a file's scrypt.
const SCRYPT_LANES_MAX: u32 = 16;
/// Most rounds of a file's PBKDF2: ten times what the format's examples use.
const PBKDF2_ROUNDS_MAX: u32 = 2_621_440;
/// Our own files: `N = 2^17`, `r = 8`, `p = 1`, 128 MiB (the OWASP password storage cheat sheet, 2025).
const SCRYPT_LOG_N: u8 = 17;

#[derive(Serialize, Deserialize)]
struct Keystore {
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    id: Option<String>,
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    #[serde(flatten)]
    kdf: Kdf,
    mac: String,
}

#[derive(Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt { dklen: u32, n: u64, r: u32, p: u32, salt: String },
    Pbkdf2 { dklen: u32, c: u32, prf: String, salt: String },
}

impl Wallet {
    /// Opens an encrypted key file. Errors: `WrongPassword`, `NotAKeystore` with the part at fault.
    pub fn from_keystore(path: &Path, password: &[u8]) -> Result<Self, WalletError> {
        let fail = |cause: String| WalletError::NotAKeystore { path: path.into(), cause };
        let store: Keystore = serde_json::from_slice(&read(path)?).map_err(|cause| fail(place(&cause)))?;
        let sealed = Sealed::check(&store).map_err(fail)?;
        let key = derive(&store.crypto.kdf, password).map_err(fail)?;
        if mac(&key, &sealed.ciphertext) != sealed.mac {
            return Err(WalletError::WrongPassword { path: path.into() });
        }
        let mut secret = Zeroizing::new(sealed.ciphertext);
        crypt(&key, &sealed.iv, &mut secret);
        let wallet = Self::from_secret(&secret, &path.display().to_string())?;
        match store.address.map(|text| text.parse::<alloy_primitives::Address>()) {
            Some(Ok(address)) if wallet.address() != address => {
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
        let kdf = Kdf::Scrypt { dklen: 32, n: 1 << SCRYPT_LOG_N, r: 8, p: 1, salt: hex::encode(salt) };
        let key = derive(&kdf, password).expect("our own cost is within the limits");
        let mut ciphertext = *self.secret();
        crypt(&key, &iv, &mut ciphertext);
        Ok(Keystore {
            address: Some(hex::encode(self.address())),
            crypto: Crypto {
                cipher: "aes-128-ctr".into(),
                cipherparams: CipherParams { iv: hex::encode(iv) },
                ciphertext: hex::encode(ciphertext),
                kdf,
                mac: hex::encode(mac(&key, &ciphertext)),
            },
            id: Some(uuid(id)),
            version: 3,
        })
    }
}

/// The parts of a keystore, their lengths checked.
struct Sealed {
    ciphertext: [u8; 32],
    iv: [u8; 16],
    mac: [u8; 32],
}

impl Sealed {
    fn check(store: &Keystore) -> Result<Self, String> {
        if store.version != 3 {
            return Err(format!("version {} instead of 3", store.version));
        }
        if store.crypto.cipher != "aes-128-ctr" {
            return Err(format!("cipher `{}` instead of aes-128-ctr", store.crypto.cipher));
        }
        Ok(Self {
            ciphertext: bytes("ciphertext", &store.crypto.ciphertext)?,
            iv: bytes("iv", &store.crypto.cipherparams.iv)?,
            mac: bytes("mac", &store.crypto.mac)?,
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

/// Where reading a file ended, and nothing of what is there: it may be a key that is no keystore.
fn place(cause: &serde_json::Error) -> String {
    let what = match cause.classify() {
        serde_json::error::Category::Data => "a part is missing or is none of version 3",
        _ => "it is no JSON",
    };
    format!("{what}, line {}, column {}", cause.line(), cause.column())
}

fn bytes<const N: usize>(name: &str, text: &str) -> Result<[u8; N], String> {
    hex::decode_to_array(text).map_err(|_| format!("{name} is not {N} bytes in hexadecimal digits"))
}

/// 32 bytes from the password: half for the cipher, half for the check sum.
fn derive(kdf: &Kdf, password: &[u8]) -> Result<Zeroizing<[u8; 32]>, String> {
    let mut key = Zeroizing::new([0; 32]);
    let (dklen, salt) = match kdf {
        Kdf::Scrypt { dklen, salt, .. } | Kdf::Pbkdf2 { dklen, salt, .. } => (*dklen, salt),
    };
    if dklen != 32 {
        return Err(format!("a derived key of {dklen} bytes instead of 32"));
    }
    let salt = hex::decode(salt).map_err(|_| "salt is not in hexadecimal digits".to_owned())?;
    match kdf {
        Kdf::Scrypt { n, r, p, .. } => {
            let params = scrypt_params(*n, *r, *p)?;
            scrypt::scrypt(password, &salt, &params, &mut *key).expect("32 bytes are a length that scrypt gives");
        }
        Kdf::Pbkdf2 { c, prf, .. } => {
            if prf != "hmac-sha256" || *c == 0 || *c > PBKDF2_ROUNDS_MAX {
                return Err(format!("{c} rounds of {prf}; at most {PBKDF2_ROUNDS_MAX} of hmac-sha256"));
            }
            pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, *c, &mut *key);
        }
    }
    Ok(key)
}

fn scrypt_params(n: u64, r: u32, p: u32) -> Result<scrypt::Params, String> {
    let blocks = n.checked_add(u64::from(p));
    let memory = blocks.and_then(|blocks| blocks.checked_mul(128)).and_then(|bytes| bytes.checked_mul(u64::from(r)));
    let within = memory.is_some_and(|bytes| bytes <= SCRYPT_BYTES_MAX) && p <= SCRYPT_LANES_MAX;
    let fits = n.is_power_of_two() && n > 1 && within;
    let params = fits.then(|| scrypt::Params::new(n.ilog2() as u8, r, p, 32).ok()).flatten();
    params.ok_or_else(|| {
        format!("scrypt with n={n}, r={r}, p={p}; at most {SCRYPT_BYTES_MAX} bytes (128·r·(n+p)), p={SCRYPT_LANES_MAX}")
    })
}

/// `keccak256(second half of the derived key ‖ ciphertext)`.
fn mac(key: &[u8; 32], ciphertext: &[u8; 32]) -> [u8; 32] {
    let mut text = Zeroizing::new([0; 48]);
    text[..16].copy_from_slice(&key[16..]);
    text[16..].copy_from_slice(ciphertext);
    keccak256(*text).0
}

/// AES-128 in counter mode with the first half of the derived key; the same both ways.
fn crypt(key: &[u8; 32], iv: &[u8; 16], text: &mut [u8; 32]) {
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
