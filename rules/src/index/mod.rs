//! The index across all rules of a trigger: from an event's slots to the few rules that may match it.
//!
//! # How it works
//!
//! An event is a set of *atoms* (`host == "a"`, `tags` has `"b"`, `name` begins with `"c"`, `d` is there) and
//! a few numbers. Only atoms that some rule asks for exist. A clause is a conjunction of tests, each of which
//! wants one of some atoms or a number within bounds.
//!
//! - *Dictionary.* Every value that rules name is known by a 64-bit hash; one probe of one cache line turns an
//!   event's value into its atom and the clauses found by it. Texts are not kept: two values of one hash are
//!   one atom, and the rule's program tells them apart.
//! - *Tree.* Each clause stands under the atom that the fewest events have, judged by how often the rules
//!   themselves ask for it. A list that grows long is split by a second atom, a third, as long as reading it
//!   costs more than asking: one more probe, keyed by node and atom. A clause with `in` stands under each of
//!   its values. What no atom finds cheaply stands in an interval tree by a number, or in the node's rest,
//!   which is read always.
//! - *Entries.* A clause in a list takes half a cache line: its rule and checks of what did not lead there (up
//!   to four atoms, an `in`, a range), evaluated without a branch. Hardly anything gets past them that does
//!   not match.
//!
//! # What it costs
//!
//! Per event: a hash and a probe for every string, number, bool or null at a path where rules compare, and for
//! every element of a list that they look into; one hash and a probe per *distinct length* of the prefixes,
//! and suffixes, asked for at a path, never longer than the value; one pass over a text where substrings are
//! asked for. Then, per atom found, its list: as a rule up to a dozen entries, more only where nothing tells
//! them apart. Neither depends on the number of rules; their cache misses do. A rule costs nothing in events
//! without the rarest of its atoms. Half-open ranges alone (`x > 5`) are read as far as they match.
//!
//! Always candidates: rules with a clause without literals. Read in every event, which is cheap but linear:
//! clauses of which every literal holds for most events (values that most rules ask for). Rules whose only
//! literal is `in` with k values take k entries of 32 bytes; below the first atom a clause has at most 32
//! copies. A text's atoms can be many, one for each prefix, suffix and substring that it has.
//!
//! Proposed too much, by design: bounds are rounded outwards to single precision; four atoms, one `in` and
//! one range are checked per entry, and `in` by 64 bits; marks of atoms are shared by one in 4,095.
//!
//! Reading order: `literal` (what comes in), `atoms` (clauses taken apart), `hash`, `table`, `estimate` and
//! `choose` (by what to find a clause), `entry`, `ranges`, `strings`, `build` (the tree), `scratch` and
//! `query` (the look-up), `stats`.

mod atoms;
mod build;
mod choose;
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

#[cfg(test)]
mod tests;

use atoms::{Atoms, Group};
pub use literal::{Clause, Key, Literal};
use query::Plan;
pub use scratch::Scratch;
pub use stats::Placement;

/// The index: immutable, shared by threads, each with a [`Scratch`] of its own.
#[derive(Debug)]
pub struct Index {
    plans: Vec<Plan>,
    dictionary: table::Table,
    tree: build::Tree,
    /// Rules that are candidates in every event, sorted.
    always: Vec<u32>,
    groups: Vec<Group>,
    /// Rule and number of every clause, sorted.
    owners: Vec<(u32, u32)>,
    rules: usize,
    atoms: usize,
}

/// Takes in rules one by one, and keeps nothing of their covers but what the index is built of.
#[derive(Debug)]
pub struct IndexBuilder {
    atoms: Atoms,
}

impl IndexBuilder {
    /// Without rules.
    pub fn new() -> Self {
        Self { atoms: Atoms::new() }
    }

    /// Takes in a rule, each once, with its cover.
    pub fn add(&mut self, rule: u32, cover: Vec<Clause>) {
        self.atoms.add(rule, cover);
    }

    /// The index of all rules that were added.
    pub fn finish(self) -> Index {
        let mut atoms = self.atoms;
        let mut dictionary = table::Table::new(atoms.hashes.len());
        let numbers: Vec<u32> = atoms.hashes.iter().map(|(hash, _)| dictionary.insert(*hash)).collect();
        let tree = build::Builder::new(&atoms, &numbers, &mut dictionary).build();
        let mut owners: Vec<(u32, u32)> =
            atoms.clauses.iter().zip(0..).map(|(clause, number)| (clause.rule, number)).collect();
        owners.sort_unstable();
        atoms.always.sort_unstable();
        Index {
            plans: query::plans(&atoms, &numbers, &dictionary),
            dictionary,
            tree,
            always: atoms.always,
            groups: atoms.groups,
            owners,
            rules: atoms.rules,
            atoms: atoms.hashes.len(),
        }
    }
}

impl Index {
    /// The index of rules with their covers. Every rule comes once.
    pub fn build(rules: impl IntoIterator<Item = (u32, Vec<Clause>)>) -> Self {
        let mut builder = IndexBuilder::new();
        rules.into_iter().for_each(|(rule, cover)| builder.add(rule, cover));
        builder.finish()
    }
}
