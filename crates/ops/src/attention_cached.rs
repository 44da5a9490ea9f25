//! Keeps keys and values of running sequences and attends over them.
//!
//! Promise: only the blocks that a view names are read or written.

use std::sync::{Arc, PoisonError, RwLock};

use burn::tensor::{Device, Tensor};
use rayon::prelude::*;

use crate::attend::{Queries, Results, Run, Scratch, Shared, attend};
use crate::flex::{floats, primitive, tensor};
use crate::kernels::kernels;
use crate::memory::SparseFloats;
use crate::recycle::Buffer;
use crate::reference;
use crate::shapes::{CacheView, CachedSegment, Heads};

/// Keys and values of all layers, in blocks of `block_size` tokens that sequences borrow.
///
/// Which block belongs to whom is the caller's business.
pub struct KvPool {
    store: Store,
    layers: usize,
    blocks: usize,
    block_size: usize,
    kv_width: usize,
}

enum Store {
    /// Per layer, as the CPU kernels want them. Locked, so that two halves of a step can run side by side.
    Blocks(Arc<[RwLock<Layer>]>),
    /// Per layer keys and values, `[blocks * block_size, kv_width]`.
    Tensors(Vec<(Tensor<2>, Tensor<2>)>),
}

impl KvPool {
    /// An empty pool: `layers` times `blocks * block_size` rows of `kv_width` keys and values.
    pub fn new(layers: usize, blocks: usize, block_size: usize, kv_width: usize, device: &Device) -> Self {
        kernels(device).kv_pool(layers, blocks, block_size, kv_width, device)
    }

    pub(crate) fn of_blocks(layers: usize, blocks: usize, block_size: usize, kv_width: usize) -> Self {
        let size = blocks * block_size * kv_width;
        let layer = || RwLock::new(Layer { keys: SparseFloats::zeroed(size), values: SparseFloats::zeroed(size) });
        Self { store: Store::Blocks((0..layers).map(|_| layer()).collect()), layers, blocks, block_size, kv_width }
    }

    /// As [`KvPool::new`], but in tensors on any device, for the plain operations.
    pub fn of_tensors(layers: usize, blocks: usize, block_size: usize, kv_width: usize, device: &Device) -> Self {
        let device = device.clone().inner();
        let zeros = || Tensor::zeros([blocks * block_size, kv_width], &device);
        Self {
            store: Store::Tensors((0..layers).map(|_| (zeros(), zeros())).collect()),
            layers,
            blocks,
            block_size,
            kv_width,
        }
    }

    /// Another handle to the same blocks, for a step whose sequences are computed on several
    /// threads; none where the pool is made of tensors.
    pub fn share(&self) -> Option<Self> {
        let Store::Blocks(layers) = &self.store else { return None };
        let store = Store::Blocks(layers.clone());
        Some(Self { store, ..*self })
    }

