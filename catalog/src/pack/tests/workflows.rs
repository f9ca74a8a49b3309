//! Actions that are workflows: their files, what is wrong in them, and what they call.

use super::{check, disk_with, load, problems};
use crate::testkit::source;

const ACTION: &str = "actions/heal.yaml";
const FILE: &str = "workflows/heal.yaml";

/// The disk pack with an action that is a workflow, and the workflow's file.
fn healing(action: &'static str, workflow: &'static str) -> String {
    problems(vec![disk_with(&[(ACTION, action), (FILE, workflow)])]).to_string()
}

const HEAL: &str = "name: heal\nrunner: orquesta\nworkflow: workflows/heal.yaml\n";

const CLEANS: &str = "version: 1.0\ninput:\n  - host\n  - older: 7d\n  - who: <% ctx().st2.user %>\ntasks:\n  clean:\n    \
                      action: disk.clean\n    input:\n      host: <% ctx().host %>\n";

#[test]
fn a_workflow_is_an_action_with_its_inputs_as_parameters() {
    let revision = load(vec![disk_with(&[(ACTION, HEAL), (FILE, CLEANS)])]);
    let action = revision.compiled().action("disk.heal").unwrap();
    assert!(action.plan.runner.workflow().is_some());
    let parameters: Vec<_> = action
        .parameters
        .iter()
        .map(|parameter| (parameter.name.as_str(), parameter.required, parameter.default.clone()))
        .collect();
    assert_eq!(parameters, [("host", true, None), ("older", false, Some("7d".into())), ("who", false, None)]);
    let native = "name: heal\nrunner: workflow\nworkflow: workflows/heal.yaml\nparameters:\n  host: { type: string, required: true }\n";
    let text =
        "version: 1.0\ninput: [host]\ntasks:\n  clean:\n    action: disk.clean\n    input: { host: \"${ctx.host}\" }\n";
    let revision = load(vec![disk_with(&[(ACTION, native), (FILE, text)])]);
    let action = revision.compiled().action("disk.heal").unwrap();
    assert_eq!(action.parameter("host").unwrap().schema, serde_json::json!({"type": "string"}));
}

#[test]
fn owners_read_a_workflow_by_itself() {
    let revision = load(vec![disk_with(&[(ACTION, HEAL), (FILE, CLEANS)])]);
    let found = crate::Actions::new().resolve(revision.content().pack("disk").unwrap(), "heal");
    assert!(found.unwrap().unwrap().plan.runner.workflow().is_some());
}

#[test]
fn what_is_wrong_in_a_workflow_is_told_where_it_stands() {
    let cases = [
        (
            "version: 2\ntasks: {}\n",
            "workflows/heal.yaml:1:1: Workflow definition is not the supported version \"1.0\".",
        ),
        (
            "version: 1.0\ntasks: [\n",
            "workflows/heal.yaml:2:8: Failed to load workflow definition because unclosed bracket",
        ),
        (
            "version: 1.0\ntasks:\n  a:\n    action: disk.clean host=<% ctx().hots %>\n    next:\n      - when: <% succeded( %>\n        do: b\n",
            "workflows/heal.yaml:4:5: tasks.a.input: Variable \"hots\" is referenced before assignment.\n\
             workflows/heal.yaml:6:9: tasks.a.next[0].when: ",
        ),
        (
            "version: 1.0\ntasks:\n  a:\n    actoin: disk.clean\n  b:\n    join: 3\n",
            "workflows/heal.yaml:3:3: tasks.a: Additional properties are not allowed ('actoin' was unexpected), did you mean \"action\"?",
        ),
        (
            "version: 1.0\ntasks:\n  a:\n    action: disk.clean host=x\n    timeout: 5m\n    next: [{ on: failed, do: noop }]\n",
            "workflows/heal.yaml:3:3: tasks.a: Additional properties are not allowed ('timeout' was unexpected); `timeout` is of native \
             workflows, whose action has `runner: workflow`\n\
             workflows/heal.yaml:6:12: tasks.a.next[0]: Additional properties are not allowed ('True' was unexpected); `on` is of \
             native workflows, whose action has `runner: workflow`",
        ),
        (
            "version: 1.0\ntasks:\n  a:\n    action: disk.clean host=x\n    whatever: 1\n",
            "workflows/heal.yaml:3:3: tasks.a: Additional properties are not allowed ('whatever' was unexpected); there are delay, join, \
             with, action, input, retry, next",
        ),
    ];
    for (text, wanted) in cases {
        let told = healing(HEAL, text);
        let (told, wanted): (Vec<&str>, Vec<&str>) = (told.lines().collect(), wanted.lines().collect());
        let is_told =
            wanted.iter().enumerate().all(|(at, wanted)| told.get(at).is_some_and(|told| told.starts_with(wanted)));
        assert!(is_told, "{text}\n{told:#?}");
    }
}

