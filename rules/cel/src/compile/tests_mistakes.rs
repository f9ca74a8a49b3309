use super::render::compile_with;
use super::*;
use crate::limits::CRITERIA_ERRORS_MAX;

/// Line and column, from 1, and message of each mistake.
fn mistakes(source: &str) -> Vec<String> {
    let (Err(mistakes), _) = compile_with(source, None) else { panic!("{source} compiles") };
    let place = |m: Mistake| {
        let before: String = source.chars().take(m.offset).collect();
        let column = before.chars().rev().take_while(|c| *c != '\n').count();
        format!("{}:{}: {}", before.matches('\n').count() + 1, column + 1, m.message)
    };
    mistakes.into_iter().map(place).collect()
}

#[test]
fn mistakes_are_located_and_suggest_a_fix() {
    let cases: &[(&str, &[&str])] = &[
        ("triger.a == 1", &["1:1: unknown variable `triger`; did you mean `trigger`?"]),
        (
            "trigger.a == 1 &&\n  event.b",
            &["2:3: unknown variable `event`; there are `trigger`, `now`, `kv`, `x.y`, `x.y.z`"],
        ),
        (
            "'é' == trigger.a && foo",
            &["1:21: unknown variable `foo`; there are `trigger`, `now`, `kv`, `x.y`, `x.y.z`"],
        ),
        (".foo.bar == 1", &["1:2: unknown variable `foo`; there are `trigger`, `now`, `kv`, `x.y`, `x.y.z`"]),
        ("x == 1", &["1:1: unknown variable `x`; there are `trigger`, `now`, `kv`, `x.y`, `x.y.z`"]),
        ("trigger.list.all(i, i.x == j)", &["1:28: unknown variable `j`; did you mean `i`?"]),
        (
            "trigger.list.all(i, true) && i",
            &["1:30: unknown variable `i`; there are `trigger`, `now`, `kv`, `x.y`, `x.y.z`"],
        ),
        ("frobnicate(trigger.a)", &["1:11: unknown function `frobnicate`"]),
        (
            "frobnicate(foo) || nwo",
            &["1:11: unknown function `frobnicate`", "1:20: unknown variable `nwo`; did you mean `now`?"],
        ),
        ("trigger.a.exist(x, x > 1)", &["1:16: unknown function `exist`; did you mean `exists`?"]),
        ("trigger.a.matches('(')", &["1:18: invalid regular expression: error: unclosed group"]),
        ("trigger.a.exists(x)", &["1:17: `exists` is not used like this: write `list.exists(x, condition)`"]),
        (
            "trigger.a.exists(x.y, true)",
            &["1:19: `exists` takes the name of a variable here: write `list.exists(x, condition)`"],
        ),
        (
            "trigger.a.exists('x', true)",
            &["1:18: `exists` takes the name of a variable here: write `list.exists(x, condition)`"],
        ),
        (
            "trigger.a.exists(.x, true)",
            &["1:19: `exists` takes the name of a variable here: write `list.exists(x, condition)`"],
        ),
        ("trigger.a.all(x, x, true)", &["1:18: both variables are called `x`"]),
        (
            "cel.bind(1, 2, 3)",
            &["1:10: `cel.bind` takes the name of a variable here: write `cel.bind(x, value, result)`"],
        ),
        ("cel.bind(x, 2)", &["1:9: `cel.bind` is not used like this: write `cel.bind(x, value, result)`"]),
        ("has(trigger)", &["1:4: `has` takes a field: write `has(x.field)`"]),
        ("has(trigger['a'])", &["1:4: `has` takes a field: write `has(x.field)`"]),
        ("has(trigger.a, trigger.b)", &["1:4: `has` is not used like this: write `has(x.field)`"]),
        ("foo.Bar{a: 1}.a == 1", &["1:8: messages are not supported"]),
        ("cel.index(0) == 1", &["1:10: this variable of a `cel.block` is not there"]),
        ("exists == 1", &["1:1: `exists` is a function and no variable"]),
        ("trigger.a.startswith('x')", &["1:21: unknown function `startswith`; did you mean `startsWith`?"]),
        ("size(trigger.a, 1) == 1", &["1:5: `size` takes 1 argument, not 2"]),
        ("trigger.a.getHours('UTC', 1)", &["1:19: `getHours` of a value takes 0 or 1 arguments, not 2"]),
        ("trigger.a.int() == 1", &["1:14: `int` is not called on a value: write `int(x)`"]),
        ("contains(trigger.a, 'x')", &["1:9: `contains` is called on a value: write `x.contains(…)`"]),
        ("size == 1", &["1:1: `size` is a function and no variable"]),
        ("__(1)", &["1:3: unknown function `__`"]),
        ("", &["1:1: the expression is empty"]),
        (" \n ", &["1:1: the expression is empty"]),
    ];
    for (source, expected) in cases {
        assert_eq!(mistakes(source), *expected, "{source}");
    }
}

