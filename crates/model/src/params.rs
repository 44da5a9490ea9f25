//! The trainable numbers of a model, as flat tensors and as host vectors.
//!
//! Promise: list order and lengths are those of the configuration's layout, always.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};
use ops::host::Floats;

use crate::{
    config::ModelConfig,
    error::{ModelError, Result},
    inference::PackedWeights,
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
    pub(crate) fn from_host(specs: &[ParamSpec], values: Vec<Floats>, device: &Device) -> Self {
        let make = |(spec, values): (&ParamSpec, Floats)| {
            assert_eq!(values.len(), spec.numel(), "{}: values do not fill its shape", spec.name);
            Param { name: spec.name.clone(), shape: spec.shape.clone(), value: values.tensor(device) }
        };
        Self { list: specs.iter().zip(values).map(make).collect() }
    }

    /// How many numbers there are in all.
    pub fn count(&self) -> usize {
        self.list.iter().map(|param| param.shape.iter().product::<usize>()).sum()
    }
}

/// All weights as they were at one moment, in host memory: cheap to clone and to send to another thread.
///
/// On the CPU it shares the numbers of the model that it was taken of, until that is trained on; models that are packed
/// of one snapshot, in one format, share what is packed.
#[derive(Clone, Debug)]
pub struct ModelSnapshot {
    config: Arc<ModelConfig>,
    values: Arc<Vec<Floats>>,
    packed: Arc<PackedWeights>,
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
        Ok(Self::unchecked(config, values.into_iter().map(Floats::from).collect()))
    }

    pub(crate) fn unchecked(config: Arc<ModelConfig>, values: Vec<Floats>) -> Self {
        Self { config, values: Arc::new(values), packed: Arc::default() }
    }

    /// The shape of the model.
    pub fn config(&self) -> &Arc<ModelConfig> {
        &self.config
    }

    /// The weights, one flat vector per parameter of [`ModelConfig::layout`].
    pub fn values(&self) -> &[Floats] {
        &self.values
    }

    /// A copy of the weights that can be changed, for [`ModelSnapshot::new`].
    pub fn to_vecs(&self) -> Vec<Vec<f32>> {
        self.values.iter().map(|values| values.to_vec()).collect()
    }

    pub(crate) fn packed(&self) -> &PackedWeights {
        &self.packed
    }
}
