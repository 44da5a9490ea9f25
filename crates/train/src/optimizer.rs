//! Applies AdamW to all parameters of a model.
//!
//! Promise: weights are f32, moments what was chosen; nothing moves unless every number of the gradient is finite.

use std::fmt;

use burn::tensor::{DType, Device, Tensor};
use model::{Param, Params};
use ops::{AdamWStep, adamw::takes_moments, adamw_step, host::RawNumbers, sum_of_squares};
use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// Numbers of AdamW; the defaults are prime-rl's, but for the learning rate, which has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Peak learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    #[serde(default = "OptimizerConfig::default_beta1")]
    pub beta1: f64,
    /// Decay of the second moment.
    #[serde(default = "OptimizerConfig::default_beta2")]
    pub beta2: f64,
    /// Added to the root of the second moment.
    #[serde(default = "OptimizerConfig::default_eps")]
    pub eps: f64,
    /// Decoupled weight decay, on matrices only (as Hugging Face's trainers: not on biases and norms).
    #[serde(default = "OptimizerConfig::default_weight_decay")]
    pub weight_decay: f64,
    /// The gradient is scaled down to this norm over all parameters; 0 leaves it.
    #[serde(default = "OptimizerConfig::default_max_grad_norm")]
    pub max_grad_norm: f64,
    /// Format of both moments.
    #[serde(default)]
    pub moments_dtype: MomentsDtype,
}

/// Format of AdamW's moments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentsDtype {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with an 8-bit exponent, rounded at random: half the memory, on the CPU alone.
    Bf16,
}

impl MomentsDtype {
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl fmt::Display for MomentsDtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dtype().name())
    }
}

impl OptimizerConfig {
    /// The defaults with a learning rate.
    pub fn new(lr: f64) -> Self {
        Self {
            lr,
            beta1: Self::default_beta1(),
            beta2: Self::default_beta2(),
            eps: Self::default_eps(),
            weight_decay: Self::default_weight_decay(),
            max_grad_norm: Self::default_max_grad_norm(),
            moments_dtype: MomentsDtype::default(),
        }
    }

    fn default_beta1() -> f64 {
        0.9
    }

    fn default_beta2() -> f64 {
        0.999
    }

    fn default_eps() -> f64 {
        1e-8
    }

    fn default_weight_decay() -> f64 {
        0.01
    }

    fn default_max_grad_norm() -> f64 {
        1.0
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let checks = [
            ("lr", self.lr, 0.0, f64::MAX, "at least 0"),
            ("beta1", self.beta1, 0.0, 1.0 - f64::EPSILON, "at least 0 and below 1"),
            ("beta2", self.beta2, 0.0, 1.0 - f64::EPSILON, "at least 0 and below 1"),
            ("eps", self.eps, f64::MIN_POSITIVE, f64::MAX, "above 0"),
            ("weight_decay", self.weight_decay, 0.0, f64::MAX, "at least 0"),
            ("max_grad_norm", self.max_grad_norm, 0.0, f64::MAX, "at least 0"),
        ];
        match checks.into_iter().find(|(_, given, least, most, _)| !(least..=most).contains(&given)) {
            Some((setting, given, _, _, expected)) => Err(TrainError::OutOfRange { setting, expected, given }),
            None => Ok(()),
        }
    }
}

/// AdamW's memory: two moments per parameter, and how often it moved.
#[derive(Clone, Debug)]
pub(crate) struct Optimizer {
    pub(crate) first: Vec<Tensor<1>>,
    pub(crate) second: Vec<Tensor<1>>,
    pub(crate) updates: u64,
}

impl Optimizer {
    /// Errors: `MomentsNeedCpu`.
    pub(crate) fn new(params: &Params, format: MomentsDtype, device: &Device) -> Result<Self> {
        if !takes_moments(device, format.dtype()) {
            return Err(TrainError::MomentsNeedCpu { given: format, device: format!("{device:?}") });
        }
        let zero = |param: &Param| RawNumbers::zeros(format.dtype(), param.value.dims()[0]).into_tensor(device);
        let zeros = || params.list.iter().map(zero).collect();
        Ok(Self { first: zeros(), second: zeros(), updates: 0 })
    }

    /// Moves the parameters, and lets go of each gradient as it does; gives the norm of the gradient before it was
    /// scaled.
    ///
    /// With `n = sqrt(Σ g²)`: gradients are multiplied by `min(1, max_grad_norm / (n + 1e-6))`.
    /// Source: `torch.nn.utils.clip_grad_norm_`, then `torch.optim.AdamW`.
    ///
    /// Errors: `NonFiniteGradient`; then nothing has moved.
    pub(crate) fn update(
        &mut self,
        params: &mut Params,
        gradients: Vec<Tensor<1>>,
        config: &OptimizerConfig,
        lr: f64,
    ) -> Result<f64> {
        let norm = self.norm(params, &gradients)?;
        let limit = config.max_grad_norm;
        let grad_scale = if limit > 0.0 { (limit / (norm + 1e-6)).min(1.0) } else { 1.0 };
        self.updates += 1;
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((param, gradient), (first, second)) in params.list.iter_mut().zip(gradients).zip(moments) {
            let step = AdamWStep {
                lr: lr as f32,
                beta1: config.beta1 as f32,
                beta2: config.beta2 as f32,
                eps: config.eps as f32,
                weight_decay: if decays(param) { config.weight_decay as f32 } else { 0.0 },
                step: self.updates,
                grad_scale: grad_scale as f32,
            };
            adamw_step(&mut param.value, &gradient, first, second, step);
        }
        Ok(norm)
    }

    fn norm(&self, params: &Params, gradients: &[Tensor<1>]) -> Result<f64> {
        let squares: Vec<f64> = gradients.iter().map(sum_of_squares).collect();
        let norm = squares.iter().sum::<f64>().sqrt();
        if norm.is_finite() {
            return Ok(norm);
        }
        let worst = squares.iter().position(|square| !square.is_finite()).unwrap_or(squares.len() - 1);
        let parameter = params.list[worst].name.clone();
        Err(TrainError::NonFiniteGradient { update: self.updates + 1, given: norm, parameter })
    }
}

fn decays(param: &Param) -> bool {
    param.shape.len() > 1
}
