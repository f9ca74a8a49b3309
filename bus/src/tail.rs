//! Follows a topic of a log that lives in this process.

use std::sync::Arc;
use std::time::Duration;

use crate::bus::{BusError, Tail};
use crate::log::{Block, Log};
use crate::member::READ_RECORDS_MAX;
use crate::record::Record;
use crate::session::{SessionError, TopicPartition};

#[derive(Debug)]
struct Follow {
    at: TopicPartition,
    next: i64,
    /// End when the tail was opened.
    end: i64,
    /// End at the latest mark.
    mark: Option<i64>,
}

/// A [`Tail`] over a [`Log`]. Records that retention removes before they were handed out are skipped.
#[derive(Debug)]
pub struct LogTail<L: Log> {
    log: L,
    follows: Vec<Follow>,
}

impl<L: Log> LogTail<L> {
    /// Follows all partitions of a topic.
    ///
    /// # Errors
    /// [`BusError::UnknownTopic`].
    pub fn open(log: L, topic: &str) -> Result<Self, BusError> {
        let count = log.partitions(topic).ok_or_else(|| BusError::UnknownTopic(topic.into()))?;
        let topic: Arc<str> = topic.into();
        let follow = |partition| {
            let at = TopicPartition { topic: topic.clone(), partition };
            let bounds = log.bounds(&at).unwrap_or(0..0);
            let end = log.high_watermark(&at).unwrap_or(bounds.end);
            Follow { at, next: bounds.start, end, mark: None }
        };
        let follows = (0..count).map(follow).collect();
        Ok(Self { log, follows })
    }

    /// Begins at these offsets, one for each partition.
    #[must_use]
    pub fn from(mut self, offsets: &[i64]) -> Self {
        for (follow, offset) in self.follows.iter_mut().zip(offsets) {
            follow.next = *offset;
        }
        self
    }

    /// Hands out what is there; whether there was anything.
    fn hand_out(&mut self, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<bool, BusError> {
        let mut any = false;
        for follow in &mut self.follows {
            let bounds = self.log.bounds(&follow.at).unwrap_or(0..0);
            follow.next = follow.next.max(bounds.start);
            if follow.next >= bounds.end {
                continue;
            }
            let blocks = self.log.read(&follow.at, follow.next, READ_RECORDS_MAX).map_err(storage)?;
            let from = follow.next;
            for record in blocks.iter().flat_map(Block::records).filter(|r| r.offset >= from) {
                follow.next = record.offset + 1;
                each(follow.at.partition, record);
            }
            any |= follow.next > from;
            if follow.next == from {
                follow.next = bounds.end;
            }
        }
        Ok(any)
    }
}

fn storage(error: SessionError) -> BusError {
    BusError::Storage(error.to_string())
}

impl<L: Log + Send> Tail for LogTail<L> {
    fn next(&mut self, wait: Duration, each: &mut dyn FnMut(u32, Record<'_>)) -> Result<(), BusError> {
        let seen = self.log.version();
        if !self.hand_out(each)? {
            self.log.wait(seen, wait);
            self.hand_out(each)?;
        }
        Ok(())
    }

    fn caught_up(&self) -> bool {
        self.follows.iter().all(|f| f.next >= f.end)
    }

    fn mark(&mut self) -> Result<(), BusError> {
        for follow in &mut self.follows {
            follow.mark = Some(self.log.high_watermark(&follow.at).map_err(storage)?);
        }
        Ok(())
    }

    fn passed_mark(&self) -> bool {
        self.follows.iter().all(|f| f.mark.is_some_and(|mark| f.next >= mark))
    }
}
