//! Checks the sequences of a batch and lays some of them end to end for the model.
//!
//! Promise: a sequence that passes the check cannot make the model panic; every completion token is scored once,
//! from the row of the token before it; a prompt that several completions have in common is computed once.

use std::collections::BTreeMap;
use std::ops::Range;
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
    /// Prompt and completion together.
    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Completion tokens.
    pub(crate) fn targets(&self) -> usize {
        self.tokens.len() - self.prompt_len
    }

    fn prompt(&self) -> &'a [u32] {
        &self.tokens[..self.prompt_len]
    }

    fn completion(&self) -> &'a [u32] {
        &self.tokens[self.prompt_len..]
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

/// Places in the batch of sequences with one prompt, which is laid down once.
pub(crate) type Family = Vec<usize>;

/// Puts `members` that have a prompt in common together, in the order in which their prompts come first, as many in a
/// family as fit into `budget` rows (one at least).
pub(crate) fn families(sequences: &[Sequence], members: &[usize], budget: usize) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut open: BTreeMap<&[u32], usize> = BTreeMap::new();
    for &member in members {
        let prompt = sequences[member].prompt();
        let place = *open.entry(prompt).or_insert(families.len());
        match families.get_mut(place) {
            None => families.push(vec![member]),
            Some(family) => {
                family.push(member);
                if rows(sequences, family) > budget {
                    family.pop();
                    open.insert(prompt, families.len());
                    families.push(vec![member]);
                }
            }
        }
    }
    families
}

/// Rows that the model computes of a family: the prompt once, and each completion but for its last token.
pub(crate) fn rows(sequences: &[Sequence], family: &[usize]) -> usize {
    let prompt = sequences[family[0]].prompt_len;
    prompt + family.iter().map(|&member| sequences[member].targets() - 1).sum::<usize>()
}

/// Some families laid end to end, with what is to be scored in them.
#[derive(Clone, Debug)]
pub(crate) struct MicroBatch {
    /// Their sequences' places in the batch.
    pub(crate) members: Vec<usize>,
    /// Completion tokens of each.
    pub(crate) lengths: Vec<usize>,
    /// Inputs of the model, `[rows]`.
    pub(crate) tokens: Arc<[u32]>,
    /// Their positions, `[rows]`.
    pub(crate) positions: Arc<[u32]>,
    /// Where each prompt and each completion starts.
    pub(crate) segments: Segments,
    /// Rows that predict a completion token, that of the prompt's end once for each completion; `None` if all rows do,
    /// once and in order.
    pub(crate) scored: Option<Vec<i32>>,
    /// The completion tokens, `[scored]`.
    pub(crate) targets: Arc<[u32]>,
    /// `[scored]`.
    pub(crate) temperature: Arc<[f32]>,
}

impl MicroBatch {
    /// The families in the order in which they are laid down.
    pub(crate) fn new(sequences: &[Sequence], families: &[Family]) -> Self {
        let mut laid = Laid::default();
        for family in families {
            match family.as_slice() {
                // Alone it needs no prompt apart, and has the bits of a sequence as it is.
                [only] => laid.alone(&sequences[*only]),
                several => laid.together(several.iter().map(|&member| &sequences[member])),
            }
        }
        let members = families.concat();
        let chosen = || members.iter().map(|&member| &sequences[member]);
        let Laid { tokens, positions, lengths, continued, scored } = laid;
        let all = scored.iter().copied().eq(0..tokens.len() as i32); // rows fit in i32
        Self {
            tokens: tokens.into(),
            positions: positions.into(),
            segments: Segments::from_lengths(&lengths).continuing(continued),
            targets: chosen().flat_map(|s| s.completion().iter().copied()).collect(),
            temperature: chosen().flat_map(|s| std::iter::repeat_n(s.temperature, s.targets())).collect(),
            scored: (!all).then_some(scored),
            lengths: chosen().map(Sequence::targets).collect(),
            members,
        }
    }
}

