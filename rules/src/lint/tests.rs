use serde_json::json;

use super::*;
use crate::engine::{Matcher, RuleSet, Verdict};
use crate::kv::Kv;

fn rule(name: &str, criteria: Option<&str>, actions: &[&str]) -> LintRule {
    let source = RuleSource { rule: name.into(), criteria: criteria.map(str::to_owned) };
    LintRule { source, actions: actions.iter().map(|action| ((*action).to_owned(), json!({}))).collect() }
}

fn kinds(rules: &[LintRule]) -> Vec<(&'static str, String, Option<String>)> {
    let findings = lint(&TriggerSchema::none(), rules).unwrap().findings;
    findings.iter().map(|f| (f.kind.name(), f.rule.to_string(), f.other.as_ref().map(|o| o.to_string()))).collect()
}

/// What is found of one rule alone.
fn alone(criteria: &str) -> Vec<&'static str> {
    kinds(&[rule("r", Some(criteria), &[])]).into_iter().map(|(kind, ..)| kind).collect()
}

#[test]
fn rules_by_themselves() {
    let cases: [(&str, &[&str]); 8] = [
        ("trigger.a == 1", &[]),
        ("trigger.a > 1 && trigger.a < 5", &[]),
        ("now > timestamp('2026-01-01T00:00:00Z')", &["always_list"]),
        ("trigger.a == 1 || now.getHours() == 3", &["always_list"]),
        ("trigger.a == 1 && now.getHours() == 3", &[]),
        ("true", &["always_list"]),
        ("!has(trigger.a)", &[]),
        ("trigger.a + 1", &["never_matches"]),
    ];
    for (criteria, expected) in cases {
        assert_eq!(alone(criteria), expected, "{criteria}");
    }
}

/// (criterion, whether it is shown that it never matches)
const CONTRADICTIONS: [(&str, bool); 44] = [
    ("false", true),
    ("1 > 2 && trigger.a == 1", true),
    ("trigger.a == 1 && trigger.a == 2", true),
    ("trigger.a == 1 && trigger.a == 1.0", false),
    ("trigger.a in ['x', 'y'] && trigger.a == 'z'", true),
    ("trigger.a in ['x', 'y'] && trigger.a == 'y'", false),
    ("trigger.a > 5 && trigger.a < 1", true),
    ("trigger.a > 5 && trigger.a <= 5", true),
    ("trigger.a >= 5 && trigger.a <= 5", false),
    ("trigger.a >= 5 && trigger.a < 5.0", true),
    ("trigger.a > 5 && trigger.a < 6", false),
    ("5 > trigger.a && trigger.a > 7", true),
    ("trigger.a > 9007199254740992 && trigger.a < 9007199254740993", false),
    ("trigger.a > 'b' && trigger.a < 'a'", true),
    ("trigger.a > 5 && trigger.a == 3", true),
    ("trigger.a > 5 && trigger.a == 'x'", true),
    ("trigger.a > 5 && trigger.a < 'x'", true),
    ("trigger.a > 5 && trigger.a.startsWith('x')", true),
    ("trigger.a > 5 && trigger.a != 7", false),
    ("trigger.a == 1 && trigger.a != 1", true),
    ("trigger.a != 1 && trigger.a != 2", false),
    ("trigger.a > 5 && !(trigger.a > 5)", true),
    ("!(trigger.a > 5) && !(trigger.a < 5)", false),
    ("has(trigger.a) && !has(trigger.a)", true),
    ("!has(trigger.a) && trigger.a == 1", true),
    ("!has(trigger.a) && trigger.a != 1", true),
    ("!has(trigger.a) && (trigger.a == 1 || trigger.b == 1)", false),
    // has(a.b) without a is an error.
    ("!has(trigger.a) && !has(trigger.a.b)", true),
    ("!has(trigger.a.b) && !has(trigger.c)", false),
    ("trigger.a.startsWith('x') && trigger.a == 'y'", true),
    ("trigger.a.startsWith('ab') && trigger.a.startsWith('ac')", true),
    ("trigger.a.startsWith('ab') && trigger.a.startsWith('a')", false),
    ("trigger.a.endsWith('ab') && trigger.a.endsWith('b')", false),
    ("trigger.a.endsWith('ab') && trigger.a.endsWith('cb')", true),
    ("trigger.a.contains('ab') && trigger.a.contains('c')", false),
    ("trigger.a == 'x' && trigger.a.size() > 1", true),
    ("trigger.a.matches('^a') && trigger.a == 'b'", true),
    ("trigger.a == 0 && 1.0 / trigger.a > 0.0", false),
    ("trigger.a == 1 && type(trigger.a) == double", false),
    ("(trigger.a == 1 || trigger.a == 2) && trigger.a > 2", true),
    ("(trigger.a == 1 || trigger.a == 2) && trigger.a > 1", false),
    ("trigger.a && !trigger.a", true),
    ("trigger.a && trigger.a == true", false),
    ("trigger.a && trigger.a > 1", true),
];

