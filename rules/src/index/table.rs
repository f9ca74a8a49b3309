//! Hash tables that are built once: 64 bytes of four places each, so that a look-up is one cache line.

use super::hash;

/// Where a posting list is: clauses that were found by the literals so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Postings {
    /// First of the entries, or the number of a node.
    pub start: u32,
    /// Number of entries; [`Postings::NODE`] says that `start` is a node.
    pub count: u32,
}

impl Postings {
    /// Not a list but a node.
    pub const NODE: u32 = u32::MAX;

    /// A node.
    pub fn node(number: u32) -> Self {
        Self { start: number, count: Self::NODE }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    /// 0: empty.
    key: u64,
    postings: Postings,
}

/// Four places; those in use come first.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(64))]
struct Bucket([Place; 4]);

/// From 64-bit keys, none of them 0, to postings. What stands in the table has a number that never changes.
#[derive(Debug, Default)]
pub struct Table {
    buckets: Vec<Bucket>,
}

impl Table {
    /// An empty table for so many keys.
    pub fn new(keys: usize) -> Self {
        // Half full on average: about one bucket in twenty overflows into the next one.
        Self { buckets: vec![Bucket::default(); keys.div_ceil(2) + 1] }
    }

    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<Bucket>()
    }

    /// The number of a key, added if it is new.
    pub fn insert(&mut self, key: u64) -> u32 {
        let mut at = self.home(key);
        loop {
            for (i, place) in self.buckets[at].0.iter_mut().enumerate() {
                if place.key == 0 {
                    place.key = key;
                }
                if place.key == key {
                    return (at * 4 + i) as u32;
                }
            }
            at = self.after(at);
        }
    }

    /// Sets the postings of what has that number.
    pub fn set(&mut self, number: u32, postings: Postings) {
        self.buckets[number as usize / 4].0[number as usize % 4].postings = postings;
    }

    /// The postings of what has that number.
    pub fn get(&self, number: u32) -> Postings {
        self.buckets[number as usize / 4].0[number as usize % 4].postings
    }

    /// Whether a key is in, and if so its number and postings.
    #[inline]
    pub fn find(&self, key: u64) -> (bool, u32, Postings) {
        let at = self.home(key);
        let places = &self.buckets[at].0;
        // Without branches: whether an event's value is known is nothing to predict.
        let place = usize::from(places[1].key == key)
            + 2 * usize::from(places[2].key == key)
            + 3 * usize::from(places[3].key == key);
        let hit = places[place].key == key;
        if !hit && places[3].key != 0 {
            return self.find_further(key, at);
        }
        (hit, (at * 4 + place) as u32, places[place].postings)
    }

    /// Beyond a full bucket.
    #[cold]
    fn find_further(&self, key: u64, home: usize) -> (bool, u32, Postings) {
        let mut at = home;
        loop {
            at = self.after(at);
            for (i, place) in self.buckets[at].0.iter().enumerate() {
                if place.key == key || place.key == 0 {
                    return (place.key == key, (at * 4 + i) as u32, place.postings);
                }
            }
        }
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        ((u128::from(key) * self.buckets.len() as u128) >> 64) as usize
    }

    #[inline]
    fn after(&self, at: usize) -> usize {
        if at + 1 == self.buckets.len() { 0 } else { at + 1 }
    }
}

/// The key of a node's child: found by one more atom. Different pairs have different keys, and as node 0 is
/// the root, whose children stand in the dictionary, none is 0.
#[inline]
pub fn child_key(node: u32, atom: u32) -> u64 {
    hash::mix(u64::from(node) << 32 | u64::from(atom))
}
