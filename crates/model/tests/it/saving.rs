//! Saved folders: the same weights again, the same fields again, and never half a folder.

use std::fs;

use model::{ModelConfig, ModelError, SaveOptions, Tokenizer, Transformer, WeightDtype};

use crate::support::{FAMILIES, device, fixture, load};

#[test]
fn a_saved_folder_reads_back_bit_for_bit_whole_and_in_shards() {
    let parent = tempfile::tempdir().unwrap();
    for name in FAMILIES {
        for (kind, shard_bytes_max) in [("whole", u64::MAX), ("shards", 9_000)] {
            let folder = parent.path().join(format!("{name}-{kind}"));
            let model = load(name);
            model.save(&folder, &SaveOptions { shard_bytes_max, ..Default::default() }).unwrap();
            let again = Transformer::load(&folder, &device()).unwrap();
            assert_eq!(model.snapshot().values(), again.snapshot().values(), "{name}, {kind}");
            assert_eq!(folder.join("model.safetensors").exists(), kind == "whole");
        }
    }
}

#[test]
fn bf16_files_hold_each_weight_rounded_to_nearest() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("bf16");
    let model = load("llama2");
    model.save(&folder, &SaveOptions { dtype: WeightDtype::Bf16, ..Default::default() }).unwrap();
    let again = Transformer::load(&folder, &device()).unwrap().snapshot();
    for (before, after) in model.snapshot().values().iter().flatten().zip(again.values().iter().flatten()) {
        // Eight bits of precision: half a step is at most 2^-8 of the number.
        assert!((before - after).abs() <= before.abs() / 256.0 + f32::MIN_POSITIVE, "{before} became {after}");
        assert_eq!(after.to_bits() & 0xffff, 0, "{after} is no bf16 number");
    }
}

#[test]
fn fields_that_we_do_not_use_survive_a_save() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    load("qwen3").save(&folder, &SaveOptions::default()).unwrap();
    let read = |folder: &std::path::Path| -> serde_json::Value {
        serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
    };
    let (before, after) = (read(&fixture("qwen3")), read(&folder));
    for (field, value) in before.as_object().unwrap() {
        if field != "dtype" {
            assert_eq!(&after[field], value, "{field}");
        }
    }
    assert_eq!(after["dtype"], "float32");
}

#[test]
fn a_model_and_its_character_tokenizer_travel_together() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("deep/er/model");
    let tokenizer = Tokenizer::characters("abc xyz").unwrap();
    let options = SaveOptions { tokenizer: Some(&tokenizer), ..Default::default() };
    load("qwen2_tied").save(&folder, &options).unwrap();
    let loaded = model::load(&folder, &device()).unwrap();
    let (model, again) = (loaded.model, loaded.tokenizer);
    assert_eq!(again.encode("a cab").unwrap(), tokenizer.encode("a cab").unwrap());
    // The configuration had no end of text, so it takes the tokenizer's.
    assert_eq!((model.config().eos_ids.as_slice(), again.eos_ids()), ([1].as_slice(), [1].as_slice()));
}

#[cfg(unix)]
#[test]
fn saved_files_have_the_permissions_of_any_other_file() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let (file, inner) = (parent.path().join("file"), parent.path().join("folder"));
    fs::write(&file, "").unwrap();
    fs::create_dir(&inner).unwrap();
    for (name, shard_bytes_max) in [("whole", u64::MAX), ("shards", 9_000)] {
        let folder = parent.path().join(name);
        load("llama2").save(&folder, &SaveOptions { shard_bytes_max, ..Default::default() }).unwrap();
        assert_eq!(mode(&folder), mode(&inner), "{name}");
        for name in names_in(&folder) {
            assert_eq!(mode(&folder.join(&name)), mode(&file), "{name}");
        }
    }
}

#[test]
fn a_filled_folder_is_never_written_over() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("notes.txt"), "mine").unwrap();
    let error = load("llama2").save(&folder, &SaveOptions::default()).unwrap_err();
    assert!(matches!(error, ModelError::TargetExists { path } if path == folder));
    assert_eq!(names_in(parent.path()), ["model"]);
    assert_eq!(names_in(&folder), ["notes.txt"]);
}

#[test]
fn an_empty_folder_is_filled() {
    let parent = tempfile::tempdir().unwrap();
    load("llama2").save(parent.path(), &SaveOptions::default()).unwrap();
    assert!(ModelConfig::load(parent.path()).is_ok());
}

#[test]
fn a_save_that_fails_leaves_nothing_behind() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let tokenizer = Tokenizer::load(&fixture("chat")).unwrap();
    let options = SaveOptions { tokenizer: Some(&tokenizer), ..Default::default() };
    let error = load("llama2").save(&folder, &options).unwrap_err();
    assert!(matches!(error, ModelError::TokenizerMismatch { vocab_size: 70, .. }), "{error}");
    assert_eq!(names_in(parent.path()), Vec::<String>::new());
}

#[test]
fn a_folder_that_was_not_finished_is_not_a_model() {
    // What a crash leaves: the temporary folder with some of the files.
    let parent = tempfile::tempdir().unwrap();
    let partial = parent.path().join(".partial-x");
    fs::create_dir(&partial).unwrap();
    fs::copy(fixture("llama2").join("config.json"), partial.join("config.json")).unwrap();
    assert!(matches!(Transformer::load(&partial, &device()), Err(ModelError::MissingFile { .. })));
    let target = parent.path().join("model");
    assert!(matches!(Transformer::load(&target, &device()), Err(ModelError::MissingFile { .. })));
}

fn names_in(folder: &std::path::Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
