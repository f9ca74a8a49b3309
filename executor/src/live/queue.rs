//! What an attempt has written and nobody has published yet.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

/// Some bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// 0 is standard output, 1 standard error.
    pub(super) stream: usize,
    /// Where it stands in the stream, in bytes.
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    /// How much it wrote to either stream, where that is known.
    pub(super) written_bytes: Option<[u64; 2]>,
    /// Whether it wrote what it wanted to.
    pub(super) is_whole: bool,
}

/// Bounded: what has no room is left out, which shows by the places of what comes later.
#[derive(Debug)]
pub(super) struct Queue {
    bytes_max: usize,
    inner: Mutex<Inner>,
    ended: watch::Sender<Option<Ended>>,
    /// Told when there is something, and when there is much.
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    pieces: Vec<Piece>,
    bytes: usize,
    has_begun: bool,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, inner: Mutex::default(), ended: watch::Sender::new(None), arrived: Notify::new() }
    }

    /// Takes a piece, or leaves it out; whether it is the first one.
    pub(super) fn push(&self, piece: Piece) -> bool {
        let mut inner = self.lock();
        if inner.bytes + piece.bytes.len() <= self.bytes_max {
            inner.bytes += piece.bytes.len();
            inner.pieces.push(piece);
        }
        let is_first = !std::mem::replace(&mut inner.has_begun, true);
        drop(inner);
        self.arrived.notify_one();
        is_first
    }

    /// Nothing more comes; the first who says so is right.
    pub(super) fn end(&self, ended: Ended) {
        self.ended.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(ended);
            is_first
        });
    }

    /// Waits for something, and a while longer for more; less long where that is much or nothing more comes. Then what
    /// there is, and how the attempt ended if it has.
    pub(super) async fn next(&self, wait: Duration) -> (Vec<Piece>, Option<Ended>) {
        let until = async |bytes: usize| {
            tokio::select! {
                () = self.has(bytes) => {}
                () = self.has_ended() => {}
            }
        };
        until(1).await;
        let _ = tokio::time::timeout(wait, until(self.bytes_max / 2)).await;
        // Looked at first: what is queued then is all that comes.
        let ended = *self.ended.borrow();
        let mut inner = self.lock();
        inner.bytes = 0;
        (std::mem::take(&mut inner.pieces), ended)
    }

    /// Until nothing more comes.
    pub(super) async fn has_ended(&self) {
        // The sender is here.
        let _ = self.ended.subscribe().wait_for(Option::is_some).await;
    }

    /// Until so many bytes wait. Only one at a time may wait for that.
    async fn has(&self, bytes: usize) {
        while self.lock().bytes < bytes {
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
