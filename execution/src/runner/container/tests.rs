use serde_json::json;

use super::super::{RunnerCall, RunnerSpec};
use super::*;

struct NoFiles;

impl PackFiles for NoFiles {
    fn executable(&self, _: &str) -> Option<bool> {
        None
    }

    fn hint(&self, _: &str) -> String {
        String::new()
    }
}

fn parse(keys: Value) -> Result<RunnerSpec, Vec<SpecError>> {
    let Value::Object(keys) = keys else { panic!("keys are a mapping") };
    RunnerSpec::parse("container", &keys, &NoFiles)
}

fn call(keys: Value, parameters: Value) -> ContainerCall {
    let spec = parse(keys).unwrap();
    let rendering = Rendering { parameters: &parameters, secrets: &Value::Null, execution_id: "e1", attempt: 2 };
    match spec.render(rendering).unwrap() {
        RunnerCall::Container(call) => *call,
        other => panic!("{other:?}"),
    }
}

fn digest() -> String {
    format!("sha256:{}", "0af9".repeat(16))
}

#[test]
fn by_default_a_container_has_nothing_of_its_machine() {
    let call = call(json!({"image": "busybox"}), json!({}));
    assert_eq!(call.place, ContainerPlace::default());
    assert_eq!((&*call.place.network, call.place.gains_privileges, call.place.is_limited()), ("none", false, false));
    assert_eq!((call.pull, call.command, call.entrypoint, call.registry), (Pull::Missing, None, None, None));
}

#[test]
fn parameters_are_arguments_variables_and_input_and_nothing_else() {
    let hostile = "$(rm -rf /) --privileged\n\"";
    let keys = json!({
        "image": "registry.example.com:5000/ops/tool:1.2", "entrypoint": ["tool", "-v"],
        "command": ["${parameters.host}"], "env": {"HOST": "${parameters.host}"}, "stdin": "${parameters.host}",
        "registry": {"username": "ops", "password": "${parameters.host}"}, "cwd": "work", "user": "1000:1000",
        "network": "bridge", "read_only": true, "may": ["cap_net_raw"], "success_codes": [0, 3],
        "limits": {"memory_bytes_max": 67_108_864, "cpus_max": 0.5, "processes_max": 64, "work_bytes_max": 4096},
    });
    let call = call(keys, json!({"host": hostile}));
    assert_eq!((call.image.name.as_deref(), &*call.image.version), (Some("registry.example.com:5000/ops/tool"), "1.2"));
    assert_eq!(call.command, Some(vec![hostile.to_owned()]));
    assert_eq!(call.process.env, [("HOST".to_owned(), hostile.to_owned())]);
    assert_eq!((&*call.process.stdin, call.process.success.contains(3)), (hostile.as_bytes(), true));
    assert_eq!(call.registry, Some(("ops".to_owned(), hostile.to_owned())));
    let expected = ContainerPlace {
        cwd: Some(CONTAINER_WORK.to_owned()),
        user: Some("1000:1000".to_owned()),
        network: "bridge".to_owned(),
        read_only: true,
        gains_privileges: false,
        capabilities: vec!["NET_RAW".to_owned()],
        memory_bytes_max: Some(64 << 20),
        millicpus_max: Some(500),
        processes_max: Some(64),
        work_bytes_max: 4096,
    };
    assert_eq!(call.place, expected);
    assert!(!format!("{call:?}").contains("rm -rf"));
}

#[test]
fn an_image_is_a_name_with_a_tag_or_a_digest_or_an_id() {
    let digest = digest();
    let by_digest = format!("busybox:1@{digest}");
    let cases = [
        ("busybox", Some((Some("busybox"), "latest"))),
        ("localhost:5000/a/b", Some((Some("localhost:5000/a/b"), "latest"))),
        ("localhost:5000/a/b:c", Some((Some("localhost:5000/a/b"), "c"))),
        (&by_digest, Some((Some("busybox"), &*digest))),
        (&digest, Some((None, &*digest))),
        ("busybox@sha256:0af9", None),
        ("-busybox", None),
        ("busy box", None),
        ("busybox:", None),
        ("a//b", None),
        ("../x", None),
        ("", None),
        ("a?x=1", None),
    ];
    for (reference, expected) in cases {
        let image = Image::parse(reference);
        let found = image.as_ref().map(|image| (image.name.as_deref(), &*image.version));
        assert_eq!(found, expected, "{reference}");
    }
}

#[test]
fn every_mistake_is_told_where_it_is() {
    let constant = "must be a constant, so that a parameter cannot choose it";
    let cases = [
        (json!({}), ": an action needs \"image\"".to_owned()),
        (json!({"image": "${parameters.x}"}), format!("/image: the image {constant}")),
        (
            json!({"image": "a b"}),
            "/image: \"a b\" is no image: write name, name:tag, or name@sha256: with 64 digits".to_owned(),
        ),
        (json!({"pull": "often"}), "/pull: \"often\" is no way to pull: never, missing, always".to_owned()),
        (
            json!({"image": digest(), "pull": "always"}),
            "/pull: an image that is named by its own id is in no registry: write its name, or \"pull: never\""
                .to_owned(),
        ),
        (json!({"network": "${parameters.x}"}), format!("/network: the network {constant}")),
        (
            json!({"network": "container:x"}),
            "/network: \"container:x\" is no network: none, bridge, host, or the name of one".to_owned(),
        ),
        (json!({"user": "${parameters.x}"}), format!("/user: the user {constant}")),
        (
            json!({"user": "a:b:c"}),
            "/user: \"a:b:c\" is no user: write a name or a number, and a group behind a colon".to_owned(),
        ),
        (json!({"read_only": "yes"}), "/read_only: \"read_only\" must be true or false, found a string".to_owned()),
        (
            json!({"limits": {"memory_bytes_max": 5}}),
            "/limits/memory_bytes_max: \"memory_bytes_max\" must be a whole number of at least 6291456".to_owned(),
        ),
        (
            json!({"limits": {"cpus_max": 0}}),
            "/limits/cpus_max: \"cpus_max\" must be a number from 0.01 to 1024".to_owned(),
        ),
        (json!({"registry": {"username": "x"}}), "/registry: \"registry\" needs \"password\"".to_owned()),
        (json!({"command": "ls"}), "/command: \"command\" must be a list of strings, found a string".to_owned()),
    ];
    for (keys, expected) in cases {
        let mut all = json!({"image": "busybox"});
        if keys.as_object().unwrap().is_empty() {
            all = json!({});
        }
        all.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let errors = parse(all).unwrap_err();
        assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected], "{keys}");
    }
    for opening in ["cap_sys_admin", "signal_others", "privileged"] {
        let errors = parse(json!({"image": "busybox", "may": [opening]})).unwrap_err();
        assert!(errors[0].to_string().starts_with(&format!("/may/0: {opening:?} is nothing that a container can")));
    }
}
