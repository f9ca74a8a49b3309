//! A work directory for each attempt: where its process may write, and what is gone once it has ended.
//!
//! ```text
//! <work>/<process id>-<number>/lock      held by the worker for as long as it lives
//! <work>/<process id>-<number>/<number>  one attempt's
//! ```
//!
//! One that an action left empty is kept for the next (`empty`). What waits for a disk runs on no thread of the async
//! runtime, for these keep the leases of all attempts. What a worker has left that was killed is removed by the next one that
//! begins in that folder: nobody holds its lock.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};

use super::empty::{AsMade, Kept};
use super::remove::remove_tree;
use crate::supervise::User;

/// What other users may go through to reach what is theirs, and see nothing of.
const PASSAGE: u32 = 0o711;
/// What one user alone may use.
const OWN: u32 = 0o700;
/// Name of the file that a worker holds locked.
const LOCK: &str = "lock";
/// What this process alone may read, and so lock.
const OWN_FILE: u32 = 0o600;
/// Longest wait for another worker that begins in the same folder.
const BEGIN_WAIT: Duration = Duration::from_secs(30);
/// How often the lock is tried meanwhile.
const BEGIN_POLL: Duration = Duration::from_millis(50);

/// Makes the work directories of a worker.
#[derive(Debug)]
pub struct WorkDirectories {
    folder: PathBuf,
    _lock: File,
    serial: AtomicU64,
    kept: Arc<Kept>,
}

/// Where an attempt is to have its work directory.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    kept: Arc<Kept>,
}

/// The work directory of an attempt; dropping it removes it with all that is in it.
#[derive(Debug)]
pub struct WorkDirectory {
    path: PathBuf,
    /// How it was made, where it may be kept.
    as_made: Option<AsMade>,
}

impl WorkDirectories {
    /// Will make them in that folder, which is made if it is missing. What workers have left there that are gone is removed,
    /// on a thread of its own.
    ///
    /// # Errors
    /// If nothing can be made or read there, or another process holds the lock that is taken to begin for half a minute.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        Self::open_after(folder, Duration::ZERO)
    }

    /// As [`Self::open`]; what others have left is removed after so long, for as long as guards of theirs let what they
    /// guard go on.
    ///
    /// # Errors
    /// As there.
    pub fn open_after(folder: PathBuf, grace: Duration) -> io::Result<Self> {
        // Processes are started from other working directories than this process's.
        let folder = std::path::absolute(folder)?;
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(PASSAGE))?;
        // Whoever begins here at the same time waits: a folder whose lock is not taken yet is not one that was left.
        let begins = lock_file(&folder)?;
        wait_for(&begins, &folder, BEGIN_WAIT)?;
        let left = left_in(&folder)?;
        let own = create_new(&folder, &std::process::id().to_string())?;
        let lock = lock_file(&own)?;
        lock.lock()?;
        drop(begins);
        if !left.is_empty() {
            let thread = thread::Builder::new().name("work directories".to_owned());
            thread.spawn(move || {
                thread::sleep(grace);
                left.iter().for_each(|(path, _lock)| remove(path));
            })?;
        }
        Ok(Self { folder: own, _lock: lock, serial: AtomicU64::new(0), kept: Arc::default() })
    }

    /// The folder that is locked for as long as this worker lives.
    pub fn life(&self) -> &Path {
        &self.folder
    }

    /// Whether the worker is gone whose folder that is, or was.
    pub fn is_over(life: &Path) -> bool {
        match File::open(life.join(LOCK)) {
            Ok(lock) => !matches!(lock.try_lock(), Err(TryLockError::WouldBlock)),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }

    /// A new one, which this user alone may use; the worker's own where there is none.
    ///
    /// # Errors
    /// What the system says: no room, most of all.
    pub fn make(&self, owner: Option<&User>) -> io::Result<WorkDirectory> {
        WorkDirectory::make(self.next(), owner)
    }

    /// Where the next attempt is to have one.
    pub(super) fn place(&self) -> Place {
        Place { path: self.next(), kept: self.kept.clone() }
    }

    /// Keeps one for another attempt if it is as it was made, and removes it otherwise. Nothing of its attempt runs.
    pub(super) fn take_back(&self, mut directory: WorkDirectory) {
        let kept = self.kept.clone();
        beside(move || {
            let path = std::mem::take(&mut directory.path);
            if !directory.as_made.is_some_and(|as_made| kept.keep(&path, as_made)) {
                remove(&path);
            }
        });
    }

    /// Where the next one is to be.
    pub(in crate::runner) fn next(&self) -> PathBuf {
        self.folder.join(self.serial.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

/// What is removed last, with all that was to be removed and was not yet: a worker that stops waits for its attempts, so
/// that nobody uses anything in there.
impl Drop for WorkDirectories {
    fn drop(&mut self) {
        self.kept.close().for_each(|path| remove(&path));
        remove(&self.folder);
    }
}

impl Place {
    /// One for an attempt of the worker's own user that another attempt has left empty, and that nobody has touched since;
    /// else a new one. Only who it is for may use it. May wait for a disk that is far away.
    ///
    /// # Errors
    /// What the system says: no room, most of all.
    pub(super) fn take(self, owner: Option<&User>) -> io::Result<WorkDirectory> {
        while owner.is_none()
            && let Some((path, as_made, is_untouched)) = self.kept.take()
        {
            if is_untouched {
                return Ok(WorkDirectory { path, as_made: Some(as_made) });
            }
            // There may be very much in it by now, which is none of this attempt's time.
            beside(move || remove(&path));
        }
        WorkDirectory::make(self.path, owner)
    }
}

impl WorkDirectory {
    /// Makes one there. May wait for a disk that is far away.
    pub(in crate::runner) fn make(path: PathBuf, owner: Option<&User>) -> io::Result<Self> {
        fs::DirBuilder::new().mode(OWN).create(&path)?;
        let mut directory = Self { path, as_made: None };
        match owner {
            Some(User { uid, gid }) => chown(&directory.path, Some(*uid), Some(*gid))?,
            None => directory.as_made = AsMade::of(&directory.path).ok(),
        }
        Ok(directory)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        // It may be kept by its path.
        if !path.as_os_str().is_empty() {
            beside(move || remove(&path));
        }
    }
}

/// Does what may wait for a disk, on no thread of the runtime; here where there is none.
fn beside(work: impl FnOnce() + Send + 'static) {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => _ = runtime.spawn_blocking(work),
        Err(_) => work(),
    }
}

/// The file of a folder that is locked. Nobody else may open it: whoever can holds the lock for as long as they like.
fn lock_file(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(OWN_FILE).custom_flags(O_NOFOLLOW | O_NONBLOCK);
    let file = options.open(folder.join(LOCK))?;
    file.set_permissions(Permissions::from_mode(OWN_FILE))?;
    Ok(file)
}

/// Takes the lock of a folder, for a limited time, and says that it waits.
#[expect(clippy::disallowed_methods, reason = "how long to wait is not an action's time")]
fn wait_for(lock: &File, folder: &Path, most: Duration) -> io::Result<()> {
    let began = std::time::Instant::now();
    let mut is_told = false;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if began.elapsed() >= most => {
                let why = format!("another process holds {} locked", folder.join(LOCK).display());
                return Err(io::Error::new(ErrorKind::TimedOut, why));
            }
            Err(TryLockError::WouldBlock) if !std::mem::replace(&mut is_told, true) => {
                tracing::warn!(folder = %folder.display(), "waiting for another worker that begins in this folder");
            }
            Err(TryLockError::WouldBlock) => {}
        }
        thread::sleep(BEGIN_POLL);
    }
}

