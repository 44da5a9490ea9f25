//! A made-up run as events, for tests of everything that is drawn from events.

use protocol::{Check, RejectReason};

use crate::events::*;
use crate::machine::Machine;

/// Three of ten workers lie.
const LIARS: &str = "
[workers]
count = 10
cheat = [
    { worker = 3, cheat = \"int8_weights\" },
    { worker = 6, cheat = \"malformed_message\" },
    { worker = 9, cheat = \"best_of_n\" },
]
";

/// Events of a run of `steps` steps that learns; the same every time.
pub(crate) fn run(steps: u64) -> Vec<Recorded> {
    let mut log = Log::default();
    log.at(0, started(steps));
    log.at(900, eval(EvalStage::Start, 0, 0.0));
    for step in 1..=40 {
        let event = SftStep {
            step,
            loss: 3.2 / (1.0 + step as f64 / 12.0),
            grad_norm: 1.5,
            lr: 1e-3,
            tokens: 256,
            seconds: 0.11,
        };
        log.at(110, Event::SftStep(event));
    }
    log.at(900, eval(EvalStage::BeforeRl, 0, 0.21));
    for step in 1..=steps {
        let progress = step as f64 / steps as f64;
        for group in 0..3 {
            log.at(20, lease(step * 16 + group));
            log.at(55, received(step * 16 + group, 0));
            log.at(3, verdict(step * 16 + group, 0, protocol::Outcome::Valid));
            log.at(2, accepted(step * 16 + group, progress));
        }
        if step == 2 {
            caught(&mut log);
        }
        if step % 3 == 0 {
            let (lease, reason) = (step * 16, DropReason::EqualRewards);
            log.at(5, Event::GroupDropped { lease, reason });
        }
        log.at(500, trained(step, progress));
        log.at(20, Event::WeightsPublished { version: step, seconds: 0.02 });
        if step % 25 == 0 {
            log.at(30, eval(EvalStage::During, step, score(progress)));
            let path = format!("checkpoints/step-{step}");
            log.at(40, Event::CheckpointSaved { step, path, bytes: 5_000_000, seconds: 0.04 });
        }
    }
    let (who, on) = ("trainer".to_owned(), "batch".to_owned());
    log.at(5, Event::Waited { who, on, seconds: 4.2 });
    let message = "2 rollouts met the length limit <8 tokens> & were cut".to_owned();
    log.at(5, Event::Warning { message });
    log.at(900, eval(EvalStage::Final, steps, score(1.0)));
    paid(&mut log);
    let finished =
        RunFinished { outcome: Outcome::StepsDone, steps, seconds: 42.0, model_path: Some("model".to_owned()) };
    log.at(50, Event::RunFinished(finished));
    log.events
}

#[derive(Default)]
struct Log {
    now_ms: u64,
    events: Vec<Recorded>,
}

impl Log {
    fn at(&mut self, after_ms: u64, event: Event) {
        self.now_ms = self.now_ms.max(1_700_000_000_000) + after_ms;
        let seq = self.events.len() as u64 + 1;
        self.events.push(Recorded { seq, at_ms: self.now_ms, event });
    }
}

fn score(progress: f64) -> f64 {
    0.21 + 0.77 / (1.0 + (-9.0 * (progress - 0.45)).exp())
}

/// A wobble in -1..1 that is the same every time.
fn wobble(step: u64, kind: u64) -> f64 {
    let x = (step * 7919 + kind * 104_729) % 1009;
    x as f64 / 504.5 - 1.0
}

fn started(steps: u64) -> Event {
    Event::RunStarted(RunStarted {
        name: "spell-backward".to_owned(),
        program_version: "0.1.0".to_owned(),
        config_toml: crate::config::DEFAULT_RUN.to_owned() + LIARS,
        steps_max: steps,
        sft_steps_max: 40,
        parameter_count: 407_040,
        machine: Machine {
            system: "linux x86_64".to_owned(),
            cpu: "Example CPU @ 2.00GHz".to_owned(),
            cores: 2,
            memory_bytes: 24 << 30,
            device: "cpu".to_owned(),
        },
    })
}

fn eval(stage: EvalStage, step: u64, exact_mean: f64) -> Event {
    Event::EvalFinished(EvalFinished {
        stage,
        step,
        task: "spell-backward".to_owned(),
        items: 256,
        samples: 1,
        exact_mean,
        pass_at_k: exact_mean,
        reward_mean: (exact_mean + 0.3).min(0.99),
        tokens: 1024,
        seconds: 0.4,
    })
}

fn lease(lease: u64) -> Event {
    Event::LeaseIssued(LeaseIssued { lease, task: 0, item: lease, weight_version: 0, group_size: 16, worker: 0 })
}

fn accepted(lease: u64, progress: f64) -> Event {
    let right = wobble(lease, 9) * 0.5 + 0.5 < score(progress);
    let (completion, reward_micro) = if right { ("cba", 1_000_000) } else { ("c<b>a & \"x\"", 333_333) };
    Event::GroupAccepted(GroupAccepted {
        lease,
        task: 0,
        item: lease,
        worker: 0,
        weight_version: 0,
        rewards_micro: vec![0, 1_000_000],
        exact_count: 1,
        prompt_tokens: 4,
        completion_tokens: 64,
        sample: Some(RolloutText {
            prompt: "abc=".to_owned(),
            completion: completion.to_owned(),
            reward_micro,
            exact: right,
        }),
    })
}

fn received(lease: u64, worker: u32) -> Event {
    Event::GroupReceived(GroupReceived { lease, worker, rollouts: 16, tokens: 64, bytes: 9_000 })
}

fn verdict(lease: u64, worker: u32, outcome: protocol::Outcome) -> Event {
    let (validator, rollouts_checked, tokens_checked, rollouts) = (0, 4, 16, 16);
    Event::VerdictGiven(VerdictGiven { lease, worker, validator, rollouts_checked, tokens_checked, rollouts, outcome })
}

/// One liar found by a validator, one by the desk.
fn caught(log: &mut Log) {
    let check = Check::Fingerprint;
    let reason = RejectReason { check, sample_index: Some(1), position: None, limit: 1_500, given: 9_120 };
    log.at(1, received(40, 3));
    log.at(1, verdict(40, 3, protocol::Outcome::Invalid(reason)));
    let fined = |worker, check, reason: Option<RejectReason>, words: &str, cheat: &str, handed_in| {
        let (party, lease) = (Party::Worker(worker), Some(40));
        let (words, cheat) = (words.to_owned(), Some(cheat.to_owned()));
        Event::Fined(Fined { party, lease, check, reason, words, cheat, handed_in })
    };
    log.at(1, fined(3, check, Some(reason), &reason.to_string(), "int8_weights", 16));
    log.at(1, Event::GroupDropped { lease: 40, reason: DropReason::WorkerBanned });
    let words = "the message of 31 bytes is no record <i>".to_owned();
    log.at(1, Event::GroupRefused { worker: 6, lease: None, words: words.clone() });
    log.at(1, fined(6, Check::Malformed, None, &words, "malformed_message", 0));
    log.at(1, Event::PlantAnswered { plant: 0, validator: 0, caught: true });
}

/// Two epochs, of which the liars lose a part of their stake.
fn paid(log: &mut Log) {
    let root = |epoch: u64| format!("0x{}", format!("{:02x}", 0xa0 + epoch).repeat(32));
    for epoch in 0..2 {
        let (budget, lifetime_total) = (1_000_000_000, (epoch + 1) * 1_000_000_000);
        log.at(1, Event::EpochClosed(EpochClosed { epoch, budget, root: root(epoch), lifetime_total, payees: 4 }));
        log.at(1, Event::EpochPosted(EpochPosted { epoch, block: 40 + epoch, transaction: root(7) }));
    }
    for (worker, amount) in [(3, 200_000_000), (6, 400_000_000)] {
        log.at(1, Event::StakeSlashed(StakeSlashed { party: Party::Worker(worker), amount, block: 44 }));
    }
    let row = |who, units, faults, earned: u64, stake: u64, lost: u64, why: Option<&str>| PayoutRow {
        who,
        account: "0x00000000000000000000000000000000000000e5".to_owned(),
        units,
        faults,
        earned: earned * 1_000_000,
        stake: stake * 1_000_000,
        lost: lost * 1_000_000,
        why: why.map(str::to_owned),
    };
    let rows = vec![
        row(Payee::Worker(0), 3_200, 0, 1_400, 1_000, 0, None),
        row(Payee::Worker(3), 0, 0, 0, 1_000, 200, Some("int8_weights: fingerprint")),
        row(Payee::Worker(6), 0, 0, 0, 1_000, 400, Some("malformed_message: malformed <i>")),
        row(Payee::Validator(0), 604, 2, 300, 2_000, 0, None),
        row(Payee::Trainer, 50, 0, 200, 0, 0, None),
        row(Payee::Treasury, 0, 0, 100, 0, 0, None),
    ];
    log.at(
        1,
        Event::PaidOut(Box::new(PaidOut {
            chain_id: 31_337,
            chain_url: None,
            rewards: "0x00000000000000000000000000000000000000ff".to_owned(),
            epochs: 2,
            posted: Some(1),
            root: root(1),
            budget: 2_000_000_000,
            lost: 600_000_000,
            rows,
            seconds: 0.5,
            chain_seconds: 1.5,
        })),
    );
}

fn trained(step: u64, progress: f64) -> Event {
    let reward = (score(progress) + 0.05 * wobble(step, 1)).clamp(0.0, 1.0);
    let spread = |mean: f64, std: f64, min: f64, max: f64| Spread { mean, std, min, max };
    let metrics = StepMetrics {
        reward: spread(reward, 0.3, 0.0, 1.0),
        reward_all_mean: Some(reward),
        exact_share: reward * 0.9,
        equal_rewards_share: 0.1 + 0.4 * progress,
        loss: 0.02 * wobble(step, 2),
        entropy: 1.8 * (1.0 - 0.8 * progress) + 0.05 * wobble(step, 3),
        mismatch_kl: 1e-4,
        ratio: spread(1.0, 0.05, 0.7, 1.4),
        clip_low_share: 0.01,
        clip_high_share: 0.02,
        grad_norm: 0.8,
        lr: 4e-4,
        staleness: spread(1.0 + 0.4 * wobble(step, 4), 0.2, 0.0, 2.0),
        dropped_stale: 0,
        completion_length: spread(4.0, 0.3, 3.0, 8.0),
        truncated_share: 0.01,
        rollouts: 256,
        tokens_trained: 2048,
        tokens_generated: 1100,
        time: PhaseSeconds {
            step: 0.78 + 0.06 * wobble(step, 5),
            generate: 0.41,
            prove: 0.004,
            validate: 0.05,
            wait_for_batch: 0.09,
            pack: 0.01,
            forward_backward: 0.44,
            optimizer: 0.05,
            broadcast_weights: 0.02,
            save_ckpt: 0.0,
        },
        peak_memory_bytes: 300 << 20,
        ..StepMetrics::default()
    };
    Event::StepTrained(Box::new(StepTrained { step, version: step, metrics, leases: Vec::new() }))
}
