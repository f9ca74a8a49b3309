//! The holder of a container: a process of this program under a guard, as any other action's. It is told what to make as
//! its standard input, passes on what the container writes as its own output, and tells how it ended on a descriptor beside.
//!
//! Its guard ends it by SIGTERM, which the container gets in its place, and SIGKILL when the grace is over. Whatever it
//! leaves its guard ends.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ExitCode, exit};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::spawn;

use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{SigSet, Signal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::api::{ApiError, Daemon, Registry};
use super::{EXECUTION_LABEL, TOKEN_LABEL, end};
use crate::supervise::pause;

/// The argument that makes a supervisor's program a holder.
pub const HOLDER: &str = "container";
/// The descriptor on which it tells how its container ended.
pub const TOLD_FD: i32 = 3;
/// Exit code of a holder that has asked for no container.
pub const NOTHING_MADE: u8 = 3;
/// Bytes before each piece of output: which stream it is of, and how long it is.
const PIECE_HEAD_BYTES: usize = 8;
/// Number of standard error among the streams of a container.
const STDERR: u8 = 2;

/// What a holder is to do: a line of JSON; behind it stands what the container reads.
#[derive(Serialize, Deserialize)]
pub struct Wanted {
    /// Socket of the daemon.
    pub socket: PathBuf,
    /// Name of the container.
    pub name: String,
    /// Execution whose earlier containers are to be ended before.
    pub execution_id: String,
    /// The attempt's fencing token: a container with a greater one is not to be ended, and nothing is started beside it.
    pub token: i64,
    /// The image's name at the daemon.
    pub image: String,
    /// Registry and name, and version, to fetch it by; none if it must be there.
    pub pull: Option<(String, String)>,
    /// Whether it is fetched although it is there.
    pub pulls_always: bool,
    /// Credentials for that.
    pub registry: Option<Registry>,
    /// The container, as the daemon wants it.
    pub container: Value,
    /// Whether what the daemon warns of means that it is not what it was asked for.
    pub is_limited: bool,
    /// Whether it reads.
    pub reads: bool,
    /// From SIGTERM to SIGKILL, in milliseconds.
    pub kill_grace_ms: u64,
}

/// What a holder tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// The container ended.
    Ended {
        /// Its exit code.
        exit_code: i32,
        /// Whether the kernel ended something of it for want of memory.
        lacked_memory: bool,
    },
    /// It was never started, for want of something that another worker may have, or this one later.
    NotBegun(String),
    /// Its image is not there.
    NoImage(String),
    /// It cannot be started.
    NotStarted(String),
    /// It may have run; nobody knows how it ended.
    Lost(String),
}

/// How far it is.
enum Stage {
    /// Nothing of it has run.
    Before,
    /// The container of that id was started.
    Running(String),
}

struct Holder {
    daemon: Daemon,
    wanted: Wanted,
    stage: Mutex<Stage>,
    /// Whether the daemon may have a container by now.
    is_made: AtomicBool,
    told: Mutex<Option<File>>,
}

/// What a holder does from its start to its end. To be called with no other thread running.
pub fn main() -> ExitCode {
    // It is opened anew by its path, which a process may that is dumpable.
    let told = File::options().write(true).open(format!("/proc/self/fd/{TOLD_FD}"));
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    let is_set = set_dumpable(false).and_then(|()| signals.thread_block());
    let (Ok(told), Ok(()), Ok((wanted, stdin))) = (told, is_set, read_wanted()) else { return ExitCode::FAILURE };
    let daemon = Daemon::new(&wanted.socket);
    let (stage, is_made, told) = (Mutex::new(Stage::Before), AtomicBool::new(false), Mutex::new(Some(told)));
    let holder = Arc::new(Holder { daemon, wanted, stage, is_made, told });
    let ended = holder.clone();
    spawn(move || {
        if signals.wait().is_ok() {
            ended.end();
        }
    });
    let told = holder.carry_out(stdin).unwrap_or_else(|told| told);
    holder.tell(&told);
    ExitCode::from(holder.exit_code())
}

fn read_wanted() -> io::Result<(Wanted, Vec<u8>)> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    let wanted = serde_json::from_slice(&line)?;
    let mut stdin = Vec::new();
    input.read_to_end(&mut stdin)?;
    Ok((wanted, stdin))
}

impl Holder {
    /// Makes and starts the container, and waits for its end.
    fn carry_out(&self, stdin: Vec<u8>) -> Result<Told, Told> {
        self.end_earlier()?;
        self.fetch()?;
        let id = self.create()?;
        let stream = self.daemon.attach(&id, self.wanted.reads).map_err(not_begun)?;
        if self.wanted.reads {
            let input = stream.get_ref().try_clone().map_err(|error| Told::NotBegun(error.to_string()))?;
            spawn(move || feed(input, &stdin));
        }
        self.start(&id)?;
        let passed = pass_on(stream);
        let exit_code = self.daemon.wait(&id).map_err(lost)?;
        passed.map_err(|error| Told::Lost(format!("what the container wrote came to no end: {error}")))?;
        let lacked_memory = self.daemon.lacked_memory(&id).map_err(lost)?;
        Ok(Told::Ended { exit_code, lacked_memory })
    }

