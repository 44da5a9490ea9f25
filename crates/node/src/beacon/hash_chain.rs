//! A hash chain as a beacon: this process knows all of it and opens one link per question.
//!
//! Promise: links are opened in order, each once, also across restarts, so that a run's points are a
//! function of its seed and of the order of its questions.
//! What it is not: anybody who knows the run's secret knows every point. It serves runs whose
//! parties are all of one house; strangers need a public beacon.

use proof::beacon::HashChain;
use protocol::{BeaconPoint, BeaconRound, BeaconTerms, Hash};

use super::{Beacon, BeaconError};

const SECRET_CONTEXT: &str = "essaim 2026 local beacon v1";
/// Shortest chain that is made: a small run can then be extended a great deal.
const ROUNDS_MIN: u64 = 1 << 16;
/// Longest chain that is made; a few seconds of hashing.
const ROUNDS_MAX: u64 = 1 << 26;

/// The chain and how far it is opened.
pub struct LocalChain {
    chain: HashChain,
    next: BeaconRound,
}

impl LocalChain {
    /// The public end of a chain with room for `rounds` points, and for as many again.
    pub(super) fn terms(secret: &Hash, rounds: u64) -> BeaconTerms {
        let length = rounds.saturating_mul(2).clamp(ROUNDS_MIN, ROUNDS_MAX);
        BeaconTerms::HashChain { anchor: chain(secret, length).anchor(), length }
    }

    /// The chain behind these terms, opened up to `used`. Errors: `OtherTerms` if the secret does not lead there.
    pub(super) fn open(
        secret: &Hash,
        anchor: &Hash,
        length: u64,
        used: Option<BeaconRound>,
    ) -> Result<Self, BeaconError> {
        let chain = chain(secret, length);
        match chain.anchor() == *anchor {
            true => Ok(Self { chain, next: used.unwrap_or(0) + 1 }),
            false => Err(BeaconError::OtherTerms),
        }
    }
}

fn chain(secret: &Hash, length: u64) -> HashChain {
    HashChain::new(&blake3::derive_key(SECRET_CONTEXT, secret), length)
}

impl Beacon for LocalChain {
    /// The next link, whatever the time: it has never left this process, and comes after all that have.
    fn later_than(&mut self, _asked_ms: u64, _after: BeaconRound) -> Result<BeaconPoint, BeaconError> {
        let point = self.chain.point(self.next)?;
        self.next += 1;
        Ok(point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_opened_again_goes_on_where_it_was() {
        let secret = [7; 32];
        let BeaconTerms::HashChain { anchor, length } = LocalChain::terms(&secret, 10) else {
            panic!("a hash chain has its own terms")
        };
        let mut whole = LocalChain::open(&secret, &anchor, length, None).unwrap();
        let points: Vec<BeaconPoint> = (0..4).map(|_| whole.later_than(0, 0).unwrap()).collect();
        assert_eq!(points.iter().map(|point| point.round).collect::<Vec<_>>(), [1, 2, 3, 4]);
        let mut again = LocalChain::open(&secret, &anchor, length, Some(2)).unwrap();
        assert_eq!([again.later_than(0, 0).unwrap(), again.later_than(0, 0).unwrap()], points[2..]);
    }

    #[test]
    fn another_secret_and_the_end_of_the_chain_are_named() {
        let BeaconTerms::HashChain { anchor, length } = LocalChain::terms(&[7; 32], 10) else {
            panic!("a hash chain has its own terms")
        };
        let other = LocalChain::open(&[8; 32], &anchor, length, None);
        assert!(matches!(other, Err(BeaconError::OtherTerms)));
        let mut spent = LocalChain::open(&[7; 32], &anchor, length, Some(length - 1)).unwrap();
        assert!(spent.later_than(0, 0).is_ok());
        assert!(matches!(
            spent.later_than(0, 0),
            Err(BeaconError::Proof(proof::beacon::BeaconError::NoSuchRound { .. }))
        ));
    }
}
