//! Templates that would never end, take all memory or overflow the stack are faults with a name.

use jinja::{Fault, MEMORY_BYTES_MAX, OUTPUT_BYTES_MAX, STEPS_MAX, Template, Value};
use proptest::prelude::*;

fn fault(source: &str) -> Fault {
    let messages = Value::list(vec![Value::text("hi")]).unwrap();
    match Template::parse(source).and_then(|template| template.render(&[("messages".into(), messages)], None)) {
        Err(error) => error.fault,
        Ok(rendered) => panic!("{source} gave {:?}", rendered.text.chars().take(80).collect::<String>()),
    }
}

#[test]
fn work_without_end_stops_at_a_limit() {
    for source in [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% set x = ('a ' * 10**6).split() %}{% for i in range(1000) %}{{ x|sort|length }}{% endfor %}",
        "{% for i in range(100000) %}{% for j in range(10000) %}{% set x = 'a' in ('b' * 30000) %}{% endfor %}{% endfor %}",
    ] {
        let fault = fault(source);
        let named = matches!(fault, Fault::Steps { limit: STEPS_MAX } | Fault::Memory { limit: MEMORY_BYTES_MAX });
        assert!(named, "{source}: {fault:?}");
    }
}

#[test]
fn output_without_end_stops_at_a_limit() {
    let endless = "{% for a in range(100000) %}{% for b in range(100000) %}0123456789{% endfor %}{% endfor %}";
    let large = "{% set big = 'x' * 10000000 %}{% for i in range(100000) %}{{ big }}{% endfor %}";
    for source in [endless, large] {
        assert_eq!(fault(source), Fault::Output { limit: OUTPUT_BYTES_MAX }, "{source}");
    }
}

#[test]
fn memory_is_counted_before_it_is_taken() {
    for source in [
        "{{ 'x' * 10**9 }}",
        "{{ 'x' * 10**12 }}",
        "{{ [0] * 10**9 }}",
        "{{ ('x' * 10**7) * 10**7 }}",
        "{% set ns = namespace(a='x') %}{% for i in range(100) %}{% set ns.a = ns.a ~ ns.a %}{% endfor %}",
        "{% set ns = namespace(a='x') %}{% for i in range(100) %}{% set ns.a = ns.a + ns.a %}{% endfor %}",
        "{% set ns = namespace(a=[]) %}{% for i in range(100) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%.1000000000f' % 1.5 }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ 'x'.center(10**10) }}",
        "{{ 'x'.zfill(10**12) }}",
        "{{ 'x'|indent(10**10, true) }}",
        "{{ [1]|tojson(indent=10**10) }}",
        "{{ 'xxxx'.replace('', 'y' * 10**7) }}",
        "{{ ('x' * 10**6).replace('x', 'y' * 10**6) }}",
        "{{ ('y' * 10**6).join('x' * 10**6) }}",
        "{{ [1]|batch(10**12, 'x')|list }}",
        "{{ [1]|slice(10**12, 'x')|list }}",
        "{% set big = ['x' * 1000000] * 10000 %}{{ big|tojson }}",
    ] {
        assert!(matches!(fault(source), Fault::Memory { .. }), "{source}: {:?}", fault(source));
    }
}

#[test]
fn depth_is_bounded_in_source_calls_and_values() {
    let nested = [
        "{{ ".to_owned() + &"(".repeat(10_000) + "1" + &")".repeat(10_000) + " }}",
        "{% if 1 %}".repeat(5000),
        "{{ ".to_owned() + &"-".repeat(10_000) + "1 }}",
        "{{ ".to_owned() + &"not ".repeat(10_000) + "1 }}",
        "{{ 1".to_owned() + &" + 1".repeat(10_000) + " }}",
        "{{ 1".to_owned() + &" if 1 else 1".repeat(10_000) + " }}",
        "{{ a".to_owned() + &".a".repeat(10_000) + " }}",
        "{{ a".to_owned() + &"|trim".repeat(10_000) + " }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        "{% for x in [1] recursive %}{{ loop([x]) }}{% endfor %}".to_owned(),
        "{% set ns = namespace(a=[]) %}{% for i in range(1000) %}{% set ns.a = [ns.a] %}{% endfor %}".to_owned(),
    ];
    for source in nested {
        let head: String = source.chars().take(60).collect();
        assert!(matches!(fault(&source), Fault::Depth { .. }), "{head}: {:?}", fault(&source));
    }
}

