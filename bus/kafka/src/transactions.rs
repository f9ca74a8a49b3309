//! A producer and its transactions.
//!
//! Whenever it is in doubt whether a request to end a transaction is still on its way (a time-out, a
//! lost connection, an abnormally long commit), the producer is thrown away: initialising the next one
//! raises the epoch, so that the late request cannot end a later transaction (guarantees §1).
#![expect(clippy::disallowed_methods, reason = "deadlines of calls to the broker")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{BusError, Output};
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::context::{Context, Delivery};
use crate::faults::{Fault, bus_error, is_fenced};
use crate::options::KafkaOptions;
use crate::sending::Sending;

/// Pause before a call that failed for a moment is made again.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// Records time out with their transaction; how much longer that is waited for.
const DELIVERY_GRACE: Duration = Duration::from_secs(1);
/// How long an abort waits for deliveries before it drops them.
const ABORT_DRAIN: Duration = Duration::from_secs(1);

pub(crate) struct Transactions {
    options: Arc<KafkaOptions>,
    name: String,
    sending: Sending,
    open: bool,
    /// A request may still be on its way: replace the producer before the next transaction.
    suspect: bool,
}

impl Transactions {
    /// Takes the transactional id, fencing whoever had it and aborting what it left open.
    pub(crate) fn connect(options: &Arc<KafkaOptions>, name: &str) -> Result<Self, BusError> {
        let timeout = Duration::from_millis(options.init_timeout_ms);
        let sending = connect(options, name, timeout)?;
        Ok(Self { options: options.clone(), name: name.to_owned(), sending, open: false, suspect: false })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Forgets what became of the records of the last transaction.
    pub(crate) fn expect_deliveries(&self) {
        self.context().expect_deliveries();
    }

    /// Offsets of so many numbered records.
    pub(crate) fn delivered_offsets(&self, count: usize) -> Vec<Option<i64>> {
        let mut offsets = vec![None; count];
        for (number, delivery) in self.context().deliveries() {
            if let (Delivery::Written(offset), Some(place)) = (delivery, offsets.get_mut(number)) {
                *place = Some(offset);
            }
        }
        offsets
    }

    /// Serves delivery reports and log lines that wait.
    pub(crate) fn serve(&self) {
        self.sending.serve();
    }

    /// Opens a transaction if none is open.
    pub(crate) fn begin(&mut self) -> Result<(), Fault> {
        if self.open {
            return Ok(());
        }
        if self.suspect {
            self.renew()?;
        }
        self.expect_deliveries();
        self.producer().begin_transaction().map_err(|e| Fault::of(&e))?;
        self.open = true;
        Ok(())
    }

    /// Adds a record; `numbered` asks for its offset.
    pub(crate) fn send(&mut self, output: &Output, partition: u32, numbered: usize) -> Result<(), Fault> {
        // Records leave the queue, delivered or not, before the transaction's time is up.
        let patience = 2 * self.transaction_timeout();
        match self.sending.send(output, partition, numbered, patience) {
            Ok(()) => Ok(()),
            Err(KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) => {
                Err(Fault::Rebuild("the producer's queue stays full".into()))
            }
            Err(error) => Err(self.send_fault(&error)),
        }
    }

    /// Adds the group's positions, and waits until everything is written, which goes on meanwhile: the commit's
    /// first half, after whose failure nothing is committed.
    pub(crate) fn prepare(
        &mut self,
        offsets: Option<(&TopicPartitionList, &ConsumerGroupMetadata)>,
    ) -> Result<(), Fault> {
        if let Some((offsets, group)) = offsets {
            self.add_positions(offsets, group)?;
        }
        self.deliver(self.transaction_timeout() + DELIVERY_GRACE)
    }

    /// Waits so long at most until everything is written.
    pub(crate) fn deliver(&mut self, patience: Duration) -> Result<(), Fault> {
        if !self.sending.drain(patience) {
            return Err(Fault::Rebuild("records were not delivered in time".into()));
        }
        if let Some(failure) = self.context().failed_delivery() {
            return Err(self.fatal().unwrap_or(Fault::Abort(failure)));
        }
        Ok(())
    }

    fn add_positions(&self, offsets: &TopicPartitionList, group: &ConsumerGroupMetadata) -> Result<(), Fault> {
        let deadline = Instant::now() + self.transaction_timeout();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Err(error) = self.producer().send_offsets_to_transaction(offsets, group, left) else { return Ok(()) };
            match Fault::of(&error) {
                Fault::Retry(_) if Instant::now() + RETRY_PAUSE < deadline => std::thread::sleep(RETRY_PAUSE),
                Fault::Retry(why) => return Err(Fault::Rebuild(why)),
                fault => return Err(fault),
            }
        }
    }

