//! How turns end and where instructions go, by what the chat template does.

use std::fs;

use model::{Message, ModelError, SystemRole, Tokenizer};

use crate::support::{copy_of, tiny};

const CHATML: &str = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

/// The fixture's tokenizer (ids: 0 `<|endoftext|>`, 1 `<|im_start|>`, 2 `<|im_end|>`) with another template.
fn with_template(template: &str, change: impl FnOnce(&std::path::Path)) -> Tokenizer {
    let folder = copy_of("chat");
    fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    change(folder.path());
    Tokenizer::load(folder.path()).unwrap()
}

fn ids(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    tokenizer.encode_bare(text).unwrap()
}

#[test]
fn the_end_of_a_turn_is_what_the_template_writes_and_not_the_first_end_of_a_list() {
    let tokenizer = with_template(CHATML, |folder| {
        fs::write(folder.join("generation_config.json"), r#"{"eos_token_id": [0, 2]}"#).unwrap();
    });
    assert_eq!((tokenizer.turn_end(), tokenizer.end_id(true).unwrap()), (Some(2), Some(2)));
    assert_eq!(tokenizer.stop_ids(), [2, 0]);
    let (prompt, completion) = tokenizer.chat_example(&[Message::user("2 + 2")], "4").unwrap();
    assert_eq!(prompt, ids(&tokenizer, "<|im_start|>user\n2 + 2<|im_end|>\n<|im_start|>assistant\n"));
    assert_eq!(completion, ids(&tokenizer, "4<|im_end|>"));
}

#[test]
fn a_template_that_ends_turns_with_no_token_leaves_the_tokenizers_own_end() {
    let template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}";
    let tokenizer = with_template(template, |folder| {
        fs::write(folder.join("generation_config.json"), r#"{"eos_token_id": [1, 0]}"#).unwrap();
    });
    assert_eq!(tokenizer.turn_end(), None);
    // tokenizer_config.json names <|im_end|>.
    assert_eq!(tokenizer.end_id(true).unwrap(), Some(2));
    assert_eq!(tokenizer.stop_ids(), [1, 0, 2]);
    let (prompt, completion) = tokenizer.chat_example(&[Message::user("hi")], "yes").unwrap();
    assert_eq!(prompt, ids(&tokenizer, "user: hi\nassistant: "));
    assert_eq!(completion, [ids(&tokenizer, "yes"), vec![2]].concat());
}

#[test]
fn a_template_that_asks_for_a_system_message_or_writes_answers_otherwise_still_tells_its_end() {
    let needs =
        format!("{{% if messages[0].role != 'system' %}}{{{{ raise_exception('need one') }}}}{{% endif %}}{CHATML}");
    let tokenizer = with_template(&needs, |_| ());
    assert_eq!((tokenizer.turn_end(), tokenizer.system_role()), (Some(2), SystemRole::Written));
    let chat = [Message::new("system", "Be brief."), Message::user("hi")];
    let (_, completion) = tokenizer.chat_example(&chat, "yes").unwrap();
    assert_eq!(completion, ids(&tokenizer, "yes<|im_end|>"));
    for (change, answer, written) in [
        ("m.content | trim | upper", " yes\n", "YES"),
        ("m.content | replace('e', '')", "yes", "ys"),
        ("m.content | tojson", "a\"b", "\"a\\\"b\""),
        ("m.content[:2]", "yes", "ye"),
    ] {
        let tokenizer = with_template(&CHATML.replace("+ m.content +", &format!("+ ({change}) +")), |_| ());
        assert_eq!((tokenizer.turn_end(), tokenizer.system_role()), (Some(2), SystemRole::Written), "{change}");
        let (_, completion) = tokenizer.chat_example(&chat, answer).unwrap();
        assert_eq!(tokenizer.decode_all(&completion).unwrap(), format!("{written}<|im_end|>"), "{change}");
    }
}

#[test]
fn a_template_that_refuses_an_assistants_turn_is_quoted_and_teaches_nothing() {
    let refusing = CHATML.replace(
        "{% for m in messages %}",
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('inference only') }}{% endif %}",
    );
    let tokenizer = with_template(&refusing, |_| ());
    assert_eq!(tokenizer.turn_end(), None);
    assert!(tokenizer.turn_refusal().unwrap().contains("inference only"));
    assert!(tokenizer.chat_example(&[Message::user("hi")], "yes").unwrap_err().to_string().contains("inference only"));
    // It takes an answer in no chat but one that nobody can guess.
    let particular =
        format!("{{% if messages[0].content != 'hi' %}}{{{{ raise_exception('greet me') }}}}{{% endif %}}{CHATML}");
    let error = with_template(&particular, |_| ()).chat_example(&[Message::user("hi")], "yes").unwrap_err().to_string();
    assert!(error.contains("what ends a turn is unknown") && error.contains("greet me"), "{error}");
}

