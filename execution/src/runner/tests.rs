use serde_json::json;

use super::*;

struct Files;

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        match path {
            "actions/clean.sh" => Some(true),
            "actions/notes.txt" => Some(false),
            _ => None,
        }
    }

    fn hint(&self, path: &str) -> String {
        format!(", not {path}")
    }
}

fn parse(runner: &str, keys: Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse(runner, &keys, &Files)
}

fn render(spec: &RunnerSpec, parameters: Value) -> Result<RunnerCall, RenderError> {
    spec.render(Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e1", attempt: 2 })
}

#[test]
fn a_command_is_rendered_with_its_parameters_and_its_execution() {
    let keys = json!({
        "command": ["./clean.sh", "${parameters.host}", "n=${parameters.n}", "${execution.id}"],
        "env": { "ATTEMPT": "${execution.attempt}" },
    });
    let spec = parse("command", keys).unwrap();
    let Ok(RunnerCall::Command(call)) = render(&spec, json!({"host": "; rm -rf /", "n": 1.0})) else { panic!() };
    assert_eq!(call.argv, ["./clean.sh", "; rm -rf /", "n=1", "e1"]);
    assert_eq!(call.env, [("ATTEMPT".to_owned(), "2".to_owned())]);
    let missing = render(&spec, json!({"n": 1})).unwrap_err().to_string();
    assert!(missing.starts_with("argument 1 of the command: "), "{missing}");
    let nul = render(&spec, json!({"host": "a\0b", "n": 1})).unwrap_err().to_string();
    assert_eq!(nul, "argument 1 of the command holds a NUL character");
}

#[test]
fn every_mistake_of_a_command_is_told_where_it_is() {
    let cases = [
        (json!({}), ": an action needs \"command\""),
        (json!({"command": "ls"}), "/command: \"command\" must be a list of strings, found a string"),
        (json!({"command": []}), "/command: \"command\" must name a program"),
        (json!({"command": vec!["a"; 257]}), "/command: \"command\" has 257 arguments, more than the limit of 256"),
        (
            json!({"command": ["ls", 5]}),
            "/command/1: \"command[1]\" must be a string, found the number 5; write \"5\" in quotes",
        ),
        (json!({"command": [["ls"]]}), "/command/0: \"command[0]\" must be a string, found a list"),
        (
            json!({"command": ["${parameters.p}"]}),
            "/command/0: the program must be a constant, so that a parameter cannot choose it",
        ),
        (json!({"command": ["../x.sh"]}), "/command/0: \"../x.sh\" leaves the pack"),
        (json!({"command": ["./x.sh"]}), "/command/0: the pack has no file actions/x.sh, not actions/x.sh"),
        (json!({"command": ["./notes.txt"]}), "/command/0: actions/notes.txt is not executable: chmod +x it"),
        (json!({"command": ["ls"], "env": []}), "/env: expected \"env\" as a mapping, found a list"),
        (json!({"command": ["ls"], "env": {"a/b": "x"}}), "/env/a~1b: \"a/b\" is no name of an environment variable"),
        (
            json!({"command": ["ls"], "env": {"PETREL_X": "x"}}),
            "/env/PETREL_X: \"PETREL_X\" is Petrel's: names that begin with PETREL_ are set by the worker",
        ),
    ];
    for (keys, expected) in cases {
        let errors = parse("command", keys.clone()).unwrap_err();
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{keys}");
    }
    let errors = parse("command", json!({"command": ["ls", "a ${trigger.x}"]})).unwrap_err();
    let Mistake::Expression(error) = &errors[0].mistake else { panic!("{errors:?}") };
    assert_eq!((&*errors[0].at, error.line, error.column), ("/command/1", 1, 5));
    assert!(parse("command", json!({"command": ["/bin/ls", "-l"]})).is_ok());
}

#[test]
fn noop_results_in_its_parameters() {
    let spec = parse("noop", json!({})).unwrap();
    assert_eq!(spec.name(), "noop");
    let Ok(RunnerCall::Noop(call)) = render(&spec, json!({"a": 1})) else { panic!() };
    let outcome = call.outcome();
    assert_eq!(outcome.status, crate::Status::Succeeded);
    assert_eq!(outcome.result, Some(json!({"parameters": {"a": 1}})));
}

#[test]
fn runners_know_their_keys() {
    assert_eq!(RunnerSpec::keys("command"), Some(&["command", "env"][..]));
    assert_eq!(RunnerSpec::keys("noop"), Some(&[][..]));
    assert_eq!(RunnerSpec::keys("http"), None);
    assert!(parse("http", json!({})).is_err());
}
