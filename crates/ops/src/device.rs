//! Opens the device that tensors live on, from a name a person can type.
//!
//! Promise: the CPU is always there; a device that this build cannot reach is refused with
//! the name of the cargo feature that would bring it.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind;
#[cfg(feature = "card")]
use burn::tensor::DeviceType;

/// A device, as named in a run file: `cpu`, `cuda:0`, `wgpu:0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeviceSpec {
    /// This machine's processor.
    #[default]
    Cpu,
    /// An NVIDIA card, by the index that CUDA gives it.
    Cuda(usize),
    /// An adapter of Vulkan, Metal or DirectX, by index: discrete cards first, then integrated and virtual ones, then
    /// adapters in software.
    Wgpu(usize),
}

/// Why a device could not be named or opened.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DeviceError {
    /// The name is not one of the known forms.
    #[error("unknown device {given:?}: expected \"cpu\", \"cuda:INDEX\" or \"wgpu:INDEX\"")]
    UnknownName {
        /// What was given.
        given: String,
    },
    /// The program was built without this kind of device.
    #[error("device {device} needs a build with `--features {feature}`")]
    NotInThisBuild {
        /// The device asked for.
        device: DeviceSpec,
        /// The cargo feature that brings it.
        feature: &'static str,
    },
    /// The machine has no device of that index, or no driver that shows it.
    #[error("device {device}: {found} found of this kind, counted from 0; is its driver installed?")]
    NotFound {
        /// The device asked for.
        device: DeviceSpec,
        /// Devices of this kind that were found.
        found: usize,
    },
}

impl fmt::Display for DeviceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Wgpu(index) => write!(f, "wgpu:{index}"),
        }
    }
}

impl FromStr for DeviceSpec {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::UnknownName { given: text.to_owned() };
        let (kind, index) = match text.split_once(':') {
            Some((kind, index)) => (kind, index.parse().map_err(|_| unknown())?),
            None => (text, 0),
        };
        match kind {
            "cpu" if !text.contains(':') => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(index)),
            "wgpu" => Ok(Self::Wgpu(index)),
            _ => Err(unknown()),
        }
    }
}

impl DeviceSpec {
    /// The device, without automatic differentiation (add it with `Device::autodiff`).
    ///
    /// # Errors
    /// `NotInThisBuild` if the program was built without that kind of device, `NotFound` if the machine has none of that
    /// index.
    pub fn open(&self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Cuda(index) => self.open_cuda(*index),
            Self::Wgpu(index) => self.open_wgpu(*index),
        }
    }

    #[cfg(feature = "cuda")]
    fn open_cuda(&self, index: usize) -> Result<Device, DeviceError> {
        self.nth(index, Device::enumerate(DeviceType::Cuda).into_iter().collect())
    }

    #[cfg(not(feature = "cuda"))]
    fn open_cuda(&self, _index: usize) -> Result<Device, DeviceError> {
        Err(DeviceError::NotInThisBuild { device: *self, feature: "cuda" })
    }

    #[cfg(feature = "wgpu")]
    fn open_wgpu(&self, index: usize) -> Result<Device, DeviceError> {
        let mut found: Vec<Device> = Device::enumerate(DeviceType::Wgpu).into_iter().collect();
        let kinds = [DeviceKind::DiscreteGpu, DeviceKind::IntegratedGpu, DeviceKind::VirtualGpu];
        let count = found.len();
        let cards: Vec<Device> =
            kinds.into_iter().flat_map(|kind| (0..count).map(move |index| Device::wgpu(kind(index)))).collect();
        found.sort_by_key(|device| cards.iter().position(|card| card == device).unwrap_or(cards.len()));
        self.nth(index, found)
    }

    #[cfg(not(feature = "wgpu"))]
    fn open_wgpu(&self, _index: usize) -> Result<Device, DeviceError> {
        Err(DeviceError::NotInThisBuild { device: *self, feature: "wgpu" })
    }

    #[cfg(feature = "card")]
    fn nth(&self, index: usize, devices: Vec<Device>) -> Result<Device, DeviceError> {
        let found = devices.len();
        devices.into_iter().nth(index).ok_or(DeviceError::NotFound { device: *self, found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for name in ["cpu", "cuda:0", "cuda:3", "wgpu:1"] {
            assert_eq!(name.parse::<DeviceSpec>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse(), Ok(DeviceSpec::Cuda(0)));
    }

    #[test]
    fn other_names_are_refused_with_the_name() {
        for name in ["", "gpu", "cpu:0", "cuda:", "cuda:x", "cuda:-1"] {
            let error = name.parse::<DeviceSpec>().unwrap_err();
            assert_eq!(error, DeviceError::UnknownName { given: name.into() });
        }
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_missing_device_names_its_feature() {
        let error = DeviceSpec::Cuda(0).open().unwrap_err();
        assert!(error.to_string().contains("--features cuda"), "{error}");
    }
}
