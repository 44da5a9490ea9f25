//! The inequalities of the shipped presets, worked by hand and held against the page on economics.

use super::*;
use crate::presets;

/// The presets with the crowds that they are made for.
fn shipped() -> [(Economy, Watch); 3] {
    let watch = |validators, groups_per_epoch| Watch {
        group_size: 16,
        check_ppm: 125_000,
        validators,
        second_check_ppm: 100_000,
        plant_ppm: 20_000,
        groups_per_epoch,
    };
    [(presets::local(), watch(3, 10 * 16)), (presets::team(), watch(5, 20 * 32)), (presets::open(), watch(15, 50 * 64))]
}

fn names(result: Result<(), Undeterred>) -> Vec<String> {
    let gaps = result.err().map_or_else(Vec::new, |undeterred| undeterred.gaps);
    gaps.iter().map(|gap| gap.to_string().split(" (").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_shipped_preset_deters_every_measured_lie() {
    for (economy, watch) in shipped() {
        assert_eq!(economy.check_deterrence(&watch), Ok(()));
    }
}

#[test]
fn what_a_slash_costs_is_what_the_bounty_leaves_of_it() {
    let (economy, watch) = shipped()[0].clone();
    // Worker 750 ESM, validators 1,500; three quarters remain of a fifth, a half and a twentieth.
    let (sampler, own_reward) = (&MEASURED_LIES[5], &MEASURED_LIES[13]);
    assert_eq!(economy.lie(&watch, sampler).loss, 306_039, "112.5 ESM · (1 - 0.998055²) · 0.7");
    assert_eq!(economy.lie(&watch, own_reward).loss, 196_875_000, "281.25 ESM · 0.7");
    assert_eq!(economy.lazy_validator(&watch).loss, 10_227_272, "562.5 ESM · 0.02 / 1.1");
    assert_eq!(economy.bribe(&watch).loss, 56_250_000, "562.5 ESM · 0.1");
    assert_eq!(economy.fault_farm(&watch).loss, 28_125_000, "37.5 ESM less 9.375");
}

#[test]
fn every_inequality_holds_more_than_1_3_times_after_the_bounty() {
    for (economy, watch) in shipped() {
        for gap in economy.inequalities(&watch) {
            let Sides { loss, gain } = gap.sides().expect("enough validators");
            assert!(loss * 10 > gain * 13, "{gap}");
        }
    }
}

#[test]
fn a_stake_too_small_is_named_with_the_lie_that_it_does_not_deter() {
    for (economy, watch) in shipped() {
        let small = Economy { stake_worker: economy.stake_worker / 4, ..economy.clone() };
        let gaps = names(small.check_deterrence(&watch));
        assert!(gaps.contains(&"int8 samples, the true model proves".to_owned()), "{gaps:?}");
        let none = Economy { stake_worker: 0, stake_validator: 0, ..economy };
        assert_eq!(names(none.check_deterrence(&watch)).len(), MEASURED_LIES.len() + 3);
    }
}

#[test]
fn fault_points_too_high_are_named() {
    for (economy, watch) in shipped() {
        // Above all else that is paid from the pool, and the pool above half of a small fine.
        let split = crate::Split { checks_ppm: 520_000, workers_ppm: 200_000, ..economy.split };
        let farm = Economy { fault_points: 1_000_000, split, ..economy.clone() };
        assert_eq!(names(farm.check_deterrence(&watch)), ["lies made to be found by friends"]);
    }
}

#[test]
fn without_a_look_only_lies_that_everybody_sees_are_deterred() {
    let (economy, watch) = shipped()[0].clone();
    let blind = Watch { check_ppm: 0, plant_ppm: 0, second_check_ppm: 0, ..watch };
    let gaps = names(economy.check_deterrence(&blind));
    assert!(gaps.contains(&"int8 weights".to_owned()) && gaps.contains(&"bribes".to_owned()), "{gaps:?}");
    assert!(gaps.contains(&"validators that do not look".to_owned()), "{gaps:?}");
    assert!(!gaps.contains(&"samples left out".to_owned()), "{gaps:?}");
    assert_eq!(economy.groups_per_epoch_least(&blind), None);
}

#[test]
fn two_validators_cannot_outvote_one() {
    let (economy, watch) = shipped()[0].clone();
    let gaps = economy.check_deterrence(&Watch { validators: 2, ..watch }).unwrap_err().gaps;
    assert_eq!(gaps, [Gap::FewValidators { least: 3, given: 2 }]);
}

#[test]
fn fewer_groups_pay_more_each_until_lies_pay_too() {
    for (economy, watch) in shipped() {
        let least = economy.groups_per_epoch_least(&watch).unwrap();
        let with = |groups_per_epoch| economy.check_deterrence(&Watch { groups_per_epoch, ..watch });
        assert!(least <= watch.groups_per_epoch && with(least).is_ok() && with(least - 1).is_err(), "{least}");
    }
}

#[test]
fn detection_is_that_of_the_page_on_verification() {
    // With everything seen by honest validators: 2 looks at q = 0.4684 miss with 0.5316² = 0.2826.
    let watch = Watch { validators: 1, ..shipped()[0].1 };
    let best_of_two = &MEASURED_LIES[7];
    assert_eq!(watch.detection(best_of_two) / 10_000, 71_743);
    // One of three is a friend, alone in 9 of 10 cases: 0.3 of the groups go unseen.
    let watch = Watch { validators: 3, ..watch };
    assert_eq!(watch.detection(best_of_two) / 10_000, 50_220);
    // Two of five: 2/5 · (0.9 + 0.1 · 1/4) = 0.37.
    assert_eq!(Watch { validators: 5, ..watch }.covered(), 370_000_000);
}

/// The probability of at least `caught` of `of` with probability `p` each.
#[allow(clippy::float_arithmetic, reason = "an independent computation of the pinned bounds")]
fn tail(caught: u32, of: u32, p: f64) -> f64 {
    let mut log_choose = 0.0f64;
    let mut sum = 0.0;
    for k in 0..=of {
        if k >= caught {
            let (hits, misses) = (f64::from(k) * p.ln(), f64::from(of - k) * (1.0 - p).ln());
            sum += (log_choose + hits + misses).exp();
        }
        log_choose += (f64::from(of - k) / f64::from(k + 1)).ln();
    }
    sum
}

#[test]
#[allow(clippy::float_arithmetic, reason = "an independent computation of the pinned bounds")]
fn floors_are_the_bounds_of_clopper_and_pearson() {
    for lie in MEASURED_LIES {
        let Some((caught, of)) = lie.caught_of else { continue };
        let at = |ppm: u32| tail(caught, of, f64::from(ppm) / 1e6);
        assert!(at(lie.floor_ppm) <= 0.05 && at(lie.floor_ppm + 2) > 0.05, "{}: {}", lie.name, at(lie.floor_ppm));
    }
}

/// Loss over gain, rounded down, with two digits after the point below ten.
fn times(Sides { loss, gain }: Sides) -> String {
    let hundredths = u128::from(loss) * 100 / u128::from(gain.max(1));
    match hundredths {
        0..1_000 => format!("{}.{:02}", hundredths / 100, hundredths % 100),
        _ => (hundredths / 100).to_string(),
    }
}

/// The last cells of the page's rows: one number for each preset.
fn page_rows() -> Vec<(&'static str, [Sides; 3])> {
    let of = |sides: &dyn Fn(&Economy, &Watch) -> Sides| shipped().map(|(economy, watch)| sides(&economy, &watch));
    let lie = |name: &str| {
        let lie = MEASURED_LIES.iter().find(|lie| lie.name == name).expect("a measured lie");
        of(&|economy, watch| economy.lie(watch, lie))
    };
    vec![
        ("int8, int4, bf16 for f32, half the model", lie("int8 weights")),
        ("int8, int4, bf16 for f32, half the model", lie("half the model")),
        ("half the model samples, the true one proves", lie("half the model samples, the true one proves")),
        ("int8 samples, the true model proves", lie("int8 samples, the true model proves")),
        ("int4 samples, the true model proves", lie("int4 samples, the true model proves")),
        ("best of two draws", lie("best of two draws")),
        ("temperature 0.7 for 1", lie("temperature 0.7 for 1")),
        ("one token edited, or stopped early", lie("one token edited, or stopped early")),
        ("one logprob off by a nat", lie("one logprob off by a nat")),
        ("weights one step old, lr 1e-6", lie("weights one step old, lr 1e-6")),
        ("samples left out (seen in every group; 5 %)", lie("samples left out")),
        ("a reward of one's own (seen in every group; 50 %)", lie("a reward of one's own")),
        ("a verdict without a look", of(&|economy, watch| economy.lazy_validator(watch))),
        ("bribing the validator that was drawn", of(&|economy, watch| economy.bribe(watch))),
        ("a lie made to be found by friends", of(&|economy, watch| economy.fault_farm(watch))),
    ]
}

#[test]
fn the_page_on_economics_has_the_numbers_of_this_code() {
    let page = include_str!("../../../../docs/economics.md").replace("**", "");
    for (name, sides) in page_rows() {
        let row = page.lines().find(|line| line.starts_with(&format!("| {name} |"))).expect("a row of the page");
        let cells = sides.map(times).join(" | ");
        assert!(row.ends_with(&format!("| {cells} |")), "{name}: should end with {cells}, and is\n{row}");
    }
    let text = page.split_whitespace().collect::<Vec<_>>().join(" ");
    let [local, team, open] = shipped().map(|(economy, watch)| economy.groups_per_epoch_least(&watch).unwrap());
    assert_eq!((local, team, open), (99, 409, 2_298));
    assert!(text.contains("99 groups for `local`, 409 for `team`, 2,298 for `open`"));
    let (economy, watch) = shipped()[1].clone();
    let few = economy.check_deterrence(&Watch { groups_per_epoch: 160, ..watch }).unwrap_err().to_string();
    assert!(text.contains(&few), "{few}");
}
