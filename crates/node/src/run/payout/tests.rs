//! The ledger and the chain of a run, killed at the places that matter.

use std::sync::mpsc::{Receiver, sync_channel};

use protocol::{BeaconPoint, BeaconTerms, DtypeTerm, RejectReason, SamplingTerms};

use super::cases::{Court, Standing};
use super::*;
use crate::config;
use crate::run::messages::{BANK_ORDERS_MAX, News};

mod under_way;

/// Room for all that a test has said at once.
const ROOM: usize = 256;

/// A run folder with a ledger and a chain, and no training.
struct Place {
    dir: tempfile::TempDir,
    config: RunConfig,
    parties: Parties,
    terms: RunTerms,
}

impl Place {
    fn new() -> Self {
        let sets = ["workers.count=3", "verify.validators=3", "economy.epoch_steps=2"].map(str::to_owned).to_vec();
        let config = config::resolve(&config::Sources { sets, ..Default::default() }).unwrap();
        let parties = Parties::of(&config);
        let terms = terms(&parties);
        Self { dir: tempfile::tempdir().unwrap(), config, parties, terms }
    }

    fn begin(&self) -> (Book, Ground) {
        begin(&self.config, self.dir.path(), &self.parties, &self.terms).unwrap()
    }

    fn resume(&self) -> (Book, Ground) {
        resume(&self.config, self.dir.path(), &self.parties, &self.terms).unwrap()
    }

    /// A paymaster, what it orders, and the bank that would do it.
    fn open(&self, (book, ground): (Book, Ground)) -> (Paymaster, Receiver<BankOrder>, Bank) {
        let (to, orders) = sync_channel(BANK_ORDERS_MAX);
        let bank = Bank::of(ground, &self.parties, book.ledger());
        let claims = claims_path(self.dir.path());
        (Paymaster::new(book, to, claims, None, BTreeMap::new()), orders, bank)
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(ledger_path(self.dir.path())).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn entries(&self, what: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(&format!("\"what\":\"{what}\""))).count()
    }
}

fn terms(parties: &Parties) -> RunTerms {
    RunTerms {
        run_seed: [7; 32],
        orchestrator: parties.orchestrator().public(),
        trainer: parties.trainer().public(),
        workers: (0..parties.worker_count()).map(|id| parties.worker(id).public()).collect(),
        validators: (0..parties.validator_count()).map(|id| parties.validator(id).public()).collect(),
        group_size: 4,
        check_ppm: 1_000_000,
        probation_leases: 4,
        sampling: SamplingTerms {
            temperature: 1.0,
            max_new_tokens: 8,
            context_max: 64,
            vocabulary: 32,
            stop_tokens: vec![1],
            dtype: DtypeTerm::F32,
        },
        beacon: BeaconTerms::HashChain { anchor: [9; 32], length: 100 },
    }
}

/// Lets the bank do all that was ordered, and gives what it says. `hear` false: as if the process was killed
/// before it could listen.
fn settle(paymaster: &mut Paymaster, orders: Receiver<BankOrder>, bank: Bank, hear: bool) -> Vec<Event> {
    let (to, news) = sync_channel(ROOM);
    let all: Vec<BankOrder> = orders.try_iter().collect();
    let (again, orders) = sync_channel(ROOM);
    all.into_iter().for_each(|order| again.send(order).unwrap());
    drop(again);
    keep(bank, &orders, &to);
    let said = news.try_iter().map(|news| match news {
        News::Bank(news) => news,
        _ => panic!("the bank speaks for itself only"),
    });
    match hear {
        true => said.flat_map(|news| paymaster.hear(news).unwrap()).collect(),
        false => Vec::new(),
    }
}

