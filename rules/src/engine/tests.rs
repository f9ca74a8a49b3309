#![expect(clippy::disallowed_methods, reason = "tests measure, and wait for a limited time")]

use serde_json::json;

use super::*;
use crate::extract::Extractor;
use crate::kv::Kv;
use crate::limits::{BUDGET_FAULTS_MAX, CRITERIA_BYTES_MAX, CRITERIA_DEPTH_MAX};
use petrel_cel::{Arena, Slot};

const EVENT: &str = r#"{
    "host": "db-1", "mount": "/tmp", "used_pct": 95.5, "count": 3, "big": 18446744073709551615, "zero": 0,
    "tags": ["prod", "eu"], "nothing": null, "ok": true, "nested": {"a": {"b": 7}},
    "labels": {"team": "core", "env": "prod"}, "numbers": [1, 2, 3], "ratio": 1.0, "at": "2026-11-17T06:00:00Z"
}"#;
const NOW_MS: i64 = 1_795_000_000_123;

fn source(criteria: &str) -> RuleSource {
    RuleSource { rule: "demo.rule".into(), criteria: Some(criteria.to_owned()) }
}

fn kv() -> Kv {
    Kv::new([("frozen_hosts", r#"["db-7"]"#), ("limit", "90"), ("petrel/dispatch", "\"on\"")]).unwrap()
}

/// The verdict as text: `true`, `false`, `missing x`, or the error's code.
fn verdict_on(event: &str, criteria: &str) -> String {
    let rules =
        RuleSet::compile(&TriggerSchema::none(), [source(criteria)]).unwrap_or_else(|e| panic!("{criteria}: {}", e[0]));
    let mut verdicts = Vec::new();
    let mut proposed = false;
    Matcher::new()
        .run(&rules, event.as_bytes(), NOW_MS, &kv(), &mut |_, verdict| proposed = verdict == Verdict::True)
        .unwrap();
    Matcher::new()
        .scan(&rules, event.as_bytes(), NOW_MS, &kv(), &mut |_, verdict| {
            assert_eq!(proposed, verdict == Verdict::True, "the index changes the answer of {criteria}");
            verdicts.push(match verdict {
                Verdict::True => "true".to_owned(),
                Verdict::False => "false".to_owned(),
                Verdict::Missing(name) => format!("missing {name}"),
                Verdict::Error(error) => error.code().to_owned(),
            });
        })
        .unwrap();
    assert_eq!(verdicts.len(), 1);
    verdicts.remove(0)
}

fn check_all(cases: &[(&str, &str)]) {
    for (criteria, expected) in cases {
        assert_eq!(verdict_on(EVENT, criteria), *expected, "{criteria}");
    }
}

#[test]
fn verdicts() {
    check_all(&[
        (r#"trigger.used_pct > 90.0 && trigger.mount == "/tmp" && !(trigger.host in kv.frozen_hosts)"#, "true"),
        ("trigger.used_pct > 99.0", "false"),
        ("trigger.used_pct > kv.limit", "true"),
        (r#"kv["petrel/dispatch"] == "on""#, "true"),
        ("trigger.ok", "true"),
        ("!trigger.ok", "false"),
        (r#"trigger["host"] == "db-1""#, "true"),
        (r#""prod" in trigger.tags"#, "true"),
        (r#""team" in trigger.labels"#, "true"),
        ("trigger.nested.a.b == 7", "true"),
        ("trigger.tags[0] == 'prod'", "true"),
        ("trigger.tags.exists(t, t == 'eu')", "true"),
        ("trigger.numbers.all(n, n > 0)", "true"),
        ("trigger.numbers.exists_one(n, n == 2)", "true"),
        ("size(trigger.numbers.filter(n, n > 1)) == 2", "true"),
        ("trigger.numbers.map(n, n * 2) == [2, 4, 6]", "true"),
        ("trigger.labels.map(k, k) == ['env', 'team']", "true"),
        ("trigger.labels.all(k, trigger.labels[k] != '')", "true"),
        ("trigger.labels == {'env': 'prod', 'team': 'core'}", "true"),
        ("{'env': 'prod', 'team': 'core'} == trigger.labels", "true"),
        ("trigger.host.matches('^db-[0-9]+$')", "true"),
        ("matches(trigger.host, 'x') || trigger.host.matches('d')", "true"),
        ("trigger.host.startsWith('db') && trigger.host.contains('-') && trigger.host.endsWith('1')", "true"),
        ("size(trigger.host) == 4 && trigger.host.size() == 4", "true"),
        ("now > timestamp('2026-01-01T00:00:00Z')", "true"),
        ("now.getMilliseconds() == 123", "true"),
        ("now - timestamp(trigger.at) > duration('1h')", "true"),
        ("trigger.big == 18446744073709551615u && type(trigger.big) == uint", "true"),
        ("type(trigger.count) == int && type(trigger.used_pct) == double", "true"),
        ("trigger.ratio == 1 && trigger.count == 3.0 && 1 in [1.0]", "true"),
        ("trigger.nothing == null", "true"),
        ("trigger.host != 3", "true"),
        ("has(trigger.host) && !has(trigger.absent)", "true"),
        ("trigger.ok ? trigger.count == 3 : false", "true"),
        ("[1, 2].exists(trigger, trigger == 2)", "true"),
    ]);
}

#[test]
fn a_missing_field_is_a_plain_no_match() {
    check_all(&[
        ("trigger.absent > 1", "missing absent"),
        ("trigger.absent != 'a'", "missing absent"),
        ("trigger.absent == null", "missing absent"),
        ("!(trigger.absent == 'a')", "missing absent"),
        ("trigger.nested.x.y == 1", "missing x"),
        ("trigger['absent'] == 1", "missing absent"),
        ("kv.unknown == 1", "missing unknown"),
        ("has(trigger.absent.deeper)", "missing absent"),
        // Absorbed by the other side.
        ("trigger.absent > 1 || trigger.ok", "true"),
        ("trigger.absent > 1 && false", "false"),
        ("has(trigger.absent) && trigger.absent > 1", "false"),
    ]);
}

#[test]
fn errors_have_stable_codes() {
    check_all(&[
        ("trigger.count / trigger.zero > 1", "divide_by_zero"),
        ("trigger.count % trigger.zero > 1", "modulo_by_zero"),
        ("trigger.count + 9223372036854775807 > 1", "overflow"),
        ("trigger.host > 1", "no_such_overload"),
        ("trigger.nothing < 1", "no_such_overload"),
        ("trigger.count + trigger.used_pct > 1.0", "no_such_overload"),
        ("trigger.host.a == 1", "no_such_overload"),
        ("'a' in trigger.host", "no_such_overload"),
        ("trigger.count.startsWith('a')", "no_such_overload"),
        ("trigger.tags[9] == 'a'", "index_out_of_bounds"),
        ("trigger.count", "not_bool"),
        ("trigger.labels", "not_bool"),
        ("trigger.nothing", "not_bool"),
        ("timestamp(trigger.host) == now", "invalid_argument"),
        ("int(trigger.host) == 1", "invalid_argument"),
        ("duration('1d') == duration('24h')", "invalid_argument"),
        ("{'a': 1, 'a': 2}.a == 1", "duplicate_key"),
        ("{trigger.nothing: 1}.size() == 1", "unsupported_key"),
        // Absorbed by the other side, on either side.
        ("1 / trigger.zero > 0 || true", "true"),
        ("false && 1 / trigger.zero > 0", "false"),
        ("trigger.numbers.exists(n, n / 0 > 1 || n == 3)", "true"),
    ]);
}

#[test]
fn an_event_that_is_no_object_has_no_fields() {
    for event in ["[]", "1", "\"x\"", "null"] {
        assert_eq!(verdict_on(event, "trigger.a == 1"), "no_such_overload", "{event}");
        assert_eq!(verdict_on(event, "type(trigger) != bool"), "true", "{event}");
    }
}

#[test]
fn error_texts_hold_types_and_no_values() {
    let rules = RuleSet::compile(&TriggerSchema::none(), [source("trigger.labels < trigger.host")]).unwrap();
    let mut text = String::new();
    let mut on = |_, verdict: Verdict<'_>| {
        if let Verdict::Error(error) = verdict {
            text = error.to_string();
        }
    };
    Matcher::new().run(&rules, EVENT.as_bytes(), 0, &kv(), &mut on).unwrap();
    assert!(text.contains("map") && text.contains("string") && !text.contains("core"), "{text}");
}

#[test]
fn a_step_budget_ends_nested_comprehensions() {
    let list = format!("[{}]", (0..1000).map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    let event = format!(r#"{{"l":{list}}}"#);
    let nested = "trigger.l.all(a, trigger.l.all(b, trigger.l.all(c, a + b + c >= 0)))";
    assert_eq!(verdict_on(&event, nested), "steps_exceeded");
    assert_eq!(verdict_on(&event, "trigger.l.exists(a, trigger.l.exists(b, b > 9999))"), "steps_exceeded");
    assert_eq!(verdict_on(&event, "trigger.l.all(a, a >= 0)"), "true");
}

/// A rule that uses up its budget again and again is not asked any more; others are, and a set that is
/// compiled anew begins anew.
#[test]
fn a_rule_that_always_exceeds_its_budget_is_quarantined() {
    let list = format!("[{}]", (0..400).map(|i| i.to_string()).collect::<Vec<_>>().join(","));
    let event = format!(r#"{{"l":{list},"ok":true}}"#);
    let greedy = source("trigger.l.all(a, trigger.l.all(b, trigger.l.all(c, a + b + c >= 0)))");
    let sources = [greedy, source("trigger.ok")];
    let rules = RuleSet::compile(&TriggerSchema::none(), sources.clone()).unwrap();
    let mut matcher = Matcher::new();
    let mut decide = |rules: &RuleSet| {
        let mut verdicts = [String::new(), String::new()];
        let mut on = |rule: RuleIndex, verdict: Verdict<'_>| {
            verdicts[rule.0] = match verdict {
                Verdict::Error(fault) => fault.code().to_owned(),
                other => format!("{other:?}"),
            };
        };
        matcher.run(rules, event.as_bytes(), 0, &Kv::empty(), &mut on).unwrap();
        verdicts
    };
    for _ in 0..BUDGET_FAULTS_MAX {
        assert_eq!(decide(&rules), ["steps_exceeded", "True"]);
    }
    assert_eq!(decide(&rules), ["quarantined", "True"]);
    assert_eq!(rules.stats().quarantined, 1);
    assert_eq!(rules.update(&[RuleIndex(0)], []).unwrap().stats().quarantined, 0, "it is gone");
    let again = RuleSet::compile(&TriggerSchema::none(), sources).unwrap();
    assert_eq!(decide(&again), ["steps_exceeded", "True"]);
}

fn mistakes(criteria: &str) -> Vec<String> {
    match RuleSet::compile(&TriggerSchema::none(), [source(criteria)]) {
        Ok(_) => panic!("{criteria} compiles"),
        Err(errors) => errors.iter().map(|e| format!("{}:{}: {}", e.line, e.column, e.message)).collect(),
    }
}

#[test]
fn mistakes_are_located_and_suggest_a_fix() {
    let cases = [
        ("triger.a == 1", "1:1: unknown variable `triger`; did you mean `trigger`?"),
        ("trigger.a == 1 &&\n  event.b", "2:3: unknown variable `event`; there are `trigger`, `now`, `kv`"),
        ("'é' == trigger.a && foo", "1:21: unknown variable `foo`; there are `trigger`, `now`, `kv`"),
        ("trigger.a.startswith('x')", "1:21: unknown function `startswith`; did you mean `startsWith`?"),
        ("frobnicate(trigger.a)", "1:11: unknown function `frobnicate`"),
        ("size(trigger.a, 1) == 1", "1:5: `size` takes 1 argument, not 2"),
        ("trigger.a.int() == 1", "1:14: `int` is not called on a value: write `int(x)`"),
        ("contains(trigger.a, 'x')", "1:9: `contains` is called on a value: write `x.contains(…)`"),
        ("trigger.a.matches('(')", "1:18: invalid regular expression: error: unclosed group"),
        ("trigger.a.exists(x)", "1:17: `exists` is not used like this: write `list.exists(x, condition)`"),
        ("trigger.list.all(i, i.x == j)", "1:28: unknown variable `j`; did you mean `i`?"),
        ("foo.Bar{a: 1}.a == 1", "1:8: messages are not supported"),
        ("", "1:1: the expression is empty"),
        (" \n ", "1:1: the expression is empty"),
        ("__(1)", "1:3: unknown function `__`"),
    ];
    for (criteria, expected) in cases {
        assert!(mistakes(criteria).contains(&expected.to_owned()), "{criteria}: {:?}", mistakes(criteria));
    }
    let syntax = ["'é' ===", "trigger.a ==", "trigger.a = 1", "(trigger.a", "trigger..a", "'open", "a b"];
    for criteria in syntax {
        let found = mistakes(criteria);
        assert!(found[0].starts_with("1:"), "{criteria}: {found:?}");
        assert!(!found[0].contains('{') && found.len() <= 5, "{criteria}: {found:?}");
    }
}

#[test]
fn all_mistakes_of_all_rules_are_collected() {
    let rules = ["a.x", "trigger.ok", "b.y && c.z"].into_iter().enumerate();
    let rules = rules.map(|(i, c)| RuleSource { rule: format!("p.r{i}").into(), criteria: Some(c.into()) });
    let errors = RuleSet::compile(&TriggerSchema::none(), rules).unwrap_err();
    let at: Vec<_> = errors.iter().map(|e| (e.at.as_str(), e.column)).collect();
    assert_eq!(at, [("p.r0", 1), ("p.r2", 1), ("p.r2", 8)]);
}

/// Rows 19, 20 and 22 of the attacks: an error, quickly, in little memory, and the process lives.
#[test]
fn hostile_criteria_are_errors() {
    let started = std::time::Instant::now();
    let nest = |open: &str, inner: &str, close: &str, n: usize| format!("{}{inner}{}", open.repeat(n), close.repeat(n));
    let hostile = [
        "!!(".repeat(31),
        nest("[", "1", "]", 200),
        nest("(", "true", ")", 200),
        nest("!(", "true", ")", 200),
        nest("{1:", "1", "}", 200),
        "(".repeat(8000),
        "{".repeat(8000),
        "1+".repeat(4000) + "1 == 1",
        "trigger".to_owned() + &".a".repeat(4000),
        "trigger.a[".repeat(800),
        "true ? ".repeat(1000),
        "[].map(x, ".repeat(700),
        "\\".repeat(8000),
        "'".repeat(7999),
        "x".repeat(CRITERIA_BYTES_MAX + 1),
        "true || ".repeat(100_000) + "true",
        r"trigger.a.matches('(((a{100}){100}){100}){100}')".to_owned(),
        format!("trigger.a.matches('{}')", "(".repeat(5000)),
    ];
    for criteria in hostile {
        let found = mistakes(&criteria);
        assert!(found.len() <= 5 && found.iter().all(|m| m.len() < 400), "{found:?}");
    }
    // The parser folds these: they are small once parsed.
    for criteria in ["!".repeat(8000) + "trigger.ok", "-".repeat(8000) + "1 == 1"] {
        assert_eq!(verdict_on(EVENT, &criteria), "true");
    }
    assert!(started.elapsed().as_secs() < 20, "took {:?}", started.elapsed());
}

/// The deepest criterion that compiles must not overflow the stack of the thread that evaluates it.
#[test]
fn the_deepest_criteria_are_evaluated_on_a_small_stack() {
    let deep = [
        "1+".repeat(CRITERIA_DEPTH_MAX - 5) + "1 > 1",
        "!(".repeat(60) + "trigger.ok" + &")".repeat(60),
        "[1].all(x, ".repeat(60) + "trigger.ok" + &")".repeat(60),
        "trigger.ok".to_owned() + &" && trigger.ok".repeat(400),
    ];
    let rules = deep.map(|c| source(&c));
    let rules = RuleSet::compile(&TriggerSchema::none(), rules).unwrap();
    let run = || {
        let mut decided = 0;
        let mut on = |_, verdict: Verdict<'_>| decided += usize::from(matches!(verdict, Verdict::True));
        Matcher::new().run(&rules, EVENT.as_bytes(), 0, &Kv::empty(), &mut on).unwrap();
        decided
    };
    let thread = std::thread::Builder::new().stack_size(1 << 20);
    assert_eq!(std::thread::scope(|s| thread.spawn_scoped(s, run).unwrap().join().unwrap()), 4);
}

#[test]
fn a_rule_without_criteria_matches_everything() {
    let rules = [RuleSource { rule: "p.all".into(), criteria: None }];
    let rules = RuleSet::compile(&TriggerSchema::none(), rules).unwrap();
    let mut seen = Vec::new();
    Matcher::new().run(&rules, b"{}", 0, &Kv::empty(), &mut |i, v| seen.push((i.0, v == Verdict::True))).unwrap();
    assert_eq!(seen, [(0, true)]);
    assert_eq!(rules.rule(RuleIndex(0)), "p.all");
}

#[test]
fn what_a_removed_rule_read_is_left_in_parts() {
    let criteria = ["size(trigger.nested) > 1", "has(trigger.nested.id)"];
    let rules = RuleSet::compile(&TriggerSchema::none(), criteria.map(source)).unwrap();
    let nested = |rules: &RuleSet| {
        let slot = rules.paths().find(SlotId::ROOT, "nested").unwrap();
        let mut reader = EventReader::new();
        let event = reader.read(br#"{"nested": {"id": 1}}"#, rules.layout()).unwrap();
        matches!(event.slots()[slot.index()], Slot::Object)
    };
    assert!(!nested(&rules));
    assert!(nested(&rules.update(&[RuleIndex(0)], []).unwrap()));
}

#[test]
fn rules_that_are_always_asked_are_counted_until_they_are_removed() {
    let always = RuleSource { rule: "p.all".into(), criteria: None };
    let rules = RuleSet::compile(&TriggerSchema::none(), [always, source("trigger.a == 1")]).unwrap();
    assert_eq!(rules.stats().always, 1);
    assert_eq!(rules.update(&[RuleIndex(0)], []).unwrap().stats().always, 0);
}

#[test]
fn malformed_events_run_no_rule() {
    let rules = RuleSet::compile(&TriggerSchema::none(), [source("true")]).unwrap();
    for event in ["", "{", "{} x", "{\"a\":\u{1}}"] {
        let result = Matcher::new().run(&rules, event.as_bytes(), 0, &Kv::empty(), &mut |_, _| panic!("{event}"));
        assert!(result.is_err(), "{event}");
    }
}

#[test]
fn schemas_check_what_is_required_and_what_rules_read() {
    let schema = TriggerSchema::compile(&json!({
        "type": "object",
        "required": ["host", "nested"],
        "properties": {
            "host": {"type": "string"},
            "unread": {"type": "string"},
            "pct": {"type": ["number", "null"]},
            "count": {"type": "integer"},
            "nested": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}},
            "list": {"type": "array", "items": {"type": "integer"}},
        }
    }));
    let criteria = "trigger.host == 'a' && trigger.pct > 1.0 && trigger.count > 1 && size(trigger.list) > 1";
    let rules = RuleSet::compile(&schema, [source(criteria)]).unwrap();
    let cases = [
        (r#"{"host":"a","nested":{"id":"x"}}"#, ""),
        (r#"{"host":"a","nested":{"id":"x"},"unread":1,"pct":null,"count":2.0,"list":[1]}"#, ""),
        (r#"{"host":"a"}"#, "/nested: expected a value, found nothing"),
        (r#"{"host":"a","nested":{}}"#, "/nested/id: expected a value, found nothing"),
        (r#"{"host":1,"nested":{"id":"x"}}"#, "/host: expected string, found integer"),
        (r#"{"host":null,"nested":{"id":"x"}}"#, "/host: expected string, found null"),
        (r#"{"host":"a","nested":{"id":"x"},"pct":"9"}"#, "/pct: expected number or null, found string"),
        (r#"{"host":"a","nested":{"id":"x"},"count":1.5}"#, "/count: expected integer, found number"),
        (r#"{"host":"a","nested":{"id":"x"},"list":[1,"2"]}"#, "/list/*: expected integer, found string"),
        // Nobody reads it, and it need not be there to be of a type.
        (r#"{"host":"a","nested":7}"#, ""),
        ("[]", ": expected object, found array"),
    ];
    for (event, expected) in cases {
        let arena = Arena::new();
        let parsed = ParsedEvent::parse(event.as_bytes(), rules.layout(), &mut Extractor::new(), &arena).unwrap();
        let found = rules.check(&parsed).err().map(|v| v.to_string()).unwrap_or_default();
        assert_eq!(found, expected, "{event}");
    }
}

#[test]
fn a_schema_decides_what_is_a_double() {
    let schema = TriggerSchema::compile(&json!({"properties": {"pct": {"type": "number"}}}));
    let rules = RuleSet::compile(&schema, [source("trigger.pct / 2.0 == 47.5 && type(trigger.n) == int")]).unwrap();
    let mut matched = false;
    let mut on = |_, v: Verdict<'_>| matched = v == Verdict::True;
    Matcher::new().run(&rules, br#"{"pct":95,"n":95}"#, 0, &Kv::empty(), &mut on).unwrap();
    assert!(matched);
}

/// What is easily got wrong, as the specification has it.
#[test]
fn semantics_are_those_of_the_specification() {
    check_all(&[
        ("1 == 1.0 && 1u == 1 && [1] == [1.0] && 1 in [1.0]", "true"),
        ("1 != 'a'", "true"),
        ("1 + 0.5 > 1.0", "no_such_overload"),
        ("2.0 % 2.0 == 0.0", "no_such_overload"),
        ("'a' < 1", "no_such_overload"),
        ("null < 1", "no_such_overload"),
        ("9007199254740993 == 9007199254740992.0", "true"),
        ("trigger.absent != 1", "missing absent"),
        ("1 || true", "true"),
        ("true || 1", "true"),
        ("1 && false", "false"),
        ("false && 1", "false"),
        ("1 || false", "no_such_overload"),
        ("[1, 'a', 3].exists(x, x > 2)", "true"),
        ("['a', 3].all(x, x > 5)", "false"),
        ("[1, 'a'].exists_one(x, x > 0)", "no_such_overload"),
        ("[1, 'a'].map(x, x + 1) == []", "no_such_overload"),
        ("['a', 1].filter(x, x > 0) == [1]", "no_such_overload"),
        ("has(trigger.nothing)", "true"),
        ("has(trigger.tags.x)", "no_such_overload"),
        ("has(trigger.host.x)", "false"),
        ("has(trigger.count.x)", "false"),
        ("has(trigger.nothing.x)", "false"),
        ("has(trigger.labels.team) && !has(trigger.labels.x) && has(trigger['labels'].team)", "true"),
        ("[trigger.labels].exists(l, has(l.team))", "true"),
        ("has({'a': 1}.a)", "true"),
        ("1 in trigger.labels", "false"),
        ("trigger.tags[0.0] == 'prod'", "true"),
        ("size('é🐱') == 2", "true"),
        ("'Z' < 'a' && 'é' > 'z'", "true"),
        ("0.0 / 0.0 == 0.0 / 0.0", "false"),
        ("[0.0 / 0.0] == [0.0 / 0.0]", "false"),
        ("1.0 / 0.0 > 1e308", "true"),
        ("1 / 0 == 1", "divide_by_zero"),
        ("9223372036854775807 + 1 > 0", "overflow"),
        ("-9223372036854775808 - 1 < 0", "overflow"),
        ("9223372036854775807 * 2 > 0", "overflow"),
        ("0u - 1u == 0u", "overflow"),
        ("-5 / 2 == -2 && -5 % 2 == -1", "true"),
        ("timestamp('2026-01-01T00:00:00') == now", "invalid_argument"),
        ("timestamp('2026-01-01 00:00:00Z') == now", "invalid_argument"),
        ("timestamp('2026-01-01t00:00:00z') == now", "invalid_argument"),
        ("timestamp('2016-12-31T23:59:60Z') == now", "invalid_argument"),
        ("timestamp('0000-12-31T23:59:59Z') < now", "invalid_argument"),
        (
            "timestamp('2026-01-01T00:00:00.5Z') < now && timestamp(timestamp(0)) == timestamp('1970-01-01T00:00:00Z')",
            "true",
        ),
        ("timestamp(1.5) < now", "no_such_overload"),
        ("timestamp('2026-01-01T01:00:00+01:00').getHours() == 0", "true"),
        ("timestamp('2026-01-01T00:00:00Z').getMonth() == 0", "true"),
        ("timestamp('2026-01-01T00:00:00Z').getDate() == 1", "true"),
        ("duration('1d') == duration('24h')", "invalid_argument"),
        ("string(1.0) == '1' && string(true) == 'true' && string(1u) == '1'", "true"),
        ("int('9') == 9 && int(9.9) == 9 && double('1e3') == 1000.0", "true"),
        ("type(1) == int && type(null) == null_type", "true"),
        ("(trigger.absent > 1 ? 1 : 2) == 1", "missing absent"),
        ("1 ? true : false", "no_such_overload"),
        ("!1", "no_such_overload"),
        ("-trigger.host == 'a'", "no_such_overload"),
        ("b'a' == b'a' && size(b'é') == 2", "true"),
        ("'\\u00e9' == 'é' && r'\\n' != '\\n'", "true"),
        ("{'a': 1}['a'] == 1 && {1: 'x'}[1.0] == 'x'", "true"),
    ]);
}