    /// Tokens per block.
    pub fn block_size(&self) -> usize {
        self.block_size
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Copies the keys and values of a block into another, in all layers: a sequence that starts
    /// from another's half-filled block gets its own.
    ///
    /// # Panics
    /// If a block is outside the pool.
    pub fn copy_block(&mut self, from: u32, to: u32) {
        let (from, to) = (from as usize, to as usize);
        assert!(from < self.blocks && to < self.blocks, "copy of block {from} to {to} in a pool of {}", self.blocks);
        let rows = |block: usize| block * self.block_size..(block + 1) * self.block_size;
        match &mut self.store {
            Store::Tensors(layers) => {
                for tensor in layers.iter_mut().flat_map(|(k, v)| [k, v]) {
                    let width = 0..self.kv_width;
                    let source = tensor.clone().slice([rows(from), width.clone()]);
                    change(tensor, |held| held.slice_assign([rows(to), width], source));
                }
            }
            Store::Blocks(layers) => {
                let floats = self.block_size * self.kv_width;
                let source = from * floats..(from + 1) * floats;
                for layer in layers.iter() {
                    let mut layer = layer.write().unwrap_or_else(PoisonError::into_inner);
                    layer.keys.copy_within(source.clone(), to * floats);
                    layer.values.copy_within(source.clone(), to * floats);
                }
            }
        }
    }

    /// Bytes that the pool holds.
    pub fn bytes(&self) -> usize {
        2 * self.layers * self.blocks * self.block_size * self.kv_width * size_of::<f32>()
    }

    pub(crate) fn tensors_mut(&mut self, layer: usize) -> (&mut Tensor<2>, &mut Tensor<2>) {
        match &mut self.store {
            Store::Tensors(layers) => {
                let (k, v) = &mut layers[layer];
                (k, v)
            }
            Store::Blocks(_) => panic!("the plain operations need KvPool::of_tensors"),
        }
    }

    /// Checks that a view and the rows of a step fit each other and the pool.
    pub(crate) fn assert_fits(
        &self,
        layer: usize,
        view: &CacheView,
        q: [usize; 2],
        k: [usize; 2],
        v: [usize; 2],
        heads: Heads,
    ) {
        heads.assert_valid();
        assert!(layer < self.layers, "layer {layer} of {}", self.layers);
        assert_eq!(heads.kv_width(), self.kv_width, "pool of another kv width");
        let mut rows = 0;
        for segment in &view.segments {
            assert_eq!(segment.rows.start, rows, "segments must cover all rows");
            rows = segment.rows.end;
            let total = segment.past + segment.rows.len();
            assert!(
                segment.blocks.len() * self.block_size >= total,
                "{} blocks of {} do not hold {total} tokens",
                segment.blocks.len(),
                self.block_size
            );
            assert!(
                segment.blocks.iter().all(|&b| (b as usize) < self.blocks),
                "block outside the pool of {}: {:?}",
                self.blocks,
                segment.blocks
            );
        }
        assert_eq!(q, [rows, heads.query_width()], "attention_cached: q");
        assert_eq!(k, [rows, heads.kv_width()], "attention_cached: k");
        assert_eq!(v, [rows, heads.kv_width()], "attention_cached: v");
    }
}

/// Changes a tensor in place: nobody else holds it while `by` writes to it, or all of it would be copied.
pub(crate) fn change(tensor: &mut Tensor<2>, by: impl FnOnce(Tensor<2>) -> Tensor<2>) {
    let nothing = Tensor::empty([0, 0], &tensor.device());
    *tensor = by(std::mem::replace(tensor, nothing));
}

/// Writes the new rows of k and v into the pool, then attends over past and new tokens.
///
/// Same formula and, on the CPU, the same bits per row as [`crate::attention()`] over the
/// whole sequence. q `[T, H*D]`, k and v `[T, KV*D]`, `T` = new rows of all sequences.
/// No gradients.
///
/// # Panics
/// If the shapes, the view and the pool do not fit.
pub fn attention_cached(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    pool: &mut KvPool,
    layer: usize,
    view: &CacheView,
    heads: Heads,
) -> Tensor<2> {
    if let Store::Tensors(_) = pool.store {
        return reference::attention_cached(q, k, v, pool, layer, view, heads);
    }
    pool.assert_fits(layer, view, q.dims(), k.dims(), v.dims(), heads);
    let [q, k, v] = [q, k, v].map(primitive);
    let [rows, width] = [floats(&q).len() / heads.query_width(), heads.query_width()];
    let mut out = Buffer::new(rows * width);
    let shape = Shape { block_size: pool.block_size, heads };
    let Store::Blocks(layers) = &pool.store else { unreachable!("tensors were handled above") };
    // A panic elsewhere leaves plain floats behind, which the next writer replaces: poison means nothing here.
    let layer = &layers[layer];
    layer.write().unwrap_or_else(PoisonError::into_inner).write(floats(&k), floats(&v), view, shape);
    layer.read().unwrap_or_else(PoisonError::into_inner).attend(floats(&q), &mut out, view, shape);
    tensor(out.into_tensor([rows, width]))
}

/// Keys and values of one layer: `[block][kv head][head_dim][slot]` for keys,
/// `[block][kv head][slot][head_dim]` for values.
struct Layer {
    keys: SparseFloats,
    values: SparseFloats,
}

/// Below this many multiplications one thread is faster than waking another.
const PARALLEL_MULTIPLICATIONS_MIN: usize = 256 * 1024;

/// Sequences and heads that a thread takes at once: one alone is done in about a microsecond.
const TASKS_TOGETHER: usize = 8;

/// Multiplications of all scores and weighted sums of a step, at most.
fn multiplications(view: &CacheView, heads: Heads) -> usize {
    let scores = |s: &CachedSegment| s.rows.len() * (s.past + s.rows.len());
    2 * heads.query_width() * view.segments.iter().map(scores).sum::<usize>()
}

#[derive(Clone, Copy)]
struct Shape {
    block_size: usize,
    heads: Heads,
}

impl Shape {
    /// Floats of one head in one block.
    fn head_floats(&self) -> usize {
        self.block_size * self.heads.head_dim
    }

