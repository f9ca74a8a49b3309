//! The index of executions that wait for a revision, or for the end of a pause, in the order of their requests.

use petrel_schemas::ExecutionId;

use crate::state::DelayReason;
use crate::subject::Core;

/// Key prefix of the index. It sorts behind every execution id, which begins with a hexadecimal digit.
pub const WAITING: &[u8] = b"waiting/";

const PAUSE: &str = "waiting/pause/";
const REVISION: &str = "waiting/revision/";

/// One entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The revision that it waits for; none if it waits for the end of a pause.
    pub revision: Option<String>,
    /// When it was requested, in milliseconds since the epoch.
    pub requested_at_ms: i64,
    /// Who waits.
    pub id: ExecutionId,
}

impl Waiting {
    /// The entry of an execution that is delayed for that reason; nothing if a timer ends the delay.
    pub(super) fn of(reason: DelayReason, core: &Core) -> Option<Self> {
        let revision = match reason {
            DelayReason::RevisionNotHere | DelayReason::ActionBroken => Some(core.subject.revision.clone()),
            DelayReason::DispatchPaused => None,
            DelayReason::BackOff | DelayReason::Gate => return None,
        };
        // What lies before the epoch is as old as the epoch.
        Some(Self { revision, requested_at_ms: core.subject.requested_at_ms.max(0), id: core.id().clone() })
    }

    /// Its key.
    pub fn key(&self) -> Vec<u8> {
        let before = match &self.revision {
            Some(revision) => format!("{REVISION}{revision}/"),
            None => PAUSE.to_owned(),
        };
        // Twenty digits hold every instant, so that the order of the keys is that of the requests.
        format!("{before}{:020}/{}", self.requested_at_ms, self.id).into_bytes()
    }

    /// Reads a key back.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        let mut parts = text.rsplitn(3, '/');
        let (id, requested, before) = (parts.next()?, parts.next()?, parts.next()?);
        let revision = match before {
            "waiting/pause" => None,
            _ => Some(before.strip_prefix(REVISION)?.to_owned()),
        };
        Some(Self { revision, requested_at_ms: requested.parse().ok()?, id: ExecutionId::parse(id).ok()? })
    }
}

/// Whether a key, of a state or a timer, belongs to the index.
pub fn is_waiting_key(key: &[u8]) -> bool {
    key.starts_with(WAITING)
}

/// The first key behind all that wait for a revision.
pub fn next_revision(revision: &str) -> Vec<u8> {
    // `0` follows `/`.
    format!("{REVISION}{revision}0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_in_order() {
        let entry = |revision: Option<&str>, requested_at_ms| Waiting {
            revision: revision.map(str::to_owned),
            requested_at_ms,
            id: ExecutionId::of_manual("x").child(2).unwrap(),
        };
        let sorted = [entry(None, 9), entry(None, 10), entry(Some("a"), 3), entry(Some("a/b"), 1), entry(Some("b"), 2)];
        let keys: Vec<Vec<u8>> = sorted.iter().map(Waiting::key).collect();
        assert!(keys.is_sorted());
        for (entry, key) in sorted.iter().zip(&keys) {
            assert_eq!(Waiting::parse(key).as_ref(), Some(entry));
            assert!(is_waiting_key(key));
        }
        assert!(keys[2] < next_revision("a") && next_revision("a") < keys[4]);
        assert_eq!(Waiting::parse(b"waiting/pause"), None);
        assert_eq!(Waiting::parse(b"be42"), None);
    }
}
