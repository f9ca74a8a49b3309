//! The index of executions that wait for a revision, for a switch, or for the end of a pause, in the order of their
//! requests.

use petrel_schemas::ExecutionId;

use crate::state::DelayReason;
use crate::subject::{Core, Subject};

/// Key prefix of the index. It sorts behind every execution id, which begins with a hexadecimal digit.
pub const WAITING: &[u8] = b"waiting/";

const PAUSE: &str = "waiting/pause/";
const REVISION: &str = "waiting/revision/";
const SWITCH: &str = "waiting/switch/";

/// One entry of the index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The revision that it waits for.
    pub revision: Option<String>,
    /// What is switched off; without that and without a revision, it waits for the end of a pause.
    pub switch: Option<String>,
    /// When it was requested, in milliseconds since the epoch.
    pub requested_at_ms: i64,
    /// Who waits.
    pub id: ExecutionId,
}

impl Waiting {
    /// The entry of an execution that is delayed for that reason; nothing if a timer ends the delay.
    pub(super) fn of(reason: DelayReason, core: &Core) -> Option<Self> {
        let (revision, switch) = match reason {
            DelayReason::RevisionNotHere | DelayReason::ActionBroken => (Some(core.subject.revision.clone()), None),
            DelayReason::DispatchPaused => (None, None),
            DelayReason::SwitchedOff(switch) => {
                let Subject { action, rule, .. } = &core.subject;
                (None, Some(switch.scope(action, rule.as_deref())?))
            }
            DelayReason::BackOff | DelayReason::Gate | DelayReason::Window | DelayReason::Task => return None,
        };
        // What lies before the epoch is as old as the epoch.
        Some(Self { revision, switch, requested_at_ms: core.subject.requested_at_ms.max(0), id: core.id().clone() })
    }

    /// Its key.
    pub fn key(&self) -> Vec<u8> {
        let before = match (&self.revision, &self.switch) {
            (Some(revision), _) => format!("{REVISION}{revision}/"),
            (None, Some(switch)) => format!("{SWITCH}{switch}/"),
            (None, None) => PAUSE.to_owned(),
        };
        // Twenty digits hold every instant, so that the order of the keys is that of the requests.
        format!("{before}{:020}/{}", self.requested_at_ms, self.id).into_bytes()
    }

    /// Reads a key back.
    pub fn parse(key: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(key).ok()?;
        let mut parts = text.rsplitn(3, '/');
        let (id, requested, before) = (parts.next()?, parts.next()?, parts.next()?);
        let revision = before.strip_prefix(REVISION).map(str::to_owned);
        let switch = before.strip_prefix(SWITCH).map(str::to_owned);
        if revision.is_none() && switch.is_none() && before != "waiting/pause" {
            return None;
        }
        Some(Self { revision, switch, requested_at_ms: requested.parse().ok()?, id: ExecutionId::parse(id).ok()? })
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

/// The first key of those that wait for a switch, and the first behind all of them.
pub fn next_switch(switch: &str) -> (Vec<u8>, Vec<u8>) {
    (format!("{SWITCH}{switch}/").into_bytes(), format!("{SWITCH}{switch}0").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_back_in_order() {
        let entry = |revision: Option<&str>, requested_at_ms| Waiting {
            revision: revision.map(str::to_owned),
            switch: None,
            requested_at_ms,
            id: ExecutionId::of_manual("x").child(2).unwrap(),
        };
        let off = |switch: &str| Waiting { switch: Some(switch.to_owned()), ..entry(None, 4) };
        let sorted = [
            entry(None, 9),
            entry(None, 10),
            entry(Some("a"), 3),
            entry(Some("a/b"), 1),
            entry(Some("b"), 2),
            off("everything"),
            off("pack/disk"),
        ];
        let keys: Vec<Vec<u8>> = sorted.iter().map(Waiting::key).collect();
        assert!(keys.is_sorted());
        for (entry, key) in sorted.iter().zip(&keys) {
            assert_eq!(Waiting::parse(key).as_ref(), Some(entry));
            assert!(is_waiting_key(key));
        }
        assert!(keys[2] < next_revision("a") && next_revision("a") < keys[4]);
        let (first, behind) = next_switch("everything");
        assert!(keys[4] < first && first < keys[5] && keys[5] < behind && behind < keys[6]);
        assert_eq!(Waiting::parse(b"waiting/pause"), None);
        assert_eq!(Waiting::parse(b"waiting/other/00000000000000000001/be42"), None);
        assert_eq!(Waiting::parse(b"be42"), None);
    }
}
