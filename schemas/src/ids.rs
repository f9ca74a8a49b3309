//! Ids of events and executions. All but a client's own `Event-Id` are derived from what they name,
//! so that deciding an event again, after a crash or under a newer revision, yields the same ids.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest id that a client may choose, in bytes.
pub const fn event_id_bytes_max() -> usize {
    128
}

/// Why a text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing there.
    #[error("an id must not be empty")]
    Empty,
    /// Longer than [`event_id_bytes_max`].
    #[error("an id has at most 128 bytes, this one has {0}")]
    TooLong(usize),
    /// Only visible ASCII is allowed, so that an id can stand in a header, a path and a log.
    #[error("an id consists of visible ASCII characters; found {0:?}")]
    Character(char),
    /// An execution id is 32 lower-case hexadecimal digits, and behind them a child's path.
    #[error(
        "an execution id is 32 lower-case hexadecimal digits; that of a child goes on with its numbers, such as \".3.1\""
    )]
    NotAnExecution,
    /// More than [`child_depth_max`].
    #[error("executions are nested at most 32 deep, this one is {0}")]
    TooDeep(usize),
}

/// Id of an event: 32 hexadecimal digits, or what a client sent as `Event-Id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(String);

/// Deepest nesting of executions below a root.
pub const fn child_depth_max() -> usize {
    32
}

/// Most executions in the chain that causes an event: one that more have caused is a dead letter.
pub const fn cause_depth_max() -> i32 {
    32
}

/// How many executions the end of one counts for in that chain. Each end may start as many as there are rules that react
/// to ends, so that few of them in a row are a flood.
pub const fn end_cause_depth() -> i32 {
    8
}

/// Digits of a root's id.
const ROOT_DIGITS: usize = 32;

/// Id of an execution and of the request that asked for it: 32 hexadecimal digits for a root. A child's is
/// its root's, a dot and its path of numbers from 1 (`be42….3.1`), so that whoever has the id can address
/// the root's partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExecutionId(String);

impl EventId {
    /// The event that a record of a bound topic is.
    pub fn of_record(cluster_id: &str, topic: &str, partition: u32, offset: i64, timestamp_ms: i64) -> Self {
        Self(digest(
            "event/record",
            &[
                cluster_id.as_bytes(),
                topic.as_bytes(),
                &partition.to_be_bytes(),
                &offset.to_be_bytes(),
                &timestamp_ms.to_be_bytes(),
            ],
        ))
    }

    /// The event that a timer fires at a scheduled instant, in milliseconds since the epoch.
    pub fn of_timer(timer: &str, scheduled_ms: i64) -> Self {
        Self(digest("event/timer", &[timer.as_bytes(), &scheduled_ms.to_be_bytes()]))
    }

    /// The event of that number, from 0, that an execution injects; the same in every attempt.
    pub fn of_injected(execution: &ExecutionId, number: u32) -> Self {
        Self(digest("event/injected", &[execution.0.as_bytes(), &number.to_be_bytes()]))
    }

    /// The event that an execution has ended.
    pub fn of_end(execution: &ExecutionId) -> Self {
        Self(digest("event/end", &[execution.0.as_bytes()]))
    }

    /// The event that an execution has ended that had ended before: of a workflow that was run again, by the number of that
    /// run, from 2.
    pub fn of_further_end(execution: &ExecutionId, run: u32) -> Self {
        Self(digest("event/further-end", &[execution.0.as_bytes(), &run.to_be_bytes()]))
    }

