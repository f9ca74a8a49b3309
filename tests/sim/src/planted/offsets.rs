//! A session that commits offsets before the outputs that belong to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use petrel_bus::{
    Begin, Fetched, GroupEvent, InputTopic, Output, Position, RestoreFrom, Restored, Session, SessionError,
    TopicPartition,
};

/// A session that commits offsets first, and the outputs that belong to them in a transaction of their own.
pub struct OffsetsFirst {
    inner: Box<dyn Session>,
    outputs: Vec<(Output, u32)>,
}

impl OffsetsFirst {
    /// Around a session.
    pub fn new(inner: Box<dyn Session>) -> Self {
        Self { inner, outputs: Vec::new() }
    }
}

impl Session for OffsetsFirst {
    fn group(&self) -> &Arc<str> {
        self.inner.group()
    }

    fn subscribe(&mut self, inputs: &[InputTopic]) -> Result<(), SessionError> {
        self.inner.subscribe(inputs)
    }

    fn fetch(
        &mut self,
        wait: Duration,
        max: usize,
        each: &mut dyn FnMut(&Fetched<'_>),
    ) -> Result<Vec<GroupEvent>, SessionError> {
        self.inner.fetch(wait, max, each)
    }

    fn begin(&mut self, assigned: &[TopicPartition]) -> Result<Vec<Begin>, SessionError> {
        self.inner.begin(assigned)
    }

    fn restore(&mut self, wanted: &[RestoreFrom], each: &mut Restored<'_>) -> Result<Vec<i64>, SessionError> {
        self.inner.restore(wanted, each)
    }

    fn accept(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.inner.accept(positions)
    }

    fn release(&mut self, partitions: &[TopicPartition]) -> Result<(), SessionError> {
        self.inner.release(partitions)
    }

    fn pause(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.inner.pause(at)
    }

    fn resume(&mut self, at: &TopicPartition) -> Result<(), SessionError> {
        self.inner.resume(at)
    }

    fn caught_up(&self, at: &TopicPartition) -> bool {
        self.inner.caught_up(at)
    }

    fn all_caught_up(&self) -> bool {
        self.inner.all_caught_up()
    }

    fn position(&self, at: &TopicPartition) -> i64 {
        self.inner.position(at)
    }

    fn high_watermarks(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<i64>>, SessionError> {
        self.inner.high_watermarks(partitions)
    }

    fn incarnations(&mut self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, Option<Arc<str>>>, SessionError> {
        self.inner.incarnations(topics)
    }

    fn lag(&mut self) -> Option<u64> {
        self.inner.lag()
    }

    fn partitions(&mut self, topic: &Arc<str>) -> Result<u32, SessionError> {
        self.inner.partitions(topic)
    }

    fn send(&mut self, output: Output, partition: u32) -> Result<(), SessionError> {
        self.outputs.push((output, partition));
        Ok(())
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), SessionError> {
        self.inner.commit(positions)?;
        for (output, partition) in self.outputs.drain(..) {
            self.inner.send(output, partition)?;
        }
        self.inner.commit(&[])
    }

    fn abort(&mut self, rewind: &[Position]) -> Result<(), SessionError> {
        self.outputs.clear();
        self.inner.abort(rewind)
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
