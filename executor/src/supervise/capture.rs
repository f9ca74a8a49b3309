//! Reads a stream to its end and keeps both ends of it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::protocol::StreamReport;

/// Reads of one call to [`Capture::pump`]: a flood must not keep the supervisor from its deadlines.
const READS_MAX: usize = 16;

/// Told of what was read: where it stands in the stream, and the bytes.
pub type Told<'t> = dyn FnMut(u64, &[u8]) + 't;

/// A pipe and what was kept of it: its beginning, and of what came behind it the latest.
#[derive(Debug)]
pub struct Capture<R> {
    stream: Option<R>,
    head: Vec<u8>,
    rest: VecDeque<u8>,
    read_bytes: u64,
    bytes_max: usize,
    lead_bytes: usize,
    is_cut_off: bool,
}

/// What was kept of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// All of it, or its beginning.
    pub head: Vec<u8>,
    /// What stood before the tail.
    pub lead: Vec<u8>,
    /// Its end, where the middle was left out.
    pub tail: Vec<u8>,
    /// All that was read.
    pub read_bytes: u64,
    /// Whether more was written than kept.
    pub truncated: bool,
}

impl Kept {
    /// As it is reported, of a stream that the action saw as that descriptor.
    pub fn report(&self, fd: i32) -> StreamReport {
        let Self { head, lead, tail, read_bytes, truncated } = self;
        StreamReport {
            fd,
            bytes: head.len(),
            lead_bytes: lead.len(),
            tail_bytes: tail.len(),
            read_bytes: *read_bytes,
            truncated: *truncated,
        }
    }
}

impl<R: Read + AsFd> Capture<R> {
    /// Will keep at most `bytes_max`, half of it from either end where there is more, and before the end so many bytes of
    /// what led to it.
    ///
    /// # Errors
    /// If the stream cannot be made non-blocking.
    pub fn new(stream: R, bytes_max: usize, lead_bytes: usize) -> std::io::Result<Self> {
        fcntl(&stream, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let (stream, head, rest) = (Some(stream), Vec::new(), VecDeque::new());
        Ok(Self { stream, head, rest, read_bytes: 0, bytes_max, lead_bytes, is_cut_off: false })
    }

    /// The stream, while it may bring more.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.stream.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, a bounded amount; whether it may be worth calling again at once.
    pub fn pump(&mut self, buffer: &mut [u8], told: &mut Told<'_>) -> bool {
        for _ in 0..READS_MAX {
            let Some(stream) = &mut self.stream else { return false };
            match stream.read(buffer) {
                Ok(0) => self.stream = None,
                Ok(read) => self.keep(&buffer[..read], told),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return false,
                Err(_) => self.stream = None,
            }
        }
        self.stream.is_some()
    }

    /// Reads what is still there once nobody should be left to write: at most that much, in bytes, for an end of the pipe
    /// that was handed to somebody else keeps it open, and may keep it full.
    pub fn drain(&mut self, buffer: &mut [u8], bytes_max: usize, told: &mut Told<'_>) {
        let (mut read_bytes, mut buffer_bytes) = (0, buffer.len());
        while let Some(stream) = &mut self.stream {
            buffer_bytes = buffer_bytes.min(bytes_max - read_bytes);
            if buffer_bytes == 0 {
                self.is_cut_off = true;
                return;
            }
            match stream.read(&mut buffer[..buffer_bytes]) {
                Ok(0) => self.stream = None,
                Ok(read) => {
                    self.keep(&buffer[..read], told);
                    read_bytes += read;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// Whether nobody can write to it any more, and all was read.
    pub fn has_ended(&self) -> bool {
        self.stream.is_none()
    }

    /// What was kept.
    pub fn finish(self) -> Kept {
        let Self { mut head, mut rest, read_bytes, bytes_max, .. } = self;
        if read_bytes <= bytes_max as u64 {
            head.extend(rest);
            return Kept { head, read_bytes, truncated: self.is_cut_off, ..Kept::default() };
        }
        let tail = rest.split_off(rest.len() - (bytes_max - head.len()).min(rest.len()));
        Kept { head, lead: rest.into(), tail: tail.into(), read_bytes, truncated: true }
    }

    fn keep(&mut self, bytes: &[u8], told: &mut Told<'_>) {
        told(self.read_bytes, bytes);
        self.read_bytes += bytes.len() as u64;
        let head_max = self.bytes_max.div_ceil(2);
        let (first, later) = bytes.split_at(bytes.len().min(head_max - self.head.len()));
        self.head.extend_from_slice(first);
        let rest_max = self.bytes_max - head_max + self.lead_bytes;
        let later = &later[later.len().saturating_sub(rest_max)..];
        self.rest.drain(..(self.rest.len() + later.len()).saturating_sub(rest_max));
        self.rest.extend(later);
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
        let mut endless = Capture::new(Endless(writer.into()), 1 << 20, 0).unwrap();
        let mut told = 0;
        endless.drain(&mut [0; 7], 100, &mut |_, bytes| told += bytes.len());
        let Kept { head, tail, truncated, .. } = endless.finish();
        assert_eq!((head.len(), tail.len(), truncated, told), (100, 0, true, 100));
    }

    #[test]
    fn what_is_still_in_a_pipe_is_kept_though_it_stays_open() {
        let (reader, mut writer) = pipe().unwrap();
        writer.write_all(b"the rest").unwrap();
        let mut open = Capture::new(reader, 1 << 20, 0).unwrap();
        open.drain(&mut [0; 3], 100, &mut |_, _| {});
        let Kept { head, truncated, .. } = open.finish();
        assert_eq!((&*head, truncated), (&b"the rest"[..], false));
    }

    #[test]
    fn both_ends_are_kept_and_what_led_to_the_later_one() {
        let text: Vec<u8> = (0..=255).collect();
        for (bytes_max, lead_bytes) in [(10, 0), (11, 3), (1, 2), (0, 4), (254, 9), (255, 9), (256, 9), (600, 0)] {
            for piece in [1, 3, 7, 100, 256] {
                let (reader, mut writer) = pipe().unwrap();
                let mut capture = Capture::new(reader, bytes_max, lead_bytes).unwrap();
                let mut told = Vec::new();
                for bytes in text.chunks(piece) {
                    writer.write_all(bytes).unwrap();
                    capture.pump(&mut [0; 50], &mut |offset, bytes| {
                        assert_eq!(offset, told.len() as u64);
                        told.extend_from_slice(bytes);
                    });
                }
                assert_eq!(told, text);
                let Kept { head, lead, tail, read_bytes, truncated } = capture.finish();
                assert_eq!((read_bytes, truncated), (256, bytes_max < 256));
                assert_eq!(head.len() + tail.len(), bytes_max.min(256));
                assert_eq!(lead.len(), lead_bytes.min(256 - head.len() - tail.len()));
                assert!(text.starts_with(&head) && text.ends_with(&[lead, tail].concat()));
            }
        }
    }
}
