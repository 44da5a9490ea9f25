//! The picture of `docs/economics.md`: what each strategy earned, as one SVG file.
//!
//! Promise: well-formed whatever the numbers; its colours are its own, on a ground of its own, so that it can
//! be read on any page.

use std::fmt::Write;

use sim::economy::{EconomyReport, EconomyRow, Strategy};

const WIDTH: f64 = 980.0;
/// Left of the bars stand the strategies' names.
const NAMES: f64 = 150.0;
const PAD: f64 = 20.0;
const CURVES_TOP: f64 = 96.0;
const CURVES_HEIGHT: f64 = 190.0;
const BARS_TOP: f64 = 376.0;
/// Between the columns, where the numbers of the curves stand.
const GAP: f64 = 46.0;
const ROW: f64 = 19.0;
/// Bars end here, in multiples of the honest profit; what is longer is cut and told in numbers.
const SHARE: (f64, f64) = (-3.0, 1.5);
/// The strategies of the curves, with their colours.
const CURVES: [(Strategy, &str); 4] = [
    (Strategy::Int8, "#b3261e"),
    (Strategy::CheapInt8, "#b4540a"),
    (Strategy::FourNames, "#1f6f8b"),
    (Strategy::Withholds, "#8a4f9e"),
];
const HONEST: &str = "#2f7d32";
const STYLE: &str = "text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#1d1c1a}\
    .soft{fill:#6d6a64}.title{font-size:17px;font-weight:600}.head{font-size:13px;font-weight:600}\
    .tick{font-size:10.5px;fill:#6d6a64}.grid{stroke:#e4e0d8}.zero{stroke:#6d6a64}\
    .line{fill:none;stroke-width:2;stroke-linejoin:round}";

/// The whole picture.
pub(super) fn picture(report: &EconomyReport) -> String {
    let presets = presets(report);
    let strategies = strategies(report);
    let height = BARS_TOP + 40.0 + ROW * strategies.len() as f64;
    let column = (WIDTH - NAMES + GAP - PAD) / presets.len().max(1) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"What each strategy earns\"><style>{STYLE}</style>\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fbfaf7\"/>\
         <text class=\"title\" x=\"{PAD}\" y=\"30\">What honesty earns, and what lies earn</text>\
         <text class=\"soft\" x=\"{PAD}\" y=\"50\">{}</text>{}",
        escape(&format!(
            "{} epochs, mean of {} seeds. Profit = payouts - cost of work and of idle stake - stake lost.",
            report.epochs, report.seeds
        )),
        legend(),
    );
    for (index, preset) in presets.iter().enumerate() {
        let left = NAMES + column * index as f64;
        svg += &curves(report, preset, left, column - GAP);
        svg += &bars(report, preset, &strategies, left, column - GAP);
    }
    svg += &names(&strategies);
    svg + "</svg>\n"
}

fn presets(report: &EconomyReport) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = report.rows.iter().map(|row| row.preset).collect();
    names.dedup();
    names
}

fn strategies(report: &EconomyReport) -> Vec<Strategy> {
    let all = Strategy::WITHIN.into_iter().chain(Strategy::BEYOND);
    all.filter(|strategy| report.rows.iter().any(|row| row.strategy == *strategy)).collect()
}

fn row<'a>(report: &'a EconomyReport, preset: &str, strategy: Strategy) -> Option<&'a EconomyRow> {
    report.rows.iter().find(|row| row.preset == preset && row.strategy == strategy)
}

fn legend() -> String {
    let mut svg = String::new();
    let mut left = NAMES;
    let keys = CURVES.map(|(strategy, colour)| (strategy.as_str(), colour));
    for (name, colour) in [("honest", HONEST)].into_iter().chain(keys) {
        let _ = write!(
            svg,
            "<rect x=\"{left}\" y=\"66\" width=\"14\" height=\"3\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"72\">{name}</text>",
            left + 20.0
        );
        left += 40.0 + 7.0 * name.len() as f64;
    }
    svg
}

