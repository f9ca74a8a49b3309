//! The pack core as it is shipped, the ends of executions, and what actions inject and produce.

use petrel_execution::runner::{Rendering, RunnerCall};
use serde_json::{Value, json};

use crate::pack::{PackSource, TriggerSource};
use crate::resolve::Actions;
use crate::revision::Revision;
use crate::testkit::{disk_with, load, problems, source};

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../packs/core/", $path)))),+]
    };
}

pub(crate) fn core() -> PackSource {
    let files = files![
        "pack.yaml",
        "config.schema.yaml",
        "README.md",
        "triggers/execution.yaml",
        "actions/ask.yaml",
        "actions/echo.yaml",
        "actions/error.yaml",
        "actions/fail.yaml",
        "actions/http.yaml",
        "actions/inject_trigger.yaml",
        "actions/local.yaml",
        "actions/local_sudo.yaml",
        "actions/noop.yaml",
        "actions/pause.yaml",
        "actions/sendmail.yaml",
        "actions/sleep.yaml",
        "actions/uuid.yaml",
    ];
    source("packs/core", &files)
}

/// What an action of the pack does with these parameters.
fn call(revision: &Revision, action: &str, parameters: Value) -> RunnerCall {
    let action = revision.compiled().action(action).unwrap();
    let parameters = action.plan.parameters.complete(&parameters).unwrap();
    let execution_id = "ab5d55eb4ccbbb057449fb974e3db6fa";
    let rendering = Rendering { parameters: &parameters, secrets: &Value::Null, execution_id, attempt: 1 };
    action.plan.runner.render(rendering).unwrap_or_else(|e| panic!("{}: {e}", action.reference))
}

#[test]
fn the_core_pack_is_right() {
    let revision = load(vec![core()]);
    let compiled = revision.compiled();
    assert_eq!(compiled.actions().count(), 13);
    assert_eq!(compiled.trigger("core.execution").unwrap().source, TriggerSource::Executions);
    let RunnerCall::Email(mail) = call(
        &revision,
        "core.sendmail",
        json!({"to": "ann@example.com, bob@example.com", "subject": "s", "body": "<p>x</p>"}),
    ) else {
        panic!()
    };
    assert_eq!((&*mail.server.host, mail.server.port, &*mail.from.address), ("localhost", 25, "petrel@localhost"));
    assert_eq!((mail.to.len(), &mail.text, mail.html.as_deref()), (2, &None, Some("<p>x</p>")));
    let RunnerCall::Http(http) = call(&revision, "core.http", json!({"url": "http://h/x", "params": {"a": 1}})) else {
        panic!()
    };
    assert_eq!((&*http.method, &*http.url, &http.query[..]), ("GET", "http://h/x", &[("a".into(), "1".into())][..]));
    let RunnerCall::Command(local) = call(&revision, "core.local", json!({"cmd": "echo \"$1\"; exit 3"})) else {
        panic!()
    };
    assert_eq!(local.argv[4..], ["/", "echo \"$1\"; exit 3"]);
    let RunnerCall::End(injected) =
        call(&revision, "core.inject_trigger", json!({"trigger": "disk.alert", "payload": {"a": 1}}))
    else {
        panic!()
    };
    assert_eq!(injected.events[0].payload, "{\"a\":1}");
    let RunnerCall::Sleep(pause) = call(&revision, "core.pause", json!({"max_pause": 5})) else { panic!() };
    assert_eq!(pause.duration_ms, 5_000);
}

#[test]
fn ends_are_told_where_rules_react_to_them() {
    let rule = |enabled: bool| {
        format!(
            "name: failed\ntrigger: core.execution\nenabled: {enabled}\n\
             criteria: trigger.status == \"failed\" && trigger.rule == null && trigger.attempt > 1\n\
             action: {{ ref: disk.clean, parameters: {{ host: a }} }}\n"
        )
    };
    let (on, off) = (rule(true), rule(false));
    let with = |text: Option<&str>| {
        let mut disk = disk_with(&[]);
        disk.files.extend(text.map(|text| crate::pack::PackFile {
            path: "rules/failed.yaml".to_owned(),
            bytes: text.as_bytes().to_vec(),
            executable: false,
        }));
        load(vec![core(), disk])
    };
    let escaped = on.replace("core.execution", "\"core.\\x65xecution\"");
    let said = on.replace("core.execution", "disk.alert # not core.execution");
    let said = said.lines().filter(|line| !line.starts_with("criteria")).collect::<Vec<_>>().join("\n");
    for (text, reacts, may_react) in [
        (None, false, false),
        (Some(&*off), false, true),
        (Some(&*on), true, true),
        (Some(&*escaped), true, true),
        (Some(&*said), false, false),
    ] {
        let revision = with(text);
        assert_eq!(revision.compiled().reacts_to_ends(), reacts, "{text:?}");
        assert_eq!(revision.content().may_react_to_ends(), may_react, "{text:?}");
        assert!(revision.compiled().warnings().is_empty(), "{}", revision.compiled().warnings());
    }
}

