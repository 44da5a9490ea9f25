//! A rejection can be read by a person and by a program.
use protocol::{Check, RejectReason};

fn reason(check: Check, limit: i64, given: i64) -> RejectReason {
    RejectReason { check, sample_index: Some(3), position: Some(17), limit, given }
}

#[test]
fn reasons_read_as_sentences_with_both_numbers() {
    let text = reason(Check::TokenMargin, 50_000, 4_512_000).to_string();
    assert_eq!(text, "sample 3, token 17: the token loses by 4.512000 nats, allowed 0.050000");
    let text = RejectReason { position: None, ..reason(Check::Reward, 0, 1_000_000) }.to_string();
    assert_eq!(text, "sample 3: a reward of 1.000000 was claimed, 0.000000 was earned");
    let text = RejectReason { sample_index: None, ..reason(Check::SamplesMissing, 8, 5) }.to_string();
    assert_eq!(text, "5 of 8 samples came");
    let text = reason(Check::Prompt, -1, 9).to_string();
    assert_eq!(text, "sample 3, token 17: the prompt has token 9, due was no token");
    let text = reason(Check::Finish, -1, 4).to_string();
    assert_eq!(text, "sample 3, token 17: no rollout may end so, this one did after 4 tokens");
    let text = reason(Check::ActivationMantissa, 10_000, -1).to_string();
    assert_eq!(text, "sample 3, token 17: mantissas of the activations differ by -0.001, allowed 10.000");
}

#[test]
fn every_check_has_its_own_word_and_sentence_for_any_numbers() {
    for (index, check) in Check::ALL.into_iter().enumerate() {
        assert_eq!(check as usize, index, "ALL is in the order of the declaration");
        assert!(!Check::ALL[..index].iter().any(|other| other.as_str() == check.as_str()), "{check}");
        let texts = [i64::MIN, i64::MAX, 0].map(|number| reason(check, number, number).to_string());
        assert!(texts.iter().all(|text| text.len() > 30), "{texts:?}");
        let earlier = Check::ALL[..index].iter().map(|&other| reason(other, 0, 0).to_string());
        assert!(earlier.into_iter().all(|other| other != texts[2]), "{check} reads like another");
    }
}
