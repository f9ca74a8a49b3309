//! Nothing runs or grows without end.

use serde_json::json;

use super::{check, compiled, evaluated, with_cx};
use crate::eval::Trace;
use crate::limits::{EVAL_BYTES_MAX, STEPS_MAX};
use crate::{Arena, Cx, Fault, Paths, Slot, Type, Value};

#[test]
fn loops_stop() {
    let tens: Vec<usize> = (0..10).collect();
    let event = json!({"l": tens, "t": true});
    let steps = "! more than 100000 steps";
    // 10⁹ turns.
    let nested = (0..9).rfold("true".to_owned(), |body, at| format!("trigger.l.all(x{at}, {body})"));
    assert_eq!(evaluated(&event, &nested), steps);
    // A final fault is not absorbed, on either side of anything.
    check(
        &event,
        &[
            (&format!("trigger.t || {nested}"), "true"),
            (&format!("{nested} || trigger.t"), steps),
            (&format!("!trigger.t && {nested}"), "false"),
            (&format!("{nested} && !trigger.t"), steps),
            (&format!("trigger.l.exists(y, {nested} || y == 0)"), steps),
            (&format!("cel.bind(x, {nested}, trigger.t)"), steps),
            (&format!("{nested} ? 1 : 2"), steps),
        ],
    );
    // Loops over nothing cost as well.
    let nothing = (0..6).rfold("[].all(y, true)".to_owned(), |body, at| format!("trigger.l.map(x{at}, {body})"));
    let nothing = nothing.replace("[].", "trigger.l.filter(z, false).");
    assert_eq!(evaluated(&event, &nothing), steps);
}

#[test]
fn values_stop_growing() {
    let event = json!({"l": [1, 2, 3, 4, 5, 6, 7, 8], "s": "0123456789abcdef"});
    let doubled = |start: &str, times: usize| {
        (0..times).fold(start.to_owned(), |value, at| format!("cel.bind(v{at}, {value}, v{at} + v{at})"))
    };
    assert_eq!(evaluated(&event, &doubled("trigger.l", 30)), "! more than 8388608 bytes built");
    // Going through so many bytes takes too long before they are too many.
    assert_eq!(evaluated(&event, &doubled("trigger.s", 30)), "! more than 100000 steps");
    assert_eq!(evaluated(&event, &format!("size({})", doubled("trigger.l", 10))), "8192");
    // Many turns that each build something.
    let grown = "trigger.l.map(a, trigger.l.map(b, trigger.l.map(c, trigger.l.map(d, trigger.s + trigger.s))))";
    let grown = format!("trigger.l.map(x, {grown})");
    let result = evaluated(&event, &grown);
    assert!(result.len() > 1_000_000, "{} bytes are allowed", result.len());
}

#[test]
fn equality_is_paid_for_by_what_it_sees() {
    let event = json!({"one": 1});
    // Lists of lists that share: 2^50 elements.
    let nested = |name: &str| {
        let body = format!("{name}50");
        let start = format!("cel.bind({name}0, [trigger.one], ");
        let binds: String =
            (1..=50).map(|at| format!("cel.bind({name}{at}, [{name}{0}, {name}{0}], ", at - 1)).collect();
        (format!("{start}{binds}"), body, 51)
    };
    let ((first, a, _), (_, _, depth)) = (nested("a"), nested("b"));
    let source = format!("{first}{a} == {a}{}", ")".repeat(depth));
    assert_eq!(evaluated(&event, &source), "! more than 100000 steps");
}

#[test]
fn each_criterion_has_a_budget_of_its_own() {
    let event = json!({"l": (0..300).collect::<Vec<_>>()});
    let mut paths = Paths::new();
    // About 90,000 steps: one fits, two do not.
    let expr = compiled("trigger.l.all(x, trigger.l.all(y, x + y >= 0))", &mut paths);
    let int = compiled("size(trigger.l)", &mut paths);
    with_cx(&event, &paths, &[expr, int], |cx, exprs| {
        assert!(cx.criterion(&exprs[0]).expect("enough steps"));
        assert!(cx.criterion(&exprs[0]).expect("enough steps again"));
        assert_eq!(cx.eval(&exprs[0]).map(|_| ()), Err(Fault::StepsExceeded));
        assert_eq!(cx.criterion(&exprs[1]), Err(Fault::NotBool(Type::Int)));
    });
}

#[test]
fn charging_stops_at_the_limits() {
    let (arena, paths) = (Arena::new(), Paths::new());
    let mut cx = Cx::new(&arena, &paths, &[], &[]);
    assert!(cx.charge(usize::try_from(STEPS_MAX).unwrap()).is_ok());
    assert_eq!(cx.charge(1), Err(Fault::StepsExceeded));
    assert!(cx.charge_bytes(EVAL_BYTES_MAX).is_ok());
    assert_eq!(cx.charge_bytes(1), Err(Fault::MemoryExceeded));
    // What went wrong once is not forgotten.
    cx.renew();
    assert_eq!(cx.charge(usize::MAX), Err(Fault::StepsExceeded));
    assert_eq!(cx.charge(1), Err(Fault::StepsExceeded));
    assert_eq!(cx.charge_bytes(usize::MAX), Err(Fault::MemoryExceeded));
    assert_eq!(cx.string("a").map(|_| ()), Err(Fault::MemoryExceeded));
}

struct Seen(Vec<String>);

impl Trace for Seen {
    fn value(&mut self, _: u64, value: &Result<Value<'_>, Fault<'_>>) {
        self.0.push(super::shown(value));
    }
}

#[test]
fn a_trace_sees_every_node() {
    let (arena, mut paths, mut seen) = (Arena::new(), Paths::new(), Seen(Vec::new()));
    let expr = compiled("trigger.a == 1 && [zero].all(x, x < 1)", &mut paths);
    let vars = [Value::Int(0)];
    let mut cx = Cx::new(&arena, &paths, &[Slot::Object, Slot::Absent], &vars).with_trace(&mut seen);
    let value = cx.eval(&expr).map(|_| ());
    assert_eq!(value, Err(Fault::Missing("a")));
    drop(cx);
    let missing = "! no such field: a";
    assert_eq!(seen.0, [missing, missing, "0", "[0]", "0", "1", "true", "true", missing]);
}
