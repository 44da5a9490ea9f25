use super::*;

#[test]
fn work_is_bounded_whatever_the_answer() {
    let deep = "(".repeat(900) + "1" + &")".repeat(900);
    let sum = (0..200).map(|n| format!("x_{{{n}}}")).collect::<Vec<_>>().join("+");
    for text in [
        deep,
        format!("({sum})({sum})({sum})"),
        "9^".repeat(300) + "9",
        "(x+y+z+w)^{16}".repeat(8),
        "9".repeat(2000),
        "1e999999999".to_owned(),
        "\\frac".repeat(300),
        "\\text{".repeat(200),
        "\\boxed{".repeat(200),
        "|".repeat(500),
        "170!!!".to_owned(),
        "\\sqrt[64]{18446744073709551557}".to_owned(),
        "1,".repeat(500),
        "{".repeat(1000),
    ] {
        assert!(!same(&text, "1"), "{text}");
        assert!(same(&text, &text), "{text}");
        assert!(!same(&(text.clone() + "+1"), &text), "{text}");
    }
}
