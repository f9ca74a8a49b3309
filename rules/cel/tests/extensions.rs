//! The extensions that the CEL specification's own tests leave out, as cel-go documents them: sets,
//! regular expressions, lists, comprehensions with two variables.

use petrel_cel::compile::{Names, on_parser_thread, parse};
use petrel_cel::{Arena, Cx, Paths, Value};

/// What a criterion without variables comes to.
#[derive(Debug, PartialEq)]
enum Outcome {
    True,
    OtherValue(String),
    Fault(String),
    Refused(String),
}

fn outcome(source: &str) -> Outcome {
    let mut paths = Paths::new();
    let names = Names { event: None, vars: &[] };
    let compiled = on_parser_thread(|| parse(source)).and_then(|parsed| parsed.compile(names, &mut paths, None));
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(mistakes) => return Outcome::Refused(format!("{mistakes:?}")),
    };
    let arena = Arena::new();
    match Cx::new(&arena, &paths, &[], &[]).eval(&compiled.expr) {
        Ok(Value::Bool(true)) => Outcome::True,
        Ok(value) => Outcome::OtherValue(format!("{value:?}")),
        Err(fault) => Outcome::Fault(fault.to_string()),
    }
}

#[track_caller]
fn all_true(sources: &[&str]) {
    for source in sources {
        assert_eq!(outcome(source), Outcome::True, "{source}");
    }
}

/// Mistakes or faults: what cel-go's checker refuses may be found out at run time here, and the other way
/// round where everything is constant. That a function is unknown does not count.
#[track_caller]
fn all_errors(sources: &[&str]) {
    for source in sources {
        match outcome(source) {
            Outcome::Fault(_) => {}
            Outcome::Refused(why) if !why.contains("unknown") => {}
            other => panic!("{source}: {other:?}"),
        }
    }
}

#[test]
fn sets_contain() {
    all_true(&[
        "sets.contains([], [])",
        "sets.contains(['a'], [])",
        "!sets.contains([], ['a'])",
        "sets.contains(['a', 'b', 'c'], ['c', 'a'])",
        "sets.contains(['a'], ['a', 'a', 'a'])",
        "sets.contains([7, 8], [8.0, 7u])",
        "!sets.contains([7], [7, '7'])",
        "!sets.contains([7], [7.5])",
        "sets.contains([[7, 8], [9]], [[7.0, 8u]])",
        "sets.contains([{'k': 1}, null], [null, {'k': 1.0}])",
        "!sets.contains([0.0 / 0.0], [0.0 / 0.0])",
    ]);
    all_errors(&["sets.contains([1], 1)", "sets.contains({1: 2}, [1])", "sets.contains([1])", "[1].contains([1])"]);
}

#[test]
fn sets_are_equivalent() {
    all_true(&[
        "sets.equivalent([], [])",
        "sets.equivalent(['b', 'a', 'b'], ['a', 'b', 'a', 'a'])",
        "sets.equivalent([5, 6u], [6.0, 5])",
        "sets.equivalent([[5], [6, 7]], [[6u, 7.0], [5]])",
        "!sets.equivalent(['a'], ['a', 'b'])",
        "!sets.equivalent(['a', 'b'], ['a'])",
        "!sets.equivalent([], [null])",
    ]);
    all_errors(&["sets.equivalent('a', 'a')", "sets.equivalent([], [], [])"]);
}

#[test]
fn sets_intersect() {
    all_true(&[
        "!sets.intersects([], [])",
        "!sets.intersects(['a'], [])",
        "sets.intersects(['a', 'b'], ['c', 'b'])",
        "sets.intersects([4], [4.0, 'x'])",
        "!sets.intersects([4], ['4', 4.25, null])",
        "sets.intersects([[4], [5, 6]], [[4, 5], [5.0, 6u]])",
    ]);
    all_errors(&["sets.intersects([1], null)"]);
}

