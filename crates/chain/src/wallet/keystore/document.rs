//! What a key file says, its parts found and measured before any of them is used.
//!
//! Promise: names count in any case of letters, as in other wallets' readers; a part that is missing, or that cannot
//! be meant, is named, and its content is not repeated: it may be a key. What is not version 3 is called what it is.

use alloy_primitives::{Address, hex};
use serde_json::{Map, Value};

use super::scrypt::Cost;

/// Memory that a file's scrypt may take, `128·n·r` bytes: four times what geth's files take.
const SCRYPT_BYTES_MAX: u64 = 1 << 30;
/// Memory of its lanes, `128·r·p` bytes, beside that.
const SCRYPT_LANES_BYTES_MAX: u64 = 64 << 20;
/// Work of a file's scrypt, `n·r·p` blocks mixed twice: 32 times that of geth's files, about 20 s.
const SCRYPT_WORK_MAX: u64 = 1 << 26;
/// Most rounds of a file's PBKDF2: ten times what other programs ask for, about 3 s.
const PBKDF2_ROUNDS_MAX: u64 = 10_000_000;
/// Longest salt.
const SALT_BYTES_MAX: usize = 1024;
/// Bytes of the derived key that are used; a longer one begins with them.
pub(super) const KEY_BYTES: usize = 32;

/// A key file of version 3, still sealed.
pub(super) struct Sealed {
    /// The account that it says it is of, where it says so.
    pub(super) address: Option<Address>,
    /// The secret key as a number, encrypted; leading zeros may be left out.
    pub(super) ciphertext: Vec<u8>,
    pub(super) iv: [u8; 16],
    pub(super) mac: [u8; 32],
    pub(super) salt: Vec<u8>,
    pub(super) kdf: Kdf,
}

/// How the key is derived from the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kdf {
    /// scrypt.
    Scrypt(Cost),
    /// PBKDF2 with HMAC-SHA256 and so many rounds.
    Pbkdf2Sha256(u32),
    /// The same with HMAC-SHA512.
    Pbkdf2Sha512(u32),
}

impl Sealed {
    /// Finds the parts. Errors: what is missing or at fault, in words.
    pub(super) fn read(text: &[u8]) -> Result<Self, String> {
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let value: Value = serde_json::from_slice(text)
            .map_err(|cause| format!("it is no JSON, line {}, column {}", cause.line(), cause.column()))?;
        let Value::Object(file) = lower(value)? else { return Err("it is no JSON object".to_owned()) };
        is_version_3(&file)?;
        let crypto = object(&file, "crypto", "crypto")?;
        let cipher = text_of(crypto, "cipher", "crypto.cipher")?;
        if cipher.to_lowercase() != "aes-128-ctr" {
            return Err(format!("its cipher is {}, and aes-128-ctr is read", word(cipher)));
        }
        let ciphertext = bytes(text_of(crypto, "ciphertext", "crypto.ciphertext")?, "crypto.ciphertext")?;
        if ciphertext.is_empty() || ciphertext.len() > 32 {
            return Err(format!("crypto.ciphertext has {} bytes, and a key has 32", ciphertext.len()));
        }
        let iv = text_of(object(crypto, "cipherparams", "crypto.cipherparams")?, "iv", "crypto.cipherparams.iv")?;
        let params = object(crypto, "kdfparams", "crypto.kdfparams")?;
        let salt = bytes(text_of(params, "salt", "crypto.kdfparams.salt")?, "crypto.kdfparams.salt")?;
        if salt.len() > SALT_BYTES_MAX {
            return Err(format!("crypto.kdfparams.salt has {} bytes; limit {SALT_BYTES_MAX}", salt.len()));
        }
        Ok(Self {
            address: address(&file)?,
            ciphertext,
            iv: array(iv, "crypto.cipherparams.iv")?,
            mac: array(text_of(crypto, "mac", "crypto.mac")?, "crypto.mac")?,
            salt,
            kdf: kdf(text_of(crypto, "kdf", "crypto.kdf")?, params)?,
        })
    }
}

/// All names in lower case. Errors: two names that become one and do not say the same.
fn lower(value: Value) -> Result<Value, String> {
    let Value::Object(fields) = value else { return Ok(value) };
    let mut lowered = Map::new();
    for (name, value) in fields {
        let (name, value) = (name.to_lowercase(), lower(value)?);
        if lowered.get(&name).is_some_and(|other| *other != value) {
            return Err(format!("{} is in it twice", word(&name)));
        }
        lowered.insert(name, value);
    }
    Ok(Value::Object(lowered))
}

/// Tells other files that hold keys from ours.
fn is_version_3(file: &Map<String, Value>) -> Result<(), String> {
    let has = |name: &str| file.contains_key(name);
    let Some(version) = file.get("version") else {
        return Err(match () {
            () if has("encseed") => "it is a wallet of Ethereum's presale of 2014; version 3 is read".to_owned(),
            () if has("data") && has("iv") => {
                "it is the vault of a browser wallet, which holds its seed phrase; let it export the account's key"
                    .to_owned()
            }
            () => "`version` is missing".to_owned(),
        });
    };
    match number(version) {
        Some(3) => Ok(()),
        Some(1) => Err("it is of version 1, of 2015, and version 3 is read; geth writes it anew".to_owned()),
        Some(4) => Err("it is of version 4 (EIP-2335), which holds the BLS key of a validator and no account's; \
                        version 3 is read"
            .to_owned()),
        Some(other) => Err(format!("it is of version {other}, and version 3 is read")),
        None if version.is_number() => Err(format!("it is of version {version}, and version 3 is read")),
        None => Err("`version` is no number".to_owned()),
    }
}