/// Folders of workers that are gone, each with its lock where it has one. What cannot be looked at is told, and left.
fn left_in(folder: &Path) -> io::Result<Vec<(PathBuf, Option<File>)>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match is_left(&entry) {
            Ok(Left::Not) => {}
            Ok(Left::Locked(lock)) => left.push((entry.path(), lock)),
            Err(error) => {
                let path = entry.path();
                tracing::warn!(path = %path.display(), %error, "it cannot be told whether a worker left this");
            }
        }
    }
    Ok(left)
}

/// Whether a worker that is gone has left a folder.
enum Left {
    Not,
    /// It has, and its lock is held here, where it had come to have one.
    Locked(Option<File>),
}

fn is_left(entry: &fs::DirEntry) -> io::Result<Left> {
    if !entry.file_type()?.is_dir() {
        return Ok(Left::Not);
    }
    // An action may have put there what is no file.
    let file = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(entry.path().join(LOCK));
    match file {
        Ok(file) => match file.try_lock() {
            Ok(()) => Ok(Left::Locked(Some(file))),
            Err(TryLockError::WouldBlock) => Ok(Left::Not),
            Err(TryLockError::Error(error)) => Err(error),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Left::Locked(None)),
        Err(error) => Err(error),
    }
}

/// A new folder of a name that nobody else has.
fn create_new(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let mut number = 0;
    loop {
        let path = folder.join(format!("{name}-{number}"));
        match fs::DirBuilder::new().mode(PASSAGE).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn remove(path: &Path) {
    // It is mostly empty.
    if fs::remove_dir(path).is_ok() {
        return;
    }
    match remove_tree(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let path = path.display();
            tracing::warn!(%path, %error, "a work directory cannot be removed; the next worker tries again");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    #[test]
    fn a_directory_is_one_attempts_and_goes_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkDirectories::open(dir.path().join("work")).unwrap();
        let (one, two) = (work.make(None).unwrap(), work.make(None).unwrap());
        assert_ne!(one.path(), two.path());
        assert_eq!(fs::metadata(one.path()).unwrap().mode() & 0o7777, OWN);
        fs::write(one.path().join("file"), "x").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && two.path().exists());
        drop((two, work));
        assert_eq!(names(&dir.path().join("work")), [LOCK]);
    }

    #[test]
    fn one_that_was_left_empty_is_another_attempts_and_no_other_is() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkDirectories::open(dir.path().join("work")).unwrap();
        let (empty, full) = (work.make(None).unwrap(), work.make(None).unwrap());
        let paths = [empty.path(), full.path()].map(Path::to_owned);
        fs::write(full.path().join("file"), "x").unwrap();
        work.take_back(full);
        work.take_back(empty);
        assert!(paths[0].exists() && !paths[1].exists());
        let (again, new) = (work.place().take(None).unwrap(), work.place().take(None).unwrap());
        assert!(again.path() == paths[0] && !paths.contains(&new.path().to_owned()));
        work.take_back(again);
        // Somebody writes to it meanwhile.
        fs::create_dir(paths[0].join("folder")).unwrap();
        let other = work.place().take(None).unwrap();
        assert!(other.path() != paths[0] && !paths[0].exists());
        drop((new, other));
        work.take_back(work.make(None).unwrap());
        drop(work);
        assert_eq!(names(&dir.path().join("work")), [LOCK]);
    }

    #[tokio::test]
    async fn no_thread_of_the_runtime_looks_at_a_directory_or_removes_one() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkDirectories::open(dir.path().join("work")).unwrap();
        let (tell, told) = tokio::sync::oneshot::channel();
        beside(move || tell.send(thread::current().id()).unwrap());
        assert_ne!(told.await.unwrap(), thread::current().id());
        // Nothing is waited for here, and all of it is done by and by.
        let (empty, full) = (work.make(None).unwrap(), work.make(None).unwrap());
        let kept = empty.path().to_owned();
        fs::write(full.path().join("file"), "x").unwrap();
        drop(full);
        work.take_back(empty);
        let all = async {
            let again = loop {
                let again = work.place().take(None).unwrap();
                if again.path() == kept {
                    break again;
                }
                tokio::task::yield_now().await;
            };
            drop(again);
            while names(work.life()) != [LOCK] {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("all of it is done by and by");
    }

    #[test]
    fn what_a_worker_left_that_is_gone_is_removed_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (gone, unborn, lives) = (dir.path().join("1-0"), dir.path().join("2-0"), dir.path().join("3-0"));
        for folder in [&gone, &unborn, &lives] {
            fs::create_dir_all(folder.join("0/deep")).unwrap();
        }
        File::create(gone.join(LOCK)).unwrap();
        let lock = File::create(lives.join(LOCK)).unwrap();
        lock.lock().unwrap();
        let left = left_in(dir.path()).unwrap();
        let mut paths: Vec<PathBuf> = left.iter().map(|(path, _)| path.clone()).collect();
        paths.sort();
        assert_eq!(paths, [gone.clone(), unborn.clone()]);
        left.iter().for_each(|(path, _)| remove(path));
        assert!(!gone.exists() && !unborn.exists() && lives.join("0/deep").exists());
    }

    #[test]
    fn what_is_no_lock_keeps_no_worker_from_starting() {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        for folder in ["1-0", "2-0", "3-0"] {
            fs::create_dir_all(work.join(folder)).unwrap();
        }
        mkfifo(&work.join("1-0").join(LOCK), Mode::S_IRWXU).unwrap();
        symlink(LOCK, work.join("2-0").join(LOCK)).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(work.join("3-0").join(LOCK)).unwrap();
        let (began, begins) = std::sync::mpsc::channel();
        let folder = work.clone();
        thread::spawn(move || began.send(WorkDirectories::open(folder).unwrap()).unwrap());
        let open = begins.recv_timeout(Duration::from_secs(10)).unwrap();
        for lock in [work.join(LOCK), open.folder.join(LOCK)] {
            assert_eq!(fs::metadata(lock).unwrap().mode() & 0o7777, OWN_FILE);
        }
    }

    #[test]
    fn a_lock_that_is_held_for_ever_is_waited_for_no_longer_than_that() {
        let dir = tempfile::tempdir().unwrap();
        let (held, waits) = (lock_file(dir.path()).unwrap(), lock_file(dir.path()).unwrap());
        held.lock().unwrap();
        let error = wait_for(&waits, dir.path(), Duration::from_millis(100)).unwrap_err();
        assert_eq!(error.to_string(), format!("another process holds {} locked", dir.path().join(LOCK).display()));
        drop(held);
        wait_for(&waits, dir.path(), Duration::ZERO).unwrap();
    }
}
