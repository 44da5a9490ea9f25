//! Events as JSON, and what is counted in them.

use super::*;

#[test]
fn an_event_reads_back_from_its_json() {
    let event = Event::Waited { who: "trainer".to_owned(), on: "checks".to_owned(), seconds: 0.1 };
    let recorded = Recorded { seq: 3, at_ms: 5, event };
    let json = serde_json::to_string(&recorded).unwrap();
    assert!(json.starts_with(r#"{"seq":3,"at_ms":5,"event":"waited","who":"trainer""#), "{json}");
    assert_eq!(serde_json::from_str::<Recorded>(&json).unwrap(), recorded);
}
