//! Yuma consensus against the reference and by hand.
