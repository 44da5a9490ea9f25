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
        "\\tan ".repeat(40) + "x",
        "\\ln".repeat(2000) + "x",
        "ab^".repeat(2000) + "2",
        "(\\sin(".repeat(8) + "x" + &")+1)^{16}".repeat(8),
        "\\sqrt[11]{7}+0.5,".repeat(100) + "0.5",
    ] {
        assert!(!same(&text, "1"), "{text}");
        assert!(same(&text, &text), "{text}");
        assert!(!same(&(text.clone() + "+1"), &text), "{text}");
    }
}

fn assert_paid(cases: &[(&str, &str)], paid: bool) {
    let wrong: Vec<_> = cases.iter().filter(|(answer, given)| same(answer, given) != paid).collect();
    assert!(wrong.is_empty(), "{wrong:?} should earn {}", u8::from(paid));
}

#[test]
fn words_behind_a_number_are_left_out_only_if_they_count_or_measure() {
    assert_paid(
        &[
            ("5", "\\text{5 January}"),
            ("5", "5\\text{ wrong}"),
            ("5", "5\\text{ negative}"),
            ("5", "\\text{5 below zero}"),
            ("5", "5 \\text{ AM}"),
            ("5", "5\\text{ fewer}"),
            ("5", "5\\text{ more apples}"),
            ("5", "5\\text{ times}"),
            ("5", "5\\text{ km north}"),
            ("5", "5\\text{ steps left}"),
            ("5,5", "\\text{5 January}"),
            ("\\text{3 March}", "3"),
            ("\\text{3 March}", "\\text{3 April}"),
            ("\\text{5 east}", "\\text{5 west}"),
            ("3\\text{ boys}", "3\\text{ girls}"),
            ("5\\text{ below}", "5\\text{ above}"),
            ("5\\text{ feet wide}", "5\\text{ feet tall}"),
            ("20^\\circ\\text{C}", "20^\\circ\\text{F}"),
            ("\\$5", "5\\text{ cents}"),
            ("\\$5", "£5"),
            ("\\$5", "\\pounds 5"),
        ],
        false,
    );
    assert_paid(
        &[
            ("5", "5\\text{ apples}"),
            ("5", "5\\text{ men}"),
            ("5", "5 people"),
            ("5", "5\\text{ apples left}"),
            ("5", "5\\text{ min}"),
            ("5", "5 min"),
            ("5", "\\pounds 5"),
            ("5", "5€"),
            ("20", "20^\\circ\\text{C}"),
            ("\\text{3 March}", "3 March"),
            ("5\\text{ boys}", "5\\text{ boy}"),
            ("5\\text{ square feet}", "5\\text{ ft}^2"),
            ("5\\text{ mph}", "5\\text{ miles per hour}"),
            ("30^\\circ", "30\\text{ degrees}"),
            ("\\$5", "5\\text{ dollars}"),
            ("\\$5\\text{ per hour}", "5\\text{ dollars per hour}"),
            ("-5", "\\$-5"),
        ],
        true,
    );
}

#[test]
fn a_point_has_its_members_as_often_as_they_stand_there() {
    assert_paid(
        &[
            ("\\{5\\}", "(5,5)"),
            ("\\{2\\}", "(2,2)"),
            ("\\{1,2\\}", "(1,2,2)"),
            ("\\{1,2\\}", "(2,1,1)"),
            ("1,2", "(1,2,2)"),
            ("5,5", "(5,5)"),
            ("(5,5)", "5"),
        ],
        false,
    );
    assert_paid(&[("\\{1,2\\}", "(1,2)"), ("5", "5,5"), ("1,2", "2,1,1")], true);
}

#[test]
fn a_named_point_is_compared_by_its_names() {
    assert_paid(
        &[
            ("(x,y)=(2,3)", "(2,3)"),
            ("(x,y) = (1,-2)", "(1,-2)"),
            ("(a,b,c)=(1,2,3)", "(1,2,3)"),
            ("(x,y)=(2,3)", "x=2,y=3"),
            ("(x,y)=(2,3)", "y=3,x=2"),
            ("(x,y)=(2,3)", "(y,x)=(3,2)"),
            ("(x,y)=(2,3)", "2,3"),
            ("(x,y)=(2,3),(4,5)", "(4,5),(2,3)"),
            ("(2,3)", "(x,y)=(2,3)"),
            ("x=2,y=3", "(x,y)=(2,3)"),
            ("x=2,y=3", "(2,3)"),
            ("x=5,y=5", "(5,5)"),
            ("x_1=1,x_2=2", "2,1"),
        ],
        true,
    );
    assert_paid(
        &[
            ("(x,y)=(2,3)", "(3,2)"),
            ("(x,y)=(2,3)", "(y,x)=(2,3)"),
            ("(x,y)=(2,3)", "y=2,x=3"),
            ("(x,y)=(2,3)", "a=2,b=3"),
            ("(x,y)=(2,3)", "(a,b)=(2,3)"),
            ("x=2,y=3", "(x,y)=(3,2)"),
            ("x=2,y=3", "(3,2)"),
            ("x=2,y=3", "3,2"),
            ("x=5,y=5", "5"),
        ],
        false,
    );
}

