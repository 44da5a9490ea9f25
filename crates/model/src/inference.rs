//! A model packed for generation.
//!
//! Promise: the forward pass of [`crate::Transformer`], over matrices packed once; no gradients.

use std::convert::Infallible;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use burn::tensor::{Device, Tensor};
use ops::{CacheView, KvPool, Matrix, RotaryTable, Segments, gemm::together, host::Floats};
use rayon::prelude::*;

use crate::{
    config::ModelConfig,
    error::Result,
    forward::{self, AttentionContext, Pass, Weights},
    layout::{Layout, ParamSpec},
    params::ModelSnapshot,
    rope,
    transformer::{Fetch, gather, matrix_shape},
    weights::{StoredWeights, WeightDtype},
};

/// A decoder ready to generate, which may move to another thread. Models of one snapshot, format and device have the
/// same packed weights, which are there once.
pub struct InferenceModel {
    config: Arc<ModelConfig>,
    rotary: RotaryTable,
    packed: Arc<Packed>,
    device: Device,
    dtype: WeightDtype,
}

struct Packed {
    weights: Weights,
    head: Matrix,
}

/// What is packed of a snapshot, for as long as a model uses it.
#[derive(Default)]
pub(crate) struct PackedWeights(Mutex<Vec<(WeightDtype, Device, Weak<Packed>)>>);

impl PackedWeights {
    /// Whoever asks while another packs waits and has the same.
    fn get(&self, dtype: WeightDtype, device: &Device, pack: impl FnOnce() -> Packed) -> Arc<Packed> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|(.., packed)| packed.strong_count() > 0);
        let same = held.iter().find(|entry| entry.0 == dtype && entry.1 == *device);
        same.and_then(|(.., packed)| packed.upgrade()).unwrap_or_else(|| {
            let packed = Arc::new(pack());
            held.push((dtype, device.clone(), Arc::downgrade(&packed)));
            packed
        })
    }
}

impl fmt::Debug for PackedWeights {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("PackedWeights")
    }
}

impl InferenceModel {
    /// Packs weights from host memory. With `Bf16` every matrix is rounded to bf16 (the embedding
    /// too); norms and biases stay f32, and so does all arithmetic.
    pub fn from_snapshot(snapshot: &ModelSnapshot, dtype: WeightDtype, device: &Device) -> Self {
        let rotary = rope::rotary_table(snapshot.config());
        Self::from_snapshot_with(snapshot, dtype, device, rotary)
    }

    pub(crate) fn from_snapshot_with(
        snapshot: &ModelSnapshot,
        dtype: WeightDtype,
        device: &Device,
        rotary: RotaryTable,
    ) -> Self {
        let device = device.clone().inner();
        let pack = || {
            let values = |index: usize| Ok::<_, Infallible>(snapshot.values()[index].clone());
            let Ok(packed) = Packed::of(snapshot.config(), &values, dtype, &device);
            packed
        };
        let packed = snapshot.packed().get(dtype, &device, pack);
        Self { config: snapshot.config().clone(), rotary, packed, device, dtype }
    }

    /// As [`crate::StoredModel::inference`].
    pub(crate) fn from_stored(weights: &StoredWeights, dtype: WeightDtype, device: &Device) -> Result<Self> {
        let (config, device) = (weights.config.clone(), device.clone().inner());
        let packed = Packed::of(&config, &|index| weights.read(index), dtype, &device)?;
        Ok(Self { rotary: rope::rotary_table(&config), config, packed: Arc::new(packed), device, dtype })
    }

    /// Hidden states `[T, d]` after the final norm, of whole sequences laid end to end.
    /// Shapes and panics as [`crate::Transformer::hidden`].
    pub fn hidden(&self, tokens: &Arc<[u32]>, positions: &Arc<[u32]>, segments: &Segments) -> Tensor<2> {
        self.forward(tokens, positions, AttentionContext::Packed(segments))
    }

