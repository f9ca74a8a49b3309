//! Petrel's own topics: created if missing, compared if there. Topics of users are never touched.
#![expect(clippy::disallowed_methods, reason = "deadlines of calls to the broker")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use petrel_bus::{BusError, TopicSpec};
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;

use crate::bus::Questions;
use crate::context::Context;
use crate::faults::bus_error;
use crate::options::KafkaOptions;

/// A compacted topic's segments are closed at this size, in bytes, because only closed ones are
/// compacted and all of it is read on a restore.
const COMPACTED_SEGMENT_BYTES: u32 = 64 << 20;
/// Compaction begins when this part of a compacted topic is out of date.
const COMPACTED_DIRTY_RATIO: &str = "0.3";
/// Pause before the cluster is asked again whether it knows what it created.
const CREATED_PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn ensure(options: &KafkaOptions, questions: &Questions, topics: &[TopicSpec]) -> Result<(), BusError> {
    if topics.is_empty() {
        return Ok(());
    }
    let counts = existing(questions)?;
    let admin: Result<AdminClient<Context>, _> = options.questioner().create_with_context(Context::new("topics"));
    let admin = admin.map_err(|e| bus_error("no client", &e))?;
    let missing: Vec<&TopicSpec> = topics.iter().filter(|t| !counts.contains_key(&*t.name)).collect();
    if !missing.is_empty() {
        create(options, &admin, &missing)?;
        wait_until_known(options, questions, &missing)?;
    }
    compare(options, questions, &admin, topics)
}

/// Topics that exist, with their numbers of partitions.
fn existing(questions: &Questions) -> Result<HashMap<String, u32>, BusError> {
    let metadata = questions.metadata(None)?;
    let found = metadata.topics().iter().filter(|topic| !topic.partitions().is_empty());
    Ok(found.map(|topic| (topic.name().to_owned(), topic.partitions().len() as u32)).collect())
}

/// A setting that a topic is created with, and must have.
struct Setting {
    name: &'static str,
    value: String,
    /// Whether more is as good.
    at_least: bool,
}

impl Setting {
    fn allows(&self, found: &str) -> bool {
        let number = |text: &str| text.parse::<u64>().ok();
        let more = || number(found).zip(number(&self.value)).is_some_and(|(found, wanted)| found >= wanted);
        found == self.value || (self.at_least && more())
    }
}

fn settings(options: &KafkaOptions, topic: &TopicSpec) -> Vec<Setting> {
    let exactly = |name, value: String| Setting { name, value, at_least: false };
    let at_least = |name, value: String| Setting { name, value, at_least: true };
    let mut settings = match topic.compacted {
        false => vec![
            exactly("cleanup.policy", "delete".to_owned()),
            exactly("retention.ms", topic.retention_ms.unwrap_or(-1).to_string()),
        ],
        true => vec![
            exactly("cleanup.policy", "compact".to_owned()),
            exactly("delete.retention.ms", topic.delete_retention_ms.unwrap_or(i64::MAX).to_string()),
            exactly("segment.bytes", COMPACTED_SEGMENT_BYTES.to_string()),
            exactly("min.cleanable.dirty.ratio", COMPACTED_DIRTY_RATIO.to_owned()),
        ],
    };
    settings.push(at_least("max.message.bytes", options.batch_bytes_max().to_string()));
    if options.replication >= 3 {
        settings.push(at_least("min.insync.replicas", "2".to_owned()));
    }
    settings
}

fn create(options: &KafkaOptions, admin: &AdminClient<Context>, topics: &[&TopicSpec]) -> Result<(), BusError> {
    let all: Vec<Vec<Setting>> = topics.iter().map(|topic| settings(options, topic)).collect();
    let new: Vec<NewTopic<'_>> =
        topics.iter().zip(&all).map(|(topic, settings)| new_topic(options, topic, settings)).collect();
    let wait = AdminOptions::new()
        .request_timeout(Some(options.request_timeout()))
        .operation_timeout(Some(options.request_timeout()));
    let answers = futures_executor::block_on(admin.create_topics(&new, &wait));
    for answer in answers.map_err(|e| bus_error("cannot create topics", &e))? {
        match answer {
            Ok(name) => tracing::info!(topic = %name, "topic created"),
            // Another process was faster; what it created is compared like any other.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                let error = rdkafka::error::KafkaError::AdminOp(code);
                return Err(match code {
                    RDKafkaErrorCode::OperationTimedOut | RDKafkaErrorCode::RequestTimedOut => {
                        BusError::Unavailable(format!("cannot create topic {name}: {error}"))
                    }
                    _ => BusError::Configuration(format!("cannot create topic {name}: {error}")),
                });
            }
        }
    }
    Ok(())
}

