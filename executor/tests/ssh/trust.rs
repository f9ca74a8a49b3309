//! Who is believed, and with what one is let in.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use petrel_execution::worker::Why;
use petrel_executor::runner::SshOptions;
use russh::server::{self, Auth, Response};
use serde_json::{Value, json};

use crate::asking::{Asking, eventually};
use crate::sshd::{Servers, user};

fn echo(servers: &Servers, auth: Value) -> Value {
    let mut ssh = servers.ssh();
    ssh["auth"] = auth;
    json!({ "hosts": [servers.hosts[0].name()], "ssh": ssh, "command": ["echo", "hi"] })
}

/// How it ended, and the host's code and error.
async fn ask(asking: &Asking, servers: &Servers, keys: Value) -> (Why, Value, String) {
    let exit = asking.ask(keys).await;
    let told = exit.result.unwrap_or_default()[servers.hosts[0].name()].clone();
    (exit.why, told["code"].clone(), told["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn every_kind_of_key_and_a_certificate_is_let_in() {
    let servers = Servers::start(1);
    for auth in [
        json!({ "key": servers.text("id") }),
        json!({ "key": servers.text("rsa") }),
        json!({ "key": servers.text("ecdsa") }),
        json!({ "key_file": servers.path("id") }),
        json!({ "key": servers.text("locked"), "passphrase": "open sesame" }),
        json!({ "key": servers.text("signed"), "certificate": servers.text("signed-cert.pub") }),
    ] {
        let asking = Asking::new();
        let (why, code, error) = ask(&asking, &servers, echo(&servers, auth.clone())).await;
        assert_eq!(why, Why::Succeeded, "{code} {error} of {auth}");
    }
}

#[tokio::test]
async fn who_is_not_let_in_says_so_and_no_part_of_a_key() {
    let servers = Servers::start(1);
    let asking = Asking::new();
    for (auth, code, expected) in [
        (json!({ "key": servers.text("stranger") }), "auth", "does not let"),
        (json!({ "key": servers.text("signed") }), "auth", "does not let"),
        (json!({ "password": "wrong" }), "auth", "does not let"),
        (json!({ "key": servers.text("locked") }), "not_started", "the key needs its passphrase"),
        (
            json!({ "key": servers.text("locked"), "passphrase": "s3cret" }),
            "not_started",
            "the key is no private key, or its passphrase does not open it",
        ),
        (json!({ "key": "s3cret" }), "not_started", "the key is no private key, or needs a passphrase"),
        (json!({ "key_file": "/no/such/key" }), "not_started", "/no/such/key: "),
        (json!({ "agent": true }), "not_started", "the worker's agent: there is none"),
    ] {
        let (why, told, error) = ask(&asking, &servers, echo(&servers, auth.clone())).await;
        assert_eq!(
            (told, why),
            (json!(code), Why::Failed { code: "ssh_hosts", retriable: false }),
            "{error} of {auth}"
        );
        assert!(error.contains(expected) && !error.contains("s3cret"), "{error}");
    }
    assert_eq!(servers.hosts[0].logins(), 0);
}

/// A server that takes a password, or asks for it.
struct Door {
    asks: bool,
    let_in: Arc<AtomicUsize>,
}

impl Door {
    fn decide(&self, password: &[u8]) -> Auth {
        match password {
            b"open sesame" => {
                self.let_in.fetch_add(1, Ordering::Relaxed);
                Auth::Accept
            }
            _ => Auth::reject(),
        }
    }
}

impl server::Handler for Door {
    type Error = russh::Error;

    async fn auth_password(&mut self, _: &str, password: &str) -> Result<Auth, russh::Error> {
        Ok(if self.asks { Auth::reject() } else { self.decide(password.as_bytes()) })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _: &str,
        _: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        Ok(match response {
            None => Auth::Partial {
                name: "".into(),
                instructions: "".into(),
                prompts: vec![("Password: ".into(), false)].into(),
            },
            Some(mut answers) => self.decide(&answers.next().unwrap_or_default()),
        })
    }
}

/// A server of another kind, which lets in by password and then runs nothing.
#[tokio::test]
async fn a_password_is_given_where_it_is_taken_or_asked_for() {
    let servers = Servers::start(0);
    for (asks, password, expected) in [(false, "open sesame", 1), (true, "open sesame", 1), (true, "s3cret", 0)] {
        let let_in = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(server::Config {
            keys: vec![russh::keys::load_secret_key(servers.path("id"), None).unwrap()],
            auth_rejection_time: Duration::from_millis(1),
            ..server::Config::default()
        });
        let door = Door { asks, let_in: let_in.clone() };
        let serving = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = server::run_stream(config, stream, door).await.unwrap().await;
        });
        let name = format!("127.0.0.1:{port}");
        let keys = json!({
            "hosts": [name], "command": ["true"],
            "ssh": {
                "user": "ops", "auth": { "password": password },
                "known_hosts": format!("[127.0.0.1]:{port} {}", servers.text("id.pub")),
            },
        });
        let exit = Asking::new().ask(keys).await;
        let told = &exit.result.as_ref().unwrap()[&name];
        let code = if expected == 0 { "auth" } else { "not_reached" };
        assert_eq!((let_in.load(Ordering::Relaxed), &told["code"]), (expected, &json!(code)), "{told}");
        assert_eq!((&told["begun"], told.to_string().contains("s3cret")), (&json!(false), false));
        serving.abort();
    }
}

