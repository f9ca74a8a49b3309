//! Interpreters with what packs require: a virtual environment for each content, made once and shared.
//!
//! ```text
//! <directory>/<hash>/            a virtual environment
//! <directory>/<hash>/.complete   it is whole; when it was used last
//! <directory>/<hash>.lock        held by whoever makes it, and shared by whoever uses it
//! ```
//!
//! An environment knows its own path, so that it cannot be made elsewhere and moved: it is made in its place, and counts
//! only once `.complete` is there, which is written last. What a crash has left half made is made anew. How it is made is
//! in `steps`.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, FileTimes, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use nix::libc::O_NOFOLLOW;
use petrel_execution::code;
use petrel_execution::runner::{
    PythonCall, REQUIREMENTS, builds_requirement, depends_on_files, refused_requirement, requirement_file,
};
use petrel_execution::worker::{Exit, Holding, Why};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::super::RunnerOptions;
use super::super::limited::{Leave, limited};
use super::super::process::{self, Processes};
use super::PythonOptions;
use super::steps::Steps;
use crate::supervise::{Confinement, boot_ms};

/// Says that an environment is whole.
const COMPLETE: &str = ".complete";
/// Between two tries for a lock that another process holds.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// How long an attempt waits for an environment that another one makes, in milliseconds: then others have its slot.
const WAIT_MS_MAX: u64 = 5_000;
/// How long a half of an environment stands that nobody makes whole.
const HALF_AGE_MAX: Duration = Duration::from_secs(86_400);
/// Others than the worker's user go through the folder of environments, and see nothing of it.
const PASSAGE: u32 = 0o711;
/// Nobody else may open a lock: whoever can holds it for as long as they like.
const OWN_FILE: u32 = 0o600;

/// The environments of this machine.
#[derive(Debug)]
pub(super) struct Environments {
    options: PythonOptions,
    /// Those that this process makes, or could not make.
    making: Mutex<HashMap<String, Arc<Making>>>,
}

/// One at a time makes an environment, the others wait for it.
type Making = tokio::sync::Mutex<Option<Failure>>;

/// Why an environment could not be made.
#[derive(Debug, Clone)]
struct Failure {
    /// In milliseconds of `CLOCK_BOOTTIME`.
    at_ms: u64,
    error: String,
}

/// An environment that stays for as long as this lives.
#[derive(Debug)]
pub(super) struct InUse {
    /// The program.
    pub(super) interpreter: PathBuf,
    /// The environment's folder; none for the interpreter as it is.
    folder: Option<PathBuf>,
    _lock: Option<File>,
}

/// What an environment is made of.
pub(super) struct Wanted {
    pub(super) interpreter: PathBuf,
    pub(super) requirements: String,
    hash: String,
}

/// Who may go on with an environment.
enum Claim {
    Whole(InUse),
    /// It is to be made by who holds this lock.
    Mine(File),
    /// Another process makes it.
    Busy,
}

