//! Packs as folders: `<directory>/<blob hash>/`, made once and used by every execution after.
//!
//! A folder that is there is complete: it is made under another name, written through to the disk, and
//! renamed. Two processes that make the same one race for the rename, and the loser takes the winner's.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::view::PackContent;

/// Most packs kept in the folder. An older one goes when one more is made, and is made again when needed.
const PACKS_MAX: usize = 256;
/// Age from which an unfinished folder is what a crash has left.
const LEFTOVER_AGE: Duration = Duration::from_secs(3_600);
/// How the name of an unfinished folder begins.
const UNFINISHED: &str = ".unfinished-";

/// Why a pack could not be laid out.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The disk refuses.
    #[error("cannot lay out pack {hash} in {}: {source}", directory.display())]
    Io {
        /// Hash of the pack's blob.
        hash: String,
        /// Folder of the cache.
        directory: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The pack's content is not usable.
    #[error("pack {hash} cannot be unpacked: {reason}")]
    Content {
        /// Hash of the pack's blob, or its name.
        hash: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The packs that this machine has laid out as files.
#[derive(Debug)]
pub struct PacksCache {
    directory: PathBuf,
    /// Names of unfinished folders of this process differ by it.
    serial: AtomicU64,
    in_use: Arc<Mutex<Vec<String>>>,
    /// Hashes by name, for a hash takes a while.
    hashes: Mutex<HashMap<String, String>>,
}

/// A pack that is laid out; it stays for as long as this lives.
#[derive(Debug)]
pub struct LaidOut {
    path: PathBuf,
    hash: String,
    in_use: Arc<Mutex<Vec<String>>>,
}

impl PacksCache {
    /// A cache in that folder, which is made if it is missing; what a crash left behind goes.
    ///
    /// # Errors
    /// If the folder cannot be made or read.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        // Commands are started from another working directory than this process's.
        let directory = std::path::absolute(directory)?;
        fs::create_dir_all(&directory)?;
        for entry in fs::read_dir(&directory)?.flatten() {
            let is_leftover = entry.file_name().to_string_lossy().starts_with(UNFINISHED);
            let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|at| at.elapsed().ok());
            if is_leftover && age.is_some_and(|age| age > LEFTOVER_AGE) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(Self { directory, serial: AtomicU64::new(0), in_use: Arc::default(), hashes: Mutex::default() })
    }

    /// The folder of a pack that was laid out here before, if it is there: what is done for nearly every execution.
    pub fn find(&self, pack: &dyn PackContent) -> Option<LaidOut> {
        let hash = lock(&self.hashes).get(&pack.name())?.clone();
        let laid_out = self.in_use(hash);
        laid_out.path.is_dir().then_some(laid_out)
    }

    /// Nobody of this process removes it meanwhile.
    fn in_use(&self, hash: String) -> LaidOut {
        lock(&self.in_use).push(hash.clone());
        LaidOut { path: self.directory.join(&hash), hash, in_use: self.in_use.clone() }
    }

    /// The folder of a pack. Blocks on the disk when the pack is new.
    ///
    /// # Errors
    /// See [`CacheError`].
    pub fn lay_out(&self, pack: &dyn PackContent) -> Result<LaidOut, CacheError> {
        let hash = &*self.hash(pack)?;
        let io = |source| CacheError::Io { hash: hash.to_owned(), directory: self.directory.clone(), source };
        // In use first, so that nobody of this process removes it in between.
        let laid_out = self.in_use(hash.to_owned());
        if !laid_out.path.is_dir() {
            self.make(pack, hash, &laid_out.path)?;
            self.evict().map_err(io)?;
        }
        Ok(laid_out)
    }

    fn hash(&self, pack: &dyn PackContent) -> Result<String, CacheError> {
        let name = pack.name();
        if let Some(hash) = lock(&self.hashes).get(&name) {
            return Ok(hash.clone());
        }
        let hash = pack.hash().map_err(|reason| CacheError::Content { hash: name.clone(), reason })?;
        if hash.is_empty() || !hash.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(CacheError::Content { hash, reason: "its hash is no file name".to_owned() });
        }
        let mut hashes = lock(&self.hashes);
        if hashes.len() >= PACKS_MAX {
            hashes.clear();
        }
        hashes.insert(name, hash.clone());
        Ok(hash)
    }

    fn make(&self, pack: &dyn PackContent, hash: &str, path: &Path) -> Result<(), CacheError> {
        let io = |source| CacheError::Io { hash: hash.to_owned(), directory: self.directory.clone(), source };
        let unfinished = self.create_unfinished().map_err(io)?;
        let written = write_all(pack, &unfinished).and_then(|()| {
            match fs::rename(&unfinished, path) {
                // Somebody else was first, and a folder that is there is complete.
                Err(_) if path.is_dir() => fs::remove_dir_all(&unfinished).map_err(Written::Io),
                renamed => renamed.and_then(|()| sync(&self.directory)).map_err(Written::Io),
            }
        });
        written.map_err(|e| {
            // The error that is told is the first one.
            let _ = fs::remove_dir_all(&unfinished);
            match e {
                Written::Io(source) => io(source),
                Written::Content(reason) => CacheError::Content { hash: hash.to_owned(), reason },
            }
        })
    }

    /// An empty folder of a name that nobody else has.
    fn create_unfinished(&self) -> io::Result<PathBuf> {
        loop {
            let serial = self.serial.fetch_add(1, Ordering::Relaxed);
            let path = self.directory.join(format!("{UNFINISHED}{}-{serial}", std::process::id()));
            match fs::create_dir(&path) {
                // Process ids are the same again in another container.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created.map(|()| path),
            }
        }
    }

    /// Removes the oldest folders beyond the limit, but none that this process uses.
    fn evict(&self) -> io::Result<()> {
        let mut packs: Vec<_> = fs::read_dir(&self.directory)?
            .flatten()
            .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.file_name())))
            .collect();
        if packs.len() <= PACKS_MAX {
            return Ok(());
        }
        packs.sort();
        let in_use: HashSet<String> = lock(&self.in_use).iter().cloned().collect();
        let surplus = packs.len() - PACKS_MAX;
        let unused = packs.iter().filter(|(_, name)| !in_use.contains(&*name.to_string_lossy()));
        for (_, name) in unused.take(surplus) {
            // Renamed first: a folder under its own name is complete, also while it goes.
            let going = self.create_unfinished()?;
            fs::rename(self.directory.join(name), &going)?;
            fs::remove_dir_all(going)?;
        }
        Ok(())
    }
}

