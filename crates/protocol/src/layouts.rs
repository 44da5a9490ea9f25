//! Where each record's fields lie in its bytes.
//!
//! Promise: fields are read in the order in which the struct declares them, which is the order in which
//! postcard writes them; every list is read through its limit.

use serde::de::DeserializeOwned;

use crate::codec::{Layout, Reader};
use crate::constants::{
    BYTES_PER_NOTE_MAX, BYTES_PER_RECORD_MAX, LEASES_PER_UPDATE_MAX, PARTIES_PER_ROLE_MAX, SAMPLES_PER_GROUP_MAX,
    STOP_TOKENS_MAX, TOKENS_PER_ROLLOUT_MAX,
};
use crate::rollout::{check_fingerprint_entries, check_proof_bytes};
use crate::{
    CheckOrder, CheckedRollout, Commitment, Group, PlantRequest, PromptLease, ProtocolError, PublicKey, RevealOrder,
    Rollout, RunTerms, SamplingTerms, Signable, Signed, Submission, Update, Verdict, VerdictReveal, VerdictSeal,
};

/// Bit of the kind that says that a record is signed.
const SIGNED: u8 = 0x80;

type Read<T> = Result<T, ProtocolError>;

/// Records of bounded size are read whole.
macro_rules! note {
    ($($record:ty = $tag:literal, $check:expr;)*) => {$(
        impl Layout for $record {
            const TAG: u8 = $tag;
            const LIMIT: usize = BYTES_PER_NOTE_MAX;

            fn read(reader: &mut Reader<'_>) -> Read<Self> {
                reader.take(stringify!($record))
            }

            fn checked(&self) -> Read<()> {
                $check(self)
            }
        }
    )*};
}

note! {
    PromptLease = 1, PromptLease::check;
    Commitment = 4, |_: &Commitment| Ok(());
    VerdictSeal = 6, |_: &VerdictSeal| Ok(());
    RevealOrder = 9, |_: &RevealOrder| Ok(());
    PlantRequest = 13, |_: &PlantRequest| Ok(());
}

impl Layout for Rollout {
    const TAG: u8 = 2;
    const LIMIT: usize = BYTES_PER_RECORD_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            lease: reader.take("lease")?,
            sample_index: reader.take("sample_index")?,
            prompt_tokens: take_tokens(reader, "prompt_tokens")?,
            completion_tokens: take_tokens(reader, "completion_tokens")?,
            logprobs: take_tokens(reader, "logprobs")?,
            weight_versions: take_tokens(reader, "weight_versions")?,
            finish: reader.take("finish")?,
            reward_micro: reader.take("reward_micro")?,
            exact: reader.take("exact")?,
            activation_proof: reader.take_list("activation_proof", check_proof_bytes)?,
            fingerprint: reader.take_list("fingerprint", check_fingerprint_entries)?,
        })
    }

    fn checked(&self) -> Read<()> {
        self.check()
    }
}

impl Layout for Group {
    const TAG: u8 = 3;
    const LIMIT: usize = BYTES_PER_RECORD_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { lease: PromptLease::read(reader)?, rollouts: take_rollouts(reader)? })
    }

    fn checked(&self) -> Read<()> {
        self.check()
    }
}

impl Layout for Verdict {
    const TAG: u8 = 5;
    const LIMIT: usize = BYTES_PER_RECORD_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            lease: reader.take("lease")?,
            root: reader.take("root")?,
            validator: reader.take("validator")?,
            draw: reader.take("draw")?,
            tokens: reader.take("tokens")?,
            checked: {
                let count = reader.take_count("checked", samples)?;
                (0..count).map(|_| read_checked(reader)).collect::<Read<_>>()?
            },
            outcome: reader.take("outcome")?,
        })
    }

    fn checked(&self) -> Read<()> {
        self.check()
    }
}

impl Layout for VerdictReveal {
    const TAG: u8 = 7;
    const LIMIT: usize = Signed::<Verdict>::LIMIT + BYTES_PER_NOTE_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { verdict: Signed::read(reader)?, salt: reader.take("salt")? })
    }

    fn checked(&self) -> Read<()> {
        self.verdict.checked()
    }
}

impl Layout for CheckOrder {
    const TAG: u8 = 8;
    const LIMIT: usize = BYTES_PER_RECORD_MAX + BYTES_PER_NOTE_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { submission: Submission::read(reader)?, draw: reader.take("draw")? })
    }

    fn checked(&self) -> Read<()> {
        self.submission.checked()
    }
}

