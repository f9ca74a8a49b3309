//! The examples of docs/ACTIONS.md: each is read as a pack's action and carried out, to the result that stands there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use petrel_bus::{Bus as _, TopicSpec};
use petrel_bus_local::{LocalBus, LocalOptions};
use petrel_catalog::{Actions, PackFile, PackSource, Revision};
use petrel_execution::runner::{ContainerCall, PythonCall, Rendering, RunnerCall};
use petrel_execution::worker::{Exit, Why};
use petrel_execution::{ActionPlan, Delivery};
use petrel_executor::live::Live;
use petrel_executor::runner::{
    ContainerAttempt, ContainerOptions, Containers, EmailRequest, KafkaRequest, KafkaRunner, Process, ProcessAttempt,
    Processes, PythonOptions, PythonRunner, RunnerOptions, SshRequest, SshRunner, WorkDirectories,
};
use petrel_executor::supervise::Supervisor;
use petrel_executor::{Resolution, resolve_in};
use petrel_schemas::Topics;
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::asking::{Asking, Still, holding};
use crate::certificates::Certificates;
use crate::docker;
use crate::mail::{MailServer, Odd};
use crate::server::{Reply, Seen, Server, json};
use crate::sshd::{Servers, user};

/// An action, what it is given, and how it ends.
#[derive(Debug, Default)]
struct Example {
    action: String,
    parameters: Option<Value>,
    result: Option<Value>,
    extracted: Option<Value>,
    stdout: Option<String>,
    error: Option<String>,
    /// Name and text of files under `actions/`.
    files: Vec<(String, String)>,
}

/// The document's blocks of code, in order: each action takes what stands behind it.
fn examples() -> Vec<Example> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/ACTIONS.md");
    let document = std::fs::read_to_string(path).unwrap();
    let mut examples: Vec<Example> = Vec::new();
    for block in document.split("```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        if kind == "yaml" {
            examples.push(Example { action: text.to_owned(), ..Example::default() });
            continue;
        }
        if kind == "yaml keys" {
            resolve(&format!("name: keys\nrunner: command\n{text}"), &[]);
            continue;
        }
        let example = examples.last_mut().expect("an action stands before what belongs to it");
        let value = || Some(serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")));
        match kind {
            "json parameters" => example.parameters = value(),
            "json result" => example.result = value(),
            "json extracted" => example.extracted = value(),
            "text stdout" => example.stdout = Some(text.to_owned()),
            file if file.starts_with("sh file ") => {
                example.files.push((file["sh file ".len()..].to_owned(), text.to_owned()));
            }
            file if file.starts_with("python file ") => {
                example.files.push((file["python file ".len()..].to_owned(), text.to_owned()));
            }
            "text error" => example.error = Some(text.trim_end().to_owned()),
            // What somebody sees at a terminal is run by other tests.
            "console" => {}
            other => panic!("a block of {other:?} is not understood"),
        }
    }
    examples
}

/// The service of the first example of requests.
fn pager(seen: &Seen, _: usize) -> Reply {
    let header = |name: &str| seen.headers.get(name).map_or("", |value| value);
    let is_as_written = (&*seen.method, &*seen.target)
        == ("POST", "/v1/services/db%2Fmain/incidents?notify=ann&notify=bob")
        && seen.body == "{\"title\":\"disk full\",\"used_pct\":91.5}"
        && (header("authorization"), header("x-team"), header("idempotency-key")) == ("Bearer abc", "sre", "e-1");
    if is_as_written { json(201, "{\"id\": 17}") } else { json(400, "\"not as it is written\"") }
}

/// That of the second one.
fn cloud(seen: &Seen, _: usize) -> Reply {
    match (&*seen.target, seen.headers.get("authorization").map_or("", |value| value)) {
        ("/token", "Basic cGV0cmVsOmFiYw==") if seen.body == "grant_type=client_credentials&scope=instances.read" => {
            json(200, "{\"access_token\": \"t\", \"expires_in\": 60}")
        }
        ("/v2/instances?name=db-1", "Bearer t") => Reply::Answer(404, Vec::new(), b"no such instance".to_vec()),
        _ => json(400, "\"not as it is written\""),
    }
}

