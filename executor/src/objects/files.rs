//! Objects as files of a folder, each by the name of what is in it: `ab/cdef…`. A file is there with all that is in it, on
//! the disk, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;

/// Folder of what is being written.
const UNFINISHED: &str = "unfinished";

/// Digits of a name that are the name of its folder.
const FOLDER_DIGITS: usize = 2;

/// A folder of objects. Several processes may share it.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    next: AtomicU64,
}

impl Files {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, next: AtomicU64::new(0) }
    }

    fn path(&self, sha256: &str) -> PathBuf {
        let (folder, name) = sha256.split_at(FOLDER_DIGITS);
        self.folder.join(folder).join(name)
    }

    /// Writes an object. One that is there already is written anew: then it is as fresh as this one, and what may be wrong
    /// with it is gone.
    pub(super) fn put(&self, sha256: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path(sha256);
        let folder = path.parent().unwrap_or(&self.folder);
        make(folder)?;
        let unfinished = self.folder.join(UNFINISHED);
        make(&unfinished)?;
        let (name, mut file) = self.create_in(&unfinished)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&name, &path));
        if written.is_err() {
            // It is over its time one day, if it cannot be removed now.
            let _ = fs::remove_file(&name);
        }
        written?;
        File::open(folder)?.sync_all()
    }

    /// A new file, whose name no other process takes.
    fn create_in(&self, folder: &Path) -> io::Result<(PathBuf, File)> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = folder.join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                // Of a process of the same number, before this one or on another machine.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                opened => return Ok((path, opened?)),
            }
        }
    }

    /// What is there of an object, up to a byte more than it should have.
    pub(super) fn get(&self, sha256: &str, bytes: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path(sha256)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut found = Vec::new();
        file.take(bytes.saturating_add(1)).read_to_end(&mut found)?;
        Ok(Some(found))
    }

    /// Removes what was written before an instant, in milliseconds since the epoch; how many objects there were.
    pub(super) fn sweep(&self, before_ms: i64) -> io::Result<u64> {
        let mut removed = 0;
        for folder in entries(&self.folder)? {
            for path in entries(&folder)? {
                if is_older(&path, before_ms)? && self.remove(&path, before_ms)? {
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Removes an object, unless it is written anew in this very moment: what was taken away is looked at once more.
    fn remove(&self, path: &Path, before_ms: i64) -> io::Result<bool> {
        let unfinished = self.folder.join(UNFINISHED);
        if path.parent() == Some(&*unfinished) {
            return fs::remove_file(path).map(|()| false);
        }
        make(&unfinished)?;
        let (away, _) = self.create_in(&unfinished)?;
        match fs::rename(path, &away) {
            Ok(()) if is_older(&away, before_ms)? => fs::remove_file(&away).map(|()| true),
            Ok(()) => fs::rename(&away, path).map(|()| false),
            Err(error) => {
                fs::remove_file(&away)?;
                // Another process sweeps, too.
                if error.kind() == io::ErrorKind::NotFound { Ok(false) } else { Err(error) }
            }
        }
    }
}

fn make(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// What is in a folder; nothing where it is none.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Ok(found) => found.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn is_older(path: &Path, before_ms: i64) -> io::Result<bool> {
    let modified = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.modified()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let age = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(age.as_millis()).unwrap_or(i64::MAX) < before_ms)
}
