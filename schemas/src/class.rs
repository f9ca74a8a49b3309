//! How urgent an execution is: its class.

/// A class of executions. The workers of a pool take turns between those that have something to do, so that none
/// starves and one without tasks costs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Class {
    /// Somebody, or something, waits for it.
    Urgent,
    /// As most are.
    #[default]
    Normal,
    /// It is done when there is time.
    Bulk,
}

impl Class {
    /// Every class, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// As records and packs write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Urgent => "urgent",
            Self::Normal => "normal",
            Self::Bulk => "bulk",
        }
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }

    /// Its share of the turns while all classes wait.
    pub const fn weight(self) -> i32 {
        match self {
            Self::Urgent => 8,
            Self::Normal => 4,
            Self::Bulk => 1,
        }
    }

    /// Its place in [`Class::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
            Self::Bulk => 2,
        }
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_places_are_read_back() {
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!((Class::parse(class.as_str()), class.index()), (Some(class), place));
        }
        assert_eq!((Class::parse("Urgent"), Class::default()), (None, Class::Normal));
    }
}
