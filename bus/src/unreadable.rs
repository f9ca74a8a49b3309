//! What becomes of a record that cannot be read, the same for every stage and the sink (DESIGN §2.2).
//!
//! A record that a newer release may have written makes its topic's partition wait, loudly, until this process is
//! upgraded too or gives the partition away: it is never dropped and never a dead letter. Everything else is a
//! dead letter with one of three codes: `not_a_record`, `unexpected_kind`, `corrupt_record`.

use petrel_schemas::DecodeError;

use crate::dead_letters::Reason;
use crate::record::Record;
use crate::session::Batch;
use crate::stage::Taken;

/// A record that cannot be taken yet, and why, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYet(pub String);

/// What becomes of bytes that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// A newer release may have written them: they wait for one that can read them.
    Newer(NotYet),
    /// Nobody can read them.
    Damaged(Reason),
}

impl From<DecodeError> for Unreadable {
    fn from(error: DecodeError) -> Self {
        let damaged = |code| Self::Damaged(Reason::new(code, error.to_string()));
        match error {
            DecodeError::UnknownSchema { .. } => Self::Newer(NotYet(error.to_string())),
            DecodeError::NotARecord { .. } => damaged("not_a_record"),
            DecodeError::OtherKind { .. } => damaged("unexpected_kind"),
            DecodeError::Corrupt { .. } => damaged("corrupt_record"),
        }
    }
}

impl Batch<'_> {
    /// Takes one record after the other, up to the first that cannot be taken yet.
    pub fn take_each(&self, mut take: impl FnMut(&Record<'_>) -> Result<(), NotYet>) -> Taken {
        for (consumed, record) in self.records.iter().enumerate() {
            if let Err(NotYet(reason)) = take(record) {
                return Taken::Blocked { consumed, reason };
            }
        }
        Taken::All
    }
}
