//! Weights that somebody may still need, by version.
//!
//! Promise: weights are held from the moment the trainer has made them until no lease, check or
//! evaluation can name their version any more.
//! Never: decides who needs them; it is told the oldest version that is needed.

use std::collections::BTreeMap;

use model::ModelSnapshot;
use protocol::WeightVersion;

/// Weights by version; cheap to clone out.
pub struct Versions<W = ModelSnapshot> {
    held: BTreeMap<WeightVersion, W>,
}

impl<W: Clone> Versions<W> {
    /// Begins with one version.
    pub fn new(version: WeightVersion, weights: W) -> Self {
        Self { held: BTreeMap::from([(version, weights)]) }
    }

    /// Takes weights in.
    pub fn keep(&mut self, version: WeightVersion, weights: W) {
        self.held.insert(version, weights);
    }

    /// The weights of a version, if they are still here.
    pub fn get(&self, version: WeightVersion) -> Option<W> {
        self.held.get(&version).cloned()
    }

    /// All that is held up to a version, oldest first.
    pub fn up_to(&self, newest: WeightVersion) -> impl Iterator<Item = (WeightVersion, W)> + '_ {
        self.held.range(..=newest).map(|(version, weights)| (*version, weights.clone()))
    }

    /// Lets go of everything older.
    pub fn forget_before(&mut self, oldest: WeightVersion) {
        self.held = self.held.split_off(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_published_late_can_still_be_scored() {
        // The trainer is two steps further before version 1 is published and its evaluation asked for.
        let mut versions = Versions::new(0, "zero");
        for (version, weights) in [(1, "one"), (2, "two"), (3, "three")] {
            versions.keep(version, weights);
        }
        assert_eq!(versions.get(1), Some("one"));
        versions.forget_before(2);
        assert_eq!(versions.get(1), None);
        assert_eq!(versions.up_to(2).collect::<Vec<_>>(), [(2, "two")]);
    }
}
