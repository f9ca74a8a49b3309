use serde_json::json;

use super::*;
use crate::engine::{Matcher, RuleSet, Verdict};
use crate::kv::Kv;

fn rule(name: &str, criteria: Option<&str>, actions: &[&str]) -> LintRule {
    let source = RuleSource { rule: name.into(), criteria: criteria.map(str::to_owned) };
    LintRule { source, actions: actions.iter().map(|action| ((*action).to_owned(), json!({}))).collect() }
}

fn kinds(rules: &[LintRule]) -> Vec<(&'static str, String, Option<String>)> {
    let findings = lint(&TriggerSchema::none(), rules).unwrap();
    findings.iter().map(|f| (f.kind.name(), f.rule.to_string(), f.other.as_ref().map(|o| o.to_string()))).collect()
}

/// What is found of one rule alone.
fn alone(criteria: &str) -> Vec<&'static str> {
    kinds(&[rule("r", Some(criteria), &[])]).into_iter().map(|(kind, ..)| kind).collect()
}

#[test]
fn rules_by_themselves() {
    let cases: [(&str, &[&str]); 12] = [
        ("trigger.a == 1", &[]),
        ("trigger.a > 1 && trigger.a < 5", &[]),
        ("false", &["never_matches"]),
        ("1 > 2 && trigger.a == 1", &["never_matches"]),
        ("trigger.a == 1 && trigger.a == 2", &["never_matches"]),
        ("trigger.a in ['x', 'y'] && trigger.a == 'z'", &["never_matches"]),
        ("trigger.a > 5 && trigger.a < 1", &["never_matches"]),
        ("now > timestamp('2026-01-01T00:00:00Z')", &["always_list"]),
        ("trigger.a == 1 || now.getHours() == 3", &["always_list"]),
        ("trigger.a == 1 && now.getHours() == 3", &[]),
        ("true", &["always_list"]),
        ("!has(trigger.a)", &[]),
    ];
    for (criteria, expected) in cases {
        assert_eq!(alone(criteria), expected, "{criteria}");
    }
}

#[test]
fn the_part_that_no_index_can_find_is_named_and_located() {
    let rules = [rule("r", Some("trigger.a == 1 ||\n  now.getHours() == 3"), &[])];
    let found = lint(&TriggerSchema::none(), &rules).unwrap();
    assert_eq!(
        found[0].to_string(),
        "r:2:3: always_list: every event has to ask it: `now.getHours() == 3` reads no field of the event in every case"
    );
    assert_eq!(found[0].to_json()["line"], 2);
    assert_eq!(kinds(&[rule("r", None, &[])]), [("always_list", "r".to_owned(), None)]);
}

#[test]
fn fields_that_no_event_has() {
    let schema = TriggerSchema::compile(&json!({"properties": {"host": {"type": "string"}}}));
    let found = lint(&schema, &[rule("r", Some("trigger.hots == 'a'"), &[])]).unwrap();
    assert_eq!(found.iter().map(|f| f.kind).collect::<Vec<_>>(), [FindingKind::UnknownField]);
    assert!(found[0].message.contains("hots"), "{}", found[0]);
    assert!(lint(&schema, &[rule("r", Some("trigger.host == 'a'"), &[])]).unwrap().is_empty());
    assert_eq!(alone("trigger.n + 1"), ["unknown_field"], "it is never a bool");
    assert!(lint(&schema, &[rule("r", Some("trigger.host =="), &[])]).is_err());
}

/// (what implies, what is implied, whether that is shown)
const IMPLICATIONS: [(&str, &str, bool); 33] = [
    ("trigger.a == 1", "trigger.a == 1", true),
    ("trigger.a == 1 && trigger.b == 2", "trigger.a == 1", true),
    ("trigger.a == 1", "trigger.a == 1 && trigger.b == 2", false),
    ("trigger.a == 1", "trigger.a == 1 || trigger.b == 2", true),
    ("trigger.a == 1 || trigger.b == 2", "trigger.a == 1", false),
    ("trigger.a == 'x'", "trigger.a in ['x', 'y']", true),
    ("trigger.a in ['x', 'y']", "trigger.a == 'x'", false),
    ("trigger.a in ['x', 'y']", "trigger.a in ['z', 'y', 'x']", true),
    ("trigger.a > 5", "trigger.a > 4", true),
    ("trigger.a > 5", "trigger.a >= 5.0", true),
    ("trigger.a >= 5", "trigger.a > 5", false),
    ("trigger.a > 4", "trigger.a > 5", false),
    ("trigger.a < 4", "trigger.a <= 5", true),
    ("5 < trigger.a", "trigger.a > 5", true),
    ("trigger.a > 5", "trigger.a < 6", false),
    ("trigger.a > 5", "trigger.b > 5", false),
    ("trigger.a > 9007199254740993", "trigger.a > 9007199254740992.0", false),
    ("trigger.a == 7", "trigger.a > 5", true),
    ("trigger.a == 7", "trigger.a > 8", false),
    ("trigger.a == 7", "trigger.a / 2 == 3", false),
    ("trigger.a == 7", "type(trigger.a) == int", false),
    ("trigger.a == 'abc'", "trigger.a.startsWith('ab')", true),
    ("trigger.a == 'abc'", "trigger.a.matches('^a.c$')", true),
    ("trigger.a == 'abc'", "trigger.a != 'd'", true),
    ("trigger.a == 'abc'", "trigger.a.startsWith(kv.p)", false),
    ("trigger.a.startsWith('abc')", "trigger.a.startsWith('ab')", true),
    ("trigger.a.startsWith('ab')", "trigger.a.startsWith('abc')", false),
    ("trigger.a.endsWith('abc')", "trigger.a.contains('b')", true),
    ("trigger.a > 5", "has(trigger.a)", true),
    ("!(trigger.a != 1)", "trigger.a == 1", true),
    ("!(trigger.a < 5)", "trigger.a >= 5", false),
    ("!(trigger.a == 1 || trigger.b == 1)", "trigger.a != 1", true),
    ("trigger.a == 0", "1.0 / trigger.a > 0.0", false),
];

