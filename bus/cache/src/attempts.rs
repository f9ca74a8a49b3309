//! Counts openings that did not come to an end.
//!
//! A damaged file can make the store ask for so much memory that the process is aborted, which nothing
//! can catch. The next process must not try the same for ever.

use std::path::{Path, PathBuf};

const FILE: &str = "opening";
/// A process may be killed while it opens its cache; twice in a row, and the cache is the suspect.
const ATTEMPTS_MAX: usize = 2;

/// An opening that is under way.
#[derive(Debug)]
pub(crate) struct Attempt(PathBuf);

impl Attempt {
    /// Notes an opening; none if too many before it did not end.
    pub(crate) fn begin(dir: &Path) -> std::io::Result<Option<Self>> {
        let path = dir.join(FILE);
        let before = std::fs::read(&path).map_or(0, |bytes| bytes.len());
        if before >= ATTEMPTS_MAX {
            std::fs::remove_file(&path)?;
            return Ok(None);
        }
        // A byte for each attempt.
        std::fs::write(&path, vec![b'.'; before + 1])?;
        Ok(Some(Self(path)))
    }

    /// It ended, well or not.
    pub(crate) fn end(self) -> std::io::Result<()> {
        std::fs::remove_file(self.0)
    }
}
