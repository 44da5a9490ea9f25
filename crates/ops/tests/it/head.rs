//! Token log-probabilities: by hand, against the plain twin, and from a packed head.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use ops::{Matrix, TokenLogprobs, host, reference};

use crate::support::{assert_close, assert_same_bits, assert_twins, matrix};

/// Both sides sum f32 in different orders over up to 2500 vocabulary entries.
const TOLERANCE: f32 = 2e-5;

type Score = fn(Tensor<2>, &Matrix, &Arc<[u32]>, &Arc<[f32]>) -> TokenLogprobs;

fn case(tokens: usize, width: usize, vocabulary: usize) {
    let targets: Arc<[u32]> = (0..tokens).map(|t| (t * 7919 % vocabulary) as u32).collect();
    let temperature: Arc<[f32]> = (0..tokens).map(|t| 0.5 + (t % 3) as f32 * 0.5).collect();
    let inputs = [matrix(tokens, width, 1), matrix(vocabulary, width, 2)];
    let run = |f: Score, logprob: f64, entropy: f64| {
        let (targets, temperature) = (targets.clone(), temperature.clone());
        move |[hidden, head]: [Tensor<2>; 2]| {
            let scores = f(hidden, &Matrix::new(head), &targets, &temperature);
            (scores.logprob * logprob + scores.entropy * entropy).reshape([1, tokens])
        }
    };
    for (logprob, entropy) in [(1.0, 0.0), (0.0, 1.0), (1.0, -0.3)] {
        assert_twins(
            "token_logprobs",
            &inputs,
            TOLERANCE,
            run(ops::token_logprobs, logprob, entropy),
            run(reference::token_logprobs, logprob, entropy),
        );
    }
}

#[test]
fn scores_equal_their_plain_twin_within_one_tile_and_over_several() {
    case(3, 5, 7);
    case(40, 32, 100);
    case(30, 16, 2500);
}

#[test]
fn more_rows_than_a_tile_give_the_same_scores_as_rows_alone() {
    let (tokens, width, vocabulary) = (2100, 8, 50);
    let hidden = matrix(tokens, width, 1);
    let head = Matrix::new(matrix(vocabulary, width, 2));
    let score = |rows: std::ops::Range<usize>| {
        let targets = rows.clone().map(|t| (t % vocabulary) as u32).collect();
        let temperature = rows.clone().map(|_| 0.7).collect();
        let part = hidden.clone().narrow(0, rows.start, rows.len());
        let scores = ops::token_logprobs(part, &head, &targets, &temperature);
        (host::to_vec_f32(&scores.logprob), host::to_vec_f32(&scores.entropy))
    };
    let (logprobs, entropies) = score(0..tokens);
    for row in [0, 1, 1000, 2047, 2048, 2099] {
        let (logprob, entropy) = score(row..row + 1);
        assert_same_bits("logprob", &logprob, &logprobs[row..=row]);
        assert_same_bits("entropy", &entropy, &entropies[row..=row]);
    }
}

#[test]
fn two_tokens_by_hand() {
    // Logits (2, 0) at temperature 2: z = (1, 0), lse = ln(e + 1) = 1.3132617,
    // logprob of token 1 = -1.3132617, p_0 = 0.7310586, entropy = 1.3132617 - 0.7310586.
    let hidden = host::from_vec(vec![2.0], [1, 1], &Device::flex());
    let head = Matrix::new(host::from_vec(vec![1.0, 0.0], [2, 1], &Device::flex()));
    let scores = ops::token_logprobs(hidden, &head, &[1].into(), &[2.0].into());
    assert_close("logprob", &host::to_vec_f32(&scores.logprob), &[-1.313_261_7], 1e-6);
    assert_close("entropy", &host::to_vec_f32(&scores.entropy), &[0.582_203_1], 1e-6);
}

#[test]
fn a_packed_head_scores_with_the_same_bits() {
    let (tokens, width, vocabulary) = (9, 24, 2500);
    let hidden = matrix(tokens, width, 1);
    let head = Matrix::new(matrix(vocabulary, width, 2));
    let targets: Arc<[u32]> = (0..tokens as u32).map(|t| t * 200).collect();
    let temperature: Arc<[f32]> = vec![0.8; tokens].into();
    let score = |head: &Matrix| ops::token_logprobs(hidden.clone(), head, &targets, &temperature);
    let (plain, packed) = (score(&head), score(&head.freeze(false)));
    for (plain, packed) in [(plain.logprob, packed.logprob), (plain.entropy, packed.entropy)] {
        assert_same_bits("score", &host::to_vec_f32(&packed), &host::to_vec_f32(&plain));
    }
}

#[test]
fn an_overwhelming_logit_leaves_finite_numbers() {
    // Logits (300, 0): p = (1, 0) to the last bit, so logprob 0 and -300, entropy 0.
    let hidden = host::from_vec(vec![300.0, 300.0], [2, 1], &Device::flex());
    let head = Matrix::new(host::from_vec(vec![1.0, 0.0], [2, 1], &Device::flex()));
    let scores = ops::token_logprobs(hidden, &head, &[0, 1].into(), &[1.0, 1.0].into());
    assert_eq!(host::to_vec_f32(&scores.logprob), [0.0, -300.0]);
    assert_eq!(host::to_vec_f32(&scores.entropy), [0.0, 0.0]);
}

#[test]
#[should_panic(expected = "target 2 is not below the vocabulary size 2")]
fn a_target_outside_the_vocabulary_is_refused() {
    let head = Matrix::new(matrix(2, 1, 1));
    ops::token_logprobs(matrix(1, 1, 2), &head, &[2].into(), &[1.0].into());
}
