//! Topics that come, and those that are deleted and made anew while they are read.
//!
//! The log may go on handing out records of the new topic from where the group was in the old one: what stands before
//! would be passed over in silence. So a driver asks from time to time whether its topics are still those that it began
//! on, and before it commits anything once a partition could not be read on. If one is not, all is begun anew: where
//! the group's offset is one of the old topic, the new one is read from its start.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::progress::Progress;
use super::{Driver, Failure};
use crate::session::{Begin, Position, SessionError, TopicPartition};
use crate::stage::Stage;

/// When the topics are asked for next.
#[derive(Debug)]
pub(super) struct Look {
    /// When they were asked for last, in milliseconds since the epoch.
    asked_ms: i64,
    /// Whether something happened that leaves nothing to wait for.
    is_due: bool,
}

impl Look {
    pub(super) fn begun(now_ms: i64) -> Self {
        Self { asked_ms: now_ms, is_due: false }
    }

    /// Before the next commit.
    pub(super) fn soon(&mut self) {
        self.is_due = true;
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }
}

impl<S: Stage> Driver<'_, S> {
    /// Looks at the topics if it is time to, and no transaction would wait for the answer.
    pub(super) fn look_at_topics_in_time(&mut self) -> Result<(), Failure> {
        let now_ms = self.clock.now_ms();
        self.halts.ask_again(&mut *self.session, now_ms, self.options.position_interval_ms)?;
        let asked_ago_ms = now_ms.saturating_sub(self.look.asked_ms);
        // Also after a clock was set back.
        let is_time = !(0..self.options.position_interval_ms).contains(&asked_ago_ms);
        if self.look.is_due || (is_time && self.open_since_ms.is_none()) { self.look_at_topics() } else { Ok(()) }
    }

    /// Finds out whether a topic that is read was made anew, and whether one that was missing or withheld is there.
    pub(super) fn look_at_topics(&mut self) -> Result<(), Failure> {
        self.look = Look::begun(self.clock.now_ms());
        let read = self.tasks.progress().map(|progress| &progress.at.topic);
        let others = self.missing.keys().chain(self.withheld.iter().map(|at| &at.topic));
        let topics: BTreeSet<Arc<str>> = read.chain(others).cloned().collect();
        if topics.is_empty() {
            return Ok(());
        }
        let topics: Vec<Arc<str>> = topics.into_iter().collect();
        let found: BTreeMap<Arc<str>, Option<Arc<str>>> = self.session.incarnations(&topics)?;
        self.forget_missing(|topic| found.contains_key(topic));
        let now = |topic: &Arc<str>| found.get(topic).and_then(Option::as_ref);
        let other = self.tasks.progress().find(|progress| progress.is_of_earlier_topic(now(&progress.at.topic)));
        if let Some(Progress { at, .. }) = other {
            let why = format!("the topic {} was made anew while it was read", at.topic);
            return Err(SessionError::Rebuild(why).into());
        }
        self.look_for_withheld(|topic| found.contains_key(topic))
    }

    /// All is begun anew once one can be begun that was withheld. That a broker describes its topic does not say so:
    /// another one may still refuse the group's offsets, or there is no id that it could be described with.
    fn look_for_withheld(&mut self, is_described: impl Fn(&Arc<str>) -> bool) -> Result<(), Failure> {
        let described: Vec<TopicPartition> =
            self.withheld.iter().filter(|at| is_described(&at.topic)).cloned().collect();
        // The answer may wait for a transaction of somebody else, who may wait for this one.
        if described.is_empty() || self.open_since_ms.is_some() {
            return Ok(());
        }
        let begun = self.session.begin(&described)?;
        match begun.into_iter().find(|begin| begin.refused.is_none()) {
            Some(Begin { position: Position { at, .. }, .. }) => {
                Err(SessionError::Rebuild(format!("{}/{} can be begun now", at.topic, at.partition)).into())
            }
            None => Ok(()),
        }
    }

    /// What the log lets nobody begin on, because its topic is too new or because it must not be read, is begun once it
    /// does.
    pub(super) fn note_withheld(&mut self, begun: &[Begin]) {
        let is_withheld = |begin: &&Begin| begin.refused.is_some();
        self.withheld.extend(begun.iter().filter(is_withheld).map(|begin| begin.position.at.clone()));
    }

    pub(super) fn tell_missing(&mut self, topic: Arc<str>, why: String) {
        tracing::error!(stage = %self.stage.spec().name, %topic, %why, "a topic cannot be read");
        self.missing.insert(topic, why);
        self.stats.set_missing(self.missing.clone().into_iter().collect());
    }

    /// Whoever got the partitions of a topic that has come into being: all members hear that something changed.
    pub(super) fn look_for_missing(&mut self) {
        if !self.missing.is_empty() {
            self.look.soon();
        }
    }

    pub(super) fn forget_missing(&mut self, no_longer: impl Fn(&Arc<str>) -> bool) {
        if self.missing.keys().any(&no_longer) {
            self.missing.retain(|topic, _| !no_longer(topic));
            self.stats.set_missing(self.missing.clone().into_iter().collect());
        }
    }
}
