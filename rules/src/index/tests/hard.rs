//! Rule sets made to hurt, and what an index tells of itself.

use super::super::atoms::Kind;
use super::*;

fn numbered(covers: impl IntoIterator<Item = Vec<Clause>>) -> Vec<(u32, Vec<Clause>)> {
    (0..).zip(covers).collect()
}

/// Checks the events and returns the index and the number of candidates proposed in vain.
#[track_caller]
fn checked(rules: &[(u32, Vec<Clause>)], events: &[Vec<Slot<'_>>]) -> (Index, usize) {
    let index = Index::build(rules.to_vec());
    let mut scratch = Scratch::default();
    let vain = events.iter().map(|slots| check(rules, &index, slots, &mut scratch)).sum();
    (index, vain)
}

#[test]
fn identical_rules() {
    let literals = || [one_of(0, [text("a")]), one_of(1, [text("b"), text("c")]), Literal::Range(slot(2), 0.0, 9.0)];
    let rules = numbered((0..1000).map(|_| vec![clause(literals())]));
    let events = [vec![string("a"), string("c"), int(3)], vec![string("a"), string("c"), int(10)], vec![string("b")]];
    let (index, vain) = checked(&rules, &events);
    assert_eq!(vain, 0);
    assert!(index.stats().entries <= 2000, "{:?}", index.stats());
}

#[test]
fn one_field_with_many_values() {
    let names: Vec<String> = (0..3000).map(|i| format!("host-{i}")).collect();
    let rules = numbered(names.iter().map(|name| vec![clause([one_of(0, [text(name)])])]));
    let events: Vec<Vec<Slot<'_>>> = names.iter().step_by(61).map(|name| vec![string(name)]).collect();
    assert_eq!(checked(&rules, &events).1, 0);
}

/// One popular value of a field, and rules told apart by the other fields: found without reading them all.
#[test]
fn skewed_values_are_split_by_others() {
    let rules = numbered((0..4000).map(|i| {
        let second = [text(&format!("s{}", i % 40))];
        vec![clause([one_of(0, [text("hot")]), one_of(1, second), one_of(2, [number(f64::from(i / 40))])])]
    }));
    let events: Vec<Vec<Slot<'_>>> = (0..50).map(|i| vec![string("hot"), string("s7"), int(i)]).collect();
    let (index, vain) = checked(&rules, &events);
    assert_eq!(vain, 0);
    assert!(index.stats().entries == 4000);
}

#[test]
fn a_huge_in() {
    let keys = |step: usize| (0..10_000).step_by(step).map(|i| text(&i.to_string()));
    let rules = numbered([
        vec![clause([one_of(0, keys(1))])],
        vec![clause([one_of(0, keys(2)), one_of(1, [text("x")])])],
        vec![clause([has_one_of(2, keys(3)), Literal::Absent(slot(1))])],
    ]);
    let elements = [Value::String("3"), Value::String("6"), Value::String("9")];
    let events = [
        vec![string("9999"), string("x")],
        vec![string("10000"), string("x")],
        vec![string("2"), Slot::Absent, list(&elements)],
    ];
    checked(&rules, &events);
}

#[test]
fn chains_of_affixes() {
    let chain: Vec<String> = (0..300).map(|length| "a".repeat(length)).collect();
    let covers = chain.iter().flat_map(|text| {
        let substring = (!text.is_empty()).then(|| vec![clause([Literal::Substring(slot(0), text.as_str().into())])]);
        let prefix = vec![clause([Literal::Prefix(slot(0), text.as_str().into())])];
        let suffix = vec![clause([Literal::Suffix(slot(0), text.as_str().into())])];
        [Some(prefix), Some(suffix), substring].into_iter().flatten()
    });
    let rules = numbered(covers);
    let long = "a".repeat(500);
    let broken = format!("{}b{}", "a".repeat(100), "a".repeat(50));
    let events = [vec![string("")], vec![string("aaa")], vec![string(&long)], vec![string(&broken)], vec![int(1)]];
    assert_eq!(checked(&rules, &events).1, 0);
}

#[test]
fn many_ranges() {
    let infinity = f64::INFINITY;
    let rules = numbered((0..2000).map(|i| {
        let low = f64::from(i % 500) * 0.37;
        let (low, high) = match i % 4 {
            0 => (low, low + 0.5),
            1 => (low, infinity),
            2 => (-infinity, low),
            _ => (low, low),
        };
        let second = (i % 3 == 0).then(|| Literal::Range(slot(1), f64::from(i % 7), infinity));
        vec![clause([Literal::Range(slot(0), low, high)].into_iter().chain(second))]
    }));
    let at = |number: f64, second: i64| vec![Slot::Value(Value::Double(number)), int(second)];
    let numbers = [-1.0, 0.0, 0.37, 0.5, 3.7, 17.0, 111.0, 184.63, 1e9, infinity, -infinity, f64::NAN];
    let events: Vec<Vec<Slot<'_>>> = numbers.iter().flat_map(|number| [at(*number, 0), at(*number, 5)]).collect();
    checked(&rules, &events);
}

/// A rule that is found in several ways is proposed once.
#[test]
fn several_ways_to_one_rule() {
    let rules = numbered((0..100).map(|i| {
        vec![
            clause([has_one_of(0, [text("a"), text("b"), text("c")])]),
            clause([one_of(1, [text("x")]), Literal::Range(slot(2), 0.0, f64::from(i))]),
            clause([Literal::Present(slot(2))]),
        ]
    }));
    let all = [Value::String("a"), Value::String("b"), Value::String("b"), Value::String("c")];
    let events = [vec![list(&all), string("x"), int(50)], vec![list(&all[..1]), string("y")]];
    assert_eq!(checked(&rules, &events).1, 0);
}

/// What a thread keeps does not grow with the events that it saw, nor with the size of one.
#[test]
fn scratch_is_bounded() {
    let rules = numbered((0..50).map(|i| vec![clause([has_one_of(0, [number(f64::from(i))])])]));
    let index = Index::build(rules.clone());
    let mut scratch = Scratch::default();
    let small: Vec<Value<'_>> = (0..100).map(Value::Int).collect();
    let large: Vec<Value<'_>> = (0..100_000).map(Value::Int).collect();
    check(&rules, &index, &[list(&small)], &mut scratch);
    let before = scratch.bytes();
    for _ in 0..3 {
        check(&rules, &index, &[list(&large)], &mut scratch);
    }
    assert!(scratch.bytes() <= before + 8192, "{before} before, {} after", scratch.bytes());
}

#[test]
fn one_scratch_serves_several_indexes() {
    let small = numbered([vec![clause([one_of(0, [text("a")])])]]);
    let large = numbered((0..40).map(|i| vec![clause([one_of(i, [text("a")]), Literal::Absent(slot(i + 1))])]));
    let (first, second) = (Index::build(small.clone()), Index::build(large.clone()));
    let mut scratch = Scratch::default();
    for slots in [vec![string("a")], vec![string("a"); 40], vec![Slot::Absent, string("a")]] {
        check(&large, &second, &slots, &mut scratch);
        check(&small, &first, &slots, &mut scratch);
    }
}

#[test]
fn the_same_rules_make_the_same_index() {
    let rules = numbered((0..500).map(|i| {
        let values = [text(&format!("v{}", i % 90)), text(&format!("v{}", i % 7))];
        vec![clause([one_of(0, values), Literal::Prefix(slot(1), format!("p{}", i % 9).into())])]
    }));
    let (first, second) = (Index::build(rules.clone()), Index::build(rules));
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
}

#[test]
fn an_empty_index() {
    let index = Index::build([]);
    assert!(candidates(&index, &[string("a")], &mut Scratch::default()).is_empty());
    assert_eq!(index.stats().rules, 0);
}

#[test]
fn placements() {
    let index = Index::build([
        (
            4,
            vec![
                clause([Literal::Present(slot(0)), one_of(1, [text("x")])]),
                clause([Literal::Prefix(slot(2), "p".into())]),
            ],
        ),
        (2, vec![clause([]), clause([one_of(1, [text("x")])])]),
        (9, vec![clause([Literal::Present(slot(0))])]),
    ]);
    let by = |rule| index.placement(rule).into_iter().map(|placement| placement.by).collect::<Vec<_>>();
    assert_eq!(by(4), [vec![(slot(1), Kind::Equal)], vec![(slot(2), Kind::Prefix)]]);
    assert_eq!(by(2), [vec![]]);
    assert_eq!(by(9).len(), 1);
    assert!(by(5).is_empty());
    let stats = index.stats();
    assert_eq!((stats.rules, stats.clauses, stats.always), (3, 3, 1));
}
