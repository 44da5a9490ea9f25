//! The graders, which read what an untrusted model wrote, and the readers of data sets.

use std::sync::LazyLock;

use tasks::{Dataset, Grader, Gsm8k, Item, Split, Task, TaskSpec};

/// A task with three of its items.
type Tried = (Box<dyn Task>, Vec<Item>);

/// One task of each type.
static TASKS: LazyLock<Vec<Tried>> = LazyLock::new(|| {
    let items = |task: &dyn Task| (0..3).map(|index| task.item(1, Split::Train, index).expect("an item")).collect();
    let build = |spec: TaskSpec| {
        let task = tasks::build(&spec, &|_| Ok(rows().into_bytes())).expect("a valid specification");
        let items = items(&*task);
        (task, items)
    };
    specs().into_iter().map(build).collect()
});

fn specs() -> Vec<TaskSpec> {
    let path = || "rows.jsonl".to_owned();
    let dataset = |grader| {
        let (prompt_field, answer_field) = (Some("question".to_owned()), Some("answer".to_owned()));
        TaskSpec::Dataset(Dataset { path: path(), prompt_field, answer_field, grader })
    };
    let made_up = TaskSpec::catalogue().into_iter().filter(|spec| spec.columns().is_none());
    let files = [
        TaskSpec::Gsm8k(Gsm8k { path: path() }),
        dataset(Grader::Exact),
        dataset(Grader::ContainsBoxed),
        dataset(Grader::Number),
    ];
    made_up.chain(files).collect()
}

/// Enough rows that both splits have some.
fn rows() -> String {
    (0..64)
        .map(|n| format!("{{\"question\": \"what is {n} + 1?\", \"answer\": \"easy\\n#### {}\"}}\n", n + 1))
        .collect()
}

/// The first byte chooses a task and an item, or the reader of a data set.
pub fn run(data: &[u8]) {
    let Some((&what, bytes)) = data.split_first() else { return };
    let Some((task, items)) = TASKS.get(usize::from(what >> 2)) else { return file(bytes) };
    let completion = String::from_utf8_lossy(bytes);
    let item = &items[usize::from(what & 3) % items.len()];
    let grade = task.grade(item, &completion);
    assert!((0..=tasks::REWARD_ONE_MICRO).contains(&grade.reward_micro), "{grade:?}");
    assert_eq!(grade, task.grade(item, &completion));
}

/// A data set in a file of strangers.
fn file(bytes: &[u8]) {
    for spec in specs().iter().filter(|spec| spec.columns().is_some()) {
        if let Ok(task) = tasks::build(spec, &|_| Ok(bytes.to_vec())) {
            let item = task.item(1, Split::Train, 0).expect("a task that was built has items");
            assert!(task.grade(&item, &task.oracle(&item)).exact, "the right answer is graded as wrong");
        }
    }
}

/// A perfect completion of each item, and a file.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![[vec![0xff], rows().into_bytes()].concat()];
    for (place, (task, items)) in (0u8..).zip(TASKS.iter()) {
        for (index, item) in (0u8..).zip(items) {
            seeds.push([vec![place << 2 | index], task.oracle(item).into_bytes()].concat());
        }
    }
    seeds
}
