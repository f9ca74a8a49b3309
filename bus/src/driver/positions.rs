//! Positions beside the group's offsets.
//!
//! A broker forgets the offsets of a group that was empty for long (Kafka after seven days), and then
//! everything would be decided once more. So every transaction that moves a position writes it once more: a
//! stage with a changelog into that, beside its state, any other stage into [`super::DriverOptions::positions`].
//! A partition whose offset the log does not know goes on from there.
//!
//! A stage that reads its own changelog keeps its positions like one without: there, each would be a record
//! to read, which moves the position, for ever.

use std::collections::HashMap;
use std::sync::Arc;

use petrel_schemas::{GroupPosition, decode, encode};

use super::{Driver, Failure};
use crate::partition::partition_of;
use crate::record::Output;
use crate::session::{Begin, Position, RestoreFrom, SessionError, TopicPartition};
use crate::stage::Stage;

/// Where a stage's positions are.
enum Kept {
    /// In its changelog.
    Changelog(Arc<str>),
    /// On a topic that groups share.
    Topic(Arc<str>),
    /// Nowhere but with the group.
    Nowhere,
}

impl<S: Stage> Driver<'_, S> {
    fn kept(&self) -> Kept {
        let changelog = self.stage.spec().changelog.as_ref();
        let own = changelog.filter(|changelog| self.inputs.iter().all(|input| input.name != **changelog));
        match (own, &self.options.positions) {
            (Some(changelog), _) => Kept::Changelog(changelog.clone()),
            (None, Some(topic)) => Kept::Topic(topic.clone()),
            (None, None) => Kept::Nowhere,
        }
    }

    /// Puts the positions that move into the open transaction.
    pub(super) fn keep_positions(&mut self) -> Result<(), Failure> {
        let topic = match self.kept() {
            Kept::Nowhere => return Ok(()),
            Kept::Changelog(_) => {
                self.tasks.keep_positions();
                // The state was asked what it had.
                return self.check_states();
            }
            Kept::Topic(topic) => topic,
        };
        let moved = self.tasks.new_positions();
        if moved.is_empty() {
            return Ok(());
        }
        let place = self.place_of_group(&topic)?;
        let group = self.session.group().clone();
        for Position { at, offset, .. } in moved {
            let key = key_of(&group, Some(&at));
            let known = GroupPosition {
                group: group.to_string(),
                topic: at.topic.to_string(),
                partition: at.partition.cast_signed(),
                offset,
            };
            let output = Output::to_partition(&topic, place.partition, key, Some(encode(&known)));
            self.send_passed(output)?;
        }
        Ok(())
    }

    /// All positions of a group are in one partition: so a transaction has one more, however many it moves.
    fn place_of_group(&mut self, topic: &Arc<str>) -> Result<TopicPartition, Failure> {
        let count = self.session.partitions(topic)?;
        let partition = partition_of(self.session.group().as_bytes(), count);
        Ok(TopicPartition { topic: topic.clone(), partition })
    }

    /// Where partitions go on whose offsets the log does not know; their state is restored.
    pub(super) fn continue_positions(&mut self, mut begun: Vec<Begin>) -> Result<Vec<Begin>, Failure> {
        if begun.iter().all(|begin| begin.committed) {
            return Ok(begun);
        }
        match self.kept() {
            Kept::Nowhere => {}
            Kept::Changelog(changelog) => {
                for begin in begun.iter_mut().filter(|begin| !begin.committed) {
                    self.continue_by_state(&mut begin.position, &changelog)?;
                }
                self.check_states()?;
            }
            Kept::Topic(topic) => self.continue_by_topic(&mut begun, &topic)?,
        }
        Ok(begun)
    }

    fn continue_by_state(&mut self, position: &mut Position, changelog: &str) -> Result<(), Failure> {
        let TopicPartition { topic, partition } = &position.at;
        let Some(task) = self.tasks.get_mut(*partition) else { return Ok(()) };
        if let Some(offset) = task.state.kept_position(topic) {
            position.offset = offset;
            self.tell_continued(position);
            return Ok(());
        }
        // A state that knows other topics' positions is one to which this topic is new.
        if task.state.has_positions() || task.state.is_empty() {
            return Ok(());
        }
        let group = self.session.group();
        Err(SessionError::Halt(format!(
            "the log knows no offset of the group {group} on {topic}/{partition}, and the state in \
             {changelog}/{partition} is not empty and says none either: from the beginning, what was decided would \
             be decided again. Set the group's offset there (kafka-consumer-groups --reset-offsets), or delete the \
             topic {changelog} to begin with an empty state"
        ))
        .into())
    }

    fn tell_continued(&self, Position { at: TopicPartition { topic, partition }, offset, .. }: &Position) {
        let group = self.session.group();
        tracing::warn!(%group, %topic, partition, offset, "the log has forgotten the group's offset, it is known here");
    }

    /// Where the group is by the topic of positions.
    fn continue_by_topic(&mut self, begun: &mut [Begin], topic: &Arc<str>) -> Result<(), Failure> {
        let place = self.place_of_group(topic)?;
        let prefix = key_of(self.session.group(), None);
        // By key, as compaction does it; other groups have theirs in the same partition.
        let mut kept: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
        self.session.restore(&[RestoreFrom { at: place, from: None }], &mut |_, _, key, value| {
            if let Some(value) = value.filter(|_| key.starts_with(prefix.as_bytes())) {
                kept.insert(key.to_vec(), value.to_vec());
            } else {
                kept.remove(key);
            }
        })?;
        for Begin { position, .. } in begun.iter_mut().filter(|begin| !begin.committed) {
            let key = key_of(self.session.group(), Some(&position.at));
            let Some(value) = kept.get(key.as_bytes()) else { continue };
            let known = decode::<GroupPosition>(value)
                .map_err(|e| SessionError::Halt(format!("the position {key} on {topic} cannot be read: {e}")))?;
            position.offset = known.offset;
            self.tell_continued(position);
        }
        Ok(())
    }

    /// Commits where partitions begin that nobody has committed anything of: else a start like "now" would
    /// move while nothing is committed.
    pub(super) fn commit_starts(&mut self) -> Result<(), Failure> {
        if !self.tasks.any_start() {
            return Ok(());
        }
        self.open_starts();
        let committed = self.commit();
        self.or_abort(committed)
    }

    /// Starts are open work until they are committed.
    pub(super) fn open_starts(&mut self) {
        if self.tasks.any_start() {
            self.opened();
        }
    }
}

/// Key of a group's position on a partition, or what all of its keys begin with.
fn key_of(group: &str, at: Option<&TopicPartition>) -> String {
    match at {
        Some(TopicPartition { topic, partition }) => format!("{group}/{topic}/{partition}"),
        None => format!("{group}/"),
    }
}
