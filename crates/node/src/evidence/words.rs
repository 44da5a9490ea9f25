//! A verdict in words and numbers.

use std::collections::BTreeMap;

use anyhow::Result;
use proof::beacon::verify_chain;
use proof::tolerances::{
    EXPONENT_MISMATCHES_MAX, FINGERPRINT_ERROR_MAX_PPM, LOGPROB_ERROR_MAX_MICRO, LOGPROB_ERROR_MEAN_MAX_MICRO,
    MANTISSA_MEAN_MILLI_MAX, MANTISSA_MEDIAN_MILLI_MAX, SIGN_MISMATCHES_MAX, TOKEN_MARGIN_MAX_MICRO, scaled_limit,
};
use proof::toploc::{CHUNK_TOKENS, TOP_K};
use protocol::{BeaconPoint, BeaconTerms, Check, CheckedRollout, Outcome, Signed, UncheckedCause, Verdict};
use serde::Serialize;
use verify::tempered_limit;

use super::{Recheck, Seen, StoredGroup};
use record::events::Fined;

/// All that `essaim verify` has to say; `--json` prints it as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explained {
    /// The lease.
    pub lease: u64,
    /// Who answered it.
    pub worker: u32,
    /// Name of the task.
    pub task: String,
    /// The item asked for.
    pub item: u64,
    /// Rollouts handed in.
    pub rollouts: u64,
    /// Their completion tokens.
    pub tokens: u64,
    /// The orchestrator's key as the file or log itself claims it, hexadecimal: nobody vouches for it here.
    pub orchestrator_claimed: String,
    /// The weights that the lease names.
    pub weight_version: u64,
    /// Their hash, hexadecimal.
    pub weights_hash: String,
    /// Where they were found; absent if they were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_found: Option<String>,
    /// Folders that were looked at and hold something else.
    pub weights_seen: Vec<Seen>,
    /// Round of the beacon that drew the sample; absent if no lot was drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beacon_round: Option<u64>,
    /// Whether the randomness of the lease and of the lot leads back to the anchor in the run's terms; absent for drand,
    /// whose signatures are not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beacon_on_chain: Option<bool>,
    /// Whether every rollout was recomputed.
    pub every_rollout: bool,
    /// What was found.
    pub outcome: Outcome,
    /// The same in words.
    pub words: String,
    /// The rollouts that were recomputed.
    pub samples: Vec<SampleSeen>,
    /// What validators said in the run.
    pub recorded: Vec<Recorded>,
    /// The fine that followed in the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fined: Option<Fined>,
}

/// One recomputed rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleSeen {
    /// Its number in the group.
    pub sample_index: u32,
    /// What the model was given.
    pub prompt: String,
    /// What came back.
    pub completion: String,
    /// Completion tokens.
    pub tokens: u64,
    /// Tokens that the recomputation would not have sampled; few, and by small margins, is normal.
    pub tokens_lost: u32,
    /// Each number with what is allowed.
    pub measures: Vec<Measure>,
}

/// One number of a rollout with what is allowed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// What was measured.
    pub name: &'static str,
    /// What was found.
    pub value: f64,
    /// The most that honest machines may differ.
    pub limit: f64,
}

/// A verdict of the run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recorded {
    /// Who.
    pub validator: u32,
    /// What it found.
    pub outcome: Outcome,
    /// The same in words.
    pub words: String,
    /// Whether it signed this, over this answer.
    pub is_genuine: bool,
    /// Whether the check made here came to the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agrees: Option<bool>,
}

/// Puts a verdict into words. Errors: texts that the tokenizer cannot make.
pub fn explain(group: &StoredGroup, recheck: &Recheck) -> Result<Explained> {
    let (lease, rollouts) = (&group.submission.lease.body, &group.submission.rollouts);
    let task = recheck.prompting.tasks().get(lease.task as usize);
    let outcome = recheck.verdict.outcome;
    Ok(Explained {
        lease: lease.lease,
        worker: lease.worker,
        task: task.map_or_else(|| format!("task {}", lease.task), |entry| entry.name.clone()),
        item: lease.item,
        rollouts: rollouts.len() as u64,
        tokens: rollouts.iter().map(|rollout| rollout.completion_tokens.len() as u64).sum(),
        orchestrator_claimed: group.terms.orchestrator.to_string(),
        weight_version: lease.weight_version,
        weights_hash: hex::encode(lease.weights),
        weights_found: recheck.weights.as_ref().map(|path| path.display().to_string()),
        weights_seen: recheck.seen.clone(),
        beacon_round: group.draw.map(|draw| draw.round),
        beacon_on_chain: beacon_on_chain(group),
        every_rollout: recheck.is_whole,
        outcome,
        words: own_words(&outcome),
        samples: samples(group, recheck)?,
        recorded: group.verdicts.iter().map(|verdict| recorded(group, verdict, &outcome)).collect(),
        fined: group.fined.clone(),
    })
}

