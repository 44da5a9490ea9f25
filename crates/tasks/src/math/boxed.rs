//! Finds the boxed answer of a completion.
//!
//! Promise: linear in the text; the last box counts, and boxes close before it count with it.

const COMMANDS: [&str; 2] = ["\\boxed", "\\fbox"];
/// Boxes with fewer characters than this between them are one answer, as in math-verify.
const NEAR_CHARS: usize = 10;
/// So are boxes with a comma, semicolon, "and" or "or" and fewer characters than this between.
const JOINED_CHARS: usize = 70;
/// The most boxes that are one answer.
const MAX_BOXES: usize = 64;
/// The longest answer without braces.
const MAX_BARE_BYTES: usize = 4096;

/// A box by its place in the text.
#[derive(Clone, Copy)]
struct Place<'t> {
    start: usize,
    end: usize,
    content: &'t str,
}

/// The contents of the last box and of those that belong to it, in the order of the text; without
/// a box none. `\boxed 72` holds what follows to the line's end.
pub(crate) fn contents(text: &str) -> Vec<&str> {
    let mut boxes = boxes(text);
    let mut found: Vec<Place<'_>> = Vec::new();
    while let Some(place) = boxes.pop() {
        match found.last() {
            Some(next) if !belongs(text, place, *next) || found.len() == MAX_BOXES => break,
            Some(next) if next.content == place.content => found.pop(),
            _ => None,
        };
        found.push(place);
    }
    found.iter().rev().map(|place| place.content).collect()
}

/// All boxes that are closed and in no other box.
fn boxes(text: &str) -> Vec<Place<'_>> {
    let closing = closing_braces(text);
    let mut boxes = Vec::new();
    let mut from = 0;
    for (start, inside) in commands(text) {
        let open = inside + text[inside..].len() - text[inside..].trim_start().len();
        if start < from {
            continue;
        }
        if !text[open..].starts_with('{') {
            let near = &text[open..text.floor_char_boundary(open + MAX_BARE_BYTES)];
            let line = near.lines().next().unwrap_or_default();
            boxes.push(Place { start, end: open + line.len(), content: bare(line) });
        } else if let Ok(at) = closing.binary_search_by_key(&open, |pair| pair.0) {
            let close = closing[at].1;
            boxes.push(Place { start, end: close + 1, content: &text[open + 1..close] });
            from = close + 1;
        }
    }
    boxes
}

/// Where box commands begin and where their names end, in the order of the text.
fn commands(text: &str) -> Vec<(usize, usize)> {
    let places = |command: &'static str| text.match_indices(command).map(|(at, name)| (at, at + name.len()));
    let mut places: Vec<(usize, usize)> = COMMANDS.iter().copied().flat_map(places).collect();
    places.sort_unstable();
    places
}

/// Every opening brace with its closing one, in order of the opening ones.
fn closing_braces(text: &str) -> Vec<(usize, usize)> {
    let (mut open, mut pairs) = (Vec::new(), Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => open.push(at),
            b'}' => pairs.extend(open.pop().map(|start| (start, at))),
            _ => {}
        }
    }
    pairs.sort_unstable();
    pairs
}

/// What stands behind `\boxed` without braces, up to the end of the mathematics around it.
fn bare(line: &str) -> &str {
    let end = ["$", "\\)", "\\]"].iter().filter_map(|end| line.find(end)).min().unwrap_or(line.len());
    line[..end].trim_end()
}

/// Whether a box and the next one are parts of one answer.
fn belongs(text: &str, place: Place<'_>, next: Place<'_>) -> bool {
    let between = &text[place.end.min(next.start)..next.start];
    let chars = between.chars().count();
    let mut words = between.split(|c: char| !c.is_alphanumeric());
    let mut joined = || between.contains([',', ';']) || words.any(|word| matches!(word, "and" | "or"));
    chars < NEAR_CHARS || place.content != next.content && chars < JOINED_CHARS && joined()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_closed_box_counts_and_braces_nest() {
        assert_eq!(contents(r"\boxed{1} was wrong. Trying again gives \boxed{\frac{1}{2}}."), [r"\frac{1}{2}"]);
        assert_eq!(contents(r"\boxed{1} is what I got, and then it goes on: \boxed{2"), ["1"]);
        assert_eq!(contents(r"\boxed{\boxed{3}}"), [r"\boxed{3}"]);
        assert_eq!(contents(r"\fbox{4}"), ["4"]);
        assert_eq!(contents("no box"), Vec::<&str>::new());
    }

    #[test]
    fn a_box_without_braces_holds_the_rest_of_the_mathematics() {
        assert_eq!(contents(r"so $\boxed 72$ apples"), ["72"]);
        assert_eq!(contents("\\boxed 72\nDone."), ["72"]);
        // no answer is that long, and each of many boxes would be looked through to the end of the line
        let long = format!("\\boxed é{}", "7".repeat(2 * MAX_BARE_BYTES));
        assert_eq!(contents(&long)[0].len(), MAX_BARE_BYTES);
    }

    #[test]
    fn boxes_beside_each_other_are_one_answer() {
        assert_eq!(contents(r"\boxed{1} and \boxed{2}"), ["1", "2"]);
        assert_eq!(contents(r"\boxed{1} or \boxed{1}"), ["1"]);
        assert_eq!(contents(r"$x = \boxed{1}$ for the first, and for the second $x = \boxed{2}$"), ["1", "2"]);
        assert_eq!(contents(r"\boxed{1} was the first thing I found \boxed{2}"), ["2"]);
    }
}
