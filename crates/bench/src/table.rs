//! The table in `docs/benchmarks.md`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

/// One row.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) peer: Option<f64>,
    /// How many times better ours is, median of pairs.
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: &'static str,
    pub(crate) command: String,
}

/// The rows as Markdown.
pub(crate) fn markdown(rows: &[Row], machine: &str, commit: &str, pairs: usize) -> String {
    let mut text =
        format!("Machine: {machine}. Commit: `{commit}`. Medians of {pairs} pair(s), ours and the peer's in turn.\n\n");
    text.push_str("| what | ours | peer | ours / peer | goal | ours is measured by |\n|---|---:|---:|---:|---:|---|\n");
    for row in rows {
        let peer = row.peer.map_or("–".to_owned(), |peer| format!("{} {}", number(peer), row.unit));
        let ratio = row.ratio.map_or("–".to_owned(), |ratio| format!("**{ratio:.2}×**"));
        let (what, ours, unit, goal) = (row.what, number(row.ours), row.unit, row.goal);
        text.push_str(&format!("| {what} | {ours} {unit} | {peer} | {ratio} | {goal} | `{}` |\n", row.command));
    }
    text
}

fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => {
            let whole = format!("{value:.0}");
            let mut out = String::new();
            for (place, digit) in whole.chars().enumerate() {
                if place > 0 && (whole.len() - place).is_multiple_of(3) {
                    out.push(',');
                }
                out.push(digit);
            }
            out
        }
        medium if medium >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.1}"),
    }
}

/// Puts `text` between the marks of `file`.
pub(crate) fn write(file: &Path, text: &str) -> Result<()> {
    let whole = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let (begin, end) = (whole.find(BEGIN), whole.find(END));
    ensure!(begin.is_some() && end > begin, "{}: the marks `{BEGIN}` and `{END}` are missing", file.display());
    let (begin, end) = (begin.unwrap_or(0) + BEGIN.len(), end.unwrap_or(0));
    let replaced = format!("{}\n{text}{}", &whole[..begin], &whole[end..]);
    fs::write(file, replaced).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn thousands_are_parted_and_small_numbers_keep_a_digit() {
        assert_eq!(number(1_234_567.4), "1,234,567");
        assert_eq!(number(123.4), "123");
        assert_eq!(number(12.34), "12.3");
    }
}
