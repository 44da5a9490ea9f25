//! The honest worker: answers leases with signed groups of proved rollouts.
//!
//! Promise: every lease that is not cancelled ends in exactly one [`Answer`]. All tokens of its
//! rollouts come from the weights that it names, with the prompt and the noise that it forces.
//! Takes: weights and signed leases. Gives: encoded submissions.
//! Never: waits; a lease whose weights are still on their way is kept until they are here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use engine::{Completion, Engine, EngineConfig, Request, Sampling};
use model::{InferenceModel, ModelSnapshot, WeightDtype};
use protocol::{
    Domain, DtypeTerm, Hash, Keypair, LeaseId, PromptLease, Record, Rollout, RunId, RunTerms, Signed, Submission,
    WeightVersion, WorkerId,
};
use rayon::prelude::*;

use crate::{Answer, Countersigner, Prompts, VerifyError, WorkerActor, prove, weights_hash};

/// Most leases that may wait for their weights.
const WAITING_LEN_MAX: usize = 1024;

/// What a worker needs to begin.
#[derive(Clone)]
pub struct WorkerSetup {
    /// What the run agreed on.
    pub terms: Arc<RunTerms>,
    /// Prompts and grades.
    pub prompts: Arc<dyn Prompts>,
    /// The key that the terms list for this worker.
    pub keys: Keypair,
    /// Its place in that list.
    pub id: WorkerId,
    /// Sizes of the engine; the context is that of the terms.
    pub engine: EngineConfig,
    /// Where the model runs.
    pub device: Device,
}

/// A lease turned into work: what [`Worker::plan`] makes of it is the only honest way.
#[derive(Clone)]
pub struct Work {
    /// The lease to be answered.
    pub lease: Signed<PromptLease>,
    /// Token ids.
    pub prompt: Arc<[u32]>,
    /// One seed for each sample.
    pub seeds: Vec<Hash>,
    /// How tokens are chosen, and when to stop.
    pub sampling: Sampling,
    /// The weights that make all tokens.
    pub weight_version: WeightVersion,
}

/// What came of a lease, before it is signed.
#[derive(Clone)]
pub struct Finished {
    /// The lease.
    pub lease: Signed<PromptLease>,
    /// The rollouts by sample index, proved and graded, or why there are none.
    pub rollouts: Result<Vec<Rollout>, String>,
}

/// Work under way.
struct Pending {
    work: Work,
    rollouts: Vec<Option<Rollout>>,
    failure: Option<String>,
}

/// A worker with its engine.
pub struct Worker {
    setup: WorkerSetup,
    run: RunId,
    /// None until the first weights come.
    engine: Option<Engine>,
    /// Hashes of the weights that the engine holds, by version.
    hashes: BTreeMap<WeightVersion, Hash>,
    pending: BTreeMap<LeaseId, Pending>,
    waiting: BTreeMap<LeaseId, Work>,
    finished: VecDeque<Finished>,
    countersigner: Countersigner,
    proving_ns: u64,
}

impl Worker {
    /// A worker without weights.
    pub fn new(setup: WorkerSetup) -> Self {
        Self {
            run: setup.terms.id(),
            countersigner: Countersigner::new(&setup),
            setup,
            engine: None,
            hashes: BTreeMap::new(),
            pending: BTreeMap::new(),
            waiting: BTreeMap::new(),
            finished: VecDeque::new(),
            proving_ns: 0,
        }
    }

    /// What the worker was made with.
    pub fn setup(&self) -> &WorkerSetup {
        &self.setup
    }

    /// The engine, once there are weights.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// The work that a lease asks for.
    ///
    /// Errors: `Protocol` if the lease is not the orchestrator's, `OtherWorker`, `Task`.
    pub fn plan(&self, lease: &Signed<PromptLease>) -> Result<Work, VerifyError> {
        let body = lease.verify(&self.run, &self.setup.terms.orchestrator)?;
        body.check()?;
        if body.worker != self.setup.id {
            return Err(VerifyError::OtherWorker { expected: self.setup.id, given: body.worker });
        }
        let (task, item) = (body.task, body.item);
        let prompt =
            self.setup.prompts.prompt(task, item).map_err(|reason| VerifyError::Task { task, item, reason })?;
        let terms = &self.setup.terms.sampling;
        Ok(Work {
            lease: lease.clone(),
            prompt,
            seeds: (0..body.group_size).map(|sample| body.sample_seed(Domain::Train, sample)).collect(),
            sampling: Sampling {
                temperature: terms.temperature,
                stop_tokens: terms.stop_tokens.clone(),
                ..Sampling::new(terms.max_new_tokens as usize)
            },
            weight_version: body.weight_version,
        })
    }

