use super::*;
use model::{Family, Sizes};

fn model(vocab_size: usize) -> ModelConfig {
    let sizes = Sizes {
        vocab_size,
        hidden_size: 64,
        intermediate_size: 128,
        layers: 4,
        heads: 4,
        key_value_heads: 2,
        head_dim: None,
        max_positions: 256,
        tied: true,
    };
    ModelConfig::new(Family::Llama, &sizes).unwrap()
}

fn config(sets: &[&str]) -> RunConfig {
    let mut layers = crate::config::Layers::default();
    layers.add_text("a file", "[model]\npath = 'm'\n[train]\nlr = 1e-3\n[[tasks]]\ntype = 'sat'\n").unwrap();
    sets.iter().for_each(|set| layers.add_set(set).unwrap());
    crate::config::from_layers(&layers).unwrap()
}

fn settled(sets: &[&str]) -> (RunConfig, Result<MemoryPlan, String>) {
    settled_for(&model(1000), sets)
}

fn settled_for(model: &ModelConfig, sets: &[&str]) -> (RunConfig, Result<MemoryPlan, String>) {
    let mut config = config(sets);
    let facts = Facts { kind: Kind::Rl, model, prompt_tokens_max: 20, base_bytes: 1_000_000 };
    let plan = settle(&mut config, facts).unwrap();
    let refusal = refusal(&config, facts, &plan).map(|refusal| refusal.to_string());
    (config, refusal.map_or(Ok(plan), Err))
}

#[test]
fn a_plan_counts_every_parameter_and_what_is_held_at_once() {
    let (_, plan) = settled(&["run.mode=sequential", "rollout.dtype=bf16"]);
    let plan = plan.unwrap();
    // Embedding, four layers (q, k, v, o, gate, up, down, two norms), the last norm.
    let parameters = 1000 * 64 + 4 * (64 * 64 * 2 + 2 * 32 * 64 + 3 * 128 * 64 + 2 * 64) + 64;
    let bytes = |name: &str| plan.parts.iter().find(|part| part.name.starts_with(name)).map(|part| part.bytes);
    assert_eq!(bytes("master"), Some(4 * parameters));
    assert_eq!(bytes("moments"), Some(8 * parameters));
    assert_eq!(bytes("gradients"), Some(4 * (parameters + 64_000)));
    assert_eq!(bytes("weights packed"), Some(2 * parameters));
    assert_eq!(bytes("older"), None, "nothing is stale");
    let at = |when| plan.parts.iter().filter(|part| part.when == when).map(|part| part.bytes).sum::<u64>();
    let turns = at(When::Generating).max(at(When::Training));
    assert_eq!(plan.peak_bytes, at(When::Always) + turns);
    let asynchronous = settled(&["run.mode=async", "rollout.staleness_max=4"]).1.unwrap();
    assert!(asynchronous.peak_bytes > plan.peak_bytes + 4 * 3 * parameters, "versions are kept");
}

#[test]
fn gradients_wait_where_generation_leaves_room_for_them() {
    let reused = |sets: &[&str]| {
        let (config, plan) = settled(sets);
        let plan = plan.unwrap();
        let part = |name: &str| plan.parts.iter().find(|part| part.name.starts_with(name)).unwrap().bytes;
        (plan.reused(&config), part("gradients"), plan.sum(When::Generating), plan.sum(When::Training))
    };
    let ([activations, gradients], _, generating, training) =
        reused(&["run.mode=sequential", "train.activation_mib_max=0", "rollout.max_new_tokens=8"]);
    assert_eq!((activations, generating + gradients), (0, training));
    let ([_, none], ..) = reused(&["run.mode=sequential", "train.activation_mib_max=512"]);
    assert_eq!(none, 0, "buffers of activations wait there");
    let ([_, all], of_all, ..) = reused(&["run.mode=async"]);
    assert!(all >= of_all);
}

#[test]
fn a_limit_lowers_what_costs_time_alone_and_nothing_that_a_person_has_set() {
    let free = settled(&["run.mode=sequential"]);
    assert_eq!(free.0.train.activation_mib_max, Some(512));
    let peak = free.1.unwrap().peak_bytes;
    let tighter = format!("run.memory_max={}", peak - 1);
    let (config, plan) = settled(&["run.mode=sequential", &tighter]);
    assert!(plan.unwrap().peak_bytes < peak && config.train.activation_mib_max < Some(512));
    let (config, plan) = settled(&["run.mode=sequential", &tighter, "train.activation_mib_max=512"]);
    assert_eq!(config.train.activation_mib_max, Some(512));
    let text = plan.unwrap_err();
    assert!(text.contains("train.activation_mib_max = 0 would make it") && text.contains("which is enough"), "{text}");
}

#[test]
fn a_run_that_cannot_fit_is_refused_by_the_settings_that_would_help() {
    let (_, plan) = settled(&["run.memory_max=\"60 MB\""]);
    let text = plan.unwrap_err();
    for part in
        ["the limit is 60 MB (run.memory_max)", "no one setting is enough", "run.mode = \"sequential\" would make it"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("which is enough"), "{text}");
}

#[test]
fn moments_in_bf16_take_half_the_room_and_are_named_where_they_would_help() {
    let model = model(100_000);
    let parameters: u64 = model.layout().iter().map(|spec| spec.numel() as u64).sum();
    let plan = |sets: &[&str]| settled_for(&model, sets).1;
    let (f32s, halves) = (plan(&[]).unwrap(), plan(&["train.moments_dtype=bf16"]).unwrap());
    assert!(halves.parts.iter().any(|part| part.name == "moments of AdamW, bf16" && part.bytes == 4 * parameters));
    assert_eq!(f32s.peak_bytes - halves.peak_bytes, 4 * parameters);
    let text = plan(&["run.memory_max=\"60 MB\""]).unwrap_err();
    assert!(text.contains("\ntrain.moments_dtype = \"bf16\" would make it "), "{text}");
    for sets in [["train.moments_dtype=bf16"], ["run.device=\"wgpu:0\""]] {
        let sets = [&["run.memory_max=\"60 MB\""][..], &sets].concat();
        assert!(!plan(&sets).unwrap_err().contains("moments_dtype"), "{sets:?}");
    }
}

#[test]
fn supervised_training_alone_holds_no_rollouts_and_a_long_sequence_counts_whole() {
    let (model, config) =
        (model(1000), config(&["sft.steps=1", "train.micro_batch_tokens=1", "train.activation_mib_max=0"]));
    let plan = |kind, prompt_tokens_max| {
        let facts = Facts { kind, model: &model, prompt_tokens_max, base_bytes: 0 };
        settle(&mut config.clone(), facts).unwrap()
    };
    let (supervised, reinforced) = (plan(Kind::Sft, 20), plan(Kind::Rl, 20));
    assert!(supervised.parts.iter().all(|part| !part.name.contains("cache") && !part.name.contains("older")));
    assert!(supervised.peak_bytes < reinforced.peak_bytes);
    let layer = |plan: MemoryPlan| plan.parts.iter().find(|part| part.name.starts_with("a layer")).unwrap().bytes;
    let tokens = 120 + config.rollout.max_new_tokens as u64;
    assert_eq!(layer(plan(Kind::Sft, 120)), 2 * tokens * model.layer_activation_bytes());
}
