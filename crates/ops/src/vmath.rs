//! Vectorised elementary functions on f32, and the door to wide registers.
//!
//! Promise: every function gives the same bits on every machine and for every slice length:
//! one polynomial, fused multiply-adds throughout, no reassociation.
//! Takes: slices. Gives: the function of each element, in place.
//! Never: calls the platform's mathematical library (except for `fma` on machines without one).

/// Largest error of [`exp_f32`] in units in the last place, over every f32 whose exponential is a
/// normal number. Measured against f64 `exp` over all of them: 1.0104 (see
/// `exp_is_within_its_stated_error`, which walks a subset).
pub const EXP_ULP_MAX: f64 = 1.02;

const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// `ln 2` in two parts; the first has few bits, so that `n · LN2_HIGH` is exact.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
/// Adding 1.5·2²³ leaves the nearest integer in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;
/// Cephes `expf` polynomial: `(eʳ - 1 - r) / r²` on `|r| ≤ ln(2)/2`, highest power first.
const EXP_POLY: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 5.0e-1];

/// `eˣ`. Overflow gives infinity, underflow passes through the subnormals to 0, NaN stays NaN.
///
/// `x = n·ln 2 + r`, `eˣ = 2ⁿ · eʳ`. Branch-free: inside [`vectorized`] a loop over it becomes
/// vector code; outside, each fused multiply-add may be a library call.
#[inline(always)]
pub fn exp_f32(x: f32) -> f32 {
    // e^89 overflows and e^-104 rounds to 0 by themselves in the last two products.
    let x = x.clamp(-104.0, 89.0);
    let shifted = x.mul_add(LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-LN2_LOW, n.mul_add(-LN2_HIGH, x));
    let mut p = EXP_POLY[0];
    for c in &EXP_POLY[1..] {
        p = p.mul_add(r, *c);
    }
    let e_r = p.mul_add(r * r, r) + 1.0;
    // 2ⁿ in two factors, each a normal number for every n that the clamp lets through.
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i32;
    let half = n >> 1;
    let power = |e: i32| f32::from_bits((e.wrapping_add(127) as u32) << 23);
    e_r * power(half) * power(n.wrapping_sub(half))
}

/// `xᵢ ← e^{xᵢ}` for every element.
pub fn exp_slice(values: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || values.iter_mut().for_each(|v| *v = exp_f32(*v)),
    );
}

/// Kinds of vectors that code is written for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vectors {
    /// What every machine of the build target has.
    Target,
    /// 256 bits, with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512 bits.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The widest vectors of this machine, and none wider than those of AVX2 while that kernel is chosen: then a machine with
/// more computes as one without.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn widest() -> Vectors {
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq")
        && !crate::gemm::is_chosen(crate::gemm::Kernel::Avx2)
    {
        return Vectors::Avx512;
    }
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        return Vectors::Avx2;
    }
    Vectors::Target
}

/// The vectors of this machine.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn widest() -> Vectors {
    Vectors::Target
}

/// Runs `body` compiled for the widest vectors of this machine. Mark the closure and what it calls `#[inline(always)]`,
/// else nothing is gained. The choice changes speed only: without explicit reassociation the bits are the same.
#[inline]
pub fn vectorized<R>(body: impl FnOnce() -> R) -> R {
    match widest() {
        // SAFETY: these vectors were found on this machine.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { with_avx512(body) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { with_avx2(body) },
        Vectors::Target => body(),
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
fn with_avx512<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ulp_error(x: f32, given: f32) -> f64 {
        let exact = f64::from(x).exp();
        let below = exact as f32;
        let ulp = f64::from(f32::from_bits(below.to_bits() + 1)) - f64::from(below);
        ((f64::from(given) - exact) / ulp).abs()
    }

    #[test]
    fn exp_is_within_its_stated_error() {
        // A prime stride through the bit patterns visits every exponent and many mantissas.
        let mut worst = 0.0f64;
        for bits in (0..u32::MAX).step_by(1009) {
            let x = f32::from_bits(bits);
            if (-87.33..88.72).contains(&x) {
                let mut one = [x];
                exp_slice(&mut one);
                worst = worst.max(ulp_error(x, one[0]));
            }
        }
        assert!(worst <= EXP_ULP_MAX, "worst error {worst} ulp");
        assert!(worst > 0.5, "the error was not measured");
    }

    #[test]
    fn exp_handles_the_ends_of_the_line() {
        assert_eq!(exp_f32(0.0), 1.0);
        assert_eq!(exp_f32(89.0), f32::INFINITY);
        assert_eq!(exp_f32(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp_f32(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp_f32(-104.0), 0.0);
        assert!(exp_f32(-100.0) > 0.0, "a subnormal, not 0");
        assert!(exp_f32(f32::NAN).is_nan());
    }

    #[test]
    fn wide_and_narrow_code_give_the_same_bits() {
        let values: Vec<f32> = (0..4001).map(|i| (i as f32 - 2000.0) * 0.0517).collect();
        let mut wide = values.clone();
        exp_slice(&mut wide);
        for (x, w) in values.iter().zip(&wide) {
            assert_eq!(exp_f32(*x).to_bits(), w.to_bits(), "at {x}");
        }
    }
}