#[test]
fn regex_replaces() {
    all_true(&[
        "regex.replace('2026-11-23', '-', '/') == '2026/11/23'",
        "regex.replace('', 'x', 'y') == ''",
        "regex.replace('abc', 'x', 'y') == 'abc'",
        // Matches do not overlap; the empty match before, between and behind.
        "regex.replace('ananas', 'ana', '*') == '*nas'",
        "regex.replace('ab', '', '-') == '-a-b-'",
        "regex.replace('log', '$', '.1') == 'log.1'",
        "regex.replace('naïve ☃', '☃|ï', 'i') == 'naive i'",
        // Groups by number; the whole match is number 0; a group that took no part is empty.
        r"regex.replace('key=value', r'(\w+)=(\w+)', r'\2=\1') == 'value=key'",
        r"regex.replace('a b', r'\w', r'<\0>') == '<a> <b>'",
        r"regex.replace('xz', 'x(y)?z', r'(\1)') == '()'",
        r"regex.replace('n=1', r'n=(?P<n>\d)', r'\1') == '1'",
        // A backslash is written twice; a dollar is only a dollar.
        r"regex.replace('a.b', r'\.', r'\\') == r'a\b'",
        r"regex.replace('a', 'a', r'\\0') == r'\0'",
        "regex.replace('a', '(a)', '$1 ${1}') == '$1 ${1}'",
    ]);
    all_errors(&[
        "regex.replace('a', '(', 'b')",
        r"regex.replace('a', 'a', r'\1')",
        r"regex.replace('a', '(a)', r'\2')",
        r"regex.replace('a', 'a', r'\n')",
        r"regex.replace('a', 'a', r'end \')",
        "regex.replace('a', 'a', 1)",
        "regex.replace('a', 'a', 'b', 'c')",
        "regex.replace('a', 'a')",
        "'a'.replace('a', 'a', 'b')",
    ]);
}

#[test]
fn regex_replaces_so_many() {
    all_true(&[
        "regex.replace('a,b,c,d', ',', ';', 0) == 'a,b,c,d'",
        "regex.replace('a,b,c,d', ',', ';', 1) == 'a;b,c,d'",
        "regex.replace('a,b,c,d', ',', ';', 2) == 'a;b;c,d'",
        "regex.replace('a,b,c,d', ',', ';', 50) == 'a;b;c;d'",
        "regex.replace('a,b,c,d', ',', ';', -1) == 'a;b;c;d'",
        "regex.replace('a,b,c,d', ',', ';', -7) == 'a;b;c;d'",
        r"regex.replace('a1 b2', r'([a-z])(\d)', r'\2\1', 1) == '1a b2'",
    ]);
}

#[test]
fn regex_extracts() {
    all_true(&[
        r"regex.extract('host-17.eu', r'\d+') == optional.of('17')",
        r"regex.extract('host-17.eu', r'host-(\d+)') == optional.of('17')",
        r"regex.extract('host-17.eu', r'(?:host|node)-\d+') == optional.of('host-17')",
        r"regex.extract('host-17.eu', r'(?P<zone>[a-z]+)$').value() == 'eu'",
        "regex.extract('HOST', 'host') == optional.none()",
        "regex.extract('HOST', '(?i)host') == optional.of('HOST')",
        "regex.extract('', 'x').orValue('none') == 'none'",
        r"regex.extractAll('a1 b22 c', r'\d+') == ['1', '22']",
        r"regex.extractAll('a1 b22 c', r'([a-z])\d') == ['a', 'b']",
        "regex.extractAll('abc', 'x') == []",
        // Matches do not overlap, and an empty group is left out.
        "regex.extractAll('aaaa', 'aa') == ['aa', 'aa']",
        "regex.extractAll('a=1;b=;c=3', '[a-z]=([^;]*)') == ['1', '3']",
    ]);
    all_errors(&[
        "regex.extract('a', '[')",
        "regex.extract('ab', '(a)(b)')",
        "regex.extract('a', 1)",
        "regex.extract('a')",
        "regex.extractAll('a', '*')",
        "regex.extractAll('ab', '(a)(?P<b>b)')",
        "regex.extractAll()",
    ]);
}

