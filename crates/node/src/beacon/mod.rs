//! Where the randomness comes from that decides what is generated and what is checked.
//!
//! Promise: a point is one that nobody outside could know when it was asked for, and no point is
//! given for two questions by a source that belongs to this process.
//! Takes: the moment of the question. Gives: a point that anybody can check against the run's terms.
//! Never: makes a point up when its source fails; then the run stops and says why.

pub mod drand;
mod hash_chain;

use protocol::{BeaconPoint, BeaconRound, BeaconTerms, Hash};

use drand::{DrandSource, Patience};
pub use hash_chain::LocalChain;

/// What can go wrong with a source of randomness.
#[derive(Debug, thiserror::Error)]
pub enum BeaconError {
    /// The source and the terms that the run began with do not belong together.
    #[error("the beacon of this run file is not the one that the run began with")]
    OtherTerms,
    /// The drand network gave no point.
    #[error(transparent)]
    Drand(#[from] drand::DrandError),
    /// The source itself refuses, for example a chain that is used up.
    #[error(transparent)]
    Proof(#[from] proof::beacon::BeaconError),
}

/// A source of public randomness.
pub trait Beacon: Send {
    /// The first point whose randomness was not public at `asked_ms` (UTC milliseconds since 1970) and whose
    /// round comes after `after`, whatever this machine's clock says. May wait for it.
    fn later_than(&mut self, asked_ms: u64, after: BeaconRound) -> Result<BeaconPoint, BeaconError>;
}

/// Where the points of a run come from.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// A chain of the drand network by its name; without it the run has a hash chain of its own.
    pub drand_chain: Option<&'static str>,
    /// Relays of that network; those known for the chain where there are none.
    pub urls: &'a [String],
}

/// What a new run writes into its terms. `rounds` is how many points it may come to ask for.
///
/// Errors: as the source says.
pub fn terms(settings: Settings, secret: &Hash, rounds: u64) -> Result<BeaconTerms, BeaconError> {
    match drand_source(settings)? {
        Some(source) => Ok(source.terms()),
        None => Ok(LocalChain::terms(secret, rounds)),
    }
}

/// Opens the source that the run's terms name; `used` is the last round that the log has.
///
/// Errors: `OtherTerms`, and what the source says.
pub fn open(
    settings: Settings,
    terms: &BeaconTerms,
    secret: &Hash,
    used: Option<BeaconRound>,
) -> Result<Box<dyn Beacon>, BeaconError> {
    match (drand_source(settings)?, terms) {
        (None, BeaconTerms::HashChain { anchor, length }) => {
            Ok(Box::new(LocalChain::open(secret, anchor, *length, used)?))
        }
        (Some(source), BeaconTerms::Drand { chain }) if source.is_of(chain) => {
            Ok(Box::new(source.opened_up_to(used.unwrap_or(0))))
        }
        _ => Err(BeaconError::OtherTerms),
    }
}

fn drand_source(settings: Settings) -> Result<Option<DrandSource>, BeaconError> {
    let Settings { drand_chain, urls } = settings;
    Ok(drand_chain.map(|chain| DrandSource::new(chain, urls, Patience::default())).transpose()?)
}
