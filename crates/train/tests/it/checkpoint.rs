//! A trainer that was saved and loaded goes on as if nothing had happened.

use crate::common::{batch, bits, config, model, trainer};
use train::{Preset, TrainError, Trainer};

#[test]
fn a_resumed_trainer_ends_with_the_same_bits_as_one_that_never_stopped() {
    let folder = tempfile::tempdir().expect("a writable disk");
    let at = folder.path().join("step-2");
    let mut straight = trainer(config(Preset::Dapo));
    for step in 0..4 {
        if step == 2 {
            straight.save(&at).expect("saved");
        }
        straight.step(&batch()).expect("trained");
    }
    let mut resumed = Trainer::new(model(99), config(Preset::Dapo)).expect("a valid configuration");
    resumed.load(&at).expect("loaded");
    assert_eq!((resumed.version(), resumed.updates()), (2, 2));
    let metrics = [0, 1].map(|_| resumed.step(&batch()).expect("trained"))[1];
    assert_eq!(bits(&resumed), bits(&straight));
    assert_eq!(metrics.tokens_seen, 4 * batch().iter().map(|r| r.tokens().len() as u64).sum::<u64>());
}

#[test]
fn a_damaged_file_is_named_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a writable disk");
    let at = folder.path().join("checkpoint");
    let mut before = trainer(config(Preset::Dapo));
    before.step(&batch()).expect("trained");
    before.save(&at).expect("saved");
    let file = at.join("moment2.safetensors");
    let mut bytes = std::fs::read(&file).expect("written above");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&file, bytes).expect("a writable disk");
    let mut other = Trainer::new(model(2), config(Preset::Dapo)).expect("a valid configuration");
    let untouched = bits(&other);
    let error = other.load(&at).unwrap_err();
    assert!(matches!(&error, TrainError::Damaged { path, .. } if *path == file), "{error}");
    assert_eq!((bits(&other), other.version()), (untouched, 0));
}

#[test]
fn a_checkpoint_is_never_written_over_another() {
    let folder = tempfile::tempdir().expect("a writable disk");
    let error = trainer(config(Preset::Dapo)).save(folder.path()).unwrap_err();
    assert!(matches!(error, TrainError::TargetExists { .. }));
    let names: Vec<_> = std::fs::read_dir(folder.path()).expect("it exists").collect();
    assert!(names.is_empty());
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = trainer(config(Preset::Dapo)).load(std::path::Path::new("/no/such/place")).unwrap_err();
    assert!(error.to_string().starts_with("/no/such/place/trainer.json"), "{error}");
}
