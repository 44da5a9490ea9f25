//! A trainer that was saved and loaded goes on as if nothing had happened.

use std::path::Path;

use crate::common::{batch, bits, config, model, trainer, with_moments};
use train::{MomentsDtype, Preset, TrainConfig, TrainError, Trainer};

#[test]
fn a_resumed_trainer_ends_with_the_same_bits_as_one_that_never_stopped() {
    for format in [MomentsDtype::F32, MomentsDtype::Bf16] {
        resumes_with_the_same_bits(&with_moments(format, config(Preset::Dapo)));
    }
}

fn resumes_with_the_same_bits(config: &TrainConfig) {
    let folder = tempfile::tempdir().expect("a writable disk");
    let at = folder.path().join("step-2");
    let mut straight = trainer(config.clone());
    for step in 0..4 {
        if step == 2 {
            straight.save(&at).expect("saved");
        }
        straight.step(&batch()).expect("trained");
    }
    let mut resumed = Trainer::new(model(99), config.clone()).expect("a valid configuration");
    resumed.load(&at).expect("loaded");
    assert_eq!((resumed.version(), resumed.updates()), (2, 2));
    let metrics = [0, 1].map(|_| resumed.step(&batch()).expect("trained"))[1];
    assert_eq!(bits(&resumed), bits(&straight));
    assert_eq!(resumed.state_hash(), straight.state_hash());
    assert_eq!(metrics.tokens_seen, 4 * batch().iter().map(|r| r.tokens().len() as u64).sum::<u64>());
}

#[test]
fn moments_of_another_format_are_refused_by_name_and_take_half_the_room_in_bf16() {
    let folder = tempfile::tempdir().expect("a writable disk");
    let formats = [MomentsDtype::F32, MomentsDtype::Bf16];
    let [f32s, halves] = formats.map(|format| {
        let at = folder.path().join(format.to_string());
        let mut trained = trainer(with_moments(format, config(Preset::Dapo)));
        trained.step(&batch()).expect("trained");
        trained.save(&at).expect("saved");
        at
    });
    let size = |at: &Path| at.join("moment1.safetensors").metadata().expect("saved above").len();
    let numbers = model(1).params().list.iter().map(|param| param.value.dims()[0] as u64).sum::<u64>();
    assert!((2 * numbers..2 * numbers + 400).contains(&(size(&f32s) - size(&halves))));
    for (at, format, message) in [
        (&f32s, MomentsDtype::Bf16, "moments are F32, `moments_dtype` of this trainer is bf16"),
        (&halves, MomentsDtype::F32, "moments are BF16, `moments_dtype` of this trainer is f32"),
    ] {
        let mut other = trainer(with_moments(format, config(Preset::Dapo)));
        let untouched = other.state_hash();
        let error = other.load(at).unwrap_err();
        assert!(matches!(&error, TrainError::WrongMoments { path, .. } if *path == at.join("moment1.safetensors")));
        assert!(error.to_string().ends_with(message), "{error}");
        assert_eq!(other.state_hash(), untouched);
    }
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
    let error = trainer(config(Preset::Dapo)).load(Path::new("/no/such/place")).unwrap_err();
    assert!(error.to_string().starts_with("/no/such/place/trainer.json"), "{error}");
}
