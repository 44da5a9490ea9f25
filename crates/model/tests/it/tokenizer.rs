//! Texts, ids and chats against transformers, and the character tokenizer by hand.

use std::fs;

use model::{CHARACTERS_MAX, Message, ModelError, Tokenizer};
use serde::Deserialize;

use crate::support::{copy_of, fixture};

#[derive(Deserialize)]
struct Expected {
    texts: Vec<Text>,
    templates: std::collections::HashMap<String, String>,
    chats: Vec<Chat>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    decoded: String,
}

#[derive(Deserialize)]
struct Chat {
    template: String,
    messages: Vec<Message>,
    add_generation_prompt: bool,
    /// Nothing where the template refuses the messages.
    rendered: Option<String>,
}

fn expected() -> Expected {
    serde_json::from_slice(&fs::read(fixture("chat").join("expected.json")).unwrap()).unwrap()
}

#[test]
fn texts_become_the_ids_of_transformers_and_texts_again() {
    let tokenizer = Tokenizer::load(&fixture("chat")).unwrap();
    for Text { text, ids, decoded } in expected().texts {
        assert_eq!(tokenizer.encode(&text).unwrap(), ids, "{text:?}");
        assert_eq!(tokenizer.decode(&ids).unwrap(), decoded, "{text:?}");
    }
}

#[test]
fn chats_become_the_texts_of_transformers() {
    let expected = expected();
    for Chat { template, messages, add_generation_prompt, rendered } in expected.chats {
        let folder = copy_of("chat");
        fs::write(folder.path().join("chat_template.jinja"), &expected.templates[&template]).unwrap();
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        match (tokenizer.apply_chat_template(&messages, add_generation_prompt), rendered) {
            (Ok(given), Some(rendered)) => assert_eq!(given, rendered, "{template}: {messages:?}"),
            (Err(ModelError::ChatTemplate { reason, .. }), None) => {
                assert!(reason.contains("alternate"), "{reason}")
            }
            (given, rendered) => {
                panic!("{template}: {given:?}, but transformers gives {rendered:?}")
            }
        }
    }
}

#[test]
fn a_template_inside_the_tokenizer_settings_is_found_too() {
    for template in [
        r#""chat_template": "{{ messages[0].content }}!""#,
        r#""chat_template": [{"name": "default", "template": "{{ messages[0].content }}!"}]"#,
    ] {
        let folder = copy_of("chat");
        fs::remove_file(folder.path().join("chat_template.jinja")).unwrap();
        fs::write(folder.path().join("tokenizer_config.json"), format!("{{{template}}}")).unwrap();
        let tokenizer = Tokenizer::load(folder.path()).unwrap();
        assert_eq!(tokenizer.apply_chat_template(&[Message::user("hi")], false).unwrap(), "hi!");
    }
}

#[test]
fn broken_and_endless_templates_are_named_errors() {
    let endless = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    for template in ["{% if %}", "{{ nothing.at.all }}", "{{ messages | no_such_filter }}", endless] {
        let folder = copy_of("chat");
        fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
        let result = Tokenizer::load(folder.path()).unwrap().apply_chat_template(&[Message::user("hi")], true);
        assert!(matches!(result, Err(ModelError::ChatTemplate { .. })), "{template}: {result:?}");
    }
    let plain = Tokenizer::characters("ab").unwrap();
    assert!(!plain.has_chat_template());
    assert!(matches!(plain.apply_chat_template(&[], true), Err(ModelError::NoChatTemplate)));
}

#[test]
fn ends_of_text_come_from_every_file_that_names_one() {
    // generation_config.json names 2 and 0; the tokenizer's own eos_token is 2 again.
    assert_eq!(Tokenizer::load(&fixture("chat")).unwrap().eos_ids(), [2, 0]);
    let folder = copy_of("chat");
    fs::remove_file(folder.path().join("generation_config.json")).unwrap();
    fs::write(folder.path().join("config.json"), r#"{"eos_token_id": 7}"#).unwrap();
    assert_eq!(Tokenizer::load(folder.path()).unwrap().eos_ids(), [7, 2]);
}

#[test]
fn characters_are_numbered_by_code_point_after_pad_and_end() {
    let tokenizer = Tokenizer::characters("cab \nb").unwrap();
    // 0 pad, 1 end, 2 newline, 3 space, 4 a, 5 b, 6 c.
    assert_eq!(tokenizer.encode("a b\ncc").unwrap(), [4, 3, 5, 2, 6, 6]);
    assert_eq!(tokenizer.decode(&[6, 4, 5, 1]).unwrap(), "cab");
    assert_eq!(tokenizer.decode_all(&[6, 1]).unwrap(), "c<eos>");
    assert_eq!(tokenizer.encode("ab<eos>").unwrap(), [4, 5, 1]);
    assert_eq!((tokenizer.vocab_size(), tokenizer.eos_ids(), tokenizer.pad_id()), (7, [1].as_slice(), Some(0)));
    assert_eq!(tokenizer.token_id("b"), Some(5));
}

#[test]
fn characters_of_several_bytes_are_single_tokens_too() {
    let tokenizer = Tokenizer::characters("aéè東京🙂").unwrap();
    // 2 a, 3 è, 4 é, 5 京, 6 東, 7 🙂 by code point; ids above are pieces that no text needs.
    assert_eq!(tokenizer.encode("éa🙂東è京").unwrap(), [4, 2, 7, 6, 3, 5]);
    assert_eq!(tokenizer.decode(&[4, 2, 7, 6, 3, 5]).unwrap(), "éa🙂東è京");
    // ê begins with the same byte as é, and is no character of this alphabet.
    assert!(matches!(tokenizer.encode("ê"), Err(ModelError::Encode { .. })));
}

#[test]
fn a_character_outside_the_alphabet_is_an_error_and_not_another_token() {
    let error = Tokenizer::characters("ab").unwrap().encode("abx").unwrap_err();
    assert!(matches!(&error, ModelError::Encode { text, .. } if text == "abx"), "{error}");
}

#[test]
fn an_alphabet_has_at_least_one_and_not_too_many_characters() {
    let many: String = ('\u{0}'..).take(CHARACTERS_MAX + 1).collect();
    for (alphabet, count) in [("", 0), (many.as_str(), CHARACTERS_MAX + 1)] {
        let error = Tokenizer::characters(alphabet).unwrap_err();
        assert!(matches!(error, ModelError::Alphabet { count: given, .. } if given == count), "{error}");
    }
}

#[test]
fn broken_tokenizer_files_are_named() {
    for name in ["tokenizer.json", "tokenizer_config.json", "generation_config.json"] {
        let folder = copy_of("chat");
        fs::write(folder.path().join(name), "{").unwrap();
        let error = Tokenizer::load(folder.path()).unwrap_err();
        assert!(matches!(&error, ModelError::Malformed { path, .. } if path.ends_with(name)), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(Tokenizer::load(empty.path()), Err(ModelError::MissingFile { .. })));
}
