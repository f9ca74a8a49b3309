//! A Petrel to be measured: its process, its pack, its command line.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_testkit::{Proc, engine_library, free_port, poll_until, scratch_dir};

use super::TOPIC;
use super::listener::{Listener, own_program};

const READY: Duration = Duration::from_secs(120);
const APPLY: Duration = Duration::from_secs(30);

/// A running `petrel up` with the measured pack.
pub(super) struct Server {
    binary: PathBuf,
    pub(super) address: String,
    process: Proc,
    _dir: tempfile::TempDir,
}

impl Server {
    pub(super) fn start(
        binary: &Path,
        listener: &Listener,
        flags: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("latency-").tempdir_in(scratch_dir()?)?;
        let address = format!("127.0.0.1:{}", free_port());
        let pack = write_pack(dir.path(), &listener.address)?;
        let mut command = Command::new(binary);
        command.args(["up", "--quiet", "--listen", &address, "--data-dir"]).arg(dir.path().join("data")).args(flags);
        // A variable of the tests would be an unknown option of the server.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PETREL_")) {
            command.env_remove(name);
        }
        command.env("PETREL_CHDB_LIB", engine_library()?).envs(environment.iter().copied());
        let mut process = Proc::start("petrel", &mut command, &dir.path().join("petrel.log"))?;
        let cli = |arguments: &[&str]| cli(binary, &address, arguments);
        process.wait_until_ready(READY, || cli(&["status"]).ok())?;
        // The API may be ready a moment before the catalog takes writes.
        let applied = poll_until(APPLY, || cli(&["pack", "apply", &pack.display().to_string()]).ok());
        if applied.is_none() {
            cli(&["pack", "apply", &pack.display().to_string()]).with_context(|| process.log_tail())?;
        }
        Ok(Self { binary: binary.to_owned(), address, process, _dir: dir })
    }

    pub(super) fn cli(&self, arguments: &[&str]) -> Result<String> {
        cli(&self.binary, &self.address, arguments)
    }

    /// Its process.
    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// Standard output of Petrel's own command line.
fn cli(binary: &Path, address: &str, arguments: &[&str]) -> Result<String> {
    let api = format!("http://{address}");
    let output = Command::new(binary).args(arguments).args(["--api", &api]).output()?;
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    ensure!(output.status.success(), "petrel {}: {out}{err}", arguments.join(" "));
    Ok(out)
}

/// A pack with one rule whose action tells the listener that it has started.
fn write_pack(dir: &Path, listener: &str) -> Result<PathBuf> {
    let root = dir.join("latency");
    let program = own_program()?;
    let files = [
        ("pack.yaml", "name: latency\nversion: 1.0.0\ndescription: Tells when its action starts\n".to_owned()),
        (
            "triggers/event.yaml",
            format!(
                "name: event\nsource: {{ kafka: {{ topic: {TOPIC}, format: json }} }}\n\
                 schema: {{ type: object, required: [name, used_pct] }}\n"
            ),
        ),
        (
            "rules/full.yaml",
            "name: full\ntrigger: latency.event\ncriteria: trigger.used_pct > 90.0\n\
             action: { ref: latency.tell, parameters: { name: \"${trigger.name}\" } }\n"
                .to_owned(),
        ),
        (
            "actions/tell.yaml",
            format!(
                "name: tell\nrunner: command\n\
                 command: [\"{}\", started, \"{listener}\", \"${{parameters.name}}\"]\n\
                 parameters:\n  name: {{ type: string, required: true }}\n",
                program.display()
            ),
        ),
    ];
    for (path, text) in files {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(&root))?;
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(root)
}

/// As much of an HTTP client as one request needs.
pub(super) struct HttpClient {
    pub(super) address: String,
}

impl HttpClient {
    pub(super) fn post(&mut self, path: &str, body: &str) -> Result<()> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&self.address).context("cannot reach petrel")?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        ensure!(answer.starts_with("HTTP/1.1 2"), "POST {path}: {answer}");
        Ok(())
    }
}
