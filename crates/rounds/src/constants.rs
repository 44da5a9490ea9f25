//! The bounds that keep every queue, wait and loop of a run finite.
//!
//! Promise: no rule loops or queues without one of these, and none can be overridden.

/// First byte of a saved state. Bump it when the state's layout or meaning changes.
pub const STATE_FORMAT: u8 = 4;

/// Most bytes of a saved state, 256 MiB.
pub const STATE_BYTES_MAX: usize = 256 << 20;

/// Most groups in a batch.
pub const GROUPS_PER_STEP_MAX: u64 = 65_536;

/// Most groups that may be leased and not yet back.
pub const GROUPS_IN_FLIGHT_MAX: u64 = 65_536;

/// Largest staleness bound a run may choose.
pub const STALENESS_MAX: u64 = 256;

/// Most tasks in one run.
pub const TASKS_MAX: u64 = 1_024;

/// Most samples of one item in an eval: binomials of 64 stay far inside 128 bits.
pub const EVAL_SAMPLES_MAX: u64 = 64;

/// Evals that may run at once. An interval eval beyond this is skipped and reported; the one at
/// the end never is.
pub const EVALS_RUNNING_MAX: usize = 4;

/// How often the missing groups of one batch are leased anew. After this, the batch is taken
/// smaller. In async mode the same number of groups, `REFILL_WAVES_MAX · prompts_per_step`, may come
/// back in vain per batch. Leases that failed or were overdue count only while every worker rests.
pub const REFILL_WAVES_MAX: u32 = 4;

/// Consecutive batches without a single usable group after which the run stops (prime-rl's ten).
pub const EMPTY_BATCHES_MAX: u32 = 10;

/// Groups judged in a row without a signal after which people are told what to do about it.
pub const SIGNAL_WARN_GROUPS: u32 = 32;

/// Groups judged in a row without a signal after which the run ends. If one group in twenty had a
/// signal, so many in a row without would come once in 27 (0.95^64).
pub const SIGNAL_LOST_GROUPS: u32 = 64;

/// Of the latest 64 groups, the most with a signal for people to be told that these are few.
pub const SIGNAL_SELDOM_GROUPS: u32 = 8;

/// Most levels of one task.
pub const LEVELS_MAX: u64 = 64;

/// Most items that the curriculum keeps, shared evenly among the tasks: some 100 KiB of a saved
/// state. What is forgotten counts as unseen.
pub const ITEMS_KEPT_MAX: u64 = 4_096;

/// One lease in about so many goes to pools regardless of what they have taught, evenly.
pub const EXPLORE_ONE_IN: u64 = 8;

/// Groups over which a pool's and a level's estimate forgets: each counts one part in so many.
pub const POOL_MEMORY: i64 = 16;

/// The same for an item.
pub const ITEM_MEMORY: i64 = 2;

/// Least share of groups with a signal that a pool is expected to have before any is judged: a
/// score takes the most likely answer, and sampling finds others.
pub const PRIOR_USEFUL_MIN_PPM: u32 = 100_000;

/// How often the interval between two tests of an easy or hard item may double.
pub const RETEST_DOUBLINGS_MAX: u32 = 6;

/// Most trainer steps of a run.
pub const STEPS_MAX: u64 = u32::MAX as u64;

/// Most workers in one run.
pub const WORKERS_MAX: u64 = 4_096;

/// Most validators in one run.
pub const VALIDATORS_MAX: u64 = 1_024;

/// A whole share in millionths.
pub const PPM: u64 = 1_000_000;

/// Largest number of unanswered leases that a run may wait for before a worker rests.
pub const OVERDUE_MAX: u64 = 1_000;

/// Longest rest of a silent worker or validator, in batches. The first rest is 1, and each further
/// one doubles until something is answered.
pub const REST_BATCHES_MAX: u64 = 64;

/// Most validators whose votes decide one dispute. With up to this many validators, nobody is fined
/// without the votes of more than half of all who were never fined; with more of them, those votes
/// are a lot drawn from all.
pub const JURY_MAX: usize = 15;

/// How often one validator is asked about one group, as long as it stays silent and nobody else is
/// left to ask.
pub const ASKS_MAX: usize = 3;
