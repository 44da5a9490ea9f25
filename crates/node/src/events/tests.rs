//! Events as JSON, and what is counted in them.

use super::*;

#[test]
fn an_event_reads_back_from_its_json() {
    let recorded = Recorded {
        seq: 3,
        at_ms: 5,
        event: Event::StepTrained(Box::new(StepTrained {
            step: 1,
            version: 1,
            metrics: StepMetrics { loss: -0.25, ..StepMetrics::default() },
            leases: vec![1, 2],
        })),
    };
    let json = serde_json::to_string(&recorded).unwrap();
    assert!(json.starts_with(r#"{"seq":3,"at_ms":5,"event":"step_trained","step":1"#), "{json}");
    assert_eq!(serde_json::from_str::<Recorded>(&json).unwrap(), recorded);
}

#[test]
fn metrics_from_an_older_log_miss_no_field() {
    let json = r#"{"seq":1,"at_ms":2,"event":"step_trained","step":4,"version":4,"metrics":{"loss":1.5}}"#;
    let recorded: Recorded = serde_json::from_str(json).unwrap();
    let Event::StepTrained(step) = recorded.event else {
        panic!("wrong event");
    };
    assert_eq!((step.metrics.loss, step.metrics.entropy), (1.5, 0.0));
}

#[test]
fn spread_is_worked_by_hand() {
    // 1, 3: mean 2, squared distances 1 and 1, so the standard deviation is 1.
    let spread = Spread::of([1.0, 3.0]);
    assert_eq!((spread.mean, spread.std, spread.min, spread.max), (2.0, 1.0, 1.0, 3.0));
    assert_eq!(Spread::of([]), Spread::default());
}