impl InUse {
    /// The folder that it stands in, if it is no interpreter as it is.
    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// What a process finds that runs in it.
    pub(super) fn variables(&self, options: &RunnerOptions) -> BTreeMap<String, String> {
        let Some(folder) = &self.folder else { return BTreeMap::new() };
        let bin = folder.join("bin").to_string_lossy().into_owned();
        let path = path_of(options).map_or(bin.clone(), |path| format!("{bin}:{path}"));
        let variables = [("PATH", path), ("VIRTUAL_ENV", folder.to_string_lossy().into_owned())];
        variables.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

impl Environments {
    pub(super) fn new(options: PythonOptions) -> Self {
        // Processes are started from other working directories than this process's.
        let directory = std::path::absolute(&options.directory).unwrap_or(options.directory);
        Self { options: PythonOptions { directory, ..options }, making: Mutex::default() }
    }

    /// The environment of a call that is held to this, which is made if it is not there. Whatever is run for that is held
    /// to it as well, and ends with the attempt.
    pub(super) async fn get(
        &self,
        call: &PythonCall,
        pack: &Path,
        confinement: &Confinement,
        processes: Processes<'_>,
        held: &watch::Receiver<Holding>,
    ) -> Result<InUse, Exit> {
        // A waiting attempt makes nothing, and keeps a slot from what could be done in it.
        let mut leave = Leave::new(held.clone(), WAIT_MS_MAX);
        let not_waited = |why| match why {
            Why::Timeout => process::lacking("its environment is being made".to_owned()),
            _ => process::lacking("it ended before it had begun".to_owned()),
        };
        let wanted = {
            let (call, pack, options) =
                (call.clone(), pack.to_owned(), (self.options.clone(), processes.options.clone()));
            let is_held = is_held(confinement);
            let wanted = beside(move || wanted(&call, &pack, &options.0, &options.1, is_held));
            let wanted = limited(leave.clone(), wanted).await.map_err(not_waited)?;
            wanted?.map_err(|error| Exit::bare(Why::NotStarted(code::ENVIRONMENT_UNUSABLE), Some(error)))?
        };
        if wanted.requirements.is_empty() {
            return Ok(InUse { interpreter: wanted.interpreter, folder: None, _lock: None });
        }
        let making = {
            let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            making.entry(wanted.hash.clone()).or_default().clone()
        };
        let mut failure = limited(leave.clone(), making.lock()).await.map_err(not_waited)?;
        if let Some(failure) = failure.as_ref().filter(|failure| self.is_fresh(failure)) {
            return Err(failed(format!("{} (it is tried again after a while)", failure.error)));
        }
        loop {
            let lock = match limited(leave.clone(), self.claim(&wanted.hash)).await.map_err(not_waited)?? {
                Claim::Whole(in_use) => return Ok(in_use),
                Claim::Mine(lock) => lock,
                Claim::Busy => continue,
            };
            let steps = Steps::new(&self.options, confinement, pack, processes, held);
            let made = self.make(&wanted, &steps).await;
            *failure = match &made {
                Err(Exit { why: Why::Failed { .. }, error: Some(error), .. }) => {
                    Some(Failure { at_ms: boot_ms(), error: error.clone() })
                }
                _ => None,
            };
            drop(lock);
            made?;
            // It did not wait meanwhile.
            leave = Leave::new(held.clone(), WAIT_MS_MAX);
        }
    }

    /// Writes a text into a file whose name says what is in it; where it is.
    pub(super) fn write_once(folder: &Path, stem: &str, suffix: &str, text: &str) -> io::Result<PathBuf> {
        let path = folder.join(format!("{stem}-{}.{suffix}", hash_of(&[text])));
        if !path.is_file() {
            make_folder(folder)?;
            write_whole(&path, text)?;
        }
        Ok(path)
    }

    /// Where all of them are.
    pub(super) fn directory(&self) -> &Path {
        &self.options.directory
    }

    fn is_fresh(&self, failure: &Failure) -> bool {
        boot_ms() < failure.at_ms.saturating_add(self.options.build_retry_ms)
    }

    async fn claim(&self, hash: &str) -> Result<Claim, Exit> {
        let (directory, hash) = (self.options.directory.clone(), hash.to_owned());
        let claim = beside(move || claim(&directory, &hash)).await?.map_err(|error| no_room(&error))?;
        if let Claim::Busy = claim {
            tokio::time::sleep(LOCK_PAUSE).await;
        }
        Ok(claim)
    }

    /// Makes an environment in its place, whose lock is held: whole or not at all. It is not given up before what makes it
    /// has ended, which ends with the attempt.
    async fn make(&self, wanted: &Wanted, steps: &Steps<'_>) -> Result<(), Exit> {
        let folder = self.options.directory.join(&wanted.hash);
        let emptied = folder.clone();
        beside(move || remove_all(&emptied)).await?.map_err(|error| no_room(&error))?;
        if let Err(exit) = steps.make(wanted, &folder).await {
            // Half of it is of no use; what cannot be removed now is so later.
            let _ = beside(move || remove_all(&folder)).await;
            return Err(exit);
        }
        let complete = folder.join(COMPLETE);
        beside(move || write_whole(&complete, "")).await?.map_err(|error| no_room(&error))?;
        let (options, but) = (self.options.clone(), wanted.hash.clone());
        tokio::task::spawn_blocking(move || remove_unused(&options, &but));
        Ok(())
    }
}

/// Does work on files away from the threads that keep the leases of attempts.
pub(super) async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Exit> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| process::lacking("what makes its environment ready panicked".to_owned()))
}

/// Whether a call is held to anything: then nothing of its pack is run while its environment is made.
pub(super) fn is_held(confinement: &Confinement) -> bool {
    confinement.files.is_some() || confinement.no_network
}

fn wanted(
    call: &PythonCall,
    pack: &Path,
    python: &PythonOptions,
    options: &RunnerOptions,
    is_held: bool,
) -> Result<Wanted, String> {
    let interpreter = find(&call.interpreter, options)?;
    let text = match &call.requirements {
        Some(lines) => lines.join("\n"),
        None => match fs::read_to_string(pack.join(REQUIREMENTS)) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return Err(format!("{REQUIREMENTS} cannot be read: {e}")),
        },
    };
    if let Some(why) = text.lines().find_map(refused_requirement) {
        return Err(format!("a requirement is refused: {why}"));
    }
    let is_folder = |line: &str| {
        let name = requirement_file(line)?;
        pack.join(name.strip_prefix("file://").unwrap_or(name)).is_dir().then(|| format!("{name:?} is a folder"))
    };
    let built = |line: &str| builds_requirement(line).or_else(|| is_folder(line));
    if let Some(why) = text.lines().find_map(built).filter(|_| is_held) {
        return Err(format!(
            "a requirement is refused, for an action that is confined is given nothing but wheels: {why}"
        ));
    }
    let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let requirements = text.lines().filter(is_said).collect::<Vec<_>>().join("\n");
    let real = fs::canonicalize(&interpreter).unwrap_or_else(|_| interpreter.clone());
    // What was installed for one version is not what another one reads that stands in its place.
    let version = fs::metadata(&real).map(|found| format!("{} {}", found.len(), found.mtime())).unwrap_or_default();
    let files = if depends_on_files(&requirements) { pack.to_string_lossy() } else { "".into() };
    let index = python.index_url.as_deref().unwrap_or_default();
    let links = python.find_links.join("\n");
    let held = if is_held { "held" } else { "" };
    let hash = hash_of(&[&real.to_string_lossy(), &version, &requirements, index, &links, &files, held]);
    Ok(Wanted { interpreter, requirements, hash })
}

