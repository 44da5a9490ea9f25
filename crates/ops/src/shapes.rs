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

/// Where each sequence starts in a packed batch, and which sequences go on where another ends.
///
/// Several completions of one prompt are the prompt and a sequence for each of them that continues it: its tokens see
/// those of the prompt, which are there once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    starts: Arc<[usize]>,
    /// For each sequence the one that it continues; of length 0 if none continues another.
    continued: Arc<[Option<usize>]>,
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
        Self { starts, continued: Arc::default() }
    }

    /// The same with, for each sequence, the one whose tokens it continues, if it does.
    ///
    /// # Panics
    /// If there is not one entry for each sequence, or a sequence that is continued does not come before or continues
    /// another itself.
    pub fn continuing(self, continued: impl Into<Arc<[Option<usize>]>>) -> Self {
        let continued = continued.into();
        assert_eq!(continued.len(), self.count(), "one entry for each sequence");
        for (at, first) in continued.iter().enumerate().filter_map(|(at, first)| Some((at, (*first)?))) {
            assert!(first < at && continued[first].is_none(), "sequence {at} cannot continue sequence {first}");
        }
        Self { continued, ..self }
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

    /// Rows of each sequence, those of what it continues not among them.
    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.starts.windows(2).map(|pair| pair[0]..pair[1])
    }

    /// Each sequence with its past.
    pub(crate) fn sequences(&self) -> impl Iterator<Item = Sequence> + '_ {
        (0..self.count()).map(|at| Sequence {
            past: self.continued_by(at).map_or(0..0, |first| self.range(first)),
            rows: self.range(at),
        })
    }

    /// Sequences that have rows, by what they have in common: each that continues none, followed by those that continue it.
    pub(crate) fn families(&self) -> Vec<Vec<Sequence>> {
        let mut families: Vec<Vec<Sequence>> = vec![Vec::new(); self.count()];
        for (at, sequence) in self.sequences().enumerate().filter(|(_, sequence)| !sequence.rows.is_empty()) {
            families[self.continued_by(at).unwrap_or(at)].push(sequence);
        }
        families.retain(|family| !family.is_empty());
        families
    }

    fn range(&self, at: usize) -> Range<usize> {
        self.starts[at]..self.starts[at + 1]
    }

    fn continued_by(&self, at: usize) -> Option<usize> {
        self.continued.get(at).copied().flatten()
    }
}

/// Where the tokens of one sequence lie in a packed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// Rows of the tokens before its own, which other sequences may share.
    pub(crate) past: Range<usize>,
    /// Its own rows.
    pub(crate) rows: Range<usize>,
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

impl CachedSegment {
    /// Row of the pool in which each token lies, the new ones too.
    pub(crate) fn slots(&self, block_size: usize) -> impl Iterator<Item = i64> + '_ {
        let slot = move |token: usize| self.blocks[token / block_size] as usize * block_size + token % block_size;
        (0..self.past + self.rows.len()).map(move |token| slot(token) as i64)
    }
}

/// All sequences of a step that uses the key/value cache; together they cover every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheView {
    /// The sequences, in the order of their rows.
    pub segments: Vec<CachedSegment>,
}
