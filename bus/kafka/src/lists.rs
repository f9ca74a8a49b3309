//! Lists of partitions, as librdkafka wants them.

use petrel_bus::{Position, TopicPartition};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Kafka's partition numbers are signed; they never reach the sign bit.
pub(crate) fn number(partition: u32) -> i32 {
    partition as i32
}

pub(crate) fn of_partitions<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for at in partitions {
        list.add_partition(&at.topic, number(at.partition));
    }
    list
}

pub(crate) fn of_positions(positions: &[Position]) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for position in positions {
        let mut element = list.add_partition(&position.at.topic, number(position.at.partition));
        element.set_offset(Offset::Offset(position.offset))?;
        if let Some(metadata) = &position.metadata {
            element.set_metadata(metadata);
        }
    }
    Ok(list)
}
