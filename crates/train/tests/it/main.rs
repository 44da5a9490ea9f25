//! Training against numbers that others computed, and against itself.

mod adamw_trajectory;
mod checkpoint;
mod common;
mod gradient;
mod reference_numbers;
mod rollout;
mod state;
mod steps;
