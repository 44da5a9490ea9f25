//! Whether a verdict that says valid is borne out by its own numbers.
//!
//! Promise: nobody can call a group valid and hand the trainer log-probabilities, or a record, that deny it;
//! a validator that judged by the agreed tolerances is never refused.
//! Takes: a verdict and its submission. Gives: the first number beyond its tolerance, or twice beyond it. Never: computes with
//! floats: they are read as fixed-point numbers, rounded towards what is allowed.

use proof::tolerances::{
    EXPONENT_MISMATCHES_MAX, FINGERPRINT_ERROR_MAX_PPM, LOGPROB_ERROR_MAX_MICRO, LOGPROB_ERROR_MEAN_MAX_MICRO,
    MANTISSA_MEAN_MILLI_MAX, MANTISSA_MEDIAN_MILLI_MAX, SIGN_MISMATCHES_MAX, TOKEN_MARGIN_MAX_MICRO,
};
use protocol::{Check, CheckedRollout, Outcome, RejectReason, Rollout, Submission, Verdict};

/// Fraction bits of a fixed-point number: 2^-40 is a millionth of a millionth.
const FRACTION_BITS: i32 = 40;
/// Larger numbers all count as about 2^63.
const SHIFT_MAX: i32 = 79;

/// The first number of a `Valid` verdict that is beyond its tolerance. Verdicts that say otherwise are not
/// looked at. The log-probabilities are compared anew, whatever the verdict says about them.
pub(super) fn contradiction(verdict: &Verdict, submission: &Submission, temperature: f32) -> Option<RejectReason> {
    if verdict.outcome != Outcome::Valid {
        return None;
    }
    beyond(1, verdict, submission, temperature)
}

/// The check of the first number of an `Invalid` verdict that is more than twice its tolerance away: whatever
/// check the verdict names, this one failed clearly.
pub(super) fn clear_fault(verdict: &Verdict, submission: &Submission, temperature: f32) -> Option<Check> {
    let accusation = matches!(verdict.outcome, Outcome::Invalid(_));
    let reason = accusation.then(|| beyond(2, verdict, submission, temperature))?;
    reason.map(|reason| reason.check)
}

/// The first number beyond so many times its tolerance.
fn beyond(times: i64, verdict: &Verdict, submission: &Submission, temperature: f32) -> Option<RejectReason> {
    verdict.checked.iter().find_map(|checked| {
        let of_sample = |rollout: &&Rollout| rollout.sample_index == checked.sample_index;
        let rollout = submission.rollouts.iter().find(of_sample)?;
        let numbers = listed(checked, rollout, temperature).into_iter();
        let mut all = numbers.chain(compared(checked, rollout, temperature));
        let (check, limit, given) = all.find(|(_, limit, given)| *given > limit.saturating_mul(times))?;
        Some(RejectReason { check, sample_index: Some(checked.sample_index), position: None, limit, given })
    })
}

/// What the verdict says, each with its limit. Short chunks have narrower limits, which are not looked at here.
fn listed(checked: &CheckedRollout, rollout: &Rollout, temperature: f32) -> [(Check, i64, i64); 9] {
    let tempered = |limit| tempered_limit(limit, temperature);
    let tokens = i64::try_from(rollout.completion_tokens.len()).unwrap_or(i64::MAX); // bounded by the codec
    let exact = |check, limit: u32, given: u32| (check, i64::from(limit), i64::from(given));
    [
        exact(Check::ActivationExponent, EXPONENT_MISMATCHES_MAX, checked.exponent_mismatches),
        exact(Check::ActivationMantissa, MANTISSA_MEAN_MILLI_MAX, checked.mantissa_mean_milli),
        exact(Check::ActivationMantissa, MANTISSA_MEDIAN_MILLI_MAX, checked.mantissa_median_milli),
        exact(Check::ActivationSign, SIGN_MISMATCHES_MAX, checked.sign_mismatches),
        exact(Check::Fingerprint, FINGERPRINT_ERROR_MAX_PPM, checked.fingerprint_error_ppm),
        (Check::TokenMargin, tempered(TOKEN_MARGIN_MAX_MICRO), checked.margin_max_micro),
        (Check::Limits, tokens, checked.tokens_lost.into()),
        (Check::Logprob, tempered(LOGPROB_ERROR_MAX_MICRO), checked.logprob_error_max_micro),
        (Check::Logprob, tempered(LOGPROB_ERROR_MEAN_MAX_MICRO), checked.logprob_error_mean_micro),
    ]
}