fn new_topic<'a>(options: &KafkaOptions, topic: &'a TopicSpec, settings: &'a [Setting]) -> NewTopic<'a> {
    let partitions = topic.partitions as i32;
    let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(options.replication));
    settings.iter().fold(new, |new, setting| new.set(setting.name, &setting.value))
}

/// Deletes topics; those that are not there are passed over.
pub(crate) fn delete(options: &KafkaOptions, names: &[Arc<str>]) -> Result<(), BusError> {
    let admin: Result<AdminClient<Context>, _> = options.questioner().create_with_context(Context::new("topics"));
    let admin = admin.map_err(|e| bus_error("no client", &e))?;
    let wait = AdminOptions::new()
        .request_timeout(Some(options.request_timeout()))
        .operation_timeout(Some(options.request_timeout()));
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let answers = futures_executor::block_on(admin.delete_topics(&names, &wait));
    for answer in answers.map_err(|e| bus_error("cannot delete topics", &e))? {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition)) => {}
            Err((name, code)) => {
                let error = rdkafka::error::KafkaError::AdminOp(code);
                return Err(BusError::Unavailable(format!("cannot delete topic {name}: {error}")));
            }
        }
    }
    Ok(())
}

fn wait_until_known(options: &KafkaOptions, questions: &Questions, topics: &[&TopicSpec]) -> Result<(), BusError> {
    let deadline = Instant::now() + options.request_timeout();
    loop {
        let known = existing(questions)?;
        let Some(missing) = topics.iter().find(|topic| !known.contains_key(&*topic.name)) else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(BusError::Unavailable(format!("topic {} was created and is not there yet", missing.name)));
        }
        std::thread::sleep(CREATED_PAUSE);
    }
}

fn compare(
    options: &KafkaOptions,
    questions: &Questions,
    admin: &AdminClient<Context>,
    topics: &[TopicSpec],
) -> Result<(), BusError> {
    let counts = existing(questions)?;
    let resources: Vec<ResourceSpecifier<'_>> = topics.iter().map(|t| ResourceSpecifier::Topic(&t.name)).collect();
    let wait = AdminOptions::new().request_timeout(Some(options.request_timeout()));
    let described = futures_executor::block_on(admin.describe_configs(&resources, &wait));
    let described = described.map_err(|e| bus_error("cannot describe topics", &e))?;
    // Answers come in the order of the questions.
    for (topic, answer) in topics.iter().zip(described) {
        let config: ConfigResource =
            answer.map_err(|code| BusError::Unavailable(format!("cannot describe topic {}: {code}", topic.name)))?;
        let found = |name: &str| config.get(name)?.value.clone();
        judge(topic, settings(options, topic), counts.get(&*topic.name).copied(), found)?;
    }
    Ok(())
}

/// Whether a topic is as it must be. A broker that has not heard of a new topic yet answers without partitions and
/// without settings: that says nothing about it.
fn judge(
    topic: &TopicSpec,
    settings: Vec<Setting>,
    partitions: Option<u32>,
    value: impl Fn(&str) -> Option<String>,
) -> Result<(), BusError> {
    let unknown = || BusError::Unavailable(format!("not every broker knows topic {} yet", topic.name));
    let found = partitions.ok_or_else(unknown)?;
    if found != topic.partitions {
        let (found, wanted) = (found.to_string(), topic.partitions.to_string());
        return Err(BusError::TopicDiffers { topic: topic.name.to_string(), setting: "partitions", found, wanted });
    }
    for setting in settings {
        let found = value(setting.name).filter(|value| !value.is_empty()).ok_or_else(unknown)?;
        if !setting.allows(&found) {
            let Setting { name: setting, value: wanted, .. } = setting;
            return Err(BusError::TopicDiffers { topic: topic.name.to_string(), setting, found, wanted });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_differs_only_if_its_broker_knows_it() {
        let topic = TopicSpec {
            name: "t".into(),
            partitions: 4,
            compacted: false,
            retention_ms: Some(7),
            delete_retention_ms: None,
        };
        let judged = |partitions, policy: Option<&str>| {
            let options = KafkaOptions::new("localhost:1", "a");
            let value = |name: &str| match name {
                "cleanup.policy" => policy.map(str::to_owned),
                "retention.ms" => Some("7".to_owned()),
                _ => Some("100000000".to_owned()),
            };
            judge(&topic, settings(&options, &topic), partitions, value)
        };
        assert_eq!(judged(Some(4), Some("delete")), Ok(()));
        for unknown in [judged(None, Some("delete")), judged(Some(4), None), judged(Some(4), Some(""))] {
            assert!(matches!(unknown, Err(BusError::Unavailable(_))), "{unknown:?}");
        }
        for differs in [judged(Some(3), Some("delete")), judged(Some(4), Some("compact"))] {
            assert!(matches!(differs, Err(BusError::TopicDiffers { .. })), "{differs:?}");
        }
    }
}
