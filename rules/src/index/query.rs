//! From an event's slots to candidates: first its atoms and numbers, then the lists that they lead to.

use std::collections::BTreeMap;

use petrel_cel::{Slot, SlotId, Value};

use super::atoms::{Atoms, Kind};
use super::entry::Entry;
use super::scratch::{Found, Scratch};
use super::strings::{Affixes, Substrings};
use super::table::{Postings, Table, child_key};
use super::{Index, hash};

/// So many keys are looked up at once: their cache misses overlap.
const KEYS_MAX: usize = 256;
/// A list of more elements is cleared of equal ones by a set, not by comparing.
const FEW_ELEMENTS_MAX: usize = 32;

/// What the rules ask of one slot. A group is 0 if there is none.
#[derive(Debug, Default)]
pub struct Plan {
    pub slot: usize,
    pub equal: u32,
    pub equal_seed: u64,
    pub element: u32,
    pub element_seed: u64,
    pub range: u32,
    /// Groups of the atoms, the atoms and what they lead to.
    pub present: Option<(u32, u32, Postings)>,
    pub absent: Option<(u32, u32, Postings)>,
    /// Whether one of the following is there.
    pub texts: bool,
    pub prefixes: Option<Affixes>,
    pub suffixes: Option<Affixes>,
    pub substrings: Option<Substrings>,
}

impl Plan {
    /// Bytes that it occupies.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.prefixes.as_ref().map_or(0, Affixes::bytes)
            + self.suffixes.as_ref().map_or(0, Affixes::bytes)
            + self.substrings.as_ref().map_or(0, Substrings::bytes)
    }
}

/// What the rules ask of each slot, in the order of the slots.
pub fn plans(atoms: &Atoms, numbers: &[u32], dictionary: &Table) -> Vec<Plan> {
    let mut plans: BTreeMap<SlotId, Plan> = BTreeMap::new();
    for (number, group) in (0u16..).zip(&atoms.groups).skip(1) {
        let plan = plans.entry(group.slot).or_default();
        plan.slot = group.slot.index();
        let (id, seed) = (u32::from(number), hash::seed(number.into()));
        let only = || {
            let atom = numbers[atoms.only(number) as usize];
            Some((id, atom, dictionary.get(atom)))
        };
        match group.kind {
            Kind::Equal => (plan.equal, plan.equal_seed) = (id, seed),
            Kind::Element => (plan.element, plan.element_seed) = (id, seed),
            Kind::Range => plan.range = id,
            Kind::Present => plan.present = only(),
            Kind::Absent => plan.absent = only(),
            Kind::Prefix => plan.prefixes = Some(Affixes::new(number, atoms.lengths(number))),
            Kind::Suffix => plan.suffixes = Some(Affixes::new(number, atoms.lengths(number))),
            Kind::Substring => {
                let mut patterns: Vec<(&[u8], u32)> =
                    atoms.texts_of(number).map(|(text, atom)| (text, numbers[atom as usize])).collect();
                patterns.sort_unstable();
                patterns.dedup();
                plan.substrings = Some(Substrings::new(number, &patterns));
            }
        }
    }
    let mut plans: Vec<Plan> = plans.into_values().collect();
    for plan in &mut plans {
        plan.texts = plan.prefixes.is_some() || plan.suffixes.is_some() || plan.substrings.is_some();
    }
    plans
}

