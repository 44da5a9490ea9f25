//! Cases for people and for programs.

use anyhow::Result;
use chain::B256;
use chain::contracts::{Case, CaseKind, CaseState, Outcome};
use serde_json::{Value, json};

use super::case;
use crate::cli::{CaseArgs, CasesArgs};
use crate::commands::money::account::Names;
use crate::commands::money::place::{Access, Place};
use crate::commands::money::words::{date, esm, facts as lines, moment, table};
use crate::context::Context;
use crate::ending::Ending;
use record::output;

/// All cases, one a line.
pub(super) fn list(args: &CasesArgs, context: &Context) -> Result<Ending> {
    let place = Place::open(&args.place, Access::Look)?;
    let count = place.contracts.case_count(&*place.chain)?;
    let cases = (1..=count).map(|number| case(&place, number)).collect::<Result<Vec<Case>>>()?;
    if context.global.json {
        let document = json!({ "cases": cases.iter().map(facts).collect::<Vec<_>>() });
        output::print_line(&document.to_string())?;
        return Ok(Ending::Done);
    }
    if cases.is_empty() {
        output::print_line(&format!("no case was ever brought on {}", place.name))?;
        return Ok(Ending::Done);
    }
    let (names, now_s) = (Names::of(&place)?, place.now_s()?);
    let row = |case: &Case| {
        let about = match case.kind {
            CaseKind::Stake => names.brief(&case.accused),
            CaseKind::Root => format!("root of epoch {}", case.epoch),
        };
        let at_risk = if case.kind == CaseKind::Stake { esm(case.amount) } else { "–".to_owned() };
        vec![case.case.to_string(), about, at_risk, esm(case.bond), names.brief(&case.challenger), state(case, now_s)]
    };
    let rows: Vec<Vec<String>> = cases.iter().map(row).collect();
    output::print(&table(&["#case", "about", "#at risk", "#bond", "by", "stands"], &rows))?;
    Ok(Ending::Done)
}

/// Everything about one case.
pub(super) fn show(args: &CaseArgs, context: &Context) -> Result<Ending> {
    let place = Place::open(&args.place, Access::Look)?;
    let case = case(&place, args.case)?;
    if context.global.json {
        output::print_line(&facts(&case).to_string())?;
        return Ok(Ending::Done);
    }
    let names = Names::of(&place)?;
    let now_s = place.now_s()?;
    let head = format!("case {}: {}\n", case.case, state(&case, now_s));
    let about = match case.kind {
        CaseKind::Stake => vec![
            ("accused", names.show(&case.accused)),
            ("at risk", esm(case.amount)),
            ("answer until", date(case.answer_until_s)),
        ],
        CaseKind::Root => vec![("epoch", case.epoch.to_string()), ("root", case.root.to_string())],
    };
    let rest = [
        ("by", names.show(&case.challenger)),
        ("bond", esm(case.bond)),
        ("evidence", case.evidence.to_string()),
        ("answer", if case.answer == B256::ZERO { "none".to_owned() } else { case.answer.to_string() }),
    ];
    output::print(&(head + &lines(&about.into_iter().chain(rest).collect::<Vec<_>>())))?;
    Ok(Ending::Done)
}

/// Where a case stands, and what can be done until when.
pub(super) fn state(case: &Case, now_s: u64) -> String {
    let due = moment(case.deadline_s, now_s);
    let is_late = now_s > case.deadline_s;
    match case.state {
        CaseState::Open | CaseState::Answered if is_late => {
            "nobody ruled in time: anybody may let it expire".to_owned()
        }
        CaseState::Open if now_s <= case.answer_until_s && case.kind == CaseKind::Stake => {
            format!("open: the accused may answer until {}", moment(case.answer_until_s, now_s))
        }
        CaseState::Open | CaseState::Answered => format!("the committee may rule until {due}"),
        CaseState::Guilty if is_late => "guilty: anybody may carry it out".to_owned(),
        CaseState::Guilty => format!("guilty: the accused may appeal until {due}"),
        CaseState::Appealed if is_late => {
            "guilty, the appeal was not heard in time: anybody may carry it out".to_owned()
        }
        CaseState::Appealed => format!("appealed: the timelock may rule until {due}"),
        CaseState::Closed => format!("closed: {}", case.outcome.map_or("ended", outcome)),
    }
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Acquitted => "not guilty",
        Outcome::Convicted => "guilty",
        Outcome::Overturned => "not guilty on appeal",
        Outcome::Expired => "nobody ruled in time",
        Outcome::Cancelled => "stopped by the guardian",
    }
}

/// A case for programs.
pub(super) fn facts(case: &Case) -> Value {
    let state = match case.state {
        CaseState::Open => "open",
        CaseState::Answered => "answered",
        CaseState::Guilty => "guilty",
        CaseState::Appealed => "appealed",
        CaseState::Closed => "closed",
    };
    let outcome = case.outcome.map(|outcome| match outcome {
        Outcome::Acquitted => "acquitted",
        Outcome::Convicted => "convicted",
        Outcome::Overturned => "overturned",
        Outcome::Expired => "expired",
        Outcome::Cancelled => "cancelled",
    });
    let is_root = case.kind == CaseKind::Root;
    json!({
        "case": case.case,
        "about": if is_root { "root" } else { "stake" },
        "state": state,
        "outcome": outcome,
        "challenger": case.challenger.to_string(),
        "accused": (!is_root).then(|| case.accused.to_string()),
        "amount": case.amount,
        "bond": case.bond,
        "appeal_bond": case.appeal_bond,
        "answer_until_s": case.answer_until_s,
        "deadline_s": case.deadline_s,
        "epoch": is_root.then_some(case.epoch),
        "root": is_root.then_some(case.root),
        "evidence": case.evidence,
        "answer": case.answer,
    })
}
