//! Known-bad groups that are shown to validators, to see whether they look.
//!
//! Promise: a plant looks like any other order to a validator that was not asked about its original, and
//! no honest check can find it valid: its fingerprints are turned round, whatever its tokens.
//! Source of the idea: Truebit's forced errors, arXiv:1908.04756; see also GRAIL's planted rollouts.

use std::sync::Arc;

use protocol::{
    BeaconPoint, CheckOrder, Keypair, Outcome, PromptLease, ProtocolError, Record, RevealOrder, Rollout, Signed,
    Submission, ValidatorId, VerdictReveal, VerdictSeal, WorkerId,
};

use super::panel::Asked;
use super::{Desk, Held};
use crate::{Event, PlantId};

/// Submissions kept to make plants of. Validators hold the weights of the last few versions only, so older
/// ones would be of no use.
const MATERIAL_MAX: usize = 16;
/// Plants that may be unanswered at once; more are not made.
const PLANTS_MAX: usize = 1024;

/// A worker that does not exist: the orchestrator signs for it.
#[derive(Clone, Debug)]
pub struct Decoy {
    /// Its key, which the terms list.
    pub keys: Keypair,
    /// Its place in that list. The rules must not count it among their workers.
    pub worker: WorkerId,
}

/// A submission that was checked and found valid.
#[derive(Debug)]
pub(super) struct Material {
    submission: Arc<Submission>,
    draw: BeaconPoint,
    /// Validators that would recognise it.
    known_to: Vec<ValidatorId>,
}

/// A plant under way.
#[derive(Debug)]
pub(super) struct Plant {
    id: PlantId,
    root: protocol::Hash,
    pub(super) asked: Asked,
}

impl Desk {
    /// An encoded order to check known-bad work; none if there is no decoy, or nothing yet that this
    /// validator has not seen.
    pub fn plant(&mut self, now_ms: u64, id: PlantId, validator: ValidatorId) -> Option<Vec<u8>> {
        let decoy = self.decoy.as_ref()?;
        let unseen = |material: &&mut Material| !material.known_to.contains(&validator);
        let material = self.material.iter_mut().rev().find(unseen)?;
        // It was signed and checked once, so it can be again; if not, there is no plant.
        let submission = forged(&material.submission, decoy, &self.run, &self.keys).ok()?;
        let (lease, root) = (submission.lease.body.lease, *submission.root());
        let bytes = CheckOrder { submission, draw: material.draw }.encode().ok()?;
        if self.plants.len() >= PLANTS_MAX {
            return None;
        }
        material.known_to.push(validator);
        let asked = Asked::Seal { deadline_ms: now_ms.saturating_add(self.timeouts.verdict_ms) };
        self.plants.insert((lease, validator), Plant { id, root, asked });
        Some(bytes)
    }

    /// Keeps a submission that was found valid and in which every rollout has a fingerprint to turn round.
    pub(super) fn keep_material(&mut self, held: Held) {
        let (Some(submission), Some(draw), Some(_)) = (held.submission, held.draw, &self.decoy) else { return };
        let found_valid = held.verdicts.iter().any(|verdict| verdict.body.outcome == Outcome::Valid);
        let can_be_turned = submission.rollouts.iter().all(|rollout| !rollout.fingerprint.is_empty());
        if !found_valid || !can_be_turned {
            return;
        }
        let spoke = held.verdicts.iter().map(|verdict| verdict.body.validator);
        let known_to = held.asked.keys().copied().chain(spoke).collect();
        self.material.push_back(Material { submission, draw, known_to });
        if self.material.len() > MATERIAL_MAX {
            self.material.pop_front();
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

/// The submission as if the decoy had made it, with all fingerprints turned round. The seeds of the decoy's
/// lease are others, so its tokens do not win either.
fn forged(
    original: &Submission,
    decoy: &Decoy,
    run: &protocol::RunId,
    orchestrator: &Keypair,
) -> Result<Submission, ProtocolError> {
    let lease = PromptLease { worker: decoy.worker, ..original.lease.body.clone() };
    let lease = Signed::new(lease, run, orchestrator)?;
    Submission::new(run, lease, original.rollouts.iter().map(turned).collect(), &decoy.keys)
}

/// `!x = -x - 1`, so the fingerprint ends up twice its length away from where it should be.
fn turned(rollout: &Rollout) -> Rollout {
    let fingerprint = rollout.fingerprint.iter().map(|&value| !value).collect();
    Rollout { fingerprint, ..rollout.clone() }
}