    /// An id that somebody else chose: 1 to 128 visible ASCII characters.
    ///
    /// # Errors
    /// See [`IdError`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if text.len() > event_id_bytes_max() {
            return Err(IdError::TooLong(text.len()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic()) {
            Some(c) => Err(IdError::Character(c)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ExecutionId {
    /// The execution that a rule asks for: of an event, by its action of that index. The revision
    /// is not part of it.
    pub fn of_request(event: &EventId, rule: &str, action_index: u32, redrive: u32) -> Self {
        Self(digest(
            "execution/rule",
            &[event.0.as_bytes(), rule.as_bytes(), &action_index.to_be_bytes(), &redrive.to_be_bytes()],
        ))
    }

    /// The execution of a manual run, by the unique id of the call that asked for it.
    pub fn of_manual(call_id: &str) -> Self {
        Self(digest("execution/manual", &[call_id.as_bytes()]))
    }

    /// The execution of a manual run whose caller chose an idempotency key: the same action and key, the same
    /// execution.
    pub fn of_keyed(action: &str, key: &str) -> Self {
        Self(digest("execution/keyed", &[action.as_bytes(), key.as_bytes()]))
    }

    /// Reads an id back.
    ///
    /// # Errors
    /// [`IdError::NotAnExecution`] or [`IdError::TooDeep`].
    pub fn parse(text: &str) -> Result<Self, IdError> {
        let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        let (root, path) = text.split_at_checked(ROOT_DIGITS).ok_or(IdError::NotAnExecution)?;
        if !root.bytes().all(hex) || !(path.is_empty() || path.starts_with('.')) {
            return Err(IdError::NotAnExecution);
        }
        let steps = || path.split('.').skip(1);
        if !steps().all(is_child_number) {
            return Err(IdError::NotAnExecution);
        }
        match steps().count() {
            depth if depth > child_depth_max() => Err(IdError::TooDeep(depth)),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The outermost execution; itself for a root.
    pub fn root(&self) -> Self {
        Self(self.0[..ROOT_DIGITS].to_owned())
    }

    /// The execution that started it; none for a root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rfind('.').map(|end| Self(self.0[..end].to_owned()))
    }

    /// A child of it, by its number from 1.
    ///
    /// # Errors
    /// [`IdError::TooDeep`], or [`IdError::NotAnExecution`] for the number 0.
    pub fn child(&self, number: u32) -> Result<Self, IdError> {
        Self::parse(&format!("{}.{number}", self.0))
    }

    /// Its numbers below the root, outermost first; none for a root.
    pub fn path(&self) -> impl Iterator<Item = u32> {
        // The constructors let nothing else through.
        self.0[ROOT_DIGITS..].split('.').skip(1).filter_map(|step| step.parse().ok())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<EventId> for String {
    fn from(id: EventId) -> Self {
        id.0
    }
}

impl From<ExecutionId> for String {
    fn from(id: ExecutionId) -> Self {
        id.0
    }
}

/// A number from 1 as it is written once, without a sign or zeros before it.
fn is_child_number(step: &str) -> bool {
    !step.starts_with(['0', '+']) && step.parse::<u32>().is_ok()
}

/// The first 128 bits of SHA-256 over the domain and the length-prefixed parts, in hexadecimal.
fn digest(domain: &str, parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    hash.update(domain.as_bytes());
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for b in bytes {
        text.push(char::from(DIGITS[usize::from(b >> 4)]));
        text.push(char::from(DIGITS[usize::from(b & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids are stored and compared for as long as the data lives: these values must never change.
    #[test]
    fn ids_are_golden() {
        let event = EventId::of_record("cluster", "topic", 3, 42, 1_700_000_000_000);
        assert_eq!(event.as_str(), "edcbd9fb2582752a6c18e01100555a3c");
        assert_eq!(EventId::of_timer("demo.tick", 60_000).as_str(), "2701d6fecbc47b1d1604dd94213ff18c");
        assert_eq!(ExecutionId::of_request(&event, "demo.rule", 0, 0).as_str(), "85560e91ee03ab2dc56d0238bbe2d975");
        assert_eq!(ExecutionId::of_manual("call-1").as_str(), "ab5d55eb4ccbbb057449fb974e3db6fa");
        assert_eq!(ExecutionId::of_keyed("demo.run", "key-1").as_str(), "f6b447bed401bc1940a00e665aec5b07");
        let execution = ExecutionId::of_manual("call-1");
        assert_eq!(EventId::of_injected(&execution, 0).as_str(), "5e2c0a0999910caa24f0de1b6a1362e0");
        assert_eq!(EventId::of_injected(&execution, 1).as_str(), "da7166625ead13230414786c5fa23aed");
        assert_eq!(EventId::of_end(&execution).as_str(), "e362ff12058f5b1fc0c68548700fb7e0");
        assert_eq!(EventId::of_further_end(&execution, 2).as_str(), "39fcead4c8dcd91433cdf21fdad599f2");
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let id = |topic: &str, cluster: &str| EventId::of_record(cluster, topic, 0, 0, 0);
        assert_ne!(id("ab", "c"), id("b", "ca"));
        let event = id("t", "c");
        assert_ne!(ExecutionId::of_request(&event, "r", 0, 1), ExecutionId::of_request(&event, "r", 1, 0));
    }

    #[test]
    fn a_child_names_its_root_and_its_parent() {
        let root = ExecutionId::of_manual("call-1");
        let child = root.child(3).unwrap().child(1).unwrap();
        assert_eq!(child.as_str(), "ab5d55eb4ccbbb057449fb974e3db6fa.3.1");
        assert_eq!(ExecutionId::parse(child.as_str()), Ok(child.clone()));
        assert_eq!((child.root(), child.parent()), (root.clone(), Some(root.child(3).unwrap())));
        assert_eq!((root.root(), root.parent()), (root.clone(), None));
        assert_eq!(child.path().collect::<Vec<_>>(), [3, 1]);
        assert_eq!(root.path().count(), 0);

        let text = root.as_str();
        let bad = ["", ".", ".0", ".01", ".1.", "..1", ".+1", ".-1", ".x", "1", ".4294967296", ".é"];
        for path in bad.into_iter().skip(1) {
            assert_eq!(ExecutionId::parse(&format!("{text}{path}")), Err(IdError::NotAnExecution), "{path}");
        }
        assert_eq!(ExecutionId::parse(&format!("{}é", &text[..31])), Err(IdError::NotAnExecution));
        assert_eq!(root.child(0), Err(IdError::NotAnExecution));
        let deepest = (0..child_depth_max()).fold(root, |parent, _| parent.child(1).unwrap());
        assert_eq!(deepest.child(1), Err(IdError::TooDeep(33)));
    }

    #[test]
    fn client_ids_are_checked() {
        assert_eq!(EventId::parse(""), Err(IdError::Empty));
        assert_eq!(EventId::parse("a b"), Err(IdError::Character(' ')));
        assert_eq!(EventId::parse(&"x".repeat(129)), Err(IdError::TooLong(129)));
        assert!(EventId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(ExecutionId::parse("xyz"), Err(IdError::NotAnExecution));
    }
}
