//! Macros that go through something, and bindings.

use serde_json::json;

use super::check;

#[test]
fn all_and_exists_absorb_faults() {
    check(
        &json!({"l": [1, "a", 3], "e": [], "m": {"a": 1, "b": 2}, "s": "x"}),
        &[
            ("trigger.l.all(x, x != 2)", "true"),
            ("trigger.l.all(x, x > 0)", "! > does not take string and int"),
            ("trigger.l.all(x, x < 3)", "false"),
            ("trigger.l.exists(x, x > 2)", "true"),
            ("trigger.l.exists(x, x > 3)", "! > does not take string and int"),
            ("trigger.l.exists(x, x == 'b')", "false"),
            ("trigger.l.exists(x, x)", "! exists does not take int"),
            ("trigger.l.all(x, x)", "! all does not take int"),
            ("trigger.l.exists(x, x == 3 ? true : x)", "true"),
            ("trigger.e.all(x, x)", "true"),
            ("trigger.e.exists(x, x)", "false"),
            ("trigger.m.all(k, k < 'c')", "true"),
            ("trigger.m.exists(k, v, v == 2 && k == 'b')", "true"),
            ("trigger.l.exists(i, x, i == 1 && x == 'a')", "true"),
            ("trigger.s.all(c, true)", "! all does not take string"),
            ("trigger.x.all(c, true)", "! no such field: x"),
        ],
    );
}

#[test]
fn the_others_do_not() {
    check(
        &json!({"l": [1, 2, 3, 4], "odd": [1, "a"], "m": {"b": 2, "a": 1}, "e": [], "pair": [{"k": 2}, {"k": 1}]}),
        &[
            ("trigger.l.exists_one(x, x == 2)", "true"),
            ("trigger.l.exists_one(x, x > 2)", "false"),
            ("trigger.e.exists_one(x, x > 2)", "false"),
            ("trigger.odd.exists_one(x, x == 1 || x > 1)", "! > does not take string and int"),
            ("trigger.l.existsOne(i, x, i == x - 1 && x == 1)", "true"),
            ("trigger.l.filter(x, x % 2 == 0)", "[2, 4]"),
            ("trigger.odd.filter(x, x > 0)", "! > does not take string and int"),
            ("trigger.l.filter(x, x)", "! filter does not take int"),
            ("trigger.m.filter(k, k != 'a')", "['b']"),
            ("trigger.l.map(x, x * x)", "[1, 4, 9, 16]"),
            ("trigger.l.map(x, x > 2, x * x)", "[9, 16]"),
            ("trigger.m.map(k, k)", "['a', 'b']"),
            ("trigger.e.map(x, x / 0)", "[]"),
            ("trigger.odd.map(x, x * 2)", "! * does not take string and int"),
            ("trigger.l.transformList(i, x, i * x)", "[0, 2, 6, 12]"),
            ("trigger.l.transformList(i, x, i > 1, x)", "[3, 4]"),
            ("trigger.m.transformList(k, v, k + '=' + string(v))", "['a=1', 'b=2']"),
            ("trigger.m.transformMap(k, v, v + 1)", "{'a': 2, 'b': 3}"),
            ("trigger.m.transformMap(k, v, v > 1, v + 1)", "{'b': 3}"),
            ("trigger.l.transformMap(i, x, i > 1, x)", "{2: 3, 3: 4}"),
            ("trigger.m.transformMapEntry(k, v, {v: k})", "{1: 'a', 2: 'b'}"),
            ("trigger.m.transformMapEntry(k, v, {v: k, k: v})", "{1: 'a', 2: 'b', 'a': 1, 'b': 2}"),
            ("trigger.m.transformMapEntry(k, v, {'x': k})", "! a map has the same key twice"),
            ("trigger.l.sortBy(x, -x)", "[4, 3, 2, 1]"),
            ("trigger.pair.sortBy(x, x.k).map(x, x.k)", "[1, 2]"),
            // Equal keys keep their order.
            ("trigger.l.sortBy(x, x % 2)", "[2, 4, 1, 3]"),
            ("trigger.odd.sortBy(x, x)", "! sortBy does not take int and string"),
            ("trigger.pair.sortBy(x, x)", "! sortBy does not take map"),
            ("trigger.l.sortBy(x, nan)", "! sortBy does not take double"),
            ("trigger.e.sortBy(x, x)", "[]"),
            ("trigger.m.sortBy(x, x)", "! sortBy does not take map"),
        ],
    );
}

#[test]
fn variables_are_those_of_their_loop() {
    check(
        &json!({"l": [1, 2], "ll": [[1, 2], [3]]}),
        &[
            ("trigger.ll.map(x, x.map(y, y * 10))", "[[10, 20], [30]]"),
            ("trigger.ll.map(x, x.map(x, x + 1))", "[[2, 3], [4]]"),
            ("trigger.l.map(x, trigger.l.map(y, x * 10 + y))", "[[11, 12], [21, 22]]"),
            ("trigger.l.map(x, trigger.l.filter(y, y > x).map(z, z + x))", "[[3], []]"),
            // The range is outside of the loop.
            ("trigger.l.map(x, [x, x].map(x, x))", "[[1, 1], [2, 2]]"),
            ("trigger.l.filter(x, trigger.l.all(i, y, trigger.l.exists(z, z == x && i < 2)))", "[1, 2]"),
            ("trigger.l.map(a, trigger.?l.optMap(b, b[0] + a))", "[some(2), some(3)]"),
        ],
    );
}

#[test]
fn bindings() {
    check(
        &json!({"a": 2, "l": [1, 2, 3]}),
        &[
            ("cel.bind(x, trigger.a + 1, x * x)", "9"),
            ("cel.bind(x, trigger.a, cel.bind(y, x + 1, x * y))", "6"),
            ("cel.bind(x, trigger.a, cel.bind(x, x + 1, x * x))", "9"),
            ("cel.bind(x, trigger.l.filter(e, e > 1), x.map(e, e + size(x)))", "[4, 5]"),
            ("trigger.l.map(e, cel.bind(x, e * 2, x + e))", "[3, 6, 9]"),
            // A fault counts only where the variable is used.
            ("cel.bind(x, trigger.gone, trigger.a)", "2"),
            ("cel.bind(x, trigger.gone, x)", "! no such field: gone"),
            ("cel.bind(x, trigger.gone, x == 1 || trigger.a == 2)", "true"),
            ("cel.bind(x, trigger.gone, cel.bind(y, x, trigger.a))", "2"),
            ("cel.bind(x, 1 / zero, [x, 1])", "! division by zero"),
        ],
    );
}
