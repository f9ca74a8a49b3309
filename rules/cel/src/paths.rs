//! The paths of an event that expressions read, numbered.

use std::collections::HashMap;

/// Number of a path, and of its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

impl SlotId {
    /// The event itself, which is always path 0.
    pub const ROOT: Self = Self(0);

    /// The number as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A path below the event: one more step below its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The path without its last step; the root is its own parent.
    pub parent: SlotId,
    /// The last step, a member's name.
    pub name: Box<str>,
    /// Whether the whole value is read. If not, its presence and its type are.
    pub whole: bool,
}

/// A trie of paths. Every prefix of a path has a number too; numbers are only ever added.
#[derive(Debug, Clone, PartialEq)]
pub struct Paths {
    paths: Vec<Path>,
    /// Of each path the paths one step below it, by that step.
    children: Vec<HashMap<Box<str>, SlotId>>,
}

impl Default for Paths {
    fn default() -> Self {
        let root = Path { parent: SlotId::ROOT, name: "".into(), whole: false };
        Self { paths: vec![root], children: vec![HashMap::new()] }
    }
}

impl Paths {
    /// Only the root.
    pub fn new() -> Self {
        Self::default()
    }

    /// The path one step below another, added if it is new.
    pub fn child(&mut self, parent: SlotId, name: &str) -> SlotId {
        if let Some(known) = self.find(parent, name) {
            return known;
        }
        let next = SlotId(u32::try_from(self.paths.len()).unwrap_or(u32::MAX));
        self.paths.push(Path { parent, name: name.into(), whole: false });
        self.children.push(HashMap::new());
        self.children[parent.index()].insert(name.into(), next);
        next
    }

    /// Notes that the value at a path is read whole.
    pub fn read_whole(&mut self, id: SlotId) {
        self.paths[id.index()].whole = true;
    }

    /// Says anew which values are read whole.
    pub fn set_whole(&mut self, whole: impl Fn(SlotId) -> bool) {
        (0..).map(SlotId).zip(&mut self.paths).for_each(|(id, path)| path.whole = whole(id));
    }

    /// The path one step below another, if anybody reads it.
    pub fn find(&self, parent: SlotId, name: &str) -> Option<SlotId> {
        self.children[parent.index()].get(name).copied()
    }

    /// Adds all paths of another trie; gives the number here of each of its paths.
    pub fn absorb(&mut self, other: &Paths) -> Vec<SlotId> {
        let mut numbers: Vec<SlotId> = Vec::with_capacity(other.len());
        for (id, path) in other.iter() {
            let here = if id == SlotId::ROOT { id } else { self.child(numbers[path.parent.index()], &path.name) };
            if path.whole {
                self.read_whole(here);
            }
            numbers.push(here);
        }
        numbers
    }

    /// The path of that number.
    pub fn get(&self, id: SlotId) -> &Path {
        &self.paths[id.index()]
    }

    /// Number of paths, the root included, which is the number of slots.
    #[allow(clippy::len_without_is_empty)] // There is always the root.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// The steps from the root to a path.
    pub fn steps(&self, id: SlotId) -> Vec<&str> {
        let mut steps = Vec::new();
        let mut at = id;
        while at != SlotId::ROOT {
            steps.push(&*self.get(at).name);
            at = self.get(at).parent;
        }
        steps.reverse();
        steps
    }

    /// All paths with their numbers; a parent comes before its children.
    pub fn iter(&self) -> impl Iterator<Item = (SlotId, &Path)> {
        (0..).map(SlotId).zip(&self.paths)
    }
}
