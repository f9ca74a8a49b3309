//! The work on one host, from its connection to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use petrel_execution::Stream;
use petrel_execution::runner::{Run, SshCall, Target};
use petrel_execution::worker::{Holding, Why};
use tokio::sync::watch;

use super::super::limited::{Leave, limited};
use super::connect::{Connector, NotConnected, Way};
use super::exchange::{Exchange, Lost};
use super::live::Telling;
use super::pool::{Pool, Used};
use super::told::{FileRead, OnHost, outcome};
use super::wire::{Job, Said, get, put, script_directory, script_path};
use super::{NoNumber, number, wire};
use crate::supervise::boot_ms;

/// How long output may still come once the command has ended, in milliseconds: what has got away from it may hold its
/// output open.
const LINGER_MS: u64 = 2_000;
/// How long a host may take to say that what was ended has ended, beside the time that it has for it, in
/// milliseconds.
const CONFIRM_MS: u64 = 3_000;
/// What shells make of SIGKILL.
const KILLED: i32 = 137;
const LEASE_LOST: &str = "the worker's lease passed";
/// Most bytes of a file that are sent at once: each time it is looked whether that may be.
const CHUNK_BYTES: usize = 32 << 10;

/// What is to be done on each host.
pub(super) struct Doing {
    pub(super) call: SshCall,
    pub(super) known_hosts: Arc<str>,
    /// What the files hold that are written, in the order of the call.
    pub(super) uploads: Vec<Bytes>,
    /// What the script holds, where there is one.
    pub(super) script: Bytes,
    pub(super) bytes_max: usize,
    pub(super) kill_grace_ms: u64,
    pub(super) leave: Leave,
    pub(super) held: watch::Receiver<Holding>,
    pub(super) telling: Arc<Telling>,
    pub(super) connector: Arc<Connector>,
    pub(super) pool: Arc<Pool>,
}

/// Why the work on a host went no further.
struct Failed {
    code: &'static str,
    why: String,
}

impl Failed {
    fn new(code: &'static str, why: impl Into<String>) -> Self {
        Self { code, why: why.into() }
    }
}

impl From<NoNumber> for Failed {
    fn from(_: NoNumber) -> Self {
        Self::new(outcome::LACKING, "the worker's system gives no random numbers")
    }
}

/// The clock of a host, as far as it is known here: at that instant of ours it showed at least so many seconds.
#[derive(Debug, Clone, Copy)]
struct HostClock {
    up_s: u64,
    at_ms: u64,
}

impl HostClock {
    /// The second of the host's clock that has not come as long as our instant has not.
    fn at(self, deadline_ms: u64) -> u64 {
        self.up_s + deadline_ms.saturating_sub(self.at_ms) / 1_000
    }

    /// The latest instant of ours at which that second begins there.
    fn instant_ms(self, second: u64) -> u64 {
        self.at_ms + second.saturating_sub(self.up_s) * 1_000
    }
}

/// Works on a host for as long as the attempt may go on. What runs there has ended by then, or ends when the lease
/// passes.
pub(super) async fn work_on(doing: Arc<Doing>, target: Target) -> OnHost {
    let began_ms = boot_ms();
    let mut work =
        Work { doing: &doing, told: OnHost::new(&target.name), target, used: None, exchange: None, is_command: false };
    let ended = limited(doing.leave.clone(), work.in_time()).await;
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => {
            let is_over_time = failed.code == outcome::HOST_TIMEOUT;
            work.told.failed(failed.code, failed.why);
            if is_over_time {
                work.end().await;
            }
        }
        Err(why) => {
            let (code, error) = match why {
                Why::Timeout => (outcome::TIMEOUT, "the action's time-out is over"),
                Why::LeaseLost => (outcome::LEASE_LOST, LEASE_LOST),
                _ => (outcome::STOPPED, "it was stopped"),
            };
            work.told.failed(code, error.to_owned());
            work.told.stopped_by = Some(why);
            if why != Why::LeaseLost {
                work.end().await;
            }
        }
    }
    work.leave_host().await;
    let mut told = work.told;
    told.elapsed_ms = boot_ms().saturating_sub(began_ms);
    told
}

struct Work<'d> {
    doing: &'d Doing,
    target: Target,
    told: OnHost,
    used: Option<Used>,
    /// What goes on at the moment.
    exchange: Option<Exchange>,
    /// Whether that is a command, which may be told to end. Anything else would take that for a part of a file.
    is_command: bool,
}

