//! Who waited for what, and how long.
//!
//! Promise: a second counts as waited only if somebody really was idle in it: workers and validators by their own
//! threads, the trainer and the run by what the rules said they could not go on without. Told every few seconds, so
//! that a long run has few such events.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rounds::{Wait, Waiter, Waiting};

use record::events::Event;

/// Least time between two tellings.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// A wait shorter than this since the last telling is not told.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// Time that threads of one kind, all together, had nothing to do.
pub struct IdleTime {
    start: Instant,
    idle: Mutex<Idle>,
}

#[derive(Clone, Copy, Default)]
struct Idle {
    /// Of waits that are over.
    sum: Duration,
    /// Threads that wait now.
    threads: u32,
    /// When these began, summed over them.
    begun: Duration,
}

impl Default for IdleTime {
    fn default() -> Self {
        Self { start: Instant::now(), idle: Mutex::default() }
    }
}

impl IdleTime {
    /// Waits for `wait`, and counts the time.
    pub fn during<T>(&self, wait: impl FnOnce() -> T) -> T {
        let begun = self.start.elapsed();
        self.change(|idle| {
            idle.threads += 1;
            idle.begun += begun;
        });
        let given = wait();
        let now = self.start.elapsed();
        self.change(|idle| {
            idle.threads -= 1;
            idle.begun -= begun;
            idle.sum += now - begun;
        });
        given
    }

    /// All idle time up to now, that of threads which still wait too.
    pub fn total(&self) -> Duration {
        let now = self.start.elapsed();
        let Idle { threads, sum, begun } = *self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // A thread may have begun after `now` was read.
        sum + (now * threads).saturating_sub(begun)
    }

    fn change(&self, change: impl FnOnce(&mut Idle)) {
        change(&mut self.idle.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Somebody, and what it had to wait for.
type Pair = (&'static str, &'static str);

/// What was waited for and is not told.
pub struct Waits {
    seen: Instant,
    told: Instant,
    /// What the rules said when they were last looked at.
    waiting: Vec<Wait>,
    workers_idle: Duration,
    validators_idle: Duration,
    untold: BTreeMap<Pair, Duration>,
    trainer: Duration,
}

impl Waits {
    /// Nothing yet.
    pub fn now() -> Self {
        let now = Instant::now();
        let (waiting, workers_idle, validators_idle, untold, trainer) = Default::default();
        Self { seen: now, told: now, waiting, workers_idle, validators_idle, untold, trainer }
    }

    /// Counts the time since the last look. `is_saving`: the trainer is writing a checkpoint, so it is not idle.
    pub fn look(&mut self, waiting: Vec<Wait>, is_saving: bool, workers: &IdleTime, validators: &IdleTime) {
        let wall = self.seen.elapsed();
        self.seen += wall;
        let workers = grown(&mut self.workers_idle, workers.total());
        let validators = grown(&mut self.validators_idle, validators.total());
        for Wait { who, on } in std::mem::replace(&mut self.waiting, waiting) {
            let Some(on) = thing(on) else { continue };
            match who {
                Waiter::Trainer if is_saving => {}
                Waiter::Trainer => {
                    self.trainer += wall;
                    self.add("trainer", on, wall);
                }
                Waiter::Workers => self.add("workers", on, workers),
                Waiter::Run => self.add("run", on, wall),
            }
        }
        self.add("validators", "groups to check", validators);
    }

    /// How long the trainer had no batch, since it was last asked.
    pub fn take_trainer(&mut self) -> Duration {
        std::mem::take(&mut self.trainer)
    }

    /// What is to be told now; at the end, all that is left.
    pub fn tell(&mut self, is_end: bool) -> Vec<Event> {
        if !is_end && self.told.elapsed() < TELL_EVERY {
            return Vec::new();
        }
        self.told = Instant::now();
        let told = std::mem::take(&mut self.untold).into_iter().filter(|(_, time)| *time >= WAIT_MIN);
        let event = |((who, on), time): (Pair, Duration)| Event::Waited {
            who: who.to_owned(),
            on: on.to_owned(),
            seconds: time.as_secs_f64(),
        };
        told.map(event).collect()
    }

    fn add(&mut self, who: &'static str, on: &'static str, time: Duration) {
        *self.untold.entry((who, on)).or_default() += time;
    }
}

/// By how much a total has grown.
fn grown(seen: &mut Duration, total: Duration) -> Duration {
    let more = total.saturating_sub(*seen);
    *seen = total.max(*seen);
    more
}

/// What is waited for, in words; nothing where nobody waits.
fn thing(on: Waiting) -> Option<&'static str> {
    match on {
        Waiting::Start | Waiting::Finished { .. } => None,
        Waiting::Groups { in_flight: 0, checking: 1.., .. } => Some("checks"),
        Waiting::Groups { .. } => Some("generation"),
        Waiting::Trainer { .. } => Some("the trainer"),
        Waiting::Weights { .. } => Some("new weights"),
        Waiting::Slots { .. } => Some("a free lease (rollout.in_flight_max)"),
        Waiting::Checkpoint { .. } => Some("a checkpoint"),
        Waiting::Eval { .. } => Some("a held-out score"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn idle_time_of_two_threads_adds_up_while_they_wait_and_after() {
        let idle = IdleTime::default();
        let nap = Duration::from_millis(30);
        let [(first, one), (second, other)] = [(); 2].map(|()| channel::<()>());
        thread::scope(|scope| {
            for order in [one, other] {
                let idle = &idle;
                scope.spawn(move || idle.during(|| order.recv().is_err()));
            }
            while idle.idle.lock().unwrap().threads < 2 {
                thread::yield_now();
            }
            let before = idle.total();
            thread::sleep(nap);
            assert!(idle.total() - before >= 2 * nap);
            drop((first, second));
        });
        let after = idle.total();
        assert!(after >= 2 * nap);
        thread::sleep(nap);
        assert_eq!(idle.total(), after, "nobody waits any more");
    }

    #[test]
    fn time_counts_for_what_was_waited_for_when_it_began() {
        let (idle, mut waits) = (IdleTime::default(), Waits::now());
        let on_groups = Waiting::Groups { have: 0, need: 4, in_flight: 0, checking: 4 };
        waits.look(vec![Wait { who: Waiter::Trainer, on: on_groups }], false, &idle, &idle);
        thread::sleep(Duration::from_millis(5));
        waits.look(vec![], false, &idle, &idle);
        thread::sleep(Duration::from_millis(5));
        waits.look(vec![], false, &idle, &idle);
        assert_eq!(waits.tell(false), [], "it is too early to tell");
        let [Event::Waited { who, on, seconds }] = &waits.tell(true)[..] else { panic!("one wait is told") };
        assert_eq!((who.as_str(), on.as_str()), ("trainer", "checks"));
        assert!(*seconds >= 0.005 && (*seconds - waits.take_trainer().as_secs_f64()).abs() < 1e-9);
        assert_eq!(waits.tell(true), []);
    }
}
