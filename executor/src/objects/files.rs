//! Objects as files of a folder, each by the name of what is in it: `ab/cdef…`. A file is there with all that is in it, on
//! the disk, or not at all. Beside them is a file `store` with a name that the folder was given when something was put in
//! first: two folders of the same path are two stores.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use ring::rand::{SecureRandom, SystemRandom};

use super::hex;

/// Folder of what is being written.
const UNFINISHED: &str = "unfinished";

/// File with the name of the store.
const STORE: &str = "store";

/// Random bytes of that name.
const STORE_BYTES: usize = 16;

/// Digits of a name that are the name of its folder.
const FOLDER_DIGITS: usize = 2;

/// The others.
const FILE_DIGITS: usize = 62;

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

    fn unfinished(&self) -> PathBuf {
        self.folder.join(UNFINISHED)
    }

    /// As references name it; nothing where nothing was ever put in.
    pub(super) fn name(&self) -> io::Result<Option<String>> {
        let text = match fs::read_to_string(self.folder.join(STORE)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let id = text.trim();
        if !is_hex(id, 2 * STORE_BYTES) {
            let why = format!("{} is no name of a store", self.folder.join(STORE).display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(Some(format!("files/{id}")))
    }

    fn name_or_new(&self) -> io::Result<String> {
        if let Some(name) = self.name()? {
            return Ok(name);
        }
        let mut id = [0; STORE_BYTES];
        SystemRandom::new().fill(&mut id).map_err(|_| io::Error::other("the system gives no random numbers"))?;
        let (unfinished, path) = (self.write_unfinished(hex(&id).as_bytes())?, self.folder.join(STORE));
        // It does not take the place of one that another process has given meanwhile.
        let linked = fs::hard_link(&unfinished, &path);
        fs::remove_file(&unfinished)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => linked.and_then(|()| sync(&self.folder))?,
        }
        self.name()?.ok_or_else(|| io::Error::other("the store's name was removed"))
    }

    /// Writes an object; the name of the store. One that is there already is written anew: then it is as fresh as this
    /// one, and what may be wrong with it is gone.
    pub(super) fn put(&self, sha256: &str, bytes: &[u8]) -> io::Result<String> {
        let store = self.name_or_new()?;
        let path = self.path(sha256);
        let folder = path.parent().unwrap_or(&self.folder);
        make(folder)?;
        let unfinished = self.write_unfinished(bytes)?;
        let renamed = fs::rename(&unfinished, &path);
        if renamed.is_err() {
            // It is over its time one day, if it cannot be removed now.
            let _ = fs::remove_file(&unfinished);
        }
        renamed?;
        sync(folder).map(|()| store)
    }

    /// A file with these bytes, on the disk.
    fn write_unfinished(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let (path, mut file) = self.create_unfinished()?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| path)
    }

    /// A new file, whose name no other process takes.
    fn create_unfinished(&self) -> io::Result<(PathBuf, File)> {
        let folder = self.unfinished();
        make(&folder)?;
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

    /// Removes objects that were put in longer ago than that, by the clock of the file system, and what was left
    /// unfinished; how many objects there were. Nothing else is touched, whatever is in the folder. What cannot be
    /// removed keeps nothing else from being removed.
    pub(super) fn sweep(&self, retention: Duration) -> io::Result<u64> {
        if self.name()?.is_none() {
            return Ok(0);
        }
        let mut sweep = Sweep { files: self, before: self.now()?.checked_sub(retention), removed: 0, error: None };
        for (name, path) in sweep.told(entries(&self.folder)) {
            let is_file_of: fn(&str) -> bool = match name {
                name if name == UNFINISHED => is_unfinished,
                name if is_hex(&name, FOLDER_DIGITS) => |name| is_hex(name, FILE_DIGITS),
                _ => continue,
            };
            // What a link leads to is not Petrel's.
            if sweep.told(fs::symlink_metadata(&path).map(|found| found.is_dir())) {
                let files = sweep.told(entries(&path));
                files.iter().filter(|(name, _)| is_file_of(name)).for_each(|(_, path)| sweep.file(path));
            }
        }
        sweep.error.map_or(Ok(sweep.removed), Err)
    }

    /// What the file system takes for now. Machines that share it may have other clocks.
    fn now(&self) -> io::Result<SystemTime> {
        let (path, file) = self.create_unfinished()?;
        let now = file.metadata().and_then(|file| file.modified());
        fs::remove_file(path)?;
        now
    }
}

struct Sweep<'f> {
    files: &'f Files,
    /// What was written before that goes; nothing where there is no such instant.
    before: Option<SystemTime>,
    removed: u64,
    /// The first.
    error: Option<io::Error>,
}

impl Sweep<'_> {
    /// What is not there any more, another process has removed.
    fn told<T: Default>(&mut self, result: io::Result<T>) -> T {
        match result {
            Ok(value) => return value,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => _ = self.error.get_or_insert(error),
        }
        T::default()
    }

    fn file(&mut self, path: &Path) {
        let (is_older, is_unfinished) = (self.is_older(path), path.parent() == Some(&*self.files.unfinished()));
        if !self.told(is_older) {
            return;
        }
        if is_unfinished {
            self.told(fs::remove_file(path));
        } else {
            let removed = self.object(path);
            self.removed += u64::from(self.told(removed));
        }
    }

    /// Removes an object, unless it is written anew in this very moment: what was taken away is looked at once more.
    fn object(&self, path: &Path) -> io::Result<bool> {
        let (away, _) = self.files.create_unfinished()?;
        if !self.is_older(path)? {
            return fs::remove_file(&away).map(|()| false);
        }
        match fs::rename(path, &away) {
            // Another process may remove it just as well.
            Ok(()) if self.is_older(&away)? => fs::remove_file(&away).map(|()| true),
            Ok(()) => fs::rename(&away, path).map(|()| false),
            Err(error) => fs::remove_file(&away).and(Err(error)),
        }
    }

    /// Whether it is a file that was written before.
    fn is_older(&self, path: &Path) -> io::Result<bool> {
        let found = fs::symlink_metadata(path)?;
        let modified = found.modified()?;
        Ok(found.is_file() && self.before.is_some_and(|before| modified < before))
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether it is called as what is being written is: `<digits>-<digits>`.
fn is_unfinished(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    name.split_once('-').is_some_and(|(process, number)| is_number(process) && is_number(number))
}

/// Makes a folder, and those that it is in, so that they are there after a power loss, too.
fn make(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(parent)?;
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {}
        made => made?,
    }
    sync(parent)
}

/// Names in a folder are on the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// What is in a folder, by name; names that are no text are left out, for none is Petrel's.
fn entries(folder: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        found.extend(entry.file_name().into_string().ok().map(|name| (name, entry.path())));
    }
    Ok(found)
}
