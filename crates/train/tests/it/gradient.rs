//! The gradient that reaches the weights, against the slope of the loss itself.

use crate::common::{batch, config, model};
use model::{ModelSnapshot, Transformer};
use train::{LossConfig, Preset, TrainConfig, Trainer};

/// Distance to each side when the slope is measured.
const STRIDE: f32 = 4e-3;
/// Curvature over the stride and f32 rounding of the forward pass. Seen: at most 2e-3 relative.
const TOLERANCE: f64 = 2e-2;

fn trainer(weights: Vec<Vec<f32>>, config: &TrainConfig) -> Trainer {
    let plain = model(1);
    let snapshot = ModelSnapshot::new(plain.config().clone(), weights).expect("the right lengths");
    Trainer::new(Transformer::from_snapshot(&snapshot, &plain.device()), config.clone()).expect("a valid configuration")
}

fn loss(weights: Vec<Vec<f32>>, config: &TrainConfig) -> f64 {
    trainer(weights, config).step(&batch()).expect("trained").loss
}

/// After one unclipped update from zero, AdamW's first moment is `(1 - β1)·gradient`.
fn gradient(weights: Vec<Vec<f32>>, config: &TrainConfig) -> Vec<Vec<f64>> {
    let folder = tempfile::tempdir().expect("a writable disk");
    let at = folder.path().join("after-one-update");
    let mut trainer = trainer(weights, config);
    trainer.step(&batch()).expect("trained");
    trainer.save(&at).expect("saved");
    let bytes = std::fs::read(at.join("moment1.safetensors")).expect("saved above");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("saved above");
    let share = 1.0 - config.optimizer.beta1;
    let number = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().expect("chunks of four"))) / share;
    let read =
        |param: &model::Param| file.tensor(&param.name).expect("saved above").data().chunks(4).map(number).collect();
    trainer.model().params().list.iter().map(read).collect()
}

#[test]
fn every_differentiable_preset_sends_the_weights_the_slope_of_its_loss() {
    // Not cispo and decoupled: parts of their losses are constants for the gradient, so that is no slope, by design.
    let plain = [Preset::Grpo, Preset::Dapo, Preset::DrGrpo, Preset::GrpoPlus, Preset::Gspo, Preset::Dppo];
    let mut configs: Vec<TrainConfig> = plain.into_iter().map(config).collect();
    let rewarded = LossConfig { entropy_coef: 0.3, ..LossConfig::new(Preset::Dapo) };
    configs.push(TrainConfig { loss: rewarded, ..config(Preset::Dapo) });
    let weights = model(1).snapshot().to_vecs();
    let mut compared = 0;
    for mut config in configs {
        config.optimizer.max_grad_norm = 0.0;
        for (tensor, slopes) in gradient(weights.clone(), &config).iter().enumerate().step_by(5) {
            let steepest = (0..slopes.len()).max_by(|&a, &b| slopes[a].abs().total_cmp(&slopes[b].abs()));
            let index = steepest.expect("no parameter is empty");
            let [low, high] = [-STRIDE, STRIDE].map(|stride| {
                let mut moved = weights.clone();
                moved[tensor][index] += stride;
                loss(moved, &config)
            });
            let (expected, given) = ((high - low) / (2.0 * f64::from(STRIDE)), slopes[index]);
            let bound = TOLERANCE * expected.abs() + 1e-4;
            assert!((given - expected).abs() < bound, "{:?} tensor {tensor}: {given}, slope {expected}", config.loss);
            compared += usize::from(expected.abs() > 1e-3);
        }
    }
    assert!(compared > 20, "only {compared} slopes were not nearly flat");
}

/// Sums over rows in another order. Seen: at most 1.3e-5 of a tensor's steepest slope.
const ORDER_TOLERANCE: f64 = 1e-4;

#[test]
fn prompts_computed_once_give_the_gradients_of_a_copy_for_each_completion() {
    let weights = model(1).snapshot().to_vecs();
    let config = |micro_batch_tokens: usize| {
        let mut config = TrainConfig { micro_batch_tokens, ..config(Preset::Dapo) };
        config.optimizer.max_grad_norm = 0.0;
        config
    };
    let (shared, copied) = (gradient(weights.clone(), &config(1000)), gradient(weights, &config(1)));
    for (tensor, (shared, copied)) in shared.iter().zip(&copied).enumerate() {
        let largest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
        let scale = largest(&mut copied.iter().map(|x| x.abs()));
        let off = largest(&mut shared.iter().zip(copied).map(|(a, b)| (a - b).abs()));
        println!("tensor {tensor}: {off:e} of {scale:e}");
        assert!(off <= ORDER_TOLERANCE * scale, "tensor {tensor}: {off:e} of {scale:e}");
    }
}
