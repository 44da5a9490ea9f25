//! The engine with a tiny random model, from outside.

mod paths;
mod requests;
mod scheduling;
mod support;
