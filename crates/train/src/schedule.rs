//! Says how large the learning rate is at each update.
//!
//! Promise: a pure function of the update's number; never negative, never above the peak.

use serde::{Deserialize, Serialize};

use crate::error::{Result, TrainError};

/// The shape after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Stays at the peak.
    #[default]
    Constant,
    /// Falls on a straight line to `floor`.
    Linear,
    /// Falls on half a cosine to `floor`.
    Cosine,
}

/// Learning-rate schedule, as a factor on the peak.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The shape after the warm-up.
    pub shape: Shape,
    /// Updates over which the rate rises from `peak / warmup_steps` to the peak.
    pub warmup_steps: u64,
    /// Updates until the fall ends, warm-up included. Unused by `constant`.
    pub total_steps: u64,
    /// Factor that the fall ends at.
    pub floor: f64,
}

impl Schedule {
    /// Errors: `OutOfRange` if a falling shape has no steps to fall over, or the floor is outside 0..=1.
    pub fn validate(&self) -> Result<()> {
        let falls = self.shape != Shape::Constant;
        if falls && self.total_steps <= self.warmup_steps {
            let given = self.total_steps as f64;
            return Err(TrainError::OutOfRange { setting: "total_steps", expected: "above warmup_steps", given });
        }
        if !(0.0..=1.0).contains(&self.floor) {
            return Err(TrainError::OutOfRange { setting: "floor", expected: "within 0 and 1", given: self.floor });
        }
        Ok(())
    }

    /// Factor for update `step`, counted from 0.
    ///
    /// Warm-up of `w`: `(step + 1) / w`, so that the first update already moves (transformers starts at 0).
    /// Then with `x = min(1, (step - w) / (total - w))`: 1, or `floor + (1 - floor)·(1 - x)`, or
    /// `floor + (1 - floor)·(1 + cos πx)/2`. Source: `transformers.get_{constant,linear,cosine}_schedule_with_warmup`.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let fall = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let x = ((step - self.warmup_steps) as f64 / fall).min(1.0);
        let left = match self.shape {
            Shape::Constant => 1.0,
            Shape::Linear => 1.0 - x,
            Shape::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * x).cos()),
        };
        self.floor + (1.0 - self.floor) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_over_the_warm_up_and_falls_to_the_floor() {
        let schedule = Schedule { shape: Shape::Linear, warmup_steps: 4, total_steps: 14, floor: 0.1 };
        let factors: Vec<f64> = [0, 3, 4, 9, 14, 99].map(|step| schedule.factor(step)).into();
        // Half way down: 0.1 + 0.9 · 0.5.
        for (given, expected) in factors.iter().zip([0.25, 1.0, 1.0, 0.55, 0.1, 0.1]) {
            assert!((given - expected).abs() < 1e-12, "{factors:?}");
        }
    }

    #[test]
    fn a_fall_without_steps_is_refused() {
        let schedule = Schedule { shape: Shape::Cosine, warmup_steps: 5, total_steps: 5, floor: 0.0 };
        assert!(matches!(schedule.validate(), Err(TrainError::OutOfRange { setting: "total_steps", .. })));
    }
}
