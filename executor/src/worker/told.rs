//! The way back: what a worker tells the owner beside it of an attempt that this owner started, in memory. The owner
//! commits it with the state that it leads to; until then the worker keeps it, and whatever happens meanwhile, it
//! tells it over the log instead.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use petrel_bus::Waker;
use petrel_execution::owner::Message;
use petrel_execution::worker::Final;
use petrel_schemas::IdError;
use tokio::sync::oneshot;

/// Largest end that is told in memory, in bytes of its texts.
const TOLD_BYTES_MAX: usize = 64 << 10;

/// What is told to one thread of owners and is not committed yet.
#[derive(Clone)]
pub struct Told(Arc<Inner>);

struct Inner {
    bytes_max: usize,
    waiting: Mutex<Vec<Arc<Letter>>>,
    waker: Mutex<Option<Waker>>,
}

/// How an attempt ended, on its way to the owner of a partition.
#[derive(Debug)]
pub struct Letter {
    /// Number of the partition whose owner started the attempt.
    pub partition: u32,
    end: Final,
    /// Answered once it is committed; dropped where it is not taken, or is not waited for any more.
    answer: Mutex<Option<oneshot::Sender<()>>>,
}

/// Where the end of an attempt goes.
#[derive(Debug, Clone)]
pub struct Owner {
    told: Told,
    partition: u32,
}

/// An end that is on its way. Dropping it takes the letter back; where it is being committed just now, that is not
/// undone.
#[derive(Debug)]
pub struct Telling {
    letter: Arc<Letter>,
    /// Resolves once it is committed; fails where it is not taken.
    pub committed: oneshot::Receiver<()>,
}

impl Told {
    /// Nothing is told yet. Ends of more than half of what a record may have go over the log, which says what it does
    /// not take, and is told a shorter one: what an owner writes of an end is a little larger.
    pub fn new(record_bytes_max: usize) -> Self {
        let bytes_max = TOLD_BYTES_MAX.min(record_bytes_max / 2);
        Self(Arc::new(Inner { bytes_max, waiting: Mutex::default(), waker: Mutex::default() }))
    }

    /// The owner of one of the thread's partitions.
    pub fn owner(&self, partition: u32) -> Owner {
        Owner { told: self.clone(), partition }
    }

    /// What waits now, in the order in which it was told.
    pub fn waiting(&self) -> Vec<Arc<Letter>> {
        let mut waiting = lock(&self.0.waiting);
        waiting.retain(|letter| letter.waits());
        waiting.clone()
    }

    /// How to wake the thread.
    pub fn wake_with(&self, waker: Waker) {
        *lock(&self.0.waker) = Some(waker);
    }
}

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Told").field("waiting", &lock(&self.0.waiting).len()).finish_non_exhaustive()
    }
}

impl Letter {
    /// As an owner takes it.
    ///
    /// # Errors
    /// If it names no execution.
    pub fn message(&self) -> Result<Message, IdError> {
        Message::of_result(self.end.clone().into_record())
    }

    /// Whether it has no answer, and somebody waits for one.
    pub fn waits(&self) -> bool {
        lock(&self.answer).is_some()
    }

    /// It is committed. Whoever told it may have given up, and tells it again: then it is stale.
    pub fn committed(&self) {
        if let Some(answer) = lock(&self.answer).take() {
            answer.send(()).unwrap_or_default();
        }
    }

    /// It is not taken here.
    pub fn refuse(&self) {
        drop(lock(&self.answer).take());
    }
}

impl Owner {
    /// Tells how an attempt ended; none if it is too large for this way. Where somebody waits for it, the owner's thread
    /// is woken; else it finds it when it has other work, and soon in any case: two transactions are one then.
    pub fn tell(&self, end: &Final, is_awaited: bool) -> Option<Telling> {
        let Self { told, partition } = self;
        if end.text_bytes() > told.0.bytes_max {
            return None;
        }
        let (answer, committed) = oneshot::channel();
        let (end, answer) = (end.clone(), Mutex::new(Some(answer)));
        let letter = Arc::new(Letter { partition: *partition, end, answer });
        lock(&told.0.waiting).push(letter.clone());
        if is_awaited {
            let waker = lock(&told.0.waker).clone();
            waker.iter().for_each(|wake| wake());
        }
        Some(Telling { letter, committed })
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.letter.refuse();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Everything is put in or taken out as a whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
