//! The log with everything that reads along.
//!
//! Promise: an event is on disk before anybody sees it; the views see all events in order.

use anyhow::Result;
use protocol::{LeaseId, WeightVersion};
use rounds::Wait;

use crate::clock::now_ms;
use crate::context::Global;
use record::events::Event;
use record::run_dir::RunDir;
use record::store::{EventLog, Payload};
use record::views::Views;

/// One run's log and its views.
pub struct Journal {
    log: EventLog,
    views: Views,
}

impl Journal {
    /// A journal over a run's log, with the views of it: screen, metrics files, and at the end
    /// the summary and the report. The first event to record is `RunStarted` or `RunResumed`.
    pub fn open(log: EventLog, dir: &RunDir, global: &Global) -> Self {
        Self { log, views: Views::new(dir.path(), global.screen()) }
    }

    /// The log.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// Writes an event down and shows it.
    pub fn record(&mut self, event: Event) -> Result<()> {
        self.append(event, None).map(drop)
    }

    /// The same with a signed record beside it; gives the event's number.
    pub fn record_with(&mut self, event: Event, payload: Payload<'_>) -> Result<u64> {
        self.append(event, Some(payload))
    }

    fn append(&mut self, event: Event, payload: Option<Payload<'_>>) -> Result<u64> {
        let recorded = self.log.append(now_ms(), event, payload)?;
        self.views.see(&recorded)?;
        Ok(recorded.seq)
    }

    /// Drops the records of leases that name weights older than `oldest`, but for those that `keeps` names.
    pub fn drop_payloads(&mut self, oldest: WeightVersion, keeps: impl Fn(LeaseId) -> bool) -> Result<()> {
        Ok(self.log.drop_payloads(oldest, keeps)?)
    }

    /// Tells people who waits on whom.
    pub fn tick(&mut self, waits: &[Wait]) {
        self.views.waits(waits);
    }
}
