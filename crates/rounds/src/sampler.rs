//! Chooses the next training item.
//!
//! Promise: tasks are drawn in exact proportion to their weights, and no item of a task comes again
//! before every other item of that task has come.
//! Takes: the shares. Gives: (task, item). Never: draws a random number.

use protocol::TaskIndex;
use serde::{Deserialize, Serialize};

use crate::TaskShare;

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
}

impl Sampler {
    pub(crate) fn new(tasks: &[TaskShare]) -> Self {
        Self { cursors: vec![Cursor { credit: 0, drawn: 0 }; tasks.len()] }
    }

    pub(crate) fn tasks(&self) -> usize {
        self.cursors.len()
    }

    /// Smooth weighted round-robin (as in nginx): each task gains its weight as credit, the richest
    /// (the first among equals) is drawn and pays the sum of all weights. After `Σ weights` draws
    /// every credit is 0 again. The item is `drawn mod items`.
    pub(crate) fn draw(&mut self, tasks: &[TaskShare]) -> (TaskIndex, u64) {
        let total: i64 = tasks.iter().map(|task| i64::from(task.weight)).sum();
        for (cursor, task) in self.cursors.iter_mut().zip(tasks) {
            cursor.credit += i64::from(task.weight);
        }
        let ranked = self.cursors.iter_mut().enumerate().rev();
        let (index, cursor) = ranked.max_by_key(|(_, cursor)| cursor.credit).expect("a checked run has a task");
        cursor.credit -= total;
        let item = tasks[index].items.map_or(cursor.drawn, |items| cursor.drawn % items);
        cursor.drawn += 1;
        (index as TaskIndex, item) // TASKS_MAX fits
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn share(weight: u32, items: Option<u64>) -> TaskShare {
        TaskShare { weight, items: items.and_then(NonZeroU64::new) }
    }

    #[test]
    fn weights_are_met_exactly_and_spread_out() {
        // By hand, weights 3 and 1: credits (3,1) draw 0; (2,2) draw 0; (1,3) draw 1; (4,0) draw 0.
        let tasks = [share(3, None), share(1, None)];
        let mut sampler = Sampler::new(&tasks);
        let drawn: Vec<u32> = (0..8).map(|_| sampler.draw(&tasks).0).collect();
        assert_eq!(drawn, [0, 0, 1, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn items_repeat_only_after_all_have_come() {
        let tasks = [share(1, Some(3)), share(1, None)];
        let mut sampler = Sampler::new(&tasks);
        let drawn: Vec<(u32, u64)> = (0..8).map(|_| sampler.draw(&tasks)).collect();
        let of = |task| drawn.iter().filter(move |draw| draw.0 == task).map(|draw| draw.1);
        assert_eq!(of(0).collect::<Vec<_>>(), [0, 1, 2, 0]);
        assert_eq!(of(1).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }
}