#[test]
fn intervals_that_meet_are_one() {
    assert_paid(
        &[
            ("(1,3)\\cup(2,4)", "(1,4)"),
            ("(1,4)", "(2,4)\\cup(1,3)"),
            ("(1,2]\\cup(2,4)", "(1,4)"),
            ("(1,2)\\cup\\{2\\}", "(1,2]"),
            ("[1,2]\\cup\\{2\\}", "[1,2]"),
            ("(1,3)\\cup(2,4)\\cup(5,6)", "(5,6)\\cup(1,4)"),
            ("(-\\infty,3)\\cup(2,\\infty)", "\\mathbb{R}"),
            ("\\{1,2\\}\\cup\\{3\\}", "\\{1,2,3\\}"),
            ("(1,9)\\cup(2,4)", "(1,9)"),
        ],
        true,
    );
    assert_paid(
        &[
            ("(1,2)\\cup(2,4)", "(1,4)"),
            ("(1,3)\\cup(2,4)", "(1,4]"),
            ("(1,3)\\cup(2,4)", "(1,3)"),
            ("(4,1)\\cup(2,3)", "(4,1)"),
            ("(-\\infty,3)\\cup(2,\\infty)", "(-\\infty,3)"),
            ("(1,a)\\cup(2,4)", "(1,4)"),
        ],
        false,
    );
}

#[test]
fn powers_of_logarithms_binomials_degrees_and_turned_chains_are_worked_out() {
    assert_paid(
        &[
            ("e^{\\ln 2}", "2"),
            ("2", "\\exp(\\ln 2)"),
            ("e^{2\\ln 3+1}", "9e"),
            ("e^{-\\ln x}", "\\frac{1}{x}"),
            ("10^{\\log 5}", "5"),
            ("4^{\\log_2 3}", "9"),
            ("{5 \\choose 2}", "10"),
            ("10", "{5 \\choose 2}"),
            ("\\frac{{n \\choose 2}}{2}", "\\frac{n(n-1)}{4}"),
            ("\\sin 30^\\circ", "\\frac12"),
            ("\\cos(60°)", "0.5"),
            ("\\sin^2{45^{\\circ}}", "\\frac12"),
            ("\\tan 45^\\circ", "1"),
            ("1<x<2", "2>x>1"),
            ("a>b>c", "c<b<a"),
            ("1\\le x<2", "2>x\\ge1"),
            ("10000", "10\\text{,}000"),
        ],
        true,
    );
    assert_paid(
        &[
            ("e^{\\ln 2}", "\\ln 2"),
            ("10^{\\ln 5}", "5"),
            ("2^{\\log 5}", "5"),
            ("\\sin 30", "\\frac12"),
            ("\\sin 30^\\circ", "\\sin 30"),
            ("1<x<2", "2<x<1"),
            ("1\\le x<2", "2\\ge x>1"),
            ("a>b>c", "a>c>b"),
        ],
        false,
    );
}

#[test]
fn what_only_looks_alike_is_not_the_answer() {
    let paid = |answer: &str, given: &str| same(answer, given);
    for (answer, given) in [
        ("E", "2.718282"),
        ("no", "on"),
        ("0", "\\infty-\\infty"),
        ("1", "\\infty/\\infty"),
        ("0", "0\\cdot\\infty"),
        ("12\\text{ m}", "12,12cm,12m"),
        ("72", "72\\%,0.72"),
        ("5", "x+1=5"),
        ("5", "x^2=5"),
        ("5", "\\sqrt{x}=5"),
        ("5", "\\frac{1}{x}=5"),
        ("6:15", "12:30"),
        ("720", "3!!"),
        ("15", "5!!"),
    ] {
        assert!(!paid(answer, given), "{given} for {answer}");
    }
    for (answer, given) in [
        ("E", "\\text{(E)}"),
        ("E", "e"),
        ("no", "\\text{No}"),
        ("(-\\infty, 3]", "(-\\infty,3]"),
        ("-\\infty", "-\\infty"),
        ("1, 2", "2, 1, 1"),
        ("5", "x=5"),
        ("5", "a+b=5"),
        ("5", "a^2+b^2=5"),
        ("5", "f(x)=5"),
        ("12:30", "12:30"),
        ("10:20", "1:2"),
        ("\\text{5:30 PM}", "5:30"),
        ("5!!", "5!!"),
    ] {
        assert!(paid(answer, given), "{given} for {answer}");
    }
}
