//! Positions beside the group's offsets.
//!
//! A broker forgets the offsets of a group that was empty for long (Kafka after seven days), and then
//! everything would be decided once more. So every transaction that moves a position writes it once more: a
//! stage with a changelog into that, beside its state, any other stage into [`super::DriverOptions::positions`].
//! A partition whose offset the log does not know goes on from there.
//!
//! With the topic that was deleted went the group's offset, too, and one that is made anew is another topic: what
//! was kept of the old one says nothing about it, so each position is kept with what tells the two apart. So is
//! the group's own offset, for a member may commit one before it hears of the new topic.
//!
//! A stage that reads its own changelog keeps its positions like one without: there, each would be a record
//! to read, which moves the position, for ever.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use petrel_schemas::{GroupPosition, decode, encode};

use super::refused::Refused;
use super::{Driver, Failure};
use crate::partition::partition_of;
use crate::record::Output;
use crate::session::{Begin, RestoreFrom, TopicPartition};
use crate::stage::Stage;
use crate::state::KeptPosition;

/// Where a stage's positions are.
enum Kept {
    /// In its changelog.
    Changelog(Arc<str>),
    /// On a topic that groups share.
    Topic(Arc<str>),
    /// Nowhere but with the group.
    Nowhere,
}

/// What to do where a position cannot be read, for people.
const SAY_WHERE: &str = "Give the partition to a release that can read it, or stop the group's members and say where it \
                         shall go on (kafka-consumer-groups --reset-offsets)";

/// What was kept of a partition, or why it is of no use, for people.
type Found = Result<KeptPosition, String>;

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
        for (at, KeptPosition { offset, incarnation }) in moved {
            let key = key_of(&group, Some(&at));
            let known = GroupPosition {
                group: group.to_string(),
                topic: at.topic.to_string(),
                partition: at.partition.cast_signed(),
                offset,
                incarnation: incarnation.map(|incarnation| incarnation.to_string()),
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

    /// Where partitions go on whose offsets the log does not know; their state is restored. Some cannot go on,
    /// each for its reason.
    pub(super) fn continue_positions(&mut self, begun: Vec<Begin>) -> Result<(Vec<Begin>, Vec<Refused>), Failure> {
        let mut kept = self.kept_positions(&begun)?;
        let (mut going_on, mut refused) = (Vec::with_capacity(begun.len()), Vec::new());
        for mut begin in begun {
            if begin.is_made_anew {
                let (group, TopicPartition { topic, partition }) = (self.session.group(), &begin.position.at);
                tracing::warn!(%group, %topic, partition, "the topic was made anew, it is read from its start");
            }
            let continued = match (
                begin.refused.take(),
                self.adrift.get(&begin.position.at.partition),
                kept.remove(&begin.position.at),
            ) {
                (Some(why), ..) => Err(why),
                (None, Some(why), _) => Err(why.clone()),
                (None, None, Some(Ok(kept))) => self.go_on(&mut begin, &kept),
                (None, None, Some(Err(why))) => Err(why),
                (None, None, None) => Ok(()),
            };
            match continued {
                Ok(()) => going_on.push(begin),
                Err(why) => refused.push(Refused { position: begin.position, why }),
            }
        }
        Ok((going_on, refused))
    }

    /// What was kept of partitions whose offsets the log does not know, or why that is of no use.
    fn kept_positions(&mut self, begun: &[Begin]) -> Result<BTreeMap<TopicPartition, Found>, Failure> {
        let unknown: Vec<&TopicPartition> = begun
            .iter()
            .filter(|begin| !begin.committed && !begin.is_made_anew && begin.refused.is_none())
            .map(|begin| &begin.position.at)
            .collect();
        if unknown.is_empty() {
            return Ok(BTreeMap::new());
        }
        match self.kept() {
            Kept::Nowhere => Ok(BTreeMap::new()),
            Kept::Changelog(changelog) => {
                let mut found = BTreeMap::new();
                for at in unknown {
                    found.extend(self.kept_in_state(at, &changelog).map(|kept| (at.clone(), kept)));
                }
                self.check_states()?;
                Ok(found)
            }
            Kept::Topic(topic) => self.kept_on_topic(&unknown, &topic),
        }
    }

    /// Also finds out whether the state is one of which nobody knows what led to it.
    fn kept_in_state(&mut self, at: &TopicPartition, changelog: &str) -> Option<Found> {
        let TopicPartition { topic, partition } = at;
        let task = self.tasks.get(*partition)?;
        if let Some(kept) = task.state.kept_position(topic) {
            let unreadable =
                |_| format!("the position on {topic} in {changelog}/{partition} cannot be read. {SAY_WHERE}");
            return Some(kept.map_err(unreadable));
        }
        // A state that knows other topics' positions is one to which this topic is new.
        if task.state.has_positions() || task.state.is_empty() {
            return None;
        }
        let group = self.session.group();
        let why = format!(
            "the log knows no offset of the group {group} on {topic}/{partition}, and the state in \
             {changelog}/{partition} is not empty and says none either: from the beginning, what was decided would \
             be decided again. Stop the group's members and set its offset there (kafka-consumer-groups \
             --reset-offsets), or, to begin all partitions with an empty state, delete the topic {changelog}"
        );
        self.adrift.insert(*partition, why);
        None
    }

    /// Puts a partition where the group was, if that is a place in it.
    fn go_on(&self, begin: &mut Begin, kept: &KeptPosition) -> Result<(), String> {
        let (Begin { position, incarnation, bounds, .. }, offset) = (begin, kept.offset);
        let (group, TopicPartition { topic, partition }) = (self.session.group(), &position.at);
        let is_other = kept.incarnation.as_ref().zip(incarnation.as_ref()).is_some_and(|(kept, found)| kept != found);
        if is_other {
            // What is configured as the start was an offset of the other one, too.
            position.offset = bounds.as_ref().map_or(position.offset, |bounds| bounds.start);
            tracing::warn!(%group, %topic, partition, offset, "the topic was made anew, it is read from its start");
            return Ok(());
        }
        if let Some(Range { start, end }) =
            bounds.clone().filter(|bounds| !(bounds.start..=bounds.end).contains(&offset))
        {
            return Err(format!(
                "the log has forgotten the offset of the group {group}, and {offset}, where it was, is out of range: \
                 the partition holds {start} to {end}. What is missing is lost to the group: stop its members and say \
                 where it shall go on (kafka-consumer-groups --reset-offsets, with --to-earliest to take what is left)"
            ));
        }
        position.offset = offset;
        tracing::warn!(%group, %topic, partition, offset, "the log has forgotten the group's offset, it is known here");
        Ok(())
    }

    /// Where the group is by the topic of positions.
    fn kept_on_topic(
        &mut self,
        unknown: &[&TopicPartition],
        topic: &Arc<str>,
    ) -> Result<BTreeMap<TopicPartition, Found>, Failure> {
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
        let mut found = BTreeMap::new();
        for at in unknown.iter().copied() {
            let key = key_of(self.session.group(), Some(at));
            let Some(value) = kept.get(key.as_bytes()) else { continue };
            let position = |GroupPosition { offset, incarnation, .. }: GroupPosition| KeptPosition {
                offset,
                incarnation: incarnation.map(Arc::from),
            };
            let unreadable = |e| format!("the position {key} on {topic} cannot be read: {e}. {SAY_WHERE}");
            found.insert(at.clone(), decode(value).map(position).map_err(unreadable));
        }
        Ok(found)
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
