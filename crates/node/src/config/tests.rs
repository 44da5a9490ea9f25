//! Whole run files through [`super::resolve`].

use super::*;
use std::fs;

const SMALL: &str =
    "[model.random]\nhidden=32\nheads=4\nkv_heads=2\n[[tasks]]\ntype='spell-backward'\nletters_min=3\nletters_max=3\n";

fn resolve_text(text: &str, sets: &[&str]) -> Result<RunConfig, String> {
    let mut layers = Layers::default();
    layers.add_text("test.toml", text).map_err(|e| e.to_string())?;
    for set in sets {
        layers.add_set(set).map_err(|e| e.to_string())?;
    }
    from_layers(&layers).map_err(|e| e.to_string())
}

#[test]
fn the_embedded_default_resolves_and_survives_being_printed() {
    let config = resolve(&Sources::default()).expect("the embedded default is a valid run");
    let text = config.to_toml().expect("a resolved run can be printed");
    assert_eq!(resolve_text(&text, &[]), Ok(config));
}

#[test]
fn the_example_with_liars_is_the_default_run_with_other_parties() {
    let mut layers = Layers::default();
    layers.add_text("liars.toml", include_str!("../../../../examples/liars.toml")).unwrap();
    let mut liars = from_layers(&layers).unwrap();
    assert_eq!((liars.workers.count, liars.workers.cheat.len()), (10, 3));
    let default = resolve(&Sources::default()).unwrap();
    (liars.run.name, liars.checkpoint.keep) = (default.run.name.clone(), default.checkpoint.keep);
    (liars.workers, liars.verify) = (default.workers.clone(), default.verify.clone());
    assert_eq!(liars, default);
}

#[test]
fn files_are_merged_left_to_right_and_set_wins() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (first, second) = (folder.path().join("a.toml"), folder.path().join("b.toml"));
    fs::write(&first, format!("{SMALL}[train]\nlr=1e-3\nclip_norm=0.5\n")).unwrap();
    fs::write(&second, "[train]\nlr=2e-3\n[stop]\nsteps=7\n").unwrap();
    let config = resolve(&Sources {
        files: vec![first, second],
        sets: vec!["stop.steps=9".into(), "tasks.0.letters_max=5".into()],
        device: Some("cuda:1".into()),
    })
    .unwrap();
    assert_eq!((config.train.lr, config.train.clip_norm, config.stop.steps), (2e-3, 0.5, 9));
    assert_eq!(config.run.device, "cuda:1");
    let printed = config.to_toml().unwrap();
    assert!(printed.contains("letters_max = 5"), "{printed}");
}

#[test]
fn an_unknown_key_names_the_layer_the_path_and_the_nearest_key() {
    let message = resolve_text(SMALL, &["train.micro_batch_token=8"]).unwrap_err();
    assert!(
        message.starts_with(
            "--set train.micro_batch_token=8: unknown key `train.micro_batch_token`, did you mean `micro_batch_tokens`?"
        ),
        "{message}"
    );
    let message = resolve_text(&format!("{SMALL}[rollouts]\n"), &[]).unwrap_err();
    assert!(message.starts_with("test.toml: unknown key `rollouts`, did you mean `rollout`?"), "{message}");
}