    /// Ends what earlier attempts of the execution have left. An attempt begins only when the lease of the one before it is
    /// over.
    fn end_earlier(&self) -> Result<(), Told> {
        for other in self.daemon.labelled(EXECUTION_LABEL, &self.wanted.execution_id).map_err(not_begun)? {
            let token = other.labels.get(TOKEN_LABEL).and_then(|token| token.parse::<i64>().ok());
            if token.is_some_and(|token| token > self.wanted.token) {
                return Err(Told::NotBegun("a later attempt has a container already".to_owned()));
            }
            end::end(&self.wanted.socket, &other.id, 1).map_err(Told::NotBegun)?;
        }
        Ok(())
    }

    fn fetch(&self) -> Result<(), Told> {
        let Wanted { image, pull, pulls_always, registry, .. } = &self.wanted;
        if !pulls_always && self.daemon.has_image(image).map_err(not_begun)? {
            return Ok(());
        }
        let Some((name, version)) = pull else {
            return Err(Told::NoImage(format!("the image {image} is not there, and is not to be fetched")));
        };
        self.daemon.pull(name, version, registry.as_ref()).map_err(|error| match error {
            ApiError::Away { .. } => not_begun(error),
            _ => Told::NoImage(format!("the image {image} cannot be fetched: {error}")),
        })
    }

    fn create(&self) -> Result<String, Told> {
        self.is_made.store(true, Ordering::SeqCst);
        let (id, warnings) = self.daemon.create(&self.wanted.name, &self.wanted.container).map_err(|error| {
            self.is_made.store(matches!(error, ApiError::Broken(_)), Ordering::SeqCst);
            let text = error.to_string();
            match error {
                ApiError::Refused { status: 404, .. } if text.contains("image") => Told::NoImage(text),
                _ => not_started(error),
            }
        })?;
        match warnings.first() {
            Some(warning) if self.wanted.is_limited => {
                Err(Told::NotStarted(format!("the machine of the daemon cannot keep its limits: {warning}")))
            }
            _ => Ok(id),
        }
    }

    /// Starts it, unless it is to end by now.
    fn start(&self, id: &str) -> Result<(), Told> {
        let mut stage = self.stage();
        match self.daemon.start(id) {
            Ok(()) => {
                *stage = Stage::Running(id.to_owned());
                Ok(())
            }
            // It may be about to run.
            Err(error @ ApiError::Broken(_)) => Err(lost(error)),
            Err(error) => Err(not_started(error)),
        }
    }

    /// Ends the container, or this process if it has started none.
    fn end(&self) {
        let stage = self.stage();
        let Stage::Running(id) = &*stage else {
            self.tell(&Told::NotBegun("it was ended before its container was started".to_owned()));
            // With the lock, so that nothing is started any more.
            exit(i32::from(self.exit_code()));
        };
        let id = id.clone();
        drop(stage);
        // Who has ended by now cannot be signalled, and if the daemon is away, the guard does the rest.
        let _ = self.daemon.signal(&id, "SIGTERM");
        pause(self.wanted.kill_grace_ms);
        let _ = self.daemon.signal(&id, "SIGKILL");
    }

    fn exit_code(&self) -> u8 {
        if self.is_made.load(Ordering::SeqCst) { 0 } else { NOTHING_MADE }
    }

    /// Tells how it ended; the first time counts.
    fn tell(&self, told: &Told) {
        let file = self.told.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(mut file), Ok(text)) = (file, serde_json::to_vec(told)) {
            // A guard that is gone reads nothing any more.
            let _ = file.write_all(&text);
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_begun(error: ApiError) -> Told {
    Told::NotBegun(error.to_string())
}

fn lost(error: ApiError) -> Told {
    Told::Lost(error.to_string())
}

/// What the daemon refuses it refuses for the action's sake, unless it says that it is not there.
fn not_started(error: ApiError) -> Told {
    match error {
        ApiError::Refused { status: 503, .. } | ApiError::Away { .. } | ApiError::Broken(_) => not_begun(error),
        ApiError::Refused { .. } => Told::NotStarted(error.to_string()),
    }
}

/// Writes what the container reads. It may read it slowly, in part, or not at all.
fn feed(mut stream: UnixStream, stdin: &[u8]) {
    let _ = stream.write_all(stdin);
    let _ = stream.shutdown(Shutdown::Write);
}

/// Passes on what the container writes, until it ends.
fn pass_on(mut stream: BufReader<UnixStream>) -> io::Result<()> {
    let (mut stdout, mut stderr) = (io::stdout().lock(), io::stderr().lock());
    loop {
        if stream.fill_buf()?.is_empty() {
            return Ok(());
        }
        let mut head = [0; PIECE_HEAD_BYTES];
        stream.read_exact(&mut head)?;
        let [kind, _, _, _, length @ ..] = head;
        let length = u64::from(u32::from_be_bytes(length));
        let mut piece = stream.by_ref().take(length);
        let passed = if kind == STDERR { io::copy(&mut piece, &mut stderr) } else { io::copy(&mut piece, &mut stdout) };
        if passed? < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        stdout.flush()?;
    }
}
