//! What a party may do instead of being honest.
//!
//! Promise: each strategy is as profitable as its idea allows: whoever saves work makes that much more of
//! it, rings are as large as a minority can be, and whoever is slashed was accused by a friend, who gets the
//! bounty.

use protocol::Check;

/// A way to take part. The first is the one that the others are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Strategy {
    /// Work as leased, check as asked.
    Honest,
    /// Weights in 8 bits, always.
    Int8,
    /// Weights in 4 bits, always.
    Int4,
    /// Two draws of each answer, the better one handed in.
    BestOfTwo,
    /// Weights in 8 bits draw the tokens, the true model proves them.
    CheapInt8,
    /// Weights in 4 bits draw the tokens, the true model proves them.
    CheapInt4,
    /// Honest as long as everything is recomputed, then weights in 8 bits.
    Patient,
    /// Honest as long as everything is recomputed, then one false rollout in each group.
    OneInAGroup,
    /// Rewards of one's own.
    FakeReward,
    /// The same answer handed in again and again.
    Copies,
    /// Takes leases and does not answer.
    Withholds,
    /// The lie that is hardest to find, and a fresh identity after each fine.
    FreshIdentities,
    /// Honest work under four names.
    FourNames,
    /// Calls everything valid without a look.
    Lazy,
    /// Calls every other group valid without a look.
    HalfLazy,
    /// Finds each group a little off the limit, without a look, for which nobody is fined.
    Doubter,
    /// Accuses honest workers.
    Accuser,
    /// A worker with weights in 8 bits and a validator that covers it.
    Pair,
    /// The same with as many validators as are still fewer than the others.
    Ring,
    /// Half of the workers, and a ring of validators that doubts the work of the other half.
    Slander,
    /// A ring of validators, and workers that lie to be found out by them, one after the other.
    FaultFarm,
    /// More than half of the validators cover a worker. Beyond the promise.
    Majority,
    /// Does not look at the groups of a worker that tells it which of them are plants. Beyond the promise.
    PlantKnower,
}

/// How much of a group lies, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Every rollout of every group.
    Always,
    /// Every rollout after the groups that are recomputed whole.
    Later,
    /// One rollout of each group after those.
    OneLater,
}

/// A lie of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lie {
    pub(super) when: When,
    /// What finds it.
    pub(super) check: Check,
    /// Answers found out, of answers recomputed, as measured. None: seen in every group, without the model.
    pub(super) caught_of: Option<(u64, u64)>,
    /// What the work costs, of honest work.
    pub(super) cost_ppm: u64,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WorkerWay {
    Honest,
    Lies(Lie),
    Withholds,
}

/// What a validator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValidatorWay {
    Honest,
    /// Calls so much of what it is asked about valid without a look, in millionths.
    Lazy {
        share_ppm: u32,
    },
    /// Doubts everything, or only what its friends did not make.
    Doubts {
        spares_friends: bool,
    },
    /// Accuses all workers but its friends.
    Accuses,
    /// Calls valid what its friends made.
    Covers,
}

/// The parties that act as one, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cast {
    /// The first so many workers.
    pub(super) workers: u32,
    /// Identities that take the place of a worker that was fined.
    pub(super) reserve: u32,
    pub(super) worker: WorkerWay,
    /// Into how many names one worker's machines are split.
    pub(super) names: u32,
    /// The first so many validators.
    pub(super) validators: u32,
    pub(super) validator: ValidatorWay,
}

/// Fresh identities of one party at most: each brings a stake.
const RESERVE: u32 = 32;

/// Answers of int8 weights: all caught of 2,048. The other numbers likewise are of `docs/verification.md`.
const INT8: Lie = lie(Check::Fingerprint, Some((2_048, 2_048)), 500_000);
const INT4: Lie = lie(Check::Fingerprint, Some((2_048, 2_048)), 250_000);
const BEST_OF_TWO: Lie = lie(Check::TokenMargin, Some((997, 2_048)), 2_000_000);
/// The true model runs over all tokens for the proofs: 0.05 of the cost of generating where that is
/// cheapest beside it (batch 1).
const CHEAP_INT8: Lie = lie(Check::TokenMargin, Some((8, 2_048)), 550_000);
const CHEAP_INT4: Lie = lie(Check::TokenMargin, Some((190, 2_048)), 300_000);
const FAKE_REWARD: Lie = lie(Check::Reward, None, 1_000_000);
const COPIES: Lie = lie(Check::Duplicate, None, 100_000);
/// The lie with the smallest fine that a validator can find.
const CHEAPEST: Lie = lie(Check::SamplesMissing, None, 100_000);

const fn lie(check: Check, caught_of: Option<(u64, u64)>, cost_ppm: u64) -> Lie {
    Lie { when: When::Always, check, caught_of, cost_ppm }
}

impl Strategy {
    /// Those that must not pay: all but the first are compared with it.
    pub const WITHIN: [Self; 21] = [
        Self::Honest,
        Self::Int8,
        Self::Int4,
        Self::BestOfTwo,
        Self::CheapInt8,
        Self::CheapInt4,
        Self::Patient,
        Self::OneInAGroup,
        Self::FakeReward,
        Self::Copies,
        Self::Withholds,
        Self::FreshIdentities,
        Self::FourNames,
        Self::Lazy,
        Self::HalfLazy,
        Self::Doubter,
        Self::Accuser,
        Self::Pair,
        Self::Ring,
        Self::Slander,
        Self::FaultFarm,
    ];

