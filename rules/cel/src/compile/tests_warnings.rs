use super::render::{NAMES, compile_with};
use super::*;
use crate::limits::CRITERIA_ERRORS_MAX;

/// A schema: an object with a host, a count and so on, of which `closed` has no other fields.
struct Schema;

impl EventTypes for Schema {
    fn field(&self, steps: &[&str]) -> Field {
        match steps {
            [] | ["closed"] | ["labels"] => Field::Of(vec![Type::Map]),
            ["host"] | ["closed", "id"] => Field::Of(vec![Type::String]),
            ["count"] => Field::Of(vec![Type::Int]),
            ["pct"] => Field::Of(vec![Type::Double, Type::Null]),
            ["ok"] => Field::Of(vec![Type::Bool]),
            ["tags"] => Field::Of(vec![Type::List]),
            ["at"] => Field::Of(vec![Type::Timestamp]),
            ["any", ..] | ["labels", _] => Field::Open,
            ["closed", ..] | ["host" | "count" | "pct" | "ok" | "tags" | "at", ..] => Field::Never,
            _ => Field::Unlisted,
        }
    }

    fn names(&self, steps: &[&str]) -> Vec<String> {
        let names: &[&str] = match steps {
            [] => &["host", "count", "pct", "ok", "tags", "at", "any", "labels", "closed"],
            ["closed"] => &["id"],
            _ => &[],
        };
        names.iter().map(|&name| name.to_owned()).collect()
    }
}

fn warnings(source: &str, types: Option<&(dyn EventTypes + Sync)>) -> Vec<String> {
    let (compiled, _) = compile_with(source, types);
    let compiled = compiled.unwrap_or_else(|e| panic!("{source}: {e:?}"));
    let all = compiled.warnings.into_iter().chain(compiled.never_bool);
    all.map(|w| format!("{}: {}", w.offset, w.message)).collect()
}

fn check(types: Option<&(dyn EventTypes + Sync)>, cases: &[(&str, &[&str])]) {
    for (source, expected) in cases {
        assert_eq!(warnings(source, types), *expected, "{source}");
    }
}

#[test]
fn fields_that_no_event_has() {
    check(
        Some(&Schema),
        &[
            ("trigger.hots == 'a'", &["8: unknown field `hots`; did you mean `host`?"]),
            ("trigger.zzz == 'a'", &["8: unknown field `zzz`"]),
            ("trigger.zzz.deeper.more == 'a'", &["8: unknown field `zzz`"]),
            ("trigger['hots'] == 'a'", &["8: unknown field `hots`; did you mean `host`?"]),
            ("trigger.closed.ip == 'a'", &["15: no event has a field `closed.ip`; did you mean `id`?"]),
            ("trigger.closed.other.x == 'a'", &["15: no event has a field `closed.other`"]),
            ("trigger.host.x == 'a'", &["13: no event has a field `host.x`"]),
            ("has(trigger.hots)", &["12: unknown field `hots`; did you mean `host`?"]),
            // The test says that it may not be there.
            ("has(trigger.zzz)", &[]),
            ("has(trigger.closed.zzz)", &["19: no event has a field `closed.zzz`"]),
            ("trigger.any.thing == 'a' && trigger.labels.x == 1", &[]),
            (
                "trigger.hots == 'a' || trigger.hots == 'b'",
                &["8: unknown field `hots`; did you mean `host`?", "31: unknown field `hots`; did you mean `host`?"],
            ),
        ],
    );
}

#[test]
fn comparisons_that_cannot_be_meant() {
    check(
        Some(&Schema),
        &[
            ("trigger.host == 5", &["13: this is never true: one side is a string, the other an int"]),
            ("trigger.host != 5", &["13: this is always true: one side is a string, the other an int"]),
            ("trigger.host == null", &["13: this is never true: one side is a string, the other null"]),
            ("trigger.pct == null || trigger.pct == 5", &[]),
            ("trigger.count == 5.0 || trigger.count < 1.5 || trigger.count >= 3u", &[]),
            ("trigger.host > 5", &["13: there is no order between a string and an int: always an error"]),
            ("trigger.tags < [1]", &["13: there is no order between a list and a list: always an error"]),
            ("trigger.pct < 5", &[]),
            ("trigger.any > 5 && trigger.any == 'x'", &[]),
            ("trigger.host in ['a', 'b']", &[]),
            ("trigger.host in [1, 2]", &["13: this is never true: this is a string, in there is an int"]),
            ("trigger.count in [1.0, 'a']", &[]),
            ("trigger.count in []", &["14: this is never true: nothing is in there"]),
            ("'a' in trigger.host", &["4: `in` takes a list or a map, and this is a string: always an error"]),
            ("'a' in trigger.tags && 'a' in trigger.labels", &[]),
            (
                "trigger.at == '2026-01-01T00:00:00Z'",
                &["11: this is never true: one side is a timestamp, the other a string"],
            ),
            ("trigger.at < now", &[]),
            ("(trigger.ok ? trigger.host : trigger.count) == 5", &[]),
            (
                "(trigger.ok ? trigger.host : 'a') == 5",
                &["34: this is never true: one side is a string, the other an int"],
            ),
            ("cel.bind(h, trigger.host, h == 5)", &["28: this is never true: one side is a string, the other an int"]),
            ("trigger.tags.exists(t, t == 5)", &[]),
        ],
    );
}

