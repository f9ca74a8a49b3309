use serde_json::json;

use super::*;
use crate::engine::RuleIndex;

fn explained(criteria: Option<&str>, schema: &Json, event: &str) -> Explanation {
    let rule = RuleSource { rule: "demo.rule".into(), criteria: criteria.map(str::to_owned) };
    let kv = Kv::new([("frozen", r#"["b"]"#)]).unwrap();
    explain(&rule, &TriggerSchema::compile(schema), None, event.as_bytes(), 0, &kv).unwrap()
}

#[test]
fn verdicts_have_a_reason() {
    let cases = [
        (Some("trigger.n > 5"), r#"{"n": 6}"#, true, true, "the criterion is true"),
        (Some("trigger.n > 5"), r#"{"n": 5}"#, false, true, "`trigger.n > 5` is false"),
        (Some("trigger.n > 5"), r#"{"n": 1}"#, false, false, "`trigger.n > 5` is false"),
        (
            Some("trigger.host == 'a' && trigger.n > 5"),
            r#"{"host": "a", "n": 1}"#,
            false,
            false,
            "`trigger.n > 5` is false",
        ),
        (Some("trigger.n > 5 && trigger.m == 1"), r#"{"m": 1}"#, false, false, "`trigger.n` has no value: "),
        (Some("1 / trigger.n == 1"), r#"{"n": 0}"#, false, true, "`1 / trigger.n` has no value: "),
        (Some("trigger.n"), r#"{"n": 1}"#, false, false, "`trigger.n`: the criterion"),
        (Some("trigger.host in kv.frozen"), r#"{"host": "b"}"#, true, true, "the criterion is true"),
        (None, "{}", true, true, "a rule without criteria matches every event"),
    ];
    for (criteria, event, matches, proposed, reason) in cases {
        let found = explained(criteria, &json!({}), event);
        assert_eq!((found.matches, found.proposed), (matches, proposed), "{criteria:?} of {event}");
        assert!(found.reason.contains(reason), "{criteria:?} of {event}: {}", found.reason);
    }
}

#[test]
fn the_branch_that_is_not_taken_is_not_the_reason() {
    let cases = [
        ("trigger.n > 5 ? trigger.x == 1 : trigger.m == 1", r#"{"n": 1}"#, "`trigger.m` has no value: "),
        ("trigger.n > 5 ? trigger.x == 1 : trigger.m == 1", r#"{"n": 1, "m": 2}"#, "`trigger.m == 1` is false"),
        ("trigger.n > 5 ? trigger.n > 6 && trigger.n > 7 : true", r#"{"n": 7}"#, "`trigger.n > 7` is false"),
        ("trigger.n > 5 && (trigger.x == 1 || trigger.n == 6)", r#"{"n": 7}"#, "`trigger.x` has no value: "),
        ("1 > 2 && trigger.n == 1", r#"{"n": 1}"#, "the criterion is false of every event"),
    ];
    for (criteria, event, reason) in cases {
        let found = explained(Some(criteria), &json!({}), event);
        assert!(!found.matches && found.reason.starts_with(reason), "{criteria} of {event}: {}", found.reason);
    }
}

#[test]
fn a_rule_that_is_not_asked_does_not_match() {
    let found = explained(Some("trigger.n > 5"), &json!({}), r#"{"n": 6}"#).not_asked("it sleeps".into());
    assert!(found.to_string().contains("result  no match: it sleeps\n"), "{found}");
    assert_eq!(found.to_json()["not_asked"], "it sleeps");
    assert_eq!(found.to_json()["steps"][0]["value"], true, "what it would decide is told");
}

#[test]
fn what_the_index_does() {
    let cases = [
        ("trigger.s == 'a'", "index   proposes the rule, which it finds by\n        s equals a constant\n"),
        ("trigger.s == 'b'", "index   does not propose the rule, which it finds by\n        s equals a constant\n"),
        ("trigger.?s.orValue('a') == 'a'", "index   cannot help: every event has to ask this rule\n"),
        ("trigger.s == 'a' && trigger.s == 'b'", "index   proposes the rule for no event: it never matches\n"),
    ];
    for (criteria, told) in cases {
        let found = explained(Some(criteria), &json!({}), r#"{"s": "a"}"#);
        assert!(found.to_string().contains(told), "{criteria}: {found}");
    }
}

#[test]
fn every_part_has_its_value_in_text() {
    // (criterion, part, what is shown of it)
    let cases = [
        ("trigger.n > 2 * 1024", "2 * 1024", "2048"),
        ("trigger.n > -5", "trigger.n", "7"),
        ("trigger.?n.orValue(0) > 1", "trigger.?n", "optional.of(7)"),
        ("trigger.?z.orValue(0) > 1", "trigger.?z", "optional.none()"),
        ("type(trigger.n) == int", "type(trigger.n)", "int"),
        ("double(trigger.n) / 0.0 > 1.0", "double(trigger.n) / 0.0", "Infinity"),
        ("uint(trigger.n) == 7u", "uint(trigger.n)", "7u"),
        ("now - duration(trigger.d) < now", "now - duration(trigger.d)", "1969-12-31T23:59:00Z"),
        ("bytes(trigger.d) == b'60s'", "bytes(trigger.d)", "base64.decode(\"NjBz\")"),
        ("cel.bind(x, trigger.n + 1, x * 2 > 20 && x > 1)", "x * 2", "16"),
        ("cel.bind(x, trigger.n + 1, x * 2 > 20 && x > 1)", "x > 1", "not evaluated"),
        ("trigger.?n.optMap(x, x + 1).orValue(0) == 8", "x + 1", "8"),
        ("trigger.?m.optFlatMap(x, x.?a).orValue(0) == 1", "x.?a", "optional.of(1)"),
        ("trigger.l.all(x, x > 0)", "x > 0", "each of 7 turns: true; true; true; true; true; …"),
        ("trigger.l.all(x, cel.bind(y, x + 1, y > 2))", "y > 2", "each turn: false"),
        ("trigger.l.exists(x, x > 5 && x < 0)", "x < 0", "each turn: false; false"),
        ("trigger.n in kv.frozen", "kv.frozen", "[\"b\"]"),
    ];
    for (criteria, part, shown) in cases {
        let text =
            explained(Some(criteria), &json!({}), r#"{"n": 7, "d": "60s", "m": {"a": 1}, "l": [1,2,3,4,5,6,7]}"#)
                .to_string();
        let steps = text.split_once("\n\n").unwrap().1;
        let line = steps.lines().find_map(|line| line.trim_start().strip_prefix(&format!("{part}  ")));
        assert_eq!(line.map(str::trim_start), Some(shown), "{part} in {text}");
        assert!(!steps.lines().any(|line| line.trim_start().starts_with("kv ")), "not all of the store: {steps}");
    }
}

#[test]
fn long_values_are_cut() {
    let event = json!({"s": "é".repeat(10_000), "l": vec![1; 10_000], "m": {"x": vec!["y"; 5_000]}}).to_string();
    for slot in ["trigger.s", "trigger.l", "trigger.m", "bytes(trigger.s)"] {
        let json = explained(Some(&format!("[] == [{slot}]")), &json!({}), &event).to_json();
        let step = json["steps"].as_array().unwrap().iter().find(|step| step["source"] == slot).unwrap();
        assert_eq!(step["cut"], true, "{slot}");
        assert!((500..12_000).contains(&step.to_string().len()), "{slot}: {}", step.to_string().len());
    }
}

#[test]
fn json_and_text_show_every_part() {
    let found = explained(
        Some("trigger.host == 'a' && trigger.n / trigger.z > 1"),
        &json!({}),
        r#"{"host": "a", "n": 4, "z": 0}"#,
    );
    let json = found.to_json();
    let step = |source: &str| json["steps"].as_array().unwrap().iter().find(|s| s["source"] == source).unwrap().clone();
    assert_eq!(step("trigger.n"), json!({"depth": 3, "source": "trigger.n", "type": "int", "value": 4}));
    assert_eq!(step("trigger.host == 'a'")["value"], true);
    assert_eq!(step("trigger.n / trigger.z")["error"]["code"], "divide_by_zero");
    let text = found.to_string();
    assert!(text.starts_with("rule    demo.rule\nresult  no match: `trigger.n / trigger.z` has no value: "), "{text}");
    let column = text.lines().find(|l| l.starts_with("  trigger.host ==")).unwrap().find("true").unwrap();
    assert_eq!(
        text.lines().find(|l| l.starts_with("    trigger.host ")).unwrap().find("\"a\""),
        Some(column),
        "{text}"
    );
    assert!(text.contains("index   proposes the rule, which it finds by\n        "), "{text}");
}

#[test]
fn loops_are_shown_turn_by_turn() {
    let found =
        explained(Some("trigger.l.exists(x, x.k == 2)"), &json!({}), r#"{"l": [{"k": 1}, {"k": 2}, {"k": 3}]}"#);
    let body = found.steps.iter().find(|step| step.source == "x.k == 2").unwrap();
    let turns: Vec<&Json> = body.turns.iter().map(|turn| &turn.as_ref().unwrap().json).collect();
    assert_eq!(turns, [false, true], "it ends with the first that is true");
    assert!(found.to_string().contains("each turn: false; true"), "{found}");
}

#[test]
fn what_cannot_be_explained() {
    let refused = |criteria: &str, event: &str| {
        let rule = RuleSource { rule: "demo.rule".into(), criteria: Some(criteria.to_owned()) };
        explain(&rule, &TriggerSchema::none(), None, event.as_bytes(), 0, &Kv::empty()).unwrap_err()
    };
    assert!(matches!(refused("trigger.a ==", "{}"), ExplainError::Criteria(_)));
    assert!(matches!(refused("nobody == 1", "{}"), ExplainError::Criteria(_)));
    assert!(matches!(refused("true", "{"), ExplainError::Event(_)));
}

#[test]
fn the_index_is_that_of_the_rule_set() {
    let schema = TriggerSchema::none();
    let rule = |number: usize| RuleSource {
        rule: format!("demo.r{number}").into(),
        criteria: Some(format!("trigger.env == 'prod' && trigger.host == 'h{number}'")),
    };
    let set = RuleSet::compile(&schema, (0..40).map(rule)).unwrap();
    let told = |set: Option<&RuleSet>, event: &str| {
        let found = explain(&rule(7), &schema, set, event.as_bytes(), 0, &Kv::empty()).unwrap();
        (found.found_by, found.proposed)
    };
    let by_host = || vec!["host equals a constant".to_owned()];
    assert_eq!(told(Some(&set), r#"{"env": "prod", "host": "h7"}"#), (by_host(), true));
    assert_eq!(told(Some(&set), r#"{"env": "prod", "host": "h8"}"#), (by_host(), false));

    // Not in force there: an index of its own.
    let without = set.update(&[RuleIndex(7)], []).unwrap();
    let alone = told(None, r#"{"env": "prod", "host": "h7"}"#);
    assert_eq!(told(Some(&without), r#"{"env": "prod", "host": "h7"}"#), alone);

    // In a part of its own, beside the others.
    let moved = without.update(&[], [rule(7)]).unwrap();
    assert_eq!(told(Some(&moved), r#"{"env": "prod", "host": "h7"}"#), alone);
}
