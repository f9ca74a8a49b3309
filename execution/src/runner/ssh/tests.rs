use serde_json::json;

use super::super::http::Hidden;
use super::super::{Mistake, RunnerCall, RunnerSpec};
use super::*;

struct Files;

impl PackFiles for Files {
    fn executable(&self, path: &str) -> Option<bool> {
        ["actions/check.sh", "actions/known_hosts", "actions/motd"].contains(&path).then_some(false)
    }

    fn hint(&self, path: &str) -> String {
        format!(", not {path}")
    }
}

fn parse(keys: Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse("ssh", &keys, &Files)
}

fn render(keys: Value, parameters: Value) -> Result<SshCall, RenderError> {
    let spec = parse(keys).unwrap_or_else(|errors| panic!("{errors:?}"));
    match spec.render(Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e1", attempt: 1 })? {
        RunnerCall::Ssh(call) => Ok(*call),
        other => panic!("{other:?}"),
    }
}

/// The keys of an action that is complete but for these.
fn with(more: Value) -> Value {
    let mut keys = json!({
        "hosts": ["db-1"],
        "command": ["uptime"],
        "ssh": { "user": "ops", "auth": { "agent": true } },
    });
    for (key, value) in more.as_object().unwrap() {
        match value {
            Value::Null => keys.as_object_mut().unwrap().remove(key),
            value => keys.as_object_mut().unwrap().insert(key.clone(), value.clone()),
        };
    }
    keys
}

fn target(name: &str, user: &str, host: &str, port: u16) -> Target {
    Target { name: name.to_owned(), user: user.to_owned(), host: host.to_owned(), port }
}

#[test]
fn an_action_is_rendered_with_all_that_it_says() {
    let keys = json!({
        "hosts": ["${parameters.host}", "root@db-2:2222"],
        "script": "./check.sh",
        "args": ["${parameters.unit}", "-v"],
        "cwd": "/srv/${parameters.unit}",
        "env": { "UNIT": "${parameters.unit}" },
        "sudo": "postgres",
        "parallel": 5,
        "fail_at": "20%",
        "upload": [
            { "file": "./motd", "to": "/etc/motd", "mode": "644" },
            { "content": "n=${parameters.n}\n", "to": "/tmp/n" },
        ],
        "download": ["/var/log/${parameters.unit}.log"],
        "ssh": {
            "user": "${parameters.user}",
            "port": 2022,
            "auth": { "key": "${parameters.key}", "passphrase": "p", "certificate": "c" },
            "via": ["jump@bastion", { "host": "inner:24", "auth": { "password": "w" } }],
            "known_hosts_file": "./known_hosts",
            "trust": "first_use",
            "connect_timeout": "3s",
            "host_timeout": "1m",
        },
    });
    let parameters = json!({"host": "DB-1", "unit": "; rm -rf /", "n": 5, "user": "ops", "key": "KEY"});
    let call = render(keys, parameters).unwrap();
    let key = SshAuth::Key {
        key: KeySource::Text(Hidden("KEY".to_owned())),
        passphrase: Some(Hidden("p".to_owned())),
        certificate: Some("c".to_owned()),
    };
    let expected = SshCall {
        hosts: vec![target("DB-1", "ops", "db-1", 2022), target("root@db-2:2222", "root", "db-2", 2222)],
        via: vec![
            Hop { target: target("jump@bastion", "jump", "bastion", 22), auth: key.clone() },
            Hop { target: target("inner:24", "ops", "inner", 24), auth: SshAuth::Password(Hidden("w".to_owned())) },
        ],
        auth: key,
        known_hosts: KnownHosts::OfPack("actions/known_hosts".to_owned()),
        first_use: true,
        connect_timeout_ms: 3_000,
        host_timeout_ms: Some(60_000),
        parallel: 5,
        fail_at: FailAt::Percent(20),
        sudo: Some("postgres".to_owned()),
        cwd: Some("/srv/; rm -rf /".to_owned()),
        env: vec![("UNIT".to_owned(), "; rm -rf /".to_owned())],
        uploads: vec![
            Upload {
                from: UploadFrom::OfPack("actions/motd".to_owned()),
                to: "/etc/motd".to_owned(),
                mode: "644".to_owned(),
            },
            Upload { from: UploadFrom::Text("n=5\n".to_owned()), to: "/tmp/n".to_owned(), mode: "600".to_owned() },
        ],
        run: Some(Run::Script {
            file: "actions/check.sh".to_owned(),
            args: vec!["; rm -rf /".to_owned(), "-v".to_owned()],
        }),
        downloads: vec!["/var/log/; rm -rf /.log".to_owned()],
    };
    assert_eq!(call, expected);
    assert!(Box::new(call).uses_pack());
    assert!(!Box::new(render(with(json!({})), json!({})).unwrap()).uses_pack());
}

