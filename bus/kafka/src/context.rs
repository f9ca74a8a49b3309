//! What clients report: logs and errors to `tracing`, deliveries to whoever waits for them.
#![expect(clippy::disallowed_methods, reason = "limits how often the client may repeat a line of its log")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::Message;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use crate::remade;

/// Most log lines of one client in [`LOG_WINDOW`]: an unreachable broker is told about twice a second.
const LOG_LINES_MAX: u32 = 10;
/// How long a client that said too much is silent.
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// The context of every client.
#[derive(Debug)]
pub(crate) struct Context {
    /// What the client is for, in log lines.
    name: String,
    window: Mutex<Window>,
    disconnects: AtomicU64,
    deliveries: Mutex<Deliveries>,
    /// A topic of which the client has said that it is another one now.
    remade: Mutex<Option<String>>,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    lines: u32,
}

/// What became of the records that were sent together.
#[derive(Debug, Default)]
struct Deliveries {
    /// The first failure.
    failure: Option<String>,
    /// What was told of records that were sent with a number, in the order of telling.
    numbered: Vec<(usize, Delivery)>,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// It is written, at this offset.
    Written(i64),
    /// It is not written.
    NotWritten(String),
    /// It may have been written or not.
    InDoubt(String),
}

/// Number of a record whose offset nobody asks for.
pub(crate) const UNNUMBERED: usize = usize::MAX;

impl Context {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            window: Mutex::new(Window { began: Instant::now(), lines: 0 }),
            disconnects: AtomicU64::new(0),
            deliveries: Mutex::default(),
            remade: Mutex::default(),
        }
    }

    /// How often a connection was lost or could not be made, or a request timed out.
    pub(crate) fn disconnects(&self) -> u64 {
        self.disconnects.load(Ordering::Relaxed)
    }

    /// A topic that was made anew since this was asked, of a consumer that is watched for that.
    pub(crate) fn remade(&self) -> Option<String> {
        lock(&self.remade).take()
    }

    /// Forgets the deliveries of the last transaction.
    pub(crate) fn expect_deliveries(&self) {
        *lock(&self.deliveries) = Deliveries::default();
    }

    /// The first failed delivery since [`Context::expect_deliveries`].
    pub(crate) fn failed_delivery(&self) -> Option<String> {
        lock(&self.deliveries).failure.clone()
    }

    /// What has become of numbered records since this was asked.
    pub(crate) fn deliveries(&self) -> Vec<(usize, Delivery)> {
        std::mem::take(&mut lock(&self.deliveries).numbered)
    }

    /// A record was written.
    pub(crate) fn delivered(&self, number: usize, offset: i64) {
        note(&mut lock(&self.deliveries), number, Delivery::Written(offset));
    }

    /// A record was not written, or it is not known.
    pub(crate) fn not_delivered(&self, number: usize, code: RDKafkaErrorCode, topic: &str, in_doubt: bool) {
        let why = format!("a record for {topic}: {code}");
        let mut deliveries = lock(&self.deliveries);
        let delivery = if in_doubt { Delivery::InDoubt(why.clone()) } else { Delivery::NotWritten(why.clone()) };
        note(&mut deliveries, number, delivery);
        deliveries.failure.get_or_insert(why);
    }

    fn debug(&self, facility: &str, message: &str) {
        if facility == remade::FACILITY
            && let Some(topic) = remade::topic_of(message)
        {
            *lock(&self.remade) = Some(topic.to_owned());
        }
        tracing::debug!(client = %self.name, facility, "{message}");
    }

    fn say(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        {
            let mut window = lock(&self.window);
            if window.began.elapsed() >= LOG_WINDOW {
                let suppressed = window.lines.saturating_sub(LOG_LINES_MAX);
                if suppressed > 0 {
                    tracing::warn!(client = %self.name, suppressed, "log lines of a kafka client were left out");
                }
                *window = Window { began: Instant::now(), lines: 0 };
            }
            window.lines += 1;
            if window.lines > LOG_LINES_MAX {
                return;
            }
        }
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(client = %self.name, facility, "{message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(client = %self.name, facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::info!(client = %self.name, facility, "{message}");
            }
        }
    }
}

fn note(deliveries: &mut Deliveries, number: usize, delivery: Delivery) {
    if number != UNNUMBERED {
        deliveries.numbered.push((number, delivery));
    }
}

/// Everything guarded here is replaced whole, so a panic elsewhere cannot leave it half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // librdkafka tells of a lost connection or of a request that timed out in these log lines.
        if matches!(facility, "FAIL" | "REQTMOUT" | "DISCONNECT") {
            self.disconnects.fetch_add(1, Ordering::Relaxed);
        }
        match level {
            // These are not counted among the lines that people read.
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => self.debug(facility, message),
            _ => self.say(level, facility, message),
        }
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if matches!(
            code,
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
            )
        ) {
            self.disconnects.fetch_add(1, Ordering::Relaxed);
        }
        self.say(RDKafkaLogLevel::Warning, "ERROR", reason);
    }
}

impl ConsumerContext for Context {
    /// Sessions take rebalances from `native`; the crate's own poll, and with it this, only runs while
    /// a consumer is dropped. Then nothing is taken any more and everything is given up.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let revoked = err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS;
        let answer = match consumer.rebalance_protocol() {
            rdkafka::consumer::RebalanceProtocol::Cooperative if revoked => consumer.incremental_unassign(list),
            rdkafka::consumer::RebalanceProtocol::Cooperative => {
                consumer.incremental_assign(&TopicPartitionList::new())
            }
            _ => consumer.unassign(),
        };
        if let Err(error) = answer {
            tracing::warn!(client = %self.name, %error, "partitions could not be given up while leaving");
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    /// Only while a producer flushes by itself; otherwise reports come through `native`.
    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(message) => self.delivered(number, message.offset()),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
                self.not_delivered(number, code, message.topic(), true);
            }
        }
    }
}