impl Index {
    /// The rules that may match an event, each once: a superset of those that do.
    pub fn candidates(&self, slots: &[Slot<'_>], scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        scratch.begin(self.groups.len());
        for plan in &self.plans {
            let slot = slots.get(plan.slot).unwrap_or(&Slot::Absent);
            self.read(plan, slot, scratch);
        }
        scratch.look_up(&self.dictionary);
        for rule in &self.always {
            on(*rule);
        }
        self.visit(0, scratch, on);
        // Nodes first, so that all lists are known and their cache misses overlap.
        let mut at = 0;
        while let Some(list) = scratch.list(at) {
            if list.count == Postings::NODE {
                self.open(list.start, scratch, on);
            }
            at += 1;
        }
        at = 0;
        while let Some(list) = scratch.list(at) {
            if list.count != Postings::NODE {
                self.scan(list, scratch, on);
            }
            at += 1;
        }
    }

    #[inline]
    fn read(&self, plan: &Plan, slot: &Slot<'_>, scratch: &mut Scratch) {
        let there = if matches!(slot, Slot::Absent) { &plan.absent } else { &plan.present };
        if let Some((group, atom, postings)) = there {
            scratch.find(*atom, *group, *postings);
        }
        let mut number = f64::NAN;
        match slot {
            Slot::Value(Value::String(text)) => {
                if plan.equal != 0 {
                    scratch.keys.push((hash::bytes(plan.equal_seed, text.as_bytes()), plan.equal));
                }
                if plan.texts {
                    self.text(plan, text, scratch);
                }
            }
            Slot::Value(Value::List(list)) => {
                if plan.element != 0 {
                    self.elements(plan, list.iter(), list.len(), scratch);
                }
            }
            Slot::Value(Value::Map(map)) => {
                if plan.element != 0 {
                    self.elements(plan, map.iter().map(|(key, _)| key), map.len(), scratch);
                }
            }
            Slot::Value(value) => {
                if plan.equal != 0
                    && let Some(hash) = hash::value(plan.equal_seed, value)
                {
                    scratch.keys.push((hash, plan.equal));
                }
                number = hash::double(value).unwrap_or(f64::NAN);
            }
            Slot::Absent | Slot::Object => {}
        }
        if plan.range != 0 {
            scratch.set_number(plan.range, number);
        }
    }

    #[inline]
    fn elements<'a>(
        &self,
        plan: &Plan,
        elements: impl Iterator<Item = Value<'a>>,
        count: usize,
        scratch: &mut Scratch,
    ) {
        let few = count <= FEW_ELEMENTS_MAX;
        for element in elements {
            if let Some(hash) = hash::value(plan.element_seed, &element) {
                scratch.elements.push((hash, plan.element));
            }
            if scratch.elements.len() >= KEYS_MAX {
                scratch.look_up_elements(&self.dictionary, few);
            }
        }
        scratch.look_up_elements(&self.dictionary, few);
    }

    fn text(&self, plan: &Plan, text: &str, scratch: &mut Scratch) {
        if let Some(prefixes) = &plan.prefixes {
            prefixes.each(text.bytes(), |hash| self.ask(hash, prefixes.group, scratch));
        }
        if let Some(suffixes) = &plan.suffixes {
            suffixes.each(text.bytes().rev(), |hash| self.ask(hash, suffixes.group, scratch));
        }
        if let Some(substrings) = &plan.substrings {
            substrings.each(text, |atom| {
                if scratch.seen_atoms.insert(atom) {
                    scratch.find(atom, substrings.group, self.dictionary.get(atom));
                }
            });
        }
    }

    #[inline]
    fn ask(&self, hash: u64, group: u32, scratch: &mut Scratch) {
        if scratch.keys.len() >= KEYS_MAX {
            scratch.look_up(&self.dictionary);
        }
        scratch.keys.push((hash, group));
    }

    /// A node below the root: its children for the event's atoms become lists to read.
    fn open(&self, number: u32, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        self.visit(number, scratch, on);
        let node = &self.tree.nodes[number as usize];
        let mut at = 0;
        while let Some(Found { atom, group }) = scratch.found(at) {
            at += 1;
            if !node.may_have(atom, group) {
                continue;
            }
            let (hit, _, postings) = self.tree.children.find(child_key(number, atom));
            if hit {
                scratch.add_list(postings);
            }
        }
    }

    /// A node's own entries: those that are read always, and those in whose range a number is.
    #[inline]
    fn visit(&self, number: u32, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        let Some(node) = self.tree.nodes.get(number as usize) else { return };
        self.scan(node.rest, scratch, on);
        let (first, count) = node.trees;
        for (group, root) in &self.tree.roots[first as usize..(first + count) as usize] {
            let number = scratch.number(*group as u16);
            if !number.is_nan() {
                self.tree.trees.visit(*root, number, |entry| report(entry, scratch, on));
            }
        }
    }

    #[inline]
    fn scan(&self, postings: Postings, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        for entry in &self.tree.entries[postings.start as usize..][..postings.count as usize] {
            report(entry, scratch, on);
        }
    }
}

#[inline]
fn report(entry: &Entry, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
    if entry.passes(scratch) && (!entry.repeats() || scratch.seen_rules.insert(entry.rule)) {
        on(entry.rule);
    }
}
