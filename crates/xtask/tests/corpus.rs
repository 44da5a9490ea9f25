//! Every input that a fuzzer ever found worth keeping is sent through its door again.

#[allow(unreachable_pub, reason = "the same files are the library of the fuzz targets")]
#[path = "../../../fuzz/src/lib.rs"]
mod fuzz;

/// `fuzz/corpus/NAME.hex`, made by `scripts/fuzz.sh`.
fn replay(name: &str) {
    let target = fuzz::TARGETS.iter().find(|target| target.name == name).expect("a target");
    let file = format!("{}/../../fuzz/corpus/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let kept = fuzz::inputs(&text);
    assert!(kept.len() > 100, "{file} has {} inputs", kept.len());
    kept.iter().chain(&(target.seeds)()).for_each(|input| (target.run)(input));
}

#[test]
fn no_kept_input_breaks_a_decoder_of_records() {
    replay("records");
}

#[test]
fn no_kept_input_breaks_the_desk() {
    replay("desk");
}

#[test]
fn no_kept_input_breaks_a_reader_of_proofs() {
    replay("proofs");
}

#[test]
fn no_kept_input_breaks_a_ledger() {
    replay("ledger");
}

#[test]
fn no_kept_input_breaks_a_grader() {
    replay("grades");
}
