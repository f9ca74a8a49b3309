//! Options of the bus, and the clients' properties made of them.

use std::collections::BTreeMap;
use std::time::Duration;

use petrel_bus::BusError;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Room for a record's own framing beside its key and value, in bytes.
const RECORD_OVERHEAD_BYTES: usize = 48_588;

/// Longest wait of a fetch of a member or a tail, in milliseconds; a record ends it at once. A partition that is fetched
/// again after a pause, or is new, may wait as long behind the others.
const FETCH_WAIT_MS: &str = "500";
/// The same for a reader that comes to the end of what it wants, and waits to hear that it has.
const READER_WAIT_MS: &str = "100";
/// Bytes that end the fetch of whoever batches by itself before its time is up.
const BATCH_BYTES_MIN: &str = "262144";
/// How late a batching tail may learn of a record, in milliseconds.
const BATCH_WAIT_MS: &str = "250";

/// Of what a member may fetch ahead, a tail has this part.
const FOLLOWERS_SHARE: usize = 4;

/// How long a producer's connection is idle until it is closed, in milliseconds.
const PRODUCER_IDLE_MS: &str = "30000";

/// Properties that correctness needs as they are, and what to do instead of setting them.
const REFUSED: [(&str, &str); 25] = [
    ("bootstrap.servers", "set `bootstrap`"),
    ("metadata.broker.list", "set `bootstrap`"),
    ("client.id", "it is made of `instance_id`"),
    ("group.id", "every stage has its own"),
    ("group.instance.id", "membership is dynamic"),
    ("group.protocol", "the classic protocol is used"),
    ("partition.assignment.strategy", "partitions are kept over a rebalance"),
    ("session.timeout.ms", "set `session_timeout_ms`"),
    ("heartbeat.interval.ms", "it follows from `session_timeout_ms`"),
    ("max.poll.interval.ms", "set `max_poll_interval_ms`"),
    ("enable.auto.commit", "offsets are part of transactions"),
    ("enable.auto.offset.store", "offsets are part of transactions"),
    ("auto.offset.reset", "an offset out of range halts its partition"),
    ("enable.partition.eof", "it tells when a partition is caught up"),
    ("isolation.level", "only committed records are read"),
    ("allow.auto.create.topics", "Petrel never creates topics of users"),
    ("transactional.id", "it is made of `transactional_id_prefix` and `instance_id`"),
    ("transaction.timeout.ms", "set `transaction_timeout_ms`"),
    ("message.timeout.ms", "it follows from `transaction_timeout_ms`"),
    ("delivery.timeout.ms", "it follows from `transaction_timeout_ms`"),
    ("enable.idempotence", "transactions need it"),
    ("acks", "transactions need all of them"),
    ("request.required.acks", "transactions need all of them"),
    ("message.max.bytes", "set `record_bytes_max`"),
    ("delivery.report.only.error", "whoever writes waits to hear that it is written"),
];

/// Everything that can be set about the bus. [`KafkaOptions::new`] has the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Addresses of brokers, `host:port`, comma-separated.
    pub bootstrap: String,
    /// Properties of librdkafka for every client (TLS, SASL, tuning). They win over what this crate
    /// sets, but for those that correctness needs: these are refused.
    pub properties: BTreeMap<String, String>,
    /// Name of this process, stable over restarts and unique in the cluster.
    pub instance_id: String,
    /// Goes before every transactional id: `<prefix><group>-<member>`, `<prefix>publisher-<name>`.
    pub transactional_id_prefix: String,
    /// Replicas of the topics that are created.
    pub replication: i32,
    /// How long a member may be silent before its partitions go to others, in milliseconds.
    pub session_timeout_ms: u32,
    /// How long a stage thread may do without a fetch, restoring included, in milliseconds.
    pub max_poll_interval_ms: u32,
    /// How long the broker keeps an abandoned transaction open, in milliseconds.
    pub transaction_timeout_ms: u32,
    /// Longest wait for the outcome of a commit, in milliseconds; then the producer is thrown away.
    pub commit_timeout_ms: u64,
    /// A commit that took longer, in milliseconds, may have been sent twice: the producer is replaced.
    pub commit_slow_ms: u64,
    /// Longest wait for a broker's answer to a question (metadata, offsets), in milliseconds.
    pub request_timeout_ms: u64,
    /// Longest wait for the right to write under a transactional id, in milliseconds.
    pub init_timeout_ms: u64,
    /// Longest wait for committed offsets to become stable and for a changelog's open transactions to
    /// end, in milliseconds; more than the transaction time-out of whoever left them.
    pub stable_timeout_ms: u64,
    /// Longest time without progress while a changelog is read, in milliseconds.
    pub restore_idle_timeout_ms: u64,
    /// How long a publisher's call may take before it is answered `Unavailable`, in milliseconds.
    pub publish_timeout_ms: u64,
    /// Most calls that wait in a publisher.
    pub publish_calls_max: usize,
    /// Most bytes of keys and values that wait in a publisher.
    pub publish_bytes_max: usize,
    /// Most bytes of keys and values in one transaction of a publisher.
    pub publish_group_bytes_max: usize,
    /// How long a tail waits for transactions that were open when it was opened before it calls itself
    /// caught up, in milliseconds: markers of a commit come a moment after its acknowledgement.
    pub tail_grace_ms: u64,
    /// Largest record, key and value, in bytes; topics are created so that they take it.
    pub record_bytes_max: usize,
    /// Most bytes fetched ahead by one session; a tail fetches a quarter of that.
    pub fetched_ahead_bytes_max: usize,
}

