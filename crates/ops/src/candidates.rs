//! Finds on the device the few tokens of a row that may win its draw, so that logits stay where they are.
//!
//! Promise: no token but the candidates has a score above [`Candidates::bound`], whatever the device's rounding; who
//! works out the candidates' exact scores knows the winner as soon as one of them is above it.
//! Takes: logits, and for each question a row with its temperature and noise. Gives: candidates, and what a
//! log-probability needs, by one read from the device.

use burn::tensor::{Device, Int, Tensor, TensorData, Transaction};
use proof::Noise;

use crate::host;
use crate::kernels::kernels;

/// Candidates of each row. Two tokens can both win only if their scores are within the rounding of the bound, some
/// thousandths of a nat; beyond that a row is read whole.
pub const CANDIDATES: usize = 4;

/// Largest error of a bound on noise, in nats: [`noise_bound`] is at least the noise minus this. Logarithms are held to
/// what Vulkan asks of a card, `2^-21` absolutely between ½ and 2, which is `2^-12` of the smallest `-ln u` there.
pub(crate) const NOISE_BOUND_ERROR: f32 = 1e-3;

/// No noise is above this, in nats: `65 ln 2`.
pub(crate) const NOISE_MAX: f32 = 45.06;

/// Relative error of `logit / T + noise` in f32, with a card's division of 2.5 units in the last place.
const SCORE_ERROR: f32 = 4.0 / (1 << 23) as f32;

/// What is asked of a row of logits.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Which row.
    pub row: usize,
    /// Logits are divided by it; positive.
    pub temperature: f32,
    /// What is added to them; without it the largest logit wins.
    pub noise: Option<Noise>,
    /// A token whose logit is wanted.
    pub token: u32,
}

/// What was found in a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// Tokens and their logits, in rising order of the ids.
    pub tokens: Vec<(u32, f32)>,
    /// No other token's `logit / T + noise` is above this, in nats.
    pub bound: f32,
    /// The largest logit.
    pub max: f32,
    /// `Σ_v exp((logit_v - max) / T)`, summed in f32; no number if a logit is none.
    pub sum: f32,
    /// Logit of the token that was asked about.
    pub token_logit: f32,
}

/// Whether logits of this device are looked at whole: they are in the host's memory already.
pub fn whole_rows(device: &Device) -> bool {
    kernels(device).whole_rows()
}

/// Candidates of each question, and the numbers of another tensor if there is one, read from the device together.
///
/// logits `[T, V]`; no gradients.
///
/// # Panics
/// If there is no logit, or a row or token is outside.
pub fn candidates(logits: &Tensor<2>, questions: &[Question], with: Option<&Tensor<2>>) -> (Vec<Candidates>, Vec<f32>) {
    let ([rows, vocabulary], count, device) = (logits.dims(), questions.len(), logits.device());
    assert!(questions.iter().all(|q| q.row < rows && (q.token as usize) < vocabulary), "a question outside the logits");
    if count == 0 {
        return (Vec::new(), with.map(host::to_vec_f32).unwrap_or_default());
    }
    let index = |of: &dyn Fn(&Question) -> usize| host::indices(questions.iter().map(|q| of(q) as i64), &device);
    let column =
        |of: &dyn Fn(&Question) -> f32| host::from_vec(questions.iter().map(of).collect(), [count, 1], &device);
    let whole = count == rows && questions.iter().enumerate().all(|(at, q)| q.row == at);
    let logits = if whole { logits.clone() } else { logits.clone().select(0, index(&|q| q.row)) };
    let temperature = column(&|q| q.temperature);
    let max = logits.clone().max_dim(1);
    let sum = ((logits.clone() - max.clone()) / temperature.clone()).exp().sum_dim(1);
    let noise: Vec<Noise> = questions.iter().map(|q| q.noise.unwrap_or_else(|| Noise::new(&[0; 32], 0))).collect();
    let noise = kernels(&device).noise_bound(&noise, vocabulary, &device);
    let noise = noise * column(&|q| f32::from(u8::from(q.noise.is_some())));
    let scores = logits.clone() / temperature + noise;
    let (top, ids) = scores.topk_with_indices((CANDIDATES + 1).min(vocabulary), 1);
    let found = logits.clone().gather(1, ids.clone());
    let token_logit = logits.gather(1, index(&|q| q.token as usize).unsqueeze_dim(1));
    let numbers = Tensor::cat(vec![max, sum, token_logit, top, found], 1);
    let (numbers, ids, with) = read(numbers, ids, with);
    let found = numbers.chunks_exact(numbers.len() / count).zip(ids.chunks_exact(ids.len() / count));
    (found.map(|(numbers, ids)| Candidates::of(numbers, ids)).collect(), with)
}