#[test]
fn mistakes_of_syntax_are_in_plain_words() {
    let cases = [
        ("trigger.a ==", "1:13: syntax error: unexpected end of the expression"),
        ("trigger.a = 1", "1:11: syntax error: unexpected '= '"),
        ("(trigger.a", "1:11: syntax error: missing ')' at end of the expression"),
        ("trigger..a", "1:9: syntax error: unexpected '..'"),
        ("'open", "1:1: syntax error: unexpected ''open'"),
        ("a b", "1:3: syntax error: unexpected 'b'"),
        ("`a`", "1:1: syntax error: unexpected '`a`'"),
        ("9223372036854775808", "1:1: syntax error: invalid int literal"),
        ("1e999", "1:1: syntax error: invalid double literal"),
        ("trigger.a.while(1)", ""),
        ("while", "1:1: syntax error: reserved identifier: while"),
        ("'\\q'", "1:1: syntax error: unexpected ''\\q'"),
        ("trigger.a == 'é' ===", "1:20: syntax error: unexpected '='"),
    ];
    for (source, expected) in cases {
        let found = mistakes(source);
        assert!(found[0].starts_with("1:"), "{source}: {found:?}");
        assert!(!found[0].contains('{') && found.len() <= CRITERIA_ERRORS_MAX, "{source}: {found:?}");
        if !expected.is_empty() {
            assert_eq!(found[0], expected, "{source}");
        }
    }
}

#[test]
fn mistakes_are_few() {
    let source = ["unknown"; 20].join(" && ");
    assert_eq!(mistakes(&source).len(), CRITERIA_ERRORS_MAX);
}

#[test]
fn there_may_be_no_variables() {
    let parsed = on_parser_thread(|| parse("x + 1")).unwrap();
    let found = parsed.compile(Names { event: None, vars: &[] }, &mut Paths::new(), None).unwrap_err();
    assert_eq!(found[0].message, "unknown variable `x`");
}

#[test]
fn namespaces_suggest() {
    assert_eq!(mistakes("math.graetest(1)"), ["1:14: unknown function `math.graetest`; did you mean `math.greatest`?"]);
    assert_eq!(mistakes("math.pi"), ["1:1: unknown variable `math`; there are `trigger`, `now`, `kv`, `x.y`, `x.y.z`"]);
    assert_eq!(mistakes("optional.of()"), ["1:12: `optional.of` takes 1 argument, not 0"]);
}

#[test]
fn a_variable_can_be_written_as_a_call_without_arguments() {
    let names = Names { event: None, vars: &["status", "succeeded()"] };
    let compiled = |source: &str| {
        let parsed = on_parser_thread(|| parse(source)).unwrap();
        parsed.compile(names, &mut Paths::new(), None).map(|compiled| format!("{:?}", compiled.expr))
    };
    assert_eq!(compiled("succeeded()").unwrap(), "Var(1)");
    assert!(compiled("succeeded(1)").is_err() && compiled("succeeded").is_err() && compiled("status()").is_err());
}
