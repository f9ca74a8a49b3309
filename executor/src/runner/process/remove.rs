//! Removing what an action has left: folders that it filled as it liked, and that others may still write.
//!
//! Nothing here is found by a path. A folder is opened below one that is open already, never by way of a link, and what is
//! done to it is done to what was opened: whoever puts a link in the place of a folder meanwhile loses the link.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, fchown, geteuid, unlinkat};

/// Names of a folder that are dealt with before it is looked at again: an action may have made any number.
const BATCH: usize = 1_024;

/// A folder that is emptied.
struct Emptied {
    top: OwnedFd,
    /// Of the names that folders have got that were moved to the top.
    serial: u64,
    /// What was removed of folders, or moved out of them.
    progress: u64,
    /// Why something could not be removed, the first time.
    error: Option<Errno>,
}

/// Removes a folder with all that is in it, in any depth. Each folder of a folder is moved to the top before its own goes,
/// so that nothing here is as deep as what is found. What cannot be removed keeps nothing else.
///
/// # Errors
/// Why something of it is still there.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let mut emptied = Emptied { top: open(AT_FDCWD, path)?, serial: 0, progress: 0, error: None };
    loop {
        let names = names(&emptied.top)?;
        if names.is_empty() {
            return fs::remove_dir(path);
        }
        let removed = names.iter().filter(|name| emptied.remove(name)).count();
        if removed == 0 {
            return Err(emptied.error.unwrap_or(Errno::ENOTEMPTY).into());
        }
    }
}

impl Emptied {
    /// Removes what has that name at the top. Says whether anything has got less.
    fn remove(&mut self, name: &CString) -> bool {
        let before = self.progress;
        match self.try_remove(name) {
            Ok(()) => true,
            Err(error) => {
                self.error.get_or_insert(error);
                self.progress > before
            }
        }
    }

    fn try_remove(&mut self, name: &CString) -> Result<(), Errno> {
        let Some(folder) = unlink(&self.top, name)? else { return Ok(()) };
        loop {
            let names = names(&folder)?;
            if names.is_empty() {
                return gone(unlinkat(&self.top, &**name, UnlinkatFlags::RemoveDir));
            }
            let before = self.progress;
            names.iter().for_each(|name| self.empty_of(&folder, name));
            if self.progress == before {
                return Err(self.error.unwrap_or(Errno::ENOTEMPTY));
            }
        }
    }

    /// Removes a file of a folder, or moves a folder of it to the top.
    fn empty_of(&mut self, folder: &OwnedFd, name: &CString) {
        let done = unlink(folder, name).and_then(|inner| match inner {
            Some(_) => self.move_up(folder, name),
            None => Ok(()),
        });
        match done {
            Ok(()) => self.progress += 1,
            Err(error) => _ = self.error.get_or_insert(error),
        }
    }

    fn move_up(&mut self, folder: &OwnedFd, name: &CString) -> Result<(), Errno> {
        loop {
            self.serial += 1;
            match renameat(folder, &**name, &self.top, format!(".{}", self.serial).as_str()) {
                // The action has used the name itself.
                Err(Errno::EEXIST | Errno::ENOTEMPTY | Errno::ENOTDIR | Errno::EISDIR) => {}
                moved => return gone(moved),
            }
        }
    }
}

