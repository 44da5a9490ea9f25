//! One liar per file.
