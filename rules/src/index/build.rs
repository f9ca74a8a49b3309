//! Building: every clause is placed under its most selective literal, and a list that grows long is split by
//! another one.

use super::atoms::{Atoms, FlatClause, Test, What};
use super::choose::Choice;
use super::entry::Entry;
use super::estimate::Estimates;
use super::ranges::Trees;
use super::table::{Postings, Table, child_key};

/// Lists up to this are never split.
const LIST_MAX: usize = 12;
/// An `in` with more keys is not checked in an entry: its 64 bits would be full.
const CHECKED_KEYS_MAX: u32 = 24;
/// Levels of nodes.
const DEPTH_MAX: usize = 8;

/// A list that is split by further atoms and ranges.
#[derive(Debug, Clone, Copy, Default)]
pub struct Node {
    /// Groups of the children's atoms, folded to 64 bits.
    pub groups: u64,
    /// The children's atoms, folded to 256 bits.
    pub atoms: [u64; 4],
    /// Entries that are read whatever the event has.
    pub rest: Postings,
    /// Its interval trees, and their number.
    pub trees: (u32, u32),
}

impl Node {
    /// Whether there may be a child for an atom.
    #[inline]
    pub fn may_have(&self, atom: u32, group: u32) -> bool {
        let bit = atom.wrapping_mul(0x9e37_79b1) >> 24;
        (self.groups >> (group & 63)) & (self.atoms[bit as usize / 64] >> (bit % 64)) & 1 != 0
    }

    fn add(&mut self, atom: u32, group: u16) {
        let bit = atom.wrapping_mul(0x9e37_79b1) >> 24;
        self.groups |= 1 << (group & 63);
        self.atoms[bit as usize / 64] |= 1 << (bit % 64);
    }
}

/// By what a clause was found: groups of atoms and ranges, from the root on.
pub type Route = Vec<u16>;

/// What building yields beside the dictionary.
#[derive(Debug, Default)]
pub struct Tree {
    /// The first one is the root; its children stand in the dictionary.
    pub nodes: Vec<Node>,
    pub children: Table,
    pub entries: Vec<Entry>,
    /// Interval trees of the nodes: group of the number and root.
    pub roots: Vec<(u32, u32)>,
    pub trees: Trees,
    /// Per clause the number of the route of its first copy.
    pub routes: Vec<u32>,
    pub route_list: Vec<Route>,
}

/// A clause on its way down.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    pub clause: u32,
    /// Tests that brought it here: a bit each.
    pub used: u32,
    /// How many copies of it there are, this one and its siblings.
    pub copies: u32,
}

/// A tree that grows.
pub struct Builder<'a> {
    pub(super) atoms: &'a Atoms,
    /// Numbers of the atoms in the dictionary.
    numbers: &'a [u32],
    dictionary: &'a mut Table,
    pub(super) estimates: Estimates,
    /// Per test, how likely an event satisfies it.
    pub(super) chances: Vec<f32>,
    tree: Tree,
    children: Vec<(u32, u32, Postings)>,
    /// What clauses of a node ask for, per atom and per group, while its split is chosen.
    pub(super) counts: Vec<u32>,
    pub(super) totals: Vec<u32>,
    /// What a split by a group saves, in entries not read.
    pub(super) gains: Vec<f32>,
    route: Route,
    route_ids: std::collections::BTreeMap<Route, u32>,
}

impl<'a> Builder<'a> {
    pub fn new(atoms: &'a Atoms, numbers: &'a [u32], dictionary: &'a mut Table) -> Self {
        let estimates = Estimates::new(atoms);
        Self {
            chances: atoms.tests.iter().map(|test| estimates.test(atoms, test)).collect(),
            estimates,
            tree: Tree { routes: vec![u32::MAX; atoms.clauses.len()], ..Tree::default() },
            children: Vec::new(),
            counts: vec![0; atoms.hashes.len()],
            totals: vec![0; atoms.groups.len()],
            gains: vec![0.0; atoms.groups.len()],
            route: Route::new(),
            route_ids: std::collections::BTreeMap::new(),
            atoms,
            numbers,
            dictionary,
        }
    }

    /// Places all clauses.
    pub fn build(mut self) -> Tree {
        let all = (0..self.atoms.clauses.len() as u32).map(|clause| Item { clause, used: 0, copies: 1 }).collect();
        self.node(all, 0);
        let mut table = Table::new(self.children.len());
        for (node, atom, postings) in &self.children {
            let place = table.insert(child_key(*node, *atom));
            table.set(place, *postings);
        }
        self.tree.children = table;
        self.tree.entries.shrink_to_fit();
        self.tree.nodes.shrink_to_fit();
        self.tree.roots.shrink_to_fit();
        self.tree.trees.shrink();
        self.tree
    }

    /// A list of entries, or a node if that is cheaper.
    fn place(&mut self, items: Vec<Item>, depth: usize) -> Postings {
        if items.len() <= LIST_MAX || depth >= DEPTH_MAX { self.list(&items) } else { self.node(items, depth) }
    }

