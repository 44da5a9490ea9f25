//! The wall clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// UTC milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    // A clock before 1970 is a broken clock; the log's order is its sequence number, not its time.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
