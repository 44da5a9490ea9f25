//! The fused operations against their plain twins, and every path of attention against every
//! other.

mod support;

mod attention;
mod candidates;
mod gradients;
mod head;
mod inference;
mod optimiser;