#[test]
fn a_host_is_there_once_however_it_is_given() {
    let hosts = |hosts: Value, parameters: Value| {
        let call = render(with(json!({ "hosts": hosts })), parameters);
        call.map(|call| call.hosts.iter().map(|t| format!("{}={}@{}:{}", t.name, t.user, t.host, t.port)).collect())
            .map_err(|e| e.to_string())
    };
    let given: Vec<String> = hosts(json!(["a", "A:22", "ops@a", "root@a", "a:23"]), json!({})).unwrap();
    assert_eq!(given, ["a=ops@a:22", "root@a=root@a:22", "a:23=ops@a:23"]);
    let list = hosts(json!("${parameters.hosts}"), json!({"hosts": ["a", "[::1]:24", "u@[fe80::1]"]})).unwrap();
    assert_eq!(list, ["a=ops@a:22", "[::1]:24=ops@::1:24", "u@[fe80::1]=u@fe80::1:22"]);
    let nested = hosts(json!(["a", "${parameters.hosts}"]), json!({"hosts": ["b", "a"]})).unwrap();
    assert_eq!(nested, ["a=ops@a:22", "b=ops@b:22"]);
    for (given, expected) in [
        (json!([]), "the hosts: there are none"),
        (json!([5]), "the hosts: a host must be a text, found a number"),
        (json!([[["a"]]]), "the hosts: a host must be a text, found a list"),
        (json!(["-oProxyCommand=x"]), "the hosts: \"-oProxyCommand=x\" is no host: a name has letters"),
        (json!(["a b"]), "the hosts: \"a b\" is no host"),
        (json!(["a;b"]), "the hosts: \"a;b\" is no host"),
        (json!(["::1"]), "the hosts: \"::1\" is no host: an IPv6 address stands in brackets"),
        (json!(["[::1"]), "the hosts: \"[::1\" is no host: its bracket is not closed"),
        (json!(["a:0"]), "the hosts: \"a:0\" is no host: a port is a number from 1 to 65535"),
        (json!(["a:x"]), "the hosts: \"a:x\" is no host: a port"),
        (json!(["-x@a"]), "the hosts: \"-x@a\" is no host: \"-x\" is no name of a user"),
        (json!(["a\nb"]), "the hosts: \"a\\nb\" is no host"),
    ] {
        let error: Result<Vec<String>, String> = hosts(json!("${parameters.hosts}"), json!({ "hosts": given }));
        let error = error.unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    let many: Vec<String> = (0..1001).map(|n| format!("h{n}")).collect();
    let error = hosts(json!("${parameters.hosts}"), json!({ "hosts": many })).unwrap_err();
    assert_eq!(error, "the hosts: 1001 are more than the limit of 1000");
    let nobody = render(with(json!({ "ssh": { "auth": { "agent": true } } })), json!({})).unwrap_err();
    assert!(nobody.0.starts_with("the hosts: nobody says as which user \"db-1\" is spoken to"), "{nobody}");
}

#[test]
fn every_mistake_is_told_where_it_is() {
    let ssh = |more: Value| {
        let mut ssh = json!({ "user": "ops", "auth": { "agent": true } });
        ssh.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "ssh": ssh })
    };
    let auth = |auth: Value| ssh(json!({ "auth": auth }));
    for (more, expected) in [
        (json!({"hosts": null}), ": an action needs \"hosts\""),
        (json!({"hosts": "db-1"}), "/hosts: \"hosts\" must be a list, or an expression that gives one"),
        (json!({"hosts": []}), "/hosts: \"hosts\" names no host"),
        (json!({"hosts": ["a", 5]}), "/hosts/1: \"hosts[1]\" must be a string"),
        (json!({"hosts": ["a", "-b"]}), "/hosts/1: \"-b\" is no host"),
        (json!({"ssh": null}), ": an action needs \"ssh\""),
        (json!({"ssh": {"user": "ops"}}), "/ssh: \"ssh\" needs \"auth\""),
        (ssh(json!({"usr": "ops"})), "/ssh/usr: unknown key \"usr\" in \"ssh\""),
        (ssh(json!({"user": "a b"})), "/ssh/user: \"a b\" is no name of a user"),
        (ssh(json!({"port": 0})), "/ssh/port: \"port\" must be a number from 1"),
        (ssh(json!({"port": 70000})), "/ssh/port: \"port\" must be a whole number, at most 65535"),
        (ssh(json!({"trust": "always"})), "/ssh/trust: \"trust\" must be strict or first_use"),
        (ssh(json!({"connect_timeout": "soon"})), "/ssh/connect_timeout: \"soon\" is not a duration"),
        (ssh(json!({"host_timeout": "0s"})), "/ssh/host_timeout: \"host_timeout\" must be longer"),
        (ssh(json!({"via": "b"})), "/ssh/via: \"via\" must be a list of hosts, found a string"),
        (ssh(json!({"via": ["-b"]})), "/ssh/via/0: \"-b\" is no host"),
        (ssh(json!({"via": [{"auth": {"agent": true}}]})), "/ssh/via/0: \"via[0]\" needs \"host\""),
        (ssh(json!({"via": [{"host": "b", "auth": {}}]})), "/ssh/via/0/auth: \"auth\" must have one of agent"),
        (ssh(json!({"via": ["a", "b", "c", "d", "e", "f", "g", "h", "i"]})), "/ssh/via: \"via\" has 9 hosts"),
        (ssh(json!({"known_hosts_file": "./none"})), "/ssh/known_hosts_file: the pack has no file actions/none"),
        (
            ssh(json!({"known_hosts_file": "./known_hosts", "known_hosts": "a"})),
            "/ssh/known_hosts_file: \"ssh\" has \"known_hosts\" or \"known_hosts_file\", not both",
        ),
        (auth(json!({})), "/ssh/auth: \"auth\" must have one of agent, password, key, key_file"),
        (auth(json!({"agent": true, "password": "x"})), "/ssh/auth: \"auth\" must have one of"),
        (auth(json!({"agent": false})), "/ssh/auth/agent: \"agent\" can only be true"),
        (auth(json!({"password": "x", "passphrase": "y"})), "/ssh/auth/passphrase: \"passphrase\" belongs to a key"),
        (auth(json!({"key_file": "id"})), "/ssh/auth/key_file: \"key_file\" must be the absolute path"),
        (auth(json!({"key_file": "/${parameters.x}"})), "/ssh/auth/key_file: \"key_file\" must be the absolute"),
        (json!({"command": null}), ": an action with hosts needs one of command, script, upload, download"),
        (json!({"command": []}), "/command: \"command\" is empty"),
        (json!({"command": ["${parameters.p}"]}), "/command/0: the program must be a constant"),
        (json!({"command": vec!["a"; 257]}), "/command: \"command\" has 257 entries, more than the limit of 256"),
        (json!({"script": "./check.sh"}), "/script: an action has \"command\" or \"script\", not both"),
        (json!({"command": null, "script": "../x"}), "/script: \"../x\" leaves the pack"),
        (json!({"command": null, "script": "./x"}), "/script: the pack has no file actions/x, not actions/x"),
        (json!({"args": ["x"]}), "/args: \"args\" are those of a \"script\""),
        (json!({"env": {"PETREL_X": "y"}}), "/env/PETREL_X: \"PETREL_X\" is Petrel's"),
        (json!({"cwd": 5}), "/cwd: \"cwd\" must be a string"),
        (json!({"sudo": 5}), "/sudo: \"sudo\" must be true, false or a user's name, found a number"),
        (json!({"sudo": "a'b"}), "/sudo: \"a'b\" is no name of a user"),
        (json!({"sudo": "d\\u"}), "/sudo: \"d\\\\u\" is no name of a user"),
        (json!({"parallel": 0}), "/parallel: \"parallel\" must be at least 1"),
        (json!({"parallel": 201}), "/parallel: \"parallel\" must be a whole number, at most 200"),
        (json!({"fail_at": "0%"}), "/fail_at: \"fail_at\" must be any, all, or a share from 1% to 100%, found \"0%\""),
        (json!({"fail_at": 5}), "/fail_at: \"fail_at\" must be any, all, or a share from 1% to 100%, found 5"),
        (json!({"upload": {}}), "/upload: \"upload\" must be a list of mappings, found a mapping"),
        (json!({"upload": [{"to": "/x"}]}), "/upload/0: \"upload[0]\" must have \"file\" or \"content\""),
        (json!({"upload": [{"content": "x"}]}), "/upload/0: \"upload[0]\" needs \"to\""),
        (json!({"upload": [{"content": "x", "to": "/x", "mode": "rw"}]}), "/upload/0/mode: \"mode\" must have"),
        (json!({"upload": [{"file": "./no", "to": "/x"}]}), "/upload/0/file: the pack has no file actions/no"),
        (json!({"download": ["/x", 5]}), "/download/1: \"download[1]\" must be a string"),
    ] {
        let errors = parse(with(more.clone())).unwrap_err();
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(told.len() == 1 && told[0].starts_with(expected), "{told:?} of {more}, not {expected}");
    }
    // An expression is told where it stands.
    let errors = parse(with(json!({"upload": [{"content": "a ${trigger.x}", "to": "/x"}]}))).unwrap_err();
    let Mistake::Expression(error) = &errors[0].mistake else { panic!("{errors:?}") };
    assert_eq!((&*errors[0].at, error.line, error.column), ("/upload/0/content", 1, 5));
}

