//! What an index tells of itself.

use petrel_cel::{Paths, SlotId};

use super::Index;
use super::atoms::Kind;

/// Figures of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct IndexStats {
    /// Rules in it.
    pub rules: usize,
    /// Clauses, those that can never hold not counted.
    pub clauses: usize,
    /// Rules that are candidates in every event.
    pub always: usize,
    /// Distinct conditions.
    pub atoms: usize,
    /// Copies of clauses in posting lists: one for every way to find them.
    pub entries: usize,
    /// Lists that are split further, and the nodes of interval trees.
    pub nodes: usize,
    /// Memory that it holds.
    pub bytes: usize,
}

/// How one clause of a rule is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The conditions that lead to it, the first one first: which path, and what about it. The clause is read
    /// in every event if there is none.
    pub by: Vec<(SlotId, Kind)>,
}

impl Placement {
    /// The conditions in words: `host equals`, `cpu within bounds`; joined by `and`.
    pub fn describe(&self, paths: &Paths) -> String {
        if self.by.is_empty() {
            return "asked about every event".to_owned();
        }
        let one = |(slot, kind): &(SlotId, Kind)| {
            let what = match kind {
                Kind::Equal => "equals a constant",
                Kind::Element => "contains a constant element or key",
                Kind::Prefix => "starts with a text",
                Kind::Suffix => "ends with a text",
                Kind::Substring => "contains a text",
                Kind::Range => "lies within bounds",
                Kind::Present => "is there",
                Kind::Absent => "is not there",
            };
            format!("{} {what}", paths.steps(*slot).join("."))
        };
        self.by.iter().map(one).collect::<Vec<_>>().join(" and ")
    }
}

impl Index {
    /// Figures of this index.
    pub fn stats(&self) -> IndexStats {
        let tree = &self.tree;
        let plans: usize = self.plans.iter().map(super::query::Plan::bytes).sum();
        let routes: usize = tree.route_list.iter().map(|route| size_of_val(route) + route.capacity() * 2).sum();
        IndexStats {
            rules: self.rules,
            clauses: self.owners.len(),
            always: self.always.len(),
            atoms: self.atoms,
            entries: tree.entries.len() + tree.trees.entries(),
            nodes: tree.nodes.len() + tree.trees.len(),
            bytes: self.dictionary.bytes()
                + tree.children.bytes()
                + tree.nodes.capacity() * size_of::<super::build::Node>()
                + tree.entries.capacity() * size_of::<super::entry::Entry>()
                + tree.roots.capacity() * size_of::<(u32, u32)>()
                + tree.trees.bytes()
                + (tree.routes.capacity() + self.always.capacity()) * size_of::<u32>()
                + self.owners.capacity() * size_of::<(u32, u32)>()
                + self.groups.capacity() * size_of::<super::atoms::Group>()
                + plans
                + routes,
        }
    }

    /// The rules that are candidates in every event, in order.
    pub fn always(&self) -> &[u32] {
        &self.always
    }

    /// How the clauses of a rule are found; none if it can never match.
    pub fn placement(&self, rule: u32) -> Vec<Placement> {
        if self.always.binary_search(&rule).is_ok() {
            return vec![Placement { by: Vec::new() }];
        }
        let first = self.owners.partition_point(|(owner, _)| *owner < rule);
        let own = self.owners[first..].iter().take_while(|(owner, _)| *owner == rule);
        own.map(|(_, clause)| {
            let route = &self.tree.route_list[self.tree.routes[*clause as usize] as usize];
            let by = route.iter().map(|group| self.groups[usize::from(*group)]).map(|group| (group.slot, group.kind));
            Placement { by: by.collect() }
        })
        .collect()
    }
}