    /// The commit's second half. Unless it is told to abort, it is not known after a failure whether
    /// the transaction is committed.
    pub(crate) fn finish(&mut self) -> Result<(), Fault> {
        let (began, disconnects) = (Instant::now(), self.context().disconnects());
        let timeout = Duration::from_millis(self.options.commit_timeout_ms);
        match self.producer().commit_transaction(timeout).map_err(|e| Fault::of(&e)) {
            Ok(()) => {}
            Err(Fault::Retry(why) | Fault::Generation(why)) => return Err(Fault::Rebuild(why)),
            Err(fault) => return Err(fault),
        }
        self.open = false;
        self.serve();
        let took = began.elapsed();
        self.suspect =
            took > Duration::from_millis(self.options.commit_slow_ms) || self.context().disconnects() != disconnects;
        if self.suspect {
            let took_ms = took.as_millis();
            tracing::warn!(producer = %self.name, took_ms, "commit in doubt, the producer will be replaced");
        }
        Ok(())
    }

    /// Aborts the open transaction, if any. A fault means that the producer must go.
    pub(crate) fn abort(&mut self) -> Result<(), Fault> {
        if !self.open {
            return Ok(());
        }
        // An abort while deliveries wait to be served fails and stays "in progress".
        if !self.sending.drain(ABORT_DRAIN) {
            self.sending.purge();
            if !self.sending.drain(ABORT_DRAIN) {
                return Err(Fault::Rebuild("records could not be taken back".into()));
            }
        }
        let disconnects = self.context().disconnects();
        let timeout = self.transaction_timeout();
        self.producer().abort_transaction(timeout).map_err(|e| Fault::Rebuild(Fault::of(&e).why().to_owned()))?;
        self.open = false;
        self.serve();
        self.suspect |= self.context().disconnects() != disconnects;
        Ok(())
    }

    fn renew(&mut self) -> Result<(), Fault> {
        let timeout = Duration::from_millis(self.options.init_timeout_ms);
        self.sending = connect(&self.options, &self.name, timeout).map_err(|e| Fault::Rebuild(e.to_string()))?;
        self.suspect = false;
        Ok(())
    }

    fn send_fault(&self, error: &KafkaError) -> Fault {
        self.fatal().unwrap_or_else(|| match error.rdkafka_error_code() {
            // A transaction that must be aborted refuses records in this way.
            Some(RDKafkaErrorCode::InvalidProducerEpoch | RDKafkaErrorCode::Fatal) => Fault::Rebuild(error.to_string()),
            _ => Fault::Abort(error.to_string()),
        })
    }

    /// Whether somebody else has taken the transactional id.
    pub(crate) fn is_fenced(&self) -> bool {
        self.sending.fatal().is_some_and(|(code, _)| is_fenced(code))
    }

    fn fatal(&self) -> Option<Fault> {
        let (code, why) = self.sending.fatal()?;
        Some(Fault::Rebuild(format!("{code}: {why}")))
    }

    fn producer(&self) -> &BaseProducer<Context> {
        self.sending.producer()
    }

    fn context(&self) -> &Context {
        self.sending.context()
    }

    fn transaction_timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.options.transaction_timeout_ms))
    }
}

fn connect(options: &KafkaOptions, name: &str, timeout: Duration) -> Result<Sending, BusError> {
    let doing = || format!("cannot write as {name}");
    let sending = Sending::create(&options.producer(name), name).map_err(|e| bus_error(&doing(), &e))?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Err(error) = sending.producer().init_transactions(left) else { break };
        sending.serve();
        let again = matches!(Fault::of(&error), Fault::Retry(_)) && Instant::now() + RETRY_PAUSE < deadline;
        if !again {
            return Err(bus_error(&doing(), &error));
        }
        std::thread::sleep(RETRY_PAUSE);
    }
    Ok(sending)
}
