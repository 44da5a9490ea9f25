//! The word that was probably meant.

/// The most similar of `known`, if any is similar at all.
///
/// Similarity is Jaro–Winkler, which forgives swapped letters and favours a common start.
pub(crate) fn nearest<'a>(given: &str, known: &'a [String]) -> Option<&'a str> {
    /// Below this, a hint misleads more often than it helps (`lr` ~ `out_dir` is 0.0, `stpes` ~ `steps` 0.94).
    const SIMILAR_MIN: f64 = 0.75;
    known
        .iter()
        .map(|word| (strsim::jaro_winkler(given, word), word.as_str()))
        .filter(|(score, _)| *score >= SIMILAR_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// The end of a message that names it.
pub(crate) fn hint(nearest: Option<&str>) -> String {
    nearest.map(|word| format!(", did you mean `{word}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_named_only_when_it_is_near() {
        let known: Vec<String> = ["steps", "score_target", "seconds_max"].map(str::to_owned).to_vec();
        assert_eq!(nearest("stpes", &known), Some("steps"));
        assert_eq!(nearest("score", &known), Some("score_target"));
        assert_eq!(nearest("zzz", &known), None);
    }
}
