//! Literals as atoms: numbers of what an event can contain. An event is a set of atoms and a few numbers.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use petrel_cel::SlotId;

use super::literal::{Key, Literal};
use super::{hash, ranges};

/// How an atom tells of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The value equals a key.
    Equal,
    /// A list's element or a map's key equals a key.
    Element,
    /// A string begins with a text.
    Prefix,
    /// A string ends with a text.
    Suffix,
    /// A string contains a text.
    Substring,
    /// A number lies between bounds.
    Range,
    /// Something is there.
    Present,
    /// Nothing is there.
    Absent,
}

/// All atoms of one kind at one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group {
    pub slot: SlotId,
    pub kind: Kind,
}

/// A literal as the index works with it.
#[derive(Debug, Clone, Copy)]
pub struct Test {
    /// Number of its group.
    pub group: u16,
    pub what: What,
}

/// What a test looks for.
#[derive(Debug, Clone, Copy)]
pub enum What {
    /// One of the atoms from this place of the pool on, so many.
    Any { from: u32, count: u32 },
    /// A number within bounds, rounded outwards.
    Range { low: f32, high: f32 },
}

/// A clause as the index works with it.
#[derive(Debug, Clone, Copy)]
pub struct FlatClause {
    pub rule: u32,
    /// First of its tests, and their number.
    pub from: u32,
    pub count: u16,
    /// Whether its rule may be found in several ways in one event.
    pub repeats: bool,
}

/// Tests of a clause beyond these are left to the rule's program.
pub const CLAUSE_TESTS_MAX: usize = 32;

/// Groups beyond these are left to the rules' programs.
const GROUPS_MAX: usize = 32_000;

type HashIds = HashMap<u64, u32, BuildHasherDefault<Identity>>;

/// All clauses, taken apart. Atoms are numbered in the order of their appearance, from 0.
#[derive(Debug, Default)]
pub struct Atoms {
    pub clauses: Vec<FlatClause>,
    pub tests: Vec<Test>,
    /// Atoms of the tests.
    pub pool: Vec<u32>,
    /// Rules that are candidates in every event.
    pub always: Vec<u32>,
    /// Number of rules.
    pub rules: usize,
    /// Groups; the first one is a placeholder.
    pub groups: Vec<Group>,
    group_ids: BTreeMap<Group, u16>,
    ids: HashIds,
    /// Hash and group of every atom.
    pub hashes: Vec<(u64, u16)>,
    /// Prefixes, suffixes (from their end) and substrings with their atoms, as often as they occur.
    pub texts: Vec<(u16, Box<[u8]>, u32)>,
}

impl Atoms {
    pub fn new() -> Self {
        let nothing = Group { slot: SlotId::ROOT, kind: Kind::Range };
        Self { groups: vec![nothing], ..Self::default() }
    }

    /// Takes in a rule's cover.
    pub fn add(&mut self, rule: u32, cover: Vec<super::Clause>) {
        self.rules += 1;
        let first = self.clauses.len();
        for clause in cover {
            let from = self.tests.len();
            let holds = clause.literals.into_iter().take(CLAUSE_TESTS_MAX).all(|literal| self.literal(literal));
            if !holds {
                self.tests.truncate(from);
                continue;
            }
            let count = (self.tests.len() - from) as u16;
            if count == 0 {
                self.clauses.truncate(first);
                self.always.push(rule);
                return;
            }
            let repeats = self.tests[from..].iter().any(|test| self.repeats(test));
            self.clauses.push(FlatClause { rule, from: from as u32, count, repeats });
        }
        if self.clauses.len() > first + 1 {
            self.clauses[first..].iter_mut().for_each(|clause| clause.repeats = true);
        }
    }

    /// Whether two atoms of the test may be in one event.
    fn repeats(&self, test: &Test) -> bool {
        let several = matches!(test.what, What::Any { count, .. } if count > 1);
        several && self.groups[usize::from(test.group)].kind == Kind::Element
    }

