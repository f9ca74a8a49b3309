//! Semantic versions (semver.org 2.0.0), as text.

use std::cmp::Ordering;
use std::fmt;

/// A semantic version: its text, which was checked. It borrows, so that it can live in an arena; its parts
/// are read when somebody asks, which is quick.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version<'a>(&'a str);

impl<'a> Version<'a> {
    /// The longest version in bytes.
    pub const BYTES_MAX: usize = 256;

    /// A version, if the text is one.
    pub fn parse(text: &'a str) -> Option<Self> {
        let fits = text.len() <= Self::BYTES_MAX && semver::Version::parse(text).is_ok();
        fits.then_some(Self(text))
    }

    /// A version whose text was checked before.
    pub(crate) fn checked(text: &'a str) -> Self {
        Self(text)
    }

    /// Its text.
    pub fn as_str(self) -> &'a str {
        self.0
    }

    /// Major, minor and patch.
    pub fn numbers(self) -> [u64; 3] {
        let version = self.parts();
        [version.major, version.minor, version.patch]
    }

    /// The order of versions; what was built makes no difference.
    pub fn cmp_precedence(&self, other: &Version<'_>) -> Ordering {
        self.parts().cmp_precedence(&other.parts())
    }

    fn parts(self) -> semver::Version {
        // The text was checked, so that this is not needed.
        semver::Version::parse(self.0).unwrap_or(semver::Version::new(0, 0, 0))
    }
}

impl fmt::Display for Version<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
