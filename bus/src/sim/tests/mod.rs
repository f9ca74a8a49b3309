//! What the simulated log does that is inconvenient.

mod residue;
mod retention;
mod transactions;
mod zombies;

use std::sync::Arc;
use std::time::Duration;

use super::{CommitFault, SimBus, SimClock, SimOptions};
use crate::bus::{Bus, SessionOptions, TopicSpec};
use crate::record::Output;
use crate::session::{Begin, GroupEvent, Position, RestoreFrom, Session, SessionError, TopicPartition};
use crate::stage::{InputTopic, Start};

const START_MS: i64 = 1_700_000_000_000;

/// A log with the topics `in`, `out` and `state`, of one partition each.
struct Log {
    clock: Arc<SimClock>,
    bus: SimBus,
}

impl Log {
    fn new() -> Self {
        let clock = SimClock::at(START_MS);
        let bus = SimBus::new(clock.clone(), SimOptions::default());
        let topic = |name: &str, compacted, retention_ms| TopicSpec {
            name: name.into(),
            partitions: 1,
            compacted,
            retention_ms,
            delete_retention_ms: None,
        };
        let topics = [topic("in", false, Some(3_600_000)), topic("out", false, None), topic("state", true, None)];
        bus.ensure_topics(&topics).unwrap();
        Self { clock, bus }
    }

    fn publish(&self, topic: &str, key: &str, value: Option<&str>) {
        let output = record(topic, key, value);
        self.bus.shared.publish(vec![output]).unwrap();
    }

    fn values(&self, topic: &str) -> Vec<String> {
        let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).unwrap();
        self.bus.records(topic).into_iter().map(|(_, r)| text(r.value)).collect()
    }

    fn join(&self, member: &str) -> Box<dyn Session> {
        let (group, member) = ("group".into(), member.into());
        let options = SessionOptions { group, member, transactional: true };
        let mut session = self.bus.session(&options).unwrap();
        session.subscribe(&[InputTopic { name: "in".into(), start: Start::Beginning, with: None }]).unwrap();
        session
    }

    /// A member that has the partition of `in`.
    fn owner(&self, member: &str) -> Box<dyn Session> {
        let mut session = self.join(member);
        let positions = begin(&mut *session).unwrap();
        session.accept(&positions).unwrap();
        session
    }

    /// Sends an output and a change of the state, and commits the next offset of `in` with them.
    fn step(&self, session: &mut dyn Session, value: &str, next: i64) -> Result<(), SessionError> {
        session.send(record("out", "k", Some(value)), 0)?;
        session.send(record("state", "k", Some(value)), 0)?;
        session.commit(&[position(next)])
    }

    fn fail(&self, fault: CommitFault) {
        self.bus.fail_commits([fault]);
    }
}

fn record(topic: &str, key: &str, value: Option<&str>) -> Output {
    let value = value.map(|v| v.as_bytes().to_vec());
    Output::to_partition(&topic.into(), 0, key.as_bytes(), value)
}

fn input() -> TopicPartition {
    TopicPartition { topic: "in".into(), partition: 0 }
}

fn position(offset: i64) -> Position {
    Position { at: input(), offset, metadata: None }
}

/// Polls until the partition is assigned, and begins on it.
fn begin(session: &mut dyn Session) -> Result<Vec<Position>, SessionError> {
    for _ in 0..5 {
        if session.fetch(Duration::ZERO, 1, &mut |_| {})? == [GroupEvent::Assigned(vec![input()])] {
            return begin_on(session);
        }
    }
    panic!("nothing is assigned");
}

/// Where the partition that is assigned begins; a start is committed.
fn begin_on(session: &mut dyn Session) -> Result<Vec<Position>, SessionError> {
    let begun = session.begin(&[input()])?;
    let start = |begun: &Begin| (!begun.committed).then(|| begun.position.clone());
    session.commit(&begun.iter().filter_map(start).collect::<Vec<_>>())?;
    Ok(begun.into_iter().map(|begun| begun.position).collect())
}

/// What a restore reads of the changelog.
fn restored(session: &mut dyn Session) -> Result<Vec<String>, SessionError> {
    let mut values = Vec::new();
    let changelog = TopicPartition { topic: "state".into(), partition: 0 };
    session.restore(&[RestoreFrom { at: changelog, from: None }], &mut |_, _, _, value| {
        values.push(String::from_utf8(value.unwrap_or_default().to_vec()).unwrap());
    })?;
    Ok(values)
}