impl Layout for RunTerms {
    const TAG: u8 = 10;
    const LIMIT: usize = BYTES_PER_RECORD_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            run_seed: reader.take("run_seed")?,
            orchestrator: reader.take("orchestrator")?,
            trainer: reader.take("trainer")?,
            workers: take_keys(reader, "workers")?,
            validators: take_keys(reader, "validators")?,
            group_size: reader.take("group_size")?,
            check_ppm: reader.take("check_ppm")?,
            probation_leases: reader.take("probation_leases")?,
            sampling: read_sampling(reader)?,
            beacon: reader.take("beacon")?,
        })
    }

    fn checked(&self) -> Read<()> {
        self.check()
    }
}

impl Layout for Update {
    const TAG: u8 = 11;
    const LIMIT: usize = BYTES_PER_RECORD_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            step: reader.take("step")?,
            leases: reader.take_list("leases", |given| {
                at_most(LEASES_PER_UPDATE_MAX, given, |limit| ProtocolError::TooManyLeases { limit, given })
            })?,
            batch: reader.take("batch")?,
            state_before: reader.take("state_before")?,
            state_after: reader.take("state_after")?,
            weights: reader.take("weights")?,
        })
    }

    fn checked(&self) -> Read<()> {
        self.check()
    }
}

impl Layout for Submission {
    const TAG: u8 = 12;
    const LIMIT: usize = BYTES_PER_RECORD_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { lease: Signed::read(reader)?, commitment: Signed::read(reader)?, rollouts: take_rollouts(reader)? })
    }

    fn checked(&self) -> Read<()> {
        self.check_parts()
    }
}

impl<T: Layout + Signable> Layout for Signed<T> {
    const TAG: u8 = SIGNED | T::TAG;
    const LIMIT: usize = T::LIMIT + BYTES_PER_NOTE_MAX;

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { body: T::read(reader)?, signer: reader.take("signer")?, signature: reader.take("signature")? })
    }

    fn checked(&self) -> Read<()> {
        self.body.checked()
    }
}

fn read_checked(reader: &mut Reader<'_>) -> Read<CheckedRollout> {
    Ok(CheckedRollout {
        sample_index: reader.take("sample_index")?,
        exponent_mismatches: reader.take("exponent_mismatches")?,
        mantissa_mean_milli: reader.take("mantissa_mean_milli")?,
        mantissa_median_milli: reader.take("mantissa_median_milli")?,
        sign_mismatches: reader.take("sign_mismatches")?,
        fingerprint_error_ppm: reader.take("fingerprint_error_ppm")?,
        margin_max_micro: reader.take("margin_max_micro")?,
        tokens_lost: reader.take("tokens_lost")?,
        logprob_error_max_micro: reader.take("logprob_error_max_micro")?,
        logprob_error_mean_micro: reader.take("logprob_error_mean_micro")?,
        logprobs: take_tokens(reader, "logprobs")?,
    })
}

fn read_sampling(reader: &mut Reader<'_>) -> Read<SamplingTerms> {
    Ok(SamplingTerms {
        temperature: reader.take("temperature")?,
        max_new_tokens: reader.take("max_new_tokens")?,
        context_max: reader.take("context_max")?,
        vocabulary: reader.take("vocabulary")?,
        stop_tokens: reader.take_list("stop_tokens", |given| {
            at_most(STOP_TOKENS_MAX, given, |limit| ProtocolError::TooManyStopTokens { limit, given })
        })?,
        dtype: reader.take("dtype")?,
    })
}

fn take_tokens<T: DeserializeOwned>(reader: &mut Reader<'_>, field: &'static str) -> Read<Vec<T>> {
    reader.take_list(field, |given| {
        at_most(TOKENS_PER_ROLLOUT_MAX, given, |limit| ProtocolError::TooManyTokens { limit, given })
    })
}

fn take_rollouts(reader: &mut Reader<'_>) -> Read<Vec<Rollout>> {
    let count = reader.take_count("rollouts", samples)?;
    (0..count).map(|_| Rollout::read(reader)).collect()
}

fn take_keys(reader: &mut Reader<'_>, role: &'static str) -> Read<Vec<PublicKey>> {
    reader.take_list(role, |given| {
        at_most(PARTIES_PER_ROLE_MAX, given, |limit| ProtocolError::TooManyParties { role, limit, given })
    })
}

fn samples(given: usize) -> Read<()> {
    at_most(SAMPLES_PER_GROUP_MAX, given, |limit| ProtocolError::TooManySamples { limit, given })
}

fn at_most(limit: usize, given: usize, error: impl Fn(usize) -> ProtocolError) -> Read<()> {
    if given > limit { Err(error(limit)) } else { Ok(()) }
}
