//! Topics that are deleted and made anew while a consumer reads them, as its client hears of it.
//!
//! librdkafka fetches by the topic's id (KIP-516; brokers since Kafka 3.1): nothing of the new topic comes before the
//! client's metadata says its id. Then it goes on at the old offset, and tells of that in its debug log alone
//! (`rd_kafka_topic_metadata_update`). So members have the context `metadata` on, a few lines for each partition
//! whenever metadata are asked for, once a minute; that one is looked for. It comes before the first record of the new
//! topic: it is queued before that is fetched, and in front of what is queued already.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Facility of the line.
pub(crate) const FACILITY: &str = "METADATA";
/// The context of librdkafka's debug log that it belongs to.
const DEBUG_CONTEXT: &str = "metadata";

/// Lets a consumer tell.
pub(crate) fn watched(mut config: ClientConfig) -> ClientConfig {
    let debug = match config.get("debug") {
        Some(others) if !others.is_empty() => format!("{others},{DEBUG_CONTEXT}"),
        _ => DEBUG_CONTEXT.to_owned(),
    };
    config.set("debug", debug).set_log_level(RDKafkaLogLevel::Debug);
    config
}

/// The topic of which that line says that it is another one now.
pub(crate) fn topic_of(line: &str) -> Option<&str> {
    let (topic, ids) = line.split_once("Topic ")?.1.split_once(" changed id from ")?;
    let (before, _) = ids.split_once(" to ")?;
    // What has no id yet is not made anew: all bits are 0, in base64.
    (!before.bytes().all(|digit| digit == b'A')).then_some(topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_topic_that_had_another_id_is_made_anew() {
        let line = |before: &str| format!("[thrd:main]: Topic a.b changed id from {before} to SqRiuvLKQRGLnzj3T6Ys5w");
        assert_eq!(topic_of(&line("k1AIFSFMRn6mZm8qNJfS5A")), Some("a.b"));
        assert_eq!(topic_of(&line("AAAAAAAAAAAAAAAAAAAAAA")), None);
        assert_eq!(topic_of("[thrd:main]: Topic a.b [0] Leader 1 Epoch 0"), None);
    }

    #[test]
    fn what_a_user_wants_to_see_stays() {
        let mut config = ClientConfig::new();
        config.set("debug", "cgrp");
        assert_eq!(watched(config).get("debug"), Some("cgrp,metadata"));
        assert_eq!(watched(ClientConfig::new()).get("debug"), Some("metadata"));
    }
}
