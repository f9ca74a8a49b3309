//! What of a document becomes slots.

use petrel_cel::{Paths, SlotId};

use super::Doubles;

/// The paths that rules read, ready for an extractor, and which of their numbers are doubles. Made once
/// per set of rules.
#[derive(Debug)]
pub struct Layout {
    nodes: Box<[Node]>,
}

/// A path, by the number of its slot.
#[derive(Debug)]
pub(super) struct Node {
    /// Whether the value is read whole.
    pub whole: bool,
    /// Whether a number here is a double.
    pub double: bool,
    /// What is a double at and below this path, where the value is read whole.
    pub doubles: Option<Doubles>,
    /// The paths one step below, sorted by name.
    children: Box<[(Box<str>, SlotId)]>,
}

impl Layout {
    /// The layout of these paths; slot numbers are theirs.
    pub fn new(paths: &Paths, doubles: Doubles) -> Self {
        let mut children: Vec<Vec<(Box<str>, SlotId)>> = vec![Vec::new(); paths.len()];
        for (id, path) in paths.iter().skip(1) {
            children[path.parent.index()].push((path.name.clone(), id));
        }
        let mut of_paths: Vec<Option<&Doubles>> = Vec::with_capacity(paths.len());
        for (id, path) in paths.iter() {
            let here = match id {
                SlotId::ROOT => Some(&doubles),
                // A parent comes before its children.
                _ => of_paths[path.parent.index()].and_then(|d| d.field(&path.name)),
            };
            of_paths.push(here);
        }
        let nodes = paths.iter().zip(children).zip(of_paths).map(|(((_, path), mut children), doubles)| {
            children.sort();
            Node {
                whole: path.whole,
                double: doubles.is_some_and(|d| d.here),
                doubles: doubles.filter(|d| path.whole && !d.is_empty()).cloned(),
                children: children.into(),
            }
        });
        Self { nodes: nodes.collect() }
    }

    /// Number of slots.
    pub fn slots(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, id: SlotId) -> &Node {
        &self.nodes[id.index()]
    }
}

impl Node {
    /// The paths one step below with their names.
    pub fn children(&self) -> &[(Box<str>, SlotId)] {
        &self.children
    }

    /// The path one step below of that name.
    pub fn child(&self, name: &str) -> Option<SlotId> {
        let found = self.children.binary_search_by(|(child, _)| (**child).cmp(name));
        found.ok().map(|i| self.children[i].1)
    }
}
