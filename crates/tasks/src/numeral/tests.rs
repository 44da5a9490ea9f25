use super::*;

fn value(text: &str) -> Option<String> {
    last(text).map(|numeral| numeral.written())
}

fn assert_values(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter(|(text, expected)| value(text).unwrap_or_else(|| "-".to_owned()) != *expected)
        .map(|(text, expected)| format!("{text:?}: {:?}, expected {expected}", value(text)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_last_number_is_read_the_way_a_person_reads_it() {
    assert_values(&[
        ("so 3 apples and 1,234 pears.", "1234"),
        ("#### -7", "-7"),
        ("$1,000.50.", "2001/2"),
        ("0042", "42"),
        ("42.00", "42"),
        ("-0.0", "0"),
        ("12,", "12"),
        ("€7€", "7"),
        (".5", "1/2"),
        ("5.", "5"),
        ("none", "-"),
        ("", "-"),
        ("It is 5! Great.", "5"),
        ("12 apples", "12"),
        ("twelve (12)", "12"),
        ("(see 3)", "3"),
        ("**Answer:** **42**", "42"),
        ("Answer: 42\n\nHope that helps!", "42"),
        ("<answer>42</answer>", "42"),
        ("1) 5", "5"),
        ("(B) 5", "5"),
        ("答案是72。", "72"),
        ("| a | 5 |", "5"),
    ]);
}

#[test]
fn signs_belong_to_a_number_where_they_can_be_nothing_else() {
    assert_values(&[
        ("The answer is −7.", "-7"),
        ("The answer is –7.", "-7"),
        ("He lost -$5", "-5"),
        ("$-5", "-5"),
        ("$-5$", "-5"),
        ("-\\$5", "-5"),
        ("-USD 5", "-5"),
        ("-EUR 5", "-5"),
        ("-Rs. 5", "-5"),
        ("Rs. 5", "5"),
        ("it costs USD 5", "5"),
        ("USD -5", "-5"),
        ("negative USD 5", "-5"),
        ("minus Rs. 5", "-5"),
        ("-\\text{USD }5", "-5"),
        ("&minus;5", "-5"),
        ("5 choose 2", "-"),
        ("+5", "5"),
        ("x = -3", "-3"),
        ("x = - 3", "-3"),
        ("\\(-3\\)", "-3"),
        ("(-3)", "-3"),
        ("-(3)", "-3"),
        ("negative 5", "-5"),
        ("it is minus 5", "-5"),
        ("-\\mathbf{5}", "-5"),
        ("5-3", "-"),
        ("x = 5 - 3", "-"),
        ("x - 3", "-"),
        ("5 minus 3", "-"),
        ("- 7", "-"),
        ("5 apples + 3", "-"),
        ("x = + 3", "3"),
        ("Answer - 7", "-"),
        ("--5", "-"),
        ("±5", "-"),
        ("COVID-19", "-"),
        ("10-12 apples", "-"),
        ("負5", "-"),
    ]);
}

#[test]
fn a_sign_outside_what_is_only_for_looks_belongs_to_the_number() {
    assert_values(&[
        ("-\\boxed{5}", "-5"),
        ("-\\fbox{\\$5}", "-5"),
        ("x = -\\boxed{5}", "-5"),
        ("x = - \\boxed{5}", "-5"),
        ("It is $-\\boxed{5}$", "-5"),
        ("-$\\boxed{5}$", "-5"),
        ("-(\\boxed{5})", "-5"),
        ("-\\(5\\)", "-5"),
        ("-$$5$$", "-5"),
        ("-`5`", "-5"),
        ("-\"5\"", "-5"),
        ("-<b>5</b>", "-5"),
        ("-\\text{5}", "-5"),
        ("-**5**", "-5"),
        ("-_5_", "-5"),
        ("-\\,5", "-5"),
        ("-{5}", "-5"),
        ("negative \\boxed{5}", "-5"),
        ("minus \\(5\\)", "-5"),
        ("\\(10\\) minus \\(5\\)", "-"),
        ("square root of \\boxed{5}", "-"),
        ("10-\\boxed{5}", "-"),
        ("\\(x\\) -\\(5\\)", "-"),
        ("3 + \\boxed{5}", "-"),
        ("- \\boxed{5}", "-"),
        ("- Answer: \\boxed{5}", "5"),
        ("\\Large\\boxed{5}", "5"),
        ("for x > 3, \\boxed{5}", "5"),
    ]);
}

#[test]
fn comparisons_are_no_numbers_and_tags_are_no_comparisons() {
    for text in [
        "x >= 5",
        "x>=5",
        ">= 5",
        "<= 5",
        "x <= 5",
        "x =< 5",
        "x > = 5",
        "x != 5",
        "x!=5",
        "x =/= 5",
        "x /= 5",
        "x => 5",
        "x \\not= 5",
        "x \\not = 5",
        "&gt; 5",
        "x &lt; 5",
        "x &ge; 5",
        "x ≥ 5",
        "x \\ge 5",
        "5 <= x",
        "5 != x",
        "x > \\boxed{5}",
        "x \\ge \\(5\\)",
        "x<y, y>5",
        "x<y>5",
        "3<x and y>5",
        "5 < x",
        "x<5>",
    ] {
        assert_eq!(value(text), None, "{text}");
    }
    for text in [
        "5<|im_end|>",
        "5<|eot_id|><|endoftext|>",
        "5<｜end▁of▁sentence｜>",
        "5</s>",
        "5<eos>",
        "<b>5</b>",
        "5<br/>",
        "5<br />",
        "<span style=\"color:red\">5</span>",
        "&lt;b&gt;5&lt;/b&gt;",
        "so => 5",
        "3+2=5 <=> 5",
        "x == 5",
    ] {
        assert_eq!(value(text).as_deref(), Some("5"), "{text}");
    }
    assert_values(&[("5!=120", "120"), ("10\\text{,}000", "10000")]);
}

#[test]
fn fractions_powers_and_exponents_are_one_number() {
    assert_values(&[
        ("1/2", "1/2"),
        ("1 1/2", "3/2"),
        ("-1 1/2", "-3/2"),
        ("1½", "3/2"),
        ("½", "1/2"),
        ("6/2", "3"),
        ("\\frac{3}{4}", "3/4"),
        ("-\\frac{3}{4}", "-3/4"),
        ("\\frac{-3}{4}", "-3/4"),
        ("\\dfrac12", "1/2"),
        ("$\\tfrac{1}{2}$", "1/2"),
        ("2\\frac{1}{2}", "5/2"),
        ("2^{10}", "1024"),
        ("10^7", "10000000"),
        ("10**7", "10000000"),
        ("10⁷", "10000000"),
        ("10^{-3}", "1/1000"),
        ("-2^2", "-4"),
        ("1.5e3", "1500"),
        ("1E-3", "1/1000"),
        ("1.5×10^3", "1500"),
        ("1.5 x 10^3", "1500"),
        ("1.5 \\times 10^{3}", "1500"),
        ("1.5 \\cdot 10^{-3}", "3/2000"),
        ("5/0", "-"),
        ("1/2/3", "-"),
        ("x/3", "-"),
        ("5 and 1/2", "-"),
        ("2 × 3", "-"),
        ("2*3", "-"),
        ("\\sqrt{5}", "-"),
        ("\\sqrt 5", "-"),
        ("sqrt(5)", "-"),
        ("f(5)", "-"),
        ("square root of 5", "-"),
        ("half of 10", "-"),
        ("2^x", "-"),
        ("101_2", "-"),
        ("5x", "-"),
        ("x5", "-"),
        ("5\\pi", "-"),
        ("5 pi", "-"),
        ("$5!$", "-"),
        ("|-5|", "-"),
        ("5.0e", "-"),
        ("0.333...", "-"),
        ("0.\\overline{3}", "-"),
        ("1e999999999", "-"),
        ("9^999999999", "-"),
    ]);
}

#[test]
fn marks_of_thousands_and_decimals_are_read_where_they_have_one_reading() {
    assert_values(&[
        ("It is 1 000 000", "1000000"),
        ("It is 1\u{a0}000\u{202f}000", "1000000"),
        ("1,000,000", "1000000"),
        ("1{,}000", "1000"),
        ("1\\,000", "1000"),
        ("10,\\!080", "10080"),
        ("1'000", "1000"),
        ("1_000", "1000"),
        ("1.234,56", "30864/25"),
        ("Es ist 3,5", "7/2"),
        ("７２", "72"),
        ("٧٢", "72"),
        ("(3,5)", "-"),
        ("(3, 5)", "-"),
        ("f(x) = (3; 5)", "-"),
        ("\\{3, 5\\}", "-"),
        ("[3, 5]", "-"),
        ("3, 5", "5"),
        ("(first 3, then 5)", "5"),
        ("1.2.3", "-"),
        ("12:30", "-"),
        ("3 : 2", "-"),
        ("2024-05-06", "-"),
        ("1 2", "-"),
        ("Ⅳ", "-"),
    ]);
}

#[test]
fn units_stay_out_and_words_that_multiply_do_not() {
    assert_values(&[
        ("72%", "72%"),
        ("72\\%", "72%"),
        ("72 percent", "72%"),
        ("72 per cent", "72%"),
        ("5cm", "5"),
        ("42 m^2", "42"),
        ("42 m2", "42"),
        ("42 m²", "42"),
        ("42 km/h", "42"),
        ("72\\text{ cm}^2", "72"),
        ("72\\,\\mathrm{cm}", "72"),
        ("90^\\circ", "90"),
        ("90°", "90"),
        ("20 °C", "20"),
        ("$72.00$", "72"),
        ("$72$ dollars", "72"),
        ("\\$72", "72"),
        ("USD 72", "72"),
        ("US$72", "72"),
        ("Rs.72", "72"),
        ("72 €", "72"),
        ("\\text{72}", "72"),
        ("Answer: \\boxed{1,000}", "1000"),
        ("\\boxed 72", "72"),
        ("\\left(72\\right)", "72"),
        ("5th", "5"),
        ("a 7-day week", "7"),
        ("5 million dollars", "5000000"),
        ("5 dozen", "-"),
        ("£5m", "-"),
        ("£5 m", "-"),
        ("$5 million", "5000000"),
        ("5 million million", "5000000000000"),
        ("1 million million million million million million million", "-"),
        ("5 thirds", "-"),
        ("5 and a half", "-"),
        ("5 squared", "-"),
        ("5k", "-"),
        ("5万", "-"),
        ("H2O", "-"),
        ("5+", "-"),
        ("5 a day", "5"),
        ("x > 5", "-"),
    ]);
}

#[test]
fn an_answer_column_must_be_one_number_and_nothing_else() {
    for text in ["5", " 1/2 ", "$5$", "x = 5", "-7 apples", "5 square metres", "72%", "\\boxed{5}", "**5**", "5."] {
        assert!(whole(text).is_some(), "{text}");
    }
    for text in [
        "3 or 4",
        "about 5",
        "5 or more",
        "3, 4",
        "3 4",
        "5!",
        "≈ 5",
        "yes 5",
        "x > 5",
        "5-3",
        "five",
        "",
        "10 = 5 + 5",
    ] {
        assert!(whole(text).is_none(), "{text}");
    }
}

#[test]
fn numbers_are_compared_by_value() {
    let equal = |left: &str, right: &str| last(left).unwrap().equals(&last(right).unwrap());
    for (left, right) in [
        ("1/2", "0.5"),
        ("50%", "0.5"),
        ("72%", "72"),
        ("5.5%", "5.5"),
        ("1/3", "0.333333"),
        ("0.30000000000000004", "0.3"),
        ("3.141593", "3.1415926"),
    ] {
        assert!(equal(left, right) && equal(right, left), "{left} {right}");
    }
    for (left, right) in [("1/3", "0.333"), ("2", "2.0000001"), ("1e-7", "2e-7"), ("0", "0.0000001"), ("0.5%", "0.5")] {
        assert!(!equal(left, right) && !equal(right, left), "{left} {right}");
    }
}
