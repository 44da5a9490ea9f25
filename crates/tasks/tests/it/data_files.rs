use tasks::{Item, LineFault, Message, MessageFault, Role, Row, Split, Task, TaskError, build_from_rows};

use crate::{file_task, row, spec};

const DATASET: &str = r#"{"type":"dataset","path":"d.jsonl"}"#;

/// The error that a file of the given lines is refused with.
fn refusal(json: &str, content: &[u8]) -> TaskError {
    match file_task(json, content) {
        Ok(_) => panic!("accepted: {}", String::from_utf8_lossy(content)),
        Err(error) => error,
    }
}

/// The line and fault of a refused data set.
fn fault(content: &[u8]) -> (u64, LineFault) {
    match refusal(DATASET, content) {
        TaskError::Line { path, line, fault } if path == "d.jsonl" => (line, fault),
        other => panic!("{other}"),
    }
}

fn message(place: usize, fault: MessageFault) -> LineFault {
    LineFault::Message { field: "prompt".into(), place, fault }
}

/// Every item of a data set, sorted by its prompt.
fn items_of(task: &dyn Task) -> Vec<Item> {
    let side = |split| (0..task.len(split).unwrap()).map(move |index| task.item(0, split, index).unwrap());
    let mut items: Vec<Item> = [Split::Train, Split::HeldOut].into_iter().flat_map(side).collect();
    items.sort_by(|a, b| a.prompt.cmp(&b.prompt));
    items
}

/// Prompts and answers of a data set, sorted.
fn pairs(json: &str, content: &str) -> Vec<(String, String)> {
    let task = file_task(json, content.as_bytes()).unwrap_or_else(|error| panic!("{json}: {error}"));
    items_of(task.as_ref()).into_iter().map(|item| (item.prompt, item.answer)).collect()
}

fn pair(prompt: &str, answer: &str) -> (String, String) {
    (prompt.to_owned(), answer.to_owned())
}