#[tokio::test]
async fn the_examples_of_the_document_do_what_stands_there() {
    let made = Certificates::make();
    std::fs::create_dir(made.path().join("actions")).unwrap();
    std::fs::copy(made.path().join("ca.pem"), made.path().join("actions/cloud-ca.pem")).unwrap();
    let pager = Server::start(pager).await;
    let cloud = Server::start_tls(made.server(true), cloud).await;
    let hosts = Servers::start(1);
    std::fs::write(made.path().join("actions/known_hosts"), hosts.known_hosts()).unwrap();
    let stand_in = |text: String| {
        text.replace("https://pager.example.com", &pager.url(""))
            .replace("https://cloud.example.com", &format!("https://{}", cloud.address))
            .replace("CLIENT CERTIFICATE", &made.text("client.pem").replace('\n', "\\n"))
            .replace("CLIENT KEY", &made.text("client.key").replace('\n', "\\n"))
            .replace("db-1.example.com", &hosts.hosts[0].name())
            .replace("OPS", user())
            .replace("SSH KEY", &hosts.text("id").replace('\n', "\\n"))
    };
    let mail = MailServer::start(Some(made.server(false)), false, Odd::Nothing).await;
    let stand_in = |text: String| {
        let text = stand_in(text).replace("host: mail.example.com", "host: 127.0.0.1");
        let text = text.replace("port: 587", &format!("port: {}", mail.port));
        text.replace(&format!("registry.example.com/ops/tools@sha256:{}", "4657aa6a".repeat(8)), docker::IMAGE)
    };
    let mut runners = Vec::new();
    for example in examples() {
        let given = stand_in(example.parameters.as_ref().expect("an example has parameters").to_string());
        let given: Value = serde_json::from_str(&given).unwrap();
        for (name, text) in &example.files {
            std::fs::write(made.path().join("actions").join(name), text).unwrap();
        }
        let (runner, exit) = carry_out(&stand_in(example.action.clone()), &given, made.path(), &example.files).await;
        let told = exit.result.clone().unwrap_or_default();
        if let Some(result) = &example.result {
            let expected: Value = serde_json::from_str(&stand_in(result.to_string())).unwrap();
            assert!(holds(&told, &expected), "{exit:?} of {}, not {expected}", example.action);
        }
        let plan = resolve(&stand_in(example.action.clone()), &example.files);
        let extracted = plan.runner.shape().map(|shape| shape.extracted(&told)).unwrap_or_default();
        assert_eq!(extracted, (example.extracted.map_or_else(Map::new, object), None), "{}", example.action);
        let stdout = example.stdout.unwrap_or_default();
        assert_eq!(String::from_utf8_lossy(&exit.stdout.bytes), stdout, "{exit:?} of {}", example.action);
        assert_eq!(exit.error, example.error, "{exit:?} of {}", example.action);
        let is_good = exit.why == Why::Succeeded || (exit.why, exit.return_code) == (Why::Exited, Some(0));
        assert_eq!(is_good, example.error.is_none(), "{exit:?} of {}", example.action);
        runners.push(runner);
    }
    let documented = [
        "command",
        "command",
        "command",
        "container",
        "echo",
        "email",
        "fail",
        "http",
        "http",
        "inject_trigger",
        "kafka",
        "noop",
        "python",
        "script",
        "shell",
        "shell",
        "sleep",
        "ssh",
        "shell",
    ];
    assert_eq!(runners, documented);
    assert_eq!(mail.taken().len(), 1);
}

/// Whether a value has what is expected, and more beside it where these are mappings.
fn holds(value: &Value, expected: &Value) -> bool {
    match (value, expected) {
        (Value::Object(value), Value::Object(expected)) => {
            expected.iter().all(|(key, expected)| value.get(key).is_some_and(|value| holds(value, expected)))
        }
        (value, expected) => value == expected,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        other => panic!("no object: {other}"),
    }
}

