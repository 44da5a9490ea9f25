//! The page's section about checks: who was caught, by what, and what it cost.

use protocol::Party;
use std::collections::BTreeMap;

use sim::liars::Cheat;

use super::html::{escape, table};
use crate::summary::{CaughtLiar, Liar, Rested, Summary, Verification, duration, percent};
use crate::view::{HandedIn, RunView};

/// Workers shown in the table of all workers.
const WORKERS_SHOWN: usize = 64;

/// The whole section; nothing for a run without checks.
pub(super) fn section(view: &RunView, summary: &Summary) -> String {
    let checks = &summary.verification;
    if checks.rollouts == 0 && checks.groups.refused == 0 {
        return String::new();
    }
    let heading = |text: &str, content: String| match content.is_empty() {
        true => content,
        false => format!("<h3 style=\"margin:18px 0 8px\">{text}</h3>{content}"),
    };
    [
        verdict(checks),
        heading("Who was caught", caught(checks)),
        heading("Groups", groups(checks)),
        heading("Workers", workers(view)),
        heading("What the checks cost", cost(checks)),
    ]
    .concat()
}

/// The finding in a sentence or two.
fn verdict(checks: &Verification) -> String {
    let caught_liars = checks.liars_caught();
    let liars = match (checks.liars, caught_liars) {
        (0, _) if checks.caught.is_empty() => "Nobody was told to lie and nobody was fined.".to_owned(),
        (0, _) => "Nobody was told to lie.".to_owned(),
        (all, caught) if all == caught => format!("All {all} liars were caught."),
        (all, caught) => format!("{caught} of {all} liars were caught."),
    };
    let honest = match checks.honest_fined {
        0 => "<span class=\"good\">Honest parties fined: 0.</span>".to_owned(),
        given => format!("<span class=\"bad\">Parties fined that were not told to lie: {given}.</span>"),
    };
    let rested = |Rested { party, cheat, .. }: &Rested| {
        format!(" Put to rest: {} ({}), which did not answer; that costs no stake.", escape(party), escape(cheat))
    };
    let rested: String = checks.put_to_rest.iter().map(rested).collect();
    let missed: String = checks
        .missed
        .iter()
        .map(|Liar { party, cheat }| format!(" Not caught: {} ({}).", escape(party), escape(cheat)))
        .collect();
    format!("<p>{liars} {honest}{rested}{missed}</p>")
}

fn caught(checks: &Verification) -> String {
    if checks.caught.is_empty() {
        return String::new();
    }
    let rows: Vec<Vec<String>> = checks.caught.iter().map(caught_row).collect();
    table(&["who", "what it did", "check", "what the check found", "#handed in by then", "#step"], &rows)
}

fn caught_row(caught: &CaughtLiar) -> Vec<String> {
    let did = match &caught.cheat {
        None => "<span class=\"bad\">not told to lie</span>".to_owned(),
        Some(name) => {
            let describe = name.parse::<Cheat>().map_or("", Cheat::describe);
            format!("<b>{}</b><div class=\"soft\">{}</div>", escape(name), escape(describe))
        }
    };
    vec![
        escape(&caught.party),
        did,
        format!("<code class=\"word\">{}</code>", caught.check),
        escape(&caught.words),
        format!("{} {}", caught.handed_in, caught.unit()),
        caught.step.to_string(),
    ]
}

fn groups(checks: &Verification) -> String {
    let groups = &checks.groups;
    let row = |label: &str, value: u64, meaning: &str| vec![label.to_owned(), value.to_string(), meaning.to_owned()];
    let mut rows = vec![
        row("valid", groups.valid, "every check passed; only these can be trained on"),
        row("invalid", groups.invalid, "proven to hold a lie"),
        row(
            "unchecked",
            groups.unchecked,
            "judged by nobody: its worker was banned or it was too old by then, or nobody could check it",
        ),
        row("refused", groups.refused, "no record, wrong signature or wrong lease: no validator saw them"),
    ];
    let share = percent(checks.checked_share);
    let seen = format!("{share} of {}; the rest passed every check that needs no model", checks.rollouts);
    rows.push(row("rollouts recomputed", checks.rollouts_checked, &seen));
    rows.push(row("verdicts", checks.verdicts, "sealed first, opened when all of a panel had sealed"));
    if checks.plants > 0 {
        let found = format!("{} of them found out", checks.plants_caught);
        rows.push(row("planted lies", checks.plants, &found));
    }
    table(&["", "#count", ""], &rows)
}

fn workers(view: &RunView) -> String {
    let trust = &view.trust;
    if trust.handed_in.len() < 2 {
        return String::new();
    }
    let fined: BTreeMap<String, &str> = trust
        .fined
        .iter()
        .map(|caught| (caught.fined.party.to_string(), caught.fined.cheat.as_deref().unwrap_or("not told to lie")))
        .collect();
    let row = |(worker, handed_in): (&u32, &HandedIn)| {
        let name = format!("worker {worker}");
        let fate = match fined.get(&name) {
            Some(cheat) => format!("<span class=\"bad\">fined ({})</span>", escape(cheat)),
            None if trust.suspended.contains_key(&Party::Worker(*worker)) => "was put to rest".to_owned(),
            None => "<span class=\"good\">in good standing</span>".to_owned(),
        };
        let HandedIn { groups, rollouts, valid } = handed_in;
        vec![name, groups.to_string(), rollouts.to_string(), valid.to_string(), fate]
    };
    let rows: Vec<Vec<String>> = trust.handed_in.iter().take(WORKERS_SHOWN).map(row).collect();
    table(&["worker", "#groups handed in", "#rollouts", "#groups valid", "at the end"], &rows)
}

fn cost(checks: &Verification) -> String {
    let seconds = &checks.seconds;
    let rows = [
        ("generating", seconds.generating, None),
        ("proving and grading", seconds.proving, seconds.proving_share),
        ("validating", seconds.validating, seconds.validating_share),
    ];
    let longest = rows.iter().map(|row| row.1).fold(0.0, f64::max);
    if longest <= 0.0 {
        return String::new();
    }
    let bar = |(label, busy, share): &(&str, f64, Option<f64>)| {
        let share = share.map_or(String::new(), |share| format!(" · {}", percent(Some(share))));
        let width = 100.0 * busy / longest;
        let (label, busy) = (escape(label), duration(*busy));
        format!(
            "<div class=\"bar\"><span>{label}</span><div><i style=\"width:{width:.2}%\"></i></div><em>{busy}{share}</em></div>"
        )
    };
    let bars: String = rows.iter().map(bar).collect();
    format!(
        "<p class=\"soft\" style=\"margin-bottom:10px\">Busy seconds of all workers and validators together; shares are of generating.</p>\
         <div class=\"card bars\">{bars}</div>"
    )
}
