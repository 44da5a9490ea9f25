//! Spoiled folders: each is refused with the file, the limit and the value.

use std::{collections::HashMap, fs, path::Path};

use model::{ModelError, SaveOptions, Tokenizer, Transformer};
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::json;

use crate::support::{copy_of, device, edit_config, fixture, tiny};

const WEIGHTS: &str = "model.safetensors";

fn refused(folder: &Path) -> ModelError {
    match Transformer::load(folder, &device()) {
        Ok(_) => panic!("a spoiled folder was taken for a whole one"),
        Err(error) => error,
    }
}

fn cut(path: &Path, length: u64) {
    fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

/// Writes the weight file again after a change to its list of tensors.
fn edit_tensors(folder: &Path, edit: impl FnOnce(&mut HashMap<String, (Dtype, Vec<usize>, Vec<u8>)>)) {
    let path = folder.join(WEIGHTS);
    let bytes = fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |view: TensorView| (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    let mut tensors = file.tensors().into_iter().map(|(name, view)| (name, owned(view))).collect();
    edit(&mut tensors);
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, data))| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    safetensors::serialize_to_file(views, None, &path).unwrap();
}

#[test]
fn a_folder_without_weights_or_configuration_is_refused_by_what_is_missing() {
    let folder = copy_of("llama2");
    fs::remove_file(folder.path().join(WEIGHTS)).unwrap();
    assert!(refused(folder.path()).to_string().contains("model.safetensors, model.safetensors.index.json"));
    fs::remove_file(folder.path().join("config.json")).unwrap();
    assert!(refused(folder.path()).to_string().contains("config.json"));
}

#[test]
fn a_file_cut_anywhere_is_refused_with_both_lengths() {
    let folder = copy_of("llama2");
    let path = folder.path().join(WEIGHTS);
    let whole = fs::metadata(&path).unwrap().len();
    for length in [whole - 1, whole / 2, 1000, 8, 7, 0] {
        cut(&path, length);
        match refused(folder.path()) {
            ModelError::WrongFileLength { path: named, expected, given } => {
                assert_eq!((named, given), (path.clone(), length));
                assert!(expected > length);
            }
            other => panic!("cut to {length}: {other}"),
        }
    }
}

#[test]
fn a_file_with_bytes_after_its_end_is_refused() {
    let folder = copy_of("llama2");
    let path = folder.path().join(WEIGHTS);
    let whole = fs::metadata(&path).unwrap().len();
    cut(&path, whole + 3);
    let error = refused(folder.path());
    assert!(matches!(error, ModelError::WrongFileLength { expected, given, .. } if given == expected + 3), "{error}");
}

#[test]
fn a_header_that_claims_to_be_huge_is_refused_before_it_is_read() {
    let folder = copy_of("llama2");
    let path = folder.path().join(WEIGHTS);
    let mut bytes = fs::read(&path).unwrap();
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let text = refused(folder.path()).to_string();
    assert!(text.contains("18446744073709551615") && text.contains("100000000"), "{text}");
}

