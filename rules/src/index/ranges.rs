//! Ranges by a number that lies in them: centred interval trees. An interval stands at the topmost node whose
//! centre it contains, there once by its lower and once by its upper end, so that a look-up reads each list
//! only as far as it matches, in one node per level.

use super::entry::Entry;

/// Lists up to this are not split.
const LEAF_MAX: usize = 8;
const NONE: u32 = u32::MAX;

/// A bound rounded down.
pub fn down(bound: f64) -> f32 {
    let near = bound as f32;
    if f64::from(near) > bound { near.next_down() } else { near }
}

/// A bound rounded up.
pub fn up(bound: f64) -> f32 {
    let near = bound as f32;
    if f64::from(near) < bound { near.next_up() } else { near }
}

/// All interval trees of an index.
#[derive(Debug, Default)]
pub struct Trees {
    nodes: Vec<Node>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Node {
    centre: f32,
    left: u32,
    right: u32,
    /// Intervals by their lower end, then as many by their upper end, descending.
    start: u32,
    count: u32,
}

impl Trees {
    /// Builds a tree over entries whose bounds are the intervals; its root.
    pub fn add(&mut self, mut entries: Vec<Entry>) -> u32 {
        if entries.is_empty() {
            return NONE;
        }
        let centre = if entries.len() <= LEAF_MAX { f32::INFINITY } else { centre(&entries) };
        let mut here: Vec<Entry> = Vec::new();
        let (mut below, mut above) = (Vec::new(), Vec::new());
        for entry in entries.drain(..) {
            if centre == f32::INFINITY || (entry.low <= centre && centre <= entry.high) {
                here.push(entry);
            } else if entry.high < centre {
                below.push(entry);
            } else {
                above.push(entry);
            }
        }
        let number = self.nodes.len() as u32;
        let (start, count) = (self.entries.len() as u32, here.len() as u32);
        self.nodes.push(Node { centre, left: NONE, right: NONE, start, count });
        here.sort_by(|a, b| a.low.total_cmp(&b.low));
        self.entries.extend_from_slice(&here);
        if centre != f32::INFINITY {
            here.sort_by(|a, b| b.high.total_cmp(&a.high));
            self.entries.extend_from_slice(&here);
        }
        drop(here);
        let (left, right) = (self.add(below), self.add(above));
        let node = &mut self.nodes[number as usize];
        (node.left, node.right) = (left, right);
        number
    }

    /// The entries whose interval contains the number, as far as their bounds tell.
    #[inline]
    pub fn visit(&self, root: u32, number: f64, mut each: impl FnMut(&Entry)) {
        let mut at = root;
        while let Some(node) = self.nodes.get(at as usize) {
            let (start, count) = (node.start as usize, node.count as usize);
            if number < f64::from(node.centre) || node.centre == f32::INFINITY {
                let by_low = &self.entries[start..start + count];
                by_low.iter().take_while(|entry| f64::from(entry.low) <= number).for_each(&mut each);
                at = node.left;
            } else {
                let by_high = &self.entries[start + count..start + 2 * count];
                by_high.iter().take_while(|entry| f64::from(entry.high) >= number).for_each(&mut each);
                at = if number > f64::from(node.centre) { node.right } else { NONE };
            }
        }
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Number of entries: two for most intervals.
    pub fn entries(&self) -> usize {
        self.entries.len()
    }

    /// Bytes that they occupy.
    pub fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>() + self.entries.capacity() * size_of::<Entry>()
    }

    /// Gives back memory that was kept for growing.
    pub fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.entries.shrink_to_fit();
    }
}

/// The median of all finite ends.
fn centre(entries: &[Entry]) -> f32 {
    let mut ends: Vec<f32> =
        entries.iter().flat_map(|entry| [entry.low, entry.high]).filter(|end| end.is_finite()).collect();
    if ends.is_empty() {
        return 0.0;
    }
    let middle = ends.len() / 2;
    *ends.select_nth_unstable_by(middle, f32::total_cmp).1
}
