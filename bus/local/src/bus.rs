//! The log as a bus.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use petrel_bus::{
    Block, Bus, BusError, Clock, LogTail, LogUsage, Member, Publisher, Session, SessionOptions, SoleWriter, Tail,
    TopicPartition, TopicSpec,
};

use crate::committer::Job;
use crate::log::LocalLog;
use crate::options::LocalOptions;
use crate::publisher::LocalSoleWriter;
use crate::store::Bounds;
use crate::store::layout::is_topic_name;

/// A durable log in a directory; clones are the same log, which closes when the last clone, session,
/// publisher and tail is gone.
#[derive(Clone)]
pub struct LocalBus {
    log: LocalLog,
}

impl LocalBus {
    /// Opens the log of a directory, or makes an empty one. Time comes from `clock`.
    ///
    /// # Errors
    /// [`BusError::Storage`] if another process uses the directory (the message has its id), if it is
    /// damaged (the message says what to do; nothing is made anew over it), or cannot be written to.
    pub fn open(options: LocalOptions, clock: Arc<dyn Clock>) -> Result<Self, BusError> {
        Ok(Self { log: LocalLog::open(options, clock)? })
    }

    #[cfg(test)]
    pub(crate) fn over(log: LocalLog) -> Self {
        Self { log }
    }

    /// Changes [`LocalOptions::disk_free_bytes_min`] of the open log.
    pub fn set_disk_free_bytes_min(&self, bytes: u64) {
        self.log.shared().disk_free_bytes_min.store(bytes, Ordering::Relaxed);
    }

    /// Forgets what a group has committed, as a broker does once a group was empty for long.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn forget_offsets(&self, group: &str) -> Result<(), BusError> {
        let ended = || Err(BusError::Unavailable("the local log has closed".into()));
        self.log.ask(|answer| Job::Forget { group: group.into(), answer }).unwrap_or_else(ended)
    }

    /// Deletes a topic, and with it what groups have committed there. One that is made anew is another topic.
    ///
    /// # Errors
    /// See [`BusError`].
    pub fn delete_topic(&self, topic: &str) -> Result<(), BusError> {
        let ended = || Err(BusError::Unavailable("the local log has closed".into()));
        self.log.ask(|answer| Job::Delete { topic: topic.into(), answer }).unwrap_or_else(ended)
    }

    fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError> {
        let state = self.log.shared().lock();
        let topic = state.topics.get(topic).ok_or_else(|| BusError::UnknownTopic(topic.into()))?;
        Ok(topic.bounds.clone())
    }

    fn offset_at(&self, at: &TopicPartition, time_ms: i64) -> Result<i64, BusError> {
        let Some((slot, bounds)) = self.log.shared().lock().find(at) else { return Ok(0) };
        let mut first = bounds.end;
        let scanned = self.log.shared().store()?.scan(slot, bounds.begin, bounds.end, |_, chunk| {
            let found = chunk.records().find(|r| r.timestamp_ms >= time_ms);
            match found {
                Some(record) => {
                    first = record.offset;
                    ControlFlow::Break(())
                }
                None => ControlFlow::Continue(()),
            }
        });
        scanned.map_err(BusError::Storage)?;
        Ok(first)
    }
}

impl Bus for LocalBus {
    fn cluster_id(&self) -> Result<String, BusError> {
        Ok(self.log.shared().cluster_id.clone())
    }

    fn ensure_topics(&self, topics: &[TopicSpec]) -> Result<(), BusError> {
        let mut missing = Vec::new();
        {
            let state = self.log.shared().lock();
            for spec in topics {
                if !is_topic_name(&spec.name) || spec.partitions == 0 {
                    let (name, count) = (&spec.name, spec.partitions);
                    return Err(BusError::Configuration(format!(
                        "no topic can be named {name:?} with {count} partitions"
                    )));
                }
                match state.topics.get(&spec.name) {
                    Some(topic) => topic.spec.matches(spec)?,
                    None => missing.push(spec.clone()),
                }
            }
            let (topics, most) = (state.topics.len() + missing.len(), self.log.shared().options.topics_max);
            if topics > most {
                return Err(BusError::Configuration(format!("{topics} topics are more than topics_max, {most}")));
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let ended = || Err(BusError::Unavailable("the local log has closed".into()));
        self.log.ask(|answer| Job::Topics { specs: missing, answer }).unwrap_or_else(ended)
    }

    fn partitions(&self, topic: &str) -> Result<Option<u32>, BusError> {
        Ok(self.log.shared().lock().count(topic))
    }

    fn incarnations(&self, topics: &[Arc<str>]) -> Result<BTreeMap<Arc<str>, String>, BusError> {
        let state = self.log.shared().lock();
        let known = |topic: &Arc<str>| Some((topic.clone(), state.topics.get(topic)?.id.to_string()));
        Ok(topics.iter().filter_map(known).collect())
    }

    fn end_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        Ok(self.bounds(topic)?.into_iter().map(|b| b.end).collect())
    }

    fn beginning_offsets(&self, topic: &str) -> Result<Vec<i64>, BusError> {
        Ok(self.bounds(topic)?.into_iter().map(|b| b.begin).collect())
    }

    fn offsets_at(&self, topic: &str, time_ms: i64) -> Result<Vec<i64>, BusError> {
        let name: Arc<str> = topic.into();
        let partitions = (0..).zip(self.bounds(topic)?);
        let at = |partition| TopicPartition { topic: name.clone(), partition };
        partitions.map(|(partition, _)| self.offset_at(&at(partition), time_ms)).collect()
    }

    fn usage(&self) -> Option<LogUsage> {
        Some(self.log.shared().usage())
    }

    fn publisher(&self, _name: &str) -> Result<Arc<dyn Publisher>, BusError> {
        Ok(Arc::new(self.log.clone()))
    }

    fn sole_writer(&self, name: &str) -> Result<Box<dyn SoleWriter>, BusError> {
        Ok(Box::new(LocalSoleWriter::open(self.log.clone(), name)?))
    }

    fn tail(&self, topic: &str) -> Result<Box<dyn Tail>, BusError> {
        Ok(Box::new(LogTail::open(self.log.clone(), topic)?))
    }

    fn tail_from(&self, topic: &str, offsets: &[i64]) -> Result<Box<dyn Tail>, BusError> {
        Ok(Box::new(LogTail::open(self.log.clone(), topic)?.from(offsets)))
    }

    fn session(&self, options: &SessionOptions) -> Result<Box<dyn Session>, BusError> {
        if options.group.contains('\0') {
            return Err(BusError::Configuration("a group's name cannot contain the byte 0".into()));
        }
        Ok(Box::new(Member::join(self.log.clone(), options.clone())))
    }
}
