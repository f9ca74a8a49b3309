//! Which rules are compared with which: those that want the same value of a path and, after them, those of
//! which one wants a range of it or the like and that no other path keeps apart; so that ten thousand rules
//! are linted in seconds.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use petrel_cel::{OwnedValue, Paths, SlotId};

use super::implies::implies;
use super::{Finding, FindingKind, Known, exclude};
use crate::cover::compatible;
use crate::index::{Key, Literal};

/// Most pairs of rules that are compared for redundancy, and again for overlaps.
const PAIRS_MAX: usize = 500_000;
/// Most overlaps that are told.
const OVERLAPS_MAX: usize = 1_000;

/// Adds what is odd about pairs of rules; whether some pairs were left out.
pub(super) fn compare(rules: &[Known<'_>], paths: &Paths, findings: &mut Vec<Finding>) -> bool {
    let (redundant, left_out) = redundant(rules, paths, findings);
    let mut overlaps = Overlaps { rules, paths, pairs: 0, told: 0, seen: HashSet::new(), left_out, findings };
    overlaps.find(&redundant);
    overlaps.left_out
}

/// A value of a path that a rule names; `None` stands for rules that name none.
type Named = Option<(SlotId, String)>;

fn named(slot: SlotId, value: &OwnedValue) -> Named {
    // As equality sees numbers: 1 and 1.0 are the same.
    let form = match value {
        OwnedValue::Int(int) => format!("{:?}", *int as f64),
        OwnedValue::Uint(uint) => format!("{:?}", *uint as f64),
        other => match other {
            OwnedValue::Double(double) => format!("{:?}", double + 0.0),
            other => format!("{other:?}"),
        },
    };
    Some((slot, form))
}

fn redundant(rules: &[Known<'_>], paths: &Paths, findings: &mut Vec<Finding>) -> (HashSet<usize>, bool) {
    let actions: Vec<String> = rules.iter().map(|rule| format!("{:?}", rule.actions)).collect();
    let mut buckets: HashMap<(&str, Named), Vec<usize>> = HashMap::new();
    let live = || rules.iter().enumerate().filter(|(_, rule)| !rule.never_matches());
    for (number, rule) in live() {
        let keys: HashSet<Named> = rule
            .disjuncts
            .iter()
            .flatten()
            .flat_map(|conjunction| match conjunction.iter().find_map(super::atoms::Atom::values) {
                Some((slot, values)) => values.into_iter().map(|value| named(slot, value)).collect(),
                None => vec![None],
            })
            .collect();
        keys.into_iter().for_each(|key| buckets.entry((&actions[number], key)).or_default().push(number));
    }
    let mut pairs = 0;
    let mut redundant = HashSet::new();
    for (number, rule) in live() {
        let Some(first) = rule.disjuncts.as_ref().and_then(|disjuncts| disjuncts.first()) else { continue };
        let values = first.iter().filter_map(super::atoms::Atom::values);
        let keys = values.filter_map(|(slot, values)| Some(named(slot, values.first()?))).chain([None]);
        let mut others: Vec<usize> =
            keys.filter_map(|key| buckets.get(&(&*actions[number], key))).flatten().copied().collect();
        others.sort_unstable();
        others.dedup();
        let covers = |a: usize, b: usize| match (&rules[a].disjuncts, &rules[b].disjuncts) {
            (Some(a), Some(b)) => implies(a, b, paths),
            _ => false,
        };
        let other = others.into_iter().filter(|other| *other != number).take_while(|_| {
            pairs += 1;
            pairs <= PAIRS_MAX
        });
        // Of two that match the same events the later one is redundant.
        let found =
            other.filter(|other| covers(number, *other)).find(|other| *other < number || !covers(*other, number));
        if let Some(other) = found {
            let other = &rules[other].rule;
            let message = format!("it is redundant: {other} has the same actions and matches whenever it does");
            let finding = Finding::new(FindingKind::Redundant, &rule.rule, message);
            findings.push(Finding { other: Some(other.clone()), ..finding });
            redundant.insert(number);
        }
    }
    (redundant, pairs > PAIRS_MAX)
}

/// The search for rules that may match the same event and ask for the same action.
struct Overlaps<'o, 'r> {
    rules: &'o [Known<'r>],
    paths: &'o Paths,
    pairs: usize,
    told: usize,
    /// Pairs that were compared.
    seen: HashSet<(usize, usize)>,
    /// Whether some were not.
    left_out: bool,
    findings: &'o mut Vec<Finding>,
}

/// Rules that ask for an action and have a condition on a path, by the paths of which they always want certain
/// values.
type OnPath = BTreeMap<BTreeSet<SlotId>, Alike>;

/// Some of them.
#[derive(Default)]
struct Alike {
    /// Those that want the path to equal a value.
    narrow: Vec<usize>,
    /// Those that want a range, a prefix or the like.
    wide: Vec<usize>,
}

impl<'o> Overlaps<'o, '_> {
    fn find(&mut self, redundant: &HashSet<usize>) {
        let live: Vec<usize> = (0..self.rules.len()).filter(|number| !redundant.contains(number)).collect();
        self.with_values_in_common(&live);
        self.with_ranges_in_common(&live);
    }

    fn with_values_in_common(&mut self, live: &[usize]) {
        let rules = self.rules;
        let mut buckets: HashMap<(&'o str, SlotId, &'o Key), Vec<usize>> = HashMap::new();
        for number in live.iter().copied() {
            let wants = conditions(&rules[number]);
            for action in actions(&rules[number]) {
                let keys = wants.iter().flat_map(|(slot, want)| want.keys.iter().map(move |key| (*slot, *key)));
                for (slot, key) in keys {
                    let others = buckets.entry((action, slot, key)).or_default();
                    self.compare(others, number, action);
                    others.push(number);
                }
            }
        }
    }

    /// Two rules that both always want certain values of one path have one in common or exclude each other, so
    /// that they need no second look.
    fn with_ranges_in_common(&mut self, live: &[usize]) {
        let rules = self.rules;
        let mut paths: HashMap<(&'o str, SlotId), OnPath> = HashMap::new();
        for number in live.iter().copied() {
            let wants = conditions(&rules[number]);
            let fixed: BTreeSet<SlotId> = wants.iter().filter(|(_, want)| want.always).map(|(slot, _)| *slot).collect();
            for action in actions(&rules[number]) {
                for (slot, want) in &wants {
                    let on_path = paths.entry((action, *slot)).or_default();
                    for (_, others) in on_path.iter().filter(|(other, _)| other.is_disjoint(&fixed)) {
                        self.compare(&others.wide, number, action);
                        if want.wide {
                            self.compare(&others.narrow, number, action);
                        }
                    }
                    let alike = on_path.entry(fixed.clone()).or_default();
                    if want.wide { alike.wide.push(number) } else { alike.narrow.push(number) }
                }
            }
        }
    }

    fn compare(&mut self, others: &[usize], number: usize, action: &str) {
        let rule = &self.rules[number];
        for other in others.iter().copied().filter(|other| *other != number) {
            let first = &self.rules[other];
            if self.seen.contains(&(other, number)) {
                continue;
            }
            if self.pairs == PAIRS_MAX || self.told == OVERLAPS_MAX {
                self.left_out = true;
                return;
            }
            self.pairs += 1;
            self.seen.insert((other, number));
            if !may_match_both(first, rule, self.paths) {
                continue;
            }
            self.told += 1;
            let message =
                format!("it overlaps with {}: an event may match both, and both ask for {action}", first.rule);
            let finding = Finding::new(FindingKind::Overlap, &rule.rule, message);
            self.findings.push(Finding { other: Some(first.rule.clone()), ..finding });
        }
    }
}

fn actions<'k>(rule: &'k Known<'_>) -> BTreeSet<&'k str> {
    rule.actions.iter().map(|(action, _)| action.as_str()).collect()
}

/// What a rule wants of a path, in any of its clauses.
#[derive(Default)]
struct Want<'k> {
    /// One of these values.
    keys: Vec<&'k Key>,
    /// One of some values, in every clause.
    always: bool,
    /// A range, a prefix or the like.
    wide: bool,
}

fn conditions<'k>(rule: &'k Known<'_>) -> BTreeMap<SlotId, Want<'k>> {
    let mut wants: BTreeMap<SlotId, Want<'_>> = BTreeMap::new();
    for literal in rule.cover.iter().flat_map(|clause| &clause.literals) {
        match literal {
            Literal::OneOf(slot, keys) => wants.entry(*slot).or_default().keys.extend(keys),
            // Nearly every event has the path, or nearly none: rules that share no more are not alike.
            Literal::Present(_) | Literal::Absent(_) => {}
            other => wants.entry(other.slot()).or_default().wide = true,
        }
    }
    for (slot, want) in &mut wants {
        let wants_value = |literal: &Literal| matches!(literal, Literal::OneOf(of, _) if of == slot);
        want.always = rule.cover.iter().all(|clause| clause.literals.iter().any(wants_value));
        want.keys.sort_unstable();
        want.keys.dedup();
    }
    wants
}

fn may_match_both(a: &Known<'_>, b: &Known<'_>, paths: &Paths) -> bool {
    compatible(&a.cover, &b.cover)
        && match (&a.disjuncts, &b.disjuncts) {
            (Some(a), Some(b)) => exclude::compatible(a, b, paths),
            _ => true,
        }
}
