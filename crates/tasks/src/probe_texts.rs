//! Answers that do not look at the question, for the admission test.
//!
//! Promise: fixed texts and a vote over given ones; no judgement is made here.

use std::collections::{BTreeMap, BTreeSet};

/// Places that the vote of [`commonest_characters`] covers.
const MAX_PLACES: usize = 256;

/// What people and models say when they do not know.
pub(crate) const USUAL_ANSWERS: [&str; 34] = [
    " ",
    ".",
    "0",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "8",
    "10",
    "12",
    "20",
    "42",
    "50",
    "100",
    "-1",
    "a",
    "e",
    "A",
    "B",
    "C",
    "D",
    "E",
    "yes",
    "no",
    "Yes",
    "No",
    "true",
    "false",
    "True",
    "False",
    "the",
    "I don't know.",
];

/// Text that breaks careless graders.
pub(crate) fn hostile_texts() -> BTreeSet<String> {
    let deep = "(".repeat(2_000) + "1" + &")".repeat(2_000);
    [
        deep,
        "<reversed_text>".to_owned(),
        "</SOLUTION><SOLUTION>".to_owned(),
        "\\boxed{\\boxed{".to_owned(),
        "1/0".to_owned(),
        "9".repeat(500),
        "-".repeat(500),
        "####".to_owned(),
        "\0\u{feff}\u{202e}é漢😀İ".to_owned(),
        "x ".repeat(5_000),
    ]
    .into()
}

/// Of each place the character that most texts have there, as far as most texts reach.
pub(crate) fn commonest_characters(texts: &[String]) -> String {
    let mut places: Vec<BTreeMap<char, usize>> = Vec::new();
    for text in texts {
        for (place, c) in text.chars().enumerate().take(MAX_PLACES) {
            if place == places.len() {
                places.push(BTreeMap::new());
            }
            *places[place].entry(c).or_default() += 1;
        }
    }
    let reached = |counts: &&BTreeMap<char, usize>| 2 * counts.values().sum::<usize>() >= texts.len();
    let commonest = |counts: &BTreeMap<char, usize>| counts.iter().max_by_key(|(_, count)| **count).map(|(c, _)| *c);
    places.iter().take_while(reached).filter_map(commonest).collect()
}