    /// Those that no preset deters; they are shown so that nobody thinks otherwise.
    pub const BEYOND: [Self; 2] = [Self::Majority, Self::PlantKnower];

    /// The word in tables and files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.card().0
    }

    /// What the party does, in a line.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        self.card().1
    }

    const fn card(self) -> (&'static str, &'static str) {
        match self {
            Self::Honest => ("honest", "works as leased, checks as asked"),
            Self::Int8 => ("int8", "weights in 8 bits, twice the groups"),
            Self::Int4 => ("int4", "weights in 4 bits, four times the groups"),
            Self::BestOfTwo => ("best_of_two", "draws twice and hands in the better answer"),
            Self::CheapInt8 => ("cheap_int8", "8 bits draw the tokens, the true model proves them"),
            Self::CheapInt4 => ("cheap_int4", "4 bits draw the tokens, the true model proves them"),
            Self::Patient => ("patient", "honest on probation, then weights in 8 bits"),
            Self::OneInAGroup => ("one_in_a_group", "honest on probation, then one false rollout in each group"),
            Self::FakeReward => ("fake_reward", "claims rewards of its own"),
            Self::Copies => ("copies", "hands in the same answers ten times as fast"),
            Self::Withholds => ("withholds", "takes leases and does not answer"),
            Self::FreshIdentities => ("fresh_identities", "as cheap_int8, with a new identity after each fine"),
            Self::FourNames => ("four_names", "honest work under four names"),
            Self::Lazy => ("lazy", "a validator that calls all valid without a look"),
            Self::HalfLazy => ("half_lazy", "a validator that looks at every other group"),
            Self::Doubter => ("doubter", "a validator that doubts all without a look, which is never fined"),
            Self::Accuser => ("accuser", "a validator that accuses honest workers"),
            Self::Pair => ("pair", "a worker with 8 bits and a validator that covers it"),
            Self::Ring => ("ring", "the same with the largest minority of the validators"),
            Self::Slander => ("slander", "half the workers, and a ring of validators that doubts the other half"),
            Self::FaultFarm => ("fault_farm", "workers that lie to be found by a ring of validators"),
            Self::Majority => ("majority", "more than half of the validators cover a worker"),
            Self::PlantKnower => {
                ("plant_knower", "a validator that skips an honest worker's groups but the plants it tells it of")
            }
        }
    }

    /// Who acts so among so many validators.
    pub(super) fn cast(self, workers: u32, validators: u32) -> Cast {
        let ring = validators.saturating_sub(1) / 2;
        let honest = Cast {
            workers: 0,
            reserve: 0,
            worker: WorkerWay::Honest,
            names: 1,
            validators: 0,
            validator: ValidatorWay::Honest,
        };
        let worker = |lie| Cast { workers: 1, worker: WorkerWay::Lies(lie), ..honest };
        let validator = |way| Cast { validators: 1, validator: way, ..honest };
        let lazy = |share_ppm| ValidatorWay::Lazy { share_ppm };
        let covered = |validators| Cast { validators, validator: ValidatorWay::Covers, ..worker(INT8) };
        match self {
            Self::Honest => honest,
            Self::Int8 => worker(INT8),
            Self::Int4 => worker(INT4),
            Self::BestOfTwo => worker(BEST_OF_TWO),
            Self::CheapInt8 => worker(CHEAP_INT8),
            Self::CheapInt4 => worker(CHEAP_INT4),
            Self::Patient => worker(Lie { when: When::Later, ..INT8 }),
            Self::OneInAGroup => worker(Lie { when: When::OneLater, cost_ppm: 970_000, ..INT8 }),
            Self::FakeReward => worker(FAKE_REWARD),
            Self::Copies => worker(COPIES),
            Self::Withholds => Cast { workers: 1, worker: WorkerWay::Withholds, ..honest },
            Self::FreshIdentities => Cast { reserve: RESERVE, ..worker(CHEAP_INT8) },
            Self::FourNames => Cast { workers: 1, names: 4, ..honest },
            Self::Lazy => validator(lazy(1_000_000)),
            Self::HalfLazy => validator(lazy(500_000)),
            Self::Doubter => validator(ValidatorWay::Doubts { spares_friends: false }),
            Self::Accuser => validator(ValidatorWay::Accuses),
            Self::Pair => covered(ring.min(1)),
            Self::Ring => covered(ring),
            Self::Slander => Cast {
                workers: workers / 2,
                validators: ring,
                validator: ValidatorWay::Doubts { spares_friends: true },
                ..honest
            },
            Self::FaultFarm => Cast { reserve: RESERVE, validators: ring.max(1), ..worker(CHEAPEST) },
            Self::Majority => covered(validators / 2 + 1),
            Self::PlantKnower => Cast { workers: 1, validators: 1, validator: ValidatorWay::Covers, ..honest },
        }
    }
}
