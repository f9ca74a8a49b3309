use super::*;

fn explained(criteria: Option<&str>, schema: &Json, event: &str) -> Explanation {
    let rule = RuleSource { rule: "demo.rule".into(), criteria: criteria.map(str::to_owned) };
    let kv = Kv::new([("frozen", r#"["b"]"#)]).unwrap();
    explain(&rule, &TriggerSchema::compile(schema), event.as_bytes(), 0, &kv).unwrap()
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
        (Some("trigger.n"), r#"{"n": 1}"#, false, false, "the criterion"),
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
fn what_the_schema_refuses_is_asked_of_no_rule() {
    let schema = json!({"required": ["n"], "properties": {"n": {"type": "number"}}});
    let found = explained(Some("true"), &schema, "{}");
    assert!(!found.matches && found.reason.starts_with("the trigger's schema refuses the event: /n: expected"));
    assert_eq!(found.to_json()["violation"]["path"], "/n");
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
    assert_eq!(step("trigger.n"), json!({"depth": 3, "source": "trigger.n", "value": 4}));
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
    assert!(text.contains("index   proposes the rule\n        by "), "{text}");
}

#[test]
fn loops_are_shown_turn_by_turn() {
    let found =
        explained(Some("trigger.l.exists(x, x.k == 2)"), &json!({}), r#"{"l": [{"k": 1}, {"k": 2}, {"k": 3}]}"#);
    let body = found.steps.iter().find(|step| step.source == "x.k == 2").unwrap();
    assert_eq!(body.turns, [Ok(json!(false)), Ok(json!(true))], "it ends with the first that is true");
    assert!(found.to_string().contains("each turn: false; true"), "{found}");
}

#[test]
fn what_cannot_be_explained() {
    let refused = |criteria: &str, event: &str| {
        let rule = RuleSource { rule: "demo.rule".into(), criteria: Some(criteria.to_owned()) };
        explain(&rule, &TriggerSchema::none(), event.as_bytes(), 0, &Kv::empty()).unwrap_err()
    };
    assert!(matches!(refused("trigger.a ==", "{}"), ExplainError::Criteria(_)));
    assert!(matches!(refused("nobody == 1", "{}"), ExplainError::Criteria(_)));
    assert!(matches!(refused("true", "{"), ExplainError::Event(_)));
}
