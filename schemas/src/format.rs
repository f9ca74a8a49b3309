//! Formats: one number for the whole product that says which version of each record is written.
//!
//! A release reads every version that was ever shipped and writes two formats: its newest and the one before. Which
//! of them is *in force* is told by the log, so that a release may run beside the one before it, and may be taken
//! back, until somebody finishes the upgrade; see docs/UPGRADING.md and docs/adr/0014.

use crate::codec::{Stored, registry};

/// A format that this release can write; the number grows with every release that changes a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Format(u32);

/// Why a format cannot be written by this release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWritable {
    /// A newer release brought it.
    #[error("format {number} is newer than format {newest}, the newest that this release can write")]
    Newer {
        /// The format.
        number: u32,
        /// The newest format of this release.
        newest: u32,
    },
    /// Releases between that one and this one were skipped.
    #[error("format {number} is older than format {oldest}, the oldest that this release can write")]
    Older {
        /// The format.
        number: u32,
        /// The oldest format of this release.
        oldest: u32,
    },
}

/// A record of a kind that a format does not have. Whoever writes a new kind waits until its format is in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("format {format} has no records of the kind {kind}")]
pub struct NoSuchKind {
    /// Name of its schema.
    pub kind: &'static str,
    /// Number of the format.
    pub format: u32,
}

impl Format {
    /// The first that there was. What says which format is in force is written in this one, so that every release
    /// can read it.
    pub const FIRST: Self = Self(1);

    /// The newest that this release can write; that of a new installation.
    pub fn newest() -> Self {
        Self(registry().newest_format())
    }

    /// The oldest that this release can write: the one before the newest, if there was one.
    pub fn oldest() -> Self {
        Self(Self::newest().0.saturating_sub(1).max(Self::FIRST.0))
    }

    /// The format of that number, if this release can write it.
    ///
    /// # Errors
    /// [`NotWritable`].
    pub fn writable(number: u32) -> Result<Self, NotWritable> {
        let (oldest, newest) = (Self::oldest().0, Self::newest().0);
        match number {
            _ if number > newest => Err(NotWritable::Newer { number, newest }),
            _ if number < oldest => Err(NotWritable::Older { number, oldest }),
            _ => Ok(Self(number)),
        }
    }

    /// Its number.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The bytes of a record in this format: what its version of the record lacks is left out.
    ///
    /// # Errors
    /// [`NoSuchKind`].
    pub fn encode<T: Stored>(self, record: &T) -> Result<Vec<u8>, NoSuchKind> {
        let bytes = crate::encode(record);
        Ok(self.rewrite(&bytes)?.unwrap_or(bytes))
    }

    /// A record as this format has it; nothing where it stays as it is: a record of this format or an older one, or
    /// what is no record of Petrel's.
    ///
    /// # Errors
    /// [`NoSuchKind`].
    pub fn rewrite(self, bytes: &[u8]) -> Result<Option<Vec<u8>>, NoSuchKind> {
        registry().rewrite(bytes, self.0)
    }
}