#[test]
fn rules_that_never_match() {
    for (criteria, expected) in CONTRADICTIONS {
        assert_eq!(alone(criteria).contains(&"never_matches"), expected, "{criteria}");
    }
}

#[test]
fn the_conditions_that_contradict_each_other_are_named_and_located() {
    let schema = TriggerSchema::compile(&json!({"properties": {"s": {"type": "string"}}}));
    let cases = [
        (
            "trigger.a > 5 &&\n  trigger.a == 3",
            "r:2:3: never_matches: it never matches: `trigger.a > 5` and `trigger.a == 3` exclude each other",
        ),
        (
            "!(trigger.a == 1) && trigger.a in [1]",
            "r:1:22: never_matches: it never matches: `!(trigger.a == 1)` and `trigger.a in [1]` exclude each other",
        ),
        (
            "trigger.a != 1 && trigger.a == 1",
            "r:1:19: never_matches: it never matches: `trigger.a != 1` and `trigger.a == 1` exclude each other",
        ),
        (
            "trigger.s > 1 && trigger.a == 1",
            "r:1:1: never_matches: it never matches: `trigger.s > 1` is true of no value that the schema allows",
        ),
        (
            "trigger.s == 5 || trigger.s in [1, true]",
            "r:1:1: never_matches: it never matches: none of its alternatives can hold; of the first, `trigger.s == 5` is true of no value that the schema allows",
        ),
        ("trigger.s", "r:1:8: never_matches: the criterion is a string, not a bool: it never matches"),
    ];
    for (criteria, expected) in cases {
        let found = lint(&schema, &[rule("r", Some(criteria), &[])]).unwrap().findings;
        let never = found.iter().find(|finding| finding.kind == FindingKind::NeverMatches).map(ToString::to_string);
        assert_eq!(never.as_deref(), Some(expected), "{criteria}");
    }
    let open = lint(&schema, &[rule("r", Some("trigger.s == 'x' || trigger.s == 5"), &[])]).unwrap().findings;
    assert!(open.iter().all(|finding| finding.kind == FindingKind::UnknownField), "one alternative can hold: {open:?}");
}

#[test]
fn a_rule_that_never_matches_is_compared_with_no_other() {
    let rules = [
        rule("never", Some("trigger.a > 5 && trigger.a == 3"), &["p.do"]),
        rule("r", Some("trigger.a == 3"), &["p.do"]),
    ];
    assert_eq!(kinds(&rules), [("never_matches", "never".to_owned(), None)]);
}

