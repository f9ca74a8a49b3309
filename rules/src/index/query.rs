//! From an event's slots to candidates: first its atoms and numbers, then the lists that they lead to.

use std::collections::BTreeMap;

use petrel_cel::{Slot, SlotId, Value};

use super::atoms::{Atoms, Kind};
use super::scratch::Scratch;
use super::strings::{Affixes, Substrings};
use super::table::Postings;
use super::{Index, hash};

/// So many keys are looked up at once: their cache misses overlap.
const KEYS_MAX: usize = 256;

/// What the rules ask of one slot. A group is 0 if there is none.
#[derive(Debug, Default)]
pub struct Plan {
    pub slot: usize,
    pub equal: u32,
    pub equal_seed: u64,
    pub element: u32,
    pub element_seed: u64,
    pub range: u32,
    /// Groups of the atoms, and the atoms.
    pub present: Option<(u32, u32)>,
    pub absent: Option<(u32, u32)>,
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
pub fn plans(atoms: &Atoms, numbers: &[u32]) -> Vec<Plan> {
    let mut plans: BTreeMap<SlotId, Plan> = BTreeMap::new();
    for (number, group) in (0u16..).zip(&atoms.groups).skip(1) {
        let plan = plans.entry(group.slot).or_default();
        plan.slot = group.slot.index();
        let (id, seed) = (u32::from(number), hash::seed(number.into()));
        let lone = || numbers[atoms.only(number) as usize];
        match group.kind {
            Kind::Equal => (plan.equal, plan.equal_seed) = (id, seed),
            Kind::Element => (plan.element, plan.element_seed) = (id, seed),
            Kind::Range => plan.range = id,
            Kind::Present => plan.present = Some((id, lone())),
            Kind::Absent => plan.absent = Some((id, lone())),
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
    plans.into_values().collect()
}

impl Index {
    /// The rules that may match an event, each once: a superset of those that do.
    pub fn candidates(&self, slots: &[Slot<'_>], scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        scratch.begin(self.groups.len());
        for plan in &self.plans {
            let slot = slots.get(plan.slot).unwrap_or(&Slot::Absent);
            self.read(plan, slot, scratch);
        }
        self.look_up(scratch);
        for rule in &self.always {
            on(*rule);
        }
        if !self.tree.nodes.is_empty() {
            self.walk(scratch, on);
        }
    }

    #[inline]
    fn read(&self, plan: &Plan, slot: &Slot<'_>, scratch: &mut Scratch) {
        let there = match slot {
            Slot::Absent => plan.absent,
            _ => plan.present,
        };
        if let Some((group, atom)) = there {
            scratch.find(atom, group, self.dictionary.get(atom));
        }
        let Slot::Value(value) = slot else { return };
        if plan.equal != 0
            && let Some(hash) = hash::value(plan.equal_seed, value)
        {
            scratch.keys.push((hash, plan.equal));
        }
        match value {
            Value::String(text) => self.text(plan, text, scratch),
            Value::List(list) if plan.element != 0 => {
                list.iter().for_each(|element| self.element(plan, &element, scratch));
            }
            Value::Map(map) if plan.element != 0 => {
                map.iter().for_each(|(key, _)| self.element(plan, &key, scratch));
            }
            number if plan.range != 0 => {
                if let Some(number) = hash::double(number) {
                    scratch.set_number(plan.range, number);
                }
            }
            _ => {}
        }
    }

    #[inline]
    fn element(&self, plan: &Plan, element: &Value<'_>, scratch: &mut Scratch) {
        if let Some(hash) = hash::value(plan.element_seed, element) {
            self.ask(hash, plan.element, scratch);
        }
    }

    #[inline]
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
            self.look_up(scratch);
        }
        scratch.keys.push((hash, group));
    }

    fn look_up(&self, scratch: &mut Scratch) {
        let keys = std::mem::take(&mut scratch.keys);
        for (hash, group) in &keys {
            if let Some((atom, postings)) = self.dictionary.find(*hash)
                && (!self.several[*group as usize] || scratch.seen_atoms.insert(atom))
            {
                scratch.find(atom, *group, postings);
            }
        }
        scratch.keys = keys;
        scratch.keys.clear();
    }

    fn walk(&self, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        self.visit(0, scratch, on);
        for i in 0..scratch.found.len() {
            let postings = scratch.found[i].postings;
            self.follow(postings, scratch, on);
            while let Some(node) = scratch.nodes.pop() {
                self.visit(node, scratch, on);
                for j in 0..scratch.found.len() {
                    let found = scratch.found[j];
                    if !self.tree.nodes[node as usize].may_have(found.atom, found.group) {
                        continue;
                    }
                    let child = self.tree.children.find(super::table::child_key(node, found.atom));
                    if let Some((_, postings)) = child {
                        self.follow(postings, scratch, on);
                    }
                }
            }
        }
    }

    #[inline]
    fn follow(&self, postings: Postings, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        if postings.count == Postings::NODE {
            scratch.nodes.push(postings.start);
        } else {
            self.scan(postings, scratch, on);
        }
    }

    /// A node's own entries: those that are read always, and those in whose range a number is.
    #[inline]
    fn visit(&self, node: u32, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
        let node = &self.tree.nodes[node as usize];
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
fn report(entry: &super::entry::Entry, scratch: &mut Scratch, on: &mut impl FnMut(u32)) {
    if entry.passes(scratch) && (!entry.repeats() || scratch.seen_rules.insert(entry.rule)) {
        on(entry.rule);
    }
}
