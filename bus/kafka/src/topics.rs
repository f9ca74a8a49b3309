//! Petrel's own topics: created if missing, compared if there. Topics of users are never touched.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use petrel_bus::{BusError, TOMBSTONE_MS, TopicSpec};
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

/// Settings that a topic is created with and must have.
fn settings(topic: &TopicSpec) -> Vec<(&'static str, String)> {
    let policy = if topic.compacted { "compact" } else { "delete" };
    let mut settings = vec![("cleanup.policy", policy.to_owned())];
    settings.push(match topic.compacted {
        true => ("delete.retention.ms", TOMBSTONE_MS.to_string()),
        false => ("retention.ms", topic.retention_ms.unwrap_or(-1).to_string()),
    });
    settings
}

fn create(options: &KafkaOptions, admin: &AdminClient<Context>, topics: &[&TopicSpec]) -> Result<(), BusError> {
    let mut all = Vec::with_capacity(topics.len());
    for topic in topics {
        let mut settings = settings(topic);
        settings.push(("max.message.bytes", options.batch_bytes_max().to_string()));
        if topic.compacted {
            settings.push(("segment.bytes", COMPACTED_SEGMENT_BYTES.to_string()));
            settings.push(("min.cleanable.dirty.ratio", COMPACTED_DIRTY_RATIO.to_owned()));
        }
        if options.replication >= 3 {
            settings.push(("min.insync.replicas", "2".to_owned()));
        }
        all.push(settings);
    }
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

fn new_topic<'a>(options: &KafkaOptions, topic: &'a TopicSpec, settings: &'a [(&'static str, String)]) -> NewTopic<'a> {
    let partitions = topic.partitions as i32;
    let new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(options.replication));
    settings.iter().fold(new, |new, (name, value)| new.set(name, value))
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
        let name = || topic.name.to_string();
        let found = counts.get(&*topic.name).copied().unwrap_or(0);
        if found != topic.partitions {
            let (found, wanted) = (found.to_string(), topic.partitions.to_string());
            return Err(BusError::TopicDiffers { topic: name(), setting: "partitions", found, wanted });
        }
        let config: ConfigResource =
            answer.map_err(|code| BusError::Unavailable(format!("cannot describe topic {}: {code}", topic.name)))?;
        for (setting, wanted) in settings(topic) {
            let found = config.get(setting).and_then(|entry| entry.value.clone()).unwrap_or_default();
            if found != wanted {
                return Err(BusError::TopicDiffers { topic: name(), setting, found, wanted });
            }
        }
    }
    Ok(())
}
