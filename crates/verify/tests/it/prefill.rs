//! One pass over finished completions, alone and together.

use model::{InferenceModel, WeightDtype};
use verify::{Recomputed, Row, VerifyError, prefill};

use crate::world::{VOCABULARY, WIDTH, device, snapshot};

fn model() -> InferenceModel {
    InferenceModel::from_snapshot(&snapshot(1), WeightDtype::F32, &device())
}

fn tokens(number: u32, length: u32) -> Vec<u32> {
    (0..length).map(|at| (number * 31 + at * 11 + 5) % VOCABULARY).collect()
}

/// Position, token and logits of each row, as bits.
type Seen = (u32, u32, Vec<u32>);

fn seen(row: Row<'_>) -> Seen {
    (row.position, row.token, row.logits.iter().map(|logit| logit.to_bits()).collect())
}

#[test]
fn completions_together_give_what_each_alone_gives() {
    let model = model();
    // Prompts around the size of a block, and more rows than one pass takes.
    for prompt_len in [1, 15, 16, 17, 33, 100] {
        let prompt = tokens(7, prompt_len);
        let completions: Vec<Vec<u32>> =
            (0..14).map(|number| tokens(number, [1, 130, 64, 0, 155][number as usize % 5])).collect();
        let slices: Vec<&[u32]> = completions.iter().map(Vec::as_slice).collect();
        let together = prefill(&model, &prompt, &slices, seen).unwrap();
        for (given, completion) in together.iter().zip(&slices) {
            let alone = prefill(&model, &prompt, &[completion], seen).unwrap().remove(0);
            assert!(*given == alone, "prompt of {prompt_len}, completion of {}", completion.len());
        }
    }
}

#[test]
fn rows_are_those_of_a_pass_over_the_whole_sequence() {
    let model = model();
    let (prompt, completion) = (tokens(1, 21), tokens(2, 9));
    let found = prefill(&model, &prompt, &[&completion], seen).unwrap().remove(0);
    let whole: Vec<u32> = [prompt, completion.clone()].concat();
    let positions: Vec<u32> = (0..whole.len() as u32).collect();
    let hidden = model.hidden(&whole.into(), &positions.into(), &ops::Segments::from_lengths(&[30]));
    let logits = ops::host::to_vec_f32(&model.logits(hidden.clone()));
    let hidden = ops::host::to_vec_f32(&hidden);
    // The row before a token gives its logits: 20 gives token 21, the first of the completion.
    assert!(found.hidden == hidden[20 * WIDTH..29 * WIDTH]);
    for (index, (position, token, bits)) in found.rows.iter().enumerate() {
        assert_eq!((*position, *token), (21 + index as u32, completion[index]));
        let row = &logits[(20 + index) * VOCABULARY as usize..][..VOCABULARY as usize];
        assert!(row.iter().map(|logit| logit.to_bits()).eq(bits.iter().copied()), "token {index}");
    }
}

#[test]
fn nothing_to_compute_gives_nothing() {
    let nothing = Recomputed { hidden: vec![], rows: vec![] };
    assert_eq!(prefill(&model(), &tokens(1, 40), &[], seen).unwrap(), []);
    assert_eq!(prefill(&model(), &tokens(1, 40), &[&[]], seen).unwrap(), [nothing]);
}

#[test]
fn what_the_model_cannot_take_is_refused() {
    let refused = |prompt: &[u32], completion: &[u32]| prefill(&model(), prompt, &[completion], |_| ()).unwrap_err();
    assert_eq!(refused(&[], &[1]), VerifyError::EmptyPrompt);
    assert_eq!(refused(&[1, 64], &[1]), VerifyError::TokenOutsideVocabulary { limit: 64, given: 64 });
    assert_eq!(refused(&[1], &[1, u32::MAX]), VerifyError::TokenOutsideVocabulary { limit: 64, given: u32::MAX });
    let error = VerifyError::SequenceTooLong { limit: 256, given: 257 };
    assert_eq!(refused(&tokens(1, 200), &tokens(1, 57)), error);
    assert!(prefill(&model(), &tokens(1, 200), &[&tokens(1, 56)], |_| ()).is_ok());
}
