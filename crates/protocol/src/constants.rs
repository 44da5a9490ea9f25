//! Numbers that all peers must share. They have no override.
//!
//! Promise: a change here is a change of the protocol; bump [`RECORD_FORMAT`] with it.

/// First byte of every record. Bump it when the meaning or the layout of any record changes;
/// logs and checkpoints of the older format are then refused by name.
pub const RECORD_FORMAT: u8 = 1;

/// One whole reward in the integer unit of rewards: `1_000_000` micro = 1.0.
pub const REWARD_ONE_MICRO: i64 = 1_000_000;

/// Most tokens, prompt and completion together, in one rollout. Breaks: runs with a longer context.
pub const TOKENS_PER_ROLLOUT_MAX: usize = 131_072;

/// Most rollouts in one group. Breaks: runs with a larger group.
pub const SAMPLES_PER_GROUP_MAX: usize = 1_024;

/// Most bytes of one encoded record, 64 MiB. A group of 16 samples of 4,096 tokens takes about
/// 0.7 MB. Breaks: very large groups of very long rollouts.
pub const BYTES_PER_RECORD_MAX: usize = 64 << 20;

/// Context string of the run seed (blake3 `derive_key`). Breaks: every seeded rollout.
pub const RUN_SEED_CONTEXT: &str = "essaim 2025 run seed v1";

/// Context string of rollout seeds (blake3 `derive_key`). Breaks: every seeded rollout.
pub const ROLLOUT_SEED_CONTEXT: &str = "essaim 2025 rollout seed v1";
