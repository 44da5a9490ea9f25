//! The crate's promises, checked from outside, mostly against folders made by transformers
//! (`scripts/make_model_fixtures.py`).

mod bad_folders;
mod compat;
mod config;
mod forward;
mod gguf;
mod hub;
mod parity;
mod python;
mod saving;
mod support;
mod tokenizer;
mod turn;
mod weights;
