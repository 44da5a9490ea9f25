//! Honest actors that remember what they did in an earlier simulation.
//!
//! Promise: an answer from memory has the bytes that the real actor would send, because a rollout is a
//! function of its lease, and a verdict a function of its order. Liars are never remembered.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::ModelSnapshot;
use protocol::{
    CheckOrder, Hash, LeaseId, PromptLease, Record, RevealOrder, Signed, ValidatorId, WeightVersion, WorkerId,
    record_kind,
};
use verify::{Answer, Countersigner, Validator, ValidatorActor, VerifyError, Worker, WorkerActor};

use crate::world::World;

/// Answers, and verdicts, that a world remembers at most; then it begins anew.
const ENTRIES_MAX: usize = 1 << 17;
/// Orders that one validator keeps for their reveal.
const SEALED_MAX: usize = 1024;

/// What honest actors of one world have done.
#[derive(Default)]
pub(crate) struct Memory {
    answers: Mutex<BTreeMap<Hash, Answer>>,
    verdicts: Mutex<BTreeMap<(ValidatorId, bool, Hash), Sealed>>,
}

/// A seal and the verdict that opens it, encoded.
#[derive(Clone)]
pub(crate) struct Sealed {
    /// Hash of the order that was judged.
    order: Hash,
    lease: LeaseId,
    seal: Arc<[u8]>,
    reveal: Arc<[u8]>,
}

/// Every change is one insertion, so what a panicking thread left behind is whole.
fn open<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember<K: Ord, V: Clone>(table: &Mutex<BTreeMap<K, V>>, key: K, value: &V) {
    let mut table = open(table);
    if table.len() >= ENTRIES_MAX {
        table.clear();
    }
    table.insert(key, value.clone());
}

/// An honest worker.
pub(crate) struct HonestWorker {
    world: Arc<World>,
    id: WorkerId,
    remembers: bool,
    held: BTreeMap<WeightVersion, ModelSnapshot>,
    ready: VecDeque<Answer>,
    countersigner: Countersigner,
}

impl HonestWorker {
    /// With `remembers` off, the real worker does everything.
    pub(crate) fn new(world: Arc<World>, id: WorkerId, remembers: bool) -> Self {
        let countersigner = Countersigner::new(&world.worker_setup(id));
        Self { world, id, remembers, held: BTreeMap::new(), ready: VecDeque::new(), countersigner }
    }

    /// What an honest worker sends for a lease whose weights it holds.
    pub(crate) fn answer(&self, lease: &Signed<PromptLease>) -> Result<Answer, VerifyError> {
        if !self.remembers {
            return self.work(lease);
        }
        let key = *blake3::hash(&lease.encode()?).as_bytes();
        let answers = &self.world.memory.answers;
        if let Some(answer) = open(answers).get(&key) {
            return Ok(answer.clone());
        }
        let answer = self.work(lease)?;
        remember(answers, key, &answer);
        Ok(answer)
    }

    fn work(&self, lease: &Signed<PromptLease>) -> Result<Answer, VerifyError> {
        let version = lease.body.weight_version;
        let weights = self.held.get(&version).ok_or(VerifyError::WeightsMissing { version })?;
        let mut worker = Worker::new(self.world.worker_setup(self.id));
        worker.weights(version, weights)?;
        worker.lease(lease)?;
        loop {
            if let Some(answer) = worker.step()?.pop() {
                return Ok(answer);
            }
        }
    }
}

impl WorkerActor for HonestWorker {
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        self.held.insert(version, snapshot.clone());
        Ok(())
    }

    fn forget_before(&mut self, oldest: WeightVersion) {
        self.held = self.held.split_off(&oldest);
    }

    fn lease(&mut self, lease: &Signed<PromptLease>) -> Result<(), VerifyError> {
        let answer = self.answer(lease)?;
        self.countersigner.answered(answer.lease);
        self.ready.push_back(answer);
        Ok(())
    }

    fn cancel(&mut self, lease: LeaseId) {
        self.ready.retain(|answer| answer.lease != lease);
    }

    fn step(&mut self) -> Result<Vec<Answer>, VerifyError> {
        Ok(self.ready.drain(..).collect())
    }

    fn countersign(&mut self, request: &[u8]) -> Result<Vec<u8>, VerifyError> {
        self.countersigner.countersign(request)
    }

    fn is_idle(&self) -> bool {
        self.ready.is_empty()
    }

    fn proving_ns(&self) -> u64 {
        0
    }
}

