//! The checks by name, and what one says when it fails.
//!
//! Promise: each check stops one lie; a reason carries the limit and the value in the unit written at the
//! check, and can be read as a sentence.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A check on a party's work. The doc gives the lie it stops, then the units of `limit` and `given`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// Bytes that are no record, sent to waste time. Limit: bytes of the message; given: 0.
    Malformed,
    /// Work in another's name. Limit and given: 0.
    Signature,
    /// An answer to a lease that was altered or belongs to another. Limit: lease asked; given: lease answered.
    Lease,
    /// A message, group or rollout that is too large. Limit and given: bytes, samples or tokens.
    Limits,
    /// A prompt of one's choosing. Limit: token due at the position; given: token found; -1: none.
    Prompt,
    /// Claiming weights that the lease does not name. Limit: version leased; given: version claimed.
    WeightVersion,
    /// Leaving out the samples that turned out badly. Limit: samples asked; given: samples sent.
    SamplesMissing,
    /// A token that the model does not have. Limit: size of the vocabulary; given: token id.
    Vocabulary,
    /// Ending early or going on too long. Limit: completion tokens at which the claimed finish is right, -1
    /// if there are none; given: completion tokens.
    Finish,
    /// Sending the same work twice. Limit: 0; given: the lease that was answered so before.
    Duplicate,
    /// A reward that was not earned. Limit: reward as regraded; given: reward claimed; both in millionths.
    Reward,
    /// An activation proof or fingerprint that cannot be read. Limit: bytes or entries due; given: found.
    ProofFormat,
    /// Activations of other weights, by their exponents. Limit and given: mismatches in one chunk.
    ActivationExponent,
    /// Activations of nearly the same weights, by their mantissas. Limit and given: mean or median error of
    /// one chunk in thousandths.
    ActivationMantissa,
    /// Activations with their signs turned. Limit and given: mismatches in one chunk.
    ActivationSign,
    /// A proof that is the same everywhere and so close to anything. Limit: least distinct values of a chunk;
    /// given: distinct values.
    ActivationSpread,
    /// Quantised weights. Limit and given: relative distance of the fingerprints in millionths.
    Fingerprint,
    /// Tokens that another model, seed or temperature chose. Limit and given: shortfall in 1e-6 nats.
    TokenMargin,
    /// Log-probabilities that would move the trainer. Limit and given: difference in 1e-6 nats.
    Logprob,
    /// Taking leases and not answering. Limit: leases in a row that may be overdue; given: overdue in a row.
    Withheld,
    /// A verdict other than the one that was sealed. Limit and given: 0.
    SealMismatch,
    /// Calling planted known-bad work valid, for want of looking. Limit: 0; given: number of the plant.
    PlantMissed,
    /// A verdict that the other validators prove wrong. Limit: verdicts against it; given: verdicts with it.
    VerdictDisagrees,
    /// A step of training that its replay does not reproduce. Limit: 0; given: number of the step.
    UpdateReplay,
}

impl Check {
    /// All checks, in their order.
    pub const ALL: [Self; 24] = [
        Self::Malformed,
        Self::Signature,
        Self::Lease,
        Self::Limits,
        Self::Prompt,
        Self::WeightVersion,
        Self::SamplesMissing,
        Self::Vocabulary,
        Self::Finish,
        Self::Duplicate,
        Self::Reward,
        Self::ProofFormat,
        Self::ActivationExponent,
        Self::ActivationMantissa,
        Self::ActivationSign,
        Self::ActivationSpread,
        Self::Fingerprint,
        Self::TokenMargin,
        Self::Logprob,
        Self::Withheld,
        Self::SealMismatch,
        Self::PlantMissed,
        Self::VerdictDisagrees,
        Self::UpdateReplay,
    ];

