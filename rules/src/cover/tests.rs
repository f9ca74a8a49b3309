use petrel_cel::Paths;
use petrel_cel::compile::{on_parser_thread, parse};

use super::*;
use crate::index::Key;
use petrel_cel::names;

/// The clauses of a criterion as text, a line each: literals in order, joined by `&`.
fn clauses(criteria: &str) -> Vec<String> {
    let mut paths = Paths::new();
    let parsed = on_parser_thread(|| parse(criteria)).unwrap_or_else(|m| panic!("{criteria}: {m:?}"));
    let compiled = parsed.compile(names::RULE, &mut paths, None).unwrap_or_else(|m| panic!("{criteria}: {m:?}"));
    let text = |literal: &Literal| {
        let path = paths.steps(literal.slot()).join(".");
        match literal {
            Literal::OneOf(_, keys) => format!("{path} = {}", keys_text(keys)),
            Literal::HasOneOf(_, keys) => format!("{path} has {}", keys_text(keys)),
            Literal::Range(_, low, high) => format!("{path} {low}..{high}"),
            Literal::Prefix(_, text) => format!("{path} {text}*"),
            Literal::Suffix(_, text) => format!("{path} *{text}"),
            Literal::Substring(_, text) => format!("{path} *{text}*"),
            Literal::Present(_) => format!("{path}!"),
            Literal::Absent(_) => format!("no {path}"),
        }
    };
    let line = |clause: &Clause| clause.literals.iter().map(text).collect::<Vec<_>>().join(" & ");
    cover(&compiled.expr, &paths).iter().map(line).collect()
}

fn keys_text(keys: &[Key]) -> String {
    let text = |key: &Key| match key {
        Key::Null => "null".to_owned(),
        Key::Bool(bool) => bool.to_string(),
        Key::Number(bits) => f64::from_bits(*bits).to_string(),
        Key::String(text) => text.to_string(),
    };
    keys.iter().map(text).collect::<Vec<_>>().join("|")
}

#[test]
fn covers() {
    let cases: [(&str, &[&str]); 44] = [
        ("trigger.a == 'x'", &["a = x"]),
        ("'x' == trigger.a", &["a = x"]),
        ("trigger.a != 'x'", &["a!"]),
        ("!(trigger.a == 'x')", &["a!"]),
        ("!(trigger.a != 'x')", &["a = x"]),
        ("trigger.a == 5 && trigger.b == 5.0", &["a = 5 & b = 5"]),
        ("trigger.a == 1 || trigger.a == 2 || trigger.a == 'z'", &["a = 1|2|z"]),
        ("trigger.a == 1 || trigger.b == 2", &["a = 1", "b = 2"]),
        ("trigger.a in ['y', 'x', 'x'] && trigger.b in [1, null]", &["a = x|y & b = null|1"]),
        ("trigger.a in ['x', [1]]", &["a!"]),
        ("trigger.a in []", &[]),
        ("!(trigger.a in ['x'])", &["a!"]),
        ("trigger.a in trigger.b", &["a! & b!"]),
        ("'x' in trigger.a", &["a has x"]),
        ("trigger.a.exists(e, e == 'x')", &["a has x"]),
        ("trigger.a.exists(e, e in ['x', 'y'])", &["a has x|y"]),
        ("trigger.a.exists(e, e.x == 1)", &["a!"]),
        ("trigger.a.all(e, e == 'x')", &["a!"]),
        ("!trigger.a.exists(e, e == 'x')", &["a!"]),
        ("trigger.a > 5", &["a 5..inf"]),
        ("5 > trigger.a", &["a -inf..5"]),
        ("trigger.a >= 5 && trigger.a < 7.5", &["a 5..7.5"]),
        ("trigger.a > 7 && trigger.a < 5", &[]),
        ("trigger.a > 'x'", &["a!"]),
        ("!(trigger.a > 5)", &["a!"]),
        ("trigger.a == 0.0 / 0.0", &[]),
        ("trigger.a", &["a = true"]),
        ("!trigger.a", &["a = false"]),
        ("has(trigger.a)", &["a!"]),
        ("!has(trigger.a)", &["no a"]),
        ("!has(trigger.a.b)", &["no a.b & a!"]),
        ("trigger.a == 1 && !has(trigger.a)", &["a = 1 & no a"]),
        ("trigger.a.startsWith('x') && trigger.b.endsWith('y') && trigger.c.contains('z')", &["a x* & b *y & c *z*"]),
        ("trigger.a.startsWith('')", &["a!"]),
        ("trigger.a.matches('^db-[0-9]+$')", &["a db-*"]),
        ("trigger.a.matches('(ab+)?cde[fg]')", &["a *cde*"]),
        ("trigger.a.matches('[a-z]+')", &["a!"]),
        ("trigger.a.matches('(?i)abc')", &["a!"]),
        ("trigger.a ? trigger.b == 1 : trigger.c == 2", &["a = true & b = 1", "a = false & c = 2"]),
        ("!(trigger.a == 1 || trigger.b == 2)", &["a! & b!"]),
        ("(trigger.a == 1 || trigger.b == 2) && trigger.c == 3", &["c = 3 & a = 1", "c = 3 & b = 2"]),
        ("trigger.a + trigger.b > 3 && size(trigger.c) == 1", &["a! & b! & c!"]),
        ("now > timestamp(0)", &[""]),
        ("trigger.a == 1 || now > timestamp(0)", &[""]),
    ];
    for (criteria, expected) in cases {
        assert_eq!(clauses(criteria), expected, "{criteria}");
    }
}

#[test]
fn what_is_read_only_if_needed_is_not_required() {
    let cases: [(&str, &[&str]); 4] = [
        ("(trigger.a == 1 || trigger.b) == (1 < 2)", &[""]),
        ("trigger.?a.orValue(1) == 1", &[""]),
        ("(trigger.a ? trigger.b : trigger.c) == 1", &["a!"]),
        ("trigger.a.map(x, trigger.b) == []", &["a!"]),
    ];
    for (criteria, expected) in cases {
        assert_eq!(clauses(criteria), expected, "{criteria}");
    }
}

#[test]
fn large_criteria_have_few_clauses() {
    let either = |n: usize| (0..n).map(|i| format!("trigger.a{i} == {i}")).collect::<Vec<_>>().join(" || ");
    assert_eq!(clauses(&either(CLAUSES_MAX)).len(), CLAUSES_MAX);
    assert_eq!(clauses(&either(CLAUSES_MAX + 1)), [""]);
    let same = (0..200).map(|i| format!("trigger.a == {i}")).collect::<Vec<_>>().join(" || ");
    assert_eq!(clauses(&same).len(), 1);
    let both = format!("({}) && ({}) && trigger.z == 1", either(30), either(40).replace("trigger.a", "trigger.b"));
    let found = clauses(&both);
    assert_eq!(found.len(), 30);
    assert!(found.iter().all(|clause| clause.starts_with("z = 1 & a")), "{found:?}");
    let all = (0..50).map(|i| format!("trigger.a{i} == {i}")).collect::<Vec<_>>().join(" && ");
    assert_eq!(clauses(&all)[0].split('&').count(), LITERALS_MAX);
}