#[test]
fn an_example_is_what_the_whole_chat_has_beyond_the_opened_prompt() {
    // Blanks around the answer, as Llama 2 writes them, and empty thoughts, as Qwen3 does.
    for (template, prompt, completion) in [
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}{% else %}{{ ' ' + m.content.strip() + ' <|im_end|>' }}{% endif %}{% endfor %}",
            "[INST] hi [/INST]",
            " yes <|im_end|>",
        ),
        (
            "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + ('<think>\n\n</think>\n\n' if m.role == 'assistant' else '') + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n",
            "<think>\n\n</think>\n\nyes<|im_end|>",
        ),
        // Past turns are written otherwise than new ones begin: the answer follows the prompt.
        (
            "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think>\n' }}{% endif %}",
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n<think>\n",
            "yes<|im_end|>",
        ),
    ] {
        let tokenizer = with_template(template, |_| ());
        let (given_prompt, given) = tokenizer.chat_example(&[Message::user("hi")], "yes").unwrap();
        assert_eq!(tokenizer.decode_all(&given_prompt).unwrap(), prompt);
        assert_eq!(tokenizer.decode_all(&given).unwrap(), completion);
    }
}

#[test]
fn an_instruction_that_the_template_refuses_or_drops_stands_before_the_first_question() {
    let turns = "{% for m in messages %}{% if m.role != 'system' %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    let refusing =
        format!("{{% if messages[0].role == 'system' %}}{{{{ raise_exception('no system') }}}}{{% endif %}}{turns}");
    let chat =
        [Message::new("system", "Be brief."), Message::user("hi"), Message::assistant("ho"), Message::user("so?")];
    let expected = "<|im_start|>user\nBe brief.\n\nhi<|im_end|>\n<|im_start|>assistant\nho<|im_end|>\n<|im_start|>user\nso?<|im_end|>\n<|im_start|>assistant\n";
    for (template, role) in [(refusing.as_str(), SystemRole::Refused), (turns, SystemRole::LeftOut)] {
        let tokenizer = with_template(template, |_| ());
        assert_eq!(tokenizer.system_role(), role);
        assert_eq!(tokenizer.chat_text(&chat, true).unwrap(), expected);
    }
    let tokenizer = with_template(CHATML, |_| ());
    assert_eq!(tokenizer.system_role(), SystemRole::Written);
    assert!(tokenizer.chat_text(&chat, true).unwrap().starts_with("<|im_start|>system\nBe brief."));
}

#[test]
fn a_date_is_asked_for_and_never_read_from_a_clock() {
    let tokenizer = with_template("{{ strftime_now('%Y-%m-%d') }} {{ messages[0].content }}<|im_end|>", |_| ());
    assert!(tokenizer.asks_for_date());
    let error = tokenizer.chat_prompt(&[Message::user("hi")]).unwrap_err();
    assert!(error.to_string().contains("strftime_now"), "{error}");
    let args = model::ChatArgs { date: Some("2024-02-29".parse().unwrap()), ..Default::default() };
    let told = tokenizer.with_chat_args(args);
    assert_eq!(told.chat_text(&[Message::user("hi")], true).unwrap(), "2024-02-29 hi<|im_end|>");
    assert!(!with_template(CHATML, |_| ()).asks_for_date());
}

#[test]
fn the_template_named_default_is_taken_from_a_list_or_a_folder() {
    let chat = [Message::user("hi")];
    let remove_file = |folder: &std::path::Path| fs::remove_file(folder.join("chat_template.jinja")).unwrap();
    let settings =
        |folder: &std::path::Path, text: &str| fs::write(folder.join("tokenizer_config.json"), text).unwrap();
    let list =
        r#"{"chat_template": [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]}"#;
    let tokenizer = with_template("", |folder| {
        remove_file(folder);
        settings(folder, list);
    });
    assert_eq!(tokenizer.apply_chat_template(&chat, true).unwrap(), "plain");
    let more = |folder: &std::path::Path, name: &str| {
        fs::create_dir_all(folder.join("additional_chat_templates")).unwrap();
        fs::write(folder.join("additional_chat_templates").join(name), name).unwrap();
    };
    let tokenizer = with_template("the file", |folder| {
        settings(folder, list);
        more(folder, "tool_use.jinja");
    });
    assert_eq!(tokenizer.apply_chat_template(&chat, true).unwrap(), "the file");
    let nameless = with_template("", |folder| {
        remove_file(folder);
        settings(folder, list);
        more(folder, "tool_use.jinja");
    });
    let error = nameless.apply_chat_template(&chat, true).unwrap_err();
    assert!(matches!(&error, ModelError::ChatTemplate { .. }) && error.to_string().contains("default"), "{error}");
}

#[test]
fn all_files_of_a_tokenizer_are_written_again_as_they_were() {
    let folder = copy_of("chat");
    fs::create_dir(folder.path().join("additional_chat_templates")).unwrap();
    fs::write(folder.path().join("additional_chat_templates/tool_use.jinja"), "tools").unwrap();
    fs::write(folder.path().join("added_tokens.json"), r#"{"<more>":  400}"#).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let target = tempfile::tempdir().unwrap();
    let options = model::SaveOptions { tokenizer: Some(&tokenizer), ..Default::default() };
    let saved = target.path().join("model");
    tiny(tokenizer.vocab_size()).save(&saved, &options).unwrap();
    for name in ["added_tokens.json", "additional_chat_templates/tool_use.jinja", "chat_template.jinja"] {
        assert_eq!(fs::read(saved.join(name)).unwrap(), fs::read(folder.path().join(name)).unwrap(), "{name}");
    }
}
