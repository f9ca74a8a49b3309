//! Each kind of literal alone: proposed exactly where it holds.

use super::*;

const A: Value<'static> = Value::String("a");
const B: Value<'static> = Value::String("b");

/// The rule of one clause of these literals is a candidate exactly if `expected`.
#[track_caller]
fn exactly(literals: &[Literal], slots: &[Slot<'_>], expected: bool) {
    let rules = vec![(7, vec![clause(literals.to_vec())])];
    let index = Index::build(rules.clone());
    let found = candidates(&index, slots, &mut Scratch::default());
    assert_eq!(!matching(&rules, slots).is_empty(), expected, "the expectation itself: {literals:?} for {slots:?}");
    assert_eq!(found == [7], expected, "{literals:?} for {slots:?}");
}

#[test]
fn equality() {
    let value = |value: Value<'static>| [Slot::Value(value)];
    let cases: &[(Key, Value<'static>, bool)] = &[
        (text("a"), A, true),
        (text("a"), B, false),
        (text(""), Value::String(""), true),
        (text(""), Value::Null, false),
        (text("1"), Value::Int(1), false),
        (text("grüße 🌍"), Value::String("grüße 🌍"), true),
        (text("12345678"), Value::String("12345678"), true),
        (text("1234567890123456"), Value::String("1234567890123456"), true),
        (text("12345678901234567"), Value::String("12345678901234567"), true),
        (text("12345678901234567"), Value::String("12345678901234568"), false),
        (text("123456789012345678901234567"), Value::String("123456789012345679901234567"), false),
        (Key::Null, Value::Null, true),
        (Key::Null, Value::Bool(false), false),
        (Key::Bool(true), Value::Bool(true), true),
        (Key::Bool(true), Value::Bool(false), false),
        (Key::Bool(true), Value::Int(1), false),
        (number(1.0), Value::Int(1), true),
        (number(1.0), Value::Uint(1), true),
        (number(1.0), Value::Double(1.0), true),
        (number(1.0), Value::Double(1.5), false),
        (number(-0.0), Value::Int(0), true),
        (number(0.0), Value::Double(-0.0), true),
        (number(0.0), Value::Double(f64::NAN), false),
        (number(9007199254740992.0), Value::Int(9007199254740993), true),
        (number(9007199254740993.0), Value::Uint(9007199254740992), true),
        (number(9007199254740992.0), Value::Int(9007199254740994), false),
        (number(18446744073709551615.0), Value::Uint(u64::MAX), true),
        (number(f64::INFINITY), Value::Double(f64::INFINITY), true),
        (number(f64::INFINITY), Value::Double(f64::NEG_INFINITY), false),
    ];
    for (key, given, expected) in cases {
        exactly(&[one_of(0, [key.clone()])], &value(*given), *expected);
        exactly(&[one_of(0, [key.clone(), text("other"), number(77.0)])], &value(*given), *expected);
        exactly(&[has_one_of(0, [key.clone(), text("other")])], &[list(&[B, *given][1..])], *expected);
        exactly(&[has_one_of(0, [key.clone()])], &[map(&[(*given, Value::Null)])], *expected);
        exactly(&[has_one_of(0, [key.clone()])], &value(*given), false);
    }
    for slot in [Slot::Absent, Slot::Object, list(&[A]), map(&[(A, A)])] {
        exactly(&[one_of(0, [text("a"), Key::Null])], &[slot], false);
    }
}

#[test]
fn elements() {
    let cases: &[(&[Value<'static>], bool)] = &[
        (&[], false),
        (&[B], false),
        (&[B, A], true),
        (&[A, A, A], true),
        (&[Value::List(List::Values(&[A]))], false),
    ];
    for (elements, expected) in cases {
        exactly(&[has_one_of(0, [text("a"), text("c")])], &[list(elements)], *expected);
    }
    // Values of a map are none of its elements.
    exactly(&[has_one_of(0, [text("a")])], &[map(&[(B, A)])], false);
    exactly(&[has_one_of(0, [text("a")]), has_one_of(0, [text("b")])], &[list(&[A, B])], true);
    exactly(&[has_one_of(0, [text("a")]), has_one_of(0, [text("b")])], &[list(&[A])], false);
    exactly(&[has_one_of(0, [text("a")])], &[Slot::Object], false);
}

#[test]
fn ranges() {
    let infinity = f64::INFINITY;
    let cases: &[(f64, f64, Value<'static>, bool)] = &[
        (1.0, 2.0, Value::Int(1), true),
        (1.0, 2.0, Value::Double(1.5), true),
        (1.0, 2.0, Value::Uint(2), true),
        (1.0, 2.0, Value::Int(3), false),
        (1.0, 2.0, Value::Int(0), false),
        (1.0, 1.0, Value::Int(1), true),
        (2.0, 1.0, Value::Int(1), false),
        (f64::NAN, infinity, Value::Int(1), false),
        (-infinity, infinity, Value::Int(1), true),
        (-infinity, infinity, Value::Double(f64::NAN), false),
        (-infinity, infinity, Value::Double(infinity), true),
        (-infinity, infinity, A, false),
        (-infinity, infinity, Value::Null, false),
        (infinity, infinity, Value::Double(infinity), true),
        (infinity, infinity, Value::Double(f64::MAX), true),
        (-0.0, 0.0, Value::Double(-0.0), true),
        (0.1, 0.1, Value::Double(0.1), true),
        (1e300, 1e301, Value::Double(5e300), true),
        (5e-324, 5e-324, Value::Double(5e-324), true),
        (9007199254740993.0, infinity, Value::Int(9007199254740992), true),
        (9007199254740992.0, 9007199254740992.0, Value::Int(9007199254740993), true),
    ];
    for (low, high, value, expected) in cases {
        let rules = vec![(7, vec![clause([Literal::Range(slot(0), *low, *high)])])];
        let slots = [Slot::Value(*value)];
        let found = candidates(&Index::build(rules), &slots, &mut Scratch::default());
        // Bounds are kept in single precision: beyond the largest one all are infinite.
        let in_vain = matches!(value, Value::Double(double) if *double == f64::MAX);
        assert_eq!(found == [7], *expected && !in_vain, "{low} to {high}: {value:?}");
    }
}

#[test]
fn strings() {
    let prefix = |text: &str| Literal::Prefix(slot(0), text.into());
    let suffix = |text: &str| Literal::Suffix(slot(0), text.into());
    let substring = |text: &str| Literal::Substring(slot(0), text.into());
    let cases: &[(Literal, &str, bool)] = &[
        (prefix(""), "", true),
        (prefix(""), "a", true),
        (prefix("a"), "", false),
        (prefix("a"), "a", true),
        (prefix("ab"), "a", false),
        (prefix("ab"), "abc", true),
        (prefix("ab"), "acb", false),
        (prefix("grü"), "grüße", true),
        (prefix("🌍"), "🌎", false),
        (suffix(""), "", true),
        (suffix("c"), "abc", true),
        (suffix("bc"), "abc", true),
        (suffix("ab"), "abc", false),
        (suffix("abc"), "bc", false),
        (suffix("ße"), "grüße", true),
        (substring("b"), "abc", true),
        (substring("abc"), "abc", true),
        (substring("abcd"), "abc", false),
        (substring("aa"), "aaaa", true),
        (substring("üß"), "grüße", true),
        (substring("x"), "", false),
    ];
    for (literal, given, expected) in cases {
        exactly(std::slice::from_ref(literal), &[string(given)], *expected);
        exactly(&[one_of(1, [text("k")]), literal.clone()], &[string(given), string("k")], *expected);
        exactly(&[one_of(1, [text("k")]), literal.clone()], &[string(given), string("l")], false);
    }
    for literal in [prefix(""), suffix(""), substring("a")] {
        for slot in [Slot::Absent, Slot::Object, Slot::Value(Value::Null), list(&[A]), int(1)] {
            exactly(std::slice::from_ref(&literal), &[slot], false);
        }
    }
}

#[test]
fn presence() {
    let cases: &[(Slot<'static>, bool)] = &[
        (Slot::Absent, false),
        (Slot::Object, true),
        (Slot::Value(Value::Null), true),
        (string(""), true),
        (list(&[]), true),
    ];
    for (given, there) in cases {
        exactly(&[Literal::Present(slot(0))], &[*given], *there);
        exactly(&[Literal::Absent(slot(0))], &[*given], !there);
    }
    // Slots that an extractor does not know of are empty.
    exactly(&[Literal::Absent(slot(9))], &[string("a")], true);
    exactly(&[Literal::Present(slot(9))], &[string("a")], false);
}

#[test]
fn clauses() {
    let a = || one_of(0, [text("a")]);
    let b = || one_of(1, [text("b")]);
    let never = || Literal::Range(slot(0), 2.0, 1.0);
    let cases: Vec<(Vec<Clause>, bool)> = vec![
        (vec![], false),
        (vec![clause([])], true),
        (vec![clause([never()])], false),
        (vec![clause([never()]), clause([])], true),
        (vec![clause([never(), a()]), clause([b()])], true),
        (vec![clause([a()]), clause([b()])], true),
        (vec![clause([a(), b()])], true),
        (vec![clause([a(), a()]), clause([a()])], true),
        (vec![clause([one_of(0, [text("x")]), b()])], false),
        (vec![clause([b()]), clause([]), clause([a()])], true),
    ];
    for (cover, expected) in cases {
        let index = Index::build([(3, cover.clone())]);
        let found = candidates(&index, &[string("a"), string("b")], &mut Scratch::default());
        assert_eq!(found, if expected { vec![3] } else { vec![] }, "{cover:?}");
    }
}
