//! The bus itself, and the client that asks questions.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{Bus, BusError, Publisher, Session, SessionOptions, SoleWriter, Tail, TopicPartition, TopicSpec};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::context::Context;
use crate::describe;
use crate::faults::bus_error;
use crate::lists::number;
use crate::offsets::{self, Which};
use crate::options::KafkaOptions;
use crate::publisher::KafkaPublisher;
use crate::session::KafkaSession;
use crate::sole::KafkaSoleWriter;
use crate::tail::KafkaTail;
use crate::topics;
use crate::transactions::Transactions;

/// Longest wait for ends and ids that are asked for between a stage's other work.
pub(crate) const ASIDE_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Apache Kafka as Petrel's log.
pub struct KafkaBus {
    options: Arc<KafkaOptions>,
    questions: Arc<Questions>,
}

impl std::fmt::Debug for KafkaBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Properties may hold secrets.
        f.debug_struct("KafkaBus").field("bootstrap", &self.options.bootstrap).finish_non_exhaustive()
    }
}

impl KafkaBus {
    /// A bus on that cluster. Does not connect yet.
    ///
    /// # Errors
    /// [`BusError::Configuration`] names the property or option that is wrong.
    pub fn new(options: KafkaOptions) -> Result<Self, BusError> {
        options.validate()?;
        let questions = Arc::new(Questions::new(&options)?);
        Ok(Self { options: Arc::new(options), questions })
    }

    /// Deletes topics, for good; those that are not there are passed over.
    ///
    /// # Errors
    /// If the cluster does not answer, or refuses one of them.
    pub fn delete_topics(&self, names: &[Arc<str>]) -> Result<(), BusError> {
        topics::delete(&self.options, names)
    }

    /// The options it was made with.
    pub fn options(&self) -> &KafkaOptions {
        &self.options
    }
}

impl Bus for KafkaBus {
    fn cluster_id(&self) -> Result<String, BusError> {
        self.questions.cluster_id()
    }

    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        topics::ensure(&self.options, &self.questions, topics)
    }

    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        self.questions.partitions(topic)
    }

    fn incarnations(&self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, String>, BusError> {
        let ids = self.questions.topic_ids(topics)?;
        Ok(ids.into_iter().filter_map(|(topic, id)| Some((topic, id.ok().flatten()?))).collect())
    }

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.questions.of_all(topic, Which::End)
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        self.questions.of_all(topic, Which::Beginning)
    }

    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        self.questions.offsets_at(topic, time_ms)
    }

    fn publisher(&self, name: &str) -> Result<Arc<dyn Publisher>, BusError> {
        Ok(Arc::new(KafkaPublisher::spawn(&self.options, &self.questions, name)?))
    }

    fn sole_writer(&self, name: &str) -> Result<Box<dyn SoleWriter>, BusError> {
        Ok(Box::new(KafkaSoleWriter::open(&self.options, &self.questions, name)?))
    }

    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError> {
        Ok(Box::new(KafkaTail::open(&self.options, &self.questions, topic, &[], false)?))
    }

    fn tail_from(&self, topic: &str, offsets: &[i64]) -> Result<Box<dyn Tail>, BusError> {
        Ok(Box::new(KafkaTail::open(&self.options, &self.questions, topic, offsets, false)?))
    }

    fn tail_batched(&self, topic: &str, offsets: &[i64]) -> Result<Box<dyn Tail>, BusError> {
        Ok(Box::new(KafkaTail::open(&self.options, &self.questions, topic, offsets, true)?))
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        // An answer from the cluster first: what follows would wait for it much longer.
        self.questions.cluster_id()?;
        let transactions = match options.transactional {
            true => Some(Transactions::connect(&self.options, &format!("{}-{}", options.group, options.member))?),
            false => None,
        };
        let session = KafkaSession::new(&self.options, &self.questions, options, transactions);
        Ok(Box::new(session.map_err(|e| bus_error("cannot join", &e))?))
    }
}

/// A client that asks questions about topics; it sees what is not committed.
pub(crate) struct Questions {
    client: BaseConsumer<Context>,
    timeout: Duration,
}

impl Questions {
    pub(crate) fn new(options: &KafkaOptions) -> Result<Self, BusError> {
        let client: Result<BaseConsumer<Context>, _> =
            options.questioner().create_with_context(Context::new("questions"));
        let client = client.map_err(|e| bus_error("no client", &e))?;
        Ok(Self { client, timeout: options.request_timeout() })
    }

    /// The client, after its log lines have been served, which nobody polls for.
    fn client(&self) -> &BaseConsumer<Context> {
        // Each line is one event; the bound only keeps a flood from holding up a question.
        for _ in 0..100 {
            if self.client.poll(Duration::ZERO).is_none() {
                break;
            }
        }
        &self.client
    }

    pub(crate) fn cluster_id(&self) -> Result<String, BusError> {
        let id = self.client().client().fetch_cluster_id(self.timeout);
        id.ok_or_else(|| BusError::Unavailable("no broker answered".into()))
    }

    /// Metadata of one topic, or of all.
    pub(crate) fn metadata(&self, topic: Option<&str>) -> Result<Metadata, BusError> {
        self.client().fetch_metadata(topic, self.timeout).map_err(|e| bus_error("no metadata", &e))
    }

