//! A model whose weights are tensors: to train, to validate with, to save.
//!
//! Promise: [`Transformer`] and [`InferenceModel`] run the same forward pass.

use std::{collections::BTreeMap, convert::Infallible, path::Path, sync::Arc};

use burn::tensor::{Device, Tensor};
use ops::{CacheView, KvPool, Matrix, RotaryTable, Segments, host::Floats};
use rayon::prelude::*;

use crate::{
    config::ModelConfig,
    error::Result,
    folder,
    forward::{self, AttentionContext, LayerWeights, Pass, Projection, Weights},
    gguf::Gguf,
    inference::InferenceModel,
    init,
    layout::{LayerIndex, Layout, ParamSpec, ProjectionIndex},
    params::{ModelSnapshot, Params},
    rope::{self, Scaling},
    tokenizer::Tokenizer,
    warning::Warning,
    weights::{self, StoredWeights, WeightDtype},
};

/// How [`Transformer::save`] writes.
#[derive(Clone, Copy, Debug)]
pub struct SaveOptions<'a> {
    /// How numbers are stored.
    pub dtype: WeightDtype,
    /// Most bytes of weights in one file; above, shards and an index are written.
    pub shard_bytes_max: u64,
    /// Files of the tokenizer to put beside the weights.
    pub tokenizer: Option<&'a Tokenizer>,
}

impl Default for SaveOptions<'_> {
    /// f32, shards of 5 GB (the limit transformers had for years), no tokenizer.
    fn default() -> Self {
        Self { dtype: WeightDtype::F32, shard_bytes_max: 5_000_000_000, tokenizer: None }
    }
}

/// The parameters of one stage of the forward pass, by their places in the list of all.
pub struct StageParams {
    values: BTreeMap<usize, Tensor<1>>,
}

impl StageParams {
    fn get(&self, index: usize) -> Tensor<1> {
        self.values[&index].clone()
    }

    /// Each parameter's place and value.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Tensor<1>)> {
        self.values.iter().map(|(index, value)| (*index, value))
    }
}

/// A decoder with its weights as flat tensors on one device.
#[derive(Clone)]
pub struct Transformer {
    config: Arc<ModelConfig>,
    layout: Arc<Layout>,
    rotary: RotaryTable,
    params: Params,
}

impl Transformer {
    /// Fresh weights: the same bits for the same configuration and seed on every machine.
    ///
    /// Errors: `ConfigField` if a field was changed to something invalid.
    pub fn random(config: Arc<ModelConfig>, seed: u64, device: &Device) -> Result<Self> {
        config.validate()?;
        let layout = Layout::new(&config);
        let values = init::random(&config, &layout, seed);
        Ok(Self::from_host(config, layout, values.into_iter().map(Floats::from).collect(), device))
    }

