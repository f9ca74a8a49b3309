//! Where a store is known to hold no keys.
//!
//! A stage that works off a list, from its first key on, leaves a trail of removed entries there, which a
//! store on disk goes through again with every scan. So the state remembers where such scans found their
//! first key.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Most scans that are remembered.
const GAPS_MAX: usize = 8;

/// By where a scan began: the first key that the store has from there on, none if it has none.
#[derive(Debug, Default)]
pub(super) struct Gaps(RefCell<BTreeMap<Vec<u8>, Option<Vec<u8>>>>);

impl Gaps {
    /// Where a scan may begin instead of `from`; none if it would find nothing.
    pub(super) fn begin(&self, from: &[u8]) -> Option<Vec<u8>> {
        match self.0.borrow().get(from) {
            Some(first) => first.clone(),
            None => Some(from.to_vec()),
        }
    }

    /// What a scan found first.
    pub(super) fn found(&self, from: &[u8], first: Option<&[u8]>) {
        let mut gaps = self.0.borrow_mut();
        if gaps.len() >= GAPS_MAX && !gaps.contains_key(from) {
            gaps.clear();
        }
        gaps.insert(from.to_vec(), first.map(<[u8]>::to_vec));
    }

    /// The store has that key now.
    pub(super) fn put(&mut self, key: &[u8]) {
        for (from, first) in self.0.get_mut() {
            if from.as_slice() <= key && first.as_deref().is_none_or(|first| key < first) {
                *first = Some(key.to_vec());
            }
        }
    }

    /// The store has got keys in another way.
    pub(super) fn forget(&mut self) {
        self.0.get_mut().clear();
    }
}
