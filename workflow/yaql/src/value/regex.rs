//! Compiled regular expressions.

use regex::Regex;

/// A regular expression: the text of its author, and what it was compiled to.
pub struct Pattern {
    text: String,
    flags: Flags,
    compiled: Regex,
}

/// How a regular expression is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flags {
    pub(crate) ignore_case: bool,
    pub(crate) multi_line: bool,
    pub(crate) dot_all: bool,
}

impl Pattern {
    pub(crate) fn new(text: String, flags: Flags, compiled: Regex) -> Pattern {
        Pattern { text, flags, compiled }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn compiled(&self) -> &Regex {
        &self.compiled
    }

    pub(crate) fn same(&self, other: &Pattern) -> bool {
        self.text == other.text && self.flags == other.flags
    }
}
