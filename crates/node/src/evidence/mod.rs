//! A stored group and everything that is needed to check it again, away from the run.
//!
//! Promise: what is checked is what was handed in and signed, byte for byte, by the validator's own
//! code; a finding is explained in words and numbers. Weights count only if their hash is the one that
//! the lease names.
//! Takes: a run folder and a lease, or a file made from them. Gives: a verdict and its explanation.
//! Never: writes into the run folder, opens the network, or asks the run.

mod from_run;
mod reach;
mod recheck;
mod stored;
mod weights;
mod words;

pub use from_run::{Dropped, NotStored, take_out};
pub use reach::{Reach, ReachError};
pub use recheck::{Recheck, recheck};
pub use stored::{FILE_BYTES_MAX, StoredError, StoredGroup};
pub use weights::{Place, Seen};
pub use words::{Explained, Measure, Recorded, SampleSeen, explain};