#[test]
fn operations_that_are_always_an_error() {
    check(
        Some(&Schema),
        &[
            ("trigger.host + 5 == 'a'", &["13: `+` does not take a string and an int: always an error"]),
            ("trigger.host + 'x' == 'a'", &[]),
            ("trigger.pct * 2.0 > 1.0", &[]),
            ("trigger.count * 2.0 > 1.0", &["14: `*` does not take an int and a double: always an error"]),
            ("trigger.at - trigger.at == 5", &["24: this is never true: one side is a duration, the other an int"]),
            ("-trigger.host == 'a'", &["0: `-` does not take a string: always an error"]),
            ("!trigger.host", &["8: `!` takes a bool, and this is a string"]),
            ("trigger.ok && trigger.host", &["21: `&&` takes a bool, and this is a string"]),
            ("trigger.ok || trigger.any", &[]),
            ("trigger.host ? true : false", &["7: `?:` takes a bool, and this is a string"]),
            ("trigger.host[0] == 'a'", &["12: a string has no elements: always an error"]),
            ("trigger.tags[0].x == 'a'", &[]),
            (
                "trigger.host.exists(x, true)",
                &["19: `exists` goes through a list or a map, and this is a string: always an error"],
            ),
            ("trigger.tags.exists(x, 1)", &["23: `exists` takes a bool, and this is an int"]),
            ("trigger.count.matches('a')", &["21: `matches` does not take an int: always an error"]),
        ],
    );
}

#[test]
fn criteria_that_are_no_bool() {
    check(
        Some(&Schema),
        &[
            ("trigger.host", &["7: the criterion is a string, not a bool: it never matches"]),
            ("trigger.ok", &[]),
            ("trigger.any", &[]),
            ("trigger", &["0: the criterion is a map, not a bool: it never matches"]),
            ("trigger.ok ? 'a' : 'b'", &["11: the criterion is a string, not a bool: it never matches"]),
            ("trigger.ok ? 'a' : true", &[]),
            ("trigger.tags.map(x, x)", &["16: the criterion is a list, not a bool: it never matches"]),
        ],
    );
}

#[test]
fn literals_tell_enough() {
    check(
        None,
        &[
            ("1 == 'a'", &["2: this is never true: one side is an int, the other a string"]),
            ("1 + 'a' == 2", &["2: `+` does not take an int and a string: always an error"]),
            (
                "[1, 'a'].exists(x, x == true)",
                &["21: this is never true: one side is an int or a string, the other a bool"],
            ),
            ("{'a': 1}.exists(k, k == 1)", &["21: this is never true: one side is a string, the other an int"]),
            ("[].all(x, x > 1)", &[]),
            ("{null: 1} == {}", &["1: null is no map key: always an error"]),
            ("1", &["0: the criterion is an int, not a bool: it never matches"]),
            ("'a'.b == 1", &["3: a string has no field `b`: always an error"]),
            ("trigger.hots == 5 && trigger.a > 'x'", &[]),
            ("size(5) == 1", &["4: `size` does not take an int: always an error"]),
            ("5.startsWith('a')", &["12: `startsWith` does not take an int: always an error"]),
            ("size('a') == 'a'", &["10: this is never true: one side is an int, the other a string"]),
            (
                "timestamp('2026-01-01T00:00:00Z') > 5",
                &["34: there is no order between a timestamp and an int: always an error"],
            ),
            ("string(trigger.a) > 5", &["18: there is no order between a string and an int: always an error"]),
            ("dyn(1) == 'a'", &[]),
            ("int == 1", &["4: this is never true: one side is a type, the other an int"]),
        ],
    );
}

#[test]
fn warnings_are_few() {
    let source = ["1 == 'a'"; 20].join(" && ");
    assert_eq!(warnings(&source, None).len(), CRITERIA_ERRORS_MAX);
    assert_eq!(NAMES.event, Some("trigger"));
}