    /// Begins work whose weights are here, and keeps work whose weights must still come. What goes
    /// wrong comes back from [`Worker::advance`] as the outcome of the lease.
    pub fn take(&mut self, work: Work) {
        let lease = work.lease.clone();
        let to_come = self.hashes.keys().next_back().is_none_or(|newest| *newest < work.weight_version);
        let taken = if to_come { self.keep(work) } else { self.begin(work) };
        if let Err(error) = taken {
            self.fail(lease, &error);
        }
    }

    /// Ends a lease without rollouts.
    pub fn fail(&mut self, lease: Signed<PromptLease>, error: &VerifyError) {
        self.finished.push_back(Finished { lease, rollouts: Err(error.to_string()) });
    }

    fn keep(&mut self, work: Work) -> Result<(), VerifyError> {
        let (limit, given) = (WAITING_LEN_MAX, self.waiting.len() + 1);
        if given > limit {
            return Err(VerifyError::TooManyWaiting { limit, given });
        }
        self.waiting.insert(work.lease.body.lease, work);
        Ok(())
    }

    fn begin(&mut self, work: Work) -> Result<(), VerifyError> {
        let version = work.weight_version;
        let Some(engine) = self.engine.as_mut().filter(|engine| engine.holds(version)) else {
            return Err(VerifyError::WeightsMissing { version });
        };
        let body = &work.lease.body;
        if version == body.weight_version && self.hashes.get(&version) != Some(&body.weights) {
            return Err(VerifyError::OtherWeights { version });
        }
        engine.submit(Request {
            id: body.lease,
            prompt: work.prompt.clone(),
            seeds: work.seeds.clone(),
            sampling: work.sampling.clone(),
            want_hidden: true,
            weight_version: Some(version),
        })?;
        let rollouts = vec![None; work.seeds.len()];
        self.pending.insert(body.lease, Pending { work, rollouts, failure: None });
        Ok(())
    }

    /// Works one step; gives the leases that ended, not yet signed.
    pub fn advance(&mut self) -> Result<Vec<Finished>, VerifyError> {
        let completions = match &mut self.engine {
            Some(engine) if !engine.is_idle() => engine.step()?,
            _ => Vec::new(),
        };
        if !completions.is_empty() {
            let start = Instant::now();
            let rollouts = self.rollouts(completions);
            self.proving_ns += start.elapsed().as_nanos() as u64; // centuries fit
            rollouts.into_iter().for_each(|(lease, rollout)| self.collect(lease, rollout));
        }
        Ok(self.finished.drain(..).collect())
    }

    /// Proves and grades completions, side by side. Those that nobody waits for are dropped.
    fn rollouts(&self, completions: Vec<Completion>) -> Vec<(LeaseId, Result<Rollout, VerifyError>)> {
        let pending = |completion: &Completion| self.pending.get(&completion.request);
        let wanted: Vec<_> = completions.into_iter().filter(|completion| pending(completion).is_some()).collect();
        wanted
            .into_par_iter()
            .filter_map(|completion| {
                let work = &self.pending.get(&completion.request)?.work;
                Some((completion.request, self.rollout(work, completion)))
            })
            .collect()
    }

    fn rollout(&self, work: &Work, completion: Completion) -> Result<Rollout, VerifyError> {
        let PromptLease { lease, task, item, .. } = work.lease.body;
        let hidden = completion.hidden.unwrap_or_default();
        let width = hidden.len() / completion.tokens.len().max(1);
        let evidence = prove(&hidden, width, &work.seeds[completion.sample_index as usize])?;
        let grade = self.setup.prompts.grade(task, item, &completion.tokens);
        let grade = grade.map_err(|reason| VerifyError::Task { task, item, reason })?;
        Ok(Rollout {
            lease,
            sample_index: completion.sample_index,
            prompt_tokens: work.prompt.to_vec(),
            completion_tokens: completion.tokens,
            logprobs: completion.logprobs,
            weight_versions: completion.weight_versions,
            finish: completion.finish,
            reward_micro: grade.reward_micro,
            exact: grade.exact,
            activation_proof: evidence.activation_proof,
            fingerprint: evidence.fingerprint,
        })
    }

