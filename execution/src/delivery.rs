//! What a lost attempt of an action means.

/// How often an action may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It may run again.
    AtLeastOnce,
    /// It never runs again by itself.
    AtMostOnce,
}

impl Delivery {
    /// As a pack, and a `Task`, writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtLeastOnce => "at_least_once",
            Self::AtMostOnce => "at_most_once",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::AtLeastOnce, Self::AtMostOnce].into_iter().find(|d| d.as_str() == text)
    }
}
