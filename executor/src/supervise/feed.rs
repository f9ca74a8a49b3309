//! What is still to be written to an action's standard input.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// A pipe, and what is not written to it yet.
pub struct Feed {
    pipe: File,
    bytes: Vec<u8>,
    written: usize,
}

impl Feed {
    /// Nothing was written yet.
    ///
    /// # Errors
    /// If the pipe cannot be made non-blocking.
    pub fn new(pipe: OwnedFd, bytes: Vec<u8>) -> io::Result<Self> {
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { pipe: pipe.into(), bytes, written: 0 })
    }

    /// Writes what there is room for; whether anything is left.
    pub fn pump(&mut self) -> bool {
        while self.written < self.bytes.len() {
            match self.pipe.write(&self.bytes[self.written..]) {
                Ok(written) => self.written += written,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                // The action reads no further, and that is its own affair.
                Err(_) => return false,
            }
        }
        false
    }
}

impl AsFd for Feed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
