//! What a conductor makes of workers that fail, or lie, by themselves.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use verify::Answer;

use super::*;
use crate::config::{self, RunConfig};
use crate::context::{Context, Global};
use crate::run::memory::Kind;
use crate::run::messages::QueueSizes;
use crate::run::{Ready, Stage, begin_journal, desk, limits, perform, prepare, stage};
use record::run_dir::{self, RunDir};

/// Two workers and a model that is made in a blink.
const SETS: [&str; 6] = [
    "model.random={hidden=32,layers=1,heads=2,kv_heads=1,ff=64}",
    "workers.count=2",
    "sft.steps=0",
    "eval.items=1",
    "run.mode=async",
    "stop.steps=2",
];

fn config() -> RunConfig {
    let sets = SETS.map(str::to_owned).to_vec();
    config::resolve(&config::Sources { sets, ..config::Sources::default() }).unwrap()
}

/// Room for all that a test orders.
const ROOM: usize = 256;

/// A run in this folder that is about to give out its first leases.
fn begun(folder: &Path) -> (Stage, Journal, Ready) {
    let dir = RunDir::create_at(folder).unwrap();
    let context = Context { global: Global { quiet: true, ..Global::default() }, stop: Stop::new() };
    let (stage, model) = stage(config(), Kind::Rl, dir, context.stop.clone()).unwrap();
    let mut journal = begin_journal(&stage, &model, 2, &context).unwrap();
    let ready = prepare(&stage, model, &mut journal).unwrap().unwrap();
    (stage, journal, ready)
}

