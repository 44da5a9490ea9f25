//! What was checked in a run, what it cost, and who was caught.

use std::collections::BTreeMap;

use protocol::{Check, Party};
use serde::Serialize;

use super::{count, duration};
use crate::events::PhaseSeconds;
use crate::view::{Caught, RunView, Trust};

/// The part of `summary.json` about checks.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verification {
    /// Workers of the run.
    pub workers: u64,
    /// Validators of the run.
    pub validators: u64,
    /// Groups by what came of their check.
    pub groups: Groups,
    /// Rollouts handed in.
    pub rollouts: u64,
    /// Rollouts that a model was run over again; everything that needs no model is checked of all.
    pub rollouts_checked: u64,
    /// `rollouts_checked / rollouts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked_share: Option<f64>,
    /// Verdicts of validators.
    pub verdicts: u64,
    /// Known-bad groups shown to validators.
    pub plants: u64,
    /// Those of them that were found out.
    pub plants_caught: u64,
    /// Where the time went, all parties together.
    pub seconds: Seconds,
    /// Parties that the run file tells to lie.
    pub liars: u64,
    /// Everybody who was fined, in order.
    pub caught: Vec<CaughtLiar>,
    /// Liars that were not fined but got no more work, since they did not answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub put_to_rest: Vec<Rested>,
    /// Liars that were neither caught nor put to rest.
    pub missed: Vec<Liar>,
    /// Fines of parties that the run file does not tell to lie.
    pub honest_fined: u64,
    /// How often each rested for not answering; it cost nothing.
    pub suspended: BTreeMap<String, u64>,
}

/// Groups by what came of their check.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Groups {
    /// Passed.
    pub valid: u64,
    /// Proven to hold a lie.
    pub invalid: u64,
    /// Judged by nobody: its worker was banned or it was too old by then, nobody could check it, or the run ended.
    pub unchecked: u64,
    /// Refused before any validator saw them: no record, wrong signature, wrong lease.
    pub refused: u64,
}

/// Busy time over all RL steps. Workers and validators work side by side, so these do not add up to wall time.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Workers sampling tokens.
    pub generating: f64,
    /// Workers making proofs and grading.
    pub proving: f64,
    /// Validators checking.
    pub validating: f64,
    /// `proving / generating`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proving_share: Option<f64>,
    /// `validating / generating`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validating_share: Option<f64>,
}

/// A fine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaughtLiar {
    /// Who: `worker 3`, `validator 0`.
    pub party: String,
    /// What the run file told it to do; absent if it was to be honest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheat: Option<String>,
    /// The check that found it.
    pub check: Check,
    /// What it found, with limit and value.
    pub words: String,
    /// What was allowed, in the check's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// What was found, in the check's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given: Option<i64>,
    /// The lease it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<u64>,
    /// Rollouts (of a worker) or verdicts (of a validator) handed in until then.
    pub handed_in: u64,
    /// Training steps done by then.
    pub step: u64,
}

/// A party that the run file tells to lie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Liar {
    /// Who.
    pub party: String,
    /// What it was told to do.
    pub cheat: String,
}

/// A liar that withheld its answers: silence is no proof of a lie, so it is put to rest and pays nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rested {
    /// Who.
    pub party: String,
    /// What it was told to do.
    pub cheat: String,
    /// How often it was put to rest.
    pub times: u64,
}

impl Verification {
    /// Liars that were caught and fined.
    pub fn liars_caught(&self) -> u64 {
        self.liars - (self.missed.len() + self.put_to_rest.len()) as u64
    }

