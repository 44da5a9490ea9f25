//! Known-bad groups that are shown to validators, to see whether they look.
//!
//! Promise: a plant looks like any other order to a validator that was not asked about its original: its lease
//! is a real one of a real worker, of weights that other orders name, signed by the orchestrator; its worker
//! signed the commitment; its draw is that of the lease, and the lot falls on the validator. No honest check can
//! find it valid: its fingerprints are turned round. Nobody pays for a plant but who calls it valid.
//! Source of the idea: Truebit's forced errors, arXiv:1908.04756; see also GRAIL's planted rollouts.
//!
//! ```text
//! Action::Plant -> want_plant; plant_requests -> bytes to a worker -> countersigned -> bytes to the validator
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use protocol::{
    BeaconPoint, CheckOrder, Commitment, Hash, LeaseId, Outcome, PlantRequest, Record, RevealOrder, Rollout, Signed,
    Submission, ValidatorId, VerdictReveal, VerdictSeal, WeightVersion, WorkerId,
};

use super::panel::Asked;
use super::{Desk, DeskError, Held};
use crate::{Event, PlantId};

/// Submissions kept to make plants of. Validators hold the weights of the last few versions only, so older
/// ones would be of no use.
const MATERIAL_MAX: usize = 16;
/// Plants that may be unanswered at once; more are not made.
const PLANTS_MAX: usize = 1024;
/// Requests that may be unsigned at once; other plants wait.
const UNSIGNED_MAX: usize = 64;
/// Variations that are tried of one group for each validator, until the lot falls on the right one. All of them
/// fail with probability `e^-8`.
const TRIES_PER_VALIDATOR: u32 = 8;

/// A request to a worker to sign a plant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlantAsk {
    /// Whom to ask.
    pub worker: WorkerId,
    /// An encoded signed [`PlantRequest`].
    pub request: Vec<u8>,
}

/// A plant that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlantOrder {
    /// Whom to show it.
    pub validator: ValidatorId,
    /// The weights that it takes to check it.
    pub weight_version: WeightVersion,
    /// An encoded [`CheckOrder`].
    pub order: Vec<u8>,
}

/// A submission that was checked and found valid.
#[derive(Clone, Debug)]
pub(super) struct Material {
    submission: Arc<Submission>,
    draw: BeaconPoint,
    /// Validators that would recognise it.
    known_to: BTreeSet<ValidatorId>,
}

/// A plant that its worker has not signed.
#[derive(Debug)]
pub(super) struct Unsigned {
    id: PlantId,
    original: Arc<Submission>,
    draw: BeaconPoint,
    variation: u32,
    commitment: Commitment,
    deadline_ms: u64,
}

/// A plant under way.
#[derive(Debug)]
pub(super) struct Plant {
    id: PlantId,
    root: Hash,
    pub(super) asked: Asked,
}

impl Desk {
    /// Notes that a validator is to be shown known-bad work, as soon as there is some that it has not seen. An
    /// earlier wish for the same validator is forgotten.
    pub fn want_plant(&mut self, id: PlantId, validator: ValidatorId) {
        self.unsigned.remove(&validator);
        self.wanted.insert(validator, id);
    }

    /// What workers are to be asked at `now_ms`, so that wishes come true. Each is told once; if the worker does
    /// not sign in time, another is asked.
    pub fn plant_requests(&mut self, now_ms: u64) -> Vec<PlantAsk> {
        let mut asks = Vec::new();
        for (validator, id) in self.wanted.clone() {
            if self.unsigned.len() >= UNSIGNED_MAX {
                break;
            }
            if let Some(ask) = self.ask_for_plant(now_ms, id, validator) {
                self.wanted.remove(&validator);
                asks.push(ask);
            }
        }
        asks
    }

