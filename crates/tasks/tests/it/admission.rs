use tasks::{Grade, Item, Split, Task, TaskError, admit};

use crate::{all_tasks, file_task, row, task};

#[test]
fn every_task_we_ship_is_admitted() {
    for task in all_tasks() {
        let report = admit(&*task, 11).unwrap_or_else(|error| panic!("{error}"));
        println!("{report}");
        assert_eq!(report.mean_micro("oracle"), Some(1_000_000));
        assert_eq!(report.mean_micro("empty"), Some(0), "{report}");
        assert_eq!(report.probes.len(), 7);
        assert!(report.to_string().contains("constant"));
    }
}

#[test]
fn surplus_text_costs_where_places_are_counted() {
    let report = admit(&*task(r#"{"type":"spell-backward"}"#), 1).unwrap();
    let surplus = report.mean_micro("oracle+text").unwrap();
    assert!((1..500_000).contains(&surplus), "{report}");
}

#[test]
fn a_toss_of_a_coin_is_refused_because_a_constant_wins_half_of_it() {
    let lines: String = (0..200u32)
        .map(|n| row(&format!("Is {n} lucky?"), if n.count_ones() % 2 == 0 { "yes" } else { "no" }))
        .collect();
    let task = file_task(r#"{"type":"dataset","path":"coin"}"#, lines.as_bytes()).unwrap();
    match admit(&*task, 0).unwrap_err() {
        TaskError::ProbeTooGood { probe: "constant", answer, mean_micro, .. } => {
            assert!(answer == "yes" || answer == "no", "{answer}");
            assert!(mean_micro >= 500_000);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn texts_that_differ_in_one_word_only_are_refused_as_one_text_nearly_fits_all() {
    let lines: String = (0..50).map(|n| row(&format!("what is {n} plus {n}?"), "unused")).collect();
    let task = file_task(r#"{"type":"reverse-text","path":"t"}"#, lines.as_bytes()).unwrap();
    let error = admit(&*task, 0).unwrap_err();
    assert!(matches!(error, TaskError::ProbeTooGood { probe: "constant", .. }), "{error}");
}

/// A task of numbered questions with a grader of one's choice.
struct Graded<F>(F);

impl<F: Fn(&Item, &str) -> Grade + Send + Sync> Task for Graded<F> {
    fn name(&self) -> &str {
        "bad"
    }
    fn item(&self, _: u64, split: Split, index: u64) -> Result<Item, TaskError> {
        let (prompt, answer) = (format!("question {index}"), format!("answer {}", index * 37 + 1));
        Ok(Item { prompt, messages: Vec::new(), answer, split, index })
    }
    fn grade(&self, item: &Item, completion: &str) -> Grade {
        (self.0)(item, completion)
    }
    fn len(&self, _: Split) -> Option<u64> {
        None
    }
    fn alphabet(&self) -> Option<String> {
        None
    }
    fn max_answer_chars(&self) -> usize {
        20
    }
}

fn verdict(grader: impl Fn(&Item, &str) -> Grade + Send + Sync) -> TaskError {
    admit(&Graded(grader), 0).expect_err("a bad grader was admitted")
}

#[test]
fn a_good_grader_on_the_same_items_is_admitted() {
    admit(&Graded(|item: &Item, text: &str| Grade::all_or_nothing(text == item.answer)), 0).unwrap();
}

#[test]
fn a_grader_that_pays_for_any_text_is_refused() {
    let error = verdict(|_, text| Grade::all_or_nothing(!text.is_empty()));
    assert!(matches!(error, TaskError::ProbeTooGood { probe: "garbage", mean_micro: 1_000_000, .. }), "{error}");
}

#[test]
fn a_grader_that_pays_for_silence_is_refused() {
    let error = verdict(|item, text| Grade::all_or_nothing(text.is_empty() || text == item.answer));
    assert!(matches!(error, TaskError::ProbeTooGood { probe: "empty", .. }), "{error}");
}

#[test]
fn a_grader_that_pays_for_the_prompt_is_refused() {
    let error = verdict(|item, text| Grade::all_or_nothing(text == item.prompt || text == item.answer));
    assert!(matches!(error, TaskError::ProbeTooGood { probe: "echo", .. }), "{error}");
}

#[test]
fn a_grader_that_one_fixed_text_satisfies_is_refused() {
    // It looks for the word only, as a careless "contains" check does.
    let error = verdict(|_, text| Grade::all_or_nothing(text.starts_with("answer ")));
    assert!(matches!(error, TaskError::ProbeTooGood { probe: "constant", .. }), "{error}");
}

#[test]
fn a_grader_that_does_not_pay_the_oracle_is_refused() {
    let almost = |exact| {
        move |item: &Item, text: &str| match text == item.answer {
            true => Grade { reward_micro: 999_999, exact },
            false => Grade::ZERO,
        }
    };
    let error = verdict(almost(true));
    assert!(matches!(error, TaskError::OracleFails { given_micro: 999_999, .. }), "{error}");
    let error = verdict(|item, text| Grade { exact: false, ..Grade::all_or_nothing(text == item.answer) });
    assert!(matches!(error, TaskError::OracleFails { given_micro: 1_000_000, exact: false, .. }), "{error}");
}

#[test]
fn a_grader_that_panics_on_hostile_text_is_refused() {
    let error = verdict(|item, text| {
        assert!(!text.starts_with("(((("), "deliberate: too deep");
        Grade::all_or_nothing(text == item.answer)
    });
    assert!(matches!(error, TaskError::GraderPanicked { .. }), "{error}");
}

#[test]
fn a_grader_that_pays_more_than_everything_is_refused() {
    let error = verdict(|item, text| match text {
        "" => Grade { reward_micro: -1, exact: false },
        _ => Grade::all_or_nothing(text == item.answer),
    });
    assert!(matches!(error, TaskError::RewardOutOfRange { given_micro: -1, .. }), "{error}");
}

#[test]
fn a_grader_that_changes_its_mind_is_refused() {
    let calls = std::sync::atomic::AtomicU64::new(0);
    let error = verdict(move |item, text| {
        let call = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Grade::all_or_nothing(text == item.answer && call != 1)
    });
    assert!(matches!(error, TaskError::NotDeterministic { what: "grade", .. }), "{error}");
}