/// Reads an action as `petrel pack apply` does.
fn resolve(action: &str, more: &[(String, String)]) -> Arc<ActionPlan> {
    let file =
        |path: &str, text: &str| PackFile { path: path.to_owned(), bytes: text.as_bytes().to_vec(), executable: true };
    let mut files = vec![
        file("pack.yaml", "name: demo\nversion: 1.0.0\nproduces: [incidents]\n"),
        file("triggers/disk.yaml", "name: disk\n"),
        file("actions/action.yaml", action),
        file("actions/cloud-ca.pem", ""),
        file("actions/known_hosts", ""),
        file("actions/report.py", ""),
        file("actions/rebuild_index.sh", ""),
        file("actions/render.sh", ""),
    ];
    files.extend(more.iter().map(|(name, text)| file(&format!("actions/{name}"), text)));
    let source = PackSource { label: "demo".into(), files, special: Vec::new() };
    let revision = Revision::load(vec![source]).unwrap_or_else(|problems| panic!("{problems} in {action}"));
    let pack_stored = &revision.content().packs()[0];
    let name =
        action.strip_prefix("name: ").and_then(|rest| rest.lines().next()).expect("an example begins with its name");
    let Resolution::Ready(resolved) = resolve_in(&Actions::new(), pack_stored, &format!("demo.{name}")) else {
        panic!("{name} is not resolved")
    };
    resolved.plan
}

/// The runner `kafka` on a log on disk, with a topic.
fn local_log(folder: &Path, topic: &str) -> KafkaRunner {
    let bus = LocalBus::open(LocalOptions::new(folder.join("bus")), Arc::new(Still)).unwrap();
    let topic = TopicSpec {
        name: topic.into(),
        partitions: 4,
        compacted: false,
        retention_ms: None,
        delete_retention_ms: None,
    };
    bus.ensure_topics(&[topic]).unwrap();
    KafkaRunner::new(bus.publisher("test").unwrap(), Topics::new("petrel.", 4, 4))
}

/// Carries an action out as a worker does.
async fn carry_out(action: &str, given: &Value, pack: &Path, files: &[(String, String)]) -> (&'static str, Exit) {
    let plan = resolve(action, files);
    // Ids of events are made of ids that executions really have.
    let id = if plan.runner.name() == "inject_trigger" { "ab5d55eb4ccbbb057449fb974e3db6fa" } else { "e-1" };
    let parameters = plan.parameters.complete(given).unwrap();
    let secrets = serde_json::json!({ "demo": { "pager_token": "abc" } });
    let rendering = Rendering { parameters: &parameters, secrets: &secrets, execution_id: id, attempt: 1 };
    let call = plan.runner.render(rendering).unwrap();
    let exit = match call {
        RunnerCall::End(outcome) => {
            let why = match &outcome.note.code {
                None => Why::Succeeded,
                Some(_) => Why::Failed { code: "", retriable: outcome.retriable },
            };
            Exit { result: outcome.result, ..Exit::bare(why, outcome.note.error) }
        }
        RunnerCall::Email(call) => {
            let (_director, held) = watch::channel(holding(60_000));
            let (delivery, timeout_ms, pack) = (plan.delivery, 60_000, Some(pack));
            let request = EmailRequest {
                execution_id: id,
                delivery,
                timeout_ms,
                pack,
                clock: &Still,
                mask: &Arc::new(petrel_secrets::Mask::NOTHING),
            };
            Asking::new().runner.email().run(&call, request, held).await
        }
        RunnerCall::Kafka(call) => {
            let (_director, held) = watch::channel(holding(60_000));
            let request = KafkaRequest { execution_id: id, delivery: plan.delivery, timeout_ms: 60_000 };
            let log = tempfile::tempdir().unwrap();
            local_log(log.path(), &call.topic).run(call, request, held).await
        }
        RunnerCall::Http(call) => {
            let (_director, held) = watch::channel(holding(60_000));
            Asking::new().run(&call, Some(pack), held).await
        }
        RunnerCall::Sleep(call) => {
            let (_director, held) = watch::channel(holding(60_000));
            petrel_executor::runner::sleep(call, 60_000, held).await
        }
        RunnerCall::Command(call) => run(Process::command(call, pack)).await,
        RunnerCall::Container(call) => run_container(*call, pack).await,
        RunnerCall::Python(call) => run_python(*call, pack).await,
        RunnerCall::Script(call) => run(Process::script(call, pack)).await,
        RunnerCall::Shell(call) => run(Process::shell(call, pack, "demo.act")).await,
        RunnerCall::Ssh(call) => {
            let (_director, held) = watch::channel(holding(60_000));
            let request = SshRequest {
                delivery: Delivery::AtLeastOnce,
                timeout_ms: 30_000,
                output_bytes_max: 64 << 10,
                pack: Some(pack),
                mask: &Arc::new(petrel_secrets::Mask::NOTHING),
                live: &Live::default(),
            };
            SshRunner::default().run(&call, request, held).await
        }
    };
    (plan.runner.name(), exit)
}

