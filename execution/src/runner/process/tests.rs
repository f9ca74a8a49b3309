//! What the runners of processes have in common, `shell` and `script`.

use serde_json::json;

use super::super::{
    CheckValue, ParameterPlace, Rendering, RunnerCall, RunnerSpec, SchemaMistake, ScriptCall, Shell, ShellCall,
    SpecError,
};
use super::*;

struct Files(Vec<ParameterPlace>);

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        match path {
            "actions/check.py" | "actions/none.txt" | "actions/dos.sh" | "actions/bare.sh" => Some(false),
            "actions/run" => Some(true),
            _ => None,
        }
    }

    fn hint(&self, path: &str) -> String {
        format!(", not {path}")
    }

    fn has_folder(&self, path: &str) -> bool {
        path == "actions/sub/dir"
    }

    fn interpreter(&self, path: &str) -> Option<String> {
        let line = match path {
            "actions/check.py" => " /usr/bin/env \t python3 -u ",
            "actions/run" => "/bin/sh",
            "actions/dos.sh" => "/bin/sh\r",
            "actions/bare.sh" => "sh",
            _ => return None,
        };
        Some(line.to_owned())
    }

    fn parameters(&self) -> &[ParameterPlace] {
        &self.0
    }

    fn schema(&self, schema: &Value) -> Result<Arc<dyn CheckValue>, SchemaMistake> {
        match schema {
            Value::Object(_) => Ok(Arc::new(Anything)),
            _ => Err(SchemaMistake { at: "/x".to_owned(), message: "no schema".to_owned() }),
        }
    }
}

#[derive(Debug)]
struct Anything;

impl CheckValue for Anything {
    fn problems(&self, _: &Value) -> Vec<String> {
        Vec::new()
    }
}

fn parse(runner: &str, keys: Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let place = |name: &str, position| ParameterPlace { name: name.to_owned(), position };
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse(runner, &keys, &Files(vec![place("host", Some(0)), place("dry_run", None)]))
}