    pub(super) fn of(view: &RunView, phases: &PhaseSeconds) -> Self {
        let trust = &view.trust;
        let liars = liars(view.started.as_ref().map_or("", |started| &started.config_toml));
        let is_caught = |party: &Party| trust.fined.iter().any(|caught| caught.fined.party == *party);
        let free = || liars.iter().filter(|(party, _)| !is_caught(party));
        let rested = |(party, cheat): &(Party, String)| {
            let times = *trust.suspended.get(party)?;
            Some(Rested { party: party.to_string(), cheat: cheat.clone(), times })
        };
        let missed = free().filter(|liar| rested(liar).is_none());
        let share = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        Self {
            workers: trust.workers,
            validators: trust.validators,
            groups: Groups {
                valid: trust.groups_valid,
                invalid: trust.groups_invalid,
                unchecked: trust.groups_unchecked,
                refused: trust.groups_refused,
            },
            rollouts: trust.rollouts,
            rollouts_checked: trust.rollouts_checked,
            checked_share: share(trust.rollouts_checked, trust.rollouts),
            verdicts: trust.verdicts,
            plants: trust.plants,
            plants_caught: trust.plants_caught,
            seconds: Seconds::of(phases),
            liars: liars.len() as u64,
            caught: trust.fined.iter().map(CaughtLiar::of).collect(),
            put_to_rest: free().filter_map(rested).collect(),
            missed: missed.map(|(party, cheat)| Liar { party: party.to_string(), cheat: cheat.clone() }).collect(),
            honest_fined: trust.honest_fined,
            suspended: suspended(trust),
        }
    }

    /// The lines for people; none for a run without checks.
    pub(super) fn to_text(&self) -> String {
        if self.rollouts == 0 && self.groups.refused == 0 {
            return String::new();
        }
        let Groups { valid, invalid, unchecked, refused } = &self.groups;
        let mut text = format!(
            "  checks           {} of {} rollouts recomputed ({}); groups: {valid} valid, {invalid} invalid, {unchecked} unchecked, {refused} refused\n",
            count(self.rollouts_checked as f64),
            count(self.rollouts as f64),
            percent(self.checked_share),
        );
        let seconds = &self.seconds;
        text += &format!(
            "  cost of checks   proving {} ({} of generating), validating {} ({})\n",
            duration(seconds.proving),
            percent(seconds.proving_share),
            duration(seconds.validating),
            percent(seconds.validating_share),
        );
        for caught in &self.caught {
            text += &format!("  caught           {}\n", caught.in_words());
        }
        for Rested { party, cheat, times } in &self.put_to_rest {
            let often = if *times == 1 { "once" } else { &format!("{times} times") };
            text +=
                &format!("  put to rest      {party} ({cheat}): it did not answer, {often}; silence costs no stake\n");
        }
        for Liar { party, cheat } in &self.missed {
            text += &format!("  not caught       {party} ({cheat})\n");
        }
        text + &format!("  honest fined     {}\n", self.honest_fined)
    }
}

/// A share as people write it.
pub(crate) fn percent(share: Option<f64>) -> String {
    match share {
        None => "–".to_owned(),
        Some(share) if share < 0.0995 => format!("{:.1} %", 100.0 * share),
        Some(share) => format!("{:.0} %", 100.0 * share),
    }
}

impl Seconds {
    fn of(phases: &PhaseSeconds) -> Self {
        let generating = (phases.generate - phases.prove).max(0.0);
        let share = |part: f64| (generating > 0.0).then(|| part / generating);
        Self {
            generating,
            proving: phases.prove,
            validating: phases.validate,
            proving_share: share(phases.prove),
            validating_share: share(phases.validate),
        }
    }
}

impl CaughtLiar {
    /// A fine as the view has it.
    pub fn of(caught: &Caught) -> Self {
        let fined = &caught.fined;
        Self {
            party: fined.party.to_string(),
            cheat: fined.cheat.clone(),
            check: fined.check,
            words: fined.words.clone(),
            limit: fined.reason.map(|reason| reason.limit),
            given: fined.reason.map(|reason| reason.given),
            lease: fined.lease,
            handed_in: fined.handed_in,
            step: caught.step,
        }
    }

