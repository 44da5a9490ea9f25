//! The sections about who generates, who checks, and where randomness comes from.
//!
//! Promise: a run file names every party of the run; who is told to lie is told so here and nowhere else.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sim::liars::{Cheat, Role};
use train::BehaviourLogprobs;

use super::check::within;
use super::{Fault, FaultKind, RunConfig};
use crate::beacon::{self, drand};

/// Most workers of one process: each is a thread with an engine and a copy of the weights.
const WORKERS_MAX: u32 = 256;
/// Most validators of one process.
const VALIDATORS_MAX: u32 = 64;
/// Share of groups with a second check, where several validators leave the choice open.
const SECOND_CHECK_FRACTION: f32 = 0.1;
/// Plants per group checked, where several validators leave the choice open.
const PLANT_FRACTION: f32 = 0.02;
/// Longest wait for an answer, in seconds: a week.
const TIMEOUT_SECONDS_MAX: u64 = 7 * 24 * 3600;

/// `[workers]`: who generates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkersSection {
    /// Workers, each with keys and an engine of its own; they share the prompts that are out.
    pub count: u32,
    /// Seconds that a worker has to answer a lease; a late answer is not taken, and costs nothing.
    pub lease_timeout_seconds: u64,
    /// Leases in a row that a worker may leave unanswered before it gets no more.
    pub overdue_max: u32,
    /// `[[workers.cheat]]`: workers that lie, to see them caught.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cheat: Vec<WorkerCheat>,
}

impl Default for WorkersSection {
    fn default() -> Self {
        Self { count: 1, lease_timeout_seconds: 600, overdue_max: 3, cheat: Vec::new() }
    }
}

/// One worker that lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerCheat {
    /// Its number, from 0.
    pub worker: u32,
    /// What it does; `essaim sim --help` lists the words.
    pub cheat: String,
}

/// `[verify]`: who checks rollouts, and how many of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VerifySection {
    /// Validators, each with keys of its own.
    pub validators: u32,
    /// Share of a group's rollouts, drawn by lot after it is handed in, that the model is run over again; signature, lease, limits, prompt and reward are checked of every rollout.
    pub check_fraction: f32,
    /// Groups of each worker, from its first, of which every rollout is checked so.
    pub probation_groups: u32,
    /// Share of groups that a second validator checks as well. Absent: 0.1 where there are several validators, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_check_fraction: Option<f32>,
    /// Known-bad groups given to validators to see whether they look, per group checked. Absent: 0.02 where there are several validators and `check_fraction` is not 0, else 0: a lone validator that is fined leaves nobody to check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plant_fraction: Option<f32>,
    /// Whose log-probabilities the loss takes for the policy that sampled: `worker`, or `validator`, which needs `check_fraction = 1`.
    pub behaviour_logprobs: BehaviourLogprobs,
    /// Seconds that a validator has to answer; then another is asked.
    pub verdict_timeout_seconds: u64,
    /// `[[verify.cheat]]`: validators that lie, to see them caught.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cheat: Vec<ValidatorCheat>,
}

impl Default for VerifySection {
    fn default() -> Self {
        Self {
            validators: 1,
            check_fraction: 0.125,
            probation_groups: 4,
            second_check_fraction: None,
            plant_fraction: None,
            behaviour_logprobs: BehaviourLogprobs::Worker,
            verdict_timeout_seconds: 600,
            cheat: Vec::new(),
        }
    }
}

impl VerifySection {
    /// Share of groups that a second validator checks as well.
    pub fn second_checks(&self) -> f32 {
        self.second_check_fraction.unwrap_or(if self.validators > 1 { SECOND_CHECK_FRACTION } else { 0.0 })
    }

    /// Plants per group checked.
    pub fn plants(&self) -> f32 {
        let looked_at = self.validators > 1 && self.check_fraction > 0.0;
        self.plant_fraction.unwrap_or(if looked_at { PLANT_FRACTION } else { 0.0 })
    }
}

/// One validator that lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorCheat {
    /// Its number, from 0.
    pub validator: u32,
    /// What it does.
    pub cheat: String,
}

/// `[beacon]`: where the randomness comes from that nobody may know early.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeaconSection {
    /// `hash_chain`: a chain of hashes, opened link by link, which makes a run a function of its seed; it follows from `run.seed`, as all keys of such a run do, so whoever has the run file can tell every point ahead and sign as anybody. A run open to strangers needs drand and keys of each party's own. `drand:quicknet` (a round every 3 s) or `drand:default` (every 30 s): the drand network, whose signatures anybody can verify.
    pub source: BeaconSource,
    /// Relays of drand to ask instead of its public ones, such as `https://api.drand.sh`; only a `drand:` source has any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

impl Default for BeaconSection {
    fn default() -> Self {
        Self { source: BeaconSource::HashChain, urls: Vec::new() }
    }
}

/// Sources of public randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BeaconSource {
    /// A hash chain of this process.
    #[serde(rename = "hash_chain")]
    HashChain,
    /// drand's chain `quicknet`.
    #[serde(rename = "drand:quicknet")]
    DrandQuicknet,
    /// drand's chain `default`.
    #[serde(rename = "drand:default")]
    DrandDefault,
}

