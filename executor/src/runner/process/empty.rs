//! Work directories that an action has left as it found them, kept for the next one: making a folder and removing it
//! costs a file system as much as starting a process.
//!
//! It is the same folder, in which nothing is, with the mode, owner, attributes and size that it was made with; that is
//! looked at when an action has ended, and again before the next one begins, for others of the same user could have been
//! there meanwhile. Those that another user had, or that were the place of a confined action, are not kept.
#![allow(unsafe_code)] // libc alone tells attributes of a file.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::dir::Dir;

/// Most of them.
const KEPT_MAX: usize = 64;

/// A folder as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AsMade {
    device: (u32, u32),
    inode: u64,
    kind_and_mode: u16,
    owner: (u32, u32),
    links: u32,
    bytes: u64,
    attributes: u64,
    flags: libc::c_long,
}

/// Folders that nobody uses. What looks at them may wait for a disk.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<Folders>);

#[derive(Debug, Default)]
struct Folders {
    kept: Vec<(PathBuf, AsMade)>,
    /// Its worker ends, and takes none any more.
    is_over: bool,
}

impl Kept {
    /// Keeps one, if it is as it was made and there are not enough; whether it does.
    pub(super) fn keep(&self, path: &Path, as_made: AsMade) -> bool {
        if !is_untouched(path, as_made) {
            return false;
        }
        let mut folders = self.lock();
        let has_room = !folders.is_over && folders.kept.len() < KEPT_MAX;
        if has_room {
            folders.kept.push((path.to_owned(), as_made));
        }
        has_room
    }

    /// The one that was kept last, and whether it still is as it was made.
    pub(super) fn take(&self) -> Option<(PathBuf, AsMade, bool)> {
        let (path, as_made) = self.lock().kept.pop()?;
        let is_untouched = is_untouched(&path, as_made);
        Some((path, as_made, is_untouched))
    }

    /// Keeps none any more; those that were kept.
    pub(super) fn close(&self) -> impl Iterator<Item = PathBuf> + use<> {
        let mut folders = self.lock();
        folders.is_over = true;
        std::mem::take(&mut folders.kept).into_iter().map(|(path, _)| path)
    }

    fn lock(&self) -> MutexGuard<'_, Folders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsMade {
    /// Looks at a folder that is new.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        look(&open(path)?)
    }
}

fn is_untouched(path: &Path, as_made: AsMade) -> bool {
    let look = || {
        let folder = open(path)?;
        let is_same = look(&folder)? == as_made && !has_attributes_of_its_own(&folder)?;
        Ok::<_, io::Error>(is_same && is_empty(folder)?)
    };
    look().unwrap_or(false)
}

/// Reads the folder that was looked at, which is not looked for a second time: paths are long.
fn is_empty(folder: File) -> io::Result<bool> {
    for entry in Dir::from_fd(folder.into())?.iter() {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW).open(path)
}

fn look(folder: &File) -> io::Result<AsMade> {
    // SAFETY: all bytes of the struct may be zero; the kernel writes it, and reads an empty path.
    let found = unsafe {
        let mut found: libc::statx = std::mem::zeroed();
        let at = folder.as_raw_fd();
        if libc::statx(at, c"".as_ptr(), libc::AT_EMPTY_PATH, libc::STATX_BASIC_STATS, &raw mut found) != 0 {
            return Err(io::Error::last_os_error());
        }
        found
    };
    Ok(AsMade {
        device: (found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        kind_and_mode: found.stx_mode,
        owner: (found.stx_uid, found.stx_gid),
        links: found.stx_nlink,
        bytes: found.stx_size,
        attributes: found.stx_attributes,
        flags: flags(folder)?,
    })
}

/// What `chattr` sets and what is made in the folder inherits, most of which `statx` does not tell.
fn flags(folder: &File) -> io::Result<libc::c_long> {
    let mut flags: libc::c_long = 0;
    // SAFETY: the kernel writes no more than there is.
    if unsafe { libc::ioctl(folder.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut flags) } == 0 {
        return Ok(flags);
    }
    match io::Error::last_os_error() {
        // There are none on such a file system.
        error if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EOPNOTSUPP)) => Ok(0),
        error => Err(error),
    }
}

/// Whether somebody has given it names with values, lists of who may do what among them.
fn has_attributes_of_its_own(folder: &File) -> io::Result<bool> {
    // SAFETY: without room for it, the kernel tells a length alone.
    let bytes = unsafe { libc::flistxattr(folder.as_raw_fd(), std::ptr::null_mut(), 0) };
    match bytes {
        0 => Ok(false),
        bytes if bytes > 0 => Ok(true),
        _ => match io::Error::last_os_error() {
            // There are none on such a file system.
            error if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
            error => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_was_changed_in_any_way_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("work");
        fs::create_dir(&path).unwrap();
        let as_made = AsMade::of(&path).unwrap();
        let kept = Kept::default();
        let is_kept = || kept.keep(&path, as_made) && kept.take() == Some((path.clone(), as_made, true));
        assert!(is_kept());
        fs::write(path.join(".hidden"), "").unwrap();
        assert!(!is_kept());
        fs::remove_file(path.join(".hidden")).unwrap();
        assert!(is_kept());
        let mode = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        assert!(!is_kept());
        fs::set_permissions(&path, mode).unwrap();
        assert!(is_kept());
        // SAFETY: texts that end in NUL, and as many bytes as there are.
        let set = unsafe {
            let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            libc::setxattr(path.as_ptr(), c"user.left".as_ptr(), b"x".as_ptr().cast(), 1, 0)
        };
        assert_eq!(is_kept(), set != 0);
        // SAFETY: texts that end in NUL.
        unsafe {
            let path = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
            libc::removexattr(path.as_ptr(), c"user.left".as_ptr());
        }
        assert!(is_kept());
        // Whatever is made in it would be written to the disk at once.
        let folder = open(&path).unwrap();
        let synchronous = as_made.flags | 8;
        // SAFETY: the kernel reads a number.
        let set = unsafe { libc::ioctl(folder.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const synchronous) };
        assert_eq!(is_kept(), set != 0);
        // Another one of its name, and a link to one.
        fs::rename(&path, dir.path().join("moved")).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!is_kept());
        fs::remove_dir(&path).unwrap();
        std::os::unix::fs::symlink(dir.path().join("moved"), &path).unwrap();
        assert!(!is_kept());
    }

    #[test]
    fn what_comes_into_a_folder_while_it_is_kept_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("work");
        fs::create_dir(&path).unwrap();
        let (kept, as_made) = (Kept::default(), AsMade::of(&path).unwrap());
        assert!(kept.keep(&path, as_made));
        fs::write(path.join("file"), "").unwrap();
        assert!(kept.take().is_some_and(|(_, _, is_untouched)| !is_untouched) && kept.take().is_none());
    }

    #[test]
    fn a_worker_that_has_ended_keeps_none() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, as_made) = (Kept::default(), AsMade::of(dir.path()).unwrap());
        assert!(kept.keep(dir.path(), as_made));
        assert_eq!(kept.close().collect::<Vec<_>>(), [dir.path()]);
        assert!(!kept.keep(dir.path(), as_made) && kept.take().is_none());
    }
}