/// Profit of one worker so far, after each epoch, in ESM.
fn curves(report: &EconomyReport, preset: &str, left: f64, width: f64) -> String {
    let seeds = report.seeds.max(1) as f64;
    let esm = |micro: i128| micro as f64 / 1e6 / seeds;
    let mut lines: Vec<(&str, Vec<f64>)> = Vec::new();
    for (strategy, colour) in CURVES {
        let Some(row) = row(report, preset, strategy) else { continue };
        if lines.is_empty() {
            let honest = row.running.iter().map(|(_, honest)| esm(*honest));
            lines.push((HONEST, [0.0].into_iter().chain(honest).collect()));
        }
        let mine = row.running.iter().map(|(mine, _)| esm(*mine));
        lines.push((colour, [0.0].into_iter().chain(mine).collect()));
    }
    let values = || lines.iter().flat_map(|(_, values)| values.iter().copied());
    let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
    let span = if high > low { high - low } else { 1.0 };
    let (bottom, scale) = (CURVES_TOP + CURVES_HEIGHT, CURVES_HEIGHT / span);
    let place = |value: f64| bottom - (value - low) * scale;
    let mut svg = format!("<text class=\"head\" x=\"{left:.1}\" y=\"{:.1}\">{preset}</text>", CURVES_TOP - 6.0);
    for (value, class) in [(low, "grid"), (0.0, "zero"), (high, "grid")] {
        let y = place(value);
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"{left:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{value:.0}</text>",
            left + width,
            left - 5.0,
            y + 3.5,
        );
    }
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{left:.1}\" y=\"{:.1}\">epoch 0</text>\
         <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
        bottom + 16.0,
        left + width,
        bottom + 16.0,
        report.epochs
    );
    for (colour, values) in lines.iter().rev() {
        let step = width / values.len().saturating_sub(1).max(1) as f64;
        let mut path = String::new();
        for (index, value) in values.iter().enumerate() {
            let x = left + step * index as f64;
            let _ = write!(path, "{}{x:.1} {:.1}", if index == 0 { 'M' } else { 'L' }, place(*value));
        }
        let _ = write!(svg, "<path class=\"line\" stroke=\"{colour}\" d=\"{path}\"/>");
    }
    svg
}

/// Profit of each strategy as a multiple of what the same parties earn by honesty.
fn bars(report: &EconomyReport, preset: &str, strategies: &[Strategy], left: f64, width: f64) -> String {
    let scale = width / (SHARE.1 - SHARE.0);
    let place = |share: f64| left + (share.clamp(SHARE.0, SHARE.1) - SHARE.0) * scale;
    let bottom = BARS_TOP + ROW * strategies.len() as f64;
    let mut svg = String::new();
    for share in [-2.0, -1.0, 0.0, 1.0] {
        let class = if share == 0.0 { "zero" } else { "grid" };
        let colour = if share == 1.0 { format!(" style=\"stroke:{HONEST}\"") } else { String::new() };
        let x = place(share);
        let _ = write!(
            svg,
            "<line class=\"{class}\"{colour} x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{BARS_TOP}\" y2=\"{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{share:.0}×</text>",
            BARS_TOP - 5.0
        );
    }
    for (index, &strategy) in strategies.iter().enumerate() {
        let Some(row) = row(report, preset, strategy) else { continue };
        let share = row.percent().0 as f64 / 100.0;
        let (from, to) = (place(share.min(0.0)), place(share.max(0.0)));
        let y = BARS_TOP + ROW * index as f64;
        let colour = if row.pays() { "#b3261e" } else { "#1f6f8b" };
        let _ = write!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"11\" fill=\"{colour}\"/>",
            y + 4.0,
            (to - from).max(0.5)
        );
        if share < SHARE.0 || share > SHARE.1 {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" style=\"fill:#fff\">{share:.0}×</text>",
                from + 4.0,
                y + 13.0
            );
        }
    }
    svg
}

fn names(strategies: &[Strategy]) -> String {
    let mut svg = format!(
        "<text class=\"soft\" x=\"{NAMES}\" y=\"{:.1}\">Profit of all who act as one, as a multiple of what the same \
         parties earn by honesty (green line). Red: it pays; no preset deters it.</text>",
        BARS_TOP - 26.0
    );
    for (index, strategy) in strategies.iter().enumerate() {
        let y = BARS_TOP + ROW * index as f64 + 13.0;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>",
            NAMES - 12.0,
            escape(strategy.as_str())
        );
    }
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
