//! The suite on Kafka.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use petrel_bus::{Bus, Clock};
use petrel_bus_kafka::{KafkaBus, KafkaOptions};
use petrel_conformance_tests::{BusUnderTest, WallClock, conformance};
use petrel_testkit::{shared_kafka, wait_until};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// The broker that tests share, with names of this test's own.
struct KafkaUnderTest {
    address: &'static str,
    bus: Arc<KafkaBus>,
    prefix: String,
}

impl KafkaUnderTest {
    fn fresh() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let address = shared_kafka()?;
        let prefix = format!("suite{}.{}.", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut options = KafkaOptions::new(address, "suite");
        // Publishers are named alike in all tests; they must not fence each other.
        options.transactional_id_prefix = prefix.clone();
        // What is slow is no finding of this suite, on a machine that stands still for seconds.
        (options.request_timeout_ms, options.commit_slow_ms) = (30_000, 30_000);
        // How soon a new topic is noticed.
        options.properties.insert("topic.metadata.refresh.interval.ms".into(), "1000".into());
        let bus = Arc::new(KafkaBus::new(options).expect("valid options"));
        Some(Self { address, bus, prefix })
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.address).create().expect("a client")
    }
}

impl BusUnderTest for KafkaUnderTest {
    fn bus(&self) -> Arc<dyn Bus> {
        self.bus.clone()
    }

    fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(WallClock)
    }

    fn prefix(&self) -> String {
        self.prefix.clone()
    }

    fn forget_offsets(&self, group: &str) {
        let admin = self.admin();
        // The last member may still be on its way out.
        wait_until("the group is deleted", self.patience(), || {
            let options = AdminOptions::new();
            let deleted = futures_executor::block_on(admin.delete_groups(&[group], &options)).expect("an answer");
            match &deleted[..] {
                [Ok(_)] => true,
                [Err((_, RDKafkaErrorCode::NonEmptyGroup))] => false,
                refused => panic!("{refused:?}"),
            }
        });
    }

    fn delete_topic(&self, topic: &str, group: &str) {
        let partitions = self.bus.partitions(topic).expect("an answer").expect("the topic is there");
        let deleted = futures_executor::block_on(self.admin().delete_topics(&[topic], &AdminOptions::new()));
        let deleted = deleted.expect("an answer");
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
        wait_until("the topic is gone", self.patience(), || self.bus.partitions(topic) == Ok(None));
        let mut config = ClientConfig::new();
        let group: BaseConsumer =
            config.set("bootstrap.servers", self.address).set("group.id", group).create().expect("a client");
        let mut list = TopicPartitionList::new();
        (0..partitions).for_each(|partition| _ = list.add_partition(topic, partition as i32));
        wait_until("the group's offsets are gone", self.patience(), || {
            let found = group.committed_offsets(list.clone(), self.patience()).expect("an answer");
            found.elements().iter().all(|element| element.offset() == Offset::Invalid)
        });
    }

    fn drop_before(&self, topic: &str, partition: u32, offset: i64) -> i64 {
        let admin = self.admin();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition as i32, Offset::Offset(offset)).expect("an offset");
        let deleted = futures_executor::block_on(admin.delete_records(&list, &AdminOptions::new())).expect("an answer");
        deleted.elements().iter().for_each(|element| element.error().expect("records are deleted"));
        self.bus.beginning_offsets(topic).expect("the topic is there")[partition as usize]
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(60)
    }
}

conformance!(kafka, KafkaUnderTest::fresh);