#[test]
fn the_ends_of_executions_have_one_trigger() {
    let told = |trigger: &'static str| problems(vec![disk_with(&[("triggers/x.yaml", trigger)])]).to_string();
    let only = "the trigger core.execution, and no other, has the source \"executions\"";
    assert_eq!(told("name: x\nsource: { executions: {} }\n"), format!("triggers/x.yaml:1:7: {only}"));
    let forged = source("", &[("pack.yaml", "name: core\nversion: 1.0.0\n"), ("triggers/x.yaml", "name: execution\n")]);
    assert_eq!(problems(vec![forged]).to_string(), format!("triggers/x.yaml:1:7: {only}"));
    assert!(told("name: x\nsource: { executions: {} }\nschema: {}\n").contains("have a schema of their own"));
}

#[test]
fn what_is_injected_has_a_trigger_that_is_there() {
    let told = |action: &'static str| problems(vec![disk_with(&[("actions/tell.yaml", action)])]).to_string();
    assert_eq!(
        told("name: tell\nrunner: inject_trigger\ntrigger: disk.alrt\n"),
        "actions/tell.yaml:3:10: there is no trigger \"disk.alrt\", did you mean \"disk.alert\"?"
    );
    let dynamic = "name: tell\nrunner: inject_trigger\ntrigger: \"${parameters.t}\"\nparameters: { t: {} }\n";
    load(vec![disk_with(&[("actions/tell.yaml", dynamic)])]);
}

#[test]
fn what_a_pack_produces_stands_in_its_manifest() {
    const TELL: &str = "name: tell\nrunner: kafka\nrecord: { topic: incidents, text: x }\n";
    let with = |manifest: &'static str| disk_with(&[("pack.yaml", manifest), ("actions/tell.yaml", TELL)]);
    let told = |manifest: &'static str| problems(vec![with(manifest)]).to_string();
    assert_eq!(
        told("name: disk\nversion: 1.0.0\n"),
        "actions/tell.yaml:3:18: the pack does not list the topic \"incidents\" under \"produces\" in pack.yaml"
    );
    assert_eq!(
        told("name: disk\nversion: 1.0.0\nproduces: [incidents, petrel.audit, incidents]\n"),
        "pack.yaml:3:23: \"petrel.audit\" is one of Petrel's own topics\npack.yaml:3:37: \"incidents\" stands here again"
    );
    let revision = load(vec![with("name: disk\nversion: 1.0.0\nproduces: [incidents]\n")]);
    assert_eq!(revision.compiled().produced().collect::<Vec<_>>(), [("incidents".to_owned(), "disk".to_owned())]);
    // Owners and workers, who read that one action alone, know it too.
    let stored = &revision.content().packs()[0];
    let action = Actions::new().resolve(stored, "tell").unwrap().unwrap();
    assert_eq!(action.plan.runner.name(), "kafka");
}

#[test]
fn a_rule_that_answers_each_record_with_another_one_of_its_topic_is_warned_of() {
    let warnings = |topic: &str, criteria: &str| {
        let rule = format!("name: echo\ntrigger: loop.seen\n{criteria}action: {{ ref: loop.tell }}\n");
        let action = format!("name: tell\nrunner: kafka\nrecord: {{ topic: {topic}, json: 1 }}\n");
        let revision = load(vec![source(
            "",
            &[
                ("pack.yaml", "name: loop\nversion: 1.0.0\nproduces: [seen, told]\n"),
                ("triggers/seen.yaml", "name: seen\nsource: { kafka: { topic: seen } }\n"),
                ("actions/tell.yaml", &action),
                ("rules/echo.yaml", &rule),
            ],
        )]);
        revision.compiled().warnings().to_string()
    };
    let told = "rules/echo.yaml:3:16: loop.tell may write to the topic \"seen\", whose records this rule answers without \
                criteria: nothing would end that";
    assert_eq!(warnings("seen", ""), told);
    assert_eq!(warnings("\"${'se' + 'en'}\"", ""), told);
    assert_eq!(warnings("told", ""), "");
    assert_eq!(warnings("seen", "criteria: trigger.hop == 1\n"), "");
}