/// Largest and mean `|claimed - own|` of the log-probabilities in 1e-6 nats, rounded down, with their limits.
fn compared(checked: &CheckedRollout, rollout: &Rollout, temperature: f32) -> [(Check, i64, i64); 2] {
    let pairs = rollout.logprobs.iter().zip(&checked.logprobs);
    let errors = pairs.map(|(&claimed, &own)| (fixed(claimed) - fixed(own)).abs() * 1_000_000);
    let (count, largest, sum) = errors
        .fold((0, 0, 0i128), |(count, largest, sum), error| (count + 1, error.max(largest), sum.saturating_add(error)));
    let micro = |error: i128| i64::try_from(error >> FRACTION_BITS).unwrap_or(i64::MAX);
    let mean = sum.checked_div(count).unwrap_or(0); // of no tokens
    [
        (Check::Logprob, tempered_limit(LOGPROB_ERROR_MAX_MICRO, temperature), micro(largest)),
        (Check::Logprob, tempered_limit(LOGPROB_ERROR_MEAN_MAX_MICRO, temperature), micro(mean)),
    ]
}

/// `limit / min(T, 1)` rounded up, and the limit itself at temperature 0: that of the validators, or the next
/// whole number.
fn tempered_limit(limit: i64, temperature: f32) -> i64 {
    if temperature == 0.0 {
        return limit;
    }
    let temperature = fixed(temperature).min(1 << FRACTION_BITS);
    let raised = (i128::from(limit) << FRACTION_BITS).checked_div(temperature);
    raised.and_then(|raised| i64::try_from(raised + 1).ok()).unwrap_or(i64::MAX) // nearly 0
}

/// A finite number with [`FRACTION_BITS`], rounded towards 0; its size is bounded by 2^103.
fn fixed(value: f32) -> i128 {
    let bits = value.to_bits();
    let (exponent, fraction) = ((bits >> 23 & 0xff) as i32, i128::from(bits & 0x7f_ffff));
    // value = mantissa · 2^(exponent - 150); numbers near 0 have no leading one.
    let (mantissa, exponent) = if exponent == 0 { (fraction, 1) } else { (fraction | 1 << 23, exponent) };
    let size = match exponent - 150 + FRACTION_BITS {
        shift @ ..0 => mantissa >> (-shift).min(127),
        shift => mantissa << shift.min(SHIFT_MAX),
    };
    if value.is_sign_negative() { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_exactly_where_it_matters() {
        let one = 1i128 << FRACTION_BITS;
        assert_eq!([1.0, -0.5, 25.0, 0.0, -0.0].map(fixed), [one, -one / 2, 25 * one, 0, 0]);
        assert_eq!(fixed(f32::MIN_POSITIVE), 0);
        assert_eq!(fixed(1e-10), 109, "1.0995e2 of 2^-40, rounded down");
        assert!(fixed(f32::MIN) < -(1 << 100), "as large as can be");
    }

    #[test]
    fn limits_are_those_of_validators_or_the_next_number() {
        assert_eq!([0.0, 1.0, 1.7].map(|temperature| tempered_limit(2_000, temperature)), [2_000, 2_001, 2_001]);
        assert_eq!(tempered_limit(2_000, 0.5), 4_001);
        assert_eq!(tempered_limit(2_000, f32::MIN_POSITIVE), i64::MAX);
    }
}
