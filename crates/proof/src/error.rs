//! Everything that can be wrong with a proof.
//!
//! Promise: each variant names the limit and the value that was given.

use thiserror::Error;

/// Why a proof could not be built, read or compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// The activations are not whole rows of the stated width.
    #[error("{given} activations are not rows of width {width}")]
    Shape {
        /// Values of one row.
        width: usize,
        /// Values given.
        given: usize,
    },
    /// A chunk is larger than an index can count.
    #[error("a chunk has {given} activations, the limit is {limit}")]
    ChunkTooLarge {
        /// Most values in one chunk.
        limit: usize,
        /// Values seen.
        given: usize,
    },
    /// A chunk has no tokens, or fewer values than the proof is to hold.
    #[error("{k} values of a chunk of {given} cannot be committed to")]
    ChunkTooSmall {
        /// Values to commit to.
        k: usize,
        /// Values in the chunk.
        given: usize,
    },
    /// An activation is infinite or not a number.
    #[error("activation {index} has the bits {bits:#06x}, which is no finite number")]
    NotFinite {
        /// Position within the chunk.
        index: usize,
        /// Its bit pattern.
        bits: u16,
    },
    /// No modulus keeps the chosen positions apart.
    #[error("no modulus of at least {k} keeps {k} positions apart")]
    NoModulus {
        /// Positions chosen.
        k: usize,
    },
    /// The proof has another length than this many tokens need.
    #[error("proof has {given} bytes, these activations need {expected}")]
    Length {
        /// Bytes needed.
        expected: usize,
        /// Bytes seen.
        given: usize,
    },
    /// A coefficient is no element of the field.
    #[error("coefficient {index} is {given}, the field ends below {limit}")]
    Coefficient {
        /// Which coefficient, from 0.
        index: usize,
        /// The field's prime.
        limit: u32,
        /// Value seen.
        given: u32,
    },
    /// The modulus is not one that an honest prover could have needed.
    #[error("modulus is {given}, an honest one lies in {least}..={most}")]
    Modulus {
        /// Smallest modulus an honest prover can need.
        least: u32,
        /// Largest modulus there is.
        most: u32,
        /// Value seen.
        given: u32,
    },
}
