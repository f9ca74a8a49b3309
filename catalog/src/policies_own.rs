//! What policies leave to owners, and policies that stand in actions and rules.

use std::sync::Arc;

use petrel_execution::gate::{GateId, Kind, Limit};
use petrel_execution::windows::Span;
use petrel_execution::{NameGates, OwnTerms};
use petrel_schemas::ExecutionId;
use serde_json::json;

use crate::policies::PolicyTerms;
use crate::resolve::Actions;
use crate::testkit::{disk, disk_with, load, problems};

const RULE: Option<&str> = Some("disk.clean_tmp");

/// A file of the pack with lines behind it.
fn with(path: &'static str, more: &str) -> (&'static str, &'static str) {
    let (_, text) = disk().into_iter().find(|(known, _)| *known == path).unwrap();
    (path, Box::leak(format!("{text}{more}").into_boxed_str()))
}

fn policy(text: &str) -> (&'static str, &'static str) {
    let text = format!("name: careful\nactions: [disk.clean]\n{text}");
    ("policies/careful.yaml", Box::leak(text.into_boxed_str()))
}

/// The policies of the action, compiled with all else and alone, and what holds at its gates.
fn named(changes: &[(&'static str, &'static str)]) -> ([Arc<dyn NameGates>; 2], PolicyTerms) {
    let revision = load(vec![disk_with(changes)]);
    let whole = revision.compiled().action("disk.clean").unwrap().plan.policies.clone().unwrap();
    let alone = Actions::new().resolve(&revision.content().packs()[0], "clean").unwrap().unwrap();
    let terms = PolicyTerms::read(revision.content());
    assert_eq!(terms.why_incomplete(), None);
    ([whole, alone.plan.policies.clone().unwrap()], terms)
}

fn own(changes: &[(&'static str, &'static str)], rule: Option<&str>) -> OwnTerms {
    let (named, _) = named(changes);
    let [whole, alone] = named.map(|policies| policies.own_terms(rule));
    assert_eq!(whole, alone, "what is resolved one by one says the same");
    whole
}

#[test]
fn a_policy_says_what_owners_decide() {
    let text = "retry: { times: 2 }\ndeadline: 2h\nwindows:\n  time_zone: Europe/Berlin\n  \
                open: [{ days: [mon-wed, sun], from: \"08:00\", to: \"18:30\" }]\n  \
                closed: [{ from: 2026-12-24, to: 2027-01-02T06:00 }]\n  on_closed: drop\n";
    let OwnTerms { retry, deadline_ms, windows } = own(&[policy(text)], None);
    assert_eq!((retry.unwrap().retries_max, deadline_ms), (2, Some(7_200_000)));
    let [windows] = &windows[..] else { panic!("{windows:?}") };
    assert_eq!((&*windows.policy, &*windows.time_zone, windows.drops), ("disk.careful", "Europe/Berlin", true));
    let open = Span::Weekly { days: vec![1, 2, 3, 7], from_minute: 480, to_minute: 1_110 };
    let closed = Span::Once { from: "2026-12-24".parse().unwrap(), to: "2027-01-02T06:00".parse().unwrap() };
    assert_eq!((&windows.open[..], &windows.closed[..]), (&[open][..], &[closed][..]));
    // The shorter deadline counts, and all windows do.
    let of_rule = (
        "policies/more.yaml",
        "name: more\nactions: [disk.clean]\nrules: [disk.clean_tmp]\ndeadline: 1h\n\
        retry: { times: 7 }\nwindows: { time_zone: UTC, open: [{ from: \"22:00\", to: \"24:00\" }] }\n",
    );
    let both = [policy(text), of_rule];
    let by_hand = own(&both, None);
    assert_eq!((by_hand.deadline_ms, by_hand.windows.len()), (Some(7_200_000), 1));
    let by_rule = own(&both, RULE);
    assert_eq!(
        (by_rule.deadline_ms, by_rule.windows.len(), by_rule.retry.unwrap().retries_max),
        (Some(3_600_000), 2, 7)
    );
}