impl LaidOut {
    /// Folder of the pack.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for LaidOut {
    fn drop(&mut self) {
        let mut in_use = lock(&self.in_use);
        if let Some(at) = in_use.iter().position(|hash| *hash == self.hash) {
            in_use.swap_remove(at);
        }
    }
}

enum Written {
    Io(io::Error),
    Content(String),
}

fn write_all(pack: &dyn PackContent, directory: &Path) -> Result<(), Written> {
    let mut failed = None;
    let read = pack.files(&mut |path, content, executable| {
        if !is_plain(Path::new(path)) {
            return Err(format!("{path:?} leaves the pack"));
        }
        let (written, is_its_own) = match create_file(&directory.join(path), executable) {
            Ok(mut file) => (file.write_all(content).and_then(|()| file.sync_all()), false),
            Err(e) => {
                let is_its_own = is_its_own(&e);
                (Err(e), is_its_own)
            }
        };
        written.map_err(|e| {
            let text = format!("{path:?}: {e}");
            if !is_its_own {
                failed = Some(e);
            }
            text
        })
    });
    match (read, failed) {
        (_, Some(e)) => Err(Written::Io(e)),
        (Err(reason), None) => Err(Written::Content(reason)),
        (Ok(()), None) => Ok(()),
    }
}

/// Whether a file cannot be made, in a folder that is new, for what the pack is: two files of one name, one that is
/// also a folder, or a name that is too long or that the file system does not take. Anything else may be what this
/// machine lacks at this moment.
fn is_its_own(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, InvalidFilename, InvalidInput, IsADirectory, NotADirectory};
    matches!(error.kind(), AlreadyExists | InvalidFilename | InvalidInput | IsADirectory | NotADirectory)
        || error.raw_os_error() == Some(libc::EILSEQ)
}

fn create_file(path: &Path, executable: bool) -> io::Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mode = if executable { 0o555 } else { 0o444 };
    fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

fn sync(directory: &Path) -> io::Result<()> {
    fs::File::open(directory)?.sync_all()
}

/// Whether a path is made of names alone, and of at least one.
fn is_plain(path: &Path) -> bool {
    path.components().next().is_some() && path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A list of names is whole whenever the lock is free.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
