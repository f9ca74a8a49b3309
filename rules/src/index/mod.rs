//! The index across all rules of a trigger: from an event's slots to the few rules that may match it.

mod atoms;
mod build;
mod entry;
mod estimate;
mod hash;
mod literal;
mod query;
mod ranges;
mod scratch;
mod stats;
mod strings;
mod table;

use atoms::{Atoms, Group, Kind};
pub use literal::{Clause, Key, Literal};
use query::Plan;
pub use scratch::Scratch;
pub use stats::{IndexStats, Placement};

/// The index: immutable, shared by threads, each with a [`Scratch`] of its own.
#[derive(Debug)]
pub struct Index {
    plans: Vec<Plan>,
    dictionary: table::Table,
    tree: build::Tree,
    /// Rules that are candidates in every event, sorted.
    always: Vec<u32>,
    groups: Vec<Group>,
    /// Per group, whether an event may have the same atom of it twice.
    several: Vec<bool>,
    /// Rule and number of every clause, sorted.
    owners: Vec<(u32, u32)>,
    rules: usize,
    atoms: usize,
}

impl Index {
    /// Builds the index of rules with their covers. Every rule comes once.
    pub fn build(rules: impl IntoIterator<Item = (u32, Vec<Clause>)>) -> Self {
        let mut atoms = Atoms::new();
        for (rule, cover) in rules {
            atoms.add(rule, cover);
        }
        let mut dictionary = table::Table::new(atoms.hashes.len());
        let numbers: Vec<u32> = atoms.hashes.iter().map(|(hash, _)| dictionary.insert(*hash)).collect();
        let tree = build::Builder::new(&atoms, &numbers, &mut dictionary).build();
        let mut owners: Vec<(u32, u32)> =
            atoms.clauses.iter().zip(0..).map(|(clause, number)| (clause.rule, number)).collect();
        owners.sort_unstable();
        atoms.always.sort_unstable();
        Self {
            plans: query::plans(&atoms, &numbers),
            dictionary,
            tree,
            always: atoms.always,
            several: atoms.groups.iter().map(|group| group.kind == Kind::Element).collect(),
            groups: atoms.groups,
            owners,
            rules: atoms.rules,
            atoms: atoms.hashes.len(),
        }
    }
}
