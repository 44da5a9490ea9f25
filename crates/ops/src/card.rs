//! Kernels of our own for cards, in CubeCL: what is slow or impossible in plain Burn operations.
//!
//! Promise: integers are those of the CPU, bit for bit.

use burn::backend::Cube;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::{calculate_cube_count_elemwise, prelude::*};
use proof::Noise;

use crate::kernels::Kernels;

/// Plain Burn operations, but for what is written here.
pub(crate) struct Card;

impl Kernels for Card {
    fn noise_bound(&self, noise: &[Noise], vocabulary: usize, device: &Device) -> Tensor<2> {
        let generators: Vec<i32> = noise.iter().flat_map(Noise::generator).map(u32::cast_signed).collect();
        // Of one dimension, for the rows of a matrix may lie apart in a card's memory.
        let generators = TensorData::new(generators, [4 * noise.len()]);
        let generators = Tensor::<1, Int>::from_data(generators, device).try_into_primitive::<Cube>();
        let bounds = Tensor::<1>::empty([noise.len() * vocabulary], device).try_into_primitive::<Cube>();
        let (generators, bounds) = generators.ok().zip(bounds.ok()).expect("the caller saw that this is a card");
        assert_eq!(generators.elem_size(), 4, "our bug: a card holds integers of another size");
        let blocks = vocabulary.div_ceil(BLOCK);
        let units = noise.len() * blocks;
        let client = bounds.client.clone();
        let cube_dim = CubeDim::new(&client, units);
        let cube_count = calculate_cube_count_elemwise(&client, units, cube_dim);
        noise_bounds::launch(
            &client,
            cube_count,
            cube_dim,
            generators.into_buffer_arg(),
            bounds.clone().into_buffer_arg(),
            vocabulary as u32, // ids are u32
            blocks as u32,
        );
        Tensor::<1>::from_primitive::<Cube>(bounds).reshape([noise.len(), vocabulary])
    }
}

/// Tokens whose words one block of the generator gives.
const BLOCK: usize = 4;

/// A block of Philox4x32-10 for each unit, and from each of its words the bound of a token's noise; see [`Noise`].
#[cube(launch)]
fn noise_bounds(generators: &[u32], bounds: &mut [f32], vocabulary: u32, blocks: u32) {
    let row = ABSOLUTE_POS as u32 / blocks;
    let block = ABSOLUTE_POS as u32 % blocks;
    let at = (row * 4) as usize;
    if at < generators.len() {
        let mut k0 = generators[at];
        let mut k1 = generators[at + 1];
        let mut c0 = block;
        let mut c1 = 0u32;
        let mut c2 = generators[at + 2];
        let mut c3 = generators[at + 3];
        for _ in 0..10u32 {
            let first_high = c0.mul_hi(0xD251_1F53u32);
            let first_low = c0 * 0xD251_1F53u32;
            let second_high = c2.mul_hi(0xCD9E_8D57u32);
            let second_low = c2 * 0xCD9E_8D57u32;
            c0 = second_high ^ c1 ^ k0;
            c1 = second_low;
            c2 = first_high ^ c3 ^ k1;
            c3 = first_low;
            k0 += 0x9E37_79B9u32;
            k1 += 0xBB67_AE85u32;
        }
        let token = block * 4;
        let start = (row * vocabulary + token) as usize;
        bounds[start] = bound_of_word(c0);
        if token + 1 < vocabulary {
            bounds[start + 1] = bound_of_word(c1);
        }
        if token + 2 < vocabulary {
            bounds[start + 2] = bound_of_word(c2);
        }
        if token + 3 < vocabulary {
            bounds[start + 3] = bound_of_word(c3);
        }
    }
}

/// `-ln(-ln(1 - t))`, `t = (2^32 - 1 - word) / 2^32`. Where `t` is small it is `-ln t - t/2` to `t²`, since there f32 cannot
/// hold `1 - t` well.
#[cube]
fn bound_of_word(word: u32) -> f32 {
    let rest = 0xFFFF_FFFFu32 - word;
    let t = f32::cast_from(rest) * 2.328_306_4e-10;
    let mut bound = f32::new(45.06); // NOISE_MAX
    if rest >= 0x0080_0000u32 {
        let u = (f32::cast_from(word) + 1.0) * 2.328_306_4e-10;
        bound = -(-u.ln()).ln();
    } else if rest > 0u32 {
        bound = -t.ln() - t * 0.5;
    }
    bound
}