impl KafkaOptions {
    /// Defaults for a cluster at `bootstrap`.
    pub fn new(bootstrap: impl Into<String>, instance_id: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            properties: BTreeMap::new(),
            instance_id: instance_id.into(),
            transactional_id_prefix: "petrel.".into(),
            replication: 1,
            session_timeout_ms: 8_000,
            max_poll_interval_ms: 600_000,
            transaction_timeout_ms: 10_000,
            commit_timeout_ms: 60_000,
            commit_slow_ms: 5_000,
            request_timeout_ms: 5_000,
            init_timeout_ms: 15_000,
            stable_timeout_ms: 90_000,
            restore_idle_timeout_ms: 30_000,
            publish_timeout_ms: 10_000,
            publish_calls_max: 10_000,
            publish_bytes_max: 64 << 20,
            publish_group_bytes_max: 8 << 20,
            tail_grace_ms: 500,
            record_bytes_max: 1_000_000,
            fetched_ahead_bytes_max: 16 << 20,
        }
    }

    /// Largest batch that topics take and producers send, in bytes.
    pub(crate) fn batch_bytes_max(&self) -> usize {
        self.record_bytes_max + RECORD_OVERHEAD_BYTES
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn stable_timeout(&self) -> Duration {
        Duration::from_millis(self.stable_timeout_ms)
    }

    pub(crate) fn validate(&self) -> Result<(), BusError> {
        let wrong = |message: String| Err(BusError::Configuration(message));
        if self.bootstrap.trim().is_empty() {
            return wrong("kafka: no bootstrap address".into());
        }
        if self.instance_id.is_empty() {
            return wrong("kafka: no instance id".into());
        }
        for (name, instead) in REFUSED {
            if self.properties.contains_key(name) {
                return wrong(format!("kafka: the property {name} cannot be set: {instead}"));
            }
        }
        for config in [self.producer("check"), self.single_producer()] {
            if let Err(error) = config.create_native_config() {
                return wrong(format!("kafka: {error}"));
            }
        }
        Ok(())
    }

    fn base(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Notice);
        config.set("bootstrap.servers", &self.bootstrap).set("client.id", format!("petrel-{}", self.instance_id));
        config.set("reconnect.backoff.max.ms", "2000").set("topic.metadata.refresh.interval.ms", "60000");
        config
    }

    fn with_properties(&self, mut config: ClientConfig) -> ClientConfig {
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// A client that asks questions; it sees what is not committed.
    pub(crate) fn questioner(&self) -> ClientConfig {
        let mut config = self.base();
        config.set("isolation.level", "read_uncommitted").set("allow.auto.create.topics", "false");
        self.with_properties(config)
    }

    /// What all consumers have in common. The group of one that never joins is named all the same:
    /// librdkafka wants one, and access rights hang on it.
    fn consumer(&self, group: &str) -> ClientConfig {
        let mut config = self.base();
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("isolation.level", "read_committed")
            .set("allow.auto.create.topics", "false")
            .set("socket.timeout.ms", "10000")
            .set("fetch.wait.max.ms", FETCH_WAIT_MS)
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.error.backoff.ms", "100")
            // What comes in one answer is compressed: in memory it takes ten times as much.
            .set("fetch.message.max.bytes", "1048576")
            .set("fetch.max.bytes", "2097152")
            .set("queued.min.messages", "40000")
            .set("queued.max.messages.kbytes", kbytes(self.fetched_ahead_bytes_max))
            .set("check.crcs", "false");
        config
    }

    /// A member of a group.
    pub(crate) fn member(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        config
            .set("auto.offset.reset", "error")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout_ms.to_string())
            .set("heartbeat.interval.ms", (self.session_timeout_ms / 4).clamp(100, 3_000).to_string())
            .set("max.poll.interval.ms", self.max_poll_interval_ms.max(self.session_timeout_ms).to_string());
        self.with_properties(config)
    }

    /// A member that batches by itself, and so need not be woken for every commit of those whose records it reads.
    pub(crate) fn batching_member(&self, group: &str) -> ClientConfig {
        let mut config = self.member(group);
        config.set("fetch.min.bytes", BATCH_BYTES_MIN);
        self.with_properties(config)
    }

    /// Follows a topic, outside of any group, mostly an idle one.
    pub(crate) fn follower(&self, group: &str) -> ClientConfig {
        let mut config = self.reader(group);
        config.set("queued.max.messages.kbytes", kbytes(self.fetched_ahead_bytes_max / FOLLOWERS_SHARE));
        config.set("fetch.wait.max.ms", FETCH_WAIT_MS);
        self.with_properties(config)
    }

    /// Follows a topic of which nobody waits for a single record, as [`KafkaOptions::batching_member`] does.
    pub(crate) fn batching_follower(&self, group: &str) -> ClientConfig {
        let mut config = self.reader(group);
        config.set("queued.max.messages.kbytes", kbytes(self.fetched_ahead_bytes_max / FOLLOWERS_SHARE));
        config.set("fetch.min.bytes", BATCH_BYTES_MIN).set("fetch.wait.max.ms", BATCH_WAIT_MS);
        self.with_properties(config)
    }

    /// A reader outside of any group.
    pub(crate) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.consumer(group);
        config.set("auto.offset.reset", "earliest").set("fetch.wait.max.ms", READER_WAIT_MS);
        self.with_properties(config)
    }

    /// A transactional producer; `message.timeout.ms` and `socket.timeout.ms` follow the transaction's.
    pub(crate) fn producer(&self, name: &str) -> ClientConfig {
        let mut config = self.writer();
        config
            .set("transactional.id", format!("{}{name}", self.transactional_id_prefix))
            .set("transaction.timeout.ms", self.transaction_timeout_ms.to_string())
            .set("linger.ms", "1");
        self.with_properties(config)
    }

    /// A producer without transactions: each record is written once, by itself.
    pub(crate) fn single_producer(&self) -> ClientConfig {
        let mut config = self.writer();
        // Whoever waits has gathered what there is.
        config
            .set("linger.ms", "0")
            .set("message.timeout.ms", self.publish_timeout_ms.max(1).to_string())
            // A broker that does not answer is left in time for another try.
            .set("socket.timeout.ms", (self.publish_timeout_ms / 2).clamp(10, 300_000).to_string());
        self.with_properties(config)
    }

    fn writer(&self) -> ClientConfig {
        let mut config = self.base();
        config
            .set("enable.idempotence", "true")
            .set("message.max.bytes", self.batch_bytes_max().to_string())
            .set("batch.size", self.batch_bytes_max().min(1_000_000).to_string())
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "262144")
            .set("compression.type", "lz4")
            // librdkafka looks at a request to the group's coordinator again only when some connection goes up or
            // down, and whoever waits for it has no time-out (rd_kafka_coord_req_fsm): after a broker's death a
            // commit can hang for ever. An idle connection that is closed wakes it.
            .set("connections.max.idle.ms", PRODUCER_IDLE_MS)
            .set("retry.backoff.ms", "20");
        config
    }
}