#[test]
fn a_tensor_of_another_shape_is_refused_with_both_shapes() {
    let folder = copy_of("llama2");
    edit_config(folder.path(), |config| config["intermediate_size"] = json!(50));
    match refused(folder.path()) {
        ModelError::WrongShape { tensor, expected, given, path } => {
            assert_eq!(tensor, "model.layers.0.mlp.gate_proj.weight");
            assert_eq!((expected, given), (vec![50, 32], vec![48, 32]));
            assert_eq!(path, folder.path().join(WEIGHTS));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn too_few_and_too_many_tensors_are_refused_by_name() {
    let folder = copy_of("llama2");
    edit_config(folder.path(), |config| config["num_hidden_layers"] = json!(3));
    let error = refused(folder.path());
    assert!(
        matches!(&error, ModelError::MissingTensor { tensor, .. } if tensor == "model.layers.2.input_layernorm.weight"),
        "{error}"
    );
    edit_config(folder.path(), |config| config["num_hidden_layers"] = json!(1));
    let error = refused(folder.path());
    assert!(matches!(error, ModelError::UnexpectedTensor { count: 9, .. }), "{error}");
}

#[test]
fn biases_that_the_configuration_does_not_know_are_refused() {
    let folder = copy_of("llama_biases");
    edit_config(folder.path(), |config| config["mlp_bias"] = json!(false));
    assert!(matches!(refused(folder.path()), ModelError::UnexpectedTensor { count: 6, .. }));
}

#[test]
fn whole_numbers_are_no_weights() {
    let folder = copy_of("llama2");
    edit_tensors(folder.path(), |tensors| tensors.get_mut("model.norm.weight").unwrap().0 = Dtype::I32);
    let error = refused(folder.path());
    assert!(matches!(&error, ModelError::WrongDtype { given, .. } if given == "I32"), "{error}");
}

#[test]
fn shards_that_are_missing_cut_or_elsewhere_are_refused() {
    let second = "model-00002-of-00002.safetensors";
    let folder = copy_of("llama3");
    let index = folder.path().join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    cut(&folder.path().join(second), 3000);
    assert!(matches!(refused(folder.path()), ModelError::WrongFileLength { given: 3000, .. }));
    fs::remove_file(folder.path().join(second)).unwrap();
    assert!(matches!(refused(folder.path()), ModelError::MissingFile { looked_for, .. } if looked_for == second));
    for elsewhere in ["../evil.safetensors", "/etc/passwd", "a/b.safetensors", "..", ""] {
        fs::write(&index, text.replace(second, elsewhere)).unwrap();
        let error = refused(folder.path());
        assert!(matches!(&error, ModelError::ShardName { given, .. } if given == elsewhere), "{elsewhere}: {error}");
    }
    fs::write(&index, text.replace(second, "model-00001-of-00002.safetensors")).unwrap();
    assert!(matches!(refused(folder.path()), ModelError::MissingTensor { .. }));
    fs::write(&index, "[]").unwrap();
    assert!(matches!(refused(folder.path()), ModelError::Malformed { .. }));
}

#[test]
fn a_tokenizer_larger_than_the_model_is_refused_with_both_sizes() {
    let folder = copy_of("llama2");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(fixture("chat").join(name), folder.path().join(name)).unwrap();
    }
    let error = model::load(folder.path(), &device()).err().expect("refused");
    assert!(
        matches!(error, ModelError::TokenizerMismatch { vocab_size: 70, tokenizer_max } if tokenizer_max >= 256),
        "{error}"
    );
}

#[test]
fn an_added_token_without_an_embedding_is_refused_where_it_would_be_used() {
    let characters = Tokenizer::characters("abc").unwrap(); // ids 0 to 4
    let source = tempfile::tempdir().unwrap();
    let folder = source.path().join("model");
    let options = SaveOptions { tokenizer: Some(&characters), ..Default::default() };
    tiny(5).save(&folder, &options).unwrap();
    fs::write(folder.join("added_tokens.json"), r#"{"<more>": 5}"#).unwrap();
    let tokenizer = model::load(&folder, &device()).unwrap().tokenizer;
    assert_eq!(tokenizer.encode("ab").unwrap(), [2, 3]);
    let error = tokenizer.encode("a<more>").unwrap_err();
    assert!(
        matches!(&error, ModelError::TokenOutsideModel { token, id: 5, vocab_size: 5 } if token == "<more>"),
        "{error}"
    );
}

#[test]
fn a_configuration_file_too_large_to_be_one_is_not_read() {
    let folder = copy_of("llama2");
    fs::write(folder.path().join("config.json"), vec![b' '; (4 << 20) + 1]).unwrap();
    assert!(matches!(refused(folder.path()), ModelError::FileTooLarge { limit: 4_194_304, given: 4_194_305, .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_change_to_a_header_makes_the_reader_panic(at in 0_usize..2600, byte in any::<u8>()) {
        let folder = copy_of("qwen2_tied");
        let path = folder.path().join(WEIGHTS);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] = byte;
        fs::write(&path, bytes).unwrap();
        let _ = Transformer::load(folder.path(), &device());
    }
}