    /// Reads the configuration and the weights of a Hugging Face folder or a GGUF file; all numbers become f32.
    ///
    /// Errors: any of [`ModelError`](crate::ModelError) about files, configuration and tensors.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let weights = match path.is_file() {
            true => Gguf::open(path)?.weights()?,
            false => weights::open(path, ModelConfig::load(path)?)?,
        };
        Self::from_stored(&weights, device)
    }

    /// Reads all tensors of an opened model.
    ///
    /// Errors: `Io`, where the files have changed since they were opened.
    pub(crate) fn from_stored(weights: &StoredWeights, device: &Device) -> Result<Self> {
        let config = weights.config.clone();
        let layout = Layout::new(&config);
        let values = (0..layout.specs.len()).into_par_iter().map(|index| weights.read(index)).collect::<Result<_>>()?;
        Ok(Self::from_host(config, layout, values, device))
    }

    /// A model from weights in host memory.
    pub fn from_snapshot(snapshot: &ModelSnapshot, device: &Device) -> Self {
        let layout = Layout::new(snapshot.config());
        Self::from_host(snapshot.config().clone(), layout, snapshot.values().to_vec(), device)
    }

    fn from_host(config: Arc<ModelConfig>, layout: Layout, values: Vec<Floats>, device: &Device) -> Self {
        let params = Params::from_host(&layout.specs, values, device);
        let rotary = rope::rotary_table(&config);
        Self { config, layout: Arc::new(layout), rotary, params }
    }

    /// Writes a Hugging Face folder that transformers loads: whole, or not at all.
    ///
    /// Errors: `TargetExists`, `TokenizerMismatch`, `Io`.
    pub fn save(&self, folder: &Path, options: &SaveOptions) -> Result<()> {
        let mut config = ModelConfig::clone(&self.config);
        if let Some(tokenizer) = options.tokenizer {
            tokenizer.check_fits(&config)?;
            if config.eos_ids.is_empty() {
                config.eos_ids = tokenizer.eos_ids().to_vec();
                config.eos_ids.retain(|id| (*id as usize) < config.vocab_size);
            }
        }
        let values = self.snapshot();
        folder::write_whole(folder, |partial| {
            let text = config.to_json(options.dtype.torch_name());
            folder::write_synced(&partial.join("config.json"), text.as_bytes())?;
            if let Some(tokenizer) = options.tokenizer {
                tokenizer.write(partial)?;
            }
            weights::write(partial, &self.layout.specs, values.values(), options.dtype, options.shard_bytes_max)
        })
    }

    /// The same weights as leaves that gather gradients.
    pub fn require_grad(mut self) -> Self {
        for param in &mut self.params.list {
            param.value = param.value.clone().autodiff().require_grad();
        }
        self
    }

    /// The same weights without any record for gradients; shares memory with `self`.
    pub fn without_grad(&self) -> Self {
        let mut plain = self.clone();
        for param in &mut plain.params.list {
            param.value = param.value.clone().without_autodiff();
        }
        plain
    }

    /// The weights as they are now; see [`ModelSnapshot`].
    pub fn snapshot(&self) -> ModelSnapshot {
        let values = self.params.list.iter().map(|param| Floats::of(&param.value)).collect();
        ModelSnapshot::unchecked(self.config.clone(), values)
    }

    /// The form for generation: matrices packed once, no gradients.
    pub fn freeze(&self, dtype: WeightDtype) -> InferenceModel {
        InferenceModel::from_snapshot_with(&self.snapshot(), dtype, &self.device(), self.rotary.clone())
    }

    /// Hidden states `[T, d]` after the final norm, of whole sequences laid end to end.
    ///
    /// - `tokens` and `positions` are `[T]`; positions count from 0 in each sequence
    ///
    /// # Panics
    /// If lengths differ, an id is not below `vocab_size` or a position not below `max_positions`.
    pub fn hidden(&self, tokens: &Arc<[u32]>, positions: &Arc<[u32]>, segments: &Segments) -> Tensor<2> {
        self.forward(tokens, positions, AttentionContext::Packed(segments))
    }

    /// As [`Transformer::hidden`] for the next tokens of running sequences, whose past is in `pool`.
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
        forward::hidden(&self.pass(positions), &self.weights(), tokens, context)
    }

    fn pass<'a>(&'a self, positions: &'a Arc<[u32]>) -> Pass<'a> {
        Pass { config: &self.config, rotary: &self.rotary, positions }
    }

    /// How many stages the forward pass has: the embedding, each layer, and the final norm with the head.
    pub fn stage_count(&self) -> usize {
        self.config.layers + 2
    }

    /// The parameters of a stage, as leaves that gather gradients in a graph of their own where `tracked`.
    ///
    /// # Panics
    /// If there is no such stage.
    pub fn stage(&self, stage: usize, tracked: bool) -> StageParams {
        let leaf = |index: usize| {
            let value = self.vector(index).without_autodiff();
            (index, if tracked { value.autodiff().require_grad() } else { value })
        };
        StageParams { values: self.layout.stage(stage).into_iter().map(leaf).collect() }
    }

    /// The first stage: a row of the embedding `[T, d]` for each token.
    pub fn embed(&self, params: &StageParams, tokens: &Arc<[u32]>) -> Tensor<2> {
        ops::embedding(&Matrix::new(self.reshaped(params.get(self.layout.embedding), self.layout.embedding)), tokens)
    }

    /// Stage `1 + index`: what layer `index` makes of `[T, d]`, whole sequences laid end to end.
    pub fn layer(
        &self,
        params: &StageParams,
        index: usize,
        x: Tensor<2>,
        positions: &Arc<[u32]>,
        segments: &Segments,
    ) -> Tensor<2> {
        let matrix = |index| Matrix::new(self.reshaped(params.get(index), index));
        let indices = &self.layout.layers[index];
        let Ok(weights) = gather_layer::<Infallible>(indices, &|i| Ok(matrix(i)), &|i| Ok(params.get(i)));
        forward::layer(&self.pass(positions), &weights, x, index, &mut AttentionContext::Packed(segments))
    }

    /// The last stage: hidden states `[T, d]` after the final norm, and the head that scores them.
    pub fn finish(&self, params: &StageParams, x: Tensor<2>) -> (Tensor<2>, Matrix) {
        let head = self.layout.head.unwrap_or(self.layout.embedding);
        let hidden = ops::rms_norm(x, &params.get(self.layout.final_norm), self.config.rms_norm_eps);
        (hidden, Matrix::new(self.reshaped(params.get(head), head)))
    }

    fn reshaped(&self, value: Tensor<1>, index: usize) -> Tensor<2> {
        let [out, input] = matrix_shape(&self.layout.specs[index]);
        value.reshape([out, input])
    }

    /// The output head `[vocab_size, d]`: the embedding itself where tied. Gradients flow through it.
    pub fn head(&self) -> Matrix {
        Matrix::new(self.matrix(self.layout.head.unwrap_or(self.layout.embedding)))
    }

    /// Scores `[T, vocab_size]` of hidden states `[T, d]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        ops::linear(hidden, &self.head(), None)
    }

    /// The shape of the model.
    pub fn config(&self) -> &Arc<ModelConfig> {
        &self.config
    }

    /// The parameters.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The parameters, for an optimiser: values may change, names, order and lengths may not.
    pub fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.params.list[self.layout.embedding].value.device()
    }

    fn vector(&self, index: usize) -> Tensor<1> {
        self.params.list[index].value.clone()
    }

    fn matrix(&self, index: usize) -> Tensor<2> {
        self.reshaped(self.vector(index), index)
    }

    /// Views of the flat tensors in the shapes that the forward pass wants.
    fn weights(&self) -> Weights {
        let matrix = |index| Matrix::new(self.matrix(index));
        let (embedding, vector) = (matrix(self.layout.embedding), |index| self.vector(index));
        let Ok(weights) = gather::<Infallible>(&self.layout, embedding, &|i| Ok(matrix(i)), &|i| Ok(vector(i)));
        weights
    }
}

