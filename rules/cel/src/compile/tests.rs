use super::render::{compiled, reads};
use super::*;

fn check(cases: &[(&str, &str)]) {
    for (source, expected) in cases {
        assert_eq!(compiled(source), *expected, "{source}");
    }
}

#[test]
fn literals() {
    check(&[
        ("null", "null"),
        ("1", "1"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("0x1F", "31"),
        ("18446744073709551615u", "18446744073709551615u"),
        ("-1.5e3", "-1500.0"),
        (r#"'é\n\u00e9' "#, r#""é\né""#),
        (r"r'\n'", r#""\\n""#),
        ("[1, [2.0, 'a'], null]", r#"[1 [2.0 "a"] null]"#),
        ("[1, trigger.a, ?trigger.b]", "(list 1 $a ?$b)"),
        ("{'a': trigger.a, ?'b': trigger.b}", r#"(map "a":$a ?"b":$b)"#),
        ("b'a' == trigger.a", "(== Bytes([97]) $a)"),
    ]);
}

#[test]
fn paths_of_the_event() {
    check(&[
        ("trigger.a.b == 1", "(== $a.b 1)"),
        (r#"trigger["a"].b == 1"#, "(== $a.b 1)"),
        (r#"trigger.a["b c"]["d"] == 1"#, "(== $a.b c.d 1)"),
        ("trigger.`a-b`.c == 1", "(== $a-b.c 1)"),
        (".trigger.a == 1", "(== $a 1)"),
        ("trigger.in_ == 1", "(== $in_ 1)"),
        ("trigger == 1", "(== $ 1)"),
        ("has(trigger.a.b)", "(has $a.b)"),
        (r#"has(trigger["a"].b)"#, "(has $a.b)"),
        ("!has(trigger.`a-b`)", "(! (has $a-b))"),
        ("has(trigger.a[0].b)", "(has ([] $a 0) b)"),
        ("trigger.a[0].b['c'] == 1", r#"(== ([] (. ([] $a 0) b) "c") 1)"#),
        ("trigger.a[trigger.b] == 1", "(== ([] $a $b) 1)"),
        ("trigger.a.?b.c", "(. (.? $a b) c)"),
        ("trigger[?'a']", r#"([?] $ "a")"#),
        ("(trigger).a", "$a"),
        ("(trigger.a).b", "$a.b"),
        ("{'a': trigger.a}.a", r#"(. (map "a":$a) a)"#),
        ("{'a': trigger.a}['a']", r#"([] (map "a":$a) "a")"#),
    ]);
}

#[test]
fn what_is_read_of_the_event() {
    let cases = [
        ("true", "$"),
        ("trigger.a.b == 1", "$ $a $a.b!"),
        ("trigger.a == trigger.a.b", "$ $a! $a.b!"),
        ("has(trigger.a.b)", "$ $a $a.b"),
        ("has(trigger.a.b) && trigger.a.b == 1", "$ $a $a.b!"),
        ("trigger.a.b[now].c == 1", "$ $a $a.b!"),
        ("has(trigger.a[0].b)", "$ $a!"),
        ("trigger.l.exists(x, x.a == trigger.b)", "$ $l! $b!"),
        ("type(trigger) == map || true", "$!"),
        ("false && trigger.a == 1", "$ $a!"),
    ];
    for (source, expected) in cases {
        if source.starts_with("type") && crate::functions::find("type").is_none() {
            continue;
        }
        assert_eq!(reads(source), expected, "{source}");
    }
}

#[test]
fn variables_and_types() {
    check(&[
        ("now", "var0"),
        ("kv.a.b", "(. (. var1 a) b)"),
        ("kv['a/b']", r#"([] var1 "a/b")"#),
        // One variable with a dot in its name; the longest wins.
        ("x.y", "var2"),
        ("x.y.z", "var3"),
        ("x.y.a", "(. var2 a)"),
        ("x.y.z.a", "(. var3 a)"),
        ("x.y['z']", r#"([] var2 "z")"#),
        (".x.y", "var2"),
        ("trigger.l.exists(x, x.y == trigger.a)", "(Exists $l if (== (. local0 y) $a))"),
        ("[trigger.a].map(x, .x.y)", "(Map (list $a) to var2)"),
        ("int", "int"),
        ("google.protobuf.Timestamp", "google.protobuf.Timestamp"),
        ("net.IP", "net.IP"),
        (".string", "string"),
        ("[trigger.a].map(int, int)", "(Map (list $a) to local0)"),
    ]);
}

#[test]
fn operators() {
    check(&[
        ("trigger.a && trigger.b && trigger.c && trigger.d", "(&& $a $b $c $d)"),
        ("trigger.a || (trigger.b || trigger.c)", "(|| $a $b $c)"),
        ("trigger.a || trigger.b && trigger.c", "(|| $a (&& $b $c))"),
        ("(trigger.a || trigger.b) && !trigger.c", "(&& (|| $a $b) (! $c))"),
        ("!!trigger.a", "$a"),
        ("--trigger.a", "$a"),
        ("-trigger.a", "(- $a)"),
        ("trigger.a ? trigger.b : trigger.c", "(? $a $b $c)"),
        ("trigger.a + 1 - 2 * 3.0 / 4u % 5 < 6", "(< (- (+ $a 1) (% (/ (* 2 3.0) 4u) 5)) 6)"),
        ("trigger.a != trigger.b", "(!= $a $b)"),
        ("trigger.a >= 1 || trigger.a <= 2 || trigger.a > 3", "(|| (>= $a 1) (<= $a 2) (> $a 3))"),
        ("trigger.a in ['x', 'y']", r#"(in $a ["x" "y"])"#),
        ("'x' in trigger.a", r#"(in "x" $a)"#),
        ("!(trigger.a == 1)", "(! (== $a 1))"),
    ]);
}

#[test]
fn macros() {
    check(&[
        ("trigger.l.all(x, x > 1)", "(All $l if (> local0 1))"),
        ("trigger.l.exists(x, x.exists(y, y == x))", "(Exists $l if (Exists local0 if (== local1 local0)))"),
        ("trigger.l.exists(x, x.exists(x, x == 1))", "(Exists $l if (Exists local0 if (== local1 1)))"),
        ("trigger.l.exists_one(x, x == 1)", "(ExistsOne $l if (== local0 1))"),
        ("trigger.l.existsOne(i, x, x == i)", "(ExistsOne2 $l if (== local1 local0))"),
        ("trigger.l.map(x, x + 1)", "(Map $l to (+ local0 1))"),
        ("trigger.l.map(x, x > 1, x + 1)", "(Map $l if (> local0 1) to (+ local0 1))"),
        ("trigger.l.filter(x, has(x.a))", "(Filter $l if (has local0 a))"),
        ("trigger.l.all(i, x, i < x)", "(All2 $l if (< local0 local1))"),
        ("trigger.l.exists(i, x, i < x)", "(Exists2 $l if (< local0 local1))"),
        ("trigger.l.transformList(i, x, x)", "(Map2 $l to local1)"),
        ("trigger.l.transformList(i, x, i > 1, x)", "(Map2 $l if (> local0 1) to local1)"),
        ("trigger.l.transformMap(k, v, v)", "(TransformMap2 $l to local1)"),
        ("trigger.l.transformMap(k, v, k != 'a', v)", r#"(TransformMap2 $l if (!= local0 "a") to local1)"#),
        ("trigger.l.transformMapEntry(k, v, {v: k})", "(TransformMapEntry2 $l to (map local1:local0))"),
        ("trigger.l.sortBy(x, x.a)", "(SortBy $l to (. local0 a))"),
        ("cel.bind(x, trigger.a, x + x)", "(bind $a (+ local0 local0))"),
        ("trigger.l.map(x, cel.bind(y, x, y))", "(Map $l to (bind local0 local1))"),
        ("trigger.?a.optMap(x, x + 1)", "(optMap (.? $ a) (+ local0 1))"),
        ("trigger.?a.optFlatMap(x, x.?b)", "(optFlatMap (.? $ a) (.? local0 b))"),
        // The value does not see the variable.
        ("trigger.l.map(trigger, trigger.a)", "(Map $l to (. local0 a))"),
        ("cel.bind(trigger, trigger.a, trigger.b)", "(bind $a (. local0 b))"),
        (
            "cel.block([trigger.a, cel.index(0) + 1], cel.index(1) > cel.index(0))",
            "(bind $a (bind (+ local0 1) (> local1 local0)))",
        ),
        ("trigger.l.map(cel.iterVar(0, 0), cel.iterVar(0, 0) + 1)", "(Map $l to (+ local0 1))"),
    ]);
}

#[test]
fn patterns_and_sets() {
    check(&[
        ("trigger.a.matches('^a+$')", "(matches $a /^a+$/)"),
        ("matches(trigger.a, r'\\.x')", r"(matches $a /\.x/)"),
        ("trigger.a in [8,7,6,5,4,3,2]", "(in $a [8 7 6 5 4 3 2])"),
        // Not of scalars, or not only of exact ones.
        ("trigger.a in [1,2,3,4,5,6,7,null]", "(in $a [1 2 3 4 5 6 7 null])"),
        ("trigger.a in [1,2,3,4,5,6,7,9007199254740992]", "(in $a [1 2 3 4 5 6 7 9007199254740992])"),
        ("trigger.a in [1,2,3,4,5,6,7,trigger.b]", "(in $a (list 1 2 3 4 5 6 7 $b))"),
    ]);
    let many = compiled("trigger.a in ['h','g','f','e','d','c','b','a']");
    assert!(many.starts_with("(in $a {\""), "{many}");
}

#[test]
fn constants_decide_only_where_they_may() {
    check(&[
        ("true && false", "false"),
        ("trigger.a && false", "false"),
        ("false && trigger.a", "false"),
        ("trigger.a || true", "true"),
        ("1 || true", "true"),
        ("true && trigger.a == 1", "(== $a 1)"),
        ("false || trigger.a.matches('a')", "(matches $a /a/)"),
        // It may be no bool, which is an error.
        ("true && trigger.a", "(&& $a true)"),
        ("true && trigger.a && trigger.b", "(&& $a $b)"),
        ("1 && trigger.a", "(&& 1 $a)"),
        ("true ? trigger.a : trigger.b", "$a"),
        ("false ? trigger.a : trigger.b", "$b"),
        ("1 ? trigger.a : trigger.b", "(? 1 $a $b)"),
        ("trigger.a in []", "(in $a [])"),
    ]);
}

#[test]
fn nodes_have_places() {
    let source = "'é' == trigger.a && size(x.y) > 10";
    let parsed = on_parser_thread(|| parse(source)).unwrap();
    let places: Vec<String> = (1..)
        .map_while(|id| parsed.place(id))
        .map(|(start, end)| source.chars().skip(start).take(end - start).collect())
        .collect();
    assert_eq!(places, ["'é'", "==", "trigger", ".", "(", "x", ".", ">", "10", "&&"]);
    assert_eq!(parsed.place(0), None);
    assert_eq!(parsed.source(), source);
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&parsed);
}

#[test]
fn nodes_have_extents() {
    let source =
        "size(trigger . `a-b`) + (1 + 2) * f( 3)[x.?y] > -'é('.size() || (!has(x.y) ? [1, {2: (3)}] : math.least(4))";
    let parsed = on_parser_thread(|| parse(source)).unwrap();
    let extents: Vec<String> = (1..)
        .map_while(|id| parsed.place(id).map(|place| (id, place)))
        .filter_map(|(id, place)| Some((place, parsed.extent(id)?)))
        .map(|(place, extent)| {
            let cut = |(start, end): (usize, usize)| source.chars().skip(start).take(end - start).collect::<String>();
            assert!(extent.0 <= place.0 && place.1 <= extent.1, "{extent:?}");
            cut(extent)
        })
        .collect();
    let expected = [
        "size(trigger . `a-b`)",
        "trigger",
        "trigger . `a-b`",
        "size(trigger . `a-b`) + (1 + 2) * f( 3)[x.?y]",
        "1",
        "1 + 2",
        "2",
        "(1 + 2) * f( 3)[x.?y]",
        "f( 3)",
        "3",
        "f( 3)[x.?y]",
        "x",
        "x.?y",
        "size(trigger . `a-b`) + (1 + 2) * f( 3)[x.?y] > -'é('.size()",
    ];
    for expected in expected {
        assert!(extents.iter().any(|e| e == expected), "{expected} is not in {extents:#?}");
    }
}
