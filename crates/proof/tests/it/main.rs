//! Proofs agree with the reference; stranger's bytes get a name; wrong inputs are refused.
mod drand;
mod toploc_reference;
mod toploc_strict;
mod wrong_inputs;