/// Fetches a parameter by its index.
pub(crate) type Fetch<'a, T, E> = dyn Fn(usize) -> Result<T, E> + 'a;

/// The weights of a layout, one after the other, each fetched through the function of its kind.
pub(crate) fn gather<E>(
    layout: &Layout,
    embedding: Matrix,
    matrix: &Fetch<Matrix, E>,
    vector: &Fetch<Tensor<1>, E>,
) -> Result<Weights, E> {
    let layers = layout.layers.iter().map(|layer| gather_layer(layer, matrix, vector)).collect::<Result<_, E>>()?;
    Ok(Weights { embedding, layers, final_norm: vector(layout.final_norm)? })
}

fn gather_layer<E>(
    layer: &LayerIndex,
    matrix: &Fetch<Matrix, E>,
    vector: &Fetch<Tensor<1>, E>,
) -> Result<LayerWeights, E> {
    let projection = |index: ProjectionIndex| {
        Ok(Projection { weight: matrix(index.weight)?, bias: index.bias.map(vector).transpose()? })
    };
    Ok(LayerWeights {
        input_norm: vector(layer.input_norm)?,
        query: projection(layer.query)?,
        key: projection(layer.key)?,
        value: projection(layer.value)?,
        query_norm: layer.query_norm.map(vector).transpose()?,
        key_norm: layer.key_norm.map(vector).transpose()?,
        output: projection(layer.output)?,
        feed_forward_norm: vector(layer.feed_forward_norm)?,
        gate: projection(layer.gate)?,
        up: projection(layer.up)?,
        down: projection(layer.down)?,
    })
}

/// `[out, in]` of a parameter that is a matrix.
pub(crate) fn matrix_shape(spec: &ParamSpec) -> [usize; 2] {
    let shape = spec.shape.as_slice();
    shape.try_into().unwrap_or_else(|_| panic!("{} is no matrix: {shape:?}", spec.name))
}

/// A model with its tokenizer.
pub struct Loaded {
    /// The model.
    pub model: Transformer,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What a person should know of the files.
    pub warnings: Vec<Warning>,
}

/// [`open`] and [`StoredModel::transformer`] in one.
///
/// Errors: those of both.
pub fn load(path: &Path, device: &Device) -> Result<Loaded> {
    let Opened { model, tokenizer, warnings } = open(path)?;
    Ok(Loaded { model: model.transformer(device)?, tokenizer, warnings })
}

/// A model whose files were opened and checked, with its tokenizer.
pub struct Opened {
    /// The model.
    pub model: StoredModel,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// What a person should know of the files.
    pub warnings: Vec<Warning>,
}

/// Opens the model and the tokenizer of a Hugging Face folder or a GGUF file and ties them to each other.
///
/// Errors: those of [`Transformer::load`] and [`Tokenizer::load`], `TokenizerMismatch`.
pub fn open(path: &Path) -> Result<Opened> {
    let (tokenizer, mut weights, mut warnings) = if path.is_file() {
        let file = Gguf::open(path)?;
        // First, as it says best what kind of file this is.
        let (config, _) = file.config()?;
        let (tokenizer, warnings) = file.tokenizer()?;
        (tokenizer.for_model(&config)?, file.weights()?, warnings)
    } else {
        let config = ModelConfig::load(path)?;
        let tokenizer = Tokenizer::load(path)?.for_model(&config)?;
        (tokenizer, weights::open(path, config)?, Vec::new())
    };
    warnings.append(&mut weights.warnings);
    if let Some(Scaling::Dynamic { .. }) = weights.config.rope.scaling {
        warnings.push(Warning::DynamicRope { positions: weights.config.max_positions });
    }
    Ok(Opened { model: StoredModel(weights), tokenizer, warnings })
}

/// A model whose weights are still in its files.
pub struct StoredModel(StoredWeights);

impl StoredModel {
    /// The shape of the model.
    pub fn config(&self) -> &Arc<ModelConfig> {
        &self.0.config
    }

    /// The model to train, in f32.
    ///
    /// Errors: `Io`, where the files have changed since they were opened.
    pub fn transformer(&self, device: &Device) -> Result<Transformer> {
        Transformer::from_stored(&self.0, device)
    }

    /// The model for generation. One tensor at a time is read and packed, so that little more memory is taken than the
    /// packed weights need.
    ///
    /// Errors: `Io`, where the files have changed since they were opened.
    pub fn inference(&self, dtype: WeightDtype, device: &Device) -> Result<InferenceModel> {
        InferenceModel::from_stored(&self.0, dtype, device)
    }
}
