//! The page's section about what was asked: useful groups, pools and levels over the steps.

use rounds::{LevelView, Pool};

use super::chart::{Chart, Look, Series};
use super::charts;
use crate::summary::{Summary, percent};
use crate::view::RunView;

/// Curves that one chart can tell apart.
const CURVES_MAX: usize = 6;
const LEVEL_LABELS: [&str; CURVES_MAX] = ["level 0", "level 1", "level 2", "level 3", "level 4", "level 5"];

/// The whole section; nothing before the first group.
pub(super) fn section(view: &RunView, summary: &Summary) -> String {
    let Some(share) = summary.useful.share else { return String::new() };
    let text = format!(
        "<p style=\"margin-bottom:10px\">{} of {} groups found valid were trained on ({}); the others had nothing to teach, or came too late.</p>",
        summary.useful.groups_trained,
        summary.useful.groups_valid,
        percent(Some(share)),
    );
    let mut drawn = vec![useful(view)];
    drawn.extend(pools(view));
    drawn.extend(levels(view));
    text + &charts(&drawn)
}

fn useful(view: &RunView) -> Chart {
    let groups = view.curriculum.groups.iter().filter(|(_, (valid, _))| *valid > 0);
    let points = groups.map(|(step, (valid, trained))| (*step as f64, *trained as f64 / *valid as f64)).collect();
    Chart {
        title: "Useful groups",
        note: "groups in a step's batch by groups found valid meanwhile; above 1 where some had waited".to_owned(),
        series: vec![Series { label: "useful", points, look: Look::Smoothed }],
        span: Some((0.0, 1.0)),
    }
}

/// Share of the leases between two accounts that went to each pool; nothing without a curriculum.
fn pools(view: &RunView) -> Option<Chart> {
    let leases = |levels: &[LevelView], pool: Pool| -> u64 {
        levels.iter().flat_map(|level| &level.pools).filter(|seen| seen.pool == pool).map(|seen| seen.leases).sum()
    };
    let named = [(Pool::Unseen, "unseen"), (Pool::Learning, "learning"), (Pool::Easy, "easy"), (Pool::Hard, "hard")];
    let series = named.map(|(pool, label)| Series {
        label,
        points: shares(view, |levels| leases(levels, pool)),
        look: Look::Line,
    });
    (!series[0].points.is_empty()).then(|| Chart {
        title: "Leases by pool",
        note: "what was known of the item: never asked, rewards differed, nearly always solved, hardly ever".to_owned(),
        series: series.into(),
        span: Some((0.0, 1.0)),
    })
}

/// The same by level, of the first task that has several.
fn levels(view: &RunView) -> Option<Chart> {
    let last = view.curriculum.levels.values().next_back()?;
    let task = last.iter().find(|seen| seen.level > 0)?.task;
    let count = last.iter().filter(|seen| seen.task == task).count();
    let leases = |levels: &[LevelView], level: u32| -> u64 {
        let seen = levels.iter().filter(|seen| seen.task == task && seen.level == level);
        seen.flat_map(|seen| &seen.pools).map(|pool| pool.leases).sum()
    };
    let series = LEVEL_LABELS.iter().enumerate().take(count).map(|(level, label)| Series {
        label,
        points: shares(view, |levels| leases(levels, level as u32)),
        look: Look::Line,
    });
    let more = count.checked_sub(CURVES_MAX).filter(|more| *more > 0);
    Some(Chart {
        title: "Leases by level",
        note: format!(
            "level 0 is the easiest{}",
            more.map_or(String::new(), |more| format!("; {more} more are not drawn"))
        ),
        series: series.collect(),
        span: Some((0.0, 1.0)),
    })
}

/// `(count now - count before) / (all now - all before)` between two accounts, at the later one's step.
fn shares(view: &RunView, count: impl Fn(&[LevelView]) -> u64) -> Vec<(f64, f64)> {
    let all =
        |levels: &[LevelView]| -> u64 { levels.iter().flat_map(|level| &level.pools).map(|pool| pool.leases).sum() };
    let seen: Vec<_> =
        view.curriculum.levels.iter().map(|(step, levels)| (*step, count(levels), all(levels))).collect();
    let pairs = seen.windows(2).filter(|pair| pair[1].2 > pair[0].2);
    pairs
        .map(|pair| {
            let (step, now, total) = pair[1];
            (step as f64, now.saturating_sub(pair[0].1) as f64 / (total - pair[0].2) as f64)
        })
        .collect()
}