impl Work<'_> {
    async fn in_time(&mut self) -> Result<(), Failed> {
        let Some(timeout_ms) = self.doing.call.host_timeout_ms else { return self.steps().await };
        let over = |_| Err(Failed::new(outcome::HOST_TIMEOUT, format!("not done within {timeout_ms} ms")));
        tokio::time::timeout(Duration::from_millis(timeout_ms), self.steps()).await.unwrap_or_else(over)
    }

    async fn steps(&mut self) -> Result<(), Failed> {
        let doing = self.doing;
        for (upload, bytes) in doing.call.uploads.iter().zip(&doing.uploads) {
            self.put(&number()?, "", &upload.to, &upload.mode, bytes).await?;
        }
        if let Some(run) = &doing.call.run {
            let number = number()?;
            if let Run::Script { file, .. } = run {
                let to = script_path(&number, file);
                self.put(&number, &script_directory(&number), &to, "700", &doing.script).await?;
            }
            self.run(&number, run).await?;
        }
        for from in &doing.call.downloads {
            self.get(from).await?;
        }
        Ok(())
    }

    async fn run(&mut self, number: &str, run: &Run) -> Result<(), Failed> {
        let call = &self.doing.call;
        let job = Job { number, cwd: call.cwd.as_deref(), env: &call.env, run };
        let clock = self.ready(&job.line(), number, self.doing.bytes_max).await?;
        let mut held = self.doing.held.clone();
        self.is_command = true;
        let telling = self.doing.telling.host(&self.target.name);
        self.exchange()?.tell(telling);
        self.go(clock, &mut held).await?;
        match self.exchange()?.hear().await {
            Ok(Said::Run) => {}
            Ok(Said::No(_)) => {
                self.told.begun = self.told.has_written;
                return Err(Failed::new(outcome::LEASE_LOST, "the lease had passed before it could begin"));
            }
            Ok(_) | Err(_) => return Err(unknown("nothing is known of the command")),
        }
        let deadline = self.watch(clock, &mut held).await?;
        let exchange = self.exchange()?;
        let (code, stdout, stderr) = (exchange.code, exchange.stdout.clone(), exchange.stderr.clone());
        if code.is_some() {
            exchange.told();
        }
        (self.told.return_code, self.told.stdout, self.told.stderr) = (code, stdout, stderr);
        self.done().await;
        match code {
            Some(0) => Ok(()),
            // By its own clock it is a second further than it may be here.
            Some(KILLED) if boot_ms().saturating_add(1_000) >= clock.instant_ms(deadline) => {
                self.told.is_ended = true;
                self.told.stopped_by = Some(Why::LeaseLost);
                Err(Failed::new(outcome::LEASE_LOST, LEASE_LOST))
            }
            Some(code) => Err(Failed::new(outcome::EXIT_CODE, format!("it ended with the exit code {code}"))),
            None => Err(unknown("the connection ended before the command did")),
        }
    }

    /// Takes in what a command writes, and tells it of each lease. Gives the last second of its clock that it was told.
    async fn watch(&mut self, clock: HostClock, held: &mut watch::Receiver<Holding>) -> Result<u64, Failed> {
        let mut told = clock.at(held.borrow_and_update().lease_deadline_ms());
        let exchange = self.exchange()?;
        while exchange.code.is_none() && !exchange.is_over() {
            tokio::select! {
                () = exchange.next() => {}
                changed = held.changed() => {
                    if changed.is_err() {
                        // The worker is gone, and with it the work.
                        std::future::pending::<()>().await;
                    }
                    let deadline = clock.at(held.borrow_and_update().lease_deadline_ms());
                    if deadline > told {
                        told = deadline;
                        exchange.say(format!("keep {deadline}\n")).await.map_err(|_| {
                            unknown("the connection ended before the command did")
                        })?;
                    }
                }
            }
        }
        let rest = async {
            while !exchange.is_over() {
                exchange.next().await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(LINGER_MS), rest).await;
        Ok(told)
    }

    async fn put(&mut self, number: &str, directory: &str, to: &str, mode: &str, bytes: &Bytes) -> Result<(), Failed> {
        let line = put(number, directory, to, mode, bytes.len());
        let clock = self.ready(&line, number, 0).await?;
        let mut held = self.doing.held.clone();
        self.go(clock, &mut held).await?;
        let exchange = self.exchange()?;
        let sent = send(exchange, bytes).await;
        // Where it was not taken, the host may have said why.
        let said = match (exchange.hear().await, sent) {
            (Ok(said), _) => Ok(said),
            (Err(_), Err(lost)) | (Err(lost), Ok(())) => Err(lost),
        };
        match said {
            Ok(Said::Done) => {
                // A script that is there has done nothing yet.
                self.told.has_written |= directory.is_empty();
                self.told.begun = self.told.has_written;
                self.done().await;
                Ok(())
            }
            Ok(Said::No(why)) => {
                self.told.begun = self.told.has_written;
                Err(Failed::new(outcome::FILE, format!("{to} cannot be written: {}", reason(&why))))
            }
            Ok(_) => Err(unknown(&format!("nothing is known of {to}"))),
            Err(lost) => Err(unknown(&format!("nothing is known of {to}: {}", lost.why))),
        }
    }

    async fn get(&mut self, from: &str) -> Result<(), Failed> {
        let (number, bytes_max) = (number()?, self.doing.bytes_max);
        let failed = |why: &str| Failed::new(outcome::FILE, format!("{from} cannot be read: {why}"));
        let bytes = match self.open(&get(&number, from, bytes_max), &number, bytes_max).await? {
            Said::Size(bytes) => bytes,
            Said::No(why) => return Err(failed(reason(&why))),
            _ => return Err(failed("the host says something odd")),
        };
        let exchange = self.exchange()?;
        while !exchange.is_over() {
            exchange.next().await;
        }
        let content = std::mem::take(&mut exchange.stdout);
        // It may have grown since.
        let is_whole = exchange.code == Some(0) && (content.bytes.len() as u64) >= bytes.min(bytes_max as u64);
        self.done().await;
        if !is_whole {
            return Err(failed("it ended in the middle"));
        }
        let truncated = content.truncated || bytes > content.bytes.len() as u64;
        let content = Stream { truncated, ..Stream::whole(content.bytes) };
        self.told.files.push(FileRead { path: from.to_owned(), bytes, content });
        Ok(())
    }

    /// Begins a program, and waits until the host is ready for it. Nothing has been done by then.
    async fn ready(&mut self, line: &str, number: &str, bytes_max: usize) -> Result<HostClock, Failed> {
        match self.open(line, number, bytes_max).await? {
            Said::Up(up_s) => Ok(HostClock { up_s, at_ms: boot_ms() }),
            Said::No(why) => {
                let why = match why.as_str() {
                    "directory" => format!("there is no directory {}", self.doing.call.cwd.as_deref().unwrap_or("")),
                    "program" => match &self.doing.call.run {
                        Some(Run::Command(argv)) => {
                            format!("there is no program {}", argv.first().map_or("", String::as_str))
                        }
                        _ => "its script is not there".to_owned(),
                    },
                    other => reason(other).to_owned(),
                };
                Err(Failed::new(outcome::NOT_STARTED, why))
            }
            _ => Err(Failed::new(outcome::NOT_STARTED, "the host says something odd")),
        }
    }

    /// Lets it begin. From now on it may have been done.
    async fn go(&mut self, clock: HostClock, held: &mut watch::Receiver<Holding>) -> Result<(), Failed> {
        let deadline = clock.at(held.borrow_and_update().lease_deadline_ms());
        self.told.begun = true;
        self.exchange()?.say(format!("go {deadline}\n")).await.map_err(|lost| unknown(&lost.why))
    }

    /// Begins a program and hears what the host says first. A connection that was kept may be dead: nothing has been
    /// done then, and another one is made.
    async fn open(&mut self, line: &str, number: &str, bytes_max: usize) -> Result<Said, Failed> {
        loop {
            let used = match self.used.take() {
                Some(used) => used,
                None => self.connection().await?,
            };
            let is_old = used.is_old;
            let used = self.used.insert(used);
            let command = wire::command(self.doing.call.sudo.as_deref());
            let began = Exchange::begin(&used.connection, &command, number, bytes_max).await;
            let said = match began {
                Ok(exchange) => {
                    let exchange = self.exchange.insert(exchange);
                    match exchange.say(line.to_owned()).await {
                        Ok(()) => exchange.hear().await,
                        // It says why, where it is sudo that ended it.
                        Err(lost) => exchange.hear().await.or(Err(lost)),
                    }
                }
                Err(lost) => Err(lost),
            };
            match said {
                Ok(said) => {
                    used.is_old = false;
                    return Ok(said);
                }
                Err(lost) if is_old && lost.is_gone => {
                    self.exchange = None;
                    self.used = None;
                }
                Err(lost) => {
                    let code = if lost.is_gone { outcome::NOT_REACHED } else { outcome::NOT_STARTED };
                    return Err(Failed::new(code, lost.why));
                }
            }
        }
    }

    /// One that is kept, or a new one.
    async fn connection(&mut self) -> Result<Used, Failed> {
        let Doing { call, known_hosts, connector, pool, .. } = self.doing;
        let way = Way {
            target: self.target.clone(),
            auth: call.auth.clone(),
            via: call.via.clone(),
            known_hosts: known_hosts.clone(),
            first_use: call.first_use,
        };
        if let Some(used) = pool.take(&way) {
            return Ok(used);
        }
        let limit = Duration::from_millis(call.connect_timeout_ms);
        let connected = tokio::time::timeout(limit, connector.connect(&way)).await.unwrap_or_else(|_| {
            Err(NotConnected::NotReached(format!("not connected within {} ms", call.connect_timeout_ms)))
        });
        match connected {
            Ok(connection) => Ok(Used::new(way, connection)),
            Err(NotConnected::NotReached(why)) => Err(Failed::new(outcome::NOT_REACHED, why)),
            Err(NotConnected::HostKey(why)) => Err(Failed::new(outcome::HOST_KEY, why)),
            Err(NotConnected::Auth(why)) => Err(Failed::new(outcome::AUTH, why)),
            Err(NotConnected::Unusable(why)) => Err(Failed::new(outcome::NOT_STARTED, why)),
            Err(NotConnected::Lacking(why)) => Err(Failed::new(outcome::LACKING, why)),
        }
    }

    fn exchange(&mut self) -> Result<&mut Exchange, Failed> {
        self.exchange.as_mut().ok_or_else(|| unknown("nothing goes on"))
    }

    /// What went on has ended well.
    async fn done(&mut self) {
        self.is_command = false;
        if let Some(exchange) = self.exchange.take() {
            exchange.close().await;
        }
    }

    /// Ends what runs, and waits for it for as long as it may take.
    async fn end(&mut self) {
        let grace_s = self.doing.kill_grace_ms.div_ceil(1_000);
        let Some(exchange) = self.exchange.as_mut().filter(|_| self.is_command) else { return };
        let limit_ms = grace_s * 1_000 + CONFIRM_MS;
        let ending = async {
            exchange.say(format!("term {grace_s}\n")).await?;
            while !exchange.is_over() && exchange.code.is_none() {
                exchange.next().await;
            }
            Ok::<(), Lost>(())
        };
        // It ends by itself when the lease passes, and is nothing to wait for from then on.
        let left_ms = self.doing.held.borrow().lease_deadline_ms().saturating_sub(boot_ms());
        let _ = tokio::time::timeout(Duration::from_millis(limit_ms.min(left_ms)), ending).await;
        self.told.is_ended = exchange.code.is_some();
        self.told.stdout = exchange.stdout.clone();
        self.told.stderr = exchange.stderr.clone();
    }

    /// Keeps the connection for others where nothing goes on any more, else closes it.
    async fn leave_host(&mut self) {
        let was_busy = self.exchange.is_some();
        if let Some(exchange) = self.exchange.take() {
            if self.told.stdout.bytes.is_empty() && self.told.stderr.bytes.is_empty() {
                (self.told.stdout, self.told.stderr) = (exchange.stdout.clone(), exchange.stderr.clone());
            }
            exchange.close().await;
        }
        match self.used.take() {
            Some(used) if !was_busy => self.doing.pool.give_back(used),
            Some(used) => used.connection.close().await,
            None => {}
        }
    }
}

/// Sends what a file holds, piece by piece.
async fn send(exchange: &mut Exchange, bytes: &Bytes) -> Result<(), Lost> {
    for at in (0..bytes.len()).step_by(CHUNK_BYTES) {
        exchange.say(bytes.slice(at..bytes.len().min(at + CHUNK_BYTES))).await?;
    }
    exchange.end_of_input().await
}

fn unknown(why: &str) -> Failed {
    Failed::new(outcome::UNKNOWN, format!("it may have been carried out: {why}"))
}

/// What a host says in a word.
fn reason(word: &str) -> &str {
    match word {
        "directory" => "there is no such directory, or nothing can be made in it",
        "file" => "there is no such file, or it is something else",
        "space" => "there is no room for it",
        "whole" => "it did not arrive as a whole",
        "mode" => "its mode cannot be set",
        "lease" => "the lease had passed",
        other => other,
    }
}

/// Where the files of a pack are.
pub(super) fn in_pack(pack: Option<&std::path::Path>, path: &str) -> Result<PathBuf, String> {
    pack.map(|pack| pack.join(path)).ok_or_else(|| "its pack is not laid out".to_owned())
}
