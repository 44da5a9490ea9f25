//! `essaim chain events`: what the contracts did, as it happened.
//!
//! Promise: every event is told once it has its confirmations, none twice while a cursor is kept, and one that the
//! chain has replaced is told as undone. What was printed and not yet noted when the process was killed is told again.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result};
use chain::{Follower, Log};
use serde_json::json;

use super::account::Names;
use super::event::{self, Told};
use super::place::{Access, Place};
use crate::cli::EventsArgs;
use crate::context::Context;
use crate::ending::Ending;
use record::output;

/// Pause between two looks at a chain that is followed.
const PAUSE: Duration = Duration::from_secs(1);
/// Parts of the pause, so that Ctrl-C is heard at once.
const PAUSE_PARTS: u32 = 10;

/// Tells events until there are no more, or for ever.
pub(super) fn events(args: &EventsArgs, context: &Context) -> Result<Ending> {
    let mut place = Place::open(&args.place, Access::Look)?;
    let at = place.contracts.addresses;
    // Without a cursor the place is kept as long as this call.
    let folder = tempfile::tempdir().context("a folder for the cursor")?;
    let cursor = args.cursor.clone().unwrap_or_else(|| folder.path().join("cursor.json"));
    let contracts = at.named().map(|(_, address)| address).to_vec();
    let start = args.from.unwrap_or(at.block);
    let mut follower = Follower::open(&cursor, &*place.chain, contracts, start, place.confirmations)?;
    let teller = Teller { names: Names::of(&place)?, is_json: context.global.json };
    if args.follow {
        context.stop.on_signals_quietly()?;
    }
    loop {
        let news = follower.look(&*place.chain)?;
        let more = news.more;
        teller.tell(&place, &news.undone, true)?;
        teller.tell(&place, &news.logs, false)?;
        if output::is_closed() {
            return Ok(Ending::Done); // what nobody read is not noted as told
        }
        follower.take(news)?;
        if more && !context.stop.is_requested() {
            continue;
        }
        if !args.follow {
            return Ok(Ending::Done);
        }
        for _ in 0..PAUSE_PARTS {
            if context.stop.is_requested() {
                return Ok(Ending::Interrupted);
            }
            sleep(PAUSE / PAUSE_PARTS);
        }
        if place.is_local {
            place = Place::open(&args.place, Access::Look)?; // what was read of its file does not grow
        }
    }
}

struct Teller {
    names: Names,
    is_json: bool,
}

impl Teller {
    fn tell(&self, place: &Place, logs: &[Log], undone: bool) -> Result<()> {
        for log in logs {
            let told = match place.contracts.event(log)? {
                Some(event) => event::told(&event),
                None => continue,
            };
            match self.is_json {
                true => output::print_line(&document(log, &told, undone).to_string())?,
                false => output::print_line(&self.line(log, &told, undone))?,
            }
        }
        Ok(())
    }

    fn line(&self, log: &Log, told: &Told, undone: bool) -> String {
        let undone = if undone { "undone: " } else { "" };
        format!("{undone}block {}  {}", log.block, told.in_words(&self.names))
    }
}

fn document(log: &Log, told: &Told, undone: bool) -> serde_json::Value {
    json!({
        "undone": undone, "block": log.block, "transaction": log.transaction, "index": log.index,
        "contract": told.contract, "event": told.name, "fields": told.to_json(),
    })
}
