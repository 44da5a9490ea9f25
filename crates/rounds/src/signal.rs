//! Whether there is anything to learn: watches how many of the latest groups had a signal.
//!
//! Promise: a run whose groups teach nothing is told so after [`SIGNAL_WARN_GROUPS`] of them and ends
//! after [`SIGNAL_LOST_GROUPS`]; one whose groups seldom teach anything is told so once.

use serde::{Deserialize, Serialize};

use crate::Notice;
use crate::constants::{SIGNAL_LOST_GROUPS, SIGNAL_SELDOM_GROUPS, SIGNAL_WARN_GROUPS};

/// The latest judged groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Signal {
    /// One bit per group, the newest lowest: whether the gate let it through.
    latest: u64,
    /// Groups judged so far.
    judged: u64,
    /// Sum over the groups in vain since the last useful one of their mean rewards.
    vain_reward_micro: i64,
    /// It was told that few groups have a signal.
    told: bool,
}

impl Signal {
    /// Takes in a group; gives what is to be told.
    pub(crate) fn judged(&mut self, useful: bool, reward_micro: i64) -> Option<Notice> {
        self.latest = self.latest << 1 | u64::from(useful);
        self.judged = self.judged.saturating_add(1);
        self.vain_reward_micro = if useful { 0 } else { self.vain_reward_micro.saturating_add(reward_micro) };
        let (vain, useful) = (self.vain(), self.latest.count_ones());
        if vain == SIGNAL_WARN_GROUPS {
            self.told = true;
            return Some(Notice::NoSignal { groups: vain, limit: SIGNAL_LOST_GROUPS, reward_micro: self.vain_mean() });
        }
        let seldom = self.judged >= u64::from(u64::BITS) && useful <= SIGNAL_SELDOM_GROUPS;
        let news = seldom && !self.told;
        self.told |= seldom;
        news.then_some(Notice::LittleSignal { useful, groups: u64::BITS })
    }

    /// Groups in vain since the last useful one, up to 64.
    pub(crate) fn vain(&self) -> u32 {
        let judged = u32::try_from(self.judged).unwrap_or(u32::MAX);
        self.latest.trailing_zeros().min(judged)
    }

    /// Mean reward of the groups in vain, 0 without any.
    pub(crate) fn vain_mean(&self) -> i64 {
        self.vain_reward_micro.checked_div(self.vain().into()).unwrap_or(0)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.vain() >= SIGNAL_LOST_GROUPS
    }

    /// A resumed run gets another chance.
    pub(crate) fn forgive(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_any_signal_is_warned_and_then_lost() {
        let mut signal = Signal::default();
        let told: Vec<_> = (1..=64).filter_map(|group| Some((group, signal.judged(false, 250_000)?))).collect();
        let notice = Notice::NoSignal { groups: 32, limit: 64, reward_micro: 250_000 };
        assert_eq!(told, [(32, notice)]);
        assert!(signal.is_lost());
        assert_eq!(signal.vain_mean(), 250_000);
        signal.judged(true, 0);
        assert!(!signal.is_lost());
    }

    #[test]
    fn seldom_signals_are_told_once() {
        let mut signal = Signal::default();
        let told: Vec<_> = (1..=200).filter_map(|group| Some((group, signal.judged(group % 16 == 0, 0)?))).collect();
        assert_eq!(told, [(64, Notice::LittleSignal { useful: 4, groups: 64 })]);
    }

    #[test]
    fn a_run_that_learns_is_told_nothing() {
        let mut signal = Signal::default();
        assert!((1..=200).all(|group| signal.judged(group % 4 == 0, 0).is_none()));
    }
}
