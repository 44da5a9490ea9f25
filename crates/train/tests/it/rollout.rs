//! Whose numbers reach the loss.

use crate::common::verified;
use train::{BehaviourLogprobs, TrainError, TrainRollout};

fn made(own: Option<Vec<f32>>, source: BehaviourLogprobs) -> Result<TrainRollout, TrainError> {
    let group = verified(vec![1, 2], vec![3, 4], vec![-0.5, -0.25], own);
    TrainRollout::new(&group.rollouts().next().expect("a group of one"), 1.0, 1.0, source)
}

#[test]
fn prompt_and_completion_are_laid_end_to_end() {
    let rollout = made(None, BehaviourLogprobs::Worker).expect("admitted");
    assert_eq!((rollout.tokens(), rollout.prompt_len()), (&[1, 2, 3, 4][..], 2));
}

#[test]
fn a_lie_about_logprobs_moves_nothing_where_the_validators_are_used() {
    let own = Some(vec![-0.75, -1.0]);
    let honest = made(own.clone(), BehaviourLogprobs::Validator).expect("drawn");
    assert_eq!(honest.behaviour_logprobs(), [-0.75, -1.0]);
    assert_eq!(made(own, BehaviourLogprobs::Worker).expect("admitted").behaviour_logprobs(), [-0.5, -0.25]);
}

#[test]
fn a_rollout_that_no_validator_drew_has_no_validators_logprobs() {
    let error = made(None, BehaviourLogprobs::Validator).unwrap_err();
    assert!(matches!(error, TrainError::NoValidatorLogprobs { lease: 7, sample_index: 0 }), "{error}");
}
