//! The state hash tells apart whatever trains on differently.

use crate::common::{batch, config, model, trainer};
use train::{OptimizerConfig, Preset, TrainConfig, Trainer};

#[test]
fn trainers_that_did_the_same_have_one_state_and_saving_keeps_it() {
    let folder = tempfile::tempdir().expect("a writable disk");
    let mut trained = trainer(config(Preset::Grpo));
    let fresh = trained.state_hash();
    trained.step(&batch()).expect("trained");
    let mut again = trainer(config(Preset::Grpo));
    again.step(&batch()).expect("trained");
    assert_eq!(trained.state_hash(), again.state_hash());
    assert_ne!(trained.state_hash(), fresh);
    let at = folder.path().join("saved");
    trained.save(&at).expect("saved");
    let mut loaded = Trainer::new(model(5), config(Preset::Grpo)).expect("a valid configuration");
    loaded.load(&at).expect("loaded");
    assert_eq!(loaded.state_hash(), trained.state_hash());
}

#[test]
fn a_step_that_moves_no_weight_still_changes_the_state() {
    // At learning rate 0 weights stay; moments and counters do not.
    let still = TrainConfig { optimizer: OptimizerConfig::new(0.0), ..config(Preset::Grpo) };
    let mut trained = trainer(still.clone());
    let fresh = trainer(still);
    trained.step(&batch()).expect("trained");
    let weights = |trainer: &Trainer| trainer.snapshot().to_vecs();
    assert_eq!(weights(&trained), weights(&fresh));
    assert_ne!(trained.state_hash(), fresh.state_hash());
}
