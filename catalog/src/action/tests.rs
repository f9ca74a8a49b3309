use petrel_execution::runner::{Rendering, RunnerCall};
use serde_json::json;

use super::*;
use crate::testkit::{disk_with, load};

const ACTION: &str = r#"
name: clean
runner: command
command: [./clean.sh, "${parameters.host}", "--days=${parameters.days}", "${parameters.tags}", literal]
env: { HOST: "${parameters.host}", RUN: "${execution.id}/${execution.attempt}" }
parameters:
  host: { type: string, required: true, pattern: "^[a-z0-9-]+$" }
  days: { type: integer, default: 7, minimum: 1 }
  tags: { type: array, default: [] }
  note: {}
  older_than: { type: string }
"#;

fn with_action<T>(test: impl FnOnce(&ActionDef) -> T) -> T {
    let revision = load(vec![disk_with(&[("actions/clean.yaml", ACTION)])]);
    test(revision.compiled().action("disk.clean").unwrap())
}

#[test]
fn parameters_are_resolved() {
    with_action(|action| {
        let resolved = action.resolve_parameters(&json!({ "host": "db-1" })).unwrap();
        assert_eq!(resolved, json!({ "host": "db-1", "days": 7, "tags": [] }));
        let resolved = action.resolve_parameters(&json!({ "host": "db-1", "days": 3, "note": null })).unwrap();
        assert_eq!(resolved, json!({ "host": "db-1", "days": 3, "tags": [], "note": null }));
        let cases = [
            (json!({}), r#"disk.clean: parameter "host" is required"#),
            (json!(null), r#"disk.clean: parameter "host" is required"#),
            (json!([1]), "disk.clean: parameters must be an object"),
            (
                json!({ "hots": "x", "days": 0 }),
                r#"disk.clean: unknown parameter "hots", did you mean "host"?; parameter "host" is required; /days: the value is less than the minimum of 1"#,
            ),
            (
                json!({ "host": "a b", "days": "7" }),
                r#"disk.clean: /host: the value does not match "^[a-z0-9-]+$"; /days: the value is not of type "integer""#,
            ),
        ];
        for (given, wanted) in cases {
            assert_eq!(action.resolve_parameters(&given).unwrap_err().to_string(), wanted, "{given}");
        }
    });
}

/// What a reference stands for is not known here: its worker looks at it.
#[test]
fn a_reference_stands_for_a_parameter_once_and_only_in_its_place() {
    let object = json!({
        "store": "files", "sha256": "0".repeat(64), "bytes": 100_000, "media_type": "application/json",
    });
    with_action(|action| {
        let given = json!({ "days": 3, "$objects": { "host": object, "tags": object } });
        assert_eq!(action.resolve_parameters(&given), Ok(given.clone()), "and it is what it was a second time");
        let plain = action.resolve_parameters(&json!({ "host": "db-1", "note": { "$objects": { "host": object } } }));
        assert_eq!(plain.unwrap()["note"], json!({ "$objects": { "host": object } }));
        let cases = [
            (
                json!({ "host": "a", "$objects": { "hots": object } }),
                r#"unknown parameter "hots", did you mean "host"?"#,
            ),
            (json!({ "host": "a", "$objects": { "host": object } }), r#"parameter "host" is given twice"#),
            (json!({ "$objects": { "host": "x" } }), r#"what is given for "host" is no reference to an object"#),
            (json!({ "host": "a", "$objects": [] }), r#""$objects" must be an object"#),
        ];
        for (given, wanted) in cases {
            let error = action.resolve_parameters(&given).unwrap_err().to_string();
            assert_eq!(error, format!("disk.clean: {wanted}"), "{given}");
        }
    });
}

#[test]
fn arguments_of_a_manual_run() {
    with_action(|action| {
        let parse = |arguments: &[&str]| action.parse_arguments(arguments.iter().copied());
        assert_eq!(
            parse(&["host=db=1", "days=3", "tags=[\"a\"]", "note=5"]).unwrap(),
            json!({ "host": "db=1", "days": 3, "tags": ["a"], "note": "5" })
        );
        assert_eq!(
            parse(&["host", "days=soon", "dayz=3", "host=a", "host=b"]).unwrap_err().reasons,
            [
                r#"write "host" as name=value"#,
                r#"the value of "days" is no JSON: "soon""#,
                r#"unknown parameter "dayz", did you mean "days"?"#,
                r#"parameter "host" stands twice, again with "b""#,
            ]
        );
    });
}

#[test]
fn commands_are_argument_lists() {
    with_action(|action| {
        let hostile = json!({ "host": "; rm -rf / #\n$(x)", "days": 7, "tags": ["a", 1] });
        let render = |parameters: &Value| {
            action.plan.runner.render(Rendering { parameters, secrets: &Value::Null, execution_id: "e1", attempt: 2 })
        };
        let Ok(RunnerCall::Command(command)) = render(&hostile) else { panic!("not a command") };
        assert_eq!(command.argv, ["./clean.sh", "; rm -rf / #\n$(x)", "--days=7", r#"["a",1]"#, "literal"]);
        let wanted = [("HOST", "; rm -rf / #\n$(x)"), ("RUN", "e1/2")];
        assert_eq!(command.process.env, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let refused = render(&json!({ "host": "a\0b", "days": 7, "tags": [] })).unwrap_err();
        assert_eq!(refused.to_string(), "argument 1 of the command holds a NUL character");
    });
}

#[test]
fn the_name_of_a_secret_that_was_made_of_data_is_none() {
    let login =
        "name: login\nrunner: noop\nparameters:\n  token: { type: string, secret: true }\n  user: { type: string }\n";
    let revision = load(vec![disk_with(&[("actions/login.yaml", login)])]);
    let action = revision.compiled().action("disk.login").unwrap();
    let name = "${secret.disk.token}";
    let given = json!({ "token": name, "user": name });
    assert_eq!(action.resolve_parameters(&given).unwrap(), given);
    let of_user = json!({ "token": name, "user": name, "$computed": ["user"] });
    assert_eq!(action.resolve_parameters(&of_user).unwrap(), given, "it is only a text");
    let of_token = json!({ "token": name, "$computed": ["token"] });
    let refused = action.resolve_parameters(&of_token).unwrap_err().to_string();
    assert!(refused.contains("was made of data"), "{refused}");
}

#[test]
fn until_when_an_answer_is_waited_for_stands_beside_the_parameters_of_a_question() {
    let revision = load(vec![crate::core_tests::core()]);
    let ask = revision.compiled().action("core.ask").unwrap();
    let given = json!({ "question": "Go?", "$until": "2026-01-01T10:00:00Z" });
    assert_eq!(ask.resolve_parameters(&given).unwrap()["$until"], given["$until"]);
    assert!(ask.resolve_parameters(&json!({ "until": "2026-01-01T10:00:00Z" })).is_err());
}
