//! The numbers that all must share to get the same shares.
//!
//! Promise: whatever passes [`YumaTerms::check`] can be computed with.

use protocol::constants::PPM_ONE;
use serde::{Deserialize, Serialize};

use super::error::YumaError;
use super::fixed::Fixed;

/// Which form of the bonds is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// Bonds follow the scores at a bounded speed; the stake enters only when dividends are paid.
    #[default]
    Yuma3,
    /// Bonds follow score times stake, as shares of each worker's column. Ignores the liquid alpha.
    Original,
}

/// A speed of the bonds for each pair of validator and worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiquidAlpha {
    /// Slowest speed per epoch, in 65535ths. The chain's default is 45875 (0.7).
    pub low: u16,
    /// Fastest speed per epoch, in 65535ths. The chain's default is 58982 (0.9).
    pub high: u16,
    /// Steepness of the curve between them, in hundredths. The chain's default is 1000 (that is, 10).
    pub steepness_percent: i16,
}

/// The numbers of one network. Defaults: as on the chain, with the majority at one half.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YumaTerms {
    /// Form of the bonds.
    pub rule: Rule,
    /// Majority of stake that must support a score, in 65535ths.
    pub kappa: u16,
    /// How much of a score above the majority's is taken off before it makes bonds, in 65535ths.
    pub bonds_penalty: u16,
    /// Part of the old bonds that stays, in millionths (0.9 is 900000). The speed is one less this.
    pub bonds_moving_average_ppm: u32,
    /// Speed by pair, instead of the moving average. Only [`Rule::Yuma3`] looks at it.
    pub liquid_alpha: Option<LiquidAlpha>,
    /// Stake below this counts as none, in the unit of the stakes.
    pub stake_min: u64,
}

impl Default for YumaTerms {
    fn default() -> Self {
        Self {
            rule: Rule::Yuma3,
            kappa: 32_767,
            bonds_penalty: u16::MAX,
            bonds_moving_average_ppm: 900_000,
            liquid_alpha: None,
            stake_min: 0,
        }
    }
}

impl YumaTerms {
    /// Refuses a moving average above one, and bounds of the liquid alpha the wrong way round.
    pub fn check(&self) -> Result<(), YumaError> {
        if self.bonds_moving_average_ppm > PPM_ONE {
            let given = self.bonds_moving_average_ppm;
            return Err(YumaError::MovingAverage { limit: PPM_ONE, given });
        }
        match self.liquid_alpha {
            Some(LiquidAlpha { low, high, .. }) if low > high => Err(YumaError::AlphaBounds { low, high }),
            _ => Ok(()),
        }
    }

    /// Speed of the bonds without the liquid alpha: `1 − bonds_moving_average`, the latter rounded down.
    pub fn alpha(&self) -> Fixed {
        let kept = Fixed::from_ratio(u64::from(self.bonds_moving_average_ppm), u128::from(PPM_ONE));
        Fixed::ONE.minus(kept)
    }
}