    fn ask_for_plant(&mut self, now_ms: u64, id: PlantId, validator: ValidatorId) -> Option<PlantAsk> {
        // An order of older weights than all others would stand out.
        let oldest = self.held.values().map(|held| held.lease.body.weight_version).min()?;
        let banned = &self.banned;
        let fits = |material: &&mut Material| {
            let lease = &material.submission.lease.body;
            let unseen = !material.known_to.contains(&validator);
            unseen && lease.weight_version >= oldest && !banned.contains(&lease.worker)
        };
        let material = self.material.iter_mut().rev().find(fits)?;
        material.known_to.insert(validator);
        let Material { submission: original, draw, .. } = material.clone();
        let (variation, commitment) = self.variation_for(validator, &original, &draw)?;
        // All of it was signed and checked once, so it can be again; if not, there is no plant.
        let request = PlantRequest { commitment: commitment.clone() };
        let request = Signed::new(request, &self.run, &self.keys).and_then(|signed| signed.encode()).ok()?;
        let deadline_ms = now_ms.saturating_add(self.timeouts.verdict_ms);
        let worker = commitment.worker;
        self.unsigned.insert(validator, Unsigned { id, original, draw, variation, commitment, deadline_ms });
        Some(PlantAsk { worker, request })
    }

    /// The first variation of the turned group that the lot gives to the validator as the first to be asked: who
    /// works out the lots of its orders must not find one that is another's.
    fn variation_for(
        &self,
        validator: ValidatorId,
        original: &Submission,
        draw: &BeaconPoint,
    ) -> Option<(u32, Commitment)> {
        let all = self.terms.validators.len() as ValidatorId; // a few
        let candidates: Vec<ValidatorId> = (0..all).filter(|id| !self.struck.contains(id)).collect();
        (0..TRIES_PER_VALIDATOR.saturating_mul(all)).find_map(|variation| {
            let commitment = Commitment::to(&original.lease.body, &turned(&original.rollouts, variation)).ok()?;
            let drawn = proof::draw::validator(draw, &commitment.root, &candidates, 0);
            (drawn == Some(validator)).then_some((variation, commitment))
        })
    }

    /// Takes a worker's signature under a plant, in `bytes`, and gives the order for the validator.
    ///
    /// Errors: `Banned`, `NotPlanted`, and `Protocol` if the bytes are no commitment or not signed by `worker`.
    /// Nobody pays for any of them.
    pub fn countersigned(&mut self, now_ms: u64, worker: WorkerId, bytes: &[u8]) -> Result<PlantOrder, DeskError> {
        if self.banned.contains(&worker) {
            return Err(DeskError::Banned { worker });
        }
        let commitment: Signed<Commitment> = Signed::decode(bytes)?;
        commitment.verify(&self.run, self.terms.worker(worker)?)?;
        let lease = commitment.body.lease;
        let asked = self.unsigned.iter().find(|(_, plant)| plant.commitment == commitment.body);
        let (&validator, plant) = asked.ok_or(DeskError::NotPlanted { lease, worker })?;
        if plant.commitment.worker != worker || self.plants.len() >= PLANTS_MAX {
            return Err(DeskError::NotPlanted { lease, worker });
        }
        let (id, draw, root) = (plant.id, plant.draw, commitment.body.root);
        let weight_version = plant.original.lease.body.weight_version;
        let rollouts = turned(&plant.original.rollouts, plant.variation);
        let submission = Submission { lease: plant.original.lease.clone(), commitment, rollouts };
        let order = CheckOrder { submission, draw }.encode()?;
        self.unsigned.remove(&validator);
        let asked = Asked::Seal { deadline_ms: now_ms.saturating_add(self.timeouts.verdict_ms) };
        self.plants.insert((lease, validator), Plant { id, root, asked });
        Ok(PlantOrder { validator, weight_version, order })
    }

    /// Keeps a submission that all who were asked found valid, and in which every rollout has a fingerprint to
    /// turn round.
    pub(super) fn keep_material(&mut self, lease: LeaseId) {
        let Some(held) = self.held.get(&lease) else { return };
        let Held { submission: Some(submission), draw: Some(draw), .. } = held else { return };
        let found_valid = held.verdicts.iter().all(|verdict| verdict.body.outcome == Outcome::Valid);
        let can_be_turned = submission.rollouts.iter().all(|rollout| !rollout.fingerprint.is_empty());
        if !held.asked.is_empty() || !found_valid || !can_be_turned {
            return;
        }
        let material = Material { submission: submission.clone(), draw: *draw, known_to: held.shown.clone() };
        self.material.retain(|kept| kept.submission.lease.body.lease != lease);
        self.material.push_back(material);
        if self.material.len() > MATERIAL_MAX {
            self.material.pop_front();
        }
    }

