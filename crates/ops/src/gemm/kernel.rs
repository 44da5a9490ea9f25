//! Which instructions compute a product, and the one process-wide choice of them.
//!
//! Promise: [`current`] is a kernel that this machine can run; it changes only by [`set_kernel`].
//! Takes: the processor's features. Gives: a [`Kernel`].
//! Never: reads the environment.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};

/// A way to compute products. `Avx2`, `Avx512` and `Neon` give the same bits as each other; `Portable`
/// gives them too where the target has fused multiply-add (all but x86-64 without FMA).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kernel {
    /// Plain Rust, vectorised by the compiler for the build target.
    Portable = 0,
    /// f32 with AVX2 and FMA intrinsics. While it is chosen, code beside the products keeps to these vectors as well.
    Avx2 = 1,
    /// f32 with AVX-512 intrinsics.
    Avx512 = 2,
    /// Matrix tiles of bf16 pairs: near-f32 accuracy ([`super::AMX_RELATIVE_ERROR`]).
    Amx = 3,
    /// f32 with NEON intrinsics.
    Neon = 4,
}

/// The kernel asked for does not run on this machine.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0:?} matrix kernel does not run on this machine")]
pub struct KernelMissing(pub Kernel);

const NOT_CHOSEN: u8 = u8::MAX;
static CHOSEN: AtomicU8 = AtomicU8::new(NOT_CHOSEN);

impl Kernel {
    /// Every kernel, slowest first.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512, Self::Amx];

    /// Whether this machine can run it. The answer is found once per process.
    pub fn is_available(self) -> bool {
        static FOUND: OnceLock<[bool; 5]> = OnceLock::new();
        FOUND.get_or_init(|| [true, has_avx2(), has_avx512(), has_amx(), HAS_NEON])[self as usize]
    }

    /// The fastest kernel of this machine.
    pub fn best() -> Self {
        Self::ALL.into_iter().rfind(|k| k.is_available()).unwrap_or(Self::Portable)
    }
}

impl std::fmt::Display for Kernel {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
            Self::Neon => "neon",
        })
    }
}

/// No kernel has this name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no matrix kernel is called {0:?}: there are portable, neon, avx2, avx512 and amx")]
pub struct UnknownKernel(String);

impl std::str::FromStr for Kernel {
    type Err = UnknownKernel;

    fn from_str(name: &str) -> Result<Self, UnknownKernel> {
        let named = |kernel: &Self| kernel.to_string() == name;
        Self::ALL.into_iter().find(named).ok_or_else(|| UnknownKernel(name.to_owned()))
    }
}

/// Makes every later product and packing of this process use `kernel`. Matrices packed before
/// keep theirs. Errors: [`KernelMissing`], and then nothing changes.
pub fn set_kernel(kernel: Kernel) -> Result<(), KernelMissing> {
    if !kernel.is_available() {
        return Err(KernelMissing(kernel));
    }
    CHOSEN.store(kernel as u8, Ordering::Relaxed);
    Ok(())
}

/// The kernel in use: the one that was set, else [`Kernel::best`].
pub fn current() -> Kernel {
    let chosen = CHOSEN.load(Ordering::Relaxed);
    Kernel::ALL.into_iter().find(|k| *k as u8 == chosen).unwrap_or_else(Kernel::best)
}

/// Whether [`set_kernel`] has chosen this very kernel.
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_chosen(kernel: Kernel) -> bool {
    CHOSEN.load(Ordering::Relaxed) == kernel as u8
}

/// Every 64-bit ARM processor has NEON, and fused multiply-add with it.
const HAS_NEON: bool = cfg!(target_arch = "aarch64");

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    has_avx2() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_amx() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const REQUEST_PERMISSION: libc::c_long = 0x1023;
    const TILE_DATA: libc::c_long = 18;
    let edx = std::arch::x86_64::__cpuid_count(7, 0).edx;
    has_avx512()
        && is_x86_feature_detected!("avx512bf16")
        && edx & AMX_BF16 != 0
        && edx & AMX_TILE != 0
        // SAFETY: asks the kernel for leave to use tile registers; it touches no memory of ours.
        && unsafe { libc::syscall(libc::SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) } == 0
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn has_amx() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_amx() -> bool {
    false
}