#[test]
fn a_run_begins_with_every_stake_in_the_vault_and_every_key_registered() {
    let place = Place::new();
    let (book, ground) = place.begin();
    let economy = &book.ledger().terms().economy;
    for id in 0..3 {
        for (party, due) in [(Party::Worker(id), economy.stake_worker), (Party::Validator(id), economy.stake_validator)]
        {
            let account = place.parties.wallet(party).address();
            assert_eq!(ground.contracts.stake_of(&*ground.chain, account).unwrap(), due, "{party}");
            let node = ground.contracts.node(&*ground.chain, &place.parties.keys(party).public()).unwrap().unwrap();
            assert_eq!(node.owner, account);
            assert_eq!(book.ledger().parties()[&party].stake, due);
        }
    }
    let head = ground.chain.head().unwrap();
    drop((book, ground));
    let (_, ground) = place.resume();
    assert_eq!(ground.chain.head().unwrap(), head, "the chain is a file that outlives the process");
}

#[test]
fn a_process_killed_while_it_made_the_chain_leaves_nothing_behind() {
    let place = Place::new();
    std::fs::write(place.dir.path().join("chain.jsonl.part"), "half a li").unwrap();
    let (book, _) = place.begin();
    assert_eq!(book.ledger().entries(), 1 + 6);
    assert!(!place.dir.path().join("chain.jsonl.part").exists());
}

#[test]
fn an_epoch_is_closed_when_it_has_its_steps_and_no_step_counts_twice() {
    let place = Place::new();
    let (mut paymaster, orders, bank) = place.open(place.begin());
    assert_eq!(paymaster.trained(1).unwrap(), None);
    assert_eq!(paymaster.trained(1).unwrap(), None, "a resumed run trains the steps after its checkpoint again");
    let Some(Event::EpochClosed(closed)) = paymaster.trained(2).unwrap() else { panic!("no epoch was closed") };
    assert_eq!((closed.epoch, closed.budget), (0, paymaster.ledger().terms().economy.budget_first));
    let events = settle(&mut paymaster, orders, bank, true);
    assert!(matches!(&events[..], [Event::EpochPosted(posted)] if posted.epoch == 0), "{events:?}");
    assert!(!paymaster.is_waiting());
    assert_eq!(paymaster.ledger().posted(), Some(0));
}

#[test]
fn a_kill_between_posting_and_recording_an_epoch_pays_it_once() {
    let place = Place::new();
    let (mut paymaster, orders, bank) = place.open(place.begin());
    paymaster.trained(1).unwrap();
    paymaster.trained(2).unwrap();
    settle(&mut paymaster, orders, bank, false);
    drop(paymaster);
    assert_eq!(place.entries("posted"), 0);

    let (mut paymaster, orders, bank) = place.open(place.resume());
    let (contracts, head) = (bank.ground.contracts, bank.ground.chain.head().unwrap());
    assert_eq!(contracts.next_epoch(&*bank.ground.chain).unwrap(), 1, "it is on the chain");
    assert_eq!(paymaster.catch_up().unwrap(), None);
    let events = settle(&mut paymaster, orders, bank, true);
    assert!(matches!(&events[..], [Event::EpochPosted(posted)] if posted.block <= head.number), "{events:?}");
    drop(paymaster);
    assert_eq!(place.entries("posted"), 1);
    let (_, ground) = place.resume();
    assert_eq!(ground.chain.head().unwrap(), head, "nothing was sent a second time");
}

#[test]
fn a_kill_between_the_slash_and_its_record_takes_stake_once() {
    let place = Place::new();
    let (mut paymaster, orders, bank) = place.open(place.begin());
    assert_eq!(paymaster.fined(Party::Worker(1), None, Check::Malformed).unwrap(), None);
    settle(&mut paymaster, orders, bank, false);
    drop(paymaster);
    assert_eq!((place.entries("fined"), place.entries("slashed")), (1, 0));

    let (mut paymaster, orders, bank) = place.open(place.resume());
    let contracts = bank.ground.contracts;
    paymaster.catch_up().unwrap();
    assert_eq!(paymaster.fined(Party::Worker(1), None, Check::Malformed).unwrap(), None, "told by the replay again");
    let events = settle(&mut paymaster, orders, bank, true);
    let economy = &paymaster.ledger().terms().economy;
    let (stake, loss) = (economy.stake_worker, economy.slash.amount(Check::Malformed, economy.stake_worker));
    assert!(loss > 0 && loss < stake);
    assert!(matches!(&events[..], [Event::StakeSlashed(slashed)] if slashed.amount == loss), "{events:?}");
    drop(paymaster);
    assert_eq!((place.entries("fined"), place.entries("slashed")), (1, 1));
    let (_, ground) = place.resume();
    let account = place.parties.wallet(Party::Worker(1)).address();
    assert_eq!(contracts.stake_of(&*ground.chain, account).unwrap(), stake - loss);
    assert_eq!(contracts.case_count(&*ground.chain).unwrap(), 1);
}

