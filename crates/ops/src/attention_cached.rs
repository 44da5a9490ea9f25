//! Keeps keys and values of running sequences and attends over them.
//!
//! Promise: only the blocks that a view names are read or written.

use burn::tensor::{Device, Tensor};

use crate::reference;
use crate::shapes::{CacheView, Heads};

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
    Tensors(Vec<(Tensor<2>, Tensor<2>)>),
}

impl KvPool {
    /// An empty pool: `layers` times `blocks * block_size` rows of `kv_width` keys and values.
    pub fn new(
        layers: usize,
        blocks: usize,
        block_size: usize,
        kv_width: usize,
        device: &Device,
    ) -> Self {
        Self::of_tensors(layers, blocks, block_size, kv_width, device)
    }

    /// As [`KvPool::new`], but in tensors on any device, for the plain operations.
    pub fn of_tensors(
        layers: usize,
        blocks: usize,
        block_size: usize,
        kv_width: usize,
        device: &Device,
    ) -> Self {
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
        assert!(
            from < self.blocks && to < self.blocks,
            "copy of block {from} to {to} in a pool of {}",
            self.blocks
        );
        let rows = |block: usize| block * self.block_size..(block + 1) * self.block_size;
        match &mut self.store {
            Store::Tensors(layers) => {
                for tensor in layers.iter_mut().flat_map(|(k, v)| [k, v]) {
                    let width = 0..self.kv_width;
                    let source = tensor.clone().slice([rows(from), width.clone()]);
                    *tensor = tensor.clone().slice_assign([rows(to), width], source);
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

/// Writes the new rows of k and v into the pool, then attends over past and new tokens.
///
/// Same formula and, on the CPU, the same bits per row as [`crate::attention`] over the
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
    reference::attention_cached(q, k, v, pool, layer, view, heads)
}
