//! Times the operations of one training step, and the step as a whole.
//!
//! `cargo run --release -p ops --example ops_speed -- [WIDTH] [ROUNDS] [step] [KERNEL]`: 4 layers, 4 heads,
//! feed-forward 4 x WIDTH, vocabulary 64, a batch of 64 sequences of 64 tokens.
//! Prints milliseconds: the median of the rounds. With `step`, the step alone. KERNEL is a matrix kernel's name.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::{DType, Device, Distribution, Tensor};
use ops::host::RawNumbers;
use ops::{AdamWStep, Heads, Matrix, RotaryTable, Segments};

const LAYERS: usize = 4;
const SEQUENCES: usize = 64;
const LENGTH: usize = 64;
const TOKENS: usize = SEQUENCES * LENGTH;
const VOCABULARY: usize = 64;
const UPDATED: usize = 1 << 26;

/// Median milliseconds of `rounds` runs, after two that are not counted.
fn time(name: &str, rounds: usize, mut run: impl FnMut()) {
    let mut spent = Vec::new();
    for round in 0..rounds + 2 {
        let start = Instant::now();
        run();
        if round >= 2 {
            spent.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    spent.sort_by(f64::total_cmp);
    println!("{name:<44} {:>9.3} ms", spent[spent.len() / 2]);
}

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 0.05), device)
}

/// One leaf per weight, flat, as a model keeps them.
struct Leaf {
    value: Tensor<1>,
    m: Tensor<1>,
    v: Tensor<1>,
    shape: [usize; 2],
}

impl Leaf {
    fn new(shape: [usize; 2], device: &Device) -> Self {
        let count = shape[0] * shape[1];
        let plain = device.clone().inner();
        Self {
            value: random([count], device).require_grad(),
            m: Tensor::zeros([count], &plain),
            v: Tensor::zeros([count], &plain),
            shape,
        }
    }

    fn matrix(&self) -> Matrix {
        Matrix::new(self.table())
    }

    fn table(&self) -> Tensor<2> {
        self.value.clone().reshape(self.shape)
    }

    fn vector(&self) -> Tensor<1> {
        self.value.clone()
    }
}

struct Model {
    embedding: Leaf,
    layers: Vec<[Leaf; 9]>,
    norm: Leaf,
    heads: Heads,
    rotary: RotaryTable,
}

impl Model {
    fn new(width: usize, device: &Device) -> Self {
        let leaf = |rows, columns| Leaf::new([rows, columns], device);
        let inner = 4 * width;
        let layer = |_| {
            [
                leaf(1, width),
                leaf(width, width),
                leaf(width, width),
                leaf(width, width),
                leaf(width, width),
                leaf(1, width),
                leaf(inner, width),
                leaf(inner, width),
                leaf(width, inner),
            ]
        };
        Self {
            embedding: leaf(VOCABULARY, width),
            layers: (0..LAYERS).map(layer).collect(),
            norm: leaf(1, width),
            heads: Heads { query: 4, key_value: 4, head_dim: width / 4 },
            rotary: RotaryTable::new(LENGTH, width / 4, 10_000.0),
        }
    }

    fn loss(&self, ids: &Arc<[u32]>, targets: &Arc<[u32]>) -> Tensor<1> {
        let positions: Arc<[u32]> = (0..TOKENS).map(|t| (t % LENGTH) as u32).collect();
        let segments = Segments::from_lengths(&[LENGTH; SEQUENCES]);
        let mut x = ops::embedding(&self.embedding.matrix(), ids);
        for [norm1, wq, wk, wv, wo, norm2, gate, up, down] in &self.layers {
            let y = ops::rms_norm(x.clone(), &norm1.vector(), 1e-5);
            let [q, k, v] = [wq, wk, wv].map(|w| ops::linear(y.clone(), &w.matrix(), None));
            let turn = |x| ops::rotary(x, &positions, &self.rotary, self.heads.head_dim);
            let y = ops::attention(turn(q), turn(k), v, &segments, self.heads);
            x = x + ops::linear(y, &wo.matrix(), None);
            let y = ops::rms_norm(x.clone(), &norm2.vector(), 1e-5);
            let [gate, up] = [gate, up].map(|w| ops::linear(y.clone(), &w.matrix(), None));
            x = x + ops::linear(ops::swiglu(gate, up), &down.matrix(), None);
        }
        let hidden = ops::rms_norm(x, &self.norm.vector(), 1e-5);
        let temperature = vec![1.0; TOKENS].into();
        let scores = ops::token_logprobs(hidden, &self.embedding.matrix(), targets, &temperature);
        scores.logprob.mean().neg()
    }

    /// Makes one step; gives the milliseconds of forward, backward and update.
    fn step(&mut self, ids: &Arc<[u32]>, targets: &Arc<[u32]>, step: u64) -> [f64; 3] {
        let start = Instant::now();
        let loss = self.loss(ids, targets);
        let forward = start.elapsed();
        let mut gradients = loss.backward();
        let backward = start.elapsed() - forward;
        let leaves = self.layers.iter_mut().flatten();
        for leaf in leaves.chain([&mut self.embedding, &mut self.norm]) {
            let grad = leaf.value.grad_remove(&mut gradients);
            let grad = grad.expect("every leaf takes part");
            ops::adamw_step(&mut leaf.value, &grad, &mut leaf.m, &mut leaf.v, numbers(step));
        }
        let update = start.elapsed() - forward - backward;
        [forward, backward, update].map(|part| part.as_secs_f64() * 1e3)
    }
}