    /// The word used in logs, tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Signature => "signature",
            Self::Lease => "lease",
            Self::Limits => "limits",
            Self::Prompt => "prompt",
            Self::WeightVersion => "weight_version",
            Self::SamplesMissing => "samples_missing",
            Self::Vocabulary => "vocabulary",
            Self::Finish => "finish",
            Self::Duplicate => "duplicate",
            Self::Reward => "reward",
            Self::ProofFormat => "proof_format",
            Self::ActivationExponent => "activation_exponent",
            Self::ActivationMantissa => "activation_mantissa",
            Self::ActivationSign => "activation_sign",
            Self::ActivationSpread => "activation_spread",
            Self::Fingerprint => "fingerprint",
            Self::TokenMargin => "token_margin",
            Self::Logprob => "logprob",
            Self::Withheld => "withheld",
            Self::SealMismatch => "seal_mismatch",
            Self::PlantMissed => "plant_missed",
            Self::VerdictDisagrees => "verdict_disagrees",
            Self::UpdateReplay => "update_replay",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why work was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectReason {
    /// The check that failed.
    pub check: Check,
    /// The rollout at fault; none if the whole group is.
    pub sample_index: Option<u32>,
    /// Token of the prompt (for [`Check::Prompt`]) or of the completion at which it failed first, from 0.
    pub position: Option<u32>,
    /// What was allowed or due, in the check's unit.
    pub limit: i64,
    /// What was found, in the check's unit.
    pub given: i64,
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(sample_index) = self.sample_index {
            write!(f, "sample {sample_index}")?;
            if let Some(position) = self.position {
                write!(f, ", token {position}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.words())
    }
}

impl RejectReason {
    /// The reason without the place.
    fn words(&self) -> String {
        let (limit, given) = (self.limit, self.given);
        let (milli, micro) = (|value| decimal(value, 1_000), |value| decimal(value, 1_000_000));
        match self.check {
            Check::Malformed => format!("the message of {limit} bytes is no record"),
            Check::Signature => "the signature is not the party's".to_owned(),
            Check::Lease => format!("lease {limit} was asked for, {given} was answered"),
            Check::Limits => format!("{given} is more than the limit of {limit}"),
            Check::Prompt => format!("the prompt has {}, due was {}", token(given), token(limit)),
            Check::WeightVersion => format!("weights {given} were used, weights {limit} were asked for"),
            Check::SamplesMissing => format!("{given} of {limit} samples came"),
            Check::Vocabulary => format!("token {given} is not in the vocabulary of {limit}"),
            Check::Finish if limit < 0 => format!("no rollout may end so, this one did after {given} tokens"),
            Check::Finish => format!("it ends after {given} tokens, due were {limit}"),
            Check::Duplicate => format!("lease {given} was answered with the same work before"),
            Check::Reward => format!("a reward of {} was claimed, {} was earned", micro(given), micro(limit)),
            Check::ProofFormat => format!("the proof has size {given}, due was {limit}, or breaks its format"),
            Check::ActivationExponent => format!("{given} exponents of the activations differ, allowed {limit}"),
            Check::ActivationMantissa => {
                format!("mantissas of the activations differ by {}, allowed {}", milli(given), milli(limit))
            }
            Check::ActivationSign => format!("{given} signs of the activations differ, allowed {limit}"),
            Check::ActivationSpread => format!("the proof holds {given} distinct values, due are {limit}"),
            Check::Fingerprint => format!("the fingerprint is off by {}, allowed {}", micro(given), micro(limit)),
            Check::TokenMargin => format!("the token loses by {} nats, allowed {}", micro(given), micro(limit)),
            Check::Logprob => format!("the logprob is off by {} nats, allowed {}", micro(given), micro(limit)),
            Check::Withheld => format!("{given} leases in a row were not answered in time, allowed {limit}"),
            Check::SealMismatch => "the verdict is not the one that was sealed".to_owned(),
            Check::PlantMissed => format!("planted bad work number {given} was called valid"),
            Check::VerdictDisagrees => format!("{limit} verdicts prove it wrong, {given} agree with it"),
            Check::UpdateReplay => format!("the replay of step {given} ends in another state"),
        }
    }
}

fn token(id: i64) -> String {
    if id < 0 { "no token".to_owned() } else { format!("token {id}") }
}

/// `value / one` with all its decimals, where `one` is a power of ten.
fn decimal(value: i64, one: u64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    let (whole, part) = (value.unsigned_abs() / one, value.unsigned_abs() % one);
    format!("{sign}{whole}.{part:0digits$}", digits = one.ilog10() as usize)
}
