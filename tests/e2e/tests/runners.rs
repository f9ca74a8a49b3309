//! Long actions of runners, on Kafka, while their workers are killed or stopped, or killed together with all owners:
//! nothing of an attempt goes on beside the next one, and each lost lease costs one more run at most.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use petrel_e2e_tests::{Cli, Cluster, Size, write_pack};
use petrel_testkit::{KafkaBroker, free_port, kafka_or_skip, poll_until};
use serde_json::Value;

/// More than a lease, and a take-over on a busy machine.
const SOON: Duration = Duration::from_secs(120);
const RUNNERS: [&str; 6] = ["command", "shell", "script", "python", "ssh", "http"];
/// Executions of one runner after which it is odd that both workers have not got one of them.
const ASKED_MAX: usize = 16;

/// Writes that it begins, that it goes on, and ends with the gate.
const HOLD: &str =
    "echo \"+$ATTEMPT\" >> \"$LOG\"; while [ ! -e \"$GATE\" ]; do echo \"$ATTEMPT\" >> \"$LOG\"; sleep 0.1; done";

const PYTHON: &str = r#"
import os, time

def hold(log, gate, mark, name):
    def write(text):
        with open(log, "a") as file: file.write(text + "\n")
    write("+" + os.environ["PETREL_ATTEMPT"])
    while not os.path.exists(gate):
        write(os.environ["PETREL_ATTEMPT"])
        time.sleep(0.1)
"#;

/// A server of OpenSSH that lets who runs this test in.
struct Sshd {
    process: Child,
    port: u16,
    dir: PathBuf,
}

impl Sshd {
    fn start(dir: &Path) -> Result<Self> {
        let dir = dir.join("sshd");
        std::fs::create_dir(&dir)?;
        let _ = std::fs::create_dir_all("/run/sshd");
        for key in ["id", "host_key"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(dir.join(key)).status();
            ensure!(made.context("`cargo xtask deps --openssh` brings it")?.success(), "no key {key} was made");
        }
        let (port, at) = (free_port(), dir.display());
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/id.pub\nStrictModes no\n\
             UsePAM no\nPidFile none\nPasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 200\nMaxSessions 100\n"
        );
        std::fs::write(dir.join("config"), config)?;
        let log = std::fs::File::create(dir.join("log"))?;
        let mut sshd = Command::new("/usr/sbin/sshd");
        let process = sshd.args(["-D", "-e", "-f"]).arg(dir.join("config")).stdin(Stdio::null()).stderr(log).spawn()?;
        let server = Self { process, port, dir };
        let answers = || TcpStream::connect(("127.0.0.1", port)).ok();
        ensure!(poll_until(SOON, answers).is_some(), "sshd does not answer");
        Ok(server)
    }

    /// Keys of an action that is let in.
    fn keys(&self) -> Result<String> {
        let user = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?;
        let key = std::fs::read_to_string(self.dir.join("host_key.pub"))?;
        let known = format!("[127.0.0.1]:{} {}", self.port, key.trim());
        let file = self.dir.join("id");
        Ok(format!(
            "hosts: [\"127.0.0.1:{}\"]\nssh: {{ user: {}, auth: {{ key_file: \"{}\" }}, known_hosts: \"{known}\" }}\n",
            self.port,
            user.trim(),
            file.display()
        ))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that writes of each request that it begins, and answers with the gate. The path names the log and the attempt.
fn listen(dir: &Path) -> Result<u16> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let (port, dir) = (listener.local_addr()?.port(), dir.to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let dir = dir.clone();
            std::thread::spawn(move || _ = answer(stream, &dir));
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream, dir: &Path) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head)?;
    let path = head.split(' ').nth(1).context("a request has a path")?;
    let (log, attempt) = path[1..].split_once('/').context("it has two parts")?;
    let mut file = std::fs::File::options().create(true).append(true).open(dir.join(log))?;
    writeln!(file, "+{attempt}")?;
    let _ = poll_until(SOON * 5, || dir.join("gate").exists().then_some(()));
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    Ok(())
}

