//! Configurations: what is read, what is refused by name, and that nothing makes it panic.

use std::{fs, path::Path};

use model::{Family, Limits, Llama3Scaling, ModelConfig, ModelError, Rope, Scaling, Sizes};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{FAMILIES, fixture};

fn parse(config: &Value) -> Result<ModelConfig, ModelError> {
    ModelConfig::parse(config.to_string().as_bytes(), Path::new("config.json"))
}

fn of_fixture(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(name).join("config.json")).unwrap()).unwrap()
}

/// The fixture's configuration with some fields replaced.
fn with(name: &str, changes: Value) -> Value {
    let mut config = of_fixture(name);
    config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    config
}

#[test]
fn the_configuration_of_qwen_2_5_as_published_is_read() {
    let config = parse(&json!({
        "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
        "eos_token_id": 151645, "hidden_act": "silu", "hidden_size": 896, "initializer_range": 0.02,
        "intermediate_size": 4864, "max_position_embeddings": 32768, "max_window_layers": 21,
        "model_type": "qwen2", "num_attention_heads": 14, "num_hidden_layers": 24, "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06, "rope_theta": 1000000.0, "sliding_window": 32768, "tie_word_embeddings": true,
        "torch_dtype": "bfloat16", "transformers_version": "4.43.1", "use_cache": true,
        "use_sliding_window": false, "vocab_size": 151936
    }))
    .unwrap();
    assert_eq!((config.family, config.head_dim, config.tied), (Family::Qwen2, 64, true));
    assert_eq!(config.rope, Rope { theta: 1e6, scaling: None });
    assert_eq!((config.query_key_value_bias, config.attention_output_bias), (true, false));
    assert_eq!(config.eos_ids, [151645]);
    // The published count is 0.49 billion.
    assert_eq!(config.layout().iter().map(|spec| spec.numel()).sum::<usize>(), 494_032_768);
}

