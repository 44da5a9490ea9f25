//! The page of real runs.

use super::*;
use crate::events::{Event, Recorded};
use crate::recorded::{alone, fold, network};

/// Whatever models, workers and warnings write is escaped.
#[test]
fn the_page_needs_nothing_from_outside_and_escapes_what_models_write() {
    let mut events = network().events.clone();
    for Recorded { event, .. } in &mut events {
        match event {
            Event::GroupAccepted(group) => {
                group.sample.iter_mut().for_each(|text| text.completion = "c<b>a & \"x\"".to_owned());
            }
            Event::Fined(fined) => fined.words += " <q>",
            Event::RunStarted(started) => started.name = "<u>".to_owned(),
            _ => {}
        }
    }
    let page = html(&fold(&events));
    for outside in ["http://", "https://", "<script", "src=", "url(", "@import", "<link", "<b>a", "<q>", "<u>"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("c&lt;b&gt;a &amp; &quot;x&quot;") && page.contains(" &lt;q&gt;"));
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
}

#[test]
fn the_page_says_who_was_caught_and_who_was_paid() {
    let page = html(&network().view());
    assert!(page.contains("4 of 5 liars were caught.") && page.contains("Honest parties fined: 0."));
    assert!(page.contains("Put to rest: worker 5 (withheld)"));
    assert!(page.contains("<h2>Payouts</h2>") && page.contains("Stake lost by liars: "));
    assert!(page.contains("trainer for generation"));
    if let Some(path) = std::env::var_os("ESSAIM_TEST_REPORT") {
        std::fs::write(path, page).unwrap();
    }
}

#[test]
fn what_a_run_does_not_have_is_not_shown() {
    let page = html(&alone().view());
    for absent in ["<h2>Payouts</h2>", "Who was caught", "Supervised loss", "trained on, supervised", "<h3>Workers"] {
        assert!(!page.contains(absent), "{absent}");
    }
}

#[test]
fn tags_are_closed_in_order() {
    let page = html(&network().view());
    let mut open: Vec<&str> = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().unwrap();
        if matches!(name, "!doctype" | "meta") || tag.ends_with('/') {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn a_run_that_never_began_has_a_page_too() {
    let page = html(&RunView::default());
    assert!(page.contains("not finished") && !page.contains("<svg"));
}
