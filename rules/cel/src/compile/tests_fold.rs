#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use super::render::{NAMES, compile_with, compiled};
use super::*;
use crate::arena::Arena;
use crate::eval::Cx;
use crate::slot::Slot;
use crate::value::{Map, Value};

fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(compiled(source), *expected, "{source}");
    }
}

#[test]
fn what_has_a_value_is_replaced_by_it() {
    check(&[
        ("1 + 2 * 3", "7"),
        ("-(9223372036854775807) - 1", "-9223372036854775808"),
        ("'a' + 'b' == 'ab'", "true"),
        ("1 == 1.0 && [1] == [1.0]", "true"),
        ("trigger.a == 'x' + 'y'", r#"(== $a "xy")"#),
        ("trigger.a in ['a', 'b' + 'c']", r#"(in $a ["a" "bc"])"#),
        ("[1, 2][0]", "1"),
        ("{'a': {'b': 2}}.a.b", "2"),
        ("{'a': 1}['a'] in [1]", "true"),
        ("has({'a': 1}.b)", "false"),
        ("!(1 > 2)", "true"),
        ("1 > 2 ? trigger.a : trigger.b", "$b"),
        ("trigger.a == (true ? 1 : 2)", "(== $a 1)"),
        ("[1, 2, 3].exists(x, x > 2)", "true"),
        ("[1, 2, 3].map(x, x * 2)", "[2 4 6]"),
        ("[1, 2].map(x, [3].map(y, x + y))", "[[4] [5]]"),
        ("[3, 1, 2].sortBy(x, -x)", "[3 2 1]"),
        ("trigger.a in [1, 2, 3, 4, 5, 6, 7, 8].map(x, 2 * x)", "(in $a {2 4 6 8 10 12 14 16})"),
        ("cel.bind(x, 2, x * x)", "4"),
        ("cel.block([1, cel.index(0) + 1], cel.index(1))", "2"),
        ("'abc'.matches('^a')", "true"),
        ("5 in [1, 2, 3, 4, 5, 6, 7, 8]", "true"),
        ("size('aé')", "2"),
        ("int('12') + [1, 2].size()", "14"),
        ("type(1) == int", "true"),
        ("trigger.a < timestamp('1970-01-01T00:00:01Z')", "(< $a Timestamp(Timestamp { seconds: 1, nanos: 0 }))"),
        ("trigger.a.matches('a' + 'b')", "(matches $a /ab/)"),
        ("dyn(1) == 1", "true"),
        ("{1: 'a', 'b': 2} == {'b': 2.0, 1u: 'a'}", "true"),
        ("trigger.a in [8, 7u, 6.0, 5, 'a', true, 1, 7]", r#"(in $a {true 1 5 6.0 7u 8 "a"})"#),
    ]);
}

#[test]
fn what_fails_stays_because_it_may_be_absorbed() {
    check(&[
        ("1 / 0 == 1 || trigger.a == 1", "(|| (== (/ 1 0) 1) (== $a 1))"),
        ("[1][1] == 1", "(== ([] [1] 1) 1)"),
        ("{'a': 1, 'a': 2}", r#"(map "a":1 "a":2)"#),
        ("1 + 'a' == 2", r#"(== (+ 1 "a") 2)"#),
        ("9223372036854775807 + 1 == 0", "(== (+ 9223372036854775807 1) 0)"),
        ("[1].map(x, x / 0)", "(Map [1] to (/ local0 0))"),
        ("duration('1d') == trigger.a", r#"(== (duration "1d") $a)"#),
        ("size(1) == 1", "(== (size 1) 1)"),
        ("1 / 0 == 1 || true", "true"),
    ]);
}

#[test]
fn what_reads_something_stays() {
    check(&[
        ("[1, 2].exists(x, x == trigger.a)", "(Exists [1 2] if (== local0 $a))"),
        ("trigger.l.exists(x, [1, 2].exists(y, y == x))", "(Exists $l if (Exists [1 2] if (== local1 local0)))"),
        // Its own variables only, but inside of another macro they have other places.
        ("trigger.l.exists(x, [1].exists(y, y == 1))", "(Exists $l if (Exists [1] if (== local1 1)))"),
        ("cel.bind(x, trigger.a, 1)", "(bind $a 1)"),
        ("trigger.a.contains('x')", r#"(contains $a "x")"#),
        ("trigger.a.matches(trigger.b)", "(matches $a $b)"),
        ("[1].map(x, kv)", "(Map [1] to var1)"),
    ]);
}

/// A constant that is small to write and large to hold stays as it was written.
#[test]
fn large_values_are_not_kept() {
    let list = format!("[{}]", vec!["1"; 500].join(","));
    let source = format!("{list}.map(x, {list})");
    assert!(compiled(&source).starts_with("(Map "), "{}", &compiled(&source)[..40]);
    let doubled = "'0123456789abcdef'".to_owned() + &" + '0123456789abcdef'".repeat(100);
    assert!(compiled(&doubled).starts_with('"'));
}

/// Folding tries a macro only so often: each may cost a whole budget.
#[test]
fn folding_ends() {
    let started = std::time::Instant::now();
    let list = format!("[{}]", vec!["1"; 200].join(","));
    let slow = format!("cel.bind(l, {list}, l.all(a, l.all(b, l.all(c, l.all(d, true)))))");
    let source = [slow.as_str(); 9].join(" || ");
    assert!(source.len() < crate::limits::CRITERIA_BYTES_MAX);
    assert!(compiled(&source).starts_with("(|| (bind"));
    assert!(started.elapsed().as_secs() < 10, "took {:?}", started.elapsed());
}

/// What stands at the paths of an event, and the optional value that follows.
#[test]
fn optional_paths() {
    let map = |entries| Slot::Value(Value::Map(Map::Values(entries)));
    let one = Slot::Value(Value::Int(1));
    let text = Slot::Value(Value::String("x"));
    let (none, object) = (Slot::Absent, Slot::Object);
    // The slots of `$`, `$a`, `$a.b`, `$a.b.c`.
    let cases = [
        ("trigger.a.?b.c", [object, object, object, one], "some 1"),
        ("trigger.a.?b.c", [object, object, object, none], "none"),
        ("trigger.a.?b.c", [object, object, none, none], "none"),
        ("trigger.a.?b.c", [object, object, text, none], ".? does not take string"),
        ("trigger.a.?b.c", [object, text, none, none], ".? does not take string"),
        ("trigger.a.?b.c", [object, none, none, none], "no such field: a"),
        ("trigger.?a.b.c", [object, none, none, none], "none"),
        ("trigger.?a.b.c", [map(&[]), none, none, none], "none"),
        ("trigger.?a.b.c", [text, none, none, none], ".? does not take string"),
        ("trigger.a.b.?c", [object, object, none, none], "no such field: b"),
        ("trigger.a.b.?c", [object, text, none, none], ". does not take string"),
    ];
    for (source, slots, expected) in cases {
        let mut paths = Paths::new();
        let parsed = on_parser_thread(|| parse(source)).unwrap();
        let expr = parsed.compile(NAMES, &mut paths, None).unwrap().expr;
        let arena = Arena::new();
        let found = match Cx::new(&arena, &paths, &slots, &[]).eval(&expr) {
            Ok(Value::Optional(Some(Value::Int(int)))) => format!("some {int}"),
            Ok(Value::Optional(None)) => "none".to_owned(),
            Ok(other) => format!("{other:?}"),
            Err(fault) => fault.to_string(),
        };
        assert_eq!(found, expected, "{source}");
    }
}

#[test]
fn sets_are_in_order() {
    let (compiled, _) = compile_with("trigger.a in ['h','g','f','e','d','c','b','a','a']", None);
    let crate::expr::Kind::InSet(_, set) = compiled.unwrap().expr.kind else { panic!("no set") };
    let texts: Vec<_> = set.iter().map(|v| format!("{v:?}")).collect();
    assert!(texts.is_sorted() && texts.len() == 8, "{texts:?}");
}
