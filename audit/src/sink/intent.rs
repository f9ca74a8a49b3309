//! What is recorded before a batch is written: which records it holds.

/// A range of offsets of one partition, by its first and its last record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Intent {
    /// Offset of the first record.
    pub first: i64,
    /// Offset of the last record.
    pub last: i64,
}

/// Marks the text as ours, with its version.
const MARK: &str = "petrel-audit/1";

impl Intent {
    /// As it stands beside the committed offset.
    pub(crate) fn encode(self) -> String {
        format!("{MARK} {} {}", self.first, self.last)
    }

    /// Reads it back; nothing for a text that is not ours.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let (first, last) = text.strip_prefix(MARK)?.trim().split_once(' ')?;
        let intent = Self { first: first.parse().ok()?, last: last.parse().ok()? };
        (intent.first <= intent.last).then_some(intent)
    }

    /// By which ClickHouse recognises an insert that it has seen.
    pub(crate) fn token(self, topic: &str, partition: u32, table: &str, repair: u32) -> String {
        let token = format!("{topic}:{partition}:{}-{}:{table}", self.first, self.last);
        if repair == 0 { token } else { format!("{token}:repair-{repair}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_back() {
        let intent = Intent { first: 3, last: 1 << 40 };
        assert_eq!(Intent::decode(&intent.encode()), Some(intent));
        for foreign in ["", "petrel-audit/1", "petrel-audit/1 5 4", "petrel-audit/2 1 2", "petrel-audit/1 a b"] {
            assert_eq!(Intent::decode(foreign), None, "{foreign:?}");
        }
    }
}