impl BeaconSection {
    /// The same for who opens the source.
    pub fn settings(&self) -> beacon::Settings<'_> {
        beacon::Settings { drand_chain: self.source.drand_chain(), urls: &self.urls }
    }
}

impl BeaconSource {
    /// Name of the drand chain; none if it is no drand source.
    pub fn drand_chain(self) -> Option<&'static str> {
        match self {
            Self::HashChain => None,
            Self::DrandQuicknet => Some("quicknet"),
            Self::DrandDefault => Some("default"),
        }
    }
}

/// A share as parts per million.
pub fn ppm(fraction: f32) -> u32 {
    (f64::from(fraction) * 1e6).round() as u32 // checked to lie between 0 and 1
}

/// Checks the sections of this file.
pub(super) fn check(config: &RunConfig) -> Result<(), Fault> {
    let (workers, verify) = (&config.workers, &config.verify);
    within("workers.count", workers.count, 1..=WORKERS_MAX)?;
    within("workers.lease_timeout_seconds", workers.lease_timeout_seconds, 1..=TIMEOUT_SECONDS_MAX)?;
    within("workers.overdue_max", workers.overdue_max, 1..=1_000_000)?;
    within("verify.validators", verify.validators, 1..=VALIDATORS_MAX)?;
    shares(verify)?;
    within("verify.verdict_timeout_seconds", verify.verdict_timeout_seconds, 1..=TIMEOUT_SECONDS_MAX)?;
    if verify.behaviour_logprobs == BehaviourLogprobs::Validator && verify.check_fraction < 1.0 {
        let limit = "1 when verify.behaviour_logprobs is \"validator\", which has none of what was not checked";
        return Err(Fault::range("verify.check_fraction", verify.check_fraction, limit));
    }
    beacon(&config.beacon)?;
    let of_workers = workers.cheat.iter().map(|entry| (entry.worker, &entry.cheat));
    cheats("workers.cheat", Role::Worker, of_workers, workers.count)?;
    let of_validators = verify.cheat.iter().map(|entry| (entry.validator, &entry.cheat));
    cheats("verify.cheat", Role::Validator, of_validators, verify.validators)
}

/// Shares are counted in parts per million; what they ask for must be possible.
fn shares(verify: &VerifySection) -> Result<(), Fault> {
    let (second, plants) = (verify.second_check_fraction.unwrap_or(0.0), verify.plant_fraction.unwrap_or(0.0));
    let needs_two = "0 where verify.validators is 1: it takes several validators to check on each other";
    for (path, share, is_mutual) in [
        ("verify.check_fraction", verify.check_fraction, false),
        ("verify.second_check_fraction", second, true),
        ("verify.plant_fraction", plants, true),
    ] {
        within(path, share, 0.0..=1.0)?;
        if share > 0.0 && share < 1e-6 {
            return Err(Fault::range(path, share, "0, or at least 0.000001 and at most 1"));
        }
        if is_mutual && share > 0.0 && verify.validators < 2 {
            return Err(Fault::range(path, share, needs_two));
        }
    }
    match plants > 0.0 && verify.check_fraction == 0.0 {
        true => {
            let limit = "0 where verify.check_fraction is 0: who recomputes nothing cannot tell a plant";
            Err(Fault::range("verify.plant_fraction", plants, limit))
        }
        false => Ok(()),
    }
}

fn beacon(section: &BeaconSection) -> Result<(), Fault> {
    within("beacon.urls", section.urls.len(), ..=drand::URLS_MAX)?;
    let is_address = |url: &&String| url.starts_with("http://") || url.starts_with("https://");
    match section.urls.iter().find(|url| !is_address(url)) {
        Some(given) => Err(Fault::range("beacon.urls", format!("{given:?}"), "addresses with http:// or https://")),
        None if section.source.drand_chain().is_none() && !section.urls.is_empty() => {
            let limit = "none unless beacon.source is \"drand:quicknet\" or \"drand:default\"";
            Err(Fault::range("beacon.urls", section.urls.len(), limit))
        }
        None => Ok(()),
    }
}

fn cheats<'a>(
    section: &str,
    role: Role,
    entries: impl Iterator<Item = (u32, &'a String)>,
    count: u32,
) -> Result<(), Fault> {
    let party_key = if role == Role::Worker { "worker" } else { "validator" };
    let mut seen = BTreeSet::new();
    for (index, (party, word)) in entries.enumerate() {
        let path = format!("{section}.{index}.{party_key}");
        within(&path, party, ..count)?;
        if !seen.insert(party) {
            return Err(Fault::range(&path, party, "named once"));
        }
        let known: Vec<String> = Cheat::of_role(role).map(|cheat| cheat.as_str().to_owned()).collect();
        if !known.contains(word) {
            let path = section.split('.').map(str::to_owned).chain([index.to_string(), "cheat".to_owned()]).collect();
            return Err(Fault { path, kind: FaultKind::UnknownWord { given: word.clone(), known } });
        }
    }
    Ok(())
}