    /// One line: who, by which check, after how much, and what was found.
    pub fn in_words(&self) -> String {
        let Self { party, check, words, handed_in, .. } = self;
        let told = self.cheat.as_ref().map_or("not told to lie", String::as_str);
        format!("{party} ({told}) by {check} after {handed_in} {}: {words}", self.unit())
    }

    /// What `handed_in` counts.
    pub fn unit(&self) -> &'static str {
        if self.party.starts_with("validator") { "verdicts" } else { "rollouts" }
    }
}

fn suspended(trust: &Trust) -> BTreeMap<String, u64> {
    trust.suspended.iter().map(|(party, times)| (party.to_string(), *times)).collect()
}

/// Who the run file tells to lie. A file that does not read names nobody.
fn liars(config_toml: &str) -> Vec<(Party, String)> {
    let table: toml::Table = config_toml.parse().unwrap_or_default();
    let of = |section: &str, key: &str, party: fn(u32) -> Party| -> Vec<(Party, String)> {
        let entries = table.get(section).and_then(|section| section.get("cheat")?.as_array());
        let read = |entry: &toml::Value| {
            let id = u32::try_from(entry.get(key)?.as_integer()?).ok()?;
            Some((party(id), entry.get("cheat")?.as_str()?.to_owned()))
        };
        entries.into_iter().flatten().filter_map(read).collect()
    };
    [of("workers", "worker", Party::Worker), of("verify", "validator", Party::Validator)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorded::network;
    use crate::summary::Summary;

    #[test]
    fn liars_are_named_with_check_limit_and_value() {
        let summary = Summary::of(&network().view());
        let checks = &summary.verification;
        assert_eq!((checks.liars, checks.liars_caught(), checks.missed.len(), checks.honest_fined), (5, 4, 0, 0));
        let of = |party: &str| checks.caught.iter().find(|caught| caught.party == party).unwrap();
        let faker = of("worker 1");
        assert_eq!((faker.cheat.as_deref(), faker.check), (Some("fake_reward"), Check::Reward));
        let (limit, given) = (faker.limit.unwrap(), faker.given.unwrap());
        assert_ne!(limit, given);
        assert!(faker.handed_in >= 4, "the group that gave it away counts");
        assert_eq!(of("worker 3").check, Check::Malformed);
        let text = summary.to_text();
        assert!(text.contains("caught           worker 1 (fake_reward) by reward after "), "{text}");
        assert!(!text.contains("not caught"), "{text}");
        let json = serde_json::to_value(&summary).unwrap();
        assert!(json["verification"]["caught"].as_array().unwrap().iter().any(|caught| caught["check"] == "malformed"));
        assert!(checks.groups.invalid > 0 && checks.groups.refused > 0 && checks.plants_caught > 0);
        assert!(checks.rollouts_checked < checks.rollouts);
    }

    #[test]
    fn a_liar_that_withheld_its_answers_was_put_to_rest_and_is_not_called_missed() {
        let summary = Summary::of(&network().view());
        let [rested] = &summary.verification.put_to_rest[..] else { panic!("one withholds") };
        assert_eq!((rested.party.as_str(), rested.cheat.as_str()), ("worker 5", "withheld"));
        let text = summary.to_text();
        assert!(text.contains("put to rest      worker 5 (withheld): it did not answer, "), "{text}");
    }

    #[test]
    fn shares_are_of_generating_and_absent_where_nothing_was_generated() {
        let seconds =
            Seconds::of(&PhaseSeconds { generate: 10.0, prove: 2.0, validate: 4.0, ..PhaseSeconds::default() });
        assert_eq!((seconds.generating, seconds.proving_share, seconds.validating_share), (8.0, Some(0.25), Some(0.5)));
        assert_eq!(Seconds::of(&PhaseSeconds::default()).validating_share, None);
        assert_eq!(
            (percent(Some(0.012)), percent(Some(0.25)), percent(None)),
            ("1.2 %".into(), "25 %".into(), "–".into())
        );
    }
}