#[test]
fn numbers_at_the_ends_of_their_range_are_faults_and_no_panics() {
    for source in [
        "{{ 9223372036854775807 + 1 }}",
        "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ (-9223372036854775807 - 1) % -1 }}",
        "{{ (-9223372036854775807 - 1)|abs }}",
        "{{ -(-9223372036854775807 - 1) }}",
        "{{ 2 ** 10**9 }}",
        "{{ 10.0 ** 400 }}",
        "{{ (-8) ** 0.5 }}",
        "{{ range(-9223372036854775807, 9223372036854775807)|list }}",
        "{{ 1 / 0 }}{{ 1 % 0 }}{{ 1.0 // 0 }}",
        "{{ 1e300|int }}",
    ] {
        fault(source);
    }
}

#[test]
fn a_template_sees_no_clock() {
    assert_eq!(fault("{{ strftime_now('%Y') }}"), Fault::NoDate);
}

#[test]
fn a_fault_names_its_line() {
    let error = Template::parse("a\nb {{ 1 +\n }}").unwrap_err();
    assert_eq!(error.line, 3);
    let error = Template::parse("a\n\n{% set x = 1 %}\n{{ x.y.z }}").unwrap().render(&[], None).unwrap_err();
    assert_eq!((error.line, error.to_string().as_str()), (4, "line 4: 'int object' has no attribute 'y'"));
}

/// Pieces of templates, put together at random.
const PIECES: [&str; 60] = [
    "{{ ",
    " }}",
    "{% ",
    " %}",
    "{%- ",
    " -%}",
    "{# ",
    " #}",
    "if ",
    "endif",
    "else",
    "for x in ",
    "endfor",
    "set x = ",
    "endset",
    "macro m(a, b=1)",
    "endmacro",
    "call m()",
    "endcall",
    "raw",
    "endraw",
    "x",
    "loop",
    "messages",
    "m(",
    ")",
    "(",
    "[",
    "]",
    "{",
    "}",
    ":",
    ",",
    ".",
    "|",
    "|list",
    "|tojson",
    "|join",
    " is ",
    "defined",
    "not ",
    "and ",
    "1",
    "2.5",
    "'a'",
    "\"b",
    "-1",
    " + ",
    " * ",
    " % ",
    " ~ ",
    "==",
    "[::-1]",
    "[0]",
    ".items()",
    "namespace(",
    "=",
    "\n",
    "é狐",
    "range(3)",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_engine_panic(picks in prop::collection::vec(0..PIECES.len(), 0..40)) {
        let source: String = picks.into_iter().map(|pick| PIECES[pick]).collect();
        let messages = Value::list(vec![Value::text("hi"), Value::Int(1)]).unwrap();
        if let Ok(template) = Template::parse(&source) {
            let _ = template.render(&[("messages".into(), messages)], "2024-02-29".parse().ok());
        }
    }

    #[test]
    fn no_expression_makes_the_engine_panic(picks in prop::collection::vec(20..PIECES.len(), 0..14)) {
        let inner: String = picks.into_iter().map(|pick| PIECES[pick]).collect();
        for source in [format!("{{{{ {inner} }}}}"), format!("{{% for x in {inner} %}}{{{{ x }}}}{{{{ loop.last }}}}{{% endfor %}}")] {
            if let Ok(template) = Template::parse(&source) {
                let messages = Value::list(vec![Value::text("hi"), Value::Float(1.5)]).unwrap();
                let _ = template.render(&[("messages".into(), messages)], None);
            }
        }
    }
}

#[test]
fn what_is_not_followed_is_called_that_and_python_is_not_blamed() {
    let said = |source: &str| fault(source).to_string();
    assert_eq!(said("{{ 'a\\tb'.expandtabs(4) }}"), "the method expandtabs of a text is not supported");
    assert_eq!(said("{{ 'a'.encode('utf-8') }}"), "the method encode of a text is not supported");
    assert_eq!(said("{{ 'É'.swapcase() }}"), "swapcase of characters beyond ASCII is not supported");
    assert_eq!(said("{{ [1, 2].index(2, 1) }}"), "the start of index in a list is not supported");
    assert_eq!(said("{{ namespace(a=1) }}"), "printing an object is not supported");
    assert_eq!(said("{{ 'a'.upper }}"), "printing a method is not supported");
    assert_eq!(said("{{ 'a'.upper(1) }}"), "upper takes 0 arguments at most, 1 given");
    assert_eq!(said("{{ '%c' % 1114112 }}"), "%c arg not in range(0x110000)");
    assert_eq!(said("{{ '%c' % 'ab' }}"), "%c requires int or char");
}

#[test]
fn a_number_is_the_character_of_that_code() {
    let text = Template::parse("{{ '%c%c|%3c' % (65, 'b', 8364) }}").unwrap().render(&[], None).unwrap().text;
    assert_eq!(text, "Ab|  €");
}
