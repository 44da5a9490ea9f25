use std::collections::BTreeSet;

use tasks::{Split, TaskError, TaskSpec};

use crate::{all_tasks, file_task, row, task, try_task};

const SPLITS: [Split; 2] = [Split::Train, Split::HeldOut];

#[test]
fn train_and_held_out_prompts_never_meet_whatever_the_seeds() {
    for task in all_tasks() {
        let prompts = |split: Split| -> BTreeSet<String> {
            let seeds = if split == Split::Train { 0..3u64 } else { 3..6 };
            let pairs = seeds.flat_map(|seed| (0..400u64).map(move |index| (seed, index)));
            pairs.map(|(seed, index)| task.item(seed, split, index).unwrap().prompt).collect()
        };
        let (train, held_out) = (prompts(Split::Train), prompts(Split::HeldOut));
        assert!(!train.is_empty() && !held_out.is_empty());
        let both: Vec<_> = train.intersection(&held_out).collect();
        assert!(both.is_empty(), "{}: {both:?} on both sides", task.name());
    }
}

#[test]
fn an_item_is_a_function_of_seed_split_and_index() {
    for (once, again) in all_tasks().into_iter().zip(all_tasks()) {
        // asked for in another order, from another instance
        let backwards: Vec<_> = (0..20).rev().map(|index| again.item(7, Split::Train, index).unwrap()).collect();
        for (index, expected) in (0..20).zip(backwards.into_iter().rev()) {
            assert_eq!(once.item(7, Split::Train, index).unwrap(), expected);
            assert_eq!((expected.index, expected.split), (index, Split::Train));
        }
    }
}

#[test]
fn another_seed_gives_other_items() {
    for task in all_tasks() {
        let prompts = |seed| -> Vec<String> {
            (0..20).map(|index| task.item(seed, Split::Train, index).unwrap().prompt).collect()
        };
        assert_ne!(prompts(1), prompts(2), "{}", task.name());
    }
}

