//! Which rules are compared with which: those that name the same value of the same path, so that ten
//! thousand rules are linted in seconds.

use std::collections::{HashMap, HashSet};

use petrel_cel::{OwnedValue, Paths, SlotId};

use super::implies::implies;
use super::{Finding, FindingKind, Known};
use crate::cover::compatible;
use crate::index::{Key, Literal};

/// Most pairs of rules that are compared for redundancy, and again for overlaps.
const PAIRS_MAX: usize = 1_000_000;
/// Most overlaps that are told.
const OVERLAPS_MAX: usize = 1_000;

/// Adds what is odd about pairs of rules.
pub(super) fn compare(rules: &[Known<'_>], paths: &Paths, findings: &mut Vec<Finding>) {
    let redundant = redundant(rules, paths, findings);
    overlaps(rules, &redundant, findings);
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

fn redundant(rules: &[Known<'_>], paths: &Paths, findings: &mut Vec<Finding>) -> HashSet<usize> {
    let actions: Vec<String> = rules.iter().map(|rule| format!("{:?}", rule.actions)).collect();
    let mut buckets: HashMap<(&str, Named), Vec<usize>> = HashMap::new();
    for (number, rule) in rules.iter().enumerate() {
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
    for (number, rule) in rules.iter().enumerate() {
        // What never matches is told as that.
        let Some(first) = rule.disjuncts.as_ref().filter(|_| !rule.cover.is_empty()).and_then(|d| d.first()) else {
            continue;
        };
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
    redundant
}

fn overlaps(rules: &[Known<'_>], redundant: &HashSet<usize>, findings: &mut Vec<Finding>) {
    let mut buckets: HashMap<(&str, SlotId, &Key), Vec<usize>> = HashMap::new();
    let mut seen = HashSet::new();
    let (mut pairs, mut told) = (0, 0);
    for (number, rule) in rules.iter().enumerate().filter(|(number, _)| !redundant.contains(number)) {
        let mut named = HashSet::new();
        for literal in rule.cover.iter().flat_map(|clause| &clause.literals) {
            let Literal::OneOf(slot, keys) = literal else { continue };
            for (action, key) in rule.actions.iter().flat_map(|(action, _)| keys.iter().map(move |key| (action, key))) {
                named.insert((action.as_str(), *slot, key));
            }
        }
        for key in named {
            let bucket = buckets.entry(key).or_default();
            for other in bucket.iter().copied() {
                if pairs == PAIRS_MAX || told == OVERLAPS_MAX {
                    break;
                }
                pairs += 1;
                if seen.insert((other, number)) && compatible(&rules[other].cover, &rule.cover) {
                    told += 1;
                    let (action, other) = (key.0, &rules[other].rule);
                    let message =
                        format!("it overlaps with {other}: an event may match both, and both ask for {action}");
                    let finding = Finding::new(FindingKind::Overlap, &rule.rule, message);
                    findings.push(Finding { other: Some(other.clone()), ..finding });
                }
            }
            bucket.push(number);
        }
    }
}
