//! Chooses the next training item.
//!
//! Promise: tasks are drawn in exact proportion to their weights. Without a curriculum no item of a
//! task comes again before every other item of that task has come; with one, see
//! [`crate::curriculum`].
//! Takes: the shares, and what judged groups were worth. Gives: (task, item).
//! Never: draws a random number.

use protocol::{LeaseId, TaskIndex};
use serde::{Deserialize, Serialize};

use crate::constants::PPM;
use crate::curriculum::{Bounds, Finding, Levels};
use crate::{GroupSummary, LevelView, RoundsConfig, TaskShare};

/// Where the run stands in its tasks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sampler {
    cursors: Vec<Cursor>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// Credit of the smooth round-robin, in units of weight.
    credit: i64,
    /// Items drawn so far, repeats included.
    drawn: u64,
    /// With a curriculum: what is known of the items.
    levels: Option<Levels>,
}

impl Sampler {
    pub(crate) fn new(config: &RoundsConfig) -> Self {
        let levels = |share| config.curriculum.is_some().then(|| Levels::new(share));
        let cursor = |share| Cursor { credit: 0, drawn: 0, levels: levels(share) };
        Self { cursors: config.tasks.iter().map(cursor).collect() }
    }

    /// The task and item of the lease of this number.
    pub(crate) fn draw(&mut self, tasks: &[TaskShare], lease: LeaseId) -> (TaskIndex, u64) {
        let (index, cursor) = self.next_task(tasks);
        let share = &tasks[index as usize];
        let item = match &mut cursor.levels {
            None => share.items.map_or(cursor.drawn, |items| cursor.drawn % items),
            Some(levels) => levels.choose(share, lease),
        };
        cursor.drawn += 1;
        (index, item)
    }

    /// Smooth weighted round-robin (as in nginx): each task gains its weight as credit, the richest
    /// (the first among equals) is drawn and pays the sum of all weights. After `Σ weights` draws
    /// every credit is 0 again.
    fn next_task(&mut self, tasks: &[TaskShare]) -> (TaskIndex, &mut Cursor) {
        let total: i64 = tasks.iter().map(|task| i64::from(task.weight)).sum();
        for (cursor, task) in self.cursors.iter_mut().zip(tasks) {
            cursor.credit += i64::from(task.weight);
        }
        let ranked = self.cursors.iter_mut().enumerate().rev();
        let (index, cursor) = ranked.max_by_key(|(_, cursor)| cursor.credit).expect("a checked run has a task");
        cursor.credit -= total;
        (index as TaskIndex, cursor) // TASKS_MAX fits
    }

    /// A group was found valid, and the gate has judged it. `next` is the next lease's number.
    pub(crate) fn learn(&mut self, config: &RoundsConfig, group: &GroupSummary, useful: bool, next: LeaseId) {
        let Some(band) = config.curriculum else { return };
        let success_ppm = group.reward_mean_micro().clamp(0, PPM as i64) as u32; // clamped
        let (finding, bounds) = (Finding { success_ppm, useful }, Bounds::of(config, band));
        self.levels().for_each(|levels| levels.learn(group.lease, finding, bounds, next));
    }

    /// A lease ended, judged or not.
    pub(crate) fn ended(&mut self, config: &RoundsConfig, lease: LeaseId, next: LeaseId) {
        self.levels().for_each(|levels| levels.put_back(lease, next, Bounds::kept_max(config)));
    }

    /// No lease is out any more.
    pub(crate) fn all_ended(&mut self, config: &RoundsConfig, next: LeaseId) {
        for levels in self.levels() {
            let left: Vec<LeaseId> = levels.out().collect();
            left.into_iter().for_each(|lease| levels.put_back(lease, next, Bounds::kept_max(config)));
        }
    }

    fn levels(&mut self) -> impl Iterator<Item = &mut Levels> {
        self.cursors.iter_mut().filter_map(|cursor| cursor.levels.as_mut())
    }

    /// What the score of the untrained weights says of a level.
    pub(crate) fn expect(&mut self, task: TaskIndex, level: u32, reward_micro: i64, samples: u32) {
        let levels = self.cursors.get_mut(task as usize).and_then(|cursor| cursor.levels.as_mut());
        if let Some(levels) = levels {
            levels.expect(level, reward_micro.clamp(0, PPM as i64) as u32, samples); // clamped
        }
    }

    /// Every level of every task that has a curriculum.
    pub(crate) fn view(&self) -> Vec<LevelView> {
        let levels = self.cursors.iter().enumerate();
        levels.filter_map(|(task, cursor)| Some(cursor.levels.as_ref()?.view(task as u32))).flatten().collect()
    }

    /// Leases that are not judged yet, with a curriculum.
    pub(crate) fn open(&self) -> impl Iterator<Item = LeaseId> + '_ {
        self.cursors.iter().filter_map(|cursor| cursor.levels.as_ref()).flat_map(Levels::out)
    }

    /// Whether a stored state fits the configuration after so many leases.
    pub(crate) fn is_sound(&self, config: &RoundsConfig, leases: u64) -> bool {
        let kept_max = Bounds::kept_max(config);
        let sound = |(cursor, share): (&Cursor, &TaskShare)| match &cursor.levels {
            None => config.curriculum.is_none(),
            Some(levels) => config.curriculum.is_some() && levels.is_sound(share, leases, kept_max),
        };
        self.cursors.len() == config.tasks.len() && self.cursors.iter().zip(&config.tasks).all(sound)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn share(weight: u32, items: Option<u64>) -> TaskShare {
        TaskShare { weight, items: items.and_then(NonZeroU64::new), levels: 1 }
    }

    fn plain(tasks: &[TaskShare]) -> Sampler {
        let cursor = |_| Cursor { credit: 0, drawn: 0, levels: None };
        Sampler { cursors: tasks.iter().map(cursor).collect() }
    }

    #[test]
    fn weights_are_met_exactly_and_spread_out() {
        // By hand, weights 3 and 1: credits (3,1) draw 0; (2,2) draw 0; (1,3) draw 1; (4,0) draw 0.
        let tasks = [share(3, None), share(1, None)];
        let mut sampler = plain(&tasks);
        let drawn: Vec<u32> = (0..8).map(|lease| sampler.draw(&tasks, lease).0).collect();
        assert_eq!(drawn, [0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn items_repeat_only_after_all_have_come() {
        let tasks = [share(1, Some(3)), share(1, None)];
        let mut sampler = plain(&tasks);
        let drawn: Vec<(u32, u64)> = (0..8).map(|lease| sampler.draw(&tasks, lease)).collect();
        let of = |task| drawn.iter().filter(move |draw| draw.0 == task).map(|draw| draw.1);
        assert_eq!(of(0).collect::<Vec<_>>(), [0, 1, 2, 0]);
        assert_eq!(of(1).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
