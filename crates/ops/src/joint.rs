//! Sums the gradients of a tensor that several operations read.
//!
//! Promise: each operation adds its share to the sum of those before it while it computes it, and the last one gives the
//! whole. Where gradients meet by themselves, Burn adds them in a pass of its own, on one thread.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// What the readers of one tensor have found of its gradient so far. Every one of them must matter to the loss.
#[derive(Clone, Debug)]
pub(crate) struct Joint(Arc<Mutex<Found>>);

#[derive(Debug)]
struct Found {
    missing: usize,
    /// A tensor of whatever backend it is.
    sum: Option<Box<dyn Any + Send>>,
}

impl Joint {
    /// For so many readers.
    pub(crate) fn of(readers: usize) -> Self {
        Self(Arc::new(Mutex::new(Found { missing: readers, sum: None })))
    }

    /// Takes in one reader's share, which `plus` adds to the sum of those before, if there are any; gives the sum of all to
    /// the last.
    pub(crate) fn add<F: Any + Send>(&self, plus: impl FnOnce(Option<F>) -> F) -> Option<F> {
        let found = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = found().sum.take();
        let sum = plus(before.map(|sum| *sum.downcast().expect("the readers of one tensor have one backend")));
        let mut found = found();
        found.missing -= 1;
        if found.missing == 0 {
            return Some(sum);
        }
        found.sum = Some(Box::new(sum));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_three_readers_has_the_sum_of_all() {
        let joint = Joint::of(3);
        let share = |share: u32| joint.add(|sum: Option<u32>| sum.unwrap_or(0) + share);
        assert_eq!([share(1), share(20), share(300)], [None, None, Some(321)]);
    }
}