fn apply_pack(cli: &Cli, dir: &Path, sshd: &Sshd, port: u16) -> Result<()> {
    let common = "parameters: { log: { type: string }, gate: { type: string }, mark: { type: string }, name: { type: string } }\ntimeout: 20m\n";
    let env = "env: { LOG: \"${parameters.log}\", GATE: \"${parameters.gate}\", MARK: \"${parameters.mark}\", ATTEMPT: \"${execution.attempt}\" }\n";
    let text = serde_json::to_string(HOLD)?;
    let of = |runner: &str, keys: &str| format!("name: {runner}\nrunner: {runner}\n{keys}{common}");
    let actions = [
        of("command", &format!("command: [sh, -c, {text}]\n{env}")),
        of("shell", &format!("script: {text}\n{env}")),
        of("script", &format!("file: hold.sh\n{env}")),
        of("python", "file: hold.py\nfunction: hold\nenv: { MARK: \"${parameters.mark}\" }\n"),
        of("ssh", &format!("{}command: [sh, -c, {text}]\n{env}", sshd.keys()?)),
        of(
            "http",
            &format!("request: {{ url: \"http://127.0.0.1:{port}/${{parameters.name}}/${{execution.attempt}}\" }}\n"),
        ),
    ];
    let script = format!("#!/bin/sh\n{HOLD}\n");
    let paths: Vec<String> = RUNNERS.iter().map(|runner| format!("actions/{runner}.yaml")).collect();
    let mut files = vec![
        ("pack.yaml", "name: hold\nversion: 1.0.0\n"),
        ("actions/hold.sh", script.as_str()),
        ("actions/hold.py", PYTHON),
    ];
    files.extend(paths.iter().map(String::as_str).zip(actions.iter().map(String::as_str)));
    let pack = write_pack(dir, "hold", &files)?;
    cli.run(&["pack", "apply", &pack.display().to_string()])?;
    Ok(())
}

/// What runs.
struct Held<'c> {
    cli: &'c Cli,
    dir: PathBuf,
    mark: String,
    /// Ids, by the names of their logs.
    ids: BTreeMap<String, String>,
}

impl Held<'_> {
    fn ask(&mut self, runner: &str) -> Result<String> {
        let log = format!("{runner}-{}.log", self.ids.len());
        let (path, gate) = (self.dir.join(&log), self.dir.join("gate"));
        let (path, gate, mark) =
            (format!("log={}", path.display()), format!("gate={}", gate.display()), format!("mark={}", self.mark));
        let id =
            self.cli.run(&["action", "run", &format!("hold.{runner}"), &path, &gate, &mark, &format!("name={log}")])?;
        self.ids.insert(log.clone(), id.trim().to_owned());
        Ok(log)
    }

    fn get(&self, log: &str) -> Result<Value> {
        self.cli.json(&["execution", "get", &self.ids[log]])
    }

    fn lines(&self, log: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join(log)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The attempts that have begun, in their order.
    fn begun(&self, log: &str) -> Vec<i64> {
        self.lines(log).iter().filter_map(|line| line.strip_prefix('+')?.parse().ok()).collect()
    }

    /// Whose it is, once an attempt behind that many has begun, and its number.
    fn runs(&self, log: &str, behind: i64) -> Result<(String, i64)> {
        let found = poll_until(SOON, || {
            let shown = self.get(log).ok()?;
            let (worker, attempt) = (shown["worker"].as_str()?, shown["attempt"].as_i64()?);
            let is_it = shown["status"] == "running" && attempt > behind && self.begun(log).contains(&attempt);
            is_it.then(|| (worker.to_owned(), attempt))
        });
        found.with_context(|| format!("{log} does not run: {:?} {:?}", self.get(log), self.begun(log)))
    }

    /// Who has what, and which attempt of it.
    fn all(&self) -> Result<BTreeMap<String, (String, i64)>> {
        self.ids.keys().map(|log| Ok((log.clone(), self.runs(log, 0)?))).collect()
    }

    /// What that worker had runs again somewhere; whether it had something of every runner.
    fn moved(&self, before: &BTreeMap<String, (String, i64)>, worker: &str) -> Result<bool> {
        let lost: Vec<_> = before.iter().filter(|(_, (had, _))| had == worker).collect();
        for (log, (_, attempt)) in &lost {
            self.runs(log, *attempt)?;
        }
        Ok(RUNNERS.iter().all(|runner| lost.iter().any(|(log, _)| log.starts_with(&format!("{runner}-")))))
    }

    /// No attempt begins twice, none goes on once the next one has begun, and none costs more than a lost lease.
    fn check(&self) -> Result<()> {
        for log in self.ids.keys() {
            let (begun, shown) = (self.begun(log), self.get(log)?);
            let numbers: Vec<i64> =
                self.lines(log).iter().filter_map(|line| line.trim_start_matches('+').parse().ok()).collect();
            ensure!(numbers.is_sorted(), "{log}: attempts overlap: {numbers:?}");
            ensure!(begun.is_sorted_by(|one, next| one < next), "{log}: one began twice: {begun:?}");
            // Of what is over that is not told any more.
            let Some(lost) = shown["lost_leases"].as_u64() else { continue };
            let lost = lost + shown["hand_overs"].as_u64().unwrap_or(0);
            ensure!(begun.len() as u64 <= lost + 1, "{log}: {begun:?} for {lost} lost attempts: {shown}");
        }
        Ok(())
    }
}