/// Follows the links from the lease's point, and from the lot's, down to the anchor.
fn beacon_on_chain(group: &StoredGroup) -> Option<bool> {
    let BeaconTerms::HashChain { anchor, .. } = &group.terms.beacon else { return None };
    let points = [Some(group.submission.lease.body.beacon), group.draw];
    let leads_back = |point: &BeaconPoint| verify_chain(anchor, point, &BeaconPoint::NONE).is_ok();
    Some(points.iter().flatten().all(leads_back))
}

/// An outcome as a sentence.
fn in_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Valid => "valid: every check ran and passed".to_owned(),
        Outcome::Invalid(reason) => format!("invalid, by the check {}: {reason}", reason.check),
        Outcome::Unchecked(cause) => format!("not checked: {}", cause_in_words(cause)),
    }
}

/// What was found here, and what can be done if nothing was.
fn own_words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Unchecked(UncheckedCause::WeightsMissing { version }) => format!(
            "not checked: weights {version} are not here (a run keeps only its newest checkpoints, --weights DIR names \
             another place); every check that needs no model passed"
        ),
        other => in_words(other),
    }
}

fn cause_in_words(cause: &UncheckedCause) -> String {
    match cause {
        UncheckedCause::WeightsMissing { version } => {
            format!("weights {version} were not at hand; all that needs no model passed")
        }
        UncheckedCause::ModelFailed => "the model could not be run".to_owned(),
        UncheckedCause::TaskFailed => "the task gave no prompt or no grade".to_owned(),
        UncheckedCause::TooLarge => "the group does not fit into memory".to_owned(),
    }
}

/// What a failed check says about the worker.
pub(super) fn meaning(check: Check) -> &'static str {
    match check {
        Check::Malformed => "bytes that are no record waste everybody's time",
        Check::Signature => "somebody answers in another's name, or the answer was altered on the way",
        Check::Lease => "the answer is to another lease, or the lease was altered",
        Check::Limits => "the answer is larger than the run allows",
        Check::Prompt => "the prompt is not the one that was leased: it was chosen",
        Check::WeightVersion => "other weights were used than the lease names",
        Check::SamplesMissing => "samples were left out, perhaps those that turned out badly",
        Check::Vocabulary => "a token is not one that the model has",
        Check::Finish => "the completion was cut short, or goes on where it had to end",
        Check::Duplicate => "the same work was handed in twice",
        Check::Reward => "the reward claimed is not the one that the task gives",
        Check::ProofFormat => "the proof cannot be read, or is of another size than the completion asks for",
        Check::ActivationExponent | Check::ActivationMantissa | Check::ActivationSign | Check::ActivationSpread => {
            "the activations committed to are not those of the leased weights on these tokens"
        }
        Check::Fingerprint => "the activations are nearly right, as those of rounded (quantised) weights are",
        Check::TokenMargin => {
            "with the leased weights and the lease's random numbers another token wins: these tokens came from \
             another model, another seed, another temperature, or were chosen among several tries"
        }
        Check::Logprob => "the log-probabilities claimed would have moved the trainer, and are not the model's",
        Check::Withheld => "leases were taken and not answered",
        Check::SealMismatch => "the verdict is another than the one that was sealed",
        Check::PlantMissed => "a planted lie was called valid: nobody looked",
        Check::VerdictDisagrees => "the other validators prove the opposite",
        Check::UpdateReplay => "the step, made again, ends in other weights",
    }
}

fn samples(group: &StoredGroup, recheck: &Recheck) -> Result<Vec<SampleSeen>> {
    let by_index: BTreeMap<u32, _> =
        group.submission.rollouts.iter().map(|rollout| (rollout.sample_index, rollout)).collect();
    let temperature = group.terms.sampling.temperature;
    let seen = |checked: &CheckedRollout| {
        let rollout = by_index.get(&checked.sample_index)?;
        let text = |tokens: &[u32]| recheck.prompting.text(tokens);
        let make = || {
            anyhow::Ok(SampleSeen {
                sample_index: checked.sample_index,
                prompt: text(&rollout.prompt_tokens)?,
                completion: text(&rollout.completion_tokens)?,
                tokens: rollout.completion_tokens.len() as u64,
                tokens_lost: checked.tokens_lost,
                measures: measures(checked, rollout.completion_tokens.len(), recheck.width, temperature),
            })
        };
        Some(make())
    };
    recheck.verdict.checked.iter().filter_map(seen).collect()
}