#[test]
fn policies_of_stackstorm_say_what_is_tried_again() {
    let text = "name: clean.retry\ndescription: Try again.\nenabled: true\nresource_ref: disk.clean\n\
                policy_type: action.retry\nparameters:\n  retry_on: timeout\n  max_retry_count: 3\n  delay: 1.5\n";
    let path = "policies/retry.yaml";
    let retry = own(&[(path, text)], None).retry.unwrap();
    assert_eq!((retry.on_failure, retry.on_timeout, retry.retries_max, retry.delay_ms), (false, true, 3, 1_500));
    let short = text.replace("  max_retry_count: 3\n  delay: 1.5\n", "");
    let retry = own(&[(path, Box::leak(short.into_boxed_str()))], None).retry.unwrap();
    assert_eq!((retry.retries_max, retry.delay_ms), (2, 0));
    for (good, bad, wanted) in [
        ("max_retry_count: 3", "max_retry_count: 6", "8:20: \"max_retry_count\" must be a whole number from 1 to 5"),
        ("delay: 1.5", "delay: 121", "9:10: \"delay\" must be a number of seconds from 0 to 120"),
        (
            "retry_on: timeout",
            "retry_on: never",
            "7:13: \"retry_on\" must be one of \"failure\", \"timeout\", found \"never\"",
        ),
        ("  retry_on: timeout\n", "", "7:3: \"parameters\" of action.retry needs \"retry_on\""),
    ] {
        let text: &'static str = Box::leak(text.replacen(good, bad, 1).into_boxed_str());
        assert_eq!(problems(vec![disk_with(&[(path, text)])]).to_string(), format!("{path}:{wanted}"));
    }
    let off: &'static str = Box::leak(text.replace("enabled: true", "enabled: false").into_boxed_str());
    assert!(load(vec![disk_with(&[(path, off)])]).compiled().action("disk.clean").unwrap().plan.policies.is_none());
}

#[test]
fn an_action_and_a_rule_have_policies_of_their_own() {
    let in_action = with(
        "actions/clean.yaml",
        "policies:\n  concurrency: { max: 3 }\n  deadline: 5m\n  windows: { time_zone: UTC, closed: [{ from: \"01:00\", to: \"02:00\" }] }\n",
    );
    let in_rule = with(
        "rules/clean_tmp.yaml",
        "limits: { max_actions: 20, per: 5m, on_exceed: pause }\npolicies: { breaker: { failures: 3, open: 30s }, retry: { times: 4 } }\n",
    );
    let ([whole, alone], terms) = named(&[in_action, in_rule]);
    let id = ExecutionId::of_manual("x");
    let gates = |policies: &Arc<dyn NameGates>, rule| {
        let mut gates = policies.gates(&id, rule, &json!({"host": "db", "older_than": "7d"})).unwrap();
        gates.sort();
        gates.iter().map(GateId::to_string).collect::<Vec<_>>()
    };
    for policies in [&whole, &alone] {
        assert_eq!(gates(policies, None), ["disk.action:clean/concurrency/total"]);
        let wanted = [
            "disk.action:clean/concurrency/total",
            "disk.rule:clean_tmp/breaker/total",
            "disk.rule:clean_tmp/radius/total",
        ];
        assert_eq!(gates(policies, RULE), wanted);
        assert!(policies.own_terms(None).retry.is_none());
        let own = policies.own_terms(RULE);
        assert_eq!((own.retry.unwrap().retries_max, own.deadline_ms), (4, Some(300_000)));
        assert_eq!(&*own.windows[0].policy, "disk.action:clean");
    }
    let radius = GateId::parse("disk.rule:clean_tmp/radius/total").unwrap();
    assert_eq!(terms.of(&radius).unwrap().limit, Limit::Radius { actions_max: 20, per_ms: 300_000 });
    assert!(terms.of(&GateId::total("disk.action:clean", Kind::Concurrency)).is_some());
}

