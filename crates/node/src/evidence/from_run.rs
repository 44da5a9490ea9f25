//! Takes one group out of a run's log.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use protocol::{BeaconPoint, Party, Record, RunTerms, Submission, VerdictReveal};
use rounds::Event as Rule;

use super::StoredGroup;
use record::events::{Event, Fined, Recorded};
use record::run_dir;
use record::store::EventLog;

/// Leases named in a hint.
const HINTS_MAX: usize = 12;

/// There is no such group in the log.
#[derive(Debug, thiserror::Error)]
pub enum NotStored {
    /// No lease was named.
    #[error("which group? --lease N names one, 0 to {last}{hint}")]
    NoLease {
        /// The last lease of the run.
        last: u64,
        /// Leases of which somebody was fined, in words.
        hint: String,
    },
    /// The run had no such lease.
    #[error("the run gave out leases 0 to {last}; there is no lease {given}")]
    NoSuchLease {
        /// The last lease.
        last: u64,
        /// The lease asked for.
        given: u64,
    },
    /// What came back was refused before it was stored.
    #[error("the answer to lease {lease} was refused before any validator saw it, and is not stored: {words}")]
    Refused {
        /// The lease.
        lease: u64,
        /// Why it was refused.
        words: String,
    },
    /// Nothing came back.
    #[error("no answer to lease {lease} is in the log")]
    NoAnswer {
        /// The lease.
        lease: u64,
    },
}

/// The log tells of the group, and has its records no longer.
#[derive(Debug, thiserror::Error)]
#[error(
    "the evidence of lease {lease} was dropped: its group was settled before the oldest checkpoint that is kept, and its \
     weights (version {weight_version}) went with an older one. That says nothing against it; what its worker and \
     validators signed is in ledger.jsonl, if the run has one"
)]
pub struct Dropped {
    /// The lease.
    pub lease: u64,
    /// The weights that it named.
    pub weight_version: u64,
}

/// What the log says about one lease.
#[derive(Default)]
struct Heard {
    lease: Option<u64>,
    config_toml: String,
    terms: Option<RunTerms>,
    last_lease: u64,
    weight_version: u64,
    submission: Option<u64>,
    verdicts: Vec<u64>,
    draw: Option<BeaconPoint>,
    fined: Option<Fined>,
    refused: Option<String>,
    fines: Vec<(u64, Party)>,
}

impl Heard {
    fn hear(&mut self, recorded: Recorded) {
        let is_it = |lease: u64| self.lease == Some(lease);
        match recorded.event {
            Event::RunStarted(started) => self.config_toml = started.config_toml,
            Event::TermsSet(set) => self.terms = Some(*set.terms),
            Event::LeaseIssued(issued) => {
                self.last_lease = self.last_lease.max(issued.lease);
                if is_it(issued.lease) {
                    self.weight_version = issued.weight_version;
                }
            }
            // After a restart a lease may be answered again; the last answer is the one that counted.
            Event::GroupReceived(group) if is_it(group.lease) => {
                self.submission = Some(recorded.seq);
                self.verdicts.clear();
            }
            Event::GroupRefused { lease: Some(lease), words, .. } if is_it(lease) => self.refused = Some(words),
            Event::VerdictGiven(verdict) if is_it(verdict.lease) => self.verdicts.push(recorded.seq),
            Event::Rules { rules: Rule::Drawn { lease, beacon } } if is_it(lease) => self.draw = Some(beacon),
            Event::Fined(fined) => {
                if let Some(lease) = fined.lease {
                    self.fines.push((lease, fined.party));
                    if is_it(lease) {
                        self.fined = Some(fined);
                    }
                }
            }
            _ => {}
        }
    }

    fn hint(&self) -> String {
        let named = |(lease, party): &(u64, Party)| format!("{lease} ({party})");
        let named: Vec<String> = self.fines.iter().take(HINTS_MAX).map(named).collect();
        if named.is_empty() { String::new() } else { format!("; somebody was fined for: {}", named.join(", ")) }
    }
}

/// The group of a lease, from the log in a run's folder.
///
/// Errors: [`NotStored`], [`Dropped`], those of the log, and records that do not read.
pub fn take_out(run: &Path, lease: Option<u64>) -> Result<StoredGroup> {
    let log = EventLog::open_to_read(&run_dir::events_path(run))?;
    let mut heard = Heard { lease, ..Heard::default() };
    log.replay(1, |recorded| {
        heard.hear(recorded);
        anyhow::Ok(())
    })?;
    let last = heard.last_lease;
    let lease = lease.ok_or_else(|| NotStored::NoLease { last, hint: heard.hint() })?;
    let Some(submission) = heard.submission else {
        return Err(match heard.refused {
            _ if lease > last => NotStored::NoSuchLease { last, given: lease },
            Some(words) => NotStored::Refused { lease, words },
            None => NotStored::NoAnswer { lease },
        }
        .into());
    };
    let Some(record) = log.payload(submission)? else {
        return Err(Dropped { lease, weight_version: heard.weight_version }.into());
    };
    let terms = heard.terms.with_context(|| format!("{}: the log has no terms", run.display()))?;
    let same = |seq: u64, given: u64| {
        ensure!(given == lease, "event {seq} of the log is of lease {lease}, the record beside it of lease {given}");
        Ok(())
    };
    let verdict = |seq: &u64| {
        let verdict = VerdictReveal::decode(&payload(&log, *seq)?)?.verdict;
        same(*seq, verdict.body.lease)?;
        Ok(verdict)
    };
    let answer = Submission::decode(&record)?;
    same(submission, answer.lease.body.lease)?;
    Ok(StoredGroup {
        config_toml: heard.config_toml,
        terms,
        submission: answer,
        draw: heard.draw,
        verdicts: heard.verdicts.iter().map(verdict).collect::<Result<_>>()?,
        fined: heard.fined,
    })
}

fn payload(log: &EventLog, seq: u64) -> Result<Vec<u8>> {
    log.payload(seq)?.with_context(|| format!("event {seq} of the log has no record beside it"))
}
