//! The engine with a tiny random model, from outside.

mod paths;
mod pinned;
mod requests;
mod scheduling;
mod support;