/// The numbers of a rollout in the order of the checks; limits are those of its longest chunk.
fn measures(checked: &CheckedRollout, tokens: usize, width: usize, temperature: f32) -> Vec<Measure> {
    let points = TOP_K.min(tokens.min(CHUNK_TOKENS).saturating_mul(width)) as u32; // at most TOP_K
    let count = |name, value: u32, limit| measure(name, value.into(), scaled_limit(limit, points).into(), 1.0);
    let milli = |name, value: u32, limit: u32| measure(name, value.into(), limit.into(), 1e3);
    let micro = |name, value, limit| measure(name, value, limit, 1e6);
    let tempered = |name, value, limit| micro(name, value, tempered_limit(limit, temperature));
    vec![
        count("activation exponents that differ", checked.exponent_mismatches, EXPONENT_MISMATCHES_MAX),
        milli("mean difference of mantissas", checked.mantissa_mean_milli, MANTISSA_MEAN_MILLI_MAX),
        milli("median difference of mantissas", checked.mantissa_median_milli, MANTISSA_MEDIAN_MILLI_MAX),
        count("activation signs that differ", checked.sign_mismatches, SIGN_MISMATCHES_MAX),
        micro("fingerprint, relative distance", checked.fingerprint_error_ppm.into(), FINGERPRINT_ERROR_MAX_PPM.into()),
        tempered("worst token's shortfall, nats", checked.margin_max_micro, TOKEN_MARGIN_MAX_MICRO),
        tempered("worst logprob difference, nats", checked.logprob_error_max_micro, LOGPROB_ERROR_MAX_MICRO),
        tempered("mean logprob difference, nats", checked.logprob_error_mean_micro, LOGPROB_ERROR_MEAN_MAX_MICRO),
    ]
}

fn measure(name: &'static str, value: i64, limit: i64, unit: f64) -> Measure {
    Measure { name, value: value as f64 / unit, limit: limit as f64 / unit }
}

fn recorded(group: &StoredGroup, verdict: &Signed<Verdict>, own: &Outcome) -> Recorded {
    let (run, body) = (group.terms.id(), &verdict.body);
    let is_signed = group.terms.validator(body.validator).is_ok_and(|key| verdict.verify(&run, key).is_ok());
    let is_over_this = body.root == *group.submission.root() && body.lease == group.submission.lease.body.lease;
    Recorded {
        validator: body.validator,
        outcome: body.outcome,
        words: in_words(&body.outcome),
        is_genuine: is_signed && is_over_this,
        agrees: agree(&body.outcome, own),
    }
}

/// The same finding by the same check; the numbers may differ as machines do. None if nothing was found here.
fn agree(said: &Outcome, own: &Outcome) -> Option<bool> {
    match (said, own) {
        (_, Outcome::Unchecked(_)) => None,
        (Outcome::Valid, Outcome::Valid) => Some(true),
        (Outcome::Invalid(said), Outcome::Invalid(own)) => Some(said.check == own.check),
        _ => Some(false),
    }
}

impl Explained {
    /// The explanation for people.
    pub fn to_text(&self) -> String {
        let Self { lease, worker, task, item, rollouts, tokens, .. } = self;
        let mut text = format!(
            "lease {lease}: worker {worker} answered item {item} of {task} with {rollouts} rollouts, {tokens} tokens\n"
        );
        text +=
            &format!("orchestrator     {} (claimed; compare it with the key you know)\n", self.orchestrator_claimed);
        text += &self.beacon_text();
        text += &self.weights_text();
        text += &self.scope_text();
        self.samples.iter().for_each(|sample| text += &sample.to_text());
        text += &format!("\n{}\n", self.words);
        if let Outcome::Invalid(reason) = &self.outcome {
            text += &format!("which means: {}\n", meaning(reason.check));
        }
        for recorded in &self.recorded {
            text += &recorded.to_text();
        }
        if let Some(fined) = &self.fined {
            text += &format!("in the run, {} was fined for it: {}\n", fined.party, fined.words);
        }
        text
    }

    fn scope_text(&self) -> String {
        let scope = match (self.samples.is_empty(), self.beacon_round) {
            (true, _) => "nothing".to_owned(),
            (false, Some(round)) if !self.every_rollout => format!("rollouts drawn by lot, beacon round {round}"),
            (false, _) => "every rollout".to_owned(),
        };
        let why = match (&self.outcome, self.samples.is_empty()) {
            (Outcome::Invalid(_), true) => ", for a check that needs no model failed before",
            (Outcome::Invalid(_), false) => ", up to the first that failed",
            _ => "",
        };
        format!("recomputed       {scope}{why}\n")
    }