    /// Where one head's part of a block starts.
    fn start(&self, block: u32, kv_head: usize) -> usize {
        (block as usize * self.heads.key_value + kv_head) * self.head_floats()
    }
}

impl Layer {
    /// Puts the new rows where the view says.
    fn write(&mut self, k: &[f32], v: &[f32], view: &CacheView, shape: Shape) {
        let (dim, size) = (shape.heads.head_dim, shape.block_size);
        for segment in &view.segments {
            for (row, token) in segment.rows.clone().zip(segment.past..) {
                let (block, slot) = (segment.blocks[token / size], token % size);
                for kv_head in 0..shape.heads.key_value {
                    let from = row * shape.heads.kv_width() + kv_head * dim;
                    let to = shape.start(block, kv_head);
                    let column = self.keys[to + slot..].iter_mut().step_by(size);
                    column.zip(&k[from..from + dim]).for_each(|(to, k)| *to = *k);
                    let at = to + slot * dim;
                    self.values[at..at + dim].copy_from_slice(&v[from..from + dim]);
                }
            }
        }
    }

    fn attend(&self, q: &[f32], out: &mut [f32], view: &CacheView, shape: Shape) {
        let filled = view.segments.iter().filter(|s| !s.rows.is_empty());
        let tasks: Vec<_> =
            filled.flat_map(|segment| (0..shape.heads.key_value).map(move |head| (segment, head))).collect();
        let shared = Shared::new(out);
        let results = Results { out: &shared, log_sums: None };
        let run = |scratch: &mut Scratch, (segment, kv_head): (&CachedSegment, usize)| {
            let runs = self.runs(segment, kv_head, shape);
            let queries = Queries { all: q, rows: segment.rows.clone(), past: segment.past };
            attend(&queries, &runs, shape.heads, kv_head, &results, scratch);
        };
        if multiplications(view, shape.heads) < PARALLEL_MULTIPLICATIONS_MIN {
            let scratch = &mut Scratch::default();
            return tasks.into_iter().for_each(|task| run(scratch, task));
        }
        tasks.into_par_iter().with_min_len(TASKS_TOGETHER).for_each_init(Scratch::default, run);
    }

    /// The blocks of a sequence, for one head.
    fn runs(&self, segment: &CachedSegment, kv_head: usize, shape: Shape) -> Vec<Run<'_>> {
        let total = segment.past + segment.rows.len();
        let used = total.div_ceil(shape.block_size);
        let run = |&block: &u32| {
            let start = shape.start(block, kv_head);
            let floats = start..start + shape.head_floats();
            Run {
                keys: &self.keys[floats.clone()],
                key_step: shape.block_size,
                values: &self.values[floats],
                value_step: shape.heads.head_dim,
                len: shape.block_size,
            }
        };
        segment.blocks[..used].iter().map(run).collect()
    }
}
