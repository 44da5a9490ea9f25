//! Checks the sequences of a batch and lays some of them end to end for the model.
//!
//! Promise: a sequence that passes the check cannot make the model panic; every completion token is scored once,
//! from the row of the token before it.

use std::sync::Arc;

use ops::Segments;
use protocol::constants::LOGPROB_MAX;

use crate::TrainRollout;
use crate::error::{Result, SequenceProblem, TrainError};

/// A prompt with the completion that the model should give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SftExample {
    /// Prompt and completion.
    pub tokens: Vec<u32>,
    /// How many of them are the prompt.
    pub prompt_len: usize,
}

/// What a model can take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) vocabulary: usize,
    pub(crate) positions: usize,
}

/// A checked sequence.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence<'a> {
    tokens: &'a [u32],
    prompt_len: usize,
    temperature: f32,
}

impl<'a> Sequence<'a> {
    /// Rows that the model computes: the last token is only a target.
    pub(crate) fn rows(&self) -> usize {
        self.tokens.len() - 1
    }

    /// Completion tokens.
    pub(crate) fn targets(&self) -> usize {
        self.tokens.len() - self.prompt_len
    }

    fn check(tokens: &'a [u32], prompt_len: usize, temperature: f32, limits: Limits) -> Result<Self, SequenceProblem> {
        if prompt_len == 0 {
            return Err(SequenceProblem::EmptyPrompt);
        }
        if tokens.len() <= prompt_len {
            return Err(SequenceProblem::EmptyCompletion { tokens: tokens.len(), prompt_len });
        }
        if tokens.len() > limits.positions {
            return Err(SequenceProblem::TooLong { limit: limits.positions, given: tokens.len() });
        }
        if let Some(position) = tokens.iter().position(|&id| id as usize >= limits.vocabulary) {
            let given = tokens[position];
            return Err(SequenceProblem::TokenOutsideVocabulary { limit: limits.vocabulary, given, position });
        }
        if !(temperature > 0.0 && temperature.is_finite()) {
            return Err(SequenceProblem::Temperature { given: temperature });
        }
        Ok(Self { tokens, prompt_len, temperature })
    }
}

/// Errors: `EmptyBatch`, `BadSequence`.
pub(crate) fn check_rollouts(batch: &[TrainRollout], limits: Limits) -> Result<Vec<Sequence<'_>>> {
    check_all(batch, |rollout| {
        let sequence = Sequence::check(&rollout.tokens, rollout.prompt_len, rollout.temperature, limits)?;
        let expected = sequence.targets();
        let lists = [
            ("behaviour_logprobs", rollout.behaviour_logprobs.len()),
            ("weight_versions", rollout.weight_versions.len()),
        ];
        if let Some(&(what, given)) = lists.iter().find(|&&(_, given)| given != expected) {
            return Err(SequenceProblem::WrongLength { what, expected, given });
        }
        let is_logprob = |x: f32| x.is_finite() && x <= LOGPROB_MAX;
        if let Some(position) = rollout.behaviour_logprobs.iter().position(|&x| !is_logprob(x)) {
            let given = rollout.behaviour_logprobs[position];
            return Err(SequenceProblem::NoLogprob { given, position });
        }
        if !rollout.advantage.is_finite() {
            return Err(SequenceProblem::Advantage { given: rollout.advantage });
        }
        Ok(sequence)
    })
}

/// Errors: `EmptyBatch`, `BadSequence`.
pub(crate) fn check_examples(batch: &[SftExample], limits: Limits) -> Result<Vec<Sequence<'_>>> {
    check_all(batch, |example| Sequence::check(&example.tokens, example.prompt_len, 1.0, limits))
}

fn check_all<'a, T>(
    batch: &'a [T],
    check: impl Fn(&'a T) -> Result<Sequence<'a>, SequenceProblem>,
) -> Result<Vec<Sequence<'a>>> {
    if batch.is_empty() {
        return Err(TrainError::EmptyBatch);
    }
    let named = |(index, entry)| check(entry).map_err(|problem| TrainError::BadSequence { index, problem });
    batch.iter().enumerate().map(named).collect()
}

/// Some sequences laid end to end, with what is to be scored in them.
#[derive(Clone, Debug)]
pub(crate) struct MicroBatch {
    /// Their places in the batch.
    pub(crate) members: Vec<usize>,
    /// Completion tokens of each.
    pub(crate) lengths: Vec<usize>,
    /// Inputs of the model, `[rows]`.
    pub(crate) tokens: Arc<[u32]>,
    /// Their positions, `[rows]`.
    pub(crate) positions: Arc<[u32]>,
    /// Where each sequence starts.
    pub(crate) segments: Segments,
    /// Rows that predict a completion token; `None` if all do.
    pub(crate) scored: Option<Vec<i32>>,
    /// The completion tokens, `[scored]`.
    pub(crate) targets: Arc<[u32]>,
    /// `[scored]`.
    pub(crate) temperature: Arc<[f32]>,
}