    /// Whether the randomness is the run's.
    fn beacon_text(&self) -> String {
        let words = match self.beacon_on_chain {
            Some(true) => "leads back to the anchor in the run's terms",
            Some(false) => "DOES NOT lead back to the anchor in the run's terms: its randomness was chosen",
            None => "drand, whose signature is not stored: compare the round with the public one",
        };
        format!("randomness       {words}\n")
    }

    fn weights_text(&self) -> String {
        let name = format!("weights {} (blake3 {})", self.weight_version, &self.weights_hash[..16]);
        if let Some(place) = &self.weights_found {
            return format!("weights          {name}, from {place}\n");
        }
        let mut text = format!("weights          {name}, not found\n");
        for Seen { path, holds } in &self.weights_seen {
            text += &format!("                 {} holds {holds}\n", path.display());
        }
        text
    }
}

/// Whole numbers as such, others with all that was measured.
fn decimal(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.6}") }
}

impl SampleSeen {
    fn to_text(&self) -> String {
        let Self { sample_index, prompt, completion, tokens, tokens_lost, .. } = self;
        let mut text = format!(
            "\nsample {sample_index}: {prompt:?} -> {completion:?} ({tokens} tokens, {tokens_lost} of them not the winner)\n"
        );
        for Measure { name, value, limit } in &self.measures {
            let mark = if value > limit { "  <- more than allowed" } else { "" };
            text += &format!("  {name:<34} {:>12}  of at most {}{mark}\n", decimal(*value), decimal(*limit));
        }
        text
    }
}

impl Recorded {
    fn to_text(&self) -> String {
        let Self { validator, words, .. } = self;
        let genuine = if self.is_genuine { "" } else { " (NOT signed by it, or about another answer)" };
        let agrees = match self.agrees {
            Some(true) => "; the same as here",
            Some(false) => "; not what was found here",
            None => "", // there is nothing to hold it against
        };
        format!("validator {validator} said in the run: {words}{genuine}{agrees}\n")
    }
}

#[cfg(test)]
mod tests {
    use protocol::RejectReason;

    use super::*;

    fn checked() -> CheckedRollout {
        CheckedRollout {
            sample_index: 3,
            exponent_mismatches: 1,
            mantissa_mean_milli: 2_500,
            mantissa_median_milli: 2_000,
            sign_mismatches: 0,
            fingerprint_error_ppm: 9_120,
            margin_max_micro: -5,
            tokens_lost: 0,
            logprob_error_max_micro: 300,
            logprob_error_mean_micro: 100,
            logprobs: vec![-0.5; 3],
        }
    }

    #[test]
    fn numbers_stand_beside_their_limits_in_plain_units() {
        // 3 tokens of width 32 have 96 values: 38 of 128 become 28.5, rounded up to 29.
        let measures = measures(&checked(), 3, 32, 0.5);
        assert_eq!((measures[0].value, measures[0].limit), (1.0, 29.0));
        assert_eq!((measures[1].value, measures[1].limit), (2.5, 10.0));
        assert_eq!((measures[4].value, measures[4].limit), (0.00912, f64::from(FINGERPRINT_ERROR_MAX_PPM) / 1e6));
        // Logits are divided by a temperature of 0.5, and so is the limit.
        assert_eq!((measures[5].value, measures[5].limit), (-0.000005, 2.0 * TOKEN_MARGIN_MAX_MICRO as f64 / 1e6));
        let over: Vec<&str> = measures.iter().filter(|m| m.value > m.limit).map(|m| m.name).collect();
        assert_eq!(over, ["fingerprint, relative distance"]);
    }

    #[test]
    fn every_check_has_a_meaning_of_its_own_words() {
        for check in Check::ALL {
            let words = in_words(&Outcome::Invalid(RejectReason {
                check,
                sample_index: None,
                position: None,
                limit: 1,
                given: 2,
            }));
            assert!(words.starts_with(&format!("invalid, by the check {check}: ")), "{words}");
            assert!(meaning(check).len() > 20, "{check}");
        }
        let missing = Outcome::Unchecked(UncheckedCause::WeightsMissing { version: 7 });
        assert_eq!(in_words(&missing), "not checked: weights 7 were not at hand; all that needs no model passed");
        assert!(own_words(&missing).starts_with("not checked: weights 7 are not here (a run keeps only"));
        assert_eq!([agree(&Outcome::Valid, &missing), agree(&missing, &Outcome::Valid)], [None, Some(false)]);
    }
}
