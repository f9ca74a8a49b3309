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

    /// Reads what is still there once nobody should be left to write: at most that much, in bytes, for an end of the pipe
    /// that was handed to somebody else keeps it open, and may keep it full.
    pub fn drain(&mut self, buffer: &mut [u8], bytes_max: usize) {
        let (mut read_bytes, mut buffer_bytes) = (0, buffer.len());
        while let Some(stream) = &mut self.stream {
            buffer_bytes = buffer_bytes.min(bytes_max - read_bytes);
            if buffer_bytes == 0 {
                self.truncated = true;
                return;
            }
            match stream.read(&mut buffer[..buffer_bytes]) {
                Ok(0) => return,
                Ok(read) => {
                    self.keep(&buffer[..read]);
                    read_bytes += read;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
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

#[cfg(test)]
mod tests {
    use std::io::{self, Write, pipe};
    use std::os::fd::OwnedFd;

    use super::*;

    /// Never empty, as a pipe is that somebody else fills.
    struct Endless(OwnedFd);

    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            buffer.fill(b'x');
            Ok(buffer.len())
        }
    }

    impl AsFd for Endless {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }

    #[test]
    fn what_never_ends_is_drained_to_a_bound() {
        let (_reader, writer) = pipe().unwrap();
        let mut endless = Capture::new(Endless(writer.into()), 1 << 20).unwrap();
        endless.drain(&mut [0; 7], 100);
        let (kept, truncated) = endless.finish();
        assert_eq!((kept.len(), truncated), (100, true));
    }

    #[test]
    fn what_is_still_in_a_pipe_is_kept_though_it_stays_open() {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"the rest").unwrap();
        let mut open = Capture::new(reader, 1 << 20).unwrap();
        open.drain(&mut [0; 3], 100);
        assert_eq!(open.finish(), (b"the rest".to_vec(), false));
    }
}
