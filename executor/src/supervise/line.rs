//! The guard's end of the stream to its worker.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::clock::boot_ms;
use super::protocol::{Control, JOB_BYTES_MAX, Job, STDIN_BYTES_MAX};
use super::timer::Timer;
use super::wait::wait;

/// The first byte of a job.
const JOB_BEGINS: u8 = b'{';
/// Room for what is not read yet that is kept from action to action, in bytes.
const KEPT_BYTES: usize = 64 << 10;

/// Lines from the worker, and what is told to it.
pub struct Line {
    stream: UnixStream,
    unread: Vec<u8>,
    /// Bytes at its beginning that hold no line feed: a long job comes in many pieces.
    seen: usize,
    /// The worker is gone.
    pub closed: bool,
}

impl Line {
    /// Nothing was read yet.
    pub fn new(stream: UnixStream) -> Self {
        Self { stream, unread: Vec::new(), seen: 0, closed: false }
    }

    /// Waits for the job and for the bytes of its standard input; nothing if the worker is gone before. What it has said
    /// until then was for the action before.
    ///
    /// # Errors
    /// If it is over a limit, or no job.
    pub fn read_job(&mut self) -> io::Result<Option<(Job, Vec<u8>)>> {
        let too_large = || io::Error::new(ErrorKind::InvalidData, "a job is over its limit");
        let job: Job = loop {
            if let Some(line) = self.next_line() {
                match std::str::from_utf8(&line).ok().and_then(Control::parse) {
                    Some(_) => continue,
                    None => break serde_json::from_slice(&line)?,
                }
            }
            if self.closed {
                return Ok(None);
            }
            if self.unread.len() > JOB_BYTES_MAX {
                return Err(too_large());
            }
            self.fill();
        };
        if job.stdin_bytes > STDIN_BYTES_MAX {
            return Err(too_large());
        }
        while self.unread.len() < job.stdin_bytes && !self.closed {
            self.fill();
        }
        if self.unread.len() < job.stdin_bytes {
            return Ok(None);
        }
        let stdin = self.unread.drain(..job.stdin_bytes).collect();
        Ok(Some((job, stdin)))
    }

    /// Waits for a job to begin to come, until that instant of `CLOCK_BOOTTIME`, in milliseconds, and for as long as neither
    /// the worker is gone nor this has anything; whether it does. What was meant for the action before is left out.
    pub fn await_job(&mut self, end_ms: u64, other: BorrowedFd<'_>, timer: &Timer) -> bool {
        // The input of one action may have been large, and room for it is not kept for as long as there are others.
        self.unread.shrink_to(KEPT_BYTES);
        loop {
            let begins = |line: &[u8]| std::str::from_utf8(line).ok().and_then(Control::parse).is_none();
            while let Some(end) =
                self.unread.iter().position(|byte| *byte == b'\n').filter(|end| !begins(&self.unread[..*end]))
            {
                self.unread.drain(..=end);
            }
            self.seen = 0;
            if self.unread.first() == Some(&JOB_BEGINS) {
                return true;
            }
            if self.closed || boot_ms() >= end_ms {
                return false;
            }
            let stream = PollFd::new(self.stream.as_fd(), PollFlags::POLLIN);
            let mut fds = vec![stream, PollFd::new(other, PollFlags::POLLIN)];
            wait(&mut fds, timer, Some(end_ms));
            let is_ready = |at: usize| fds.get(at).and_then(PollFd::revents).is_some_and(|events| !events.is_empty());
            let (says, is_other) = (is_ready(0), is_ready(1));
            if is_other {
                return false;
            }
            if says {
                self.fill();
            }
        }
    }

    /// Reads once; blocks only if there is nothing.
    pub fn fill(&mut self) {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(bytes) if bytes > 0 => self.unread.extend_from_slice(&buffer[..bytes]),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            _ => self.closed = true,
        }
    }

    /// What the worker has said by now, without waiting for more.
    pub fn hear_at_once(&mut self) -> Vec<Control> {
        let is_readable = |stream: &UnixStream| {
            let mut fds = [PollFd::new(stream.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
        };
        while !self.closed && is_readable(&self.stream) {
            self.fill();
        }
        std::iter::from_fn(|| self.next()).collect()
    }

    /// The next thing that the worker wants, of what was read.
    pub fn next(&mut self) -> Option<Control> {
        while let Some(line) = self.next_line() {
            if let Some(control) = std::str::from_utf8(&line).ok().and_then(Control::parse) {
                return Some(control);
            }
        }
        None
    }

    /// Tells the worker something. One that is gone is noticed when it is read from.
    pub fn tell(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Tells as much as the worker takes without waiting for it; how many bytes. What is told later goes on there.
    pub fn tell_at_once(&mut self, bytes: &[u8]) -> usize {
        if bytes.is_empty() || self.stream.set_nonblocking(true).is_err() {
            return 0;
        }
        let mut told = 0;
        while told < bytes.len() {
            match self.stream.write(&bytes[told..]) {
                Ok(more) if more > 0 => told += more,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // One that is gone is noticed when it is read from.
                _ => break,
            }
        }
        // What cannot be undone shows as a worker that is gone.
        self.closed |= self.stream.set_nonblocking(false).is_err();
        told
    }

    fn next_line(&mut self) -> Option<Vec<u8>> {
        let found = self.unread[self.seen..].iter().position(|b| *b == b'\n');
        let Some(end) = found.map(|at| self.seen + at) else {
            self.seen = self.unread.len();
            return None;
        };
        self.seen = 0;
        let mut line: Vec<u8> = self.unread.drain(..=end).collect();
        line.pop();
        Some(line)
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::pipe;

    use super::*;

    #[test]
    fn what_was_meant_for_the_action_before_is_no_job_and_ends_none() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (other, other_end) = pipe().unwrap();
        let (mut line, timer) = (Line::new(theirs), Timer::new().unwrap());
        ours.write_all(b"lease 5\ncancel\nlea").unwrap();
        assert!(!line.await_job(boot_ms() + 50, other.as_fd(), &timer));
        ours.write_all(b"se 6\n{\"argv\"").unwrap();
        assert!(line.await_job(boot_ms() + 10_000, other.as_fd(), &timer));
        // A job alone begins like this.
        assert!(line.unread.starts_with(b"{\"argv\"") && line.next().is_none());
        let mut line = Line::new(ours);
        drop(other_end);
        assert!(!line.await_job(u64::MAX, other.as_fd(), &timer));
        drop(line);
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (other, _other_end) = pipe().unwrap();
        drop(ours);
        assert!(!Line::new(theirs).await_job(u64::MAX, other.as_fd(), &timer));
    }
}
