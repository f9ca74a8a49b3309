//! What an expression reads of the event.

use std::collections::BTreeSet;

use crate::json::Keep;

/// Paths below `trigger`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Each path with everything below it; the empty path is the whole event.
    paths: BTreeSet<Vec<Box<str>>>,
}

impl Reads {
    /// Adds a path.
    pub fn add(&mut self, path: Vec<Box<str>>) {
        self.paths.insert(path);
    }

    /// Adds all paths of another expression.
    pub fn merge(&mut self, other: &Reads) {
        self.paths.extend(other.paths.iter().cloned());
    }

    /// What of a document has to be built for them.
    pub fn keep(&self) -> Keep {
        let mut keep = Keep::default();
        for path in &self.paths {
            keep.add(path);
        }
        keep
    }

    /// Whether this path lies on the way to, at or below one that is read.
    pub fn touches(&self, path: &[Box<str>]) -> bool {
        self.paths.iter().any(|read| {
            let shared = read.len().min(path.len());
            read[..shared] == path[..shared]
        })
    }
}