    /// As [`InferenceModel::hidden`] for the next tokens of running sequences, whose past is in `pool`.
    pub fn hidden_cached(
        &self,
        tokens: &Arc<[u32]>,
        positions: &Arc<[u32]>,
        pool: &mut KvPool,
        view: &CacheView,
    ) -> Tensor<2> {
        self.forward(tokens, positions, AttentionContext::Cached { pool, view })
    }

    fn forward(&self, tokens: &Arc<[u32]>, positions: &Arc<[u32]>, context: AttentionContext) -> Tensor<2> {
        let pass = Pass { config: &self.config, rotary: &self.rotary, positions };
        forward::hidden(&pass, &self.packed.weights, tokens, context)
    }

    /// The output head `[vocab_size, d]`.
    pub fn head(&self) -> &Matrix {
        &self.packed.head
    }

    /// Scores `[T, vocab_size]` of hidden states `[T, d]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        ops::linear(hidden, self.head(), None)
    }

    /// An empty key-value cache of this model: `blocks` blocks of `block_size` tokens.
    pub fn kv_pool(&self, blocks: usize, block_size: usize) -> KvPool {
        KvPool::new(self.config.layers, blocks, block_size, self.config.key_value_width(), &self.device)
    }

    /// The shape of the model.
    pub fn config(&self) -> &Arc<ModelConfig> {
        &self.config
    }

    /// How the matrices are stored.
    pub fn dtype(&self) -> WeightDtype {
        self.dtype
    }

    /// Where it computes.
    pub fn device(&self) -> &Device {
        &self.device
    }
}

impl Packed {
    /// Fetches and packs one parameter after the other.
    fn of<E>(config: &ModelConfig, values: &Fetch<Floats, E>, dtype: WeightDtype, device: &Device) -> Result<Self, E> {
        let layout = Layout::new(config);
        let numels = layout.specs.iter().map(ParamSpec::numel).sum::<usize>();
        let bytes = match dtype {
            WeightDtype::F32 => numels.saturating_mul(4),
            WeightDtype::Bf16 => numels.saturating_mul(2),
        };
        together(bytes, || Self::of_layout(&layout, values, dtype, device))
    }

    fn of_layout<E>(
        layout: &Layout,
        values: &Fetch<Floats, E>,
        dtype: WeightDtype,
        device: &Device,
    ) -> Result<Self, E> {
        let shape = |index: usize| matrix_shape(&layout.specs[index]);
        let matrix = |index: usize| Ok(pack(&values(index)?, shape(index), dtype, device));
        let table = values(layout.embedding)?;
        let (embedding, tied) = match layout.head {
            None => {
                let bf16 = stored(&table, dtype) == WeightDtype::Bf16;
                let (rows, head) = Matrix::frozen_tied(&table, shape(layout.embedding), bf16, device);
                (rows, Some(head))
            }
            Some(_) if stored(&table, dtype) == WeightDtype::F32 => {
                let rows = table.tensor(device).reshape(shape(layout.embedding));
                (Matrix::new(rows), None)
            }
            Some(_) => (pack(&table, shape(layout.embedding), dtype, device), None),
        };
        drop(table);
        let weights = gather(layout, embedding, &matrix, &|index| Ok(values(index)?.tensor(device)))?;
        let head = match tied {
            Some(head) => head,
            None => matrix(layout.head.unwrap_or(layout.embedding))?,
        };
        Ok(Self { weights, head })
    }
}

/// The format that holds the values as `dtype` asks for them: f32 numbers that are bf16 numbers, as those of most
/// published models, lose nothing in half the memory, and products with them have the same bits.
fn stored(values: &[f32], dtype: WeightDtype) -> WeightDtype {
    let is_bf16 = || values.par_iter().all(|value| value.to_bits() & 0xffff == 0);
    if dtype == WeightDtype::F32 && is_bf16() { WeightDtype::Bf16 } else { dtype }
}

