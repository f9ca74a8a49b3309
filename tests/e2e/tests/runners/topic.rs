//! A topic whose only replica is at a broker that can be stopped, while all else of the cluster goes on.

use anyhow::Result;
use petrel_e2e_tests::{Record, committed_records};
use petrel_testkit::KafkaBroker;
use serde_json::Value;

pub const NAME: &str = "held";

pub struct HeldTopic {
    pub leader: KafkaBroker,
    bootstrap: String,
}

impl HeldTopic {
    /// Beside a broker that has everything else already, also the topics that Kafka makes for itself.
    pub fn start(beside: &KafkaBroker) -> Result<Self> {
        let leader = beside.start_another()?;
        let replica = leader.id().to_string();
        let arguments = ["--create", "--topic", NAME, "--replica-assignment", &replica];
        beside.tool("org.apache.kafka.tools.TopicCommand", &arguments, "")?;
        Ok(Self { leader, bootstrap: beside.bootstrap() })
    }

    /// The attempts of an execution that have written, in the order of their records. Each record bears the execution's id,
    /// whichever attempt it is of.
    pub fn attempts(&self, execution: &str) -> Result<Vec<i64>> {
        let records = committed_records(&self.bootstrap, NAME)?;
        let is_of = |record: &&Record| record.header("petrel-execution-id") == Some(execution.as_bytes());
        let attempt = |record: &Record| {
            anyhow::ensure!(record.key == execution.as_bytes(), "{record:?} has another key than its execution");
            let value: Value = serde_json::from_slice(&record.value)?;
            anyhow::Ok(value["attempt"].as_i64().unwrap_or(-1))
        };
        records.iter().filter(is_of).map(attempt).collect()
    }
}
