//! What is to be deployed, and for whom.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::units::ONE_ESM;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;

/// How long each step may take, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// Between scheduling an administrative act and carrying it out.
    pub timelock_s: u64,
    /// Between asking to leave and withdrawing; above `detection_s + slash_s`.
    pub cooldown_s: u64,
    /// In which a lie is found.
    pub detection_s: u64,
    /// Between reserving stake and taking it.
    pub slash_s: u64,
    /// In which a posted root can be challenged.
    pub dispute_s: u64,
    /// Longest time by which challenges can put off a root.
    pub hold_s: u64,
    /// For the accused to answer.
    pub answer_s: u64,
    /// For the committee to rule.
    pub ruling_s: u64,
    /// For the convicted to appeal; at least `slash_s`.
    pub appeal_s: u64,
    /// For the timelock to rule on an appeal; longer than `timelock_s`.
    pub appeal_ruling_s: u64,
    /// For the committee to rule on a root.
    pub root_ruling_s: u64,
    /// Between the budgets of two epochs, at least.
    pub epoch_s: u64,
}

impl Windows {
    /// For trying things out: a whole case takes less than a minute.
    pub const DEVELOPMENT: Self = Self {
        timelock_s: 2,
        cooldown_s: 60,
        detection_s: 30,
        slash_s: 10,
        dispute_s: 10,
        hold_s: 30,
        answer_s: 5,
        ruling_s: 20,
        appeal_s: 10,
        appeal_ruling_s: 20,
        root_ruling_s: 20,
        epoch_s: 1,
    };
    /// For chains where the money is worth something.
    pub const LIVE: Self = Self {
        timelock_s: 2 * DAY_S,
        cooldown_s: 14 * DAY_S,
        detection_s: 7 * DAY_S,
        slash_s: 3 * DAY_S,
        dispute_s: DAY_S,
        hold_s: 4 * DAY_S,
        answer_s: DAY_S,
        ruling_s: 3 * DAY_S,
        appeal_s: 3 * DAY_S,
        appeal_ruling_s: 7 * DAY_S,
        root_ruling_s: 3 * DAY_S,
        epoch_s: HOUR_S,
    };
}

/// Who may do what. No account may appear twice among guardian, poster and council.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parties {
    /// Schedule administrative acts; anybody carries them out when they are due.
    pub council: Vec<Address>,
    /// May pause and cancel, nothing else.
    pub guardian: Address,
    /// Posts epoch roots.
    pub poster: Address,
    /// Rule on cases.
    pub committee: Vec<Address>,
    /// How many of the committee must sign: more than half.
    pub threshold: u16,
    /// Receives the first tokens, to hand them out.
    pub genesis_holder: Address,
}

/// What is to be deployed. Amounts in micro-ESM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployPlan {
    /// Who may do what.
    pub parties: Parties,
    /// How long each step may take.
    pub windows: Windows,
    /// All ESM that can ever be.
    pub cap: u64,
    /// ESM that there are at the start.
    pub genesis: u64,
    /// Budget of the first epochs.
    pub budget_first: u64,
    /// Epochs after which the budget is halved.
    pub halving_epochs: u64,
    /// Share of taken stake for who accused, in millionths; at most [`ledger::BOUNTY_PPM`].
    pub bounty_ppm: u32,
    /// Smallest bond of an accusation.
    pub bond_least: u64,
    /// Bond of an accusation as a share of the stake at risk, in millionths.
    pub bond_ppm: u32,
    /// Bond of challenging a root.
    pub bond_root: u64,
}

impl DeployPlan {
    /// A plan with short windows, for chains whose money is worth nothing.
    pub fn development(parties: Parties, genesis: u64, budget_first: u64, halving_epochs: u64) -> Self {
        Self::new(parties, Windows::DEVELOPMENT, genesis, budget_first, halving_epochs)
    }

    /// A plan with windows in which people can look and object.
    pub fn live(parties: Parties, genesis: u64, budget_first: u64, halving_epochs: u64) -> Self {
        Self::new(parties, Windows::LIVE, genesis, budget_first, halving_epochs)
    }

    /// The cap is what the schedule can ever mint, and the genesis.
    fn new(parties: Parties, windows: Windows, genesis: u64, budget_first: u64, halving_epochs: u64) -> Self {
        let minted = (0..u64::BITS).map(|halvings| (budget_first >> halvings).saturating_mul(halving_epochs));
        let cap = minted.fold(genesis, u64::saturating_add);
        Self {
            parties,
            windows,
            cap,
            genesis,
            budget_first,
            halving_epochs,
            bounty_ppm: ledger::BOUNTY_PPM,
            bond_least: ONE_ESM,
            bond_ppm: 100_000,
            bond_root: 10 * ONE_ESM,
        }
    }
}
