//! A work directory for each attempt: where its process may write, and what is gone once it has ended.
//!
//! ```text
//! <work>/<process id>-<number>/lock      held by the worker for as long as it lives
//! <work>/<process id>-<number>/<number>  one attempt's
//! ```
//!
//! What a worker has left that was killed is removed by the next one that begins in that folder: nobody holds its lock.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::supervise::User;

/// What other users may go through to reach what is theirs, and see nothing of.
const PASSAGE: u32 = 0o711;
/// What one user alone may use.
const OWN: u32 = 0o700;
/// Name of the file that a worker holds locked.
const LOCK: &str = "lock";
/// Folders of a folder that are emptied before it is looked at again.
const BATCH: usize = 1_024;

/// Makes the work directories of a worker.
#[derive(Debug)]
pub struct WorkDirectories {
    folder: PathBuf,
    _lock: File,
    serial: AtomicU64,
}

/// The work directory of an attempt; dropping it removes it with all that is in it.
#[derive(Debug)]
pub struct WorkDirectory {
    path: PathBuf,
}

impl WorkDirectories {
    /// Will make them in that folder, which is made if it is missing. What workers have left there that are gone is removed,
    /// on a thread of its own.
    ///
    /// # Errors
    /// If nothing can be made or read there.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        // Processes are started from other working directories than this process's.
        let folder = std::path::absolute(folder)?;
        fs::create_dir_all(&folder)?;
        fs::set_permissions(&folder, Permissions::from_mode(PASSAGE))?;
        // Whoever begins here at the same time waits: a folder whose lock is not taken yet is not one that was left.
        let begins = File::create(folder.join(LOCK))?;
        begins.lock()?;
        let left = left_in(&folder)?;
        let own = create_new(&folder, &std::process::id().to_string())?;
        let lock = File::create(own.join(LOCK))?;
        lock.lock()?;
        drop(begins);
        if !left.is_empty() {
            let thread = std::thread::Builder::new().name("work directories".to_owned());
            thread.spawn(move || left.iter().for_each(|(path, _lock)| remove(path)))?;
        }
        Ok(Self { folder: own, _lock: lock, serial: AtomicU64::new(0) })
    }

    /// A new one, which this user alone may use; the worker's own where there is none.
    ///
    /// # Errors
    /// What the system says: no room, most of all.
    pub fn make(&self, owner: Option<&User>) -> io::Result<WorkDirectory> {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let directory = WorkDirectory { path: self.folder.join(serial.to_string()) };
        fs::DirBuilder::new().mode(OWN).create(&directory.path)?;
        if let Some(User { uid, gid }) = owner {
            chown(&directory.path, Some(*uid), Some(*gid))?;
        }
        Ok(directory)
    }
}

/// What is removed last: a worker that stops waits for its attempts, so that nothing is in there.
impl Drop for WorkDirectories {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(LOCK));
        let _ = fs::remove_dir(&self.folder);
    }
}

impl WorkDirectory {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        // Mostly it is empty.
        if fs::remove_dir(&self.path).is_ok() {
            return;
        }
        let path = std::mem::take(&mut self.path);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => _ = runtime.spawn_blocking(move || remove(&path)),
            Err(_) => remove(&path),
        }
    }
}

/// Folders of workers that are gone, each with its lock where it has one.
fn left_in(folder: &Path) -> io::Result<Vec<(PathBuf, Option<File>)>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        let lock = match File::open(entry.path().join(LOCK)) {
            Ok(file) => match file.try_lock() {
                Ok(()) => Some(file),
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        left.push((entry.path(), lock));
    }
    Ok(left)
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
    match remove_tree(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let path = path.display();
            tracing::warn!(%path, %error, "a work directory cannot be removed; the next worker tries again");
        }
        _ => {}
    }
}

/// Removes a folder that its action filled as it liked: with folders that may not be read, and in any depth. Each folder
/// of a folder is moved to the top before its own goes, so that nothing here is as deep as what is found.
fn remove_tree(top: &Path) -> io::Result<()> {
    let mut serial = 0;
    open_up(top)?;
    loop {
        let mut folders = Vec::new();
        let mut removed = 0_usize;
        for entry in fs::read_dir(top)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                if folders.len() == BATCH {
                    break;
                }
            } else {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        if folders.is_empty() && removed == 0 {
            return fs::remove_dir(top);
        }
        for folder in folders {
            empty(&folder, top, &mut serial)?;
            fs::remove_dir(&folder)?;
        }
    }
}

fn empty(folder: &Path, top: &Path, serial: &mut u64) -> io::Result<()> {
    open_up(folder)?;
    let entries: Vec<(OsString, bool)> = fs::read_dir(folder)?
        .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?.is_dir()))))
        .collect::<io::Result<_>>()?;
    for (name, is_folder) in entries {
        let path = folder.join(&name);
        if !is_folder {
            fs::remove_file(path)?;
            continue;
        }
        open_up(&path)?;
        loop {
            *serial += 1;
            let up = top.join(OsStr::new(&format!(".{serial}")));
            // The action may have used the name.
            if fs::symlink_metadata(&up).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
                fs::rename(&path, up)?;
                break;
            }
        }
    }
    Ok(())
}

/// Lets this process into a folder, which is no link.
fn open_up(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(OWN))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

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
    fn whatever_an_action_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::create_dir_all(top.join(".1")).unwrap();
        fs::create_dir_all(top.join("closed/inside")).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        fs::write(dir.path().join("outside"), "x").unwrap();
        fs::create_dir(dir.path().join("other")).unwrap();
        fs::write(dir.path().join("other/file"), "x").unwrap();
        symlink(dir.path().join("outside"), top.join("link")).unwrap();
        symlink(dir.path().join("other"), top.join("a/link")).unwrap();
        fs::set_permissions(top.join("closed/inside"), Permissions::from_mode(0o0)).unwrap();
        fs::set_permissions(top.join("closed"), Permissions::from_mode(0o0)).unwrap();
        // Deeper than a path can be: each folder is put into a new one.
        let (deep, next) = (dir.path().join("deep"), dir.path().join("next"));
        fs::create_dir(&deep).unwrap();
        for _ in 0..60 {
            fs::create_dir(&next).unwrap();
            fs::rename(&deep, next.join("d".repeat(200))).unwrap();
            fs::rename(&next, &deep).unwrap();
        }
        fs::rename(&deep, top.join("deep")).unwrap();
        remove_tree(&top).unwrap();
        assert!(!top.exists());
        assert!(dir.path().join("outside").exists() && dir.path().join("other/file").exists());
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
}
