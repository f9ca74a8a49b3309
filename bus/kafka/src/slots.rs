//! The partitions that a session has, found quickly for every record.

use std::collections::HashMap;
use std::ffi::CString;

use petrel_bus::{Position, TopicPartition};

use crate::native::{Message, TopicHandle};

/// One accepted partition.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) at: TopicPartition,
    /// Its topic, as librdkafka wants it.
    pub(crate) topic: CString,
    /// Offset behind the last record handed out.
    pub(crate) next: i64,
    /// Whether everything committed has been handed out.
    pub(crate) ended: bool,
    pub(crate) paused: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
    /// Handles are only good as long as nothing is given up.
    by_handle: HashMap<(TopicHandle, u32), usize>,
    last: Option<(TopicHandle, u32, usize)>,
}

impl Slots {
    pub(crate) fn add(&mut self, position: &Position) {
        self.remove(std::slice::from_ref(&position.at));
        self.slots.push(Slot {
            at: position.at.clone(),
            // A name with a zero byte cannot have come from Kafka.
            topic: CString::new(position.at.topic.as_bytes()).unwrap_or_default(),
            next: position.offset,
            ended: false,
            paused: false,
        });
    }

    pub(crate) fn remove(&mut self, partitions: &[TopicPartition]) {
        self.slots.retain(|slot| !partitions.contains(&slot.at));
        self.by_handle.clear();
        self.last = None;
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    pub(crate) fn get(&self, at: &TopicPartition) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.at == *at)
    }

    pub(crate) fn get_mut(&mut self, at: &TopicPartition) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.at == *at)
    }

    pub(crate) fn named_mut(&mut self, topic: &str, partition: u32) -> Option<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.at.partition == partition && &*slot.at.topic == topic)
    }

    pub(crate) fn at(&self, index: usize) -> &Slot {
        &self.slots[index]
    }

    pub(crate) fn at_mut(&mut self, index: usize) -> &mut Slot {
        &mut self.slots[index]
    }

    /// Place of a message's partition. Compares names only once for every partition.
    pub(crate) fn index_of(&mut self, message: &Message<'_>) -> Option<usize> {
        let key = (message.topic_handle(), message.partition());
        if let Some((handle, partition, index)) = self.last
            && (handle, partition) == key
        {
            return Some(index);
        }
        let index = match self.by_handle.get(&key) {
            Some(index) => *index,
            None => {
                let topic = message.topic();
                let found = |slot: &Slot| slot.at.partition == key.1 && *slot.at.topic == *topic;
                let index = self.slots.iter().position(found)?;
                self.by_handle.insert(key, index);
                index
            }
        };
        self.last = Some((key.0, key.1, index));
        Some(index)
    }
}
