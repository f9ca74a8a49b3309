//! What an action writes, on its way to the worker while it writes it.

use super::line::Line;
use super::protocol::piece_line;

/// Most bytes that wait for the worker: what comes while they do is left out.
const BYTES_MAX: usize = 256 << 10;

/// Tells the worker what is read, as far as that keeps up: it never holds the guard up.
#[derive(Debug)]
pub struct Outbox {
    /// Bytes that may still be told.
    left_bytes: u64,
    waiting: Vec<u8>,
    sent: usize,
}

impl Outbox {
    /// Will tell at most that many bytes.
    pub fn new(bytes_max: u64) -> Self {
        Self { left_bytes: bytes_max, waiting: Vec::new(), sent: 0 }
    }

    /// Whether anything waits.
    pub fn is_empty(&self) -> bool {
        self.sent == self.waiting.len()
    }

    /// Takes what was read at that place of a stream, or leaves it out: the worker sees the gap by the next place.
    pub fn take(&mut self, fd: i32, offset: u64, bytes: &[u8]) {
        let told = &bytes[..bytes.len().min(usize::try_from(self.left_bytes).unwrap_or(usize::MAX))];
        if told.is_empty() || self.waiting.len() - self.sent + told.len() > BYTES_MAX {
            return;
        }
        self.left_bytes -= told.len() as u64;
        self.waiting.drain(..std::mem::take(&mut self.sent));
        self.waiting.extend_from_slice(piece_line(fd, offset, told.len()).as_bytes());
        self.waiting.extend_from_slice(told);
    }

    /// Sends what the worker takes without waiting for it.
    pub fn pump(&mut self, worker: &mut Line) {
        self.sent += worker.tell_at_once(&self.waiting[self.sent..]);
        if self.is_empty() {
            self.waiting.clear();
            self.sent = 0;
        }
    }

    /// Sends the rest, and waits for it.
    pub fn finish(&mut self, worker: &mut Line) {
        worker.tell(&self.waiting[self.sent..]);
        self.waiting.clear();
        self.sent = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_worker_that_does_not_read_holds_nothing_up_and_gets_whole_pieces() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let (mut worker, mut outbox) = (Line::new(theirs), Outbox::new(u64::MAX));
        for n in 0..1_000_u64 {
            outbox.take(1, n * 4_096, &[b'x'; 4_096]);
            outbox.pump(&mut worker);
        }
        assert!(outbox.waiting.len() <= BYTES_MAX + (64 << 10));
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            ours.read_to_end(&mut all).unwrap();
            all
        });
        outbox.finish(&mut worker);
        drop(worker);
        let (all, mut rest, mut pieces) = (reader.join().unwrap(), 0, 0);
        while rest < all.len() {
            let line_end = rest + all[rest..].iter().position(|byte| *byte == b'\n').unwrap();
            assert!(all[rest..].starts_with(b"output 1 ") && all[rest..line_end].ends_with(b" 4096"));
            assert!(all[line_end + 1..][..4_096].iter().all(|byte| *byte == b'x'));
            (rest, pieces) = (line_end + 1 + 4_096, pieces + 1);
        }
        assert!(pieces > 10 && pieces < 1_000, "{pieces}");
    }

    #[test]
    fn no_more_is_told_than_may_be() {
        let mut outbox = Outbox::new(5);
        outbox.take(2, 0, b"abc");
        outbox.take(2, 3, b"def");
        outbox.take(2, 6, b"ghi");
        assert_eq!(String::from_utf8_lossy(&outbox.waiting), "output 2 0 3\nabcoutput 2 3 2\nde");
    }
}
