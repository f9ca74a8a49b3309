use super::*;
use crate::testkit::{disk_with, load, source};

/// Outcomes of the disk pack with this rule, one text each.
fn shown(rule: &'static str) -> Vec<String> {
    let revision = load(vec![disk_with(&[("rules/clean_tmp.yaml", rule)])]);
    run_tests(revision.compiled()).iter().map(ToString::to_string).collect()
}

#[test]
fn a_test_that_holds_passes() {
    let revision = load(vec![disk_with(&[])]);
    let outcomes = run_tests(revision.compiled());
    assert_eq!(outcomes.len(), 1);
    assert!(outcomes[0].passed(), "{}", outcomes[0]);
    assert_eq!(outcomes[0].to_string(), "ok disk.clean_tmp: #1");
}

#[test]
fn differences_are_told() {
    const RULE: &str = r#"
name: r
enabled: false
trigger: disk.alert
criteria: trigger.used_pct / 0.5 > 180.0 && trigger.mount == kv.mount
action: { ref: disk.clean, parameters: { host: "${trigger.host}-x" } }
tests:
  - { name: other host, given: &e { host: a, mount: /tmp, used_pct: 95 }, kv: { mount: /tmp }, expect: { action: disk.clean, parameters: { host: a, older_than: 8d } } }
  - { name: matches, given: *e, kv: { mount: /tmp }, expect: none }
  - { name: does not, given: { host: a, mount: /tmp, used_pct: 10 }, kv: { mount: /tmp }, expect: { action: disk.clean } }
  - { name: no kv, given: *e, expect: { action: disk.clean } }
  - { name: bad event, given: { host: 1, used_pct: 95 }, expect: none }
  - { name: too many, given: *e, kv: { mount: /tmp }, expect: [{ action: disk.clean }, { action: disk.clean }] }
  - { name: right, given: *e, kv: { mount: /tmp }, expect: [{ action: disk.clean, parameters: { host: a-x, older_than: 7d } }] }
"#;
    assert_eq!(
        shown(RULE),
        [
            "FAILED disk.r: other host (rules/clean_tmp.yaml:8:5)\n  parameters.host: expected \"a\", found \"a-x\"\n  \
             parameters.older_than: expected \"8d\", found \"7d\"",
            "FAILED disk.r: matches (rules/clean_tmp.yaml:9:5)\n  expected no match, the rule matched and asks for \
             disk.clean {\"host\":\"a-x\",\"older_than\":\"7d\"}",
            "FAILED disk.r: does not (rules/clean_tmp.yaml:10:5)\n  expected disk.clean, the rule did not match: the criteria are false",
            "FAILED disk.r: no kv (rules/clean_tmp.yaml:11:5)\n  expected disk.clean, the rule did not match: \
             the criteria need \"mount\", which is not there",
            "FAILED disk.r: bad event (rules/clean_tmp.yaml:12:5)\n  the given event breaks the schema of disk.alert: \
             \"mount\" is a required property; /host: the value is not of type \"string\"",
            "FAILED disk.r: too many (rules/clean_tmp.yaml:13:5)\n  expected 2 actions, the rule has 1",
            "ok disk.r: right",
        ]
    );
}

#[test]
fn time_and_several_actions() {
    const RULE: &str = r#"
name: r
trigger: disk.alert
criteria: now >= timestamp("2026-06-01T00:00:00Z")
actions:
  - { ref: disk.clean, parameters: { host: "${trigger.host}" } }
  - { ref: disk.clean, parameters: { host: other } }
tests:
  - { given: &e { host: a, mount: /, used_pct: 1 }, at: 2026-06-01T00:00:00Z, expect: [{ action: disk.clean, parameters: { host: a } }, { action: disk.clean, parameters: { host: b } }] }
  - { given: *e, expect: none }
"#;
    assert_eq!(
        shown(RULE),
        [
            "FAILED disk.r: #1 (rules/clean_tmp.yaml:9:5)\n  action 2: parameters.host: expected \"b\", found \"other\"",
            "ok disk.r: #2",
        ]
    );
}

#[test]
fn a_failing_expression_is_told() {
    const RULE: &str = r#"
name: r
trigger: disk.alert
criteria: 1 / int(trigger.used_pct) == 0
action: { ref: disk.clean, parameters: { host: "${trigger.hosts[0]}" } }
tests:
  - { given: { host: a, mount: /, used_pct: 0.0 }, expect: { action: disk.clean } }
  - { given: { host: a, mount: /, used_pct: 5.0 }, expect: { action: disk.clean } }
"#;
    assert_eq!(
        shown(RULE),
        [
            "FAILED disk.r: #1 (rules/clean_tmp.yaml:7:5)\n  expected disk.clean, the rule did not match: the criteria failed: division by zero",
            "FAILED disk.r: #2 (rules/clean_tmp.yaml:8:5)\n  the parameters of disk.clean: no such field: hosts",
        ]
    );
}

#[test]
fn numbers_compare_by_value() {
    for (a, b, wanted) in
        [("95", "95.0", true), ("[1,{\"x\":2.0}]", "[1.0,{\"x\":2}]", true), ("1", "\"1\"", false), ("1", "2", false)]
    {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(same(&json(a), &json(b)), wanted, "{a} {b}");
    }
}

/// The packs that Petrel ships load, and their tests pass.
#[test]
fn the_demo_pack_is_right() {
    macro_rules! file {
        ($path:literal) => {
            ($path, include_str!(concat!("../../../packs/demo/", $path)))
        };
    }
    let files = [
        file!("pack.yaml"),
        file!("README.md"),
        file!("triggers/host.yaml"),
        file!("triggers/alert.yaml"),
        file!("rules/report.yaml"),
        file!("rules/clean_tmp.yaml"),
        file!("actions/report.yaml"),
        file!("actions/report.sh"),
        file!("actions/clean.yaml"),
        file!("actions/clean.sh"),
    ];
    let revision = load(vec![source("packs/demo", &files)]);
    let outcomes = run_tests(revision.compiled());
    assert_eq!(outcomes.len(), 6);
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.passed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