#[test]
fn the_part_that_no_index_can_find_is_named_and_located() {
    let rules = [rule("r", Some("trigger.a == 1 ||\n  now.getHours() == 3"), &[])];
    let found = lint(&TriggerSchema::none(), &rules).unwrap().findings;
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
    let found = lint(&schema, &[rule("r", Some("trigger.hots == 'a'"), &[])]).unwrap().findings;
    assert_eq!(found.iter().map(|f| f.kind).collect::<Vec<_>>(), [FindingKind::UnknownField]);
    assert!(found[0].message.contains("hots"), "{}", found[0]);
    assert!(lint(&schema, &[rule("r", Some("trigger.host == 'a'"), &[])]).unwrap().findings.is_empty());
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
    assert!(overlap("trigger.b > 2 && trigger.b < 9", "trigger.b > 5", same));
    assert!(!overlap("trigger.b > 2 && trigger.b < 5", "trigger.b >= 5", same), "ranges apart");
    assert!(overlap("trigger.b > 2", "trigger.b in [1, 3] && trigger.c == 1", same));
    assert!(!overlap("trigger.b > 2", "trigger.b in [1, 2] && trigger.c == 1", same));
    assert!(overlap("trigger.b.startsWith('a') && trigger.c > 1", "trigger.b.startsWith('ab') && trigger.d > 1", same));
    assert!(!overlap("trigger.b.startsWith('ax')", "trigger.b.startsWith('ab')", same));
    assert!(!overlap("trigger.a == 1 && trigger.b == 3", "trigger.a == 1 && trigger.b > 5", same), "contradict");
    assert!(!overlap("has(trigger.a) && trigger.b == 3", "has(trigger.a) && trigger.c == 5", same), "presence alone");
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

/// Events with each of some values, or none, at two paths.
fn events() -> Vec<String> {
    let values =
        ["0", "-0.0", "1", "1.0", "2", "-1.5", "3", "null", "true", "\"\"", "\"a\"", "\"ab\"", "\"b\"", "[]", "{}"];
    let member = |name: &str, value: &str| format!("\"{name}\":{value}");
    let mut events = vec!["{}".to_owned()];
    for a in values {
        events.push(format!("{{{}}}", member("a", a)));
        events.push(format!("{{{}}}", member("b", a)));
        events.extend(values.map(|b| format!("{{{},{}}}", member("a", a), member("b", b))));
    }
    events
}

/// Whether each of two rules matches an event.
fn matches(set: &RuleSet, event: &str) -> [bool; 2] {
    let mut matched = [false; 2];
    let mut each = |index: crate::RuleIndex, verdict: Verdict<'_>| matched[index.0] = verdict == Verdict::True;
    Matcher::new().scan(set, event.as_bytes(), 0, &Kv::empty(), &mut each).unwrap();
    matched
}

#[test]
fn what_is_said_of_random_rules_is_true_of_every_event() {
    let events = events();
    let mut numbers = Numbers(1);
    let (mut redundant, mut never, mut apart) = (0, 0, 0);
    for _ in 0..1_000 {
        let (a, b) = (numbers.criteria(2), numbers.criteria(2));
        let rules = [rule("b", Some(&b), &["p.do"]), rule("a", Some(&a), &["p.do"])];
        let found = kinds(&rules);
        let is = |kind: &str, name: &str| found.iter().any(|(of, rule, _)| *of == kind && rule == name);
        apart += usize::from(found.is_empty());
        if !["a", "b"].iter().any(|name| is("never_matches", name) || is("redundant", name)) {
            continue;
        }
        let set = RuleSet::compile(&TriggerSchema::none(), rules.map(|rule| rule.source)).unwrap();
        let matched: Vec<[bool; 2]> = events.iter().map(|event| matches(&set, event)).collect();
        for (number, name) in ["b", "a"].into_iter().enumerate() {
            let wrong = |event: &[bool; 2]| {
                event[number] && (is("never_matches", name) || is("redundant", name) && !event[1 - number])
            };
            let event = matched.iter().position(wrong).map(|event| &events[event]);
            assert_eq!(event, None, "{found:?} of a: {a}, b: {b}");
            never += usize::from(is("never_matches", name));
            redundant += usize::from(is("redundant", name));
        }
    }
    assert!(redundant > 20 && never > 20 && apart > 20, "too few pairs tell anything: {redundant}, {never}, {apart}");
}

#[test]
fn rules_that_one_path_keeps_apart_are_not_compared_on_another() {
    let mut rules: Vec<LintRule> = (0..3_000)
        .map(|n| rule(&format!("r{n}"), Some(&format!("trigger.host == 'h{n}' && trigger.n > {n}")), &["p.do"]))
        .collect();
    rules.push(rule("range", Some("trigger.n < 3 && trigger.kind == 1"), &["p.do"]));
    rules.push(rule("equal", Some("trigger.host == 'h7' && trigger.kind == 2"), &["p.do"]));
    let report = lint(&TriggerSchema::none(), &rules).unwrap();
    assert!(!report.pairs_left_out);
    let with = |name: &str| report.findings.iter().filter(|finding| &*finding.rule == name).count();
    assert_eq!((with("range"), with("equal")), (3, 1));
}

#[test]
fn what_is_compared_is_bounded() {
    let rules: Vec<LintRule> = (0..3_000)
        .map(|n| rule(&format!("r{n}"), Some(&format!("trigger.kind == 'k' && trigger.n == {n}")), &["p.do"]))
        .collect();
    let report = lint(&TriggerSchema::none(), &rules).unwrap();
    assert!(report.findings.is_empty(), "they all exclude each other");
    assert!(report.pairs_left_out, "and they are too many to be compared, which is told");
}
