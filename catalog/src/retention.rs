//! Which revisions stay when another one comes into force.
//!
//! Requests, tasks and inquiries name the revision that was in force when they were decided, and are resolved in
//! it for as long as they last. So a revision stays for a time after it was replaced, however many came since, and
//! some stay for rolling back, however old they are. Both within a limit of bytes, for every process holds the
//! catalog in memory: there the oldest go first, and what still waits in them fails with a code.

use std::collections::BTreeSet;

use crate::limits::REVISIONS_KEPT_MAX;
use crate::revision::Revision;
use crate::state::CatalogState;

/// How much of earlier revisions stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Latest revisions that stay whatever their age, the new one included; at least 1.
    pub revisions_max: usize,
    /// How long a revision stays after it was replaced, in milliseconds.
    pub revision_keep_ms: i64,
    /// Most bytes of all packs that stay, as they are stored. The new revision alone must fit.
    pub bytes_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            revisions_max: crate::limits::CATALOG_REVISIONS_DEFAULT,
            revision_keep_ms: crate::limits::REVISION_KEEP_MS_DEFAULT,
            bytes_max: crate::limits::CATALOG_BYTES_DEFAULT,
        }
    }
}

/// What stays beside a new revision.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Earlier revisions and until when each was in force, latest first.
    pub(crate) history: Vec<(String, i64)>,
    /// Those that would stay if there were no limit of bytes and of their number.
    pub(crate) removed_early: Vec<String>,
}

impl Retention {
    /// What stays when that revision comes into force.
    pub(crate) fn keep(&self, state: &CatalogState, new: &Revision, now_ms: i64) -> Kept {
        let mut used: BTreeSet<&str> = new.content().packs().iter().map(|pack| &**pack.hash()).collect();
        let mut bytes = bytes_of(new);
        let mut kept = Kept::default();
        let earlier = earlier(state, now_ms).into_iter().filter(|(hash, _)| hash != new.hash());
        for (number, (hash, until_ms)) in earlier.enumerate() {
            let is_recent = number + 1 < self.revisions_max;
            if !is_recent && now_ms.saturating_sub(until_ms) >= self.revision_keep_ms {
                continue;
            }
            let blobs = state.revisions().get(&hash).map_or(&[][..], |record| record.blobs.as_slice());
            let more: u64 = blobs
                .iter()
                .filter(|blob| !used.contains(blob.as_str()))
                .filter_map(|blob| state.blobs().get(blob))
                .map(|blob| blob.content.len() as u64)
                .sum();
            // Once one does not fit, no older one stays in its place.
            let is_full = !kept.removed_early.is_empty() || kept.history.len() >= REVISIONS_KEPT_MAX;
            if is_full || bytes + more > self.bytes_max {
                kept.removed_early.push(hash);
                continue;
            }
            bytes += more;
            used.extend(blobs.iter().map(String::as_str));
            kept.history.push((hash, until_ms));
        }
        kept
    }
}

/// Bytes of a revision's packs, as they are stored.
pub(crate) fn bytes_of(revision: &Revision) -> u64 {
    revision.content().packs().iter().map(|pack| pack.archive().len() as u64).sum()
}

