//! Consumer groups of a log that lives in one process: who has which partition.
//!
//! A pure state machine that [`crate::sim`] and `petrel-bus-local` share. Partitions of every topic
//! are split into ranges over the members that subscribe to it, in order of their names. A topic that
//! follows another is not split: its partitions go where those of the same number of its leader go. A
//! change of membership takes partitions away first ([`GroupEvent::Revoked`]); each is handed on only
//! after its old member has released it, so that no partition ever has two members. Only what moves is
//! revoked.
//!
//! Fencing: every join gets a new epoch; a member is fenced once its name has a newer epoch or it
//! expired, and a commit must come from the member that owns each partition it names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::session::{GroupEvent, TopicPartition};

/// Why a member is no longer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fenced {
    /// A newer session has the same member name.
    #[error("a newer session has the same member name")]
    Replaced,
    /// The member was silent for longer than the session timeout, or left.
    #[error("the member was silent for too long and lost its partitions")]
    Expired,
    /// It commits for a partition that is not its own.
    #[error("the member commits for a partition that is not its own")]
    NotOwner,
}

/// Number of partitions of a topic; none if it does not exist.
pub type Counts<'a> = dyn Fn(&str) -> Option<u32> + 'a;

#[derive(Debug, Default)]
struct Member {
    epoch: u64,
    topics: BTreeSet<Arc<str>>,
    /// Topics that follow another: that one, and the follower.
    followers: BTreeSet<(Arc<str>, Arc<str>)>,
    /// What it has been told to have and has not released.
    owned: BTreeSet<TopicPartition>,
    /// What it shall have once everybody has released.
    target: BTreeSet<TopicPartition>,
    /// What it was told to release.
    revoking: BTreeSet<TopicPartition>,
    seen_ms: i64,
    /// The generation in which it had nothing to do: it has nothing to do in all of it.
    at_rest: Option<u64>,
}

/// The members of one consumer group.
#[derive(Debug, Default)]
pub struct Group {
    members: BTreeMap<Arc<str>, Member>,
    epochs: u64,
    generation: u64,
}

impl Group {
    /// Adds a member and returns its epoch. An older session of that name is fenced, and its
    /// partitions are free at once.
    pub fn join(&mut self, name: &Arc<str>, now_ms: i64, counts: &Counts<'_>) -> u64 {
        self.epochs += 1;
        let member = Member { epoch: self.epochs, seen_ms: now_ms, ..Member::default() };
        self.members.insert(name.clone(), member);
        self.rebalance(counts);
        self.epochs
    }

    /// Replaces the topics that a member reads: the topic, and the one whose partitions it follows.
    ///
    /// # Errors
    /// If the member is fenced.
    pub fn subscribe(
        &mut self,
        name: &str,
        epoch: u64,
        topics: impl IntoIterator<Item = (Arc<str>, Option<Arc<str>>)>,
        counts: &Counts<'_>,
    ) -> Result<(), Fenced> {
        let member = self.member(name, epoch)?;
        (member.topics, member.followers) = (BTreeSet::new(), BTreeSet::new());
        for (topic, leader) in topics {
            match leader {
                None => drop(member.topics.insert(topic)),
                Some(leader) => drop(member.followers.insert((leader, topic))),
            }
        }
        self.rebalance(counts);
        Ok(())
    }

    /// Removes a member; one that is fenced already changes nothing.
    pub fn leave(&mut self, name: &str, epoch: u64, counts: &Counts<'_>) {
        if self.member(name, epoch).is_ok() {
            self.members.remove(name);
            self.rebalance(counts);
        }
    }

    /// Removes every member that was not heard of for `timeout_ms`.
    pub fn expire(&mut self, now_ms: i64, timeout_ms: i64, counts: &Counts<'_>) {
        let before = self.members.len();
        self.members.retain(|_, m| now_ms - m.seen_ms <= timeout_ms);
        if self.members.len() < before {
            self.rebalance(counts);
        }
    }

    /// Whether nobody is a member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// When a member was heard of last, in milliseconds since the epoch; none without members.
    pub fn last_seen_ms(&self) -> Option<i64> {
        self.members.values().map(|m| m.seen_ms).max()
    }