/// A whole number, which some programs write as text or with a point.
fn number(value: &Value) -> Option<u64> {
    /// Up to here every whole number has a float of its own.
    const FLOAT_MAX: f64 = 9e15;
    let of_float = || value.as_f64().filter(|float| float.fract() == 0.0 && (0.0..=FLOAT_MAX).contains(float));
    value.as_u64().or_else(|| of_float().map(|float| float as u64)).or_else(|| value.as_str()?.trim().parse().ok())
}

fn object<'a>(fields: &'a Map<String, Value>, name: &str, place: &str) -> Result<&'a Map<String, Value>, String> {
    let value = fields.get(name).ok_or_else(|| format!("`{place}` is missing"))?;
    value.as_object().ok_or_else(|| format!("`{place}` is no JSON object"))
}

fn text_of<'a>(fields: &'a Map<String, Value>, name: &str, place: &str) -> Result<&'a str, String> {
    let value = fields.get(name).ok_or_else(|| format!("`{place}` is missing"))?;
    value.as_str().ok_or_else(|| format!("`{place}` is no text"))
}

fn number_of(fields: &Map<String, Value>, name: &str) -> Result<u64, String> {
    let value = fields.get(name).ok_or_else(|| format!("`crypto.kdfparams.{name}` is missing"))?;
    number(value).ok_or_else(|| format!("`crypto.kdfparams.{name}` is no whole number"))
}

/// A word of a fixed few; anything longer is not repeated.
fn word(text: &str) -> String {
    const CHARS_MAX: usize = 20;
    let is_short = text.chars().count() <= CHARS_MAX && !text.chars().any(char::is_control);
    if is_short { format!("`{text}`") } else { "a long text".to_owned() }
}

fn bytes(text: &str, place: &str) -> Result<Vec<u8>, String> {
    hex::decode(text.trim()).map_err(|_| format!("{place} is not in pairs of hexadecimal digits"))
}

fn array<const N: usize>(text: &str, place: &str) -> Result<[u8; N], String> {
    let bytes = bytes(text, place)?;
    let given = bytes.len();
    bytes.try_into().map_err(|_| format!("{place} has {given} bytes and must have {N}"))
}

/// The account, if the file names one: some leave it out, or write it otherwise than in hexadecimal digits.
fn address(file: &Map<String, Value>) -> Result<Option<Address>, String> {
    let Some(text) = file.get("address").and_then(Value::as_str) else { return Ok(None) };
    let digits = text.trim().trim_start_matches("0x").trim_start_matches("0X");
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok(None);
    }
    Ok(Some(Address::from(array::<20>(digits, "address")?)))
}

fn kdf(name: &str, params: &Map<String, Value>) -> Result<Kdf, String> {
    if let Some(given) = params.get("dklen") {
        let given = number(given).ok_or("`crypto.kdfparams.dklen` is no whole number")?;
        if given < KEY_BYTES as u64 {
            return Err(format!("the derived key has {given} bytes; limit at least {KEY_BYTES}"));
        }
    }
    match name.to_lowercase().as_str() {
        "scrypt" => {
            scrypt_cost(number_of(params, "n")?, number_of(params, "r")?, number_of(params, "p")?).map(Kdf::Scrypt)
        }
        "pbkdf2" => pbkdf2(params),
        _ => Err(format!("its key is derived by {}, and scrypt and pbkdf2 are read", word(name))),
    }
}

fn pbkdf2(params: &Map<String, Value>) -> Result<Kdf, String> {
    let given = number_of(params, "c")?;
    if !(1..=PBKDF2_ROUNDS_MAX).contains(&given) {
        return Err(format!("{given} rounds of pbkdf2; limit 1 to {PBKDF2_ROUNDS_MAX}"));
    }
    let rounds = given as u32; // below the limit
    // Without a word for it, the format's own.
    let prf = params.get("prf").map_or(Ok("hmac-sha256"), |_| text_of(params, "prf", "crypto.kdfparams.prf"))?;
    match prf.to_lowercase().as_str() {
        "hmac-sha256" => Ok(Kdf::Pbkdf2Sha256(rounds)),
        "hmac-sha512" => Ok(Kdf::Pbkdf2Sha512(rounds)),
        _ => Err(format!("pbkdf2 with {}, and hmac-sha256 and hmac-sha512 are read", word(prf))),
    }
}

/// Holds a cost against the limits; the one that it exceeds is named with what was given.
fn scrypt_cost(n: u64, r: u64, p: u64) -> Result<Cost, String> {
    let cost = format!("scrypt with n={n}, r={r}, p={p}");
    if !n.is_power_of_two() || n < 2 {
        return Err(format!("{cost}: n must be a power of two, at least 2"));
    }
    if r == 0 || p == 0 {
        return Err(format!("{cost}: r and p must be at least 1"));
    }
    let product = |factors: &[u64]| factors.iter().fold(1u128, |product, &it| product.saturating_mul(it.into()));
    let (memory, lanes, work) = (product(&[128, n, r]), product(&[128, r, p]), product(&[n, r, p]));
    if memory > SCRYPT_BYTES_MAX.into() {
        return Err(format!("{cost}: it takes 128·n·r = {memory} bytes of memory; limit {SCRYPT_BYTES_MAX}"));
    }
    if lanes > SCRYPT_LANES_BYTES_MAX.into() {
        return Err(format!(
            "{cost}: its lanes take 128·r·p = {lanes} bytes of memory; limit {SCRYPT_LANES_BYTES_MAX}"
        ));
    }
    if work > SCRYPT_WORK_MAX.into() {
        return Err(format!("{cost}: its work n·r·p is {work}; limit {SCRYPT_WORK_MAX}"));
    }
    Ok(Cost { n, r: r as u32, p: p as u32 }) // both below the limits
}