#[test]
fn stake_that_another_case_took_later_is_not_told_as_that_of_a_fine() {
    let place = Place::new();
    let (mut paymaster, orders, bank) = place.open(place.begin());
    paymaster.fined(Party::Worker(1), None, Check::Malformed).unwrap();
    settle(&mut paymaster, orders, bank, false);
    drop(paymaster);

    let (book, mut ground) = place.resume();
    let (contracts, challenger) = (ground.contracts, place.parties.orchestrator_wallet());
    let members: Vec<_> = (0..3).map(|id| place.parties.wallet(Party::Validator(id))).collect();
    let court = Court { contracts: &contracts, challenger: &challenger, members: members.iter().collect() };
    let accused = place.parties.wallet(Party::Worker(1)).address();
    let (amount, evidence) = (7 * ledger::ESM, B256::repeat_byte(7));
    let other = Accusation { party: Party::Worker(1), accused, amount, evidence };
    let standing = court.pursue(&mut *ground.chain, &other).unwrap();
    assert!(matches!(standing, Standing::Taken { amount: taken, .. } if taken == amount), "{standing:?}");

    let (mut paymaster, orders, bank) = place.open((book, ground));
    paymaster.catch_up().unwrap();
    let events = settle(&mut paymaster, orders, bank, true);
    let economy = &paymaster.ledger().terms().economy;
    let loss = economy.slash.amount(Check::Malformed, economy.stake_worker);
    assert!(matches!(&events[..], [Event::StakeSlashed(slashed)] if slashed.amount == loss), "{events:?}");
}

#[test]
fn a_line_that_cannot_be_written_ends_the_run_and_is_no_refused_fine() {
    let place = Place::new();
    let (book, ground) = place.begin();
    let (mut paymaster, orders, _) = place.open((book.on_a_full_disk(), ground));
    let failed = paymaster.fined(Party::Worker(1), None, Check::Malformed).unwrap_err();
    assert!(format!("{failed:#}").contains("ledger.jsonl"), "{failed:#}");
    assert!(orders.try_recv().is_err(), "nothing follows from what is not written");
}

#[test]
fn a_run_that_is_paid_does_not_go_on_without_its_ledger() {
    let place = Place::new();
    drop(place.begin());
    std::fs::remove_file(ledger_path(place.dir.path())).unwrap();
    let refused = resume(&place.config, place.dir.path(), &place.parties, &place.terms).err().unwrap();
    let message = refused.to_string();
    assert!(message.contains("ledger.jsonl is missing") && message.contains("economy.enabled=false"), "{message}");
}

