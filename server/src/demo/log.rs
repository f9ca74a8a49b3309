//! Where the events are written: the log of the demo's own Petrel, or Kafka, as whoever monitors or builds would.

use super::petrel::Petrel;

/// A log.
pub enum Log {
    /// That of the server, with the topic of the events.
    Local(&'static str),
    /// A cluster.
    #[cfg(feature = "kafka")]
    Kafka(kafka::Cluster),
}

impl Log {
    /// On Kafka makes the topic of the events, which has a name of this run's own there; the server makes its own. `run`
    /// tells this run from others.
    ///
    /// # Errors
    /// If the cluster does not answer or refuses.
    pub fn open(kafka: Option<&str>, topic: &'static str, run: &str) -> anyhow::Result<Self> {
        match kafka {
            None => Ok(Self::Local(topic)),
            #[cfg(feature = "kafka")]
            Some(bootstrap) => Ok(Self::Kafka(kafka::Cluster::open(bootstrap, topic, run)?)),
            #[cfg(not(feature = "kafka"))]
            Some(bootstrap) => anyhow::bail!("this petrel was built without Kafka and cannot use {bootstrap} ({run})"),
        }
    }

    /// The topic of the events.
    pub fn topic(&self) -> &str {
        match self {
            Self::Local(topic) => topic,
            #[cfg(feature = "kafka")]
            Self::Kafka(cluster) => cluster.topic(),
        }
    }

    /// Prefix of Petrel's own topics, where it is not the usual one.
    pub fn prefix(&self) -> Option<&str> {
        match self {
            Self::Local(_) => None,
            #[cfg(feature = "kafka")]
            Self::Kafka(cluster) => Some(cluster.prefix()),
        }
    }

    /// Writes events, one after the other.
    ///
    /// # Errors
    /// If they are not written.
    pub fn write(&self, petrel: &Petrel, key: &str, events: &[String]) -> anyhow::Result<()> {
        match self {
            Self::Local(topic) => {
                petrel.ask(&["topic", "send", topic, "-", "--key", key, "--lines"], Some(&events.join("\n"))).map(drop)
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(cluster) => cluster.write(key, events),
        }
    }

    /// What has to go once the server has ended.
    ///
    /// # Errors
    /// If it stays.
    pub fn clear(self) -> anyhow::Result<()> {
        match self {
            Self::Local(_) => Ok(()),
            #[cfg(feature = "kafka")]
            Self::Kafka(cluster) => cluster.clear(),
        }
    }
}

#[cfg(feature = "kafka")]
mod kafka {
    use std::sync::Arc;

    use anyhow::Context as _;
    use petrel_bus::{Bus as _, Output, TopicSpec};
    use petrel_bus_kafka::KafkaBus;
    use petrel_schemas::Topics;
    use serde_json::json;

    use crate::bus::kafka_options;
    use crate::config;

    /// Beginning of the names of everything on a Kafka that others use, too.
    const PREFIX: &str = "petrel-demo-";

    /// A cluster, and what the demo has there.
    pub struct Cluster {
        bus: KafkaBus,
        topic: Arc<str>,
        topics: Topics,
    }

    impl Cluster {
        pub fn open(bootstrap: &str, topic: &str, run: &str) -> anyhow::Result<Self> {
            // Only how Kafka is reached: everything else there is about another server.
            let kafka = std::env::vars().filter(|(name, _)| name.starts_with("PETREL_KAFKA__"));
            let config = config::load(None, kafka, &[("kafka.bootstrap", json!(bootstrap))])?;
            let bus = KafkaBus::new(kafka_options(&config, bootstrap, &format!("demo-{run}")))?;
            let topics = Topics::new(&format!("{PREFIX}{run}."), 1, 1);
            let topic: Arc<str> = format!("{PREFIX}{run}-{}", topic.replace('.', "-")).into();
            let spec = TopicSpec {
                name: topic.clone(),
                partitions: 1,
                compacted: false,
                retention_ms: Some(config.retention_ms),
                delete_retention_ms: None,
            };
            bus.ensure_topics(&[spec]).with_context(|| format!("the topic {topic} cannot be made at {bootstrap}"))?;
            Ok(Self { bus, topic, topics })
        }

        pub fn topic(&self) -> &str {
            &self.topic
        }

        pub fn prefix(&self) -> &str {
            self.topics.prefix()
        }

        pub fn write(&self, key: &str, events: &[String]) -> anyhow::Result<()> {
            let output = |event: &String| Output::keyed(&self.topic, key, event.clone().into_bytes());
            let publisher = self.bus.publisher("events")?;
            publisher.publish(events.iter().map(output).collect()).wait()?;
            Ok(())
        }

        pub fn clear(self) -> anyhow::Result<()> {
            let own = self.topics.all(&["default"]).into_iter().map(|topic| topic.name);
            let all: Vec<Arc<str>> = own.chain([self.topic.clone()]).collect();
            Ok(self.bus.delete_topics(&all)?)
        }
    }
}