    /// The texts of a group with their atoms.
    pub fn texts_of(&self, group: u16) -> impl Iterator<Item = (&[u8], u32)> + Clone {
        self.texts.iter().filter(move |text| text.0 == group).map(|(_, text, atom)| (&**text, *atom))
    }

    /// Lengths of the texts of a group.
    pub fn lengths(&self, group: u16) -> impl Iterator<Item = usize> + Clone {
        self.texts_of(group).map(|(text, _)| text.len())
    }

    /// The atom of a group that has one: presence or absence.
    pub fn only(&self, group: u16) -> u32 {
        let hash = hash::key(hash::seed(group.into()), &Key::Null);
        self.ids.get(&hash).copied().unwrap_or(0)
    }

    /// The kind of an atom or a test.
    pub fn kind(&self, group: u16) -> Kind {
        self.groups[usize::from(group)].kind
    }

    /// Adds a test; false if it can never hold.
    fn literal(&mut self, literal: Literal) -> bool {
        let slot = literal.slot();
        match literal {
            Literal::OneOf(_, keys) => self.keys(slot, Kind::Equal, &keys),
            Literal::HasOneOf(_, keys) => self.keys(slot, Kind::Element, &keys),
            Literal::Range(_, low, high) => {
                // A bound that is no number holds for nothing, either.
                if low > high || low.is_nan() || high.is_nan() {
                    return false;
                }
                if let Some(group) = self.group(slot, Kind::Range) {
                    let what = What::Range { low: ranges::down(low), high: ranges::up(high) };
                    self.tests.push(Test { group, what });
                }
                true
            }
            Literal::Prefix(_, text) => self.text(slot, Kind::Prefix, text.bytes().collect()),
            Literal::Suffix(_, text) => self.text(slot, Kind::Suffix, text.bytes().rev().collect()),
            Literal::Substring(_, text) => self.text(slot, Kind::Substring, text.bytes().collect()),
            Literal::Present(_) => self.keys(slot, Kind::Present, &[Key::Null]),
            Literal::Absent(_) => self.keys(slot, Kind::Absent, &[Key::Null]),
        }
    }

    fn keys(&mut self, slot: SlotId, kind: Kind, keys: &[Key]) -> bool {
        if let Some(group) = self.group(slot, kind) {
            let seed = hash::seed(group.into());
            let from = self.pool.len();
            for key in keys {
                let atom = self.atom(group, hash::key(seed, key));
                self.pool.push(atom);
            }
            self.tests.push(Test { group, what: What::Any { from: from as u32, count: keys.len() as u32 } });
        }
        !keys.is_empty()
    }

    fn text(&mut self, slot: SlotId, kind: Kind, text: Box<[u8]>) -> bool {
        if let Some(group) = self.group(slot, kind) {
            let mut rolling = hash::Rolling::new(hash::seed(group.into()));
            text.iter().for_each(|byte| rolling.push(*byte));
            let atom = self.atom(group, rolling.finish());
            self.texts.push((group, text, atom));
            let from = self.pool.len() as u32;
            self.pool.push(atom);
            self.tests.push(Test { group, what: What::Any { from, count: 1 } });
        }
        true
    }

    fn atom(&mut self, group: u16, hash: u64) -> u32 {
        let next = self.hashes.len() as u32;
        let id = *self.ids.entry(hash).or_insert(next);
        if id == next {
            self.hashes.push((hash, group));
        }
        id
    }

    fn group(&mut self, slot: SlotId, kind: Kind) -> Option<u16> {
        let group = Group { slot, kind };
        if let Some(id) = self.group_ids.get(&group) {
            return Some(*id);
        }
        if self.groups.len() >= GROUPS_MAX {
            return None;
        }
        let id = self.groups.len() as u16;
        self.groups.push(group);
        self.group_ids.insert(group, id);
        Some(id)
    }
}

/// The keys are hashes already.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("only hashes are keys")
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
