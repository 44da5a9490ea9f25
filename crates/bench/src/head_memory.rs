//! Peak extra memory of the fused head and loss, counted by the allocator.
//!
//! Extra means: above what was held before the call, less the two gradients that any
//! implementation must return (`[tokens, width]` and `[vocabulary, width]`).

use std::alloc::{GlobalAlloc, Layout};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use burn::tensor::Tensor;
use clap::Args;
use mimalloc::MiMalloc;
use ops::{DeviceSpec, Matrix, host};
use serde_json::{Value, json};

/// mimalloc that knows how many bytes are held and the most that were.
pub(crate) struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to mimalloc, which is a correct allocator; counting does
// not touch the memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { MiMalloc.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: as in `alloc`.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about `pointer` and `layout` is passed on.
        unsafe { MiMalloc.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grow(size);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise about the arguments is passed on.
        unsafe { MiMalloc.realloc(pointer, layout, size) }
    }
}

fn grow(bytes: usize) {
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(held, Ordering::Relaxed);
}

/// What to measure.
#[derive(Args)]
pub(crate) struct HeadMemoryArguments {
    /// Rows of logits.
    #[arg(long, default_value_t = 2048)]
    tokens: usize,
    /// Entries of the vocabulary.
    #[arg(long, default_value_t = 151_936)]
    vocabulary: usize,
    /// Width of the hidden state.
    #[arg(long, default_value_t = 896)]
    width: usize,
}

/// One forward and backward of logprobs and entropies over the whole vocabulary.
pub(crate) fn measure(arguments: &HeadMemoryArguments) -> Result<Value> {
    let HeadMemoryArguments { tokens, vocabulary, width } = *arguments;
    let device = DeviceSpec::Cpu.open()?.autodiff();
    let fill = |count: usize| (0..count).map(|i| ((i * 7919) % 1000) as f32 * 1e-4 - 0.05).collect::<Vec<f32>>();
    let hidden: Tensor<2> = host::from_vec(fill(tokens * width), [tokens, width], &device).require_grad();
    let table: Tensor<2> = host::from_vec(fill(vocabulary * width), [vocabulary, width], &device).require_grad();
    let targets: Arc<[u32]> = (0..tokens).map(|i| (i * 31 % vocabulary) as u32).collect();
    let temperature: Arc<[f32]> = vec![1.0; tokens].into();
    let before = HELD.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let head = Matrix::new(table.clone());
    let scores = ops::token_logprobs(hidden.clone(), &head, &targets, &temperature);
    let gradients = (scores.logprob.mean() + scores.entropy.mean() * 0.01).backward();
    let most = MOST.load(Ordering::Relaxed) - before;
    anyhow::ensure!(hidden.grad(&gradients).is_some() && table.grad(&gradients).is_some(), "no gradient came back");
    let gradient_bytes = (tokens + vocabulary) * width * size_of::<f32>();
    let extra = most.saturating_sub(gradient_bytes);
    Ok(json!({
        "megabytes": extra as f64 / 1e6,
        "logits_megabytes": (tokens * vocabulary * size_of::<f32>()) as f64 / 1e6,
        "gradient_megabytes": gradient_bytes as f64 / 1e6,
    }))
}