#[test]
fn values_outside_their_limits_are_refused_with_limit_and_value() {
    for (set, expected) in [
        ("rollout.group_size=0", "limit at least 1 and at most 1024, given 0"),
        ("rollout.temperature=0", "limit above 0 and at most 100, given 0"),
        ("rollout.temperature=nan", "given NaN"),
        ("train.betas=[0.9, 1.0]", "`train.betas.1` is out of range"),
        ("run.device='tpu'", "limit cpu, cuda:N or wgpu:N, given \"tpu\""),
        ("run.name='../up'", "`run.name` is out of range"),
        ("model.random.kv_heads=3", "a divisor of heads = 4, given 3"),
        (
            "model.hub='x/y'",
            "exactly one of path, hub, random, whichever file or option names it, given hub and random",
        ),
        ("eval.samples=4", "`eval.temperature` is out of range"),
        ("tasks.0.weight=0", "limit at least 1 and at most 1000000, given 0"),
        ("rollout.group_size=1", "`rollout.group_size (with gate.refuse_equal_rewards)` is out of range"),
        ("rollout.prompts_per_step=65537", "at most 65536, given 65537"),
        ("rollout.staleness_max=257", "at most 256, given 257"),
        ("eval.samples=65", "at most 64, given 65"),
        ("run.seed=-1", "-1"),
        ("workers.count=0", "`workers.count` is out of range"),
        ("workers.cheat=[{worker=1, cheat='int8_weights'}]", "`workers.cheat.0.worker` is out of range"),
        ("workers.cheat=[{worker=0, cheat='int8_weight'}]", "did you mean `int8_weights`?"),
        ("workers.cheat=[{worker=0, cheat='lazy_validator'}]", "lazy_validator"),
        ("verify.check_fraction=1.5", "given 1.5"),
        ("verify.behaviour_logprobs='validator'", "`verify.check_fraction` is out of range"),
        ("beacon.source='drand:quiknet'", "did you mean `drand:quicknet`?"),
        ("beacon.urls=['https://api.drand.sh']", "none unless beacon.source is \"drand:quicknet\""),
        (
            "beacon={source='drand:default', urls=['api.drand.sh']}",
            "addresses with http:// or https://, given \"api.drand.sh\"",
        ),
        ("economy.preset='locale'", "did you mean `local`?"),
        ("economy.epoch_step=5", "unknown key `economy.epoch_step`, did you mean `epoch_steps`?"),
        ("economy.epoch_steps=0", "limit at least 1 and at most 10000000, given 0"),
        ("chain.addres='a.json'", "unknown key `chain.addres`, did you mean `addresses`?"),
        ("chain.addresses='a.json'", "none unless chain.url is given"),
        ("chain.url='http://127.0.0.1:8545'", "`chain.addresses` is out of range"),
        ("chain.development=true", "false unless chain.url is given"),
        ("chain={url='127.0.0.1:8545', addresses='a.json'}", "an address with http:// or https://"),
        ("chain={url='ws://user:pass@host/a', addresses='a.json'}", "given \"ws://host/a\""),
        ("chain={url='http://h', addresses='a.json', confirmations=0}", "limit at least 1 and at most 64, given 0"),
        ("chain.confirmations=2", "none unless chain.url is given"),
        ("stop.steps='many'", "`stop.steps` should be u64, given string \"many\""),
    ] {
        let message = resolve_text(SMALL, &[set]).expect_err(set);
        assert!(message.contains(expected), "{set}: {message}");
    }
}

#[test]
fn a_drand_source_is_printed_as_it_is_written() {
    let set = "beacon={source='drand:quicknet', urls=['http://127.0.0.1:8080']}";
    let config = resolve_text(SMALL, &[set]).unwrap();
    assert_eq!(config.beacon.source.drand_chain(), Some("quicknet"));
    let printed = config.to_toml().unwrap();
    assert!(printed.contains("source = \"drand:quicknet\""), "{printed}");
    assert_eq!(resolve_text(&printed, &[]).unwrap(), config);
}

#[test]
fn a_run_keeps_a_ledger_on_a_chain_of_its_own_unless_it_is_told_otherwise() {
    let config = resolve_text(SMALL, &[]).unwrap();
    assert_eq!((config.economy, config.chain), (EconomySection::default(), ChainSection::default()));
    assert!(EconomySection::default().enabled);
    let set = "chain={url='http://127.0.0.1:8545', addresses='addresses.json'}";
    let config = resolve_text(SMALL, &[set, "economy.preset=team", "economy.epoch_steps=7"]).unwrap();
    assert_eq!((config.economy.preset, config.economy.epoch_steps), (EconomyPreset::Team, Some(7)));
    assert_eq!(resolve_text(&config.to_toml().unwrap(), &[]).unwrap(), config);
}

#[test]
fn a_missing_run_file_hints_at_the_nearest_name() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("countdown.toml"), SMALL).unwrap();
    let sources = Sources { files: vec![folder.path().join("countdwon.toml")], ..Sources::default() };
    let message = resolve(&sources).unwrap_err().to_string();
    assert!(message.contains("did you mean `countdown.toml`?"), "{message}");
}