/// Removes what has that name in a folder; if it is a folder itself, opens it.
fn unlink(folder: &OwnedFd, name: &CString) -> Result<Option<OwnedFd>, Errno> {
    match gone(unlinkat(folder, &**name, UnlinkatFlags::NoRemoveDir)) {
        Ok(()) => Ok(None),
        Err(Errno::EISDIR | Errno::EPERM) => match open(folder, name.as_c_str()) {
            Ok(inner) => Ok(Some(inner)),
            Err(Errno::ENOENT) => Ok(None),
            Err(error) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// What is gone already need not be removed.
fn gone(removed: Result<(), Errno>) -> Result<(), Errno> {
    if removed == Err(Errno::ENOENT) { Ok(()) } else { removed }
}

/// Opens a folder, which is no link, and lets this process alone do in it what it likes.
fn open<P: ?Sized + nix::NixPath>(at: impl std::os::fd::AsFd, name: &P) -> Result<OwnedFd, Errno> {
    let kind = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let folder = match openat(&at, name, kind | OFlag::O_RDONLY, Mode::empty()) {
        // It is closed even to its owner, who may open it.
        Err(Errno::EACCES) => {
            let closed = openat(&at, name, kind | OFlag::O_PATH, Mode::empty())?;
            let itself = format!("/proc/self/fd/{}", closed.as_raw_fd());
            let opened = fs::set_permissions(itself, fs::Permissions::from_mode(Mode::S_IRWXU.bits()));
            opened.map_err(|error| error.raw_os_error().map_or(Errno::EACCES, Errno::from_raw))?;
            openat(&closed, ".", kind | OFlag::O_RDONLY, Mode::empty())?
        }
        opened => opened?,
    };
    // Whose it was may still run, and fill it again. Without root it is this user's in any case.
    if geteuid().is_root() {
        // Where root may not, it is removed all the same.
        let _ = fchown(&folder, Some(geteuid()), None);
    }
    fchmod(&folder, Mode::S_IRWXU)?;
    Ok(folder)
}

/// The first names of a folder, of all that it has.
fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let kind = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut entries = Dir::openat(folder, ".", kind, Mode::empty())?;
    let mut names = Vec::new();
    for entry in entries.iter() {
        let entry = entry?;
        if ![c".", c".."].contains(&entry.file_name()) {
            names.push(entry.file_name().to_owned());
        }
        if names.len() == BATCH {
            break;
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    /// A folder that is nobody's to remove, with a file and a folder in it.
    fn outside(dir: &Path) -> PathBuf {
        let outside = dir.join("outside");
        fs::create_dir_all(outside.join("folder")).unwrap();
        fs::write(outside.join("file"), "x").unwrap();
        fs::set_permissions(&outside, fs::Permissions::from_mode(0o751)).unwrap();
        outside
    }

    fn is_untouched(outside: &Path) -> bool {
        mode(outside) == 0o751 && outside.join("folder").exists() && outside.join("file").exists()
    }

    #[test]
    fn whatever_an_action_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("a/b/c")).unwrap();
        fs::create_dir_all(top.join(".1/full")).unwrap();
        fs::write(top.join(".2"), "x").unwrap();
        fs::create_dir_all(top.join("closed/inside")).unwrap();
        fs::write(top.join("a/b/file"), "x").unwrap();
        let outside = outside(dir.path());
        symlink(outside.join("file"), top.join("link")).unwrap();
        symlink(&outside, top.join("a/link")).unwrap();
        fs::set_permissions(top.join("closed/inside"), fs::Permissions::from_mode(0o0)).unwrap();
        fs::set_permissions(top.join("closed"), fs::Permissions::from_mode(0o0)).unwrap();
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
        assert!(!top.exists() && is_untouched(&outside));
    }

    #[test]
    fn a_link_in_the_place_of_a_folder_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let outside = outside(dir.path());
        let top = dir.path().join("top");
        symlink(&outside, &top).unwrap();
        assert_eq!(open(AT_FDCWD, &*top).map(drop), Err(Errno::ENOTDIR));
        assert!(remove_tree(&top).is_err() && is_untouched(&outside));
    }

    /// Somebody who still runs swaps a folder and a link for as long as the folder is emptied.
    #[test]
    fn swapping_a_folder_and_a_link_while_it_is_removed_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let outside = outside(dir.path());
        let ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let top = dir.path().join("top");
            let swapping = scope.spawn(|| {
                let (folder, beside) = (dir.path().join("top/b"), dir.path().join("top/c"));
                while !ended.load(Ordering::Relaxed) {
                    // Each fails where the folder is gone at that moment.
                    let _ = fs::rename(&folder, &beside);
                    let _ = symlink(&outside, &folder);
                    let _ = fs::remove_file(&folder);
                    let _ = fs::rename(&beside, &folder);
                }
            });
            for _ in 0..300 {
                for folder in ["a", "b/inner", "d"] {
                    let _ = fs::create_dir_all(top.join(folder));
                    for file in 0..20 {
                        let _ = fs::write(top.join(folder).join(file.to_string()), "x");
                    }
                }
                let _ = remove_tree(&top);
            }
            ended.store(true, Ordering::Relaxed);
            swapping.join().unwrap();
        });
        // What the files of the test were written to by way of the link is not what was removed.
        assert!(is_untouched(&outside));
    }

    #[test]
    fn of_a_folder_of_many_files_few_names_are_held() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        fs::create_dir_all(top.join("many")).unwrap();
        for file in 0..BATCH * 2 + 5 {
            fs::write(top.join("many").join(file.to_string()), "").unwrap();
        }
        let many = open(AT_FDCWD, &top.join("many")).unwrap();
        assert_eq!(names(&many).unwrap().len(), BATCH);
        remove_tree(&top).unwrap();
        assert!(!top.exists());
    }
}
