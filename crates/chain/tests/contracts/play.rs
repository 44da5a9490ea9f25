//! Plays random histories and counts what they did.

use std::cell::RefCell;
use std::collections::BTreeMap;

use alloy_primitives::hex;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use super::evm::{Done, Failed};

/// Histories to which the floors of a campaign refer.
pub(crate) const FLOOR_CASES: u32 = 300;

/// Error of a step that did not go as the model says.
pub(crate) type Played<T = ()> = Result<T, TestCaseError>;

/// What the model expects of a call: nothing, or a custom error's selector.
pub(crate) type Expected = Result<(), [u8; 4]>;

/// Which history to play next. All that is open in it is settled by the state at hand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// What is done; each campaign has its own weights.
    pub(crate) act: usize,
    /// Who does it.
    pub(crate) who: usize,
    /// To whom, or which.
    pub(crate) other: usize,
    /// How much, in millionths of what there is; a tenth of all steps ask for more than there is.
    pub(crate) ppm: u64,
    /// One of the ways to do it.
    pub(crate) way: u8,
}

/// Histories of `length` steps in which act `i` comes with `weights[i]`.
pub(crate) fn histories(weights: &'static [u32], length: usize) -> impl Strategy<Value = Vec<Step>> {
    let total: u32 = weights.iter().sum();
    let act = (0..total).prop_map(|mut drawn| {
        weights
            .iter()
            .position(|&weight| {
                weight > drawn || {
                    drawn -= weight;
                    false
                }
            })
            .expect("drawn is below the sum")
    });
    let step = (act, 0usize..4, 0usize..64, 0u64..1_111_111, any::<u8>());
    let step = step.prop_map(|(act, who, other, ppm, way)| Step { act, who, other, ppm, way });
    proptest::collection::vec(step, length)
}

/// Per act, how often it worked and how often it was refused.
#[derive(Default)]
pub(crate) struct Tally(RefCell<BTreeMap<&'static str, [u32; 2]>>);

impl Tally {
    /// Counts a call and holds it to what the model expects.
    pub(crate) fn hold(
        &self,
        act: &'static str,
        got: Result<Done, Failed>,
        expected: Expected,
    ) -> Played<Option<Done>> {
        self.0.borrow_mut().entry(act).or_default()[usize::from(expected.is_err())] += 1;
        match (got, expected) {
            (Ok(done), Ok(())) => Ok(Some(done)),
            (Err(failed), Err(selector)) if failed.selector() == selector => Ok(None),
            (Ok(_), Err(selector)) => Err(wrong(act, "worked", &format!("error {}", hex::encode(selector)))),
            (Err(failed), Ok(())) => Err(wrong(act, &format!("failed with {}", failed.0), "success")),
            (Err(failed), Err(selector)) => {
                Err(wrong(act, &format!("failed with {}", failed.0), &format!("error {}", hex::encode(selector))))
            }
        }
    }

    /// Fails if an act was missing, or worked or was refused less often than its floor says.
    pub(crate) fn hold_floors(&self, cases: u32, floors: &[(&'static str, u32, u32)]) {
        let counts = self.0.borrow();
        for (act, [worked, refused]) in counts.iter() {
            println!("{act:<14} {worked:>7} worked {refused:>7} refused in {cases} histories");
            assert!(floors.iter().any(|(name, ..)| name == act), "{act} has no floor");
        }
        for &(act, worked, refused) in floors {
            let [got_worked, got_refused] = counts.get(act).copied().unwrap_or_default();
            let [worked, refused] = [worked, refused].map(|floor| floor * cases / FLOOR_CASES);
            assert!(got_worked >= worked && got_refused >= refused, "{act}: the floors are {worked} and {refused}");
        }
    }
}

fn wrong(act: &str, got: &str, expected: &str) -> TestCaseError {
    TestCaseError::fail(format!("{act} {got}; the model says {expected}"))
}

/// Plays `cases` histories (or PROPTEST_CASES), always the same ones, and gives the shortest that fails.
pub(crate) fn campaign<S: Strategy>(
    cases: u32,
    shrinks: u32,
    histories: S,
    play: impl Fn(S::Value) -> Played,
) -> Result<u32, TestError<S::Value>> {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|given| given.parse().ok()).unwrap_or(cases);
    let config = Config { cases, max_shrink_iters: shrinks, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&histories, play).map(|()| cases)
}
