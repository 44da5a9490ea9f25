//! Many simulations on all cores.
//!
//! Promise: the report depends on the options alone, not on threads or order. Each simulation runs in one
//! thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::ThreadPoolBuilder;

use crate::SimError;
use crate::liars::Cheat;
use crate::network::Faults;
use crate::report::{Report, Row};
use crate::simulation::{Manner, Outcome, Simulation};
use crate::world::World;

/// Worlds that the seeds share: the weights and keys of a simulation are those of world `seed mod WORLDS`.
const WORLDS: u64 = 4;

/// What to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds, each with each cheat.
    pub seeds: u64,
    /// The cheats; `None` is a network of honest parties.
    pub cheats: Vec<Option<Cheat>>,
    /// What goes wrong.
    pub faults: Faults,
    /// Threads, at least 1.
    pub threads: usize,
    /// Whether honest actors may answer from memory what they computed in an earlier simulation. Changes
    /// nothing but the time.
    pub remembers: bool,
}

impl Options {
    /// Seeds 0, 1, … with every cheat and with none, all faults, on as many threads as there are cores.
    #[must_use]
    pub fn new(seeds: u64) -> Self {
        Self {
            first_seed: 0,
            seeds,
            cheats: [None].into_iter().chain(Cheat::ALL.iter().copied().map(Some)).collect(),
            faults: Faults::ALL,
            threads: std::thread::available_parallelism().map_or(1, Into::into),
            remembers: true,
        }
    }

    fn manner(&self) -> Manner {
        Manner { faults: self.faults, remembers: self.remembers, traces: false }
    }
}

/// One simulation, told line by line.
#[derive(Clone, Debug)]
pub struct Trace {
    /// What happened, each with its virtual time.
    pub lines: Vec<String>,
    /// Its row of the table.
    pub report: Report,
}

/// Simulates every cheat with every seed.
///
/// Errors: `World`, `Threads`. What goes wrong in a simulation is in the report.
pub fn sweep(options: &Options) -> Result<Report, SimError> {
    sweep_telling(options, &|_| ())
}

/// The same; `tell` hears after each simulation how many have begun.
///
/// Errors: as [`sweep`].
pub fn sweep_telling(options: &Options, tell: &(dyn Fn(u64) + Sync)) -> Result<Report, SimError> {
    let worlds = worlds(options.first_seed, options.seeds)?;
    let cheats = &options.cheats;
    // All cheats of a seed follow each other, for they have rollouts in common.
    let jobs = options.seeds as usize * cheats.len();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let job = next.fetch_add(1, Ordering::Relaxed);
            if job >= jobs {
                return done;
            }
            let (seed, column) = (options.first_seed + (job / cheats.len()) as u64, job % cheats.len());
            let world = world_of(&worlds, seed);
            let simulation = Simulation::new(world, seed, cheats[column], options.manner());
            done.push((column, seed, simulation.run().0));
            tell(next.load(Ordering::Relaxed).min(jobs) as u64);
        }
    };
    let done = on_threads(options.threads, work)?;
    Ok(report(cheats, done))
}

/// One simulation with a trace.
///
/// Errors: `World`, `Threads`.
pub fn trace(seed: u64, cheat: Option<Cheat>, faults: Faults) -> Result<Trace, SimError> {
    let worlds = worlds(seed, 1)?;
    let manner = Manner { faults, remembers: true, traces: true };
    let work = || Simulation::new(world_of(&worlds, seed), seed, cheat, manner).run();
    let (outcome, lines) = on_threads(1, || vec![work()])?.pop().expect("one thread gives one result");
    Ok(Trace { lines, report: report(&[cheat], vec![(0, seed, outcome)]) })
}

fn worlds(first_seed: u64, seeds: u64) -> Result<Vec<Option<Arc<World>>>, SimError> {
    let needed = |number: u64| (first_seed..first_seed + seeds.min(WORLDS)).any(|seed| seed % WORLDS == number);
    let make = |number| World::new(number).map(|world| Some(Arc::new(world)));
    (0..WORLDS).map(|number| if needed(number) { make(number) } else { Ok(None) }).collect()
}

fn world_of(worlds: &[Option<Arc<World>>], seed: u64) -> Arc<World> {
    worlds[(seed % WORLDS) as usize].clone().expect("made for every seed of the sweep")
}

/// Runs `work` in so many threads; each has a pool of its own, of one thread, so that parallel parts of
/// a simulation stay in it.
fn on_threads<T: Send>(threads: usize, work: impl Fn() -> Vec<T> + Sync) -> Result<Vec<T>, SimError> {
    let pools: Result<Vec<_>, _> =
        (0..threads.max(1)).map(|_| ThreadPoolBuilder::new().num_threads(1).build()).collect();
    let pools = pools.map_err(|error| SimError::Threads(error.to_string()))?;
    let work = &work;
    Ok(std::thread::scope(|scope| {
        let running: Vec<_> = pools.iter().map(|pool| scope.spawn(move || pool.install(work))).collect();
        let join = |handle: std::thread::ScopedJoinHandle<'_, Vec<T>>| handle.join();
        running.into_iter().flat_map(|one| join(one).unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }))
}

fn report(cheats: &[Option<Cheat>], mut done: Vec<(usize, u64, Outcome)>) -> Report {
    done.sort_by_key(|(column, seed, _)| (*column, *seed));
    let mut report = Report { rows: cheats.iter().map(|&cheat| Row::new(cheat)).collect(), ..Report::default() };
    for (column, seed, outcome) in done {
        report.add(column, seed, outcome);
    }
    report
}
