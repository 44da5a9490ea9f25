//! Numbers that all peers must share. They have no override.
//!
//! Promise: a change here is a change of the protocol; bump [`RECORD_FORMAT`] with it.

/// First byte of every record. Bump it when the meaning or the layout of any record changes;
/// logs and checkpoints of the older format are then refused by name.
pub const RECORD_FORMAT: u8 = 3;

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
pub const ROLLOUT_SEED_CONTEXT: &str = "essaim 2026 rollout seed v2";

/// Most bytes of a record without a list, such as a commitment or a seal; the longest takes under 300.
/// Also what a record that wraps a [`BYTES_PER_RECORD_MAX`] one may add to it. Breaks: nothing today.
pub const BYTES_PER_NOTE_MAX: usize = 1 << 10;

/// Most bytes of the activation proof of one rollout: 258 for each 32 tokens of the longest rollout.
/// Breaks: proofs with more values or shorter chunks.
pub const ACTIVATION_PROOF_BYTES_MAX: usize = TOKENS_PER_ROLLOUT_MAX / 32 * 258;

/// Most numbers in the fingerprint of one rollout: four projections of each token of the longest rollout.
/// Breaks: fingerprints with more projections.
pub const FINGERPRINT_ENTRIES_MAX: usize = TOKENS_PER_ROLLOUT_MAX * 4;

/// Largest log-probability of a token: 0 and a little, because engines round. Breaks: engines that round worse.
pub const LOGPROB_MAX: f32 = 1e-3;

/// Most workers, and most validators, of one run. Breaks: larger runs.
pub const PARTIES_PER_ROLE_MAX: usize = 65_536;

/// Most stop tokens of a run. Breaks: models with more end-of-text tokens.
pub const STOP_TOKENS_MAX: usize = 256;

/// Most groups in the batch of one update. Breaks: larger batches.
pub const LEASES_PER_UPDATE_MAX: usize = 65_536;

/// A whole in parts per million.
pub const PPM_ONE: u32 = 1_000_000;

/// Context string of run ids (blake3 `derive_key`). Breaks: every signature.
pub const RUN_ID_CONTEXT: &str = "essaim 2026 run id v1";

/// Context string of keys derived for local runs (blake3 `derive_key`). Breaks: resuming local runs.
pub const IDENTITY_CONTEXT: &str = "essaim 2026 local identity v1";

/// Context string of verdict seals (blake3 `derive_key`). Breaks: seals made before the change.
pub const SEAL_CONTEXT: &str = "essaim 2026 verdict seal v1";

/// Context string of the leaves of a commitment (blake3 `derive_key`). Breaks: every commitment.
pub const MERKLE_LEAF_CONTEXT: &str = "essaim 2026 merkle leaf v1";

/// Context string of the inner nodes of a commitment (blake3 `derive_key`). Breaks: every commitment.
pub const MERKLE_NODE_CONTEXT: &str = "essaim 2026 merkle node v1";

/// Context string of the hash over a batch's roots (blake3 `derive_key`). Breaks: every update record.
pub const BATCH_CONTEXT: &str = "essaim 2026 batch v1";
