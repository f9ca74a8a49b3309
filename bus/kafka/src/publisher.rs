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
        let closed = calls.clone();
        Self::start(options, calls, name, move || {
            // Dropped before the writer, which waits for its lanes: no call comes meanwhile.
            let _closed = Closed(closed);
            writer.run();
        })
    }

    fn start(
        options: &Arc<KafkaOptions>,
        calls: Arc<Calls>,
        name: String,
        body: impl FnOnce() + Send + 'static,
    ) -> Result<Self, BusError> {
        let answered = Answered(calls.clone());
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let _answered = answered;
            body();
        });
        let thread = thread.map_err(|e| BusError::Storage(format!("no thread could be started: {e}")))?;
        Ok(Self { options: options.clone(), calls, thread: Some(thread) })
    }
}

/// Held by the thread: once it is at its end, also by a panic, no call waits for it.
struct Answered(Arc<Calls>);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Held by the thread: once it is about to end, it takes no calls.
struct Closed(Arc<Calls>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.close();
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use petrel_bus::PublishError;

    use super::*;
    use crate::lane::{Report, Told};
    use crate::turns::Turns;

    #[test]
    fn what_a_lane_hands_back_to_a_thread_that_ended_is_answered() {
        let calls = Calls::default();
        let (acknowledge, receipt) = receipt();
        let output = Output::to_partition(&Arc::from("t"), 0, "", None);
        let placed = Turns::default().placed(Call::new(vec![output], acknowledge), vec![0]);
        calls.report(Report { lane: 0, told: Told::Done(vec![placed]) });
        calls.end();
        assert!(matches!(receipt.wait(), Err(PublishError::Unavailable(_))));
    }

    #[test]
    fn when_the_thread_panics_every_call_is_answered() {
        let (options, calls) = (Arc::new(KafkaOptions::new("127.0.0.1:1", "test")), Arc::new(Calls::default()));
        let (go, gone) = channel::<()>();
        let publisher = KafkaPublisher::start(&options, calls, "test".into(), move || {
            gone.recv().unwrap();
            panic!("as a test wants it");
        });
        let publisher = publisher.unwrap();
        let publish = || publisher.publish(vec![Output::to_partition(&Arc::from("t"), 0, "", None)]);
        let waiting = publish();
        go.send(()).unwrap();
        assert!(matches!(waiting.wait(), Err(PublishError::Unavailable(_))));
        assert_eq!(publish().wait(), Err(PublishError::Closed));
    }
}
