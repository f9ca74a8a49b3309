//! Interpreters with what packs require: a virtual environment for each content, made once and shared.
//!
//! ```text
//! <directory>/<hash>/            a virtual environment
//! <directory>/<hash>/.complete   it is whole; when it was used last
//! <directory>/<hash>.lock        held by whoever makes it, and shared by whoever uses it
//! ```
//!
//! An environment knows its own path, so that it cannot be made elsewhere and moved: it is made in its place, and counts
//! only once `.complete` is there, which is written last. What a crash has left half made is made anew.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, FileTimes, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use petrel_execution::code;
use petrel_execution::runner::{Limits, May, PythonCall, REQUIREMENTS, depends_on_files, refused_requirement};
use petrel_execution::worker::{Exit, Holding, Why};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::super::RunnerOptions;
use super::super::limited::{Leave, limited};
use super::super::process::{self, Command, Processes};
use super::PythonOptions;
use crate::supervise::{Confinement, boot_ms};

/// Says that an environment is whole.
const COMPLETE: &str = ".complete";
/// What is installed, in an environment that is being made.
const LIST: &str = "petrel-requirements.txt";
/// Kept of what is written while an environment is made.
const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Told of that.
const TAIL_BYTES: usize = 2 << 10;
/// Between two tries for a lock that another process holds.
const LOCK_PAUSE: Duration = Duration::from_millis(100);

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
struct Wanted {
    interpreter: PathBuf,
    requirements: String,
    hash: String,
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

    /// The environment of a call, which is made if it is not there. Whatever is run for that ends with the attempt.
    pub(super) async fn get(
        &self,
        call: &PythonCall,
        pack: &Path,
        processes: Processes<'_>,
        held: &watch::Receiver<Holding>,
    ) -> Result<InUse, Exit> {
        let unusable = |error| Exit::bare(Why::NotStarted(code::ENVIRONMENT_UNUSABLE), Some(error));
        let wanted = self.wanted(call, pack, processes.options).map_err(unusable)?;
        if wanted.requirements.is_empty() {
            return Ok(InUse { interpreter: wanted.interpreter, folder: None, _lock: None });
        }
        let making = {
            let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            making.entry(wanted.hash.clone()).or_default().clone()
        };
        let leave = Leave::new(held.clone(), self.options.build_ms_max);
        let work = async {
            let mut failure = making.lock().await;
            if let Some(failure) = failure.as_ref().filter(|failure| self.is_fresh(failure)) {
                return Err(failed(format!("{} (it is tried again after a while)", failure.error)));
            }
            let got = self.get_alone(&wanted, pack, processes, held).await;
            *failure = match &got {
                Err(Exit { why: Why::Failed { .. }, error: Some(error), .. }) => {
                    Some(Failure { at_ms: boot_ms(), error: error.clone() })
                }
                _ => None,
            };
            got
        };
        match limited(leave, work).await {
            Ok(got) => got,
            Err(Why::Timeout) => Err(failed(self.took_too_long())),
            Err(why) => Err(Exit::bare(why, None)),
        }
    }

    /// Writes a text into a file whose name says what is in it; where it is.
    pub(super) fn write_once(&self, stem: &str, suffix: &str, text: &str) -> io::Result<PathBuf> {
        let folder = &self.options.directory;
        let path = folder.join(format!("{stem}-{}.{suffix}", hash_of(&[text])));
        if !path.is_file() {
            fs::create_dir_all(folder)?;
            write_whole(&path, text)?;
        }
        Ok(path)
    }

    fn is_fresh(&self, failure: &Failure) -> bool {
        boot_ms() < failure.at_ms.saturating_add(self.options.build_retry_ms)
    }

    fn took_too_long(&self) -> String {
        format!("its environment took longer than {} ms to be made", self.options.build_ms_max)
    }

    fn wanted(&self, call: &PythonCall, pack: &Path, options: &RunnerOptions) -> Result<Wanted, String> {
        let interpreter = find(&call.interpreter, options)?;
        let text = match &call.requirements {
            Some(lines) => lines.join("\n"),
            None => match fs::read_to_string(pack.join(REQUIREMENTS)) {
                Ok(text) => text,
                Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
                Err(e) => return Err(format!("{REQUIREMENTS} cannot be read: {e}")),
            },
        };
        if let Some(why) = text.lines().find_map(refused_requirement) {
            return Err(format!("a requirement is refused: {why}"));
        }
        let is_said = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        let requirements = text.lines().filter(is_said).collect::<Vec<_>>().join("\n");
        let real = fs::canonicalize(&interpreter).unwrap_or_else(|_| interpreter.clone());
        let files = if depends_on_files(&requirements) { pack.to_string_lossy() } else { "".into() };
        let index = self.options.index_url.as_deref().unwrap_or_default();
        let links = self.options.find_links.join("\n");
        let hash = hash_of(&[&real.to_string_lossy(), &requirements, index, &links, &files]);
        Ok(Wanted { interpreter, requirements, hash })
    }