    pub(crate) fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        let metadata = self.metadata(Some(topic))?;
        let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else { return Ok(None) };
        match found.error().map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            Some(RDKafkaErrorCode::InvalidTopic) => Ok(None),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => {
                Err(BusError::Configuration(format!("no right to topic {topic}")))
            }
            Some(code) => Err(BusError::Unavailable(format!("topic {topic}: {code}"))),
            None => Ok(Some(found.partitions().len() as u32).filter(|count| *count > 0)),
        }
    }

    /// Number of partitions of a topic that must exist.
    pub(crate) fn partitions_of(&self, topic: &str) -> Result<u32, BusError> {
        self.partitions(topic)?.ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))
    }

    /// The ids of topics, as [`describe::topic_ids`] has them.
    pub(crate) fn topic_ids(&self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, describe::Id>, BusError> {
        describe::topic_ids(self.client().client(), topics, self.timeout)
    }

    /// The same of those that are there, as far as that is known within a short time.
    pub(crate) fn topic_ids_now(&self, topics: &[Arc<str>]) -> BTreeMap<Arc<str>, Option<String>> {
        let ids = describe::topic_ids(self.client().client(), topics, ASIDE_TIMEOUT);
        let ids = ids.inspect_err(|why| tracing::debug!(%why, "ids of topics are not known now")).unwrap_or_default();
        ids.into_iter().filter_map(|(topic, id)| Some((topic, id.ok()?))).collect()
    }

    /// First offsets, or those behind the last records, committed or not.
    pub(crate) fn offsets(&self, partitions: &[TopicPartition], which: Which) -> Result<Vec<i64>, BusError> {
        offsets::of(self.client(), partitions, which, self.timeout)
    }

    /// Where partitions end, as far as that is known within a short time. Those that have no leader now are
    /// told apart, so that the others have an answer.
    pub(crate) fn ends_now(&self, partitions: &[TopicPartition]) -> Vec<Option<i64>> {
        let asked = |partitions: &[TopicPartition]| {
            let ends = offsets::each(self.client(), partitions, Which::End, ASIDE_TIMEOUT);
            ends.inspect_err(|why| tracing::debug!(%why, "ends are not known now"))
        };
        if let Ok(ends) = asked(partitions) {
            return ends.into_iter().map(Result::ok).collect();
        }
        let mut found = vec![None; partitions.len()];
        let led: Vec<usize> = self.led(partitions);
        if led.is_empty() || led.len() == partitions.len() {
            return found;
        }
        let known: Vec<TopicPartition> = led.iter().map(|index| partitions[*index].clone()).collect();
        for (index, end) in led.into_iter().zip(asked(&known).into_iter().flatten()) {
            found[index] = end.ok();
        }
        found
    }

    /// The partitions of a topic that have a leader, as far as that is known within a short time. A topic that is gone has
    /// none; of one of which the broker tells nothing for another reason, nothing is known.
    pub(crate) fn led_now(&self, topic: &str) -> Option<HashSet<u32>> {
        let metadata = self.client().fetch_metadata(Some(topic), ASIDE_TIMEOUT);
        let metadata = metadata.inspect_err(|why| tracing::debug!(%why, "leaders are not known now")).ok()?;
        let found = metadata.topics().iter().find(|found| found.name() == topic)?;
        match found.error().map(RDKafkaErrorCode::from) {
            None | Some(RDKafkaErrorCode::LeaderNotAvailable) => {}
            Some(RDKafkaErrorCode::UnknownTopicOrPartition) => return Some(HashSet::new()),
            Some(_) => return None,
        }
        let partitions = found.partitions().iter();
        Some(partitions.filter(|p| p.leader() >= 0).filter_map(|p| u32::try_from(p.id()).ok()).collect())
    }

    /// Which of these partitions have a leader.
    fn led(&self, partitions: &[TopicPartition]) -> Vec<usize> {
        let mut leaders = HashSet::new();
        for topic in partitions.iter().map(|at| &at.topic).collect::<HashSet<_>>() {
            let Ok(metadata) = self.client().fetch_metadata(Some(topic), ASIDE_TIMEOUT) else { continue };
            let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions());
            leaders.extend(partitions.filter(|p| p.leader() >= 0).map(|p| (topic.clone(), p.id())));
        }
        let is_led = |index: &usize| {
            let at = &partitions[*index];
            leaders.contains(&(at.topic.clone(), number(at.partition)))
        };
        (0..partitions.len()).filter(is_led).collect()
    }

    /// First offsets, or those behind the last records, of all partitions of a topic.
    pub(crate) fn of_all(&self, topic: &str, which: Which) -> Result<Vec<i64>, BusError> {
        let (count, topic): (u32, Arc<str>) = (self.partitions_of(topic)?, topic.into());
        let at = |partition| TopicPartition { topic: topic.clone(), partition };
        self.offsets(&(0..count).map(at).collect::<Vec<_>>(), which)
    }

    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        let (count, doing) = (self.partitions_of(topic)?, format!("no offsets of {topic} at {time_ms}"));
        let mut times = TopicPartitionList::new();
        for partition in 0..count {
            let added = times.add_partition_offset(topic, number(partition), Offset::Offset(time_ms));
            added.map_err(|e| bus_error(&doing, &e))?;
        }
        let found = self.client().offsets_for_times(times, self.timeout).map_err(|e| bus_error(&doing, &e))?;
        let ends = self.of_all(topic, Which::End)?;
        let offset = |partition: u32| {
            let element = found.find_partition(topic, number(partition));
            let element = element.ok_or_else(|| BusError::Unavailable(doing.clone()))?;
            element.error().map_err(|e| bus_error(&doing, &e))?;
            match element.offset() {
                Offset::Offset(offset) => Ok(offset),
                _ => Ok(ends[partition as usize]),
            }
        };
        (0..count).map(offset).collect()
    }
}