struct Agent(Child, std::path::PathBuf);

impl Agent {
    fn start(servers: &Servers, keys: &[&str]) -> Self {
        let socket = servers.path("agent");
        let process = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self(process, socket);
        while std::os::unix::net::UnixStream::connect(&agent.1).is_err() {
            std::thread::yield_now();
        }
        for key in keys {
            let add = Command::new("ssh-add")
                .arg("-q")
                .arg(servers.path(key))
                .env("SSH_AUTH_SOCK", &agent.1)
                .stderr(Stdio::null())
                .status();
            assert!(add.unwrap().success(), "{key}");
        }
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_agent_signs_with_what_it_has() {
    let servers = Servers::start(1);
    for keys in [&["stranger", "rsa"][..], &["signed"]] {
        let agent = Agent::start(&servers, keys);
        let asking = Asking::with(SshOptions { agent: Some(agent.1.clone()), ..SshOptions::default() });
        let (why, code, error) = ask(&asking, &servers, echo(&servers, json!({ "agent": true }))).await;
        assert_eq!(why, Why::Succeeded, "{code} {error} of {keys:?}");
        drop(agent);
        let _ = std::fs::remove_file(servers.path("agent"));
    }
}

#[tokio::test]
async fn a_host_that_is_not_who_it_should_be_is_told_nothing() {
    let servers = Servers::start(2);
    let asking = Asking::new();
    let host = &servers.hosts[0];
    let (right, other) = (host.known_hosts(), servers.hosts[1].known_hosts());
    let others_key = other.split_once(' ').unwrap().1;
    let wrong = format!("[127.0.0.1]:{} {others_key}", host.port);
    for (known_hosts, trust, expected) in [
        (String::new(), "strict", "nobody knows the key that it shows, SHA256:"),
        (other.clone(), "strict", "nobody knows the key that it shows"),
        (wrong.clone(), "strict", "and is known by another one"),
        (wrong, "first_use", "and is known by another one"),
        (format!("@revoked * {}{right}", right.split_once(' ').unwrap().1), "first_use", "which is revoked"),
    ] {
        let mut keys = echo(&servers, json!({ "key": servers.text("id") }));
        keys["ssh"]["known_hosts"] = known_hosts.into();
        keys["ssh"]["trust"] = trust.into();
        let (why, code, error) = ask(&asking, &servers, keys).await;
        assert_eq!((why, code), (Why::Failed { code: "ssh_hosts", retriable: false }, json!("host_key")), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    // Nobody was even named to it.
    assert!(!host.log().contains(&format!("for {}", user())), "{}", host.log());
}

#[tokio::test]
async fn a_host_is_believed_at_first_sight_where_the_action_says_so() {
    let servers = Servers::start(1);
    let dir = tempfile::tempdir().unwrap();
    let options = SshOptions {
        known_hosts: Vec::new(),
        remembered: Some(dir.path().join("known_hosts")),
        ..SshOptions::default()
    };
    let mut keys = echo(&servers, json!({ "key": servers.text("id") }));
    keys["ssh"].as_object_mut().unwrap().remove("known_hosts");
    let strict = keys.clone();
    keys["ssh"]["trust"] = "first_use".into();
    let asking = Asking::with(options.clone());
    assert_eq!(ask(&asking, &servers, strict.clone()).await.1, "host_key");
    assert_eq!(ask(&asking, &servers, keys.clone()).await.0, Why::Succeeded);
    let key = servers.hosts[0].known_hosts();
    let key: Vec<&str> = key.split(' ').take(3).collect();
    let remembered = std::fs::read_to_string(dir.path().join("known_hosts")).unwrap();
    assert_eq!(remembered.trim_end(), key.join(" ").trim_end());
    // Another process remembers; an action that is strict does not take its word for it.
    let asking = Asking::with(options);
    assert_eq!(ask(&asking, &servers, keys).await.0, Why::Succeeded);
    assert_eq!(ask(&asking, &servers, strict).await.1, "host_key");
}

/// The worker's own files, and a host that has keys of several kinds of which one is known.
#[tokio::test]
async fn the_worker_knows_hosts_by_its_files() {
    let mut servers = Servers::start(0);
    let rsa = servers.one_more("rsa-host", "rsa");
    servers.hosts.push(rsa);
    let file = servers.path("known");
    std::fs::write(&file, servers.known_hosts()).unwrap();
    let known_hosts = vec![servers.path("no-such-file"), file];
    let asking = Asking::with(SshOptions { known_hosts, ..SshOptions::default() });
    let mut keys = echo(&servers, json!({ "key": servers.text("id") }));
    keys["ssh"].as_object_mut().unwrap().remove("known_hosts");
    let (why, _, error) = ask(&asking, &servers, keys).await;
    assert_eq!(why, Why::Succeeded, "{error}");
    eventually("nothing is left", || asking.left().is_empty()).await;
}
