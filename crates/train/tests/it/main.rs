//! Training against numbers that others computed, and against itself.

mod adamw_trajectory;
mod checkpoint;
mod common;
mod reference_numbers;
mod steps;
