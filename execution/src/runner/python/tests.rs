//! The keys of the runner `python`, and what they are rendered to.

use petrel_cel::{Constant, Constants};
use serde_json::json;

use super::super::{RunnerCall, RunnerSpec};
use super::*;

struct Files {
    requirements: &'static str,
}

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        matches!(path, "actions/report.py" | "actions/notes.txt" | "actions/lib/x.py").then_some(false)
    }

    fn hint(&self, path: &str) -> String {
        format!(", not {path}")
    }

    fn text(&self, path: &str) -> Option<String> {
        (path == REQUIREMENTS).then(|| self.requirements.to_owned())
    }

    fn configured(&self) -> Vec<String> {
        ["region", "token"].map(str::to_owned).to_vec()
    }

    fn constants(&self) -> Option<&dyn Constants> {
        Some(self)
    }
}

impl Constants for Files {
    fn get(&self, name: &str) -> Option<Constant> {
        match name {
            "region" => Some(Constant::Value(json!({ "name": "eu-1", "zones": [1, 2] }))),
            "token" => Some(Constant::Secret("demo.token".to_owned())),
            _ => None,
        }
    }

    fn unknown(&self, name: &str) -> String {
        name.to_owned()
    }
}

fn parse(keys: Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse("python", &keys, &Files { requirements: "six\n" })
}

fn render(keys: Value, parameters: Value) -> Box<PythonCall> {
    let spec = parse(keys).unwrap_or_else(|errors| panic!("{errors:?}"));
    let secrets = json!({ "demo": { "token": "s3cret" } });
    let rendering = Rendering { parameters: &parameters, secrets: &secrets, execution_id: "e1", attempt: 1 };
    match spec.render(rendering).unwrap() {
        RunnerCall::Python(call) => call,
        other => panic!("no python: {other:?}"),
    }
}

#[test]
fn a_function_is_called_with_its_parameters_and_no_configuration() {
    let env = json!({ "A": "fixed", "B": "${parameters.host}" });
    let call = render(json!({ "file": "./lib/x.py", "env": env }), json!({ "host": "; rm -rf /", "n": 1 }));
    assert_eq!(
        (&*call.file, &call.callee, &*call.interpreter),
        ("lib/x.py", &Callee::Function("run".into()), "python3")
    );
    assert_eq!((&call.parameters, &call.config), (&json!({ "host": "; rm -rf /", "n": 1 }), &Value::Null));
    assert_eq!((&*call.fixed, &call.requirements), (&["A".to_owned()][..], &None));
    let call = render(json!({ "file": "report.py", "function": "report", "python": "3.12" }), json!({}));
    assert_eq!((&call.callee, &*call.interpreter), (&Callee::Function("report".into()), "python3.12"));
}

#[test]
fn a_class_is_given_the_configuration_with_its_secrets() {
    let python = json!({ "interpreter": "/opt/python", "requirements": ["six", "./a.whl"] });
    let keys = json!({ "file": "report.py", "class_name": "Report", "python": python });
    let spec = parse(keys.clone()).unwrap();
    assert_eq!(
        spec.secrets().iter().map(|(at, s)| format!("{at} {s}")).collect::<Vec<_>>(),
        ["/class_name/token demo.token"]
    );
    let call = render(keys, json!({}));
    assert_eq!(call.config, json!({ "region": { "name": "eu-1", "zones": [1, 2] }, "token": "s3cret" }));
    assert_eq!(call.requirements, Some(vec!["six".to_owned(), "./a.whl".to_owned()]));
    assert_eq!(call.interpreter, "/opt/python");
    assert!(!format!("{call:?}").contains("s3cret"), "{call:?}");
}

#[test]
fn every_mistake_is_told_where_it_is() {
    let cases = [
        (json!({}), ": an action needs \"file\""),
        (json!({ "file": "notes.txt" }), "/file: \"notes.txt\" is no file of Python code, whose name ends with .py"),
        (json!({ "file": "../x.py" }), "/file: \"../x.py\" leaves the pack"),
        (json!({ "file": "x.py" }), "/file: the pack has no file actions/x.py, not actions/x.py"),
        (
            json!({ "file": "${parameters.f}.py" }),
            "/file: the file must be a constant, so that a parameter cannot choose it",
        ),
        (
            json!({ "file": "report.py", "class_name": "A", "function": "b" }),
            "/function: \"function\" stands beside \"class_name\", of which the method \"run\" is called",
        ),
        (json!({ "file": "report.py", "function": "a.b" }), "/function: \"a.b\" is no name for \"function\""),
        (
            json!({ "file": "report.py", "python": 3.11 }),
            "/python: \"python\" must be a string, found the number 3.11; write \"3.11\" in quotes",
        ),
        (
            json!({ "file": "report.py", "python": "pypy" }),
            "/python: \"pypy\" is no interpreter: a version such as \"3.11\", or an absolute path",
        ),
        (
            json!({ "file": "report.py", "python": { "version": "3.11" } }),
            "/python/version: unknown key \"version\" in \"python\", which has \"interpreter\", \"requirements\"",
        ),
        (
            json!({ "file": "report.py", "python": { "requirements": ["six\n-i x"] } }),
            "/python/requirements/0: a requirement is one line",
        ),
        (
            json!({ "file": "report.py", "output": { "format": "json" } }),
            "/output/format: what the function returns is the result, and has no \"format\"",
        ),
    ];
    for (keys, expected) in cases {
        let told: Vec<String> = parse(keys.clone()).unwrap_err().iter().map(SpecError::to_string).collect();
        assert_eq!(told, [expected], "{keys}");
    }
    let elsewhere = json!({ "file": "report.py", "python": { "requirements": ["six", "-i https://x"] } });
    let told = parse(elsewhere).unwrap_err()[0].to_string();
    assert!(told.starts_with("/python/requirements/1: \"-i\" is no requirement"), "{told}");
    let keys = json!({ "file": "report.py" });
    let files = Files { requirements: "six\n--extra-index-url https://x\n" };
    let told = RunnerSpec::parse("python", keys.as_object().unwrap(), &files).unwrap_err()[0].to_string();
    assert!(told.starts_with("/runner: line 2 of requirements.txt: \"--extra-index-url\" is no requirement"), "{told}");
}
