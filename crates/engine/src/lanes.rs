//! Computes the sequences of one step side by side, each part on one thread.
//!
//! Promise: the same bits as in one piece, since a row's bits do not depend on its neighbours.
//! Why: a small model's step is made of dozens of products that take microseconds each; shared among
//! threads one by one, waking and waiting costs as much as they save. Halves of the batch need one
//! meeting per step. Large models are left in one piece: their weights are read from memory once
//! per step, not once per part.

use std::sync::OnceLock;

use burn::tensor::Tensor;
use model::{InferenceModel, ParamSpec};
use ops::KvPool;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::engine::Input;
use crate::schedule::Chunk;

/// Models with more weights than this are computed in one piece: about what stays in a core's share
/// of the cache as f32.
const WEIGHTS_MAX: usize = 8 << 20;
/// Fewest rows that are worth a part of their own: the height of a matrix tile.
const ROWS_MIN: usize = 16;

/// One thread per part; none until they are needed.
pub(crate) struct Lanes {
    /// Whether the model is small and its cache can be shared.
    worthwhile: bool,
    pools: OnceLock<Vec<ThreadPool>>,
}

impl Lanes {
    pub(crate) fn new(model: &InferenceModel, cache: &KvPool) -> Self {
        let weights: usize = model.config().layout().iter().map(ParamSpec::numel).sum();
        Self { worthwhile: weights <= WEIGHTS_MAX && cache.share().is_some(), pools: OnceLock::new() }
    }

    /// The parts of a step: one, unless every sequence of a small model gets one token. Only then is it
    /// certain that no sequence reads what another one writes in the same step.
    pub(crate) fn parts<'a>(&self, chunks: &'a [Chunk]) -> Vec<&'a [Chunk]> {
        let decoding = chunks.iter().all(|chunk| chunk.count == 1 && chunk.past > 0);
        let threads = rayon::current_num_threads();
        let parts = (chunks.len() / ROWS_MIN).min(threads);
        if !self.worthwhile || !decoding || parts < 2 || self.pools(threads).len() < parts {
            return vec![chunks];
        }
        chunks.chunks(chunks.len().div_ceil(parts)).collect()
    }

    /// Computes each part on its own thread and lays the results end to end.
    pub(crate) fn run(&self, model: &InferenceModel, cache: &KvPool, inputs: &[Input]) -> Tensor<2> {
        let mut hidden: Vec<Option<Tensor<2>>> = inputs.iter().map(|_| None).collect();
        let jobs: Vec<_> = inputs.iter().zip(&mut hidden).collect();
        let pools = self.pools.get().map_or(&[][..], Vec::as_slice);
        side_by_side(pools, jobs, &|(input, hidden)| {
            let mut cache = cache.share().expect("parts are made only of a pool on the CPU");
            *hidden = Some(input.hidden(model, &mut cache));
        });
        Tensor::cat(hidden.into_iter().flatten().collect(), 0)
    }

    /// Threads that cannot be started are done without.
    fn pools(&self, threads: usize) -> &[ThreadPool] {
        self.pools.get_or_init(|| {
            let one = |_| ThreadPoolBuilder::new().num_threads(1).build().ok();
            (0..threads).map_while(one).collect()
        })
    }
}

/// Runs one job on each pool and waits for all.
fn side_by_side<J: Send>(pools: &[ThreadPool], mut jobs: Vec<J>, run: &(impl Fn(J) + Sync)) {
    let (Some(job), Some((pool, rest))) = (jobs.pop(), pools.split_first()) else { return };
    pool.in_place_scope(|scope| {
        scope.spawn(move |_| run(job));
        side_by_side(rest, jobs, run);
    });
}