#[test]
fn what_is_wrong_is_told_where_it_stands() {
    let zone = "windows: { time_zone: UTC, open: [";
    let policies = [
        ("deadline: 10ms\n".to_owned(), "3:11: \"deadline\" must be from 100ms to 7d, found 10ms"),
        (
            "windows: { open: [{ from: \"08:00\", to: \"09:00\" }] }\n".to_owned(),
            "3:10: \"windows\" needs \"time_zone\"",
        ),
        ("windows: { time_zone: UTC }\n".to_owned(), "3:10: \"windows\" needs \"open\" or \"closed\""),
        (
            "windows: { time_zone: Mars, open: [{ from: \"08:00\", to: \"09:00\" }] }\n".to_owned(),
            "3:23: there is no time zone \"Mars\": write one as Europe/Berlin or UTC",
        ),
        (
            format!("{zone}{{ from: \"8:00\", to: \"09:00\" }}] }}\n"),
            "3:43: \"8:00\" is no time: write 08:00, or 2026-12-24, or 2026-12-24T18:00, without an offset",
        ),
        (
            format!("{zone}{{ from: 2026-12-24, to: \"09:00\" }}] }}\n"),
            "3:59: \"from\" and \"to\" are both times of a day, as 08:00, or both dates, as 2026-12-24",
        ),
        (
            format!("{zone}{{ from: 2026-12-24, to: 2026-12-24 }}] }}\n"),
            "3:59: a window that is once ends behind its begin",
        ),
        (
            format!("{zone}{{ days: [mon], from: 2026-12-24, to: 2026-12-25 }}] }}\n"),
            "3:35: a window that is once has no \"days\"",
        ),
        (
            format!("{zone}{{ days: [monday], from: \"08:00\", to: \"09:00\" }}] }}\n"),
            "3:44: \"monday\" is no day: write mon, tue, wed, thu, fri, sat, sun or mon-fri",
        ),
        (format!("{zone}] }}\n"), "3:34: \"open\" must have from 1 to 64 entries"),
        (
            format!("{zone}{{ cron: x }}] }}\n"),
            "3:37: \"cron\" is not supported in this version\npolicies/careful.yaml:3:35: a window needs \"from\"\npolicies/careful.yaml:3:35: a window needs \"to\"",
        ),
    ];
    for (text, wanted) in policies {
        let told = problems(vec![disk_with(&[policy(&text)])]).to_string();
        let mut lines: Vec<&str> = told.lines().collect();
        let wanted = format!("policies/careful.yaml:{wanted}");
        let mut expected: Vec<&str> = wanted.lines().collect();
        lines.sort_unstable();
        expected.sort_unstable();
        assert_eq!(lines, expected, "{text}");
    }
    let retry = policy("retry: { times: 1 }\n");
    let both = [retry, with("actions/clean.yaml", "retry: { times: 1 }\n")];
    let told = problems(vec![disk_with(&both)]).to_string();
    assert_eq!(told, "policies/careful.yaml:3:1: action clean says by its own \"retry\" what is tried again");
    let twice = [retry, ("policies/more.yaml", "name: more\nactions: [disk.clean]\nretry: { times: 1 }\n")];
    let told = problems(vec![disk_with(&twice)]).to_string();
    assert_eq!(told, "policies/more.yaml:3:1: policy careful says already what is tried again of disk.clean");
    for (more, wanted) in [
        ("policies: { retry: { times: 1 } }\n", "9:13: unknown key \"retry\""),
        ("policies: {}\n", "9:11: a policy needs "),
        ("policies: { breaker: 3 }\n", "9:22: expected \"breaker\" as a mapping"),
    ] {
        let told = problems(vec![disk_with(&[with("actions/clean.yaml", more)])]).to_string();
        assert!(told.contains(wanted), "{more}: {told}");
    }
    let (path, rule) = with("rules/clean_tmp.yaml", "limits: { max_actions: 1, per: 1m }\n");
    let elsewhere: &'static str = Box::leak(rule.replace("ref: disk.clean", "ref: core.noop").into_boxed_str());
    let told = problems(vec![disk_with(&[(path, elsewhere)])]).to_string();
    assert!(told.contains("\"core.noop\" is of another pack: a policy is for actions of its own"), "{told}");
}
