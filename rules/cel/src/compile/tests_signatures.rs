//! What warnings say of operators and functions is what the evaluator does: each is tried with values of
//! every type.

use super::calls::overloads;
use super::check::{ARITHMETIC, FUNCTIONS, UNORDERED};
use super::types::Types;
use crate::arena::Arena;
use crate::eval::{Cx, compare};
use crate::expr::{Arith, Expr, Kind};
use crate::fault::Fault;
use crate::owned::OwnedValue;
use crate::paths::Paths;
use crate::time::{Duration, Timestamp};
use crate::value::{Cidr, List, Map, Type, Value};

/// A value of every type but versions, which only functions of their own take.
fn values() -> Vec<Value<'static>> {
    let ip = core::net::IpAddr::from([10, 0, 0, 1]);
    vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(7),
        Value::Uint(7),
        Value::Double(1.5),
        Value::String("UTC"),
        Value::Bytes(b"x"),
        Value::List(List::Values(&[])),
        Value::Map(Map::Values(&[])),
        Value::Timestamp(Timestamp { seconds: 0, nanos: 0 }),
        Value::Duration(Duration { nanos: 1 }),
        Value::Type(Type::Int),
        Value::Optional(None),
        Value::Ip(ip),
        Value::Cidr(Cidr { address: ip, prefix: 8 }),
    ]
}

fn refused<T>(result: &Result<T, Fault<'_>>) -> bool {
    matches!(result, Err(Fault::NoOverload { .. }))
}

#[test]
fn functions_take_what_is_said() {
    let (arena, paths) = (Arena::new(), Paths::new());
    for (name, takes, result) in FUNCTIONS {
        let known = overloads(name);
        assert!(!known.is_empty(), "there is no function {name}");
        let lists = values().into_iter().flat_map(|a| {
            let two = values().into_iter().map(move |b| vec![a, b]);
            two.chain([vec![a]])
        });
        for arguments in lists {
            let refuses = |place: usize| !takes.get(place).is_none_or(|t| t.has(arguments[place].type_of()));
            let refuses = (0..arguments.len()).any(refuses);
            let fits = |f: &&&crate::Function| {
                f.global.contains(&arguments.len()) || f.member.contains(&(arguments.len() - 1))
            };
            for function in known.iter().filter(fits) {
                let mut cx = Cx::new(&arena, &paths, &[], &[]);
                match (function.call)(&mut cx, &arguments) {
                    answer if refuses => assert!(refused(&answer), "{name} takes {arguments:?}: {answer:?}"),
                    Ok(value) => assert!(result.has(value.type_of()), "{name} of {arguments:?} is {value:?}"),
                    Err(_) => {}
                }
            }
        }
    }
}

#[test]
fn arithmetic_takes_what_is_said() {
    let constants: Vec<OwnedValue> = values().into_iter().filter_map(|v| v.to_owned_value(usize::MAX)).collect();
    let (arena, paths) = (Arena::new(), Paths::new());
    for arith in [Arith::Add, Arith::Sub, Arith::Mul, Arith::Div, Arith::Rem] {
        for a in &constants {
            for b in &constants {
                let node = |value: &OwnedValue| Expr { id: 0, kind: Kind::Const(value.clone()) };
                let expr = Expr { id: 0, kind: Kind::Arith(arith, Box::new([node(a), node(b)])) };
                let types = [a.value().type_of(), b.value().type_of()];
                let row =
                    ARITHMETIC.iter().find(|(of, left, right, _)| of.contains(&arith) && [*left, *right] == types);
                match (Cx::new(&arena, &paths, &[], &[]).eval(&expr), row) {
                    (Ok(value), Some((.., result))) => assert_eq!(value.type_of(), *result, "{arith:?} {types:?}"),
                    (answer, None) => assert!(refused(&answer), "{arith:?} {types:?}: {answer:?}"),
                    (answer, Some(_)) => assert!(!refused(&answer), "{arith:?} {types:?}: {answer:?}"),
                }
            }
        }
    }
}

#[test]
fn order_and_equality_are_as_said() {
    for a in values() {
        for b in values() {
            let types = [a, b].map(|v| Types::of(v.type_of()));
            let ordered = types.map(|t| t.minus(UNORDERED));
            let comparable = ordered[0].equals().overlaps(ordered[1]);
            assert!(comparable || compare::order(&a, &b).is_none(), "{a:?} < {b:?}");
            let may_equal = types[0].equals().overlaps(types[1]);
            assert!(may_equal || !compare::equal(&a, &b), "{a:?} == {b:?}");
        }
    }
}