#[test]
fn the_first_items_are_the_ones_everybody_else_has() {
    // Golden: a change here changes every run and every recorded result.
    let first = |json: &str| task(json).item(0, Split::Train, 0).unwrap();
    let golden = [
        (r#"{"type":"spell-backward"}"#, "uyi=", "iyu"),
        (r#"{"type":"reverse-text"}"#, "aadz bhvdkk", "kkdvhb zdaa"),
        (r#"{"type":"chain-sum"}"#, "9+4=", "13"),
        (r#"{"type":"countdown"}"#, "54,12,74:8=", "(74-12)-54"),
        (r#"{"type":"sort"}"#, "yupv=", "puvy"),
        (r#"{"type":"sort","kind":"numbers"}"#, "95 77 58 84=", "58 77 84 95"),
    ];
    for (json, prompt, answer) in golden {
        let item = first(json);
        assert_eq!((item.prompt.as_str(), item.answer.as_str()), (prompt, answer), "{json}");
    }
}

#[test]
fn the_index_says_the_level_and_levels_differ_in_size_alone() {
    let sizes = |json: &str, size: fn(&str) -> usize| -> Vec<usize> {
        let task = task(json);
        let of = |index: u64| SPLITS.map(|split| size(&task.item(5, split, index).unwrap().prompt));
        let levels = u64::from(task.levels());
        let first: Vec<[usize; 2]> = (0..levels).map(of).collect();
        assert!((0..levels).all(|level| of(level + 7 * levels) == first[level as usize]), "{json}");
        first.into_iter().map(|[train, held_out]| (train == held_out).then_some(train).expect("both splits")).collect()
    };
    let letters: fn(&str) -> usize = |prompt| prompt.len() - 1;
    assert_eq!(sizes(r#"{"type":"spell-backward","letters_min":2,"letters_max":5}"#, letters), [2, 3, 4, 5]);
    assert_eq!(sizes(r#"{"type":"sort","items_min":3,"items_max":5}"#, letters), [3, 4, 5]);
    let longest_term: fn(&str) -> usize = |prompt| prompt[..prompt.len() - 1].split('+').map(str::len).max().unwrap();
    assert_eq!(sizes(r#"{"type":"chain-sum","digits_max":3}"#, longest_term), [1, 2, 3]);
    let terms: fn(&str) -> usize = |prompt| prompt.split('+').count();
    assert_eq!(sizes(r#"{"type":"chain-sum","terms_max":4}"#, terms), [2, 3, 4]);
    let numbers: fn(&str) -> usize = |prompt| prompt.split(',').count();
    assert_eq!(sizes(r#"{"type":"countdown"}"#, numbers), [3, 4]);
    let words: fn(&str) -> usize = |prompt| prompt.split(' ').count();
    assert_eq!(sizes(r#"{"type":"reverse-text"}"#, words), [2, 3, 4]);
}

#[test]
fn a_level_without_a_held_out_prompt_gives_way_to_a_harder_one() {
    // 26 prompts of one letter: about one in sixteen is held out.
    let task = task(r#"{"type":"spell-backward","letters_min":1,"letters_max":8}"#);
    let levels = u64::from(task.levels());
    for (split, level) in SPLITS.into_iter().flat_map(|split| (0..levels).map(move |level| (split, level))) {
        let letters = task.item(0, split, level).unwrap().prompt.len() as u64 - 1;
        assert!(letters > level, "{split:?} level {level}: {letters} letters");
    }
}

#[test]
fn prompts_and_oracles_keep_to_the_alphabet_and_the_longest_answer() {
    for task in all_tasks() {
        let alphabet: BTreeSet<char> = task.alphabet().expect("small").chars().collect();
        for (split, index) in SPLITS.into_iter().flat_map(|s| (0..200).map(move |i| (s, i))) {
            let item = task.item(3, split, index).unwrap();
            let oracle = task.oracle(&item);
            assert!(oracle.chars().count() <= task.max_answer_chars(), "{}: {oracle}", task.name());
            let foreign: Vec<char> =
                (item.prompt.chars().chain(oracle.chars())).filter(|c| !alphabet.contains(c)).collect();
            assert!(foreign.is_empty(), "{}: {foreign:?}", task.name());
        }
    }
}

#[test]
fn an_epoch_of_a_data_set_visits_every_row_once_and_the_next_in_another_order() {
    let lines: String = (0..50).map(|n| row(&format!("p{n}"), "a")).collect();
    let task = file_task(r#"{"type":"dataset","path":"d"}"#, lines.as_bytes()).unwrap();
    let (train, held_out) = (task.len(Split::Train).unwrap(), task.len(Split::HeldOut).unwrap());
    assert_eq!(train + held_out, 50);
    let epoch = |number: u64| -> Vec<String> {
        (number * train..(number + 1) * train).map(|index| task.item(5, Split::Train, index).unwrap().prompt).collect()
    };
    let unique: BTreeSet<String> = epoch(0).into_iter().collect();
    assert_eq!(unique.len() as u64, train);
    assert_eq!(unique, epoch(1).into_iter().collect());
    assert_ne!(epoch(0), epoch(1));
}

#[test]
fn about_one_prompt_in_sixteen_is_held_out() {
    // 3200 rows: 200 expected, deviation about 14; 60 is more than four of them.
    let lines: String = (0..3200).map(|n| row(&format!("row {n}"), "a")).collect();
    let task = file_task(r#"{"type":"dataset","path":"d"}"#, lines.as_bytes()).unwrap();
    let held_out = task.len(Split::HeldOut).unwrap();
    assert!((140..=260).contains(&held_out), "{held_out}");
}

#[test]
fn a_task_with_too_few_prompts_for_two_sides_is_refused() {
    // One digit is no range problem, but 0+0 … 0+0 is a single prompt.
    let error = try_task(r#"{"type":"countdown","numbers_min":2,"numbers_max":2,"value_max":1,"target_max":1}"#);
    assert!(matches!(error.err(), Some(TaskError::SplitTooSmall { .. })));
}

#[test]
fn settings_out_of_range_are_refused_with_the_range() {
    let error = try_task(r#"{"type":"spell-backward","letters_min":4,"letters_max":3}"#).err();
    let text = error.unwrap().to_string();
    assert_eq!(text, "spell-backward: letters_min..=letters_max is 4..=3, must be an unempty range within 1..=64");
    for json in [
        r#"{"type":"spell-backward","letters_max":1000000000}"#,
        r#"{"type":"chain-sum","digits_max":60}"#,
        r#"{"type":"chain-sum","terms_min":0}"#,
        r#"{"type":"countdown","numbers_max":90}"#,
        r#"{"type":"countdown","value_max":0}"#,
        r#"{"type":"sat","difficulty_max":1001}"#,
        r#"{"type":"sort","items_min":0}"#,
        r#"{"type":"reverse-text","words_min":0}"#,
        r#"{"type":"reverse-text","letters_max":18446744073709551615}"#,
    ] {
        assert!(matches!(try_task(json).err(), Some(TaskError::BadRange { .. })), "{json}");
    }
}

#[test]
fn unknown_types_and_settings_are_refused() {
    for json in [
        r#"{"type":"juggling"}"#,
        r#"{"type":"sort","colour":"red"}"#,
        r#"{"type":"dataset"}"#,
        r#"{"type":"dataset","path":"p","grader":"kind"}"#,
        r#"{"letters_min":3}"#,
    ] {
        assert!(serde_json::from_str::<TaskSpec>(json).is_err(), "{json}");
    }
}

#[test]
fn a_specification_can_stand_among_the_keys_of_a_larger_table() {
    #[derive(Debug, serde::Deserialize)]
    struct Entry {
        #[serde(flatten)]
        spec: TaskSpec,
        weight: u32,
    }
    let read = |json: &str| serde_json::from_str::<Entry>(json);
    let entry = read(r#"{"type":"sort","kind":"numbers","weight":3}"#).unwrap();
    assert_eq!((entry.spec.type_name(), entry.weight), ("sort", 3));
    assert!(read(r#"{"type":"sort","colour":"red","weight":3}"#).is_err());
}

#[test]
fn every_type_describes_itself_and_comes_back_from_json() {
    for spec in TaskSpec::catalogue() {
        let text = tasks::describe(&spec);
        assert!(text.starts_with(spec.type_name()) && text.contains("Reward:"), "{text}");
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<TaskSpec>(&json).unwrap(), spec);
    }
}

#[test]
fn countdown_answers_reach_the_target_and_sorted_lists_are_sorted() {
    let sort = task(r#"{"type":"sort","kind":"numbers"}"#);
    for index in 0..200 {
        let item = sort.item(0, Split::Train, index).unwrap();
        let list: Vec<u32> = item.answer.split(' ').map(|n| n.parse().unwrap()).collect();
        assert!(list.is_sorted(), "{}", item.answer);
    }
    let sum = task(r#"{"type":"chain-sum","subtract":true,"terms_max":3,"digits_max":2}"#);
    for index in 0..200 {
        let item = sum.item(0, Split::Train, index).unwrap();
        let spaced = item.prompt.trim_end_matches('=').replace('+', " ").replace('-', " -");
        let total: i64 = spaced.split_whitespace().map(|n| n.parse::<i64>().unwrap()).sum();
        assert_eq!(total.to_string(), item.answer, "{}", item.prompt);
    }
}

#[test]
fn a_made_up_task_takes_a_grader_and_says_what_it_looks_for() {
    let boxed = task(r#"{"type":"chain-sum","grader":"contains_boxed"}"#);
    let plain = task(r#"{"type":"chain-sum"}"#);
    let item = boxed.item(3, Split::Train, 5).unwrap();
    assert_eq!(item, plain.item(3, Split::Train, 5).unwrap());
    assert_eq!(boxed.oracle(&item), format!("\\boxed{{{}}}", item.answer));
    let words = format!("The sum is \\boxed{{{}}}.", item.answer);
    assert!(boxed.grade(&item, &words).exact && !plain.grade(&item, &words).exact);
    assert!(boxed.instruction().unwrap().ends_with("within \\boxed{}."));
    let number = task(r#"{"type":"chain-sum","grader":"number"}"#);
    assert!(number.grade(&item, &format!("it is {}.0", item.answer)).exact);
    let letters = task(r#"{"type":"spell-backward","grader":"contains_boxed"}"#);
    let item = letters.item(0, Split::HeldOut, 0).unwrap();
    assert!(letters.grade(&item, &letters.oracle(&item)).exact);
    let refused = try_task(r#"{"type":"sort","kind":"numbers","grader":"number"}"#).err();
    assert_eq!(refused, Some(TaskError::NotANumber { task: "sort" }));
    let refused = try_task(r#"{"type":"chain-sum","grader":"number","partial":true}"#).err();
    assert_eq!(refused, Some(TaskError::PartialUnderGrader { task: "chain-sum" }));
}

#[test]
fn another_grader_leaves_the_levels_of_a_task_as_they_are() {
    let plain = task(r#"{"type":"chain-sum","digits_max":3}"#);
    let number = task(r#"{"type":"chain-sum","digits_max":3,"grader":"number"}"#);
    assert_eq!((plain.levels(), number.levels()), (3, 3));
}
