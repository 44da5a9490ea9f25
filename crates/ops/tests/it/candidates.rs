//! Candidates of a draw hold its winner, and nothing else is above their bound.
//!
//! On the device that `ESSAIM_TEST_DEVICE` names; without it the plain operations run on the CPU.

use burn::tensor::{Device, Tensor};
use ops::{Candidates, DeviceSpec, Question, candidates, host};
use proof::{Noise, ScaledLogits, winner_plain};

use crate::support::numbers;

fn device() -> Device {
    let named = std::env::var("ESSAIM_TEST_DEVICE").ok();
    named.map_or(DeviceSpec::Cpu, |name| name.parse().unwrap()).open().unwrap()
}

/// A row of logits and its temperature.
struct Row<'a>(&'a [f32], f32);

impl ScaledLogits for Row<'_> {
    fn token_count(&self) -> u32 {
        self.0.len() as u32
    }

    fn at(&self, token: u32) -> i64 {
        (f64::from(self.0[token as usize]) / f64::from(self.1) * 4_294_967_296.0).round_ties_even() as i64
    }

    fn max_in(&self, tokens: std::ops::Range<u32>) -> i64 {
        tokens.map(|token| self.at(token)).max().unwrap()
    }
}

#[test]
fn the_winner_is_among_the_candidates_and_no_other_token_is_above_their_bound() {
    let (rows, vocabulary) = (40, 3_001);
    for spread in [0.1, 3.0, 20.0] {
        let logits = numbers(rows * vocabulary, 5).iter().map(|number| number * spread).collect();
        let logits: Tensor<2> = host::from_vec(logits, [rows, vocabulary], &device());
        let whole = host::to_vec_f32(&logits);
        let question = |row: usize| Question {
            row: rows - 1 - row,
            temperature: [1.0, 0.7, 2.0][row % 3],
            noise: Some(Noise::new(&[row as u8; 32], 7)),
            token: row as u32 * 11,
        };
        let questions: Vec<Question> = (0..rows).map(question).collect();
        let (found, with) = candidates(&logits, &questions, Some(&logits.clone().narrow(1, 0, 2)));
        assert_eq!(with.len(), 2 * rows);
        let settled = questions.iter().zip(&found).filter(|(question, found)| settles(&whole, question, found)).count();
        assert!(settled * 10 >= rows * 9, "{settled} of {rows} are settled");
    }
}

/// Whether the winner is above the bound; holds every number to what the logits say.
fn settles(logits: &[f32], question: &Question, found: &Candidates) -> bool {
    const ONE: f64 = 4_294_967_296.0;
    let logits = &logits[question.row * 3_001..][..3_001];
    let (row, noise) = (Row(logits, question.temperature), question.noise.unwrap());
    let score = |token: u32| (row.at(token) + noise.gumbel(token)) as f64 / ONE;
    let is_candidate = |token: u32| found.tokens.iter().any(|(candidate, _)| *candidate == token);
    for token in (0..3_001).filter(|token| !is_candidate(*token)) {
        assert!(score(token) <= f64::from(found.bound), "token {token}: {} above {}", score(token), found.bound);
    }
    assert!(found.tokens.iter().all(|&(token, logit)| logits[token as usize] == logit));
    assert_eq!(found.token_logit, logits[question.token as usize]);
    assert_eq!(found.max, logits.iter().copied().fold(f32::MIN, f32::max));
    let terms = logits.iter().map(|logit| (f64::from(logit - found.max) / f64::from(question.temperature)).exp());
    assert!((f64::from(found.sum) / terms.sum::<f64>() - 1.0).abs() < 1e-5);
    let winner = winner_plain(&row, &noise).unwrap();
    let is_settled = score(winner.token) > f64::from(found.bound);
    assert!(!is_settled || is_candidate(winner.token));
    is_settled
}

#[test]
fn a_logit_that_is_no_number_is_told() {
    let mut logits = numbers(300, 1);
    logits[150] = f32::NAN;
    let logits = host::from_vec(logits, [1, 300], &device());
    let question = Question { row: 0, temperature: 1.0, noise: None, token: 0 };
    let (found, _) = candidates(&logits, &[question], None);
    assert!(!found[0].sum.is_finite() || !found[0].max.is_finite(), "{:?}", found[0]);
}