impl MicroBatch {
    /// `members`: places in `sequences`, in the order in which they are laid down.
    pub(crate) fn new(sequences: &[Sequence], members: Vec<usize>) -> Self {
        let chosen: Vec<&Sequence> = members.iter().map(|&index| &sequences[index]).collect();
        let rows: Vec<usize> = chosen.iter().map(|s| s.rows()).collect();
        let lengths: Vec<usize> = chosen.iter().map(|s| s.targets()).collect();
        let mut scored = Vec::with_capacity(lengths.iter().sum());
        let mut start = 0;
        for sequence in &chosen {
            let end = start + sequence.rows();
            // Row p predicts token p + 1, so the first completion token comes from the prompt's last row.
            scored.extend((start + sequence.prompt_len - 1..end).map(|row| row as i32));
            start = end;
        }
        let inputs = chosen.iter().flat_map(|s| s.tokens[..s.rows()].iter().copied());
        let targets = chosen.iter().flat_map(|s| s.tokens[s.prompt_len..].iter().copied());
        let temperature = chosen.iter().flat_map(|s| std::iter::repeat_n(s.temperature, s.targets()));
        Self {
            tokens: inputs.collect(),
            positions: rows.iter().flat_map(|&n| 0..n as u32).collect(),
            segments: Segments::from_lengths(&rows),
            targets: targets.collect(),
            temperature: temperature.collect(),
            scored: (scored.len() < start).then_some(scored),
            lengths,
            members,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { vocabulary: 10, positions: 6 };

    fn rollout() -> TrainRollout {
        TrainRollout {
            tokens: vec![1, 2, 3, 4],
            prompt_len: 2,
            behaviour_logprobs: vec![-0.5, -0.25],
            weight_versions: vec![0, 0],
            advantage: 1.0,
            temperature: 1.0,
        }
    }

    #[test]
    fn each_completion_token_is_scored_from_the_row_before_it() {
        let short = SftExample { tokens: vec![7, 8], prompt_len: 1 };
        let long = SftExample { tokens: vec![1, 2, 3, 4], prompt_len: 2 };
        let batch = [short, long];
        let sequences = check_examples(&batch, LIMITS).unwrap();
        let micro = MicroBatch::new(&sequences, vec![0, 1]);
        // Inputs: 7 | 1 2 3. Row 0 predicts 8; row 2 (token 2) predicts 3; row 3 (token 3) predicts 4.
        assert_eq!(&*micro.tokens, [7, 1, 2, 3]);
        assert_eq!(&*micro.positions, [0, 0, 1, 2]);
        assert_eq!(micro.segments.starts(), [0, 1, 4]);
        assert_eq!(micro.scored, Some(vec![0, 2, 3]));
        assert_eq!(&*micro.targets, [8, 3, 4]);
        assert_eq!(micro.lengths, [1, 2]);
    }

    #[test]
    fn a_batch_that_is_all_completion_selects_no_rows() {
        let batch = [SftExample { tokens: vec![7, 8, 9], prompt_len: 1 }];
        let micro = MicroBatch::new(&check_examples(&batch, LIMITS).unwrap(), vec![0]);
        assert_eq!(micro.scored, None);
    }

    #[test]
    fn what_is_wrong_with_a_sequence_is_named() {
        type Change = fn(&mut TrainRollout);
        let cases: [(Change, SequenceProblem); 9] = [
            (|r| r.prompt_len = 0, SequenceProblem::EmptyPrompt),
            (|r| r.prompt_len = 4, SequenceProblem::EmptyCompletion { tokens: 4, prompt_len: 4 }),
            (|r| r.tokens = vec![1; 7], SequenceProblem::TooLong { limit: 6, given: 7 }),
            (|r| r.tokens[3] = 10, SequenceProblem::TokenOutsideVocabulary { limit: 10, given: 10, position: 3 }),
            (
                |r| r.weight_versions.clear(),
                SequenceProblem::WrongLength { what: "weight_versions", expected: 2, given: 0 },
            ),
            (|r| r.behaviour_logprobs[1] = 0.5, SequenceProblem::NoLogprob { given: 0.5, position: 1 }),
            (
                |r| r.behaviour_logprobs[0] = f32::NEG_INFINITY,
                SequenceProblem::NoLogprob { given: f32::NEG_INFINITY, position: 0 },
            ),
            (|r| r.advantage = f32::INFINITY, SequenceProblem::Advantage { given: f32::INFINITY }),
            (|r| r.temperature = 0.0, SequenceProblem::Temperature { given: 0.0 }),
        ];
        for (change, expected) in cases {
            let mut bad = rollout();
            change(&mut bad);
            let error = check_rollouts(&[rollout(), bad], LIMITS).unwrap_err();
            let TrainError::BadSequence { index: 1, problem } = error else { panic!("{error}") };
            assert_eq!(problem, expected);
        }
        assert!(matches!(check_rollouts(&[], LIMITS), Err(TrainError::EmptyBatch)));
    }
}
