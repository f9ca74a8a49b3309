//! The engine's process: started, watched, started anew, ended.
#![expect(clippy::disallowed_methods, reason = "deadlines of a child process")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::options::{PARENT_VARIABLE, PASSWORD_VARIABLE};
use crate::address::{Address, Endpoint};

/// How often the thread looks at its child, in milliseconds.
const LOOK_MS: u64 = 20;
/// A child that lived this long was well: the next back-off begins anew, in milliseconds.
const WELL_AFTER_MS: u128 = 10_000;
/// How the names of Petrel's own environment variables begin.
const OWN_VARIABLES: &str = "PETREL_";
/// How much of the child's log an error shows, in bytes.
const LOG_TAIL_BYTES: usize = 2_000;

/// How to start the engine's process.
#[derive(Debug, Clone)]
pub struct SupervisorOptions {
    /// Program whose body is [`super::serve`]; as a rule this very binary.
    pub program: PathBuf,
    /// Its arguments: `clickhouse --listen 127.0.0.1:0 …`.
    pub args: Vec<OsString>,
    /// File that its stderr is appended to; none lets it share this process's.
    pub log: Option<PathBuf>,
    /// Longest time from start to readiness, in milliseconds.
    pub ready_ms: u64,
    /// First and longest pause before it is started anew, in milliseconds.
    pub backoff_ms: (u64, u64),
    /// Time it has to end in order before it is killed, in milliseconds.
    pub stop_ms: u64,
}

impl SupervisorOptions {
    /// With the usual times.
    pub fn new(program: PathBuf, args: Vec<OsString>) -> Self {
        Self { program, args, log: None, ready_ms: 60_000, backoff_ms: (100, 5_000), stop_ms: 8_000 }
    }
}

/// Why the engine's process could not be started the first time.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// It ended before it was ready.
    #[error("the ClickHouse engine ended at its start ({status}){log}")]
    Ended {
        /// How it ended.
        status: String,
        /// The end of its log, if it has one.
        log: String,
    },
    /// It was not ready in time and was killed.
    #[error("the ClickHouse engine was not ready within {0} ms")]
    NotReady(u64),
    /// The operating system refused.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// A running engine. Dropping it ends the process as [`EngineProcess::stop`] does.
#[derive(Debug)]
pub struct EngineProcess {
    shared: Arc<Shared>,
    address: watch::Receiver<Option<Address>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    pid: AtomicU32,
    restarts: AtomicU64,
}

impl EngineProcess {
    /// Starts the process and waits until it is ready. Blocks: not for an async runtime's thread.
    ///
    /// # Errors
    /// See [`SupervisorError`]; only this first start fails, later ones are tried for ever.
    pub fn start(options: SupervisorOptions) -> Result<Self, SupervisorError> {
        let password = random_hex().map_err(system("cannot read random bytes"))?;
        let shared = Arc::new(Shared::default());
        let (publish, address) = watch::channel(None);
        let (first, started) = mpsc::channel();
        let supervisor = Supervisor { options, password, shared: shared.clone(), publish };
        // The thread lives as long as the child: a child's parent-death signal comes when the
        // *thread* that started it ends.
        let thread = std::thread::Builder::new()
            .name("engine-supervisor".into())
            .spawn(move || supervisor.run(&first))
            .map_err(system("cannot start a thread"))?;
        let process = Self { shared, address, thread: Some(thread) };
        match started.recv() {
            Ok(Ok(())) => Ok(process),
            Ok(Err(error)) => Err(error),
            // The thread reports before it ends.
            Err(_) => Err(SupervisorError::Ended { status: "no report".into(), log: String::new() }),
        }
    }

    /// Where the engine is; follows it when it is started anew.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::following(self.address.clone())
    }

    /// Its process id; none while it is down.
    pub fn pid(&self) -> Option<u32> {
        Some(self.shared.pid.load(Ordering::Relaxed)).filter(|pid| *pid != 0)
    }

    /// How often it was started anew.
    pub fn restarts(&self) -> u64 {
        self.shared.restarts.load(Ordering::Relaxed)
    }

    /// Ends the process in order, killing it if it takes too long. Blocks.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("engine supervisor panicked");
        }
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        self.end();
    }
}

struct Supervisor {
    options: SupervisorOptions,
    password: String,
    shared: Arc<Shared>,
    publish: watch::Sender<Option<Address>>,
}

