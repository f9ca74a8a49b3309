//! Writing from outside of a stage: HTTP, sensors, workers' reports, the catalog.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;

use crate::record::Output;
use crate::session::TopicPartition;

/// Why records were not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nothing was written; the same call may succeed later.
    #[error("the log cannot be written to now: {0}")]
    Unavailable(String),
    /// They may have been written or not; writing them again must be harmless.
    #[error("it is not known whether the records were written: {0}")]
    OutcomeUnknown(String),
    /// A record is over the log's limit; nothing was written.
    #[error("a record of {bytes} bytes is over the limit of {limit_bytes}")]
    TooLarge {
        /// Size of key and value.
        bytes: usize,
        /// What the topic takes.
        limit_bytes: usize,
    },
    /// The topic does not exist; nothing was written.
    #[error("there is no topic {0}")]
    UnknownTopic(String),
    /// Too much is waiting to be written; nothing was written.
    #[error("too many records wait to be written")]
    Overloaded,
    /// The process is shutting down; nothing was written.
    #[error("shutting down")]
    Closed,
}

/// What an acknowledged call returns: where each record went, in the order given. Offsets are `None`
/// where the bus does not tell.
pub type Written = Vec<(TopicPartition, Option<i64>)>;

/// Resolves when the records are durable and visible, or are known not to be.
#[derive(Debug)]
pub struct Receipt(oneshot::Receiver<Result<Written, PublishError>>);

/// The other end of a [`Receipt`].
pub type Acknowledge = oneshot::Sender<Result<Written, PublishError>>;

/// A receipt and its other end.
pub fn receipt() -> (Acknowledge, Receipt) {
    let (sender, receiver) = oneshot::channel();
    (sender, Receipt(receiver))
}

impl Receipt {
    /// Blocks the thread until it resolves; never call it on an async runtime's thread.
    ///
    /// # Errors
    /// See [`PublishError`].
    pub fn wait(self) -> Result<Written, PublishError> {
        futures_executor::block_on(self)
    }
}

impl Future for Receipt {
    type Output = Result<Written, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| {
            answer
                .unwrap_or_else(|_| Err(PublishError::OutcomeUnknown("the publisher ended before it answered".into())))
        })
    }
}

/// Writes records from outside of a stage. Cheap to share; calls of several callers may be committed
/// together.
pub trait Publisher: Send + Sync {
    /// Writes all of these or none. Records of one caller with the same key keep their order.
    fn publish(&self, outputs: Vec<Output>) -> Receipt;
}

/// Why a [`SoleWriter`] has not written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SoleWriteError {
    /// Another writer of the name was opened since this one. Nothing was written.
    #[error("another writer was opened since")]
    Superseded,
    /// Nothing was written; a new writer may succeed.
    #[error("nothing was written: {0}")]
    NotWritten(String),
    /// They may have been written or not. Once another writer of the name was opened, whoever reads to the end
    /// of the log knows.
    #[error("it is not known whether the records were written: {0}")]
    OutcomeUnknown(String),
}

/// The right to write one transaction under a name, until somebody opens another writer of that name; see
/// [`crate::Bus::sole_writer`].
pub trait SoleWriter: Send {
    /// Writes all of these or none, and blocks until they are durable and visible.
    ///
    /// # Errors
    /// See [`SoleWriteError`].
    fn write(self: Box<Self>, outputs: Vec<Output>) -> Result<(), SoleWriteError>;
}
