//! What commands write at hosts, told while they write it.
//!
//! An attempt has one standard output and one standard error, and many hosts write to it. Of a single host everything is
//! told as it comes. Of several, whole lines are, each behind the name of its host, as their result is by host: so what two
//! write at the same time does not run into each other. A line of one host between two of another one would hide a
//! secret of several lines from whatever masks the whole, so each host's output is masked for itself before that.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_secrets::{Mask, OwnMaskStream};

use crate::live::Live;

/// Longest line of a host that is told as one, in bytes; a longer one is told in several.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Where all hosts of an attempt tell what they write.
#[derive(Debug)]
pub(super) struct Telling {
    live: Live,
    mask: Arc<Mask>,
    /// Whether lines bear the names of their hosts.
    is_labelled: bool,
    /// How much was written to either stream.
    written_bytes: Mutex<[u64; 2]>,
}

impl Telling {
    pub(super) fn new(live: &Live, mask: &Arc<Mask>, hosts: usize) -> Arc<Self> {
        let (live, mask) = (live.clone(), mask.clone());
        Arc::new(Self { live, mask, is_labelled: hosts > 1, written_bytes: Mutex::default() })
    }

    /// Where a host tells it.
    pub(super) fn host(self: &Arc<Self>, name: &str) -> HostTelling {
        let stream = || OneStream {
            masked: self.is_labelled.then(|| OwnMaskStream::new(self.mask.clone(), 0)),
            line: Vec::new(),
        };
        HostTelling { telling: self.clone(), label: format!("{name}: "), streams: [stream(), stream()] }
    }

    /// All hosts are done; `is_whole` says whether they wrote what they wanted to.
    pub(super) fn end(&self, is_whole: bool) {
        self.live.end(*self.written(), is_whole);
    }

    /// The next bytes of a stream, of whatever host. The lock is held until they are queued: they are told in the order of
    /// their places.
    fn tell(&self, stream: usize, bytes: &[u8]) {
        let mut written = self.written();
        let offset = written[stream];
        written[stream] += bytes.len() as u64;
        if !self.is_over(&written) {
            self.live.tell(if stream == 0 { 1 } else { 2 }, offset, bytes);
        }
    }

    /// Whether more was written than is worth telling.
    fn is_over(&self, written: &[u64; 2]) -> bool {
        written.iter().sum::<u64>() > self.live.bytes_max()
    }

    fn written(&self) -> MutexGuard<'_, [u64; 2]> {
        self.written_bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a host tells what it writes. When it is dropped, the host was cut short.
pub(super) struct HostTelling {
    telling: Arc<Telling>,
    label: String,
    streams: [OneStream; 2],
}

struct OneStream {
    /// Masks it, where lines of others come in between.
    masked: Option<OwnMaskStream>,
    /// A line that has no end yet.
    line: Vec<u8>,
}

impl HostTelling {
    /// It wrote this to its standard output (0) or error (1).
    pub(super) fn wrote(&mut self, stream: usize, bytes: &[u8]) {
        let Some(masked) = &mut self.streams[stream].masked else { return self.telling.tell(stream, bytes) };
        // What nobody is told is not looked at either.
        if self.telling.is_over(&self.telling.written()) {
            self.streams[stream].line.clear();
            return self.telling.tell(stream, bytes);
        }
        let mut clear = Vec::new();
        masked.push(bytes, &mut clear);
        self.lines(stream, &clear);
    }

    /// It is done, and wrote what it wanted to.
    pub(super) fn finish(mut self) {
        self.end(true);
    }

    fn end(&mut self, is_whole: bool) {
        for stream in 0..self.streams.len() {
            let Some(masked) = self.streams[stream].masked.take() else { continue };
            let mut rest = Vec::new();
            masked.finish(!is_whole, &mut rest);
            self.lines(stream, &rest);
            let line = std::mem::take(&mut self.streams[stream].line);
            if !line.is_empty() {
                self.line(stream, &line);
            }
        }
    }

    /// Tells the lines that are whole by now.
    fn lines(&mut self, stream: usize, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(LINE_BYTES_MAX) {
                self.streams[stream].line.extend_from_slice(part);
                let line = &self.streams[stream].line;
                if line.ends_with(b"\n") || line.len() >= LINE_BYTES_MAX {
                    let line = std::mem::take(&mut self.streams[stream].line);
                    self.line(stream, &line);
                }
            }
        }
    }

    fn line(&self, stream: usize, line: &[u8]) {
        let mut told = self.label.clone().into_bytes();
        told.extend_from_slice(line);
        if !told.ends_with(b"\n") {
            told.push(b'\n');
        }
        self.telling.tell(stream, &told);
    }
}

impl Drop for HostTelling {
    fn drop(&mut self) {
        self.end(false);
    }
}
