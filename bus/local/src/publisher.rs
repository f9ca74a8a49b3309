//! Publishing: a call becomes a job of the committer, or is refused at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::TrySendError;

use petrel_bus::{BusError, Output, PublishError, Publisher, Receipt, SoleWriteError, SoleWriter, receipt};

use crate::committer::{Job, Sole};
use crate::log::LocalLog;

/// What a job without records weighs.
const CALL_BYTES: usize = 256;

impl Publisher for LocalLog {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        self.publish_as(None, outputs)
    }
}

/// The right to write until another writer of the name is opened.
pub(crate) struct LocalSoleWriter {
    log: LocalLog,
    sole: Sole,
}

impl LocalSoleWriter {
    /// Ends the right of all earlier ones, whose records are visible when this returns.
    pub(crate) fn open(log: LocalLog, name: &str) -> Result<Self, BusError> {
        let name: Arc<str> = name.into();
        let number = {
            let mut state = log.shared().lock();
            let opened = state.sole_writers.entry(name.clone()).or_default();
            *opened += 1;
            *opened
        };
        let ended = || BusError::Unavailable("the local log has closed".into());
        // What was allowed to an earlier one is in front of this in the committer's queue.
        let passed = log.ask(|answer| Job::Barrier { answer }).ok_or_else(ended)?;
        passed.map_err(|e| BusError::Unavailable(e.to_string()))?;
        Ok(Self { log, sole: Sole { name, number } })
    }
}

impl SoleWriter for LocalSoleWriter {
    fn write(self: Box<Self>, outputs: Vec<Output>) -> Result<(), SoleWriteError> {
        match self.log.publish_as(Some(self.sole), outputs).wait() {
            Ok(_) => Ok(()),
            Err(PublishError::Closed) => Err(SoleWriteError::Superseded),
            Err(PublishError::OutcomeUnknown(why)) => Err(SoleWriteError::OutcomeUnknown(why)),
            Err(error) => Err(SoleWriteError::NotWritten(error.to_string())),
        }
    }
}

impl LocalLog {
    fn publish_as(&self, sole: Option<Sole>, outputs: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = receipt();
        // Whoever dropped the receipt does not want the answer.
        let refuse = |acknowledge: petrel_bus::Acknowledge, error| drop(acknowledge.send(Err(error)));
        let options = &self.shared().options;
        let limit_bytes = options.record_bytes_max;
        if let Some(bytes) = outputs.iter().map(Output::bytes).find(|bytes| *bytes > limit_bytes) {
            refuse(acknowledge, PublishError::TooLarge { bytes, limit_bytes });
            return receipt;
        }
        let bytes = CALL_BYTES + outputs.iter().map(Output::bytes).sum::<usize>();
        let queued_bytes = &self.shared().queued_bytes;
        if queued_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > options.queue_bytes_max {
            queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            refuse(acknowledge, PublishError::Overloaded);
            return receipt;
        }
        match self.queue().try_send(Job::Publish { outputs, bytes, sole, acknowledge }) {
            Ok(()) => {}
            Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => {
                queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
                if let Job::Publish { acknowledge, .. } = job {
                    refuse(acknowledge, PublishError::Overloaded);
                }
            }
        }
        receipt
    }
}
