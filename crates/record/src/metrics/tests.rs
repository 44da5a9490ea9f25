//! Names, and the document that explains them.

use super::*;
use crate::events::{Event, Recorded};
use crate::recorded::{network, supervised};

#[test]
fn every_name_is_used_once_and_explained() {
    let names = METRICS.iter().map(|m| (m.name, m.doc)).chain(SFT_METRICS.iter().map(|m| (m.name, m.doc)));
    let names: Vec<_> = names.chain(EVAL_METRICS.iter().map(|m| (m.name, m.doc))).collect();
    assert_eq!(names.iter().map(|(name, _)| name).collect::<BTreeSet<_>>().len(), names.len());
    assert!(names.iter().all(|(_, doc)| !doc.is_empty()));
}

#[test]
fn a_resumed_run_has_each_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = EventLog::create(&folder.path().join("events.sqlite")).unwrap();
    let steps = |wanted: u64| {
        let is = move |recorded: &&Recorded| matches!(&recorded.event, Event::StepTrained(t) if t.step >= wanted);
        network().events.iter().filter(is)
    };
    let mut append = |event: &Event| drop(log.append(9, event.clone(), None).unwrap());
    network()
        .events
        .iter()
        .filter(|recorded| matches!(recorded.event, Event::SftStep(_)))
        .for_each(|r| append(&r.event));
    steps(1).for_each(|recorded| append(&recorded.event));
    append(&Event::RunResumed { step: 20, predicted_memory_bytes: None });
    steps(21).for_each(|recorded| append(&recorded.event));
    let kept = events(&log).unwrap();
    let mut points = Points::default();
    let kept: Vec<Point> = kept.iter().filter_map(|recorded| points.of(&recorded.event)).collect();
    let of = |is_sft: bool| kept.iter().filter(move |p| p.is_sft == is_sft).map(|p| p.step).collect::<Vec<_>>();
    assert_eq!((of(true), of(false)), ((1..=120).collect(), (1..=24).collect()));
}

#[test]
fn what_is_not_measured_has_no_entry() {
    let text = supervised().file(run_dir::metrics_path);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().filter(|line| line.get("sft/loss").is_some()).count(), 6);
    assert!(lines.iter().all(|line| line.get("step").is_none() && line.get("loss").is_none()));
    assert_eq!(lines.iter().filter(|line| line.get("sft/eval/spell-backward/avg@1").is_some()).count(), 2);
}

/// Writes the document where `ESSAIM_WRITE_METRICS` is set.
#[test]
fn the_document_lists_every_metric_with_unit_and_formula() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let text = document();
    if std::env::var_os("ESSAIM_WRITE_METRICS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(
        written == text,
        "docs/metrics.md is out of date: ESSAIM_WRITE_METRICS=1 cargo test -p record --lib metrics"
    );
}

fn document() -> String {
    fn rows<T>(table: &[Metric<T>]) -> String {
        let row =
            |m: &Metric<T>| format!("| `{}` | {} | {} | {} |\n", m.name, m.unit, m.doc.replace('|', "\\|"), m.like);
        let head = "| name | unit | what | also in |\n|---|---|---|---|\n".to_owned();
        head + &table.iter().map(row).collect::<String>()
    }
    format!(
        "# Metrics\n\n\
         What `metrics.jsonl` and the TensorBoard file hold. This page is made from `crates/record/src/metrics/table.rs` \
         by a test. A name of TRL or prime-rl is used where the meaning is equal, and only there. What was not \
         measured has no entry: a line without `clip_ratio/low_mean` is of a loss that does not clip.\n\n\
         ## Training steps\n\n\
         *All groups*: all that passed their checks since the last step, those that are not trained on (equal rewards, \
         too old) too. *The batch*: the groups that were trained on. The two are not comparable: the batch has no \
         group whose rewards are all equal. Ratios and losses are explained in \
         [algorithms](algorithms/README.md).\n\n{}\n\
         ## Supervised steps\n\nLines with `sft/step` in place of `step`.\n\n{}\n\
         ## Evaluations\n\n\
         `{{task}}` is the task's name, `{{k}}` is `eval.samples`. Scores before a warm-up, and of a run that is \
         supervised only, stand under `sft/eval/…` with `sft/step`.\n\n{}",
        rows(METRICS),
        rows(SFT_METRICS),
        rows(EVAL_METRICS)
    )
}