/// Processes that have this variable.
fn marked(mark: &str) -> usize {
    let wanted = format!("MARK={mark}");
    let has_it = |entry: &std::fs::DirEntry| {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
    };
    std::fs::read_dir("/proc").into_iter().flatten().flatten().filter(has_it).count()
}

#[test]
fn long_actions_of_every_runner_outlive_workers_and_owners_and_never_overlap() -> Result<()> {
    if !kafka_or_skip() {
        return Ok(());
    }
    let (broker, dir) = (KafkaBroker::start()?, tempfile::tempdir()?);
    let sshd = Sshd::start(dir.path())?;
    let port = listen(dir.path())?;
    let prefix = format!("runners{}.", std::process::id());
    let size = Size { slots: 100, ..Size::default() };
    let mut cluster = Cluster::start_with(dir.path(), &broker.bootstrap(), &prefix, size)?;
    for worker in ["worker-1", "worker-2"] {
        let member = cluster.member(worker)?;
        member.set_environment("PETREL_EXECUTOR__HTTP__ALLOW", Some("[127.0.0.1]"));
        member.crash()?;
    }
    let cli = Cli::new(cluster.cli().api().to_owned());
    apply_pack(&cli, dir.path(), &sshd, port)?;
    let mark = format!("runners-{}", std::process::id());
    let mut held = Held { cli: &cli, dir: dir.path().to_owned(), mark: mark.clone(), ids: BTreeMap::new() };
    for runner in RUNNERS {
        let mut workers = std::collections::BTreeSet::new();
        for _ in 0..ASKED_MAX {
            let log = held.ask(runner)?;
            workers.insert(held.runs(&log, 0)?.0);
            if workers.len() == 2 {
                break;
            }
        }
        ensure!(workers.len() == 2, "{runner} runs at {workers:?} alone");
    }

    // A worker is killed.
    let before = held.all()?;
    cluster.member("worker-1")?.crash()?;
    ensure!(held.moved(&before, "worker-1")?, "it had not all runners: {before:?}");
    held.check()?;

    // A worker is stopped for longer than its leases last, and goes on.
    let before = held.all()?;
    cluster.member("worker-2")?.process().pause()?;
    ensure!(held.moved(&before, "worker-2")?, "it had not all runners: {before:?}");
    cluster.member("worker-2")?.process().resume()?;
    held.check()?;

    // All owners are killed together with a worker.
    let before = held.all()?;
    for name in ["executor-1", "executor-2", "worker-1"] {
        cluster.member(name)?.kill();
    }
    for name in ["executor-1", "executor-2", "worker-1"] {
        cluster.member(name)?.start()?;
    }
    held.moved(&before, "worker-1")?;
    held.check()?;

    std::fs::write(dir.path().join("gate"), "")?;
    for log in held.ids.keys() {
        let ended = poll_until(SOON, || held.get(log).ok().filter(|shown| shown["status"] == "succeeded"));
        ensure!(ended.is_some(), "{log}: {:?}", held.get(log));
    }
    held.check()?;
    // Zygotes of Python bear the mark, too, and go with their worker.
    for worker in ["worker-1", "worker-2"] {
        cluster.member(worker)?.kill();
    }
    ensure!(poll_until(SOON, || (marked(&mark) == 0).then_some(())).is_some(), "{} are left", marked(&mark));
    Ok(())
}
