use super::*;

fn played(crowds: Vec<Crowd>, strategies: &[Strategy], epochs: u64) -> EconomyReport {
    let options = EconomyOptions { crowds, strategies: strategies.to_vec(), epochs, ..EconomyOptions::new(1) };
    economy(&options, &|| ()).unwrap()
}

fn paying(report: &EconomyReport) -> Vec<&'static str> {
    report.failures().map(|row| row.strategy.as_str()).collect()
}

#[test]
fn honesty_is_the_best_reply_in_every_shipped_preset() {
    let report = played(Crowd::all(), &Strategy::WITHIN, 100);
    assert_eq!(report.rows.len(), 3 * (Strategy::WITHIN.len() - 1));
    assert!(report.is_good(), "{report}");
}

#[test]
fn honesty_is_the_best_reply_whether_work_is_cheap_or_eats_all_that_it_pays() {
    for cost_ppm in [100_000, 500_000, 1_000_000] {
        let report = played(vec![Crowd { cost_ppm, ..Crowd::local() }], &Strategy::WITHIN, 100);
        assert!(report.is_good(), "{cost_ppm}\n{report}");
    }
}

#[test]
fn a_stake_too_small_lets_lies_pay_and_both_checks_say_so() {
    let crowd = Crowd::local().with(|economy| economy.stake_worker /= 100);
    assert!(crowd.economy.check_deterrence(&crowd.watch()).is_err());
    let report = played(vec![crowd], &Strategy::WITHIN, 20);
    let paying = paying(&report);
    assert!(paying.contains(&"fresh_identities"), "{paying:?}\n{report}");
    assert!(!paying.contains(&"withholds") && !paying.contains(&"lazy"), "{paying:?}");
}

#[test]
fn without_a_look_lies_pay_and_both_checks_say_so() {
    let crowd = Crowd { check_ppm: 0, plant_ppm: 0, ..Crowd::local() };
    assert!(crowd.economy.check_deterrence(&crowd.watch()).is_err());
    let report = played(vec![crowd], &[Strategy::Int8, Strategy::Lazy, Strategy::FakeReward], 20);
    assert_eq!(paying(&report), ["int8", "lazy"], "a false reward is seen without the model\n{report}");
}

#[test]
fn shipped_presets_pass_the_inequalities_with_the_crowds_that_are_simulated() {
    for crowd in Crowd::all() {
        assert_eq!(crowd.economy.check_deterrence(&crowd.watch()), Ok(()), "{}", crowd.name);
    }
}

#[test]
fn a_friend_gets_the_bounty_of_every_liar() {
    let report = played(vec![Crowd::local()], &[Strategy::Int8, Strategy::Lazy, Strategy::FaultFarm], 5);
    let lost: Vec<i128> = report.rows.iter().map(|row| row.lost[0]).collect();
    // Three quarters of a fifth of 750 ESM, of a half of 1,500 ESM, and of a twentieth of 750 ESM a time.
    assert_eq!(lost[..2], [112_500_000, 562_500_000], "{report}");
    assert!(lost[2] > 0 && lost[2] % 28_125_000 == 0, "{report}");
}

#[test]
fn most_of_the_validators_are_deterred_by_nothing() {
    let report = played(vec![Crowd::local()], &Strategy::BEYOND, 20);
    assert!(report.rows.iter().all(EconomyRow::pays), "{report}");
    assert!(report.is_good(), "they are told of, and promised nothing");
}

#[test]
fn a_market_is_a_function_of_its_seed() {
    let once = || played(vec![Crowd::local()], &[Strategy::CheapInt8, Strategy::Ring], 10).to_string();
    assert_eq!(once(), once());
}

#[test]
fn names_are_words_of_their_own() {
    let mut names: Vec<&str> =
        Strategy::WITHIN.iter().chain(&Strategy::BEYOND).map(|strategy| strategy.as_str()).collect();
    assert!(names.iter().all(|name| !name.contains(' ')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Strategy::WITHIN.len() + Strategy::BEYOND.len());
}
