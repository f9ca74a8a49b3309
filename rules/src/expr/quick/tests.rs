use super::*;
use crate::event::ParsedEvent;
use crate::expr::{Names, compile};
use crate::json::Shape;
use crate::kv::Kv;

/// Every combination of these, alone and in chains, is decided as the interpreter decides it.
#[test]
fn never_disagrees_with_the_interpreter() {
    let operands = [
        "trigger.i",
        "trigger.d",
        "trigger.u",
        "trigger.s",
        "trigger.b",
        "trigger.n",
        "trigger.l",
        "trigger.m",
        "trigger.m.k",
        "trigger.absent",
        "trigger.s.x",
        "trigger.l['x']",
        "kv.list",
        "kv.absent",
        "now",
        "trigger",
        "1",
        "1.0",
        "1u",
        "'a'",
        "true",
        "null",
        "[1, 'a']",
        "[]",
        "-1",
    ];
    let operators = ["==", "!=", "<", "<=", ">", ">=", "in"];
    let mut atoms: Vec<String> = Vec::new();
    for left in operands {
        atoms.push(left.to_owned());
        for right in operands {
            atoms.extend(operators.map(|operator| format!("{left} {operator} {right}")));
        }
        for function in ["startsWith", "endsWith", "contains"] {
            atoms.push(format!("{left}.{function}('a')"));
        }
    }
    for path in [
        "trigger.i",
        "trigger.absent",
        "trigger.m.k",
        "trigger.m.x",
        "trigger.s.x",
        "trigger.l.x",
        "trigger.absent.x",
        "kv.list",
    ] {
        atoms.push(format!("has({path})"));
        atoms.push(format!("has({path}) == true"));
    }
    let sides = ["true", "false", "1 / 0 > 0", "trigger.absent > 1", "trigger.b", "3", "trigger.i > 5"];
    let chains: Vec<String> = atoms
        .iter()
        .step_by(17)
        .flat_map(|atom| {
            sides.iter().flat_map(move |side| {
                ["&&", "||"].into_iter().flat_map(move |operator| {
                    [
                        format!("({atom}) {operator} {side}"),
                        format!("{side} {operator} ({atom})"),
                        format!("!({atom}) {operator} !({side} {operator} trigger.b)"),
                    ]
                })
            })
        })
        .collect();
    let decided = atoms.iter().chain(&chains).filter(|criteria| agrees(criteria)).count();
    // Of the rest, most have no value at all.
    assert!(decided > 3000, "only {decided} were decided at once");
}

/// Compares both ways on one event; whether the quick one decided.
fn agrees(criteria: &str) -> bool {
    let event = br#"{"i":1,"d":1.0,"u":18446744073709551615,"s":"ab","b":true,"n":null,"l":[1,"a"],"m":{"k":"a"}}"#;
    let event = ParsedEvent::parse(event, &Shape::everything()).unwrap();
    let kv = Kv::new([("list", r#"[1.0, "ab", null]"#)]).unwrap();
    let scope = Scope::rule(&event, 0, &kv);
    let expr = compile(criteria, Names::Rule).unwrap_or_else(|e| panic!("{criteria}: {}", e[0].message));
    let mut slots = Slots::default();
    let Some(quick) = Quick::compile(&expr, &mut slots) else { return false };
    match quick.decide(&slots.read(&scope)) {
        Some(decided) => {
            assert_eq!(expr.is_true(&scope).ok(), Some(decided), "{criteria}");
            true
        }
        None => false,
    }
}

#[test]
fn the_usual_criteria_are_decided_at_once() {
    for criteria in [
        r#"trigger.s == "ab" && trigger.i > 0"#,
        r#"trigger.s in ["x", "y"] || trigger.d < 3.5"#,
        r#"!(trigger.s in kv.list) && trigger.m.k == "a""#,
        r#"has(trigger.absent) && trigger.absent > 1"#,
        r#"trigger.s == "no" && trigger.l.exists(x, x == 1)"#,
    ] {
        assert!(agrees(criteria), "{criteria}");
    }
}