    async fn get_alone(
        &self,
        wanted: &Wanted,
        pack: &Path,
        processes: Processes<'_>,
        held: &watch::Receiver<Holding>,
    ) -> Result<InUse, Exit> {
        let lacking = |e: io::Error| process::lacking(format!("there is no room for its environment: {e}"));
        let folder = self.options.directory.join(&wanted.hash);
        let complete = folder.join(COMPLETE);
        fs::create_dir_all(&self.options.directory).map_err(lacking)?;
        loop {
            let lock = self.lock(&wanted.hash).map_err(lacking)?;
            if matches!(lock.try_lock_shared(), Ok(())) && touch(&complete) {
                let interpreter = folder.join("bin/python");
                return Ok(InUse { interpreter, folder: Some(folder), _lock: Some(lock) });
            }
            drop(lock);
            let lock = self.lock(&wanted.hash).map_err(lacking)?;
            match lock.try_lock() {
                // Another process makes it.
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
                Err(TryLockError::Error(e)) => return Err(lacking(e)),
                Ok(()) if complete.exists() => {}
                Ok(()) => {
                    self.make(wanted, &folder, pack, processes, held).await?;
                    write_whole(&complete, "").map_err(lacking)?;
                    self.remove_unused(&wanted.hash);
                }
            }
        }
    }

