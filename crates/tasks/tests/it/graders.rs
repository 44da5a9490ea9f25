use proptest::prelude::*;
use tasks::{Item, Split, Task, ratcliff_micro};

use crate::{all_tasks, file_task, task};

fn item(prompt: &str, answer: &str) -> Item {
    Item { prompt: prompt.to_owned(), messages: Vec::new(), answer: answer.to_owned(), split: Split::Train, index: 0 }
}

/// Reward in millionths and whether it is exact.
fn grade(task: &dyn Task, item: &Item, completion: &str) -> (i64, bool) {
    let grade = task.grade(item, completion);
    (grade.reward_micro, grade.exact)
}

#[test]
fn similarity_is_that_of_pythons_difflib() {
    let rows: Vec<serde_json::Value> = serde_json::from_str(include_str!("../fixtures/difflib.json")).unwrap();
    assert!(rows.len() > 100);
    for row in rows {
        let (a, b) = (row["a"].as_str().unwrap(), row["b"].as_str().unwrap());
        assert_eq!(Some(ratcliff_micro(a, b)), row["micro"].as_i64(), "{a:?} {b:?}");
    }
}

#[test]
fn spelling_backward_pays_by_place_and_charges_for_surplus_letters() {
    let task = task(r#"{"type":"spell-backward"}"#);
    let abc = item("abc=", "cba");
    for (completion, expected) in [
        ("cba", (1_000_000, true)),
        (" c b a ", (1_000_000, true)),
        ("cbx", (666_666, false)),
        ("cb", (666_666, false)),
        ("cbaa", (750_000, false)),
        ("cbacba", (500_000, false)),
        ("xcba", (0, false)),
        ("", (0, false)),
    ] {
        assert_eq!(grade(&*task, &abc, completion), expected, "{completion:?}");
    }
}

#[test]
fn reversed_text_counts_only_inside_the_first_pair_of_tags() {
    let tagged = task(r#"{"type":"reverse-text"}"#);
    let hello = item("hello", "olleh");
    for (completion, expected) in [
        ("<reversed_text>olleh</reversed_text>", (1_000_000, true)),
        ("Sure! <reversed_text>\n olleh \n</reversed_text> Done.", (1_000_000, true)),
        ("olleh", (0, false)),
        ("<reversed_text>olleh", (0, false)),
        ("<reversed_text>x</reversed_text><reversed_text>olleh</reversed_text>", (0, false)),
        // "hello" against "olleh": the first longest block of "hello" is "h", which leaves nothing
        // to the left and, right of it, nothing in the answer: M = 1 would be "h" at 0 and 4;
        // "ll" is longer, then nothing fits left ("he" against "o") or right ("o" against "eh"):
        // M = 2, 2*2/10.
        ("<reversed_text>hello</reversed_text>", (400_000, false)),
    ] {
        assert_eq!(grade(&*tagged, &hello, completion), expected, "{completion:?}");
    }
    let bare = task(r#"{"type":"reverse-text","tags":false}"#);
    assert_eq!(grade(&*bare, &hello, " olleh\n"), (1_000_000, true));
}

#[test]
fn a_sum_is_right_or_wrong_unless_digits_count() {
    let sum = item("99+24=", "123");
    let strict = task(r#"{"type":"chain-sum"}"#);
    assert_eq!(grade(&*strict, &sum, " 123\n"), (1_000_000, true));
    assert_eq!(grade(&*strict, &sum, "124"), (0, false));
    let lenient = task(r#"{"type":"chain-sum","partial":true}"#);
    assert_eq!(grade(&*lenient, &sum, "133"), (666_666, false));
    // counted from the units: 23 has both of its digits in place, one is missing
    assert_eq!(grade(&*lenient, &sum, "23"), (666_666, false));
    assert_eq!(grade(&*lenient, &sum, "1123"), (750_000, false));
}

#[test]
fn countdown_takes_any_solution_that_uses_every_number_once() {
    let task = task(r#"{"type":"countdown"}"#);
    let game = item("3,8,9:33=", "3*8+9");
    for (completion, expected) in [
        ("3*8+9", (1_000_000, true)),
        ("9 + (8 * 3)", (1_000_000, true)),
        ("9 + (8 × 3)", (1_000_000, true)),
        ("9 − 3 − 8", (100_000, false)),
        ("I think 1+1.\n<answer>2</answer><answer> 9+3*8 </answer>", (1_000_000, true)),
        ("3+8+9", (100_000, false)),
        ("33", (0, false)),
        ("3*8+9+0", (0, false)),
        ("3*8+9+9-9", (0, false)),
        ("3*8+9=33", (0, false)),
        ("3**8", (0, false)),
        ("", (0, false)),
    ] {
        assert_eq!(grade(&*task, &game, completion), expected, "{completion:?}");
    }
    // 8/(3-8/3) = 24 needs exact thirds
    assert_eq!(grade(&*task, &item("3,3,8,8:24=", ""), "8/(3-8/3)"), (1_000_000, true));
    // rounding division would give 3
    assert_eq!(grade(&*task, &item("2,7:3=", ""), "7/2"), (100_000, false));
}

#[test]
fn sat_pays_grails_components_over_grails_maximum() {
    let task = task(r#"{"type":"sat"}"#);
    let prompt = "SAT Problem:\nVariables: 4\nClauses:\n  (x1 OR x2 OR NOT x3)\n  (NOT x1 OR x4 OR x3)\n\n";
    let problem = item(prompt, "1 0 0 1");
    for (completion, micro, exact) in [
        ("<SOLUTION>1 0 0 1</SOLUTION>", 1_135_000, true),
        ("<think>well</think><solution>1001</solution>", 1_135_000, true),
        // another assignment that satisfies both clauses
        ("<SOLUTION>0 1 1 0</SOLUTION>", 1_135_000, true),
        // well formed and wrong: .045 + .02 + .045 + .02 + .005
        ("<SOLUTION>1 0 0 0</SOLUTION>", 135_000, false),
        // a second open tag costs the strict part only
        ("<SOLUTION> <SOLUTION>1 0 0 1</SOLUTION>", -1, false),
        // one character behind it: malformed, -.2 + .02 + .045 + .0199 + .005 < 0
        ("<SOLUTION>1 0 0 1</SOLUTION>\n", -1, false),
        ("<SOLUTION>1 0 0</SOLUTION>", -1, false),
        ("1 0 0 1", -1, false),
    ] {
        let micro = if micro < 0 { 0 } else { micro * 1_000_000 / 1_135_000 };
        assert_eq!(grade(&*task, &problem, completion), (micro, exact), "{completion:?}");
    }
}

#[test]
fn sorting_pays_for_places_put_right_and_nothing_for_the_prompt() {
    let letters = task(r#"{"type":"sort"}"#);
    // "bacd" has c and d right already; a and b are to be put right.
    let list = item("bacd=", "abcd");
    for (completion, expected) in [
        ("abcd", (1_000_000, true)),
        ("bacd", (0, false)),
        ("bacd=", (0, false)),
        ("axcd", (500_000, false)),
        ("dcba", (0, false)),
        ("abcdd", (666_666, false)),
    ] {
        assert_eq!(grade(&*letters, &list, completion), expected, "{completion:?}");
    }
    let numbers = task(r#"{"type":"sort","kind":"numbers"}"#);
    let list = item("31 7 22=", "7 22 31");
    assert_eq!(grade(&*numbers, &list, "7  22 31\n"), (1_000_000, true));
    assert_eq!(grade(&*numbers, &list, "7 31 22"), (333_333, false));
}

#[test]
fn word_problems_are_graded_by_the_last_number() {
    let lines = "{\"question\":\"q1\",\"answer\":\"1+2=3 #### 1,250\"}\n{\"question\":\"q2\",\"answer\":\"#### 2\"}";
    let task = file_task(r#"{"type":"gsm8k","path":"g"}"#, lines.as_bytes()).unwrap();
    let question = item("q1", "1+2=3 #### 1,250");
    for (completion, right) in [
        ("So it is $1250.00.", true),
        ("#### 1,250", true),
        ("1250 at first, but 7 in the end", false),
        ("-1250", false),
        ("many", false),
    ] {
        assert_eq!(task.grade(&question, completion).exact, right, "{completion}");
    }
}

#[test]
fn the_four_graders_of_a_data_set_each_look_for_their_own_sign() {
    let lines = br#"{"prompt":"p","answer":"12"}
{"prompt":"q","answer":12}"#;
    let rewards = |grader: &str, completion: &str| {
        let json = format!(r#"{{"type":"dataset","path":"d","grader":"{grader}"}}"#);
        grade(&*file_task(&json, lines).unwrap(), &item("p", "12"), completion)
    };
    assert_eq!(rewards("exact", " 12\n"), (1_000_000, true));
    assert_eq!(rewards("exact", "it is 12"), (0, false));
    assert_eq!(rewards("contains_boxed", r"so \boxed{ 12 }"), (1_000_000, true));
    assert_eq!(rewards("contains_boxed", "12"), (0, false));
    assert_eq!(rewards("number", "it is 12.0!"), (1_000_000, true));
    assert_eq!(rewards("number", "12 or 13"), (0, false));
    assert_eq!(rewards("ratcliff", "1"), (666_666, false));
    assert_eq!(rewards("ratcliff", "12"), (1_000_000, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_completion_makes_a_grader_panic_or_leave_its_range(
        text in "([ -~]|[01(){}<>/=#.,*+-]|\\PC|<SOLUTION>|</SOLUTION>|</think>|\\\\boxed\\{|<answer>|</answer>|[0-9]{1,3}|\\\\[dt]?frac|\\\\(text|sqrt|left|times|circ|begin|end|pi)\\{?|[½−–⁻²%$^_!|]|e[0-9]+){0,40}",
        index in 0u64..50,
    ) {
        for task in all_tasks_once() {
            let item = task.item(1, Split::Train, index).unwrap();
            // also in the middle of a right answer
            let oracle = task.oracle(&item);
            for completion in [text.clone(), format!("{oracle}{text}"), format!("{text}{oracle}")] {
                let grade = task.grade(&item, &completion);
                prop_assert!((0..=1_000_000).contains(&grade.reward_micro));
                // a solved 3-SAT problem may still miss GRAIL's points for form
                prop_assert!(!grade.exact || grade.reward_micro > 900_000);
            }
        }
    }
}

fn all_tasks_once() -> &'static [Box<dyn Task>] {
    static TASKS: std::sync::OnceLock<Vec<Box<dyn Task>>> = std::sync::OnceLock::new();
    TASKS.get_or_init(all_tasks)
}
