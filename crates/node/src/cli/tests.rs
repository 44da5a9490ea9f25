//! What the command line takes and refuses.

use super::*;
use clap::CommandFactory;

fn parse(words: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(words.split_whitespace())
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn resume_may_stand_alone_or_name_a_folder() {
    let resume = |words: &str| match parse(words).unwrap().command {
        Command::Run(args) => args.resume,
        other => panic!("{other:?}"),
    };
    assert_eq!(resume("essaim run"), None);
    assert_eq!(resume("essaim run --resume"), Some(None));
    assert_eq!(resume("essaim run --resume runs/a"), Some(Some("runs/a".into())));
    assert!(parse("essaim run --resume --out x").is_err());
}

#[test]
fn a_misspelt_cheat_is_wrong_usage_and_names_the_nearest() {
    let message = parse("essaim sim --cheat int8_weight").unwrap_err().to_string();
    assert!(message.contains("did you mean `int8_weights`?"), "{message}");
    assert!(parse("essaim sim --seed 3 --seeds 4 --trace").is_err());
    let help = Cli::command().find_subcommand_mut("sim").unwrap().render_long_help().to_string();
    assert!(help.contains("verdict_copier") && help.contains("essaim sim --seed 7"), "{help}");
}

#[test]
fn global_options_stand_before_or_after_the_command() {
    let before = parse("essaim --json --device cpu tasks").unwrap().global;
    let after = parse("essaim tasks --device cpu --json").unwrap().global;
    assert!(before.json && after.json);
    assert_eq!(before.device, after.device);
}

#[test]
fn a_misspelt_command_names_the_nearest_and_a_bad_number_its_limit() {
    let message = parse("essaim evla").unwrap_err().to_string();
    assert!(message.contains("'eval'"), "{message}");
    let message = parse("essaim generate -m x --top-p 1.5 p").unwrap_err().to_string();
    assert!(message.contains("given 1.5"), "{message}");
}