    /// A node, or a list if no split pays.
    fn node(&mut self, items: Vec<Item>, depth: usize) -> Postings {
        let choices = self.choose(&items, depth == 0);
        if depth > 0 && choices.iter().all(Option::is_none) {
            return self.list(&items);
        }
        let number = self.tree.nodes.len() as u32;
        self.tree.nodes.push(Node::default());
        let mut rest = Vec::new();
        let mut by_atom: Vec<(u16, u32, Item)> = Vec::new();
        let mut by_range: Vec<(u16, Item, usize)> = Vec::new();
        for (item, choice) in items.into_iter().zip(choices) {
            let Some(Choice { test, .. }) = choice else {
                rest.push(item);
                continue;
            };
            let Test { group, what } = self.tests(item)[test];
            let next = Item { used: item.used | 1 << test, ..item };
            match what {
                What::Range { .. } => by_range.push((group, next, test)),
                What::Any { from, count } => {
                    let next = Item { copies: next.copies.saturating_mul(count), ..next };
                    let any = &self.atoms.pool[from as usize..(from + count) as usize];
                    by_atom.extend(any.iter().map(|atom| (group, *atom, next)));
                }
            }
        }
        let mut node = Node { rest: self.list(&rest), ..Node::default() };
        drop(rest);
        node.trees = self.range_trees(by_range);
        by_atom.sort_by_key(|(group, atom, _)| (*group, *atom));
        for same in by_atom.chunk_by(|a, b| a.1 == b.1) {
            let (group, atom, _) = same[0];
            let place = self.numbers[atom as usize];
            self.route.push(group);
            let mut items: Vec<Item> = same.iter().map(|(_, _, item)| *item).collect();
            // An atom twice in a literal, by two keys of the same hash.
            items.dedup_by_key(|item| item.clause);
            let postings = self.place(items, depth + 1);
            self.route.pop();
            if depth == 0 {
                self.dictionary.set(place, postings);
            } else {
                self.children.push((number, place, postings));
                node.add(place, group);
            }
        }
        self.tree.nodes[number as usize] = node;
        Postings::node(number)
    }

    fn range_trees(&mut self, mut by_range: Vec<(u16, Item, usize)>) -> (u32, u32) {
        by_range.sort_by_key(|(group, ..)| *group);
        let mut roots = Vec::new();
        for same in by_range.chunk_by(|a, b| a.0 == b.0) {
            let group = same[0].0;
            self.route.push(group);
            let mut entries = Vec::with_capacity(same.len());
            for (_, item, test) in same {
                let entry = self.entry(*item, Some(*test));
                self.note_route(item.clause);
                entries.push(entry);
            }
            self.route.pop();
            roots.push((u32::from(group), self.tree.trees.add(entries)));
        }
        let first = self.tree.roots.len() as u32;
        self.tree.roots.extend(roots);
        (first, self.tree.roots.len() as u32 - first)
    }

    fn list(&mut self, items: &[Item]) -> Postings {
        let start = self.tree.entries.len() as u32;
        for item in items {
            let entry = self.entry(*item, None);
            self.tree.entries.push(entry);
            self.note_route(item.clause);
        }
        Postings { start, count: items.len() as u32 }
    }

    fn note_route(&mut self, clause: u32) {
        if self.tree.routes[clause as usize] != u32::MAX {
            return;
        }
        let next = self.route_ids.len() as u32;
        let id = match self.route_ids.get(&self.route) {
            Some(id) => *id,
            None => {
                self.route_ids.insert(self.route.clone(), next);
                self.tree.route_list.push(self.route.clone());
                next
            }
        };
        self.tree.routes[clause as usize] = id;
    }

    /// A clause with checks of what did not bring it here, the most selective ones first.
    fn entry(&self, item: Item, range: Option<usize>) -> Entry {
        let clause = self.clause(item);
        let tests = self.tests(item);
        let mut entry = Entry::new(clause.rule, clause.repeats);
        if let Some(Test { group, what: What::Range { low, high } }) = range.map(|test| tests[test]) {
            entry.require_range(group, low, high);
        }
        let chances = &self.chances[clause.from as usize..];
        let mut left: Vec<(f32, &Test)> =
            (0..tests.len()).filter(|i| item.used >> i & 1 == 0).map(|i| (chances[i], &tests[i])).collect();
        left.sort_by(|a, b| a.0.total_cmp(&b.0));
        for (_, test) in left {
            match test.what {
                What::Range { low, high } => {
                    entry.require_range(test.group, low, high);
                }
                What::Any { from, count: 1 } => {
                    entry.require(self.numbers[self.atoms.pool[from as usize] as usize]);
                }
                What::Any { from, count } if count <= CHECKED_KEYS_MAX => {
                    let any = &self.atoms.pool[from as usize..(from + count) as usize];
                    let any: Vec<u32> = any.iter().map(|atom| self.numbers[*atom as usize]).collect();
                    entry.require_any(test.group, &any);
                }
                What::Any { .. } => {}
            }
        }
        entry
    }

    pub(super) fn clause(&self, item: Item) -> &'a FlatClause {
        &self.atoms.clauses[item.clause as usize]
    }

    pub(super) fn tests(&self, item: Item) -> &'a [Test] {
        let clause = self.clause(item);
        &self.atoms.tests[clause.from as usize..][..usize::from(clause.count)]
    }
}