fn render(spec: &RunnerSpec, parameters: Value) -> Result<RunnerCall, RenderError> {
    spec.render(Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e1", attempt: 2 })
}

fn shell(keys: Value, parameters: Value) -> ShellCall {
    match render(&parse("shell", keys).unwrap(), parameters).unwrap() {
        RunnerCall::Shell(call) => call,
        other => panic!("{other:?}"),
    }
}

fn script(keys: Value, parameters: Value) -> ScriptCall {
    match render(&parse("script", keys).unwrap(), parameters).unwrap() {
        RunnerCall::Script(call) => call,
        other => panic!("{other:?}"),
    }
}

#[test]
fn runners_of_processes_have_the_keys_of_processes() {
    for runner in ["command", "shell", "script"] {
        let keys = RunnerSpec::keys(runner).unwrap();
        assert!(keys.ends_with(&ProcessSpec::KEYS), "{runner}");
        assert!(render(&parse(runner, least(runner)).unwrap(), json!({})).unwrap().uses_pack());
    }
}

/// The keys that a runner of processes needs.
fn least(runner: &str) -> Value {
    match runner {
        "command" => json!({"command": ["ls"]}),
        "shell" => json!({"script": "ls"}),
        _ => json!({"file": "run"}),
    }
}

#[test]
fn a_text_of_a_shell_stays_as_it_is() {
    let text = "for f in \"$@\"; do echo \"${f%.*} $HOST ${#f} $$ ${HOST:-x}\"; done\n";
    let hostile = "\"; rm -rf / #\n$(x) `y` ${z} -rf";
    let keys = json!({
        "script": text, "shell": "bash", "args": ["${parameters.host}", "-n"],
        "env": {"HOST": "${parameters.host}", "RUN": "${execution.id}/${execution.attempt}"},
    });
    let call = shell(keys, json!({"host": hostile}));
    assert_eq!((call.shell, &*call.script), (Shell::Bash, text));
    assert_eq!(call.args, [hostile, "-n"]);
    let env = [("HOST", hostile), ("RUN", "e1/2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(call.process.env, env);
    let call = shell(json!({"script": "ls"}), json!({}));
    assert_eq!((call.shell, call.args.len(), call.process.cwd), (Shell::Sh, 0, Folder::Actions));
    let nul = render(
        &parse("shell", json!({"script": "ls", "args": ["${parameters.host}"]})).unwrap(),
        json!({"host": "\0"}),
    );
    assert_eq!(nul.unwrap_err().to_string(), "argument 1 of the script holds a NUL character");
}

#[test]
fn a_script_knows_what_runs_it() {
    let given = json!({"host": "db-1", "dry_run": true});
    let call = script(json!({"file": "./check.py"}), given.clone());
    assert_eq!((&*call.file, call.interpreter), ("check.py", vec!["/usr/bin/env".to_owned(), "python3 -u".to_owned()]));
    assert_eq!(call.args, ["--dry_run", "db-1"]);
    let call =
        script(json!({"file": "none.txt", "interpreter": ["python3", "-u"], "end_of_options": true}), given.clone());
    assert_eq!((call.interpreter.len(), &*call.args.join(" ")), (2, "--dry_run -- db-1"));
    let call = script(json!({"file": "none.txt", "interpreter": "./run", "named": "-name value"}), given.clone());
    assert_eq!((&*call.interpreter[0], &*call.args.join(" ")), ("./run", "-dry_run db-1"));
    let call = script(json!({"file": "run", "args": ["${parameters.host}", "fast"]}), given);
    assert_eq!(call.args, ["db-1", "fast"]);
}

#[test]
fn a_process_gets_its_input_as_text_or_as_json() {
    let stdin = |stdin: Value, parameters: Value| {
        let call = shell(json!({"script": "cat", "stdin": stdin}), parameters);
        String::from_utf8(call.process.stdin).unwrap()
    };
    let given = json!({"text": "a\0\"b\"\n", "event": {"n": 1, "l": [null]}});
    assert_eq!(stdin(json!("${parameters.text}"), given.clone()), "a\0\"b\"\n");
    assert_eq!(stdin(json!("> ${parameters.text}"), given.clone()), "> a\0\"b\"\n");
    // A mapping of CEL has no order: its keys are sorted.
    assert_eq!(stdin(json!("${parameters.event}"), given.clone()), "{\"l\":[null],\"n\":1}");
    let built = stdin(json!({"all": ["${parameters.event.n}", "${parameters.text}"]}), given.clone());
    assert_eq!(built, "{\"all\":[1,\"a\\u0000\\\"b\\\"\\n\"]}");
    assert_eq!(stdin(json!(""), given), "");
    let missing = render(&parse("shell", json!({"script": "cat", "stdin": "${parameters.x}"})).unwrap(), json!({}));
    assert!(missing.unwrap_err().to_string().starts_with("the standard input: "));
}

#[test]
fn the_rest_of_a_process_is_as_written() {
    let keys = json!({
        "script": "x", "cwd": "./sub/dir/", "user": "deploy", "success_codes": [0, "3-5"],
        "output": {"format": "json", "schema": {}}, "may": ["signal_others"], "limits": {"cpu_s_max": 5},
    });
    let process = shell(keys.clone(), json!({})).process;
    assert_eq!((process.cwd, process.user.as_deref()), (Folder::Pack("sub/dir".to_owned()), Some("deploy")));
    assert!(process.success.contains(0) && process.success.contains(4) && !process.success.contains(1));
    assert_eq!(process.output.as_ref().unwrap().format, Format::Json);
    assert_eq!((process.may.signal_others, process.limits.cpu_s_max), (true, Some(5)));
    assert_eq!(shell(keys, json!({})).process.output, process.output);
    for (cwd, expected) in
        [("work", Folder::Work), ("./", Folder::Actions), ("/srv/x", Folder::Machine("/srv/x".to_owned()))]
    {
        assert_eq!(shell(json!({"script": "x", "cwd": cwd}), json!({})).process.cwd, expected);
    }
}

#[test]
fn every_mistake_of_a_process_is_told_where_it_is() {
    let constant = "must be a constant, so that a parameter cannot choose it";
    let cases = [
        (json!({"cwd": "${parameters.x}"}), format!("/cwd: the working directory {constant}")),
        (
            json!({"cwd": "sub/dir"}),
            "/cwd: \"sub/dir\" is no working directory: write \"./folder\" for one under actions/ of the pack, an absolute \
             path, or \"work\" for the attempt's own"
                .to_owned(),
        ),
        (json!({"cwd": "./../x"}), "/cwd: \"./../x\" leaves the pack".to_owned()),
        (json!({"cwd": "./x"}), "/cwd: the pack has no folder actions/x".to_owned()),
        (json!({"cwd": []}), "/cwd: \"cwd\" must be a string, found a list".to_owned()),
        (json!({"user": "${parameters.x}"}), format!("/user: the user {constant}")),
        (json!({"user": "-u root"}), "/user: \"-u root\" is no name of a user".to_owned()),
        (json!({"user": ""}), "/user: \"\" is no name of a user".to_owned()),
        (
            json!({"success_codes": [0, 256]}),
            "/success_codes/1: \"success_codes\" has exit codes from 0 to 255 such as 0 or \"1-3\", found 256".to_owned(),
        ),
        (json!({"output": "json"}), "/output: \"output\" must be a mapping, found a string".to_owned()),
        (
            json!({"output": {"extracts": {}}}),
            "/output/extracts: unknown key \"extracts\" in \"output\", which has \"format\", \"schema\", \"extract\", \
             \"bytes_max\""
                .to_owned(),
        ),
        (
            json!({"output": {"format": "xml"}}),
            "/output/format: \"xml\" is no format: json, text, lines, auto".to_owned(),
        ),
        (json!({"output": {"schema": 5}}), "/output/schema/x: no schema".to_owned()),
        (json!({"env": []}), "/env: expected \"env\" as a mapping, found a list".to_owned()),
    ];
    for runner in ["command", "shell", "script"] {
        for (keys, expected) in &cases {
            let mut all = least(runner);
            all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
            let errors = parse(runner, all).unwrap_err();
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [&**expected], "{runner} {keys}");
        }
    }
    let errors = parse("shell", json!({"script": "x", "stdin": {"a": ["${trigger.x}"]}})).unwrap_err();
    assert_eq!((&*errors[0].at, errors.len()), ("/stdin/a/0", 1));
}

#[test]
fn every_mistake_of_a_shell_and_a_script_is_told_where_it_is() {
    let cases = [
        ("shell", json!({}), ": an action needs \"script\""),
        ("shell", json!({"script": ["ls"]}), "/script: \"script\" must be a string, found a list"),
        ("shell", json!({"script": " \n"}), "/script: \"script\" must have a text"),
        ("shell", json!({"script": "a\0"}), "/script: \"script\" holds a NUL character"),
        (
            "shell",
            json!({"script": "#".repeat(65_537)}),
            "/script: \"script\" has 65537 bytes, more than the limit of 65536",
        ),
        (
            "shell",
            json!({"script": "rm ${parameters.file}"}),
            "/script: \"${parameters.…}\" does not go into the text of a shell, which would read what it gives as commands: \
             set a variable by \"env\", or give an argument by \"args\"",
        ),
        ("shell", json!({"script": "x", "shell": "zsh"}), "/shell: \"zsh\" is no shell: sh, bash"),
        ("shell", json!({"script": "x", "args": "a"}), "/args: \"args\" must be a list of strings, found a string"),
        (
            "shell",
            json!({"script": "x", "args": ["a", 5]}),
            "/args/1: \"args[1]\" must be a string, found the number 5; write \"5\" in quotes",
        ),
        ("script", json!({}), ": an action needs \"file\""),
        ("script", json!({"file": "../x"}), "/file: \"../x\" leaves the pack"),
        ("script", json!({"file": "/bin/ls"}), "/file: \"/bin/ls\" leaves the pack"),
        ("script", json!({"file": "x.py"}), "/file: the pack has no file actions/x.py, not actions/x.py"),
        (
            "script",
            json!({"file": "${parameters.x}"}),
            "/file: the file must be a constant, so that a parameter cannot choose it",
        ),
        (
            "script",
            json!({"file": "none.txt"}),
            "/file: actions/none.txt does not begin with \"#!\": say its \"interpreter\"",
        ),
        (
            "script",
            json!({"file": "dos.sh"}),
            "/file: the first line of actions/dos.sh ends with a carriage return, so that no program is called so",
        ),
        (
            "script",
            json!({"file": "bare.sh"}),
            "/file: the first line of actions/bare.sh names no program by an absolute path",
        ),
        (
            "script",
            json!({"file": "run", "interpreter": 5}),
            "/interpreter: \"interpreter\" must be a program, or a list with one, found a number",
        ),
        (
            "script",
            json!({"file": "run", "interpreter": ["sh", "${parameters.x}"]}),
            "/interpreter/1: the interpreter must be a constant, so that a parameter cannot choose it",
        ),
        (
            "script",
            json!({"file": "run", "interpreter": "./check.py"}),
            "/interpreter: actions/check.py is not executable: chmod +x it",
        ),
        ("script", json!({"file": "run", "interpreter": ""}), "/interpreter: \"interpreter\" must name a program"),
        (
            "script",
            json!({"file": "run", "named": "+x"}),
            "/named: \"+x\" is no form of a named argument: \"--name=value\", \"--name value\", \"-name=value\", \"-name value\"",
        ),
        (
            "script",
            json!({"file": "run", "args": [], "named": "--name value"}),
            "/named: \"named\" is about parameters as arguments, and \"args\" are in their place",
        ),
        (
            "script",
            json!({"file": "run", "end_of_options": "yes"}),
            "/end_of_options: \"end_of_options\" must be true or false, found a string",
        ),
    ];
    for (runner, keys, expected) in cases {
        let errors = parse(runner, keys.clone()).unwrap_err();
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{runner} {keys}");
    }
}

fn confined(keys: Value) -> Result<Confine, Vec<String>> {
    let mut all = json!({"script": "ls"});
    all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let spec = parse("shell", all).map_err(|errors| errors.iter().map(SpecError::to_string).collect::<Vec<_>>())?;
    match render(&spec, json!({})).unwrap() {
        RunnerCall::Shell(call) => Ok(Confine::clone(&call.process.confine)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_process_may_reach_is_read_with_what_must_be_given() {
    assert_eq!(confined(json!({})), Ok(Confine::default()));
    let all = json!({
        "files": "confined", "reads": ["/opt/tool"], "writes": ["/srv/out"], "unix_sockets": true, "network": "none",
    });
    let read = confined(json!({"confine": all})).unwrap();
    let (reads, writes) = (vec!["/opt/tool".to_owned()], vec!["/srv/out".to_owned()]);
    let files = FileAccess::Confined;
    assert_eq!(read, Confine { files, reads, writes, unix_sockets: true, no_network: true, required: vec![] });
    // `true` stands for what is asked for.
    let limits = json!({"tree_cpus_max": 0.5, "tree_memory_bytes_max": 1 << 30, "cpu_s_max": 5});
    let read = confined(json!({"confine": {"network": "none", "required": true}, "limits": limits})).unwrap();
    assert_eq!(read.required, [Guarantee::Network, Guarantee::TreeMemory, Guarantee::TreeCpus]);
    let read = confined(json!({"confine": {"required": ["kill", "signals"]}})).unwrap();
    assert_eq!(read.required, [Guarantee::Kill, Guarantee::Signals]);
    let limits = shell(json!({"script": "ls", "limits": {"tree_cpus_max": 1.5, "tree_processes_max": 9}}), json!({}));
    let limits = limits.process.limits;
    assert_eq!((limits.tree_cpu_milli_max, limits.tree_processes_max, limits.has_tree()), (Some(1_500), Some(9), true));
    assert!(!Limits { cpu_s_max: Some(1), ..Limits::default() }.has_tree());
}

#[test]
fn mistakes_in_what_a_process_may_reach_are_told_where_they_are() {
    let cases = [
        (json!({"confine": 5}), "/confine: expected \"confine\" as a mapping, found a number"),
        (json!({"confine": {"files": "some"}}), "/confine/files: \"files\" must be confined or unconfined"),
        (json!({"confine": {"network": true}}), "/confine/network: \"network\" must be none or host"),
        (json!({"confine": {"reads": "/x"}}), "/confine/reads: expected \"reads\" as a list of paths, found a string"),
        (json!({"confine": {"reads": [5]}}), "/confine/reads/0: a path must be a string, found a number"),
        (json!({"confine": {"reads": ["/"]}}), "/confine/reads/0: \"/\" is everything: say \"files: unconfined\""),
        (
            json!({"confine": {"reads": ["/a/../b"]}}),
            "/confine/reads/0: \"/a/../b\" must be written without \".\", \"..\" and empty parts",
        ),
        (
            json!({"confine": {"writes": ["/x/${parameters.a}"]}}),
            "/confine/writes/0: a path must be a constant, so that a parameter cannot choose it",
        ),
        (
            json!({"confine": {"writes": ["/sys"]}}),
            "/confine/writes/0: who writes beneath /sys is not confined: say \"files: unconfined\"",
        ),
        (
            json!({"confine": {"reads": vec!["/x"; 65]}}),
            "/confine/reads: \"reads\" has 65 paths, more than the limit of 64",
        ),
        (
            json!({"confine": {"unix_sockets": 1}}),
            "/confine/unix_sockets: \"unix_sockets\" must be true or false, found a number",
        ),
        (
            json!({"confine": {"files": "unconfined", "writes": ["/x"]}}),
            "/confine/writes: \"writes\" means nothing beside \"files: unconfined\"",
        ),
        (json!({"confine": {"required": "all"}}), "/confine/required: \"required\" must be true, false or a list"),
        (
            json!({"confine": {"required": true}}),
            "/confine/required: \"required: true\" stands for what the action asks of files, network and limits of its tree, \
             and it asks for nothing of that",
        ),
        (
            json!({"confine": {"required": ["network"]}}),
            "/confine/required: \"network\" is required, but not asked for: network: none",
        ),
        (
            json!({"confine": {"required": ["kill"]}, "may": ["signal_others"]}),
            "/confine/required: \"kill\" is required, but not asked for: without may: [signal_others, gain_privileges]",
        ),
        (
            json!({"confine": {"required": ["signals"]}, "may": ["gain_privileges"]}),
            "/confine/required: \"signals\" is required, but not asked for: without may: [signal_others, gain_privileges]",
        ),
        (
            json!({"confine": {"network": "none"}, "may": ["gain_privileges"]}),
            "/confine: what gains rights by other programs (\"may: [gain_privileges]\") cannot be confined",
        ),
        (
            json!({"confine": {"required": true}, "limits": {"tree_cpus_max": 1}, "may": ["signal_others"]}),
            "/confine/required: \"tree_cpus\" cannot be required beside \"may\": what may signal others or gain rights gets \
             out of its group",
        ),
        (
            json!({"limits": {"tree_cpus_max": 0}}),
            "/limits/tree_cpus_max: \"tree_cpus_max\" must be a number of processors such as 0.5, from 0.01 to 4096",
        ),
        (
            json!({"limits": {"tree_memory_bytes_max": 5}}),
            "/limits/tree_memory_bytes_max: \"tree_memory_bytes_max\" must be at least 16777216, or no program can start",
        ),
    ];
    for (keys, expected) in cases {
        assert_eq!(confined(keys).unwrap_err(), [expected]);
    }
}
