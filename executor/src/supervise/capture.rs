//! Reads a stream to its end and keeps its head.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

/// Reads of one call to [`Capture::pump`]: a flood must not keep the supervisor from its deadlines.
const READS_MAX: usize = 16;

/// A pipe and what was kept of it.
#[derive(Debug)]
pub struct Capture<R> {
    stream: Option<R>,
    kept: Vec<u8>,
    bytes_max: usize,
    truncated: bool,
}

impl<R: Read + AsFd> Capture<R> {
    /// Will keep at most `bytes_max`.
    ///
    /// # Errors
    /// If the stream cannot be made non-blocking.
    pub fn new(stream: R, bytes_max: usize) -> std::io::Result<Self> {
        fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { stream: Some(stream), kept: Vec::new(), bytes_max, truncated: false })
    }

    /// The stream, while it may bring more.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.stream.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, a bounded amount; whether it may be worth calling again at once.
    pub fn pump(&mut self, buffer: &mut [u8]) -> bool {
        for _ in 0..READS_MAX {
            let Some(stream) = &mut self.stream else { return false };
            match stream.read(buffer) {
                Ok(0) => self.stream = None,
                Ok(read) => self.keep(&buffer[..read]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => self.stream = None,
            }
        }
        self.stream.is_some()
    }

    /// What was kept, and whether there was more.
    pub fn finish(self) -> (Vec<u8>, bool) {
        (self.kept, self.truncated)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = self.bytes_max - self.kept.len();
        let kept = bytes.len().min(room);
        self.kept.extend_from_slice(&bytes[..kept]);
        self.truncated |= kept < bytes.len();
    }
}
