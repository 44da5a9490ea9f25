//! Says where sequences lie in a packed batch and in the key/value cache.
//!
//! Promise: a value of these types is consistent in itself; the operations only have to
//! compare it with the tensors they are given.
//! "Packed" means: the tokens of all sequences laid end to end on one axis, no padding.

use std::ops::Range;
use std::sync::Arc;

/// How many heads attention has, and how wide they are.
///
/// `query` is a multiple of `key_value` (grouped-query attention): query head `h` reads
/// key/value head `h / (query / key_value)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heads {
    /// Number of query heads.
    pub query: usize,
    /// Number of key/value heads.
    pub key_value: usize,
    /// Width of one head.
    pub head_dim: usize,
}

impl Heads {
    /// Width of a query row: `query * head_dim`.
    pub fn query_width(&self) -> usize {
        self.query * self.head_dim
    }

    /// Width of a key or value row: `key_value * head_dim`.
    pub fn kv_width(&self) -> usize {
        self.key_value * self.head_dim
    }

    /// Query heads that share one key/value head.
    pub fn group(&self) -> usize {
        self.query / self.key_value
    }

    /// `1 / sqrt(head_dim)`, the factor on every score.
    pub fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    pub(crate) fn assert_valid(&self) {
        assert!(self.query > 0 && self.key_value > 0 && self.head_dim > 0, "heads must be positive: {self:?}");
        assert!(
            self.query.is_multiple_of(self.key_value),
            "query heads must be a multiple of key/value heads: {self:?}"
        );
    }
}

/// Where each sequence starts in a packed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    starts: Arc<[usize]>,
}

impl Segments {
    /// Takes the `[n + 1]` offsets of `n` sequences; the last one is the number of tokens.
    ///
    /// # Panics
    /// If the offsets do not start at 0 or ever go down.
    pub fn new(starts: impl Into<Arc<[usize]>>) -> Self {
        let starts = starts.into();
        assert_eq!(starts.first(), Some(&0), "segments must start at 0");
        assert!(starts.windows(2).all(|pair| pair[0] <= pair[1]), "segment offsets must not go down: {starts:?}");
        Self { starts }
    }

    /// Takes the length of each sequence.
    pub fn from_lengths(lengths: &[usize]) -> Self {
        let mut starts = Vec::with_capacity(lengths.len() + 1);
        let mut end = 0;
        starts.push(end);
        for length in lengths {
            end += length;
            starts.push(end);
        }
        Self::new(starts)
    }

    /// The `[n + 1]` offsets.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// Number of sequences.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.starts[self.count()]
    }

    /// Rows of each sequence.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.starts.windows(2).map(|pair| pair[0]..pair[1])
    }
}

/// One sequence in a step that uses the key/value cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedSegment {
    /// Rows of q, k and v of this step that belong to the sequence.
    pub rows: Range<usize>,
    /// Tokens of the sequence that are already in the cache.
    pub past: usize,
    /// Cache blocks of the sequence, in order, with room for the new rows.
    pub blocks: Arc<[u32]>,
}

/// All sequences of a step that uses the key/value cache; together they cover every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheView {
    /// The sequences, in the order of their rows.
    pub segments: Vec<CachedSegment>,
}
