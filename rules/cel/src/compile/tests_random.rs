//! Random expressions, compiled with constants and with fields of the same values: nothing that is folded,
//! left out or made a set of may change the answer.

use super::render::NAMES;
use super::*;
use crate::arena::Arena;
use crate::eval::Cx;
use crate::owned::OwnedValue;
use crate::slot::Slot;
use crate::value::Value;

const LITERALS: [&str; 24] = [
    "0",
    "1",
    "-1",
    "2",
    "7",
    "1u",
    "0u",
    "1.0",
    "2.5",
    "-0.0",
    "'a'",
    "'b'",
    "''",
    "b'a'",
    "true",
    "false",
    "null",
    "[]",
    "[1, 2.0]",
    "['a', 'b']",
    "{'a': 1}",
    "{1: 'a', 'b': [2]}",
    "9007199254740993",
    "9007199254740992.0",
];

struct Random(u64);

/// An expression, written with constants and with fields.
type Twins = [String; 2];

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % n
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len())]
    }

    /// A literal, or the field that has its value.
    fn literal(&mut self) -> Twins {
        let at = self.below(LITERALS.len());
        // Some are read in both, so that not everything is constant.
        match self.below(4) {
            0 => [format!("trigger.f{at}"), format!("trigger.f{at}")],
            _ => [LITERALS[at].to_owned(), format!("trigger.f{at}")],
        }
    }

    fn expression(&mut self, depth: usize) -> Twins {
        if depth == 0 {
            return self.literal();
        }
        let [a, b, c] = [self.expression(depth - 1), self.expression(depth - 1), self.literal()];
        let both = |write: &dyn Fn(&str, &str, &str) -> String| [0, 1].map(|i| write(&a[i], &b[i], &c[i]));
        match self.below(14) {
            0..=3 => {
                let operator =
                    self.pick(&["==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%", "==", "in"]);
                both(&|a, b, _| format!("({a}) {operator} ({b})"))
            }
            4..=6 => {
                let operator = self.pick(&["&&", "||"]);
                both(&|a, b, c| format!("({a}) {operator} ({b}) {operator} {c}"))
            }
            7 => both(&|a, _, _| format!("!({a})")),
            8 => both(&|a, b, c| format!("({a}) ? ({b}) : {c}")),
            9 => both(&|a, b, _| format!("({a})[{b}]")),
            10 => {
                let name = self.pick(&["all", "exists", "exists_one", "map", "filter"]);
                both(&|a, b, c| format!("[{c}, {a}].{name}(x, ({b}) == x || x)"))
            }
            11 => both(&|a, b, _| format!("cel.bind(x, {a}, x == ({b}) && x)")),
            12 => {
                let many: Vec<Twins> = (0..9).map(|_| self.literal()).collect();
                let list = [0, 1].map(|i| many.iter().map(|m| m[i].as_str()).collect::<Vec<_>>().join(", "));
                [0, 1].map(|i| format!("({}) in [{}]", a[i], list[i]))
            }
            _ => both(&|a, b, _| format!("{{'k': {a}, 'l': [{b}]}}.k")),
        }
    }
}

/// The value as text, or that there is none.
fn value_of(source: &str, fields: &[OwnedValue]) -> String {
    let mut paths = Paths::new();
    let parsed = parse(source).unwrap_or_else(|e| panic!("{source}: {e:?}"));
    let expr = parsed.compile(NAMES, &mut paths, None).unwrap_or_else(|e| panic!("{source}: {e:?}")).expr;
    let slot = |(id, _)| match paths.steps(id).as_slice() {
        [] => Slot::Object,
        [name, below @ ..] => {
            let field = fields[name[1..].parse::<usize>().unwrap()].value();
            let step = |value, name: &&str| match value {
                Value::Map(map) => map.field(name),
                _ => None,
            };
            below.iter().try_fold(field, step).map_or(Slot::Absent, Slot::Value)
        }
    };
    let slots: Vec<Slot<'_>> = paths.iter().map(slot).collect();
    let arena = Arena::new();
    let value = Cx::new(&arena, &paths, &slots, &[]).eval(&expr);
    match value {
        Ok(value) => format!("{:?}", value.to_owned_value(usize::MAX)),
        Err(fault) => format!("no value: {}", fault.code()),
    }
}

#[test]
fn constants_and_fields_give_the_same_answer() {
    let (mut random, mut values, mut faults) = (Random(42), 0, 0);
    on_parser_thread(|| {
        let constant = |literal: &&str| {
            let expr = parse(literal).unwrap().compile(NAMES, &mut Paths::new(), None).unwrap().expr;
            resolve::into_const(expr).unwrap()
        };
        let fields: Vec<OwnedValue> = LITERALS.iter().map(constant).collect();
        for turn in 0..4000 {
            let twins = random.expression(1 + turn % 3);
            let [constants, read] = [0, 1].map(|i| value_of(&twins[i], &fields));
            // Which of several faults stays may differ.
            let same = constants == read || constants.starts_with("no value") && read.starts_with("no value");
            assert!(same, "{}: {constants}, and {}: {read}", twins[0], twins[1]);
            if read.starts_with("no value") { faults += 1 } else { values += 1 }
        }
    });
    assert!(values > 500 && faults > 500, "{values} values, {faults} faults");
}
