//! Runners in general, and `command`, `echo`, `fail`, `noop` and `sleep`.

use petrel_cel::Constant;
use serde_json::json;

use super::*;

struct Files;

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        match path {
            "actions/clean.sh" => Some(true),
            "actions/notes.txt" | "actions/report.py" => Some(false),
            _ => None,
        }
    }

    fn hint(&self, path: &str) -> String {
        format!(", not {path}")
    }

    fn produces(&self) -> Vec<String> {
        vec!["t".to_owned()]
    }
}

fn parse(runner: &str, keys: Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse(runner, &keys, &Files)
}

fn render(spec: &RunnerSpec, parameters: Value) -> Result<RunnerCall, RenderError> {
    spec.render(Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e1", attempt: 2 })
}

/// How one ends that does nothing.
fn end(spec: &RunnerSpec, parameters: Value) -> Outcome {
    match render(spec, parameters).unwrap() {
        RunnerCall::End(outcome) => outcome,
        other => panic!("it has something to do: {other:?}"),
    }
}

#[test]
fn a_command_is_rendered_with_its_parameters_and_its_execution() {
    let keys = json!({
        "command": ["./clean.sh", "${parameters.host}", "n=${parameters.n}", "${execution.id}"],
        "env": { "ATTEMPT": "${execution.attempt}" },
        "may": ["gain_privileges"],
        "limits": { "memory_bytes_max": 1 << 30, "cpu_s_max": 5 },
    });
    let spec = parse("command", keys).unwrap();
    let Ok(RunnerCall::Command(call)) = render(&spec, json!({"host": "; rm -rf /", "n": 1.0})) else { panic!() };
    assert_eq!(call.argv, ["./clean.sh", "; rm -rf /", "n=1", "e1"]);
    assert_eq!(call.process.env, [("ATTEMPT".to_owned(), "2".to_owned())]);
    assert_eq!(call.process.may, May { signal_others: false, gain_privileges: true });
    let limits = Limits { memory_bytes_max: Some(1 << 30), cpu_s_max: Some(5), ..Limits::default() };
    assert_eq!(call.process.limits, limits);
    let missing = render(&spec, json!({"n": 1})).unwrap_err().to_string();
    assert!(missing.starts_with("argument 1 of the command: "), "{missing}");
    let nul = render(&spec, json!({"host": "a\0b", "n": 1})).unwrap_err().to_string();
    assert_eq!(nul, "argument 1 of the command holds a NUL character");
}

/// No process can be given one: whatever is before it would be taken for the whole.
#[test]
fn no_runner_gives_a_process_a_nul_in_an_argument_or_a_variable() {
    let given = "${parameters.x}";
    let (arguments, variable) = (json!(["a", given]), json!({ "X": given }));
    let ssh = |keys: Value| {
        let mut all = json!({ "hosts": ["h"], "ssh": { "user": "u", "auth": { "agent": true } }, "command": ["x"] });
        all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        ("ssh", all)
    };
    for (runner, keys) in [
        ("command", json!({ "command": ["ls", given] })),
        ("command", json!({ "command": ["ls"], "env": variable })),
        ("shell", json!({ "script": "ls", "args": arguments })),
        ("shell", json!({ "script": "ls", "env": variable })),
        ("script", json!({ "file": "clean.sh", "interpreter": "sh", "args": arguments })),
        ("script", json!({ "file": "clean.sh", "interpreter": "sh", "env": variable })),
        ("container", json!({ "image": "tools:1", "command": arguments })),
        ("container", json!({ "image": "tools:1", "entrypoint": arguments, "command": ["x"] })),
        ("container", json!({ "image": "tools:1", "command": ["x"], "env": variable })),
        ("python", json!({ "file": "report.py", "env": variable })),
        ssh(json!({ "command": arguments })),
        ssh(json!({ "env": variable })),
    ] {
        let spec = parse(runner, keys.clone()).unwrap_or_else(|errors| panic!("{runner} {keys}: {errors:?}"));
        let error = render(&spec, json!({ "x": "a\0; b" })).map(|_| ()).unwrap_err().to_string();
        assert!(error.ends_with("holds a NUL character"), "{runner} {keys}: {error}");
        render(&spec, json!({ "x": "a\n; b" })).unwrap_or_else(|error| panic!("{runner} {keys}: {error}"));
    }
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
        (json!({"command": ["ls"], "may": "x"}), "/may: expected \"may\" as a list, found a string"),
        (
            json!({"command": ["ls"], "may": ["signal_others", "fly"]}),
            "/may/1: \"fly\" is nothing that can be allowed: signal_others, gain_privileges",
        ),
        (json!({"command": ["ls"], "limits": 5}), "/limits: expected \"limits\" as a mapping, found a number"),
        (
            json!({"command": ["ls"], "limits": {"fun": 5}}),
            "/limits/fun: \"fun\" is no limit: cpu_s_max, file_bytes_max, memory_bytes_max, open_files_max, processes_max, tree_cpus_max, \
             tree_memory_bytes_max, tree_processes_max",
        ),
        (
            json!({"command": ["ls"], "limits": {"cpu_s_max": "5s"}}),
            "/limits/cpu_s_max: \"cpu_s_max\" must be a whole number, found a string",
        ),
        (
            json!({"command": ["ls"], "limits": {"open_files_max": 3}}),
            "/limits/open_files_max: \"open_files_max\" must be at least 16, or no program can start",
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
    assert_eq!((spec.name(), spec.is_instant()), ("noop", true));
    let outcome = end(&spec, json!({"a": 1}));
    assert_eq!(outcome.status, crate::Status::Succeeded);
    assert_eq!(outcome.result, Some(json!({"parameters": {"a": 1}})));
}

#[test]
fn echo_results_in_what_it_says_with_its_type() {
    let spec = parse("echo", json!({"message": {"n": "${parameters.n}", "text": "n is ${parameters.n}"}})).unwrap();
    assert!(!spec.is_instant(), "expressions may take their time");
    let outcome = end(&spec, json!({"n": 5}));
    assert_eq!(outcome.status, crate::Status::Succeeded);
    assert_eq!(outcome.result, Some(json!({"message": {"n": 5, "text": "n is 5"}})));
    let missing = render(&spec, json!({})).unwrap_err().to_string();
    assert!(missing.starts_with("the message: "), "{missing}");
    assert_eq!(parse("echo", json!({})).unwrap_err()[0].to_string(), ": an action needs \"message\"");
    // An expression within a mapping is told where it stands.
    let errors = parse("echo", json!({"message": {"a": ["${trigger.x}"]}})).unwrap_err();
    assert_eq!(errors[0].at, "/message/a/0");
}

#[test]
fn fail_fails_and_says_why() {
    let message = |keys: Value| {
        let spec = parse("fail", keys).unwrap();
        let outcome = end(&spec, json!({"why": "no power"}));
        assert_eq!((outcome.status, outcome.retriable, spec.is_instant()), (crate::Status::Failed, false, false));
        assert_eq!(outcome.note.code.as_deref(), Some("told_to_fail"));
        outcome.note.error.unwrap()
    };
    assert_eq!(message(json!({"message": "there is ${parameters.why}"})), "there is no power");
    assert_eq!(message(json!({})), "failed, as its action says");
    assert!(parse("fail", json!({"message": 5})).is_err());
}

#[test]
fn sleep_knows_how_long() {
    let spec = parse("sleep", json!({"duration": "${parameters.d}"})).unwrap();
    assert!(!spec.is_instant());
    let call = render(&spec, json!({"d": "90s"})).unwrap();
    assert!(!call.uses_pack());
    assert_eq!(call, RunnerCall::Sleep(SleepCall { duration_ms: 90_000 }));
    let wrong = render(&spec, json!({"d": "soon"})).unwrap_err().to_string();
    assert!(wrong.starts_with("the duration: \"soon\" is not a duration"), "{wrong}");
    for keys in [json!({}), json!({"duration": 5}), json!({"duration": "5 s"}), json!({"duration": "${x}"})] {
        assert_eq!(parse("sleep", keys.clone()).unwrap_err().len(), 1, "{keys}");
    }
}

#[test]
fn runners_know_their_keys() {
    let of_command = ["command", "env", "cwd", "user", "stdin", "success_codes", "output", "may", "limits", "confine"];
    assert_eq!(RunnerSpec::keys("command"), Some(&of_command[..]));
    assert_eq!(RunnerSpec::keys("noop"), Some(&[][..]));
    assert_eq!(RunnerSpec::keys("telnet"), None);
    assert!(parse("telnet", json!({})).is_err());
}

/// Each with all the strings that it takes; a runner that is not named here fails.
#[test]
fn every_runner_tells_which_secrets_it_names_and_where_and_shows_none_of_their_values() {
    let keys = |runner: &str| match runner {
        "command" => json!({
            "command": ["ls", "${secret.demo.a}"], "env": { "B": "x ${secret.demo.b}" }, "stdin": ["${secret.demo.c}"],
        }),
        "container" => json!({
            "image": "tools:1", "entrypoint": ["sh", "${secret.demo.a}"], "command": ["${secret.demo.b}"],
            "registry": { "username": "${secret.demo.c}", "password": "${secret.demo.d}" },
            "env": { "B": "x ${secret.demo.e}" }, "stdin": ["${secret.demo.f}"],
        }),
        "script" => json!({
            "file": "clean.sh", "interpreter": "sh", "args": ["ls", "${secret.demo.a}"],
            "env": { "B": "x ${secret.demo.b}" }, "stdin": "${secret.demo.c}",
        }),
        "shell" => json!({
            "script": "ls", "args": ["ls", "${secret.demo.a}"], "env": { "B": "x ${secret.demo.b}" },
            "stdin": { "c": "${secret.demo.c}" },
        }),
        "echo" => json!({ "message": { "a": ["${secret.demo.a}", "none"], "b/c": "${secret.demo.b}" } }),
        "email" => json!({
            "server": {
                "host": "h${secret.demo.a}", "port": 25, "ca": "${secret.demo.c}",
                "auth": { "username": "${secret.demo.d}", "password": "${secret.demo.e}" },
            },
            "message": {
                "from": "a${secret.demo.f}@x.org", "to": ["a${secret.demo.g}@x.org"], "subject": "${secret.demo.h}",
                "text": "${secret.demo.i}", "html": "${secret.demo.a}",
            },
        }),
        "fail" => json!({ "message": "${secret.demo.a} ${secret.demo.b}" }),
        "http" => json!({ "request": {
            "url": "https://h/${secret.demo.a}",
            "path": ["x", "${secret.demo.b}"],
            "query": { "q": "${secret.demo.c}" },
            "headers": { "X-A": "${secret.demo.d}" },
            "json": [{ "e": "${secret.demo.e}" }],
            "auth": { "oauth2": { "token_url": "https://h/", "client_id": "x", "client_secret": "${secret.demo.f}" } },
            "tls": { "certificate": "${secret.demo.g}", "key": "${secret.demo.h}" },
            "proxy": { "url": "http://p/", "username": "u", "password": "${secret.demo.i}" },
        } }),
        "inject_trigger" => json!({ "trigger": "demo.x${secret.demo.a}", "payload": { "p": "${secret.demo.b}" } }),
        "kafka" => json!({ "record": {
            "topic": "t", "key": "${secret.demo.a}", "headers": { "h": "${secret.demo.b}" }, "json": ["${secret.demo.c}"],
        } }),
        "noop" => json!({}),
        "python" => json!({ "file": "report.py", "env": { "B": "${secret.demo.a}" } }),
        "sleep" => json!({ "duration": "${secret.demo.a}s" }),
        "ssh" => json!({
            "hosts": ["h"],
            "ssh": { "user": "u", "auth": { "password": "${secret.demo.a}" } },
            "command": ["x", "${secret.demo.b}"],
        }),
        other => panic!("which secrets {other} names is not tested"),
    };
    let places = |runner: &str| match runner {
        "command" => "/command/1 a, /env/B b, /stdin/0 c",
        "container" => {
            "/entrypoint/1 a, /command/0 b, /registry/username c, /registry/password d, /env/B e, /stdin/0 f"
        }
        "script" => "/args/1 a, /env/B b, /stdin c",
        "shell" => "/args/1 a, /env/B b, /stdin/c c",
        "echo" => "/message/a/0 a, /message/b~1c b",
        "email" => {
            "/server/host a, /server/ca c, /server/auth/username d, /server/auth/password e, \
             /message/to/0 g, /message/from f, /message/subject h, /message/text i, /message/html a"
        }
        "fail" => "/message a, /message b",
        "inject_trigger" => "/trigger a, /payload/p b",
        "kafka" => "/record/key a, /record/headers/h b, /record/json/0 c",
        "http" => {
            "/request/url a, /request/path/1 b, /request/query/q c, /request/headers/X-A d, /request/json/0/e e, \
             /request/auth/oauth2/client_secret f, /request/tls/certificate g, /request/tls/key h, \
             /request/proxy/password i"
        }
        "python" => "/env/B a",
        "sleep" => "/duration a",
        "ssh" => "/ssh/auth/password a, /command/1 b",
        _ => "",
    };
    let values = ["a", "b", "c", "d", "e", "f", "g", "h", "i"].map(|name| (name.to_owned(), Value::from("71717")));
    let secrets = json!({ "demo": Value::Object(values.into_iter().collect()) });
    // A workflow names none: the actions that its tasks run do. Nor does a question.
    let is_conducted = |runner: &str| matches!(runner, "inquirer" | "orquesta" | "workflow");
    for runner in RunnerSpec::NAMES.iter().filter(|runner| !is_conducted(runner)) {
        let spec = parse(runner, keys(runner)).unwrap_or_else(|errors| panic!("{runner}: {errors:?}"));
        let named = spec.secrets().iter().map(|(at, secret)| format!("{at} {}", secret.name()));
        assert_eq!(named.collect::<Vec<_>>().join(", "), places(runner), "{runner}");
        let execution_id = "ab5d55eb4ccbbb057449fb974e3db6fa";
        let rendering = Rendering { parameters: &json!({}), secrets: &secrets, execution_id, attempt: 1 };
        let shown = match spec.render(rendering).unwrap_or_else(|error| panic!("{runner}: {error}")) {
            // How it ends is masked before anybody sees it.
            RunnerCall::End(_) | RunnerCall::Sleep(_) => format!("{rendering:?}"),
            call => format!("{rendering:?} {call:?}"),
        };
        assert!(!shown.contains("71717"), "{shown}");
    }
}

#[test]
fn the_configuration_stands_for_itself_in_the_keys_of_every_runner() {
    struct Configured;

    impl PackFiles for Configured {
        fn executable(&self, _: &str) -> Option<bool> {
            None
        }

        fn hint(&self, _: &str) -> String {
            String::new()
        }

        fn constants(&self) -> Option<&dyn Constants> {
            Some(self)
        }
    }

    impl Constants for Configured {
        fn get(&self, name: &str) -> Option<Constant> {
            match name {
                "host" => Some(Constant::Value(json!("db-1"))),
                "token" => Some(Constant::Secret("demo.token".to_owned())),
                _ => None,
            }
        }

        fn unknown(&self, name: &str) -> String {
            format!("{name} is not configured")
        }
    }

    for (runner, keys) in [
        ("command", json!({ "command": ["echo", "${config.host}", "${config.token}"] })),
        ("container", json!({ "image": "x", "command": ["${config.host}"], "stdin": "${config.token}" })),
        ("echo", json!({ "message": ["${config.host}", "${config.token}"] })),
        ("fail", json!({ "message": "${config.host} ${config.token}" })),
        ("http", json!({ "request": { "url": "https://${config.host}/", "auth": { "bearer": "${config.token}" } } })),
        (
            "email",
            json!({
                "server": { "host": "${config.host}", "auth": { "username": "u", "password": "${config.token}" } },
                "message": { "from": "a@x.org", "to": "a@x.org", "subject": "s", "text": "${config.host}" },
            }),
        ),
        ("shell", json!({ "script": "x", "args": ["${config.host}"], "stdin": "${config.token}" })),
        ("sleep", json!({ "duration": "${config.host == 'db-1' ? '1s' : config.token}" })),
    ] {
        let Value::Object(keys) = keys else { panic!("keys are a mapping") };
        let spec =
            RunnerSpec::parse(runner, &keys, &Configured).unwrap_or_else(|errors| panic!("{runner}: {errors:?}"));
        let named: Vec<&str> = spec.secrets().iter().map(|(_, secret)| secret.as_str()).collect();
        assert_eq!(named, ["demo.token"], "{runner}");
        let secrets = json!({ "demo": { "token": "s3cret" } });
        let rendering = Rendering { parameters: &json!({}), secrets: &secrets, execution_id: "e1", attempt: 1 };
        assert!(spec.render(rendering).is_ok(), "{runner}");
    }
}