impl Supervisor {
    fn run(&self, first: &mpsc::Sender<Result<(), SupervisorError>>) {
        let mut backoff_ms = self.options.backoff_ms.0;
        let mut reported = false;
        while !self.stopped() {
            let began = Instant::now();
            match self.start_child() {
                Ok((child, address)) => {
                    self.shared.pid.store(child.id(), Ordering::Relaxed);
                    self.publish.send_replace(Some(address));
                    if !reported {
                        reported = true;
                        // Nobody listens any more only if `start` is gone, and then we are told to stop.
                        let _ = first.send(Ok(()));
                    }
                    self.watch(child);
                    self.shared.pid.store(0, Ordering::Relaxed);
                    self.publish.send_replace(None);
                }
                Err(error) if !reported => {
                    let _ = first.send(Err(error));
                    return;
                }
                Err(error) => tracing::error!(%error, "engine does not start"),
            }
            if self.stopped() {
                return;
            }
            if began.elapsed().as_millis() > WELL_AFTER_MS {
                backoff_ms = self.options.backoff_ms.0;
            }
            tracing::warn!(backoff_ms, "engine is started anew");
            self.pause(backoff_ms);
            backoff_ms = (backoff_ms * 2).min(self.options.backoff_ms.1);
            self.shared.restarts.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn start_child(&self) -> Result<(Child, Address), SupervisorError> {
        let mut command = Command::new(&self.options.program);
        command.args(&self.options.args);
        // Petrel's own variables may hold a master key or a token, and whoever may ask the engine may find a way to
        // read what its process was started with.
        let own = |name: &OsString| name.as_encoded_bytes().starts_with(OWN_VARIABLES.as_bytes());
        for name in std::env::vars_os().map(|(name, _)| name).filter(own) {
            command.env_remove(name);
        }
        command.env(PASSWORD_VARIABLE, &self.password).env(PARENT_VARIABLE, "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // A group of its own: Ctrl-C in the terminal is for the parent, which ends the engine last.
        command.process_group(0);
        let mut log = None;
        if let Some(path) = &self.options.log {
            let open = || File::options().create(true).append(true).read(true).open(path);
            command.stderr(open().map_err(system("cannot open the engine's log"))?);
            log = Some(path);
        }
        let mut child = command.spawn().map_err(system("cannot start the engine's process"))?;
        match self.wait_until_ready(&mut child) {
            Ok(address) => Ok((child, address)),
            Err(Some(status)) => {
                let log = log.map(|path| format!("; its log ends:\n{}", tail(path))).unwrap_or_default();
                Err(SupervisorError::Ended { status: status.to_string(), log })
            }
            Err(None) => {
                kill(&mut child);
                Err(SupervisorError::NotReady(self.options.ready_ms))
            }
        }
    }

    /// The address that the child announces; its status if it ended instead; nothing if time is up.
    fn wait_until_ready(&self, child: &mut Child) -> Result<Address, Option<ExitStatus>> {
        let (sender, announced) = mpsc::channel();
        let stdout = child.stdout.take();
        let read = move || {
            for line in stdout.into_iter().flat_map(|out| BufReader::new(out).lines()).map_while(Result::ok) {
                if let Some(address) = announced_address(&line) {
                    // The receiver is gone once the child is ready; what follows is only drained.
                    let _ = sender.send(address);
                }
            }
        };
        // Ends with the child's stdout.
        if let Err(error) = std::thread::Builder::new().name("engine-stdout".into()).spawn(read) {
            tracing::error!(%error, "no thread for the engine's stdout");
            return Err(None);
        }
        let until = Instant::now() + Duration::from_millis(self.options.ready_ms);
        while Instant::now() < until && !self.stopped() {
            match announced.recv_timeout(Duration::from_millis(LOOK_MS)) {
                Ok(address) => {
                    let url = format!("http://{address}");
                    return Ok(Address { url, user: None, password: Some(self.password.clone()) });
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if let Ok(Some(status)) = child.try_wait() {
                        return Err(Some(status));
                    }
                }
            }
        }
        Err(None)
    }

    /// Returns when the child has ended, by itself or because it was told to.
    fn watch(&self, mut child: Child) {
        while !self.stopped() {
            match child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(LOOK_MS)),
                Ok(Some(status)) => {
                    tracing::error!(%status, "engine ended");
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "engine cannot be watched");
                    kill(&mut child);
                    return;
                }
            }
        }
        drop(child.stdin.take());
        let until = Instant::now() + Duration::from_millis(self.options.stop_ms);
        while Instant::now() < until {
            if matches!(child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(LOOK_MS));
        }
        tracing::warn!("engine did not end in time and is killed");
        kill(&mut child);
    }

    fn pause(&self, ms: u64) {
        let until = Instant::now() + Duration::from_millis(ms);
        while Instant::now() < until && !self.stopped() {
            std::thread::sleep(Duration::from_millis(LOOK_MS.min(ms)));
        }
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> SupervisorError {
    move |source| SupervisorError::System { what, source }
}

fn kill(child: &mut Child) {
    // Both fail only if it is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

fn announced_address(line: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(line.trim()).ok()?;
    value["petrel_clickhouse"]["address"].as_str().map(str::to_owned)
}

fn tail(path: &std::path::Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(LOG_TAIL_BYTES)..]).into_owned()
}

/// 128 random bits of the operating system, in hexadecimal.
fn random_hex() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
