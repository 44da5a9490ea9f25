//! Verdicts that wait behind their seals, or have been opened and may be asked for again.
//!
//! Promise: what is held is bounded in bytes; the verdicts sealed longest ago go first, whatever their lease.

use std::collections::BTreeMap;

use protocol::{LeaseId, Record, VerdictReveal};

use crate::VerifyError;

/// Bytes of all verdicts held; one that is larger by itself is held alone.
pub(crate) const SEALED_BYTES_MAX: usize = 64 << 20;

/// The verdicts, by lease and by age.
#[derive(Default)]
pub(crate) struct Sealed {
    by_lease: BTreeMap<LeaseId, (u64, VerdictReveal, usize)>,
    /// Leases by when they were sealed.
    by_age: BTreeMap<u64, LeaseId>,
    count: u64,
    bytes: usize,
}

impl Sealed {
    /// The verdict on a lease.
    pub(crate) fn get(&self, lease: LeaseId) -> Option<&VerdictReveal> {
        self.by_lease.get(&lease).map(|(_, reveal, _)| reveal)
    }

    /// Holds a verdict in place of an earlier one on its lease, and lets go of the oldest beyond `bytes_max`.
    ///
    /// Errors: those of [`Record::encode`].
    pub(crate) fn hold(&mut self, reveal: VerdictReveal, bytes_max: usize) -> Result<(), VerifyError> {
        let lease = reveal.verdict.body.lease;
        let bytes = reveal.encode()?.len();
        self.drop_lease(lease);
        self.count += 1;
        self.bytes += bytes;
        self.by_age.insert(self.count, lease);
        self.by_lease.insert(lease, (self.count, reveal, bytes));
        while self.bytes > bytes_max && self.by_age.len() > 1 {
            let Some((_, &oldest)) = self.by_age.first_key_value() else { break };
            self.drop_lease(oldest);
        }
        Ok(())
    }

    fn drop_lease(&mut self, lease: LeaseId) {
        if let Some((age, _, bytes)) = self.by_lease.remove(&lease) {
            self.by_age.remove(&age);
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{BeaconPoint, Keypair, Outcome, Signed, Verdict};

    use super::*;

    fn reveal(lease: LeaseId) -> VerdictReveal {
        let (checked, draw) = (Vec::new(), BeaconPoint::NONE);
        let verdict = Verdict { lease, root: [1; 32], validator: 0, draw, tokens: 0, checked, outcome: Outcome::Valid };
        VerdictReveal { verdict: Signed::new(verdict, &[2; 32], &Keypair::from_seed(&[3; 32])).unwrap(), salt: [4; 32] }
    }

    #[test]
    fn the_verdict_sealed_longest_ago_goes_first_whatever_its_lease() {
        let mut sealed = Sealed::default();
        let room = 3 * reveal(9).encode().unwrap().len();
        // Sealed anew, 9 is young again; 1 has the lowest number and is the youngest.
        for lease in [9, 5, 7, 9, 1] {
            sealed.hold(reveal(lease), room).unwrap();
        }
        let held: Vec<LeaseId> = sealed.by_lease.keys().copied().collect();
        assert_eq!((held, sealed.bytes), (vec![1, 7, 9], room));
        sealed.hold(reveal(3), 0).unwrap();
        assert!(sealed.get(3).is_some() && sealed.by_lease.len() == 1);
    }
}