/// As librdkafka is told sizes; it takes none that is zero.
fn kbytes(bytes: usize) -> String {
    (bytes / 1024).max(1).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_librdkafka_knows_every_property() {
        let options = KafkaOptions::new("localhost:1", "a");
        assert_eq!(options.validate(), Ok(()));
        let readers =
            [options.member("g"), options.batching_member("g"), options.reader("g"), options.batching_follower("g")];
        for config in readers.into_iter().chain([options.questioner(), options.single_producer()]) {
            config.create_native_config().unwrap();
        }
    }

    #[test]
    fn properties_are_passed_through_but_for_those_that_correctness_needs() {
        let with = |name: &str, value: &str| {
            let mut options = KafkaOptions::new("localhost:1", "a");
            options.properties.insert(name.into(), value.into());
            options
        };
        let tuned = with("linger.ms", "50");
        assert_eq!(tuned.validate(), Ok(()));
        assert_eq!(tuned.producer("x").get("linger.ms"), Some("50"));
        assert_eq!(tuned.member("x").get("linger.ms"), Some("50"));
        for (name, _) in REFUSED {
            let error = with(name, "1").validate().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
        let unknown = with("no.such.property", "1").validate().unwrap_err().to_string();
        assert!(unknown.contains("no.such.property"), "{unknown}");
        let empty = KafkaOptions::new(" ", "a").validate().unwrap_err();
        assert_eq!(empty, BusError::Configuration("kafka: no bootstrap address".into()));
    }
}