#[test]
fn a_bad_line_is_named_by_its_number() {
    let good = row("p", "a");
    let second = |bad: &str| fault(format!("{good}{bad}\n{good}").as_bytes());
    assert_eq!(second(r#"{"prompt":"q"}"#), (2, LineFault::MissingField { field: "answer".into() }));
    assert_eq!(second(r#"{"prompt":"q","#), (2, LineFault::OpenLine));
    assert!(matches!(second(r#"["prompt"]"#), (2, LineFault::BadJson { .. })));
    assert!(matches!(second(r#"{"prompt":"q","answer":"a"} x"#), (2, LineFault::BadJson { .. })));
    assert!(matches!(second(r#"{"prompt":"\ud800","answer":"a"}"#), (2, LineFault::BadText { .. })));
    assert_eq!(
        second(r#"{"prompt":"q","answer":"a","answer":"b"}"#),
        (2, LineFault::DuplicateField { field: "answer".into() })
    );
    assert_eq!(
        second(r#"{"prompt":[{"role":"user"}],"answer":"a"}"#),
        (2, message(1, MessageFault::MissingKey { key: "content" }))
    );
    assert_eq!(
        second(r#"{"prompt":"q","answer":null}"#),
        (2, LineFault::NotText { field: "answer".into(), found: "null" })
    );
    assert_eq!(second(r#"{"prompt":"q","answer":" "}"#), (2, LineFault::EmptyField { field: "answer".into() }));
    assert_eq!(second(&row("p", "another")), (2, LineFault::ConflictingAnswer { first: 1 }));
    assert_eq!(fault(b"\n\n\xff\xfe{}"), (3, LineFault::NotUtf8 { at: 0 }));
}

#[test]
fn the_message_of_a_bad_line_says_file_line_and_fault() {
    let text = refusal(DATASET, b"{\"prompt\":\"p\",\"answer\":\"a\"}\n{\"prompt\":1}").to_string();
    assert_eq!(text, "d.jsonl, line 2: no field \"answer\"");
}

#[test]
fn rows_over_several_lines_half_characters_and_lists_of_texts_are_called_what_they_are() {
    for content in
        ["{\"data\":[\n{\"prompt\":\"p\",\"answer\":\"a\"}]}", "{\n  \"prompt\": \"p\"\n}", "{\"prompt\":\"p\n\"}"]
    {
        assert_eq!(fault(content.as_bytes()), (1, LineFault::OpenLine), "{content}");
    }
    assert!(LineFault::OpenLine.to_string().contains("one object on one line, or an element of one list"));
    let list = refusal(DATASET, b"[{\"prompt\":\"p\",").to_string();
    assert!(list.contains("EOF"), "{list}");
    for half in ["\\ud800", "\\udc00", "\\ud800\\u0041", "\\ud800x"] {
        let (line, refused) = fault(format!("{{\"prompt\":\"p {half}\",\"answer\":\"a\"}}").as_bytes());
        assert_eq!(line, 1);
        assert!(
            matches!(&refused, LineFault::BadText { field, message } if field == "prompt" && message.contains("half")),
            "{half}: {refused}"
        );
        let unasked = format!("{{\"other\":\"{half}\",\"prompt\":\"p\",\"answer\":\"a\"}}\n") + &row("q", "b");
        assert!(file_task(DATASET, unasked.as_bytes()).is_ok(), "{half}");
    }
    let answer = fault(b"{\"prompt\":\"p\",\"answer\":[\"7\"]}");
    assert_eq!(answer, (1, LineFault::NotText { field: "answer".into(), found: "a list of texts" }));
}

#[test]
fn sizes_are_limited_and_the_limit_is_named() {
    let long = row("p", &"a".repeat(64 << 20));
    let given = long.len() - 1;
    assert_eq!(fault(long.as_bytes()), (1, LineFault::TooLong { limit: 64 << 20, given }));
    let long = row("p", &"a".repeat((8 << 20) + 1));
    let (field, limit, given) = ("answer".to_owned(), 8 << 20, (8 << 20) + 1);
    assert_eq!(fault(long.as_bytes()), (1, LineFault::FieldTooLong { field, limit, given }));
    let long = row(&"a b".repeat(2_000), "x");
    let error = refusal(r#"{"type":"reverse-text","path":"t"}"#, long.as_bytes());
    assert!(matches!(
        error,
        TaskError::Line { line: 1, fault: LineFault::FieldTooLong { limit: 4096, given: 6000, .. }, .. }
    ));
}

#[test]
fn deep_json_is_skipped_where_nobody_asks_for_it_and_refused_where_text_is_wanted() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let unasked = format!("{{\"other\":{deep},\"prompt\":\"p\",\"answer\":\"a\"}}\n") + &row("q", "b");
    assert!(file_task(DATASET, unasked.as_bytes()).is_ok());
    let asked = format!("{{\"prompt\":{deep},\"answer\":\"a\"}}");
    assert_eq!(fault(asked.as_bytes()), (1, LineFault::NotText { field: "prompt".into(), found: "a list of lists" }));
}

#[test]
fn an_empty_file_has_no_rows() {
    for content in [b"".as_slice(), b"\n \r\n", b"\xef\xbb\xbf"] {
        assert_eq!(refusal(DATASET, content), TaskError::EmptyDataset { path: "d.jsonl".into() });
    }
    let none = build_from_rows(&spec(DATASET), Vec::new()).err();
    assert_eq!(none, Some(TaskError::EmptyDataset { path: "d.jsonl".into() }));
}

#[test]
fn a_file_that_cannot_be_read_says_what_the_reader_said() {
    let error = tasks::build(&spec(DATASET), &|path| Err(format!("{path} is on fire"))).err();
    assert_eq!(error.unwrap().to_string(), "cannot read d.jsonl: d.jsonl is on fire");
}

#[test]
fn answers_without_the_number_they_promise_are_refused() {
    let content = "{\"question\":\"q\",\"answer\":\"#### 1\"}\n{\"question\":\"r\",\"answer\":\"7\"}";
    let error = refusal(r#"{"type":"gsm8k","path":"g"}"#, content.as_bytes());
    assert_eq!(error.to_string(), "g, line 2: the answer has no final number after \"####\"");
    let json = r#"{"type":"dataset","path":"d","grader":"number"}"#;
    let error = refusal(json, row("p", "none").as_bytes());
    assert_eq!(error.to_string(), "d, line 1: the answer has no final number");
}

#[test]
fn parquet_bytes_are_sent_to_the_other_door_and_rows_come_in_there() {
    assert!(matches!(refusal(DATASET, b"PAR1\x15\x04"), TaskError::ParquetBytes { .. }));
    let rows = (0..40).map(|n| Row::text(n + 1, format!("p{n}"), n.to_string())).collect();
    let task = build_from_rows(&spec(DATASET), rows).unwrap();
    assert_eq!(task.len(Split::Train).unwrap() + task.len(Split::HeldOut).unwrap(), 40);
    let error = build_from_rows(&spec(DATASET), vec![Row::text(1, "p", "a"), Row::text(2, "", "b")]);
    assert!(matches!(error.err(), Some(TaskError::Line { line: 2, .. })));
    let error = build_from_rows(&spec(r#"{"type":"sat"}"#), Vec::new()).err();
    assert_eq!(error, Some(TaskError::TakesNoRows { task: "sat" }));
}

#[test]
fn duplicated_rows_are_kept_and_stay_on_one_side() {
    // Twins differ in blanks only, which do not make another prompt.
    let content: String =
        (0..100).map(|n| row(&format!("prompt {n}"), "a") + &row(&format!(" prompt  {n}\t"), "a")).collect();
    let task = file_task(DATASET, content.as_bytes()).unwrap();
    let side = |split| -> Vec<String> {
        let normal = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let len = task.len(split).unwrap();
        let mut prompts: Vec<String> =
            (0..len).map(|index| normal(task.item(0, split, index).unwrap().prompt)).collect();
        prompts.sort();
        prompts
    };
    let (train, held_out) = (side(Split::Train), side(Split::HeldOut));
    assert_eq!(train.len() + held_out.len(), 200);
    for side in [train, held_out] {
        assert!(side.chunks(2).all(|pair| pair[0] == pair[1]), "{side:?}");
    }
}

#[test]
fn even_two_rows_have_two_sides_but_one_prompt_has_not() {
    let two = row("p", "a") + &row("q", "b");
    let task = file_task(DATASET, two.as_bytes()).unwrap();
    assert_eq!((task.len(Split::Train), task.len(Split::HeldOut)), (Some(1), Some(1)));
    let one = row("p", "a") + &row("p", "a");
    assert!(matches!(refusal(DATASET, one.as_bytes()), TaskError::SplitTooSmall { .. }));
}

#[test]
fn windows_line_ends_byte_order_marks_numbers_and_other_fields_are_taken() {
    let content = "\u{feff}{\"id\":[1,{\"prompt\":2}],\"prompt\":\"p\",\"answer\":-3.10}\r\n\r\n{\"prompt\":\"q\",\"answer\":\"b\"}\r\n";
    let task = file_task(DATASET, content.as_bytes()).unwrap();
    let mut answers: Vec<String> =
        [Split::Train, Split::HeldOut].map(|split| task.item(0, split, 0).unwrap().answer).into();
    answers.sort();
    assert_eq!(answers, ["-3.10", "b"]);
}

#[test]
fn texts_to_reverse_lose_the_blanks_at_their_ends() {
    let content = row("  ab c ", "ignored") + &row("other", "ignored");
    let task = file_task(r#"{"type":"reverse-text","path":"t"}"#, content.as_bytes()).unwrap();
    let items = [Split::Train, Split::HeldOut].map(|split| task.item(0, split, 0).unwrap());
    assert!(items.iter().any(|item| item.prompt == "ab c" && item.answer == "c ba"), "{items:?}");
}

#[test]
fn what_python_writes_for_numbers_that_are_none_is_skipped_and_refused_where_asked_for() {
    let odd = r#"{"score":NaN,"prompt":"p","nested":{"a":[Infinity,-Infinity]},"answer":"NaN"}"#;
    assert_eq!(pairs(DATASET, &format!("{odd}\n{}", row("q", "b"))), [pair("p", "NaN"), pair("q", "b")]);
    for (value, found) in [("NaN", "NaN"), ("Infinity", "Infinity"), ("-Infinity", "-Infinity")] {
        let line = format!("{}{{\"prompt\":\"q\",\"answer\":{value}}}", row("p", "a"));
        assert_eq!(fault(line.as_bytes()), (2, LineFault::NotText { field: "answer".into(), found }));
    }
    assert!(matches!(fault(br#"{"prompt":"q","answer":"a","x":nan}"#), (1, LineFault::BadJson { .. })));
}

#[test]
fn nested_fields_are_reached_by_points_or_by_a_json_pointer() {
    let content = r#"{"data":{"question":"p","a/b":["x","1"]}}
        {"data":{"question":"q","a/b":["y","2"]}}"#;
    for (prompt, answer) in [("data.question", "/data/a~1b/1"), ("/data/question", "data.a/b.1")] {
        let json =
            format!(r#"{{"type":"dataset","path":"d.jsonl","prompt_field":"{prompt}","answer_field":"{answer}"}}"#);
        assert_eq!(pairs(&json, content), [pair("p", "1"), pair("q", "2")]);
    }
    let json = r#"{"type":"dataset","path":"d.jsonl","prompt_field":"a.b","answer_field":"c"}"#;
    let flat = "{\"a.b\":\"p\",\"c\":1}\n{\"a\":{\"b\":\"q\"},\"c\":2}";
    assert_eq!(pairs(json, flat), [pair("p", "1"), pair("q", "2")]);
    let both = r#"{"a.b":"p","a":{"b":"q"},"c":1}"#;
    assert!(refusal(json, both.as_bytes()).to_string().ends_with("field \"a.b\" is there twice"));
    let absent = refusal(json, br#"{"a":{"x":1},"c":1}"#).to_string();
    assert_eq!(absent, "d.jsonl, line 1: no field \"a.b\"");
}

#[test]
fn message_lists_keep_their_turns_and_a_lone_question_is_also_a_text() {
    let content = r#"{"prompt":[{"role":"user","content":"p"}],"answer":"1"}
        {"prompt":[{"role":"system","content":"s"},{"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"role":"user"}],"answer":"2"}
        {"prompt":[{"from":"human","value":"h"},{"from":"gpt","value":"g"},{"from":"human","value":"k","weight":null}],"answer":"3"}"#;
    let task = file_task(DATASET, content.as_bytes()).unwrap();
    let items = items_of(task.as_ref());
    let prompts: Vec<&str> = items.iter().map(|item| item.prompt.as_str()).collect();
    assert_eq!(prompts, ["p", "system: s\nuser: ab", "user: h\nassistant: g\nuser: k"]);
    let turn = |role, content: &str| Message { role, content: content.to_owned() };
    assert_eq!(items[0].messages, [turn(Role::User, "p")]);
    assert_eq!(items[1].messages, [turn(Role::System, "s"), turn(Role::User, "ab")]);
    assert_eq!(items[2].messages.len(), 3);
}

#[test]
fn the_answer_is_found_in_the_usual_places() {
    let verl = |n: u32| {
        format!(
            "{{\"data_source\":\"x\",\"prompt\":[{{\"role\":\"user\",\"content\":\"{n}\"}}],\"reward_model\":{{\"style\":\"rule\",\"ground_truth\":\"{n}!\"}}}}\n"
        )
    };
    assert_eq!(pairs(DATASET, &(verl(1) + &verl(2))), [pair("1", "1!"), pair("2", "2!")]);
    let chat = |field: &str, n: u32| {
        format!(
            "{{\"{field}\":[{{\"role\":\"user\",\"content\":\"{n}\"}},{{\"role\":\"assistant\",\"content\":\"{n}!\"}}]}}\n"
        )
    };
    for field in ["messages", "conversations", "prompt"] {
        assert_eq!(pairs(DATASET, &(chat(field, 1) + &chat(field, 2))), [pair("1", "1!"), pair("2", "2!")]);
    }
    let trl = |n: u32| {
        format!(
            "{{\"prompt\":[{{\"role\":\"user\",\"content\":\"{n}\"}}],\"completion\":[{{\"role\":\"assistant\",\"content\":\"{n}!\"}}]}}\n"
        )
    };
    assert_eq!(pairs(DATASET, &(trl(1) + &trl(2))), [pair("1", "1!"), pair("2", "2!")]);
    let given = r#"{"type":"dataset","path":"d.jsonl","prompt_field":"messages","answer_field":"messages"}"#;
    let with_answer = (chat("messages", 1) + &chat("messages", 2)).replace("]}", "],\"answer\":\"x\"}");
    assert_eq!(pairs(given, &with_answer), [pair("1", "1!"), pair("2", "2!")]);
    let refused = fault(with_answer.as_bytes());
    assert_eq!(refused, (1, LineFault::NoLastQuestion { field: "messages".into(), found: "assistant" }));
}

#[test]
fn a_file_whose_columns_leave_a_choice_is_refused() {
    let error = refusal(DATASET, br#"{"question":"q","reply":"a"}"#).to_string();
    assert_eq!(
        error,
        "d.jsonl has no column prompt, messages or conversations: prompt_field names one of question, reply"
    );
    let error = refusal(DATASET, br#"{"prompt":"q","solution":"a","completion":"b"}"#).to_string();
    assert_eq!(error, "d.jsonl has answers in solution and in completion: answer_field says which is meant");
    assert_eq!(fault(br#"{"prompt":"q","reply":"a"}"#), (1, LineFault::NoAnswer));
    let open = br#"{"prompt":[{"role":"user","content":"q"}]}"#;
    assert_eq!(fault(open), (1, LineFault::NoLastAnswer { field: "prompt".into() }));
}

#[test]
fn messages_that_say_more_than_their_text_are_refused_by_place() {
    let list = |messages: &str| fault(format!("{{\"prompt\":[{messages}],\"answer\":\"a\"}}").as_bytes()).1;
    let user = r#"{"role":"user","content":"q"}"#;
    let second = |bad: &str| list(&format!("{user},{bad}"));
    let unread = |key: &str| message(2, MessageFault::UnreadKey { key: key.into() });
    assert_eq!(second(r#"{"role":"user","content":"q","tool_calls":[{"id":1}]}"#), unread("tool_calls"));
    assert_eq!(second(r#"{"role":"user","content":"q","name":"ann"}"#), unread("name"));
    let role = |given: &str| message(2, MessageFault::UnknownRole { given: given.into() });
    assert_eq!(second(r#"{"role":"tool","content":"q"}"#), role("tool"));
    assert_eq!(second(r#"{"role":"User","content":"q"}"#), role("User"));
    assert_eq!(second(r#"{"role":"user","content":null}"#), message(2, MessageFault::MissingKey { key: "content" }));
    let not_text = MessageFault::KeyNotText { key: "content", found: "a number" };
    assert_eq!(second(r#"{"role":"user","content":1}"#), message(2, not_text.clone()));
    assert_eq!(second(r#"{"role":"user","content":NaN}"#), message(2, not_text));
    assert_eq!(
        second(r#"{"role":"user","content":"q","from":"human","value":"r"}"#),
        message(2, MessageFault::TwoForms)
    );
    assert_eq!(
        second(r#"{"role":"user","content":"q","role":"user"}"#),
        message(2, MessageFault::KeyTwice { key: "role".into() })
    );
    let part = |part, given: &str| message(2, MessageFault::PartNotText { part, given: given.into() });
    assert_eq!(
        second(r#"{"role":"user","content":[{"type":"text","text":"a"},{"type":"image","url":"u"}]}"#),
        part(2, "\"image\"")
    );
    assert_eq!(second(r#"{"role":"user","content":["a"]}"#), part(1, "text"));
    assert_eq!(list(r#""a""#), LineFault::NotText { field: "prompt".into(), found: "a list of texts" });
    assert_eq!(second("3"), message(2, MessageFault::NotAMessage { found: "a number" }));
    assert_eq!(list(""), LineFault::EmptyField { field: "prompt".into() });
    assert_eq!(list(r#"{"role":"user","content":" "}"#), LineFault::EmptyField { field: "prompt".into() });
    let many = vec![user; 1025].join(",");
    assert_eq!(list(&many), LineFault::TooManyMessages { field: "prompt".into(), limit: 1024 });
    let with_tools = |tools: &str| format!("{{\"prompt\":[{user}],\"answer\":1,\"tools\":{tools}}}\n") + &row("s", "2");
    let tools = with_tools(r#"[{"type":"function"}]"#);
    assert_eq!(fault(tools.as_bytes()), (1, LineFault::UnreadField { field: "tools".into() }));
    assert_eq!(pairs(DATASET, &with_tools("[]")).len(), 2);
    // What a null or nothing stands for says nothing.
    let quiet = r#"{"role":"user","content":"r","tool_calls":null,"name":"","tool_call_id":null,"id":7}"#;
    let content = format!("{{\"prompt\":[{user},{quiet}],\"answer\":1}}\n") + &row("s", "2");
    assert_eq!(pairs(DATASET, &content).len(), 2);
}

#[test]
fn one_json_list_is_read_like_lines_and_a_bad_element_is_named_by_its_line() {
    let content = "\u{feff}[\n  {\"prompt\": \"p\",\n   \"answer\": 1, \"x\": NaN},\n  {\"prompt\": \"q\", \"answer\": 2.50}\n]\n";
    assert_eq!(pairs(DATASET, content), [pair("p", "1"), pair("q", "2.50")]);
    assert_eq!(pairs(DATASET, r#"[{"prompt":"p","answer":1},{"prompt":"q","answer":2}]"#).len(), 2);
    let bad = content.replace("\"q\"", "null");
    assert_eq!(fault(bad.as_bytes()), (4, LineFault::NotText { field: "prompt".into(), found: "null" }));
    let cut = &content[..content.len() - 4];
    assert!(matches!(fault(cut.as_bytes()), (4, LineFault::BadJson { .. })));
    assert!(matches!(fault(b"[1]"), (1, LineFault::BadJson { .. })));
    assert_eq!(refusal(DATASET, b"[]"), TaskError::EmptyDataset { path: "d.jsonl".into() });
    assert_eq!(fault(b"[\n{\"prompt\":\"\xff\"}]"), (2, LineFault::NotUtf8 { at: 11 }));
}

#[test]
fn a_row_of_two_megabytes_is_read() {
    let content = row(&"long ".repeat(400_000), "a")
        + &format!("{{\"prompt\":\"q\",\"answer\":\"b\",\"x\":\"{}\"}}\n", "y".repeat(3 << 20));
    assert_eq!(pairs(DATASET, &content).len(), 2);
}

#[test]
fn what_is_left_after_rows_were_left_out_is_split_as_if_nothing_else_had_been_there() {
    let rows = |keep: &dyn Fn(u32) -> bool| -> String {
        (0..300u32).filter(|n| keep(*n)).map(|n| row(&format!("prompt {n}"), &n.to_string())).collect()
    };
    let third = |n: u32| n.is_multiple_of(3);
    let mut task = file_task(DATASET, rows(&|_| true).as_bytes()).unwrap();
    let keep: Vec<bool> = (0..300).map(third).collect();
    task.rows_mut().unwrap().keep(&keep).unwrap();
    let fresh = file_task(DATASET, rows(&third).as_bytes()).unwrap();
    for split in [Split::Train, Split::HeldOut] {
        assert_eq!(task.len(split), fresh.len(split));
        for index in 0..task.len(split).unwrap() {
            assert_eq!(task.item(7, split, index), fresh.item(7, split, index));
        }
    }
    // Even two rows of one side are split again.
    let train: Vec<bool> = (0..100).map(|at| at < 2).collect();
    task.rows_mut().unwrap().keep(&train).unwrap();
    assert_eq!((task.len(Split::Train), task.len(Split::HeldOut)), (Some(1), Some(1)));
    let error = task.rows_mut().unwrap().keep(&[false, false]);
    assert_eq!(error, Err(TaskError::EmptyDataset { path: "d.jsonl".into() }));
}