#[test]
fn a_fined_validator_does_not_rule_and_without_a_majority_nobody_loses_stake() {
    let place = Place::new();
    let (mut paymaster, orders, bank) = place.open(place.begin());
    for id in 0..2 {
        paymaster.planted(0, id, false).unwrap();
        paymaster.fined(Party::Validator(id), None, Check::PlantMissed).unwrap();
    }
    let events = settle(&mut paymaster, orders, bank, true);
    // The other two ruled on the first; only one is left for the second, and a ruling needs two.
    let [Event::StakeSlashed(first), Event::Warning { message }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(first.party, Party::Validator(0));
    assert!(message.contains("validator 1 keeps its stake: a ruling needs 2 members"), "{message}");
    let table = paymaster.pay_out().unwrap();
    let why = |id: u32| table.rows.iter().find(|row| row.who == Party::Validator(id)).unwrap().why.clone();
    assert_eq!(why(0).unwrap(), "not told to lie: plant_missed");
    assert!(why(1).unwrap().contains("keeps its stake"));
}

/// A worker's word on lease 5, and what validators say of it.
fn judged(place: &Place, worker: u32, outcomes: &[Outcome]) -> (Signed<Commitment>, Vec<Signed<Verdict>>) {
    let (run, root) = (place.terms.id(), [8; 32]);
    let commitment = Commitment { lease: 5, worker, rollout_count: 4, root };
    let verdict = |(validator, outcome): (u32, &Outcome)| {
        let draw = BeaconPoint { round: 9, randomness: [4; 32] };
        let (checked, outcome) = (Vec::new(), *outcome);
        let verdict = Verdict { lease: 5, root, validator, draw, tokens: 12, checked, outcome };
        Signed::new(verdict, &run, &place.parties.validator(validator)).unwrap()
    };
    let commitment = Signed::new(commitment, &run, &place.parties.worker(worker)).unwrap();
    (commitment, (0..).zip(outcomes).map(verdict).collect())
}

#[test]
fn a_fine_rests_on_verdicts_that_convict_whatever_check_they_name_and_on_no_others() {
    let place = Place::new();
    let (mut paymaster, _orders, _) = place.open(place.begin());
    let (check, limit, given) = (Check::ActivationMantissa, 10, 11);
    let lie = Outcome::Invalid(RejectReason { check, sample_index: Some(0), position: None, limit, given });
    // The clearest of what the numbers of both verdicts show is the fingerprint.
    let (commitment, verdicts) = judged(&place, 1, &[lie, lie]);
    paymaster.hold_evidence(5, Some(&commitment), &verdicts);
    assert_eq!(paymaster.fined(Party::Worker(1), Some(5), Check::Fingerprint).unwrap(), None);
    // A second, forged message about a lease on which all is well.
    let (commitment, verdicts) = judged(&place, 2, &[Outcome::Valid, Outcome::Valid]);
    paymaster.hold_evidence(5, Some(&commitment), &verdicts);
    assert_eq!(paymaster.fined(Party::Worker(2), Some(5), Check::Signature).unwrap(), None);
    // The ledger believes no accusation without verdicts: then nobody pays.
    let refused = paymaster.fined(Party::Worker(0), None, Check::Fingerprint).unwrap();
    assert!(matches!(refused, Some(Event::Warning { message }) if message.contains("worker 0 keeps its stake")));
    let fines = |id: u32| paymaster.ledger().parties()[&Party::Worker(id)].fines.clone();
    assert_eq!((fines(1), fines(2)), (vec![Check::ActivationMantissa], vec![Check::Signature]));
    drop(paymaster);
    assert_eq!(place.entries("fined"), 2);
}

#[test]
fn a_line_cut_off_by_a_kill_is_dropped_and_an_altered_one_is_refused_with_its_number() {
    let place = Place::new();
    let (mut paymaster, _orders, _) = place.open(place.begin());
    paymaster.trained(1).unwrap();
    drop(paymaster);
    let path = ledger_path(place.dir.path());
    let whole = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{whole}{{\"seq\":8,\"entry\":{{\"wh")).unwrap();
    let (book, _) = place.resume();
    assert_eq!((book.ledger().steps_trained(), std::fs::read_to_string(&path).unwrap()), (1, whole.clone()));
    let (mut paymaster, _orders, _) = place.open((book, Place::new().begin().1));
    paymaster.trained(2).unwrap();
    drop(paymaster);
    assert_eq!(place.lines().len(), whole.lines().count() + 2, "it goes on behind the last whole line");

    std::fs::write(&path, whole.replace("\"step\":1", "\"step\":2")).unwrap();
    let refused = Book::open(&path, place.parties.orchestrator()).err().unwrap();
    let message = format!("{refused:#}");
    assert!(message.contains("ledger.jsonl, line 8") && message.contains("signature"), "{message}");
}

#[test]
fn what_work_is_worth_cannot_be_changed_when_a_run_goes_on() {
    let mut place = Place::new();
    drop(place.begin());
    place.config.economy.epoch_steps = Some(3);
    let refused = resume(&place.config, place.dir.path(), &place.parties, &place.terms).err().unwrap();
    assert!(refused.to_string().contains("settled when a run begins"), "{refused}");
}

#[test]
fn the_proofs_of_a_run_are_paid_by_the_contract_to_anybody_who_brings_them() {
    let place = Place::new();
    let (mut paymaster, orders, bank) = place.open(place.begin());
    paymaster.trained(1).unwrap();
    assert!(matches!(paymaster.wind_up(true).unwrap(), Some(Event::EpochClosed(_))), "the rest of an epoch is paid");
    let contracts = bank.ground.contracts;
    settle(&mut paymaster, orders, bank, true);
    let table = paymaster.pay_out().unwrap();
    assert_eq!(table.budget, table.rows.iter().map(|row| row.earned).sum::<u64>());
    assert_eq!(table.budget, paymaster.ledger().terms().economy.budget_first / 2, "one of two steps");
    let ledger = paymaster.ledger().clone();
    drop(paymaster);
    let (_, mut ground) = place.resume();
    let stranger = chain::Wallet::derive(&[1; 32], "stranger", 0);
    for account in ledger.lifetimes().keys() {
        let claim = ledger.claim(account).unwrap();
        let proof: Vec<B256> = claim.proof.iter().copied().map(B256::from).collect();
        let (to, before) = (account.0.into(), contracts.balance(&*ground.chain, account.0.into()).unwrap());
        ground.chain.send(&stranger, contracts.claim(to, claim.lifetime, &proof)).unwrap();
        assert_eq!(contracts.balance(&*ground.chain, to).unwrap(), before + claim.lifetime);
    }
    let text = std::fs::read_to_string(claims_path(place.dir.path())).unwrap();
    let claims: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(claims["claims"].as_array().unwrap().len(), ledger.lifetimes().len());
    assert_eq!(claims["claims"][0]["party"], "trainer");
}

#[test]
fn a_chain_that_is_slow_never_holds_up_the_paymaster_and_gets_the_newest_root_and_every_accusation() {
    let place = Place::new();
    let (mut paymaster, orders, _bank) = place.open(place.begin());
    let root = |epoch: u64| EpochToPost {
        epoch,
        root: B256::ZERO,
        lifetime_total: epoch,
        file_hash: B256::ZERO,
        uri: String::new(),
    };
    let accused = |worker: u32| {
        let party = Party::Worker(worker);
        BankOrder::Accuse(Accusation { party, accused: Default::default(), amount: 1, evidence: B256::ZERO })
    };
    let epochs = BANK_ORDERS_MAX as u64 + 10;
    (0..epochs).for_each(|epoch| paymaster.order(BankOrder::Post(root(epoch))).unwrap());
    (0..3).for_each(|worker| paymaster.order(accused(worker)).unwrap());
    assert_eq!(paymaster.unsent.len(), 1 + 3, "one root and three accusations wait");
    let (mut posted, mut accusations) = (Vec::new(), 0);
    while paymaster.is_waiting() {
        match orders.try_recv().unwrap() {
            BankOrder::Post(root) => posted.push(root.epoch),
            BankOrder::Accuse(_) => accusations += 1,
            BankOrder::WindUp => panic!("nobody winds up"),
        }
        paymaster.hear(BankNews::Done { busy: Duration::ZERO }).unwrap();
    }
    assert_eq!((posted.len(), posted.last(), accusations), (BANK_ORDERS_MAX + 1, Some(&(epochs - 1)), 3));
    assert!(posted.is_sorted());
}
