//! Finds out whether the newest token ends a completion.
//!
//! Promise: looks at the newest token and as much text before it as a stop string can reach.

use protocol::FinishReason;

use crate::sequence::Sequence;

/// Makes texts of token ids: the readings in which stop strings are looked for, such as one with special tokens
/// written out and one without.
pub type Detokenize = dyn Fn(&[u32]) -> Vec<String> + Send + Sync;

/// Why a sequence ends with its newest token; `None` if it goes on.
pub(crate) fn finish_reason(sequence: &Sequence, detokenize: Option<&Detokenize>) -> Option<FinishReason> {
    let sampling = &sequence.job.sampling;
    let completion = sequence.completion();
    let newest = completion.last()?;
    if sampling.stop_tokens.contains(newest) {
        return Some(FinishReason::StopToken);
    }
    if let Some(detokenize) = detokenize
        && ends_with_stop_string(completion, &sampling.stop_strings, detokenize)
    {
        return Some(FinishReason::StopString);
    }
    (sequence.tokens.len() >= sequence.job.length_max).then_some(FinishReason::Length)
}

/// Whether a stop string appears in a reading of the text, given that none did before the newest token.
///
/// Only a tail is turned into text: tokens are added until each reading is longer than the longest stop string
/// by a margin for letters cut in two at its start, or until it is the whole completion.
fn ends_with_stop_string(tokens: &[u32], stops: &[String], detokenize: &Detokenize) -> bool {
    /// Bytes that a cut letter at the start of the tail may turn into (U+FFFD, four times).
    const CUT_LETTER_BYTES: usize = 12;
    let longest = stops.iter().map(String::len).max();
    let (Some(longest), Some(newest)) = (longest, tokens.last_chunk::<1>()) else {
        return false;
    };
    // The newest token's own text may be long, so the tail must reach beyond it.
    let newest_len = detokenize(newest).iter().map(String::len).max().unwrap_or(0);
    let enough = longest + newest_len + CUT_LETTER_BYTES;
    let mut count = (longest + 1).min(tokens.len());
    loop {
        let readings = detokenize(&tokens[tokens.len() - count..]);
        if stops.iter().any(|stop| readings.iter().any(|text| text.contains(stop.as_str()))) {
            return true;
        }
        if count == tokens.len() || readings.iter().all(|text| text.len() >= enough) {
            return false;
        }
        count = (2 * count).min(tokens.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Token 0 is silent, token `n` is `n` letters of the alphabet from 'a' on.
    fn text(tokens: &[u32]) -> Vec<String> {
        vec![tokens.iter().flat_map(|&count| (0..count).map(|i| (b'a' + i as u8) as char)).collect()]
    }

    fn found(tokens: &[u32], stop: &str) -> bool {
        ends_with_stop_string(tokens, &[stop.to_owned()], &text)
    }

    #[test]
    fn a_stop_string_is_found_within_and_across_tokens() {
        assert!(found(&[1, 5], "bcd"));
        assert!(found(&[2, 2], "abab"));
        assert!(!found(&[2, 2], "abc"));
        assert!(!found(&[], "a"));
    }

    #[test]
    fn a_stop_string_may_appear_in_either_reading() {
        // Token 0 is written out in the second reading only.
        let both = |tokens: &[u32]| {
            let written =
                tokens.iter().map(|token| if *token == 0 { "<end>".into() } else { text(&[*token]).remove(0) });
            vec![text(tokens).remove(0), written.collect()]
        };
        let found = |tokens: &[u32], stop: &str| ends_with_stop_string(tokens, &[stop.to_owned()], &both);
        assert!(found(&[2, 0], "b<end>"));
        assert!(found(&[2, 0], "<end>"));
        assert!(found(&[2, 0, 1], "aba"));
        assert!(!found(&[2, 0, 1], "<end>b"));
    }

    #[test]
    fn tokens_without_text_do_not_hide_a_stop_string() {
        let mut tokens = vec![2];
        tokens.extend([0; 50]);
        tokens.push(2);
        assert!(found(&tokens, "abab"));
    }
}