#[test]
fn learning_rates_follow_from_whether_the_model_is_pretrained_unless_a_person_gives_them() {
    const PATH: &str = "[model]\npath='some/folder'\n[[tasks]]\ntype='spell-backward'\n";
    let rates = |text: &str, sets: &[&str]| {
        let config = resolve_text(text, sets).unwrap();
        assert_eq!(resolve_text(&config.to_toml().unwrap(), &[]), Ok(config.clone()), "what is printed is resolved");
        (config.sft.lr, config.sft.warmup_steps, config.train.lr)
    };
    assert_eq!(rates(SMALL, &["sft.steps=40"]), (1e-3, 0, 5e-4));
    assert_eq!(rates(PATH, &["sft.steps=40"]), (2e-5, 4, 1e-6));
    assert_eq!(rates(PATH, &["sft.steps=5"]), (2e-5, 0, 1e-6), "a fall needs steps to fall over");
    let hub = PATH.replace("path='some/folder'", "hub='some/name'");
    assert_eq!(rates(&hub, &[]), (2e-5, 0, 1e-6));
    let given = ["sft.steps=40", "sft.lr=1e-3", "train.lr=3e-6", "sft.warmup_steps=0"];
    assert_eq!(rates(PATH, &given), (1e-3, 0, 3e-6));
    // The rates of the embedded run are meant for its own model.
    let of_default = |sets: &[&str]| {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        resolve(&Sources { sets, ..Sources::default() }).unwrap()
    };
    let other = of_default(&["model={path='some/folder'}"]);
    assert_eq!((other.sft.lr, other.sft.warmup_steps, other.train.lr), (2e-5, 4, 1e-6));
    assert_eq!((of_default(&[]).sft.lr, of_default(&[]).train.lr), (1e-3, 5e-4));
    assert_eq!(of_default(&["model={path='some/folder'}", "sft.lr=1e-4"]).sft.lr, 1e-4);
}

#[test]
fn a_rate_that_ruins_a_pretrained_model_is_warned_of_with_limit_and_value() {
    let config = |sets: &[&str]| {
        let text = "[model]\npath='some/folder'\n[[tasks]]\ntype='spell-backward'\n[sft]\nsteps=40\n";
        resolve_text(text, sets).unwrap()
    };
    assert_eq!(config(&[]).harmful_rates(135_000_000), [""; 0]);
    let words = config(&["sft.lr=1e-3"]).harmful_rates(135_000_000);
    assert_eq!(words.len(), 1);
    assert!(words[0].starts_with("sft.lr = 1e-3 is likely to ruin a pretrained model: above 3e-4 "), "{words:?}");
    assert_eq!(config(&["sft.lr=1e-3", "train.lr=1e-3"]).harmful_rates(135_000_000).len(), 2);
    assert_eq!(
        config(&["sft.lr=1e-3", "sft.steps=0", "train.lr=1e-3", "stop.steps=0"]).harmful_rates(135_000_000).len(),
        0
    );
    assert_eq!(config(&["sft.lr=1e-3"]).harmful_rates(400_000), [""; 0], "small models bear it");
    assert_eq!(resolve_text(SMALL, &["sft.steps=40"]).unwrap().harmful_rates(135_000_000), [""; 0]);
}

#[test]
fn in_flight_follows_mode_and_staleness_unless_given() {
    let count = |sets: &[&str]| resolve_text(SMALL, sets).unwrap().in_flight_max();
    assert_eq!(count(&["run.mode=async"]), 32);
    assert_eq!(count(&["run.mode=sequential"]), 16);
    assert_eq!(count(&["run.mode=async", "rollout.staleness_max=0"]), 16);
    assert_eq!(count(&["rollout.in_flight_max=40"]), 40);
    let message = resolve_text(SMALL, &["rollout.in_flight_max=65", "rollout.group_size=1024"]).unwrap_err();
    assert!(message.contains("in_flight_max * rollout.group_size"), "{message}");
    assert!(message.contains("66560") && message.contains("65536"), "{message}");
}

#[test]
fn a_task_key_or_type_that_does_not_exist_is_named_with_the_nearest() {
    let message = resolve_text(SMALL, &["tasks.0.leters_max=3"]).unwrap_err();
    assert!(message.contains("unknown key `tasks.0.leters_max`, did you mean `letters_max`?"), "{message}");
    let message = resolve_text(SMALL, &["tasks.0.wieght=3"]).unwrap_err();
    assert!(message.contains("did you mean `weight`?"), "{message}");
    let message = resolve_text(SMALL, &["tasks.0.type='spellbackward'"]).unwrap_err();
    assert!(message.contains("did you mean `spell-backward`?"), "{message}");
}