#[test]
fn what_cannot_be_sent_is_not_rendered() {
    for (more, parameters, expected) in [
        (json!({"command": ["ls", "${parameters.p}"]}), json!({"p": "a\0b"}), "argument 1 of the command holds a NUL"),
        (json!({"cwd": "${parameters.p}"}), json!({"p": ""}), "\"cwd\" is empty"),
        (json!({"download": ["${parameters.p}"]}), json!({"p": "a\0"}), "the path of a file holds a NUL character"),
        (json!({"ssh": {"user": "${parameters.p}", "auth": {"agent": true}}}), json!({"p": "-x"}), "the user: \"-x\""),
    ] {
        let error = render(with(more), parameters).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn the_secrets_that_it_names_are_known_with_their_places() {
    let keys = with(json!({
        "command": ["x", "a ${secret.ops.token}"],
        "ssh": {"user": "ops", "auth": {"key": "${secret.ops.key}"}, "via": [{"host": "b", "auth": {"password": "${secret.ops.pass}"}}]},
    }));
    let spec = parse(keys).unwrap();
    let places: Vec<&str> = spec.secrets().iter().map(|(at, _)| at.as_str()).collect();
    assert_eq!(places, ["/ssh/auth/key", "/ssh/via/0/auth/password", "/command/1"]);
}

#[test]
fn nothing_shows_what_opens_a_door() {
    let keys = with(json!({"ssh": {"user": "ops", "auth": {"key": "s3cret", "passphrase": "s3cret"},
        "via": [{"host": "b", "auth": {"password": "s3cret"}}]}}));
    let shown = format!("{:?}", render(keys, json!({})).unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}
