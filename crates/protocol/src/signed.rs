//! A record with the name of who stands by it.
//!
//! Promise: a signature holds for one record of one kind in one run; the same bytes signed for another run,
//! or as another kind of record, do not verify.

use serde::{Deserialize, Serialize};

use crate::{Hash, Keypair, ProtocolError, PublicKey, Record, RunId, Signature};

/// A record that someone signs.
pub trait Signable: Record {
    /// Context string of the digest; no two kinds share one.
    const CONTEXT: &'static str;
    /// What an error calls the record.
    const NAME: &'static str;
}

/// A record, its signer, and the signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// What is said.
    pub body: T,
    /// Who says it.
    pub signer: PublicKey,
    /// ed25519 over `blake3_derive_key(context of the kind, run id ‖ encoded body)`.
    pub signature: Signature,
}

impl<T: Signable> Signed<T> {
    /// Signs `body` for the run.
    ///
    /// Errors: those of the body's `encode`.
    pub fn new(body: T, run: &RunId, keys: &Keypair) -> Result<Self, ProtocolError> {
        let signature = keys.sign(&digest(&body, run)?);
        Ok(Self { body, signer: keys.public(), signature })
    }

    /// The body, if `expected` signed it for this run.
    ///
    /// Errors: `WrongSigner`, `BadSignature`, and those of the body's `encode`.
    pub fn verify(&self, run: &RunId, expected: &PublicKey) -> Result<&T, ProtocolError> {
        if self.signer != *expected {
            return Err(ProtocolError::WrongSigner { record: T::NAME, expected: *expected, given: self.signer });
        }
        match self.signer.signed(&digest(&self.body, run)?, &self.signature) {
            true => Ok(&self.body),
            false => Err(ProtocolError::BadSignature { record: T::NAME, signer: self.signer }),
        }
    }
}

fn digest<T: Signable>(body: &T, run: &RunId) -> Result<Hash, ProtocolError> {
    let mut hasher = blake3::Hasher::new_derive_key(T::CONTEXT);
    hasher.update(run).update(&body.encode()?);
    Ok(*hasher.finalize().as_bytes())
}