/// Runs a container of a daemon of its own.
async fn run_container(call: ContainerCall, pack: &Path) -> Exit {
    let docker = docker::Docker::get();
    let (_director, held) = watch::channel(holding(60_000));
    let options =
        RunnerOptions { supervisor: vec![env!("CARGO_BIN_EXE_petrel-supervise").into()], ..RunnerOptions::default() };
    let (supervisor, folder) = (Supervisor::new(options.supervisor.clone()), tempfile::tempdir().unwrap());
    let work = WorkDirectories::open(folder.path().to_owned()).unwrap();
    let daemon = ContainerOptions { socket: docker.socket.clone() };
    let containers = Containers { supervisor: &supervisor, options: &options, daemon: &daemon, work: &work };
    let attempt = ContainerAttempt {
        execution_id: "e-1".to_owned(),
        attempt: 1,
        token: 1,
        worker: "w-document".into(),
        variables: BTreeMap::new(),
        timeout_ms: 60_000,
        output_bytes_max: 64 << 10,
        lead_bytes: 0,
        live: Live::default(),
    };
    containers.run(call, pack, attempt, held, || {}).await
}

/// Calls Python code under a supervisor of its own.
async fn run_python(call: PythonCall, pack: &Path) -> Exit {
    let (_director, held) = watch::channel(holding(60_000));
    let options =
        RunnerOptions { supervisor: vec![env!("CARGO_BIN_EXE_petrel-supervise").into()], ..RunnerOptions::default() };
    let (supervisor, folder) = (Supervisor::new(options.supervisor.clone()), tempfile::tempdir().unwrap());
    let work = WorkDirectories::open(folder.path().join("work")).unwrap();
    let attempt = ProcessAttempt {
        variables: BTreeMap::new(),
        timeout_ms: 60_000,
        output_bytes_max: 64 << 10,
        lead_bytes: 0,
        live: Live::default(),
    };
    let processes = Processes { supervisor: &supervisor, options: &options, work: &work };
    let python = PythonRunner::new(PythonOptions::new(folder.path().join("python")));
    python.run(call, pack, processes, attempt, held, || {}).await
}

/// Runs a process under a supervisor of its own.
async fn run(process: Process) -> Exit {
    let (_director, held) = watch::channel(holding(60_000));
    let options =
        RunnerOptions { supervisor: vec![env!("CARGO_BIN_EXE_petrel-supervise").into()], ..RunnerOptions::default() };
    let (supervisor, folder) = (Supervisor::new(options.supervisor.clone()), tempfile::tempdir().unwrap());
    let work = WorkDirectories::open(folder.path().to_owned()).unwrap();
    let attempt = ProcessAttempt {
        variables: BTreeMap::new(),
        timeout_ms: 60_000,
        output_bytes_max: 64 << 10,
        lead_bytes: 0,
        live: Live::default(),
    };
    Processes { supervisor: &supervisor, options: &options, work: &work }.run(process, attempt, held, || {}).await
}