/// Times an operation forward, and forward with backward.
fn both(name: &str, rounds: usize, inputs: &[Tensor<2>], f: impl Fn(&[Tensor<2>]) -> Tensor<2>) {
    time(&format!("{name} forward"), rounds, || drop(f(inputs)));
    let leaves: Vec<_> = inputs.iter().map(|x| Tensor::from_inner(x.clone()).require_grad()).collect();
    time(&format!("{name} forward and backward"), rounds, || {
        drop(f(&leaves).backward());
    });
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |or: usize| arguments.next().map_or(or, |n| n.parse().expect("a number"));
    let (width, rounds) = (number(128), number(20));
    if let Some(kernel) = std::env::args().skip(3).find_map(|argument| argument.parse().ok()) {
        ops::gemm::set_kernel(kernel).expect("this machine has the kernel");
    }
    println!("width {width}, {} threads, {} kernel", rayon::current_num_threads(), ops::gemm::current());
    let whole_step_only = std::env::args().any(|argument| argument == "step");
    if !whole_step_only {
        time_operations(width, rounds);
    }
    time_step(width, rounds);
}

fn time_operations(width: usize, rounds: usize) {
    let device = Device::flex();
    let matrix = |columns| random([TOKENS, columns], &device);
    let weight = |rows, columns| random::<2>([rows, columns], &device);
    let heads = Heads { query: 4, key_value: 4, head_dim: width / 4 };
    let segments = Segments::from_lengths(&[LENGTH; SEQUENCES]);
    let table = RotaryTable::new(LENGTH, width / 4, 10_000.0);
    let positions: Arc<[u32]> = (0..TOKENS).map(|t| (t % LENGTH) as u32).collect();
    let ids: Arc<[u32]> = (0..TOKENS).map(|t| (t * 7919 % VOCABULARY) as u32).collect();

    let inputs = [matrix(width), weight(width, width)];
    both("linear d to d", rounds, &inputs, |x| ops::linear(x[0].clone(), &Matrix::new(x[1].clone()), None));
    let inputs = [matrix(width), weight(4 * width, width)];
    both("linear d to 4d", rounds, &inputs, |x| ops::linear(x[0].clone(), &Matrix::new(x[1].clone()), None));
    let inputs = [matrix(4 * width), weight(width, 4 * width)];
    both("linear 4d to d", rounds, &inputs, |x| ops::linear(x[0].clone(), &Matrix::new(x[1].clone()), None));
    let inputs = [matrix(width), weight(1, width)];
    both("rms_norm", rounds, &inputs, |x| ops::rms_norm(x[0].clone(), &x[1].clone().reshape([width]), 1e-5));
    both("rotary", rounds, &[matrix(width)], |x| ops::rotary(x[0].clone(), &positions, &table, width / 4));
    both("swiglu", rounds, &[matrix(4 * width), matrix(4 * width)], |x| ops::swiglu(x[0].clone(), x[1].clone()));
    let inputs = [matrix(width), matrix(width), matrix(width)];
    both("attention", rounds, &inputs, |x| ops::attention(x[0].clone(), x[1].clone(), x[2].clone(), &segments, heads));
    both("embedding", rounds, &[weight(VOCABULARY, width)], |x| ops::embedding(&Matrix::new(x[0].clone()), &ids));
    both("add (Burn)", rounds, &[matrix(width), matrix(width)], |x| x[0].clone() + x[1].clone());
    let inputs = [matrix(width), weight(VOCABULARY, width)];
    both("token_logprobs", rounds, &inputs, |x| {
        let temperature = vec![1.0; TOKENS].into();
        let scores = ops::token_logprobs(x[0].clone(), &Matrix::new(x[1].clone()), &ids, &temperature);
        scores.logprob.reshape([1, TOKENS])
    });
    time_update(rounds);
}

/// An update of more numbers than any cache holds.
fn time_update(rounds: usize) {
    let device = Device::flex();
    let (mut param, grad) = (random::<1>([UPDATED], &device), random::<1>([UPDATED], &device));
    for dtype in [DType::F32, DType::BF16] {
        let [mut m, mut v] = [0; 2].map(|_| RawNumbers::zeros(dtype, UPDATED).into_tensor(&device));
        let mut step = 0;
        time(&format!("AdamW, 2²⁶ numbers, moments of {}", dtype.name()), rounds, || {
            step += 1;
            ops::adamw_step(&mut param, &grad, &mut m, &mut v, numbers(step));
        });
    }
}

fn numbers(step: u64) -> AdamWStep {
    AdamWStep { lr: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, step, grad_scale: 1.0 }
}

fn time_step(width: usize, rounds: usize) {
    let ids: Arc<[u32]> = (0..TOKENS).map(|t| (t * 7919 % VOCABULARY) as u32).collect();
    let mut model = Model::new(width, &Device::flex().autodiff());
    let (mut step, mut parts) = (0, [0.0; 3]);
    time("whole step", rounds, || {
        step += 1;
        parts = model.step(&ids, &ids, step);
    });
    println!("of the last: forward, backward, update {parts:.1?} ms");
}