/// Reads all at once.
fn read(numbers: Tensor<2>, ids: Tensor<2, Int>, with: Option<&Tensor<2>>) -> (Vec<f32>, Vec<i64>, Vec<f32>) {
    let mut asked = Transaction::default().register(numbers).register(ids);
    if let Some(with) = with {
        asked = asked.register(with.clone());
    }
    let mut read = asked.execute().into_iter();
    let mut next = || read.next().expect("each tensor that was asked for is there");
    let floats = |data: TensorData| data.try_into_vec().expect("tensors of this project are f32");
    (floats(next()), next().iter::<i64>().collect(), with.map(|_| floats(next())).unwrap_or_default())
}

impl Candidates {
    /// `numbers` are the largest logit, the sum, the token's logit, then bounds of scores and logits of `ids`; the last of
    /// these stands for all others where there are others.
    fn of(numbers: &[f32], ids: &[i64]) -> Self {
        let (&[max, sum, token_logit], rest) = numbers.split_first_chunk().expect("three numbers come first");
        let (scores, logits) = rest.split_at(ids.len());
        let kept = ids.len().min(CANDIDATES);
        let mut tokens: Vec<(u32, f32)> =
            ids[..kept].iter().zip(logits).map(|(&id, &logit)| (id as u32, logit)).collect(); // below the vocabulary
        tokens.sort_unstable_by_key(|(id, _)| *id);
        let error = |score: f32| NOISE_BOUND_ERROR + (score.abs() + NOISE_MAX) * SCORE_ERROR;
        let bound = scores.get(CANDIDATES).map_or(f32::NEG_INFINITY, |&score| score + error(score));
        Self { tokens, bound, max, sum, token_logit }
    }
}

/// For each row of noise and each token a number that the token's noise is not above by more than
/// [`NOISE_BOUND_ERROR`], `[rows, vocabulary]`: worked out here and handed to the device.
pub(crate) fn noise_bound(noise: &[Noise], vocabulary: usize, device: &Device) -> Tensor<2> {
    let words = noise.iter().flat_map(|noise| noise.upper_words(vocabulary as u32)); // ids are u32
    host::from_vec(words.map(bound_of_word).collect(), [noise.len(), vocabulary], device)
}

/// `-ln(-ln(1 - t))` for the least `t = (2^32 - 1 - word) / 2^32` that these upper bits leave, at least `2^-65`.
fn bound_of_word(word: u32) -> f32 {
    let t = (f64::from(!word) / 4_294_967_296.0).max(2f64.powi(-65));
    -(-(-t).ln_1p()).ln() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_noise_is_above_its_bound() {
        for position in 0..20 {
            let noise = Noise::new(&[9; 32], position);
            for (token, word) in (0..5_000).zip(noise.upper_words(5_000)) {
                let (exact, bound) = (noise.gumbel(token) as f64 / 4_294_967_296.0, f64::from(bound_of_word(word)));
                assert!(exact <= bound + f64::from(NOISE_BOUND_ERROR), "token {token}: {exact} above {bound}");
                assert!(bound - exact < 0.01, "token {token}: {exact} far below {bound}");
            }
        }
        assert!(bound_of_word(u32::MAX) <= NOISE_MAX && bound_of_word(u32::MAX) > 45.05);
        assert!(bound_of_word(0) >= -3.81, "{}", bound_of_word(0));
    }
}