#[test]
fn llama3_scaling_is_read_where_transformers_4_and_5_write_it() {
    let scaling = json!({"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                         "original_max_position_embeddings": 8192, "rope_type": "llama3"});
    let old = with("llama2", json!({"rope_theta": 5e5, "rope_scaling": scaling, "rope_parameters": null}));
    let mut inner = scaling.clone();
    inner["rope_theta"] = json!(5e5);
    let new = with("llama2", json!({"rope_parameters": inner}));
    let (old, new) = (parse(&old).unwrap(), parse(&new).unwrap());
    assert_eq!(old.rope, new.rope);
    let llama3 = Llama3Scaling { factor: 32.0, low_freq_factor: 1.0, high_freq_factor: 4.0, original_positions: 8192 };
    assert_eq!((old.rope.theta, new.rope.scaling), (5e5, Some(Scaling::Llama3(llama3))));
}

#[test]
fn what_the_forward_pass_would_compute_wrongly_is_refused_by_field() {
    let cases = [
        ("use_sliding_window", json!({"use_sliding_window": true})),
        ("layer_types", json!({"layer_types": ["full_attention", "sliding_attention"]})),
        ("quantization_config", json!({"quantization_config": {"bits": 4}})),
        ("hidden_act", json!({"hidden_act": "gelu"})),
        ("partial_rotary_factor", json!({"partial_rotary_factor": 0.5})),
        ("rope_parameters.rope_type", json!({"rope_parameters": {"rope_type": "proportional", "factor": 4.0}})),
        ("rope_scaling.rope_type", json!({"rope_scaling": {"type": "su", "factor": 2.0}})),
        ("rope_parameters.full_attention", json!({"rope_parameters": {"full_attention": {"rope_theta": 1.0}}})),
    ];
    for (name, changes) in cases {
        match parse(&with("qwen3", changes)) {
            Err(ModelError::Unsupported { field, .. }) => assert_eq!(field, name),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn swish_is_another_name_of_silu() {
    parse(&with("qwen3", json!({"hidden_act": "swish"}))).unwrap();
}

#[test]
fn another_architecture_is_refused_with_the_supported_ones() {
    let cases = [
        json!({"model_type": "mistral", "architectures": ["MistralForCausalLM"]}),
        json!({"architectures": ["Qwen2ForSequenceClassification"]}),
        json!({"model_type": null}),
        json!({"architectures": "Qwen2ForCausalLM"}),
    ];
    for changes in cases {
        let error = parse(&with("qwen2_tied", changes)).unwrap_err();
        assert!(matches!(error, ModelError::UnknownArchitecture { .. }), "{error}");
        assert!(error.to_string().contains("Qwen3ForCausalLM"), "{error}");
    }
}

#[test]
fn a_bad_field_is_named_with_what_is_accepted_and_what_was_found() {
    let over = Limits::POSITIONS + 1;
    let cases = [
        ("hidden_size", json!({"hidden_size": null}), "nothing"),
        ("hidden_size", json!({"hidden_size": "many"}), "many"),
        ("hidden_size", json!({"hidden_size": -32}), "-32"),
        ("num_hidden_layers", json!({"num_hidden_layers": 0}), "0"),
        ("vocab_size", json!({"vocab_size": 10_u64.pow(12)}), "1000000000000"),
        ("max_position_embeddings", json!({"max_position_embeddings": over}), "2097153"),
        ("num_key_value_heads", json!({"num_key_value_heads": 3}), "3"),
        ("head_dim", json!({"head_dim": 7}), "7"),
        ("rms_norm_eps", json!({"rms_norm_eps": -1.0}), "-1"),
        ("rope_theta", json!({"rope_parameters": {"rope_theta": 0.0}}), "0"),
        ("rope_parameters.factor", json!({"rope_parameters": {"rope_type": "llama3"}}), "nothing"),
        ("tie_word_embeddings", json!({"tie_word_embeddings": "yes"}), "yes"),
        ("eos_token_id", json!({"eos_token_id": [3, 70]}), "70"),
    ];
    for (name, changes, found) in cases {
        match parse(&with("qwen2_tied", changes)) {
            Err(ModelError::ConfigField { field, given, .. }) => {
                assert_eq!(field, name);
                assert!(given.contains(found), "{name}: {given}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let divide = with("llama2", json!({"head_dim": null, "hidden_size": 33}));
    assert!(matches!(parse(&divide), Err(ModelError::ConfigField { field, .. }) if field == "hidden_size"));
}

#[test]
fn sizes_that_do_not_fit_are_refused_for_a_new_model_too() {
    let sizes = Sizes {
        vocab_size: 10,
        hidden_size: 8,
        intermediate_size: 8,
        layers: 1,
        heads: 0,
        key_value_heads: 1,
        head_dim: None,
        max_positions: 8,
        tied: false,
    };
    let error = ModelConfig::new(Family::Llama, &sizes).unwrap_err();
    assert!(matches!(error, ModelError::ConfigField { .. }), "{error}");
}

#[test]
fn a_written_configuration_reads_back_the_same() {
    for name in FAMILIES {
        let config = parse(&of_fixture(name)).unwrap();
        let again = ModelConfig::parse(config.to_json("float32").as_bytes(), Path::new("config.json")).unwrap();
        assert_eq!(again.layout(), config.layout(), "{name}");
        assert_eq!(
            (again.rope, again.rms_norm_eps, again.max_positions, &again.eos_ids, again.heads),
            (config.rope, config.rms_norm_eps, config.max_positions, &config.eos_ids, config.heads),
        );
    }
}

/// Values that a careless or hostile hand might put anywhere.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0_u64..200).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z_0-9]{0,8}".prop_map(Value::from),
        prop_oneof![Just("llama3"), Just("default"), Just("qwen2"), Just("full_attention")].prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(prop::sample::select(FIELDS.to_vec()), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())),
        ]
    })
}

const FIELDS: [&str; 26] = [
    "architectures",
    "model_type",
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "tie_word_embeddings",
    "attention_bias",
    "mlp_bias",
    "hidden_act",
    "use_sliding_window",
    "layer_types",
    "eos_token_id",
    "initializer_range",
    "rope_type",
    "factor",
    "low_freq_factor",
    "original_max_position_embeddings",
];

proptest! {
    #[test]
    fn no_configuration_makes_the_reader_panic(
        family in prop::sample::select(FAMILIES.to_vec()),
        changes in prop::collection::vec((prop::sample::select(FIELDS.to_vec()), any_value()), 1..4),
    ) {
        let mut config = of_fixture(family);
        for (field, value) in changes {
            config[field] = value;
        }
        if let Ok(read) = parse(&config) {
            // What is taken is valid, within the limits, and can be written and read again.
            prop_assert!(read.validate().is_ok());
            prop_assert!(read.vocab_size <= Limits::VOCAB_SIZE && read.layers <= Limits::LAYERS);
            let text = read.to_json("float32");
            let again = ModelConfig::parse(text.as_bytes(), Path::new("config.json")).unwrap();
            prop_assert_eq!(again.layout(), read.layout());
            prop_assert_eq!(again.rope, read.rope);
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = ModelConfig::parse(&bytes, Path::new("config.json"));
    }
}