#[test]
fn a_workflow_with_a_mistake_is_told_once() {
    let rule = "name: r\ntrigger: disk.alert\naction: { ref: disk.heal, parameters: { host: a } }\n";
    let files = [
        (ACTION, HEAL),
        (FILE, "version: 1.0\ninput: [host]\ntasks:\n  a: {}\n"),
        ("rules/heal.yaml", rule),
        ("tests/heal.yaml", "workflow: disk.heal\nexpect: {}\n"),
    ];
    assert_eq!(
        problems(vec![disk_with(&files)]).to_string(),
        "workflows/heal.yaml:4:3: tasks.a must be a mapping that is not empty, found {}"
    );
}

#[test]
fn what_a_workflow_calls_is_checked() {
    let told = |text| healing(HEAL, text);
    assert_eq!(
        told(
            "version: 1.0\ntasks:\n  a:\n    action: disk.claen\n    input: { host: db-1 }\n  b:\n    action: core.gone x=1\n"
        ),
        "workflows/heal.yaml:4:5: there is no action \"disk.claen\", did you mean \"disk.clean\"?\n\
         workflows/heal.yaml:7:5: there is no action \"core.gone\": no pack \"core\" is among these"
    );
    assert_eq!(
        told(
            "version: 1.0\nvars:\n  - x: 1\ntasks:\n  a:\n    action: disk.clean\n    input:\n      hots: db-1\n      older_than: 7\n  \
             b:\n    action: disk.clean\n  c:\n    action: disk.clean\n    input: <% ctx().x %>\n  d:\n    action: disk.clean host=1\n  \
             e:\n    action: <% ctx().x %>\n    input: { nothing: 1 }\n"
        ),
        "workflows/heal.yaml:7:5: action disk.clean needs the parameter \"host\"\n\
         workflows/heal.yaml:8:7: action disk.clean has no parameter \"hots\", did you mean \"host\"?\n\
         workflows/heal.yaml:9:7: the value of \"older_than\" breaks the action's schema: the value is not of type \"string\"\n\
         workflows/heal.yaml:11:5: action disk.clean needs the parameter \"host\"\n\
         workflows/heal.yaml:16:5: the value of \"host\" breaks the action's schema: the value is not of type \"string\""
    );
}

#[test]
fn secrets_go_where_secrets_may_go() {
    let pack = |text: &'static str| {
        let login = "name: login\nrunner: noop\nparameters:\n  token: { type: string, secret: true }\n  user: { type: string }\n";
        problems(vec![disk_with(&[(ACTION, HEAL), ("actions/login.yaml", login), (FILE, text)])]).to_string()
    };
    assert_eq!(
        pack(
            "version: 1.0\ntasks:\n  a:\n    action: disk.login\n    input: { token: plain, user: \"${secret.disk.token}\" }\n  \
             b:\n    action: disk.login\n    input: { token: \"${secret.mail.token}\" }\n"
        ),
        "workflows/heal.yaml:5:14: parameter \"token\" holds a secret: write its name, ${secret.<pack>.<name>}, and set its value \
         with `petrel secret set`, so that it stands in no file\n\
         workflows/heal.yaml:5:28: parameter \"user\" is not marked `secret: true` by its action, so its value would be shown: no \
         secret goes there\n\
         workflows/heal.yaml:8:14: pack disk cannot name the secret mail.token: a pack has its own, secret.disk.…, and those of \
         everybody, secret.shared.…"
    );
}

#[test]
fn workflows_that_call_each_other_for_ever_are_refused_with_their_circle() {
    let calls = |other: &str| format!("version: 1.0\ntasks:\n  a:\n    action: {other}\n");
    let action = |name: &str| format!("name: {name}\nrunner: orquesta\nworkflow: workflows/{name}.yaml\n");
    let pack = |name: &str, other: &str| {
        source(
            &format!("packs/{name}"),
            &[
                ("pack.yaml", &format!("name: {name}\nversion: 1.0.0\n")),
                ("actions/a.yaml", &action("a")),
                ("actions/b.yaml", &action("b")),
                ("workflows/a.yaml", &calls(&format!("{name}.b"))),
                ("workflows/b.yaml", &calls(other)),
            ],
        )
    };
    let told = problems(vec![pack("one", "two.a"), pack("two", "one.a")]);
    assert_eq!(
        told.to_string(),
        "packs/two/workflows/b.yaml:4:5: workflows that call each other have no end: one.a → one.b → two.a → two.b → one.a"
    );
    let told = problems(vec![pack("one", "one.b")]);
    assert_eq!(
        told.to_string(),
        "packs/one/workflows/b.yaml:4:5: workflows that call each other have no end: one.b → one.b"
    );
}