#[test]
fn redundant_rules() {
    for (a, b, expected) in IMPLICATIONS {
        let rules = [rule("other", Some(b), &["p.do"]), rule("r", Some(a), &["p.do"])];
        let found = kinds(&rules).contains(&("redundant", "r".to_owned(), Some("other".to_owned())));
        assert_eq!(found, expected, "{a} implies {b}");
        let rules = [rule("other", Some(b), &["p.do"]), rule("r", Some(a), &["p.else"])];
        assert!(!kinds(&rules).iter().any(|(kind, ..)| *kind == "redundant"), "{a} with another action");
    }
}

#[test]
fn overlapping_rules() {
    let overlap = |a: &str, b: &str, actions: [&[&str]; 2]| {
        let found = kinds(&[rule("a", Some(a), actions[0]), rule("b", Some(b), actions[1])]);
        found.contains(&("overlap", "b".to_owned(), Some("a".to_owned())))
    };
    let same: [&[&str]; 2] = [&["p.do"], &["p.do"]];
    assert!(overlap("trigger.a == 1 && trigger.b > 2", "trigger.a == 1 && trigger.c == 3", same));
    assert!(!overlap("trigger.a == 1 && trigger.b > 2", "trigger.a == 1 && trigger.b < 1", same), "contradict");
    assert!(!overlap("trigger.b > 2", "trigger.c == 3", same), "nothing is shared");
    assert!(!overlap("trigger.a == 1 && trigger.b > 2", "trigger.a == 1 && trigger.c == 3", [&["p.x"], &["p.y"]]));
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn criteria(&mut self, depth: usize) -> String {
        if depth > 0 && self.below(3) > 0 {
            let (a, b) = (self.criteria(depth - 1), self.criteria(depth - 1));
            return match self.below(4) {
                0 => format!("!({a})"),
                1 => format!("({a} || {b})"),
                _ => format!("({a} && {b})"),
            };
        }
        let (slot, number) = (self.of(&["trigger.a", "trigger.b"]), self.of(&["0", "1", "1.0", "2", "-1.5"]));
        let text = self.of(&["''", "'a'", "'ab'", "'b'"]);
        match self.below(7) {
            0 => format!("{slot} {} {number}", self.of(&["<", "<=", ">", ">=", "==", "!="])),
            1 => format!("{number} {} {slot}", self.of(&["<", ">="])),
            2 => format!("{slot} in [{number}, {text}, 2]"),
            3 => format!("{slot}.{}({text})", self.of(&["startsWith", "endsWith", "contains"])),
            4 => format!("{slot} == {text}"),
            5 => format!("has({slot})"),
            _ => format!("{slot} / 2 < 1"),
        }
    }
}

#[test]
fn a_redundant_rule_matches_nothing_that_the_other_does_not() {
    let values =
        ["0", "-0.0", "1", "1.0", "2", "-1.5", "3", "null", "true", "\"\"", "\"a\"", "\"ab\"", "\"b\"", "[]", "{}"];
    let member = |name: &str, value: &str| format!("\"{name}\":{value}");
    let mut events = vec!["{}".to_owned()];
    for a in values {
        events.push(format!("{{{}}}", member("a", a)));
        events.push(format!("{{{}}}", member("b", a)));
        events.extend(values.map(|b| format!("{{{},{}}}", member("a", a), member("b", b))));
    }
    let mut numbers = Numbers(1);
    let mut shown = 0;
    for _ in 0..3_000 {
        let (a, b) = (numbers.criteria(2), numbers.criteria(2));
        let rules = [rule("b", Some(&b), &["p.do"]), rule("a", Some(&a), &["p.do"])];
        let found = kinds(&rules);
        let Some((_, redundant, _)) = found.iter().find(|(kind, ..)| *kind == "redundant") else { continue };
        shown += 1;
        let (narrow, wide) = if redundant == "a" { (1, 0) } else { (0, 1) };
        let set = RuleSet::compile(&TriggerSchema::none(), rules.map(|rule| rule.source)).unwrap();
        for event in &events {
            let mut matched = [false; 2];
            let mut each = |index: crate::RuleIndex, verdict: Verdict<'_>| matched[index.0] = verdict == Verdict::True;
            Matcher::new().scan(&set, event.as_bytes(), 0, &Kv::empty(), &mut each).unwrap();
            assert!(!matched[narrow] || matched[wide], "{redundant} is said to be redundant: a: {a}, b: {b}, {event}");
        }
    }
    assert!(shown > 50, "only {shown} of the pairs were comparable");
}

#[test]
fn what_is_compared_is_bounded() {
    let rules: Vec<LintRule> = (0..3_000)
        .map(|n| rule(&format!("r{n}"), Some(&format!("trigger.kind == 'k' && trigger.n == {n}")), &["p.do"]))
        .collect();
    assert!(kinds(&rules).is_empty(), "they all exclude each other");
}
