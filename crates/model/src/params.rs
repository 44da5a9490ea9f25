//! The trainable numbers of a model, as flat tensors and as host vectors.
//!
//! Promise: list order and lengths are those of the configuration's layout, always.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use ops::host;

use crate::{
    config::ModelConfig,
    error::{ModelError, Result},
    layout::{Layout, ParamSpec},
};

/// One parameter. The value is flat, so that optimiser, deltas and checkpoints see one kind of
/// tensor; the forward pass reshapes it, which costs nothing.
#[derive(Clone, Debug)]
pub struct Param {
    /// Hugging Face name.
    pub name: String,
    /// Shape, row-major; matrices are `[out, in]`.
    pub shape: Vec<usize>,
    /// The numbers, `[product of shape]`.
    pub value: Tensor<1>,
}

/// All parameters of a model, in the order of its layout.
#[derive(Clone, Debug)]
pub struct Params {
    /// The parameters.
    pub list: Vec<Param>,
}

impl Params {
    pub(crate) fn from_host(specs: &[ParamSpec], values: Vec<Vec<f32>>, device: &Device) -> Self {
        let make = |(spec, values): (&ParamSpec, Vec<f32>)| {
            assert_eq!(values.len(), spec.numel(), "{}: values do not fill its shape", spec.name);
            let length = values.len();
            Param {
                name: spec.name.clone(),
                shape: spec.shape.clone(),
                value: host::from_vec(values, [length], device),
            }
        };
        Self { list: specs.iter().zip(values).map(make).collect() }
    }

    /// How many numbers there are in all.
    pub fn count(&self) -> usize {
        self.list.iter().map(|param| param.shape.iter().product::<usize>()).sum()
    }
}

/// A copy of all weights in host memory: cheap to clone and to send to another thread.
#[derive(Clone, Debug)]
pub struct ModelSnapshot {
    config: Arc<ModelConfig>,
    values: Arc<Vec<Vec<f32>>>,
}

impl ModelSnapshot {
    /// Weights for `config`, `values[i]` being parameter `i` of [`ModelConfig::layout`], flat.
    ///
    /// Errors: `WrongSnapshot` with the first parameter whose length does not fit, `ConfigField`.
    pub fn new(config: Arc<ModelConfig>, values: Vec<Vec<f32>>) -> Result<Self> {
        config.validate()?;
        let specs = Layout::new(&config).specs;
        let lengths = values.iter().map(Vec::len).chain(std::iter::repeat(0));
        if let Some((spec, given)) = specs.iter().zip(lengths).find(|(spec, given)| spec.numel() != *given) {
            return Err(ModelError::WrongSnapshot { tensor: spec.name.clone(), expected: spec.numel(), given });
        }
        if values.len() != specs.len() {
            let tensor = "(the list of all)".into();
            return Err(ModelError::WrongSnapshot { tensor, expected: specs.len(), given: values.len() });
        }
        Ok(Self { config, values: Arc::new(values) })
    }

    pub(crate) fn unchecked(config: Arc<ModelConfig>, values: Vec<Vec<f32>>) -> Self {
        Self { config, values: Arc::new(values) }
    }

    /// The shape of the model.
    pub fn config(&self) -> &Arc<ModelConfig> {
        &self.config
    }

    /// The weights, one flat vector per parameter of [`ModelConfig::layout`].
    pub fn values(&self) -> &[Vec<f32>] {
        &self.values
    }
}
