use petrel_execution::runner::{Rendering, RunnerCall};
use serde_json::json;

use super::*;
use crate::revision::Revision;
use crate::testkit::{disk_with, load, problems};

const SCHEMA_TEXT: &str = "\
---
channel: { type: string, required: true, pattern: '^#' }
days: { type: integer, default: 7 }
token: { type: string, secret: true }
smtp: { type: object }
";
const ACTION: &str = "\
name: clean
runner: command
command: [./clean.sh, \"${parameters.host}\", \"${config.channel}/${config.days}\"]
env: { TOKEN: \"${config.token}\", MAIL: \"${config.smtp.host}\" }
parameters:
  host: { type: string, required: true }
  older_than: { type: string, default: 7d }
  token: { type: string, secret: true }
";
const RULE: &str = "\
name: clean_tmp
trigger: disk.alert
action:
  ref: disk.clean
  parameters: { host: \"${trigger.host}@${config.channel}\", token: \"${config.token}\" }
tests:
  - given: { host: db-1, mount: /tmp, used_pct: 95.0 }
    expect: { action: disk.clean, parameters: { host: \"db-1@#ops\", token: \"${secret.disk.token}\" } }
";
const VALUES_TEXT: &str = "channel: '#ops'\ntoken: ${secret.disk.token}\nsmtp: { host: mail }\n";

fn files(values: &'static str) -> Vec<(&'static str, &'static str)> {
    vec![
        ("config.schema.yaml", SCHEMA_TEXT),
        ("config.yaml", values),
        ("actions/clean.yaml", ACTION),
        ("rules/clean_tmp.yaml", RULE),
    ]
}

fn argv(revision: &Revision) -> Vec<String> {
    let action = revision.compiled().action("disk.clean").unwrap();
    let (parameters, secrets) = (json!({"host": "h"}), json!({"disk": {"token": "t0k3n"}}));
    let rendering = Rendering { parameters: &parameters, secrets: &secrets, execution_id: "e1", attempt: 1 };
    let Ok(RunnerCall::Command(call)) = action.plan.runner.render(rendering) else { panic!("not a command") };
    call.argv.into_iter().chain(call.env.into_iter().map(|(_, value)| value)).collect()
}

#[test]
fn actions_and_rules_see_what_the_pack_was_given() {
    let revision = load(vec![disk_with(&files(VALUES_TEXT))]);
    assert_eq!(argv(&revision), ["./clean.sh", "h", "#ops/7", "t0k3n", "mail"]);
    let action = revision.compiled().action("disk.clean").unwrap();
    let secrets: Vec<_> = action.plan.runner.secrets().iter().map(|(_, secret)| secret.as_str()).collect();
    assert_eq!(secrets, ["disk.token"], "a secret of the configuration travels by its name");
    let outcomes = crate::run_tests(revision.compiled());
    assert!(outcomes.iter().all(|outcome| outcome.failure.is_none()), "{outcomes:?}");
    let token = "${secret.disk.token}";
    let wanted = json!({"channel": "#ops", "token": token, "smtp": {"host": "mail"}, "days": 7});
    assert_eq!(Value::Object(revision.compiled().config("disk").unwrap().values().clone()), wanted);
    // Owners and workers, who read one action of a stored pack, see the same.
    let (pack, actions) = (revision.content().pack("disk").unwrap(), crate::Actions::new());
    let found = actions.resolve(pack, "clean").unwrap().unwrap();
    assert_eq!(found.plan.runner.secrets(), action.plan.runner.secrets());
}

#[test]
fn values_are_part_of_the_revision_and_kept_when_the_pack_is_applied_again() {
    let first = load(vec![disk_with(&files(VALUES_TEXT))]);
    let mut without = disk_with(&files(""));
    without.files.push(PackFile { path: "README.md".into(), bytes: b"new".to_vec(), executable: false });
    let second = Revision::load_into(first.content(), None, vec![without]).unwrap();
    assert_ne!(first.hash(), second.hash());
    assert_eq!(argv(&second), argv(&first));
    let mut given = given_config(&second.content().pack("disk").unwrap().files().unwrap()).unwrap();
    given.insert("channel".into(), "#night".into());
    let mut changed = disk_with(&files(""));
    changed.files.push(config_file(&given));
    let third = Revision::load_into(second.content(), None, vec![changed]).unwrap();
    assert_eq!(argv(&third)[2], "#night/7");
    assert_ne!(second.hash(), third.hash());
    let text = String::from_utf8(config_file(&given).bytes).unwrap();
    assert_eq!(text, "channel: \"#night\"\nsmtp: {\"host\":\"mail\"}\ntoken: \"${secret.disk.token}\"\n");
}

#[test]
fn what_the_schema_does_not_allow_is_told_where_it_stands() {
    let cases = [
        ("channel: ops\n", "config.yaml:1:10: config \"channel\" breaks its schema"),
        (
            "channel: '#a'\nchanel: b\n",
            "config.yaml:2:1: config.schema.yaml has no \"chanel\", did you mean \"channel\"?",
        ),
        ("channel: '#a'\ntoken: hunter2hunter2\n", "config.yaml:2:8: config \"token\" is a secret: write its name"),
        (
            "channel: '#a'\ntoken: ${secret.other.token}\n",
            "config.yaml:2:8: pack disk cannot name the secret other.token",
        ),
        ("channel: '#${secret.disk.token}'\n", "config.yaml:1:10: config \"channel\" is a value, and holds no"),
        ("- a\n", "config.yaml:1:1"),
        ("days: 3\n", "config.schema.yaml:2:1: the pack needs a value for config \"channel\""),
    ];
    for (values, wanted) in cases {
        let told = problems(vec![disk_with(&files(values))]).to_string();
        assert!(told.contains(wanted), "{values}: {told}");
        assert!(!told.contains("hunter"), "{told}");
    }
    let no_value = problems(vec![disk_with(&files("channel: '#a'\n"))]).to_string();
    assert!(no_value.contains("config.token has no value"), "{no_value}");
    let without_schema = problems(vec![disk_with(&[("config.yaml", "a: 1\n")])]).to_string();
    assert!(without_schema.contains("config.yaml:1:1: config.schema.yaml has no \"a\""), "{without_schema}");
}

#[test]
fn what_a_pack_was_given_can_be_taken_away() {
    let schema = ("config.schema.yaml", "days: { type: integer, default: 7 }\n");
    let days = |revision: &Revision| revision.compiled().config("disk").unwrap().values()["days"].clone();
    let first = load(vec![disk_with(&[schema, ("config.yaml", "days: 3\n")])]);
    assert_eq!(days(&first), 3);
    for nothing in
        [config_file(&Map::new()).bytes, b"".to_vec(), b" \n".to_vec(), b"# nothing\n".to_vec(), b"~\n".to_vec()]
    {
        let mut without = disk_with(&[schema]);
        without.files.push(PackFile { path: VALUES.into(), bytes: nothing, executable: false });
        assert_eq!(given_config(&without.files), Ok(Map::new()));
        let second = Revision::load_into(first.content(), None, vec![without]).unwrap();
        assert_eq!(days(&second), 7);
        let again = Revision::load_into(second.content(), None, vec![disk_with(&[schema])]).unwrap();
        assert_eq!(days(&again), 7, "it stays so");
    }
}