    fn lock(&self, hash: &str) -> io::Result<File> {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.options.directory.join(format!("{hash}.lock")))
    }

    /// Makes an environment in its place, whose lock is held.
    async fn make(
        &self,
        wanted: &Wanted,
        folder: &Path,
        pack: &Path,
        processes: Processes<'_>,
        held: &watch::Receiver<Holding>,
    ) -> Result<(), Exit> {
        let lacking = |e: io::Error| process::lacking(format!("there is no room for its environment: {e}"));
        remove_all(folder).await.map_err(lacking)?;
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (interpreter, at) = (text(&wanted.interpreter), text(folder));
        let (list, python) = (text(&folder.join(LIST)), text(&folder.join("bin/python")));
        let uv = find("uv", processes.options).ok().map(|uv| text(&uv));
        let make = match &uv {
            Some(uv) => vec![uv, "venv", "--python", &interpreter, &at],
            None => vec![&*interpreter, "-m", "venv", &at],
        };
        self.step(&make, pack, processes, held).await?;
        fs::write(&list, format!("{}\n", wanted.requirements)).map_err(lacking)?;
        let mut install = match &uv {
            Some(uv) => vec![&**uv, "pip", "install", "--python", &python],
            None => vec![&*python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check"],
        };
        if self.options.index_url.is_none() {
            install.push("--no-index");
        }
        for link in &self.options.find_links {
            install.extend(["--find-links", link]);
        }
        install.extend(["-r", &list]);
        self.step(&install, pack, processes, held).await
    }

    /// Runs a program that an environment is made with, as an action of the same attempt.
    async fn step(
        &self,
        argv: &[&str],
        pack: &Path,
        processes: Processes<'_>,
        held: &watch::Receiver<Holding>,
    ) -> Result<(), Exit> {
        let command = Command {
            argv: argv.iter().map(|part| (*part).to_owned()).collect(),
            // What a requirement names of the pack is meant from there.
            directory: pack.to_owned(),
            environment: self.variables(),
            stdin: Vec::new(),
            user: None,
            timeout_ms: self.options.build_ms_max,
            may: May::default(),
            limits: Limits::default(),
            confinement: Confinement::default(),
        };
        let options = RunnerOptions { output_bytes_max: OUTPUT_BYTES_MAX, ..processes.options.clone() };
        let exit = process::run(processes.supervisor, &options, command, held.clone(), || {}).await;
        match exit.why {
            Why::Exited if exit.return_code == Some(0) => Ok(()),
            Why::Exited | Why::NotStarted(_) => Err(failed(self.told(argv, &exit))),
            Why::Timeout => Err(failed(self.took_too_long())),
            // Nothing of the action has begun.
            Why::Unknown => Err(process::lacking("what makes its environment was lost".to_owned())),
            why => Err(Exit::bare(why, exit.error)),
        }
    }

    /// Where packages come from, and nothing of what the machine says about that.
    fn variables(&self) -> BTreeMap<String, String> {
        let mut variables =
            vec![("PIP_CONFIG_FILE", "/dev/null"), ("UV_NO_CONFIG", "1"), ("UV_PYTHON_DOWNLOADS", "never")];
        if let Some(url) = &self.options.index_url {
            // On a command line everybody could read its password.
            variables.extend([("PIP_INDEX_URL", &**url), ("UV_DEFAULT_INDEX", &**url)]);
        }
        variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What is told of a step that failed: the end of what it wrote, without the index's password.
    fn told(&self, argv: &[&str], exit: &Exit) -> String {
        let what = argv.iter().take(4).copied().collect::<Vec<_>>().join(" ");
        let how = match (&exit.error, exit.return_code) {
            (Some(error), _) => error.clone(),
            (None, code) => format!("exit code {}", code.unwrap_or_default()),
        };
        let mut written = String::new();
        for stream in [&exit.stdout, &exit.stderr] {
            let text = String::from_utf8_lossy(&stream.bytes);
            // A line that is cut may hold a part of what is left out below.
            let whole = if stream.truncated { text.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { &*text };
            written.push_str(whole.trim_end());
            written.push('\n');
            let end = stream.end.as_ref().map(|end| String::from_utf8_lossy(&end.bytes)).unwrap_or_default();
            written.push_str(end.split_once('\n').map_or("", |(_, whole)| whole).trim_end());
            written.push('\n');
        }
        let url = self.options.index_url.as_deref().and_then(|url| url::Url::parse(url).ok());
        if let Some(password) = url.as_ref().and_then(url::Url::password) {
            written = written.replace(password, "***");
        }
        let written = written.trim();
        let mut from = written.len().saturating_sub(TAIL_BYTES);
        while !written.is_char_boundary(from) {
            from += 1;
        }
        format!("its environment cannot be made: {what} …: {how}: {}", &written[from..])
    }

    /// Removes environments that nobody has used for long, but not this one.
    fn remove_unused(&self, but: &str) {
        #[expect(clippy::disallowed_methods, reason = "ages of files are measured by the clock that dates them")]
        let now = SystemTime::now();
        let age_max = Duration::from_secs(u64::from(self.options.environment_days_max) * 86_400);
        for entry in fs::read_dir(&self.options.directory).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let used = fs::metadata(entry.path().join(COMPLETE)).and_then(|found| found.modified());
            let is_old = used.is_ok_and(|used| now.duration_since(used).is_ok_and(|age| age > age_max));
            if !is_old || name == but {
                continue;
            }
            let Ok(lock) = self.lock(&name) else { continue };
            if lock.try_lock().is_err() {
                continue;
            }
            // Without it, what a crash leaves of the rest is made anew.
            let removed = fs::remove_file(entry.path().join(COMPLETE)).and_then(|()| fs::remove_dir_all(entry.path()));
            if let Err(error) = removed {
                tracing::warn!(environment = name, %error, "a Python environment that nobody uses cannot be removed");
            }
        }
    }
}

fn failed(error: String) -> Exit {
    Exit::bare(Why::Failed { code: code::ENVIRONMENT_UNUSABLE, retriable: true }, Some(error))
}

async fn remove_all(folder: &Path) -> io::Result<()> {
    match tokio::fs::remove_dir_all(folder).await {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Dates a file now; whether it is there.
fn touch(path: &Path) -> bool {
    #[expect(clippy::disallowed_methods, reason = "ages of files are measured by the clock that dates them")]
    let now = SystemTime::now();
    let Ok(file) = File::options().write(true).open(path) else { return false };
    file.set_times(FileTimes::new().set_modified(now)).is_ok()
}

/// A file that is there is whole.
fn write_whole(path: &Path, text: &str) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let unfinished = path.with_file_name(name);
    let mut file = File::create(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

/// `PATH` as an action finds it.
fn path_of(options: &RunnerOptions) -> Option<String> {
    let inherited =
        || options.inherited_variables.iter().any(|name| name == "PATH").then(|| std::env::var("PATH").ok());
    options.environment.get("PATH").cloned().or_else(|| inherited().flatten())
}

/// A program by its name, as an action would find it, or by its path.
fn find(name: &str, options: &RunnerOptions) -> Result<PathBuf, String> {
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
