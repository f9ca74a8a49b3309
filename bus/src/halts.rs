//! Partitions that could not be read on, though begun, until they are read again.
//!
//! A bus may go on by itself with what it could not read, once a leader is back or a right is given back. It tells so
//! by what comes then: a record, or the end. A partition that has nothing new, and whose end was told before, would be
//! told as halted until somebody writes to it: so the session is asked from time to time to read it again from where
//! it stands.

use std::collections::BTreeMap;

use crate::session::{Session, SessionError, TopicPartition};

/// What a session told as halted.
#[derive(Debug, Default)]
pub struct Halts(BTreeMap<TopicPartition, Halt>);

#[derive(Debug)]
struct Halt {
    /// Everything below was read.
    position: i64,
    /// When it was told, or asked for last, in milliseconds since the epoch.
    asked_ms: i64,
}

impl Halts {
    /// The session told so, at an instant in milliseconds since the epoch.
    pub fn halted(&mut self, at: &TopicPartition, session: &(impl Session + ?Sized), now_ms: i64) {
        self.0.insert(at.clone(), Halt { position: session.position(at), asked_ms: now_ms });
    }

    /// These are begun anew, or somebody else's.
    pub fn forget(&mut self, partitions: &[TopicPartition]) {
        partitions.iter().for_each(|at| _ = self.0.remove(at));
    }

    /// Forgets those that are read again, and returns them.
    pub fn read_again(&mut self, session: &(impl Session + ?Sized)) -> Vec<TopicPartition> {
        let is_read =
            |(at, halt): &(&TopicPartition, &Halt)| session.position(at) > halt.position || session.caught_up(at);
        let read: Vec<TopicPartition> = self.0.iter().filter(is_read).map(|(at, _)| at.clone()).collect();
        self.forget(&read);
        read
    }

    /// Asks the session for those of which nothing was heard for so long, in milliseconds.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub fn ask_again(
        &mut self,
        session: &mut (impl Session + ?Sized),
        now_ms: i64,
        interval_ms: i64,
    ) -> Result<(), SessionError> {
        for (at, halt) in &mut self.0 {
            // Also after a clock was set back.
            if !(0..interval_ms).contains(&now_ms.saturating_sub(halt.asked_ms)) {
                halt.asked_ms = now_ms;
                session.read_again(at)?;
            }
        }
        Ok(())
    }
}
