//! How amounts, times, hashes and tables are shown to people.
//!
//! Promise: an amount is exact, with its unit; a time is a date with how far away it is; a hash in a text is
//! short, for its whole digits are in the JSON.

use chain::B256;
use chain::units;

const MINUTE_S: u64 = 60;
const HOUR_S: u64 = 60 * MINUTE_S;
const DAY_S: u64 = 24 * HOUR_S;
/// Characters of a hash that are shown, `0x` included.
const HASH_CHARS: usize = 10;

/// `12500000` as `12.5 ESM`.
pub(super) fn esm(micro: u64) -> String {
    units::format(micro)
}

/// Seconds since 1970 as `2026-01-01 00:00:00 UTC`.
pub(super) fn date(at_s: u64) -> String {
    let date = i64::try_from(at_s).ok().and_then(|at_s| chrono::DateTime::from_timestamp(at_s, 0));
    date.map_or_else(|| format!("second {at_s}"), |date| date.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// A length of time in its two largest units: `3 days 4 h`, `2 min 5 s`.
pub(super) fn span(seconds: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..MINUTE_S => format!("{seconds} s"),
        MINUTE_S..HOUR_S => two(seconds / MINUTE_S, "min", seconds % MINUTE_S, "s"),
        HOUR_S..DAY_S => two(seconds / HOUR_S, "h", seconds % HOUR_S / MINUTE_S, "min"),
        _ => {
            let days = seconds / DAY_S;
            two(days, if days == 1 { "day" } else { "days" }, seconds % DAY_S / HOUR_S, "h")
        }
    }
}

/// A time with how far it is from now: `2026-01-01 00:01:00 UTC (in 1 min)`.
pub(super) fn moment(at_s: u64, now_s: u64) -> String {
    let date = date(at_s);
    match at_s.cmp(&now_s) {
        std::cmp::Ordering::Greater => format!("{date} (in {})", span(at_s - now_s)),
        std::cmp::Ordering::Equal => format!("{date} (now)"),
        std::cmp::Ordering::Less => format!("{date} ({} ago)", span(now_s - at_s)),
    }
}

/// The start of a hash.
pub(super) fn short(hash: &B256) -> String {
    format!("{}…", &hash.to_string()[..HASH_CHARS])
}

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(str_of).collect();
    groups.join(",")
}

/// `1 epoch`, `2 epochs`.
pub(super) fn some(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(number))
}

fn str_of(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default() // decimal digits
}

/// Lines with their cells under each other. A head that starts with `#` is a column of numbers, which stand
/// right.
pub(super) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let names: Vec<String> = heads.iter().map(|head| head.trim_start_matches('#').to_owned()).collect();
    let lines = || std::iter::once(&names).chain(rows);
    let cell = |line: &[String], column: usize| line.get(column).cloned().unwrap_or_default();
    let mut text = String::new();
    let widths: Vec<usize> = (0..heads.len())
        .map(|column| lines().map(|line| cell(line, column).chars().count()).max().unwrap_or(0))
        .collect();
    for line in lines() {
        let mut shown = String::from(" ");
        for (column, width) in widths.iter().enumerate() {
            let cell = cell(line, column);
            let padding = " ".repeat(width - cell.chars().count());
            shown += &match heads[column].starts_with('#') {
                true => format!(" {padding}{cell} "),
                false => format!(" {cell}{padding} "),
            };
        }
        text += shown.trim_end();
        text.push('\n');
    }
    text
}

/// A label and what it is, one a line.
pub(super) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    facts.iter().map(|(label, value)| format!("  {label:<width$}  {value}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_dates_and_lengths() {
        assert_eq!(date(1_767_225_600), "2026-01-01 00:00:00 UTC");
        assert_eq!(date(u64::MAX), "second 18446744073709551615");
        let spans = [0, 59, 60, 61, 3_600, 3_661, 86_400, 3 * 86_400 + 7_201].map(span);
        assert_eq!(spans, ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "1 day", "3 days 2 h"]);
        assert_eq!(moment(60, 0), "1970-01-01 00:01:00 UTC (in 1 min)");
        assert_eq!(moment(0, 60), "1970-01-01 00:00:00 UTC (1 min ago)");
    }

    #[test]
    fn numbers_stand_right_and_words_left() {
        assert_eq!([0, 12, 1_234, 1_234_567].map(count), ["0", "12", "1,234", "1,234,567"]);
        let text = table(&["who", "#earned"], &[vec!["worker 0".into(), "1".into()], vec!["é".into(), "12".into()]]);
        assert_eq!(text, "  who       earned\n  worker 0       1\n  é             12\n");
    }
}