#[test]
fn what_makes_no_sense_for_a_workflow_is_refused() {
    let action = "name: heal\nrunner: workflow\nworkflow: workflows/heal.yaml\ntimeout: 10m\npool: gpu\nrequires: { zone: a }\n\
                  needs: { cpu: 1 }\nretry: { max: 2 }\noutput_bytes_max: 10\ndelivery: at_most_once\ncommand: [./clean.sh]\n";
    let told = healing(action, "version: 1.0\ntasks:\n  a:\n    action: disk.clean host=db-1\n");
    for wanted in [
        "actions/heal.yaml:4:1: \"timeout\" is for actions that a worker runs, and no worker runs a workflow: say \"timeout:\" in the workflow",
        "actions/heal.yaml:5:1: \"pool\" is for actions",
        "actions/heal.yaml:6:1: \"requires\" is for actions",
        "actions/heal.yaml:7:1: \"needs\" is for actions",
        "actions/heal.yaml:8:1: \"retry\" is for actions",
        "actions/heal.yaml:9:1: \"output_bytes_max\" is for actions",
        "actions/heal.yaml:10:11: a workflow is conducted by its owner and is never lost",
        "actions/heal.yaml:11:1: \"command\" is no key of the runner \"workflow\"",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
}

#[test]
fn a_workflow_has_a_file_and_a_file_has_an_action() {
    check(&[
        (ACTION, "name: heal\nrunner: workflow\n", "actions/heal.yaml:1:1: an action needs \"workflow\""),
        (
            ACTION,
            "name: heal\nrunner: workflow\nworkflow: workflows/heal.yml\n",
            "actions/heal.yaml:3:11: \"workflows/heal.yml\" is no *.yaml file of the pack, such as workflows/heal.yaml",
        ),
        (
            ACTION,
            "name: heal\nrunner: orquesta\nworkflow: actions/claen.yaml\n",
            "actions/heal.yaml:3:11: the pack has no file actions/claen.yaml, did you mean \"actions/clean.yaml\"?",
        ),
        (
            FILE,
            "version: 1.0\n",
            "workflows/heal.yaml:1:1: no action runs this workflow: one with `runner: workflow` or `runner: orquesta` names its file",
        ),
        (
            "workflows/more/heal.yaml",
            "x",
            "workflows/more/heal.yaml:1:1: workflows/ holds *.yaml files only, and no folders",
        ),
    ]);
}

#[test]
fn inputs_and_parameters_are_of_the_same_names() {
    let action = "name: heal\nrunner: orquesta\nworkflow: workflows/heal.yaml\nparameters:\n  hots: { type: string }\n";
    assert_eq!(
        healing(action, CLEANS),
        "actions/heal.yaml:5:3: workflows/heal.yaml has no input \"hots\", did you mean \"host\"?\n\
         workflows/heal.yaml:3:5: the input \"host\" has no default, and its action has no parameter of that name"
    );
    let told = healing(
        HEAL,
        "version: 1.0\ninput:\n  - vmName\ntasks:\n  a:\n    action: disk.clean host=<% ctx().vmName %>\n",
    );
    assert_eq!(told, "workflows/heal.yaml:3:5: \"vmName\" is no name: use lower-case letters, digits and underscores");
}

const NATIVE: &str = "name: heal\nrunner: workflow\nworkflow: workflows/heal.yaml\n";

#[test]
fn a_workflow_that_asks_needs_the_action_that_does() {
    let text = "version: 1.0\ntasks:\n  ask:\n    approve: {question: Really?}\n";
    let pack = || disk_with(&[(ACTION, NATIVE), (FILE, text)]);
    assert_eq!(
        problems(vec![pack()]).to_string(),
        "workflows/heal.yaml:4:5: a task with `approve` asks people by the action core.ask, which the revision does not have: \
         add packs/core to it"
    );
    let named = "version: 1.0\ntasks:\n  ask:\n    action: core.ask\n    input: { users: [ann], roles: [] }\n";
    let told = problems(vec![disk_with(&[(ACTION, NATIVE), (FILE, named)]), crate::core_tests::core()]).to_string();
    assert_eq!(
        told,
        "workflows/heal.yaml:5:14: \"users\" is not supported in this version, until identities exist: whoever may answer at all may \
         answer"
    );
    let other = source(
        "packs/core",
        &[("pack.yaml", "name: core\nversion: 1.0.0\n"), ("actions/ask.yaml", "name: ask\nrunner: noop\n")],
    );
    let by_name = disk_with(&[(ACTION, NATIVE), (FILE, "version: 1.0\ntasks:\n  ask:\n    action: core.ask\n")]);
    for asks in [pack(), by_name] {
        assert_eq!(
            problems(vec![asks, other.clone()]).to_string(),
            "workflows/heal.yaml:4:5: core.ask asks people, so its runner is \"inquirer\", and the revision's is \"noop\": take that \
             of packs/core"
        );
    }
    let unusable = "version: 1.0\ntasks:\n  ask:\n    action: core.ask\n    input: { schema: { type: bool } }\n";
    let told = problems(vec![disk_with(&[(ACTION, NATIVE), (FILE, unusable)]), crate::core_tests::core()]).to_string();
    let wanted = "workflows/heal.yaml:5:14: \"schema\" is no schema of an answer: it is no JSON schema: ";
    assert!(told.starts_with(wanted), "{told}");
    let revision = load(vec![pack(), crate::core_tests::core()]);
    assert!(revision.compiled().action("disk.heal").unwrap().plan.runner.workflow().is_some());
    let misspelt = "version: 1.0\ntasks:\n  a:\n    timeuot: 5m\n    action: disk.clean host=x\n    next: [{ on: success, do: noop }]\n";
    let told = healing(NATIVE, misspelt);
    let wanted = [
        "workflows/heal.yaml:3:3: tasks.a: Additional properties are not allowed ('timeuot' was unexpected), did you mean \"timeout\"?",
        "workflows/heal.yaml:6:14: tasks.a.next[0].on: \"success\" is not one of succeeded, failed, timeout, completed",
    ];
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn what_undoes_calls_people_and_ends_a_workflow_is_checked() {
    let told = healing(
        NATIVE,
        "version: 1.0\non_error: pause\non_freeze:\n  notify: { action: pager.call }\n  remind: { every: 1h, action: disk.clean, input: \
         { hots: a } }\nfinally:\n  - action: disk.claen\ntasks:\n  a:\n    action: disk.clean\n    input: { host: db-1 }\n    undo: { \
         action: disk.clean }\n",
    );
    assert_eq!(
        told,
        "workflows/heal.yaml:4:13: there is no action \"pager.call\": no pack \"pager\" is among these\n\
         workflows/heal.yaml:5:44: action disk.clean needs the parameter \"host\"\n\
         workflows/heal.yaml:5:53: action disk.clean has no parameter \"hots\", did you mean \"host\"?\n\
         workflows/heal.yaml:7:5: there is no action \"disk.claen\", did you mean \"disk.clean\"?\n\
         workflows/heal.yaml:12:13: action disk.clean needs the parameter \"host\""
    );
}

#[test]
fn a_question_is_an_action_of_its_own() {
    use petrel_execution::workflow::answer_schema;

    let revision = load(vec![crate::core_tests::core()]);
    let ask = revision.compiled().action("core.ask").unwrap();
    assert!(ask.plan.runner.workflow().is_some());
    let completed = ask.plan.parameters.complete(&serde_json::json!({ "question": "Go on?" })).unwrap();
    let completed = completed.as_object().unwrap();
    let required = |schema: serde_json::Value| (schema["type"].clone(), schema["required"].clone());
    assert_eq!(required(answer_schema(completed)), required(answer_schema(&serde_json::Map::new())));
    assert_eq!((&completed["ttl"], &completed["roles"]), (&1440.into(), &serde_json::json!([])));

    let action = "name: heal\nrunner: inquirer\ntimeout: 10m\npool: gpu\ndelivery: at_most_once\ncommand: [x]\n";
    let told = healing(action, "version: 1.0\n");
    for wanted in [
        "actions/heal.yaml:3:1: \"timeout\" is for actions that a worker runs, and no worker runs a question: its parameter",
        "actions/heal.yaml:4:1: \"pool\" is for actions that a worker runs, and no worker runs a question: leave it out",
        "actions/heal.yaml:5:11: a question is kept by its owner and is never lost: leave \"delivery\" out",
        "actions/heal.yaml:6:1: \"command\" is no key of the runner \"inquirer\"",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
}
