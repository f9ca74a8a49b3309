use petrel_execution::CompleteParameters as _;
use serde_json::json;

use crate::testkit::{disk_with, load, problems, source};

const ACTION: &str = "\
name: clean
runner: command
command: [./clean.sh]
env: { TOKEN: \"${parameters.token}\", OTHER: \"Bearer ${secret.disk.api_key}\" }
parameters:
  host: { type: string, required: true }
  older_than: { type: string, default: 7d }
  token: { type: string, secret: true, minLength: 12, default: \"${secret.shared.token}\" }
  account: { type: object, secret: true, required: true }
";
const RULE: &str = "\
name: clean_tmp
trigger: disk.alert
action:
  ref: disk.clean
  parameters: { host: \"${trigger.host}\", account: \"${ secret.disk.account }\" }
tests:
  - given: { host: db-1, mount: /tmp, used_pct: 95.0 }
    expect: { action: disk.clean, parameters: { account: \"${secret.disk.account}\" } }
";

#[test]
fn the_names_of_secrets_travel() {
    let revision = load(vec![disk_with(&[("actions/clean.yaml", ACTION), ("rules/clean_tmp.yaml", RULE)])]);
    let action = revision.compiled().action("disk.clean").unwrap();
    let named: Vec<_> = action.plan.runner.secrets().iter().map(|(at, secret)| (&**at, secret.as_str())).collect();
    assert_eq!(named, [("/env/OTHER", "disk.api_key")]);
    assert_eq!(action.parameters.secrets(), ["token", "account"]);
    let outcomes = crate::run_tests(revision.compiled());
    assert!(!outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.failure.is_none()), "{outcomes:?}");
    let completed = action.resolve_parameters(&json!({"host": "a", "account": "${ secret.disk.account }"})).unwrap();
    let (token, account) = ("${secret.shared.token}", "${secret.disk.account}");
    assert_eq!(completed, json!({"host": "a", "older_than": "7d", "token": token, "account": account}));
}

#[test]
fn a_value_where_a_secret_is_named_is_refused_and_not_told() {
    let revision = load(vec![disk_with(&[("actions/clean.yaml", ACTION), ("rules/clean_tmp.yaml", RULE)])]);
    let parameters = &revision.compiled().action("disk.clean").unwrap().parameters;
    let given = json!({"host": "a", "account": {"user": "hunter22222222"}, "token": "x ${secret.shared.token}"});
    let refused = parameters.complete(&given).unwrap_err().to_string();
    assert_eq!(
        refused,
        "disk.clean: parameter \"token\" holds a secret, and takes its name alone, as ${secret.pack.name}; parameter \
         \"account\" holds a secret, and takes its name alone, as ${secret.pack.name}"
    );
    // What it stands for fits the schema, or is not used; nothing of it is told.
    assert_eq!(parameters.secret_value("token", "a long enough one"), Ok(json!("a long enough one")));
    assert_eq!(parameters.secret_value("account", "{\"user\": \"u\"}"), Ok(json!({"user": "u"})));
    for (name, text) in [("token", "hunter2"), ("account", "hunter2222222222"), ("account", "[\"hunter2\"]")] {
        let refused = parameters.secret_value(name, text).unwrap_err().to_string();
        let wanted = format!("disk.clean: the secret given for {name:?} does not fit the parameter's schema");
        assert_eq!(refused, wanted);
    }
    assert_eq!(parameters.secret_text("account", &json!({"user": "u"})), Ok("{\"user\":\"u\"}".to_owned()));
    assert!(parameters.secret_text("token", &json!(5)).is_err());
}

#[test]
fn what_a_pack_must_not_say_of_secrets_is_told_where_it_stands() {
    let rule = |parameters: &str| {
        format!(
            "name: clean_tmp\ntrigger: disk.alert\naction:\n  ref: disk.clean\n  parameters:\n    host: h\n{parameters}"
        )
    };
    let account = "    account: ${secret.disk.account}\n";
    let rules = [
        ("    account: hunter2222\n", "parameter \"account\" holds a secret: write its name"),
        ("    account: ${trigger.host}\n", "parameter \"account\" holds a secret: write its name"),
        ("    account: x${secret.disk.account}\n", "holds a secret: write its name"),
        ("    account: ${secret.other.account}\n", "pack disk cannot name the secret other.account"),
        ("    account: ${secret.execution.account}\n", "pack disk cannot name the secret execution.account"),
        (
            &format!("{account}    older_than: ${{secret.disk.account}}\n"),
            "\"older_than\" is not marked `secret: true`",
        ),
        (&format!("{account}    older_than: a${{secret.disk.a}}\n"), "nothing is computed with it here"),
    ];
    for (text, wanted) in rules {
        let files = [("actions/clean.yaml", ACTION.to_owned()), ("rules/clean_tmp.yaml", rule(text))];
        let told = told(&files);
        assert!(told.contains(wanted) && told.starts_with("rules/clean_tmp.yaml:"), "{text}: {told}");
        assert!(!told.contains("hunter"), "{told}");
    }
    let actions = [
        ("disk.api_key", "other.api_key", "actions/clean.yaml:4:45: pack disk cannot name the secret other.api_key"),
        ("secret.disk.api_key", "secret.disk", "in full"),
        ("secret.disk.api_key", "secret[parameters.host]", "in full"),
        ("${secret.shared.token}", "hunter2222", "the default of \"token\" stands for a secret: write its name"),
        ("secret.shared.token", "secret.other.token", "pack disk cannot name the secret other.token"),
    ];
    for (before, after, wanted) in actions {
        let action = ACTION.replace(before, after);
        let files = [("actions/clean.yaml", action), ("rules/clean_tmp.yaml", RULE.to_owned())];
        let told = told(&files);
        assert!(told.contains(wanted) && told.starts_with("actions/clean.yaml:"), "{after}: {told}");
        assert!(!told.contains("hunter"), "{told}");
    }
    for name in ["shared", "execution"] {
        let manifest = format!("name: {name}\nversion: 1.0.0\n");
        let told = problems(vec![source("", &[("pack.yaml", &manifest)])]).to_string();
        assert!(told.starts_with("pack.yaml:1:7: no pack is called"), "{told}");
    }
}

/// Wherever it stands among the keys of its runner.
#[test]
fn a_secret_of_another_pack_is_told_where_a_request_names_it() {
    let action = "name: clean\nrunner: http\nrequest:\n  url: https://h/\n  json:\n    - a: x\n    - b: ${secret.other.key}\n\
                  parameters:\n  host: { type: string }\n  account: { type: string, secret: true }\n";
    let files = [("actions/clean.yaml", action.to_owned()), ("rules/clean_tmp.yaml", RULE.to_owned())];
    let told = told(&files);
    assert!(told.starts_with("actions/clean.yaml:7:10: pack disk cannot name the secret other.key"), "{told}");
}

fn told(files: &[(&'static str, String)]) -> String {
    let mut pack = disk_with(&[("actions/clean.yaml", ""), ("rules/clean_tmp.yaml", "")]);
    pack.files.extend(source("", &files.iter().map(|(path, text)| (*path, text.as_str())).collect::<Vec<_>>()).files);
    problems(vec![pack]).to_string()
}