    /// What a member must do next, if anything; also its sign of life.
    ///
    /// # Errors
    /// If the member is fenced.
    pub fn poll(&mut self, name: &str, epoch: u64, now_ms: i64) -> Result<Option<GroupEvent>, Fenced> {
        let generation = self.generation;
        let member = self.member(name, epoch)?;
        member.seen_ms = now_ms;
        if member.at_rest == Some(generation) {
            return Ok(None);
        }
        let leaving: Vec<TopicPartition> =
            member.owned.difference(&member.target).filter(|p| !member.revoking.contains(*p)).cloned().collect();
        if !leaving.is_empty() {
            member.revoking.extend(leaving.iter().cloned());
            return Ok(Some(GroupEvent::Revoked(leaving)));
        }
        let coming: Vec<TopicPartition> = {
            let member = &self.members[name];
            let is_free = |p: &&TopicPartition| self.members.values().all(|m| !m.owned.contains(*p));
            // All or none: topics of one number must not come one by one.
            let wanted: Vec<_> = member.target.difference(&member.owned).collect();
            let all_free = wanted.iter().all(is_free) && member.revoking.is_empty();
            if all_free { wanted.into_iter().cloned().collect() } else { Vec::new() }
        };
        if coming.is_empty() {
            self.member(name, epoch)?.at_rest = Some(generation);
            return Ok(None);
        }
        self.member(name, epoch)?.owned.extend(coming.iter().cloned());
        Ok(Some(GroupEvent::Assigned(coming)))
    }

    /// A member has given partitions up.
    ///
    /// # Errors
    /// If the member is fenced.
    pub fn release(&mut self, name: &str, epoch: u64, partitions: &[TopicPartition]) -> Result<(), Fenced> {
        let member = self.member(name, epoch)?;
        for at in partitions {
            member.owned.remove(at);
            member.revoking.remove(at);
        }
        // Somebody may be waiting for them.
        self.generation += 1;
        Ok(())
    }

    /// Whether a member may commit for these partitions.
    ///
    /// # Errors
    /// If it may not.
    pub fn check<'a>(
        &mut self,
        name: &str,
        epoch: u64,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Result<(), Fenced> {
        let member = self.member(name, epoch)?;
        match partitions.into_iter().all(|at| member.owned.contains(at)) {
            true => Ok(()),
            false => Err(Fenced::NotOwner),
        }
    }

    /// Computes anew who shall have what; also called when a topic was created.
    pub fn rebalance(&mut self, counts: &Counts<'_>) {
        let topics: BTreeSet<Arc<str>> = self.members.values().flat_map(|m| m.topics.iter().cloned()).collect();
        let mut targets: BTreeMap<Arc<str>, BTreeSet<TopicPartition>> = BTreeMap::new();
        for topic in topics {
            let count = counts(&topic).unwrap_or(0);
            let readers: Vec<&Arc<str>> =
                self.members.iter().filter(|(_, m)| m.topics.contains(&topic)).map(|(name, _)| name).collect();
            for (name, range) in readers.iter().zip(ranges(count, readers.len())) {
                let followers = self.members[*name].followers.iter().filter(|(leader, _)| *leader == topic);
                let together = [&topic].into_iter().chain(followers.map(|(_, follower)| follower));
                let of = |topic: &Arc<str>| {
                    let topic = topic.clone();
                    range.clone().map(move |partition| TopicPartition { topic: topic.clone(), partition })
                };
                targets.entry((*name).clone()).or_default().extend(together.flat_map(of));
            }
        }
        for (name, member) in &mut self.members {
            member.target = targets.remove(name).unwrap_or_default();
        }
        self.generation += 1;
    }

    /// Counts every change: of membership, subscriptions or topics, and every release.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn member(&mut self, name: &str, epoch: u64) -> Result<&mut Member, Fenced> {
        let member = self.members.get_mut(name).ok_or(Fenced::Expired)?;
        match member.epoch == epoch {
            true => Ok(member),
            false => Err(Fenced::Replaced),
        }
    }
}

/// Splits partitions into ranges whose lengths differ by at most one, the longer ones first, as
/// Kafka's range assignor does.
fn ranges(count: u32, members: usize) -> impl Iterator<Item = std::ops::Range<u32>> {
    let members = u32::try_from(members.max(1)).unwrap_or(u32::MAX);
    let (each, more) = (count / members, count % members);
    (0..members).map(move |i| {
        let begin = i * each + i.min(more);
        begin..begin + each + u32::from(i < more)
    })
}

#[cfg(test)]
mod tests;
