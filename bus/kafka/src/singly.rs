//! Records that are written each by itself: without a transaction, once each, in order (KIP-98, idempotent producer).
//!
//! Most calls from outside of a stage are one record: a heartbeat, a result, an event. A transaction of one record
//! adds nothing but five requests to the broker.

use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{BusError, Output, PublishError};

use crate::context::Delivery;
use crate::faults::bus_error;
use crate::options::KafkaOptions;
use crate::sending::Sending;

/// Records time out by themselves; how much longer that is waited for.
const DELIVERY_GRACE: Duration = Duration::from_secs(1);

pub(crate) struct Singly {
    timeout: Duration,
    sending: Sending,
}

impl Singly {
    pub(crate) fn connect(options: &Arc<KafkaOptions>, name: &str) -> Result<Self, BusError> {
        let sending = Sending::create(&options.single_producer(), name);
        let sending = sending.map_err(|e| bus_error(&format!("cannot write as {name}"), &e))?;
        Ok(Self { timeout: Duration::from_millis(options.publish_timeout_ms), sending })
    }

    /// Writes records to partitions, and waits until it is known what became of each: its offset, or why not.
    pub(crate) fn write<'o>(
        &self,
        records: impl ExactSizeIterator<Item = (&'o Output, u32)>,
    ) -> Vec<Result<i64, PublishError>> {
        let count = records.len();
        self.sending.context().expect_deliveries(count);
        let mut refused = vec![None; count];
        for ((number, (output, partition)), refused) in records.enumerate().zip(&mut refused) {
            let sent = self.sending.send(output, partition, number, self.timeout);
            *refused = sent.err().map(|error| PublishError::Unavailable(error.to_string()));
        }
        if !self.sending.drain(self.timeout + DELIVERY_GRACE) {
            self.sending.purge();
            self.sending.serve();
        }
        let deliveries = self.sending.context().deliveries();
        let result = |(delivery, refused): (Delivery, Option<PublishError>)| match (delivery, refused) {
            (_, Some(refused)) => Err(refused),
            (Delivery::Written(offset), None) => Ok(offset),
            (Delivery::NotWritten(why), None) => Err(PublishError::Unavailable(why)),
            (Delivery::InDoubt(why), None) => Err(PublishError::OutcomeUnknown(why)),
            (Delivery::Unknown, None) => Err(PublishError::OutcomeUnknown("nobody has said".into())),
        };
        deliveries.into_iter().zip(refused).map(result).collect()
    }

    /// Whether it can write no more: a gap in its numbers, say, is for ever.
    pub(crate) fn is_spent(&self) -> bool {
        self.sending.fatal().is_some()
    }
}
