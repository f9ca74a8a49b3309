//! Writes from outside of a stage: calls wait in a queue, and a thread of the publisher's hands them on.
//!
//! A call is answered in a bounded time, whatever the brokers do: `Unavailable` if it certainly was not written,
//! `OutcomeUnknown` if it was on its way.

use std::sync::Arc;
use std::thread::JoinHandle;

use petrel_bus::{BusError, Output, Publisher, Receipt, receipt};

use crate::bus::Questions;
use crate::calls::{Call, Calls};
use crate::options::KafkaOptions;
use crate::writer::Writer;

pub(crate) struct KafkaPublisher {
    options: Arc<KafkaOptions>,
    calls: Arc<Calls>,
    thread: Option<JoinHandle<()>>,
}

impl KafkaPublisher {
    /// Starts the thread; it connects by itself, again and again.
    pub(crate) fn spawn(options: &Arc<KafkaOptions>, questions: &Arc<Questions>, name: &str) -> Result<Self, BusError> {
        let calls = Arc::new(Calls::default());
        let mut own = KafkaOptions::clone(options);
        own.commit_timeout_ms = own.commit_timeout_ms.min(own.publish_timeout_ms);
        own.init_timeout_ms = own.init_timeout_ms.min(own.publish_timeout_ms / 2);
        let publish_timeout_ms = u32::try_from(own.publish_timeout_ms).unwrap_or(u32::MAX);
        own.transaction_timeout_ms = own.transaction_timeout_ms.min(publish_timeout_ms.max(1_000));
        let name = format!("publisher-{name}");
        let mut writer = Writer::new(name.clone(), Arc::new(own), questions.clone(), calls.clone());
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || writer.run())
            .map_err(|e| BusError::Storage(format!("no thread could be started: {e}")))?;
        Ok(Self { options: options.clone(), calls, thread: Some(thread) })
    }
}

impl Publisher for KafkaPublisher {
    fn publish(&self, outputs: Vec<Output>) -> Receipt {
        let (acknowledge, receipt) = receipt();
        self.calls.add(Call::new(outputs, acknowledge), &self.options);
        receipt
    }
}

impl Drop for KafkaPublisher {
    fn drop(&mut self) {
        self.calls.close();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a publisher's thread panicked");
        }
    }
}
