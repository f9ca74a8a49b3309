//! Requests of actions, with one process and everything that it writes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Result, ensure};
use petrel_e2e_tests::{Single, write_pack};
use petrel_testkit::wait_until;
use serde_json::{Value, json};

use crate::secrets::{holding, master_key};

const SOON: Duration = Duration::from_secs(60);
/// Different enough that nothing else holds a piece of it.
const TOKEN: &str = "Zq7kV-9xR2mBwT-hunter2";
const KEY: &str = "Lw3nP-8tY6jKsD-correct";

const ACTION: &str = "\
name: ask
runner: http
request:
  method: POST
  url: ${config.service}
  path: [\"${parameters.path}\"]
  query: { key: \"${secret.net.key}\" }
  json: { token: \"${parameters.token}\" }
  auth: { basic: { username: petrel, password: \"${config.token}\" } }
parameters:
  path: { type: string, required: true }
  token: { type: string, secret: true, default: \"${secret.net.token}\" }
";
const SCHEMA: &str = "\
service: { type: string, required: true }
token: { type: string, secret: true, required: true }
";

/// Answers each request with what it was asked, as text, in a header, and as the place of a redirect that leads nowhere.
fn echo(mut stream: TcpStream) -> Result<()> {
    let (mut asked, mut more) = (Vec::new(), [0; 4096]);
    // The body ends with a mapping of one text.
    while !asked.ends_with(b"\"}") {
        let read = stream.read(&mut more)?;
        ensure!(read > 0, "half a request");
        asked.extend_from_slice(&more[..read]);
    }
    let text = String::from_utf8(asked)?;
    let line = text.lines().next().unwrap_or_default().to_owned();
    let status = if line.contains("/away?") { "302 Found" } else { "200 OK" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nX-Line: {line}\r\nLocation: http://169.254.169.254/{TOKEN}\r\n\
         Connection: close\r\n\r\n{text}",
        text.len()
    )?;
    Ok(())
}

fn server() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    // It lives as long as the test's process.
    std::thread::spawn(move || listener.incoming().flatten().try_for_each(echo));
    Ok(address)
}

#[test]
fn secrets_of_a_request_are_written_nowhere_though_its_server_says_them_all() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let service = format!("http://{}", server()?);
    let key = master_key(&dir.path().join("master.key"), "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=\n")?;
    let environment = [
        ("PETREL_SECRETS__MASTER_KEY_FILE", &*key),
        ("PETREL_EXECUTOR__HTTP__ALLOW", "[127.0.0.1]"),
        // What the libraries for HTTP and TLS say, too.
        ("PETREL_LOG__FILTER", "debug,hyper=trace,hyper_util=trace,reqwest=trace,rustls=trace,petrel_executor=trace"),
    ];
    let mut petrel = Single::prepare(dir.path(), &[], &environment)?;
    petrel.up()?;
    let cli = petrel.cli().clone();
    let files =
        [("pack.yaml", "name: net\nversion: 1.0.0\n"), ("config.schema.yaml", SCHEMA), ("actions/ask.yaml", ACTION)];
    let pack = write_pack(dir.path(), "net", &files)?.display().to_string();
    let values = dir.path().join("values");
    std::fs::create_dir(&values)?;
    std::fs::write(values.join("net.yaml"), format!("service: {service}\ntoken: ${{secret.net.token}}\n"))?;
    cli.run(&["pack", "apply", &pack, "--config", &values.display().to_string()])?;
    for (name, value) in [("net.token", TOKEN), ("net.key", KEY)] {
        let file = dir.path().join("value");
        std::fs::write(&file, value)?;
        cli.run(&["secret", "set", name, "--file", &file.display().to_string()])?;
        std::fs::remove_file(&file)?;
    }
    let run = |path: &str| -> Result<Value> {
        let done = cli.output(&["action", "run", "net.ask", &format!("path={path}"), "--wait", "-o", "json"])?;
        Ok(serde_json::from_slice(&done.stdout)?)
    };
    let done = run("here")?;
    assert_eq!(done["status"], "succeeded", "{done}");
    assert_eq!(done["parameters"], json!({ "path": "here", "token": "${secret.net.token}" }));
    // The audit trail tells it a moment later.
    let id = done["execution_id"].as_str().unwrap_or_default();
    let mut result = Value::Null;
    wait_until("the result is there", SOON, || {
        let told = cli.json(&["execution", "get", id]).map(|shown| shown["result"].clone()).unwrap_or_default();
        result = told.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(told);
        !result.is_null()
    });
    let body = result["body"].as_str().unwrap_or_default();
    assert!(body.starts_with("POST /here?key=******** HTTP/1.1\r\n"), "{result}");
    assert!(body.ends_with("{\"token\":\"********\"}"), "{result}");
    assert_eq!(result["headers"]["x-line"], "POST /here?key=******** HTTP/1.1");
    let away = run("away")?;
    assert_eq!((&away["status"], &away["code"]), (&json!("failed"), &json!("address_refused")), "{away}");
    petrel.down()?;

    // The logs of the process, the log of topics, the tables of the engine, the caches: nothing holds a value.
    let (mut said, mut found) = (Vec::new(), Vec::new());
    for text in ["hyper_util", "/here?key=********"] {
        said.clear();
        holding(dir.path(), text, &mut said)?;
        ensure!(!said.is_empty(), "{text} stands nowhere: nothing was written that could hold a value");
    }
    for text in [TOKEN, KEY, "9xR2mBwT", "8tY6jKsD", "WnE3a1YtOXhSMm1Cd1Q", "pxN2tWLTl4UjJtQndU", "cTdrVi05eFIybUJ3V"] {
        holding(dir.path(), text, &mut found)?;
    }
    ensure!(found.is_empty(), "a value stands in {found:?}");
    Ok(())
}
