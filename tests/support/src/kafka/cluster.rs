//! Several brokers that replicate to each other, for a test that kills them one by one.

use anyhow::{Result, ensure};

use super::settings::Settings;
use super::{KafkaBroker, random_cluster_id};
use crate::ports::free_port;

/// Brokers that are controllers as well. Each has its own directory and process, as a [`KafkaBroker`] of its own;
/// topics get three replicas, and what is written is acknowledged once two of them have it.
#[derive(Debug)]
pub struct KafkaCluster {
    nodes: Vec<KafkaBroker>,
}

impl KafkaCluster {
    /// Formats and starts that many, at least three, and returns once each answers a metadata request.
    pub fn start(nodes: usize) -> Result<KafkaCluster> {
        ensure!(nodes >= 3, "{nodes} brokers cannot hold three replicas");
        let id = random_cluster_id();
        let nodes = Settings::of_cluster(nodes);
        let nodes = nodes.into_iter().map(|node| KafkaBroker::format(node, free_port(), &id));
        let mut cluster = KafkaCluster { nodes: nodes.collect::<Result<_>>()? };
        // None is ready before most of them run.
        cluster.nodes.iter_mut().try_for_each(KafkaBroker::spawn)?;
        cluster.nodes.iter_mut().try_for_each(KafkaBroker::wait_until_ready)?;
        Ok(cluster)
    }

    /// The addresses of all, as clients call `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        self.nodes.iter().map(KafkaBroker::bootstrap).collect::<Vec<_>>().join(",")
    }

    /// `kill -9` of one, by its number from 0. Its data stay.
    pub fn kill9(&mut self, node: usize) {
        self.nodes[node].kill9();
    }

    /// Starts one again and returns once it answers.
    pub fn start_again(&mut self, node: usize) -> Result<()> {
        self.nodes[node].start_again()
    }
}