#[test]
fn lists() {
    all_true(&[
        "lists.range(3) == [0, 1, 2]",
        "lists.range(0) == []",
        "[4, 5, 6].slice(1, 2) == [5]",
        "[4, 5, 6].slice(0, 3) == [4, 5, 6]",
        "[4, 5, 6].slice(3, 3) == []",
        "[4, [5, [6, []]]].flatten() == [4, 5, [6, []]]",
        "[4, [5, [6, [7]]]].flatten(2) == [4, 5, 6, [7]]",
        "[[4], 5].flatten(0) == [[4], 5]",
        "[[], [[]]].flatten(9) == []",
        "['c', 'a', 'b'].sort() == ['a', 'b', 'c']",
        "[2.5, -1.0].sort() == [-1.0, 2.5]",
        "[duration('2m'), duration('1s')].sort()[0] == duration('1s')",
        "[true, false].sort() == [false, true]",
        "[].sort() == []",
        "[-3, 2, 1].sortBy(n, n * n) == [1, 2, -3]",
        "[{'n': 2}, {'n': 1}].sortBy(m, m.n).map(m, m.n) == [1, 2]",
        "[].sortBy(n, n) == []",
        "[3, 1, 3, 2, 1].distinct() == [3, 1, 2]",
        "[1, 1.0, 1u, '1', [1], [1.0]].distinct() == [1, '1', [1]]",
        "[1, 'a', null].reverse() == [null, 'a', 1]",
        "[].reverse() == []",
        "'stressed'.reverse() == 'desserts'",
    ]);
    all_errors(&[
        "lists.range(-1)",
        "lists.range(2.0)",
        "[1, 2].slice(0, 3)",
        "[1, 2].slice(-1, 1)",
        "[1, 2].slice(2, 1)",
        "[1].flatten(-1)",
        "[1].flatten('1')",
        "{}.flatten()",
        "[1, 'a'].sort()",
        "[1, 1.0].sort()",
        "[[1]].sort()",
        "[null, null].sort()",
        "[1, 'a'].sortBy(x, x)",
        "[1].sortBy(x, [x])",
    ]);
}

#[test]
fn comprehensions_with_two_variables() {
    all_true(&[
        "[5, 6].all(i, v, v == i + 5)",
        "![5, 6].all(i, v, i > 0 && v > 5)",
        "[].all(i, i2, false)",
        "{'a': 'ab', 'b': 'bc'}.all(k, v, v.startsWith(k))",
        "[5, 6].exists(i, v, i == 1 && v == 6)",
        "{'a': 1}.exists(k, v, k == 'a' && v == 1)",
        "[5, 6, 6].existsOne(i, v, i == 2 && v == 6)",
        "![5, 6, 6].exists_one(i, v, v == 6)",
        "[5, 6].transformList(i, v, i * 10 + v) == [5, 16]",
        "[5, 6, 7].transformList(i, v, i != 1, v) == [5, 7]",
        "{'b': 1, 'a': 2}.transformList(k, v, k).sort() == ['a', 'b']",
        "[5, 6].transformMap(i, v, v * 2) == {0: 10, 1: 12}",
        "[5, 6].transformMap(i, v, v > 5, v) == {1: 6}",
        "{'a': 1, 'b': 2}.transformMap(k, v, v > 1, k + k) == {'b': 'bb'}",
        "{'a': 1, 'b': 2}.transformMapEntry(k, v, {v: k}) == {1: 'a', 2: 'b'}",
        "['x:1', 'y'].transformMapEntry(i, v, v.contains(':'), {v.split(':')[0]: i}) == {'x': 0}",
        "{'a': 1}.transformMapEntry(k, v, {}) == {}",
        // Errors are absorbed by the same kinds that absorb them with one variable.
        "![1, 0].all(i, v, 10 / v < 5)",
        "[0, 1].exists(i, v, 10 / v == 10)",
    ]);
    all_errors(&[
        "[0, 5].all(i, v, 10 / v == 2)",
        "[0].exists(i, v, 10 / v == 2)",
        "[0, 1].existsOne(i, v, 10 / v == 10)",
        "[0].transformList(i, v, 1 / v)",
        "[1, 2].transformMapEntry(i, v, {'same': v})",
        "[1].transformMapEntry(i, v, v)",
        "'abc'.all(i, v, true)",
    ]);
}