fn pack(values: &[f32], shape: [usize; 2], dtype: WeightDtype, device: &Device) -> Matrix {
    Matrix::frozen(values, shape, stored(values, dtype) == WeightDtype::Bf16, device)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use half::bf16;
    use ops::host;
    use safetensors::SafeTensors;

    use super::*;
    use crate::Transformer;

    /// Largest difference to transformers' f32 logits, which reach about 4, with the fastest matrix
    /// kernel of this machine. Measured with `Kernel::Amx`: see the test's output.
    const LOGIT_TOLERANCE: f32 = 1e-4;

    #[test]
    fn models_of_one_snapshot_and_format_share_what_is_packed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2_tied");
        let model = Transformer::load(&folder, &Device::flex()).unwrap();
        let snapshot = model.snapshot();
        let packed = |snapshot: &ModelSnapshot, dtype| InferenceModel::from_snapshot(snapshot, dtype, &Device::flex());
        let (first, second) = (packed(&snapshot, WeightDtype::Bf16), packed(&snapshot.clone(), WeightDtype::Bf16));
        assert!(Arc::ptr_eq(&first.packed, &second.packed));
        assert!(!Arc::ptr_eq(&first.packed, &packed(&snapshot, WeightDtype::F32).packed), "another format");
        assert!(!Arc::ptr_eq(&first.packed, &packed(&model.snapshot(), WeightDtype::Bf16).packed), "another snapshot");
        let gone = Arc::downgrade(&first.packed);
        drop((first, second));
        assert!(gone.upgrade().is_none(), "a snapshot keeps nothing that no model uses");
    }

    #[test]
    fn f32_numbers_that_are_bf16_numbers_take_half_the_memory_and_give_the_same_bits() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/qwen2_tied");
        let model = Transformer::load(&folder, &Device::flex()).unwrap();
        let values = model.snapshot().to_vecs().into_iter();
        let halved = |values: Vec<f32>| values.into_iter().map(|value| bf16::from_f32(value).to_f32()).collect();
        let halves = ModelSnapshot::new(model.config().clone(), values.map(halved).collect()).unwrap();
        let tokens: Arc<[u32]> = (0..24).collect();
        let logits = |model: &InferenceModel| {
            let hidden = model.hidden(&tokens, &tokens, &Segments::from_lengths(&[24]));
            host::to_vec_f32(&model.logits(hidden))
        };
        let packed = InferenceModel::from_snapshot(&halves, WeightDtype::F32, &Device::flex());
        let head = host::from_vec(
            halves.values()[0].to_vec(),
            [packed.head().out_features(), packed.head().in_features()],
            &Device::flex(),
        );
        assert_eq!(stored(&halves.values()[0], WeightDtype::F32), WeightDtype::Bf16);
        assert_eq!(stored(&model.snapshot().values()[0], WeightDtype::F32), WeightDtype::F32);
        let hidden = packed.hidden(&tokens, &tokens, &Segments::from_lengths(&[24]));
        let wide = host::to_vec_f32(&ops::linear(hidden, &Matrix::new(head).freeze(false), None));
        assert_eq!(logits(&packed), wide, "{:?}", ops::gemm::current());
    }

    #[test]
    fn the_fastest_kernel_of_this_machine_keeps_parity_with_transformers() {
        for name in ["qwen2_tied", "qwen2_untied", "qwen3", "llama2", "llama3", "llama_biases"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
            let bytes = fs::read(folder.join("expected.safetensors")).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let words = |name| file.tensor(name).unwrap().data().as_chunks().0.to_vec();
            // The fixture's first sequence has 24 tokens.
            let tokens = words("tokens").into_iter().take(24).map(u32::from_le_bytes).collect();
            let expected = words("logits").into_iter().map(f32::from_le_bytes);
            let model = Transformer::load(&folder, &Device::flex()).unwrap().freeze(WeightDtype::F32);
            let hidden = model.hidden(&tokens, &(0..24).collect(), &Segments::from_lengths(&[24]));
            let given = host::to_vec_f32(&model.logits(hidden));
            let difference = given.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            println!("{name}, {:?}: largest difference {difference:e}", ops::gemm::current());
            assert!(difference <= LOGIT_TOLERANCE, "{name}: {difference:e}");
        }
    }
}
