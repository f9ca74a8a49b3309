//! Two services of the operating system: anonymous files, and a signal when the parent dies.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::{Path, PathBuf};

/// A file that only this process can see, for the body of an insert.
///
/// The engine cuts binary data behind an inline `INSERT … FORMAT` silently at the first empty line;
/// reading it from a file, it takes all of it.
pub(super) struct BodyFile {
    file: File,
    /// Set where there is no memfd: a real file, to be removed.
    on_disk: Option<PathBuf>,
}

impl BodyFile {
    /// Writes the parts one after the other. Where the system has no memfd, the file is in `directory`.
    pub(super) fn write(parts: &[&[u8]], directory: &Path) -> io::Result<Self> {
        let mut body = Self::create(directory)?;
        for part in parts {
            body.file.write_all(part)?;
        }
        body.file.flush()?;
        Ok(body)
    }

    fn create(directory: &Path) -> io::Result<Self> {
        // SAFETY: the name is a NUL-terminated constant; the call touches nothing else.
        let fd = unsafe { libc::memfd_create(c"petrel-insert".as_ptr(), libc::MFD_CLOEXEC) };
        if fd >= 0 {
            // SAFETY: the descriptor is new and nobody else's.
            return Ok(Self { file: unsafe { File::from_raw_fd(fd) }, on_disk: None });
        }
        let name = format!("petrel-insert-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = directory.join(name.replace(['(', ')'], "-"));
        let file = File::options().create(true).truncate(true).read(true).write(true).open(&path)?;
        Ok(Self { file, on_disk: Some(path) })
    }

    /// Where the engine finds it.
    pub(super) fn path(&self) -> String {
        match &self.on_disk {
            Some(path) => path.to_string_lossy().into_owned(),
            None => format!("/proc/self/fd/{}", self.file.as_raw_fd()),
        }
    }
}

impl Drop for BodyFile {
    fn drop(&mut self) {
        if let Some(path) = &self.on_disk {
            // It is removed again when the next insert of this thread overwrites it.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Asks for SIGKILL when the thread that started this process ends.
pub(super) fn die_with_parent() -> io::Result<()> {
    // SAFETY: prctl with this option takes one integer and touches no memory.
    let answer = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