/// Revisions that were in force, and until when; latest first. The one in force is until now.
fn earlier(state: &CatalogState, now_ms: i64) -> Vec<(String, i64)> {
    let Some(head) = state.head() else { return Vec::new() };
    let history = head.history.iter().cloned().zip(head.history_until_ms.iter().copied());
    std::iter::once((head.revision.clone(), now_ms)).chain(history).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::{Application, PublishError, publish};
    use crate::testkit::{load, source};

    /// A pack of that many bytes that do not compress.
    fn revision(number: u32, bytes: usize) -> Revision {
        let mut random = number.wrapping_mul(2_654_435_761).wrapping_add(1);
        let mut next = || {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            random as u8
        };
        let content: Vec<u8> = (0..bytes).map(|_| next()).collect();
        let mut pack = source("", &[("pack.yaml", "name: note\nversion: 1.0.0\n")]);
        pack.files.push(crate::PackFile { path: "README".to_owned(), bytes: content, executable: false });
        load(vec![pack])
    }

    fn apply(state: &mut CatalogState, revision: &Revision, now_ms: i64, retention: Retention) -> Vec<String> {
        let how = Application { now_ms, applied_by: "test", retention, offsets: [].into() };
        let publication = publish(state, revision, &how).unwrap();
        for (key, value) in &publication.catalog {
            state.apply(key, value.as_deref()).unwrap();
        }
        publication.removed_early
    }

    /// Numbers of the revisions that are there, and with them their blobs.
    fn there(state: &CatalogState, revisions: &[Revision]) -> Vec<usize> {
        let is_there = |(number, revision): (usize, &Revision)| {
            let found = state.content(revision.hash());
            found.is_ok().then_some(number)
        };
        let there: Vec<usize> = revisions.iter().enumerate().filter_map(is_there).collect();
        assert_eq!((state.revisions().len(), state.blobs().len()), (there.len(), there.len()), "nothing else");
        there
    }

    #[test]
    fn a_revision_stays_for_a_time_after_it_was_replaced_and_the_last_ones_stay_anyway() {
        let retention = Retention { revisions_max: 2, revision_keep_ms: 100, bytes_max: 1 << 30 };
        let revisions: Vec<Revision> = (0..8).map(|n| revision(n, 10)).collect();
        let mut state = CatalogState::new();
        // When each is applied, and what is there then.
        let steps: [(i64, &[usize]); 8] = [
            (0, &[0]),
            // The first one was in force for long, and was replaced just now: requests may name it.
            (1_000, &[0, 1]),
            (1_050, &[0, 1, 2]),
            (1_099, &[0, 1, 2, 3]),
            (1_100, &[1, 2, 3, 4]),
            (1_150, &[2, 3, 4, 5]),
            (5_000, &[5, 6]),
            (5_001, &[5, 6, 7]),
        ];
        for (number, (now_ms, wanted)) in steps.into_iter().enumerate() {
            assert_eq!(apply(&mut state, &revisions[number], now_ms, retention), [""; 0]);
            assert_eq!(there(&state, &revisions), wanted, "at {now_ms}");
        }
        assert_eq!(state.head().unwrap().history_until_ms, [5_001, 5_000]);
        // Rolled back to: it is the latest again, and the others keep their time.
        apply(&mut state, &revisions[5], 5_002, retention);
        assert_eq!(there(&state, &revisions), [5, 6, 7]);
        assert_eq!(state.head().unwrap().history, [revisions[7].hash(), revisions[6].hash()]);
    }

    /// An apply a minute for a day: it never fails, nothing grows without a bound, and the oldest go first.
    #[test]
    fn very_many_young_revisions_stay_within_the_limit_of_bytes() {
        let retention = Retention { revisions_max: 5, revision_keep_ms: i64::MAX, bytes_max: 30_000 };
        let revisions: Vec<Revision> = (0..100).map(|n| revision(n, 1_000)).collect();
        let mut state = CatalogState::new();
        let mut removed = 0;
        for (number, revision) in revisions.iter().enumerate() {
            let early = apply(&mut state, revision, number as i64, retention);
            removed += early.len();
            let there = there(&state, &revisions);
            assert_eq!(there, (removed..=number).collect::<Vec<_>>(), "the oldest go first");
            let bytes: usize = state.blobs().values().map(|blob| blob.content.len()).sum();
            assert!(bytes <= 30_000, "{bytes} bytes");
            assert!(number < 20 || there.len() >= 20, "as many stay as fit");
        }
        assert!(removed > 60);
        // The limit holds for the last ones, too.
        let large = revision(1_000, 29_000);
        apply(&mut state, &large, 200, retention);
        assert_eq!(state.revisions().len(), 1);
    }

    #[test]
    fn no_more_are_kept_than_a_head_can_name() {
        let mut state = CatalogState::new();
        let one = revision(1, 10);
        apply(&mut state, &one, 1, Retention::default());
        let mut head = state.head().unwrap().clone();
        head.history = (0..2 * REVISIONS_KEPT_MAX).map(|n| format!("{n:032x}")).collect();
        head.history_until_ms = vec![1; head.history.len()];
        state.apply("head", Some(&petrel_schemas::encode(&head))).unwrap();
        let early = apply(&mut state, &revision(2, 10), 2, Retention::default());
        let head = state.head().unwrap();
        assert_eq!((head.history.len(), early.len()), (REVISIONS_KEPT_MAX, REVISIONS_KEPT_MAX + 1));
        assert_eq!(head.history[0], one.hash());
        assert!(petrel_schemas::encode(head).len() < 500_000, "with its envelope it fits a record");
    }

    #[test]
    fn a_revision_that_is_over_the_limit_alone_is_refused() {
        let retention = Retention { bytes_max: 1_000, ..Retention::default() };
        let how = Application { now_ms: 1, applied_by: "test", retention, offsets: [].into() };
        let large = revision(1, 2_000);
        let bytes = bytes_of(&large);
        let refused = publish(&CatalogState::new(), &large, &how);
        assert_eq!(refused, Err(PublishError::TooLarge { bytes, bytes_max: 1_000 }));
    }
}