/// What a validator has sealed, by lease. It is on its disk: whoever forgets what it sealed, and judges anew
/// with other weights at hand, could not be told from a liar.
pub(crate) type SealedVerdicts = BTreeMap<LeaseId, Sealed>;

/// An honest validator.
pub(crate) struct HonestValidator {
    world: Arc<World>,
    id: ValidatorId,
    held: BTreeMap<WeightVersion, ModelSnapshot>,
    sealed: Arc<Mutex<SealedVerdicts>>,
    /// Workers whose submissions are not worth remembering; none if nothing is to be remembered.
    strangers: Option<BTreeSet<WorkerId>>,
}

impl HonestValidator {
    /// With `strangers` none, the real validator does everything.
    pub(crate) fn new(
        world: Arc<World>,
        id: ValidatorId,
        strangers: Option<BTreeSet<WorkerId>>,
        sealed: Arc<Mutex<SealedVerdicts>>,
    ) -> Self {
        Self { world, id, held: BTreeMap::new(), sealed, strangers }
    }

    fn judge(&self, bytes: &[u8], order: Hash) -> Result<Sealed, VerifyError> {
        let CheckOrder { submission, .. } = CheckOrder::decode(bytes)?;
        let lease = &submission.lease.body;
        let weights = self.held.get(&lease.weight_version);
        if self.strangers.as_ref().is_none_or(|strangers| strangers.contains(&lease.worker)) {
            return self.work(bytes, order, lease, weights);
        }
        let key = (self.id, weights.is_some(), order);
        let verdicts = &self.world.memory.verdicts;
        if let Some(sealed) = open(verdicts).get(&key) {
            return Ok(sealed.clone());
        }
        let sealed = self.work(bytes, order, lease, weights)?;
        remember(verdicts, key, &sealed);
        Ok(sealed)
    }

    fn work(
        &self,
        bytes: &[u8],
        order: Hash,
        lease: &PromptLease,
        weights: Option<&ModelSnapshot>,
    ) -> Result<Sealed, VerifyError> {
        let mut validator = Validator::new(self.world.validator_setup(self.id));
        if let Some(weights) = weights {
            validator.weights(lease.weight_version, weights)?;
        }
        let one = |mut answers: Vec<Vec<u8>>| answers.pop().unwrap_or_default().into();
        let seal = one(validator.message(bytes)?);
        let reveal = one(validator.message(&RevealOrder { lease: lease.lease }.encode()?)?);
        Ok(Sealed { order, lease: lease.lease, seal, reveal })
    }
}

impl ValidatorActor for HonestValidator {
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        self.held.insert(version, snapshot.clone());
        Ok(())
    }

    fn forget_before(&mut self, oldest: WeightVersion) {
        self.held = self.held.split_off(&oldest);
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, VerifyError> {
        let mut done = open(&self.sealed);
        if record_kind(bytes)? == RevealOrder::KIND {
            let lease = RevealOrder::decode(bytes)?.lease;
            return Ok(done.get(&lease).map(|sealed| sealed.reveal.to_vec()).into_iter().collect());
        }
        let order = *blake3::hash(bytes).as_bytes();
        // Asked again, it says again what it has said.
        if let Some(sealed) = done.values().find(|sealed| sealed.order == order) {
            return Ok(vec![sealed.seal.to_vec()]);
        }
        let sealed = self.judge(bytes, order)?;
        let seal = sealed.seal.to_vec();
        done.insert(sealed.lease, sealed);
        while done.len() > SEALED_MAX {
            done.pop_first();
        }
        Ok(vec![seal])
    }
}