    /// The validator is shown the lease's own submission: no plant is made of it for that validator, and one
    /// that is under way does not count.
    pub(super) fn shown(&mut self, lease: LeaseId, validator: ValidatorId) {
        self.plants.remove(&(lease, validator));
        self.unsigned.retain(|to, plant| (plant.commitment.lease, *to) != (lease, validator));
        let of_lease = |material: &&mut Material| material.submission.lease.body.lease == lease;
        if let Some(material) = self.material.iter_mut().find(of_lease) {
            material.known_to.insert(validator);
        }
    }

    /// Plants whose time is up are forgotten; what a worker did not sign is asked of another.
    pub(super) fn plants_overdue(&mut self, now_ms: u64) {
        self.plants.retain(|_, plant| !plant.asked.is_overdue(now_ms));
        for (validator, plant) in self.unsigned.extract_if(.., |_, plant| plant.deadline_ms <= now_ms) {
            self.wanted.entry(validator).or_insert(plant.id);
        }
    }

    /// The order to open the seal, if `seal` is on a plant. Nobody else is waited for.
    pub(super) fn plant_sealed(&mut self, now_ms: u64, seal: &VerdictSeal) -> Option<Vec<u8>> {
        let plant = self.plants.get_mut(&(seal.lease, seal.validator)).filter(|plant| plant.root == seal.root)?;
        let deadline_ms = now_ms.saturating_add(self.timeouts.verdict_ms);
        let Asked::Seal { .. } = plant.asked else { return RevealOrder { lease: seal.lease }.encode().ok() };
        plant.asked = Asked::Verdict { seal: seal.clone(), deadline_ms };
        RevealOrder { lease: seal.lease }.encode().ok()
    }

    /// What a signed verdict says if it is on a plant: `Some(None)` if that tells nothing. One that was
    /// not sealed misses the plant: it may have been written after the others'.
    pub(super) fn plant_answered(&mut self, validator: ValidatorId, reveal: &VerdictReveal) -> Option<Option<Event>> {
        let key = (reveal.verdict.body.lease, validator);
        let plant = self.plants.get(&key).filter(|plant| plant.root == reveal.verdict.body.root)?;
        let Asked::Verdict { seal, .. } = &plant.asked else { return Some(None) };
        let plant_id = plant.id;
        let opens = reveal.opens(seal, &reveal.verdict.signer);
        self.plants.remove(&key);
        let caught = match reveal.verdict.body.outcome {
            Outcome::Invalid(_) => opens,
            Outcome::Valid => false,
            Outcome::Unchecked(_) => return Some(None),
        };
        Some(Some(Event::PlantAnswered { plant: plant_id, validator, caught }))
    }
}

/// The rollouts with all fingerprints turned round: `!x = -x - 1`, so each ends up twice its length away from
/// where it should be. Bit `rollout + entry · rollouts` of `variation` is added to an entry, which moves the root
/// and nothing that a check could see.
fn turned(rollouts: &[Rollout], variation: u32) -> Vec<Rollout> {
    let turn = |(index, rollout): (usize, &Rollout)| {
        let bit = |entry: usize| {
            let place = entry.saturating_mul(rollouts.len()).saturating_add(index);
            i16::from(place < u32::BITS as usize && variation >> place & 1 == 1)
        };
        let entries = rollout.fingerprint.iter().enumerate();
        let fingerprint = entries.map(|(entry, &value)| !value ^ bit(entry)).collect();
        Rollout { fingerprint, ..rollout.clone() }
    };
    rollouts.iter().enumerate().map(turn).collect()
}
