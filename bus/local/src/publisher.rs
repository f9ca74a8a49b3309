//! Publishing: a call becomes a job of the committer, or is refused at once.

use std::sync::atomic::Ordering;
use std::sync::mpsc::TrySendError;

use petrel_bus::{Output, PublishError, Publisher, Receipt, receipt};

use crate::committer::Job;
use crate::log::LocalLog;

/// What a job without records weighs.
const CALL_BYTES: usize = 256;

impl Publisher for LocalLog {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
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
        match self.queue().try_send(Job::Publish { outputs, bytes, acknowledge }) {
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
