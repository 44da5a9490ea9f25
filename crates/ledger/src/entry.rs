//! What happened, one fact an entry.
//!
//! Promise: an entry holds all that is needed to judge it: signed records in full, and for a closed epoch the
//! numbers that must follow from the entries before.

use protocol::{Check, Commitment, Hash, LeaseId, Party, Signed, StepNumber, ValidatorId, Verdict};
use serde::{Deserialize, Serialize};

use crate::{Amount, LedgerTerms, hex};

/// One fact. In the log, `what` names the variant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum Entry {
    /// The terms. The first entry, and no other.
    Opened(Box<LedgerTerms>),
    /// A party's stake was seen on the chain; it counts as that until the next such entry. A run looks once, when
    /// it begins.
    StakeSeen {
        /// Whose.
        party: Party,
        /// Active stake in the vault: what is not leaving. A slash that is open there has not lowered it.
        stake: Amount,
        /// The block at which it was seen.
        block: u64,
    },
    /// A group was accepted: its worker is paid for its tokens, its validators for their checks.
    Accepted {
        /// The worker's word that this root is its answer.
        #[serde(with = "hex::record")]
        commitment: Signed<Commitment>,
        /// All verdicts on it.
        #[serde(with = "hex::records")]
        verdicts: Vec<Signed<Verdict>>,
    },
    /// A liar was caught. From then on it is paid nothing, nor for the epoch that is open.
    Fined {
        /// Who lied.
        party: Party,
        /// The check that it failed.
        check: Check,
        /// The lease that the lie is about, if there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lease: Option<LeaseId>,
        /// A worker's own word on that lease, which ties it to the root that the verdicts judge; with verdicts
        /// against a worker it must be there.
        #[serde(default, skip_serializing_if = "Option::is_none", with = "hex::maybe_record")]
        commitment: Option<Signed<Commitment>>,
        /// The verdicts that show it; none if the orchestrator saw it itself, in bytes that it was sent.
        #[serde(with = "hex::records")]
        verdicts: Vec<Signed<Verdict>>,
    },
    /// A validator was shown a planted lie and has answered.
    PlantAnswered {
        /// Number of the plant.
        plant: u64,
        /// Who.
        validator: ValidatorId,
        /// Whether it found the lie.
        caught: bool,
    },
    /// The weights moved by one step.
    Trained {
        /// Number of the step; the first is 1.
        step: StepNumber,
    },
    /// The epoch that is open ends here, and pays.
    EpochClosed {
        /// Number of the epoch; the first is 0.
        epoch: u64,
        /// What it pays, to the last unit.
        budget: Amount,
        /// Merkle root over what every account has earned since the run began.
        #[serde(with = "hex::array")]
        root: Hash,
        /// The sum of that.
        lifetime_total: Amount,
        /// How many accounts have earned anything since the run began.
        payees: u64,
    },
    /// An epoch's root is on the chain.
    Posted {
        /// Number of the epoch.
        epoch: u64,
        /// The block that holds it.
        block: u64,
        /// Hash of the transaction.
        #[serde(with = "hex::array")]
        transaction: Hash,
    },
    /// Stake was taken on the chain from a party that was fined.
    Slashed {
        /// Whose.
        party: Party,
        /// How much.
        amount: Amount,
        /// The block in which it was taken.
        block: u64,
    },
}
