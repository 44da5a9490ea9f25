//! Which tensors a configuration asks for: their Hugging Face names, shapes and order.
//!
//! Promise: the order is fixed by the configuration alone, so that two machines number the
//! parameters alike.

use crate::config::{Family, ModelConfig};

/// Name and shape of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamSpec {
    /// Hugging Face name, as in the weight files.
    pub name: String,
    /// Shape, row-major; matrices are `[out, in]`.
    pub shape: Vec<usize>,
    /// What the numbers start as in a fresh model.
    pub(crate) start: Start,
}

impl ParamSpec {
    /// How many numbers it holds.
    pub fn numel(&self) -> usize {
        self.shape.iter().product()
    }
}

/// What a parameter starts as in a fresh model, as in transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// Normal with mean 0 and standard deviation `initializer_range`.
    Normal,
    /// Gains of norms.
    One,
    /// Biases.
    Zero,
}

/// A matrix and, where the family has one, its bias; indices into the list of parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProjectionIndex {
    pub(crate) weight: usize,
    pub(crate) bias: Option<usize>,
}

/// Where one decoder layer's parameters are in the list.
#[derive(Clone, Debug)]
pub(crate) struct LayerIndex {
    pub(crate) input_norm: usize,
    pub(crate) query: ProjectionIndex,
    pub(crate) key: ProjectionIndex,
    pub(crate) value: ProjectionIndex,
    pub(crate) query_norm: Option<usize>,
    pub(crate) key_norm: Option<usize>,
    pub(crate) output: ProjectionIndex,
    pub(crate) feed_forward_norm: usize,
    pub(crate) gate: ProjectionIndex,
    pub(crate) up: ProjectionIndex,
    pub(crate) down: ProjectionIndex,
}

/// All parameters of a model, in order, and where each part finds its own.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) specs: Vec<ParamSpec>,
    pub(crate) embedding: usize,
    pub(crate) layers: Vec<LayerIndex>,
    pub(crate) final_norm: usize,
    /// `None` where the head is tied to the embedding.
    pub(crate) head: Option<usize>,
}

impl Layout {
    /// The layout of a valid configuration.
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let mut builder = Builder { specs: Vec::new() };
        let hidden = config.hidden_size;
        let embedding = builder.matrix("model.embed_tokens.weight", config.vocab_size, hidden);
        let layers = (0..config.layers).map(|index| builder.layer(config, index)).collect();
        let final_norm = builder.gain("model.norm.weight", hidden);
        let head = (!config.tied).then(|| builder.matrix("lm_head.weight", config.vocab_size, hidden));
        Self { specs: builder.specs, embedding, layers, final_norm, head }
    }

    /// The parameters of a stage of the forward pass: the embedding, each layer, and the final norm with the head.
    pub(crate) fn stage(&self, stage: usize) -> Vec<usize> {
        match stage.checked_sub(1) {
            None => vec![self.embedding],
            Some(index) if index < self.layers.len() => self.layers[index].params(),
            Some(index) => {
                assert_eq!(index, self.layers.len(), "no stage {stage}");
                vec![self.final_norm, self.head.unwrap_or(self.embedding)]
            }
        }
    }
}

impl LayerIndex {
    fn params(&self) -> Vec<usize> {
        let projections = [self.query, self.key, self.value, self.output, self.gate, self.up, self.down];
        let matrices = projections.into_iter().flat_map(|index| [Some(index.weight), index.bias]);
        let norms = [Some(self.input_norm), self.query_norm, self.key_norm, Some(self.feed_forward_norm)];
        matrices.chain(norms).flatten().collect()
    }
}

struct Builder {
    specs: Vec<ParamSpec>,
}

impl Builder {
    fn push(&mut self, name: impl Into<String>, shape: Vec<usize>, start: Start) -> usize {
        self.specs.push(ParamSpec { name: name.into(), shape, start });
        self.specs.len() - 1
    }

    fn matrix(&mut self, name: impl Into<String>, out: usize, input: usize) -> usize {
        self.push(name, vec![out, input], Start::Normal)
    }

    fn gain(&mut self, name: impl Into<String>, width: usize) -> usize {
        self.push(name, vec![width], Start::One)
    }

    fn projection(&mut self, name: &str, [out, input]: [usize; 2], bias: bool) -> ProjectionIndex {
        let weight = self.matrix(format!("{name}.weight"), out, input);
        let bias = bias.then(|| self.push(format!("{name}.bias"), vec![out], Start::Zero));
        ProjectionIndex { weight, bias }
    }

    fn layer(&mut self, config: &ModelConfig, index: usize) -> LayerIndex {
        let prefix = format!("model.layers.{index}");
        let attention = |part: &str| format!("{prefix}.self_attn.{part}");
        let feed_forward = |part: &str| format!("{prefix}.mlp.{part}");
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (query, key_value) = (config.query_width(), config.key_value_width());
        let head_norms = config.family == Family::Qwen3;
        let bias = config.query_key_value_bias;
        LayerIndex {
            input_norm: self.gain(format!("{prefix}.input_layernorm.weight"), hidden),
            query: self.projection(&attention("q_proj"), [query, hidden], bias),
            key: self.projection(&attention("k_proj"), [key_value, hidden], bias),
            value: self.projection(&attention("v_proj"), [key_value, hidden], bias),
            query_norm: head_norms.then(|| self.gain(attention("q_norm.weight"), config.head_dim)),
            key_norm: head_norms.then(|| self.gain(attention("k_norm.weight"), config.head_dim)),
            output: self.projection(&attention("o_proj"), [hidden, query], config.attention_output_bias),
            feed_forward_norm: self.gain(format!("{prefix}.post_attention_layernorm.weight"), hidden),
            gate: self.projection(&feed_forward("gate_proj"), [inner, hidden], config.feed_forward_bias),
            up: self.projection(&feed_forward("up_proj"), [inner, hidden], config.feed_forward_bias),
            down: self.projection(&feed_forward("down_proj"), [hidden, inner], config.feed_forward_bias),
        }
    }
}
