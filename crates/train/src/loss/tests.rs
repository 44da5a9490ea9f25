//! Each preset worked by hand on one token.

use super::*;

fn one_token(preset: Preset, ratio: f32, advantage: f32) -> LossOutput {
    let logprob = [(0.1 * ratio).ln()];
    let behaviour = [0.1f32.ln()];
    Loss::new(&LossConfig::new(preset))
        .unwrap()
        .evaluate(&LossInput {
            lengths: &[1],
            logprob: &logprob,
            old: &behaviour,
            behaviour: &behaviour,
            entropy: &[0.5],
            advantage: &[advantage],
            totals: Totals { sequences: 1, tokens: 1 },
        })
        .unwrap()
}

#[track_caller]
fn assert_near(given: f64, expected: f64) {
    assert!((given - expected).abs() < 1e-6, "{given} instead of {expected}");
}

#[test]
fn ratio_above_the_clip_earns_no_more_than_the_clip() {
    // r = 1.5, A = 2: min(3.0, 1.2 · 2) = 2.4, flat.
    let output = one_token(Preset::Grpo, 1.5, 2.0);
    assert_near(output.loss, -2.4);
    assert_eq!(output.grad_logprob, [0.0]);
}

#[test]
fn ratio_above_the_clip_still_pays_for_a_bad_token() {
    // r = 1.5, A = -2: min(-3.0, -2.4) = -3.0, slope -A·r = 3.
    let output = one_token(Preset::Grpo, 1.5, -2.0);
    assert_near(output.loss, 3.0);
    assert_near(output.grad_logprob[0], 3.0);
}

#[test]
fn the_second_side_of_grpo_plus_bounds_what_a_bad_token_costs() {
    // r = 6 > δ = 4, A = -1: min(-4, -1.2) = -4, flat; grpo pays 6.
    let output = one_token(Preset::GrpoPlus, 6.0, -1.0);
    assert_near(output.loss, 4.0);
    assert_eq!(output.grad_logprob, [0.0]);
    assert_near(one_token(Preset::Grpo, 6.0, -1.0).loss, 6.0);
}

#[test]
fn cispo_keeps_the_gradient_of_a_token_beyond_its_cap() {
    // r = 6, cap 5, A = 1: loss -5·log 0.6, slope -5.
    let output = one_token(Preset::Cispo, 6.0, 1.0);
    assert_near(output.loss, -5.0 * 0.6f64.ln());
    assert_near(output.grad_logprob[0], -5.0);
}

#[test]
fn dppo_drops_a_good_token_that_rose_by_more_than_a_fifth() {
    // 0.1 -> 0.35 with A = 1: dropped, only 1e-3·(log 3.5)² stays. With A = -1 it is kept: 3.5 more.
    let squared = 1e-3 * 3.5f64.ln().powi(2);
    assert_near(one_token(Preset::Dppo, 3.5, 1.0).loss, squared);
    assert_near(one_token(Preset::Dppo, 3.5, -1.0).loss, squared + 3.5);
}

#[test]
fn on_the_policy_that_sampled_the_gradient_is_plain_policy_gradient() {
    for preset in [Preset::Grpo, Preset::Dapo, Preset::GrpoPlus, Preset::Gspo, Preset::Cispo, Preset::Dppo] {
        let output = one_token(preset, 1.0, 0.7);
        assert_near(output.grad_logprob[0], -0.7);
    }
}

#[test]
fn an_absurd_behaviour_logprob_gives_a_finite_loss() {
    let loss = Loss::new(&LossConfig::new(Preset::Grpo)).unwrap();
    let output = loss
        .evaluate(&LossInput {
            lengths: &[1],
            logprob: &[-1.0],
            old: &[-1e30],
            behaviour: &[-1e30],
            entropy: &[0.0],
            advantage: &[-1.0],
            totals: Totals { sequences: 1, tokens: 1 },
        })
        .unwrap();
    assert_near(output.loss / 20f64.exp(), 1.0);
    assert_eq!(output.grad_logprob, [0.0]);
}

/// Two tokens that the weights give e^-1 and e^-2; the second one's claim is the forged one.
fn with_claim(preset: Preset, claim: f32, gap: Option<f64>) -> LossOutput {
    let old = (preset == Preset::Decoupled).then_some(OldPolicy::Recomputed);
    let max_completion_tokens = (preset == Preset::DrGrpo).then_some(2);
    let config = LossConfig { behaviour_gap_max: gap, max_completion_tokens, old, ..LossConfig::new(preset) };
    let (logprob, behaviour) = ([-1.0, -2.0], [-1.0, claim]);
    let old = if preset == Preset::Decoupled { &logprob } else { &behaviour };
    Loss::new(&config)
        .unwrap()
        .evaluate(&LossInput {
            lengths: &[2],
            logprob: &logprob,
            old,
            behaviour: &behaviour,
            entropy: &[0.0, 0.0],
            advantage: &[-1.0],
            totals: Totals { sequences: 1, tokens: 2 },
        })
        .unwrap()
}

#[test]
fn one_forged_log_probability_owns_the_step_unless_the_gap_is_bounded() {
    // e^(19.9 - 2) = 6e7 against 1/2 for the honest token.
    let forged = with_claim(Preset::Grpo, -19.9, None);
    assert!(forged.grad_logprob[1] > 1e7, "{forged:?}");
    let held = with_claim(Preset::Grpo, -19.9, Some(5f64.ln()));
    assert_eq!(held.grad_logprob, [0.5, 0.0]);
}

#[test]
fn a_forged_log_probability_moves_no_preset_and_is_counted_as_masked() {
    let presets = [
        Preset::Grpo,
        Preset::Dapo,
        Preset::DrGrpo,
        Preset::GrpoPlus,
        Preset::Gspo,
        Preset::Cispo,
        Preset::Dppo,
        Preset::Decoupled,
    ];
    for preset in presets {
        for claim in [-19.9, -2.0 - 1.7, -2.0 + 1.7] {
            let output = with_claim(preset, claim, Some(5f64.ln()));
            assert_eq!(output.grad_logprob[1], 0.0, "{preset} {claim}");
            // The honest token counts for itself; in gspo, whose ratio is the sequence's, too.
            assert_near(output.grad_logprob[0], 0.5);
            let loss = Loss::new(&LossConfig::new(Preset::Grpo)).unwrap();
            assert_near(output.sums.metrics(&loss).masked_share, 0.5);
        }
        let honest = with_claim(preset, -2.0 - 1.5, Some(5f64.ln()));
        assert_eq!(honest.grad_logprob, with_claim(preset, -2.0 - 1.5, None).grad_logprob, "{preset}");
    }
}

#[test]
fn lists_that_do_not_fit_are_named() {
    let loss = Loss::new(&LossConfig::new(Preset::Grpo)).unwrap();
    let error = loss.evaluate(&LossInput {
        lengths: &[2],
        logprob: &[-1.0, -1.0],
        old: &[-1.0, -1.0],
        behaviour: &[-1.0],
        entropy: &[0.0, 0.0],
        advantage: &[1.0],
        totals: Totals { sequences: 1, tokens: 2 },
    });
    assert!(matches!(error, Err(TrainError::Length { what: "behaviour", expected: 2, given: 1 })));
}
