//! First and last offsets of many partitions, one request a broker.
//!
//! librdkafka's own question about watermarks takes two requests for every partition. Its question by
//! time carries a list, and Kafka takes "the beginning" and "the end" for times. What the end is depends
//! on who asks: a client that reads what is not committed is told the high watermark, any other the last
//! stable offset.

use std::time::Duration;

use petrel_bus::{BusError, TopicPartition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::context::Context;
use crate::faults::bus_error;
use crate::lists::number;

/// Which offset is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    /// Of the first record that is there.
    Beginning,
    /// Behind the last record that the client may see.
    End,
}

/// Asks for the offsets of all these partitions, in their order.
pub(crate) fn of(
    client: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    which: Which,
    timeout: Duration,
) -> Result<Vec<i64>, BusError> {
    each(client, partitions, which, timeout)?.into_iter().collect()
}

/// The same, with an answer for each. A partition that has no leader fails the question for all of them.
pub(crate) fn each(
    client: &BaseConsumer<Context>,
    partitions: &[TopicPartition],
    which: Which,
    timeout: Duration,
) -> Result<Vec<Result<i64, BusError>>, BusError> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let doing = |at: &TopicPartition| format!("no {which:?} of {}/{}", at.topic, at.partition).to_lowercase();
    let wanted = match which {
        Which::Beginning => Offset::Beginning,
        Which::End => Offset::End,
    };
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for at in partitions {
        let added = list.add_partition_offset(&at.topic, number(at.partition), wanted);
        added.map_err(|e| bus_error(&doing(at), &e))?;
    }
    let found = client.offsets_for_times(list, timeout).map_err(|e| bus_error(&doing(&partitions[0]), &e))?;
    let offset = |at: &TopicPartition| {
        let element = found.find_partition(&at.topic, number(at.partition));
        let element = element.ok_or_else(|| BusError::Unavailable(doing(at)))?;
        element.error().map_err(|e| bus_error(&doing(at), &e))?;
        match element.offset() {
            Offset::Offset(offset) => Ok(offset),
            _ => Err(BusError::Unavailable(doing(at))),
        }
    };
    Ok(partitions.iter().map(offset).collect())
}
