//! What is seen of a rollout without a model: prompt, tokens, length, end, reward.
//!
//! Promise: exact; an honest rollout passes on every machine.

use protocol::{Check, FinishReason, PromptLease, Rollout, SamplingTerms, UncheckedCause};

use super::{Case, Finding, at, of_rollout, whole};

/// All checks of one rollout that need no model.
pub(crate) fn check(case: &Case, lease: &PromptLease, prompt: &[u32], rollout: &Rollout) -> Result<(), Finding> {
    weight_version(case, lease, rollout)?;
    prompt_tokens(case, prompt, rollout)?;
    vocabulary(case, rollout)?;
    length(case, rollout)?;
    finish(case, rollout)?;
    reward(case, lease, rollout)
}

/// Every token is by the version that the lease names.
fn weight_version(case: &Case, lease: &PromptLease, rollout: &Rollout) -> Result<(), Finding> {
    let expected = lease.weight_version;
    let Some(position) = rollout.weight_versions.iter().position(|&version| version != expected) else { return Ok(()) };
    let number = |version: u64| i64::try_from(version).unwrap_or(i64::MAX);
    let (limit, given) = (number(expected), number(rollout.weight_versions[position]));
    case.require(false, at(Check::WeightVersion, rollout.sample_index, position, limit, given))
}

/// The prompt is the one that the lease names, token by token.
fn prompt_tokens(case: &Case, prompt: &[u32], rollout: &Rollout) -> Result<(), Finding> {
    let claimed = &rollout.prompt_tokens;
    let differs = |&position: &usize| claimed.get(position) != prompt.get(position);
    let Some(position) = (0..prompt.len().max(claimed.len())).find(differs) else { return Ok(()) };
    let token = |tokens: &[u32]| tokens.get(position).map_or(-1, |&token| token.into());
    let (limit, given) = (token(prompt), token(claimed));
    case.require(false, at(Check::Prompt, rollout.sample_index, position, limit, given))
}

fn vocabulary(case: &Case, rollout: &Rollout) -> Result<(), Finding> {
    let limit = case.terms.sampling.vocabulary;
    let Some(position) = rollout.completion_tokens.iter().position(|&token| token >= limit) else { return Ok(()) };
    let given = rollout.completion_tokens[position].into();
    case.require(false, at(Check::Vocabulary, rollout.sample_index, position, limit.into(), given))
}

/// Longest completion of a prompt: `min(max_new_tokens, context_max - prompt tokens)`.
pub(crate) fn completion_max(terms: &SamplingTerms, prompt_tokens: usize) -> usize {
    (terms.context_max as usize).saturating_sub(prompt_tokens).min(terms.max_new_tokens as usize)
}

fn length(case: &Case, rollout: &Rollout) -> Result<(), Finding> {
    let given = rollout.completion_tokens.len();
    let limit = completion_max(&case.terms.sampling, rollout.prompt_tokens.len());
    case.require(given <= limit, of_rollout(Check::Limits, rollout.sample_index, whole(limit), whole(given)))
}

/// A completion ends with its first stop token, or at the longest length without any.
///
/// Whether that stop token was drawn honestly is for the token rule to say, and whether the longest
/// length was passed for [`length`].
fn finish(case: &Case, rollout: &Rollout) -> Result<(), Finding> {
    let terms = &case.terms.sampling;
    let tokens = &rollout.completion_tokens;
    let stop = tokens.iter().position(|token| terms.stop_tokens.contains(token));
    let (reason, end) = match stop {
        Some(position) => (FinishReason::StopToken, position + 1),
        None => (FinishReason::Length, completion_max(terms, rollout.prompt_tokens.len())),
    };
    let (right, given) = (rollout.finish == reason, tokens.len());
    let limit = if right { whole(end) } else { -1 };
    let ended = if stop.is_some() { given == end } else { given >= end };
    case.require(right && ended, of_rollout(Check::Finish, rollout.sample_index, limit, whole(given)))
}

/// Reward and exactness are what the grader says of these tokens.
fn reward(case: &Case, lease: &PromptLease, rollout: &Rollout) -> Result<(), Finding> {
    let grade = case
        .prompts
        .grade(lease.task, lease.item, &rollout.completion_tokens)
        .map_err(|_| Finding::Unchecked(UncheckedCause::TaskFailed))?;
    let sample = rollout.sample_index;
    let (limit, given) = (grade.reward_micro, rollout.reward_micro);
    case.require(limit == given, of_rollout(Check::Reward, sample, limit, given))?;
    let (limit, given) = (grade.exact.into(), rollout.exact.into());
    case.require(limit == given, of_rollout(Check::Reward, sample, limit, given))
}