/// Hands a conductor that has given out its first leases to `body`; gives what the log then holds.
fn conducted(body: impl FnOnce(&mut Conductor<'_>)) -> Vec<Event> {
    conducted_with(ROOM, body)
}

/// The same with queues of workers and validators that hold `room` orders.
fn conducted_with(room: usize, body: impl FnOnce(&mut Conductor<'_>)) -> Vec<Event> {
    let place = tempfile::tempdir().unwrap();
    let (stage, mut journal, ready) = begun(place.path());
    let (orders, _ears) = orders(&stage, room);
    let (_voice, news) = sync_channel(ROOM);
    let mut conductor = Conductor {
        desk: desk(&stage, &ready.terms),
        rounds: ready.rounds,
        journal: &mut journal,
        shelf: ready.shelf,
        prompting: stage.prompting.clone(),
        versions: ready.versions,
        evals: BTreeMap::new(),
        orders,
        news,
        work: Arc::new(WorkCount::default()),
        tally: ready.tally,
        cheats: BTreeMap::new(),
        paymaster: None,
        stop: stage.stop.clone(),
        limits: limits(&stage),
        checkpoints: stage.dir.checkpoints(),
        keep: 1,
        steps_max: 2,
        progress: Progress::default(),
    };
    conductor.feed(Rule::Started).unwrap();
    body(&mut conductor);
    let mut events = Vec::new();
    let log = record::store::EventLog::open_to_read(&run_dir::events_path(place.path())).unwrap();
    log.replay(1, |recorded| {
        events.push(recorded.event);
        anyhow::Ok(())
    })
    .unwrap();
    events
}

/// The other ends of the channels, which must stay open.
type Ears = (
    Vec<Receiver<WorkerOrder>>,
    Vec<Receiver<ValidatorOrder>>,
    Receiver<TrainOrder>,
    Receiver<EvalOrder>,
    Receiver<BeaconOrder>,
);

fn orders(stage: &Stage, room: usize) -> (Orders, Ears) {
    let (workers, heard) = (0..stage.config.workers.count).map(|_| sync_channel(room)).unzip();
    let (validators, asked) = (0..stage.config.verify.validators).map(|_| sync_channel(room)).unzip();
    let (trainer, trained) = sync_channel(ROOM);
    let (evaluator, evaluated) = sync_channel(ROOM);
    let (beacon, drawn) = sync_channel(ROOM);
    (Orders { workers, validators, trainer, evaluator, beacon }, (heard, asked, trained, evaluated, drawn))
}

fn answer(conductor: &mut Conductor<'_>, worker: WorkerId, lease: u64, bytes: Result<Vec<u8>, String>) {
    conductor.hear(News::Answered { worker, answer: Answer { lease, tokens: 0, bytes } }).unwrap();
}

fn of(conductor: &Conductor<'_>, worker: WorkerId) -> u64 {
    let mut leased = conductor.progress.leased.iter();
    *leased.find(|(_, holder)| **holder == worker).unwrap().0
}

#[test]
fn a_worker_can_give_up_its_own_leases_only_and_is_quoted_briefly() {
    let mut leases = (0, 0);
    let events = conducted(|conductor| {
        leases = (of(conductor, 0), of(conductor, 1));
        answer(conductor, 1, leases.0, Err("not mine".to_owned()));
        answer(conductor, 1, leases.1, Err("x".repeat(10_000)));
    });
    let failed = events.iter().filter_map(|event| match event {
        Event::Rules { rules: Rule::GroupFailed { lease, cause } } => Some((*lease, cause.len())),
        _ => None,
    });
    assert_eq!(failed.collect::<Vec<_>>(), [(leases.1, 200)]);
}

#[test]
fn a_worker_that_was_fined_is_heard_and_logged_no_more() {
    let mut before = 0;
    let events = conducted(|conductor| {
        answer(conductor, 1, 0, Ok(vec![0; 100]));
        before = conductor.journal.log().last_seq();
        (0..5).for_each(|_| answer(conductor, 1, 0, Ok(vec![0; 100])));
        answer(conductor, 1, 0, Err("and so on".to_owned()));
    });
    let fined = events.iter().filter(|event| matches!(event, Event::Fined(fined) if fined.party == Party::Worker(1)));
    assert_eq!(fined.count(), 1);
    assert_eq!(events.len() as u64, before);
}

#[test]
fn each_end_of_the_rules_is_done_or_interrupted_or_a_failure_that_is_told() {
    use crate::ending::Ending;
    use crate::run::ending;
    let ended = |cause, early| ending(outcome_of(cause, early)).map_err(|error| error.to_string());
    let without_signal = |reward_micro| FinishCause::NoSignal { groups: 64, reward_micro };
    let plateau = FinishCause::Plateau { evals: 3, best_micro: 1_000_000 };
    for (cause, early, expected) in [
        (FinishCause::StepsDone, Outcome::Interrupted, Ok(Ending::Done)),
        (FinishCause::Stopped, Outcome::Interrupted, Ok(Ending::Interrupted)),
        (FinishCause::Stopped, Outcome::TimeUp, Ok(Ending::Done)),
        (FinishCause::ScoreReached { score_micro: 950_000 }, Outcome::Interrupted, Ok(Ending::Done)),
        (plateau, Outcome::Interrupted, Ok(Ending::Done)),
        (without_signal(1_000_000), Outcome::Interrupted, Ok(Ending::Done)),
        (without_signal(0), Outcome::Interrupted, Err("the run failed: nothing to learn: 64 groups in a row")),
        (FinishCause::EmptyBatches { limit: 10 }, Outcome::Interrupted, Err("10 batches in a row got no group")),
        (FinishCause::NoWorkers, Outcome::Interrupted, Err("the run failed: every worker was caught lying")),
        (FinishCause::NoValidators, Outcome::TimeUp, Err("the run failed: every validator was caught lying")),
    ] {
        match (ended(cause, early), expected) {
            (Ok(ending), Ok(expected)) => assert_eq!(ending, expected, "{cause:?}"),
            (Err(told), Err(expected)) => assert!(told.contains(expected), "{cause:?}: {told}"),
            (ended, expected) => panic!("{cause:?}: {ended:?}, not {expected:?}"),
        }
    }
}

#[test]
fn a_worker_whose_queue_is_full_loses_orders_and_its_leases_run_out_without_holding_up_anybody() {
    // Room for the weights and one lease of the first that are given out; nobody takes them.
    let mut out = 0;
    let events = conducted_with(2, |conductor| {
        out = conductor.progress.leased.len();
        assert!(out > 4, "{out} leases are out");
        let given = |party| conductor.progress.given.contains(&(party, 0));
        assert!(given(Party::Worker(0)) && given(Party::Worker(1)));
        let late = conductor.progress.now_ms() + 1_000 * config().workers.lease_timeout_seconds;
        for rule in conductor.desk.overdue(late) {
            conductor.feed(rule).unwrap();
        }
    });
    let overdue = events.iter().filter(|event| matches!(event, Event::Rules { rules: Rule::LeaseOverdue { .. } }));
    assert_eq!(overdue.count(), out);
}

#[test]
fn a_run_whose_threads_wait_for_room_for_every_word_ends_all_the_same() {
    let place = tempfile::tempdir().unwrap();
    let (stage, mut journal, ready) = begun(place.path());
    // Without room at all: whoever speaks waits until the conductor listens.
    let queues = QueueSizes { news: 0, ..QueueSizes::of(&stage.config) };
    let ended = perform(&stage, ready, &mut journal, queues).unwrap();
    assert_eq!((ended.outcome, ended.steps), (Outcome::StepsDone, 2));
}

#[test]
fn queues_hold_all_that_the_rules_let_live_at_once_and_no_more_than_the_limit() {
    let small = QueueSizes::of(&config());
    let groups = config().in_flight_max() + config().rollout.prompts_per_step;
    assert!(small.orders >= 2 * groups && small.orders < 4096, "{small:?}");
    let sets = [
        "rollout.prompts_per_step=32768",
        "rollout.staleness_max=256",
        "rollout.group_size=1",
        "gate.refuse_equal_rewards=false",
    ];
    let sets = sets.map(str::to_owned).to_vec();
    let large = config::resolve(&config::Sources { sets, ..config::Sources::default() }).unwrap();
    assert_eq!(QueueSizes::of(&large).orders, 1 << 16);
}