    fn collect(&mut self, lease: LeaseId, rollout: Result<Rollout, VerifyError>) {
        let Some(pending) = self.pending.get_mut(&lease) else { return };
        match rollout {
            Ok(rollout) => {
                let index = rollout.sample_index as usize;
                pending.rollouts[index] = Some(rollout);
                if pending.rollouts.iter().any(Option::is_none) {
                    return;
                }
            }
            Err(error) => {
                pending.failure = Some(error.to_string());
                if let Some(engine) = &mut self.engine {
                    engine.cancel(lease);
                }
            }
        }
        let Some(pending) = self.pending.remove(&lease) else { return };
        let rollouts = match pending.failure {
            Some(reason) => Err(reason),
            None => Ok(pending.rollouts.into_iter().flatten().collect()),
        };
        self.finished.push_back(Finished { lease: pending.work.lease, rollouts });
    }

    /// Signs what came of a lease and encodes it.
    pub fn answer(&mut self, finished: Finished) -> Answer {
        let lease = finished.lease.body.lease;
        let rollouts = finished.rollouts.as_ref();
        let tokens = rollouts.map_or(0, |all| all.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum());
        let bytes = finished.rollouts.and_then(|rollouts| {
            Submission::new(&self.run, finished.lease, rollouts, &self.setup.keys)
                .and_then(|submission| submission.encode())
                .map_err(|error| error.to_string())
        });
        if bytes.is_ok() {
            self.countersigner.answered(lease);
        }
        Answer { lease, tokens, bytes }
    }

    /// Takes weights under the name `hash`, which the honest worker computes from them.
    ///
    /// Errors: `Engine` if they do not fit the engine; then it keeps those that it has.
    pub fn hold(&mut self, version: WeightVersion, snapshot: &ModelSnapshot, hash: Hash) -> Result<(), VerifyError> {
        let dtype = match self.setup.terms.sampling.dtype {
            DtypeTerm::F32 => WeightDtype::F32,
            DtypeTerm::Bf16 => WeightDtype::Bf16,
        };
        let model = InferenceModel::from_snapshot(snapshot, dtype, &self.setup.device);
        match &mut self.engine {
            Some(engine) => engine.swap_weights(model, version)?,
            None => {
                let max_context = self.setup.terms.sampling.context_max as usize;
                let config = EngineConfig { max_context, ..self.setup.engine };
                self.engine = Some(Engine::new(model, version, config, None)?);
            }
        }
        self.hashes.insert(version, hash);
        if let Some(engine) = &self.engine {
            self.hashes.retain(|version, _| engine.holds(*version));
        }
        let ready: Vec<_> = self.waiting.extract_if(.., |_, work| work.weight_version <= version).collect();
        ready.into_iter().for_each(|(_, work)| self.take(work));
        Ok(())
    }
}

impl WorkerActor for Worker {
    fn weights(&mut self, version: WeightVersion, snapshot: &ModelSnapshot) -> Result<(), VerifyError> {
        self.hold(version, snapshot, weights_hash(snapshot))
    }

    fn forget_before(&mut self, oldest: WeightVersion) {
        let is_idle = self.engine.as_ref().is_none_or(Engine::is_idle) && self.waiting.is_empty();
        if is_idle && self.hashes.keys().all(|version| *version < oldest) {
            // With it go the weights and the key/value cache.
            self.engine = None;
            self.hashes.clear();
        }
    }

    fn lease(&mut self, lease: &Signed<PromptLease>) -> Result<(), VerifyError> {
        match self.plan(lease) {
            Ok(work) => self.take(work),
            Err(error) => self.fail(lease.clone(), &error),
        }
        Ok(())
    }

    fn cancel(&mut self, lease: LeaseId) {
        self.waiting.remove(&lease);
        self.finished.retain(|finished| finished.lease.body.lease != lease);
        if self.pending.remove(&lease).is_some()
            && let Some(engine) = &mut self.engine
        {
            engine.cancel(lease);
        }
    }

    fn step(&mut self) -> Result<Vec<Answer>, VerifyError> {
        let finished = self.advance()?;
        Ok(finished.into_iter().map(|finished| self.answer(finished)).collect())
    }

    fn countersign(&mut self, request: &[u8]) -> Result<Vec<u8>, VerifyError> {
        self.countersigner.countersign(request)
    }

    fn is_idle(&self) -> bool {
        self.finished.is_empty() && self.engine.as_ref().is_none_or(Engine::is_idle)
    }

    fn proving_ns(&self) -> u64 {
        self.proving_ns
    }
}
