use tasks::{LineFault, Split, TaskError, build_from_rows};

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

#[test]
fn a_bad_line_is_named_by_its_number() {
    let good = row("p", "a");
    let second = |bad: &str| fault(format!("{good}{bad}\n{good}").as_bytes());
    assert_eq!(second(r#"{"prompt":"q"}"#), (2, LineFault::MissingField { field: "answer".into() }));
    assert!(matches!(second(r#"{"prompt":"q","#), (2, LineFault::BadJson { .. })));
    assert!(matches!(second(r#"["prompt"]"#), (2, LineFault::BadJson { .. })));
    assert!(matches!(second(r#"{"prompt":"q","answer":"a"} x"#), (2, LineFault::BadJson { .. })));
    assert!(matches!(second(r#"{"prompt":"\ud800","answer":"a"}"#), (2, LineFault::BadJson { .. })));
    assert_eq!(
        second(r#"{"prompt":"q","answer":"a","answer":"b"}"#),
        (2, LineFault::DuplicateField { field: "answer".into() })
    );
    assert_eq!(
        second(r#"{"prompt":[{"role":"user"}],"answer":"a"}"#),
        (2, LineFault::NotText { field: "prompt".into(), found: "a list" })
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
fn sizes_are_limited_and_the_limit_is_named() {
    let long = row("p", &"a".repeat(1 << 20));
    let given = long.len() - 1;
    assert_eq!(fault(long.as_bytes()), (1, LineFault::TooLong { limit: 1 << 20, given }));
    let long = row("p", &"a".repeat(70_000));
    let field = "answer".to_owned();
    assert_eq!(fault(long.as_bytes()), (1, LineFault::FieldTooLong { field, limit: 65_536, given: 70_000 }));
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
    let (field, found) = ("prompt".to_owned(), "a list");
    assert_eq!(fault(asked.as_bytes()), (1, LineFault::NotText { field, found }));
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
    let rows = (0..40).map(|n| (format!("p{n}"), n.to_string())).collect();
    let task = build_from_rows(&spec(DATASET), rows).unwrap();
    assert_eq!(task.len(Split::Train).unwrap() + task.len(Split::HeldOut).unwrap(), 40);
    let error = build_from_rows(&spec(DATASET), vec![("p".into(), "a".into()), ("".into(), "b".into())]);
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