/// Rows laid down so far.
#[derive(Default)]
struct Laid {
    tokens: Vec<u32>,
    positions: Vec<u32>,
    lengths: Vec<usize>,
    continued: Vec<Option<usize>>,
    scored: Vec<i32>,
}

impl Laid {
    fn alone(&mut self, sequence: &Sequence) {
        let first = self.lay(&sequence.tokens[..sequence.tokens.len() - 1], 0, None);
        self.score(first + sequence.prompt_len - 1..self.tokens.len());
    }

    fn together<'s, 't: 's>(&mut self, sequences: impl Iterator<Item = &'s Sequence<'t>>) {
        let mut prompt = None;
        for sequence in sequences {
            let (start, place) =
                *prompt.get_or_insert_with(|| (self.lay(sequence.prompt(), 0, None), self.lengths.len() - 1));
            let end = start + sequence.prompt_len;
            self.score(end - 1..end);
            let own = &sequence.completion()[..sequence.targets() - 1];
            let first = self.lay(own, sequence.prompt_len, Some(place));
            self.score(first..self.tokens.len());
        }
    }

    /// Lays one segment down and gives its first row.
    fn lay(&mut self, tokens: &[u32], position: usize, continued: Option<usize>) -> usize {
        let first = self.tokens.len();
        self.tokens.extend_from_slice(tokens);
        self.positions.extend((position..position + tokens.len()).map(|position| position as u32)); // below the model's
        self.lengths.push(tokens.len());
        self.continued.push(continued);
        first
    }

    /// Row p predicts token p + 1.
    fn score(&mut self, rows: Range<usize>) {
        self.scored.extend(rows.map(|row| row as i32));
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
        let micro = MicroBatch::new(&sequences, &[vec![0], vec![1]]);
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
        let micro = MicroBatch::new(&check_examples(&batch, LIMITS).unwrap(), &[vec![0]]);
        assert_eq!(micro.scored, None);
    }

    fn example(tokens: &[u32], prompt_len: usize) -> SftExample {
        SftExample { tokens: tokens.to_vec(), prompt_len }
    }

    #[test]
    fn completions_of_one_prompt_continue_it() {
        let batch =
            [example(&[1, 2, 3, 4], 2), example(&[7, 8], 1), example(&[1, 2, 5], 2), example(&[1, 2, 6, 9, 3], 2)];
        let sequences = check_examples(&batch, LIMITS).unwrap();
        let families = families(&sequences, &[0, 1, 2, 3], 100);
        assert_eq!(families, [vec![0, 2, 3], vec![1]]);
        assert_eq!(rows(&sequences, &families[0]), 5);
        let micro = MicroBatch::new(&sequences, &families);
        // Prompt 1 2, then 3, nothing, and 6 9; the other sequence's 7.
        assert_eq!(&*micro.tokens, [1, 2, 3, 6, 9, 7]);
        assert_eq!(&*micro.positions, [0, 1, 2, 2, 3, 0]);
        let expected = Segments::from_lengths(&[2, 1, 0, 2, 1]).continuing([None, Some(0), Some(0), Some(0), None]);
        assert_eq!(micro.segments, expected);
        // Row 1, the prompt's last, predicts the first token of each completion.
        assert_eq!(micro.scored, Some(vec![1, 2, 1, 1, 3, 4, 5]));
        assert_eq!(&*micro.targets, [3, 4, 5, 6, 9, 3, 8]);
        assert_eq!((micro.members, micro.lengths), (vec![0, 2, 3, 1], vec![2, 1, 3, 1]));
    }

    #[test]
    fn a_family_that_is_over_the_budget_is_parted() {
        let batch = [example(&[1, 2, 3, 4], 2), example(&[1, 2, 5, 6], 2), example(&[1, 2, 6, 7, 8, 9], 2)];
        let sequences = check_examples(&batch, LIMITS).unwrap();
        assert_eq!(families(&sequences, &[0, 1, 2], 4), [vec![0, 1], vec![2]]);
        assert_eq!(families(&sequences, &[2, 0, 1], 3), [vec![2], vec![0], vec![1]], "one at least");
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