#[test]
fn a_lone_validator_has_no_second_checks_and_no_plants_unless_it_is_asked_for_them_which_is_refused() {
    let shares =
        |sets: &[&str]| resolve_text(SMALL, sets).map(|config| (config.verify.second_checks(), config.verify.plants()));
    assert_eq!(shares(&[]), Ok((0.0, 0.0)));
    assert_eq!(shares(&["verify.plant_fraction=0.0", "verify.second_check_fraction=0"]), Ok((0.0, 0.0)));
    assert_eq!(shares(&["verify.validators=2"]), Ok((0.1, 0.02)));
    assert_eq!(shares(&["verify.validators=2", "verify.plant_fraction=0.5"]), Ok((0.1, 0.5)));
    assert_eq!(shares(&["verify.validators=2", "verify.check_fraction=0"]), Ok((0.1, 0.0)));
    for (sets, said) in [
        (["verify.plant_fraction=0.5", "stop.steps=1"], "0 where verify.validators is 1"),
        (["verify.second_check_fraction=0.5", "stop.steps=1"], "0 where verify.validators is 1"),
        (["verify.check_fraction=5e-7", "stop.steps=1"], "at least 0.000001"),
    ] {
        let message = shares(&sets).unwrap_err();
        assert!(message.contains(said), "{message}");
    }
    let unread = ["verify.validators=2", "verify.check_fraction=0", "verify.plant_fraction=0.5"];
    assert!(shares(&unread).unwrap_err().contains("cannot tell a plant"));
}

fn with_tasks(entries: &str) -> String {
    format!("[model.random]\nhidden=32\nheads=4\nkv_heads=2\n{entries}")
}

#[test]
fn tasks_of_one_type_have_different_names_and_given_names_are_kept() {
    let entries = "[[tasks]]\ntype='chain-sum'\n[[tasks]]\ntype='chain-sum'\n[[tasks]]\ntype='chain-sum'\nname='chain-sum-2'\n\
                   [[tasks]]\ntype='dataset'\npath='a/sums.jsonl.gz'\n[[tasks]]\ntype='dataset'\npath='b/sums.parquet'\n\
                   [[tasks]]\ntype='dataset'\npath='.jsonl'\n[[tasks]]\ntype='gsm8k'\npath='a b.jsonl'\n";
    let config = resolve_text(&with_tasks(entries), &[]).unwrap();
    let names = task_names(&config.tasks);
    assert_eq!(names, ["chain-sum", "chain-sum-3", "chain-sum-2", "sums", "sums-2", "dataset", "gsm8k"]);
}

#[test]
fn a_name_given_twice_is_refused_and_a_free_one_proposed() {
    let twice =
        "[[tasks]]\ntype='sat'\nname='a'\n[[tasks]]\ntype='sort'\nname='a-2'\n[[tasks]]\ntype='sat'\nname='a'\n";
    let message = resolve_text(&with_tasks(twice), &[]).unwrap_err();
    assert!(message.contains("tasks.2.name") && message.contains("call this one \"a-3\""), "{message}");
    for name in ["", "-a", "a/b", "a b"] {
        let one = format!("[[tasks]]\ntype='sat'\nname='{name}'\n");
        assert!(resolve_text(&with_tasks(&one), &[]).unwrap_err().contains("tasks.0.name"), "{name}");
    }
}

#[test]
fn an_instruction_is_text_or_switched_off_and_survives_being_printed() {
    let system = |value: &str| {
        let config = resolve_text(&with_tasks(&format!("[[tasks]]\ntype='sat'\n{value}\n")), &[])?;
        assert_eq!(resolve_text(&config.to_toml().unwrap(), &[]).as_ref(), Ok(&config));
        Ok::<_, String>(config.tasks[0].system.clone())
    };
    assert_eq!(system(""), Ok(None));
    assert_eq!(system("system = 'Be brief.'"), Ok(Some("Be brief.".to_owned())));
    assert_eq!(system("system = ''"), Ok(Some(String::new())));
    assert_eq!(system("system = false"), Ok(Some(String::new())));
    assert!(system("system = true").unwrap_err().contains("text, or false for none"));
    assert!(system("rows_too_long = 'skip'").unwrap_err().contains("makes its own items"));
}
