//! An accepted group in as few bytes as bear it out.
//!
//! Promise: what is left out follows from what is there and from the run's terms, so that every signature is verified
//! over the bytes that were signed; nothing that a worker or a validator signed is cut.
//! Layout: the commitment, then each verdict, each as a length (varint), the body without what stands elsewhere, and 64
//! bytes of signature. Of a verdict's body the lease and the root are left out, which the commitment has; of all of
//! them format, kind and the signer's key, which the terms have under the signer's number. All in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use protocol::{Commitment, ProtocolError, PublicKey, Record, RunTerms, Signed, Verdict};

use crate::Fault;

const HASH_BYTES: usize = 32;
const SIGNATURE_BYTES: usize = 64;
/// Format and kind of a record.
const HEAD_BYTES: usize = 2;

/// Errors: `Record` for a record that does not encode, and for a verdict on another answer.
pub(crate) fn encode(commitment: &Signed<Commitment>, verdicts: &[Signed<Verdict>]) -> Result<String, Fault> {
    let answer = commitment.encode()?;
    let lease = lease_bytes(commitment.body.lease);
    let mut bytes = Vec::new();
    put(&mut bytes, &answer, 0);
    for verdict in verdicts {
        let (expected, given) = (commitment.body.lease, verdict.body.lease);
        if expected != given || commitment.body.root != verdict.body.root {
            return Err(ProtocolError::ForeignVerdict { expected, given }.into());
        }
        put(&mut bytes, &verdict.encode()?, lease.len() + HASH_BYTES);
    }
    Ok(STANDARD_NO_PAD.encode(bytes))
}

/// Errors: `Unreadable`; `Record` for a record that does not decode, or whose signer the terms do not have.
pub(crate) fn decode(text: &str, terms: &RunTerms) -> Result<(Signed<Commitment>, Vec<Signed<Verdict>>), Fault> {
    let unreadable = |why: String| Fault::Unreadable { why };
    let bytes = STANDARD_NO_PAD.decode(text).map_err(|error| unreadable(error.to_string()))?;
    let mut rest = bytes.as_slice();
    let (body, signature) = take(&mut rest).ok_or_else(|| unreadable("the commitment is cut off".to_owned()))?;
    let (lease, after) = varint(body).ok_or_else(|| unreadable("a commitment without a lease".to_owned()))?;
    let lease = lease_bytes(lease);
    let (worker, _) = varint(after).ok_or_else(|| unreadable("a commitment without a worker".to_owned()))?;
    let key = terms.worker(number(worker))?;
    let commitment = Signed::<Commitment>::decode(&record(Signed::<Commitment>::KIND, &[body], key, signature))?;
    let mut verdicts = Vec::new();
    while !rest.is_empty() {
        let (body, signature) = take(&mut rest).ok_or_else(|| unreadable("a verdict is cut off".to_owned()))?;
        let (validator, _) = varint(body).ok_or_else(|| unreadable("a verdict without a validator".to_owned()))?;
        let key = terms.validator(number(validator))?;
        let parts = [&lease[..], &commitment.body.root, body];
        verdicts.push(Signed::decode(&record(Signed::<Verdict>::KIND, &parts, key, signature))?);
    }
    Ok((commitment, verdicts))
}

/// Appends a signed record's body from byte `skipped` on, and its signature.
fn put(bytes: &mut Vec<u8>, record: &[u8], skipped: usize) {
    let signature = record.len() - SIGNATURE_BYTES;
    let body = &record[HEAD_BYTES + skipped..signature - size_of::<PublicKey>()];
    put_varint(bytes, body.len() as u64);
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&record[signature..]);
}

/// The next body and signature.
fn take<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (length, after) = varint(rest)?;
    let (body, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
    let (signature, after) = after.split_at_checked(SIGNATURE_BYTES)?;
    *rest = after;
    Some((body, signature))
}

/// A signed record's bytes, as `protocol` writes them.
fn record(kind: u8, body: &[&[u8]], signer: &PublicKey, signature: &[u8]) -> Vec<u8> {
    let head = [protocol::constants::RECORD_FORMAT, kind];
    [&head[..]].into_iter().chain(body.iter().copied()).chain([&signer.0[..], signature]).flatten().copied().collect()
}

fn lease_bytes(lease: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, lease);
    bytes
}

/// A party's number; one that is too large for any is nobody's.
fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// Seven bits a byte, the lowest first, as postcard writes numbers.
fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80); // the lowest seven bits
        value >>= 7;
    }
    bytes.push(value as u8); // below 0x80
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * index as u32)?;
        if *byte < 0x80 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_postcard_writes_them() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let bytes = lease_bytes(value);
            assert_eq!(varint(&bytes), Some((value, &[][..])));
        }
        assert_eq!(lease_bytes(300), [0xac, 0x02]);
        assert_eq!(varint(&[0x80]), None);
    }
}