fn claim(directory: &Path, hash: &str) -> io::Result<Claim> {
    make_folder(directory)?;
    let folder = directory.join(hash);
    let complete = folder.join(COMPLETE);
    let shared = lock(directory, hash)?;
    if shared.try_lock_shared().is_ok() {
        match touch(&complete) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // One that cannot be dated is used all the same.
            _ => {
                return Ok(Claim::Whole(InUse {
                    interpreter: folder.join("bin/python"),
                    folder: Some(folder),
                    _lock: Some(shared),
                }));
            }
        }
    }
    drop(shared);
    let own = lock(directory, hash)?;
    match own.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(Claim::Busy),
        Err(TryLockError::Error(error)) => Err(error),
        // It has come to be meanwhile, and is used in the next round.
        Ok(()) if complete.exists() => Ok(Claim::Busy),
        Ok(()) => Ok(Claim::Mine(own)),
    }
}

fn lock(directory: &Path, hash: &str) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true).mode(OWN_FILE).custom_flags(O_NOFOLLOW);
    options.open(directory.join(format!("{hash}.lock")))
}

fn make_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(PASSAGE).create(path)
}

/// Removes environments that nobody has used for long, and what was left half made; but not this one.
fn remove_unused(options: &PythonOptions, but: &str) {
    #[expect(clippy::disallowed_methods, reason = "ages of files are measured by the clock that dates them")]
    let now = SystemTime::now();
    let age_max = Duration::from_secs(u64::from(options.environment_days_max) * 86_400);
    for entry in fs::read_dir(&options.directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == but || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let dated = |path: PathBuf| fs::metadata(path).and_then(|found| found.modified());
        let is_over =
            |at: io::Result<SystemTime>, most| at.is_ok_and(|at| now.duration_since(at).is_ok_and(|age| age > most));
        let complete = entry.path().join(COMPLETE);
        let is_old = match dated(complete) {
            Err(error) if error.kind() == ErrorKind::NotFound => is_over(dated(entry.path()), HALF_AGE_MAX),
            used => is_over(used, age_max),
        };
        if !is_old {
            continue;
        }
        let Ok(lock) = lock(&options.directory, &name) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        // Without that file, what a crash leaves of the rest is made anew.
        let _ = fs::remove_file(entry.path().join(COMPLETE));
        if let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::warn!(environment = name, %error, "a Python environment that nobody uses cannot be removed");
        }
    }
}

pub(super) fn failed(error: String) -> Exit {
    Exit::bare(Why::Failed { code: code::ENVIRONMENT_UNUSABLE, retriable: true }, Some(error))
}

pub(super) fn no_room(error: &io::Error) -> Exit {
    process::lacking(format!("there is no room for its environment: {error}"))
}

fn remove_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Dates a file now.
fn touch(path: &Path) -> io::Result<()> {
    #[expect(clippy::disallowed_methods, reason = "ages of files are measured by the clock that dates them")]
    let now = SystemTime::now();
    File::options().write(true).open(path)?.set_times(FileTimes::new().set_modified(now))
}

/// A file that is there is whole, whoever else writes it.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    loop {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed)));
        let unfinished = path.with_file_name(name);
        // Two workers in containers may have the same number.
        let mut file = match File::create_new(&unfinished) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            created => created?,
        };
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        return fs::rename(unfinished, path);
    }
}

/// The programs of an environment, the first of a list, before those of another one.
pub(super) fn first_of(programs: &str, path: &str) -> String {
    let own = programs.split(':').next().unwrap_or_default();
    match path == programs {
        true => path.to_owned(),
        false => format!("{own}:{path}"),
    }
}

/// `PATH` as an action finds it.
fn path_of(options: &RunnerOptions) -> Option<String> {
    let inherited =
        || options.inherited_variables.iter().any(|name| name == "PATH").then(|| std::env::var("PATH").ok());
    options.environment.get("PATH").cloned().or_else(|| inherited().flatten())
}

/// A program by its name, as an action would find it, or by its path.
pub(super) fn find(name: &str, options: &RunnerOptions) -> Result<PathBuf, String> {
    use std::os::unix::fs::PermissionsExt;
    let is_program =
        |path: &Path| fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    if name.starts_with('/') {
        let path = PathBuf::from(name);
        return if is_program(&path) { Ok(path) } else { Err(format!("there is no interpreter {name}")) };
    }
    let path = path_of(options).unwrap_or_default();
    let found = path.split(':').filter(|folder| folder.starts_with('/')).map(|folder| Path::new(folder).join(name));
    found.into_iter().find(|path| is_program(path)).ok_or_else(|| format!("there is no {name} in PATH"))
}

/// Of texts whose bounds count.
fn hash_of(parts: &[&str]) -> String {
    use std::fmt::Write;
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize()[..16].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
